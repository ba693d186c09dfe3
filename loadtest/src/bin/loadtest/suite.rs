//! Runs scenario directories: several servers side by side, each case alone on one of them.

use std::net::{Ipv6Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::Common;
use crate::addresses::Lane;
use crate::case::Case;
use crate::case_file::{CaseFile, Network};
use crate::server::Server;
use crate::site::Site;
use crate::work_dir::WorkDir;

/// What a case's directory may hold: provisioning beside that of all cases, for a server of its
/// own.
const MORE: &str = "operator.toml";

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

/// Cases of one network that wait for a lane, those that take longest first.
struct Queue {
    cases: Vec<(PathBuf, CaseFile)>,
    next: AtomicUsize,
}

impl Queue {
    fn of(cases: Vec<(PathBuf, CaseFile)>) -> Queue {
        let mut cases = cases;
        cases.sort_by_key(|(_, case)| std::cmp::Reverse(case.seconds));
        Queue { cases, next: AtomicUsize::new(0) }
    }

    fn take(&self) -> Option<&(PathBuf, CaseFile)> {
        self.cases.get(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Runs each directory and says how it went; true when all passed.
pub(crate) fn run_all(common: &Common, dirs: &[PathBuf], lanes: u8) -> Result<bool> {
    let work = WorkDir::new(common.keep)?;
    let document = common.scenarios.join("operator.toml");
    let document =
        std::fs::read_to_string(&document).with_context(|| document.display().to_string())?;
    let cases = dirs.iter().map(|dir| Ok((dir.clone(), CaseFile::read(dir)?)));
    let cases: Vec<_> = cases.collect::<Result<_>>()?;
    let (own, shared): (Vec<_>, Vec<_>) =
        cases.into_iter().partition(|(dir, _)| dir.join(MORE).is_file());
    let (six, four): (Vec<_>, Vec<_>) =
        shared.into_iter().partition(|(_, case)| case.network == Network::Ipv6);
    let (four, six) = (Queue::of(four), Queue::of(six));
    let own: Vec<(Queue, String)> = own
        .into_iter()
        .map(|(dir, case)| {
            let more = std::fs::read_to_string(dir.join(MORE))?;
            Ok((Queue::of(vec![(dir, case)]), format!("{document}\n{more}")))
        })
        .collect::<Result<_>>()?;
    let many = usize::from(lanes).min(four.cases.len());
    let mut crew: Vec<(Lane, &Queue, &str)> =
        (0..many).zip(0..).map(|(_, lane)| (Lane::ipv4(lane), &four, &*document)).collect();
    for ((queue, document), lane) in own.iter().zip(lanes..) {
        crew.push((Lane::ipv4(lane), queue, document));
    }
    match UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) if !six.cases.is_empty() => crew.push((Lane::ipv6(lanes), &six, &document)),
        Ok(_) => {}
        Err(_) => println!("skip   {} cases: this machine has no IPv6", six.cases.len()),
    }
    let outcomes: Vec<Result<usize>> = std::thread::scope(|scope| {
        let threads: Vec<_> = crew
            .iter()
            .map(|(lane, queue, document)| {
                let work = work.path();
                scope.spawn(move || run_lane(&common.server, work, document, *lane, queue))
            })
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("a lane crashed"),
        });
        joined.collect()
    });
    let mut failed = 0;
    for outcome in outcomes {
        failed += outcome?;
    }
    println!("{} of {} cases passed", dirs.len().saturating_sub(failed), dirs.len());
    if common.keep {
        println!("logs are in {}", work.path().display());
    }
    Ok(failed == 0)
}

/// Takes cases one after the other to a server of its own; how many faults there were.
fn run_lane(
    binary: &Path,
    work: &Path,
    document: &str,
    lane: Lane,
    queue: &Queue,
) -> Result<usize> {
    let work = work.join(lane.name());
    std::fs::create_dir_all(&work)?;
    let site = Site::build(lane, &work)?;
    let mut server = Server::start(binary, &work, document, &site)?;
    let mut failed = 0;
    while let Some((dir, case)) = queue.take() {
        let name = dir.components().rev().take(2).collect::<Vec<_>>();
        let name: PathBuf = name.into_iter().rev().collect();
        if let Some(reason) = site.lacks(&case.parties()) {
            println!("skip   {}: {reason}", name.display());
            continue;
        }
        let logs = work.join(&name);
        std::fs::create_dir_all(&logs)?;
        let begun = Instant::now();
        let case = Case { dir, logs: &logs, case, site: &site };
        let faults = case.run(&mut server).with_context(|| dir.display().to_string())?;
        let took = begun.elapsed().as_secs_f64();
        let verdict = if faults.is_empty() { "ok" } else { "FAILED" };
        let faults = faults.iter().map(|it| format!("\n       {}", it.replace('\n', "\n       ")));
        let faults: Vec<String> = faults.collect();
        println!("{verdict:6} {} ({took:.1} s){}", name.display(), faults.concat());
        failed += usize::from(!faults.is_empty());
        if !server.is_alive()? {
            bail!("the server is gone after {}", dir.display());
        }
    }
    let stopping = server.stop()?;
    for fault in &stopping {
        println!("FAILED stopping: {fault}");
    }
    Ok(failed + stopping.len())
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
            let more = std::fs::read_to_string(dir.join(MORE)).unwrap_or_default();
            let case = CaseFile::read(&dir).unwrap();
            for part in &case.sipp {
                let scenario = dir.join(&part.scenario);
                assert!(scenario.is_file(), "{}", scenario.display());
            }
            for part in &case.cdr {
                let did = format!("+81{}", part.did.trim_start_matches('0'));
                assert!(
                    operator.contains(&did) || more.contains(&did),
                    "{}: no DID {did}",
                    dir.display()
                );
            }
        }
    }
}
