//! Slows down whoever guesses passwords.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Bad attempts on one name from one address before it must wait: people mistype a few times.
const FREE_ATTEMPTS: u32 = 5;
/// Bad attempts from one address on any names: one office behind one address has many people,
/// somebody who tries one password on every name has more names.
const FREE_ATTEMPTS_OF_SOURCE: u32 = 50;
/// How long bad attempts count, from the first of them.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Names and addresses remembered; a flood of invented ones pushes out the oldest tenth.
const MAX_ROWS: usize = 10_000;
/// Bytes of a name that count; longer ones are no user's.
const MAX_NAME: usize = 64;

/// Bad sign-ins, counted by name and address.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    // lock: sign-ins only, held for a look-up in a bounded table, never across an await
    rows: Mutex<BTreeMap<Row, Failures>>,
}

/// A counted pair; an empty name counts the address as a whole.
type Row = (IpAddr, String);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    since: Instant,
}

impl Throttle {
    /// Whether this name may be tried from this address now, or how long to wait.
    pub(crate) fn check(&self, name: &str, source: IpAddr, now: Instant) -> Result<(), Duration> {
        let rows = self.rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let limits =
            [(row(name, source), FREE_ATTEMPTS), (row("", source), FREE_ATTEMPTS_OF_SOURCE)];
        for (key, free) in limits {
            if let Some(failures) = rows.get(&key)
                && failures.count >= free
                && let Some(left) =
                    WINDOW.checked_sub(now.saturating_duration_since(failures.since))
                && !left.is_zero()
            {
                return Err(left);
            }
        }
        Ok(())
    }

    /// Counts a bad attempt.
    pub(crate) fn failed(&self, name: &str, source: IpAddr, now: Instant) {
        let mut rows = self.rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for key in [row(name, source), row("", source)] {
            if rows.len() >= MAX_ROWS && !rows.contains_key(&key) {
                forget_oldest(&mut rows);
            }
            let failures = rows.entry(key).or_insert(Failures { count: 0, since: now });
            if now.saturating_duration_since(failures.since) >= WINDOW {
                *failures = Failures { count: 0, since: now };
            }
            failures.count = failures.count.saturating_add(1);
        }
    }

    /// The right password was given: the name starts afresh.
    pub(crate) fn succeeded(&self, name: &str, source: IpAddr) {
        let mut rows = self.rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        rows.remove(&row(name, source));
    }
}

fn row(name: &str, source: IpAddr) -> Row {
    (source, name.chars().take(MAX_NAME).collect())
}

/// Makes room for a tenth of the table, so that a flood pays for it rarely.
fn forget_oldest(rows: &mut BTreeMap<Row, Failures>) {
    let mut ages: Vec<Instant> = rows.values().map(|failures| failures.since).collect();
    ages.sort_unstable();
    let mut surplus = rows.len() / 10;
    let Some(limit) = ages.get(surplus).copied() else { return };
    rows.retain(|_, failures| {
        let goes = surplus > 0 && failures.since <= limit;
        surplus -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const AWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn the_sixth_attempt_waits_until_the_window_is_over() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for _ in 0..FREE_ATTEMPTS {
            assert_eq!(throttle.check("yuki", HOME, start), Ok(()));
            throttle.failed("yuki", HOME, start);
        }
        assert_eq!(throttle.check("yuki", HOME, start), Err(WINDOW));
        assert_eq!(throttle.check("yuki", AWAY, start), Ok(()), "others are not locked out");
        assert_eq!(throttle.check("ken", HOME, start), Ok(()));
        assert_eq!(throttle.check("yuki", HOME, start + WINDOW), Ok(()));
    }

    #[test]
    fn success_forgives() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..FREE_ATTEMPTS {
            throttle.failed("yuki", HOME, now);
        }
        throttle.succeeded("yuki", HOME);
        assert_eq!(throttle.check("yuki", HOME, now), Ok(()));
    }

    #[test]
    fn one_password_on_many_names_is_stopped_by_address() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..FREE_ATTEMPTS_OF_SOURCE {
            throttle.failed(&format!("user{number}"), HOME, now);
        }
        assert!(throttle.check("somebody", HOME, now).is_err());
    }

    #[test]
    fn the_table_is_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..(MAX_ROWS as u32 / 2 + 100) {
            let later = now + Duration::from_millis(u64::from(number));
            throttle.failed("x", IpAddr::V4(Ipv4Addr::from(number)), later);
        }
        let rows = throttle.rows.lock().expect("unpoisoned");
        assert!((MAX_ROWS * 9 / 10..=MAX_ROWS).contains(&rows.len()), "{}", rows.len());
        let first = (IpAddr::V4(Ipv4Addr::from(0)), "x".to_owned());
        let last = (IpAddr::V4(Ipv4Addr::from(MAX_ROWS as u32 / 2 + 99)), "x".to_owned());
        assert!(!rows.contains_key(&first) && rows.contains_key(&last), "the oldest go");
    }
}
