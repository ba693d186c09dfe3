//! `case.toml`: who plays which part in a scenario directory, and what must hold afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::addresses::Party;

/// A scenario directory's `case.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseFile {
    /// The most that the whole case may take.
    #[serde(default = "ten")]
    pub(crate) seconds: u64,
    /// Which loopback everybody is on.
    #[serde(default)]
    pub(crate) network: Network,
    /// Parts played by SIPp.
    #[serde(default)]
    pub(crate) sipp: Vec<SippPart>,
    /// Parts played by messages written out in files.
    #[serde(default)]
    pub(crate) raw: Vec<RawPart>,
    /// Parts played by simulated phones.
    #[serde(default)]
    pub(crate) phone: Vec<PhonePart>,
    /// Subscribers behind a simulated carrier.
    #[serde(default)]
    pub(crate) subscriber: Vec<SubscriberPart>,
    /// Records that must stand in the database.
    #[serde(default)]
    pub(crate) cdr: Vec<CdrPart>,
    /// How much a metric must have grown, exactly.
    #[serde(default)]
    pub(crate) metrics: BTreeMap<String, f64>,
}

/// `network`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Network {
    #[default]
    Ipv4,
    Ipv6,
}

/// How a part's messages go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Transport {
    #[default]
    Udp,
    Tcp,
    Tls,
}

/// A SIPp.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SippPart {
    pub(crate) at: Party,
    #[serde(default)]
    pub(crate) transport: Transport,
    /// Relative to the directory.
    pub(crate) scenario: PathBuf,
    /// The number it calls; without one it waits for calls.
    pub(crate) dials: Option<String>,
    #[serde(default = "one")]
    pub(crate) count: u32,
    #[serde(default = "one")]
    pub(crate) rate: u32,
    /// One that waits for calls takes as many of those that others place as lie between these.
    pub(crate) takes: Option<[u64; 2]>,
    /// What `<pause/>` in the scenario waits.
    #[serde(default)]
    pub(crate) pause_ms: u64,
}

/// Messages in files, sent and expected in order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPart {
    pub(crate) at: Party,
    /// Of the extension that it is; `[authorization]` answers the challenge that came last.
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    #[serde(default)]
    pub(crate) transport: Transport,
    pub(crate) step: Vec<Step>,
}

/// One step of a [`RawPart`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    /// Sends a file, its placeholders filled in.
    Send(String),
    /// Waits for a message whose first line begins so; provisional answers and repetitions of
    /// earlier messages are passed over.
    Expect(String),
    /// The same message as the last expected one must come again.
    ExpectAgain { times: u32, seconds: f64 },
    /// As `expect`, but only within these seconds.
    ExpectWithin { line: String, seconds: f64 },
    /// The last expected message holds this text, its placeholders filled in.
    Contains(String),
    /// Answers the last request that was expected.
    Answer(u16),
    /// Answers the last request that came and begins so.
    AnswerTo { line: String, status: u16 },
    /// Nothing of this case must come for so long.
    SilenceSeconds(f64),
    /// Waits and passes over whatever comes.
    PauseSeconds(f64),
    /// Remembers the last expected message by a name: `[NAME.target]` and the like.
    Keep(String),
    /// Connects once more (TCP).
    Connect,
    /// Resets every connection (TCP).
    Reset,
}

/// A simulated phone at [`Party::Phone`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PhonePart {
    pub(crate) user: String,
    pub(crate) password: String,
    /// Answers calls after so long; otherwise rings on.
    pub(crate) answers_after_ms: Option<u64>,
    /// Calls this number once it is registered.
    pub(crate) dials: Option<String>,
    #[serde(default)]
    pub(crate) talk_ms: u64,
    /// Who must be heard.
    pub(crate) answered_by: Option<String>,
    /// With what it must be refused.
    pub(crate) refused: Option<u16>,
    /// The number that the far end must see, in national form.
    pub(crate) must_show: Option<String>,
}

/// A subscriber who answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriberPart {
    pub(crate) at: Party,
    /// National form.
    pub(crate) number: String,
    pub(crate) answers_after_ms: u64,
    pub(crate) hangs_up_after_ms: Option<u64>,
}

/// What the records of a DID must say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CdrPart {
    /// As `tensou cdr --did` takes it.
    pub(crate) did: String,
    #[serde(default = "one")]
    pub(crate) count: u32,
    /// Field → value, or `[least, most]`. `legs` is their number.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, Value>,
}

impl CaseFile {
    pub(crate) fn read(dir: &Path) -> Result<CaseFile> {
        let path = dir.join("case.toml");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let case: CaseFile = toml::from_str(&text).with_context(|| path.display().to_string())?;
        if !dir.join("summary.md").is_file() {
            bail!("{} has no summary.md", dir.display());
        }
        let asked = case.cdr.is_empty() && case.metrics.is_empty();
        if asked && case.sipp.is_empty() && case.raw.is_empty() {
            bail!("{} expects nothing", path.display());
        }
        Ok(case)
    }

    /// Who takes part by SIPp or by messages from files.
    pub(crate) fn parties(&self) -> Vec<Party> {
        let sipp = self.sipp.iter().map(|part| part.at);
        sipp.chain(self.raw.iter().map(|part| part.at)).collect()
    }

    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl CdrPart {
    /// Holds records against this expectation.
    pub(crate) fn faults(&self, records: &[Value]) -> Vec<String> {
        let mut faults = Vec::new();
        if records.len() != self.count as usize {
            faults.push(format!(
                "{} has {} call records, expected {}",
                self.did,
                records.len(),
                self.count
            ));
        }
        for record in records {
            for (field, wanted) in &self.fields {
                let found = match (field.as_str(), &record["legs"]) {
                    ("legs", Value::Array(legs)) => Value::from(legs.len()),
                    _ => record[field].clone(),
                };
                if !fits(&found, wanted) {
                    faults.push(format!(
                        "record of {}: {field} is {found}, expected {wanted}",
                        self.did
                    ));
                }
            }
        }
        faults
    }
}

fn fits(found: &Value, wanted: &Value) -> bool {
    match (wanted, found.as_f64()) {
        (Value::Array(range), Some(number)) => {
            let bound = |at: usize| range.get(at).and_then(Value::as_f64);
            bound(0).is_some_and(|least| number >= least)
                && bound(1).is_some_and(|most| number <= most)
        }
        (Value::Array(choices), None) => choices.contains(found),
        (Value::String(text), _) if text == "present" => !is_absent(found),
        (Value::String(text), _) if text == "absent" => is_absent(found),
        _ => found == wanted,
    }
}

fn is_absent(found: &Value) -> bool {
    found.is_null() || found.as_str() == Some("")
}

fn ten() -> u64 {
    10
}

fn one() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_held_against_values_ranges_and_presence() {
        let case: CaseFile = toml::from_str(
            "[[cdr]]\ndid = \"0310001001\"\nfields = { result = \"answered\", \
             duration_ms = [900, 1200], legs = 3, answered_at = \"present\" }",
        )
        .unwrap();
        let record = serde_json::json!({
            "result": "answered", "duration_ms": 1000, "legs": [{}, {}, {}], "answered_at": "x"
        });
        assert_eq!(case.cdr[0].faults(std::slice::from_ref(&record)), Vec::<String>::new());
        let late = serde_json::json!({
            "result": "busy", "duration_ms": 1300, "legs": [], "answered_at": null
        });
        assert_eq!(case.cdr[0].faults(&[late]).len(), 4);
        assert_eq!(case.cdr[0].faults(&[])[0], "0310001001 has 0 call records, expected 1");
    }

    #[test]
    fn a_typing_mistake_in_a_case_is_found() {
        assert!(toml::from_str::<CaseFile>("secconds = 3").is_err());
        let steps = "[[raw]]\nat = \"stranger\"\nstep = [{ send = \"a.sip\" }, { answer = 200 }, \
                     { expect_within = { line = \"BYE\", seconds = 3 } }]";
        assert_eq!(toml::from_str::<CaseFile>(steps).unwrap().raw[0].step.len(), 3);
    }
}
