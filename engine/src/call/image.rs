//! A call in the journal.
//!
//! Its image has five parts for the call itself and nine for each leg; each is written again
//! only when it has changed. Whatever touches a leg has what changed of the call written before a
//! message of that step leaves.

#[cfg(debug_assertions)]
mod essence;
mod former;
mod leg;
mod values;

use crate::core::Core;
use crate::id::CallId;
use crate::journal;
use crate::journal::{Marked, Names, Parts, Pen, Reader, begin_call, image, sparse};
use crate::sip::transaction::ServerHandle;
use crate::usage::DidCall;

use super::leg::{Invite, Leg};
use super::media::Media;
use super::record::Record;
use super::{Call, CallHandle, Exchange, Phase, Source};

#[cfg(debug_assertions)]
pub(crate) use essence::{PENDING, RECORD, state_of};
pub(super) use leg::Saved;
use values::{get_phase, has_new_plan, put_phase, put_plan, saved_plan};

/// The part of what a call is from its beginning.
const FACTS: u64 = 0;
/// The part of how far its record is.
const PROGRESS: u64 = 1;
/// The part of what it is doing.
const PHASE: u64 = 2;
/// The part of everything else but its legs.
const REST: u64 = 3;
/// The part of whom it rings, and what they are sent, while it dials.
const PLAN: u64 = 4;

/// The parts of a leg. A number is never given to another one.
#[derive(Clone, Copy)]
enum Part {
    /// What never changes of it.
    Nature = 0,
    /// How it stands.
    State = 1,
    /// The transaction of its INVITE, but for what is large.
    Transaction = 2,
    /// What is large of that and never changes.
    Large = 3,
    /// What of its dialog is ours and never changes.
    Dialog = 4,
    /// Its peer's description that both sides agreed to.
    Described = 5,
    /// Ours to its peer.
    Told = 6,
    /// What of its dialog the peer says. The CSeq numbers are those of its state.
    Peer = 7,
}

impl Part {
    /// Its number among the parts of a call.
    fn of(self, leg: usize) -> u64 {
        ((leg as u64).wrapping_add(1) << 3) | self as u64
    }
}

/// The part of what came of a leg, for its record: it changes seldom, and lies apart in memory.
fn outcome_of(leg: usize) -> u64 {
    0x8000 | leg as u64
}

/// What of a call has changed since its last image, beside what is [`Marked`] and what its legs
/// know.
#[derive(Debug)]
pub(super) struct Unsaved {
    /// Anything at all.
    pub(super) any: bool,
    /// How many legs the journal has; none of a call that was never written.
    legs: usize,
}

impl Unsaved {
    /// Of a call that was never written.
    pub(super) fn everything() -> Unsaved {
        Unsaved { any: true, legs: 0 }
    }
}

/// Which call it is, and whose. It stands behind the facts, which can be had without it.
struct Named {
    handle: CallHandle,
    source: Source,
}

image!(struct Named { handle, source });
// What of a call's record stands from its beginning.
image!(struct Record as put_begun, get_begun {
    direction, did, customer, caller, trunk_in, started_at,
} not {
    ringing_at = None, answered = None, end = None, media = None, written = false, unheard = None,
});
sparse!(Record as put_progress, get_progress {
    0 = ringing_at, 1 = answered, 2 = end, 3 = media, 4 = written,
} not { direction, did, customer, caller, trunk_in, started_at, unheard });

impl Call {
    /// Writes the record for the journal: what has changed since the last one.
    pub(crate) fn save(&mut self, core: &Core, pen: &mut Pen) {
        self.unsaved.any = false;
        let names = &Names::of(core, &self.routing.snapshot);
        begin_call(pen, self.id, core.io.now, self.finished.as_deref().unwrap_or_default());
        let new = self.unsaved.legs == 0;
        if new {
            pen.part(FACTS, |pen| self.put_facts(pen, names));
        }
        if new || Marked::changed(&self.record) {
            pen.part(PROGRESS, |pen| self.record.put_progress(pen, names));
        }
        if new || Marked::changed(&self.phase) {
            pen.part(PHASE, |pen| put_phase(&self.phase, pen, names));
            if new || has_new_plan(&self.phase) {
                pen.part(PLAN, |pen| put_plan(&self.phase, pen, names));
                saved_plan(&mut self.phase);
            }
        }
        let rest = Marked::changed(&self.media)
            || Marked::changed(&self.did_call)
            || Marked::changed(&self.exchanges);
        if rest || self.unsaved.legs != self.legs.len() {
            pen.part(REST, |pen| self.put_rest(pen, names));
        }
        let offer = match &*self.phase {
            Phase::Dialling(dialling) => dialling.offer.as_ref(),
            Phase::Talking(_) | Phase::Ended => None,
        };
        self.unsaved.legs = self.legs.len();
        for (at, leg) in self.legs.iter_mut().enumerate() {
            if !leg.is_saved() {
                leg::save(leg, at, offer, pen, names);
            }
        }
        Marked::saved(&mut self.record);
        Marked::saved(&mut self.phase);
        Marked::saved(&mut self.media);
        Marked::saved(&mut self.did_call);
        Marked::saved(&mut self.exchanges);
    }

    /// Whether something has changed since the last record.
    pub(crate) fn has_changed(&self) -> bool {
        self.unsaved.any
    }

    /// Whether the journal has everything that a call which is over leaves behind. That its legs
    /// have ended is all that it need not know by their own images.
    pub(crate) fn leaves_nothing_new(&self) -> bool {
        self.unsaved.legs == self.legs.len()
            && self.finished.is_none()
            && !Marked::changed(&self.record)
            && self.legs.iter().all(Leg::leaves_nothing_new)
    }

    /// The transactions of the INVITEs that a call was given which is over, in their places again.
    pub(crate) fn revive_answers(core: &mut Core, parts: &Parts) -> Vec<ServerHandle> {
        let rest = CallRest::legs_of(&mut Reader::of(parts.of(REST), None));
        let legs = 0..rest.unwrap_or_default();
        legs.filter_map(|at| leg::read_answers(core, parts, at)).collect()
    }

    /// Its CDR, once a record has it.
    pub(crate) fn take_finished(&mut self) -> Option<journal::Record> {
        self.finished.take()
    }

    /// The transactions of the INVITEs that it was given, and of other requests whose answers
    /// must not change.
    pub(crate) fn servers(&self) -> impl Iterator<Item = ServerHandle> {
        let invites = self.legs.iter().filter_map(|leg| match leg.invite {
            Invite::Received(server) => Some(server),
            Invite::Sent(_) => None,
        });
        invites.chain(self.legs.iter().flat_map(|leg| leg.served.iter().copied()))
    }

    /// Has the whole call written again, not only what changes.
    pub(crate) fn forget_saved(&mut self) {
        self.unsaved = Unsaved::everything();
        self.legs.iter_mut().for_each(|leg| leg.saved = Saved::default());
    }

    fn put_facts(&self, pen: &mut Pen, names: &Names<'_>) {
        self.record.put_begun(pen, names);
        pen.put(&Named { handle: self.handle, source: self.source }, names);
    }

    fn put_rest(&self, pen: &mut Pen, names: &Names<'_>) {
        let Call {
            id: _,
            handle: _,
            routing: _,
            source: _,
            legs,
            phase: _,
            media,
            did_call,
            exchanges,
            record,
            unsaved: _,
            finished: _,
        } = self;
        pen.number(legs.len() as u64);
        // Given back at the end.
        let held = media.as_ref().filter(|_| record.end.is_none());
        pen.byte(u8::from(held.is_some()));
        if let Some(media) = held {
            pen.put(media, names);
        }
        pen.put(&**did_call, names);
        pen.put(&**exchanges, names);
    }

    /// Reads a call, and takes everything again that it had.
    pub(crate) fn revive(core: &mut Core, id: CallId, parts: &Parts) -> Revived {
        let part = |number| parts.of(number);
        if part(FACTS).is_empty() {
            return former::revive(core, id, parts);
        }
        let routing = core.routing.clone();
        let mut facts = Reader::of(part(FACTS), Some(core));
        let Some(mut record) = Record::get_begun(&mut facts).map(Box::new) else {
            return Revived::Unreadable;
        };
        let Some(()) = record.get_progress(&mut Reader::of(part(PROGRESS), None)) else {
            return Revived::Unreadable;
        };
        let Some(Named { handle, source }) = facts.get() else { return Revived::Record(record) };
        let Some(phase) = get_phase(&mut Reader::of(part(PHASE), Some(core)), part(PLAN)) else {
            return Revived::Record(record);
        };
        let Some(rest) = CallRest::read(&mut Reader::of(part(REST), Some(core))) else {
            return Revived::Record(record);
        };
        let mut lost = rest.lost;
        let mut legs = Vec::new();
        for at in 0..rest.legs {
            match leg::read(core, parts, at) {
                Some(leg) => legs.push(leg),
                None => lost = true,
            }
        }
        if legs.len() != rest.legs {
            return Revived::Record(record);
        }
        let call = Call {
            id,
            handle,
            routing,
            source,
            legs,
            phase: Marked::new(phase),
            media: Marked::new(rest.media),
            did_call: Marked::new(rest.did_call),
            exchanges: Marked::new(rest.exchanges),
            record: Marked::new(record),
            unsaved: Unsaved::everything(),
            finished: None,
        };
        Revived::Call(Box::new(call), lost)
    }
}

/// What an image becomes.
pub(crate) enum Revived {
    /// A call; true if something it needs could not be had again.
    Call(Box<Call>, bool),
    /// No call can be made of it, but its record can be written.
    Record(Box<Record>),
    /// Nothing.
    Unreadable,
}

/// What [`Call::put_rest`] writes.
struct CallRest {
    legs: usize,
    media: Option<Media>,
    did_call: Option<DidCall>,
    exchanges: Vec<Exchange>,
    /// Something could not be had again.
    lost: bool,
}

impl CallRest {
    /// How many legs there are, which stands first.
    fn legs_of(from: &mut Reader<'_>) -> Option<usize> {
        from.get()
    }

    fn read(from: &mut Reader<'_>) -> Option<CallRest> {
        Some(CallRest {
            legs: CallRest::legs_of(from)?,
            media: from.get()?,
            did_call: from.get()?,
            exchanges: from.get()?,
            lost: from.lost,
        })
    }
}
