//! The pool of port pairs that sessions are given.
//!
//! The relay keeps a port bound once it has been used, so a pair that has served before costs
//! nothing to open again. It must first have been quiet for [`QUIET`]: the last packets of the
//! previous call may still be on their way. Which pairs are drawn first is shuffled by the seed,
//! so that a port cannot be guessed from the one before.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::time::Timestamp;

/// How long a pair rests after a call before it serves the next one: longer than the packets and
/// the late BYE of the old call are under way.
pub const QUIET: Duration = Duration::from_secs(5);

/// How long a pair that could not be bound is not offered: another process holds it, and asking
/// again for every call would cost a failed call each time.
pub const RETIRED: Duration = Duration::from_secs(60);

/// An even RTP port; its RTCP port is the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortPair(pub u16);

impl PortPair {
    /// The RTP port.
    pub const fn rtp(self) -> u16 {
        self.0
    }

    /// The RTCP port.
    pub const fn rtcp(self) -> u16 {
        self.0 + 1
    }
}

/// The free pairs of the configured range. Every pair of the range is in exactly one place:
/// never used, resting, retired, or out with a session.
#[derive(Debug)]
pub struct PortPool {
    /// The first even port of the range.
    first: u16,
    /// Where each pair is; the queues below may hold stale entries, this does not.
    places: Vec<Place>,
    /// Never used, in shuffled order.
    fresh: Vec<PortPair>,
    /// Used before, longest free in front.
    resting: VecDeque<(PortPair, Timestamp)>,
    /// Could not be bound, oldest in front.
    retired: VecDeque<(PortPair, Timestamp)>,
    in_use: usize,
    reused_early: u64,
}

/// Where a pair is. A queue entry counts only while it agrees with this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Fresh,
    Resting(Timestamp),
    Retired(Timestamp),
    InUse,
}

impl PortPool {
    /// The whole pairs inside `ports`: an odd first port and an even last one stay unused. The
    /// same seed draws the same order.
    pub fn new(ports: RangeInclusive<u16>, seed: u64) -> Self {
        let first = ports.start().saturating_add(ports.start() % 2);
        let last = *ports.end();
        let mut fresh: Vec<_> =
            (first..last).step_by(2).filter(|port| port % 2 == 0).map(PortPair).collect();
        shuffle(&mut fresh, seed);
        PortPool {
            first,
            places: vec![Place::Fresh; fresh.len()],
            fresh,
            resting: VecDeque::new(),
            retired: VecDeque::new(),
            in_use: 0,
            reused_early: 0,
        }
    }

    /// A pair for a new session: one that has rested, else one never used, else the one that has
    /// been free longest (counted by [`Self::reused_early`]). `None` when every pair is out.
    pub fn take(&mut self, now: Timestamp) -> Option<PortPair> {
        self.bring_back_retired(now);
        self.drop_stale_front();
        let rested = self.resting.front().is_some_and(|(_, since)| now.since(*since) >= QUIET);
        let pair = if rested { self.pop_resting() } else { self.pop_fresh() };
        let pair = pair.or_else(|| {
            let early = self.pop_resting()?;
            self.reused_early += 1;
            Some(early)
        })?;
        self.mark_in_use(pair);
        Some(pair)
    }

    /// The session is over; the pair rests from `now`. A pair that is not out is left alone.
    pub fn give_back(&mut self, pair: PortPair, now: Timestamp) {
        if self.release(pair, Place::Resting(now)) {
            self.resting.push_back((pair, now));
        }
    }

    /// The pair could not be bound; it is not offered for [`RETIRED`]. A pair that is not out is
    /// left alone.
    pub fn retire(&mut self, pair: PortPair, now: Timestamp) {
        if self.release(pair, Place::Retired(now)) {
            self.retired.push_back((pair, now));
        }
    }

    /// Takes this very pair, for a session that is recovered after a restart. False if it is out
    /// already or not of this range.
    pub fn reserve(&mut self, pair: PortPair) -> bool {
        match self.place(pair) {
            Some(Place::Fresh | Place::Resting(_) | Place::Retired(_)) => {
                self.mark_in_use(pair);
                true
            }
            Some(Place::InUse) | None => false,
        }
    }

    /// How many pairs are out.
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// How many pairs the range has.
    pub fn capacity(&self) -> usize {
        self.places.len()
    }

    /// How often a pair had to serve again before it had been quiet for [`QUIET`]: the range is
    /// too small for the load.
    pub fn reused_early(&self) -> u64 {
        self.reused_early
    }

    fn pop_fresh(&mut self) -> Option<PortPair> {
        while let Some(pair) = self.fresh.pop() {
            if self.place(pair) == Some(Place::Fresh) {
                return Some(pair);
            }
        }
        None
    }

    fn pop_resting(&mut self) -> Option<PortPair> {
        self.drop_stale_front();
        self.resting.pop_front().map(|(pair, _)| pair)
    }

    /// Entries of pairs that were reserved meanwhile.
    fn drop_stale_front(&mut self) {
        while let Some(&(pair, since)) = self.resting.front() {
            if self.place(pair) == Some(Place::Resting(since)) {
                return;
            }
            self.resting.pop_front();
        }
    }

    fn bring_back_retired(&mut self, now: Timestamp) {
        while let Some(&(pair, since)) = self.retired.front() {
            if now.since(since) < RETIRED {
                return;
            }
            self.retired.pop_front();
            if self.place(pair) == Some(Place::Retired(since)) {
                self.set_place(pair, Place::Resting(now));
                self.resting.push_back((pair, now));
            }
        }
    }

    fn release(&mut self, pair: PortPair, to: Place) -> bool {
        let out = self.place(pair) == Some(Place::InUse);
        if out {
            self.set_place(pair, to);
            self.in_use -= 1;
        }
        out
    }

    fn mark_in_use(&mut self, pair: PortPair) {
        self.set_place(pair, Place::InUse);
        self.in_use += 1;
    }

    fn place(&self, pair: PortPair) -> Option<Place> {
        self.places.get(self.index(pair)?).copied()
    }

    fn set_place(&mut self, pair: PortPair, place: Place) {
        if let Some(slot) = self.index(pair).and_then(|index| self.places.get_mut(index)) {
            *slot = place;
        }
    }

    fn index(&self, pair: PortPair) -> Option<usize> {
        let offset = pair.rtp().checked_sub(self.first)?;
        (offset % 2 == 0).then_some(usize::from(offset / 2))
    }
}

/// Fisher-Yates over SplitMix64.
fn shuffle(pairs: &mut [PortPair], seed: u64) {
    let mut state = seed;
    for last in (1..pairs.len()).rev() {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        // The modulo's bias is below 2^-48 for a range of at most 2^15 pairs.
        let bound = last as u64 + 1;
        pairs.swap(last, usize::try_from(mixed % bound).unwrap_or(last));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn only_whole_pairs_of_the_range_are_given() {
        let mut pool = PortPool::new(20001..=20006, 7);
        let mut given = BTreeSet::new();
        while let Some(pair) = pool.take(at(0)) {
            given.insert(pair);
        }
        assert_eq!(given, BTreeSet::from([PortPair(20002), PortPair(20004)]));
        assert_eq!(pool.in_use(), pool.capacity());
        assert_eq!(PortPool::new(65534..=65535, 7).take(at(0)), Some(PortPair(65534)));
        assert_eq!(PortPool::new(65535..=65535, 7).capacity(), 0);
    }

    #[test]
    fn a_pair_that_has_rested_is_preferred_to_a_new_one() {
        let mut pool = PortPool::new(20000..=20099, 7);
        let first = pool.take(at(0)).unwrap();
        pool.give_back(first, at(10));
        assert_ne!(pool.take(at(14)), Some(first), "still warm: a fresh pair is given");
        assert_eq!(pool.take(at(15)), Some(first), "quiet for five seconds");
        assert_eq!(pool.reused_early(), 0);
    }

    #[test]
    fn when_nothing_else_is_free_the_longest_free_pair_serves_early() {
        let mut pool = PortPool::new(20000..=20003, 7);
        let (a, b) = (pool.take(at(0)).unwrap(), pool.take(at(0)).unwrap());
        assert_eq!(pool.take(at(0)), None);
        pool.give_back(b, at(1));
        pool.give_back(a, at(2));
        assert_eq!(pool.take(at(3)), Some(b));
        assert_eq!(pool.reused_early(), 1);
    }

    #[test]
    fn a_pair_that_could_not_be_bound_is_left_alone_for_a_minute() {
        let mut pool = PortPool::new(20000..=20001, 7);
        let pair = pool.take(at(0)).unwrap();
        pool.retire(pair, at(0));
        assert_eq!(pool.take(at(59)), None);
        assert_eq!(pool.take(at(60)), Some(pair));
    }

    #[test]
    fn a_recovered_session_keeps_its_pair_for_itself() {
        let mut pool = PortPool::new(20000..=20003, 7);
        assert!(pool.reserve(PortPair(20002)));
        assert!(!pool.reserve(PortPair(20002)), "out already");
        assert!(!pool.reserve(PortPair(20001)), "odd");
        assert!(!pool.reserve(PortPair(30000)), "not of this range");
        assert_eq!(pool.take(at(0)), Some(PortPair(20000)));
        assert_eq!(pool.take(at(0)), None);
    }

    #[test]
    fn the_order_depends_on_the_seed_alone() {
        let order = |seed| {
            let mut pool = PortPool::new(20000..=20199, seed);
            std::iter::from_fn(|| pool.take(at(0))).collect::<Vec<_>>()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut sorted = order(1);
        sorted.sort();
        assert_ne!(order(1), sorted);
    }

    proptest! {
        /// Whatever is done in whatever order, also wrongly, no pair is given twice at a time,
        /// none is lost, and the count of those out is right.
        #[test]
        fn pairs_are_conserved(ops in prop::collection::vec((0u8..6, 0u16..14, 0u64..8), 0..300)) {
            let mut pool = PortPool::new(20000..=20019, 3);
            let mut out = BTreeSet::new();
            let mut unbound = BTreeSet::new();
            let mut now = 0;
            for (op, port, seconds) in ops {
                now += seconds;
                let pair = PortPair(20000 + port * 2);
                match op {
                    0 | 1 => if let Some(taken) = pool.take(at(now)) {
                        prop_assert!(out.insert(taken), "{taken:?} was out already");
                    } else {
                        prop_assert!(out.union(&unbound).count() == pool.capacity());
                    },
                    2 | 3 => { pool.give_back(pair, at(now)); out.remove(&pair); }
                    4 => {
                        pool.retire(pair, at(now));
                        if out.remove(&pair) { unbound.insert(pair); }
                    }
                    _ => {
                        let free = !out.contains(&pair) && port < 10;
                        prop_assert_eq!(pool.reserve(pair), free);
                        if free { out.insert(pair); }
                    }
                }
                prop_assert_eq!(pool.in_use(), out.len());
            }
            for pair in std::mem::take(&mut out) {
                pool.give_back(pair, at(now));
            }
            let all: BTreeSet<_> = std::iter::from_fn(|| pool.take(at(now + 60))).collect();
            prop_assert_eq!(all.len(), pool.capacity());
        }
    }
}
