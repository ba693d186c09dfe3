//! What an experiment proved: the witness's verdict, the phones' own view, and figures.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use tensou_loadtest::agents::{Heard, Outcome as Ended, Report};
use tensou_loadtest::witness::{Record, Recording, Verdict, compare, e164, rebuild};

use crate::crowd::Gathering;
use crate::node::Node;

/// Records reach the database within this time after their calls' end.
const SETTLING: Duration = Duration::from_secs(8);
/// A caller's own duration may be this far from the record's, and as much farther as the phones
/// were late at both ends of the talk because the machine was busy. The witness, whose times are
/// the kernel's, allows nothing for that.
const TOLERANCE_MS: f64 = 20.0;
/// Legs that talked less have no voice worth judging.
const WORTH_HEARING: Duration = Duration::from_secs(1);
/// Faults kept; more would tell nothing new.
const MOST_FAULTS: usize = 30;

/// The result of one experiment.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    /// What was done, in a sentence.
    pub(crate) what: String,
    pub(crate) seconds: f64,
    /// What was measured, in order.
    pub(crate) figures: Vec<(String, String)>,
    pub(crate) verdict: Option<Verdict>,
    /// Everything that was not as it should be.
    pub(crate) faults: Vec<String>,
    /// Why it was not carried out, where something that it needs cannot be had.
    pub(crate) skipped: Option<String>,
}

impl Outcome {
    pub(crate) fn new(what: String) -> Outcome {
        let (name, figures, verdict, faults, skipped) = Default::default();
        Outcome { name, what, seconds: 0.0, figures, verdict, faults, skipped }
    }

    /// How it went, in a word or two.
    pub(crate) fn held(&self) -> &'static str {
        match (&self.skipped, self.faults.is_empty()) {
            (Some(_), _) => "skipped",
            (None, true) => "held",
            (None, false) => "did not hold",
        }
    }

    pub(crate) fn figure(&mut self, name: &str, value: impl ToString) {
        self.figures.push((name.to_owned(), value.to_string()));
    }

    pub(crate) fn fault(&mut self, text: impl Into<String>) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(text.into());
        }
    }
}

/// How strict the phones are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leniency {
    /// Phones' own durations may differ from the record's: their BYE may be lost on the way.
    pub(crate) lossy: bool,
    /// Callers may be refused with 503.
    pub(crate) refusals: bool,
    /// A BYE may have waited in its socket for so long before somebody read it.
    pub(crate) unread: Duration,
}

/// Waits for the records, and judges everything.
pub(crate) fn conclude(
    outcome: &mut Outcome,
    node: &Node<'_>,
    gathering: &Gathering,
    recording: &Recording,
    leniency: Leniency,
) -> Result<()> {
    let calls = rebuild(&recording.sightings, &node.site().servers());
    let deadline = Instant::now() + SETTLING;
    let (records, verdict) = loop {
        let records = node.records().context("reading the records")?;
        let verdict = compare(&calls, &records, recording.dropped);
        if verdict.is_clean() || Instant::now() > deadline {
            break (records, verdict);
        }
        std::thread::sleep(Duration::from_millis(300));
    };
    for finding in &verdict.findings {
        outcome.fault(format!("witness: {:?}: {}", finding.kind, finding.text));
    }
    if verdict.dropped > 0 {
        outcome.fault(format!("{} packets escaped the witness", verdict.dropped));
    }
    phones(outcome, &records, gathering, leniency);
    for panic in node.panics() {
        outcome.fault(format!("server log: {panic}"));
    }
    outcome.figure("attempts", verdict.attempts);
    outcome.figure("answered on the wire", verdict.answered);
    outcome.figure("records answered", verdict.records_answered);
    if verdict.turned_away + verdict.unheard > 0 {
        outcome.figure("turned away", verdict.turned_away);
        outcome.figure("never heard", verdict.unheard);
    }
    if verdict.late_ends > 0 {
        outcome.figure("ended by a repeated BYE", verdict.late_ends);
    }
    outcome.figure("durations off, witness", format!("{:.1} ms", verdict.duration_off_ms));
    outcome.verdict = Some(verdict);
    Ok(())
}

/// What the phones themselves say, against the records.
fn phones(outcome: &mut Outcome, records: &[Record], gathering: &Gathering, leniency: Leniency) {
    for fault in &gathering.faults {
        outcome.fault(format!("phones: {fault}"));
    }
    let by_caller: BTreeMap<&str, &Record> =
        records.iter().map(|record| (record.caller.as_str(), record)).collect();
    let lag = gathering.lag.as_secs_f64() * 1000.0;
    let mut answered = 0u64;
    let mut worst: f64 = 0.0;
    let mut refused = 0u64;
    for report in &gathering.reports {
        if leniency.refusals && report.outcome == Ended::Refused(503) {
            refused += 1;
            continue;
        }
        for fault in &report.faults {
            let Report { agent, dialled, shown, .. } = report;
            outcome.fault(format!("{agent}: call from {shown} to {dialled}: {fault}"));
        }
        let Some(talked) = report.talked.filter(|_| report.placed) else { continue };
        answered += 1;
        let Some(record) = by_caller.get(e164(&report.shown).as_str()) else { continue };
        let off = (talked.as_secs_f64() * 1000.0 - record.duration_ms as f64).abs();
        worst = worst.max(off);
        let tolerance = TOLERANCE_MS + 2.0 * lag + leniency.unread.as_secs_f64() * 1000.0;
        if off > tolerance && !leniency.lossy {
            outcome.fault(format!(
                "{}: the caller talked {:.0} ms, recorded are {} ms",
                report.shown,
                talked.as_secs_f64() * 1000.0,
                record.duration_ms
            ));
        }
    }
    outcome.figure("callers answered", answered);
    if refused > 0 {
        outcome.figure("callers refused with 503", refused);
    }
    outcome.figure("durations off, callers", format!("{worst:.1} ms"));
    outcome.figure("phones late by", format!("{lag:.1} ms"));
    let recorded = records.iter().filter(|record| record.result == "answered").count() as u64;
    if recorded != answered {
        outcome.fault(format!("callers were answered {answered} times, records say {recorded}"));
    }
}

/// Voice that must have come whole, and from where it always came.
pub(crate) fn voice(outcome: &mut Outcome, reports: &[Report]) {
    let heard = |of: fn(&Heard) -> u64| -> u64 { reports.iter().map(|it| of(&it.heard)).sum() };
    outcome.figure("voice packets heard", heard(|it| it.packets));
    let lost = heard(|it| it.lost);
    outcome.figure("voice packets lost", lost);
    if lost > 0 {
        outcome.fault(format!("{lost} packets of voice were lost"));
    }
    let foreign = heard(|it| it.strange);
    if foreign > 0 {
        outcome.fault(format!("{foreign} packets came from another port"));
    }
}

/// The longest silences that any leg heard, those at its end among them.
pub(crate) fn media_gaps(outcome: &mut Outcome, reports: &[Report]) {
    let judged = reports.iter().filter(|it| it.talked.is_some_and(|talk| talk > WORTH_HEARING));
    let gap = |it: &Report| it.heard.longest_pause.max(it.quiet_before_end.unwrap_or_default());
    let mut gaps: Vec<Duration> = judged.map(gap).collect();
    gaps.sort();
    let at = |part: f64| {
        let index = (gaps.len() as f64 * part) as usize;
        gaps.get(index.min(gaps.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    outcome.figure("media gap p50", format!("{} ms", at(0.5).as_millis()));
    outcome.figure("media gap p99", format!("{} ms", at(0.99).as_millis()));
    outcome.figure("media gap longest", format!("{} ms", at(1.0).as_millis()));
}
