//! An invented afternoon: calls that ring, are answered or not, talk and end, as the engine would
//! tell it. The same seed tells the same story.

use std::collections::BTreeMap;
use std::time::Duration;

use tensou_engine::plan::{E164, parse_e164};
use tensou_engine::{
    CallId, CallResult, CallStarted, Caller, CallerClass, Cdr, CdrLeg, Direction, EndedBy, Event,
    Key, LegMedia, LegNumber, MediaDirection, WallTime,
};

/// A DID and who rings for it.
pub(crate) struct Line {
    /// The DID.
    pub(crate) did: E164,
    /// Whose it is.
    pub(crate) customer: Option<Key>,
    /// Destinations, each with the trunk it leaves by.
    pub(crate) rings: Vec<(Key, Option<Key>)>,
}

/// What happens next to a call.
#[derive(Clone, Copy)]
enum Step {
    Ring(CallId, u16),
    Answer(CallId, u16),
    End(CallId, CallResult, EndedBy),
}

/// Keys of trunks with the channels in use and their limit, 0 when unlimited.
type Channels = BTreeMap<Key, (u32, u32)>;

/// The story so far, and what is still to come.
pub(crate) struct Script {
    lines: Vec<Line>,
    channels: Channels,
    calls: BTreeMap<CallId, Cdr>,
    due: BTreeMap<(i64, u64), Step>,
    random: u64,
    count: u64,
}

impl Script {
    /// `trunks` are keys with their channels.
    pub(crate) fn new(lines: Vec<Line>, trunks: &[(Key, u32)]) -> Option<Self> {
        let channels: Channels =
            trunks.iter().map(|(key, limit)| (key.clone(), (0, *limit))).collect();
        (!lines.is_empty()).then(|| Script {
            lines,
            channels,
            calls: BTreeMap::new(),
            due: BTreeMap::new(),
            random: 0x9e37_79b9_7f4a_7c15,
            count: 0,
        })
    }

    /// A new call at `now` (Unix milliseconds), unless every channel is taken.
    pub(crate) fn start(&mut self, now: i64) -> Vec<Event> {
        self.count += 1;
        let (high, low) = (self.next(), self.next());
        let id = CallId::new(now, high, low);
        let line = self.below(self.lines.len() as u64) as usize;
        let line = &self.lines[line];
        let (did, customer, rings) = (line.did, line.customer.clone(), line.rings.clone());
        let caller = self.caller();
        let Some(trunk_in) = self.trunk_in() else { return Vec::new() };
        let mut events = vec![Event::CallStarted(Box::new(CallStarted {
            call: id,
            at: wall(now),
            direction: Direction::Forward,
            did: Some(did),
            customer: customer.clone(),
            caller,
            trunk_in: Some(trunk_in.clone()),
        }))];
        events.extend(self.take(&trunk_in, true));
        let mut legs = Vec::new();
        for (destination, trunk_out) in &rings {
            if trunk_out.as_ref().is_some_and(|trunk| !self.free(trunk)) {
                continue;
            }
            let leg = legs.len() as u16 + 1;
            events.push(Event::LegDialled {
                call: id,
                leg: LegNumber(leg),
                destination: destination.clone(),
                trunk_out: trunk_out.clone(),
            });
            if let Some(trunk) = trunk_out {
                events.extend(self.take(trunk, true));
            }
            let rings_at = now + 300 + self.below(1_800) as i64;
            self.plan(rings_at, Step::Ring(id, leg));
            legs.push(leg_of(destination, trunk_out.as_ref(), did, now));
        }
        self.plan_outcome(id, now, legs.len() as u16);
        let cdr = record(id, now, did, customer, caller, trunk_in, legs);
        self.calls.insert(id, cdr);
        events
    }

    /// What is due by `now`: events, and records of calls that ended.
    pub(crate) fn advance(&mut self, now: i64) -> (Vec<Event>, Vec<Cdr>) {
        let (mut events, mut records) = (Vec::new(), Vec::new());
        while let Some(((at, _), step)) =
            self.due.first_key_value().map(|(key, step)| (*key, *step))
        {
            if at > now {
                break;
            }
            self.due.pop_first();
            match step {
                Step::Ring(id, leg) => events.extend(self.ring(id, leg, at)),
                Step::Answer(id, leg) => events.extend(self.answer(id, leg, at)),
                Step::End(id, result, by) => {
                    let (ended, record) = self.end(id, at, result, by);
                    events.extend(ended);
                    records.extend(record);
                }
            }
        }
        (events, records)
    }

    /// An operator ends a call.
    pub(crate) fn hang_up(&mut self, id: CallId, now: i64) -> (Vec<Event>, Option<Cdr>) {
        let answered = self.calls.get(&id).is_some_and(|cdr| cdr.answered_at.is_some());
        let result = if answered { CallResult::Answered } else { CallResult::Failed };
        self.end(id, now, result, EndedBy::System)
    }

    fn plan_outcome(&mut self, id: CallId, now: i64, legs: u16) {
        let pick = self.below(100);
        let wait = now + 4_000 + self.below(14_000) as i64;
        if pick < 74 && legs > 0 {
            let leg = self.below(u64::from(legs)) as u16 + 1;
            let by = if pick.is_multiple_of(3) { EndedBy::Callee } else { EndedBy::Caller };
            let talk = 15_000 + self.below(240_000) as i64;
            self.plan(wait, Step::Answer(id, leg));
            self.plan(wait + talk, Step::End(id, CallResult::Answered, by));
            return;
        }
        let (result, by) = match pick {
            74..=82 => (CallResult::NoAnswer, EndedBy::System),
            83..=88 => (CallResult::Busy, EndedBy::Callee),
            89..=96 => (CallResult::Cancelled, EndedBy::Caller),
            _ => (CallResult::Unreachable, EndedBy::System),
        };
        self.plan(wait + 6_000, Step::End(id, result, by));
    }

    fn ring(&mut self, id: CallId, leg: u16, at: i64) -> Option<Event> {
        let cdr = self.calls.get_mut(&id)?;
        if cdr.answered_at.is_some() {
            return None;
        }
        cdr.ringing_at.get_or_insert(wall(at));
        cdr.legs.get_mut(usize::from(leg) - 1)?.ringing_at = Some(wall(at));
        Some(Event::LegRinging { call: id, leg: LegNumber(leg), at: wall(at) })
    }

    fn answer(&mut self, id: CallId, leg: u16, at: i64) -> Vec<Event> {
        let Some(cdr) = self.calls.get_mut(&id) else { return Vec::new() };
        cdr.answered_at = Some(wall(at));
        let mut events = vec![Event::CallAnswered { call: id, leg: LegNumber(leg), at: wall(at) }];
        let mut freed = Vec::new();
        for (number, row) in (1..).zip(&mut cdr.legs) {
            if number == leg {
                row.answered_at = Some(wall(at));
                row.sip_status = 200;
                row.q850_cause = 16;
                cdr.answered_by = Some(row.destination.clone());
            } else {
                row.ended_at = wall(at);
                row.sip_status = 487;
                row.q850_cause = 26;
                freed.extend(row.trunk_out.clone());
                events.push(Event::LegEnded { call: id, leg: LegNumber(number), sip_status: 487 });
            }
        }
        for trunk in freed {
            events.extend(self.take(&trunk, false));
        }
        events
    }

    fn end(
        &mut self,
        id: CallId,
        at: i64,
        result: CallResult,
        by: EndedBy,
    ) -> (Vec<Event>, Option<Cdr>) {
        let Some(mut cdr) = self.calls.remove(&id) else { return (Vec::new(), None) };
        let (status, cause) = match result {
            CallResult::Answered => (200, 16),
            CallResult::Busy => (486, 17),
            CallResult::NoAnswer => (480, 19),
            CallResult::Cancelled => (487, 16),
            CallResult::Unreachable => (480, 20),
            CallResult::Rejected | CallResult::Failed | CallResult::Blocked => (500, 41),
        };
        let answered = cdr.answered_at.map(WallTime::as_unix_millis);
        let talk = answered.map_or(0, |answered| (at - answered).max(0));
        cdr.ended_at = wall(at);
        cdr.duration = Duration::from_millis(talk.unsigned_abs());
        (cdr.result, cdr.sip_status, cdr.q850_cause, cdr.ended_by) = (result, status, cause, by);
        let mut freed: Vec<_> = cdr.trunk_in.iter().cloned().collect();
        for leg in cdr.legs.iter_mut().filter(|leg| answered.is_none() || leg.sip_status == 200) {
            leg.ended_at = wall(at);
            if answered.is_none() {
                (leg.sip_status, leg.q850_cause) = (status, cause);
            } else {
                leg.media = Some(media(self.random, talk));
            }
            freed.extend(leg.trunk_out.clone());
        }
        let mut events = vec![Event::CallEnded {
            call: id,
            at: wall(at),
            duration: cdr.duration,
            result,
            sip_status: status,
            q850_cause: cause,
            ended_by: by,
        }];
        for trunk in freed {
            events.extend(self.take(&trunk, false));
        }
        (events, Some(cdr))
    }

    /// A trunk with a free channel to bring a call; one channel stays free for its way out.
    fn trunk_in(&mut self) -> Option<Key> {
        let limits = self.channels.iter();
        let free: Vec<_> = limits
            .filter(|(_, (in_use, limit))| *limit == 0 || in_use + 1 < *limit)
            .map(|(key, _)| key.clone())
            .collect();
        let pick = self.below(free.len() as u64) as usize;
        free.into_iter().nth(pick)
    }

    fn free(&self, trunk: &Key) -> bool {
        self.channels.get(trunk).is_some_and(|(in_use, limit)| *limit == 0 || in_use < limit)
    }

    /// Takes or frees a channel.
    fn take(&mut self, trunk: &Key, taken: bool) -> Option<Event> {
        let (in_use, limit) = self.channels.get_mut(trunk)?;
        *in_use = if taken { *in_use + 1 } else { in_use.saturating_sub(1) };
        let (in_use, limit) = (*in_use, *limit);
        Some(Event::TrunkChannels { trunk: trunk.clone(), in_use, limit })
    }

    /// Nine of ten show a number; the mobile numbers begin with 0 after 090, as none does.
    fn caller(&mut self) -> Caller {
        let (pick, digits) = (self.below(10), self.below(10_000_000));
        let text = if pick < 6 { format!("0900{digits:07}") } else { format!("031{digits:07}") };
        match pick {
            9 => Caller { number: None, class: CallerClass::Withheld },
            _ => Caller { number: parse_e164(&text).ok(), class: CallerClass::Number },
        }
    }

    fn plan(&mut self, at: i64, step: Step) {
        self.count += 1;
        self.due.insert((at, self.count), step);
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// xorshift64*.
    fn next(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Media of a talk, from the dice.
fn media(dice: u64, talk_ms: i64) -> LegMedia {
    let packets = talk_ms.unsigned_abs() / 20;
    let way = |dice: u64| MediaDirection {
        packets,
        lost: packets * (dice % 9) / 1000,
        jitter_ms: 0.8 + (dice % 70) as f32 / 10.0,
        mos: Some(4.4 - (dice % 12) as f32 / 20.0),
    };
    LegMedia { received: way(dice), sent: way(dice >> 8) }
}

fn leg_of(destination: &Key, trunk_out: Option<&Key>, did: E164, now: i64) -> CdrLeg {
    CdrLeg {
        destination: destination.clone(),
        trunk_out: trunk_out.cloned(),
        dialled: destination.to_string(),
        presented: Some(did),
        started_at: wall(now),
        ringing_at: None,
        answered_at: None,
        ended_at: wall(now),
        sip_status: 0,
        q850_cause: 0,
        media: None,
    }
}

fn record(
    id: CallId,
    now: i64,
    did: E164,
    customer: Option<Key>,
    caller: Caller,
    trunk_in: Key,
    legs: Vec<CdrLeg>,
) -> Cdr {
    Cdr {
        id,
        direction: Direction::Forward,
        did: Some(did),
        customer,
        caller,
        trunk_in: Some(trunk_in),
        started_at: wall(now),
        ringing_at: None,
        answered_at: None,
        ended_at: wall(now),
        duration: Duration::ZERO,
        result: CallResult::Failed,
        sip_status: 0,
        q850_cause: 0,
        ended_by: EndedBy::System,
        answered_by: None,
        legs,
    }
}

fn wall(unix_millis: i64) -> WallTime {
    WallTime::from_unix_micros(unix_millis * 1000)
}
