//! Transfers: by REFER of a phone, blind and attended, by INVITE with Replaces, by an operator;
//! and who may not.

use tensou_engine::{CallResult, Cdr, EndedBy, OperatorCommand};

use crate::office::{CARRIER, DESK, DESK_PHONE, DIRECT, GATEWAY, SALES, SOFT_PHONE, phone_of};
use crate::session::State;
use crate::sim::{Call, Sim, invite, offer_of, secs};
use crate::text::Msg;
use crate::ua::{Act, Quirks};

/// A caller from outside talks with extension 201.
pub(super) fn desk_talks(sim: &mut Sim) -> Call<'_> {
    sim.registered(DESK_PHONE, "201");
    sim.registered(SOFT_PHONE, "202");
    sim.call(DESK).rings(&["201"]).answered_by("201")
}

pub(super) fn refers(to: &str) -> Act {
    Act::Refer(format!("<sip:{to}@pbx.example>"))
}

/// Statuses that the transferor was told by NOTIFY.
fn told(sim: &Sim, who: &str) -> Vec<String> {
    let notifies = sim.leg(who).facts.asked.iter().filter(|msg| msg.method() == "NOTIFY");
    notifies.map(|msg| msg.body.split(' ').nth(1).unwrap_or_default().to_owned()).collect()
}

fn answer_to_refer(sim: &Sim, who: &str) -> u16 {
    let answers = &sim.leg(who).facts.answers;
    answers.iter().find(|one| one.0 == "REFER").expect("an answer to REFER").1
}

fn spans(cdr: &Cdr) -> Vec<(String, i64)> {
    let legs = cdr.legs.iter().filter(|leg| leg.answered_at.is_some());
    legs.map(|leg| {
        let from = leg.answered_at.unwrap().as_unix_micros();
        let span = (leg.ended_at.as_unix_micros() - from) / 1_000_000;
        (leg.destination.as_str().to_owned(), span)
    })
    .collect()
}

#[test]
fn a_phone_transfers_its_caller_to_a_number_and_is_out() {
    let mut sim = Sim::new();
    let call = desk_talks(&mut sim).waits(secs(10)).then("201", refers("08012345678"));
    assert_eq!(answer_to_refer(call.sim, "201"), 202);
    let call = call.rings(&["08012345678"]).then("08012345678", Act::Answer).waits(secs(1));
    assert_eq!(told(call.sim, "201"), ["100", "180", "200"]);
    let last = call.sim.leg("201").facts.asked.last().unwrap().clone();
    assert_eq!(last.header("Subscription-State"), "terminated;reason=noresource");
    assert!(last.header("Event").starts_with("refer;id="));
    assert_eq!(call.sim.leg("201").state, State::Ended);
    // The caller hears of its new partner by a re-INVITE and stays.
    let asked = call.caller().facts.asked.clone();
    assert_eq!(asked.iter().filter(|msg| msg.method() == "INVITE").count(), 1);
    assert_eq!((call.caller().state, call.sim.leg("08012345678").state), (State::Up, State::Up));
    let cdr = call.waits(secs(19)).hung_up_by("08012345678");
    assert_eq!((cdr.result, cdr.ended_by), (CallResult::Answered, EndedBy::Callee));
    assert_eq!(cdr.answered_by.as_ref().unwrap().as_str(), "201");
    let spans = spans(&cdr);
    assert_eq!(spans.len(), 2, "{cdr:?}");
    assert_eq!((spans[0].0.as_str(), spans[0].1), ("201", 10));
    assert_eq!((spans[1].0.as_str(), spans[1].1), ("+818012345678", 20));
    assert_eq!(cdr.duration.as_secs(), 30);
}

#[test]
fn a_phone_that_hangs_up_after_referring_leaves_the_caller_to_the_target() {
    let mut sim = Sim::new();
    let call = desk_talks(&mut sim).then("201", refers("202")).then("201", Act::Bye);
    assert_eq!(call.caller().state, State::Up, "waits for the target");
    let call = call.rings(&["202"]).then("202", Act::Answer).waits(secs(3));
    assert_eq!((call.caller().state, call.sim.leg("202").state), (State::Up, State::Up));
    let cdr = call.caller_hangs_up();
    assert_eq!(cdr.ended_by, EndedBy::Caller);
    assert_eq!(spans(&cdr).len(), 2);
}

#[test]
fn a_target_that_is_busy_leaves_the_call_as_it_was() {
    let mut sim = Sim::new();
    let call = desk_talks(&mut sim).then("201", refers("202")).refused_by("202", 486);
    assert_eq!(told(call.sim, "201"), ["100", "486"]);
    assert_eq!((call.caller().state, call.sim.leg("201").state), (State::Up, State::Up));
    let cdr = call.hung_up_by("201");
    assert_eq!(spans(&cdr).len(), 1);
}

#[test]
fn a_target_that_is_busy_ends_the_call_of_a_transferor_that_has_gone() {
    let mut sim = Sim::new();
    let call = desk_talks(&mut sim).then("201", refers("202")).then("201", Act::Bye);
    let call = call.refused_by("202", 486).waits(secs(1));
    assert!(call.caller().facts.bye_heard.is_some());
    call.over();
}

#[test]
fn a_caller_that_hangs_up_while_the_target_rings_stops_the_ringing() {
    let mut sim = Sim::new();
    let call = desk_talks(&mut sim).then("201", refers("202")).rings(&["202"]).acts(Act::Bye);
    assert!(call.sim.leg("202").facts.cancel.is_some());
    let cdr = call.over();
    assert_eq!(cdr.ended_by, EndedBy::Caller);
}

#[test]
fn a_phone_refers_only_to_what_it_may_call() {
    for (to, status) in [("203", 404), ("nobody", 404), ("*21*090#", 403)] {
        let mut sim = Sim::new();
        let call = desk_talks(&mut sim).then("201", refers(to));
        assert_eq!(answer_to_refer(call.sim, "201"), status, "{to}");
        assert_eq!(call.caller().state, State::Up);
        call.caller_hangs_up();
    }
    // A customer without a number of its own calls nobody outside.
    let mut sim = Sim::with(|office| office.extensions[0].presented = None);
    let call = desk_talks(&mut sim).then("201", refers("08012345678"));
    assert_eq!(answer_to_refer(call.sim, "201"), 403);
    assert!(call.sim.find("08012345678").is_none());
    call.caller_hangs_up();
}

#[test]
fn a_trunk_refers_nowhere_unless_its_setting_allows_it() {
    for allowed in [false, true] {
        let mut sim = Sim::with(|office| office.trunks[1].dialog.transfer = allowed);
        let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
        let call = call.then("sato", refers(phone_of("suzuki")));
        assert_eq!(answer_to_refer(call.sim, "sato"), if allowed { 202 } else { 603 });
        assert_eq!(call.sim.find("suzuki").is_some(), allowed);
        if allowed {
            let call = call.rings(&["suzuki"]).then("suzuki", Act::Answer).waits(secs(1));
            assert_eq!(call.sim.leg("sato").state, State::Ended);
            call.hung_up_by("suzuki");
        } else {
            call.caller_hangs_up();
        }
    }
}

#[test]
fn the_caller_that_is_a_phone_transfers_too() {
    let mut sim = Sim::new();
    sim.registered(DESK_PHONE, "201");
    sim.registered(SOFT_PHONE, "202");
    let msg = crate::scenario::phones::dials(&mut sim, DESK_PHONE, "201", "08012345678");
    let call = sim.place(DESK_PHONE, msg, Quirks::default()).rings(&["08012345678"]);
    let call = call.answered_by("08012345678").waits(secs(5)).acts(refers("202"));
    let call = call.rings_quietly("202").then("202", Act::Answer).waits(secs(5));
    assert_eq!(call.caller().state, State::Ended);
    let (a, b) = (call.sim.leg("202").state, call.sim.leg("08012345678").state);
    assert_eq!((a, b), (State::Up, State::Up));
    let cdr = call.hung_up_by("202");
    // 202 stands on the caller's side.
    assert_eq!(cdr.ended_by, EndedBy::Caller);
    assert_eq!(cdr.answered_by.unwrap().as_str(), "+818012345678");
}

/// The Refer-To that names the dialog of a caller's session.
fn replacing(sim: &Sim, place: &str, at: usize) -> String {
    let session = &sim.world.uas[place].sessions[at];
    let to_tag = crate::text::param(&session.remote, "tag").unwrap();
    format!(
        "{}%3Bto-tag%3D{to_tag}%3Bfrom-tag%3D{}",
        session.call_id.replace('@', "%40"),
        session.local_tag
    )
}

/// Extension 201 talks with a caller, and asks somebody else: their sessions, and the REFER that
/// brings both together.
pub(super) fn desk_asks(sim: &mut Sim) -> (usize, usize, Act) {
    let first = desk_talks(sim).waits(secs(10)).at;
    let msg = crate::scenario::phones::dials(sim, DESK_PHONE, "201", "08012345678");
    let second = sim.place(DESK_PHONE, msg, Quirks::default()).rings(&["08012345678"]);
    let second = second.answered_by("08012345678").waits(secs(5)).at;
    let replaces = replacing(sim, DESK_PHONE, second);
    let refer = format!("<sip:08012345678@pbx.example?Replaces={replaces}>");
    sim.world.uas.get_mut(DESK_PHONE).unwrap().sessions[second].facts.transferred = true;
    (first, second, Act::Refer(refer))
}

#[test]
fn a_phone_brings_its_two_partners_together() {
    let mut sim = Sim::new();
    let (first, second, refer) = desk_asks(&mut sim);
    sim.does("201", refer);
    sim.world.run(secs(2));
    assert_eq!(told(&sim, "201").last().unwrap(), "200");
    let caller = sim.world.uas[GATEWAY].sessions[first].clone();
    let target = sim.leg("08012345678").clone();
    assert_eq!((caller.state, target.state), (State::Up, State::Up));
    assert_eq!(sim.leg("201").state, State::Ended);
    assert_eq!(sim.world.uas[DESK_PHONE].sessions[second].state, State::Ended);
    assert!(caller.facts.asked.iter().any(|msg| msg.method() == "INVITE"));
    assert!(target.facts.asked.iter().any(|msg| msg.method() == "INVITE"));
    // They talk on, and what one does reaches the other.
    sim.world.run(secs(20));
    sim.does("08012345678", Act::Describe("sendonly"));
    let held = &sim.world.uas[GATEWAY].sessions[first].facts.asked.last().unwrap().body;
    assert!(held.contains("a=sendonly"));
    sim.does("08012345678", Act::Bye);
    let cdrs = sim.ends();
    let [call, consultation] = &cdrs[..] else { panic!("{cdrs:?}") };
    let (call, consultation) = match call.trunk_in.is_some() {
        true => (call, consultation),
        false => (consultation, call),
    };
    // Every second of each leg stands in one record.
    assert_eq!(spans(consultation), [("+818012345678".to_owned(), 5)]);
    let spans = spans(call);
    assert_eq!(spans[0], ("201".to_owned(), 15));
    assert_eq!((spans[1].0.as_str(), spans[1].1), ("+818012345678", 22));
    assert_eq!(call.ended_by, EndedBy::Callee);
}

#[test]
fn a_partner_whose_agreement_to_be_held_comes_again_after_the_transfer_talks_on() {
    let mut sim = Sim::new();
    let (_, second, refer) = desk_asks(&mut sim);
    sim.world.at(DESK_PHONE, |ua, out| ua.sessions[second].acts(&Act::Describe("sendonly"), out));
    sim.world.run(secs(1));
    let target = sim.leg("08012345678");
    let place = target.place.clone();
    let mut agreed = Msg::answer(&target.facts.asked[0], 200, &target.local);
    agreed.add("Contact", &format!("<sip:phone@{place}>"));
    sim.does("201", refer);
    // The call by which it was held is over and forgotten.
    sim.world.run(secs(10));
    let acks = sim.sent(&place, "ACK").len();
    sim.sends(&place, &agreed);
    sim.world.run(secs(1));
    assert_eq!(sim.sent(&place, "ACK").len(), acks + 1);
    assert_eq!(sim.leg("08012345678").state, State::Up);
    sim.does("08012345678", Act::Bye);
    sim.ends();
}

#[test]
fn a_dialog_that_is_unknown_or_anothers_is_not_replaced() {
    let mut sim = Sim::new();
    let call = desk_talks(&mut sim);
    let unknown = "<sip:x@pbx.example?Replaces=nobody%3Bto-tag%3D1%3Bfrom-tag%3D2>";
    call.sim.does("201", Act::Refer(unknown.to_owned()));
    assert_eq!(told(call.sim, "201").last().unwrap(), "481");
    // The dialog of the caller with us is not one of the phone's.
    let replaces = replacing(call.sim, GATEWAY, call.at);
    let call = call.then("201", Act::Refer(format!("<sip:x@pbx.example?Replaces={replaces}>")));
    assert_eq!(told(call.sim, "201").last().unwrap(), "481");
    assert_eq!((call.caller().state, call.sim.leg("201").state), (State::Up, State::Up));
    call.caller_hangs_up();
}

#[test]
fn an_invite_with_replaces_takes_over_where_it_is_allowed() {
    for allowed in [false, true] {
        let mut sim = Sim::with(|office| office.trunks[0].dialog.transfer = allowed);
        let call = sim.call(SALES).rings(&["sato"]).answered_by("sato").waits(secs(10));
        let replaces =
            replacing(call.sim, GATEWAY, call.at).replace("%3B", ";").replace("%3D", "=");
        let replaces = replaces.replace("%40", "@");
        let (id, shown) = call.sim.fresh();
        let mut msg = invite(GATEWAY, SALES, &shown, id).with_sdp(&offer_of(GATEWAY));
        msg.add("Require", "replaces");
        msg.add("Replaces", &replaces);
        let first = call.at;
        let second = call.sim.place(GATEWAY, msg, Quirks::default());
        if !allowed {
            second.gets(603, None);
            let old = &sim.world.uas[GATEWAY].sessions[first];
            assert_eq!(old.state, State::Up);
            sim.world.at(GATEWAY, |ua, out| ua.sessions[first].acts(&Act::Bye, out));
            assert_eq!(sim.ends().len(), 1);
            continue;
        }
        assert_eq!(second.caller().state, State::Up);
        assert_eq!(second.sim.world.uas[GATEWAY].sessions[first].state, State::Ended);
        let cdr = second.waits(secs(5)).hung_up_by("sato");
        assert_eq!((cdr.duration.as_secs(), cdr.ended_by), (15, EndedBy::Callee));
        assert_eq!(sim.world.cdrs.len(), 1, "one attempt, one record");
    }
}

#[test]
fn replaces_of_an_unknown_dialog_is_481() {
    let mut sim = Sim::with(|office| office.trunks[0].dialog.transfer = true);
    let mut msg = invite(GATEWAY, SALES, "0399990001", 1).with_sdp(&offer_of(GATEWAY));
    msg.add("Replaces", "nobody;to-tag=1;from-tag=2");
    sim.place(GATEWAY, msg, Quirks::default()).gets(481, None);
    assert_eq!(sim.ends(), []);
}

#[test]
fn an_operator_moves_a_caller_to_another_phone() {
    let mut sim = Sim::new();
    let call = desk_talks(&mut sim);
    let id = call.sim.world.calls_started().pop().unwrap();
    call.sim.command(OperatorCommand::Transfer { call: id, to: "202".into() });
    let call = call.rings(&["202"]).then("202", Act::Answer).waits(secs(1));
    assert_eq!(call.sim.leg("201").state, State::Ended);
    assert_eq!((call.caller().state, call.sim.leg("202").state), (State::Up, State::Up));
    call.hung_up_by("202");

    let mut sim = Sim::new();
    let call = desk_talks(&mut sim);
    let id = call.sim.world.calls_started().pop().unwrap();
    call.sim.command(OperatorCommand::Transfer { call: id, to: "203".into() });
    assert_eq!((call.caller().state, call.sim.leg("201").state), (State::Up, State::Up));
    call.hung_up_by("201");
}

#[test]
fn a_refer_outside_any_call_is_refused() {
    let mut sim = Sim::new();
    sim.world.uas.remove(GATEWAY);
    let mut msg = invite(GATEWAY, SALES, "0399990001", 1);
    msg.start = msg.start.replace("INVITE", "REFER");
    msg.set("CSeq", "7 REFER");
    msg.add("Refer-To", "<sip:0312345678@192.0.2.10>");
    sim.sends(GATEWAY, &msg);
    let refusal: Msg = sim.takes(GATEWAY, "SIP/2.0 4");
    assert!(matches!(refusal.status(), Some(403 | 405 | 481)), "{refusal:?}");
    assert!(sim.world.uas.contains_key(CARRIER));
}
