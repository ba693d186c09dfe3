//! What a trunk's peers agree to within a dialog.

use std::time::Duration;

use tensou_engine::route::{DialogPolicy, Prack, Refresher, SHORTEST_SESSION, SessionTimerPolicy};

use super::fields::Faults;
use crate::model::Trunk;

const PRACK: &[(&str, Prack)] =
    &[("off", Prack::Off), ("supported", Prack::Supported), ("required", Prack::Required)];
const REFRESHERS: &[(&str, Refresher)] =
    &[("negotiated", Refresher::Negotiated), ("us", Refresher::Us), ("peer", Refresher::Peer)];
/// A day: a session that nobody renews for longer is no session.
const LONGEST_SESSION: u32 = 86_400;

/// Reads the dialog settings of a trunk.
pub(super) fn policy(faults: &mut Faults, row: &Trunk) -> DialogPolicy {
    let timer = &row.session_timer;
    let usual = SessionTimerPolicy::default();
    let shortest = SHORTEST_SESSION.as_secs() as u32;
    let expires = timer.session_expires_seconds.unwrap_or(usual.session_expires.as_secs() as u32);
    let min_se = timer.min_se_seconds.unwrap_or(shortest);
    faults.range("session_timer.session_expires_seconds", expires, shortest..=LONGEST_SESSION);
    faults.range("session_timer.min_se_seconds", min_se, shortest..=LONGEST_SESSION);
    if min_se > expires {
        let message = format!("not longer than session_expires_seconds, which is {expires}");
        faults.add("session_timer.min_se_seconds", message);
    }
    let refresher = faults.word_if("session_timer.refresher", &timer.refresher, REFRESHERS);
    let prack = faults.word_if("prack", &row.prack, PRACK);
    DialogPolicy {
        session_timer: SessionTimerPolicy {
            enabled: timer.enabled.unwrap_or(usual.enabled),
            session_expires: Duration::from_secs(expires.into()),
            min_se: Duration::from_secs(min_se.into()),
            refresher: refresher.unwrap_or_default(),
        },
        prack: prack.unwrap_or_default(),
        transfer: row.transfer,
    }
}
