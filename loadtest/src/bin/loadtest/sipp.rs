//! One SIPp process: its command line, its end, and its figures.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::addresses::TLS_PORT;
use crate::case_file::Transport;

/// What a SIPp is to do.
#[derive(Clone, Debug)]
pub(crate) struct Play {
    /// For messages and file names.
    pub(crate) name: String,
    pub(crate) scenario: PathBuf,
    pub(crate) transport: Transport,
    pub(crate) here: SocketAddr,
    /// Whom it calls; none waits for calls.
    pub(crate) calls: Option<(SocketAddr, String)>,
    pub(crate) count: u32,
    /// It waits for no certain count, but for as many calls as lie between these.
    pub(crate) takes: Option<[u64; 2]>,
    pub(crate) rate: u32,
    /// What `<pause/>` waits.
    pub(crate) pause: Duration,
    /// More of SIPp's own options.
    pub(crate) options: Vec<String>,
}

/// A running SIPp. Dropping it ends it.
pub(crate) struct Sipp {
    play: Play,
    child: Child,
    dir: PathBuf,
}

/// What a SIPp counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) successful: u64,
    pub(crate) failed: u64,
    pub(crate) retransmissions: u64,
    pub(crate) unexpected: u64,
    /// Milliseconds from INVITE to 200, sorted; empty for a callee.
    pub(crate) setup_ms: Vec<f64>,
}

impl Sipp {
    pub(crate) fn start(play: Play, dir: &Path) -> Result<Sipp> {
        let dir = dir.join(play.name.replace(' ', "_"));
        std::fs::create_dir_all(&dir)?;
        let scenario = play
            .scenario
            .canonicalize()
            .with_context(|| format!("scenario {}", play.scenario.display()))?;
        let mut command = Command::new("sipp");
        if let Some((target, service)) = &play.calls {
            command.arg(target.to_string()).args(["-s", service]);
            command.args(["-r", &play.rate.to_string()]);
            command.args(["-l", &play.count.max(1000).to_string()]);
        }
        let ip = play.here.ip().to_string();
        let (mode, via, contact) = match play.transport {
            Transport::Udp => ("u1", "UDP", play.here.to_string()),
            Transport::Tcp => ("t1", "TCP", format!("{};transport=tcp", play.here)),
            // SIPp's TCP goes through a tunnel at each end, see [`crate::site`].
            Transport::Tls => {
                let public = SocketAddr::new(play.here.ip(), TLS_PORT);
                ("t1", "TLS", format!("{public};transport=tls"))
            }
        };
        command
            .arg("-sf")
            .arg(scenario)
            .args(["-i", &ip, "-mi", &ip, "-p", &play.here.port().to_string()])
            .args(["-d", &play.pause.as_millis().to_string()])
            .args(["-t", mode, "-key", "via", via, "-key", "contact", &contact])
            .args(["-nostdin", "-fd", "1", "-trace_stat", "-stf", "stat.csv"])
            .args(["-trace_err", "-error_file", "errors.log", "-trace_rtt", "-rtt_freq", "1"])
            .args(["-buff_size", "8388608", "-rtp_buffsize", "4194304", "-skip_rlimit"])
            .args(&play.options)
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(File::create(dir.join("screen.log"))?)
            .stderr(File::create(dir.join("stderr.log"))?);
        if play.takes.is_none() {
            command.args(["-m", &play.count.to_string()]);
        }
        let child = command.spawn().context("sipp (Debian package sip-tester)")?;
        Ok(Sipp { play, child, dir })
    }

    /// Waits for its end; none after the deadline, and then it is killed.
    pub(crate) fn wait(&mut self, deadline: Instant) -> Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() > deadline {
                self.child.kill()?;
                self.child.wait()?;
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it goes on taking calls until it is told to stop.
    pub(crate) fn is_open(&self) -> bool {
        self.play.takes.is_some()
    }

    /// Waits for its end and lists what went wrong.
    pub(crate) fn faults(&mut self, deadline: Instant) -> Result<Vec<String>> {
        if let Some(takes) = self.play.takes {
            return self.faults_when_stopped(takes, deadline);
        }
        let status = self.wait(deadline)?;
        let name = &self.play.name;
        Ok(match status {
            Some(status) if status.success() => Vec::new(),
            Some(status) => vec![format!("{name}: SIPp {status}\n{}", self.errors())],
            None => vec![format!("{name}: did not finish in time\n{}", self.errors())],
        })
    }

    /// Ends it once its calls are over; how many it took must be so.
    fn faults_when_stopped(&mut self, takes: [u64; 2], deadline: Instant) -> Result<Vec<String>> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, Signal::SIGUSR1)?;
        let ended = self.wait(deadline)?.is_some();
        let Figures { successful, failed, .. } = self.figures();
        let [least, most] = takes;
        if ended && failed == 0 && (least..=most).contains(&successful) {
            return Ok(Vec::new());
        }
        let name = &self.play.name;
        Ok(vec![format!(
            "{name}: took {successful} calls, expected {least} to {most}; {failed} failed\n{}",
            self.errors()
        )])
    }

    fn errors(&self) -> String {
        let read = |file| std::fs::read_to_string(self.dir.join(file)).unwrap_or_default();
        let text = format!("{}{}", read("errors.log"), read("stderr.log"));
        // The first unexpected message tells the story; later ones follow from it.
        text.chars().take(4000).collect()
    }

    pub(crate) fn figures(&self) -> Figures {
        let text = std::fs::read_to_string(self.dir.join("stat.csv")).unwrap_or_default();
        let last = last_row(&text);
        let number = |key: &str| last.get(key).copied().unwrap_or_default();
        Figures {
            successful: number("SuccessfulCall(C)"),
            failed: number("FailedCall(C)"),
            retransmissions: number("Retransmissions(C)"),
            unexpected: number("FailedUnexpectedMessage(C)") + number("OutOfCallMsgs(C)"),
            setup_ms: self.setup_times(),
        }
    }

    /// `date;milliseconds;name of the timer`, one line a call.
    fn setup_times(&self) -> Vec<f64> {
        let files = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut times: Vec<f64> = files
            .filter(|file| file.file_name().to_string_lossy().ends_with("rtt.csv"))
            .filter_map(|file| std::fs::read_to_string(file.path()).ok())
            .flat_map(|text| {
                let times = text.lines().filter_map(|line| {
                    let mut fields = line.split(';');
                    let time: f64 = fields.nth(1)?.parse().ok()?;
                    (fields.next()? == "setup").then_some(time)
                });
                times.collect::<Vec<f64>>()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times
    }
}

impl Drop for Sipp {
    /// A failed run must not leave a SIPp behind.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Nothing is left to be told about a failure to kill.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The last line of a statistics file, by column.
fn last_row(text: &str) -> BTreeMap<String, u64> {
    let mut lines = text.lines();
    let names = lines.next().unwrap_or_default();
    let values = lines.next_back().unwrap_or_default();
    names
        .split(';')
        .zip(values.split(';'))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_holds_the_totals() {
        let text = "StartTime;SuccessfulCall(C);FailedCall(C);\n12:00;1;0;\n12:01;7;2;\n";
        let row = last_row(text);
        assert_eq!((row["SuccessfulCall(C)"], row["FailedCall(C)"]), (7, 2));
        assert!(last_row("").is_empty());
    }
}
