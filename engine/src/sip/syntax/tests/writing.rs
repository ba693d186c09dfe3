use super::super::{HeaderId, Message, Start, Writer, reason_phrase};
use super::{parse, request};

#[test]
fn a_message_is_written_whole() {
    let mut buf = b"old".to_vec();
    Writer::request(&mut buf, "INVITE", "sip:a@h")
        .header(HeaderId::CallId, "c1")
        .named("X-Y", b"z")
        .number(HeaderId::MaxForwards, 70)
        .line(format_args!("CSeq: {} INVITE", 7))
        .finish(Some("application/sdp"), b"v=0\r\n");
    let expected = "INVITE sip:a@h SIP/2.0\r\nCall-ID: c1\r\nX-Y: z\r\nMax-Forwards: 70\r\n\
                    CSeq: 7 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";
    assert_eq!(String::from_utf8_lossy(&buf), expected);
    Writer::response(&mut buf, 486, reason_phrase(486)).finish(None, b"");
    assert_eq!(buf, b"SIP/2.0 486 Busy Here\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn no_value_begins_a_line_of_its_own() {
    let evil = "x\r\nTo: <sip:evil@h>\r\n\r\nv=0\0\u{1b}\u{7f}";
    let mut buf = Vec::new();
    Writer::request(&mut buf, "OPTIONS", "sip:a@h SIP/2.0\r\nTo: x")
        .header(HeaderId::Subject, evil)
        .named(&format!("X{evil}"), evil)
        .line(format_args!("Y: {evil}"))
        .finish(Some(evil), b"");
    let text = String::from_utf8(buf).expect("text");
    assert_eq!(text.matches('\n').count(), 7, "{text:?}");
    assert!(!text.contains("\nTo:") && !text.contains(['\0', '\u{1b}', '\u{7f}']), "{text:?}");
    let mut buf = Vec::new();
    Writer::response(&mut buf, 200, evil).finish(None, b"");
    assert_eq!(buf.iter().filter(|b| **b == b'\n').count(), 3);
}

#[test]
fn what_passes_through_is_the_same_field_on_one_line() {
    let text = request(
        "Identity: a.b.c;info=<https://x/y>;alg=ES256\r\n\
         x-folded : one\r\n\ttwo\r\n \r\n   three\r\n\
         X-Lf: one\n two\r\n\
         X-Nul: a\0b\r\n\
         X-Empty:\r\n",
    );
    let message = parse(text.as_bytes());
    let mut buf = Vec::new();
    let mut writer = Writer::request(&mut buf, "INVITE", "sip:a@h");
    for header in message.headers().filter(|header| !header.name.eq_ignore_ascii_case("via")) {
        writer.copy(&header);
    }
    writer.copy_all(&message, HeaderId::Via).finish(None, b"");
    let out = String::from_utf8(buf).expect("text");
    for line in [
        "Identity: a.b.c;info=<https://x/y>;alg=ES256",
        "x-folded: one two three",
        "X-Lf: one two",
        "X-Nul: a b",
        "X-Empty:",
        "Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa",
    ] {
        assert!(out.contains(&format!("\r\n{line}\r\n")), "{line}: {out}");
    }
}

#[test]
fn bytes_of_other_encodings_pass_unchanged() {
    let mut bytes = request("").into_bytes();
    bytes.splice(bytes.len() - 2.., *b"Subject: \x93\xfa\x96\x7b\r\n\r\n");
    let message = parse(&bytes);
    let mut buf = Vec::new();
    Writer::response(&mut buf, 200, "OK").copy_all(&message, HeaderId::Subject).finish(None, b"");
    let again = Message::parse_datagram(&buf).expect("a message");
    assert_eq!(again.first(HeaderId::Subject), Some(&b"\x93\xfa\x96\x7b"[..]));
    assert_eq!(again.text(HeaderId::Subject), None);
    assert_eq!(again.start(), Start::Response { status: 200, reason: b"OK" });
}

#[test]
fn every_status_has_a_phrase() {
    for status in 100..700 {
        assert!(!reason_phrase(status).is_empty(), "{status}");
    }
    assert_eq!(reason_phrase(499), "Request Failure");
}
