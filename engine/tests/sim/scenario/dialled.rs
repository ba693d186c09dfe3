//! What phones of ours dial, and whom they may show.

use tensou_engine::route::{IdentityPolicy, Presented};
use tensou_engine::{CallResult, CallerClass};

use crate::office::{DESK_PHONE, DIRECT, NIGHT, SALES, number};
use crate::scenario::phones::dials;
use crate::sim::Sim;
use crate::text::Msg;
use crate::ua::Quirks;

/// Somebody at a number that no destination of the office has.
const OUTSIDE: &str = "08012345678";

/// The desk phone dials; what the one outside is told.
fn told(sim: &mut Sim, called: &str, change: impl FnOnce(&mut Msg)) -> Msg {
    sim.registered(DESK_PHONE, "201");
    let mut msg = dials(sim, DESK_PHONE, "201", called);
    change(&mut msg);
    let call = sim.place(DESK_PHONE, msg, Quirks::default());
    let told = call.sim.leg(OUTSIDE).invite.clone();
    call.gives_up();
    told
}

#[test]
fn a_184_withholds_and_a_186_shows_whatever_the_phone_is_set_to() {
    for (prefix, privacy, withheld) in
        [("", false, false), ("", true, true), ("184", false, true), ("186", true, false)]
    {
        let mut sim = Sim::new();
        let told = told(&mut sim, &format!("{prefix}{OUTSIDE}"), |msg| {
            if privacy {
                msg.add("Privacy", "id");
            }
        });
        assert_eq!(told.user(), OUTSIDE, "the prefix is for us");
        let text = String::from_utf8(told.bytes()).unwrap();
        assert_eq!(text.contains(SALES), !withheld, "{prefix} {privacy}: {text}");
        assert_eq!(told.get("Privacy"), withheld.then_some("id"));
        let cdr = &sim.world.cdrs[0];
        assert_eq!(cdr.caller.class == CallerClass::Withheld, withheld);
        assert_eq!(cdr.did, Some(number(SALES)), "the record knows whose call it was");
    }
}

#[test]
fn a_withheld_call_shows_no_did_where_the_trunk_wants_ours() {
    let mut sim = Sim::with(|office| {
        office.trunks[1].identity =
            IdentityPolicy { from: Presented::Did, ..IdentityPolicy::default() };
    });
    let told = told(&mut sim, &format!("184{OUTSIDE}"), |_| {});
    let text = String::from_utf8(told.bytes()).unwrap();
    assert!(!text.contains(SALES), "{text}");
    assert!(told.header("From").starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>"));
}

#[test]
fn a_phone_chooses_among_its_customers_dids_and_nobody_elses() {
    for (name, wanted, shown) in [
        ("From", DIRECT, DIRECT),
        ("P-Preferred-Identity", NIGHT, NIGHT),
        ("From", "0399990000", SALES),
        ("P-Preferred-Identity", "0399990000", SALES),
        // A DID of the system, but of another customer.
        ("From", "0311112299", SALES),
        ("P-Preferred-Identity", "0311112299", SALES),
        ("P-Asserted-Identity", DIRECT, SALES),
        ("Remote-Party-ID", DIRECT, SALES),
    ] {
        let mut sim = Sim::with(|office| {
            let mut other = office.dids[0].clone();
            other.number = number("0311112299");
            other.customer = Some("tanaka".to_owned());
            office.dids.push(other);
            let customer = tensou_engine::route::CustomerSpec {
                id: "tanaka".to_owned(),
                ..office.customers[0].clone()
            };
            office.customers.push(customer);
        });
        let told = told(&mut sim, OUTSIDE, |msg| {
            let value = format!("<sip:{wanted}@pbx.example>");
            match name {
                "From" => msg.set("From", &format!("{value};tag=own")),
                name => msg.add(name, &value),
            }
        });
        assert!(told.header("From").contains(shown), "{name} {wanted}: {told:?}");
        assert!(told.header("P-Asserted-Identity").contains(shown));
        if wanted != shown {
            let text = String::from_utf8(told.bytes()).unwrap();
            assert!(!text.contains(wanted), "{text}");
        }
    }
}

#[test]
fn feature_codes_of_another_exchange_are_refused() {
    for code in ["*21*08012345678%23", "%23%23002%23", "*67"] {
        let mut sim = Sim::new();
        sim.registered(DESK_PHONE, "201");
        let msg = dials(&mut sim, DESK_PHONE, "201", code);
        let cdr = sim.place(DESK_PHONE, msg, Quirks::default()).gets(403, None).over();
        assert_eq!((cdr.result, cdr.legs.len()), (CallResult::Blocked, 0), "{code}");
    }
}

#[test]
fn the_sub_address_dialled_goes_with_the_number() {
    let mut sim = Sim::new();
    let told = told(&mut sim, &format!("{OUTSIDE};isub=12"), |_| {});
    assert_eq!(told.uri(), format!("sip:{OUTSIDE};isub=12@192.0.2.2:5060"));
}

#[test]
fn called_texts_that_are_no_number_are_refused_and_never_a_second_leg() {
    for called in [
        "0801234%26SIP%2Fx",
        "08012345678,09000001111",
        "08012345678%3B09000001111",
        "$%7BEXTEN%7D",
        "'%20or%201=1--",
        "08012345678%00",
        "%0d%0aX-Evil:1",
        "..%2F..%2Fetc",
        "(((((((",
    ] {
        let mut sim = Sim::new();
        sim.registered(DESK_PHONE, "201");
        let msg = dials(&mut sim, DESK_PHONE, "201", called);
        let call = sim.place(DESK_PHONE, msg, Quirks::default());
        let records = call.sim.ends();
        let legs = records.iter().flat_map(|cdr| &cdr.legs);
        assert_eq!(legs.count(), 0, "{called}");
    }
}
