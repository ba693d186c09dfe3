use super::*;
use crate::rtp::tests::packet;
use crate::value::Latch;

const CALLER: &str = "192.0.2.1:4000";
const CALLEE: &str = "198.51.100.2:5000";
const STRANGER: &str = "203.0.113.66:6000";
const TIMEOUT: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn remote(rtp: &str) -> Remote {
    let rtp = address(rtp);
    let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
    Remote { rtp, rtcp, latch: Latch::Signalled, sends: true }
}

fn muxed(rtp: &str) -> Remote {
    Remote { rtcp: address(rtp), ..remote(rtp) }
}

fn talking() -> Session {
    let mut session = Session::default();
    session.set_remote(at(0), Side::A, remote(CALLER));
    session.set_remote(at(0), Side::B, remote(CALLEE));
    session.watch_idle(at(0), true);
    session
}

fn sends(session: &mut Session, side: Side, from: &str, bytes: &[u8]) -> Verdict {
    sends_at(session, at(1), side, (Port::Rtp, from), bytes)
}

fn sends_at(
    session: &mut Session,
    now: Timestamp,
    side: Side,
    (port, from): (Port, &str),
    bytes: &[u8],
) -> Verdict {
    session.packet(now, Arrival { side, port, from: address(from), bytes })
}

fn to(port: Port, address_text: &str) -> Verdict {
    Verdict::Relay { port, to: address(address_text) }
}

#[test]
fn each_phone_hears_the_other() {
    let mut session = talking();
    let speech = packet(0, 1, 160, 7);
    assert_eq!(sends(&mut session, Side::A, CALLER, &speech), to(Port::Rtp, CALLEE));
    assert_eq!(sends(&mut session, Side::B, CALLEE, &speech), to(Port::Rtp, CALLER));
    assert_eq!(session.counters(Side::A).packets, 1);
    assert_eq!(session.counters(Side::B).packets, 1);
}

#[test]
fn a_stranger_is_dropped_and_counted_on_every_port() {
    let mut session = talking();
    sends(&mut session, Side::A, CALLER, &packet(0, 1, 160, 7));
    let guesses = [packet(0, 1, 160, 9), packet(0, 2, 320, 7), vec![], vec![0x80, 200, 0, 1]];
    for bytes in &guesses {
        for side in [Side::A, Side::B] {
            for port in [Port::Rtp, Port::Rtcp] {
                let verdict = sends_at(&mut session, at(1), side, (port, STRANGER), bytes);
                assert_eq!(verdict, Verdict::Drop(DropReason::Stranger));
            }
        }
    }
    assert_eq!(session.counters(Side::A).strangers, 8);
    assert_eq!((session.counters(Side::A).packets, session.counters(Side::A).lost), (1, 0));
}

#[test]
fn the_other_sides_phone_is_a_stranger_on_this_side() {
    let verdict = sends(&mut talking(), Side::A, CALLEE, &packet(0, 1, 160, 7));
    assert_eq!(verdict, Verdict::Drop(DropReason::Stranger));
}

#[test]
fn nothing_flows_before_both_phones_are_known() {
    let mut session = Session::default();
    let speech = packet(0, 1, 160, 7);
    assert_eq!(sends(&mut session, Side::A, CALLER, &speech), Verdict::Drop(DropReason::NoPhone));
    session.set_remote(at(0), Side::A, remote(CALLER));
    assert_eq!(
        sends(&mut session, Side::A, CALLER, &speech),
        Verdict::Drop(DropReason::NobodyToHear)
    );
    assert_eq!(sends(&mut session, Side::B, CALLEE, &speech), Verdict::Drop(DropReason::NoPhone));
    session.set_remote(at(0), Side::B, remote(CALLEE));
    assert_eq!(sends(&mut session, Side::A, CALLER, &speech), to(Port::Rtp, CALLEE));
}

#[test]
fn an_address_that_is_no_phones_is_never_sent_to() {
    let mut session = talking();
    for nowhere in ["0.0.0.0:5000", "198.51.100.2:0", "224.0.0.1:5000", "[::]:5000", "[ff02::1]:5"]
    {
        session.set_remote(at(0), Side::B, muxed(nowhere));
        let verdict = sends(&mut session, Side::A, CALLER, &packet(0, 1, 160, 7));
        assert_eq!(verdict, Verdict::Drop(DropReason::NobodyToHear), "{nowhere}");
    }
}

#[test]
fn a_losing_branch_is_neither_heard_nor_sent_to_any_more() {
    let mut session = talking();
    session.clear_remote(Side::B);
    let speech = packet(0, 1, 160, 7);
    assert_eq!(sends(&mut session, Side::B, CALLEE, &speech), Verdict::Drop(DropReason::NoPhone));
    assert_eq!(
        sends(&mut session, Side::A, CALLER, &speech),
        Verdict::Drop(DropReason::NobodyToHear)
    );
}

#[test]
fn a_re_invite_moves_the_source_at_once() {
    let mut session = talking();
    session.set_remote(at(5), Side::A, remote("192.0.2.77:4100"));
    let speech = packet(0, 1, 160, 7);
    assert_eq!(sends(&mut session, Side::A, CALLER, &speech), Verdict::Drop(DropReason::Stranger));
    assert_eq!(sends(&mut session, Side::A, "192.0.2.77:4100", &speech), to(Port::Rtp, CALLEE));
    assert_eq!(sends(&mut session, Side::B, CALLEE, &speech), to(Port::Rtp, "192.0.2.77:4100"));
}

#[test]
fn rtcp_passes_on_its_own_port() {
    let report = [0x80, 200, 0, 1, 0, 0, 0, 7];
    let from = (Port::Rtcp, "192.0.2.1:4001");
    let verdict = sends_at(&mut talking(), at(1), Side::A, from, &report);
    assert_eq!(verdict, to(Port::Rtcp, "198.51.100.2:5001"));
}

#[test]
fn rtcp_finds_its_port_between_a_phone_that_muxes_and_one_that_does_not() {
    let mut session = talking();
    session.set_remote(at(0), Side::A, muxed(CALLER));
    let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    assert_eq!(sends(&mut session, Side::A, CALLER, &report), to(Port::Rtcp, "198.51.100.2:5001"));
    let from = (Port::Rtcp, "198.51.100.2:5001");
    assert_eq!(sends_at(&mut session, at(1), Side::B, from, &report), to(Port::Rtp, CALLER));
    assert_eq!(session.counters(Side::A).packets, 0, "reports are not voice");
}

#[test]
fn fax_without_rtp_passes_and_is_not_counted_as_voice() {
    let mut session = talking();
    let udptl = [0x00, 0x01, 0x05, 0x06, 0xC0];
    assert_eq!(sends(&mut session, Side::A, CALLER, &udptl), to(Port::Rtp, CALLEE));
    assert_eq!(session.counters(Side::A), SideCounters::default());
}

#[test]
fn a_phone_on_hold_is_not_heard_but_reports() {
    let mut session = talking();
    session.set_remote(at(5), Side::A, Remote { sends: false, ..remote(CALLER) });
    let speech = packet(0, 1, 160, 7);
    assert_eq!(
        sends(&mut session, Side::A, CALLER, &speech),
        Verdict::Drop(DropReason::NotSending)
    );
    assert_eq!(
        sends(&mut session, Side::A, STRANGER, &speech),
        Verdict::Drop(DropReason::Stranger)
    );
    assert_eq!(sends(&mut session, Side::B, CALLEE, &speech), to(Port::Rtp, CALLER));
    let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    let from = (Port::Rtcp, "192.0.2.1:4001");
    let verdict = sends_at(&mut session, at(6), Side::A, from, &report);
    assert_eq!(verdict, to(Port::Rtcp, "198.51.100.2:5001"));
    session.set_remote(at(9), Side::A, remote(CALLER));
    assert_eq!(sends(&mut session, Side::A, CALLER, &speech), to(Port::Rtp, CALLEE));
}

#[test]
fn silence_of_both_is_reported_once() {
    let mut session = talking();
    assert!(!session.fell_silent(at(59), TIMEOUT));
    assert!(session.fell_silent(at(60), TIMEOUT));
    assert!(!session.fell_silent(at(200), TIMEOUT));
}

#[test]
fn one_phone_that_talks_keeps_the_call() {
    let mut session = talking();
    for second in [50, 100, 150] {
        let from = (Port::Rtp, CALLEE);
        sends_at(&mut session, at(second), Side::B, from, &packet(0, 1, 160, 7));
        assert!(!session.fell_silent(at(second + 59), TIMEOUT));
    }
    assert!(session.fell_silent(at(210), TIMEOUT));
}

#[test]
fn a_stranger_does_not_keep_a_dead_call() {
    let mut session = talking();
    let from = (Port::Rtp, STRANGER);
    sends_at(&mut session, at(50), Side::A, from, &packet(0, 1, 160, 7));
    assert!(session.fell_silent(at(60), TIMEOUT));
}

#[test]
fn silence_on_hold_is_meant() {
    let mut session = talking();
    for (side, phone) in [(Side::A, CALLER), (Side::B, CALLEE)] {
        session.set_remote(at(10), side, Remote { sends: false, ..remote(phone) });
    }
    assert!(!session.fell_silent(at(1000), TIMEOUT));
    session.set_remote(at(1000), Side::A, remote(CALLER));
    assert!(!session.fell_silent(at(1059), TIMEOUT), "time to speak again");
    assert!(session.fell_silent(at(1060), TIMEOUT));
}

#[test]
fn silence_before_the_call_is_watched_does_not_count() {
    let mut session = talking();
    session.watch_idle(at(1), false);
    assert!(!session.fell_silent(at(500), TIMEOUT));
    session.watch_idle(at(500), true);
    assert!(!session.fell_silent(at(559), TIMEOUT));
    assert!(session.fell_silent(at(560), TIMEOUT));
}

#[test]
fn a_flood_of_a_phone_is_cut_and_the_next_second_is_relayed_again() {
    let mut session = talking();
    let speech = packet(0, 1, 160, 7);
    let mut send = |now| sends_at(&mut session, now, Side::A, (Port::Rtp, CALLER), &speech);
    for _ in 0..MAX_PACKETS_PER_SECOND {
        assert_eq!(send(at(1)), to(Port::Rtp, CALLEE));
    }
    assert_eq!(send(at(1)), Verdict::Drop(DropReason::Flood));
    assert_eq!(send(at(2)), to(Port::Rtp, CALLEE));
}

#[test]
fn a_packet_that_runs_in_a_circle_through_the_relay_comes_to_rest() {
    // Each phone says that it is the relay's port of the other side.
    let mut session = Session::default();
    session.set_remote(at(0), Side::A, remote("192.0.2.200:20002"));
    session.set_remote(at(0), Side::B, remote("192.0.2.200:20000"));
    let speech = packet(0, 1, 160, 7);
    let mut rounds = 0;
    loop {
        let there = sends(&mut session, Side::A, "192.0.2.200:20002", &speech);
        let back = sends(&mut session, Side::B, "192.0.2.200:20000", &speech);
        if [there, back].contains(&Verdict::Drop(DropReason::Flood)) {
            break;
        }
        rounds += 1;
    }
    assert_eq!(rounds, MAX_PACKETS_PER_SECOND);
}
