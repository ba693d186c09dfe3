//! Callees whose side answers that they are somewhere else.

use tensou_engine::route::{DestinationKind, LargeRequests, PeerSpec, Provisioning};
use tensou_engine::{CallResult, Transport};

use crate::office::{CARRIER, CARRIER_2, DIRECT, SALES, THIN};
use crate::session::State;
use crate::sim::{Call, Sim};

fn follows(office: &mut Provisioning) {
    for trunk in &mut office.trunks {
        trunk.relation.follow_redirects = true;
    }
}

fn following() -> Sim {
    Sim::with(follows)
}

/// `who` answers 302 with these Contacts.
fn sends_on<'a>(call: Call<'a>, who: &str, contacts: &'static str) -> Call<'a> {
    call.sim.quirks(who).refusing_with = vec![("Contact", contacts)];
    call.refused_by(who, 302)
}

const TO_SUZUKI: &str = "<sip:09000002222@192.0.2.2:5060>";

#[test]
fn a_redirection_is_followed_by_the_same_trunk_and_told_to_who_is_called() {
    let mut sim = Sim::with(|office| {
        follows(office);
        office.trunks[1].identity.history_info = true;
    });
    let call = sends_on(sim.call(DIRECT), "sato", TO_SUZUKI);
    let invite = call.sim.leg("suzuki").invite.clone();
    assert_eq!(invite.uri(), "sip:09000002222@192.0.2.2:5060");
    let told: Vec<&str> = invite.all("Diversion").collect();
    assert_eq!(
        told,
        [
            "<sip:09000001111@pbx.example>;reason=unconditional;counter=1;privacy=off",
            "<sip:0311112224@pbx.example>;reason=unconditional;counter=1;privacy=off",
        ]
    );
    let history: Vec<&str> = invite.all("History-Info").collect();
    assert_eq!(
        history,
        [
            "<sip:0311112224@pbx.example>;index=1",
            "<sip:09000001111@pbx.example;cause=302?Reason=SIP%3Bcause%3D302>;index=1.1;mp=1",
            "<sip:09000002222@192.0.2.2:5060;cause=302>;index=1.2;mp=1.1",
        ]
    );
    assert!(call.caller().facts.finally.is_none(), "the caller hears of it");
    let cdr = call.rings(&["suzuki"]).answered_by("suzuki").caller_hangs_up();
    assert_eq!(cdr.result, CallResult::Answered);
    assert_eq!(cdr.answered_by.unwrap().as_str(), "sato", "the destination that was meant");
    let legs =
        cdr.legs.iter().map(|leg| (&*leg.dialled, leg.sip_status, leg.answered_at.is_some()));
    let legs: Vec<_> = legs.collect();
    assert_eq!(legs, [("09000001111", 302, false), ("09000002222", 200, true)]);
    assert!(cdr.legs.iter().all(|leg| leg.destination.as_str() == "sato"));
    assert!(cdr.legs.iter().all(|leg| leg.trunk_out.as_ref().unwrap().as_str() == "carrier"));
    assert_eq!(sim.world.engine.counters().redirections_followed, 1);
}

#[test]
fn a_redirection_is_a_failure_of_its_branch_where_the_trunk_is_not_followed() {
    let mut sim = Sim::new();
    let call = sends_on(sim.call(DIRECT), "sato", TO_SUZUKI).nobody_rings("suzuki");
    let cdr = call.gets(480, None).over();
    assert_eq!((cdr.legs.len(), cdr.legs[0].sip_status), (1, 302));
}

#[test]
fn the_contact_of_the_highest_q_is_called_first_and_the_next_after_its_failure() {
    let contacts = "<tel:+819000002222>;q=0.3, <tel:+819000003333>;q=0.9";
    let mut sim = following();
    let call = sends_on(sim.call(DIRECT), "sato", contacts).nobody_rings("suzuki");
    let call = call.rings(&["tanaka"]).refused_by("tanaka", 486);
    let cdr = call.rings(&["suzuki"]).answered_by("suzuki").caller_hangs_up();
    let statuses: Vec<u16> = cdr.legs.iter().map(|leg| leg.sip_status).collect();
    assert_eq!(statuses, [302, 486, 200]);

    let mut sim = following();
    let call = sends_on(sim.call(DIRECT), "sato", contacts);
    // RFC 3261 16.7 (5): nobody else of this callee is asked after a 6xx.
    let cdr = call.refused_by("tanaka", 603).nobody_rings("suzuki").gets(603, None).over();
    assert_eq!(cdr.legs.len(), 2);
}

#[test]
fn the_sixth_redirection_of_a_branch_is_its_failure() {
    let mut sim = Sim::with(|office| {
        follows(office);
        // Its story grows with every redirection; by TCP it would be tried a second time.
        office.trunks[1].large_requests = LargeRequests::Udp;
    });
    let mut call = sends_on(sim.call(DIRECT), "sato", "<tel:+819000005001>");
    for (who, next) in [
        ("09000005001", "<tel:+819000005002>"),
        ("09000005002", "<tel:+819000005003>"),
        ("09000005003", "<tel:+819000005004>"),
        ("09000005004", "<tel:+819000005005>"),
        ("09000005005", "<tel:+819000005006>"),
    ] {
        call = sends_on(call, who, next);
    }
    let cdr = call.nobody_rings("09000005006").gets(480, None).over();
    assert_eq!(cdr.legs.len(), 6);
    assert!(cdr.legs.iter().all(|leg| leg.sip_status == 302));
    let counters = sim.world.engine.counters();
    assert_eq!((counters.redirections_followed, counters.redirections_refused), (5, 1));
}

#[test]
fn nobody_is_called_twice_by_redirections() {
    let mut sim = following();
    let call = sends_on(sim.call(DIRECT), "sato", TO_SUZUKI);
    let call = sends_on(call, "suzuki", "<sip:09000001111@192.0.2.2:5060>, <tel:+819000002222>");
    let cdr = call.gets(480, None).over();
    assert_eq!(cdr.legs.len(), 2);
}

#[test]
fn the_same_number_at_another_peer_is_another_place_once() {
    let mut sim = following();
    let call = sends_on(sim.call(DIRECT), "sato", "<sip:09000001111@192.0.2.3>");
    assert_eq!(call.sim.find("sato").unwrap().0, CARRIER_2);
    let call = sends_on(call, "sato", "<sip:09000001111@192.0.2.2:5060>");
    let cdr = call.gets(480, None).over();
    assert_eq!(cdr.legs.len(), 2);
    assert_eq!(sim.world.uas[CARRIER].sessions.len(), 1);
}

#[test]
fn no_contact_leads_where_the_trunk_would_not_be_sent() {
    const HOSTILE: [&str; 16] = [
        "<sip:09000002222@203.0.113.66>",
        "<sip:09000002222@203.0.113.66;maddr=192.0.2.2>",
        "<sip:09000002222@127.0.0.1:8080>",
        "<sip:09000002222@evil.example>",
        "<sip:09000002222@192.0.2.2:5070>",
        "<sip:07000004444@192.0.2.4:5060>",
        "<sip:+12025550123@192.0.2.2:5060>",
        "<tel:+88299912345>",
        "<sip:0990123456@192.0.2.2:5060>",
        "<tel:+81570000000>",
        "<sip:*21*08012345678%23@192.0.2.2:5060>",
        "<sip:0311112224@192.0.2.2:5060>",
        "<sips:09000002222@192.0.2.2:5060>",
        "<sip:sales@192.0.2.2:5060>",
        "<mailto:suzuki@example.jp>",
        "<sip:192.0.2.2:5060>",
    ];
    for contact in HOSTILE {
        let mut sim = following();
        let call = sends_on(sim.call(DIRECT), "sato", contact);
        let cdr = call.gets(480, None).over();
        assert_eq!(cdr.legs.len(), 1, "{contact}");
        assert!(sim.world.inbox.is_empty() && sim.world.questions.is_empty(), "{contact}");
        assert_eq!(sim.world.engine.counters().redirections_refused, 1, "{contact}");
    }
    for status in [305, 380] {
        let mut sim = following();
        let call = sim.call(DIRECT);
        call.sim.quirks("sato").refusing_with = vec![("Contact", TO_SUZUKI)];
        call.refused_by("sato", status).gets(480, None).over();
    }
}

#[test]
fn a_number_abroad_or_dear_is_followed_where_a_prefix_of_the_trunk_means_it() {
    for (contact, prefix, called) in [
        ("<tel:+12025550123>", "+1", "01012025550123"),
        ("<tel:+81570000000>", "+81570", "0570000000"),
        ("<tel:+81570000000>", "+815", ""),
        ("<tel:+81312345678>", "+8190", ""),
        ("<tel:+819012345678>", "+8190", "09012345678"),
    ] {
        let mut sim = Sim::with(|office| {
            follows(office);
            office.trunks[1].prefixes = vec!["+819000001".to_owned(), prefix.to_owned()];
        });
        let call = sends_on(sim.call(DIRECT), "sato", contact);
        assert_eq!(call.sim.find(called).is_some(), !called.is_empty(), "{contact} by {prefix}");
        call.gives_up();
    }
}

#[test]
fn sips_is_followed_by_tls_alone() {
    let mut sim = Sim::with(|office| {
        follows(office);
        let secure = PeerSpec {
            transport: Some(Transport::Tls),
            priority: 9,
            ..PeerSpec::at("192.0.2.3:5061".parse().unwrap())
        };
        office.trunks[1].peers[1] = secure;
    });
    // The simulated node has no TLS of its own: the way is chosen, and there is none.
    let call = sends_on(sim.call(DIRECT), "sato", "<sips:09000002222@192.0.2.3>");
    call.gets(480, None).over();
    assert_eq!(sim.world.engine.counters().redirections_refused, 0);
    assert!(sim.find("suzuki").is_none());
}

#[test]
fn a_caller_that_gives_up_ends_the_branch_where_it_was_sent_on_to() {
    let mut sim = following();
    let call = sends_on(sim.call(DIRECT), "sato", "<tel:+819000002222>, <tel:+819000003333>");
    let call = call.rings(&["suzuki"]).acts(crate::ua::Act::Cancel);
    assert!(call.sim.leg("suzuki").facts.cancel.is_some());
    let cdr = call.nobody_rings("tanaka").gets(487, None).over();
    assert_eq!(cdr.result, CallResult::Cancelled);
    let statuses: Vec<u16> = cdr.legs.iter().map(|leg| leg.sip_status).collect();
    assert_eq!(statuses, [302, 487]);
}

#[test]
fn who_answers_first_ends_the_branch_that_was_sent_on() {
    let mut sim = following();
    let call = sends_on(sim.call(SALES).rings(&["suzuki"]), "sato", "<tel:+819000003333>");
    let call = call.rings(&["tanaka"]).answered_by("suzuki");
    let tanaka = call.sim.leg("tanaka");
    assert!(tanaka.facts.cancel.is_some() && tanaka.state == State::Ended);
    call.caller_hangs_up();
}

#[test]
fn a_redirection_takes_the_channel_that_its_callee_has_left() {
    let mut sim = following();
    let call = sends_on(sim.call(THIN), "kato", "<sip:07000005555@192.0.2.4:5060>");
    let call = call.rings(&["07000005555"]);
    assert_eq!(call.sim.world.engine.counters().channels_in_use, 2, "the caller's and one more");
    call.answered_by("07000005555").caller_hangs_up();
    assert_eq!(sim.world.engine.counters().channels_in_use, 0);
}

#[test]
fn a_uri_leads_to_another_user_of_its_own_place() {
    let uri = |office: &mut Provisioning| {
        follows(office);
        let sato = &mut office.destinations[0];
        sato.kind = DestinationKind::Uri("sip:sato@192.0.2.2:5060".to_owned());
        sato.trunk = Some("carrier".to_owned());
    };
    for (contact, rings) in [
        ("<sip:desk@192.0.2.2:5060?Subject=x>", true),
        ("<sip:sato@192.0.2.2:5060>", false),
        ("<sip:desk@192.0.2.3:5060>", false),
        ("<tel:+819000002222>", false),
    ] {
        let mut sim = Sim::with(uri);
        let call = sim.call(DIRECT);
        let at = call.sim.world.uas[CARRIER].sessions.len() - 1;
        let session = &mut call.sim.world.uas.get_mut(CARRIER).unwrap().sessions[at];
        session.quirks.refusing_with = vec![("Contact", contact)];
        call.sim.world.at(CARRIER, |ua, out| {
            ua.sessions[at].acts(&crate::ua::Act::Reject(302), out);
        });
        let call = call.waits(crate::sim::MOMENT);
        let sessions = &call.sim.world.uas[CARRIER].sessions;
        assert_eq!(sessions.len() == at + 2, rings, "{contact}");
        if rings {
            assert_eq!(sessions[at + 1].invite.uri(), "sip:desk@192.0.2.2:5060");
            call.gives_up();
        } else {
            call.gets(480, None).over();
        }
    }
}

#[test]
fn contacts_that_wait_outlive_the_process() {
    let mut sim = following();
    let call = sends_on(sim.call(DIRECT), "sato", "<tel:+819000003333>, <tel:+819000002222>;q=0.1");
    let call = call.rings(&["tanaka"]);
    call.sim.world.dies();
    let call = call.refused_by("tanaka", 486);
    assert_eq!(call.sim.leg("suzuki").state, State::Inviting);
    assert_eq!(call.sim.leg("suzuki").invite.all("Diversion").count(), 2);
    let cdr = call.then("suzuki", crate::ua::Act::Answer).caller_hangs_up();
    assert_eq!(cdr.legs.len(), 3);
}
