//! How long the engine's thread rests between two looks at its sockets.
//!
//! A thread that is woken for every datagram pays a context switch and two system calls for each.
//! Under load it is cheaper to rest for a moment and take what has gathered: one `recvmmsg` then
//! brings many. Below the threshold no datagram is delayed. Timers are gathered always: each
//! transaction leaves one behind, so under load one is due every 100 µs.

use std::time::Duration;

use tensou_engine::Timestamp;

/// Messages per second from which resting pays: below it a rest brings less than two datagrams.
const BUSY_RATE: u64 = 2_000;
/// The longest rest, and how late a timer may be. Each look costs some 200 µs beside busy
/// neighbours, most of it for what they have put out of the caches, whatever it brings. A call's
/// set-up passes the engine three times, so this adds some 15 ms to it on average, which no caller
/// hears and no timer of RFC 3261 (T1 = 500 ms) notices.
const REST: Duration = Duration::from_micros(9_900);
/// Messages that are worth a look: a rest that would bring more is shorter. So a flood waits in
/// the sockets' buffers no longer than they hold it.
const GATHERED: u64 = 200;
/// The rate is measured over windows of this length; shorter ones mistake a burst for load.
const WINDOW: Duration = Duration::from_millis(50);

/// What to do before the next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Sleep until something arrives, at most this long.
    Wait(Duration),
    /// Rest this long, then look without asking whether something is there.
    Rest(Duration),
}

/// Measures the rate of messages.
#[derive(Debug)]
pub(super) struct Pace {
    window_start: Timestamp,
    messages: u64,
    /// What the last window asked for; none when it was quiet.
    rest: Option<Duration>,
}

impl Pace {
    pub(super) fn new(now: Timestamp) -> Self {
        Pace { window_start: now, messages: 0, rest: None }
    }

    /// `count` messages were taken.
    pub(super) fn took(&mut self, count: usize) {
        self.messages += count as u64;
    }

    /// The pause at `now` when the next timer is due after `timer`.
    pub(super) fn pause(&mut self, now: Timestamp, timer: Duration) -> Pause {
        let elapsed = now.since(self.window_start);
        if elapsed >= WINDOW {
            let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).max(1);
            let rate = self.messages.saturating_mul(1_000_000) / micros;
            let gathering = || Duration::from_micros(GATHERED * 1_000_000 / rate);
            self.rest = (rate >= BUSY_RATE).then(|| gathering().min(REST));
            self.window_start = now;
            self.messages = 0;
        }
        self.rest.map_or(Pause::Wait(timer.max(REST)), Pause::Rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(millis * 1_000)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_quiet_engine_waits_for_its_sockets() {
        let mut pace = Pace::new(at(0));
        pace.took(50);
        assert_eq!(pace.pause(at(50), SECOND), Pause::Wait(SECOND));
    }

    #[test]
    fn a_timer_that_is_due_soon_does_not_shorten_the_pause() {
        let soon = Duration::from_micros(10);
        let mut pace = Pace::new(at(0));
        assert_eq!(pace.pause(at(1), soon), Pause::Wait(REST));
        pace.took(100);
        assert_eq!(pace.pause(at(50), SECOND), Pause::Rest(REST));
        assert_eq!(pace.pause(at(51), soon), Pause::Rest(REST));
    }

    #[test]
    fn a_flood_does_not_wait_for_longer_than_it_is_worth() {
        let mut pace = Pace::new(at(0));
        pace.took(50_000);
        assert_eq!(pace.pause(at(50), SECOND), Pause::Rest(Duration::from_micros(200)));
    }

    #[test]
    fn it_waits_again_once_the_load_is_gone() {
        let mut pace = Pace::new(at(0));
        pace.took(1_000);
        assert_eq!(pace.pause(at(50), SECOND), Pause::Rest(REST));
        assert_eq!(pace.pause(at(60), SECOND), Pause::Rest(REST));
        assert_eq!(pace.pause(at(100), SECOND), Pause::Wait(SECOND));
    }
}
