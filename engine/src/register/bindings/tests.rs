use super::*;
use crate::input::{ListenerId, Transport};

const HOME: &str = "192.0.2.1:5060";
const MOBILE: &str = "198.51.100.7:40000";

fn office() -> Bindings {
    Bindings::new(ContactLimit::default())
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(seconds)
}

fn flow(remote: &str) -> Flow {
    Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        remote: remote.parse().unwrap(),
        connection: 0,
    }
}

/// A phone: its address and the Call-ID it registers under.
#[derive(Clone, Copy)]
struct Phone {
    remote: &'static str,
    call_id: &'static str,
}

const DESK: Phone = Phone { remote: HOME, call_id: "desk" };

/// Registers user 101 at `second` with these header lines.
fn register(
    bindings: &mut Bindings,
    second: u64,
    phone: Phone,
    cseq: u32,
    lines: &[&str],
) -> Result<Update, Refusal> {
    let Phone { remote, call_id } = phone;
    let text = format!(
        "REGISTER sip:example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP {remote};branch=z9hG4bK{call_id}{cseq}\r\n\
         From: <sip:101@example.com>;tag=1\r\n\
         To: <sip:101@example.com>\r\n\
         Call-ID: {call_id}\r\n\
         CSeq: {cseq} REGISTER\r\n\
         {}\r\n\r\n",
        lines.join("\r\n")
    );
    let msg = Message::parse_datagram(text.as_bytes()).unwrap();
    bindings.register(at(second), &Key::from("101"), &msg, flow(remote))
}

fn contacts(bindings: &Bindings, second: u64) -> Vec<String> {
    bindings.of("101").iter().map(|binding| binding.contact(at(second))).collect()
}

#[test]
fn a_phone_is_bound_to_its_contact_as_written_and_to_the_way_it_came() {
    let mut bindings = office();
    let line = "Contact: \"Desk\" <sip:101@10.0.0.7:5062;ob?X-Line=%31>;q=0.7;expires=120";
    let update = register(&mut bindings, 0, DESK, 1, &[line]).unwrap();
    assert_eq!((update.refreshed.len(), update.removed.len()), (1, 0));
    let binding = &bindings.of("101")[0];
    assert_eq!(&*binding.uri, "sip:101@10.0.0.7:5062;ob?X-Line=%31");
    assert_eq!((binding.flow, binding.expires), (flow(HOME), at(120)));
    assert_eq!(contacts(&bindings, 50), ["<sip:101@10.0.0.7:5062;ob?X-Line=%31>;q=0.7;expires=70"]);
    assert_eq!(binding.target(), "sip:101@10.0.0.7:5062;ob");
}

#[test]
fn the_contacts_own_expiry_beats_the_header_and_both_are_held_within_limits() {
    for (lines, seconds) in [
        (&["Contact: <sip:a@b>;expires=90", "Expires: 300"][..], 90),
        (&["Contact: <sip:a@b>", "Expires: 300"], 300),
        (&["Contact: <sip:a@b>"], 3_600),
        (&["Contact: <sip:a@b>;expires=soon"], 3_600),
        (&["Contact: <sip:a@b>", "Expires: 86400"], 7_200),
        (&["Contact: <sip:a@b>;expires=60"], 60),
    ] {
        let mut bindings = office();
        register(&mut bindings, 0, DESK, 1, lines).unwrap();
        assert_eq!(bindings.next_expiry(), Some(at(seconds)), "{lines:?}");
    }
}

#[test]
fn too_brief_an_expiry_is_423_with_the_least_one() {
    let mut bindings = office();
    let refused = register(&mut bindings, 0, DESK, 1, &["Contact: <sip:a@b>;expires=59"]);
    let refusal = refused.unwrap_err();
    assert_eq!((refusal.status(), refusal.header()), (423, Some("Min-Expires: 60\r\n".to_owned())));
    assert_eq!(bindings.len(), 0);
}

#[test]
fn a_refresh_moves_the_expiry_and_the_way_back() {
    let mut bindings = office();
    register(&mut bindings, 0, DESK, 1, &["Contact: <sip:101@10.0.0.7>;expires=60"]).unwrap();
    let moved = Phone { remote: MOBILE, ..DESK };
    register(&mut bindings, 50, moved, 2, &["Contact: <sip:101@10.0.0.7>;expires=60"]).unwrap();
    assert_eq!(bindings.len(), 1);
    assert_eq!(bindings.of("101")[0].flow, flow(MOBILE));
    assert_eq!(bindings.next_expiry(), Some(at(110)));
}

#[test]
fn two_phones_with_one_private_address_behind_two_routers_are_two() {
    let mut bindings = office();
    let line = ["Contact: <sip:101@192.168.0.10:5060>"];
    register(&mut bindings, 0, DESK, 1, &line).unwrap();
    register(&mut bindings, 0, Phone { remote: MOBILE, call_id: "m" }, 1, &line).unwrap();
    let flows: Vec<_> = bindings.of("101").iter().map(|binding| binding.flow).collect();
    assert_eq!(flows, [flow(HOME), flow(MOBILE)]);
}

#[test]
fn a_rebooted_phone_takes_over_its_own_binding() {
    let mut bindings = office();
    register(&mut bindings, 0, DESK, 90, &["Contact: <sip:101@10.0.0.7>"]).unwrap();
    let rebooted = Phone { call_id: "after-boot", ..DESK };
    register(&mut bindings, 9, rebooted, 1, &["Contact: <sip:101@10.0.0.7>"]).unwrap();
    assert_eq!(contacts(&bindings, 9), ["<sip:101@10.0.0.7>;expires=3600"]);
}

#[test]
fn expires_0_takes_one_phone_away_and_leaves_the_other() {
    let mut bindings = office();
    let two = ["Contact: <sip:a@10.0.0.1>, <sip:b@10.0.0.2>"];
    register(&mut bindings, 0, DESK, 1, &two).unwrap();
    let update =
        register(&mut bindings, 5, DESK, 2, &["Contact: <sip:a@10.0.0.1>", "Expires: 0"]).unwrap();
    assert_eq!(&*update.removed[0].uri, "sip:a@10.0.0.1");
    assert_eq!(contacts(&bindings, 5), ["<sip:b@10.0.0.2>;expires=3595"]);
    let unknown = register(&mut bindings, 6, DESK, 3, &["Contact: <sip:x@y>;expires=0"]);
    assert_eq!(unknown, Ok(Update::default()));
}

#[test]
fn the_star_takes_all_phones_away_and_only_with_expires_0() {
    let mut bindings = office();
    register(&mut bindings, 0, DESK, 1, &["Contact: <sip:a@b>, <sip:c@d>"]).unwrap();
    for lines in [
        &["Contact: *"][..],
        &["Contact: *", "Expires: 60"],
        &["Contact: *", "Contact: <sip:a@b>", "Expires: 0"],
    ] {
        let refusal = register(&mut bindings, 1, DESK, 2, lines).unwrap_err();
        assert_eq!((refusal, refusal.status()), (Refusal::Star, 400));
    }
    let mixed = register(&mut bindings, 1, DESK, 2, &["Contact: *, <sip:a@b>", "Expires: 0"]);
    assert_eq!(mixed.unwrap_err().status(), 400);
    let late = register(&mut bindings, 1, DESK, 1, &["Contact: *", "Expires: 0"]);
    assert_eq!(late, Err(Refusal::OutOfOrder));
    assert_eq!(bindings.len(), 2);
    let update = register(&mut bindings, 1, DESK, 2, &["Contact: *", "Expires: 0"]).unwrap();
    assert_eq!((update.removed.len(), bindings.len(), bindings.next_expiry()), (2, 0, None));
}

#[test]
fn a_request_without_contact_asks_and_changes_nothing() {
    let mut bindings = office();
    register(&mut bindings, 0, DESK, 1, &["Contact: <sip:a@b>"]).unwrap();
    let before = bindings.of("101").to_vec();
    assert_eq!(register(&mut bindings, 9, DESK, 2, &["Expires: 0"]), Ok(Update::default()));
    assert_eq!(bindings.of("101"), before);
}

#[test]
fn a_register_that_was_overtaken_changes_nothing() {
    let mut bindings = office();
    register(&mut bindings, 0, DESK, 7, &["Contact: <sip:a@b>"]).unwrap();
    let before = bindings.of("101").to_vec();
    for cseq in [6, 7] {
        let late = register(&mut bindings, 1, DESK, cseq, &["Contact: <sip:new@b>, <sip:a@b>"]);
        assert_eq!((late, Refusal::OutOfOrder.status()), (Err(Refusal::OutOfOrder), 500));
    }
    assert_eq!(bindings.of("101"), before);
}

#[test]
fn one_bad_contact_refuses_the_good_ones_beside_it() {
    let mut bindings = office();
    for (contact, status) in [
        ("<sip:a@b>, <sip:c@d>;expires=5", 423),
        ("<sip:a@b>, <tel:+81312345678>", 400),
        ("<sip:a@b>, <sip:", 400),
    ] {
        let line = format!("Contact: {contact}");
        let refusal = register(&mut bindings, 0, DESK, 1, &[&line]).unwrap_err();
        assert_eq!(refusal.status(), status, "{contact}");
    }
    assert_eq!((bindings.len(), bindings.next_expiry()), (0, None));
}

#[test]
fn the_eleventh_phone_replaces_the_one_heard_of_longest_ago() {
    let mut bindings = office();
    for n in 0..10 {
        let line = format!("Contact: <sip:phone{n}@b>;expires=7200");
        register(&mut bindings, n, DESK, n as u32 + 1, &[&line]).unwrap();
    }
    let line = ["Contact: <sip:phone0@b>;expires=60"];
    register(&mut bindings, 20, DESK, 20, &line).unwrap();
    let update = register(&mut bindings, 30, DESK, 30, &["Contact: <sip:new@b>"]).unwrap();
    assert_eq!(&*update.removed[0].uri, "sip:phone1@b");
    assert_eq!(bindings.len(), 10);
    let many = format!("Contact: {}", ["<sip:a@b>"; 11].join(", "));
    let refused = register(&mut bindings, 40, DESK, 40, &[&many]);
    assert_eq!(refused, Err(Refusal::TooManyContacts));
}

#[test]
fn a_contact_written_twice_in_one_request_is_one_phone() {
    let mut bindings = office();
    let update = register(&mut bindings, 0, DESK, 1, &["Contact: <sip:a@b>, <sip:a@B>"]).unwrap();
    assert_eq!((update.refreshed.len(), update.removed.len(), bindings.len()), (1, 0, 1));
}

#[test]
fn phones_expire_one_by_one_at_their_second() {
    let mut bindings = office();
    register(&mut bindings, 0, DESK, 1, &["Contact: <sip:a@b>;expires=60, <sip:c@d>;expires=90"])
        .unwrap();
    assert_eq!(bindings.expire(at(59)), []);
    assert_eq!(bindings.next_expiry(), Some(at(60)));
    let gone = bindings.expire(at(60));
    assert_eq!((gone.len(), &*gone[0].1.uri, gone[0].0.as_str()), (1, "sip:a@b", "101"));
    assert_eq!((bindings.len(), bindings.next_expiry()), (1, Some(at(90))));
    assert_eq!(bindings.expire(at(1_000)).len(), 1);
    assert_eq!((bindings.len(), bindings.next_expiry()), (0, None));
}

#[test]
fn a_forgotten_user_has_no_phone() {
    let mut bindings = office();
    register(&mut bindings, 0, DESK, 1, &["Contact: <sip:a@b>"]).unwrap();
    assert!(bindings.is_at("101", "192.0.2.1".parse().unwrap()));
    assert_eq!(bindings.forget(&Key::from("101")).len(), 1);
    assert_eq!((bindings.of("101"), bindings.next_expiry()), (&[][..], None));
}

#[test]
fn an_address_is_known_while_a_phone_is_bound_to_it() {
    let mut bindings = office();
    let [home, mobile]: [IpAddr; 2] = [HOME, MOBILE].map(|text| flow(text).remote.ip());
    register(&mut bindings, 0, DESK, 1, &["Contact: <sip:a@b>, <sip:c@d>"]).unwrap();
    assert!(bindings.is_from(home));
    let moved = Phone { remote: MOBILE, ..DESK };
    register(&mut bindings, 5, moved, 2, &["Contact: <sip:a@b>;expires=60"]).unwrap();
    assert!(bindings.is_from(home) && bindings.is_from(mobile));
    bindings.expire(at(65));
    assert!(bindings.is_from(home) && !bindings.is_from(mobile));
    register(&mut bindings, 70, moved, 3, &["Contact: *", "Expires: 0"]).unwrap();
    assert!(!bindings.is_from(home));
}

#[test]
fn parameters_of_a_contact_are_listed_as_they_were_written() {
    let mut bindings = office();
    let line = "Contact: <sip:101@h;x=%41>;+sip.instance=\"<urn:uuid:0-1>\";\r\n \
                Unknown=a ; q=0.5;expires=90;reg-id=1";
    register(&mut bindings, 0, DESK, 1, &[line]).unwrap();
    assert_eq!(
        contacts(&bindings, 0),
        ["<sip:101@h;x=%41>;+sip.instance=\"<urn:uuid:0-1>\";Unknown=a;q=0.5;reg-id=1;expires=90"]
    );
}

#[test]
fn the_path_of_a_phone_is_kept_whether_or_not_it_knows_of_paths() {
    let path = "Path: <sip:edge.example.com;lr>, <sip:p2.example.com;lr>";
    for supported in ["Supported: gruu", "Supported: gruu, path"] {
        let mut bindings = office();
        let lines = ["Contact: <sip:a@b>", path, supported];
        register(&mut bindings, 0, DESK, 1, &lines).unwrap();
        let kept: Vec<&str> = bindings.of("101")[0].path.iter().map(|hop| &**hop).collect();
        assert_eq!(kept, ["<sip:edge.example.com;lr>", "<sip:p2.example.com;lr>"], "{supported}");
    }
}

#[test]
fn what_is_longer_than_any_phone_writes_is_not_kept() {
    let mut bindings = office();
    let long = "x".repeat(LONGEST_CONTACT);
    let hops = "<sip:p;lr>, ".repeat(MOST_PATHS);
    for lines in [
        &[format!("Contact: <sip:a@b>;long={long}")][..],
        &["Contact: <sip:a@b>".into(), format!("Path: {hops}<sip:p>"), "Supported: path".into()],
        &["Contact: <sip:a@b>".into(), format!("Path: <sip:{long}>"), "Supported: path".into()],
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(register(&mut bindings, 0, DESK, 1, &lines), Err(Refusal::TooLong));
    }
    assert_eq!(bindings.len(), 0);
}

#[test]
fn a_full_extension_refuses_one_phone_more_where_it_is_set_so() {
    let mut bindings = Bindings::new(ContactLimit { most: 2, replace_oldest: false });
    register(&mut bindings, 0, DESK, 1, &["Contact: <sip:a@b>, <sip:c@d>"]).unwrap();
    let refused = register(&mut bindings, 1, DESK, 2, &["Contact: <sip:e@f>"]);
    assert_eq!(refused, Err(Refusal::TooManyContacts));
    register(&mut bindings, 2, DESK, 3, &["Contact: <sip:a@b>"]).unwrap();
    assert_eq!(bindings.len(), 2);
}
