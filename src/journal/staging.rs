//! Where records stand before they are in a segment: memory that is a file of the journal.
//!
//! A `write` for each message that leaves would cost more than all else that the journal takes. So
//! the engine's thread copies its records here, where they outlive the process, and the journal's
//! thread [pours](Staged::pour) them into the segment whenever it has the disk keep what is there,
//! many at once. What a killed process had not poured is [rescued](rescue) at the next start.
//!
//! The file is a head of [`HEAD`] bytes, then a lap: bytes of a segment from one place in it on.
//! When everything has been poured, the next lap begins. The head says which boot of the machine
//! this is of (after another one the segment alone is right), how many bytes the lap has, and the
//! segment and the place in it where they begin.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Thread;
use std::time::Duration;

use crate::clock::Clock;
use crate::sys::{self, Pages, PagesMut};

use super::{Condition, Folder, JournalError, Position, folder};

const MAGIC: &[u8; 8] = b"tensouS\n";
/// Where the head has its numbers, behind the magic and the boot.
const COUNT: usize = 24;
const SEGMENT: usize = 32;
const OFFSET: usize = 40;
/// A page, so that laps begin with one.
const HEAD: usize = 4096;
/// Bytes of a lap: what 3,500 calls take when all of them are written again, or 3,200 new calls a
/// second in one second of a disk that stands still.
const ROOM: usize = 16 << 20;
/// How often, and how many times, the engine's thread looks whether there is room again. Then it
/// goes on without, and new calls are refused.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const LOOKS: u32 = 1_000;

fn file(folder: &Path) -> PathBuf {
    folder.join("staging")
}

/// The side of the engine's thread.
#[derive(Debug)]
pub(super) struct Staging {
    pages: PagesMut,
    /// Where in the segment the lap begins.
    base: Position,
    /// Bytes of the lap.
    count: usize,
    /// Bytes behind them that do not count yet.
    ahead: usize,
    condition: Condition,
    /// Whoever pours.
    keeper: Option<Thread>,
}

/// The side of the journal's thread.
#[derive(Debug)]
pub(super) struct Staged(Arc<Pages>);

impl Staging {
    /// Begins with an empty lap at `at`. None where the file system cannot keep its promise of
    /// room.
    pub(super) fn begin(
        folder: &Path,
        boot: [u8; 16],
        at: Position,
        condition: Condition,
    ) -> io::Result<Option<Staging>> {
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).open(file(folder))?;
        if !sys::is_steady(&file)? {
            return Ok(None);
        }
        sys::allocate(&file, (HEAD + ROOM) as u64)?;
        let mut pages = Pages::map(&file, HEAD + ROOM)?;
        pages.publish(COUNT, 0);
        pages.put(0, MAGIC);
        pages.put(MAGIC.len(), &boot);
        let mut staging = Staging { pages, base: at, count: 0, condition, keeper: None, ahead: 0 };
        staging.begin_lap(at);
        Ok(Some(staging))
    }

    pub(super) fn other_side(&self) -> Staged {
        Staged(self.pages.share())
    }

    pub(super) fn is_poured_by(&mut self, keeper: Thread) {
        self.keeper = Some(keeper);
    }

    /// Where in the segment the next byte will stand.
    pub(super) fn end(&self) -> Position {
        Position { offset: self.base.offset + self.count as u64, ..self.base }
    }

    /// Everything before has been poured, and what comes next stands at `at`.
    pub(super) fn begin_lap(&mut self, at: Position) {
        self.pages.publish(COUNT, 0);
        self.pages.publish(SEGMENT, at.segment);
        self.pages.publish(OFFSET, at.offset);
        (self.base, self.count) = (at, 0);
        let shared = &self.condition.0;
        shared.lap.store(at.offset, Ordering::Relaxed);
        shared.end.store(at.pack(), Ordering::Release);
        shared.staged.store(at.pack(), Ordering::Release);
    }

    /// Puts these behind what is staged, where they do not count before they are
    /// [published](Staging::publish). False, and nothing is done, where they find no room.
    pub(super) fn put(&mut self, parts: &[&[u8]]) -> bool {
        if self.count > 0 && self.is_poured() {
            self.begin_lap(self.end());
        }
        let mut at = self.count + self.ahead;
        if parts.iter().map(|part| part.len()).sum::<usize>() > ROOM - at {
            return false;
        }
        for part in parts {
            if !self.pages.put(HEAD + at, part) {
                return false;
            }
            at += part.len();
        }
        self.ahead = at - self.count;
        true
    }

    /// From here on what was put outlives the process.
    pub(super) fn publish(&mut self) {
        if self.ahead > 0 {
            self.count += std::mem::take(&mut self.ahead);
            self.pages.publish(COUNT, self.count as u64);
            self.condition.0.staged.store(self.end().pack(), Ordering::Release);
        }
    }

    /// Takes as many of `bytes` as find room, and says how many.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        let room = ROOM - self.count - self.ahead;
        let part = &bytes[..bytes.len().min(room)];
        let taken = if self.put(&[part]) { part.len() } else { 0 };
        self.publish();
        taken
    }

    /// Whether everything is in its segment.
    pub(super) fn is_poured(&self) -> bool {
        self.ahead == 0 && self.condition.end() == self.end()
    }

    /// Has everything poured, and waits for it; not for long, and not for a disk that is known to
    /// fail. False when it is not.
    pub(super) fn wait(&self) -> bool {
        for _ in 0..LOOKS {
            if self.is_poured() {
                return true;
            }
            let Some(keeper) = &self.keeper else { return false };
            if self.condition.0.failing.load(Ordering::Relaxed) {
                return false;
            }
            keeper.unpark();
            std::thread::sleep(LOOK_EVERY);
        }
        self.is_poured()
    }
}

impl Staged {
    /// Writes what is not in segment `number` yet into its file, and says how many bytes; 0 when it
    /// has all, or is not the newest any more.
    pub(super) fn pour(
        &self,
        condition: &Condition,
        (number, segment): &(u64, File),
    ) -> io::Result<usize> {
        // In this order: the end moves to another segment, or the lap begins anew, only while
        // nothing is staged.
        let (staged, end) = (condition.staged(), condition.end());
        if staged <= end || end.segment != *number {
            return Ok(0);
        }
        let lap = condition.0.lap.load(Ordering::Relaxed);
        let place = |offset: u64| HEAD + usize::try_from(offset - lap).unwrap_or(ROOM);
        let part = place(end.offset)..place(staged.offset);
        let count = self.0.write_to(segment, part, end.offset)?;
        let end = Position { offset: end.offset + count as u64, ..end };
        condition.0.end.store(end.pack(), Ordering::Release);
        Ok(count)
    }
}

/// Gives the newest segment what a killed process had staged and not poured.
///
/// # Errors
/// The system failed; what is staged stays.
pub(super) fn rescue(journal: &Folder) -> Result<(), JournalError> {
    let place = file(journal.path());
    let staged = match OpenOptions::new().read(true).write(true).open(&place) {
        Ok(staged) => staged,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(JournalError::io(place)(error)),
    };
    let (Some(number), Some(lap)) = (journal.segments()?.pop(), Lap::read(&staged)) else {
        return Ok(());
    };
    // The boot of a machine without an id is another each time.
    let boot = Clock::start().boot();
    if lap.boot != boot || boot == [0; 16] || lap.base.segment != number {
        return Ok(());
    }
    let path = folder::segment(journal.path(), number);
    let append = || {
        let mut segment = OpenOptions::new().append(true).open(&path)?;
        let missing = lap.missing(segment.metadata()?.size());
        let mut bytes = vec![0; missing.end.saturating_sub(missing.start)];
        staged.read_exact_at(&mut bytes, (HEAD + missing.start) as u64)?;
        if !bytes.is_empty() {
            tracing::info!(bytes = bytes.len(), "what was staged is in the journal now");
        }
        segment.write_all(&bytes)?;
        // Once: a repair may make the segment shorter.
        staged.write_all_at(&[0; 8], COUNT as u64)
    };
    let full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
    match append() {
        // What had been written by then is not missing the second time.
        Err(error) if full(&error) && folder::use_reserve(journal.path()) => append(),
        result => result,
    }
    .map_err(JournalError::io(&path))
}

/// What the head says.
struct Lap {
    boot: [u8; 16],
    count: usize,
    base: Position,
}

impl Lap {
    fn read(file: &File) -> Option<Lap> {
        let mut head = [0; OFFSET + 8];
        file.read_exact_at(&mut head, 0).ok()?;
        let number = |at: usize| head.get(at..)?.first_chunk().map(|it| u64::from_le_bytes(*it));
        let boot = head.strip_prefix(MAGIC)?.first_chunk()?;
        Some(Lap {
            boot: *boot,
            count: usize::try_from(number(COUNT)?).ok().filter(|count| *count <= ROOM)?,
            base: Position { segment: number(SEGMENT)?, offset: number(OFFSET)? },
        })
    }

    /// Which of its bytes a segment of this length does not have.
    fn missing(&self, length: u64) -> std::ops::Range<usize> {
        // It was poured up to where the lap begins; a shorter one has been cut by somebody else.
        let Some(poured) = length.checked_sub(self.base.offset) else { return 0..0 };
        usize::try_from(poured).unwrap_or(self.count).min(self.count)..self.count
    }
}
