//! The parser beside `rsip`, which shares nothing with it: where both accept a message they must
//! read the same from it, and where only one does, the reason stands here.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rsip::headers::UntypedHeader;
use rsip::message::{HasHeaders, HeadersExt};
use tensou_engine::sip::syntax::{Message, NameAddr, Start, Uri};

/// What the engine acts on.
#[derive(Debug, PartialEq)]
struct Facts {
    /// Method or status.
    start: String,
    request_uri: Option<Address>,
    from: (Address, Option<String>),
    to: (Address, Option<String>),
    contact: Option<Address>,
    call_id: String,
    cseq: (u32, String),
    branch: Option<String>,
    max_forwards: Option<u32>,
    headers: usize,
    body: Vec<u8>,
}

#[derive(Debug, PartialEq)]
struct Address {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

fn ours(bytes: &[u8]) -> Option<Facts> {
    let message = Message::parse_datagram(bytes).ok()?;
    let (start, request_uri) = match message.start() {
        Start::Request { method, uri } => {
            message.check_request().ok()?;
            (method.as_str().to_owned(), Some(our_address(&Uri::parse(uri).ok()?)))
        }
        Start::Response { status, .. } => {
            message.check_response().ok()?;
            (status.to_string(), None)
        }
    };
    let party = |party: NameAddr<'_>| (our_address(&party.uri), party.tag().map(as_token));
    let cseq = message.cseq().ok()?;
    Some(Facts {
        start,
        request_uri,
        from: party(message.from().ok()?),
        to: party(message.to().ok()?),
        contact: message.contact().ok()?.map(|contact| our_address(&contact.uri)),
        call_id: message.call_id().ok()?.to_owned(),
        cseq: (cseq.number, cseq.method.as_str().to_owned()),
        branch: message.top_via().ok()?.branch.map(as_token),
        max_forwards: message.max_forwards().ok()?.map(u32::from),
        headers: message.headers().count(),
        body: message.body().to_owned(),
    })
}

/// Peers write tags and branches with more than the grammar's token characters, and we keep all
/// of it; `rsip` drops what follows the first such character.
fn as_token(value: &str) -> String {
    value.chars().take_while(|c| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(*c)).collect()
}

fn our_address(uri: &Uri<'_>) -> Address {
    Address { user: uri.user.map(str::to_owned), host: uri.host.to_owned(), port: uri.port }
}

fn theirs(bytes: &[u8]) -> Option<Facts> {
    let message = rsip::SipMessage::try_from(bytes).ok()?;
    let (start, request_uri) = match &message {
        rsip::SipMessage::Request(request) => {
            (request.method.to_string(), Some(their_address(&request.uri)?))
        }
        rsip::SipMessage::Response(response) => (response.status_code.code().to_string(), None),
    };
    let from = message.from_header().ok()?;
    let to = message.to_header().ok()?;
    let cseq = message.cseq_header().ok()?;
    let via = message.via_header().ok()?;
    // White space is allowed around the colon and the semicolons of a Via; `rsip` loses the
    // parameters behind it.
    let spaces = via.value().chars().filter(char::is_ascii_whitespace).count();
    let via = rsip::typed::Via::try_from(via.clone()).ok().filter(|_| spaces == 1)?;
    Some(Facts {
        start,
        request_uri,
        from: (their_address(&from.uri().ok()?)?, from.tag().ok()?.map(|t| t.value().to_owned())),
        to: (their_address(&to.uri().ok()?)?, to.tag().ok()?.map(|t| t.value().to_owned())),
        contact: match message.contact_header() {
            Ok(contact) => Some(their_address(&contact.uri().ok()?)?),
            Err(_) => None,
        },
        call_id: message.call_id_header().ok()?.value().trim().to_owned(),
        cseq: (cseq.seq().ok()?, cseq.method().ok()?.to_string()),
        branch: via.branch().map(|branch| branch.value().to_owned()),
        max_forwards: match message.max_forwards_header() {
            Ok(hops) => Some(hops.num().ok()?),
            Err(_) => None,
        },
        headers: message.headers().iter().count(),
        body: message.body().clone(),
    })
}

/// `rsip` takes a host of any characters, `a.b@c` as a host, and an unknown scheme as the user:
/// no oracle for such a URI.
fn their_address(uri: &rsip::Uri) -> Option<Address> {
    let host = uri.host().to_string();
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (uri.scheme.is_some() && host.chars().all(is_host)).then(|| Address {
        user: uri.user().map(str::to_owned),
        host,
        port: uri.port().map(|port| *port.value()),
    })
}

/// A message that both read, in the dialect that both know.
fn common_message() -> impl Strategy<Value = String> {
    let host = prop_oneof!["[a-z]{1,8}\\.example\\.com", "192\\.0\\.2\\.[1-9]"];
    let uri = ("[a-z0-9+-]{1,12}", host, prop::option::of(1..=u16::MAX)).prop_map(
        |(user, host, port)| match port {
            Some(port) => format!("sip:{user}@{host}:{port}"),
            None => format!("sip:{user}@{host}"),
        },
    );
    let display = prop_oneof![Just(String::new()), "\"[A-Za-z0-9 .]{1,12}\" "];
    let party = (display, uri.clone(), "[a-z0-9]{1,12}")
        .prop_map(|(display, uri, tag)| format!("{display}<{uri}>;tag={tag}"));
    let methods = ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK", "UPDATE"];
    let start = prop_oneof![
        3 => (prop::sample::select(methods.to_vec()), uri.clone())
            .prop_map(|(method, uri)| (method, format!("{method} {uri} SIP/2.0"))),
        1 => (prop::sample::select(methods.to_vec()), 100..700u16)
            .prop_map(|(method, status)| (method, format!("SIP/2.0 {status} Reason"))),
    ];
    let extra = prop::collection::vec("X-[A-Za-z]{1,8}: [ -9<-~]{0,20}", 0..4);
    let fields = (
        "z9hG4bK[a-z0-9]{1,16}",
        party.clone(),
        party,
        uri,
        "[a-z0-9@.]{1,20}",
        0..1u32 << 31,
        0..=255u8,
        extra,
        "[ -~]{0,30}",
    );
    (start, fields).prop_map(
        |((method, start), (branch, from, to, contact, call_id, cseq, hops, extra, body))| {
            let mut lines = vec![
                start,
                format!("Via: SIP/2.0/UDP 192.0.2.9:5060;branch={branch}"),
                format!("From: {from}"),
                format!("To: {to}"),
                format!("Contact: <{contact}>"),
                format!("Call-ID: {call_id}"),
                format!("CSeq: {cseq} {method}"),
                format!("Max-Forwards: {hops}"),
            ];
            lines.extend(extra);
            lines.push(format!("Content-Length: {}", body.len()));
            format!("{}\r\n\r\n{body}", lines.join("\r\n"))
        },
    )
}

proptest! {
    // One seed: a difference is to be found by fuzzing and settled here, not to break a build.
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn both_read_the_same_from_the_common_dialect(text in common_message()) {
        let (ours, theirs) = (ours(text.as_bytes()), theirs(text.as_bytes()));
        prop_assert!(ours.is_some() && theirs.is_some(), "{ours:?}\n{theirs:?}");
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn what_both_accept_of_a_damaged_message_they_read_the_same(
        text in common_message(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = text.into_bytes();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        // A bare line feed ends a line for us alone: peers write it, RFC 3261 does not.
        let bare = bytes.iter().enumerate().any(|(at, byte)| {
            *byte == b'\n' && at.checked_sub(1).and_then(|at| bytes.get(at)) != Some(&b'\r')
        });
        prop_assume!(!bare);
        if let (Some(ours), Some(mut theirs)) = (ours(&bytes), theirs(&bytes)) {
            // `rsip` does not look at Content-Length and keeps the noise behind the body.
            theirs.body.truncate(ours.body.len());
            prop_assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(&bytes));
        }
    }
}

/// Names of torture messages and their bytes.
macro_rules! compare {
    ($($name:literal)*) => {
        [$(($name, &include_bytes!(concat!("torture/", $name, ".sip"))[..])),*]
    };
}

#[test]
fn torture_messages_that_both_accept_are_read_the_same() {
    let messages = compare!(
        "baddate" "bcast" "bext01" "cparam01" "cparam02" "dblreq" "esc01" "esc02" "escnull"
        "intmeth" "inv2543" "invut" "ipv4-mapped-ipv6" "ipv6-good" "longreq" "lwsdisp" "mpart01"
        "noreason" "regaut01" "sdp01" "semiuri" "transports" "unksm2" "unreason"
        "wsinv" "zeromf"
    );
    let mut read_by_both = Vec::new();
    for (name, bytes) in messages {
        let ours = ours(bytes).unwrap_or_else(|| panic!("{name} is well-formed"));
        if let Some(mut theirs) = theirs(bytes) {
            theirs.body.truncate(ours.body.len());
            assert_eq!(ours, theirs, "{name}");
            read_by_both.push(name);
        }
    }
    // `rsip` refuses the others for folding, compact names, IPv6, escapes, `;` in a user part,
    // `Content-Length:0`, unknown schemes or methods.
    let expected = [
        "baddate",
        "bcast",
        "bext01",
        "cparam01",
        "cparam02",
        "escnull",
        "inv2543",
        "lwsdisp",
        "mpart01",
        "noreason",
        "sdp01",
        "transports",
        "unreason",
        "zeromf",
    ];
    assert_eq!(read_by_both, expected);
}
