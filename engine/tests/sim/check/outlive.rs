//! No leg outlives its call: after its record nobody is invited, and after the timers of RFC
//! 3261 nobody is asked anything.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tensou_engine::{CallId, Event};

use super::{Check, End};
use crate::text::Msg;

/// A BYE may have to wait 64*T1 for an ACK, and is then resent for as long.
const LAST_WORD: u64 = 2 * 32_000_000 + 1_000_000;

/// A refusal is acknowledged as soon as its batch of datagrams has been handled.
const AT_ONCE: u64 = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct Outlive {
    /// The last INVITE, to be matched with the event that follows at once. One that a crash has
    /// kept from its event is sent again by the next life without one.
    fresh: Option<String>,
    call_of: BTreeMap<String, CallId>,
    ended: BTreeMap<CallId, u64>,
    /// By Call-ID: when a callee last gave its final answer.
    answered: BTreeMap<String, u64>,
}

impl Check for Outlive {
    fn engine_heard(&mut self, now: u64, _from: SocketAddr, msg: &Msg) {
        if msg.status().is_some_and(|status| status >= 200) && msg.method() == "INVITE" {
            self.answered.insert(msg.call_id().to_owned(), now);
        }
    }

    fn engine_sent(&mut self, now: u64, _to: SocketAddr, msg: &Msg) {
        if msg.status().is_some() {
            return;
        }
        // A final answer that comes late is acknowledged late, and at no other time.
        let answered = self.answered.get(msg.call_id());
        if msg.method() == "ACK" && answered.is_some_and(|at| now - at <= AT_ONCE) {
            return;
        }
        let known = self.call_of.contains_key(msg.call_id());
        if msg.method() == "INVITE" && msg.to_tag().is_none() && !known {
            self.fresh = Some(msg.call_id().to_owned());
            return;
        }
        let Some(call) = self.call_of.get(msg.call_id()) else { return };
        let Some(ended) = self.ended.get(call) else { return };
        let method = msg.method();
        assert!(now - ended <= LAST_WORD, "{method} {} after its call", now - ended);
    }

    fn event(&mut self, now: u64, event: &Event) {
        match event {
            Event::LegDialled { call, .. } => {
                assert!(!self.ended.contains_key(call), "dialled after the end at {now}");
                if let Some(call_id) = self.fresh.take() {
                    self.call_of.insert(call_id, *call);
                }
            }
            Event::CallEnded { call, .. } => {
                assert!(self.ended.insert(*call, now).is_none(), "ended twice at {now}");
            }
            _ => {}
        }
    }

    fn died(&mut self) {
        self.fresh = None;
    }

    fn finish(&mut self, end: &End<'_>) {
        for (place, ua) in end.uas {
            for session in &ua.sessions {
                assert!(
                    !session.alive(),
                    "at {place} {} is left {:?}: {:?}",
                    session.call_id,
                    session.state,
                    session.facts
                );
            }
        }
    }
}
