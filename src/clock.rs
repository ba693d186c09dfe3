//! The clocks of the process, in the engine's types.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tensou_engine::{Now, Timestamp, WallTime};

/// Reads both clocks. The monotonic one counts from the clock's creation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    zero: Instant,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Clock { zero: Instant::now() }
    }

    /// Both clocks.
    pub(crate) fn now(&self) -> Now {
        let mono = u64::try_from(self.zero.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { mono: Timestamp::from_micros(mono), wall: wall() }
    }
}

/// The calendar clock alone.
pub(crate) fn wall() -> WallTime {
    let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |it| -it),
    };
    WallTime::from_unix_micros(micros)
}
