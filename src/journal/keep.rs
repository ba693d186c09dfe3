//! The thread that has the disk keep the journal, watches the room on it, and deletes what
//! nothing needs any more.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::sys;

use super::{Condition, folder};

/// How often the room on the disk and old segments are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
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
    /// Starts it. `every` is how often the disk is made to keep what was written; zero leaves
    /// that to the kernel.
    pub(crate) fn start(
        folder: &Path,
        condition: Condition,
        every: Duration,
    ) -> io::Result<Keeper> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut work = Work {
            folder: folder.to_owned(),
            condition,
            synced: 0,
            open: None,
            stop: Arc::clone(&stop),
        };
        let join =
            std::thread::Builder::new().name("journal".into()).spawn(move || work.run(every))?;
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

struct Work {
    folder: PathBuf,
    condition: Condition,
    /// Everything before this is on the disk.
    synced: u64,
    /// The segment that is synced, and its number.
    open: Option<(u64, File)>,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn run(&mut self, every: Duration) {
        let pause = if every.is_zero() { LOOK_EVERY } else { every };
        let mut looked = Instant::now();
        self.look();
        while !self.stop.load(Ordering::Acquire) {
            std::thread::park_timeout(pause);
            if !every.is_zero() {
                self.sync();
            }
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                self.look();
            }
        }
        self.sync();
    }

    fn sync(&mut self) {
        let end = self.condition.end();
        if end.pack() == self.synced {
            return;
        }
        if self.open.as_ref().is_none_or(|(number, _)| *number != end.segment) {
            // The segment before has had its last bytes.
            if let Some((_, before)) = self.open.take() {
                self.told(before.sync_data());
            }
            match File::open(folder::segment(&self.folder, end.segment)) {
                Ok(file) => self.open = Some((end.segment, file)),
                Err(error) => return self.told(Err(error)),
            }
        }
        if let Some((_, file)) = &self.open {
            let result = file.sync_data();
            self.condition.0.unsynced.store(result.is_err(), Ordering::Relaxed);
            self.told(result);
            self.synced = end.pack();
        }
    }

    fn look(&mut self) {
        match sys::free_bytes(&self.folder) {
            Ok(free) => self.judge(free),
            Err(error) => self.told(Err(error)),
        }
        self.delete();
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

    /// Segments whose calls have ended or stand in later ones, and whose records are all in the
    /// database.
    fn delete(&self) {
        let shared = &self.condition.0;
        let needed =
            shared.live_from.load(Ordering::Acquire).min(self.condition.confirmed().segment);
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
