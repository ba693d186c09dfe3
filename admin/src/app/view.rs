//! The board's values as REST and events show them.

use serde::Serialize;
use serde_json::Value;
use tensou_engine::plan::E164;
use tensou_engine::{Key, TrunkState, WallTime};
use utoipa::ToSchema;

use super::Clock;
use crate::board::{EndedCall, LegState, LiveCall, LiveLeg, NoticeBody, Registration, TrunkUse};

/// A live call.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Call)]
pub struct CallView {
    /// UUIDv7; its record will have the same.
    pub id: String,
    /// The other node that handles it; none for a call of the node that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// `routing`, `ringing` or `talking`.
    pub state: String,
    /// `in`, `out` or `forward`.
    pub direction: String,
    /// The DID called or presented, E.164.
    pub did: Option<String>,
    /// Whose DID.
    pub customer_id: Option<String>,
    /// Who calls, E.164; empty when no number was shown.
    pub caller: String,
    /// `number`, `withheld`, `payphone` or `unavailable`.
    pub caller_class: String,
    /// Trunk it came by.
    pub trunk_in: Option<String>,
    /// INVITE received.
    pub started_at: String,
    /// First ringing.
    pub ringing_at: Option<String>,
    /// The answer that connected it.
    pub answered_at: Option<String>,
    /// Destination that answered.
    pub answered_by: Option<String>,
    /// Callee legs in the order they were dialled.
    pub legs: Vec<CallLegView>,
}

/// A callee leg of a live call.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CallLeg)]
pub struct CallLegView {
    /// Its number in the call, from 1.
    pub number: u16,
    /// Destination id, or the dialled number.
    pub destination: String,
    /// Trunk it leaves by.
    pub trunk_out: Option<String>,
    /// `dialling`, `ringing`, `answered` or `ended`.
    pub state: String,
    /// Final status of a leg that ended without an answer.
    pub sip_status: Option<u16>,
    /// First 180 or 183.
    pub ringing_at: Option<String>,
}

/// The end of a call, in events.
#[derive(Clone, Debug, Serialize)]
struct EndedCallView {
    #[serde(flatten)]
    call: CallView,
    ended_at: String,
    duration_ms: u64,
    result: &'static str,
    sip_status: u16,
    q850_cause: u8,
    ended_by: &'static str,
}

impl CallView {
    /// How `call` is shown.
    pub fn of(call: &LiveCall, clock: &Clock) -> Self {
        CallView {
            id: call.id.to_string(),
            node: text(call.node.as_ref()),
            state: call.state.as_str().to_owned(),
            direction: call.direction.as_str().to_owned(),
            did: number(call.did),
            customer_id: text(call.customer.as_ref()),
            caller: number(call.caller.number).unwrap_or_default(),
            caller_class: call.caller.class.as_str().to_owned(),
            trunk_in: text(call.trunk_in.as_ref()),
            started_at: clock.rfc3339(call.started_at.as_unix_millis()),
            ringing_at: time(call.ringing_at, clock),
            answered_at: time(call.answered_at, clock),
            answered_by: text(call.answered_by.as_ref()),
            legs: call.legs.iter().map(|leg| CallLegView::of(leg, clock)).collect(),
        }
    }
}

impl CallLegView {
    fn of(leg: &LiveLeg, clock: &Clock) -> Self {
        CallLegView {
            number: leg.number.0,
            destination: leg.destination.to_string(),
            trunk_out: text(leg.trunk_out.as_ref()),
            state: leg.state.as_str().to_owned(),
            sip_status: match leg.state {
                LegState::Ended(status) => Some(status),
                LegState::Dialling | LegState::Ringing | LegState::Answered => None,
            },
            ringing_at: time(leg.ringing_at, clock),
        }
    }
}

/// The data of an event: for calls what `GET /api/v1/calls/{id}` shows, with its end once ended.
pub fn notice(body: &NoticeBody, clock: &Clock) -> Value {
    let shown = match body {
        NoticeBody::Call(call) => serde_json::to_value(CallView::of(call, clock)),
        NoticeBody::Ended(ended) => serde_json::to_value(ended_call(ended, clock)),
        NoticeBody::Trunk(trunk) => Ok(trunk_use(trunk)),
        NoticeBody::TrunkState { trunk, state } => Ok(trunk_state(trunk, state)),
        NoticeBody::Registration(registration) => Ok(binding(registration, clock)),
        NoticeBody::Elsewhere { calls } => Ok(serde_json::json!({ "calls": calls })),
        NoticeBody::AuthenticationFailed { user, source, tries, users, sources } => {
            Ok(serde_json::json!({
                "user": user, "source": source.to_string(),
                "tries": tries, "users": users, "sources": sources,
            }))
        }
    };
    // These types have only text keys and finite numbers: JSON can always write them.
    shown.unwrap_or_default()
}

fn ended_call(ended: &EndedCall, clock: &Clock) -> EndedCallView {
    EndedCallView {
        call: CallView::of(&ended.call, clock),
        ended_at: clock.rfc3339(ended.ended_at.as_unix_millis()),
        duration_ms: u64::try_from(ended.duration.as_millis()).unwrap_or(u64::MAX),
        result: ended.result.as_str(),
        sip_status: ended.sip_status,
        q850_cause: ended.q850_cause,
        ended_by: ended.ended_by.as_str(),
    }
}

fn trunk_state(trunk: &Key, state: &TrunkState) -> Value {
    let peers: Vec<Value> = (state.peers.iter())
        .map(|(peer, up)| serde_json::json!({ "peer": peer.to_string(), "up": up }))
        .collect();
    serde_json::json!({
        "trunk": trunk.as_str(),
        "up": state.up,
        "registered": state.registered,
        "reason": state.reason,
        "peers": peers,
    })
}

fn trunk_use(trunk: &TrunkUse) -> Value {
    serde_json::json!({
        "trunk": trunk.trunk.as_str(),
        "in_use": trunk.in_use,
        "limit": trunk.limit,
    })
}

fn binding(registration: &Registration, clock: &Clock) -> Value {
    serde_json::json!({
        "extension": registration.extension.as_str(),
        "contact": registration.contact,
        "source": registration.source.to_string(),
        "expires_at": clock.rfc3339(registration.expires_at.as_unix_millis()),
    })
}

fn number(number: Option<E164>) -> Option<String> {
    number.map(|number| number.to_string())
}

fn text(key: Option<&Key>) -> Option<String> {
    key.map(|key| key.as_str().to_owned())
}

fn time(at: Option<WallTime>, clock: &Clock) -> Option<String> {
    at.map(|at| clock.rfc3339(at.as_unix_millis()))
}
