//! The one pass over the bytes that makes the index.

use memchr::{memchr, memchr2};

use super::header::HeaderId;
use super::message::{MAX_DATAGRAM, MAX_HEADER_LINE, MAX_HEADERS, Message, Read, Start};
use super::scan::{self, Cursor, LWS, TOKEN};
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
    /// The link to the next slot with the same id.
    pub(super) next: u8,
    pub(super) id: HeaderId,
    /// On one line, the colon directly after the name.
    pub(super) plain: bool,
}

impl Slot {
    /// The link to no slot. Other links are one more than the slot's number, so that an empty
    /// index is all zeros and cheap to make.
    pub(super) const NONE: u8 = 0;
    const EMPTY: Slot = Slot {
        start: 0,
        name_end: 0,
        value: 0,
        end: 0,
        next: Slot::NONE,
        id: HeaderId::FIRST,
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

/// What the start line says, and where the header block begins.
struct Begun<'a> {
    bytes: &'a [u8],
    start: Start<'a>,
    fault: Fault,
    headers: usize,
}

/// Indexes a message and gives it to `then` where it lies: it is large, and a copy of it would
/// cost as much as a header field.
pub(super) fn index<'a, R>(
    bytes: &'a [u8],
    then: impl FnOnce(Result<&Message<'a>, ParseError>) -> R,
) -> R {
    let Begun { bytes, start, fault, headers } = match begin(bytes) {
        Ok(begun) => begun,
        Err(error) => return then(Err(error)),
    };
    let mut message = Message {
        bytes,
        head: None,
        start,
        slots: [Slot::EMPTY; MAX_HEADERS],
        count: 0,
        first: [Slot::NONE; HeaderId::COUNT],
        body: &[],
        repeated: false,
        fault,
        read: Read::default(),
    };
    let body = index_headers(&mut message, headers);
    message.head = bytes.get(..body).and_then(scan::text);
    cut_body(&mut message, body);
    match message.fault() {
        // A malformed response is of no use and is not answered either.
        Err(error) if !message.is_request() => then(Err(error)),
        _ => then(Ok(&message)),
    }
}

fn begin(bytes: &[u8]) -> Result<Begun<'_>, ParseError> {
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
    Ok(Begun { bytes, start, fault, headers: line_end + 1 })
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
fn index_headers(message: &mut Message<'_>, at: usize) -> usize {
    let bytes = message.bytes;
    let mut start = at;
    // The link to the last slot of each id, to chain the next one to.
    let mut last = [Slot::NONE; HeaderId::COUNT];
    loop {
        let rest = bytes.get(start..).unwrap_or_default();
        match rest {
            [b'\n', body @ ..] | [b'\r', b'\n', body @ ..] => return bytes.len() - body.len(),
            _ => {}
        }
        let Some(field) = usual_field(rest).or_else(|| any_field(rest)) else {
            message.fault.note(ParseErrorKind::Truncated);
            return bytes.len();
        };
        let begin = start;
        start += field.next;
        if !field.sound {
            message.fault.note(ParseErrorKind::HeaderLine);
            continue;
        }
        if field.end > MAX_HEADER_LINE {
            message.fault.note(ParseErrorKind::HeaderTooLong);
            continue;
        }
        let slot = Slot {
            start: offset(begin),
            name_end: offset(begin + field.name_end),
            value: offset(begin + field.value),
            end: offset(begin + field.end),
            next: Slot::NONE,
            id: HeaderId::of_bytes(rest.get(..field.name_end).unwrap_or_default()),
            plain: field.plain,
        };
        if !push(message, &mut last, slot) {
            message.fault.note(ParseErrorKind::TooManyHeaders);
            return bytes.len();
        }
    }
}

/// Where the parts of a header field are, counted from its front.
struct Field {
    name_end: usize,
    value: usize,
    /// Behind the value, trailing white space left out.
    end: usize,
    /// Where the next field begins.
    next: usize,
    /// It has a name and a colon, and no carriage return stands alone in it.
    sound: bool,
    /// See [`Slot::plain`].
    plain: bool,
}

/// The field at the front, if it is as nearly all are: `Name: value`, on one line, without any
/// other white space around.
#[inline]
fn usual_field(rest: &[u8]) -> Option<Field> {
    let name_end = Cursor::new(rest).take(TOKEN).len();
    let value = match rest.get(name_end..)? {
        [b':', b' ', first, ..] if name_end > 0 && *first > b' ' => name_end + ": ".len(),
        _ => return None,
    };
    let end = value + memchr2(b'\r', b'\n', rest.get(value..)?)?;
    let [b'\r', b'\n', after, ..] = rest.get(end..)? else { return None };
    let next = end + "\r\n".len();
    let usual = *rest.get(end - 1)? > b' ' && !matches!(after, b' ' | b'\t');
    usual.then_some(Field { name_end, value, end, next, sound: true, plain: true })
}

/// The field at the front, however it is written; none where its line does not end.
#[cold]
fn any_field(rest: &[u8]) -> Option<Field> {
    let mut cursor = Cursor::new(rest);
    let name = cursor.take(TOKEN);
    let plain = cursor.peek() == Some(b':');
    // White space may stand before the colon (RFC 3261 7.3.1), and nothing else: a control
    // byte there once turned requests of a dialog into new calls (CVE-2016-9938).
    while cursor.eat(b' ') || cursor.eat(b'\t') {}
    let named = !name.is_empty() && cursor.eat(b':');
    let line = line_end(cursor.rest)?;
    let next = rest.len() - line.next.len();
    let text = scan::trim_start(line.value);
    // Where the value began, counted from the end, as slices lose their front.
    let value = next - line.end_len - text.len();
    Some(Field {
        name_end: name.len(),
        value,
        end: value + scan::trim_end(text).len(),
        next,
        sound: named && line.clean,
        plain: plain && !line.folded,
    })
}

/// False when there is no room.
#[inline]
fn push(message: &mut Message<'_>, last: &mut [u8; HeaderId::COUNT], slot: Slot) -> bool {
    let Some(free) = message.slots.get_mut(usize::from(message.count)) else { return false };
    *free = slot;
    message.count += 1;
    // `Other` is one past the named ids and is not chained.
    let Some(tail) = last.get_mut(slot.id as usize) else { return true };
    let before = std::mem::replace(tail, message.count);
    if let Some(before) = before.checked_sub(1) {
        message.repeated = true;
        if let Some(before) = message.slots.get_mut(usize::from(before)) {
            before.next = message.count;
        }
    } else if let Some(first) = message.first.get_mut(slot.id as usize) {
        *first = message.count;
    }
    true
}

struct LineEnd<'a> {
    /// Up to the line end, white space around it.
    value: &'a [u8],
    /// How long the line end is.
    end_len: usize,
    /// From the next header field on.
    next: &'a [u8],
    folded: bool,
    /// No carriage return stands alone: other parsers end a line there.
    clean: bool,
}

/// Finds the end of the field that goes on with `rest`: a line end not followed by white space.
#[inline]
fn line_end(rest: &[u8]) -> Option<LineEnd<'_>> {
    let (mut folded, mut clean) = (false, true);
    let mut at = 0;
    loop {
        at += memchr2(b'\r', b'\n', rest.get(at..)?)?;
        let (end_len, next) = match rest.get(at..)? {
            [b'\n', next @ ..] => (1, next),
            [b'\r', b'\n', next @ ..] => (2, next),
            _ => {
                clean = false;
                at += 1;
                continue;
            }
        };
        if !matches!(next, [b' ' | b'\t', ..]) {
            let value = rest.get(..at)?;
            return Some(LineEnd { value, end_len, next, folded, clean });
        }
        folded = true;
        at += end_len;
    }
}

/// An offset in a datagram, which is shorter than [`MAX_DATAGRAM`].
#[inline]
fn offset(at: usize) -> u16 {
    at as u16
}

const _: () = assert!(MAX_DATAGRAM <= u16::MAX as usize, "offsets are u16");

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
