//! REST API and web UI over one application layer.
//!
//! The shell gives what it knows as [`Deps`] and serves [`router`] with [`serve`]. Handlers turn
//! requests into calls of [`app::App`] and its answers into responses; they hold no SQL and make
//! no decisions. Every operation of REST is registered together with its permission and its
//! documentation, so that none exists without both.
//!
//! Invariants: nothing here is on a call's way; the live [`board`] is fed by one task and read by
//! copies; every lock says why it is one.
#![forbid(unsafe_code)]

mod api;
pub mod app;
pub mod board;
mod connections;
mod ui;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tensou_engine::OperatorCommand;
use tensou_engine::route::Snapshot;
use tensou_store::Store;
use tokio::sync::mpsc;

use app::App;
use board::Board;

pub use connections::serve_router;

/// What the shell provides.
#[derive(Clone)]
pub struct Deps {
    /// The database.
    pub store: Store,
    /// The live board, which the shell feeds.
    pub board: Arc<Board>,
    /// To the engine.
    pub commands: mpsc::Sender<OperatorCommand>,
    /// The provisioning that new calls use now.
    pub snapshot: Arc<dyn Fn() -> Arc<Snapshot> + Send + Sync>,
    /// Figures in Prometheus' text format; their names begin with `tensou_`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Who we are.
    pub node: NodeInfo,
    /// Whether calls can be taken, as far as the shell knows.
    pub ready: Arc<dyn Fn() -> Readiness + Send + Sync>,
}

/// Who we are.
#[derive(Clone, Debug)]
pub struct NodeInfo {
    /// The node's name, as on every call record.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// IANA name of the calendar's time zone.
    pub time_zone: String,
    /// When the process began.
    pub started_at: jiff::Timestamp,
    /// Realm and registrar domain, and the host of identity headers.
    pub domain: String,
}

/// Whether calls can be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// SIP listeners are open.
    pub listeners: bool,
    /// At least one trunk is enabled.
    pub trunk: bool,
    /// The database answered when it was asked last.
    pub database: bool,
    /// The journal.
    pub journal: JournalState,
}

/// The journal: what outlives the process, and the way of call records to the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalState {
    /// Call records that are not in the database yet.
    pub records_waiting: u64,
    /// How long ago the call ended whose record has waited longest.
    pub oldest_waiting: Option<Duration>,
    /// Bytes of the journal.
    pub bytes: u64,
    /// Bytes that are free on its disk.
    pub disk_free: u64,
    /// Failures of the disk since the start: to write, to sync, to look.
    pub errors: u64,
    /// New calls are refused for want of room on the disk.
    pub full: bool,
    /// What was to be written last could not be, or not be synced.
    pub failing: bool,
}

/// How long requests may still run once the server is told to stop; streams are told to end.
const GRACE: Duration = Duration::from_secs(3);

/// Everything that is served: `/api/v1`, `/api/docs`, `/healthz`, `/readyz`, `/metrics`, and the
/// UI under `/`.
pub fn router(deps: Deps) -> Router {
    api::router(&App::new(deps))
}

/// Serves until `shutdown` completes, then lets running requests end for up to three seconds.
pub async fn serve<L: Listener<Addr = SocketAddr>>(
    listener: L,
    deps: Deps,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let app = App::new(deps);
    let router = api::router(&app);
    let mut closing = app.closing();
    let told = {
        let app = app.clone();
        async move {
            shutdown.await;
            app.close();
        }
    };
    let overdue = async move {
        // The sender lives in the application, so this only ends when it says true.
        let _ = closing.wait_for(|closing| *closing).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = serve_router(listener, router, told) => {}
        () = overdue => {}
    }
}
