//! The INVITE client transaction (RFC 3261 17.1.1, RFC 6026 7.2 and 8.4).

use std::time::Duration;

use super::timers::{self, Timer};
use super::{Effect, Failure, Step};

/// Where an INVITE of ours stands. After figure 5 of RFC 6026:
///
/// ```text
///                   INVITE from the user: send, arm A (UDP) and B
///                                 |
///         A: resend, +-------+    v
///         arm 2A     |    +-----------+  B: report Timeout
///                    +--->|  Calling  |  transport error: report   --------+
///                         +-----------+  abandoned                         |
///       300-699:           |    |    |   2xx: deliver, arm M               |
///       ACK, deliver,      |   1xx:  +--------------------+                |
///       arm D              | deliver                      |                |
///          +---------------+    v                         |                |
///          |              +------------+ 2xx: deliver,    |                |
///          |<-------------| Proceeding |-------+ arm M    |                |
///          |  300-699     +------------+       |          |                |
///          |               ^ | 1xx:  | abandoned          |                |
///          v               +-+ deliver +---------------------------------->|
///    +-----------+                             v          v                |
///    | Completed | 300-699: ACK        +------------+ 2xx: deliver         |
///    +-----------+-------------------->|  Accepted  |                      |
///          |      2xx: deliver, arm M  +------------+                      |
///          | D; transport error: report       | M                          v
///          +----------------------------------+----------------->    Terminated
/// ```
///
/// Departures: on a reliable transport D is zero (17.1.1.2), so Completed is passed by.
/// `Abandon` is ours: the user ends a transaction whose peer fell silent after CANCEL
/// (9.1, last paragraph). The edge from Completed to Accepted is ours too: a proxy forwards a
/// 2xx even after a failure (16.7, step 5), and whoever answered behind it would sit in a call
/// that nobody acknowledges and nobody ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing was heard yet.
    Calling {
        /// What timer A was last set to.
        resend: Duration,
    },
    /// A provisional response came; the user's own timer C bounds this state (16.8).
    Proceeding,
    /// A failure came and was acknowledged; resent ones are acknowledged again.
    Completed,
    /// A 2xx came; others may follow from other branches, and all belong to the user.
    Accepted,
    /// Over.
    Terminated,
}

/// What can happen to an INVITE client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A response 100-199.
    Provisional,
    /// A response 200-299.
    Success,
    /// A response 300-699.
    Failure,
    /// The INVITE or the ACK could not be sent.
    TransportError,
    /// The user no longer waits for a final response.
    Abandon,
    /// Timer A fired.
    A,
    /// Timer B fired.
    B,
    /// Timer D fired.
    D,
    /// Timer M fired.
    M,
}

impl Input {
    /// The input that this timer's expiry is; none if the timer is no timer of this machine.
    pub(crate) fn fired(timer: Timer) -> Option<Input> {
        match timer {
            Timer::A => Some(Input::A),
            Timer::B => Some(Input::B),
            Timer::D => Some(Input::D),
            Timer::M => Some(Input::M),
            Timer::E | Timer::F | Timer::G | Timer::H => None,
            Timer::I | Timer::J | Timer::K | Timer::L => None,
        }
    }
}

/// The user sends an INVITE.
pub(crate) fn start(reliable: bool) -> Step<State> {
    let state = State::Calling { resend: timers::A };
    let arm_b = Effect::Arm(Timer::B, timers::B);
    if reliable {
        Step::to(state, [Effect::Send, arm_b])
    } else {
        Step::to(state, [Effect::Send, Effect::Arm(Timer::A, timers::A), arm_b])
    }
}

/// One input.
pub(crate) fn step(state: State, input: Input, reliable: bool) -> Step<State> {
    match state {
        State::Calling { resend } => calling(resend, input, reliable),
        State::Proceeding => proceeding(input, reliable),
        State::Completed => completed(input),
        State::Accepted => accepted(input),
        State::Terminated => Step::absorbed(State::Terminated),
    }
}

fn calling(resend: Duration, input: Input, reliable: bool) -> Step<State> {
    const STOP_A: Effect = Effect::Disarm(Timer::A);
    const STOP_B: Effect = Effect::Disarm(Timer::B);
    match input {
        Input::Provisional => Step::to(State::Proceeding, [STOP_A, STOP_B, Effect::Deliver]),
        Input::Success => Step::to(
            State::Accepted,
            [STOP_A, STOP_B, Effect::Deliver, Effect::Arm(Timer::M, timers::M)],
        ),
        Input::Failure if reliable => {
            Step::to(State::Terminated, [STOP_B, Effect::SendAck, Effect::Deliver, Effect::Destroy])
        }
        Input::Failure => Step::to(
            State::Completed,
            [STOP_A, STOP_B, Effect::SendAck, Effect::Deliver, Effect::Arm(Timer::D, timers::D)],
        ),
        Input::TransportError => failed(Failure::TransportError),
        Input::B => failed(Failure::Timeout),
        Input::Abandon => Step::to(State::Terminated, [Effect::Destroy]),
        Input::A if reliable => Step::absorbed(State::Calling { resend }),
        Input::A => {
            let resend = resend.saturating_mul(2);
            let arm = Effect::Arm(Timer::A, resend);
            Step::to(State::Calling { resend }, [Effect::Send, arm])
        }
        Input::D | Input::M => Step::absorbed(State::Calling { resend }),
    }
}

fn proceeding(input: Input, reliable: bool) -> Step<State> {
    match input {
        Input::Provisional => Step::to(State::Proceeding, [Effect::Deliver]),
        Input::Success => {
            let arm = Effect::Arm(Timer::M, timers::M);
            Step::to(State::Accepted, [Effect::Deliver, arm])
        }
        Input::Failure if reliable => {
            Step::to(State::Terminated, [Effect::SendAck, Effect::Deliver, Effect::Destroy])
        }
        Input::Failure => Step::to(
            State::Completed,
            [Effect::SendAck, Effect::Deliver, Effect::Arm(Timer::D, timers::D)],
        ),
        Input::Abandon => Step::to(State::Terminated, [Effect::Destroy]),
        // Nothing of ours is on its way: an error that arrives now is about an INVITE whose
        // copy got through.
        Input::TransportError => Step::absorbed(State::Proceeding),
        Input::A | Input::B | Input::D | Input::M => Step::absorbed(State::Proceeding),
    }
}

fn completed(input: Input) -> Step<State> {
    match input {
        Input::Failure => Step::to(State::Completed, [Effect::SendAck]),
        Input::TransportError => failed(Failure::TransportError),
        Input::D => Step::to(State::Terminated, [Effect::Destroy]),
        Input::Success => Step::to(
            State::Accepted,
            [Effect::Disarm(Timer::D), Effect::Deliver, Effect::Arm(Timer::M, timers::M)],
        ),
        Input::Provisional | Input::Abandon => Step::absorbed(State::Completed),
        Input::A | Input::B | Input::M => Step::absorbed(State::Completed),
    }
}

fn accepted(input: Input) -> Step<State> {
    match input {
        Input::Success => Step::to(State::Accepted, [Effect::Deliver]),
        Input::M => Step::to(State::Terminated, [Effect::Destroy]),
        Input::Provisional | Input::Failure => Step::absorbed(State::Accepted),
        // The ACK to a 2xx is the user's (13.2.2.4), and so is its failure.
        Input::TransportError | Input::Abandon => Step::absorbed(State::Accepted),
        Input::A | Input::B | Input::D => Step::absorbed(State::Accepted),
    }
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
            State::Calling { .. } => Some(State::Proceeding),
            State::Proceeding => Some(State::Completed),
            State::Completed => Some(State::Accepted),
            State::Accepted => Some(State::Terminated),
            State::Terminated => None,
        }
    }

    fn next_input(input: Input) -> Option<Input> {
        match input {
            Input::Provisional => Some(Input::Success),
            Input::Success => Some(Input::Failure),
            Input::Failure => Some(Input::TransportError),
            Input::TransportError => Some(Input::Abandon),
            Input::Abandon => Some(Input::A),
            Input::A => Some(Input::B),
            Input::B => Some(Input::D),
            Input::D => Some(Input::M),
            Input::M => None,
        }
    }

    const MACHINE: product::Machine<State, Input> = product::Machine {
        start: Some(start),
        step,
        first_state: State::Calling { resend: timers::A },
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
    fn an_unanswered_invite_over_udp_is_sent_seven_times_in_32_seconds() {
        let (sent, end) = MACHINE.left_alone(start(false), false);
        assert_eq!(sent, [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
        assert_eq!(end, (32_000, Some(Failure::Timeout)));
    }

    #[test]
    fn an_unanswered_invite_over_tcp_is_sent_once() {
        let (sent, end) = MACHINE.left_alone(start(true), true);
        assert_eq!((sent, end), (vec![0], (32_000, Some(Failure::Timeout))));
    }
}
