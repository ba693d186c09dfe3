//! What an operator configures: the same six operations for every kind.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tensou_store::Versioned;
use tensou_store::model::{Customer, Destination, Did, Extension, Group, Schedule, Trunk};
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::router::OpenApiRouter;

use super::PREFIX;
use super::body::{AnyJson, Document, read};
use super::condition::{etag, if_match, not_modified};
use super::listing::{ListOf, Parameters};
use super::operation::Operation;
use crate::app::auth::{Action, Principal};
use crate::app::{App, Provisioned, Refusal};

/// Every kind.
pub(crate) fn routes(app: &App) -> OpenApiRouter<App> {
    let router = OpenApiRouter::new();
    let router = kind::<Trunk>(app, router);
    let router = kind::<Customer>(app, router);
    let router = kind::<Did>(app, router);
    let router = kind::<Destination>(app, router);
    let router = kind::<Group>(app, router);
    let router = kind::<Extension>(app, router);
    kind::<Schedule>(app, router)
}

fn kind<R: Provisioned>(app: &App, router: OpenApiRouter<App>) -> OpenApiRouter<App> {
    let all = format!("{PREFIX}/{}", R::PLURAL);
    let one = format!("{all}/{{id}}");
    let operation = |method, path: &str, id: &str, summary: &str, action| {
        Operation::new(method, path, id).about(R::PLURAL, summary).needs(action, R::AREA)
    };
    let (kind, plural) = (R::KIND, R::PLURAL);
    let matching = "Only when the row still has this ETag; 412 otherwise.";

    let mut list =
        operation(HttpMethod::Get, &all, &format!("list_{plural}"), R::ABOUT, Action::Read);
    for field in R::FILTERS {
        list = list.query(field, "Only rows in which this field has this value.");
    }
    let list = list.paged().returns_list::<R>("A page, in the order of ids.");

    let create =
        operation(HttpMethod::Post, &all, &format!("create_{kind}"), "Adds one.", Action::Write)
            .takes::<R>()
            .returns::<R>("201", "The row as it was stored.")
            .fails("409", "It exists already.");

    let get = operation(HttpMethod::Get, &one, &format!("get_{kind}"), "One.", Action::Read)
        .header("If-None-Match", "304 when the row still has this ETag.")
        .returns::<R>("200", "The row, secrets left out; its version is the ETag.")
        .returns_nothing("304", "Not changed.")
        .fails("404", "There is none that you see.");

    let put = operation(
        HttpMethod::Put,
        &one,
        &format!("replace_{kind}"),
        "Replaces one.",
        Action::Write,
    )
    .header("If-Match", matching)
    .takes::<R>();
    let patch = operation(
        HttpMethod::Patch,
        &one,
        &format!("change_{kind}"),
        "Changes some members by JSON merge patch (RFC 7396).",
        Action::Write,
    )
    .header("If-Match", matching)
    .takes_patch::<R>();
    let [put, patch] = [put, patch].map(|operation| {
        operation
            .returns::<R>("200", "The row as it was stored.")
            .fails("404", "There is none that you see.")
            .fails("412", "It has changed in the meantime.")
    });

    let delete = operation(
        HttpMethod::Delete,
        &one,
        &format!("delete_{kind}"),
        "Removes one.",
        Action::Write,
    )
    .header("If-Match", matching)
    .returns_nothing("204", "It is gone.")
    .fails("404", "There is none that you see.")
    .fails("409", "Other rows refer to it.")
    .fails("412", "It has changed in the meantime.");

    router
        .routes(list.done_by(app, list_rows::<R>))
        .routes(create.done_by(app, create_row::<R>))
        .routes(get.done_by(app, get_row::<R>))
        .routes(put.done_by(app, replace_row::<R>))
        .routes(patch.done_by(app, change_row::<R>))
        .routes(delete.done_by(app, delete_row::<R>))
}

async fn list_rows<R: Provisioned>(
    State(app): State<App>,
    who: Principal,
    parameters: Parameters,
) -> Result<Json<ListOf<R>>, Refusal> {
    parameters.only(R::FILTERS)?;
    let found = app.list::<R>(&who, parameters.filters(), &parameters.page()?).await?;
    let items = found.items.into_iter().map(|versioned| versioned.row).collect();
    Ok(Json(ListOf { items, next: found.next }))
}

async fn create_row<R: Provisioned>(
    State(app): State<App>,
    who: Principal,
    Document(row): Document<R>,
) -> Result<Response, Refusal> {
    let created = app.create(&who, &row).await?;
    let location = format!("{PREFIX}/{}/{}", R::PLURAL, created.row.id());
    let mut response = (StatusCode::CREATED, shown(created)).into_response();
    // Ids are letters, digits and `+ - _`: always a header value.
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

async fn get_row<R: Provisioned>(
    State(app): State<App>,
    who: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let found = app.one::<R>(&who, &id).await?;
    if not_modified(&headers, found.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag(found.version))]).into_response());
    }
    Ok(shown(found))
}

async fn replace_row<R: Provisioned>(
    State(app): State<App>,
    who: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    Document(row): Document<R>,
) -> Result<Response, Refusal> {
    let if_version = if_match(&headers)?;
    Ok(shown(app.replace(&who, &id, &row, if_version).await?))
}

async fn change_row<R: Provisioned>(
    State(app): State<App>,
    who: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    AnyJson(patch): AnyJson,
) -> Result<Response, Refusal> {
    let if_version = if_match(&headers)?;
    let (document, version) = app.patched::<R>(&who, &id, &patch).await?;
    let row = read::<R>(document)?;
    // Without If-Match the change is still made to the row that was read, not to a newer one.
    let replaced = app.replace(&who, &id, &row, Some(if_version.unwrap_or(version))).await?;
    Ok(shown(replaced))
}

async fn delete_row<R: Provisioned>(
    State(app): State<App>,
    who: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    app.delete::<R>(&who, &id, if_match(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn shown<R: Provisioned>(versioned: Versioned<R>) -> Response {
    ([(ETAG, etag(versioned.version))], Json(versioned.row.redacted())).into_response()
}
