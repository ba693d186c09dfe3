//! Calls that somebody else would pay for: no leg leaves.

use tensou_engine::UnknownPeer;

use crate::office::{DESK_PHONE, GATEWAY};
use crate::sim::{Sim, invite, offer_of};
use crate::text::Msg;
use crate::ua::Quirks;

const STRANGER: &str = "203.0.113.66:5060";
/// Numbers abroad and premium ones, in every spelling that scanners try.
const DIALLED: [&str; 9] = [
    "sip:+12025550123@192.0.2.10",
    "sip:0012025550123@192.0.2.10",
    "sip:01012025550123@192.0.2.10",
    "sip:01112025550123@192.0.2.10",
    "sip:900012025550123@192.0.2.10",
    "tel:+12025550123",
    "sip:0990123456@203.0.113.99",
    "sip:09000001111@192.0.2.10;maddr=203.0.113.99",
    "sips:+12025550123@192.0.2.10",
];

fn calling(place: &str, uri: &str, id: u64) -> Msg {
    let mut msg = invite(place, "x", "0399998888", id).with_sdp(&offer_of(place));
    msg.start = format!("INVITE {uri} SIP/2.0");
    msg.set("To", &format!("<{uri}>"));
    msg.add("Route", "<sip:203.0.113.99;lr>");
    msg
}

/// Legs that left, to anywhere.
fn legs(sim: &Sim) -> usize {
    sim.world.cdrs.iter().map(|cdr| cdr.legs.len()).sum()
}

#[test]
fn a_stranger_calls_nobody_however_it_spells_the_number() {
    for unknown in [UnknownPeer::Drop, UnknownPeer::Forbid] {
        let mut sim = Sim::guarded(unknown, |_| {});
        for (at, uri) in (0..).zip(DIALLED) {
            sim.sends(STRANGER, &calling(STRANGER, uri, at));
        }
        let answers = sim.world.inbox.drain(..).collect::<Vec<_>>();
        assert!(answers.iter().all(|(place, msg)| place == STRANGER && msg.status() == Some(403)));
        assert_eq!(answers.is_empty(), unknown == UnknownPeer::Drop);
        sim.ends();
        assert_eq!((legs(&sim), sim.world.cdrs.len()), (0, 0));
    }
}

#[test]
fn a_registered_phones_address_without_its_password_calls_nobody() {
    let mut sim = Sim::new();
    sim.registered(DESK_PHONE, "201");
    for (at, uri) in (0..).zip(DIALLED) {
        let msg = calling(DESK_PHONE, uri, at);
        let call = sim.place(DESK_PHONE, msg, Quirks::default());
        let status = call.caller().facts.finally.as_ref().and_then(Msg::status);
        assert_eq!(status, Some(401), "{uri}");
    }
    sim.ends();
    assert_eq!((legs(&sim), sim.world.cdrs.len()), (0, 0));
}

#[test]
fn a_trunk_reaches_dids_and_no_number_beyond_them() {
    let mut sim = Sim::new();
    for (at, uri) in (0..).zip(DIALLED) {
        let call = sim.place(GATEWAY, calling(GATEWAY, uri, 50 + at), Quirks::default());
        let status = call.caller().facts.finally.as_ref().and_then(Msg::status);
        assert!(matches!(status, Some(404 | 416)), "{uri}: {status:?}");
    }
    assert!(sim.world.inbox.is_empty(), "nothing went to a third host: {:?}", sim.world.inbox);
    sim.ends();
    assert_eq!(legs(&sim), 0);
}
