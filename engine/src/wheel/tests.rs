use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// Everything that is due at `now`, in order.
fn due<K: Copy>(wheel: &mut Wheel<K>, now: Timestamp) -> Vec<K> {
    std::iter::from_fn(|| wheel.pop(now)).map(|(_, key)| key).collect()
}

#[test]
fn timers_fire_in_order_of_deadline_then_of_arming() {
    let mut wheel = Wheel::new();
    let base = at(5_000_000);
    wheel.arm(base + MINUTE, "minute");
    wheel.arm(base, "first");
    wheel.arm(base + Duration::from_micros(3), "three microseconds later");
    wheel.arm(base, "second");
    wheel.arm(base + 300 * MINUTE, "hours");
    assert_eq!(due(&mut wheel, at(4_999_999)), Vec::<&str>::new());
    assert_eq!(due(&mut wheel, base), ["first", "second"]);
    assert_eq!(wheel.next(), Some(at(5_000_003)));
    assert_eq!(due(&mut wheel, base + MINUTE), ["three microseconds later", "minute"]);
    assert_eq!(wheel.next(), Some(base + 300 * MINUTE));
    assert_eq!(due(&mut wheel, base + 301 * MINUTE), ["hours"]);
    assert_eq!((wheel.next(), wheel.len()), (None, 0));
}

#[test]
fn a_timer_in_the_past_is_due_at_once_and_in_its_order() {
    let mut wheel = Wheel::new();
    wheel.arm(at(10_000_000), "late");
    assert_eq!(wheel.pop(at(9_000_000)), None);
    wheel.arm(at(9_000_000), "now");
    wheel.arm(at(1), "long ago");
    assert_eq!(wheel.next(), Some(at(1)));
    assert_eq!(due(&mut wheel, at(9_000_000)), ["long ago", "now"]);
    assert_eq!(wheel.next(), Some(at(10_000_000)));
}

#[test]
fn a_cancelled_timer_never_fires_and_its_name_is_never_reused() {
    let mut wheel = Wheel::new();
    let old = wheel.arm(at(1_000), 1);
    assert_eq!(wheel.cancel(old), Some(1));
    let new = wheel.arm(at(2_000), 2);
    assert_eq!((old.index, wheel.cancel(old)), (new.index, None));
    assert_eq!(wheel.next(), Some(at(2_000)));
    assert_eq!(wheel.pop(at(2_000)), Some((new, 2)));
    assert_eq!(wheel.cancel(new), None);
    assert!(wheel.is_empty());
}

#[test]
fn the_end_of_time_is_a_deadline_like_any_other() {
    let mut wheel = Wheel::new();
    wheel.arm(at(u64::MAX), ());
    assert_eq!(wheel.pop(at(u64::MAX - 1)), None);
    assert_eq!(wheel.next(), Some(at(u64::MAX)));
    assert!(wheel.pop(at(u64::MAX)).is_some());
}

#[test]
fn a_crowded_slot_far_ahead_wakes_early_but_only_once_a_level() {
    let mut wheel = Wheel::new();
    for n in 0..1_000 {
        wheel.arm(at(3_600_000_000 + n * 7), n);
    }
    let first = wheel.arm(at(3_599_999_999), 5_000);
    wheel.cancel(first);
    let mut wakes = 0;
    while let Some(next) = wheel.next() {
        wakes += 1;
        if wheel.pop(next).is_some() {
            assert_eq!(next, at(3_600_000_000));
            break;
        }
    }
    assert!(wakes <= 1 + LEVELS, "{wakes} wake-ups");
}

#[derive(Clone, Debug)]
enum Op {
    Arm { delay: u64 },
    Cancel { which: usize },
    Advance { by: u64 },
    AdvanceToNext,
}

/// Delays of every magnitude, so that every level takes part.
fn delay() -> impl Strategy<Value = u64> {
    (0u32..36, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => delay().prop_map(|delay| Op::Arm { delay }),
        2 => any::<usize>().prop_map(|which| Op::Cancel { which }),
        1 => delay().prop_map(|by| Op::Advance { by }),
        2 => Just(Op::AdvanceToNext),
    ]
}

/// The wheel beside a sorted map that cannot be wrong.
#[derive(Default)]
struct Pair {
    wheel: Wheel<u64>,
    model: BTreeMap<(Timestamp, u64), TimerId>,
    now: Timestamp,
    armed: u64,
}

impl Pair {
    fn run(&mut self, op: Op) {
        match op {
            Op::Arm { delay } => {
                let deadline = self.now + Duration::from_micros(delay);
                let id = self.wheel.arm(deadline, self.armed);
                self.model.insert((deadline, self.armed), id);
                self.armed += 1;
            }
            Op::Cancel { which } => {
                let which = which % self.model.len().max(1);
                if let Some((&slot, &id)) = self.model.iter().nth(which) {
                    self.model.remove(&slot);
                    assert_eq!(self.wheel.cancel(id), Some(slot.1));
                }
            }
            Op::Advance { by } => self.advance(self.now + Duration::from_micros(by)),
            Op::AdvanceToNext => self.advance(self.wheel.next().unwrap_or(self.now)),
        }
        let first = self.model.keys().next().map(|(deadline, _)| *deadline);
        let next = self.wheel.next();
        assert_eq!(next.is_some(), first.is_some());
        assert!(next <= first, "late: {next:?} after {first:?}");
        if self.model.len() <= EXACT_SCAN {
            assert_eq!(next, first);
        }
        assert_eq!(self.wheel.len(), self.model.len());
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while let Some((id, key)) = self.wheel.pop(self.now) {
            let ((deadline, age), expected) = self.model.pop_first().expect("the model has it");
            assert!(deadline <= self.now);
            assert_eq!((id, key), (expected, age));
        }
        assert!(self.model.keys().next().is_none_or(|(deadline, _)| *deadline > self.now));
        assert!(self.wheel.next().is_none_or(|next| next > self.now));
    }
}

proptest! {
    #[test]
    fn the_wheel_does_what_a_sorted_map_does(ops in prop::collection::vec(op(), 0..400)) {
        let mut pair = Pair::default();
        for op in ops {
            pair.run(op);
        }
        pair.advance(Timestamp::from_micros(u64::MAX));
        assert!(pair.wheel.is_empty());
    }
}
