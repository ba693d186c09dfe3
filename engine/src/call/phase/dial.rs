//! Dialling: branches of the hunt become legs, by trunk, URI or registered contact.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::call::compose::finish;
use crate::call::leg::{Invite, Place};
use crate::call::{Call, Leg, LegState, MAX_LEGS, Phase, Source, allow, compose};
use crate::cause::{Cause, rank};
use crate::cdr::{CdrLeg, Direction, EndedBy};
use crate::core::Core;
use crate::event::Event;
use crate::hunt::{Launch, Next};
use crate::id::{Key, LegNumber};
use crate::input::{Flow, Output, ResolveId, Transport};
use crate::plan::{NumberFormat, write_number};
use crate::route::{CallFacts, DiversionReason, Identity, IdentityPolicy, Target, TrunkIx, Way};
use crate::sip::dialog::{Dialog, address_of};
use crate::sip::syntax::Uri;
use crate::sip::token::Tag;
use crate::timer::CallTimer;
use crate::usage::Channel;

use super::admit::Admitted;

/// Everything one leg is dialled with.
struct Route {
    place: Place,
    destination: Key,
    uri: String,
    flow: Flow,
    by_flow: bool,
    trunk: Option<TrunkIx>,
    channel: Option<Channel>,
    dialled: String,
    ring: Duration,
}

impl Call {
    /// Carries out what the hunt says, until somebody rings, waits, or nobody is left.
    pub(super) fn advance(&mut self, core: &mut Core, next: Next, admitted: &Admitted) {
        let mut next = next;
        loop {
            let launches = match next {
                Next::Wait => return,
                Next::Exhausted => return self.nobody_answered(core),
                Next::Launch(launches) => launches,
            };
            let step = self.hunt_step();
            let mut failed = 0;
            for Launch { branch, after } in launches {
                if !after.is_zero() {
                    let timer = CallTimer::Launch { step, branch: branch as u16 };
                    core.io.arm(after, self.timer(timer));
                } else if let Err(cause) = self.dial(core, step, branch as u16, admitted) {
                    self.note_failure(cause.status(), cause);
                    failed += 1;
                }
            }
            next = Next::Wait;
            for _ in 0..failed {
                if let Phase::Dialling(dialling) = &mut self.phase {
                    match dialling.hunt.branch_over(usize::from(step)) {
                        Next::Wait => {}
                        more => next = more,
                    }
                }
            }
        }
    }

    fn hunt_step(&self) -> u16 {
        match &self.phase {
            Phase::Dialling(dialling) => dialling.hunt.step() as u16,
            Phase::Talking(_) | Phase::Ended => u16::MAX,
        }
    }

    /// The delay of a branch is over.
    pub(crate) fn launch_due(&mut self, core: &mut Core, step: u16, branch: u16) {
        let Some(admitted) = self.admission() else { return };
        if self.hunt_step() != step {
            return;
        }
        if let Err(cause) = self.dial(core, step, branch, &admitted) {
            self.branch_failed(core, step, cause.status(), cause);
        }
    }

    /// A branch is over: the hunt goes on.
    pub(super) fn branch_failed(&mut self, core: &mut Core, step: u16, status: u16, cause: Cause) {
        self.note_failure(status, cause);
        let Some(admitted) = self.admission() else { return };
        let Phase::Dialling(dialling) = &mut self.phase else { return };
        let next = dialling.hunt.branch_over(usize::from(step));
        self.advance(core, next, &admitted);
    }

    /// Keeps the best failure for the caller (RFC 3261 16.7 (6)).
    fn note_failure(&mut self, status: u16, cause: Cause) {
        let Phase::Dialling(dialling) = &mut self.phase else { return };
        if dialling.best.is_none_or(|(best, _)| rank(status) < rank(best)) {
            dialling.best = Some((status, cause));
        }
        dialling.reason = match cause {
            Cause::Busy => DiversionReason::UserBusy,
            Cause::NoAnswer => DiversionReason::NoAnswer,
            _ => DiversionReason::Unavailable,
        };
    }

    fn nobody_answered(&mut self, core: &mut Core) {
        let Phase::Dialling(dialling) = &self.phase else { return };
        let (status, cause) = dialling.best.unwrap_or((480, Cause::Absent));
        let status = match status {
            // A redirection is not followed, and a challenge is not for the caller.
            300..=399 | 401 | 407 => Cause::Absent.status(),
            // RFC 3261 16.7 (6): 503 would tell the caller to leave us alone; only our own
            // lack of channels is one.
            503 if cause != Cause::NoChannel => 500,
            status => status,
        };
        self.end(core, cause, EndedBy::Callee, Some(status));
    }

    /// Dials one branch, by its first trunk and peer that take it.
    fn dial(
        &mut self,
        core: &mut Core,
        step: u16,
        branch: u16,
        admitted: &Admitted,
    ) -> Result<(), Cause> {
        self.dial_from(core, Place { step, branch, attempt: 0 }, admitted)
    }

    /// Dials one branch from its `attempt`th way on: the ways before have failed.
    pub(super) fn dial_from(
        &mut self,
        core: &mut Core,
        place: Place,
        admitted: &Admitted,
    ) -> Result<(), Cause> {
        let Phase::Dialling(dialling) = &self.phase else { return Err(Cause::Cancelled) };
        let branch = dialling.hunt.branch(usize::from(place.branch)).ok_or(Cause::Failure)?;
        let (target, ring) = (branch.target.clone(), branch.ring);
        let routing = self.routing.clone();
        match routing.snapshot.way_of(&target) {
            Way::Number(number, forced) => {
                self.dial_number(core, (place, &target, ring), number, forced, admitted)
            }
            Way::Uri(uri, trunk) => {
                if place.attempt > 0 {
                    return Err(Cause::Unreachable);
                }
                self.dial_uri(core, (place, &target, ring), uri, trunk, admitted)
            }
            Way::Extension(at) => {
                if place.attempt > 0 {
                    return Err(Cause::Unreachable);
                }
                let extension = routing.snapshot.extension(at);
                let contacts: Vec<(String, Flow)> =
                    (core.registrar.contacts(extension.user.as_str()))
                        .iter()
                        .map(|binding| (binding.uri.to_string(), binding.flow))
                        .collect();
                if contacts.is_empty() || !extension.enabled {
                    return Err(Cause::Absent);
                }
                for (uri, flow) in contacts {
                    let route = Route {
                        place,
                        destination: routing.snapshot.target_key(&target),
                        uri,
                        flow,
                        by_flow: true,
                        trunk: None,
                        channel: None,
                        dialled: extension.user.to_string(),
                        ring,
                    };
                    self.invite(core, route, admitted)?;
                }
                Ok(())
            }
        }
    }

    fn dial_number(
        &mut self,
        core: &mut Core,
        (place, target, ring): (Place, &Target, Duration),
        number: crate::plan::E164,
        forced: Option<TrunkIx>,
        admitted: &Admitted,
    ) -> Result<(), Cause> {
        let routing = self.routing.clone();
        let snapshot = &routing.snapshot;
        let carriers =
            forced.into_iter().chain(snapshot.carriers_of(number).filter(|_| forced.is_none()));
        let ways =
            carriers.flat_map(|at| snapshot.trunk(at).peers.iter().map(move |peer| (at, *peer)));
        let mut full = false;
        for (attempt, (at, peer)) in ways.enumerate().skip(usize::from(place.attempt)) {
            let trunk = snapshot.trunk(at);
            if !trunk.enabled {
                continue;
            }
            let Some(channel) = core.usage.take(routing.slot(at)) else {
                full = true;
                continue;
            };
            let mut user = Vec::with_capacity(16);
            write_number(number, trunk.format_out, &mut user);
            let user = String::from_utf8(user).unwrap_or_default();
            let listener = core.listener_for(peer);
            let route = Route {
                place: Place { attempt: attempt as u16, ..place },
                destination: snapshot.target_key(target),
                uri: format!("sip:{user}@{peer}"),
                flow: Flow { listener, transport: Transport::Udp, remote: peer, connection: 0 },
                by_flow: false,
                trunk: Some(at),
                channel: Some(channel),
                dialled: user,
                ring,
            };
            return self.invite(core, route, admitted);
        }
        Err(if full { Cause::NoChannel } else { Cause::Unreachable })
    }

    fn dial_uri(
        &mut self,
        core: &mut Core,
        (place, target, ring): (Place, &Target, Duration),
        text: &str,
        trunk: Option<TrunkIx>,
        admitted: &Admitted,
    ) -> Result<(), Cause> {
        let uri = Uri::parse(text).map_err(|_| Cause::Unreachable)?;
        let Some(remote) = address_of(&uri) else {
            let query = core.next_resolve();
            if let Phase::Dialling(dialling) = &mut self.phase {
                dialling.resolving.push((query, place.step, place.branch));
            }
            core.pending_resolves.insert(query, self.handle.to_bits());
            let host = uri.host.into();
            core.io.outbox.push_back(Output::Resolve { query: ResolveId(query), host });
            return Ok(());
        };
        self.dial_address(core, (place, target, ring), text, (remote, trunk), admitted)
    }

    fn dial_address(
        &mut self,
        core: &mut Core,
        (place, target, ring): (Place, &Target, Duration),
        uri: &str,
        (remote, trunk): (SocketAddr, Option<TrunkIx>),
        admitted: &Admitted,
    ) -> Result<(), Cause> {
        let routing = self.routing.clone();
        let channel = match trunk {
            Some(at) => Some(core.usage.take(routing.slot(at)).ok_or(Cause::NoChannel)?),
            None => None,
        };
        let user = Uri::parse(uri).ok().and_then(|uri| uri.user.map(str::to_owned));
        let listener = core.listener_for(remote);
        let route = Route {
            place,
            destination: routing.snapshot.target_key(target),
            uri: uri.to_owned(),
            flow: Flow { listener, transport: Transport::Udp, remote, connection: 0 },
            by_flow: false,
            trunk,
            channel,
            dialled: user.unwrap_or_default(),
            ring,
        };
        self.invite(core, route, admitted)
    }

    /// A host name was looked up.
    pub(crate) fn resolved(&mut self, core: &mut Core, query: u64, addresses: &[IpAddr]) {
        let Some(admitted) = self.admission() else { return };
        let Phase::Dialling(dialling) = &mut self.phase else { return };
        let Some(at) = dialling.resolving.iter().position(|one| one.0 == query) else { return };
        let (_, step, branch) = dialling.resolving.swap_remove(at);
        if dialling.hunt.step() != usize::from(step) {
            return;
        }
        let Some(spec) = dialling.hunt.branch(usize::from(branch)) else { return };
        let (target, ring) = (spec.target.clone(), spec.ring);
        let routing = self.routing.clone();
        let Way::Uri(text, trunk) = routing.snapshot.way_of(&target) else { return };
        let port = Uri::parse(text).ok().and_then(|uri| uri.port).unwrap_or(5060);
        let usable = |ip: &&IpAddr| {
            core.config.listeners.iter().any(|one| one.address.is_ipv4() == ip.is_ipv4())
        };
        let dialled = match addresses.iter().find(usable) {
            Some(ip) => {
                let place = Place { step, branch, attempt: 0 };
                let remote = SocketAddr::new(*ip, port);
                self.dial_address(core, (place, &target, ring), text, (remote, trunk), &admitted)
            }
            None => Err(Cause::Unreachable),
        };
        if let Err(cause) = dialled {
            self.branch_failed(core, step, cause.status(), cause);
        }
    }

    /// Sends the INVITE of a new leg.
    fn invite(&mut self, core: &mut Core, route: Route, _: &Admitted) -> Result<(), Cause> {
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
            routes: Vec::new(),
            flow: route.flow,
            by_flow: route.by_flow,
        }
    }

    /// Whether another leg of the same branch could still answer: several phones of one
    /// extension.
    pub(super) fn branch_still_rings(&self, place: Place) -> bool {
        self.legs.iter().skip(1).any(|leg| {
            leg.state == LegState::Calling
                && leg.place.step == place.step
                && leg.place.branch == place.branch
        })
    }
}
