//! From the journal to the database.
//!
//! One task takes the records that have gathered and writes them in one transaction. While the
//! database is down it tries again for as long as it takes: records wait in the journal, calls go
//! on, and the log says how many wait. What was written when the process died is written again
//! by the next; the database takes each record once.

use std::io;
use std::time::Duration;

use tensou_engine::Cdr;
use tensou_store::{Store, StoreError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::database::Opened;
use crate::journal::Tail;

/// Between two looks: a record is on the screen right after its call, and a busy node writes
/// hundreds in one transaction, which costs each of them a third.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Records of one transaction.
const BATCH: usize = 1_000;
/// The first and the longest pause between two attempts.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// So many waiting records mean that the database does not keep up.
const ALARM: u64 = 50_000;

/// Where records go. The database, or in tests one that fails.
pub(crate) trait Records {
    /// Stores all of `cdrs` or none.
    fn insert(&self, cdrs: &[Cdr]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The database, and the node's name on every record.
pub(crate) struct NodeRecords {
    /// The database.
    pub(crate) store: Store,
    /// This node.
    pub(crate) node: String,
    /// Until then records wait.
    pub(crate) opened: Opened,
}

impl Records for NodeRecords {
    async fn insert(&self, cdrs: &[Cdr]) -> Result<(), StoreError> {
        self.opened.wait().await;
        self.store.insert_cdrs(&self.node, cdrs).await.map(|_new| ())
    }
}

/// The running writer.
pub(crate) struct CdrWriter {
    task: JoinHandle<()>,
    last: oneshot::Sender<()>,
}

impl CdrWriter {
    pub(crate) fn start(records: impl Records + Send + Sync + 'static, tail: Tail) -> Self {
        let (last, ending) = oneshot::channel();
        CdrWriter { task: tokio::spawn(write_all(records, tail, ending)), last }
    }

    /// Ends it at once: what is left waits in the journal.
    pub(crate) fn abandon(self) {
        self.task.abort();
    }

    /// Waits until everything in the journal is stored; the engine has made its last record.
    pub(crate) async fn finish(self) {
        let told = self.last.send(());
        if told.is_err() || self.task.await.is_err() {
            tracing::error!("the writer of call records panicked");
        }
    }
}

/// Writes records until `ending` says that no more will come, then all that are left, and
/// returns.
async fn write_all(records: impl Records, mut tail: Tail, mut ending: oneshot::Receiver<()>) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut alarmed = false;
    loop {
        let last = tokio::select! {
            biased;
            _told_or_gone = &mut ending => true,
            _ = looks.tick() => false,
        };
        let waiting = tail.condition().waiting();
        if waiting >= ALARM && !alarmed {
            tracing::error!(waiting, "the database does not keep up with the call records");
        }
        alarmed = waiting >= ALARM;
        match drain(&records, tail).await {
            Some(drained) => tail = drained,
            None => return tracing::error!("the reader of the journal panicked"),
        }
        if last {
            return;
        }
    }
}

/// Stores everything that the journal has now.
async fn drain(records: &impl Records, mut tail: Tail) -> Option<Tail> {
    loop {
        let mut batch = Vec::new();
        let read;
        (tail, batch, read) = next(tail, batch).await?;
        if let Err(error) = read {
            tracing::error!("call records wait for the journal: {error}");
        }
        let count = batch.len();
        tail.condition().next_in_line(batch.first());
        if count > 0 {
            store(records, &tail, &batch).await;
        }
        tail.confirm(count);
        if count == 0 {
            return Some(tail);
        }
    }
}

/// Reads files where waiting for a disk holds nobody up.
async fn next(mut tail: Tail, mut batch: Vec<Cdr>) -> Option<(Tail, Vec<Cdr>, io::Result<()>)> {
    let read = move || {
        let read = tail.read(&mut batch, BATCH);
        (tail, batch, read)
    };
    tokio::task::spawn_blocking(read).await.ok()
}

/// Stores the batch, however long it takes.
async fn store(records: &impl Records, tail: &Tail, batch: &[Cdr]) {
    let (mut pause, longest) = RETRY;
    while let Err(error) = records.insert(batch).await {
        let waiting = tail.condition().waiting();
        let error = anyhow::Error::from(error);
        tracing::error!(waiting, "call records wait for the database: {error:#}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}
