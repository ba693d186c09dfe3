//! Extensions that a phone may know: reliable ringing, UPDATE, session timers.

use std::time::Duration;

use super::{PATIENCE, Role, Served, Session, State, T1};
use crate::rng::Rng;
use crate::text::Msg;
use crate::ua::{Act, Alarm, Out};

/// What a phone knows besides RFC 3261.
#[derive(Clone, Debug, Default)]
pub(crate) struct Skills {
    /// RFC 3311: told in Allow.
    pub(crate) update: bool,
    /// RFC 3262: acknowledges reliable provisional answers.
    pub(crate) pracks: bool,
    /// RFC 4028: seconds, and who shall renew where the request leaves it open.
    pub(crate) session: Option<(u32, &'static str)>,
    /// Renews when it is its turn.
    pub(crate) renews: bool,
    /// Answers an INVITE or UPDATE within the dialog with this status, once.
    pub(crate) refuses_once: Option<u16>,
}

/// Where a phone stands in them.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    rseq: u32,
    /// Its INVITE among its requests: the second one after a challenge.
    pub(super) first: usize,
    /// A reliable answer of ours without its PRACK.
    progress: Option<Served>,
    /// Reliable answers of the peer that were acknowledged.
    acknowledged: Vec<String>,
    /// Seconds of the session, and whether it is ours to renew.
    session: Option<(u32, bool)>,
    /// How often it was renewed, by us or by the peer.
    renewals: u32,
}

fn session_of(msg: &Msg) -> Option<(u32, String)> {
    let value = msg.get("Session-Expires")?;
    let seconds = value.split(';').next()?.trim().parse().ok()?;
    let who = value.split_once("refresher=").map_or("", |(_, who)| who.trim());
    Some((seconds, who.to_owned()))
}

impl Session {
    /// The same phone behind a fork: another tag answers the same INVITE.
    pub(crate) fn twin(&self, at: usize, rng: &mut Rng) -> Session {
        let mut twin = Session::new(at, Role::Callee, self.invite.clone(), &self.place, rng);
        twin.facts.invited_at = self.facts.invited_at;
        twin
    }

    /// Adds what an answer of this phone says of its extensions.
    pub(super) fn dress(
        &mut self,
        request: &Msg,
        status: u16,
        answer: &mut Msg,
        out: &mut Out<'_>,
    ) {
        let extra = match status {
            101..200 => self.quirks.ringing_with.clone(),
            300.. => self.quirks.refusing_with.clone(),
            200.. if request.to_tag().is_none() => self.quirks.answering_with.clone(),
            _ => Vec::new(),
        };
        for (name, value) in extra {
            answer.add(name, value);
        }
        if self.quirks.skills.update {
            answer.add("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE, PRACK, INFO");
        }
        let refreshes = matches!(request.method(), "INVITE" | "UPDATE") && status == 200;
        let asked = session_of(request).filter(|_| refreshes);
        let (Some((mine, who)), Some((seconds, asked_who))) = (self.quirks.skills.session, asked)
        else {
            return;
        };
        let seconds = seconds.min(mine);
        let who = if asked_who.is_empty() { who.to_owned() } else { asked_who };
        answer.add("Session-Expires", &format!("{seconds};refresher={who}"));
        self.starts(seconds, who == "uas", out);
    }

    fn starts(&mut self, seconds: u32, ours: bool, out: &mut Out<'_>) {
        self.standing.session = Some((seconds, ours));
        self.standing.renewals += 1;
        if ours && self.quirks.skills.renews {
            let after = Duration::from_secs(u64::from(seconds) / 2);
            let act = Act::Renew(self.standing.renewals);
            out.alarm(after, Alarm::Act { session: self.at, act });
        }
    }

    /// How often the session began anew.
    pub(crate) fn renewals(&self) -> u32 {
        self.standing.renewals
    }

    /// Looks at an answer to a request of this phone.
    pub(super) fn studies(&mut self, msg: &Msg, status: u16, out: &mut Out<'_>) {
        let reliable = msg.get("RSeq").filter(|_| msg.get("Require") == Some("100rel"));
        if let (Some(rseq), true) = (reliable, self.quirks.skills.pracks) {
            let known = self.standing.acknowledged.iter().any(|one| one == rseq);
            if !known && self.state == State::Inviting {
                self.standing.acknowledged.push(rseq.to_owned());
                self.pracks(msg, rseq, out);
            }
        }
        if status == 200
            && matches!(msg.method(), "INVITE" | "UPDATE")
            && let Some((seconds, who)) = session_of(msg)
        {
            self.starts(seconds, who != "uas", out);
        }
    }

    fn pracks(&mut self, msg: &Msg, rseq: &str, out: &mut Out<'_>) {
        self.remote = msg.header("To").to_owned();
        self.target = msg.contact().unwrap_or_default().to_owned();
        self.cseq += 1;
        let rack = format!("{rseq} {}", self.invite.header("CSeq"));
        let prack = self.request("PRACK", self.cseq, out).with("RAck", &rack);
        self.launch(prack, out);
    }

    /// Whether its last final answer to an INVITE has had its ACK, or was given up.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.served.is_none()
    }

    /// A request of the peer that a skill treats. True if so.
    pub(super) fn treats(&mut self, msg: &Msg, out: &mut Out<'_>) -> bool {
        let within = msg.to_tag().is_some() && matches!(msg.method(), "INVITE" | "UPDATE");
        if within && let Some(status) = self.quirks.skills.refuses_once.take() {
            self.facts.asked.push(msg.clone());
            if msg.method() == "INVITE" {
                self.serve(msg, status, None, out);
            } else {
                self.reply(msg, status, None, out);
            }
            return true;
        }
        match msg.method() {
            "PRACK" => {
                self.facts.asked.push(msg.clone());
                self.standing.progress = None;
                self.reply(msg, 200, None, out);
            }
            "UPDATE" if !msg.body.is_empty() => {
                self.facts.asked.push(msg.clone());
                let direction =
                    if msg.body.contains("a=sendonly") { "recvonly" } else { "sendrecv" };
                let body = self.sdp(direction);
                self.reply(msg, 200, Some(&body), out);
            }
            _ => return false,
        }
        true
    }

    /// Acts that need a skill.
    pub(super) fn acts_skilfully(&mut self, act: &Act, out: &mut Out<'_>) {
        match act {
            Act::RingReliably(status, sound)
                if self.state == State::Inviting && self.role == Role::Callee =>
            {
                if self.standing.progress.is_some() {
                    return;
                }
                self.standing.rseq += 1;
                let body = sound.then(|| self.sdp("sendrecv"));
                let invite = self.invite.clone();
                let rseq = (100 + self.standing.rseq).to_string();
                let extra = [("Require", "100rel"), ("RSeq", &*rseq)];
                let msg = self.reply_with(&invite, *status, body.as_deref(), &extra, out);
                self.standing.progress = Some(Served { msg, interval: T1, since: out.now });
                out.alarm(T1, Alarm::Progress { session: self.at });
            }
            Act::Refer(to) if self.state == State::Up => {
                self.cseq += 1;
                let refer = self.request("REFER", self.cseq, out).with("Refer-To", to);
                self.launch(refer, out);
            }
            Act::Prack(rack) => {
                self.cseq += 1;
                self.speaks_early();
                let prack = self.request("PRACK", self.cseq, out).with("RAck", rack);
                self.launch(prack, out);
            }
            Act::Update(direction) => {
                self.speaks_early();
                self.version += 1;
                let body = self.sdp(direction);
                self.ask("UPDATE", Some(&body), out);
            }
            Act::Renew(turn) if self.state == State::Up && *turn == self.standing.renewals => {
                let Some((seconds, _)) = self.standing.session else { return };
                let (method, body) = match self.quirks.skills.update {
                    true => ("UPDATE", None),
                    // The description it gave last, unchanged.
                    false if self.version == 1 && self.role == Role::Caller => {
                        ("INVITE", Some(self.invite.body.clone()))
                    }
                    false => ("INVITE", Some(self.sdp("sendrecv"))),
                };
                self.cseq += 1;
                let mut msg = self.request(method, self.cseq, out);
                msg.add("Supported", "timer");
                msg.add("Session-Expires", &format!("{seconds};refresher=uac"));
                if let Some(body) = body {
                    msg = msg.with_sdp(&body.replace("\r\n", "\n"));
                }
                self.launch(msg, out);
            }
            _ => {}
        }
    }

    /// Before the answer a caller's dialog is that of the last provisional answer.
    fn speaks_early(&mut self) {
        if let (State::Inviting, Some(msg)) = (self.state, &self.facts.last_progress) {
            self.remote = msg.header("To").to_owned();
            self.target = msg.contact().unwrap_or_default().to_owned();
        }
    }

    /// The time to resend a reliable provisional answer has come.
    pub(crate) fn resend_progress(&mut self, out: &mut Out<'_>) {
        let waits = self.state == State::Inviting && !self.facts.vanished;
        let Some(progress) = self.standing.progress.as_mut().filter(|_| waits) else { return };
        if out.now - progress.since >= PATIENCE.as_micros() as u64 {
            self.standing.progress = None;
            return self.finish(504, None, out);
        }
        out.send(&progress.msg);
        progress.interval *= 2;
        out.alarm(progress.interval, Alarm::Progress { session: self.at });
    }

    /// Whether this phone thinks that it rings, talks, or awaits something. One that never said
    /// a word to an INVITE is not one: it cannot be cancelled (RFC 3261 9.1). Nor is one that
    /// rings on against our CANCEL.
    pub(crate) fn alive(&self) -> bool {
        let mute = self.role == Role::Callee && self.answers.is_empty();
        let deaf = self.quirks.deaf_to_cancel && self.state == State::Inviting;
        !mute && !deaf && !self.facts.vanished && self.state != State::Ended
    }
}
