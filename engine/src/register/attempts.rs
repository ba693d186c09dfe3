//! Slows down whoever guesses passwords.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::time::Timestamp;

/// Wrong passwords that are forgiven: a person who mistypes, a phone that is set up.
const FORGIVEN: u32 = 10;
/// They are counted over this long.
const WINDOW: Duration = Duration::from_secs(60);
/// Then nothing is checked for this long: at most ten guesses a minute, a hundred years for a
/// password of six random letters.
const BAR: Duration = Duration::from_secs(60);
/// Suspects that are watched. Each stands for a source that has answered a challenge, so a
/// flood with forged addresses fills no place; beyond, the oldest is let go.
const MOST_SUSPECTS: usize = 8_192;

/// Who is being watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Suspect {
    /// An address; of IPv6 its /64, which one host can roam freely.
    Source(IpAddr),
    /// A user name, known or not.
    Account(Box<str>),
}

#[derive(Clone, Copy, Debug)]
struct Tally {
    since: Timestamp,
    failures: u32,
    /// Since the last forgiven failure.
    barred_until: Option<Timestamp>,
}

/// Wrong passwords per source and per account.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    tallies: BTreeMap<Suspect, Tally>,
    /// Every tally once, in the order of its beginning; those replaced since are passed over.
    order: VecDeque<(Timestamp, Suspect)>,
}

impl Attempts {
    /// Whether passwords from this address are not checked now.
    pub(super) fn source_is_barred(&self, now: Timestamp, source: IpAddr) -> bool {
        self.is_barred(now, &Suspect::Source(network(source)))
    }

    /// Whether passwords for this user name are not checked now.
    pub(super) fn account_is_barred(&self, now: Timestamp, user: &str) -> bool {
        self.is_barred(now, &Suspect::Account(user.into()))
    }

    /// A wrong password.
    pub(super) fn failed(&mut self, now: Timestamp, source: IpAddr, user: &str) {
        self.count(now, Suspect::Source(network(source)));
        self.count(now, Suspect::Account(user.into()));
    }

    /// A right one: an office behind one address is not shut out by its one wrong phone.
    pub(super) fn succeeded(&mut self, source: IpAddr, user: &str) {
        self.tallies.remove(&Suspect::Source(network(source)));
        self.tallies.remove(&Suspect::Account(user.into()));
    }

    fn is_barred(&self, now: Timestamp, suspect: &Suspect) -> bool {
        let until = self.tallies.get(suspect).and_then(|tally| tally.barred_until);
        until.is_some_and(|until| now < until)
    }

    fn count(&mut self, now: Timestamp, suspect: Suspect) {
        let current = self.tallies.get_mut(&suspect).filter(|tally| !tally.is_over(now));
        if let Some(tally) = current {
            tally.failures += 1;
            if tally.failures >= FORGIVEN {
                tally.barred_until = Some(now + BAR);
            }
            return;
        }
        self.make_room(now);
        self.order.push_back((now, suspect.clone()));
        self.tallies.insert(suspect, Tally { since: now, failures: 1, barred_until: None });
    }

    /// Lets go of tallies that are over, and of the oldest if there are too many.
    fn make_room(&mut self, now: Timestamp) {
        while let Some((since, suspect)) = self.order.front() {
            let current = self.tallies.get(suspect).filter(|tally| tally.since == *since);
            if current.is_some_and(|tally| !tally.is_over(now)) && self.order.len() < MOST_SUSPECTS
            {
                return;
            }
            if current.is_some() {
                self.tallies.remove(suspect);
            }
            self.order.pop_front();
        }
    }
}

impl Tally {
    fn is_over(&self, now: Timestamp) -> bool {
        match self.barred_until {
            Some(until) => now >= until,
            None => now.since(self.since) >= WINDOW,
        }
    }
}

/// The network that one host can roam freely.
pub(super) fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    fn ip(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn the_tenth_wrong_password_in_a_minute_bars_source_and_account_for_a_minute() {
        let mut attempts = Attempts::default();
        for second in 0..10 {
            assert!(!attempts.source_is_barred(at(second), ip(1)));
            attempts.failed(at(second), ip(1), "101");
        }
        assert!(attempts.source_is_barred(at(9), ip(1)));
        assert!(attempts.account_is_barred(at(68), "101"));
        assert!(!attempts.account_is_barred(at(69), "101"));
        assert!(!attempts.source_is_barred(at(9), ip(2)));
        assert!(!attempts.account_is_barred(at(9), "102"));
        attempts.failed(at(70), ip(1), "101");
        assert!(!attempts.source_is_barred(at(70), ip(1)), "it starts from one again");
    }

    #[test]
    fn wrong_passwords_far_apart_are_forgiven() {
        let mut attempts = Attempts::default();
        for n in 0..100 {
            attempts.failed(at(n * 7), ip(1), "101");
            assert!(!attempts.source_is_barred(at(n * 7), ip(1)));
        }
    }

    #[test]
    fn a_right_password_clears_the_office_it_came_from() {
        let mut attempts = Attempts::default();
        for _ in 0..9 {
            attempts.failed(at(1), ip(1), "101");
        }
        attempts.succeeded(ip(1), "102");
        attempts.failed(at(2), ip(1), "101");
        assert!(!attempts.source_is_barred(at(2), ip(1)));
        assert!(attempts.account_is_barred(at(2), "101"));
    }

    #[test]
    fn one_ipv6_network_is_one_source() {
        let mut attempts = Attempts::default();
        for host in 0..10u128 {
            let source = IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | host));
            attempts.failed(at(1), source, "101");
        }
        let other = IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | 0xffff));
        assert!(attempts.source_is_barred(at(1), other));
    }

    #[test]
    fn a_flood_of_suspects_is_bounded_and_old_ones_are_let_go() {
        let mut attempts = Attempts::default();
        for n in 0..20_000 {
            attempts.failed(at(1), ip(n), &format!("user-{n}"));
            attempts.succeeded(ip(n), "somebody else");
        }
        assert!(attempts.tallies.len() <= MOST_SUSPECTS);
        assert!(attempts.order.len() <= MOST_SUSPECTS);
        attempts.failed(at(500), ip(1), "101");
        assert_eq!((attempts.tallies.len(), attempts.order.len()), (2, 2));
    }
}
