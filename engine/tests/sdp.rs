//! Session descriptions: what is read of them and how they are rewritten, case by case from
//! text files.

use std::fmt::Write;
use std::net::IpAddr;

use tensou_engine::sdp::{
    MAX_MEDIA, Origin, RelayAddress, Sdp, SdpError, codec_in_common, rewrite,
};

const ORIGIN: Origin = Origin { id: 7, version: 3 };

struct Case<'a> {
    name: &'a str,
    input: String,
    expected: String,
}

/// The cases of a file, line ends made CRLF.
fn cases(file: &str) -> Vec<Case<'_>> {
    let cases: Vec<_> = file
        .split("\n=== ")
        .skip(1)
        .map(|case| {
            let (name, rest) = case.split_once('\n').expect("a name");
            let (input, expected) = rest.split_once("---\n").expect("a separator");
            let expected = format!("{}\n", expected.trim_end_matches('\n'));
            let crlf = |text: &str| text.replace('\n', "\r\n");
            Case { name, input: crlf(input), expected: crlf(&expected) }
        })
        .collect();
    assert!(cases.len() > 5, "the file has lost its cases");
    cases
}

fn relay(ip: &str) -> RelayAddress {
    RelayAddress { ip: ip.parse().expect("an address"), rtp: 20_000 }
}

fn rewritten(body: &[u8], relay: RelayAddress) -> String {
    let sdp = Sdp::parse(body).expect("a description");
    let mut out = Vec::new();
    rewrite(&sdp, relay, ORIGIN, &mut out);
    String::from_utf8(out).expect("text")
}

#[test]
fn rewriting_meets_every_case() {
    for case in cases(include_str!("sdp/rewrite.txt")) {
        let v6 = case.name.ends_with("[v6]");
        let relay = relay(if v6 { "2001:db8::9" } else { "203.0.113.9" });
        assert_eq!(rewritten(case.input.as_bytes(), relay), case.expected, "{}", case.name);
    }
}

#[test]
fn reading_meets_every_case() {
    for case in cases(include_str!("sdp/read.txt")) {
        let read = reading(case.input.as_bytes());
        assert_eq!(
            read.trim_end(),
            case.expected.trim_end().replace("\r\n", "\n"),
            "{}",
            case.name
        );
    }
}

fn reading(body: &[u8]) -> String {
    let sdp = match Sdp::parse(body) {
        Ok(sdp) => sdp,
        Err(fault) => return format!("error: {fault}"),
    };
    let mut text = String::new();
    for (number, media) in sdp.media().iter().enumerate() {
        let at = match media.connection {
            Some(address) => address.to_string(),
            None if media.connection_is_name => "a name".to_owned(),
            None => "nothing".to_owned(),
        };
        let _infallible = write!(
            text,
            "{} {} {} [{}] at {at} {:?}",
            media.kind, media.port, media.proto, media.formats, media.direction
        );
        if let Some((address, port)) = media.rtcp {
            let address = address.map(|address: IpAddr| format!("{address} ")).unwrap_or_default();
            let _infallible = write!(text, " rtcp {address}{port}");
        }
        text.push_str(if media.rtcp_mux { " mux" } else { "" });
        text.push_str(if sdp.relayed() == Some(number) { ", relayed\n" } else { "\n" });
    }
    text
}

#[test]
fn line_feeds_and_a_missing_last_line_end_stay_as_they_are() {
    let body =
        b"v=0\no=- 1 1 IN IP4 192.0.2.3\ns=-\nc=IN IP4 192.0.2.3\nt=0 0\nm=audio 4000 RTP/AVP 0";
    let expected = "v=0\no=- 7 3 IN IP4 203.0.113.9\ns=-\nc=IN IP4 203.0.113.9\nt=0 0\nm=audio 20000 RTP/AVP 0";
    assert_eq!(rewritten(body, relay("203.0.113.9")), expected);
    let bare = b"v=0\r\nm=audio 4000 RTP/AVP 0";
    let expected = "v=0\r\nm=audio 20000 RTP/AVP 0\r\nc=IN IP4 203.0.113.9";
    assert_eq!(rewritten(bare, relay("203.0.113.9")), expected);
}

#[test]
fn bytes_of_other_encodings_pass_unchanged() {
    let body = b"v=0\r\ns=\x93\xfa\x96\x7b\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.3\r\n";
    let sdp = Sdp::parse(body).expect("a description");
    let mut out = b"before".to_vec();
    rewrite(&sdp, relay("203.0.113.9"), ORIGIN, &mut out);
    let expected =
        b"beforev=0\r\ns=\x93\xfa\x96\x7b\r\nm=audio 20000 RTP/AVP 0\r\nc=IN IP4 203.0.113.9\r\n";
    assert_eq!(out, expected);
}

#[test]
fn what_is_rewritten_reads_as_the_relay() {
    for case in cases(include_str!("sdp/rewrite.txt")) {
        let sent = rewritten(case.input.as_bytes(), relay("203.0.113.9"));
        let before = Sdp::parse(case.input.as_bytes()).expect("the input");
        let after = Sdp::parse(sent.as_bytes()).expect("the output");
        assert_eq!(after.media().len(), before.media().len(), "{}", case.name);
        assert_eq!(after.relayed(), before.relayed(), "{}", case.name);
        let media = after.relayed_media().expect("a relayed line");
        assert_eq!(media.port, 20_000, "{}", case.name);
        assert!(!sent.contains("192.0.2."), "{}: an address leaks", case.name);
    }
}

#[test]
fn bytes_that_other_parsers_end_a_line_at_are_refused() {
    for text in [
        "v=0\r\ns=a\rc=IN IP4 192.0.2.3\r\n",
        "v=0\r\ns=a\0b\r\n",
        "v=0\r\ns=a\r\r\n",
        "v=0\r\ns=a\r",
    ] {
        assert_eq!(Sdp::parse(text.as_bytes()).err(), Some(SdpError::Line), "{text:?}");
    }
}

#[test]
fn the_number_of_media_lines_is_bounded() {
    let body = |count: usize| format!("v=0\r\n{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(count));
    assert_eq!(Sdp::parse(body(MAX_MEDIA).as_bytes()).expect("fits").media().len(), MAX_MEDIA);
    let over = Sdp::parse(body(MAX_MEDIA + 1).as_bytes()).err();
    assert_eq!(over, Some(SdpError::TooManyMedia));
}

#[test]
fn codecs_are_compared_by_name_not_by_number() {
    let body = |formats: &str, maps: &str| {
        format!("v=0\r\nc=IN IP4 192.0.2.3\r\nm=audio 4000 RTP/AVP {formats}\r\n{maps}")
    };
    let opus = "a=rtpmap:96 opus/48000/2\r\n";
    let opus_elsewhere = "a=rtpmap:111 OPUS/48000/2\r\n";
    let event = "a=rtpmap:101 telephone-event/8000\r\n";
    let pcmu = "a=rtpmap:97 PCMU/8000\r\n";
    for (offer, answer, common) in [
        (body("0 8", ""), body("8", ""), true),
        (body("0", ""), body("8", ""), false),
        (body("0", ""), body("97", pcmu), true),
        (body("96", opus), body("111", opus_elsewhere), true),
        (body("0 101", event), body("8 101", event), false),
        (body("96", ""), body("96", ""), false),
        (body("999 x", ""), body("999 x", ""), false),
    ] {
        let offered = Sdp::parse(offer.as_bytes()).expect("an offer");
        let answered = Sdp::parse(answer.as_bytes()).expect("an answer");
        assert_eq!(codec_in_common(&offered, &answered), common, "{offer} {answer}");
    }
}

#[test]
fn fax_has_only_fax_in_common() {
    let fax = b"v=0\r\nc=IN IP4 192.0.2.3\r\nm=image 4000 udptl t38\r\n";
    let speech = b"v=0\r\nc=IN IP4 192.0.2.3\r\nm=audio 4000 RTP/AVP 0\r\n";
    let refused = b"v=0\r\nc=IN IP4 192.0.2.3\r\nm=image 0 udptl t38\r\n";
    let fax = Sdp::parse(fax).expect("fax");
    let speech = Sdp::parse(speech).expect("speech");
    let refused = Sdp::parse(refused).expect("refused");
    assert!(codec_in_common(&fax, &fax));
    assert!(!codec_in_common(&fax, &speech));
    assert!(!codec_in_common(&fax, &refused));
}
