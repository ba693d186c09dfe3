//! From the engine's records to the database.
//!
//! One task takes what has gathered and writes it in one transaction. While the database is down
//! it tries again for as long as it takes: records wait in memory, calls go on, and the log says
//! how many wait.

use std::collections::VecDeque;
use std::time::Duration;

use tensou_engine::Cdr;
use tensou_store::{Store, StoreError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cdr_queue::CdrReceiver;

/// Between two looks: a record is on the screen right after its call, and a busy node writes
/// hundreds in one transaction, which costs each of them a third.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Records of one transaction.
const BATCH: usize = 1_000;
/// The first and the longest pause between two attempts.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// So many waiting records mean that the database does not keep up: about 1 kB each.
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
}

impl Records for NodeRecords {
    async fn insert(&self, cdrs: &[Cdr]) -> Result<(), StoreError> {
        self.store.insert_cdrs(&self.node, cdrs).await.map(|_new| ())
    }
}

/// The running writer.
pub(crate) struct Writer {
    task: JoinHandle<()>,
    rest: oneshot::Sender<VecDeque<Box<Cdr>>>,
}

impl Writer {
    pub(crate) fn start(records: impl Records + Send + Sync + 'static, queue: CdrReceiver) -> Self {
        let (rest, left) = oneshot::channel();
        Writer { task: tokio::spawn(write_all(records, queue, left)), rest }
    }

    /// Hands over what never reached the queue, and waits until everything is stored.
    pub(crate) async fn finish(self, left: VecDeque<Box<Cdr>>) {
        let given = self.rest.send(left);
        if given.is_err() || self.task.await.is_err() {
            tracing::error!("the writer of call records panicked");
        }
    }
}

/// Writes records until `rest` brings what the engine's thread left at its end, then writes that
/// and everything still waiting, and returns.
async fn write_all(
    records: impl Records,
    mut queue: CdrReceiver,
    mut rest: oneshot::Receiver<VecDeque<Box<Cdr>>>,
) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut batch = Vec::with_capacity(BATCH);
    let mut alarmed = false;
    loop {
        let left = tokio::select! {
            biased;
            left = &mut rest => Some(left.unwrap_or_default()),
            _ = looks.tick() => None,
        };
        drain(&records, &mut queue, &mut batch).await;
        let waiting = queue.backlog().len();
        if waiting >= ALARM && !alarmed {
            tracing::error!(waiting, "the database does not keep up with the call records");
        }
        alarmed = waiting >= ALARM;
        if let Some(left) = left {
            batch.extend(left.into_iter().map(|cdr| *cdr));
            store(&records, &mut queue, &mut batch).await;
            return;
        }
    }
}

async fn drain(records: &impl Records, queue: &mut CdrReceiver, batch: &mut Vec<Cdr>) {
    loop {
        queue.take(batch, BATCH);
        if batch.is_empty() {
            return;
        }
        store(records, queue, batch).await;
    }
}

/// Stores the batch, however long it takes.
async fn store(records: &impl Records, queue: &mut CdrReceiver, batch: &mut Vec<Cdr>) {
    if batch.is_empty() {
        return;
    }
    let (mut pause, longest) = RETRY;
    while let Err(error) = records.insert(batch).await {
        let waiting = queue.backlog().len();
        let error = anyhow::Error::from(error);
        tracing::error!(waiting, "call records wait for the database: {error:#}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
    queue.backlog().stored(batch.len());
    batch.clear();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::mpsc;

    use super::*;
    use crate::cdr_queue::cdr_queue;
    use crate::test_values::cdr;

    /// Fails the first `failures` times, then passes the ids on.
    struct Flaky {
        failures: Arc<AtomicUsize>,
        stored: mpsc::Sender<Vec<u128>>,
    }

    impl Records for Flaky {
        async fn insert(&self, cdrs: &[Cdr]) -> Result<(), StoreError> {
            let failing = self.failures.load(Ordering::Relaxed);
            if failing > 0 {
                self.failures.store(failing - 1, Ordering::Relaxed);
                return Err(StoreError::NotFound);
            }
            let ids = cdrs.iter().map(|cdr| cdr.id.0).collect();
            self.stored.send(ids).await.expect("the test listens");
            Ok(())
        }
    }

    fn flaky(failures: usize) -> (Flaky, mpsc::Receiver<Vec<u128>>) {
        let (stored, receiver) = mpsc::channel(16);
        (Flaky { failures: Arc::new(AtomicUsize::new(failures)), stored }, receiver)
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_database_delays_records_and_loses_none() {
        let (mut sender, receiver) = cdr_queue();
        let backlog = receiver.backlog().clone();
        for number in 0..3 {
            sender.push(Box::new(cdr(number)));
        }
        let (records, mut stored) = flaky(20);
        let (done, rest) = oneshot::channel();
        let writer = tokio::spawn(write_all(records, receiver, rest));
        assert_eq!(stored.recv().await, Some(vec![0, 1, 2]));
        assert!(done.send(VecDeque::new()).is_ok());
        writer.await.expect("the writer ends");
        assert_eq!(backlog.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_records_are_written_before_the_writer_ends() {
        let (mut sender, receiver) = cdr_queue();
        let (records, mut stored) = flaky(0);
        let (done, rest) = oneshot::channel();
        sender.push(Box::new(cdr(1)));
        let mut left = VecDeque::new();
        left.push_back(Box::new(cdr(2)));
        assert!(done.send(left).is_ok());
        write_all(records, receiver, rest).await;
        let mut ids = Vec::new();
        while let Ok(batch) = stored.try_recv() {
            ids.extend(batch);
        }
        assert_eq!(ids, [1, 2]);
    }
}
