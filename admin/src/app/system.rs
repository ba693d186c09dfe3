//! State of the node.

use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::alarm::Alarm;
use super::auth::{Action, Area, Principal};
use super::refusal::Refusal;
use crate::JournalState;

/// State of the node.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SystemStatus {
    /// The program's version.
    pub version: String,
    /// The node's name.
    pub node: String,
    /// Realm and registrar domain.
    pub domain: String,
    /// IANA time zone of schedules and billing days.
    pub time_zone: String,
    /// The process began.
    pub started_at: String,
    /// Seconds since then.
    pub uptime_seconds: i64,
    /// The database answers.
    pub database: bool,
    /// Revision of the provisioning in the database, none while it does not answer.
    pub revision: Option<u64>,
    /// Revision that new calls use; behind `revision` for a second at most.
    pub active_revision: u64,
    /// Calls of this node that exist now.
    pub calls_active: usize,
    /// Those that are connected.
    pub calls_talking: usize,
    /// What is wrong now: `database_away`, `records_waiting`, `journal_full`, `journal_failing`.
    pub alarms: Vec<Alarm>,
    /// The journal, and the call records in it that are not in the database yet.
    pub journal: JournalStatus,
    /// Load of the machine, where it tells.
    pub load: Option<LoadAverage>,
    /// The nodes on this database, by name; this one alone on SQLite.
    pub nodes: Vec<NodeStatus>,
}

/// The journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct JournalStatus {
    /// Call records that are not in the database yet.
    pub records_waiting: u64,
    /// Seconds since the end of the call whose record has waited longest.
    pub oldest_waiting_seconds: Option<u64>,
    /// Bytes of the journal.
    pub bytes: u64,
    /// Bytes that are free on its disk.
    pub disk_free_bytes: u64,
    /// Failures of the disk since the start.
    pub errors: u64,
}

impl From<JournalState> for JournalStatus {
    fn from(state: JournalState) -> Self {
        JournalStatus {
            records_waiting: state.records_waiting,
            oldest_waiting_seconds: state.oldest_waiting.map(|age| age.as_secs()),
            bytes: state.bytes,
            disk_free_bytes: state.disk_free,
            errors: state.errors,
        }
    }
}

/// A node on this database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NodeStatus {
    /// Its name, as on its records.
    pub name: String,
    /// It has been heard of within the last seconds.
    pub alive: bool,
    /// The program's version.
    pub version: String,
    /// Its process began.
    pub started_at: String,
    /// When it was heard of last.
    pub seen_at: String,
    /// Its calls then.
    pub calls_active: u64,
    /// Those that were connected.
    pub calls_talking: u64,
}

/// Processes that ran or wanted to, averaged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct LoadAverage {
    /// Over one minute.
    pub one: f64,
    /// Over five minutes.
    pub five: f64,
    /// Over fifteen minutes.
    pub fifteen: f64,
}

impl App {
    /// State of the node.
    ///
    /// # Errors
    /// The role does not include it. A dead database is part of the answer.
    pub async fn system(&self, who: &Principal) -> Result<SystemStatus, Refusal> {
        who.demand(Action::Read, Area::System)?;
        let node = self.node();
        let counts = self.board().call_counts();
        let revision = self.store().revision().await.ok();
        let uptime_millis = self.clock().now_millis() - node.started_at.as_millisecond();
        Ok(SystemStatus {
            version: node.version.clone(),
            node: node.name.clone(),
            domain: node.domain.clone(),
            time_zone: node.time_zone.clone(),
            started_at: self.clock().rfc3339(node.started_at.as_millisecond()),
            uptime_seconds: uptime_millis.max(0) / 1000,
            database: revision.is_some(),
            revision,
            active_revision: self.snapshot().version(),
            calls_active: counts.active,
            calls_talking: counts.talking,
            alarms: self.alarms(),
            journal: self.readiness().journal.into(),
            load: load_average(),
            nodes: self.node_list(),
        })
    }
}

impl App {
    /// This node as it is, the others as they were seen last.
    fn node_list(&self) -> Vec<NodeStatus> {
        let (node, clock) = (self.node(), self.clock());
        let counts = self.board().call_counts();
        let now = clock.now_millis();
        let mut nodes: Vec<NodeStatus> = self
            .board()
            .nodes()
            .into_iter()
            .filter(|other| other.beat.node != node.name)
            .map(|other| NodeStatus {
                alive: other.alive(),
                started_at: clock.rfc3339(other.beat.started_at),
                seen_at: clock.rfc3339(now - other.silent_ms),
                calls_active: other.beat.calls_active,
                calls_talking: other.beat.calls_talking,
                name: other.beat.node,
                version: other.beat.version,
            })
            .collect();
        nodes.push(NodeStatus {
            name: node.name.clone(),
            alive: true,
            version: node.version.clone(),
            started_at: clock.rfc3339(node.started_at.as_millisecond()),
            seen_at: clock.rfc3339(now),
            calls_active: counts.active as u64,
            calls_talking: counts.talking as u64,
        });
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        nodes
    }
}

/// The first three figures of `/proc/loadavg` (proc(5)).
fn load_average() -> Option<LoadAverage> {
    read_load(&std::fs::read_to_string("/proc/loadavg").ok()?)
}

fn read_load(text: &str) -> Option<LoadAverage> {
    let mut figures = text.split_whitespace().map_while(|word| word.parse::<f64>().ok());
    Some(LoadAverage { one: figures.next()?, five: figures.next()?, fifteen: figures.next()? })
}

#[cfg(test)]
mod tests {
    use super::{LoadAverage, read_load};

    #[test]
    fn the_load_is_read_as_the_kernel_writes_it() {
        let load = read_load("3.41 2.10 1.05 5/312 4711\n");
        assert_eq!(load, Some(LoadAverage { one: 3.41, five: 2.1, fifteen: 1.05 }));
        assert_eq!(read_load("no figures"), None);
    }
}
