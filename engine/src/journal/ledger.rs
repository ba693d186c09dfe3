//! The journal read again: the latest image of everything that had not ended.

use std::collections::BTreeMap;

use crate::cdr::Cdr;
use crate::id::{CallId, Key};
use crate::time::{Now, Timestamp};

use super::{Pen, Reader};

/// What a record is, in its first byte. A number is never given to another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Parts of a call's image, and its CDR once it is complete.
    Call = 1,
    /// Nothing of a call is left.
    Gone = 2,
    /// All phones of a user.
    Phones = 3,
    /// What all calls share, and when the node was last known to be alive.
    Node = 4,
    /// A BYE that no call waits for, and until when it is resent.
    Farewell = 5,
}

impl Kind {
    fn of(byte: u8) -> Option<Kind> {
        [Kind::Call, Kind::Gone, Kind::Phones, Kind::Node, Kind::Farewell]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// A record that cannot be read: damage that the checksum missed, or a later release's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a journal record of {length} bytes cannot be read")]
pub struct Unreadable {
    /// Its length.
    pub length: usize,
}

/// The latest parts of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    /// When one was last written.
    pub(crate) seen: Now,
    pub(crate) by_number: BTreeMap<u64, Box<[u8]>>,
}

/// What had not ended, gathered record by record in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub(crate) calls: BTreeMap<CallId, Parts>,
    pub(crate) phones: BTreeMap<Key, Box<[u8]>>,
    pub(crate) secret: Option<(u64, u64)>,
    farewells: Vec<(Timestamp, Box<[u8]>)>,
    latest: Now,
}

impl Ledger {
    /// Takes the next record.
    ///
    /// # Errors
    /// It cannot be read; the ledger is as it was.
    pub fn take(&mut self, record: &[u8]) -> Result<(), Unreadable> {
        self.read(record).ok_or(Unreadable { length: record.len() })
    }

    /// When the node was last known to be alive.
    pub fn latest(&self) -> Now {
        self.latest
    }

    /// Calls that had not ended, or whose last answers were still out.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// BYEs that no call waits for and that were not given up yet at `now`.
    pub(crate) fn farewells(&self, now: Timestamp) -> impl Iterator<Item = &[u8]> {
        self.farewells.iter().filter(move |(until, _)| *until > now).map(|(_, bytes)| &**bytes)
    }

    fn read(&mut self, record: &[u8]) -> Option<()> {
        let mut from = Reader::of(record, None);
        match Kind::of(from.byte()?)? {
            Kind::Call => {
                let head = CallHead::read(&mut from)?;
                let mut parts = Vec::new();
                while !from.is_done() {
                    parts.push((from.number()?, Box::from(from.bytes()?)));
                }
                let known = self.calls.entry(head.call).or_default();
                known.seen = head.at;
                known.by_number.extend(parts);
                self.latest = head.at;
            }
            Kind::Gone => {
                self.calls.remove(&from.get()?);
            }
            Kind::Phones => {
                let user: Key = from.get()?;
                let phones = from.bytes()?;
                if phones.is_empty() {
                    self.phones.remove(&user);
                } else {
                    self.phones.insert(user, phones.into());
                }
            }
            Kind::Node => {
                self.latest = from.get()?;
                self.secret = Some(from.get()?);
            }
            Kind::Farewell => {
                self.latest = from.get()?;
                let (until, bytes) = (from.get()?, from.bytes()?);
                let now = self.latest.mono;
                self.farewells.retain(|(until, _)| *until > now);
                self.farewells.push((until, bytes.into()));
            }
        }
        Some(())
    }
}

/// What a call's record begins with.
struct CallHead<'a> {
    call: CallId,
    at: Now,
    /// Empty when it has none.
    cdr: &'a [u8],
}

impl<'a> CallHead<'a> {
    fn read(from: &mut Reader<'a>) -> Option<CallHead<'a>> {
        Some(CallHead { call: from.get()?, at: from.get()?, cdr: from.bytes()? })
    }
}

/// Begins the record of a call; its parts follow, each with its number and its length.
pub(crate) fn begin_call(pen: &mut Pen<'_>, call: CallId, at: Now, cdr: Option<&Cdr>) {
    pen.byte(Kind::Call as u8);
    pen.put(&call);
    pen.put(&at);
    pen.framed(|pen| {
        if let Some(cdr) = cdr {
            pen.put(cdr);
        }
    });
}

/// The numbers of the parts in a call's record.
#[cfg(debug_assertions)]
pub(crate) fn parts_of(record: &[u8]) -> Vec<u64> {
    let mut from = Reader::of(record, None);
    let mut parts = Vec::new();
    if from.byte().and_then(Kind::of) == Some(Kind::Call) && CallHead::read(&mut from).is_some() {
        while let (Some(part), Some(_)) = (from.number(), from.bytes()) {
            parts.push(part);
        }
    }
    parts
}

/// The CDR in a record of the journal, if it has one.
///
/// # Errors
/// The record cannot be read.
pub fn cdr_of(record: &[u8]) -> Result<Option<Cdr>, Unreadable> {
    let read = || {
        let mut from = Reader::of(record, None);
        match Kind::of(from.byte()?)? {
            Kind::Call => {
                let head = CallHead::read(&mut from)?;
                if head.cdr.is_empty() {
                    return Some(None);
                }
                let mut from = Reader::of(head.cdr, None);
                from.get().map(Some)
            }
            Kind::Gone | Kind::Phones | Kind::Node | Kind::Farewell => Some(None),
        }
    };
    read().ok_or(Unreadable { length: record.len() })
}

#[cfg(test)]
mod tests;
