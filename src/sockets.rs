//! The SIP sockets of a node and the address that each tells its peers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use tensou_config::{Advertise, Host, Sip, SipListener, SipTransport};
use tensou_engine::{Listener, Transport};

use crate::handover::{Inheritance, keep};
use crate::sys::{bind_tcp, bind_udp, mark, tune_udp};

/// Socket buffers: about 3,000 INVITEs, half a second of 6,000 messages/s, while the engine's
/// thread is held up.
const BUFFER: usize = 4 << 20;

/// A bound socket and how the engine knows it.
pub(crate) struct Bound {
    /// The socket.
    pub(crate) socket: Socket,
    /// Its listener.
    pub(crate) listener: Listener,
}

/// A bound socket.
pub(crate) enum Socket {
    /// Of the engine's thread.
    Udp(UdpSocket),
    /// Of the switchboard.
    Stream(TcpListener),
}

/// A socket that could not be had.
#[derive(Debug)]
pub(crate) struct Refused {
    listener: SipListener,
    error: io::Error,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.listener, self.error)
    }
}

impl std::error::Error for Refused {}

/// Every listener of the settings, those of UDP first: as the process before left it, or bound.
pub(crate) fn bind_all(sip: &Sip, left: &mut Inheritance) -> Result<Vec<Bound>, Refused> {
    let of = |datagrams: bool| {
        let is = move |one: &&SipListener| (one.transport == SipTransport::Udp) == datagrams;
        sip.listen.iter().filter(is)
    };
    let bound = of(true).chain(of(false)).map(|listener| {
        bind(*listener, sip, left).map_err(|error| Refused { listener: *listener, error })
    });
    bound.collect()
}

fn bind(listener: SipListener, sip: &Sip, left: &mut Inheritance) -> io::Result<Bound> {
    let class = sip.dscp.traffic_class();
    let (socket, address, transport) = match listener.transport {
        SipTransport::Udp => {
            let socket = match left.datagrams(listener.address) {
                Some(socket) => socket,
                None => bind_udp(listener.address)?,
            };
            tune_udp(&socket, BUFFER, class)?;
            let address = socket.local_addr()?;
            keep("sip", address, &socket);
            (Socket::Udp(socket), address, Transport::Udp)
        }
        SipTransport::Tcp | SipTransport::Tls => {
            let socket = match left.listener(listener.address) {
                Some(socket) => socket,
                None => bind_tcp(listener.address)?,
            };
            let address = socket.local_addr()?;
            mark(&socket, address.ip(), class)?;
            keep("sip-streams", address, &socket);
            let transport = match listener.transport {
                SipTransport::Tls => Transport::Tls,
                SipTransport::Tcp | SipTransport::Udp => Transport::Tcp,
            };
            (Socket::Stream(socket), address, transport)
        }
    };
    let (host, port) = advertised(address, transport, sip.advertise.as_ref());
    let listener = Listener {
        transport,
        address,
        advertise_host: host.as_str().to_owned(),
        advertise_port: port,
    };
    Ok(Bound { socket, listener })
}

/// A port in the setting is that of UDP and TCP; TLS has its own.
fn advertised(address: SocketAddr, transport: Transport, given: Option<&Advertise>) -> (Host, u16) {
    match given {
        Some(given) => {
            let port = given.port.filter(|_| transport != Transport::Tls);
            (given.host.clone(), port.unwrap_or(address.port()))
        }
        None => (Host::from(reachable(address.ip())), address.port()),
    }
}

/// An address at which peers reach what is bound to `bound`: itself, or for "any" that of the
/// interface with the default route.
pub(crate) fn reachable(bound: IpAddr) -> IpAddr {
    if !bound.is_unspecified() {
        return bound;
    }
    default_route(bound).unwrap_or(match bound {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    })
}

/// The source address that the kernel would choose towards the outside. Connecting a UDP socket
/// looks the route up and sends nothing; the destinations are documentation addresses (RFC 5737,
/// RFC 3849).
fn default_route(family: IpAddr) -> Option<IpAddr> {
    let outside: SocketAddr = match family {
        IpAddr::V4(_) => (Ipv4Addr::new(192, 0, 2, 1), 9).into(),
        IpAddr::V6(_) => (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into(),
    };
    let socket = UdpSocket::bind((family, 0)).ok()?;
    socket.connect(outside).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_address_is_advertised_as_it_is() {
        let address: SocketAddr = "192.0.2.7:5070".parse().unwrap();
        let (host, port) = advertised(address, Transport::Udp, None);
        assert_eq!((host.as_str(), port), ("192.0.2.7", 5070));
        let address: SocketAddr = "[2001:db8::7]:5070".parse().unwrap();
        assert_eq!(advertised(address, Transport::Udp, None).0.as_str(), "[2001:db8::7]");
    }

    #[test]
    fn the_setting_wins_and_may_leave_the_port_to_the_socket() {
        let address: SocketAddr = "0.0.0.0:5070".parse().unwrap();
        let given = Advertise::parse("sip.example.jp").unwrap();
        let (host, port) = advertised(address, Transport::Udp, Some(&given));
        assert_eq!((host.as_str(), port), ("sip.example.jp", 5070));
        let given = Advertise::parse("sip.example.jp:6000").unwrap();
        assert_eq!(advertised(address, Transport::Udp, Some(&given)).1, 6000);
        assert_eq!(advertised(address, Transport::Tls, Some(&given)).1, 5070);
    }

    #[test]
    fn any_address_becomes_one_that_can_be_reached() {
        assert!(!reachable(Ipv4Addr::UNSPECIFIED.into()).is_unspecified());
        assert!(!reachable(Ipv6Addr::UNSPECIFIED.into()).is_unspecified());
    }
}
