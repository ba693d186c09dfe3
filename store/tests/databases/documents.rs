//! The whole provisioning at once.

use tensou_engine::route::Snapshot;
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
