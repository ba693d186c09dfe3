//! Whether the engine takes on more: what it holds, and how late it comes to what it is asked.
//!
//! A server that answers late is asked again: after T1 = 500 ms every caller resends (RFC 3261
//! 17.1.1.2), and the work doubles while its worth falls. So new calls are refused long before
//! that, by an answer that costs a tenth of a call, and whatever belongs to a running call is
//! served. The engine then works at its capacity on what it has taken on (in the spirit of RFC
//! 7339, without its signalling).

use std::time::Duration;

use crate::config::Limits;
use crate::time::Timestamp;

/// A datagram that has lain for so long is late. Its call passes the engine six times, so set-up
/// takes a third of a second longer at most, and nobody has begun to resend.
const LATE: Duration = Duration::from_millis(50);
/// New calls are taken on again when datagrams lie for less than this: the queue is nearly empty
/// by then, and the engine never idle.
const ON_TIME: Duration = Duration::from_millis(10);
/// What was told is good for this long: a shell that is not behind any more says nothing.
const TOLD_FOR: Duration = Duration::from_millis(200);

/// RFC 3261 17.1.1.2 timer B: so long a caller may repeat an INVITE. A copy of one that was
/// refused, waiting in the queue behind it, must not become a call: its caller has gone.
const COPIES_COME: Duration = Duration::from_secs(32);
/// Refused INVITEs remembered, each at a place that its mark gives; a newer one takes the place.
/// Copies lie seconds apart at most in a queue that is emptied, and a queue of 4,096 INVITEs is
/// longer than a socket holds.
const REMEMBERED: usize = 4096;

/// The engine's own idea of its load.
#[derive(Debug)]
pub(crate) struct Load {
    limits: Limits,
    /// Marks of INVITEs refused lately, made with the first of them.
    refused: Box<[Option<(u64, Timestamp)>]>,
    /// When the last was refused.
    last_refused: Option<Timestamp>,
    /// Behind since a datagram was late, and when that was last told.
    late: Option<Timestamp>,
}

/// What is held now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) calls: usize,
    pub(crate) transactions: usize,
}

impl Load {
    pub(crate) fn new(limits: Limits) -> Load {
        Load { limits, refused: Box::default(), last_refused: None, late: None }
    }

    /// An INVITE was refused for lack of room.
    pub(crate) fn refused(&mut self, now: Timestamp, mark: u64) {
        if self.refused.is_empty() {
            self.refused = vec![None; REMEMBERED].into();
        }
        if let Some(place) = self.refused.get_mut(mark as usize % REMEMBERED) {
            *place = Some((mark, now));
        }
        self.last_refused = Some(now);
    }

    /// Whether any INVITE was refused so lately that copies of it may come.
    pub(crate) fn has_refused(&self, now: Timestamp) -> bool {
        self.last_refused.is_some_and(|last| now.since(last) < COPIES_COME)
    }

    /// Whether this very INVITE was refused.
    pub(crate) fn was_refused(&self, now: Timestamp, mark: u64) -> bool {
        let place = self.refused.get(mark as usize % REMEMBERED).copied().flatten();
        place.is_some_and(|(known, at)| known == mark && now.since(at) < COPIES_COME)
    }

    /// The last datagram lay for `waited` before it was handed over.
    pub(crate) fn waited(&mut self, now: Timestamp, waited: Duration) {
        if waited >= LATE || (self.is_late(now) && waited > ON_TIME) {
            self.late = Some(now);
        } else if waited <= ON_TIME {
            self.late = None;
        }
    }

    /// Whether a new call is more than can be served.
    pub(crate) fn is_over(&self, now: Timestamp, held: Held) -> bool {
        self.is_late(now) || self.is_full(held)
    }

    /// Whether nothing more may be kept in memory.
    pub(crate) fn is_full(&self, held: Held) -> bool {
        held.calls >= self.limits.calls as usize
            || held.transactions >= self.limits.transactions as usize
    }

    fn is_late(&self, now: Timestamp) -> bool {
        self.late.is_some_and(|told| now.since(told) < TOLD_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Held = Held { calls: 0, transactions: 0 };

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(millis * 1_000)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn late_datagrams_stop_new_calls_until_the_queue_is_nearly_empty() {
        let mut load = Load::new(Limits::default());
        load.waited(at(0), millis(49));
        assert!(!load.is_over(at(0), NOTHING));
        load.waited(at(10), millis(50));
        assert!(load.is_over(at(10), NOTHING));
        load.waited(at(20), millis(11));
        assert!(load.is_over(at(20), NOTHING), "not yet");
        load.waited(at(30), millis(10));
        assert!(!load.is_over(at(30), NOTHING));
        load.waited(at(40), millis(11));
        assert!(!load.is_over(at(40), NOTHING), "from below it is no lateness");
    }

    #[test]
    fn lateness_that_nobody_tells_of_any_more_is_over() {
        let mut load = Load::new(Limits::default());
        load.waited(at(0), millis(300));
        assert!(load.is_over(at(199), NOTHING));
        assert!(!load.is_over(at(200), NOTHING));
        load.waited(at(201), millis(20));
        assert!(!load.is_over(at(201), NOTHING));
    }

    #[test]
    fn a_refused_invite_is_known_again_as_long_as_its_copies_may_come() {
        let mut load = Load::new(Limits::default());
        assert!(!load.has_refused(at(0)));
        load.refused(at(0), 7);
        assert!(load.has_refused(at(31_999)) && load.was_refused(at(31_999), 7));
        assert!(!load.was_refused(at(1), 7 + REMEMBERED as u64), "another one at its place");
        assert!(!load.has_refused(at(32_000)) && !load.was_refused(at(32_000), 7));
    }

    #[test]
    fn a_full_memory_takes_nothing_more() {
        let load = Load::new(Limits { calls: 2, transactions: 10 });
        for (calls, transactions, over) in [(1, 9, false), (2, 0, true), (0, 10, true)] {
            assert_eq!(load.is_over(at(0), Held { calls, transactions }), over);
        }
    }
}
