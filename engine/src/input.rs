//! Everything that enters and leaves the engine.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::cdr::Cdr;
use crate::event::Event;
use crate::id::CallId;
use crate::journal::Record;
use crate::media::{MediaCommand, MediaEvent};
use crate::route::Snapshot;
use crate::sip::transport::{Question, ResolvedTarget};

/// A transport protocol of SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// RFC 3261 18, datagrams.
    Udp,
    /// RFC 3261 18, streams.
    Tcp,
    /// RFC 3261 26.2, streams under TLS.
    Tls,
}

impl Transport {
    /// The port of a SIP URI that names none (RFC 3261 19.1.2).
    pub fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
        }
    }
}

/// A listener of ours, by its position in [`crate::EngineConfig::listeners`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u16);

/// A way to a peer and back: for UDP our socket and its address, for streams one connection.
/// The engine knows flows, never sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// Ours.
    pub listener: ListenerId,
    /// The protocol.
    pub transport: Transport,
    /// The peer.
    pub remote: SocketAddr,
    /// The connection of a stream transport; 0 for UDP, or to let the shell choose one.
    pub connection: u32,
}

impl Flow {
    /// Whether the transport resends by itself, so that SIP does not (RFC 3261 17).
    pub fn is_reliable(self) -> bool {
        match self.transport {
            Transport::Udp => false,
            Transport::Tcp | Transport::Tls => true,
        }
    }
}

/// What enters the engine.
#[derive(Debug)]
pub enum Input<'a> {
    /// One datagram, or one framed message of a stream.
    Datagram {
        /// Where it came by.
        flow: Flow,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// A datagram could not be sent (ICMP unreachable, connection refused).
    Unreachable {
        /// Where it was going.
        flow: Flow,
    },
    /// A connection is gone, whoever ended it.
    Closed {
        /// It, as its messages came by it.
        flow: Flow,
    },
    /// The peer of a TLS connection has proved who it is.
    Identified {
        /// The connection.
        flow: Flow,
        /// The names in its certificate (RFC 5922 7.1), lower case.
        names: &'a [Box<str>],
    },
    /// A name was looked up.
    Resolved {
        /// The question's number.
        query: ResolveId,
        /// What it stands for; empty when it does not exist or the lookup failed.
        targets: &'a [ResolvedTarget],
    },
    /// The last datagram had lain for so long before it was handed over. Told while the shell is
    /// behind, and zero when nothing waits any more; after that it need not be.
    Waited(std::time::Duration),
    /// From the relay.
    Media(MediaEvent),
    /// From the operator.
    Command(OperatorCommand),
    /// New provisioning, for calls that start from now on.
    Snapshot(Arc<Snapshot>),
    /// Write everything that is needed after a restart into the journal again, a little at a
    /// time; [`Output::Rewritten`] tells when that is done.
    Rewrite,
    /// Time has passed: [`crate::Engine::poll_timeout`] is due. Spurious ones are no-ops.
    Tick,
}

/// A question to the resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResolveId(pub u64);

/// What an operator asks of the running engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorCommand {
    /// End this call now, with BYE or a final answer on every leg.
    HangUp(CallId),
    /// Have somebody rung who takes the place of the callee of a call that talks. What the call's
    /// customer may not call is not called, and the call goes on as it was.
    Transfer {
        /// The call.
        call: CallId,
        /// A number in E.164, or the user of an extension of the same customer.
        to: Arc<str>,
    },
    /// Refuse new calls with 503 and Retry-After; running calls go on.
    Drain,
    /// Refuse new calls with 503 before they are any (true), or take them again: there is no
    /// room to keep anything of them.
    RefuseCalls(bool),
    /// End every call.
    HangUpAll,
}

/// What leaves the engine, in the order in which it must be carried out.
#[derive(Debug)]
pub enum Output {
    /// Keep these bytes in the journal. They stand before whatever they make true: when a
    /// [`Output::Transmit`] after them is carried out, they must have been written. Then they may
    /// be given back with [`Engine::reuse`](crate::Engine::reuse).
    Journal(Record),
    /// Everything that is needed after a restart has been written again since
    /// [`Input::Rewrite`]: records older than that are needed for their CDRs alone.
    Rewritten,
    /// Send these bytes.
    Transmit {
        /// By this way.
        flow: Flow,
        /// One whole SIP message.
        bytes: Arc<[u8]>,
    },
    /// Look a name up (RFC 3263). It is always answered.
    Resolve {
        /// Comes back with the answer.
        query: ResolveId,
        /// What is asked.
        question: Question,
    },
    /// Who is meant to answer behind TLS at an address: the name for SNI, which the certificate
    /// there must hold. Comes before what is sent there.
    Expect {
        /// The address.
        remote: SocketAddr,
        /// The name.
        name: Arc<str>,
    },
    /// To the relay. What it answers at once is best told before the next output is asked for.
    Media(MediaCommand),
    /// A call is over; its one record. Never dropped by the shell.
    Cdr(Box<Cdr>),
    /// Something that people or programs may want to see; may be dropped under overload.
    Event(Event),
}
