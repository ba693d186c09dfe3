//! Any sequence of inputs: what peers, relay and operator may do, in whatever order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{EngineConfig, Listener, MediaConfig, UnknownPeer};
use crate::engine::Engine;
use crate::input::{Flow, Input, ListenerId, OperatorCommand, Output, Transport};
use crate::media::{MediaEvent, SessionId, SideCounters};
use crate::plan::{E164, parse_e164};
use crate::route::{
    CustomerSpec, DestinationKind, DestinationSpec, DidSpec, GroupSpec, MemberSpec, PeerSpec,
    Provisioning, Snapshot, Strategy, TargetRef, TrunkSpec,
};
use crate::sip::syntax::{HeaderId, Message, Start};
use crate::time::{Now, Timestamp, WallTime};

/// Inputs of one run, so that one run stays short.
const MOST_STEPS: usize = 200;
/// Messages of the engine that a peer may still answer.
const REMEMBERED: usize = 24;
/// After the last input: longer than every timer of a call that is hung up.
const ALL_TIMERS: Duration = Duration::from_secs(400);
const PEERS: [[u8; 4]; 3] = [[192, 0, 2, 1], [192, 0, 2, 2], [203, 0, 113, 9]];
const STATUSES: [u16; 12] = [100, 180, 183, 199, 200, 200, 202, 302, 404, 486, 503, 603];
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                   m=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n";

/// The engine's whole entry: nothing panics, every attempt ends as one record, and when all is
/// over nothing is held.
pub fn engine_input(data: &[u8]) {
    let Some(mut run) = Run::new(data) else { return };
    for _ in 0..MOST_STEPS {
        if run.bytes.is_empty() {
            break;
        }
        run.step();
    }
    run.end();
}

struct Run<'a> {
    engine: Engine,
    bytes: &'a [u8],
    micros: u64,
    /// What the engine has sent last, and to whom.
    sent: Vec<(Flow, Arc<[u8]>)>,
    snapshot: Arc<Snapshot>,
    invites: u32,
    records: u64,
}

fn flow(peer: u8) -> Flow {
    let ip = PEERS[usize::from(peer) % PEERS.len()];
    Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        remote: SocketAddr::from((ip, 5060)),
        connection: 0,
    }
}

impl<'a> Run<'a> {
    fn new(bytes: &'a [u8]) -> Option<Run<'a>> {
        let config = EngineConfig {
            node: "fuzz".to_owned(),
            shard: 1,
            seed: 5,
            listeners: vec![Listener {
                transport: Transport::Udp,
                address: SocketAddr::from(([192, 0, 2, 10], 5060)),
                advertise_host: "192.0.2.10".to_owned(),
                advertise_port: 5060,
            }],
            not_sip: Vec::new(),
            domain: "pbx.example".to_owned(),
            media: MediaConfig {
                address: [192, 0, 2, 10].into(),
                first_port: 20_000,
                last_port: 20_015,
            },
            unknown_peer: UnknownPeer::Forbid,
            digest: crate::DigestOffer::Both,
            contacts: crate::ContactLimit::default(),
            limits: crate::Limits::default(),
            journal: true,
        };
        let snapshot = Arc::new(Snapshot::compile(1, &office()?).ok()?);
        let engine = Engine::new(config, snapshot.clone());
        let (sent, invites, records) = (Vec::new(), 0, 0);
        Some(Run { engine, bytes, micros: 0, sent, snapshot, invites, records })
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    fn gives(&mut self, input: Input<'_>) {
        let wall = WallTime::from_unix_micros(1_795_000_000_000_000 + self.micros as i64);
        self.engine.handle(Now { mono: Timestamp::from_micros(self.micros), wall }, input);
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Journal(_) | Output::Rewritten => {}
                Output::Transmit { flow, bytes } => self.sent.push((flow, bytes)),
                Output::Cdr(_) => self.records += 1,
                Output::Media(_)
                | Output::Event(_)
                | Output::Resolve { .. }
                | Output::Expect { .. } => {}
            }
        }
        let old = self.sent.len().saturating_sub(REMEMBERED);
        self.sent.drain(..old);
        let counters = *self.engine.counters();
        assert!(counters.channels_in_use <= 23 + 4, "{counters:?}");
        assert!(counters.media_ports_in_use <= 8, "{counters:?}");
        assert_eq!(counters.calls_started - counters.calls_ended, counters.calls_active);
    }

    fn datagram(&mut self, peer: u8, bytes: &[u8]) {
        self.gives(Input::Datagram { flow: flow(peer), bytes });
    }

    fn step(&mut self) {
        let (kind, detail) = (self.byte(), self.byte());
        match kind % 10 {
            0 => {
                let length = usize::from(detail).min(self.bytes.len());
                let (raw, rest) = self.bytes.split_at(length);
                self.bytes = rest;
                self.datagram(detail, raw);
            }
            1 => self.invite(detail),
            2 | 3 => self.answer(detail),
            4 => self.in_dialog(detail),
            5 => self.echo(detail),
            6 => self.pass(Duration::from_millis(1 << (detail % 16))),
            7 => {
                let session = SessionId(u64::from(detail >> 2));
                let nothing = SideCounters::default();
                let event = match detail % 3 {
                    0 => MediaEvent::OpenFailed { session },
                    1 => MediaEvent::Closed { session, a: nothing, b: nothing },
                    _ => MediaEvent::Idle { session },
                };
                self.gives(Input::Media(event));
            }
            8 => match detail % 8 {
                0 => self.gives(Input::Command(OperatorCommand::Drain)),
                1 => self.gives(Input::Command(OperatorCommand::HangUpAll)),
                _ => {
                    let snapshot = self.snapshot.clone();
                    self.gives(Input::Snapshot(snapshot));
                }
            },
            _ => self.gives(Input::Unreachable { flow: flow(detail) }),
        }
    }

    fn invite(&mut self, detail: u8) {
        self.invites += 1;
        let n = self.invites;
        let did = if detail.is_multiple_of(8) { "0311119999" } else { "0311112222" };
        let body = if detail & 16 == 0 { SDP } else { "" };
        let text = format!(
            "INVITE sip:{did}@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{n}\r\n\
             Max-Forwards: {}\r\nFrom: <sip:0399990000@192.0.2.1>;tag=f{n}\r\n\
             To: <sip:{did}@192.0.2.10>\r\nCall-ID: fuzz-{n}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:x@192.0.2.1>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            detail >> 5,
            body.len()
        );
        self.datagram(0, text.as_bytes());
    }

    /// A peer answers one of the last requests, in its own way.
    fn answer(&mut self, detail: u8) {
        let extra = self.byte();
        let Some((_, request)) = self.sent.get(usize::from(detail) % REMEMBERED).cloned() else {
            return;
        };
        let Ok(msg) = Message::parse_datagram(&request) else { return };
        if msg.method().is_none() {
            return;
        }
        let status = STATUSES[usize::from(extra) % STATUSES.len()];
        let mut text = format!("SIP/2.0 {status} Fuzz\r\n").into_bytes();
        for id in [HeaderId::Via, HeaderId::From, HeaderId::CallId, HeaderId::CSeq, HeaderId::To] {
            let value = msg.first(id).unwrap_or_default();
            for part in [id.name().as_bytes(), b": ", value] {
                text.extend_from_slice(part);
            }
            if id == HeaderId::To && !value.windows(5).any(|part| part == b";tag=") {
                text.extend_from_slice(format!(";tag=t{}", extra >> 6).as_bytes());
            }
            text.extend_from_slice(b"\r\n");
        }
        let body = if extra & 32 == 0 { SDP } else { "" };
        text.extend_from_slice(b"Contact: <sip:y@192.0.2.2>\r\nContent-Type: application/sdp\r\n");
        text.extend_from_slice(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        self.datagram(1, &text);
    }

    /// A peer asks something within the dialog that one of the last messages is of.
    fn in_dialog(&mut self, detail: u8) {
        let extra = self.byte();
        let Some((to, known)) = self.sent.get(usize::from(detail) % REMEMBERED).cloned() else {
            return;
        };
        let Ok(msg) = Message::parse_datagram(&known) else { return };
        let method =
            ["ACK", "BYE", "INVITE", "INFO", "CANCEL", "UPDATE", "REFER"][usize::from(extra) % 7];
        let text = |id| String::from_utf8_lossy(msg.first(id).unwrap_or_default()).into_owned();
        // An answer of ours names the peer in From; a request of ours names it in To.
        let (from, to_value) = match msg.start() {
            Start::Response { .. } => (text(HeaderId::From), text(HeaderId::To)),
            Start::Request { .. } => (text(HeaderId::To), text(HeaderId::From)),
        };
        let via = match (method, msg.start()) {
            ("CANCEL", Start::Response { .. }) => text(HeaderId::Via),
            _ => format!("SIP/2.0/UDP {};branch=z9hG4bKd{}", to.remote, self.bytes.len()),
        };
        let seq = 1 + u32::from(extra >> 4);
        let body = if extra & 8 == 0 { SDP } else { "" };
        let request = format!(
            "{method} sip:192.0.2.10 SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\n\
             From: {from}\r\nTo: {to_value}\r\nCall-ID: {}\r\nCSeq: {seq} {method}\r\n\
             Contact: <sip:z@{}>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            text(HeaderId::CallId),
            to.remote,
            body.len()
        );
        self.gives(Input::Datagram { flow: to, bytes: request.as_bytes() });
    }

    /// One of the engine's own messages comes back, with one byte changed.
    fn echo(&mut self, detail: u8) {
        let (at, change) = (self.byte(), self.byte());
        let Some((_, known)) = self.sent.get(usize::from(detail) % REMEMBERED) else { return };
        let mut bytes = known.to_vec();
        if let Some(byte) = bytes.get_mut(usize::from(at) * 3) {
            *byte ^= change;
        }
        self.datagram(detail, &bytes);
    }

    fn pass(&mut self, duration: Duration) {
        let until = self.micros + duration.as_micros() as u64;
        while let Some(at) = self.engine.poll_timeout().map(Timestamp::as_micros)
            && at <= until
        {
            self.micros = self.micros.max(at);
            self.gives(Input::Tick);
        }
        self.micros = until;
    }

    fn end(&mut self) {
        for _ in 0..2 {
            self.gives(Input::Command(OperatorCommand::HangUpAll));
            self.pass(ALL_TIMERS);
        }
        let counters = *self.engine.counters();
        assert_eq!(self.engine.calls_held(), 0, "{counters:?}");
        assert_eq!(counters.transactions, 0, "{counters:?}");
        assert_eq!((counters.channels_in_use, counters.media_ports_in_use), (0, 0));
        assert_eq!((counters.calls_started, counters.calls_ended), (self.records, self.records));
    }
}

fn office() -> Option<Provisioning> {
    let trunk = |id: &str, peer: u8, prefix: &str| TrunkSpec {
        id: id.to_owned(),
        peers: vec![PeerSpec::at(flow(peer).remote)],
        channels: if peer == 0 { 23 } else { 4 },
        prefixes: vec![prefix.to_owned()],
        ..TrunkSpec::default()
    };
    let person = |id: &str, number: E164| DestinationSpec {
        id: id.to_owned(),
        kind: DestinationKind::Number(number),
        identity: Default::default(),
        trunk: None,
    };
    let member = |id: &str, delay: u64| MemberSpec {
        target: TargetRef::Destination(id.to_owned()),
        delay: Duration::from_secs(delay),
        ring: Duration::ZERO,
    };
    Some(Provisioning {
        trunks: vec![trunk("gateway", 0, "+8199"), trunk("carrier", 1, "+8190")],
        customers: vec![CustomerSpec { id: "c".to_owned(), active: true }],
        dids: vec![DidSpec {
            number: parse_e164("0311112222").ok()?,
            customer: Some("c".to_owned()),
            active: true,
            route: vec![TargetRef::Group("g".to_owned())],
            max_calls: 3,
            presented_name: String::new(),
        }],
        destinations: vec![
            person("one", parse_e164("09000001111").ok()?),
            person("two", parse_e164("09000002222").ok()?),
        ],
        groups: vec![GroupSpec {
            id: "g".to_owned(),
            strategy: Strategy::Simultaneous,
            members: vec![member("one", 0), member("two", 1)],
            ring: Duration::from_secs(20),
            ends_on_decline: false,
            overflow: Some(TargetRef::Destination("one".to_owned())),
        }],
        extensions: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn any_sequence_of_inputs_leaves_nothing_behind() {
        for seed in 0..400 {
            let mut rng = Rng::new(seed);
            let mut bytes = vec![0; 600];
            rng.fill(&mut bytes);
            // Calls begin early, so that most of the run has something to act on.
            bytes[..4].copy_from_slice(&[1, 0x63, 1, 0x61]);
            engine_input(&bytes);
        }
    }
}
