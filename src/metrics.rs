//! `/metrics`: what this node does, in the text format of Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::gauges::{Gauges, Kind};
use crate::journal::Condition;
use crate::media_link::RelayFigures;

/// Everything that is measured.
pub(crate) struct Metrics {
    pub(crate) node: String,
    pub(crate) started: Instant,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) relay: RelayFigures,
    pub(crate) journal: Condition,
    pub(crate) events_dropped: Arc<AtomicU64>,
    pub(crate) database_up: Arc<AtomicBool>,
}

impl Metrics {
    /// The page.
    pub(crate) fn render(&self) -> String {
        let mut page = Page { text: String::with_capacity(8 << 10) };
        let version = env!("CARGO_PKG_VERSION");
        let labels = format!("{{node=\"{}\",version=\"{version}\"}}", self.node);
        page.figure("build_info", Kind::Gauge, "node and version", &labels, 1);
        page.plain(
            "uptime_seconds",
            Kind::Gauge,
            "since the start",
            self.started.elapsed().as_secs(),
        );
        for (figure, value) in self.gauges.rows() {
            page.plain(figure.name, figure.kind, figure.help, value);
        }
        for (name, kind, help, value) in self.relay.rows() {
            page.plain(name, kind, help, value);
        }
        self.journal(&mut page);
        let dropped = self.events_dropped.load(Ordering::Relaxed);
        page.plain("events_dropped_total", Kind::Counter, "events the board did not see", dropped);
        let up = u64::from(self.database_up.load(Ordering::Relaxed));
        page.plain("database_up", Kind::Gauge, "1 while the database answers", up);
        if let Some(bytes) = resident_bytes() {
            page.plain("process_resident_bytes", Kind::Gauge, "resident memory", bytes);
        }
        page.text
    }

    fn journal(&self, page: &mut Page) {
        let state = self.journal.state();
        let oldest = state.oldest_waiting.unwrap_or_default().as_secs();
        let full = u64::from(self.journal.is_low());
        for (name, kind, help, value) in [
            (
                "cdr_waiting",
                Kind::Gauge,
                "call records not yet in the database",
                state.records_waiting,
            ),
            (
                "cdr_oldest_waiting_seconds",
                Kind::Gauge,
                "since the end of the first of them",
                oldest,
            ),
            ("journal_bytes", Kind::Gauge, "size of the journal", state.bytes),
            ("journal_disk_free_bytes", Kind::Gauge, "free on its disk", state.disk_free),
            ("journal_errors_total", Kind::Counter, "failures of its disk", state.errors),
            ("journal_failing", Kind::Gauge, "1 while it cannot be written", state.failing.into()),
            ("journal_full", Kind::Gauge, "1 while calls are refused for room", full),
        ] {
            page.plain(name, kind, help, value);
        }
    }
}

struct Page {
    text: String,
}

impl Page {
    fn plain(&mut self, name: &str, kind: Kind, help: &str, value: u64) {
        self.figure(name, kind, help, "", value);
    }

    fn figure(&mut self, name: &str, kind: Kind, help: &str, labels: &str, value: u64) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing to a string cannot fail.
        let _never = write!(
            self.text,
            "# HELP tensou_{name} {help}\n# TYPE tensou_{name} {kind}\ntensou_{name}{labels} {value}\n"
        );
    }
}

/// Resident memory of this process (`/proc/self/statm`, second field, in pages of 4 kB).
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_help_type_and_value() {
        let metrics = Metrics {
            node: "n1".into(),
            started: Instant::now(),
            gauges: Arc::new(Gauges::new()),
            relay: RelayFigures::default(),
            journal: Condition::default(),
            events_dropped: Arc::new(AtomicU64::new(3)),
            database_up: Arc::new(AtomicBool::new(true)),
        };
        let page = metrics.render();
        let values: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(page.lines().count(), values.len() * 3);
        assert!(values.contains(&"tensou_events_dropped_total 3"), "{page}");
        assert!(values.contains(&"tensou_database_up 1"));
        assert!(values.iter().any(|line| line.starts_with("tensou_build_info{node=\"n1\",")));
        assert!(values.iter().all(|line| line.starts_with("tensou_")));
    }
}
