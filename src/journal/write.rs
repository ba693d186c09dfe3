//! Writing, on the engine's thread.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::frame::{self, Head};
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
    file: File,
    end: Position,
    pending: Vec<u8>,
    condition: Condition,
    /// The segment before which nothing is needed once everything has been written again.
    rewriting_from: Option<u64>,
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
        let pending = Vec::with_capacity(256 << 10);
        Ok(Writer { folder, head, file, end, pending, condition, rewriting_from: None })
    }

    /// Takes a record; it is written by the next [`Writer::flush`].
    pub(crate) fn push(&mut self, record: &[u8]) {
        frame::append(record, &mut self.pending);
    }

    /// Writes what was taken, with one system call. What cannot be written is tried again.
    pub(crate) fn flush(&mut self) {
        while !self.pending.is_empty() {
            match self.file.write(&self.pending) {
                Ok(count) => self.wrote(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.failed(&error),
            }
        }
    }

    fn wrote(&mut self, count: usize) {
        self.pending.drain(..count);
        self.end.offset += count as u64;
        self.condition.0.end.store(self.end.pack(), Ordering::Release);
        if self.condition.0.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the journal can be written again");
        }
    }

    /// Calls go on; new ones are refused.
    #[cold]
    fn failed(&mut self, error: &io::Error) {
        if error.kind() == ErrorKind::StorageFull
            && fs::remove_file(folder::reserve(&self.folder)).is_ok()
        {
            tracing::error!("the disk of the journal is full: the reserve is used");
            return self.flush();
        }
        self.condition.0.errors.fetch_add(1, Ordering::Relaxed);
        if !self.condition.0.failing.swap(true, Ordering::Relaxed) {
            tracing::error!("the journal cannot be written: {error}; new calls are refused");
        }
        if self.pending.len() > MOST_PENDING {
            tracing::error!(bytes = self.pending.len(), "given up what could not be written");
            self.pending.clear();
        }
    }

    /// Begins a new segment when this one is full and everything in older ones has been written
    /// again. True if the engine must write everything again now.
    pub(crate) fn rotate(&mut self) -> bool {
        if self.end.offset < FULL || self.rewriting_from.is_some() || !self.pending.is_empty() {
            return false;
        }
        let (number, bytes) = (self.end.segment + 1, self.head.write());
        match folder::create(&self.folder, number, &bytes) {
            Ok(file) => {
                self.file = file;
                self.end = Position { segment: number, offset: bytes.len() as u64 };
                self.condition.0.end.store(self.end.pack(), Ordering::Release);
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
        self.rewriting_from = Some(self.end.segment);
    }

    /// It has: no older segment is needed for calls.
    pub(crate) fn rewritten(&mut self) {
        if let Some(from) = self.rewriting_from.take() {
            self.condition.0.live_from.store(from, Ordering::Release);
        }
    }
}
