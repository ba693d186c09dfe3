//! Reading at the start: every segment in order, a torn end cut off, damage told.

use std::fs::{self, File};
use std::path::Path;

use tensou_engine::journal::{Ledger, cdrs_of};

use crate::clock::Clock;

use super::frame::{self, Head, Opening};
use super::{Condition, Folder, JournalError, Position, folder, staging};

/// What was found.
pub(crate) struct Recovered {
    /// Calls and phones.
    pub(crate) ledger: Ledger,
    /// The clock that goes on from where it stood.
    pub(crate) clock: Clock,
    /// The number of the next segment.
    pub(super) next: u64,
    /// From where on call records are to be delivered.
    pub(super) confirmed: Position,
    /// How many those are.
    pub(super) waiting: u64,
}

impl Recovered {
    /// The state of the journal as it begins.
    pub(crate) fn condition(&self) -> Condition {
        use std::sync::atomic::Ordering;
        let condition = Condition::default();
        condition.0.waiting.store(self.waiting, Ordering::Relaxed);
        condition.0.confirmed.store(self.confirmed.pack(), Ordering::Release);
        condition
    }
}

/// Reads everything.
///
/// # Errors
/// Damage that is not a torn end, or the system failed.
pub(crate) fn recover(folder: &Folder) -> Result<Recovered, JournalError> {
    staging::rescue(folder)?;
    let numbers = folder.segments()?;
    let first = numbers.first().copied().unwrap_or(1);
    // A note of segments that are not there says nothing.
    let known = folder.confirmed().filter(|position| numbers.contains(&position.segment));
    let mut found = Found {
        ledger: Ledger::default(),
        head: None,
        confirmed: known.unwrap_or(Position { segment: first, offset: 0 }),
        waiting: 0,
        unreadable: 0,
    };
    for number in &numbers {
        let last = Some(number) == numbers.last();
        found.segment(folder.path(), *number, last)?;
    }
    if found.unreadable > 0 {
        tracing::error!(records = found.unreadable, "journal records that cannot be understood");
    }
    let next = numbers.last().map_or(1, |last| last + 1);
    let clock = match &found.head {
        Some(head) => Clock::continuing(head.boot, head.clock_offset, found.ledger.latest()),
        None => Clock::start(),
    };
    let Found { ledger, confirmed, waiting, .. } = found;
    Ok(Recovered { ledger, clock, next, confirmed, waiting })
}

struct Found {
    ledger: Ledger,
    head: Option<Head>,
    confirmed: Position,
    waiting: u64,
    unreadable: u64,
}

impl Found {
    fn segment(&mut self, folder: &Path, number: u64, last: bool) -> Result<(), JournalError> {
        let path = folder::segment(folder, number);
        let bytes = fs::read(&path).map_err(JournalError::io(&path))?;
        let (head, mut at) = match frame::open(&bytes) {
            Opening::Good(head, at) => (head, at),
            Opening::Unknown(version) => return Err(JournalError::Version { path, version }),
            Opening::Bad if last && frame::resync(&bytes, 0).is_none() => {
                tracing::warn!("{}: the process ended while it was made", path.display());
                return fs::remove_file(&path).map_err(JournalError::io(&path));
            }
            Opening::Bad => return Err(JournalError::Damaged { path, offset: 0 }),
        };
        self.head = Some(head);
        while let Some((record, next)) = frame::at(&bytes, at) {
            self.record(record, Position { segment: number, offset: at as u64 });
            at = next;
        }
        if at == bytes.len() {
            return Ok(());
        }
        if !last || frame::resync(&bytes, at).is_some() {
            return Err(JournalError::Damaged { path, offset: at });
        }
        tracing::warn!("{}: {} torn bytes at its end are cut", path.display(), bytes.len() - at);
        let file = File::options().write(true).open(&path).map_err(JournalError::io(&path))?;
        file.set_len(at as u64).map_err(JournalError::io(&path))
    }

    fn record(&mut self, record: &[u8], at: Position) {
        self.unreadable += u64::from(self.ledger.take(record).is_err());
        if at >= self.confirmed {
            self.waiting += cdrs_of(record).map_or(0, |cdrs| cdrs.len() as u64);
        }
    }
}
