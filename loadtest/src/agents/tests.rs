//! A calling and a called leg face each other over a network made of a queue, in virtual time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::callee::Callee;
use super::caller::Caller;
use super::core::{Core, Leg};
use super::dialog::{Action, Alarm, Dialog};
use super::message::{Parsed, Start};
use super::script::{Behaviour, CallScript, Expectation, Outcome, Side, Then};

const SECOND: Duration = Duration::from_secs(1);

/// Both legs, and what is between them.
struct Pair {
    start: Instant,
    caller: Caller,
    callee: Option<Callee>,
    behaviour: Behaviour,
    /// (time since the start, order) → what happens.
    queue: BTreeMap<(Duration, u32), Event>,
    order: u32,
    /// Datagrams to be lost, by their number.
    lose: Vec<u32>,
    sent: u32,
    /// Start lines of everything sent, `>` from the caller and `<` from the callee.
    log: Vec<String>,
}

enum Event {
    ToCaller(Vec<u8>),
    ToCallee(Vec<u8>),
    CallerAlarm(Alarm),
    CalleeAlarm(Alarm),
}

impl Pair {
    fn new(behaviour: Behaviour, talks: Option<Duration>, cancels_after: Option<Duration>) -> Pair {
        let start = Instant::now();
        let script = CallScript {
            dials: "0310000101".into(),
            shows: Some("0900000000".into()),
            talks,
            cancels_after,
            expect: Expectation::Cancelled,
        };
        let target = "sip:0310000101@127.0.0.1:2".to_owned();
        let dialog = Dialog {
            call_id: "c".into(),
            local: "<sip:0900000000@127.0.0.1:1>".into(),
            local_tag: "caller".into(),
            remote: format!("<{target}>"),
            remote_tag: None,
            target,
            near: "127.0.0.1:1".parse().unwrap(),
            cseq: 0,
            branches: 0,
        };
        let core = Core::new(dialog, "127.0.0.1:4000".parse().unwrap(), 1, start);
        Pair {
            start,
            caller: Caller::new(core, script, Vec::new(), None),
            callee: None,
            behaviour,
            queue: BTreeMap::new(),
            order: 0,
            lose: Vec::new(),
            sent: 0,
            log: Vec::new(),
        }
    }

    fn put(&mut self, at: Duration, event: Event) {
        self.order += 1;
        self.queue.insert((at, self.order), event);
    }

    fn apply(&mut self, at: Duration, actions: Vec<Action>, from_caller: bool) {
        for action in actions {
            match action {
                Action::Send(bytes) => {
                    let line = String::from_utf8_lossy(&bytes).lines().next().unwrap().to_owned();
                    let side = if from_caller { '>' } else { '<' };
                    self.log.push(format!("{side} {}", line.replace("SIP/2.0", "").trim()));
                    self.sent += 1;
                    if self.lose.contains(&self.sent) {
                        continue;
                    }
                    let event =
                        if from_caller { Event::ToCallee(bytes) } else { Event::ToCaller(bytes) };
                    self.put(at + Duration::from_millis(1), event);
                }
                Action::After(pause, alarm) => {
                    let event = if from_caller {
                        Event::CallerAlarm(alarm)
                    } else {
                        Event::CalleeAlarm(alarm)
                    };
                    self.put(at + pause, event);
                }
                Action::Voice { .. } | Action::Hush | Action::Ended => {}
            }
        }
    }

    /// Runs until nothing is left to happen; gives both outcomes.
    fn run(&mut self) -> (Option<Outcome>, Option<Outcome>) {
        let mut out = Vec::new();
        self.caller.start(&mut out);
        self.apply(Duration::ZERO, out, true);
        for _ in 0..1000 {
            let Some(((at, _), event)) = self.queue.pop_first() else { break };
            self.step(at, event);
        }
        assert!(self.queue.is_empty(), "it never ends: {:#?}", self.log);
        let callee = self.callee.as_ref().and_then(|leg| leg.outcome().cloned());
        (self.caller.outcome().cloned(), callee)
    }

    fn step(&mut self, at: Duration, event: Event) {
        let now = self.start + at;
        let mut out = Vec::new();
        match event {
            Event::CallerAlarm(alarm) => {
                self.caller.on_alarm(now, alarm, &mut out);
                self.apply(at, out, true);
            }
            Event::CalleeAlarm(alarm) => {
                self.callee.as_mut().unwrap().on_alarm(now, alarm, &mut out);
                self.apply(at, out, false);
            }
            Event::ToCaller(bytes) => {
                let message = Parsed::read(&bytes).unwrap();
                match message.start {
                    Start::Request { method, .. } => {
                        self.caller.on_request(now, method, &message, &mut out);
                    }
                    Start::Response { .. } => self.caller.on_response(now, &message, &mut out),
                }
                self.apply(at, out, true);
            }
            Event::ToCallee(bytes) => {
                let message = Parsed::read(&bytes).unwrap();
                self.deliver(now, message, &mut out);
                self.apply(at, out, false);
            }
        }
    }

    fn deliver(&mut self, now: Instant, message: Parsed, out: &mut Vec<Action>) {
        match (&mut self.callee, &message.start) {
            (None, _) => {
                let near = "127.0.0.1:2".parse().unwrap();
                let dialog = Dialog::of_callee(&message, "callee".into(), near);
                let core = Core::new(dialog, "127.0.0.1:4002".parse().unwrap(), 2, now);
                let mut callee = Callee::new(core, self.behaviour.clone(), message);
                callee.start(now, out);
                self.callee = Some(callee);
            }
            (Some(callee), Start::Request { method: rsip::Method::Invite, .. })
                if message.to_tag.is_none() =>
            {
                callee.on_repeated(out);
            }
            (Some(callee), Start::Request { method, .. }) => {
                callee.on_request(now, *method, &message, out);
            }
            (Some(callee), Start::Response { .. }) => callee.on_response(now, &message, out),
        }
    }

    fn faults(&self) -> Vec<String> {
        let callee = self.callee.as_ref().map(|leg| leg.core().faults.clone());
        [self.caller.core().faults.clone(), callee.unwrap_or_default()].concat()
    }
}

#[test]
fn an_answered_call_is_ended_by_whoever_the_script_says() {
    let mut pair = Pair::new(Behaviour::answers(2 * SECOND), Some(5 * SECOND), None);
    let (caller, callee) = pair.run();
    assert_eq!(caller, Some(Outcome::Answered { ended_by: Side::Near }));
    assert_eq!(callee, Some(Outcome::Answered { ended_by: Side::Far }));
    assert_eq!(pair.caller.core().times.talked(), Some(5 * SECOND));
    assert_eq!(
        pair.log,
        [
            "> INVITE sip:0310000101@127.0.0.1:2",
            "< 100 Trying",
            "< 180 Ringing",
            "< 200 OK",
            "> ACK sip:agent@127.0.0.1:2",
            "> BYE sip:agent@127.0.0.1:2",
            "< 200 OK"
        ]
    );
    let mut pair = Pair::new(Behaviour::answers_for(SECOND, 3 * SECOND), None, None);
    let (caller, callee) = pair.run();
    assert_eq!(caller, Some(Outcome::Answered { ended_by: Side::Far }));
    assert_eq!(callee, Some(Outcome::Answered { ended_by: Side::Near }));
    assert_eq!(pair.faults(), Vec::<String>::new());
}

#[test]
fn giving_up_while_it_rings_cancels_and_a_crossing_answer_is_ended() {
    let mut pair = Pair::new(Behaviour::rings_on(), None, Some(3 * SECOND));
    assert_eq!(pair.run(), (Some(Outcome::Cancelled), Some(Outcome::Stopped)));
    // The answer leaves in the same millisecond as the CANCEL.
    let mut pair = Pair::new(Behaviour::answers(3 * SECOND), None, Some(3 * SECOND));
    let (caller, callee) = pair.run();
    assert_eq!(caller, Some(Outcome::Cancelled));
    assert_eq!(callee, Some(Outcome::Answered { ended_by: Side::Far }));
    assert_eq!(pair.faults(), Vec::<String>::new());
}

#[test]
fn a_refusal_is_acknowledged_and_reported() {
    let mut pair = Pair::new(Behaviour::refuses(486), None, None);
    assert_eq!(pair.run(), (Some(Outcome::Refused(486)), Some(Outcome::Refused(486))));
    assert_eq!(pair.log.last().unwrap(), "> ACK sip:0310000101@127.0.0.1:2");
}

#[test]
fn nobody_there_is_lost_after_32_seconds() {
    let silent = Behaviour { then: Then::Silent, ..Behaviour::rings_on() };
    let mut pair = Pair::new(silent, None, None);
    let (caller, _) = pair.run();
    assert_eq!(caller, Some(Outcome::Lost));
    assert_eq!(pair.caller.core().times.ended.unwrap() - pair.start, 32 * SECOND);
}

/// Every single loss of a datagram is recovered by the repetition rules.
#[test]
fn one_lost_datagram_changes_nothing() {
    for lost in 1..=7 {
        let mut pair = Pair::new(Behaviour::answers(2 * SECOND), Some(5 * SECOND), None);
        pair.lose = vec![lost];
        let (caller, callee) = pair.run();
        assert_eq!(caller, Some(Outcome::Answered { ended_by: Side::Near }), "datagram {lost}");
        assert_eq!(callee, Some(Outcome::Answered { ended_by: Side::Far }), "datagram {lost}");
    }
}
