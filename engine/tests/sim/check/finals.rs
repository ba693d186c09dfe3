//! Every INVITE that is heard from somebody known gets exactly one kind of final answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Check, End};
use crate::text::Msg;

/// Whom no test makes known to the engine.
const STRANGERS: &str = "203.0.113.";

#[derive(Debug, Default)]
pub(super) struct Finals {
    /// By source and branch: the final status.
    invites: BTreeMap<(SocketAddr, String), Option<u16>>,
}

impl Check for Finals {
    fn engine_heard(&mut self, _now: u64, from: SocketAddr, msg: &Msg) {
        if msg.status().is_none() && msg.method() == "INVITE" {
            self.invites.entry((from, msg.branch().to_owned())).or_default();
        }
    }

    fn engine_sent(&mut self, now: u64, to: SocketAddr, msg: &Msg) {
        let Some(status) = msg.status().filter(|_| msg.method() == "INVITE") else { return };
        let Some(told) = self.invites.get_mut(&(to, msg.branch().to_owned())) else { return };
        if status >= 200 {
            let first = *told.get_or_insert(status);
            assert_eq!(first, status, "two final answers to {} at {now}", msg.call_id());
        }
    }

    fn finish(&mut self, _end: &End<'_>) {
        for ((from, branch), last) in &self.invites {
            // Strangers may hear nothing at all.
            let stranger = from.to_string().starts_with(STRANGERS);
            assert!(stranger || last.is_some(), "INVITE {branch} of {from} has no final answer");
        }
    }
}
