//! Peers of a trunk: from their texts and tables to the engine's values.

use std::net::{IpAddr, SocketAddr};

use tensou_engine::Transport;
use tensou_engine::route::{PeerHost, PeerSpec};

use super::fields::Faults;
use crate::model::{Peer, PeerTable};

const TRANSPORTS: &[(&str, Transport)] =
    &[("udp", Transport::Udp), ("tcp", Transport::Tcp), ("tls", Transport::Tls)];
/// Equal shares for peers that name none.
const DEFAULT_WEIGHT: u16 = 1;

/// Most peers of a trunk.
const MAX_PEERS: usize = 256;

/// The peers of a trunk.
pub(crate) fn all(faults: &mut Faults, given: &[Peer]) -> Vec<PeerSpec> {
    if given.len() > MAX_PEERS {
        faults.add("peers", format!("at most {MAX_PEERS}"));
    }
    let given = given.iter().take(MAX_PEERS).enumerate();
    given.filter_map(|(at, one)| peer(faults, at, one)).collect()
}

/// The peer that stands at `place` of its list.
fn peer(faults: &mut Faults, place: usize, given: &Peer) -> Option<PeerSpec> {
    let field = format!("peers[{place}]");
    let order = u16::try_from(place).unwrap_or(u16::MAX);
    match given {
        Peer::Text(text) => self::text(faults, &field, order, text),
        Peer::Table(table) => self::table(faults, &field, order, table),
    }
}

/// A peer written as `host:port` or as a SIP URI without user.
pub(super) fn text(faults: &mut Faults, field: &str, order: u16, text: &str) -> Option<PeerSpec> {
    let Some((host, port, transport)) = read(text) else {
        faults.add(
            field,
            format!(
                "\"{text}\" is no peer (192.0.2.7:5060, [2001:db8::7]:5060, sip.example.jp, \
                 sip:sip.example.jp:5060;transport=tcp)"
            ),
        );
        return None;
    };
    Some(PeerSpec { host, port, transport, priority: order, weight: DEFAULT_WEIGHT })
}

fn table(faults: &mut Faults, field: &str, order: u16, given: &PeerTable) -> Option<PeerSpec> {
    let host = host(&given.host);
    if host.is_none() {
        let message = format!("\"{}\" is no address and no host name", given.host);
        faults.add(format!("{field}.host"), message);
    }
    if given.port == Some(0) {
        faults.add(format!("{field}.port"), "a port is 1 to 65535");
    }
    let transport = match &given.transport {
        Some(word) => Some(faults.word(&format!("{field}.transport"), word, TRANSPORTS)?),
        None => None,
    };
    Some(PeerSpec {
        host: host?,
        port: given.port.filter(|port| *port != 0),
        transport,
        priority: given.priority.unwrap_or(order),
        weight: given.weight.unwrap_or(DEFAULT_WEIGHT),
    })
}

/// `host:port`, or a SIP URI without user.
fn read(text: &str) -> Option<(PeerHost, Option<u16>, Option<Transport>)> {
    let scheme = |name: &str| {
        let (scheme, rest) = text.split_at_checked(name.len())?;
        scheme.eq_ignore_ascii_case(name).then_some(rest)
    };
    let (place, mut transport) = match (scheme("sips:"), scheme("sip:")) {
        (Some(rest), _) => (rest, Some(Transport::Tls)),
        (None, Some(rest)) => (rest, None),
        (None, None) => {
            let (host, port) = host_port(text)?;
            return Some((host, port, None));
        }
    };
    let mut parts = place.split(';');
    let (host, port) = host_port(parts.next()?)?;
    for part in parts {
        let (name, word) = part.split_once('=')?;
        let found = TRANSPORTS.iter().find(|(one, _)| one.eq_ignore_ascii_case(word))?;
        if !name.eq_ignore_ascii_case("transport") {
            return None;
        }
        transport = match (transport, found.1) {
            // RFC 3261 26.2.2: sips over TCP is TLS.
            (Some(Transport::Tls), Transport::Tcp | Transport::Tls) => Some(Transport::Tls),
            (Some(Transport::Tls), Transport::Udp) => return None,
            (_, transport) => Some(transport),
        };
    }
    Some((host, port, transport))
}

fn host_port(text: &str) -> Option<(PeerHost, Option<u16>)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        let port = Some(address.port()).filter(|port| *port != 0)?;
        return Some((PeerHost::Address(address.ip()), Some(port)));
    }
    if let Some(host) = host(text) {
        return Some((host, None));
    }
    let (name, port) = text.split_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    match host(name)? {
        PeerHost::Address(_) => None,
        name => Some((name, Some(port))),
    }
}

fn host(text: &str) -> Option<PeerHost> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(ip) => Some(PeerHost::Address(ip)),
        Err(_) => is_host_name(text).then(|| PeerHost::Name(text.to_owned())),
    }
}

/// RFC 1123 2.1. A last label of digits only is an address with a typing error, never a name.
pub(crate) fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|ch| ch.is_ascii_alphanumeric() || ch == '-')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(label) && !last.chars().all(|ch| ch.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(host: &str, port: Option<u16>) -> Option<(PeerHost, Option<u16>)> {
        Some((PeerHost::Name(host.to_owned()), port))
    }

    #[test]
    fn a_peer_is_an_address_or_a_name_and_a_name_without_port_is_left_to_dns() {
        let at = |ip: &str, port| Some((PeerHost::Address(ip.parse().unwrap()), port));
        assert_eq!(host_port("192.0.2.7:5062"), at("192.0.2.7", Some(5062)));
        assert_eq!(host_port("192.0.2.7"), at("192.0.2.7", None));
        assert_eq!(host_port("[2001:db8::7]:5062"), at("2001:db8::7", Some(5062)));
        assert_eq!(host_port("[2001:db8::7]"), at("2001:db8::7", None));
        assert_eq!(host_port("2001:db8::7"), at("2001:db8::7", None));
        assert_eq!(host_port("sip.example.jp:5080"), named("sip.example.jp", Some(5080)));
        assert_eq!(host_port("gateway"), named("gateway", None));
        for wrong in ["", ":5060", "192.0.2.300:5060", "192.0.2:5060", "a b:1", "host:", "host:0"] {
            assert_eq!(host_port(wrong), None, "{wrong}");
        }
        for wrong in ["host:70000", "-a.jp", "192.0.2.7:0", "sip:host:5060"] {
            assert_eq!(host_port(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_uri_names_the_transport_and_sips_is_tls() {
        let transport = |text: &str| read(text).map(|(_, _, transport)| transport);
        assert_eq!(transport("gateway:5060"), Some(None));
        assert_eq!(transport("sip:gateway"), Some(None));
        assert_eq!(transport("SIP:gateway:5070;transport=TCP"), Some(Some(Transport::Tcp)));
        assert_eq!(transport("sip:192.0.2.7;transport=tls"), Some(Some(Transport::Tls)));
        assert_eq!(transport("sips:gateway;transport=tcp"), Some(Some(Transport::Tls)));
        for wrong in ["sips:gateway;transport=udp", "sip:gateway;transport=ws", "sip:gateway;lr"] {
            assert_eq!(transport(wrong), None, "{wrong}");
        }
        for wrong in ["sip:user@gateway", "tel:0312345678", "gateway;transport=tcp", "sip:"] {
            assert_eq!(transport(wrong), None, "{wrong}");
        }
    }
}
