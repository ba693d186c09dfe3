//! Single rows: create, read, replace, delete; whose they are; what refers to them.

use tensou_store::model::{
    Customer, Destination, Did, Extension, Group, Member, RouteStep, Schedule, Trunk, TrunkAuthIn,
    TrunkRegister,
};
use tensou_store::{Actor, AuditFilter, Filter, Page, Role, Scope, StoreError};

use crate::bench::{Bench, admin, operator, places};

crate::cases!(
    a_row_is_created_read_replaced_and_deleted,
    an_id_is_taken_once,
    a_write_at_an_old_version_is_refused,
    an_unchanged_row_keeps_its_version,
    numbers_are_stored_in_e164_however_they_are_typed,
    another_customers_rows_do_not_exist,
    a_confined_actor_cannot_write_outside_its_scope,
    a_row_in_use_is_not_deleted_and_its_users_are_named,
    a_reference_to_nothing_is_refused_with_its_place,
    every_fault_of_a_row_is_named_at_once,
    a_write_that_the_engine_refuses_changes_nothing,
    secrets_are_write_only_and_survive_a_replace_without_them,
    passwords_of_trunks_are_write_only_and_survive_a_replace_without_them,
    the_log_has_before_and_after_without_secrets,
    lists_are_filtered_and_paged_in_order,
    lists_refuse_fields_that_are_no_filter,
);

fn customer(id: &str) -> Customer {
    Customer { id: id.into(), ..operator().customers[0].clone() }
}

fn did(number: &str, customer: Option<&str>) -> Did {
    Did {
        number: number.into(),
        customer: customer.map(Into::into),
        route: Vec::new(),
        ..operator().dids[0].clone()
    }
}

async fn a_row_is_created_read_replaced_and_deleted(bench: Bench) {
    let store = &bench.store;
    let mut row = customer("suzuki");
    let made = store.create(&admin(), &row).await.unwrap();
    assert_eq!((made.version, &made.row), (1, &row));
    row.name = "鈴木商店".into();
    row.contacts.clear();
    let changed = store.replace(&admin(), "suzuki", &row, Some(1)).await.unwrap();
    assert_eq!((changed.version, &changed.row), (2, &row));
    let read = store.get::<Customer>("suzuki", &Scope::All).await.unwrap().unwrap();
    assert_eq!(read, changed);
    store.delete::<Customer>(&admin(), "suzuki", Some(2)).await.unwrap();
    assert_eq!(store.get::<Customer>("suzuki", &Scope::All).await.unwrap(), None);
    let gone = store.delete::<Customer>(&admin(), "suzuki", None).await;
    assert!(matches!(gone, Err(StoreError::NotFound)), "{gone:?}");
    let gone = store.replace(&admin(), "suzuki", &row, None).await;
    assert!(matches!(gone, Err(StoreError::NotFound)), "{gone:?}");
}

async fn an_id_is_taken_once(bench: Bench) {
    bench.store.create(&admin(), &customer("suzuki")).await.unwrap();
    let revision = bench.store.revision().await.unwrap();
    let again = bench.store.create(&admin(), &customer("suzuki")).await;
    assert!(matches!(again, Err(StoreError::Conflict(ref what)) if what == "customer suzuki"));
    assert_eq!(bench.store.revision().await.unwrap(), revision);
}

async fn a_write_at_an_old_version_is_refused(bench: Bench) {
    let store = &bench.store;
    let mut row = customer("suzuki");
    store.create(&admin(), &row).await.unwrap();
    row.note = "first".into();
    store.replace(&admin(), "suzuki", &row, Some(1)).await.unwrap();
    row.note = "second".into();
    let late = store.replace(&admin(), "suzuki", &row, Some(1)).await;
    assert!(matches!(late, Err(StoreError::Version)), "{late:?}");
    let late = store.delete::<Customer>(&admin(), "suzuki", Some(1)).await;
    assert!(matches!(late, Err(StoreError::Version)), "{late:?}");
    let read = store.get::<Customer>("suzuki", &Scope::All).await.unwrap().unwrap();
    assert_eq!((read.version, read.row.note.as_str()), (2, "first"));
}

async fn an_unchanged_row_keeps_its_version(bench: Bench) {
    let store = &bench.store;
    let made = store.create(&admin(), &customer("suzuki")).await.unwrap();
    let revision = store.revision().await.unwrap();
    let same = store.replace(&admin(), "suzuki", &made.row, None).await.unwrap();
    assert_eq!(same, made);
    assert_eq!(store.revision().await.unwrap(), revision);
}

async fn numbers_are_stored_in_e164_however_they_are_typed(bench: Bench) {
    let store = &bench.store;
    let made = store.create(&admin(), &did("０３-1234-5678", None)).await.unwrap();
    assert_eq!(made.row.number, "+81312345678");
    for typed in ["03-1234-5678", "0312345678", "+81312345678", "81312345678"] {
        assert!(store.get::<Did>(typed, &Scope::All).await.unwrap().is_some(), "{typed}");
        let filter = Filter::within(Scope::All).and("number", typed);
        assert_eq!(store.list::<Did>(&filter, &Page::default()).await.unwrap().items.len(), 1);
    }
    let mut row = made.row;
    row.number = "03 1234 5678".into();
    row.note = "typed with spaces".into();
    store.replace(&admin(), "0312345678", &row, None).await.unwrap();
    store.delete::<Did>(&admin(), "03-1234-5678", None).await.unwrap();
}

async fn another_customers_rows_do_not_exist(bench: Bench) {
    let bench = bench.with_operator().await;
    let store = &bench.store;
    let yamada = Scope::Customer("yamada".into());
    let west = Scope::Reseller("west-sales".into());
    for (scope, dids, customers, destinations, groups, extensions) in [
        (&Scope::All, 8, 3, 7, 4, 3),
        (&yamada, 2, 1, 4, 1, 0),
        (&west, 2, 1, 2, 2, 1),
        (&Scope::Customer("nobody".into()), 0, 0, 0, 0, 0),
        (&Scope::Reseller("nobody".into()), 0, 0, 0, 0, 0),
    ] {
        let (filter, page) = (Filter::within(scope.clone()), Page::default());
        let counts = (
            store.list::<Did>(&filter, &page).await.unwrap().items.len(),
            store.list::<Customer>(&filter, &page).await.unwrap().items.len(),
            store.list::<Destination>(&filter, &page).await.unwrap().items.len(),
            store.list::<Group>(&filter, &page).await.unwrap().items.len(),
            store.list::<Extension>(&filter, &page).await.unwrap().items.len(),
        );
        assert_eq!(counts, (dids, customers, destinations, groups, extensions), "{scope:?}");
    }
    assert!(store.get::<Did>("03-1200-1000", &yamada).await.unwrap().is_some());
    assert!(store.get::<Did>("03-1200-1000", &west).await.unwrap().is_none());
    assert!(store.get::<Did>("03-1200-4000", &yamada).await.unwrap().is_none(), "nobody's");
    assert!(store.get::<Customer>("sakura-law", &yamada).await.unwrap().is_none());
    assert!(store.get::<Trunk>("carrier-a", &yamada).await.unwrap().is_none());
    assert!(store.get::<Schedule>("office-hours", &west).await.unwrap().is_none());
}

async fn a_confined_actor_cannot_write_outside_its_scope(bench: Bench) {
    let bench = bench.with_operator().await;
    let store = &bench.store;
    let yamada = Actor::new("taro", Role::Customer).within(Scope::Customer("yamada".into()));
    let mut row = operator().destinations[0].clone();
    row.name = "Taro".into();
    store.replace(&yamada, &row.id.clone(), &row, None).await.unwrap();
    row.customer = Some("sakura-law".into());
    for refused in [
        store.replace(&yamada, "yamada-taro", &row, None).await.map(|_| ()),
        store.create(&yamada, &Destination { id: "new".into(), ..row.clone() }).await.map(|_| ()),
        store.delete::<Destination>(&yamada, "hotline-night", None).await,
        store.delete::<Trunk>(&yamada, "carrier-a", None).await,
        store.import(&yamada, &operator(), false).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    }
    let kept = store.get::<Destination>("yamada-taro", &Scope::All).await.unwrap().unwrap();
    assert_eq!(kept.row.customer.as_deref(), Some("yamada"));
}

async fn a_row_in_use_is_not_deleted_and_its_users_are_named(bench: Bench) {
    let bench = bench.with_operator().await;
    let store = &bench.store;
    let who = |result: Result<(), StoreError>| match result {
        Err(StoreError::InUse { by, .. }) => by.join(", "),
        other => panic!("expected users, got {other:?}"),
    };
    let actor = admin();
    assert_eq!(
        who(store.delete::<Trunk>(&actor, "ins1500-1", None).await),
        "destination yamada-fax"
    );
    assert_eq!(
        who(store.delete::<Group>(&actor, "hotline-second", None).await),
        "group hotline-first"
    );
    assert_eq!(
        who(store.delete::<Extension>(&actor, "sakura-101", None).await),
        "did +81312002001, group sakura-desk"
    );
    assert_eq!(who(store.delete::<Did>(&actor, "03-1200-1000", None).await), "trunk ins1500-1");
    assert_eq!(
        who(store.delete::<Destination>(&actor, "sakura-partner", None).await),
        "did +81312002000"
    );
    assert!(
        who(store.delete::<Customer>(&actor, "yamada", None).await).contains("did +81312001000")
    );
    store.delete::<Trunk>(&actor, "carrier-a", None).await.unwrap();
}

async fn a_reference_to_nothing_is_refused_with_its_place(bench: Bench) {
    let store = &bench.store;
    let mut row = did("03-1234-5678", Some("nobody"));
    row.route = vec![
        RouteStep { ring: "destination:gone".into() },
        RouteStep { ring: "group:gone".into() },
        RouteStep { ring: "extension:gone".into() },
    ];
    let mut found = places(store.create(&admin(), &row).await);
    found.sort();
    assert_eq!(
        found,
        [
            "did +81312345678 customer",
            "did +81312345678 route[0].ring",
            "did +81312345678 route[1].ring",
            "did +81312345678 route[2].ring",
        ]
    );
    let row = Destination {
        number: None,
        uri: None,
        extension: Some("gone".into()),
        customer: None,
        trunk: None,
        ..operator().destinations[0].clone()
    };
    assert_eq!(places(store.create(&admin(), &row).await), ["destination yamada-taro extension"]);
    let row = Trunk { default_did: Some("03-1111-1111".into()), ..operator().trunks[0].clone() };
    assert_eq!(places(store.create(&admin(), &row).await), ["trunk ins1500-1 default_did"]);
    assert_eq!(bench.number("SELECT COUNT(*) FROM dids").await, 0);
}

async fn every_fault_of_a_row_is_named_at_once(bench: Bench) {
    let row = Trunk {
        id: "a b".into(),
        peers: vec!["192.0.2.300:5060".into(), "ok:5060".into()],
        sources: vec!["192.0.2.0/40".into()],
        prefixes: vec!["81".into()],
        number_format_out: Some("nationl".into()),
        default_did: Some("sales".into()),
        ..operator().trunks[0].clone()
    };
    let refused = bench.store.create(&admin(), &row).await;
    let message = refused.as_ref().unwrap_err().to_string();
    assert!(message.contains("did you mean national?"), "{message}");
    assert_eq!(
        places(refused),
        [
            "trunk a b id",
            "trunk a b peers[0]",
            "trunk a b sources[0]",
            "trunk a b prefixes[0]",
            "trunk a b number_format_out",
            "trunk a b default_did",
        ]
    );
    let member = Member { ring: "destination".into(), delay_seconds: 121, ring_seconds: 999 };
    let row = Group { members: vec![member], ring_seconds: 0, ..operator().groups[0].clone() };
    assert_eq!(
        places(bench.store.create(&admin(), &row).await),
        [
            "group yamada-all ring_seconds",
            "group yamada-all members[0].delay_seconds",
            "group yamada-all members[0].ring_seconds",
            "group yamada-all members[0].ring",
        ]
    );
}

async fn a_write_that_the_engine_refuses_changes_nothing(bench: Bench) {
    let bench = bench.with_operator().await;
    let store = &bench.store;
    let revision = store.revision().await.unwrap();
    let lines = bench.number("SELECT COUNT(*) FROM audit").await;
    let mut row = operator().groups[3].clone();
    row.overflow = Some("group:hotline-first".into());
    let found = places(store.replace(&admin(), "hotline-second", &row, None).await);
    assert!(found.iter().any(|place| place.ends_with("overflow")), "a circle: {found:?}");
    let read = store.get::<Group>("hotline-second", &Scope::All).await.unwrap().unwrap();
    assert_eq!((read.version, read.row.overflow), (1, None));
    assert_eq!(store.revision().await.unwrap(), revision);
    assert_eq!(bench.number("SELECT COUNT(*) FROM audit").await, lines);
}

async fn secrets_are_write_only_and_survive_a_replace_without_them(bench: Bench) {
    let bench = bench.with_operator().await;
    let store = &bench.store;
    let stored = "SELECT secret FROM extensions WHERE \"user\" = 'sakura-101'";
    let mut read = store.get::<Extension>("sakura-101", &Scope::All).await.unwrap().unwrap().row;
    assert_eq!(read.secret, None);
    let all = store.list::<Extension>(&Filter::within(Scope::All), &Page::default()).await.unwrap();
    assert!(all.items.iter().all(|item| item.row.secret.is_none()));
    read.name = "Desk 1".into();
    let changed = store.replace(&admin(), "sakura-101", &read, None).await.unwrap();
    assert_eq!(changed.row.secret, None);
    assert_eq!(bench.texts(stored).await, ["change-me-sakura-101"]);
    read.secret = Some("a new password".into());
    assert_eq!(store.replace(&admin(), "sakura-101", &read, None).await.unwrap().row.secret, None);
    assert_eq!(bench.texts(stored).await, ["a new password"]);
    for secret in [None, Some("short".to_owned())] {
        let new = Extension { user: "new".into(), secret, ..read.clone() };
        assert_eq!(places(store.create(&admin(), &new).await), ["extension new secret"]);
    }
}

async fn passwords_of_trunks_are_write_only_and_survive_a_replace_without_them(bench: Bench) {
    let store = &bench.store;
    store.import(&admin(), &operator(), false).await.unwrap();
    let stored = "SELECT COUNT(*) FROM trunks WHERE auth LIKE '%change-me-carrier-a%'";
    let mut read = store.get::<Trunk>("carrier-a", &Scope::All).await.unwrap().unwrap().row;
    assert_eq!(read.auth.as_ref().unwrap().password, None);
    read.channels = 90;
    let changed = store.replace(&admin(), "carrier-a", &read, None).await.unwrap();
    assert_eq!(changed.row.auth.unwrap().password, None);
    assert_eq!(bench.number(stored).await, 1);
    let loaded = store.provisioning().await.unwrap().provisioning;
    let trunk = loaded.trunks.iter().find(|trunk| trunk.id == "carrier-a").unwrap();
    assert_eq!(trunk.relation.auth.as_ref().unwrap().password.reveal(), "change-me-carrier-a");
    assert_eq!(trunk.relation.health.unwrap().down_after, 2);
    let hidden = store.export(false).await.unwrap();
    let shown = store.export(true).await.unwrap();
    let password = |document: &tensou_store::model::Document| {
        let trunk = document.trunks.iter().find(|trunk| trunk.id == "carrier-a").unwrap();
        trunk.auth.clone().unwrap().password
    };
    assert_eq!((password(&hidden), password(&shown).is_some()), (None, true));
    read.auth_in = Some(TrunkAuthIn { user: "sakura-101".into(), password: Some("short".into()) });
    let refused = places(store.replace(&admin(), "carrier-a", &read, None).await);
    assert_eq!(refused, ["trunk carrier-a auth_in.password"]);
    read.auth_in.as_mut().unwrap().password = Some("long enough".into());
    let refused = places(store.replace(&admin(), "carrier-a", &read, None).await);
    assert_eq!(refused, ["trunk carrier-a auth_in.user"], "it is an extension's");
    read.auth_in = None;
    read.register = Some(TrunkRegister {
        registrar: Some("a b".into()),
        domain: None,
        user: Some("a@b".into()),
        contact_user: None,
        expires_seconds: 10,
    });
    let refused = places(store.replace(&admin(), "carrier-a", &read, None).await);
    let fields = ["registrar", "user", "expires_seconds"];
    assert_eq!(refused, fields.map(|field| format!("trunk carrier-a register.{field}")));
}

async fn the_log_has_before_and_after_without_secrets(bench: Bench) {
    let store = &bench.store;
    let mut row = operator().extensions[0].clone();
    row.customer = None;
    row.presented_did = None;
    row.secret = Some("hunter2-hunter2".into());
    store.create(&admin(), &row).await.unwrap();
    row.name = "renamed".into();
    row.secret = Some("hunter3-hunter3".into());
    store.replace(&admin(), "sakura-101", &row, None).await.unwrap();
    store
        .delete::<Extension>(&Actor::new("bob", Role::Operator), "sakura-101", None)
        .await
        .unwrap();
    let log = store.audit(&AuditFilter::default(), &Page::default()).await.unwrap().items;
    let lines: Vec<_> = log
        .iter()
        .map(|entry| {
            let name = |json: &Option<serde_json::Value>| {
                json.as_ref().map(|json| json["name"].as_str().unwrap().to_owned())
            };
            (entry.actor.as_str(), entry.action.as_str(), name(&entry.before), name(&entry.after))
        })
        .collect();
    let old = || Some("さくら 受付1".to_owned());
    let new = || Some("renamed".to_owned());
    assert_eq!(
        lines,
        [
            ("bob", "delete", new(), None),
            ("alice", "replace", old(), new()),
            ("alice", "create", None, old()),
        ]
    );
    assert!(
        log.iter().all(|entry| entry.resource == "extension" && entry.resource_id == "sakura-101")
    );
    for text in bench.texts("SELECT COALESCE(before, '') || COALESCE(after, '') FROM audit").await {
        assert!(!text.contains("hunter") && !text.contains("secret"), "{text}");
    }
    let bobs = AuditFilter { actor: Some("bob".into()), ..AuditFilter::default() };
    assert_eq!(store.audit(&bobs, &Page::default()).await.unwrap().items.len(), 1);
    let first = store.audit(&AuditFilter::default(), &Page::first(2)).await.unwrap();
    let rest = Page { limit: 2, after: first.next };
    let rest = store.audit(&AuditFilter::default(), &rest).await.unwrap();
    assert_eq!((rest.items.len(), rest.items[0].action.as_str(), rest.next), (1, "create", None));
}

async fn lists_are_filtered_and_paged_in_order(bench: Bench) {
    let bench = bench.with_operator().await;
    let store = &bench.store;
    let all = Filter::within(Scope::All);
    let mut numbers = Vec::new();
    let mut page = Page::first(3);
    loop {
        let part = store.list::<Did>(&all, &page).await.unwrap();
        assert!(part.items.len() <= 3);
        numbers.extend(part.items.into_iter().map(|item| item.row.number));
        match part.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    let mut sorted = numbers.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((numbers.len(), &numbers), (8, &sorted));
    for (field, value, count) in [
        ("customer", "yamada", 2),
        ("customer", "", 2),
        ("state", "active", 6),
        ("state", "quarantine", 1),
        ("max_calls", "30", 1),
        ("number", "050-0200-3000", 1),
    ] {
        let filter = all.clone().and(field, value);
        let found = store.list::<Did>(&filter, &Page::default()).await.unwrap().items.len();
        assert_eq!(found, count, "{field}={value}");
    }
    let both = all.clone().and("customer", "yamada").and("max_calls", "1");
    assert_eq!(store.list::<Did>(&both, &Page::default()).await.unwrap().items.len(), 1);
    let enabled = all.and("enabled", "false");
    assert!(store.list::<Trunk>(&enabled, &Page::default()).await.unwrap().items.is_empty());
}

async fn lists_refuse_fields_that_are_no_filter(bench: Bench) {
    let all = Filter::within(Scope::All);
    for (field, value) in
        [("secret", "x"), ("nonsense", "x"), ("user\" = '' OR 1 = 1 --", "x"), ("enabled", "maybe")]
    {
        let filter = all.clone().and(field, value);
        let refused = bench.store.list::<Extension>(&filter, &Page::default()).await;
        assert!(matches!(refused, Err(StoreError::Filter { .. })), "{field}: {refused:?}");
    }
}
