//! The INVITE of a callee leg.

use std::time::Duration;

use crate::call::compose::finish;
use crate::call::leg::{Invite, Place};
use crate::call::{Call, Leg, MAX_LEGS, Phase, Source, allow, compose};
use crate::cause::Cause;
use crate::cdr::{CdrLeg, Direction};
use crate::core::Core;
use crate::event::Event;
use crate::id::{Key, LegNumber};
use crate::input::Flow;
use crate::plan::NumberFormat;
use crate::route::{
    CallFacts, DiversionReason, Identity, IdentityOverride, IdentityPolicy, TrunkIx,
};
use crate::sip::dialog::Dialog;
use crate::sip::token::Tag;
use crate::timer::CallTimer;
use crate::usage::Channel;

use super::Admitted;

/// Everything one leg is dialled with.
pub(super) struct Route {
    pub(super) place: Place,
    pub(super) destination: Key,
    pub(super) identity: IdentityOverride,
    pub(super) uri: String,
    /// The path that a phone registered with (RFC 3327 5.3).
    pub(super) routes: Vec<Box<str>>,
    pub(super) flow: Flow,
    pub(super) by_flow: bool,
    pub(super) trunk: Option<TrunkIx>,
    pub(super) channel: Option<Channel>,
    pub(super) dialled: String,
    pub(super) ring: Duration,
}

impl Call {
    /// Sends the INVITE of a new leg.
    pub(super) fn invite(
        &mut self,
        core: &mut Core,
        route: Route,
        _: &Admitted,
    ) -> Result<(), Cause> {
        if self.legs.len() >= MAX_LEGS {
            if let Some(channel) = route.channel {
                core.usage.release(channel);
            }
            return Err(Cause::Overload);
        }
        let number = self.legs.len() as u16;
        let routing = self.routing.clone();
        let (policy, format, nat) = match route.trunk.map(|at| routing.snapshot.trunk(at)) {
            Some(trunk) => (trunk.identity, trunk.format_out, trunk.nat),
            None => (IdentityPolicy::internal(), NumberFormat::National, route.by_flow),
        };
        let policy = policy.with(&route.identity);
        let identity = self.identity(policy);
        let dialog = self.leg_dialog(core, number, &route, &identity, format);
        let owner = self.owner(number);
        let Phase::Dialling(dialling) = &self.phase else { return Err(Cause::Cancelled) };
        let (max_forwards, offer) = (dialling.max_forwards, dialling.offer.clone());
        let passed = &dialling.passed;
        let domain = core.config.domain.clone();
        let (transactions, io, faces) = core.writer();
        let client = transactions.request(io, route.flow, true, Some(owner), |out, branch| {
            for part in ["INVITE ", &route.uri, " SIP/2.0\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
            faces.via(route.flow, branch, out);
            let mut lines = |parts: &[&[u8]]| {
                for part in parts {
                    out.extend_from_slice(part);
                }
            };
            lines(&[b"Max-Forwards: ", max_forwards.to_string().as_bytes(), b"\r\nFrom: "]);
            lines(&[&dialog.local, b"\r\nTo: ", &dialog.remote, b"\r\nCall-ID: "]);
            lines(&[dialog.call_id.as_bytes(), b"\r\nCSeq: 1 INVITE\r\n"]);
            for route in &route.routes {
                lines(&[b"Route: ", route.as_bytes(), b"\r\n"]);
            }
            faces.contact(route.flow, out);
            allow(out);
            identity.write_headers(format, &domain, out);
            out.extend_from_slice(passed);
            finish(out, offer.as_deref().map(|body| (compose::SDP, body)));
        });
        let origin_id = core.io.rng.next_u64() >> 1;
        let mut leg = Leg::new(dialog, Invite::Sent(client), origin_id, nat);
        // The shared first offer went out under the caller leg's origin, version 1.
        leg.origin_id = self.leg(crate::call::A).origin_id;
        leg.origin_version = 1;
        leg.channel = route.channel;
        leg.place = route.place;
        leg.timer = Some(core.io.arm(route.ring, self.timer(CallTimer::RingOver { leg: number })));
        let trunk_out = route.trunk.map(|at| routing.snapshot.trunk(at).key.clone());
        core.io.event(Event::LegDialled {
            call: self.id,
            leg: LegNumber(number),
            destination: route.destination.clone(),
            trunk_out: trunk_out.clone(),
        });
        let now = core.io.now.wall;
        leg.record = Some(Box::new(CdrLeg {
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
        Ok(())
    }

    fn identity(&self, policy: IdentityPolicy) -> Identity {
        let (display, reason) = match &self.phase {
            Phase::Dialling(dialling) => (dialling.display.as_deref(), dialling.reason),
            Phase::Talking(_) | Phase::Ended => (None, DiversionReason::Unconditional),
        };
        let did = self.record.did;
        let presented_name = did
            .and_then(|number| self.routing.snapshot.did(number))
            .map_or("", |did| &*did.presented_name);
        Identity::decide(
            policy,
            &CallFacts {
                caller: self.record.caller,
                display,
                did,
                presented_name,
                forwarded: matches!(self.source, Source::Trunk(_))
                    && self.record.direction == Direction::Forward,
                reason,
            },
        )
    }

    fn leg_dialog(
        &self,
        core: &mut Core,
        number: u16,
        route: &Route,
        identity: &Identity,
        format: NumberFormat,
    ) -> Dialog {
        let tag = Tag {
            shard: core.config.shard,
            call: self.handle.to_bits(),
            leg: number,
            random: core.io.rng.next_u64(),
        };
        let mut local_tag = Vec::with_capacity(38);
        tag.write(&mut local_tag);
        let mut local = Vec::with_capacity(128);
        identity.write_from(format, &core.config.domain, &mut local);
        local.extend_from_slice(b";tag=");
        local.extend_from_slice(&local_tag);
        Dialog {
            call_id: Call::new_call_id(core),
            local: local.into(),
            local_tag: String::from_utf8(local_tag).unwrap_or_default().into(),
            remote: format!("<{}>", route.uri).into_bytes().into(),
            remote_tag: None,
            local_seq: 1,
            remote_seq: None,
            target: route.uri.as_str().into(),
            routes: route.routes.clone(),
            flow: route.flow,
            by_flow: route.by_flow,
        }
    }
}
