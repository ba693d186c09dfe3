//! Calls that nobody takes, or that are not let in: what the caller is told.

use tensou_engine::{CallResult, UnknownPeer};

use crate::office::{CARRIER_2, DESK, DIRECT, GATEWAY, SALES, THIN, number};
use crate::session::State;
use crate::sim::{Sim, invite, offer_of, secs};
use crate::text::Msg;
use crate::ua::{Act, Quirks};

const STRANGER: &str = "203.0.113.66:5060";

#[test]
fn each_refusal_reaches_the_caller_with_its_cause_and_its_result() {
    for (status, told, q850, result) in [
        (486, 486, 17, CallResult::Busy),
        (600, 600, 17, CallResult::Busy),
        (480, 480, 20, CallResult::Unreachable),
        (404, 404, 1, CallResult::Unreachable),
        (603, 603, 21, CallResult::Rejected),
        (488, 488, 88, CallResult::Failed),
    ] {
        let mut sim = Sim::new();
        let call = sim.call(DIRECT).rings(&["sato"]).refused_by("sato", status);
        let cdr = call.gets(told, Some(q850)).over();
        assert_eq!((cdr.result, cdr.q850_cause), (result, q850), "{status}");
        assert_eq!(cdr.legs[0].sip_status, status);
    }
}

#[test]
fn the_best_refusal_of_a_group_is_told() {
    let mut sim = Sim::new();
    let call = sim.call(SALES).rings(&["sato", "suzuki"]);
    let call = call.refused_by("sato", 404).refused_by("suzuki", 486).gets(486, Some(17));
    assert_eq!(call.over().result, CallResult::Busy);
}

#[test]
fn a_carriers_failure_is_tried_at_its_other_peer_and_is_not_ours() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).refused_by("sato", 503);
    let (place, _) = call.sim.find("sato").unwrap();
    assert_eq!(place, CARRIER_2);
    let call = call.refused_by("sato", 500).gets(500, None);
    let cdr = call.over();
    assert_eq!(cdr.legs.len(), 2);
    assert_eq!(cdr.sip_status, 500);
}

#[test]
fn nobody_picks_up() {
    let mut sim = Sim::new();
    let call = sim.call(SALES).rings(&["sato", "suzuki"]).waits(secs(21)).gets(480, Some(19));
    let cdr = call.over();
    assert_eq!(cdr.result, CallResult::NoAnswer);
    assert!(cdr.legs.iter().all(|leg| leg.sip_status == 487 && leg.q850_cause == 19));
}

#[test]
fn a_phone_that_is_not_registered_is_passed_over() {
    let mut sim = Sim::new();
    let call = sim.call(DESK).nobody_rings("201").waits(secs(5)).rings(&["sato"]);
    call.answered_by("sato").caller_hangs_up();
}

#[test]
fn an_unknown_did_is_404_with_its_record() {
    let mut sim = Sim::new();
    let cdr = sim.call("03-1111-9999").gets(404, Some(1)).over();
    assert_eq!((cdr.did, cdr.customer), (Some(number("0311119999")), None));
    assert_eq!(cdr.result, CallResult::Unreachable);
}

#[test]
fn a_stranger_hears_nothing_or_403_as_set() {
    for (setting, hears) in [(UnknownPeer::Drop, 0), (UnknownPeer::Forbid, 1)] {
        let mut sim = Sim::guarded(setting, |_| {});
        sim.sends(STRANGER, &invite(STRANGER, SALES, "0399999999", 1));
        assert_eq!(sim.world.inbox.len(), hears, "{setting:?}");
        if hears > 0 {
            sim.takes(STRANGER, "SIP/2.0 403");
        }
        assert_eq!(sim.world.engine.counters().sip_unknown_peer, 1);
        assert_eq!(sim.ends(), [], "no attempt of anybody known");
    }
}

#[test]
fn a_full_trunk_refuses_with_503_and_cause_34() {
    let mut sim = Sim::with(|office| office.trunks[0].channels = 1);
    let first = sim.call(SALES).rings(&["sato"]).at;
    assert_eq!(sim.world.engine.counters().channels_in_use, 3);
    let second = sim.call(DIRECT).gets(503, Some(34));
    let retry = second.caller().facts.finally.as_ref().unwrap().header("Retry-After").to_owned();
    assert!(
        (1..=4).contains(&retry.parse().unwrap()),
        "a channel may be free in a moment: {retry}"
    );
    assert_ne!(first, second.at);
    sim.world.at(GATEWAY, |ua, out| ua.sessions[first].acts(&Act::Cancel, out));
    sim.ends();
    assert_eq!(sim.world.engine.counters().refused_trunk_full, 1);
}

#[test]
fn a_full_trunk_out_is_503_with_cause_34_and_free_again_after_the_call() {
    let mut sim = Sim::new();
    let first = sim.call(THIN).rings(&["kato"]).answered_by("kato").at;
    let full = sim.call(THIN).gets(503, Some(34));
    let refusal = full.caller().facts.finally.clone().unwrap();
    assert_eq!(refusal.get("Retry-After"), None, "other numbers can be called");
    sim.world.at(GATEWAY, |ua, out| ua.sessions[first].acts(&Act::Bye, out));
    sim.world.run(secs(1));
    sim.call(THIN).rings(&["kato"]).answered_by("kato").caller_hangs_up();
}

#[test]
fn a_did_at_its_cap_is_busy_and_free_again_after_the_call() {
    let mut sim = Sim::new();
    let first = sim.call(DIRECT).rings(&["sato"]).answered_by("sato").at;
    sim.call(DIRECT).gets(486, Some(17));
    sim.world.at(GATEWAY, |ua, out| ua.sessions[first].acts(&Act::Bye, out));
    sim.world.run(secs(1));
    sim.call(DIRECT).rings(&["sato"]).gives_up();
}

#[test]
fn an_offer_without_audio_that_can_be_relayed_is_488() {
    let mut sim = Sim::new();
    let (id, shown) = sim.fresh();
    let msg =
        invite(GATEWAY, SALES, &shown, id).with_sdp("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\n");
    let call = sim.place(GATEWAY, msg, Quirks::default()).gets(488, Some(88));
    call.nobody_rings("sato").over();
}

#[test]
fn an_answer_without_a_common_codec_is_ended_and_the_hunt_goes_on() {
    let mut sim = Sim::new();
    let call = sim.call(SALES).rings(&["sato", "suzuki"]);
    let g729 = "v=0\no=- 1 1 IN IP4 192.0.2.2\ns=-\nc=IN IP4 192.0.2.2\nt=0 0\n\
                m=audio 4000 RTP/AVP 18\na=rtpmap:18 G729/8000\n";
    call.sim.quirks("sato").answer_sdp = Some(g729.to_owned());
    let call = call.then("sato", Act::Answer);
    assert_eq!(call.sim.leg("sato").state, State::Ended);
    assert!(call.sim.leg("sato").facts.bye_heard.is_some());
    assert_eq!(call.caller().state, State::Inviting);
    call.answered_by("suzuki").caller_hangs_up();
}

#[test]
fn hops_are_counted_down_and_none_left_is_483() {
    let mut sim = Sim::new();
    let call = sim.call(SALES);
    assert_eq!(call.sim.leg("sato").invite.header("Max-Forwards"), "69");
    call.gives_up();
    let (id, shown) = sim.fresh();
    let mut msg = invite(GATEWAY, SALES, &shown, id).with_sdp(&offer_of(GATEWAY));
    msg.set("Max-Forwards", "0");
    sim.place(GATEWAY, msg, Quirks::default()).gets(483, None).over();
}

fn sent_raw(sim: &mut Sim, change: impl FnOnce(&mut Msg)) {
    sim.world.uas.remove(GATEWAY);
    let (id, shown) = sim.fresh();
    let mut msg = invite(GATEWAY, SALES, &shown, id);
    change(&mut msg);
    sim.sends(GATEWAY, &msg);
}

#[test]
fn what_cannot_be_required_is_420_and_listed() {
    let mut sim = Sim::new();
    sent_raw(&mut sim, |msg| msg.add("Require", "100rel, x-hold"));
    let refusal = sim.takes(GATEWAY, "SIP/2.0 420");
    assert_eq!(refusal.header("Unsupported"), "x-hold");
    assert_eq!(sim.ends().len(), 0);
}

#[test]
fn a_body_that_is_no_sdp_is_415() {
    let mut sim = Sim::new();
    sent_raw(&mut sim, |msg| {
        msg.add("Content-Type", "text/plain");
        msg.body = "hello".to_owned();
    });
    assert_eq!(sim.takes(GATEWAY, "SIP/2.0 415").header("Accept"), "application/sdp");
}

#[test]
fn unknown_methods_are_501_and_unwanted_ones_405_with_what_is_allowed() {
    for (method, status) in [("JUMP", 501), ("SUBSCRIBE", 405), ("PUBLISH", 405), ("REFER", 405)] {
        let mut sim = Sim::new();
        sent_raw(&mut sim, |msg| {
            msg.start = msg.start.replace("INVITE", method);
            msg.set("CSeq", &format!("7 {method}"));
        });
        let refusal = sim.takes(GATEWAY, &format!("SIP/2.0 {status}"));
        assert!(refusal.header("Allow").contains("INVITE"), "{method}");
    }
}

#[test]
fn a_request_of_an_unknown_dialog_is_481_and_a_stray_ack_is_nothing() {
    for method in ["BYE", "INFO", "INVITE", "CANCEL"] {
        let mut sim = Sim::new();
        sent_raw(&mut sim, |msg| {
            msg.start = msg.start.replace("INVITE", method);
            msg.set("CSeq", &format!("7 {method}"));
            let to = format!("{};tag=nobody", msg.header("To"));
            msg.set("To", &to);
        });
        sim.takes(GATEWAY, "SIP/2.0 481");
    }
    let mut sim = Sim::new();
    sent_raw(&mut sim, |msg| {
        msg.start = msg.start.replace("INVITE", "ACK");
        msg.set("CSeq", "7 ACK");
        msg.set("To", "<sip:x@192.0.2.10>;tag=nobody");
    });
    assert_eq!(sim.world.inbox, []);
}
