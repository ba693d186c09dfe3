//! Transfers: somebody new takes the place of one side of a conversation, by REFER of that side
//! (RFC 3515), by INVITE with Replaces (RFC 3891), or by an operator. The other side stays where
//! it is, and so do its ports: it hears of it by a re-INVITE with the new partner's description.
//!
//! The record stays one: the new side is a further leg of it, answered when it took the place and
//! ended with the call; the leg that left ended when it left.

use std::sync::Arc;
use std::time::Duration;

use crate::call::compose::{Answer, InDialog, answer, send, send_ack};
use crate::call::leg::Invite;
use crate::call::{
    A, Ask, Asked, Call, Dialling, Exchange, Far, Leg, LegState, MAX_FORWARDS, Near, OfferIn,
    Phase, Purpose, Source, Transfer, session,
};
use crate::cause::Cause;
use crate::cdr::{CdrLeg, EndedBy};
use crate::core::Core;
use crate::hunt::Hunt;
use crate::id::Key;
use crate::input::Flow;
use crate::route::{CallerSide, DialogPolicy, Snapshot, Step};
use crate::sdp::{Origin, Sdp, codec_in_common};
use crate::sip::dialog::SessionIds;
use crate::sip::syntax::{Message, reason_phrase};
use crate::sip::transaction::{CancelReason, ServerHandle};
use crate::timer::CallTimer;
use crate::wheel::TimerId;

use super::admit::received_dialog;
use super::offer::Asking;

/// A dialog that is busy with another offer is asked again after this long.
const BUSY: Duration = Duration::from_secs(2);

impl Call {
    /// Rings `steps`; whoever answers takes the place of `by`. The transferor learns how it goes
    /// under `refer`.
    pub(crate) fn begin_transfer(
        &mut self,
        core: &mut Core,
        by: u16,
        refer: Option<u32>,
        steps: Arc<[Step]>,
    ) -> Result<(), Cause> {
        let kept = self.other(by).ok_or(Cause::Failure)?;
        let (side, origin_id) = (self.leg(by).side, core.io.rng.next_u64() >> 1);
        let origin = Origin { id: origin_id, version: 1 };
        let offer = self.offer_of(core, kept, (side, origin))?;
        let session = SessionIds::made([core.io.rng.next_u64(), core.io.rng.next_u64()]);
        let dialling = Dialling {
            offer: Some(offer),
            max_forwards: MAX_FORWARDS - 1,
            side: CallerSide {
                own: matches!(self.source, Source::Extension(_)),
                ..CallerSide::default()
            },
            ..Dialling::begin(Hunt::new(steps), side, origin_id, session)
        };
        let transfer = Transfer { by, kept, refer, told: 100, dialling };
        let Phase::Talking(talking) = &mut *self.phase else { return Err(Cause::Failure) };
        talking.transfer = Some(Box::new(transfer));
        self.touch();
        self.notify(core, by, refer, (100, false));
        let Some(admitted) = self.admission() else { return Err(Cause::Failure) };
        let Some(dialling) = self.dialling_mut() else { return Err(Cause::Failure) };
        let next = dialling.hunt.begin();
        self.advance(core, next, &admitted);
        Ok(())
    }

    /// Tells a transferor how it stands (RFC 3515 2.4.4, RFC 3420).
    pub(crate) fn notify(
        &mut self,
        core: &mut Core,
        leg: u16,
        refer: Option<u32>,
        (status, over): (u16, bool),
    ) {
        let Some(refer) = refer.filter(|_| self.leg(leg).state == LegState::Up) else { return };
        let state = if over { "terminated;reason=noresource" } else { "active;expires=180" };
        let extra = format!("Event: refer;id={refer}\r\nSubscription-State: {state}\r\n");
        let body = format!("SIP/2.0 {status} {}\r\n", reason_phrase(status));
        let seq = self.leg_mut(leg).dialog.next_seq();
        let content = Some(("message/sipfrag;version=2.0", body.as_bytes()));
        let notify = InDialog { method: "NOTIFY", seq, extra: extra.as_bytes(), content };
        // Nobody waits for its answer: whoever does not listen misses nothing.
        let notify = send(core, &self.leg(leg).dialog, &notify, None);
        self.keep_asked(core, leg, notify);
    }

    /// A target rings, or lets itself be heard before it answers.
    pub(super) fn on_target_ringing(
        &mut self,
        core: &mut Core,
        leg: u16,
        status: u16,
        sdp: Option<&[u8]>,
    ) {
        let Phase::Talking(talking) = &mut *self.phase else { return };
        let Some(transfer) = &mut talking.transfer else { return };
        let news = std::mem::replace(&mut transfer.told, status) != status;
        let (by, refer) = (transfer.by, transfer.refer);
        let alone = self.legs[usize::from(by)].state != LegState::Up;
        if news {
            self.notify(core, by, refer, (status, false));
        }
        // Who waits alone hears the target; before that the transferor has the line.
        if let (Some(sdp), true) = (sdp, alone)
            && let Some(dialling) = self.dialling_mut()
            && *dialling.early.get_or_insert(leg) == leg
        {
            let _ = self.learn_remote(core, leg, sdp);
        }
    }

    /// The transferor hung up before the target answered: the other one waits for it.
    pub(super) fn transferor_left(&mut self, core: &mut Core, leg: u16) {
        self.leg_mut(leg).left_at = Some(core.io.now.wall);
        self.drop_exchanges(core, leg);
        let side = self.leg(leg).side;
        self.forget_remote(core, side);
        self.watch_silence(core);
    }

    /// Nobody took the transfer.
    pub(super) fn transfer_failed(&mut self, core: &mut Core, status: u16, cause: Cause) {
        let Phase::Talking(talking) = &mut *self.phase else { return };
        let Some(transfer) = talking.transfer.take() else { return };
        self.touch();
        self.notify(core, transfer.by, transfer.refer, (status, true));
        if self.leg(transfer.by).state != LegState::Up {
            // Nobody is left to talk with: neither side hung up on the other.
            self.end(core, cause, EndedBy::System, None);
        }
    }

    /// A target answered: it takes the place.
    pub(super) fn connect_transfer(
        &mut self,
        core: &mut Core,
        leg: u16,
        msg: &Message<'_>,
        body: &[u8],
    ) {
        let offer = self.dialling().and_then(|dialling| dialling.offer.clone());
        let fits = |offer: &[u8]| match (Sdp::parse(offer), Sdp::parse(body)) {
            (Ok(offer), Ok(answer)) => codec_in_common(&offer, &answer),
            _ => false,
        };
        let fits = offer.as_deref().is_some_and(fits);
        if !fits || self.learn_remote(core, leg, body).is_err() {
            return self.refuse_answer(core, leg, Cause::NoCodec);
        }
        let now = core.io.now.wall;
        send_ack(core, &self.leg(leg).dialog, self.leg(leg).invite_seq, None);
        let state = self.leg_mut(leg);
        (state.state, state.ringing) = (LegState::Up, true);
        if let Some(record) = &mut *state.record {
            record.answered_at = Some(now);
            record.sip_status = 200;
        }
        if let Some(terms) = session::agreed(msg) {
            self.start_session(core, leg, terms);
        }
        self.agree(leg, body.into(), offer);
        let Phase::Talking(talking) = &mut *self.phase else { return };
        let Some(transfer) = talking.transfer.take() else { return };
        for other in 1..self.legs.len() as u16 {
            if other != leg && self.leg(other).state == LegState::Calling {
                self.cancel_leg(core, other, Cause::AnsweredElsewhere, CancelReason::Elsewhere);
            }
        }
        self.notify(core, transfer.by, transfer.refer, (200, true));
        self.take_place(core, leg, transfer.by);
        self.rejoin(core, transfer.kept, leg, None);
    }

    /// `new` takes the place of `old`, which is ended.
    pub(super) fn take_place(&mut self, core: &mut Core, new: u16, old: u16) {
        self.drop_exchanges(core, old);
        if let Some(record) = &mut *self.leg_mut(new).record {
            record.answered_at.get_or_insert(core.io.now.wall);
            record.sip_status = 200;
        }
        if self.leg(old).state == LegState::Up {
            self.leg_mut(old).left_at = Some(core.io.now.wall);
            self.send_bye(core, old, Cause::NormalClearing.q850());
        }
        if let Phase::Talking(talking) = &mut *self.phase {
            match old == talking.pair.0 {
                true => talking.pair.0 = new,
                false => talking.pair.1 = new,
            }
        }
        self.touch();
        self.watch_silence(core);
        self.settle(core);
    }

    /// Offers `leg` the description of its new partner; then, if `then` is given, that one's gets
    /// the answer.
    pub(super) fn rejoin(&mut self, core: &mut Core, leg: u16, partner: u16, then: Option<u16>) {
        if self.conflict(leg).is_some() {
            return self.rejoin_later(core, leg, then.is_some());
        }
        let state = self.leg_mut(leg);
        state.origin_version += 1;
        let origin = Origin { id: state.origin_id, version: state.origin_version };
        let side = state.side;
        let Ok(told) = self.offer_of(core, partner, (side, origin)) else {
            return self.end(core, Cause::NoCodec, EndedBy::System, None);
        };
        let offer = self.leg(partner).described.clone();
        let (purpose, far) = (Purpose::Rejoin(then), Far::Invite(OfferIn::Request));
        self.ask(core, leg, Asking { purpose, far, offer, told: Some(told) });
    }

    fn rejoin_later(&mut self, core: &mut Core, leg: u16, both: bool) {
        self.forget_rejoins(core);
        let key = self.timer(CallTimer::Rejoin { leg, both });
        if let Phase::Talking(talking) = &mut *self.phase {
            talking.rejoins.push(Some(core.io.arm(BUSY, key)));
        }
    }

    /// Waits that are over are nothing to be taken up after a restart.
    fn forget_rejoins(&mut self, core: &Core) {
        self.touch();
        if let Phase::Talking(talking) = &mut *self.phase {
            let waits = |timer: &Option<TimerId>| timer.and_then(|id| core.io.wheel.get(id));
            talking.rejoins.retain(|timer| waits(timer).is_some());
        }
    }

    /// Time to try again.
    pub(crate) fn rejoin_due(&mut self, core: &mut Core, leg: u16, both: bool) {
        self.forget_rejoins(core);
        if let Some(partner) = self.other(leg).filter(|_| self.leg(leg).state == LegState::Up) {
            self.rejoin(core, leg, partner, both.then_some(partner));
        }
    }

    /// It has agreed.
    pub(super) fn on_rejoined(
        &mut self,
        core: &mut Core,
        (leg, then): (u16, Option<u16>),
        exchange: Exchange,
        msg: &Message<'_>,
    ) {
        let body = msg.body();
        if body.is_empty() || self.learn_remote(core, leg, body).is_err() {
            return self.end(core, Cause::NoCodec, EndedBy::System, None);
        }
        self.agree(leg, body.into(), exchange.told);
        if let Some(partner) = then.filter(|partner| self.other(leg) == Some(*partner)) {
            self.rejoin(core, partner, leg, None);
        }
    }

    /// It has not: 491 is tried again. Otherwise the session stays as it was (RFC 3261 14.1),
    /// which does for the side that has kept its ports.
    pub(super) fn on_rejoin_refused(
        &mut self,
        core: &mut Core,
        leg: u16,
        then: Option<u16>,
        status: u16,
    ) {
        match (status, then) {
            (491, _) => self.rejoin_later(core, leg, then.is_some()),
            (408 | 481, _) | (_, None) => {}
            // It came from another call, whose ports it still has: nobody would hear it.
            (_, Some(_)) => self.end(core, Cause::NoCodec, EndedBy::System, None),
        }
    }

    /// `leg` leaves: what it was asked, or has asked, means nothing any more.
    pub(super) fn drop_exchanges(&mut self, core: &mut Core, leg: u16) {
        let all = std::mem::take(&mut *self.exchanges);
        for exchange in all {
            let asked = match exchange.purpose {
                Purpose::Passed(asked) => Some(asked),
                Purpose::Renewal(_) | Purpose::Rejoin(_) => None,
            };
            if exchange.to != leg && asked.is_none_or(|asked| asked.leg != leg) {
                self.exchanges.push(exchange);
                continue;
            }
            self.touch();
            if let Some(asked) = asked {
                // The near end may ask again: somebody else will answer.
                let status = if asked.leg == leg { 487 } else { 491 };
                self.refuse(core, asked.leg, asked.server, status, b"");
            }
            if matches!(exchange.far, Far::Invite(_)) {
                core.transactions.let_go(&mut core.io, exchange.client);
            }
        }
    }

    /// An INVITE that takes the place of `old` (RFC 3891): a further leg, answered when the one
    /// who stays has agreed to its offer.
    pub(crate) fn begin_replacing(
        &mut self,
        core: &mut Core,
        old: u16,
        (server, source, by_flow): (ServerHandle, Source, bool),
        (flow, msg): (Flow, &Message<'_>),
    ) {
        let number = self.legs.len() as u16;
        let snapshot = self.routing.snapshot.clone();
        let owner = self.owner(number);
        core.transactions.adopt(server, owner);
        let place = (self.handle, number);
        let Some(dialog) = received_dialog(core, place, (msg, flow), by_flow) else { return };
        let (nat, kept) = match source {
            Source::Trunk(at) => (snapshot.trunk(at).nat, snapshot.trunk(at).dialog),
            Source::Extension(_) => (true, DialogPolicy::default()),
        };
        let origin_id = core.io.rng.next_u64() >> 1;
        let mut leg = Leg::new(dialog, Invite::Received(server), origin_id, nat, kept);
        leg.side = self.leg(old).side;
        leg.invite_seq = msg.cseq().map_or(1, |cseq| cseq.number);
        leg.wish = Ask::of(msg);
        leg.can.learn(msg);
        leg.replaces = Some(old);
        let (key, trunk) = match source {
            Source::Trunk(at) => (snapshot.trunk(at).key.clone(), Some(at)),
            Source::Extension(at) => (snapshot.extension(at).user.clone(), None),
        };
        leg.trunk = trunk;
        leg.phone = trunk.is_none().then(|| key.clone());
        let trunk_out = trunk.map(|_| key.clone());
        let now = core.io.now.wall;
        let caller = crate::call::record::Record::begin(now, Default::default());
        let record = CdrLeg {
            destination: key,
            trunk_out,
            answered_at: None,
            sip_status: 0,
            ..caller.as_leg(now)
        };
        *leg.record = Some(Box::new(record));
        let (seq, session) = (leg.invite_seq, leg.wish);
        self.legs.push(leg);
        self.leg_mut(number);
        let Some(to) = self.other(old) else { return };
        let told = match msg.body().is_empty() {
            // Without an offer the one who stays would have to make it: not for a replacement.
            true => Err(Cause::NoCodec),
            false => self.sdp_for(core, to, msg.body(), true),
        };
        let Ok(told) = told else {
            self.refuse(core, number, server, 488, b"");
            return self.leg_gone(core, number);
        };
        answer(core, server, &Answer::plain(100, None));
        let asked = Asked { leg: number, server, seq, near: Near::Invite, session };
        let (purpose, far) = (Purpose::Passed(asked), Far::Invite(OfferIn::Request));
        self.ask(core, to, Asking { purpose, far, offer: msg.body().into(), told: Some(told) });
    }

    /// `source` of today's provisioning in the one that this call began with.
    pub(crate) fn source_then(&self, today: &Snapshot, source: Source) -> Option<Source> {
        let then = &self.routing.snapshot;
        match source {
            Source::Trunk(at) => then.trunk_of_key(&today.trunk(at).key).map(Source::Trunk),
            Source::Extension(at) => {
                let user = today.extension(at).user.as_str();
                then.extension_of_user(user).map(Source::Extension)
            }
        }
    }

    /// The trunk that a leg goes over.
    pub(crate) fn trunk_of_leg(&self, at: u16) -> Option<&Key> {
        let trunk = self.legs.get(usize::from(at))?.trunk?;
        Some(&self.routing.snapshot.trunk(trunk).key)
    }

    /// Two sides talk, and nobody is being transferred.
    pub(crate) fn transfer_idle(&self) -> bool {
        self.pair().is_some() && self.transfer().is_none()
    }

    /// Our tag of each leg.
    pub(crate) fn tags(&self) -> impl Iterator<Item = (u16, &str)> {
        (0..).zip(&self.legs).map(|(at, leg)| (at, &*leg.dialog.local_tag))
    }

    /// The callers' leg, for an operator's transfer: who is called takes the place of the
    /// other one.
    pub(crate) fn connected_callee(&self) -> Option<u16> {
        self.pair().map(|(_, b)| b).filter(|b| *b != A)
    }
}
