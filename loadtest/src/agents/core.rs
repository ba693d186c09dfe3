//! What a calling and a called leg have in common: the dialog, the message that waits for an
//! answer, the session description, the times, and the requests that come in during a talk.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rsip::Method;

use super::dialog::{Action, Alarm, Dialog, Resender};
use super::message::Parsed;
use super::offer::{self, Direction};
use super::script::{Outcome, Side};

/// Shared part of a leg.
pub(crate) struct Core {
    pub(crate) dialog: Dialog,
    pub(crate) resender: Resender,
    /// Where we hear voice.
    pub(crate) ear: SocketAddr,
    pub(crate) sdp_id: u64,
    pub(crate) sdp_version: u64,
    pub(crate) times: Times,
    pub(crate) faults: Vec<String>,
    pub(crate) cut_short: bool,
    /// CSeq of the last request from the far end that was obeyed.
    seen: Option<u32>,
}

/// When things happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) started: Instant,
    pub(crate) ringing: Option<Instant>,
    pub(crate) answered: Option<Instant>,
    pub(crate) ended: Option<Instant>,
}

impl Times {
    pub(crate) fn until(&self, event: Option<Instant>) -> Option<Duration> {
        event.map(|at| at.duration_since(self.started))
    }

    pub(crate) fn talked(&self) -> Option<Duration> {
        Some(self.ended?.duration_since(self.answered?))
    }
}

/// What a request inside the dialog did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InDialog {
    /// The talk goes on.
    Goes,
    /// The far end hung up.
    HungUp,
}

impl Core {
    pub(crate) fn new(dialog: Dialog, ear: SocketAddr, sdp_id: u64, now: Instant) -> Core {
        let times = Times { started: now, ringing: None, answered: None, ended: None };
        Core {
            dialog,
            resender: Resender::default(),
            ear,
            sdp_id,
            sdp_version: 0,
            times,
            faults: Vec::new(),
            cut_short: false,
            seen: None,
        }
    }

    /// Our next session description.
    pub(crate) fn sdp(&mut self, direction: Direction) -> Vec<u8> {
        self.sdp_version += 1;
        offer::describe(self.sdp_id, self.sdp_version, self.ear, direction)
    }

    /// Speaks to where an offer or answer says; `allowed` is false before the answer.
    pub(crate) fn hear_sdp(&mut self, body: &[u8], allowed: bool, out: &mut Vec<Action>) {
        match offer::read(body) {
            Ok(media) => {
                let muted = !allowed || !media.direction.answer().sends();
                out.push(Action::Voice { to: media.address, muted });
            }
            Err(fault) => self.faults.push(fault),
        }
    }

    /// Hangs up.
    pub(crate) fn bye(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.times.ended.get_or_insert(now);
        out.push(Action::Hush);
        let (draft, _) = self.dialog.request(Method::Bye, Vec::new());
        self.resender.send(draft.bytes(), true, out);
    }

    /// Takes ACK, BYE, re-INVITE and the like while talking.
    pub(crate) fn in_dialog(
        &mut self,
        now: Instant,
        method: Method,
        request: &Parsed,
        out: &mut Vec<Action>,
    ) -> InDialog {
        if method == Method::Ack {
            self.resender.stop();
            return InDialog::Goes;
        }
        // RFC 3261 12.2.2: a number lower than the last is an error; the same is a repetition,
        // whose answer may have been lost.
        if self.seen.is_some_and(|seen| request.cseq < seen) {
            self.faults.push(format!("{method} with CSeq {} after a later one", request.cseq));
            out.push(self.answer(request, 500));
            return InDialog::Goes;
        }
        let repeated = self.seen == Some(request.cseq);
        self.seen = Some(request.cseq);
        match method {
            Method::Bye => {
                out.push(self.answer(request, 200));
                self.times.ended.get_or_insert(now);
                return InDialog::HungUp;
            }
            Method::Invite if repeated => {}
            Method::Invite => self.renegotiate(request, out),
            Method::Update if !request.body.is_empty() => {
                let direction = self.answering(request, out);
                let sdp = self.sdp(direction);
                let headers = self.dialog.contact_header();
                let answer = request.answer(200, &self.dialog.local_tag, headers).with_sdp(sdp);
                out.push(Action::Send(answer.bytes()));
            }
            Method::Update | Method::Options | Method::Info | Method::Message => {
                out.push(self.answer(request, 200));
            }
            _ => out.push(self.answer(request, 405)),
        }
        InDialog::Goes
    }

    /// Answers a re-INVITE; the 200 is repeated until its ACK (RFC 3261 13.3.1.4).
    fn renegotiate(&mut self, request: &Parsed, out: &mut Vec<Action>) {
        if let Some(contact) = &request.contact {
            self.dialog.target = contact.clone();
        }
        let direction = self.answering(request, out);
        let sdp = self.sdp(direction);
        let headers = self.dialog.contact_header();
        let answer = request.answer(200, &self.dialog.local_tag, headers).with_sdp(sdp);
        self.resender.send(answer.bytes(), true, out);
    }

    fn answering(&mut self, request: &Parsed, out: &mut Vec<Action>) -> Direction {
        if request.body.is_empty() {
            return Direction::SendRecv;
        }
        self.hear_sdp(&request.body, true, out);
        offer::read(&request.body).map_or(Direction::SendRecv, |media| media.direction.answer())
    }

    pub(crate) fn answer(&self, request: &Parsed, status: u16) -> Action {
        Action::Send(request.answer(status, &self.dialog.local_tag, Vec::new()).bytes())
    }
}

/// A leg of either kind.
pub(crate) trait Leg {
    fn core(&self) -> &Core;
    fn on_request(&mut self, now: Instant, method: Method, request: &Parsed, out: &mut Vec<Action>);
    fn on_response(&mut self, now: Instant, response: &Parsed, out: &mut Vec<Action>);
    fn on_alarm(&mut self, now: Instant, alarm: Alarm, out: &mut Vec<Action>);
    /// The run is over: end soon, by CANCEL or BYE.
    fn cut_short(&mut self, now: Instant, out: &mut Vec<Action>);
    /// What became of it, once it is over.
    fn outcome(&self) -> Option<&Outcome>;
    /// Whether it placed the call.
    fn placed(&self) -> bool;
    /// The repetition of the request that opened the dialog came in.
    fn on_repeated(&mut self, out: &mut Vec<Action>);
}

/// An answered leg that ended by BYE of this side or the other.
pub(crate) fn answered(ended_by: Side) -> Outcome {
    Outcome::Answered { ended_by }
}
