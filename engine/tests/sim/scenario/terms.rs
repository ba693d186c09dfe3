//! What a trunk is provisioned with: limits, numbers, headers, codecs, as calls meet them.

use tensou_engine::plan::{DigitEdit, NumberFormat, UriForm};
use tensou_engine::route::{
    DidSource, IdentityOverride, IdentityPolicy, Presented, Provisioning, Snapshot,
};
use tensou_engine::{CallResult, WallTime};

use crate::office::{CARRIER, DIRECT, GATEWAY, NIGHT, SALES, number};
use crate::sim::{Sim, invite, offer_of, secs};
use crate::text::Msg;
use crate::ua::Quirks;

const GATEWAY_AT: usize = 0;
const CARRIER_AT: usize = 1;

/// The INVITE that sato gets for a call to DIRECT.
fn told(sim: &mut Sim, change: impl FnOnce(&mut Msg)) -> Msg {
    let (id, _) = sim.fresh();
    let mut msg = invite(GATEWAY, DIRECT, "0399998888", id).with_sdp(&offer_of(GATEWAY));
    change(&mut msg);
    let call = sim.place(GATEWAY, msg, Quirks::default());
    let (place, at) = sought(call.sim);
    let told = call.sim.world.uas[&place].sessions[at].invite.clone();
    call.gives_up();
    told
}

/// The only leg at the carrier, whatever its Request-URI looks like.
fn sought(sim: &Sim) -> (String, usize) {
    let sessions = &sim.world.uas[CARRIER].sessions;
    (CARRIER.to_owned(), sessions.len().checked_sub(1).expect("a leg at the carrier"))
}

#[test]
fn a_call_over_the_trunks_rate_gets_503_and_may_come_again() {
    let mut sim = Sim::with(|office| office.trunks[GATEWAY_AT].max_calls_per_second = 2);
    for _ in 0..2 {
        sim.call(SALES).rings(&["sato"]);
    }
    let refused = sim.call(SALES).gets(503, Some(42));
    assert!(refused.caller().facts.finally.as_ref().unwrap().get("Retry-After").is_some());
    sim.world.run(secs(1));
    sim.call(SALES).rings(&["sato"]);
    let results: Vec<CallResult> = sim.ends().iter().map(|cdr| cdr.result).collect();
    assert_eq!(results.iter().filter(|result| **result == CallResult::Failed).count(), 1);
}

#[test]
fn exactly_as_many_calls_begin_in_a_second_as_the_trunk_allows() {
    let mut sim = Sim::with(|office| {
        let gateway = &mut office.trunks[GATEWAY_AT];
        (gateway.max_calls_per_second, gateway.channels) = (7, 0);
    });
    for at in 0..100 {
        sim.call(SALES);
        // Twenty in a second, five seconds long.
        sim.world.run(std::time::Duration::from_millis(if at % 20 == 19 { 620 } else { 0 }));
    }
    let counters = sim.world.engine.counters();
    assert_eq!((counters.calls_started, counters.refused_trunk_full), (100, 65));
    sim.ends();
}

#[test]
fn calls_going_out_leave_the_reserved_channels_to_calls_coming_in() {
    let mut sim = Sim::with(|office| {
        let carrier = &mut office.trunks[CARRIER_AT];
        (carrier.channels, carrier.reserved_incoming) = (2, 1);
    });
    sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    sim.call(SALES).gets(503, Some(34));
    let msg = invite(CARRIER, SALES, "0366667777", 900).with_sdp(&offer_of(CARRIER));
    let call = sim.place(CARRIER, msg, Quirks::default());
    // It is let in; that nobody can be rung is another matter.
    assert_eq!(call.sim.world.engine.counters().refused_trunk_full, 0);
    sim.does("sato", crate::ua::Act::Bye);
    sim.ends();
}

#[test]
fn numbers_leave_in_the_carriers_own_form() {
    for (format, uri, digits, request_uri) in [
        (NumberFormat::National, UriForm::Sip, "", "sip:09000001111@192.0.2.2:5060"),
        (NumberFormat::E164, UriForm::UserPhone, "", "sip:+819000001111@192.0.2.2:5060;user=phone"),
        (NumberFormat::E164NoPlus, UriForm::Sip, "", "sip:819000001111@192.0.2.2:5060"),
        (NumberFormat::E164, UriForm::Tel, "", "tel:+819000001111"),
        (NumberFormat::National, UriForm::Sip, "0033", "sip:003309000001111@192.0.2.2:5060"),
    ] {
        let mut sim = Sim::with(|office| {
            let carrier = &mut office.trunks[CARRIER_AT];
            carrier.format_out = format;
            carrier.uri_out = uri;
            carrier.digits.called_out = DigitEdit { strip: String::new(), add: digits.to_owned() };
        });
        let told = told(&mut sim, |_| {});
        assert_eq!(told.uri(), request_uri);
        assert_eq!(told.header("To"), format!("<{request_uri}>"));
        assert!(!told.header("From").contains("0033"), "only the called number has the prefix");
    }
}

#[test]
fn the_did_is_found_where_the_trunk_puts_it() {
    let history = "<sip:0311112224@h>;index=1,<sip:line7@h;cause=302>;index=1.1";
    for (source, header, value) in [
        (DidSource::To, "To", "<sip:0311112224@gw.example>"),
        (DidSource::PCalledPartyId, "P-Called-Party-ID", "<tel:+81311112224>"),
        (DidSource::Diversion, "Diversion", "<sip:0311112224@h>;reason=unconditional"),
        (DidSource::HistoryInfo, "History-Info", history),
    ] {
        let mut sim = Sim::with(|office| office.trunks[GATEWAY_AT].did_source = source);
        let told = told(&mut sim, |msg| {
            msg.start = "INVITE sip:line7@192.0.2.10 SIP/2.0".to_owned();
            msg.set(header, value);
        });
        assert_eq!(told.user(), "09000001111", "{source:?}");
        let ours = told.all("Diversion").count();
        assert_eq!(ours, 1, "the DID's own redirection is told once: {told:?}");
    }
}

#[test]
fn a_call_without_a_called_number_is_for_the_default_did() {
    for called in ["sip:192.0.2.10", "sip:@192.0.2.10", "sip:1@192.0.2.10", "sip:192.0.2.10:5060"] {
        let mut sim = Sim::with(|office| {
            office.trunks[GATEWAY_AT].default_did = Some(number(DIRECT));
        });
        let (id, _) = sim.fresh();
        let mut msg = invite(GATEWAY, DIRECT, "0399998888", id).with_sdp(&offer_of(GATEWAY));
        msg.start = format!("INVITE {called} SIP/2.0");
        msg.set("To", &format!("<{called}>"));
        let call = sim.place(GATEWAY, msg, Quirks::default());
        if called == "sip:@192.0.2.10" {
            // An empty user with its @ is no URI (RFC 3261 25.1).
            assert!(call.caller().facts.finally.is_some());
            continue;
        }
        let cdr = call.rings(&["sato"]).gives_up();
        assert_eq!(cdr.did, Some(number(DIRECT)), "{called}");
    }
}

#[test]
fn a_trunk_that_wants_compact_names_gets_them_in_every_request() {
    let mut sim = Sim::with(|office| office.trunks[CARRIER_AT].compact_headers = true);
    let call = sim.call(DIRECT).rings(&["sato"]).answered_by("sato");
    let leg = call.sim.leg("sato").clone();
    assert!(leg.invite.compact && leg.facts.acked.unwrap().1.compact);
    let cdr = call.caller_hangs_up();
    assert_eq!(cdr.result, CallResult::Answered);
    assert!(sim.leg("sato").facts.bye_heard.as_ref().unwrap().1.compact);
    let call = sim.call(DIRECT).rings(&["sato"]);
    let cdr = call.gives_up();
    assert_eq!(cdr.result, CallResult::Cancelled);
    assert!(sim.leg("sato").facts.cancel.as_ref().unwrap().compact);
}

#[test]
fn a_trunk_is_offered_only_what_it_knows() {
    let mut sim = Sim::with(|office| {
        office.trunks[CARRIER_AT].codecs = vec!["PCMU".to_owned(), "telephone-event".to_owned()];
    });
    let wide = offer_of(GATEWAY).replace("RTP/AVP 0 101", "RTP/AVP 9 8 0 96 101").replace(
        "a=rtpmap:0 PCMU/8000\n",
        "a=rtpmap:0 PCMU/8000\na=rtpmap:96 opus/48000/2\na=fmtp:96 useinbandfec=1\n",
    );
    let told = told(&mut sim, |msg| msg.body = wide.replace('\n', "\r\n"));
    assert!(told.body.contains(" RTP/AVP 0 101\r\n"), "{}", told.body);
    assert!(!told.body.contains(":96"), "{}", told.body);
    assert!(told.body.contains("a=rtpmap:101 telephone-event/8000\r\n"));
}

#[test]
fn a_trunk_that_knows_nothing_of_the_offer_is_not_called() {
    let mut sim = Sim::with(|office| office.trunks[CARRIER_AT].codecs = vec!["GSM".to_owned()]);
    let cdr = sim.call(DIRECT).gets(488, Some(88)).over();
    assert_eq!(cdr.legs, []);
}

#[test]
fn headers_pass_by_the_trunks_list_and_private_ones_only_from_trusted_trunks() {
    let with_headers = |msg: &mut Msg| {
        msg.add("X-Account", "42");
        msg.add("P-Charging-Vector", "icid-value=1");
        msg.add("Call-Info", "<http://example.jp/a.png>;purpose=icon");
        msg.add("Subject", "order");
    };
    let seen = |told: &Msg| {
        ["X-Account", "P-Charging-Vector", "Call-Info", "Subject"]
            .map(|name| told.get(name).is_some())
    };
    assert_eq!(seen(&told(&mut Sim::new(), with_headers)), [false, false, false, true]);
    let mut sim = Sim::with(|office| {
        let gateway = &mut office.trunks[GATEWAY_AT];
        gateway.trusted = true;
        gateway.passed_headers = ["x-account", "call-info"].map(str::to_owned).into();
    });
    assert_eq!(seen(&told(&mut sim, with_headers)), [true, false, true, true]);
    let mut office = crate::office::provisioning();
    office.trunks[GATEWAY_AT].passed_headers = vec!["X-Account".to_owned()];
    let faults = Snapshot::compile(1, &office).unwrap_err();
    assert_eq!(faults[0].field, "passed_headers[0]");
}

#[test]
fn a_stir_identity_passes_byte_for_byte_and_several_do() {
    let one =
        format!("{}.{}.sig;info=<https://a.example/c>;alg=ES256", "e".repeat(300), "f".repeat(900));
    let two = format!("{}..s;info=<https://b.example/c>", "g".repeat(2800));
    let told = told(&mut Sim::new(), |msg| {
        msg.add("Identity", &one);
        msg.add("Identity", &two);
    });
    assert_eq!(told.all("Identity").collect::<Vec<_>>(), [&one, &two]);
}

#[test]
fn the_callers_session_id_goes_on_or_one_is_made() {
    let of_caller = "0123456789abcdef0123456789abcdef";
    let nil = "0".repeat(32);
    let with_ids = || Sim::with(|office| office.trunks[CARRIER_AT].session_id = true);
    let passed = told(&mut with_ids(), |msg| {
        msg.add("Session-ID", &format!("{of_caller};remote={nil}"));
    });
    assert_eq!(passed.header("Session-ID"), format!("{of_caller};remote={nil}"));
    let made = told(&mut with_ids(), |_| {});
    let id = made.header("Session-ID").strip_suffix(&format!(";remote={nil}")).unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(told(&mut Sim::new(), |_| {}).get("Session-ID"), None);
}

/// Identity headers as the dry run and an INVITE show them.
const IDENTITY: [&str; 7] = [
    "From",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Privacy",
    "Diversion",
    "History-Info",
];

fn identity_of(msg: &Msg) -> Vec<(String, String)> {
    let ours = msg.headers.iter().filter(|(name, _)| IDENTITY.contains(&name.as_str()));
    let cut = |value: &str| value.split(";tag=").next().unwrap_or_default().to_owned();
    ours.map(|(name, value)| (name.clone(), cut(value))).collect()
}

/// The policies of the matrix below: every header is sent somewhere.
fn policies() -> Vec<IdentityPolicy> {
    let plain = IdentityPolicy::default();
    vec![
        plain,
        IdentityPolicy { from: Presented::Did, asserted: Presented::None, ..plain },
        IdentityPolicy { preferred: Presented::Caller, history_info: true, ..plain },
        IdentityPolicy { remote_party_id: Presented::Did, diversion: false, ..plain },
        IdentityPolicy { from: Presented::None, privacy: false, ..plain },
    ]
}

fn change(office: &mut Provisioning, policy: IdentityPolicy, uri: UriForm) {
    let carrier = &mut office.trunks[CARRIER_AT];
    carrier.identity = policy;
    carrier.uri_out = uri;
    carrier.format_out = NumberFormat::E164;
    carrier.domain = "ims.example.jp".to_owned();
    carrier.digits.caller_out = DigitEdit { strip: "+".to_owned(), add: "00".to_owned() };
    office.dids[2].presented_name = "山田 \"商事\"".to_owned();
}

#[test]
fn the_dry_run_shows_exactly_the_headers_that_a_call_sends() {
    for (at, policy) in policies().into_iter().enumerate() {
        for uri in [UriForm::Sip, UriForm::UserPhone, UriForm::Tel] {
            for withheld in [false, true] {
                let mut office = crate::office::provisioning();
                change(&mut office, policy, uri);
                let snapshot = Snapshot::compile(1, &office).unwrap();
                let caller = (!withheld).then(|| number("0399998888"));
                let moment = WallTime::from_unix_micros(0);
                let preview = snapshot.preview(caller, number(DIRECT), moment, "pbx.example");
                let branch = &preview.steps[0].branches[0];
                let mut sim = Sim::with(|office| change(office, policy, uri));
                let sent = told(&mut sim, |msg| {
                    if withheld {
                        msg.add("Privacy", "id");
                    }
                    let display = "<sip:0399998888@192.0.2.1>;tag=x";
                    msg.set("From", display);
                });
                assert_eq!(sent.uri(), branch.request_uri, "policy {at}");
                assert_eq!(identity_of(&sent), branch.headers, "policy {at}, {uri:?}");
            }
        }
    }
}

#[test]
fn a_destination_has_its_way_with_identity_headers() {
    let mut sim = Sim::with(|office| {
        office.destinations[0].identity = IdentityOverride {
            from: Some(Presented::Did),
            diversion: Some(false),
            ..IdentityOverride::default()
        };
    });
    let call = sim.call(SALES).rings(&["sato", "suzuki"]);
    let sato = identity_of(&call.sim.leg("sato").invite);
    let suzuki = identity_of(&call.sim.leg("suzuki").invite);
    assert_eq!(sato[0].1, "<sip:0311112222@pbx.example>");
    assert!(suzuki[0].1.contains("03999"), "{suzuki:?}");
    assert!(!sato.iter().any(|(name, _)| name == "Diversion"));
    assert!(suzuki.iter().any(|(name, _)| name == "Diversion"));
    call.gives_up();
}

#[test]
fn each_member_that_rings_later_is_told_why() {
    let mut sim = Sim::new();
    let call =
        sim.call(NIGHT).rings(&["sato"]).refused_by("sato", 486).waits(secs(3)).rings(&["suzuki"]);
    let reason = |sim: &Sim, who| sim.leg(who).invite.header("Diversion").to_owned();
    assert!(reason(call.sim, "sato").contains("reason=unconditional"));
    assert!(reason(call.sim, "suzuki").contains("reason=user-busy"));
    let call = call.waits(secs(11)).rings(&["tanaka"]);
    assert!(reason(call.sim, "tanaka").contains("reason=no-answer"));
    call.gives_up();
}
