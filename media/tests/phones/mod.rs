//! Phones on loopback, and a relay between them.
#![expect(clippy::unwrap_used, reason = "a helper of tests that fails has failed the test")]

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tensou_media::io::{Relay, RelayConfig};
use tensou_media::{Command, Latch, PortPair, Remote, SessionId, Side, SideCounters};

/// How long a condition may take on a busy machine before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Every relay of this process has its own stretch of ports, from below where the system's own
/// choice of ports begins.
static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

/// A phone's sockets.
pub(crate) struct Phone {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    /// The relay's RTP port that faces it, once it has a call.
    relay: u16,
}

impl Phone {
    /// On the IPv4 loopback.
    pub(crate) fn new() -> Phone {
        Phone::on(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// On this host.
    pub(crate) fn on(host: IpAddr) -> Phone {
        let socket = || {
            let socket = UdpSocket::bind((host, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        Phone { rtp: socket(), rtcp: socket(), relay: 0 }
    }

    /// What it says in its SDP.
    pub(crate) fn remote(&self, latch: Latch) -> Remote {
        let [rtp, rtcp] = [&self.rtp, &self.rtcp].map(|socket| socket.local_addr().unwrap());
        Remote { rtp, rtcp, latch, sends: true }
    }

    /// Sends on its call.
    pub(crate) fn sends(&self, bytes: &[u8]) {
        self.sends_to(self.relay, bytes);
    }

    /// Sends from its RTP port to any port of the relay.
    pub(crate) fn sends_to(&self, port: u16, bytes: &[u8]) {
        let relay = SocketAddr::new(self.rtp.local_addr().unwrap().ip(), port);
        assert_eq!(self.rtp.send_to(bytes, relay).unwrap(), bytes.len());
    }

    /// Sends an RTCP report on its call.
    pub(crate) fn reports(&self, bytes: &[u8]) {
        self.rtcp.send_to(bytes, (Ipv4Addr::LOCALHOST, self.relay + 1)).unwrap();
    }

    /// The next packet.
    pub(crate) fn hears(&self) -> Vec<u8> {
        self.hears_from().0
    }

    /// The next packet and the port it came from.
    pub(crate) fn hears_from(&self) -> (Vec<u8>, u16) {
        next(&self.rtp)
    }

    /// The next RTCP packet.
    pub(crate) fn hears_report(&self) -> Vec<u8> {
        next(&self.rtcp).0
    }

    /// True if something waits to be heard.
    pub(crate) fn heard_something(&self) -> bool {
        !silent(&self.rtp)
    }

    /// True if nothing waits to be heard on either port.
    pub(crate) fn heard_nothing(&self) -> bool {
        silent(&self.rtp) && silent(&self.rtcp)
    }
}

/// Two phones that are set up to talk.
pub(crate) struct Call {
    pub(crate) caller: Phone,
    pub(crate) callee: Phone,
    /// The relay's RTP port towards the caller.
    pub(crate) a_port: u16,
    /// The relay's RTP port towards the callee.
    pub(crate) b_port: u16,
}

/// A relay with a few ports, and which of them are free.
pub(crate) struct Setup {
    pub(crate) relay: Relay,
    config: RelayConfig,
    free: VecDeque<PortPair>,
    used: Vec<(SessionId, PortPair, PortPair)>,
}

impl Setup {
    /// With room for two calls.
    pub(crate) fn new(workers: usize) -> Setup {
        Setup::with_pairs(workers, 4)
    }

    /// With so many pairs.
    pub(crate) fn with_pairs(workers: usize, pairs: u16) -> Setup {
        Setup::build(workers, pairs, |_| {})
    }

    /// With room for two calls and something particular.
    pub(crate) fn configured(change: impl FnOnce(&mut RelayConfig)) -> Setup {
        Setup::build(1, 4, change)
    }

    fn build(workers: usize, pairs: u16, change: impl FnOnce(&mut RelayConfig)) -> Setup {
        // Test processes that run at the same time start at different places.
        let base = 10_000 + (std::process::id() % 50) as u16 * 400;
        let first = base + NEXT_PORT.fetch_add(pairs * 2, Ordering::Relaxed);
        let mut config = RelayConfig {
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: first..=first + pairs * 2 - 1,
            workers,
            dscp: 46,
            idle_timeout: Duration::from_secs(60),
        };
        change(&mut config);
        let free = config.ports.clone().step_by(2).filter_map(PortPair::new).collect();
        Setup { relay: Relay::start(config.clone()).unwrap(), config, free, used: Vec::new() }
    }

    pub(crate) fn config(&self) -> RelayConfig {
        self.config.clone()
    }

    /// Two pairs that no session has.
    pub(crate) fn free_pairs(&self) -> (PortPair, PortPair) {
        (self.free[0], self.free[1])
    }

    /// A session without phones.
    pub(crate) fn opens(&mut self, session: SessionId) -> (PortPair, PortPair) {
        let (a, b) = (self.free.pop_front().unwrap(), self.free.pop_front().unwrap());
        self.relay.open(session, a, b).unwrap();
        self.used.push((session, a, b));
        (a, b)
    }

    /// A side's phone becomes known.
    pub(crate) fn answers(&mut self, session: SessionId, side: Side, phone: &Phone, latch: Latch) {
        let remote = phone.remote(latch);
        self.relay.command(Command::SetRemote { session, side, remote });
    }

    /// A session with two phones that may talk.
    pub(crate) fn call(&mut self, session: SessionId) -> Call {
        let (a, b) = self.opens(session);
        let caller = Phone { relay: a.rtp(), ..Phone::new() };
        let callee = Phone { relay: b.rtp(), ..Phone::new() };
        self.answers(session, Side::A, &caller, Latch::Signalled);
        self.answers(session, Side::B, &callee, Latch::Signalled);
        Call { caller, callee, a_port: a.rtp(), b_port: b.rtp() }
    }

    /// Ends a session; its ports are free again.
    pub(crate) fn closes(&mut self, session: SessionId) -> [SideCounters; 2] {
        let place = self.used.iter().position(|(id, ..)| *id == session).unwrap();
        let (_, a, b) = self.used.remove(place);
        self.free.extend([a, b]);
        self.relay.close(session).unwrap()
    }
}

/// A G.711 packet of 20 ms.
pub(crate) fn speech(ssrc: u32, number: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(number.to_be_bytes());
    packet.extend((u32::from(number) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..160).map(|n| (n + number) as u8));
    packet
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::yield_now();
    }
}

fn next(socket: &UdpSocket) -> (Vec<u8>, u16) {
    let mut buffer = [0; 2048];
    let (length, from) = socket.recv_from(&mut buffer).expect("nothing is heard");
    (buffer[..length].to_vec(), from.port())
}

fn silent(socket: &UdpSocket) -> bool {
    socket.set_nonblocking(true).unwrap();
    let nothing = socket.peek_from(&mut [0; 1]).is_err_and(|e| e.kind() == ErrorKind::WouldBlock);
    socket.set_nonblocking(false).unwrap();
    nothing
}
