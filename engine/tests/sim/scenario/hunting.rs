//! Who rings, who wins, and what the others are told.

use tensou_engine::route::Snapshot;
use tensou_engine::{CallResult, EndedBy, WallTime};

use crate::office::{DIRECT, NIGHT, SALES, number, provisioning};
use crate::session::State;
use crate::sim::{Sim, secs};
use crate::ua::Act;

const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

#[test]
fn the_first_to_answer_wins_and_the_others_are_told_why() {
    let mut sim = Sim::new();
    let call = sim.call("03-1111-2222").rings(&["sato", "suzuki"]).answered_by("sato");
    let suzuki = call.sim.leg("suzuki");
    assert_eq!(suzuki.state, State::Ended);
    assert_eq!(suzuki.facts.cancel.as_ref().unwrap().header("Reason"), ELSEWHERE);
    let cdr = call.waits(secs(60)).caller_hangs_up();
    assert_eq!(cdr.result, CallResult::Answered);
    assert_eq!(cdr.ended_by, EndedBy::Caller);
    assert_eq!(cdr.answered_by.unwrap().as_str(), "sato");
    assert_eq!(cdr.legs[1].sip_status, 487);
    assert!((60..61).contains(&cdr.duration.as_secs()), "{:?}", cdr.duration);
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut sim = Sim::new();
    let call = sim.call(SALES).rings(&["sato", "suzuki"]);
    call.sim.quirks("suzuki").deaf_to_cancel = true;
    let call = call.answered_by("sato").then("suzuki", Act::Answer);
    let suzuki = call.sim.leg("suzuki");
    assert_eq!(suzuki.state, State::Ended);
    assert!(suzuki.facts.acked.is_some() && suzuki.facts.bye_heard.is_some());
    let cdr = call.hung_up_by("sato");
    assert_eq!(cdr.ended_by, EndedBy::Callee);
}

#[test]
fn two_phones_behind_one_number_both_answer_and_one_stays() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).then("sato", Act::Fork);
    let (twin, first) = (call.sim.leg("sato").at, 0);
    assert_ne!(twin, first);
    assert_eq!(call.caller().state, State::Up);
    let carrier = &mut call.sim.world;
    carrier.at(crate::office::CARRIER, |ua, out| ua.sessions[0].acts(&Act::Answer, out));
    let call = call.waits(secs(1));
    let legs = &call.sim.world.uas[crate::office::CARRIER].sessions;
    assert_eq!((legs[0].state, legs[1].state), (State::Ended, State::Up));
    assert!(legs[0].facts.bye_heard.is_some());
    call.caller_hangs_up();
}

#[test]
fn a_sequential_group_goes_on_after_ring_time_and_delay_and_overflows() {
    let mut sim = Sim::new();
    let call = sim.call(NIGHT).rings(&["sato"]).nobody_rings("suzuki").waits(secs(10));
    assert!(call.sim.leg("sato").facts.cancel.is_some());
    let call = call.nobody_rings("suzuki").waits(secs(2)).rings(&["suzuki"]);
    let call = call.refused_by("suzuki", 486).rings(&["tanaka"]).answered_by("tanaka");
    let cdr = call.caller_hangs_up();
    assert_eq!(cdr.answered_by.unwrap().as_str(), "tanaka");
    let statuses: Vec<u16> = cdr.legs.iter().map(|leg| leg.sip_status).collect();
    assert_eq!(statuses, [487, 486, 200]);
}

#[test]
fn a_loser_that_hangs_up_by_itself_ends_nobody_elses_call() {
    let mut sim = Sim::new();
    let call = sim.call(SALES).rings(&["sato", "suzuki"]);
    call.sim.quirks("suzuki").deaf_to_cancel = true;
    call.sim.quirks("suzuki").once_up = vec![(std::time::Duration::ZERO, Act::Bye)];
    // Its BYE and ours cross.
    let call = call.answered_by("sato").then("suzuki", Act::Answer).waits(secs(5));
    assert_eq!(call.sim.leg("suzuki").state, State::Ended);
    assert_eq!((call.caller().state, call.sim.leg("sato").state), (State::Up, State::Up));
    call.caller_hangs_up();
}

/// The simultaneous and the sequential group end when one member declines.
fn deciding() -> Sim {
    Sim::with(|office| {
        for group in &mut office.groups {
            group.ends_on_decline = true;
        }
    })
}

#[test]
fn one_member_that_declines_ends_the_hunt_where_the_group_says_so() {
    let mut sim = deciding();
    let call = sim.call(SALES).rings(&["sato", "suzuki"]).refused_by("sato", 603);
    let suzuki = call.sim.leg("suzuki");
    assert_eq!(suzuki.facts.cancel.as_ref().unwrap().header("Reason"), "Q.850;cause=21");
    let cdr = call.gets(603, Some(21)).over();
    assert_eq!((cdr.result, cdr.ended_by), (CallResult::Rejected, EndedBy::Callee));
    assert_eq!((cdr.legs[0].sip_status, cdr.legs[1].sip_status), (603, 487));

    let mut sim = deciding();
    let call = sim.call(NIGHT).rings(&["sato"]).refused_by("sato", 600).waits(secs(60));
    let call = call.nobody_rings("suzuki").nobody_rings("tanaka").gets(600, Some(17));
    assert_eq!(call.over().legs.len(), 1);
}

#[test]
fn the_dry_run_shows_where_one_who_declines_ends_the_hunt() {
    for ends in [false, true] {
        let mut office = provisioning();
        office.groups.iter_mut().for_each(|group| group.ends_on_decline = ends);
        let snapshot = Snapshot::compile(1, &office).unwrap();
        let moment = WallTime::from_unix_micros(0);
        for (did, expected) in [(SALES, ends), (NIGHT, ends), (DIRECT, false)] {
            let preview = snapshot.preview(None, number(did), moment, "pbx.example");
            assert_eq!(preview.steps[0].ends_on_decline, expected, "{did}");
        }
    }
}

#[test]
fn a_member_that_is_busy_or_declines_for_itself_ends_nothing() {
    let mut sim = deciding();
    let call = sim.call(SALES).rings(&["sato", "suzuki"]).refused_by("sato", 486);
    call.answered_by("suzuki").caller_hangs_up();
    let mut sim = Sim::new();
    let call = sim.call(SALES).rings(&["sato", "suzuki"]).refused_by("sato", 603);
    call.answered_by("suzuki").caller_hangs_up();
    // A destination that is no group's member is nobody's group.
    let mut sim = deciding();
    let call = sim.call(DIRECT).rings(&["sato"]).refused_by("sato", 603);
    call.gets(603, None).over();
}

#[test]
fn a_group_whose_hunt_a_decline_ends_still_does_after_a_restart() {
    let mut sim = deciding();
    let call = sim.call(NIGHT).rings(&["sato"]);
    call.sim.world.dies();
    let call = call.refused_by("sato", 603).waits(secs(5)).nobody_rings("suzuki");
    call.gets(603, None).over();
}
