//! Why a call or a leg ended: one table between our causes, SIP status codes and Q.850.

use crate::cdr::CallResult;
use crate::journal::image;

/// Why an attempt, a branch or a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cause {
    /// Somebody hung up.
    NormalClearing,
    /// Another branch answered; this one was cancelled.
    AnsweredElsewhere,
    /// The caller gave up.
    Cancelled,
    /// The number is not allocated, or is no DID of ours.
    Unallocated,
    /// The number has been changed or taken out of service.
    NumberChanged,
    /// Too few digits.
    Incomplete,
    /// The callee is busy, or the DID's cap is reached.
    Busy,
    /// It rang until its time was up.
    NoAnswer,
    /// No phone is registered, or the network says the subscriber is absent.
    Absent,
    /// Declined by the callee or by a rule of the far network.
    Rejected,
    /// Refused by a rule of ours.
    Blocked,
    /// The peer did not answer in time.
    Timeout,
    /// Every trunk that could carry the call is full.
    NoChannel,
    /// Trunk down, destination out of order, network failure.
    Unreachable,
    /// Nothing in common to talk with.
    NoCodec,
    /// Ours: out of ports, draining, over a limit.
    Overload,
    /// The call came back to where it had been.
    Loop,
    /// The peer's messages could not be understood.
    Protocol,
    /// No media from either side for too long.
    MediaTimeout,
    /// Nobody renewed the session in time (RFC 4028 10).
    SessionExpired,
    /// An operator ended it.
    Operator,
    /// Any other failure of the far end.
    Failure,
}

image!(enum Cause {
    0 = NormalClearing, 1 = AnsweredElsewhere, 2 = Cancelled, 3 = Unallocated, 4 = NumberChanged,
    5 = Incomplete, 6 = Busy, 7 = NoAnswer, 8 = Absent, 9 = Rejected, 10 = Blocked, 11 = Timeout,
    12 = NoChannel, 13 = Unreachable, 14 = NoCodec, 15 = Overload, 16 = Loop, 17 = Protocol,
    18 = MediaTimeout, 19 = Operator, 20 = Failure, 21 = SessionExpired,
});

/// One row: the cause, the status sent for it, its Q.850 value, and the result it counts as.
const TABLE: [(Cause, u16, u8, CallResult); 22] = {
    use CallResult as R;
    use Cause as C;
    [
        (C::NormalClearing, 200, 16, R::Answered),
        (C::AnsweredElsewhere, 487, 26, R::Cancelled),
        (C::Cancelled, 487, 16, R::Cancelled),
        (C::Unallocated, 404, 1, R::Unreachable),
        (C::NumberChanged, 410, 22, R::Unreachable),
        (C::Incomplete, 484, 28, R::Unreachable),
        (C::Busy, 486, 17, R::Busy),
        (C::NoAnswer, 480, 19, R::NoAnswer),
        (C::Absent, 480, 20, R::Unreachable),
        (C::Rejected, 603, 21, R::Rejected),
        (C::Blocked, 403, 21, R::Blocked),
        (C::Timeout, 408, 102, R::Unreachable),
        (C::NoChannel, 503, 34, R::Failed),
        (C::Unreachable, 502, 27, R::Unreachable),
        (C::NoCodec, 488, 88, R::Failed),
        (C::Overload, 503, 42, R::Failed),
        (C::Loop, 482, 25, R::Failed),
        (C::Protocol, 500, 111, R::Failed),
        (C::MediaTimeout, 500, 41, R::Answered),
        (C::SessionExpired, 408, 102, R::Answered),
        (C::Operator, 480, 16, R::Cancelled),
        (C::Failure, 500, 41, R::Failed),
    ]
};

impl Cause {
    fn row(self) -> &'static (Cause, u16, u8, CallResult) {
        &TABLE[self as usize]
    }

    /// The status a caller gets for it.
    pub(crate) fn status(self) -> u16 {
        self.row().1
    }

    /// Its Q.850 value.
    pub(crate) fn q850(self) -> u8 {
        self.row().2
    }

    /// What the record counts it as, when nobody had answered.
    pub(crate) fn result(self) -> CallResult {
        self.row().3
    }

    /// Reads a final answer: its Q.850 cause first, where the Reason header gave one, then its
    /// status (RFC 3398 8.2.6.1 read backwards; RFC 6432 for Reason in responses).
    pub(crate) fn of_answer(status: u16, q850: Option<u8>) -> Cause {
        let by_reason = q850.and_then(|value| match value {
            1..=3 => Some(Cause::Unallocated),
            17 => Some(Cause::Busy),
            18 | 19 => Some(Cause::NoAnswer),
            20 => Some(Cause::Absent),
            21 | 55 | 57 | 87 => Some(Cause::Rejected),
            22 | 23 => Some(Cause::NumberChanged),
            25 => Some(Cause::Loop),
            26 => Some(Cause::AnsweredElsewhere),
            27 | 38 => Some(Cause::Unreachable),
            28 => Some(Cause::Incomplete),
            34 | 42 | 44 | 47 => Some(Cause::NoChannel),
            65 | 70 | 79 | 88 => Some(Cause::NoCodec),
            102 => Some(Cause::Timeout),
            _ => None,
        });
        by_reason.unwrap_or(match status {
            404 | 604 | 485 => Cause::Unallocated,
            410 | 301 => Cause::NumberChanged,
            484 => Cause::Incomplete,
            486 | 600 => Cause::Busy,
            480 => Cause::Absent,
            487 => Cause::Cancelled,
            401..=403 | 407 | 433 | 603 | 607 | 608 => Cause::Rejected,
            408 | 504 => Cause::Timeout,
            502 => Cause::Unreachable,
            503 => Cause::NoChannel,
            415 | 488 | 606 => Cause::NoCodec,
            482 | 483 => Cause::Loop,
            _ => Cause::Failure,
        })
    }
}

/// Which of two failures the caller is told: smaller wins. RFC 3261 16.7 (6): a 6xx beats all,
/// then the lowest class; within 4xx what tells the caller how to do better, then what tells
/// most about the callee.
pub(crate) fn rank(status: u16) -> (u8, u8) {
    match status {
        600..=699 => (0, 0),
        300..=399 => (1, 0),
        401 | 407 | 415 | 420 | 484 => (2, 0),
        480 => (2, 1),
        486 => (2, 2),
        488 => (2, 3),
        408 => (2, 5),
        400..=499 => (2, 4),
        503 => (3, 1),
        _ => (3, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_stands_at_its_own_row() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, at);
            assert!((100..700).contains(&row.1) && (1..=127).contains(&row.2));
        }
    }

    #[test]
    fn an_answer_is_read_by_its_reason_first() {
        for (status, q850, cause) in [
            (486, None, Cause::Busy),
            (600, None, Cause::Busy),
            (480, None, Cause::Absent),
            (480, Some(19), Cause::NoAnswer),
            (500, Some(1), Cause::Unallocated),
            (503, None, Cause::NoChannel),
            (503, Some(27), Cause::Unreachable),
            (603, None, Cause::Rejected),
            (404, None, Cause::Unallocated),
            (488, None, Cause::NoCodec),
            (483, None, Cause::Loop),
            (599, Some(200), Cause::Failure),
        ] {
            assert_eq!(Cause::of_answer(status, q850), cause, "{status} {q850:?}");
        }
    }

    #[test]
    fn the_caller_hears_the_best_failure() {
        let mut heard = [503, 404, 480, 603, 486, 500, 408];
        heard.sort_by_key(|status| rank(*status));
        assert_eq!(heard, [603, 480, 486, 404, 408, 500, 503]);
    }
}
