//! The web UI: pages rendered on the server, one small script, patches by server-sent events.

mod account;
mod assets;
mod cdrs;
mod format;
mod gantt;
mod lists;
mod live;
mod names;
mod page;
mod query;
mod route;
mod texts;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::{HeaderValue, header};
use axum::routing::{get, post};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::app::App;
use names::Names;

/// Stricter than what every answer carries: nothing but our own scripts, styles and pictures.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

/// What the pages' handlers hold.
#[derive(Clone)]
pub(crate) struct Ui {
    app: App,
    names: Arc<Names>,
}

impl FromRef<Ui> for App {
    fn from_ref(ui: &Ui) -> App {
        ui.app.clone()
    }
}

/// The pages, to stand behind the guard that identifies sessions.
pub(crate) fn router(app: App) -> Router {
    let ui = Ui { app, names: Arc::new(Names::default()) };
    let policy = HeaderValue::from_static(CONTENT_POLICY);
    Router::new()
        .route("/", get(live::page))
        .route("/ui/live", get(live::stream))
        .route("/ui/session", get(account::session))
        .route("/calls/{id}/hang-up", get(live::hang_up_page).post(live::hang_up))
        .route("/cdrs", get(cdrs::list))
        .route("/cdrs/{id}", get(cdrs::detail))
        .route("/route", get(route::page))
        .route("/dids", get(lists::dids))
        .route("/customers", get(lists::customers))
        .route("/groups", get(lists::groups))
        .route("/extensions", get(lists::extensions))
        .route("/trunks", get(lists::trunks))
        .route("/login", get(account::sign_in_page).post(account::sign_in))
        .route("/logout", post(account::sign_out))
        .route("/language", post(account::language))
        .route("/assets/{hash}/{name}", get(assets::serve))
        .fallback(visit::nowhere)
        .with_state(ui)
        .layer(SetResponseHeaderLayer::overriding(header::CONTENT_SECURITY_POLICY, policy))
}

#[cfg(test)]
mod tests;
