//! Relays the calls of a table, to measure the relay without signalling.
//!
//! `forward [--workers N] [--listen ADDRESS] TABLE`: one call a line,
//! `a a_port relay_a relay_a_port b b_port relay_b relay_b_port`; relay ports are even.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tensou_media::io::{Relay, RelayConfig};
use tensou_media::{Command, Latch, PortPair, Remote, SessionId, Side};

fn main() -> Result<(), Box<dyn Error>> {
    let mut table = None;
    let mut workers = 1;
    let mut listen = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--workers" => workers = arguments.next().ok_or("--workers N")?.parse()?,
            "--listen" => listen = arguments.next().ok_or("--listen ADDRESS")?.parse()?,
            _ => table = Some(argument),
        }
    }
    let calls = calls(&std::fs::read_to_string(table.ok_or("which table?")?)?)?;
    let ports = calls.iter().flat_map(|call| [call.relay_a, call.relay_b]);
    let first = ports.clone().min().ok_or("an empty table")?;
    let last = ports.max().ok_or("an empty table")?;
    let mut relay = Relay::start(RelayConfig {
        listen,
        ports: first..=last + 1,
        workers,
        dscp: 46,
        idle_timeout: Duration::from_secs(60),
    })?;
    for (number, call) in (0..).zip(&calls) {
        let session = SessionId(number);
        let pair = |port| PortPair::new(port).ok_or("relay ports are even");
        relay.open(session, pair(call.relay_a)?, pair(call.relay_b)?)?;
        for (side, phone) in [(Side::A, call.a), (Side::B, call.b)] {
            relay.command(Command::SetRemote { session, side, remote: signalled(phone) });
        }
    }
    eprintln!("{} calls, {} workers", calls.len(), relay.workers());
    loop {
        std::thread::sleep(Duration::from_secs(5));
        eprintln!("{:?}", relay.stats());
    }
}

struct Call {
    a: SocketAddr,
    relay_a: u16,
    b: SocketAddr,
    relay_b: u16,
}

fn calls(table: &str) -> Result<Vec<Call>, Box<dyn Error>> {
    let mut calls = Vec::new();
    for line in table.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [a, a_port, _, relay_a, b, b_port, _, relay_b] = fields.as_slice() else {
            return Err(format!("not eight fields: {line}").into());
        };
        calls.push(Call {
            a: SocketAddr::new(a.parse()?, a_port.parse()?),
            relay_a: relay_a.parse()?,
            b: SocketAddr::new(b.parse()?, b_port.parse()?),
            relay_b: relay_b.parse()?,
        });
    }
    Ok(calls)
}

fn signalled(rtp: SocketAddr) -> Remote {
    let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
    Remote { rtp, rtcp, latch: Latch::Signalled, sends: true }
}
