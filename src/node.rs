//! A running node: every part started and joined, and ended in the right order.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::Rng;
use tensou_admin::board::Board;
use tensou_admin::{Deps, NodeInfo, Readiness};
use tensou_config::{Settings, Sip, UnknownPeer};
use tensou_engine::{Cdr, EngineConfig, MediaConfig, OperatorCommand};
use tensou_media::io::{Relay, RelayConfig};
use tensou_store::Store;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::cdr_queue::{Backlog, cdr_queue};
use crate::cdr_writer::{NodeRecords, write_all};
use crate::engine_thread::{Control, EngineHandle, EngineThread, Parts};
use crate::events::event_queue;
use crate::failure::Failure;
use crate::gauges::Gauges;
use crate::media_link::{MediaLink, RelayFigures};
use crate::metrics::Metrics;
use crate::resolver::questions;
use crate::snapshot_task::{LoadError, Published, SnapshotTask, load, report};
use crate::sockets::{Bound, bind_all, reachable};

/// How often the database is asked whether it is there, for readiness and metrics.
const PING_EVERY: Duration = Duration::from_secs(2);
/// How often an ending node looks whether its calls are over.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long calls that were hung up may take to be over: their BYEs are out at once, only a
/// lost one takes longer.
const HANG_UP_WAIT: Duration = Duration::from_secs(3);
/// Looks in a row without a call before the calls are over: the counters are copied every tenth
/// of a second.
const QUIET_LOOKS: u32 = 4;
/// Operator's commands that may wait.
const COMMANDS: usize = 256;

/// A running node.
pub(crate) struct Node {
    engine: EngineThread,
    engine_ended: oneshot::Receiver<()>,
    gauges: Arc<Gauges>,
    backlog: Backlog,
    draining: Arc<AtomicBool>,
    drain: Duration,
    writer: JoinHandle<()>,
    last_records: oneshot::Sender<VecDeque<Box<Cdr>>>,
    board_feed: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
    admin: JoinHandle<std::io::Result<()>>,
    close_admin: oneshot::Sender<()>,
    admin_address: SocketAddr,
    sip_address: SocketAddr,
    domain: String,
    store: Store,
}

/// Realm and registrar domain: as configured, else the host that the first listener advertises.
pub(crate) fn domain(sip: &Sip) -> String {
    if let Some(domain) = &sip.domain {
        return domain.as_str().to_owned();
    }
    if let Some(advertise) = &sip.advertise {
        return advertise.host.as_str().to_owned();
    }
    let any = std::net::Ipv4Addr::UNSPECIFIED.into();
    let bound = sip.listen.first().map_or(any, |listener| listener.address.ip());
    tensou_config::Host::from(reachable(bound)).as_str().to_owned()
}

impl Node {
    /// Starts everything. What is missing (a port, the database) ends it again.
    pub(crate) async fn start(settings: &Settings, store: Store) -> Result<Node, Failure> {
        let bound = bind_all(&settings.sip).map_err(Failure::missing)?;
        let listener = TcpListener::bind(settings.admin.listen).await.map_err(|error| {
            let place = format!("admin: {}", settings.admin.listen);
            Failure::missing(anyhow::Error::from(error).context(place))
        })?;
        let compiled = load(&store).await.map_err(LoadError::failure)?;
        report(&compiled.faults);
        let published = Published::new(compiled);

        let figures = RelayFigures::default();
        let relay = Relay::start(relay_config(settings)).map_err(Failure::missing)?;
        let (cdr_sender, cdr_receiver) = cdr_queue();
        let (event_sender, event_receiver) = event_queue();
        let (question_sender, question_receiver) = questions();
        let gauges = Arc::new(Gauges::new());
        let sip_address = first_address(&bound)?;
        let domain = domain(&settings.sip);
        let (config, sockets) = engine_config(settings, &domain, bound);
        let (ended, engine_ended) = oneshot::channel();
        let parts = Parts {
            config,
            snapshot: published.snapshot(),
            sockets,
            media: MediaLink::new(relay, figures.clone()),
            cdrs: cdr_sender,
            events: event_sender,
            questions: question_sender,
            gauges: Arc::clone(&gauges),
        };
        let engine = EngineThread::start(parts, ended).map_err(Failure::missing)?;

        let board = Arc::new(Board::new());
        let backlog = cdr_receiver.backlog().clone();
        let database_up = Arc::new(AtomicBool::new(true));
        let metrics = Metrics {
            node: settings.node.name.as_str().to_owned(),
            started: Instant::now(),
            gauges: Arc::clone(&gauges),
            relay: figures,
            backlog: backlog.clone(),
            events_dropped: event_receiver.dropped(),
            database_up: Arc::clone(&database_up),
        };
        let board_feed = tokio::spawn(event_receiver.feed(Arc::clone(&board)));
        let (last_records, rest) = oneshot::channel();
        let node_name = settings.node.name.as_str().to_owned();
        let records = NodeRecords { store: store.clone(), node: node_name };
        let writer = tokio::spawn(write_all(records, cdr_receiver, rest));
        let (commands, command_receiver) = mpsc::channel(COMMANDS);
        let snapshots = SnapshotTask {
            store: store.clone(),
            engine: engine.handle.clone(),
            published: published.clone(),
        };
        let background = vec![
            tokio::spawn(question_receiver.answer(engine.handle.clone())),
            tokio::spawn(snapshots.run()),
            tokio::spawn(pass_commands(command_receiver, engine.handle.clone())),
            tokio::spawn(watch_database(store.clone(), Arc::clone(&database_up))),
        ];
        let draining = Arc::new(AtomicBool::new(false));
        let deps = Deps {
            store: store.clone(),
            board,
            commands,
            snapshot: {
                let published = published.clone();
                Arc::new(move || published.snapshot())
            },
            metrics: Arc::new(move || metrics.render()),
            ready: {
                let draining = Arc::clone(&draining);
                Arc::new(move || Readiness {
                    listeners: !draining.load(Ordering::Relaxed),
                    trunk: published.has_trunk(),
                })
            },
            node: node_info(settings, &domain),
        };
        let admin_address = listener.local_addr().map_err(Failure::missing)?;
        let (close_admin, closed) = oneshot::channel::<()>();
        let told = async move {
            // Told to close, or forgotten: the same.
            let _told = closed.await;
        };
        let admin = tokio::spawn(tensou_admin::serve(listener, deps, told));
        Ok(Node {
            engine,
            engine_ended,
            gauges,
            backlog,
            draining,
            drain: settings.node.drain,
            writer,
            last_records,
            board_feed,
            background,
            admin,
            close_admin,
            admin_address,
            sip_address,
            domain,
            store,
        })
    }

    /// Where REST and UI are.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Where SIP is heard first.
    pub(crate) fn sip_address(&self) -> SocketAddr {
        self.sip_address
    }

    /// Realm and registrar domain.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// Records that are not in the database yet.
    pub(crate) fn backlog(&self) -> Backlog {
        self.backlog.clone()
    }

    /// Returns when a part that must not end has ended.
    pub(crate) async fn failed(&mut self) -> Failure {
        let _dropped = (&mut self.engine_ended).await;
        Failure::missing(anyhow::anyhow!("the engine's thread has ended"))
    }

    /// Takes no more calls, lets the running ones end for as long as the settings say, hangs up
    /// the rest, writes every record, and ends.
    pub(crate) async fn shut_down(self) {
        self.draining.store(true, Ordering::Relaxed);
        self.command(OperatorCommand::Drain);
        tracing::info!("no more calls; waiting for {} to end", self.gauges.load().calls_active);
        if !self.calls_over(self.drain).await {
            tracing::info!("hanging up the calls that are left");
            self.command(OperatorCommand::HangUpAll);
            self.calls_over(HANG_UP_WAIT).await;
        }
        self.end().await;
    }

    /// Ends at once, but for the records.
    pub(crate) async fn abandon(self) {
        self.end().await;
    }

    fn command(&self, command: OperatorCommand) {
        // An engine that is gone has no calls.
        let _gone = self.engine.handle.command(command);
    }

    /// Waits until no call is left; false when some are left after `longest`. The counters are
    /// a tenth of a second old, so one look after that time is not enough.
    async fn calls_over(&self, longest: Duration) -> bool {
        let begun = Instant::now();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut quiet = 0;
        while quiet < QUIET_LOOKS {
            if begun.elapsed() >= longest + LOOK_EVERY * QUIET_LOOKS {
                return false;
            }
            looks.tick().await;
            quiet = if self.gauges.load().calls_active == 0 { quiet + 1 } else { 0 };
        }
        true
    }

    async fn end(self) {
        let _gone = self.engine.handle.send(Control::Stop);
        let engine = self.engine;
        let joined = tokio::task::spawn_blocking(move || engine.join()).await;
        let left = joined.ok().flatten().map(|remains| remains.cdrs);
        if left.is_none() {
            tracing::error!("the engine's thread panicked");
        }
        let _writer_gone = self.last_records.send(left.unwrap_or_default());
        if self.writer.await.is_err() {
            tracing::error!("the writer of call records panicked");
        }
        let _seen = self.board_feed.await;
        let _closed = self.close_admin.send(());
        if !matches!(self.admin.await, Ok(Ok(()))) {
            tracing::error!("the web server ended with a fault");
        }
        for task in self.background {
            task.abort();
        }
        self.store.close().await;
    }
}

fn first_address(bound: &[Bound]) -> Result<SocketAddr, Failure> {
    let first = bound.first().map(|bound| bound.listener.address);
    first.ok_or_else(|| Failure::input(anyhow::anyhow!("sip.listen has no udp: listener")))
}

fn relay_config(settings: &Settings) -> RelayConfig {
    let media = &settings.media;
    RelayConfig {
        listen: media.listen,
        ports: media.ports.first..=media.ports.last,
        workers: media.workers.into(),
        dscp: media.dscp.bits(),
        idle_timeout: media.idle_timeout,
    }
}

fn engine_config(
    settings: &Settings,
    domain: &str,
    bound: Vec<Bound>,
) -> (EngineConfig, Vec<std::net::UdpSocket>) {
    let media = &settings.media;
    let (listeners, sockets) =
        bound.into_iter().map(|bound| (bound.listener, bound.socket)).unzip();
    let config = EngineConfig {
        node: settings.node.name.as_str().to_owned(),
        shard: 0,
        seed: rand::rng().random(),
        listeners,
        domain: domain.to_owned(),
        media: MediaConfig {
            address: media.advertise.unwrap_or_else(|| reachable(media.listen)),
            first_port: media.ports.first,
            last_port: media.ports.last,
        },
        unknown_peer: match settings.sip.unknown_peer {
            UnknownPeer::Drop => tensou_engine::UnknownPeer::Drop,
            UnknownPeer::Forbid => tensou_engine::UnknownPeer::Forbid,
        },
    };
    (config, sockets)
}

fn node_info(settings: &Settings, domain: &str) -> NodeInfo {
    NodeInfo {
        name: settings.node.name.as_str().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        domain: domain.to_owned(),
        time_zone: settings.node.time_zone.name().to_owned(),
        started_at: jiff::Timestamp::now(),
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
