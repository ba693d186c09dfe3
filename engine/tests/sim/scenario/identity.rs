//! Who is told who calls; and that nothing of one side is told to the other.

use tensou_engine::CallerClass;
use tensou_engine::route::{IdentityPolicy, Presented};

use crate::office::{CARRIER, DIRECT, GATEWAY, SALES};
use crate::session::Session;
use crate::sim::{Sim, invite, offer_of};
use crate::text::Msg;
use crate::ua::{Act, Quirks};

fn called_with(sim: &mut Sim, change: impl FnOnce(&mut Msg)) -> Msg {
    let mut msg = invite(GATEWAY, DIRECT, "0399998888", 1).with_sdp(&offer_of(GATEWAY));
    change(&mut msg);
    let call = sim.place(GATEWAY, msg, Quirks::default()).rings(&["sato"]);
    let told = call.sim.leg("sato").invite.clone();
    call.gives_up();
    told
}

fn before_tag(value: &str) -> &str {
    value.split(";tag=").next().unwrap()
}

#[test]
fn the_caller_is_shown_and_the_did_stands_behind_it() {
    let told = called_with(&mut Sim::new(), |_| {});
    assert_eq!(before_tag(told.header("From")), "\"Caller\" <sip:0399998888@pbx.example>");
    assert_eq!(told.header("P-Asserted-Identity"), "<sip:0311112224@pbx.example>");
    let diversion = told.header("Diversion");
    assert!(diversion.starts_with("<sip:0311112224@pbx.example>;reason=unconditional"));
}

#[test]
fn a_trunk_that_wants_our_number_gets_the_did_alone() {
    let mut sim = Sim::with(|office| {
        office.trunks[1].identity = IdentityPolicy {
            from: Presented::Did,
            asserted: Presented::None,
            diversion: false,
            ..IdentityPolicy::default()
        };
    });
    let told = called_with(&mut sim, |_| {});
    assert_eq!(before_tag(told.header("From")), "<sip:0311112224@pbx.example>");
    assert_eq!((told.get("P-Asserted-Identity"), told.get("Diversion")), (None, None));
    assert!(!String::from_utf8(told.bytes()).unwrap().contains("0399998888"));
}

#[test]
fn a_withheld_caller_stays_withheld() {
    let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=x";
    for with_number in [false, true] {
        let mut sim = Sim::with(|office| office.trunks[0].trusted = true);
        let told = called_with(&mut sim, |msg| {
            if with_number {
                msg.add("P-Asserted-Identity", "<sip:0399998888@192.0.2.1>");
            } else {
                msg.set("From", anonymous);
            }
            msg.add("Privacy", "id");
        });
        let text = String::from_utf8(told.bytes()).unwrap();
        assert!(!text.contains("0399998888"), "{text}");
        assert_eq!(told.header("Privacy"), "id");
        let cdr = &sim.world.cdrs[0];
        assert_eq!((cdr.caller.number, cdr.caller.class), (None, CallerClass::Withheld));
    }
}

#[test]
fn an_asserted_number_counts_only_from_a_trusted_trunk() {
    for (trusted, shown) in [(false, "0399998888"), (true, "0366667777")] {
        let mut sim = Sim::with(|office| office.trunks[0].trusted = trusted);
        let told = called_with(&mut sim, |msg| {
            msg.add("P-Asserted-Identity", "<sip:0366667777@192.0.2.1>");
        });
        assert!(told.header("From").contains(shown), "{told:?}");
    }
}

/// Everything that tells one side's dialog or place apart.
fn marks(session: &Session, peer: &str) -> Vec<String> {
    let ip = peer.split(':').next().unwrap();
    vec![
        session.call_id.clone(),
        format!("tag={}", session.local_tag),
        session.invite.branch().to_owned(),
        format!("{ip}:"),
        format!("{ip}>"),
        format!("IN IP4 {ip}\r"),
    ]
}

#[test]
fn nothing_of_one_side_leaks_to_the_other() {
    let mut sim = Sim::new();
    let (id, shown) = sim.fresh();
    let mut msg = invite(GATEWAY, SALES, &shown, id).with_sdp(&offer_of(GATEWAY));
    let inner = "SIP/2.0/TCP 10.9.9.9:5080;branch=z9hG4bKinner";
    msg.headers.insert(1, ("Via".to_owned(), inner.to_owned()));
    let inside = ["10.9.9.", "z9hG4bKinner", "Near PBX", "Near Ltd", "near.example"];
    msg.add("Record-Route", "<sip:10.9.9.8;lr>");
    msg.add("User-Agent", "Near PBX 1.0");
    msg.add("Organization", "Near Ltd");
    msg.add("Call-Info", "<http://near.example/>;purpose=info");
    msg.add("Warning", "399 near.example \"x\"");
    let call = sim.place(GATEWAY, msg, Quirks::default());
    let far = vec![("Server", "Far PBX 2.0"), ("Organization", "Far Ltd")];
    call.sim.quirks("sato").ringing_with = far.clone();
    call.sim.quirks("sato").answering_with = far;
    let call = call.rings(&["sato"]).answered_by("sato");
    let call = call.acts(Act::Describe("sendonly")).then("sato", Act::Describe("sendrecv"));
    let call = call.acts(Act::Ask("INFO")).then("sato", Act::Ask("MESSAGE"));
    let caller = call.caller().clone();
    let sato = call.sim.leg("sato").clone();
    call.caller_hangs_up();
    let told = |place: &str| -> Vec<String> {
        let sent = sim.sent(place, "");
        sent.iter().map(|one| String::from_utf8(one.msg.bytes()).unwrap()).collect()
    };
    let near = marks(&caller, GATEWAY).into_iter().chain(inside.map(str::to_owned));
    let to_sato = told(CARRIER);
    for mark in near {
        let found = to_sato.iter().find(|text| text.contains(&mark));
        assert_eq!(found, None, "{mark}");
    }
    let far = marks(&sato, CARRIER).into_iter().chain(["Far PBX", "Far Ltd"].map(str::to_owned));
    let to_caller = told(GATEWAY);
    for mark in far {
        let found = to_caller.iter().find(|text| text.contains(&mark));
        assert_eq!(found, None, "{mark}");
    }
    assert!(to_sato.len() > 6 && to_caller.len() > 6, "{} {}", to_sato.len(), to_caller.len());
}
