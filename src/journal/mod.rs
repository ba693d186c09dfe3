//! The journal: what outlives the process, on disk before the message that makes it true leaves.
//!
//! A folder of segments, each a file that only grows at its end. The engine's thread stages what
//! the engine says must be kept, in memory that is a file, before the datagrams of the same round
//! and before each message by a connection; a killed process loses nothing of that. A thread of
//! its own pours it into the segment, has the disk keep it (`fdatasync`), watches the room on it,
//! and deletes segments that nothing needs any more. Call records are read from the segments and
//! brought to the database.
//!
//! # Format
//!
//! A segment begins with [`frame::MAGIC`] and the version of the format, then come frames: length
//! and CRC-32, four bytes each, then the bytes. The first frame is the segment's head, the others
//! are records of the engine ([`tensou_engine::journal`]).

mod deliver;
mod folder;
mod frame;
mod keep;
mod read;
mod repair;
mod staging;
mod write;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tensou_admin::JournalState;
use tensou_engine::Cdr;

use crate::clock;

pub(crate) use deliver::Tail;
pub(crate) use folder::Folder;
pub(crate) use keep::Keeper;
pub(crate) use read::{Recovered, recover};
pub(crate) use repair::repair;
pub(crate) use write::Writer;

/// The folder's name within `node.data_dir`.
pub(crate) const FOLDER: &str = "journal";

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// Another process has it.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// Damage that is followed by readable records: a torn end would not be.
    #[error(
        "{} is damaged at byte {offset}; `tensou journal repair` keeps everything that can be read",
        .path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the damage begins.
        offset: usize,
    },
    /// A later release wrote it.
    #[error("{} is of format {version}, which this release does not know", .path.display())]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The system failed.
    #[error("{}", .path.display())]
    Io {
        /// What was worked on.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl JournalError {
    fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> JournalError {
        let path = path.into();
        move |source| JournalError::Io { path, source }
    }
}

/// A place in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The segment's number.
    pub(crate) segment: u64,
    /// Bytes from its beginning.
    pub(crate) offset: u64,
}

impl Position {
    /// As one number, so that one atomic holds both: segments stay far below 4 GB.
    fn pack(self) -> u64 {
        self.segment << 32 | self.offset & 0xffff_ffff
    }

    fn unpack(packed: u64) -> Position {
        Position { segment: packed >> 32, offset: packed & 0xffff_ffff }
    }
}

/// What the threads around the journal tell each other.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Everything before this is in its segment.
    end: AtomicU64,
    /// Everything before this is staged at least. Behind `end` where nothing is staged.
    staged: AtomicU64,
    /// Where in the segment the staged lap begins.
    lap: AtomicU64,
    /// Calls and phones need no segment before this.
    live_from: AtomicU64,
    /// Every call record before this is in the database.
    confirmed: AtomicU64,
    /// Call records that are not in the database yet.
    waiting: AtomicU64,
    /// When the call ended whose record is first in line, in microseconds of Unix time; 0 while
    /// none waits.
    oldest: AtomicI64,
    /// Bytes that are free on the disk.
    free: AtomicU64,
    /// Failures of the disk.
    errors: AtomicU64,
    /// What was written last could not be synced.
    unsynced: AtomicBool,
    /// The disk is nearly full.
    low: AtomicBool,
    /// Bytes of all segments.
    bytes: AtomicU64,
    /// The journal could not be written.
    failing: AtomicBool,
}

/// The state of the journal as others see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Condition(Arc<Shared>);

impl Condition {
    /// Call records that are not in the database yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Whether new calls must be refused for want of room on the disk.
    pub(crate) fn is_low(&self) -> bool {
        self.0.low.load(Ordering::Relaxed) || self.0.failing.load(Ordering::Relaxed)
    }

    /// How it stands, for operators.
    pub(crate) fn state(&self) -> JournalState {
        let shared = &self.0;
        let oldest = match shared.oldest.load(Ordering::Relaxed) {
            0 => None,
            end => u64::try_from(clock::wall().as_unix_micros() - end).ok(),
        };
        let load = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        JournalState {
            records_waiting: self.waiting(),
            oldest_waiting: oldest.map(Duration::from_micros),
            bytes: shared.bytes.load(Ordering::Relaxed),
            disk_free: shared.free.load(Ordering::Relaxed),
            errors: shared.errors.load(Ordering::Relaxed),
            full: load(&shared.low),
            failing: load(&shared.failing) || load(&shared.unsynced),
        }
    }

    /// `cdr` is the next that the database is to take; none when it has them all.
    pub(crate) fn next_in_line(&self, cdr: Option<&Cdr>) {
        let end = cdr.map_or(0, |cdr| cdr.ended_at.as_unix_micros());
        self.0.oldest.store(end, Ordering::Relaxed);
    }

    /// The disk failed.
    fn failed(&self, error: &io::Error) {
        self.0.errors.fetch_add(1, Ordering::Relaxed);
        tracing::error!("the journal's disk: {error}");
    }

    /// The journal could not be written: calls go on, new ones are refused.
    #[cold]
    fn refuses(&self, error: &io::Error) {
        self.0.errors.fetch_add(1, Ordering::Relaxed);
        if !self.0.failing.swap(true, Ordering::Relaxed) {
            tracing::error!("the journal cannot be written: {error}; new calls are refused");
        }
    }

    /// It could.
    fn writes(&self) {
        if self.0.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the journal can be written again");
        }
    }

    /// The engine has made a call record.
    pub(crate) fn record_made(&self) {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self) -> Position {
        Position::unpack(self.0.end.load(Ordering::Acquire))
    }

    fn staged(&self) -> Position {
        Position::unpack(self.0.staged.load(Ordering::Acquire))
    }

    fn confirmed(&self) -> Position {
        Position::unpack(self.0.confirmed.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests;
