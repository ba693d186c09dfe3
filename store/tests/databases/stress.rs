//! A database that is locked by somebody else, or full: writers are told, and nothing is lost.

use std::time::{Duration, Instant};

use tensou_engine::Cdr;
use tensou_store::model::Customer;
use tensou_store::{CdrFilter, Page, Scope, Store, StoreError};

use crate::bench::{Bench, admin, operator};
use crate::records::cdr;

crate::cases!(a_lock_held_by_another_process_delays_writers_and_loses_nothing,);
crate::cases!(SQLITE_CASES = a_full_database_takes_whole_batches_or_none,);

/// Twice what the store waits for a lock, twice: a machine may be busy.
const REFUSED_WITHIN: Duration = Duration::from_secs(40);

async fn a_lock_held_by_another_process_delays_writers_and_loses_nothing(bench: Bench) {
    let store = &bench.store;
    let lock = bench.lock().await;
    let begun = Instant::now();
    let row = Customer { id: "c".into(), ..operator().customers[0].clone() };
    let (actor, records) = (admin(), [cdr(1), cdr(2)]);
    let (inserted, created) =
        tokio::join!(store.insert_cdrs("node-1", &records), store.create(&actor, &row));
    assert!(matches!(inserted, Err(StoreError::Database(_))), "{inserted:?}");
    assert!(matches!(created, Err(StoreError::Database(_))), "{created:?}");
    assert!(begun.elapsed() < REFUSED_WITHIN, "{:?}", begun.elapsed());
    drop(lock);
    // As the writer of records does it: again until it is done.
    while store.insert_cdrs("node-1", &records).await.is_err() {
        assert!(begun.elapsed() < REFUSED_WITHIN * 2);
    }
    assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs").await, 2);
    assert_eq!(bench.number("SELECT COUNT(*) FROM customers").await, 0);
}

async fn a_full_database_takes_whole_batches_or_none(bench: Bench) {
    let pages = bench.number("SELECT page_count FROM pragma_page_count").await;
    let url = format!("{}?max_page_count={}", bench.url, pages + 60);
    let small = Store::connect(&url).await.unwrap();
    let batches: Vec<Vec<Cdr>> =
        (0..20).map(|batch| (0..50).map(|n| cdr(batch * 50 + n)).collect()).collect();
    let mut stored = 0;
    let mut waiting = Vec::new();
    for batch in &batches {
        match small.insert_cdrs("node-1", batch).await {
            Ok(new) => stored += new,
            Err(StoreError::Database(_)) => waiting.push(batch),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(stored > 0 && !waiting.is_empty(), "{stored} stored");
    assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs").await.unsigned_abs(), stored);
    assert!(small.cdrs(&CdrFilter::within(Scope::All), &Page::default()).await.is_ok());
    small.close().await;
    // There is room again: what waited goes in, in its order.
    for batch in waiting {
        assert_eq!(bench.store.insert_cdrs("node-1", batch).await.unwrap(), 50);
    }
    assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs").await, 1_000);
}
