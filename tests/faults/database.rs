//! A database that is locked, or gone for a while: calls go on, records wait.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::Bench;
use crate::crash::mixed;
use crate::crowd::Crowd;
use crate::evidence::{Leniency, Outcome, conclude};
use crate::node::{Node, Settings};
use crate::postgres::Postgres;
use crate::site::Site;

/// For the last BYE and its repetitions.
const GRACE: Duration = Duration::from_secs(45);
/// Takes SQLite's write lock, says so, and keeps it until its input ends.
const LOCK: &str = "import sqlite3, sys\n\
    db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)\n\
    db.execute('BEGIN EXCLUSIVE')\nprint('locked', flush=True)\nsys.stdin.read()\n\
    db.execute('ROLLBACK')\n";

/// Another process holds SQLite's lock.
pub(crate) fn locked(bench: &Bench) -> Result<Outcome> {
    let (rate, held) = bench.size((50u32, 60u64), (15, 6));
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind; another process locks the SQLite database for {held} s"
    ));
    let site = Site::near(&bench.dir)?;
    let mut node = Node::prepare(&site, &bench.server, 0, &Settings::default())?;
    node.start()?;
    let watch = site.watch()?;
    let length = Duration::from_secs(held + 3);
    let crowd = Crowd::start(&site, mixed(f64::from(rate), length, bench.seed))?;
    crowd.wait_until(Duration::from_secs(1));
    let mut lock = lock(&bench.dir.join("node-0/tensou.db").display().to_string())?;
    std::thread::sleep(Duration::from_secs(held));
    outcome.figure("records waiting at the end of the lock", node.metric("tensou_cdr_waiting")?);
    // The end of its input ends the lock.
    drop(lock.stdin.take());
    lock.wait()?;
    let gathering = crowd.finish(length + GRACE)?;
    conclude(&mut outcome, &node, &gathering, &watch.stop()?, Leniency::default())?;
    node.terminate()?;
    Ok(outcome)
}

fn lock(database: &str) -> Result<Child> {
    let mut child = Command::new("python3")
        .args(["-c", LOCK, database])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("python3")?;
    let mut said = [0u8; 6];
    let out = child.stdout.as_mut().context("no output")?;
    std::io::Read::read_exact(out, &mut said).context("locking the database")?;
    Ok(child)
}

/// PostgreSQL is stopped and started again.
pub(crate) fn stopped(bench: &Bench) -> Result<Outcome> {
    let (rate, gone) = bench.size((50u32, 60u64), (15, 6));
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind; PostgreSQL is stopped at once, and started {gone} s later"
    ));
    let site = Site::near(&bench.dir)?;
    let postgres = Postgres::start(&site)?;
    let settings = Settings { database: Some(postgres.url()), ..Settings::default() };
    let mut node = Node::prepare(&site, &bench.server, 0, &settings)?;
    node.start()?;
    let watch = site.watch()?;
    let length = Duration::from_secs(gone + 5);
    let crowd = Crowd::start(&site, mixed(f64::from(rate), length, bench.seed))?;
    crowd.wait_until(Duration::from_secs(2));
    postgres.stop()?;
    std::thread::sleep(Duration::from_secs(gone));
    outcome.figure("records waiting before it came back", node.metric("tensou_cdr_waiting")?);
    postgres.resume()?;
    let gathering = crowd.finish(length + GRACE)?;
    conclude(&mut outcome, &node, &gathering, &watch.stop()?, Leniency::default())?;
    node.terminate()?;
    Ok(outcome)
}
