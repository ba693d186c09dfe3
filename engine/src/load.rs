//! Whether the engine takes on more: what it holds, and how late it comes to what it is asked.
//!
//! A server that answers late is asked again: after T1 = 500 ms every caller resends (RFC 3261
//! 17.1.1.2), and the work doubles while its worth falls. So new calls are refused long before
//! that, by an answer that costs a tenth of a call, and whatever belongs to a running call is
//! served. The engine then works at its capacity on what it has taken on (in the spirit of RFC
//! 7339, without its signalling).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::Limits;
use crate::time::Timestamp;

/// A datagram that has lain for so long is late. Its call passes the engine six times, so set-up
/// takes a third of a second longer at most, and nobody has begun to resend.
const LATE: Duration = Duration::from_millis(50);
/// New calls are taken on again when datagrams lie for less than this: the queue is nearly empty
/// by then, and the engine never idle.
const ON_TIME: Duration = Duration::from_millis(10);
/// What was told is good for this long, should nobody say that the queue is empty again.
const TOLD_FOR: Duration = Duration::from_millis(200);

/// RFC 3261 17.1.1.2 timer B: so long a caller may repeat an INVITE. A copy of one that was
/// refused, waiting in the queue behind it, must not become a call: its caller has gone.
const COPIES_COME: Duration = Duration::from_secs(32);
/// Refused INVITEs remembered at least, if so many come within `COPIES_COME`; twice as many at
/// most. Copies lie seconds apart in a queue that is emptied, and no socket's queue is as long.
const REMEMBERED: usize = 32_768;

/// The engine's own idea of its load.
#[derive(Debug)]
pub(crate) struct Load {
    limits: Limits,
    refused: Refused,
    /// Behind since a datagram was late, and when that was last told.
    late: Option<Timestamp>,
}

/// The marks of INVITEs refused lately, each and every one: a copy of one that is forgotten rings
/// phones for a caller who has gone, and is recorded as answered.
#[derive(Debug, Default)]
struct Refused {
    /// Since `turned`, and of the time before.
    young: BTreeSet<u64>,
    old: BTreeSet<u64>,
    turned: Timestamp,
    /// When the last was refused.
    last: Option<Timestamp>,
}

impl Refused {
    fn keep(&mut self, now: Timestamp, mark: u64) {
        if now.since(self.turned) >= COPIES_COME || self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
            self.turned = now;
        }
        self.young.insert(mark);
        self.last = Some(now);
    }

    fn knows(&self, mark: u64) -> bool {
        self.young.contains(&mark) || self.old.contains(&mark)
    }

    /// Whether any was refused so lately that copies of it may come.
    fn is_recent(&self, now: Timestamp) -> bool {
        self.last.is_some_and(|last| now.since(last) < COPIES_COME)
    }
}

/// What is held now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) calls: usize,
    pub(crate) transactions: usize,
}

impl Load {
    pub(crate) fn new(limits: Limits) -> Load {
        Load { limits, refused: Refused::default(), late: None }
    }

    /// An INVITE was refused for lack of room.
    pub(crate) fn refused(&mut self, now: Timestamp, mark: u64) {
        self.refused.keep(now, mark);
    }

    /// Whether any INVITE was refused so lately that copies of it may come.
    pub(crate) fn has_refused(&self, now: Timestamp) -> bool {
        self.refused.is_recent(now)
    }

    /// Whether this very INVITE was refused.
    pub(crate) fn was_refused(&self, mark: u64) -> bool {
        self.refused.knows(mark)
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
    fn every_refused_invite_is_known_again_as_long_as_its_copies_may_come() {
        let mut load = Load::new(Limits::default());
        assert!(!load.has_refused(at(0)));
        let many = REMEMBERED as u64;
        (0..many).for_each(|mark| load.refused(at(mark), mark << 12));
        assert!((0..many).all(|mark| load.was_refused(mark << 12)), "also where marks are alike");
        assert!(!load.was_refused(1));
        let last = many - 1;
        assert!(load.has_refused(at(last + 31_999)) && !load.has_refused(at(last + 32_000)));
    }

    #[test]
    fn refused_invites_are_forgotten_when_their_copies_are_over_or_too_many_are_refused() {
        let mut load = Load::new(Limits::default());
        for (when, mark) in [(0, 1), (32_000, 2), (63_999, 3)] {
            load.refused(at(when), mark);
        }
        assert!(load.was_refused(1) && load.was_refused(2), "not a moment too early");
        load.refused(at(64_000), 4);
        assert!(!load.was_refused(1) && load.was_refused(2) && load.was_refused(3));
        let many = 10 + 2 * REMEMBERED as u64;
        (10..many).for_each(|mark| load.refused(at(64_001), mark));
        assert!(!load.was_refused(4), "memory is bounded");
        assert!(load.was_refused(many - REMEMBERED as u64));
    }

    #[test]
    fn a_full_memory_takes_nothing_more() {
        let load = Load::new(Limits { calls: 2, transactions: 10 });
        for (calls, transactions, over) in [(1, 9, false), (2, 0, true), (0, 10, true)] {
            assert_eq!(load.is_over(at(0), Held { calls, transactions }), over);
        }
    }
}
