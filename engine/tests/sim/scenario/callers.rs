//! Who calls in: what is believed of whom, and what is told on.

use tensou_engine::CallerClass;
use tensou_engine::route::{IdentityPolicy, IdentityRead, Presented};

use crate::office::{DIRECT, GATEWAY, number};
use crate::sim::{Sim, invite, offer_of};
use crate::text::Msg;
use crate::ua::Quirks;

/// A trusted gateway, or one that is not.
fn from_gateway(trusted: bool) -> Sim {
    Sim::with(|office| office.trunks[0].trusted = trusted)
}

/// What sato is told, and how the record names the caller.
fn told(sim: &mut Sim, change: impl FnOnce(&mut Msg)) -> (Msg, tensou_engine::Caller) {
    let (id, _) = sim.fresh();
    let mut msg = invite(GATEWAY, DIRECT, "0399998888", id).with_sdp(&offer_of(GATEWAY));
    change(&mut msg);
    let call = sim.place(GATEWAY, msg, Quirks::default()).rings(&["sato"]);
    let told = call.sim.leg("sato").invite.clone();
    (told, call.gives_up().caller)
}

#[test]
fn what_says_who_calls_counts_from_a_trusted_trunk_in_order() {
    let pai = ("P-Asserted-Identity", "<sip:0366661111@h>, <tel:+81366662222>");
    let tel = ("P-Asserted-Identity", "<sip:office@h>, <tel:+81366662222>");
    let third = ("P-Asserted-Identity", "<sip:a@h>, <sip:b@h>, <tel:+81366669999>");
    let rpid = ("Remote-Party-ID", "<sip:0366663333@h>;party=calling;screen=yes");
    let ppi = ("P-Preferred-Identity", "<sip:0366664444@h>");
    let from = "0399998888";
    for (headers, trusted, shown) in [
        (vec![pai, rpid, ppi], true, "0366661111"),
        (vec![tel], true, "0366662222"),
        (vec![third], true, from),
        (vec![rpid, ppi], true, "0366663333"),
        (vec![ppi], true, from),
        (vec![pai, rpid, ppi], false, from),
    ] {
        let mut sim = from_gateway(trusted);
        let (told, caller) = told(&mut sim, |msg| {
            headers.iter().for_each(|(name, value)| msg.add(name, value));
        });
        assert_eq!(caller.number, Some(number(shown)), "{headers:?}");
        assert!(told.header("From").contains(shown), "{told:?}");
        let text = String::from_utf8(told.bytes()).unwrap();
        let others = ["0366661111", "0366662222", "0366663333", "0366664444", "0366669999", from];
        for other in others.iter().filter(|other| **other != shown) {
            assert!(!text.contains(other), "{other} in {text}");
        }
        assert_eq!(told.all("P-Asserted-Identity").count(), 1, "our own, about the DID");
    }
}

#[test]
fn privacy_withholds_the_number_in_each_of_its_words() {
    for (privacy, class) in [
        ("id", CallerClass::Withheld),
        ("user", CallerClass::Withheld),
        ("header;user", CallerClass::Withheld),
        ("ID;critical", CallerClass::Withheld),
        ("none", CallerClass::Number),
        ("session", CallerClass::Number),
    ] {
        let mut sim = from_gateway(true);
        let (told, caller) = told(&mut sim, |msg| {
            msg.add("Privacy", privacy);
            msg.add("P-Asserted-Identity", "<sip:0399998888@h>");
            msg.add("Remote-Party-ID", "<sip:0399998888@h>;privacy=full");
        });
        assert_eq!(caller.class, class, "{privacy}");
        let text = String::from_utf8(told.bytes()).unwrap();
        let withheld = class == CallerClass::Withheld;
        assert_eq!(text.contains("0399998888"), !withheld, "{privacy}: {text}");
        assert_eq!(told.get("Privacy").is_some(), withheld);
    }
}

#[test]
fn an_anonymous_from_is_shown_by_what_is_asserted_only_where_privacy_is_none() {
    for (privacy, shown) in [(None, false), (Some("none"), true)] {
        let mut sim = from_gateway(true);
        let (_, caller) = told(&mut sim, |msg| {
            msg.set("From", "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=x");
            msg.add("P-Asserted-Identity", "<sip:0366661111@h>");
            if let Some(privacy) = privacy {
                msg.add("Privacy", privacy);
            }
        });
        assert_eq!(caller.number.is_some(), shown, "{privacy:?}");
    }
}

#[test]
fn the_japanese_texts_tell_why_there_is_no_number() {
    for (text, class, on) in [
        ("Anonymous", CallerClass::Withheld, "Anonymous"),
        ("anonymous caller", CallerClass::Withheld, "Anonymous"),
        ("Coin line/payphone", CallerClass::Payphone, "Coin line/payphone"),
        ("COIN LINE", CallerClass::Payphone, "Coin line/payphone"),
        ("Unavailable", CallerClass::Unavailable, "Unavailable"),
        (
            "Interaction with other service",
            CallerClass::Unavailable,
            "Interaction with other service",
        ),
        ("INTERACTION WITH OTHER", CallerClass::Unavailable, "Interaction with other service"),
    ] {
        let mut sim = Sim::new();
        let from = format!("\"{text}\" <sip:anonymous@anonymous.invalid>;tag=x");
        let (told, caller) = told(&mut sim, |msg| msg.set("From", &from));
        assert_eq!((caller.number, caller.class), (None, class), "{text}");
        let from = told.header("From");
        assert!(from.starts_with(&format!("\"{on}\" <sip:anonymous@anonymous.invalid>")), "{from}");
    }
}

#[test]
fn a_trusted_trunk_is_told_the_number_that_the_callee_may_not_see() {
    for trusted in [true, false] {
        let mut sim = Sim::with(|office| {
            office.trunks[0].trusted = true;
            office.trunks[1].trusted = trusted;
            office.trunks[1].identity =
                IdentityPolicy { asserted: Presented::Caller, ..IdentityPolicy::default() };
        });
        let (told, caller) = told(&mut sim, |msg| {
            msg.add("Privacy", "id");
            msg.add("P-Asserted-Identity", "<sip:0366661111@h>");
        });
        assert_eq!(caller.number, None);
        let asserted = told.get("P-Asserted-Identity");
        assert_eq!(asserted, trusted.then_some("<sip:0366661111@pbx.example>"));
        assert_eq!(told.header("Privacy"), "id");
        assert!(!told.header("From").contains("0366661111"));
        let text = String::from_utf8(told.bytes()).unwrap();
        assert!(!text.contains("0399998888"), "{text}");
    }
}

#[test]
fn earlier_redirections_go_on_below_ours_from_a_trusted_trunk() {
    for trusted in [true, false] {
        let mut sim = from_gateway(trusted);
        let (told, _) = told(&mut sim, |msg| {
            msg.add("Diversion", "<sip:0344445555@h>;reason=user-busy;counter=2;privacy=off");
        });
        let told: Vec<&str> = told.all("Diversion").collect();
        assert!(told[0].starts_with("<sip:0311112224@pbx.example>;reason=unconditional;counter=1"));
        let theirs = "<sip:0344445555@pbx.example>;reason=user-busy;counter=2;privacy=off";
        assert_eq!(told.get(1).copied(), trusted.then_some(theirs));
    }
}

#[test]
fn a_redirection_told_in_one_header_goes_on_in_the_other() {
    let mut sim = Sim::with(|office| {
        office.trunks[0].trusted = true;
        office.trunks[1].identity.diversion = false;
        office.trunks[1].identity.history_info = true;
    });
    let (told, _) = told(&mut sim, |msg| {
        msg.add("Diversion", "<sip:0344445555@h>;reason=no-answer;counter=1");
    });
    let history: Vec<&str> = told.all("History-Info").collect();
    assert_eq!(
        history,
        [
            "<sip:0344445555@pbx.example>;index=1",
            "<sip:0311112224@pbx.example;cause=408>;index=1.1;mp=1",
            "<sip:09000001111@192.0.2.2:5060;cause=302>;index=1.1.1;mp=1.1",
        ]
    );
    assert_eq!(told.get("Diversion"), None);
}

#[test]
fn what_a_trunk_is_not_read_for_is_not_believed() {
    let mut sim = Sim::with(|office| {
        office.trunks[0].trusted = true;
        office.trunks[0].identity_in = IdentityRead {
            display: false,
            asserted: false,
            remote_party_id: false,
            privacy: false,
            diversion: false,
            ..IdentityRead::default()
        };
    });
    let (told, caller) = told(&mut sim, |msg| {
        msg.add("P-Asserted-Identity", "<sip:0366661111@h>");
        msg.add("Remote-Party-ID", "<sip:0366663333@h>");
        msg.add("Privacy", "id");
        msg.add("Diversion", "<sip:0344445555@h>;reason=no-answer");
    });
    assert_eq!(caller.number, Some(number("0399998888")));
    assert!(told.header("From").starts_with("<sip:0399998888@"), "{told:?}");
    assert_eq!(told.all("Diversion").count(), 1);
}

#[test]
fn no_spelling_of_a_header_smuggles_an_identity_or_a_billing_word_across() {
    let names = [
        "P-Asserted-Identity",
        "P-Charging-Vector",
        "X-Billing",
        "Remote-Party-ID",
        "P-Preferred-Identity",
        "Diversion",
    ];
    for name in names {
        for spelling in [
            format!("{name}: <sip:0366661111@evil>"),
            format!("{name} : <sip:0366661111@evil>"),
            format!("{name}\t:\r\n <sip:0366661111@evil>"),
            format!("{}: <sip:0366661111@evil>", name.to_uppercase()),
            format!("{name}: <sip:0366661111@evil>\r\n{name}: <sip:0366661111@evil>"),
        ] {
            let mut sim = from_gateway(false);
            let (id, _) = sim.fresh();
            let msg = invite(GATEWAY, DIRECT, "0399998888", id).with_sdp(&offer_of(GATEWAY));
            let text = String::from_utf8(msg.bytes()).unwrap();
            let text = text.replacen("\r\nContact:", &format!("\r\n{spelling}\r\nContact:"), 1);
            let ua = sim.world.uas.remove(GATEWAY);
            sim.world.sends(GATEWAY, text.into_bytes());
            sim.world.run(crate::sim::MOMENT);
            let told = sim.leg("sato").invite.clone();
            let on = String::from_utf8(told.bytes()).unwrap();
            assert!(!on.contains("0366661111") && !on.contains("evil"), "{spelling:?}: {on}");
            if let Some(ua) = ua {
                sim.world.settle(ua);
            }
        }
    }
}
