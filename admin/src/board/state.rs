//! The tables of the board and what each event does to them.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tensou_engine::plan::E164;
use tensou_engine::{
    CallId, CallResult, CallStarted, Caller, Direction, EndedBy, Event, Key, LegNumber, WallTime,
};

use super::CallCounts;
use super::notice::{Notice, NoticeBody};
use super::standing::{Standings, TrunkStanding};

/// Live calls kept. More than one node carries; if it is reached, ends were lost, and the oldest
/// calls are the likeliest to be over.
const MAX_CALLS: usize = 100_000;
/// Legs kept per call; a hunt of a hundred members with an overflow group fits.
const MAX_LEGS: usize = 256;
/// Ended calls kept for the screen; the database has the rest.
const MAX_RECENT: usize = 200;
/// Bindings kept; beyond it the screen is incomplete, the registrar is not.
const MAX_REGISTRATIONS: usize = 100_000;

/// How far a live call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// Admitted; nobody rings yet.
    Routing,
    /// At least one callee rings.
    Ringing,
    /// Connected.
    Talking,
}

impl CallState {
    /// The word used in REST and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            CallState::Routing => "routing",
            CallState::Ringing => "ringing",
            CallState::Talking => "talking",
        }
    }

    /// Reads that word.
    pub fn parse(word: &str) -> Option<Self> {
        let known = [CallState::Routing, CallState::Ringing, CallState::Talking];
        known.into_iter().find(|state| state.as_str() == word)
    }
}

/// How far a callee leg has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegState {
    /// INVITE sent.
    Dialling,
    /// Rings.
    Ringing,
    /// Answered and connected.
    Answered,
    /// Over without having answered, with this SIP status.
    Ended(u16),
}

impl LegState {
    /// The word used in REST and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            LegState::Dialling => "dialling",
            LegState::Ringing => "ringing",
            LegState::Answered => "answered",
            LegState::Ended(_) => "ended",
        }
    }
}

/// A call that exists now.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveCall {
    /// The id that its CDR will have.
    pub id: CallId,
    /// The node that handles it; none is this one.
    pub node: Option<Key>,
    /// How far it has come.
    pub state: CallState,
    /// Which way it goes.
    pub direction: Direction,
    /// The DID called or presented.
    pub did: Option<E164>,
    /// Whose DID.
    pub customer: Option<Key>,
    /// Who calls.
    pub caller: Caller,
    /// The trunk it came by.
    pub trunk_in: Option<Key>,
    /// INVITE received.
    pub started_at: WallTime,
    /// First ringing of any callee.
    pub ringing_at: Option<WallTime>,
    /// The answer that connected it.
    pub answered_at: Option<WallTime>,
    /// Who answered.
    pub answered_by: Option<Key>,
    /// Callee legs in the order they were dialled.
    pub legs: Vec<LiveLeg>,
}

/// A callee leg of a live call.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveLeg {
    /// Its position in the call.
    pub number: LegNumber,
    /// Destination key, or the dialled number.
    pub destination: Key,
    /// Trunk it leaves by.
    pub trunk_out: Option<Key>,
    /// How far it has come.
    pub state: LegState,
    /// First 180 or 183.
    pub ringing_at: Option<WallTime>,
}

/// A call that ended lately.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedCall {
    /// The call as it was at its end.
    pub call: LiveCall,
    /// When it ended.
    pub ended_at: WallTime,
    /// Answer to end.
    pub duration: Duration,
    /// Outcome.
    pub result: CallResult,
    /// Status the caller got.
    pub sip_status: u16,
    /// Q.850 cause.
    pub q850_cause: u8,
    /// Who ended it.
    pub ended_by: EndedBy,
}

/// Channels of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkUse {
    /// The trunk.
    pub trunk: Key,
    /// Legs that use it now.
    pub in_use: u32,
    /// Its limit, 0 when unlimited.
    pub limit: u32,
}

/// Where an extension is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// User name.
    pub extension: Key,
    /// The binding.
    pub contact: String,
    /// The address the REGISTER came from.
    pub source: SocketAddr,
    /// Until when.
    pub expires_at: WallTime,
}

#[derive(Default)]
pub(super) struct State {
    calls: BTreeMap<CallId, LiveCall>,
    talking: usize,
    recent: VecDeque<EndedCall>,
    trunks: BTreeMap<Key, TrunkUse>,
    standings: Standings,
    registrations: BTreeMap<(Key, String), Registration>,
}

impl State {
    /// Takes in one event; tells what to say about it when somebody watches.
    pub(super) fn apply(&mut self, event: &Event, watched: bool) -> Option<Notice> {
        match event {
            Event::CallStarted(started) => self.start(started, watched),
            Event::LegDialled { call, leg, destination, trunk_out } => {
                let call = self.calls.get_mut(call)?;
                if call.legs.len() < MAX_LEGS {
                    call.legs.push(LiveLeg {
                        number: *leg,
                        destination: destination.clone(),
                        trunk_out: trunk_out.clone(),
                        state: LegState::Dialling,
                        ringing_at: None,
                    });
                }
                watched.then(|| about_call("call.dialling", call))
            }
            Event::LegRinging { call, leg, at } => {
                let call = self.calls.get_mut(call)?;
                if let Some(leg) = leg_of(call, *leg) {
                    leg.state = LegState::Ringing;
                    leg.ringing_at.get_or_insert(*at);
                }
                if call.state == CallState::Routing {
                    call.state = CallState::Ringing;
                    call.ringing_at = Some(*at);
                }
                watched.then(|| about_call("call.ringing", call))
            }
            Event::LegEnded { call, leg, sip_status } => {
                let call = self.calls.get_mut(call)?;
                if let Some(leg) = leg_of(call, *leg) {
                    leg.state = LegState::Ended(*sip_status);
                }
                watched.then(|| about_call("call.leg_ended", call))
            }
            Event::CallAnswered { call, leg, at } => self.answer(*call, *leg, *at, watched),
            Event::CallEnded { call, .. } => {
                let ended = self.end(*call, event)?;
                watched.then(|| Notice {
                    name: "call.ended",
                    customer: ended.call.customer.clone(),
                    body: Arc::new(NoticeBody::Ended(ended.clone())),
                })
            }
            Event::TrunkChannels { trunk, in_use, limit } => {
                let row = TrunkUse { trunk: trunk.clone(), in_use: *in_use, limit: *limit };
                let notice =
                    watched.then(|| for_operator("trunk.channels", NoticeBody::Trunk(row.clone())));
                self.trunks.insert(trunk.clone(), row);
                notice
            }
            Event::TrunkState { trunk, state } => {
                self.standings.set_state(trunk, state);
                let name = if state.up { "trunk.up" } else { "trunk.down" };
                let (trunk, state) = (trunk.clone(), state.clone());
                watched.then(|| for_operator(name, NoticeBody::TrunkState { trunk, state }))
            }
            Event::TrunkFigures { trunk, figures } => {
                self.standings.set_figures(trunk, *figures);
                None
            }
            Event::Registered { extension, contact, source, expires_at } => {
                let row = Registration {
                    extension: extension.clone(),
                    contact: contact.clone(),
                    source: *source,
                    expires_at: *expires_at,
                };
                self.register(row, watched)
            }
            Event::Unregistered { extension, contact } => {
                let row = self.registrations.remove(&(extension.clone(), contact.clone()))?;
                watched
                    .then(|| for_operator("extension.unregistered", NoticeBody::Registration(row)))
            }
            Event::AuthenticationFailed { user, source, tries, users, sources } => {
                watched.then(|| {
                    let body = NoticeBody::AuthenticationFailed {
                        user: user.clone(),
                        source: *source,
                        tries: *tries,
                        users: *users,
                        sources: *sources,
                    };
                    for_operator("extension.authentication_failed", body)
                })
            }
        }
    }

    fn start(&mut self, started: &CallStarted, watched: bool) -> Option<Notice> {
        if self.calls.len() >= MAX_CALLS
            && let Some((_, oldest)) = self.calls.pop_first()
        {
            self.talking -= usize::from(oldest.state == CallState::Talking);
        }
        let call = LiveCall {
            id: started.call,
            node: None,
            state: CallState::Routing,
            direction: started.direction,
            did: started.did,
            customer: started.customer.clone(),
            caller: started.caller,
            trunk_in: started.trunk_in.clone(),
            started_at: started.at,
            ringing_at: None,
            answered_at: None,
            answered_by: None,
            legs: Vec::new(),
        };
        let notice = watched.then(|| about_call("call.started", &call));
        self.calls.insert(call.id, call);
        notice
    }

    fn answer(
        &mut self,
        call: CallId,
        leg: LegNumber,
        at: WallTime,
        watched: bool,
    ) -> Option<Notice> {
        let call = self.calls.get_mut(&call)?;
        if call.state != CallState::Talking {
            call.state = CallState::Talking;
            self.talking += 1;
        }
        call.answered_at = Some(at);
        if let Some(leg) = leg_of(call, leg) {
            leg.state = LegState::Answered;
            let destination = leg.destination.clone();
            call.answered_by = Some(destination);
        }
        watched.then(|| about_call("call.answered", call))
    }

    fn end(&mut self, id: CallId, event: &Event) -> Option<&EndedCall> {
        let Event::CallEnded { at, duration, result, sip_status, q850_cause, ended_by, .. } = event
        else {
            return None;
        };
        let call = self.calls.remove(&id)?;
        self.talking -= usize::from(call.state == CallState::Talking);
        self.recent.truncate(MAX_RECENT - 1);
        self.recent.push_front(EndedCall {
            call,
            ended_at: *at,
            duration: *duration,
            result: *result,
            sip_status: *sip_status,
            q850_cause: *q850_cause,
            ended_by: *ended_by,
        });
        self.recent.front()
    }

    fn register(&mut self, row: Registration, watched: bool) -> Option<Notice> {
        let key = (row.extension.clone(), row.contact.clone());
        if self.registrations.len() >= MAX_REGISTRATIONS && !self.registrations.contains_key(&key) {
            return None;
        }
        let notice = watched
            .then(|| for_operator("extension.registered", NoticeBody::Registration(row.clone())));
        self.registrations.insert(key, row);
        notice
    }

    pub(super) fn calls(
        &self,
        after: Option<CallId>,
    ) -> impl DoubleEndedIterator<Item = &LiveCall> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.calls.range((from, Bound::Unbounded)).map(|(_, call)| call)
    }

    pub(super) fn call(&self, id: CallId) -> Option<&LiveCall> {
        self.calls.get(&id)
    }

    pub(super) fn counts(&self) -> CallCounts {
        CallCounts { active: self.calls.len(), talking: self.talking }
    }

    pub(super) fn recent(&self) -> impl Iterator<Item = &EndedCall> {
        self.recent.iter()
    }

    pub(super) fn trunks(&self) -> impl Iterator<Item = &TrunkUse> {
        self.trunks.values()
    }

    pub(super) fn standing(&self, trunk: &Key) -> Option<&TrunkStanding> {
        self.standings.of(trunk)
    }

    pub(super) fn trunk(&self, trunk: &Key) -> Option<&TrunkUse> {
        self.trunks.get(trunk)
    }

    pub(super) fn registrations_of<'a>(
        &'a self,
        extension: &'a Key,
    ) -> impl Iterator<Item = &'a Registration> {
        let from = (extension.clone(), String::new());
        let rows = self.registrations.range(from..);
        rows.take_while(move |((user, _), _)| user == extension).map(|(_, row)| row)
    }

    pub(super) fn registrations(&self) -> impl Iterator<Item = &Registration> {
        self.registrations.values()
    }
}

fn leg_of(call: &mut LiveCall, number: LegNumber) -> Option<&mut LiveLeg> {
    // From the back: events are mostly about the leg that was dialled last.
    call.legs.iter_mut().rev().find(|leg| leg.number == number)
}

fn about_call(name: &'static str, call: &LiveCall) -> Notice {
    Notice { name, customer: call.customer.clone(), body: Arc::new(NoticeBody::Call(call.clone())) }
}

fn for_operator(name: &'static str, body: NoticeBody) -> Notice {
    Notice { name, customer: None, body: Arc::new(body) }
}
