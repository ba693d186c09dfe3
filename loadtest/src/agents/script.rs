//! What a simulated call is to do, what is expected of it, and what became of it.

use std::time::Duration;

use super::voice::Heard;

/// A call to be placed.
#[derive(Clone, Debug)]
pub struct CallScript {
    /// Number dialled, as the agent writes it (`0310000101`).
    pub dials: String,
    /// Calling number; none withholds it.
    pub shows: Option<String>,
    /// How long to talk before hanging up; none waits for the other side to hang up.
    pub talks: Option<Duration>,
    /// Give up this long after dialling, unless somebody answered.
    pub cancels_after: Option<Duration>,
    /// What must become of it.
    pub expect: Expectation,
}

/// What must become of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// One of these answers, and the caller hears it.
    AnsweredBy(Vec<String>),
    /// Refused with 486 or 600.
    Busy,
    /// Nobody answers: 408, 480 or 487 once the ringing is over.
    NoAnswer,
    /// The caller gives up and the call ends with 487.
    Cancelled,
    /// Refused with one of these.
    Refused(Vec<u16>),
}

/// Which side of a leg acted, seen from the agent that reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The agent.
    Near,
    /// What it talked to.
    Far,
}

/// What became of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered and later ended by BYE.
    Answered {
        /// Who sent the BYE.
        ended_by: Side,
    },
    /// A final answer of 300 or more.
    Refused(u16),
    /// The caller gave up while it rang.
    Cancelled,
    /// The callee rang and was told to stop.
    Stopped,
    /// The other side fell silent in the middle of a transaction.
    Lost,
}

/// A finished leg.
#[derive(Clone, Debug)]
pub struct Report {
    /// Name of the agent.
    pub agent: String,
    /// Number dialled.
    pub dialled: String,
    /// Calling number, empty when it was withheld.
    pub shown: String,
    /// The leg placed the call (otherwise it took it).
    pub placed: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// Names of the speakers heard, in order.
    pub heard_from: Vec<String>,
    /// From dialling to the first 18x.
    pub ringing_after: Option<Duration>,
    /// From dialling to the answer.
    pub answered_after: Option<Duration>,
    /// From answer to BYE.
    pub talked: Option<Duration>,
    /// RTP packets sent.
    pub rtp_sent: u64,
    /// RTP received.
    pub heard: Heard,
    /// From the last packet heard to the end of the talk.
    pub quiet_before_end: Option<Duration>,
    /// Requests and answers sent again because nothing came back.
    pub retransmissions: u32,
    /// Cut short because the run ended.
    pub cut_short: bool,
    /// The network was cut right after the answer.
    pub cut_off: bool,
    /// Everything that was not as scripted, in words. Empty is a success.
    pub faults: Vec<String>,
}

/// What an agent does with a call that comes in.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// How the callee signals ringing.
    pub rings: Ringing,
    /// What it does then.
    pub then: Then,
}

/// How a callee signals that it rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ringing {
    /// 180.
    Alerting,
    /// 183 with a session description and voice before the answer.
    EarlyMedia,
    /// Nothing but 100.
    Quiet,
}

/// What a callee does after it has rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Answers, and hangs up after a while, or waits for the other side to.
    Answers {
        /// From the INVITE to the answer.
        after: Duration,
        /// From the answer to BYE.
        hangs_up_after: Option<Duration>,
    },
    /// Rings until it is told to stop.
    RingsOn,
    /// Refuses.
    Refuses {
        /// From the INVITE to the refusal.
        after: Duration,
        /// Final status.
        status: u16,
    },
    /// Does not even say 100: nobody is there.
    Silent,
}

impl Behaviour {
    /// Rings, answers, and lets the caller hang up.
    pub fn answers(after: Duration) -> Behaviour {
        Behaviour { rings: Ringing::Alerting, then: Then::Answers { after, hangs_up_after: None } }
    }

    /// Rings, answers, talks and hangs up.
    pub fn answers_for(after: Duration, talks: Duration) -> Behaviour {
        let then = Then::Answers { after, hangs_up_after: Some(talks) };
        Behaviour { rings: Ringing::Alerting, then }
    }

    /// Rings until it is told to stop.
    pub fn rings_on() -> Behaviour {
        Behaviour { rings: Ringing::Alerting, then: Then::RingsOn }
    }

    /// Refuses at once.
    pub fn refuses(status: u16) -> Behaviour {
        let then = Then::Refuses { after: Duration::ZERO, status };
        Behaviour { rings: Ringing::Quiet, then }
    }

    /// The same with early media instead of 180.
    pub fn with_early_media(mut self) -> Behaviour {
        self.rings = Ringing::EarlyMedia;
        self
    }
}

/// Shorter conversations may end before a packet came back.
const HEARING_MATTERS_AFTER: Duration = Duration::from_millis(500);

/// Holds a finished call against its script; the answer lists what was wrong. Its voice is
/// judged by itself.
pub(crate) fn judge(script: &CallScript, report: &Report) -> Vec<String> {
    let mut faults = Vec::new();
    let outcome = &report.outcome;
    let fits = match &script.expect {
        // The run ended before the call could show what it is; it has only to end cleanly.
        _ if report.cut_short => *outcome != Outcome::Lost,
        Expectation::AnsweredBy(_) => matches!(outcome, Outcome::Answered { .. }),
        Expectation::Busy => matches!(outcome, Outcome::Refused(486 | 600)),
        Expectation::NoAnswer => matches!(outcome, Outcome::Refused(408 | 480 | 487)),
        Expectation::Cancelled => *outcome == Outcome::Cancelled,
        Expectation::Refused(with) => {
            matches!(outcome, Outcome::Refused(status) if with.contains(status))
        }
    };
    if !fits {
        faults.push(format!("expected {:?}, became {outcome:?}", script.expect));
    }
    if let (Expectation::AnsweredBy(names), Outcome::Answered { ended_by }) =
        (&script.expect, outcome)
    {
        let talked = report.talked.unwrap_or_default();
        match report.heard_from.last() {
            Some(name) if names.contains(name) => {}
            Some(name) => faults.push(format!("heard {name}, expected one of {names:?}")),
            None if talked > HEARING_MATTERS_AFTER && !report.cut_off => {
                faults.push(format!("heard nothing in {talked:?} of talk"));
            }
            None => {}
        }
        let expected =
            if script.talks.is_some() || report.cut_short { Side::Near } else { Side::Far };
        if *ended_by != expected && !report.cut_short {
            faults.push(format!("ended by the {ended_by:?} side, expected the {expected:?}"));
        }
    }
    faults
}

/// Holds what a leg heard against what a whole voice is.
pub(crate) fn judge_voice(heard: &Heard) -> Vec<String> {
    let Heard { lost, reordered, duplicated, altered, strange, .. } = heard;
    [
        (lost, "packets of voice lost"),
        (reordered, "packets of voice out of order"),
        (duplicated, "packets of voice twice"),
        (altered, "packets of voice altered"),
        (strange, "datagrams on the voice port that are not the far end's voice"),
    ]
    .into_iter()
    .filter(|(count, _)| **count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(expect: Expectation) -> CallScript {
        CallScript {
            dials: "0310000101".into(),
            shows: None,
            talks: Some(Duration::from_secs(2)),
            cancels_after: None,
            expect,
        }
    }

    fn report(outcome: Outcome, heard_from: &[&str]) -> Report {
        Report {
            agent: "gateway".into(),
            dialled: "0310000101".into(),
            shown: String::new(),
            placed: true,
            outcome,
            heard_from: heard_from.iter().map(|name| (*name).to_owned()).collect(),
            ringing_after: None,
            answered_after: None,
            talked: Some(Duration::from_secs(2)),
            rtp_sent: 100,
            heard: Heard::default(),
            quiet_before_end: None,
            retransmissions: 0,
            cut_short: false,
            cut_off: false,
            faults: Vec::new(),
        }
    }

    #[test]
    fn an_answer_by_the_wrong_phone_or_without_voice_is_a_fault() {
        let script = script(Expectation::AnsweredBy(vec!["201".into()]));
        let answered = Outcome::Answered { ended_by: Side::Near };
        assert!(judge(&script, &report(answered.clone(), &["202", "201"])).is_empty());
        assert!(judge(&script, &report(answered.clone(), &["202"]))[0].contains("heard 202"));
        assert!(judge(&script, &report(answered, &[]))[0].contains("heard nothing"));
        let far = Outcome::Answered { ended_by: Side::Far };
        assert!(judge(&script, &report(far, &["201"]))[0].contains("Far"));
    }

    #[test]
    fn each_refusal_has_its_own_expectation() {
        let judged =
            |expect, status| judge(&script(expect), &report(Outcome::Refused(status), &[]));
        assert!(judged(Expectation::Busy, 486).is_empty());
        assert!(!judged(Expectation::Busy, 480).is_empty());
        assert!(judged(Expectation::NoAnswer, 480).is_empty());
        assert!(judged(Expectation::Refused(vec![404]), 404).is_empty());
        assert!(!judged(Expectation::Cancelled, 487).is_empty());
    }

    #[test]
    fn damaged_voice_is_a_fault_of_any_call() {
        let heard = Heard { lost: 3, altered: 1, ..Heard::default() };
        assert_eq!(judge_voice(&heard).len(), 2);
    }
}
