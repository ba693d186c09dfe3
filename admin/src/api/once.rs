//! `Idempotency-Key`: a POST that is sent again is answered again and done once.

use std::collections::BTreeSet;
use std::sync::Mutex;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::app::auth::{Principal, fingerprint};
use crate::app::{App, Refusal};

const KEY: &str = "idempotency-key";
/// Longer keys are refused: a UUID has 36 characters.
const MAX_KEY: usize = 255;
/// As the limit of every body.
const MAX_BODY: usize = super::MAX_BODY;
/// Headers of an answer that are part of it.
const KEPT_HEADERS: [HeaderName; 3] = [CONTENT_TYPE, LOCATION, ETAG];

/// What is kept of an answer whose body holds a secret: the body without it. In the extensions
/// of the response.
#[derive(Clone, Debug)]
pub(crate) struct KeptBody(pub(crate) Value);

/// Keys whose request is being done now.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    // lock: requests with an Idempotency-Key only; held to insert or remove one key
    keys: Mutex<BTreeSet<String>>,
}

impl InFlight {
    fn begin(&self, key: String) -> Option<Begun<'_>> {
        let mut keys = self.keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        keys.insert(key.clone()).then_some(Begun { in_flight: self, key })
    }
}

/// Ends when dropped, also when the client went away.
struct Begun<'a> {
    in_flight: &'a InFlight,
    key: String,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let keys = self.in_flight.keys.lock();
        keys.unwrap_or_else(std::sync::PoisonError::into_inner).remove(&self.key);
    }
}

/// The middleware of every POST that needs a permission.
pub(crate) async fn once(
    State(app): State<App>,
    who: Principal,
    request: Request,
    next: Next,
) -> Response {
    let Some(key) = request.headers().get(KEY).cloned() else { return next.run(request).await };
    match once_by_key(&app, &who, &key, request, next).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn once_by_key(
    app: &App,
    who: &Principal,
    key: &HeaderValue,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let key =
        key.to_str().ok().filter(|key| (1..=MAX_KEY).contains(&key.len())).ok_or_else(|| {
            Refusal::Malformed(format!("Idempotency-Key: 1 to {MAX_KEY} visible ASCII characters"))
        })?;
    let _begun = app.in_flight().begin(format!("{} {key}", who.name())).ok_or_else(|| {
        Refusal::Conflict("a request with this Idempotency-Key is being done now".to_owned())
    })?;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| Refusal::TooLarge)?;
    let text = String::from_utf8_lossy(&body);
    let asked = fingerprint(&format!("{} {}\n{text}", parts.method, parts.uri));
    if let Some(known) = app.store().response_for(key, who.name()).await? {
        return replay(&asked, known.status, &known.body);
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    // A refusal changed nothing and may be asked again with the same key.
    if !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body =
        to_bytes(body, MAX_BODY).await.map_err(|error| Refusal::Internal(Box::new(error)))?;
    let kept = kept_body(parts.extensions.get::<KeptBody>(), &body);
    let answer = json!({
        "request": asked,
        "headers": kept_headers(&parts.headers),
        "body": kept,
    });
    let status = parts.status.as_u16();
    app.store().remember_response(key, who.name(), status, &answer.to_string()).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn kept_body(instead: Option<&KeptBody>, body: &Bytes) -> String {
    match instead {
        Some(KeptBody(value)) => value.to_string(),
        None => String::from_utf8_lossy(body).into_owned(),
    }
}

fn kept_headers(headers: &HeaderMap) -> Value {
    let kept = KEPT_HEADERS.iter().filter_map(|name| {
        let value = headers.get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), Value::from(value)))
    });
    Value::Object(kept.collect())
}

fn replay(asked: &str, status: u16, answer: &str) -> Result<Response, Refusal> {
    let answer: Value =
        serde_json::from_str(answer).map_err(|error| Refusal::Internal(Box::new(error)))?;
    if answer.get("request").and_then(Value::as_str) != Some(asked) {
        let detail = "this Idempotency-Key was sent with another request";
        return Err(Refusal::Conflict(detail.to_owned()));
    }
    let body = answer.get("body").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    for (name, value) in answer.get("headers").and_then(Value::as_object).into_iter().flatten() {
        if let (Ok(name), Some(Ok(value))) =
            (name.parse::<HeaderName>(), value.as_str().map(HeaderValue::from_str))
        {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(response)
}
