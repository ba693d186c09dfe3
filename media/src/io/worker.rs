//! A worker thread: owns its sessions, reads their sockets, relays.

use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer};

use super::pace::{GATHER, Pace};
use super::shared::{SharedSession, WorkerStats};
use super::sys::{self, Epoll, Ready, Wake};
use crate::session::{Arrival, DropReason, Session, Verdict};
use crate::value::{Event, Port, Remote, SessionId, Side, Timestamp};

/// How often silent sessions are looked for, and so how late an idle session may be reported.
const SCAN: Duration = Duration::from_secs(1);

/// The token of the worker's own eventfd.
pub(super) const WAKE_TOKEN: u64 = u64::MAX;

/// No session has this socket now.
const UNUSED: u32 = u32::MAX;

/// The largest UDP payload: nothing is ever cut.
const MAX_DATAGRAM: usize = 65_535;

/// A bound socket as its worker knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Socket {
    pub(super) fd: RawFd,
    /// Its place among all ports of the range.
    pub(super) index: u32,
}

impl Socket {
    /// What epoll reports for it: all that is needed to read it and to find its session.
    pub(super) fn token(self) -> u64 {
        (u64::from(self.fd.cast_unsigned()) << 32) | u64::from(self.index)
    }

    fn from_token(token: u64) -> Socket {
        Socket { fd: ((token >> 32) as u32).cast_signed(), index: token as u32 }
    }
}

/// What the owner tells a worker; those of one slot come in the order they were given.
#[derive(Debug)]
pub(super) enum Order {
    Open { slot: u32, opening: Opening },
    SetRemote { slot: u32, side: Side, remote: Remote },
    ClearRemote { slot: u32, side: Side },
    WatchIdle { slot: u32, on: bool },
    Close { slot: u32 },
}

/// A session to be.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) id: SessionId,
    /// By [`place`].
    pub(super) sockets: [Socket; 4],
    pub(super) shared: Arc<SharedSession>,
}

/// A session and the sockets it has for now.
struct Live {
    id: SessionId,
    sockets: [Socket; 4],
    shared: Arc<SharedSession>,
    session: Session,
}

pub(super) struct Worker {
    pub(super) epoll: Arc<Epoll>,
    pub(super) wake: Arc<Wake>,
    pub(super) orders: Consumer<Order>,
    /// Set by the owner while orders wait for room in the ring.
    pub(super) backlogged: Arc<AtomicBool>,
    pub(super) events: Producer<Event>,
    pub(super) owner: Arc<Wake>,
    pub(super) stats: Arc<WorkerStats>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) table: Table,
    pub(super) idle_timeout: Duration,
    /// The clock's zero.
    pub(super) epoch: Instant,
}

/// The sessions of a worker, and which of them a socket belongs to.
pub(super) struct Table {
    /// By the socket's index: slot and place of its session, or [`UNUSED`].
    routes: Vec<u32>,
    /// Reserved for as many sessions as there can be, so that it never moves.
    slots: Vec<Option<Live>>,
    /// The family of every socket.
    ipv6: bool,
}

impl Worker {
    /// Until told to stop. A panic is counted, printed by the panic hook, and costs the packet or
    /// order that caused it: the calls of a worker must not die by one of them.
    pub(super) fn run(mut self) {
        let stats = Arc::clone(&self.stats);
        let mut buffer = vec![0; MAX_DATAGRAM];
        survive(&stats, || self.rounds(&mut buffer));
    }

    fn rounds(&mut self, buffer: &mut [u8]) {
        let mut ready = Ready::new();
        let mut pace = Pace::default();
        let mut scanned = self.now();
        while !self.stop.load(Ordering::Acquire) {
            let timeout_ms = if pace.gathering() { 0 } else { SCAN.as_millis() as i32 };
            if self.epoll.wait(&mut ready, timeout_ms).is_err() {
                // Cannot happen to a valid descriptor; if it did, do not burn the core.
                thread::sleep(SCAN);
            }
            let now = self.now();
            self.obey(now);
            for token in (0..ready.len()).filter_map(|nth| ready.token(nth)) {
                if token == WAKE_TOKEN {
                    self.wake.clear();
                } else {
                    self.table.packet(now, Socket::from_token(token), buffer, &self.stats);
                }
            }
            pace.round(now, ready.len(), sys::sleeps);
            if now.since(scanned) >= SCAN {
                scanned = now;
                self.report_silence(now);
            }
            // A wait that found all it can report has left others waiting.
            if pace.gathering() && !ready.is_full() {
                thread::sleep(GATHER);
            }
        }
    }

    fn now(&self) -> Timestamp {
        let elapsed = self.epoch.elapsed().as_micros();
        Timestamp::from_micros(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// Before the packets that made the wake-up: a phone sends only after signalling told it to,
    /// and by then the order is in the ring.
    fn obey(&mut self, now: Timestamp) {
        while let Ok(order) = self.orders.pop() {
            self.table.obey(now, order);
        }
        if self.backlogged.load(Ordering::Relaxed) && self.backlogged.swap(false, Ordering::AcqRel)
        {
            self.owner.wake();
        }
    }

    fn report_silence(&mut self, now: Timestamp) {
        let mut reported = false;
        for live in self.table.slots.iter_mut().flatten() {
            if self.events.is_full() {
                // The owner is behind; what is silent now is still silent at the next scan.
                break;
            }
            if live.session.fell_silent(now, self.idle_timeout) && !live.shared.is_closed() {
                reported |= self.events.push(Event::Idle { session: live.id }).is_ok();
            }
        }
        if reported {
            self.owner.wake();
        }
    }
}

impl Table {
    /// For `sockets` ports and `sessions` sessions at most.
    pub(super) fn new(sockets: usize, sessions: usize, ipv6: bool) -> Table {
        Table { routes: vec![UNUSED; sockets], slots: Vec::with_capacity(sessions), ipv6 }
    }

    fn obey(&mut self, now: Timestamp, order: Order) {
        match order {
            Order::Open { slot, opening } => self.open(slot, opening),
            Order::Close { slot } => self.close(slot),
            Order::SetRemote { slot, side, remote } => {
                if let Some(live) = self.live(slot) {
                    live.session.set_remote(now, side, remote);
                }
            }
            Order::ClearRemote { slot, side } => {
                if let Some(live) = self.live(slot) {
                    live.session.clear_remote(side);
                }
            }
            Order::WatchIdle { slot, on } => {
                if let Some(live) = self.live(slot) {
                    live.session.watch_idle(now, on);
                }
            }
        }
    }

    fn live(&mut self, slot: u32) -> Option<&mut Live> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    fn open(&mut self, slot: u32, opening: Opening) {
        let Opening { id, sockets, shared } = opening;
        for (place, socket) in (0..).zip(sockets) {
            if let Some(route) = self.routes.get_mut(socket.index as usize) {
                *route = slot * 4 + place;
            }
        }
        let place = slot as usize;
        if place >= self.slots.len() {
            self.slots.resize_with(place + 1, || None);
        }
        if let Some(vacant) = self.slots.get_mut(place) {
            *vacant = Some(Live { id, sockets, shared, session: Session::default() });
        }
    }

    fn close(&mut self, slot: u32) {
        let Some(live) = self.slots.get_mut(slot as usize).and_then(Option::take) else { return };
        for (place, socket) in (0..).zip(live.sockets) {
            if let Some(route) = self.routes.get_mut(socket.index as usize)
                && *route == slot * 4 + place
            {
                *route = UNUSED;
            }
        }
    }

    /// Takes one datagram from a socket and sends it where it belongs. Here is what every packet
    /// of every call costs: two system calls and this.
    fn packet(&mut self, now: Timestamp, socket: Socket, buffer: &mut [u8], stats: &WorkerStats) {
        // Nothing there, or an error of the socket: the next wait tells if there is more.
        let Ok((length, from)) = sys::receive(socket.fd, buffer) else { return };
        let Some((bytes, route)) =
            buffer.get(..length).zip(self.routes.get(socket.index as usize).copied())
        else {
            return;
        };
        let live = self.slots.get_mut((route / 4) as usize).and_then(Option::as_mut);
        let Some(live) = live.filter(|live| route != UNUSED && !live.shared.is_closed()) else {
            stats.unwanted.add(1);
            return;
        };
        let (side, port) = unplace(route % 4);
        let verdict = live.session.packet(now, Arrival { side, port, from, bytes });
        live.shared.publish(side, live.session.counters(side));
        match verdict {
            Verdict::Relay { port, to } => {
                let out = live.sockets[place(side.other(), port)];
                if sys::send(out.fd, self.ipv6, bytes, to).is_ok() {
                    stats.packets.add(1);
                    stats.bytes.add(length as u64);
                } else {
                    stats.send_errors.add(1);
                }
            }
            Verdict::Drop(DropReason::Stranger) => stats.strangers.add(1),
            Verdict::Drop(DropReason::Flood) => stats.floods.add(1),
            Verdict::Drop(
                DropReason::NoPhone | DropReason::NotSending | DropReason::NobodyToHear,
            ) => stats.unwanted.add(1),
        }
    }
}

/// Where a session keeps the socket of this port.
pub(super) fn place(side: Side, port: Port) -> usize {
    side.index() * 2 + usize::from(port == Port::Rtcp)
}

fn unplace(place: u32) -> (Side, Port) {
    let side = if place < 2 { Side::A } else { Side::B };
    let port = if place.is_multiple_of(2) { Port::Rtp } else { Port::Rtcp };
    (side, port)
}

/// Runs `work` until it returns by itself.
fn survive(stats: &WorkerStats, mut work: impl FnMut()) {
    // The state survives: every step leaves the tables valid whatever it was doing.
    while catch_unwind(AssertUnwindSafe(&mut work)).is_err() {
        stats.panics.add(1);
    }
}

/// Starts the thread of a worker.
pub(super) fn spawn(number: usize, worker: Worker) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(format!("media-{number}")).spawn(move || worker.run())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_counted_and_work_goes_on() {
        let stats = WorkerStats::default();
        let mut attempts = 0;
        survive(&stats, || {
            attempts += 1;
            assert_eq!(attempts, 3, "the bug under test");
        });
        assert_eq!((attempts, stats.panics.total()), (3, 2));
    }

    #[test]
    fn a_token_holds_its_socket() {
        let socket = Socket { fd: 20_017, index: 19_999 };
        let back = Socket::from_token(socket.token());
        assert_eq!((back.fd, back.index), (20_017, 19_999));
    }

    #[test]
    fn every_port_of_a_session_has_its_own_place() {
        for (expected, side, port) in [
            (0, Side::A, Port::Rtp),
            (1, Side::A, Port::Rtcp),
            (2, Side::B, Port::Rtp),
            (3, Side::B, Port::Rtcp),
        ] {
            assert_eq!(place(side, port), expected as usize);
            assert_eq!(unplace(expected), (side, port));
        }
    }
}
