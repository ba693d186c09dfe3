//! A server that stands still for a while, and one whose clock is moved.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::Bench;
use crate::crash::mixed;
use crate::evidence::{Leniency, Outcome, conclude, media_gaps};
use crate::node::{Node, Settings};
use crate::site::Site;

/// For the last BYE and its repetitions.
const GRACE: Duration = Duration::from_secs(45);
/// Where Debian and others keep the library of libfaketime for programs with threads.
const FAKETIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// SIGSTOP, a while, SIGCONT.
pub(crate) fn freeze(bench: &Bench) -> Result<Outcome> {
    let (rate, still) = bench.size((100u32, 10u64), (10, 4));
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind with voice; SIGSTOP, {still} s, SIGCONT"
    ));
    let length = Duration::from_secs(still + 6);
    let site = Site::near(&bench.dir)?;
    let mut node = Node::prepare(&site, &bench.server, 0, &Settings::default())?;
    node.start()?;
    let watch = site.watch()?;
    let crowd = crate::crowd::Crowd::start(&site, mixed(f64::from(rate), length, bench.seed))?;
    crowd.wait_until(Duration::from_secs(3));
    node.signal(Signal::SIGSTOP)?;
    std::thread::sleep(Duration::from_secs(still));
    node.signal(Signal::SIGCONT)?;
    let gathering = crowd.finish(length + GRACE)?;
    media_gaps(&mut outcome, &gathering.reports);
    // Who hung up while the server stood still has talked less than was recorded; and a server
    // that wakes far behind refuses new calls until it has caught up.
    let leniency = Leniency { lossy: true, refusals: true, ..Leniency::default() };
    conclude(&mut outcome, &node, &gathering, &watch.stop()?, leniency)?;
    node.terminate()?;
    Ok(outcome)
}

/// The wall clock jumps an hour forth and two hours back, as by a wrong NTP server.
pub(crate) fn clock(bench: &Bench) -> Result<Outcome> {
    let rate = bench.size(100u32, 10);
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind with voice; the server's wall clock is set an hour ahead, \
         then an hour behind"
    ));
    let Some(library) = FAKETIME.iter().find(|path| Path::new(path).exists()) else {
        bail!("libfaketime is missing (Debian: apt-get install faketime)");
    };
    let file = bench.dir.join("clock");
    let set = |offset: &str| std::fs::write(&file, offset).context("the false clock");
    set("+0")?;
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let environment = vec![
        variable("LD_PRELOAD", library),
        variable("FAKETIME_TIMESTAMP_FILE", &file.display().to_string()),
        // Steps of the wall clock alone: the monotonic one does not jump.
        variable("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        variable("DONT_FAKE_MONOTONIC", "1"),
        variable("FAKETIME_CACHE_DURATION", "1"),
    ];
    let site = Site::near(&bench.dir)?;
    let settings = Settings { environment, ..Settings::default() };
    let mut node = Node::prepare(&site, &bench.server, 0, &settings)?;
    node.start()?;
    let watch = site.watch()?;
    let length = Duration::from_secs(9);
    let crowd = crate::crowd::Crowd::start(&site, mixed(f64::from(rate), length, bench.seed))?;
    crowd.wait_until(Duration::from_secs(3));
    set("+3600")?;
    crowd.wait_until(Duration::from_secs(6));
    set("-3600")?;
    let gathering = crowd.finish(length + GRACE)?;
    let recording = watch.stop()?;
    conclude(&mut outcome, &node, &gathering, &recording, Leniency::default())?;
    let jumped = jumps(&node)?;
    outcome.figure("records with a false time", jumped);
    if jumped == 0 {
        outcome.fault("no record has a false time: the clock was not moved");
    }
    node.terminate()?;
    Ok(outcome)
}

/// Records whose beginning is far from now.
fn jumps(node: &Node<'_>) -> Result<usize> {
    let now = jiff::Timestamp::now().as_second();
    let far = |started_at: &str| {
        let at: Option<jiff::Timestamp> = started_at.parse().ok();
        at.is_some_and(|at| at.as_second().abs_diff(now) > 1800)
    };
    Ok(node.records()?.iter().filter(|record| far(&record.started_at)).count())
}
