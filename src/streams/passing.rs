//! Connections by TCP go from one process to the next: this one's switchboard leaves those that
//! stand, the next one's begins with them, and its engine knows them by their peers. TLS ends with
//! its process, which has its keys.

use std::io;
use std::time::Duration;

use tensou_engine::{Flow, ListenerId, Transport};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::switchboard::{Entered, Over, Switchboard, report};
use super::{LeftStream, Origin};

/// What was said last is written within this time, or its connection ends.
const LAST_WORDS: Duration = Duration::from_millis(200);

impl Switchboard {
    /// Serves what the process before left; what of it cannot go on.
    pub(super) fn inherit(&mut self) -> Vec<Flow> {
        let mut ended = Vec::new();
        for (number, left) in (1..).zip(std::mem::take(&mut self.parts.left)) {
            let remote = left.peer;
            self.last = number - 1;
            if let Err(error) = self.serve_left(left) {
                tracing::warn!(%remote, "a connection of the process before ends: {error}");
                let (listener, transport) = (ListenerId(0), Transport::Tcp);
                ended.push(Flow { listener, transport, remote, connection: number });
            }
            // Nobody else is given the number that the engine knows it by.
            self.last = number;
        }
        ended
    }

    fn serve_left(&mut self, left: LeftStream) -> io::Result<()> {
        let LeftStream { stream, peer: remote, origin } = left;
        let (ours, answered) = (origin == Origin::Ours, origin != Origin::Unanswered);
        let local = stream.local_addr()?;
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
        if ours {
            self.by_way.insert((flow.transport, remote), flow.connection);
        }
        if let Some(entry) = self.connections.get_mut(&flow.connection) {
            entry.answered = answered;
        }
        let (inbox, held) = (self.inbox.clone(), Some(self.parts.held.clone()));
        self.tasks.spawn(async move {
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
            let Some(entry) = self.connections.get(&number) else { continue };
            let origin = match (entry.ours, entry.answered) {
                (true, _) => Origin::Ours,
                (false, true) => Origin::Answered,
                (false, false) => Origin::Unanswered,
            };
            match stream.into_std() {
                Ok(stream) => left.push(LeftStream { stream, peer: entry.flow.remote, origin }),
                Err(error) => tracing::warn!("a connection is not left: {error}"),
            }
        }
        left
    }
}
