//! An orderly upgrade: the next process goes on with calls and sockets of the one before.

use std::time::Duration;

use anyhow::Result;

use crate::Bench;
use crate::crash::mixed;
use crate::crowd::{Crowd, Habits, Number, Plan, Planned};
use crate::evidence::{Leniency, Outcome, conclude, media_gaps, voice};
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
    voice(&mut outcome, &gathering.reports);
    let leniency = Leniency { unread: longest, ..Leniency::default() };
    conclude(&mut outcome, &node, &gathering, &watch.stop()?, leniency)?;
    node.terminate()?;
    if node.kept() != listening {
        outcome.fault(format!("{} sockets are kept, {listening} are listening", node.kept()));
    }
    Ok(outcome)
}

/// When the established calls stand, and `kill -9` strikes.
const STRUCK: Duration = Duration::from_secs(4);
/// How long no process runs: a phone sends what nobody answers again after T1, 500 ms.
const AWAY: Duration = Duration::from_millis(250);

/// `kill -9`; what phones send while no process runs waits in the sockets that the manager has
/// had since the start, and the next process answers it.
pub(crate) fn waiting(bench: &Bench) -> Result<Outcome> {
    let (talking, coming) = bench.size((200u32, 50u32), (30, 10));
    let mut outcome = Outcome::new(format!(
        "{talking} established calls; kill -9, and for {} ms no process runs: meanwhile all of \
         them are hung up and {coming} others are placed",
        AWAY.as_millis()
    ));
    // Answered 100 ms after they were placed; hung up in the first half of the absence.
    let part = |index: u32, of: u32| f64::from(index) / f64::from(of);
    let mut calls: Vec<Planned> = (0..talking)
        .map(|index| {
            let at = (STRUCK / 2).mul_f64(part(index, talking));
            let end = STRUCK + AWAY.mul_f64(0.1 + part(index, talking) / 2.0);
            Planned::talk(at, Number::Answers, end - at - Duration::from_millis(100))
        })
        .collect();
    calls.extend((0..coming).map(|index| {
        let at = STRUCK + AWAY.mul_f64(0.2 + part(index, coming) / 2.0);
        Planned::talk(at, Number::Answers, Duration::from_secs(1))
    }));
    let habits = Habits::default();
    let plan = Plan { calls, habits, servers: 1, cut: None, seed: bench.seed };
    let site = Site::near(&bench.dir)?;
    let settings = Settings { managed: true, ..Settings::default() };
    let mut node = Node::prepare(&site, &bench.server, 0, &settings)?;
    node.start()?;
    let watch = site.watch()?;
    let crowd = Crowd::start(&site, plan)?;
    crowd.wait_until(STRUCK);
    crowd.wait_for(0, talking as usize, Duration::ZERO)?;
    node.kill()?;
    if node.kept() == 0 {
        outcome.fault("the manager keeps no socket: nothing was shown");
    }
    crowd.wait_until(STRUCK + AWAY);
    let down = AWAY + node.start()?;
    outcome.figure("time without a server", format!("{} ms", down.as_millis()));
    let gathering = crowd.finish(GRACE)?;
    let again: u32 = gathering.reports.iter().map(|it| it.retransmissions).sum();
    outcome.figure("SIP messages sent again by the phones", again);
    if again > 0 {
        outcome.fault(format!("{again} messages had to be sent again: they did not wait"));
    }
    let leniency = Leniency { unread: down, ..Leniency::default() };
    conclude(&mut outcome, &node, &gathering, &watch.stop()?, leniency)?;
    node.terminate()?;
    Ok(outcome)
}
