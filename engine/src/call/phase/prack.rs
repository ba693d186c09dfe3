//! Reliable provisional answers (RFC 3262), on each leg by itself: a callee's are acknowledged by
//! us, and a caller that wants them gets ours, whatever the other side does.

use std::time::Duration;

use crate::call::compose::{Answer, InDialog, SDP, answer, send};
use crate::call::leg::Invite;
use crate::call::reliable::{Early, MAX_EARLY, Progress, Rank, Reliable, Unacknowledged};
use crate::call::session::lists;
use crate::call::{A, Ask, Asked, Call, LegState, Near, Phase};
use crate::cause::Cause;
use crate::cdr::EndedBy;
use crate::core::Core;
use crate::route::Prack;
use crate::sip::syntax::{HeaderId, Message, Method};
use crate::sip::transaction::ServerHandle;
use crate::sip::transaction::timers::T1;
use crate::timer::CallTimer;

/// RFC 3262 3: how long a reliable answer is resent before its INVITE fails.
const PATIENCE: Duration = T1.saturating_mul(64);
/// RFC 3262 3: the first RSeq is below 2^31, so that it can rise.
const RSEQ_LIMIT: u64 = 1 << 30;
/// The extension's option tag.
const TAG: &str = "100rel";

/// What a provisional answer of a callee is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// News, of this early dialog if it has one.
    New(Option<usize>),
    /// A reliable one that came before, or out of order.
    Stray,
}

impl Call {
    /// Whether the caller gets reliable answers: it must know them, and its INVITE must bring an
    /// offer, for without one the first of them would have to make it (RFC 3262 5).
    pub(super) fn offer_reliability(&mut self, core: &mut Core, msg: &Message<'_>) {
        let required = lists(msg, HeaderId::Require, TAG);
        let known = required || lists(msg, HeaderId::Supported, TAG);
        let wanted = required || self.leg(A).policy.prack != Prack::Off;
        if known && wanted && !msg.body().is_empty() {
            let first = core.io.rng.below(RSEQ_LIMIT) as u32 + 1;
            self.leg_mut(A).reliable = Some(Box::new(Reliable::new(first)));
        }
    }

    /// Tells the caller how it stands, reliably where the caller knows how.
    pub(super) fn tell_progress(&mut self, core: &mut Core, progress: Progress) {
        let Invite::Received(server) = self.leg(A).invite else { return };
        if let Phase::Dialling(dialling) = &mut *self.phase {
            dialling.progress = Some(progress.clone());
        }
        // Of a caller that is told unreliably nothing changes.
        let reliable = self.leg(A).reliable.as_ref();
        match reliable.map(|reliable| reliable.waiting.is_some()) {
            Some(true) => {
                if let Some(reliable) = &mut self.leg_mut(A).reliable {
                    reliable.enqueue(progress);
                }
            }
            Some(false) => self.send_reliably(core, server, progress),
            None => {
                let dialog = &self.leg(A).dialog;
                let ringing = Answer {
                    status: progress.status,
                    tag: Some(&dialog.local_tag),
                    extra: &progress.extra,
                    contact: Some(dialog.flow),
                    content: progress.sdp.as_deref().map(|body| (SDP, body)),
                };
                answer(core, server, &ringing);
            }
        }
    }

    fn send_reliably(&mut self, core: &mut Core, server: ServerHandle, progress: Progress) {
        let leg = self.leg_mut(A);
        let Some(reliable) = &mut leg.reliable else { return };
        reliable.rseq += 1;
        let rseq = reliable.rseq;
        let mut extra = progress.extra.to_vec();
        extra.extend_from_slice(format!("Require: {TAG}\r\nRSeq: {rseq}\r\n").as_bytes());
        let ringing = Answer {
            status: progress.status,
            tag: Some(&leg.dialog.local_tag),
            extra: &extra,
            contact: Some(leg.dialog.flow),
            content: progress.sdp.as_deref().map(|body| (SDP, body)),
        };
        let Some(bytes) = answer(core, server, &ringing) else { return };
        let resend = Some(core.io.arm(T1, self.timer(CallTimer::ResendProgress)));
        let over = Some(core.io.arm(PATIENCE, self.timer(CallTimer::PrackOver)));
        if let Some(reliable) = &mut self.leg_mut(A).reliable {
            let sdp = progress.sdp;
            reliable.waiting =
                Some(Unacknowledged { rseq, bytes, sdp, interval: T1, resend, over });
        }
    }

    /// RFC 3262 3: the interval doubles, without a bound.
    pub(crate) fn resend_progress(&mut self, core: &mut Core) {
        let key = self.timer(CallTimer::ResendProgress);
        let Invite::Received(server) = self.leg(A).invite else { return };
        let Some(reliable) = &mut self.leg_mut(A).reliable else { return };
        let Some(waiting) = &mut reliable.waiting else { return };
        core.transactions.resend(&mut core.io, server, &waiting.bytes);
        waiting.interval *= 2;
        waiting.resend = Some(core.io.arm(waiting.interval, key));
    }

    /// The caller never acknowledged: its INVITE fails (RFC 3262 3).
    pub(crate) fn prack_over(&mut self, core: &mut Core) {
        if let Some(waiting) = self.leg_mut(A).reliable.as_mut().and_then(|it| it.waiting.take()) {
            core.io.disarm(waiting.resend);
            self.end(core, Cause::Timeout, EndedBy::System, Some(504));
        }
    }

    /// The INVITE of `leg` has its final answer, or never gets one.
    pub(super) fn stop_progress(&mut self, core: &mut Core, leg: u16) {
        let reliable = self.leg_mut(leg).reliable.take();
        if let Some(waiting) = reliable.and_then(|reliable| reliable.waiting) {
            core.io.disarm(waiting.resend);
            core.io.disarm(waiting.over);
            self.leg_mut(leg).prack_due = Some(waiting.rseq);
        }
    }

    /// A PRACK of the caller.
    pub(super) fn on_prack(
        &mut self,
        core: &mut Core,
        leg: u16,
        (server, seq): (ServerHandle, u32),
        msg: &Message<'_>,
    ) {
        let invited = self.leg(leg).invite_received_seq();
        let meant = msg
            .rack()
            .ok()
            .filter(|rack| rack.cseq.method == Method::Invite && Some(rack.cseq.number) == invited);
        let reliable = self.leg_mut(leg).reliable.as_mut();
        let waiting = reliable.and_then(|reliable| {
            let here = reliable.waiting.as_ref().map(|waiting| waiting.rseq);
            if here.is_some() && here == meant.map(|rack| rack.response) {
                reliable.waiting.take()
            } else {
                None
            }
        });
        let Some(waiting) = waiting else {
            // RFC 3262 3: one that crossed the answer is still expected; one that matches nothing
            // unacknowledged is 481, at which phones hang up.
            let due = self.leg_mut(leg).prack_due.take_if(|due| {
                msg.body().is_empty() && meant.is_some_and(|rack| rack.response == *due)
            });
            let status = if due.is_some() { 200 } else { 481 };
            return self.refuse(core, leg, server, status, b"");
        };
        core.io.disarm(waiting.resend);
        core.io.disarm(waiting.over);
        if let (Some(reliable), Some(sdp)) = (&mut self.leg_mut(leg).reliable, waiting.sdp) {
            reliable.answered.get_or_insert(sdp);
        }
        if msg.body().is_empty() {
            self.refuse(core, leg, server, 200, b"");
        } else {
            // RFC 3262 5: the session is agreed, so this is a new offer.
            let near = Near::Prack;
            self.on_offer(core, Asked { leg, server, seq, near, session: Ask::default() }, msg);
        }
        self.go_on_telling(core);
    }

    /// What waited for the PRACK goes out: the next provisional answer, or the final one.
    fn go_on_telling(&mut self, core: &mut Core) {
        let Invite::Received(server) = self.leg(A).invite else { return };
        let Phase::Dialling(dialling) = &mut *self.phase else { return };
        for (leg, bytes) in std::mem::take(&mut dialling.held) {
            if let Ok(msg) = Message::parse_datagram(&bytes) {
                self.on_answered(core, leg, &msg);
            }
        }
        if let Some(reliable) = &mut self.leg_mut(A).reliable
            && reliable.waiting.is_none()
            && !reliable.queue.is_empty()
        {
            let next = reliable.queue.remove(0);
            self.send_reliably(core, server, next);
        }
    }

    /// Keeps a callee's 2xx until the caller has acknowledged a description (RFC 3262 3). True
    /// when it waits.
    pub(super) fn hold_answer(&mut self, leg: u16, msg: &Message<'_>) -> bool {
        if !self.leg(A).reliable.as_ref().is_some_and(|reliable| reliable.holds_answer()) {
            return false;
        }
        let Phase::Dialling(dialling) = &mut *self.phase else { return false };
        if dialling.held.iter().all(|(held, _)| *held != leg) {
            dialling.held.push((leg, msg.bytes().into()));
            // Its transaction has the final answer.
            self.leg_mut(leg);
        }
        true
    }

    /// The early dialog of a callee's provisional answer, made if it is new; a reliable answer is
    /// acknowledged.
    pub(super) fn early_dialog(&mut self, core: &mut Core, leg: u16, msg: &Message<'_>) -> Heard {
        self.leg_mut(leg).can.learn(msg);
        let Some(tag) = msg.to().ok().and_then(|to| to.tag()) else { return Heard::New(None) };
        let reliable = lists(msg, HeaderId::Require, TAG);
        let rseq = msg.leading_number(HeaderId::RSeq).filter(|_| reliable);
        let known = self.leg(leg).early.iter().position(|early| *early.tag == *tag);
        let at = match known {
            Some(at) => at,
            None if self.leg(leg).early.len() >= MAX_EARLY => return Heard::New(None),
            None => {
                let mut dialog = self.leg(leg).dialog.fork();
                dialog.complete(msg);
                let early =
                    Early { tag: tag.into(), dialog, rseq: None, answer: None, agreed: false };
                let all = &mut self.leg_mut(leg).early;
                // Nearly always it stays alone, and it is large.
                all.reserve_exact(1);
                all.push(early);
                self.leg(leg).early.len() - 1
            }
        };
        let invite_seq = self.leg(leg).invite_seq;
        let Some(early) = self.leg_mut(leg).early.get_mut(at) else { return Heard::New(None) };
        if rseq.is_some_and(|rseq| early.rank(rseq) == Rank::Stray) {
            return Heard::Stray;
        }
        if !msg.body().is_empty() && early.answer.is_none() {
            early.answer = Some(msg.body().into());
            early.agreed = rseq.is_some();
        }
        if let Some(rseq) = rseq {
            let rack = format!("RAck: {rseq} {invite_seq} INVITE\r\n");
            let seq = early.dialog.next_seq();
            let prack = InDialog { method: "PRACK", seq, extra: rack.as_bytes(), content: None };
            // Nobody waits for its answer: the transaction resends it until there is one.
            let prack = send(core, &early.dialog, &prack, None);
            self.keep_asked(core, leg, prack);
        }
        Heard::New(Some(at))
    }

    /// The answered dialog goes on where its early form stood. Gives the answer that came early.
    pub(super) fn adopt_early(&mut self, leg: u16, tag: &str) -> Option<Box<[u8]>> {
        let leg = self.leg_mut(leg);
        let early = std::mem::take(&mut leg.early);
        leg.heard = None;
        let early = early.into_iter().find(|early| *early.tag == *tag)?;
        leg.dialog.local_seq = early.dialog.local_seq;
        leg.dialog.remote_seq = early.dialog.remote_seq;
        early.answer
    }

    /// Whether both sides have agreed on a session before the answer, so that UPDATE may change
    /// it (RFC 3311 5.1).
    pub(super) fn agreed_early(&self, leg: u16) -> bool {
        let leg = self.leg(leg);
        match leg.invite {
            Invite::Received(_) => {
                leg.reliable.as_ref().is_some_and(|it| it.answered.is_some() && !it.holds_answer())
            }
            Invite::Sent(_) => {
                leg.state == LegState::Calling
                    && leg.heard.and_then(|at| leg.early.get(at)).is_some_and(|one| one.agreed)
            }
        }
    }
}
