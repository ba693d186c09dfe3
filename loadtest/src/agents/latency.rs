//! How long voice was under way, from the speaker's send to the listener's receive. Both live
//! in one process, so one clock serves both ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Packets of a speaker that may be under way at once: 64 × 20 ms is longer than any delay that
/// a talk survives.
const UNDER_WAY: usize = 64;
/// Resolution of the distribution.
const STEP: Duration = Duration::from_micros(50);
/// Steps kept; what takes longer is counted in the last.
const STEPS: usize = 4000;

/// When each packet that may still be under way was sent.
#[derive(Default)]
pub(crate) struct SendLog {
    speakers: BTreeMap<u32, [Option<Instant>; UNDER_WAY]>,
    delays: Delays,
}

impl SendLog {
    pub(crate) fn sent(&mut self, ssrc: u32, sequence: u16, at: Instant) {
        let ring = self.speakers.entry(ssrc).or_insert([None; UNDER_WAY]);
        ring[usize::from(sequence) % UNDER_WAY] = Some(at);
    }

    pub(crate) fn received(&mut self, ssrc: u32, sequence: u16, at: Instant) {
        let slot = self.speakers.get_mut(&ssrc).map(|r| &mut r[usize::from(sequence) % UNDER_WAY]);
        if let Some(sent) = slot.and_then(Option::take) {
            self.delays.add(at.saturating_duration_since(sent));
        }
    }

    pub(crate) fn forget(&mut self, ssrc: u32) {
        self.speakers.remove(&ssrc);
    }

    pub(crate) fn delays(&self) -> &Delays {
        &self.delays
    }
}

/// A distribution of delays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    steps: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Delays {
    fn add(&mut self, delay: Duration) {
        if self.steps.is_empty() {
            self.steps.resize(STEPS, 0);
        }
        let step = (delay.as_micros() / STEP.as_micros()) as usize;
        self.steps[step.min(STEPS - 1)] += 1;
        self.count += 1;
        self.longest = self.longest.max(delay);
    }

    /// Packets measured.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest delay.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The delay that the given part of all packets did not exceed, to 50 µs.
    pub fn percentile(&self, part: f64) -> Duration {
        let wanted = (self.count as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (step, count) in self.steps.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return (STEP * (step as u32 + 1)).min(self.longest);
            }
        }
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packet_is_measured_once() {
        let mut log = SendLog::default();
        let start = Instant::now();
        for sequence in 0..100u16 {
            let at = start + Duration::from_millis(20) * u32::from(sequence);
            log.sent(1, sequence, at);
            log.received(1, sequence, at + Duration::from_micros(10 * u64::from(sequence)));
            log.received(1, sequence, at + Duration::from_secs(1));
        }
        log.received(2, 0, start);
        assert_eq!(log.delays().count(), 100);
        assert_eq!(log.delays().longest(), Duration::from_micros(990));
        assert_eq!(log.delays().percentile(0.5), Duration::from_micros(500));
        assert_eq!(log.delays().percentile(1.0), Duration::from_micros(990));
    }
}
