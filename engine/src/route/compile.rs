//! From what was provisioned to a snapshot, with every fault found on the way.

mod relation;
mod sources;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::id::Key;
use crate::plan::E164;

use super::snapshot::{
    Branch, Destination, DestinationIx, Did, DidIx, Extension, ExtensionIx, Kind, Prefix, Snapshot,
    Step, Target, Trunk, TrunkIx,
};
use super::{
    DestinationKind, Fault, GroupSpec, MemberSpec, Provisioning, Strategy, TargetRef, TrunkSpec,
};

/// Ring time of a route step that names one destination. A caller abroad waits no longer;
/// RFC 3261 16.6 timer C (3 minutes) is the outer limit of any ringing.
const DIRECT_RING: Duration = Duration::from_secs(60);
/// Members of one group: one forwarded call must not become a flood of INVITEs.
const MAX_MEMBERS: usize = 100;
/// Steps of one route, overflows included.
const MAX_STEPS: usize = 32;
/// Longest ring time, RFC 3261 16.6: timer C would end it anyway.
const MAX_RING: Duration = Duration::from_secs(180);

pub(super) fn compile(version: u64, from: &Provisioning) -> Result<Snapshot, Vec<Fault>> {
    let mut compiler = Compiler { from, faults: Vec::new(), names: Names::of(from) };
    let trunks: Vec<Trunk> = from.trunks.iter().map(|spec| compiler.trunk(spec)).collect();
    let extensions = compiler.extensions();
    let destinations = compiler.destinations();
    let dids = compiler.dids();
    for group in &from.groups {
        compiler.group(group);
    }
    let sources = compiler.sources();
    let carriers = compiler.carriers();
    let trunk_by_account = compiler.relations();
    compiler.duplicates();
    if !compiler.faults.is_empty() {
        return Err(compiler.faults);
    }
    let did_by_number = index(&dids).map(|(at, did)| (did.number, DidIx(at))).collect();
    let extension_by_user =
        index(&extensions).map(|(at, one)| (one.user.clone(), ExtensionIx(at))).collect();
    Ok(Snapshot {
        version,
        trunks,
        dids,
        destinations,
        extensions,
        did_by_number,
        extension_by_user,
        trunk_by_account,
        sources,
        carriers,
    })
}

fn index<T>(items: &[T]) -> impl Iterator<Item = (u32, &T)> {
    items.iter().enumerate().map(|(at, item)| (at as u32, item))
}

/// Positions by key, so that references cost a look-up.
struct Names<'a> {
    trunks: BTreeMap<&'a str, TrunkIx>,
    customers: BTreeMap<&'a str, bool>,
    dids: BTreeMap<E164, Option<&'a str>>,
    destinations: BTreeMap<&'a str, DestinationIx>,
    groups: BTreeMap<&'a str, &'a GroupSpec>,
    extensions: BTreeMap<&'a str, ExtensionIx>,
}

impl<'a> Names<'a> {
    fn of(from: &'a Provisioning) -> Self {
        Names {
            trunks: index(&from.trunks).map(|(at, one)| (&*one.id, TrunkIx(at))).collect(),
            customers: from.customers.iter().map(|one| (&*one.id, one.active)).collect(),
            dids: from.dids.iter().map(|one| (one.number, one.customer.as_deref())).collect(),
            destinations: index(&from.destinations)
                .map(|(at, one)| (&*one.id, DestinationIx(at)))
                .collect(),
            groups: from.groups.iter().map(|one| (&*one.id, one)).collect(),
            extensions: index(&from.extensions)
                .map(|(at, one)| (&*one.user, ExtensionIx(at)))
                .collect(),
        }
    }
}

struct Compiler<'a> {
    from: &'a Provisioning,
    faults: Vec<Fault>,
    names: Names<'a>,
}

impl<'a> Compiler<'a> {
    fn fault(&mut self, kind: &'static str, key: &str, field: impl Into<String>, message: String) {
        self.faults.push(Fault { kind, key: key.to_owned(), field: field.into(), message });
    }

    fn trunk(&mut self, spec: &TrunkSpec) -> Trunk {
        if let Some(prefix) = spec.prefixes.iter().find(|text| read_prefix(text).is_none()) {
            let message = format!("{prefix:?} is no prefix; write + and up to 15 digits (+819)");
            self.fault("trunk", &spec.id, "prefixes", message);
        }
        let reached = spec.relation.register.is_some()
            || spec.relation.auth_in.is_some()
            || spec.tls_name.is_some();
        if spec.peers.is_empty() && spec.sources.is_empty() && !reached {
            let message = "a trunk needs a peer (to take calls) or a source (to bring them)";
            self.fault("trunk", &spec.id, "peers", message.to_owned());
        }
        for (field, message) in super::terms::faults(spec) {
            self.fault("trunk", &spec.id, field, message);
        }
        let boxed = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
        Trunk {
            key: Key::from(&*spec.id),
            enabled: spec.enabled,
            peers: spec.peers.clone(),
            tls_name: spec.tls_name.as_deref().map(Arc::from),
            large_requests: spec.large_requests,
            channels: spec.channels,
            reserved_incoming: spec.reserved_incoming,
            max_calls_per_second: spec.max_calls_per_second,
            format_in: spec.format_in,
            format_out: spec.format_out,
            digits: spec.digits.clone(),
            uri_out: spec.uri_out,
            did_source: spec.did_source,
            default_did: spec.default_did,
            domain: spec.domain.as_str().into(),
            identity: spec.identity,
            identity_in: spec.identity_in,
            trusted: spec.trusted,
            passed_headers: boxed(&spec.passed_headers),
            session_id: spec.session_id,
            compact_headers: spec.compact_headers,
            max_redirections: spec.max_redirections,
            codecs: boxed(&spec.codecs),
            nat: spec.nat,
            dialog: spec.dialog,
            relation: spec.relation.clone(),
            known: sources::addresses(spec).collect(),
        }
    }

    fn customer(&mut self, kind: &'static str, key: &str, customer: Option<&str>) -> bool {
        match customer {
            None => true,
            Some(id) => self.names.customers.get(id).copied().unwrap_or_else(|| {
                self.fault(kind, key, "customer", format!("there is no customer {id:?}"));
                false
            }),
        }
    }

    fn extensions(&mut self) -> Vec<Extension> {
        let from = self.from;
        from.extensions
            .iter()
            .map(|spec| {
                self.customer("extension", &spec.user, spec.customer.as_deref());
                if let Some(number) = spec.presented {
                    self.presented(&spec.user, number, spec.customer.as_deref());
                }
                Extension {
                    user: Key::from(&*spec.user),
                    secret: spec.secret.clone(),
                    enabled: spec.enabled,
                    customer: spec.customer.as_deref().map(Key::from),
                    presented: spec.presented,
                }
            })
            .collect()
    }

    /// A customer presents only a number that it holds.
    fn presented(&mut self, user: &str, number: E164, customer: Option<&str>) {
        let message = match self.names.dids.get(&number) {
            None => format!("{number} is no DID of this system"),
            Some(holder) if *holder != customer => {
                format!("{number} belongs to another customer than the extension")
            }
            Some(_) => return,
        };
        self.fault("extension", user, "presented_did", message);
    }

    fn destinations(&mut self) -> Vec<Destination> {
        let from = self.from;
        from.destinations
            .iter()
            .map(|spec| {
                let trunk = spec.trunk.as_deref().and_then(|id| {
                    let found = self.names.trunks.get(id).copied();
                    if found.is_none() {
                        let message = format!("there is no trunk {id:?}");
                        self.fault("destination", &spec.id, "trunk", message);
                    }
                    found
                });
                let kind = match &spec.kind {
                    DestinationKind::Number(number) => Kind::Number(*number),
                    DestinationKind::Uri(uri) => Kind::Uri(uri.as_str().into()),
                    DestinationKind::Extension(user) => {
                        Kind::Extension(self.extension("destination", &spec.id, "extension", user))
                    }
                };
                Destination { key: Key::from(&*spec.id), kind, identity: spec.identity, trunk }
            })
            .collect()
    }

    /// The position of an extension; position 0 after a fault, which no snapshot outlives.
    fn extension(&mut self, kind: &'static str, key: &str, field: &str, user: &str) -> ExtensionIx {
        self.names.extensions.get(user).copied().unwrap_or_else(|| {
            self.fault(kind, key, field, format!("there is no extension {user:?}"));
            ExtensionIx(0)
        })
    }

    fn dids(&mut self) -> Vec<Did> {
        let from = self.from;
        from.dids
            .iter()
            .map(|spec| {
                let key = spec.number.to_string();
                let customer_active = self.customer("did", &key, spec.customer.as_deref());
                let mut steps = Vec::new();
                for (at, target) in spec.route.iter().enumerate() {
                    self.steps(("did", &key, &format!("route[{at}].ring")), target, &mut steps);
                }
                Did {
                    number: spec.number,
                    customer: spec.customer.as_deref().map(Key::from),
                    customer_active,
                    active: spec.active,
                    max_calls: spec.max_calls,
                    presented_name: spec.presented_name.as_str().into(),
                    route: Arc::from(steps),
                }
            })
            .collect()
    }

    /// Appends the steps of `target`, following overflows.
    fn steps(
        &mut self,
        place: (&'static str, &str, &str),
        target: &TargetRef,
        out: &mut Vec<Step>,
    ) {
        let (kind, key, field) = place;
        let mut seen: Vec<&str> = Vec::new();
        let mut next = Some(target.clone());
        while let Some(target) = next.take() {
            if out.len() == MAX_STEPS {
                self.fault(kind, key, field, format!("a route has at most {MAX_STEPS} steps"));
                return;
            }
            let TargetRef::Group(id) = &target else {
                if let Some(target) = self.single((kind, key, field), &target) {
                    let branch = Branch { target, delay: Duration::ZERO, ring: DIRECT_RING };
                    let branches = Box::from([branch]);
                    let (group, strategy) = (None, Strategy::Simultaneous);
                    out.push(Step { group, strategy, ends_on_decline: false, branches });
                }
                return;
            };
            let Some(group) = self.names.groups.get(id.as_str()).copied() else {
                self.fault(kind, key, field, format!("there is no group {id:?}"));
                return;
            };
            if seen.contains(&&*group.id) {
                let message = format!("the overflow of group {id:?} leads back to it");
                self.fault(kind, key, field, message);
                return;
            }
            seen.push(&group.id);
            out.push(self.group_step(group));
            next = group.overflow.clone();
        }
    }

    fn group_step(&mut self, group: &GroupSpec) -> Step {
        let branches = group
            .members
            .iter()
            .filter_map(|member| {
                let target = match &member.target {
                    TargetRef::Destination(id) => {
                        Target::Destination(*self.names.destinations.get(id.as_str())?)
                    }
                    TargetRef::Extension(user) => {
                        Target::Extension(*self.names.extensions.get(user.as_str())?)
                    }
                    TargetRef::Group(_) => return None,
                };
                let ring = if member.ring.is_zero() { group.ring } else { member.ring };
                Some(Branch { target, delay: member.delay, ring })
            })
            .collect();
        let GroupSpec { strategy, ends_on_decline, .. } = *group;
        Step { group: Some(Key::from(&*group.id)), strategy, ends_on_decline, branches }
    }

    fn single(&mut self, place: (&'static str, &str, &str), target: &TargetRef) -> Option<Target> {
        let (kind, key, field) = place;
        match target {
            TargetRef::Destination(id) => {
                let found = self.names.destinations.get(id.as_str()).copied();
                if found.is_none() {
                    self.fault(kind, key, field, format!("there is no destination {id:?}"));
                }
                found.map(Target::Destination)
            }
            TargetRef::Extension(user) => {
                Some(Target::Extension(self.extension(kind, key, field, user)))
            }
            TargetRef::Group(id) => {
                self.fault(kind, key, field, format!("group {id:?} cannot stand here"));
                None
            }
        }
    }

    fn group(&mut self, group: &GroupSpec) {
        let count = group.members.len();
        if count == 0 || count > MAX_MEMBERS {
            let message = format!("a group has 1 to {MAX_MEMBERS} members, this one has {count}");
            self.fault("group", &group.id, "members", message);
        }
        if group.ring.is_zero() || group.ring > MAX_RING {
            let message = format!("ring time is 1 to {} seconds", MAX_RING.as_secs());
            self.fault("group", &group.id, "ring_seconds", message);
        }
        for (at, member) in group.members.iter().enumerate() {
            self.member(group, at, member);
        }
        if let Some(overflow) = &group.overflow {
            self.steps(("group", &group.id, "overflow"), overflow, &mut Vec::new());
        }
    }

    fn member(&mut self, group: &GroupSpec, at: usize, member: &MemberSpec) {
        let ring = format!("members[{at}].ring");
        if matches!(member.target, TargetRef::Group(_)) {
            let message = "a member is a destination or an extension, not a group".to_owned();
            self.fault("group", &group.id, ring, message);
        } else {
            self.single(("group", &group.id, &ring), &member.target);
        }
        if member.ring > MAX_RING || member.delay > MAX_RING {
            let message = format!("delay and ring time are at most {} seconds", MAX_RING.as_secs());
            self.fault("group", &group.id, format!("members[{at}].ring_seconds"), message);
        }
    }

    fn carriers(&mut self) -> Vec<(Prefix, TrunkIx)> {
        let mut carriers = Vec::new();
        for (at, spec) in index(&self.from.trunks) {
            if !spec.enabled || spec.peers.is_empty() {
                continue;
            }
            if spec.prefixes.is_empty() {
                carriers.push((Prefix { digits: 0, len: 0 }, TrunkIx(at)));
            }
            carriers.extend(
                spec.prefixes.iter().filter_map(|text| Some((read_prefix(text)?, TrunkIx(at)))),
            );
        }
        let trunks = &self.from.trunks;
        carriers.sort_by_key(|(prefix, at)| {
            (u32::MAX - prefix.len, trunks[at.0 as usize].priority, at.0)
        });
        carriers
    }

    fn duplicates(&mut self) {
        let from = self.from;
        let keys = |kind, keys: Vec<String>| (kind, keys);
        for (kind, mut keys) in [
            keys("trunk", from.trunks.iter().map(|one| one.id.clone()).collect()),
            keys("customer", from.customers.iter().map(|one| one.id.clone()).collect()),
            keys("did", from.dids.iter().map(|one| one.number.to_string()).collect()),
            keys("destination", from.destinations.iter().map(|one| one.id.clone()).collect()),
            keys("group", from.groups.iter().map(|one| one.id.clone()).collect()),
            keys("extension", from.extensions.iter().map(|one| one.user.clone()).collect()),
        ] {
            keys.sort();
            for pair in keys.windows(2) {
                if pair[0] == pair[1] {
                    self.fault(kind, &pair[0], "id", "stands here twice".to_owned());
                }
            }
        }
    }
}

fn read_prefix(text: &str) -> Option<Prefix> {
    let digits = text.strip_prefix('+')?;
    let plain = !digits.is_empty() && digits.len() <= 15 && !digits.starts_with('0');
    if !plain || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Prefix { digits: digits.parse().ok()?, len: u32::try_from(digits.len()).ok()? })
}
