//! The wire itself: what requests of ours are built of, and what becomes of messages that fit
//! nothing.

use tensou_engine::{CallResult, EndedBy, Flow, Input, ListenerId, Transport};

use crate::office::{CARRIER, CARRIER_2, DESK, DESK_PHONE, DIRECT, GATEWAY, SALES, password};
use crate::phone::{Algorithm, proof, register};
use crate::session::State;
use crate::sim::{MOMENT, Sim, invite, offer_of, secs, within};
use crate::text::Msg;
use crate::ua::{Act, Quirks};

/// Another port of the gateway, where nobody answers by himself.
const LINE: &str = "192.0.2.1:6000";
/// A proxy that phones register through.
const PROXY: &str = "198.51.100.99:5060";
const PATH: &str = "<sip:edge.example;lr>";

fn called(place: &str, did: &str, id: u64) -> Msg {
    invite(place, did, "0399990001", id).with_sdp(&offer_of(place))
}

/// The CANCEL of an INVITE.
fn cancel_of(invite: &Msg) -> Msg {
    let mut cancel = invite.clone();
    cancel.start = cancel.start.replacen("INVITE", "CANCEL", 1);
    cancel.set("CSeq", "7 CANCEL");
    cancel.headers.retain(|(name, _)| name != "Content-Type" && name != "Contact");
    cancel.body.clear();
    cancel
}

/// Somebody calls DESK, whose phone is reached by a route: its INVITE, which nobody answers.
fn by_a_route(sim: &mut Sim) -> Msg {
    let through = |number: u64| register(DESK_PHONE, "201", number, 600).with("Path", PATH);
    sim.sends(PROXY, &through(1));
    let refusal = sim.takes(PROXY, "SIP/2.0 401");
    let mut second = through(2);
    let who = ("201", &*password("201"));
    second.add("Authorization", &proof(&second, &refusal, who, Algorithm::Md5));
    sim.sends(PROXY, &second);
    sim.takes(PROXY, "SIP/2.0 200");
    sim.sends(LINE, &called(LINE, DESK, 1));
    let invite = sim.takes(PROXY, "INVITE");
    assert_eq!(invite.header("Route"), PATH);
    invite
}

fn refusal_of(invite: &Msg, status: u16) -> Msg {
    Msg::answer(invite, status, &format!("{};tag=proxy", invite.header("To")))
}

/// RFC 3261 17.1.1.2 and 17.1.1.3.
#[test]
fn the_ack_to_a_refusal_is_built_of_its_invite_and_comes_with_every_copy() {
    let mut sim = Sim::new();
    let invite = by_a_route(&mut sim);
    let refusal = refusal_of(&invite, 486);
    for copy in 1..=4 {
        sim.sends(PROXY, &refusal);
        let ack = sim.takes(PROXY, "ACK");
        assert_eq!(ack.uri(), invite.uri());
        for name in ["Via", "Route", "From", "Call-ID", "Max-Forwards"] {
            assert_eq!(ack.header(name), invite.header(name), "{name}");
        }
        assert_eq!(ack.header("CSeq"), "1 ACK");
        assert_eq!(ack.header("To"), refusal.header("To"));
        assert_eq!((ack.all("Via").count(), ack.body.as_str()), (1, ""));
        sim.world.run(secs(if copy == 3 { 24 } else { 3 }));
    }
    // The next member rang once, five seconds after the call began, whatever came again.
    assert_eq!(sim.world.uas[CARRIER].sessions.len(), 1);
    // Timer D: nobody knows it any more.
    sim.world.run(secs(33));
    let strays = sim.world.engine.counters().sip_stray_responses;
    sim.sends(PROXY, &refusal);
    assert!(sim.world.inbox.iter().all(|(place, _)| place != PROXY));
    assert_eq!(sim.world.engine.counters().sip_stray_responses, strays + 1);
}

/// RFC 3261 9.1.
#[test]
fn a_cancel_waits_for_a_provisional_answer_and_is_built_of_its_invite() {
    let mut sim = Sim::new();
    let invite = by_a_route(&mut sim);
    sim.sends(LINE, &cancel_of(&called(LINE, DESK, 1)));
    sim.takes(LINE, "SIP/2.0 200");
    sim.takes(LINE, "SIP/2.0 487");
    sim.world.run(secs(3));
    let told = sim.sent(PROXY, "");
    assert!(told.iter().all(|sent| sent.msg.method() != "CANCEL"), "the proxy may not know it");
    sim.sends(PROXY, &Msg::answer(&invite, 100, invite.header("To")));
    let cancel = sim.takes(PROXY, "CANCEL");
    assert_eq!(cancel.uri(), invite.uri());
    for name in ["Via", "Route", "From", "To", "Call-ID"] {
        assert_eq!(cancel.header(name), invite.header(name), "{name}");
    }
    assert_eq!((cancel.header("CSeq"), cancel.to_tag()), ("1 CANCEL", None));
    sim.sends(PROXY, &refusal_of(&cancel, 200));
    sim.sends(PROXY, &refusal_of(&invite, 487));
    assert_eq!(sim.takes(PROXY, "ACK").branch(), invite.branch());
    assert_eq!(sim.world.cdrs[0].result, CallResult::Cancelled);
}

/// RFC 3261 17.2.3.
#[test]
fn the_same_branch_of_another_sender_is_another_transaction() {
    let mut sim = Sim::new();
    let first = called(LINE, SALES, 1);
    sim.sends(LINE, &first);
    assert!(sim.find("sato").is_some());
    // Another port of the same host, with the same branch: another call.
    let other = "192.0.2.1:6002";
    let mut second = called(other, SALES, 2);
    second.set("Via", &format!("SIP/2.0/UDP {other};branch={}", first.branch()));
    sim.sends(other, &second);
    sim.takes(other, "SIP/2.0 100");
    assert_eq!(sim.world.calls_started().len(), 2);
    // Another trunk that knows the branch cancels nothing.
    sim.world.uas.remove(CARRIER_2);
    let mut forged = cancel_of(&first);
    forged.set("Via", &format!("{};rport", first.header("Via")));
    sim.sends(CARRIER_2, &forged);
    sim.takes(CARRIER_2, "SIP/2.0 481");
    // Each is cancelled by its own sender.
    sim.sends(LINE, &cancel_of(&first));
    sim.takes(LINE, "SIP/2.0 487");
    assert!(sim.world.inbox.iter().all(|(_, msg)| msg.status() != Some(487)));
    sim.sends(other, &cancel_of(&second));
    sim.takes(other, "SIP/2.0 487");
}

#[test]
fn a_cancel_of_another_branch_is_481_and_the_call_goes_on() {
    let mut sim = Sim::new();
    let first = called(LINE, SALES, 1);
    sim.sends(LINE, &first);
    sim.does("sato", Act::Ring(180, false));
    let mut forged = cancel_of(&first);
    forged.set("Via", &format!("SIP/2.0/UDP {LINE};branch=z9hG4bKguessed"));
    sim.sends(LINE, &forged);
    sim.takes(LINE, "SIP/2.0 481");
    assert!(sim.leg("sato").facts.cancel.is_none());
    sim.does("sato", Act::Answer);
    let ok = sim.takes(LINE, "SIP/2.0 200");
    assert_eq!(ok.method(), "INVITE");
}

/// RFC 3261 9.2: 200 to the CANCEL, 487 to the INVITE; one that comes after the answer changes
/// nothing.
#[test]
fn a_cancel_after_the_answer_is_answered_and_changes_nothing() {
    let mut sim = Sim::new();
    let (id, shown) = sim.fresh();
    let msg = invite(GATEWAY, DIRECT, &shown, id).with_sdp(&offer_of(GATEWAY));
    let cancel = cancel_of(&msg);
    let call = sim.place(GATEWAY, msg, Quirks::default()).rings(&["sato"]).answered_by("sato");
    for _ in 0..2 {
        call.sim.sends(GATEWAY, &cancel);
        let told = call.sim.sent(GATEWAY, "SIP/2.0 ");
        let last = &told.last().unwrap().msg;
        assert_eq!((last.status(), last.method()), (Some(200), "CANCEL"));
    }
    let call = call.waits(secs(40));
    assert_eq!((call.caller().state, call.sim.leg("sato").state), (State::Up, State::Up));
    assert!(call.sim.sent(GATEWAY, "SIP/2.0 487").is_empty());
    call.caller_hangs_up();
}

/// RFC 3261 18.3.
#[test]
fn bytes_beyond_the_body_of_a_datagram_are_dropped_and_a_short_body_is_400() {
    let mut sim = Sim::new();
    let mut longer = called(LINE, SALES, 1).bytes();
    longer.extend_from_slice(b"BYE sip:x SIP/2.0\r\nm=audio 1 RTP/AVP 0\r\n");
    sim.world.sends(LINE, longer);
    sim.world.run(MOMENT);
    sim.takes(LINE, "SIP/2.0 100");
    assert_eq!(sim.leg("sato").invite.body.matches("m=audio").count(), 1);
    let mut shorter = called(LINE, SALES, 2).bytes();
    shorter.truncate(shorter.len() - 1);
    sim.world.sends(LINE, shorter);
    sim.world.run(MOMENT);
    sim.takes(LINE, "SIP/2.0 400");
    assert_eq!(sim.world.calls_started().len(), 1);
}

/// RFC 5626 4.4.1 is for connections; by UDP line ends keep a NAT binding alive.
#[test]
fn line_ends_in_a_datagram_are_answered_by_nothing() {
    for (bytes, malformed) in [("\r\n\r\n", 0), ("\r\n", 0), ("", 0), ("\0\0\0\0", 1)] {
        let mut sim = Sim::new();
        sim.world.sends(LINE, bytes.as_bytes().to_vec());
        sim.world.run(secs(1));
        assert_eq!(sim.world.inbox, []);
        assert_eq!(sim.world.engine.counters().sip_malformed, malformed, "{bytes:?}");
    }
}

/// RFC 3261 18.1.2.
#[test]
fn answers_that_fit_no_request_are_dropped_and_counted() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]);
    let ringing = call.sim.leg("sato").invite.clone();
    let ok = refusal_of(&ringing, 200).with("Contact", "<sip:evil@192.0.2.2>");
    let of = |via: &str| {
        let mut msg = ok.clone();
        msg.set("Via", via);
        msg.with_sdp(&offer_of(CARRIER))
    };
    let before = call.sim.world.engine.counters().sip_stray_responses;
    for via in [
        "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKforeign",
        "SIP/2.0/UDP 192.0.2.10:5060",
        &format!("SIP/2.0/UDP 203.0.113.5:5060;branch={}", ringing.branch().to_uppercase()),
    ] {
        call.sim.sends(CARRIER, &of(via));
    }
    assert_eq!(call.sim.world.engine.counters().sip_stray_responses, before + 3);
    assert!(call.caller().facts.finally.is_none());
    call.gives_up();
}

/// RFC 3261 11.2.
#[test]
fn options_outside_a_call_tell_what_we_know_and_no_version() {
    let mut sim = Sim::new();
    let mut options = called(LINE, SALES, 1);
    options.start = options.start.replace("INVITE", "OPTIONS");
    options.set("CSeq", "7 OPTIONS");
    options.body.clear();
    options.headers.retain(|(name, _)| name != "Content-Type");
    sim.sends(LINE, &options);
    let answer = sim.takes(LINE, "SIP/2.0 200");
    let methods = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, MESSAGE";
    for method in methods.split(", ") {
        assert!(answer.header("Allow").split(", ").any(|one| one == method), "{method}");
    }
    assert_eq!(answer.header("Accept"), "application/sdp");
    for extension in ["100rel", "timer", "replaces"] {
        assert!(answer.header("Supported").contains(extension), "{extension}");
    }
    assert_eq!((answer.get("Server"), answer.get("User-Agent")), (None, None));
    assert!(answer.to_tag().is_some());
}

/// RFC 3261 8.2.2.1.
#[test]
fn a_request_uri_of_another_scheme_is_416() {
    for uri in ["mailto:sales@example.jp", "soap.beep://192.0.2.10", "urn:service:sos"] {
        let mut sim = Sim::new();
        let mut msg = called(LINE, SALES, 1);
        msg.start = format!("INVITE {uri} SIP/2.0");
        sim.sends(LINE, &msg);
        sim.takes(LINE, "SIP/2.0 416");
        assert_eq!(sim.ends(), []);
    }
}

/// RFC 3261 8.2.2.3: CANCEL and ACK are not refused for what they require.
#[test]
fn what_a_cancel_or_an_ack_requires_is_passed_over_and_a_reinvite_is_420() {
    let mut sim = Sim::new();
    let first = called(LINE, SALES, 1);
    sim.sends(LINE, &first);
    sim.sends(LINE, &cancel_of(&first).with("Require", "x-hold").with("Proxy-Require", "x"));
    sim.takes(LINE, "SIP/2.0 487");

    let mut sim = Sim::new();
    let (id, shown) = sim.fresh();
    let msg = invite(GATEWAY, DIRECT, &shown, id).with_sdp(&offer_of(GATEWAY));
    let quirks = Quirks { never_acks: true, ..Quirks::default() };
    let call = sim.place(GATEWAY, msg, quirks).rings(&["sato"]).then("sato", Act::Answer);
    let ack = within(call.caller(), "ACK", 7).with("Require", "x-hold");
    call.sim.sends(GATEWAY, &ack);
    let call = call.waits(secs(40));
    assert_eq!(call.caller().state, State::Up, "its 200 is acknowledged");
    let reinvite = within(call.caller(), "INVITE", 8).with("Require", "x-hold");
    call.sim.sends(GATEWAY, &reinvite.with_sdp(&offer_of(GATEWAY)));
    assert_eq!(call.sim.last(GATEWAY, "SIP/2.0 420").header("Unsupported"), "x-hold");
    assert!(call.sim.leg("sato").facts.asked.is_empty());
    call.hung_up_by("sato");
}

/// RFC 3261 8.2.3.
#[test]
fn a_body_that_is_no_sdp_is_415_within_a_dialog_too() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    for (number, method) in [(8, "INVITE"), (9, "UPDATE")] {
        let mut asked = within(call.caller(), method, number);
        asked.add("Content-Type", "application/x-something");
        asked.body = "hello".to_owned();
        call.sim.sends(GATEWAY, &asked);
        let refusal = call.sim.last(GATEWAY, "SIP/2.0 415");
        assert_eq!((refusal.method(), refusal.header("Accept")), (method, "application/sdp"));
    }
    assert!(call.sim.leg("sato").facts.asked.is_empty());
    call.hung_up_by("sato");
}

/// RFC 3261 7.3.1.
#[test]
fn names_of_parameters_are_found_in_any_case() {
    let mut sim = Sim::new();
    let mut first = called(LINE, SALES, 1);
    first.set("Via", &format!("SIP/2.0/UDP {LINE};BRANCH=z9hG4bKcase;RPort"));
    sim.sends(LINE, &first);
    assert!(sim.takes(LINE, "SIP/2.0 100").header("Via").contains("rport=6000"));
    let mut cancel = cancel_of(&first);
    cancel.set("Via", &format!("SIP/2.0/UDP {LINE};Branch=z9hG4bKcase;rport"));
    sim.sends(LINE, &cancel);
    sim.takes(LINE, "SIP/2.0 487");
}

/// RFC 3261 17.1.1.2 timer B.
#[test]
fn a_carrier_that_says_nothing_at_all_is_408_after_all_its_peers_and_one_record() {
    let mut sim = Sim::new();
    for place in [CARRIER, CARRIER_2] {
        sim.world.uas.remove(place);
    }
    let call = sim.call(DIRECT).waits(secs(36));
    assert!(call.caller().facts.finally.is_none());
    let call = call.waits(secs(3)).gets(408, Some(102));
    let cdr = call.over();
    assert_eq!((cdr.result, cdr.ended_by), (CallResult::Unreachable, EndedBy::Callee));
    let statuses: Vec<u16> = cdr.legs.iter().map(|leg| leg.sip_status).collect();
    assert_eq!((statuses, sim.world.cdrs.len()), (vec![408, 408], 1));
    // Each INVITE always went where it had gone first (RFC 3263 4.3).
    for place in [CARRIER, CARRIER_2] {
        let sent = sim.sent(place, "INVITE");
        assert!(sent.iter().all(|one| one.msg.branch() == sent[0].msg.branch()), "{place}");
    }
}

/// RFC 3261 18.4: what ICMP says of a peer counts as 503.
#[test]
fn a_port_that_is_closed_makes_the_next_peer_ring_at_once() {
    let mut sim = Sim::new();
    let carrier = sim.world.uas.remove(CARRIER).unwrap();
    let call = sim.call(DIRECT);
    let flow = Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        remote: CARRIER.parse().unwrap(),
        connection: 0,
    };
    call.sim.world.engine_takes(Input::Unreachable { flow });
    let call = call.waits(MOMENT);
    assert_eq!(call.sim.find("sato").unwrap().0, CARRIER_2);
    let cdr = call.rings(&["sato"]).answered_by("sato").caller_hangs_up();
    assert_eq!(cdr.legs[0].sip_status, 503);
    sim.world.settle(carrier);
}

/// RFC 3261 13.3.1.4.
#[test]
fn a_200_without_its_ack_comes_again_up_to_every_4_s_and_ends_with_bye_on_both_legs() {
    let mut sim = Sim::new();
    let (id, shown) = sim.fresh();
    let msg = invite(GATEWAY, DIRECT, &shown, id).with_sdp(&offer_of(GATEWAY));
    let quirks = Quirks { never_acks: true, ..Quirks::default() };
    let call = sim.place(GATEWAY, msg, quirks).rings(&["sato"]).then("sato", Act::Answer);
    let call = call.waits(secs(40));
    let sent = call.sim.sent(GATEWAY, "SIP/2.0 200");
    let copies: Vec<_> = sent.iter().filter(|one| one.msg.method() == "INVITE").collect();
    let tenths = |at: u64| (at - copies[0].at) / 100_000;
    let times: Vec<u64> = copies.iter().map(|one| tenths(one.at)).collect();
    assert_eq!(times, [0, 5, 15, 35, 75, 115, 155, 195, 235, 275, 315]);
    assert!(copies.iter().all(|one| one.msg == copies[0].msg));
    assert!(call.caller().facts.bye_heard.is_some());
    assert!(call.sim.leg("sato").facts.bye_heard.is_some());
    let cdr = call.over();
    assert_eq!((cdr.ended_by, cdr.q850_cause), (EndedBy::System, 102));
}
