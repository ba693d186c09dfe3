//! Provisioning from the database to the engine: what an operator changes acts within a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tensou_engine::route::{Fault, Snapshot};
use tensou_store::{Loaded, Store, StoreError};

use crate::database::Opened;
use crate::engine_thread::{Control, EngineHandle};
use crate::failure::Failure;

/// How often the revision is asked for, to see what other processes changed. Half of the second
/// that a change may take; the rest is for loading and compiling it.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// How often a provisioning is loaded again whose host names could not all be found.
const RETRY_NAMES: Duration = Duration::from_secs(15);

/// The provisioning that new calls use.
#[derive(Clone)]
pub(crate) struct Published(Arc<ArcSwap<Compiled>>);

impl Published {
    pub(crate) fn new(compiled: Compiled) -> Self {
        Published(Arc::new(ArcSwap::from_pointee(compiled)))
    }

    /// The snapshot.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.load().snapshot)
    }

    /// All of it.
    pub(crate) fn current(&self) -> Arc<Compiled> {
        self.0.load_full()
    }

    /// At least one trunk may bring or take calls.
    pub(crate) fn has_trunk(&self) -> bool {
        self.0.load().enabled_trunks > 0
    }
}

/// Why there is no new provisioning.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// The database.
    Store(StoreError),
    /// What it holds cannot be compiled.
    Faults(Vec<Fault>),
    /// The compiler panicked: a bug of ours.
    Crashed(tokio::task::JoinError),
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LoadError::Store(_) => f.write_str("the provisioning could not be read"),
            LoadError::Faults(faults) => {
                let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
                write!(f, "the provisioning is wrong:\n{}", lines.join("\n"))
            }
            LoadError::Crashed(_) => f.write_str("the provisioning could not be compiled"),
        }
    }
}

impl LoadError {
    /// Why a command could not go on.
    pub(crate) fn failure(self) -> Failure {
        match self {
            LoadError::Store(StoreError::Database(_)) => Failure::missing(self),
            other => Failure::input(other),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LoadError::Store(error) => Some(error),
            LoadError::Faults(_) => None,
            LoadError::Crashed(error) => Some(error),
        }
    }
}

/// A compiled provisioning, and what it was compiled from: the next change is put into that.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) enabled_trunks: usize,
    source: Arc<Loaded>,
}

impl Compiled {
    /// What of the database could not be taken over.
    pub(crate) fn faults(&self) -> &[Fault] {
        &self.source.faults
    }

    /// What it was compiled from.
    pub(crate) fn source(&self) -> &Loaded {
        &self.source
    }
}

/// Reads and compiles the provisioning.
pub(crate) async fn load(store: &Store) -> Result<Compiled, LoadError> {
    compile(store.provisioning().await.map_err(LoadError::Store)?).await
}

/// Compiles off the async threads: a hundred thousand DIDs take a good part of a second.
pub(crate) async fn compile(source: Loaded) -> Result<Compiled, LoadError> {
    let enabled_trunks = source.provisioning.trunks.iter().filter(|trunk| trunk.enabled).count();
    let source = Arc::new(source);
    let compiled = Arc::clone(&source);
    let compiling = tokio::task::spawn_blocking(move || {
        Snapshot::compile(compiled.revision, &compiled.provisioning)
    });
    let snapshot = compiling.await.map_err(LoadError::Crashed)?.map_err(LoadError::Faults)?;
    Ok(Compiled { snapshot: Arc::new(snapshot), enabled_trunks, source })
}

/// Keeps the engine's provisioning true to the database until the engine is gone.
pub(crate) struct SnapshotTask {
    pub(crate) store: Store,
    pub(crate) engine: EngineHandle,
    pub(crate) published: Published,
}

impl SnapshotTask {
    /// Runs until the engine is gone.
    pub(crate) async fn run(self, opened: Opened) {
        opened.wait().await;
        let mut changes = self.store.changes();
        let mut polls = tokio::time::interval(POLL_EVERY);
        polls.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut loaded_at = Instant::now();
        // The revision that was looked at last, taken over or not: a wrong one is not compiled
        // again until it changes.
        let mut seen = self.published.snapshot().version();
        loop {
            tokio::select! {
                _ = polls.tick() => {}
                changed = changes.changed() => if changed.is_err() { return },
            }
            let revision = match self.store.revision().await {
                Ok(revision) => revision,
                Err(error) => {
                    tracing::debug!("revision: {:#}", anyhow::Error::from(error));
                    continue;
                }
            };
            let names_missing = !self.published.0.load().faults().is_empty();
            let look_again = names_missing && loaded_at.elapsed() >= RETRY_NAMES;
            if revision == seen && !look_again {
                continue;
            }
            let next = if look_again {
                loaded_at = Instant::now();
                load(&self.store).await
            } else {
                self.follow().await
            };
            match next {
                Ok(compiled) => {
                    seen = compiled.snapshot.version();
                    if !self.publish(compiled) {
                        return;
                    }
                }
                Err(error) => {
                    if !matches!(error, LoadError::Store(_)) {
                        seen = revision;
                    }
                    tracing::error!("calls go by the old one: {:#}", anyhow::Error::from(error));
                }
            }
        }
    }

    /// What is committed now, made from what is published.
    async fn follow(&self) -> Result<Compiled, LoadError> {
        let known = Arc::clone(&self.published.0.load().source);
        compile(self.store.refreshed(&known).await.map_err(LoadError::Store)?).await
    }

    /// Gives it to the engine and to everybody else; false when the engine is gone.
    fn publish(&self, compiled: Compiled) -> bool {
        if compiled.faults() != self.published.0.load().faults() {
            report(compiled.faults());
        }
        let snapshot = Arc::clone(&compiled.snapshot);
        tracing::info!(revision = snapshot.version(), "new provisioning");
        self.published.0.store(Arc::new(compiled));
        self.engine.send(Control::Snapshot(snapshot)).is_ok()
    }
}

/// Logs what of the database could not be taken over.
pub(crate) fn report(faults: &[Fault]) {
    for fault in faults {
        tracing::warn!("left out of the provisioning: {fault}");
    }
}
