//! A call in the journal.
//!
//! Its image has a part for the call itself and two for each leg: the leg, and what is large and
//! never changes of the INVITE that made it. Whatever touches a leg has the call written again
//! before a message of that step leaves; what has not been touched since is left out.

#[cfg(debug_assertions)]
mod essence;

#[cfg(debug_assertions)]
pub(crate) use essence::RECORD;

use crate::core::Core;
use crate::id::Key;
use crate::journal::{Image, Parts, Pen, Reader, begin_call, image};
use crate::route::{CallerSide, DiversionReason, Redirection, TrunkIx};
use crate::sip::transaction::{
    ServerHandle, get_client, get_server, put_client, put_large_of_client, put_large_of_server,
    put_server,
};
use crate::usage::DidCall;

use super::leg::{Abilities, Invite, PendingOk, Place, SessionTimer};
use super::media::Media;
use super::record::{Answered, End, Record};
use super::reliable::{Early, Progress, Reliable, Unacknowledged};
use super::session::Terms;
use super::{
    Asked, Call, CallHandle, Dialling, Exchange, Far, Leg, LegState, MAX_LEGS, Near, OfferIn,
    Phase, Purpose, Source, Talking, Transfer,
};

/// The part of the call itself.
const CALL: u64 = 0;

/// The part of a leg.
fn leg_part(leg: usize) -> u64 {
    1 + 3 * leg as u64
}

/// The part of what is large in it.
fn large_part(leg: usize) -> u64 {
    2 + 3 * leg as u64
}

/// The part of its peer's description that both sides agreed to: large too, and seldom changed.
/// Older journals have ours in it as well.
fn described_part(leg: usize) -> u64 {
    3 + 3 * leg as u64
}

/// Beyond the parts of [`MAX_LEGS`] legs.
const FURTHER: u64 = 1 << 14;

/// The part of its dialog, but for the CSeq numbers.
fn dialog_part(leg: usize) -> u64 {
    FURTHER + 2 * leg as u64
}

/// The part of our description to its peer.
fn told_part(leg: usize) -> u64 {
    FURTHER + 1 + 2 * leg as u64
}

const _: () = assert!(3 + 3 * (MAX_LEGS as u64) < FURTHER, "parts have numbers of their own");

/// What of a call has changed since its last image.
#[derive(Debug)]
pub(super) struct Unsaved {
    /// Anything at all.
    pub(super) any: bool,
    /// The part of each leg.
    pub(super) legs: Vec<bool>,
    /// Legs whose large part has been written.
    large: usize,
    /// The edition of each leg's dialog that has been written.
    dialogs: Vec<u32>,
    /// Legs whose peers agreed to another description; none: all of them.
    described: Option<Vec<u16>>,
    /// Legs whose peers were told another one.
    told: Option<Vec<u16>>,
}

impl Unsaved {
    /// Of a call that was never written.
    pub(super) fn everything() -> Unsaved {
        let (legs, dialogs) = (Vec::new(), Vec::new());
        Unsaved { any: true, legs, large: 0, dialogs, described: None, told: None }
    }

    /// What a leg agreed to has changed: what its peer described, what it was told.
    pub(super) fn agreed(&mut self, at: u16, (described, told): (bool, bool)) {
        if described {
            self.described.iter_mut().for_each(|legs| legs.push(at));
        }
        if told {
            self.told.iter_mut().for_each(|legs| legs.push(at));
        }
    }

    /// What is large in a leg has changed: its INVITE went once more.
    pub(super) fn renew(&mut self, at: u16) {
        self.large = self.large.min(usize::from(at));
    }

    pub(super) fn leg(&mut self, at: u16) {
        self.any = true;
        let at = usize::from(at);
        if self.legs.len() <= at {
            self.legs.resize(at + 1, true);
        }
        self.legs[at] = true;
    }
}

image!(enum LegState { 0 = Calling, 1 = Cancelling, 2 = Up, 3 = Leaving, 4 = Gone });
image!(enum Invite { 0 = Received(server), 1 = Sent(client) });
image!(struct Place { step, branch, attempt });
image!(struct PendingOk { server, seq, bytes, interval, resend, over, answer_to });
image!(struct Leg {
    dialog, state, invite, channel, pending_ok, owed_ack, last_ack, origin_id, origin_version, nat,
    sends, timer, bye_owed, place, ringing, record, strays, side, policy, can, invite_seq, wish,
    session, early, heard, reliable, phone, left_at, replaces,
} later { trunk, bye_until, prack_due } not {
    sent_by = None, hop = None, served = Vec::new(), asked = Vec::new(), probe = None, invite_sent = None, bye = None,
    described = Box::from([]), told = None,
});
image!(struct Abilities { update });
image!(struct SessionTimer { terms, timer, over });
image!(struct Terms { expires, ours });
image!(struct Progress { status, sdp, extra });
image!(struct Reliable { rseq, waiting, queue, answered });
image!(struct Unacknowledged { rseq, bytes, sdp, interval, resend, over });
image!(struct Early { tag, dialog, rseq, answer, agreed });
image!(struct Answered { at, mono, leg });
image!(struct End { at, duration, result, sip_status, q850_cause, ended_by });
image!(struct Record {
    direction, did, customer, caller, trunk_in, started_at, ringing_at, answered, end, media,
    written,
} not { unheard = None });
image!(enum DiversionReason {
    0 = Unconditional, 1 = UserBusy, 2 = NoAnswer, 3 = Unavailable, 4 = Unknown, 5 = Deflection,
    6 = TimeOfDay, 7 = DoNotDisturb, 8 = FollowMe, 9 = OutOfService, 10 = Away,
});
image!(struct Redirection { number, reason, counter, private } later { status });
image!(struct CallerSide { display, network, redirections, own });
image!(struct Dialling {
    hunt, offer, onto, origin_id, passed, max_forwards, session, side, tail, reason, best, early,
    progress, held, given, resolving,
} later { launches, redirected } not { ways = Vec::new() });
image!(enum OfferIn { 0 = Request, 1 = Answer });
image!(enum Near { 0 = Invite, 1 = Update, 2 = Prack, 3 = Other });
image!(enum Far { 0 = Invite(offer), 1 = Update, 2 = Other });
image!(struct Asked { leg, server, seq, near, session });
image!(enum Purpose { 0 = Passed(asked), 1 = Renewal(min_se), 2 = Rejoin(then) });
image!(struct Exchange { purpose, to, client, far, far_seq, offer, told });
image!(struct Transfer { by, kept, refer, told, dialling });
image!(struct Talking { pair, transfer } later { rejoins });
image!(enum Phase { 0 = Dialling(dialling), 1 = Talking(talking), 2 = Ended });

/// The trunk of a leg, by key. Reading fails when it has been taken away meanwhile.
impl Image for TrunkIx {
    fn write(&self, pen: &mut Pen<'_>) {
        let Some(snapshot) = pen.snapshot else { return };
        pen.put(&snapshot.trunk(*self).key);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let key: Key = from.get()?;
        from.core.as_ref()?.routing.snapshot.trunk_of_key(&key)
    }
}

/// Whom the call came from, by key. Reading fails when the trunk or the phone has been taken
/// away meanwhile.
impl Image for Source {
    fn write(&self, pen: &mut Pen<'_>) {
        let Some(snapshot) = pen.snapshot else { return };
        let (kind, key) = match self {
            Source::Trunk(at) => (0, &snapshot.trunk(*at).key),
            Source::Extension(at) => (1, &snapshot.extension(*at).user),
        };
        pen.byte(kind);
        pen.put(key);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (kind, key): (_, Key) = (from.byte()?, from.get()?);
        let snapshot = &from.core.as_ref()?.routing.snapshot;
        match kind {
            0 => snapshot.trunk_of_key(&key).map(Source::Trunk),
            1 => snapshot.extension_of_user(key.as_str()).map(Source::Extension),
            _ => None,
        }
    }
}

/// Reading takes the same ports again.
impl Image for Media {
    fn write(&self, pen: &mut Pen<'_>) {
        let Media { session, a, b, watched: _, remotes } = self;
        pen.put(session);
        pen.put(a);
        pen.put(b);
        pen.put(&remotes[0]);
        pen.put(&remotes[1]);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (session, a, b) = (from.get()?, from.get()?, from.get()?);
        let remotes = [from.get()?, from.get()?];
        let core = from.core.as_mut()?;
        core.keep_session(session);
        if !core.ports.reserve(a) {
            from.lost = true;
        } else if !core.ports.reserve(b) {
            let now = core.io.now.mono;
            core.ports.give_back(a, now);
            from.lost = true;
        }
        Some(Media { session, a, b, watched: false, remotes })
    }
}

impl Call {
    /// The record for the journal, if something has changed since the last one. It is written on
    /// `page`, which comes back empty or not, for the next one.
    pub(crate) fn save(&mut self, core: &Core, page: &mut Vec<u8>) -> Option<Box<[u8]>> {
        if !std::mem::replace(&mut self.unsaved.any, false) {
            return None;
        }
        let cdr = self.finished.take();
        let mut pen = Pen::of(core, &self.routing.snapshot, std::mem::take(page));
        begin_call(&mut pen, self.id, core.io.now, cdr.as_deref());
        pen.number(CALL);
        pen.framed(|pen| self.put_call(pen));
        let known = self.unsaved.dialogs.len();
        for (at, leg) in self.legs.iter().enumerate() {
            if self.unsaved.legs.get(at).copied().unwrap_or(true) {
                if self.unsaved.dialogs.get(at) != Some(&leg.dialog.edition) {
                    pen.number(dialog_part(at));
                    pen.framed(|pen| pen.put(&leg.dialog));
                }
                pen.number(leg_part(at));
                pen.framed(|pen| put_leg(leg, pen));
            }
            if at >= self.unsaved.large && leg.state != LegState::Gone {
                pen.number(large_part(at));
                pen.framed(|pen| match leg.invite {
                    Invite::Received(server) => put_large_of_server(server, pen),
                    Invite::Sent(client) => put_large_of_client(client, pen),
                });
            }
            let new = |legs: &Option<Vec<u16>>| {
                at >= known || legs.as_ref().is_none_or(|legs| legs.contains(&(at as u16)))
            };
            if new(&self.unsaved.described) {
                pen.number(described_part(at));
                pen.framed(|pen| pen.put(&leg.described));
            }
            if new(&self.unsaved.told) {
                pen.number(told_part(at));
                pen.framed(|pen| pen.put(&leg.told));
            }
        }
        self.unsaved.dialogs.clear();
        self.unsaved.dialogs.extend(self.legs.iter().map(|leg| leg.dialog.edition));
        self.unsaved.legs.clear();
        self.unsaved.legs.resize(self.legs.len(), false);
        self.unsaved.large = self.legs.len();
        self.unsaved.described = Some(Vec::new());
        self.unsaved.told = Some(Vec::new());
        *page = pen.out;
        Some(page.as_slice().into())
    }

    /// The transactions of the INVITEs that it was given, and of other requests whose answers
    /// must not change.
    pub(crate) fn servers(&self) -> Vec<ServerHandle> {
        let invites = self.legs.iter().filter_map(|leg| match leg.invite {
            Invite::Received(server) => Some(server),
            Invite::Sent(_) => None,
        });
        invites.chain(self.legs.iter().flat_map(|leg| leg.served.iter().copied())).collect()
    }

    /// Has the whole call written again, not only what changes.
    pub(crate) fn forget_saved(&mut self) {
        self.unsaved = Unsaved::everything();
    }

    fn put_call(&self, pen: &mut Pen<'_>) {
        let Call {
            id: _,
            handle,
            routing: _,
            source,
            legs,
            phase,
            media,
            did_call,
            exchanges,
            record,
            unsaved: _,
            finished: _,
        } = self;
        // First of all, so that the record can be had when all else cannot.
        pen.put(record);
        pen.put(handle);
        pen.put(source);
        pen.put(phase);
        pen.number(legs.len() as u64);
        // Given back at the end.
        let held = media.as_ref().filter(|_| record.end.is_none());
        pen.byte(u8::from(held.is_some()));
        if let Some(media) = held {
            pen.put(media);
        }
        pen.put(did_call);
        pen.put(exchanges);
    }

    /// Reads a call, and takes everything again that it had.
    pub(crate) fn revive(core: &mut Core, id: crate::id::CallId, parts: &Parts) -> Revived {
        let Some(bytes) = parts.by_number.get(&CALL) else { return Revived::Unreadable };
        let routing = core.routing.clone();
        let mut from = Reader::of(bytes, Some(core));
        let Some(record) = from.get::<Box<Record>>() else { return Revived::Unreadable };
        let Some(rest) = CallRest::read(&mut from) else { return Revived::Record(record) };
        let mut lost = from.lost;
        let mut legs = Vec::new();
        for at in 0..rest.legs {
            let part = |number| parts.by_number.get(&number).map_or(&[][..], |bytes| bytes);
            let mut from = Reader::of(part(leg_part(at)), Some(core));
            from.large = part(large_part(at));
            from.dialog = part(dialog_part(at));
            let Some(mut leg) = get_leg(&mut from) else {
                lost = true;
                continue;
            };
            let mut from = Reader::of(part(described_part(at)), None);
            leg.described = from.get().unwrap_or_default();
            leg.told = from.get().unwrap_or_default();
            if let Some(told) = Reader::of(part(told_part(at)), None).get() {
                leg.told = told;
            }
            legs.push(leg);
        }
        if legs.len() != rest.legs {
            return Revived::Record(record);
        }
        let call = Call {
            id,
            handle: rest.handle,
            routing,
            source: rest.source,
            legs,
            phase: rest.phase,
            media: rest.media,
            did_call: rest.did_call,
            exchanges: rest.exchanges,
            record,
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

/// The part of the call after its record.
struct CallRest {
    handle: CallHandle,
    source: Source,
    phase: Phase,
    legs: usize,
    media: Option<Media>,
    did_call: Option<DidCall>,
    exchanges: Vec<Exchange>,
}

impl CallRest {
    fn read(from: &mut Reader<'_>) -> Option<CallRest> {
        Some(CallRest {
            handle: from.get()?,
            source: from.get()?,
            phase: from.get()?,
            legs: from.get()?,
            media: from.get()?,
            did_call: from.get()?,
            exchanges: from.get()?,
        })
    }
}

fn put_leg(leg: &Leg, pen: &mut Pen<'_>) {
    pen.brief = true;
    pen.put(leg);
    match leg.invite {
        Invite::Received(server) => {
            pen.lean = true;
            put_server(server, pen);
        }
        // Of a leg that is gone nothing is acknowledged or cancelled any more.
        Invite::Sent(_) if leg.state == LegState::Gone => {}
        Invite::Sent(client) => {
            pen.lean = true;
            put_client(client, pen);
        }
    }
    pen.lean = false;
    pen.number(leg.served.len() as u64);
    for server in &leg.served {
        put_server(*server, pen);
    }
    pen.number(leg.asked.len() as u64);
    for client in &leg.asked {
        put_client(*client, pen);
    }
}

fn get_leg(from: &mut Reader<'_>) -> Option<Leg> {
    let mut leg: Leg = from.get()?;
    match leg.invite {
        Invite::Received(_) => {
            get_server(from)?;
        }
        Invite::Sent(_) if leg.state == LegState::Gone => {}
        Invite::Sent(_) => {
            let client = get_client(from)?;
            leg.invite_sent = from.core.as_ref()?.transactions.sent(client);
        }
    }
    for _ in 0..from.number()? {
        leg.served.push(get_server(from)?);
    }
    for _ in 0..from.number()? {
        leg.asked.push(get_client(from)?);
    }
    Some(leg)
}
