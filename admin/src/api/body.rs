//! Reading request bodies.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use super::shape::Shape;
use crate::app::Refusal;

/// A JSON document of the schema of `T`; all its faults are told at once.
pub(crate) struct Document<T>(pub(crate) T);

/// Any JSON.
pub(crate) struct AnyJson(pub(crate) Value);

impl<T: DeserializeOwned + ToSchema, S: Send + Sync> FromRequest<S> for Document<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let AnyJson(document) = AnyJson::from_request(request, state).await?;
        read(document).map(Document)
    }
}

impl<S: Send + Sync> FromRequest<S> for AnyJson {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        if !is_json(request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok())) {
            return Err(Refusal::MediaType);
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
                Refusal::TooLarge
            } else {
                Refusal::Malformed("the body could not be read to its end".to_owned())
            }
        })?;
        serde_json::from_slice(&body)
            .map(AnyJson)
            .map_err(|error| Refusal::Malformed(format!("the body is not JSON: {error}")))
    }
}

/// The value that a document is.
///
/// # Errors
/// Every fault of its shape.
pub(crate) fn read<T: DeserializeOwned + ToSchema>(document: Value) -> Result<T, Refusal> {
    let flaws = Shape::of::<T>().flaws(&document);
    if !flaws.is_empty() {
        return Err(Refusal::Invalid(flaws));
    }
    // What the schema does not say, such as the widest integer, the reader does.
    serde_json::from_value(document).map_err(|error| Refusal::flaw("", error.to_string()))
}

/// `application/json` and `application/…+json` with any parameters.
fn is_json(kind: Option<&str>) -> bool {
    let Some(kind) = kind else { return false };
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}
