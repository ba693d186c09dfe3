//! Every reason the engine wakes up by itself.

use crate::journal::image;
use crate::sip::transaction::Timer;

/// What a timer in the engine's wheel is for. Handles are kept as bits: a timer whose owner has
/// gone matches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimerKey {
    /// A timer of RFC 3261 17 of a client transaction.
    Client(u64, Timer),
    /// A timer of RFC 3261 17 of a server transaction.
    Server(u64, Timer),
    /// A timer of a call.
    Call(u64, CallTimer),
    /// A timer of a trunk, by its place among those that are watched.
    Trunk(u32, TrunkTimer),
    /// A binding of the registrar expires.
    Registrar,
    /// The next few calls are written into the journal again.
    Rewrite,
    /// Everything has been, and what was not rewritten has ended.
    Rewritten,
    /// The once-a-second report of trunk channels.
    Report,
}

/// What a trunk waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrunkTimer {
    /// Register, again or for the first time.
    Register,
    /// The registration ends.
    Expired,
    /// Ask the peer at this place whether it is there.
    Question(u16),
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallTimer {
    /// The delay of a branch of a hunting step is over: dial it.
    Launch {
        /// The step.
        step: u16,
        /// Its branch.
        branch: u16,
    },
    /// A target that has another behind it has not answered at all.
    Unheard {
        /// The leg.
        leg: u16,
    },
    /// A leg has rung for its time.
    RingOver {
        /// The leg.
        leg: u16,
    },
    /// A cancelled leg got no final answer within 64*T1 (RFC 3261 9.1).
    CancelOver {
        /// The leg.
        leg: u16,
    },
    /// Resend our 2xx (RFC 3261 13.3.1.4).
    ResendOk {
        /// The leg that has not sent its ACK.
        leg: u16,
    },
    /// No ACK within 64*T1 (RFC 3261 13.3.1.4).
    AckOver {
        /// The leg.
        leg: u16,
    },
    /// Tell the caller again that it rings (RFC 3261 13.3.1.1).
    RepeatRinging,
    /// Resend a reliable provisional answer (RFC 3262 3).
    ResendProgress,
    /// No PRACK within 64*T1 (RFC 3262 3).
    PrackOver,
    /// A leg is to be offered the description of its new partner again.
    Rejoin {
        /// The leg.
        leg: u16,
        /// And then the partner that of the leg.
        both: bool,
    },
    /// A session is to be renewed by us (RFC 4028 7.2).
    Renew {
        /// The leg.
        leg: u16,
    },
    /// Nobody has renewed a session (RFC 4028 10).
    SessionOver {
        /// The leg.
        leg: u16,
    },
    /// Legs still wait for their last answers: write the record without them.
    RecordDue,
    /// Nothing was heard of a peer since a restart: ask it.
    Probe {
        /// The leg.
        leg: u16,
    },
}

image!(enum TimerKey { 0 = Client(of, timer), 1 = Server(of, timer), 2 = Call(of, timer),
    3 = Registrar, 4 = Report, 5 = Rewrite, 6 = Rewritten,
    7 = Trunk(slot, timer) });
image!(enum TrunkTimer { 0 = Register, 1 = Expired, 2 = Question(at) });
image!(enum CallTimer {
    0 = Launch { step, branch }, 1 = RingOver { leg }, 2 = CancelOver { leg },
    3 = ResendOk { leg }, 4 = AckOver { leg }, 5 = RepeatRinging, 6 = RecordDue,
    7 = Probe { leg }, 8 = ResendProgress, 9 = PrackOver, 10 = Renew { leg },
    11 = SessionOver { leg }, 12 = Rejoin { leg, both },
    13 = Unheard { leg },
});
