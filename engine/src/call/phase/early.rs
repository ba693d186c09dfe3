//! Before the answer: ringing, early media, and branches that fail.

use crate::call::compose::SDP;
use crate::call::leg::Invite;
use crate::call::reliable::Progress;
use crate::call::{A, Call, LegState, Phase, session};
use crate::cause::Cause;
use crate::core::Core;
use crate::event::Event;
use crate::id::LegNumber;
use crate::sip::syntax::{HeaderId, Message};
use crate::sip::transaction::{CancelReason, ClientHandle};
use crate::timer::CallTimer;

use super::admit::REPEAT_RINGING;
use super::prack::Heard;

/// RFC 3261 9.1: how long a cancelled INVITE may stay without a final answer.
const CANCEL_PATIENCE: std::time::Duration = std::time::Duration::from_secs(32);

impl Call {
    /// An answer to the INVITE of a callee leg.
    pub(crate) fn on_invite_answer(
        &mut self,
        core: &mut Core,
        leg: u16,
        client: ClientHandle,
        status: u16,
        msg: &Message<'_>,
    ) {
        self.heard();
        if let Some(at) = self.exchange_of(client) {
            return self.on_exchange_answer(core, at, status, msg);
        }
        if self.leg(leg).invite != Invite::Sent(client) {
            if (200..300).contains(&status) {
                self.on_late_answer(core, leg, client, msg);
            }
            return;
        }
        // RFC 3261 21.5.4: who says when to come back is left alone until then, or for a while.
        if status == 503 && msg.first(HeaderId::RetryAfter).is_some() {
            self.note_dead(core, leg);
        } else {
            self.note_alive(core, leg);
        }
        match status {
            100 => {}
            101..=199 => self.on_ringing(core, leg, status, msg),
            200..=299 => self.on_answered(core, leg, msg),
            422 if self.ask_longer(core, leg, msg) => {}
            _ => {
                // RFC 3261 21.3: 305 and 380 mean something else than another place to call.
                if (300..=302).contains(&status) {
                    self.take_redirection(core, leg, status, msg);
                }
                self.on_refused(core, leg, status, q850_of(msg));
            }
        }
    }

    /// RFC 4028 7.3: the session timer was too short for the callee; the same INVITE asks for a
    /// longer one, once.
    fn ask_longer(&mut self, core: &mut Core, leg: u16, msg: &Message<'_>) -> bool {
        let again = self.leg(leg).invite_seq == 1 && self.leg(leg).state == LegState::Calling;
        let policy = self.leg(leg).policy.session_timer;
        let Some(min_se) = msg.leading_number(HeaderId::MinSe).filter(|_| again) else {
            return false;
        };
        let lines = session::opening(&policy, Some(min_se));
        self.invite_again(core, leg, &[HeaderId::SessionExpires, HeaderId::MinSe], &lines)
    }

    fn on_ringing(&mut self, core: &mut Core, leg: u16, status: u16, msg: &Message<'_>) {
        if self.leg(leg).state != LegState::Calling || self.dialling().is_none() {
            return;
        }
        let Heard::New(early) = self.early_dialog(core, leg, msg) else { return };
        let now = core.io.now.wall;
        let audible = matches!(status, 180 | 183);
        if audible && !self.leg(leg).ringing {
            self.leg_mut(leg).ringing = true;
            if let Some(record) = &mut *self.leg_mut(leg).record {
                record.ringing_at = Some(now);
            }
            self.record.ringing_at.get_or_insert(now);
            core.io.event(Event::LegRinging { call: self.id, leg: LegNumber(leg), at: now });
        }
        let body = msg.body();
        let has_sdp = !body.is_empty()
            && msg.content_type().is_some_and(|kind| kind.eq_ignore_ascii_case(SDP));
        if self.transfer().is_some() {
            return self.on_target_ringing(core, leg, status, has_sdp.then_some(body));
        }
        let Phase::Dialling(dialling) = &mut *self.phase else { return };
        // Of all callees, and of all phones behind one of them, one is heard.
        let mine = has_sdp
            && dialling.offer.is_some()
            && *dialling.early.get_or_insert(leg) == leg
            && *self.legs[usize::from(leg)].heard.get_or_insert(early.unwrap_or(0))
                == early.unwrap_or(0);
        let Phase::Dialling(dialling) = &*self.phase else { return };
        let extra = passed_progress(msg);
        if mine {
            if self.learn_remote(core, leg, body).is_ok()
                && let Ok(sdp) = self.sdp_for(core, A, body, false)
            {
                self.tell_progress(core, Progress { status, sdp: Some(sdp), extra });
            }
        } else if status == 180 && dialling.progress.is_none() && dialling.early.is_none() {
            self.tell_progress(core, Progress { status, sdp: None, extra });
        }
    }

    /// Rings on: the caller hears of it every minute (RFC 3261 13.3.1.1).
    pub(crate) fn repeat_ringing(&mut self, core: &mut Core) {
        let Phase::Dialling(dialling) = &*self.phase else { return };
        if let Some(mut progress) = dialling.progress.clone() {
            if self.leg(A).reliable.is_some() {
                // The description is agreed: RFC 3262 5 wants it once.
                progress.sdp = None;
            }
            self.tell_progress(core, progress);
        }
        let timer = core.io.arm(REPEAT_RINGING, self.timer(CallTimer::RepeatRinging));
        self.leg_mut(A).timer = Some(timer);
    }

    /// A callee's final answer that is no 2xx, or the lack of one (status 408).
    pub(crate) fn on_refused(&mut self, core: &mut Core, leg: u16, status: u16, q850: Option<u8>) {
        let was = self.leg(leg).state;
        let cause = Cause::of_answer(status, q850);
        let now = core.io.now.wall;
        if let Some(record) = &mut *self.leg_mut(leg).record {
            record.sip_status = status;
            if record.q850_cause == 0 {
                record.q850_cause = q850.unwrap_or_else(|| cause.q850());
            }
            if was == LegState::Calling {
                record.ended_at = now;
            }
        }
        self.leg_gone(core, leg);
        if was == LegState::Calling {
            if let Some(dialling) = self.dialling_mut() {
                dialling.given = q850;
            }
            core.io.event(Event::LegEnded {
                call: self.id,
                leg: LegNumber(leg),
                sip_status: status,
            });
            self.lose_early_media(core, leg);
            self.hunt_on(core, leg, status, cause);
        }
        self.settle(core);
    }

    /// A leg has failed by itself: the next way of its branch, or the next of the hunt.
    fn hunt_on(&mut self, core: &mut Core, leg: u16, status: u16, cause: Cause) {
        let Some(admitted) = self.admission() else { return };
        let place = self.leg(leg).place;
        // Another trunk or peer may carry the call, unless the callee's phone has rung.
        let retry = matches!(status, 408 | 500 | 502 | 503 | 504) && !self.leg(leg).ringing;
        if retry {
            let next = crate::call::leg::Place { attempt: place.attempt + 1, ..place };
            if self.dial_from(core, next, &admitted).is_ok() {
                return;
            }
        }
        if status >= 600 && self.ends_on_decline(place) {
            return self.declined(core, place, (status, cause));
        }
        if self.branch_still_rings(place) {
            return;
        }
        // RFC 3261 8.1.3.4: a failure below 600 leaves the other Contacts of a redirection.
        if status < 600 && self.follow(core, place, &admitted) {
            return;
        }
        // RFC 3261 16.7 (6): a 503 is the peer's; the caller would think it ours, and stay away.
        let told = if status == 503 { 500 } else { status };
        self.branch_failed(core, place.step, told, cause);
    }

    fn lose_early_media(&mut self, core: &mut Core, leg: u16) {
        if let Some(dialling) = self.dialling_mut()
            && dialling.early == Some(leg)
        {
            dialling.early = None;
            let side = dialling.onto;
            self.forget_remote(core, side);
        }
    }

    /// A callee has rung for its time.
    pub(crate) fn ring_over(&mut self, core: &mut Core, leg: u16) {
        let held = matches!(&*self.phase, Phase::Dialling(dialling)
            if dialling.held.iter().any(|(answered, _)| *answered == leg));
        self.leg_mut(leg).timer = None;
        // One that has answered and waits for the caller's PRACK rings no more.
        if self.leg(leg).state != LegState::Calling || leg == A || held {
            return;
        }
        let rang = self.leg(leg).ringing;
        let cause = if rang { Cause::NoAnswer } else { Cause::Timeout };
        let place = self.leg(leg).place;
        self.cancel_leg(core, leg, cause, CancelReason::Q850(19));
        self.lose_early_media(core, leg);
        if !self.branch_still_rings(place) {
            // Nobody picked up: for the caller that is no answer, whether it rang audibly or not.
            self.branch_failed(core, place.step, Cause::NoAnswer.status(), Cause::NoAnswer);
        }
        self.settle(core);
    }

    /// Cancels a callee leg that has no final answer.
    pub(super) fn cancel_leg(
        &mut self,
        core: &mut Core,
        leg: u16,
        cause: Cause,
        reason: CancelReason,
    ) {
        let Some(client) = self.leg(leg).sent_invite() else { return };
        core.io.disarm(self.leg_mut(leg).timer.take());
        let now = core.io.now.wall;
        if let Some(record) = &mut *self.leg_mut(leg).record {
            record.sip_status = 487;
            record.q850_cause = cause.q850();
            record.ended_at = now;
        }
        core.io.event(Event::LegEnded { call: self.id, leg: LegNumber(leg), sip_status: 487 });
        if core.transactions.cancel(&mut core.io, client, reason) {
            self.leg_mut(leg).state = LegState::Cancelling;
            let timer = core.io.arm(CANCEL_PATIENCE, self.timer(CallTimer::CancelOver { leg }));
            self.leg_mut(leg).timer = Some(timer);
        } else {
            self.leg_gone(core, leg);
        }
    }

    /// A cancelled leg stayed without a final answer.
    pub(crate) fn cancel_over(&mut self, core: &mut Core, leg: u16) {
        self.leg_mut(leg).timer = None;
        if self.leg(leg).state != LegState::Cancelling {
            return;
        }
        if let Some(client) = self.leg(leg).sent_invite() {
            core.transactions.abandon(&mut core.io, client);
        }
        self.leg_gone(core, leg);
        self.settle(core);
    }

    /// A leg is over: its channel and timer go back.
    pub(super) fn leg_gone(&mut self, core: &mut Core, leg: u16) {
        self.stop_session(core, leg);
        self.stop_progress(core, leg);
        let leg = self.leg_mut(leg);
        leg.state = LegState::Gone;
        leg.invite_sent = None;
        leg.early = Vec::new();
        let (timer, channel) = (leg.timer.take(), leg.channel.take());
        core.io.disarm(timer);
        if let Some(channel) = channel {
            core.usage.release(channel);
        }
    }
}

/// What passes to the caller with a provisional answer: who may send early media (RFC 5009).
fn passed_progress(msg: &Message<'_>) -> Box<[u8]> {
    let mut lines = Vec::new();
    for header in msg.fields(HeaderId::PEarlyMedia).take(1) {
        header.write_to(&mut lines);
    }
    lines.into()
}

/// The Q.850 cause in a Reason header (RFC 3326, RFC 6432).
pub(super) fn q850_of(msg: &Message<'_>) -> Option<u8> {
    let values = msg.all(HeaderId::Reason).filter_map(|value| std::str::from_utf8(value).ok());
    values.flat_map(|value| value.split(',')).find_map(|reason| {
        let mut parts = reason.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case("Q.850") {
            return None;
        }
        let cause = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("cause").then_some(value.trim())
        });
        cause?.parse().ok().filter(|cause| (1..=127).contains(cause))
    })
}
