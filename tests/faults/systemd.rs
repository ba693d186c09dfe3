//! systemd itself keeps the server's sockets, by the unit that operators are given.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Bench;
use crate::crash::mixed;
use crate::crowd::Crowd;
use crate::evidence::{Leniency, Outcome, conclude, media_gaps, voice};
use crate::node::{Node, Settings};
use crate::site::Site;

/// For the last BYE and its repetitions.
const GRACE: Duration = Duration::from_secs(45);
/// From the start to the first restart, and between them.
const EVERY: Duration = Duration::from_millis(1_500);
/// How long systemd may take to begin, and to start the server again.
const PATIENCE: Duration = Duration::from_secs(10);
const PROGRAM: &str = "/usr/lib/systemd/systemd";
/// Where systems of either kind have their control groups.
const GROUPS: [&str; 3] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
/// A manager of one user's services, apart from that of the machine: in a control group of its
/// own, before a /run that says that systemd runs here.
const BEGIN: &str = "set -e\n\
    for root in $GROUPS; do if [ -e $root/cgroup.procs ]; then\n\
    mkdir -p $root/$GROUP; echo $$ > $root/$GROUP/cgroup.procs; fi; done\n\
    mount --make-rprivate /; mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/system\n\
    exec $PROGRAM --user --unit=basic.target --log-target=console";

/// SIGUSR2 as the unit says, again and again.
pub(crate) fn upgrade(bench: &Bench) -> Result<Outcome> {
    perform(bench, Signal::SIGUSR2)
}

/// `kill -9`, again and again.
pub(crate) fn killed(bench: &Bench) -> Result<Outcome> {
    perform(bench, Signal::SIGKILL)
}

fn perform(bench: &Bench, signal: Signal) -> Result<Outcome> {
    let (rate, times) = bench.size((50u32, 10u32), (15, 6));
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind with voice to a server that systemd runs by \
         examples/tensou.service; {times} times its main process gets {signal}"
    ));
    let site = Site::near(&bench.dir)?;
    let node = Node::prepare(&site, &bench.server, 0, &Settings::default())?;
    let systemd = match Systemd::begin(&site, &node) {
        Ok(systemd) => systemd,
        Err(error) => {
            outcome.skipped = Some(format!("systemd cannot run here: {error:#}"));
            return Ok(outcome);
        }
    };
    systemd.control(&["start", "tensou"])?;
    let watch = site.watch()?;
    let length = EVERY * (times + 1);
    let crowd = Crowd::start(&site, mixed(f64::from(rate), length, bench.seed))?;
    let mut longest = Duration::ZERO;
    for time in 1..=times {
        crowd.wait_until(EVERY * time);
        longest = longest.max(systemd.strike(&node, signal, time)?);
    }
    let gathering = crowd.finish(length + GRACE)?;
    outcome.figure("longest restart", format!("{} ms", longest.as_millis()));
    outcome.figure("sockets kept afterwards", systemd.property("NFileDescriptorStore")?);
    let again: u32 = gathering.reports.iter().map(|it| it.retransmissions).sum();
    outcome.figure("SIP messages sent again by the phones", again);
    media_gaps(&mut outcome, &gathering.reports);
    let leniency = if signal == Signal::SIGUSR2 {
        voice(&mut outcome, &gathering.reports);
        Leniency { unread: longest, ..Leniency::default() }
    } else {
        Leniency { lossy: true, ..Leniency::default() }
    };
    conclude(&mut outcome, &node, &gathering, &watch.stop()?, leniency)?;
    systemd.control(&["stop", "tensou"])?;
    Ok(outcome)
}

/// A systemd of the experiment's own.
struct Systemd {
    child: Child,
    runtime: PathBuf,
    group: String,
}

impl Systemd {
    /// Starts it in the servers' network, with the unit of `node`.
    fn begin(site: &Site, node: &Node<'_>) -> Result<Systemd> {
        if !Path::new(PROGRAM).exists() {
            bail!("{PROGRAM} is missing (Debian: apt-get install systemd)");
        }
        let home = site.dir.join("systemd");
        let (runtime, units) = (home.join("run"), home.join("systemd/user"));
        std::fs::create_dir_all(&runtime)?;
        std::fs::create_dir_all(&units)?;
        std::fs::write(units.join("tensou.service"), unit(node)?)?;
        let log = std::fs::File::create(home.join("log"))?;
        let name = site.dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let group = format!("tensou-faults-{}-{name}", std::process::id());
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", BEGIN])
            .env("GROUPS", GROUPS.join(" "))
            .env("GROUP", &group)
            .env("PROGRAM", PROGRAM)
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", &home)
            .env("XDG_RUNTIME_DIR", &runtime)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = site.home.within(|| command.spawn()).context("unshare")?;
        let mut systemd = Systemd { child, runtime, group };
        let begun = Instant::now();
        while systemd.control(&["show"]).is_err() {
            if systemd.child.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                let said = std::fs::read_to_string(home.join("log")).unwrap_or_default();
                bail!("{}", said.lines().last().unwrap_or("it does not answer"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(systemd)
    }

    fn control(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("systemctl")
            .arg("--user")
            .args(arguments)
            .env("XDG_RUNTIME_DIR", &self.runtime)
            .output()
            .context("systemctl")?;
        if !output.status.success() {
            bail!("systemctl: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    fn property(&self, name: &str) -> Result<String> {
        let text = self.control(&["show", "--value", "--property", name, "tensou"])?;
        Ok(text.trim().to_owned())
    }

    /// Sends the signal for the `time`-th time; how long it took until the next process served.
    fn strike(&self, node: &Node<'_>, signal: Signal, time: u32) -> Result<Duration> {
        let begun = Instant::now();
        let signal = format!("--signal={signal}");
        self.control(&["kill", "--kill-whom=main", &signal, "tensou"])?;
        while self.property("NRestarts")? != time.to_string() || !node.serves() {
            if begun.elapsed() > PATIENCE {
                let state = self.property("Result")?;
                bail!("not restarted in {PATIENCE:?} ({state}):\n{}", node.log_tail());
            }
        }
        Ok(begun.elapsed())
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let begun = Instant::now();
        // It ends its services, then itself; what is left after a while is ended.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        for root in GROUPS {
            clear(&Path::new(root).join(&self.group));
        }
    }
}

/// Ends everything in a control group, and removes it.
fn clear(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            clear(&entry.path());
        }
    }
    let left = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for pid in left.lines().filter_map(|line| line.parse().ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    // One that is still in use is left behind, and empty.
    let _ = std::fs::remove_dir(group);
}

/// The unit that operators are given, with the paths and the user of the experiment.
fn unit(node: &Node<'_>) -> Result<String> {
    let (binary, dir) = (node.binary().display(), node.dir().display());
    let mut text = include_str!("../../examples/tensou.service").to_owned();
    for (theirs, ours) in [
        ("/usr/local/bin/tensou", binary.to_string()),
        ("/etc/tensou/tensou.toml", format!("{dir}/tensou.toml")),
        ("/var/lib/tensou", dir.to_string()),
        ("StateDirectory=tensou", format!("StandardOutput=append:{dir}/server.log")),
        ("User=tensou", "StandardError=inherit".to_owned()),
    ] {
        if !text.contains(theirs) {
            bail!("examples/tensou.service has no {theirs}");
        }
        text = text.replace(theirs, &ours);
    }
    Ok(text)
}
