//! State of the node.

use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::auth::{Action, Area, Principal};
use super::refusal::Refusal;

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
    /// Calls that exist now.
    pub calls_active: usize,
    /// Those that are connected.
    pub calls_talking: usize,
    /// Load of the machine, where it tells.
    pub load: Option<LoadAverage>,
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
            load: load_average(),
        })
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
