//! Calls that come back to where they have been.

use tensou_engine::route::{DestinationKind, IdentityPolicy, Presented};

use crate::office::{CARRIER, DIRECT, GATEWAY, number};
use crate::sim::{Sim, invite, offer_of};
use crate::text::Msg;
use crate::ua::Quirks;

/// A call from the gateway with these headers.
fn arriving(sim: &mut Sim, change: impl FnOnce(&mut Msg)) -> (Option<u16>, usize) {
    let (id, _) = sim.fresh();
    let mut msg = invite(GATEWAY, DIRECT, "0399998888", id).with_sdp(&offer_of(GATEWAY));
    change(&mut msg);
    let call = sim.place(GATEWAY, msg, Quirks::default());
    let status = call.caller().facts.finally.as_ref().and_then(Msg::status);
    let legs = call.sim.ends().pop().map_or(0, |cdr| cdr.legs.len());
    (status, legs)
}

#[test]
fn a_did_that_has_redirected_the_call_before_is_a_loop() {
    for (name, value) in [
        (
            "Diversion",
            "<sip:0344445555@h>;reason=no-answer, <sip:0311112224@h>;reason=unconditional",
        ),
        ("Diversion", "<tel:+81311112224>;reason=user-busy"),
        ("History-Info", "<sip:0311112224@h>;index=1,<sip:0344445555@h;cause=302>;index=1.1"),
    ] {
        let found = arriving(&mut Sim::new(), |msg| msg.add(name, value));
        assert_eq!(found, (Some(482), 0), "{name}: {value}");
    }
}

#[test]
fn a_call_redirected_more_often_than_the_trunk_allows_is_a_loop() {
    let diversion = |counter| format!("<sip:0344445555@h>;reason=unconditional;counter={counter}");
    for (most, counter, refused) in [(5, 5, false), (5, 6, true), (1, 2, true), (70, 69, false)] {
        let mut sim = Sim::with(|office| office.trunks[0].max_redirections = most);
        let (status, legs) = arriving(&mut sim, |msg| msg.add("Diversion", &diversion(counter)));
        assert_eq!((status == Some(482), legs == 0), (refused, refused), "{most} {counter}");
    }
    let entries = "<sip:0344445555@h;cause=302>;index=1,".repeat(8);
    let entries = entries.trim_end_matches(',').to_owned();
    let found = arriving(&mut Sim::new(), |msg| msg.add("History-Info", &entries));
    assert_eq!(found, (Some(482), 0));
}

#[test]
fn a_forwarded_call_that_a_trunk_brings_back_shows_our_did_and_is_a_loop() {
    let mut sim = Sim::new();
    let msg = invite(GATEWAY, DIRECT, DIRECT, 1).with_sdp(&offer_of(GATEWAY));
    let cdr = sim.place(GATEWAY, msg, Quirks::default()).gets(482, Some(25)).over();
    assert_eq!(cdr.legs, []);
}

#[test]
fn our_own_invite_sent_back_is_answered_482_and_the_call_goes_on() {
    let mut sim = Sim::new();
    let call = sim.call(DIRECT).rings(&["sato"]);
    let mut back = call.sim.leg("sato").invite.clone();
    back.start = format!("INVITE sip:{DIRECT}@192.0.2.10 SIP/2.0");
    back.headers.retain(|(name, _)| name != "Content-Length");
    let via = back.header("Via").to_owned();
    back.set("Via", &format!("SIP/2.0/UDP {CARRIER};branch=z9hG4bKproxy"));
    back.add("Via", &via);
    let returned = call.sim.place(CARRIER, back, Quirks::default()).gets(482, Some(25));
    let sim = returned.sim;
    sim.does("sato", crate::ua::Act::Answer);
    assert_eq!(sim.leg("sato").state, crate::session::State::Up);
    sim.does("sato", crate::ua::Act::Bye);
    let records = sim.ends();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|cdr| cdr.legs.len() <= 1));
}

#[test]
fn a_did_that_forwards_to_its_own_number_rings_nobody() {
    let mut sim = Sim::with(|office| {
        office.destinations[0].kind = DestinationKind::Number(number(DIRECT));
    });
    let cdr = sim.call(DIRECT).gets(482, None).over();
    assert_eq!(cdr.legs, []);
}

#[test]
fn a_circle_through_a_network_that_tells_nothing_ends_after_two_legs() {
    // Forwarded over an ISDN line the call has neither Diversion nor the caller's number; the
    // number it is forwarded to sends it back to the DID.
    let mut sim = Sim::with(|office| {
        office.trunks[1].identity = IdentityPolicy {
            from: Presented::Did,
            asserted: Presented::None,
            diversion: false,
            ..IdentityPolicy::default()
        };
    });
    sim.call(DIRECT).rings(&["sato"]);
    let shown = crate::text::user_of(sim.leg("sato").invite.header("From")).to_owned();
    let back = invite(GATEWAY, DIRECT, &shown, 77).with_sdp(&offer_of(GATEWAY));
    sim.place(GATEWAY, back, Quirks::default()).gets(482, None);
    let legs: usize = sim.ends().iter().map(|cdr| cdr.legs.len()).sum();
    assert!(legs <= 2, "{legs}");
}

#[test]
fn hops_are_counted_down_across_the_node_and_end_with_483() {
    for hops in ["1", "0"] {
        let mut sim = Sim::new();
        let (id, _) = sim.fresh();
        let mut msg = invite(GATEWAY, DIRECT, "0399998888", id).with_sdp(&offer_of(GATEWAY));
        msg.set("Max-Forwards", hops);
        let call = sim.place(GATEWAY, msg, Quirks::default());
        if hops == "0" {
            call.gets(483, None).nobody_rings("sato").over();
        } else {
            let call = call.rings(&["sato"]);
            assert_eq!(call.sim.leg("sato").invite.header("Max-Forwards"), "0");
            call.gives_up();
        }
    }
}
