//! The values that the relay and its owner exchange.

use std::net::SocketAddr;
use std::time::Duration;

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

impl Side {
    /// The side that hears this one.
    pub const fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Side::A => 0,
            Side::B => 1,
        }
    }
}

/// Which port of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// The even one: RTP, UDPTL, and RTCP under rtcp-mux.
    Rtp,
    /// The odd one.
    Rtcp,
}

/// An even RTP port; its RTCP port is the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortPair(u16);

impl PortPair {
    /// The pair whose RTP port is `rtp`; `None` if it is odd (RFC 3550 11).
    pub const fn new(rtp: u16) -> Option<PortPair> {
        if rtp.is_multiple_of(2) { Some(PortPair(rtp)) } else { None }
    }

    /// The RTP port.
    pub const fn rtp(self) -> u16 {
        self.0
    }

    /// The RTCP port.
    pub const fn rtcp(self) -> u16 {
        self.0 + 1
    }
}

/// Where a side's packets may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latch {
    /// Only the signalled address and port.
    Signalled,
    /// The first packet within the learning window fixes the source: a phone behind NAT does not
    /// know its own address. The signalled address is preferred if it sends within the window.
    FirstSource,
}

/// Where a side's phone wants its media, from its SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// RTP or UDPTL address.
    pub rtp: SocketAddr,
    /// RTCP address; equal to `rtp` under rtcp-mux (RFC 5761).
    pub rtcp: SocketAddr,
    /// Where its packets may come from.
    pub latch: Latch,
    /// The phone may send and is heard. While false its packets are dropped and its silence is
    /// meant.
    pub sends: bool,
}

/// An instruction for an open session. Those of one session are carried out in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Sets or replaces a side's phone. The old source is no longer accepted.
    SetRemote {
        /// The session.
        session: SessionId,
        /// Which side.
        side: Side,
        /// Its phone.
        remote: Remote,
    },
    /// Forgets a side's phone: nothing from it or to it any more.
    ClearRemote {
        /// The session.
        session: SessionId,
        /// Which side.
        side: Side,
    },
    /// Starts or stops watching for silence of the whole session.
    WatchIdle {
        /// The session.
        session: SessionId,
        /// On while the call is established.
        on: bool,
    },
}

impl Command {
    /// The session it is for.
    pub const fn session(&self) -> SessionId {
        match self {
            Command::SetRemote { session, .. }
            | Command::ClearRemote { session, .. }
            | Command::WatchIdle { session, .. } => *session,
        }
    }
}

/// What the relay reports by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// No packet from either side for the idle time while watched. Once per silence.
    Idle {
        /// The session.
        session: SessionId,
    },
}

/// Counters of the packets that came in from one side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SideCounters {
    /// RTP packets accepted from the side's phone.
    pub packets: u64,
    /// Missing by sequence number (RFC 3550 A.3).
    pub lost: u64,
    /// Interarrival jitter in milliseconds (RFC 3550 A.8).
    pub jitter_ms: f32,
    /// Packets of any kind from elsewhere than the side's known phone, dropped.
    pub strangers: u64,
}

impl SideCounters {
    /// Lost packets as a share of those expected, 0 to 1; 0 before the first packet.
    pub fn loss_ratio(&self) -> f32 {
        let expected = self.packets + self.lost;
        if expected == 0 { 0.0 } else { self.lost as f32 / expected as f32 }
    }
}

/// Microseconds on the relay's monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A point `micros` microseconds after the clock's zero.
    pub const fn from_micros(micros: u64) -> Self {
        Timestamp(micros)
    }

    /// Microseconds since the clock's zero.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time since `earlier`, zero if `earlier` is later.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}
