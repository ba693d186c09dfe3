//! Hostile messages, one by one, at the whole engine: what each may cause at most, and that the
//! engine is of use after each: a trunk's OPTIONS is answered, a call completes, and its record
//! is written.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test: what is missing stops it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tensou_engine::plan::parse_e164;
use tensou_engine::route::{
    CustomerSpec, DestinationKind, DestinationSpec, DidSpec, ExtensionSpec, PeerSpec, Provisioning,
    Snapshot, TargetRef, TrunkSpec,
};
use tensou_engine::sip::syntax::Credentials;
use tensou_engine::{
    CallResult, Cdr, Engine, EngineConfig, Flow, Input, Listener, ListenerId, MediaConfig, Now,
    Output, Secret, Timestamp, Transport, UnknownPeer, WallTime, media,
};

const GATEWAY: &str = "192.0.2.1:5060";
const CARRIER: &str = "192.0.2.2:5060";
const STRANGER: &str = "203.0.113.66:5060";

fn provisioning() -> Provisioning {
    let trunk = |id: &str, peer: &str| TrunkSpec {
        id: id.to_owned(),
        peers: vec![PeerSpec::at(peer.parse().unwrap())],
        prefixes: if id == "carrier" { Vec::new() } else { vec!["+8199".to_owned()] },
        ..TrunkSpec::default()
    };
    Provisioning {
        trunks: vec![trunk("gateway", GATEWAY), trunk("carrier", CARRIER)],
        customers: vec![CustomerSpec { id: "yamada".to_owned(), active: true }],
        dids: vec![DidSpec {
            number: parse_e164("0311112222").unwrap(),
            customer: Some("yamada".to_owned()),
            active: true,
            route: vec![TargetRef::Destination("sato".to_owned())],
            max_calls: 0,
            presented_name: String::new(),
        }],
        destinations: vec![DestinationSpec {
            id: "sato".to_owned(),
            kind: DestinationKind::Number(parse_e164("09000001111").unwrap()),
            identity: Default::default(),
            trunk: None,
        }],
        groups: Vec::new(),
        extensions: vec![ExtensionSpec {
            user: "201".to_owned(),
            secret: Secret::new("s3cret"),
            enabled: true,
            customer: Some("yamada".to_owned()),
            presented: Some(parse_e164("0311112222").unwrap()),
        }],
    }
}

struct Wire {
    engine: Engine,
    micros: u64,
    sent: Vec<(SocketAddr, Vec<u8>)>,
    cdrs: Vec<Cdr>,
    calls: u32,
}

impl Wire {
    fn new() -> Wire {
        let config = EngineConfig {
            node: "test".to_owned(),
            shard: 0,
            seed: 1,
            listeners: vec![Listener {
                transport: Transport::Udp,
                address: "192.0.2.10:5060".parse().unwrap(),
                advertise_host: "192.0.2.10".to_owned(),
                advertise_port: 5060,
            }],
            not_sip: Vec::new(),
            domain: "pbx.example".to_owned(),
            media: MediaConfig {
                address: "192.0.2.10".parse().unwrap(),
                first_port: 20000,
                last_port: 29999,
            },
            unknown_peer: UnknownPeer::Drop,
            digest: tensou_engine::DigestOffer::Both,
            contacts: tensou_engine::ContactLimit::default(),
            limits: tensou_engine::Limits::default(),
            journal: false,
        };
        let snapshot = Snapshot::compile(1, &provisioning()).unwrap();
        let engine = Engine::new(config, Arc::new(snapshot));
        Wire { engine, micros: 0, sent: Vec::new(), cdrs: Vec::new(), calls: 0 }
    }

    fn gives(&mut self, input: Input<'_>) {
        let now = Now {
            mono: Timestamp::from_micros(self.micros),
            wall: WallTime::from_unix_micros(1_795_000_000_000_000 + self.micros as i64),
        };
        self.engine.handle(now, input);
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => {
                    assert_ne!(flow.remote.port(), 0, "nothing can be sent to port 0");
                    self.sent.push((flow.remote, bytes.to_vec()));
                }
                Output::Cdr(cdr) => self.cdrs.push(*cdr),
                Output::Media(media::MediaCommand::Close { session }) => {
                    let (a, b) = Default::default();
                    self.engine
                        .handle(now, Input::Media(media::MediaEvent::Closed { session, a, b }));
                }
                Output::Resolve { question, .. } => panic!("looks up {}", question.host),
                _ => {}
            }
        }
    }

    fn hears(&mut self, from: &str, bytes: &[u8]) {
        self.micros += 1000;
        let flow = Flow {
            listener: ListenerId(0),
            transport: Transport::Udp,
            remote: from.parse().unwrap(),
            connection: 0,
        };
        self.gives(Input::Datagram { flow, bytes });
    }

    /// What was said since the last time: status, or 0 for a request.
    fn said(&mut self) -> Vec<u16> {
        let status = |bytes: &[u8]| {
            let text = bytes.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
            std::str::from_utf8(text).ok()?.parse().ok()
        };
        let said = self.sent.iter().map(|(_, bytes)| status(bytes).unwrap_or(0)).collect();
        self.sent.clear();
        said
    }

    fn takes(&mut self, to: &str, begins: &str) -> String {
        let to: SocketAddr = to.parse().unwrap();
        let found = self
            .sent
            .iter()
            .position(|(at, bytes)| *at == to && bytes.starts_with(begins.as_bytes()))
            .unwrap_or_else(|| panic!("no {begins} to {to}"));
        String::from_utf8(self.sent.remove(found).1).unwrap()
    }

    /// Lets whatever was begun run out.
    fn rests(&mut self) {
        for _ in 0..100_000 {
            let Some(at) = self.engine.poll_timeout() else { break };
            if self.engine.calls_held() == 0 && self.engine.counters().transactions == 0 {
                break;
            }
            self.micros = self.micros.max(at.as_micros());
            self.gives(Input::Tick);
        }
        self.sent.clear();
    }

    /// OPTIONS is answered, a call completes, its record is written.
    fn serves(&mut self, after: &str) {
        self.sent.clear();
        self.calls += 1;
        let id = format!("serves{}", self.calls);
        self.hears(GATEWAY, request("OPTIONS", &id, "").as_bytes());
        self.takes(GATEWAY, "SIP/2.0 200");
        let records = self.cdrs.len();
        let invite = with_body(&request("INVITE", &id, ""), &sdp("192.0.2.1"));
        self.hears(GATEWAY, invite.as_bytes());
        let out = self.takes(CARRIER, "INVITE ");
        let copied = |name: &str| {
            out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}"))
        };
        let head = format!(
            "SIP/2.0 200 OK\r\n{}\r\n{}\r\n{};tag=b\r\n{}\r\n{}\r\nContact: <sip:b@192.0.2.2>\r\n\r\n",
            copied("Via:"),
            copied("From:"),
            copied("To:"),
            copied("Call-ID:"),
            copied("CSeq:")
        );
        self.hears(CARRIER, with_body(&head, &sdp("192.0.2.2")).as_bytes());
        let ok = self.takes(GATEWAY, "SIP/2.0 200");
        let to = ok.lines().find(|line| line.starts_with("To:")).unwrap().to_owned();
        for (method, cseq) in [("ACK", 7), ("BYE", 8)] {
            let text = request(method, &id, "");
            let text = text.replace("To: <sip:0311112222@192.0.2.10>", &to);
            let text =
                text.replace(&format!("CSeq: 7 {method}"), &format!("CSeq: {cseq} {method}"));
            self.hears(GATEWAY, text.as_bytes());
        }
        self.takes(GATEWAY, "SIP/2.0 200");
        self.rests();
        assert_eq!(self.cdrs.len(), records + 1, "after {after}");
        assert_eq!(self.cdrs[records].result, CallResult::Answered, "after {after}");
    }
}

fn request(method: &str, id: &str, more: &str) -> String {
    format!(
        "{method} sip:0311112222@192.0.2.10 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{method}{id}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:0311119999@192.0.2.1>;tag=a\r\n\
         To: <sip:0311112222@192.0.2.10>\r\nCall-ID: {id}\r\nCSeq: 7 {method}\r\n\
         Contact: <sip:gw@192.0.2.1:5060>\r\n{more}\r\n"
    )
}

fn sdp(ip: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
}

fn with_body(head: &str, body: &str) -> String {
    let head = head.strip_suffix("\r\n").unwrap();
    format!("{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// CVE-2016-9938: a control byte before the colon hid the To tag, and an INVITE that looked
/// like one of a dialog became a new call without a password.
#[test]
fn no_byte_around_a_header_name_makes_a_call() {
    for name in ["To", "From", "Call-ID", "CSeq", "Via", "Authorization"] {
        let mut wire = Wire::new();
        for byte in 0..=255u8 {
            for before in [true, false] {
                let id = format!("{name}{byte}{before}");
                let more = "Authorization: Digest username=\"201\"\r\n";
                let text = request("INVITE", &id, more);
                let text = text.replace("To: <sip:0311112222@192.0.2.10>", "To: <sip:1@h>;tag=x");
                let place = text.find(&format!("\r\n{name}:")).unwrap() + 2;
                let place = if before { place } else { place + name.len() };
                let mut bytes = text.into_bytes();
                bytes.insert(place, byte);
                for from in [STRANGER, GATEWAY] {
                    wire.hears(from, &bytes);
                    let said = wire.said();
                    let refused = said.iter().all(|status| [400, 481].contains(status));
                    assert!(refused, "{from} {id}: {said:?}");
                    assert!(from == GATEWAY || said.is_empty(), "{id}: {said:?}");
                }
            }
        }
        assert_eq!(wire.engine.counters().calls_started, 0);
        wire.serves(name);
    }
}

#[test]
fn an_impossible_port_in_via_mutes_nothing() {
    let mut wire = Wire::new();
    for (number, port) in
        ["-1", "0", "65536", "99999999999999999999", "", "5060x", "0x13c4", "+5060", "5060 5061"]
            .iter()
            .enumerate()
    {
        for method in ["OPTIONS", "INVITE", "BYE", "REGISTER", "CANCEL"] {
            let text = request(method, &format!("port{number}"), "");
            let text = text.replace("192.0.2.1:5060;branch", &format!("192.0.2.1:{port};branch"));
            wire.hears(GATEWAY, text.as_bytes());
            wire.hears(STRANGER, text.as_bytes());
        }
        wire.rests();
        wire.serves(port);
    }
}

#[test]
fn long_and_repeated_fields_are_refused_or_served_and_nothing_else() {
    let mut wire = Wire::new();
    let long = "x".repeat(6_000);
    for (number, more) in [
        format!("X-Long: {long}{long}\r\n"),
        format!("{long}{long}: 1\r\n"),
        format!("Via: SIP/2.0/UDP {long};branch=z9hG4bK{long}\r\n"),
        format!("Route: <sip:{long}@h;lr>\r\n"),
        format!("Subject: {}\r\n", "\r\n ".repeat(2_000)),
        "X-Many: 1\r\n".repeat(1_000),
        "Via: SIP/2.0/UDP 192.0.2.9\r\n".repeat(90),
        format!("Record-Route: {}\r\n", ["<sip:h;lr>"; 500].join(",")),
        "From: <sip:b@h>;tag=b\r\n".to_owned(),
        "To: <sip:b@h>;tag=b\r\n".to_owned(),
        "Call-ID: b\r\n".to_owned(),
        "CSeq: 8 INVITE\r\n".to_owned(),
        "Max-Forwards: 1\r\n".to_owned(),
        "Content-Length: 0\r\nContent-Length: 5\r\n".to_owned(),
        format!("Require: {}\r\n", ["a"; 3_000].join(",")),
        format!("Contact: <sip:h;{long}>\r\n"),
    ]
    .iter()
    .enumerate()
    {
        wire.hears(GATEWAY, request("INVITE", &format!("long{number}"), more).as_bytes());
        let said = wire.said();
        let known = [0, 100, 400, 420, 513];
        assert!(said.iter().all(|status| known.contains(status)), "{number}: {said:?}");
        wire.gives(Input::Command(tensou_engine::OperatorCommand::HangUpAll));
        wire.rests();
    }
    wire.serves("long fields");
}

/// Session descriptions that broke others, and their like.
fn descriptions() -> Vec<String> {
    let good = sdp("192.0.2.1");
    let line = |m: &str| good.replace("m=audio 4000 RTP/AVP 0 101", m);
    let mut all = vec![
        String::new(),
        "v=0".to_owned(),
        good.replace("m=audio 4000 RTP/AVP 0 101\r\n", ""),
        good.replace("c=IN IP4 192.0.2.1\r\n", ""),
        good.trim_end().to_owned(),
        good.replace("\r\n", "\n"),
        good.replace("\r\n", "\r"),
        good.replace("0 101\r\n", &format!("0 101{}\r\n", " 0".repeat(500))),
        good.replace("PCMU/8000", "PCMU/8000/99999999999"),
        good.replace("PCMU/8000", "PCMU/0"),
        good.replace("o=- 1 1", "o=- 99999999999999999999999 -1"),
        good.replace("IP4 192.0.2.1", "IP4 999.0.2.1"),
        good.replace("IP4 192.0.2.1", "IP4 192.0.2.1/127/99999"),
        good.replace("IP4 192.0.2.1", "IP6 192.0.2.1"),
        good.replace("t=0 0", "t=18446744073709551616 -1"),
    ];
    for media in [
        "audio 0",
        "audio 65535",
        "audio 65536",
        "audio -1",
        "audio 4000/0",
        "audio 4000/99",
        "image 0",
        "audio",
    ] {
        all.push(line(&format!("m={media} RTP/AVP 0")));
    }
    for types in ["", "999", "-1", "0 0 0 0", "128", "101", "*", "4294967296"] {
        all.push(line(&format!("m=audio 4000 RTP/AVP {types}")));
    }
    for attribute in [
        "ptime:0",
        "ptime:-1",
        "ptime:2147483648",
        "rtcp:65536",
        "rtcp:0",
        "rtpmap:",
        "fmtp:101",
        "candidate:x",
        "sendrecv\r\na=inactive",
    ] {
        all.push(format!("{good}a={attribute}\r\n"));
    }
    all.push(format!("{good}a={}\r\n", "x".repeat(12_000)));
    for lines in [1, 31, 1_000] {
        all.push(format!("{good}{}", "m=audio 0 RTP/AVP 0\r\n".repeat(lines)));
    }
    all
}

#[test]
fn no_session_description_does_more_than_fail() {
    let mut wire = Wire::new();
    for (number, body) in descriptions().iter().enumerate() {
        let text = with_body(&request("INVITE", &format!("sdp{number}"), ""), body);
        wire.hears(GATEWAY, text.as_bytes());
        let said = wire.said();
        let known = [0, 100, 400, 488, 513];
        assert!(said.iter().all(|status| known.contains(status)), "{body}: {said:?}");
        wire.gives(Input::Command(tensou_engine::OperatorCommand::HangUpAll));
        wire.rests();
    }
    wire.serves("session descriptions");
}

/// A generator of its own: the sequence is part of the test.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize
}

fn mutated(value: &[u8], state: &mut u64) -> Vec<u8> {
    const PIECES: [&[u8]; 12] =
        [b"\"", b"=", b",", b"\\", b" ", b"\0", b"\xff", b"\r\n ", b"nc=", b"Digest ", b"==", b"a"];
    let mut bytes = value.to_vec();
    for _ in 0..=next(state) % 4 {
        let at = next(state) % bytes.len().max(1);
        match next(state) % 3 {
            0 => bytes.truncate(at),
            1 => bytes
                .splice(at..at, PIECES[next(state) % PIECES.len()].iter().copied())
                .for_each(drop),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = next(state) as u8;
                }
            }
        }
    }
    bytes
}

/// CVE-2023-28098: a crash in the parsing of Authorization.
#[test]
fn a_million_broken_credentials_crash_nothing_and_let_nobody_in() {
    let right = b"Digest username=\"201\", realm=\"pbx.example\", nonce=\"00\", uri=\"sip:h\", \
                  response=\"00\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c\", opaque=\"\"";
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let mut read = 0;
    for _ in 0..1_000_000 {
        read += usize::from(Credentials::parse(&mutated(right, &mut state)).is_some());
    }
    assert!(read > 1_000, "the mutations have an edge to find: {read}");
    let mut wire = Wire::new();
    for number in 0..20_000 {
        let mut bytes = request("REGISTER", &format!("auth{number}"), "").into_bytes();
        bytes.truncate(bytes.len() - 2);
        bytes.extend_from_slice(b"Authorization: ");
        bytes.extend_from_slice(&mutated(right, &mut state));
        bytes.extend_from_slice(b"\r\n\r\n");
        wire.hears(STRANGER, &bytes);
    }
    assert!(wire.said().iter().all(|status| [401, 403].contains(status)));
    assert_eq!(wire.engine.counters().registrations, 0);
    wire.micros += Duration::from_secs(120).as_micros() as u64;
    wire.serves("broken credentials");
}
