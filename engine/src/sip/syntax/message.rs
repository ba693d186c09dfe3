//! A message as an index over its bytes: where each header field is, nothing copied.

use std::cell::OnceCell;

use super::header::Header;
use super::index::{Fault, Slot};
use super::scan::{self, Cursor};
use super::{CSeq, HeaderId, Method, NameAddr, ParseError, ParseErrorKind, Via};

/// The longest datagram that is read. A SIP message with SDP and two Identity header fields is
/// about 10 kB; what is longer than this is no telephone call.
pub const MAX_DATAGRAM: usize = 16 * 1024;

/// The most header fields of a message: gateways send 20 to 30, a long Via chain 70 at most,
/// by Max-Forwards.
pub const MAX_HEADERS: usize = 96;

/// The longest header field, folding included. An Identity header field (RFC 8224) is up to
/// 4 kB, and certificates make it grow.
pub const MAX_HEADER_LINE: usize = 8 * 1024;

/// A start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// A request.
    Request {
        /// What is asked.
        method: Method<'a>,
        /// The Request-URI as written; empty when it is not even text.
        uri: &'a str,
    },
    /// A response.
    Response {
        /// 100 to 699.
        status: u16,
        /// The reason phrase, which may be empty and in any encoding.
        reason: &'a [u8],
    },
}

/// An index over one message.
///
/// A request that is SIP but malformed is indexed as far as it goes, so that it can be answered:
/// [`Message::check_request`] says what is wrong with it, and nothing else of the engine may act
/// on a request that did not pass it.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    pub(super) bytes: &'a [u8],
    /// The header block as text, when all of it is UTF-8, as it nearly always is.
    pub(super) head: Option<&'a str>,
    pub(super) start: Start<'a>,
    pub(super) slots: [Slot; MAX_HEADERS],
    pub(super) count: u8,
    /// The link to the first slot of each id.
    pub(super) first: [u8; HeaderId::COUNT],
    pub(super) body: &'a [u8],
    /// Some id has more than one field.
    pub(super) repeated: bool,
    pub(super) fault: Fault,
    pub(super) read: Read<'a>,
}

/// Fields that every layer asks for, read when the first one does: the check of a request, its
/// transaction, its dialog and its call all want the same few.
#[derive(Clone, Debug, Default)]
pub(super) struct Read<'a> {
    pub(super) top_via: OnceCell<Result<Via<'a>, ParseError>>,
    pub(super) from: OnceCell<Result<NameAddr<'a>, ParseError>>,
    pub(super) to: OnceCell<Result<NameAddr<'a>, ParseError>>,
    pub(super) call_id: OnceCell<Result<&'a str, ParseError>>,
    pub(super) cseq: OnceCell<Result<CSeq<'a>, ParseError>>,
    pub(super) contact: OnceCell<Option<Result<NameAddr<'a>, ParseError>>>,
}

impl<'a> Message<'a> {
    /// Indexes a datagram. Bytes beyond Content-Length are dropped (RFC 3261 18.3).
    ///
    /// An error means that there is nothing to answer: no SIP, or a response that is malformed.
    pub fn parse_datagram(bytes: &'a [u8]) -> Result<Self, ParseError> {
        super::index::index(bytes, |parsed| parsed.cloned())
    }

    /// [`Message::parse_datagram`] for one who only looks at the message.
    pub(crate) fn of_datagram<R>(
        bytes: &'a [u8],
        then: impl FnOnce(Result<&Self, ParseError>) -> R,
    ) -> R {
        super::index::index(bytes, then)
    }

    /// The start line.
    pub fn start(&self) -> Start<'a> {
        self.start
    }

    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The method of a request; `None` of a response.
    pub fn method(&self) -> Option<Method<'a>> {
        match self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The status of a response; `None` of a request.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// Every header field in order.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> {
        self.slots.iter().take(self.count.into()).filter_map(|slot| self.header(slot))
    }

    /// The fields with this id, in order, to be copied.
    pub fn fields(&self, id: HeaderId) -> impl Iterator<Item = Header<'a>> {
        self.slots_of(id).filter_map(|slot| self.header(slot))
    }

    /// The value of the first field with this id.
    #[inline]
    pub fn first(&self, id: HeaderId) -> Option<&'a [u8]> {
        self.slot(*self.first.get(id as usize)?).and_then(|slot| self.value(slot))
    }

    /// The values of every field with this id, in order; comma lists are not taken apart.
    pub fn all(&self, id: HeaderId) -> Values<'_, 'a> {
        let next = self.first.get(id as usize).copied().unwrap_or(Slot::NONE);
        Values { message: Some(self), next }
    }

    /// How many fields have this id.
    pub fn count(&self, id: HeaderId) -> usize {
        self.slots_of(id).count()
    }

    /// Whether more than one field has this id.
    pub fn is_repeated(&self, id: HeaderId) -> bool {
        if !self.repeated {
            return false;
        }
        let first = self.first.get(id as usize).and_then(|link| self.slot(*link));
        first.is_some_and(|slot| slot.next != Slot::NONE)
    }

    /// The value of the first field with this id, if it is UTF-8.
    pub fn text(&self, id: HeaderId) -> Option<&'a str> {
        let slot = self.slot(*self.first.get(id as usize)?)?;
        match self.head {
            Some(head) => head.get(slot.value.into()..slot.end.into()),
            None => scan::text(self.value(slot)?),
        }
    }

    /// A cursor at the first value with this id.
    pub(super) fn cursor(&self, id: HeaderId) -> Option<Cursor<'a>> {
        self.cursor_at(self.slot(*self.first.get(id as usize)?)?)
    }

    #[inline]
    fn cursor_at(&self, slot: &Slot) -> Option<Cursor<'a>> {
        match self.head.and_then(|head| head.get(slot.value.into()..slot.end.into())) {
            Some(text) => Some(Cursor::of_text(text)),
            None => self.value(slot).map(Cursor::new),
        }
    }

    /// The body, cut to Content-Length.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The whole message as it came, from the start line to the end of the body.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The structural fault that the index met, if any.
    pub(super) fn fault(&self) -> Result<(), ParseError> {
        self.fault.into_result()
    }

    /// The slot that a link names.
    #[inline]
    fn slot(&self, link: u8) -> Option<&Slot> {
        self.slots.get(usize::from(link.checked_sub(1)?))
    }

    fn slots_of(&self, id: HeaderId) -> impl Iterator<Item = &Slot> {
        let first = self.first.get(id as usize).and_then(|link| self.slot(*link));
        std::iter::successors(first, |slot| self.slot(slot.next))
    }

    #[inline]
    fn value(&self, slot: &Slot) -> Option<&'a [u8]> {
        self.bytes.get(slot.value.into()..slot.end.into())
    }

    fn header(&self, slot: &Slot) -> Option<Header<'a>> {
        let (start, name_end) = (usize::from(slot.start), usize::from(slot.name_end));
        let name = match self.head {
            Some(head) => head.get(start..name_end)?,
            None => scan::text(self.bytes.get(start..name_end)?)?,
        };
        Some(Header {
            id: slot.id,
            name,
            value: self.value(slot)?,
            raw: self.bytes.get(start..slot.end.into())?,
            plain: slot.plain,
        })
    }
}

/// Values of the fields that have one id.
#[derive(Clone, Debug)]
pub struct Values<'m, 'a> {
    message: Option<&'m Message<'a>>,
    next: u8,
}

impl<'a> Values<'_, 'a> {
    /// The end of every list.
    pub(super) fn none() -> Self {
        Values { message: None, next: Slot::NONE }
    }

    /// A cursor at the next value.
    pub(super) fn next_cursor(&mut self) -> Option<Cursor<'a>> {
        let message = self.message?;
        let slot = message.slot(self.next)?;
        self.next = slot.next;
        message.cursor_at(slot)
    }
}

impl<'a> Iterator for Values<'_, 'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let message = self.message?;
        let slot = message.slot(self.next)?;
        self.next = slot.next;
        message.value(slot)
    }
}

impl From<ParseErrorKind> for Fault {
    fn from(kind: ParseErrorKind) -> Self {
        Fault(Some(kind))
    }
}
