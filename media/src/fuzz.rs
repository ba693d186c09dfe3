//! Bodies of the fuzz targets: a datagram from a phone must change nothing but counters.

use std::net::{Ipv4Addr, SocketAddr};

use crate::{
    Arrival, DropReason, Latch, Port, Remote, RtpHeader, Session, Side, Timestamp, Verdict,
};

const PHONE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4000);
const OTHER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 5000);

/// A stream on an RTP port: two bytes of length and two of milliseconds before each packet.
pub fn rtp(input: &[u8]) {
    let mut session = session(false);
    let (mut rest, mut now, mut headers) = (input, 0_u64, 0_u64);
    while let Some((&[l0, l1, m0, m1], tail)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([l0, l1])).min(tail.len());
        let (bytes, tail) = tail.split_at(length);
        rest = tail;
        // A packet a millisecond at most: what a flood is, is decided elsewhere.
        now += 1000 + u64::from(u16::from_be_bytes([m0, m1])) * 1000;
        headers += u64::from(RtpHeader::read(bytes).is_some());
        let now = Timestamp::from_micros(now);
        let heard = Arrival { side: Side::A, port: Port::Rtp, from: PHONE, bytes };
        assert_eq!(session.packet(now, heard), Verdict::Relay { port: Port::Rtp, to: OTHER });
        let bled = Arrival { from: OTHER, ..heard };
        assert_eq!(session.packet(now, bled), Verdict::Drop(DropReason::Stranger));
    }
    let counters = session.counters(Side::A);
    assert_eq!(counters.packets, headers);
    assert!(counters.jitter_ms.is_finite() && counters.loss_ratio() <= 1.0);
}

/// One datagram on a shared port: RTCP leaves for the RTCP port, the rest for the RTP port.
pub fn rtcp(input: &[u8]) {
    let mut session = session(true);
    let now = Timestamp::from_micros(1);
    let arrival = Arrival { side: Side::A, port: Port::Rtp, from: PHONE, bytes: input };
    let report = SocketAddr::new(OTHER.ip(), OTHER.port() + 1);
    let expected = if crate::is_rtcp(input) {
        Verdict::Relay { port: Port::Rtcp, to: report }
    } else {
        Verdict::Relay { port: Port::Rtp, to: OTHER }
    };
    assert_eq!(session.packet(now, arrival), expected);
    assert!(session.counters(Side::A).packets <= 1);
    let on_odd_port = Arrival { port: Port::Rtcp, from: report, side: Side::B, ..arrival };
    let expected = Verdict::Relay { port: Port::Rtp, to: PHONE };
    assert_eq!(session.packet(now, on_odd_port), expected);
}

fn session(mux: bool) -> Session {
    let rtcp = |rtp: SocketAddr| SocketAddr::new(rtp.ip(), rtp.port() + 1);
    let remote = |rtp| Remote { rtp, rtcp: rtcp(rtp), latch: Latch::Signalled, sends: true };
    let caller = if mux { Remote { rtcp: PHONE, ..remote(PHONE) } } else { remote(PHONE) };
    let mut session = Session::default();
    session.set_remote(Timestamp::default(), Side::A, caller);
    session.set_remote(Timestamp::default(), Side::B, remote(OTHER));
    session
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_stream_only_counts(input in prop::collection::vec(any::<u8>(), 0..600)) {
            super::rtp(&input);
        }

        #[test]
        fn a_plausible_stream_only_counts(
            packets in prop::collection::vec((any::<u8>(), any::<[u8; 12]>()), 0..60)
        ) {
            let mut input = Vec::new();
            for (millis, mut header) in packets {
                header[0] |= 0x80;
                header[1] %= 4;
                input.extend([0, 12, 0, millis]);
                input.extend(header);
            }
            super::rtp(&input);
        }

        #[test]
        fn any_datagram_finds_its_port(input in prop::collection::vec(any::<u8>(), 0..40)) {
            super::rtcp(&input);
        }

        #[test]
        fn any_report_finds_its_port(kind: u8, rest in prop::collection::vec(any::<u8>(), 0..40)) {
            super::rtcp(&[&[0x80, kind][..], &rest].concat());
        }
    }
}
