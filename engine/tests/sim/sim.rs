//! Single calls, told as telephony.

use std::time::Duration;

use tensou_engine::route::Provisioning;
use tensou_engine::{Cdr, OperatorCommand, UnknownPeer};

use crate::check::{Sent, Tape};
use crate::office::{
    CARRIER, CARRIER_2, DESK_PHONE, GATEWAY, NARROW, SOFT_PHONE, phone_of, provisioning,
};
use crate::session::{Role, Session, State};
use crate::text::{Msg, sdp};
use crate::ua::{Act, Alarm, Quirks, Ua};
use crate::world::World;

/// Several trips through the network.
pub(crate) const MOMENT: Duration = Duration::from_millis(20);
/// Longer than any timer that a call leaves behind.
pub(crate) const ALL_TIMERS: Duration = Duration::from_secs(140);

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A world in fine weather whose people do what they are told.
pub(crate) struct Sim {
    pub(crate) world: World,
    /// What the engine has sent.
    tape: Tape,
    calls: u64,
}

/// The INVITE of somebody at `place`, who shows `shown`.
pub(crate) fn invite(place: &str, called: &str, shown: &str, id: u64) -> Msg {
    let ip = place.split(':').next().unwrap_or_default();
    Msg::request("INVITE", &format!("sip:{called}@192.0.2.10"))
        .with("Via", &format!("SIP/2.0/UDP {place};branch=z9hG4bKcall{id}"))
        .with("Max-Forwards", "70")
        .with("From", &format!("\"Caller\" <sip:{shown}@{ip}>;tag=c{id}"))
        .with("To", &format!("<sip:{called}@192.0.2.10>"))
        .with("Call-ID", &format!("call{id}@{ip}"))
        .with("CSeq", "7 INVITE")
        .with("Contact", &format!("<sip:line@{place}>"))
}

pub(crate) fn offer_of(place: &str) -> String {
    sdp(place.split(':').next().unwrap_or_default(), 30_000, 1, "sendrecv")
}

/// A request within the dialog of a session, to be changed and sent by hand.
pub(crate) fn within(session: &Session, method: &str, cseq: u32) -> Msg {
    Msg::request(method, &session.target)
        .with("Via", &format!("SIP/2.0/UDP {};branch=z9hG4bK{method}{cseq}", session.place))
        .with("Max-Forwards", "70")
        .with("From", &session.local)
        .with("To", &session.remote)
        .with("Call-ID", &session.call_id)
        .with("CSeq", &format!("{cseq} {method}"))
        .with("Contact", &format!("<sip:phone@{}>", session.place))
}

impl Sim {
    pub(crate) fn new() -> Sim {
        Sim::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Provisioning)) -> Sim {
        Sim::guarded(UnknownPeer::Drop, change)
    }

    pub(crate) fn guarded(unknown: UnknownPeer, change: impl FnOnce(&mut Provisioning)) -> Sim {
        let mut office = provisioning();
        change(&mut office);
        let mut world = World::new(1, &office, unknown);
        for place in [GATEWAY, CARRIER, CARRIER_2, NARROW, DESK_PHONE, SOFT_PHONE] {
            world.settle(Ua::by_hand(place));
        }
        let tape = Tape::default();
        world.checks.push(Box::new(tape.clone()));
        Sim { world, tape, calls: 0 }
    }

    /// A number that nobody else shows.
    pub(crate) fn fresh(&mut self) -> (u64, String) {
        self.calls += 1;
        (self.calls, format!("03999{:05}", self.calls))
    }

    /// Somebody on the public network calls `did`.
    pub(crate) fn call(&mut self, did: &str) -> Call<'_> {
        let (id, shown) = self.fresh();
        let msg = invite(GATEWAY, &did.replace('-', ""), &shown, id).with_sdp(&offer_of(GATEWAY));
        self.place(GATEWAY, msg, Quirks::default())
    }

    pub(crate) fn place(&mut self, place: &str, msg: Msg, quirks: Quirks) -> Call<'_> {
        let at = self.world.at(place, |ua, out| ua.call(msg, quirks, out));
        self.world.run(MOMENT);
        Call { place: place.to_owned(), at, sim: self }
    }

    /// The latest leg that rings somebody.
    pub(crate) fn find(&self, who: &str) -> Option<(String, usize)> {
        let number = phone_of(who);
        let mut found = None;
        for (place, ua) in &self.world.uas {
            for session in &ua.sessions {
                let theirs = session.role == Role::Callee && session.invite.user() == number;
                let newer = found.is_none_or(|(at, _, _)| session.facts.invited_at >= at);
                if theirs && newer {
                    found = Some((session.facts.invited_at, place, session.at));
                }
            }
        }
        found.map(|(_, place, at)| (place.clone(), at))
    }

    pub(crate) fn leg(&self, who: &str) -> &Session {
        let (place, at) = self.find(who).unwrap_or_else(|| panic!("{who} was never called"));
        &self.world.uas[&place].sessions[at]
    }

    pub(crate) fn does(&mut self, who: &str, act: Act) {
        let (place, session) = self.find(who).unwrap_or_else(|| panic!("{who} was never called"));
        self.world.at(&place, |ua, out| ua.wakes(&Alarm::Act { session, act }, out));
        self.world.run(MOMENT);
    }

    pub(crate) fn quirks(&mut self, who: &str) -> &mut Quirks {
        let (place, at) = self.find(who).unwrap_or_else(|| panic!("{who} was never called"));
        &mut self.world.uas.get_mut(&place).unwrap().sessions[at].quirks
    }

    pub(crate) fn command(&mut self, command: OperatorCommand) {
        self.world.command(command);
        self.world.run(MOMENT);
    }

    /// A message from a place without a phone; what comes back is taken from the inbox.
    pub(crate) fn sends(&mut self, from: &str, msg: &Msg) {
        self.world.sends(from, msg.bytes());
        self.world.run(MOMENT);
    }

    /// What came to a place where nobody lives, beginning so.
    pub(crate) fn takes(&mut self, place: &str, begins: &str) -> Msg {
        let inbox = &mut self.world.inbox;
        let found = inbox.iter().position(|(at, msg)| at == place && msg.start.starts_with(begins));
        let found = found.unwrap_or_else(|| panic!("no {begins} at {place}: {inbox:#?}"));
        inbox.remove(found).1
    }

    /// What went to a place and begins so, copies included, with its times.
    pub(crate) fn sent(&self, place: &str, begins: &str) -> Vec<Sent> {
        self.tape.of(place, begins)
    }

    /// The last of it.
    pub(crate) fn last(&self, place: &str, begins: &str) -> Msg {
        let last = self.sent(place, begins).pop();
        last.unwrap_or_else(|| panic!("no {begins} went to {place}")).msg
    }

    /// Lets every timer run out and asks all checkers.
    pub(crate) fn ends(&mut self) -> Vec<Cdr> {
        self.world.run(ALL_TIMERS);
        self.world.close();
        self.world.cdrs.clone()
    }
}

/// A call that somebody has placed.
pub(crate) struct Call<'a> {
    pub(crate) sim: &'a mut Sim,
    place: String,
    /// Position among the sessions of its place.
    pub(crate) at: usize,
}

impl Call<'_> {
    pub(crate) fn caller(&self) -> &Session {
        &self.sim.world.uas[&self.place].sessions[self.at]
    }

    pub(crate) fn acts(self, act: Act) -> Self {
        let session = self.at;
        let place = self.place.clone();
        self.sim.world.at(&place, |ua, out| ua.wakes(&Alarm::Act { session, act }, out));
        self.sim.world.run(MOMENT);
        self
    }

    /// All of them ring, and the caller hears that it rings.
    pub(crate) fn rings(self, who: &[&str]) -> Self {
        for one in who {
            assert_eq!(self.sim.leg(one).state, State::Inviting, "{one}");
            self.sim.does(one, Act::Ring(180, false));
        }
        let heard = self.caller().facts.heard.iter().any(|(status, _)| *status == 180);
        assert!(heard, "the caller hears nothing");
        self
    }

    /// One rings, and nobody else hears of it.
    pub(crate) fn rings_quietly(self, who: &str) -> Self {
        assert_eq!(self.sim.leg(who).state, State::Inviting, "{who}");
        self.sim.does(who, Act::Ring(180, false));
        self
    }

    pub(crate) fn nobody_rings(self, who: &str) -> Self {
        let rings = self.sim.find(who).is_some_and(|_| self.sim.leg(who).state == State::Inviting);
        assert!(!rings, "{who} rings");
        self
    }

    /// `who` picks up: both are connected.
    pub(crate) fn answered_by(self, who: &str) -> Self {
        self.sim.does(who, Act::Answer);
        assert_eq!(self.sim.leg(who).state, State::Up, "{who} has no ACK");
        assert_eq!(self.caller().state, State::Up, "the caller is not connected");
        self
    }

    pub(crate) fn refused_by(self, who: &str, status: u16) -> Self {
        self.sim.does(who, Act::Reject(status));
        self
    }

    pub(crate) fn then(self, who: &str, act: Act) -> Self {
        self.sim.does(who, act);
        self
    }

    pub(crate) fn waits(self, duration: Duration) -> Self {
        self.sim.world.run(duration);
        self
    }

    /// The caller's INVITE has this final answer; with its Q.850 cause, where one is told.
    pub(crate) fn gets(self, status: u16, q850: Option<u8>) -> Self {
        let Some(finally) = &self.caller().facts.finally else { panic!("no final answer") };
        assert_eq!(finally.status(), Some(status), "{finally:?}");
        if let Some(cause) = q850 {
            assert_eq!(finally.header("Reason"), format!("Q.850;cause={cause}"));
        }
        self
    }

    pub(crate) fn caller_hangs_up(self) -> Cdr {
        self.acts(Act::Bye).over()
    }

    pub(crate) fn hung_up_by(self, who: &str) -> Cdr {
        self.then(who, Act::Bye).over()
    }

    pub(crate) fn gives_up(self) -> Cdr {
        self.acts(Act::Cancel).over()
    }

    /// Everything has ended; the last record.
    pub(crate) fn over(self) -> Cdr {
        self.sim.ends().pop().expect("a record")
    }
}
