//! One session: two phones, what each may send, and what was heard of it.

use std::net::SocketAddr;
use std::time::Duration;

pub use crate::latch::LEARNING_WINDOW;
use crate::latch::Phone;
use crate::reception::Reception;
use crate::rtp::{RtpHeader, is_rtcp};
use crate::value::{Port, Remote, Side, SideCounters, Timestamp};

/// A packet that came to one of the session's four ports.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The side whose pair it came to.
    pub side: Side,
    /// Which port of the pair.
    pub port: Port,
    /// Its source address, an IPv4 one never in mapped form.
    pub from: SocketAddr,
    /// The datagram.
    pub bytes: &'a [u8],
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves from this port of the other side's pair for the other phone, unchanged.
    Relay {
        /// The port it leaves from.
        port: Port,
        /// The other phone.
        to: SocketAddr,
    },
    /// It goes nowhere, and nobody is told.
    Drop(DropReason),
}

/// Why a packet goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It did not come from the side's phone.
    Stranger,
    /// The side's phone is not known yet, so neither is who sent this.
    NoPhone,
    /// The phone is not to be heard now (hold).
    NotSending,
    /// The phone was heard, but the other one is not known yet or has no address to send to.
    NobodyToHear,
    /// The phone sends more than [`MAX_PACKETS_PER_SECOND`].
    Flood,
}

/// Packets a second of one phone that are relayed. Speech in packets of 10 ms and its reports are
/// 101, video in high definition is some hundreds; two descriptions that name ports of the relay
/// itself could make one packet run in a circle as fast as the machine goes, and this ends it.
pub const MAX_PACKETS_PER_SECOND: u32 = 2_000;

/// The whole state of a session that a packet can touch.
#[derive(Clone, Debug, Default)]
pub struct Session {
    sides: [SideState; 2],
    watch: Watch,
    /// The last packet of either phone, or the last change that lets silence count from anew.
    heard: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct SideState {
    phone: Option<Phone>,
    reception: Reception,
    strangers: u64,
    /// When the present second of counting began, and what has come in it.
    second: Timestamp,
    in_second: u32,
}

impl SideState {
    /// Counts a packet of the phone; false when it is one too many.
    fn within_rate(&mut self, now: Timestamp) -> bool {
        if now.since(self.second) >= Duration::from_secs(1) {
            (self.second, self.in_second) = (now, 0);
        }
        self.in_second = self.in_second.saturating_add(1);
        self.in_second <= MAX_PACKETS_PER_SECOND
    }
}

/// Whether silence matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Watch {
    #[default]
    Off,
    On,
    /// The present silence has been reported.
    Reported,
}

impl Session {
    /// Sets or replaces a side's phone. The same addresses signalled again keep what was learned.
    pub fn set_remote(&mut self, now: Timestamp, side: Side, remote: Remote) {
        let state = &mut self.sides[side.index()];
        let phone = match state.phone {
            Some(phone) => phone.resignalled(now, remote),
            None => Phone::new(now, remote),
        };
        state.phone = Some(phone);
        self.restart_silence(now);
    }

    /// Forgets a side's phone; its counters stay.
    pub fn clear_remote(&mut self, side: Side) {
        self.sides[side.index()].phone = None;
    }

    /// Starts or stops watching for silence.
    pub fn watch_idle(&mut self, now: Timestamp, on: bool) {
        self.watch = if on { Watch::On } else { Watch::Off };
        self.restart_silence(now);
    }

    /// True once for each silence of `timeout` or longer while watched, unless both phones are
    /// meant to be silent.
    pub fn fell_silent(&mut self, now: Timestamp, timeout: Duration) -> bool {
        let anyone_sends = self.sides.iter().any(|side| side.phone.is_some_and(|p| p.sends()));
        let silent = self.watch == Watch::On && anyone_sends && now.since(self.heard) >= timeout;
        if silent {
            self.watch = Watch::Reported;
        }
        silent
    }

    /// Decides on a packet and counts it.
    pub fn packet(&mut self, now: Timestamp, arrival: Arrival<'_>) -> Verdict {
        let kind = match self.admit(now, &arrival) {
            Ok(kind) => kind,
            Err(reason) => {
                self.sides[arrival.side.index()].strangers +=
                    u64::from(reason == DropReason::Stranger);
                return Verdict::Drop(reason);
            }
        };
        self.heard = now;
        if self.watch == Watch::Reported {
            self.watch = Watch::On;
        }
        if !self.sides[arrival.side.index()].within_rate(now) {
            return Verdict::Drop(DropReason::Flood);
        }
        if kind == Port::Rtp
            && let Some(header) = RtpHeader::read(arrival.bytes)
        {
            self.sides[arrival.side.index()].reception.packet(now, &header);
        }
        match self.sides[arrival.side.other().index()].phone {
            Some(listener) => onward(kind, &listener),
            None => Verdict::Drop(DropReason::NobodyToHear),
        }
    }

    /// What was received from a side so far.
    pub fn counters(&self, side: Side) -> SideCounters {
        let SideState { reception, strangers, .. } = &self.sides[side.index()];
        SideCounters {
            packets: reception.packets(),
            lost: reception.lost(),
            jitter_ms: reception.jitter_ms(),
            strangers: *strangers,
        }
    }

    /// Whether it is the phone's, and which of the two streams it belongs to: RTCP may come on
    /// the RTP port (RFC 5761).
    fn admit(&mut self, now: Timestamp, arrival: &Arrival<'_>) -> Result<Port, DropReason> {
        let phone = self.sides[arrival.side.index()].phone.as_mut().ok_or(DropReason::NoPhone)?;
        let (known, kind) = match arrival.port {
            Port::Rtcp => (phone.accepts_rtcp(arrival.from), Port::Rtcp),
            // While the phone is not to be heard, nothing may be learned from a packet either.
            Port::Rtp if !phone.sends() => (phone.rtp_address() == arrival.from, Port::Rtp),
            Port::Rtp => (phone.accepts_rtp(now, arrival.from), Port::Rtp),
        };
        if !known {
            return Err(DropReason::Stranger);
        }
        let kind = if phone.muxes_rtcp() && is_rtcp(arrival.bytes) { Port::Rtcp } else { kind };
        // RTCP goes on during hold (RFC 3264 5.1).
        if kind == Port::Rtp && !phone.sends() { Err(DropReason::NotSending) } else { Ok(kind) }
    }

    /// Something changed that explains a silence so far.
    fn restart_silence(&mut self, now: Timestamp) {
        self.heard = now;
        if self.watch == Watch::Reported {
            self.watch = Watch::On;
        }
        for phone in self.sides.iter_mut().filter_map(|side| side.phone.as_mut()) {
            phone.reopen_window(now);
        }
    }
}

/// Where a packet goes for `listener` to hear it.
fn onward(kind: Port, listener: &Phone) -> Verdict {
    let (port, to) = match kind {
        Port::Rtcp if !listener.muxes_rtcp() => (Port::Rtcp, listener.rtcp_address()),
        Port::Rtp | Port::Rtcp => (Port::Rtp, listener.rtp_address()),
    };
    // RFC 3264 8.4: 0.0.0.0 once meant hold, and the system would send it to this very host.
    // A group of listeners would make an amplifier of us.
    let nobody = to.port() == 0 || to.ip().is_unspecified() || to.ip().is_multicast();
    if nobody { Verdict::Drop(DropReason::NobodyToHear) } else { Verdict::Relay { port, to } }
}

#[cfg(test)]
mod tests;
