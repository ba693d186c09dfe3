//! The node itself: state, health, metrics, the dry run.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::router::OpenApiRouter;

use super::PREFIX;
use super::body::Document;
use super::operation::Operation;
use crate::app::auth::{Action, Area, Principal};
use crate::app::preview::{PreviewView, RouteQuestion};
use crate::app::{App, Refusal, SystemStatus};

/// The process runs.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Health {
    /// `ok`.
    status: String,
}

/// Whether calls can be taken.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Readiness)]
struct ReadyView {
    /// All of the below.
    ready: bool,
    /// The database answers.
    database: bool,
    /// SIP listeners are open.
    listeners: bool,
    /// At least one trunk is enabled.
    trunk: bool,
    /// The journal can be written and has room: new calls are not refused for it.
    journal: bool,
}

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn routes(app: &App) -> OpenApiRouter<App> {
    let system = Operation::new(HttpMethod::Get, &format!("{PREFIX}/system"), "get_system")
        .about("system", "Version, uptime, node, database and load.")
        .needs(Action::Read, Area::System)
        .returns::<SystemStatus>("200", "State of the node.");
    let preview = format!("{PREFIX}/route_preview");
    let preview = Operation::new(HttpMethod::Post, &preview, "preview_route")
        .about("route_preview", "What would happen to a call, step by step, without placing it.")
        .needs(Action::Read, Area::RoutePreview)
        .takes::<RouteQuestion>()
        .returns::<PreviewView>("200", "Who would ring, when and how.");
    let health = Operation::new(HttpMethod::Get, "/healthz", "healthz")
        .about("health", "The process runs.")
        .returns::<Health>("200", "It does.");
    let ready = Operation::new(HttpMethod::Get, "/readyz", "readyz")
        .about(
            "health",
            "The node can take calls: database, listeners, at least one trunk, journal.",
        )
        .returns::<ReadyView>("200", "It can.")
        .returns::<ReadyView>("503", "It cannot.");
    let metrics = Operation::new(HttpMethod::Get, "/metrics", "metrics")
        .about("health", "Figures for Prometheus.")
        .returns_text("200", "Text exposition format.", "text/plain");
    OpenApiRouter::new()
        .routes(system.done_by(app, state))
        .routes(preview.done_by(app, route_preview))
        .routes(health.done_by(app, healthz))
        .routes(ready.done_by(app, readyz))
        .routes(metrics.done_by(app, figures))
}

async fn state(State(app): State<App>, who: Principal) -> Result<Json<SystemStatus>, Refusal> {
    Ok(Json(app.system(&who).await?))
}

async fn route_preview(
    State(app): State<App>,
    who: Principal,
    Document(question): Document<RouteQuestion>,
) -> Result<Json<PreviewView>, Refusal> {
    Ok(Json(app.preview(&who, &question)?))
}

async fn healthz() -> Json<Health> {
    Json(Health { status: "ok".to_owned() })
}

async fn readyz(State(app): State<App>) -> Response {
    let database = app.store().ping().await.is_ok();
    let node = app.readiness();
    let journal = !node.journal.full && !node.journal.failing;
    let ready = database && node.listeners && node.trunk && journal;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (listeners, trunk) = (node.listeners, node.trunk);
    let view = ReadyView { ready, database, listeners, trunk, journal };
    (status, Json(view)).into_response()
}

async fn figures(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, PROMETHEUS)], app.metrics()).into_response()
}
