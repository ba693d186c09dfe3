//! The live board: the page, its stream, and hanging up.

mod feed;
mod patch;
mod view;

use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Redirect};
use futures_util::stream::{self, Stream};
use tensou_engine::CallId;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, timeout};

use self::feed::{Feed, Figures};
use self::patch::{Patch, Shown};
pub(crate) use self::view::tone_of;
use self::view::{CallRow, EndedRow, PhoneRow, TrunkRow};
use super::page::Page;
use super::visit::{Answer, Visit, render};
use super::{Ui, format};
use crate::app::Refusal;
use crate::app::auth::{Action, Area};

/// Shortest time between two patches: four a second are smooth, more is load without use.
const PACE: Duration = Duration::from_millis(250);
/// After this a stream ends and the browser asks again, so that somebody who lost a right loses
/// the stream too.
const RENEWAL: Duration = Duration::from_secs(300);
/// Longest silence; `assets/live.js` takes a stream for dead after 25 seconds.
const BEAT: Duration = Duration::from_secs(10);

#[derive(Template)]
#[template(path = "live.html")]
struct LivePage {
    page: Page,
    now: i64,
    offset_minutes: i32,
    clock: String,
    zone: String,
    operator: bool,
    figures: Figures,
    calls: Vec<CallRow>,
    ended: Vec<EndedRow>,
    trunks: Vec<TrunkRow>,
    phones: Vec<PhoneRow>,
}

#[derive(Template)]
#[template(path = "hang_up.html")]
struct HangUpPage {
    page: Page,
    id: String,
    caller: String,
    called: String,
}

/// The board as it is now; the script keeps it so. Somebody who sees no calls gets the first page
/// that they do see.
pub(crate) async fn page(State(ui): State<Ui>, visit: Visit) -> Answer {
    if !visit.who.may(Action::Read, Area::Calls) {
        let first = visit.page.navigation().into_iter().flat_map(|group| group.items).next();
        return match first {
            Some(item) => Ok(Redirect::to(item.href).into_response()),
            None => Err(visit.refuse(&Refusal::Forbidden)),
        };
    }
    let mut feed = Feed::new(ui.clone(), visit.who.clone(), visit.page.t);
    let rows = feed.rows().await;
    let clock = ui.app.clock();
    let now = clock.now_millis();
    Ok(render(&LivePage {
        now,
        offset_minutes: format::offset_minutes(clock, now),
        clock: format::time(clock, now),
        zone: ui.app.node().time_zone.clone(),
        operator: feed.operator(),
        figures: rows.figures,
        calls: rows.calls,
        ended: rows.ended,
        trunks: rows.trunks,
        phones: rows.phones,
        page: visit.page,
    }))
}

/// The stream of patches. Ends with the server, and when the session is over.
pub(crate) async fn stream(
    State(ui): State<Ui>,
    visit: Option<Visit>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, StatusCode> {
    let visit = visit.ok_or(StatusCode::UNAUTHORIZED)?;
    if !visit.who.may(Action::Read, Area::Calls) {
        return Err(StatusCode::FORBIDDEN);
    }
    let source = Source {
        notices: ui.app.board().subscribe(),
        closing: ui.app.closing(),
        feed: Feed::new(ui, visit.who, visit.page.t),
        shown: Shown::default(),
        first: true,
        until: Instant::now() + RENEWAL,
        over: false,
    };
    let patches = stream::unfold(source, |mut source| async {
        let patch = source.next().await?;
        let event = Event::default().json_data(patch).ok()?;
        Some((Ok(event), source))
    });
    Ok(Sse::new(patches))
}

struct Source {
    feed: Feed,
    shown: Shown,
    notices: tokio::sync::broadcast::Receiver<crate::board::Notice>,
    closing: tokio::sync::watch::Receiver<bool>,
    first: bool,
    until: Instant,
    over: bool,
}

/// Why a stream woke up.
enum Wake {
    Change,
    Beat,
    Closing,
}

impl Source {
    /// Waits for a change of the board and tells it; none when the server stops.
    async fn next(&mut self) -> Option<Patch> {
        if self.first {
            self.first = false;
            return Some(self.patch().await);
        }
        loop {
            if self.over {
                return None;
            }
            if Instant::now() >= self.until {
                self.over = true;
                return Some(Patch::renewal(self.feed.now_millis()));
            }
            match self.wait().await {
                Wake::Change => {}
                // A beat also tells what changes without a notice: names, new trunks.
                Wake::Beat => return Some(self.patch().await),
                Wake::Closing => return None,
            }
            // What happens meanwhile is in the same patch.
            sleep(PACE).await;
            self.notices = self.notices.resubscribe();
            let patch = self.patch().await;
            if !patch.is_empty() {
                return Some(patch);
            }
        }
    }

    async fn wait(&mut self) -> Wake {
        let closing = &mut self.closing;
        tokio::select! {
            () = async { _ = closing.wait_for(|closing| *closing).await } => Wake::Closing,
            change = timeout(BEAT, self.notices.recv()) => match change {
                Err(_) => Wake::Beat,
                Ok(Err(RecvError::Closed)) => Wake::Closing,
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => Wake::Change,
            },
        }
    }

    async fn patch(&mut self) -> Patch {
        let rows = self.feed.rows().await;
        self.shown.update(self.feed.now_millis(), rows.into_frame())
    }
}

/// Asks before hanging up, for browsers without scripts.
pub(crate) async fn hang_up_page(
    State(ui): State<Ui>,
    visit: Visit,
    Path(id): Path<String>,
) -> Answer {
    let refuse = |refusal: Refusal| visit.refuse(&refusal);
    visit.who.demand(Action::Write, Area::Calls).map_err(refuse)?;
    let id = CallId::parse(&id).ok_or_else(|| visit.refuse(&Refusal::NotFound("call")))?;
    let call = ui.app.live_call(&visit.who, id).await.map_err(|refusal| visit.refuse(&refusal))?;
    let (caller, _) = view::caller(&call.caller, visit.page.t);
    let called = view::called(&call);
    Ok(render(&HangUpPage { page: visit.page, id: call.id.to_string(), caller, called }))
}

/// Hangs up: `204` to the script, the board to a form.
pub(crate) async fn hang_up(
    State(ui): State<Ui>,
    visit: Visit,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Answer {
    let id = CallId::parse(&id).ok_or_else(|| visit.refuse(&Refusal::NotFound("call")))?;
    ui.app.hang_up(&visit.who, id).await.map_err(|refusal| visit.refuse(&refusal))?;
    let script = headers.get(header::ACCEPT).is_some_and(|kind| kind == "application/json");
    if script {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Redirect::to("/").into_response())
}
