//! Ways to a callee: by a trunk and its peers, by a URI, by the contacts of a phone.

use std::time::Duration;

use crate::call::leg::Place;
use crate::call::{Call, LegState, Source};
use crate::cause::Cause;
use crate::core::Core;
use crate::input::{Flow, Output, ResolveId, Transport};
use crate::route::{ExtensionIx, LargeRequests, Target as Callee, TrunkIx, Way, Writing};
use crate::sip::syntax::Uri;
use crate::sip::transaction::CancelReason;
use crate::sip::transport::{Question, ResolvedTarget, Target, ordered};
use crate::timer::CallTimer;
use crate::usage::Bound;

use super::Admitted;
use super::invite::Route;
use super::redirect::Contact;
use super::ways::{Candidate, Hop, Ways};

/// How long a target that has another behind it may stay without any answer (RFC 3263 4.3 leaves
/// it to timer B, 32 s: no caller listens to silence for that long). Three INVITEs have been sent
/// by then.
const UNHEARD: Duration = Duration::from_secs(5);

/// One branch to be dialled.
#[derive(Clone, Copy)]
struct Dial<'a> {
    place: Place,
    callee: &'a Callee,
    way: &'a Way<'a>,
    /// Where a redirection has led it.
    contact: Option<&'a Contact>,
    ring: Duration,
}

/// A Request-URI by TLS, as `sips` (RFC 3261 26.2.2); a `tel` URI as it is.
fn secured(uri: &str) -> String {
    let plain = uri.replacen(";transport=tls", "", 1);
    plain.strip_prefix("sip:").map_or(plain.clone(), |rest| format!("sips:{rest}"))
}

impl Call {
    /// Dials one branch, by its first trunk and peer that take it.
    pub(in crate::call::phase) fn dial(
        &mut self,
        core: &mut Core,
        step: u16,
        branch: u16,
        admitted: &Admitted,
    ) -> Result<(), Cause> {
        self.dial_from(core, Place { step, branch, attempt: 0 }, admitted)
    }

    /// Dials one branch by the next way that is left: those before have failed.
    pub(in crate::call::phase) fn dial_from(
        &mut self,
        core: &mut Core,
        place: Place,
        admitted: &Admitted,
    ) -> Result<(), Cause> {
        let Some(dialling) = self.dialling() else { return Err(Cause::Cancelled) };
        let branch = dialling.hunt.branch(usize::from(place.branch)).ok_or(Cause::Failure)?;
        let (callee, ring) = (branch.target.clone(), branch.ring);
        let routing = self.routing.clone();
        let contact = self.redirected_to(place).cloned();
        let way = match &contact {
            Some(contact) => contact.way(&routing.snapshot),
            None => routing.snapshot.way_of(&callee),
        };
        match way {
            Way::Gone => return Err(Cause::Unallocated),
            // A DID that forwards to itself.
            Way::Number(number, _)
                if self.record.did == Some(number) && matches!(self.source, Source::Trunk(_)) =>
            {
                return Err(Cause::Loop);
            }
            Way::Number(..) | Way::Uri(..) | Way::Extension(_) => {}
        }
        if let Way::Extension(at) = way {
            return self.dial_contacts(core, (place, &callee, ring), at, admitted);
        }
        let Some(dialling) = self.dialling_mut() else { return Err(Cause::Cancelled) };
        let known = dialling.ways.iter().any(|one| one.is_of(place));
        if !known || place.attempt == 0 {
            dialling.ways.retain(|one| !one.is_of(place));
            let at = (place.step, place.branch);
            let all = Ways::of(core, at, &routing.snapshot, &way);
            let means = |hop| contact.as_ref().is_none_or(|it| it.means(hop, &routing.snapshot));
            dialling.ways.push(all.only(means));
        }
        let contact = contact.as_ref();
        let dial = Dial { place, callee: &callee, way: &way, contact, ring };
        let mut cause = Cause::Unreachable;
        while let Some(candidate) = self.next_way(core, place) {
            let Some(target) = candidate.target.or_else(|| self.literal(&way, candidate.hop))
            else {
                return self.look_up(core, place, &way, candidate.hop);
            };
            match self.dial_target(core, dial, (candidate.hop, target), admitted) {
                Err(Cause::NoChannel) => cause = Cause::NoChannel,
                Err(Cause::Unreachable) => {}
                done => return done,
            }
        }
        Err(cause)
    }

    fn next_way(&mut self, core: &Core, place: Place) -> Option<Candidate> {
        let dialling = self.dialling_mut()?;
        dialling.ways.iter_mut().find(|one| one.is_of(place))?.next(core)
    }

    /// The address of a destination's URI, when it is written as one.
    fn literal(&self, way: &Way<'_>, hop: Hop) -> Option<Target> {
        match (way, hop) {
            (Way::Uri(text, _), Hop::Uri(_)) => {
                let uri = Uri::parse(text).ok()?;
                let transport = uri.transport().unwrap_or(Transport::Udp);
                let port = uri.port.unwrap_or(transport.default_port());
                Some(Target { address: (uri.ip()?, port).into(), transport })
            }
            _ => None,
        }
    }

    /// Asks where a name leads; the branch goes on with the answer.
    fn look_up(
        &mut self,
        core: &mut Core,
        place: Place,
        way: &Way<'_>,
        hop: Hop,
    ) -> Result<(), Cause> {
        let question = match (hop, way) {
            (Hop::Peer(at, peer), _) => {
                let routing = &self.routing.snapshot;
                let peer = routing.trunk(at).peers.get(usize::from(peer));
                peer.and_then(|peer| peer.question()).ok_or(Cause::Unreachable)?
            }
            (Hop::Uri(_), Way::Uri(text, _)) => {
                let uri = Uri::parse(text).map_err(|_| Cause::Unreachable)?;
                Question { host: uri.host.into(), port: uri.port, transport: uri.transport() }
            }
            (Hop::Uri(_), _) => return Err(Cause::Unreachable),
        };
        let query = core.next_resolve();
        let Some(dialling) = self.dialling_mut() else { return Err(Cause::Cancelled) };
        dialling.resolving.push((query, place.step, place.branch));
        if let Some(ways) = dialling.ways.iter_mut().find(|one| one.is_of(place)) {
            ways.asked = Some((hop, place.attempt));
        }
        core.pending_resolves.insert(query, self.handle.to_bits());
        core.io.outbox.push_back(Output::Resolve { query: ResolveId(query), question });
        Ok(())
    }

    /// Sends the INVITE to one target.
    fn dial_target(
        &mut self,
        core: &mut Core,
        Dial { place, callee, way, contact, ring }: Dial<'_>,
        (hop, target): (Hop, Target),
        admitted: &Admitted,
    ) -> Result<(), Cause> {
        let routing = self.routing.clone();
        let snapshot = &routing.snapshot;
        let listener =
            core.listener_for(target.transport, target.address).ok_or(Cause::Unreachable)?;
        let (uri, dialled, trunk) = match (hop, way) {
            (Hop::Peer(at, peer), Way::Number(number, _)) => {
                let secure = contact.is_some_and(|contact| contact.secure);
                let trunk = snapshot.trunk(at);
                let peer = trunk.peers.get(usize::from(peer)).ok_or(Cause::Unreachable)?;
                let tail = match (self.dialling(), callee) {
                    (Some(dialling), Callee::Number(_)) if contact.is_none() => &*dialling.tail,
                    _ => "",
                };
                let writing = Writing::of_trunk(trunk, &core.config.domain);
                let user = writing.called(*number);
                let uri = writing.request_uri(&user, tail, &peer.uri_place());
                let uri = if secure { secured(&uri) } else { uri };
                (uri, user, Some(at))
            }
            (Hop::Uri(trunk), Way::Uri(text, _)) => {
                let user = Uri::parse(text).ok().and_then(|uri| uri.user.map(str::to_owned));
                ((*text).to_owned(), user.unwrap_or_default(), trunk)
            }
            _ => return Err(Cause::Unreachable),
        };
        let channel = match trunk {
            Some(at) => {
                if !snapshot.trunk(at).enabled {
                    return Err(Cause::Unreachable);
                }
                let now = core.io.now.mono;
                let channel = core.usage.take(routing.slot(at), Bound::Out, now);
                Some(channel.map_err(|_| Cause::NoChannel)?)
            }
            None => None,
        };
        let Target { address: remote, transport } = target;
        self.expect_name(core, trunk, &uri, target);
        let routes = match hop {
            // RFC 3608 6.1.
            Hop::Peer(at, _) if snapshot.trunk(at).relation.register.is_some() => {
                core.trunks.service_route(&snapshot.trunk(at).key).to_vec()
            }
            Hop::Peer(..) | Hop::Uri(_) => Vec::new(),
        };
        let route = Route {
            place,
            destination: snapshot.target_key(callee),
            identity: snapshot.identity_of(callee),
            uri,
            routes,
            flow: Flow { listener, transport, remote, connection: 0 },
            large: self.large_way(core, trunk, target),
            hop: Some(hop),
            by_flow: false,
            trunk,
            channel,
            dialled,
            ring,
        };
        let leg = self.invite(core, route, admitted)?;
        if self.has_more_ways(place) {
            core.io.arm(UNHEARD, self.timer(CallTimer::Unheard { leg }));
        }
        Ok(())
    }

    /// The way of an INVITE to `target` that is too large for a datagram, unless its TCP is known
    /// to fail or the trunk wants none.
    fn large_way(&self, core: &Core, trunk: Option<TrunkIx>, target: Target) -> Option<Flow> {
        let wanted = trunk
            .is_none_or(|at| self.routing.snapshot.trunk(at).large_requests == LargeRequests::Tcp);
        let large = wanted && target.transport == Transport::Udp;
        core.by_tcp(target.address).filter(|_| large)
    }

    /// RFC 5922 7.2: who is meant to answer behind TLS.
    fn expect_name(&self, core: &mut Core, trunk: Option<TrunkIx>, uri: &str, target: Target) {
        if target.transport != Transport::Tls {
            return;
        }
        let of_trunk = trunk.and_then(|at| self.routing.snapshot.trunk(at).tls_name.clone());
        let name = of_trunk.or_else(|| Uri::parse(uri).ok().map(|uri| uri.host.into()));
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            core.io.outbox.push_back(Output::Expect { remote: target.address, name });
        }
    }

    fn has_more_ways(&self, place: Place) -> bool {
        let Some(dialling) = self.dialling() else { return false };
        dialling.ways.iter().any(|one| one.is_of(place) && one.has_more())
    }

    /// A target has had its time for a first answer, and another is left: it is tried, and this
    /// one given up.
    pub(crate) fn unheard(&mut self, core: &mut Core, leg: u16) {
        let state = self.leg(leg);
        let silent = state.state == LegState::Calling
            && state.sent_invite().is_some_and(|client| core.transactions.is_unheard(client));
        let place = state.place;
        if !silent || !self.has_more_ways(place) {
            return;
        }
        self.note_dead(core, leg);
        let Some(admitted) = self.admission() else { return };
        self.cancel_leg(core, leg, Cause::Timeout, CancelReason::Caller);
        if let Some(record) = &mut *self.leg_mut(leg).record {
            record.sip_status = Cause::Timeout.status();
        }
        let next = Place { attempt: place.attempt.saturating_add(1), ..place };
        if self.dial_from(core, next, &admitted).is_err() && !self.branch_still_rings(place) {
            self.branch_failed(core, place.step, Cause::Timeout.status(), Cause::Timeout);
        }
        self.settle(core);
    }

    /// The target of a leg is tried last for a while.
    pub(in crate::call::phase) fn note_dead(&mut self, core: &mut Core, leg: u16) {
        let now = core.io.now.mono;
        if let Some(target) = self.target_of_leg(leg) {
            core.dead.note(now, target);
        }
    }

    /// The target of a leg has said something.
    pub(in crate::call::phase) fn note_alive(&mut self, core: &mut Core, leg: u16) {
        if let Some(target) = self.target_of_leg(leg) {
            core.dead.heard(target);
        }
    }

    fn target_of_leg(&self, leg: u16) -> Option<Target> {
        let leg = self.leg(leg);
        let Flow { transport, remote, .. } = leg.sent_by.unwrap_or(leg.dialog.flow);
        (!leg.dialog.by_flow).then_some(Target { address: remote, transport })
    }

    /// An INVITE that went by TCP for its size alone did not get through: the same target is
    /// asked by UDP (RFC 3261 18.1.1).
    pub(in crate::call::phase) fn retry_by_udp(&mut self, leg: u16) {
        let (place, flow) = (self.leg(leg).place, self.leg(leg).dialog.flow);
        if self.leg(leg).sent_by.is_none_or(|sent| sent.transport == flow.transport) {
            return;
        }
        let hop = self.leg(leg).hop;
        let Some(dialling) = self.dialling_mut() else { return };
        let ways = dialling.ways.iter_mut().find(|one| one.is_of(place));
        if let (Some(ways), Some(hop)) = (ways, hop) {
            let target = Target { address: flow.remote, transport: flow.transport };
            ways.put_first(hop, &[target]);
        }
    }

    fn dial_contacts(
        &mut self,
        core: &mut Core,
        (place, target, ring): (Place, &Callee, Duration),
        at: ExtensionIx,
        admitted: &Admitted,
    ) -> Result<(), Cause> {
        if place.attempt > 0 {
            return Err(Cause::Unreachable);
        }
        let routing = self.routing.clone();
        let extension = routing.snapshot.extension(at);
        let contacts: Vec<(String, Flow, Vec<Box<str>>)> =
            (core.registrar.contacts(extension.user.as_str()))
                .iter()
                .filter(|phone| core.is_standing(phone.flow))
                .map(|phone| (phone.target().to_owned(), phone.flow, phone.path.to_vec()))
                .collect();
        if contacts.is_empty() || !extension.enabled {
            return Err(Cause::Absent);
        }
        for (uri, flow, routes) in contacts {
            let route = Route {
                place,
                destination: routing.snapshot.target_key(target),
                identity: routing.snapshot.identity_of(target),
                uri,
                routes,
                flow,
                large: None,
                hop: None,
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

    /// A host name was looked up.
    pub(crate) fn resolved(&mut self, core: &mut Core, query: u64, answer: &[ResolvedTarget]) {
        let Some(admitted) = self.admission() else { return };
        let Some(dialling) = self.dialling_mut() else { return };
        let Some(at) = dialling.resolving.iter().position(|one| one.0 == query) else { return };
        let (_, step, branch) = dialling.resolving.swap_remove(at);
        if dialling.hunt.step() != usize::from(step) {
            return;
        }
        let place = Place { step, branch, attempt: 0 };
        let ways = dialling.ways.iter_mut().find(|one| one.is_of(place));
        let Some((ways, (hop, attempt))) =
            ways.and_then(|ways| ways.asked.take().map(|asked| (ways, asked)))
        else {
            return;
        };
        let mut targets = ordered(answer, &mut core.io.rng);
        targets.retain(|target| core.may_call(*target));
        ways.put_first(hop, &targets);
        // The ways of the first attempt are known by now: they must not be drawn again.
        let next = Place { attempt: attempt.max(1), ..place };
        if let Err(cause) = self.dial_from(core, next, &admitted) {
            self.branch_failed(core, step, cause.status(), cause);
        }
    }
}
