//! One dialog as a phone sees it: what it is asked to do, and what it owes its peer.

mod proving;
mod skills;

use std::time::Duration;

use crate::rng::Rng;
use crate::text::{Msg, sdp};
use crate::ua::{Act, Alarm, Out, Quirks};

pub(crate) use skills::Skills;

/// RFC 3261 17: as the phones keep them.
pub(crate) const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
pub(crate) const PATIENCE: Duration = Duration::from_secs(32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Caller,
    Callee,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its INVITE has no final answer.
    Inviting,
    /// Callee: 200 sent, ACK awaited.
    Answered,
    Up,
    /// BYE sent.
    Leaving,
    Ended,
}

/// What happened, for tests and checkers to look at. Times are microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) invited_at: u64,
    /// Provisional answers above 100, with their bodies.
    pub(crate) heard: Vec<(u16, String)>,
    pub(crate) last_progress: Option<Msg>,
    pub(crate) finally: Option<Msg>,
    pub(crate) answered_at: Option<u64>,
    pub(crate) acked: Option<(u64, Msg)>,
    pub(crate) bye_sent_at: Option<u64>,
    pub(crate) bye_heard: Option<(u64, Msg)>,
    pub(crate) bye_answered_at: Option<u64>,
    pub(crate) bye_status: Option<u16>,
    pub(crate) cancel: Option<Msg>,
    /// Final statuses of our re-INVITEs and other requests.
    pub(crate) answers: Vec<(String, u16, String)>,
    /// Requests of the peer within the dialog.
    pub(crate) asked: Vec<Msg>,
    pub(crate) vanished: bool,
    /// Its partner was given to somebody else by a REFER in another dialog of the same phone.
    pub(crate) transferred: bool,
}

#[derive(Clone, Debug)]
struct Client {
    msg: Msg,
    interval: Duration,
    since: u64,
    provisional: bool,
    done: bool,
}

#[derive(Clone, Debug)]
struct Served {
    msg: Msg,
    interval: Duration,
    since: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) at: usize,
    pub(crate) role: Role,
    pub(crate) state: State,
    pub(crate) call_id: String,
    pub(crate) local_tag: String,
    /// From or To value of ours, tag included.
    pub(crate) local: String,
    pub(crate) remote: String,
    pub(crate) target: String,
    pub(crate) cseq: u32,
    pub(crate) invite: Msg,
    pub(crate) facts: Facts,
    pub(crate) quirks: Quirks,
    /// `ip:port` of ours.
    pub(crate) place: String,
    pub(crate) media_port: u16,
    version: u32,
    wants_cancel: bool,
    clients: Vec<Client>,
    served: Option<Served>,
    answers: Vec<(String, Msg)>,
    standing: skills::Standing,
}

fn key(msg: &Msg) -> String {
    format!("{} {}", msg.method(), msg.branch())
}

impl Session {
    pub(crate) fn new(at: usize, role: Role, invite: Msg, place: &str, rng: &mut Rng) -> Session {
        let local_tag = match role {
            Role::Caller => invite.caller_tag().to_owned(),
            Role::Callee => format!("t{:012x}", rng.next() >> 16),
        };
        let (local, remote) = match role {
            Role::Caller => (invite.header("From").to_owned(), invite.header("To").to_owned()),
            Role::Callee => (
                format!("{};tag={local_tag}", invite.header("To")),
                invite.header("From").to_owned(),
            ),
        };
        Session {
            at,
            role,
            state: State::Inviting,
            call_id: invite.call_id().to_owned(),
            local_tag,
            local,
            remote,
            target: invite.contact().unwrap_or_default().to_owned(),
            cseq: if role == Role::Caller { invite.cseq() } else { 0 },
            invite,
            facts: Facts::default(),
            quirks: Quirks::default(),
            place: place.to_owned(),
            media_port: 10_000 + (rng.below(20_000) as u16) * 2,
            version: 1,
            wants_cancel: false,
            clients: Vec::new(),
            served: None,
            answers: Vec::new(),
            standing: skills::Standing::default(),
        }
    }

    fn ip(&self) -> &str {
        self.place.split(':').next().unwrap_or_default()
    }

    pub(crate) fn sdp(&self, direction: &str) -> String {
        sdp(self.ip(), self.media_port, self.version, direction)
    }

    /// Sends the INVITE of a caller.
    pub(crate) fn begin(&mut self, out: &mut Out<'_>) {
        self.facts.invited_at = out.now;
        self.launch(self.invite.clone(), out);
    }

    /// Sends a request and keeps on at it.
    fn launch(&mut self, msg: Msg, out: &mut Out<'_>) {
        let client = self.clients.len();
        out.send(&msg);
        let since = out.now;
        self.clients.push(Client { msg, interval: T1, since, provisional: false, done: false });
        out.alarm(T1, Alarm::Resend { session: self.at, client });
    }

    fn request(&mut self, method: &str, cseq: u32, out: &mut Out<'_>) -> Msg {
        Msg::request(method, &self.target)
            .with(
                "Via",
                &format!("SIP/2.0/UDP {};branch=z9hG4bK{:016x}", self.place, out.rng.next()),
            )
            .with("Max-Forwards", "70")
            .with("From", &self.local)
            .with("To", &self.remote)
            .with("Call-ID", &self.call_id)
            .with("CSeq", &format!("{cseq} {method}"))
            .with("Contact", &format!("<sip:phone@{}>", self.place))
    }

    fn ask(&mut self, method: &str, body: Option<&str>, out: &mut Out<'_>) {
        self.cseq += 1;
        let mut msg = self.request(method, self.cseq, out);
        if let Some(body) = body {
            msg = msg.with_sdp(body);
        }
        self.launch(msg, out);
    }

    fn acknowledge(&mut self, ok: &Msg, offerless: bool, out: &mut Out<'_>) {
        if self.quirks.never_acks {
            return;
        }
        let mut ack = self.request("ACK", ok.cseq(), out);
        if offerless {
            ack = ack.with_sdp(&self.sdp("sendrecv"));
        }
        out.send(&ack);
    }

    /// A message of the peer for this dialog.
    pub(crate) fn hears(&mut self, msg: &Msg, out: &mut Out<'_>) {
        if self.facts.vanished {
            return;
        }
        match msg.status() {
            Some(status) => self.on_answer(msg, status, out),
            None => self.on_request(msg, out),
        }
    }

    fn on_request(&mut self, msg: &Msg, out: &mut Out<'_>) {
        let known = key(msg);
        if let Some((_, answer)) = self.answers.iter().find(|(have, _)| *have == known) {
            return out.send(answer);
        }
        if self.treats(msg, out) {
            return;
        }
        match msg.method() {
            "ACK" => self.on_ack(msg, out),
            "BYE" => {
                self.reply(msg, 200, None, out);
                self.facts.bye_heard.get_or_insert((out.now, msg.clone()));
                self.served = None;
                self.state = State::Ended;
            }
            "CANCEL" => {
                self.reply(msg, 200, None, out);
                self.facts.cancel = Some(msg.clone());
                if self.state == State::Inviting && !self.quirks.deaf_to_cancel {
                    self.finish(487, None, out);
                }
            }
            "INVITE" if self.state == State::Up && self.quirks.deaf_to_invites => {}
            "INVITE" if self.state == State::Up && self.quirks.never_agrees => {
                self.reply(msg, 100, None, out);
            }
            "INVITE" if self.state == State::Up => {
                self.facts.asked.push(msg.clone());
                self.version += 1;
                let held = msg.body.contains("a=sendonly");
                let body = self.sdp(if held { "recvonly" } else { "sendrecv" });
                self.serve(msg, 200, Some(&body), out);
            }
            // The first INVITE again, before anything was said to it.
            "INVITE" if msg.to_tag().is_none() => {}
            "INVITE" if self.state == State::Ended => {
                self.reply(msg, 481, None, out);
            }
            "INVITE" => self.serve(msg, 491, None, out),
            _ => {
                self.facts.asked.push(msg.clone());
                self.reply(msg, 200, None, out);
            }
        }
    }

    fn on_ack(&mut self, msg: &Msg, out: &mut Out<'_>) {
        if self.served.as_ref().is_some_and(|served| served.msg.cseq() == msg.cseq()) {
            self.served = None;
        }
        if self.state == State::Answered {
            self.state = State::Up;
            self.facts.acked = Some((out.now, msg.clone()));
            for (after, act) in self.quirks.once_up.clone() {
                out.alarm(after, Alarm::Act { session: self.at, act });
            }
        }
    }

    fn reply(&mut self, request: &Msg, status: u16, body: Option<&str>, out: &mut Out<'_>) -> Msg {
        self.reply_with(request, status, body, &[], out)
    }

    fn reply_with(
        &mut self,
        request: &Msg,
        status: u16,
        body: Option<&str>,
        extra: &[(&str, &str)],
        out: &mut Out<'_>,
    ) -> Msg {
        let to = match (request.to_tag(), status) {
            (Some(_), _) | (_, 100) => request.header("To").to_owned(),
            (None, _) => format!("{};tag={}", request.header("To"), self.local_tag),
        };
        let mut answer = Msg::answer(request, status, &to);
        // RFC 3261 21.3: the Contacts of a redirection are where else to call.
        if status / 100 != 3 {
            answer.add("Contact", &format!("<sip:phone@{}>", self.place));
        }
        self.dress(request, status, &mut answer, out);
        for (name, value) in extra {
            answer.add(name, value);
        }
        if let Some(body) = body {
            answer = answer.with_sdp(body);
        }
        out.send(&answer);
        let known = key(request);
        self.answers.retain(|(have, _)| *have != known);
        self.answers.push((known, answer.clone()));
        answer
    }

    /// A final answer to an INVITE: resent until its ACK.
    fn serve(&mut self, request: &Msg, status: u16, body: Option<&str>, out: &mut Out<'_>) {
        let msg = self.reply(request, status, body, out);
        self.served = Some(Served { msg, interval: T1, since: out.now });
        out.alarm(T1, Alarm::Final { session: self.at });
    }

    fn finish(&mut self, status: u16, body: Option<&str>, out: &mut Out<'_>) {
        let invite = self.invite.clone();
        self.serve(&invite, status, body, out);
        self.facts.finally = self.served.as_ref().map(|served| served.msg.clone());
        if status < 300 {
            self.facts.answered_at = Some(out.now);
            self.state = State::Answered;
        } else {
            self.state = State::Ended;
        }
    }

    fn on_answer(&mut self, msg: &Msg, status: u16, out: &mut Out<'_>) {
        let found = self.clients.iter().position(|client| {
            client.msg.branch() == msg.branch() && client.msg.method() == msg.method()
        });
        let Some(at) = found else { return };
        let method = msg.method().to_owned();
        if status < 200 {
            self.clients[at].provisional = true;
        } else if method == "INVITE" {
            let offerless = self.clients[at].msg.body.is_empty();
            if status < 300 {
                if msg.to_tag().is_some() && self.facts.finally.is_none() {
                    self.remote = msg.header("To").to_owned();
                    self.target = msg.contact().unwrap_or_default().to_owned();
                }
                self.acknowledge(msg, offerless, out);
            } else {
                let mut ack = self.clients[at].msg.clone();
                ack.start = ack.start.replacen("INVITE", "ACK", 1);
                ack.set("CSeq", &format!("{} ACK", msg.cseq()));
                ack.set("To", msg.header("To"));
                ack.headers.retain(|(name, _)| name != "Content-Type");
                ack.body.clear();
                out.send(&ack);
            }
        }
        self.studies(msg, status, out);
        if std::mem::replace(&mut self.clients[at].done, status >= 200) {
            self.clients[at].done = true;
            return;
        }
        let initial = self.role == Role::Caller && at == self.standing.first;
        match (method.as_str(), initial) {
            ("INVITE", true) => self.on_progress(msg, status, out),
            ("BYE", _) if status >= 200 => {
                self.facts.bye_answered_at = Some(out.now);
                self.facts.bye_status = Some(status);
                self.state = State::Ended;
            }
            ("CANCEL", _) => {}
            _ if status >= 200 => self.facts.answers.push((method, status, msg.body.clone())),
            _ => {}
        }
    }

    fn on_progress(&mut self, msg: &Msg, status: u16, out: &mut Out<'_>) {
        if (101..200).contains(&status) {
            self.facts.heard.push((status, msg.body.clone()));
            self.facts.last_progress = Some(msg.clone());
        }
        if status < 200 {
            if self.wants_cancel {
                self.send_cancel(out);
            }
            return;
        }
        if status == 401 && self.proves_itself(msg, out) {
            return;
        }
        self.facts.finally = Some(msg.clone());
        if status >= 300 {
            self.state = State::Ended;
            return;
        }
        self.facts.answered_at = Some(out.now);
        self.state = State::Up;
        if self.wants_cancel {
            return self.bye(out);
        }
        for (after, act) in self.quirks.once_up.clone() {
            out.alarm(after, Alarm::Act { session: self.at, act });
        }
    }

    fn send_cancel(&mut self, out: &mut Out<'_>) {
        if self.clients.iter().any(|client| client.msg.method() == "CANCEL") {
            return;
        }
        let mut cancel = self.invite.clone();
        cancel.start = cancel.start.replacen("INVITE", "CANCEL", 1);
        cancel.set("CSeq", &format!("{} CANCEL", self.invite.cseq()));
        cancel.headers.retain(|(name, _)| name != "Content-Type" && name != "Contact");
        cancel.body.clear();
        self.launch(cancel, out);
    }

    fn bye(&mut self, out: &mut Out<'_>) {
        self.state = State::Leaving;
        self.facts.bye_sent_at.get_or_insert(out.now);
        self.ask("BYE", None, out);
    }

    /// Does something of its own accord; what makes no sense any more is left undone.
    pub(crate) fn acts(&mut self, act: &Act, out: &mut Out<'_>) {
        if self.facts.vanished {
            return;
        }
        let inviting = self.state == State::Inviting;
        let callee = self.role == Role::Callee;
        match act {
            Act::Ring(status, sound) if inviting && callee => {
                let body = sound.then(|| self.sdp("sendrecv"));
                let invite = self.invite.clone();
                self.reply(&invite, *status, body.as_deref(), out);
            }
            Act::Answer if inviting && callee => {
                let body = self.quirks.answer_sdp.clone().unwrap_or_else(|| self.sdp("sendrecv"));
                self.finish(200, Some(&body), out);
            }
            Act::Reject(status) if inviting && callee => self.finish(*status, None, out),
            Act::Cancel if inviting && !callee => {
                self.wants_cancel = true;
                if self.clients[self.standing.first].provisional {
                    self.send_cancel(out);
                }
            }
            Act::Bye if self.state == State::Up => self.bye(out),
            Act::Describe(direction) if self.state == State::Up => {
                self.version += 1;
                let body = self.sdp(direction);
                self.ask("INVITE", Some(&body), out);
            }
            Act::OfferlessInvite if self.state == State::Up => self.ask("INVITE", None, out),
            Act::Ask(method) if self.state == State::Up => self.ask(method, None, out),
            Act::Vanish => self.facts.vanished = true,
            _ => self.acts_skilfully(act, out),
        }
    }

    pub(crate) fn resend(&mut self, at: usize, out: &mut Out<'_>) {
        if self.facts.vanished {
            return;
        }
        let session = self.at;
        let client = &mut self.clients[at];
        let invite = client.msg.method() == "INVITE";
        if client.done || (invite && client.provisional) {
            return;
        }
        if out.now - client.since >= PATIENCE.as_micros() as u64 {
            client.done = true;
            if matches!(client.msg.method(), "BYE")
                || (invite && self.role == Role::Caller && at == self.standing.first)
            {
                self.state = State::Ended;
            }
            return;
        }
        out.send(&client.msg);
        client.interval *= 2;
        if !invite {
            client.interval = client.interval.min(T2);
        }
        let left = PATIENCE.saturating_sub(Duration::from_micros(out.now - client.since));
        out.alarm(client.interval.min(left), Alarm::Resend { session, client: at });
    }

    /// The time to resend a final answer to an INVITE has come.
    pub(crate) fn resend_final(&mut self, out: &mut Out<'_>) {
        let Some(served) = &mut self.served else { return };
        if self.facts.vanished {
            return;
        }
        if out.now - served.since >= PATIENCE.as_micros() as u64 {
            self.served = None;
            if matches!(self.state, State::Answered | State::Up) {
                self.bye(out);
            }
            return;
        }
        out.send(&served.msg);
        served.interval = (served.interval * 2).min(T2);
        out.alarm(served.interval, Alarm::Final { session: self.at });
    }
}
