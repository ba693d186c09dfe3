//! What the operator does while calls run.

use tensou_engine::{CallResult, EndedBy, Event, OperatorCommand};

use crate::office::{DIRECT, SALES, provisioning};
use crate::session::State;
use crate::sim::{Sim, secs};

#[test]
fn a_draining_node_refuses_new_calls_and_keeps_the_running_ones() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    call.sim.command(OperatorCommand::Drain);
    let refused = sim.call(SALES).gets(503, Some(42));
    let finally = refused.caller().facts.finally.clone().unwrap();
    assert!(finally.get("Retry-After").is_some());
    assert_eq!(sim.leg("sato").state, State::Up);
    sim.does("sato", crate::ua::Act::Bye);
    let results: Vec<_> = sim.ends().iter().map(|cdr| cdr.result).collect();
    assert_eq!(results, [CallResult::Failed, CallResult::Answered]);
}

#[test]
fn a_hang_up_ends_both_sides_of_a_talk_and_a_call_that_rings() {
    for answered in [true, false] {
        let mut sim = Sim::new();
        let mut call = sim.call(DIRECT).rings(&["sato"]);
        if answered {
            call = call.answered_by("sato");
        }
        let id = call.sim.world.events.iter().find_map(|event| match event {
            Event::CallStarted(start) => Some(start.call),
            _ => None,
        });
        call.sim.command(OperatorCommand::HangUp(id.unwrap()));
        let ends = (call.caller().state, call.sim.leg("sato").state);
        assert_eq!(ends, (State::Ended, State::Ended));
        let cdr = call.over();
        assert_eq!(cdr.ended_by, EndedBy::System);
        assert_eq!(cdr.result == CallResult::Answered, answered);
    }
}

#[test]
fn a_hang_up_of_all_ends_all() {
    let mut sim = Sim::new();
    sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    sim.call(SALES).rings(&["suzuki"]);
    sim.command(OperatorCommand::HangUpAll);
    assert_eq!(sim.ends().len(), 2);
}

#[test]
fn a_change_acts_on_the_next_call_only() {
    let mut sim = Sim::new();
    sim.call("03-1111-2223").rings(&["sato"]);
    let mut office = provisioning();
    for did in &mut office.dids {
        did.route = vec![tensou_engine::route::TargetRef::Destination("tanaka".to_owned())];
    }
    sim.world.publish(&office);
    sim.world.run(secs(13));
    // The running call hunts on as it began; the next one goes where it is sent now.
    assert_eq!(sim.leg("suzuki").state, State::Inviting);
    assert!(sim.find("tanaka").is_none());
    sim.call(SALES).rings(&["tanaka"]).answered_by("tanaka").caller_hangs_up();
}

#[test]
fn channels_are_counted_exactly_while_calls_come_and_go() {
    let mut sim = Sim::new();
    let used = |sim: &mut Sim| sim.world.engine.counters().channels_in_use;
    sim.call(SALES).rings(&["sato", "suzuki"]);
    assert_eq!(used(&mut sim), 3);
    assert_eq!(sim.world.engine.counters().media_ports_in_use, 2);
    sim.does("sato", crate::ua::Act::Answer);
    assert_eq!(used(&mut sim), 2);
    sim.does("sato", crate::ua::Act::Bye);
    assert_eq!(used(&mut sim), 0);
    sim.ends();
}
