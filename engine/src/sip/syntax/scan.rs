//! Byte classes of the grammar (RFC 3261 25.1) and a cursor over a header value.

use memchr::memchr2;

/// `token`: header names, methods, parameter names.
pub(super) const TOKEN: u16 = 1;
/// What a user part may hold, beside the colon before a password. More than `user-unreserved`:
/// `#` is written bare by every PBX that forwards feature codes (`*21#0312345678`). The percent
/// sign is left out, for two digits must follow it.
pub(super) const USER: u16 = 2;
/// A host name. The underscore is no letter of DNS but stands in names of private networks.
pub(super) const HOST: u16 = 4;
/// Parameters and headers of a URI. A bare `@` stands only behind the user part.
pub(super) const URI: u16 = 8;
/// The unquoted value of a header parameter: wider than `token / host`, so that what peers
/// really write is understood; only what would end the value is left out.
pub(super) const VALUE: u16 = 16;
/// White space, with the line ends of folding: the index has checked that they are folding.
pub(super) const LWS: u16 = 32;
/// A telephone number of a `tel` URI (RFC 3966 3, with `#` and `*` of local numbers).
pub(super) const PHONE: u16 = 64;
/// Names of parameters: `token` and, in URIs, `param-unreserved`.
pub(super) const NAME: u16 = 128;
/// The value of a URI parameter.
pub(super) const URI_VALUE: u16 = 256;

/// Bytes of UTF-8 and of older encodings of names.
pub(super) const BEYOND_ASCII: u16 = 512;

static CLASS: [u16; 256] = classes();

const fn classes() -> [u16; 256] {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = class_of(byte as u8);
        byte += 1;
    }
    class
}

const fn class_of(b: u8) -> u16 {
    let alnum = b.is_ascii_alphanumeric();
    let mut class = 0;
    if alnum || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~') {
        class |= TOKEN | NAME;
    }
    if matches!(b, b'[' | b']' | b'/' | b':' | b'&' | b'$' | b'(' | b')') {
        class |= NAME;
    }
    let mark = matches!(b, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')');
    if alnum || mark || matches!(b, b'#' | b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/') {
        class |= USER;
    }
    if alnum || matches!(b, b'-' | b'.' | b'_') {
        class |= HOST;
    }
    let closed = matches!(b, b'<' | b'>' | b'"' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}');
    if b.is_ascii_graphic() && !closed && b != b'@' {
        class |= URI;
        if !matches!(b, b';' | b'?') {
            class |= URI_VALUE;
        }
    }
    if (b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"' | b',' | b';')) || b >= 0x80 {
        class |= VALUE;
    }
    if !b.is_ascii() {
        class |= BEYOND_ASCII;
    }
    if matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
        class |= LWS;
    }
    if b.is_ascii_hexdigit() || matches!(b, b'+' | b'-' | b'.' | b'(' | b')' | b'*' | b'#') {
        class |= PHONE;
    }
    class
}

/// Whether a byte is of a class.
#[inline]
pub(super) fn is(byte: u8, class: u16) -> bool {
    CLASS[byte as usize] & class != 0
}

/// Whether every byte is of a class; true for none.
pub(super) fn all(bytes: &[u8], class: u16) -> bool {
    bytes.iter().all(|b| is(*b, class))
}

/// A value without the white space around it.
#[inline]
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

#[inline]
pub(super) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is(*first, LWS)
    {
        bytes = rest;
    }
    bytes
}

#[inline]
pub(super) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes
        && is(*last, LWS)
    {
        bytes = rest;
    }
    bytes
}

/// A number of decimal digits alone, of any length as long as its value fits.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// A port that somebody can listen on: 0 is none.
pub(super) fn port(digits: &[u8]) -> Option<u16> {
    u16::try_from(number(digits)?).ok().filter(|port| *port != 0)
}

/// Text, where the bytes are UTF-8.
#[inline]
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Reads a header value from its front.
///
/// A value that is known to be text brings it along, so that its parts need no second look to
/// be text as well: that look would be a quarter of the work on a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
    /// Ends where `rest` ends.
    text: Option<&'a str>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Cursor { rest, text: None }
    }

    pub(super) fn of_text(text: &'a str) -> Self {
        Cursor { rest: text.as_bytes(), text: Some(text) }
    }

    /// A part of the value as text. Where the value is text already, its part needs no second look.
    #[inline]
    pub(super) fn str(&self, part: &'a [u8]) -> Option<&'a str> {
        match self.text {
            Some(whole) => {
                let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
                whole.get(start..start + part.len())
            }
            None => text(part),
        }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Steps over a byte if it is the next one.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// The bytes of a class that come next; maybe none.
    #[inline]
    pub(super) fn take(&mut self, class: u16) -> &'a [u8] {
        let before = self.rest;
        let mut rest = before;
        // Four at a time, of one class throughout as nearly all are.
        while let [a, b, c, d, after @ ..] = rest
            && CLASS[*a as usize]
                & CLASS[*b as usize]
                & CLASS[*c as usize]
                & CLASS[*d as usize]
                & class
                != 0
        {
            rest = after;
        }
        while let [first, after @ ..] = rest
            && is(*first, class)
        {
            rest = after;
        }
        self.rest = rest;
        before.get(..before.len() - rest.len()).unwrap_or_default()
    }

    /// The bytes of a class that come next, as text.
    #[inline]
    pub(super) fn take_str(&mut self, class: u16) -> Option<&'a str> {
        let start = *self;
        start.str(self.take(class))
    }

    #[inline]
    pub(super) fn skip_lws(&mut self) {
        while let [first, rest @ ..] = self.rest
            && is(*first, LWS)
        {
            self.rest = rest;
        }
    }

    /// The inside of the quoted string that begins here, escapes kept; `None` if it does not end.
    pub(super) fn quoted(&mut self) -> Option<&'a [u8]> {
        if !self.eat(b'"') {
            return None;
        }
        let mut end = 0;
        loop {
            end += memchr2(b'"', b'\\', self.rest.get(end..)?)?;
            if self.rest.get(end) == Some(&b'"') {
                let inside = self.advance(end);
                self.eat(b'"');
                return Some(inside);
            }
            // A backslash makes the byte after it a plain one.
            end += 2;
        }
    }

    /// Takes the next `count` bytes, or what is left.
    #[inline]
    pub(super) fn advance(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Takes what stands before a byte, as text, and the byte; `None` if it does not come.
    pub(super) fn take_until(&mut self, byte: u8) -> Option<&'a str> {
        let start = *self;
        let end = memchr::memchr(byte, self.rest)?;
        let taken = start.str(self.advance(end));
        self.eat(byte);
        taken
    }

    /// How far this cursor has come since `earlier`, as the bytes between them.
    #[inline]
    pub(super) fn since(&self, earlier: Cursor<'a>) -> &'a [u8] {
        let length = earlier.rest.len().saturating_sub(self.rest.len());
        earlier.rest.get(..length).unwrap_or_default()
    }
}
