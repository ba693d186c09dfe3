//! Which source address is a side's phone.
//!
//! ```text
//!              signalled address sends
//!   Learning ─────────────────────────────► Fixed ◄──┐
//!      │                                     ▲       │ the window ends
//!      │ another sends within the window     │ signalled address sends
//!      └────────────────────────────► Provisional ───┘ within the window
//! ```
//!
//! Under [`Latch::Signalled`] the machine starts in `Fixed`.

use std::net::SocketAddr;
use std::time::Duration;

use crate::value::{Latch, Remote, Timestamp};

/// For how long a phone behind NAT is waited for after signalling has said that it may send:
/// long enough for a slow answer, too short for a stranger who tries ports one by one.
pub const LEARNING_WINDOW: Duration = Duration::from_secs(10);

/// A side's phone and the sources it has been heard from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phone {
    remote: Remote,
    source: Source,
    /// Where its RTCP came from, once heard.
    rtcp: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Only this address.
    Fixed(SocketAddr),
    /// Nothing heard yet; until the end of the window anyone may be the phone.
    Learning { since: Timestamp },
    /// Heard from elsewhere than signalled; the signalled address may still claim its place.
    Provisional { heard: SocketAddr, since: Timestamp },
}

impl Phone {
    pub(crate) fn new(now: Timestamp, remote: Remote) -> Phone {
        let source = match remote.latch {
            Latch::Signalled => Source::Fixed(remote.rtp),
            Latch::FirstSource => Source::Learning { since: now },
        };
        Phone { remote, source, rtcp: None }
    }

    /// Signalling said this again (session refresh, hold): the same addresses keep what was
    /// learned, others start anew.
    pub(crate) fn resignalled(self, now: Timestamp, remote: Remote) -> Phone {
        let same = Remote { sends: remote.sends, ..self.remote } == remote;
        if same { Phone { remote, ..self } } else { Phone::new(now, remote) }
    }

    /// The other side became known, or the call was answered: only now can a phone that waits
    /// for its answer begin to send, so an unheard one is waited for again.
    pub(crate) fn reopen_window(&mut self, now: Timestamp) {
        if let Source::Learning { since } = &mut self.source {
            *since = now;
        }
    }

    /// True while the phone's packets are wanted.
    pub(crate) fn sends(&self) -> bool {
        self.remote.sends
    }

    /// RTCP and RTP share the RTP port (RFC 5761).
    pub(crate) fn muxes_rtcp(&self) -> bool {
        self.remote.rtcp == self.remote.rtp
    }

    /// Where packets for the phone go: where it was heard, else where it said.
    pub(crate) fn rtp_address(&self) -> SocketAddr {
        match self.source {
            Source::Fixed(address) => address,
            Source::Provisional { heard, .. } => heard,
            Source::Learning { .. } => self.remote.rtp,
        }
    }

    /// Where RTCP for the phone goes.
    pub(crate) fn rtcp_address(&self) -> SocketAddr {
        if self.muxes_rtcp() { self.rtp_address() } else { self.rtcp.unwrap_or(self.remote.rtcp) }
    }

    /// A packet came to the RTP port: is it the phone's?
    pub(crate) fn accepts_rtp(&mut self, now: Timestamp, from: SocketAddr) -> bool {
        let open = |since| now.since(since) < LEARNING_WINDOW;
        match self.source {
            Source::Fixed(address) => from == address,
            Source::Learning { .. } if from == self.remote.rtp => {
                self.source = Source::Fixed(from);
                true
            }
            Source::Learning { since } if open(since) => {
                self.source = Source::Provisional { heard: from, since };
                true
            }
            Source::Learning { .. } => false,
            Source::Provisional { heard, since } => {
                if !open(since) {
                    self.source = Source::Fixed(heard);
                } else if from == self.remote.rtp {
                    self.source = Source::Fixed(from);
                    self.rtcp = None;
                    return true;
                }
                from == heard
            }
        }
    }

    /// A packet came to the RTCP port: is it the phone's?
    ///
    /// A phone whose RTP was learned shows its RTCP from the same host: that host's first packet
    /// fixes the port that its NAT chose. RTCP alone teaches nothing.
    pub(crate) fn accepts_rtcp(&mut self, from: SocketAddr) -> bool {
        if self.muxes_rtcp() {
            return false;
        }
        if let Some(known) = self.rtcp {
            return from == known;
        }
        let learned = match self.source {
            Source::Fixed(address) if address != self.remote.rtp => Some(address),
            Source::Provisional { heard, .. } => Some(heard),
            Source::Fixed(_) | Source::Learning { .. } => None,
        };
        let expected = match learned {
            Some(host) => from.ip() == host.ip(),
            None => from == self.remote.rtcp,
        };
        if expected {
            self.rtcp = Some(from);
        }
        expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNALLED: &str = "192.168.1.20:4000";
    const NAT: &str = "203.0.113.9:61000";
    const STRANGER: &str = "198.51.100.66:4000";

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn phone(latch: Latch) -> Phone {
        let rtp = address(SIGNALLED);
        let rtcp = address("192.168.1.20:4001");
        Phone::new(at(0), Remote { rtp, rtcp, latch, sends: true })
    }

    #[test]
    fn a_signalled_phone_is_heard_from_its_address_and_port_only() {
        let mut phone = phone(Latch::Signalled);
        for other in [STRANGER, "192.168.1.20:4002", "192.168.1.21:4000"] {
            assert!(!phone.accepts_rtp(at(0), address(other)), "{other}");
        }
        assert!(phone.accepts_rtp(at(100), address(SIGNALLED)));
        assert!(!phone.accepts_rtp(at(100), address(STRANGER)));
    }

    #[test]
    fn a_phone_behind_nat_is_learned_from_its_first_packet() {
        let mut phone = phone(Latch::FirstSource);
        assert_eq!(phone.rtp_address(), address(SIGNALLED));
        assert!(phone.accepts_rtp(at(1), address(NAT)));
        assert_eq!(phone.rtp_address(), address(NAT));
        assert!(!phone.accepts_rtp(at(1), address(STRANGER)));
        assert!(phone.accepts_rtp(at(100), address(NAT)));
        assert!(!phone.accepts_rtp(at(100), address(SIGNALLED)), "fixed by now");
    }

    #[test]
    fn the_signalled_address_is_preferred_within_the_window() {
        let mut phone = phone(Latch::FirstSource);
        assert!(phone.accepts_rtp(at(1), address(STRANGER)), "quicker than the phone");
        assert!(phone.accepts_rtp(at(2), address(SIGNALLED)));
        assert!(!phone.accepts_rtp(at(2), address(STRANGER)));
        assert_eq!(phone.rtp_address(), address(SIGNALLED));
    }

    #[test]
    fn after_the_window_only_the_signalled_address_can_begin() {
        let mut phone = phone(Latch::FirstSource);
        assert!(!phone.accepts_rtp(at(10), address(STRANGER)));
        assert!(phone.accepts_rtp(at(60), address(SIGNALLED)));
    }

    #[test]
    fn the_answer_opens_the_window_again_for_an_unheard_phone_only() {
        let mut waiting = phone(Latch::FirstSource);
        waiting.reopen_window(at(30));
        assert!(waiting.accepts_rtp(at(31), address(NAT)));
        waiting.reopen_window(at(60));
        assert!(!waiting.accepts_rtp(at(61), address(STRANGER)));
    }

    #[test]
    fn a_session_refresh_keeps_what_was_learned() {
        let mut phone = phone(Latch::FirstSource);
        assert!(phone.accepts_rtp(at(1), address(NAT)));
        let mut refreshed = phone.resignalled(at(60), Remote { sends: false, ..phone.remote });
        assert!(!refreshed.accepts_rtp(at(61), address(STRANGER)));
        assert!(refreshed.accepts_rtp(at(61), address(NAT)));
    }

    #[test]
    fn a_moved_phone_is_heard_from_its_new_address_at_once() {
        let moved = Remote { rtp: address("10.0.0.5:7000"), ..phone(Latch::Signalled).remote };
        let mut phone = phone(Latch::Signalled).resignalled(at(60), moved);
        assert!(phone.accepts_rtp(at(60), address("10.0.0.5:7000")));
        assert!(!phone.accepts_rtp(at(60), address(SIGNALLED)));
    }

    #[test]
    fn rtcp_is_taken_from_where_it_was_signalled() {
        let mut phone = phone(Latch::Signalled);
        assert!(!phone.accepts_rtcp(address(STRANGER)));
        assert!(!phone.accepts_rtcp(address(SIGNALLED)));
        assert!(phone.accepts_rtcp(address("192.168.1.20:4001")));
    }

    #[test]
    fn rtcp_behind_nat_follows_the_learned_host() {
        let mut phone = phone(Latch::FirstSource);
        assert!(!phone.accepts_rtcp(address("203.0.113.9:61001")), "RTP not heard yet");
        assert!(phone.accepts_rtp(at(1), address(NAT)));
        assert!(!phone.accepts_rtcp(address(STRANGER)));
        assert!(phone.accepts_rtcp(address("203.0.113.9:61777")));
        assert_eq!(phone.rtcp_address(), address("203.0.113.9:61777"));
        assert!(!phone.accepts_rtcp(address("203.0.113.9:61778")), "fixed by now");
    }
}
