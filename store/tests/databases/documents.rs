//! The whole provisioning at once.

use tensou_engine::plan::{DigitEdit, NumberFormat, UriForm};
use tensou_engine::route::{DidSource, IdentityPolicy, Presented, ShownName, Snapshot};
use tensou_store::model::{Did, Document, RouteStep, Trunk};
use tensou_store::{
    Format, ImportReport, Scope, StoreError, locate, parse_document, render_document,
};

use crate::bench::{Bench, admin, operator, places};

crate::cases!(
    the_example_imports_cleanly_and_compiles,
    an_export_imports_back_identically,
    an_import_is_all_or_nothing,
    a_dry_run_judges_and_writes_nothing,
    an_import_keeps_what_it_does_not_name,
    an_import_updates_only_what_differs,
    an_import_names_every_fault_and_its_line,
    an_export_shows_secrets_only_when_asked,
    the_terms_of_a_trunk_are_stored_and_read_back,
    what_a_trunk_leaves_out_is_as_its_profile_has_it,
    wrong_terms_are_named_where_they_stand,
    a_name_without_address_costs_its_trunk_that_peer_only,
);

async fn the_example_imports_cleanly_and_compiles(bench: Bench) {
    let document = operator();
    let report = bench.store.import(&admin(), &document, false).await.unwrap();
    assert_eq!(report, ImportReport { created: 28, updated: 0, unchanged: 0 });
    let loaded = bench.store.provisioning().await.unwrap();
    assert_eq!(loaded.faults, []);
    assert_eq!(loaded.revision, bench.store.revision().await.unwrap());
    let from = &loaded.provisioning;
    let counts = (from.trunks.len(), from.dids.len(), from.groups.len(), from.extensions.len());
    assert_eq!(counts, (2, 8, 4, 3));
    assert_eq!(from.trunks[1].peers.len() + from.trunks[0].peers.len(), 3);
    let snapshot = Snapshot::compile(loaded.revision, from).unwrap();
    assert_eq!(snapshot.version(), loaded.revision);
}

async fn an_export_imports_back_identically(bench: Bench) {
    let bench = bench.with_operator().await;
    let exported = bench.store.export(true).await.unwrap();
    for format in [Format::Toml, Format::Json] {
        let text = render_document(&exported, format).unwrap();
        assert_eq!(parse_document(&text, format).unwrap(), exported);
        let empty = Bench::sqlite().await;
        let read = parse_document(&text, format).unwrap();
        empty.store.import(&admin(), &read, false).await.unwrap();
        assert_eq!(empty.store.export(true).await.unwrap(), exported);
        let again = bench.store.import(&admin(), &read, false).await.unwrap();
        assert_eq!(again, ImportReport { created: 0, updated: 0, unchanged: 28 });
    }
}

async fn an_import_is_all_or_nothing(bench: Bench) {
    let mut document = operator();
    document.dids[7].route = vec![RouteStep { ring: "destination:gone".into() }];
    let found = places(bench.store.import(&admin(), &document, false).await);
    assert_eq!(found, ["did +81312004001 route[0].ring"]);
    assert_eq!(bench.store.export(true).await.unwrap(), Document::default());
    assert_eq!(bench.number("SELECT COUNT(*) FROM audit").await, 0);
}

async fn a_dry_run_judges_and_writes_nothing(bench: Bench) {
    let report = bench.store.import(&admin(), &operator(), true).await.unwrap();
    assert_eq!(report.created, 28);
    assert_eq!(bench.store.export(true).await.unwrap(), Document::default());
    let revision = bench.store.revision().await.unwrap();
    let mut wrong = operator();
    wrong.trunks[0].did_source = Some("header".into());
    let found = places(bench.store.import(&admin(), &wrong, true).await);
    assert_eq!(found, ["trunk ins1500-1 did_source"]);
    assert_eq!(bench.store.revision().await.unwrap(), revision);
}

async fn an_import_keeps_what_it_does_not_name(bench: Bench) {
    let bench = bench.with_operator().await;
    let did = Did { number: "03-1200-5000".into(), ..operator().dids[7].clone() };
    let one = Document { dids: vec![did], ..Document::default() };
    let report = bench.store.import(&admin(), &one, false).await.unwrap();
    assert_eq!(report, ImportReport { created: 1, updated: 0, unchanged: 0 });
    let all = bench.store.export(false).await.unwrap();
    assert_eq!((all.dids.len(), all.trunks.len()), (9, 2));
}

async fn an_import_updates_only_what_differs(bench: Bench) {
    let bench = bench.with_operator().await;
    let mut document = operator();
    document.trunks[0].channels = 46;
    document.extensions.iter_mut().for_each(|extension| extension.secret = None);
    let report = bench.store.import(&admin(), &document, false).await.unwrap();
    assert_eq!(report, ImportReport { created: 0, updated: 1, unchanged: 27 });
    let trunk = bench.store.get::<Trunk>("ins1500-1", &Scope::All).await.unwrap().unwrap();
    assert_eq!((trunk.version, trunk.row.channels), (2, 46));
    let kept = bench.store.export(true).await.unwrap();
    assert!(kept.extensions.iter().all(|extension| extension.secret.is_some()));
}

async fn an_import_names_every_fault_and_its_line(bench: Bench) {
    let text = "[[dids]]\nnumber = \"03-1200-1000\"\nroute = [{ ring = \"group:a\" }]\n\n\
                [[dids]]\nnumber = \"0312001000\"\n\n\
                [[trunks]]\nid = \"gw\"\npeers = [\n  \"192.0.2.1:5060\",\n  \"192.0.2.999\",\n]\n\n\
                [[extensions]]\nuser = \"e\"\n";
    let document = parse_document(text, Format::Toml).unwrap();
    let refused = bench.store.import(&admin(), &document, false).await;
    let Err(StoreError::Invalid(faults)) = refused else { panic!("{refused:?}") };
    let mut lines: Vec<_> = faults
        .iter()
        .map(|fault| (locate(text, Format::Toml, fault).unwrap().0, fault.field.as_str()))
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, [(3, "route[0].ring"), (6, "number"), (12, "peers[1]"), (15, "secret")]);
}

async fn an_export_shows_secrets_only_when_asked(bench: Bench) {
    let bench = bench.with_operator().await;
    let shown = render_document(&bench.store.export(true).await.unwrap(), Format::Toml).unwrap();
    assert!(shown.contains("change-me-sakura-101"));
    let hidden = render_document(&bench.store.export(false).await.unwrap(), Format::Toml).unwrap();
    assert!(!hidden.contains("change-me") && !hidden.contains("secret"));
}

async fn a_name_without_address_costs_its_trunk_that_peer_only(bench: Bench) {
    let mut document = operator();
    let peers = ["first.invalid", "192.0.2.130:5060", "second.invalid:5080"];
    document.trunks[1].peers = peers.map(Into::into).into();
    bench.store.import(&admin(), &document, false).await.unwrap();
    let (_, draft) = bench.store.draft().await.unwrap();
    let names: Vec<_> = draft.names().into_iter().map(|it| (it.host, it.port)).collect();
    assert_eq!(names, [("first.invalid".into(), None), ("second.invalid".into(), Some(5080))]);
    let (provisioning, faults) = draft.resolve(|name| match &*name.host {
        "second.invalid" => vec!["192.0.2.9:5080".parse().unwrap()],
        _ => Vec::new(),
    });
    let trunk = provisioning.trunks.iter().find(|trunk| trunk.id == "carrier-a").unwrap();
    assert_eq!(trunk.peers.len(), 3);
    assert_eq!(trunk.peer_addresses, ["192.0.2.9:5080".parse().unwrap()]);
    let places: Vec<_> = faults.iter().map(|it| (it.key.as_str(), it.field.as_str())).collect();
    assert_eq!(places, [("carrier-a", "peers[0]")]);
    assert_eq!(provisioning.trunks.len(), 2);
}

/// Every term of a trunk, and a destination's own wishes.
const TERMS: &str = r#"
[[trunks]]
id = "carrier"
peers = ["192.0.2.1:5060"]
channels = 30
reserved_incoming = 5
max_calls_per_second = 12
profile = "itsp"
number_format_in = "national"
number_format_out = "e164_no_plus"
number_uri_out = "tel"
did_source = "history_info"
domain = "ims.example.jp"
trusted = true
passed_headers = ["X-Account", "Call-Info"]
session_id = false
compact_headers = true
max_redirections = 3
codecs = ["PCMU", "telephone-event"]

[trunks.digits]
called_in = { strip = "9", add = "0" }
caller_out = { add = "00" }

[trunks.identity]
from = "did"
display = "none"
asserted = "caller"
preferred = "did"
remote_party_id = "caller"
privacy = false
diversion = false
history_info = true

[trunks.identity_in]
display = false
asserted = false
remote_party_id = false
preferred = true
privacy = false
diversion = false
history_info = false

[[destinations]]
id = "home"
number = "03-1300-1000"
identity = { from = "none", history_info = false }
"#;

async fn the_terms_of_a_trunk_are_stored_and_read_back(bench: Bench) {
    let document = parse_document(TERMS, Format::Toml).unwrap();
    bench.store.import(&admin(), &document, false).await.unwrap();
    let exported = bench.store.export(true).await.unwrap();
    assert_eq!(exported.trunks, document.trunks);
    assert_eq!(exported.destinations[0].identity, document.destinations[0].identity);
    for format in [Format::Toml, Format::Json] {
        let text = render_document(&exported, format).unwrap();
        assert_eq!(parse_document(&text, format).unwrap(), exported);
    }
    let loaded = bench.store.provisioning().await.unwrap().provisioning;
    let trunk = &loaded.trunks[0];
    let limits = (trunk.channels, trunk.reserved_incoming, trunk.max_calls_per_second);
    assert_eq!(limits, (30, 5, 12));
    assert_eq!(
        (trunk.format_in, trunk.format_out),
        (NumberFormat::National, NumberFormat::E164NoPlus)
    );
    assert_eq!((trunk.uri_out, trunk.did_source), (UriForm::Tel, DidSource::HistoryInfo));
    assert_eq!(trunk.digits.called_in, DigitEdit { strip: "9".into(), add: "0".into() });
    assert_eq!(trunk.digits.caller_out, DigitEdit { strip: String::new(), add: "00".into() });
    assert!(trunk.digits.called_out.is_empty() && trunk.digits.caller_in.is_empty());
    assert_eq!(
        trunk.identity,
        IdentityPolicy {
            from: Presented::Did,
            display: ShownName::None,
            asserted: Presented::Caller,
            preferred: Presented::Did,
            remote_party_id: Presented::Caller,
            privacy: false,
            diversion: false,
            history_info: true,
        }
    );
    let read = trunk.identity_in;
    assert!(read.preferred && !read.asserted && !read.privacy && !read.history_info);
    assert_eq!((trunk.session_id, trunk.compact_headers, trunk.max_redirections), (false, true, 3));
    assert_eq!((trunk.codecs.len(), trunk.passed_headers.len()), (2, 2));
    let wishes = loaded.destinations[0].identity;
    assert_eq!((wishes.from, wishes.history_info), (Some(Presented::None), Some(false)));
    assert_eq!(wishes.asserted, None);
}

async fn what_a_trunk_leaves_out_is_as_its_profile_has_it(bench: Bench) {
    let text = "[[trunks]]\nid = \"ngn\"\npeers = [\"192.0.2.1\"]\nprofile = \"ntt_ngn\"\n\
                number_format_out = \"e164\"\nidentity = { privacy = false }\n\
                [[trunks]]\nid = \"plain\"\npeers = [\"192.0.2.2\"]\n";
    let document = parse_document(text, Format::Toml).unwrap();
    bench.store.import(&admin(), &document, false).await.unwrap();
    let stored = bench.store.export(true).await.unwrap();
    assert_eq!(stored.trunks[0].did_source, None, "the row holds what was given, nothing more");
    let loaded = bench.store.provisioning().await.unwrap().provisioning;
    let [ngn, plain] = &loaded.trunks[..] else { panic!("two trunks") };
    assert_eq!((ngn.format_in, ngn.format_out), (NumberFormat::National, NumberFormat::E164));
    assert_eq!(ngn.did_source, DidSource::PCalledPartyId);
    assert!(ngn.compact_headers && !ngn.identity.privacy && !ngn.trusted);
    assert_eq!((ngn.identity.from, ngn.identity.asserted), (Presented::Did, Presented::None));
    assert_eq!((plain.format_in, plain.format_out), (NumberFormat::Auto, NumberFormat::National));
    assert_eq!(plain.identity, IdentityPolicy::default());
}

async fn wrong_terms_are_named_where_they_stand(bench: Bench) {
    let text = TERMS
        .replace("\"itsp\"", "\"itps\"")
        .replace("\"history_info\"", "\"historyinfo\"")
        .replace("\"ims.example.jp\"", "\"ims example\"")
        .replace("max_redirections = 3", "max_redirections = 0")
        .replace("from = \"did\"", "from = \"dids\"");
    let document = parse_document(&text, Format::Toml).unwrap();
    let found = places(bench.store.import(&admin(), &document, false).await);
    assert_eq!(
        found,
        [
            "trunk carrier profile",
            "trunk carrier did_source",
            "trunk carrier domain",
            "trunk carrier identity.from",
            "trunk carrier max_redirections",
        ]
    );
    let text = TERMS
        .replace("reserved_incoming = 5", "reserved_incoming = 31")
        .replace("strip = \"9\"", "strip = \"nine\"")
        .replace("trusted = true", "trusted = false")
        .replace("\"Call-Info\"", "\"Via\"");
    let document = parse_document(&text, Format::Toml).unwrap();
    let found = places(bench.store.import(&admin(), &document, false).await);
    assert_eq!(
        found,
        [
            "trunk carrier reserved_incoming",
            "trunk carrier digits.called_in.strip",
            "trunk carrier passed_headers[0]",
            "trunk carrier passed_headers[1]",
        ]
    );
}
