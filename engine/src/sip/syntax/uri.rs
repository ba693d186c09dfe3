//! URIs: `sip`, `sips` (RFC 3261 19.1), `tel` (RFC 3966), and others as they are.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use super::params::Params;
use super::scan::{self, Cursor, HOST, PHONE, TOKEN, URI, USER};
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
        let (scheme, rest) = raw.split_once(':')?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("sip") => Scheme::Sip,
            _ if scheme.eq_ignore_ascii_case("sips") => Scheme::Sips,
            _ if scheme.eq_ignore_ascii_case("tel") => Scheme::Tel,
            _ if is_scheme(scheme) => Scheme::Other,
            _ => return None,
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
            Scheme::Other => scan::all(rest.as_bytes(), URI).then_some(empty),
        }
    }
}

/// RFC 3986 3.1.
fn is_scheme(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

fn read_sip<'a>(mut uri: Uri<'a>, rest: &'a str) -> Option<Uri<'a>> {
    // A bare @ stands nowhere but after the user part: the first one ends it, and another one
    // would land in the host and be refused there.
    let after_user = match rest.split_once('@') {
        Some((userinfo, after)) => {
            let (user, password) = match userinfo.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (userinfo, None),
            };
            if user.is_empty() || !is_user(user) || !password.is_none_or(is_user) {
                return None;
            }
            uri.user = Some(user);
            uri.password = password;
            after
        }
        None => rest,
    };
    let mut cursor = Cursor::new(after_user.as_bytes());
    uri.host = take_host(&mut cursor)?;
    if cursor.eat(b':') {
        uri.port = Some(scan::port(cursor.take(TOKEN))?);
    }
    let tail = after_user.get(after_user.len() - cursor.rest.len()..)?;
    let (params, headers) = match tail.split_once('?') {
        Some((params, headers)) => (params, Some(headers)),
        None => (tail, None),
    };
    uri.params = uri_params(params)?;
    uri.headers = headers;
    headers.is_none_or(|headers| scan::all(headers.as_bytes(), URI)).then_some(uri)
}

fn read_tel<'a>(mut uri: Uri<'a>, rest: &'a str) -> Option<Uri<'a>> {
    let end = rest.find(';').unwrap_or(rest.len());
    let (number, params) = rest.split_at(end);
    if number.is_empty() || !scan::all(number.as_bytes(), PHONE) {
        return None;
    }
    uri.user = Some(number);
    uri.params = uri_params(params)?;
    Some(uri)
}

fn uri_params(text: &str) -> Option<Params<'_>> {
    if text.is_empty() {
        return Some(Params::default());
    }
    let mut cursor = Cursor::new(text.as_bytes());
    let params = Params::take(&mut cursor)?;
    (cursor.rest.is_empty() && scan::all(text.as_bytes(), URI)).then_some(params)
}

/// Only characters of a user part, and every `%` with its two digits.
fn is_user(text: &str) -> bool {
    let mut bytes = text.as_bytes();
    while let Some((byte, rest)) = bytes.split_first() {
        bytes = match (byte, rest) {
            (b'%', [high, low, rest @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest
            }
            (b'%', _) => return false,
            (byte, rest) if scan::is(*byte, USER) => rest,
            _ => return false,
        };
    }
    true
}

/// Takes a host name or address; an IPv6 address without its brackets.
pub(super) fn take_host<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    if !cursor.eat(b'[') {
        let host = cursor.take(HOST);
        return if host.is_empty() { None } else { scan::text(host) };
    }
    let end = memchr::memchr(b']', cursor.rest)?;
    let address = scan::text(cursor.advance(end))?;
    cursor.eat(b']');
    address.parse::<Ipv6Addr>().ok().map(|_| address)
}

/// Resolves `%` escapes, each once. Bytes that are no UTF-8 afterwards become U+FFFD.
fn unescape(text: &str) -> Cow<'_, str> {
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
