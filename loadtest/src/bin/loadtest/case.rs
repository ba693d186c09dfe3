//! Runs scenario directories against one server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tensou_loadtest::agents::{
    AgentId, Behaviour, CallScript, Expectation, Gateway, Phone, Report, World,
};

use crate::Common;
use crate::addresses::{Addresses, Party};
use crate::case_file::{CaseFile, PhonePart, SippPart};
use crate::raw::Raw;
use crate::server::{Metrics, Server};
use crate::sipp::{Play, Sipp};

/// Between starting those who wait for calls and those who call: SIPp binds its socket in this
/// time.
const LISTENING: Duration = Duration::from_millis(400);
/// Longer than the pause between two publications of the server's counters.
const PUBLISHED: Duration = Duration::from_millis(250);
/// How long counters may go on moving, by the repetitions of an unanswered message for example.
const SETTLING: Duration = Duration::from_secs(3);
/// How often the main loop looks around.
const TURN: Duration = Duration::from_millis(20);

/// Scenario directories below `root`, in order of their path.
pub(crate) fn find(root: &Path, only: Option<&str>) -> Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for kind in ["nominal", "off_nominal"] {
        let kind = root.join(kind);
        let entries = std::fs::read_dir(&kind).with_context(|| kind.display().to_string())?;
        for entry in entries {
            let dir = entry?.path();
            let wanted = only.is_none_or(|text| dir.to_string_lossy().contains(text));
            if wanted && dir.join("case.toml").is_file() {
                dirs.push(dir);
            }
        }
    }
    dirs.sort();
    if dirs.is_empty() {
        bail!("no scenario directory found below {}", root.display());
    }
    Ok(dirs)
}

/// Runs each directory and says how it went; true when all passed.
pub(crate) fn run_all(common: &Common, dirs: &[PathBuf]) -> Result<bool> {
    let work = WorkDir::new(common.keep)?;
    let document = common.scenarios.join("operator.toml");
    let document =
        std::fs::read_to_string(&document).with_context(|| document.display().to_string())?;
    let mut server = Server::start(&common.server, work.path(), &document)?;
    let mut failed = Vec::new();
    for dir in dirs {
        let name = dir.components().rev().take(2).collect::<Vec<_>>();
        let name: PathBuf = name.into_iter().rev().collect();
        let begun = Instant::now();
        let logs = work.path().join(&name);
        std::fs::create_dir_all(&logs)?;
        let faults = match CaseFile::read(dir) {
            Ok(case) => Case { dir, logs: &logs, case: &case }.run(&mut server)?,
            Err(error) => vec![format!("{error:#}")],
        };
        let took = begun.elapsed().as_secs_f64();
        let verdict = if faults.is_empty() { "ok" } else { "FAILED" };
        println!("{verdict:6} {} ({took:.1} s)", name.display());
        for fault in &faults {
            println!("       {}", fault.replace('\n', "\n       "));
        }
        if !faults.is_empty() {
            failed.push(name);
        }
        if !server.is_alive()? {
            bail!("the server is gone after {}", dir.display());
        }
    }
    let stopping = server.stop()?;
    for fault in &stopping {
        println!("FAILED stopping: {fault}");
    }
    println!("{} of {} cases passed", dirs.len() - failed.len(), dirs.len());
    if common.keep {
        println!("logs are in {}", work.path().display());
    }
    Ok(failed.is_empty() && stopping.is_empty())
}

struct Case<'a> {
    dir: &'a Path,
    logs: &'a Path,
    case: &'a CaseFile,
}

impl Case<'_> {
    /// Everything that was not as the case says.
    fn run(&self, server: &mut Server) -> Result<Vec<String>> {
        let before = settled(server)?;
        let mut faults = self.act(server)?;
        for part in &self.case.cdr {
            let records = server.cdrs(Some(&part.did), part.count as usize)?;
            faults.extend(part.faults(&records));
        }
        faults.extend(server.leftovers(&before)?);
        faults.extend(growth(&before, &settled(server)?, self.case));
        Ok(faults)
    }

    fn act(&self, server: &Server) -> Result<Vec<String>> {
        let deadline = Instant::now() + self.case.limit();
        let mut agents = Agents::new(self.case, server.addresses)?;
        agents.register(deadline)?;
        let (callers, listeners): (Vec<_>, Vec<_>) =
            self.case.sipp.iter().partition(|part| part.dials.is_some());
        let mut playing = Vec::new();
        for part in listeners {
            playing.push(self.sipp(part, server, playing.len())?);
        }
        if !playing.is_empty() {
            std::thread::sleep(LISTENING);
        }
        let mut faults = std::thread::scope(|scope| -> Result<Vec<String>> {
            let raws: Vec<ScopedJoinHandle<'_, Result<()>>> = self
                .case
                .raw
                .iter()
                .map(|part| {
                    let here = server.addresses.sip(part.at);
                    let there = server.sip();
                    scope.spawn(move || Raw::play(here, there, self.dir, &part.step))
                })
                .collect();
            for part in callers {
                playing.push(self.sipp(part, server, playing.len())?);
            }
            agents.call()?;
            agents.finish(deadline)?;
            let mut faults = Vec::new();
            for sipp in &mut playing {
                faults.extend(sipp.faults(deadline)?);
            }
            for raw in raws {
                match raw.join() {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => faults.push(format!("{error:#}")),
                    Err(_) => faults.push("a raw part crashed".to_owned()),
                }
            }
            Ok(faults)
        })?;
        faults.extend(agents.faults(self.case));
        Ok(faults)
    }

    fn sipp(&self, part: &SippPart, server: &Server, number: usize) -> Result<Sipp> {
        let play = Play {
            name: format!("{:?} {number}", part.at),
            scenario: self.dir.join(&part.scenario),
            here: server.addresses.sip(part.at),
            calls: part.dials.clone().map(|did| (server.sip(), did)),
            count: part.count,
            rate: part.rate,
            pause: Duration::from_millis(part.pause_ms),
            options: Vec::new(),
        };
        Sipp::start(play, self.logs)
    }
}

/// The parts of a case that simulated agents play.
struct Agents {
    world: World,
    phones: Vec<(AgentId, CallPlan)>,
    reports: Vec<Report>,
}

/// What a phone is to call.
type CallPlan = Option<CallScript>;

impl Agents {
    fn new(case: &CaseFile, addresses: Addresses) -> Result<Agents> {
        let engine = addresses.sip(Party::Server);
        let mut world = World::new(1)?;
        for part in &case.subscriber {
            let after = Duration::from_millis(part.answers_after_ms);
            let behaviour = match part.hangs_up_after_ms {
                Some(talks) => Behaviour::answers_for(after, Duration::from_millis(talks)),
                None => Behaviour::answers(after),
            };
            world.gateway(Gateway {
                name: format!("{:?}", part.at),
                address: addresses.sip(part.at),
                engine,
                takes: [(part.number.clone(), behaviour)].into(),
            })?;
        }
        let mut phones = Vec::new();
        for part in &case.phone {
            let phone = world.phone(Phone {
                user: part.user.clone(),
                password: part.password.clone(),
                domain: engine.to_string(),
                address: SocketAddr::from((addresses.ip(Party::Phone), 0)),
                engine,
                behaviour: match part.answers_after_ms {
                    Some(after) => Behaviour::answers(Duration::from_millis(after)),
                    None => Behaviour::rings_on(),
                },
            })?;
            phones.push((phone, script(part)));
        }
        Ok(Agents { world, phones, reports: Vec::new() })
    }

    fn register(&mut self, deadline: Instant) -> Result<()> {
        while !self.phones.iter().all(|(phone, _)| self.world.is_registered(*phone)) {
            if Instant::now() > deadline || !self.world.failed_registrations().is_empty() {
                bail!("phones did not register: {:?}", self.world.failed_registrations());
            }
            self.world.run_until(Instant::now() + TURN)?;
        }
        Ok(())
    }

    fn call(&mut self) -> Result<()> {
        for (phone, plan) in &self.phones {
            if let Some(script) = plan.clone() {
                self.world.call(*phone, script)?;
            }
        }
        Ok(())
    }

    /// Lives until every leg is over that is under way or still to come.
    fn finish(&mut self, deadline: Instant) -> Result<()> {
        let wanted = self.phones.iter().filter(|(_, plan)| plan.is_some()).count();
        let called = self.phones.len() - wanted;
        if self.phones.is_empty() {
            return Ok(());
        }
        while Instant::now() < deadline {
            self.world.run_until(Instant::now() + TURN)?;
            self.reports.extend(self.world.take_reports());
            let placed = self.reports.iter().filter(|report| report.placed).count();
            let taken = self.reports.len() - placed;
            if placed >= wanted && taken >= called && self.world.active(None) == 0 {
                break;
            }
        }
        self.world.unregister();
        while !self.world.is_unregistered() && Instant::now() < deadline {
            self.world.run_until(Instant::now() + TURN)?;
        }
        Ok(())
    }

    fn faults(mut self, case: &CaseFile) -> Vec<String> {
        let mut faults = self.world.take_faults();
        if self.world.active(None) > 0 {
            faults.push(format!("{} legs are still alive", self.world.active(None)));
        }
        for report in &self.reports {
            let who = &report.agent;
            faults.extend(report.faults.iter().map(|fault| format!("{who}: {fault}")));
        }
        for number in case.phone.iter().filter_map(|part| part.must_show.as_ref()) {
            let seen = |report: &Report| !report.placed && report.shown == *number;
            if !self.reports.iter().any(seen) {
                let shown: Vec<&str> = self.reports.iter().map(|r| r.shown.as_str()).collect();
                faults.push(format!("the far end saw {shown:?}, expected {number}"));
            }
        }
        faults
    }
}

fn script(part: &PhonePart) -> CallPlan {
    let dials = part.dials.clone()?;
    let expect = match (&part.answered_by, part.refused) {
        (Some(name), _) => Expectation::AnsweredBy(vec![name.clone()]),
        (None, Some(status)) => Expectation::Refused(vec![status]),
        (None, None) => Expectation::NoAnswer,
    };
    let talks = Some(Duration::from_millis(part.talk_ms));
    Some(CallScript { dials, shows: None, talks, cancels_after: None, expect })
}

/// The server's metrics once they stand still: it publishes its counters several times a second,
/// not with every message.
fn settled(server: &Server) -> Result<Metrics> {
    let counted = |metrics: &Metrics| -> Vec<f64> {
        let calls =
            metrics.iter().filter(|(name, _)| name.contains("call") || name.contains("sip"));
        calls.map(|(_, value)| *value).collect()
    };
    let deadline = Instant::now() + SETTLING;
    let mut last = server.metrics()?;
    loop {
        std::thread::sleep(PUBLISHED);
        let now = server.metrics()?;
        if counted(&now) == counted(&last) || Instant::now() > deadline {
            return Ok(now);
        }
        last = now;
    }
}

fn growth(before: &Metrics, after: &Metrics, case: &CaseFile) -> Vec<String> {
    let value = |metrics: &Metrics, name: &String| metrics.get(name).copied().unwrap_or_default();
    case.metrics
        .iter()
        .filter_map(|(name, wanted)| {
            let grown = value(after, name) - value(before, name);
            (grown != *wanted).then(|| format!("{name} grew by {grown}, expected {wanted}"))
        })
        .collect()
}

/// A temporary folder that goes with the run, unless it is to be kept.
pub(crate) struct WorkDir {
    path: PathBuf,
    keep: bool,
}

impl WorkDir {
    pub(crate) fn new(keep: bool) -> Result<WorkDir> {
        let path = std::env::temp_dir().join(format!("tensou-loadtest-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(WorkDir { path, keep })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if !self.keep {
            // A folder left behind in /tmp harms nobody.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_directory_is_complete() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let operator = std::fs::read_to_string(root.join("operator.toml")).unwrap();
        let dirs = find(&root, None).unwrap();
        assert!(dirs.len() >= 20, "{} directories", dirs.len());
        for dir in dirs {
            let case = CaseFile::read(&dir).unwrap();
            for part in &case.sipp {
                let scenario = dir.join(&part.scenario);
                assert!(scenario.is_file(), "{}", scenario.display());
            }
            for part in &case.cdr {
                let did = format!("+81{}", part.did.trim_start_matches('0'));
                assert!(operator.contains(&did), "{}: no DID {did}", dir.display());
            }
        }
    }
}
