use crate::journal::Notes;

use super::*;

const CALL: CallId = CallId(7);

fn at(micros: u64) -> Now {
    Now { mono: crate::time::Timestamp::from_micros(micros), ..Now::default() }
}

/// A record of [`CALL`] with parts.
fn record(at: Now, parts: &[(u64, &[u8])]) -> Vec<u8> {
    Pen::writes(|pen| {
        begin_call(pen, CALL, at, &[]);
        for (number, bytes) in parts {
            pen.number(*number);
            pen.bytes(bytes);
        }
    })
}

fn part(ledger: &Ledger, number: u64) -> Option<&[u8]> {
    ledger.calls.get(&CALL)?.by_number.get(&number).map(|bytes| &**bytes)
}

#[test]
fn the_latest_of_each_part_counts() {
    let mut ledger = Ledger::default();
    ledger.take(&record(at(1), &[(0, b"old"), (1, b"kept")])).unwrap();
    ledger.take(&record(at(2), &[(0, b"new")])).unwrap();
    assert_eq!((part(&ledger, 0), part(&ledger, 1)), (Some(&b"new"[..]), Some(&b"kept"[..])));
    assert_eq!(ledger.latest(), at(2));
}

#[test]
fn a_call_that_is_gone_leaves_nothing() {
    let mut ledger = Ledger::default();
    ledger.take(&record(at(1), &[(0, b"x")])).unwrap();
    ledger.take(&Pen::writes(|pen| gone(CALL, pen))).unwrap();
    assert_eq!(ledger.calls(), 0);
}

#[test]
fn of_two_calls_in_one_record_both_are_taken_or_neither() {
    let (one, other) = (record(at(1), &[(0, b"a")]), record(at(1), &[(1, b"b")]));
    let mut ledger = Ledger::default();
    let whole = join(&one, &other, Pen::new());
    for cut in 0..whole.len() {
        assert_eq!(ledger.take(&whole[..cut]), Err(Unreadable { length: cut }));
    }
    assert_eq!(ledger.calls(), 0);
    ledger.take(&whole).unwrap();
    assert_eq!((part(&ledger, 0), part(&ledger, 1)), (Some(&b"a"[..]), Some(&b"b"[..])));
    assert_eq!(cdrs_of(&whole), Ok(Vec::new()));
}

#[test]
fn a_record_that_cannot_be_read_changes_nothing_and_is_told() {
    let mut ledger = Ledger::default();
    let whole = record(at(1), &[(0, b"abc")]);
    for cut in 0..whole.len() {
        let told = ledger.take(&whole[..cut]);
        // A record without parts is one too.
        assert!(told == Err(Unreadable { length: cut }) || part(&ledger, 0).is_none(), "{cut}");
    }
    assert_eq!(ledger.take(&[99, 1, 2]), Err(Unreadable { length: 3 }));
    assert_eq!(cdrs_of(&[99, 1, 2]), Err(Unreadable { length: 3 }));
    assert_eq!(cdrs_of(&whole), Ok(Vec::new()));
}

#[test]
fn a_record_alone_is_delivered_and_leaves_no_call() {
    use crate::cdr::{CallResult, Caller, CallerClass, Direction, EndedBy};
    use crate::time::WallTime;
    let cdr = Cdr {
        id: CALL,
        direction: Direction::In,
        did: None,
        customer: None,
        caller: Caller { number: None, class: CallerClass::Number },
        trunk_in: None,
        started_at: WallTime::from_unix_micros(5),
        ringing_at: None,
        answered_at: None,
        ended_at: WallTime::from_unix_micros(9),
        duration: std::time::Duration::ZERO,
        result: CallResult::Busy,
        sip_status: 486,
        q850_cause: 17,
        ended_by: EndedBy::Callee,
        answered_by: None,
        legs: Vec::new(),
    };
    let [call, over] = alone(&cdr, at(1));
    assert_eq!((cdrs_of(&call), cdrs_of(&over)), (Ok(vec![cdr]), Ok(Vec::new())));
    let mut ledger = Ledger::default();
    ledger.take(&call).unwrap();
    ledger.take(&over).unwrap();
    assert_eq!(ledger.calls(), 0);
}

#[test]
fn a_note_says_what_has_ended_and_brings_nothing_back() {
    let mut ledger = Ledger::default();
    let note = || {
        let confirmed = vec![Confirmed { call: CALL, leg: 1, seq: 102 }];
        Notes { confirmed, over: vec![CALL] }.record(Pen::new())
    };
    ledger.take(&note()).unwrap();
    assert_eq!(ledger.calls(), 0, "nothing is known of the call");
    ledger.take(&record(at(1), &[(0, b"x")])).unwrap();
    for cut in 0..note().len() {
        assert_eq!(ledger.take(&note()[..cut]), Err(Unreadable { length: cut }));
        assert!(!ledger.calls[&CALL].over && ledger.calls[&CALL].confirmed.is_empty());
    }
    ledger.take(&note()).unwrap();
    let parts = &ledger.calls[&CALL];
    assert_eq!((parts.over, parts.confirmed.get(&1)), (true, Some(&102)));
    assert_eq!(cdrs_of(&note()), Ok(Vec::new()));
}
