//! When all is over nothing is held: no call, transaction, port, channel or timer.

use super::{Check, End};

pub(super) struct Quiet;

impl Check for Quiet {
    fn finish(&mut self, end: &End<'_>) {
        let counters = end.counters;
        assert_eq!(end.calls_held, 0, "calls in memory");
        assert_eq!(counters.calls_active, 0, "calls counted as running");
        if end.deaths == 0 {
            assert_eq!(counters.calls_started, counters.calls_ended, "started and ended");
        }
        assert_eq!(counters.transactions, 0, "transactions");
        assert_eq!(counters.media_ports_in_use, 0, "port pairs");
        assert_eq!(counters.channels_in_use, 0, "channels");
        if let (0, Some(wake)) = (counters.registrations, end.next_wake) {
            // The report of channels runs once a second; everything else has had its time.
            assert!(wake <= end.now + 1_000_000, "a timer waits for {wake} at {}", end.now);
        }
    }
}
