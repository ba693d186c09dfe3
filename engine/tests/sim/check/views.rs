//! What the phones saw agrees with the record.

use std::collections::BTreeMap;

use tensou_engine::{CallResult, Cdr, EndedBy};

use super::{Check, End};
use crate::session::{Role, Session};
use crate::text::{Msg, user_of};
use crate::world::EPOCH;

/// Q.850: recovery on timer expiry.
const TIMER_EXPIRED: u8 = 102;

pub(super) struct Views;

/// What is the same in all INVITEs of one call and in no other's: the caller's number, or the
/// number called by a phone of ours.
pub(super) fn token(invite: &Msg) -> String {
    let called = invite.user();
    if called.starts_with("080") {
        return called.to_owned();
    }
    user_of(invite.header("From")).to_owned()
}

fn record_token(cdr: &Cdr) -> Option<String> {
    let national = |number: tensou_engine::plan::E164| {
        let text = number.to_string();
        text.strip_prefix("+81").map(|rest| format!("0{rest}"))
    };
    match cdr.trunk_in {
        Some(_) => cdr.caller.number.and_then(national),
        None => cdr.legs.first().map(|leg| leg.dialled.clone()),
    }
}

#[derive(Default)]
struct Call<'a> {
    callers: Vec<&'a Session>,
    callees: Vec<&'a Session>,
    cdrs: Vec<&'a Cdr>,
}

impl Check for Views {
    fn finish(&mut self, end: &End<'_>) {
        let mut calls: BTreeMap<String, Call<'_>> = BTreeMap::new();
        for session in end.uas.values().flat_map(|ua| &ua.sessions) {
            let call = calls.entry(token(&session.invite)).or_default();
            match session.role {
                Role::Caller => call.callers.push(session),
                Role::Callee => call.callees.push(session),
            }
        }
        for cdr in end.cdrs {
            if let Some(token) = record_token(cdr) {
                calls.entry(token).or_default().cdrs.push(cdr);
            }
        }
        for (token, call) in &calls {
            // One caller who called once; tests that reuse a number are not compared.
            if let ([caller], [cdr]) = (&call.callers[..], &call.cdrs[..]) {
                compare(token, caller, &call.callees, cdr);
            }
        }
    }
}

fn compare(token: &str, caller: &Session, callees: &[&Session], cdr: &Cdr) {
    let at = |wall: tensou_engine::WallTime| (wall.as_unix_micros() - EPOCH) as u64;
    if let (Some(finally), false) = (&caller.facts.finally, caller.facts.vanished) {
        assert_eq!(finally.status(), Some(cdr.sip_status), "{token}: {cdr:?}");
    }
    let answered = cdr.result == CallResult::Answered;
    if caller.facts.answered_at.is_some() {
        assert!(answered, "{token} talked and the record says {:?}", cdr.result);
    }
    let Some(answered_at) = cdr.answered_at.map(at) else { return };
    // One phone's 200 was under way when the record says that it was answered.
    let winner = callees.iter().find(|session| {
        let sent = session.facts.answered_at.is_some_and(|sent| sent <= answered_at);
        let acked = session.facts.acked.as_ref().is_none_or(|(acked, _)| *acked >= answered_at);
        sent && acked
    });
    assert!(winner.is_some(), "{token}: nobody had answered at {answered_at}: {cdr:?}");
    if let Some(heard) = caller.facts.answered_at {
        assert!(heard >= answered_at, "{token} heard the answer before it came");
    }
    // Who has brought two others together is out of both calls without a BYE of its own.
    if caller.facts.transferred {
        return;
    }
    // After a transfer others talk to the end, whom this token does not name.
    if cdr.legs.iter().filter(|leg| leg.answered_at.is_some()).count() > 1 {
        return;
    }
    let ended_at = at(cdr.ended_at);
    let ended_by = |session: &Session| {
        let sent = session.facts.bye_sent_at.is_some_and(|sent| sent <= ended_at);
        let done = session.facts.bye_answered_at.is_none_or(|done| done >= ended_at);
        sent && done
    };
    // Who does not answer a re-INVITE has ended the call too (RFC 3261 14.1), and so has one whose
    // BYE was overtaken and refused (12.2.2): it knows the dialog no more.
    let mute = |session: &Session| {
        let left = session.facts.bye_sent_at.is_some_and(|sent| sent <= ended_at);
        cdr.q850_cause == TIMER_EXPIRED && (session.facts.vanished || left)
    };
    let ended = match cdr.ended_by {
        EndedBy::Caller => ended_by(caller) || mute(caller),
        EndedBy::Callee => callees.iter().any(|session| ended_by(session) || mute(session)),
        EndedBy::System => true,
    };
    assert!(ended, "{token}: not as in {cdr:?}");
}
