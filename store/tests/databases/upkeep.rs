//! The database itself: schema, files, several processes.

use std::os::unix::fs::PermissionsExt;

use tensou_store::model::{Customer, Trunk};
use tensou_store::{Scope, Store, StoreError};

use crate::bench::{Bench, admin, operator};

crate::cases!(
    migrating_again_changes_nothing,
    a_schema_made_by_a_newer_program_is_refused,
    every_committed_change_raises_the_revision_and_is_announced,
    another_process_sees_changes_by_the_revision,
    writers_of_two_processes_wait_for_each_other,
);
crate::cases!(
    SQLITE_CASES = the_database_file_is_its_owners_alone,
    a_database_in_memory_serves_readers_and_writers,
    a_wrong_url_is_refused_without_repeating_it,
);

fn customer(n: usize) -> Customer {
    Customer { id: format!("c{n}"), ..operator().customers[0].clone() }
}

async fn migrating_again_changes_nothing(bench: Bench) {
    let bench = bench.with_operator().await;
    let before = bench.store.export(true).await.unwrap();
    bench.store.migrate().await.unwrap();
    assert_eq!(bench.store.export(true).await.unwrap(), before);
    bench.store.ping().await.unwrap();
}

async fn a_schema_made_by_a_newer_program_is_refused(bench: Bench) {
    bench
        .texts(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 99999, 'newer', success, checksum, execution_time FROM _sqlx_migrations \
             LIMIT 1 RETURNING description",
        )
        .await;
    let refused = bench.store.migrate().await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
}

async fn every_committed_change_raises_the_revision_and_is_announced(bench: Bench) {
    let store = &bench.store;
    let mut changes = store.changes();
    let start = *changes.borrow_and_update();
    assert_eq!(start, store.revision().await.unwrap());
    store.create(&admin(), &customer(1)).await.unwrap();
    assert!(changes.has_changed().unwrap());
    let created = *changes.borrow_and_update();
    assert_eq!(created, start + 1);
    store.import(&admin(), &operator(), true).await.unwrap();
    assert!(!changes.has_changed().unwrap(), "a dry run is no change");
    store.import(&admin(), &operator(), false).await.unwrap();
    assert_eq!(*changes.borrow_and_update(), created + 1);
    store.delete::<Trunk>(&admin(), "carrier-a", None).await.unwrap();
    assert_eq!(*changes.borrow_and_update(), created + 2);
    let _ = store.create(&admin(), &customer(1)).await.unwrap_err();
    assert!(!changes.has_changed().unwrap(), "a refused write is no change");
}

async fn another_process_sees_changes_by_the_revision(bench: Bench) {
    let other = Store::connect(&bench.url).await.unwrap();
    other.migrate().await.unwrap();
    let before = other.revision().await.unwrap();
    bench.store.create(&admin(), &customer(1)).await.unwrap();
    assert_eq!(other.revision().await.unwrap(), before + 1);
    assert!(other.get::<Customer>("c1", &Scope::All).await.unwrap().is_some());
    let loaded = other.provisioning().await.unwrap();
    assert_eq!((loaded.revision, loaded.provisioning.customers.len()), (before + 1, 1));
    other.close().await;
}

async fn writers_of_two_processes_wait_for_each_other(bench: Bench) {
    let other = Store::connect(&bench.url).await.unwrap();
    let before = bench.store.revision().await.unwrap();
    let actor = admin();
    for round in 0..10 {
        let (mine, theirs) = (customer(round * 2), customer(round * 2 + 1));
        let (a, b) = tokio::join!(bench.store.create(&actor, &mine), other.create(&actor, &theirs));
        a.unwrap();
        b.unwrap();
    }
    assert_eq!(bench.store.revision().await.unwrap(), before + 20);
    other.close().await;
}

async fn the_database_file_is_its_owners_alone(bench: Bench) {
    let folder = bench.folder.as_ref().unwrap();
    bench.store.create(&admin(), &customer(1)).await.unwrap();
    let mode = |path: &str| {
        let path = folder.join(path);
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("data"), 0o700);
    assert_eq!(mode("data/tensou.db"), 0o600);
    assert_eq!(mode("data/tensou.db-wal"), 0o600);
}

async fn a_database_in_memory_serves_readers_and_writers(_: Bench) {
    let store = Store::connect("sqlite::memory:").await.unwrap();
    store.migrate().await.unwrap();
    store.import(&admin(), &operator(), false).await.unwrap();
    assert_eq!(store.provisioning().await.unwrap().provisioning.dids.len(), 8);
    assert_eq!(store.cdr("none", &Scope::All).await.unwrap(), None);
}

async fn a_wrong_url_is_refused_without_repeating_it(_: Bench) {
    for url in
        ["", "tensou.db", "mysql://u:hunter2@h/d", "postgres://u:hunter2@h:port/d", "sqlite:"]
    {
        let refused = Store::connect(url).await;
        let Err(StoreError::Url(message)) = &refused else { panic!("{url}: {refused:?}") };
        assert!(!message.contains("hunter2"), "{message}");
    }
}
