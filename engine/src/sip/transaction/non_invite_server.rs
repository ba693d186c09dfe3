//! The server transaction of every request but INVITE and ACK (RFC 3261 17.2.2).

use super::timers::{self, Timer};
use super::{Effect, Failure, Step};

/// Where a request of the peer's stands. After figure 8 of RFC 3261:
///
/// ```text
///                  request: deliver
///                         |
///                         v
///                    +--------+
///                    | Trying |  request: absorb
///                    +--------+
///                     |    | 1xx from the user: send
///                     |    v
///   200-699 from the  |  +------------+ 1xx from the user: send
///   user: send, arm J |  | Proceeding | request: resend
///                     |  +------------+------------------------+
///                     v    v 200-699 from the user: send,      |
///                  +-----------+ arm J        transport error: |
///   request:       | Completed |              report           |
///   resend         +-----------+------------------------------>|
///                         |  J                                 v
///                         +--------------------------->   Terminated
/// ```
///
/// Departure: on a reliable transport J is zero (17.2.2), so Completed is passed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No response yet, so there is none to resend.
    Trying,
    /// A provisional response was sent.
    Proceeding,
    /// The final response was sent.
    Completed,
    /// Over.
    Terminated,
}

/// What can happen to a non-INVITE server transaction. Responses are those of its user; the
/// layer keeps the newest before the machine hears of it, unless a final one was given already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The request came again.
    Request,
    /// The user gave a response 100-199.
    Provisional,
    /// The user gave a response 200-699.
    Final,
    /// A response could not be sent.
    TransportError,
    /// Timer J fired.
    J,
}

impl Input {
    /// The input that this timer's expiry is; none if the timer is no timer of this machine.
    pub(crate) fn fired(timer: Timer) -> Option<Input> {
        match timer {
            Timer::J => Some(Input::J),
            Timer::A | Timer::B | Timer::D | Timer::E | Timer::F | Timer::G => None,
            Timer::H | Timer::I | Timer::K | Timer::L | Timer::M => None,
        }
    }
}

/// One input.
pub(crate) fn step(state: State, input: Input, reliable: bool) -> Step<State> {
    match state {
        State::Trying => match input {
            Input::Provisional => Step::to(State::Proceeding, [Effect::Send]),
            Input::Final => answered(reliable),
            Input::Request | Input::TransportError | Input::J => Step::absorbed(State::Trying),
        },
        State::Proceeding => match input {
            Input::Request | Input::Provisional => Step::to(State::Proceeding, [Effect::Send]),
            Input::Final => answered(reliable),
            Input::TransportError => unsent(),
            Input::J => Step::absorbed(State::Proceeding),
        },
        State::Completed => match input {
            Input::Request => Step::to(State::Completed, [Effect::Send]),
            Input::TransportError => unsent(),
            Input::J => Step::to(State::Terminated, [Effect::Destroy]),
            // 17.2.2: "Any other final responses passed by the TU ... MUST be discarded".
            Input::Provisional | Input::Final => Step::absorbed(State::Completed),
        },
        State::Terminated => Step::absorbed(State::Terminated),
    }
}

fn answered(reliable: bool) -> Step<State> {
    if reliable {
        Step::to(State::Terminated, [Effect::Send, Effect::Destroy])
    } else {
        Step::to(State::Completed, [Effect::Send, Effect::Arm(Timer::J, timers::J)])
    }
}

/// RFC 3261 17.2.4.
fn unsent() -> Step<State> {
    Step::to(State::Terminated, [Effect::Report(Failure::TransportError), Effect::Destroy])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::transaction::product;

    fn next_state(state: State) -> Option<State> {
        match state {
            State::Trying => Some(State::Proceeding),
            State::Proceeding => Some(State::Completed),
            State::Completed => Some(State::Terminated),
            State::Terminated => None,
        }
    }

    fn next_input(input: Input) -> Option<Input> {
        match input {
            Input::Request => Some(Input::Provisional),
            Input::Provisional => Some(Input::Final),
            Input::Final => Some(Input::TransportError),
            Input::TransportError => Some(Input::J),
            Input::J => None,
        }
    }

    const MACHINE: product::Machine<State, Input> = product::Machine {
        start: None,
        step,
        first_state: State::Trying,
        next_state,
        first_input: Input::Request,
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
    fn the_answer_to_a_bye_is_kept_for_32_s_over_udp_and_not_at_all_over_tcp() {
        for (reliable, end) in [(false, 32_000), (true, 0)] {
            let answered = step(State::Trying, Input::Final, reliable);
            let (sent, over) = MACHINE.left_alone(answered, reliable);
            assert_eq!((sent, over), (vec![0], (end, None)));
        }
    }
}
