use super::super::{Challenge, Credentials, HeaderId, Method, NameAddr, Scheme, Start, Uri, Via};
use super::{parse, request};
use crate::input::Transport;

#[test]
fn user_parts_of_telephony_are_taken_as_they_are() {
    for user in ["*21#0312345678", "0312345678;phone-context=+81", "a,b", "$x&y=1", "%23", "03+"] {
        let text = format!("sip:{user}@192.0.2.1");
        let uri = Uri::parse(&text).expect(user);
        assert_eq!((uri.user, uri.host), (Some(user), "192.0.2.1"));
    }
}

#[test]
fn malformed_uris_are_refused() {
    for text in [
        "",
        "sip",
        "sip:",
        "sip:@h",
        "sip::p@h",
        "sip:a@",
        "sip:a@b@c",
        "sip:a b@h",
        "sip:a@h h",
        "<sip:a@h>",
        "sip:a@h:0",
        "sip:a@h:65536",
        "sip:a@h:-1",
        "sip:a@h:",
        "sip:a@h;",
        "sip:%4@h",
        "sip:a@h;;lr",
        "sip:a@h;lr=",
        "sip:a@[::1",
        "sip:a@[::g]",
        "sip:2001:db8::1",
        "sip:a\"@h",
        "sip:a@h;p=[c@x",
        "sip:a\u{1}@h",
        "sip:a@h/x",
        "tel:",
        "tel:abcxyz",
        "1sip:a",
        "mail to:a",
    ] {
        assert!(Uri::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_uri_is_taken_apart() {
    let uri =
        Uri::parse("SIPS:a%20b:pw@[2001:db8::1]:5061;transport=TCP;LR?Subject=x").expect("URI");
    assert_eq!((uri.scheme, uri.user, uri.password), (Scheme::Sips, Some("a%20b"), Some("pw")));
    assert_eq!((uri.host, uri.port), ("2001:db8::1", Some(5061)));
    assert_eq!(uri.transport(), Some(Transport::Tls));
    assert!(uri.params.has("lr"));
    assert_eq!(uri.headers, Some("Subject=x"));
    assert_eq!(uri.unescaped_user(), "a b");
    assert_eq!(uri.ip(), "2001:db8::1".parse().ok());
}

#[test]
fn a_transport_parameter_is_read_in_any_case() {
    for (text, transport) in [
        ("sip:h;transport=UDP", Some(Transport::Udp)),
        ("sip:h;Transport=tcp", Some(Transport::Tcp)),
        ("sip:h;transport=tls", Some(Transport::Tls)),
        ("sip:h;transport=sctp", None),
        ("sip:h", None),
        ("sips:h", Some(Transport::Tls)),
    ] {
        assert_eq!(Uri::parse(text).expect(text).transport(), transport, "{text}");
    }
}

#[test]
fn a_tel_uri_has_its_number_as_user() {
    let uri = Uri::parse("tel:+81-3-1234-5678;phone-context=+81").expect("URI");
    assert_eq!((uri.scheme, uri.user), (Scheme::Tel, Some("+81-3-1234-5678")));
    assert_eq!(uri.params.get("Phone-Context"), Some("+81"));
}

#[test]
fn quotes_and_brackets_shield_what_looks_like_structure() {
    let text = "\"a\\\"..<sip:x@y> ;tag=no, \" <sip:b@h;x=1>;tag=f1;q=\"a;tag=n,o\"";
    let address = NameAddr::parse(text).expect("an address");
    assert_eq!(address.tag(), Some("f1"));
    assert_eq!(address.uri.raw, "sip:b@h;x=1");
    assert_eq!(address.display, Some("a\\\"..<sip:x@y> ;tag=no, "));
    assert_eq!(address.params.get("Q"), Some("a;tag=n,o"));
}

#[test]
fn malformed_addresses_are_refused() {
    for text in [
        "",
        "<sip:a@h",
        "\"x <sip:a@h>",
        "sip:a@h>",
        "<sip:a@h>x",
        "<sip:a@h>;",
        "<sip:a@h>;=x",
        "<sip:a@h>;tag=",
        "\"x\" sip:a@h",
        "a, b <sip:a@h>",
        "sip:a@h?x=y",
        "<sip:a@h>;t=\"x",
        "<sip:a@h> <sip:b@h>",
        "*",
    ] {
        assert!(NameAddr::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_display_name_in_another_encoding_does_not_harm_the_address() {
    let address = NameAddr::parse(b"\"\x93\xfa\x96\x7b\" <sip:a@h>;tag=x").expect("Shift_JIS");
    assert_eq!((address.display, address.tag()), (None, Some("x")));
    let mut bytes = request("").into_bytes();
    let from = bytes.windows(6).position(|w| w == b"From: ").expect("From") + 6;
    bytes.splice(from..from, *b"\"\x93\xfa\" ");
    let message = parse(&bytes);
    assert_eq!(message.check_request(), Ok(()));
    assert_eq!(message.from().expect("From").tag(), Some("f"));
    assert_eq!(message.call_id(), Ok("c1"));
}

#[test]
fn addresses_run_over_commas_and_repeated_fields() {
    let text = request(
        "Diversion: \"a, b\" <sip:1@h;x=,>;reason=user-busy, <sip:2@h>\r\n\
         diversion: sip:3@h;counter=1\r\n",
    );
    let users: Vec<_> = parse(text.as_bytes())
        .addresses(HeaderId::Diversion)
        .map(|address| address.expect("an address").uri.user.unwrap_or_default())
        .collect();
    assert_eq!(users, ["1", "2", "3"]);
}

#[test]
fn a_list_ends_after_its_first_malformed_address() {
    let text = request("Route: <sip:1@h>,, <sip:2@h>\r\nRoute: <sip:3@h>\r\n");
    let outcomes: Vec<_> =
        parse(text.as_bytes()).addresses(HeaderId::Route).map(|address| address.is_ok()).collect();
    assert_eq!(outcomes, [true, false]);
}

#[test]
fn a_via_gives_its_parts() {
    let via = Via::parse(b"SIP / 2.0 / udp [2001:db8::1] : 5070 ;rport;Branch=z9hG4bKx;maddr=h")
        .expect("Via");
    assert_eq!((via.transport, via.host, via.port), ("udp", "2001:db8::1", Some(5070)));
    assert_eq!((via.branch, via.rport, via.maddr), (Some("z9hG4bKx"), Some(None), Some("h")));
    let via = Via::parse(b"SIP/2.0/UDP h;rport=5;received=[::1]").expect("Via");
    assert_eq!((via.rport, via.received), (Some(Some(5)), Some("::1")));
    assert_eq!(via.raw, b"SIP/2.0/UDP h;rport=5;received=[::1]");
    for text in [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0 h",
        "SIP/1.0/UDP h",
        "X/2.0/UDP h",
        "SIP/2.0/UDPh",
        "SIP/2.0/UDP h;",
    ] {
        assert!(Via::parse(text.as_bytes()).is_err(), "{text:?}");
    }
}

#[test]
fn digest_credentials_are_read_quote_aware() {
    let text = "Digest username=\"a,b\", realm = \"r\\\"x\" ,nonce=\"n\",uri=\"sip:h\",\
                response=\"0f\", algorithm=MD5,qop=auth,nc=00000001,cnonce=\"c=\",future=x";
    let found = Credentials::parse(text.as_bytes()).expect("credentials");
    assert_eq!((found.username, found.realm, found.nonce), ("a,b", "r\\\"x", "n"));
    assert_eq!((found.uri, found.response), ("sip:h", "0f"));
    assert_eq!((found.algorithm, found.qop), (Some("MD5"), Some("auth")));
    assert_eq!((found.nc, found.cnonce), (Some("00000001"), Some("c=")));
    for text in [
        "Basic dXNlcjpwYXNz",
        "Digest",
        "Digest username=\"a\"",
        "Digest username=\"a\",username=\"b\",realm=\"r\",nonce=\"n\",uri=\"u\",response=\"x\"",
        "Digest username=\"a\" realm=\"r\",nonce=\"n\",uri=\"u\",response=\"x\"",
        "Digest username=\"a,realm=\"r\",nonce=\"n\",uri=\"u\",response=\"x\"",
    ] {
        assert_eq!(Credentials::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_challenge_says_whether_the_nonce_was_stale() {
    let text = "digest realm=\"r\", nonce=\"n\", stale=TRUE, qop=\"auth,auth-int\", opaque=\"\"";
    let found = Challenge::parse(text.as_bytes()).expect("a challenge");
    assert!(found.stale);
    assert_eq!((found.qop, found.opaque), (Some("auth,auth-int"), Some("")));
    assert_eq!(Challenge::parse(b"Digest realm=\"r\""), None);
}

#[test]
fn lists_of_tokens_lose_their_parameters_and_empty_elements() {
    let text = request("Supported: timer,, 100rel ;x=y\r\nk:\r\nk: replaces\r\n");
    let tokens: Vec<_> = parse(text.as_bytes()).tokens(HeaderId::Supported).collect();
    assert_eq!(tokens, ["timer", "100rel", "replaces"]);
}

#[test]
fn methods_are_case_sensitive_and_rack_is_read() {
    assert_eq!(Method::parse("invite"), Method::Other("invite"));
    let text = request("RAck: 776656 1 INVITE\r\nSession-Expires: 1800;refresher=uac\r\n");
    let message = parse(text.as_bytes());
    let rack = message.rack().expect("RAck");
    assert_eq!((rack.response, rack.cseq.number, rack.cseq.method), (776_656, 1, Method::Invite));
    assert_eq!(message.leading_number(HeaderId::SessionExpires), Some(1800));
}

#[test]
fn line_feeds_alone_end_lines_and_leading_line_ends_are_skipped() {
    let text = format!("\r\n\n{}", request("l: 2\r\n").replace("\r\n", "\n"));
    let text = format!("{text}ok, this is beyond");
    let message = parse(text.as_bytes());
    assert_eq!(message.check_request(), Ok(()));
    assert_eq!(message.body(), b"ok");
    assert!(matches!(message.start(), Start::Request { method: Method::Invite, .. }));
}

#[test]
fn a_body_may_hold_anything() {
    let mut bytes = request("").into_bytes();
    bytes.extend_from_slice(b"\0\r\n\r\n\xff\xfe");
    assert_eq!(parse(&bytes).body(), b"\0\r\n\r\n\xff\xfe");
}

#[test]
fn a_star_contact_is_for_register_alone() {
    let invite = request("Contact: *\r\n");
    assert!(parse(invite.as_bytes()).check_request().is_err());
    let register = invite.replace("INVITE", "REGISTER");
    let message = parse(register.as_bytes());
    assert_eq!(message.check_request(), Ok(()));
    assert!(message.contact_is_star());
    let both = register.replace("Contact: *\r\n", "Contact: *\r\nm: <sip:a@h>\r\n");
    assert!(parse(both.as_bytes()).check_request().is_err());
}
