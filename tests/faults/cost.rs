//! What the journal costs: the same calls with it and without it, one after the other in one
//! run, so that the machine is as fast for both.

use std::time::Duration;

use anyhow::Result;
use tensou_loadtest::host::Usage;

use crate::Bench;
use crate::crowd::{Crowd, Habits, Number, Plan, Planned};
use crate::evidence::{Leniency, Outcome, conclude};
use crate::node::{Node, Settings};
use crate::site::Site;

/// For the last BYE and its repetitions.
const GRACE: Duration = Duration::from_secs(45);
/// The promise: what writing the journal may cost a call.
const MOST_MICROS: f64 = 5.0;
/// Turns of each: the middle one counts.
const TURNS: u32 = 3;

/// Calls without voice, journal on and off in turn.
pub(crate) fn journal(bench: &Bench) -> Result<Outcome> {
    let (rate, seconds) = bench.size((400u32, 10u32), (100, 3));
    let turns = bench.size(TURNS, 1);
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s for {seconds} s, journal on and off in turn, {turns} times"
    ));
    let mut costs = [Vec::new(), Vec::new()];
    for turn in 0..turns {
        for (index, more) in ["", "[journal]\nenabled = false\n"].into_iter().enumerate() {
            let dir = bench.dir.join(format!("{turn}-{index}"));
            let cost = measure(bench, &dir, more, (rate, seconds), &mut outcome)?;
            costs[index].push(cost);
        }
    }
    let [with, without] = costs.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    });
    outcome.figure("CPU of a call, journal on", format!("{with:.0} µs"));
    outcome.figure("CPU of a call, journal off", format!("{without:.0} µs"));
    outcome.figure("difference", format!("{:.1} µs (promised: {MOST_MICROS} µs)", with - without));
    Ok(outcome)
}

fn measure(
    bench: &Bench,
    dir: &std::path::Path,
    more: &str,
    (rate, seconds): (u32, u32),
    outcome: &mut Outcome,
) -> Result<f64> {
    let site = Site::near(dir)?;
    let settings = Settings { more: more.to_owned(), ..Settings::default() };
    let mut node = Node::prepare(&site, &bench.server, 0, &settings)?;
    node.start()?;
    let watch = site.watch()?;
    let count = rate * seconds;
    let calls = (0..count).map(|index| {
        let at = Duration::from_secs_f64(f64::from(index) / f64::from(rate));
        Planned::talk(at, Number::Answers, Duration::from_millis(100))
    });
    let plan =
        Plan { calls: calls.collect(), habits: Habits::default(), servers: 1, seed: bench.seed };
    let before = Usage::of(node.pid()?)?;
    let crowd = Crowd::start(&site, plan)?;
    let gathering = crowd.finish(Duration::from_secs(u64::from(seconds)) + GRACE)?;
    let used = Usage::of(node.pid()?)?.cpu_micros - before.cpu_micros;
    let mut checked = Outcome::new(String::new());
    conclude(&mut checked, &node, &gathering, &watch.stop()?, Leniency::default())?;
    for fault in checked.faults {
        outcome.fault(fault);
    }
    node.terminate()?;
    Ok(used as f64 / f64::from(count))
}
