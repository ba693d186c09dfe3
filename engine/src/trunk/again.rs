//! A request once more, with credentials (RFC 3261 22.2, 8.1.3.5): the same Call-ID, From tag and
//! body; the next CSeq and a branch of its own.

use crate::core::Core;
use crate::sip::syntax::{HeaderId, Message, Start};
use crate::sip::transaction::{Challenged, ClientHandle, Owner};

/// Sends it. `id` is the header that `line` is; one of an earlier attempt goes.
pub(crate) fn send_again(
    core: &mut Core,
    challenged: &Challenged,
    owner: Owner,
    (id, line): (HeaderId, &str),
) -> Option<(ClientHandle, u32)> {
    let msg = Message::parse_datagram(&challenged.request).ok()?;
    let Start::Request { uri, .. } = msg.start() else { return None };
    let cseq = msg.cseq().ok()?;
    let (method, seq) = (cseq.method.as_str(), cseq.number.checked_add(1)?);
    let flow = challenged.flow;
    let (transactions, io, faces) = core.writer();
    let invite = method == "INVITE";
    let client = transactions.request(io, flow, invite, Some(owner), |out, branch| {
        for part in [method, " ", uri, " SIP/2.0\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        faces.via(flow, branch, out);
        for header in msg.headers().filter(|one| one.id != HeaderId::Via && one.id != id) {
            if header.id == HeaderId::CSeq {
                out.extend_from_slice(format!("CSeq: {seq} {method}\r\n{line}").as_bytes());
            } else {
                header.write_to(out);
            }
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(msg.body());
    });
    Some((client, seq))
}
