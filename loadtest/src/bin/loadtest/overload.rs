//! More calls than the server can serve: how many it completes all the same.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use crate::addresses::Party;
use crate::case_file::Transport;
use crate::report::{Column, Plot, Report, percentile};
use crate::server::Server;
use crate::sipp::{Play, Sipp};
use crate::site::Site;
use crate::svg::Line;
use crate::throttle::Throttle;
use crate::work_dir::WorkDir;
use crate::{Common, seconds};
use tensou_loadtest::host::Machine;

/// The DID with one destination in the operator document.
const DID: &str = "0310001002";
/// How long callers that were kept waiting may take to end.
const GRACE: Duration = Duration::from_secs(12);
/// What the last rate must complete of what the best one completed, in percent.
const KEPT: f64 = 75.0;

/// `loadtest overload`
#[derive(Args, Debug)]
pub(crate) struct OverloadArgs {
    /// New calls each second, step by step; the last should be three times what it can serve
    #[arg(long, value_delimiter = ',', default_values_t = [100, 200, 300, 400, 600, 900, 1200])]
    rates: Vec<u32>,
    /// Length of a step
    #[arg(long, default_value = "10", value_parser = seconds, value_name = "SECONDS")]
    step: Duration,
    /// Length of a talk
    #[arg(long, default_value = "1", value_parser = seconds, value_name = "SECONDS")]
    talk: Duration,
    /// Share of the time for which the server runs, in percent: the callers must not give in first
    #[arg(long, default_value_t = 10)]
    share: u32,
}

#[derive(Debug, Default, Serialize)]
struct Row {
    offered: u32,
    completed: f64,
    refused: f64,
    lost: f64,
    setup_p50_ms: f64,
    setup_p95_ms: f64,
    server_retransmissions: f64,
    cpu_cores: f64,
}

const COLUMNS: &[Column<Row>] = &[
    ("offered calls/s", |row| row.offered.to_string()),
    ("completed calls/s", |row| format!("{:.0}", row.completed)),
    ("refused/s", |row| format!("{:.0}", row.refused)),
    ("neither/s", |row| format!("{:.0}", row.lost)),
    ("setup p50 ms", |row| format!("{:.0}", row.setup_p50_ms)),
    ("p95", |row| format!("{:.0}", row.setup_p95_ms)),
    ("resent by server/s", |row| format!("{:.0}", row.server_retransmissions)),
    ("cores", |row| format!("{:.2}", row.cpu_cores)),
];

/// Rate after rate, each against a fresh server.
pub(crate) fn run(common: &Common, args: &OverloadArgs) -> Result<bool> {
    let mut rows = Vec::new();
    for rate in &args.rates {
        let row = step(common, args, *rate)?;
        println!("{rate}/s: {:.0} completed, {:.0} refused", row.completed, row.refused);
        rows.push(row);
    }
    let best = rows.iter().map(|row| row.completed).fold(0.0, f64::max);
    let last = rows.last().map_or(0.0, |row| row.completed);
    let mut faults = Vec::new();
    if last * 100.0 < best * KEPT {
        faults.push(format!("{last:.0} calls/s completed at the last rate, {best:.0} at the best"));
    }
    let line = |label, value: fn(&Row) -> f64| Line {
        label,
        points: rows.iter().map(|row| (f64::from(row.offered), value(row))).collect(),
    };
    let plots = vec![Plot {
        name: "goodput",
        title: "Calls completed",
        across: "offered calls/s",
        up: "calls/s",
        lines: vec![line("completed", |row| row.completed), line("refused", |row| row.refused)],
    }];
    let report = Report {
        kind: "overload",
        machine: Machine::here(),
        scenario: format!(
            "More calls than can be served, {:.1} s of talk, {:.0} s at each rate, a fresh server \
             for each; the server runs for {} % of the time, so that the callers do not give in \
             first. Completed: answered, and hung up by the caller.",
            args.talk.as_secs_f64(),
            args.step.as_secs_f64(),
            args.share
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

fn step(common: &Common, args: &OverloadArgs, rate: u32) -> Result<Row> {
    let work = WorkDir::new(common.keep)?;
    let path = common.scenarios.join("operator.toml");
    let document = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let server = Server::start(&common.server, work.path(), &document, &Site::plain())?;
    let seconds = args.step.as_secs_f64();
    let count = (f64::from(rate) * seconds) as u32;
    let play = |party: Party, scenario: &str, calls| Play {
        name: format!("{party:?}"),
        scenario: common.scenarios.join("common").join(scenario),
        transport: Transport::Udp,
        here: server.addresses.sip(party),
        calls,
        count,
        takes: None,
        rate,
        pause: Duration::ZERO,
        options: Vec::new(),
    };
    let _callee = Sipp::start(play(Party::MemberA, "callee_answers.xml", None), work.path())?;
    std::thread::sleep(Duration::from_millis(500));
    let before = server.usage()?.cpu_micros;
    let calls = Some((server.sip(), DID.to_owned()));
    let caller =
        Play { pause: args.talk, ..play(Party::Gateway, "caller_talks_or_is_refused.xml", calls) };
    let throttle = Throttle::start(server.pid(), args.share)?;
    let begun = Instant::now();
    let mut caller = Sipp::start(caller, work.path())?;
    caller.wait(begun + args.step + args.talk + GRACE)?;
    let took = begun.elapsed().as_secs_f64();
    drop(throttle);
    let figures = caller.figures();
    let metrics = server.metrics()?;
    let metric = |name: &str| metrics.get(name).copied().unwrap_or_default();
    let refused = metric("tensou_refused_overload_total");
    let used = server.usage()?.cpu_micros - before;
    let records = server.cdrs(Some(DID), count as usize)?;
    let served = |record: &&serde_json::Value| {
        record["result"] == "answered" && record["ended_by"] == "caller"
    };
    let completed = records.iter().filter(served).count() as f64;
    server.stop()?;
    Ok(Row {
        offered: rate,
        completed: completed / seconds,
        refused: refused.min(f64::from(count)) / seconds,
        lost: (f64::from(count) - completed - refused).max(0.0) / seconds,
        setup_p50_ms: percentile(&figures.setup_ms, 0.5),
        setup_p95_ms: percentile(&figures.setup_ms, 0.95),
        server_retransmissions: metric("tensou_sip_retransmitted_total") / seconds,
        cpu_cores: used as f64 / 1e6 / took,
    })
}
