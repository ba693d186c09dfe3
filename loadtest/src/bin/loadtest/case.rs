//! Plays one scenario directory against a server and lists what was not as it says.

use std::path::Path;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::aftermath::Aftermath;
use crate::agents::Agents;
use crate::case_file::{CaseFile, SippPart, Transport};
use crate::raw::Raw;
use crate::server::{Metrics, Server};
use crate::sipp::{Play, Sipp};
use crate::site::{Site, Tunnels};

/// Between starting those who wait for calls and those who call: SIPp binds its socket in this
/// time.
const LISTENING: Duration = Duration::from_millis(400);
/// Longer than the pause between two publications of the server's counters.
const PUBLISHED: Duration = Duration::from_millis(250);
/// How long counters may go on moving, by the repetitions of an unanswered message for example.
const SETTLING: Duration = Duration::from_secs(3);

/// A scenario directory, and where it is played.
pub(crate) struct Case<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) logs: &'a Path,
    pub(crate) case: &'a CaseFile,
    pub(crate) site: &'a Site,
}

impl Case<'_> {
    /// Everything that was not as the case says.
    pub(crate) fn run(&self, server: &mut Server) -> Result<Vec<String>> {
        let before = settled(server)?;
        let mut faults = self.act(server)?;
        let aftermath = Aftermath::of(self.case, &self.site.addresses)?;
        for part in &self.case.cdr {
            let records = server.cdrs(Some(&part.did), part.count as usize)?;
            faults.extend(part.faults(&records));
        }
        faults.extend(server.leftovers(&before)?);
        faults.extend(growth(&before, &settled(server)?, self.case));
        faults.extend(aftermath.faults()?);
        Ok(faults)
    }

    fn act(&self, server: &Server) -> Result<Vec<String>> {
        let deadline = Instant::now() + self.case.limit();
        let mut agents = Agents::new(self.case, self.site.addresses)?;
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
                    let here = self.site.addresses.sip(part.at);
                    let there = server.sip();
                    scope.spawn(move || Raw::play(here, there, self.dir, part))
                })
                .collect();
            for part in callers {
                playing.push(self.sipp(part, server, playing.len())?);
            }
            agents.call()?;
            agents.finish(deadline)?;
            let mut faults = Vec::new();
            // Who takes what it is given is done when the others are.
            playing.sort_by_key(|(sipp, _)| sipp.is_open());
            for (sipp, _tunnels) in &mut playing {
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

    fn sipp(
        &self,
        part: &SippPart,
        server: &Server,
        number: usize,
    ) -> Result<(Sipp, Option<Tunnels>)> {
        let mut calls = server.sip();
        let mut tunnels = None;
        if part.transport == Transport::Tls {
            let made = self.site.tunnels(part.at, self.logs)?;
            calls = made.entry;
            tunnels = Some(made);
            std::thread::sleep(LISTENING);
        }
        let play = Play {
            name: format!("{:?} {number}", part.at),
            scenario: self.dir.join(&part.scenario),
            transport: part.transport,
            here: self.site.addresses.sip(part.at),
            calls: part.dials.clone().map(|did| (calls, did)),
            count: part.count,
            takes: part.takes,
            rate: part.rate,
            pause: Duration::from_millis(part.pause_ms),
            options: Vec::new(),
        };
        Ok((Sipp::start(play, self.logs)?, tunnels))
    }
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
