//! Parameters of header fields and URIs.

use super::scan::{Cursor, VALUE, text};

/// A run of `;name[=value]`. Names are case-insensitive (RFC 3261 7.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    raw: &'a [u8],
    /// The class of their names' characters: a URI allows more than a header field.
    names: u16,
}

impl<'a> Params<'a> {
    /// Parameters that were checked by the caller; `raw` begins with `;` or is empty.
    pub(super) fn from_checked(raw: &'a [u8], names: u16) -> Self {
        Params { raw, names }
    }

    /// The parameters as written, from the first `;` on.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Every parameter in order. Quotes are taken off a quoted value, its escapes stay. One that
    /// is not UTF-8 is left out.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        let mut cursor = Cursor::new(self.raw);
        let names = self.names;
        std::iter::from_fn(move || {
            loop {
                let (name, value) = take_one(&mut cursor, names)??;
                let value = match value {
                    None => Some(None),
                    Some(bytes) => text(bytes).map(Some),
                };
                if let (Some(name), Some(value)) = (text(name), value) {
                    return Some((name, value));
                }
            }
        })
    }

    /// Every parameter in order: its name, and all of it as written, quotes included, without
    /// the semicolon. One that is not UTF-8 is left out.
    pub fn iter_written(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut cursor = Cursor::new(self.raw);
        let names = self.names;
        std::iter::from_fn(move || {
            loop {
                let before = cursor;
                let (name, _) = take_one(&mut cursor, names)??;
                let written = text(cursor.since(before)).unwrap_or_default();
                let written = written.trim_start().trim_start_matches(';').trim_start();
                if let (Some(name), false) = (text(name), written.is_empty()) {
                    return Some((name, written));
                }
            }
        })
    }

    /// The value of a parameter; `Some("")` for one that has none.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let mut cursor = Cursor::new(self.raw);
        let names = self.names;
        loop {
            let (found, value) = take_one(&mut cursor, names)??;
            if found.eq_ignore_ascii_case(name.as_bytes()) {
                return text(value.unwrap_or_default());
            }
        }
    }

    /// Whether a parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

pub(super) type Param<'a> = (&'a [u8], Option<&'a [u8]>);

/// The parameter that comes next: `None` where none begins, `Some(None)` where it is malformed.
#[inline]
pub(super) fn take_one<'a>(cursor: &mut Cursor<'a>, names: u16) -> Option<Option<Param<'a>>> {
    let before = *cursor;
    cursor.skip_lws();
    if !cursor.eat(b';') {
        *cursor = before;
        return None;
    }
    cursor.skip_lws();
    Some(take_pair(cursor, names))
}

/// `name[=value]` with white space allowed around the equals sign.
#[inline]
pub(super) fn take_pair<'a>(cursor: &mut Cursor<'a>, names: u16) -> Option<Param<'a>> {
    let name = cursor.take(names);
    if name.is_empty() {
        return None;
    }
    let after_name = *cursor;
    cursor.skip_lws();
    if !cursor.eat(b'=') {
        *cursor = after_name;
        return Some((name, None));
    }
    cursor.skip_lws();
    if cursor.peek() == Some(b'"') {
        return Some((name, Some(cursor.quoted()?)));
    }
    let value = cursor.take(VALUE);
    (!value.is_empty()).then_some((name, Some(value)))
}
