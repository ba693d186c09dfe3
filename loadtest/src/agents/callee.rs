//! A leg that takes a call: the INVITE server of a user agent (RFC 3261 13.3, 17.2.1).
//!
//! ```text
//!  Ringing ──Decide──▶ Answered ──ACK──▶ Talking ──BYE in / out──▶ Done
//!     │                   └──────────BYE in──────────────────────────▲
//!     └──Decide, CANCEL──▶ Refusing ──ACK────────────────────────────┘
//! ```

use std::time::Instant;

use rsip::Method;

use super::core::{Core, InDialog, Leg, answered};
use super::dialog::{Action, Alarm, Resent};
use super::message::Parsed;
use super::offer::Direction;
use super::script::{Behaviour, Outcome, Ringing, Side, Then};

#[derive(Debug)]
enum State {
    Ringing,
    Answered,
    Talking,
    Refusing(Outcome),
    HangingUp,
    /// Nobody is there; whatever comes is not answered.
    Silent,
    Done(Outcome),
}

/// A called leg.
pub(crate) struct Callee {
    core: Core,
    behaviour: Behaviour,
    state: State,
    invite: Parsed,
    /// The last answer, sent again when the INVITE comes again (RFC 3261 17.2.1).
    last: Vec<u8>,
}

impl Callee {
    pub(crate) fn new(core: Core, behaviour: Behaviour, invite: Parsed) -> Callee {
        Callee { core, behaviour, state: State::Ringing, invite, last: Vec::new() }
    }

    pub(crate) fn start(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.behaviour.then == Then::Silent {
            self.state = State::Silent;
            return;
        }
        self.provisional(100, None, out);
        match self.behaviour.rings {
            Ringing::Quiet => {}
            Ringing::Alerting => self.provisional(180, None, out),
            Ringing::EarlyMedia => {
                let sdp = self.core.sdp(Direction::SendRecv);
                self.provisional(183, Some(sdp), out);
                let invite = std::mem::take(&mut self.invite.body);
                self.core.hear_sdp(&invite, true, out);
                self.invite.body = invite;
            }
        }
        self.core.times.ringing = Some(now);
        match self.behaviour.then {
            Then::Answers { after, .. } | Then::Refuses { after, .. } => {
                out.push(Action::After(after, Alarm::Decide));
            }
            Then::RingsOn | Then::Silent => {}
        }
    }

    fn provisional(&mut self, status: u16, sdp: Option<Vec<u8>>, out: &mut Vec<Action>) {
        let headers = if status > 100 { self.core.dialog.contact_header() } else { Vec::new() };
        let mut draft = self.invite.answer(status, &self.core.dialog.local_tag, headers);
        if let Some(sdp) = sdp {
            draft = draft.with_sdp(sdp);
        }
        self.last = draft.bytes();
        out.push(Action::Send(self.last.clone()));
    }

    fn accept(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.core.times.answered = Some(now);
        let offer = std::mem::take(&mut self.invite.body);
        self.core.hear_sdp(&offer, true, out);
        let sdp = self.core.sdp(Direction::SendRecv);
        let headers = self.core.dialog.contact_header();
        let answer = self.invite.answer(200, &self.core.dialog.local_tag, headers).with_sdp(sdp);
        self.last = answer.bytes();
        self.core.resender.send(self.last.clone(), true, out);
        self.state = State::Answered;
    }

    fn refuse(&mut self, status: u16, outcome: Outcome, out: &mut Vec<Action>) {
        self.last = self.invite.answer(status, &self.core.dialog.local_tag, Vec::new()).bytes();
        self.core.resender.send(self.last.clone(), true, out);
        self.state = State::Refusing(outcome);
    }

    fn finish(&mut self, now: Instant, outcome: Outcome, out: &mut Vec<Action>) {
        self.core.resender.stop();
        self.core.times.ended.get_or_insert(now);
        self.state = State::Done(outcome);
        out.push(Action::Ended);
    }

    fn on_ack(&mut self, now: Instant, out: &mut Vec<Action>) {
        match &self.state {
            State::Answered => {
                self.core.resender.stop();
                self.state = State::Talking;
                if let Then::Answers { hangs_up_after: Some(after), .. } = self.behaviour.then {
                    out.push(Action::After(after, Alarm::HangUp));
                }
            }
            State::Refusing(outcome) => {
                let outcome = outcome.clone();
                self.finish(now, outcome, out);
            }
            // The ACK of a re-INVITE.
            State::Talking => self.core.resender.stop(),
            State::Ringing => self.core.faults.push("ACK before the answer".to_owned()),
            State::HangingUp | State::Silent | State::Done(_) => {}
        }
    }
}

impl Leg for Callee {
    fn core(&self) -> &Core {
        &self.core
    }

    fn on_request(
        &mut self,
        now: Instant,
        method: Method,
        request: &Parsed,
        out: &mut Vec<Action>,
    ) {
        match (method, &self.state) {
            (_, State::Silent) => {}
            (Method::Ack, _) => self.on_ack(now, out),
            (Method::Cancel, state) => {
                let ringing = matches!(state, State::Ringing);
                out.push(self.core.answer(request, 200));
                if ringing {
                    self.refuse(487, Outcome::Stopped, out);
                }
            }
            (_, State::Ringing | State::Refusing(_)) => {
                self.core.faults.push(format!("{method} before the answer"));
                out.push(self.core.answer(request, 481));
            }
            (_, State::Answered | State::Talking | State::HangingUp | State::Done(_)) => {
                if self.core.in_dialog(now, method, request, out) == InDialog::HungUp
                    && matches!(self.state, State::Answered | State::Talking)
                {
                    self.finish(now, answered(Side::Far), out);
                }
            }
        }
    }

    fn on_response(&mut self, now: Instant, response: &Parsed, out: &mut Vec<Action>) {
        let ours = matches!(self.state, State::HangingUp) && response.cseq_method == Method::Bye;
        if ours && response.status() >= 200 {
            if response.status() != 200 {
                self.core.faults.push(format!("BYE was answered {}", response.status()));
            }
            self.finish(now, answered(Side::Near), out);
        }
    }

    fn on_alarm(&mut self, now: Instant, alarm: Alarm, out: &mut Vec<Action>) {
        match (alarm, &self.state) {
            (Alarm::Resend(serial), _) => {
                if self.core.resender.on_alarm(serial, out) == Resent::GaveUp {
                    self.core.faults.push("no answer for 32 s".to_owned());
                    self.finish(now, Outcome::Lost, out);
                }
            }
            (Alarm::Decide, State::Ringing) => match self.behaviour.then {
                Then::Answers { .. } => self.accept(now, out),
                Then::Refuses { status, .. } => self.refuse(status, Outcome::Refused(status), out),
                Then::RingsOn | Then::Silent => {}
            },
            (Alarm::HangUp, State::Talking) => {
                self.core.bye(now, out);
                self.state = State::HangingUp;
            }
            (
                Alarm::HangUp
                | Alarm::Decide
                | Alarm::GiveUpRinging
                | Alarm::Overdue
                | Alarm::Refresh,
                _,
            ) => {}
        }
    }

    /// A callee's leg ends because the caller's does.
    fn cut_short(&mut self, _now: Instant, _out: &mut Vec<Action>) {
        self.core.cut_short = true;
    }

    fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            State::Done(outcome) => Some(outcome),
            // Nothing more will come of it.
            State::Silent => Some(&Outcome::Stopped),
            _ => None,
        }
    }

    fn placed(&self) -> bool {
        false
    }

    fn on_repeated(&mut self, out: &mut Vec<Action>) {
        if matches!(self.state, State::Ringing | State::Refusing(_)) {
            out.push(Action::Send(self.last.clone()));
        }
    }
}
