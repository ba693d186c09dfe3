//! A record as JSON shows it: times with the node's offset.

use serde::Serialize;
use tensou_store::model::{CdrLegRecord, CdrRecord, LegMediaRecord, MediaRecord};
use utoipa::ToSchema;

use super::super::Clock;

/// One call attempt.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Cdr)]
pub struct CdrView {
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
    pub started_at: String,
    /// First ringing.
    pub ringing_at: Option<String>,
    /// The answer that connected the call.
    pub answered_at: Option<String>,
    /// Its end.
    pub ended_at: String,
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
    pub legs: Vec<CdrLegView>,
}

/// One callee leg.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = CdrLeg)]
pub struct CdrLegView {
    /// Destination id, or the number of an outgoing call.
    pub destination: String,
    /// Trunk it left by.
    pub trunk_out: Option<String>,
    /// User part of the Request-URI.
    pub dialled: String,
    /// Caller number shown to it, E.164.
    pub presented: Option<String>,
    /// INVITE sent.
    pub started_at: String,
    /// First 180 or 183.
    pub ringing_at: Option<String>,
    /// Its 200.
    pub answered_at: Option<String>,
    /// Its end.
    pub ended_at: String,
    /// Final status of its INVITE, 0 when none came.
    pub sip_status: u16,
    /// Q.850 cause, 0 when unknown.
    pub q850_cause: u8,
    /// Media counters of the leg that was bridged.
    pub media: Option<LegMediaView>,
}

/// Media of one leg.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = LegMedia)]
pub struct LegMediaView {
    /// From the phone to us.
    pub received: MediaView,
    /// From us to the phone.
    pub sent: MediaView,
}

/// One direction of a leg's media.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = MediaDirection)]
pub struct MediaView {
    /// RTP packets received.
    pub packets: u64,
    /// Packets missing.
    pub lost: u64,
    /// Interarrival jitter.
    pub jitter_ms: f32,
    /// Estimated mean opinion score, 1.0 to 4.5.
    pub mos: Option<f32>,
}

impl CdrView {
    /// How `record` is shown.
    pub fn of(record: CdrRecord, clock: &Clock) -> Self {
        CdrView {
            id: record.id,
            node: record.node,
            direction: record.direction,
            did: record.did,
            customer_id: record.customer_id,
            caller: record.caller,
            caller_class: record.caller_class,
            trunk_in: record.trunk_in,
            started_at: clock.rfc3339(record.started_at),
            ringing_at: record.ringing_at.map(|at| clock.rfc3339(at)),
            answered_at: record.answered_at.map(|at| clock.rfc3339(at)),
            ended_at: clock.rfc3339(record.ended_at),
            duration_ms: record.duration_ms,
            result: record.result,
            sip_status: record.sip_status,
            q850_cause: record.q850_cause,
            ended_by: record.ended_by,
            answered_by: record.answered_by,
            recording_id: record.recording_id,
            price: record.price,
            cost: record.cost,
            legs: record.legs.into_iter().map(|leg| CdrLegView::of(leg, clock)).collect(),
        }
    }
}

impl CdrLegView {
    fn of(leg: CdrLegRecord, clock: &Clock) -> Self {
        CdrLegView {
            destination: leg.destination,
            trunk_out: leg.trunk_out,
            dialled: leg.dialled,
            presented: leg.presented,
            started_at: clock.rfc3339(leg.started_at),
            ringing_at: leg.ringing_at.map(|at| clock.rfc3339(at)),
            answered_at: leg.answered_at.map(|at| clock.rfc3339(at)),
            ended_at: clock.rfc3339(leg.ended_at),
            sip_status: leg.sip_status,
            q850_cause: leg.q850_cause,
            media: leg.media.map(LegMediaView::of),
        }
    }
}

impl LegMediaView {
    fn of(media: LegMediaRecord) -> Self {
        LegMediaView { received: MediaView::of(media.received), sent: MediaView::of(media.sent) }
    }
}

impl MediaView {
    fn of(direction: MediaRecord) -> Self {
        MediaView {
            packets: direction.packets,
            lost: direction.lost,
            jitter_ms: direction.jitter_ms,
            mos: direction.mos,
        }
    }
}
