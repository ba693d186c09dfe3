//! Why bytes are no acceptable SIP message.

use std::fmt;

use super::HeaderId;

/// A fault of a message. Its `Display` is short and fit for the reason phrase of a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
}

/// The faults that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// Nothing but line ends: a keep-alive (RFC 5626 3.5.1).
    Empty,
    /// No SIP start line: STUN, noise, another protocol. Never answered.
    NotSip,
    /// Longer than [`super::MAX_DATAGRAM`].
    TooLarge,
    /// The header block does not end.
    Truncated,
    /// More header fields than [`super::MAX_HEADERS`].
    TooManyHeaders,
    /// A header field longer than [`super::MAX_HEADER_LINE`].
    HeaderTooLong,
    /// A line of the header block that is no header field, or a carriage return inside one.
    HeaderLine,
    /// White space in the wrong place of the start line, or a status that is no status.
    StartLine,
    /// Another version of SIP (RFC 3261 21.5.6).
    Version,
    /// The Request-URI is malformed, in brackets, or carries header fields (RFC 3261 19.1.5).
    RequestUri,
    /// The Request-URI has a scheme that nobody here serves (RFC 3261 8.2.2.1).
    UriScheme,
    /// A URI on its own is malformed.
    Uri,
    /// An address (`name-addr` or `addr-spec`) on its own is malformed.
    Address,
    /// Content-Length is no number or promises more than there is (RFC 3261 18.3).
    ContentLength,
    /// A mandatory header field is absent (RFC 3261 8.1.1).
    Missing(HeaderId),
    /// A header field that stands once stands several times.
    Repeated(HeaderId),
    /// The value of a header field does not follow its grammar.
    Malformed(HeaderId),
    /// CSeq names another method than the start line (RFC 3261 8.1.1.5).
    CSeqMethod,
}

impl ParseError {
    /// The status that a request with this fault is answered with; `None` where it is dropped
    /// without a word.
    pub fn status(self) -> Option<u16> {
        match self.kind {
            ParseErrorKind::Empty | ParseErrorKind::NotSip => None,
            ParseErrorKind::TooLarge
            | ParseErrorKind::TooManyHeaders
            | ParseErrorKind::HeaderTooLong => Some(513),
            ParseErrorKind::Version => Some(505),
            ParseErrorKind::UriScheme => Some(416),
            ParseErrorKind::Truncated
            | ParseErrorKind::HeaderLine
            | ParseErrorKind::StartLine
            | ParseErrorKind::RequestUri
            | ParseErrorKind::Uri
            | ParseErrorKind::Address
            | ParseErrorKind::ContentLength
            | ParseErrorKind::Missing(_)
            | ParseErrorKind::Repeated(_)
            | ParseErrorKind::Malformed(_)
            | ParseErrorKind::CSeqMethod => Some(400),
        }
    }
}

impl From<ParseErrorKind> for ParseError {
    fn from(kind: ParseErrorKind) -> Self {
        ParseError { kind }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.kind {
            ParseErrorKind::Empty => "Empty message",
            ParseErrorKind::NotSip => "Not SIP",
            ParseErrorKind::TooLarge => "Message Too Large",
            ParseErrorKind::Truncated => "Header block does not end",
            ParseErrorKind::TooManyHeaders => "Too many header fields",
            ParseErrorKind::HeaderTooLong => "Header field too long",
            ParseErrorKind::HeaderLine => "Malformed header line",
            ParseErrorKind::StartLine => "Malformed start line",
            ParseErrorKind::Version => "Version Not Supported",
            ParseErrorKind::RequestUri => "Malformed Request-URI",
            ParseErrorKind::UriScheme => "Unsupported URI Scheme",
            ParseErrorKind::Uri => "Malformed URI",
            ParseErrorKind::Address => "Malformed address",
            ParseErrorKind::ContentLength => "Bad Content-Length",
            ParseErrorKind::Missing(id) => return write!(f, "Missing {}", id.name()),
            ParseErrorKind::Repeated(id) => return write!(f, "Repeated {}", id.name()),
            ParseErrorKind::Malformed(id) => return write!(f, "Malformed {}", id.name()),
            ParseErrorKind::CSeqMethod => "CSeq names another method",
        };
        f.write_str(text)
    }
}

impl std::error::Error for ParseError {}
