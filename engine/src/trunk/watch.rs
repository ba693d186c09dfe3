//! The trunks that we register at and watch: the two machines at work.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::core::Core;
use crate::event::{Event, TrunkState};
use crate::id::Key;
use crate::input::Flow;
use crate::route::{AuthSpec, HealthSpec, RelationSpec, Trunk};
use crate::sip::syntax::{HeaderId, Message};
use crate::sip::transaction::{Challenged, ClientHandle};
use crate::timer::{TimerKey, TrunkTimer};
use crate::wheel::TimerId;

use super::credentials::Credentials;
use super::grant::{LONGEST, granted, service_route};
use super::health::{self, State as Health};
use super::registration::{self, Effect, Input, State, refresh_after, wait_after};
use super::requests::{self, Register, token};

/// Everything that is watched. A trunk keeps its place for as long as the engine lives, so that
/// timers and answers find it.
#[derive(Debug, Default)]
pub(crate) struct Trunks {
    watched: Vec<Watched>,
    asked: BTreeMap<ClientHandle, Asked>,
    /// We leave: nothing is registered any more.
    leaving: bool,
}

/// What a request of ours was about: the place of the trunk, and which of its two matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    slot: u32,
    about: About,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Registration,
    Peer(u16),
}

#[derive(Debug)]
struct Watched {
    key: Key,
    /// What the operator says; none once the trunk is gone or disabled.
    terms: Option<Terms>,
    credentials: Credentials,
    registration: Option<Registration>,
    peers: Vec<Peer>,
    told: Option<TrunkState>,
}

/// What must change for the machines to begin anew.
#[derive(Clone, Debug, PartialEq)]
struct Terms {
    relation: RelationSpec,
    known: Vec<SocketAddr>,
}

#[derive(Debug)]
struct Registration {
    state: State,
    call_id: String,
    tag: String,
    seq: u32,
    /// Asked for; more after 423.
    expires: Duration,
    /// Which of the registrar's places is tried.
    at: usize,
    due: Option<TimerId>,
    expired: Option<TimerId>,
    reason: String,
    /// Where the last REGISTER went.
    registrar: Option<Flow>,
    /// What the registrar wants as the Route of our calls (RFC 3608).
    service_route: Vec<Box<str>>,
}

#[derive(Debug)]
struct Peer {
    address: SocketAddr,
    state: Health,
    due: Option<TimerId>,
}

impl Trunks {
    /// Whether a peer of this address should not be called while another can be.
    pub(crate) fn is_down(&self, address: SocketAddr) -> bool {
        let peers = self.watched.iter().flat_map(|one| &one.peers);
        peers.into_iter().any(|peer| peer.address == address && !peer.state.is_up())
    }

    /// Trunks that are watched, and those of them that are down.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let told = self.watched.iter().filter_map(|one| one.told.as_ref());
        let down = told.clone().filter(|state| !state.up).count();
        (told.count() as u64, down as u64)
    }

    /// The trunk whose registrar calls us by the Contact that we gave it. Only the registrar's
    /// own address may: a Contact is no secret.
    pub(crate) fn called_by(&self, source: IpAddr, user: &str) -> Option<&Key> {
        let source = source.to_canonical();
        self.watched.iter().find_map(|one| {
            let terms = one.terms.as_ref()?;
            let register = terms.relation.register.as_ref()?;
            let registration = one.registration.as_ref()?;
            let ours = register.contact_user(terms.relation.auth.as_ref()) == user;
            let from = registration.registrar?.remote.ip().to_canonical() == source;
            let bound = matches!(registration.state, State::Bound { .. });
            (ours && from && bound).then_some(&one.key)
        })
    }

    /// The Route of calls by a trunk, as its registrar wants it.
    pub(crate) fn service_route(&self, key: &Key) -> &[Box<str>] {
        let watched = self.watched.iter().find(|one| one.key == *key);
        let registration = watched.and_then(|one| one.registration.as_ref());
        let bound = registration.filter(|one| matches!(one.state, State::Bound { .. }));
        bound.map_or(&[], |one| &one.service_route)
    }

    /// Whether a registrar of ours is at this address.
    pub(crate) fn is_registrar(&self, source: IpAddr) -> bool {
        let registrations = self.watched.iter().filter_map(|one| one.registration.as_ref());
        registrations
            .filter_map(|one| one.registrar)
            .any(|flow| flow.remote.ip().to_canonical() == source.to_canonical())
    }

    /// Answers a challenge with the account at a trunk: the header line.
    pub(crate) fn answer(
        &mut self,
        key: &Key,
        auth: &AuthSpec,
        (challenged, status, msg): (&Challenged, u16, &Message<'_>),
        rng: &mut crate::rng::Rng,
    ) -> Option<String> {
        let request = Message::parse_datagram(&challenged.request).ok()?;
        let slot = self.slot_of(key);
        let watched = self.watched.get_mut(slot as usize)?;
        watched.credentials.answer(auth, &request, (status, msg), rng)
    }

    /// Whose request a client transaction of ours is: the trunk, and its account there.
    pub(crate) fn owner_of(&self, client: ClientHandle) -> Option<(Key, AuthSpec)> {
        let asked = self.asked.get(&client)?;
        let watched = self.watched.get(asked.slot as usize)?;
        Some((watched.key.clone(), watched.terms.as_ref()?.relation.auth.clone()?))
    }

    /// A request goes on under another transaction, with credentials.
    pub(crate) fn replaced(&mut self, old: ClientHandle, new: ClientHandle, seq: u32) {
        let Some(asked) = self.asked.remove(&old) else { return };
        self.asked.insert(new, asked);
        if let About::Registration = asked.about
            && let Some(registration) = self.registration(asked.slot)
        {
            registration.seq = seq;
        }
    }

    fn slot_of(&mut self, key: &Key) -> u32 {
        let found = self.watched.iter().position(|one| one.key == *key);
        let at = found.unwrap_or_else(|| {
            self.watched.push(Watched {
                key: key.clone(),
                terms: None,
                credentials: Credentials::default(),
                registration: None,
                peers: Vec::new(),
                told: None,
            });
            self.watched.len() - 1
        });
        at as u32
    }

    fn registration(&mut self, slot: u32) -> Option<&mut Registration> {
        self.watched.get_mut(slot as usize)?.registration.as_mut()
    }

    fn terms(&self, slot: u32) -> Option<&Terms> {
        self.watched.get(slot as usize)?.terms.as_ref()
    }
}

/// New provisioning: what is as before goes on, the rest begins or ends.
pub(crate) fn install(core: &mut Core) {
    let snapshot = core.routing.snapshot.clone();
    let wanted = |trunk: &&Trunk| {
        let relation = &trunk.relation;
        trunk.enabled && (relation.register.is_some() || relation.health.is_some())
    };
    let mut terms: BTreeMap<u32, Terms> = BTreeMap::new();
    for trunk in snapshot.trunks.iter().filter(wanted) {
        let (relation, known) = (trunk.relation.clone(), trunk.known.clone());
        terms.insert(core.trunks.slot_of(&trunk.key), Terms { relation, known });
    }
    for slot in 0..core.trunks.watched.len() as u32 {
        let terms = terms.remove(&slot);
        if core.trunks.terms(slot) != terms.as_ref() {
            stop(core, slot);
            begin(core, slot, terms);
        }
    }
}

/// The process is about to end: registrars are told (RFC 3261 10.2.2).
pub(crate) fn leave(core: &mut Core) {
    core.trunks.leaving = true;
    for slot in 0..core.trunks.watched.len() as u32 {
        drive(core, slot, Input::Stop);
    }
}

fn stop(core: &mut Core, slot: u32) {
    drive(core, slot, Input::Stop);
    let Some(watched) = core.trunks.watched.get_mut(slot as usize) else { return };
    let (registration, peers) = (watched.registration.take(), std::mem::take(&mut watched.peers));
    let timers = registration.into_iter().flat_map(|one| [one.due, one.expired]);
    for timer in timers.chain(peers.into_iter().map(|peer| peer.due)) {
        core.io.disarm(timer);
    }
    core.trunks.asked.retain(|_, asked| asked.slot != slot);
}

fn begin(core: &mut Core, slot: u32, terms: Option<Terms>) {
    let leaving = core.trunks.leaving;
    let register = terms.as_ref().and_then(|terms| terms.relation.register.as_ref());
    let expires = register.filter(|_| !leaving).map(|register| register.expires);
    let registration = expires.map(|expires| Registration {
        state: State::Trying { failures: 0 },
        call_id: token(core),
        tag: token(core),
        seq: 0,
        expires,
        at: 0,
        due: None,
        expired: None,
        reason: "not yet registered".to_owned(),
        registrar: None,
        service_route: Vec::new(),
    });
    let health = terms.as_ref().and_then(|terms| terms.relation.health);
    let known = terms.as_ref().map(|terms| terms.known.clone()).unwrap_or_default();
    let peers = (0u16..).zip(known).filter(|_| health.is_some()).map(|(at, address)| {
        // Spread, so that many peers are not asked in one burst.
        let spread = health.map_or(Duration::ZERO, |health| health.interval);
        let after = core.io.rng.duration_below(spread);
        let timer = TimerKey::Trunk(slot, TrunkTimer::Question(at));
        Peer { address, state: Health::default(), due: Some(core.io.arm(after, timer)) }
    });
    let peers = peers.collect();
    let Some(watched) = core.trunks.watched.get_mut(slot as usize) else { return };
    (watched.terms, watched.registration, watched.peers) = (terms, registration, peers);
    watched.told = None;
    drive(core, slot, Input::Due);
    tell(core, slot);
}

/// A timer of a trunk.
pub(crate) fn due(core: &mut Core, slot: u32, timer: TrunkTimer) {
    match timer {
        TrunkTimer::Register => {
            if let Some(registration) = core.trunks.registration(slot) {
                registration.due = None;
            }
            drive(core, slot, Input::Due);
        }
        TrunkTimer::Expired => {
            if let Some(registration) = core.trunks.registration(slot) {
                registration.expired = None;
                registration.reason = "the registration has expired".to_owned();
            }
            drive(core, slot, Input::Expired);
        }
        TrunkTimer::Question(at) => ask(core, slot, at),
    }
}

fn ask(core: &mut Core, slot: u32, at: u16) {
    let Some(watched) = core.trunks.watched.get_mut(slot as usize) else { return };
    let Some(peer) = watched.peers.get_mut(usize::from(at)) else { return };
    peer.due = None;
    let address = peer.address;
    let Some(flow) = core.flow_to(address) else { return };
    let client = requests::options(core, flow);
    core.trunks.asked.insert(client, Asked { slot, about: About::Peer(at) });
}

/// The final answer to a request of ours.
pub(crate) fn answered(core: &mut Core, client: ClientHandle, status: u16, msg: &Message<'_>) {
    let Some(asked) = core.trunks.asked.remove(&client) else { return };
    match asked.about {
        About::Peer(at) => {
            let dead = matches!(status, 408 | 503);
            heard(
                core,
                asked.slot,
                at,
                if dead { health::Input::Missed } else { health::Input::Heard },
            );
        }
        About::Registration => registrar_said(core, asked.slot, status, msg),
    }
}

/// No answer came to a request of ours.
pub(crate) fn unanswered(core: &mut Core, client: ClientHandle) {
    let Some(asked) = core.trunks.asked.remove(&client) else { return };
    match asked.about {
        About::Peer(at) => heard(core, asked.slot, at, health::Input::Missed),
        About::Registration => {
            if let Some(registration) = core.trunks.registration(asked.slot) {
                registration.reason = "no answer from the registrar".to_owned();
                registration.at += 1;
            }
            drive(core, asked.slot, Input::Failed);
        }
    }
}

fn heard(core: &mut Core, slot: u32, at: u16, input: health::Input) {
    let Some(spec) = core.trunks.terms(slot).and_then(|terms| terms.relation.health) else {
        return;
    };
    let HealthSpec { interval, .. } = spec;
    let timer = core.io.arm(interval, TimerKey::Trunk(slot, TrunkTimer::Question(at)));
    let watched = core.trunks.watched.get_mut(slot as usize);
    if let Some(peer) = watched.and_then(|one| one.peers.get_mut(usize::from(at))) {
        peer.due = Some(timer);
        peer.state = health::step(peer.state, input, spec);
    }
    tell(core, slot);
}

fn registrar_said(core: &mut Core, slot: u32, status: u16, msg: &Message<'_>) {
    let ours = contact_of(core, slot);
    let Some(registration) = core.trunks.registration(slot) else { return };
    let input = match status {
        200..=299 => {
            registration.reason = "registered".to_owned();
            let granted = granted(msg, &ours, registration.expires);
            registration.expires = registration.expires.max(granted);
            registration.service_route = service_route(msg);
            arm_ends(core, slot, granted);
            Input::Accepted
        }
        423 => {
            // RFC 3261 10.2.8.
            let least = msg.leading_number(HeaderId::MinExpires).map(u64::from);
            let least = Duration::from_secs(least.unwrap_or_default()).min(LONGEST);
            let longer = least > registration.expires;
            registration.expires = registration.expires.max(least);
            registration.reason = "423 Interval Too Brief".to_owned();
            if longer { Input::TooBrief } else { Input::Failed }
        }
        _ => {
            registration.reason = format!("the registrar answers {status}");
            if status >= 500 {
                registration.at += 1;
            }
            Input::Failed
        }
    };
    let asked_to_wait = msg.leading_number(HeaderId::RetryAfter).map(u64::from);
    drive(core, slot, input);
    if input == Input::Failed
        && let Some(seconds) = asked_to_wait
    {
        let wait = Duration::from_secs(seconds).min(LONGEST);
        wait_for(core, slot, wait);
    }
}

/// The URI of the Contact that the registrar was given.
fn contact_of(core: &mut Core, slot: u32) -> String {
    let flow = core.trunks.registration(slot).and_then(|one| one.registrar);
    let terms = core.trunks.terms(slot).cloned();
    let (Some(flow), Some(terms)) = (flow, terms) else { return String::new() };
    let Some(spec) = &terms.relation.register else { return String::new() };
    requests::contact_uri(core, spec.contact_user(terms.relation.auth.as_ref()), flow)
}

/// Watches the end of what was granted, and sets the time of the refresh.
fn arm_ends(core: &mut Core, slot: u32, granted: Duration) {
    let Some(registration) = core.trunks.registration(slot) else { return };
    let before = registration.expired.take();
    core.io.disarm(before);
    let timer = core.io.arm(granted, TimerKey::Trunk(slot, TrunkTimer::Expired));
    if let Some(registration) = core.trunks.registration(slot) {
        registration.expired = Some(timer);
    }
    wait_for(core, slot, refresh_after(granted));
}

fn wait_for(core: &mut Core, slot: u32, wait: Duration) {
    let timer = core.io.arm(wait, TimerKey::Trunk(slot, TrunkTimer::Register));
    let before = core.trunks.registration(slot).and_then(|one| one.due.replace(timer));
    core.io.disarm(before);
}

/// Feeds the machine and carries out what it says.
fn drive(core: &mut Core, slot: u32, input: Input) {
    let Some(registration) = core.trunks.registration(slot) else { return };
    let (state, effects) = registration::step(registration.state, input);
    registration.state = state;
    for effect in effects {
        match effect {
            Effect::Register => send(core, slot, false),
            Effect::Remove => send(core, slot, true),
            // What was granted has set both timers.
            Effect::Refresh => {}
            Effect::Retry => retry(core, slot),
            Effect::Up | Effect::Down => {}
        }
    }
    tell(core, slot);
}

/// RFC 5626 4.5: a wait between half the bound and the bound.
fn retry(core: &mut Core, slot: u32) {
    let failures = match core.trunks.registration(slot).map(|one| one.state) {
        Some(State::Trying { failures } | State::Bound { failures }) => failures,
        Some(State::Leaving | State::Gone) | None => return,
    };
    let half = wait_after(failures) / 2;
    let wait = half + core.io.rng.duration_below(half);
    wait_for(core, slot, wait);
}

fn send(core: &mut Core, slot: u32, removal: bool) {
    let Some(terms) = core.trunks.terms(slot).cloned() else { return };
    let Some(spec) = &terms.relation.register else { return };
    let Some(registration) = core.trunks.registration(slot) else { return };
    let place = requests::place_of(spec, &terms.known, registration.at);
    let (call_id, tag) = (registration.call_id.clone(), registration.tag.clone());
    registration.seq += 1;
    let (seq, asked) = (registration.seq, registration.expires);
    let Some(flow) = place.and_then(|address| core.flow_to(address)) else {
        if let Some(registration) = core.trunks.registration(slot) {
            registration.reason = "the registrar has no address".to_owned();
        }
        // Once more when the time comes: the name may be found by then.
        return wait_for(core, slot, wait_after(0));
    };
    let auth = terms.relation.auth.as_ref();
    let place = spec.registrar.as_ref().map(|registrar| registrar.host.to_string());
    let place = place.unwrap_or_else(|| flow.remote.to_string());
    let what = Register {
        domain: spec.domain.as_deref().unwrap_or(&place),
        user: spec.aor_user(auth),
        contact: spec.contact_user(auth),
        call_id: &call_id,
        tag: &tag,
        seq,
        expires: if removal { Duration::ZERO } else { asked },
    };
    let client = requests::register(core, flow, &what);
    if let Some(registration) = core.trunks.registration(slot) {
        registration.registrar = Some(flow);
    }
    core.trunks.asked.insert(client, Asked { slot, about: About::Registration });
}

/// Tells the outside what has changed.
fn tell(core: &mut Core, slot: u32) {
    let Some(watched) = core.trunks.watched.get_mut(slot as usize) else { return };
    if watched.terms.is_none() {
        return;
    }
    let registration = watched.registration.as_ref();
    let registered = registration.map(|one| matches!(one.state, State::Bound { .. }));
    let peers: Vec<(SocketAddr, bool)> =
        watched.peers.iter().map(|peer| (peer.address, peer.state.is_up())).collect();
    let reached = peers.is_empty() || peers.iter().any(|(_, up)| *up);
    let reason = match registration {
        Some(one) if registered == Some(false) => one.reason.clone(),
        _ if !reached => "no peer answers".to_owned(),
        _ => String::new(),
    };
    let up = registered != Some(false) && reached;
    let state = TrunkState { up, registered, peers, reason };
    if watched.told.as_ref() != Some(&state) {
        watched.told = Some(state.clone());
        let trunk = watched.key.clone();
        core.io.event(Event::TrunkState { trunk, state: Box::new(state) });
    }
}
