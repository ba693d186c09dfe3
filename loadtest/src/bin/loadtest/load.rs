//! Calls by the thousand: SIPp on both sides of the server, and what each call cost it.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::report::{Plot, Report};
use crate::step::{COLUMNS, GROUP_RINGS, Load, Step, Through};
use crate::svg::Line;
use crate::{Common, seconds};
use tensou_loadtest::host::Machine;

/// Held calls are set up no faster: their number is what counts.
const HOLD_RATE: u32 = 500;

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
    /// Every rate a second time by a server that keeps no calls (`journal.calls = "off"`)
    #[arg(long)]
    journal_cost: bool,
    /// Calls held at once to measure the memory of one; 0 leaves it out
    #[arg(long, default_value_t = 2000)]
    hold: u32,
}

/// One rate, every call checked.
pub(crate) fn calls(common: &Common, args: &CallsArgs) -> Result<bool> {
    let load = Load {
        common,
        through: Through::Group,
        rate: args.rate,
        calls: args.calls,
        talk: args.talk,
        media: args.media,
        journal: true,
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
    let servers: &[bool] = if args.journal_cost { &[true, false] } else { &[true] };
    let turns = args.rates.iter().flat_map(|rate| servers.iter().map(move |it| (rate, *it)));
    for (rate, journal) in turns {
        let calls = (f64::from(*rate) * args.step.as_secs_f64()) as u32;
        let through = args.through;
        let talk = args.talk;
        let (rate, media, to_the_end) = (*rate, false, false);
        let load = Load { common, through, rate, calls, talk, media, journal, to_the_end };
        let (step, wrong) = load.run()?;
        let without = if journal { "" } else { " without journal" };
        println!("{rate}/s{without}: {} ok, {} failed", step.successful, step.failed);
        faults.extend(wrong.into_iter().map(|fault| format!("{rate}/s: {fault}")));
        rows.push(step);
    }
    if args.hold > 0 {
        let rate = args.rates.iter().copied().max().unwrap_or(100).min(HOLD_RATE);
        let filling = Duration::from_secs_f64(f64::from(args.hold) / f64::from(rate.max(1)));
        let talk = filling + Duration::from_secs(10);
        let (through, calls) = (args.through, args.hold);
        let (media, journal, to_the_end) = (false, true, false);
        let load = Load { common, through, rate, calls, talk, media, journal, to_the_end };
        let (step, wrong) = load.hold()?;
        faults.extend(wrong.into_iter().map(|fault| format!("holding: {fault}")));
        rows.push(step);
    }
    let line = |label, value: fn(&Step) -> f64| Line {
        label,
        points: rows
            .iter()
            .filter(|row| row.held == 0 && row.journal)
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
