//! What the suite says, on the screen and on paper.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tensou_loadtest::host::Machine;

use crate::evidence::Outcome;

/// The report of a run.
pub(crate) struct Paper {
    machine: Machine,
    full: bool,
}

impl Paper {
    /// Notes where and on what the suite runs.
    pub(crate) fn begin(full: bool) -> Paper {
        Paper { machine: Machine::here(), full }
    }

    /// Writes Markdown and JSON; gives the Markdown's path.
    pub(crate) fn write(&self, dir: &Path, outcomes: &[Outcome]) -> Result<PathBuf> {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let base = format!("{}-faults", self.machine.stamp());
        let profile = if self.full { "full" } else { "quick" };
        let mut text = format!(
            "# faults\n\nThe fault suite in its {profile} profile. Every experiment ran under the \
             witness, which rebuilt each call from the packets of both legs and held every record \
             against it.\n\n{}\n",
            self.machine.sentence()
        );
        for outcome in outcomes {
            let Outcome { name, what, seconds, figures, faults, .. } = outcome;
            let held = outcome.held();
            text.push_str(&format!("\n## {name}: {held}\n\n{what} ({seconds:.0} s).\n\n"));
            if let Some(why) = &outcome.skipped {
                text.push_str(&format!("Skipped: {why}\n"));
            }
            for (figure, value) in figures {
                text.push_str(&format!("- {figure}: {value}\n"));
            }
            for fault in faults {
                text.push_str(&format!("- **{}**\n", fault.replace('\n', " ")));
            }
        }
        let json = serde_json::json!({
            "kind": "faults",
            "profile": profile,
            "machine": self.machine,
            "experiments": outcomes,
        });
        std::fs::write(dir.join(format!("{base}.json")), serde_json::to_string_pretty(&json)?)?;
        let path = dir.join(format!("{base}.md"));
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

/// Says how one experiment went.
pub(crate) fn tell(outcome: &Outcome) {
    let Outcome { name, what, seconds, figures, faults, .. } = outcome;
    let held = outcome.held();
    println!("{name}: {held} in {seconds:.1} s: {what}");
    if let Some(why) = &outcome.skipped {
        println!("  skipped: {why}");
    }
    for (figure, value) in figures {
        println!("  {figure}: {value}");
    }
    for fault in faults {
        println!("  ! {fault}");
    }
}
