//! One forwarded call after the other through an engine, without sockets: a caller on a gateway,
//! a callee behind a carrier, both honest and quick.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up shall stop")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tensou_engine::media::{MediaCommand, MediaEvent, SideCounters};
use tensou_engine::plan::{E164, parse_e164};
use tensou_engine::route::{
    CustomerSpec, DestinationKind, DestinationSpec, DidSpec, PeerSpec, Provisioning, Snapshot,
    TargetRef, TrunkSpec,
};
use tensou_engine::{
    Engine, EngineConfig, Flow, Input, Listener, ListenerId, MediaConfig, Now, Output, Timestamp,
    Transport, UnknownPeer, WallTime,
};

/// What is measured allocates as the program does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) const GATEWAY: &str = "192.0.2.1:5060";
pub(crate) const CARRIER: &str = "192.0.2.2:5060";
/// Between two calls: 100 calls a second, so that 3,200 linger in the transaction layer.
const PAUSE: u64 = 10_000;
pub(crate) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                   m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\n\
                   a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
                   a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

/// The DID with this position.
pub(crate) fn did(at: usize) -> E164 {
    parse_e164(&format!("03{:08}", 10_000_000 + at)).unwrap()
}

fn trunk(id: &str, peer: &str, prefix: &str) -> TrunkSpec {
    TrunkSpec {
        id: id.to_owned(),
        peers: vec![PeerSpec::at(peer.parse().unwrap())],
        prefixes: vec![prefix.to_owned()],
        ..TrunkSpec::default()
    }
}

/// A node with so many DIDs, all of which ring sato.
pub(crate) fn snapshot(dids: usize) -> Snapshot {
    let office = Provisioning {
        trunks: vec![trunk("gateway", GATEWAY, "+8199"), trunk("carrier", CARRIER, "+8190")],
        customers: vec![CustomerSpec { id: "yamada".to_owned(), active: true }],
        dids: (0..dids)
            .map(|at| DidSpec {
                number: did(at),
                customer: Some("yamada".to_owned()),
                active: true,
                route: vec![TargetRef::Destination("sato".to_owned())],
                max_calls: 0,
                presented_name: String::new(),
            })
            .collect(),
        destinations: vec![DestinationSpec {
            id: "sato".to_owned(),
            kind: DestinationKind::Number(parse_e164("09000001111").unwrap()),
            identity: Default::default(),
            trunk: None,
        }],
        groups: Vec::new(),
        extensions: Vec::new(),
    };
    Snapshot::compile(1, &office).unwrap()
}

/// A node whose calls are in a journal or not.
pub(crate) fn config(journal: bool) -> EngineConfig {
    EngineConfig {
        node: "bench".to_owned(),
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
            first_port: 20_000,
            last_port: 39_999,
        },
        unknown_peer: UnknownPeer::Drop,
        digest: tensou_engine::DigestOffer::Both,
        contacts: tensou_engine::ContactLimit::default(),
        limits: tensou_engine::Limits::default(),
        journal,
    }
}

/// The engine and both ends of the line.
pub(crate) struct Line {
    engine: Engine,
    micros: u64,
    calls: u64,
    sent: Vec<(SocketAddr, Arc<[u8]>)>,
    records: u64,
    /// Bytes of the journal.
    pub(crate) journalled: usize,
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let start = text.find(&format!("\r\n{name}: ")).unwrap() + name.len() + 4;
    text[start..].split("\r\n").next().unwrap()
}

/// An answer of the callee to a request that it was sent.
pub(crate) fn answer(request: &str, status: &str, body: &str) -> String {
    let [via, from, to, call_id, cseq] =
        ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| header(request, name));
    let tag = if to.contains(";tag=") { "" } else { ";tag=callee" };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let length = body.len();
    format!(
        "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}{tag}\r\n\
         Call-ID: {call_id}\r\nCSeq: {cseq}\r\nContact: <sip:sato@{CARRIER}>\r\n{kind}\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

impl Line {
    /// A line into a node with one DID, whose calls are in a journal or not.
    pub(crate) fn new(journal: bool) -> Line {
        let engine = Engine::new(config(journal), Arc::new(snapshot(1)));
        Line { engine, micros: 0, calls: 0, sent: Vec::new(), records: 0, journalled: 0 }
    }

    fn gives(&mut self, input: Input<'_>) {
        let now = Now {
            mono: Timestamp::from_micros(self.micros),
            wall: WallTime::from_unix_micros(1_795_000_000_000_000 + self.micros as i64),
        };
        self.engine.handle(now, input);
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => self.sent.push((flow.remote, bytes)),
                Output::Media(MediaCommand::Close { session }) => {
                    let nothing = SideCounters::default();
                    let closed = MediaEvent::Closed { session, a: nothing, b: nothing };
                    self.engine.handle(now, Input::Media(closed));
                }
                Output::Cdr(_) => self.records += 1,
                Output::Media(_) | Output::Event(_) | Output::Resolve { .. } => {}
                Output::Journal(record) => {
                    self.journalled += record.len();
                    self.engine.reuse(record);
                }
                Output::Rewritten | Output::Expect { .. } => {}
            }
        }
    }

    fn hears(&mut self, from: &str, text: &str) {
        let flow = Flow {
            listener: ListenerId(0),
            transport: Transport::Udp,
            remote: from.parse().unwrap(),
            connection: 0,
        };
        self.gives(Input::Datagram { flow, bytes: text.as_bytes() });
    }

    /// The message among those just sent that begins so.
    fn takes(&mut self, begins: &str) -> String {
        let found = self.sent.iter().position(|(_, bytes)| bytes.starts_with(begins.as_bytes()));
        let (_, bytes) = self.sent.swap_remove(found.unwrap());
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn in_dialog(&self, method: &str, ok: &str, seq: u32) -> String {
        let target = header(ok, "Contact").trim_matches(['<', '>']);
        let [from, to, call_id] = ["From", "To", "Call-ID"].map(|name| header(ok, name));
        let branch = format!("z9hG4bK{method}{}", self.calls);
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {GATEWAY};branch={branch}\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {seq} {method}\r\nContent-Length: 0\r\n\r\n"
        )
    }

    fn invite(&self) -> String {
        let n = self.calls;
        let length = SDP.len();
        format!(
            "INVITE sip:0310000000@192.0.2.10 SIP/2.0\r\n\
             Via: SIP/2.0/UDP {GATEWAY};branch=z9hG4bKinvite{n}\r\nMax-Forwards: 70\r\n\
             From: \"Suzuki\" <sip:0399990000@192.0.2.1>;tag=a{n}\r\n\
             To: <sip:0310000000@192.0.2.10>\r\nCall-ID: bench-{n}@192.0.2.1\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:gw@{GATEWAY}>\r\nUser-Agent: bench\r\n\
             Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\nSupported: replaces\r\n\
             Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{SDP}"
        )
    }

    /// INVITE, 180, 200, ACK, BYE, 200 and the record; then the pause, with what timers are due.
    pub(crate) fn call(&mut self) {
        self.calls += 1;
        self.hears(GATEWAY, &self.invite());
        let invite = self.takes("INVITE");
        self.hears(CARRIER, &answer(&invite, "180 Ringing", ""));
        self.hears(CARRIER, &answer(&invite, "200 OK", SDP));
        let ok = self.takes("SIP/2.0 200");
        self.hears(GATEWAY, &self.in_dialog("ACK", &ok, 1));
        self.hears(GATEWAY, &self.in_dialog("BYE", &ok, 2));
        let bye = self.takes("BYE");
        self.hears(CARRIER, &answer(&bye, "200 OK", ""));
        self.sent.clear();
        let until = self.micros + PAUSE;
        while let Some(at) = self.engine.poll_timeout().map(Timestamp::as_micros)
            && at <= until
        {
            self.micros = self.micros.max(at);
            self.gives(Input::Tick);
        }
        self.micros = until;
        assert_eq!(self.records, self.calls, "every call has its record");
    }

    /// Calls until as many linger as ever will.
    pub(crate) fn warm_up(&mut self) {
        let calls = Duration::from_secs(33).as_micros() as u64 / PAUSE;
        for _ in 0..calls {
            self.call();
        }
    }
}
