//! Addresses: `name-addr` and `addr-spec` with header parameters (RFC 3261 20.10).

use super::params::{Params, take_one};
use super::scan::{self, BEYOND_ASCII, Cursor, LWS, TOKEN, VALUE};
use super::uri::Uri;
use super::{HeaderId, ParseError, ParseErrorKind, Values};

/// An address of From, To, Contact, Route, Diversion and their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name; of a quoted one the inside with its escapes. `None` when there is none,
    /// and when it is not UTF-8 (Shift_JIS displays are about): the call goes on without it.
    pub display: Option<&'a str>,
    /// The address itself.
    pub uri: Uri<'a>,
    /// Parameters of the header field, not of the URI.
    pub params: Params<'a>,
    /// All of it as written.
    pub raw: &'a [u8],
    tag: Option<&'a str>,
}

const MALFORMED: ParseError = ParseError { kind: ParseErrorKind::Address };

impl<'a> NameAddr<'a> {
    /// Reads one address that is the whole value.
    pub fn parse(value: &'a (impl AsRef<[u8]> + ?Sized)) -> Result<Self, ParseError> {
        Self::read(Cursor::new(value.as_ref())).ok_or(MALFORMED)
    }

    /// Reads one address that is all that the cursor has.
    pub(super) fn read(mut cursor: Cursor<'a>) -> Option<Self> {
        Self::take(&mut cursor).filter(|_| cursor.rest.is_empty())
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&'a str> {
        self.tag
    }

    /// Takes the address that comes next, and the white space after it.
    pub(super) fn take(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.skip_lws();
        let start = *cursor;
        let display = match cursor.peek()? {
            b'"' => {
                let display = cursor.quoted()?;
                cursor.skip_lws();
                // An addr-spec has no display name: the bracket must come.
                (cursor.peek()? == b'<').then_some(())?;
                cursor.str(display)
            }
            b'<' => None,
            _ => match unquoted_display(cursor) {
                Some(display) => cursor.str(display),
                None => return Self::take_bare(cursor),
            },
        };
        cursor.eat(b'<');
        let uri = Uri::parse(cursor.take_until(b'>')?).ok()?;
        Self::take_params(cursor, start, display, uri)
    }

    /// An `addr-spec` without brackets: its parameters are the header's, and it can hold neither
    /// comma nor question mark (RFC 3261 20.10).
    fn take_bare(cursor: &mut Cursor<'a>) -> Option<Self> {
        let start = *cursor;
        let uri = cursor.take_str(VALUE)?;
        if uri.contains('?') {
            return None;
        }
        let uri = Uri::parse(uri).ok()?;
        Self::take_params(cursor, start, None, uri)
    }

    fn take_params(
        cursor: &mut Cursor<'a>,
        start: Cursor<'a>,
        display: Option<&'a str>,
        uri: Uri<'a>,
    ) -> Option<Self> {
        let (front, mut end) = (*cursor, *cursor);
        let mut tag = None;
        while let Some(param) = take_one(cursor, TOKEN) {
            let (name, value) = param?;
            if name.eq_ignore_ascii_case(b"tag") {
                // A second tag would let two readers see two dialogs.
                tag.replace(cursor.str(value?)?).is_none().then_some(())?;
            }
            end = *cursor;
        }
        let params = Params::from_checked(end.since(front), TOKEN);
        cursor.skip_lws();
        Some(NameAddr { display, uri, params, raw: end.since(start), tag })
    }
}

/// Takes a display name of tokens, up to the bracket. Anything that is neither token nor beyond
/// ASCII belongs to an addr-spec, and the cursor stays where it was.
fn unquoted_display<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let mut ahead = *cursor;
    let display = ahead.take(TOKEN | LWS | BEYOND_ASCII);
    if ahead.peek() != Some(b'<') {
        return None;
    }
    *cursor = ahead;
    Some(scan::trim(display))
}

/// The addresses of one header field: comma lists and repeated fields alike, in order. Ends after
/// the first malformed one.
#[derive(Clone, Debug)]
pub struct NameAddrs<'m, 'a> {
    id: HeaderId,
    values: Values<'m, 'a>,
    current: Option<Cursor<'a>>,
}

impl<'m, 'a> NameAddrs<'m, 'a> {
    pub(super) fn new(id: HeaderId, values: Values<'m, 'a>) -> Self {
        NameAddrs { id, values, current: None }
    }
}

impl<'a> Iterator for NameAddrs<'_, 'a> {
    type Item = Result<NameAddr<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut cursor = match self.current.take() {
            Some(cursor) => cursor,
            None => self.values.next_cursor()?,
        };
        match NameAddr::take(&mut cursor) {
            Some(address) if cursor.rest.is_empty() => Some(Ok(address)),
            Some(address) if cursor.eat(b',') => {
                self.current = Some(cursor);
                Some(Ok(address))
            }
            _ => {
                self.values = Values::none();
                Some(Err(ParseErrorKind::Malformed(self.id).into()))
            }
        }
    }
}
