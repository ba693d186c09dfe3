//! The description of the API, OpenAPI 3.1, and the pages that show it.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use utoipa::openapi::path::HttpMethod;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::operation::Operation;
use super::{DOCS, PREFIX};
use crate::app::App;

const ABOUT: &str = "Provisioning, live calls and call records. JSON in snake_case; times RFC 3339 \
     with offset; numbers E.164. Refusals are `application/problem+json` (RFC 9457) and name every \
     fault at once. Lists take `limit` and `after`; a POST takes `Idempotency-Key`; rows have an \
     `ETag`, which `If-Match` holds a change to.";

/// The document without its operations.
pub(crate) fn frame(app: &App) -> OpenApi {
    let info = InfoBuilder::new()
        .title("Tensou")
        .version(app.node().version.clone())
        .description(Some(ABOUT));
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token from `POST /api/v1/tokens` or `tensou token add`."));
    let about_session = "The UI's cookie; changes also need the header `X-CSRF-Token`.";
    let session = ApiKeyValue::with_description("tensou_session", about_session);
    let components = ComponentsBuilder::new()
        .security_scheme("token", SecurityScheme::Http(bearer.build()))
        .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    let nothing: [&str; 0] = [];
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components.build()))
        .security(Some([
            SecurityRequirement::new("token", nothing),
            SecurityRequirement::new("session", nothing),
        ]))
        .build()
}

/// The finished document: known only once every operation is.
pub(crate) type Finished = Arc<OnceLock<String>>;

/// The document's own operation. It is open: it says nothing of this operator's.
pub(crate) fn routes(app: &App, finished: &Finished) -> OpenApiRouter<App> {
    let operation = Operation::new(HttpMethod::Get, &path(), "openapi")
        .about("docs", "This description.")
        .returns_text("200", "OpenAPI 3.1.", "application/json");
    let finished = Arc::clone(finished);
    let serve = move || {
        let text = finished.get().cloned().unwrap_or_default();
        async move { ([(CONTENT_TYPE, "application/json")], text) }
    };
    OpenApiRouter::new().routes(operation.done_by(app, serve))
}

/// The pages that show it.
pub(crate) fn pages() -> Router<App> {
    SwaggerUi::new(DOCS).config(Config::from(path())).into()
}

fn path() -> String {
    format!("{PREFIX}/openapi.json")
}
