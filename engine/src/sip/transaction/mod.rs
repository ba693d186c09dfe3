//! The transactions of RFC 3261 17 with the corrections of RFC 6026.
//!
//! Each of the four machines is a pure function of (state, input, reliability of the transport)
//! and knows neither bytes nor sockets nor the clock: it says in [`Effect`]s what is to be done,
//! and the layer that holds the message and the timers does it. The messages themselves are
//! found by branch, sent-by and method (17.1.3, 17.2.3) before a machine hears of them.

mod challenged;
mod client;
mod ended;
mod head;
mod image;
pub(crate) mod invite_client;
pub(crate) mod invite_server;
mod keyed;
mod layer;
pub(crate) mod non_invite_client;
pub(crate) mod non_invite_server;
#[cfg(test)]
mod product;
mod resume;
mod server;
mod size;
pub(crate) mod timers;

use std::time::Duration;

pub(crate) use challenged::Challenged;
pub(crate) use head::{ResponseHead, status_line};
pub(crate) use image::{
    Stage, get_client, get_server, put_client, put_large_of_client, put_large_of_server, put_server,
};
pub(crate) use layer::{CancelReason, ClientHandle, Incoming, Owner, ServerHandle, Transactions};
pub(crate) use timers::Timer;

/// What one step asks of the layer, to be done in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Client: send the request, byte for byte the same each time.
    /// Server: send the last response that the user of the transaction gave.
    Send,
    /// INVITE client: send the ACK to the final response that was received
    /// (RFC 3261 17.1.1.3), built once and then resent.
    SendAck,
    /// Hand the message that was received to the user of the transaction.
    Deliver,
    /// Start this timer; it does not run.
    Arm(Timer, Duration),
    /// Stop this timer if it runs.
    Disarm(Timer),
    /// Tell the user of the transaction that it failed.
    Report(Failure),
    /// Drop the transaction and stop whatever timers it still has. Always the last effect.
    Destroy,
}

/// Why a transaction failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody answered in 64*T1; to the user of a client transaction it is a 408
    /// (RFC 3261 8.1.3.1).
    Timeout,
    /// The message could not be sent; to the user of a client transaction it is a 503
    /// (RFC 3261 8.1.3.1).
    TransportError,
}

/// The most effects that one step has: an INVITE's failure over UDP stops two timers, sends
/// ACK, delivers and starts timer D.
const MOST_EFFECTS: usize = 5;

/// The effects of one step, in order, without an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effects {
    list: [Effect; MOST_EFFECTS],
    len: usize,
}

impl Effects {
    fn of<const N: usize>(effects: [Effect; N]) -> Self {
        const { assert!(N <= MOST_EFFECTS) };
        let mut list = [Effect::Destroy; MOST_EFFECTS];
        list[..N].copy_from_slice(&effects);
        Effects { list, len: N }
    }

    /// The effects in the order in which they must be done.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Effect> {
        self.list.into_iter().take(self.len)
    }
}

/// Where a machine stands after an input, and what is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step<S> {
    /// The new state.
    pub(crate) state: S,
    /// What is to be done.
    pub(crate) effects: Effects,
}

impl<S> Step<S> {
    fn to<const N: usize>(state: S, effects: [Effect; N]) -> Self {
        Step { state, effects: Effects::of(effects) }
    }

    /// The input means nothing here: a late timer, a message to be absorbed.
    fn absorbed(state: S) -> Self {
        Step::to(state, [])
    }
}
