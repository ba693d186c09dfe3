//! The document of a trunk into the engine's value.

use tensou_engine::plan::{DigitEdit, DigitEdits, NumberFormat, UriForm};
use tensou_engine::route::{
    DidSource, IdentityOverride, IdentityPolicy, IdentityRead, LargeRequests, MAX_REDIRECTIONS,
    Presented, ShownName, TrunkSpec,
};

use super::convert::{Converted, each, whole};
use super::dialog;
use super::fields::{Faults, unknown_word};
use super::relation::relation;
use super::{peers, profile};
use crate::model::{self, Identity, IdentityIn, Trunk};

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
const URI_FORMS: &[(&str, UriForm)] =
    &[("sip", UriForm::Sip), ("user_phone", UriForm::UserPhone), ("tel", UriForm::Tel)];
const DID_SOURCES: &[(&str, DidSource)] = &[
    ("ruri", DidSource::RequestUri),
    ("to", DidSource::To),
    ("p_called_party_id", DidSource::PCalledPartyId),
    ("diversion", DidSource::Diversion),
    ("history_info", DidSource::HistoryInfo),
];
const LARGE_REQUESTS: &[(&str, LargeRequests)] =
    &[("tcp", LargeRequests::Tcp), ("udp", LargeRequests::Udp)];
const PRESENTED: &[(&str, Presented)] =
    &[("caller", Presented::Caller), ("did", Presented::Did), ("none", Presented::None)];
const SHOWN_NAMES: &[(&str, ShownName)] =
    &[("caller", ShownName::Caller), ("did", ShownName::Did), ("none", ShownName::None)];

/// Converts a trunk with its profile.
pub(crate) fn trunk(row: &Trunk) -> Converted<TrunkSpec> {
    let mut faults = Faults::of("trunk", &row.id);
    let completed = profile::completed(row);
    if let (None, Some(profile)) = (&completed, &row.profile) {
        faults.add("profile", unknown_word(profile, &profile::names()));
    }
    let row = completed.as_ref().unwrap_or(row);
    faults.id("id", &row.id);
    faults.line("name", &row.name);
    let peers = peers::all(&mut faults, &row.peers);
    faults.host_if("tls_name", row.tls_name.as_deref());
    let large = faults.word_if("large_requests", &row.large_requests, LARGE_REQUESTS);
    let sources =
        each(&mut faults, "sources", &row.sources, |to, field, text| to.source(field, text));
    each(&mut faults, "prefixes", &row.prefixes, prefix);
    let format_in = faults.word_if("number_format_in", &row.number_format_in, FORMATS_IN);
    let format_out = faults.word_if("number_format_out", &row.number_format_out, FORMATS_OUT);
    let uri_out = faults.word_if("number_uri_out", &row.number_uri_out, URI_FORMS);
    let did_source = faults.word_if("did_source", &row.did_source, DID_SOURCES);
    let default_did = faults.number_if("default_did", row.default_did.as_deref());
    faults.host_if("domain", row.domain.as_deref());
    let wanted = identity(&mut faults, &row.identity);
    if let Some(most) = row.max_redirections {
        faults.range("max_redirections", most, 1..=70);
    }
    let relation = relation(&mut faults, row);
    let dialog = dialog::policy(&mut faults, row);
    let spec = TrunkSpec {
        id: row.id.clone(),
        enabled: row.enabled,
        peers,
        peer_addresses: Vec::new(),
        tls_name: row.tls_name.as_deref().map(str::to_ascii_lowercase),
        large_requests: large.unwrap_or_default(),
        sources,
        channels: row.channels,
        reserved_incoming: row.reserved_incoming,
        max_calls_per_second: row.max_calls_per_second,
        prefixes: row.prefixes.clone(),
        priority: row.priority,
        format_in: format_in.unwrap_or_default(),
        format_out: format_out.unwrap_or(NumberFormat::National),
        digits: digits(&row.digits),
        uri_out: uri_out.unwrap_or_default(),
        did_source: did_source.unwrap_or_default(),
        default_did,
        domain: row.domain.clone().unwrap_or_default(),
        identity: IdentityPolicy::default().with(&wanted),
        identity_in: identity_in(&row.identity_in),
        trusted: row.trusted,
        passed_headers: row.passed_headers.clone(),
        session_id: row.session_id.unwrap_or_default(),
        compact_headers: row.compact_headers.unwrap_or_default(),
        max_redirections: (row.max_redirections)
            .map_or(MAX_REDIRECTIONS, |most| u8::try_from(most).unwrap_or(MAX_REDIRECTIONS)),
        codecs: row.codecs.clone().unwrap_or_default(),
        nat: row.nat,
        relation,
        dialog,
    };
    whole(faults, spec)
}

/// What is said about identity headers, of a trunk or of a destination.
pub(crate) fn identity(faults: &mut Faults, row: &Identity) -> IdentityOverride {
    let presented = |faults: &mut Faults, field: &str, word: &Option<String>| {
        faults.word_if(&format!("identity.{field}"), word, PRESENTED)
    };
    IdentityOverride {
        from: presented(faults, "from", &row.from),
        display: faults.word_if("identity.display", &row.display, SHOWN_NAMES),
        asserted: presented(faults, "asserted", &row.asserted),
        preferred: presented(faults, "preferred", &row.preferred),
        remote_party_id: presented(faults, "remote_party_id", &row.remote_party_id),
        privacy: row.privacy,
        diversion: row.diversion,
        history_info: row.history_info,
    }
}

fn identity_in(row: &IdentityIn) -> IdentityRead {
    let usual = IdentityRead::default();
    IdentityRead {
        display: row.display.unwrap_or(usual.display),
        asserted: row.asserted.unwrap_or(usual.asserted),
        remote_party_id: row.remote_party_id.unwrap_or(usual.remote_party_id),
        preferred: row.preferred.unwrap_or(usual.preferred),
        privacy: row.privacy.unwrap_or(usual.privacy),
        diversion: row.diversion.unwrap_or(usual.diversion),
        history_info: row.history_info.unwrap_or(usual.history_info),
    }
}

fn digits(row: &model::Digits) -> DigitEdits {
    let edit = |row: &Option<model::DigitEdit>| {
        row.as_ref().map_or_else(DigitEdit::default, |edit| DigitEdit {
            strip: edit.strip.clone(),
            add: edit.add.clone(),
        })
    };
    DigitEdits {
        called_in: edit(&row.called_in),
        caller_in: edit(&row.caller_in),
        called_out: edit(&row.called_out),
        caller_out: edit(&row.caller_out),
    }
}

fn prefix(faults: &mut Faults, field: &str, text: &str) -> Option<()> {
    let digits = text.strip_prefix('+').unwrap_or_default();
    let right = (1..=15).contains(&digits.len()) && digits.chars().all(|ch| ch.is_ascii_digit());
    if !right {
        faults.add(field, format!("\"{text}\" is no prefix of an E.164 number (+81, +8190)"));
    }
    right.then_some(())
}
