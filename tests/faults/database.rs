//! A database that is locked, or gone for a while: calls go on, records wait.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tensou_loadtest::witness::Watch;

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
    let (rate, held) = bench.size((100u32, 60u64), (15, 6));
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind with voice; another process locks the SQLite database for \
         {held} s"
    ));
    let site = Site::near(&bench.dir)?;
    let scene = Scene::begin(bench, &site, None, (rate, held + 3))?;
    scene.crowd.wait_until(Duration::from_secs(1));
    let lock = Lock::take(bench)?;
    std::thread::sleep(Duration::from_secs(held));
    scene.note_waiting(&mut outcome)?;
    lock.give_up()?;
    scene.end(&mut outcome, Leniency::default())?;
    Ok(outcome)
}

/// Another process holds SQLite's lock when the server is killed, and when it starts again.
pub(crate) fn locked_at_start(bench: &Bench) -> Result<Outcome> {
    let (rate, held) = bench.size((100u32, 60u64), (15, 5));
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind with voice; another process locks the SQLite database, the \
         server is killed and starts; the lock ends {held} s later"
    ));
    let site = Site::near(&bench.dir)?;
    let mut scene = Scene::begin(bench, &site, None, (rate, held + 4))?;
    scene.crowd.wait_until(Duration::from_secs(3));
    let lock = Lock::take(bench)?;
    restart_without(&mut outcome, &mut scene.node, Duration::from_secs(held))?;
    scene.note_waiting(&mut outcome)?;
    lock.give_up()?;
    scene.end(&mut outcome, KILLED)?;
    Ok(outcome)
}

/// PostgreSQL is stopped and started again.
pub(crate) fn stopped(bench: &Bench) -> Result<Outcome> {
    let (rate, gone) = bench.size((100u32, 60u64), (15, 6));
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind with voice; PostgreSQL is stopped at once, and started \
         {gone} s later"
    ));
    let site = Site::near(&bench.dir)?;
    let postgres = Postgres::start(&site)?;
    let scene = Scene::begin(bench, &site, Some(postgres.url()), (rate, gone + 5))?;
    scene.crowd.wait_until(Duration::from_secs(2));
    postgres.stop()?;
    std::thread::sleep(Duration::from_secs(gone));
    scene.note_waiting(&mut outcome)?;
    postgres.resume()?;
    scene.end(&mut outcome, Leniency::default())?;
    Ok(outcome)
}

/// PostgreSQL is away when the server is killed, and when it starts again.
pub(crate) fn absent(bench: &Bench) -> Result<Outcome> {
    let (rate, gone) = bench.size((100u32, 60u64), (15, 5));
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind with voice; PostgreSQL is stopped at once, the server is \
         killed and starts without it; PostgreSQL comes back {gone} s later"
    ));
    let site = Site::near(&bench.dir)?;
    let postgres = Postgres::start(&site)?;
    let mut scene = Scene::begin(bench, &site, Some(postgres.url()), (rate, gone + 5))?;
    scene.crowd.wait_until(Duration::from_secs(3));
    postgres.stop()?;
    restart_without(&mut outcome, &mut scene.node, Duration::from_secs(gone))?;
    if scene.node.metric("tensou_database_up")? != 0.0 {
        outcome.fault("the database was there: nothing was shown");
    }
    scene.note_waiting(&mut outcome)?;
    postgres.resume()?;
    scene.end(&mut outcome, KILLED)?;
    Ok(outcome)
}

/// A server at its database, calls of every kind, and the witness.
struct Scene<'s> {
    node: Node<'s>,
    watch: Watch,
    crowd: Crowd,
    length: Duration,
}

impl<'s> Scene<'s> {
    /// So many calls a second, for so many seconds.
    fn begin(
        bench: &Bench,
        site: &'s Site,
        database: Option<String>,
        (rate, seconds): (u32, u64),
    ) -> Result<Scene<'s>> {
        let settings = Settings { database, ..Settings::default() };
        let mut node = Node::prepare(site, &bench.server, 0, &settings)?;
        node.start()?;
        let watch = site.watch()?;
        let length = Duration::from_secs(seconds);
        let crowd = Crowd::start(site, mixed(f64::from(rate), length, bench.seed))?;
        Ok(Scene { node, watch, crowd, length })
    }

    /// Records must have waited, or nothing was shown.
    fn note_waiting(&self, outcome: &mut Outcome) -> Result<()> {
        let waiting = self.node.metric("tensou_cdr_waiting")?;
        outcome.figure("records waiting before the database was back", waiting);
        if waiting == 0.0 {
            outcome.fault("no record waited: nothing was shown");
        }
        Ok(())
    }

    fn end(mut self, outcome: &mut Outcome, leniency: Leniency) -> Result<()> {
        let gathering = self.crowd.finish(self.length + GRACE)?;
        media_gaps(outcome, &gathering.reports);
        conclude(outcome, &self.node, &gathering, &self.watch.stop()?, leniency)?;
        self.node.terminate()?;
        Ok(())
    }
}

/// Who hangs up while there is no server has talked less than was recorded: until its BYE was
/// heard.
const KILLED: Leniency = Leniency { lossy: true, refusals: false, unread: Duration::ZERO };

/// Kills and starts, and looks whether calls went on when the database has been away for a while:
/// figures are told once a second.
fn restart_without(outcome: &mut Outcome, node: &mut Node<'_>, away: Duration) -> Result<()> {
    node.kill()?;
    let down = node.start()?;
    outcome.figure("restart until it serves", format!("{} ms", down.as_millis()));
    std::thread::sleep(away);
    let calls = node.metric("tensou_calls_restored_total")?;
    outcome.figure("calls that went on", calls);
    if calls == 0.0 {
        outcome.fault("no call went on: nothing was shown");
    }
    Ok(())
}

/// SQLite's lock in the hands of another process.
struct Lock(Child);

impl Lock {
    fn take(bench: &Bench) -> Result<Lock> {
        let mut child = Command::new("python3")
            .args(["-c", LOCK])
            .arg(bench.dir.join("node-0/tensou.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("python3")?;
        let mut said = [0u8; 6];
        let out = child.stdout.as_mut().context("no output")?;
        std::io::Read::read_exact(out, &mut said).context("locking the database")?;
        Ok(Lock(child))
    }

    fn give_up(mut self) -> Result<()> {
        // The end of its input ends the lock.
        drop(self.0.stdin.take());
        self.0.wait()?;
        Ok(())
    }
}
