//! The demonstration's thread: registers the phones, places calls, collects the reports.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::plan::{DemoPlan, DidPlan, PATIENCE_SECS, TALK_SECS};
use crate::agents::{AgentId, CallScript, Expectation, Gateway, Phone, Report, World};

/// How often the loop looks whether it is to stop.
const TURN: Duration = Duration::from_millis(50);
/// How long phones may take to register before calls begin without them.
const REGISTERING: Duration = Duration::from_secs(5);
/// How long calls that are cut short may take to end: a lost BYE and its repetitions.
const ENDING: Duration = Duration::from_secs(8);
/// Details kept for the summary; more would tell nothing new.
const MAX_DETAILS: usize = 100;
/// Callers' numbers are drawn from here, in national form: 080-0000-0000 and up.
const CALLERS: u32 = 10_000;

/// What happened until the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Calls placed.
    pub placed: u64,
    /// Calls that ended as their script says.
    pub as_scripted: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Calls that the end of the run cut short; they are among `as_scripted` when they ended
    /// cleanly.
    pub cut_short: u64,
    /// RTP packets sent by all agents.
    pub rtp_sent: u64,
    /// RTP packets received by all agents.
    pub rtp_received: u64,
    /// RTP packets missing in the middle of a talk.
    pub rtp_lost: u64,
    /// SIP messages sent again because no answer came in time.
    pub retransmissions: u64,
    /// Everything that was not as it should be, in words.
    pub details: Vec<String>,
}

impl Summary {
    /// Every call ended as scripted and nothing else went wrong.
    pub fn is_clean(&self) -> bool {
        self.failed == 0 && self.details.is_empty() && self.as_scripted == self.placed
    }

    fn detail(&mut self, text: String) {
        if self.details.len() < MAX_DETAILS {
            self.details.push(text);
        }
    }

    fn take(&mut self, report: &Report) {
        self.rtp_sent += report.rtp_sent;
        self.rtp_received += report.heard.packets;
        self.rtp_lost += report.heard.lost;
        self.retransmissions += u64::from(report.retransmissions);
        if report.placed {
            self.cut_short += u64::from(report.cut_short);
            match report.faults.is_empty() {
                true => self.as_scripted += 1,
                false => self.failed += 1,
            }
        }
        for fault in &report.faults {
            let Report { agent, dialled, shown, .. } = report;
            let what = if report.placed { "placed to" } else { "taken for" };
            self.detail(format!("{agent}: call from {shown:?} {what} {dialled}: {fault}"));
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} calls placed, {} ended as scripted ({} of them cut short at the end), {} did not",
            self.placed, self.as_scripted, self.cut_short, self.failed
        )?;
        write!(
            f,
            "{} RTP packets sent, {} received, {} lost in talks; {} SIP messages sent again",
            self.rtp_sent, self.rtp_received, self.rtp_lost, self.retransmissions
        )?;
        for detail in &self.details {
            write!(f, "\n  {detail}")?;
        }
        Ok(())
    }
}

/// A running demonstration.
pub struct DemoHandle {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<Summary>>,
}

impl DemoHandle {
    /// Ends every call within seconds, takes the registrations back, and says what happened.
    pub fn stop(self) -> Summary {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(Ok(summary)) => summary,
            Ok(Err(error)) => broken(format!("the simulated world stopped: {error}")),
            Err(_) => broken("the simulated world crashed".to_owned()),
        }
    }
}

fn broken(detail: String) -> Summary {
    Summary { details: vec![detail], ..Summary::default() }
}

/// Starts the world on a thread of its own. Ports that are taken are the error.
pub fn start(plan: DemoPlan) -> std::io::Result<DemoHandle> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut demo = Demo::new(plan)?;
    let stopped = Arc::clone(&stop);
    let thread =
        std::thread::Builder::new().name("demo".to_owned()).spawn(move || demo.run(&stopped))?;
    Ok(DemoHandle { stop, thread })
}

struct Demo {
    plan: DemoPlan,
    world: World,
    gateway: AgentId,
    phones: BTreeMap<String, AgentId>,
    random: StdRng,
    /// Running calls by the number dialled.
    running: BTreeMap<String, usize>,
    summary: Summary,
}

impl Demo {
    fn new(plan: DemoPlan) -> std::io::Result<Demo> {
        let mut world = World::new(plan.seed)?;
        let engine = plan.engine_sip;
        let gateway = world.gateway(Gateway {
            name: "gateway".to_owned(),
            address: plan.gateway,
            engine,
            takes: plan.gateway_numbers.clone(),
        })?;
        world.gateway(Gateway {
            name: "carrier".to_owned(),
            address: plan.carrier,
            engine,
            takes: plan.carrier_numbers.clone(),
        })?;
        let mut phones = BTreeMap::new();
        for account in &plan.phones {
            let phone = world.phone(Phone {
                user: account.user.clone(),
                password: account.password.clone(),
                domain: account.domain.clone(),
                address: (plan.gateway.ip(), 0).into(),
                engine,
                behaviour: account.behaviour.clone(),
            })?;
            phones.insert(account.user.clone(), phone);
        }
        let random = StdRng::seed_from_u64(plan.seed ^ 0x0070_686f_6e65);
        Ok(Demo {
            plan,
            world,
            gateway,
            phones,
            random,
            running: BTreeMap::new(),
            summary: Summary::default(),
        })
    }

    fn run(&mut self, stop: &AtomicBool) -> std::io::Result<Summary> {
        let begun = Instant::now();
        let everybody = |demo: &Demo| demo.phones.values().all(|p| demo.world.is_registered(*p));
        while !everybody(self) && begun.elapsed() < REGISTERING && !stop.load(Ordering::Relaxed) {
            self.turn(Instant::now() + TURN)?;
        }
        let mut next = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            if now >= next {
                self.place()?;
                next = now + self.pause();
            }
            self.turn(next.min(now + TURN))?;
        }
        self.finish()?;
        Ok(std::mem::take(&mut self.summary))
    }

    /// Until the next call: exponential, as calls of independent callers come.
    fn pause(&mut self) -> Duration {
        let rate = self.plan.calls_per_second.max(0.001);
        let uniform: f64 = self.random.random_range(f64::MIN_POSITIVE..1.0);
        Duration::from_secs_f64((-uniform.ln() / rate).min(60.0))
    }

    fn turn(&mut self, until: Instant) -> std::io::Result<()> {
        self.world.run_until(until)?;
        for report in self.world.take_reports() {
            if report.placed
                && let Some(running) = self.running.get_mut(&report.dialled)
            {
                *running = running.saturating_sub(1);
            }
            self.summary.take(&report);
        }
        for fault in self.world.take_faults() {
            self.summary.detail(fault);
        }
        Ok(())
    }

    fn place(&mut self) -> std::io::Result<()> {
        let outgoing = self.plan.outgoing.len() as u32;
        let total: u32 = self.plan.dids.iter().map(|did| did.weight).sum::<u32>() + outgoing;
        if total == 0 {
            return Ok(());
        }
        let mut drawn = self.random.random_range(0..total);
        if drawn < outgoing {
            return self.place_outgoing(drawn as usize);
        }
        drawn -= outgoing;
        let did = self.plan.dids.iter().find(|did| match drawn.checked_sub(did.weight) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        });
        let Some(did) = did.cloned() else { return Ok(()) };
        let running = self.running.get(&did.number).copied().unwrap_or(0);
        // A call that leaves by the gateway again takes a second channel.
        let free = self.plan.channels.saturating_sub(self.world.active(Some(self.gateway)));
        if free < 2 || (did.max_calls > 0 && running >= did.max_calls) {
            return Ok(());
        }
        let script = self.script(did);
        self.call(self.gateway, script)
    }

    fn script(&mut self, did: DidPlan) -> CallScript {
        let withheld = self.random.random_range(0..8) == 0;
        let caller = format!("0800000{:04}", self.random.random_range(0..CALLERS));
        let talk = Duration::from_secs_f64(self.random.random_range(TALK_SECS));
        let patience = Duration::from_secs_f64(self.random.random_range(PATIENCE_SECS));
        CallScript {
            dials: did.number,
            shows: (!withheld).then_some(caller),
            talks: did.caller_hangs_up.then_some(talk),
            cancels_after: (did.expect == Expectation::Cancelled).then_some(patience),
            expect: did.expect,
        }
    }

    fn place_outgoing(&mut self, index: usize) -> std::io::Result<()> {
        let Some(plan) = self.plan.outgoing.get(index).cloned() else { return Ok(()) };
        let Some(phone) = self.phones.get(&plan.user).copied() else { return Ok(()) };
        if !self.world.is_registered(phone) {
            return Ok(());
        }
        let talk = Duration::from_secs_f64(self.random.random_range(TALK_SECS));
        let script = CallScript {
            dials: plan.dials,
            shows: None,
            talks: Some(talk),
            cancels_after: None,
            expect: plan.expect,
        };
        self.call(phone, script)
    }

    fn call(&mut self, agent: AgentId, script: CallScript) -> std::io::Result<()> {
        *self.running.entry(script.dials.clone()).or_default() += 1;
        self.summary.placed += 1;
        self.world.call(agent, script)
    }

    fn finish(&mut self) -> std::io::Result<()> {
        self.world.cut_short();
        let deadline = Instant::now() + ENDING;
        while self.world.active(None) > 0 && Instant::now() < deadline {
            self.turn(Instant::now() + TURN)?;
        }
        for failure in self.world.failed_registrations() {
            self.summary.detail(failure);
        }
        self.world.unregister();
        let deadline = Instant::now() + ENDING;
        while !self.world.is_unregistered() && Instant::now() < deadline {
            self.turn(Instant::now() + TURN)?;
        }
        let left = self.world.active(None);
        if left > 0 {
            self.summary.detail(format!("{left} legs were still alive at the end"));
        }
        let Summary { placed, as_scripted, failed, .. } = self.summary;
        self.summary.failed += placed - as_scripted - failed;
        Ok(())
    }
}
