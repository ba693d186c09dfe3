//! The client transaction of every request but INVITE and ACK (RFC 3261 17.1.2).

use std::time::Duration;

use super::timers::{self, Timer};
use super::{Effect, Failure, Step};

/// Where a request of ours stands. After figure 6 of RFC 3261:
///
/// ```text
///              request from the user: send, arm E (UDP) and F
///                               |
///      E: resend,     +----+    v
///      arm min(2E,T2) |   +--------+   F: report Timeout
///                     +-->| Trying |   transport error: report
///                         +--------+-----------------------------+
///                          |    | 1xx: deliver                   |
///      200-699: deliver,   |    v                                |
///      arm K               |  +------------+ F: report Timeout   |
///                          |  | Proceeding | transport error:    |
///                          |  +------------+ report -------------+
///                          |    | E: resend, arm T2              |
///                          |    | 1xx: deliver                   |
///                          |    | 200-699: deliver, arm K        |
///                          v    v                                |
///                       +-----------+   K                        v
///                       | Completed | -------------------> Terminated
///                       +-----------+
/// ```
///
/// Departure: on a reliable transport K is zero (17.1.2.2), so Completed is passed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing was heard yet.
    Trying {
        /// What timer E was last set to.
        resend: Duration,
    },
    /// A provisional response came; the request is resent all the same, as timer E says.
    Proceeding,
    /// The final response came; resent ones are absorbed.
    Completed,
    /// Over.
    Terminated,
}

/// What can happen to a non-INVITE client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A response 100-199.
    Provisional,
    /// A response 200-699.
    Final,
    /// The request could not be sent.
    TransportError,
    /// Timer E fired.
    E,
    /// Timer F fired.
    F,
    /// Timer K fired.
    K,
}

impl Input {
    /// The input that this timer's expiry is; none if the timer is no timer of this machine.
    pub(crate) fn fired(timer: Timer) -> Option<Input> {
        match timer {
            Timer::E => Some(Input::E),
            Timer::F => Some(Input::F),
            Timer::K => Some(Input::K),
            Timer::A | Timer::B | Timer::D | Timer::G | Timer::H => None,
            Timer::I | Timer::J | Timer::L | Timer::M => None,
        }
    }
}

/// The user sends a request.
pub(crate) fn start(reliable: bool) -> Step<State> {
    let state = State::Trying { resend: timers::E };
    let arm_f = Effect::Arm(Timer::F, timers::F);
    if reliable {
        Step::to(state, [Effect::Send, arm_f])
    } else {
        Step::to(state, [Effect::Send, Effect::Arm(Timer::E, timers::E), arm_f])
    }
}

/// One input.
pub(crate) fn step(state: State, input: Input, reliable: bool) -> Step<State> {
    match state {
        State::Trying { resend } => trying(resend, input, reliable),
        State::Proceeding => proceeding(input, reliable),
        State::Completed => completed(input),
        State::Terminated => Step::absorbed(State::Terminated),
    }
}

fn trying(resend: Duration, input: Input, reliable: bool) -> Step<State> {
    match input {
        Input::Provisional => Step::to(State::Proceeding, [Effect::Deliver]),
        Input::Final => answered(reliable),
        Input::TransportError => failed(Failure::TransportError),
        Input::F => failed(Failure::Timeout),
        Input::E if reliable => Step::absorbed(State::Trying { resend }),
        Input::E => {
            let resend = timers::doubled_to_t2(resend);
            let arm = Effect::Arm(Timer::E, resend);
            Step::to(State::Trying { resend }, [Effect::Send, arm])
        }
        Input::K => Step::absorbed(State::Trying { resend }),
    }
}

fn proceeding(input: Input, reliable: bool) -> Step<State> {
    match input {
        Input::Provisional => Step::to(State::Proceeding, [Effect::Deliver]),
        Input::Final => answered(reliable),
        Input::TransportError => failed(Failure::TransportError),
        Input::F => failed(Failure::Timeout),
        Input::E if reliable => Step::absorbed(State::Proceeding),
        Input::E => Step::to(State::Proceeding, [Effect::Send, Effect::Arm(Timer::E, timers::T2)]),
        Input::K => Step::absorbed(State::Proceeding),
    }
}

fn completed(input: Input) -> Step<State> {
    match input {
        Input::K => Step::to(State::Terminated, [Effect::Destroy]),
        Input::Provisional | Input::Final | Input::TransportError => {
            Step::absorbed(State::Completed)
        }
        Input::E | Input::F => Step::absorbed(State::Completed),
    }
}

fn answered(reliable: bool) -> Step<State> {
    if reliable {
        return Step::to(State::Terminated, [Effect::Deliver, Effect::Destroy]);
    }
    Step::to(
        State::Completed,
        [
            Effect::Disarm(Timer::E),
            Effect::Disarm(Timer::F),
            Effect::Deliver,
            Effect::Arm(Timer::K, timers::K),
        ],
    )
}

fn failed(failure: Failure) -> Step<State> {
    Step::to(State::Terminated, [Effect::Report(failure), Effect::Destroy])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::transaction::product;

    fn next_state(state: State) -> Option<State> {
        match state {
            State::Trying { .. } => Some(State::Proceeding),
            State::Proceeding => Some(State::Completed),
            State::Completed => Some(State::Terminated),
            State::Terminated => None,
        }
    }

    fn next_input(input: Input) -> Option<Input> {
        match input {
            Input::Provisional => Some(Input::Final),
            Input::Final => Some(Input::TransportError),
            Input::TransportError => Some(Input::E),
            Input::E => Some(Input::F),
            Input::F => Some(Input::K),
            Input::K => None,
        }
    }

    const MACHINE: product::Machine<State, Input> = product::Machine {
        start: Some(start),
        step,
        first_state: State::Trying { resend: timers::E },
        next_state,
        first_input: Input::Provisional,
        next_input,
        fired: Input::fired,
        terminated: State::Terminated,
    };

    #[test]
    fn every_state_meets_every_input_as_reviewed() {
        insta::assert_snapshot!(MACHINE.table());
    }

    #[test]
    fn timers_run_only_in_the_states_they_belong_to() {
        MACHINE.check_timers();
    }

    #[test]
    fn an_unanswered_bye_is_resent_up_to_every_4_s_and_given_up_after_32() {
        let (sent, end) = MACHINE.left_alone(start(false), false);
        let expected =
            [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        assert_eq!(sent, expected);
        assert_eq!(end, (32_000, Some(Failure::Timeout)));
    }

    #[test]
    fn after_a_provisional_response_the_request_is_resent_every_4_s() {
        let first = step(State::Proceeding, Input::E, false);
        assert!(first.effects.iter().any(|effect| effect == Effect::Arm(Timer::E, timers::T2)));
    }
}
