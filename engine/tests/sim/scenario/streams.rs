//! Calls over connections, by names, and to whichever of several targets is alive.

use std::net::SocketAddr;

use tensou_engine::route::{LargeRequests, PeerHost, PeerSpec, Provisioning};
use tensou_engine::{Input, ResolvedTarget, Transport};

use crate::office::{CARRIER, CARRIER_2, DIRECT, GATEWAY, NARROW, number};
use crate::session::State;
use crate::sim::{MOMENT, Sim, invite, offer_of, secs};
use crate::text::Msg;
use crate::ua::Act;

fn carrier(change: impl FnOnce(&mut Vec<PeerSpec>)) -> Sim {
    Sim::with(|office| change(peers(office)))
}

fn peers(office: &mut Provisioning) -> &mut Vec<PeerSpec> {
    &mut office.trunks.iter_mut().find(|trunk| trunk.id == "carrier").unwrap().peers
}

fn by_tcp(peers: &mut Vec<PeerSpec>) {
    for peer in peers {
        peer.transport = Some(Transport::Tcp);
    }
}

fn named(peers: &mut Vec<PeerSpec>) {
    *peers = vec![PeerSpec {
        host: PeerHost::Name("sip.carrier.example".to_owned()),
        port: None,
        ..peers[0].clone()
    }];
}

fn target(rank: u32, address: &str) -> ResolvedTarget {
    let address: SocketAddr = address.parse().unwrap();
    ResolvedTarget { rank, record: rank as u16, weight: 1, address, transport: Transport::Udp }
}

fn place_of(sim: &Sim, who: &str) -> String {
    sim.find(who).unwrap_or_else(|| panic!("{who} was never called")).0
}

#[test]
fn a_peer_by_tcp_is_called_by_its_connection_and_nothing_is_sent_twice() {
    let mut sim = carrier(by_tcp);
    for place in [CARRIER, CARRIER_2] {
        sim.world.streams.connect(place);
    }
    let call = sim.call(DIRECT).waits(secs(3));
    let invite = &call.sim.leg("sato").invite;
    assert!(invite.header("Via").starts_with("SIP/2.0/TCP 192.0.2.10:5060;"), "{invite:?}");
    assert!(invite.header("Contact").contains(";transport=tcp"), "{invite:?}");
    assert!(invite.uri().ends_with("@192.0.2.2:5060;transport=tcp"), "{invite:?}");
    let sent = call.sim.world.engine.counters().sip_retransmitted;
    assert_eq!(sent, 0, "TCP resends by itself (RFC 3261 17.1.1.1)");
    call.rings(&["sato"]).answered_by("sato").caller_hangs_up();
}

#[test]
fn a_peer_that_is_gone_before_any_answer_makes_the_next_ring_at_once() {
    let mut sim = carrier(by_tcp);
    for place in [CARRIER, CARRIER_2] {
        sim.world.streams.connect(place);
    }
    let call = sim.call(DIRECT);
    assert_eq!(place_of(call.sim, "sato"), CARRIER);
    call.sim.world.uas.remove(CARRIER);
    call.sim.world.breaks(CARRIER);
    let call = call.waits(MOMENT);
    assert_eq!(place_of(call.sim, "sato"), CARRIER_2);
    let cdr = call.rings(&["sato"]).answered_by("sato").caller_hangs_up();
    assert_eq!(cdr.legs.len(), 2);
    assert_eq!(cdr.legs[0].sip_status, 503);
}

#[test]
fn an_invite_whose_connection_is_reset_is_sent_again_by_a_new_one() {
    let mut sim = carrier(by_tcp);
    for place in [CARRIER, CARRIER_2] {
        sim.world.streams.connect(place);
    }
    let call = sim.call(DIRECT);
    call.sim.world.resets(CARRIER);
    let call = call.waits(MOMENT);
    assert_eq!(place_of(call.sim, "sato"), CARRIER, "it is alive");
    let cdr = call.rings(&["sato"]).answered_by("sato").caller_hangs_up();
    assert_eq!(cdr.legs.len(), 1);
}

#[test]
fn a_call_in_conversation_survives_a_reset_and_ends_by_a_new_connection() {
    let mut sim = carrier(by_tcp);
    for place in [GATEWAY, CARRIER, CARRIER_2] {
        sim.world.streams.connect(place);
    }
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    call.sim.world.resets(CARRIER);
    call.sim.world.resets(GATEWAY);
    let call = call.waits(secs(1));
    assert_eq!(call.sim.leg("sato").state, State::Up);
    call.hung_up_by("sato");
}

#[test]
fn the_caller_whose_connection_is_gone_is_answered_by_a_new_one_to_sent_by() {
    let mut sim = Sim::new();
    sim.world.streams.connect(GATEWAY);
    let call = sim.call(DIRECT).rings(&["sato"]);
    call.sim.world.resets(GATEWAY);
    // RFC 3261 18.2.2.
    call.answered_by("sato").caller_hangs_up();
}

#[test]
fn an_invite_over_1300_bytes_goes_by_tcp_and_by_udp_where_tcp_fails() {
    let mut sim = Sim::new();
    let (id, shown) = sim.fresh();
    let long = invite(GATEWAY, DIRECT, &shown, id)
        .with("Subject", &"x".repeat(1_300))
        .with_sdp(&offer_of(GATEWAY));
    sim.world.streams.connect(CARRIER);
    let call = sim.place(GATEWAY, long, crate::ua::Quirks::default());
    let sent = &call.sim.leg("sato").invite;
    assert!(sent.header("Via").starts_with("SIP/2.0/TCP "), "{sent:?}");
    assert!(!sent.header("Contact").contains("transport"), "the dialog stays with UDP");
    call.sim.world.breaks(CARRIER);
    let call = call.waits(MOMENT);
    let sent = &call.sim.leg("sato").invite;
    assert!(sent.header("Via").starts_with("SIP/2.0/UDP "), "{sent:?}");
    assert_eq!(place_of(call.sim, "sato"), CARRIER, "the same target");
    call.rings(&["sato"]).answered_by("sato").caller_hangs_up();
}

#[test]
fn a_trunk_that_wants_no_tcp_gets_large_requests_by_udp() {
    let mut sim = Sim::with(|office| {
        let trunk = office.trunks.iter_mut().find(|trunk| trunk.id == "carrier").unwrap();
        trunk.large_requests = LargeRequests::Udp;
    });
    let (id, shown) = sim.fresh();
    let long = invite(GATEWAY, DIRECT, &shown, id)
        .with("Subject", &"x".repeat(1_300))
        .with_sdp(&offer_of(GATEWAY));
    let call = sim.place(GATEWAY, long, crate::ua::Quirks::default());
    assert!(call.sim.leg("sato").invite.header("Via").starts_with("SIP/2.0/UDP "));
    call.rings(&["sato"]).answered_by("sato").caller_hangs_up();
}

#[test]
fn a_name_is_looked_up_and_its_targets_are_tried_in_order() {
    let mut sim = carrier(named);
    let call = sim.call(DIRECT).nobody_rings("sato");
    let (query, question) = call.sim.world.questions.pop().expect("a question");
    assert_eq!((&*question.host, question.port), ("sip.carrier.example", None));
    let targets = [target(20, CARRIER_2), target(10, CARRIER)];
    call.sim.world.engine_takes(Input::Resolved { query, targets: &targets });
    let call = call.waits(MOMENT);
    assert_eq!(place_of(call.sim, "sato"), CARRIER);
    let first = call.sim.leg("sato").invite.clone();
    assert!(first.uri().ends_with("@sip.carrier.example"), "{first:?}");
    let call = call.refused_by("sato", 503);
    assert_eq!(place_of(call.sim, "sato"), CARRIER_2);
    assert_ne!(call.sim.leg("sato").invite.branch(), first.branch(), "RFC 3263 4.3");
    call.rings(&["sato"]).answered_by("sato").caller_hangs_up();
}

#[test]
fn a_name_that_does_not_exist_fails_its_branch_at_once() {
    let mut sim = carrier(named);
    let call = sim.call(DIRECT);
    let (query, _) = call.sim.world.questions.pop().expect("a question");
    call.sim.world.engine_takes(Input::Resolved { query, targets: &[] });
    call.waits(MOMENT).gets(502, Some(27)).over();
}

#[test]
fn a_slow_name_holds_nobody_else_up() {
    let mut sim = carrier(|peers| {
        let written = peers[0].clone();
        named(peers);
        peers.push(PeerSpec { priority: 9, ..written });
    });
    let call = sim.call(DIRECT);
    let (query, _) = call.sim.world.questions.pop().expect("a question");
    let other = call.sim.call(crate::office::THIN).rings(&["kato"]).answered_by("kato");
    assert_eq!(place_of(other.sim, "kato"), NARROW);
    let call = other.acts(Act::Bye);
    call.sim.world.engine_takes(Input::Resolved { query, targets: &[] });
    // The peer that is written as an address is next.
    call.sim.world.run(MOMENT);
    call.sim.does("sato", Act::Reject(486));
    assert_eq!(call.sim.ends().len(), 2);
}

#[test]
fn names_that_point_into_this_machine_are_not_followed() {
    let mut sim = carrier(named);
    let call = sim.call(DIRECT);
    let (query, _) = call.sim.world.questions.pop().expect("a question");
    let admin = "198.51.100.80:8080";
    let targets = [target(1, "127.0.0.1:5060"), target(2, "169.254.169.254:80"), target(3, admin)];
    call.sim.world.engine_takes(Input::Resolved { query, targets: &targets });
    let call = call.waits(MOMENT).gets(502, Some(27));
    let sent = call.sim.world.inbox.iter().filter(|(_, msg)| msg.start.starts_with("INVITE"));
    assert_eq!(sent.count(), 0);
    call.over();
}

#[test]
fn a_peer_that_says_nothing_is_given_up_after_five_seconds_and_avoided_by_the_next_call() {
    let mut sim = Sim::new();
    sim.world.uas.remove(CARRIER);
    let call = sim.call(DIRECT).waits(secs(4)).nobody_rings("sato").waits(secs(2));
    assert_eq!(place_of(call.sim, "sato"), CARRIER_2);
    let cdr = call.rings(&["sato"]).answered_by("sato").caller_hangs_up();
    assert_eq!(cdr.legs[0].sip_status, 408);

    let mut sim = Sim::new();
    sim.world.uas.remove(CARRIER);
    let first = sim.call(DIRECT).waits(secs(6)).refused_by("sato", 486);
    let second = first.sim.call(DIRECT);
    assert_eq!(place_of(second.sim, "sato"), CARRIER_2, "without waiting again");
    second.rings(&["sato"]).gives_up();
}

#[test]
fn cancel_and_the_ack_to_a_failure_go_where_their_invite_went() {
    let mut sim = carrier(named);
    let call = sim.call(DIRECT);
    let (query, _) = call.sim.world.questions.pop().expect("a question");
    let targets = [target(1, CARRIER_2)];
    call.sim.world.engine_takes(Input::Resolved { query, targets: &targets });
    // The name would lead elsewhere by now; CANCEL and ACK do not ask again.
    let call = call.waits(MOMENT).rings(&["sato"]);
    let cdr = call.gives_up();
    assert_eq!(cdr.legs[0].sip_status, 487);
}

#[test]
fn a_trunk_is_known_by_its_certificate_from_wherever_it_calls() {
    let roaming = "203.0.113.77:40123";
    let mut sim = Sim::with(|office| {
        let gateway = office.trunks.iter_mut().find(|trunk| trunk.id == "gateway").unwrap();
        gateway.tls_name = Some("gw.example".to_owned());
    });
    let (id, shown) = sim.fresh();
    let call = |place: &str| invite(place, DIRECT, &shown, id).with_sdp(&offer_of(GATEWAY)).bytes();
    // By its address alone it is nobody now.
    let options = Msg::request("OPTIONS", "sip:192.0.2.10")
        .with("Via", &format!("SIP/2.0/UDP {GATEWAY};branch=z9hG4bKo"))
        .with("Max-Forwards", "70")
        .with("From", "<sip:a@192.0.2.1>;tag=1")
        .with("To", "<sip:192.0.2.10>")
        .with("Call-ID", "o")
        .with("CSeq", "1 OPTIONS");
    sim.sends(GATEWAY, &options);
    assert_eq!(sim.world.engine.counters().sip_unknown_peer, 1);
    sim.world.streams.connect(roaming);
    let flow = sim.world.streams.flow(roaming).unwrap();
    sim.world.sends(roaming, call(roaming));
    sim.world.run(secs(1));
    assert!(sim.find("sato").is_none());
    let names = ["gw.example".into()];
    sim.world.engine_takes(Input::Identified { flow, names: &names });
    sim.world.sends(roaming, call(roaming));
    sim.world.run(secs(1));
    assert!(sim.find("sato").is_some());
    let cdr = sim.ends().pop().unwrap();
    assert_eq!(cdr.did, Some(number(DIRECT)));
}

#[test]
fn a_message_in_a_stream_without_content_length_is_refused() {
    let mut sim = Sim::new();
    sim.world.streams.connect("192.0.2.1:5999");
    let options = Msg::request("OPTIONS", "sip:192.0.2.10")
        .with("Via", "SIP/2.0/TCP 192.0.2.1:5999;branch=z9hG4bKo")
        .with("Max-Forwards", "70")
        .with("From", "<sip:a@192.0.2.1>;tag=1")
        .with("To", "<sip:192.0.2.10>")
        .with("Call-ID", "o")
        .with("CSeq", "1 OPTIONS");
    let bytes = String::from_utf8(options.bytes()).unwrap();
    let bare: String =
        bytes.split_inclusive("\r\n").filter(|line| !line.starts_with("Content-Length")).collect();
    sim.world.sends("192.0.2.1:5999", bare.into_bytes());
    sim.world.run(MOMENT);
    sim.takes("192.0.2.1:5999", "SIP/2.0 400");
}

/// A call whose callee is reached by a route so long that every request to it is too large; it
/// may be reached by TCP.
fn by_a_long_route(sim: &mut Sim, tcp: bool) -> crate::sim::Call<'_> {
    const PARAMETER: [u8; 1_300] = [b'x'; 1_300];
    let text = String::from_utf8(PARAMETER.to_vec()).unwrap();
    let route: &'static str = format!("<sip:{CARRIER};lr;x={text}>").leak();
    let call = sim.call(DIRECT).rings(&["sato"]);
    call.sim.quirks("sato").answering_with = vec![("Record-Route", route)];
    if tcp {
        call.sim.world.streams.connect(CARRIER);
    }
    // Where TCP fails the ACK waits for the 2xx to come again.
    call.then("sato", Act::Answer).waits(secs(1))
}

#[test]
fn an_ack_over_1300_bytes_goes_by_tcp_and_by_udp_when_the_2xx_comes_again() {
    for (tcp, via) in [(true, "SIP/2.0/TCP "), (false, "SIP/2.0/UDP ")] {
        let mut sim = Sim::new();
        let call = by_a_long_route(&mut sim, tcp);
        let (_, ack) = call.sim.leg("sato").facts.acked.clone().unwrap();
        assert!(ack.header("Via").starts_with(via), "{ack:?}");
        assert!(ack.bytes().len() > 1_300);
        call.caller_hangs_up();
    }
    // A trunk that takes no TCP gets it at once.
    let mut sim = Sim::with(|office| office.trunks[1].large_requests = LargeRequests::Udp);
    let call = by_a_long_route(&mut sim, true);
    let (_, ack) = call.sim.leg("sato").facts.acked.clone().unwrap();
    assert!(ack.header("Via").starts_with("SIP/2.0/UDP "), "{ack:?}");
    call.caller_hangs_up();
}

#[test]
fn a_request_over_1300_bytes_within_a_dialog_goes_by_tcp_and_by_udp_where_tcp_fails() {
    for tcp in [true, false] {
        let mut sim = Sim::new();
        let call = by_a_long_route(&mut sim, tcp);
        let call = call.acts(Act::Describe("sendonly")).waits(MOMENT);
        let asked = call.sim.leg("sato").facts.asked[0].clone();
        let via = if tcp { "SIP/2.0/TCP " } else { "SIP/2.0/UDP " };
        assert!(asked.header("Via").starts_with(via), "{asked:?}");
        assert!(!asked.header("Contact").contains("transport"), "the dialog stays with UDP");
        let answers = &call.caller().facts.answers;
        assert_eq!((answers[0].0.as_str(), answers[0].1), ("INVITE", 200));
        let call = call.acts(Act::Bye).waits(secs(1));
        let (_, bye) = call.sim.leg("sato").facts.bye_heard.clone().unwrap();
        assert!(bye.header("Via").starts_with(via), "{bye:?}");
        call.over();
    }
}

#[test]
fn a_trunk_that_wants_no_tcp_gets_large_requests_within_a_dialog_by_udp() {
    let mut sim = Sim::with(|office| office.trunks[1].large_requests = LargeRequests::Udp);
    let call = by_a_long_route(&mut sim, false).acts(Act::Bye).waits(secs(1));
    let (_, bye) = call.sim.leg("sato").facts.bye_heard.clone().unwrap();
    assert!(bye.header("Via").starts_with("SIP/2.0/UDP "), "{bye:?}");
    call.over();
}
