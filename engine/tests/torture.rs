//! The torture messages of RFC 4475 and RFC 5118, each with what the parser makes of it.
//!
//! Every message is a case with its own expectation. What the RFC leaves open is decided here:
//! where it allows both repair and refusal of a malformed request, this parser refuses.

use tensou_engine::sip::syntax::{
    HeaderId, Message, Method, NameAddr, ParseError, ParseErrorKind, Scheme, Start, Uri,
};

/// What is expected of a message.
enum Expect {
    /// A request that passes every check and has these values.
    Request(fn(&Message<'_>)),
    /// A response that passes every check and has these values.
    Response(fn(&Message<'_>)),
    /// A request that is answered with this status for this reason.
    Refused(u16, ParseErrorKind),
    /// A message that is dropped for this reason.
    Dropped(ParseErrorKind),
}

struct Case {
    name: &'static str,
    /// RFC and section.
    section: &'static str,
    bytes: &'static [u8],
    expect: Expect,
}

macro_rules! case {
    ($name:literal, $section:literal, $expect:expr) => {
        Case {
            name: $name,
            section: $section,
            bytes: include_bytes!(concat!("torture/", $name, ".sip")),
            expect: $expect,
        }
    };
}

use Expect::{Dropped, Refused, Request, Response};
use ParseErrorKind::{
    CSeqMethod, ContentLength, Malformed, Missing, Repeated, RequestUri, StartLine, UriScheme,
    Version,
};

const CASES: &[Case] = &[
    case!("wsinv", "RFC 4475 3.1.1.1", Request(wsinv)),
    case!("intmeth", "RFC 4475 3.1.1.2", Request(intmeth)),
    case!("esc01", "RFC 4475 3.1.1.3", Request(esc01)),
    case!("escnull", "RFC 4475 3.1.1.4", Request(escnull)),
    case!("esc02", "RFC 4475 3.1.1.5", Request(esc02)),
    case!("lwsdisp", "RFC 4475 3.1.1.6", Request(lwsdisp)),
    case!("longreq", "RFC 4475 3.1.1.7", Request(longreq)),
    case!("dblreq", "RFC 4475 3.1.1.8", Request(dblreq)),
    case!("semiuri", "RFC 4475 3.1.1.9", Request(semiuri)),
    case!("transports", "RFC 4475 3.1.1.10", Request(transports)),
    case!("mpart01", "RFC 4475 3.1.1.11", Request(mpart01)),
    case!("unreason", "RFC 4475 3.1.1.12", Response(unreason)),
    case!("noreason", "RFC 4475 3.1.1.13", Response(noreason)),
    case!("badinv01", "RFC 4475 3.1.2.1", Refused(400, Malformed(HeaderId::Via))),
    case!("clerr", "RFC 4475 3.1.2.2", Refused(400, ContentLength)),
    case!("ncl", "RFC 4475 3.1.2.3", Refused(400, ContentLength)),
    case!("scalar02", "RFC 4475 3.1.2.4", Refused(400, Malformed(HeaderId::CSeq))),
    case!("scalarlg", "RFC 4475 3.1.2.5", Dropped(Malformed(HeaderId::CSeq))),
    case!("quotbal", "RFC 4475 3.1.2.6", Refused(400, Malformed(HeaderId::To))),
    case!("ltgtruri", "RFC 4475 3.1.2.7", Refused(400, RequestUri)),
    case!("lwsruri", "RFC 4475 3.1.2.8", Refused(400, StartLine)),
    case!("lwsstart", "RFC 4475 3.1.2.9", Refused(400, StartLine)),
    case!("trws", "RFC 4475 3.1.2.10", Refused(400, StartLine)),
    case!("escruri", "RFC 4475 3.1.2.11", Refused(400, RequestUri)),
    case!("baddate", "RFC 4475 3.1.2.12", Request(baddate)),
    case!("regbadct", "RFC 4475 3.1.2.13", Refused(400, Malformed(HeaderId::Contact))),
    case!("badaspec", "RFC 4475 3.1.2.14", Refused(400, Malformed(HeaderId::To))),
    case!("baddn", "RFC 4475 3.1.2.15", Refused(400, Malformed(HeaderId::From))),
    case!("badvers", "RFC 4475 3.1.2.16", Refused(505, Version)),
    case!("mismatch01", "RFC 4475 3.1.2.17", Refused(400, CSeqMethod)),
    case!("mismatch02", "RFC 4475 3.1.2.18", Refused(400, CSeqMethod)),
    case!("bigcode", "RFC 4475 3.1.2.19", Dropped(StartLine)),
    case!("badbranch", "RFC 4475 3.2.1", Refused(400, Malformed(HeaderId::Via))),
    case!("insuf", "RFC 4475 3.3.1", Refused(400, Missing(HeaderId::From))),
    case!("unkscm", "RFC 4475 3.3.2", Refused(416, UriScheme)),
    case!("novelsc", "RFC 4475 3.3.3", Refused(416, UriScheme)),
    case!("unksm2", "RFC 4475 3.3.4", Request(unksm2)),
    case!("bext01", "RFC 4475 3.3.5", Request(bext01)),
    case!("invut", "RFC 4475 3.3.6", Request(invut)),
    case!("regaut01", "RFC 4475 3.3.7", Request(regaut01)),
    case!("multi01", "RFC 4475 3.3.8", Refused(400, Repeated(HeaderId::From))),
    case!("mcl01", "RFC 4475 3.3.9", Refused(400, Repeated(HeaderId::ContentLength))),
    case!("bcast", "RFC 4475 3.3.10", Response(bcast)),
    case!("zeromf", "RFC 4475 3.3.11", Request(zeromf)),
    case!("cparam01", "RFC 4475 3.3.12", Request(cparam01)),
    case!("cparam02", "RFC 4475 3.3.13", Request(cparam02)),
    case!("regescrt", "RFC 4475 3.3.14", Request(regescrt)),
    case!("sdp01", "RFC 4475 3.3.15", Request(sdp01)),
    case!("inv2543", "RFC 4475 3.4.1", Request(inv2543)),
    case!("ipv6-good", "RFC 5118 4.1", Request(|m| host(m, "2001:db8::10", None))),
    case!("ipv6-bad", "RFC 5118 4.2", Refused(400, RequestUri)),
    case!("port-ambiguous", "RFC 5118 4.3", Request(|m| host(m, "2001:db8::10:5070", None))),
    case!("port-unambiguous", "RFC 5118 4.4", Request(|m| host(m, "2001:db8::10", Some(5070)))),
    case!("via-received-param-with-delim", "RFC 5118 4.5", Request(received)),
    case!("via-received-param-no-delim", "RFC 5118 4.5", Request(received)),
    case!("ipv6-in-sdp", "RFC 5118 4.6", Request(ipv6_in_sdp)),
    case!("mult-ip-in-header", "RFC 5118 4.7", Request(mult_ip_in_header)),
    case!("mult-ip-in-sdp", "RFC 5118 4.8", Request(mult_ip_in_sdp)),
    case!("ipv4-mapped-ipv6", "RFC 5118 4.9", Request(ipv4_mapped)),
    case!("ipv6-bug-abnf-3-colons", "RFC 5118 4.10", Refused(400, RequestUri)),
    case!(
        "ipv6-correct-abnf-2-colons",
        "RFC 5118 4.10",
        Request(|m| host(m, "2001:db8::192.0.2.1", None))
    ),
];

#[test]
fn every_torture_message_meets_its_expectation() {
    let mut faults = Vec::new();
    for case in CASES {
        let label = format!("{} ({})", case.name, case.section);
        let outcome = outcome(case.bytes);
        match (&case.expect, outcome) {
            (Request(check), Ok(message)) if message.is_request() => check(&message),
            (Response(check), Ok(message)) if !message.is_request() => check(&message),
            (Refused(status, kind), Err((true, fault)))
                if fault.kind == *kind && fault.status() == Some(*status) => {}
            (Dropped(kind), Err((false, fault))) if fault.kind == *kind => {}
            (_, outcome) => faults.push(format!("{label}: {:?}", outcome.map(|m| m.start()))),
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn every_file_of_the_collection_is_a_case() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the collection")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".sip")?.to_owned()))
        .collect();
    files.sort();
    let mut cases: Vec<_> = CASES.iter().map(|case| case.name.to_owned()).collect();
    cases.sort();
    assert_eq!(files, cases);
}

/// The message that passed, or the fault and whether it can be answered.
fn outcome(bytes: &[u8]) -> Result<Message<'_>, (bool, ParseError)> {
    let message = Message::parse_datagram(bytes).map_err(|fault| (false, fault))?;
    let checked =
        if message.is_request() { message.check_request() } else { message.check_response() };
    checked.map_err(|fault| (message.is_request(), fault)).map(|()| message)
}

fn request_uri<'a>(message: &Message<'a>) -> Uri<'a> {
    let uri = match message.start() {
        Start::Request { uri, .. } => Uri::parse(uri).ok(),
        Start::Response { .. } => None,
    };
    uri.expect("a checked request")
}

fn host(message: &Message<'_>, host: &str, port: Option<u16>) {
    let uri = request_uri(message);
    assert_eq!((uri.host, uri.port), (host, port));
    assert!(uri.ip().is_some_and(|ip| ip.is_ipv6()));
}

fn contacts<'a>(message: &Message<'a>) -> Vec<NameAddr<'a>> {
    message.addresses(HeaderId::Contact).collect::<Result<_, _>>().expect("contacts")
}

fn branches<'a>(message: &Message<'a>) -> Vec<&'a str> {
    message.vias().map(|via| via.expect("a Via").branch.unwrap_or("")).collect()
}

fn wsinv(m: &Message<'_>) {
    assert_eq!(m.method(), Some(Method::Invite));
    assert!(request_uri(m).params.has("unknownparam"));
    let to = m.to().expect("To");
    assert_eq!(to.uri.raw, "sip:vivekg@chair-dnrc.example.com");
    assert_eq!(to.tag(), Some("1918181833n"));
    let from = m.from().expect("From");
    assert_eq!(from.display, Some(r#"J Rosenberg \\\""#));
    assert_eq!(from.tag(), Some("98asjd8"));
    assert_eq!(m.max_forwards(), Ok(Some(68)));
    let cseq = m.cseq().expect("CSeq");
    assert_eq!((cseq.number, cseq.method), (9, Method::Invite));
    assert_eq!(branches(m), ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]);
    let via = m.vias().nth(1).expect("a second hop").expect("a Via");
    assert_eq!((via.transport, via.host), ("TCP", "spindle.example.com"));
    assert_eq!(m.first(HeaderId::Subject), Some(&b""[..]));
    let route = m.addresses(HeaderId::Route).next().expect("a Route").expect("a Route");
    assert!(route.uri.params.has("lr"));
    let contact = m.contact().expect("Contact").expect("Contact");
    assert_eq!(contact.display, Some(r#"Quoted string \"\""#));
    assert_eq!(contact.params.get("newparam"), Some("newvalue"));
    assert_eq!(contact.params.get("q"), Some("0.33"));
    assert!(contact.params.has("secondparam"));
    assert_eq!(m.body().len(), 150);
}

fn intmeth(m: &Message<'_>) {
    let method = Method::Other("!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(m.method(), Some(method));
    assert_eq!(m.cseq().map(|cseq| cseq.method), Ok(method));
    let uri = request_uri(m);
    assert_eq!(uri.user, Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(uri.password, Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    let to = m.to().expect("To");
    assert_eq!(to.display, Some("BEL:\\\u{7} NUL:\\\0 DEL:\\\u{7f}"));
    let from = m.from().expect("From");
    assert_eq!(from.display, Some("token1~` token2'+_ token3*%!.-"));
    assert_eq!(from.params.get("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(from.tag(), Some("_token~1'+`*%!-."));
    assert_eq!(m.max_forwards(), Ok(Some(255)));
    assert_eq!(m.call_id(), Ok(r#"intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{"#));
    assert!(m.headers().any(|header| header.name == "extensionHeader-!.%*+_`'~"));
}

fn esc01(m: &Message<'_>) {
    let uri = request_uri(m);
    assert_eq!(uri.user, Some("sips%3Auser%40example.com"));
    assert_eq!(uri.unescaped_user(), "sips:user@example.com");
    assert_eq!(uri.host, "example.net");
    assert_eq!(m.to().expect("To").uri.unescaped_user(), "user");
    assert_eq!(m.from().expect("From").uri.unescaped_user(), "I have spaces");
    let contact = m.contact().expect("Contact").expect("Contact");
    let params: Vec<_> = contact.uri.params.iter().collect();
    assert_eq!(params, [("%6C%72", None), ("n%61me", Some("v%61lue%25%34%31"))]);
}

fn escnull(m: &Message<'_>) {
    assert_eq!(m.to().expect("To").uri.unescaped_user(), "null-\0-null");
    let users: Vec<_> = contacts(m).iter().map(|c| c.uri.unescaped_user().len()).collect();
    assert_eq!(users, [1, 2]);
}

fn esc02(m: &Message<'_>) {
    assert_eq!(m.method(), Some(Method::Other("RE%47IST%45R")));
    assert_eq!(m.to().expect("To").display, Some("%Z%45"));
    let hosts: Vec<_> = contacts(m).iter().map(|c| c.uri.host).collect();
    assert_eq!(hosts, ["host1.example.com", "host3.example.com"], "C%6Fntact is no Contact");
}

fn lwsdisp(m: &Message<'_>) {
    let from = m.from().expect("From");
    assert_eq!((from.display, from.uri.user), (Some("caller"), Some("caller")));
}

fn longreq(m: &Message<'_>) {
    assert_eq!(branches(m).len(), 34);
    assert_eq!(m.call_id().map(str::len), Ok(141));
    assert_eq!(m.to().expect("To").uri.port, Some(6000));
    assert!(m.headers().any(|header| header.name.len() > 80));
    assert_eq!(m.body().len(), 150);
}

fn dblreq(m: &Message<'_>) {
    assert_eq!(m.method(), Some(Method::Register));
    assert_eq!(m.body(), b"", "what follows Content-Length: 0 is noise");
    assert!(m.bytes().ends_with(b"Content-Length: 0\r\n\r\n"));
}

fn semiuri(m: &Message<'_>) {
    let uri = request_uri(m);
    assert_eq!(uri.user, Some("user;par=u%40example.net"));
    assert_eq!(uri.unescaped_user(), "user;par=u@example.net");
    assert!(uri.params.is_empty());
    assert_eq!(m.tokens(HeaderId::Accept).count(), 6);
}

fn transports(m: &Message<'_>) {
    let names: Vec<_> = m.vias().map(|via| via.expect("a Via").transport).collect();
    assert_eq!(names, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

fn mpart01(m: &Message<'_>) {
    assert_eq!(m.content_type(), Some("multipart/mixed"));
    assert_eq!(m.body().len(), 553);
    assert!(m.body().contains(&0));
}

fn unreason(m: &Message<'_>) {
    let reason = "= 2**3 * 5**2 но сто девяносто девять - простое";
    assert_eq!(m.start(), Start::Response { status: 200, reason: reason.as_bytes() });
}

fn noreason(m: &Message<'_>) {
    assert_eq!(m.start(), Start::Response { status: 100, reason: b"" });
}

/// Not refused for a Date that nobody here reads.
fn baddate(m: &Message<'_>) {
    assert_eq!(m.text(HeaderId::Date), Some("Fri, 01 Jan 2010 16:00:00 EST"));
}

/// Syntactically right; the registrar refuses a To that is no SIP address.
fn unksm2(m: &Message<'_>) {
    let from = m.from().expect("From");
    assert_eq!((from.uri.scheme, from.uri.raw), (Scheme::Other, "http://www.example.com"));
    assert_eq!(m.to().expect("To").uri.scheme, Scheme::Other);
    assert_eq!(contacts(m).first().map(|c| c.uri.scheme), Some(Scheme::Other));
}

fn bext01(m: &Message<'_>) {
    let required: Vec<_> = m.tokens(HeaderId::Require).collect();
    assert_eq!(required, ["nothingSupportsThis", "nothingSupportsThisEither"]);
    assert_eq!(m.tokens(HeaderId::ProxyRequire).count(), 2);
}

fn invut(m: &Message<'_>) {
    assert_eq!(m.content_type(), Some("application/unknownformat"));
}

fn regaut01(m: &Message<'_>) {
    assert_eq!(m.count(HeaderId::Authorization), 1);
    assert_eq!(m.credentials(HeaderId::Authorization).count(), 0);
}

/// Well-formed; the transaction layer drops it for having two Via hops.
fn bcast(m: &Message<'_>) {
    assert_eq!(m.vias().count(), 2);
}

fn zeromf(m: &Message<'_>) {
    assert_eq!(m.max_forwards(), Ok(Some(0)));
}

fn cparam01(m: &Message<'_>) {
    let contact = m.contact().expect("Contact").expect("Contact");
    assert!(contact.params.has("unknownparam") && contact.uri.params.is_empty());
}

fn cparam02(m: &Message<'_>) {
    let contact = m.contact().expect("Contact").expect("Contact");
    assert!(contact.uri.params.has("unknownparam") && contact.params.is_empty());
}

fn regescrt(m: &Message<'_>) {
    let contact = m.contact().expect("Contact").expect("Contact");
    assert_eq!(contact.uri.headers, Some("Route=%3Csip:sip.example.com%3E"));
    assert_eq!(m.count(HeaderId::Route), 0);
}

fn sdp01(m: &Message<'_>) {
    assert_eq!(m.tokens(HeaderId::Accept).collect::<Vec<_>>(), ["text/nobodyKnowsThis"]);
}

fn inv2543(m: &Message<'_>) {
    assert_eq!(m.top_via().expect("Via").unique_branch(), None);
    assert_eq!(m.from().expect("From").tag(), None);
    assert_eq!(m.max_forwards(), Ok(None));
    assert!(m.to().expect("To").params.has("user"), "a parameter outside brackets is To's");
    assert!(m.body().starts_with(b"v=0\r\n"), "without Content-Length the datagram ends the body");
}

fn received(m: &Message<'_>) {
    let via = m.top_via().expect("Via");
    assert_eq!((via.host, via.received), ("2001:db8::9:1", Some("2001:db8::9:255")));
}

fn mult_ip_in_header(m: &Message<'_>) {
    let hops: Vec<_> = m.vias().map(|via| via.expect("a Via")).collect();
    let sent_by: Vec<_> = hops.iter().map(|via| (via.host, via.port)).collect();
    let expected = [("2001:db8::9:1", Some(6050)), ("192.0.2.1", None), ("2001:db8::9:255", None)];
    assert_eq!(sent_by, expected);
    assert_eq!(hops.last().and_then(|via| via.received), Some("192.0.2.200"));
}

fn ipv6_in_sdp(m: &Message<'_>) {
    let sdp = tensou_engine::sdp::Sdp::parse(m.body()).expect("SDP");
    let media: Vec<_> = sdp.media().iter().map(|media| (media.kind, media.port)).collect();
    assert_eq!(media, [("audio", 6000), ("video", 6024)]);
    let address = "2001:db8::20".parse().ok();
    assert!(sdp.media().iter().all(|media| media.connection == address));
}

fn mult_ip_in_sdp(m: &Message<'_>) {
    let sdp = tensou_engine::sdp::Sdp::parse(m.body()).expect("SDP");
    let addresses: Vec<_> = sdp.media().iter().map(|media| media.connection).collect();
    assert_eq!(addresses, ["192.0.2.1".parse().ok(), "2001:db8::1".parse().ok()]);
}

fn ipv4_mapped(m: &Message<'_>) {
    let via = m.top_via().expect("Via");
    assert_eq!((via.host, via.port), ("::ffff:192.0.2.10", Some(19823)));
    let contact = m.contact().expect("Contact").expect("Contact");
    assert_eq!(contact.display, Some("T. desk phone"));
    assert_eq!(contact.uri.host, "::ffff:192.0.2.2");
}
