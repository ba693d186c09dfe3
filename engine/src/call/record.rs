//! The record of a call as it grows, and the CDR it becomes.

use std::time::Duration;

use crate::cause::Cause;
use crate::cdr::{CallResult, Caller, Cdr, CdrLeg, Direction, EndedBy, LegMedia, MediaDirection};
use crate::core::Core;
use crate::event::Event;
use crate::id::{CallId, Key};
use crate::input::Output;
use crate::journal::finished;
use crate::media::SideCounters;
use crate::plan::E164;
use crate::time::{Now, Timestamp, WallTime};

use super::Call;

/// Facts of a call for its CDR.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) direction: Direction,
    pub(crate) did: Option<E164>,
    pub(crate) customer: Option<Key>,
    pub(crate) caller: Caller,
    pub(crate) trunk_in: Option<Key>,
    pub(crate) started_at: WallTime,
    pub(crate) ringing_at: Option<WallTime>,
    pub(crate) answered: Option<Answered>,
    pub(crate) end: Option<End>,
    pub(crate) media: Option<(SideCounters, SideCounters)>,
    /// The CDR has gone out.
    pub(crate) written: bool,
    /// The process was started anew, and nothing has been heard of either peer since: when the
    /// call was last known to be up.
    pub(crate) unheard: Option<Now>,
}

/// The moment a callee answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) at: WallTime,
    pub(crate) mono: Timestamp,
    pub(crate) leg: u16,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) at: WallTime,
    pub(crate) duration: Duration,
    pub(crate) result: CallResult,
    pub(crate) sip_status: u16,
    pub(crate) q850_cause: u8,
    pub(crate) ended_by: EndedBy,
}

impl Call {
    /// Notes the end, tells the world, and counts it. The CDR follows when every leg has its
    /// last answer.
    pub(super) fn note_end(&mut self, core: &mut Core, end: EndNote) {
        let at = self.end_of(core.io.now, end);
        let end = self.record.end_at(at, end);
        let duration = end.duration;
        core.io.counters.calls_ended += 1;
        core.io.counters.calls_active -= 1;
        core.io.counters.talk_millis += duration.as_millis() as u64;
        core.io.event(Event::CallEnded {
            call: self.id,
            at: end.at,
            duration,
            result: end.result,
            sip_status: end.sip_status,
            q850_cause: end.q850_cause,
            ended_by: end.ended_by,
        });
    }

    /// A peer that was gone when a restart was over had left before it: the call was last known
    /// to be up when the process was last known to run.
    fn end_of(&self, now: Now, end: EndNote) -> Now {
        let found_gone =
            end.by == EndedBy::System && matches!(end.cause, Cause::MediaTimeout | Cause::Timeout);
        self.record.unheard.filter(|_| found_gone).unwrap_or(now)
    }

    /// Writes the CDR, once.
    pub(super) fn write_record(&mut self, core: &mut Core) {
        let Some(end) = self.record.end else { return };
        if std::mem::replace(&mut self.record.written, true) {
            return;
        }
        let answered_leg = self.record.answered.map(|answered| answered.leg);
        let media = self.record.media.map(|(a, b)| LegMedia { received: of(b), sent: of(a) });
        let mut legs: Vec<CdrLeg> = Vec::with_capacity(self.legs.len().saturating_sub(1));
        let mut answered_by = None;
        for (at, leg) in self.legs.iter_mut().enumerate() {
            let Some(mut record) = leg.record.take() else { continue };
            if answered_leg == Some(at as u16) {
                record.media = media;
                answered_by = Some(record.destination.clone());
            }
            // Of several that talked one after the other, the last did so to the end.
            match (record.answered_at, leg.left_at) {
                (Some(_), Some(left)) => record.ended_at = left,
                (Some(_), None) => {
                    record.ended_at = end.at;
                    record.q850_cause = end.q850_cause;
                }
                (None, _) => {}
            }
            if record.ended_at < record.started_at {
                record.ended_at = core.io.now.wall;
            }
            legs.push(*record);
        }
        let cdr = Cdr { answered_by, legs, ..self.record.cdr(self.id, end) };
        if core.config.journal {
            self.finished = Some(finished(&cdr, core.io.pen()));
        }
        core.figures.note(core.io.now.mono, &cdr);
        core.io.outbox.push_back(Output::Cdr(Box::new(cdr)));
        self.touch();
    }
}

/// Why a call ends, as [`Call::note_end`] needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndNote {
    pub(crate) cause: Cause,
    /// Status the caller gets when nobody had answered.
    pub(crate) status: u16,
    pub(crate) q850: u8,
    pub(crate) by: EndedBy,
}

fn of(side: SideCounters) -> MediaDirection {
    MediaDirection {
        packets: side.packets,
        lost: side.lost,
        jitter_ms: side.jitter_ms,
        mos: side.mos,
    }
}

impl Record {
    /// Notes how and when the call ended.
    pub(crate) fn end_at(&mut self, at: Now, note: EndNote) -> End {
        let answered = self.answered;
        let (result, sip_status) = match answered {
            Some(_) => (CallResult::Answered, 200),
            None => (note.cause.result(), note.status),
        };
        let end = End {
            at: at.wall,
            duration: answered.map_or(Duration::ZERO, |answered| at.mono.since(answered.mono)),
            result,
            sip_status,
            q850_cause: note.q850,
            ended_by: note.by,
        };
        self.end = Some(end);
        end
    }

    /// The CDR, but for what stands in the legs.
    pub(crate) fn cdr(&self, id: CallId, end: End) -> Cdr {
        Cdr {
            id,
            direction: self.direction,
            did: self.did,
            customer: self.customer.clone(),
            caller: self.caller,
            trunk_in: self.trunk_in.clone(),
            started_at: self.started_at,
            ringing_at: self.ringing_at,
            answered_at: self.answered.map(|answered| answered.at),
            ended_at: end.at,
            duration: end.duration,
            result: end.result,
            sip_status: end.sip_status,
            q850_cause: end.q850_cause,
            ended_by: end.ended_by,
            answered_by: None,
            legs: Vec::new(),
        }
    }

    /// The caller of this call as a leg of another.
    pub(crate) fn as_leg(&self, now: WallTime) -> CdrLeg {
        let number = self.caller.number.map_or_else(String::new, |number| number.to_string());
        CdrLeg {
            destination: Key::from(&*number),
            trunk_out: self.trunk_in.clone(),
            dialled: number,
            presented: None,
            started_at: now,
            ringing_at: None,
            answered_at: Some(now),
            ended_at: now,
            sip_status: 200,
            q850_cause: 0,
            media: None,
        }
    }

    /// A record that has just begun.
    pub(crate) fn begin(started_at: WallTime, caller: Caller) -> Record {
        Record {
            direction: Direction::Forward,
            did: None,
            customer: None,
            caller,
            trunk_in: None,
            started_at,
            ringing_at: None,
            answered: None,
            end: None,
            media: None,
            written: false,
            unheard: None,
        }
    }
}

/// A new call's id.
pub(crate) fn new_id(core: &mut Core) -> CallId {
    let millis = core.io.now.wall.as_unix_millis();
    CallId::new(millis, core.io.rng.next_u64(), core.io.rng.next_u64())
}
