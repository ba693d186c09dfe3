//! What happens within dialogs: retransmissions, ACKs, re-INVITEs, order.

use tensou_engine::{CallResult, EndedBy, Flow, Input, ListenerId, Transport};

use crate::office::{CARRIER, DIRECT, GATEWAY, SALES};
use crate::session::State;
use crate::sim::{Sim, invite, offer_of, secs};
use crate::ua::{Act, Quirks};

#[test]
fn an_invite_sent_again_is_one_call() {
    let mut sim = Sim::new();
    let (id, shown) = sim.fresh();
    let msg = invite(GATEWAY, DIRECT, &shown, id).with_sdp(&offer_of(GATEWAY));
    let again = msg.bytes();
    let call = sim.place(GATEWAY, msg, Quirks::default());
    for _ in 0..3 {
        call.sim.world.sends(GATEWAY, again.clone());
    }
    let call = call.waits(secs(1)).rings(&["sato"]);
    assert_eq!(call.sim.world.uas[CARRIER].sessions.len(), 1);
    call.gives_up();
    assert_eq!(sim.world.cdrs.len(), 1);
}

#[test]
fn ringing_is_told_again_every_minute() {
    let mut sim = Sim::with(|office| office.groups[0].ring = secs(170));
    let call = sim.call(SALES).rings(&["sato"]).waits(secs(150));
    assert_eq!(call.caller().facts.heard.len(), 3);
    call.gives_up();
}

#[test]
fn a_lost_ack_is_waited_for_and_then_the_call_is_ended() {
    let mut sim = Sim::new();
    let (id, shown) = sim.fresh();
    let msg = invite(GATEWAY, DIRECT, &shown, id).with_sdp(&offer_of(GATEWAY));
    let quirks = Quirks { never_acks: true, ..Quirks::default() };
    let call = sim.place(GATEWAY, msg, quirks).rings(&["sato"]).then("sato", Act::Answer);
    let call = call.waits(secs(31));
    assert!(call.caller().facts.bye_heard.is_none(), "too early");
    let call = call.waits(secs(2));
    assert!(call.caller().facts.bye_heard.is_some());
    assert_eq!(call.sim.leg("sato").state, State::Ended);
    let cdr = call.over();
    assert_eq!((cdr.result, cdr.ended_by), (CallResult::Answered, EndedBy::System));
}

#[test]
fn a_bye_before_the_ack_ends_the_call() {
    let mut sim = Sim::new();
    let (id, shown) = sim.fresh();
    let msg = invite(GATEWAY, DIRECT, &shown, id).with_sdp(&offer_of(GATEWAY));
    let quirks = Quirks { never_acks: true, ..Quirks::default() };
    let call = sim.place(GATEWAY, msg, quirks).rings(&["sato"]).then("sato", Act::Answer);
    let cdr = call.waits(secs(3)).caller_hangs_up();
    assert_eq!(cdr.ended_by, EndedBy::Caller);
    assert!((3..4).contains(&cdr.duration.as_secs()));
}

#[test]
fn a_callee_that_hangs_up_before_the_callers_ack_waits_for_it() {
    let mut sim = Sim::new();
    let (id, shown) = sim.fresh();
    let msg = invite(GATEWAY, DIRECT, &shown, id).with_sdp(&offer_of(GATEWAY));
    let quirks = Quirks { never_acks: true, ..Quirks::default() };
    let call = sim.place(GATEWAY, msg, quirks).rings(&["sato"]).then("sato", Act::Answer);
    let call = call.then("sato", Act::Bye).waits(secs(10));
    // RFC 3261 15: no BYE from the called side before the ACK.
    assert!(call.caller().facts.bye_heard.is_none());
    let call = call.waits(secs(25));
    assert!(call.caller().facts.bye_heard.is_some());
    assert_eq!(call.over().ended_by, EndedBy::Callee);
}

#[test]
fn both_hang_up_at_once() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato").waits(secs(5));
    let world = &mut call.sim.world;
    world.at(CARRIER, |ua, out| ua.sessions[0].acts(&Act::Bye, out));
    world.at(GATEWAY, |ua, out| ua.sessions[0].acts(&Act::Bye, out));
    let cdr = call.over();
    assert_eq!(cdr.duration.as_secs(), 5);
}

#[test]
fn hold_and_resume_pass_across_with_our_addresses() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    let before = call.sim.leg("sato").invite.body.clone();
    let call = call.acts(Act::Describe("sendonly")).acts(Act::Describe("sendrecv"));
    let asked = &call.sim.leg("sato").facts.asked;
    let [hold, resume] = &asked[..] else { panic!("{asked:?}") };
    assert!(hold.body.contains("a=sendonly") && resume.body.contains("a=sendrecv"));
    for offer in [&before, &hold.body, &resume.body] {
        assert!(offer.contains("c=IN IP4 192.0.2.10\r\n"), "{offer}");
        assert!(!offer.contains("192.0.2.1\r\n"), "the caller's address: {offer}");
    }
    let port =
        |sdp: &str| sdp.split("m=audio ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(port(&before), port(&hold.body), "the relay's port stays");
    let version = |sdp: &str| sdp.split("o=").nth(1).unwrap().split(' ').nth(2).unwrap().to_owned();
    assert_ne!(version(&before), version(&hold.body), "RFC 3264 8");
    let answers = &call.caller().facts.answers;
    assert!(answers[0].2.contains("a=recvonly") && answers[0].2.contains("192.0.2.10"));
    assert_eq!(answers.iter().map(|one| one.1).collect::<Vec<_>>(), [200, 200]);
    call.caller_hangs_up();
}

#[test]
fn the_callee_may_hold_too() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    let call = call.then("sato", Act::Describe("sendonly"));
    assert!(call.caller().facts.asked[0].body.contains("a=sendonly"));
    assert_eq!(call.sim.leg("sato").facts.answers[0].1, 200);
    call.hung_up_by("sato");
}

#[test]
fn a_reinvite_without_an_offer_gets_one_and_its_answer_passes_by_ack() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    let call = call.acts(Act::OfferlessInvite);
    let (_, status, body) = call.caller().facts.answers[0].clone();
    assert_eq!(status, 200);
    assert!(body.contains("c=IN IP4 192.0.2.10"));
    call.caller_hangs_up();
}

#[test]
fn an_info_reaches_the_other_side() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato").acts(Act::Ask("INFO"));
    assert_eq!(call.sim.leg("sato").facts.asked[0].method(), "INFO");
    assert_eq!(call.caller().facts.answers[0].1, 200);
    call.caller_hangs_up();
}

#[test]
fn a_request_out_of_order_is_500() {
    let mut sim = Sim::new();
    let mut call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    let at = call.caller().at;
    let caller = &mut call.sim.world.uas.get_mut(GATEWAY).unwrap().sessions[at];
    caller.cseq = 2;
    call = call.acts(Act::Ask("INFO"));
    assert_eq!(call.caller().facts.answers[0].1, 500);
    let caller = &mut call.sim.world.uas.get_mut(GATEWAY).unwrap().sessions[at];
    caller.cseq = 20;
    call.caller_hangs_up();
}

#[test]
fn a_reinvite_that_is_never_answered_is_forgotten_after_its_call() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    call.sim.quirks("sato").never_agrees = true;
    let call = call.acts(Act::Describe("sendonly")).waits(secs(40)).acts(Act::Bye);
    // RFC 3261 15.1.2.
    assert_eq!(call.caller().facts.answers[0].1, 487);
    call.over();
}

#[test]
fn a_transport_error_does_not_end_a_leg_that_rings() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]);
    let flow = Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        remote: CARRIER.parse().unwrap(),
        connection: 0,
    };
    call.sim.world.engine_takes(Input::Unreachable { flow });
    call.answered_by("sato").caller_hangs_up();
}
