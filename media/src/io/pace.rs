//! When a worker lets packets gather.
//!
//! A wake-up costs about as much as relaying a packet. Above some thousand packets per second a
//! worker therefore sleeps [`GATHER`] between rounds and finds several; below, every packet is
//! relayed the moment it comes.

use std::time::Duration;

use crate::value::Timestamp;

/// How long packets gather: with the kernel's timer slack and a round of work it keeps the added
/// delay well under 2 ms and jitter under 1 ms, and more would save little (five packets share a
/// wake-up at 10,000 packets/s).
pub(super) const GATHER: Duration = Duration::from_micros(500);

/// Over how long the rate is measured: half a packet interval of a call.
const WINDOW_US: u64 = 10_000;

/// From this rate on (2,000 packets/s, 20 calls) a gathering sleep finds more than one packet.
const GATHER_FROM: u64 = 2 * WINDOW_US / 1000;

/// The rate of packets, and what follows from it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    since: Timestamp,
    packets: u64,
    gathering: bool,
}

impl Pace {
    /// A round handled `packets`.
    pub(super) fn round(&mut self, now: Timestamp, packets: usize) {
        self.packets += packets as u64;
        let elapsed_us = now.as_micros().saturating_sub(self.since.as_micros());
        if elapsed_us >= WINDOW_US {
            self.gathering = self.packets * WINDOW_US >= GATHER_FROM * elapsed_us;
            *self = Pace { since: now, packets: 0, gathering: self.gathering };
        }
    }

    /// True while packets come fast enough to let them gather.
    pub(super) fn gathering(&self) -> bool {
        self.gathering
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pace: &mut Pace, packets_per_second: u64) -> bool {
        let start = pace.since.as_micros();
        for step in 1..=100 {
            let now = Timestamp::from_micros(start + step * 1000);
            let packets = packets_per_second * step / 1000 - packets_per_second * (step - 1) / 1000;
            pace.round(now, packets as usize);
        }
        pace.gathering()
    }

    #[test]
    fn a_few_calls_are_relayed_without_delay() {
        assert!(!after(&mut Pace::default(), 1_000));
    }

    #[test]
    fn many_calls_share_their_wake_ups_until_they_are_over() {
        let mut pace = Pace::default();
        assert!(after(&mut pace, 20_000));
        assert!(!after(&mut pace, 0));
    }

    #[test]
    fn one_burst_after_silence_is_no_rate() {
        let mut pace = Pace::default();
        pace.round(Timestamp::from_micros(5_000_000), 30);
        assert!(!pace.gathering());
    }
}
