//! Connections by TCP go from one process to the next: this one's switchboard leaves those that
//! stand, the next one's begins with them. Dialogs and phones lead to them by their peers'
//! addresses. TLS ends with its process, which has its keys.

use std::io;
use std::time::Duration;

use tensou_engine::{Flow, Transport};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::LeftStream;
use super::connection::Connection;
use super::switchboard::{Entered, Over, Switchboard, report};

/// What was said last is written within this time, or its connection ends.
const LAST_WORDS: Duration = Duration::from_millis(200);

impl Switchboard {
    /// Serves what the process before left.
    pub(super) fn inherit(&mut self) {
        for LeftStream { stream, ours } in std::mem::take(&mut self.parts.left) {
            let remote = stream.peer_addr();
            if let Err(error) = self.serve_left(stream, ours) {
                tracing::warn!(?remote, "a connection of the process before ends: {error}");
            }
        }
    }

    fn serve_left(&mut self, stream: std::net::TcpStream, ours: bool) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
        let stream = TcpStream::from_std(stream)?;
        // Made to us, it is by the listener at its own address; made by us, by that of its host.
        let listener = self.parts.sockets.iter().find(|one| {
            let address = one.socket.local_addr().ok().filter(|_| one.transport == Transport::Tcp);
            address.is_some_and(|address| {
                (ours || address.port() == local.port())
                    && address.is_ipv4() == local.is_ipv4()
                    && (address.ip().is_unspecified() || address.ip() == local.ip())
            })
        });
        let listener = listener.map(|one| one.listener);
        let listener = listener.ok_or_else(|| io::Error::other("nobody listens there any more"))?;
        let flow = Flow { listener, transport: Transport::Tcp, remote, connection: 0 };
        let entered = self.enter(flow, ours);
        let entered = entered.ok_or_else(|| io::Error::other("there are too many"))?;
        let Entered { flow, outgoing, lost } = entered;
        self.by_way.insert((flow.transport, remote), flow.connection);
        if let Some(entry) = self.connections.get_mut(&flow.connection) {
            entry.answered = true;
        }
        let (inbox, held) = (self.inbox.clone(), Some(self.parts.held.clone()));
        self.tasks.spawn(async move {
            let answered = true;
            let served = tokio::select! {
                served = Connection { stream, flow, ours, answered, outgoing, inbox, held }
                    .serve() => served,
                _ = lost => Err(io::Error::other("it gave its place to another")),
            };
            Over { number: flow.connection, stood: true, left: report(flow, served) }
        });
        Ok(())
    }

    /// Has everything written that was said, and leaves what stands.
    pub(super) async fn leave(mut self) -> Vec<LeftStream> {
        // Their queues end; their places stay until they have written what is in them.
        self.connections.values_mut().for_each(|entry| entry.outgoing = mpsc::channel(1).0);
        let mut left = Vec::new();
        let until = Instant::now() + LAST_WORDS;
        while let Ok(Some(over)) = timeout_at(until, self.tasks.join_next()).await {
            let Ok(Over { number, left: Some(stream), .. }) = over else { continue };
            let ours = self.connections.get(&number).is_some_and(|entry| entry.ours);
            match stream.into_std() {
                Ok(stream) => left.push(LeftStream { stream, ours }),
                Err(error) => tracing::warn!("a connection is not left: {error}"),
            }
        }
        left
    }
}
