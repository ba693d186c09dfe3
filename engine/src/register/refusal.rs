//! Why a REGISTER changes nothing (RFC 3261 10.3), and what its sender is told.

use std::fmt;

use crate::sip::syntax::ParseError;

use super::bindings::MIN_EXPIRES;

/// Why a REGISTER changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400: this part of the message.
    Malformed(ParseError),
    /// 400: a star beside something else, or without `Expires: 0` (RFC 3261 10.2.2).
    Star,
    /// 400: a contact that is no SIP URI cannot be called.
    NoSipContact,
    /// 403: the address of record is not the one that was authenticated (10.3 step 4).
    NotYours,
    /// 403: more contacts than a user may have.
    TooManyContacts,
    /// 400: a contact or a path longer than any that a phone writes.
    TooLong,
    /// 423: the expiry is too short (10.3 step 7).
    TooBrief,
    /// 500: a later REGISTER of the same phone came before (10.3 steps 6 and 7).
    OutOfOrder,
}

impl Refusal {
    /// The status to answer with.
    pub(crate) fn status(self) -> u16 {
        match self {
            Refusal::Malformed(error) => error.status().unwrap_or(400),
            Refusal::Star | Refusal::NoSipContact | Refusal::TooLong => 400,
            Refusal::NotYours | Refusal::TooManyContacts => 403,
            Refusal::TooBrief => 423,
            Refusal::OutOfOrder => 500,
        }
    }

    /// The header that the answer must have.
    pub(crate) fn header(self) -> Option<String> {
        match self {
            Refusal::TooBrief => Some(format!("Min-Expires: {MIN_EXPIRES}\r\n")),
            Refusal::Malformed(_) | Refusal::Star | Refusal::NoSipContact => None,
            Refusal::NotYours | Refusal::TooManyContacts | Refusal::OutOfOrder => None,
            Refusal::TooLong => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Malformed(error) => error.fmt(f),
            Refusal::Star => f.write_str("Contact * needs Expires 0 and no other Contact"),
            Refusal::TooLong => f.write_str("Contact or Path too long"),
            Refusal::NoSipContact => f.write_str("Contact is not a SIP URI"),
            Refusal::NotYours => f.write_str("Not your address"),
            Refusal::TooManyContacts => f.write_str("Too many contacts"),
            Refusal::TooBrief => f.write_str("Interval Too Brief"),
            Refusal::OutOfOrder => f.write_str("Out of order"),
        }
    }
}
