//! Live calls and trunks as they are now.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use tensou_engine::CallId;
use tensou_engine::plan::parse_e164;
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::router::OpenApiRouter;

use super::PREFIX;
use super::body::Document;
use super::listing::{ListOf, Parameters};
use super::operation::Operation;
use crate::app::auth::{Action, Area, Principal};
use crate::app::view::CallView;
use crate::app::{App, CallQuery, Flaw, Refusal, TransferOrder, TrunkStatus};
use crate::board::CallState;

const FILTERS: [&str; 5] = ["customer", "did", "caller", "trunk", "state"];

pub(crate) fn routes(app: &App) -> OpenApiRouter<App> {
    let all = format!("{PREFIX}/calls");
    let one = format!("{all}/{{id}}");
    let list = Operation::new(HttpMethod::Get, &all, "list_calls")
        .about("calls", "Calls that exist now, oldest first.")
        .needs(Action::Read, Area::Calls)
        .query("customer", "Customer id.")
        .query("did", "DID called or presented, in any form people write numbers.")
        .query("caller", "Caller, in any form people write numbers.")
        .query("trunk", "A trunk it came by or leaves by.")
        .query("state", "`routing`, `ringing` or `talking`.")
        .paged()
        .returns_list::<CallView>("A page.");
    let get = Operation::new(HttpMethod::Get, &one, "get_call")
        .about("calls", "One live call.")
        .needs(Action::Read, Area::Calls)
        .returns::<CallView>("200", "The call.")
        .fails("404", "There is none that you see; its record may be among the cdrs.");
    let hang_up = Operation::new(HttpMethod::Post, &format!("{one}/hangup"), "hang_up_call")
        .about("calls", "Ends a call on every leg.")
        .needs(Action::Write, Area::Calls)
        .returns_nothing("202", "The engine was told; `call.ended` follows.")
        .fails("404", "There is none that you see.")
        .fails("503", "The engine takes no commands now.");
    let transfer = Operation::new(HttpMethod::Post, &format!("{one}/transfer"), "transfer_call")
        .about(
            "calls",
            "Has somebody rung who takes the place of the callee when he answers; until then, and \
             when nobody does, the call goes on as it is.",
        )
        .needs(Action::Write, Area::Calls)
        .takes::<TransferOrder>()
        .returns_nothing("202", "The engine was told.")
        .fails("404", "There is none that you see.")
        .fails("409", "Nobody talks yet.")
        .fails("503", "The engine takes no commands now.");
    let status = Operation::new(
        HttpMethod::Get,
        &format!("{PREFIX}/trunks/{{id}}/status"),
        "get_trunk_status",
    )
    .about("trunks", "Channels in use.")
    .needs(Action::Read, Area::Trunks)
    .returns::<TrunkStatus>("200", "State now.")
    .fails("404", "There is none.");
    OpenApiRouter::new()
        .routes(list.done_by(app, live_calls))
        .routes(get.done_by(app, live_call))
        .routes(hang_up.done_by(app, hang_up_call))
        .routes(transfer.done_by(app, transfer_call))
        .routes(status.done_by(app, trunk_status))
}

async fn live_calls(
    State(app): State<App>,
    who: Principal,
    parameters: Parameters,
) -> Result<Json<ListOf<CallView>>, Refusal> {
    parameters.only(&FILTERS)?;
    let query = query(&parameters)?;
    let page = parameters.page()?;
    let after = match page.after.as_deref() {
        None => None,
        Some(text) => Some(CallId::parse(text).ok_or_else(|| {
            Refusal::Invalid(vec![Flaw::query("after", "this is no cursor that the list gave out")])
        })?),
    };
    let size = page.limit as usize;
    // One more than asked for: it only tells that more follow.
    let mut calls = app.live_calls(&who, &query, after, size + 1).await?;
    let more = calls.len() > size;
    calls.truncate(size);
    let next = if more { calls.last().map(|call| call.id.to_string()) } else { None };
    let items = calls.iter().map(|call| CallView::of(call, app.clock())).collect();
    Ok(Json(ListOf { items, next }))
}

fn query(parameters: &Parameters) -> Result<CallQuery, Refusal> {
    let mut flaws = Vec::new();
    let text = |name: &str| parameters.one(name).map(str::to_owned);
    let mut number = |name: &str| {
        let read = parse_e164(parameters.one(name)?);
        read.map_err(|error| flaws.push(Flaw::query(name, error.to_string()))).ok()
    };
    let (did, caller) = (number("did"), number("caller"));
    let state = parameters.one("state").and_then(|word| {
        let state = CallState::parse(word);
        if state.is_none() {
            flaws.push(Flaw::query("state", "use routing, ringing or talking"));
        }
        state
    });
    let query = CallQuery { customer: text("customer"), did, caller, trunk: text("trunk"), state };
    if flaws.is_empty() { Ok(query) } else { Err(Refusal::Invalid(flaws)) }
}

async fn live_call(
    State(app): State<App>,
    who: Principal,
    Path(id): Path<String>,
) -> Result<Json<CallView>, Refusal> {
    let call = app.live_call(&who, call_id(&id)?).await?;
    Ok(Json(CallView::of(&call, app.clock())))
}

async fn hang_up_call(
    State(app): State<App>,
    who: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    app.hang_up(&who, call_id(&id)?).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn transfer_call(
    State(app): State<App>,
    who: Principal,
    Path(id): Path<String>,
    Document(order): Document<TransferOrder>,
) -> Result<StatusCode, Refusal> {
    app.transfer(&who, call_id(&id)?, &order).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn trunk_status(
    State(app): State<App>,
    who: Principal,
    Path(id): Path<String>,
) -> Result<Json<TrunkStatus>, Refusal> {
    Ok(Json(app.trunk_status(&who, &id).await?))
}

/// What is no call id names no call.
fn call_id(text: &str) -> Result<CallId, Refusal> {
    CallId::parse(text).ok_or(Refusal::NotFound("call"))
}
