//! Values for the tests of this crate.

use std::time::Duration;

use tensou_engine::{CallId, CallResult, Caller, Cdr, Direction, EndedBy, Event, Key, WallTime};

/// A record whose id is `number`.
pub(crate) fn cdr(number: u128) -> Cdr {
    Cdr {
        id: CallId(number),
        direction: Direction::Forward,
        did: None,
        customer: None,
        caller: Caller::default(),
        trunk_in: None,
        started_at: WallTime::from_unix_micros(0),
        ringing_at: None,
        answered_at: None,
        ended_at: WallTime::from_unix_micros(1_000),
        duration: Duration::ZERO,
        result: CallResult::Cancelled,
        sip_status: 487,
        q850_cause: 16,
        ended_by: EndedBy::Caller,
        answered_by: None,
        legs: Vec::new(),
    }
}

/// An event that tells itself apart by `in_use`.
pub(crate) fn event(in_use: u32) -> Event {
    Event::TrunkChannels { trunk: Key::from("t"), in_use, limit: 23 }
}
