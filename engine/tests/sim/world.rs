//! Time, the network and everybody on it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tensou_engine::journal::{Ledger, cdrs_of};
use tensou_engine::media::MediaEvent;
use tensou_engine::route::{Provisioning, Snapshot};
use tensou_engine::{
    CallId, Cdr, Engine, EngineConfig, Event, Flow, Input, Limits, Listener, ListenerId,
    MediaConfig, Now, OperatorCommand, Output, Question, ResolveId, Timestamp, Transport,
    UnknownPeer, WallTime,
};

use crate::check::{self, Check, End};
use crate::due::Due;
use crate::office::ENGINE;
use crate::relay::Relay;
use crate::rng::Rng;
use crate::streams::{Streams, TRIP};
use crate::text::Msg;
use crate::ua::{Alarm, Out, Ua};

/// 2026-11-18, when the simulated clock is at zero.
pub(crate) const EPOCH: i64 = 1_795_000_000_000_000;

/// A busy engine takes together what comes within this time.
const REST: u64 = 5_000;

/// How long a death makes the next ones rarer.
const RESPITE: Duration = Duration::from_secs(5);

/// What the network does to a datagram, in percent and time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) twice: u64,
    /// Each datagram takes up to this long, so later ones overtake earlier ones.
    pub(crate) delay: Duration,
}

enum What {
    ToEngine { from: String, bytes: Vec<u8> },
    ToUa { to: String, bytes: Vec<u8> },
    Wake { place: String, alarm: Alarm },
    Media(MediaEvent),
    Reset { place: String },
    Gone { flow: Flow },
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) weather: Weather,
    /// The engine is busy: it takes datagrams that follow each other closely at once.
    pub(crate) busy: bool,
    pub(crate) relay: Relay,
    pub(crate) uas: BTreeMap<String, Ua>,
    /// What came to places where nobody lives.
    pub(crate) inbox: Vec<(String, Msg)>,
    pub(crate) cdrs: Vec<Cdr>,
    pub(crate) events: Vec<Event>,
    /// Of so many outputs, one is the last before the engine dies; 0: it lives for ever.
    pub(crate) dies_after: u64,
    /// It dies, once, when so many outputs more have been carried out.
    pub(crate) dies_in: Option<u64>,
    /// What it has written into its journal.
    ledger: Ledger,
    /// Records that are in the journal and nowhere else.
    undelivered: Vec<Cdr>,
    /// What the engine is built of, for the next life.
    config: EngineConfig,
    snapshot: Arc<Snapshot>,
    /// How often it died.
    pub(crate) deaths: u64,
    /// The outputs of a recovery are being carried out: of the how manieth in a row.
    resuming: u64,
    /// When it died lately.
    died_at: VecDeque<u64>,
    pub(crate) streams: Streams,
    /// Names that the engine wants to be looked up.
    pub(crate) questions: Vec<(ResolveId, Question)>,
    /// A sum over everything that the engine has said, byte for byte.
    pub(crate) story: u64,
    pub(crate) checks: Vec<Box<dyn Check>>,
    queue: BinaryHeap<Reverse<Due<What>>>,
    order: u64,
}

pub(crate) fn engine_config(seed: u64, unknown_peer: UnknownPeer) -> EngineConfig {
    EngineConfig {
        node: "sim".to_owned(),
        shard: 3,
        seed,
        listeners: [Transport::Udp, Transport::Tcp].map(listener).into(),
        not_sip: vec!["198.51.100.80:8080".parse().unwrap()],
        domain: "pbx.example".to_owned(),
        media: MediaConfig {
            address: "192.0.2.10".parse().unwrap(),
            first_port: 20_000,
            last_port: 21_999,
        },
        unknown_peer,
        digest: tensou_engine::DigestOffer::Both,
        contacts: tensou_engine::ContactLimit::default(),
        limits: tensou_engine::Limits::default(),
        journal: true,
    }
}

fn listener(transport: Transport) -> Listener {
    Listener {
        transport,
        address: ENGINE.parse().unwrap(),
        advertise_host: "192.0.2.10".to_owned(),
        advertise_port: 5060,
    }
}

impl World {
    pub(crate) fn new(seed: u64, office: &Provisioning, unknown_peer: UnknownPeer) -> World {
        let snapshot = Arc::new(Snapshot::compile(1, office).unwrap());
        let config = engine_config(seed, unknown_peer);
        World {
            engine: Engine::new(config.clone(), Arc::clone(&snapshot)),
            busy: false,
            dies_after: 0,
            dies_in: None,
            ledger: Ledger::default(),
            undelivered: Vec::new(),
            config,
            snapshot,
            deaths: 0,
            resuming: 0,
            died_at: VecDeque::new(),
            now: 0,
            rng: Rng::new(seed),
            weather: Weather::default(),
            relay: Relay::default(),
            uas: BTreeMap::new(),
            inbox: Vec::new(),
            cdrs: Vec::new(),
            events: Vec::new(),
            streams: Streams::default(),
            questions: Vec::new(),
            story: 0,
            checks: check::all(),
            queue: BinaryHeap::new(),
            order: 0,
        }
    }

    /// Another engine, which holds no more than this.
    pub(crate) fn limited(&mut self, office: &Provisioning, limits: Limits) {
        let config = EngineConfig { limits, ..engine_config(1, UnknownPeer::Drop) };
        let snapshot = Snapshot::compile(1, office).unwrap();
        self.engine = Engine::new(config, Arc::new(snapshot));
    }

    pub(crate) fn settle(&mut self, ua: Ua) {
        self.uas.insert(ua.place.clone(), ua);
    }

    fn clock(&self) -> Now {
        Now {
            mono: Timestamp::from_micros(self.now),
            wall: WallTime::from_unix_micros(EPOCH + self.now as i64),
        }
    }

    fn later(&mut self, after: Duration, what: What) {
        self.order += 1;
        let at = self.now + after.as_micros() as u64;
        self.queue.push(Reverse(Due { at, order: self.order, what }));
    }

    /// Gives a datagram to the network.
    fn post(&mut self, bytes: Vec<u8>, what: impl Fn(Vec<u8>) -> What) {
        let Weather { loss, twice, delay } = self.weather;
        let copies = 1 + u32::from(self.rng.chance(twice));
        for _ in 0..copies {
            if !self.rng.chance(loss) {
                let after = Duration::from_millis(1) + self.rng.within(delay);
                self.later(after, what(bytes.clone()));
            }
        }
    }

    /// Sends to the engine from any address.
    pub(crate) fn sends(&mut self, from: &str, bytes: Vec<u8>) {
        let what = |bytes| What::ToEngine { from: from.to_owned(), bytes };
        if self.streams.flow(from).is_some() {
            self.stream(from, what(bytes));
        } else {
            self.post(bytes, what);
        }
    }

    /// Gives a message to a connection, which may break by it.
    fn stream(&mut self, place: &str, what: What) {
        if self.rng.chance(self.streams.resets) && self.streams.may_break(place, self.now) {
            self.later(TRIP, What::Reset { place: place.to_owned() });
        } else {
            self.later(TRIP, what);
        }
    }

    /// The connection of a place breaks; the next message makes another.
    pub(crate) fn resets(&mut self, place: &str) {
        let Some(flow) = self.streams.flow(place) else { return };
        self.streams.connect(place);
        self.engine_takes(Input::Closed { flow });
    }

    /// The connection of a place breaks, and no other can be made.
    pub(crate) fn breaks(&mut self, place: &str) {
        let Some(flow) = self.streams.flow(place) else { return };
        self.streams.forget(place);
        self.engine_takes(Input::Closed { flow });
    }

    /// Lets somebody act now.
    pub(crate) fn at<R>(&mut self, place: &str, act: impl FnOnce(&mut Ua, &mut Out<'_>) -> R) -> R {
        let mut ua = self.uas.remove(place).unwrap_or_else(|| panic!("nobody at {place}"));
        let mut rng = self.rng.fork();
        let mut out = Out { now: self.now, rng: &mut rng, sends: Vec::new(), alarms: Vec::new() };
        let result = act(&mut ua, &mut out);
        let Out { sends, alarms, .. } = out;
        self.uas.insert(place.to_owned(), ua);
        for bytes in sends {
            self.sends(place, bytes);
        }
        for (after, alarm) in alarms {
            self.later(after, What::Wake { place: place.to_owned(), alarm });
        }
        result
    }

    pub(crate) fn media(&mut self, event: MediaEvent) {
        self.engine_takes(Input::Media(event));
    }

    pub(crate) fn command(&mut self, command: OperatorCommand) {
        self.engine_takes(Input::Command(command));
    }

    pub(crate) fn publish(&mut self, office: &Provisioning) {
        self.snapshot = Arc::new(Snapshot::compile(2, office).unwrap());
        self.engine_takes(Input::Snapshot(Arc::clone(&self.snapshot)));
    }

    pub(crate) fn engine_takes(&mut self, input: Input<'_>) {
        self.handles(input);
        self.drain();
    }

    fn handles(&mut self, input: Input<'_>) {
        if let Input::Datagram { flow, bytes } = &input
            && let Some(msg) = Msg::parse(bytes)
        {
            for check in &mut self.checks {
                check.engine_heard(self.now, flow.remote, &msg);
            }
        }
        if let Input::Media(event) = &input {
            for check in &mut self.checks {
                check.media_said(self.now, *event);
            }
        }
        self.engine.handle(self.clock(), input);
    }

    /// Carries out what the engine says, unless it dies over it.
    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            let odds = self.dies_after * self.respite();
            if odds > 0 && self.rng.below(odds) == 0 {
                return self.dies();
            }
            match &mut self.dies_in {
                Some(0) => {
                    self.dies_in = None;
                    return self.dies();
                }
                Some(left) => *left -= 1,
                None => {}
            }
            self.carry_out(output);
        }
        for check in &mut self.checks {
            check.silent();
        }
    }

    /// How much longer than at other times it lives now. A recovery says much at once, and must
    /// come to an end; and much is answered, so that deaths would bring on deaths for ever.
    fn respite(&mut self) -> u64 {
        let since = self.now.saturating_sub(RESPITE.as_micros() as u64);
        while self.died_at.front().is_some_and(|at| *at < since) {
            self.died_at.pop_front();
        }
        let lately = 1 + self.died_at.len() as u64;
        (256 * self.resuming).max(1) * lately * lately
    }

    /// The process is killed and started anew: only the journal is left of the engine, and
    /// nothing of the relay.
    pub(crate) fn dies(&mut self) {
        self.deaths += 1;
        self.died_at.push_back(self.now);
        let (refuses, slow) = (self.relay.refuses, self.relay.slow);
        self.relay = Relay { refuses, slow, ..Relay::default() };
        for check in &mut self.checks {
            check.died();
        }
        for cdr in std::mem::take(&mut self.undelivered) {
            self.deliver(cdr);
        }
        self.queue.retain(|Reverse(due)| !matches!(due.what, What::Media(_)));
        self.config.seed = self.rng.next();
        let config = self.config.clone();
        let snapshot = Arc::clone(&self.snapshot);
        let mut ledger = self.ledger.clone();
        self.streams.left().for_each(|(peer, number)| ledger.connection_stands(peer, number));
        self.engine = Engine::restore(config, snapshot, self.clock(), &ledger);
        self.resuming += 1;
        let deaths = self.deaths;
        self.drain();
        // One that died over its recovery has left all of it to the next.
        if self.deaths == deaths {
            self.engine.handle(self.clock(), Input::Rewrite);
            self.drain();
        }
        self.resuming = 0;
    }

    fn journals(&mut self, record: &[u8]) {
        self.ledger.take(record).unwrap();
        self.undelivered.extend(cdrs_of(record).unwrap());
    }

    /// Brings a record from the journal to the database.
    fn deliver(&mut self, cdr: Cdr) {
        for check in &mut self.checks {
            check.record(self.now, &cdr);
        }
        self.cdrs.push(cdr);
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Transmit { flow, bytes } => {
                for byte in bytes.iter() {
                    self.story = self.story.wrapping_mul(0x100_0000_01b3) ^ u64::from(*byte);
                }
                let msg = Msg::parse(&bytes)
                    .unwrap_or_else(|| panic!("not SIP: {}", String::from_utf8_lossy(&bytes)));
                for check in &mut self.checks {
                    check.engine_sent(self.now, flow.remote, &msg);
                }
                let to = flow.remote.to_string();
                if flow.is_reliable() {
                    let stands = self.streams.flow(&to);
                    let known = stands.is_some_and(|it| it == flow || Streams::way(it) == flow);
                    if known {
                        self.stream(&to.clone(), What::ToUa { to, bytes: bytes.to_vec() });
                    } else {
                        self.later(TRIP, What::Gone { flow });
                    }
                    return;
                }
                self.post(bytes.to_vec(), |bytes| What::ToUa { to: to.clone(), bytes });
            }
            Output::Cdr(cdr) => {
                let at = self.undelivered.iter().position(|one| *one == *cdr);
                let cdr = self.undelivered.remove(at.expect("it is in the journal"));
                self.deliver(cdr);
            }
            Output::Journal(record) => {
                self.journals(&record);
                self.engine.reuse(record);
            }
            Output::Rewritten | Output::Expect { .. } => {}
            Output::Media(command) => {
                for check in &mut self.checks {
                    check.media(self.now, command);
                }
                let dice = self.rng.below(100);
                if let Some((after, event)) = self.relay.obey(command, dice) {
                    self.later(after, What::Media(event));
                }
            }
            // Those who watch are told again of calls that they know.
            Output::Event(_) if self.resuming > 0 => {}
            Output::Event(event) => {
                for check in &mut self.checks {
                    check.event(self.now, &event);
                }
                self.events.push(event);
            }
            Output::Resolve { query, question } => self.questions.push((query, question)),
        }
    }

    /// Lets `duration` pass.
    pub(crate) fn run(&mut self, duration: Duration) {
        let until = self.now + duration.as_micros() as u64;
        loop {
            let next = self.queue.peek().map(|Reverse(due)| due.at).filter(|at| *at <= until);
            let engine = self.engine.poll_timeout().map(Timestamp::as_micros);
            let engine = engine.filter(|at| *at <= until);
            match (next, engine) {
                (None, None) => break,
                (Some(at), engine) if engine.is_none_or(|wake| at <= wake) => {
                    self.now = self.now.max(at);
                    let Some(Reverse(due)) = self.queue.pop() else { break };
                    self.happens(due.what);
                }
                (_, Some(at)) => {
                    self.now = self.now.max(at);
                    self.engine_takes(Input::Tick);
                }
                (Some(_), None) => {}
            }
        }
        self.drain();
        self.now = until;
    }

    fn happens(&mut self, what: What) {
        match what {
            What::ToEngine { from, bytes } => {
                let datagram = Flow {
                    listener: ListenerId(0),
                    transport: Transport::Udp,
                    remote: from.parse().unwrap(),
                    connection: 0,
                };
                let flow = self.streams.flow(&from).unwrap_or(datagram);
                self.handles(Input::Datagram { flow, bytes: &bytes });
                let last = self.now + REST;
                let next = self.queue.peek().filter(|Reverse(next)| self.busy && next.at <= last);
                match next.map(|Reverse(next)| &next.what) {
                    Some(What::ToEngine { .. }) => {}
                    Some(_) | None => self.drain(),
                }
            }
            What::ToUa { to, bytes } => {
                let Some(msg) = Msg::parse(&bytes) else { return };
                if self.uas.contains_key(&to) {
                    self.at(&to, |ua, out| ua.hears(&msg, out));
                } else {
                    self.inbox.push((to, msg));
                }
            }
            What::Wake { place, alarm } => {
                if self.uas.contains_key(&place) {
                    self.at(&place, |ua, out| ua.wakes(&alarm, out));
                }
            }
            What::Media(event) => self.media(event),
            What::Reset { place } => self.resets(&place),
            What::Gone { flow } => self.engine_takes(Input::Unreachable { flow }),
        }
    }

    /// The calls that have begun, in order.
    pub(crate) fn calls_started(&self) -> Vec<CallId> {
        let started = self.events.iter().filter_map(|event| match event {
            Event::CallStarted(start) => Some(start.call),
            _ => None,
        });
        started.collect()
    }

    /// Everything must have come to its end: asks every checker.
    pub(crate) fn close(&mut self) {
        let quiet = self.engine.poll_timeout().map(Timestamp::as_micros);
        let end = End {
            now: self.now,
            calls_held: self.engine.calls_held(),
            next_wake: quiet,
            counters: *self.engine.counters(),
            uas: &self.uas,
            cdrs: &self.cdrs,
            deaths: self.deaths,
        };
        for check in &mut self.checks {
            check.finish(&end);
        }
    }
}
