//! How calls end, and what stays in the record.

use tensou_engine::{CallResult, EndedBy};

use crate::office::{CARRIER, DIRECT, GATEWAY, SALES};
use crate::session::State;
use crate::sim::{Call, Sim, secs};
use crate::text::Msg;
use crate::ua::{Act, Alarm};

#[test]
fn a_caller_who_gives_up_ends_every_branch() {
    let mut sim = Sim::new();
    let call = sim.call(SALES).rings(&["sato", "suzuki"]).waits(secs(4)).acts(Act::Cancel);
    for who in ["sato", "suzuki"] {
        assert!(call.sim.leg(who).facts.cancel.is_some(), "{who}");
    }
    let cdr = call.gets(487, Some(16)).over();
    assert_eq!((cdr.result, cdr.ended_by), (CallResult::Cancelled, EndedBy::Caller));
    assert_eq!(cdr.duration.as_micros(), 0);
}

#[test]
fn the_duration_is_answer_to_end() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).waits(secs(3)).rings(&["sato"]).waits(secs(7));
    let cdr = call.answered_by("sato").waits(secs(61)).hung_up_by("sato");
    assert_eq!(cdr.duration.as_secs(), 61);
    let micros = |from: tensou_engine::WallTime, to: tensou_engine::WallTime| {
        (to.as_unix_micros() - from.as_unix_micros()) / 1_000_000
    };
    assert_eq!(micros(cdr.started_at, cdr.ringing_at.unwrap()), 3);
    assert_eq!(micros(cdr.started_at, cdr.answered_at.unwrap()), 10);
    assert_eq!(micros(cdr.answered_at.unwrap(), cdr.ended_at), 61);
    assert_eq!((cdr.ended_by, cdr.q850_cause), (EndedBy::Callee, 16));
}

#[test]
fn a_cancel_that_meets_the_answer_leaves_nobody_talking() {
    // At every moment of the answer's way through us.
    for micros in (0..5000).step_by(250) {
        let mut sim = Sim::new();
        let call = sim.call(DIRECT).rings(&["sato"]);
        let after = std::time::Duration::from_micros;
        let world = &mut call.sim.world;
        let alarm = |act| Alarm::Act { session: 0, act };
        world.at(CARRIER, |_, out| out.alarm(after(3000), alarm(Act::Answer)));
        world.at(GATEWAY, |_, out| out.alarm(after(micros), alarm(Act::Cancel)));
        let call = call.waits(secs(1));
        let (caller, sato) = (call.caller().state, call.sim.leg("sato").state);
        assert_eq!((caller, sato), (State::Ended, State::Ended), "after {micros}");
        call.over();
    }
}

#[test]
fn a_callee_that_hangs_up_at_once_has_its_record() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]);
    call.sim.quirks("sato").once_up = vec![(std::time::Duration::ZERO, Act::Bye)];
    let cdr = call.then("sato", Act::Answer).over();
    assert_eq!((cdr.result, cdr.ended_by), (CallResult::Answered, EndedBy::Callee));
    assert!(cdr.duration.as_millis() < 20);
}

/// Another phone behind the number of `who` answers; it must be acknowledged and hung up.
fn a_twin_answers_and_is_ended<'a>(call: Call<'a>, who: &str) -> Call<'a> {
    let (place, session) = call.sim.find(who).unwrap();
    let fork = Alarm::Act { session, act: Act::Fork };
    call.sim.world.at(&place, |ua, out| ua.wakes(&fork, out));
    let call = call.waits(secs(1));
    let twin = call.sim.world.uas[&place].sessions.last().unwrap();
    assert_eq!((twin.state, twin.facts.bye_heard.is_some()), (State::Ended, true));
    call
}

#[test]
fn a_phone_behind_a_fork_that_answers_after_the_487_is_ended() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).acts(Act::Cancel).waits(secs(1));
    assert!(call.sim.leg("sato").facts.cancel.is_some());
    let cdr = a_twin_answers_and_is_ended(call, "sato").over();
    assert_eq!((cdr.result, cdr.duration.as_micros()), (CallResult::Cancelled, 0));
}

#[test]
fn a_phone_behind_a_fork_that_answers_after_a_refusal_is_ended_and_the_next_rings_on() {
    let mut sim = Sim::new();
    let call = sim.call(SALES).rings(&["sato", "suzuki"]).refused_by("sato", 486);
    let call = a_twin_answers_and_is_ended(call, "sato");
    let cdr = call.answered_by("suzuki").caller_hangs_up();
    assert_eq!((cdr.result, cdr.legs[0].sip_status), (CallResult::Answered, 486));
}

#[test]
fn a_phone_behind_a_fork_that_answers_after_the_end_is_ended() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato").acts(Act::Bye);
    let call = call.waits(secs(10));
    assert_eq!(call.sim.world.engine.calls_held(), 0);
    let world = &mut call.sim.world;
    world.at(CARRIER, |ua, out| ua.wakes(&Alarm::Act { session: 0, act: Act::Fork }, out));
    let call = call.waits(secs(1));
    let twin = &call.sim.world.uas[CARRIER].sessions[1];
    assert_eq!(twin.state, State::Ended);
    assert!(twin.facts.bye_heard.is_some());
    call.over();
}

/// RFC 3261 13.2.2.4 and 12.2.1.1: every copy of a 2xx gets its ACK, and its dialog one BYE.
#[test]
fn each_phone_behind_a_fork_is_hung_up_once_though_its_answer_comes_again_after_the_end() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    // A re-INVITE, so that the CSeq numbers of sato's dialog have gone on.
    let call = call.acts(Act::Describe("sendonly")).waits(secs(1));
    let call = a_twin_answers_and_is_ended(call, "sato").acts(Act::Bye).waits(secs(5));
    assert_eq!(call.sim.world.engine.calls_held(), 0);
    let phones = &call.sim.world.uas[CARRIER].sessions;
    let mut answers: Vec<Msg> = phones.iter().filter_map(|one| one.facts.finally.clone()).collect();
    assert_eq!(answers.len(), 2, "sato and the twin");
    // Sato's answer to the re-INVITE comes again too.
    let mut agreed = Msg::answer(&phones[0].facts.asked[0], 200, &phones[0].local);
    agreed.add("Contact", &format!("<sip:sato@{CARRIER}>"));
    answers.push(agreed);
    let acks = call.sim.sent(CARRIER, "ACK").len();
    for answer in answers.iter().chain(&answers) {
        call.sim.sends(CARRIER, answer);
    }
    assert_eq!(call.sim.sent(CARRIER, "ACK").len(), acks + 6);
    let byes = call.sim.sent(CARRIER, "BYE");
    let tags: Vec<&str> = byes.iter().filter_map(|bye| bye.msg.to_tag()).collect();
    assert_eq!(tags.len(), 2, "{tags:?}");
    assert_ne!(tags[0], tags[1]);
    call.over();
}

#[test]
fn a_callee_that_vanishes_holds_nothing_for_long() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato").then("sato", Act::Vanish);
    let call = call.acts(Act::Bye).waits(secs(33));
    assert_eq!(call.sim.world.engine.counters().channels_in_use, 0);
    call.over();
}
