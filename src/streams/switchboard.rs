//! The task that knows all connections.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tensou_engine::{Flow, ListenerId, Transport};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::connection::{Connection, Inbox};
use super::limits::{CONNECT_PATIENCE, Census, HANDSHAKE_PATIENCE, MOST_WAITING};
use super::{FromStream, LeftStream, StreamParts, StreamSocket, ToStream};
use crate::tls::{SipIdentity, names_of};

/// Accepted connections that wait to be counted.
const ACCEPTED: usize = 64;
/// Pause after a failed `accept`: the process has no descriptor left, and will not sooner.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Addresses whose TLS names are remembered; a site has a dozen.
const MOST_NAMES: usize = 1_024;
/// The log tells no sooner again of connections that were too many: who makes them would write it.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// A connection that somebody made to us.
struct Accepted {
    stream: TcpStream,
    remote: SocketAddr,
    listener: ListenerId,
    transport: Transport,
}

/// A connection as the switchboard knows it.
pub(super) struct Entry {
    pub(super) flow: Flow,
    /// We made it; the way that requests without a connection took to it.
    pub(super) ours: bool,
    /// We have said something by it.
    pub(super) answered: bool,
    pub(super) outgoing: mpsc::Sender<Arc<[u8]>>,
    /// Its task lives as long as this; none when it has to give its place to another.
    place: Option<oneshot::Sender<()>>,
}

/// What a connection's task is given.
pub(super) struct Entered {
    pub(super) flow: Flow,
    pub(super) outgoing: mpsc::Receiver<Arc<[u8]>>,
    /// Ends when the place is taken away.
    pub(super) lost: oneshot::Receiver<()>,
}

/// How a connection's task ended.
pub(super) struct Over {
    pub(super) number: u32,
    /// The connection stood once.
    pub(super) stood: bool,
    /// It still does, for another process.
    pub(super) left: Option<TcpStream>,
}

/// See the module.
pub(crate) struct Switchboard {
    pub(super) parts: StreamParts,
    /// Where the connections of each listener come from that has an address of its own.
    addresses: HashMap<ListenerId, SocketAddr>,
    pub(super) inbox: Inbox,
    census: Census,
    pub(super) connections: HashMap<u32, Entry>,
    /// Connections of ours, by the way they lead.
    pub(super) by_way: HashMap<(Transport, SocketAddr), u32>,
    names: HashMap<SocketAddr, Arc<str>>,
    pub(super) tasks: JoinSet<Over>,
    pub(super) last: u32,
    /// Connections that were too many since the log was told.
    refused: u64,
    told: Option<Instant>,
}

impl Switchboard {
    pub(crate) fn new(parts: StreamParts) -> Switchboard {
        let inbox = Inbox { queue: parts.queues.inward.clone(), engine: parts.engine.clone() };
        let own =
            |one: &StreamSocket| Some((one.listener, own_address(one.socket.local_addr().ok()?)?));
        let addresses = parts.sockets.iter().filter_map(own).collect();
        Switchboard {
            parts,
            addresses,
            inbox,
            census: Census::default(),
            connections: HashMap::new(),
            by_way: HashMap::new(),
            names: HashMap::new(),
            tasks: JoinSet::new(),
            last: 0,
            refused: 0,
            told: None,
        }
    }

    /// Serves until the engine is gone; what of its connections is left to another process.
    pub(crate) async fn run(mut self) -> Vec<LeftStream> {
        for flow in self.inherit() {
            self.inbox.tell(FromStream::Closed { flow }).await;
        }
        let (accepted, mut waiting) = mpsc::channel(ACCEPTED);
        let mut acceptors = JoinSet::new();
        for socket in std::mem::take(&mut self.parts.sockets) {
            acceptors.spawn(accept(socket, accepted.clone()));
        }
        drop(accepted);
        let mut held = false;
        loop {
            tokio::select! {
                order = self.parts.queues.outward.recv() => match order {
                    Some(ToStream::Send { flow, bytes }) => self.send(flow, bytes).await,
                    Some(ToStream::Expect { remote, name }) => self.expect(remote, name),
                    None => break,
                },
                () = self.parts.held.asked(), if !held => {
                    // Whoever connects from now on waits for the next process.
                    acceptors.abort_all();
                    self.parts.held.quiet();
                    held = true;
                }
                Some(accepted) = waiting.recv() => self.take(accepted),
                Some(ended) = self.tasks.join_next() => {
                    // A task that panicked has told nobody its number: a bug that is logged by
                    // the panic itself.
                    if let Ok(over) = ended {
                        self.ended(&over).await;
                    }
                }
            }
        }
        self.leave().await
    }

    fn expect(&mut self, remote: SocketAddr, name: Arc<str>) {
        if self.names.len() >= MOST_NAMES && !self.names.contains_key(&remote) {
            self.names.clear();
        }
        self.names.insert(remote, name);
    }

    async fn send(&mut self, flow: Flow, bytes: Arc<[u8]>) {
        let number = match flow.connection {
            0 => match self.by_way.get(&(flow.transport, flow.remote)) {
                Some(number) => Some(*number),
                None => self.connect(flow),
            },
            number => Some(number),
        };
        let entry = number.and_then(|number| self.connections.get_mut(&number));
        // A peer whose queue is full does not read; its connection ends by the write's patience.
        let sent = entry.is_some_and(|entry| {
            entry.answered = true;
            entry.outgoing.try_send(bytes).is_ok()
        });
        if !sent {
            self.inbox.tell(FromStream::Unreachable { flow }).await;
        }
    }

    /// Begins a connection to where `flow` leads.
    fn connect(&mut self, flow: Flow) -> Option<u32> {
        let tls = match flow.transport {
            Transport::Udp => return None,
            Transport::Tcp => None,
            Transport::Tls => {
                let identity = self.parts.identity.as_ref()?;
                let connector = TlsConnector::from(Arc::clone(&identity.configs().client));
                Some((connector, self.server_name(flow.remote)?))
            }
        };
        let Entered { flow, outgoing, .. } = self.enter(flow, true)?;
        self.by_way.insert((flow.transport, flow.remote), flow.connection);
        let inbox = self.inbox.clone();
        let class = self.parts.traffic_class;
        let from = self.addresses.get(&flow.listener).copied();
        let (ours, answered, held) = (true, false, Some(self.parts.held.clone()));
        self.tasks.spawn(async move {
            let mut stood = false;
            let served = async {
                let stream = connect(from, flow.remote, class).await?;
                match tls {
                    None => {
                        stood = true;
                        Connection { stream, flow, ours, answered, outgoing, inbox, held }
                            .serve()
                            .await
                    }
                    Some((connector, name)) => {
                        let shaken =
                            timeout(HANDSHAKE_PATIENCE, connector.connect(name, stream)).await??;
                        let shown = shaken.get_ref().1.peer_certificates();
                        let names = shown.and_then(|chain| chain.first()).map(names_of);
                        identify(&inbox, flow, names).await;
                        stood = true;
                        let (stream, held) = (shaken, None);
                        Connection { stream, flow, ours, answered, outgoing, inbox, held }
                            .serve()
                            .await?;
                        Ok(None)
                    }
                }
            };
            let left = report(flow, served.await);
            Over { number: flow.connection, stood, left }
        });
        Some(flow.connection)
    }

    fn server_name(&self, remote: SocketAddr) -> Option<ServerName<'static>> {
        let named = self.names.get(&remote);
        let named = named.and_then(|name| ServerName::try_from(name.to_string()).ok());
        Some(named.unwrap_or_else(|| ServerName::from(remote.ip().to_canonical())))
    }

    /// Serves a connection that a peer has made, unless it has too many.
    fn take(&mut self, accepted: Accepted) {
        let Accepted { stream, remote, listener, transport } = accepted;
        let acceptor = match (transport, &self.parts.identity) {
            (Transport::Tls, Some(identity)) => Some(acceptor(identity)),
            (Transport::Tls, None) => return,
            (Transport::Tcp | Transport::Udp, _) => None,
        };
        let flow = Flow { listener, transport, remote, connection: 0 };
        let Some(Entered { flow, outgoing, lost }) = self.enter(flow, false) else {
            return self.tell_refused(remote);
        };
        let inbox = self.inbox.clone();
        let (ours, answered, held) = (false, false, Some(self.parts.held.clone()));
        self.tasks.spawn(async move {
            let served = async {
                let Some(acceptor) = acceptor else {
                    return Connection { stream, flow, ours, answered, outgoing, inbox, held }
                        .serve()
                        .await;
                };
                let shaken = timeout(HANDSHAKE_PATIENCE, acceptor.accept(stream)).await??;
                let shown = shaken.get_ref().1.peer_certificates();
                let names = shown.and_then(|chain| chain.first()).map(names_of);
                identify(&inbox, flow, names).await;
                let (stream, held) = (shaken, None);
                Connection { stream, flow, ours, answered, outgoing, inbox, held }.serve().await?;
                Ok(None)
            };
            let served = tokio::select! {
                served = served => served,
                _ = lost => Err(io::Error::other("it gave its place to another")),
            };
            Over { number: flow.connection, stood: true, left: report(flow, served) }
        });
    }

    /// Gives a connection its number and place.
    pub(super) fn enter(&mut self, flow: Flow, ours: bool) -> Option<Entered> {
        let source = flow.remote.ip();
        if self.census.has_room_for(source) && self.census.is_full() {
            self.make_room();
        }
        if !self.census.enter(source) {
            return None;
        }
        // Numbers come again after four thousand million connections; one that still stands is
        // passed over.
        loop {
            self.last = self.last.wrapping_add(1);
            if self.last != 0 && !self.connections.contains_key(&self.last) {
                break;
            }
        }
        let (sender, outgoing) = mpsc::channel(MOST_WAITING);
        let (place, lost) = oneshot::channel();
        let flow = Flow { connection: self.last, ..flow };
        let place = Some(place);
        let entry = Entry { flow, ours, answered: ours, outgoing: sender, place };
        self.connections.insert(self.last, entry);
        Some(Entered { flow, outgoing, lost })
    }

    /// Takes the place of the oldest connection that was never answered, so that strangers who
    /// hold them all cannot keep a trunk out.
    fn make_room(&mut self) {
        let last = self.last;
        let idle = self.connections.iter_mut();
        let idle = idle.filter(|(_, entry)| !entry.answered && entry.place.is_some());
        if let Some((_, entry)) = idle.max_by_key(|(number, _)| last.wrapping_sub(**number)) {
            entry.place = None;
            self.census.leave(entry.flow.remote.ip());
        }
    }

    /// Who makes the most of connections does not make the log as well.
    fn tell_refused(&mut self, remote: SocketAddr) {
        self.refused += 1;
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            tracing::warn!(%remote, refused = self.refused, "too many connections");
            self.refused = 0;
            self.told = Some(Instant::now());
        }
    }

    async fn ended(&mut self, &Over { number, stood, .. }: &Over) {
        let Some(Entry { flow, ours, place, .. }) = self.connections.remove(&number) else {
            return;
        };
        if place.is_some() {
            self.census.leave(flow.remote.ip());
        }
        if ours {
            self.by_way.remove(&(flow.transport, flow.remote));
        }
        let what = match stood {
            true => FromStream::Closed { flow },
            false => FromStream::Unreachable { flow: Flow { connection: 0, ..flow } },
        };
        self.inbox.tell(what).await;
    }
}

fn acceptor(identity: &SipIdentity) -> TlsAcceptor {
    TlsAcceptor::from(Arc::clone(&identity.configs().server))
}

async fn accept(socket: StreamSocket, accepted: mpsc::Sender<Accepted>) {
    let StreamSocket { listener, transport, socket } = socket;
    loop {
        match TcpListener::accept(&socket).await {
            Ok((stream, remote)) => {
                // A message is written at once; waiting for more gains nothing.
                let _unset = stream.set_nodelay(true);
                let accepted = accepted.send(Accepted { stream, remote, listener, transport });
                if accepted.await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Where connections come from beside a listener: its own address, for a carrier knows us by it,
/// and its link, without which a link-local address means nothing (RFC 4007 6); by any port.
fn own_address(mut listener: SocketAddr) -> Option<SocketAddr> {
    listener.set_port(0);
    (!listener.ip().is_unspecified()).then_some(listener)
}

/// Whether what comes from an address of ours finds `remote`, and its answers us. Where not, the
/// kernel chooses another.
fn leads_to(own: SocketAddr, remote: SocketAddr) -> bool {
    let stays_here = own.ip().is_loopback() && !remote.ip().is_loopback();
    own.is_ipv4() == remote.is_ipv4() && !stays_here
}

async fn connect(
    from: Option<SocketAddr>,
    remote: SocketAddr,
    traffic_class: u8,
) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    crate::sys::mark(&socket, remote.ip(), traffic_class)?;
    if let Some(from) = from.filter(|from| leads_to(*from, remote)) {
        socket.bind(from)?;
    }
    let stream = timeout(CONNECT_PATIENCE, socket.connect(remote)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn identify(inbox: &Inbox, flow: Flow, names: Option<Vec<Box<str>>>) {
    if let Some(names) = names.filter(|names| !names.is_empty()) {
        inbox.tell(FromStream::Identified { flow, names }).await;
    }
}

/// What a connection's task leaves behind; its failure is told.
pub(super) fn report(flow: Flow, served: io::Result<Option<TcpStream>>) -> Option<TcpStream> {
    served.unwrap_or_else(|error| {
        tracing::debug!(remote = %flow.remote, transport = ?flow.transport, %error, "connection");
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_carrier_sees_the_address_that_we_listen_at() {
        let carrier = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = own_address("127.0.0.5:5060".parse().unwrap()).unwrap();
        let remote = carrier.local_addr().unwrap();
        let (made, seen) = tokio::join!(connect(Some(ours), remote, 0), carrier.accept());
        made.unwrap();
        assert_eq!(seen.unwrap().1.ip(), ours.ip());
    }

    #[test]
    fn a_link_local_listener_calls_by_its_own_link() {
        let own = |text: &str| own_address(text.parse().unwrap()).map(|own| own.to_string());
        assert_eq!(own("[fe80::5%3]:5060").as_deref(), Some("[fe80::5%3]:0"));
        assert_eq!(own("192.0.2.5:5060").as_deref(), Some("192.0.2.5:0"));
        assert_eq!(own("[::]:5060"), None);
        assert_eq!(own("0.0.0.0:5060"), None);
    }

    #[test]
    fn a_listener_of_this_machine_alone_calls_a_carrier_from_another_address() {
        let leads =
            |own: &str, remote: &str| leads_to(own.parse().unwrap(), remote.parse().unwrap());
        assert!(!leads("127.0.0.1:0", "192.0.2.10:5060"));
        assert!(!leads("[::1]:0", "[2001:db8::10]:5060"));
        assert!(leads("127.0.0.1:0", "127.0.0.5:5060"));
        assert!(leads("192.0.2.5:0", "192.0.2.10:5060"));
        assert!(leads("192.0.2.5:0", "127.0.0.1:5060"));
        assert!(!leads("192.0.2.5:0", "[2001:db8::10]:5060"));
    }
}
