//! The relay with real sockets on loopback.
//!
//! Nothing here waits for a time to pass: a test waits for a condition, up to [`PATIENCE`]. That
//! something does *not* arrive is shown by something sent later on the same way that does.

mod phones;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use phones::{Phone, Setup, eventually, speech};
use tensou_media::io::{OpenError, Relay, RelayConfig};
use tensou_media::{Command, Event, Latch, PortPair, SessionId, Side};

const CALL: SessionId = SessionId(1);

#[test]
fn audio_and_reports_pass_both_ways_unchanged() {
    let mut setup = Setup::new(1);
    let call = setup.call(CALL);
    for number in 0..50 {
        let (there, back) = (speech(7, number), speech(8, number));
        call.caller.sends(&there);
        assert_eq!(call.callee.hears(), there);
        call.callee.sends(&back);
        assert_eq!(call.caller.hears(), back);
    }
    let report = [0x80, 200, 0, 1, 0, 0, 0, 7];
    call.caller.reports(&report);
    assert_eq!(call.callee.hears_report(), report);
    let [a, b] = setup.closes(CALL);
    assert_eq!((a.packets, a.lost, a.strangers), (50, 0, 0));
    assert_eq!((b.packets, b.lost, b.strangers), (50, 0, 0));
}

/// More than an Ethernet carries at once. Loopback is wider than that by itself; it is not where
/// `ip link set lo mtu 1500` was said in a namespace.
#[test]
fn a_datagram_larger_than_its_way_arrives_whole() {
    let mut setup = Setup::new(1);
    let call = setup.call(CALL);
    for number in 0..3 {
        let picture = [speech(7, number), vec![0x55; 1_800]].concat();
        call.caller.sends(&picture);
        assert_eq!(call.callee.hears(), picture);
    }
    call.callee.sends(&speech(8, 1));
    assert_eq!(call.caller.hears(), speech(8, 1));
    eventually("all are counted", || setup.relay.stats().packets == 4);
    assert_eq!(setup.relay.stats().send_errors, 0);
}

#[test]
fn each_phone_hears_the_relay_at_the_port_it_was_given() {
    let mut setup = Setup::new(1);
    let call = setup.call(CALL);
    call.caller.sends(&speech(7, 1));
    assert_eq!(call.callee.hears_from().1, call.b_port);
    call.callee.sends(&speech(8, 1));
    assert_eq!(call.caller.hears_from().1, call.a_port);
}

#[test]
fn a_stranger_is_never_heard_nor_answered() {
    let mut setup = Setup::new(1);
    let stranger = Phone::new();
    let (caller, callee) = (Phone::new(), Phone::new());
    let (a, b) = setup.opens(CALL);
    let attack = |number| {
        for port in [a.rtp(), a.rtcp(), b.rtp(), b.rtcp()] {
            for ssrc in [7, 8, 99] {
                stranger.sends_to(port, &speech(ssrc, number));
            }
            stranger.sends_to(port, &[0x80, 200, 0, 1, 0, 0, 0, 7]);
            stranger.sends_to(port, b"");
        }
    };
    let per_attack = 20;

    attack(1);
    eventually("what comes before the phones are known is dropped", || {
        setup.relay.stats().unwanted == per_attack
    });
    setup.answers(CALL, Side::A, &caller, Latch::Signalled);
    setup.answers(CALL, Side::B, &callee, Latch::Signalled);
    attack(1);
    for number in 1..20 {
        caller.sends_to(a.rtp(), &speech(7, number));
        attack(number + 1);
        assert_eq!(callee.hears(), speech(7, number), "the stranger was heard");
        callee.sends_to(b.rtp(), &speech(8, number));
        assert_eq!(caller.hears(), speech(8, number), "the stranger was heard");
    }
    let strangers = 20 * per_attack;
    eventually("every stranger is counted", || setup.relay.stats().strangers == strangers);
    let [from_a, from_b] = setup.closes(CALL);
    assert_eq!((from_a.packets, from_a.strangers), (19, strangers / 2));
    assert_eq!((from_b.packets, from_b.strangers), (19, strangers / 2));

    attack(50);
    eventually("what comes after the call is dropped", || {
        setup.relay.stats().unwanted == 2 * per_attack
    });
    assert!(stranger.heard_nothing(), "the stranger was answered");
    assert!(caller.heard_nothing() && callee.heard_nothing(), "the stranger was heard");
}

#[test]
fn a_phone_behind_nat_is_answered_where_it_sends_from() {
    let mut setup = Setup::new(1);
    let (said, natted, callee) = (Phone::new(), Phone::new(), Phone::new());
    let (a, b) = setup.opens(CALL);
    setup.answers(CALL, Side::A, &said, Latch::FirstSource);
    setup.answers(CALL, Side::B, &callee, Latch::Signalled);
    natted.sends_to(a.rtp(), &speech(7, 1));
    assert_eq!(callee.hears(), speech(7, 1));
    callee.sends_to(b.rtp(), &speech(8, 1));
    assert_eq!(natted.hears(), speech(8, 1));

    let stranger = Phone::new();
    stranger.sends_to(a.rtp(), &speech(7, 2));
    natted.sends_to(a.rtp(), &speech(7, 2));
    natted.sends_to(a.rtp(), &speech(7, 3));
    assert_eq!((callee.hears(), callee.hears()), (speech(7, 2), speech(7, 3)));
    assert_eq!(setup.closes(CALL)[0].strangers, 1);
    assert!(said.heard_nothing() && stranger.heard_nothing());
}

#[test]
fn a_re_invite_moves_the_source_and_the_old_one_is_not_heard() {
    let mut setup = Setup::new(1);
    let call = setup.call(CALL);
    call.caller.sends(&speech(7, 1));
    assert_eq!(call.callee.hears(), speech(7, 1));
    let moved = Phone::new();
    setup.answers(CALL, Side::A, &moved, Latch::Signalled);
    call.caller.sends(&speech(7, 2));
    moved.sends_to(call.a_port, &speech(7, 3));
    assert_eq!(call.callee.hears(), speech(7, 3));
    call.callee.sends(&speech(8, 1));
    assert_eq!(moved.hears(), speech(8, 1));
    assert!(call.caller.heard_nothing());
}

#[test]
fn after_close_the_ports_are_silent_at_once() {
    let mut setup = Setup::new(1);
    let call = setup.call(CALL);
    call.caller.sends(&speech(7, 1));
    assert_eq!(call.callee.hears(), speech(7, 1));
    assert!(setup.relay.close(CALL).is_some());
    for number in 2..100 {
        call.caller.sends(&speech(7, number));
    }
    eventually("the rest is dropped", || setup.relay.stats().unwanted == 98);
    assert!(call.callee.heard_nothing());
    assert_eq!(setup.relay.close(CALL), None, "closed already");
    assert_eq!(setup.relay.counters(CALL), None);
}

#[test]
fn the_next_call_on_the_same_ports_hears_nothing_of_the_last() {
    let mut setup = Setup::new(2);
    for number in 1..200 {
        let session = SessionId(number);
        let call = setup.call(session);
        call.caller.sends(&speech(7, number as u16));
        assert_eq!(call.callee.hears(), speech(7, number as u16));
        let [a, b] = setup.closes(session);
        assert_eq!((a.packets, b.packets), (1, 0), "call {number}");
    }
    assert_eq!(setup.relay.stats().sockets, 8);
}

#[test]
fn ports_that_change_their_partner_and_their_worker_serve_on() {
    // Nine pairs for four calls: the partners of a round are never those of the round before.
    let mut setup = Setup::with_pairs(4, 9);
    for round in 0..50 {
        let sessions = (0..4).map(|number| SessionId(round * 10 + number));
        let calls: Vec<_> = sessions.map(|session| (session, setup.call(session))).collect();
        for (session, call) in calls {
            call.caller.sends(&speech(7, 1));
            assert_eq!(call.callee.hears(), speech(7, 1), "round {round}");
            call.callee.sends(&speech(8, 1));
            assert_eq!(call.caller.hears(), speech(8, 1), "round {round}");
            assert_eq!(setup.closes(session).map(|side| side.packets), [1, 1]);
        }
    }
    // A packet is heard a moment before it is counted.
    eventually("all are counted", || setup.relay.stats().packets == 400);
    let stats = setup.relay.stats();
    assert_eq!((stats.sockets, stats.worker_panics), (18, 0));
}

#[test]
fn thousands_of_calls_leave_no_session_and_bounded_sockets() {
    let mut setup = Setup::with_pairs(4, 40);
    for round in 0..1000 {
        let sessions = (0..20).map(|number| SessionId(round * 100 + number));
        for session in sessions.clone() {
            setup.opens(session);
            setup.relay.command(Command::WatchIdle { session, on: true });
        }
        assert_eq!(setup.relay.stats().sessions, 20);
        for session in sessions {
            setup.closes(session);
        }
    }
    let stats = setup.relay.stats();
    assert_eq!((stats.sessions, stats.sockets, stats.worker_panics), (0, 80, 0));
    // The workers have kept up in order: a call set up now works.
    let call = setup.call(SessionId(u64::MAX));
    call.caller.sends(&speech(7, 1));
    assert_eq!(call.callee.hears(), speech(7, 1));
}

#[test]
fn a_flood_of_orders_delays_nobody_and_loses_none() {
    let mut setup = Setup::new(1);
    let call = setup.call(CALL);
    for round in 0..50_000 {
        setup.relay.command(Command::WatchIdle { session: CALL, on: round % 2 == 0 });
    }
    let moved = Phone::new();
    setup.answers(CALL, Side::A, &moved, Latch::Signalled);
    let number = eventually_heard(&moved, call.a_port, &call.callee, &mut setup.relay);
    assert!(number >= 1);
}

/// Sends until the order that makes it heard has come through; says how often.
fn eventually_heard(from: &Phone, port: u16, to: &Phone, relay: &mut Relay) -> u16 {
    let mut number = 0;
    eventually("the last order is carried out", || {
        number += 1;
        from.sends_to(port, &speech(7, number));
        relay.poll_event();
        to.heard_something()
    });
    number
}

#[test]
fn silence_of_a_watched_call_is_reported_once() {
    let mut setup = Setup::configured(|config| config.idle_timeout = Duration::from_millis(1));
    let watched = setup.call(CALL);
    let (unwatched, _other) = (SessionId(2), setup.call(SessionId(2)));
    setup.relay.command(Command::WatchIdle { session: CALL, on: true });
    let mut events = Vec::new();
    eventually("silence is reported", || {
        events.extend(setup.relay.poll_event());
        !events.is_empty()
    });
    assert_eq!(events, [Event::Idle { session: CALL }]);
    // A packet ends the silence; the next one is a new one.
    watched.caller.sends(&speech(7, 1));
    eventually("a new silence is reported", || {
        events.extend(setup.relay.poll_event());
        events.len() == 2
    });
    assert!(events.iter().all(|event| *event != Event::Idle { session: unwatched }));
}

#[test]
fn a_taken_port_is_named_and_leaves_nothing() {
    let mut setup = Setup::new(1);
    let (a, b) = setup.free_pairs();
    let other_process = UdpSocket::bind((Ipv4Addr::LOCALHOST, b.rtcp())).unwrap();
    let error = setup.relay.open(CALL, a, b).unwrap_err();
    assert!(matches!(error, OpenError::Bind { port, .. } if port == b.rtcp()), "{error}");
    let stats = setup.relay.stats();
    assert_eq!((stats.sessions, stats.sockets, stats.bind_failures), (0, 2, 1));
    drop(other_process);
    setup.relay.open(CALL, a, b).unwrap();
    assert_eq!(setup.relay.stats().sockets, 4);
}

#[test]
fn mistakes_of_the_owner_are_refused() {
    let mut setup = Setup::new(1);
    let (a, b) = setup.opens(CALL);
    let (c, d) = setup.free_pairs();
    let again = setup.relay.open(CALL, c, d).unwrap_err();
    assert!(matches!(again, OpenError::SessionExists), "{again}");
    for (one, two) in [(a, c), (c, b), (c, c)] {
        let error = setup.relay.open(SessionId(2), one, two).unwrap_err();
        assert!(matches!(error, OpenError::PairInUse { .. }), "{error}");
    }
    let outside = tensou_media::PortPair::new(2).unwrap();
    let error = setup.relay.open(SessionId(2), c, outside).unwrap_err();
    assert!(matches!(error, OpenError::OutsideRange { port: 2 }), "{error}");
    setup.relay.open(SessionId(2), c, d).unwrap();
}

#[test]
fn there_are_as_many_workers_as_configured() {
    for workers in [1, 3] {
        assert_eq!(Setup::new(workers).relay.workers(), workers);
    }
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(Setup::new(0).relay.workers(), cores);
}

#[test]
fn calls_on_many_workers_all_talk() {
    let mut setup = Setup::with_pairs(3, 60);
    let calls: Vec<_> = (0..30).map(|number| setup.call(SessionId(number))).collect();
    for number in 0..20 {
        for call in &calls {
            call.caller.sends(&speech(7, number));
            call.callee.sends(&speech(8, number));
        }
        for call in &calls {
            assert_eq!(call.callee.hears(), speech(7, number));
            assert_eq!(call.caller.hears(), speech(8, number));
        }
    }
    eventually("all are counted", || setup.relay.stats().packets == 30 * 20 * 2);
    assert_eq!(setup.relay.stats().send_errors, 0);
}

#[test]
fn a_caller_on_ipv4_and_a_callee_on_ipv6_talk() {
    let mut setup = Setup::configured(|config| config.listen = IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let (caller, callee) = (Phone::new(), Phone::on(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    let (a, b) = setup.opens(CALL);
    setup.answers(CALL, Side::A, &caller, Latch::Signalled);
    setup.answers(CALL, Side::B, &callee, Latch::Signalled);
    caller.sends_to(a.rtp(), &speech(7, 1));
    assert_eq!(callee.hears(), speech(7, 1));
    callee.sends_to(b.rtp(), &speech(8, 1));
    assert_eq!(caller.hears(), speech(8, 1));
}

#[test]
fn a_relay_takes_calls_up_on_the_sockets_of_another_and_loses_no_packet() {
    let mut setup = Setup::new(1);
    let call = setup.call(CALL);
    let (unused, _) = setup.opens(SessionId(2));
    call.caller.sends(&speech(7, 1));
    assert_eq!(call.callee.hears(), speech(7, 1));
    setup.closes(SessionId(2));
    let left: Vec<UdpSocket> =
        setup.relay.held_sockets().map(|socket| socket.try_clone().unwrap()).collect();
    assert_eq!(left.len(), 4);
    let config = setup.config();
    drop(setup);
    // They wait in the sockets.
    for number in 2..12 {
        call.caller.sends(&speech(7, number));
        call.callee.sends(&speech(8, number));
    }

    let mut next = Relay::start(config).unwrap();
    let stray = UdpSocket::bind("127.0.0.1:0").unwrap();
    next.take_up(left.into_iter().chain([stray]).collect());
    assert_eq!(next.stats().sockets, 4);
    let pair = |port| PortPair::new(port).unwrap();
    next.open(CALL, pair(call.a_port), pair(call.b_port)).unwrap();
    for (side, phone) in [(Side::A, &call.caller), (Side::B, &call.callee)] {
        let remote = phone.remote(Latch::Signalled);
        next.command(Command::SetRemote { session: CALL, side, remote });
    }
    next.taken_up().unwrap();
    for number in 2..12 {
        assert_eq!(call.callee.hears(), speech(7, number));
        assert_eq!(call.caller.hears(), speech(8, number));
    }
    assert_eq!(next.stats().unwanted, 0);
    let _free = UdpSocket::bind((Ipv4Addr::LOCALHOST, unused.rtp())).unwrap();
}

#[test]
fn a_relay_that_is_dropped_gives_its_ports_back() {
    let mut setup = Setup::new(2);
    let (a, _) = setup.opens(CALL);
    let config: RelayConfig = setup.config();
    drop(setup);
    let _bound_again = UdpSocket::bind((config.listen, a.rtp())).unwrap();
}
