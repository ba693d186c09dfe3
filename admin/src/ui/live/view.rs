//! The rows of the live board as its templates want them.

use askama::Template;
use tensou_engine::{CallResult, Caller, CallerClass, Direction};
use tensou_store::model::Trunk;

use crate::app::Clock;
use crate::board::{CallState, EndedCall, LegState, LiveCall, LiveLeg, Registration, TrunkUse};
use crate::ui::format;
use crate::ui::names::{Kind, NameTable};
use crate::ui::texts::Texts;

/// Callee legs named in a row; the others are counted.
const LEGS_SHOWN: usize = 8;
/// Channels drawn one by one; a larger trunk gets one bar.
const CELLS_SHOWN: u32 = 96;

/// What rows are made with.
pub(crate) struct Context<'a> {
    pub(crate) t: &'static Texts,
    pub(crate) clock: &'a Clock,
    pub(crate) names: &'a NameTable,
    pub(crate) may_hang_up: bool,
}

/// A live call.
#[derive(Template)]
#[template(path = "live/call.html")]
pub(crate) struct CallRow {
    id: String,
    state: &'static str,
    state_text: &'static str,
    since: i64,
    started: String,
    caller: String,
    withheld: bool,
    trunk: String,
    called: String,
    customer: String,
    legs: Vec<LegChip>,
    more_legs: usize,
    may_hang_up: bool,
    hang_up: &'static str,
    hang_up_label: String,
}

struct LegChip {
    name: String,
    state: &'static str,
    icon: &'static str,
    text: String,
}

/// A call that ended lately.
#[derive(Template)]
#[template(path = "live/ended.html")]
pub(crate) struct EndedRow {
    id: String,
    ended_at: String,
    caller: String,
    withheld: bool,
    called: String,
    customer: String,
    tone: &'static str,
    result: String,
    duration: String,
    answered_by: String,
}

/// A trunk and its channels.
#[derive(Template)]
#[template(path = "live/trunk.html")]
pub(crate) struct TrunkRow {
    id: String,
    name: String,
    tone: &'static str,
    in_use: u32,
    limit: u32,
    unlimited: &'static str,
    cells: Vec<bool>,
    per_mille: u64,
    label: String,
}

/// A registered phone.
#[derive(Template)]
#[template(path = "live/phone.html")]
pub(crate) struct PhoneRow {
    key: String,
    name: String,
    user: String,
    source: String,
}

// A row is HTML already: its own template has escaped every text in it.
impl askama::filters::HtmlSafe for CallRow {}
impl askama::filters::HtmlSafe for EndedRow {}
impl askama::filters::HtmlSafe for TrunkRow {}
impl askama::filters::HtmlSafe for PhoneRow {}

impl CallRow {
    pub(crate) fn new(call: &LiveCall, with: &Context<'_>) -> Self {
        let (state, state_text) = match call.state {
            CallState::Routing => ("routing", with.t.state_started),
            CallState::Ringing => ("ringing", with.t.state_ringing),
            CallState::Talking => ("talking", with.t.state_talking),
        };
        let (caller, withheld) = caller(&call.caller, with.t);
        let called = called(call);
        CallRow {
            id: call.id.to_string(),
            state,
            state_text,
            since: call.answered_at.unwrap_or(call.started_at).as_unix_millis(),
            started: format::time(with.clock, call.started_at.as_unix_millis()),
            hang_up_label: format!("{}: {caller} → {called}", with.t.hang_up),
            caller,
            withheld,
            trunk: match call.direction {
                Direction::Out => with.t.direction_out.to_owned(),
                Direction::In | Direction::Forward => {
                    name_of(Kind::Trunk, call.trunk_in.as_ref(), with.names)
                }
            },
            called,
            customer: name_of(Kind::Customer, call.customer.as_ref(), with.names),
            legs: call.legs.iter().take(LEGS_SHOWN).map(|leg| LegChip::new(leg, with)).collect(),
            more_legs: call.legs.len().saturating_sub(LEGS_SHOWN),
            may_hang_up: with.may_hang_up,
            hang_up: with.t.hang_up,
        }
    }
}

impl CallRow {
    pub(crate) fn key(&self) -> &str {
        &self.id
    }
}

impl LegChip {
    fn new(leg: &LiveLeg, with: &Context<'_>) -> Self {
        let (icon, text) = match leg.state {
            LegState::Dialling => ("arrow", with.t.leg_dialled.to_owned()),
            LegState::Ringing => ("phone", with.t.leg_ringing.to_owned()),
            LegState::Answered => ("check", with.t.leg_answered.to_owned()),
            LegState::Ended(status) => ("end", format!("{} ({status})", with.t.leg_ended)),
        };
        LegChip {
            name: with.names.name(Kind::Destination, leg.destination.as_str()),
            state: leg.state.as_str(),
            icon,
            text,
        }
    }
}

impl EndedRow {
    pub(crate) fn key(&self) -> &str {
        &self.id
    }

    pub(crate) fn new(ended: &EndedCall, with: &Context<'_>) -> Self {
        let call = &ended.call;
        let (caller, withheld) = caller(&call.caller, with.t);
        let millis = i64::try_from(ended.duration.as_millis()).unwrap_or(i64::MAX);
        let answered = ended.result == CallResult::Answered;
        EndedRow {
            id: call.id.to_string(),
            ended_at: format::time(with.clock, ended.ended_at.as_unix_millis()),
            caller,
            withheld,
            called: called(call),
            customer: name_of(Kind::Customer, call.customer.as_ref(), with.names),
            tone: tone_of(ended.result.as_str()),
            result: with.t.word("result", ended.result.as_str()),
            duration: if answered { format::duration(millis) } else { String::new() },
            answered_by: name_of(Kind::Destination, call.answered_by.as_ref(), with.names),
        }
    }
}

impl TrunkRow {
    pub(crate) fn key(&self) -> &str {
        &self.id
    }

    pub(crate) fn in_use(&self) -> u32 {
        self.in_use
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    pub(crate) fn new(trunk: &Trunk, usage: Option<&TrunkUse>, t: &'static Texts) -> Self {
        // The engine's limit is that of its snapshot; before its first report the row's counts.
        let in_use = usage.map_or(0, |usage| usage.in_use);
        let limit = usage.map_or(trunk.channels, |usage| usage.limit);
        let cells = if limit <= CELLS_SHOWN { limit } else { 0 };
        let per_mille = u64::from(in_use) * 1000 / u64::from(limit.max(1));
        let free = limit.saturating_sub(in_use);
        let tone = match (trunk.enabled, limit) {
            (false, _) => "off",
            (true, 0) => "good",
            (true, _) if free == 0 => "bad",
            (true, _) if per_mille >= 800 => "wait",
            (true, _) => "good",
        };
        let name = if trunk.name.is_empty() { &trunk.id } else { &trunk.name };
        TrunkRow {
            id: trunk.id.clone(),
            label: format!("{name}: {in_use} / {limit}, {} {free}", t.channels_free),
            name: name.clone(),
            tone,
            in_use,
            limit,
            unlimited: t.unlimited,
            cells: (0..cells).map(|cell| cell < in_use).collect(),
            per_mille: per_mille.min(1000),
        }
    }
}

impl PhoneRow {
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn new(phone: &Registration, names: &NameTable) -> Self {
        let user = phone.extension.to_string();
        PhoneRow {
            key: format!("{user} {}", phone.contact),
            name: names.name(Kind::Extension, &user),
            user,
            source: phone.source.ip().to_string(),
        }
    }
}

/// The caller for people, and whether it is a word instead of a number.
pub(crate) fn caller(caller: &Caller, t: &'static Texts) -> (String, bool) {
    match (caller.number, caller.class) {
        (Some(number), CallerClass::Number) => (format::hyphenate(&number.to_string()), false),
        (_, class) => (t.word("class", class.as_str()), true),
    }
}

/// The number that was called: the DID, or what an extension dialled.
pub(crate) fn called(call: &LiveCall) -> String {
    let number = match call.direction {
        Direction::Out => call.legs.first().map(|leg| leg.destination.to_string()),
        Direction::In | Direction::Forward => call.did.map(|did| did.to_string()),
    };
    number.as_deref().map(format::hyphenate).unwrap_or_default()
}

fn name_of(kind: Kind, key: Option<&tensou_engine::Key>, names: &NameTable) -> String {
    key.map(|key| names.name(kind, key.as_str())).unwrap_or_default()
}

/// The colour of a result: what was answered is good, what a person decided is neutral, what
/// somebody should look into is bad.
pub(crate) fn tone_of(result: &str) -> &'static str {
    match result {
        "answered" => "good",
        "no_answer" | "busy" => "wait",
        "unreachable" | "failed" => "bad",
        _ => "idle",
    }
}

#[cfg(test)]
mod tests;
