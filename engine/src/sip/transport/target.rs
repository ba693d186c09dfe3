//! Addresses of a next hop in the order in which they are tried (RFC 3263 4, RFC 2782).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::input::Transport;
use crate::rng::Rng;

/// Targets taken of one answer: a longer list only keeps the caller waiting.
const MOST_TARGETS: usize = 16;

/// What is asked of the resolver: the parts of a URI that RFC 3263 4 looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// The name.
    pub host: Arc<str>,
    /// Its port, when one is written: then only addresses are looked up (4.2).
    pub port: Option<u16>,
    /// The transport, when one is written.
    pub transport: Option<Transport>,
}

/// One address that a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolvedTarget {
    /// Lower is tried first: the order of NAPTR and the priority of SRV together.
    pub rank: u32,
    /// Which record it comes from: a record is drawn by its weight, its addresses follow each
    /// other.
    pub record: u16,
    /// The record's weight among those of its rank.
    pub weight: u16,
    /// Where.
    pub address: SocketAddr,
    /// How.
    pub transport: Transport,
}

/// An address and how it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
}

/// Puts items in order: by rank, and among those of one rank drawn by weight (RFC 2782: an item
/// comes next with the probability of its share of what is left; weight 0 seldom but not never).
pub(crate) fn in_order<T>(items: Vec<T>, rng: &mut Rng, of: impl Fn(&T) -> (u32, u16)) -> Vec<T> {
    let mut left = items;
    left.sort_by_key(|item| of(item).0);
    let mut drawn = Vec::with_capacity(left.len());
    while let Some(rank) = left.first().map(|item| of(item).0) {
        let peers = left.iter().take_while(|item| of(item).0 == rank).count();
        let at = if peers == 1 { 0 } else { draw(&left, peers, rng, &of) };
        drawn.push(left.remove(at));
    }
    drawn
}

fn draw<T>(items: &[T], peers: usize, rng: &mut Rng, of: &impl Fn(&T) -> (u32, u16)) -> usize {
    // A hundred parts for each unit of weight and one for each item keep zero possible.
    let share = |item: &T| u64::from(of(item).1) * 100 + 1;
    let whole: u64 = items.iter().take(peers).map(share).sum();
    let mut point = rng.below(whole);
    for (at, item) in items.iter().take(peers).enumerate() {
        let share = share(item);
        if point < share {
            return at;
        }
        point -= share;
    }
    0
}

/// The targets of an answer in the order in which they are tried.
pub(crate) fn ordered(answer: &[ResolvedTarget], rng: &mut Rng) -> Vec<Target> {
    let mut records: Vec<(u32, u16, Vec<Target>)> = Vec::new();
    let mut names: Vec<(u32, u16)> = Vec::new();
    for one in answer.iter().take(MOST_TARGETS) {
        let target = Target { address: one.address, transport: one.transport };
        match names.iter().position(|name| *name == (one.rank, one.record)) {
            Some(at) => records[at].2.push(target),
            None => {
                names.push((one.rank, one.record));
                records.push((one.rank, one.weight, vec![target]));
            }
        }
    }
    let records = in_order(records, rng, |(rank, weight, _)| (*rank, *weight));
    records.into_iter().flat_map(|(_, _, targets)| targets).collect()
}

/// Whether an answer of the name service must not be followed: a name that somebody else holds
/// could otherwise send our requests to this machine or to the hypervisor's metadata service.
/// Loopback is in order for a node that itself listens on loopback only.
pub(crate) fn is_internal(ip: IpAddr, on_loopback: bool) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            (ip.is_loopback() && !on_loopback)
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
        }
        IpAddr::V6(ip) => {
            (ip.is_loopback() && !on_loopback)
                || ip.is_unicast_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                // The IPv6 address of the metadata service of a large cloud.
                || ip.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(rank: u32, record: u16, weight: u16) -> ResolvedTarget {
        let address = SocketAddr::from(([192, 0, 2, record as u8], 5060));
        ResolvedTarget { rank, record, weight, address, transport: Transport::Udp }
    }

    fn firsts(answer: &[ResolvedTarget], draws: usize) -> Vec<usize> {
        let mut rng = Rng::new(3263);
        let mut count = vec![0; 256];
        for _ in 0..draws {
            let first = ordered(answer, &mut rng)[0].address.ip();
            let IpAddr::V4(first) = first else { panic!("IPv4") };
            count[usize::from(first.octets()[3])] += 1;
        }
        count
    }

    #[test]
    fn a_lower_priority_is_always_first_and_weights_share_the_calls() {
        let answer = [record(20, 1, 900), record(10, 2, 30), record(10, 3, 10), record(10, 4, 0)];
        let count = firsts(&answer, 4_000);
        assert_eq!(count[1], 0);
        assert!((2_850..3_150).contains(&count[2]), "three quarters: {}", count[2]);
        assert!((850..1_150).contains(&count[3]), "one quarter: {}", count[3]);
        assert!(count[4] < 20, "next to none: {}", count[4]);
        let last = ordered(&answer, &mut Rng::new(1)).pop().map(|it| it.address);
        assert_eq!(last, Some(record(20, 1, 900).address));
    }

    #[test]
    fn the_addresses_of_one_record_follow_each_other() {
        let mut second = record(10, 1, 1);
        second.address.set_port(5070);
        let answer = [record(10, 1, 1), record(10, 2, 1), second];
        for seed in 0..20 {
            let order = ordered(&answer, &mut Rng::new(seed));
            let at = order.iter().position(|it| it.address == answer[0].address).unwrap();
            assert_eq!(order[at + 1].address, second.address);
        }
    }

    #[test]
    fn an_answer_never_makes_more_than_sixteen_targets() {
        let answer: Vec<_> = (0..200).map(|at| record(1, at, 1)).collect();
        assert_eq!(ordered(&answer, &mut Rng::new(1)).len(), MOST_TARGETS);
    }

    #[test]
    fn answers_that_point_into_this_machine_are_not_followed() {
        for text in [
            "127.0.0.1",
            "127.8.9.1",
            "169.254.169.254",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "::ffff:127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "fd00:ec2::254",
        ] {
            assert!(is_internal(text.parse().unwrap(), false), "{text}");
        }
        for text in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fd12::1"] {
            assert!(!is_internal(text.parse().unwrap(), false), "{text}");
        }
        assert!(!is_internal("127.0.0.1".parse().unwrap(), true), "a laboratory");
        assert!(is_internal("169.254.169.254".parse().unwrap(), true));
    }
}
