//! When a worker lets packets gather.
//!
//! A wake-up costs about as much as relaying a packet. Where packets come one by one and fast, a
//! worker sleeps [`GATHER`] between rounds and finds several; where they are few, or come in
//! bursts anyway (an interrupt of the network card, a gateway that sends all its channels at
//! once), every packet is relayed the moment it comes. A round that finds packets without having
//! slept for them is no wake-up: of a burst, only the first packet wakes.

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

/// Gathering must bring this many times the packets per sleep that come by themselves: a sleep
/// has its own price (a timer, an idle core, a cold cache).
const WORTH: u64 = 4;

/// Counts packets and sleeps, and decides by them.
#[derive(Debug, Default)]
pub(super) struct Pace {
    since: Timestamp,
    packets: u64,
    /// What the thread's count of sleeps was then.
    slept: u64,
    /// How many more windows packets gather for.
    gather_for: u32,
}

impl Pace {
    /// A round handled `packets`; `sleeps` says how often the thread has slept so far.
    pub(super) fn round(&mut self, now: Timestamp, packets: usize, sleeps: impl FnOnce() -> u64) {
        self.packets += packets as u64;
        let elapsed_us = now.as_micros().saturating_sub(self.since.as_micros());
        if elapsed_us < WINDOW_US {
            return;
        }
        let slept = sleeps();
        let wakes = slept.saturating_sub(self.slept);
        let gather_for = match self.gather_for {
            0 if self.is_worth_it(elapsed_us, wakes) => GATHER_WINDOWS,
            windows => windows.saturating_sub(1),
        };
        *self = Pace { since: now, packets: 0, slept, gather_for };
    }

    /// True while packets are let gather.
    pub(super) fn gathering(&self) -> bool {
        self.gather_for > 0
    }

    /// Would a sleep find enough more packets than a wake-up has found without?
    fn is_worth_it(&self, elapsed_us: u64, wakes: u64) -> bool {
        let by_sleeping = self.packets * GATHER.as_micros() as u64;
        let by_themselves = self.packets * elapsed_us;
        // Both per wake-up: by_sleeping / elapsed_us >= WORTH * packets / wakes.
        self.packets > 0 && by_sleeping * wakes >= WORTH * by_themselves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a second of `bursts_per_ms` bursts a millisecond: a sleep each, then `rounds` rounds of
    /// `packets` without another.
    fn after(pace: &mut Pace, bursts_per_ms: u64, rounds: usize, packets: usize) -> bool {
        let start = pace.since.as_micros();
        let slept_before = pace.slept;
        for burst in 1..=500 * bursts_per_ms {
            let now = Timestamp::from_micros(start + burst * 1000 / bursts_per_ms);
            for _ in 0..rounds {
                pace.round(now, packets, || slept_before + burst);
            }
        }
        pace.gathering()
    }

    #[test]
    fn a_few_calls_are_relayed_without_delay() {
        assert!(!after(&mut Pace::default(), 5, 1, 1));
    }

    #[test]
    fn many_calls_that_come_one_by_one_share_their_wake_ups() {
        assert!(after(&mut Pace::default(), 20, 1, 1));
    }

    #[test]
    fn bursts_are_relayed_without_delay() {
        assert!(!after(&mut Pace::default(), 2, 1, 10));
    }

    #[test]
    fn a_burst_that_is_taken_in_many_rounds_has_woken_once() {
        assert!(!after(&mut Pace::default(), 2, 25, 2));
    }

    #[test]
    fn a_worker_that_never_sleeps_has_nothing_to_gain() {
        let mut pace = Pace::default();
        for round in 1..=10_000 {
            pace.round(Timestamp::from_micros(round * 10), 2, || 0);
        }
        assert!(!pace.gathering());
    }

    #[test]
    fn when_the_calls_are_over_nothing_is_delayed_any_more() {
        let mut pace = Pace::default();
        assert!(after(&mut pace, 20, 1, 1));
        for _ in 0..3 {
            after(&mut pace, 1, 1, 0);
        }
        assert!(!pace.gathering());
    }

    #[test]
    fn one_burst_after_silence_is_no_rate() {
        let mut pace = Pace::default();
        pace.round(Timestamp::from_micros(5_000_000), 30, || 1);
        assert!(!pace.gathering());
    }
}
