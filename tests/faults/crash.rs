//! `kill -9`: calls go on, and each has its record once.

use std::time::Duration;

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::Bench;
use crate::crowd::{Crowd, Habits, Number, Plan, Planned};
use crate::evidence::{Leniency, Outcome, conclude, media_gaps};
use crate::node::{Node, Settings};
use crate::site::Site;

/// How long everybody talks and rings before the kill, and at least after the restart.
const HOLD: Duration = Duration::from_secs(3);
/// A restart with everything that is to be taken up again takes less.
const DOWN: Duration = Duration::from_secs(4);
/// Hanging up and giving up are spread over this time.
const SPREAD: Duration = Duration::from_secs(2);
/// For the last BYE and its repetitions.
const GRACE: Duration = Duration::from_secs(45);

/// Established and ringing calls, one kill, one restart.
pub(crate) fn kill(bench: &Bench) -> Result<Outcome> {
    let (talking, ringing) = bench.size((1000u32, 200u32), (60, 20));
    let rate = f64::from(bench.size(100u32, 40));
    let mut outcome = Outcome::new(format!(
        "{talking} established calls with voice and {ringing} that ring; kill -9, restart; then \
         half of the established are hung up by their callers and half by the callees, half of \
         the ringing are answered and half given up"
    ));
    let filling = Duration::from_secs_f64(f64::from(talking + ringing) / rate);
    let end = filling + HOLD + DOWN + HOLD;
    let calls = (0..talking + ringing).map(|index| {
        let at = Duration::from_secs_f64(f64::from(index) / rate);
        let spread = SPREAD.mul_f64(f64::from(index % 20) / 20.0);
        match (index < talking, index % 2 == 0) {
            (true, true) => Planned::talk(at, Number::Answers, end + spread - at),
            (true, false) => Planned { at, to: Number::HangsUp, talks: None, cancels_after: None },
            (false, true) => Planned::talk(at, Number::Late, SPREAD),
            (false, false) => Planned {
                at,
                to: Number::Rings,
                talks: None,
                cancels_after: Some(end + spread - at),
            },
        }
    });
    let habits = Habits { talks: end, rings: end - filling };
    let plan = Plan { calls: calls.collect(), habits, servers: 1, cut: None, seed: bench.seed };
    let site = Site::near(&bench.dir)?;
    let mut node = Node::prepare(&site, &bench.server, 0, &Settings::default())?;
    node.start()?;
    let watch = site.watch()?;
    let crowd = Crowd::start(&site, plan)?;
    crowd.wait_until(filling);
    crowd.wait_for(ringing as usize, talking as usize, HOLD)?;
    crowd.wait_until(filling + HOLD);
    node.kill()?;
    let down = node.start()?;
    outcome.figure("restart until it serves", format!("{} ms", down.as_millis()));
    let gathering = crowd.finish(end + GRACE)?;
    media_gaps(&mut outcome, &gathering.reports);
    let alive = gathering.reports.iter().filter(|it| it.placed && it.faults.is_empty()).count();
    outcome.figure("calls that survived", format!("{alive} of {}", talking + ringing));
    conclude(&mut outcome, &node, &gathering, &watch.stop()?, Leniency::default())?;
    node.terminate()?;
    Ok(outcome)
}

/// Load, and kills at random moments.
pub(crate) fn kill_again(bench: &Bench) -> Result<Outcome> {
    let (rate, kills) = bench.size((100u32, 20u32), (30, 3));
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind with voice; kill -9 and restart {kills} times at random \
         moments"
    ));
    let mut random = StdRng::seed_from_u64(bench.seed);
    let pauses: Vec<Duration> =
        (0..kills).map(|_| Duration::from_secs_f64(random.random_range(1.0..3.0))).collect();
    let length = pauses.iter().sum::<Duration>() + Duration::from_secs(1) * kills;
    let site = Site::near(&bench.dir)?;
    let mut node = Node::prepare(&site, &bench.server, 0, &Settings::default())?;
    node.start()?;
    let watch = site.watch()?;
    let crowd = Crowd::start(&site, mixed(f64::from(rate), length, bench.seed))?;
    let mut longest = Duration::ZERO;
    for pause in pauses {
        std::thread::sleep(pause);
        node.kill()?;
        longest = longest.max(node.start()?);
    }
    let gathering = crowd.finish(length + GRACE)?;
    outcome.figure("calls", gathering.reports.iter().filter(|it| it.placed).count());
    outcome.figure("longest restart", format!("{} ms", longest.as_millis()));
    media_gaps(&mut outcome, &gathering.reports);
    // Who hangs up while there is no server has talked less than was recorded: until its BYE
    // was heard.
    let leniency = Leniency { lossy: true, ..Leniency::default() };
    conclude(&mut outcome, &node, &gathering, &watch.stop()?, leniency)?;
    node.terminate()?;
    Ok(outcome)
}

/// Calls of every kind at a steady rate.
pub(crate) fn mixed(rate: f64, length: Duration, seed: u64) -> Plan {
    let mut random = StdRng::seed_from_u64(seed ^ 0x006d_6978);
    let count = (rate * length.as_secs_f64()) as u32;
    let calls = (0..count).map(|index| {
        let at = Duration::from_secs_f64(f64::from(index) / rate);
        let some = Duration::from_secs_f64(random.random_range(1.0..3.0));
        match random.random_range(0..20) {
            0..8 => Planned::talk(at, Number::Answers, some),
            8..11 => Planned { at, to: Number::HangsUp, talks: None, cancels_after: None },
            11..14 => Planned::talk(at, Number::Group, some),
            14..16 => Planned::talk(at, Number::Late, some),
            16..18 => Planned { at, to: Number::Rings, talks: None, cancels_after: Some(some) },
            _ => Planned { at, to: Number::Busy, talks: None, cancels_after: None },
        }
    });
    Plan { calls: calls.collect(), habits: Habits::default(), servers: 1, cut: None, seed }
}
