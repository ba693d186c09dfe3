//! Whether a peer is alive, with hysteresis: a pure machine.

use crate::route::HealthSpec;

/// Where a peer stands.
///
/// ```text
///          missed, down_after times in a row
///    Up ------------------------------------> Down
///     ^                                        |
///     +----------------------------------------+
///          heard, up_after times in a row
/// ```
///
/// A peer that was never asked is up: calls find out sooner than questions do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is called.
    Up {
        /// Questions without an answer, in a row.
        missed: u32,
    },
    /// It is called when no other peer is up.
    Down {
        /// Answers in a row.
        heard: u32,
    },
}

/// The outcome of one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A final answer, of whatever kind but 408 and 503: somebody is there and serves.
    Heard,
    /// No answer, 408 or 503.
    Missed,
}

impl Default for State {
    fn default() -> Self {
        State::Up { missed: 0 }
    }
}

impl State {
    /// Whether it is called.
    pub(crate) fn is_up(self) -> bool {
        matches!(self, State::Up { .. })
    }
}

/// The one step.
pub(crate) fn step(state: State, input: Input, spec: HealthSpec) -> State {
    match (state, input) {
        (State::Up { .. }, Input::Heard) => State::Up { missed: 0 },
        (State::Up { missed }, Input::Missed) if missed + 1 < spec.down_after => {
            State::Up { missed: missed + 1 }
        }
        (State::Up { .. }, Input::Missed) | (State::Down { .. }, Input::Missed) => {
            State::Down { heard: 0 }
        }
        (State::Down { heard }, Input::Heard) if heard + 1 < spec.up_after => {
            State::Down { heard: heard + 1 }
        }
        (State::Down { .. }, Input::Heard) => State::Up { missed: 0 },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SPEC: HealthSpec =
        HealthSpec { interval: Duration::from_secs(30), down_after: 3, up_after: 2 };

    #[test]
    fn every_state_takes_every_input() {
        use Input::{Heard, Missed};
        let up = |missed| State::Up { missed };
        let down = |heard| State::Down { heard };
        for (state, input, next) in [
            (up(0), Heard, up(0)),
            (up(0), Missed, up(1)),
            (up(1), Missed, up(2)),
            (up(2), Heard, up(0)),
            (up(2), Missed, down(0)),
            (down(0), Missed, down(0)),
            (down(0), Heard, down(1)),
            (down(1), Missed, down(0)),
            (down(1), Heard, up(0)),
        ] {
            assert_eq!(step(state, input, SPEC), next, "{state:?} + {input:?}");
        }
    }

    #[test]
    fn a_peer_that_answers_every_other_question_neither_falls_nor_rises() {
        let mut state = State::default();
        for round in 0..20 {
            let input = if round % 2 == 0 { Input::Missed } else { Input::Heard };
            state = step(state, input, SPEC);
            assert!(state.is_up());
        }
        state = State::Down { heard: 0 };
        for round in 0..20 {
            let input = if round % 2 == 0 { Input::Heard } else { Input::Missed };
            state = step(state, input, SPEC);
            assert!(!state.is_up());
        }
    }
}
