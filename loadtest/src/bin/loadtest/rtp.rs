//! Many streams of voice through the relay: loss, order, content, latency, and what a packet
//! cost the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use tensou_loadtest::agents::{Behaviour, CallScript, Expectation, Gateway, Report as Leg, World};

use crate::addresses::Party;
use crate::report::{Column, Plot, Report};
use crate::server::{Metrics, Server};
use crate::site::Site;
use crate::svg::Line;
use crate::work_dir::WorkDir;
use crate::{Common, seconds};
use tensou_loadtest::host::Machine;

/// A DID with one destination, member A's number.
const DID: &str = "0310001002";
const NUMBER: &str = "09000000001";
/// Calls set up each second: slow enough not to disturb the streams that already run.
const SETUP_RATE: u32 = 100;
/// For the last BYE and its answer.
const GRACE: Duration = Duration::from_secs(10);

/// `loadtest rtp`
#[derive(Args, Debug)]
pub(crate) struct RtpArgs {
    /// Calls at once, step by step; each has a stream of 50 packets/s in each direction
    #[arg(long, value_delimiter = ',', default_values_t = [50, 100, 200])]
    calls: Vec<u32>,
    /// How long all of them talk
    #[arg(long, default_value = "15", value_parser = seconds, value_name = "SECONDS")]
    talk: Duration,
    /// The longest delay that 99 of 100 packets may have
    #[arg(long, default_value_t = 20.0, value_name = "MS")]
    p99: f64,
}

/// What a number of streams showed.
#[derive(Debug, Serialize)]
struct Step {
    calls: u32,
    sent: u64,
    received: u64,
    lost: u64,
    reordered: u64,
    altered: u64,
    delay_p50_ms: f64,
    delay_p95_ms: f64,
    delay_p99_ms: f64,
    delay_longest_ms: f64,
    cpu_us_per_packet: f64,
}

const COLUMNS: &[Column<Step>] = &[
    ("calls", |s| s.calls.to_string()),
    ("sent", |s| s.sent.to_string()),
    ("received", |s| s.received.to_string()),
    ("lost", |s| s.lost.to_string()),
    ("out of order", |s| s.reordered.to_string()),
    ("altered", |s| s.altered.to_string()),
    ("delay p50 ms", |s| format!("{:.2}", s.delay_p50_ms)),
    ("p95", |s| format!("{:.2}", s.delay_p95_ms)),
    ("p99", |s| format!("{:.2}", s.delay_p99_ms)),
    ("longest", |s| format!("{:.2}", s.delay_longest_ms)),
    ("CPU µs/packet", |s| format!("{:.2}", s.cpu_us_per_packet)),
];

/// Runs every step against a fresh server.
pub(crate) fn run(common: &Common, args: &RtpArgs) -> Result<bool> {
    let mut rows = Vec::new();
    let mut faults = Vec::new();
    for calls in &args.calls {
        let (step, wrong) = measure(common, *calls, args.talk)?;
        println!("{calls} calls: {} packets, {} lost", step.received, step.lost);
        if step.delay_p99_ms > args.p99 {
            faults.push(format!("{calls} calls: p99 is {:.1} ms", step.delay_p99_ms));
        }
        faults.extend(wrong.into_iter().map(|fault| format!("{calls} calls: {fault}")));
        rows.push(step);
    }
    let line = |label, value: fn(&Step) -> f64| Line {
        label,
        points: rows.iter().map(|row| (f64::from(row.calls), value(row))).collect(),
    };
    let plots = vec![Plot {
        name: "delay",
        title: "Delay of voice through the relay, the generator's own queues included",
        across: "calls",
        up: "ms",
        lines: vec![
            line("p50", |row| row.delay_p50_ms),
            line("p95", |row| row.delay_p95_ms),
            line("p99", |row| row.delay_p99_ms),
        ],
    }];
    let report = Report {
        kind: "rtp",
        machine: Machine::here(),
        scenario: format!(
            "Calls that all talk for {:.0} s, 172 bytes of RTP every 20 ms in both directions; \
             every packet is compared with what was said. The generator is one thread, and its \
             queues are part of the delay.",
            args.talk.as_secs_f64()
        ),
        columns: COLUMNS,
        rows: &rows,
        plots,
        faults: &faults,
    };
    let path = report.write(&common.results)?;
    print!("{}", std::fs::read_to_string(&path)?);
    println!("written to {}", path.display());
    Ok(faults.is_empty())
}

fn measure(common: &Common, calls: u32, talk: Duration) -> Result<(Step, Vec<String>)> {
    let work = WorkDir::new(common.keep)?;
    let path = common.scenarios.join("operator.toml");
    let document = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let server = Server::start(&common.server, work.path(), &document, &Site::plain())?;
    let mut world = World::new(u64::from(calls))?;
    let party = |party| -> SocketAddr { server.addresses.sip(party) };
    let member = Gateway {
        name: "member".to_owned(),
        address: party(Party::MemberA),
        engine: server.sip(),
        takes: [(NUMBER.to_owned(), Behaviour::answers(Duration::ZERO))].into(),
    };
    world.gateway(member)?;
    let gateway = world.gateway(Gateway {
        name: "gateway".to_owned(),
        address: party(Party::Gateway),
        engine: server.sip(),
        takes: [].into(),
    })?;
    let filling = Duration::from_secs(1) * calls / SETUP_RATE;
    for call in 0..calls {
        let placed = world.call(
            gateway,
            CallScript {
                dials: DID.to_owned(),
                shows: Some(format!("0800000{call:04}")),
                talks: Some(filling + talk),
                cancels_after: None,
                expect: Expectation::AnsweredBy(vec![NUMBER.to_owned()]),
            },
        );
        placed.context("placing a call")?;
        world.run_until(Instant::now() + Duration::from_secs(1) / SETUP_RATE)?;
    }
    let before = server.usage()?;
    let packets_before: u64 = packets(&server)?;
    world.run_until(Instant::now() + talk)?;
    let cpu = server.usage()?.cpu_micros - before.cpu_micros;
    let relayed = packets(&server)?.saturating_sub(packets_before);
    let deadline = Instant::now() + filling + GRACE;
    while world.active(None) > 0 && Instant::now() < deadline {
        world.run_until(Instant::now() + Duration::from_millis(50))?;
    }
    let legs = world.take_reports();
    let mut faults = world.take_faults();
    faults.extend(server.leftovers(&Metrics::new())?);
    faults.extend(server.stop()?);
    let (step, wrong) = judge(calls, &legs, &world);
    faults.extend(wrong);
    // The server's own count where it has one, else what the agents sent in that time.
    let spoken = f64::from(calls) * 2.0 * talk.as_secs_f64() * 50.0;
    let counted = if relayed > 0 { relayed as f64 } else { spoken };
    if counted < spoken * 0.9 {
        bail!("the server relayed {counted} packets where {spoken} were spoken");
    }
    Ok((Step { cpu_us_per_packet: cpu as f64 / counted, ..step }, faults))
}

/// Packets that the server says it relayed; 0 when it does not say.
fn packets(server: &Server) -> Result<u64> {
    let metrics = server.metrics()?;
    Ok(metrics.get("tensou_rtp_relayed_total").copied().unwrap_or_default() as u64)
}

fn judge(calls: u32, legs: &[Leg], world: &World) -> (Step, Vec<String>) {
    let mut faults: Vec<String> = legs.iter().flat_map(|leg| leg.faults.iter().cloned()).collect();
    faults.truncate(20);
    if legs.len() != 2 * calls as usize {
        faults.push(format!("{} legs ended, expected {}", legs.len(), 2 * calls));
    }
    let sum = |value: fn(&Leg) -> u64| legs.iter().map(value).sum();
    let delays = world.delays();
    let millis = |delay: Duration| delay.as_secs_f64() * 1000.0;
    let step = Step {
        calls,
        sent: sum(|leg| leg.rtp_sent),
        received: sum(|leg| leg.heard.packets),
        lost: sum(|leg| leg.heard.lost),
        reordered: sum(|leg| leg.heard.reordered),
        altered: sum(|leg| leg.heard.altered),
        delay_p50_ms: millis(delays.percentile(0.5)),
        delay_p95_ms: millis(delays.percentile(0.95)),
        delay_p99_ms: millis(delays.percentile(0.99)),
        delay_longest_ms: millis(delays.longest()),
        cpu_us_per_packet: 0.0,
    };
    (step, faults)
}
