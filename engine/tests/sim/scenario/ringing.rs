//! Reliable ringing (RFC 3262) on each leg by itself, early dialogs, UPDATE before the answer.

use std::time::Duration;

use tensou_engine::CallResult;
use tensou_engine::route::Prack;

use crate::office::{CARRIER, DIRECT, GATEWAY, SALES};
use crate::session::{Skills, State};
use crate::sim::{Call, Sim, invite, offer_of, secs};
use crate::text::Msg;
use crate::ua::{Act, Quirks};

/// A caller that supports or requires reliable answers.
fn calls<'a>(sim: &'a mut Sim, header: &str, skills: Skills) -> Call<'a> {
    let (id, shown) = sim.fresh();
    let mut msg = invite(GATEWAY, DIRECT, &shown, id).with_sdp(&offer_of(GATEWAY));
    msg.add(header, "100rel");
    msg.add("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE, PRACK");
    sim.place(GATEWAY, msg, Quirks { skills, ..Quirks::default() })
}

fn pracking() -> Skills {
    Skills { pracks: true, update: true, ..Skills::default() }
}

fn asked<'a>(call: &'a Call<'_>, method: &str) -> Vec<&'a Msg> {
    call.sim.leg("sato").facts.asked.iter().filter(|msg| msg.method() == method).collect()
}

/// Provisional answers above 100 that the caller heard, in order.
fn heard(call: &Call<'_>) -> Vec<u16> {
    call.caller().facts.heard.iter().map(|(status, _)| *status).collect()
}

#[test]
fn a_callees_reliable_ringing_is_acknowledged_though_the_caller_knows_nothing_of_it() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).then("sato", Act::RingReliably(180, false)).waits(secs(3));
    assert!(call.sim.leg("sato").invite.header("Supported").contains("100rel"));
    let pracks = asked(&call, "PRACK");
    assert_eq!(pracks.len(), 1, "the 180 came three times at most, and is acknowledged once");
    assert_eq!(pracks[0].header("RAck"), "101 1 INVITE");
    assert_eq!(heard(&call), [180], "unreliable on the other leg");
    assert!(call.caller().facts.heard.len() == 1);
    call.answered_by("sato").caller_hangs_up();
}

#[test]
fn a_caller_that_requires_it_gets_reliable_ringing_though_the_callee_knows_nothing_of_it() {
    let mut sim = Sim::new();
    let call = calls(&mut sim, "Require", pracking());
    let call = call.then("sato", Act::Ring(180, false)).waits(secs(5));
    assert_eq!(heard(&call), [180], "its PRACK has ended the resending");
    assert!(asked(&call, "PRACK").is_empty());
    call.answered_by("sato").caller_hangs_up();
}

#[test]
fn a_description_in_reliable_ringing_is_the_answer_and_is_not_given_again() {
    let mut sim = Sim::new();
    let call = calls(&mut sim, "Supported", pracking());
    let call = call.then("sato", Act::RingReliably(183, true)).waits(secs(1));
    assert!(call.caller().facts.heard[0].1.contains("c=IN IP4 192.0.2.10"));
    let call = call.answered_by("sato");
    let ok = call.caller().facts.finally.as_ref().unwrap();
    assert_eq!(ok.body, "", "RFC 3262 5: {ok:?}");
    let call = call.acts(Act::Describe("sendonly")).acts(Act::Describe("sendrecv"));
    assert_eq!(call.caller().facts.answers.last().unwrap().1, 200);
    call.caller_hangs_up();
}

#[test]
fn ringing_without_prack_is_resent_and_the_call_fails_after_32_seconds() {
    let mut sim = Sim::new();
    let call = calls(&mut sim, "Require", Skills::default());
    let call = call.then("sato", Act::Ring(180, false)).waits(secs(31));
    // T1 doubling without a bound: 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s.
    assert_eq!(heard(&call), [180; 6]);
    let call = call.waits(secs(2)).gets(504, None);
    assert!(call.sim.leg("sato").facts.cancel.is_some());
    assert_eq!(call.over().result, CallResult::Unreachable);
}

#[test]
fn the_next_reliable_ringing_waits_for_the_prack_of_the_first() {
    let mut sim = Sim::new();
    let call = calls(&mut sim, "Require", Skills::default());
    let call = call.then("sato", Act::Ring(180, false)).then("sato", Act::Ring(183, true));
    assert_eq!(heard(&call), [180]);
    // Acknowledged by hand, with the wrong number first.
    let first = call.sim.world.uas[GATEWAY].sessions[0].clone();
    let rseq: u32 = reliable_of(&call).header("RSeq").parse().unwrap();
    let call = pracked(call, &first, rseq + 1, 481);
    assert_eq!(heard(&call), [180]);
    let call = pracked(call, &first, rseq, 200);
    assert_eq!(heard(&call), [180, 183]);
    assert_eq!(reliable_of(&call).header("RSeq"), (rseq + 1).to_string());
    let call = pracked(call, &first, rseq, 481);
    call.gives_up();
}

fn reliable_of(call: &Call<'_>) -> Msg {
    call.caller().facts.last_progress.clone().unwrap()
}

/// Sends a PRACK for `rseq` and expects this status.
fn pracked<'a>(
    call: Call<'a>,
    session: &crate::session::Session,
    rseq: u32,
    status: u16,
) -> Call<'a> {
    let seq = call.caller().invite.cseq();
    let rack = format!("{rseq} {seq} INVITE");
    let _ = session;
    let call = call.acts(Act::Prack(rack));
    assert_eq!(call.caller().facts.answers.last().unwrap().1, status, "PRACK of {rseq}");
    call
}

#[test]
fn an_answer_waits_for_the_prack_of_a_description() {
    let mut sim = Sim::new();
    let call = calls(&mut sim, "Supported", Skills::default());
    let call = call.then("sato", Act::Ring(183, true)).then("sato", Act::Answer).waits(secs(2));
    assert_eq!(call.caller().state, State::Inviting, "RFC 3262 3");
    assert_eq!(call.sim.leg("sato").state, State::Answered, "not acknowledged yet");
    let rseq: u32 = reliable_of(&call).header("RSeq").parse().unwrap();
    let session = call.caller().clone();
    let call = pracked(call, &session, rseq, 200).waits(secs(1));
    assert_eq!((call.caller().state, call.sim.leg("sato").state), (State::Up, State::Up));
    call.caller_hangs_up();
}

#[test]
fn a_prack_that_crosses_the_answer_is_still_taken() {
    let mut sim = Sim::new();
    let call = calls(&mut sim, "Supported", Skills::default());
    let call = call.then("sato", Act::Ring(180, false)).answered_by("sato");
    let rseq: u32 = reliable_of(&call).header("RSeq").parse().unwrap();
    let session = call.caller().clone();
    let call = pracked(call, &session, rseq + 1, 481);
    let call = pracked(call, &session, rseq, 200);
    let call = pracked(call, &session, rseq, 481);
    assert_eq!((call.caller().state, call.sim.leg("sato").state), (State::Up, State::Up));
    call.caller_hangs_up();
}

#[test]
fn a_caller_that_gives_up_while_the_answer_waits_leaves_nobody_talking() {
    let mut sim = Sim::new();
    let call = calls(&mut sim, "Supported", Skills::default());
    let call = call.then("sato", Act::Ring(183, true)).then("sato", Act::Answer).waits(secs(2));
    let call = call.acts(Act::Cancel).gets(487, None);
    assert_eq!(call.sim.leg("sato").state, State::Ended);
    assert_eq!(call.over().result, CallResult::Cancelled);
}

#[test]
fn a_carrier_may_demand_or_forbid_reliable_ringing() {
    for (prack, supported, required) in
        [(Prack::Off, "timer", None), (Prack::Required, "timer, 100rel", Some("100rel"))]
    {
        let mut sim = Sim::with(|office| office.trunks[1].dialog.prack = prack);
        let call = sim.call(DIRECT);
        let told = &call.sim.leg("sato").invite;
        assert_eq!((told.header("Supported"), told.get("Require")), (supported, required));
        call.gives_up();
    }
}

#[test]
fn both_sides_change_the_session_by_update_before_the_answer() {
    let mut sim = Sim::new();
    let call = calls(&mut sim, "Supported", pracking());
    call.sim.quirks("sato").skills.update = true;
    let call = call.then("sato", Act::RingReliably(183, true)).waits(secs(1));
    let call = call.acts(Act::Update("sendonly")).waits(secs(1));
    assert!(asked(&call, "UPDATE")[0].body.contains("a=sendonly"));
    let (_, status, body) = call.caller().facts.answers.last().unwrap().clone();
    assert_eq!(status, 200);
    assert!(body.contains("a=recvonly") && body.contains("192.0.2.10"), "{body}");
    let call = call.then("sato", Act::Update("sendrecv")).waits(secs(1));
    assert_eq!(call.caller().facts.asked.last().unwrap().method(), "UPDATE");
    assert_eq!(call.sim.leg("sato").facts.answers.last().unwrap().1, 200);
    call.answered_by("sato").caller_hangs_up();
}

#[test]
fn an_update_before_anything_is_agreed_is_told_to_come_again() {
    let mut sim = Sim::new();
    let call = calls(&mut sim, "Supported", pracking());
    let call = call.then("sato", Act::Ring(180, false)).acts(Act::Update("sendonly"));
    // RFC 3311 5.2.
    assert_eq!(call.caller().facts.answers.last().unwrap().1, 500);
    call.answered_by("sato").caller_hangs_up();
}

#[test]
fn of_two_phones_behind_one_number_the_one_that_answers_is_used() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).then("sato", Act::RingReliably(183, true));
    // Another phone of sato answers, with a description of its own.
    let call = call.then("sato", Act::Fork).waits(secs(1));
    assert_eq!(call.caller().state, State::Up);
    let (first, twin) = {
        let sessions = &call.sim.world.uas[CARRIER].sessions;
        (sessions[0].media_port, sessions[1].media_port)
    };
    let remotes = &call.sim.world.relay.remotes;
    assert_ne!(first, twin);
    assert_eq!(remotes.last().map(|remote| remote.rtp.port()), Some(twin));
    // The other would be cancelled by the proxy that forked.
    let world = &mut call.sim.world;
    world.at(CARRIER, |ua, out| ua.sessions[0].acts(&Act::Vanish, out));
    call.caller_hangs_up();
}

#[test]
fn who_may_send_early_media_passes_to_the_caller() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT);
    call.sim.quirks("sato").ringing_with = vec![("P-Early-Media", "sendrecv")];
    let call = call.then("sato", Act::Ring(183, true));
    let told = call.caller().facts.last_progress.as_ref().unwrap();
    assert_eq!(told.header("P-Early-Media"), "sendrecv");
    call.answered_by("sato").caller_hangs_up();
}

#[test]
fn a_call_that_nobody_takes_is_given_up_after_three_minutes() {
    let mut sim = Sim::with(|office| office.groups[0].ring = secs(180));
    let call = sim.call(SALES).rings(&["sato"]).waits(secs(179));
    assert!(call.caller().facts.finally.is_none());
    let call = call.waits(Duration::from_secs(2)).gets(480, None);
    assert!(call.sim.leg("sato").facts.cancel.is_some());
    call.over();
}
