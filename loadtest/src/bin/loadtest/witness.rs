//! `loadtest witness`: what passes on an interface against what was recorded.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use tensou_loadtest::witness::{Record, Recording, Sighting, Verdict, Watch, compare, rebuild};

use crate::{Common, seconds};

/// Records reach the database within this time after their calls' end.
const SETTLING: Duration = Duration::from_secs(5);

/// `loadtest witness`
#[derive(Args, Debug)]
pub(crate) struct WitnessArgs {
    /// The interface that both legs pass, on the server's side
    #[arg(long, default_value = "lo", value_name = "NAME")]
    interface: String,
    /// Where the servers under test speak SIP, address and port
    #[arg(long = "at", required = true, value_delimiter = ',', value_name = "ADDRESS:PORT")]
    servers: Vec<SocketAddr>,
    /// How long to watch
    #[arg(long = "for", default_value = "60", value_parser = seconds, value_name = "SECONDS")]
    length: Duration,
    /// Reads a recording instead of watching
    #[arg(long, value_name = "FILE")]
    read: Option<PathBuf>,
    /// Keeps what was seen, one message a line as JSON
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// The records: output of `tensou cdr --format json`, or a page of `/api/v1/cdrs`
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// Settings of the server whose records are read once the watch is over
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Prints the report as JSON
    #[arg(long)]
    json: bool,
}

/// Watches, rebuilds, compares; true when everything agrees.
pub(crate) fn run(common: &Common, args: &WitnessArgs) -> Result<bool> {
    let recording = match &args.read {
        Some(path) => {
            let file = File::open(path).with_context(|| path.display().to_string())?;
            Recording::read(BufReader::new(file))?
        }
        None => watch(args)?,
    };
    if let Some(path) = &args.write {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        recording.write(BufWriter::new(file))?;
    }
    let calls = rebuild(&recording.sightings, &args.servers);
    let mut records = records(common, args)?;
    // What began before the watch or ended after it is nobody's to judge here.
    let seen = |at: Option<&Sighting>| at.map(|seen| seen.at).unwrap_or_default();
    let (first, last) = (recording.sightings.first(), recording.sightings.last());
    let (since, until) = (seen(first) / 1000, seen(last) / 1000);
    records.retain(|it| it.began() / 1000 >= since && it.ended() / 1000 <= until);
    let verdict: Verdict = compare(&calls, &records, recording.dropped);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&verdict)?);
    } else {
        print!("{verdict}");
    }
    Ok(verdict.is_clean())
}

fn watch(args: &WitnessArgs) -> Result<Recording> {
    let watch = Watch::start(&args.interface, &args.servers).context("the witness")?;
    std::thread::sleep(args.length);
    let recording = watch.stop()?;
    std::thread::sleep(SETTLING);
    Ok(recording)
}

fn records(common: &Common, args: &WitnessArgs) -> Result<Vec<Record>> {
    let text = match (&args.records, &args.config) {
        (Some(path), _) => {
            std::fs::read_to_string(path).with_context(|| path.display().to_string())?
        }
        (None, Some(config)) => {
            let mut command = Command::new(&common.server);
            command.arg("--config").arg(config).args(["cdr", "--format", "json"]);
            let output = command.output().with_context(|| common.server.display().to_string())?;
            if !output.status.success() {
                bail!("tensou cdr: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
            String::from_utf8(output.stdout)?
        }
        (None, None) => bail!("say where the records are: --records FILE or --config FILE"),
    };
    Record::read_all(&text).context("the records")
}
