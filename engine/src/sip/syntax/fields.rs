//! Typed header fields, read when they are asked for.

use super::name_addr::{NameAddr, NameAddrs};
use super::scan::{self, Cursor, LWS, TOKEN};
use super::via::{self, Via};
use super::{
    Challenge, Credentials, HeaderId, Message, Method, ParseError, ParseErrorKind, Values,
};

/// `CSeq` (RFC 3261 20.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Less than 2^31 (RFC 3261 8.1.1.5).
    pub number: u32,
    /// The method that the number counts.
    pub method: Method<'a>,
}

/// `RAck` (RFC 3262 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck<'a> {
    /// The RSeq of the provisional answer.
    pub response: u32,
    /// The CSeq of the request that was answered.
    pub cseq: CSeq<'a>,
}

/// The first CSeq number that is too great.
const CSEQ_LIMIT: u64 = 1 << 31;

impl<'a> Message<'a> {
    /// The topmost Via hop.
    pub fn top_via(&self) -> Result<Via<'a>, ParseError> {
        let read = || self.vias().next().unwrap_or(Err(missing(HeaderId::Via)));
        *self.read.top_via.get_or_init(read)
    }

    /// Every Via hop, over comma lists and repeated fields. Ends after a malformed one.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'a>, ParseError>> {
        Vias { values: self.all(HeaderId::Via), current: None }
    }

    /// `From`.
    pub fn from(&self) -> Result<NameAddr<'a>, ParseError> {
        *self.read.from.get_or_init(|| self.party(HeaderId::From))
    }

    /// `To`.
    pub fn to(&self) -> Result<NameAddr<'a>, ParseError> {
        *self.read.to.get_or_init(|| self.party(HeaderId::To))
    }

    /// `Call-ID`.
    pub fn call_id(&self) -> Result<&'a str, ParseError> {
        *self.read.call_id.get_or_init(|| self.read_call_id())
    }

    fn read_call_id(&self) -> Result<&'a str, ParseError> {
        if self.first(HeaderId::CallId).is_none() {
            return Err(missing(HeaderId::CallId));
        }
        // All bytes are looked at, in wide registers, rather than up to the first bad one.
        let visible = |text: &&str| text.bytes().fold(true, |all, b| all & b.is_ascii_graphic());
        let text = self.text(HeaderId::CallId).filter(|text| !text.is_empty()).filter(visible);
        text.ok_or(malformed(HeaderId::CallId))
    }

    /// `CSeq`.
    pub fn cseq(&self) -> Result<CSeq<'a>, ParseError> {
        *self.read.cseq.get_or_init(|| {
            let mut cursor = self.cursor(HeaderId::CSeq).ok_or(missing(HeaderId::CSeq))?;
            read_cseq(&mut cursor).ok_or(malformed(HeaderId::CSeq))
        })
    }

    /// `RAck`.
    pub fn rack(&self) -> Result<RAck<'a>, ParseError> {
        let value = self.first(HeaderId::RAck).ok_or(missing(HeaderId::RAck))?;
        let mut cursor = Cursor::new(value);
        let response = scan::number(cursor.take(TOKEN)).and_then(|n| u32::try_from(n).ok());
        cursor.skip_lws();
        let rack = response.zip(read_cseq(&mut cursor));
        rack.map(|(response, cseq)| RAck { response, cseq }).ok_or(malformed(HeaderId::RAck))
    }

    /// `Max-Forwards`, 0 to 255 (RFC 3261 20.22). Absent in requests of RFC 2543.
    pub fn max_forwards(&self) -> Result<Option<u8>, ParseError> {
        let Some(value) = self.first(HeaderId::MaxForwards) else { return Ok(None) };
        let hops = scan::number(value).and_then(|hops| u8::try_from(hops).ok());
        hops.map(Some).ok_or(malformed(HeaderId::MaxForwards))
    }

    /// A field that is a number of seconds or a counter at its front (`Expires`, `Min-Expires`,
    /// `RSeq`, `Session-Expires`, `Retry-After`): parameters and comments are passed over.
    /// `None` when absent or no number below 2^32.
    pub fn leading_number(&self, id: HeaderId) -> Option<u32> {
        let digits = Cursor::new(self.first(id)?).take(TOKEN);
        scan::number(digits).and_then(|number| u32::try_from(number).ok())
    }

    /// The first `Contact`; `None` when there is none.
    pub fn contact(&self) -> Result<Option<NameAddr<'a>>, ParseError> {
        self.first_contact().transpose()
    }

    /// Whether Contact is the star that removes every binding (RFC 3261 10.2.2).
    pub fn contact_is_star(&self) -> bool {
        self.all(HeaderId::Contact).any(|value| value == b"*")
    }

    /// The addresses of a field: comma lists and repeated fields alike, in order.
    pub fn addresses(&self, id: HeaderId) -> NameAddrs<'_, 'a> {
        NameAddrs::new(id, self.all(id))
    }

    /// The elements of a comma list of tokens, over repeated fields; of an element with
    /// parameters the part before them. Empty elements are passed over.
    pub fn tokens(&self, id: HeaderId) -> impl Iterator<Item = &'a str> {
        self.all(id)
            .flat_map(|value| value.split(|b| *b == b','))
            .map(|element| element.split(|b| *b == b';').next().unwrap_or_default())
            .filter_map(|element| scan::text(scan::trim(element)))
            .filter(|element| !element.is_empty())
    }

    /// Type and subtype of the body, without parameters.
    pub fn content_type(&self) -> Option<&'a str> {
        self.text(HeaderId::ContentType)?.split(';').next().map(str::trim)
    }

    /// The digest credentials in `Authorization` or `Proxy-Authorization`; other schemes and
    /// malformed ones are passed over.
    pub fn credentials(&self, id: HeaderId) -> impl Iterator<Item = Credentials<'a>> {
        self.all(id).filter_map(Credentials::parse)
    }

    /// The digest challenges in `WWW-Authenticate` or `Proxy-Authenticate`; other schemes and
    /// malformed ones are passed over.
    pub fn challenges(&self, id: HeaderId) -> impl Iterator<Item = Challenge<'a>> {
        self.all(id).filter_map(Challenge::parse)
    }

    /// The first Contact, read once.
    pub(super) fn first_contact(&self) -> Option<Result<NameAddr<'a>, ParseError>> {
        *self.read.contact.get_or_init(|| self.addresses(HeaderId::Contact).next())
    }

    fn party(&self, id: HeaderId) -> Result<NameAddr<'a>, ParseError> {
        let cursor = self.cursor(id).ok_or(missing(id))?;
        NameAddr::read(cursor).ok_or(malformed(id))
    }
}

pub(super) fn missing(id: HeaderId) -> ParseError {
    ParseErrorKind::Missing(id).into()
}

pub(super) fn malformed(id: HeaderId) -> ParseError {
    ParseErrorKind::Malformed(id).into()
}

fn read_cseq<'a>(cursor: &mut Cursor<'a>) -> Option<CSeq<'a>> {
    let number = scan::number(cursor.take(TOKEN)).filter(|number| *number < CSEQ_LIMIT)?;
    cursor.peek().is_some_and(|b| scan::is(b, LWS)).then(|| cursor.skip_lws())?;
    let method = cursor.take_str(TOKEN)?;
    (!method.is_empty() && cursor.rest.is_empty()).then_some(())?;
    let method = Method::parse(method);
    Some(CSeq { number: u32::try_from(number).ok()?, method })
}

struct Vias<'m, 'a> {
    values: Values<'m, 'a>,
    current: Option<Cursor<'a>>,
}

impl<'a> Iterator for Vias<'_, 'a> {
    type Item = Result<Via<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut cursor = match self.current.take() {
            Some(cursor) => cursor,
            None => self.values.next_cursor()?,
        };
        match Via::take(&mut cursor) {
            Some(via) if cursor.rest.is_empty() => Some(Ok(via)),
            Some(via) if cursor.eat(b',') => {
                self.current = Some(cursor);
                Some(Ok(via))
            }
            _ => {
                self.values = Values::none();
                Some(Err(via::MALFORMED))
            }
        }
    }
}
