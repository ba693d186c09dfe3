//! The program under test: a `tensou serve` with a folder, a database and ports of its own.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::addresses::{Addresses, Party};
use crate::http;
use crate::site::Site;
use tensou_loadtest::host::Usage;

/// How long a start may take: migrations of an empty database included.
const STARTING: Duration = Duration::from_secs(20);
/// How long a stop may take once no call is left.
const STOPPING: Duration = Duration::from_secs(15);
/// Silence that is no fault: most cases are without voice, and those of session timers last over
/// the usual minute.
const IDLE_SECONDS: u32 = 600;
/// Records reach the database in batches; the contract asks for five seconds at most.
const SETTLING: Duration = Duration::from_secs(5);

/// A running server.
pub(crate) struct Server {
    child: Child,
    binary: PathBuf,
    config: PathBuf,
    dir: PathBuf,
    admin: SocketAddr,
    pub(crate) addresses: Addresses,
}

/// Values of `/metrics` by name with labels.
pub(crate) type Metrics = BTreeMap<String, f64>;

impl Server {
    /// Imports the document into an empty database and starts serving.
    pub(crate) fn start(binary: &Path, dir: &Path, document: &str, site: &Site) -> Result<Server> {
        let addresses = site.addresses;
        let binary = binary
            .canonicalize()
            .with_context(|| format!("{} (say which with --server)", binary.display()))?;
        let ip = addresses.ip(Party::Server);
        let admin = TcpListener::bind((ip, 0))?.local_addr()?;
        let config = dir.join("tensou.toml");
        std::fs::write(
            &config,
            format!(
                "[node]\nname = \"loadtest\"\ndata_dir = \"{data}\"\ndrain_seconds = 2\n\
                 [sip]\n{sip}\
                 [media]\nlisten = \"{ip}\"\nidle_timeout_seconds = {IDLE_SECONDS}\n\
                 [admin]\nlisten = \"{admin}\"\n\
                 [journal]\ncalls = \"{calls}\"\n\
                 [log]\nlevel = \"info\"\n",
                calls = if site.journal { "on" } else { "off" },
                data = dir.join("data").display(),
                sip = site.sip_settings(),
            ),
        )?;
        let provisioning = dir.join("operator.toml");
        std::fs::write(&provisioning, addresses.fill(document))?;
        let import = tensou(&binary, &config).arg("import").arg(&provisioning).output()?;
        if !import.status.success() {
            bail!("import refused: {}", String::from_utf8_lossy(&import.stderr).trim());
        }
        let log = std::fs::File::create(dir.join("server.log"))?;
        let child = tensou(&binary, &config)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut server = Server { child, binary, config, dir: dir.to_owned(), admin, addresses };
        server.wait_until_ready()?;
        Ok(server)
    }

    pub(crate) fn sip(&self) -> SocketAddr {
        self.addresses.sip(Party::Server)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + STARTING;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} while starting:\n{}", self.log_tail());
            }
            if http::get(self.admin, "/healthz").is_ok() && self.answers_options()? {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the server did not start in {STARTING:?}:\n{}", self.log_tail());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The gateway's OPTIONS are answered (RFC 3261 11).
    fn answers_options(&self) -> Result<bool> {
        let here = self.addresses.sip(Party::Gateway);
        let socket = UdpSocket::bind(here)?;
        socket.set_read_timeout(Some(Duration::from_millis(300)))?;
        let there = self.sip();
        let request = format!(
            "OPTIONS sip:{there} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKready;rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:ready@{here}>;tag=ready\r\nTo: <sip:{there}>\r\n\
             Call-ID: ready@{here}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        socket.send_to(request.as_bytes(), there)?;
        let mut buffer = [0u8; 2048];
        Ok(socket.recv_from(&mut buffer).is_ok())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.child.id())
    }

    pub(crate) fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    pub(crate) fn metrics(&self) -> Result<Metrics> {
        let text = http::get(self.admin, "/metrics")?;
        Ok(read_metrics(&text))
    }

    /// Waits until no gauge that calls hold stands higher than it did before; the answer names
    /// those that do.
    pub(crate) fn leftovers(&self, before: &Metrics) -> Result<Vec<String>> {
        let deadline = Instant::now() + SETTLING;
        loop {
            let metrics = self.metrics()?;
            let held = |name: &str| before.get(name).copied().unwrap_or_default();
            let left: Vec<String> = metrics
                .iter()
                .filter(|(name, value)| is_held_by_calls(name) && **value > held(name))
                .map(|(name, value)| format!("{name} is {value}, it was {}", held(name)))
                .collect();
            if left.is_empty() || Instant::now() > deadline {
                return Ok(left);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until a gauge is at zero; the answer says so when it never was.
    pub(crate) fn wait_for_zero(&self, gauge: &str, patience: Duration) -> Result<Option<String>> {
        let deadline = Instant::now() + patience;
        loop {
            let value = self.metrics()?.get(gauge).copied();
            if value == Some(0.0) {
                return Ok(None);
            }
            if Instant::now() > deadline {
                return Ok(Some(format!("{gauge} is {value:?} after {patience:?}")));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Call records, of one DID or all, as soon as there are `wanted` or no more come.
    pub(crate) fn cdrs(&self, did: Option<&str>, wanted: usize) -> Result<Vec<Value>> {
        let deadline = Instant::now() + SETTLING;
        loop {
            let mut command = tensou(&self.binary, &self.config);
            command.args(["cdr", "--format", "json"]);
            if let Some(did) = did {
                command.args(["--did", did]);
            }
            let output = command.output()?;
            if !output.status.success() {
                bail!("tensou cdr: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
            let records = String::from_utf8(output.stdout)?
                .lines()
                .filter(|line| !line.trim().is_empty())
                .map(serde_json::from_str)
                .collect::<Result<Vec<Value>, _>>()
                .context("tensou cdr")?;
            if records.len() >= wanted || Instant::now() > deadline {
                return Ok(records);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Stops as an operator would; the answer lists what was wrong about it.
    pub(crate) fn stop(mut self) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, Signal::SIGTERM).context("SIGTERM")?;
        let deadline = Instant::now() + STOPPING;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => break,
                Some(status) => {
                    faults.push(format!("the server ended with {status}:\n{}", self.log_tail()));
                    break;
                }
                None if Instant::now() > deadline => {
                    faults.push(format!("the server did not stop in {STOPPING:?}"));
                    self.child.kill()?;
                    break;
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        let log = std::fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
        let panics = log.lines().filter(|line| line.contains("panicked at"));
        faults.extend(panics.map(|line| format!("server log: {line}")));
        Ok(faults)
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Server {
    /// A failed run must not leave a server behind.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Nothing is left to be told about a failure to kill.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn tensou(binary: &Path, config: &Path) -> Command {
    let mut command = Command::new(binary);
    command.arg("--config").arg(config);
    command
}

fn is_held_by_calls(name: &str) -> bool {
    name == "tensou_calls_active"
        || name == "tensou_media_ports_in_use"
        || name.starts_with("tensou_trunk_channels_in_use")
}

/// Prometheus text format: `name{labels} value`.
fn read_metrics(text: &str) -> Metrics {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read_with_their_labels() {
        let text = "# HELP tensou_calls_active calls\n# TYPE tensou_calls_active gauge\n\
                    tensou_calls_active 3\ntensou_trunk_channels_in_use{trunk=\"a b\"} 2\n";
        let metrics = read_metrics(text);
        assert_eq!(metrics["tensou_calls_active"], 3.0);
        assert_eq!(metrics["tensou_trunk_channels_in_use{trunk=\"a b\"}"], 2.0);
        assert!(metrics.keys().all(|name| is_held_by_calls(name)));
    }
}
