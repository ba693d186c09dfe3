//! A leg that places a call: the INVITE client of a user agent (RFC 3261 13.2, 17.1.1).
//!
//! ```text
//!  Calling ──1xx──▶ Proceeding ──2xx──▶ Talking ──BYE out──▶ HangingUp ──200──▶ Done
//!     │                │    └─give up─▶ Cancelling ──487──▶ Done         BYE in ▲
//!     └──300–699───────┴────────────────────────────────────────────────────────┘
//! ```
//! A 2xx that crosses the CANCEL is acknowledged and ended with BYE, and counts as cancelled.

use std::time::{Duration, Instant};

use rsip::{Header, Method};

use super::core::{Core, InDialog, Leg, answered};
use super::dialog::{Action, Alarm, GIVE_UP, Resent};
use super::digest::{Challenge, Signed};
use super::message::{Parsed, other};
use super::offer::Direction;
use super::script::{CallScript, Outcome, Side};

/// How long to wait for a BYE that the other side's script has promised.
const PATIENCE: Duration = Duration::from_secs(180);

/// User and password of an agent that is challenged.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

#[derive(Debug)]
enum State {
    Calling,
    Proceeding,
    Cancelling,
    Talking,
    HangingUp(Outcome),
    Done(Outcome),
}

/// A calling leg.
pub(crate) struct Caller {
    core: Core,
    script: CallScript,
    state: State,
    identity: Vec<Header>,
    credentials: Option<Credentials>,
    tried: Option<Challenge>,
    invite: Invite,
    /// The last ACK, for answers that come again.
    ack: Vec<u8>,
    /// Give up as soon as a provisional answer allows CANCEL (RFC 3261 9.1).
    wants_cancel: bool,
}

#[derive(Debug, Default)]
struct Invite {
    cseq: u32,
    branch: String,
}

impl Caller {
    pub(crate) fn new(
        core: Core,
        script: CallScript,
        identity: Vec<Header>,
        credentials: Option<Credentials>,
    ) -> Caller {
        Caller {
            core,
            script,
            state: State::Calling,
            identity,
            credentials,
            tried: None,
            invite: Invite::default(),
            ack: Vec::new(),
            wants_cancel: false,
        }
    }

    pub(crate) fn script(&self) -> &CallScript {
        &self.script
    }

    pub(crate) fn start(&mut self, out: &mut Vec<Action>) {
        self.invite(Vec::new(), out);
        if let Some(after) = self.script.cancels_after {
            out.push(Action::After(after, Alarm::GiveUpRinging));
        }
    }

    fn invite(&mut self, extra: Vec<Header>, out: &mut Vec<Action>) {
        let sdp = self.core.sdp(Direction::SendRecv);
        let mut headers = self.identity.clone();
        headers.push(other("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO"));
        headers.extend(extra);
        let (draft, branch) = self.core.dialog.request(Method::Invite, headers);
        self.invite = Invite { cseq: self.core.dialog.cseq, branch };
        self.core.resender.send(draft.with_sdp(sdp).bytes(), false, out);
    }

    fn on_invite_response(&mut self, now: Instant, response: &Parsed, out: &mut Vec<Action>) {
        if response.cseq != self.invite.cseq {
            // The refusal of an INVITE without credentials, again.
            return;
        }
        let status = response.status();
        match (&self.state, status) {
            (State::Calling | State::Proceeding | State::Cancelling, 100..=199) => {
                self.on_provisional(now, response, out);
            }
            (State::Calling | State::Proceeding, 200..=299) => {
                self.on_answer(now, response, out);
                if self.wants_cancel {
                    self.hang_up(now, Outcome::Cancelled, out);
                } else {
                    self.state = State::Talking;
                    let talks = self.script.talks;
                    out.push(Action::After(talks.unwrap_or(PATIENCE), Alarm::HangUp));
                }
            }
            (State::Cancelling, 200..=299) => {
                self.on_answer(now, response, out);
                self.hang_up(now, Outcome::Cancelled, out);
            }
            (State::Calling | State::Proceeding | State::Cancelling, 300..) => {
                self.core.resender.stop();
                if matches!(status, 401 | 407) && self.sign_again(response, out) {
                    return;
                }
                self.acknowledge_refusal(response, out);
                let cancelled = matches!(self.state, State::Cancelling) && status == 487;
                let outcome = if cancelled { Outcome::Cancelled } else { Outcome::Refused(status) };
                self.finish(now, outcome, out);
            }
            (State::Talking | State::HangingUp(_) | State::Done(_), 200..=299) => {
                if response.to_tag != self.core.dialog.remote_tag {
                    self.core.faults.push("a second 200 with another tag".to_owned());
                }
                out.push(Action::Send(self.ack.clone()));
            }
            (State::Done(_), 300..) => out.push(Action::Send(self.ack.clone())),
            (State::Talking | State::HangingUp(_) | State::Done(_), _) => {}
            (State::Calling | State::Proceeding | State::Cancelling, _) => {
                self.core.faults.push(format!("status {status}"));
            }
        }
    }

    fn on_provisional(&mut self, now: Instant, response: &Parsed, out: &mut Vec<Action>) {
        // RFC 3261 17.1.1.2: any provisional answer ends the repetition of INVITE; the CANCEL
        // that may be pending goes on.
        if matches!(self.state, State::Calling) {
            self.core.resender.stop();
            self.state = State::Proceeding;
        }
        if response.status() > 100 {
            self.core.times.ringing.get_or_insert(now);
            if !response.body.is_empty() {
                self.core.hear_sdp(&response.body, false, out);
            }
        }
        if self.wants_cancel && matches!(self.state, State::Proceeding) {
            self.cancel(out);
        }
    }

    fn on_answer(&mut self, now: Instant, response: &Parsed, out: &mut Vec<Action>) {
        self.core.resender.stop();
        self.core.times.answered = Some(now);
        self.core.dialog.remote_tag = response.to_tag.clone();
        match &response.contact {
            Some(contact) => self.core.dialog.target = contact.clone(),
            None => self.core.faults.push("200 to INVITE without Contact".to_owned()),
        }
        self.ack = self.core.dialog.ack(self.invite.cseq, Vec::new());
        out.push(Action::Send(self.ack.clone()));
        self.core.hear_sdp(&response.body, true, out);
    }

    fn acknowledge_refusal(&mut self, response: &Parsed, out: &mut Vec<Action>) {
        let mut dialog = self.core.dialog.clone();
        dialog.remote_tag = response.to_tag.clone();
        self.ack = dialog.companion(Method::Ack, self.invite.cseq, &self.invite.branch);
        out.push(Action::Send(self.ack.clone()));
    }

    /// Repeats the INVITE with credentials; false when there are none or they were refused.
    fn sign_again(&mut self, response: &Parsed, out: &mut Vec<Action>) -> bool {
        let Some(credentials) = self.credentials.clone() else { return false };
        if matches!(self.state, State::Cancelling) {
            return false;
        }
        let (asks, answers) = match response.status() {
            407 => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => ("WWW-Authenticate", "Authorization"),
        };
        let Some(challenge) = Challenge::choose(&response.all(asks)) else { return false };
        if self.tried.is_some() && !challenge.is_stale() {
            return false;
        }
        self.acknowledge_refusal(response, out);
        let value = challenge.sign(&Signed {
            user: &credentials.user,
            password: &credentials.password,
            method: "INVITE",
            uri: &self.core.dialog.target,
            cnonce: &self.core.dialog.local_tag,
            count: 1,
        });
        self.tried = Some(challenge);
        self.invite(vec![other(answers, value)], out);
        self.state = State::Calling;
        true
    }

    fn cancel(&mut self, out: &mut Vec<Action>) {
        let Invite { cseq, branch } = &self.invite;
        let bytes = self.core.dialog.companion(Method::Cancel, *cseq, branch);
        self.core.resender.send(bytes, true, out);
        out.push(Action::After(GIVE_UP, Alarm::Overdue));
        self.state = State::Cancelling;
    }

    fn hang_up(&mut self, now: Instant, outcome: Outcome, out: &mut Vec<Action>) {
        self.core.bye(now, out);
        self.state = State::HangingUp(outcome);
    }

    fn finish(&mut self, now: Instant, outcome: Outcome, out: &mut Vec<Action>) {
        self.core.times.ended.get_or_insert(now);
        self.state = State::Done(outcome);
        out.push(Action::Ended);
    }
}

impl Leg for Caller {
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
        match self.core.in_dialog(now, method, request, out) {
            InDialog::Goes => {}
            InDialog::HungUp => match &self.state {
                State::Talking => {
                    // The 200 of a re-INVITE that will never be acknowledged now.
                    self.core.resender.stop();
                    self.finish(now, answered(Side::Far), out);
                }
                // Both hung up at once; our own BYE is still to be answered.
                State::HangingUp(_) | State::Done(_) => {}
                State::Calling | State::Proceeding | State::Cancelling => {
                    self.core.faults.push("BYE before the answer".to_owned());
                }
            },
        }
    }

    fn on_response(&mut self, now: Instant, response: &Parsed, out: &mut Vec<Action>) {
        match response.cseq_method {
            Method::Invite => self.on_invite_response(now, response, out),
            Method::Cancel if matches!(self.state, State::Cancelling) => self.core.resender.stop(),
            Method::Bye if response.status() >= 200 => {
                self.core.resender.stop();
                if let State::HangingUp(outcome) = &self.state {
                    let outcome = outcome.clone();
                    if response.status() != 200 {
                        self.core.faults.push(format!("BYE was answered {}", response.status()));
                    }
                    self.finish(now, outcome, out);
                }
            }
            _ => {}
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
            (Alarm::HangUp, State::Talking) => {
                if self.script.talks.is_none() && !self.core.cut_short {
                    self.core.faults.push("the other side never hung up".to_owned());
                }
                self.hang_up(now, answered(Side::Near), out);
            }
            (Alarm::GiveUpRinging, State::Calling) => self.wants_cancel = true,
            (Alarm::GiveUpRinging, State::Proceeding) => self.cancel(out),
            (Alarm::Overdue, State::Cancelling) => {
                self.core.faults.push("no final answer 32 s after CANCEL".to_owned());
                self.finish(now, Outcome::Lost, out);
            }
            (
                Alarm::HangUp
                | Alarm::GiveUpRinging
                | Alarm::Overdue
                | Alarm::Decide
                | Alarm::Refresh,
                _,
            ) => {}
        }
    }

    fn cut_short(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.core.cut_short = true;
        match self.state {
            State::Calling | State::Proceeding => self.on_alarm(now, Alarm::GiveUpRinging, out),
            State::Talking => self.on_alarm(now, Alarm::HangUp, out),
            State::Cancelling | State::HangingUp(_) | State::Done(_) => {}
        }
    }

    fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            State::Done(outcome) => Some(outcome),
            _ => None,
        }
    }

    fn placed(&self) -> bool {
        true
    }

    fn on_repeated(&mut self, _out: &mut Vec<Action>) {}
}
