//! The telephone world of an experiment on a thread of its own: calls placed by plan, each with
//! a caller's number of its own, and what became of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tensou_loadtest::agents::{
    AgentId, Behaviour, CallScript, Expectation, Gateway, Outcome, Report, World,
};

use crate::site::{NODES, Site};

/// How often the thread looks at its plan; calls are placed this late at most.
const TURN: Duration = Duration::from_millis(5);
/// How long a called phone rings before it answers, where the plan does not say otherwise.
const RINGS: Duration = Duration::from_millis(100);
/// A call that a stopping server refuses is tried at the next one this often.
const TRIES: u32 = 6;

/// What the called number does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// Answers; the caller hangs up.
    Answers,
    /// Rings until it is told to stop.
    Rings,
    /// Is busy.
    Busy,
    /// Answers, and hangs up after [`Habits::talks`].
    HangsUp,
    /// Rings for [`Habits::rings`], then answers; the caller hangs up.
    Late,
    /// A group of three, one of whom answers; the caller hangs up.
    Group,
}

impl Number {
    fn did(self) -> String {
        let last = match self {
            Number::Answers => 1,
            Number::Rings => 2,
            Number::Busy => 3,
            Number::HangsUp => 4,
            Number::Late => 5,
            Number::Group => 6,
        };
        format!("031000100{last}")
    }

    fn expected(self, call: &Planned) -> Expectation {
        let of = |last: u32| Expectation::AnsweredBy(vec![format!("0900000000{last}")]);
        match self {
            _ if call.cancels_after.is_some() => Expectation::Cancelled,
            Number::Answers | Number::Group => of(1),
            Number::HangsUp => of(4),
            Number::Late => of(5),
            Number::Busy => Expectation::Busy,
            Number::Rings => Expectation::NoAnswer,
        }
    }
}

/// How called numbers behave in this experiment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// How long [`Number::HangsUp`] talks.
    pub(crate) talks: Duration,
    /// How long [`Number::Late`] rings.
    pub(crate) rings: Duration,
}

impl Default for Habits {
    fn default() -> Self {
        Habits { talks: Duration::from_secs(2), rings: Duration::from_secs(2) }
    }
}

/// A call to be placed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    /// When, from the crowd's start.
    pub(crate) at: Duration,
    pub(crate) to: Number,
    /// The caller hangs up this long after the answer; none leaves it to the callee.
    pub(crate) talks: Option<Duration>,
    /// The caller gives up this long after dialling.
    pub(crate) cancels_after: Option<Duration>,
}

impl Planned {
    /// Answered; the caller hangs up.
    pub(crate) fn talk(at: Duration, to: Number, talks: Duration) -> Planned {
        Planned { at, to, talks: Some(talks), cancels_after: None }
    }
}

/// What a crowd is to do.
pub(crate) struct Plan {
    /// In order of time.
    pub(crate) calls: Vec<Planned>,
    pub(crate) habits: Habits,
    /// Calls go to this many servers in turn.
    pub(crate) servers: usize,
    /// When the network is cut, from the crowd's start.
    pub(crate) cut: Option<Duration>,
    pub(crate) seed: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    /// Both sides of every call.
    pub(crate) reports: Vec<Report>,
    /// What went wrong, in words.
    pub(crate) faults: Vec<String>,
    /// Calls that a server refused because it was stopping, and another took.
    pub(crate) tried_again: u64,
    /// The longest that the phones themselves were late, because the machine was busy.
    pub(crate) lag: Duration,
}

/// How the calls stand, as the thread last saw it.
#[derive(Debug, Default)]
struct Standing {
    ringing: AtomicUsize,
    talking: AtomicUsize,
    /// Calls not over, and those still to be placed.
    left: AtomicUsize,
    stop: AtomicBool,
}

/// A crowd at work.
pub(crate) struct Crowd {
    standing: Arc<Standing>,
    thread: JoinHandle<Result<Gathering>>,
    pub(crate) begun: Instant,
}

impl Crowd {
    /// Starts the calls.
    pub(crate) fn start(site: &Site, plan: Plan) -> Result<Crowd> {
        let standing = Arc::new(Standing::default());
        standing.left.store(plan.calls.len(), Ordering::Relaxed);
        let seen = Arc::clone(&standing);
        let begun = Instant::now();
        let party = Party::gather(site, plan, begun)?;
        let place = site.afar.again()?;
        let thread = std::thread::Builder::new()
            .name("crowd".to_owned())
            .spawn(move || {
                // Voice sockets are opened call by call.
                place.enter()?;
                party.run(&seen)
            })
            .context("a thread")?;
        Ok(Crowd { standing, thread, begun })
    }

    /// Callers that hear ringing.
    pub(crate) fn ringing(&self) -> usize {
        self.standing.ringing.load(Ordering::Relaxed)
    }

    /// Callers that talk.
    pub(crate) fn talking(&self) -> usize {
        self.standing.talking.load(Ordering::Relaxed)
    }

    /// Sleeps until a time counted from the start.
    pub(crate) fn wait_until(&self, at: Duration) {
        std::thread::sleep((self.begun + at).saturating_duration_since(Instant::now()));
    }

    /// Waits until so many ring and talk.
    pub(crate) fn wait_for(
        &self,
        ringing: usize,
        talking: usize,
        patience: Duration,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        while (self.ringing(), self.talking()) != (ringing, talking) {
            if Instant::now() > deadline {
                let (rings, talks) = (self.ringing(), self.talking());
                bail!("{rings} ring and {talks} talk, wanted {ringing} and {talking}");
            }
            std::thread::sleep(TURN);
        }
        Ok(())
    }

    /// Waits until every call is over, and tells what came of them.
    pub(crate) fn finish(self, patience: Duration) -> Result<Gathering> {
        let deadline = Instant::now() + patience;
        while self.standing.left.load(Ordering::Relaxed) > 0
            && Instant::now() < deadline
            && !self.thread.is_finished()
        {
            std::thread::sleep(TURN);
        }
        self.standing.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(gathering) => gathering,
            Err(_) => bail!("the simulated world crashed"),
        }
    }
}

struct Party {
    world: World,
    gateways: Vec<AgentId>,
    calls: VecDeque<Planned>,
    /// By the caller's number: the call, how often it was tried, and by which gateway.
    placed: BTreeMap<String, (Planned, u32, usize)>,
    numbers: u32,
    begun: Instant,
    gathering: Gathering,
}

impl Party {
    fn gather(site: &Site, plan: Plan, begun: Instant) -> Result<Party> {
        let world = site.afar.within(|| {
            let mut world = World::new(plan.seed)?;
            world.forgive_voice();
            plan.cut.into_iter().for_each(|at| world.expect_cut(begun + at));
            world.gateway(Gateway {
                name: "member".to_owned(),
                address: Site::sip(site.member()),
                engine: Site::sip(site.server(0)),
                takes: takes(plan.habits),
            })?;
            Ok(world)
        });
        let mut world = world.context("the simulated world")?;
        let mut gateways = Vec::new();
        for node in 0..plan.servers.min(NODES) {
            let gateway = Gateway {
                name: format!("gateway-{node}"),
                address: Site::sip(site.gateway(node)),
                engine: Site::sip(site.server(node)),
                takes: BTreeMap::new(),
            };
            let gateway = site.afar.within(|| world.gateway(gateway))?;
            gateways.push(gateway);
        }
        let calls = plan.calls.into();
        let (placed, gathering) = Default::default();
        Ok(Party { world, gateways, calls, placed, numbers: 0, begun, gathering })
    }

    fn run(mut self, standing: &Standing) -> Result<Gathering> {
        while !standing.stop.load(Ordering::Relaxed) {
            let elapsed = self.begun.elapsed();
            while let Some(call) = self.calls.front().copied().filter(|call| call.at <= elapsed) {
                self.calls.pop_front();
                self.place(call, 1, self.numbers as usize)?;
            }
            let until = Instant::now() + TURN;
            self.world.run_until(until)?;
            self.gather_reports()?;
            self.gathering.lag = self.gathering.lag.max(until.elapsed());
            let (ringing, talking) = self.world.standing();
            standing.ringing.store(ringing, Ordering::Relaxed);
            standing.talking.store(talking, Ordering::Relaxed);
            let left = self.calls.len() + self.world.active(None);
            standing.left.store(left, Ordering::Relaxed);
        }
        let left = self.world.active(None);
        if left > 0 {
            self.gathering.faults.push(format!("{left} legs were still alive at the end"));
        }
        self.gathering.faults.extend(self.world.take_faults());
        Ok(self.gathering)
    }

    fn place(&mut self, call: Planned, tries: u32, gateway: usize) -> Result<()> {
        self.numbers += 1;
        let shows = format!("080{:08}", self.numbers);
        let gateway = gateway % self.gateways.len();
        self.placed.insert(shows.clone(), (call, tries, gateway));
        let script = CallScript {
            dials: call.to.did(),
            shows: Some(shows),
            talks: call.talks,
            cancels_after: call.cancels_after,
            expect: call.to.expected(&call),
        };
        self.world.call(self.gateways[gateway], script).context("placing a call")
    }

    fn gather_reports(&mut self) -> Result<()> {
        for report in self.world.take_reports() {
            let planned = self.placed.get(&report.shown).copied().filter(|_| report.placed);
            if let Some((call, tries, gateway)) = planned
                && report.outcome == Outcome::Refused(503)
                && self.gateways.len() > 1
                && tries < TRIES
            {
                self.gathering.tried_again += 1;
                self.place(call, tries + 1, gateway + 1)?;
                continue;
            }
            self.gathering.reports.push(report);
        }
        Ok(())
    }
}

fn takes(habits: Habits) -> BTreeMap<String, Behaviour> {
    let number = |last: u32| format!("0900000000{last}");
    [
        (number(1), Behaviour::answers(RINGS)),
        (number(2), Behaviour::rings_on()),
        (number(3), Behaviour::refuses(486)),
        (number(4), Behaviour::answers_for(RINGS, habits.talks)),
        (number(5), Behaviour::answers(habits.rings)),
    ]
    .into()
}
