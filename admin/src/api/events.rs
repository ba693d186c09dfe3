//! Server-sent events: what happens, as it happens.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::router::OpenApiRouter;

use super::PREFIX;
use super::operation::Operation;
use crate::app::auth::{Action, Area, Principal};
use crate::app::{App, Refusal, Visible, view};
use crate::board::Notice;

/// A silent stream says something this often, so that proxies do not take it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// After this long the stream ends and the client asks again: who lost their token or session
/// stops hearing.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How soon a client asks again.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) fn routes(app: &App) -> OpenApiRouter<App> {
    let events = Operation::new(HttpMethod::Get, &format!("{PREFIX}/events"), "stream_events")
        .about(
            "events",
            "Server-sent events. `call.started`, `call.dialling`, `call.ringing`, \
             `call.leg_ended` and `call.answered` carry the call as `calls/{id}` shows it, \
             `call.ended` also its outcome; `trunk.channels`; `trunk.up` and \
             `trunk.down` with the trunk's registration and peers, whenever one changes; `extension.registered`, \
             `extension.unregistered`; `extension.authentication_failed` with its `tries`, at \
             most one a minute for each source and user; `calls.elsewhere` when \
             calls of other nodes have changed (`calls` has them); `lagged` when the \
             client was too slow and must read again.",
        )
        .needs(Action::Read, Area::Calls)
        .returns_text("200", "The stream.", "text/event-stream");
    OpenApiRouter::new().routes(events.done_by(app, stream_events))
}

async fn stream_events(
    State(app): State<App>,
    who: Principal,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let listener = Listener {
        visible: app.visible(&who).await?,
        notices: app.board().subscribe(),
        changes: app.store().changes(),
        closing: app.closing(),
        end: Instant::now() + LIFETIME,
        greeted: false,
        app,
        who,
    };
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One client of the stream.
struct Listener {
    app: App,
    who: Principal,
    visible: Visible,
    notices: broadcast::Receiver<Notice>,
    changes: watch::Receiver<u64>,
    closing: watch::Receiver<bool>,
    end: Instant,
    greeted: bool,
}

impl Listener {
    /// The next event for this client; none when the stream is over.
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            return Some(Event::default().comment("open").retry(RETRY));
        }
        loop {
            tokio::select! {
                biased;
                () = closed(&mut self.closing) => return None,
                () = tokio::time::sleep_until(self.end) => return None,
                Ok(()) = self.changes.changed() => {
                    // Customers may have come to a reseller, or gone from it.
                    self.visible = self.app.visible(&self.who).await.ok()?;
                }
                notice = self.notices.recv() => match notice {
                    Ok(notice) if self.visible.includes_notice(&notice) => {
                        return Some(self.told(&notice));
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(missed)) => {
                        let data = format!("{{\"missed\":{missed}}}");
                        return Some(Event::default().event("lagged").data(data));
                    }
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }

    fn told(&self, notice: &Notice) -> Event {
        let data = view::notice(&notice.body, self.app.clock());
        Event::default().event(notice.name).data(data.to_string())
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error says that the server is gone, which is as good.
    let _ = closing.wait_for(|closing| *closing).await;
}
