//! Datagrams on their way out: gathered while inputs are handled, sent in batches.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use crate::sys::{BATCH, Sender, wait_writable};

/// How long a full socket buffer may hold the engine up before its datagrams are dropped; the
/// transaction timers send them again (RFC 3261 17.1.1.2, T1 = 500 ms).
const FULL_BUFFER_WAIT: Duration = Duration::from_millis(5);

/// The queue of one listener.
pub(super) struct Outbox {
    queue: Vec<(SocketAddr, Arc<[u8]>)>,
}

/// What a flush could not do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unsent {
    /// Peers that the kernel says cannot be reached.
    pub(super) unreachable: Vec<SocketAddr>,
    /// Datagrams dropped because the socket's buffer stayed full.
    pub(super) dropped: u64,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Outbox { queue: Vec::with_capacity(4 * BATCH) }
    }

    pub(super) fn push(&mut self, remote: SocketAddr, bytes: Arc<[u8]>) {
        self.queue.push((remote, bytes));
    }

    /// Whether enough has gathered for whole batches; sending goes on while inputs remain, so
    /// that the peer's next step overlaps with ours.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= BATCH
    }

    /// Sends everything in order.
    pub(super) fn flush(&mut self, socket: &UdpSocket, sender: &mut Sender) -> Unsent {
        let mut unsent = Unsent::default();
        let mut at = 0;
        while let Some(rest) = self.queue.get(at..).filter(|rest| !rest.is_empty()) {
            match sender.send(socket, rest) {
                Ok(count) => at += count,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => {
                        if !wait_writable(socket, FULL_BUFFER_WAIT) {
                            unsent.dropped += rest.len() as u64;
                            break;
                        }
                    }
                    // The report of an earlier datagram (ICMP); this one has not been tried.
                    // The error queue says which peer it was.
                    ErrorKind::ConnectionRefused => {}
                    _ => {
                        unsent.unreachable.extend(rest.first().map(|(remote, _)| *remote));
                        at += 1;
                    }
                },
            }
        }
        self.queue.clear();
        unsent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Receiver, bind_udp};

    fn loopback() -> UdpSocket {
        bind_udp("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_peer_that_cannot_be_reached_does_not_hold_up_the_others() {
        let (ours, theirs) = (loopback(), loopback());
        let to = theirs.local_addr().unwrap();
        // Port 0 is refused by the kernel at once.
        let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut outbox = Outbox::new();
        for remote in [to, nowhere, to] {
            outbox.push(remote, Arc::from(*b"x"));
        }
        let unsent = outbox.flush(&ours, &mut Sender::new());
        assert_eq!(unsent, Unsent { unreachable: vec![nowhere], dropped: 0 });
        assert_eq!(Receiver::new().receive(&theirs).unwrap(), 2);
    }

    #[test]
    fn more_than_one_batch_is_sent_whole() {
        let (ours, theirs) = (loopback(), loopback());
        let to = theirs.local_addr().unwrap();
        let mut outbox = Outbox::new();
        for _ in 0..=BATCH {
            outbox.push(to, Arc::from(*b"x"));
        }
        assert!(outbox.is_full());
        assert_eq!(outbox.flush(&ours, &mut Sender::new()), Unsent::default());
        let mut receiver = Receiver::new();
        assert_eq!(receiver.receive(&theirs).unwrap(), BATCH);
        assert_eq!(receiver.receive(&theirs).unwrap(), 1);
        assert!(!outbox.is_full());
    }
}
