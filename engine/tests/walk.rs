//! The walking path: one forwarded call through the engine, message by message.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test: what is missing stops it")]

use std::net::SocketAddr;
use std::sync::Arc;

use tensou_engine::plan::parse_e164;
use tensou_engine::route::{
    CustomerSpec, DestinationKind, DestinationSpec, DidSpec, GroupSpec, MemberSpec, PeerSpec,
    Provisioning, Snapshot, Strategy, TargetRef, TrunkSpec,
};
use tensou_engine::{
    CallResult, Cdr, Engine, EngineConfig, Flow, Input, Listener, ListenerId, MediaConfig, Now,
    Output, Timestamp, Transport, UnknownPeer, WallTime, media,
};

const GATEWAY: &str = "192.0.2.1:5060";
const CARRIER: &str = "192.0.2.2:5060";

fn trunk(id: &str, peer: &str) -> TrunkSpec {
    TrunkSpec {
        id: id.to_owned(),
        peers: vec![PeerSpec::at(peer.parse().unwrap())],
        channels: 23,
        prefixes: if id == "carrier" { Vec::new() } else { vec!["+8199".to_owned()] },
        ..TrunkSpec::default()
    }
}

fn provisioning() -> Provisioning {
    let member = |id: &str| MemberSpec {
        target: TargetRef::Destination(id.to_owned()),
        delay: std::time::Duration::ZERO,
        ring: std::time::Duration::ZERO,
    };
    let destination = |id: &str, number: &str| DestinationSpec {
        id: id.to_owned(),
        kind: DestinationKind::Number(parse_e164(number).unwrap()),
        identity: Default::default(),
        trunk: None,
    };
    Provisioning {
        trunks: vec![trunk("gateway", GATEWAY), trunk("carrier", CARRIER)],
        customers: vec![CustomerSpec { id: "yamada".to_owned(), active: true }],
        dids: vec![DidSpec {
            number: parse_e164("0311112222").unwrap(),
            customer: Some("yamada".to_owned()),
            active: true,
            route: vec![TargetRef::Group("sales".to_owned())],
            max_calls: 0,
            presented_name: String::new(),
        }],
        destinations: vec![destination("sato", "09000001111"), destination("ito", "09000002222")],
        groups: vec![GroupSpec {
            id: "sales".to_owned(),
            strategy: Strategy::Simultaneous,
            members: vec![member("sato"), member("ito")],
            ring: std::time::Duration::from_secs(20),
            ends_on_decline: false,
            overflow: None,
        }],
        extensions: Vec::new(),
    }
}

struct Wire {
    engine: Engine,
    micros: u64,
    sent: Vec<(SocketAddr, String)>,
    cdrs: Vec<Cdr>,
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
                last_port: 20099,
            },
            unknown_peer: UnknownPeer::Drop,
            digest: tensou_engine::DigestOffer::Both,
            contacts: tensou_engine::ContactLimit::default(),
            limits: tensou_engine::Limits::default(),
            journal: false,
        };
        let snapshot = Snapshot::compile(1, &provisioning()).unwrap();
        let engine = Engine::new(config, Arc::new(snapshot));
        Wire { engine, micros: 0, sent: Vec::new(), cdrs: Vec::new() }
    }

    fn now(&self) -> Now {
        Now {
            mono: Timestamp::from_micros(self.micros),
            wall: WallTime::from_unix_micros(1_795_000_000_000_000 + self.micros as i64),
        }
    }

    fn hears(&mut self, from: &str, text: &str) {
        self.micros += 1000;
        let flow = Flow {
            listener: ListenerId(0),
            transport: Transport::Udp,
            remote: from.parse().unwrap(),
            connection: 0,
        };
        let bytes = text.replace('\n', "\r\n");
        self.engine.handle(self.now(), Input::Datagram { flow, bytes: bytes.as_bytes() });
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => {
                    self.sent.push((flow.remote, String::from_utf8(bytes.to_vec()).unwrap()));
                }
                Output::Cdr(cdr) => self.cdrs.push(*cdr),
                Output::Media(media::MediaCommand::Close { session }) => {
                    let event = media::MediaEvent::Closed {
                        session,
                        a: media::SideCounters::default(),
                        b: media::SideCounters::default(),
                    };
                    self.engine.handle(self.now(), Input::Media(event));
                }
                Output::Media(_) | Output::Event(_) | Output::Resolve { .. } => {}
                Output::Journal(_) | Output::Rewritten | Output::Expect { .. } => {}
            }
        }
    }

    fn takes(&mut self, to: &str, begins: &str) -> String {
        let to: SocketAddr = to.parse().unwrap();
        let found = self.sent.iter().position(|(at, text)| *at == to && text.starts_with(begins));
        let Some(found) = found else { panic!("no {begins} to {to}: {:#?}", self.sent) };
        self.sent.remove(found).1
    }
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| {
        panic!("no {name} in {text}");
    })
}

fn sdp(ip: &str, port: u16) -> String {
    format!(
        "v=0\no=- 1 1 IN IP4 {ip}\ns=-\nc=IN IP4 {ip}\nt=0 0\nm=audio {port} RTP/AVP 0 101\n\
         a=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\n"
    )
}

fn with_body(head: &str, body: &str) -> String {
    let length = body.replace('\n', "\r\n").len();
    format!("{head}Content-Type: application/sdp\nContent-Length: {length}\n\n{body}")
}

fn invite(number: &str) -> String {
    let head = format!(
        "INVITE sip:{number}@192.0.2.10 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1\n\
         Max-Forwards: 70\nFrom: \"Suzuki\" <sip:0311119999@192.0.2.1>;tag=a\n\
         To: <sip:{number}@192.0.2.10>\nCall-ID: call-1@192.0.2.1\nCSeq: 7 INVITE\n\
         Contact: <sip:gw@192.0.2.1:5060>\n"
    );
    with_body(&head, &sdp("192.0.2.1", 4000))
}

fn answer_to(request: &str, status: &str, tag: &str, body: Option<&str>) -> String {
    let head = format!(
        "SIP/2.0 {status}\nVia: {}\nFrom: {}\nTo: {};tag={tag}\nCall-ID: {}\nCSeq: {}\n\
         Contact: <sip:callee@192.0.2.2:5060>\n",
        header(request, "Via"),
        header(request, "From"),
        header(request, "To"),
        header(request, "Call-ID"),
        header(request, "CSeq"),
    );
    match body {
        Some(body) => with_body(&head, body),
        None => format!("{head}Content-Length: 0\n\n"),
    }
}

fn in_dialog(method: &str, ok: &str, seq: u32) -> String {
    format!(
        "{method} {} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{method}{seq}\n\
         Max-Forwards: 70\nFrom: {}\nTo: {}\nCall-ID: {}\nCSeq: {seq} {method}\n\
         Content-Length: 0\n\n",
        header(ok, "Contact").trim_matches(['<', '>']),
        header(ok, "From"),
        header(ok, "To"),
        header(ok, "Call-ID"),
    )
}

#[test]
fn a_forwarded_call_rings_two_phones_connects_the_first_and_leaves_one_record() {
    let mut wire = Wire::new();
    wire.hears(GATEWAY, &invite("0311112222"));
    wire.takes(GATEWAY, "SIP/2.0 100 ");
    let sato = wire.takes(CARRIER, "INVITE sip:09000001111@192.0.2.2:5060 ");
    let ito = wire.takes(CARRIER, "INVITE sip:09000002222@192.0.2.2:5060 ");
    assert!(sato.contains("c=IN IP4 192.0.2.10"), "{sato}");
    assert!(!sato.contains("192.0.2.1:") && !sato.contains("call-1@"), "leg A leaks: {sato}");
    assert_eq!(header(&sato, "Max-Forwards"), "69");
    wire.hears(CARRIER, &answer_to(&sato, "180 Ringing", "s", None));
    wire.hears(CARRIER, &answer_to(&ito, "180 Ringing", "i", None));
    wire.takes(GATEWAY, "SIP/2.0 180 ");
    wire.hears(CARRIER, &answer_to(&sato, "200 OK", "s", Some(&sdp("192.0.2.3", 5000))));
    let ok = wire.takes(GATEWAY, "SIP/2.0 200 ");
    wire.takes(CARRIER, "ACK sip:callee@192.0.2.2:5060 ");
    let cancel = wire.takes(CARRIER, "CANCEL sip:09000002222@192.0.2.2:5060 ");
    assert_eq!(header(&cancel, "Reason"), "SIP;cause=200;text=\"Call completed elsewhere\"");
    wire.hears(CARRIER, &answer_to(&cancel, "200 OK", "i", None));
    wire.hears(CARRIER, &answer_to(&ito, "487 Request Terminated", "i", None));
    wire.takes(CARRIER, "ACK sip:09000002222@192.0.2.2:5060 ");
    wire.hears(GATEWAY, &in_dialog("ACK", &ok, 7));
    wire.micros += 60_000_000;
    wire.hears(GATEWAY, &in_dialog("BYE", &ok, 8));
    wire.takes(GATEWAY, "SIP/2.0 200 ");
    let bye = wire.takes(CARRIER, "BYE sip:callee@192.0.2.2:5060 ");
    wire.hears(CARRIER, &answer_to(&bye, "200 OK", "s", None).replace(";tag=s;tag=s", ";tag=s"));
    assert_eq!(wire.sent, []);
    let [cdr] = &wire.cdrs[..] else { panic!("{:?}", wire.cdrs) };
    assert_eq!(cdr.result, CallResult::Answered);
    assert_eq!(cdr.duration.as_secs(), 60);
    assert_eq!(cdr.answered_by.as_ref().map(|key| key.as_str()), Some("sato"));
    assert_eq!(cdr.legs.len(), 2);
    assert_eq!(cdr.legs[1].sip_status, 487);
    assert_eq!(wire.engine.calls_held(), 0);
    let counters = *wire.engine.counters();
    assert_eq!((counters.media_ports_in_use, counters.channels_in_use), (0, 0));
}

#[test]
fn a_caller_that_gives_up_ends_every_branch() {
    let mut wire = Wire::new();
    let invite = invite("0311112222");
    wire.hears(GATEWAY, &invite);
    let sato = wire.takes(CARRIER, "INVITE sip:09000001111");
    wire.hears(CARRIER, &answer_to(&sato, "180 Ringing", "s", None));
    let cancel = invite.split("Contact").next().unwrap().replace("INVITE", "CANCEL");
    wire.hears(GATEWAY, &format!("{cancel}Content-Length: 0\n\n"));
    wire.takes(GATEWAY, "SIP/2.0 200 ");
    wire.takes(GATEWAY, "SIP/2.0 487 ");
    wire.takes(CARRIER, "CANCEL sip:09000001111");
    wire.hears(CARRIER, &answer_to(&sato, "487 Request Terminated", "s", None));
    wire.takes(CARRIER, "ACK sip:09000001111");
}

#[test]
fn an_unknown_did_is_not_found_and_a_stranger_hears_nothing() {
    let mut wire = Wire::new();
    wire.hears(GATEWAY, &invite("0311113333"));
    let refusal = wire.takes(GATEWAY, "SIP/2.0 404 ");
    assert_eq!(header(&refusal, "Reason"), "Q.850;cause=1");
    assert_eq!(wire.cdrs.len(), 1);
    wire.sent.clear();
    wire.hears("198.51.100.9:5060", &invite("0311112222"));
    assert_eq!(wire.sent, []);
    assert_eq!(wire.engine.counters().sip_unknown_peer, 1);
}
