//! Holds records against calls, one to one.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Micros;
use super::calls::{Call, Ending, Fate};
use super::numbers::e164;
use super::pairing::pair;
use super::record::Record;
use super::verdict::{Kind, Verdict};

/// How far a duration may be from what the wire shows.
const TOLERANCE: Micros = 20_000;
/// Answers that mean that no call came to be: malformed, unknown caller, unsupported content or
/// extension, and the refusal of everything new when there is no room to record it.
const BEFORE_A_CALL: [u16; 5] = [400, 403, 415, 420, 503];

/// Compares what was seen with what was recorded. `dropped`: packets that escaped the witness.
pub fn compare(calls: &[Call], records: &[Record], dropped: u64) -> Verdict {
    let mut verdict = Verdict { dropped, ..Verdict::default() };
    verdict.records = records.len() as u64;
    let answered = records.iter().filter(|record| record.result == "answered");
    verdict.records_answered = answered.count() as u64;
    let mut ids = BTreeSet::new();
    for record in records.iter().filter(|record| !ids.insert(record.id.as_str())) {
        verdict.find(Kind::Twice, format!("id {} occurs again", record.id));
    }
    let calls: Vec<&Call> = calls.iter().filter(|call| count(call, &mut verdict)).collect();
    let pairs = pair(&calls, records);
    for (call, own) in calls.iter().zip(&pairs.of_call) {
        judge(call, own, &mut verdict);
    }
    for record in pairs.left {
        verdict.find(Kind::Extra, format!("record {}", describe(record)));
    }
    verdict
}

/// Counts a call; false for what leaves no trace in the records.
fn count(call: &Call, verdict: &mut Verdict) -> bool {
    match call.fate {
        Fate::Challenged => return false,
        Fate::Unheard => {
            verdict.unheard += 1;
            return true;
        }
        Fate::Standing => verdict.standing += 1,
        Fate::Refused { .. } => verdict.refused += 1,
        Fate::Answered { .. } => verdict.answered += 1,
    }
    verdict.attempts += 1;
    true
}

fn judge(call: &Call, records: &[&Record], verdict: &mut Verdict) {
    let [record, more @ ..] = records else {
        match call.fate {
            Fate::Refused { status, .. } if BEFORE_A_CALL.contains(&status) => {
                verdict.turned_away += 1;
            }
            Fate::Unheard | Fate::Standing | Fate::Challenged => {}
            Fate::Refused { .. } | Fate::Answered { .. } => {
                verdict.find(Kind::Missing, describe_call(call));
            }
        }
        return;
    };
    let found = verdict.findings.len();
    for other in more {
        verdict.find(Kind::Twice, format!("{}: {}", describe_call(call), describe(other)));
    }
    match &call.fate {
        Fate::Standing => {
            let text = format!("{} has {} already", describe_call(call), describe(record));
            verdict.find(Kind::WrongResult, text);
        }
        // It died between the record and the answer, and the caller did not ask again.
        Fate::Unheard | Fate::Challenged => {}
        Fate::Refused { status, cancelled } => {
            if record.sip_status != *status || !fits(*status, *cancelled, &record.result) {
                let text = format!("{} has {}", describe_call(call), describe(record));
                verdict.find(Kind::WrongResult, text);
            }
        }
        Fate::Answered { ending, .. } => {
            judge_end(call, ending, verdict);
            judge_answered(call, ending, record, verdict);
        }
    }
    verdict.agreeing += u64::from(verdict.findings.len() == found);
}

fn judge_end(call: &Call, ending: &Ending, verdict: &mut Verdict) {
    let late = ending.noticed - ending.hung_up;
    if late > TOLERANCE {
        verdict.late_ends += 1;
        verdict.latest_end_ms = verdict.latest_end_ms.max(late as f64 / 1000.0);
    }
    if !ending.by_server && ending.status != Some(200) {
        let answer = ending.status.map_or("no answer".to_owned(), |status| status.to_string());
        verdict.find(Kind::UnansweredBye, format!("{}: {answer} to BYE", describe_call(call)));
    }
}

fn judge_answered(call: &Call, ending: &Ending, record: &Record, verdict: &mut Verdict) {
    if record.result != "answered" {
        let text = format!("{} has {}", describe_call(call), describe(record));
        return verdict.find(Kind::WrongResult, text);
    }
    let recorded = record.answered_number().map(e164);
    if let (Some(leg), Some(recorded)) = (call.connected(), &recorded)
        && leg.dialled != *recorded
    {
        let text = format!("{}: recorded {recorded}", describe_call(call));
        verdict.find(Kind::WrongParty, text);
    } else if recorded.is_none() && call.connected().is_some() {
        verdict.find(Kind::WrongParty, format!("{}: recorded nobody", describe_call(call)));
    }
    let Some((shortest, longest)) = call.talked() else { return };
    let recorded = record.duration_ms * 1000;
    // Records are cut to the millisecond.
    let (short, long) =
        (shortest.saturating_sub(recorded + 1000), recorded.saturating_sub(longest));
    // A call that the server gave up, since its peers had gone, may have ended for them before.
    let short = if ending.by_server && record.ended_by == "system" { 0 } else { short };
    let off = short.max(long);
    verdict.duration_off_ms = verdict.duration_off_ms.max(off as f64 / 1000.0);
    if off > TOLERANCE {
        let text = format!(
            "{}: recorded {} ms, off by {} ms",
            describe_call(call),
            record.duration_ms,
            off / 1000
        );
        verdict.find(Kind::WrongDuration, text);
    }
}

/// Whether a result may stand beside the status that the caller got.
fn fits(status: u16, cancelled: bool, result: &str) -> bool {
    match (status, result) {
        (487, "cancelled") => true,
        (487, "no_answer") => !cancelled,
        // An operator ended it while it rang.
        (480, "no_answer" | "unreachable" | "cancelled") => true,
        (486 | 600, "busy") => true,
        (403, "blocked" | "rejected") => true,
        (603, "rejected" | "blocked") => true,
        (404 | 408 | 410 | 484 | 502 | 504 | 604, "unreachable") => true,
        (482 | 483 | 488 | 500 | 503, "failed" | "unreachable") => true,
        (486 | 600 | 480 | 487 | 403 | 603 | 404 | 408 | 410 | 484 | 502 | 504 | 604, _) => false,
        (482 | 483 | 488 | 500 | 503, _) => false,
        (_, result) => result != "answered",
    }
}

fn describe_call(call: &Call) -> String {
    let became = match &call.fate {
        Fate::Unheard => "never heard".to_owned(),
        Fate::Challenged => "challenged".to_owned(),
        Fate::Standing => "standing".to_owned(),
        Fate::Refused { status, cancelled: true } => format!("cancelled, {status}"),
        Fate::Refused { status, cancelled: false } => format!("refused {status}"),
        Fate::Answered { .. } => {
            let by = call.connected().map_or("nobody seen", |leg| leg.dialled.as_str());
            let (shortest, longest) = call.talked().unwrap_or_default();
            format!("answered by {by} for {} to {} ms", shortest / 1000, longest / 1000)
        }
    };
    format!("{} to {} at {}, {became}", call.caller, call.dialled, time(call.invited_at))
}

fn time(at: Micros) -> String {
    let at = i64::try_from(at).ok().and_then(|at| Timestamp::from_microsecond(at).ok());
    at.unwrap_or_default().to_string()
}

fn describe(record: &Record) -> String {
    let Record { id, caller, did, result, sip_status, duration_ms, started_at, .. } = record;
    let did = did.as_deref().unwrap_or_default();
    format!("{id}: {caller} to {did} at {started_at}, {result} {sip_status}, {duration_ms} ms")
}
