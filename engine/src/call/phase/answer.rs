//! The answer: the first 2xx connects, every later one is ended, and both sides get their ACK.

use std::sync::Arc;
use std::time::Duration;

use crate::call::compose::{self, Answer, InDialog, SDP, answer, send, send_ack, send_ack_again};
use crate::call::leg::{Invite, PendingOk};
use crate::call::record::Answered;
use crate::call::{A, Ask, Call, LegState, Phase, Talking, session};
use crate::cause::Cause;
use crate::cdr::EndedBy;
use crate::core::Core;
use crate::event::Event;
use crate::id::LegNumber;
use crate::journal::{Confirmed, keep_farewell};
use crate::media::Side;
use crate::sdp::{Sdp, codec_in_common};
use crate::sip::dialog::{Dialog, Style};
use crate::sip::syntax::{HeaderId, Message};
use crate::sip::transaction::timers::{F, T1, T2};
use crate::sip::transaction::{CancelReason, ClientHandle, ServerHandle};
use crate::timer::CallTimer;

/// RFC 3261 13.3.1.4: how long a 2xx is resent before its ACK is given up.
pub(super) const ACK_PATIENCE: Duration = T1.saturating_mul(64);

impl Call {
    /// A 2xx to the INVITE of a callee leg.
    pub(super) fn on_answered(&mut self, core: &mut Core, leg: u16, msg: &Message<'_>) {
        let tag = msg.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        if matches!(self.leg(leg).state, LegState::Up | LegState::Leaving | LegState::Gone) {
            return self.on_further_answer(core, leg, msg, tag);
        }
        let winner = self.leg(leg).state == LegState::Calling && self.dialling().is_some();
        if winner && self.hold_answer(leg, msg) {
            return;
        }
        core.io.disarm(self.leg_mut(leg).timer.take());
        let early = self.adopt_early(leg, tag);
        let seq = self.leg(leg).invite_seq;
        let state = self.leg_mut(leg);
        state.invite_sent = None;
        state.dialog.complete(msg);
        state.can.learn(msg);
        if winner {
            let body = match (msg.body(), early) {
                ([], Some(early)) => early,
                (body, _) => body.into(),
            };
            match self.transfer() {
                Some(_) => self.connect_transfer(core, leg, msg, &body),
                None => self.connect(core, leg, msg, &body),
            }
        } else {
            // A 200 that crossed our CANCEL: acknowledged and ended.
            send_ack(core, &self.leg(leg).dialog, seq, None);
            let now = core.io.now.wall;
            let calling = self.leg(leg).state == LegState::Calling;
            if let Some(record) = &mut *self.leg_mut(leg).record {
                record.sip_status = 200;
                if calling {
                    // It had waited for the caller's PRACK when the caller gave up.
                    record.ended_at = now;
                    record.q850_cause = Cause::AnsweredElsewhere.q850();
                }
            }
            self.send_bye(core, leg, Cause::AnsweredElsewhere.q850());
        }
        self.settle(core);
    }

    /// `body` is the callee's description, from its 2xx or from the answer before it.
    fn connect(&mut self, core: &mut Core, leg: u16, msg: &Message<'_>, body: &[u8]) {
        let Phase::Dialling(dialling) = &*self.phase else { return };
        let offer = dialling.offer.clone();
        let sdp = match self.answer_for_caller(core, leg, body, offer.as_deref()) {
            Ok(sdp) => sdp,
            Err(cause) => return self.refuse_answer(core, leg, cause),
        };
        let now = core.io.now;
        self.leg_mut(leg).state = LegState::Up;
        self.leg_mut(leg).ringing = true;
        if let Some(record) = &mut *self.leg_mut(leg).record {
            record.answered_at = Some(now.wall);
            record.sip_status = 200;
        }
        self.record.answered = Some(Answered { at: now.wall, mono: now.mono, leg });
        core.io.counters.calls_answered += 1;
        let seq = self.leg(leg).invite_seq;
        if offer.is_some() {
            send_ack(core, &self.leg(leg).dialog, seq, None);
        } else {
            self.leg_mut(leg).owed_ack = Some(seq);
        }
        if let Some(terms) = session::agreed(msg) {
            self.start_session(core, leg, terms);
        }
        let told = self.leg(leg).told.clone();
        self.agree(leg, body.into(), told);
        for other in 1..self.legs.len() as u16 {
            if other != leg && self.leg(other).state == LegState::Calling {
                self.cancel_leg(core, other, Cause::AnsweredElsewhere, CancelReason::Elsewhere);
            }
        }
        *self.phase =
            Phase::Talking(Talking { pair: (A, leg), transfer: None, rejoins: Vec::new() });
        core.io.disarm(self.leg_mut(A).timer.take());
        core.io.event(Event::CallAnswered { call: self.id, leg: LegNumber(leg), at: now.wall });
        let Invite::Received(server) = self.leg(A).invite else { return };
        let answer_to = offer.is_none().then_some(leg);
        // RFC 3262 5: an answer that the caller has acknowledged is not given again.
        let reliable = self.leg(A).reliable.as_ref();
        let given = reliable.and_then(|reliable| reliable.answered.clone());
        let again = given.as_ref().is_some_and(|given| **given == *sdp);
        self.stop_progress(core, A);
        let caller = self.leg_mut(A);
        caller.state = LegState::Up;
        let (seq, session) = (caller.invite_seq, caller.wish);
        self.tell(A, sdp.clone());
        let accepting = Accepting { server, seq, session, answer_to };
        self.send_ok(core, A, accepting, (!again).then_some(&*sdp));
        self.watch_silence(core);
    }

    /// The SDP of a callee's 2xx as the caller gets it.
    fn answer_for_caller(
        &mut self,
        core: &mut Core,
        leg: u16,
        body: &[u8],
        offer: Option<&[u8]>,
    ) -> Result<Arc<[u8]>, Cause> {
        if body.is_empty() {
            return Err(Cause::Protocol);
        }
        let answer = Sdp::parse(body).map_err(|_| Cause::NoCodec)?;
        self.learn(core, leg, &answer)?;
        if let Some(offer) = offer.and_then(Sdp::outline)
            && !codec_in_common(&offer, &answer)
        {
            return Err(Cause::NoCodec);
        }
        self.describe(core, A, &answer, false)
    }

    /// A callee answered with something that cannot be connected: it is ended, and the hunt
    /// goes on.
    pub(super) fn refuse_answer(&mut self, core: &mut Core, leg: u16, cause: Cause) {
        send_ack(core, &self.leg(leg).dialog, self.leg(leg).invite_seq, None);
        if let Some(record) = &mut *self.leg_mut(leg).record {
            record.sip_status = cause.status();
            record.q850_cause = cause.q850();
            record.ended_at = core.io.now.wall;
        }
        self.send_bye(core, leg, cause.q850());
        if self.transfer().is_none() {
            self.forget_remote(core, Side::B);
        }
        let place = self.leg(leg).place;
        if !self.branch_still_rings(place) {
            self.branch_failed(core, place.step, cause.status(), cause);
        }
    }

    /// Sends a 2xx to an INVITE and resends it until its ACK comes.
    pub(super) fn send_ok(
        &mut self,
        core: &mut Core,
        leg: u16,
        accepting: Accepting,
        sdp: Option<&[u8]>,
    ) {
        let Accepting { server, seq, session, answer_to } = accepting;
        let lines = self.grant(core, leg, session);
        let dialog = &self.leg(leg).dialog;
        let ok = Answer {
            status: 200,
            tag: Some(&dialog.local_tag),
            extra: lines.as_bytes(),
            contact: Some(dialog.flow),
            content: sdp.map(|body| (SDP, body)),
        };
        let reliable = dialog.flow.is_reliable();
        let Some(bytes) = answer(core, server, &ok) else { return };
        let resend = self.timer(CallTimer::ResendOk { leg });
        let over = self.timer(CallTimer::AckOver { leg });
        let pending = PendingOk {
            server,
            seq,
            bytes,
            interval: T1,
            resend: (!reliable).then(|| core.io.arm(T1, resend)),
            over: Some(core.io.arm(ACK_PATIENCE, over)),
            answer_to,
        };
        self.leg_mut(leg).pending_ok = Some(Box::new(pending));
    }

    /// Timer of a 2xx without its ACK.
    pub(crate) fn resend_ok(&mut self, core: &mut Core, leg: u16) {
        let key = self.timer(CallTimer::ResendOk { leg });
        let Some(pending) = &mut self.leg_mut(leg).pending_ok else { return };
        core.transactions.resend(&mut core.io, pending.server, &pending.bytes);
        pending.interval = (pending.interval * 2).min(T2);
        pending.resend = Some(core.io.arm(pending.interval, key));
    }

    /// The ACK never came (RFC 3261 13.3.1.4): the call cannot go on.
    pub(crate) fn ack_over(&mut self, core: &mut Core, leg: u16) {
        let Some(pending) = self.leg_mut(leg).pending_ok.take() else { return };
        core.io.disarm(pending.resend);
        if let Some(owing) = pending.answer_to {
            self.acknowledge_without_answer(core, owing);
        }
        if std::mem::take(&mut self.leg_mut(leg).bye_owed) {
            self.send_bye(core, leg, Cause::NormalClearing.q850());
            return self.settle(core);
        }
        self.end(core, Cause::Timeout, EndedBy::System, None);
    }

    /// An ACK to our 2xx.
    pub(crate) fn on_ack(&mut self, core: &mut Core, leg: u16, msg: &Message<'_>, seq: u32) {
        let state = &mut self.legs[usize::from(leg)];
        let Some(pending) = state.pending_ok.take_if(|pending| pending.seq == seq) else { return };
        core.io.disarm(pending.resend);
        core.io.disarm(pending.over);
        if core.config.journal && state.is_known() && !state.bye_owed && pending.answer_to.is_none()
        {
            // Nothing else has changed.
            core.io.notes.confirmed.push(Confirmed { call: self.id, leg, seq });
            return;
        }
        self.leg_mut(leg);
        if let Some(owing) = pending.answer_to {
            self.pass_answer(core, leg, owing, msg);
        }
        if std::mem::take(&mut self.leg_mut(leg).bye_owed) {
            self.send_bye(core, leg, Cause::NormalClearing.q850());
            self.settle(core);
        }
    }

    /// The answer to a late offer came with the ACK: the other side's ACK takes it on.
    fn pass_answer(&mut self, core: &mut Core, from: u16, to: u16, msg: &Message<'_>) {
        if !matches!(*self.phase, Phase::Talking(_)) {
            // The call has ended meanwhile: the relay has forgotten it.
            return self.acknowledge_without_answer(core, to);
        }
        let body = msg.body();
        let rewritten = if body.is_empty() {
            Err(Cause::Protocol)
        } else {
            self.learn_remote(core, from, body).and_then(|()| self.sdp_for(core, to, body, false))
        };
        let Ok(sdp) = rewritten else {
            self.acknowledge_without_answer(core, to);
            return self.end(core, Cause::NoCodec, EndedBy::System, None);
        };
        if let Some(seq) = self.leg_mut(to).owed_ack.take() {
            let ack = send_ack(core, &self.leg(to).dialog, seq, Some((SDP, &sdp)));
            self.leg_mut(to).last_ack = Some((seq, ack));
        }
        let told = self.leg(from).told.clone();
        self.agree(from, body.into(), told);
        let described = std::mem::take(&mut self.leg_mut(to).described);
        self.agree(to, described, Some(sdp));
        self.watch_silence(core);
    }

    pub(super) fn acknowledge_without_answer(&mut self, core: &mut Core, leg: u16) {
        if let Some(seq) = self.leg_mut(leg).owed_ack.take() {
            send_ack(core, &self.leg(leg).dialog, seq, None);
        }
    }

    /// A 2xx to another INVITE of `leg` than its last: it comes again within the call, or follows
    /// the failure after which the INVITE was sent once more.
    pub(super) fn on_late_answer(
        &mut self,
        core: &mut Core,
        leg: u16,
        client: ClientHandle,
        msg: &Message<'_>,
    ) {
        let tag = msg.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        // The leg will not know this transaction when its call is over.
        core.transactions.ends(client, tag);
        self.on_further_answer(core, leg, msg, tag);
    }

    /// A 2xx beside the one that confirmed the leg, or after its end.
    fn on_further_answer(&mut self, core: &mut Core, leg: u16, msg: &Message<'_>, tag: &str) {
        // Also of a dialog that has had its BYE: its 2xx may have crossed that, and another BYE
        // would tell it nothing.
        let ours = match &self.leg(leg).dialog.remote_tag {
            Some(ours) => **ours == *tag,
            // RFC 2543 knew peers without a tag.
            None => tag.is_empty() && self.leg(leg).state != LegState::Gone,
        };
        if ours {
            self.acknowledge_again(core, leg, msg);
        } else {
            self.end_stray(core, leg, msg, tag);
        }
    }

    /// A 2xx came again: so does its ACK (RFC 3261 13.2.2.4), unless it still waits for an
    /// answer.
    pub(super) fn acknowledge_again(&mut self, core: &mut Core, leg: u16, msg: &Message<'_>) {
        let Ok(cseq) = msg.cseq() else { return };
        let state = self.leg(leg);
        if state.owed_ack == Some(cseq.number) {
            return;
        }
        match &state.last_ack {
            Some((seq, bytes)) if *seq == cseq.number => {
                let (flow, bytes) = (core.next_hop(&state.dialog), bytes.clone());
                core.io.retransmit(flow, bytes);
            }
            _ => send_ack_again(core, &self.leg(leg).dialog, cseq.number),
        }
    }

    /// A 2xx of another phone behind the same leg (RFC 3261 13.2.2.4), or of a leg given up:
    /// acknowledged each time, ended once.
    fn end_stray(&mut self, core: &mut Core, leg: u16, msg: &Message<'_>, tag: &str) {
        let known = self.leg(leg).strays.iter().any(|stray| **stray == *tag);
        let mut dialog = self.leg(leg).dialog.fork();
        dialog.complete(msg);
        let seq = msg.cseq().map_or(1, |cseq| cseq.number);
        send_ack(core, &dialog, seq, None);
        if !known && self.leg(leg).strays.len() < MAX_STRAYS {
            self.leg_mut(leg).strays.push(tag.into());
            // Past anything that was sent in its early form: PRACK, UPDATE.
            let seq = dialog.local_seq.max(seq) + MAX_EARLY_REQUESTS;
            let bye = InDialog { method: "BYE", seq, extra: b"", content: None };
            let bye = send(core, &dialog, &bye, None);
            keep_farewell(core, bye);
        }
    }

    /// The call is over and about to be forgotten: its INVITEs' transactions, which go on, know
    /// which dialogs have had their BYE.
    pub(crate) fn leave_strays(&self, core: &mut Core) {
        for leg in &self.legs {
            for client in leg.sent_invite().iter().chain(&leg.asked) {
                for tag in leg.strays.iter().chain(&leg.dialog.remote_tag) {
                    core.transactions.ends(*client, tag);
                }
            }
        }
    }

    /// Sends BYE on a leg whose 2xx was exchanged, or notes that it must wait for the ACK.
    pub(super) fn send_bye(&mut self, core: &mut Core, leg: u16, q850: u8) {
        self.leg_mut(leg).state = LegState::Leaving;
        self.stop_session(core, leg);
        self.acknowledge_without_answer(core, leg);
        if self.leg(leg).pending_ok.is_some() {
            // RFC 3261 15: the callee's side must not send BYE before the ACK.
            self.leg_mut(leg).bye_owed = true;
            return;
        }
        let seq = self.leg_mut(leg).dialog.next_seq();
        let reason = compose::reason_line(q850);
        let owner = self.owner(leg);
        let bye = InDialog { method: "BYE", seq, extra: &reason, content: None };
        let client = send(core, &self.leg(leg).dialog, &bye, Some(owner));
        let until = core.io.now.mono + F;
        let leg = self.leg_mut(leg);
        (leg.bye, leg.bye_until) = (Some(client), Some(until));
    }
}

/// A 2xx of a phone behind a fork whose call is over and forgotten (RFC 3261 13.2.2.4):
/// acknowledged each time, ended once.
pub(crate) fn end_orphan(core: &mut Core, client: ClientHandle, msg: &Message<'_>) {
    let Some(flow) = core.transactions.flow_of(client) else { return };
    let (Ok(call_id), Ok(from), Ok(cseq)) = (msg.call_id(), msg.from(), msg.cseq()) else { return };
    let Some(local) = msg.first(HeaderId::From) else { return };
    let mut dialog = Dialog {
        call_id: call_id.into(),
        local: local.into(),
        local_tag: from.tag().unwrap_or_default().into(),
        remote: Box::from([]),
        remote_tag: None,
        local_seq: cseq.number,
        remote_seq: None,
        target: "".into(),
        routes: Vec::new(),
        flow,
        by_flow: !core.is_trunk(flow),
        edition: 0,
        style: Style::default(),
    };
    dialog.complete(msg);
    send_ack(core, &dialog, cseq.number, None);
    if core.transactions.ends(client, dialog.remote_tag.as_deref().unwrap_or_default()) {
        let seq = cseq.number + MAX_EARLY_REQUESTS;
        let bye = InDialog { method: "BYE", seq, extra: b"", content: None };
        let bye = send(core, &dialog, &bye, None);
        keep_farewell(core, bye);
    }
}

/// What a 2xx of ours to an INVITE needs to know of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepting {
    pub(super) server: ServerHandle,
    /// Its CSeq number.
    pub(super) seq: u32,
    /// What it asks of a session timer.
    pub(super) session: Ask,
    /// The leg whose ACK waits for the answer in this one's.
    pub(super) answer_to: Option<u16>,
}

/// CSeq numbers left free for requests that an early dialog may have seen and that are forgotten.
const MAX_EARLY_REQUESTS: u32 = 64;
/// Phones behind one leg that may answer besides the first: a fork of more is an attack.
const MAX_STRAYS: usize = 16;
