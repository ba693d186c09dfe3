//! The one thread that owns the engine and its UDP sockets.
//!
//! It reads its sockets in batches, handles each datagram, sends what came of it in batches, and
//! sleeps until the next datagram or timer. It takes no lock, waits for nobody and shares nothing
//! but queues and plain counters with the rest of the process.

mod control;
mod datagrams;
mod outbox;
mod pace;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver as ControlQueue, TryRecvError};
use std::time::Duration;

use tensou_engine::journal::{Ledger, alone};
use tensou_engine::media::MediaEvent;
use tensou_engine::route::Snapshot;
use tensou_engine::{
    Engine, EngineConfig, Flow, Input, ListenerId, Now, OperatorCommand, Output, ResolveId,
    Timestamp, Transport,
};

use crate::clock::Clock;
use crate::events::EventSender;
use crate::gauges::Gauges;
use crate::journal::{Condition, Writer};
use crate::media_link::MediaLink;
use crate::resolver::QuestionSender;
use crate::streams::{FromStream, StreamLink};
use crate::sys::{Poller, Receiver, Sender, Waker};

pub(crate) use control::{Control, EngineHandle};
use outbox::{Outbox, Unsent};
use pace::{Pace, Pause};

/// Counters are copied for others this often; it bounds the longest sleep too.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// Messages taken from streams before datagrams get their turn.
const STREAMS_PER_LOOK: usize = 256;

/// What the poller's tokens stand for. All sockets are read in every round, so they need no token
/// each.
const WOKEN: u64 = 0;
const MEDIA: u64 = 1;
const SOCKETS: u64 = 2;

/// What the thread is made of.
pub(crate) struct Parts {
    /// The engine's configuration; its listeners are `sockets`, in this order.
    pub(crate) config: EngineConfig,
    /// The first provisioning.
    pub(crate) snapshot: Arc<Snapshot>,
    /// Bound, tuned sockets.
    pub(crate) sockets: Vec<UdpSocket>,
    /// To the relay.
    pub(crate) media: MediaLink,
    /// What outlives the process.
    pub(crate) journal: Writer,
    /// The journal's state.
    pub(crate) condition: Condition,
    /// What the process before left.
    pub(crate) ledger: Ledger,
    /// The clock that goes on from there.
    pub(crate) clock: Clock,
    /// Events.
    pub(crate) events: EventSender,
    /// Names to look up.
    pub(crate) questions: QuestionSender,
    /// To and from connections.
    pub(crate) streams: StreamLink,
    /// Counters for others.
    pub(crate) gauges: Arc<Gauges>,
}

/// The running thread.
pub(crate) struct EngineThread {
    /// Reaches it.
    pub(crate) handle: EngineHandle,
    join: std::thread::JoinHandle<MediaLink>,
}

impl EngineThread {
    /// Starts it. `ended` is dropped when it ends, for whatever reason.
    pub(crate) fn start(
        parts: Parts,
        ended: tokio::sync::oneshot::Sender<()>,
    ) -> io::Result<EngineThread> {
        let waker = Arc::new(Waker::new()?);
        let poller = Poller::new()?;
        poller.add(&*waker, WOKEN)?;
        poller.add(&parts.media, MEDIA)?;
        for socket in &parts.sockets {
            poller.add(socket, SOCKETS)?;
        }
        let (handle, control) = control::control_queue(Arc::clone(&waker));
        let join = std::thread::Builder::new().name("engine".into()).spawn(move || {
            let _ended = ended;
            Looper::new(parts, control, waker, poller).run()
        })?;
        Ok(EngineThread { handle, join })
    }

    /// Waits for its end; the relay goes on until what is returned is dropped. None when the
    /// thread panicked.
    pub(crate) fn join(self) -> Option<MediaLink> {
        self.join.join().ok()
    }
}

struct Looper {
    clock: Clock,
    engine: Engine,
    sockets: Vec<(UdpSocket, Outbox)>,
    sender: Sender,
    media: MediaLink,
    /// What the relay answered and the engine has not heard yet.
    answers: VecDeque<MediaEvent>,
    journal: Writer,
    /// The engine writes its calls into the journal, their CDRs among them.
    keeps_calls: bool,
    condition: Condition,
    /// New calls are refused for want of room on the journal's disk.
    refusing: bool,
    events: EventSender,
    questions: QuestionSender,
    streams: StreamLink,
    gauges: Arc<Gauges>,
    control: ControlQueue<Control>,
    waker: Arc<Waker>,
    poller: Poller,
    pace: Pace,
    next_report: Timestamp,
    /// The socket whose backlog the engine was told of last.
    behind: Option<usize>,
    /// When the calls of the process before had been taken up.
    resumed: Timestamp,
    dropped: u64,
    /// Ways of streams that take no more messages, and questions that found no room: the engine
    /// has not heard of them yet.
    cut: Vec<Flow>,
    unasked: Vec<ResolveId>,
    /// Peers that could not be reached, by socket, and that the engine has not heard of yet.
    unreached: Vec<(usize, SocketAddr)>,
}

impl Looper {
    fn new(
        parts: Parts,
        control: ControlQueue<Control>,
        waker: Arc<Waker>,
        poller: Poller,
    ) -> Self {
        let clock = parts.clock;
        let keeps_calls = parts.config.journal;
        let engine = Engine::restore(parts.config, parts.snapshot, clock.now(), &parts.ledger);
        Looper {
            engine,
            sockets: parts.sockets.into_iter().map(|socket| (socket, Outbox::new())).collect(),
            sender: Sender::new(),
            media: parts.media,
            answers: VecDeque::new(),
            journal: parts.journal,
            keeps_calls,
            condition: parts.condition,
            refusing: false,
            events: parts.events,
            questions: parts.questions,
            streams: parts.streams,
            gauges: parts.gauges,
            control,
            waker,
            poller,
            pace: Pace::new(clock.now().mono),
            next_report: Timestamp::ZERO,
            behind: None,
            resumed: Timestamp::ZERO,
            dropped: 0,
            cut: Vec::new(),
            unasked: Vec::new(),
            unreached: Vec::new(),
            clock,
        }
    }

    fn run(mut self) -> MediaLink {
        let mut receiver = Receiver::new();
        self.resume();
        loop {
            let (errors, media) = self.pause();
            if self.take_control() {
                break;
            }
            // Now, for what the look before staged may be in its segment by now.
            if self.journal.rotate() {
                self.rewrite();
            }
            if media {
                self.take_media();
            }
            self.take_streams(STREAMS_PER_LOOK);
            for at in 0..self.sockets.len() {
                if errors {
                    self.take_errors(at, &mut receiver);
                }
                self.take_datagrams(at, &mut receiver);
            }
            self.tick();
            self.flush();
        }
        // Whoever sent it has been told that it arrived.
        self.take_streams(self.streams.waiting());
        self.flush();
        self.journal.finish();
        self.report();
        self.media
    }

    /// Goes on with what the process before left, media first, and has it all in a segment of
    /// its own.
    fn resume(&mut self) {
        let now = self.clock.now();
        self.settle(now);
        self.media.taken_up();
        self.journal.rewriting();
        self.rewrite();
        self.flush();
        self.resumed = self.clock.now().mono;
    }

    fn rewrite(&mut self) {
        let now = self.clock.now();
        self.engine.handle(now, Input::Rewrite);
        self.settle(now);
    }

    fn report(&mut self) {
        self.gauges.store(self.engine.counters());
        self.media.report();
        let refusing = self.condition.is_low();
        if std::mem::replace(&mut self.refusing, refusing) != refusing {
            let now = self.clock.now();
            let command = OperatorCommand::RefuseCalls(refusing);
            self.engine.handle(now, Input::Command(command));
            self.settle(now);
        }
    }

    /// Sleeps until there is something to do; whether a socket has errors to tell, and whether
    /// the relay is to be looked after: when it says so, under load, and with every report.
    fn pause(&mut self) -> (bool, bool) {
        let now = self.clock.now().mono;
        let reporting = now >= self.next_report;
        if reporting {
            self.report();
            self.next_report = now + REPORT_EVERY;
        }
        let due =
            self.engine.poll_timeout().map_or(self.next_report, |it| it.min(self.next_report));
        match self.pace.pause(now, due.since(now)) {
            Pause::Wait(longest) => {
                let ready = self.poller.wait(longest);
                if ready.has(WOKEN) {
                    self.waker.clear();
                }
                (ready.errors, reporting || ready.has(MEDIA))
            }
            Pause::Rest(rest) => {
                std::thread::sleep(rest);
                (false, true)
            }
        }
    }

    /// Carries out what the process asks; true when it asks to stop.
    fn take_control(&mut self) -> bool {
        loop {
            let control = match self.control.try_recv() {
                Ok(control) => control,
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            };
            let now = self.clock.now();
            match control {
                Control::Command(command) => self.engine.handle(now, Input::Command(command)),
                Control::Snapshot(snapshot) => self.engine.handle(now, Input::Snapshot(snapshot)),
                Control::Resolved { query, targets } => {
                    self.engine.handle(now, Input::Resolved { query, targets: &targets });
                }
                Control::Stop => return true,
            }
            self.settle(now);
        }
    }

    fn take_media(&mut self) {
        while let Some(event) = self.media.poll() {
            let now = self.clock.now();
            self.engine.handle(now, Input::Media(event));
            self.settle(now);
        }
    }

    /// Handles some of what came by connections: datagrams and timers get their turn too.
    fn take_streams(&mut self, most: usize) {
        for _ in 0..most {
            let Some(what) = self.streams.poll() else { return };
            let now = self.clock.now();
            match &what {
                FromStream::Message { flow, bytes } => {
                    self.engine.handle(now, Input::Datagram { flow: *flow, bytes });
                }
                FromStream::Identified { flow, names } => {
                    self.engine.handle(now, Input::Identified { flow: *flow, names });
                }
                FromStream::Closed { flow } => {
                    self.engine.handle(now, Input::Closed { flow: *flow });
                }
                FromStream::Unreachable { flow } => {
                    self.engine.handle(now, Input::Unreachable { flow: *flow });
                }
            }
            self.settle(now);
        }
        // More may wait than was taken.
        self.waker.wake();
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        if self.engine.poll_timeout().is_some_and(|due| due <= now.mono) {
            self.engine.handle(now, Input::Tick);
            self.settle(now);
        }
    }

    /// Drains the engine, and tells it what the relay answers, until both are silent.
    fn settle(&mut self, now: Now) {
        while let Some(output) = self.engine.poll_output() {
            self.carry_out(output);
            for event in self.answers.drain(..) {
                self.engine.handle(now, Input::Media(event));
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Transmit { flow, bytes } if flow.is_reliable() => {
                // It leaves at once, and what it makes true stands in the journal before.
                self.journal.flush();
                if !self.streams.send(flow, bytes) {
                    self.cut.push(flow);
                }
            }
            Output::Transmit { flow, bytes } => {
                if let Some((_, outbox)) = self.sockets.get_mut(usize::from(flow.listener.0)) {
                    outbox.push(flow.remote, bytes);
                    if outbox.is_full() {
                        self.flush_one(usize::from(flow.listener.0));
                    }
                }
            }
            Output::Expect { remote, name } => self.streams.expect(remote, name),
            Output::Resolve { query, question } => {
                if !self.questions.ask(query, question) {
                    tracing::warn!("too many names wait for the resolver; one was given up");
                    self.unasked.push(query);
                }
            }
            Output::Media(command) => self.answers.extend(self.media.carry_out(command)),
            // It stands in the journal, from where it is delivered.
            Output::Cdr(cdr) => {
                self.condition.record_made();
                if !self.keeps_calls {
                    let records = alone(&cdr, self.clock.now());
                    records.iter().for_each(|record| self.journal.push(record));
                }
            }
            Output::Event(event) => self.events.push(event),
            Output::Journal(record) => {
                self.journal.push(&record);
                self.engine.reuse(record);
            }
            Output::Rewritten => self.journal.rewritten(),
        }
    }

    /// Sends everything, also what the engine makes of peers that could not be reached. Those
    /// that it tries then and that fail again are heard of in the next round.
    fn flush(&mut self) {
        self.journal.flush();
        for at in 0..self.sockets.len() {
            self.flush_one(at);
        }
        self.tell_refused();
        if self.unreached.is_empty() {
            return;
        }
        for (at, remote) in std::mem::take(&mut self.unreached) {
            self.unreachable(at, remote);
        }
        for at in 0..self.sockets.len() {
            self.flush_one(at);
        }
    }

    /// Tells the engine what the queues to other threads did not take. What it tries then and
    /// finds no room either is heard of in the next round.
    fn tell_refused(&mut self) {
        let now = self.clock.now();
        for flow in std::mem::take(&mut self.cut) {
            self.engine.handle(now, Input::Unreachable { flow });
            self.settle(now);
        }
        for query in std::mem::take(&mut self.unasked) {
            self.engine.handle(now, Input::Resolved { query, targets: &[] });
            self.settle(now);
        }
    }

    fn flush_one(&mut self, at: usize) {
        self.journal.flush();
        let Some((socket, outbox)) = self.sockets.get_mut(at) else { return };
        let Unsent { unreachable, dropped } = outbox.flush(socket, &mut self.sender);
        self.unreached.extend(unreachable.into_iter().map(|remote| (at, remote)));
        if dropped > 0 {
            self.dropped += dropped;
            tracing::warn!(dropped = self.dropped, "the socket's send buffer stayed full");
        }
    }
}

/// The way between our socket `at` and `remote`.
fn flow(at: usize, remote: SocketAddr) -> Flow {
    let listener = ListenerId(u16::try_from(at).unwrap_or(u16::MAX));
    Flow { listener, transport: Transport::Udp, remote, connection: 0 }
}
