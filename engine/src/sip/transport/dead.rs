//! Targets that did not answer, left alone for a while (RFC 3263 4.3).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::input::Transport;
use crate::time::Timestamp;

use super::Target;

/// How long a target that failed is tried last (RFC 3263 4.3 leaves it to the client). Long enough that a dead peer does not cost each
/// caller its timeout, short enough that a restarted one has its calls back soon.
const AVOIDED_FOR: Duration = Duration::from_secs(30);
/// Targets remembered; a site has a dozen. One more takes the place of the oldest.
const MOST: usize = 1_024;

/// Who failed lately.
#[derive(Debug, Default)]
pub(crate) struct DeadTargets(BTreeMap<(SocketAddr, Transport), Timestamp>);

impl DeadTargets {
    /// A target did not answer, could not be reached, or said 503.
    pub(crate) fn note(&mut self, now: Timestamp, target: Target) {
        if self.0.len() >= MOST {
            self.0.retain(|_, until| *until > now);
        }
        if self.0.len() >= MOST
            && let Some(oldest) = self.0.iter().min_by_key(|(_, until)| **until).map(|it| *it.0)
        {
            self.0.remove(&oldest);
        }
        self.0.insert((target.address, target.transport), now + AVOIDED_FOR);
    }

    /// It has answered.
    pub(crate) fn heard(&mut self, target: Target) {
        if !self.0.is_empty() {
            self.0.remove(&(target.address, target.transport));
        }
    }

    /// Whether others are to be tried first.
    pub(crate) fn holds(&self, now: Timestamp, target: Target) -> bool {
        let until = self.0.get(&(target.address, target.transport));
        until.is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(last: u16) -> Target {
        let [high, low] = last.to_be_bytes();
        let address = SocketAddr::from(([192, 0, high, low], 5060));
        Target { address, transport: Transport::Udp }
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn a_target_that_failed_is_avoided_until_it_answers_or_half_a_minute_has_passed() {
        let mut dead = DeadTargets::default();
        dead.note(at(0), target(1));
        assert!(dead.holds(at(29), target(1)));
        assert!(!dead.holds(at(30), target(1)));
        let tcp = Target { transport: Transport::Tcp, ..target(1) };
        assert!(!dead.holds(at(1), tcp), "its TCP may be alive");
        dead.heard(target(1));
        assert!(!dead.holds(at(1), target(1)));
    }

    #[test]
    fn no_more_than_a_thousand_are_remembered() {
        let mut dead = DeadTargets::default();
        for one in 0..3_000 {
            dead.note(at(u64::from(one) / 1_000), target(one));
        }
        assert_eq!(dead.0.len(), MOST);
        assert!(dead.holds(at(3), target(2_999)), "the newest is kept");
    }
}
