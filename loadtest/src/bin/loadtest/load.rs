//! Calls by the thousand: SIPp on both sides of the server, and what each call cost it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::addresses::Party;
use crate::case::WorkDir;
use crate::machine::Machine;
use crate::report::{Column, Plot, Report, percentile};
use crate::server::{Metrics, Server};
use crate::sipp::{Figures, Play, Sipp};
use crate::svg::Line;
use crate::{Common, seconds};

/// DIDs of the operator document: a hunt group of three, and one destination.
const GROUP_DID: &str = "0310001001";
const ONE_DID: &str = "0310001002";
/// What SIPp needs beyond the calls themselves: ringing, the end, a repetition or two.
const GRACE: Duration = Duration::from_secs(40);
/// How long the member of a group rings before it answers. With none the CANCEL would reach the
/// others before SIPp has said that they ring, which it takes for a fault.
const GROUP_RINGS: Duration = Duration::from_millis(200);
/// RFC 3261 17.2.1 timer H and the like: transactions linger for 64*T1 after the last message.
const LINGERING: Duration = Duration::from_secs(40);
/// How far a recorded duration may be from the caller's pause: SIPp's timers have a resolution
/// of 1 ms but its loop falls behind under load.
const DURATION_TOLERANCE_MS: u64 = 400;

/// `loadtest calls`
#[derive(Args, Debug)]
pub(crate) struct CallsArgs {
    /// New calls each second
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Calls in all
    #[arg(long, default_value_t = 10_000)]
    calls: u32,
    /// Length of a talk
    #[arg(long, default_value = "2", value_parser = seconds, value_name = "SECONDS")]
    talk: Duration,
    /// The callers speak, the callee echoes
    #[arg(long)]
    media: bool,
}

/// `loadtest ramp`
#[derive(Args, Debug)]
pub(crate) struct RampArgs {
    /// New calls each second, step by step
    #[arg(long, value_delimiter = ',', default_values_t = [100, 200, 400, 800])]
    rates: Vec<u32>,
    /// Length of a step
    #[arg(long, default_value = "15", value_parser = seconds, value_name = "SECONDS")]
    step: Duration,
    /// Length of a talk
    #[arg(long, default_value = "1", value_parser = seconds, value_name = "SECONDS")]
    talk: Duration,
    /// Where the calls go
    #[arg(long, value_enum, default_value_t = Through::One)]
    through: Through,
    /// Calls held at once to measure the memory of one; 0 leaves it out
    #[arg(long, default_value_t = 2000)]
    hold: u32,
}

/// The route of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Through {
    /// One destination: one leg in, one out
    One,
    /// A hunt group of three: one answers, two are told to stop
    Group,
}

/// A load of one rate.
struct Load<'a> {
    common: &'a Common,
    through: Through,
    rate: u32,
    calls: u32,
    talk: Duration,
    media: bool,
    /// Waits until the last transaction is gone.
    to_the_end: bool,
}

/// What a step showed.
#[derive(Debug, Default, Serialize)]
struct Step {
    rate: u32,
    calls: u32,
    successful: u64,
    failed: u64,
    unexpected: u64,
    sipp_retransmissions: u64,
    server_retransmissions: u64,
    setup_p50_ms: f64,
    setup_p95_ms: f64,
    setup_p99_ms: f64,
    cpu_us_per_call: f64,
    cpu_cores: f64,
    calls_per_second: f64,
    rtp_packets: u64,
    rtp_lost: u64,
    records: usize,
    /// Calls held at once, and what each of them took; 0 where it was not measured.
    held: u64,
    memory_kb_per_call: f64,
}

const COLUMNS: &[Column<Step>] = &[
    ("calls/s asked", |s| s.rate.to_string()),
    ("reached", |s| format!("{:.0}", s.calls_per_second)),
    ("calls", |s| s.calls.to_string()),
    ("failed", |s| s.failed.to_string()),
    ("unexpected", |s| s.unexpected.to_string()),
    ("resent by SIPp", |s| s.sipp_retransmissions.to_string()),
    ("resent by server", |s| s.server_retransmissions.to_string()),
    ("setup p50 ms", |s| format!("{:.1}", s.setup_p50_ms)),
    ("p95", |s| format!("{:.1}", s.setup_p95_ms)),
    ("p99", |s| format!("{:.1}", s.setup_p99_ms)),
    ("CPU µs/call", |s| format!("{:.0}", s.cpu_us_per_call)),
    ("cores", |s| format!("{:.2}", s.cpu_cores)),
    ("records", |s| s.records.to_string()),
    ("RTP packets", |s| s.rtp_packets.to_string()),
    ("RTP lost", |s| s.rtp_lost.to_string()),
    ("held", |s| s.held.to_string()),
    ("kB/held call", |s| format!("{:.1}", s.memory_kb_per_call)),
];

/// One rate, every call checked.
pub(crate) fn calls(common: &Common, args: &CallsArgs) -> Result<bool> {
    let load = Load {
        common,
        through: Through::Group,
        rate: args.rate,
        calls: args.calls,
        talk: args.talk,
        media: args.media,
        to_the_end: true,
    };
    let (step, faults) = load.run()?;
    let report = Report {
        kind: "calls",
        machine: Machine::here(),
        scenario: format!(
            "{} calls at {}/s through a hunt group of three (one answers, two are told to stop), \
             {:.1} s of talk, {}. The one \
             that answers rings for {} ms, which is part of the setup time.",
            args.calls,
            args.rate,
            args.talk.as_secs_f64(),
            if args.media { "with voice both ways" } else { "without voice" },
            GROUP_RINGS.as_millis()
        ),
        columns: COLUMNS,
        rows: &[step],
        plots: Vec::new(),
        faults: &faults,
    };
    finish(&report, common)
}

/// Rate after rate, each against a fresh server.
pub(crate) fn ramp(common: &Common, args: &RampArgs) -> Result<bool> {
    let mut rows = Vec::new();
    let mut faults = Vec::new();
    for rate in &args.rates {
        let calls = (f64::from(*rate) * args.step.as_secs_f64()) as u32;
        let through = args.through;
        let talk = args.talk;
        let load =
            Load { common, through, rate: *rate, calls, talk, media: false, to_the_end: false };
        let (step, wrong) = load.run()?;
        println!("{rate}/s: {} ok, {} failed", step.successful, step.failed);
        faults.extend(wrong.into_iter().map(|fault| format!("{rate}/s: {fault}")));
        rows.push(step);
    }
    if args.hold > 0 {
        let (step, wrong) = hold(common, args)?;
        faults.extend(wrong.into_iter().map(|fault| format!("holding: {fault}")));
        rows.push(step);
    }
    let line = |label, value: fn(&Step) -> f64| Line {
        label,
        points: rows
            .iter()
            .filter(|row| row.held == 0)
            .map(|row| (f64::from(row.rate), value(row)))
            .collect(),
    };
    let plots = vec![
        Plot {
            name: "setup",
            title: "INVITE to 200",
            across: "calls/s",
            up: "ms",
            lines: vec![
                line("p50", |row| row.setup_p50_ms),
                line("p95", |row| row.setup_p95_ms),
                line("p99", |row| row.setup_p99_ms),
            ],
        },
        Plot {
            name: "cpu",
            title: "CPU of the server",
            across: "calls/s",
            up: "µs per call",
            lines: vec![line("µs per call", |row| row.cpu_us_per_call)],
        },
    ];
    let report = Report {
        kind: "ramp",
        machine: Machine::here(),
        scenario: format!(
            "Calls through {}, {:.1} s of talk, {:.0} s at each rate, a fresh server for each; \
             voice ports open but silent, records written.",
            match args.through {
                Through::One => "one destination",
                Through::Group => "a hunt group of three",
            },
            args.talk.as_secs_f64(),
            args.step.as_secs_f64()
        ),
        columns: COLUMNS,
        rows: &rows,
        plots,
        faults: &faults,
    };
    finish(&report, common)
}

fn finish(report: &Report<'_, Step>, common: &Common) -> Result<bool> {
    let path = report.write(&common.results)?;
    print!("{}", std::fs::read_to_string(&path)?);
    println!("written to {}", path.display());
    Ok(report.faults.is_empty())
}

impl Load<'_> {
    fn run(&self) -> Result<(Step, Vec<String>)> {
        let work = WorkDir::new(self.common.keep)?;
        let server = start(self.common, work.path())?;
        let mut faults = Vec::new();
        let before = server.usage()?;
        let resent = |server: &Server| -> Result<f64> {
            let metrics = server.metrics()?;
            Ok(metrics.get("tensou_sip_retransmitted_total").copied().unwrap_or_default())
        };
        let resent_before = resent(&server)?;
        let mut playing = self.callees(&server, work.path())?;
        std::thread::sleep(Duration::from_millis(500));
        let begun = Instant::now();
        let deadline = begun + self.length() + GRACE;
        playing.push(self.caller(&server, work.path())?);
        let mut figures = Vec::new();
        for sipp in playing.iter_mut().rev() {
            faults.extend(sipp.faults(deadline)?);
            if figures.is_empty() {
                figures.push((sipp.figures(), begun.elapsed()));
            } else {
                figures.push((sipp.figures(), Duration::ZERO));
            }
        }
        faults.extend(server.leftovers(&Metrics::new())?);
        let used = server.usage()?.cpu_micros - before.cpu_micros;
        let took = begun.elapsed().as_secs_f64();
        let did = self.did();
        let records = server.cdrs(Some(did), self.calls as usize)?;
        faults.extend(judge_records(&records, self));
        let (caller, active) = figures.first().cloned().context("no caller")?;
        let mut step = step_of(self, &caller, &figures);
        if self.to_the_end {
            faults.extend(server.wait_for_zero("tensou_transactions", LINGERING)?);
        }
        step.server_retransmissions = (resent(&server)? - resent_before) as u64;
        step.cpu_us_per_call = used as f64 / f64::from(self.calls.max(1));
        step.cpu_cores = used as f64 / 1e6 / took;
        step.calls_per_second =
            f64::from(self.calls) / (active.as_secs_f64() - self.talk.as_secs_f64()).max(0.001);
        step.records = records.len();
        (step.rtp_packets, step.rtp_lost) = voice_of(&records);
        faults.extend(server.stop()?);
        if step.failed > 0 || step.unexpected > 0 {
            let Step { failed, unexpected, .. } = step;
            faults.push(format!("{failed} calls failed, {unexpected} unexpected messages"));
        }
        if self.media && step.rtp_lost > 0 {
            faults.push(format!("{} packets of voice lost", step.rtp_lost));
        }
        Ok((step, faults))
    }

    fn did(&self) -> &'static str {
        match self.through {
            Through::One => ONE_DID,
            Through::Group => GROUP_DID,
        }
    }

    fn length(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.calls) / f64::from(self.rate.max(1))) + self.talk
    }

    fn callees(&self, server: &Server, dir: &Path) -> Result<Vec<Sipp>> {
        let echo = if self.media { vec!["-rtp_echo".to_owned()] } else { Vec::new() };
        let mut parts = vec![(Party::MemberA, "callee_answers.xml", echo)];
        if self.through == Through::Group {
            parts.push((Party::MemberB, "callee_rings_until_stopped.xml", Vec::new()));
            parts.push((Party::MemberC, "callee_rings_until_stopped.xml", Vec::new()));
        }
        let start = |(party, scenario, options)| {
            let play = self.play(server, party, scenario, None);
            Sipp::start(Play { options, ..play }, dir)
        };
        parts.into_iter().map(start).collect()
    }

    fn caller(&self, server: &Server, dir: &Path) -> Result<Sipp> {
        let scenario = if self.media {
            let name = format!("{:?}", Party::Gateway);
            std::fs::create_dir_all(dir.join(&name))?;
            std::fs::write(dir.join(&name).join("voice.ulaw"), voice())?;
            "caller_speaks.xml"
        } else {
            "caller_talks.xml"
        };
        let calls = Some((server.sip(), self.did().to_owned()));
        Sipp::start(self.play(server, Party::Gateway, scenario, calls), dir)
    }

    fn play(
        &self,
        server: &Server,
        party: Party,
        scenario: &str,
        calls: Option<(std::net::SocketAddr, String)>,
    ) -> Play {
        let pause = match (&calls, self.through) {
            (Some(_), _) => self.talk,
            (None, Through::Group) => GROUP_RINGS,
            (None, Through::One) => Duration::ZERO,
        };
        Play {
            name: format!("{party:?}"),
            scenario: self.common.scenarios.join("common").join(scenario),
            here: server.addresses.sip(party),
            calls,
            count: self.calls,
            rate: self.rate,
            pause,
            options: Vec::new(),
        }
    }
}

/// Holds calls and measures the memory that each of them takes.
fn hold(common: &Common, args: &RampArgs) -> Result<(Step, Vec<String>)> {
    let rate = args.rates.iter().copied().max().unwrap_or(100).min(500);
    let filling = Duration::from_secs_f64(f64::from(args.hold) / f64::from(rate));
    let load = Load {
        common,
        through: args.through,
        rate,
        calls: args.hold,
        talk: filling + Duration::from_secs(10),
        media: false,
        to_the_end: false,
    };
    let work = WorkDir::new(common.keep)?;
    let server = start(common, work.path())?;
    let mut playing = load.callees(&server, work.path())?;
    std::thread::sleep(Duration::from_millis(500));
    let before = server.usage()?.memory_kb;
    let begun = Instant::now();
    playing.push(load.caller(&server, work.path())?);
    let mut held = 0.0;
    let mut memory = before;
    while begun.elapsed() < filling + Duration::from_secs(9) {
        std::thread::sleep(Duration::from_millis(200));
        let active = server.metrics()?.get("tensou_calls_active").copied().unwrap_or_default();
        if active >= held {
            held = active;
            memory = server.usage()?.memory_kb;
        }
    }
    let deadline = begun + load.length() + GRACE;
    let mut faults = Vec::new();
    let mut figures = Vec::new();
    for sipp in playing.iter_mut().rev() {
        faults.extend(sipp.faults(deadline)?);
        figures.push((sipp.figures(), Duration::ZERO));
    }
    let (caller, _) = figures.first().cloned().context("no caller")?;
    let mut step = step_of(&load, &caller, &figures);
    if held < f64::from(args.hold) {
        faults.push(format!("only {held} calls were up at once"));
    }
    step.held = held as u64;
    step.memory_kb_per_call = (memory.saturating_sub(before)) as f64 / held.max(1.0);
    faults.extend(server.leftovers(&Metrics::new())?);
    step.records = server.cdrs(Some(load.did()), args.hold as usize)?.len();
    faults.extend(server.stop()?);
    Ok((step, faults))
}

fn start(common: &Common, dir: &Path) -> Result<Server> {
    let path = common.scenarios.join("operator.toml");
    let document = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    if !document.contains("@MEMBER_C@") {
        bail!("{} has no hunt group of three", path.display());
    }
    Server::start(&common.server, dir, &document)
}

fn step_of(load: &Load<'_>, caller: &Figures, all: &[(Figures, Duration)]) -> Step {
    let sum = |value: fn(&Figures) -> u64| all.iter().map(|(figures, _)| value(figures)).sum();
    let missing = u64::from(load.calls).saturating_sub(caller.successful);
    Step {
        rate: load.rate,
        calls: load.calls,
        successful: caller.successful,
        failed: missing.max(sum(|figures| figures.failed)),
        unexpected: sum(|figures| figures.unexpected),
        sipp_retransmissions: sum(|figures| figures.retransmissions),
        setup_p50_ms: percentile(&caller.setup_ms, 0.5),
        setup_p95_ms: percentile(&caller.setup_ms, 0.95),
        setup_p99_ms: percentile(&caller.setup_ms, 0.99),
        ..Step::default()
    }
}

fn judge_records(records: &[serde_json::Value], load: &Load<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    if records.len() != load.calls as usize {
        faults.push(format!("{} call records for {} calls", records.len(), load.calls));
    }
    let unanswered = records.iter().filter(|record| record["result"] != "answered").count();
    if unanswered > 0 {
        faults.push(format!("{unanswered} records are not of answered calls"));
    }
    let talk = load.talk.as_millis() as u64;
    let wrong = records.iter().filter(|record| {
        let duration = record["duration_ms"].as_u64().unwrap_or_default();
        duration.abs_diff(talk) > DURATION_TOLERANCE_MS
    });
    let wrong: Vec<_> = wrong.map(|record| record["duration_ms"].clone()).collect();
    if let Some(first) = wrong.first() {
        faults.push(format!(
            "{} records whose duration is not {talk} ms, the first {first}",
            wrong.len()
        ));
    }
    faults
}

/// Packets and losses of all legs in both directions.
fn voice_of(records: &[serde_json::Value]) -> (u64, u64) {
    let mut total = (0, 0);
    let legs = records.iter().filter_map(|record| record["legs"].as_array()).flatten();
    let directions = legs.filter_map(|leg| leg["media"].as_object()).flat_map(|m| m.values());
    for direction in directions {
        total.0 += direction["packets"].as_u64().unwrap_or_default();
        total.1 += direction["lost"].as_u64().unwrap_or_default();
    }
    total
}

/// A second of μ-law for SIPp to repeat: a 400 Hz square tone, soft enough for ears.
fn voice() -> Vec<u8> {
    (0..8000).map(|sample| if (sample / 10) % 2 == 0 { 0xB0 } else { 0x30 }).collect()
}
