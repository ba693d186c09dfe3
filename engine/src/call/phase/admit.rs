//! An INVITE becomes a call, or is refused: who calls, which DID, is there room.

use std::sync::Arc;

use crate::call::compose::{Answer, answer, passed_headers};
use crate::call::leg::Invite;
use crate::call::record::{Record, new_id};
use crate::call::{A, Call, CallHandle, Dialling, Leg, Media, Phase, Source, compose};
use crate::cause::Cause;
use crate::cdr::{Caller, CallerClass, Direction, EndedBy};
use crate::core::Core;
use crate::event::{CallStarted, Event};
use crate::hunt::Hunt;
use crate::input::Flow;
use crate::plan::{E164, read_dialled};
use crate::route::{Branch, DidSource, DiversionReason, Step, Strategy, Target, Trunk, Way};
use crate::sdp::Sdp;
use crate::sip::dialog::{Dialog, record_routes};
use crate::sip::syntax::{HeaderId, Message, NameAddr, Start, Uri};
use crate::sip::token::{Tag, hex};
use crate::sip::transaction::ServerHandle;
use crate::timer::CallTimer;

/// RFC 3261 8.1.1.6: hops of a request that names none.
const MAX_FORWARDS: u8 = 70;
/// RFC 3261 16.6 timer C bounds ringing; a number dialled by one of our phones rings as long.
const OUTGOING_RING: std::time::Duration = std::time::Duration::from_secs(180);
/// RFC 3261 13.3.1.1: a caller that hears nothing for a minute takes the call for dead.
pub(super) const REPEAT_RINGING: std::time::Duration = std::time::Duration::from_secs(60);

/// A fresh INVITE that may become a call.
pub(crate) struct Begin<'a, 'm> {
    pub(crate) msg: &'a Message<'m>,
    pub(crate) flow: Flow,
    pub(crate) source: Source,
    pub(crate) server: ServerHandle,
}

/// Proof that a call may dial: made by [`Call::admit`] alone.
#[derive(Debug)]
pub(super) struct Admitted(());

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
        let (caller, display) = self.caller(core);
        let record = Box::new(Record::begin(core.io.now.wall, caller));
        let nat = match self.source {
            Source::Trunk(trunk) => routing.snapshot.trunk(trunk).nat,
            Source::Extension(_) => true,
        };
        let origin_id = core.io.rng.next_u64() >> 1;
        let leg = Leg::new(dialog, Invite::Received(self.server), origin_id, nat);
        let dialling = Dialling {
            hunt: Hunt::new(Arc::from([])),
            offer: None,
            passed: passed_headers(self.msg),
            max_forwards: MAX_FORWARDS,
            display,
            reason: DiversionReason::Unconditional,
            best: None,
            early: None,
            told_ringing: false,
            resolving: Vec::new(),
        };
        let mut call = Call {
            id: new_id(core),
            handle,
            routing,
            source: self.source,
            legs: vec![leg],
            phase: Phase::Dialling(Box::new(dialling)),
            media: None,
            did_call: None,
            record,
        };
        let owner = call.owner(A);
        core.transactions.adopt(self.server, owner);
        core.io.counters.calls_started += 1;
        core.io.counters.calls_active += 1;
        let routed = self.route(&mut call);
        call.announce(core);
        let admitted = routed.and_then(|routed| call.admit(core, self.msg, routed));
        match admitted {
            Ok(admitted) => call.begin_hunt(core, &admitted),
            Err(cause) => call.end(core, cause, EndedBy::System, None),
        }
        Some(call)
    }

    fn dialog(&self, core: &mut Core, handle: CallHandle) -> Option<Dialog> {
        let msg = self.msg;
        let tag = Tag {
            shard: core.config.shard,
            call: handle.to_bits(),
            leg: A,
            random: core.io.rng.next_u64(),
        };
        let mut local_tag = Vec::with_capacity(38);
        tag.write(&mut local_tag);
        let mut local = msg.first(HeaderId::To)?.to_vec();
        local.extend_from_slice(b";tag=");
        local.extend_from_slice(&local_tag);
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
            routes: record_routes(msg),
            flow: self.flow,
            by_flow: matches!(self.source, Source::Extension(_)),
        })
    }

    /// Who calls: P-Asserted-Identity of a trusted trunk before From.
    fn caller(&self, core: &Core) -> (Caller, Option<Box<str>>) {
        let snapshot = &core.routing.snapshot;
        let trunk = match self.source {
            Source::Extension(at) => {
                let number = snapshot.extension(at).presented;
                let class = number.map_or(CallerClass::Unavailable, |_| CallerClass::Number);
                return (Caller { number, class }, None);
            }
            Source::Trunk(at) => snapshot.trunk(at),
        };
        let Ok(from) = self.msg.from() else { return (Caller::default(), None) };
        let withheld = (self.msg.tokens(HeaderId::Privacy))
            .any(|token| token.eq_ignore_ascii_case("id") || token.eq_ignore_ascii_case("user"));
        if withheld || is_anonymous(&from) {
            return (Caller { number: None, class: class_of_display(from.display) }, None);
        }
        let asserted = trunk.trusted.then(|| {
            let mut asserted = self.msg.addresses(HeaderId::PAssertedIdentity).flatten();
            asserted.find_map(|one| number_of(&one.uri, trunk))
        });
        let number = asserted.flatten().or_else(|| number_of(&from.uri, trunk));
        let class = number.map_or(CallerClass::Unavailable, |_| CallerClass::Number);
        let display = from.display.map(|text| text.replace('\\', "").into_boxed_str());
        (Caller { number, class }, display)
    }

    /// Which DID, whose, and what rings for it.
    fn route(&self, call: &mut Call) -> Result<Routed, Cause> {
        let snapshot = call.routing.snapshot.clone();
        let routed = match self.source {
            Source::Trunk(at) => {
                let trunk = snapshot.trunk(at);
                call.record.trunk_in = Some(trunk.key.clone());
                let called = self.called(trunk).ok_or(Cause::Unallocated)?;
                call.record.did = Some(called);
                let did = snapshot.did(called).ok_or(Cause::Unallocated)?;
                call.record.customer = did.customer.clone();
                did.takes_calls()?;
                did.route.clone()
            }
            Source::Extension(at) => return self.route_outgoing(call, at),
        };
        if routed.is_empty() {
            return Err(Cause::Absent);
        }
        let inside = routed
            .iter()
            .flat_map(|step| &step.branches)
            .all(|branch| matches!(snapshot.way_of(&branch.target), Way::Extension(_)));
        let direction = if inside { Direction::In } else { Direction::Forward };
        Ok(Routed { direction, steps: routed })
    }

    /// A phone of ours calls another phone, a DID of ours, or a number outside.
    fn route_outgoing(
        &self,
        call: &mut Call,
        at: crate::route::ExtensionIx,
    ) -> Result<Routed, Cause> {
        let snapshot = call.routing.snapshot.clone();
        let extension = snapshot.extension(at);
        call.record.customer = extension.customer.clone();
        call.record.did = extension.presented;
        call.record.direction = Direction::Out;
        let Start::Request { uri, .. } = self.msg.start() else { return Err(Cause::Protocol) };
        let uri = Uri::parse(uri).map_err(|_| Cause::Protocol)?;
        let user = uri.unescaped_user();
        let single = |target, direction| Routed {
            direction,
            steps: Arc::from([Step {
                group: None,
                strategy: Strategy::Simultaneous,
                branches: Box::from([Branch {
                    target,
                    delay: std::time::Duration::ZERO,
                    ring: OUTGOING_RING,
                }]),
            }]),
        };
        if let Some(other) = snapshot.extension_of_user(&user)
            && snapshot.extension(other).customer == extension.customer
        {
            return Ok(single(Target::Extension(other), Direction::In));
        }
        let number = read_dialled(&user, Default::default()).map_err(|_| Cause::Unallocated)?;
        // A customer without a number of its own has none to present, so it calls nobody.
        if extension.presented.is_none() {
            return Err(Cause::Blocked);
        }
        if let Some(did) = snapshot.did(number) {
            did.takes_calls()?;
            return Ok(Routed { direction: Direction::Out, steps: did.route.clone() });
        }
        Ok(single(Target::Number(number), Direction::Out))
    }

    /// The number called, where this trunk puts it.
    fn called(&self, trunk: &Trunk) -> Option<E164> {
        let msg = self.msg;
        let of_request_uri = || match msg.start() {
            Start::Request { uri, .. } => {
                Uri::parse(uri).ok().and_then(|uri| number_of(&uri, trunk))
            }
            Start::Response { .. } => None,
        };
        let of_header = |id| {
            let first = msg.addresses(id).find_map(Result::ok);
            first.and_then(|address: NameAddr<'_>| number_of(&address.uri, trunk))
        };
        let found = match trunk.did_source {
            DidSource::RequestUri => of_request_uri(),
            DidSource::To => of_header(HeaderId::To),
            DidSource::PCalledPartyId => {
                of_header(HeaderId::PCalledPartyId).or_else(of_request_uri)
            }
            DidSource::Diversion => of_header(HeaderId::Diversion).or_else(of_request_uri),
        };
        found.or(trunk.default_did)
    }
}

impl Call {
    fn announce(&mut self, core: &mut Core) {
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
            let Some(channel) = core.usage.take(self.routing.slot(at)) else {
                core.io.counters.refused_trunk_full += 1;
                return Err(Cause::NoChannel);
            };
            self.leg_mut(A).channel = Some(channel);
        }
        self.enter_did(core)?;
        self.media = Some(Media::open(core)?);
        let body = msg.body();
        let offer = match (body.is_empty(), msg.content_type()) {
            (true, _) => None,
            (false, Some(kind)) if kind.eq_ignore_ascii_case(compose::SDP) => {
                let sdp = Sdp::parse(body).map_err(|_| Cause::NoCodec)?;
                self.learn(core, A, &sdp)?;
                Some(self.first_offer(core, &sdp)?)
            }
            (false, _) => return Err(Cause::NoCodec),
        };
        if let Phase::Dialling(dialling) = &mut self.phase {
            dialling.hunt = Hunt::new(routed.steps);
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
        self.did_call = Some(place);
        Ok(())
    }

    fn begin_hunt(&mut self, core: &mut Core, admitted: &Admitted) {
        let Invite::Received(server) = self.leg(A).invite else { return };
        // RFC 3261 17.2.1: at once, so that the caller's transport stops resending.
        answer(core, server, &Answer::plain(100, None));
        let repeat = self.timer(CallTimer::RepeatRinging);
        let timer = core.io.arm(REPEAT_RINGING, repeat);
        self.leg_mut(A).timer = Some(timer);
        let Phase::Dialling(dialling) = &mut self.phase else { return };
        let next = dialling.hunt.begin();
        self.advance(core, next, admitted);
    }

    /// Resumes hunting on behalf of a call that was admitted: only a call that dials is asked.
    pub(super) fn admission(&self) -> Option<Admitted> {
        matches!(self.phase, Phase::Dialling(_)).then_some(Admitted(()))
    }

    /// A new Call-ID of ours: random, without an address in it.
    pub(super) fn new_call_id(core: &mut Core) -> Box<str> {
        let mut text = Vec::with_capacity(36);
        hex(u64::from(core.config.shard), 2, &mut text);
        hex(core.io.rng.next_u64(), 16, &mut text);
        hex(core.io.rng.next_u64(), 16, &mut text);
        String::from_utf8(text).unwrap_or_default().into_boxed_str()
    }
}

/// The number in a URI's user part, in this trunk's form.
fn number_of(uri: &Uri<'_>, trunk: &Trunk) -> Option<E164> {
    let user = uri.unescaped_user();
    let digits = user.split(';').next().unwrap_or_default();
    read_dialled(digits, trunk.format_in).ok()
}

fn is_anonymous(from: &NameAddr<'_>) -> bool {
    let user = from.uri.user.unwrap_or_default();
    user.eq_ignore_ascii_case("anonymous")
        || from.uri.host.eq_ignore_ascii_case("anonymous.invalid")
        || user.eq_ignore_ascii_case("unavailable")
}

/// The texts by which Japanese networks tell why there is no number.
fn class_of_display(display: Option<&str>) -> CallerClass {
    let text = display.unwrap_or_default().trim().to_ascii_lowercase();
    if text.starts_with("coin line") {
        CallerClass::Payphone
    } else if text.starts_with("unavailable") || text.starts_with("interaction with other") {
        CallerClass::Unavailable
    } else {
        CallerClass::Withheld
    }
}
