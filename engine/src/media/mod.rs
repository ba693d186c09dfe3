//! What the engine says to the media relay, and hears from it.
//!
//! A session joins the caller's side (A) with the callee's side (B) by one port pair each. The
//! engine chooses the ports, so that it can write them into SDP at once and recover them later;
//! the relay binds them. All branches of a hunt share the session's B side: only the remote of
//! the branch that is connected is given to the relay.

mod ports;

use std::net::SocketAddr;

pub use ports::{PortPair, PortPool, QUIET, RETIRED};

/// A session of the relay; generation included, so that a stale id matches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A side of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The caller's.
    A,
    /// The callee's.
    B,
}

/// How the relay learns where a side really sends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latch {
    /// Only packets from the signalled address and port count.
    Signalled,
    /// The first packet within the learning window fixes the source (a peer behind NAT).
    FirstSource,
}

/// Where a side's phone wants its media, from its SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// RTP (or UDPTL) address from `c=` and `m=`.
    pub rtp: SocketAddr,
    /// RTCP address: `a=rtcp` or the next port; equal to `rtp` under rtcp-mux.
    pub rtcp: SocketAddr,
    /// Where packets may come from.
    pub latch: Latch,
    /// The phone may send and we forward it: false while it is on hold (`recvonly` towards us,
    /// `inactive`), so that the idle time-out knows silence is meant.
    pub sends: bool,
}

/// An instruction to the relay. Commands of a session are carried out in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaCommand {
    /// Bind both pairs and hold them for this session; nothing flows before a remote is known.
    Open {
        /// The session, not in use.
        session: SessionId,
        /// The pair towards the caller.
        a: PortPair,
        /// The pair towards the callee.
        b: PortPair,
    },
    /// Set or replace where a side's phone is: answers, re-INVITEs.
    SetRemote {
        /// The session.
        session: SessionId,
        /// Which side.
        side: Side,
        /// Its phone.
        remote: Remote,
    },
    /// Forget a side's phone: the branch that had early media lost.
    ClearRemote {
        /// The session.
        session: SessionId,
        /// Which side.
        side: Side,
    },
    /// Start or stop watching for silence of the whole session.
    WatchIdle {
        /// The session.
        session: SessionId,
        /// On while the call is established and not on hold.
        on: bool,
    },
    /// The call is over: nothing is relayed from now on and the ports go back. The relay answers
    /// with [`MediaEvent::Closed`] once the final counters are known.
    Close {
        /// The session.
        session: SessionId,
    },
}

/// Counters of the packets that came in from one side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SideCounters {
    /// RTP packets accepted from the side's phone.
    pub packets: u64,
    /// Missing by sequence number.
    pub lost: u64,
    /// Interarrival jitter in milliseconds (RFC 3550 6.4.1).
    pub jitter_ms: f32,
    /// Packets from strangers, dropped.
    pub strangers: u64,
    /// Mean opinion score estimated from loss and jitter (ITU-T G.107), 1.0 to 4.5; `None` when
    /// there was nothing to judge.
    pub mos: Option<f32>,
}

/// What the relay tells the engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MediaEvent {
    /// A port could not be bound: another process has it. The session does not exist.
    OpenFailed {
        /// The session that was to be.
        session: SessionId,
    },
    /// Final counters of a closed session: in answer to every `Close` of an open session.
    Closed {
        /// The session.
        session: SessionId,
        /// What the caller's phone sent.
        a: SideCounters,
        /// What the callee's phone sent.
        b: SideCounters,
    },
    /// No RTP from either side for the configured idle time while watched.
    Idle {
        /// The session.
        session: SessionId,
    },
}
