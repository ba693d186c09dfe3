//! The two clocks of the engine, both given to it.
//!
//! Durations are always differences of [`Timestamp`]s. [`WallTime`] stamps records and selects
//! calendar rules; an NTP step moves it and must move no duration.

use std::ops::Add;
use std::time::Duration;

/// Microseconds on a monotonic clock whose zero is the shell's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The clock's zero.
    pub const ZERO: Timestamp = Timestamp(0);

    /// A point `micros` microseconds after zero.
    pub const fn from_micros(micros: u64) -> Self {
        Timestamp(micros)
    }

    /// Microseconds since zero.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time since `earlier`, zero if `earlier` is later.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    /// Saturates: a timer set beyond the end of time never fires.
    fn add(self, delta: Duration) -> Timestamp {
        let micros = u64::try_from(delta.as_micros()).unwrap_or(u64::MAX);
        Timestamp(self.0.saturating_add(micros))
    }
}

/// Microseconds since 1970-01-01T00:00:00Z, for stamps in records; never for durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(i64);

impl WallTime {
    /// A point `micros` microseconds after the Unix epoch.
    pub const fn from_unix_micros(micros: i64) -> Self {
        WallTime(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_unix_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the Unix epoch, rounded down: the precision of records.
    pub const fn as_unix_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

/// Both clocks read at the same moment: what every input arrives with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock; never goes back between two inputs.
    pub mono: Timestamp,
    /// The calendar clock; may jump.
    pub wall: WallTime,
}
