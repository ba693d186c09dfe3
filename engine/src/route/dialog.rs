//! What a trunk's peers agree to within a dialog: session timers, reliable ringing, transfers.

use std::time::Duration;

use crate::journal::image;

/// RFC 4028 5: no interval is shorter, whoever asks.
pub const SHORTEST_SESSION: Duration = Duration::from_secs(90);

/// How dialogs with a trunk's peers are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DialogPolicy {
    /// RFC 4028.
    pub session_timer: SessionTimerPolicy,
    /// RFC 3262.
    pub prack: Prack,
    /// REFER and `Replaces` from it are obeyed, within what the call's customer may call. A trunk
    /// that is not told so could send calls anywhere at the operator's cost.
    pub transfer: bool,
}

/// Session timers: a leg whose peer has died without a word is noticed and hung up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimerPolicy {
    /// Offered, and accepted when asked for.
    pub enabled: bool,
    /// The interval we ask for, and the longest we accept.
    pub session_expires: Duration,
    /// The shortest we accept; a shorter one is answered 422. At least [`SHORTEST_SESSION`].
    pub min_se: Duration,
    /// Who renews.
    pub refresher: Refresher,
}

impl Default for SessionTimerPolicy {
    fn default() -> Self {
        SessionTimerPolicy {
            enabled: true,
            // RFC 4028 4: the recommended interval.
            session_expires: Duration::from_secs(1800),
            min_se: SHORTEST_SESSION,
            refresher: Refresher::Negotiated,
        }
    }
}

/// Who renews a session, where the peer leaves the choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refresher {
    /// The calling side, as RFC 4028 7.1 prefers.
    #[default]
    Negotiated,
    /// We do.
    Us,
    /// The peer does, when it can.
    Peer,
}

/// Whether ringing is made reliable (RFC 3262).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prack {
    /// Neither offered nor used, unless the peer requires it.
    Off,
    /// Offered to callees; used with callers that support it.
    #[default]
    Supported,
    /// Demanded of callees; used with callers that support it.
    Required,
}

image!(enum Prack { 0 = Off, 1 = Supported, 2 = Required });
image!(enum Refresher { 0 = Negotiated, 1 = Us, 2 = Peer });
image!(struct SessionTimerPolicy { enabled, session_expires, min_se, refresher });
image!(struct DialogPolicy { session_timer, prack, transfer });
