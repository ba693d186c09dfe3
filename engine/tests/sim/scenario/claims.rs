//! Who a request is from: every kind of address with every kind of credentials.

use tensou_engine::route::{AuthInSpec, Provisioning, RelationSpec, Snapshot, Source, TrunkSpec};
use tensou_engine::{Event, Secret, UnknownPeer};

use crate::office::{DESK, DESK_PHONE, GATEWAY, SALES, number, password, trunk};
use crate::phone::{Algorithm, proof};
use crate::sim::{Sim, invite, offer_of, secs};
use crate::text::Msg;
use crate::ua::{Act, Quirks, Ua};

use super::phones::dials;

/// The address of a trunk that has an account here.
const PBX: &str = "192.0.2.7:5060";
/// The address of two trunks, each with its own.
const SHARED: &str = "192.0.2.9:5060";
const STRANGER: &str = "203.0.113.66:5060";
/// Another host than the stranger's.
const OTHER: &str = "203.0.113.77:5060";

fn account(user: &str) -> RelationSpec {
    let password = Secret::new(password(user));
    RelationSpec {
        auth_in: Some(AuthInSpec { user: user.to_owned(), password }),
        ..RelationSpec::default()
    }
}

/// `pbx` has an address and an account, `branch` an account alone, `closed` is disabled; `east`
/// and `west` have one address, and an account each.
fn accounts(office: &mut Provisioning) {
    let with = |id: &str, peers: &[&str]| TrunkSpec { relation: account(id), ..trunk(id, peers) };
    office.trunks.push(TrunkSpec { prefixes: vec!["+8198".to_owned()], ..with("pbx", &[PBX]) });
    office.trunks.push(with("branch", &[]));
    office.trunks.push(TrunkSpec { enabled: false, ..with("closed", &[]) });
    for id in ["east", "west"] {
        office.trunks.push(TrunkSpec { prefixes: vec!["+8198".to_owned()], ..with(id, &[SHARED]) });
    }
}

/// `pbx` is known by its address, and nobody has an account.
fn no_accounts(office: &mut Provisioning) {
    let prefixes = vec!["+8198".to_owned()];
    office.trunks.push(TrunkSpec { prefixes, ..trunk("pbx", &[PBX]) });
}

/// An INVITE from a place, the `nth` of the same caller.
fn call(place: &str, nth: u64) -> Msg {
    let mut msg = invite(place, SALES, "0399900001", 9_000 + nth).with_sdp(&offer_of(place));
    msg.set("CSeq", &format!("{nth} INVITE"));
    msg
}

/// A challenge that nobody made.
fn invented(realm: &str) -> Msg {
    let challenge =
        format!("Digest realm=\"{realm}\", nonce=\"AAAA\", algorithm=MD5, qop=\"auth\"");
    Msg::request("ANY", "sip:x").with("WWW-Authenticate", &challenge)
}

fn in_realm(refusal: &Msg, realm: &str) -> Msg {
    let challenge = refusal.all("WWW-Authenticate").find(|one| one.contains("MD5")).unwrap();
    let challenge = challenge.replace("pbx.example", realm);
    Msg::request("ANY", "sip:x").with("WWW-Authenticate", &challenge)
}

/// Who the engine takes the caller for: a trunk, `201`, or what it answers instead.
fn outcome(sim: &mut Sim, place: &str, begun: usize) -> String {
    let started = sim.world.events.iter().filter_map(|event| match event {
        Event::CallStarted(start) => Some(start.trunk_in.as_ref()),
        _ => None,
    });
    if let Some(trunk) = started.clone().nth(begun) {
        return trunk.map_or("201", |key| key.as_str()).to_owned();
    }
    let told = sim.world.inbox.iter().rfind(|(to, _)| to == place);
    told.map_or("silence".to_owned(), |(_, msg)| msg.status().unwrap().to_string())
}

/// One cell of the table: a call from `place` with these credentials.
fn claims(sim: &mut Sim, place: &str, credentials: &str) -> String {
    sim.world.inbox.clear();
    sim.sends(place, &call(place, 1));
    let first = outcome(sim, place, 0);
    if credentials == "none" {
        return first;
    }
    let begun = sim.world.calls_started().len();
    let refusal = sim.world.inbox.iter().find(|(_, msg)| msg.status() == Some(401));
    let refusal = refusal.map_or_else(|| invented("pbx.example"), |(_, msg)| msg.clone());
    sim.world.inbox.clear();
    let mut second = call(place, 2);
    if first != "401" {
        second.set("Call-ID", "another-call");
        second.set("From", "<sip:0399900002@h>;tag=another");
    }
    let right = password(credentials);
    let (refusal, who) = match credentials {
        "guess" => (refusal, ("branch", "guess-of-branch")),
        "nobody" => (refusal, ("nobody", "secret-of-nobody")),
        "realm" => (in_realm(&refusal, "other.example"), ("branch", "secret-of-branch")),
        "nonce" => (invented("pbx.example"), ("branch", "secret-of-branch")),
        user => (refusal, (user, &*right)),
    };
    let line = proof(&second, &refusal, who, Algorithm::Md5);
    sim.sends(place, &second.with("Authorization", &line));
    outcome(sim, place, begun)
}

/// Every place by UDP and by TCP, each cell in a world of its own.
fn holds(table: &str, office: fn(&mut Provisioning)) {
    let mut rows = table.lines().map(|line| line.split_whitespace());
    let columns: Vec<&str> = rows.next().unwrap().skip(1).collect();
    let mut cells = 0;
    for mut row in rows {
        let from = row.next().unwrap();
        let place = match from {
            "gateway" => GATEWAY,
            "pbx" => PBX,
            "shared" => SHARED,
            "phone" => DESK_PHONE,
            _ => STRANGER,
        };
        for (credentials, expected) in columns.iter().zip(row) {
            for tcp in [false, true] {
                let mut sim = Sim::with(office);
                sim.registered(DESK_PHONE, "201");
                sim.world.uas.remove(place);
                if tcp {
                    sim.world.streams.connect(place);
                }
                let met = claims(&mut sim, place, credentials);
                assert_eq!(met, expected, "from {from} with {credentials}, by TCP: {tcp}");
                let calls = usize::from(!["401", "silence"].contains(&expected));
                assert!(sim.ends().len() >= calls);
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 2 * (table.lines().count() - 1) * columns.len());
}

#[test]
fn every_address_with_every_credentials_is_who_the_table_says() {
    holds(
        "from     none    pbx     branch  east    west    201     guess   nobody  closed  realm   nonce
         gateway  gateway gateway gateway gateway gateway gateway gateway gateway gateway gateway gateway
         pbx      401     pbx     401     401     401     401     401     401     401     401     401
         shared   401     401     401     east    west    401     401     401     401     401     401
         phone    401     pbx     branch  east    west    201     401     401     401     401     401
         stranger 401     pbx     branch  east    west    401     401     401     401     401     401",
        accounts,
    );
}

#[test]
fn without_accounts_addresses_decide_and_a_stranger_hears_nothing_whatever_it_says() {
    holds(
        "from     none    pbx     branch  201     guess   nobody  closed  realm   nonce
         gateway  gateway gateway gateway gateway gateway gateway gateway gateway gateway
         pbx      pbx     pbx     pbx     pbx     pbx     pbx     pbx     pbx     pbx
         phone    401     401     401     201     401     401     401     401     401
         stranger silence silence silence silence silence silence silence silence silence",
        no_accounts,
    );
}

/// A request outside dialogs from a stranger, with the password of `branch` if so wanted.
fn asks(sim: &mut Sim, method: &str, refusal: Option<&Msg>) -> Option<Msg> {
    let (id, _) = sim.fresh();
    let mut msg = invite(STRANGER, SALES, "0399900001", id).with("User-Agent", &"x".repeat(200));
    msg.start = msg.start.replace("INVITE", method);
    msg.set("CSeq", &format!("7 {method}"));
    if let Some(refusal) = refusal {
        let who = ("branch", &*password("branch"));
        msg.add("Authorization", &proof(&msg, refusal, who, Algorithm::Sha256));
    }
    sim.world.inbox.clear();
    sim.sends(STRANGER, &msg);
    sim.world.inbox.pop().map(|(_, answer)| answer)
}

#[test]
fn every_method_of_a_stranger_is_challenged_and_none_that_cannot_be() {
    for (method, unproven, proven) in [
        ("OPTIONS", Some(401), Some(200)),
        ("MESSAGE", Some(401), Some(405)),
        ("SUBSCRIBE", Some(401), Some(405)),
        ("REFER", Some(401), Some(405)),
        ("JUMP", Some(401), Some(501)),
        // RFC 3261 22.1: neither has an answer of its own that could be one.
        ("ACK", None, None),
        ("CANCEL", None, None),
    ] {
        let mut sim = Sim::with(accounts);
        let first = asks(&mut sim, method, None);
        assert_eq!(first.as_ref().and_then(Msg::status), unproven, "{method}");
        let refusal = asks(&mut sim, "OPTIONS", None).unwrap();
        let second = asks(&mut sim, method, Some(&refusal));
        assert_eq!(second.as_ref().and_then(Msg::status), proven, "{method}");
        assert_eq!(sim.world.engine.counters().transactions, 0, "{method}");
        assert_eq!(sim.ends(), []);
    }
}

#[test]
fn a_stranger_learns_neither_numbers_nor_users_from_its_challenge() {
    let mut sim = Sim::with(accounts);
    let mut heard = Vec::new();
    for (called, user) in [(SALES, "branch"), ("0399999999", "branch"), (SALES, "nobody")] {
        let (id, _) = sim.fresh();
        let msg = invite(STRANGER, called, user, id).with_sdp(&offer_of(STRANGER));
        sim.sends(STRANGER, &msg);
        let refusal = sim.takes(STRANGER, "SIP/2.0 401");
        let names = refusal.headers.iter().map(|(name, _)| name.clone());
        heard.push(names.collect::<Vec<_>>());
    }
    assert!(heard.windows(2).all(|pair| pair[0] == pair[1]), "{heard:?}");
    // What is wrong with a message is told to nobody who has proved nothing.
    let mut broken = invite(STRANGER, SALES, "1", 9);
    broken.set("Max-Forwards", "seventy");
    sim.sends(STRANGER, &broken);
    assert_eq!(sim.world.inbox, []);
}

/// The credentials of `branch` for a call from the stranger's place, and the challenge.
fn proven(sim: &mut Sim, nth: u64) -> (Msg, Msg) {
    sim.sends(STRANGER, &call(STRANGER, nth));
    let refusal = sim.takes(STRANGER, "SIP/2.0 401");
    let second = call(STRANGER, nth + 1);
    let line = proof(&second, &refusal, ("branch", &password("branch")), Algorithm::Md5);
    (second.with("Authorization", &line), refusal)
}

#[test]
fn a_captured_password_of_a_trunk_is_worth_nothing_again() {
    let mut sim = Sim::with(accounts);
    let (second, _) = proven(&mut sim, 1);
    sim.sends(STRANGER, &second);
    sim.takes(STRANGER, "SIP/2.0 100");
    for (from, changed) in [(OTHER, "place"), (STRANGER, "count"), (STRANGER, "uri")] {
        let mut thief = second.clone();
        thief.set("Call-ID", changed);
        thief.set("Via", &format!("SIP/2.0/UDP {from};branch=z9hG4bK{changed}"));
        if changed == "uri" {
            thief.start = "INVITE sip:0311112223@192.0.2.10 SIP/2.0".to_owned();
        }
        sim.sends(from, &thief);
        let refusal = sim.takes(from, "SIP/2.0 401");
        let stale = refusal.header("WWW-Authenticate").contains("stale=true");
        assert_eq!(stale, changed != "uri", "{changed}: {refusal:?}");
    }
    sim.world.run(secs(301));
    sim.world.inbox.clear();
    let (late, _) = proven(&mut sim, 40);
    sim.world.run(secs(301));
    sim.sends(STRANGER, &late);
    let refusal = sim.takes(STRANGER, "SIP/2.0 401");
    assert!(refusal.header("WWW-Authenticate").contains("stale=true"));
    assert_eq!(sim.world.calls_started().len(), 1);
}

#[test]
fn a_guesser_is_shut_out_and_the_trunk_that_proved_itself_goes_on_calling() {
    let mut sim = Sim::with(accounts);
    let (second, _) = proven(&mut sim, 1);
    sim.sends(STRANGER, &second);
    sim.takes(STRANGER, "SIP/2.0 100");
    let mut heard = Vec::new();
    for nth in 0..12 {
        sim.sends(OTHER, &call(OTHER, 100 + 2 * nth));
        let refusal = sim.takes(OTHER, "SIP/2.0 401");
        let guess = call(OTHER, 101 + 2 * nth);
        let line = proof(&guess, &refusal, ("branch", "guess"), Algorithm::Md5);
        sim.sends(OTHER, &guess.with("Authorization", &line));
        heard.push(sim.takes(OTHER, "SIP/2.0 ").status().unwrap());
    }
    assert_eq!(heard, [[401; 10].as_slice(), &[403; 2]].concat());
    let begun = sim.world.calls_started().len();
    let (again, _) = proven(&mut sim, 50);
    sim.sends(STRANGER, &again);
    assert_eq!(outcome(&mut sim, STRANGER, begun), "branch");
}

#[test]
fn a_trunk_behind_nat_calls_by_its_password_and_is_reached_where_it_called_from() {
    let mut sim = Sim::with(accounts);
    sim.world.settle(Ua::by_hand(STRANGER));
    let refusal = sim.world.uas.remove(STRANGER).map(|ua| {
        sim.sends(STRANGER, &call(STRANGER, 1));
        let refusal = sim.takes(STRANGER, "SIP/2.0 401");
        sim.world.settle(ua);
        refusal
    });
    let mut second = call(STRANGER, 2);
    second.start = second.start.replace(SALES, DESK);
    second.set("Contact", "<sip:line@10.1.2.3:5099>");
    let who = ("branch", &*password("branch"));
    let line = proof(&second, &refusal.unwrap(), who, Algorithm::Sha256);
    let talks = sim.place(STRANGER, second.with("Authorization", &line), Quirks::default());
    let talks = talks.waits(secs(6)).rings(&["sato"]).answered_by("sato");
    let cdr = talks.waits(secs(5)).hung_up_by("sato");
    assert_eq!(cdr.trunk_in.unwrap().as_str(), "branch");
    assert_eq!(cdr.did, Some(number(DESK)));
    let caller = &sim.world.uas[STRANGER].sessions[0];
    assert!(caller.facts.bye_heard.is_some(), "the BYE went elsewhere");
    let answer = caller.facts.finally.clone().unwrap();
    assert_eq!(answer.status(), Some(200));
    // A hold that the end of the call has overtaken.
    let mut late = call(STRANGER, 9);
    for name in ["From", "To", "Call-ID"] {
        late.set(name, answer.header(name));
    }
    sim.world.uas.remove(STRANGER);
    sim.sends(STRANGER, &late);
    sim.takes(STRANGER, "SIP/2.0 481");
}

#[test]
fn a_stranger_hears_403_where_the_operator_wants_it_so_and_no_password_could_help() {
    let mut sim = Sim::guarded(UnknownPeer::Forbid, no_accounts);
    sim.sends(STRANGER, &call(STRANGER, 1));
    sim.takes(STRANGER, "SIP/2.0 403");
    let mut sim = Sim::guarded(UnknownPeer::Forbid, accounts);
    sim.sends(STRANGER, &call(STRANGER, 1));
    sim.takes(STRANGER, "SIP/2.0 401");
}

#[test]
fn two_trunks_at_one_address_have_each_its_own_calls_and_channels() {
    let mut sim = Sim::with(|office| {
        accounts(office);
        let east = office.trunks.iter_mut().find(|trunk| trunk.id == "east").unwrap();
        east.channels = 1;
    });
    sim.world.settle(Ua::by_hand(SHARED));
    let places = |sim: &mut Sim, user: &str| {
        let msg = dials(sim, SHARED, user, SALES);
        sim.place(SHARED, msg, Quirks::default()).at
    };
    let first = places(&mut sim, "east");
    let msg = dials(&mut sim, SHARED, "east", SALES);
    sim.place(SHARED, msg, Quirks::default()).gets(503, Some(34));
    let other = places(&mut sim, "west");
    for at in [first, other] {
        sim.world.at(SHARED, |ua, out| ua.sessions[at].acts(&Act::Cancel, out));
    }
    let begun = sim.ends().into_iter().map(|cdr| cdr.trunk_in.unwrap().to_string());
    let mut begun: Vec<String> = begun.collect();
    begun.sort();
    assert_eq!(begun, ["east", "east", "west"]);
}

#[test]
fn trunks_are_told_apart_at_one_address_only_if_each_has_an_account() {
    let mut office = crate::office::provisioning();
    accounts(&mut office);
    let network = Source { network: "203.0.113.0".parse().unwrap(), prefix_len: 24, port: None };
    for field in ["peers", "sources", "tls_name"] {
        let mut office = office.clone();
        let shared = |trunk: &&mut TrunkSpec| ["east", "west"].contains(&trunk.id.as_str());
        for trunk in office.trunks.iter_mut().filter(shared) {
            match field {
                "sources" => (trunk.sources, trunk.peers) = (vec![network], Vec::new()),
                "tls_name" => trunk.tls_name = Some("carrier.example".to_owned()),
                _ => {}
            }
        }
        assert!(Snapshot::compile(1, &office).is_ok(), "{field}");
        let west = office.trunks.iter_mut().find(|trunk| trunk.id == "west").unwrap();
        west.relation.auth_in = None;
        let faults = Snapshot::compile(1, &office).unwrap_err();
        let told: Vec<_> = faults.iter().map(|fault| (&*fault.key, &*fault.field)).collect();
        assert_eq!(told, [("west", field)]);
        assert!(faults[0].message.contains("auth_in"), "{}", faults[0].message);
    }
}
