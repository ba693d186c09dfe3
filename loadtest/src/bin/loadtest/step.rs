//! One step of a load: a fresh server, SIPp on both sides, and what every call came to.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::Serialize;

use crate::Common;
use crate::addresses::Party;
use crate::case_file::Transport;
use crate::echo::Echo;
use crate::report::{Column, percentile};
use crate::server::{Metrics, Server};
use crate::sipp::{Figures, Play, Sipp};
use crate::site::Site;
use crate::work_dir::WorkDir;

/// DIDs of the operator document: a hunt group of three, and one destination.
const GROUP_DID: &str = "0310001001";
const ONE_DID: &str = "0310001002";
/// What SIPp needs beyond the calls themselves: ringing, the end, a repetition or two.
const GRACE: Duration = Duration::from_secs(40);
/// How long the member of a group rings before it answers. With none the CANCEL would reach the
/// others before SIPp has said that they ring, which it takes for a fault.
pub(crate) const GROUP_RINGS: Duration = Duration::from_millis(200);
/// RFC 3261 17.2.1 timer H and the like: transactions linger for 64*T1 after the last message.
const LINGERING: Duration = Duration::from_secs(40);
/// How far a recorded duration may be from the caller's pause: SIPp's timers have a resolution
/// of 1 ms but its loop falls behind under load.
const DURATION_TOLERANCE_MS: u64 = 400;

/// The route of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Through {
    /// One destination: one leg in, one out
    One,
    /// A hunt group of three: one answers, two are told to stop
    Group,
}

/// A load of one rate.
pub(crate) struct Load<'a> {
    pub(crate) common: &'a Common,
    pub(crate) through: Through,
    pub(crate) rate: u32,
    pub(crate) calls: u32,
    pub(crate) talk: Duration,
    pub(crate) media: bool,
    /// The server keeps its calls.
    pub(crate) journal: bool,
    /// Waits until the last transaction is gone.
    pub(crate) to_the_end: bool,
}

/// What a step showed.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Step {
    /// The server kept its calls.
    pub(crate) journal: bool,
    pub(crate) rate: u32,
    pub(crate) calls: u32,
    pub(crate) successful: u64,
    pub(crate) failed: u64,
    pub(crate) unexpected: u64,
    pub(crate) sipp_retransmissions: u64,
    pub(crate) server_retransmissions: u64,
    pub(crate) setup_p50_ms: f64,
    pub(crate) setup_p95_ms: f64,
    pub(crate) setup_p99_ms: f64,
    pub(crate) cpu_us_per_call: f64,
    pub(crate) cpu_cores: f64,
    pub(crate) calls_per_second: f64,
    pub(crate) rtp_packets: u64,
    pub(crate) rtp_lost: u64,
    pub(crate) records: usize,
    /// Calls held at once, and what each of them took; 0 where it was not measured.
    pub(crate) held: u64,
    pub(crate) memory_kb_per_call: f64,
}

pub(crate) const COLUMNS: &[Column<Step>] = &[
    ("journal", |s| if s.journal { "on" } else { "off" }.to_owned()),
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

impl Load<'_> {
    /// The step's figures, and everything that was not as it should be.
    pub(crate) fn run(&self) -> Result<(Step, Vec<String>)> {
        let work = WorkDir::new(self.common.keep)?;
        let server = start(self, work.path())?;
        let mut faults = Vec::new();
        let before = server.usage()?;
        let resent = |server: &Server| -> Result<f64> {
            let metrics = server.metrics()?;
            Ok(metrics.get("tensou_sip_retransmitted_total").copied().unwrap_or_default())
        };
        let resent_before = resent(&server)?;
        let mut callees = self.callees(&server, work.path())?;
        std::thread::sleep(Duration::from_millis(500));
        let begun = Instant::now();
        let deadline = begun + self.length() + GRACE;
        callees.sipps.push(self.caller(&server, work.path())?);
        let mut figures = Vec::new();
        for sipp in callees.sipps.iter_mut().rev() {
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

    /// Holds all calls at once and measures the memory of one; the talk must outlast the filling
    /// by ten seconds.
    pub(crate) fn hold(&self) -> Result<(Step, Vec<String>)> {
        let filling = self.length() - self.talk;
        let work = WorkDir::new(self.common.keep)?;
        let server = start(self, work.path())?;
        let mut callees = self.callees(&server, work.path())?;
        std::thread::sleep(Duration::from_millis(500));
        let before = server.usage()?.memory_kb;
        let begun = Instant::now();
        callees.sipps.push(self.caller(&server, work.path())?);
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
        let deadline = begun + self.length() + GRACE;
        let mut faults = Vec::new();
        let mut figures = Vec::new();
        for sipp in callees.sipps.iter_mut().rev() {
            faults.extend(sipp.faults(deadline)?);
            figures.push((sipp.figures(), Duration::ZERO));
        }
        let (caller, _) = figures.first().cloned().context("no caller")?;
        let mut step = step_of(self, &caller, &figures);
        if held < f64::from(self.calls) {
            faults.push(format!("only {held} calls were up at once"));
        }
        step.held = held as u64;
        step.memory_kb_per_call = (memory.saturating_sub(before)) as f64 / held.max(1.0);
        faults.extend(server.leftovers(&Metrics::new())?);
        step.records = server.cdrs(Some(self.did()), self.calls as usize)?.len();
        faults.extend(server.stop()?);
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

    fn callees(&self, server: &Server, dir: &Path) -> Result<Callees> {
        let mut options = Vec::new();
        let mut echo = None;
        let mut answers = "callee_answers.xml";
        if self.media {
            let started = Echo::start(server.addresses.sip(Party::MemberA).ip())?;
            options = ["-key", "echo_port"].map(str::to_owned).to_vec();
            options.push(started.port().to_string());
            echo = Some(started);
            answers = "callee_echoes.xml";
        }
        let first = Play { options, ..self.play(server, Party::MemberA, answers, None) };
        let mut sipps = vec![Sipp::start(first, dir)?];
        if self.through == Through::Group {
            for party in [Party::MemberB, Party::MemberC] {
                let play = self.play(server, party, "callee_rings_until_stopped.xml", None);
                sipps.push(Sipp::start(play, dir)?);
            }
        }
        Ok(Callees { sipps, _echo: echo })
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
            transport: Transport::Udp,
            here: server.addresses.sip(party),
            calls,
            count: self.calls,
            takes: None,
            rate: self.rate,
            pause,
            options: Vec::new(),
        }
    }
}

/// Those who take the calls.
struct Callees {
    sipps: Vec<Sipp>,
    /// Lives as long as they do.
    _echo: Option<Echo>,
}

fn start(load: &Load<'_>, dir: &Path) -> Result<Server> {
    let common = load.common;
    let path = common.scenarios.join("operator.toml");
    let document = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    if !document.contains("@MEMBER_C@") {
        bail!("{} has no hunt group of three", path.display());
    }
    let mut site = Site::plain();
    site.journal = load.journal;
    Server::start(&common.server, dir, &document, &site)
}

fn step_of(load: &Load<'_>, caller: &Figures, all: &[(Figures, Duration)]) -> Step {
    let sum = |value: fn(&Figures) -> u64| all.iter().map(|(figures, _)| value(figures)).sum();
    let missing = u64::from(load.calls).saturating_sub(caller.successful);
    Step {
        journal: load.journal,
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
