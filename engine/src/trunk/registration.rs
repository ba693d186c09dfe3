//! Our registration at a trunk (RFC 3261 10.2): a pure machine.

use std::time::Duration;

/// Where a registration stands.
///
/// ```text
///                due: send          accepted: refresh, up
///   Trying <-----------+   Trying -------------------------> Bound --+ due: send
///     |  failed: retry |                                      |  ^---+ accepted: refresh
///     +----------------+ <----------- expired: down ----------+      | failed: retry
///                                                             |
///   Trying --stop--> Gone          Bound --stop: remove--> Leaving --any answer: down--> Gone
/// ```
///
/// A challenge is answered before the machine hears of it; a failed refresh leaves the
/// registration standing until it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The registrar does not know us.
    Trying {
        /// Attempts that failed in a row.
        failures: u32,
    },
    /// It knows where we are.
    Bound {
        /// Refreshes that failed in a row.
        failures: u32,
    },
    /// The removal waits for its answer.
    Leaving,
    /// Over.
    Gone,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The time to send has come.
    Due,
    /// 2xx.
    Accepted,
    /// 423, and a longer time was asked for than the one refused (RFC 3261 10.2.8).
    TooBrief,
    /// Any other final answer, or none.
    Failed,
    /// The registration has expired.
    Expired,
    /// We leave, or the trunk's settings have changed.
    Stop,
}

/// What is to be done, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Send REGISTER.
    Register,
    /// Send REGISTER with Expires 0.
    Remove,
    /// Wait for most of the time that was granted, and watch its end.
    Refresh,
    /// Wait longer after every failure.
    Retry,
    /// The trunk is registered.
    Up,
    /// It is not.
    Down,
}

/// The one step.
pub(crate) fn step(state: State, input: Input) -> (State, &'static [Effect]) {
    use Effect::{Down, Refresh, Register, Remove, Retry, Up};
    match (state, input) {
        (State::Trying { .. } | State::Bound { .. }, Input::Due | Input::TooBrief) => {
            (state, &[Register])
        }
        (State::Trying { .. }, Input::Accepted) => (State::Bound { failures: 0 }, &[Refresh, Up]),
        (State::Bound { .. }, Input::Accepted) => (State::Bound { failures: 0 }, &[Refresh]),
        (State::Trying { failures }, Input::Failed) => {
            (State::Trying { failures: failures.saturating_add(1) }, &[Down, Retry])
        }
        (State::Bound { failures }, Input::Failed) => {
            (State::Bound { failures: failures.saturating_add(1) }, &[Retry])
        }
        (State::Bound { failures }, Input::Expired) => (State::Trying { failures }, &[Down]),
        (State::Bound { .. }, Input::Stop) => (State::Leaving, &[Remove]),
        (State::Trying { .. }, Input::Stop) => (State::Gone, &[]),
        (State::Leaving, Input::Accepted | Input::TooBrief | Input::Failed) => {
            (State::Gone, &[Down])
        }
        (State::Trying { .. }, Input::Expired)
        | (State::Leaving, Input::Due | Input::Expired | Input::Stop)
        | (
            State::Gone,
            Input::Due
            | Input::Accepted
            | Input::TooBrief
            | Input::Failed
            | Input::Expired
            | Input::Stop,
        ) => (state, &[]),
    }
}

/// RFC 5626 4.5: the base time when no flow works.
const BASE: Duration = Duration::from_secs(30);
/// RFC 5626 4.5: the longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(1800);

/// RFC 5626 4.5: the upper bound of the wait after so many failures in a row; the wait itself is
/// drawn between half of it and all of it.
pub(crate) fn wait_after(failures: u32) -> Duration {
    // 30 s doubled six times is over the longest already.
    let factor = 1u32 << failures.min(6);
    BASE.saturating_mul(factor).min(LONGEST_WAIT)
}

/// A refresh that fails at first has this long for further attempts.
const MARGIN: Duration = Duration::from_secs(600);

/// When to refresh a registration that was granted for so long: at half of it, or ten minutes
/// before its end.
pub(crate) fn refresh_after(granted: Duration) -> Duration {
    granted - (granted / 2).min(MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_takes_every_input() {
        let states = [
            State::Trying { failures: 1 },
            State::Bound { failures: 1 },
            State::Leaving,
            State::Gone,
        ];
        let inputs = [
            Input::Due,
            Input::Accepted,
            Input::TooBrief,
            Input::Failed,
            Input::Expired,
            Input::Stop,
        ];
        let table: String = states
            .iter()
            .flat_map(|state| inputs.iter().map(move |input| (*state, *input)))
            .map(|(state, input)| {
                let (next, effects) = step(state, input);
                format!("{state:?} + {input:?} -> {next:?} {effects:?}\n")
            })
            .collect();
        insta::assert_snapshot!(table);
    }

    #[test]
    fn waits_double_up_to_half_an_hour() {
        let waits: Vec<u64> = (1..9).map(|failures| wait_after(failures).as_secs()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1800, 1800, 1800]);
    }

    #[test]
    fn a_registration_is_refreshed_before_it_ends() {
        for (granted, after) in [(3600, 3000), (1200, 600), (600, 300), (60, 30), (1, 0)] {
            let refresh = refresh_after(Duration::from_secs(granted));
            assert_eq!(refresh.as_secs(), after, "{granted}");
        }
    }
}
