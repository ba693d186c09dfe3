//! How trunks stand: up or down, registered, and how calls by them have fared lately.

use std::collections::BTreeMap;
use std::time::Duration;

use tensou_engine::{Key, TrunkFigures, TrunkState};

/// A trunk as the engine last told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkStanding {
    /// None while it is neither registered at nor watched.
    pub state: Option<TrunkState>,
    /// Its calls of the last 15 minutes.
    pub figures: TrunkFigures,
}

impl TrunkStanding {
    /// Answer-seizure ratio in percent; none without calls.
    pub fn answered_percent(&self) -> Option<u64> {
        (self.figures.answered * 100).checked_div(self.figures.attempts)
    }

    /// Average duration of answered calls.
    pub fn average_duration(&self) -> Option<Duration> {
        self.figures.talk.checked_div(u32::try_from(self.figures.answered).ok()?)
    }

    /// Average time from the INVITE to ringing.
    pub fn post_dial_delay(&self) -> Option<Duration> {
        self.figures.until_ringing.checked_div(u32::try_from(self.figures.rung).ok()?)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Standings(BTreeMap<Key, TrunkStanding>);

impl Standings {
    pub(super) fn set_state(&mut self, trunk: &Key, state: &TrunkState) {
        self.0.entry(trunk.clone()).or_default().state = Some(state.clone());
    }

    pub(super) fn set_figures(&mut self, trunk: &Key, figures: TrunkFigures) {
        self.0.entry(trunk.clone()).or_default().figures = figures;
    }

    pub(super) fn of(&self, trunk: &Key) -> Option<&TrunkStanding> {
        self.0.get(trunk)
    }
}
