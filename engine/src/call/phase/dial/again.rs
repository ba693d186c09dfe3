//! The INVITE of a callee leg once more, with something changed that the callee asked for.

use crate::call::leg::Invite;
use crate::call::{Call, finish};
use crate::core::Core;
use crate::sip::syntax::{HeaderId, Message, Start};

/// Written anew, or belonging to the body.
const OWN: [HeaderId; 4] =
    [HeaderId::Via, HeaderId::CSeq, HeaderId::ContentType, HeaderId::ContentLength];

impl Call {
    /// Sends the INVITE of `leg` again: same Call-ID and From tag, CSeq one higher (RFC 3261
    /// 8.1.3.5), without the headers in `without`, with `lines` added. False when it cannot be:
    /// it has been answered.
    pub(in crate::call::phase) fn invite_again(
        &mut self,
        core: &mut Core,
        leg: u16,
        without: &[HeaderId],
        lines: &str,
    ) -> bool {
        let Some(sent) = self.leg_mut(leg).invite_sent.take() else { return false };
        // Our own request: it parses.
        let Ok(msg) = Message::parse_datagram(&sent) else { return false };
        let Start::Request { uri, .. } = msg.start() else { return false };
        let owner = self.owner(leg);
        let seq = self.leg_mut(leg).dialog.next_seq();
        let flow = self.leg(leg).dialog.flow;
        let (transactions, io, faces) = core.writer();
        let client = transactions.request(io, flow, true, Some(owner), |out, branch| {
            for part in ["INVITE ", uri, " SIP/2.0\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
            faces.via(flow, branch, out);
            for header in msg.headers() {
                if !OWN.contains(&header.id) && !without.contains(&header.id) {
                    header.write_to(out);
                }
            }
            out.extend_from_slice(format!("CSeq: {seq} INVITE\r\n{lines}").as_bytes());
            let content = msg.content_type().map(|kind| (kind, msg.body()));
            finish(out, content);
        });
        let sent = core.transactions.sent(client);
        let leg = self.leg_mut(leg);
        leg.renewed();
        (leg.invite, leg.invite_seq, leg.invite_sent) = (Invite::Sent(client), seq, sent);
        leg.early = Vec::new();
        leg.heard = None;
        true
    }
}
