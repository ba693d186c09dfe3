//! A running node: every part started and joined, and ended in the right order.

mod calls;
mod journal;
mod plan;
mod shared;
mod web;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tensou_admin::board::Board;
use tensou_config::Settings;
use tensou_engine::OperatorCommand;
use tensou_media::io::Relay;
use tensou_store::Store;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::cdr_writer::{CdrWriter, NodeRecords};
use crate::database::{Beginning, Database};
use crate::engine_thread::{EngineHandle, EngineThread, Parts};
use crate::events::event_queue;
use crate::failure::Failure;
use crate::gauges::Gauges;
use crate::handover::{self, Inheritance};
use crate::journal::Condition;
use crate::media_link::{MediaLink, RelayFigures};
use crate::metrics::Metrics;
use crate::provisioning_copy::{CopyFile, CopyKeeper};
use crate::resolver::{Names, questions};
use crate::snapshot_task::{Published, SnapshotTask, report};
use crate::sockets::bind_all;
use crate::streams::{Hold, LeftStream, Origin, StreamParts, Switchboard, hold, stream_queues};
use crate::tls::{self, Certificates};
use crate::watchdog;

use calls::Calls;
use journal::Journal;
pub(crate) use plan::domain;
use plan::{Sorted, engine_config, first_address, node_info, relay_config, sort_sockets};
use web::{Facts, Sockets, Web};

/// How often the database is asked whether it is there, for readiness and metrics.
const PING_EVERY: Duration = Duration::from_secs(2);
/// Listening sockets that a node has at most, in any sensible settings.
const LISTENERS: usize = 16;
/// Operator's commands that may wait.
const COMMANDS: usize = 256;

/// A running node.
pub(crate) struct Node {
    calls: Calls,
    writer: CdrWriter,
    journal: Journal,
    board_feed: JoinHandle<()>,
    hold: Hold,
    switchboard: JoinHandle<Vec<LeftStream>>,
    background: Vec<JoinHandle<()>>,
    web: Web,
    sip_address: SocketAddr,
    domain: String,
    name: String,
    store: Store,
    certificates: Certificates,
    password: Option<String>,
}

impl Node {
    /// Starts everything. What is missing (a port, the database) ends it again.
    pub(crate) async fn start(settings: &Settings, database: Database) -> Result<Node, Failure> {
        let opened = journal::Opened::open(settings)?;
        tls::install_provider();
        let certificates = Certificates::load(settings).map_err(Failure::input)?;
        let names = Names::of(settings.sip.nameserver).map_err(Failure::missing)?;
        let mut left = Inheritance::take();
        let bound = bind_all(&settings.sip, &mut left).map_err(Failure::missing)?;
        let listening = Sockets::bind(settings, certificates.admin.clone(), &mut left).await?;
        let (beginning, opening) = database.begin(settings, opened.calls()).await?;
        let Beginning { store, provisioning, opened: open, password } = beginning;
        report(provisioning.faults());
        let published = Published::new(provisioning);
        let sip_address = first_address(&bound)?;
        let domain = domain(&settings.sip);

        let mut relay = Relay::start(relay_config(settings)).map_err(Failure::missing)?;
        relay.take_up(left.media());
        let ports = relay.ports();
        let figures = RelayFigures::default();
        let media = MediaLink::new(relay, figures.clone());
        let (events, event_receiver) = event_queue();
        let (questions, question_receiver) = questions();
        let gauges = Arc::new(Gauges::new());
        let Sorted { listeners, datagrams: sockets, streams: stream_sockets } =
            sort_sockets(bound)?;
        let config = engine_config(settings, &domain, listeners, ports);
        let (streams, queues) = stream_queues();
        let (hold, held) = hold();
        let snapshot = published.snapshot();
        let shown = Arc::clone(&gauges);
        let (journal, tail, mut written) = opened.start(settings)?;
        let left_streams = left.connections();
        for (number, left) in (1..).zip(&left_streams) {
            if left.origin != Origin::Ours {
                written.ledger.connection_stands(left.peer, number);
            }
        }
        let parts = Parts {
            config,
            snapshot,
            sockets,
            media,
            journal: written.writer,
            condition: journal.condition(),
            ledger: written.ledger,
            clock: written.clock,
            events,
            questions,
            streams,
            gauges: shown,
        };
        let (ended, engine_ended) = oneshot::channel();
        let engine = EngineThread::start(parts, ended).map_err(Failure::missing)?;

        let database_up = Arc::new(AtomicBool::new(open.is()));
        let metrics = Arc::new(Metrics {
            node: settings.node.name.as_str().to_owned(),
            started: Instant::now(),
            gauges: Arc::clone(&gauges),
            relay: figures,
            journal: journal.condition(),
            events_dropped: event_receiver.dropped(),
            database_up: Arc::clone(&database_up),
        });
        let board = Arc::new(Board::new());
        let board_feed = tokio::spawn(event_receiver.feed(Arc::clone(&board)));
        let (commands, command_receiver) = mpsc::channel(COMMANDS);
        let draining = Arc::new(AtomicBool::new(false));
        let facts =
            Facts { published: published.clone(), draining: Arc::clone(&draining), metrics };
        let about = node_info(settings, &domain);
        let shared = shared::start(settings, &store, &board, &engine.handle, &open);
        let deps = facts.deps(store.clone(), board, commands, about);
        let web = listening.serve(deps, facts).map_err(Failure::missing)?;
        let snapshots =
            SnapshotTask { store: store.clone(), engine: engine.handle.clone(), published };
        let copies = CopyKeeper {
            file: CopyFile::of(settings),
            store: store.clone(),
            published: snapshots.published.clone(),
        };
        let switchboard = Switchboard::new(StreamParts {
            sockets: stream_sockets,
            identity: certificates.sip.clone(),
            traffic_class: settings.sip.dscp.traffic_class(),
            queues,
            engine: engine.handle.clone(),
            left: left_streams,
            held,
        });
        let mut background = vec![
            tokio::spawn(question_receiver.answer(names, engine.handle.clone())),
            tokio::spawn(snapshots.run(open.clone())),
            tokio::spawn(copies.run(open.clone())),
            tokio::spawn(pass_commands(command_receiver, engine.handle.clone())),
            tokio::spawn(watch_database(store.clone(), database_up)),
            tokio::spawn(watchdog::keep_alive(Arc::clone(&gauges))),
        ];
        background.extend(shared.into_iter().chain(opening));
        let name = settings.node.name.as_str().to_owned();
        let records = NodeRecords { store: store.clone(), node: name.clone(), opened: open };
        let writer = CdrWriter::start(records, tail);
        left.settle();
        let drain = settings.node.drain;
        let calls = Calls { engine, engine_ended, gauges, draining, drain };
        Ok(Node {
            calls,
            hold,
            switchboard: tokio::spawn(switchboard.run()),
            writer,
            journal,
            board_feed,
            background,
            web,
            sip_address,
            domain,
            name,
            store,
            certificates,
            password,
        })
    }

    /// What the first user signs in with, where there was none.
    pub(crate) fn first_password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Where REST and UI are.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.web.address()
    }

    /// `http` or `https`.
    pub(crate) fn admin_scheme(&self) -> &'static str {
        self.web.scheme()
    }

    /// Certificates, to be read again.
    pub(crate) fn certificates(&self) -> Certificates {
        self.certificates.clone()
    }

    /// Where SIP is heard first.
    pub(crate) fn sip_address(&self) -> SocketAddr {
        self.sip_address
    }

    /// Realm and registrar domain.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// The state of the journal: records that are not in the database yet.
    pub(crate) fn journal(&self) -> Condition {
        self.journal.condition()
    }

    /// Returns when a part that must not end has ended.
    pub(crate) async fn failed(&mut self) -> Failure {
        self.calls.engine_ended().await;
        Failure::missing(anyhow::anyhow!("the engine's thread has ended"))
    }

    /// Takes no more calls, lets the running ones end for as long as the settings say, hangs up
    /// the rest, writes every record, and ends.
    pub(crate) async fn shut_down(self) {
        self.calls.drain().await;
        self.end().await;
    }

    /// Ends at once, but for the records.
    pub(crate) async fn abandon(self) {
        self.end().await;
    }

    /// Why the node cannot hand over to a next process.
    pub(crate) async fn obstacle(&self) -> Option<String> {
        handover::obstacle(self.calls.sockets() + LISTENERS).await
    }

    /// Stops reading, keeps what was said in the journal, and leaves every socket that a call
    /// needs to the next process. Until that has begun, what comes waits in them; what is not in
    /// the database yet waits in the journal.
    pub(crate) async fn hand_over(mut self) {
        self.hold.begin().await;
        let media = self.calls.end().await;
        self.writer.abandon();
        let (connections, ()) = tokio::join!(self.switchboard, self.journal.stop());
        let Some(media) = media else { return };
        // Voice first: where the store is full, a peer can connect again.
        let kept = handover::keep_media(media.held_sockets())
            .and(handover::keep_connections(&connections.unwrap_or_default()));
        if let Err(error) = kept.and(handover::barrier().await) {
            tracing::error!("voice will pause until the next process has begun: {error}");
        }
    }

    /// The engine first, so that nothing new comes; then what carries its last words; the
    /// database last.
    async fn end(self) {
        drop(self.calls.end().await);
        self.writer.finish().await;
        self.journal.stop().await;
        if self.board_feed.await.is_err() {
            tracing::error!("the feed of the live board panicked");
        }
        self.web.stop().await;
        self.switchboard.abort();
        for task in self.background {
            task.abort();
        }
        // The others see sooner that it is gone; if not, its silence tells them.
        let _told = tokio::time::timeout(PING_EVERY, self.store.leave(&self.name)).await;
        self.store.close().await;
    }
}

async fn pass_commands(mut commands: mpsc::Receiver<OperatorCommand>, engine: EngineHandle) {
    while let Some(command) = commands.recv().await {
        if engine.command(command).is_err() {
            return;
        }
    }
}

async fn watch_database(store: Store, up: Arc<AtomicBool>) {
    let mut pings = tokio::time::interval(PING_EVERY);
    pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pings.tick().await;
        let answers = tokio::time::timeout(PING_EVERY, store.ping()).await;
        let now_up = matches!(answers, Ok(Ok(())));
        if up.swap(now_up, Ordering::Relaxed) != now_up {
            match now_up {
                true => tracing::info!("the database answers again"),
                false => tracing::error!("the database does not answer; calls go on"),
            }
        }
    }
}
