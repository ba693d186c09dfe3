//! The board under events, without a server.

use std::time::Duration;

use tensou_engine::plan::parse_e164;
use tensou_engine::{
    CallId, CallResult, CallStarted, Caller, Direction, EndedBy, Event, Key, LegNumber, WallTime,
};
use tokio::sync::broadcast::error::TryRecvError;

use super::{Board, CallState, LegState};

const MINUTE: i64 = 60_000_000;

fn started(call: CallId, customer: &str) -> Event {
    Event::CallStarted(Box::new(CallStarted {
        call,
        at: WallTime::from_unix_micros(MINUTE),
        direction: Direction::Forward,
        did: parse_e164("0312345678").ok(),
        customer: Some(Key::from(customer)),
        caller: Caller::default(),
        trunk_in: Some(Key::from("pri")),
    }))
}

fn dialled(call: CallId, leg: u16, destination: &str) -> Event {
    Event::LegDialled {
        call,
        leg: LegNumber(leg),
        destination: Key::from(destination),
        trunk_out: None,
    }
}

fn ended(call: CallId) -> Event {
    Event::CallEnded {
        call,
        at: WallTime::from_unix_micros(3 * MINUTE),
        duration: Duration::from_secs(60),
        result: CallResult::Answered,
        sip_status: 200,
        q850_cause: 16,
        ended_by: EndedBy::Caller,
    }
}

fn id(number: u64) -> CallId {
    CallId::new(1_000, 0, number)
}

#[test]
fn a_call_goes_from_routing_over_ringing_and_talking_to_recent() {
    let board = Board::new();
    let call = id(1);
    let at = WallTime::from_unix_micros(2 * MINUTE);
    board.apply(&started(call, "acme"));
    assert_eq!(board.call(call).map(|call| call.state), Some(CallState::Routing));

    board.apply(&dialled(call, 1, "yamada"));
    board.apply(&dialled(call, 2, "suzuki"));
    board.apply(&Event::LegRinging { call, leg: LegNumber(2), at });
    let live = board.call(call).expect("live");
    assert_eq!((live.state, live.ringing_at), (CallState::Ringing, Some(at)));
    assert_eq!(live.legs[0].state, LegState::Dialling);

    board.apply(&Event::LegEnded { call, leg: LegNumber(1), sip_status: 487 });
    board.apply(&Event::CallAnswered { call, leg: LegNumber(2), at });
    let live = board.call(call).expect("live");
    assert_eq!(live.state, CallState::Talking);
    assert_eq!(live.answered_by, Some(Key::from("suzuki")));
    assert_eq!(live.legs[0].state, LegState::Ended(487));
    assert_eq!((board.call_counts().active, board.call_counts().talking), (1, 1));

    board.apply(&ended(call));
    assert!(board.call(call).is_none());
    assert_eq!((board.call_counts().active, board.call_counts().talking), (0, 0));
    let recent = board.recent(10, |_| true);
    assert_eq!(recent.len(), 1);
    assert_eq!(recent[0].duration, Duration::from_secs(60));
}

#[test]
fn recent_calls_are_bounded_and_newest_first() {
    let board = Board::new();
    for number in 0..250 {
        board.apply(&started(id(number), "acme"));
        board.apply(&ended(id(number)));
    }
    let recent = board.recent(1_000, |_| true);
    assert_eq!(recent.len(), 200);
    assert_eq!(recent[0].call.id, id(249));
}

#[test]
fn lost_ends_do_not_grow_the_board_without_bound() {
    let board = Board::new();
    for number in 0..100_010 {
        board.apply(&started(id(number), "acme"));
    }
    assert_eq!(board.call_counts().active, 100_000);
    assert!(board.call(id(0)).is_none(), "the oldest go first");
}

#[test]
fn live_calls_page_by_id_and_filter() {
    let board = Board::new();
    for number in 0..10 {
        board.apply(&started(id(number), if number % 2 == 0 { "acme" } else { "kita" }));
    }
    let acme = |call: &super::LiveCall| call.customer == Some(Key::from("acme"));
    let first = board.calls(None, 3, acme);
    assert_eq!(first.iter().map(|call| call.id).collect::<Vec<_>>(), [id(0), id(2), id(4)]);
    let rest = board.calls(Some(id(4)), 100, acme);
    assert_eq!(rest.iter().map(|call| call.id).collect::<Vec<_>>(), [id(6), id(8)]);
}

#[test]
fn events_of_unknown_calls_change_nothing() {
    let board = Board::new();
    let mut watcher = board.subscribe();
    board.apply(&dialled(id(7), 1, "yamada"));
    board.apply(&ended(id(7)));
    assert_eq!(board.call_counts().active, 0);
    assert!(matches!(watcher.try_recv(), Err(TryRecvError::Empty)));
}

#[test]
fn a_subscriber_hears_every_change_with_its_customer() {
    let board = Board::new();
    board.apply(&started(id(1), "acme"));
    let mut watcher = board.subscribe();
    board.apply(&dialled(id(1), 1, "yamada"));
    board.apply(&Event::TrunkChannels { trunk: Key::from("pri"), in_use: 3, limit: 23 });
    board.apply(&ended(id(1)));
    let heard: Vec<_> = std::iter::from_fn(|| watcher.try_recv().ok())
        .map(|notice| (notice.name, notice.customer.map(|key| key.to_string())))
        .collect();
    assert_eq!(
        heard,
        [
            ("call.dialling", Some("acme".to_owned())),
            ("trunk.channels", None),
            ("call.ended", Some("acme".to_owned())),
        ]
    );
    assert_eq!(board.trunk("pri").map(|pri| (pri.in_use, pri.limit)), Some((3, 23)));
}

#[test]
fn a_binding_is_listed_until_it_ends() {
    let board = Board::new();
    let source = "192.0.2.9:5060".parse().expect("address");
    let expires_at = WallTime::from_unix_micros(MINUTE);
    let contact = "sip:100@192.0.2.9".to_owned();
    board.apply(&Event::Registered {
        extension: Key::from("100"),
        contact: contact.clone(),
        source,
        expires_at,
    });
    assert_eq!(board.registrations().len(), 1);
    assert_eq!(board.registrations_of("100").len(), 1);
    assert!(board.registrations_of("10").is_empty());
    board.apply(&Event::Unregistered { extension: Key::from("100"), contact });
    assert!(board.registrations().is_empty());
}

#[test]
fn the_newest_calls_come_first_and_all_are_counted() {
    let board = Board::new();
    for number in 0..10 {
        board.apply(&started(id(number), if number % 2 == 0 { "acme" } else { "kita" }));
    }
    let at = WallTime::from_unix_micros(2 * MINUTE);
    board.apply(&dialled(id(4), 1, "yamada"));
    board.apply(&Event::CallAnswered { call: id(4), leg: LegNumber(1), at });
    let acme = |call: &super::LiveCall| call.customer == Some(Key::from("acme"));
    let (newest, counts) = board.newest(2, acme);
    assert_eq!(newest.iter().map(|call| call.id).collect::<Vec<_>>(), [id(8), id(6)]);
    assert_eq!((counts.active, counts.talking), (5, 1));
}

#[test]
fn calls_of_other_nodes_stand_among_all_in_their_order_and_a_change_of_them_is_told_once() {
    let (board, other) = (Board::new(), Board::new());
    for number in [1, 3, 5] {
        board.apply(&started(id(number), "acme"));
    }
    for number in [2, 4] {
        other.apply(&started(id(number), "acme"));
    }
    let described: Vec<String> = other.own_calls().iter().map(super::describe).collect();
    let read = || described.iter().filter_map(|text| super::understand("node-2", text)).collect();
    let mut notices = board.subscribe();
    board.set_elsewhere(Vec::new(), read());
    assert_eq!(notices.try_recv().map(|notice| notice.name).ok(), Some("calls.elsewhere"));
    board.set_elsewhere(Vec::new(), read());
    assert!(notices.try_recv().is_err(), "nothing is new");

    let ids = |calls: Vec<super::LiveCall>| -> Vec<CallId> {
        calls.into_iter().map(|call| call.id).collect()
    };
    assert_eq!(ids(board.calls(None, 10, |_| true)), [id(1), id(2), id(3), id(4), id(5)]);
    assert_eq!(ids(board.calls(Some(id(1)), 3, |_| true)), [id(2), id(3), id(4)]);
    let (newest, counts) = board.newest(2, |_| true);
    assert_eq!((ids(newest), counts.active), (vec![id(5), id(4)], 5));
    assert_eq!(board.call_counts().active, 3, "this node has its own only");
    let node = |number| board.call(id(number)).map(|call| call.node);
    assert_eq!((node(1), node(2)), (Some(None), Some(Some(Key::from("node-2")))));

    board.set_elsewhere(Vec::new(), Vec::new());
    assert_eq!(board.call(id(2)), None);
}
