//! `Via` (RFC 3261 20.42, RFC 3581).

use super::params::{Param, Params, take_one};
use super::scan::{self, Cursor, TOKEN};
use super::uri::take_host;
use super::{HeaderId, ParseError, ParseErrorKind};

/// One hop of a Via header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport's name as written.
    pub transport: &'a str,
    /// sent-by: host name or address; an IPv6 address without its brackets.
    pub host: &'a str,
    /// sent-by: the port, if one is written.
    pub port: Option<u16>,
    /// The transaction's branch.
    pub branch: Option<&'a str>,
    /// Where the request really came from; an IPv6 address without brackets, whichever way it
    /// was written (RFC 5118 4.5).
    pub received: Option<&'a str>,
    /// `Some(None)`: `rport` stands there to be filled; `Some(Some(port))`: it was.
    pub rport: Option<Option<u16>>,
    /// Where the answer shall go instead, if policy allows.
    pub maddr: Option<&'a str>,
    /// All parameters.
    pub params: Params<'a>,
    /// The hop as written, without the comma that may follow it.
    pub raw: &'a [u8],
}

impl<'a> Via<'a> {
    /// Reads one hop that is the whole value.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(scan::trim(value));
        match Self::take(&mut cursor) {
            Some(via) if cursor.rest.is_empty() => Ok(via),
            _ => Err(MALFORMED),
        }
    }

    /// The branch of an RFC 3261 element: a unique one. `None` from an RFC 2543 element.
    pub fn unique_branch(&self) -> Option<&'a str> {
        self.branch.filter(|branch| branch.starts_with(MAGIC_COOKIE))
    }

    /// Takes the hop that comes next, and the white space after it.
    pub(super) fn take(cursor: &mut Cursor<'a>) -> Option<Self> {
        let start = *cursor;
        let transport = sent_protocol(cursor)?;
        cursor.skip_lws();
        let host = take_host(cursor)?;
        let port = sent_port(cursor)?;
        let mut via = Via {
            transport,
            host,
            port,
            branch: None,
            received: None,
            rport: None,
            maddr: None,
            params: Params::default(),
            raw: &[],
        };
        let params = *cursor;
        let mut end = *cursor;
        while let Some(param) = take_one(cursor, TOKEN) {
            via.note(*cursor, param?)?;
            end = *cursor;
        }
        via.params = Params::from_checked(end.since(params), TOKEN);
        via.raw = end.since(start);
        cursor.skip_lws();
        Some(via)
    }

    fn note(&mut self, at: Cursor<'a>, (name, value): Param<'a>) -> Option<()> {
        let slot = match name.len() {
            6 if name.eq_ignore_ascii_case(b"branch") => &mut self.branch,
            8 if name.eq_ignore_ascii_case(b"received") => &mut self.received,
            5 if name.eq_ignore_ascii_case(b"maddr") => &mut self.maddr,
            5 if name.eq_ignore_ascii_case(b"rport") => {
                let port = match value {
                    None => None,
                    Some(digits) => Some(scan::port(digits)?),
                };
                return self.rport.replace(port).is_none().then_some(());
            }
            _ => return Some(()),
        };
        let value = at.str(value?)?;
        let bare = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        // A second branch would let two readers see two transactions.
        slot.replace(bare.unwrap_or(value)).is_none().then_some(())
    }
}

/// Begins every branch that is unique (RFC 3261 8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

pub(super) const MALFORMED: ParseError =
    ParseError { kind: ParseErrorKind::Malformed(HeaderId::Via) };

/// `SIP / 2.0 / transport`, with white space allowed around the slashes.
fn sent_protocol<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    cursor.skip_lws();
    let name = cursor.take(TOKEN);
    slash(cursor)?;
    let version = cursor.take(TOKEN);
    slash(cursor)?;
    let transport = cursor.take_str(TOKEN)?;
    let known = name.eq_ignore_ascii_case(b"SIP") && version == b"2.0" && !transport.is_empty();
    // White space parts the protocol from the host.
    (known && cursor.peek().is_some_and(|b| scan::is(b, scan::LWS))).then_some(transport)
}

fn slash(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.skip_lws();
    cursor.eat(b'/').then(|| cursor.skip_lws())
}

/// The port of `sent-by`, which allows white space around its colon (RFC 3261 25.1).
fn sent_port(cursor: &mut Cursor<'_>) -> Option<Option<u16>> {
    let before = *cursor;
    cursor.skip_lws();
    if cursor.eat(b':') {
        cursor.skip_lws();
        return scan::port(cursor.take(TOKEN)).map(Some);
    }
    *cursor = before;
    Some(None)
}
