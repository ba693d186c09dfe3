//! How calls by each trunk have fared lately: seizures, answers, durations, post-dial delay.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::cdr::Cdr;
use crate::event::{Event, TrunkFigures};
use crate::id::Key;
use crate::time::Timestamp;

/// The window: long enough for a thin trunk to have calls in it, short enough to show a trunk
/// that has just gone bad.
const MINUTES: u64 = 15;

/// The figures of all trunks.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    trunks: BTreeMap<Key, Window>,
}

#[derive(Debug, Default)]
struct Window {
    /// By minute, the newest at the end.
    minutes: VecDeque<(u64, TrunkFigures)>,
    reported: TrunkFigures,
}

impl Figures {
    /// Takes a call's record: every leg that left by a trunk is one attempt there.
    pub(crate) fn note(&mut self, now: Timestamp, cdr: &Cdr) {
        for leg in &cdr.legs {
            let Some(trunk) = &leg.trunk_out else { continue };
            let between = |from: crate::time::WallTime, to: crate::time::WallTime| {
                let micros = to.as_unix_micros().saturating_sub(from.as_unix_micros());
                Duration::from_micros(u64::try_from(micros).unwrap_or(0))
            };
            let mut one = TrunkFigures { attempts: 1, ..TrunkFigures::default() };
            if let Some(ringing) = leg.ringing_at.or(leg.answered_at) {
                one.rung = 1;
                one.until_ringing = between(leg.started_at, ringing);
            }
            if leg.answered_at.is_some() {
                one.answered = 1;
                one.talk = cdr.duration;
            }
            self.trunks.entry(trunk.clone()).or_default().add(minute(now), &one);
        }
    }

    /// What has changed since the last report.
    pub(crate) fn report(&mut self, now: Timestamp, mut tell: impl FnMut(Event)) {
        for (trunk, window) in &mut self.trunks {
            let sum = window.sum(minute(now));
            if sum != window.reported {
                window.reported = sum;
                tell(Event::TrunkFigures { trunk: trunk.clone(), figures: sum });
            }
        }
    }
}

impl Window {
    fn add(&mut self, minute: u64, one: &TrunkFigures) {
        match self.minutes.back_mut() {
            Some((at, sum)) if *at == minute => sum.add(one),
            _ => self.minutes.push_back((minute, *one)),
        }
    }

    fn sum(&mut self, minute: u64) -> TrunkFigures {
        while self.minutes.front().is_some_and(|(at, _)| at + MINUTES <= minute) {
            self.minutes.pop_front();
        }
        let mut sum = TrunkFigures::default();
        for (_, one) in &self.minutes {
            sum.add(one);
        }
        sum
    }
}

fn minute(now: Timestamp) -> u64 {
    now.as_micros() / 60_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let mut window = Window::default();
        let one = TrunkFigures { attempts: 1, ..TrunkFigures::default() };
        for minute in [0, 0, 5, 14] {
            window.add(minute, &one);
        }
        let attempts = [14, 15, 19, 20, 29].map(|minute| window.sum(minute).attempts);
        assert_eq!(attempts, [4, 2, 2, 1, 0]);
    }
}
