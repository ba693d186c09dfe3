//! Peers of a trunk: where calls that leave by it are sent.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use crate::input::Transport;
use crate::sip::syntax::{put_ipv4, put_number};
use crate::sip::transport::{Question, Target};

/// Share of a peer that names none among those of its priority.
const DEFAULT_WEIGHT: u16 = 1;

/// One peer of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSpec {
    /// Its address or name.
    pub host: PeerHost,
    /// Its port. A name without one is looked up by SRV (RFC 3263 4.2); an address without one
    /// has the port of its transport.
    pub port: Option<u16>,
    /// How it is reached. None leaves it to the name's records, and is UDP for an address.
    pub transport: Option<Transport>,
    /// Lower is tried first.
    pub priority: u16,
    /// Share of the calls among peers of one priority (RFC 2782); 0 is the smallest.
    pub weight: u16,
}

/// How a peer is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerHost {
    /// Written as an address.
    Address(IpAddr),
    /// A name, looked up when a call goes there.
    Name(String),
}

/// What to do with a request too large for a datagram on every path (RFC 3261 18.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LargeRequests {
    /// By TCP, and by UDP where TCP fails.
    #[default]
    Tcp,
    /// By UDP all the same: the trunk takes no TCP, and the path carries fragments.
    Udp,
}

impl PeerSpec {
    /// A peer at an address, by UDP, first in order.
    pub fn at(address: SocketAddr) -> PeerSpec {
        PeerSpec {
            host: PeerHost::Address(address.ip()),
            port: Some(address.port()),
            transport: None,
            priority: 0,
            weight: DEFAULT_WEIGHT,
        }
    }

    /// Its address, when it is written as one.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.host {
            PeerHost::Address(ip) => {
                let transport = self.transport.unwrap_or(Transport::Udp);
                Some(SocketAddr::new(ip, self.port.unwrap_or(transport.default_port())))
            }
            PeerHost::Name(_) => None,
        }
    }

    /// Its address and how it is reached, when it is written as one.
    pub(crate) fn target(&self) -> Option<Target> {
        let transport = self.transport.unwrap_or(Transport::Udp);
        self.address().map(|address| Target { address, transport })
    }

    /// What to look up, when it is a name.
    pub(crate) fn question(&self) -> Option<Question> {
        match &self.host {
            PeerHost::Name(name) => Some(Question {
                host: name.as_str().into(),
                port: self.port,
                transport: self.transport,
            }),
            PeerHost::Address(_) => None,
        }
    }

    /// Where it is, as it stands in a Request-URI after the user: `host:port;transport=tcp`.
    pub(crate) fn uri_place(&self) -> String {
        let mut text = Vec::with_capacity(32);
        match &self.host {
            PeerHost::Address(IpAddr::V4(ip)) => put_ipv4(&mut text, *ip),
            // Writing into a Vec cannot fail.
            host => drop(write!(text, "{host}")),
        }
        if let Some(port) = self.address().map(|address| address.port()).or(self.port) {
            text.push(b':');
            put_number(&mut text, port.into());
        }
        text.extend_from_slice(match self.transport {
            None | Some(Transport::Udp) => b"",
            Some(Transport::Tcp) => b";transport=tcp",
            Some(Transport::Tls) => b";transport=tls",
        });
        String::from_utf8(text).unwrap_or_default()
    }
}

impl std::fmt::Display for PeerHost {
    /// As it stands in a URI.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PeerHost::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            PeerHost::Address(IpAddr::V4(ip)) => write!(f, "{ip}"),
            PeerHost::Name(name) => f.write_str(name),
        }
    }
}

impl std::fmt::Display for PeerSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.uri_place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_stands_in_a_request_uri_as_it_is_reached() {
        let v4 = PeerSpec::at("192.0.2.10:5060".parse().unwrap());
        assert_eq!(v4.uri_place(), "192.0.2.10:5060");
        let v6 = PeerSpec {
            transport: Some(Transport::Tcp),
            ..PeerSpec::at("[2001:db8::1]:5070".parse().unwrap())
        };
        assert_eq!(v6.uri_place(), "[2001:db8::1]:5070;transport=tcp");
        let name = PeerSpec {
            host: PeerHost::Name("sip.example.jp".to_owned()),
            port: None,
            transport: Some(Transport::Tls),
            ..v4
        };
        assert_eq!(name.uri_place(), "sip.example.jp;transport=tls");
        assert_eq!(name.address(), None);
    }
}
