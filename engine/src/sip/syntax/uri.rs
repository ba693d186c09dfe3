//! URIs: `sip`, `sips` (RFC 3261 19.1), `tel` (RFC 3966), and others as they are.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;

use super::params::Params;
use super::scan::{self, Cursor, HOST, NAME, PHONE, TOKEN, URI, URI_VALUE, USER};
use super::{ParseError, ParseErrorKind};
use crate::input::Transport;

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Anything else; the rest of the URI is opaque.
    Other,
}

/// A URI, its parts borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The whole URI as written.
    pub raw: &'a str,
    /// Its scheme.
    pub scheme: Scheme,
    /// The user part with its escapes; of a `tel` URI the number.
    pub user: Option<&'a str>,
    /// What stands after a colon in the user part.
    pub password: Option<&'a str>,
    /// Host name or address; an IPv6 address without its brackets. Empty for `tel` and others.
    pub host: &'a str,
    /// The port, if one is written.
    pub port: Option<u16>,
    /// URI parameters.
    pub params: Params<'a>,
    /// Header fields after `?`, without it.
    pub headers: Option<&'a str>,
}

impl<'a> Uri<'a> {
    /// Reads a URI that is the whole text.
    pub fn parse(raw: &'a str) -> Result<Self, ParseError> {
        Self::read(raw).ok_or(ParseError { kind: ParseErrorKind::Uri })
    }

    /// The transport that the URI asks for; `None` when it asks for none, or for one that is not
    /// ours (then `params` has its name).
    pub fn transport(&self) -> Option<Transport> {
        match self.params.get("transport") {
            Some(name) if name.eq_ignore_ascii_case("udp") => Some(Transport::Udp),
            Some(name) if name.eq_ignore_ascii_case("tls") => Some(Transport::Tls),
            // RFC 3261 26.2.2: sips over TCP is TLS.
            Some(name) if name.eq_ignore_ascii_case("tcp") => match self.scheme {
                Scheme::Sips => Some(Transport::Tls),
                _ => Some(Transport::Tcp),
            },
            Some(_) => None,
            None => (self.scheme == Scheme::Sips).then_some(Transport::Tls),
        }
    }

    /// The host as an address, where it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The user part with its escapes resolved once; empty when there is none. `%00` stays in as
    /// a character, so that it shortens nothing (RFC 4475 3.1.1.4).
    pub fn unescaped_user(&self) -> Cow<'a, str> {
        unescape(self.user.unwrap_or_default())
    }

    fn read(raw: &'a str) -> Option<Self> {
        let (scheme, rest) = match raw.as_bytes() {
            // As nearly all are written.
            [b's', b'i', b'p', b':', ..] => (Scheme::Sip, raw.get("sip:".len()..)?),
            _ => scheme_of(raw)?,
        };
        let empty = Uri {
            raw,
            scheme,
            user: None,
            password: None,
            host: "",
            port: None,
            params: Params::default(),
            headers: None,
        };
        match scheme {
            Scheme::Sip | Scheme::Sips => read_sip(empty, rest),
            Scheme::Tel => read_tel(empty, rest),
            Scheme::Other => is_opaque(rest).then_some(empty),
        }
    }
}

/// The scheme, and what follows its colon.
fn scheme_of(raw: &str) -> Option<(Scheme, &str)> {
    let mut cursor = Cursor::of_text(raw);
    let scheme = cursor.take_str(TOKEN)?;
    let rest = raw.get(scheme.len() + 1..).filter(|_| cursor.eat(b':'))?;
    let scheme = match scheme {
        _ if scheme.eq_ignore_ascii_case("sip") => Scheme::Sip,
        _ if scheme.eq_ignore_ascii_case("sips") => Scheme::Sips,
        _ if scheme.eq_ignore_ascii_case("tel") => Scheme::Tel,
        _ if is_scheme(scheme) => Scheme::Other,
        _ => return None,
    };
    Some((scheme, rest))
}

/// RFC 3986 3.1.
fn is_scheme(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// What may follow another scheme: anything that cannot be taken for the end of the URI.
fn is_opaque(rest: &str) -> bool {
    rest.bytes().all(|b| scan::is(b, URI) || b == b'@')
}

fn read_sip<'a>(mut uri: Uri<'a>, rest: &'a str) -> Option<Uri<'a>> {
    let mut cursor = Cursor::of_text(rest);
    if let Some(user) = user_info(rest) {
        uri.user = Some(rest.get(..user.end)?);
        uri.password = user.password.and_then(|password| rest.get(password));
        cursor.advance(user.at + 1);
    }
    uri.host = take_host(&mut cursor)?;
    if cursor.eat(b':') {
        uri.port = Some(scan::port(cursor.take(TOKEN))?);
    }
    uri.params = take_params(&mut cursor)?;
    if cursor.eat(b'?') {
        uri.headers = Some(rest.get(rest.len() - cursor.rest.len()..)?);
        cursor.take(URI);
    }
    cursor.rest.is_empty().then_some(uri)
}

fn read_tel<'a>(mut uri: Uri<'a>, rest: &'a str) -> Option<Uri<'a>> {
    let mut cursor = Cursor::of_text(rest);
    let number = cursor.take_str(PHONE).filter(|number| !number.is_empty())?;
    uri.user = Some(number);
    uri.params = take_params(&mut cursor)?;
    cursor.rest.is_empty().then_some(uri)
}

/// `;name[=value]` without white space or quotes.
fn take_params<'a>(cursor: &mut Cursor<'a>) -> Option<Params<'a>> {
    let start = *cursor;
    while cursor.eat(b';') {
        if cursor.take(NAME).is_empty() {
            return None;
        }
        if cursor.eat(b'=') && cursor.take(URI_VALUE).is_empty() {
            return None;
        }
    }
    Some(Params::from_checked(cursor.since(start), NAME))
}

/// Where the parts of a user part are.
struct UserInfo {
    /// Behind the user.
    end: usize,
    password: Option<Range<usize>>,
    /// The `@`.
    at: usize,
}

/// The user part in front of the first `@`, if there is a well-formed one. If what stands in
/// front of the `@` is malformed, it is read as a host and fails there.
fn user_info(text: &str) -> Option<UserInfo> {
    let bytes = text.as_bytes();
    let mut colon = None;
    let mut cursor = Cursor::of_text(text);
    let at = loop {
        cursor.take(USER);
        let at = bytes.len() - cursor.rest.len();
        match cursor.peek()? {
            b'@' if at > 0 && colon != Some(0) => break at,
            b':' if colon.is_none() => colon = Some(at),
            b'%' => {
                let digits = bytes.get(at + 1..at + 3)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
            }
            _ => return None,
        }
        cursor.advance(1);
    };
    let password = colon.map(|colon| colon + 1..at);
    Some(UserInfo { end: colon.unwrap_or(at), password, at })
}

/// Takes a host name or address; an IPv6 address without its brackets.
pub(super) fn take_host<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    if cursor.eat(b'[') {
        let address = cursor.take_until(b']')?;
        return address.parse::<Ipv6Addr>().ok().map(|_| address);
    }
    cursor.take_str(HOST).filter(|host| !host.is_empty())
}

/// Resolves `%` escapes, each once. Bytes that are no UTF-8 afterwards become U+FFFD.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', rest.get(1..).unwrap_or_default()),
            },
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    Cow::Owned(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(fault) => String::from_utf8_lossy(fault.as_bytes()).into_owned(),
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
