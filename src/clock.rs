//! The clocks of the process, in the engine's types.
//!
//! The monotonic one is the time since the machine booted plus an offset, so that a process that
//! is started anew goes on counting where the one before stopped; after a boot the calendar says
//! how much has passed. Steps of the calendar never change a duration.

use std::time::{SystemTime, UNIX_EPOCH};

use tensou_engine::{Now, Timestamp, WallTime};

use crate::sys;

/// Reads both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    boot: [u8; 16],
    offset: i64,
}

impl Clock {
    /// A clock without a past.
    pub(crate) fn start() -> Self {
        Clock { boot: boot_id(), offset: 0 }
    }

    /// A clock that goes on where another stopped: in that boot, with that offset, last read at
    /// `latest`.
    pub(crate) fn continuing(boot: [u8; 16], offset: i64, latest: Now) -> Self {
        let this = Clock { boot: boot_id(), offset };
        this.after(boot, latest, since_boot(), wall())
    }

    fn after(self, boot: [u8; 16], latest: Now, since_boot: i64, wall: WallTime) -> Self {
        let last = i64::try_from(latest.mono.as_micros()).unwrap_or(i64::MAX);
        // Another boot has begun to count anew. A machine without a boot id counts as booted.
        let same = boot == self.boot && boot != [0; 16];
        let passed = wall.as_unix_micros().saturating_sub(latest.wall.as_unix_micros());
        let resumed = if same {
            since_boot.saturating_add(self.offset).max(last)
        } else {
            last.saturating_add(passed.max(0))
        };
        Clock { offset: resumed.saturating_sub(since_boot), ..self }
    }

    /// The boot it reads in.
    pub(crate) fn boot(&self) -> [u8; 16] {
        self.boot
    }

    /// What is added to the time since boot.
    pub(crate) fn offset(&self) -> i64 {
        self.offset
    }

    /// Both clocks.
    pub(crate) fn now(&self) -> Now {
        let micros = since_boot().saturating_add(self.offset);
        let mono = Timestamp::from_micros(u64::try_from(micros).unwrap_or(0));
        Now { mono, wall: wall() }
    }
}

fn since_boot() -> i64 {
    i64::try_from(sys::time_since_boot().as_micros()).unwrap_or(i64::MAX)
}

/// The kernel's name of this boot, zeros where there is none.
fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    u128::from_str_radix(&text.trim().replace('-', ""), 16).unwrap_or(0).to_be_bytes()
}

/// The calendar clock alone.
pub(crate) fn wall() -> WallTime {
    let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |it| -it),
    };
    WallTime::from_unix_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: [u8; 16] = [1; 16];

    fn at(mono: u64, wall: i64) -> Now {
        Now { mono: Timestamp::from_micros(mono), wall: WallTime::from_unix_micros(wall) }
    }

    #[test]
    fn within_a_boot_the_calendar_may_jump_and_nothing_is_counted() {
        let clock = Clock { boot: BOOT, offset: 50 };
        for wall in [-3_600_000_000, 1_000, 3_600_000_000] {
            let wall = WallTime::from_unix_micros(wall);
            assert_eq!(clock.after(BOOT, at(1_050, 1_000), 1_200, wall), clock);
        }
    }

    #[test]
    fn after_a_boot_the_calendar_says_how_much_has_passed() {
        let clock = Clock { boot: [2; 16], offset: 50 };
        let wall = WallTime::from_unix_micros(61_000);
        let after = clock.after(BOOT, at(900_000, 1_000), 300, wall);
        assert_eq!(after.offset + 300, 960_000);
        // A calendar that went back does not take time away.
        let early = clock.after(BOOT, at(900_000, 1_000), 300, WallTime::from_unix_micros(0));
        assert_eq!(early.offset + 300, 900_000);
    }

    #[test]
    fn time_never_goes_back() {
        let clock = Clock { boot: BOOT, offset: 0 };
        let wall = WallTime::from_unix_micros(0);
        assert_eq!(clock.after(BOOT, at(900, 0), 300, wall).offset, 600);
        let running = Clock::start();
        assert!(running.now().mono <= running.now().mono);
    }
}
