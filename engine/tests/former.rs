//! Calls in a journal of a former release go on: the records of two calls as versions 1 and 3 of
//! the format have them, one that talks and one that rings, written by those releases.
#![expect(clippy::unwrap_used, reason = "a test: what is missing stops it")]

#[path = "../benches/drive/mod.rs"]
#[expect(dead_code, reason = "the calls of the bench begin anew")]
mod drive;

use std::sync::Arc;

use drive::{CARRIER, GATEWAY, SDP, answer, config, snapshot};
use tensou_engine::journal::Ledger;
use tensou_engine::media::{MediaCommand, MediaEvent, SideCounters};
use tensou_engine::{
    CallResult, Cdr, Engine, Flow, Input, ListenerId, Now, Output, Timestamp, Transport, WallTime,
};

/// What a former release wrote.
struct Former {
    /// Hexadecimal digits, an empty line between two records.
    records: &'static str,
    /// The tag that the talking call gave its caller.
    tag: &'static str,
    /// The branch of the INVITE that rings.
    branch: &'static str,
}

const FORMER: [Former; 2] = [
    Former {
        records: include_str!("former/version_1.txt"),
        tag: "00000001f3000000000000a2b428e31f717a3f",
        branch: "00000000010000000197ccc60977175216",
    },
    Former {
        records: include_str!("former/version_3.txt"),
        tag: "00000001f3000000000000a2b428e31f717a3f",
        branch: "0000000000000003e897ccc60977175216",
    },
];

impl Former {
    /// The node's record, then those of the call that talks and those of the one that rings, which
    /// came when the first had ended.
    fn calls(&self) -> [Vec<Vec<u8>>; 2] {
        let record = |text: &str| {
            let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
            let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
            digits.chunks(2).map(byte).collect()
        };
        let all: Vec<Vec<u8>> = self.records.split("\n\n").map(record).collect();
        [all[..5].to_vec(), [&all[..1], &all[5..]].concat()]
    }

    /// The INVITE that rings.
    fn invite(&self) -> String {
        let branch = self.branch;
        format!(
            "INVITE sip:09000001111@192.0.2.2:5060 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{branch};rport\r\n\
             From: \"Suzuki\" <sip:0399990000@pbx.example>;\
             tag=00000001f40000000000019866f69e98a70c8f\r\n\
             To: <sip:09000001111@192.0.2.2:5060>\r\n\
             Call-ID: 007f0dadc8126d81d8bad3d8335df9a944\r\nCSeq: 1 INVITE\r\n\r\n"
        )
    }
}

struct Line {
    engine: Engine,
    now: Now,
    sent: Vec<String>,
    cdrs: Vec<Cdr>,
}

impl Line {
    /// A second after the process before died.
    fn restored(records: &[Vec<u8>]) -> Line {
        let mut ledger = Ledger::default();
        records.iter().for_each(|record| ledger.take(record).unwrap());
        let latest = ledger.latest();
        let now = Now {
            mono: Timestamp::from_micros(latest.mono.as_micros() + 1_000_000),
            wall: WallTime::from_unix_micros(latest.wall.as_unix_micros() + 1_000_000),
        };
        let engine = Engine::restore(config(true), Arc::new(snapshot(1)), now, &ledger);
        let mut line = Line { engine, now, sent: Vec::new(), cdrs: Vec::new() };
        line.drain();
        line
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => {
                    let text = String::from_utf8(bytes.to_vec()).unwrap();
                    self.sent.push(format!("{} {text}", flow.remote));
                }
                Output::Media(MediaCommand::Close { session }) => {
                    let nothing = SideCounters::default();
                    let closed = MediaEvent::Closed { session, a: nothing, b: nothing };
                    self.engine.handle(self.now, Input::Media(closed));
                }
                Output::Cdr(cdr) => self.cdrs.push(*cdr),
                _ => {}
            }
        }
    }

    /// What is sent because of it.
    fn hears(&mut self, from: &str, text: &str) -> String {
        let (listener, transport) = (ListenerId(0), Transport::Udp);
        let flow = Flow { listener, transport, remote: from.parse().unwrap(), connection: 0 };
        self.sent.clear();
        self.engine.handle(self.now, Input::Datagram { flow, bytes: text.as_bytes() });
        self.drain();
        self.sent.join("\n")
    }
}

#[test]
fn a_talking_call_of_a_former_release_is_hung_up_on_both_sides_and_has_its_record() {
    for former in FORMER {
        let [talking, _] = former.calls();
        let mut line = Line::restored(&talking);
        assert_eq!(line.engine.counters().calls_restored, 1);
        let tag = former.tag;
        let sent = line.hears(
            GATEWAY,
            &format!(
                "BYE sip:192.0.2.10:5060 SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {GATEWAY};branch=z9hG4bKbye\r\nMax-Forwards: 70\r\n\
                 From: \"Suzuki\" <sip:0399990000@192.0.2.1>;tag=a500\r\n\
                 To: <sip:0310000000@192.0.2.10>;tag={tag}\r\n\
                 Call-ID: bench-500@192.0.2.1\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n"
            ),
        );
        assert!(sent.contains(&format!("{GATEWAY} SIP/2.0 200 OK")), "{sent}");
        let bye = format!("{CARRIER} BYE sip:sato@192.0.2.2:5060 SIP/2.0");
        assert!(sent.contains(&bye), "{sent}");
        let [cdr] = &*line.cdrs else { unreachable!("one record: {:?}", line.cdrs) };
        assert_eq!(cdr.result, CallResult::Answered);
        let [leg] = &*cdr.legs else { unreachable!("one leg: {cdr:?}") };
        assert_eq!((leg.destination.as_str(), leg.sip_status), ("sato", 200));
        assert!(leg.ringing_at.is_some() && leg.answered_at >= leg.ringing_at, "{leg:?}");
    }
}

#[test]
fn a_ringing_call_of_a_former_release_can_be_answered() {
    for former in FORMER {
        let [_, ringing] = former.calls();
        let mut line = Line::restored(&ringing);
        let sent = line.hears(CARRIER, &answer(&former.invite(), "200 OK", SDP));
        let ack = format!("{CARRIER} ACK sip:sato@192.0.2.2:5060 SIP/2.0");
        assert!(sent.contains(&ack), "{sent}");
        assert!(sent.contains(&format!("{GATEWAY} SIP/2.0 200 OK")), "{sent}");
        assert!(sent.contains("branch=z9hG4bKinvite501"), "{sent}");
    }
}

#[test]
fn cut_records_of_a_former_release_never_stop_a_start() {
    for former in FORMER {
        let [records, _] = former.calls();
        for (at, record) in records.iter().enumerate() {
            for cut in (1..record.len()).step_by(37) {
                let mut ledger = Ledger::default();
                for (other, whole) in records.iter().enumerate() {
                    let bytes = if other == at { &whole[..cut] } else { &whole[..] };
                    // What cannot be read leaves the rest as it was.
                    let _ = ledger.take(bytes);
                }
                let now = ledger.latest();
                let mut engine = Engine::restore(config(true), Arc::new(snapshot(1)), now, &ledger);
                assert!(engine.counters().calls_restored <= 1);
            }
        }
    }
}
