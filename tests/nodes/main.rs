//! Two processes on one PostgreSQL act as one system. Runs when `TENSOU_TEST_POSTGRES` is the URL
//! of a database in which schemas may be created, and is reported as ignored otherwise.

#[expect(dead_code, reason = "shared with the tests of one process")]
#[path = "../program/bench.rs"]
mod bench;

use std::net::UdpSocket;

use libtest_mimic::{Arguments, Trial};
use nix::sys::signal::Signal;
use serde_json::Value;

use bench::{Bench, PATIENCE, Server, until};

fn main() {
    let server = std::env::var("TENSOU_TEST_POSTGRES").ok();
    let missing = server.is_none();
    let trial = Trial::test("two_nodes_on_one_database_act_as_one_system", move || {
        two_nodes_on_one_database_act_as_one_system(&server.ok_or("there is no server")?);
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial.with_ignored_flag(missing)]).exit();
}

/// Two folders with a node each, over a database of their own.
struct Pair {
    benches: [Bench; 2],
    sip: [u16; 2],
    token: String,
}

impl Pair {
    /// Over a schema of its own in the database at `server`.
    fn new(server: &str) -> Pair {
        let schema = format!("tensou_nodes_{}", std::process::id());
        let mark = if server.contains('?') { '&' } else { '?' };
        let psql = std::process::Command::new("psql")
            .args([server, "-q", "-c", &format!("CREATE SCHEMA {schema}")])
            .status()
            .expect("psql");
        assert!(psql.success());
        let url = format!("{server}{mark}options[search_path]={schema}");
        let sip = [free_port(), free_port()];
        let benches = [Bench::new(), Bench::new()];
        for (at, bench) in benches.iter().enumerate() {
            let settings = format!(
                "[node]\nname = \"node-{at}\"\ndrain_seconds = 1\n\
                 [sip]\nlisten = \"udp:127.0.0.1:{}\"\n\
                 [media]\nlisten = \"127.0.0.1\"\nworkers = 1\nports = \"27{at}00-27{at}99\"\n\
                 [admin]\nlisten = \"127.0.0.1:0\"\n[database]\nurl = \"{url}\"\n",
                sip[at]
            );
            bench.write("tensou.toml", &settings);
        }
        let said = benches[0].run(&["token", "add", "t", "--role", "admin"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        Pair { benches, sip, token: said.out.trim().to_owned() }
    }

    fn serve(&self) -> [Server; 2] {
        [self.benches[0].serve_as_set(), self.benches[1].serve_as_set()]
    }
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("an address").port()
}

fn json(server: &Server, path: &str, token: &str) -> Value {
    let (status, body) = server.get(path, token);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Node and id of each call that a node shows.
fn calls(server: &Server, token: &str) -> Vec<(Option<String>, String, String)> {
    let list = json(server, "/api/v1/calls", token);
    let text = |call: &Value, key: &str| call[key].as_str().map(str::to_owned);
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let call = |call: &Value| {
        let state = text(call, "state").unwrap_or_default();
        (text(call, "node"), text(call, "id").unwrap_or_default(), state)
    };
    items.iter().map(call).collect()
}

/// A gateway that calls, and a phone behind a carrier that rings.
struct Phones {
    gateway: UdpSocket,
    carrier: UdpSocket,
}

impl Phones {
    fn new() -> Phones {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            socket
        };
        Phones { gateway: socket(), carrier: socket() }
    }

    fn provisioning(&self) -> String {
        let port = |socket: &UdpSocket| socket.local_addr().expect("an address").port();
        format!(
            "[[trunks]]\nid = \"gateway\"\npeers = [\"127.0.0.1:{}\"]\n\
             [[trunks]]\nid = \"carrier\"\npeers = [\"127.0.0.1:{}\"]\n\
             [[destinations]]\nid = \"mobile\"\nnumber = \"090-0100-0001\"\ntrunk = \"carrier\"\n\
             [[dids]]\nnumber = \"03-1200-1000\"\nroute = [{{ ring = \"destination:mobile\" }}]\n",
            port(&self.gateway),
            port(&self.carrier)
        )
    }

    /// Places a call at the node on `sip`, which rings.
    fn call(&self, sip: u16, id: &str) {
        let own = self.gateway.local_addr().expect("an address");
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 0\r\n",
            own.port()
        );
        let invite = format!(
            "INVITE sip:0312001000@127.0.0.1:{sip} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {own};branch=z9hG4bK-{id}\r\nMax-Forwards: 70\r\n\
             From: <sip:0901000099@{own}>;tag={id}\r\nTo: <sip:0312001000@127.0.0.1>\r\n\
             Call-ID: {id}@gateway\r\nCSeq: 1 INVITE\r\nContact: <sip:gateway@{own}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{offer}",
            offer.len()
        );
        self.gateway.send_to(invite.as_bytes(), ("127.0.0.1", sip)).expect("sent");
        let mut datagram = [0; 4096];
        let invite = loop {
            let (length, from) = self.carrier.recv_from(&mut datagram).expect("an INVITE");
            let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
            if from.port() == sip && text.starts_with("INVITE ") {
                break text;
            }
        };
        let kept = ["via:", "from:", "call-id:", "cseq:"];
        let mut ringing = String::from("SIP/2.0 180 Ringing\r\n");
        for line in invite.lines() {
            let name = line.to_lowercase();
            if kept.iter().any(|kept| name.starts_with(kept)) {
                ringing.push_str(&format!("{line}\r\n"));
            } else if name.starts_with("to:") {
                ringing.push_str(&format!("{line};tag=phone\r\n"));
            }
        }
        ringing.push_str("Contact: <sip:phone@127.0.0.1>\r\nContent-Length: 0\r\n\r\n");
        self.carrier.send_to(ringing.as_bytes(), ("127.0.0.1", sip)).expect("sent");
    }

    /// Waits until the gateway's call has its final answer, which is no 2xx.
    fn ended(&self, id: &str) {
        let mut datagram = [0; 4096];
        loop {
            let (length, _) = self.gateway.recv_from(&mut datagram).expect("an answer");
            let text = String::from_utf8_lossy(&datagram[..length]);
            let status = text.split(' ').nth(1).and_then(|word| word.parse::<u16>().ok());
            if text.contains(&format!("{id}@gateway")) && status.is_some_and(|it| it >= 300) {
                return;
            }
        }
    }
}

fn two_nodes_on_one_database_act_as_one_system(server: &str) {
    let pair = Pair::new(server);
    let servers = pair.serve();
    let [one, other] = &servers;
    let token = pair.token.as_str();

    // Each sees both, and a token made before either ran is good at each.
    for server in [one, other] {
        until(|| {
            let system = json(server, "/api/v1/system", token);
            let nodes = system["nodes"].as_array().cloned().unwrap_or_default();
            nodes.len() == 2 && nodes.iter().all(|node| node["alive"] == true)
        });
    }

    // A change by a third process acts on both, a change at one on the other.
    let phones = Phones::new();
    pair.benches[0].write("o.toml", &phones.provisioning());
    let said = pair.benches[0].run(&["import", "o.toml"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for server in [one, other] {
        let took = until(|| server.get("/readyz", "").0 == 200);
        eprintln!("an import at a node after {took:?}");
    }
    let customer = r#"{"id": "yamada", "name": "山田"}"#;
    let (status, body) = one.send("POST", "/api/v1/customers", token, customer);
    assert_eq!(status, 201, "{body}");
    let revision = json(one, "/api/v1/system", token)["revision"].clone();
    let took = until(|| json(other, "/api/v1/system", token)["active_revision"] == revision);
    eprintln!("a change at the other after {took:?}");

    // A call at each is seen at both, with its node where it is another's.
    for (at, sip) in pair.sip.iter().enumerate() {
        phones.call(*sip, &format!("call-{at}"));
    }
    for server in [one, other] {
        let took = until(|| {
            let seen = calls(server, token);
            seen.len() == 2 && seen.iter().all(|(_, _, state)| state == "ringing")
        });
        eprintln!("a call at every node after {took:?}");
    }
    let seen = calls(one, token);
    let elsewhere: Vec<_> = seen.iter().filter(|call| call.0.is_some()).collect();
    assert_eq!(elsewhere.len(), 1, "{seen:?}");
    assert_eq!(elsewhere[0].0.as_deref(), Some("node-1"));

    // Hanging up reaches the node that has the call.
    let hang_up = format!("/api/v1/calls/{}/hangup", elsewhere[0].1);
    assert_eq!(one.send("POST", &hang_up, token, "").0, 202);
    phones.ended("call-1");
    until(|| calls(one, token).len() == 1 && calls(other, token).len() == 1);
    let own = calls(other, token).remove(0);
    assert_eq!(own.0.as_deref(), Some("node-0"));
    let hang_up = format!("/api/v1/calls/{}/hangup", own.1);
    assert_eq!(other.send("POST", &hang_up, token, "").0, 202);
    phones.ended("call-0");

    // Both wrote, each under its name, and both read all.
    until(|| {
        let records = json(other, "/api/v1/cdrs", token);
        let items = records["items"].as_array().cloned().unwrap_or_default();
        let mut nodes: Vec<_> = items.iter().filter_map(|it| it["node"].as_str()).collect();
        nodes.sort_unstable();
        nodes == ["node-0", "node-1"]
    });

    // What each counts is what its records say.
    let all = json(one, "/api/v1/cdrs", token)["items"].clone();
    for (server, name) in [(one, "node-0"), (other, "node-1")] {
        let own = || all.as_array().into_iter().flatten().filter(|it| it["node"] == name);
        let answered = own().filter(|it| it["result"] == "answered").count();
        let talked: u64 = own().filter_map(|it| it["duration_ms"].as_u64()).sum();
        let expected = [
            format!("tensou_calls_started_total {}", own().count()),
            format!("tensou_calls_answered_total {answered}"),
            format!("tensou_talk_milliseconds_total {talked}"),
        ];
        until(|| {
            let (_, page) = server.get("/metrics", "");
            expected.iter().all(|figure| page.lines().any(|line| line == figure))
        });
    }

    // Who ends in good order is gone from the list.
    let [one, other] = servers;
    one.signal(Signal::SIGTERM);
    assert_eq!(one.end().0, Some(0));
    until(|| {
        let nodes = json(&other, "/api/v1/system", token)["nodes"].clone();
        nodes.as_array().is_some_and(|nodes| nodes.len() == 1)
    });
    other.signal(Signal::SIGTERM);
    assert_eq!(other.end().0, Some(0));
}
