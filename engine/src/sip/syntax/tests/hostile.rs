use super::super::{
    HeaderId, MAX_DATAGRAM, MAX_HEADER_LINE, MAX_HEADERS, Message, ParseError, ParseErrorKind,
};
use super::{parse, request};

fn fault(bytes: &[u8]) -> ParseErrorKind {
    match Message::parse_datagram(bytes) {
        Err(ParseError { kind }) => kind,
        Ok(message) => message.check_request().expect_err("a fault").kind,
    }
}

#[test]
fn only_white_space_may_stand_between_a_name_and_its_colon() {
    let plain = request("");
    for byte in 0..=u8::MAX {
        let mut bytes = plain.clone().into_bytes();
        let colon = plain.find("To:").expect("To") + 2;
        bytes.insert(colon, byte);
        let message = Message::parse_datagram(&bytes);
        let meant = message.as_ref().is_ok_and(|m| {
            m.check_request().is_ok() && m.to().is_ok_and(|to| to.uri.user == Some("0312345678"))
        });
        // A second colon makes a value with a colon at its front, which is no address.
        assert_eq!(meant, matches!(byte, b' ' | b'\t'), "byte {byte}");
        if !meant {
            let refused = message.is_ok_and(|m| m.check_request().is_err());
            assert!(refused, "byte {byte} is refused and can be answered");
        }
    }
}

#[test]
fn a_byte_before_a_name_is_never_overlooked() {
    let plain = request("");
    for byte in 0..=u8::MAX {
        let mut bytes = plain.clone().into_bytes();
        bytes.insert(plain.find("To:").expect("To"), byte);
        // White space folds the line into From, a line end ends the header block, a letter makes
        // another name: To is missing or From is malformed, whichever it is.
        let message = Message::parse_datagram(&bytes).expect("can be answered");
        assert!(message.check_request().is_err(), "byte {byte}");
        assert!(message.to().is_err(), "byte {byte}");
    }
}

#[test]
fn forms_of_a_name_that_hide_it_elsewhere_are_all_found() {
    let forms = [
        "P-Asserted-Identity: <sip:a@x>\r\n",
        "P-Asserted-Identity : <sip:a@x>\r\n",
        "P-Asserted-Identity\t: <sip:a@x>\r\n",
        "p-asserted-IDENTITY:<sip:a@x>\r\n",
        "P-Asserted-Identity:\r\n <sip:a@x>\r\n",
        "P-Asserted-Identity:\r\n\t\r\n\t<sip:a@x>\r\n",
        "P-Asserted-Identity: <sip:a@x>\n",
    ];
    for form in forms {
        let text = request(form);
        let message = parse(text.as_bytes());
        assert_eq!(message.check_request(), Ok(()), "{form:?}");
        assert_eq!(message.first(HeaderId::PAssertedIdentity), Some(&b"<sip:a@x>"[..]), "{form:?}");
    }
    let twice = request(&forms.concat());
    assert_eq!(parse(twice.as_bytes()).count(HeaderId::PAssertedIdentity), forms.len());
}

#[test]
fn a_carriage_return_alone_ends_no_line_and_is_refused() {
    for line in ["X-A: b\rTo: <sip:evil@x>\r\n", "\rX-A: b\r\n", "X-A\r: b\r\n", "X-A: b\r\r\n"] {
        assert_eq!(fault(request(line).as_bytes()), ParseErrorKind::HeaderLine, "{line:?}");
    }
}

#[test]
fn every_single_valued_field_is_refused_twice() {
    let fields = [
        ("From: <sip:b@x>;tag=g\r\n", HeaderId::From),
        ("t: <sip:b@x>\r\n", HeaderId::To),
        ("i: c2\r\n", HeaderId::CallId),
        ("CSeq: 1 INVITE\r\n", HeaderId::CSeq),
        ("Max-Forwards: 70\r\n", HeaderId::MaxForwards),
        ("l: 0\r\nContent-Length: 0\r\n", HeaderId::ContentLength),
        ("Content-Type: a/b\r\nc: a/b\r\n", HeaderId::ContentType),
    ];
    for (lines, id) in fields {
        assert_eq!(fault(request(lines).as_bytes()), ParseErrorKind::Repeated(id), "{lines:?}");
    }
}

#[test]
fn every_mandatory_field_is_missed() {
    let plain = request("");
    let fields = [
        ("Via: ", HeaderId::Via),
        ("From: ", HeaderId::From),
        ("To: ", HeaderId::To),
        ("Call-ID: ", HeaderId::CallId),
        ("CSeq: ", HeaderId::CSeq),
    ];
    for (name, id) in fields {
        let without: String =
            plain.split_inclusive("\r\n").filter(|line| !line.starts_with(name)).collect();
        assert_eq!(fault(without.as_bytes()), ParseErrorKind::Missing(id));
    }
}

#[test]
fn two_tags_or_two_branches_are_refused() {
    let plain = request("");
    let twice = plain.replace(";tag=f", ";tag=f;TAG=g");
    assert_eq!(fault(twice.as_bytes()), ParseErrorKind::Malformed(HeaderId::From));
    let twice = plain.replace(";branch=z9hG4bKa", ";branch=z9hG4bKa;Branch=z9hG4bKb");
    assert_eq!(fault(twice.as_bytes()), ParseErrorKind::Malformed(HeaderId::Via));
}

#[test]
fn numbers_out_of_range_are_refused() {
    let plain = request("");
    let cases = [
        ("CSeq: 1 ", "CSeq: 2147483648 ", HeaderId::CSeq),
        ("CSeq: 1 ", "CSeq: -1 ", HeaderId::CSeq),
        ("CSeq: 1 ", "CSeq: 1", HeaderId::CSeq),
        ("Forwards: 70", "Forwards: 256", HeaderId::MaxForwards),
        ("Forwards: 70", "Forwards: 7O", HeaderId::MaxForwards),
        ("192.0.2.2;", "192.0.2.2:-1;", HeaderId::Via),
        ("192.0.2.2;", "192.0.2.2:0;", HeaderId::Via),
        ("192.0.2.2;", "192.0.2.2:65536;", HeaderId::Via),
        ("192.0.2.2;", "192.0.2.2;rport=65536;", HeaderId::Via),
    ];
    for (from, to, id) in cases {
        let text = plain.replace(from, to);
        assert_eq!(fault(text.as_bytes()), ParseErrorKind::Malformed(id), "{to}");
    }
    for length in ["-1", "+0", "1", "4294967296", "99999999999999999999999", "0x0", ""] {
        let text = request(&format!("Content-Length: {length}\r\n"));
        assert_eq!(fault(text.as_bytes()), ParseErrorKind::ContentLength, "{length}");
    }
}

#[test]
fn keep_alives_and_noise_are_dropped_without_an_answer() {
    for (bytes, kind) in [
        (&b""[..], ParseErrorKind::Empty),
        (b"\r\n\r\n", ParseErrorKind::Empty),
        (b"\0\0\0\0", ParseErrorKind::NotSip),
        (b"\0\x01\0\0\x21\x12\xa4\x42\n", ParseErrorKind::NotSip),
        (b"GET / HTTP/1.1\r\n\r\n", ParseErrorKind::NotSip),
        (b"INVITE sip:a@b\r\n\r\n", ParseErrorKind::NotSip),
        (b"INV\x01TE sip:a@b SIP/2.0\r\n\r\n", ParseErrorKind::NotSip),
    ] {
        let fault = Message::parse_datagram(bytes).expect_err("dropped");
        assert_eq!((fault.kind, fault.status()), (kind, None), "{bytes:?}");
    }
}

#[test]
fn limits_hold_at_their_edges() {
    let fits = request(&"X-A: y\r\n".repeat(MAX_HEADERS - 6));
    assert_eq!(parse(fits.as_bytes()).check_request(), Ok(()));
    assert_eq!(parse(fits.as_bytes()).headers().count(), MAX_HEADERS);
    let over = request(&"X-A: y\r\n".repeat(MAX_HEADERS - 5));
    assert_eq!(fault(over.as_bytes()), ParseErrorKind::TooManyHeaders);

    let line = |len: usize| request(&format!("X-A: {}\r\n", "y".repeat(len - 5)));
    assert_eq!(parse(line(MAX_HEADER_LINE).as_bytes()).check_request(), Ok(()));
    assert_eq!(fault(line(MAX_HEADER_LINE + 1).as_bytes()), ParseErrorKind::HeaderTooLong);

    let mut large = request("").into_bytes();
    large.resize(MAX_DATAGRAM, 0);
    assert_eq!(parse(&large).check_request(), Ok(()));
    large.push(0);
    assert_eq!(fault(&large), ParseErrorKind::TooLarge);
}

#[test]
fn a_header_block_that_does_not_end_is_refused_at_every_length() {
    let text = request("l: 0\r\n");
    for length in 0..text.len() {
        let cut = text.get(..length).expect("ASCII").as_bytes();
        let outcome = Message::parse_datagram(cut).and_then(|m| m.check_request());
        assert!(outcome.is_err(), "{length} bytes");
    }
}

#[test]
fn a_malformed_request_can_still_be_answered() {
    let text = request("X-A\u{1}: b\r\nSubject: s\r\n");
    let message = parse(text.as_bytes());
    assert!(message.check_request().is_err());
    assert_eq!(message.top_via().expect("Via").branch, Some("z9hG4bKa"));
    assert_eq!(message.text(HeaderId::Subject), Some("s"));
}

#[test]
fn a_malformed_response_is_no_message() {
    for text in [
        "SIP/2.0 200 OK\r\nX-A\u{1}: b\r\n\r\n",
        "SIP/2.0 200 OK\r\nContent-Length: 5\r\n\r\n",
        "SIP/2.0 99 Low\r\n\r\n",
        "SIP/2.0 700 High\r\n\r\n",
        "SIP/2.0 2OO OK\r\n\r\n",
        "SIP/3.0 200 OK\r\n\r\n",
    ] {
        assert!(Message::parse_datagram(text.as_bytes()).is_err(), "{text:?}");
    }
}
