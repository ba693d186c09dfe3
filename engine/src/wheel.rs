//! A hierarchical timer wheel: arm and cancel in constant time, expiry in exact order.
//!
//! Time is cut into ticks of 1,024 µs. Level 0 has a slot for each of the 64 ticks of the current
//! block, level 1 one for each of the 64 blocks around it, and so on; nine levels hold every
//! `Timestamp` there is. A timer stands at the level of the highest base-64 digit in which its
//! tick differs from the wheel's own position, so that
//!
//! - whatever stands at a lower level is due before whatever stands at a higher one,
//! - within a level, lower slots are due before higher ones, and one bitmap names the lowest.
//!
//! Moving on to a slot of level 0 puts its timers, sorted by deadline and age, into `ready`;
//! moving on to a slot of a higher level deals its timers out to the levels below.

use std::cell::Cell;
use std::collections::VecDeque;

use crate::time::Timestamp;

/// A tick is 2^10 µs: fine enough that a slot seldom holds more than a few timers, coarse
/// enough that level 1 already spans the four seconds in which most SIP timers live.
const TICK_BITS: u32 = 10;
/// 64 slots a level, so that a level's occupancy is one word.
const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
/// 64 bits of microseconds less the tick's 10, in digits of 6.
const LEVELS: usize = ((64 - TICK_BITS) / DIGIT_BITS) as usize;
/// How many timers of one slot [`Wheel::next`] looks through for the exact deadline. A fuller
/// slot answers with its beginning: one wake-up too many, paid by all the timers in it.
const EXACT_SCAN: usize = 32;

const NONE: u32 = u32::MAX;
/// `Timer::slot` of a timer in `ready`.
const READY: u16 = u16::MAX;
/// `Timer::slot` of an entry in the free list.
const FREE: u16 = u16::MAX - 1;

/// The name of one armed timer; once it is cancelled or popped it names nothing, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId {
    age: u64,
    index: u32,
}

/// Timers with a key each, popped in order of deadline, then of arming.
#[derive(Debug)]
pub struct Wheel<K> {
    timers: Vec<Timer<K>>,
    free: u32,
    len: usize,
    /// How many timers were ever armed: the age of the next.
    armed: u64,
    /// The tick the wheel stands at; every timer in a slot is due at a later tick.
    position: u64,
    occupied: [u64; LEVELS],
    heads: [u32; SLOTS * LEVELS],
    /// Timers of ticks up to `position`, sorted; the front is always alive.
    ready: VecDeque<Ready>,
    next: Cell<Next>,
}

#[derive(Clone, Copy, Debug)]
struct Timer<K> {
    at: Timestamp,
    age: u64,
    key: K,
    previous: u32,
    /// In its slot, or in the free list.
    next: u32,
    /// Level and digit, [`READY`] or [`FREE`].
    slot: u16,
}

/// Ordered by deadline, then age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ready {
    at: Timestamp,
    age: u64,
    index: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Known(Option<Timestamp>),
    Unknown,
}

impl<K: Copy> Wheel<K> {
    /// An empty wheel; allocates nothing.
    pub const fn new() -> Self {
        Wheel {
            timers: Vec::new(),
            free: NONE,
            len: 0,
            armed: 0,
            position: 0,
            occupied: [0; LEVELS],
            heads: [NONE; SLOTS * LEVELS],
            ready: VecDeque::new(),
            next: Cell::new(Next::Known(None)),
        }
    }

    /// How many timers are armed.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is armed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Arms a timer. One that lies in the past is due at once.
    pub fn arm(&mut self, at: Timestamp, key: K) -> TimerId {
        let age = self.armed;
        self.armed += 1;
        self.len += 1;
        let index = self.free;
        let index = match self.timers.get(index as usize) {
            Some(entry) => {
                self.free = entry.next;
                index
            }
            None => self.grow(key),
        };
        let (slot, next) = if tick(at) > self.position {
            self.push(index, tick(at))
        } else {
            self.insert_ready(Ready { at, age, index });
            (READY, NONE)
        };
        self.timers[index as usize] = Timer { at, age, key, previous: NONE, next, slot };
        match self.next.get() {
            Next::Known(Some(next)) if next <= at => {}
            Next::Known(_) => self.next.set(Next::Known(Some(at))),
            Next::Unknown => {}
        }
        TimerId { age, index }
    }

    #[cold]
    fn grow(&mut self, key: K) -> u32 {
        let blank =
            Timer { at: Timestamp::ZERO, age: 0, key, previous: NONE, next: NONE, slot: FREE };
        self.timers.push(blank);
        u32::try_from(self.timers.len() - 1).expect("invariant: fewer than 2^32 timers")
    }

    #[cold]
    fn insert_ready(&mut self, entry: Ready) {
        let place = self.ready.partition_point(|other| *other < entry);
        self.ready.insert(place, entry);
    }

    /// When a timer is due and what it is for; `None` if it was popped or cancelled.
    pub fn get(&self, id: TimerId) -> Option<(Timestamp, K)> {
        let timer = self.timers.get(id.index as usize)?;
        (timer.age == id.age && timer.slot != FREE).then_some((timer.at, timer.key))
    }

    /// Stops a timer and gives its key back; `None` if it was popped or cancelled before.
    pub fn cancel(&mut self, id: TimerId) -> Option<K> {
        let timer = self.timers.get_mut(id.index as usize)?;
        let Timer { at, age, key, previous, next, slot } = *timer;
        if age != id.age || slot == FREE {
            return None;
        }
        timer.slot = FREE;
        timer.next = self.free;
        self.free = id.index;
        self.len -= 1;
        if slot == READY {
            self.trim();
        } else {
            self.unlink(slot, previous, next);
        }
        if self.next.get() == Next::Known(Some(at)) {
            self.next.set(Next::Unknown);
        }
        Some(key)
    }

    /// When to call [`Wheel::pop`] next: never later than the first deadline, and exactly then
    /// unless the timers around it crowd one slot far ahead of now. After a `pop(now)` that
    /// returned nothing it is later than `now`.
    pub fn next(&self) -> Option<Timestamp> {
        match self.next.get() {
            Next::Known(next) => next,
            Next::Unknown => {
                let next = self.earliest();
                self.next.set(Next::Known(next));
                next
            }
        }
    }

    fn earliest(&self) -> Option<Timestamp> {
        if let Some(front) = self.ready.front() {
            return Some(front.at);
        }
        let (level, digit) = self.first_slot()?;
        let mut earliest: Option<Timestamp> = None;
        let mut index = self.heads[level * SLOTS + digit];
        for _ in 0..EXACT_SCAN {
            let Some(timer) = self.timers.get(index as usize) else { return earliest };
            earliest = Some(earliest.map_or(timer.at, |at| at.min(timer.at)));
            index = timer.next;
        }
        if index == NONE {
            return earliest;
        }
        Some(Timestamp::from_micros(self.start_of(level, digit) << TICK_BITS))
    }

    /// The first timer whose deadline is not after `now`, or `None`. Call until `None`.
    pub fn pop(&mut self, now: Timestamp) -> Option<(TimerId, K)> {
        loop {
            if let Some(front) = self.ready.front().copied() {
                if front.at > now {
                    return None;
                }
                let key = self.timers[front.index as usize].key;
                self.release(front.index);
                self.trim();
                self.next.set(Next::Unknown);
                return Some((TimerId { age: front.age, index: front.index }, key));
            }
            let Some((level, digit)) = self.first_slot() else {
                self.position = self.position.max(tick(now));
                return None;
            };
            let start = self.start_of(level, digit);
            if start > tick(now) {
                // Still before every occupied slot, so every timer keeps its level.
                self.position = self.position.max(tick(now));
                return None;
            }
            self.enter(level, digit, start);
            self.next.set(Next::Unknown);
        }
    }

    /// The slot whose timers are due first. Every occupied slot lies ahead of the position.
    fn first_slot(&self) -> Option<(usize, usize)> {
        let level = self.occupied.iter().position(|bits| *bits != 0)?;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }

    /// The first tick of a slot of the position's own block at that level.
    fn start_of(&self, level: usize, digit: usize) -> u64 {
        let shift = DIGIT_BITS * level as u32;
        let block = self.position >> shift >> DIGIT_BITS << DIGIT_BITS;
        (block | digit as u64) << shift
    }

    /// Moves on to `start`, the beginning of this slot, and empties the slot.
    fn enter(&mut self, level: usize, digit: usize, start: u64) {
        self.position = start;
        self.occupied[level] &= !(1 << digit);
        let mut index = std::mem::replace(&mut self.heads[level * SLOTS + digit], NONE);
        while let Some(timer) = self.timers.get_mut(index as usize) {
            let Timer { at, age, next, .. } = *timer;
            if tick(at) == start {
                timer.slot = READY;
                self.ready.push_back(Ready { at, age, index });
            } else {
                let (slot, second) = self.push(index, tick(at));
                let timer = &mut self.timers[index as usize];
                (timer.previous, timer.next, timer.slot) = (NONE, second, slot);
            }
            index = next;
        }
        // `ready` was empty before: a slot is entered only then.
        self.ready.make_contiguous().sort_unstable();
    }

    /// Makes a timer of a tick after the position the head of its slot; returns the slot and
    /// the timer that now comes second there.
    #[inline]
    fn push(&mut self, index: u32, tick: u64) -> (u16, u32) {
        let level = (63 - (tick ^ self.position).leading_zeros()) / DIGIT_BITS;
        let digit = (tick >> (level * DIGIT_BITS)) as usize % SLOTS;
        let slot = level as usize * SLOTS + digit;
        self.occupied[level as usize] |= 1 << digit;
        let second = std::mem::replace(&mut self.heads[slot], index);
        if let Some(second) = self.timers.get_mut(second as usize) {
            second.previous = index;
        }
        (slot as u16, second)
    }

    /// Closes the gap that a timer leaves in its slot.
    #[inline]
    fn unlink(&mut self, slot: u16, previous: u32, next: u32) {
        if let Some(next) = self.timers.get_mut(next as usize) {
            next.previous = previous;
        }
        if let Some(previous) = self.timers.get_mut(previous as usize) {
            previous.next = next;
            return;
        }
        let slot = usize::from(slot);
        self.heads[slot] = next;
        if next == NONE {
            self.occupied[slot / SLOTS] &= !(1 << (slot % SLOTS));
        }
    }

    /// Hands an entry to the free list; it stands in no slot any more.
    fn release(&mut self, index: u32) {
        let timer = &mut self.timers[index as usize];
        timer.slot = FREE;
        timer.next = self.free;
        self.free = index;
        self.len -= 1;
    }

    /// Drops cancelled and popped entries from the front of `ready`.
    fn trim(&mut self) {
        while let Some(front) = self.ready.front() {
            let timer = &self.timers[front.index as usize];
            if timer.age == front.age && timer.slot == READY {
                return;
            }
            self.ready.pop_front();
        }
    }
}

impl<K: Copy> Default for Wheel<K> {
    fn default() -> Self {
        Self::new()
    }
}

const fn tick(at: Timestamp) -> u64 {
    at.as_micros() >> TICK_BITS
}

#[cfg(test)]
mod tests;
