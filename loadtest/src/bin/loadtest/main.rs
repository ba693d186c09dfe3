//! `loadtest`: starts a `tensou serve` of its own, calls it with SIPp and simulated phones, and
//! reports what it did and what it cost.

mod addresses;
mod aftermath;
mod agents;
mod case;
mod case_file;
mod echo;
mod helper;
mod http;
mod impair;
mod load;
mod overload;
mod raw;
mod report;
mod rtp;
mod server;
mod sipp;
mod site;
mod spoken;
mod step;
mod suite;
mod svg;
mod throttle;
mod wire;
mod witness;
mod work_dir;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Load and conformance tests of a `tensou serve` that it starts itself.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command needs.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// The program under test
    #[arg(long, global = true, default_value = "target/release/tensou", value_name = "FILE")]
    pub(crate) server: PathBuf,
    /// Where reports are written
    #[arg(long, global = true, default_value = "loadtest/results", value_name = "DIR")]
    pub(crate) results: PathBuf,
    /// Where the scenario directories are
    #[arg(long, global = true, default_value = "loadtest/scenarios", value_name = "DIR")]
    pub(crate) scenarios: PathBuf,
    /// Keeps the working folder with every log
    #[arg(long, global = true)]
    pub(crate) keep: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs one scenario directory
    Case {
        /// The directory
        dir: PathBuf,
    },
    /// Runs every scenario directory
    Cases {
        /// Only those whose path contains this
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
        /// Servers that take cases side by side
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..i64::from(addresses::Lane::MOST)))]
        lanes: u8,
    },
    /// Calls through a hunt group of three: one answers, two are told to stop
    Calls(load::CallsArgs),
    /// Raises the rate step by step and reports the cost of a call
    Ramp(load::RampArgs),
    /// More calls than the server can serve: how many it completes all the same
    Overload(overload::OverloadArgs),
    /// Many streams of voice: loss, order, latency and the cost of a packet
    Rtp(rtp::RtpArgs),
    /// Watches the packets of calls and holds the call records against them
    Witness(witness::WitnessArgs),
    /// A bad network between two network namespaces
    Impair(impair::ImpairArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Case { dir } => suite::run_all(&cli.common, std::slice::from_ref(dir), 1),
        Command::Cases { only, lanes } => suite::find(&cli.common.scenarios, only.as_deref())
            .and_then(|dirs| suite::run_all(&cli.common, &dirs, *lanes)),
        Command::Calls(args) => load::calls(&cli.common, args),
        Command::Ramp(args) => load::ramp(&cli.common, args),
        Command::Overload(args) => overload::run(&cli.common, args),
        Command::Rtp(args) => rtp::run(&cli.common, args),
        Command::Witness(args) => witness::run(&cli.common, args),
        Command::Impair(args) => impair::run(args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// A number of seconds, with a fraction where wanted.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text} is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
