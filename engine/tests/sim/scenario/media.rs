//! Offers and answers at the beginning of a call, and what the relay is told.

use std::sync::Arc;

use tensou_engine::media::MediaEvent;
use tensou_engine::route::Snapshot;
use tensou_engine::{CallResult, EndedBy, Engine, UnknownPeer};

use crate::office::{DIRECT, GATEWAY, SALES, provisioning};
use crate::session::State;
use crate::sim::{Sim, invite, secs};
use crate::ua::{Act, Quirks};
use crate::world::engine_config;

#[test]
fn a_caller_without_an_offer_gets_the_callees_and_answers_by_ack() {
    let mut sim = Sim::new();
    let (id, shown) = sim.fresh();
    let call = sim.place(GATEWAY, invite(GATEWAY, DIRECT, &shown, id), Quirks::default());
    assert_eq!(call.sim.leg("sato").invite.body, "");
    let call = call.rings(&["sato"]).answered_by("sato");
    let offered = &call.caller().facts.finally.as_ref().unwrap().body;
    assert!(offered.contains("c=IN IP4 192.0.2.10"), "{offered}");
    let (_, ack) = call.sim.leg("sato").facts.acked.clone().unwrap();
    assert!(ack.body.contains("c=IN IP4 192.0.2.10"), "{ack:?}");
    call.caller_hangs_up();
}

#[test]
fn early_media_comes_from_one_callee_only() {
    let mut sim = Sim::new();
    let call = sim.call(SALES);
    let call = call.then("sato", Act::Ring(183, true)).then("suzuki", Act::Ring(183, true));
    let heard = &call.caller().facts.heard;
    let [(183, sound)] = &heard[..] else { panic!("{heard:?}") };
    assert!(sound.contains("c=IN IP4 192.0.2.10"));
    call.answered_by("suzuki").caller_hangs_up();
}

#[test]
fn early_media_ends_with_its_callee() {
    let mut sim = Sim::new();
    let call = sim.call(SALES).then("sato", Act::Ring(183, true)).refused_by("sato", 486);
    let call = call.then("suzuki", Act::Ring(183, true));
    assert_eq!(call.caller().facts.heard.len(), 2);
    call.answered_by("suzuki").caller_hangs_up();
}

#[test]
fn the_record_has_the_counters_of_both_sides() {
    let mut sim = Sim::new();
    let cdr = sim.call(DIRECT).rings(&["sato"]).answered_by("sato").caller_hangs_up();
    let media = cdr.legs[0].media.unwrap();
    assert_eq!((media.received.packets, media.sent.packets), (22, 11));
}

#[test]
fn ports_that_cannot_be_bound_end_the_call_with_503() {
    let mut sim = Sim::new();
    sim.world.relay.refuses = 100;
    let cdr = sim.call(DIRECT).gets(503, Some(42)).over();
    assert_eq!(cdr.result, CallResult::Failed);
}

#[test]
fn without_a_free_port_a_call_is_refused_at_once_and_told_when_to_come_again() {
    let mut sim = Sim::new();
    let mut config = engine_config(1, UnknownPeer::Drop);
    // Four pairs: two calls.
    config.media.last_port = config.media.first_port + 7;
    let snapshot = Snapshot::compile(1, &provisioning()).unwrap();
    sim.world.engine = Engine::new(config, Arc::new(snapshot));
    for _ in 0..2 {
        sim.call(SALES).rings(&["sato"]);
    }
    let third = sim.call(SALES).gets(503, Some(42));
    let refusal = third.caller().facts.finally.clone().unwrap();
    assert!(refusal.header("Retry-After").parse::<u32>().is_ok(), "{refusal:?}");
    assert_eq!(third.sim.world.engine.counters().media_ports_exhausted, 1);
    assert_eq!(third.sim.leg("sato").state, State::Inviting);
    let records = third.sim.ends();
    let failed = records.iter().filter(|cdr| cdr.sip_status == 503).count();
    assert_eq!((records.len(), failed), (3, 1));
}

#[test]
fn silence_on_both_sides_ends_the_call() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato").waits(secs(90));
    let watched = call.sim.world.relay.watched();
    let [session] = watched[..] else { panic!("{watched:?}") };
    call.sim.world.media(MediaEvent::Idle { session });
    let call = call.waits(secs(1));
    assert_eq!((call.caller().state, call.sim.leg("sato").state), (State::Ended, State::Ended));
    let cdr = call.over();
    assert_eq!((cdr.result, cdr.ended_by), (CallResult::Answered, EndedBy::System));
}

#[test]
fn on_hold_silence_is_not_watched() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    let call = call.acts(Act::Describe("sendonly"));
    assert!(call.sim.world.relay.watched().is_empty());
    let call = call.acts(Act::Describe("sendrecv"));
    assert_eq!(call.sim.world.relay.watched().len(), 1);
    call.caller_hangs_up();
}
