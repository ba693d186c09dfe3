//! Wrong passwords as they are told: the first of a source at once, then a summary a minute, so
//! that whoever tries a thousand times a second is one line in that time. An account that is tried
//! from several sources is told of as well.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::event::Event;
use crate::time::Timestamp;

use super::attempts::{Suspect, network};

/// A source, or an account, is told of no more often.
const EVERY: Duration = Duration::from_secs(60);
/// Sources and accounts that are counted at a time; what is beyond stands in `auth_failures`
/// alone.
const MOST: usize = 4_096;
/// Users of a source, or sources of an account, that are told apart.
const MOST_OTHERS: usize = 64;

#[derive(Debug)]
struct Tally {
    tries: u64,
    user: Box<str>,
    source: SocketAddr,
    /// Users of a source; networks of an account.
    users: BTreeSet<Box<str>>,
    sources: BTreeSet<IpAddr>,
}

/// What was tried since it was told last.
#[derive(Debug, Default)]
pub(super) struct Failures {
    tallies: BTreeMap<Suspect, Tally>,
    /// When each is told next, in that order.
    due: VecDeque<(Timestamp, Suspect)>,
}

impl Failures {
    /// A wrong password; what to tell of it now.
    pub(super) fn failed(
        &mut self,
        now: Timestamp,
        source: SocketAddr,
        user: &str,
    ) -> Option<Event> {
        let network = network(source.ip());
        let known = self.tallies.contains_key(&Suspect::Source(network));
        self.count(now, Suspect::Account(user.into()), (source, user));
        if known {
            self.count(now, Suspect::Source(network), (source, user));
            return None;
        }
        let event = Tally::of(source, user).event();
        let told = Tally { tries: 0, users: BTreeSet::new(), ..Tally::of(source, user) };
        self.watch(now, Suspect::Source(network), told).then_some(event)
    }

    /// What is to be told by `now`.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        while self.due.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, about)) = self.due.pop_front() else { break };
            let Some(tally) = self.tallies.remove(&about) else { continue };
            let told = match about {
                Suspect::Source(_) => tally.tries > 0,
                // One source's tries are told as that source's.
                Suspect::Account(_) => tally.sources.len() > 1,
            };
            if told {
                events.push(tally.event());
                let Tally { source, user, .. } = tally;
                let (users, sources) = (BTreeSet::new(), BTreeSet::new());
                self.watch(now, about, Tally { tries: 0, user, source, users, sources });
            }
        }
        events
    }

    fn count(&mut self, now: Timestamp, about: Suspect, (source, user): (SocketAddr, &str)) {
        let Some(tally) = self.tallies.get_mut(&about) else {
            self.watch(now, about, Tally::of(source, user));
            return;
        };
        tally.tries += 1;
        (tally.source, tally.user) = (source, user.into());
        if tally.users.len() < MOST_OTHERS {
            tally.users.insert(user.into());
        }
        if tally.sources.len() < MOST_OTHERS {
            tally.sources.insert(network(source.ip()));
        }
    }

    /// Begins a minute; false when there is no room.
    fn watch(&mut self, now: Timestamp, about: Suspect, tally: Tally) -> bool {
        if self.tallies.len() == MOST {
            return false;
        }
        self.due.push_back((now + EVERY, about.clone()));
        self.tallies.insert(about, tally);
        true
    }
}

impl Tally {
    fn of(source: SocketAddr, user: &str) -> Tally {
        Tally {
            tries: 1,
            user: user.into(),
            source,
            users: BTreeSet::from([user.into()]),
            sources: BTreeSet::from([network(source.ip())]),
        }
    }

    fn event(&self) -> Event {
        Event::AuthenticationFailed {
            user: self.user.to_string(),
            source: self.source,
            tries: self.tries,
            users: self.users.len().max(1) as u32,
            sources: self.sources.len().max(1) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    fn place(host: u32) -> SocketAddr {
        SocketAddr::new(IpAddr::V4((0xcb00_7100 + host).into()), 5060)
    }

    /// Tries, users and sources.
    fn told(event: &Event) -> (u64, u32, u32) {
        match event {
            Event::AuthenticationFailed { tries, users, sources, .. } => (*tries, *users, *sources),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_source_is_told_at_once_and_then_once_a_minute_with_its_count() {
        let mut failures = Failures::default();
        let mut heard: Vec<(u64, (u64, u32, u32))> = Vec::new();
        for second in 0..150 {
            let users = if second < 60 { "101" } else { "102" };
            for _ in 0..10 {
                let now = failures.failed(at(second), place(1), users);
                heard.extend(now.iter().map(|event| (second, told(event))));
            }
            let due = failures.due(at(second));
            heard.extend(due.iter().map(|event| (second, told(event))));
        }
        let heard_later = failures.due(at(400)).len() + failures.due(at(500)).len();
        assert_eq!(heard, [(0, (1, 1, 1)), (60, (609, 2, 1)), (120, (600, 1, 1))]);
        assert_eq!(heard_later, 1, "what was left, and no more");
        assert!(failures.tallies.is_empty() && failures.due.is_empty());
    }

    #[test]
    fn an_account_that_many_sources_try_is_one_report_of_them_all() {
        let mut failures = Failures::default();
        let mut at_once = 0;
        for host in 0..50 {
            at_once += usize::from(failures.failed(at(1), place(host), "101").is_some());
        }
        assert_eq!(at_once, 50, "each source by itself");
        let due: Vec<_> = failures.due(at(61)).iter().map(told).collect();
        assert_eq!(due, [(50, 1, 50)]);
        assert!(failures.due(at(200)).is_empty());
    }

    #[test]
    fn a_flood_of_sources_takes_no_more_than_its_room() {
        let mut failures = Failures::default();
        for host in 0..100_000 {
            let source = SocketAddr::new(IpAddr::V4(host.into()), 5060);
            failures.failed(at(1), source, &format!("user-{host}"));
        }
        assert_eq!((failures.tallies.len(), failures.due.len()), (MOST, MOST));
        failures.due(at(61));
        assert_eq!((failures.tallies.len(), failures.due.len()), (0, 0));
    }
}
