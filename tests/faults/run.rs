//! The fault suite: real `tensou serve` processes are killed, frozen, cut off and starved while
//! simulated phones talk through them, and a witness that reads the packets holds every call
//! record against what was on the wire.
//!
//! Every experiment has networks of its own; the program leaves the machine's network alone and
//! so needs root. Exit code 0: everything held; 1: something did not; 3: something is missing.

mod cluster;
mod crash;
mod crowd;
mod database;
mod disk;
mod evidence;
mod network;
mod node;
mod paper;
mod pause;
mod postgres;
mod site;
mod strangers;
mod systemd;
mod upgrade;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;
use tensou_loadtest::impair::isolate;

use crate::evidence::Outcome;

/// Kills, freezes, cuts off and starves a `tensou serve`, and tells what callers and records
/// lost by it.
#[derive(Debug, Parser)]
#[command(name = "faults", version, max_term_width = 100)]
struct Cli {
    /// The program under test
    #[arg(long, default_value = "target/release/tensou", value_name = "FILE")]
    server: PathBuf,
    /// The sizes and times of the full profile: a thousand calls, and minutes
    #[arg(long, env = "TENSOU_FAULTS_FULL")]
    full: bool,
    /// Only experiments whose name contains one of these
    #[arg(value_name = "TEXT")]
    only: Vec<String>,
    /// Names of the experiments
    #[arg(long)]
    list: bool,
    /// Experiments at once; those of the full profile need the machine for themselves
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes a report (Markdown and JSON) into this folder
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Keeps the working folder with every log
    #[arg(long)]
    keep: bool,
}

impl Cli {
    fn jobs(&self) -> usize {
        self.jobs.unwrap_or(if self.full { 1 } else { QUICK_JOBS }).max(1)
    }
}

/// Most of a small experiment is waiting.
const QUICK_JOBS: usize = 4;

/// What every experiment gets.
pub(crate) struct Bench {
    pub(crate) server: PathBuf,
    pub(crate) full: bool,
    pub(crate) seed: u64,
    /// A folder of the experiment's own.
    pub(crate) dir: PathBuf,
}

impl Bench {
    /// A size of the full profile or of the quick one.
    pub(crate) fn size<T>(&self, full: T, quick: T) -> T {
        if self.full { full } else { quick }
    }
}

type Experiment = (&'static str, fn(&Bench) -> Result<Outcome>);

const EXPERIMENTS: &[Experiment] = &[
    ("kill", crash::kill),
    ("kill-again", crash::kill_again),
    ("freeze", pause::freeze),
    ("clock", pause::clock),
    ("locked-database", database::locked),
    ("stopped-database", database::stopped),
    ("absent-database", database::absent),
    ("locked-database-at-start", database::locked_at_start),
    ("full-disk", disk::full),
    ("outage", network::outage),
    ("loss", network::loss),
    ("copies", network::copies),
    ("reordering", network::reordering),
    ("strangers", strangers::strangers),
    ("rolling-restart", cluster::rolling_restart),
    ("upgrade", upgrade::upgrade),
    ("waiting-datagrams", upgrade::waiting),
    ("systemd-upgrade", systemd::upgrade),
    ("systemd-kill", systemd::killed),
];

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.list {
        for (name, _) in EXPERIMENTS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    let server = cli.server.canonicalize();
    let server = server.with_context(|| format!("{} (see --server)", cli.server.display()))?;
    let wanted =
        |name: &str| cli.only.is_empty() || cli.only.iter().any(|it| name.contains(it.as_str()));
    let chosen: Vec<&Experiment> = EXPERIMENTS.iter().filter(|(name, _)| wanted(name)).collect();
    if chosen.is_empty() {
        bail!("no experiment of that name; --list names them");
    }
    // Before the first thread: what is read of the machine must still be the machine's.
    let paper = paper::Paper::begin(cli.full);
    isolate().context("a network of its own (needs root)")?;
    let work = WorkDir::new(cli.keep)?;
    let outcomes = perform_all(&chosen, cli.jobs(), |name| Bench {
        server: server.clone(),
        full: cli.full,
        seed: cli.seed,
        dir: work.0.join(name),
    });
    if let Some(dir) = &cli.results {
        println!("written to {}", paper.write(dir, &outcomes)?.display());
    }
    let count = |how: &str| outcomes.iter().filter(|outcome| outcome.held() == how).count();
    let (held, skipped) = (count("held"), count("skipped"));
    println!("{held} of {} experiments held, {skipped} were skipped", outcomes.len());
    Ok(held + skipped == outcomes.len())
}

/// Runs experiments, several at once, and tells of each as it ends; gives them in order.
fn perform_all(
    chosen: &[&Experiment],
    jobs: usize,
    bench: impl Fn(&str) -> Bench + Sync,
) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let (done, outcomes) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(chosen.len()) {
            let (done, next, bench) = (done.clone(), &next, &bench);
            scope.spawn(move || {
                while let Some((name, experiment)) =
                    chosen.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let outcome = perform(name, *experiment, &bench(name));
                    paper::tell(&outcome);
                    // The receiver waits below until every thread is done.
                    let _ = done.send(outcome);
                }
            });
        }
    });
    drop(done);
    let mut outcomes: Vec<Outcome> = outcomes.iter().collect();
    let place = |outcome: &Outcome| chosen.iter().position(|(name, _)| *name == outcome.name);
    outcomes.sort_by_key(place);
    outcomes
}

/// Runs one experiment; one that could not be carried out did not hold.
fn perform(name: &str, experiment: fn(&Bench) -> Result<Outcome>, bench: &Bench) -> Outcome {
    let begun = Instant::now();
    let made = std::fs::create_dir_all(&bench.dir).context("a folder");
    let mut outcome = made.and_then(|()| experiment(bench)).unwrap_or_else(|error| {
        let mut outcome = Outcome::new("could not be carried out".to_owned());
        outcome.fault(format!("{error:#}"));
        outcome
    });
    name.clone_into(&mut outcome.name);
    outcome.seconds = begun.elapsed().as_secs_f64();
    outcome
}

/// The suite's folder.
struct WorkDir(PathBuf, bool);

impl WorkDir {
    fn new(keep: bool) -> Result<WorkDir> {
        let path = std::env::temp_dir().join(format!("tensou-faults-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        if keep {
            println!("working in {}", path.display());
        }
        // PostgreSQL, which is not root, has a folder of its own inside.
        open_to_all(&path)?;
        Ok(WorkDir(path, keep))
    }
}

fn open_to_all(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if !self.1 {
            // A folder left behind in /tmp harms nobody.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
