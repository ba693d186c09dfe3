//! What came of holding records against calls.

use std::fmt;

use serde::Serialize;

/// Findings written out in the text; the JSON has all of them.
const SHOWN: usize = 40;

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A call without a record.
    Missing,
    /// A record without a call.
    Extra,
    /// A call with more than one record, or an id that occurs twice.
    Twice,
    /// The record names another callee than the one that was connected.
    WrongParty,
    /// The record says that it ended otherwise than it did.
    WrongResult,
    /// The talk was longer or shorter than recorded.
    WrongDuration,
    /// A BYE got no 200.
    UnansweredBye,
}

/// One disagreement between wire and records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind.
    pub kind: Kind,
    /// Which call, and what was seen and recorded.
    pub text: String,
}

/// What came of holding records against calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// Attempts that the server heard, without those it only challenged.
    pub attempts: u64,
    /// Of these: answered and ended.
    pub answered: u64,
    /// Of these: refused, cancelled among them.
    pub refused: u64,
    /// Of these: still going on when the witness stopped watching.
    pub standing: u64,
    /// INVITEs to which the server never said anything.
    pub unheard: u64,
    /// Refused before they were calls, without a record.
    pub turned_away: u64,
    /// Records read.
    pub records: u64,
    /// Records that say `answered`.
    pub records_answered: u64,
    /// Calls whose record agrees in everything.
    pub agreeing: u64,
    /// The farthest that a recorded duration is outside of what the wire allows, ms.
    pub duration_off_ms: f64,
    /// Calls whose first BYE found no server: it ended when a repeated one did.
    pub late_ends: u64,
    /// The longest time between the first BYE and the one that was served, ms.
    pub latest_end_ms: f64,
    /// Packets that the kernel dropped before the witness saw them.
    pub dropped: u64,
    /// Everything that does not agree.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Every call has its record, every record its call, all agree, and nothing escaped.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.dropped == 0
    }

    /// How many findings of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.findings.iter().filter(|finding| finding.kind == kind).count()
    }

    pub(crate) fn find(&mut self, kind: Kind, text: String) {
        self.findings.push(Finding { kind, text });
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { attempts, answered, refused, standing, unheard, turned_away, .. } = self;
        writeln!(
            f,
            "on the wire: {attempts} attempts, {answered} answered, {refused} refused, \
             {standing} still standing, {unheard} never heard, {turned_away} turned away"
        )?;
        let Verdict { records, records_answered, agreeing, duration_off_ms, .. } = self;
        writeln!(
            f,
            "recorded: {records}, of these {records_answered} answered; {agreeing} agree, \
             durations off by {duration_off_ms:.1} ms at most"
        )?;
        if self.late_ends > 0 {
            let Verdict { late_ends, latest_end_ms, .. } = self;
            writeln!(
                f,
                "{late_ends} calls ended by a repeated BYE, {latest_end_ms:.0} ms after the first \
                 at most"
            )?;
        }
        if self.dropped > 0 {
            writeln!(f, "{} packets escaped the witness: nothing is proved", self.dropped)?;
        }
        for Finding { kind, text } in self.findings.iter().take(SHOWN) {
            writeln!(f, "{kind:?}: {text}")?;
        }
        match self.findings.len().checked_sub(SHOWN + 1) {
            Some(more) => writeln!(f, "and {} more", more + 1),
            None => Ok(()),
        }
    }
}
