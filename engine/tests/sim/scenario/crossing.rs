//! Messages that cross, come late, or change what a dialog goes by.

use tensou_engine::{CallResult, EndedBy};

use crate::office::{CARRIER, CARRIER_2, DIRECT, GATEWAY, NIGHT, SALES};
use crate::session::{Skills, State};
use crate::sim::{Call, MOMENT, Sim, invite, offer_of, secs, within};
use crate::text::{Msg, sdp};
use crate::ua::{Act, Quirks};

/// Another port of the gateway, where nobody answers by himself.
const LINE: &str = "192.0.2.1:6000";

fn talks(sim: &mut Sim) -> Call<'_> {
    sim.call(DIRECT).rings(&["sato"]).answered_by("sato")
}

/// An offer of the caller that is not its first one.
fn changed() -> String {
    sdp("192.0.2.1", 30_000, 2, "sendrecv")
}

/// The requests within the dialog that sato was asked, by method.
fn asked<'a>(call: &'a Call<'_>, method: &str) -> Vec<&'a Msg> {
    call.sim.leg("sato").facts.asked.iter().filter(|msg| msg.method() == method).collect()
}

/// RFC 3261 12.1.1 and 12.2.1.1: the routes of the caller, in its order.
#[test]
fn the_callers_record_routes_are_copied_and_requests_to_it_go_by_them() {
    let outer = format!("<sip:{LINE};LR;x=1>");
    let inner = "<sip:10.9.9.8:5070;lr>";
    for strict in [false, true] {
        let first = if strict { format!("<sip:{LINE}>") } else { outer.clone() };
        let mut sim = Sim::new();
        let (id, shown) = sim.fresh();
        let mut msg = invite(GATEWAY, DIRECT, &shown, id).with_sdp(&offer_of(GATEWAY));
        msg.add("Record-Route", &format!("{first}, {inner}"));
        let call = sim.place(GATEWAY, msg, Quirks::default()).rings(&["sato"]).answered_by("sato");
        for answer in ["SIP/2.0 180", "SIP/2.0 200"] {
            let told = call.sim.last(GATEWAY, answer);
            let routes = told.all("Record-Route").collect::<Vec<_>>().join(", ");
            assert_eq!(routes, format!("{first}, {inner}"), "{answer}");
            assert!(told.contact().unwrap().contains("192.0.2.10:5060"), "{answer}");
        }
        let call = call.then("sato", Act::Bye);
        let bye = call.sim.takes(LINE, "BYE");
        let routes: Vec<&str> = bye.all("Route").collect();
        let target = "sip:line@192.0.2.1:5060";
        if strict {
            assert_eq!(bye.uri(), format!("sip:{LINE}"));
            assert_eq!(routes, [inner, &format!("<{target}>")]);
        } else {
            assert_eq!(bye.uri(), target);
            assert_eq!(routes, [&*first, inner]);
        }
        // By hand, for nobody lives at the proxy.
        let ok = Msg::answer(&bye, 200, bye.header("To"));
        call.sim.sends(LINE, &ok);
        let at = call.at;
        call.sim.world.uas.get_mut(GATEWAY).unwrap().sessions[at].state = State::Ended;
        assert_eq!(call.over().ended_by, EndedBy::Callee);
    }
}

/// RFC 6141 3.4 and RFC 3311 5.1: a refused offer leaves the session, and the target has moved.
#[test]
fn a_party_that_moves_is_reached_where_it_is_though_its_offer_is_refused() {
    for (method, status) in [("INVITE", 200), ("INVITE", 488), ("UPDATE", 200), ("UPDATE", 488)] {
        let mut sim = Sim::new();
        let call = talks(&mut sim);
        let before = call.sim.world.relay.remotes.clone();
        call.sim.quirks("sato").skills.refuses_once = (status == 488).then_some(488);
        let mut moved = within(call.caller(), method, 8);
        moved.set("Contact", &format!("<sip:line@{LINE};transport=UDP>"));
        call.sim.sends(GATEWAY, &moved.with_sdp(&changed()));
        let answer = call.sim.last(GATEWAY, &format!("SIP/2.0 {status}"));
        assert_eq!(answer.method(), method);
        if (method, status) == ("INVITE", 200) {
            let ack = within(call.caller(), "ACK", 8);
            call.sim.sends(GATEWAY, &ack);
        }
        if status == 488 {
            assert_eq!(call.sim.world.relay.remotes, before);
        }
        let call = call.then("sato", Act::Bye);
        let bye = call.sim.takes(LINE, "BYE");
        assert_eq!(bye.uri(), format!("sip:line@{LINE};transport=UDP"));
        call.sim.sends(LINE, &Msg::answer(&bye, 200, bye.header("To")));
        let at = call.at;
        call.sim.world.uas.get_mut(GATEWAY).unwrap().sessions[at].state = State::Ended;
        call.over();
    }
}

/// RFC 3261 14.2 and RFC 3311 5.2.
#[test]
fn an_offer_before_the_last_one_is_answered_may_come_again_within_ten_seconds() {
    for (first, second) in
        [("INVITE", "INVITE"), ("UPDATE", "UPDATE"), ("INVITE", "UPDATE"), ("UPDATE", "INVITE")]
    {
        let mut sim = Sim::new();
        let call = talks(&mut sim);
        call.sim.quirks("sato").skills.update = true;
        let call = call.then("sato", Act::Vanish);
        for (number, method) in [(8, first), (9, second)] {
            let offer = within(call.caller(), method, number).with_sdp(&changed());
            call.sim.sends(GATEWAY, &offer.clone());
        }
        let refusal = call.sim.last(GATEWAY, "SIP/2.0 500");
        assert_eq!(refusal.header("CSeq"), format!("9 {second}"));
        let wait: u32 = refusal.header("Retry-After").parse().unwrap();
        assert!(wait <= 10, "{wait}");
        // RFC 3261 12.2.1.2: the far end is dead, and so is the call.
        let call = call.waits(secs(33));
        let answer = call.sim.last(GATEWAY, "SIP/2.0 408");
        assert_eq!(answer.header("CSeq"), format!("8 {first}"));
        assert!(call.caller().facts.bye_heard.is_some());
        let cdr = call.over();
        assert_eq!((cdr.result, cdr.ended_by), (CallResult::Answered, EndedBy::Callee));
    }
}

/// RFC 3311 5.2.
#[test]
fn two_updates_at_once_are_both_answered_and_one_is_491() {
    for early in [true, false] {
        let mut sim = Sim::new();
        let (id, shown) = sim.fresh();
        let mut msg = invite(GATEWAY, DIRECT, &shown, id).with_sdp(&offer_of(GATEWAY));
        msg.add("Supported", "100rel");
        msg.add("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE, PRACK");
        let skills = Skills { pracks: true, update: true, ..Skills::default() };
        let call = sim.place(GATEWAY, msg, Quirks { skills, ..Quirks::default() });
        call.sim.quirks("sato").skills.update = true;
        let mut call = call.then("sato", Act::RingReliably(183, true)).waits(secs(1));
        if !early {
            call = call.answered_by("sato");
        }
        let world = &mut call.sim.world;
        world.at(CARRIER, |ua, out| ua.sessions[0].acts(&Act::Update("sendonly"), out));
        world.at(GATEWAY, |ua, out| ua.sessions[0].acts(&Act::Update("sendonly"), out));
        let call = call.waits(secs(1));
        let of = |answers: &[(String, u16, String)]| {
            answers.iter().rfind(|one| one.0 == "UPDATE").map(|one| one.1).unwrap()
        };
        let near = of(&call.caller().facts.answers);
        let mut statuses = [near, of(&call.sim.leg("sato").facts.answers)];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 491], "early: {early}");
        if early {
            call.answered_by("sato").caller_hangs_up()
        } else {
            call.caller_hangs_up()
        };
    }
}

/// RFC 3261 14.1: the Call-ID of the caller's leg is the caller's.
#[test]
fn a_renewal_for_the_caller_that_crosses_is_tried_again_within_two_seconds() {
    let mut sim = Sim::new();
    let (id, shown) = sim.fresh();
    let mut msg = invite(GATEWAY, DIRECT, &shown, id).with_sdp(&offer_of(GATEWAY));
    msg.add("Supported", "timer");
    msg.add("Session-Expires", "300;refresher=uas");
    msg.add("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE");
    let skills = Skills {
        update: true,
        session: Some((300, "uas")),
        refuses_once: Some(491),
        ..Skills::default()
    };
    let call = sim.place(GATEWAY, msg, Quirks { skills, ..Quirks::default() });
    let call = call.rings(&["sato"]).answered_by("sato").waits(secs(155));
    let sent = call.sim.sent(GATEWAY, "UPDATE");
    let wait = (sent[1].at - sent[0].at) / 1_000;
    assert!(sent.len() == 2 && wait < 2_100, "{wait} ms");
    call.hung_up_by("sato");
}

/// The answer to a late offer goes all the way.
#[test]
fn the_answer_in_an_ack_reaches_the_far_ends_ack() {
    let mut sim = Sim::new();
    let call = talks(&mut sim).acts(Act::OfferlessInvite);
    assert_eq!(asked(&call, "INVITE")[0].body, "");
    let sent = call.sim.sent(CARRIER, "ACK");
    let ack = &sent.last().unwrap().msg;
    assert_eq!(ack.cseq(), asked(&call, "INVITE")[0].cseq());
    assert!(ack.body.contains("c=IN IP4 192.0.2.10") && ack.body.contains("m=audio"), "{ack:?}");
    assert!(call.sim.leg("sato").is_acknowledged());
    call.caller_hangs_up();
}

/// RFC 3261 9.1: the caller has given up, and a callee answers all the same.
#[test]
fn a_200_that_crosses_the_callers_cancel_is_ended_and_costs_the_caller_nothing() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]);
    call.sim.quirks("sato").deaf_to_cancel = true;
    let call = call.acts(Act::Cancel).gets(487, Some(16)).then("sato", Act::Answer);
    let sato = call.sim.leg("sato");
    assert_eq!(sato.state, State::Ended);
    assert!(sato.facts.acked.is_some() && sato.facts.bye_heard.is_some());
    let cdr = call.over();
    assert_eq!((cdr.result, cdr.duration.as_micros()), (CallResult::Cancelled, 0));
    assert_eq!((cdr.answered_at, cdr.legs[0].answered_at), (None, None));
    assert_eq!(cdr.legs[0].sip_status, 200, "the record knows that it crossed");
}

#[test]
fn a_member_whose_time_was_up_and_who_answers_late_is_ended_and_the_next_rings_on() {
    let mut sim = Sim::new();
    let call = sim.call(NIGHT).rings(&["sato"]);
    call.sim.quirks("sato").deaf_to_cancel = true;
    let call = call.waits(secs(13)).rings(&["suzuki"]).then("sato", Act::Answer);
    let sato = call.sim.leg("sato");
    assert!(sato.facts.cancel.is_some() && sato.facts.acked.is_some());
    assert_eq!((sato.state, sato.facts.bye_heard.is_some()), (State::Ended, true));
    let cdr = call.answered_by("suzuki").caller_hangs_up();
    assert_eq!(cdr.answered_by.unwrap().as_str(), "suzuki");
}

/// RFC 3261 15: a caller may end its early dialog with BYE.
#[test]
fn a_caller_who_leaves_by_cancel_or_bye_ends_every_branch_at_once() {
    for bye in [true, false] {
        let mut sim = Sim::new();
        let call = sim.call(SALES).rings(&["sato", "suzuki"]).waits(secs(2));
        let began = call.sim.world.now;
        let call = if bye {
            let progress = call.caller().facts.last_progress.clone().unwrap();
            let mut bye = within(call.caller(), "BYE", 8);
            bye.start = format!("BYE {} SIP/2.0", progress.contact().unwrap());
            bye.set("To", progress.header("To"));
            call.sim.sends(GATEWAY, &bye);
            assert_eq!(call.sim.last(GATEWAY, "SIP/2.0 200").method(), "BYE");
            call
        } else {
            call.acts(Act::Cancel)
        };
        let cancels = call.sim.sent(CARRIER, "CANCEL");
        assert_eq!(cancels.len(), 2);
        assert!(cancels.iter().all(|sent| sent.at - began < 100_000), "{cancels:?}");
        let call = call.gets(487, Some(16));
        let cdr = call.over();
        assert_eq!((cdr.result, cdr.ended_by), (CallResult::Cancelled, EndedBy::Caller));
    }
}

#[test]
fn both_who_hang_up_at_once_are_both_answered_200() {
    let mut sim = Sim::new();
    let call = talks(&mut sim).waits(secs(5));
    let world = &mut call.sim.world;
    world.at(CARRIER, |ua, out| ua.sessions[0].acts(&Act::Bye, out));
    world.at(GATEWAY, |ua, out| ua.sessions[0].acts(&Act::Bye, out));
    let call = call.waits(secs(1));
    for place in [GATEWAY, CARRIER] {
        let session = &call.sim.world.uas[place].sessions[0];
        assert_eq!((session.state, session.facts.bye_status), (State::Ended, Some(200)));
    }
    call.over();
    assert_eq!(sim.world.cdrs.len(), 1);
}

/// RFC 3264 8.4 and what RFC 2543 had before it.
#[test]
fn every_way_to_hold_reaches_the_far_end_as_it_was_said() {
    for (change, told) in [
        (("a=sendrecv", "a=sendonly"), "a=sendonly"),
        (("a=sendrecv", "a=inactive"), "a=inactive"),
        (("a=sendrecv", "a=recvonly"), "a=recvonly"),
        (("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0"), "c=IN IP4 0.0.0.0"),
    ] {
        let mut sim = Sim::new();
        let call = talks(&mut sim);
        let offer = offer_of(GATEWAY).replace(change.0, change.1);
        let hold = within(call.caller(), "INVITE", 8).with_sdp(&offer);
        call.sim.sends(GATEWAY, &hold);
        let ack = within(call.caller(), "ACK", 8);
        call.sim.sends(GATEWAY, &ack);
        let body = asked(&call, "INVITE")[0].body.clone();
        assert!(body.contains(told), "{body}");
        assert!(call.sim.world.relay.watched().is_empty() || told == "a=recvonly", "{told}");
        let version = |sdp: &str| -> u64 {
            sdp.split("o=").nth(1).unwrap().split(' ').nth(2).unwrap().parse().unwrap()
        };
        assert_eq!(version(&body), version(&call.sim.leg("sato").invite.body) + 1);
        call.hung_up_by("sato");
    }
}

/// RFC 3326: why a party leaves is told to the other.
#[test]
fn the_cause_that_a_party_leaves_with_goes_on_to_the_other() {
    let reason = "Q.850;cause=31;text=\"Normal, unspecified\"";
    let mut sim = Sim::new();
    let call = talks(&mut sim);
    let bye = within(call.sim.leg("sato"), "BYE", 1).with("Reason", reason);
    let now = call.sim.world.now;
    let sato = &mut call.sim.world.uas.get_mut(CARRIER).unwrap().sessions[0];
    (sato.state, sato.facts.bye_sent_at) = (State::Ended, Some(now));
    call.sim.sends(CARRIER, &bye);
    let (_, told) = call.caller().facts.bye_heard.clone().unwrap();
    assert_eq!(told.header("Reason"), "Q.850;cause=31");
    assert_eq!(call.over().q850_cause, 31);

    let mut sim = Sim::new();
    let msg = invite(LINE, SALES, "0399990001", 1).with_sdp(&offer_of(LINE));
    sim.sends(LINE, &msg);
    sim.does("sato", Act::Ring(180, false));
    let mut cancel = msg.clone();
    cancel.start = cancel.start.replacen("INVITE", "CANCEL", 1);
    cancel.set("CSeq", "7 CANCEL");
    cancel.headers.retain(|(name, _)| name != "Content-Type");
    cancel.body.clear();
    sim.sends(LINE, &cancel.with("Reason", &format!("SIP;cause=480, {reason}")));
    let told = sim.leg("sato").facts.cancel.clone().unwrap();
    assert_eq!(told.header("Reason"), "Q.850;cause=31");
    assert_eq!(sim.takes(LINE, "SIP/2.0 487").header("Reason"), "Q.850;cause=31");
}

/// RFC 3261 16.7 (6).
#[test]
fn of_two_refusals_the_caller_hears_what_rfc_3261_puts_first() {
    for (one, other, told) in [
        (404, 603, 603),
        (486, 484, 484),
        (404, 420, 420),
        (486, 415, 415),
        (404, 486, 486),
        (486, 501, 486),
        (302, 486, 480),
        (486, 407, 480),
    ] {
        let mut sim = Sim::new();
        let call = sim.call(SALES).rings(&["sato", "suzuki"]);
        let call = call.refused_by("sato", one).refused_by("suzuki", other).gets(told, None);
        call.over();
    }
    // A 503 is that of the carrier, and the caller must not think that it is ours.
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).refused_by("sato", 503).waits(MOMENT);
    assert_eq!(call.sim.find("sato").unwrap().0, CARRIER_2);
    let call = call.refused_by("sato", 503).gets(500, None);
    let refusal = call.caller().facts.finally.clone().unwrap();
    assert_eq!(refusal.get("Retry-After"), None);
    call.over();
}

/// RFC 3261 12.2.1.2 in either direction.
#[test]
fn a_party_that_knows_of_no_call_any_more_ends_it_for_the_other() {
    for (status, ends) in [(481, true), (408, true), (488, false)] {
        let mut sim = Sim::new();
        let call = talks(&mut sim);
        let at = call.at;
        let caller = &mut call.sim.world.uas.get_mut(GATEWAY).unwrap().sessions[at];
        caller.quirks.skills.refuses_once = Some(status);
        let call = call.then("sato", Act::Describe("sendonly"));
        assert_eq!(call.sim.leg("sato").facts.answers[0].1, status);
        assert_eq!(call.sim.leg("sato").facts.bye_heard.is_some(), ends, "after {status}");
        if ends {
            call.acts(Act::Vanish).over();
        } else {
            call.caller_hangs_up();
        }
    }
}
