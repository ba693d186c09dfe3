//! A request for a page: who looks, in which language, and how an answer becomes a page.

use std::convert::Infallible;

use askama::Template;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::Ui;
use super::page::{Page, Viewer};
use super::texts::Language;
use crate::app::auth::{Principal, Session};
use crate::app::{App, Refusal};

/// The cookie that holds the chosen language.
pub(super) const LANGUAGE_COOKIE: &str = "tensou_language";

/// What a page handler returns; the error is a page too.
pub(crate) type Answer = Result<Response, Response>;

/// Somebody signed in looks at a page. Without a session the answer leads to the sign-in page.
pub(crate) struct Visit {
    pub(crate) page: Page,
    pub(crate) who: Principal,
}

/// Anybody looks at a page.
pub(crate) struct Guest {
    pub(crate) page: Page,
}

impl FromRequestParts<Ui> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, ui: &Ui) -> Result<Self, Response> {
        let session = <Session as FromRequestParts<Ui>>::from_request_parts(parts, ui).await?;
        Ok(Visit { page: page(parts, &ui.app, Some(&session)), who: session.principal })
    }
}

impl OptionalFromRequestParts<Ui> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, ui: &Ui) -> Result<Option<Self>, Infallible> {
        let visit = <Visit as FromRequestParts<Ui>>::from_request_parts(parts, ui).await;
        Ok(visit.ok())
    }
}

impl FromRequestParts<Ui> for Guest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, ui: &Ui) -> Result<Self, Infallible> {
        let session =
            <Session as OptionalFromRequestParts<Ui>>::from_request_parts(parts, ui).await?;
        Ok(Guest { page: page(parts, &ui.app, session.as_ref()) })
    }
}

impl Visit {
    /// The page that tells why the app refused.
    pub(crate) fn refuse(&self, refusal: &Refusal) -> Response {
        refused(&self.page, refusal)
    }
}

fn page(parts: &Parts, app: &App, session: Option<&Session>) -> Page {
    let language = language(&parts.headers);
    Page {
        t: language.texts(),
        language,
        viewer: session.map(|session| Viewer {
            name: session.principal.name().to_owned(),
            role: session.principal.role(),
            csrf: session.csrf.reveal().to_owned(),
        }),
        here: parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        node: app.node().name.clone(),
    }
}

/// The chosen language, else the browser's.
fn language(headers: &HeaderMap) -> Language {
    let text = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let chosen = text(header::COOKIE)
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(LANGUAGE_COOKIE)?.strip_prefix('='));
    chosen.and_then(Language::parse).unwrap_or_else(|| {
        Language::accepted(text(header::ACCEPT_LANGUAGE).next().unwrap_or_default())
    })
}

/// A template as an answer. Pages hold what only this viewer may see: nothing keeps them.
pub(crate) fn render(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    page: &'a Page,
    title: &'static str,
    hint: &'static str,
}

/// The page that tells why the app refused.
fn refused(page: &Page, refusal: &Refusal) -> Response {
    let t = page.t;
    let status = refusal.status();
    let (title, hint) = match status {
        StatusCode::NOT_FOUND => (t.not_found, t.not_found_hint),
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => (t.forbidden, t.forbidden_hint),
        status if status.is_server_error() => (t.server_error, t.server_error_hint),
        _ => (t.bad_request, t.bad_request_hint),
    };
    if status.is_server_error() {
        tracing::error!(error = ?refusal, "a page could not be made");
    }
    let mut answer = render(&Message { page, title, hint });
    *answer.status_mut() = status;
    answer
}

/// The page for an address that leads nowhere.
pub(crate) async fn nowhere(guest: Guest) -> Response {
    refused(&guest.page, &Refusal::NotFound("page"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_chosen_language_goes_before_the_browsers() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("ja"));
        assert_eq!(language(&headers), Language::Japanese);
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b; tensou_language=en"));
        assert_eq!(language(&headers), Language::English);
        headers.insert(header::COOKIE, HeaderValue::from_static("tensou_language=xx"));
        assert_eq!(language(&headers), Language::Japanese);
    }
}
