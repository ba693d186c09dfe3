//! Hunting: who rings next. A pure list walker; dialling, timers and answers are the call's.

use std::sync::Arc;
use std::time::Duration;

use crate::journal::image;
use crate::route::{Branch, Step, Strategy};

/// A branch to dial, once `after` has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    /// Position in the current step.
    pub(crate) branch: usize,
    /// Its own delay.
    pub(crate) after: Duration,
}

/// What the end of a branch means for the hunt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Others of the step still ring or wait.
    Wait,
    /// Dial these.
    Launch(Vec<Launch>),
    /// Everybody was tried.
    Exhausted,
}

image!(struct Hunt { steps, step, open, launched } later { ends_on_decline });

/// The position of a call in its route.
#[derive(Debug)]
pub(crate) struct Hunt {
    steps: Arc<[Step]>,
    step: usize,
    /// Branches of the step that are not over, those waiting for their delay included.
    open: usize,
    /// Sequential: branches launched so far.
    launched: usize,
    /// Steps that a 6xx of one callee ends, and the hunt with them.
    ends_on_decline: Vec<u16>,
}

impl Hunt {
    /// A hunt that has not begun.
    pub(crate) fn new(steps: Arc<[Step]>) -> Hunt {
        let ends = (0..).zip(&*steps).filter(|(_, step)| step.ends_on_decline);
        let ends_on_decline = ends.map(|(at, _)| at).collect();
        Hunt { steps, step: 0, open: 0, launched: 0, ends_on_decline }
    }

    /// Begins with the first step.
    pub(crate) fn begin(&mut self) -> Next {
        self.enter(0)
    }

    /// The position of the current step: it tells a branch of this step from an earlier one.
    pub(crate) fn step(&self) -> usize {
        self.step
    }

    /// Whether a 6xx of a callee of the current step ends the hunt (RFC 3261 16.7 (5)).
    pub(crate) fn ends_on_decline(&self) -> bool {
        self.ends_on_decline.iter().any(|at| usize::from(*at) == self.step)
    }

    /// A branch of the current step.
    pub(crate) fn branch(&self, at: usize) -> Option<&Branch> {
        self.steps.get(self.step)?.branches.get(at)
    }

    /// A branch of step `step` has failed, was busy or rang out. Branches of steps that are
    /// over change nothing.
    pub(crate) fn branch_over(&mut self, step: usize) -> Next {
        if step != self.step || self.open == 0 {
            return Next::Wait;
        }
        self.open -= 1;
        if self.open > 0 {
            return Next::Wait;
        }
        let Some(current) = self.steps.get(self.step) else { return Next::Exhausted };
        match current.strategy {
            Strategy::Sequential if self.launched < current.branches.len() => {
                let launch = sequential(current, self.launched);
                self.launched += 1;
                self.open = 1;
                Next::Launch(vec![launch])
            }
            Strategy::Sequential | Strategy::Simultaneous => self.enter(self.step + 1),
        }
    }

    /// Starts the first step from `at` on that has somebody to ring.
    fn enter(&mut self, at: usize) -> Next {
        self.step = at;
        while let Some(step) = self.steps.get(self.step) {
            let launches: Vec<Launch> = match step.strategy {
                Strategy::Simultaneous => (step.branches.iter().enumerate())
                    .map(|(branch, spec)| Launch { branch, after: spec.delay })
                    .collect(),
                Strategy::Sequential if step.branches.is_empty() => Vec::new(),
                Strategy::Sequential => vec![sequential(step, 0)],
            };
            if !launches.is_empty() {
                self.open = launches.len();
                self.launched = launches.len();
                return Next::Launch(launches);
            }
            self.step += 1;
        }
        self.open = 0;
        Next::Exhausted
    }
}

fn sequential(step: &Step, branch: usize) -> Launch {
    Launch { branch, after: step.branches[branch].delay }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::parse_e164;
    use crate::route::Target;

    fn step(strategy: Strategy, delays: &[u64]) -> Step {
        let branch = |delay: &u64| Branch {
            target: Target::Number(parse_e164("09011112222").unwrap()),
            delay: Duration::from_secs(*delay),
            ring: Duration::from_secs(20),
        };
        let branches = delays.iter().map(branch).collect();
        Step { group: None, strategy, ends_on_decline: false, branches }
    }

    fn rung(next: &Next) -> Vec<(usize, u64)> {
        match next {
            Next::Launch(list) => list.iter().map(|l| (l.branch, l.after.as_secs())).collect(),
            other => panic!("nobody rings: {other:?}"),
        }
    }

    #[test]
    fn a_simultaneous_group_rings_everybody_after_their_delays() {
        let mut hunt = Hunt::new(Arc::from([step(Strategy::Simultaneous, &[0, 5, 10])]));
        assert_eq!(rung(&hunt.begin()), [(0, 0), (1, 5), (2, 10)]);
        assert_eq!(hunt.branch_over(0), Next::Wait);
        assert_eq!(hunt.branch_over(0), Next::Wait);
        assert_eq!(hunt.branch_over(0), Next::Exhausted);
    }

    #[test]
    fn a_sequential_group_rings_one_after_the_other() {
        let mut hunt = Hunt::new(Arc::from([step(Strategy::Sequential, &[0, 3])]));
        assert_eq!(rung(&hunt.begin()), [(0, 0)]);
        assert_eq!(rung(&hunt.branch_over(0)), [(1, 3)]);
        assert_eq!(hunt.branch_over(0), Next::Exhausted);
    }

    #[test]
    fn the_overflow_rings_when_the_group_has_failed() {
        let steps = [step(Strategy::Simultaneous, &[0, 0]), step(Strategy::Simultaneous, &[0])];
        let mut hunt = Hunt::new(Arc::from(steps));
        hunt.begin();
        assert_eq!(hunt.branch_over(0), Next::Wait);
        assert_eq!(rung(&hunt.branch_over(0)), [(0, 0)]);
        assert_eq!(hunt.branch_over(0), Next::Wait, "a late end of the first step");
        assert_eq!(hunt.branch_over(1), Next::Exhausted);
    }

    #[test]
    fn a_step_without_members_is_passed_over() {
        let steps = [step(Strategy::Sequential, &[]), step(Strategy::Simultaneous, &[0])];
        let mut hunt = Hunt::new(Arc::from(steps));
        assert_eq!(rung(&hunt.begin()), [(0, 0)]);
        assert_eq!(hunt.step(), 1);
        assert_eq!(Hunt::new(Arc::from([])).begin(), Next::Exhausted);
    }
}
