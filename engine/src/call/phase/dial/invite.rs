//! The INVITE of a callee leg.

use std::sync::Arc;
use std::time::Duration;

use crate::call::compose::finish;
use crate::call::leg::{Invite, Place};
use crate::call::{Call, Leg, MAX_LEGS, Source, allow, compose, session};
use crate::cause::Cause;
use crate::cdr::{CdrLeg, Direction};
use crate::core::Core;
use crate::event::Event;
use crate::id::{Key, LegNumber};
use crate::input::Flow;
use crate::route::{
    CallFacts, CallerSide, DialogPolicy, DiversionReason, Identity, IdentityOverride,
    IdentityPolicy, Prack, Redirection, TrunkIx, Writing,
};
use crate::sdp::narrow;
use crate::sip::dialog::{Dialog, Style};
use crate::sip::syntax::{compact_names, put_number};
use crate::sip::token::Tag;
use crate::timer::CallTimer;
use crate::usage::Channel;

use super::{Admitted, Hop};

/// Everything one leg is dialled with.
pub(super) struct Route {
    pub(super) place: Place,
    pub(super) destination: Key,
    pub(super) identity: IdentityOverride,
    pub(super) uri: String,
    /// The path that a phone registered with (RFC 3327 5.3), or what the registrar of a trunk
    /// wants (RFC 3608).
    pub(super) routes: Vec<Box<str>>,
    pub(super) flow: Flow,
    /// The way to take instead if it becomes too large for a datagram.
    pub(super) large: Option<Flow>,
    pub(super) hop: Option<Hop>,
    pub(super) by_flow: bool,
    pub(super) trunk: Option<TrunkIx>,
    pub(super) channel: Option<Channel>,
    pub(super) dialled: String,
    pub(super) ring: Duration,
}

/// What an INVITE of ours says we can do, and asks of the session.
fn abilities(kept: &DialogPolicy, with_offer: bool) -> String {
    // Without an offer a reliable answer would have to bring one, and PRACK the answer to it
    // (RFC 3262 5), which only the caller can give, and which then could not fork.
    let reliable = with_offer && kept.prack != Prack::Off;
    let supported = match (kept.session_timer.enabled, reliable) {
        (true, true) => "Supported: timer, 100rel\r\n",
        (true, false) => "Supported: timer\r\n",
        (false, true) => "Supported: 100rel\r\n",
        (false, false) => "",
    };
    let required = match reliable && kept.prack == Prack::Required {
        true => "Require: 100rel\r\n",
        false => "",
    };
    [supported, required, &session::opening(&kept.session_timer, None)].concat()
}

impl Call {
    /// Sends the INVITE of a new leg.
    pub(super) fn invite(
        &mut self,
        core: &mut Core,
        route: Route,
        _: &Admitted,
    ) -> Result<u16, Cause> {
        let offer = match self.offer_for(route.trunk) {
            Ok(offer) if self.legs.len() < MAX_LEGS => offer,
            refused => {
                if let Some(channel) = route.channel {
                    core.usage.release(channel);
                }
                return Err(refused.err().unwrap_or(Cause::Overload));
            }
        };
        let number = self.legs.len() as u16;
        let routing = self.routing.clone();
        let domain = core.config.domain.clone();
        let trunk = route.trunk.map(|at| routing.snapshot.trunk(at));
        let (policy, writing, nat) = match trunk {
            Some(trunk) => (trunk.identity, Writing::of_trunk(trunk, &domain), trunk.nat),
            None => (IdentityPolicy::internal(), Writing::internal(&domain), route.by_flow),
        };
        let story = self.redirected_to(route.place).map(|contact| contact.story.clone());
        let policy = policy.with(&route.identity);
        let identity = self.identity(policy, &writing, &story.unwrap_or_default());
        let dialog = self.leg_dialog(core, number, &route, &identity, &writing);
        let kept = trunk.map(|trunk| trunk.dialog).unwrap_or_default();
        let owner = self.owner(number);
        let Some(dialling) = self.dialling() else { return Err(Cause::Cancelled) };
        let max_forwards = dialling.max_forwards;
        let (side, offer_origin) = (dialling.onto, dialling.origin_id);
        let passed = &dialling.passed;
        let abilities = abilities(&kept, offer.is_some());
        let (transactions, io, faces) = core.writer();
        let ways = (route.flow, route.large);
        let (client, sent_by) = transactions.invite(io, ways, Some(owner), |out, branch, flow| {
            for part in ["INVITE ", &route.uri, " SIP/2.0\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
            faces.via(flow, branch, out);
            out.extend_from_slice(b"Max-Forwards: ");
            put_number(out, max_forwards.into());
            let mut lines = |parts: &[&[u8]]| {
                for part in parts {
                    out.extend_from_slice(part);
                }
            };
            lines(&[b"\r\nFrom: ", &dialog.local, b"\r\nTo: ", &dialog.remote, b"\r\nCall-ID: "]);
            lines(&[dialog.call_id.as_bytes(), b"\r\nCSeq: 1 INVITE\r\n"]);
            for route in &route.routes {
                lines(&[b"Route: ", route.as_bytes(), b"\r\n"]);
            }
            faces.contact(route.flow, out);
            allow(out);
            out.extend_from_slice(abilities.as_bytes());
            identity.write_headers(&writing, &route.uri, out);
            if let Some(session) = &dialog.style.session {
                session.write(out);
            }
            out.extend_from_slice(passed);
            finish(out, offer.as_deref().map(|body| (compose::SDP, body)));
            if writing.compact {
                compact_names(out);
            }
        });
        let origin_id = core.io.rng.next_u64() >> 1;
        let mut leg = Leg::new(dialog, Invite::Sent(client), origin_id, nat, kept);
        leg.invite_sent = core.transactions.sent(client);
        leg.told = offer;
        leg.trunk = route.trunk;
        // The offer that all callees share went out under its own origin, version 1.
        leg.origin_id = offer_origin;
        leg.origin_version = 1;
        leg.side = side;
        if route.trunk.is_none() && route.by_flow {
            leg.phone = Some(Key::from(&*route.dialled));
        }
        leg.channel = route.channel;
        leg.place = route.place;
        leg.sent_by = Some(sent_by);
        leg.hop = route.hop;
        leg.timer = Some(core.io.arm(route.ring, self.timer(CallTimer::RingOver { leg: number })));
        let trunk_out = route.trunk.map(|at| routing.snapshot.trunk(at).key.clone());
        core.io.event(Event::LegDialled {
            call: self.id,
            leg: LegNumber(number),
            destination: route.destination.clone(),
            trunk_out: trunk_out.clone(),
        });
        let now = core.io.now.wall;
        *leg.record = Some(Box::new(CdrLeg {
            destination: route.destination,
            trunk_out,
            dialled: route.dialled,
            presented: identity.from,
            started_at: now,
            ringing_at: None,
            answered_at: None,
            ended_at: now,
            sip_status: 0,
            q850_cause: 0,
            media: None,
        }));
        self.legs.push(leg);
        self.touch();
        Ok(number)
    }

    /// The caller's offer as this trunk gets it; none for a late one.
    fn offer_for(&self, trunk: Option<TrunkIx>) -> Result<Option<Arc<[u8]>>, Cause> {
        let Some(dialling) = self.dialling() else { return Err(Cause::Cancelled) };
        let Some(offer) = &dialling.offer else { return Ok(None) };
        let codecs = trunk.map_or(&[][..], |at| &self.routing.snapshot.trunk(at).codecs);
        if codecs.is_empty() {
            return Ok(Some(offer.clone()));
        }
        narrow(offer, codecs).map(|offer| Some(offer.into())).ok_or(Cause::NoCodec)
    }

    fn identity(
        &self,
        policy: IdentityPolicy,
        writing: &Writing<'_>,
        redirected: &[Redirection],
    ) -> Identity {
        let nothing = CallerSide::default();
        let (side, reason) = match self.dialling() {
            Some(dialling) => (&dialling.side, dialling.reason),
            None => (&nothing, DiversionReason::Unconditional),
        };
        let did = self.record.did;
        let presented_name = did
            .and_then(|number| self.routing.snapshot.did(number))
            .map_or("", |did| &*did.presented_name);
        Identity::decide(
            policy,
            &CallFacts {
                caller: self.record.caller,
                side,
                did,
                presented_name,
                forwarded: matches!(self.source, Source::Trunk(_))
                    && self.record.direction == Direction::Forward,
                reason,
                redirected,
            },
            writing,
        )
    }

    fn leg_dialog(
        &self,
        core: &mut Core,
        number: u16,
        route: &Route,
        identity: &Identity,
        writing: &Writing<'_>,
    ) -> Dialog {
        let tag = Tag {
            shard: core.config.shard,
            call: self.handle.to_bits(),
            leg: number,
            random: core.io.rng.next_u64(),
        };
        let mut local_tag = Vec::with_capacity(38);
        tag.write(&mut local_tag);
        let wanted = route.trunk.map(|at| self.routing.snapshot.trunk(at).session_id);
        let session = match self.dialling() {
            Some(dialling) if wanted == Some(true) => Some(dialling.session.clone()),
            _ => None,
        };
        let page = &mut core.io.scratch;
        page.clear();
        identity.write_from(writing, page);
        page.extend_from_slice(b";tag=");
        page.extend_from_slice(&local_tag);
        let local = Box::from(page.as_slice());
        Dialog {
            call_id: Call::new_call_id(core),
            local,
            local_tag: String::from_utf8(local_tag).unwrap_or_default().into(),
            remote: [b"<", route.uri.as_bytes(), b">"].concat().into(),
            remote_tag: None,
            local_seq: 1,
            remote_seq: None,
            target: route.uri.as_str().into(),
            routes: route.routes.clone(),
            flow: route.flow,
            by_flow: route.by_flow,
            edition: 0,
            style: Style { compact: writing.compact, session },
        }
    }
}
