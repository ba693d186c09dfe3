//! The ports of the range that have been bound.
//!
//! A port once bound stays bound and registered for the life of the process: binding and closing
//! four sockets is what a call would otherwise spend most of its time on. Between calls what
//! arrives there is read and dropped without an answer.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use super::worker::Socket;
use super::{OpenError, RelayConfig, sys};
use crate::value::PortPair;

#[derive(Debug)]
pub(super) struct BoundPair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    /// The index of the RTP socket; the RTCP socket has the next.
    index: u32,
    /// Whose epoll instance has it; none before its first session.
    lane: Option<usize>,
    busy: bool,
}

pub(super) struct Sockets {
    first: u16,
    pairs: Vec<Option<BoundPair>>,
    bound: usize,
    pub(super) bind_failures: u64,
}

impl Sockets {
    pub(super) fn new(config: &RelayConfig) -> Sockets {
        let pairs = std::iter::repeat_with(|| None).take(config.pairs()).collect();
        Sockets { first: config.first_port(), pairs, bound: 0, bind_failures: 0 }
    }

    /// Sockets bound.
    pub(super) fn bound(&self) -> usize {
        self.bound
    }

    /// The pair, bound now if it was not, and free.
    pub(super) fn free_pair(
        &mut self,
        pair: PortPair,
        config: &RelayConfig,
    ) -> Result<&mut BoundPair, OpenError> {
        let index = self.index(pair).ok_or(OpenError::OutsideRange { port: pair.rtp() })?;
        let place =
            self.pairs.get_mut(index).ok_or(OpenError::OutsideRange { port: pair.rtp() })?;
        let bound = match place {
            Some(bound) if bound.busy => return Err(OpenError::PairInUse { port: pair.rtp() }),
            Some(bound) => bound,
            None => {
                let bind = |port| {
                    sys::bind(SocketAddr::new(config.listen, port), config.dscp)
                        .map_err(|source| OpenError::Bind { port, source })
                };
                let sockets = bind(pair.rtp()).and_then(|rtp| Ok((rtp, bind(pair.rtcp())?)));
                let (rtp, rtcp) = sockets.inspect_err(|_| self.bind_failures += 1)?;
                self.bound += 2;
                place.insert(BoundPair::new(index, rtp, rtcp))
            }
        };
        Ok(bound)
    }

    /// Takes sockets over that another process has bound. Those outside the range, or without
    /// the other of their pair, are closed.
    pub(super) fn adopt(&mut self, sockets: Vec<UdpSocket>, config: &RelayConfig) {
        let port = |socket: UdpSocket| Some((socket.local_addr().ok()?, socket));
        let mut by_port: BTreeMap<u16, UdpSocket> = sockets
            .into_iter()
            .filter_map(port)
            .filter(|(address, _)| address.ip() == config.listen)
            .map(|(address, socket)| (address.port(), socket))
            .collect();
        while let Some((port, rtp)) = by_port.pop_first() {
            let Some(pair) = PortPair::new(port) else { continue };
            let place =
                self.index(pair).and_then(|index| Some((index, self.pairs.get_mut(index)?)));
            if let Some((index, place @ None)) = place
                && let Some(rtcp) = by_port.remove(&pair.rtcp())
            {
                *place = Some(BoundPair::new(index, rtp, rtcp));
                self.bound += 2;
            }
        }
    }

    /// Closes every pair that no session has.
    pub(super) fn close_unused(&mut self) {
        for place in &mut self.pairs {
            if place.take_if(|bound| !bound.busy).is_some() {
                self.bound -= 2;
            }
        }
    }

    /// The sockets of all sessions.
    pub(super) fn busy(&self) -> impl Iterator<Item = &UdpSocket> {
        let busy = self.pairs.iter().flatten().filter(|bound| bound.busy);
        busy.flat_map(|bound| [&bound.rtp, &bound.rtcp])
    }

    /// The pair, bound before.
    pub(super) fn pair(&mut self, pair: PortPair) -> Option<&mut BoundPair> {
        let index = self.index(pair)?;
        self.pairs.get_mut(index)?.as_mut()
    }

    /// Closes the pair's sockets, which also takes them out of every epoll instance.
    pub(super) fn discard(&mut self, pair: PortPair) {
        let place = self.index(pair).and_then(|index| self.pairs.get_mut(index));
        if place.and_then(Option::take).is_some() {
            self.bound -= 2;
        }
    }

    fn index(&self, pair: PortPair) -> Option<usize> {
        Some(usize::from(pair.rtp().checked_sub(self.first)? / 2))
    }
}

impl BoundPair {
    /// The `nth` pair of the range.
    fn new(nth: usize, rtp: UdpSocket, rtcp: UdpSocket) -> BoundPair {
        let index = u32::try_from(nth * 2).unwrap_or(u32::MAX);
        BoundPair { rtp, rtcp, index, lane: None, busy: false }
    }

    /// RTP, then RTCP.
    pub(super) fn sockets(&self) -> [Socket; 2] {
        [
            Socket { fd: self.rtp.as_raw_fd(), index: self.index },
            Socket { fd: self.rtcp.as_raw_fd(), index: self.index + 1 },
        ]
    }

    pub(super) fn lane(&self) -> Option<usize> {
        self.lane
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    pub(super) fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    /// Leaves the epoll instance it is in and joins that of `lane`. The former worker may still
    /// read one packet that was reported before: it finds no session there and drops it, and no
    /// session has a phone yet when its sockets move.
    pub(super) fn move_to(&mut self, lane: usize, lanes: &[super::Lane]) -> io::Result<()> {
        if self.lane == Some(lane) {
            return Ok(());
        }
        for socket in self.sockets() {
            if let Some(former) = self.lane.and_then(|former| lanes.get(former)) {
                former.epoll.remove(socket.fd)?;
            }
            if let Some(next) = lanes.get(lane) {
                next.epoll.add(socket.fd, socket.token())?;
            }
        }
        self.lane = Some(lane);
        Ok(())
    }
}
