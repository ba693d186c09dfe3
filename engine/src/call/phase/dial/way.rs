//! Ways to a callee: by a trunk and its peers, by a URI, by the contacts of a phone.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::call::leg::Place;
use crate::call::{Call, Source};
use crate::cause::Cause;
use crate::core::Core;
use crate::input::{Flow, Output, ResolveId, Transport};
use crate::route::{Target, TrunkIx, Way, Writing};
use crate::sip::dialog::address_of;
use crate::sip::syntax::Uri;
use crate::usage::Bound;

use super::Admitted;
use super::invite::Route;

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

    /// Dials one branch from its `attempt`th way on: the ways before have failed.
    pub(in crate::call::phase) fn dial_from(
        &mut self,
        core: &mut Core,
        place: Place,
        admitted: &Admitted,
    ) -> Result<(), Cause> {
        let Some(dialling) = self.dialling() else { return Err(Cause::Cancelled) };
        let branch = dialling.hunt.branch(usize::from(place.branch)).ok_or(Cause::Failure)?;
        let (target, ring) = (branch.target.clone(), branch.ring);
        let routing = self.routing.clone();
        match routing.snapshot.way_of(&target) {
            Way::Gone => Err(Cause::Unallocated),
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
                let contacts: Vec<(String, Flow, Vec<Box<str>>)> =
                    (core.registrar.contacts(extension.user.as_str()))
                        .iter()
                        .map(|phone| (phone.target().to_owned(), phone.flow, phone.path.to_vec()))
                        .collect();
                if contacts.is_empty() || !extension.enabled {
                    return Err(Cause::Absent);
                }
                for (uri, flow, routes) in contacts {
                    let route = Route {
                        place,
                        destination: routing.snapshot.target_key(&target),
                        identity: routing.snapshot.identity_of(&target),
                        uri,
                        routes,
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
        // A DID that forwards to itself.
        if self.record.did == Some(number) && matches!(self.source, Source::Trunk(_)) {
            return Err(Cause::Loop);
        }
        let routing = self.routing.clone();
        let snapshot = &routing.snapshot;
        let tail = match (self.dialling(), target) {
            (Some(dialling), Target::Number(_)) => dialling.tail.clone(),
            _ => String::new(),
        };
        let tail = tail.as_str();
        let carriers =
            forced.into_iter().chain(snapshot.carriers_of(number).filter(|_| forced.is_none()));
        let ways =
            carriers.flat_map(|at| snapshot.trunk(at).targets.iter().map(move |peer| (at, *peer)));
        // A peer that is down is tried when all others have failed.
        let mut ways: Vec<_> = ways.collect();
        ways.sort_by_key(|(_, peer)| core.trunks.is_down(*peer));
        let mut full = false;
        for (attempt, (at, peer)) in ways.into_iter().enumerate().skip(usize::from(place.attempt)) {
            let trunk = snapshot.trunk(at);
            if !trunk.enabled {
                continue;
            }
            let now = core.io.now.mono;
            let Ok(channel) = core.usage.take(routing.slot(at), Bound::Out, now) else {
                full = true;
                continue;
            };
            let writing = Writing::of_trunk(trunk, &core.config.domain);
            let user = writing.called(number);
            let uri = writing.request_uri(&user, tail, &peer.to_string());
            let listener = core.listener_for(peer);
            let route = Route {
                place: Place { attempt: attempt as u16, ..place },
                destination: snapshot.target_key(target),
                identity: snapshot.identity_of(target),
                uri,
                routes: Vec::new(),
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
            if let Some(dialling) = self.dialling_mut() {
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
            Some(at) => {
                let now = core.io.now.mono;
                let channel = core.usage.take(routing.slot(at), Bound::Out, now);
                Some(channel.map_err(|_| Cause::NoChannel)?)
            }
            None => None,
        };
        let user = Uri::parse(uri).ok().and_then(|uri| uri.user.map(str::to_owned));
        let listener = core.listener_for(remote);
        let route = Route {
            place,
            destination: routing.snapshot.target_key(target),
            identity: routing.snapshot.identity_of(target),
            uri: uri.to_owned(),
            routes: Vec::new(),
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
        let Some(dialling) = self.dialling_mut() else { return };
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
}
