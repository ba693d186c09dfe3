//! The part of a response that is copied from its request (RFC 3261 8.2.6.2), kept from the
//! request's arrival until the final answer.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::input::Flow;
use crate::journal::image;
use crate::sip::syntax::{HeaderId, Message, ParseError, Via, reason_phrase};

/// Via, From, To, Call-ID and CSeq of a request, as response lines, and where answers go.
#[derive(Clone, Debug)]
pub(crate) struct ResponseHead {
    /// All lines; To without the end of its line.
    lines: Box<[u8]>,
    /// Where To's value ends.
    to_end: usize,
    /// The request had a To tag: no other is added.
    has_tag: bool,
    /// RFC 3261 18.2.2 and RFC 3581 4.
    pub(crate) flow: Flow,
    /// Where a new connection for answers goes when that of the request is gone.
    pub(crate) sent_by_port: u16,
}

impl ResponseHead {
    /// Takes them from a request that came by `flow`.
    pub(crate) fn of(msg: &Message<'_>, flow: Flow) -> Result<ResponseHead, ParseError> {
        let via = msg.top_via()?;
        let source = flow.remote;
        let mut lines = Vec::with_capacity(512);
        let mut vias = msg.fields(HeaderId::Via);
        if let Some(top) = vias.next() {
            write_top_via(top.value, &via, source, &mut lines);
        }
        for header in vias {
            write_line("Via", header.value, &mut lines);
        }
        let mut reply = flow;
        let sent_by_port = via.port.unwrap_or(flow.transport.default_port());
        // RFC 3261 18.2.2: over a stream the answer goes back by the connection.
        if !flow.is_reliable() && via.rport.is_none() {
            reply.remote = SocketAddr::new(source.ip(), sent_by_port);
        }
        let copy = |id: HeaderId, lines: &mut Vec<u8>| {
            if let Some(value) = msg.first(id) {
                write_line(id.name(), value, lines);
            }
        };
        for header in msg.fields(HeaderId::RecordRoute) {
            write_line("Record-Route", header.value, &mut lines);
        }
        copy(HeaderId::From, &mut lines);
        copy(HeaderId::CallId, &mut lines);
        copy(HeaderId::CSeq, &mut lines);
        copy(HeaderId::To, &mut lines);
        lines.truncate(lines.len().saturating_sub(2));
        let has_tag = msg.to().ok().and_then(|to| to.tag()).is_some();
        Ok(ResponseHead {
            to_end: lines.len(),
            lines: lines.into(),
            has_tag,
            flow: reply,
            sent_by_port,
        })
    }

    /// A whole 100.
    pub(crate) fn trying(&self) -> Arc<[u8]> {
        let mut out = Vec::with_capacity(self.lines.len() + 64);
        self.begin(100, None, &mut out);
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        out.into()
    }

    /// Begins a response: status line and the copied lines, To with `tag` unless it has one.
    pub(crate) fn begin(&self, status: u16, tag: Option<&str>, out: &mut Vec<u8>) {
        self.begin_saying(status, reason_phrase(status), tag, out);
    }

    /// The same with a reason phrase of its own: RFC 3261 21.4.1 wants it to say what is wrong.
    pub(crate) fn begin_saying(
        &self,
        status: u16,
        phrase: &str,
        tag: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        status_line(status, phrase, out);
        out.extend_from_slice(&self.lines[..self.to_end]);
        if let Some(tag) = tag.filter(|_| !self.has_tag) {
            out.extend_from_slice(b";tag=");
            out.extend_from_slice(tag.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The first line of a response.
pub(crate) fn status_line(status: u16, phrase: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"SIP/2.0 ");
    out.extend_from_slice(&[
        b'0' + (status / 100 % 10) as u8,
        b'0' + (status / 10 % 10) as u8,
        b'0' + (status % 10) as u8,
        b' ',
    ]);
    out.extend_from_slice(phrase.as_bytes());
    out.extend_from_slice(b"\r\n");
}

image!(struct ResponseHead { lines, to_end, has_tag, flow } later { sent_by_port });

/// RFC 3261 18.2.1 and RFC 3581 4: the top Via says where the request really came from.
fn write_top_via(value: &[u8], via: &Via<'_>, source: SocketAddr, out: &mut Vec<u8>) {
    use std::io::Write;
    let ip = source.ip().to_canonical();
    let other_host = via.host.parse() != Ok(ip);
    let first_end = via.raw.len().min(value.len());
    let (first, rest) = value.split_at(first_end);
    out.extend_from_slice(b"Via: ");
    if via.rport.is_none() && !other_host {
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
        return;
    }
    // Parameters that say so already are the client's claim, not ours: leave them out.
    let mut parts = first.split(|byte| *byte == b';');
    out.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        if !name.eq_ignore_ascii_case(b"rport") && !name.eq_ignore_ascii_case(b"received") {
            out.push(b';');
            out.extend_from_slice(part);
        }
    }
    // Writing into a Vec cannot fail.
    let _ = match (other_host || via.rport.is_some(), via.rport.is_some()) {
        (_, true) => write!(out, ";received={ip};rport={}", source.port()),
        (true, false) => write!(out, ";received={ip}"),
        (false, false) => Ok(()),
    };
    out.extend_from_slice(rest);
    out.extend_from_slice(b"\r\n");
}

fn write_line(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
