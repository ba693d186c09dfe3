//! The INVITE server transaction (RFC 3261 17.2.1, RFC 6026 7.1 and 8.5 to 8.7).

use std::time::Duration;

use super::timers::{self, Timer};
use super::{Effect, Failure, Step};

/// Where an INVITE of the peer's stands. After figure 7 of RFC 6026:
///
/// ```text
///                            INVITE
///                               |
///   INVITE: resend the  +---+   v
///   last response       |  +------------+  transport error: report
///                       +->| Proceeding |  101-199 from the user: send
///                          +------------+
///       300-699 from the    |          |    2xx from the user: send, arm L
///       user: send, arm     |          +----------------------+
///       G (UDP) and H       v                                 v
///                   +-----------+ INVITE: resend       +------------+ ACK: deliver
///        H: report  | Completed | G: resend, arm 2G    |  Accepted  | 2xx from the user: send
///     +-------------+-----------+ transport error:     +------------+ transport error: report
///     |                  | ACK:   report                      |
///     |                  v arm I                              |
///     |             +-----------+                             |
///     |             | Confirmed |                             | L
///     |             +-----------+                             |
///     |                  | I                                  |
///     +------------------+---------> Terminated <-------------+
/// ```
///
/// Departures: the user gives a 100 at once, as its first response, and not after 200 ms: a
/// forwarded call rings elsewhere first. So Proceeding has a response to resend. On a reliable transport I is zero (17.2.1), so Confirmed is passed by, and G does not run.
/// H is reported, as the text of 17.2.1 demands (the figure of RFC 6026 leaves it out).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No final response yet.
    Proceeding,
    /// A failure was sent; its ACK is awaited.
    Completed {
        /// What timer G was last set to.
        resend: Duration,
    },
    /// The ACK to the failure came; resent ones are absorbed.
    Confirmed,
    /// A 2xx was sent; the user resends it until its ACK (13.3.1.4), resent INVITEs are
    /// absorbed.
    Accepted,
    /// Over.
    Terminated,
}

/// What can happen to an INVITE server transaction. Responses are those of its user; the layer
/// keeps the newest before the machine hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The INVITE came again.
    Invite,
    /// An ACK with the INVITE's branch.
    Ack,
    /// The user gave a response 101-199.
    Provisional,
    /// The user gave a response 200-299.
    Success,
    /// The user gave a response 300-699.
    Failure,
    /// A response could not be sent.
    TransportError,
    /// Timer G fired.
    G,
    /// Timer H fired.
    H,
    /// Timer I fired.
    I,
    /// Timer L fired.
    L,
}

impl Input {
    /// The input that this timer's expiry is; none if the timer is no timer of this machine.
    pub(crate) fn fired(timer: Timer) -> Option<Input> {
        match timer {
            Timer::G => Some(Input::G),
            Timer::H => Some(Input::H),
            Timer::I => Some(Input::I),
            Timer::L => Some(Input::L),
            Timer::A | Timer::B | Timer::D | Timer::E => None,
            Timer::F | Timer::J | Timer::K | Timer::M => None,
        }
    }
}

/// One input.
pub(crate) fn step(state: State, input: Input, reliable: bool) -> Step<State> {
    match state {
        State::Proceeding => proceeding(input, reliable),
        State::Completed { resend } => completed(resend, input, reliable),
        State::Confirmed => confirmed(input),
        State::Accepted => accepted(input),
        State::Terminated => Step::absorbed(State::Terminated),
    }
}

fn proceeding(input: Input, reliable: bool) -> Step<State> {
    match input {
        Input::Invite | Input::Provisional => Step::to(State::Proceeding, [Effect::Send]),
        Input::Success => {
            let arm = Effect::Arm(Timer::L, timers::L);
            Step::to(State::Accepted, [Effect::Send, arm])
        }
        Input::Failure => {
            let state = State::Completed { resend: timers::G };
            let arm_h = Effect::Arm(Timer::H, timers::H);
            if reliable {
                Step::to(state, [Effect::Send, arm_h])
            } else {
                Step::to(state, [Effect::Send, Effect::Arm(Timer::G, timers::G), arm_h])
            }
        }
        Input::TransportError => unsent(State::Proceeding),
        Input::Ack | Input::G | Input::H | Input::I | Input::L => Step::absorbed(State::Proceeding),
    }
}

fn completed(resend: Duration, input: Input, reliable: bool) -> Step<State> {
    let state = State::Completed { resend };
    match input {
        Input::Invite => Step::to(state, [Effect::Send]),
        Input::Ack if reliable => Step::to(State::Terminated, [Effect::Destroy]),
        Input::Ack => Step::to(
            State::Confirmed,
            [Effect::Disarm(Timer::G), Effect::Disarm(Timer::H), Effect::Arm(Timer::I, timers::I)],
        ),
        Input::G if reliable => Step::absorbed(state),
        Input::G => {
            let resend = timers::doubled_to_t2(resend);
            let arm = Effect::Arm(Timer::G, resend);
            Step::to(State::Completed { resend }, [Effect::Send, arm])
        }
        Input::H => {
            Step::to(State::Terminated, [Effect::Report(Failure::Timeout), Effect::Destroy])
        }
        Input::TransportError => unsent(state),
        // 17.2.1: "Any other final responses passed by the TU ... MUST be discarded".
        Input::Provisional | Input::Success | Input::Failure => Step::absorbed(state),
        Input::I | Input::L => Step::absorbed(state),
    }
}

fn confirmed(input: Input) -> Step<State> {
    match input {
        Input::I => Step::to(State::Terminated, [Effect::Destroy]),
        Input::Invite | Input::Ack | Input::TransportError => Step::absorbed(State::Confirmed),
        Input::Provisional | Input::Success | Input::Failure => Step::absorbed(State::Confirmed),
        Input::G | Input::H | Input::L => Step::absorbed(State::Confirmed),
    }
}

fn accepted(input: Input) -> Step<State> {
    match input {
        Input::Ack => Step::to(State::Accepted, [Effect::Deliver]),
        Input::Success => Step::to(State::Accepted, [Effect::Send]),
        Input::L => Step::to(State::Terminated, [Effect::Destroy]),
        Input::TransportError => unsent(State::Accepted),
        Input::Invite | Input::Provisional | Input::Failure => Step::absorbed(State::Accepted),
        Input::G | Input::H | Input::I => Step::absorbed(State::Accepted),
    }
}

/// RFC 6026 8.8: the user is told, and the transaction lives on to absorb what still comes.
fn unsent(state: State) -> Step<State> {
    Step::to(state, [Effect::Report(Failure::TransportError)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::transaction::product;

    fn next_state(state: State) -> Option<State> {
        match state {
            State::Proceeding => Some(State::Completed { resend: timers::G }),
            State::Completed { .. } => Some(State::Confirmed),
            State::Confirmed => Some(State::Accepted),
            State::Accepted => Some(State::Terminated),
            State::Terminated => None,
        }
    }

    fn next_input(input: Input) -> Option<Input> {
        match input {
            Input::Invite => Some(Input::Ack),
            Input::Ack => Some(Input::Provisional),
            Input::Provisional => Some(Input::Success),
            Input::Success => Some(Input::Failure),
            Input::Failure => Some(Input::TransportError),
            Input::TransportError => Some(Input::G),
            Input::G => Some(Input::H),
            Input::H => Some(Input::I),
            Input::I => Some(Input::L),
            Input::L => None,
        }
    }

    const MACHINE: product::Machine<State, Input> = product::Machine {
        start: None,
        step,
        first_state: State::Proceeding,
        next_state,
        first_input: Input::Invite,
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
    fn a_refusal_without_ack_is_resent_up_to_every_4_s_and_given_up_after_32() {
        let refused = step(State::Proceeding, Input::Failure, false);
        let (sent, end) = MACHINE.left_alone(refused, false);
        let expected =
            [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        assert_eq!(sent, expected);
        assert_eq!(end, (32_000, Some(Failure::Timeout)));
    }

    #[test]
    fn a_2xx_is_not_resent_by_the_transaction_which_lasts_32_s() {
        for reliable in [false, true] {
            let answered = step(State::Proceeding, Input::Success, reliable);
            let (sent, end) = MACHINE.left_alone(answered, reliable);
            assert_eq!((sent, end), (vec![0], (32_000, None)));
        }
    }
}
