//! Call records on their way to the database: read from the journal, in its order.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use tensou_engine::Cdr;
use tensou_engine::journal::cdrs_of;

use super::folder::Confirmation;
use super::{Condition, Folder, Position, folder, frame};

/// Bytes read at once; a record longer than that is read by itself.
const CHUNK: usize = 256 << 10;

/// Follows the journal's end. Nothing is kept in memory but the batch that is asked for.
#[derive(Debug)]
pub(crate) struct Tail {
    folder: PathBuf,
    condition: Condition,
    at: Position,
    file: Option<(u64, File)>,
    /// What is read is read here, again and again.
    page: Vec<u8>,
    confirmation: Confirmation,
}

impl Tail {
    /// Begins after what the database has confirmed.
    pub(crate) fn new(folder: &Folder, condition: Condition) -> io::Result<Tail> {
        Ok(Tail {
            folder: folder.path().to_owned(),
            at: condition.confirmed(),
            condition,
            file: None,
            page: Vec::new(),
            confirmation: Confirmation::open(folder.path())?,
        })
    }

    /// The state of the journal.
    pub(crate) fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Adds the next records to `batch`, until it holds `most` or there are no more.
    pub(crate) fn read(&mut self, batch: &mut Vec<Cdr>, most: usize) -> io::Result<()> {
        let end = self.condition.end();
        while batch.len() < most && self.at < end {
            let limit = if self.at.segment == end.segment { end.offset } else { u64::MAX };
            if !self.read_chunk(batch, most, limit)? {
                if self.at.segment >= end.segment {
                    return Ok(());
                }
                self.next_segment(end)?;
            }
        }
        Ok(())
    }

    /// Reads on in this segment; false at its end.
    fn read_chunk(&mut self, batch: &mut Vec<Cdr>, most: usize, limit: u64) -> io::Result<bool> {
        let mut page = std::mem::take(&mut self.page);
        let read = self.read_page(batch, most, limit, &mut page);
        self.page = page;
        read
    }

    fn read_page(
        &mut self,
        batch: &mut Vec<Cdr>,
        most: usize,
        limit: u64,
        page: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let mut size = CHUNK;
        loop {
            let want = usize::try_from(limit - self.at.offset).unwrap_or(size).min(size);
            let bytes = self.bytes(want, page)?;
            let mut at = 0;
            if self.at.offset == 0 {
                at = match frame::open(bytes) {
                    frame::Opening::Good(_, next) => next,
                    frame::Opening::Bad | frame::Opening::Unknown(_) => return Ok(false),
                };
            }
            let began = at;
            while batch.len() < most
                && let Some((record, next)) = frame::at(bytes, at)
            {
                match cdrs_of(record) {
                    Ok(cdrs) => batch.extend(cdrs),
                    Err(error) => tracing::error!("{error}"),
                }
                at = next;
            }
            let (moved, filled) = (at > began || self.at.offset == 0, bytes.len());
            self.at.offset += at as u64;
            if moved {
                return Ok(true);
            }
            // A record longer than the chunk, or nothing more.
            if filled < size {
                return Ok(false);
            }
            size *= 4;
        }
    }

    /// Up to `size` bytes from here, in `page`.
    fn bytes<'a>(&mut self, size: usize, page: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        let number = self.at.segment;
        if self.file.as_ref().is_none_or(|(open, _)| *open != number) {
            let file = File::open(folder::segment(&self.folder, number))?;
            self.file = Some((number, file));
        }
        if page.len() < size {
            page.resize(size, 0);
        }
        let mut filled = 0;
        if let Some((_, file)) = &self.file {
            while let Some(room) = page.get_mut(filled..size).filter(|room| !room.is_empty()) {
                match file.read_at(room, self.at.offset + filled as u64)? {
                    0 => break,
                    count => filled += count,
                }
            }
        }
        Ok(page.get(..filled).unwrap_or_default())
    }

    fn next_segment(&mut self, end: Position) -> io::Result<()> {
        let numbers = folder::segments(&self.folder)?;
        let next = numbers.into_iter().find(|number| *number > self.at.segment);
        self.at = Position { segment: next.unwrap_or(end.segment), offset: 0 };
        Ok(())
    }

    /// Everything that was read so far is in the database: `count` records more.
    pub(crate) fn confirm(&mut self, count: usize) {
        let shared = &self.condition.0;
        shared.waiting.fetch_sub(count as u64, Ordering::Relaxed);
        shared.confirmed.store(self.at.pack(), Ordering::Release);
        if let Err(error) = self.confirmation.note(self.at) {
            tracing::error!("delivered call records could not be noted: {error}");
        }
    }
}
