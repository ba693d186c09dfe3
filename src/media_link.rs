//! Between the engine's words for media and the relay's: the two crates do not know each other.

use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tensou_engine::media::SessionId;
use tensou_engine::media::{Latch, MediaCommand, MediaEvent, PortPair, Remote, Side, SideCounters};
use tensou_media::io::{Relay, RelayStats};

use crate::gauges::Kind;

/// The relay as the engine's thread drives it.
pub(crate) struct MediaLink {
    relay: Relay,
    figures: RelayFigures,
}

impl MediaLink {
    pub(crate) fn new(relay: Relay, figures: RelayFigures) -> Self {
        MediaLink { relay, figures }
    }

    /// Carries out a command; the answer, if it has one, is for the engine.
    pub(crate) fn carry_out(&mut self, command: MediaCommand) -> Option<MediaEvent> {
        match command {
            MediaCommand::Open { session, a, b } => {
                let failed = MediaEvent::OpenFailed { session };
                let (Some(a), Some(b)) = (pair(a), pair(b)) else { return Some(failed) };
                let opened = self.relay.open(session_id(session), a, b);
                opened.err().map(|error| {
                    tracing::error!("no media for a call: {:#}", anyhow::Error::from(error));
                    failed
                })
            }
            MediaCommand::SetRemote { session, side: of, remote: phone } => {
                let session = session_id(session);
                let (side, remote) = (side(of), remote(phone));
                self.relay.command(tensou_media::Command::SetRemote { session, side, remote });
                None
            }
            MediaCommand::ClearRemote { session, side: of } => {
                let session = session_id(session);
                self.relay.command(tensou_media::Command::ClearRemote { session, side: side(of) });
                None
            }
            MediaCommand::WatchIdle { session, on } => {
                let session = session_id(session);
                self.relay.command(tensou_media::Command::WatchIdle { session, on });
                None
            }
            MediaCommand::Close { session } => {
                let [a, b] = self.relay.close(session_id(session))?;
                Some(MediaEvent::Closed { session, a: counters(a), b: counters(b) })
            }
        }
    }

    /// Every session of the process before is open again.
    pub(crate) fn taken_up(&mut self) {
        if let Err(error) = self.relay.taken_up() {
            tracing::error!("voice of a call that went on is not heard: {error}");
        }
    }

    /// The sockets of all sessions.
    pub(crate) fn held_sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        self.relay.held_sockets()
    }

    /// The next report of the relay.
    pub(crate) fn poll(&mut self) -> Option<MediaEvent> {
        self.relay.poll_event().map(|event| match event {
            tensou_media::Event::Idle { session } => {
                MediaEvent::Idle { session: SessionId(session.0) }
            }
        })
    }

    /// Shows the relay's figures to others.
    pub(crate) fn report(&self) {
        self.figures.store(&self.relay.stats());
    }
}

impl AsRawFd for MediaLink {
    /// Readable when [`MediaLink::poll`] has something.
    fn as_raw_fd(&self) -> RawFd {
        self.relay.as_raw_fd()
    }
}

fn session_id(session: SessionId) -> tensou_media::SessionId {
    tensou_media::SessionId(session.0)
}

fn pair(pair: PortPair) -> Option<tensou_media::PortPair> {
    tensou_media::PortPair::new(pair.rtp())
}

fn side(side: Side) -> tensou_media::Side {
    match side {
        Side::A => tensou_media::Side::A,
        Side::B => tensou_media::Side::B,
    }
}

fn remote(remote: Remote) -> tensou_media::Remote {
    let latch = match remote.latch {
        Latch::Signalled => tensou_media::Latch::Signalled,
        Latch::FirstSource => tensou_media::Latch::FirstSource,
    };
    tensou_media::Remote { rtp: remote.rtp, rtcp: remote.rtcp, latch, sends: remote.sends }
}

fn counters(counters: tensou_media::SideCounters) -> SideCounters {
    let heard = counters.packets > 0;
    SideCounters {
        packets: counters.packets,
        lost: counters.lost,
        jitter_ms: counters.jitter_ms,
        strangers: counters.strangers,
        mos: heard.then(|| tensou_media::mos(counters.loss_ratio(), counters.jitter_ms)),
    }
}

/// A figure of the relay: name after `tensou_`, kind, help.
type Figure = (&'static str, Kind, &'static str);

const FIGURES: [Figure; 11] = [
    ("relay_packets_total", Kind::Counter, "packets relayed"),
    ("relay_bytes_total", Kind::Counter, "payload bytes relayed"),
    ("relay_strangers_total", Kind::Counter, "packets from strangers, dropped"),
    ("relay_unwanted_total", Kind::Counter, "packets before, on hold or after a call, dropped"),
    ("relay_floods_total", Kind::Counter, "packets over the rate of one phone, dropped"),
    ("relay_send_errors_total", Kind::Counter, "packets the system would not send"),
    ("relay_worker_panics_total", Kind::Counter, "worker panics survived; anything but 0 is a bug"),
    ("relay_sessions", Kind::Gauge, "media sessions now"),
    ("relay_sockets", Kind::Gauge, "media sockets bound now"),
    ("relay_bind_failures_total", Kind::Counter, "media ports that could not be bound"),
    ("relay_orders_delayed_total", Kind::Counter, "orders that waited for a busy worker"),
];

/// The relay's figures as others read them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RelayFigures(Arc<[AtomicU64; FIGURES.len()]>);

impl RelayFigures {
    fn store(&self, stats: &RelayStats) {
        let values = [
            stats.packets,
            stats.bytes,
            stats.strangers,
            stats.unwanted,
            stats.floods,
            stats.send_errors,
            stats.worker_panics,
            stats.sessions as u64,
            stats.sockets as u64,
            stats.bind_failures,
            stats.orders_delayed,
        ];
        for (shown, value) in self.0.iter().zip(values) {
            shown.store(value, Ordering::Relaxed);
        }
    }

    /// Name, kind, help and value of each.
    pub(crate) fn rows(
        &self,
    ) -> impl Iterator<Item = (&'static str, Kind, &'static str, u64)> + '_ {
        FIGURES
            .iter()
            .zip(self.0.iter())
            .map(|((name, kind, help), value)| (*name, *kind, *help, value.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tensou_media::io::RelayConfig;

    use super::*;

    fn link(first: u16) -> MediaLink {
        let config = RelayConfig {
            listen: [127, 0, 0, 1].into(),
            ports: first..=first + 7,
            workers: 1,
            dscp: 0,
            idle_timeout: Duration::from_secs(60),
        };
        MediaLink::new(Relay::start(config).unwrap(), RelayFigures::default())
    }

    /// Eight consecutive ports of which the first is free.
    fn free_range() -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        (socket.local_addr().unwrap().port() & !7).max(1024)
    }

    fn phone() -> (UdpSocket, Remote) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, Remote { rtp: address, rtcp: address, latch: Latch::Signalled, sends: true })
    }

    #[test]
    fn a_session_relays_between_its_phones_and_closes_with_counters() {
        let first = free_range();
        let mut link = link(first);
        let session = SessionId(7);
        let (a, b) = (PortPair(first), PortPair(first + 2));
        assert_eq!(link.carry_out(MediaCommand::Open { session, a, b }), None);
        let ((caller, at_a), (callee, at_b)) = (phone(), phone());
        for (side, remote) in [(Side::A, at_a), (Side::B, at_b)] {
            link.carry_out(MediaCommand::SetRemote { session, side, remote });
        }
        let mut packet = [0u8; 172];
        packet[0] = 0x80;
        let to = SocketAddr::from(([127, 0, 0, 1], a.rtp()));
        let mut heard = [0u8; 2048];
        // The worker takes its orders when it is woken; until then packets are not wanted.
        callee.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let relayed = (0..250u8).any(|number| {
            packet[3] = number;
            caller.send_to(&packet, to).unwrap();
            callee.recv(&mut heard).is_ok()
        });
        assert!(relayed, "no packet came through");
        let closed = link.carry_out(MediaCommand::Close { session });
        let Some(MediaEvent::Closed { session: SessionId(7), a, b }) = closed else {
            panic!("{closed:?}")
        };
        assert!(a.packets >= 1);
        assert_eq!(b.packets, 0);
        assert_eq!(link.carry_out(MediaCommand::Close { session }), None);
    }

    #[test]
    fn a_port_that_somebody_else_has_fails_the_session() {
        let first = free_range();
        let mut link = link(first);
        let _taken = UdpSocket::bind(("127.0.0.1", first + 2));
        let session = SessionId(1);
        let open = MediaCommand::Open { session, a: PortPair(first), b: PortPair(first + 2) };
        assert_eq!(link.carry_out(open), Some(MediaEvent::OpenFailed { session }));
        link.report();
        let failures = link.figures.rows().find(|row| row.0 == "relay_bind_failures_total");
        assert_eq!(failures.map(|row| row.3), Some(1));
    }
}
