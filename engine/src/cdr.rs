//! The call record: one per call attempt, complete when the call has ended.

use std::time::Duration;

use crate::id::{CallId, Key};
use crate::journal::image;
use crate::plan::E164;
use crate::time::WallTime;

/// Which way a call went through us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a trunk to an extension.
    In,
    /// From an extension to a trunk.
    Out,
    /// From a trunk to a number or SIP URI outside.
    Forward,
}

/// What the caller's side said about its number: the classes of ナンバー・ディスプレイ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallerClass {
    /// A number was shown.
    Number,
    /// The caller withheld it (184, `Privacy: id`).
    Withheld,
    /// A payphone.
    Payphone,
    /// The network could not pass a number.
    #[default]
    Unavailable,
}

/// The caller as the record and the screens know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The number, when its class is [`CallerClass::Number`]; withheld numbers known from a
    /// trusted trunk are not stored here.
    pub number: Option<E164>,
    /// The class.
    pub class: CallerClass,
}

/// How the attempt ended, in the operator's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// A callee answered.
    Answered,
    /// Everybody rang until their time was up.
    NoAnswer,
    /// The called side was busy, or the DID's own cap was reached.
    Busy,
    /// A callee declined (603, 403 and the like).
    Rejected,
    /// The caller gave up first.
    Cancelled,
    /// No callee could be reached: unregistered, unallocated, trunk down.
    Unreachable,
    /// Something of ours or of the signalling failed.
    Failed,
    /// A rule of ours refused the caller.
    Blocked,
}

/// Who ended the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The A leg hung up or cancelled.
    Caller,
    /// A callee hung up or refused.
    Callee,
    /// We did: time-outs, caps, an operator's command, shutdown.
    System,
}

/// Counters of one direction of a leg's media.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MediaDirection {
    /// RTP packets received from the sender of this direction.
    pub packets: u64,
    /// Packets missing by sequence number.
    pub lost: u64,
    /// Interarrival jitter (RFC 3550 6.4.1) in milliseconds.
    pub jitter_ms: f32,
    /// Mean opinion score estimated from loss and jitter (ITU-T G.107 E-model), 1.0 to 4.5;
    /// `None` when there was nothing to judge.
    pub mos: Option<f32>,
}

/// Media of one leg: `received` is what its phone sent us, `sent` what we sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegMedia {
    /// From the phone to us.
    pub received: MediaDirection,
    /// From us to the phone.
    pub sent: MediaDirection,
}

/// One callee leg of the record.
#[derive(Clone, Debug, PartialEq)]
pub struct CdrLeg {
    /// The destination's key, or the dialled number of an outgoing call.
    pub destination: Key,
    /// The trunk it left by; none for extensions and plain SIP URIs.
    pub trunk_out: Option<Key>,
    /// What was put into the Request-URI's user part.
    pub dialled: String,
    /// The caller number shown to it (From), in E.164, if any was shown.
    pub presented: Option<E164>,
    /// The INVITE was sent.
    pub started_at: WallTime,
    /// First 180 or 183.
    pub ringing_at: Option<WallTime>,
    /// Its 200.
    pub answered_at: Option<WallTime>,
    /// Final answer, CANCEL or BYE.
    pub ended_at: WallTime,
    /// Final SIP status of its INVITE (487 when cancelled), 0 when none came.
    pub sip_status: u16,
    /// Q.850 cause, 0 when unknown.
    pub q850_cause: u8,
    /// Media counters; only the leg that was bridged has them.
    pub media: Option<LegMedia>,
}

/// One call attempt that reached a DID, or left an extension.
#[derive(Clone, Debug, PartialEq)]
pub struct Cdr {
    /// UUIDv7; the database accepts each id once.
    pub id: CallId,
    /// Which way it went.
    pub direction: Direction,
    /// The DID called, or the DID presented by an outgoing call.
    pub did: Option<E164>,
    /// Whose DID.
    pub customer: Option<Key>,
    /// Who called.
    pub caller: Caller,
    /// The trunk it came by; none for extensions.
    pub trunk_in: Option<Key>,
    /// INVITE received.
    pub started_at: WallTime,
    /// First ringing of any callee.
    pub ringing_at: Option<WallTime>,
    /// The answer that connected the call.
    pub answered_at: Option<WallTime>,
    /// Final answer to the caller, or the end of the conversation.
    pub ended_at: WallTime,
    /// Answer to end on the monotonic clock; zero when not answered.
    pub duration: Duration,
    /// Outcome.
    pub result: CallResult,
    /// Status the caller got (200 when answered).
    pub sip_status: u16,
    /// Q.850 cause of the end (16 for a normal hang-up).
    pub q850_cause: u8,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// The destination that answered.
    pub answered_by: Option<Key>,
    /// Callee legs in the order they were dialled.
    pub legs: Vec<CdrLeg>,
}

macro_rules! words {
    ($type:ty { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// The word used in the database, REST, CSV and events.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads that word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(Direction { In = "in", Out = "out", Forward = "forward" });
words!(CallerClass {
    Number = "number",
    Withheld = "withheld",
    Payphone = "payphone",
    Unavailable = "unavailable",
});
words!(CallResult {
    Answered = "answered",
    NoAnswer = "no_answer",
    Busy = "busy",
    Rejected = "rejected",
    Cancelled = "cancelled",
    Unreachable = "unreachable",
    Failed = "failed",
    Blocked = "blocked",
});
words!(EndedBy { Caller = "caller", Callee = "callee", System = "system" });

image!(enum Direction { 0 = In, 1 = Out, 2 = Forward });
image!(enum CallerClass { 0 = Number, 1 = Withheld, 2 = Payphone, 3 = Unavailable });
image!(enum CallResult {
    0 = Answered, 1 = NoAnswer, 2 = Busy, 3 = Rejected, 4 = Cancelled, 5 = Unreachable,
    6 = Failed, 7 = Blocked,
});
image!(enum EndedBy { 0 = Caller, 1 = Callee, 2 = System });
image!(struct Caller { number, class });
image!(struct MediaDirection { packets, lost, jitter_ms, mos });
image!(struct LegMedia { received, sent });
image!(struct CdrLeg {
    destination, trunk_out, dialled, presented, started_at, ringing_at, answered_at, ended_at,
    sip_status, q850_cause, media,
});
image!(struct Cdr {
    id, direction, did, customer, caller, trunk_in, started_at, ringing_at, answered_at, ended_at,
    duration, result, sip_status, q850_cause, ended_by, answered_by, legs,
});
