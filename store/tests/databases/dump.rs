//! Everything out of one database and into another.

use std::io;

use tensou_engine::{Cdr, Secret};
use tensou_store::{CdrFilter, Dumped, NewUser, Page, Part, RestoreError, Role, Scope, Store};

use crate::bench::{Bench, admin};
use crate::records::cdr;

crate::cases!(
    what_was_dumped_is_restored_and_acts_as_a_change,
    a_dump_is_one_state_while_others_write,
    a_database_with_rows_is_replaced_only_when_asked,
    a_restore_that_fails_changes_nothing,
);
crate::cases!(POSTGRES_CASES = an_operator_moves_from_sqlite_to_postgres_and_back,);

async fn filled(bench: Bench) -> Bench {
    let bench = bench.with_operator().await;
    let user = NewUser {
        name: "hanako".into(),
        role: Role::Operator,
        password_hash: Secret::new("$argon2id$hash"),
        customer: None,
        reseller: None,
    };
    bench.store.create_user(&admin(), &user).await.unwrap();
    let records: Vec<Cdr> = (0..700).map(cdr).collect();
    bench.store.insert_cdrs("node-1", &records).await.unwrap();
    bench
}

async fn dumped(store: &Store) -> (Dumped, Vec<Part>) {
    let mut parts = Vec::new();
    let dumped = store
        .dump(|part| {
            parts.push(part);
            Ok(())
        })
        .await
        .unwrap();
    (dumped, parts)
}

async fn put(
    store: &Store,
    (dumped, parts): (Dumped, Vec<Part>),
    replace: bool,
) -> Result<u64, RestoreError> {
    store.restore(&dumped, parts.into_iter().map(Ok), replace).await
}

/// Rows in the order of their texts: databases have none of their own.
fn sorted(parts: &[Part]) -> Vec<(String, Vec<String>)> {
    let of = |part: &Part| {
        let text = String::from_utf8(part.lines.clone()).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        (part.table.clone(), lines)
    };
    parts.iter().map(of).collect()
}

async fn what_was_dumped_is_restored_and_acts_as_a_change(bench: Bench) {
    let bench = filled(bench).await;
    let store = &bench.store;
    let before = dumped(store).await;
    assert_eq!(before.1.iter().map(|part| part.rows).sum::<u64>() as i64, {
        let mut rows = 0;
        for sql in [
            "SELECT COUNT(*) FROM trunks",
            "SELECT COUNT(*) FROM customers",
            "SELECT COUNT(*) FROM dids",
            "SELECT COUNT(*) FROM destinations",
            "SELECT COUNT(*) FROM hunt_groups",
            "SELECT COUNT(*) FROM extensions",
            "SELECT COUNT(*) FROM schedules",
            "SELECT COUNT(*) FROM users",
            "SELECT COUNT(*) FROM tokens",
            "SELECT COUNT(*) FROM audit",
            "SELECT COUNT(*) FROM cdrs",
        ] {
            rows += bench.number(sql).await;
        }
        rows
    });
    let revision = store.revision().await.unwrap();
    let rows = put(store, before.clone(), true).await.unwrap();
    assert_eq!(rows, before.1.iter().map(|part| part.rows).sum::<u64>());
    assert_eq!(sorted(&dumped(store).await.1), sorted(&before.1));
    assert!(store.revision().await.unwrap() > revision, "nodes take it over");
    assert_eq!(*store.changes().borrow(), store.revision().await.unwrap());
}

async fn a_dump_is_one_state_while_others_write(bench: Bench) {
    let bench = filled(bench).await;
    let store = bench.store.clone();
    let mut parts = Vec::new();
    let mut written = false;
    let handle = tokio::runtime::Handle::current();
    let other = Store::connect(&bench.url).await.unwrap();
    let insert = {
        let other = other.clone();
        handle.spawn(async move {
            let more: Vec<Cdr> = (1_000..1_200).map(cdr).collect();
            other.insert_cdrs("node-2", &more).await.unwrap()
        })
    };
    store
        .dump(|part| {
            written |= insert.is_finished();
            parts.push(part);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(insert.await.unwrap(), 200, "a writer does not wait for a backup");
    let records: u64 = parts.iter().filter(|part| part.table == "cdrs").map(|part| part.rows).sum();
    assert!(records == 700 || records == 900, "all or none of a transaction: {records}");
    other.close().await;
}

async fn a_database_with_rows_is_replaced_only_when_asked(bench: Bench) {
    let bench = filled(bench).await;
    let store = &bench.store;
    let before = dumped(store).await;
    let refused = put(store, before.clone(), false).await;
    let Err(RestoreError::Occupied(tables)) = refused else { panic!("{refused:?}") };
    assert!(tables.contains(&"cdrs".to_owned()) && tables.contains(&"users".to_owned()));
    store.insert_cdrs("node-1", &[cdr(5_000)]).await.unwrap();
    put(store, before.clone(), true).await.unwrap();
    assert_eq!(sorted(&dumped(store).await.1), sorted(&before.1));
}

async fn a_restore_that_fails_changes_nothing(bench: Bench) {
    let bench = filled(bench).await;
    let store = &bench.store;
    let (state, parts) = dumped(store).await;
    let with = |last: Part| {
        let mut parts = parts.clone();
        parts.push(last);
        (state.clone(), parts)
    };
    let text = |table: &str, lines: &str| {
        with(Part { table: table.into(), lines: lines.as_bytes().to_vec(), rows: 1 })
    };
    for wrong in [
        text("no_such_table", "[\"id\"]\n[1]\n"),
        text("tokens", "[\"id\", \"no_such_column\"]\n[\"a\", 1]\n"),
        text("tokens", "[\"id\"]\n[\"a\", \"b\"]\n"),
        text("tokens", "[\"id\"]\n[{}]\n"),
        text("tokens", "no json\n"),
        text("tokens", "[\"id\"]\n[\"a\"]\n"),
        text("dids", "[\"number\"]\n[7]\n"),
    ] {
        let refused = put(store, wrong, true).await;
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(sorted(&dumped(store).await.1), sorted(&parts));
    }
    let broken = parts.iter().take(3).cloned().map(Ok);
    let broken = broken.chain([Err(io::Error::from(io::ErrorKind::UnexpectedEof))]);
    let refused = store.restore(&state, broken, true).await;
    assert!(matches!(refused, Err(RestoreError::Source(_))), "{refused:?}");
    let newer = Dumped { schema: vec![1, 99_999], ..state.clone() };
    let refused = put(store, (newer, parts.clone()), true).await;
    assert!(matches!(refused, Err(RestoreError::Newer(99_999))), "{refused:?}");
    assert_eq!(dumped(store).await.0, state, "the revision too is what it was");
}

async fn an_operator_moves_from_sqlite_to_postgres_and_back(bench: Bench) {
    let old = filled(Bench::sqlite().await).await;
    let before = dumped(&old.store).await;
    let rows = put(&bench.store, before.clone(), false).await.unwrap();
    assert_eq!(rows, before.1.iter().map(|part| part.rows).sum::<u64>());
    let after = dumped(&bench.store).await;
    assert_eq!(sorted(&after.1), sorted(&before.1));
    assert_eq!(bench.store.export(true).await.unwrap(), old.store.export(true).await.unwrap());
    let page = Page::first(1_000);
    let all = CdrFilter::within(Scope::All);
    let (one, other) = (old.store.cdrs(&all, &page), bench.store.cdrs(&all, &page));
    assert_eq!(one.await.unwrap(), other.await.unwrap());
    let back = Bench::sqlite().await;
    put(&back.store, after, false).await.unwrap();
    assert_eq!(sorted(&dumped(&back.store).await.1), sorted(&before.1));
    back.store.close().await;
    old.store.close().await;
}
