//! Document by document: into the engine's values, with every fault of the document at once.

use std::time::Duration;

use tensou_engine::Secret;
use tensou_engine::plan::NumberFormat;
use tensou_engine::route::{
    CustomerSpec, DestinationKind, DestinationSpec, DidSource, DidSpec, ExtensionSpec, Fault,
    GroupSpec, IdentityPolicy, MemberSpec, Presented, Strategy, TrunkSpec,
};

use super::draft::HostPort;
use super::fields::Faults;
use super::schedule;
use crate::model::{Customer, Destination, Did, Extension, Group, Member, Schedule, Trunk};

/// Most members of a hunt group: a call forks to all of them at once.
const MAX_MEMBERS: usize = 100;
/// RFC 3261 16.6: timer C ends any ringing after three minutes.
const MAX_RING_SECONDS: u32 = 180;
/// Most steps of a route; one caller does not wait longer.
const MAX_STEPS: usize = 20;
/// Most peers, sources or prefixes of a trunk.
const MAX_LIST: usize = 256;
/// Shorter passwords of extensions are found by the scanners that try every SIP port.
const MIN_SECRET: usize = 8;

const FORMATS_IN: &[(&str, NumberFormat)] = &[
    ("auto", NumberFormat::Auto),
    ("national", NumberFormat::National),
    ("e164", NumberFormat::E164),
    ("e164_no_plus", NumberFormat::E164NoPlus),
];
const FORMATS_OUT: &[(&str, NumberFormat)] = &[
    ("national", NumberFormat::National),
    ("e164", NumberFormat::E164),
    ("e164_no_plus", NumberFormat::E164NoPlus),
];
const DID_SOURCES: &[(&str, DidSource)] = &[
    ("ruri", DidSource::RequestUri),
    ("to", DidSource::To),
    ("p_called_party_id", DidSource::PCalledPartyId),
    ("diversion", DidSource::Diversion),
];
const PRESENTED: &[(&str, Presented)] =
    &[("caller", Presented::Caller), ("did", Presented::Did), ("none", Presented::None)];
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

pub(crate) fn trunk(row: &Trunk) -> Converted<(TrunkSpec, Vec<HostPort>)> {
    let mut faults = Faults::of("trunk", &row.id);
    faults.id("id", &row.id);
    faults.line("name", &row.name);
    let peers = each(&mut faults, "peers", &row.peers, |to, field, text| to.peer(field, text));
    let sources =
        each(&mut faults, "sources", &row.sources, |to, field, text| to.source(field, text));
    each(&mut faults, "prefixes", &row.prefixes, prefix);
    let format_in = faults.word("number_format_in", &row.number_format_in, FORMATS_IN);
    let format_out = faults.word("number_format_out", &row.number_format_out, FORMATS_OUT);
    let did_source = faults.word("did_source", &row.did_source, DID_SOURCES);
    let default_did = faults.number_if("default_did", row.default_did.as_deref());
    let from = faults.word("identity.from", &row.identity.from, PRESENTED);
    let asserted = faults.word("identity.asserted", &row.identity.asserted, PRESENTED);
    let spec = TrunkSpec {
        id: row.id.clone(),
        enabled: row.enabled,
        peers: Vec::new(),
        sources,
        channels: row.channels,
        prefixes: row.prefixes.clone(),
        priority: row.priority,
        format_in: format_in.unwrap_or_default(),
        format_out: format_out.unwrap_or_default(),
        did_source: did_source.unwrap_or_default(),
        default_did,
        identity: IdentityPolicy {
            from: from.unwrap_or_default(),
            asserted: asserted.unwrap_or_default(),
            diversion: row.identity.diversion,
        },
        trusted: row.trusted,
        nat: row.nat,
    };
    whole(faults, (spec, peers))
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
    let Some(kind) = kind else { return Converted { spec: None, faults: faults.list } };
    whole(faults, DestinationSpec { id: row.id.clone(), kind, trunk: row.trunk.clone() })
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
fn each<T>(
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

fn prefix(faults: &mut Faults, field: &str, text: &str) -> Option<()> {
    let digits = text.strip_prefix('+').unwrap_or_default();
    let right = (1..=15).contains(&digits.len()) && digits.chars().all(|ch| ch.is_ascii_digit());
    if !right {
        faults.add(field, format!("\"{text}\" is no prefix of an E.164 number (+81, +8190)"));
    }
    right.then_some(())
}

/// Only what would damage the request it is copied into; the engine judges the rest.
fn check_uri(faults: &mut Faults, uri: &str) {
    let scheme = uri.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:"));
    let clean = uri.chars().all(|ch| ch.is_ascii_graphic() && !matches!(ch, '<' | '>' | '"'));
    if !scheme || !clean || uri.len() <= 4 || uri.len() > 256 {
        faults.add("uri", format!("\"{uri}\" is no SIP URI (sip:user@host:port)"));
    }
}

fn whole<S>(faults: Faults, spec: S) -> Converted<S> {
    let faults = faults.list;
    Converted { spec: faults.is_empty().then_some(spec), faults }
}
