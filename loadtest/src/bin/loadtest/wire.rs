//! The way that a raw part's messages go: a UDP socket, or TCP connections in both directions.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, connect, setsockopt, socket,
    sockopt,
};

use crate::case_file::Transport;

/// How often connections are looked at.
const TURN: Duration = Duration::from_millis(2);
/// No message of a case is longer.
const LONGEST: usize = 65_536;

/// See the module.
pub(crate) enum Wire {
    Datagrams { socket: UdpSocket, server: SocketAddr },
    Streams(Streams),
}

/// A TCP listener and the connections made either way. What is sent goes by the connection that
/// was made or heard last.
pub(crate) struct Streams {
    here: SocketAddr,
    server: SocketAddr,
    listener: TcpListener,
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) fn open(transport: Transport, here: SocketAddr, server: SocketAddr) -> Result<Wire> {
        match transport {
            Transport::Udp => {
                let socket = UdpSocket::bind(here).with_context(|| here.to_string())?;
                Ok(Wire::Datagrams { socket, server })
            }
            Transport::Tcp | Transport::Tls => {
                let listener = TcpListener::bind(here).with_context(|| here.to_string())?;
                listener.set_nonblocking(true)?;
                let mut streams = Streams { here, server, listener, connections: Vec::new() };
                streams.connect()?;
                Ok(Wire::Streams(streams))
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Wire::Datagrams { socket, server } => {
                socket.send_to(bytes, *server)?;
            }
            Wire::Streams(streams) => {
                let last = streams.connections.last_mut().context("no connection stands")?;
                last.stream.write_all(bytes)?;
            }
        }
        Ok(())
    }

    /// The next message; none when the deadline passes before.
    pub(crate) fn receive(&mut self, deadline: Instant) -> Result<Option<String>> {
        match self {
            Wire::Datagrams { socket, .. } => datagram(socket, deadline),
            Wire::Streams(streams) => streams.receive(deadline),
        }
    }

    /// A connection more to the server.
    pub(crate) fn connect(&mut self) -> Result<()> {
        match self {
            Wire::Datagrams { .. } => anyhow::bail!("UDP has no connections"),
            Wire::Streams(streams) => streams.connect(),
        }
    }

    /// Every connection ends with RST, as when a machine is switched off and on again.
    pub(crate) fn reset(&mut self) -> Result<()> {
        let Wire::Streams(streams) = self else { anyhow::bail!("UDP has no connections") };
        let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
        for connection in streams.connections.drain(..) {
            setsockopt(&connection.stream, sockopt::Linger, &at_once)?;
        }
        Ok(())
    }
}

fn datagram(socket: &UdpSocket, deadline: Instant) -> Result<Option<String>> {
    let mut buffer = [0u8; LONGEST];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv_from(&mut buffer) {
            Ok((len, _)) => return Ok(Some(String::from_utf8_lossy(&buffer[..len]).into_owned())),
            // ECONNREFUSED tells of an earlier datagram that nobody took.
            Err(error) if is_for_later(error.kind()) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_for_later(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused)
}

impl Streams {
    /// From the part's own address, by which the server knows its trunk.
    fn connect(&mut self) -> Result<()> {
        let place = || format!("a connection from {} to {}", self.here.ip(), self.server);
        let stream = connection(self.here.ip(), self.server).with_context(place)?;
        self.adopt(stream)
    }

    fn adopt(&mut self, stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TURN))?;
        self.connections.push(Connection { stream, unread: Vec::new() });
        Ok(())
    }

    fn receive(&mut self, deadline: Instant) -> Result<Option<String>> {
        while Instant::now() < deadline {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    self.adopt(stream)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            let mut heard = None;
            let mut at = 0;
            while heard.is_none() && at < self.connections.len() {
                match self.connections[at].hear() {
                    Heard::Message(message) => heard = Some((at, message)),
                    Heard::Nothing => at += 1,
                    Heard::End => drop(self.connections.remove(at)),
                }
            }
            if let Some((at, message)) = heard {
                let connection = self.connections.remove(at);
                self.connections.push(connection);
                return Ok(Some(message));
            }
            if self.connections.is_empty() {
                std::thread::sleep(TURN);
            }
        }
        Ok(None)
    }
}

/// The standard library does not choose where a connection begins.
fn connection(from: IpAddr, to: SocketAddr) -> nix::Result<TcpStream> {
    let opened = |family| socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
    let fd = match (from, to) {
        (IpAddr::V4(from), SocketAddr::V4(to)) => {
            let fd = opened(AddressFamily::Inet)?;
            bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(from, 0)))?;
            connect(fd.as_raw_fd(), &SockaddrIn::from(to))?;
            fd
        }
        (IpAddr::V6(from), SocketAddr::V6(to)) => {
            let fd = opened(AddressFamily::Inet6)?;
            bind(fd.as_raw_fd(), &SockaddrIn6::from(SocketAddrV6::new(from, 0, 0, 0)))?;
            connect(fd.as_raw_fd(), &SockaddrIn6::from(to))?;
            fd
        }
        (IpAddr::V4(_), _) | (IpAddr::V6(_), _) => return Err(nix::Error::EAFNOSUPPORT),
    };
    Ok(TcpStream::from(fd))
}

/// What a look at a connection brought.
enum Heard {
    Message(String),
    Nothing,
    End,
}

impl Connection {
    fn hear(&mut self) -> Heard {
        if let Some(len) = whole(&self.unread) {
            let message: Vec<u8> = self.unread.drain(..len).collect();
            return Heard::Message(String::from_utf8_lossy(&message).into_owned());
        }
        let mut buffer = [0u8; LONGEST];
        match self.stream.read(&mut buffer) {
            Ok(0) => Heard::End,
            Ok(len) => {
                self.unread.extend_from_slice(&buffer[..len]);
                // Line ends between messages are pings (RFC 5626 4.4.1).
                while self.unread.starts_with(b"\r\n") {
                    self.unread.drain(..2);
                }
                Heard::Nothing
            }
            Err(error) if is_for_later(error.kind()) => Heard::Nothing,
            Err(_) => Heard::End,
        }
    }
}

/// The length of the message that stands at the beginning, once it is there as a whole
/// (RFC 3261 18.3).
fn whole(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]);
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let named = ["content-length", "l"].contains(&name.trim().to_ascii_lowercase().as_str());
        named.then(|| value.trim().parse::<usize>().ok())?
    });
    let len = head + length.unwrap_or(0);
    (bytes.len() >= len).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_a_stream_ends_where_its_content_length_says() {
        let text = b"BYE sip:a SIP/2.0\r\nContent-Length: 2\r\n\r\nabSIP/2.0 ";
        assert_eq!(whole(text), Some(text.len() - 8));
        assert_eq!(whole(&text[..30]), None);
        assert_eq!(whole(&text[..text.len() - 9]), None);
    }
}
