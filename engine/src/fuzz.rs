//! Bodies of the fuzz targets: what must hold for any bytes at all.
//!
//! They live here so that every build compiles them; the targets in `fuzz/` only call them. Each
//! panics when its property is broken.

mod input;
mod registrar;

use std::net::{IpAddr, Ipv4Addr};

use crate::rng::Rng;
use crate::sdp::{Origin, RelayAddress, Sdp, codec_in_common, rewrite};
use crate::sip::syntax::{
    Challenge, Credentials, HeaderId, MAX_DATAGRAM, MAX_HEADERS, Message, NameAddr, Start, Uri,
    Via, Writer,
};
use crate::sip::transport::framing::{Frame, Framer, MAX_MESSAGE, Unreadable};

pub use input::engine_input;
pub use registrar::registrar;

/// A SIP datagram: reading it never panics, and a message that passes its checks reads the same
/// after it has been written again.
pub fn sip_datagram(data: &[u8]) {
    let Ok(message) = Message::parse_datagram(data) else { return };
    touch(&message);
    let checked =
        if message.is_request() { message.check_request() } else { message.check_response() };
    if checked.is_err() {
        return;
    }
    let mut buf = Vec::new();
    let mut writer = match message.start() {
        Start::Request { method, uri } => Writer::request(&mut buf, method.as_str(), uri),
        Start::Response { status, .. } => Writer::response(&mut buf, status, "Reason"),
    };
    for header in message.headers().filter(|header| header.id != HeaderId::ContentLength) {
        writer.copy(&header);
    }
    writer.finish(None, message.body());
    // Content-Length may have been added.
    if buf.len() > MAX_DATAGRAM || message.headers().count() == MAX_HEADERS {
        return;
    }
    let again = Message::parse_datagram(&buf);
    let again = again.unwrap_or_else(|fault| unreadable(&fault));
    assert_same(&message, &again);
}

/// Two bytes of how it is cut, then a stream: cut anywhere it gives the same frames as in one
/// piece, and no more than a message is ever kept.
pub fn sip_stream(data: &[u8]) {
    let Some((&[seed, pings], stream)) = data.split_first_chunk::<2>() else { return };
    let new = || {
        let mut framer = Framer::new();
        (0..pings % 4).for_each(|_| framer.expect_pong());
        framer
    };
    let (mut whole, mut expected) = (new(), Vec::new());
    whole.push(stream);
    let goes_on = take_frames(&mut whole, &mut expected);
    let (mut cut, mut found) = (new(), Vec::new());
    let mut rng = Rng::new(seed.into());
    let (mut rest, mut cut_goes_on) = (stream, true);
    while cut_goes_on && !rest.is_empty() {
        let most = [2, 40, 20_000][usize::from(seed) % 3];
        let (part, tail) = rest.split_at((1 + rng.below(most) as usize).min(rest.len()));
        cut.push(part);
        cut_goes_on = take_frames(&mut cut, &mut found);
        assert!(!cut_goes_on || cut.kept() < MAX_MESSAGE, "{} bytes kept", cut.kept());
        rest = tail;
    }
    assert_eq!((found, cut_goes_on), (expected, goes_on));
}

/// Takes out what is whole; false when the stream ends by it.
fn take_frames(framer: &mut Framer, found: &mut Vec<Frame>) -> bool {
    loop {
        match framer.next_frame() {
            Ok(Some(frame)) => {
                let last = matches!(frame, Frame::Unframed(_));
                found.push(frame);
                if last {
                    return false;
                }
            }
            Ok(None) => return true,
            Err(Unreadable) => return false,
        }
    }
}

/// Values on their own: URIs, addresses, Via hops, digests.
pub fn sip_value(data: &[u8]) {
    let _via = Via::parse(data);
    let _credentials = Credentials::parse(data);
    let _challenge = Challenge::parse(data);
    if let Ok(address) = NameAddr::parse(data) {
        assert_eq!(address.params.get("tag"), address.tag());
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(uri) = Uri::parse(text)
    {
        let _transport = uri.transport();
        let _ip = uri.ip();
        assert!(uri.unescaped_user().chars().count() <= text.len());
        // What was read as a whole is read the same in brackets.
        let bracketed = format!("<{text}>");
        let again = NameAddr::parse(&bracketed);
        assert!(again.is_ok_and(|address| address.uri.raw == text), "{text}");
    }
}

/// A session description: reading it never panics, and what is rewritten reads as the relay.
pub fn sdp(data: &[u8]) {
    let Ok(before) = Sdp::parse(data) else { return };
    for media in 0..before.media().len() {
        assert!(before.codecs(media).all(|codec| codec.payload_type < 128));
    }
    let _common = codec_in_common(&before, &before);
    let relay = RelayAddress { ip: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)), rtp: 20_000 };
    let mut out = Vec::new();
    rewrite(&before, relay, Origin { id: 7, version: 3 }, &mut out);
    let after = Sdp::parse(&out);
    let after = after.unwrap_or_else(|fault| unreadable(&fault));
    assert_eq!(after.media().len(), before.media().len());
    assert_eq!(after.relayed(), before.relayed());
    for (number, media) in after.media().iter().enumerate() {
        let here = before.relayed() == Some(number);
        assert_eq!(media.port, if here { relay.rtp } else { 0 });
        if here {
            let address = media.connection;
            assert!(address.is_some_and(|ip| ip == relay.ip || ip.is_unspecified()), "{address:?}");
        }
    }
}

#[expect(clippy::panic, reason = "a broken property is what the fuzzer looks for")]
fn unreadable<T>(fault: &dyn std::fmt::Display) -> T {
    panic!("what was written does not read: {fault}")
}

/// Calls whatever reads a value.
fn touch(message: &Message<'_>) {
    let _via = message.top_via();
    let _from = message.from();
    let _to = message.to();
    let _call_id = message.call_id();
    let _cseq = message.cseq();
    let _hops = message.max_forwards();
    let _contact = message.contact();
    let _rack = message.rack();
    let _content_type = message.content_type();
    let _star = message.contact_is_star();
    let mut count = 0;
    let mut seen = std::collections::BTreeSet::new();
    for header in message.headers() {
        assert_eq!(HeaderId::of(header.name), header.id);
        // Each walks all fields of its name: once is enough.
        if !seen.insert(header.id) {
            continue;
        }
        count += message.addresses(header.id).count().min(1);
        count += message.tokens(header.id).count().min(1);
        count += message.credentials(header.id).count().min(1);
        count += message.challenges(header.id).count().min(1);
        let _number = message.leading_number(header.id);
        let _text = message.text(header.id);
    }
    assert!(count <= 4 * message.headers().count());
}

/// What the engine acts on is the same in both.
fn assert_same(before: &Message<'_>, after: &Message<'_>) {
    let checked = if after.is_request() { after.check_request() } else { after.check_response() };
    assert_eq!(checked, Ok(()));
    assert_eq!(before.status(), after.status());
    assert_eq!(before.method(), after.method());
    assert_eq!(before.call_id(), after.call_id());
    assert_eq!(before.cseq(), after.cseq());
    // A response is not refused for one that is no number, and cleaning can make it one.
    if before.max_forwards().is_ok() {
        assert_eq!(before.max_forwards(), after.max_forwards());
    }
    let hop = |message: &Message<'_>| {
        let via = message.top_via().ok()?;
        Some((via.host.to_owned(), via.port, via.branch.map(str::to_owned), via.rport))
    };
    assert_eq!(hop(before), hop(after));
    let tag = |message: &Message<'_>| {
        let from = message.from().ok().and_then(|from| from.tag().map(str::to_owned));
        let to = message.to().ok().and_then(|to| to.tag().map(str::to_owned));
        (from, to)
    };
    assert_eq!(tag(before), tag(after));
    let ids = |message: &Message<'_>| -> Vec<_> {
        let ids = message.headers().map(|header| header.id);
        ids.filter(|id| *id != HeaderId::ContentLength).collect()
    };
    assert_eq!(ids(before), ids(after));
    assert_eq!(before.body(), after.body());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const INVITE: &str = "INVITE sip:0312345678@192.0.2.1;user=phone SIP/2.0\r\n\
        v: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa;rport, SIP/2.0/TCP [2001:db8::1]:5060\r\n\
        Max-Forwards: 70\r\nFrom: \"a \\\" b\" <sip:a@192.0.2.2>;tag=f\r\n\
        To:\r\n <sip:b@h>\r\ni: c1\r\nCSeq: 1 INVITE\r\nContact: <sip:a@[::1]>;q=0.5, sip:b@h\r\n\
        Supported: timer, 100rel\r\nX-A : b\r\nContent-Length: 5\r\n\r\nv=0\r\n";
    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.3\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp:4001\r\n\
        m=video 4002 RTP/AVP 31\r\na=sendonly\r\n";

    /// Pieces that are likely to hit an edge of the grammar.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 1..4),
            prop::sample::select(vec![
                "\r\n", "\n", "\r", " ", "\t", "\r\n ", ":", ";", ",", "\"", "\\", "<", ">", "@",
                "=", "%", "[", "]", "?", "\0", "0", "65536", "m=", "c=", "a=rtcp:", "sip:", "v: ",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
        ]
    }

    fn damaged(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
        let edit = (any::<prop::sample::Index>(), 0..4usize, piece());
        prop::collection::vec(edit, 0..6).prop_map(move |edits| {
            let mut bytes = text.as_bytes().to_vec();
            for (place, cut, piece) in edits {
                let at = place.index(bytes.len());
                let end = (at + cut).min(bytes.len());
                bytes.splice(at..end, piece);
            }
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn damaged_messages_break_nothing(bytes in damaged(INVITE)) {
            super::sip_datagram(&bytes);
            super::sip_value(&bytes);
        }

        #[test]
        fn streams_of_damaged_messages_are_the_same_wherever_they_are_cut(
            (cut, one, other) in (any::<[u8; 2]>(), damaged(INVITE), damaged(INVITE))
        ) {
            super::sip_stream(&[&cut[..], &one, b"\r\n\r\n", &other].concat());
        }

        #[test]
        fn a_head_of_any_length_is_given_up_at_the_same_place(cut in any::<[u8; 2]>(), length in 16_000..17_000usize) {
            let head = format!("INVITE sip:h SIP/2.0\r\nX: {}\r\n\r\n", "a".repeat(length));
            super::sip_stream(&[&cut[..], head.as_bytes(), INVITE.as_bytes()].concat());
        }

        #[test]
        fn damaged_descriptions_break_nothing(bytes in damaged(SDP)) {
            super::sdp(&bytes);
        }

        #[test]
        fn arbitrary_bytes_break_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            super::sip_datagram(&bytes);
            super::sip_value(&bytes);
            super::sdp(&bytes);
        }
    }
}
