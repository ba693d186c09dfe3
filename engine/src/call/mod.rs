//! The call, split by phase: admit → dial → early → answer → talk → release.

mod compose;
mod image;
mod leg;
mod media;
mod phase;
mod record;
mod reliable;
mod session;

use std::sync::Arc;

use crate::arena::Handle;
use crate::cause::Cause;
use crate::cdr::EndedBy;
use crate::hunt::Hunt;
use crate::id::CallId;
use crate::journal::Marked;
use crate::media::Side;
use crate::route::{CallerSide, DiversionReason, ExtensionIx, TrunkIx};
use crate::sip::dialog::SessionIds;
use crate::sip::transaction::{ClientHandle, Owner, ServerHandle};
use crate::timer::{CallTimer, TimerKey};
use crate::usage::{DidCall, Routing};
use crate::wheel::TimerId;

pub(crate) use compose::{Answer, SDP, allow, answer, finish, supported};
pub(crate) use image::Revived;
#[cfg(debug_assertions)]
pub(crate) use image::{PENDING, RECORD, state_of};
pub(crate) use leg::{Leg, LegState};
pub(crate) use media::Media;
pub(crate) use phase::{Begin, Referred, Replaced, end_orphan};
use phase::{Hop, Redirected, Ways};
pub(crate) use record::{EndNote, Record};
use reliable::Progress;
pub(crate) use session::{Ask, Grant};

/// Names a call.
pub(crate) type CallHandle = Handle<Call>;

/// Position of the caller's leg.
pub(crate) const A: u16 = 0;

/// Where a call came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A trunk known by its address, its certificate or its password.
    Trunk(TrunkIx),
    /// A phone that proved its password.
    Extension(ExtensionIx),
}

/// One call: the caller's leg and those it was forwarded to.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) handle: CallHandle,
    /// The provisioning it began with, and keeps.
    routing: Arc<Routing>,
    source: Source,
    /// `legs[0]` is the caller's.
    legs: Vec<Leg>,
    phase: Marked<Phase>,
    media: Marked<Option<Media>>,
    did_call: Marked<Option<DidCall>>,
    /// Requests of ours within its dialogs that have no answer yet.
    exchanges: Marked<Vec<Exchange>>,
    record: Marked<Box<Record>>,
    unsaved: image::Unsaved,
    /// Its CDR, until the journal has it.
    finished: Option<crate::journal::Record>,
}

/// What a call is doing.
#[derive(Debug)]
enum Phase {
    /// Callees ring.
    Dialling(Box<Dialling>),
    /// Two sides are connected.
    Talking(Talking),
    /// Over; legs may wait for last answers.
    Ended,
}

/// The state of a hunt.
#[derive(Debug)]
struct Dialling {
    hunt: Marked<Hunt>,
    /// The caller's SDP, rewritten for the callees; none for a late offer.
    offer: Option<Arc<[u8]>>,
    /// The side of the relay that the callees are on.
    onto: Side,
    /// `o=` of the offer.
    origin_id: u64,
    /// Header lines that pass to callees.
    passed: Box<[u8]>,
    max_forwards: u8,
    /// The caller's Session-ID, for callees that get one.
    session: SessionIds,
    /// What the caller's side said of itself.
    side: CallerSide,
    /// The sub-address that a phone of ours dialled behind the number (`;isub=7`), or nothing.
    tail: String,
    /// Why the hunt has moved on, for Diversion.
    reason: DiversionReason,
    /// The best failure so far, and its status.
    best: Option<(u16, Cause, Option<u8>)>,
    /// The callee whose early media the caller hears.
    early: Option<u16>,
    /// What the caller was last told of the callees.
    progress: Option<Progress>,
    /// Answers that wait until the caller has acknowledged a description (RFC 3262 3): leg and
    /// message.
    held: Vec<(u16, Box<[u8]>)>,
    /// The Q.850 cause that the branch which fails now has given itself.
    given: Option<u8>,
    /// Names being looked up: question, step and branch.
    resolving: Vec<(u64, u16, u16)>,
    /// Branches that wait for their delay.
    launches: Vec<Option<TimerId>>,
    /// What is left to be tried, by branch.
    ways: Vec<Ways>,
    /// Where callees have sent branches on to.
    redirected: Vec<Redirected>,
}

impl Dialling {
    /// A hunt of which nobody has heard yet, for callees on this side of the relay.
    fn begin(hunt: Hunt, onto: Side, origin_id: u64, session: SessionIds) -> Dialling {
        Dialling {
            hunt: Marked::new(hunt),
            offer: None,
            onto,
            origin_id,
            passed: Box::from([]),
            max_forwards: MAX_FORWARDS,
            session,
            side: CallerSide::default(),
            tail: String::new(),
            reason: DiversionReason::Unconditional,
            best: None,
            early: None,
            progress: None,
            held: Vec::new(),
            given: None,
            resolving: Vec::new(),
            launches: Vec::new(),
            ways: Vec::new(),
            redirected: Vec::new(),
        }
    }
}

/// The state of a conversation.
#[derive(Debug)]
struct Talking {
    /// The two legs that are connected: first the one on the caller's side of the relay.
    pair: (u16, u16),
    /// Somebody is being rung who shall take the place of one of them.
    transfer: Option<Box<Transfer>>,
    /// Waits before legs are offered their new partners' descriptions once more.
    rejoins: Vec<Option<TimerId>>,
}

/// A transfer while its target rings.
#[derive(Debug)]
struct Transfer {
    /// Whose place is taken. It may have hung up already.
    by: u16,
    /// Who stays.
    kept: u16,
    /// The REFER that asked for it, by its CSeq number (RFC 3515 2.4.6); none when an operator
    /// did.
    refer: Option<u32>,
    /// The last status that the transferor was told.
    told: u16,
    /// Like a new call: the target may be a group.
    dialling: Dialling,
}

/// A request of ours within a dialog: one side's that was passed to the other, or our own.
#[derive(Debug)]
struct Exchange {
    purpose: Purpose,
    /// The leg that was asked.
    to: u16,
    client: ClientHandle,
    /// What it was asked, and under which CSeq number.
    far: Far,
    far_seq: u32,
    /// The offer as it came: it holds only once it is answered (RFC 6141).
    offer: Box<[u8]>,
    /// The offer as it went on.
    told: Option<Arc<[u8]>>,
}

/// Why we ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The other side asked.
    Passed(Asked),
    /// To renew the session of the leg; with the Min-SE that a 422 named.
    Renewal(Option<u32>),
    /// It has another partner now, whose description it is offered; then its answer is offered
    /// to that partner, if one is named.
    Rejoin(Option<u16>),
}

/// A request of a peer that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    leg: u16,
    server: ServerHandle,
    /// Its CSeq number.
    seq: u32,
    near: Near,
    session: Ask,
}

/// What the near side sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Near {
    Invite,
    Update,
    Prack,
    /// A request without an offer: INFO, MESSAGE.
    Other,
}

/// What the far side is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Far {
    Invite(OfferIn),
    Update,
    Other,
}

/// Where the offer of an INVITE is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OfferIn {
    Request,
    Answer,
}

/// Requests passed across at the same time; more are refused with 491.
const MAX_EXCHANGES: usize = 4;
/// RFC 3261 8.1.1.6: hops of a request that names none.
const MAX_FORWARDS: u8 = 70;
/// Legs of one call, failed ones included: one caller must not become a flood.
const MAX_LEGS: usize = 256;

impl Call {
    fn leg(&self, at: u16) -> &Leg {
        &self.legs[usize::from(at)]
    }

    /// Has the leg written into the journal before this step's messages leave.
    fn leg_mut(&mut self, at: u16) -> &mut Leg {
        self.unsaved.any = true;
        let leg = &mut self.legs[usize::from(at)];
        leg.touched();
        leg
    }

    /// Has the call written into the journal though no leg has changed.
    fn touch(&mut self) {
        self.unsaved.any = true;
    }

    /// The leg with this number, if there is one: numbers come from tags that peers send.
    pub(crate) fn has_leg(&self, at: u16) -> bool {
        usize::from(at) < self.legs.len()
    }

    pub(crate) fn dialog(&self, at: u16) -> &crate::sip::dialog::Dialog {
        &self.leg(at).dialog
    }

    fn owner(&self, leg: u16) -> Owner {
        Owner { call: self.handle.to_bits(), leg }
    }

    fn timer(&self, timer: CallTimer) -> TimerKey {
        TimerKey::Call(self.handle.to_bits(), timer)
    }

    /// The other side of a conversation.
    fn other(&self, leg: u16) -> Option<u16> {
        let (a, b) = self.pair()?;
        let other = match leg {
            leg if leg == a => b,
            leg if leg == b => a,
            _ => return None,
        };
        // A transferor that has left is nobody to talk to while its target rings.
        let left = self.transfer().is_some_and(|transfer| transfer.by == other)
            && self.leg(other).state != LegState::Up;
        (!left).then_some(other)
    }

    /// The hunt that is going on: of the call itself, or of a transfer.
    fn dialling(&self) -> Option<&Dialling> {
        match &*self.phase {
            Phase::Dialling(dialling) => Some(dialling),
            Phase::Talking(talking) => talking.transfer.as_ref().map(|one| &one.dialling),
            Phase::Ended => None,
        }
    }

    /// [`Call::dialling`], to be changed.
    fn dialling_mut(&mut self) -> Option<&mut Dialling> {
        self.touch();
        match &mut *self.phase {
            Phase::Dialling(dialling) => Some(dialling),
            Phase::Talking(talking) => talking.transfer.as_mut().map(|one| &mut one.dialling),
            Phase::Ended => None,
        }
    }

    /// The transfer that is going on.
    fn transfer(&self) -> Option<&Transfer> {
        match &*self.phase {
            Phase::Talking(talking) => talking.transfer.as_deref(),
            Phase::Dialling(_) | Phase::Ended => None,
        }
    }

    /// The two legs that are connected.
    fn pair(&self) -> Option<(u16, u16)> {
        match &*self.phase {
            Phase::Talking(talking) => Some(talking.pair),
            Phase::Dialling(_) | Phase::Ended => None,
        }
    }

    /// Whose side of the call a leg is on.
    fn side_of(&self, leg: u16) -> EndedBy {
        match self.leg(leg).side {
            Side::A => EndedBy::Caller,
            Side::B => EndedBy::Callee,
        }
    }

    /// Every leg and the record are done: the call can be forgotten.
    pub(crate) fn is_over(&self) -> bool {
        matches!(*self.phase, Phase::Ended)
            && self.record.written
            && self.legs.iter().all(|leg| leg.state == LegState::Gone)
    }

    /// An operator or the end of the process ends it.
    pub(crate) fn hang_up(&mut self, core: &mut crate::core::Core, cause: Cause) {
        self.end(core, cause, EndedBy::System, None);
    }
}
