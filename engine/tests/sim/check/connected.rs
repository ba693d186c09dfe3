//! Never two callees: of all phones whose 200 we acknowledge for one call, those that are not
//! ended with BYE in the same moment talk one after the other, as a transfer has them do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{Check, End};
use crate::text::Msg;

/// 64*T1 in microseconds.
const LONGEST_ACK: u64 = 33_000_000;

/// A dialog: Call-ID and the callee's tag.
type Dialog = (String, String);

#[derive(Debug, Default)]
pub(super) struct Connected {
    /// When the first 200 of each dialog was acknowledged, when BYE was sent or heard, and
    /// which call it is of.
    acked: BTreeMap<Dialog, u64>,
    ended: BTreeMap<Dialog, u64>,
    call_of: BTreeMap<String, String>,
    /// Branches of our INVITEs: the ACK to a failure has the same, the ACK to a 200 its own.
    branches: BTreeSet<String>,
}

impl Connected {
    fn dialog(msg: &Msg) -> Dialog {
        (msg.call_id().to_owned(), msg.to_tag().unwrap_or_default().to_owned())
    }
}

impl Check for Connected {
    fn engine_heard(&mut self, now: u64, _from: SocketAddr, msg: &Msg) {
        if msg.status().is_none() && msg.method() == "BYE" {
            let dialog = (msg.call_id().to_owned(), msg.caller_tag().to_owned());
            self.ended.entry(dialog).or_insert(now);
        }
    }

    fn engine_sent(&mut self, now: u64, _to: SocketAddr, msg: &Msg) {
        if msg.status().is_some() {
            return;
        }
        match msg.method() {
            "INVITE" if msg.to_tag().is_none() => {
                let call = super::views::token(msg);
                self.call_of.insert(msg.call_id().to_owned(), call);
                self.branches.insert(msg.branch().to_owned());
            }
            "ACK" if msg.cseq() == 1 && !self.branches.contains(msg.branch()) => {
                self.acked.entry(Connected::dialog(msg)).or_insert(now);
            }
            "BYE" => {
                self.ended.entry(Connected::dialog(msg)).or_insert(now);
            }
            _ => {}
        }
    }

    fn finish(&mut self, _end: &End<'_>) {
        let mut kept: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
        for (dialog, at) in &self.acked {
            let Some(call) = self.call_of.get(&dialog.0) else { continue };
            let ended = self.ended.get(dialog).copied().unwrap_or(u64::MAX);
            // One that a crash kept from its ACK may have had its BYE first.
            if ended > *at {
                kept.entry(call).or_default().push((*at, ended));
            }
        }
        for (call, mut times) in kept {
            times.sort_unstable();
            for pair in times.windows(2) {
                // A BYE may have to wait for an ACK (RFC 3261 15).
                let apart = pair[1].0 + LONGEST_ACK >= pair[0].1;
                assert!(apart, "{call} was connected twice at once: {times:?}");
            }
        }
    }
}
