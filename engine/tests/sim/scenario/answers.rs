//! What every answer is like: how soon it comes, what it repeats, where it goes.

use crate::office::{DIRECT, GATEWAY};
use crate::sim::{MOMENT, Sim, invite, offer_of};
use crate::text::Msg;
use crate::ua::Act;

/// Another port of the gateway, where nobody answers by himself.
const LINE: &str = "192.0.2.1:6000";

fn call(id: u64) -> Msg {
    invite(LINE, &DIRECT.replace('-', ""), "0399990001", id).with_sdp(&offer_of(LINE))
}

/// Answers that came to the line for its INVITE, in order.
fn heard(sim: &Sim) -> Vec<Msg> {
    let inbox = sim.world.inbox.iter().filter(|(place, msg)| {
        place == LINE && msg.status().is_some() && msg.header("CSeq").ends_with("INVITE")
    });
    inbox.map(|(_, msg)| msg.clone()).collect()
}

#[test]
fn a_call_is_answered_100_within_200_ms_though_nobody_rings_yet() {
    assert!(MOMENT.as_millis() < 200);
    let mut sim = Sim::new();
    sim.sends(LINE, &call(1));
    let heard: Vec<_> = heard(&sim).iter().filter_map(Msg::status).collect();
    assert_eq!(heard, [100]);
}

/// RFC 3261 18.2.1, 18.2.2 and RFC 3581 4.
#[test]
fn an_answer_says_where_its_request_came_from_and_goes_there() {
    for (via, told, goes) in [
        ("192.0.2.1:6000", "", "192.0.2.1:6000"),
        ("192.0.2.1:6100", "", "192.0.2.1:6100"),
        ("192.0.2.1", "", "192.0.2.1:5060"),
        ("192.0.2.1:6100;rport", ";received=192.0.2.1;rport=6000", "192.0.2.1:6000"),
        ("10.1.2.3:6100", ";received=192.0.2.1", "192.0.2.1:6100"),
        ("10.1.2.3:6100;rport", ";received=192.0.2.1;rport=6000", "192.0.2.1:6000"),
        ("pbx.example", ";received=192.0.2.1", "192.0.2.1:5060"),
        // What the sender says of it is not believed.
        ("10.1.2.3:6100;received=203.0.113.9", ";received=192.0.2.1", "192.0.2.1:6100"),
        ("10.1.2.3;rport=9", ";received=192.0.2.1;rport=6000", "192.0.2.1:6000"),
    ] {
        let mut sim = Sim::new();
        sim.world.uas.remove(GATEWAY);
        let mut msg = call(1);
        msg.start = msg.start.replace("INVITE", "OPTIONS");
        msg.set("CSeq", "7 OPTIONS");
        msg.set("Via", &format!("SIP/2.0/UDP {via};branch=z9hG4bKplace"));
        sim.sends(LINE, &msg);
        let answer = sim.takes(goes, "SIP/2.0 200");
        let (place, _) = via.split_once(';').unwrap_or((via, ""));
        let own = format!("SIP/2.0/UDP {place};branch=z9hG4bKplace{told}");
        assert_eq!(answer.header("Via"), own, "{via}");
    }
}

/// RFC 3261 8.2.6.2.
#[test]
fn every_answer_of_a_call_repeats_its_vias_and_names_under_one_tag() {
    for (ends, last) in [(Act::Answer, 200), (Act::Reject(486), 486)] {
        let mut sim = Sim::new();
        let mut msg = call(1);
        let older = "SIP/2.0/TCP 10.9.9.9:5080;branch=z9hG4bKolder;received=198.51.100.4";
        msg.headers.insert(1, ("Via".to_owned(), older.to_owned()));
        msg.set("To", "\"0311112223\" <sip:0311112223@192.0.2.10;user=phone>;x=1");
        sim.sends(LINE, &msg);
        sim.does("sato", Act::Ring(180, false));
        sim.does("sato", ends);
        let heard = heard(&sim);
        let statuses: Vec<_> = heard.iter().filter_map(Msg::status).collect();
        assert_eq!(statuses, [100, 180, last]);
        for answer in &heard {
            let vias: Vec<_> = answer.all("Via").collect();
            let own = format!("{};received=192.0.2.1;rport=6000", msg.header("Via"));
            assert!(
                vias == [own.as_str(), older] || vias == [msg.header("Via"), older],
                "{vias:?}"
            );
            for name in ["From", "Call-ID", "CSeq"] {
                assert_eq!(answer.header(name), msg.header(name));
            }
            assert!(answer.header("To").starts_with(msg.header("To")), "{answer:?}");
        }
        let tags: Vec<_> = heard[1..].iter().map(Msg::to_tag).collect();
        assert!(tags[0].is_some_and(|tag| tag.len() >= 16) && tags[0] == tags[1], "{tags:?}");
    }
}

/// RFC 3264 6.
#[test]
fn a_second_media_line_goes_on_with_port_0_and_is_never_dropped() {
    let mut sim = Sim::new();
    let mut msg = call(1);
    msg.body.push_str("m=video 30002 RTP/AVP 31\nm=audio 30004 RTP/AVP 0\n");
    sim.sends(LINE, &msg);
    let told = sim.leg("sato").invite.body.clone();
    let lines: Vec<Vec<&str>> = (told.lines().filter(|line| line.starts_with("m=")))
        .map(|line| line.split(' ').take(2).collect())
        .collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[0][0] == "m=audio" && lines[0][1] != "0" && lines[0][1] != "30000", "{told}");
    assert_eq!(lines[1..], [["m=video", "0"], ["m=audio", "0"]]);
}
