//! Two servers on one PostgreSQL.

use std::time::Duration;

use anyhow::Result;

use crate::Bench;
use crate::crash::mixed;
use crate::crowd::{Crowd, Plan};
use crate::evidence::{Leniency, Outcome, conclude};
use crate::node::{Node, Settings};
use crate::postgres::Postgres;
use crate::site::Site;

/// For the last BYE and its repetitions.
const GRACE: Duration = Duration::from_secs(45);

/// Each of two servers is stopped in order and started again, while calls come to both; a
/// gateway that one refuses tries the other, as RFC 3263 4.3 asks.
pub(crate) fn rolling_restart(bench: &Bench) -> Result<Outcome> {
    let rate = bench.size(50u32, 15);
    let mut outcome = Outcome::new(format!(
        "two servers on one PostgreSQL, {rate} calls/s of every kind with voice to both in turn; \
         one is stopped by SIGTERM and started again, then the other"
    ));
    let site = Site::near(&bench.dir)?;
    let postgres = Postgres::start(&site)?;
    let settings = Settings { database: Some(postgres.url()), ..Settings::default() };
    let mut first = Node::prepare(&site, &bench.server, 0, &settings)?;
    let mut second = Node::prepare(&site, &bench.server, 1, &settings)?;
    first.start()?;
    second.start()?;
    let watch = site.watch()?;
    let length = bench.size(Duration::from_secs(40), Duration::from_secs(16));
    let plan = Plan { servers: 2, ..mixed(f64::from(rate), length, bench.seed) };
    let crowd = Crowd::start(&site, plan)?;
    let each = length / 2;
    for (turn, node) in [&mut first, &mut second].into_iter().enumerate() {
        crowd.wait_until(each * turn as u32 + Duration::from_secs(2));
        let stopped = node.terminate()?;
        let started = node.start()?;
        outcome.figure(&format!("node {} drained in", turn + 1), format!("{stopped:.1?}"));
        outcome.figure(&format!("node {} started in", turn + 1), format!("{started:.1?}"));
    }
    let gathering = crowd.finish(length + GRACE)?;
    outcome.figure("calls that another node took", gathering.tried_again);
    if gathering.tried_again == 0 {
        outcome.fault("no node refused a call while it stopped: nothing was shown");
    }
    conclude(&mut outcome, &first, &gathering, &watch.stop()?, Leniency::default())?;
    let records = first.records()?;
    for node in ["node-0", "node-1"] {
        let count = records.iter().filter(|record| record.node == node).count();
        outcome.figure(&format!("records of {node}"), count);
        if count == 0 {
            outcome.fault(format!("no record of {node}"));
        }
    }
    first.terminate()?;
    second.terminate()?;
    drop((first, second));
    drop(postgres);
    Ok(outcome)
}
