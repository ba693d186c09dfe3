//! A bad network between the phones and the server.

use std::time::Duration;

use anyhow::{Context, Result};
use tensou_loadtest::impair::Weather;

use crate::Bench;
use crate::crash::mixed;
use crate::crowd::{Crowd, Plan};
use crate::evidence::{Leniency, Outcome, conclude};
use crate::node::{Node, Settings};
use crate::site::Site;

/// For repetitions through the worst weather: RFC 3261 gives up after 32 s.
const GRACE: Duration = Duration::from_secs(75);

/// Nothing passes for a while.
pub(crate) fn outage(bench: &Bench) -> Result<Outcome> {
    let (rate, dark) = bench.size((100u32, 10u64), (10, 4));
    let what = format!("{rate} calls/s of every kind with voice; no packet passes for {dark} s");
    let dark = Duration::from_secs(dark);
    let spell = Spell { begins: Duration::from_secs(3), lasts: dark };
    let cut = Weather { cut: true, ..Weather::default() };
    run(bench, what, rate, cut, spell)
}

/// One packet in ten is lost, four in a row.
pub(crate) fn loss(bench: &Bench) -> Result<Outcome> {
    let rate = bench.size(100u32, 10);
    let what = format!("{rate} calls/s of every kind with voice; 10 % loss in bursts of 4");
    let weather = Weather { loss: 0.1, burst: 4.0, ..Weather::default() };
    run(bench, what, rate, weather, Spell::throughout())
}

/// Every packet comes twice.
pub(crate) fn copies(bench: &Bench) -> Result<Outcome> {
    let rate = bench.size(100u32, 10);
    let what = format!("{rate} calls/s of every kind with voice; every packet comes twice");
    let weather = Weather { duplicate: 1.0, ..Weather::default() };
    run(bench, what, rate, weather, Spell::throughout())
}

/// Three packets of ten are overtaken.
pub(crate) fn reordering(bench: &Bench) -> Result<Outcome> {
    let rate = bench.size(100u32, 10);
    let what = format!(
        "{rate} calls/s of every kind with voice; 30 % of all packets are overtaken by later ones, \
         20 ms of delay with 10 ms of jitter"
    );
    let (delay, jitter) = (Duration::from_millis(20), Duration::from_millis(10));
    let weather = Weather { reorder: 0.3, delay, jitter, ..Weather::default() };
    run(bench, what, rate, weather, Spell::throughout())
}

/// When the weather is bad.
struct Spell {
    begins: Duration,
    lasts: Duration,
}

impl Spell {
    fn throughout() -> Spell {
        Spell { begins: Duration::ZERO, lasts: Duration::from_secs(600) }
    }
}

fn run(bench: &Bench, what: String, rate: u32, weather: Weather, spell: Spell) -> Result<Outcome> {
    let mut outcome = Outcome::new(what);
    let length = bench.size(Duration::from_secs(20), Duration::from_secs(7));
    let site = Site::apart(&bench.dir, bench.seed)?;
    let mut node = Node::prepare(&site, &bench.server, 0, &Settings::default())?;
    node.start()?;
    let watch = site.watch()?;
    let cut = weather.cut.then_some(spell.begins);
    let crowd = Crowd::start(&site, Plan { cut, ..mixed(f64::from(rate), length, bench.seed) })?;
    let link = site.link.as_ref().context("no link")?;
    crowd.wait_until(spell.begins);
    link.set(weather);
    if spell.lasts < length {
        crowd.wait_until(spell.begins + spell.lasts);
        link.set(Weather::default());
    }
    let gathering = crowd.finish(length + GRACE)?;
    link.set(Weather::default());
    let sent: u64 = gathering.reports.iter().map(|it| it.rtp_sent).sum();
    let heard: u64 = gathering.reports.iter().map(|it| it.heard.packets).sum();
    let again: u32 = gathering.reports.iter().map(|it| it.retransmissions).sum();
    outcome.figure("voice packets sent", sent);
    outcome.figure("voice packets heard", heard);
    outcome.figure("SIP messages sent again by the phones", again);
    let leniency = Leniency { lossy: true, ..Leniency::default() };
    conclude(&mut outcome, &node, &gathering, &watch.stop()?, leniency)?;
    node.terminate()?;
    Ok(outcome)
}
