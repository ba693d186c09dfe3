//! Calls of other nodes on the same database: how a node describes its live calls to the others,
//! and what it has read of theirs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tensou_engine::plan::{E164, parse_e164};
use tensou_engine::{CallId, Caller, CallerClass, Direction, Key, LegNumber, WallTime};
use tensou_store::NodeSeen;

use super::state::{CallState, LegState, LiveCall, LiveLeg};

/// What this node knows of the others.
#[derive(Default)]
pub(super) struct Elsewhere {
    pub(super) nodes: Vec<NodeSeen>,
    pub(super) calls: BTreeMap<CallId, LiveCall>,
}

/// A live call as text. Words are those of REST; what a newer node says beyond them is ignored.
#[derive(Serialize, Deserialize)]
struct Described {
    id: String,
    state: String,
    direction: String,
    did: Option<String>,
    customer: Option<String>,
    caller: Option<String>,
    caller_class: String,
    trunk_in: Option<String>,
    started_at: i64,
    ringing_at: Option<i64>,
    answered_at: Option<i64>,
    answered_by: Option<String>,
    legs: Vec<DescribedLeg>,
}

#[derive(Serialize, Deserialize)]
struct DescribedLeg {
    number: u16,
    destination: String,
    trunk_out: Option<String>,
    state: String,
    sip_status: u16,
    ringing_at: Option<i64>,
}

/// A call of this node for the others.
pub fn describe(call: &LiveCall) -> String {
    let text = |key: &Option<Key>| key.as_ref().map(|key| key.as_str().to_owned());
    let number = |number: Option<E164>| number.map(|number| number.to_string());
    let time = |at: Option<WallTime>| at.map(WallTime::as_unix_millis);
    let leg = |leg: &LiveLeg| DescribedLeg {
        number: leg.number.0,
        destination: leg.destination.as_str().to_owned(),
        trunk_out: text(&leg.trunk_out),
        state: leg.state.as_str().to_owned(),
        sip_status: match leg.state {
            LegState::Ended(status) => status,
            LegState::Dialling | LegState::Ringing | LegState::Answered => 0,
        },
        ringing_at: time(leg.ringing_at),
    };
    let described = Described {
        id: call.id.to_string(),
        state: call.state.as_str().to_owned(),
        direction: call.direction.as_str().to_owned(),
        did: number(call.did),
        customer: text(&call.customer),
        caller: number(call.caller.number),
        caller_class: call.caller.class.as_str().to_owned(),
        trunk_in: text(&call.trunk_in),
        started_at: call.started_at.as_unix_millis(),
        ringing_at: time(call.ringing_at),
        answered_at: time(call.answered_at),
        answered_by: text(&call.answered_by),
        legs: call.legs.iter().map(leg).collect(),
    };
    // Texts and whole numbers: JSON can always write them.
    serde_json::to_string(&described).unwrap_or_default()
}

/// A call of `node` from what it said; none when this version does not understand it.
pub fn understand(node: &str, description: &str) -> Option<LiveCall> {
    let said: Described = serde_json::from_str(description).ok()?;
    let key = |text: Option<String>| text.map(|text| Key::from(text.as_str()));
    let number = |text: Option<String>| text.and_then(|text| parse_e164(&text).ok());
    let at = |millis: i64| WallTime::from_unix_micros(millis.saturating_mul(1000));
    let leg = |leg: DescribedLeg| {
        Some(LiveLeg {
            number: LegNumber(leg.number),
            destination: Key::from(leg.destination.as_str()),
            trunk_out: key(leg.trunk_out),
            state: match leg.state.as_str() {
                "dialling" => LegState::Dialling,
                "ringing" => LegState::Ringing,
                "answered" => LegState::Answered,
                "ended" => LegState::Ended(leg.sip_status),
                _ => return None,
            },
            ringing_at: leg.ringing_at.map(at),
        })
    };
    Some(LiveCall {
        id: CallId::parse(&said.id)?,
        node: Some(Key::from(node)),
        state: CallState::parse(&said.state)?,
        direction: direction(&said.direction)?,
        did: number(said.did),
        customer: key(said.customer),
        caller: Caller { number: number(said.caller), class: class(&said.caller_class) },
        trunk_in: key(said.trunk_in),
        started_at: at(said.started_at),
        ringing_at: said.ringing_at.map(at),
        answered_at: said.answered_at.map(at),
        answered_by: key(said.answered_by),
        legs: said.legs.into_iter().filter_map(leg).collect(),
    })
}

fn direction(word: &str) -> Option<Direction> {
    let known = [Direction::In, Direction::Out, Direction::Forward];
    known.into_iter().find(|direction| direction.as_str() == word)
}

fn class(word: &str) -> CallerClass {
    let known = [CallerClass::Number, CallerClass::Withheld, CallerClass::Payphone];
    known.into_iter().find(|class| class.as_str() == word).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_node_reads_what_a_node_says_of_its_call() {
        let at = |millis: i64| WallTime::from_unix_micros(millis * 1000);
        let leg = |number, state| LiveLeg {
            number: LegNumber(number),
            destination: Key::from("yamada-taro"),
            trunk_out: Some(Key::from("carrier-a")),
            state,
            ringing_at: Some(at(1_795_392_001_000)),
        };
        let call = LiveCall {
            id: CallId::new(1_795_392_000_000, 1, 2),
            node: Some(Key::from("node-2")),
            state: CallState::Talking,
            direction: Direction::Forward,
            did: parse_e164("03-1200-1000").ok(),
            customer: Some(Key::from("yamada")),
            caller: Caller { number: None, class: CallerClass::Withheld },
            trunk_in: Some(Key::from("ins1500-1")),
            started_at: at(1_795_392_000_000),
            ringing_at: Some(at(1_795_392_001_000)),
            answered_at: None,
            answered_by: None,
            legs: vec![leg(1, LegState::Ended(486)), leg(2, LegState::Answered)],
        };
        assert_eq!(understand("node-2", &describe(&call)), Some(call));
        assert_eq!(understand("node-2", "{}"), None);
    }
}
