//! What an operator must know at once: calls go on, and something behind them does not.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use crate::Readiness;

/// Records wait longer than this only when the database is away or does not keep up.
const LATE: Duration = Duration::from_secs(60);
/// A database that keeps up never has so many to take.
const MANY: u64 = 50_000;

/// Something that is wrong now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// The database does not answer; calls go by the last provisioning, records wait.
    DatabaseAway,
    /// Call records have been waiting for the database for more than a minute, or are too many.
    RecordsWaiting,
    /// The journal's disk is nearly full: new calls are refused.
    JournalFull,
    /// The journal cannot be written: new calls are refused, and a crash would lose running ones.
    JournalFailing,
}

impl App {
    /// Everything that is wrong now, as far as the node knows without asking the database.
    pub(crate) fn alarms(&self) -> Vec<Alarm> {
        alarms(&self.readiness())
    }
}

fn alarms(node: &Readiness) -> Vec<Alarm> {
    let journal = &node.journal;
    let late = journal.oldest_waiting.is_some_and(|age| age > LATE);
    [
        (!node.database, Alarm::DatabaseAway),
        (late || journal.records_waiting >= MANY, Alarm::RecordsWaiting),
        (journal.full, Alarm::JournalFull),
        (journal.failing, Alarm::JournalFailing),
    ]
    .into_iter()
    .filter_map(|(wrong, alarm)| wrong.then_some(alarm))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JournalState;

    #[test]
    fn records_that_wait_are_an_alarm_after_a_minute_and_a_full_disk_at_once() {
        let with = |journal| Readiness { database: true, journal, ..Readiness::default() };
        let waiting = |secs| JournalState {
            records_waiting: 3,
            oldest_waiting: Some(Duration::from_secs(secs)),
            ..JournalState::default()
        };
        assert_eq!(alarms(&with(waiting(59))), []);
        assert_eq!(alarms(&with(waiting(61))), [Alarm::RecordsWaiting]);
        let full = JournalState { full: true, ..waiting(61) };
        assert_eq!(alarms(&with(full)), [Alarm::RecordsWaiting, Alarm::JournalFull]);
        let failing = JournalState { failing: true, ..JournalState::default() };
        let away = Readiness { database: false, ..with(failing) };
        assert_eq!(alarms(&away), [Alarm::DatabaseAway, Alarm::JournalFailing]);
    }
}
