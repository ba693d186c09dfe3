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
    /// Heard since the engine last spoke, and nothing said to them yet by any process.
    fresh: BTreeSet<(SocketAddr, String)>,
    /// Read by a process that was killed before it said anything to it, and not sent again: it
    /// may have been lost with it.
    lost: BTreeSet<(SocketAddr, String)>,
    /// The Call-ID of each.
    calls: BTreeMap<(SocketAddr, String), String>,
    /// By source and Call-ID: dialogs that ended with the peer's BYE.
    hung_up: BTreeSet<(SocketAddr, String)>,
}

impl Check for Finals {
    fn engine_heard(&mut self, _now: u64, from: SocketAddr, msg: &Msg) {
        if msg.status().is_none() && msg.method() == "INVITE" {
            let key = (from, msg.branch().to_owned());
            let lost = self.lost.remove(&key);
            if lost || !self.invites.contains_key(&key) {
                self.fresh.insert(key.clone());
            }
            self.calls.insert(key.clone(), msg.call_id().to_owned());
            self.invites.entry(key).or_default();
        }
    }

    fn died(&mut self) {
        self.lost.append(&mut self.fresh);
    }

    fn silent(&mut self) {
        self.fresh.clear();
    }

    fn engine_sent(&mut self, now: u64, to: SocketAddr, msg: &Msg) {
        if msg.method() == "BYE" && msg.status() == Some(200) {
            self.hung_up.insert((to, msg.call_id().to_owned()));
        }
        let Some(status) = msg.status().filter(|_| msg.method() == "INVITE") else { return };
        let key = (to, msg.branch().to_owned());
        self.fresh.remove(&key);
        let Some(told) = self.invites.get_mut(&key) else { return };
        if status >= 200 {
            let first = *told.get_or_insert(status);
            assert_eq!(first, status, "two final answers to {} at {now}", msg.call_id());
        }
    }

    fn finish(&mut self, end: &End<'_>) {
        // The answer died with the process, and who has hung up since waits for none.
        let over = |key: &(SocketAddr, String)| {
            let call = self.calls.get(key).map(|call| (key.0, call.clone()));
            end.deaths > 0 && call.is_some_and(|call| self.hung_up.contains(&call))
        };
        let heard = self.invites.iter().filter(|(key, _)| !self.lost.contains(*key));
        for (key, last) in heard.filter(|(key, last)| last.is_some() || !over(key)) {
            let (from, branch) = key;
            // Strangers may hear nothing at all.
            let stranger = from.to_string().starts_with(STRANGERS);
            assert!(stranger || last.is_some(), "INVITE {branch} of {from} has no final answer");
        }
    }
}
