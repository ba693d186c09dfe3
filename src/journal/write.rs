//! Writing, on the engine's thread.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread::Thread;

use super::frame::{self, Head};
use super::staging::{Staged, Staging};
use super::{Condition, Folder, JournalError, Position, Recovered, folder};

/// A segment is full: two minutes of 20 calls/s, and read in a few hundredths of a second.
const FULL: u64 = 16 << 20;
/// What may wait in memory while the journal cannot be written: beyond it the oldest is given up,
/// for a process out of memory would lose all.
const MOST_PENDING: usize = 64 << 20;

/// The journal's end.
pub(crate) struct Writer {
    folder: PathBuf,
    head: Head,
    way: Way,
    pending: Vec<u8>,
    condition: Condition,
    /// The segment before which nothing is needed once everything has been written again.
    rewriting_from: Option<u64>,
    /// It has been, but for what is pending.
    rewritten: bool,
}

/// How records come into the segment.
enum Way {
    /// By the journal's thread, many at once.
    Staged(Staging),
    /// At once, where nothing can be staged; up to here they have.
    Direct(File, Position),
}

impl Way {
    fn end(&self) -> Position {
        match self {
            Way::Staged(staging) => staging.end(),
            Way::Direct(_, end) => *end,
        }
    }
}

impl Writer {
    /// Begins a new segment after what was recovered.
    pub(crate) fn begin(
        folder: &Folder,
        recovered: &Recovered,
        node: &str,
        condition: Condition,
    ) -> Result<Writer, JournalError> {
        let clock = recovered.clock;
        let head = Head { boot: clock.boot(), clock_offset: clock.offset(), node: node.to_owned() };
        let bytes = head.write();
        let number = recovered.next;
        let path = folder::segment(folder.path(), number);
        let file =
            folder::create(folder.path(), number, &bytes).map_err(JournalError::io(&path))?;
        folder.reserve();
        let end = Position { segment: number, offset: bytes.len() as u64 };
        condition.0.end.store(end.pack(), Ordering::Release);
        let folder = folder.path().to_owned();
        let way = match Staging::begin(&folder, head.boot, end, condition.clone()) {
            Ok(Some(staging)) => Way::Staged(staging),
            Ok(None) => {
                tracing::info!("every message is written by itself: the file system moves files");
                Way::Direct(file, end)
            }
            Err(error) => {
                tracing::warn!("every message is written by itself: nothing is staged: {error}");
                Way::Direct(file, end)
            }
        };
        let pending = Vec::with_capacity(256 << 10);
        let (rewriting_from, rewritten) = (None, false);
        Ok(Writer { folder, head, way, pending, condition, rewriting_from, rewritten })
    }

    /// What the journal's thread pours; none where nothing is staged.
    pub(super) fn staged(&self) -> Option<Staged> {
        match &self.way {
            Way::Staged(staging) => Some(staging.other_side()),
            Way::Direct(..) => None,
        }
    }

    /// `keeper` is awake for whoever waits for it.
    pub(crate) fn is_poured_by(&mut self, keeper: Thread) {
        if let Way::Staged(staging) = &mut self.way {
            staging.is_poured_by(keeper);
        }
    }

    /// Takes a record; it is written by the next [`Writer::flush`].
    pub(crate) fn push(&mut self, record: &[u8]) {
        let head = frame::head(record);
        if let Way::Staged(staging) = &mut self.way
            && self.pending.is_empty()
            && staging.put(&[&head, record])
        {
            return;
        }
        self.pending.extend_from_slice(&head);
        self.pending.extend_from_slice(record);
    }

    /// Has what was taken outlive this process. What cannot is tried again.
    pub(crate) fn flush(&mut self) {
        if let Way::Staged(staging) = &mut self.way {
            staging.publish();
        }
        while !self.pending.is_empty() {
            let written = match &mut self.way {
                Way::Staged(staging) => match staging.take(&self.pending) {
                    0 if !staging.wait() => Err(ErrorKind::StorageFull.into()),
                    count => Ok(count),
                },
                Way::Direct(file, end) => file.write(&self.pending).inspect(|count| {
                    end.offset += *count as u64;
                    self.condition.0.end.store(end.pack(), Ordering::Release);
                    self.condition.writes();
                }),
            };
            match written {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.failed(&error),
            }
        }
        if self.rewritten {
            self.let_go();
        }
    }

    /// Calls go on; new ones are refused.
    #[cold]
    fn failed(&mut self, error: &io::Error) {
        if let Way::Direct(..) = &self.way
            && error.kind() == ErrorKind::StorageFull
            && folder::use_reserve(&self.folder)
        {
            return self.flush();
        }
        self.condition.refuses(error);
        if self.pending.len() > MOST_PENDING {
            tracing::error!(bytes = self.pending.len(), "given up what could not be written");
            self.pending.clear();
        }
    }

    /// Has everything in its segment before the process ends.
    pub(crate) fn finish(&mut self) {
        self.flush();
        if let Way::Staged(staging) = &self.way
            && !staging.wait()
        {
            tracing::warn!("the end of the journal stays staged until the next start");
        }
    }

    /// Begins a new segment when this one is full and everything in older ones has been written
    /// again. True if the engine must write everything again now.
    pub(crate) fn rotate(&mut self) -> bool {
        let end = self.way.end();
        if end.offset < FULL || self.rewriting_from.is_some() || !self.pending.is_empty() {
            return false;
        }
        // Not now, while something is staged: nobody waits for the disk.
        if matches!(&self.way, Way::Staged(staging) if !staging.is_poured()) {
            return false;
        }
        let (number, bytes) = (end.segment + 1, self.head.write());
        match folder::create(&self.folder, number, &bytes) {
            Ok(file) => {
                let end = Position { segment: number, offset: bytes.len() as u64 };
                match &mut self.way {
                    Way::Staged(staging) => staging.begin_lap(end),
                    Way::Direct(writes, at) => {
                        (*writes, *at) = (file, end);
                        self.condition.0.end.store(end.pack(), Ordering::Release);
                    }
                }
                self.rewriting();
                true
            }
            Err(error) => {
                // The old one goes on.
                tracing::error!("no new journal segment: {error}");
                false
            }
        }
    }

    /// The engine begins to write everything again.
    pub(crate) fn rewriting(&mut self) {
        self.rewriting_from = Some(self.way.end().segment);
    }

    /// It has.
    pub(crate) fn rewritten(&mut self) {
        self.rewritten = true;
    }

    /// No older segment is needed for calls.
    fn let_go(&mut self) {
        self.rewritten = false;
        if let Some(from) = self.rewriting_from.take() {
            self.condition.0.live_from.store(from, Ordering::Release);
        }
    }
}
