//! `tensou serve`: first start, changes while it runs, and its end.

use std::net::TcpListener;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::bench::{Bench, until};

/// A change acts on the next call within this time.
const SOON: Duration = Duration::from_secs(1);

#[test]
fn the_first_start_prints_a_password_once_and_a_signal_ends_it_with_code_0() {
    let bench = Bench::new();
    let server = bench.serve();
    assert_eq!(server.get("/healthz", "").0, 200);
    server.signal(Signal::SIGTERM);
    let (code, said) = server.end();
    assert_eq!(code, Some(0));
    assert!(said.contains("one-time password"), "{said}");
    let server = bench.serve();
    server.signal(Signal::SIGINT);
    assert_eq!(server.end(), (Some(0), String::new()));
}

#[test]
fn a_change_by_another_process_acts_within_a_second() {
    let bench = Bench::new();
    let token = bench.run(&["token", "add", "t", "--role", "admin"]).out.trim().to_owned();
    let server = bench.serve();
    assert_eq!(server.get("/readyz", "").0, 503, "no trunk yet");
    let revision = |key: &str| {
        let (status, body) = server.get("/api/v1/system", &token);
        assert_eq!(status, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        body[key].as_u64().expect("a revision")
    };
    let before = revision("active_revision");
    bench.write("o.toml", "[[trunks]]\nid = \"gateway\"\npeers = [\"127.0.0.1:5099\"]\n");
    assert_eq!(bench.run(&["import", "o.toml"]).code, Some(0));
    let took = until(|| revision("active_revision") > before);
    assert!(took <= SOON, "it took {took:?}");
    assert_eq!(revision("active_revision"), revision("revision"));
    assert_eq!(server.get("/readyz", "").0, 200);
    let (_, metrics) = server.get("/metrics", "");
    for name in ["tensou_calls_active 0", "tensou_cdr_waiting 0", "tensou_database_up 1"] {
        assert!(metrics.lines().any(|line| line == name), "{name} not in {metrics}");
    }
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_taken_port_is_named_with_code_3() {
    let bench = Bench::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let admin = format!("admin.listen={address}");
    let quiet = ["--set", "sip.listen=udp:127.0.0.1:0", "--set", "media.listen=127.0.0.1"];
    let said = bench.run(&[&["serve", "--set", &admin][..], &quiet].concat());
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(said.err.contains(&address), "{}", said.err);

    let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let sip = format!("sip.listen=udp:{address}");
    let said = bench.run(&["serve", "--set", &sip, "--set", "admin.listen=127.0.0.1:0"]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(said.err.contains(&address), "{}", said.err);
}

#[test]
fn a_hangup_signal_reads_the_log_level_again() {
    let bench = Bench::new();
    let server = bench.serve();
    let settings = bench.path().join("tensou.toml");
    let text = std::fs::read_to_string(&settings).expect("its settings");
    bench.write("tensou.toml", &format!("{text}[log]\nlevel = \"off\"\n"));
    server.signal(Signal::SIGHUP);
    // The log is quiet from then on; the program goes on serving.
    until(|| server.get("/healthz", "").0 == 200);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn without_a_service_manager_nothing_is_handed_over() {
    let bench = Bench::new();
    let server = bench.serve();
    server.signal(Signal::SIGUSR2);
    until(|| server.get("/healthz", "").0 == 200);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().0, Some(0));
}
