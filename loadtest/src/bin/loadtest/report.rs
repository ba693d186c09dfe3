//! Reports on paper: Markdown for people, JSON for programs, SVG beside them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::svg::{Line, plot};
use tensou_loadtest::host::Machine;

/// A column of the table: heading, and the value of a row.
pub(crate) type Column<T> = (&'static str, fn(&T) -> String);

/// A finished measurement.
pub(crate) struct Report<'a, T: Serialize> {
    /// Part of the file names: `ramp`, `calls`, `rtp`.
    pub(crate) kind: &'static str,
    pub(crate) machine: Machine,
    /// What was done, in a sentence or two.
    pub(crate) scenario: String,
    /// Columns of the table.
    pub(crate) columns: &'a [Column<T>],
    pub(crate) rows: &'a [T],
    pub(crate) plots: Vec<Plot>,
    /// Everything that was not as it should be.
    pub(crate) faults: &'a [String],
}

/// A plot of the report.
pub(crate) struct Plot {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) across: &'static str,
    pub(crate) up: &'static str,
    pub(crate) lines: Vec<Line>,
}

impl<T: Serialize> Report<'_, T> {
    /// Writes all files; gives the Markdown's path.
    pub(crate) fn write(&self, dir: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let base = format!("{}-{}", self.machine.stamp(), self.kind);
        let mut markdown =
            format!("# {}\n\n{}\n\n{}\n\n", self.kind, self.scenario, self.machine.sentence());
        let headings: Vec<&str> = self.columns.iter().map(|(heading, _)| *heading).collect();
        markdown.push_str(&format!("| {} |\n", headings.join(" | ")));
        markdown.push_str(&format!("|{}\n", "--:|".repeat(headings.len())));
        for row in self.rows {
            let cells: Vec<String> = self.columns.iter().map(|(_, value)| value(row)).collect();
            markdown.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        for drawn in &self.plots {
            let file = format!("{base}-{}.svg", drawn.name);
            let svg = plot(drawn.title, drawn.across, drawn.up, &drawn.lines);
            std::fs::write(dir.join(&file), svg)?;
            markdown.push_str(&format!("\n![{}]({file})\n", drawn.title));
        }
        markdown.push('\n');
        match self.faults {
            [] => markdown.push_str("Everything went as scripted.\n"),
            faults => {
                markdown.push_str("Not as scripted:\n\n");
                for fault in faults {
                    markdown.push_str(&format!("- {}\n", fault.replace('\n', " ")));
                }
            }
        }
        let json = serde_json::json!({
            "kind": self.kind,
            "scenario": self.scenario,
            "machine": self.machine,
            "rows": self.rows,
            "faults": self.faults,
        });
        std::fs::write(dir.join(format!("{base}.json")), serde_json::to_string_pretty(&json)?)?;
        let path = dir.join(format!("{base}.md"));
        std::fs::write(&path, markdown)?;
        Ok(path)
    }
}

/// The value below which the given part of sorted values lies; 0 for none.
pub(crate) fn percentile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(at.saturating_sub(1).min(last)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), 50.0);
        assert_eq!(percentile(&values, 0.99), 99.0);
        assert_eq!(percentile(&[7.0], 0.95), 7.0);
        assert_eq!(percentile(&[], 0.95), 0.0);
    }
}
