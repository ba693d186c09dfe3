//! When a worker lets packets gather.
//!
//! A wake-up costs about as much as relaying a packet. Where packets come one by one and fast, a
//! worker sleeps [`GATHER`] between rounds and finds several; where they are few, or come in
//! bursts anyway (an interrupt of the network card, a gateway that sends all its channels at
//! once), every packet is relayed the moment it comes.

use std::time::Duration;

use crate::value::Timestamp;

/// How long packets gather: with the kernel's timer slack and a round of work it keeps the added
/// delay well under 2 ms and jitter under 1 ms; twice as long would save half of what is left.
pub(super) const GATHER: Duration = Duration::from_micros(500);

/// Over how long packets are counted: half a packet interval of a call.
const WINDOW_US: u64 = 10_000;

/// For how many windows packets gather before it is looked whether they still need to: looking
/// costs the wake-ups of one window.
const GATHER_WINDOWS: u32 = 100;

/// Gathering must bring this many times the packets per wake-up that come by themselves: a sleep
/// has its own price (a timer, an idle core, a cold cache).
const WORTH: u64 = 4;

/// Counts packets and wake-ups, and decides by them.
#[derive(Debug, Default)]
pub(super) struct Pace {
    since: Timestamp,
    packets: u64,
    /// Rounds that found any.
    wakes: u64,
    /// How many more windows packets gather for.
    gather_for: u32,
}

impl Pace {
    /// A round handled `packets`.
    pub(super) fn round(&mut self, now: Timestamp, packets: usize) {
        self.packets += packets as u64;
        self.wakes += u64::from(packets > 0);
        let elapsed_us = now.as_micros().saturating_sub(self.since.as_micros());
        if elapsed_us < WINDOW_US {
            return;
        }
        let gather_for = match self.gather_for {
            0 if self.is_worth_it(elapsed_us) => GATHER_WINDOWS,
            windows => windows.saturating_sub(1),
        };
        *self = Pace { since: now, packets: 0, wakes: 0, gather_for };
    }

    /// True while packets are let gather.
    pub(super) fn gathering(&self) -> bool {
        self.gather_for > 0
    }

    /// Would a sleep find enough more packets than a wake-up has found without?
    fn is_worth_it(&self, elapsed_us: u64) -> bool {
        let by_sleeping = self.packets * GATHER.as_micros() as u64;
        let by_themselves = self.packets * elapsed_us;
        // Both per wake-up: by_sleeping / elapsed_us >= WORTH * packets / wakes.
        self.packets > 0 && by_sleeping * self.wakes >= WORTH * by_themselves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a second of `wakes_per_ms` rounds a millisecond with `packets` each.
    fn after(pace: &mut Pace, wakes_per_ms: u64, packets: usize) -> bool {
        let start = pace.since.as_micros();
        for step in 1..=500 * wakes_per_ms {
            pace.round(Timestamp::from_micros(start + step * 1000 / wakes_per_ms), packets);
        }
        pace.gathering()
    }

    #[test]
    fn a_few_calls_are_relayed_without_delay() {
        assert!(!after(&mut Pace::default(), 5, 1));
    }

    #[test]
    fn many_calls_that_come_one_by_one_share_their_wake_ups() {
        assert!(after(&mut Pace::default(), 20, 1));
    }

    #[test]
    fn bursts_are_relayed_without_delay() {
        assert!(!after(&mut Pace::default(), 2, 10));
    }

    #[test]
    fn when_the_calls_are_over_nothing_is_delayed_any_more() {
        let mut pace = Pace::default();
        assert!(after(&mut pace, 20, 1));
        for _ in 0..3 {
            after(&mut pace, 1, 0);
        }
        assert!(!pace.gathering());
    }

    #[test]
    fn one_burst_after_silence_is_no_rate() {
        let mut pace = Pace::default();
        pace.round(Timestamp::from_micros(5_000_000), 30);
        assert!(!pace.gathering());
    }
}
