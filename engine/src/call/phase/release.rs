//! The end: every leg is ended in its own way, the channels and ports go back, and the record
//! is written.

use std::time::Duration;

use crate::call::compose::{Answer, answer, reason_line};
use crate::call::leg::Invite;
use crate::call::record::EndNote;
use crate::call::{A, Call, Far, LegState, Phase, Purpose};
use crate::cause::Cause;
use crate::cdr::EndedBy;
use crate::core::Core;
use crate::media::{SessionId, SideCounters};
use crate::refusals::retry_after;
use crate::sip::syntax::Message;
use crate::sip::transaction::{CancelReason, ClientHandle};
use crate::timer::CallTimer;

use super::early::q850_of;

/// How long a record waits for the last answers of cancelled legs.
pub(super) const RECORD_PATIENCE: Duration = Duration::from_secs(4);

impl Call {
    /// Ends the call. `status` overrides what the caller gets when nobody had answered.
    pub(crate) fn end(&mut self, core: &mut Core, cause: Cause, by: EndedBy, status: Option<u16>) {
        self.end_as(core, cause, by, (status, None));
    }

    /// Ends the call with a Q.850 cause that a peer gave.
    pub(super) fn end_as(
        &mut self,
        core: &mut Core,
        cause: Cause,
        by: EndedBy,
        (status, q850): (Option<u16>, Option<u8>),
    ) {
        if self.record.end.is_some() {
            return;
        }
        let status = status.unwrap_or_else(|| self.status_for(cause));
        let q850 = q850.unwrap_or_else(|| cause.q850());
        for exchange in std::mem::take(&mut *self.exchanges) {
            // RFC 3261 15.1.2: requests pending when the dialog ends get 487.
            if let Purpose::Passed(asked) = exchange.purpose {
                self.refuse(core, asked.leg, asked.server, 487, b"");
            }
            if matches!(exchange.far, Far::Invite(_)) {
                core.transactions.let_go(&mut core.io, exchange.client);
            }
        }
        self.touch();
        let held = match &mut *self.phase {
            Phase::Dialling(dialling) => std::mem::take(&mut dialling.held),
            Phase::Talking(_) | Phase::Ended => Vec::new(),
        };
        *self.phase = Phase::Ended;
        for (leg, bytes) in held {
            // It had answered and waited for the caller's PRACK: acknowledged and ended.
            if let Ok(msg) = Message::parse_datagram(&bytes) {
                self.on_answered(core, leg, &msg);
            }
        }
        self.end_caller(core, (status, q850), by);
        let reason = match (cause, q850) {
            // Nothing but that the caller gave up.
            (Cause::Cancelled, 16) => CancelReason::Caller,
            (_, q850) => CancelReason::Q850(q850),
        };
        for leg in 1..self.legs.len() as u16 {
            match self.leg(leg).state {
                LegState::Calling if self.leg(leg).replaces.is_some() => {
                    self.replacing_failed(core, leg, 487);
                }
                LegState::Calling => {
                    self.cancel_leg(core, leg, cause, reason);
                }
                LegState::Up => self.send_bye(core, leg, q850),
                LegState::Cancelling | LegState::Leaving | LegState::Gone => {}
            }
        }
        if let Some(media) = &*self.media {
            media.close(core);
        }
        if let Some(place) = self.did_call.take() {
            core.usage.leave(place);
        }
        self.note_end(core, EndNote { cause, status, q850, by });
        core.io.arm(RECORD_PATIENCE, self.timer(CallTimer::RecordDue));
        self.settle(core);
    }

    fn status_for(&self, cause: Cause) -> u16 {
        match cause {
            // RFC 3261 16.3 (3): a request without hops left.
            Cause::Loop if self.legs.len() == 1 => 483,
            cause => cause.status(),
        }
    }

    fn end_caller(&mut self, core: &mut Core, (status, q850): (u16, u8), by: EndedBy) {
        match self.leg(A).state {
            LegState::Calling => {
                if let Invite::Received(server) = self.leg(A).invite {
                    let mut extra = reason_line(q850);
                    // A full trunk towards the callee is no reason to keep other calls away.
                    if status == 503 && by == EndedBy::System {
                        extra.extend_from_slice(retry_after(&mut core.io.rng).as_bytes());
                    }
                    let tag = self.leg(A).dialog.local_tag.clone();
                    let refusal = Answer {
                        status,
                        tag: Some(&tag),
                        extra: &extra,
                        contact: None,
                        content: None,
                    };
                    answer(core, server, &refusal);
                }
                self.leg_gone(core, A);
            }
            LegState::Up => self.send_bye(core, A, q850),
            LegState::Cancelling | LegState::Leaving | LegState::Gone => {}
        }
    }

    /// An INVITE that would have taken the place of another leg has its final answer.
    pub(super) fn replacing_failed(&mut self, core: &mut Core, leg: u16, status: u16) {
        let now = core.io.now.wall;
        if let Some(record) = &mut *self.leg_mut(leg).record {
            (record.sip_status, record.ended_at) = (status, now);
        }
        self.leg_gone(core, leg);
    }

    /// Writes the record as soon as nothing can change it any more.
    pub(super) fn settle(&mut self, core: &mut Core) {
        if self.record.end.is_none() || self.record.written {
            return;
        }
        let waiting = self.legs.iter().skip(1).any(|leg| leg.state == LegState::Cancelling);
        let counted = self.media.is_none() || self.record.media.is_some();
        if !waiting && counted {
            self.write_record(core);
        }
    }

    /// Cancelled legs kept silent: the record is written without their last answers.
    pub(crate) fn record_due(&mut self, core: &mut Core) {
        self.write_record(core);
    }

    /// The relay has closed the session: these are its last counters.
    pub(crate) fn media_closed(&mut self, core: &mut Core, a: SideCounters, b: SideCounters) {
        self.record.media = Some((a, b));
        self.touch();
        self.settle(core);
    }

    /// The relay could not bind the ports.
    pub(crate) fn media_failed(&mut self, core: &mut Core) {
        let ended = self.record.end.is_some();
        // A call that ended meanwhile has given its ports back, and others may have them.
        if let Some(media) = self.media.take()
            && !ended
        {
            media.retire(core);
        }
        self.end(core, Cause::Overload, EndedBy::System, None);
        self.settle(core);
    }

    /// Nobody has sent media for too long.
    pub(crate) fn media_idle(&mut self, core: &mut Core) {
        self.end(core, Cause::MediaTimeout, EndedBy::System, None);
    }

    /// The caller cancelled (RFC 3261 9.2), with the cause that its network gives (RFC 3326).
    pub(crate) fn cancelled(&mut self, core: &mut Core, leg: u16, msg: &Message<'_>) {
        if let Some(old) = self.leg(leg).replaces {
            // It would have taken the place of another, which stays.
            self.drop_exchanges(core, leg);
            self.replacing_failed(core, leg, 487);
            if let Some(kept) = self.other(old) {
                self.rejoin(core, kept, old, None);
            }
            return;
        }
        if self.leg(A).state == LegState::Calling {
            self.end_as(core, Cause::Cancelled, EndedBy::Caller, (None, q850_of(msg)));
        }
    }

    /// A final answer to a request of ours within a dialog.
    pub(crate) fn on_other_answer(
        &mut self,
        core: &mut Core,
        leg: u16,
        client: ClientHandle,
        status: u16,
        msg: &Message<'_>,
    ) {
        if self.probed(core, leg, client, status) {
            return;
        }
        self.heard();
        match self.exchange_of(client) {
            Some(at) => self.on_exchange_answer(core, at, status, msg),
            None => self.bye_answered(core, leg, client),
        }
    }

    /// No final answer came to a request of ours: `status` stands for it.
    pub(crate) fn on_no_answer(
        &mut self,
        core: &mut Core,
        leg: u16,
        client: ClientHandle,
        status: u16,
    ) {
        if self.probed(core, leg, client, status) || self.exchange_failed(core, client, status) {
            return;
        }
        if self.leg(leg).sent_invite() == Some(client) {
            if matches!(self.leg(leg).state, LegState::Calling | LegState::Cancelling) {
                self.note_dead(core, leg);
                self.retry_by_udp(leg);
                self.on_refused(core, leg, status, None);
            }
        } else {
            self.bye_answered(core, leg, client);
        }
    }

    /// The relay session, while the call has one.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.media.as_ref().map(|media| media.session)
    }

    /// Our BYE on `leg` was answered, or never will be.
    fn bye_answered(&mut self, core: &mut Core, leg: u16, client: ClientHandle) {
        if self.leg(leg).state == LegState::Leaving && self.leg(leg).bye == Some(client) {
            self.leg_gone(core, leg);
        }
    }
}
