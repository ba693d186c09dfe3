//! A `tensou serve` that experiments start, kill, stop and start again.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tensou_loadtest::manager::Manager;
use tensou_loadtest::witness::Record;

use crate::site::Site;

/// How long a start may take on a busy machine.
const STARTING: Duration = Duration::from_secs(30);
/// How long a stop may take beyond `node.drain_seconds`.
const STOPPING: Duration = Duration::from_secs(15);
/// The exit code of a server that is to be started again: its next process goes on.
const HANDED_OVER: i32 = 4;
/// Seconds that running calls may take after SIGTERM.
const DRAINING: u64 = 20;

/// What may differ between the servers of two experiments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// `database.url`; none is SQLite in the node's folder.
    pub(crate) database: Option<String>,
    /// `node.data_dir`; none is in the node's folder.
    pub(crate) data_dir: Option<PathBuf>,
    /// More lines of `[media]`.
    pub(crate) media: String,
    /// More sections of the settings file.
    pub(crate) more: String,
    /// Environment variables.
    pub(crate) environment: Vec<(String, String)>,
    /// A service manager keeps its sockets.
    pub(crate) managed: bool,
}

/// One node.
pub(crate) struct Node<'s> {
    site: &'s Site,
    binary: PathBuf,
    dir: PathBuf,
    address: Ipv4Addr,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    manager: Option<Manager>,
}

impl<'s> Node<'s> {
    /// Makes its folder, its settings and its database; does not start it.
    pub(crate) fn prepare(
        site: &'s Site,
        binary: &Path,
        number: usize,
        settings: &Settings,
    ) -> Result<Node<'s>> {
        let dir = site.dir.join(format!("node-{number}"));
        std::fs::create_dir_all(&dir)?;
        let address = site.server(number);
        let data = settings.data_dir.clone().unwrap_or_else(|| dir.join("data"));
        let database = match &settings.database {
            Some(url) => url.clone(),
            None => format!("sqlite:{}", dir.join("tensou.db").display()),
        };
        let text = format!(
            "[node]\nname = \"node-{number}\"\ndata_dir = \"{}\"\ndrain_seconds = {DRAINING}\n\
             [sip]\nlisten = [\"udp:{}\"]\n[media]\nlisten = \"{address}\"\n{}\
             [admin]\nlisten = \"{address}:8080\"\n[database]\nurl = \"{database}\"\n{}",
            data.display(),
            Site::sip(address),
            settings.media,
            settings.more,
        );
        std::fs::write(dir.join("tensou.toml"), text)?;
        let environment = settings.environment.clone();
        let binary = binary.to_owned();
        let manager = settings.managed.then(|| Manager::new(&dir)).transpose()?;
        let node = Node { site, binary, dir, address, environment, child: None, manager };
        std::fs::write(node.dir.join("operator.toml"), site.document())?;
        if number == 0 {
            node.run(&["import", "operator.toml"])?;
        }
        Ok(node)
    }

    pub(crate) fn site(&self) -> &Site {
        self.site
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// Whether a server answers.
    pub(crate) fn serves(&self) -> bool {
        self.get("/healthz").is_ok()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.dir).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command of the program to its end.
    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.site.home.within(|| self.command(arguments).output())?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("tensou {}: {}", arguments.join(" "), said.trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Starts it, without waiting.
    pub(crate) fn spawn(&mut self) -> Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = match &self.manager {
            None => self.command(&["serve"]),
            Some(manager) => {
                let mut command = manager.command(&self.binary)?;
                command.current_dir(&self.dir).arg("serve").stdin(Stdio::null());
                command
            }
        };
        command.stdout(log.try_clone()?).stderr(log).envs(self.environment.iter().cloned());
        let child = self.site.home.within(|| command.spawn())?;
        self.child = Some(child);
        Ok(())
    }

    /// Starts it and waits until it serves; how long that took.
    pub(crate) fn start(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.spawn()?;
        loop {
            self.attend()?;
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!("the server ended with {status} while starting:\n{}", self.log_tail());
            }
            if self.serves() {
                let took = begun.elapsed();
                // It told its manager of its sockets before it served.
                self.attend()?;
                return Ok(took);
            }
            if begun.elapsed() > STARTING {
                bail!("the server did not start in {STARTING:?}:\n{}", self.log_tail());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// `kill -9`; its manager has read by then what it was told.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.attend()?;
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Reads what the server told its manager.
    fn attend(&mut self) -> Result<()> {
        Ok(self.manager.iter_mut().try_for_each(Manager::attend)?)
    }

    /// How many sockets its manager keeps.
    pub(crate) fn kept(&self) -> usize {
        self.manager.as_ref().map_or(0, Manager::kept)
    }

    /// Has it hand over to a next process, and starts that; how long nobody read the sockets,
    /// at most, and how many the manager kept.
    pub(crate) fn hand_over(&mut self) -> Result<(Duration, usize)> {
        let begun = Instant::now();
        self.signal(Signal::SIGUSR2)?;
        let mut child = self.child.take().context("no server runs")?;
        let status = loop {
            self.attend()?;
            match child.try_wait()? {
                Some(status) => break status,
                None if begun.elapsed() > STOPPING => {
                    self.child = Some(child);
                    bail!("the server did not hand over in {STOPPING:?}:\n{}", self.log_tail());
                }
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        self.attend()?;
        if status.code() != Some(HANDED_OVER) {
            bail!("the server handed over with {status}:\n{}", self.log_tail());
        }
        let kept = self.kept();
        self.start()?;
        Ok((begun.elapsed(), kept))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("no server runs")?;
        Ok(kill(Pid::from_raw(i32::try_from(child.id())?), signal)?)
    }

    /// Stops as an operator would; the answer says how long it took.
    pub(crate) fn terminate(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.signal(Signal::SIGTERM)?;
        let limit = Duration::from_secs(DRAINING) + STOPPING;
        while let Some(child) = &mut self.child {
            if let Some(manager) = &mut self.manager {
                manager.attend()?;
            }
            match child.try_wait()? {
                Some(status) if status.success() => self.child = None,
                Some(status) => bail!("the server ended with {status}:\n{}", self.log_tail()),
                None if begun.elapsed() > limit => bail!("the server did not stop in {limit:?}"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Ok(begun.elapsed())
    }

    /// Every record in the database.
    pub(crate) fn records(&self) -> Result<Vec<Record>> {
        let text = self.run(&["cdr", "--format", "json"])?;
        Record::read_all(&text).context("tensou cdr")
    }

    /// A value of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let text = self.get("/metrics")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.with_context(|| format!("no {name}"))?.parse().context("a metric")
    }

    fn get(&self, path: &str) -> Result<String> {
        let admin = SocketAddr::from((self.address, 8080));
        let answer = self.site.home.within(|| {
            let mut stream = TcpStream::connect(admin)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "GET {path} HTTP/1.0\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        })?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer without an end")?;
        match head.split(' ').nth(1) {
            Some("200") => Ok(body.to_owned()),
            _ => bail!("GET {path}: {}", head.lines().next().unwrap_or_default()),
        }
    }

    fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// Lines of the log that say that something is broken inside.
    pub(crate) fn panics(&self) -> Vec<String> {
        let mut text = String::new();
        // Without a log there is nothing to say.
        let _ = File::open(self.log()).and_then(|mut file| file.read_to_string(&mut text));
        text.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect()
    }

    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Node<'_> {
    /// A failed experiment must not leave a server behind.
    fn drop(&mut self) {
        // Nothing is left to be told about a failure to kill.
        let _ = self.kill();
    }
}
