//! A look at the fixed header of an RTP packet.

/// What the relay counts by. Nothing of it decides whether a packet is relayed: T.38 (UDPTL) and
/// whatever else two phones agree on passes too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Sampling instant in units of the payload's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl RtpHeader {
    /// Reads the fixed header (RFC 3550 5.1); `None` if this is not RTP version 2.
    pub fn read(packet: &[u8]) -> Option<RtpHeader> {
        let header: &[u8; 12] = packet.first_chunk()?;
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *header;
        (first >> 6 == 2).then_some(RtpHeader {
            payload_type: second & 0x7F,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
        })
    }

    /// The clock of the payload types whose clock RFC 3551 6 fixes.
    pub(crate) fn fixed_clock_hz(&self) -> Option<u32> {
        match self.payload_type {
            0 | 3..=5 | 7..=9 | 12 | 13 | 15 | 18 => Some(8_000),
            6 => Some(16_000),
            10 | 11 => Some(44_100),
            16 => Some(11_025),
            17 => Some(22_050),
            14 | 25 | 26 | 28 | 31..=34 => Some(90_000),
            _ => None,
        }
    }
}

/// True for RTCP among RTP on one port (RFC 5761 4: packet types 192 to 223).
pub fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [first, 192..=223, _, _, ..] if first >> 6 == 2)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A G.711 packet of 20 ms.
    pub(crate) fn packet(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
        let mut bytes = vec![0x80, payload_type];
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(timestamp.to_be_bytes());
        bytes.extend(ssrc.to_be_bytes());
        bytes.extend([0x55; 160]);
        bytes
    }

    #[test]
    fn the_fields_of_the_fixed_header_are_read() {
        let header = RtpHeader::read(&packet(0x80 | 101, 0x1234, 0x5678_9ABC, 0xDEAD_BEEF));
        let expected = RtpHeader {
            payload_type: 101,
            sequence: 0x1234,
            timestamp: 0x5678_9ABC,
            ssrc: 0xDEAD_BEEF,
        };
        assert_eq!(header, Some(expected));
    }

    #[test]
    fn what_is_not_rtp_version_2_is_not_taken_for_it() {
        let whole = packet(0, 1, 160, 7);
        assert_eq!(RtpHeader::read(&whole[..11]), None, "cut short");
        assert_eq!(RtpHeader::read(&[]), None);
        let mut udptl = whole;
        udptl[0] = 0;
        assert_eq!(RtpHeader::read(&udptl), None);
    }

    #[test]
    fn rtcp_is_told_from_rtp_on_a_shared_port() {
        let sender_report = [0x80, 200, 0, 6];
        assert!(is_rtcp(&sender_report));
        assert!(!is_rtcp(&packet(0, 1, 1, 1)));
        assert!(!is_rtcp(&packet(0x80 | 101, 1, 1, 1)), "a marked telephone-event");
        assert!(!is_rtcp(&[0x80, 200, 0]), "cut short");
        assert!(!is_rtcp(&[0x00, 200, 0, 6]), "another version");
    }
}
