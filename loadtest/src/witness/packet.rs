//! IP packets taken apart as far as the witness needs: who to whom, and what.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Micros;

/// IANA protocol numbers.
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A SIP message on its way, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When the kernel saw it.
    pub at: Micros,
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// The message, whole.
    pub payload: Vec<u8>,
}

/// What an IP packet carried.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    /// A datagram.
    Udp { from: SocketAddr, to: SocketAddr, payload: &'a [u8] },
    /// A piece of a stream; `opens` with SYN, when `seq` is one less than the first byte's.
    Tcp { from: SocketAddr, to: SocketAddr, seq: u32, opens: bool, payload: &'a [u8] },
}

/// Reads an IP packet; none for anything but UDP and TCP, and for later fragments.
pub(crate) fn dissect(packet: &[u8]) -> Option<Segment<'_>> {
    let (source, target, protocol, body) = match packet.first()? >> 4 {
        4 => ipv4(packet)?,
        6 => ipv6(packet)?,
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
    let from = SocketAddr::new(source, port(0)?);
    let to = SocketAddr::new(target, port(2)?);
    match protocol {
        UDP => Some(Segment::Udp { from, to, payload: body.get(8..usize::from(port(4)?))? }),
        TCP => {
            let seq = u32::from_be_bytes(body.get(4..8)?.try_into().ok()?);
            let payload = body.get(usize::from(body.get(12)? >> 4) * 4..)?;
            Some(Segment::Tcp { from, to, seq, opens: body.get(13)? & 0x02 != 0, payload })
        }
        _ => None,
    }
}

type Inner<'a> = (IpAddr, IpAddr, u8, &'a [u8]);

fn ipv4(packet: &[u8]) -> Option<Inner<'_>> {
    let header = usize::from(packet[0] & 0x0F) * 4;
    let total = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    let fragment = u16::from_be_bytes(packet.get(6..8)?.try_into().ok()?) & 0x1FFF;
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets).into())
    };
    // Segmentation offload leaves the total length 0.
    let end = if total == 0 { packet.len() } else { total.min(packet.len()) };
    let body = packet.get(header..end)?;
    (fragment == 0).then_some((address(12)?, address(16)?, *packet.get(9)?, body))
}

fn ipv6(packet: &[u8]) -> Option<Inner<'_>> {
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(octets).into())
    };
    Some((address(8)?, address(24)?, *packet.get(6)?, packet.get(40..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(payload: &[u8]) -> Vec<u8> {
        let length = (28 + payload.len()) as u16;
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, UDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet.extend_from_slice(&5060u16.to_be_bytes());
        packet.extend_from_slice(&5070u16.to_be_bytes());
        packet.extend_from_slice(&(length - 20).to_be_bytes());
        packet.extend_from_slice(&[0, 0]);
        packet.extend_from_slice(payload);
        packet
    }

    #[test]
    fn a_datagram_is_read_without_what_the_network_padded() {
        let mut packet = udp(b"BYE");
        packet.extend_from_slice(&[0; 9]);
        let from = "10.0.0.1:5060".parse().unwrap();
        let to = "10.0.0.2:5070".parse().unwrap();
        assert_eq!(dissect(&packet), Some(Segment::Udp { from, to, payload: b"BYE" }));
    }

    #[test]
    fn a_later_fragment_and_a_torn_packet_are_nothing() {
        let mut fragment = udp(b"BYE");
        fragment[7] = 1;
        assert_eq!(dissect(&fragment), None);
        let whole = udp(b"BYE");
        for end in 0..whole.len() {
            assert_eq!(dissect(&whole[..end]), None, "{end}");
        }
    }
}
