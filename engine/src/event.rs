//! What happened, told to the outside as it happens: the live board, SSE and webhooks.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cdr::{CallResult, Caller, Direction, EndedBy};
use crate::id::{CallId, Key, LegNumber};
use crate::plan::E164;
use crate::time::WallTime;

/// One fact about a call, a trunk or a registration. Events of one call come in order;
/// `CallStarted` is its first and `CallEnded` its last.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An INVITE was admitted and the call exists. Boxed: it is the largest by far.
    CallStarted(Box<CallStarted>),
    /// A callee is being dialled.
    LegDialled {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegNumber,
        /// Destination key, or the dialled number.
        destination: Key,
        /// Trunk it leaves by.
        trunk_out: Option<Key>,
    },
    /// A callee rings (first 180 or 183 of this leg).
    LegRinging {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegNumber,
        /// When.
        at: WallTime,
    },
    /// A callee leg is over without having answered.
    LegEnded {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegNumber,
        /// Its final status; 487 when cancelled.
        sip_status: u16,
    },
    /// A callee answered and the two sides are connected.
    CallAnswered {
        /// The call.
        call: CallId,
        /// Who answered.
        leg: LegNumber,
        /// When.
        at: WallTime,
    },
    /// The call is over; its CDR is on its way.
    CallEnded {
        /// The call.
        call: CallId,
        /// When.
        at: WallTime,
        /// Answer to end; zero when not answered.
        duration: Duration,
        /// Outcome.
        result: CallResult,
        /// Status the caller got.
        sip_status: u16,
        /// Q.850 cause.
        q850_cause: u8,
        /// Who ended it.
        ended_by: EndedBy,
    },
    /// Channels in use changed since the last report; at most once a second per trunk.
    TrunkChannels {
        /// The trunk.
        trunk: Key,
        /// Legs that use it now.
        in_use: u32,
        /// Its limit, 0 when unlimited.
        limit: u32,
    },
    /// A trunk came up or went down, or one of its peers or its registration did.
    TrunkState {
        /// The trunk.
        trunk: Key,
        /// How it stands now. Boxed: it has a list.
        state: Box<TrunkState>,
    },
    /// How calls by a trunk have fared lately; at most once a second per trunk.
    TrunkFigures {
        /// The trunk.
        trunk: Key,
        /// The figures.
        figures: TrunkFigures,
    },
    /// A phone registered or refreshed.
    Registered {
        /// The extension's user name.
        extension: Key,
        /// Where it is reached.
        contact: String,
        /// The address the REGISTER came from.
        source: SocketAddr,
        /// Until when.
        expires_at: WallTime,
    },
    /// A binding expired or was removed.
    Unregistered {
        /// The extension's user name.
        extension: Key,
        /// The binding.
        contact: String,
    },
    /// Wrong credentials were answered: the first of a source at once, then at most once a minute
    /// what it, or what several sources with one user name, have tried since.
    AuthenticationFailed {
        /// The user name that was tried last, cut to 64 characters and without control characters.
        user: String,
        /// From where it was tried last.
        source: SocketAddr,
        /// How often.
        tries: u64,
        /// How many user names, 64 at most.
        users: u32,
        /// From how many networks, 64 at most.
        sources: u32,
    },
}

/// The beginning of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallStarted {
    /// The call.
    pub call: CallId,
    /// INVITE received.
    pub at: WallTime,
    /// Which way it goes, as far as the route tells.
    pub direction: Direction,
    /// The DID called or presented.
    pub did: Option<E164>,
    /// Whose DID.
    pub customer: Option<Key>,
    /// Who calls.
    pub caller: Caller,
    /// The trunk it came by; none for extensions.
    pub trunk_in: Option<Key>,
}

/// How a trunk stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkState {
    /// Calls leave by it: a peer answers, and it is registered if it has to be.
    pub up: bool,
    /// Whether we are registered there; none when we need not be.
    pub registered: Option<bool>,
    /// Its watched peers and whether each answers.
    pub peers: Vec<(SocketAddr, bool)>,
    /// Why it is down; empty when it is up.
    pub reason: String,
}

/// Calls that left by a trunk and ended within the last 15 minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrunkFigures {
    /// INVITEs sent there.
    pub attempts: u64,
    /// Those that rang.
    pub rung: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Answer to end of those answered, together.
    pub talk: Duration,
    /// INVITE to ringing of those that rang, together.
    pub until_ringing: Duration,
}

impl TrunkFigures {
    pub(crate) fn add(&mut self, other: &TrunkFigures) {
        self.attempts += other.attempts;
        self.rung += other.rung;
        self.answered += other.answered;
        self.talk += other.talk;
        self.until_ringing += other.until_ringing;
    }
}
