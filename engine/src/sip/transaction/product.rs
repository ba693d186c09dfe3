//! The checks that all four machines share: the whole product of states and inputs as a table,
//! and the balance of timers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write};
use std::time::Duration;

use super::timers::Timer;
use super::{Effect, Failure, Step};

/// One machine; `next_state` and `next_input` walk through all variants, by matches that stop
/// compiling when a variant is added.
pub(super) struct Machine<S, I> {
    /// How a client begins; a server begins in `first_state`, with nothing to do.
    pub(super) start: Option<fn(bool) -> Step<S>>,
    pub(super) step: fn(S, I, bool) -> Step<S>,
    pub(super) first_state: S,
    pub(super) next_state: fn(S) -> Option<S>,
    pub(super) first_input: I,
    pub(super) next_input: fn(I) -> Option<I>,
    pub(super) fired: fn(Timer) -> Option<I>,
    pub(super) terminated: S,
}

const TIMERS: [Timer; 12] = [
    Timer::A,
    Timer::B,
    Timer::D,
    Timer::E,
    Timer::F,
    Timer::G,
    Timer::H,
    Timer::I,
    Timer::J,
    Timer::K,
    Timer::L,
    Timer::M,
];

impl<S: Copy + Debug + PartialEq, I: Copy + Debug + PartialEq> Machine<S, I> {
    fn states(&self) -> impl Iterator<Item = S> {
        std::iter::successors(Some(self.first_state), |state| (self.next_state)(*state))
    }

    fn inputs(&self) -> impl Iterator<Item = I> {
        std::iter::successors(Some(self.first_input), |input| (self.next_input)(*input))
    }

    /// Every (state, input, reliability) with what follows, a line each.
    pub(super) fn table(&self) -> String {
        let mut table = String::new();
        for (reliable, transport) in [(false, "UDP"), (true, "TCP")] {
            if let Some(start) = self.start {
                write_line(&mut table, &format!("{transport}: start"), start(reliable));
            }
            for state in self.states() {
                for input in self.inputs() {
                    let step = (self.step)(state, input, reliable);
                    let quiet = step.state == state && step.effects.iter().next().is_none();
                    let case = format!("{transport}: {} + {input:?}", word(&state));
                    if quiet {
                        let _ = writeln!(table, "{case} -> absorbed");
                    } else {
                        write_line(&mut table, &case, step);
                    }
                }
            }
        }
        table
    }

    /// Follows every path from the start and demands: one set of running timers per state, no
    /// timer armed while it runs, nothing after Destroy, and Destroy exactly on the way into
    /// Terminated.
    pub(super) fn check_timers(&self) {
        for reliable in [false, true] {
            let mut running: BTreeMap<String, BTreeSet<Timer>> = BTreeMap::new();
            let mut open = vec![match self.start {
                Some(start) => {
                    let first = start(reliable);
                    (first.state, self.apply(BTreeSet::new(), &first))
                }
                None => (self.first_state, BTreeSet::new()),
            }];
            while let Some((state, timers)) = open.pop() {
                let name = variant(&state);
                if let Some(before) = running.get(&name) {
                    assert_eq!(before, &timers, "timers of {name}, reliable: {reliable}");
                    continue;
                }
                running.insert(name, timers.clone());
                for input in self.inputs() {
                    let mut left = timers.clone();
                    let expiry = TIMERS.into_iter().find(|t| (self.fired)(*t) == Some(input));
                    if let Some(timer) = expiry
                        && !left.remove(&timer)
                    {
                        let step = (self.step)(state, input, reliable);
                        assert_eq!(step.effects.iter().count(), 0, "{timer:?} in {state:?}");
                        assert_eq!(step.state, state);
                        continue;
                    }
                    let step = (self.step)(state, input, reliable);
                    let enters = step.state == self.terminated && state != self.terminated;
                    let destroys = step.effects.iter().any(|effect| effect == Effect::Destroy);
                    assert_eq!(enters, destroys, "{state:?} + {input:?}");
                    open.push((step.state, self.apply(left, &step)));
                }
            }
        }
    }

    fn apply(&self, mut running: BTreeSet<Timer>, step: &Step<S>) -> BTreeSet<Timer> {
        let mut destroyed = false;
        for effect in step.effects.iter() {
            assert!(!destroyed, "{effect:?} after Destroy");
            match effect {
                Effect::Arm(timer, _) => {
                    assert!((self.fired)(timer).is_some(), "{timer:?} is no timer of ours");
                    assert!(running.insert(timer), "{timer:?} runs already");
                }
                Effect::Disarm(timer) => {
                    running.remove(&timer);
                }
                Effect::Destroy => {
                    destroyed = true;
                    running.clear();
                }
                Effect::Send | Effect::SendAck | Effect::Deliver => {}
                Effect::Report(_) => {}
            }
        }
        running
    }

    /// Lets only timers act after `step`: the milliseconds at which something was sent, the
    /// one at which it ended, and the failure reported.
    pub(super) fn left_alone(
        &self,
        mut step: Step<S>,
        reliable: bool,
    ) -> (Vec<u64>, (u128, Option<Failure>)) {
        let mut now = Duration::ZERO;
        let mut due: BTreeMap<(Duration, Timer), ()> = BTreeMap::new();
        let (mut sent, mut failure) = (Vec::new(), None);
        loop {
            for effect in step.effects.iter() {
                match effect {
                    Effect::Send => sent.push(now.as_millis() as u64),
                    Effect::Arm(timer, after) => {
                        due.insert((now + after, timer), ());
                    }
                    Effect::Disarm(timer) => due.retain(|(_, other), ()| *other != timer),
                    Effect::Report(why) => failure = Some(why),
                    Effect::Destroy => return (sent, (now.as_millis(), failure)),
                    Effect::SendAck | Effect::Deliver => {}
                }
            }
            let ((at, timer), ()) = due.pop_first().expect("a transaction that waits for ever");
            now = at;
            let input = (self.fired)(timer).expect("a timer of another machine");
            step = (self.step)(step.state, input, reliable);
        }
    }
}

fn write_line<S: Debug>(table: &mut String, case: &str, step: Step<S>) {
    let effects: Vec<String> = step.effects.iter().map(|effect| format!("{effect:?}")).collect();
    let _ = writeln!(table, "{case} -> {}: {}", word(&step.state), effects.join(", "));
}

/// A state on one line.
fn word(state: &impl Debug) -> String {
    format!("{state:?}")
}

/// A state without its data.
fn variant(state: &impl Debug) -> String {
    word(state).split(' ').next().unwrap_or_default().to_owned()
}
