//! Signing in and out, and choosing a language.

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tensou_engine::Secret;

use super::page::{Page, local};
use super::texts::Language;
use super::visit::{Answer, Guest, LANGUAGE_COOKIE, Visit, render};
use crate::app::App;
use crate::app::auth::{LoginError, Session, Source};

/// A year: the choice of a language is not asked again.
const LANGUAGE_SECONDS: u32 = 365 * 24 * 3600;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    page: Page,
    name: String,
    next: String,
    problem: &'static str,
    first_run: bool,
}

#[derive(Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(crate) struct SignIn {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(crate) struct Choice {
    to: String,
    #[serde(default)]
    next: String,
}

pub(crate) async fn sign_in_page(
    State(app): State<App>,
    guest: Guest,
    Query(to): Query<Next>,
) -> Response {
    if guest.page.viewer.is_some() {
        return Redirect::to(local(&to.next)).into_response();
    }
    let mut page = guest.page;
    // The whole frame is shown to people who are in only.
    page.viewer = None;
    let first_run = first_run(&app).await;
    render(&SignInPage { page, name: String::new(), next: to.next, problem: "", first_run })
}

pub(crate) async fn sign_in(
    State(app): State<App>,
    guest: Guest,
    Source(source): Source,
    Form(form): Form<SignIn>,
) -> Response {
    let t = guest.page.t;
    let attempt = app.login(form.name.trim(), Secret::new(form.password), source).await;
    let (status, problem) = match attempt {
        Ok(signed_in) => {
            let headers = [(header::SET_COOKIE, signed_in.cookie)];
            return (headers, Redirect::to(local(&form.next))).into_response();
        }
        Err(LoginError::Wrong) => (StatusCode::UNAUTHORIZED, t.sign_in_failed),
        Err(LoginError::TooMany { .. }) => (StatusCode::TOO_MANY_REQUESTS, t.sign_in_limited),
        Err(LoginError::Refused(refusal)) => {
            tracing::error!(error = ?refusal, "nobody can sign in");
            (StatusCode::SERVICE_UNAVAILABLE, t.server_error)
        }
    };
    let first_run = first_run(&app).await;
    let page = Page { viewer: None, here: "/login".to_owned(), ..guest.page };
    let mut answer =
        render(&SignInPage { page, name: form.name, next: form.next, problem, first_run });
    *answer.status_mut() = status;
    answer
}

pub(crate) async fn sign_out(State(app): State<App>, visit: Visit, session: Session) -> Answer {
    let cookie = app.logout(&session).await.map_err(|refusal| visit.refuse(&refusal))?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response())
}

/// Remembers a language and goes back to where it was chosen.
pub(crate) async fn language(Form(choice): Form<Choice>) -> Response {
    let Some(language) = Language::parse(&choice.to) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let cookie = format!(
        "{LANGUAGE_COOKIE}={}; Path=/; SameSite=Lax; Max-Age={LANGUAGE_SECONDS}",
        language.code()
    );
    let back = Redirect::to(local(&choice.next));
    match HeaderValue::try_from(cookie) {
        Ok(cookie) => ([(header::SET_COOKIE, cookie)], back).into_response(),
        Err(_) => back.into_response(),
    }
}

/// Whether the session still stands: asked by a page that lost its stream.
pub(crate) async fn session(session: Option<Session>) -> StatusCode {
    if session.is_some() { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
}

/// Nobody but the user that the first start made is there: somebody may be looking for its
/// password.
async fn first_run(app: &App) -> bool {
    app.store().count_users().await.is_ok_and(|users| users <= 1)
}
