//! What a request or response must be before anything acts on it.

use super::fields::malformed;
use super::uri::{Scheme, Uri};
use super::via::MAGIC_COOKIE;
use super::{CSeq, HeaderId, Message, Method, ParseError, ParseErrorKind, Start};

/// Fields that stand once. Two readers may each believe another one of two (RFC 4475 3.3.8).
const SINGLE: [HeaderId; 16] = [
    HeaderId::From,
    HeaderId::To,
    HeaderId::CallId,
    HeaderId::CSeq,
    HeaderId::MaxForwards,
    HeaderId::ContentLength,
    HeaderId::ContentType,
    HeaderId::Expires,
    HeaderId::SessionExpires,
    HeaderId::MinSe,
    HeaderId::RAck,
    HeaderId::RSeq,
    HeaderId::ReferTo,
    HeaderId::Replaces,
    HeaderId::Event,
    HeaderId::SubscriptionState,
];

/// Address lists that the engine acts on, in requests and responses.
const ADDRESSES: [HeaderId; 3] = [HeaderId::Contact, HeaderId::RecordRoute, HeaderId::Route];

impl<'a> Message<'a> {
    /// Everything that RFC 3261 8.1.1 demands of a request: the mandatory fields once and
    /// well-formed, a Request-URI that can be acted on, CSeq with the request's method, a body
    /// as long as Content-Length says. The error says what the answer should be.
    pub fn check_request(&self) -> Result<(), ParseError> {
        let Start::Request { method, uri } = self.start() else {
            return Err(ParseErrorKind::StartLine.into());
        };
        self.fault()?;
        check_request_uri(uri)?;
        let cseq = self.check_common()?;
        if cseq.method != method {
            return Err(ParseErrorKind::CSeqMethod.into());
        }
        self.max_forwards()?;
        for id in ADDRESSES {
            let star = id == HeaderId::Contact && method == Method::Register;
            if star && self.contact_is_star() {
                // RFC 3261 10.3 step 6: the star stands alone.
                if self.count(id) > 1 {
                    return Err(malformed(id));
                }
                continue;
            }
            self.check_addresses(id)?;
        }
        Ok(())
    }

    /// The same for a response, which is dropped when it fails (RFC 3261 8.1.3, 18.1.2).
    pub fn check_response(&self) -> Result<(), ParseError> {
        if self.is_request() {
            return Err(ParseErrorKind::StartLine.into());
        }
        self.fault()?;
        self.check_common()?;
        self.check_addresses(HeaderId::Contact)?;
        self.check_addresses(HeaderId::RecordRoute)
    }

    fn check_common(&self) -> Result<CSeq<'a>, ParseError> {
        if let Some(id) =
            SINGLE.into_iter().filter(|_| self.repeated).find(|id| self.is_repeated(*id))
        {
            return Err(ParseErrorKind::Repeated(id).into());
        }
        let via = self.top_via()?;
        let alone = self.first(HeaderId::Via).is_some_and(|value| value.len() == via.raw.len());
        if !alone || self.is_repeated(HeaderId::Via) {
            self.vias().try_for_each(|via| via.map(|_| ()))?;
        }
        // RFC 3261 8.1.1.7: the cookie alone makes no branch unique (RFC 4475 3.2.1).
        if via.branch == Some(MAGIC_COOKIE) {
            return Err(malformed(HeaderId::Via));
        }
        self.from()?;
        self.to()?;
        self.call_id()?;
        self.cseq()
    }

    fn check_addresses(&self, id: HeaderId) -> Result<(), ParseError> {
        if id == HeaderId::Contact {
            // The first one is nearly always alone, and read again by the call.
            let Some(first) = self.first_contact().transpose()? else { return Ok(()) };
            let alone = self.first(id).is_some_and(|value| value.len() == first.raw.len());
            if alone && !self.is_repeated(id) {
                return Ok(());
            }
        }
        self.addresses(id).try_for_each(|address| address.map(|_| ()))
    }
}

/// No brackets, no white space, no header fields (RFC 3261 19.1.5), a scheme that we serve.
fn check_request_uri(text: &str) -> Result<(), ParseError> {
    let uri = Uri::parse(text).map_err(|_| ParseErrorKind::RequestUri)?;
    if uri.headers.is_some() {
        return Err(ParseErrorKind::RequestUri.into());
    }
    match uri.scheme {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => Ok(()),
        Scheme::Other => Err(ParseErrorKind::UriScheme.into()),
    }
}
