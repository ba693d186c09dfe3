//! Call records as `tensou cdr --format json` and REST give them, as far as the witness compares
//! them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Micros;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// UUIDv7.
    pub id: String,
    /// The node that handled it.
    #[serde(default)]
    pub node: String,
    /// `in`, `out` or `forward`.
    #[serde(default)]
    pub direction: String,
    /// The DID called or presented.
    #[serde(default)]
    pub did: Option<String>,
    /// Who called, in E.164; empty when no number was shown.
    #[serde(default)]
    pub caller: String,
    /// INVITE received, RFC 3339.
    pub started_at: String,
    /// Its end, RFC 3339.
    #[serde(default)]
    pub ended_at: String,
    /// Answer to end.
    pub duration_ms: u64,
    /// How it ended.
    pub result: String,
    /// Status that the caller got.
    pub sip_status: u16,
    /// Who ended it.
    #[serde(default)]
    pub ended_by: String,
    /// The destination that answered.
    #[serde(default)]
    pub answered_by: Option<String>,
    /// What was dialled.
    #[serde(default)]
    pub legs: Vec<RecordLeg>,
}

/// What was dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordLeg {
    /// The destination's id.
    pub destination: String,
    /// User part of the Request-URI.
    pub dialled: String,
    /// Its answer, RFC 3339.
    #[serde(default)]
    pub answered_at: Option<String>,
}

impl Record {
    /// Reads one record a line, or one JSON list, or a page of REST.
    pub fn read_all(text: &str) -> Result<Vec<Record>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Page {
            items: Vec<Record>,
        }
        let text = text.trim();
        if text.starts_with('[') {
            return serde_json::from_str(text);
        }
        if let Ok(page) = serde_json::from_str::<Page>(text) {
            return Ok(page.items);
        }
        text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str).collect()
    }

    /// When it began, by the server's clock; 0 when that cannot be read.
    pub fn began(&self) -> Micros {
        micros(&self.started_at)
    }

    /// When it ended, by the server's clock; 0 when that cannot be read.
    pub fn ended(&self) -> Micros {
        micros(&self.ended_at)
    }

    /// The number of the leg that answered, as it was dialled.
    pub(crate) fn answered_number(&self) -> Option<&str> {
        let by = self.answered_by.as_ref()?;
        let answered = self.legs.iter().filter(|leg| leg.destination == *by);
        let leg = answered.clone().find(|leg| leg.answered_at.is_some());
        leg.or_else(|| answered.clone().next()).map(|leg| leg.dialled.as_str())
    }
}

fn micros(time: &str) -> Micros {
    let time: Option<Timestamp> = time.parse().ok();
    time.and_then(|time| Micros::try_from(time.as_microsecond()).ok()).unwrap_or_default()
}
