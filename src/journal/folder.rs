//! The folder: names of segments, the lock, the reserve, and how far the database has come.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::sys;

use super::{JournalError, Position};

/// Room that is kept for the end of running calls when the disk is full: 4,000 calls with their
/// records.
const RESERVE: u64 = 16 << 20;

/// The folder of one node; while this lives, no other process can have it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens or makes the folder.
    pub(crate) fn open(path: &Path) -> Result<Folder, JournalError> {
        fs::create_dir_all(path).map_err(JournalError::io(path))?;
        let place = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&place);
        let lock = lock.map_err(JournalError::io(&place))?;
        match lock.try_lock() {
            Ok(()) => Ok(Folder { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(JournalError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(JournalError::Io { path: place, source }),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The numbers of all segments, oldest first.
    pub(super) fn segments(&self) -> Result<Vec<u64>, JournalError> {
        segments(&self.path).map_err(JournalError::io(&self.path))
    }

    /// Sets room aside for the day the disk is full; without it the journal works as well.
    pub(super) fn reserve(&self) {
        let place = reserve(&self.path);
        let made = File::create(&place).and_then(|file| sys::allocate(&file, RESERVE));
        if let Err(error) = made {
            tracing::warn!("{}: no room is set aside: {error}", place.display());
            // A file without its room would only look like one.
            let _gone = fs::remove_file(&place);
        }
    }

    /// How far the database has come; none when that is not known.
    pub(super) fn confirmed(&self) -> Option<Position> {
        let bytes = fs::read(self.path.join(CONFIRMED)).ok()?;
        let (segment, rest) = bytes.split_first_chunk::<8>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let sum = u32::from_le_bytes(*rest.first_chunk::<4>()?);
        let position =
            Position { segment: u64::from_le_bytes(*segment), offset: u64::from_le_bytes(*offset) };
        (crc32fast::hash(bytes.get(..16)?) == sum).then_some(position)
    }
}

const CONFIRMED: &str = "confirmed";

/// Notes how far the database has come. Torn by a crash it counts as unknown, and records are
/// delivered again: the database takes each once.
#[derive(Debug)]
pub(super) struct Confirmation(File);

impl Confirmation {
    pub(super) fn open(folder: &Path) -> io::Result<Confirmation> {
        let path = folder.join(CONFIRMED);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        Ok(Confirmation(file))
    }

    pub(super) fn note(&self, position: Position) -> io::Result<()> {
        let mut bytes = position.segment.to_le_bytes().to_vec();
        bytes.extend_from_slice(&position.offset.to_le_bytes());
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        self.0.write_all_at(&bytes, 0)
    }
}

fn reserve(folder: &Path) -> PathBuf {
    folder.join("reserve")
}

/// Gives up the room that was kept, for what must be written now; false when it has been already.
pub(super) fn use_reserve(folder: &Path) -> bool {
    let used = fs::remove_file(reserve(folder)).is_ok();
    if used {
        tracing::error!("the disk of the journal is full: the reserve is used");
    }
    used
}

/// The file of a segment.
pub(super) fn segment(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.journal"))
}

/// The numbers of all segments, oldest first.
pub(super) fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".journal"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes a segment and writes its beginning.
pub(super) fn create(folder: &Path, number: u64, head: &[u8]) -> io::Result<File> {
    let mut file =
        OpenOptions::new().create_new(true).append(true).open(segment(folder, number))?;
    file.write_all(head)?;
    Ok(file)
}
