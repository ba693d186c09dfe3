//! SIP messages of the simulated user agents, read and written with the `rsip` crate, so that
//! no line of the engine's own parser judges what the engine sent.

use rsip::headers::untyped::{ToTypedHeader, UntypedHeader};
use rsip::message::{HasHeaders, HeadersExt};
use rsip::{Header, Headers, Method, SipMessage};

/// Start line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A request and the user part of its Request-URI (empty without one).
    Request { method: Method, user: String },
    /// A response.
    Response { status: u16 },
}

/// A message with the fields that every dialog needs already taken out.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    pub(crate) start: Start,
    pub(crate) call_id: String,
    pub(crate) from_tag: String,
    pub(crate) to_tag: Option<String>,
    pub(crate) cseq: u32,
    pub(crate) cseq_method: Method,
    pub(crate) branch: String,
    /// Address in `Contact`, ready to be a Request-URI.
    pub(crate) contact: Option<String>,
    pub(crate) body: Vec<u8>,
    headers: Headers,
}

impl Parsed {
    /// Reads a datagram. What `rsip` refuses is an error in words: a fault of the peer.
    pub(crate) fn read(datagram: &[u8]) -> Result<Parsed, String> {
        let message = SipMessage::try_from(datagram).map_err(|e| e.to_string())?;
        let text = |e: rsip::Error| e.to_string();
        let via = message.via_header().map_err(text)?.typed().map_err(text)?;
        let branch = via.branch().ok_or("Via without a branch")?.value().to_owned();
        let cseq = message.cseq_header().map_err(text)?.typed().map_err(text)?;
        let from = message.from_header().map_err(text)?.typed().map_err(text)?;
        let to = message.to_header().map_err(text)?.typed().map_err(text)?;
        let contact = match message.contact_header() {
            Ok(contact) => {
                Some(contact.typed().map_err(|e| format!("Contact: {e}"))?.uri.to_string())
            }
            Err(_) => None,
        };
        let start = match &message {
            SipMessage::Request(request) => Start::Request {
                method: request.method,
                user: request.uri.user().unwrap_or_default().to_owned(),
            },
            SipMessage::Response(response) => {
                Start::Response { status: response.status_code.code() }
            }
        };
        Ok(Parsed {
            start,
            call_id: message.call_id_header().map_err(text)?.value().to_owned(),
            from_tag: from.tag().ok_or("From without a tag")?.value().to_owned(),
            to_tag: to.tag().map(|tag| tag.value().to_owned()),
            cseq: cseq.seq,
            cseq_method: cseq.method,
            branch,
            contact,
            body: message.body().clone(),
            headers: message.headers().clone(),
        })
    }

    /// The status of a response, 0 for a request.
    pub(crate) fn status(&self) -> u16 {
        match self.start {
            Start::Response { status } => status,
            Start::Request { .. } => 0,
        }
    }

    /// The value of a header, by its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }

    /// Every value of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.headers
            .iter()
            .filter_map(|header| {
                let line = header.to_string();
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
            .collect()
    }

    /// The answer to this request: Via, From, To, Call-ID and CSeq copied in order
    /// (RFC 3261 8.2.6.2), our tag added where To has none.
    pub(crate) fn answer(&self, status: u16, local_tag: &str, extra: Vec<Header>) -> Draft {
        let mut headers: Vec<Header> = Vec::with_capacity(8 + extra.len());
        for header in self.headers.iter() {
            match header {
                Header::Via(_) | Header::From(_) | Header::CallId(_) | Header::CSeq(_) => {
                    headers.push(header.clone());
                }
                Header::To(to) if self.to_tag.is_none() && status != 100 => headers
                    .push(rsip::headers::To::new(format!("{};tag={local_tag}", to.value())).into()),
                Header::To(_) => headers.push(header.clone()),
                _ => {}
            }
        }
        headers.extend(extra);
        Draft { start: DraftStart::Response(status), headers, body: Vec::new() }
    }
}

enum DraftStart {
    Request(Method, String),
    Response(u16),
}

/// A message to be sent.
pub(crate) struct Draft {
    start: DraftStart,
    headers: Vec<Header>,
    body: Vec<u8>,
}

impl Draft {
    /// A request with the headers given, in order.
    pub(crate) fn request(method: Method, uri: &str, headers: Vec<Header>) -> Draft {
        Draft { start: DraftStart::Request(method, uri.to_owned()), headers, body: Vec::new() }
    }

    /// The same with a session description.
    pub(crate) fn with_sdp(mut self, sdp: Vec<u8>) -> Draft {
        self.headers.push(rsip::headers::ContentType::new("application/sdp").into());
        self.body = sdp;
        self
    }

    /// The bytes for the wire.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        let length = self.body.len().to_string();
        self.headers.push(rsip::headers::ContentLength::new(length).into());
        let mut out = match &self.start {
            // The Request-URI is a peer's Contact, which goes back as it came (RFC 3261
            // 12.2.1.1); `rsip::Uri` would normalise it.
            DraftStart::Request(method, uri) => format!("{method} {uri} SIP/2.0\r\n"),
            DraftStart::Response(status) => {
                format!("SIP/2.0 {}\r\n", rsip::StatusCode::from(*status))
            }
        };
        out.push_str(&Headers::from(self.headers).to_string());
        out.push_str("\r\n");
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.body);
        out
    }
}

/// A header that `rsip` has no type for.
pub(crate) fn other(name: &str, value: impl Into<String>) -> Header {
    Header::Other(name.to_owned(), value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:0310000101@127.0.0.1:5060 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1;rport\r\n\
        Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK0\r\n\
        From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=a1\r\n\
        To: <sip:0310000101@127.0.0.1:5060>\r\n\
        Call-ID: x@127.0.0.1\r\n\
        CSeq: 1 INVITE\r\n\
        Contact: <sip:gw@127.0.0.1:5070>\r\n\
        Max-Forwards: 70\r\n\
        Content-Length: 0\r\n\r\n";

    #[test]
    fn an_invite_gives_its_dialog_fields() {
        let parsed = Parsed::read(INVITE.as_bytes()).unwrap();
        assert_eq!(
            parsed.start,
            Start::Request { method: Method::Invite, user: "0310000101".into() }
        );
        assert_eq!(parsed.branch, "z9hG4bK1");
        assert_eq!(parsed.from_tag, "a1");
        assert_eq!(parsed.to_tag, None);
        assert_eq!(parsed.contact.as_deref(), Some("sip:gw@127.0.0.1:5070"));
    }

    #[test]
    fn an_answer_copies_every_via_and_adds_our_tag_once() {
        let parsed = Parsed::read(INVITE.as_bytes()).unwrap();
        let ringing = parsed.answer(180, "b2", Vec::new()).bytes();
        let again = Parsed::read(&ringing).unwrap();
        assert_eq!(again.status(), 180);
        assert_eq!(again.to_tag.as_deref(), Some("b2"));
        assert_eq!(again.all("Via").len(), 2);
        let trying = String::from_utf8(parsed.answer(100, "b2", Vec::new()).bytes()).unwrap();
        assert!(!trying.contains("b2"), "{trying}");
    }

    #[test]
    fn a_datagram_that_is_not_sip_is_refused_in_words() {
        assert!(Parsed::read(b"hello").is_err());
        let no_tag = INVITE.replace(";tag=a1", "");
        assert_eq!(Parsed::read(no_tag.as_bytes()).unwrap_err(), "From without a tag");
    }
}
