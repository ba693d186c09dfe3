//! Every INVITE that is heard from somebody known gets exactly one kind of final answer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{Check, End};
use crate::text::Msg;

/// Whom no test makes known to the engine.
const STRANGERS: &str = "203.0.113.";

#[derive(Debug, Default)]
pub(super) struct Finals {
    /// By source and branch: the final status.
    invites: BTreeMap<(SocketAddr, String), Option<u16>>,
    /// Heard just now, and nothing said to it yet by any process.
    fresh: Option<(SocketAddr, String)>,
    /// Read by a process that was killed before it said anything to it, and not sent again: it
    /// may have been lost with it.
    lost: BTreeSet<(SocketAddr, String)>,
}

impl Check for Finals {
    fn engine_heard(&mut self, _now: u64, from: SocketAddr, msg: &Msg) {
        self.fresh = None;
        if msg.status().is_none() && msg.method() == "INVITE" {
            let key = (from, msg.branch().to_owned());
            let lost = self.lost.remove(&key);
            if lost || !self.invites.contains_key(&key) {
                self.fresh = Some(key.clone());
            }
            self.invites.entry(key).or_default();
        }
    }

    fn died(&mut self) {
        self.lost.extend(self.fresh.take());
    }

    fn engine_sent(&mut self, now: u64, to: SocketAddr, msg: &Msg) {
        let Some(status) = msg.status().filter(|_| msg.method() == "INVITE") else { return };
        let key = (to, msg.branch().to_owned());
        if self.fresh.as_ref() == Some(&key) {
            self.fresh = None;
        }
        let Some(told) = self.invites.get_mut(&key) else { return };
        if status >= 200 {
            let first = *told.get_or_insert(status);
            assert_eq!(first, status, "two final answers to {} at {now}", msg.call_id());
        }
    }

    fn finish(&mut self, _end: &End<'_>) {
        let heard = self.invites.iter().filter(|(key, _)| !self.lost.contains(*key));
        for ((from, branch), last) in heard {
            // Strangers may hear nothing at all.
            let stranger = from.to_string().starts_with(STRANGERS);
            assert!(stranger || last.is_some(), "INVITE {branch} of {from} has no final answer");
        }
    }
}
