//! The journal read again: the latest image of everything that had not ended.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use crate::cdr::Cdr;
use crate::core::Core;
use crate::id::{CallId, Key};
use crate::sip::transaction::ServerHandle;
use crate::sip::transaction::timers::H;
use crate::time::{Now, Timestamp};

use super::notes::Confirmed;
use super::{Names, Pen, Reader, Record};

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
    /// Two records of calls: a leg has gone from one to the other.
    Both = 6,
    /// When the ACK to a refusal came.
    Acknowledged = 7,
    /// Answers of ours that were acknowledged, and calls all of whose legs have ended.
    Notes = 8,
}

/// Added to the first byte of a record: it is of this release's format. Former releases had other
/// numbers, and other parts of a call.
const NOW: u8 = 0x10;

/// Added to the numbers of parts that a former release wrote.
pub(crate) const FORMER: u64 = 1 << 40;

impl Kind {
    /// Begins a record.
    pub(crate) fn begin(self, pen: &mut Pen) {
        pen.byte(self as u8 | NOW);
    }

    /// Reads what a record begins with. The reader knows then by which release it is.
    fn read(from: &mut Reader<'_>) -> Option<Kind> {
        let first = from.byte()?;
        from.former = first & NOW == 0;
        let calls = [Kind::Call, Kind::Both, Kind::Gone, Kind::Farewell, Kind::Acknowledged];
        let kinds = calls.into_iter().chain([Kind::Phones, Kind::Node, Kind::Notes]);
        kinds.into_iter().find(|kind| *kind as u8 == first & !NOW)
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
    /// The CSeq numbers of the last ACKs to 2xx of ours since, by leg.
    pub(crate) confirmed: BTreeMap<u16, u32>,
    /// All its legs have ended since.
    pub(crate) over: bool,
}

impl Parts {
    /// A part; empty if it was never written.
    pub(crate) fn of(&self, number: u64) -> &[u8] {
        self.by_number.get(&number).map_or(&[], |bytes| bytes)
    }
}

/// An image that is read when everything has been gathered.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    bytes: Box<[u8]>,
    former: bool,
}

impl Kept {
    fn of(from: &Reader<'_>, bytes: &[u8]) -> Kept {
        Kept { bytes: bytes.into(), former: from.former }
    }

    pub(crate) fn reader<'a>(&'a self, core: Option<&'a mut Core>) -> Reader<'a> {
        Reader { former: self.former, ..Reader::of(&self.bytes, core) }
    }
}

/// What had not ended, gathered record by record in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub(crate) calls: BTreeMap<CallId, Parts>,
    pub(crate) phones: BTreeMap<Key, Kept>,
    pub(crate) secret: Option<(u64, u64)>,
    farewells: Vec<(Timestamp, Kept)>,
    /// When, and which; the oldest first, and none that would no longer be sent by itself.
    acknowledged: VecDeque<(Timestamp, ServerHandle)>,
    /// Connections that the process before left, by peer.
    pub(crate) left: BTreeMap<SocketAddr, u32>,
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

    /// The connection by TCP that `peer` made stands still, and has this number now: what was to go
    /// by it does. Those that we made are found by where they lead.
    pub fn connection_stands(&mut self, peer: SocketAddr, number: u32) {
        self.left.insert(peer, number);
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
    pub(crate) fn farewells(&self, now: Timestamp) -> impl Iterator<Item = &Kept> {
        self.farewells.iter().filter(move |(until, _)| *until > now).map(|(_, bye)| bye)
    }

    /// Refusals whose ACK came.
    pub(crate) fn acknowledged(&self) -> impl Iterator<Item = ServerHandle> {
        self.acknowledged.iter().map(|(_, refusal)| *refusal)
    }

    fn read(&mut self, record: &[u8]) -> Option<()> {
        let mut from = Reader::of(record, None);
        match Kind::read(&mut from)? {
            Kind::Call => {
                let call = CallRecord::read(&mut from)?;
                self.take_call(call);
            }
            Kind::Both => {
                let [one, other] = both(&mut from)?.map(CallRecord::of);
                let (one, other) = (one?, other?);
                self.take_call(one);
                self.take_call(other);
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
                    self.phones.insert(user, Kept::of(&from, phones));
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
                self.farewells.push((until, Kept::of(&from, bytes)));
            }
            Kind::Acknowledged => {
                let (at, refusal): (Timestamp, ServerHandle) = (from.get()?, from.get()?);
                while self.acknowledged.front().is_some_and(|(then, _)| at.since(*then) > H) {
                    self.acknowledged.pop_front();
                }
                self.acknowledged.push_back((at, refusal));
            }
            // What is gone by now does not come back.
            Kind::Notes => {
                let (confirmed, over): (Vec<Confirmed>, Vec<CallId>) = (from.get()?, from.get()?);
                for Confirmed { call, leg, seq } in confirmed {
                    if let Some(parts) = self.calls.get_mut(&call) {
                        parts.confirmed.insert(leg, seq);
                    }
                }
                for call in over {
                    if let Some(parts) = self.calls.get_mut(&call) {
                        parts.over = true;
                    }
                }
            }
        }
        Some(())
    }

    fn take_call(&mut self, CallRecord { head, parts }: CallRecord<'_>) {
        let known = self.calls.entry(head.call).or_default();
        known.seen = head.at;
        known.by_number.extend(parts.into_iter().map(|(part, bytes)| (part, bytes.into())));
        self.latest = head.at;
    }
}

/// A record of a call.
struct CallRecord<'a> {
    head: CallHead<'a>,
    parts: Vec<(u64, &'a [u8])>,
}

impl<'a> CallRecord<'a> {
    /// Reads what follows the kind.
    fn read(from: &mut Reader<'a>) -> Option<CallRecord<'a>> {
        let (head, mut parts) = (CallHead::read(from)?, Vec::new());
        let former = if from.former { FORMER } else { 0 };
        while !from.is_done() {
            parts.push((from.number()? | former, from.bytes()?));
        }
        Some(CallRecord { head, parts })
    }

    fn of(record: &'a [u8]) -> Option<CallRecord<'a>> {
        let mut from = Reader::of(record, None);
        match Kind::read(&mut from)? {
            Kind::Call => CallRecord::read(&mut from),
            _ => None,
        }
    }
}

/// What a call's record begins with.
struct CallHead<'a> {
    call: CallId,
    at: Now,
    /// Empty when it has none.
    cdr: Reader<'a>,
}

impl<'a> CallHead<'a> {
    fn read(from: &mut Reader<'a>) -> Option<CallHead<'a>> {
        Some(CallHead { call: from.get()?, at: from.get()?, cdr: from.inner()? })
    }
}

/// A CDR as a call's record has it.
pub(crate) fn finished(cdr: &Cdr, mut pen: Box<Pen>) -> Record {
    pen.put(cdr, &Names::default());
    Record::of(pen)
}

/// Begins the record of a call, with its CDR or nothing; its parts follow, each with its number
/// and its length.
pub(crate) fn begin_call(pen: &mut Pen, call: CallId, at: Now, cdr: &[u8]) {
    Kind::Call.begin(pen);
    pen.put(&call, &Names::default());
    pen.put(&at, &Names::default());
    pen.bytes(cdr);
}

/// Two records of calls as one: whoever reads it has both or neither.
pub(crate) fn join(one: &[u8], other: &[u8], mut pen: Box<Pen>) -> Record {
    Kind::Both.begin(&mut pen);
    pen.bytes(one);
    pen.bytes(other);
    Record::of(pen)
}

/// Reads what [`join`] has written after the kind.
fn both<'a>(from: &mut Reader<'a>) -> Option<[&'a [u8]; 2]> {
    Some([from.bytes()?, from.bytes()?])
}

/// The records of a call of which nothing but its CDR is kept, and that it is over: for a shell
/// whose engine does not journal its calls.
pub fn alone(cdr: &Cdr, at: Now) -> [Vec<u8>; 2] {
    let image = finished(cdr, Pen::new());
    let call = Pen::writes(|pen| begin_call(pen, cdr.id, at, &image));
    [call, Pen::writes(|pen| gone(cdr.id, pen))]
}

/// The record that nothing of a call is left.
pub(crate) fn gone(call: CallId, pen: &mut Pen) {
    Kind::Gone.begin(pen);
    pen.put(&call, &Names::default());
}

/// The numbers of the parts in a call's record.
#[cfg(debug_assertions)]
pub(crate) fn parts_of(record: &[u8]) -> Vec<u64> {
    let parts = CallRecord::of(record).map_or_else(Vec::new, |record| record.parts);
    parts.into_iter().map(|(part, _)| part).collect()
}

/// The CDRs in a record of the journal: one of a call that has ended, seldom more.
///
/// # Errors
/// The record cannot be read.
pub fn cdrs_of(record: &[u8]) -> Result<Vec<Cdr>, Unreadable> {
    let read = || {
        let mut from = Reader::of(record, None);
        match Kind::read(&mut from)? {
            Kind::Call => cdr_in(CallHead::read(&mut from)?).map(Vec::from_iter),
            Kind::Both => {
                let mut cdrs = Vec::new();
                for record in both(&mut from)? {
                    cdrs.extend(cdr_in(CallRecord::of(record)?.head)?);
                }
                Some(cdrs)
            }
            Kind::Gone | Kind::Phones | Kind::Node => Some(Vec::new()),
            Kind::Farewell | Kind::Acknowledged | Kind::Notes => Some(Vec::new()),
        }
    };
    read().ok_or(Unreadable { length: record.len() })
}

/// The CDR in a call's record, if it has one.
fn cdr_in(mut head: CallHead<'_>) -> Option<Option<Cdr>> {
    if head.cdr.is_done() { Some(None) } else { head.cdr.get().map(Some) }
}

#[cfg(test)]
mod tests;
