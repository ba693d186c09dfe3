//! REST over the app layer: addresses, media types and status codes; no decisions.

mod audit;
mod body;
mod calls;
mod cdrs;
mod condition;
mod events;
mod harden;
mod listing;
mod once;
mod openapi;
mod operation;
mod patience;
mod people;
mod problem;
mod resources;
mod shape;
mod system;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::any;
use utoipa_axum::router::OpenApiRouter;

use crate::app::auth::guard;
use crate::app::{App, Refusal};

pub(crate) use once::InFlight;

/// Where every resource is.
pub(crate) const PREFIX: &str = "/api/v1";
/// Where people read about it.
pub(crate) const DOCS: &str = "/api/docs";
/// The largest body: some ten thousand members of hunt groups fit.
const MAX_BODY: usize = 1024 * 1024;

/// Everything that is served: REST, its documentation, health, and the UI.
pub(crate) fn router(app: &App) -> Router {
    let finished = openapi::Finished::default();
    let (rest, document) = documented(app, &finished).split_for_parts();
    // The builder only fails on what JSON cannot write, and the document is texts and numbers.
    finished.get_or_init(|| document.to_json().unwrap_or_default());
    let rest = rest
        .merge(openapi::pages())
        .route("/api", any(nothing_here))
        .route("/api/{*rest}", any(nothing_here))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app.clone());
    Router::new()
        .merge(rest)
        .merge(crate::ui::router(app.clone()))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(app.clone(), guard))
        .layer(from_fn(patience::patience))
        .layer(from_fn(harden::harden))
}

fn documented(app: &App, finished: &openapi::Finished) -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::frame(app))
        .merge(resources::routes(app))
        .merge(people::routes(app))
        .merge(audit::routes(app))
        .merge(calls::routes(app))
        .merge(cdrs::routes(app))
        .merge(events::routes(app))
        .merge(system::routes(app))
        .merge(openapi::routes(app, finished))
}

async fn nothing_here() -> Refusal {
    Refusal::NotFound("address")
}

async fn method_not_allowed() -> Refusal {
    Refusal::MethodNotAllowed
}
