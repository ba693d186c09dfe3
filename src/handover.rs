//! Sockets that outlive the process: systemd's file-descriptor store holds them meanwhile.
//!
//! What comes for a process that is away waits in its sockets as long as somebody has them open.
//! Listening sockets are stored at the start, so that it waits after a crash too; the sockets of
//! living calls' voice and connections by TCP when a process hands over to the next one
//! (sd_notify(3), `FDSTORE=1`). The next one gets all of them (`LISTEN_FDS`) and takes what it
//! needs by its address; the rest is closed, here and there.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::streams::{LeftStream, Origin};
use crate::sys::{age_of_last_datagram, handed_over, is_datagram};

/// Exit code of a process that has handed over and is to be started again.
pub(crate) const EXIT_CODE: u8 = 4;

/// The name of voice sockets in the store.
const MEDIA: &str = "media";
/// Those of connections, by who made them.
const CONNECTIONS: [(Origin, &str); 3] = [
    (Origin::Ours, "connection-ours"),
    (Origin::Answered, "connection-theirs"),
    (Origin::Unanswered, "connection-new"),
];
/// The kernel takes 253 descriptors in one message (SCM_MAX_FD).
const AT_ONCE: usize = 253;
/// How long the service manager may take to have read what it was sent.
const BARRIER: Duration = Duration::from_secs(5);
/// Nobody waits any more for the answer to a request that has lain for so long: 64*T1, timers B
/// and F (RFC 3261 17.1.1.2, 17.1.2.2).
const STALE: Duration = Duration::from_secs(32);

/// What the process before has left.
#[derive(Debug, Default)]
pub(crate) struct Inheritance {
    datagrams: Vec<Left<UdpSocket>>,
    listeners: Vec<Left<TcpListener>>,
    media: Vec<UdpSocket>,
    connections: Vec<LeftStream>,
    /// Names of what is of no use.
    useless: Vec<String>,
}

#[derive(Debug)]
struct Left<S> {
    name: String,
    address: SocketAddr,
    socket: S,
}

impl Inheritance {
    /// Takes everything that this process was started with.
    pub(crate) fn take() -> Inheritance {
        let mut inheritance = Inheritance::default();
        match handed_over() {
            Ok(handed) => {
                for (name, socket) in handed {
                    if let Err(error) = inheritance.add(&name, socket) {
                        tracing::warn!("{name} was handed over and is of no use: {error}");
                        inheritance.useless.push(name);
                    }
                }
            }
            Err(error) => tracing::error!("what the process before left is not taken: {error}"),
        }
        inheritance
    }

    fn add(&mut self, name: &str, socket: OwnedFd) -> io::Result<()> {
        let name = name.to_owned();
        if name == MEDIA {
            self.media.push(UdpSocket::from(socket));
        } else if let Some((origin, _)) = CONNECTIONS.iter().find(|(_, called)| *called == name) {
            let stream = TcpStream::from(socket);
            stream.set_nonblocking(true)?;
            // One that its peer has reset meanwhile has none.
            let peer = stream.peer_addr()?;
            self.connections.push(LeftStream { stream, peer, origin: *origin });
        } else if is_datagram(&socket) {
            let socket = UdpSocket::from(socket);
            socket.set_nonblocking(true)?;
            self.datagrams.push(Left { name, address: socket.local_addr()?, socket });
        } else {
            let socket = TcpListener::from(socket);
            socket.set_nonblocking(true)?;
            self.listeners.push(Left { name, address: socket.local_addr()?, socket });
        }
        Ok(())
    }

    /// The UDP socket at `address`, without what has lain in it for too long.
    pub(crate) fn datagrams(&mut self, address: SocketAddr) -> Option<UdpSocket> {
        let socket = found(&mut self.datagrams, address)?;
        let mut stale = 0u64;
        // Nobody reads the socket: what is peeked at is what is taken.
        while socket.peek_from(&mut [0]).is_ok()
            && age_of_last_datagram(&socket).is_some_and(|age| age > STALE)
            && socket.recv_from(&mut [0]).is_ok()
        {
            stale += 1;
        }
        if stale > 0 {
            tracing::warn!(%address, stale, "datagrams that waited too long are not answered");
        }
        Some(socket)
    }

    /// The listening TCP socket at `address`.
    pub(crate) fn listener(&mut self, address: SocketAddr) -> Option<TcpListener> {
        found(&mut self.listeners, address)
    }

    /// The sockets of living calls' voice.
    pub(crate) fn media(&mut self) -> Vec<UdpSocket> {
        std::mem::take(&mut self.media)
    }

    /// Connections by TCP that stand.
    pub(crate) fn connections(&mut self) -> Vec<LeftStream> {
        std::mem::take(&mut self.connections)
    }

    /// Everything needed was taken: what is left is closed, and the store gives up that, the voice
    /// sockets, which the relay has now, and the connections, which end when this process does.
    pub(crate) fn settle(self) {
        let datagrams = self.datagrams.into_iter().map(|left| left.name);
        let listeners = self.listeners.into_iter().map(|left| left.name);
        let names = self.useless.into_iter().chain(datagrams).chain(listeners);
        let passed = CONNECTIONS.map(|(_, name)| name.to_owned());
        for name in names.chain(passed).chain([MEDIA.to_owned()]) {
            told(sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(&name)]));
        }
    }
}

fn found<S>(left: &mut Vec<Left<S>>, address: SocketAddr) -> Option<S> {
    let place = left.iter().position(|left| left.address == address)?;
    Some(left.swap_remove(place).socket)
}

/// Has the store keep a listening socket from now on; without a store nothing happens.
pub(crate) fn keep(kind: &str, address: SocketAddr, socket: &impl AsFd) {
    // A colon ends a name in LISTEN_FDNAMES.
    let name = format!("{kind}-{address}").replace(':', "_");
    told(store(&name, &[socket.as_fd()]));
}

/// Has the store keep the voice sockets of living calls.
pub(crate) fn keep_media<'s>(sockets: impl Iterator<Item = &'s UdpSocket>) -> io::Result<()> {
    let sockets: Vec<BorrowedFd<'_>> = sockets.map(AsFd::as_fd).collect();
    sockets.chunks(AT_ONCE).try_for_each(|some| store(MEDIA, some))
}

/// Has the store keep connections that stand.
pub(crate) fn keep_connections(left: &[LeftStream]) -> io::Result<()> {
    CONNECTIONS.iter().try_for_each(|(origin, name)| {
        let such = left.iter().filter(|one| one.origin == *origin);
        let sockets: Vec<BorrowedFd<'_>> = such.map(|one| one.stream.as_fd()).collect();
        sockets.chunks(AT_ONCE).try_for_each(|some| store(name, some))
    })
}

/// The manager must not give a socket up for an ICMP error that waits in it (`FDPOLL=0`).
fn store(name: &str, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let state = [NotifyState::FdStore, NotifyState::FdName(name), NotifyState::Custom("FDPOLL=0")];
    sd_notify::notify_with_fds(&state, sockets)
}

/// Why there is nobody to hand `sockets` sockets over to; asks the service manager whether it is
/// there.
pub(crate) async fn obstacle(sockets: usize) -> Option<String> {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return Some("NOTIFY_SOCKET is not set: no service manager keeps sockets".to_owned());
    }
    // systemd says so since version 254.
    let room = std::env::var("FDSTORE").ok().and_then(|text| text.parse::<usize>().ok());
    if let Some(room) = room.filter(|room| *room < sockets) {
        return Some(format!("FileDescriptorStoreMax= is {room}, and {sockets} are needed"));
    }
    let error = barrier().await.err()?;
    Some(format!("the service manager does not answer: {error}"))
}

/// Returns when the service manager has read everything that it was sent before (sd_notify(3),
/// `BARRIER=1`): it closes the descriptor that comes with that.
pub(crate) async fn barrier() -> io::Result<()> {
    let (mut reader, writer) = io::pipe()?;
    sd_notify::notify_with_fds(&[NotifyState::Custom("BARRIER=1")], &[writer.as_fd()])?;
    drop(writer);
    let closed = tokio::task::spawn_blocking(move || reader.read(&mut [0]));
    match tokio::time::timeout(BARRIER, closed).await {
        Ok(Ok(Ok(_end))) => Ok(()),
        Ok(Ok(Err(error))) => Err(error),
        Ok(Err(_)) | Err(_) => Err(ErrorKind::TimedOut.into()),
    }
}

/// Tells the service manager, if there is one.
pub(crate) fn tell(state: NotifyState<'_>) {
    told(sd_notify::notify(&[state]));
}

fn told(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!("the service manager was not told: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::bind_udp;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn what_the_process_before_left_is_found_by_its_address() {
        let datagrams = UdpSocket::bind(any()).unwrap();
        let listener = TcpListener::bind(any()).unwrap();
        let (at, listens) = (datagrams.local_addr().unwrap(), listener.local_addr().unwrap());
        let mut left = Inheritance::default();
        left.add("sip", datagrams.into()).unwrap();
        left.add("web", listener.into()).unwrap();
        left.add(MEDIA, UdpSocket::bind(any()).unwrap().into()).unwrap();
        assert!(left.listener(at).is_none(), "that is the socket of datagrams");
        assert!(left.datagrams(at).is_some_and(|socket| socket.local_addr().unwrap() == at));
        assert!(left.datagrams(at).is_none(), "it is taken");
        assert!(left.listener(listens).is_some());
        assert_eq!((left.media().len(), left.media().len()), (1, 0));
    }

    #[test]
    fn connections_are_told_from_what_listens_and_by_who_made_them() {
        let listener = TcpListener::bind(any()).unwrap();
        let made = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let mut left = Inheritance::default();
        left.add("connection-ours", made.into()).unwrap();
        left.add("connection-theirs", accepted.into()).unwrap();
        let origins: Vec<Origin> = left.connections().iter().map(|left| left.origin).collect();
        assert_eq!(origins, [Origin::Ours, Origin::Answered]);
        assert!(left.connections().is_empty(), "they are taken");
    }

    #[test]
    fn what_waited_in_a_socket_for_a_moment_is_read() {
        let socket = bind_udp(any()).unwrap();
        let address = socket.local_addr().unwrap();
        // From now on arrivals are noted.
        let _none_yet = age_of_last_datagram(&socket);
        UdpSocket::bind(any()).unwrap().send_to(b"BYE", address).unwrap();
        let mut left = Inheritance::default();
        left.add("sip", socket.into()).unwrap();
        let socket = left.datagrams(address).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(socket.recv(&mut bytes).unwrap(), 3);
    }
}
