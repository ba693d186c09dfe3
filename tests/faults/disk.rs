//! A full disk under the journal: new calls are refused in time, live ones keep their records.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use tensou_loadtest::agents::Outcome as Ended;

use crate::Bench;
use crate::crowd::{Crowd, Number, Plan, Planned};
use crate::evidence::{Leniency, Outcome, conclude};
use crate::node::{Node, Settings};
use crate::site::Site;

/// Size of the disk: room for a journal, none to spare.
const DISK: u64 = 48 << 20;
/// What is left of it when somebody else has filled the rest.
const LEFT: u64 = 3 << 19;
/// For the last BYE and its repetitions.
const GRACE: Duration = Duration::from_secs(45);

/// Live calls, then a disk that somebody fills, then more calls.
pub(crate) fn full(bench: &Bench) -> Result<Outcome> {
    let (live, rate) = bench.size((200u32, 100u32), (40, 40));
    let mut outcome = Outcome::new(format!(
        "{live} established calls with voice; the disk of the journal is filled to 1.5 MB, while \
         {rate} calls/s go on coming for 10 s; then there is room again"
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
    let filling = Duration::from_secs(2);
    let end = filling + Duration::from_secs(14);
    let mut calls: Vec<Planned> = (0..live)
        .map(|index| {
            let at = filling.mul_f64(f64::from(index) / f64::from(live));
            Planned::talk(at, Number::Answers, end - at)
        })
        .collect();
    let coming = |from: Duration, seconds: u32| {
        let count = rate * seconds;
        (0..count).map(move |index| {
            let at = from + Duration::from_secs_f64(f64::from(index) / f64::from(rate));
            Planned::talk(at, Number::Answers, Duration::from_secs(1))
        })
    };
    let squeezed = filling + Duration::from_secs(1);
    calls.extend(coming(squeezed, 10));
    let freed = end + Duration::from_secs(2);
    calls.extend(coming(freed + Duration::from_secs(1), 1));
    let plan = Plan { calls, habits: Default::default(), servers: 1, seed: bench.seed };
    let crowd = Crowd::start(&site, plan)?;
    crowd.wait_for(0, live as usize, squeezed)?;
    crowd.wait_until(squeezed);
    let ballast = disk.join("ballast");
    fill(&disk, &ballast)?;
    crowd.wait_until(freed);
    let free = free_bytes(&disk)?;
    outcome.figure("free when the server had stopped taking calls", format!("{} kB", free >> 10));
    std::fs::remove_file(&ballast)?;
    let gathering = crowd.finish(freed + GRACE)?;
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

/// The running number in a caller's number.
fn number(shown: &str) -> usize {
    shown.strip_prefix("080").and_then(|rest| rest.parse().ok()).unwrap_or_default()
}

fn fill(disk: &Path, ballast: &Path) -> Result<()> {
    let size = free_bytes(disk)?.saturating_sub(LEFT);
    Ok(std::fs::write(ballast, vec![0u8; usize::try_from(size)?])?)
}

fn free_bytes(disk: &Path) -> Result<u64> {
    let space = nix::sys::statvfs::statvfs(disk)?;
    Ok(space.blocks_available() * space.fragment_size())
}
