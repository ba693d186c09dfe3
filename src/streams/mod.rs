//! SIP over TCP and TLS: connections live on tokio tasks and reach the engine's thread by bounded
//! queues.
//!
//! One task, the switchboard, knows all connections: it counts them, gives each a number, and
//! finds or makes the one that a message goes by. Each connection has a task that frames what
//! comes and writes what goes.

mod connection;
mod hold;
mod limits;
mod passing;
mod switchboard;

use std::net::SocketAddr;
use std::sync::Arc;

use tensou_engine::{Flow, Transport};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::engine_thread::EngineHandle;
use crate::tls::SipIdentity;

pub(crate) use hold::{Hold, hold};
pub(crate) use switchboard::Switchboard;

/// Messages of all connections that may wait for the engine. A full queue holds the connections
/// back, and TCP their peers.
const TO_ENGINE: usize = 1_024;
/// Messages of the engine that may wait for the switchboard; it only sorts them.
const FROM_ENGINE: usize = 4_096;

/// What the engine's thread hears of streams.
#[derive(Debug)]
pub(crate) enum FromStream {
    /// One whole message.
    Message {
        /// Its connection.
        flow: Flow,
        /// The message.
        bytes: Vec<u8>,
    },
    /// The peer has proved who it is.
    Identified {
        /// Its connection.
        flow: Flow,
        /// The names in its certificate.
        names: Vec<Box<str>>,
    },
    /// The connection is gone.
    Closed {
        /// It.
        flow: Flow,
    },
    /// What was to go this way cannot.
    Unreachable {
        /// The way.
        flow: Flow,
    },
}

/// What the engine's thread asks of the switchboard.
#[derive(Debug)]
pub(crate) enum ToStream {
    /// Send a message.
    Send {
        /// By this connection, or any to this address.
        flow: Flow,
        /// The message.
        bytes: Arc<[u8]>,
    },
    /// This name is meant to answer there.
    Expect {
        /// There.
        remote: SocketAddr,
        /// The name.
        name: Arc<str>,
    },
}

/// The engine's end.
pub(crate) struct StreamLink {
    outward: mpsc::Sender<ToStream>,
    inward: mpsc::Receiver<FromStream>,
}

/// The switchboard's end.
pub(crate) struct StreamQueues {
    outward: mpsc::Receiver<ToStream>,
    inward: mpsc::Sender<FromStream>,
}

/// Both ends of new queues.
pub(crate) fn stream_queues() -> (StreamLink, StreamQueues) {
    let (to_switchboard, outward) = mpsc::channel(FROM_ENGINE);
    let (inward, from_switchboard) = mpsc::channel(TO_ENGINE);
    let link = StreamLink { outward: to_switchboard, inward: from_switchboard };
    (link, StreamQueues { outward, inward })
}

impl StreamLink {
    /// Passes a message on. False when it cannot be: the switchboard is overrun or gone.
    pub(crate) fn send(&self, flow: Flow, bytes: Arc<[u8]>) -> bool {
        self.outward.try_send(ToStream::Send { flow, bytes }).is_ok()
    }

    /// Tells who is meant to answer at an address. A lost one makes the handshake fail, and with
    /// it the call's first way.
    pub(crate) fn expect(&self, remote: SocketAddr, name: Arc<str>) {
        if self.outward.try_send(ToStream::Expect { remote, name }).is_err() {
            tracing::warn!(%remote, "the switchboard is overrun");
        }
    }

    /// How much has happened that was not polled yet.
    pub(crate) fn waiting(&self) -> usize {
        self.inward.len()
    }

    /// The next thing that happened.
    pub(crate) fn poll(&mut self) -> Option<FromStream> {
        self.inward.try_recv().ok()
    }
}

/// A bound listener of a stream transport.
pub(crate) struct StreamSocket {
    /// Its place among the engine's listeners.
    pub(crate) listener: tensou_engine::ListenerId,
    /// TCP or TLS.
    pub(crate) transport: Transport,
    /// The bound socket.
    pub(crate) socket: TcpListener,
}

/// A connection by TCP that outlives a process.
#[derive(Debug)]
pub(crate) struct LeftStream {
    /// It, with what its peer has said and nobody has read.
    pub(crate) stream: std::net::TcpStream,
    /// Its other end.
    pub(crate) peer: SocketAddr,
    /// Who made it.
    pub(crate) origin: Origin,
}

/// Who made a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// We made it.
    Ours,
    /// A peer made it, and we have answered.
    Answered,
    /// Somebody made it, a stranger perhaps.
    Unanswered,
}

/// Everything that the switchboard is made of.
pub(crate) struct StreamParts {
    /// Listeners.
    pub(crate) sockets: Vec<StreamSocket>,
    /// Certificates; none without `sip.tls`.
    pub(crate) identity: Option<SipIdentity>,
    /// Marking of what we send.
    pub(crate) traffic_class: u8,
    /// Queues to and from the engine.
    pub(crate) queues: StreamQueues,
    /// Wakes the engine's thread.
    pub(crate) engine: EngineHandle,
    /// Connections of the process before. Their numbers are those from 1 on, in this order.
    pub(crate) left: Vec<LeftStream>,
    /// Asked to leave them to the next one.
    pub(crate) held: hold::Held,
}
