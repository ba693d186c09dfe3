//! What the system does for people and programs: the layer under REST and UI.
//!
//! Every operation takes the [`auth::Principal`] who asks, demands the permission, confines itself
//! to what they see, and answers with values or a [`Refusal`]. No SQL here.

mod alarm;
mod audit;
pub mod auth;
mod calls;
mod clock;
pub mod people;
pub mod preview;
mod provisioning;
pub mod records;
mod refusal;
mod system;
mod trunks;
pub mod view;

use std::sync::Arc;

use tensou_engine::route::Snapshot;
use tensou_store::Store;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::board::Board;
use crate::{Deps, NodeInfo, Readiness};

pub use alarm::Alarm;
pub use auth::{Action, Area, Permission};
pub use calls::{CallQuery, TransferOrder, Visible};
pub use clock::{Clock, DayEdge};
pub use provisioning::Provisioned;
pub use refusal::{Flaw, Refusal};
pub use system::{JournalStatus, LoadAverage, NodeStatus, SystemStatus};
pub use trunks::TrunkStatus;

use auth::Throttle;

/// Passwords hashed at once: each takes 19 MiB and a core for some 20 ms.
const HASHES_AT_ONCE: usize = 2;

/// The application: what handlers hold as their state. Clones share everything.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    deps: Deps,
    clock: Clock,
    throttle: Throttle,
    hashing: Arc<Semaphore>,
    in_flight: crate::api::InFlight,
    closing: watch::Sender<bool>,
}

impl App {
    /// The application over what the shell provides.
    pub fn new(deps: Deps) -> Self {
        App(Arc::new(Inner {
            clock: Clock::new(&deps.node.time_zone),
            deps,
            throttle: Throttle::default(),
            hashing: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            in_flight: crate::api::InFlight::default(),
            closing: watch::Sender::new(false),
        }))
    }

    /// The live board.
    pub fn board(&self) -> &Board {
        &self.0.deps.board
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.0.deps.store
    }

    /// The node's name, version and calendar.
    pub fn node(&self) -> &NodeInfo {
        &self.0.deps.node
    }

    /// The node's calendar.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Tells streams that never end by themselves to end.
    pub(crate) fn close(&self) {
        self.0.closing.send_replace(true);
    }

    /// Becomes true when the server is about to stop.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.0.closing.subscribe()
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    pub(crate) fn in_flight(&self) -> &crate::api::InFlight {
        &self.0.in_flight
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        (self.0.deps.snapshot)()
    }

    pub(crate) fn metrics(&self) -> String {
        (self.0.deps.metrics)()
    }

    pub(crate) fn readiness(&self) -> Readiness {
        (self.0.deps.ready)()
    }

    pub(crate) fn commands(&self) -> &mpsc::Sender<tensou_engine::OperatorCommand> {
        &self.0.deps.commands
    }

    /// Runs the hashing of a password off the async threads, a few at a time.
    pub(crate) async fn hashing<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let permit = Arc::clone(&self.0.hashing)
            .acquire_owned()
            .await
            .map_err(|error| Refusal::Internal(Box::new(error)))?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        done.await.map_err(|error| Refusal::Internal(Box::new(error)))
    }
}
