//! Sockets and threads around the core.
//!
//! A [`Relay`] belongs to one thread. Nothing it does waits for a worker: sessions are opened,
//! changed and closed by orders in a lock-free ring, and the counters of a session are read from
//! plain atomics.
//!
//! # Why a packet needs no lock
//!
//! All four sockets of a session are in the epoll instance of one worker, and its state lies in
//! that worker's table: only that thread touches it. A socket changes its worker only between
//! sessions. A former worker that still holds a report of such a socket reads a packet that finds
//! no session in its own table, and drops it.

mod lane;
mod pace;
mod shared;
mod sockets;
mod sys;
mod worker;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use lane::{Common, Lane};
pub use shared::RelayStats;
use shared::SharedSession;
use sockets::Sockets;
use sys::Wake;
use worker::{Opening, Order};

use crate::value::{Command, Event, PortPair, SessionId, Side, SideCounters};

/// Up to here a worker takes every session there is: 256 calls are 25,600 packets/s, a fifth of
/// what a core relays, and packets of one worker share their wake-ups while those of two do not.
const COMFORTABLE: usize = 256;

/// Beyond that, a worker may have so many sessions more than the least busy one before the next
/// session goes there: moving a pair to another worker costs four system calls.
const UNEVEN: usize = 16;

/// How long the workers may take to get all orders of the sessions that are taken up again; they
/// have nothing else to do then.
const TAKING_UP: Duration = Duration::from_secs(1);
/// Between two looks whether they have.
const LOOK_EVERY: Duration = Duration::from_micros(200);

/// What the relay is built with.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The address of every socket. `::` serves both families where the system allows it.
    pub listen: IpAddr,
    /// The range that all pairs are from.
    pub ports: RangeInclusive<u16>,
    /// Worker threads; 0 for one per core.
    pub workers: usize,
    /// Marks every packet that leaves (RFC 2474); 46 is expedited forwarding.
    pub dscp: u8,
    /// Silence of a watched session that is reported.
    pub idle_timeout: Duration,
}

impl RelayConfig {
    fn first_port(&self) -> u16 {
        self.ports.start().saturating_add(self.ports.start() % 2)
    }

    /// Whole pairs in the range.
    fn pairs(&self) -> usize {
        let ports = u32::from(*self.ports.end()) + 1;
        usize::try_from(ports.saturating_sub(u32::from(self.first_port())) / 2).unwrap_or(0)
    }
}

/// Why a session could not be opened. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the port, or no descriptor is left.
    #[error("port {port} cannot be bound")]
    Bind {
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The sockets could not be given to a worker.
    #[error("the sockets cannot be watched")]
    Watch(#[source] io::Error),
    /// Another session has the pair: a bug of the owner.
    #[error("the pair of port {port} is in use")]
    PairInUse {
        /// Its RTP port.
        port: u16,
    },
    /// The pair is not of the configured range.
    #[error("port {port} is outside the range")]
    OutsideRange {
        /// Its RTP port.
        port: u16,
    },
    /// The session is open already: a bug of the owner.
    #[error("the session is open already")]
    SessionExists,
}

/// Descriptors kept for the rest of the process: SIP sockets, the database, web clients.
const RESERVED_DESCRIPTORS: u64 = 1024;

/// What of `ports` can be bound at once under `limit` descriptors.
fn affordable(ports: &RangeInclusive<u16>, limit: u64) -> RangeInclusive<u16> {
    let most = u16::try_from(limit.saturating_sub(RESERVED_DESCRIPTORS)).unwrap_or(u16::MAX);
    let last = ports.start().saturating_add(most.saturating_sub(1));
    *ports.start()..=last.min(*ports.end())
}

/// The media relay. Dropping it ends the workers and closes every socket.
pub struct Relay {
    config: RelayConfig,
    sockets: Sockets,
    lanes: Vec<Lane>,
    sessions: HashMap<SessionId, Entry>,
    wake: Arc<Wake>,
    stop: Arc<AtomicBool>,
    orders_delayed: u64,
    /// While sessions of the process before are taken up: their pairs, each with its lane. None
    /// once that is over.
    taking_up: Option<Vec<(PortPair, usize)>>,
}

/// What the owner knows of an open session.
struct Entry {
    lane: usize,
    slot: u32,
    pairs: [PortPair; 2],
    shared: Arc<SharedSession>,
}

impl Relay {
    /// Starts the workers. Raises the process's limit of open files as far as it may, since
    /// every port of the range can come to be bound.
    ///
    /// Where the limit stays below what the range needs, the range is cut to what can be open
    /// at once: a call refused for want of ports is better than a process that can open no file.
    pub fn start(mut config: RelayConfig) -> io::Result<Relay> {
        config.ports = affordable(&config.ports, sys::raise_descriptor_limit()?);
        let workers = match config.workers {
            0 => available_parallelism()?.get(),
            workers => workers,
        };
        let wake = Arc::new(Wake::new()?);
        let stop = Arc::new(AtomicBool::new(false));
        let common =
            Common { owner: Arc::clone(&wake), stop: Arc::clone(&stop), epoch: Instant::now() };
        let sockets = Sockets::new(&config);
        let mut relay = Relay {
            config,
            sockets,
            lanes: Vec::with_capacity(workers),
            sessions: HashMap::new(),
            wake,
            stop,
            orders_delayed: 0,
            taking_up: None,
        };
        for number in 0..workers {
            relay.lanes.push(Lane::start(number, &relay.config, &common)?);
        }
        Ok(relay)
    }

    /// From now until [`Relay::taken_up`] sessions of a process before are opened: on `sockets`
    /// that it left, or new ones. Packets wait in the sockets until then, so that none is read
    /// before the relay knows where it goes.
    pub fn take_up(&mut self, sockets: Vec<UdpSocket>) {
        self.sockets.adopt(sockets, &self.config);
        self.taking_up = Some(Vec::new());
    }

    /// Every session of the process before is open and has its phones: their packets flow.
    /// Sockets that it left and no session has are closed.
    ///
    /// # Errors
    /// A pair's sockets could not be given to a worker: its session hears nothing there.
    pub fn taken_up(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + TAKING_UP;
        while self.lanes.iter_mut().map(|lane| lane.flush()).filter(|done| !done).count() > 0
            && Instant::now() < deadline
        {
            sleep(LOOK_EVERY);
        }
        let mut result = Ok(());
        for (pair, lane) in self.taking_up.take().unwrap_or_default() {
            if let Some(bound) = self.sockets.pair(pair).filter(|bound| bound.is_busy()) {
                result = result.and(bound.move_to(lane, &self.lanes));
            }
        }
        self.sockets.close_unused();
        result
    }

    /// The sockets of all sessions, RTP and RTCP of both sides: who has them receives what comes
    /// for these sessions, also when this relay is gone.
    pub fn held_sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        self.sockets.busy()
    }

    /// The ports that sessions may have: the range configured, or what the limit of open files
    /// leaves of it.
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.config.ports.clone()
    }

    /// Binds both pairs if they are not bound yet and holds them for the session. Nothing flows
    /// before [`Command::SetRemote`]. On an error no session exists and the pairs are free.
    pub fn open(&mut self, session: SessionId, a: PortPair, b: PortPair) -> Result<(), OpenError> {
        if self.sessions.contains_key(&session) {
            return Err(OpenError::SessionExists);
        }
        if a == b {
            return Err(OpenError::PairInUse { port: a.rtp() });
        }
        let lane_a = self.sockets.free_pair(a, &self.config)?.lane();
        let lane_b = self.sockets.free_pair(b, &self.config)?.lane();
        let lane = self.choose_lane(lane_a.or(lane_b));
        let [rtp_a, rtcp_a] = self.hold(a, lane)?;
        let [rtp_b, rtcp_b] = self.hold(b, lane).inspect_err(|_| self.release(a))?;
        let shared = Arc::new(SharedSession::default());
        let opening = Opening {
            id: session,
            sockets: [rtp_a, rtcp_a, rtp_b, rtcp_b],
            shared: Arc::clone(&shared),
        };
        let slot = self.lanes[lane].take_slot();
        self.sessions.insert(session, Entry { lane, slot, pairs: [a, b], shared });
        self.send(lane, Order::Open { slot, opening });
        Ok(())
    }

    /// Carries out a command. One for a session that is not open is for the past and ignored.
    pub fn command(&mut self, command: Command) {
        let Some(&Entry { lane, slot, .. }) = self.sessions.get(&command.session()) else { return };
        let order = match command {
            Command::SetRemote { side, remote, .. } => Order::SetRemote { slot, side, remote },
            Command::ClearRemote { side, .. } => Order::ClearRemote { slot, side },
            Command::WatchIdle { on, .. } => Order::WatchIdle { slot, on },
        };
        self.send(lane, order);
    }

    /// Ends a session: from now on nothing is relayed and the pairs are free. Returns what was
    /// received from side A and from side B; `None` if it was not open.
    pub fn close(&mut self, session: SessionId) -> Option<[SideCounters; 2]> {
        let Entry { lane, slot, pairs, shared } = self.sessions.remove(&session)?;
        shared.close();
        let counters = [shared.read(Side::A), shared.read(Side::B)];
        self.send(lane, Order::Close { slot });
        self.lanes[lane].free_slot(slot);
        for pair in pairs {
            self.release(pair);
        }
        Some(counters)
    }

    /// What has been received so far; `None` if the session is not open.
    pub fn counters(&self, session: SessionId) -> Option<[SideCounters; 2]> {
        let shared = &self.sessions.get(&session)?.shared;
        Some([shared.read(Side::A), shared.read(Side::B)])
    }

    /// The next report of a worker. Call it until `None` whenever the descriptor of this relay
    /// ([`AsRawFd`]) can be read.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.next_event();
        if event.is_some() {
            return event;
        }
        // Cleared first and looked at again: a report in between is not slept over.
        self.wake.clear();
        for lane in &mut self.lanes {
            lane.flush();
        }
        self.next_event()
    }

    /// The counters since the start.
    pub fn stats(&self) -> RelayStats {
        let mut stats = RelayStats {
            sessions: self.sessions.len(),
            sockets: self.sockets.bound(),
            bind_failures: self.sockets.bind_failures,
            orders_delayed: self.orders_delayed,
            ..RelayStats::default()
        };
        for worker in self.lanes.iter().map(|lane| &lane.stats) {
            stats.packets += worker.packets.total();
            stats.bytes += worker.bytes.total();
            stats.strangers += worker.strangers.total();
            stats.unwanted += worker.unwanted.total();
            stats.floods += worker.floods.total();
            stats.send_errors += worker.send_errors.total();
            stats.worker_panics += worker.panics.total();
        }
        stats
    }

    /// How many worker threads there are.
    pub fn workers(&self) -> usize {
        self.lanes.len()
    }

    /// Reports of sessions that were closed meanwhile are left out.
    fn next_event(&mut self) -> Option<Event> {
        for lane in &mut self.lanes {
            while let Ok(event) = lane.events.pop() {
                let Event::Idle { session } = event;
                if self.sessions.contains_key(&session) {
                    return Some(event);
                }
            }
        }
        None
    }

    /// Where the sockets are already, unless that worker has far more to do than another; for
    /// new sockets the first worker that is comfortable, else the least busy one.
    fn choose_lane(&self, bound_to: Option<usize>) -> usize {
        let load = |lane: usize| self.lanes.get(lane).map_or(usize::MAX, |lane| lane.sessions);
        let lanes = 0..self.lanes.len();
        let least = lanes.clone().min_by_key(|lane| load(*lane)).unwrap_or(0);
        let bearable = COMFORTABLE.max(load(least) + load(least) / 8 + UNEVEN);
        bound_to
            .filter(|lane| load(*lane) < bearable)
            .or_else(|| lanes.clone().find(|lane| load(*lane) < COMFORTABLE))
            .unwrap_or(least)
    }

    fn hold(&mut self, pair: PortPair, lane: usize) -> Result<[worker::Socket; 2], OpenError> {
        let bound = self.sockets.pair(pair).ok_or(OpenError::OutsideRange { port: pair.rtp() })?;
        if let Some(waiting) = &mut self.taking_up {
            waiting.push((pair, lane));
            bound.set_busy(true);
            return Ok(bound.sockets());
        }
        if let Err(source) = bound.move_to(lane, &self.lanes) {
            // Half moved: it is bound anew when it is next wanted.
            self.sockets.discard(pair);
            return Err(OpenError::Watch(source));
        }
        bound.set_busy(true);
        Ok(bound.sockets())
    }

    fn release(&mut self, pair: PortPair) {
        if let Some(bound) = self.sockets.pair(pair) {
            bound.set_busy(false);
        }
    }

    fn send(&mut self, lane: usize, order: Order) {
        if !self.lanes[lane].send(order) {
            self.orders_delayed += 1;
        }
    }
}

impl AsRawFd for Relay {
    /// Readable when [`Relay::poll_event`] should be called.
    fn as_raw_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for lane in &mut self.lanes {
            lane.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::affordable;

    #[test]
    fn a_low_limit_of_open_files_cuts_the_range_and_a_high_one_leaves_it() {
        assert_eq!(affordable(&(20_000..=39_999), 1 << 20), 20_000..=39_999);
        assert_eq!(affordable(&(20_000..=39_999), 5_024), 20_000..=23_999);
        assert_eq!(affordable(&(60_000..=65_535), 1 << 20), 60_000..=65_535);
    }
}
