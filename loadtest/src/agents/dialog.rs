//! The dialog state that both kinds of leg share (RFC 3261 12), and how requests and answers
//! inside it are written.

use std::net::SocketAddr;
use std::time::Duration;

use rsip::headers::untyped::UntypedHeader;
use rsip::{Header, Method};

use super::message::{Draft, Parsed};

/// RFC 3261 17.1.1.1: estimate of the round trip.
pub(crate) const T1: Duration = Duration::from_millis(500);
/// RFC 3261 17.1.2.1: the longest pause between two sendings of a non-INVITE request or of an
/// answer.
pub(crate) const T2: Duration = Duration::from_secs(4);
/// RFC 3261 17.1.1.2 timer B, 17.1.2.2 timer F, 17.2.1 timer H: 64*T1.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(32);

/// What a leg asks of the world.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send to the far end.
    Send(Vec<u8>),
    /// Wake me.
    After(Duration, Alarm),
    /// Speak to this address from now on (muted: only listen).
    Voice { to: SocketAddr, muted: bool },
    /// Speak no more.
    Hush,
    /// The leg is over.
    Ended,
}

/// Why a leg is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// Send the pending message again; stale when its serial is not the pending one's.
    Resend(u32),
    /// The callee answers or refuses.
    Decide,
    /// Send BYE.
    HangUp,
    /// Send CANCEL.
    GiveUpRinging,
    /// Renew the registration.
    Refresh,
    /// The answer to CANCEL or the wait for BYE took too long.
    Overdue,
}

/// A message sent again until something comes back.
#[derive(Debug)]
pub(crate) struct Pending {
    bytes: Vec<u8>,
    interval: Duration,
    waited: Duration,
    capped: bool,
}

/// The pending message of a leg, if any, and how often it was repeated.
#[derive(Debug, Default)]
pub(crate) struct Resender {
    pending: Option<Pending>,
    serial: u32,
    pub(crate) retransmissions: u32,
}

/// What came of a resend alarm.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resent {
    /// It was sent again, or the alarm was stale.
    Yes,
    /// 64*T1 have passed in silence.
    GaveUp,
}

impl Resender {
    /// Sends now and again until [`Resender::stop`]. `capped`: pauses grow to T2 only, as for
    /// everything but INVITE.
    pub(crate) fn send(&mut self, bytes: Vec<u8>, capped: bool, out: &mut Vec<Action>) {
        self.serial += 1;
        out.push(Action::Send(bytes.clone()));
        out.push(Action::After(T1, Alarm::Resend(self.serial)));
        self.pending = Some(Pending { bytes, interval: T1, waited: T1, capped });
    }

    pub(crate) fn stop(&mut self) {
        self.pending = None;
    }

    pub(crate) fn on_alarm(&mut self, serial: u32, out: &mut Vec<Action>) -> Resent {
        let Some(pending) = self.pending.as_mut().filter(|_| serial == self.serial) else {
            return Resent::Yes;
        };
        if pending.waited >= GIVE_UP {
            self.pending = None;
            return Resent::GaveUp;
        }
        self.retransmissions += 1;
        pending.interval *= 2;
        if pending.capped {
            pending.interval = pending.interval.min(T2);
        }
        let next = pending.interval.min(GIVE_UP - pending.waited);
        pending.waited += next;
        out.push(Action::Send(pending.bytes.clone()));
        out.push(Action::After(next, Alarm::Resend(serial)));
        Resent::Yes
    }
}

/// One side of a dialog.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    /// Our name-addr, without tag.
    pub(crate) local: String,
    pub(crate) local_tag: String,
    /// Their name-addr, without tag.
    pub(crate) remote: String,
    pub(crate) remote_tag: Option<String>,
    /// Request-URI of our next request: their Contact.
    pub(crate) target: String,
    /// Our address: sent-by of Via and host of Contact.
    pub(crate) near: SocketAddr,
    pub(crate) cseq: u32,
    /// Branches made so far.
    pub(crate) branches: u32,
}

impl Dialog {
    /// The dialog of a request that came in (RFC 3261 12.1.1).
    pub(crate) fn of_callee(invite: &Parsed, local_tag: String, near: SocketAddr) -> Dialog {
        let name = |header: &str| {
            let value = invite.header(header).unwrap_or_default();
            value.split(";tag=").next().unwrap_or_default().to_owned()
        };
        Dialog {
            call_id: invite.call_id.clone(),
            local: name("To"),
            local_tag,
            remote: name("From"),
            remote_tag: Some(invite.from_tag.clone()),
            target: invite.contact.clone().unwrap_or_default(),
            near,
            cseq: 0,
            branches: 0,
        }
    }

    /// A branch that is unique because the tag is (RFC 3261 8.1.1.7).
    fn branch(&mut self) -> String {
        self.branches += 1;
        format!("z9hG4bK{}{}", self.local_tag, self.branches)
    }

    /// A new request of this dialog, with its own CSeq and branch, and the branch.
    pub(crate) fn request(&mut self, method: Method, extra: Vec<Header>) -> (Draft, String) {
        self.cseq += 1;
        let branch = self.branch();
        let cseq = self.cseq;
        (self.draft(method, cseq, &branch, extra), branch)
    }

    /// ACK of a 2xx: a transaction of its own with the INVITE's number (RFC 3261 13.2.2.4).
    pub(crate) fn ack(&mut self, cseq: u32, extra: Vec<Header>) -> Vec<u8> {
        let branch = self.branch();
        self.draft(Method::Ack, cseq, &branch, extra).bytes()
    }

    /// CANCEL, or ACK of a refusal: the INVITE's own branch and number (RFC 3261 9.1, 17.1.1.3).
    pub(crate) fn companion(&self, method: Method, cseq: u32, branch: &str) -> Vec<u8> {
        self.draft(method, cseq, branch, Vec::new()).bytes()
    }

    fn draft(&self, method: Method, cseq: u32, branch: &str, extra: Vec<Header>) -> Draft {
        use rsip::headers::{CSeq, CallId, Contact, From, MaxForwards, To, Via};
        let to = match &self.remote_tag {
            Some(tag) => format!("{};tag={tag}", self.remote),
            None => self.remote.clone(),
        };
        let mut headers: Vec<Header> = vec![
            Via::new(format!("SIP/2.0/UDP {};branch={branch};rport", self.near)).into(),
            MaxForwards::new("70").into(),
            From::new(format!("{};tag={}", self.local, self.local_tag)).into(),
            To::new(to).into(),
            CallId::new(self.call_id.as_str()).into(),
            CSeq::new(format!("{cseq} {method}")).into(),
        ];
        if matches!(method, Method::Invite | Method::Update) {
            headers.push(Contact::new(self.contact()).into());
        }
        headers.extend(extra);
        Draft::request(method, &self.target, headers)
    }

    /// Our Contact.
    pub(crate) fn contact(&self) -> String {
        format!("<sip:agent@{}>", self.near)
    }

    /// Headers of an answer that establishes or refreshes the dialog.
    pub(crate) fn contact_header(&self) -> Vec<Header> {
        vec![rsip::headers::Contact::new(self.contact()).into()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(capped: bool) -> (Vec<u64>, u32) {
        let mut resender = Resender::default();
        let mut out = Vec::new();
        resender.send(b"x".to_vec(), capped, &mut out);
        let mut seen = Vec::new();
        loop {
            let Some((pause, serial)) = out.drain(..).find_map(|action| match action {
                Action::After(pause, Alarm::Resend(serial)) => Some((pause, serial)),
                _ => None,
            }) else {
                panic!("neither resent nor given up");
            };
            seen.push(pause.as_millis() as u64);
            if resender.on_alarm(serial, &mut out) == Resent::GaveUp {
                return (seen, resender.retransmissions);
            }
        }
    }

    /// RFC 3261 17.1.1.2: at 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, and over after 32 s.
    #[test]
    fn an_unanswered_invite_is_sent_seven_times_in_32_seconds() {
        assert_eq!(pauses(false), (vec![500, 1000, 2000, 4000, 8000, 16_000, 500], 6));
    }

    /// RFC 3261 17.1.2.2: 0.5, 1, 2, then every 4 s.
    #[test]
    fn other_requests_are_repeated_every_four_seconds_at_most() {
        let (seen, repeats) = pauses(true);
        assert_eq!(seen[..5], [500, 1000, 2000, 4000, 4000]);
        assert_eq!(repeats, 10);
        assert_eq!(seen.iter().sum::<u64>(), 32_000);
    }

    #[test]
    fn a_stale_alarm_sends_nothing() {
        let mut resender = Resender::default();
        let mut out = Vec::new();
        resender.send(b"x".to_vec(), true, &mut out);
        resender.stop();
        out.clear();
        assert_eq!(resender.on_alarm(1, &mut out), Resent::Yes);
        assert!(out.is_empty());
    }
}
