//! A database that is locked, or gone for a while: calls go on, records wait.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::Bench;
use crate::crash::mixed;
use crate::crowd::Crowd;
use crate::evidence::{Leniency, Outcome, conclude, media_gaps};
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

/// PostgreSQL is away when the server is killed, and when it starts again.
pub(crate) fn absent(bench: &Bench) -> Result<Outcome> {
    let (rate, gone) = bench.size((50u32, 60u64), (15, 5));
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind with voice; PostgreSQL is stopped at once, the server is \
         killed and starts without it; PostgreSQL comes back {gone} s later"
    ));
    let site = Site::near(&bench.dir)?;
    let postgres = Postgres::start(&site)?;
    let settings = Settings { database: Some(postgres.url()), ..Settings::default() };
    let mut node = Node::prepare(&site, &bench.server, 0, &settings)?;
    node.start()?;
    let watch = site.watch()?;
    let length = Duration::from_secs(gone + 5);
    let crowd = Crowd::start(&site, mixed(f64::from(rate), length, bench.seed))?;
    crowd.wait_until(Duration::from_secs(3));
    postgres.stop()?;
    begin_without(&mut outcome, &mut node)?;
    if node.metric("tensou_database_up")? != 0.0 {
        outcome.fault("the database was there: nothing was shown");
    }
    std::thread::sleep(Duration::from_secs(gone));
    outcome.figure("records waiting before it came back", node.metric("tensou_cdr_waiting")?);
    postgres.resume()?;
    let gathering = crowd.finish(length + GRACE)?;
    media_gaps(&mut outcome, &gathering.reports);
    conclude(&mut outcome, &node, &gathering, &watch.stop()?, KILLED)?;
    node.terminate()?;
    Ok(outcome)
}

/// Another process holds SQLite's lock when the server is killed, and when it starts again.
pub(crate) fn locked_at_start(bench: &Bench) -> Result<Outcome> {
    let (rate, held) = bench.size((50u32, 60u64), (15, 5));
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind with voice; another process locks the SQLite database, the \
         server is killed and starts; the lock ends {held} s later"
    ));
    let site = Site::near(&bench.dir)?;
    let mut node = Node::prepare(&site, &bench.server, 0, &Settings::default())?;
    node.start()?;
    let watch = site.watch()?;
    let length = Duration::from_secs(held + 4);
    let crowd = Crowd::start(&site, mixed(f64::from(rate), length, bench.seed))?;
    crowd.wait_until(Duration::from_secs(3));
    let mut lock = lock(&bench.dir.join("node-0/tensou.db").display().to_string())?;
    begin_without(&mut outcome, &mut node)?;
    std::thread::sleep(Duration::from_secs(held));
    outcome.figure("records waiting at the end of the lock", node.metric("tensou_cdr_waiting")?);
    drop(lock.stdin.take());
    lock.wait()?;
    let gathering = crowd.finish(length + GRACE)?;
    media_gaps(&mut outcome, &gathering.reports);
    conclude(&mut outcome, &node, &gathering, &watch.stop()?, KILLED)?;
    node.terminate()?;
    Ok(outcome)
}

/// Who hangs up while there is no server has talked less than was recorded: until its BYE was
/// heard.
const KILLED: Leniency = Leniency { lossy: true, refusals: false, unread: Duration::ZERO };

fn begin_without(outcome: &mut Outcome, node: &mut Node<'_>) -> Result<()> {
    node.kill()?;
    let down = node.start()?;
    outcome.figure("restart until it serves", format!("{} ms", down.as_millis()));
    let calls = node.metric("tensou_calls_restored_total")?;
    outcome.figure("calls that went on", calls);
    if calls == 0.0 {
        outcome.fault("no call went on: nothing was shown");
    }
    Ok(())
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
