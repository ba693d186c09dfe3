//! A place in the network where calls begin and end: a gateway, a carrier, a phone.

use std::collections::HashMap;
use std::time::Duration;

use crate::guard::Guard;
use crate::rng::Rng;
use crate::session::{Role, Session, Skills};
use crate::text::Msg;

/// Something a phone does by itself.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A provisional answer, with early media or without.
    Ring(u16, bool),
    Answer,
    /// Another phone behind this one answers too.
    Fork,
    Reject(u16),
    Cancel,
    Bye,
    /// Re-INVITE with this direction: `sendonly` holds, `sendrecv` resumes.
    Describe(&'static str),
    /// Re-INVITE without an offer.
    OfferlessInvite,
    /// A request within the dialog.
    Ask(&'static str),
    /// A reliable provisional answer (RFC 3262), with early media or without.
    RingReliably(u16, bool),
    /// REFER with this Refer-To.
    Refer(String),
    /// PRACK with this RAck.
    Prack(String),
    /// UPDATE with a new description.
    Update(&'static str),
    /// Renews its session, unless that was done meanwhile: the number of the turn.
    Renew(u32),
    /// Neither sends nor hears any more.
    Vanish,
}

/// How a session differs from an honest one, and what it does once it talks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quirks {
    pub(crate) never_acks: bool,
    pub(crate) deaf_to_cancel: bool,
    /// Says nothing to a re-INVITE.
    pub(crate) deaf_to_invites: bool,
    /// Says 100 to a re-INVITE and nothing more.
    pub(crate) never_agrees: bool,
    pub(crate) once_up: Vec<(Duration, Act)>,
    pub(crate) skills: Skills,
    /// Headers of its 18x, and of its failures.
    pub(crate) ringing_with: Vec<(&'static str, &'static str)>,
    pub(crate) answering_with: Vec<(&'static str, &'static str)>,
    pub(crate) refusing_with: Vec<(&'static str, &'static str)>,
    /// User and password, for when its INVITE is challenged.
    pub(crate) account: Option<(&'static str, String)>,
    /// Instead of the usual description.
    pub(crate) answer_sdp: Option<String>,
}

/// What a callee will do with an INVITE.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) acts: Vec<(Duration, Act)>,
    pub(crate) quirks: Quirks,
}

#[derive(Clone, Debug)]
pub(crate) enum Alarm {
    Resend { session: usize, client: usize },
    Final { session: usize },
    Progress { session: usize },
    Act { session: usize, act: Act },
}

/// What leaves a phone in one step.
pub(crate) struct Out<'a> {
    pub(crate) now: u64,
    pub(crate) rng: &'a mut Rng,
    pub(crate) sends: Vec<Vec<u8>>,
    pub(crate) alarms: Vec<(Duration, Alarm)>,
}

impl Out<'_> {
    pub(crate) fn send(&mut self, msg: &Msg) {
        self.sends.push(msg.bytes());
    }

    pub(crate) fn alarm(&mut self, after: Duration, alarm: Alarm) {
        self.alarms.push((after, alarm));
    }
}

/// Decides what happens to an INVITE.
pub(crate) type Manner = Box<dyn FnMut(&Msg) -> Plan>;

pub(crate) struct Ua {
    /// `ip:port`.
    pub(crate) place: String,
    pub(crate) sessions: Vec<Session>,
    by_call: HashMap<String, Vec<usize>>,
    pub(crate) manner: Manner,
    /// What it wants of who calls.
    pub(crate) guard: Option<Guard>,
    /// It neither hears nor says anything.
    pub(crate) dead: bool,
    /// INVITEs that it did not hear while it was dead, by branch.
    missed: HashMap<String, u64>,
}

/// Only the last copy of an INVITE is so much later than the first ones (RFC 3261 17.1.1.2): who
/// hears it first rings when its caller has given up, and cannot be told.
const TOO_LATE: Duration = Duration::from_secs(24);

impl Ua {
    /// A place whose callees do what the test tells them, and nothing else.
    pub(crate) fn by_hand(place: &str) -> Ua {
        Ua::with(place, Box::new(|_| Plan::default()))
    }

    pub(crate) fn with(place: &str, manner: Manner) -> Ua {
        Ua {
            place: place.to_owned(),
            sessions: Vec::new(),
            by_call: HashMap::new(),
            manner,
            guard: None,
            dead: false,
            missed: HashMap::new(),
        }
    }

    /// The power fails: nobody there knows of any call any more, also once it is back.
    pub(crate) fn dies(&mut self) {
        self.dead = true;
        for session in &mut self.sessions {
            session.facts.vanished = true;
        }
    }

    fn keep(&mut self, session: Session) -> usize {
        let at = session.at;
        self.by_call.entry(session.call_id.clone()).or_default().push(at);
        self.sessions.push(session);
        at
    }

    /// Places a call with this INVITE.
    pub(crate) fn call(&mut self, invite: Msg, quirks: Quirks, out: &mut Out<'_>) -> usize {
        let at = self.sessions.len();
        let mut session = Session::new(at, Role::Caller, invite, &self.place, out.rng);
        session.quirks = quirks;
        session.begin(out);
        self.keep(session)
    }

    pub(crate) fn hears(&mut self, msg: &Msg, out: &mut Out<'_>) {
        let Some(call_id) = msg.get("Call-ID") else { return };
        if self.dead {
            if msg.method() == "INVITE" {
                self.missed.entry(msg.branch().to_owned()).or_insert(out.now);
            }
            return;
        }
        let of_call = self.by_call.get(call_id).cloned().unwrap_or_default();
        if msg.status().is_some() {
            for at in of_call {
                self.sessions[at].hears(msg, out);
            }
            return;
        }
        let meant: Vec<usize> = match (msg.method(), msg.to_tag()) {
            ("CANCEL", _) | ("INVITE", None) => {
                let same = |at: &usize| self.sessions[*at].invite.branch() == msg.branch();
                of_call.into_iter().filter(same).collect()
            }
            ("ACK", Some(tag)) | (_, Some(tag)) => {
                let same = |at: &usize| self.sessions[*at].local_tag == tag;
                of_call.into_iter().filter(same).collect()
            }
            (_, None) => Vec::new(),
        };
        if meant.is_empty() {
            return self.on_stranger(msg, out);
        }
        for at in meant {
            self.sessions[at].hears(msg, out);
        }
    }

    fn on_stranger(&mut self, msg: &Msg, out: &mut Out<'_>) {
        match (msg.method(), msg.to_tag()) {
            ("ACK", _) => {}
            ("INVITE", None) => {
                let missed = self.missed.get(msg.branch());
                if missed.is_some_and(|at| out.now - at > TOO_LATE.as_micros() as u64) {
                    return;
                }
                if let Some(challenge) = self.guard.as_mut().and_then(|guard| guard.refuses(msg)) {
                    return out.send(&challenge);
                }
                let at = self.sessions.len();
                let mut session = Session::new(at, Role::Callee, msg.clone(), &self.place, out.rng);
                session.facts.invited_at = out.now;
                let plan = (self.manner)(msg);
                session.quirks = plan.quirks;
                for (after, act) in plan.acts {
                    out.alarm(after, Alarm::Act { session: at, act });
                }
                self.keep(session);
            }
            _ => {
                let to = match msg.to_tag() {
                    Some(_) => msg.header("To").to_owned(),
                    None => format!("{};tag=none", msg.header("To")),
                };
                out.send(&Msg::answer(msg, 481, &to));
            }
        }
    }

    pub(crate) fn wakes(&mut self, alarm: &Alarm, out: &mut Out<'_>) {
        match alarm {
            Alarm::Resend { session, client } => self.sessions[*session].resend(*client, out),
            Alarm::Final { session } => self.sessions[*session].resend_final(out),
            Alarm::Progress { session } => self.sessions[*session].resend_progress(out),
            Alarm::Act { session, act: Act::Fork } => {
                if self.sessions[*session].facts.vanished {
                    return;
                }
                let at = self.sessions.len();
                let mut twin = self.sessions[*session].twin(at, out.rng);
                twin.acts(&Act::Answer, out);
                self.keep(twin);
            }
            Alarm::Act { session, act } => self.sessions[*session].acts(act, out),
        }
    }
}
