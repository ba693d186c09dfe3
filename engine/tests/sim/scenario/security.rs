//! What strangers, guessers and forgers get: nothing.

use std::time::Duration;

use tensou_engine::route::{AuthInSpec, AuthSpec, Snapshot};
use tensou_engine::{CallResult, Event, Input, Limits, OperatorCommand, Output, Secret};

use crate::office::{DESK_PHONE, GATEWAY, SALES, password, provisioning};
use crate::phone::{Algorithm, proof, register};
use crate::sim::{Sim, invite, offer_of, secs};
use crate::text::Msg;
use crate::ua::{Act, Quirks};

const STRANGER: &str = "203.0.113.66:5060";

fn silent(sim: &Sim) {
    assert_eq!(sim.world.inbox, []);
}

/// The office still serves: a trunk's OPTIONS is answered, a call completes, its record comes.
fn serves(sim: &mut Sim) {
    let gateway = sim.world.uas.remove(GATEWAY).unwrap();
    let (id, _) = sim.fresh();
    let mut options = invite(GATEWAY, SALES, "1", 7_000 + id);
    options.start = options.start.replace("INVITE", "OPTIONS");
    options.set("CSeq", "7 OPTIONS");
    sim.sends(GATEWAY, &options);
    sim.takes(GATEWAY, "SIP/2.0 200");
    sim.world.settle(gateway);
    let before = sim.world.cdrs.len();
    let cdr = sim.call(SALES).rings(&["sato"]).answered_by("sato").caller_hangs_up();
    assert_eq!(cdr.result, CallResult::Answered);
    assert_eq!(sim.world.cdrs.len(), before + 1);
}

#[test]
fn no_method_of_a_stranger_is_answered_or_passed_on() {
    let mut sim = Sim::new();
    for method in [
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "OPTIONS",
        "PRACK",
        "UPDATE",
        "INFO",
        "REFER",
        "NOTIFY",
        "SUBSCRIBE",
        "PUBLISH",
        "MESSAGE",
        "JUMP",
    ] {
        let mut msg = invite(STRANGER, SALES, "0399999999", 1);
        msg.start = msg.start.replace("INVITE", method);
        msg.set("CSeq", &format!("7 {method}"));
        sim.sends(STRANGER, &msg);
        msg.set("To", &format!("{};tag=0300000001000000000000000000000000", msg.header("To")));
        sim.sends(STRANGER, &msg);
        msg.set("From", "<sip:");
        msg.set("Via", &format!("SIP/2.0/UDP {STRANGER};branch=z9hG4bKbroken{method}"));
        sim.sends(STRANGER, &msg);
    }
    silent(&sim);
    assert_eq!(sim.world.engine.counters().transactions, 0);
    serves(&mut sim);
}

#[test]
fn a_flood_of_strangers_leaves_nothing_in_memory() {
    let mut sim = Sim::new();
    for id in 0..20_000 {
        let msg = invite(STRANGER, SALES, "0399999999", id);
        sim.world.sends(STRANGER, msg.bytes());
        let msg = register(STRANGER, "201", id, 600);
        sim.world.sends(STRANGER, msg.bytes());
    }
    sim.world.run(secs(1));
    let counters = *sim.world.engine.counters();
    assert_eq!((counters.transactions, counters.calls_held), (0, 0));
    sim.world.inbox.clear();
    serves(&mut sim);
}

#[test]
fn nobody_unproven_is_sent_half_as_much_again_as_he_sent() {
    let mut sim = Sim::new();
    let mut short = register(STRANGER, "201", 1, 600);
    short.headers.retain(|(name, _)| name != "User-Agent" && name != "Allow");
    let mut tiny = short.clone();
    tiny.headers.retain(|(name, _)| name != "Contact" && name != "Max-Forwards");
    tiny.set("From", "<sip:a@b>;tag=1");
    tiny.set("To", "<sip:a@b>");
    tiny.set("Call-ID", "1");
    for (msg, challenges) in [(register(STRANGER, "201", 2, 600), 2), (short, 1), (tiny, 0)] {
        sim.sends(STRANGER, &msg);
        let answer = sim.world.inbox.pop().map(|(_, answer)| answer);
        let told = answer.as_ref().map_or(0, |answer| answer.all("WWW-Authenticate").count());
        assert_eq!(told, challenges, "{} bytes", msg.bytes().len());
        if let Some(answer) = answer {
            assert!(answer.bytes().len() * 2 <= msg.bytes().len() * 3, "{answer:?}");
        }
    }
    sim.world.run(secs(40));
    silent(&sim);
}

/// A guess at a password; the answer.
fn guesses(sim: &mut Sim, user: &str, id: u64) -> Msg {
    sim.sends(STRANGER, &register(STRANGER, user, 2 * id, 600));
    let refusal = sim.takes(STRANGER, "SIP/2.0 401");
    let mut second = register(STRANGER, user, 2 * id + 1, 600);
    second.add("Authorization", &proof(&second, &refusal, (user, "guess"), Algorithm::Md5));
    sim.sends(STRANGER, &second);
    sim.takes(STRANGER, "SIP/2.0 ")
}

/// An answer without what is random in it.
fn shape(answer: &Msg, user: &str) -> (String, Vec<(String, usize)>) {
    let headers = answer.headers.iter();
    let length = |value: &String| value.replace(user, "").len();
    let headers = headers.map(|(name, value)| (name.clone(), length(value)));
    (answer.start.clone(), headers.collect())
}

#[test]
fn an_unknown_user_is_answered_as_a_known_one_to_the_last_header() {
    let mut sim = Sim::new();
    for round in 0..11 {
        let known = guesses(&mut sim, "201", 10 + round);
        let unknown = guesses(&mut sim, "209", 30 + round);
        assert_eq!(shape(&known, "201"), shape(&unknown, "209"), "guess {round}");
    }
}

#[test]
fn a_guesser_is_shut_out_and_told_of_and_the_registered_phone_goes_on() {
    let mut sim = Sim::new();
    sim.registered(DESK_PHONE, "201");
    let heard: Vec<u16> =
        (0..12).map(|round| guesses(&mut sim, "201", round).status().unwrap()).collect();
    assert_eq!(heard, [[401; 10].as_slice(), &[403; 2]].concat());
    let told = |sim: &Sim| -> Vec<u64> {
        let tries = |event: &Event| match event {
            Event::AuthenticationFailed { tries, user, .. } if user == "201" => Some(*tries),
            _ => None,
        };
        sim.world.events.iter().filter_map(tries).collect()
    };
    assert_eq!(told(&sim), [1], "the first is told at once, the others wait");
    assert_eq!(sim.world.engine.counters().auth_failures, 12);
    sim.registered(DESK_PHONE, "201");
    sim.world.run(secs(61));
    assert_eq!(told(&sim), [1, 11]);
    assert_eq!(guesses(&mut sim, "201", 50).status(), Some(401), "looked at again");
}

#[test]
fn a_captured_authorization_registers_nobody_else() {
    let mut sim = Sim::new();
    sim.sends(STRANGER, &register(STRANGER, "201", 2, 600));
    let refusal = sim.takes(STRANGER, "SIP/2.0 401");
    let mut right = register(STRANGER, "201", 3, 600);
    let captured = proof(&right, &refusal, ("201", &password("201")), Algorithm::Md5);
    right.add("Authorization", &captured);
    sim.sends(STRANGER, &right);
    sim.takes(STRANGER, "SIP/2.0 200");
    let thief = "203.0.113.77:5060";
    let mut again = register(STRANGER, "201", 5, 600).with("Authorization", &captured);
    sim.sends(STRANGER, &again);
    sim.takes(STRANGER, "SIP/2.0 401");
    again.set("Contact", &format!("<sip:201@{thief}>"));
    again.set("CSeq", "9 REGISTER");
    again.set("Via", &format!("SIP/2.0/UDP {thief};branch=z9hG4bKthief;rport"));
    sim.sends(thief, &again);
    sim.takes(thief, "SIP/2.0 401");
    let mut call = invite(STRANGER, "0990123456", "201", 9).with("Authorization", &captured);
    call.set("CSeq", "10 INVITE");
    sim.sends(STRANGER, &call);
    sim.takes(STRANGER, "SIP/2.0 401");
    assert_eq!(sim.world.engine.counters().registrations, 1);
    assert_eq!(sim.ends(), []);
}

#[test]
fn a_phone_calls_numbers_here_and_no_address_elsewhere() {
    for (uri, status) in [
        ("sip:0990123456@evil.example", 404),
        ("sip:08012345678@203.0.113.1", 404),
        ("sip:08012345678@192.0.2.10;maddr=203.0.113.1", 183),
        ("sip:08012345678@PBX.example:5060", 183),
        ("tel:+818012345678", 183),
    ] {
        let mut sim = Sim::new();
        sim.registered(DESK_PHONE, "201");
        sim.world.uas.remove(DESK_PHONE);
        let mut first = invite(DESK_PHONE, "1", "201", 1).with_sdp(&offer_of(DESK_PHONE));
        first.start = format!("INVITE {uri} SIP/2.0");
        first.add("Route", "<sip:203.0.113.1;lr>");
        sim.sends(DESK_PHONE, &first);
        let refusal = sim.takes(DESK_PHONE, "SIP/2.0 401");
        let mut second = first.clone();
        second.set("CSeq", "8 INVITE");
        second.set("Via", &format!("SIP/2.0/UDP {DESK_PHONE};branch=z9hG4bKagain"));
        let proof = proof(&second, &refusal, ("201", &password("201")), Algorithm::Md5);
        sim.sends(DESK_PHONE, &second.with("Authorization", &proof));
        let begins = if status == 404 { "SIP/2.0 404" } else { "SIP/2.0 100" };
        sim.takes(DESK_PHONE, begins);
        assert_eq!(sim.find("08012345678").is_some(), status == 183, "{uri}");
        assert!(sim.world.inbox.iter().all(|(place, _)| !place.starts_with("203.0.113.1")));
        assert_eq!(sim.world.engine.poll_output().map(|_: Output| ()), None);
    }
}

#[test]
fn the_same_invite_by_another_way_rings_nobody_twice() {
    let mut sim = Sim::new();
    let gateway = sim.world.uas.remove(GATEWAY).unwrap();
    let first = invite(GATEWAY, SALES, "0399900001", 1).with_sdp(&offer_of(GATEWAY));
    sim.sends(GATEWAY, &first);
    let mut copy = first.clone();
    copy.set("Via", &format!("SIP/2.0/UDP {GATEWAY};branch=z9hG4bKother"));
    sim.sends(GATEWAY, &copy);
    sim.takes(GATEWAY, "SIP/2.0 482");
    let invited = |sim: &Sim| sim.world.uas.values().map(|ua| ua.sessions.len()).sum::<usize>();
    assert_eq!(invited(&sim), 2, "the two of the group, once each");
    let mut cancel = first.clone();
    cancel.start = cancel.start.replace("INVITE", "CANCEL");
    cancel.set("CSeq", "7 CANCEL");
    cancel.headers.retain(|(name, _)| name != "Content-Type");
    cancel.body.clear();
    sim.sends(GATEWAY, &cancel);
    sim.takes(GATEWAY, "SIP/2.0 487");
    // Refused, it may be tried by the other way.
    copy.set("Via", &format!("SIP/2.0/UDP {GATEWAY};branch=z9hG4bKthird"));
    sim.sends(GATEWAY, &copy);
    sim.takes(GATEWAY, "SIP/2.0 100");
    assert_eq!(invited(&sim), 4);
    sim.world.settle(gateway);
}

#[test]
fn what_is_wrong_with_a_request_stands_in_its_400() {
    let mut sim = Sim::new();
    sim.world.uas.remove(GATEWAY);
    for (break_it, phrase) in [
        (("From", "\"Bell, <sip:a@b>;tag=1"), "400 Malformed From"),
        (("To", "sip:a b@c"), "400 Malformed To"),
        (("Via", "SIP/2.0/UDP 192.0.2.1:65536;branch=z9hG4bKa"), "400 Malformed Via"),
        (("Max-Forwards", "seventy"), "400 Malformed Max-Forwards"),
    ] {
        let (id, _) = sim.fresh();
        let mut msg = invite(GATEWAY, SALES, "1", id);
        let (name, value) = break_it;
        msg.set(name, value);
        sim.sends(GATEWAY, &msg);
        sim.takes(GATEWAY, &format!("SIP/2.0 {phrase}"));
    }
    assert_eq!(sim.ends(), []);
}

#[test]
fn bodies_that_cannot_be_read_are_refused_and_optional_ones_passed_over() {
    let mut sim = Sim::new();
    sim.world.uas.remove(GATEWAY);
    let mut id = 0;
    let mut sends = |sim: &mut Sim, kind: &str, header: (&str, &str)| {
        id += 1;
        let mut msg = invite(GATEWAY, SALES, "1", id).with(header.0, header.1);
        msg.add("Content-Type", kind);
        msg.body = "hello".to_owned();
        sim.sends(GATEWAY, &msg);
    };
    sends(&mut sim, "text/plain", ("X-A", "1"));
    sim.takes(GATEWAY, "SIP/2.0 415");
    sends(&mut sim, "application/sdp", ("Content-Encoding", "gzip"));
    let refusal = sim.takes(GATEWAY, "SIP/2.0 415");
    assert_eq!(refusal.header("Accept-Encoding"), "identity");
    sends(&mut sim, "application/pkcs7-mime", ("X-A", "1"));
    sim.takes(GATEWAY, "SIP/2.0 493");
    sends(&mut sim, "application/sdp", ("Accept", "text/plain, text/html"));
    sim.takes(GATEWAY, "SIP/2.0 406");
    sends(&mut sim, "text/plain", ("Content-Disposition", "render; handling=optional"));
    sim.takes(GATEWAY, "SIP/2.0 100");
}

#[test]
fn a_copy_of_a_refused_invite_rings_nobody_when_there_is_room_again() {
    let behind = [Input::Waited(Duration::from_millis(80)), Input::Waited(Duration::ZERO)];
    let refuses = |yes| Input::Command(OperatorCommand::RefuseCalls(yes));
    for [full, free] in [behind, [refuses(true), refuses(false)]] {
        let mut sim = Sim::new();
        sim.world.uas.remove(GATEWAY);
        let (id, shown) = sim.fresh();
        let msg = invite(GATEWAY, SALES, &shown, id).with_sdp(&offer_of(GATEWAY));
        sim.world.engine_takes(full);
        sim.sends(GATEWAY, &msg);
        sim.takes(GATEWAY, "SIP/2.0 503");
        sim.world.engine_takes(free);
        sim.sends(GATEWAY, &msg);
        sim.takes(GATEWAY, "SIP/2.0 503");
        assert!(sim.find("sato").is_none(), "the phone of a caller who has gone rings");
        assert_eq!(sim.ends(), []);
    }
}

#[test]
fn an_engine_that_is_behind_refuses_new_calls_and_serves_the_running_ones() {
    let mut sim = Sim::new();
    let running = sim.call(SALES).rings(&["sato"]).answered_by("sato").at;
    let behind = |sim: &mut Sim| sim.world.engine_takes(Input::Waited(Duration::from_millis(80)));
    let before = sim.world.engine.counters().transactions;
    behind(&mut sim);
    let refused = sim.call(SALES).gets(503, None);
    let retry = refused.caller().facts.finally.as_ref().unwrap().header("Retry-After").to_owned();
    assert!((1..=4).contains(&retry.parse().unwrap()), "{retry}");
    assert_eq!(sim.world.engine.counters().transactions, before, "nothing is kept of it");
    assert_eq!(sim.world.engine.counters().refused_overload, 1);
    behind(&mut sim);
    sim.world.at(GATEWAY, |ua, out| ua.sessions[running].acts(&Act::Describe("sendonly"), out));
    sim.world.run(Duration::from_millis(100));
    behind(&mut sim);
    sim.world.at(GATEWAY, |ua, out| ua.sessions[running].acts(&Act::Bye, out));
    sim.world.run(secs(70));
    assert_eq!(sim.world.cdrs.len(), 1, "nothing of the refused call is recorded");
    sim.call(SALES).rings(&["sato"]).answered_by("sato").caller_hangs_up();
}

#[test]
fn a_full_memory_refuses_new_calls_until_one_is_over() {
    let mut sim = Sim::new();
    sim.world.limited(&provisioning(), Limits { calls: 1, transactions: 1_000 });
    let first = sim.call(SALES).rings(&["sato"]).at;
    sim.call(SALES).gets(503, None);
    sim.world.at(GATEWAY, |ua, out| ua.sessions[first].acts(&Act::Cancel, out));
    sim.world.run(secs(70));
    sim.call(SALES).rings(&["sato"]).gives_up();
}

#[test]
fn a_phone_that_moved_is_rung_where_it_is_now_by_its_path() {
    let mut sim = Sim::new();
    sim.registered(DESK_PHONE, "201");
    let moved = "198.51.100.99:1024";
    let (id, _) = sim.fresh();
    let at = |number: u64| {
        // The same phone by its Call-ID and contact, from another place.
        let mut msg = register(DESK_PHONE, "201", number, 600);
        msg.set("Via", &format!("SIP/2.0/UDP {DESK_PHONE};branch=z9hG4bKmoved{number};rport"));
        msg.with("Path", "<sip:edge.example;lr>").with("Supported", "path")
    };
    sim.sends(moved, &at(100 + id));
    let refusal = sim.takes(moved, "SIP/2.0 401");
    let mut second = at(101 + id);
    second
        .add("Authorization", &proof(&second, &refusal, ("201", &password("201")), Algorithm::Md5));
    sim.sends(moved, &second);
    let answer = sim.takes(moved, "SIP/2.0 200");
    assert_eq!(answer.header("Path"), "<sip:edge.example;lr>");
    assert_eq!(sim.world.engine.counters().registrations, 1);
    let msg = invite(GATEWAY, crate::office::DESK, "0399900002", 77).with_sdp(&offer_of(GATEWAY));
    sim.place(GATEWAY, msg, Quirks::default());
    let rung = sim.takes(moved, "INVITE");
    assert_eq!(rung.header("Route"), "<sip:edge.example;lr>");
    assert!(sim.find("201").is_none(), "not where it was");
    sim.world.run(Duration::from_secs(1));
}

#[test]
fn names_that_are_told_on_have_no_control_characters_and_nothing_told_has_a_password() {
    let mut sim = Sim::new();
    sim.sends(STRANGER, &register(STRANGER, "201", 2, 600));
    let refusal = sim.takes(STRANGER, "SIP/2.0 401");
    let mut guess = register(STRANGER, "201", 3, 600);
    let secret = password("201");
    let line = proof(&guess, &refusal, ("201", "guess"), Algorithm::Md5);
    guess.add("Authorization", &line.replace("\"201\"", "\"20\u{1b}[2J\u{7f}1\""));
    sim.sends(STRANGER, &guess);
    sim.registered(DESK_PHONE, "201");
    sim.call(SALES).rings(&["sato"]).answered_by("sato").caller_hangs_up();
    let told = format!("{:?}", sim.world.events);
    assert!(!told.contains(&secret) && !told.contains("\\u{1b}"), "{told}");
    let mut office = provisioning();
    let account = |user: &str| AuthInSpec { user: user.into(), password: Secret::new(&*secret) };
    office.trunks[0].relation.auth_in = Some(account("gateway"));
    office.trunks[0].relation.auth =
        Some(AuthSpec { user: "tensou".into(), password: Secret::new(&*secret), realm: None });
    let compiled = Snapshot::compile(1, &office).unwrap();
    for shown in [format!("{office:?}"), format!("{compiled:?}")] {
        assert!(shown.contains("***") && !shown.contains("secret-of-"), "{shown}");
    }
}

#[test]
fn forged_answers_and_byes_with_guessed_tokens_change_nothing() {
    let mut sim = Sim::new();
    let call = sim.call(SALES).rings(&["sato", "suzuki"]);
    let ringing = call.sim.leg("sato").invite.clone();
    let branch = ringing.branch().to_owned();
    let guess = branch.char_indices().rev().take(3).map(|(at, _)| at);
    for at in guess {
        let other = if branch.as_bytes()[at] == b'0' { "1" } else { "0" };
        let mut forged = Msg::answer(&ringing, 200, &format!("{};tag=evil", ringing.header("To")));
        let via = ringing.header("Via").replace(&branch, &{
            let mut guessed = branch.clone();
            guessed.replace_range(at..=at, other);
            guessed
        });
        forged.set("Via", &via);
        forged.add("Contact", &format!("<sip:evil@{STRANGER}>"));
        call.sim.sends(STRANGER, &forged.with_sdp(&offer_of(STRANGER)));
    }
    assert_eq!(call.sim.world.engine.counters().sip_stray_responses, 3);
    assert!(call.caller().facts.finally.is_none(), "the call was answered by a stranger");
    let call = call.answered_by("sato");
    let (ours, theirs) = (call.caller().remote.clone(), call.caller().local.clone());
    for (to, from) in [
        (ours.replace("tag=0", "tag=1"), theirs.clone()),
        (ours.clone(), theirs.replace("tag=c", "tag=d")),
        (format!("{}0", &ours[..ours.len() - 1]), theirs.clone()),
    ] {
        let mut bye = invite(STRANGER, SALES, "1", 7_001);
        bye.start = bye.start.replace("INVITE", "BYE");
        bye.set("Via", &format!("SIP/2.0/UDP {STRANGER};branch=z9hG4bK{}", to.len() + from.len()));
        bye.set("CSeq", "99 BYE");
        bye.set("Call-ID", call.caller().invite.call_id());
        bye.set("To", &to);
        bye.set("From", &from);
        if to != ours || from != theirs {
            call.sim.sends(STRANGER, &bye);
        }
    }
    silent(call.sim);
    let cdr = call.waits(secs(10)).caller_hangs_up();
    assert!((10..11).contains(&cdr.duration.as_secs()), "{:?}", cdr.duration);
}
