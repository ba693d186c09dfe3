//! One thread's worth of simulated agents: their SIP sockets under one epoll, their timers in one
//! queue. Thousands of legs with voice fit in it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::callee::Callee;
use super::caller::Caller;
use super::core::Leg;
use super::dialog::{Action, Alarm, GIVE_UP};
use super::latency::Delays;
use super::population::Agent;
use super::script::{Outcome, Report, judge, judge_voice};
use super::voice::{Air, PTIME, Voice};

pub(super) enum AnyLeg {
    Caller(Box<Caller>),
    Callee(Box<Callee>),
}

impl AnyLeg {
    pub(super) fn get(&mut self) -> &mut dyn Leg {
        match self {
            AnyLeg::Caller(leg) => leg.as_mut(),
            AnyLeg::Callee(leg) => leg.as_mut(),
        }
    }
}

pub(super) struct Slot {
    pub(super) agent: usize,
    pub(super) peer: SocketAddr,
    pub(super) leg: AnyLeg,
    /// Gone once the leg is over.
    pub(super) voice: Option<Voice>,
    pub(super) speaking: bool,
    pub(super) name: String,
    pub(super) dialled: String,
    pub(super) shown: String,
    /// Keys under which the world's maps know this leg, to be forgotten with it.
    pub(super) ssrc: u32,
    pub(super) opened_by: Option<(usize, String)>,
}

#[derive(Clone, Copy, Debug)]
enum Timer {
    Leg(u64, Alarm),
    Agent(usize, Alarm),
    Speak(u64),
    Forget(u64),
}

/// The voice of who answers is heard so long after the answer at the latest.
const FIRST_VOICE: Duration = PTIME.saturating_mul(2);

/// Agents and their calls.
pub struct World {
    pub(super) epoll: Epoll,
    pub(super) agents: Vec<Agent>,
    pub(super) legs: BTreeMap<u64, Slot>,
    pub(super) by_tag: BTreeMap<String, u64>,
    pub(super) by_branch: BTreeMap<(usize, String), u64>,
    timers: BTreeMap<(Instant, u64), Timer>,
    speakers: BTreeMap<u32, String>,
    air: Air,
    counter: u64,
    random: StdRng,
    /// Damaged voice is a fault.
    voice_matters: bool,
    /// When the network is cut.
    cut_at: Option<Instant>,
    pub(super) reports: Vec<Report>,
    pub(super) faults: Vec<String>,
}

impl World {
    /// An empty world. Tags, voices and identifiers come from the seed.
    pub fn new(seed: u64) -> std::io::Result<World> {
        Ok(World {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            agents: Vec::new(),
            legs: BTreeMap::new(),
            by_tag: BTreeMap::new(),
            by_branch: BTreeMap::new(),
            timers: BTreeMap::new(),
            speakers: BTreeMap::new(),
            air: Air::default(),
            counter: 0,
            random: StdRng::seed_from_u64(seed),
            voice_matters: true,
            cut_at: None,
            reports: Vec::new(),
            faults: Vec::new(),
        })
    }

    /// How long voice was under way, over all talks.
    pub fn delays(&self) -> &Delays {
        self.air.log.delays()
    }

    /// From now on, voice that is lost, late or damaged is no fault of a call: the network is.
    pub fn forgive_voice(&mut self) {
        self.voice_matters = false;
    }

    /// The network is cut at this moment: who is connected right before hears nothing.
    pub fn expect_cut(&mut self, at: Instant) {
        self.cut_at = Some(at);
    }

    /// Legs placed that ring, and legs placed that talk.
    pub fn standing(&mut self) -> (usize, usize) {
        let mut standing = (0, 0);
        for slot in self.legs.values_mut() {
            let leg = slot.leg.get();
            if leg.outcome().is_some() || !leg.placed() {
                continue;
            }
            match (leg.core().times.answered, leg.core().times.ringing) {
                (Some(_), _) => standing.1 += 1,
                (None, Some(_)) => standing.0 += 1,
                (None, None) => {}
            }
        }
        standing
    }

    /// Ends every call soon: CANCEL for what rings, BYE for what talks.
    pub fn cut_short(&mut self) {
        let now = Instant::now();
        let ids: Vec<u64> = self.legs.keys().copied().collect();
        for id in ids {
            let mut out = Vec::new();
            if let Some(slot) = self.legs.get_mut(&id) {
                slot.leg.get().cut_short(now, &mut out);
            }
            self.act(now, id, out);
        }
    }

    /// Lives on until the given time.
    pub fn run_until(&mut self, until: Instant) -> std::io::Result<()> {
        let mut events = [EpollEvent::empty(); 256];
        loop {
            self.fire_timers();
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            let next = self.timers.first_key_value().map_or(until, |((at, _), _)| *at).min(until);
            // Rounded up: a millisecond early would spin.
            let wait = next.saturating_duration_since(now) + Duration::from_micros(999);
            let wait = EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::from(1000u16));
            let ready = match self.epoll.wait(&mut events, wait) {
                Err(nix::errno::Errno::EINTR) => 0,
                ready => ready?,
            };
            for event in &events[..ready] {
                self.read_sip(event.data() as usize);
            }
        }
    }

    pub(super) fn tag(&mut self) -> String {
        format!("{:012x}", self.random.random::<u64>() >> 16)
    }

    /// Opens a voice whose name in the stream nobody else has.
    pub(super) fn voice(&mut self, near: SocketAddr) -> std::io::Result<(Voice, u32)> {
        let ssrc = loop {
            let ssrc = self.random.random::<u32>();
            if !self.speakers.contains_key(&ssrc) {
                break ssrc;
            }
        };
        Ok((Voice::open(near, ssrc)?, ssrc))
    }

    pub(super) fn insert(&mut self, slot: Slot, tag: String) -> u64 {
        self.counter += 1;
        let id = self.counter;
        self.speakers.insert(slot.ssrc, slot.name.clone());
        if let Some(opened) = &slot.opened_by {
            self.by_branch.insert(opened.clone(), id);
        }
        self.by_tag.insert(tag, id);
        self.legs.insert(id, slot);
        id
    }

    fn set(&mut self, at: Instant, timer: Timer) {
        self.counter += 1;
        self.timers.insert((at, self.counter), timer);
    }

    fn fire_timers(&mut self) {
        loop {
            let now = Instant::now();
            let Some(entry) = self.timers.first_entry().filter(|e| e.key().0 <= now) else {
                return;
            };
            let ((at, _), timer) = entry.remove_entry();
            let mut out = Vec::new();
            match timer {
                Timer::Leg(id, alarm) => {
                    if let Some(slot) = self.legs.get_mut(&id) {
                        slot.leg.get().on_alarm(now, alarm, &mut out);
                    }
                    self.act(now, id, out);
                }
                Timer::Agent(index, alarm) => {
                    if let Some(registration) = &mut self.agents[index].registration {
                        registration.on_alarm(alarm, &mut out);
                    }
                    self.act_for_agent(index, out);
                }
                Timer::Speak(id) => {
                    if let Some(voice) = self.legs.get_mut(&id).and_then(|s| s.voice.as_mut()) {
                        voice.turn(&mut self.air);
                        self.set(at + PTIME, Timer::Speak(id));
                    }
                }
                Timer::Forget(id) => self.forget(id),
            }
        }
    }

    fn forget(&mut self, id: u64) {
        if let Some(mut slot) = self.legs.remove(&id) {
            let tag = slot.leg.get().core().dialog.local_tag.clone();
            self.by_tag.remove(&tag);
            self.speakers.remove(&slot.ssrc);
            self.air.log.forget(slot.ssrc);
            if let Some(opened) = slot.opened_by {
                self.by_branch.remove(&opened);
            }
        }
    }

    pub(super) fn act(&mut self, now: Instant, id: u64, actions: Vec<Action>) {
        for action in actions {
            let Some(slot) = self.legs.get_mut(&id) else { return };
            match action {
                Action::Send(bytes) => {
                    // A full socket buffer is a lost datagram: the repetition recovers it.
                    let _ = self.agents[slot.agent].socket.send_to(&bytes, slot.peer);
                }
                Action::After(pause, alarm) => self.set(now + pause, Timer::Leg(id, alarm)),
                Action::Voice { to, muted } => {
                    if let Some(voice) = &mut slot.voice {
                        voice.aim(to, muted, &mut self.air);
                        if !std::mem::replace(&mut slot.speaking, true) {
                            self.set(now, Timer::Speak(id));
                        }
                    }
                }
                Action::Hush => {
                    if let Some(voice) = &mut slot.voice {
                        voice.hush();
                    }
                }
                Action::Ended => {
                    self.report(id);
                    self.set(now + GIVE_UP, Timer::Forget(id));
                }
            }
        }
    }

    pub(super) fn act_for_agent(&mut self, index: usize, actions: Vec<Action>) {
        let now = Instant::now();
        for action in actions {
            match action {
                Action::Send(bytes) => {
                    let agent = &self.agents[index];
                    // As above: repeated when lost.
                    let _ = agent.socket.send_to(&bytes, agent.engine);
                }
                Action::After(pause, alarm) => self.set(now + pause, Timer::Agent(index, alarm)),
                Action::Voice { .. } | Action::Hush | Action::Ended => {}
            }
        }
    }

    fn report(&mut self, id: u64) {
        let Some(slot) = self.legs.get_mut(&id) else { return };
        let Some(mut voice) = slot.voice.take() else { return };
        voice.listen(&mut self.air);
        let leg = slot.leg.get();
        let core = leg.core();
        let heard = voice.heard().clone();
        let name = |ssrc: &u32| {
            self.speakers.get(ssrc).cloned().unwrap_or_else(|| format!("unknown {ssrc:08x}"))
        };
        let mut report = Report {
            agent: self.agents[slot.agent].name.clone(),
            dialled: slot.dialled.clone(),
            shown: slot.shown.clone(),
            placed: leg.placed(),
            outcome: leg.outcome().cloned().unwrap_or(Outcome::Lost),
            heard_from: heard.speakers.iter().map(name).collect(),
            ringing_after: core.times.until(core.times.ringing),
            answered_after: core.times.until(core.times.answered),
            talked: core.times.talked(),
            rtp_sent: voice.sent(),
            heard,
            quiet_before_end: voice.quiet_before(core.times.ended),
            retransmissions: core.resender.retransmissions,
            cut_short: core.cut_short,
            cut_off: cut_off(self.cut_at, core.times.answered),
            faults: core.faults.clone(),
        };
        let judged = match &slot.leg {
            AnyLeg::Caller(caller) => judge(caller.script(), &report),
            AnyLeg::Callee(_) => Vec::new(),
        };
        report.faults.extend(judged);
        if self.voice_matters {
            report.faults.extend(judge_voice(&report.heard));
        }
        self.reports.push(report);
    }
}

/// Whether the answer came so shortly before the cut that no voice could follow it.
fn cut_off(cut: Option<Instant>, answered: Option<Instant>) -> bool {
    let (Some(cut), Some(answered)) = (cut, answered) else { return false };
    (cut - FIRST_VOICE..=cut + FIRST_VOICE).contains(&answered)
}
