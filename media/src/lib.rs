//! The RTP relay.
//!
//! A pure core says what happens to one packet of one session: who may send ([`Latch`]), where it
//! goes, what is counted. It has no socket, no clock and no thread. Everything that has one is
//! under [`io`]: sockets that stay bound for the life of the process, and worker threads that each
//! own the sessions given to them.
//!
//! # Invariants
//!
//! - A session belongs to one worker from `open` to `close`; no state of it is shared but the
//!   plain atomics of its counters.
//! - The way of a packet takes no lock and allocates nothing.
//! - A packet is relayed only from a side's known phone to the other side's known phone. Nothing
//!   is ever sent to an address because a packet came from it, but under [`Latch::FirstSource`].
//! - Payload, SSRC, sequence number and timestamp are never touched.
//!
//! # Deliberate omissions
//!
//! RFC 3550 A.1 puts a new source on probation for two packets: here the source is already fixed
//! by its address, and the first packet of a conversation should be heard.

#[doc(hidden)]
pub mod fuzz;
pub mod io;
mod latch;
mod quality;
mod reception;
mod rtp;
mod session;
mod value;

pub use quality::mos;
pub use reception::Reception;
pub use rtp::{RtpHeader, is_rtcp};
pub use session::{Arrival, DropReason, LEARNING_WINDOW, MAX_PACKETS_PER_SECOND, Session, Verdict};
pub use value::{
    Command, Event, Latch, Port, PortPair, Remote, SessionId, Side, SideCounters, Timestamp,
};
