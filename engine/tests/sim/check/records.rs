//! Exactly one record per attempt, and what it says hangs together.

use std::collections::BTreeMap;

use tensou_engine::{CallId, CallResult, Cdr, Event};

use super::{Check, End};

#[derive(Debug, Default)]
pub(super) struct Records {
    started: BTreeMap<CallId, u64>,
    /// When and how each ended, as the events tell.
    ended: BTreeMap<CallId, (CallResult, u16, u64)>,
    written: BTreeMap<CallId, u64>,
    died: bool,
}

impl Check for Records {
    fn event(&mut self, now: u64, event: &Event) {
        match event {
            Event::CallStarted(start) => {
                assert!(self.started.insert(start.call, now).is_none(), "started twice");
            }
            Event::CallEnded { call, result, sip_status, duration, .. } => {
                let told = (*result, *sip_status, duration.as_micros() as u64);
                assert!(self.ended.insert(*call, told).is_none(), "ended twice");
            }
            _ => {}
        }
    }

    fn record(&mut self, now: u64, cdr: &Cdr) {
        assert!(self.written.insert(cdr.id, now).is_none(), "two records of {}", cdr.id);
        let duration = cdr.duration.as_micros() as u64;
        match self.ended.get(&cdr.id) {
            Some(told) => assert_eq!((cdr.result, cdr.sip_status, duration), *told),
            // The engine may have died between the journal and the telling.
            None => assert!(self.died, "a record of a call that never ended: {cdr:?}"),
        }
        assert!(cdr.started_at <= cdr.ended_at, "{cdr:?}");
        let answered = cdr.result == CallResult::Answered;
        assert_eq!(answered, cdr.answered_at.is_some(), "{cdr:?}");
        assert_eq!(answered, cdr.answered_by.is_some(), "{cdr:?}");
        assert_eq!(answered, cdr.sip_status == 200, "{cdr:?}");
        match cdr.answered_at {
            // The simulated clocks do not jump, so both must tell the same.
            Some(at) => {
                let talked = cdr.ended_at.as_unix_micros() - at.as_unix_micros();
                assert_eq!(talked, duration as i64, "{cdr:?}");
                assert!(cdr.started_at <= at, "{cdr:?}");
            }
            None => assert_eq!(duration, 0, "{cdr:?}"),
        }
        assert!((1..=127).contains(&cdr.q850_cause), "{cdr:?}");
        self.legs(cdr, now);
    }

    fn died(&mut self) {
        self.died = true;
    }

    fn finish(&mut self, end: &End<'_>) {
        if end.deaths > 0 {
            let missing: Vec<_> =
                self.started.keys().filter(|call| !self.written.contains_key(call)).collect();
            return assert!(missing.is_empty(), "no record of {missing:?}");
        }
        assert_eq!(self.started.len() as u64, end.counters.calls_started);
        let started: Vec<_> = self.started.keys().collect();
        let written: Vec<_> = self.written.keys().collect();
        assert_eq!(started, written, "attempts and records");
        let talked: u64 = end.cdrs.iter().map(|cdr| cdr.duration.as_millis() as u64).sum();
        assert_eq!(end.counters.talk_millis, talked);
    }
}

impl Records {
    fn legs(&self, cdr: &Cdr, now: u64) {
        // One, or with transfers several one after the other.
        let answered: Vec<_> = cdr.legs.iter().filter(|leg| leg.answered_at.is_some()).collect();
        for leg in &cdr.legs {
            assert!(cdr.started_at <= leg.started_at, "{cdr:?}");
            assert!(leg.started_at <= leg.ended_at, "at {now}: {cdr:?}");
            if let Some(ringing) = leg.ringing_at {
                assert!(leg.started_at <= ringing && ringing <= leg.ended_at, "{cdr:?}");
            }
            assert_ne!(leg.sip_status, 0, "a leg without an outcome: {cdr:?}");
        }
        if let Some(leg) = answered.first() {
            assert_eq!(Some(&leg.destination), cdr.answered_by.as_ref(), "{cdr:?}");
            assert_eq!(leg.answered_at, cdr.answered_at, "{cdr:?}");
            let last = answered.iter().map(|leg| leg.ended_at).max();
            // One that has transferred the call may leave while the target still rings.
            let transferred = cdr.legs.iter().any(|leg| Some(leg.started_at) > cdr.answered_at);
            assert!(last <= Some(cdr.ended_at), "{cdr:?}");
            assert!(transferred || last == Some(cdr.ended_at), "{cdr:?}");
            assert!(answered.iter().all(|leg| leg.sip_status == 200), "{cdr:?}");
        }
    }
}
