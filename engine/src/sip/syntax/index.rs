//! The one pass over the bytes that makes the index.

use memchr::{memchr, memchr2};

use super::header::HeaderId;
use super::message::{MAX_DATAGRAM, MAX_HEADER_LINE, MAX_HEADERS, Message, Start};
use super::scan::{self, LWS, TOKEN};
use super::{Method, ParseError, ParseErrorKind};

/// Where a header field is. Offsets fit because a datagram is at most [`MAX_DATAGRAM`] long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// The name's first byte.
    pub(super) start: u16,
    /// Behind the name.
    pub(super) name_end: u16,
    /// The value's first byte.
    pub(super) value: u16,
    /// Behind the value, trailing white space left out.
    pub(super) end: u16,
    /// The next slot with the same id.
    pub(super) next: u8,
    pub(super) id: HeaderId,
    /// On one line, the colon directly after the name.
    pub(super) plain: bool,
}

impl Slot {
    /// No slot: a number that none can have.
    pub(super) const NONE: u8 = u8::MAX;
    const EMPTY: Slot = Slot {
        start: 0,
        name_end: 0,
        value: 0,
        end: 0,
        next: Slot::NONE,
        id: HeaderId::Other,
        plain: false,
    };
}

/// The first structural fault of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fault(pub(super) Option<ParseErrorKind>);

impl Fault {
    fn note(&mut self, kind: ParseErrorKind) {
        self.0.get_or_insert(kind);
    }

    pub(super) fn into_result(self) -> Result<(), ParseError> {
        self.0.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

/// What one turn of the pass found.
enum Line {
    Field {
        slot: Slot,
        next: usize,
    },
    Malformed {
        next: usize,
    },
    /// The blank line; the body begins behind it.
    Blank {
        body: usize,
    },
    /// The bytes end inside the header block.
    End,
}

pub(super) fn index(bytes: &[u8]) -> Result<Message<'_>, ParseError> {
    if bytes.len() > MAX_DATAGRAM {
        return Err(ParseErrorKind::TooLarge.into());
    }
    // RFC 3261 7.5: line ends before the start line are ignored.
    let lead = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n'));
    let bytes = lead.and_then(|n| bytes.get(n..)).ok_or(ParseErrorKind::Empty)?;
    let line_end = memchr(b'\n', bytes).ok_or(ParseErrorKind::NotSip)?;
    let line = bytes.get(..line_end).unwrap_or_default();
    let mut fault = Fault::default();
    let start = start_line(line.strip_suffix(b"\r").unwrap_or(line), &mut fault)?;
    let mut message = Message {
        bytes,
        head: None,
        start,
        slots: [Slot::EMPTY; MAX_HEADERS],
        count: 0,
        first: [Slot::NONE; HeaderId::COUNT],
        body: &[],
        fault,
    };
    let body = index_headers(&mut message, line_end + 1);
    message.head = bytes.get(..body).and_then(scan::text);
    cut_body(&mut message, body);
    // A malformed response is of no use and is not answered either.
    if !message.is_request() {
        message.fault()?;
    }
    Ok(message)
}

fn start_line<'a>(line: &'a [u8], fault: &mut Fault) -> Result<Start<'a>, ParseError> {
    if line.get(..4).is_some_and(|front| front.eq_ignore_ascii_case(b"SIP/")) {
        return status_line(line);
    }
    let trimmed = scan::trim(line);
    if trimmed.len() != line.len() {
        fault.note(ParseErrorKind::StartLine);
    }
    let first = memchr(b' ', trimmed).ok_or(ParseErrorKind::NotSip)?;
    let last = memchr::memrchr(b' ', trimmed).ok_or(ParseErrorKind::NotSip)?;
    let method = trimmed.get(..first).unwrap_or_default();
    let version = trimmed.get(last + 1..).unwrap_or_default();
    let uri = trimmed.get(first + 1..last).unwrap_or_default();
    let is_sip = version.get(..4).is_some_and(|front| front.eq_ignore_ascii_case(b"SIP/"));
    if method.is_empty() || !scan::all(method, TOKEN) || !is_sip {
        return Err(ParseErrorKind::NotSip.into());
    }
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        fault.note(ParseErrorKind::Version);
    }
    if uri.is_empty() || uri.iter().any(|b| scan::is(*b, LWS)) {
        fault.note(ParseErrorKind::StartLine);
    }
    let uri = scan::text(scan::trim(uri)).unwrap_or_default();
    Ok(Start::Request { method: Method::parse(scan::text(method).unwrap_or_default()), uri })
}

/// `SIP/2.0 200 OK`. The space before an empty reason phrase may be absent.
fn status_line(line: &[u8]) -> Result<Start<'_>, ParseError> {
    let (version, rest) = line.split_at(memchr(b' ', line).unwrap_or(line.len()));
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(ParseErrorKind::Version.into());
    }
    let (code, reason) = match rest {
        [b' ', a, b, c] => ([*a, *b, *c], &[][..]),
        [b' ', a, b, c, b' ', reason @ ..] => ([*a, *b, *c], reason),
        _ => return Err(ParseErrorKind::StartLine.into()),
    };
    let status = scan::number(&code).and_then(|code| u16::try_from(code).ok());
    match status {
        Some(status @ 100..=699) => Ok(Start::Response { status, reason }),
        _ => Err(ParseErrorKind::StartLine.into()),
    }
}

/// Fills the slots from the header block that begins at `at`; returns where the body begins.
fn index_headers(message: &mut Message<'_>, mut at: usize) -> usize {
    // The last slot of each id, to chain the next one to.
    let mut last = [Slot::NONE; HeaderId::COUNT];
    loop {
        match read_line(message.bytes, at) {
            Line::Field { slot, next } => {
                let too_long = usize::from(slot.end - slot.start) > MAX_HEADER_LINE;
                if too_long {
                    message.fault.note(ParseErrorKind::HeaderTooLong);
                } else if usize::from(message.count) == MAX_HEADERS {
                    message.fault.note(ParseErrorKind::TooManyHeaders);
                    return message.bytes.len();
                } else {
                    push(message, &mut last, slot);
                }
                at = next;
            }
            Line::Malformed { next } => {
                message.fault.note(ParseErrorKind::HeaderLine);
                at = next;
            }
            Line::Blank { body } => return body,
            Line::End => {
                message.fault.note(ParseErrorKind::Truncated);
                return message.bytes.len();
            }
        }
    }
}

#[inline]
fn push(message: &mut Message<'_>, last: &mut [u8; HeaderId::COUNT], slot: Slot) {
    let number = message.count;
    if let Some(free) = message.slots.get_mut(usize::from(number)) {
        *free = slot;
        message.count += 1;
    }
    // `Other` is one past the named ids and is not chained.
    let Some(tail) = last.get_mut(slot.id as usize) else { return };
    let before = std::mem::replace(tail, number);
    if let Some(before) = message.slots.get_mut(usize::from(before)) {
        before.next = number;
    } else if let Some(first) = message.first.get_mut(slot.id as usize) {
        *first = number;
    }
}

/// Reads the header field that begins at `at`, with its folded lines.
#[inline]
fn read_line(bytes: &[u8], at: usize) -> Line {
    let rest = bytes.get(at..).unwrap_or_default();
    let name_len = match rest.iter().position(|b| !scan::is(*b, TOKEN)) {
        Some(0) => match rest {
            [b'\n', ..] => return Line::Blank { body: at + 1 },
            [b'\r', b'\n', ..] => return Line::Blank { body: at + 2 },
            _ => 0,
        },
        Some(len) => len,
        None => return Line::End,
    };
    let name = rest.get(..name_len).unwrap_or_default();
    // White space may stand before the colon (RFC 3261 7.3.1), and nothing else: a control byte
    // there once turned requests of a dialog into new calls (CVE-2016-9938).
    let mut colon = name_len;
    while matches!(rest.get(colon), Some(b' ' | b'\t')) {
        colon += 1;
    }
    let named = name_len > 0 && rest.get(colon) == Some(&b':');
    let Some(ValueEnd { end, next, folded, clean }) = value_end(bytes, at + colon) else {
        return Line::End;
    };
    if !named || !clean {
        return Line::Malformed { next };
    }
    let value = bytes.get(at + colon + 1..end).unwrap_or_default();
    let lead = value.iter().position(|b| !scan::is(*b, LWS)).unwrap_or(value.len());
    let tail = value.iter().rev().position(|b| !scan::is(*b, LWS)).unwrap_or(0);
    let start = at + colon + 1 + lead;
    Line::Field {
        slot: Slot {
            start: offset(at),
            name_end: offset(at + name_len),
            value: offset(start),
            end: offset(if lead == value.len() { start } else { end - tail }),
            next: Slot::NONE,
            id: HeaderId::of_bytes(name),
            plain: colon == name_len && !folded,
        },
        next,
    }
}

struct ValueEnd {
    /// Behind the last byte of the value, before its line end.
    end: usize,
    /// The next header field's first byte.
    next: usize,
    folded: bool,
    /// No carriage return stands alone: other parsers end a line there.
    clean: bool,
}

/// Finds the end of the field that goes on at `at`: a line end not followed by white space.
fn value_end(bytes: &[u8], mut at: usize) -> Option<ValueEnd> {
    let (mut folded, mut clean) = (false, true);
    loop {
        let end = at + memchr2(b'\r', b'\n', bytes.get(at..)?)?;
        let next = match bytes.get(end..)? {
            [b'\n', ..] => end + 1,
            [b'\r', b'\n', ..] => end + 2,
            _ => {
                clean = false;
                at = end + 1;
                continue;
            }
        };
        if !matches!(bytes.get(next), Some(b' ' | b'\t')) {
            return Some(ValueEnd { end, next, folded, clean });
        }
        folded = true;
        at = next;
    }
}

/// Saturates where it cannot: a datagram is shorter.
fn offset(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// RFC 3261 18.3: over UDP the body ends with the datagram or at Content-Length, whichever comes
/// first; a datagram that is too short for its Content-Length is malformed.
fn cut_body(message: &mut Message<'_>, at: usize) {
    let rest = message.bytes.get(at..).unwrap_or_default();
    let Some(value) = message.first(HeaderId::ContentLength) else {
        message.body = rest;
        return;
    };
    if message.count(HeaderId::ContentLength) > 1 {
        message.fault.note(ParseErrorKind::Repeated(HeaderId::ContentLength));
        return;
    }
    let length = scan::number(value).and_then(|length| usize::try_from(length).ok());
    match length.and_then(|length| rest.get(..length)) {
        Some(body) => {
            message.body = body;
            message.bytes = message.bytes.get(..at + body.len()).unwrap_or_default();
        }
        None => message.fault.note(ParseErrorKind::ContentLength),
    }
}
