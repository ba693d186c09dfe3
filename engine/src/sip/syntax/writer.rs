//! Writes messages.

use std::fmt;
use std::io::Write;
use std::net::Ipv4Addr;

use super::header::{Header, HeaderId};
use super::{Message, scan};

/// Writes one message into a buffer that is reused from message to message.
///
/// Nothing written can begin a line of its own: control bytes of values become spaces, and
/// folded lines that pass through are joined. So a value that was hostile, or that another
/// parser would read differently, leaves as one header field on one line.
#[derive(Debug)]
pub struct Writer<'b> {
    buf: &'b mut Vec<u8>,
}

impl<'b> Writer<'b> {
    /// Begins a request in `buf`, which is emptied.
    pub fn request(buf: &'b mut Vec<u8>, method: &str, uri: &str) -> Self {
        buf.clear();
        put_clean(buf, method.as_bytes());
        buf.push(b' ');
        put_clean(buf, uri.as_bytes());
        buf.extend_from_slice(b" SIP/2.0\r\n");
        Writer { buf }
    }

    /// Begins a response in `buf`, which is emptied.
    pub fn response(buf: &'b mut Vec<u8>, status: u16, reason: &str) -> Self {
        buf.clear();
        buf.extend_from_slice(b"SIP/2.0 ");
        put_number(buf, status.into());
        buf.push(b' ');
        put_clean(buf, reason.as_bytes());
        buf.extend_from_slice(b"\r\n");
        Writer { buf }
    }

    /// A header field.
    pub fn header(&mut self, id: HeaderId, value: impl AsRef<[u8]>) -> &mut Self {
        self.buf.extend_from_slice(id.name().as_bytes());
        self.value(value.as_ref())
    }

    /// A header field whose name has no id.
    pub fn named(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        put_clean(self.buf, name.as_bytes());
        self.value(value.as_ref())
    }

    /// A header field whose value is a number.
    pub fn number(&mut self, id: HeaderId, value: u32) -> &mut Self {
        self.buf.extend_from_slice(id.name().as_bytes());
        self.buf.extend_from_slice(b": ");
        put_number(self.buf, value.into());
        self.buf.extend_from_slice(b"\r\n");
        self
    }

    /// A whole header line, name included: `w.line(format_args!("RSeq: {n}"))`.
    pub fn line(&mut self, line: fmt::Arguments<'_>) -> &mut Self {
        let start = self.buf.len();
        // Writing into a Vec cannot fail; a faulty Display leaves what it wrote so far.
        let _complete = self.buf.write_fmt(line).is_ok();
        clean(self.buf.get_mut(start..).unwrap_or_default());
        self.buf.extend_from_slice(b"\r\n");
        self
    }

    /// A header field of another message, byte for byte as it came; folded lines are joined by a
    /// space and white space before the colon is left out (both mean the same, RFC 3261 7.3.1).
    pub fn copy(&mut self, header: &Header<'_>) -> &mut Self {
        header.write_to(self.buf);
        self
    }

    /// Every header field of another message that has this id, in order.
    pub fn copy_all(&mut self, message: &Message<'_>, id: HeaderId) -> &mut Self {
        for header in message.fields(id) {
            self.copy(&header);
        }
        self
    }

    fn value(&mut self, value: &[u8]) -> &mut Self {
        self.buf.extend_from_slice(b": ");
        put_clean(self.buf, value);
        self.buf.extend_from_slice(b"\r\n");
        self
    }

    /// Ends the message: Content-Type where there is a body that has one, Content-Length, body.
    pub fn finish(&mut self, content_type: Option<&str>, body: &[u8]) {
        if let Some(content_type) = content_type {
            self.header(HeaderId::ContentType, content_type);
        }
        self.buf.extend_from_slice(b"Content-Length: ");
        put_number(self.buf, body.len() as u64);
        self.buf.extend_from_slice(b"\r\n\r\n");
        self.buf.extend_from_slice(body);
    }
}

impl Header<'_> {
    /// Appends the header field with its line end, as [`Writer::copy`] does.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        if self.plain {
            put_clean(out, self.raw);
        } else {
            out.extend_from_slice(self.name.as_bytes());
            out.extend_from_slice(b": ");
            put_joined(out, self.value);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a value without bytes that could end the line.
#[inline]
fn put_clean(buf: &mut Vec<u8>, value: &[u8]) {
    let start = buf.len();
    buf.extend_from_slice(value);
    clean(buf.get_mut(start..).unwrap_or_default());
}

/// Control bytes become spaces, except the tab. One comparison over all bytes first: it is done
/// in wide registers, and nearly every value is clean.
#[inline]
fn clean(bytes: &mut [u8]) {
    let dirty = bytes.iter().fold(0, |dirty, b| dirty | u8::from(*b < b' ') | u8::from(*b == 0x7f));
    if dirty != 0 {
        for byte in bytes.iter_mut().filter(|b| b.is_ascii_control() && **b != b'\t') {
            *byte = b' ';
        }
    }
}

/// Appends a folded value on one line (RFC 3261 7.3.1: folding equals one space).
fn put_joined(buf: &mut Vec<u8>, value: &[u8]) {
    let lines = value.split(|b| *b == b'\n').map(scan::trim).filter(|line| !line.is_empty());
    for (number, line) in lines.enumerate() {
        if number > 0 {
            buf.push(b' ');
        }
        put_clean(buf, line);
    }
}

/// Appends an IPv4 address.
pub(crate) fn put_ipv4(buf: &mut Vec<u8>, ip: Ipv4Addr) {
    let [first, others @ ..] = ip.octets();
    put_octet(buf, first);
    for octet in others {
        buf.push(b'.');
        put_octet(buf, octet);
    }
}

fn put_octet(buf: &mut Vec<u8>, octet: u8) {
    if octet >= 100 {
        buf.push(b'0' + octet / 100);
    }
    if octet >= 10 {
        buf.push(b'0' + octet / 10 % 10);
    }
    buf.push(b'0' + octet % 10);
}

/// Appends a number in decimal digits.
pub(crate) fn put_number(buf: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; MAX_DIGITS];
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        // The remainder is one digit.
        *slot = b'0' + (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    buf.extend_from_slice(digits.get(MAX_DIGITS - used..).unwrap_or_default());
}

/// Digits of the largest number of 64 bits.
const MAX_DIGITS: usize = 20;
