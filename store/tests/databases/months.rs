//! Months of call records: made ahead, taken late, forgotten.

use jiff::Zoned;
use tensou_engine::{CallId, Cdr, WallTime};
use tensou_store::{CdrFilter, Page, Scope, Upkeep};

use crate::bench::Bench;
use crate::records::cdr;

crate::cases!(
    a_record_of_any_month_is_stored_once,
    old_months_go_by_the_operators_calendar,
    many_old_records_go_in_batches,
    nothing_goes_when_all_is_to_be_kept,
    the_days_of_a_report_are_the_operators,
);
crate::cases!(
    POSTGRES_CASES = months_are_made_ahead_and_late_records_moved_to_theirs,
    nodes_that_keep_records_at_once_make_each_month_once,
);

/// A record of a call that started then.
fn started(at: &str, number: u64) -> Cdr {
    let at: jiff::Timestamp = at.parse().unwrap();
    Cdr {
        id: CallId::new(at.as_millisecond(), number, number),
        started_at: WallTime::from_unix_micros(at.as_microsecond()),
        ..cdr(1)
    }
}

fn now(text: &str) -> Zoned {
    text.parse().unwrap()
}

fn in_november() -> Zoned {
    now("2026-11-24T10:00:00+09:00[Asia/Tokyo]")
}

async fn a_record_of_any_month_is_stored_once(bench: Bench) {
    let store = &bench.store;
    let batch: Vec<Cdr> = [
        "1970-01-01T00:00:00Z",
        "2019-03-31T23:59:59.999Z",
        "2026-10-31T23:59:59.999Z",
        "2026-11-01T00:00:00Z",
        "2028-02-29T12:00:00Z",
        "2099-12-31T23:59:59Z",
    ]
    .iter()
    .zip(0..)
    .map(|(at, number)| started(at, number))
    .collect();
    assert_eq!(store.insert_cdrs("node-1", &batch).await.unwrap(), 6);
    assert_eq!(store.insert_cdrs("node-1", &batch).await.unwrap(), 0, "before its month is made");
    store.keep_records(&in_november(), 0).await.unwrap();
    assert_eq!(store.insert_cdrs("node-2", &batch).await.unwrap(), 0, "and after");
    assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs").await, 6);
    for made in &batch {
        let read = store.cdr(&made.id.to_string(), &Scope::All).await.unwrap().unwrap();
        assert_eq!(read.started_at, made.started_at.as_unix_millis());
    }
    let mut page = Page::first(2);
    let mut seen = Vec::new();
    loop {
        let part = store.cdrs(&CdrFilter::within(Scope::All), &page).await.unwrap();
        seen.extend(part.items.into_iter().map(|record| record.id));
        match part.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    let expected: Vec<String> = batch.iter().rev().map(|cdr| cdr.id.to_string()).collect();
    assert_eq!(seen, expected, "newest first over all months");
}

async fn old_months_go_by_the_operators_calendar(bench: Bench) {
    let store = &bench.store;
    // In Tokyo September begins nine hours earlier than in UTC.
    let batch: Vec<Cdr> = [
        "2026-06-15T00:00:00Z",
        "2026-07-15T00:00:00Z",
        "2026-08-31T14:59:59.999Z",
        "2026-08-31T15:00:00Z",
        "2026-09-15T00:00:00Z",
        "2026-11-24T00:00:00Z",
    ]
    .iter()
    .zip(0..)
    .map(|(at, number)| started(at, number))
    .collect();
    store.insert_cdrs("node-1", &batch).await.unwrap();
    let done = store.keep_records(&in_november(), 2).await.unwrap();
    let gone = u64::from(done.dropped) + done.deleted;
    assert!(gone >= 3, "{done:?}");
    let page = store.cdrs(&CdrFilter::within(Scope::All), &Page::default()).await.unwrap();
    let left: Vec<i64> = page.items.iter().map(|record| record.started_at).collect();
    let expected: Vec<i64> =
        batch[3..].iter().rev().map(|cdr| cdr.started_at.as_unix_millis()).collect();
    assert_eq!(left, expected);
    // A record that comes late is taken, and goes at the next round.
    assert_eq!(store.insert_cdrs("node-1", &batch[..1]).await.unwrap(), 1);
    store.keep_records(&in_november(), 2).await.unwrap();
    assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs").await, 3);
}

async fn many_old_records_go_in_batches(bench: Bench) {
    let store = &bench.store;
    let old: Vec<Cdr> = (0..2_500).map(|n| started("2026-01-10T00:00:00Z", n)).collect();
    store.insert_cdrs("node-1", &old).await.unwrap();
    let new: Vec<Cdr> = (0..10).map(cdr).collect();
    store.insert_cdrs("node-1", &new).await.unwrap();
    store.keep_records(&in_november(), 1).await.unwrap();
    assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs").await, 10);
}

async fn nothing_goes_when_all_is_to_be_kept(bench: Bench) {
    let store = &bench.store;
    store.insert_cdrs("node-1", &[started("2001-01-10T00:00:00Z", 1)]).await.unwrap();
    let done = store.keep_records(&in_november(), 0).await.unwrap();
    assert_eq!((done.dropped, done.deleted), (0, 0));
    assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs").await, 1);
    assert_eq!(store.keep_records(&in_november(), 0).await.unwrap(), Upkeep::default());
}

/// A day is the operator's: filters get its edges, whatever month of UTC a record lies in.
async fn the_days_of_a_report_are_the_operators(bench: Bench) {
    let store = &bench.store;
    let spans = [
        // A month's end and a year's end in Tokyo; the calls begin before and end after midnight.
        (
            "2026-11-30T00:00:00+09:00[Asia/Tokyo]",
            "2026-11-30T14:59:59.999Z",
            "2026-11-30T15:00:00Z",
        ),
        (
            "2026-12-31T00:00:00+09:00[Asia/Tokyo]",
            "2026-12-31T14:59:59.999Z",
            "2026-12-31T15:00:00Z",
        ),
        (
            "2028-02-29T00:00:00+09:00[Asia/Tokyo]",
            "2028-02-29T14:59:59.999Z",
            "2028-02-29T15:00:00Z",
        ),
        // Clocks go back: the day has 25 hours. They go forward: 23.
        (
            "2026-10-25T00:00:00+02:00[Europe/Berlin]",
            "2026-10-25T22:59:59.999Z",
            "2026-10-25T23:00:00Z",
        ),
        (
            "2026-03-29T00:00:00+01:00[Europe/Berlin]",
            "2026-03-29T21:59:59.999Z",
            "2026-03-29T22:00:00Z",
        ),
    ];
    for (number, (day, last, next)) in (0..).zip(spans) {
        let (last, next) = (started(last, number), started(next, number + 100));
        store.insert_cdrs("node-1", &[last.clone(), next]).await.unwrap();
        let day = now(day);
        let edge = |at: &Zoned| Some(at.timestamp().as_millisecond());
        let filter = CdrFilter {
            from: edge(&day.start_of_day().unwrap()),
            to: edge(&day.tomorrow().unwrap().start_of_day().unwrap()),
            ..CdrFilter::within(Scope::All)
        };
        let found = store.cdrs(&filter, &Page::default()).await.unwrap().items;
        let ids: Vec<&str> = found.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(ids, [last.id.to_string()], "{day}");
        // Over whatever midnight it lasted, its length is what the monotonic clock said.
        assert_eq!(found[0].duration_ms, 60_001);
    }
}

async fn tables(bench: &Bench) -> Vec<String> {
    bench
        .texts(
            "SELECT c.relname::TEXT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
             WHERE i.inhparent = 'cdrs'::regclass ORDER BY 1",
        )
        .await
}

async fn months_are_made_ahead_and_late_records_moved_to_theirs(bench: Bench) {
    let store = &bench.store;
    assert_eq!(tables(&bench).await, ["cdrs_rest"]);
    store.insert_cdrs("node-1", &[started("2026-08-01T00:00:00Z", 1), cdr(1)]).await.unwrap();
    assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs_rest").await, 2);
    let done = store.keep_records(&in_november(), 0).await.unwrap();
    assert_eq!(done, Upkeep { made: 5, ..Upkeep::default() });
    let months = ["2026_08", "2026_11", "2026_12", "2027_01", "2027_02"];
    let mut expected: Vec<String> = months.iter().map(|month| format!("cdrs_{month}")).collect();
    expected.push("cdrs_rest".into());
    assert_eq!(tables(&bench).await, expected);
    assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs_rest").await, 0);
    assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs_2026_08").await, 1);
    assert_eq!(bench.number("SELECT COUNT(*) FROM cdrs_2026_11").await, 1);
    // Every index of the records is in every month.
    let missing = "SELECT COUNT(*) FROM pg_inherits i WHERE i.inhparent = 'cdrs'::regclass AND \
         (SELECT COUNT(*) FROM pg_index WHERE indrelid = i.inhrelid) <> \
         (SELECT COUNT(*) FROM pg_index WHERE indrelid = 'cdrs'::regclass)";
    assert_eq!(bench.number(missing).await, 0);
    let done = store.keep_records(&in_november(), 1).await.unwrap();
    assert_eq!(done, Upkeep { dropped: 1, ..Upkeep::default() });
    assert_eq!(tables(&bench).await.len(), 5);
}

async fn nodes_that_keep_records_at_once_make_each_month_once(bench: Bench) {
    let other = tensou_store::Store::connect(&bench.url).await.unwrap();
    let at = in_november();
    let (one, two) = tokio::join!(bench.store.keep_records(&at, 1), other.keep_records(&at, 1));
    assert_eq!(one.unwrap().made + two.unwrap().made, 4);
    other.close().await;
}
