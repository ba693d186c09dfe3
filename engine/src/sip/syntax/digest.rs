//! Digest challenges and credentials (RFC 3261 22, RFC 7616, RFC 8760).

use super::params::take_pair;
use super::scan::{Cursor, TOKEN, text};

/// What stands in `Authorization: Digest …`. Quotes are taken off, escapes stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// Who it is.
    pub username: &'a str,
    /// Where the password counts.
    pub realm: &'a str,
    /// Our nonce.
    pub nonce: &'a str,
    /// The request's URI as the client hashed it.
    pub uri: &'a str,
    /// The proof, in hexadecimal.
    pub response: &'a str,
    /// The hash; MD5 when absent.
    pub algorithm: Option<&'a str>,
    /// `auth` or `auth-int`; the old form of RFC 2069 when absent.
    pub qop: Option<&'a str>,
    /// Nonce count, hexadecimal.
    pub nc: Option<&'a str>,
    /// The client's nonce.
    pub cnonce: Option<&'a str>,
    /// Our opaque text.
    pub opaque: Option<&'a str>,
    /// The user name is hashed (RFC 7616 3.4.4).
    pub userhash: bool,
}

/// What stands in `WWW-Authenticate: Digest …`. Quotes are taken off, escapes stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// Where the password counts.
    pub realm: &'a str,
    /// The server's nonce.
    pub nonce: &'a str,
    /// To be sent back.
    pub opaque: Option<&'a str>,
    /// The hash; MD5 when absent.
    pub algorithm: Option<&'a str>,
    /// A comma list of the protections that the server takes.
    pub qop: Option<&'a str>,
    /// The nonce was too old, the password was right.
    pub stale: bool,
}

impl<'a> Credentials<'a> {
    /// Reads a header value. `None` for another scheme, for one that is malformed, that lacks a
    /// mandatory part or has a part twice.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut found = Credentials::default();
        let (mut username, mut realm, mut nonce) = (None, None, None);
        let (mut uri, mut response, mut userhash) = (None, None, None);
        for_each_param(value, |name, value| {
            let slot = match name {
                _ if name.eq_ignore_ascii_case("username") => &mut username,
                _ if name.eq_ignore_ascii_case("realm") => &mut realm,
                _ if name.eq_ignore_ascii_case("nonce") => &mut nonce,
                _ if name.eq_ignore_ascii_case("uri") => &mut uri,
                _ if name.eq_ignore_ascii_case("response") => &mut response,
                _ if name.eq_ignore_ascii_case("algorithm") => &mut found.algorithm,
                _ if name.eq_ignore_ascii_case("qop") => &mut found.qop,
                _ if name.eq_ignore_ascii_case("nc") => &mut found.nc,
                _ if name.eq_ignore_ascii_case("cnonce") => &mut found.cnonce,
                _ if name.eq_ignore_ascii_case("opaque") => &mut found.opaque,
                _ if name.eq_ignore_ascii_case("userhash") => &mut userhash,
                _ => return Some(()),
            };
            slot.replace(value).is_none().then_some(())
        })?;
        found.username = username?;
        found.realm = realm?;
        found.nonce = nonce?;
        found.uri = uri?;
        found.response = response?;
        found.userhash = userhash.is_some_and(|value: &str| value.eq_ignore_ascii_case("true"));
        Some(found)
    }
}

impl<'a> Challenge<'a> {
    /// Reads a header value. `None` for another scheme, for one that is malformed, that lacks
    /// realm or nonce or has a part twice.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut found = Challenge::default();
        let (mut realm, mut nonce, mut stale) = (None, None, None);
        for_each_param(value, |name, value| {
            let slot = match name {
                _ if name.eq_ignore_ascii_case("realm") => &mut realm,
                _ if name.eq_ignore_ascii_case("nonce") => &mut nonce,
                _ if name.eq_ignore_ascii_case("opaque") => &mut found.opaque,
                _ if name.eq_ignore_ascii_case("algorithm") => &mut found.algorithm,
                _ if name.eq_ignore_ascii_case("qop") => &mut found.qop,
                _ if name.eq_ignore_ascii_case("stale") => &mut stale,
                _ => return Some(()),
            };
            slot.replace(value).is_none().then_some(())
        })?;
        found.realm = realm?;
        found.nonce = nonce?;
        found.stale = stale.is_some_and(|value: &str| value.eq_ignore_ascii_case("true"));
        Some(found)
    }
}

/// Calls `note` with every `name=value` of a value of the digest scheme, until it says `None`.
fn for_each_param<'a>(
    value: &'a [u8],
    mut note: impl FnMut(&'a str, &'a str) -> Option<()>,
) -> Option<()> {
    let mut cursor = Cursor::new(value);
    cursor.skip_lws();
    cursor.take(TOKEN).eq_ignore_ascii_case(b"Digest").then_some(())?;
    loop {
        // RFC 3261 7.3.1 lists allow empty elements in no field, and phones write them all the
        // same: `Digest username="a",, realm="b"`.
        cursor.skip_lws();
        while cursor.eat(b',') {
            cursor.skip_lws();
        }
        if cursor.rest.is_empty() {
            return Some(());
        }
        let (name, value) = take_pair(&mut cursor, TOKEN)?;
        note(text(name)?, text(value?)?)?;
        cursor.skip_lws();
        if !cursor.rest.is_empty() && cursor.peek() != Some(b',') {
            return None;
        }
    }
}
