//! The one middleware that finds out who asks, and that a browser's change is meant.

use axum::Form;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

use super::super::App;
use super::super::refusal::Refusal;
use super::login::COOKIE_NAME;
use super::{Identified, Principal, Session, fingerprint, secret};

/// The header in which scripts send the session's CSRF token.
const CSRF_HEADER: &str = "x-csrf-token";
/// The field in which forms send it.
const CSRF_FIELD: &str = "csrf_token";
/// Forms of the UI are small; this is read into memory before we know that the sender is ours.
const MAX_FORM: usize = 64 * 1024;

/// Identifies the sender by `Authorization: Bearer` or by session cookie. A cookie comes along
/// with requests that other sites make a browser send, so changes with a cookie also need the
/// session's CSRF token, and no change may come from another site at all. A bearer token proves
/// itself.
pub(crate) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let identified = match identify(&app, request.headers()).await {
        Ok(identified) => identified,
        Err(refusal) => return refusal.into_response(),
    };
    let by_bearer = request.headers().contains_key(AUTHORIZATION);
    if !request.method().is_safe() && !by_bearer {
        if from_another_site(request.headers()) {
            return Refusal::Csrf.into_response();
        }
        if let Some(session) = &identified.session {
            request = match prove_intent(session, request).await {
                Ok(request) => request,
                Err(refusal) => return refusal.into_response(),
            };
        }
    }
    request.extensions_mut().insert(identified);
    next.run(request).await
}

async fn identify(app: &App, headers: &HeaderMap) -> Result<Identified, Refusal> {
    // A request that brings a token stands or falls with it, whatever cookie comes along.
    if let Some(value) = headers.get(AUTHORIZATION) {
        let Some(token) = bearer(value) else { return Ok(Identified::default()) };
        let principal = token_principal(app, token).await?;
        return Ok(Identified { principal, session: None });
    }
    let Some(cookie) = session_cookie(headers) else { return Ok(Identified::default()) };
    let Some(session) = session_of(app, cookie).await? else { return Ok(Identified::default()) };
    let principal = Some(session.principal.clone());
    Ok(Identified { principal, session: Some(Arc::new(session)) })
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn token_principal(app: &App, token: &str) -> Result<Option<Principal>, Refusal> {
    // Looking up the fingerprint takes a time that tells nothing about the token: nobody can
    // choose a token whose fingerprint begins as another's.
    let Some(token) = app.store().token_by_hash(&fingerprint(token)).await? else {
        return Ok(None);
    };
    let now = app.clock().now_millis();
    if token.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Ok(None);
    }
    Ok(Principal::of_token(&token))
}

fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

async fn session_of(app: &App, cookie: &str) -> Result<Option<Session>, Refusal> {
    let hash = fingerprint(cookie);
    let Some(stored) = app.store().session(&hash).await? else { return Ok(None) };
    if stored.expires_at <= app.clock().now_millis() {
        return Ok(None);
    }
    // Read anew with every request: who lost a role or was deleted has lost it now.
    let Some(user) = app.store().user(&stored.user).await? else { return Ok(None) };
    let principal = Principal::of_user(&user);
    Ok(principal.map(|principal| Session { principal, csrf: stored.csrf, hash }))
}

/// Browsers tell where a request comes from in `Sec-Fetch-Site` and `Origin`; programs send
/// neither.
fn from_another_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(ORIGIN.as_str()) else { return false };
    let host_of_origin = origin.split_once("://").map(|(_, host)| host);
    host_of_origin.is_none() || host_of_origin != text(HOST.as_str())
}

async fn prove_intent(session: &Session, request: Request) -> Result<Request, Refusal> {
    let expected = session.csrf.reveal();
    if let Some(sent) = request.headers().get(CSRF_HEADER) {
        let sent = sent.to_str().unwrap_or_default();
        return if secret::same(sent, expected) { Ok(request) } else { Err(Refusal::Csrf) };
    }
    let form = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if !form {
        return Err(Refusal::Csrf);
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_FORM).await.map_err(|_| Refusal::Csrf)?;
    let copy = Request::from_parts(parts.clone(), Body::from(body.clone()));
    let Form(fields) =
        Form::<Vec<(String, String)>>::from_request(copy, &()).await.map_err(|_| Refusal::Csrf)?;
    let proved =
        fields.iter().any(|(name, value)| name == CSRF_FIELD && secret::same(value, expected));
    if proved { Ok(Request::from_parts(parts, Body::from(body))) } else { Err(Refusal::Csrf) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().expect("name"), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_change_from_another_site_is_recognised() {
        for (pairs, foreign) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("origin", "http://pbx:8080"), ("host", "pbx:8080")], false),
            (&[("origin", "http://evil"), ("host", "pbx:8080")], true),
            (&[("origin", "null"), ("host", "pbx:8080")], true),
        ] {
            assert_eq!(from_another_site(&headers(pairs)), foreign, "{pairs:?}");
        }
    }

    #[test]
    fn the_session_cookie_is_found_among_others() {
        let found = headers(&[("cookie", "lang=ja; tensou_session=abc; theme=dark")]);
        assert_eq!(session_cookie(&found), Some("abc"));
        assert_eq!(session_cookie(&headers(&[("cookie", "tensou_sessions=abc")])), None);
        assert_eq!(bearer(&HeaderValue::from_static("bearer  x ")), Some("x"));
        assert_eq!(bearer(&HeaderValue::from_static("Basic x")), None);
    }
}
