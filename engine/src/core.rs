//! What all calls of an engine share, for the duration of one step.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{EngineConfig, Listener};
use crate::connections::Connections;
use crate::id::CallId;
use crate::input::{Flow, ListenerId, Transport};
use crate::io::Io;
use crate::load::Load;
use crate::media::{PortPool, SessionId};
use crate::register::Registrar;
use crate::route::{LargeRequests, Snapshot, TrunkIx};
use crate::sip::dialog::Dialog;
use crate::sip::token::Branch;
use crate::sip::transaction::{ServerHandle, Transactions};
use crate::sip::transport::{DeadTargets, Target, is_internal};
use crate::time::Timestamp;
use crate::trunk::{Figures, Trunks};
use crate::usage::{Routing, Usage};

/// Methods that we understand, in every answer that must name them (RFC 3261 8.2.1, 20.5).
pub(crate) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, MESSAGE, REFER, REGISTER";
/// Extensions that we understand (RFC 3261 20.37): what a peer may require of us within a call.
pub(crate) const SUPPORTED: &str = "timer, 100rel, replaces";
/// What may be required of our registrar.
pub(crate) const REGISTRAR_SUPPORTED: &str = "path";

/// Everything but the calls.
pub(crate) struct Core {
    pub(crate) config: EngineConfig,
    pub(crate) io: Io,
    pub(crate) transactions: Transactions,
    pub(crate) ports: PortPool,
    pub(crate) usage: Usage,
    pub(crate) trunks: Trunks,
    pub(crate) figures: Figures,
    pub(crate) registrar: Registrar,
    pub(crate) routing: Arc<Routing>,
    pub(crate) draining: bool,
    pub(crate) load: Load,
    /// No call is begun: nothing of it could be kept.
    pub(crate) refusing: bool,
    /// Via and Contact of each listener, ready to be written.
    faces: Vec<Face>,
    /// The latest generation of all handles that were read from a journal.
    pub(crate) newest: u32,
    /// When it went on from a journal, and the first generation of handles since.
    pub(crate) restored: Option<(Timestamp, u32)>,
    sessions: u64,
    resolves: u64,
    /// Connections of stream transports.
    pub(crate) connections: Connections,
    /// Targets that failed lately.
    pub(crate) dead: DeadTargets,
    /// All our listeners are on loopback.
    on_loopback: bool,
    /// Questions to the resolver and the calls that asked.
    pub(crate) pending_resolves: std::collections::BTreeMap<u64, u64>,
}

/// How a listener shows itself.
struct Face {
    /// `SIP/2.0/UDP host:port;branch=`
    via: Box<str>,
    /// `<sip:host:port>`
    contact: Box<str>,
}

impl Face {
    fn of(listener: &Listener) -> Face {
        let (host, port) = (&listener.advertise_host, listener.advertise_port);
        let host = if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        let (protocol, parameter) = match listener.transport {
            Transport::Udp => ("UDP", ""),
            Transport::Tcp => ("TCP", ";transport=tcp"),
            Transport::Tls => ("TLS", ";transport=tls"),
        };
        Face {
            via: format!("Via: SIP/2.0/{protocol} {host}:{port};branch=").into(),
            contact: format!("Contact: <sip:{host}:{port}{parameter}>\r\n").into(),
        }
    }
}

impl Core {
    pub(crate) fn new(config: EngineConfig, snapshot: Arc<Snapshot>) -> Core {
        let mut io = Io::new(config.seed);
        let secret = (io.rng.next_u64(), io.rng.next_u64());
        let mut key = [0; 32];
        io.rng.fill(&mut key);
        let mut usage = Usage::default();
        let routing = usage.install(snapshot);
        Core {
            transactions: Transactions::new(config.shard, secret),
            ports: PortPool::new(
                config.media.first_port..=config.media.last_port,
                io.rng.next_u64(),
            ),
            usage,
            trunks: Trunks::default(),
            figures: Figures::default(),
            registrar: Registrar::new(&config.domain, key)
                .offering(config.digest)
                .with_contacts(config.contacts),
            routing,
            draining: false,
            load: Load::new(config.limits),
            refusing: false,
            faces: config.listeners.iter().map(Face::of).collect(),
            newest: 0,
            restored: None,
            sessions: 0,
            resolves: 0,
            connections: Connections::default(),
            dead: DeadTargets::default(),
            on_loopback: config.listeners.iter().all(|one| one.address.ip().is_loopback()),
            pending_resolves: std::collections::BTreeMap::new(),
            io,
            config,
        }
    }

    /// Splits off what message writers need, so that the transaction layer can be driven with
    /// the rest borrowed.
    pub(crate) fn writer(&mut self) -> (&mut Transactions, &mut Io, Faces<'_>) {
        (&mut self.transactions, &mut self.io, Faces(&self.faces))
    }

    /// Whether a URI's host means us, in a request of this user: our domain, what a listener
    /// advertises or is bound to, or the name by which the user's phone registered.
    pub(crate) fn is_ours(&self, host: &str, user: &str) -> bool {
        let same = |name: &str| name.eq_ignore_ascii_case(host);
        let ip: Option<std::net::IpAddr> = host.parse().ok();
        same(&self.config.domain)
            || self.registrar.contacts(user).iter().any(|binding| same(&binding.registrar))
            || self
                .config
                .listeners
                .iter()
                .any(|one| same(&one.advertise_host) || ip.is_some_and(|ip| ip == one.address.ip()))
    }

    /// The listener whose name stands in what goes to `address`: of its transport and family.
    pub(crate) fn listener_for(
        &self,
        transport: Transport,
        address: SocketAddr,
    ) -> Option<ListenerId> {
        let fits = |one: &Listener| {
            one.transport == transport
                && one.address.ip().to_canonical().is_ipv4()
                    == address.ip().to_canonical().is_ipv4()
        };
        let at = self.config.listeners.iter().position(fits)?;
        Some(ListenerId(at as u16))
    }

    /// Whether a target that a name stands for may be called.
    pub(crate) fn may_call(&self, target: Target) -> bool {
        let Target { address, transport } = target;
        let served = |one: &SocketAddr| {
            one.port() == address.port()
                && (one.ip().is_unspecified() || one.ip() == address.ip().to_canonical())
        };
        self.listener_for(transport, address).is_some()
            && !is_internal(address.ip(), self.on_loopback)
            && !self.config.not_sip.iter().any(served)
    }

    /// The trunks that a message may be from: by its certificate, else by its address. Several
    /// only where their passwords say which it is.
    pub(crate) fn trunks_of(&self, flow: Flow) -> &[TrunkIx] {
        let snapshot = &self.routing.snapshot;
        let names = self.connections.names(flow).map(|name| snapshot.trunks_of_name(name));
        let proved = names.into_iter().find(|found| !found.is_empty());
        proved.unwrap_or_else(|| snapshot.trunks_of_source(flow.remote))
    }

    /// Whether a message is from a trunk's own place.
    pub(crate) fn is_trunk(&self, flow: Flow) -> bool {
        !self.trunks_of(flow).is_empty()
    }

    /// Where a request within a dialog goes: the first hop's address, or the way the dialog came
    /// by when the hop is a name or the peer is behind NAT.
    pub(crate) fn next_hop(&self, dialog: &Dialog) -> Flow {
        let flow = dialog.flow;
        let Some((remote, transport)) = dialog.first_hop().filter(|_| !dialog.by_flow) else {
            return flow;
        };
        let same_host = remote.ip().to_canonical() == flow.remote.ip().to_canonical();
        // The peer's own connection serves as long as it stands.
        if same_host && self.connections.is_open(flow) {
            return flow;
        }
        // A Contact without a transport is meant as the dialog is spoken, by the same host.
        let usual = if same_host { flow.transport } else { Transport::Udp };
        let transport = transport.unwrap_or(usual);
        match self.listener_for(transport, remote) {
            Some(listener) if transport != flow.transport => {
                Flow { listener, transport, remote, connection: 0 }
            }
            Some(_) | None => Flow { remote, connection: 0, ..flow },
        }
    }

    /// The way of a request within a dialog that is too large for the datagram it would be, where
    /// the peer may be spoken to by TCP (RFC 3261 18.1.1): not a phone behind NAT, nor who asks
    /// for UDP.
    pub(crate) fn large_hop(&self, dialog: &Dialog, flow: Flow) -> Option<Flow> {
        if flow.transport != Transport::Udp || dialog.by_flow {
            return None;
        }
        // What is known at once is asked first.
        let way = self.by_tcp(flow.remote)?;
        let asks = dialog.first_hop().and_then(|(_, transport)| transport);
        let mut trunks = self.trunks_of(flow).iter().map(|at| self.routing.snapshot.trunk(*at));
        let wanted = trunks.all(|trunk| trunk.large_requests == LargeRequests::Tcp);
        (asks.is_none() && wanted).then_some(way)
    }

    /// The way to an address by TCP, unless that is known to fail.
    pub(crate) fn by_tcp(&self, remote: SocketAddr) -> Option<Flow> {
        let target = Target { address: remote, transport: Transport::Tcp };
        if self.dead.holds(self.io.now.mono, target) {
            return None;
        }
        let listener = self.listener_for(Transport::Tcp, remote)?;
        Some(Flow { listener, transport: Transport::Tcp, remote, connection: 0 })
    }

    /// No connection to there could be made: what may go otherwise does for a while.
    pub(crate) fn unreachable(&mut self, flow: Flow) {
        if flow.is_reliable() && flow.connection == 0 {
            let target = Target { address: flow.remote, transport: flow.transport };
            self.dead.note(self.io.now.mono, target);
        }
    }

    /// Whether a way stands: a connection that was there once has not closed.
    pub(crate) fn is_standing(&self, flow: Flow) -> bool {
        flow.connection == 0 || self.connections.is_open(flow)
    }

    /// The way to an address by UDP.
    pub(crate) fn flow_to(&self, remote: std::net::SocketAddr) -> Option<Flow> {
        let listener = self.listener_for(Transport::Udp, remote)?;
        Some(Flow { listener, transport: Transport::Udp, remote, connection: 0 })
    }

    /// A call is over whose peers may send the requests of these transactions again: how many of
    /// them still last. The journal keeps it as long.
    pub(crate) fn watch(
        &mut self,
        call: CallId,
        servers: impl IntoIterator<Item = ServerHandle>,
    ) -> usize {
        if !self.config.journal {
            return 0;
        }
        servers.into_iter().filter(|server| self.transactions.watch(*server, call)).count()
    }

    pub(crate) fn next_session(&mut self) -> u64 {
        self.sessions += 1;
        self.sessions
    }

    /// Numbers of sessions and questions that no earlier process has given: none gives more than
    /// one a microsecond.
    pub(crate) fn count_on_from(&mut self, number: u64) {
        self.sessions = self.sessions.max(number);
        self.resolves = self.resolves.max(number);
    }

    /// A session of an earlier process: its number is not given again.
    pub(crate) fn keep_session(&mut self, session: SessionId) {
        self.sessions = self.sessions.max(session.0);
    }

    pub(crate) fn next_resolve(&mut self) -> u64 {
        self.resolves += 1;
        self.resolves
    }
}

/// The listeners' Via and Contact lines.
#[derive(Clone, Copy)]
pub(crate) struct Faces<'a>(&'a [Face]);

impl Faces<'_> {
    pub(crate) fn via(&self, flow: Flow, branch: Branch, out: &mut Vec<u8>) {
        write_via(self.0, flow, branch, out);
    }

    pub(crate) fn contact(&self, flow: Flow, out: &mut Vec<u8>) {
        if let Some(face) = self.0.get(flow.listener.0 as usize) {
            out.extend_from_slice(face.contact.as_bytes());
        }
    }
}

impl Faces<'_> {
    /// Contact with a user.
    pub(crate) fn contact_of(&self, user: &str, flow: Flow, out: &mut Vec<u8>) {
        let face = self.0.get(flow.listener.0 as usize);
        let place = face.and_then(|face| face.contact.strip_prefix("Contact: <sip:"));
        if let Some(place) = place {
            for part in ["Contact: <sip:", user, "@", place] {
                out.extend_from_slice(part.as_bytes());
            }
        }
    }
}

fn write_via(faces: &[Face], flow: Flow, branch: Branch, out: &mut Vec<u8>) {
    if let Some(face) = faces.get(flow.listener.0 as usize) {
        out.extend_from_slice(face.via.as_bytes());
        branch.write(out);
        out.extend_from_slice(b";rport\r\n");
    }
}
