//! Session timers (RFC 4028) on each leg by itself, and offers that cross.

use std::time::Duration;

use tensou_engine::EndedBy;
use tensou_engine::route::Refresher;

use crate::office::{CARRIER, DIRECT, GATEWAY};
use crate::session::{Skills, State};
use crate::sim::{Call, Sim, invite, offer_of, secs};
use crate::ua::{Act, Quirks};

fn timed(seconds: u32, who: &'static str) -> Skills {
    Skills { session: Some((seconds, who)), renews: true, ..Skills::default() }
}

/// A caller with a session timer.
fn calls<'a>(sim: &'a mut Sim, expires: &str, skills: Skills) -> Call<'a> {
    let (id, shown) = sim.fresh();
    let mut msg = invite(GATEWAY, DIRECT, &shown, id).with_sdp(&offer_of(GATEWAY));
    msg.add("Supported", "timer");
    msg.add("Session-Expires", expires);
    sim.place(GATEWAY, msg, Quirks { skills, ..Quirks::default() })
}

#[test]
fn a_phone_without_session_timers_talks_for_hours() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato").waits(secs(7200));
    assert_eq!((call.caller().state, call.sim.leg("sato").state), (State::Up, State::Up));
    assert!(call.sim.leg("sato").facts.asked.is_empty());
    let ok = call.caller().facts.finally.as_ref().unwrap();
    assert_eq!(ok.get("Session-Expires"), None);
    call.caller_hangs_up();
}

#[test]
fn the_caller_renews_and_the_callee_hears_nothing_of_it() {
    for update in [true, false] {
        let mut sim = Sim::new();
        let call = calls(&mut sim, "300", Skills { update, ..timed(300, "uac") });
        let call = call.rings(&["sato"]).answered_by("sato");
        let ok = call.caller().facts.finally.as_ref().unwrap();
        assert_eq!(ok.header("Session-Expires"), "300;refresher=uac");
        assert_eq!(ok.header("Require"), "timer");
        let call = call.waits(secs(1000));
        assert_eq!((call.caller().state, call.caller().renewals()), (State::Up, 7));
        assert!(call.sim.leg("sato").facts.asked.is_empty(), "no matter of the callee");
        call.caller_hangs_up();
    }
}

#[test]
fn we_renew_for_a_caller_that_leaves_it_to_us_by_update_or_by_invite() {
    for (update, method) in [(true, "UPDATE"), (false, "INVITE")] {
        let mut sim = Sim::new();
        let skills = Skills { update, session: Some((300, "uas")), ..Skills::default() };
        let call = calls(&mut sim, "300;refresher=uas", skills);
        // What it allows is learnt from its INVITE, or from its first answer.
        let call = call.rings(&["sato"]).answered_by("sato").waits(secs(149));
        assert!(call.caller().facts.asked.is_empty());
        let call = call.waits(secs(452));
        let asked = &call.caller().facts.asked;
        assert_eq!(asked.len(), 4);
        assert_eq!(asked.last().unwrap().method(), method);
        assert_eq!(asked[0].header("Session-Expires"), "300;refresher=uac");
        call.hung_up_by("sato");
    }
}

#[test]
fn a_caller_that_does_not_renew_is_hung_up_before_the_end_and_the_callee_too() {
    let mut sim = Sim::new();
    let call = calls(&mut sim, "300;refresher=uac", Skills { renews: false, ..timed(300, "uac") });
    let call = call.rings(&["sato"]).answered_by("sato").waits(secs(267));
    assert_eq!(call.caller().state, State::Up);
    let call = call.waits(secs(2));
    assert!(call.caller().facts.bye_heard.is_some());
    assert!(call.sim.leg("sato").facts.bye_heard.is_some());
    let cdr = call.over();
    assert_eq!((cdr.ended_by, cdr.q850_cause), (EndedBy::System, 102));
    assert_eq!(cdr.duration.as_secs(), 268);
}

#[test]
fn a_callee_that_dies_without_a_word_is_noticed() {
    let mut sim = Sim::with(|office| {
        let timer = &mut office.trunks[1].dialog.session_timer;
        timer.session_expires = secs(200);
    });
    let call = sim.call(DIRECT);
    call.sim.quirks("sato").skills = Skills { update: true, ..timed(200, "uac") };
    assert_eq!(call.sim.leg("sato").invite.header("Session-Expires"), "200");
    let call = call.rings(&["sato"]).answered_by("sato").waits(secs(150));
    assert_eq!(call.sim.leg("sato").facts.asked.len(), 1, "renewed once");
    let call = call.then("sato", Act::Vanish).waits(secs(90));
    assert!(call.caller().facts.bye_heard.is_some());
    let cdr = call.over();
    assert_eq!((cdr.ended_by, cdr.q850_cause), (EndedBy::System, 102));
}

#[test]
fn too_short_a_session_is_422_and_too_short_for_the_callee_is_asked_again() {
    let mut sim = Sim::new();
    let call = calls(&mut sim, "60", Skills::default());
    let refusal = call.caller().facts.finally.clone().unwrap();
    assert_eq!((refusal.status(), refusal.header("Min-SE")), (Some(422), "90"));
    assert!(call.sim.find("sato").is_none());
    assert_eq!(sim.ends(), [], "a matter of settings, no attempt");

    let mut sim = Sim::new();
    let call = sim.call(DIRECT);
    let first = call.sim.leg("sato").invite.clone();
    call.sim.quirks("sato").refusing_with = vec![("Min-SE", "3600")];
    let call = call.then("sato", Act::Reject(422));
    let again = call.sim.leg("sato").invite.clone();
    assert_eq!(again.header("Session-Expires"), "3600");
    assert_eq!(again.header("Min-SE"), "3600");
    assert_eq!((again.call_id(), again.cseq()), (first.call_id(), first.cseq() + 1));
    assert_eq!(again.body, first.body);
    let cdr = call.rings(&["sato"]).answered_by("sato").caller_hangs_up();
    assert_eq!(cdr.legs.len(), 1);
}

#[test]
fn a_trunk_says_who_renews() {
    let mut sim = Sim::with(|office| {
        office.trunks[1].dialog.session_timer.refresher = Refresher::Peer;
        office.trunks[0].dialog.session_timer.refresher = Refresher::Us;
    });
    let call = calls(&mut sim, "300", Skills::default());
    assert_eq!(call.sim.leg("sato").invite.header("Session-Expires"), "1800;refresher=uas");
    let call = call.rings(&["sato"]).answered_by("sato");
    let ok = call.caller().facts.finally.as_ref().unwrap();
    assert_eq!(ok.header("Session-Expires"), "300;refresher=uas");
    call.caller_hangs_up();
}

#[test]
fn a_renewal_that_crosses_is_tried_again_after_the_time_of_the_owner() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT);
    let skills = Skills { update: true, refuses_once: Some(491), ..timed(200, "uac") };
    call.sim.quirks("sato").skills = skills;
    let call = call.rings(&["sato"]).answered_by("sato").waits(secs(101));
    assert_eq!(call.sim.leg("sato").facts.asked.len(), 1);
    // RFC 3261 14.1: the Call-ID is ours, so not before 2.1 s.
    let call = call.waits(secs(1));
    assert_eq!(call.sim.leg("sato").facts.asked.len(), 1);
    let call = call.waits(secs(3));
    assert_eq!(call.sim.leg("sato").facts.asked.len(), 2);
    call.caller_hangs_up();
}

#[test]
fn two_holds_at_once_are_both_told_491_and_the_session_stays() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    let world = &mut call.sim.world;
    world.at(CARRIER, |ua, out| ua.sessions[0].acts(&Act::Describe("sendonly"), out));
    world.at(GATEWAY, |ua, out| ua.sessions[0].acts(&Act::Describe("sendonly"), out));
    let call = call.waits(secs(1));
    let (near, far) = (&call.caller().facts.answers, &call.sim.leg("sato").facts.answers);
    // One of them came first and was passed on; the other met it.
    let mut statuses = [near[0].1, far[0].1];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 491]);
    let call = call.acts(Act::Describe("sendrecv")).then("sato", Act::Describe("sendrecv"));
    assert_eq!(call.caller().facts.answers.last().unwrap().1, 200);
    assert_eq!(call.sim.leg("sato").facts.answers.last().unwrap().1, 200);
    call.caller_hangs_up();
}

#[test]
fn a_hold_that_the_far_end_refuses_with_491_comes_back_as_491() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    call.sim.quirks("sato").skills.refuses_once = Some(491);
    let call = call.acts(Act::Describe("sendonly"));
    assert_eq!(call.caller().facts.answers[0].1, 491);
    let call = call.acts(Act::Describe("sendonly"));
    assert_eq!(call.caller().facts.answers[1].1, 200);
    call.caller_hangs_up();
}

#[test]
fn a_refused_reinvite_leaves_the_session_as_it_was_and_a_dead_dialog_ends_the_call() {
    for (status, ends) in [(488, false), (603, false), (481, true), (408, true)] {
        let mut sim = Sim::new();
        let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
        let before = call.sim.world.relay.remotes.clone();
        call.sim.quirks("sato").skills.refuses_once = Some(status);
        let call = call.acts(Act::Describe("sendonly"));
        assert_eq!(call.caller().facts.answers[0].1, status);
        assert_eq!(call.sim.world.relay.remotes, before, "RFC 6141: nothing has changed");
        let ended = call.caller().facts.bye_heard.is_some();
        assert_eq!(ended, ends, "after {status}");
        if ends {
            // What it says of the dialog, it knows.
            call.then("sato", Act::Vanish).over();
        } else {
            call.caller_hangs_up();
        }
    }
}

#[test]
fn a_second_invite_before_the_first_is_answered_is_told_to_come_again() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    call.sim.quirks("sato").never_agrees = true;
    let call = call.acts(Act::Describe("sendonly")).acts(Act::Describe("sendrecv"));
    let (_, status, _) = call.caller().facts.answers[0].clone();
    assert_eq!(status, 500, "RFC 3261 14.2");
    call.caller_hangs_up();
}

#[test]
fn an_update_is_passed_as_update_or_as_invite_by_what_the_far_end_knows() {
    for (update, method) in [(true, "UPDATE"), (false, "INVITE")] {
        let mut sim = Sim::new();
        let call = sim.call(DIRECT);
        call.sim.quirks("sato").skills.update = update;
        let call = call.rings(&["sato"]).answered_by("sato").acts(Act::Update("sendonly"));
        let call = call.waits(Duration::from_millis(200));
        let asked = call.sim.leg("sato").facts.asked.last().unwrap().clone();
        assert_eq!(asked.method(), method);
        assert!(asked.body.contains("a=sendonly"));
        assert_eq!(call.caller().facts.answers[0].1, 200);
        call.caller_hangs_up();
    }
}

#[test]
fn a_reinvite_right_after_the_bye_is_481() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    let world = &mut call.sim.world;
    world.at(GATEWAY, |ua, out| {
        ua.sessions[0].acts(&Act::Bye, out);
        ua.sessions[0].state = State::Up;
    });
    world.run(Duration::from_millis(1));
    world.at(GATEWAY, |ua, out| ua.sessions[0].acts(&Act::Describe("sendonly"), out));
    let call = call.waits(secs(1));
    assert_eq!(call.caller().facts.answers.last().unwrap().1, 481);
    call.over();
    sim.call(DIRECT).rings(&["sato"]).answered_by("sato").caller_hangs_up();
}

#[test]
fn requests_follow_a_strict_route_and_a_loose_one() {
    for (route, first) in [
        ("<sip:192.0.2.2:5060>", "sip:192.0.2.2:5060"),
        ("<sip:192.0.2.2:5060;lr>", "sip:phone@192.0.2.2:5060"),
    ] {
        let mut sim = Sim::new();
        let call = sim.call(DIRECT).rings(&["sato"]);
        call.sim.quirks("sato").ringing_with = Vec::new();
        call.sim.quirks("sato").answering_with = vec![("Record-Route", route)];
        let call = call.answered_by("sato").acts(Act::Ask("INFO"));
        let info = call.sim.leg("sato").facts.asked.last().unwrap().clone();
        assert_eq!(info.uri(), first);
        // RFC 3261 12.2.1.1: with a strict router the target goes last.
        let last = if route.contains("lr") { route } else { "<sip:phone@192.0.2.2:5060>" };
        assert_eq!(info.header("Route"), last);
        call.caller_hangs_up();
    }
}

#[test]
fn a_callee_that_takes_no_anonymous_calls_says_so_to_the_caller() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).refused_by("sato", 433);
    call.gets(433, Some(21)).over();
}

#[test]
fn options_within_the_call_tell_what_we_know_and_a_notify_is_of_no_subscription() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    let call = call.acts(Act::Ask("OPTIONS")).acts(Act::Ask("NOTIFY")).acts(Act::Ask("SUBSCRIBE"));
    let statuses: Vec<u16> = call.caller().facts.answers.iter().map(|one| one.1).collect();
    assert_eq!(statuses, [200, 481, 405]);
    let call = call.acts(Act::Ask("MESSAGE"));
    assert_eq!(call.sim.leg("sato").facts.asked.last().unwrap().method(), "MESSAGE");
    call.caller_hangs_up();
}
