//! The messages of a call as they are written: one pass into the scratch buffer.

use std::sync::Arc;

use crate::core::{ALLOW, Core, Faces, SUPPORTED};
use crate::input::Flow;
use crate::io::Io;
use crate::sip::dialog::Dialog;
use crate::sip::syntax::{Header, HeaderId, Message, compact_names, put_number};
use crate::sip::token::Branch;
use crate::sip::transaction::{ClientHandle, Owner, ServerHandle, Transactions};
use crate::sip::transport::LARGEST_DATAGRAM;

/// Content type of session descriptions.
pub(crate) const SDP: &str = "application/sdp";

/// Headers that pass from the caller to the callee as they are. Everything else of the caller's
/// INVITE ends here: no address, route or identity leaks across.
const PASSED: [HeaderId; 5] = [
    HeaderId::Subject,
    HeaderId::Identity,
    HeaderId::Priority,
    HeaderId::UserToUser,
    HeaderId::PEarlyMedia,
];
/// Bytes of passed headers: a 4 kB Identity and some more.
const MAX_PASSED: usize = 8192;

/// Collects the header lines that pass across: those above, and those that the caller's trunk
/// names.
pub(crate) fn passed_headers(msg: &Message<'_>, names: &[Box<str>]) -> Box<[u8]> {
    let mut lines = Vec::new();
    let passes = |header: &Header<'_>| {
        PASSED.contains(&header.id)
            || names.iter().any(|name| name.eq_ignore_ascii_case(header.name))
    };
    for header in msg.headers().filter(passes) {
        if lines.len() + header.raw.len() <= MAX_PASSED {
            header.write_to(&mut lines);
        }
    }
    lines.into()
}

/// Writes Content-Type, Content-Length, the blank line and the body.
pub(crate) fn finish(out: &mut Vec<u8>, content: Option<(&str, &[u8])>) {
    let Some((kind, body)) = content else {
        return out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    };
    parts(out, &["Content-Type: ", kind, "\r\nContent-Length: "]);
    put_number(out, body.len() as u64);
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

fn parts(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Writes `Allow`.
pub(crate) fn allow(out: &mut Vec<u8>) {
    out.extend_from_slice(b"Allow: ");
    out.extend_from_slice(ALLOW.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes `Supported`.
pub(crate) fn supported(out: &mut Vec<u8>) {
    out.extend_from_slice(b"Supported: ");
    out.extend_from_slice(SUPPORTED.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// RFC 3326: why a request or answer ends something.
pub(crate) fn reason_line(q850: u8) -> Vec<u8> {
    let mut line = Vec::with_capacity(32);
    line.extend_from_slice(b"Reason: Q.850;cause=");
    put_number(&mut line, q850.into());
    line.extend_from_slice(b"\r\n");
    line
}

/// A request within a dialog.
pub(crate) struct InDialog<'a> {
    pub(crate) method: &'a str,
    pub(crate) seq: u32,
    /// Header lines to add, whole.
    pub(crate) extra: &'a [u8],
    pub(crate) content: Option<(&'a str, &'a [u8])>,
}

impl InDialog<'_> {
    fn write(
        &self,
        dialog: &Dialog,
        (faces, flow): (Faces<'_>, Flow),
        branch: Branch,
        out: &mut Vec<u8>,
    ) {
        let (uri, routes) = dialog.request_line();
        parts(out, &[self.method, " ", uri, " SIP/2.0\r\n"]);
        faces.via(flow, branch, out);
        out.extend_from_slice(b"Max-Forwards: 70\r\nFrom: ");
        out.extend_from_slice(&dialog.local);
        out.extend_from_slice(b"\r\nTo: ");
        out.extend_from_slice(&dialog.remote);
        parts(out, &["\r\nCall-ID: ", &dialog.call_id, "\r\nCSeq: "]);
        put_number(out, self.seq.into());
        parts(out, &[" ", self.method, "\r\n"]);
        for route in routes {
            parts(out, &["Route: ", &route, "\r\n"]);
        }
        if matches!(self.method, "INVITE" | "UPDATE" | "NOTIFY") {
            faces.contact(dialog.flow, out);
            allow(out);
        }
        if let Some(session) = &dialog.style.session {
            session.write(out);
        }
        out.extend_from_slice(self.extra);
        finish(out, self.content);
        if dialog.style.compact {
            compact_names(out);
        }
    }
}

/// Sends a request within a dialog by a transaction of its own.
pub(crate) fn send(
    core: &mut Core,
    dialog: &Dialog,
    request: &InDialog<'_>,
    owner: Option<Owner>,
) -> ClientHandle {
    let flow = core.next_hop(dialog);
    let ways = (flow, core.large_hop(dialog, flow));
    let (transactions, io, faces) = core.writer();
    let who = (request.method == "INVITE", owner);
    transactions.request_of_any_size(io, ways, who, |out, branch, flow| {
        request.write(dialog, (faces, flow), branch, out);
    })
}

/// Sends the ACK to a 2xx (RFC 3261 13.2.2.4): a transaction of nobody. One that would be too
/// large for a datagram goes by TCP (18.1.1). Returns it as it goes by the dialog's own way,
/// which is how it goes when the 2xx comes again.
pub(crate) fn send_ack(
    core: &mut Core,
    dialog: &Dialog,
    seq: u32,
    content: Option<(&str, &[u8])>,
) -> Arc<[u8]> {
    let flow = core.next_hop(dialog);
    let ack = InDialog { method: "ACK", seq, extra: b"", content };
    let bytes = write_ack(core, dialog, &ack, flow);
    let large = (bytes.len() > LARGEST_DATAGRAM).then(|| core.large_hop(dialog, flow)).flatten();
    match large {
        Some(large) => {
            let bytes = write_ack(core, dialog, &ack, large);
            core.io.transmit(large, bytes);
        }
        None => core.io.transmit(flow, bytes.clone()),
    }
    bytes
}

/// Sends the ACK to a 2xx that has come again: by the dialog's own way, for whatever it went by
/// before has not brought it there.
pub(crate) fn send_ack_again(core: &mut Core, dialog: &Dialog, seq: u32) {
    let flow = core.next_hop(dialog);
    let ack = InDialog { method: "ACK", seq, extra: b"", content: None };
    let bytes = write_ack(core, dialog, &ack, flow);
    core.io.retransmit(flow, bytes);
}

fn write_ack(core: &mut Core, dialog: &Dialog, ack: &InDialog<'_>, flow: Flow) -> Arc<[u8]> {
    let shard = core.config.shard;
    let (_, io, faces) = core.writer();
    // No client transaction has this handle: an answer to an ACK matches nothing.
    let branch = Branch { shard, transaction: u64::MAX, random: io.rng.next_u64() };
    io.compose(|out| ack.write(dialog, (faces, flow), branch, out))
}

/// An answer to a request of a leg.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// Our tag of the dialog.
    pub(crate) tag: Option<&'a str>,
    /// Header lines to add, whole.
    pub(crate) extra: &'a [u8],
    /// A dialog is made or confirmed: Contact and Allow are due (RFC 3261 12.1.1).
    pub(crate) contact: Option<Flow>,
    pub(crate) content: Option<(&'a str, &'a [u8])>,
}

impl<'a> Answer<'a> {
    /// A plain answer.
    pub(crate) fn plain(status: u16, tag: Option<&'a str>) -> Answer<'a> {
        Answer { status, tag, extra: b"", contact: None, content: None }
    }
}

/// Answers; the bytes are returned for 2xx to INVITE, which the call resends.
pub(crate) fn answer(
    core: &mut Core,
    server: ServerHandle,
    answer: &Answer<'_>,
) -> Option<Arc<[u8]>> {
    let (transactions, io, faces): (&mut Transactions, &mut Io, Faces<'_>) = core.writer();
    transactions.respond(io, server, answer.status, answer.tag, |out| {
        if let Some(flow) = answer.contact {
            faces.contact(flow, out);
            allow(out);
            supported(out);
        }
        out.extend_from_slice(answer.extra);
        finish(out, answer.content);
    })
}

#[cfg(test)]
mod tests {
    use super::{Message, passed_headers};

    #[test]
    fn headers_that_pass_are_whole_lines_and_clean() {
        let invite = b"INVITE sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nSubject : one\r\n two\0\r\n\
                       y: a.b.c;info=<x>\r\nX-Billing: 0\r\n\r\n";
        let message = Message::parse_datagram(invite).expect("a message");
        let lines = passed_headers(&message, &[]);
        assert_eq!(&*lines, b"Subject: one two \r\ny: a.b.c;info=<x>\r\n");
        let lines = passed_headers(&message, &["x-BILLING".into()]);
        assert!(lines.ends_with(b"\r\nX-Billing: 0\r\n"));
    }
}
