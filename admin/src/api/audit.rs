//! The audit log, to be read.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use tensou_store::{AuditEntry, AuditFilter};
use utoipa::ToSchema;
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::router::OpenApiRouter;

use super::PREFIX;
use super::listing::{ListOf, Parameters};
use super::operation::Operation;
use crate::app::auth::{Action, Area, Principal};
use crate::app::{App, Clock, DayEdge, Flaw, Refusal};

/// One change that somebody made.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct AuditView {
    /// UUIDv7.
    id: String,
    /// When.
    at: String,
    /// Who: a user's name, `token:NAME`, or `system`.
    actor: String,
    /// `create`, `replace` or `delete`.
    action: String,
    /// Kind of the row, `did`.
    resource: String,
    /// Its id.
    resource_id: String,
    /// The row before, secrets left out.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// The row after, secrets left out.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

const FILTERS: [&str; 6] = ["actor", "action", "resource", "resource_id", "from", "to"];

pub(crate) fn routes(app: &App) -> OpenApiRouter<App> {
    let path = format!("{PREFIX}/audit");
    let list = Operation::new(HttpMethod::Get, &path, "list_audit")
        .about("audit", "Who changed what, newest first.")
        .needs(Action::Read, Area::Audit)
        .query("actor", "Who.")
        .query("action", "`create`, `replace` or `delete`.")
        .query("resource", "Kind of the row.")
        .query("resource_id", "Its id.")
        .query("from", "Not before: RFC 3339, or a day from its beginning.")
        .query("to", "Before: RFC 3339, or a day to its end.")
        .paged()
        .returns_list::<AuditView>("A page, newest first.");
    OpenApiRouter::new().routes(list.done_by(app, entries))
}

async fn entries(
    State(app): State<App>,
    who: Principal,
    parameters: Parameters,
) -> Result<Json<ListOf<AuditView>>, Refusal> {
    parameters.only(&FILTERS)?;
    let filter = filter(&parameters, app.clock())?;
    let found = app.audit(&who, &filter, &parameters.page()?).await?;
    let items = found.items.into_iter().map(|entry| AuditView::of(entry, app.clock())).collect();
    Ok(Json(ListOf { items, next: found.next }))
}

fn filter(parameters: &Parameters, clock: &Clock) -> Result<AuditFilter, Refusal> {
    let text = |name: &str| parameters.one(name).map(str::to_owned);
    let mut flaws = Vec::new();
    let mut time = |name: &str, edge: DayEdge| {
        let read = clock.read(parameters.one(name)?, edge);
        read.map_err(|message| flaws.push(Flaw::query(name, message))).ok()
    };
    let filter = AuditFilter {
        actor: text("actor"),
        action: text("action"),
        resource: text("resource"),
        resource_id: text("resource_id"),
        from: time("from", DayEdge::Start),
        to: time("to", DayEdge::End),
    };
    if flaws.is_empty() { Ok(filter) } else { Err(Refusal::Invalid(flaws)) }
}

impl AuditView {
    fn of(entry: AuditEntry, clock: &Clock) -> Self {
        AuditView {
            id: entry.id,
            at: clock.rfc3339(entry.at),
            actor: entry.actor,
            action: entry.action,
            resource: entry.resource,
            resource_id: entry.resource_id,
            before: entry.before,
            after: entry.after,
        }
    }
}
