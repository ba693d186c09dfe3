//! A call as the wire showed it.

use super::Micros;

/// One attempt: an INVITE to the server, and the legs that the server made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The caller's number in E.164, empty when none was shown.
    pub caller: String,
    /// The number called, in E.164.
    pub dialled: String,
    /// Its `User-to-User`, where it had one.
    pub mark: Option<String>,
    /// First INVITE.
    pub invited_at: Micros,
    /// First 180 or 183 to the caller.
    pub ringing_at: Option<Micros>,
    /// What became of it.
    pub fate: Fate,
    /// What the server dialled, in that order.
    pub legs: Vec<Leg>,
}

/// A leg that the server dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The number dialled, in E.164 where it is one.
    pub dialled: String,
    /// INVITE.
    pub invited_at: Micros,
    /// First 180 or 183.
    pub ringing_at: Option<Micros>,
    /// Its 2xx.
    pub answered_at: Option<Micros>,
    /// The caller was connected to it.
    pub connected: bool,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server never said anything: it was not there.
    Unheard,
    /// The server wanted credentials, and none came.
    Challenged,
    /// No final answer, or no end, as long as the witness watched.
    Standing,
    /// A final answer of 300 or more.
    Refused {
        /// Status of the answer to the caller.
        status: u16,
        /// The caller had sent CANCEL.
        cancelled: bool,
    },
    /// Answered and ended.
    Answered {
        /// When the caller was answered.
        answer: Answer,
        /// How it ended.
        ending: Ending,
    },
}

/// The moment of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The callee's last 2xx before the caller's: not before this could the server know.
    pub callee: Micros,
    /// The first 2xx to the caller.
    pub caller: Micros,
}

/// The end of a talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// First BYE of either leg, from whichever side: when somebody hung up.
    pub hung_up: Micros,
    /// The last BYE before the server did something about it: with `served` the time in which
    /// the server noticed. Later than `hung_up` when the first copies found no server.
    pub noticed: Micros,
    /// The server's answer to it, or its BYE to the other leg.
    pub served: Micros,
    /// The server hung up, nobody else.
    pub by_server: bool,
    /// Final status of the peer's BYE; none when it got no answer.
    pub status: Option<u16>,
}

impl Call {
    /// Shortest and longest time that a record may name, in µs; none for what was not answered.
    pub fn talked(&self) -> Option<(Micros, Micros)> {
        let Fate::Answered { answer, ending } = &self.fate else { return None };
        let shortest = ending.noticed.saturating_sub(answer.caller);
        Some((shortest, ending.served.saturating_sub(answer.callee)))
    }

    /// The leg that the caller was connected to.
    pub fn connected(&self) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.connected)
    }
}
