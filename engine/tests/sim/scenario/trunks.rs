//! Trunks that ask for a password, want to be registered at, or die.

use std::time::Duration;

use tensou_engine::route::{AuthSpec, HealthSpec, Provisioning, RegisterSpec, RelationSpec};
use tensou_engine::{CallResult, Event, OperatorCommand, Secret};

use crate::office::{CARRIER, DIRECT, THIN, provisioning};
use crate::phone::{Algorithm, proves};
use crate::sim::{ALL_TIMERS, MOMENT, Sim, invite, offer_of, secs};
use crate::text::{Msg, sdp};
use crate::ua::Act;

/// The narrow trunk's peer, with nobody at home: the test answers by hand.
const PROVIDER: &str = "192.0.2.44:5060";
const REALM: &str = "provider.example";
const MD5: &str = "Digest realm=\"provider.example\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"";

fn account(realm: Option<&str>) -> AuthSpec {
    AuthSpec {
        user: "tensou".to_owned(),
        password: Secret::new("provider-password"),
        realm: realm.map(str::to_owned),
    }
}

/// A world in which the trunk of THIN is at PROVIDER, with this relation.
fn sim(relation: RelationSpec) -> Sim {
    Sim::with(|office| change(office, relation))
}

fn change(office: &mut Provisioning, relation: RelationSpec) {
    let trunk = office.trunks.iter_mut().find(|trunk| trunk.id == "narrow").unwrap();
    trunk.peers = vec![tensou_engine::route::PeerSpec::at(PROVIDER.parse().unwrap())];
    trunk.relation = relation;
}

fn with_password() -> RelationSpec {
    RelationSpec { auth: Some(account(Some(REALM))), ..RelationSpec::default() }
}

fn answer(request: &Msg, status: u16) -> Msg {
    let to = match request.to_tag() {
        Some(_) => request.header("To").to_owned(),
        None => format!("{};tag=provider", request.header("To")),
    };
    Msg::answer(request, status, &to)
}

fn ok(invite: &Msg) -> Msg {
    answer(invite, 200).with("Contact", &format!("<sip:kato@{PROVIDER}>")).with_sdp(&sdp(
        "192.0.2.44",
        40_000,
        1,
        "sendrecv",
    ))
}

/// The last record, once all timers have run out: who was answered by hand is unknown to the
/// checkers.
fn by_hand(mut sim: Sim) -> tensou_engine::Cdr {
    sim.world.run(ALL_TIMERS);
    assert_eq!(sim.world.engine.calls_held(), 0);
    sim.world.cdrs.pop().unwrap()
}

/// A call by THIN, up to the INVITE at the provider.
fn calls(sim: &mut Sim) -> Msg {
    sim.call(THIN);
    sim.takes(PROVIDER, "INVITE")
}

#[test]
fn a_challenged_invite_goes_once_more_with_credentials() {
    for (status, asks, header) in [
        (407, "Proxy-Authenticate", "Proxy-Authorization"),
        (401, "WWW-Authenticate", "Authorization"),
    ] {
        for (challenge, how) in
            [(MD5.to_owned(), Algorithm::Md5), (MD5.replace("MD5", "SHA-256"), Algorithm::Sha256)]
        {
            let mut sim = sim(with_password());
            let first = calls(&mut sim);
            assert!(first.get(header).is_none());
            sim.sends(PROVIDER, &answer(&first, status).with(asks, &challenge));
            let ack = sim.takes(PROVIDER, "ACK");
            assert_eq!((ack.branch(), ack.cseq()), (first.branch(), 1));
            let second = sim.takes(PROVIDER, "INVITE");
            assert!(proves(&second, header, "provider-password", how), "{second:?}");
            assert_eq!(second.call_id(), first.call_id());
            assert_eq!(second.header("From"), first.header("From"));
            assert_eq!((second.to_tag(), second.cseq()), (None, 2));
            assert_ne!(second.branch(), first.branch());
            assert_eq!(second.body, first.body);
            sim.sends(PROVIDER, &ok(&second));
            let ack = sim.takes(PROVIDER, "ACK");
            assert_eq!(ack.cseq(), 2, "RFC 3261 13.2.2.4");
            sim.command(OperatorCommand::HangUpAll);
            let bye = sim.takes(PROVIDER, "BYE");
            assert_eq!(bye.cseq(), 3);
            // A BYE is challenged as well.
            sim.sends(PROVIDER, &answer(&bye, status).with(asks, &challenge));
            let bye = sim.takes(PROVIDER, "BYE");
            assert!(proves(&bye, header, "provider-password", how), "{bye:?}");
            assert_eq!(bye.cseq(), 4);
            sim.sends(PROVIDER, &answer(&bye, 200));
            let cdr = by_hand(sim);
            assert_eq!((cdr.result, cdr.legs.len()), (CallResult::Answered, 1));
        }
    }
}

#[test]
fn a_wrong_password_is_said_once_and_a_stale_nonce_answered_once_more() {
    let stale = MD5.replace("n1", "n2") + ", stale=true";
    for (second_challenge, invites) in [(MD5.to_owned(), 2), (stale, 3)] {
        let mut sim = sim(with_password());
        let mut request = calls(&mut sim);
        sim.sends(PROVIDER, &answer(&request, 407).with("Proxy-Authenticate", MD5));
        sim.takes(PROVIDER, "ACK");
        for round in 2..=invites {
            request = sim.takes(PROVIDER, "INVITE");
            assert_eq!(request.cseq(), round);
            let refusal = answer(&request, 407).with("Proxy-Authenticate", &second_challenge);
            sim.sends(PROVIDER, &refusal);
            sim.takes(PROVIDER, "ACK");
        }
        let again = sim.world.inbox.iter().any(|(_, msg)| msg.start.starts_with("INVITE"));
        assert!(!again, "{:?}", sim.world.inbox);
        let cdr = sim.ends().pop().unwrap();
        assert_eq!((cdr.legs.len(), cdr.legs[0].sip_status, cdr.sip_status), (1, 407, 480));
    }
}

#[test]
fn no_credentials_go_to_another_realm_nor_to_a_callee_who_is_not_the_trunk() {
    // Another realm than the account's.
    let mut narrow = sim(with_password());
    let first = calls(&mut narrow);
    let foreign = MD5.replace("provider.example", "evil.example");
    narrow.sends(PROVIDER, &answer(&first, 401).with("WWW-Authenticate", &foreign));
    narrow.takes(PROVIDER, "ACK");
    assert!(narrow.world.inbox.is_empty(), "{:?}", narrow.world.inbox);
    narrow.ends();

    // The callee has moved the dialog elsewhere and challenges the BYE there.
    const ELSEWHERE: &str = "203.0.113.9:5060";
    let mut moved = sim(RelationSpec { auth: Some(account(None)), ..RelationSpec::default() });
    let first = calls(&mut moved);
    let mut ok = ok(&first);
    ok.set("Contact", &format!("<sip:kato@{ELSEWHERE}>"));
    moved.sends(PROVIDER, &ok);
    moved.takes(ELSEWHERE, "ACK");
    moved.command(OperatorCommand::HangUpAll);
    let bye = moved.takes(ELSEWHERE, "BYE");
    moved.sends(ELSEWHERE, &answer(&bye, 401).with("WWW-Authenticate", MD5));
    assert!(!moved.world.inbox.iter().any(|(_, msg)| msg.get("Authorization").is_some()));
    by_hand(moved);

    // A trunk without an account, and a trunk with one for another trunk's password.
    let mut other = sim(with_password());
    let call = other.call(DIRECT);
    let (place, at) = call.sim.find("sato").unwrap();
    assert_eq!(place, CARRIER);
    let invite = other.world.uas[&place].sessions[at].invite.clone();
    other.sends(&place, &answer(&invite, 401).with("WWW-Authenticate", MD5));
    assert!(other.world.uas[&place].sessions.len() == 1, "no second INVITE");
    other.ends();
}

fn registering(expires: u64) -> RelationSpec {
    RelationSpec {
        auth: Some(account(None)),
        register: Some(RegisterSpec {
            registrar: None,
            domain: Some(REALM.to_owned()),
            user: None,
            contact_user: Some("line7".to_owned()),
            expires: Duration::from_secs(expires),
        }),
        ..RelationSpec::default()
    }
}

/// Lets time pass until such a request comes, half an hour at most.
fn waits_for(sim: &mut Sim, begins: &str) {
    for _ in 0..1800 {
        if sim.world.inbox.iter().any(|(_, msg)| msg.start.starts_with(begins)) {
            return;
        }
        sim.world.run(secs(1));
    }
    panic!("no {begins}");
}

fn trunk_is(sim: &Sim) -> Option<(bool, String)> {
    sim.world.events.iter().rev().find_map(|event| match event {
        Event::TrunkState { state, .. } => Some((state.up, state.reason.clone())),
        _ => None,
    })
}

/// Registers after one challenge; gives the REGISTER that was accepted.
fn registers(sim: &mut Sim) -> Msg {
    let first = sim.takes(PROVIDER, "REGISTER");
    sim.sends(PROVIDER, &answer(&first, 401).with("WWW-Authenticate", MD5));
    let second = sim.takes(PROVIDER, "REGISTER");
    assert!(proves(&second, "Authorization", "provider-password", Algorithm::Md5));
    assert_eq!((second.call_id(), second.cseq()), (first.call_id(), first.cseq() + 1));
    let contact = second.header("Contact").to_owned();
    sim.sends(PROVIDER, &answer(&second, 200).with("Contact", &format!("{contact};expires=600")));
    second
}

#[test]
fn a_trunk_is_registered_at_refreshed_in_time_and_left_on_shutdown() {
    let mut sim = sim(registering(600));
    sim.world.run(MOMENT);
    assert_eq!(trunk_is(&sim), Some((false, "not yet registered".to_owned())));
    let register = registers(&mut sim);
    assert_eq!(register.uri(), "sip:provider.example");
    assert!(register.header("To").contains("<sip:tensou@provider.example>"));
    assert_eq!(register.header("Contact"), "<sip:line7@192.0.2.10:5060>");
    assert_eq!(register.header("Expires"), "600");
    assert_eq!(trunk_is(&sim), Some((true, String::new())));
    sim.world.run(secs(295));
    assert!(sim.world.inbox.is_empty());
    sim.world.run(secs(10));
    let refresh = sim.takes(PROVIDER, "REGISTER");
    assert_eq!((refresh.call_id(), refresh.cseq()), (register.call_id(), 3));
    sim.sends(PROVIDER, &answer(&refresh, 200).with("Expires", "600"));
    sim.world.inbox.clear();
    sim.command(OperatorCommand::Drain);
    let removal = sim.takes(PROVIDER, "REGISTER");
    assert_eq!(removal.header("Expires"), "0");
    sim.sends(PROVIDER, &answer(&removal, 200));
    assert_eq!(trunk_is(&sim).map(|(up, _)| up), Some(false));
    sim.world.run(secs(4000));
    assert!(sim.world.inbox.is_empty(), "{:?}", sim.world.inbox);
    sim.ends();
}

/// The NGN knows a line by where it is plugged in: no account, no password.
#[test]
fn a_line_without_an_account_registers_by_its_number_and_answers_no_challenge() {
    for challenged in [false, true] {
        let mut relation = registering(3600);
        relation.auth = None;
        relation.register.as_mut().unwrap().user = Some("0312345678".to_owned());
        let mut sim = sim(relation);
        sim.world.run(MOMENT);
        let register = sim.takes(PROVIDER, "REGISTER");
        assert_eq!(register.uri(), "sip:provider.example");
        for name in ["From", "To"] {
            let value = register.header(name);
            assert!(value.starts_with("<sip:0312345678@provider.example>"), "{value}");
        }
        assert_eq!((register.header("Expires"), register.get("Authorization")), ("3600", None));
        if challenged {
            sim.sends(PROVIDER, &answer(&register, 401).with("WWW-Authenticate", MD5));
            assert!(sim.world.inbox.is_empty(), "{:?}", sim.world.inbox);
            assert_eq!(trunk_is(&sim), Some((false, "the registrar answers 401".to_owned())));
        } else {
            sim.sends(PROVIDER, &answer(&register, 200));
            assert_eq!(trunk_is(&sim), Some((true, String::new())));
        }
        sim.command(OperatorCommand::Drain);
        sim.world.run(secs(60));
        sim.ends();
    }
}

/// RFC 3261 10.2.4 and RFC 3608 6.1.
#[test]
fn a_registrar_that_lists_others_too_and_names_a_service_route_is_understood() {
    let mut sim = sim(registering(600));
    sim.world.run(MOMENT);
    let register = sim.takes(PROVIDER, "REGISTER");
    let contact = register.header("Contact").to_owned();
    let others = format!("<sip:line7@192.0.2.99>;expires=5, {contact};expires=600");
    let route = "<sip:orig@scscf.provider.example;lr>";
    let ok = answer(&register, 200).with("Contact", &others).with("Service-Route", route);
    sim.sends(PROVIDER, &ok);
    sim.world.run(secs(290));
    assert_eq!(trunk_is(&sim), Some((true, String::new())), "another's Contact has expired");
    assert!(sim.world.inbox.is_empty(), "refreshed too early: {:?}", sim.world.inbox);
    // It goes to the trunk's peer all the same.
    let invite = calls(&mut sim);
    assert_eq!(invite.header("Route"), route);
    assert!(invite.uri().starts_with("sip:07000004444@192.0.2.44"), "{invite:?}");
    // Within the dialog its own routes count.
    sim.sends(PROVIDER, &ok_by(&invite, "<sip:192.0.2.44:5060;lr>"));
    let ack = sim.takes(PROVIDER, "ACK");
    assert_eq!(ack.header("Route"), "<sip:192.0.2.44:5060;lr>");
    sim.command(OperatorCommand::HangUpAll);
    let bye = sim.takes(PROVIDER, "BYE");
    assert_eq!(bye.header("Route"), "<sip:192.0.2.44:5060;lr>");
    sim.sends(PROVIDER, &answer(&bye, 200));
    // A registration without one has none.
    sim.world.run(secs(15));
    let refresh = sim.takes(PROVIDER, "REGISTER");
    sim.sends(PROVIDER, &answer(&refresh, 200).with("Expires", "600"));
    let invite = calls(&mut sim);
    assert_eq!(invite.get("Route"), None);
    sim.sends(PROVIDER, &answer(&invite, 486));
    sim.command(OperatorCommand::Drain);
    by_hand(sim);
}

fn ok_by(invite: &Msg, route: &str) -> Msg {
    ok(invite).with("Record-Route", route)
}

#[test]
fn a_registrar_that_wants_longer_registrations_gets_them() {
    let mut sim = sim(registering(60));
    sim.world.run(MOMENT);
    let first = sim.takes(PROVIDER, "REGISTER");
    sim.sends(PROVIDER, &answer(&first, 423).with("Min-Expires", "1800"));
    let second = sim.takes(PROVIDER, "REGISTER");
    assert_eq!(second.header("Expires"), "1800");
    // The same again is no reason to ask at once.
    sim.sends(PROVIDER, &answer(&second, 423).with("Min-Expires", "1800"));
    assert!(sim.world.inbox.is_empty());
    sim.command(OperatorCommand::Drain);
    sim.ends();
}

#[test]
fn a_registrar_that_refuses_or_is_silent_is_tried_less_and_less_often() {
    let mut sim = sim(registering(600));
    sim.world.run(MOMENT);
    let mut waits = Vec::new();
    for _ in 0..5 {
        let register = sim.takes(PROVIDER, "REGISTER");
        sim.sends(PROVIDER, &answer(&register, 403));
        sim.world.inbox.clear();
        let before = sim.world.now;
        waits_for(&mut sim, "REGISTER");
        waits.push((sim.world.now - before) / 1_000_000);
    }
    for (wait, bound) in waits.iter().zip([60, 120, 240, 480, 960]) {
        assert!((bound / 2..=bound + 1).contains(wait), "{waits:?}");
    }
    assert_eq!(trunk_is(&sim), Some((false, "the registrar answers 403".to_owned())));
    sim.command(OperatorCommand::Drain);
    sim.ends();
}

#[test]
fn a_registration_outlives_a_silent_refresh_until_it_expires() {
    let mut sim = sim(registering(600));
    sim.world.run(MOMENT);
    registers(&mut sim);
    sim.world.run(secs(590));
    assert_eq!(trunk_is(&sim), Some((true, String::new())));
    sim.world.run(secs(15));
    assert_eq!(trunk_is(&sim).map(|(up, _)| up), Some(false));
    sim.command(OperatorCommand::Drain);
    sim.world.run(secs(60));
    sim.ends();
}

#[test]
fn the_registrar_calls_our_contact_and_nobody_else_may() {
    let mut office = registering(600);
    office.register.as_mut().unwrap().registrar =
        Some(tensou_engine::route::PeerSpec::at("203.0.113.80:5060".parse().unwrap()));
    let mut sim = Sim::with(|world| {
        change(world, office);
        let did = world.dids[0].number;
        world.trunks.iter_mut().find(|one| one.id == "narrow").unwrap().default_did = Some(did);
    });
    const REGISTRAR: &str = "203.0.113.80:5060";
    sim.world.run(MOMENT);
    let call = |from: &str, id: u64| invite(from, "line7", "0399999", id).with_sdp(&offer_of(from));
    sim.sends(REGISTRAR, &call(REGISTRAR, 901));
    assert!(!sim.world.inbox.iter().any(|(_, msg)| msg.status() == Some(100)), "not registered");
    let first = sim.takes(REGISTRAR, "REGISTER");
    sim.sends(REGISTRAR, &answer(&first, 200));
    sim.world.inbox.clear();
    sim.sends("203.0.113.81:5060", &call("203.0.113.81:5060", 902));
    assert!(sim.world.inbox.is_empty(), "a stranger who knows the Contact");
    sim.sends(REGISTRAR, &call(REGISTRAR, 903));
    sim.takes(REGISTRAR, "SIP/2.0 100");
    sim.command(OperatorCommand::HangUpAll);
    let refused = sim.takes(REGISTRAR, "SIP/2.0 ");
    let mut ack = Msg::request("ACK", "sip:line7@192.0.2.10");
    for name in ["Via", "From", "Call-ID"] {
        ack.add(name, call(REGISTRAR, 903).header(name));
    }
    ack.add("To", refused.header("To"));
    ack.add("CSeq", "7 ACK");
    ack.add("Max-Forwards", "70");
    sim.sends(REGISTRAR, &ack);
    sim.command(OperatorCommand::Drain);
    sim.ends();
}

#[test]
fn a_peer_goes_down_after_missed_questions_and_up_after_answers() {
    let health = HealthSpec { interval: secs(30), down_after: 2, up_after: 2 };
    let mut sim = sim(RelationSpec { health: Some(health), ..RelationSpec::default() });
    // Any answer is a sign of life, whatever it says.
    let answers = |sim: &mut Sim, status: Option<u16>| {
        waits_for(sim, "OPTIONS");
        let options = sim.takes(PROVIDER, "OPTIONS");
        match status {
            Some(status) => sim.sends(PROVIDER, &answer(&options, status)),
            None => sim.world.run(secs(33)),
        }
        sim.world.inbox.clear();
        trunk_is(sim).map(|(up, _)| up)
    };
    let statuses = [Some(404), None, Some(200), None, Some(503), Some(200), None, Some(200)];
    let seen: Vec<Option<bool>> = statuses.map(|one| answers(&mut sim, one)).to_vec();
    let up = [true, true, true, true, false, false, false, false].map(Some);
    assert_eq!(seen, up);
    assert_eq!(answers(&mut sim, Some(486)), Some(true));
    let mut office = provisioning();
    change(&mut office, RelationSpec::default());
    sim.world.publish(&office);
    sim.ends();
}

#[test]
fn a_callee_that_rang_is_never_tried_by_another_way() {
    for (ring, peers) in [(None, 2), (Some(180), 1), (Some(183), 1)] {
        for status in [500, 502, 503, 504, 408] {
            let mut sim = Sim::new();
            let mut call = sim.call(DIRECT);
            if let Some(ring) = ring {
                call = call.then("sato", Act::Ring(ring, false));
            }
            let call = call.refused_by("sato", status);
            let places: Vec<String> = call.sim.find("sato").into_iter().map(|(at, _)| at).collect();
            assert_eq!(places[0] == CARRIER, peers == 1, "{ring:?} {status}");
            if peers == 2 {
                call.refused_by("sato", 486).gets(486, None);
            }
            let cdr = sim.ends().pop().unwrap();
            assert_eq!(cdr.legs.len(), peers, "{ring:?} {status}");
        }
    }
}
