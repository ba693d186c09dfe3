//! Refusals as RFC 9457 problem documents.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{Flaw, Refusal};

/// What went wrong, RFC 9457.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Names the kind of problem, `urn:tensou:problem:…`.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    /// HTTP status.
    status: u16,
    /// This case in words.
    detail: String,
    /// Every fault of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ProblemError>,
}

/// One fault of a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ProblemError {
    /// JSON pointer (RFC 6901) into the body, or `?name` for a query parameter.
    pointer: String,
    /// What is wrong.
    message: String,
}

/// The media type of problems.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

impl Refusal {
    /// The HTTP status that tells it.
    pub fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// Status, name and title of each kind: the one table.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Refusal::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "Not signed in")
            }
            Refusal::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Refusal::Csrf => (StatusCode::FORBIDDEN, "csrf", "Not from our own page"),
            Refusal::NotFound(_) => (StatusCode::NOT_FOUND, "not_found", "Not found"),
            Refusal::Conflict(_) => (StatusCode::CONFLICT, "conflict", "Conflict"),
            Refusal::Version => {
                (StatusCode::PRECONDITION_FAILED, "version", "Changed in the meantime")
            }
            Refusal::Invalid(flaws) if flaws.iter().all(|flaw| flaw.pointer.starts_with('?')) => {
                (StatusCode::BAD_REQUEST, "query", "Wrong query")
            }
            Refusal::Invalid(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Faults in the document")
            }
            Refusal::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed", "Not readable"),
            Refusal::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", "Not JSON"),
            Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "Too large"),
            Refusal::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method", "Method not allowed")
            }
            Refusal::TooMany { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many", "Too many attempts")
            }
            Refusal::Unavailable(_) | Refusal::Store(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available now")
            }
            Refusal::Internal(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal fault")
            }
        }
    }

    fn flaws(&self) -> &[Flaw] {
        match self {
            Refusal::Invalid(flaws) => flaws,
            _ => &[],
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, name, title) = self.kind();
        if status.is_server_error() {
            tracing::error!(fault = chain(&self), "a request failed");
        }
        let problem = Problem {
            kind: format!("urn:tensou:problem:{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.to_string(),
            errors: self
                .flaws()
                .iter()
                .map(|flaw| ProblemError {
                    pointer: flaw.pointer.clone(),
                    message: flaw.message.clone(),
                })
                .collect(),
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        match &self {
            Refusal::Unauthenticated => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Refusal::TooMany { retry_after } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
            }
            Refusal::Unavailable(_) | Refusal::Store(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(1));
            }
            _ => {}
        }
        response
    }
}

/// The fault with its causes, for the log only: answers show none of it.
fn chain(refusal: &Refusal) -> String {
    let mut text = refusal.to_string();
    let mut cause = std::error::Error::source(refusal);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
