//! An orderly upgrade: the next process goes on with calls and sockets of the one before.

use std::time::Duration;

use anyhow::Result;
use tensou_loadtest::agents::Heard;

use crate::Bench;
use crate::crash::mixed;
use crate::crowd::Crowd;
use crate::evidence::{Leniency, Outcome, conclude, media_gaps};
use crate::node::{Node, Settings};
use crate::site::Site;

/// For the last BYE and its repetitions.
const GRACE: Duration = Duration::from_secs(45);
/// From the start to the first hand-over, and between them.
const EVERY: Duration = Duration::from_millis(2_500);

/// SIGUSR2 under load, again and again; the test plays systemd, which keeps the sockets.
pub(crate) fn upgrade(bench: &Bench) -> Result<Outcome> {
    let (rate, times) = bench.size((50u32, 10u32), (20, 3));
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind with voice; {times} times the server hands its sockets to \
         the next process (SIGUSR2)"
    ));
    let site = Site::near(&bench.dir)?;
    let settings = Settings { managed: true, ..Settings::default() };
    let mut node = Node::prepare(&site, &bench.server, 0, &settings)?;
    node.start()?;
    let listening = node.kept();
    let watch = site.watch()?;
    let length = EVERY * (times + 1);
    let crowd = Crowd::start(&site, mixed(f64::from(rate), length, bench.seed))?;
    let (mut longest, mut most) = (Duration::ZERO, 0);
    for time in 1..=times {
        crowd.wait_until(EVERY * time);
        let (took, kept) = node.hand_over()?;
        (longest, most) = (longest.max(took), most.max(kept));
    }
    outcome.figure("longest hand-over, with the start", format!("{} ms", longest.as_millis()));
    outcome.figure("sockets handed over, at most", most);
    if most <= listening {
        outcome.fault("no call's socket was handed over: nothing was shown");
    }
    let gathering = crowd.finish(length + GRACE)?;
    media_gaps(&mut outcome, &gathering.reports);
    let heard = |of: fn(&Heard) -> u64| -> u64 {
        gathering.reports.iter().map(|report| of(&report.heard)).sum()
    };
    outcome.figure("voice packets heard", heard(|it| it.packets));
    let lost = heard(|it| it.lost);
    outcome.figure("voice packets lost", lost);
    if lost > 0 {
        outcome.fault(format!("{lost} packets of voice were lost"));
    }
    let foreign = heard(|it| it.strange);
    if foreign > 0 {
        outcome.fault(format!("{foreign} packets came from another port"));
    }
    let leniency = Leniency { unread: longest, ..Leniency::default() };
    conclude(&mut outcome, &node, &gathering, &watch.stop()?, leniency)?;
    node.terminate()?;
    if node.kept() != listening {
        outcome.fault(format!("{} sockets are kept, {listening} are listening", node.kept()));
    }
    Ok(outcome)
}
