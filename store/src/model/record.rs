//! Call records as they are stored: the engine's record with the node and what is added later.

use serde::{Deserialize, Serialize};
use tensou_engine::{Cdr, CdrLeg, Key, LegMedia, MediaDirection, WallTime};
use utoipa::ToSchema;

/// One call attempt. Times are Unix milliseconds; words are those of REST and CSV.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CdrRecord {
    /// UUIDv7.
    pub id: String,
    /// The node that handled it.
    pub node: String,
    /// `in`, `out` or `forward`.
    pub direction: String,
    /// The DID called or presented, E.164.
    pub did: Option<String>,
    /// Whose DID.
    pub customer_id: Option<String>,
    /// Who called, E.164; empty when no number was shown.
    pub caller: String,
    /// `number`, `withheld`, `payphone` or `unavailable`.
    pub caller_class: String,
    /// Trunk it came by.
    pub trunk_in: Option<String>,
    /// INVITE received.
    pub started_at: i64,
    /// First ringing.
    pub ringing_at: Option<i64>,
    /// The answer that connected the call.
    pub answered_at: Option<i64>,
    /// Its end.
    pub ended_at: i64,
    /// Answer to end on the monotonic clock.
    pub duration_ms: i64,
    /// `answered`, `no_answer`, `busy`, `rejected`, `cancelled`, `unreachable`, `failed` or
    /// `blocked`.
    pub result: String,
    /// Status the caller got.
    pub sip_status: u16,
    /// Q.850 cause of the end.
    pub q850_cause: u8,
    /// `caller`, `callee` or `system`.
    pub ended_by: String,
    /// Destination that answered.
    pub answered_by: Option<String>,
    /// Recording of the call.
    pub recording_id: Option<String>,
    /// What the customer pays, decimal yen.
    pub price: Option<String>,
    /// What the carrier takes, decimal yen.
    pub cost: Option<String>,
    /// Callee legs in the order they were dialled.
    pub legs: Vec<CdrLegRecord>,
}

/// One callee leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CdrLegRecord {
    /// Destination id, or the number of an outgoing call.
    pub destination: String,
    /// Trunk it left by.
    pub trunk_out: Option<String>,
    /// User part of the Request-URI.
    pub dialled: String,
    /// Caller number shown to it, E.164.
    pub presented: Option<String>,
    /// INVITE sent.
    pub started_at: i64,
    /// First 180 or 183.
    pub ringing_at: Option<i64>,
    /// Its 200.
    pub answered_at: Option<i64>,
    /// Its end.
    pub ended_at: i64,
    /// Final status of its INVITE, 0 when none came.
    pub sip_status: u16,
    /// Q.850 cause, 0 when unknown.
    pub q850_cause: u8,
    /// Media counters of the leg that was bridged.
    pub media: Option<LegMediaRecord>,
}

/// Media of one leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LegMediaRecord {
    /// From the phone to us.
    pub received: MediaRecord,
    /// From us to the phone.
    pub sent: MediaRecord,
}

/// One direction of a leg's media.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MediaRecord {
    /// RTP packets received.
    pub packets: u64,
    /// Packets missing.
    pub lost: u64,
    /// Interarrival jitter.
    pub jitter_ms: f32,
    /// Estimated mean opinion score, 1.0 to 4.5.
    pub mos: Option<f32>,
}

impl CdrRecord {
    /// The stored form of a record made on `node`.
    pub fn of(node: &str, cdr: &Cdr) -> Self {
        CdrRecord {
            id: cdr.id.to_string(),
            node: node.to_owned(),
            direction: cdr.direction.as_str().to_owned(),
            did: cdr.did.map(|number| number.to_string()),
            customer_id: cdr.customer.as_ref().map(Key::to_string),
            caller: cdr.caller.number.map(|number| number.to_string()).unwrap_or_default(),
            caller_class: cdr.caller.class.as_str().to_owned(),
            trunk_in: cdr.trunk_in.as_ref().map(Key::to_string),
            started_at: cdr.started_at.as_unix_millis(),
            ringing_at: cdr.ringing_at.map(WallTime::as_unix_millis),
            answered_at: cdr.answered_at.map(WallTime::as_unix_millis),
            ended_at: cdr.ended_at.as_unix_millis(),
            duration_ms: i64::try_from(cdr.duration.as_millis()).unwrap_or(i64::MAX),
            result: cdr.result.as_str().to_owned(),
            sip_status: cdr.sip_status,
            q850_cause: cdr.q850_cause,
            ended_by: cdr.ended_by.as_str().to_owned(),
            answered_by: cdr.answered_by.as_ref().map(Key::to_string),
            recording_id: None,
            price: None,
            cost: None,
            legs: cdr.legs.iter().map(CdrLegRecord::of).collect(),
        }
    }
}

impl CdrLegRecord {
    fn of(leg: &CdrLeg) -> Self {
        CdrLegRecord {
            destination: leg.destination.to_string(),
            trunk_out: leg.trunk_out.as_ref().map(Key::to_string),
            dialled: leg.dialled.clone(),
            presented: leg.presented.map(|number| number.to_string()),
            started_at: leg.started_at.as_unix_millis(),
            ringing_at: leg.ringing_at.map(WallTime::as_unix_millis),
            answered_at: leg.answered_at.map(WallTime::as_unix_millis),
            ended_at: leg.ended_at.as_unix_millis(),
            sip_status: leg.sip_status,
            q850_cause: leg.q850_cause,
            media: leg.media.as_ref().map(LegMediaRecord::of),
        }
    }
}

impl LegMediaRecord {
    fn of(media: &LegMedia) -> Self {
        LegMediaRecord {
            received: MediaRecord::of(&media.received),
            sent: MediaRecord::of(&media.sent),
        }
    }
}

impl MediaRecord {
    fn of(direction: &MediaDirection) -> Self {
        MediaRecord {
            packets: direction.packets,
            lost: direction.lost,
            // JSON has no NaN or infinity; a counter that is none is none.
            jitter_ms: if direction.jitter_ms.is_finite() { direction.jitter_ms } else { 0.0 },
            mos: direction.mos.filter(|mos| mos.is_finite()),
        }
    }
}
