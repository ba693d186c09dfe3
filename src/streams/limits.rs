//! How many connections there may be, and how long each may waste our time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Connections in all. Each may hold a message of 64 kB: 256 MB at the very worst.
pub(super) const MOST_CONNECTIONS: usize = 4_096;
/// Connections of one source: the phones behind one office's NAT.
pub(super) const MOST_OF_ONE_SOURCE: usize = 256;
/// A new connection says something whole by then, TLS included.
pub(super) const FIRST_MESSAGE: Duration = Duration::from_secs(30);
/// A message that has begun is whole by then (slowloris): 64 kB in ten seconds is a modem.
pub(super) const WHOLE_MESSAGE: Duration = Duration::from_secs(10);
/// A connection on which we have never answered is of no use to anybody.
pub(super) const UNANSWERED: Duration = Duration::from_secs(30);
/// A silent connection of a peer that we have answered: twice the longest registration, so that a
/// phone without keep-alive stays reachable.
pub(super) const SILENT: Duration = Duration::from_secs(7_200);
/// RFC 5626 4.4.1: between 95 and 120 s at most; NATs that forget TCP earlier are rare.
pub(super) const PING_EVERY: Duration = Duration::from_secs(95);
/// A peer that does not accept a connection by then is down for a caller who waits.
pub(super) const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
/// And its TLS handshake.
pub(super) const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// A peer that takes nothing for so long does not read.
pub(super) const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// Messages that wait for one connection; the peer of a longer queue does not read.
pub(super) const MOST_WAITING: usize = 256;

/// Connections by source.
#[derive(Debug, Default)]
pub(super) struct Census {
    by_source: HashMap<IpAddr, usize>,
    all: usize,
}

impl Census {
    /// Whether one more of this source is not too many of it.
    pub(super) fn has_room_for(&self, source: IpAddr) -> bool {
        self.by_source.get(&site(source)).is_none_or(|of_source| *of_source < MOST_OF_ONE_SOURCE)
    }

    /// Whether all places are taken.
    pub(super) fn is_full(&self) -> bool {
        self.all >= MOST_CONNECTIONS
    }

    /// Counts a connection in; false when there are too many.
    pub(super) fn enter(&mut self, source: IpAddr) -> bool {
        if self.is_full() || !self.has_room_for(source) {
            return false;
        }
        *self.by_source.entry(site(source)).or_insert(0) += 1;
        self.all += 1;
        true
    }

    /// Counts it out.
    pub(super) fn leave(&mut self, source: IpAddr) {
        let site = site(source);
        if let Some(of_source) = self.by_source.get_mut(&site) {
            *of_source -= 1;
            self.all -= 1;
            if *of_source == 0 {
                self.by_source.remove(&site);
            }
        }
    }
}

/// Whoever has one IPv6 address has all of its /64.
fn site(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(ip) => IpAddr::from((u128::from(ip) >> 64 << 64).to_be_bytes()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_has_256_connections_and_all_together_4096() {
        let mut census = Census::default();
        let source = |last: u8| IpAddr::from([192, 0, 2, last]);
        for _ in 0..MOST_OF_ONE_SOURCE {
            assert!(census.enter(source(1)));
        }
        assert!(!census.enter(source(1)));
        assert!(!census.enter("::ffff:192.0.2.1".parse().unwrap()), "the same source");
        census.leave(source(1));
        assert!(census.enter(source(1)));
        for one in 0..MOST_CONNECTIONS - MOST_OF_ONE_SOURCE {
            assert!(census.enter(source(2 + (one / MOST_OF_ONE_SOURCE) as u8)), "{one}");
        }
        assert!(!census.enter(source(200)));
        assert!(!census.by_source.contains_key(&source(200)), "who is refused costs no memory");
    }

    #[test]
    fn a_whole_ipv6_network_counts_as_one_source() {
        let mut census = Census::default();
        for one in 0..MOST_OF_ONE_SOURCE as u16 {
            assert!(census.enter(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, one])));
        }
        assert!(!census.enter("2001:db8::ffff".parse().unwrap()));
        assert!(census.enter("2001:db8:0:1::1".parse().unwrap()));
    }
}
