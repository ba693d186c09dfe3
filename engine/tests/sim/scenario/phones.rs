//! Phones that register, are rung, and call out.

use tensou_engine::{CallResult, Direction, Event};

use crate::office::{DESK, DESK_PHONE, GATEWAY, SALES, SOFT_PHONE, number, password};
use crate::phone::{Algorithm, proof, register};
use crate::sim::{Sim, invite, offer_of, secs};
use crate::text::Msg;
use crate::ua::Quirks;

/// The INVITE of a registered phone, with its password proved.
pub(crate) fn dials(sim: &mut Sim, place: &str, user: &str, called: &str) -> Msg {
    let ua = sim.world.uas.remove(place);
    let (id, _) = sim.fresh();
    let first = invite(place, called, user, 100 + id).with_sdp(&offer_of(place));
    sim.sends(place, &first);
    let refusal = sim.takes(place, "SIP/2.0 401");
    if let Some(ua) = ua {
        sim.world.settle(ua);
    }
    let second = invite(place, called, user, 200 + id).with_sdp(&offer_of(place));
    let secret = password(user);
    let proof = proof(&second, &refusal, (user, &secret), Algorithm::Sha256);
    second.with("Authorization", &proof)
}

#[test]
fn a_phone_registers_with_either_digest_and_its_binding_expires() {
    for how in [Algorithm::Md5, Algorithm::Sha256] {
        let mut sim = Sim::new();
        let answer = sim.registers(DESK_PHONE, "201", &password("201"), how, 600);
        assert_eq!(answer.status(), Some(200), "{answer:?}");
        assert!(answer.header("Contact").contains("expires=600"), "{answer:?}");
        assert_eq!(sim.world.engine.counters().registrations, 1);
        sim.world.run(secs(601));
        assert_eq!(sim.world.engine.counters().registrations, 0);
        let gone = |event: &Event| matches!(event, Event::Unregistered { .. });
        assert!(sim.world.events.iter().any(gone));
        sim.ends();
    }
}

#[test]
fn a_wrong_password_is_refused_and_told() {
    let mut sim = Sim::new();
    let answer = sim.registers(DESK_PHONE, "201", "guess", Algorithm::Md5, 600);
    assert_eq!(answer.status(), Some(401));
    assert_eq!(sim.world.engine.counters().auth_failures, 1);
    let told = |event: &Event| matches!(event, Event::AuthenticationFailed { .. });
    assert!(sim.world.events.iter().any(told));
    assert_eq!(sim.world.engine.counters().registrations, 0);
}

#[test]
fn a_registered_phone_rings_for_a_did_at_its_own_place() {
    let mut sim = Sim::new();
    sim.registered(DESK_PHONE, "201");
    let call = sim.call(DESK).rings(&["201"]);
    assert_eq!(call.sim.find("201").unwrap().0, DESK_PHONE);
    let cdr = call.answered_by("201").caller_hangs_up();
    assert_eq!(cdr.answered_by.unwrap().as_str(), "201");
}

#[test]
fn a_phone_calls_out_and_shows_its_did() {
    let mut sim = Sim::new();
    sim.registered(DESK_PHONE, "201");
    let msg = dials(&mut sim, DESK_PHONE, "201", "08012345678");
    let call = sim.place(DESK_PHONE, msg, Quirks::default()).rings(&["08012345678"]);
    let told = call.sim.leg("08012345678").invite.clone();
    assert!(told.header("From").contains(SALES), "{told:?}");
    assert_eq!(told.get("Diversion"), None);
    assert_eq!(told.get("Authorization"), None, "the proof is for us alone");
    let cdr = call.answered_by("08012345678").caller_hangs_up();
    assert_eq!((cdr.direction, cdr.result), (Direction::Out, CallResult::Answered));
    assert_eq!(cdr.did, Some(number(SALES)));
    assert_eq!(cdr.legs[0].presented, Some(number(SALES)));
}

#[test]
fn a_phone_calls_another_phone() {
    let mut sim = Sim::new();
    sim.registered(DESK_PHONE, "201");
    sim.registered(SOFT_PHONE, "202");
    let msg = dials(&mut sim, DESK_PHONE, "201", "202");
    let call = sim.place(DESK_PHONE, msg, Quirks::default()).rings(&["202"]).answered_by("202");
    let cdr = call.hung_up_by("202");
    assert_eq!(cdr.result, CallResult::Answered);
}

#[test]
fn a_phone_with_a_wrong_password_calls_nobody() {
    let mut sim = Sim::new();
    sim.registered(DESK_PHONE, "201");
    let mut msg = dials(&mut sim, DESK_PHONE, "201", "08012345678");
    let proof = msg.header("Authorization").replace("response=\"", "response=\"0");
    msg.set("Authorization", &proof);
    sim.place(DESK_PHONE, msg, Quirks::default()).gets(401, None).nobody_rings("08012345678");
    assert_eq!(sim.ends(), []);
}

#[test]
fn a_phone_of_a_trunks_address_needs_no_password() {
    let mut sim = Sim::new();
    let cdr = sim.call(SALES).rings(&["sato"]).gives_up();
    assert_eq!(cdr.trunk_in.unwrap().as_str(), "gateway");
    assert!(sim.world.uas.contains_key(GATEWAY));
}

#[test]
fn a_phone_whose_connection_has_closed_is_not_rung_until_it_registers_again() {
    let mut sim = Sim::new();
    sim.world.streams.connect(DESK_PHONE);
    sim.registered(DESK_PHONE, "201");
    sim.world.breaks(DESK_PHONE);
    let gone = |event: &Event| matches!(event, Event::Unregistered { .. });
    assert!(sim.world.events.iter().any(gone), "nobody is told");
    let call = sim.call(DESK);
    assert!(call.sim.find("201").is_none(), "a phone that nobody can reach rings");
    call.waits(secs(6)).rings(&["sato"]).gives_up();
    sim.world.streams.connect(DESK_PHONE);
    sim.registered(DESK_PHONE, "201");
    let call = sim.call(DESK).rings(&["201"]);
    call.answered_by("201").caller_hangs_up();
}

#[test]
fn a_phone_whose_connection_outlives_an_upgrade_is_rung_by_it_and_its_end_is_told() {
    let mut sim = Sim::new();
    sim.world.streams.connect(DESK_PHONE);
    sim.registered(DESK_PHONE, "201");
    sim.world.streams.handed_over = true;
    sim.world.dies();
    let call = sim.call(DESK).rings(&["201"]);
    call.answered_by("201").caller_hangs_up();
    sim.world.breaks(DESK_PHONE);
    let gone = |event: &Event| matches!(event, Event::Unregistered { .. });
    assert!(sim.world.events.iter().any(gone), "nobody is told");
}

#[test]
fn a_phone_behind_a_proxy_is_rung_by_its_path_whether_or_not_it_knows_of_paths() {
    let proxy = "198.51.100.99:5060";
    let path = "<sip:edge.example;lr>";
    for (supported, told) in [("gruu", None), ("gruu, path", Some(path))] {
        let mut sim = Sim::new();
        let through = |number: u64| {
            let msg = register(DESK_PHONE, "201", number, 600);
            msg.with("Path", path).with("Supported", supported)
        };
        sim.sends(proxy, &through(1));
        let refusal = sim.takes(proxy, "SIP/2.0 401");
        let mut second = through(2);
        let who = ("201", &*password("201"));
        second.add("Authorization", &proof(&second, &refusal, who, Algorithm::Md5));
        sim.sends(proxy, &second);
        assert_eq!(sim.takes(proxy, "SIP/2.0 200").get("Path"), told);
        let msg = invite(GATEWAY, DESK, "0399900002", 77).with_sdp(&offer_of(GATEWAY));
        sim.place(GATEWAY, msg, Quirks::default());
        assert_eq!(sim.takes(proxy, "INVITE").header("Route"), path);
        sim.world.run(secs(1));
    }
}

#[test]
fn what_the_registrar_cannot_do_is_420_and_listed_but_a_path_may_be_required() {
    let mut sim = Sim::new();
    let place = "198.51.100.99:5060";
    let requires = |number, what| register(place, "201", number, 600).with("Require", what);
    sim.sends(place, &requires(1, "path, outbound"));
    assert_eq!(sim.takes(place, "SIP/2.0 420").header("Unsupported"), "outbound");
    sim.sends(place, &requires(2, "path"));
    sim.takes(place, "SIP/2.0 401");
}
