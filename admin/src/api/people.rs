//! Users and tokens. Their secrets are in the answer that makes them, and nowhere after.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tensou_store::{Role, Token, User};
use utoipa::ToSchema;
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::router::OpenApiRouter;

use super::PREFIX;
use super::body::Document;
use super::listing::{ListOf, Parameters};
use super::once::KeptBody;
use super::operation::Operation;
use crate::app::auth::{Action, Area, Principal};
use crate::app::people::Account;
use crate::app::{App, Clock, DayEdge, Refusal};

/// A user to be added.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// Name to sign in with.
    name: String,
    /// `admin`, `operator`, `agent`, `billing`, `readonly`, `reseller` or `customer`.
    role: Role,
    /// Customer id; role `customer` must have one.
    #[serde(default)]
    customer: Option<String>,
    /// Reseller id; role `reseller` must have one.
    #[serde(default)]
    reseller: Option<String>,
}

/// What can change of a user.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserDocument {
    /// The name; as in the address, when given.
    #[serde(default)]
    name: Option<String>,
    /// Role.
    role: Role,
    /// Customer id.
    #[serde(default)]
    customer: Option<String>,
    /// Reseller id.
    #[serde(default)]
    reseller: Option<String>,
}

/// A person who can sign in.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = User)]
struct UserView {
    /// Name to sign in with.
    name: String,
    /// Role.
    role: Role,
    /// Customer id.
    customer: Option<String>,
    /// Reseller id.
    reseller: Option<String>,
    /// When they were added.
    created_at: String,
    /// Last change.
    updated_at: String,
}

/// A password that is shown once.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct NewPassword {
    /// Name to sign in with.
    name: String,
    /// The password; null in the repeated answer to a repeated request.
    password: Option<String>,
}

/// A token to be added.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// For people and the audit log.
    name: String,
    /// Role.
    role: Role,
    /// Customer id; role `customer` must have one.
    #[serde(default)]
    customer: Option<String>,
    /// Reseller id; role `reseller` must have one.
    #[serde(default)]
    reseller: Option<String>,
    /// Valid until then, RFC 3339; absent: until it is deleted.
    #[serde(default)]
    expires_at: Option<String>,
}

/// An API token.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenView {
    /// UUIDv7.
    id: String,
    /// For people and the audit log.
    name: String,
    /// Role.
    role: Role,
    /// Customer id.
    customer: Option<String>,
    /// Reseller id.
    reseller: Option<String>,
    /// Valid until then.
    expires_at: Option<String>,
    /// When it was added.
    created_at: String,
    /// The token itself: only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

pub(crate) fn routes(app: &App) -> OpenApiRouter<App> {
    let users = format!("{PREFIX}/users");
    let user = format!("{users}/{{name}}");
    let password = format!("{user}/password");
    let tokens = format!("{PREFIX}/tokens");
    let token = format!("{tokens}/{{id}}");
    let on_users = |method, path: &str, id: &str, summary: &str, action| {
        Operation::new(method, path, id).about("users", summary).needs(action, Area::Users)
    };
    let on_tokens = |method, path: &str, id: &str, summary: &str, action| {
        Operation::new(method, path, id).about("tokens", summary).needs(action, Area::Tokens)
    };
    let list_users = on_users(HttpMethod::Get, &users, "list_users", "People.", Action::Read)
        .paged()
        .returns_list::<UserView>("A page, by name.");
    let add = on_users(HttpMethod::Post, &users, "create_user", "Adds one.", Action::Write)
        .takes::<NewUser>()
        .returns::<NewPassword>("201", "The password, shown once.")
        .fails("409", "The name is taken.");
    let get = on_users(HttpMethod::Get, &user, "get_user", "One.", Action::Read)
        .returns::<UserView>("200", "The user.")
        .fails("404", "There is none.");
    let put = on_users(HttpMethod::Put, &user, "replace_user", "Changes role.", Action::Write)
        .takes::<UserDocument>()
        .returns::<UserView>("200", "The user.")
        .fails("404", "There is none.")
        .fails("409", "Nobody could administer any more.");
    let delete = on_users(HttpMethod::Delete, &user, "delete_user", "Removes one.", Action::Write)
        .returns_nothing("204", "Gone, with all sessions.")
        .fails("404", "There is none.")
        .fails("409", "Nobody could administer any more.");
    let reset = "Gives a new password and ends all sessions.";
    let reset = on_users(HttpMethod::Post, &password, "reset_password", reset, Action::Write)
        .returns::<NewPassword>("200", "The password, shown once.")
        .fails("404", "There is none.");
    let list_tokens = on_tokens(HttpMethod::Get, &tokens, "list_tokens", "Tokens.", Action::Read)
        .paged()
        .returns_list::<TokenView>("A page, without the tokens themselves.");
    let add_token =
        on_tokens(HttpMethod::Post, &tokens, "create_token", "Adds one.", Action::Write)
            .takes::<NewToken>()
            .returns::<TokenView>("201", "The token, shown once.");
    let delete_token =
        on_tokens(HttpMethod::Delete, &token, "delete_token", "Removes one.", Action::Write)
            .returns_nothing("204", "Gone: it is refused from now on.")
            .fails("404", "There is none.");
    OpenApiRouter::new()
        .routes(list_users.done_by(app, all_users))
        .routes(add.done_by(app, add_user))
        .routes(get.done_by(app, one_user))
        .routes(put.done_by(app, change_user))
        .routes(delete.done_by(app, remove_user))
        .routes(reset.done_by(app, new_password))
        .routes(list_tokens.done_by(app, all_tokens))
        .routes(add_token.done_by(app, add_a_token))
        .routes(delete_token.done_by(app, remove_token))
}

async fn all_users(
    State(app): State<App>,
    who: Principal,
    parameters: Parameters,
) -> Result<Json<ListOf<UserView>>, Refusal> {
    parameters.only(&[])?;
    let users = app.users(&who, &parameters.page()?).await?;
    let items = users.items.into_iter().map(|user| UserView::of(user, app.clock())).collect();
    Ok(Json(ListOf { items, next: users.next }))
}

async fn one_user(
    State(app): State<App>,
    who: Principal,
    Path(name): Path<String>,
) -> Result<Json<UserView>, Refusal> {
    Ok(Json(UserView::of(app.user(&who, &name).await?, app.clock())))
}

async fn add_user(
    State(app): State<App>,
    who: Principal,
    Document(new): Document<NewUser>,
) -> Result<Response, Refusal> {
    let name = new.name.clone();
    let account =
        Account { name: new.name, role: new.role, customer: new.customer, reseller: new.reseller };
    let password = app.add_user(&who, account).await?;
    Ok(shown_once(StatusCode::CREATED, name, password.reveal()))
}

async fn change_user(
    State(app): State<App>,
    who: Principal,
    Path(name): Path<String>,
    Document(change): Document<UserDocument>,
) -> Result<Json<UserView>, Refusal> {
    if change.name.as_ref().is_some_and(|given| *given != name) {
        return Err(Refusal::flaw("/name", format!("a name cannot change; here it is {name}")));
    }
    let account =
        Account { name, role: change.role, customer: change.customer, reseller: change.reseller };
    Ok(Json(UserView::of(app.change_user(&who, account).await?, app.clock())))
}

async fn remove_user(
    State(app): State<App>,
    who: Principal,
    Path(name): Path<String>,
) -> Result<StatusCode, Refusal> {
    app.delete_user(&who, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn new_password(
    State(app): State<App>,
    who: Principal,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let password = app.reset_password(&who, &name).await?;
    Ok(shown_once(StatusCode::OK, name, password.reveal()))
}

async fn all_tokens(
    State(app): State<App>,
    who: Principal,
    parameters: Parameters,
) -> Result<Json<ListOf<TokenView>>, Refusal> {
    parameters.only(&[])?;
    let tokens = app.tokens(&who, &parameters.page()?).await?;
    let items = tokens.items.into_iter().map(|token| TokenView::of(token, app.clock())).collect();
    Ok(Json(ListOf { items, next: tokens.next }))
}

async fn add_a_token(
    State(app): State<App>,
    who: Principal,
    Document(new): Document<NewToken>,
) -> Result<Response, Refusal> {
    let expires_at = match &new.expires_at {
        None => None,
        Some(text) => Some(
            app.clock()
                .read(text, DayEdge::End)
                .map_err(|message| Refusal::flaw("/expires_at", message))?,
        ),
    };
    let account =
        Account { name: new.name, role: new.role, customer: new.customer, reseller: new.reseller };
    let (token, text) = app.add_token(&who, account, expires_at).await?;
    let mut view = TokenView::of(token, app.clock());
    let kept = kept(&view);
    view.token = Some(text.reveal().to_owned());
    let mut response = (StatusCode::CREATED, Json(view)).into_response();
    response.extensions_mut().insert(kept);
    Ok(response)
}

async fn remove_token(
    State(app): State<App>,
    who: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    app.delete_token(&who, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn shown_once(status: StatusCode, name: String, password: &str) -> Response {
    let kept = kept(&NewPassword { name: name.clone(), password: None });
    let shown = NewPassword { name, password: Some(password.to_owned()) };
    let mut response = (status, Json(shown)).into_response();
    response.extensions_mut().insert(kept);
    response
}

/// What an answer with a secret leaves behind for repeated requests.
fn kept(without_secret: &impl Serialize) -> KeptBody {
    KeptBody(serde_json::to_value(without_secret).unwrap_or(Value::Null))
}

impl UserView {
    fn of(user: User, clock: &Clock) -> Self {
        UserView {
            name: user.name,
            role: user.role,
            customer: user.customer,
            reseller: user.reseller,
            created_at: clock.rfc3339(user.created_at),
            updated_at: clock.rfc3339(user.updated_at),
        }
    }
}

impl TokenView {
    fn of(token: Token, clock: &Clock) -> Self {
        TokenView {
            id: token.id,
            name: token.name,
            role: token.role,
            customer: token.customer,
            reseller: token.reseller,
            expires_at: token.expires_at.map(|at| clock.rfc3339(at)),
            created_at: clock.rfc3339(token.created_at),
            token: None,
        }
    }
}
