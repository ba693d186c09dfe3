//! An INVITE becomes a call, or is refused: who calls, which DID, is there room.

mod called;
mod caller;
mod dialled;
mod looped;
mod number;
mod outgoing;

use std::sync::Arc;

use crate::call::compose::{Answer, answer, passed_headers};
use crate::call::image::Unsaved;
use crate::call::leg::Invite;
use crate::call::record::{Record, new_id};
use crate::call::{
    A, Ask, Call, CallHandle, Dialling, Leg, MAX_FORWARDS, Media, Phase, Source, compose,
};
use crate::cause::Cause;
use crate::cdr::{Direction, EndedBy};
use crate::core::Core;
use crate::event::{CallStarted, Event};
use crate::hunt::Hunt;
use crate::input::Flow;
use crate::journal::Marked;
use crate::media::Side;
use crate::route::{DialogPolicy, Step};
use crate::sdp::Sdp;
use crate::sip::dialog::{Dialog, SessionIds, Style, routes_of};
use crate::sip::syntax::{HeaderId, Message};
use crate::sip::token::{Tag, hex};
use crate::sip::transaction::ServerHandle;
use crate::timer::CallTimer;
use crate::usage::{Bound, NoRoom};

pub(in crate::call::phase) use number::called_in;
pub(in crate::call) use outgoing::{Caller, plan};

/// RFC 3261 13.3.1.1: a caller that hears nothing for a minute takes the call for dead.
pub(in crate::call::phase) const REPEAT_RINGING: std::time::Duration =
    std::time::Duration::from_secs(60);

/// A fresh INVITE that may become a call.
pub(crate) struct Begin<'a, 'm> {
    pub(crate) msg: &'a Message<'m>,
    pub(crate) flow: Flow,
    pub(crate) source: Source,
    pub(crate) server: ServerHandle,
    /// It is an INVITE of our own that has come back: its From tag is one of a leg that lives.
    pub(crate) returned: bool,
}

/// Proof that a call may dial: made by [`Call::admit`] alone.
#[derive(Debug)]
pub(in crate::call::phase) struct Admitted(());

/// Where an admitted call goes.
struct Routed {
    direction: Direction,
    steps: Arc<[Step]>,
}

impl Begin<'_, '_> {
    /// Makes the call, admits it and begins to hunt; or refuses it. Either way it has a record.
    pub(crate) fn call(self, core: &mut Core, handle: CallHandle) -> Option<Call> {
        let dialog = self.dialog(core, handle)?;
        let routing = core.routing.clone();
        let calling = self.caller(core);
        let record = Box::new(Record::begin(core.io.now.wall, calling.caller));
        let (nat, kept) = match self.source {
            Source::Trunk(at) => {
                let trunk = routing.snapshot.trunk(at);
                (trunk.nat, trunk.dialog)
            }
            Source::Extension(_) => (true, DialogPolicy::default()),
        };
        let origin_id = core.io.rng.next_u64() >> 1;
        let mut leg = Leg::new(dialog, Invite::Received(self.server), origin_id, nat, kept);
        leg.invite_seq = self.msg.cseq().ok()?.number;
        leg.wish = Ask::of(self.msg);
        leg.can.learn(self.msg);
        if let Source::Trunk(trunk) = self.source {
            leg.trunk = Some(trunk);
        }
        if let Source::Extension(at) = self.source {
            leg.phone = Some(routing.snapshot.extension(at).user.clone());
        }
        let session = SessionIds::of(self.msg, [core.io.rng.next_u64(), core.io.rng.next_u64()]);
        let dialling = Dialling {
            passed: passed_headers(self.msg, self.passed_names(core)),
            side: calling.side,
            tail: self.tail(),
            ..Dialling::begin(Hunt::new(Arc::from([])), Side::B, origin_id, session)
        };
        // A caller and, nearly always, one callee.
        let mut legs = Vec::with_capacity(2);
        legs.push(leg);
        let mut call = Call {
            id: new_id(core),
            handle,
            routing,
            source: self.source,
            legs,
            phase: Marked::new(Phase::Dialling(Box::new(dialling))),
            media: Marked::new(None),
            did_call: Marked::new(None),
            exchanges: Marked::new(Vec::new()),
            record: Marked::new(record),
            unsaved: Unsaved::everything(),
            finished: None,
        };
        let owner = call.owner(A);
        core.transactions.adopt(self.server, owner);
        core.io.counters.calls_started += 1;
        core.io.counters.calls_active += 1;
        let routed = self.route(&mut call, calling.presented);
        let looped = self.is_loop(&call, &calling.before);
        call.forget_own_redirection();
        let routed = if looped { Err(Cause::Loop) } else { routed };
        call.announce(core);
        let admitted = routed.and_then(|routed| call.admit(core, self.msg, routed));
        match admitted {
            Ok(admitted) => call.begin_hunt(core, &admitted),
            // RFC 3261 8.2.2.2: the call has been here before.
            Err(cause) => call.end(core, cause, EndedBy::System, looped.then_some(482)),
        }
        Some(call)
    }

    /// Headers that pass besides those that always do.
    fn passed_names<'c>(&self, core: &'c Core) -> &'c [Box<str>] {
        match self.source {
            Source::Trunk(at) => &core.routing.snapshot.trunk(at).passed_headers,
            Source::Extension(_) => &[],
        }
    }

    fn style(&self, core: &Core) -> Style {
        match self.source {
            Source::Trunk(at) => {
                Style { compact: core.routing.snapshot.trunk(at).compact_headers, session: None }
            }
            Source::Extension(_) => Style::default(),
        }
    }

    fn dialog(&self, core: &mut Core, handle: CallHandle) -> Option<Dialog> {
        let by_flow = core.is_by_flow(self.source, self.flow);
        let dialog = received_dialog(core, (handle, A), (self.msg, self.flow), by_flow)?;
        Some(Dialog { style: self.style(core), ..dialog })
    }
}

/// The dialog that a peer's INVITE makes with a leg of ours (RFC 3261 12.1.1).
pub(in crate::call::phase) fn received_dialog(
    core: &mut Core,
    (call, leg): (CallHandle, u16),
    (msg, flow): (&Message<'_>, Flow),
    by_flow: bool,
) -> Option<Dialog> {
    let tag =
        Tag { shard: core.config.shard, call: call.to_bits(), leg, random: core.io.rng.next_u64() };
    let mut local_tag = Vec::with_capacity(38);
    tag.write(&mut local_tag);
    let local = [msg.first(HeaderId::To)?, b";tag=", &*local_tag].concat();
    let from = msg.from().ok()?;
    let contact = msg.contact().ok().flatten();
    Some(Dialog {
        call_id: msg.call_id().ok()?.into(),
        local: local.into(),
        local_tag: String::from_utf8(local_tag).ok()?.into(),
        remote: msg.first(HeaderId::From)?.into(),
        remote_tag: from.tag().map(Box::from),
        local_seq: 0,
        remote_seq: Some(msg.cseq().ok()?.number),
        target: contact.map_or(from.uri.raw, |contact| contact.uri.raw).into(),
        routes: routes_of(msg, HeaderId::RecordRoute),
        flow,
        by_flow,
        edition: 0,
        style: Style::default(),
    })
}

impl Call {
    pub(in crate::call::phase) fn announce(&mut self, core: &mut Core) {
        let record = &self.record;
        core.io.event(Event::CallStarted(Box::new(CallStarted {
            call: self.id,
            at: record.started_at,
            direction: record.direction,
            did: record.did,
            customer: record.customer.clone(),
            caller: record.caller,
            trunk_in: record.trunk_in.clone(),
        })));
    }

    /// Takes what the call needs: hops left, a channel, a place at the DID, ports. What was
    /// taken before something was missing is given back when the call ends.
    fn admit(
        &mut self,
        core: &mut Core,
        msg: &Message<'_>,
        routed: Routed,
    ) -> Result<Admitted, Cause> {
        self.record.direction = routed.direction;
        if core.draining {
            core.io.counters.refused_overload += 1;
            return Err(Cause::Overload);
        }
        let hops = msg.max_forwards().ok().flatten().unwrap_or(MAX_FORWARDS);
        // RFC 3261 16.3 (3): 483 at a request that may not go further.
        let hops = hops.checked_sub(1).ok_or(Cause::Loop)?;
        if let Source::Trunk(at) = self.source {
            let now = core.io.now.mono;
            let channel = core.usage.take(self.routing.slot(at), Bound::In, now);
            self.leg_mut(A).channel = Some(channel.map_err(|why| {
                core.io.counters.refused_trunk_full += 1;
                match why {
                    NoRoom::Full => Cause::NoChannel,
                    NoRoom::TooFast => Cause::Overload,
                }
            })?);
        }
        self.enter_did(core)?;
        *self.media = Some(Media::open(core)?);
        let body = msg.body();
        let offer = match (body.is_empty(), msg.content_type()) {
            (true, _) => None,
            (false, Some(kind)) if kind.eq_ignore_ascii_case(compose::SDP) => {
                let sdp = Sdp::parse(body).map_err(|_| Cause::NoCodec)?;
                self.learn(core, A, &sdp)?;
                Some(self.first_offer(core, &sdp)?)
            }
            // Optional, or it would have been refused (RFC 3261 8.2.3).
            (false, _) => None,
        };
        self.offer_reliability(core, msg);
        self.agree(A, offer.as_ref().map_or(&[][..], |_| body).into(), None);
        if let Phase::Dialling(dialling) = &mut *self.phase {
            *dialling.hunt = Hunt::new(routed.steps);
            dialling.offer = offer;
            dialling.max_forwards = hops.min(MAX_FORWARDS);
        }
        Ok(Admitted(()))
    }

    fn enter_did(&mut self, core: &mut Core) -> Result<(), Cause> {
        let Some(number) = self.record.did.filter(|_| matches!(self.source, Source::Trunk(_)))
        else {
            return Ok(());
        };
        let cap = self.routing.snapshot.did(number).map_or(0, |did| did.max_calls);
        let Some(place) = core.usage.enter(number, cap) else {
            core.io.counters.refused_did_busy += 1;
            return Err(Cause::Busy);
        };
        *self.did_call = Some(place);
        Ok(())
    }

    fn begin_hunt(&mut self, core: &mut Core, admitted: &Admitted) {
        let Invite::Received(server) = self.leg(A).invite else { return };
        // RFC 3261 17.2.1: at once, so that the caller's transport stops resending.
        answer(core, server, &Answer::plain(100, None));
        let repeat = self.timer(CallTimer::RepeatRinging);
        let timer = core.io.arm(REPEAT_RINGING, repeat);
        self.leg_mut(A).timer = Some(timer);
        let Phase::Dialling(dialling) = &mut *self.phase else { return };
        let next = dialling.hunt.begin();
        self.advance(core, next, admitted);
    }

    /// Resumes hunting on behalf of a call that was admitted: only a call that dials is asked.
    pub(in crate::call::phase) fn admission(&self) -> Option<Admitted> {
        self.dialling().is_some().then_some(Admitted(()))
    }

    /// A new Call-ID of ours: random, without an address in it.
    pub(in crate::call::phase) fn new_call_id(core: &mut Core) -> Box<str> {
        let mut text = Vec::with_capacity(36);
        hex(u64::from(core.config.shard), 2, &mut text);
        hex(core.io.rng.next_u64(), 16, &mut text);
        hex(core.io.rng.next_u64(), 16, &mut text);
        String::from_utf8(text).unwrap_or_default().into_boxed_str()
    }
}
