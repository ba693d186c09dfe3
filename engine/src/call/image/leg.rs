//! The parts of a leg.

use std::sync::Arc;

use crate::call::leg::{Abilities, Invite, Place};
use crate::call::session::Ask;
use crate::call::{Leg, LegState};
use crate::cdr::CdrLeg;
use crate::core::Core;
use crate::journal::{Marked, Names, Parts, Pen, Reader, Usual, image, sparse};
use crate::route::DialogPolicy;
use crate::sip::dialog::Dialog;
use crate::sip::transaction::{
    ServerHandle, Stage, get_client, get_server, put_client, put_large_of_client,
    put_large_of_server, put_server,
};

use super::values::offer_of;
use super::{PLAN, Part, outcome_of};

/// What of a leg the journal has.
#[derive(Debug, Default)]
pub(in crate::call) struct Saved {
    /// How it stands.
    pub(super) state: bool,
    /// Its nature, and what is large of its INVITE.
    pub(super) invite: bool,
    /// The edition of its dialog.
    dialog: Option<u32>,
    /// How far the transaction of its INVITE was.
    stage: Option<Stage>,
    /// What its peer described.
    pub(super) described: bool,
    /// What its peer was told.
    pub(super) told: bool,
}

impl Leg {
    /// Whether the journal has it as it is.
    pub(super) fn is_saved(&self) -> bool {
        let Saved { state, invite, dialog, stage: _, described, told } = self.saved;
        state && invite && described && told && dialog == Some(self.dialog.edition)
    }

    /// Whether its answers, all that is asked for again of a leg that has ended, are in the
    /// journal as they are.
    pub(super) fn leaves_nothing_new(&self) -> bool {
        let answered = match self.invite {
            Invite::Received(_) => self.saved.stage.as_ref().is_some_and(Stage::is_settled),
            Invite::Sent(_) => true,
        };
        self.served.is_empty() && (self.saved.state || answered)
    }

    /// Whether the journal knows how it stands.
    pub(in crate::call) fn is_known(&self) -> bool {
        self.saved.state
    }

    /// What it agreed to has changed: what its peer described, what it was told.
    pub(in crate::call) fn agreed(&mut self, (described, told): (bool, bool)) {
        self.saved.described &= !described;
        self.saved.told &= !told;
    }

    /// Its INVITE went once more.
    pub(in crate::call) fn renewed(&mut self) {
        (self.saved.invite, self.saved.state) = (false, false);
    }

    /// How it stands has changed.
    pub(in crate::call) fn touched(&mut self) {
        self.saved.state = false;
    }
}

// What never changes of a leg, as long as its INVITE is the same.
sparse!(Leg as put_terms, get_terms {
    0 = trunk, 1 = phone, 2 = nat, 3 = place, 4 = policy, 5 = wish,
} not {
    invite, origin_id, side, invite_seq, dialog, state, channel, pending_ok, owed_ack, last_ack,
    origin_version, sends, timer, bye_owed, sent_by, hop, ringing, record, strays, served, asked,
    probe, can, invite_sent, described, told, session, early, heard, reliable, prack_due, bye,
    bye_until, left_at, replaces, saved,
});
// What of its part of the record is known when it is dialled.
image!(struct CdrLeg as put_attempt, get_attempt {
    destination, trunk_out, dialled, presented, started_at,
} not {
    ringing_at = None, answered_at = None, ended_at = started_at, sip_status = 0, q850_cause = 0,
    media = None,
});
sparse!(CdrLeg as put_outcome, get_outcome {
    0 = ringing_at, 1 = answered_at, 2 = ended_at, 3 = sip_status, 4 = q850_cause, 5 = media,
} not { destination, trunk_out, dialled, presented, started_at });
// The state and the CSeq numbers of the dialog stand before these.
sparse!(Leg as put_further, get_further {
    0 = channel, 1 = pending_ok, 2 = owed_ack, 3 = last_ack, 4 = origin_version, 5 = sends,
    6 = timer, 7 = bye_owed, 8 = ringing, 9 = replaces, 10 = strays, 11 = can, 12 = session,
    13 = early, 14 = heard, 15 = reliable, 16 = prack_due, 17 = bye_until, 18 = left_at,
} not {
    dialog, state, record, invite, trunk, phone, origin_id, nat, place, side, policy, invite_seq, wish,
    described, told, served, asked, sent_by, hop, probe, invite_sent, bye, saved,
});

/// What the peer was told is the offer of the call's plan.
const OFFER: u8 = 2;
/// Its part of the record has a part of its own; a former release wrote it here.
const APART: u8 = 2;

macro_rules! usual {
    ($($type:ty),*) => { $(
        impl Usual for $type {
            fn is_usual(&self) -> bool {
                *self == <$type>::default()
            }
        }
    )* };
}

usual!(Abilities, Ask, DialogPolicy, Place);

/// Writes the parts of a leg that are not as the journal has them.
/// `offer` is that of the call's plan, which the journal has.
pub(super) fn save(
    leg: &mut Leg,
    at: usize,
    offer: Option<&Arc<[u8]>>,
    pen: &mut Pen,
    names: &Names<'_>,
) {
    let renewed = !std::mem::replace(&mut leg.saved.invite, true);
    let own = names.snapshot.zip(leg.trunk).map(|(snapshot, at)| &snapshot.trunk(at).key);
    let names = &Names { own, ..*names };
    if renewed {
        pen.part(Part::Nature.of(at), |pen| put_nature(leg, pen, names));
        if leg.state != LegState::Gone {
            pen.part(Part::Large.of(at), |pen| match leg.invite {
                Invite::Received(server) => put_large_of_server(server, pen, names),
                Invite::Sent(client) => put_large_of_client(client, pen, names),
            });
        }
    }
    if renewed {
        pen.part(Part::Dialog.of(at), |pen| leg.dialog.put_ours(pen, names));
    }
    if leg.saved.dialog.replace(leg.dialog.edition) != Some(leg.dialog.edition) {
        pen.part(Part::Peer.of(at), |pen| leg.dialog.put_peer(pen, names));
    }
    if !std::mem::replace(&mut leg.saved.state, true) {
        let settled = !renewed && leg.saved.stage.as_ref().is_some_and(Stage::is_settled);
        let moved_on = leg.keeps_transaction()
            && !settled
            && names.core.is_some_and(|core| match leg.invite {
                Invite::Received(at) => {
                    Stage::of_server(&mut leg.saved.stage, at, &core.transactions)
                }
                Invite::Sent(at) => Stage::of_client(&mut leg.saved.stage, at, &core.transactions),
            });
        if moved_on || (renewed && leg.keeps_transaction()) {
            pen.part(Part::Transaction.of(at), |pen| put_transaction(leg, pen, names));
        }
        pen.part(Part::State.of(at), |pen| put_state(leg, pen, names));
        if (renewed || Marked::changed(&leg.record)) && leg.record.is_some() {
            pen.part(outcome_of(at), |pen| put_outcome(leg, pen, names));
            Marked::saved(&mut leg.record);
        }
    }
    if !std::mem::replace(&mut leg.saved.described, true) {
        pen.part(Part::Described.of(at), |pen| pen.put(&leg.described, names));
    }
    if !std::mem::replace(&mut leg.saved.told, true) {
        pen.part(Part::Told.of(at), |pen| match &leg.told {
            // It stands in another part already.
            Some(told) if offer.is_some_and(|offer| Arc::ptr_eq(told, offer)) => pen.byte(OFFER),
            told => pen.put(told, names),
        });
    }
}

pub(super) fn put_nature(leg: &Leg, pen: &mut Pen, names: &Names<'_>) {
    pen.put(&leg.invite, names);
    pen.put(&leg.origin_id, names);
    pen.put(&leg.side, names);
    pen.put(&leg.invite_seq, names);
    leg.put_terms(pen, names);
    put_attempt(leg, pen, names);
}

/// What of its part of the record is known when it is dialled, at the end of its nature.
pub(super) fn put_attempt(leg: &Leg, pen: &mut Pen, names: &Names<'_>) {
    let record = leg.record.as_deref().filter(|_| !names.essence);
    pen.byte(u8::from(record.is_some()));
    if let Some(record) = record {
        record.put_attempt(pen, names);
    }
}

/// What came of it.
pub(super) fn put_outcome(leg: &Leg, pen: &mut Pen, names: &Names<'_>) {
    if let Some(record) = &*leg.record {
        record.put_outcome(pen, names);
    }
}

/// A leg with what [`put_nature`] has written.
fn get_nature(dialog: Dialog, from: &mut Reader<'_>) -> Option<Leg> {
    let (invite, origin_id) = (from.get()?, from.get()?);
    let mut leg = Leg::new(dialog, invite, origin_id, false, DialogPolicy::default());
    leg.side = from.get()?;
    leg.invite_seq = from.get()?;
    leg.get_terms(from)?;
    if from.get()? {
        leg.record = Marked::new(Some(Box::new(CdrLeg::get_attempt(from)?)));
    }
    Some(leg)
}

pub(super) fn put_state(leg: &Leg, pen: &mut Pen, names: &Names<'_>) {
    pen.put(&leg.state, names);
    pen.put(&leg.dialog.local_seq, names);
    pen.put(&leg.dialog.remote_seq, names);
    leg.put_further(pen, names);
    pen.byte(if leg.record.is_some() && !names.essence { APART } else { 0 });
    pen.count(leg.served.len());
    for server in &leg.served {
        pen.look();
        put_server(*server, pen, names);
    }
    pen.count(leg.asked.len());
    for client in &leg.asked {
        pen.look();
        put_client(*client, pen, names);
    }
}

pub(super) fn put_transaction(leg: &Leg, pen: &mut Pen, names: &Names<'_>) {
    let names = &Names { lean: true, ..*names };
    match leg.invite {
        Invite::Received(server) => put_server(server, pen, names),
        Invite::Sent(client) => put_client(client, pen, names),
    }
}

impl Leg {
    /// Of a leg of ours that is gone nothing is acknowledged or cancelled any more.
    pub(super) fn keeps_transaction(&self) -> bool {
        matches!(self.invite, Invite::Received(_)) || self.state != LegState::Gone
    }
}

/// Puts the transaction of a leg's INVITE back in its place, if it was given one, and nothing else
/// of it.
pub(super) fn read_answers(core: &mut Core, parts: &Parts, at: usize) -> Option<ServerHandle> {
    let part = |part: Part| parts.of(part.of(at));
    let Invite::Received(_) = Reader::of(part(Part::Nature), None).get()? else { return None };
    let mut from = Reader::of(part(Part::Transaction), Some(core));
    from.large = part(Part::Large);
    get_server(&mut from)
}

/// Reads a leg, and puts its transactions back in their places.
pub(super) fn read(core: &mut Core, parts: &Parts, at: usize) -> Option<Leg> {
    let part = |part: Part| parts.of(part.of(at));
    let mut dialog = Dialog::get_ours(&mut Reader::of(part(Part::Dialog), Some(core)))?;
    dialog.get_peer(&mut Reader::of(part(Part::Peer), None))?;
    let mut leg = get_nature(dialog, &mut Reader::of(part(Part::Nature), Some(core)))?;
    let own = leg.trunk.map(|at| core.routing.snapshot.trunk(at).key.clone());
    let mut from = Reader::of(part(Part::State), Some(core));
    (from.dialog, from.own) = (part(Part::Dialog), own);
    leg.state = from.get()?;
    leg.dialog.local_seq = from.get()?;
    leg.dialog.remote_seq = from.get()?;
    leg.get_further(&mut from)?;
    match (from.byte()?, &mut *leg.record) {
        (0, record) => *record = None,
        (1, record) => record.as_mut()?.get_outcome(&mut from)?,
        (APART, record) => {
            let mut from = Reader::of(parts.of(outcome_of(at)), None);
            record.as_mut()?.get_outcome(&mut from)?;
        }
        _ => return None,
    }
    for _ in 0..from.number()? {
        leg.served.push(get_server(&mut from)?);
    }
    for _ in 0..from.number()? {
        leg.asked.push(get_client(&mut from)?);
    }
    let confirmed = parts.confirmed.get(&(at as u16));
    if let Some(ok) = leg.pending_ok.take_if(|ok| confirmed == Some(&ok.seq)) {
        core.io.disarm(ok.resend);
        core.io.disarm(ok.over);
    }
    if leg.state == LegState::Gone {
        (leg.asked.iter()).for_each(|client| core.transactions.ended_with_its_dialog(*client));
    }
    if leg.keeps_transaction() {
        let mut from = Reader::of(part(Part::Transaction), Some(core));
        from.large = part(Part::Large);
        match leg.invite {
            Invite::Received(_) => {
                get_server(&mut from)?;
            }
            Invite::Sent(_) => {
                let client = get_client(&mut from)?;
                leg.invite_sent = core.transactions.sent(client);
            }
        }
    }
    leg.described = Reader::of(part(Part::Described), None).get().unwrap_or_default();
    leg.told = match part(Part::Told) {
        [OFFER] => offer_of(&mut Reader::of(parts.of(PLAN), Some(core))),
        told => Reader::of(told, None).get().unwrap_or_default(),
    };
    Some(leg)
}
