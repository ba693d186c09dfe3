//! The timers of RFC 3261 17 and RFC 6026, by their letters (RFC 3261 Appendix A, table 4).

use std::time::Duration;

use crate::journal::image;

/// One timer of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// INVITE client: resend the INVITE.
    A,
    /// INVITE client: nobody answered.
    B,
    /// INVITE client: resent final responses have stopped coming.
    D,
    /// Non-INVITE client: resend the request.
    E,
    /// Non-INVITE client: nobody answered.
    F,
    /// INVITE server: resend the final response.
    G,
    /// INVITE server: the ACK never came.
    H,
    /// INVITE server: resent ACKs have stopped coming.
    I,
    /// Non-INVITE server: resent requests have stopped coming.
    J,
    /// Non-INVITE client: resent final responses have stopped coming.
    K,
    /// INVITE server: INVITEs that crossed our 2xx have stopped coming.
    L,
    /// INVITE client: further 2xx of other branches have stopped coming.
    M,
}

/// The round trip estimated before one is known: RFC 3261 17.1.1.1 allows less only in closed
/// networks and more anywhere; every interval below follows it.
pub(crate) const T1: Duration = Duration::from_millis(500);

/// The longest interval between two resends of a request other than INVITE and of a final
/// response to INVITE (RFC 3261 17.1.2.2, 17.2.1).
pub(crate) const T2: Duration = Duration::from_secs(4);

/// The longest that a message stays in the network (RFC 3261 17.1.2.2).
pub(crate) const T4: Duration = Duration::from_secs(5);

/// Timer A starts at T1 and doubles without limit until B (RFC 3261 17.1.1.2).
pub(crate) const A: Duration = T1;

/// Timer B: 64*T1, so seven INVITEs are sent in all (RFC 3261 17.1.1.2).
pub(crate) const B: Duration = T1.saturating_mul(64);

/// Timer D: more than 32 s on unreliable transports, zero on reliable ones
/// (RFC 3261 17.1.1.2). The peer resends until its timer H, 64*T1.
pub(crate) const D: Duration = Duration::from_secs(32);

/// Timer E starts at T1, doubles up to T2 (RFC 3261 17.1.2.2).
pub(crate) const E: Duration = T1;

/// Timer F: 64*T1 (RFC 3261 17.1.2.2).
pub(crate) const F: Duration = T1.saturating_mul(64);

/// Timer G starts at T1, doubles up to T2 (RFC 3261 17.2.1).
pub(crate) const G: Duration = T1;

/// Timer H: 64*T1 on every transport (RFC 3261 17.2.1).
pub(crate) const H: Duration = T1.saturating_mul(64);

/// Timer I: T4 on unreliable transports, zero on reliable ones (RFC 3261 17.2.1).
pub(crate) const I: Duration = T4;

/// Timer J: 64*T1 on unreliable transports, zero on reliable ones (RFC 3261 17.2.2).
pub(crate) const J: Duration = T1.saturating_mul(64);

/// Timer K: T4 on unreliable transports, zero on reliable ones (RFC 3261 17.1.2.2).
pub(crate) const K: Duration = T4;

/// Timer L: 64*T1 on every transport (RFC 6026 7.1).
pub(crate) const L: Duration = T1.saturating_mul(64);

/// Timer M: 64*T1 on every transport (RFC 6026 7.2).
pub(crate) const M: Duration = T1.saturating_mul(64);

/// The interval after `interval`: twice as long, but not longer than T2 (RFC 3261 17.1.2.2
/// for timer E, 17.2.1 for timer G).
pub(crate) fn doubled_to_t2(interval: Duration) -> Duration {
    interval.saturating_mul(2).min(T2)
}

image!(enum Timer { 0 = A, 1 = B, 2 = D, 3 = E, 4 = F, 5 = G, 6 = H, 7 = I, 8 = J, 9 = K, 10 = L,
    11 = M });
