//! Document by document: into the engine's values, with every fault of the document at once.

use std::time::Duration;

use tensou_engine::Secret;
use tensou_engine::route::{
    CustomerSpec, DestinationKind, DestinationSpec, DidSpec, ExtensionSpec, Fault, GroupSpec,
    MemberSpec, Strategy,
};

use super::fields::Faults;
use super::schedule;
pub(crate) use super::trunk::trunk;
use crate::model::{Customer, Destination, Did, Extension, Group, Member, Schedule};

/// Most members of a hunt group: a call forks to all of them at once.
const MAX_MEMBERS: usize = 100;
/// RFC 3261 16.6: timer C ends any ringing after three minutes.
const MAX_RING_SECONDS: u32 = 180;
/// Most steps of a route; one caller does not wait longer.
const MAX_STEPS: usize = 20;
/// Most peers, sources or prefixes of a trunk.
const MAX_LIST: usize = 256;
/// Shorter passwords of extensions are found by the scanners that try every SIP port.
pub(crate) const MIN_SECRET: usize = 8;

const STRATEGIES: &[(&str, Strategy)] =
    &[("simultaneous", Strategy::Simultaneous), ("sequential", Strategy::Sequential)];
/// Only an active DID takes calls.
const DID_STATES: &[(&str, bool)] = &[
    ("free", false),
    ("reserved", false),
    ("active", true),
    ("suspended", false),
    ("quarantine", false),
];
const CUSTOMER_STATES: &[(&str, bool)] = &[("active", true), ("suspended", false)];
const CLOSING_DAYS: [u8; 6] = [5, 10, 15, 20, 25, 31];

/// What a document became: the value unless a fault made it impossible.
pub(crate) struct Converted<S> {
    pub(crate) spec: Option<S>,
    pub(crate) faults: Vec<Fault>,
}

pub(crate) fn customer(row: &Customer) -> Converted<CustomerSpec> {
    let mut faults = Faults::of("customer", &row.id);
    faults.id("id", &row.id);
    faults.line("name", &row.name);
    if row.name.trim().is_empty() {
        faults.add("name", "a customer needs a name");
    }
    faults.line("kana", &row.kana);
    for (at, contact) in row.contacts.iter().enumerate() {
        faults.line(&format!("contacts[{at}]"), contact);
    }
    if !CLOSING_DAYS.contains(&row.closing_day) {
        let message = format!("5, 10, 15, 20, 25 or 31 (end of month), not {}", row.closing_day);
        faults.add("closing_day", message);
    }
    let active = faults.word("state", &row.state, CUSTOMER_STATES);
    if let Some(reseller) = &row.reseller {
        faults.id("reseller", reseller);
    }
    faults.text("note", &row.note);
    whole(faults, CustomerSpec { id: row.id.clone(), active: active.unwrap_or_default() })
}

pub(crate) fn did(row: &Did) -> Converted<DidSpec> {
    let mut faults = Faults::of("did", &row.number);
    let number = faults.number("number", &row.number);
    let active = faults.word("state", &row.state, DID_STATES).unwrap_or_default();
    if let Some(day) = &row.quarantine_until {
        schedule::check_date(&mut faults, "quarantine_until", day);
    }
    if row.route.len() > MAX_STEPS {
        faults.add("route", format!("at most {MAX_STEPS} steps"));
    }
    let mut route = Vec::with_capacity(row.route.len());
    for (at, step) in row.route.iter().enumerate() {
        route.extend(faults.target(&format!("route[{at}].ring"), &step.ring));
    }
    faults.line("presented_name", &row.presented_name);
    faults.text("note", &row.note);
    let Some(number) = number else { return Converted { spec: None, faults: faults.list } };
    let spec = DidSpec {
        number,
        customer: row.customer.clone(),
        active,
        route,
        max_calls: row.max_calls,
        presented_name: row.presented_name.clone(),
    };
    whole(faults, spec)
}

pub(crate) fn destination(row: &Destination) -> Converted<DestinationSpec> {
    let mut faults = Faults::of("destination", &row.id);
    faults.id("id", &row.id);
    faults.line("name", &row.name);
    let number = faults.number_if("number", row.number.as_deref());
    if let Some(uri) = &row.uri {
        check_uri(&mut faults, uri);
    }
    let kind = match (&row.number, &row.uri, &row.extension) {
        (Some(_), None, None) => number.map(DestinationKind::Number),
        (None, Some(uri), None) => Some(DestinationKind::Uri(uri.clone())),
        (None, None, Some(user)) => Some(DestinationKind::Extension(user.clone())),
        _ => {
            faults.add("number", "give exactly one of number, uri and extension");
            None
        }
    };
    if row.extension.is_some() && row.trunk.is_some() {
        faults.add("trunk", "an extension is rung directly, not by a trunk");
    }
    let identity = super::trunk::identity(&mut faults, &row.identity);
    let Some(kind) = kind else { return Converted { spec: None, faults: faults.list } };
    let trunk = row.trunk.clone();
    whole(faults, DestinationSpec { id: row.id.clone(), kind, identity, trunk })
}

pub(crate) fn group(row: &Group) -> Converted<GroupSpec> {
    let mut faults = Faults::of("group", &row.id);
    faults.id("id", &row.id);
    faults.line("name", &row.name);
    let strategy = faults.word("strategy", &row.strategy, STRATEGIES);
    faults.range("ring_seconds", row.ring_seconds, 1..=MAX_RING_SECONDS);
    if row.members.is_empty() || row.members.len() > MAX_MEMBERS {
        faults.add("members", format!("1 to {MAX_MEMBERS} members"));
    }
    let mut members = Vec::with_capacity(row.members.len());
    for (at, given) in row.members.iter().enumerate() {
        members.extend(member(&mut faults, at, given));
    }
    let overflow = row.overflow.as_ref().and_then(|text| faults.target("overflow", text));
    let spec = GroupSpec {
        id: row.id.clone(),
        strategy: strategy.unwrap_or_default(),
        members,
        ring: Duration::from_secs(row.ring_seconds.into()),
        ends_on_decline: row.ends_on_decline,
        overflow,
    };
    whole(faults, spec)
}

fn member(faults: &mut Faults, at: usize, row: &Member) -> Option<MemberSpec> {
    faults.range(&format!("members[{at}].delay_seconds"), row.delay_seconds, 0..=120);
    faults.range(&format!("members[{at}].ring_seconds"), row.ring_seconds, 0..=MAX_RING_SECONDS);
    let target = faults.target(&format!("members[{at}].ring"), &row.ring)?;
    Some(MemberSpec {
        target,
        delay: Duration::from_secs(row.delay_seconds.into()),
        ring: Duration::from_secs(row.ring_seconds.into()),
    })
}

pub(crate) fn extension(row: &Extension) -> Converted<ExtensionSpec> {
    let mut faults = Faults::of("extension", &row.user);
    faults.id("user", &row.user);
    let secret = row.secret.as_deref().unwrap_or_default();
    if secret.len() < MIN_SECRET {
        faults.add("secret", format!("a password of at least {MIN_SECRET} characters"));
    }
    faults.line("secret", secret);
    faults.line("name", &row.name);
    let presented = faults.number_if("presented_did", row.presented_did.as_deref());
    let spec = ExtensionSpec {
        user: row.user.clone(),
        secret: Secret::new(secret),
        enabled: row.enabled,
        customer: row.customer.clone(),
        presented,
    };
    whole(faults, spec)
}

pub(crate) fn schedule(row: &Schedule) -> Vec<Fault> {
    let mut faults = Faults::of("schedule", &row.id);
    faults.id("id", &row.id);
    faults.line("name", &row.name);
    schedule::check(&mut faults, row);
    faults.list
}

/// Converts each text of a list; those that are none are named by their place.
pub(super) fn each<T>(
    faults: &mut Faults,
    field: &str,
    texts: &[String],
    read: impl Fn(&mut Faults, &str, &str) -> Option<T>,
) -> Vec<T> {
    if texts.len() > MAX_LIST {
        faults.add(field, format!("at most {MAX_LIST}"));
    }
    let mut values = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        values.extend(read(faults, &format!("{field}[{at}]"), text));
    }
    values
}

/// Only what would damage the request it is copied into; the engine judges the rest.
fn check_uri(faults: &mut Faults, uri: &str) {
    let scheme = uri.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:"));
    let clean = uri.chars().all(|ch| ch.is_ascii_graphic() && !matches!(ch, '<' | '>' | '"'));
    if !scheme || !clean || uri.len() <= 4 || uri.len() > 256 {
        faults.add("uri", format!("\"{uri}\" is no SIP URI (sip:user@host:port)"));
    }
}

pub(super) fn whole<S>(faults: Faults, spec: S) -> Converted<S> {
    let faults = faults.list;
    Converted { spec: faults.is_empty().then_some(spec), faults }
}
