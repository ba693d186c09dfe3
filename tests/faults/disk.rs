//! A full disk under the journal: new calls are refused in time, live ones keep their records.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use tensou_loadtest::agents::Outcome as Ended;

use crate::Bench;
use crate::crowd::{Crowd, Habits, Number, Plan, Planned};
use crate::evidence::{Leniency, Outcome, conclude};
use crate::node::{Node, Settings};
use crate::site::Site;

/// Size of the disk: new calls are refused below 32 MB free and taken again above 64.
const DISK: u64 = 160 << 20;
/// What somebody else who fills it leaves at first; a moment later nothing is left.
const LEFT: u64 = 8 << 20;
/// When the established calls stand, when the disk begins to fill, when they end, and when there
/// is room again.
const FILLING: Duration = Duration::from_secs(2);
const SQUEEZED: Duration = Duration::from_secs(3);
const END: Duration = Duration::from_secs(16);
const FREED: Duration = Duration::from_secs(18);
/// For the last BYE and its repetitions.
const GRACE: Duration = Duration::from_secs(45);

/// Live calls, then a disk that somebody fills, then more calls.
pub(crate) fn full(bench: &Bench) -> Result<Outcome> {
    let (live, rate) = bench.size((200u32, 100u32), (40, 40));
    let mut outcome = Outcome::new(format!(
        "{live} established calls with voice; somebody fills the journal's disk, first to 8 MB, \
         then to the last byte, while {rate} calls/s go on coming for 10 s; the established calls \
         end while it is full; then there is room again"
    ));
    let disk = bench.dir.join("disk");
    std::fs::create_dir_all(&disk)?;
    let options = format!("size={DISK},mode=755");
    let options = Some(options.as_str());
    mount(Some("tmpfs"), &disk, Some("tmpfs"), MsFlags::empty(), options).context("tmpfs")?;
    let site = Site::near(&bench.dir)?;
    let settings = Settings { data_dir: Some(disk.clone()), ..Settings::default() };
    let mut node = Node::prepare(&site, &bench.server, 0, &settings)?;
    node.start()?;
    let watch = site.watch()?;
    let calls = calls(live, rate);
    let habits = Habits::default();
    let plan = Plan { calls, habits, servers: 1, cut: None, seed: bench.seed };
    let crowd = Crowd::start(&site, plan)?;
    crowd.wait_for(0, live as usize, SQUEEZED)?;
    crowd.wait_until(SQUEEZED);
    let ballast = disk.join("ballast");
    let mut ballast_file = std::fs::File::create(&ballast)?;
    fill(&mut ballast_file, free_bytes(&disk)?.saturating_sub(LEFT))?;
    crowd.wait_until(SQUEEZED + Duration::from_secs(3));
    fill(&mut ballast_file, DISK)?;
    outcome.figure("bytes free then", free_bytes(&disk)?);
    crowd.wait_until(FREED);
    std::fs::remove_file(&ballast)?;
    drop(ballast_file);
    let gathering = crowd.finish(FREED + GRACE)?;
    let refused = gathering.reports.iter().filter(|it| it.outcome == Ended::Refused(503)).count();
    if refused == 0 {
        outcome.fault("no call was refused: the disk was never taken for full");
    }
    let last = gathering.reports.iter().filter(|it| it.placed).count() - rate as usize;
    let late = gathering.reports.iter().filter(|it| it.placed);
    let late = late.filter(|it| number(&it.shown) > last && it.faults.is_empty()).count();
    outcome.figure("calls that succeeded when there was room again", format!("{late} of {rate}"));
    if late < rate as usize {
        outcome.fault("calls were refused although there was room again");
    }
    let leniency = Leniency { refusals: true, ..Leniency::default() };
    conclude(&mut outcome, &node, &gathering, &watch.stop()?, leniency)?;
    node.terminate()?;
    drop(node);
    nix::mount::umount(&disk).context("umount")?;
    Ok(outcome)
}

/// Established calls, those that come while the disk fills, and those that come afterwards.
fn calls(live: u32, rate: u32) -> Vec<Planned> {
    let mut calls: Vec<Planned> = (0..live)
        .map(|index| {
            let at = FILLING.mul_f64(f64::from(index) / f64::from(live));
            Planned::talk(at, Number::Answers, END - at)
        })
        .collect();
    let coming = |from: Duration, seconds: u32| {
        (0..rate * seconds).map(move |index| {
            let at = from + Duration::from_secs_f64(f64::from(index) / f64::from(rate));
            Planned::talk(at, Number::Answers, Duration::from_secs(1))
        })
    };
    calls.extend(coming(SQUEEZED, 10));
    calls.extend(coming(FREED + Duration::from_secs(3), 1));
    calls
}

/// The running number in a caller's number.
fn number(shown: &str) -> usize {
    shown.strip_prefix("080").and_then(|rest| rest.parse().ok()).unwrap_or_default()
}

/// Writes so much, or until the disk takes no more.
fn fill(file: &mut File, mut size: u64) -> Result<()> {
    let zeros = vec![0u8; 1 << 20];
    while size > 0 {
        let part = size.min(zeros.len() as u64);
        match file.write(&zeros[..usize::try_from(part)?]) {
            Ok(written) => size -= written as u64,
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn free_bytes(disk: &Path) -> Result<u64> {
    let space = nix::sys::statvfs::statvfs(disk)?;
    Ok(space.blocks_available() * space.fragment_size())
}
