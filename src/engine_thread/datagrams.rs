//! What comes by the UDP sockets: datagrams by the batch, how long they lay there, and peers that
//! cannot be reached.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tensou_engine::Input;

use crate::sys::{BATCH, Receiver, age_of_last_datagram};

use super::{Looper, flow};

/// Batches taken from one socket before timers and the other sockets get their turn.
const BATCHES_PER_LOOK: usize = 16;

impl Looper {
    pub(super) fn take_datagrams(&mut self, at: usize, receiver: &mut Receiver) {
        for _ in 0..BATCHES_PER_LOOK {
            let Some((socket, _)) = self.sockets.get(at) else { return };
            let count = match receiver.receive(socket) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.caught_up(at),
                // The kernel reports an ICMP error once here; which peer it was stands in the
                // error queue.
                Err(_) => return self.take_errors(at, receiver),
            };
            self.pace.took(count);
            self.tell_backlog(at, count);
            // One reading for the batch: it is handled in well under a millisecond, the
            // precision of records.
            let now = self.clock.now();
            for (remote, bytes) in (0..count).filter_map(|place| receiver.datagram(place)) {
                let flow = flow(at, remote);
                self.engine.handle(now, Input::Datagram { flow, bytes });
            }
            self.settle(now);
            if count < BATCH {
                return self.caught_up(at);
            }
        }
    }

    /// A full batch may be the head of a queue: how long its last datagram lay tells.
    fn tell_backlog(&mut self, at: usize, count: usize) {
        let Some((socket, _)) = self.sockets.get(at) else { return };
        if count == BATCH
            && let Some(age) = age_of_last_datagram(socket)
        {
            let now = self.clock.now();
            // What came while no process read the sockets says nothing of this one's pace.
            if age > now.mono.since(self.resumed) {
                return;
            }
            self.engine.handle(now, Input::Waited(age));
            self.settle(now);
            self.behind = Some(at);
        }
    }

    /// The socket that was read last has nothing more.
    fn caught_up(&mut self, at: usize) {
        if self.behind == Some(at) {
            self.behind = None;
            let now = self.clock.now();
            self.engine.handle(now, Input::Waited(Duration::ZERO));
            self.settle(now);
        }
    }

    pub(super) fn take_errors(&mut self, at: usize, receiver: &mut Receiver) {
        let Some((socket, _)) = self.sockets.get(at) else { return };
        let Ok(count) = receiver.receive_errors(socket) else { return };
        for (remote, _) in (0..count).filter_map(|place| receiver.datagram(place)) {
            self.unreachable(at, remote);
        }
    }

    pub(super) fn unreachable(&mut self, at: usize, remote: SocketAddr) {
        let now = self.clock.now();
        self.engine.handle(now, Input::Unreachable { flow: flow(at, remote) });
        self.settle(now);
    }
}
