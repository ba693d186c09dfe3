//! The thread that pours what is staged into the segment, has the disk keep it, watches the room
//! there, and deletes what nothing needs any more.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::sys;

use super::staging::Staged;
use super::{Condition, Writer, folder};

/// How often the room on the disk and old segments are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest that records are staged only; call records are delivered from the segments.
const POUR_EVERY: Duration = Duration::from_millis(20);
/// New calls are refused when less is free, and taken again from twice as much on: what remains
/// carries the ends of 4,000 running calls even without the reserve.
const LOW: u64 = 32 << 20;

/// The running thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    stop: Arc<AtomicBool>,
    join: JoinHandle<()>,
}

impl Keeper {
    /// Starts it for what `writer` writes. `every` is how often the disk is made to keep it; zero
    /// leaves that to the kernel.
    pub(crate) fn start(
        folder: &Path,
        condition: Condition,
        every: Duration,
        writer: &mut Writer,
    ) -> io::Result<Keeper> {
        let stop = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&stop);
        let mut work = Work::new(folder, condition, writer.staged());
        let join = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || work.run(every, &ends))?;
        writer.is_poured_by(join.thread().clone());
        Ok(Keeper { stop, join })
    }

    /// Ends it; what was written is on the disk then.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.join.thread().unpark();
        if self.join.join().is_err() {
            tracing::error!("the journal's thread panicked");
        }
    }
}

pub(super) struct Work {
    folder: PathBuf,
    condition: Condition,
    /// None where the engine's thread writes into the segment itself.
    staged: Option<Staged>,
    /// Everything before this is on the disk.
    synced: u64,
    /// The segment that is written and synced, and its number.
    open: Option<(u64, File)>,
}

impl Work {
    pub(super) fn new(folder: &Path, condition: Condition, staged: Option<Staged>) -> Work {
        Work { folder: folder.to_owned(), condition, staged, synced: 0, open: None }
    }

    fn run(&mut self, every: Duration, stop: &AtomicBool) {
        let (mut looked, mut synced) = (Instant::now(), Instant::now());
        self.look();
        while !stop.load(Ordering::Acquire) {
            std::thread::park_timeout(if every.is_zero() {
                POUR_EVERY
            } else {
                every.min(POUR_EVERY)
            });
            // What was written again by now is poured and synced before it counts.
            let needed = self.needed();
            self.pour();
            if !every.is_zero() && (every <= POUR_EVERY || synced.elapsed() >= every) {
                synced = Instant::now();
                self.sync();
            }
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                self.look();
                self.delete(needed);
            }
        }
        self.pour();
        self.sync();
    }

    /// Brings everything that is staged into its segment. What cannot be written is tried again.
    pub(super) fn pour(&mut self) {
        let Some(staged) = self.staged.take() else { return };
        loop {
            let segment = self.condition.end().segment;
            let opened = self.segment(segment);
            let poured = opened.and_then(|()| match &self.open {
                Some(open) => staged.pour(&self.condition, open),
                None => Ok(0),
            });
            match poured {
                Ok(0) => break,
                Ok(_) => self.condition.writes(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if error.kind() == ErrorKind::StorageFull
                        && folder::use_reserve(&self.folder) => {}
                Err(error) => {
                    self.condition.refuses(&error);
                    break;
                }
            }
        }
        self.staged = Some(staged);
    }

    /// Has this segment open.
    fn segment(&mut self, number: u64) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|(open, _)| *open == number) {
            return Ok(());
        }
        // The segment before has had its last bytes.
        if let Some((_, before)) = self.open.take() {
            self.told(before.sync_data());
        }
        let path = folder::segment(&self.folder, number);
        self.open = Some((number, File::options().write(true).open(path)?));
        Ok(())
    }

    fn sync(&mut self) {
        let end = self.condition.end();
        if end.pack() == self.synced {
            return;
        }
        let opened = self.segment(end.segment);
        if let (Ok(()), Some((_, file))) = (&opened, &self.open) {
            let result = file.sync_data();
            self.condition.0.unsynced.store(result.is_err(), Ordering::Relaxed);
            self.told(result);
            self.synced = end.pack();
        }
        self.told(opened);
    }

    fn look(&mut self) {
        match sys::free_bytes(&self.folder) {
            Ok(free) => self.judge(free),
            Err(error) => self.told(Err(error)),
        }
    }

    fn judge(&self, free: u64) {
        self.condition.0.free.store(free, Ordering::Relaxed);
        let low = &self.condition.0.low;
        let was = low.load(Ordering::Relaxed);
        let is = free < if was { 2 * LOW } else { LOW };
        low.store(is, Ordering::Relaxed);
        match (was, is) {
            (false, true) => {
                tracing::error!(free, "the journal's disk is nearly full: new calls are refused");
            }
            (true, false) => tracing::info!(free, "the journal's disk has room again"),
            (true, true) | (false, false) => {}
        }
    }

    /// The first segment that has calls that stand in no later one, or records that are not in the
    /// database.
    fn needed(&self) -> u64 {
        let live_from = self.condition.0.live_from.load(Ordering::Acquire);
        live_from.min(self.condition.confirmed().segment)
    }

    /// Segments before that.
    fn delete(&self, needed: u64) {
        let shared = &self.condition.0;
        let Ok(numbers) = folder::segments(&self.folder) else { return };
        let mut bytes = 0;
        for number in numbers {
            let path = folder::segment(&self.folder, number);
            if number < needed {
                self.told(fs::remove_file(&path));
            } else {
                bytes += fs::metadata(&path).map_or(0, |it| it.len());
            }
        }
        shared.bytes.store(bytes, Ordering::Relaxed);
    }

    fn told(&self, result: io::Result<()>) {
        if let Err(error) = result {
            self.condition.failed(&error);
        }
    }
}
