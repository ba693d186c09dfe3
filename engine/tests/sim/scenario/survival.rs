//! Calls outlive the process: it is killed at chosen moments, and goes on by its journal.

use tensou_engine::{CallResult, Transport};

use crate::office::{CARRIER, CARRIER_2, DESK, DESK_PHONE, DIRECT, GATEWAY, NIGHT, SALES};
use crate::scenario::transfer::{desk_asks, desk_talks, refers};
use crate::session::State;
use crate::sim::{MOMENT, Sim, secs};
use crate::text::Msg;
use crate::ua::{Act, Alarm};

/// More outputs than any of the calls below has.
const MOST_OUTPUTS: u64 = 400;

/// Plays a call once for each of its outputs, and kills the engine before that one. Every promise
/// must hold each time.
fn killed_everywhere(by_tcp: bool, play: impl Fn(&mut Sim)) {
    let mut points = 0;
    for point in 0..MOST_OUTPUTS {
        let mut sim = if by_tcp { carrier_by_tcp() } else { Sim::new() };
        sim.world.dies_in = Some(point);
        play(&mut sim);
        sim.ends();
        if sim.world.deaths == 0 {
            break;
        }
        points += 1;
    }
    assert!((10..MOST_OUTPUTS).contains(&points), "{points} moments");
}

fn carrier_by_tcp() -> Sim {
    let mut sim = Sim::with(|office| {
        let peers = office.trunks.iter_mut().filter(|trunk| trunk.id == "carrier");
        for peer in peers.flat_map(|trunk| &mut trunk.peers) {
            peer.transport = Some(Transport::Tcp);
        }
    });
    for place in [CARRIER, CARRIER_2] {
        sim.world.streams.connect(place);
    }
    sim
}

/// Whoever is there does it; a crash may have kept somebody from being called yet.
fn act(sim: &mut Sim, who: &str, act: Act) {
    if sim.find(who).is_some() {
        sim.does(who, act);
    }
}

/// The caller at the gateway who called first.
fn caller(sim: &mut Sim, act: Act) {
    sim.world.at(GATEWAY, |ua, out| ua.wakes(&Alarm::Act { session: 0, act }, out));
    sim.world.run(MOMENT);
}

fn answered_and_hung_up(sim: &mut Sim) {
    sim.call(SALES).waits(secs(1));
    act(sim, "suzuki", Act::Ring(180, false));
    sim.world.run(secs(1));
    act(sim, "suzuki", Act::Answer);
    sim.world.run(secs(3));
    caller(sim, Act::Bye);
}

#[test]
fn an_answered_call_keeps_every_promise_wherever_it_is_struck() {
    for by_tcp in [false, true] {
        killed_everywhere(by_tcp, answered_and_hung_up);
    }
}

#[test]
fn a_call_that_is_given_up_keeps_every_promise_wherever_it_is_struck() {
    for by_tcp in [false, true] {
        killed_everywhere(by_tcp, |sim| {
            sim.call(SALES).waits(secs(1));
            act(sim, "sato", Act::Ring(180, false));
            caller(sim, Act::Cancel);
        });
    }
}

#[test]
fn a_hunt_keeps_every_promise_wherever_it_is_struck() {
    killed_everywhere(false, |sim| {
        sim.call(NIGHT).waits(secs(1));
        act(sim, "sato", Act::Reject(486));
        sim.world.run(secs(4));
        act(sim, "suzuki", Act::Ring(183, true));
        sim.world.run(secs(12));
        act(sim, "tanaka", Act::Ring(180, false));
        act(sim, "tanaka", Act::Answer);
        sim.world.run(secs(1));
        act(sim, "tanaka", Act::Describe("sendonly"));
        sim.world.run(secs(1));
        act(sim, "tanaka", Act::Bye);
        caller(sim, Act::Bye);
    });
}

#[test]
fn a_callee_who_rings_after_a_delay_is_called_once() {
    let mut sim = Sim::new();
    sim.call(DESK).waits(secs(6));
    sim.world.dies();
    sim.world.run(secs(2));
    let legs = sim.world.uas[CARRIER].sessions.len();
    assert_eq!(legs, 1, "the INVITE of before the crash goes on");
    act(&mut sim, "sato", Act::Ring(180, false));
    act(&mut sim, "sato", Act::Answer);
    caller(&mut sim, Act::Bye);
    assert_eq!(sim.ends()[0].result, CallResult::Answered);
}

#[test]
fn an_invite_by_tcp_can_be_cancelled_after_a_crash() {
    let mut sim = carrier_by_tcp();
    sim.call(DIRECT);
    act(&mut sim, "sato", Act::Ring(100, false));
    // RFC 3261 9.1: a CANCEL waits for a provisional answer, and that one was not journalled.
    sim.world.dies();
    sim.world.run(secs(1));
    caller(&mut sim, Act::Cancel);
    assert!(sim.leg("sato").facts.cancel.is_some(), "sato rings on");
    assert_eq!(sim.ends()[0].result, CallResult::Cancelled);
}

#[test]
fn an_invite_that_went_once_more_for_a_longer_session_is_cancelled_as_such() {
    let mut sim = Sim::new();
    sim.call(DIRECT);
    sim.quirks("sato").refusing_with = vec![("Min-SE", "3600")];
    act(&mut sim, "sato", Act::Reject(422));
    act(&mut sim, "sato", Act::Ring(180, false));
    let again = sim.leg("sato").invite.clone();
    assert_eq!(again.cseq(), 2);
    sim.world.dies();
    caller(&mut sim, Act::Cancel);
    let cancel = sim.leg("sato").facts.cancel.clone().expect("a CANCEL");
    assert_eq!((cancel.branch(), cancel.cseq()), (again.branch(), 2));
    assert_eq!(sim.ends()[0].result, CallResult::Cancelled);
}

#[test]
fn two_holds_at_once_get_one_answer_each_wherever_they_are_struck() {
    for point in 0..8 {
        let mut sim = Sim::new();
        sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
        let world = &mut sim.world;
        world.dies_in = Some(point);
        for place in [CARRIER, GATEWAY] {
            world.at(place, |ua, out| ua.sessions[0].acts(&Act::Describe("sendonly"), out));
        }
        world.run(secs(5));
        for place in [CARRIER, GATEWAY] {
            let answers = &world.uas[place].sessions[0].facts.answers;
            assert!(matches!(answers[..], [(_, 200 | 491, _)]), "{place}: {answers:?}");
        }
        caller(&mut sim, Act::Bye);
        sim.ends();
    }
}

#[test]
fn two_partners_brought_together_talk_wherever_it_is_struck() {
    let mut struck = 0;
    for point in 0..MOST_OUTPUTS {
        let mut sim = Sim::new();
        let (first, second, refer) = desk_asks(&mut sim);
        sim.world.dies_in = Some(point);
        act(&mut sim, "201", refer);
        sim.world.run(secs(8));
        if sim.world.deaths == 0 {
            sim.world.dies_in = None;
        }
        struck += sim.world.deaths;
        let caller = sim.world.uas[GATEWAY].sessions[first].clone();
        let target = sim.leg("08012345678").clone();
        assert_eq!((caller.state, target.state), (State::Up, State::Up), "at {point}");
        assert_eq!(sim.leg("201").state, State::Ended, "at {point}");
        assert_eq!(sim.world.uas[DESK_PHONE].sessions[second].state, State::Ended, "at {point}");
        act(&mut sim, "08012345678", Act::Describe("sendonly"));
        let held = &sim.world.uas[GATEWAY].sessions[first].facts.asked.last().unwrap().body;
        assert!(held.contains("a=sendonly"), "they hear each other at {point}");
        act(&mut sim, "08012345678", Act::Bye);
        let cdrs = sim.ends();
        assert_eq!(cdrs.len(), 2, "at {point}");
        if sim.world.deaths == 0 {
            break;
        }
    }
    assert!((8..MOST_OUTPUTS).contains(&struck), "{struck} moments");
}

#[test]
fn a_new_partner_that_was_refused_for_now_is_offered_again_after_a_crash() {
    let mut sim = Sim::new();
    let call = desk_talks(&mut sim).then("201", refers("08012345678"));
    let call = call.rings(&["08012345678"]);
    let at = call.at;
    let world = &mut sim.world;
    world.uas.get_mut(GATEWAY).unwrap().sessions[at].quirks.skills.refuses_once = Some(491);
    act(&mut sim, "08012345678", Act::Answer);
    let asked = |sim: &Sim| sim.world.uas[GATEWAY].sessions[at].facts.asked.len();
    assert_eq!(asked(&sim), 1, "491");
    sim.world.dies();
    sim.world.run(secs(3));
    assert_eq!(asked(&sim), 2, "offered again");
    act(&mut sim, "08012345678", Act::Bye);
    sim.ends();
}

#[test]
fn a_phone_behind_a_fork_is_ended_though_a_crash_took_its_bye() {
    // The outputs of the late 2xx: the journal's record, ACK, BYE.
    for point in 1..3 {
        let mut sim = Sim::new();
        let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato").acts(Act::Bye);
        let call = call.waits(secs(10));
        let world = &mut call.sim.world;
        world.dies_in = Some(point);
        world.at(CARRIER, |ua, out| ua.wakes(&Alarm::Act { session: 0, act: Act::Fork }, out));
        world.run(secs(40));
        assert_eq!(world.deaths, 1);
        assert_eq!(world.uas[CARRIER].sessions[1].state, State::Ended);
        sim.ends();
    }
}

#[test]
fn a_refusal_is_acknowledged_though_a_crash_took_its_ack() {
    for by_tcp in [false, true] {
        for point in 0..5 {
            let mut sim = if by_tcp { carrier_by_tcp() } else { Sim::new() };
            sim.call(DIRECT).rings(&["sato"]);
            sim.world.dies_in = Some(point);
            act(&mut sim, "sato", Act::Reject(486));
            sim.world.run(secs(3));
            assert_eq!(sim.world.deaths, 1);
            assert!(sim.leg("sato").is_acknowledged(), "struck at {point}, by TCP: {by_tcp}");
            sim.ends();
        }
    }
}

/// Nobody is at the gateway any more; what comes there is left lying.
fn deserted(sim: &mut Sim) {
    sim.world.uas.remove(GATEWAY);
    sim.world.inbox.clear();
}

/// How often the gateway was told 486 since.
fn refusals(sim: &Sim) -> usize {
    let told = |(place, msg): &&(String, Msg)| place == GATEWAY && msg.status() == Some(486);
    sim.world.inbox.iter().filter(told).count()
}

#[test]
fn a_refusal_that_was_acknowledged_is_not_sent_again_by_the_next_process() {
    let mut sim = Sim::new();
    sim.call(DIRECT).rings(&["sato"]).refused_by("sato", 486).gets(486, None).waits(secs(1));
    deserted(&mut sim);
    for _ in 0..20 {
        sim.world.dies();
        sim.world.run(secs(2));
    }
    assert_eq!(refusals(&sim), 0);
    sim.ends();
}

#[test]
fn a_refusal_that_nobody_acknowledged_is_sent_again_for_its_time_and_not_for_longer() {
    for (away, copies) in [(2, 1), (31, 1), (33, 0)] {
        let mut sim = Sim::new();
        sim.call(DIRECT).rings(&["sato"]);
        deserted(&mut sim);
        act(&mut sim, "sato", Act::Reject(486));
        assert_eq!(refusals(&sim), 1);
        sim.world.now += secs(away).as_micros() as u64;
        sim.world.dies();
        sim.world.run(MOMENT);
        assert_eq!(refusals(&sim), 1 + copies, "away for {away} s");
        sim.ends();
    }
}

#[test]
fn a_bye_and_an_options_that_come_again_are_answered_as_they_would_have_been() {
    for point in 0..3 {
        let mut sim = Sim::new();
        let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
        call.sim.world.dies_in = Some(point);
        let call = call.acts(Act::Ask("OPTIONS")).waits(secs(2));
        let answers = &call.caller().facts.answers;
        assert!(matches!(answers[..], [(_, 200, _)]), "struck at {point}: {answers:?}");
        // The other side does not answer its BYE, so the call is not over yet.
        let call = call.then("sato", Act::Vanish);
        call.sim.world.dies_in = Some(point);
        let call = call.acts(Act::Bye).waits(secs(2));
        assert_eq!(call.caller().facts.bye_status, Some(200), "struck at {point}");
        sim.ends();
    }
}

#[test]
fn a_bye_that_nobody_answers_is_given_up_when_it_would_have_been() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato").then("sato", Act::Vanish);
    let call = call.acts(Act::Bye).waits(secs(20));
    call.sim.world.dies();
    let call = call.waits(secs(13));
    assert_eq!(call.sim.world.engine.calls_held(), 0, "64*T1 after the first BYE");
    call.over();
}

#[test]
fn a_change_of_session_that_was_under_way_when_the_call_ended_is_not_asked_for_again() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    let gateway = call.sim.world.uas.get_mut(GATEWAY).unwrap();
    gateway.sessions[call.at].quirks.deaf_to_invites = true;
    call.then("sato", Act::Describe("sendonly")).waits(secs(1)).acts(Act::Bye).waits(secs(1));
    deserted(&mut sim);
    for _ in 0..5 {
        sim.world.dies();
        sim.world.run(secs(2));
    }
    let asked = sim.world.inbox.iter().filter(|(_, msg)| msg.start.starts_with("INVITE")).count();
    assert_eq!(asked, 0, "nobody listens in that dialog any more");
    sim.ends();
}

#[test]
fn an_answer_that_was_acknowledged_is_not_sent_again_by_the_next_process() {
    let mut sim = Sim::new();
    sim.call(DIRECT).rings(&["sato"]).answered_by("sato").waits(secs(1));
    deserted(&mut sim);
    for _ in 0..3 {
        sim.world.dies();
        sim.world.run(secs(2));
    }
    let told = |(place, msg): &&(String, Msg)| place == GATEWAY && msg.status() == Some(200);
    assert_eq!(sim.world.inbox.iter().filter(told).count(), 0);
    act(&mut sim, "sato", Act::Bye);
    sim.ends();
}

#[test]
fn a_call_that_is_over_is_not_hung_up_again_by_the_next_process() {
    let mut sim = Sim::new();
    sim.call(DIRECT).rings(&["sato"]).answered_by("sato").acts(Act::Bye).waits(secs(1));
    deserted(&mut sim);
    sim.world.uas.remove(CARRIER);
    for _ in 0..3 {
        sim.world.dies();
        sim.world.run(secs(2));
    }
    let heard = sim.world.inbox.iter().filter(|(_, msg)| msg.start.starts_with("BYE"));
    assert_eq!(heard.count(), 0);
    assert_eq!(sim.world.engine.calls_held(), 0);
}
