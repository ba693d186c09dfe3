//! Texts that have broken other systems.

use tensou_engine::Cdr;
use tensou_store::model::Customer;
use tensou_store::{CdrFilter, Page, Scope, StoreError};

use crate::bench::{Bench, admin, operator};
use crate::records::cdr;

crate::cases!(
    hostile_texts_in_records_are_stored_verbatim,
    hostile_texts_in_documents_are_stored_verbatim_or_refused,
    hostile_ids_find_nothing,
);

const HOSTILE: &[&str] = &[
    "'",
    "\\",
    "\\'",
    "''; DROP TABLE cdrs;--",
    "$$",
    "$1",
    "?1",
    ":name",
    "%s%n",
    "\"",
    "` or 1=1",
    "/* */ --",
    "\r\nX-Evil: 1",
    "=HYPERLINK(\"x\")",
    "{\"a\": [",
    "転送 📞",
    "\u{202e}gnp.exe",
];

async fn hostile_texts_in_records_are_stored_verbatim(bench: Bench) {
    let long = "a".repeat(10_000);
    let texts = HOSTILE.iter().copied().chain(["nul\0nul", &long]);
    let mut batch: Vec<Cdr> = Vec::new();
    for (n, text) in texts.clone().enumerate() {
        let mut record = cdr(i64::try_from(n).unwrap());
        record.customer = Some(text.into());
        record.answered_by = Some(text.into());
        record.legs[0].dialled = text.into();
        record.legs[0].destination = text.into();
        batch.push(record);
    }
    let store = &bench.store;
    let new = store.insert_cdrs("node'1", &batch).await.unwrap();
    assert_eq!(new, batch.len() as u64);
    for (text, record) in texts.zip(&batch) {
        let read = store.cdr(&record.id.to_string(), &Scope::All).await.unwrap().unwrap();
        let stored = text.replace('\0', "\u{fffd}");
        assert_eq!(read.customer_id.as_ref(), Some(&stored));
        assert_eq!(read.answered_by.as_ref(), Some(&stored));
        let leg = &read.legs[0];
        assert_eq!((leg.dialled.as_str(), leg.destination.as_str()), (text, text));
        assert_eq!(read.node, "node'1");
        let filter = CdrFilter { customer: Some(stored.clone()), ..CdrFilter::within(Scope::All) };
        assert_eq!(store.cdrs(&filter, &Page::default()).await.unwrap().items.len(), 1, "{text}");
    }
    assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs").await, batch.len() as i64);
}

async fn hostile_texts_in_documents_are_stored_verbatim_or_refused(bench: Bench) {
    let store = &bench.store;
    for (n, text) in HOSTILE.iter().chain(&["nul\0nul", "\u{1b}[2J"]).enumerate() {
        let row = Customer {
            id: format!("c{n}"),
            name: (*text).into(),
            contacts: vec![(*text).into()],
            note: (*text).into(),
            ..operator().customers[0].clone()
        };
        let refused = text.chars().any(char::is_control);
        match store.create(&admin(), &row).await {
            Ok(made) => {
                assert!(!refused, "{text:?}");
                assert_eq!(made.row, row);
                let read = store.get::<Customer>(&row.id, &Scope::All).await.unwrap().unwrap();
                assert_eq!(read.row, row);
            }
            Err(StoreError::Invalid(_)) => assert!(refused, "{text:?}"),
            Err(error) => panic!("{text:?}: {error:?}"),
        }
    }
}

async fn hostile_ids_find_nothing(bench: Bench) {
    let bench = bench.with_operator().await;
    for id in HOSTILE.iter().chain(&["nul\0nul"]) {
        assert_eq!(bench.store.get::<Customer>(id, &Scope::All).await.unwrap(), None, "{id}");
        let scope = Scope::Customer((*id).into());
        assert_eq!(bench.store.get::<Customer>("yamada", &scope).await.unwrap(), None, "{id}");
        let gone = bench.store.delete::<Customer>(&admin(), id, None).await;
        assert!(matches!(gone, Err(StoreError::NotFound)), "{id}: {gone:?}");
    }
}
