//! Call records.

use std::time::Duration;

use tensou_engine::plan::parse_e164;
use tensou_engine::{
    CallId, CallResult, Caller, CallerClass, Cdr, CdrLeg, Direction, EndedBy, LegMedia,
    MediaDirection, WallTime,
};
use tensou_store::model::CdrRecord;
use tensou_store::{CdrFilter, Page, Scope, StoreError};

use crate::bench::Bench;

crate::cases!(
    a_record_reads_back_as_it_was_written,
    a_record_delivered_again_is_stored_once,
    a_batch_of_any_size_is_stored_completely,
    records_come_newest_first_page_by_page,
    records_are_filtered_by_each_field,
    another_customers_records_do_not_exist,
    a_cursor_of_another_list_is_refused,
);

/// 2026-11-23T00:00:00Z.
const START_MS: i64 = 1_795_392_000_000;

/// The `n`-th call of the day: one a second.
pub(crate) fn cdr(n: i64) -> Cdr {
    let at = |ms: i64| WallTime::from_unix_micros((START_MS + n * 1000 + ms) * 1000);
    let leg = CdrLeg {
        destination: "yamada-taro".into(),
        trunk_out: Some("carrier-a".into()),
        dialled: "+819001000001".into(),
        presented: parse_e164("03-1200-1000").ok(),
        started_at: at(12),
        ringing_at: Some(at(480)),
        answered_at: Some(at(4_321)),
        ended_at: at(64_322),
        sip_status: 200,
        q850_cause: 16,
        media: Some(LegMedia {
            received: MediaDirection { packets: 3000, lost: 2, jitter_ms: 1.5, mos: Some(4.25) },
            sent: MediaDirection { packets: 2998, lost: 0, jitter_ms: f32::NAN, mos: None },
        }),
    };
    Cdr {
        id: CallId::new(START_MS + n * 1000, n.unsigned_abs(), 7),
        direction: Direction::Forward,
        did: parse_e164("03-1200-1000").ok(),
        customer: Some("yamada".into()),
        caller: Caller { number: parse_e164("090-0100-0099").ok(), class: CallerClass::Number },
        trunk_in: Some("ins1500-1".into()),
        started_at: at(0),
        ringing_at: Some(at(500)),
        answered_at: Some(at(4_321)),
        ended_at: at(64_322),
        duration: Duration::from_millis(60_001),
        result: CallResult::Answered,
        sip_status: 200,
        q850_cause: 16,
        ended_by: EndedBy::Caller,
        answered_by: Some("yamada-taro".into()),
        legs: vec![leg],
    }
}

fn all() -> CdrFilter {
    CdrFilter::within(Scope::All)
}

async fn a_record_reads_back_as_it_was_written(bench: Bench) {
    let store = &bench.store;
    let withheld = Cdr {
        id: CallId::new(START_MS, 99, 99),
        direction: Direction::In,
        did: None,
        customer: None,
        caller: Caller { number: None, class: CallerClass::Withheld },
        trunk_in: None,
        ringing_at: None,
        answered_at: None,
        duration: Duration::ZERO,
        result: CallResult::NoAnswer,
        sip_status: 480,
        q850_cause: 19,
        ended_by: EndedBy::System,
        answered_by: None,
        legs: Vec::new(),
        ..cdr(0)
    };
    for made in [cdr(1), withheld] {
        store.insert_cdrs("node-1", std::slice::from_ref(&made)).await.unwrap();
        let read = store.cdr(&made.id.to_string(), &Scope::All).await.unwrap().unwrap();
        assert_eq!(read, CdrRecord::of("node-1", &made));
    }
    let read = store.cdr(&cdr(1).id.to_string(), &Scope::All).await.unwrap().unwrap();
    assert_eq!((read.duration_ms, read.started_at), (60_001, START_MS + 1000));
    let media = read.legs[0].media.as_ref().unwrap();
    assert_eq!((media.received.mos, media.sent.jitter_ms), (Some(4.25), 0.0));
    assert_eq!(store.cdr("no-such-id", &Scope::All).await.unwrap(), None);
}

async fn a_record_delivered_again_is_stored_once(bench: Bench) {
    let store = &bench.store;
    let batch: Vec<Cdr> = (0..10).map(cdr).collect();
    assert_eq!(store.insert_cdrs("node-1", &batch[..6]).await.unwrap(), 6);
    assert_eq!(store.insert_cdrs("node-2", &batch).await.unwrap(), 4);
    assert_eq!(store.insert_cdrs("node-1", &[cdr(20), cdr(20)]).await.unwrap(), 1);
    assert_eq!(store.insert_cdrs("node-1", &[]).await.unwrap(), 0);
    assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs").await, 11);
    let first = store.cdr(&cdr(0).id.to_string(), &Scope::All).await.unwrap().unwrap();
    assert_eq!(first.node, "node-1", "the first delivery stays");
}

async fn a_batch_of_any_size_is_stored_completely(bench: Bench) {
    let mut next = 0;
    for size in [1_i64, 2, 7, 8, 9, 63, 64, 65, 137, 500] {
        let batch: Vec<Cdr> = (next..next + size).map(cdr).collect();
        let new = bench.store.insert_cdrs("node-1", &batch).await.unwrap();
        assert_eq!(new, size.unsigned_abs());
        next += size;
        assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs").await, next);
    }
}

async fn records_come_newest_first_page_by_page(bench: Bench) {
    let store = &bench.store;
    let mut batch: Vec<Cdr> = (0..25).map(cdr).collect();
    // Three calls in the same millisecond must not be lost between two pages.
    for (tie, cdr) in batch.iter_mut().take(3).enumerate() {
        cdr.started_at = WallTime::from_unix_micros(START_MS * 1000);
        cdr.id = CallId::new(START_MS, tie as u64, 0);
    }
    store.insert_cdrs("node-1", &batch).await.unwrap();
    let mut seen = Vec::new();
    let mut page = Page::first(2);
    loop {
        let part = store.cdrs(&all(), &page).await.unwrap();
        seen.extend(part.items.iter().map(|record| (record.started_at, record.id.clone())));
        match part.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    let mut expected: Vec<_> =
        batch.iter().map(|cdr| (cdr.started_at.as_unix_millis(), cdr.id.to_string())).collect();
    expected.sort();
    expected.reverse();
    assert_eq!(seen, expected);
}

async fn records_are_filtered_by_each_field(bench: Bench) {
    let store = &bench.store;
    let mut batch: Vec<Cdr> = (0..6).map(cdr).collect();
    batch[1].did = parse_e164("03-1200-2000").ok();
    batch[2].customer = Some("sakura-law".into());
    batch[3].caller.number = parse_e164("03-1555-0000").ok();
    batch[4].result = CallResult::Busy;
    batch[4].trunk_in = Some("carrier-a".into());
    batch[5].direction = Direction::Out;
    batch[5].answered_by = Some("100%_Sure!".into());
    store.insert_cdrs("node-1", &batch).await.unwrap();
    let some = |text: &str| Some(text.to_owned());
    let at = |n: i64| Some(START_MS + n * 1000);
    for (filter, found) in [
        (all(), vec![5, 4, 3, 2, 1, 0]),
        (CdrFilter { from: at(2), to: at(4), ..all() }, vec![3, 2]),
        (CdrFilter { did: some("+81312002000"), ..all() }, vec![1]),
        (CdrFilter { customer: some("sakura-law"), ..all() }, vec![2]),
        (CdrFilter { caller: some("+81315550000"), ..all() }, vec![3]),
        (CdrFilter { result: some("busy"), ..all() }, vec![4]),
        (CdrFilter { trunk_in: some("carrier-a"), ..all() }, vec![4]),
        (CdrFilter { direction: some("out"), ..all() }, vec![5]),
        (CdrFilter { text: some("15550000"), ..all() }, vec![3]),
        (CdrFilter { text: some("SAKURA"), ..all() }, vec![2]),
        (CdrFilter { text: some("0%_sure!"), ..all() }, vec![5]),
        (CdrFilter { text: some("%"), ..all() }, vec![5]),
        (CdrFilter { text: some("' OR 1=1 --"), ..all() }, vec![]),
        (CdrFilter { result: some("busy"), direction: some("out"), ..all() }, vec![]),
    ] {
        let page = store.cdrs(&filter, &Page::default()).await.unwrap();
        let numbers: Vec<i64> =
            page.items.iter().map(|record| (record.started_at - START_MS) / 1000).collect();
        assert_eq!(numbers, found, "{filter:?}");
    }
}

async fn another_customers_records_do_not_exist(bench: Bench) {
    let bench = bench.with_operator().await;
    let store = &bench.store;
    let mut batch: Vec<Cdr> = (0..3).map(cdr).collect();
    batch[1].customer = Some("tokyo-hotline".into());
    batch[2].customer = None;
    store.insert_cdrs("node-1", &batch).await.unwrap();
    for (scope, visible) in [
        (Scope::Customer("yamada".into()), [true, false, false]),
        (Scope::Reseller("west-sales".into()), [false, true, false]),
        (Scope::Customer("nobody".into()), [false, false, false]),
        (Scope::All, [true, true, true]),
    ] {
        let count = visible.iter().filter(|seen| **seen).count();
        let filter = CdrFilter { from: Some(START_MS), ..CdrFilter::within(scope.clone()) };
        assert_eq!(store.cdrs(&filter, &Page::default()).await.unwrap().items.len(), count);
        for (cdr, seen) in batch.iter().zip(visible) {
            let read = store.cdr(&cdr.id.to_string(), &scope).await.unwrap();
            assert_eq!(read.is_some(), seen, "{scope:?}");
        }
    }
}

async fn a_cursor_of_another_list_is_refused(bench: Bench) {
    for after in ["", "yamada", "x.y", "99999999999999999999.a"] {
        let page = Page { limit: 10, after: Some(after.into()) };
        let refused = bench.store.cdrs(&all(), &page).await;
        assert!(matches!(refused, Err(StoreError::Cursor)), "{after}: {refused:?}");
    }
}
