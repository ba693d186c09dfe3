//! Refusals that cost nothing: an answer outside any transaction and any call, chosen from the
//! request alone. The same request gets the same answer again.

use crate::call::{SDP, finish};
use crate::config::UnknownPeer;
use crate::core::ALLOW;
use crate::engine::Engine;
use crate::input::{Flow, Transport};
use crate::load::Held;
use crate::rng::Rng;
use crate::sip::syntax::{
    HeaderId, Message, Method, ParseError, ParseErrorKind, Uri, reason_phrase,
};
use crate::sip::token::hex;
use crate::sip::transaction::{ResponseHead, status_line};

/// Bytes that an address nobody has proved to be its own may be sent for each ten that came from
/// it: whoever forges it gains no amplifier. A challenge to a REGISTER of a real phone takes
/// eight to twelve.
const GAIN_TENTHS: usize = 15;

/// Seconds that a refused caller is asked to stay away, at most: an engine at its capacity has
/// room again within one, and callers that come back together are the next overload.
const LONGEST_RETRY: u64 = 4;

/// What an answer outside transactions says.
#[derive(Clone, Copy)]
pub(crate) struct Refusal<'a> {
    pub(crate) status: u16,
    pub(crate) phrase: &'a str,
    /// Header lines to add, whole.
    pub(crate) extra: &'a str,
}

impl<'a> Refusal<'a> {
    /// With the status' own phrase.
    pub(crate) fn plain(status: u16, extra: &'a str) -> Refusal<'a> {
        Refusal { status, phrase: reason_phrase(status), extra }
    }
}

impl Engine {
    /// Whether an address may learn from an answer that we exist: trunks, and phones that have
    /// registered from it.
    pub(crate) fn may_hear(&mut self, flow: Flow) -> bool {
        let known = self.is_known(flow);
        if !known {
            self.core.io.counters.sip_unknown_peer += 1;
        }
        known || self.core.config.unknown_peer == UnknownPeer::Forbid
    }

    /// The same where trunks may call by password from anywhere: a challenge would tell a stranger
    /// as much, and a trunk whose call is over must hear so.
    pub(crate) fn may_hear_or_is_challenged(&mut self, flow: Flow) -> bool {
        self.core.routing.snapshot.has_trunk_accounts() || self.may_hear(flow)
    }

    /// Whether somebody whom we know is at an address.
    pub(crate) fn is_known(&self, flow: Flow) -> bool {
        self.core.is_trunk(flow)
            || self.core.registrar.is_registered_from(flow.remote.ip())
            || self.core.trunks.is_registrar(flow.remote.ip())
    }

    /// Answers without keeping a transaction.
    pub(crate) fn answer_stateless(
        &mut self,
        flow: Flow,
        msg: &Message<'_>,
        status: u16,
        extra: &str,
    ) {
        self.refuse(flow, msg, Refusal::plain(status, extra));
    }

    /// A request that is malformed: what is wrong stands in the reason phrase of a 400 (RFC 3261
    /// 21.4.1).
    pub(crate) fn refuse_malformed(&mut self, flow: Flow, msg: &Message<'_>, error: ParseError) {
        let Some(status) = error.status() else { return };
        // A method that nobody knows is not served, whatever else is wrong (RFC 4475 3.1.2.18).
        if error.kind == ParseErrorKind::CSeqMethod
            && matches!(msg.method(), Some(Method::Other(_)))
        {
            let allow = format!("Allow: {ALLOW}\r\n");
            return self.answer_stateless(flow, msg, 501, &allow);
        }
        let text = error.to_string();
        let phrase = if status == 400 { text.as_str() } else { reason_phrase(status) };
        self.refuse(flow, msg, Refusal { status, phrase, extra: "" });
    }

    /// Answers without keeping a transaction; false when the answer would be too long for an
    /// address that may be forged.
    pub(crate) fn refuse(&mut self, flow: Flow, msg: &Message<'_>, what: Refusal<'_>) -> bool {
        let tag = self.tag_outside_calls(flow, msg);
        let (to, bytes) = match ResponseHead::of(msg, flow) {
            Ok(head) => {
                let bytes = self.core.io.compose(|out| {
                    head.begin_saying(what.status, what.phrase, Some(&tag), out);
                    out.extend_from_slice(what.extra.as_bytes());
                    finish(out, None);
                });
                (head.flow, bytes)
            }
            // Its Via cannot be read: back to where it came from, with what it has.
            Err(_) => (flow, self.core.io.compose(|out| write_broken(msg, what, &tag, out))),
        };
        let forgeable = flow.transport == Transport::Udp && !self.core.is_trunk(flow);
        if forgeable && bytes.len() * 10 > msg.bytes().len() * GAIN_TENTHS {
            return false;
        }
        self.core.io.transmit(to, bytes);
        true
    }

    /// What is in memory.
    pub(crate) fn held(&self) -> Held {
        Held { calls: self.calls.len(), transactions: self.core.transactions.len() }
    }

    /// A new call that is more than can be served: refused before anything is kept for it, and
    /// without a record, as nothing of it was looked at. A copy of one that was refused is refused
    /// again, for its caller has gone. True if so.
    pub(crate) fn refuse_overload(&mut self, flow: Flow, msg: &Message<'_>) -> bool {
        let now = self.core.io.now.mono;
        let again = self.core.load.has_refused(now)
            && self.core.load.was_refused(self.core.transactions.mark_of(msg, flow));
        if !again && !self.core.load.is_over(now, self.held()) {
            return false;
        }
        if self.may_hear_or_is_challenged(flow) {
            self.refuse_for_now(flow, msg);
        }
        true
    }

    /// No new call is taken: the caller is asked to come again, and copies of its INVITE are
    /// refused also when there is room by then.
    pub(crate) fn refuse_for_now(&mut self, flow: Flow, msg: &Message<'_>) {
        self.core.io.counters.refused_overload += 1;
        let mark = self.core.transactions.mark_of(msg, flow);
        self.core.load.refused(self.core.io.now.mono, mark);
        let extra = retry_after(&mut self.core.io.rng);
        self.answer_stateless(flow, msg, 503, &extra);
    }

    /// The To tag of an answer that no call gives: one request is answered under one tag, however
    /// often it comes (RFC 3261 8.2.7).
    pub(crate) fn tag_outside_calls(&self, flow: Flow, msg: &Message<'_>) -> String {
        let mut tag = Vec::with_capacity(16);
        hex(self.core.transactions.mark_of(msg, flow), 16, &mut tag);
        String::from_utf8(tag).unwrap_or_default()
    }

    /// RFC 3261 8.2.3: a body that must be understood and is not is refused, and so is a caller
    /// that takes no session description for an answer (21.4.7). True if so.
    pub(crate) fn refuse_body(&mut self, flow: Flow, msg: &Message<'_>) -> bool {
        let mut wanted = msg.tokens(HeaderId::Accept).peekable();
        let is_sdp = |kind: &str| {
            [SDP, "application/*", "*/*"].iter().any(|one| one.eq_ignore_ascii_case(kind))
        };
        if wanted.peek().is_some() && !wanted.any(is_sdp) {
            self.answer_stateless(flow, msg, 406, "Accept: application/sdp\r\n");
            return true;
        }
        if msg.body().is_empty() || is_optional(msg) {
            return false;
        }
        let encoded = (msg.tokens(HeaderId::ContentEncoding))
            .any(|coding| !coding.eq_ignore_ascii_case("identity"));
        let kind = msg.content_type().unwrap_or_default();
        let (status, extra) = if kind.eq_ignore_ascii_case("application/pkcs7-mime") {
            // RFC 3261 21.4.27: encrypted for a key that nobody here has.
            (493, "")
        } else if encoded {
            (415, "Accept: application/sdp\r\nAccept-Encoding: identity\r\n")
        } else if !kind.eq_ignore_ascii_case(SDP) {
            (415, "Accept: application/sdp\r\n")
        } else {
            return false;
        };
        self.answer_stateless(flow, msg, status, extra);
        true
    }

    /// A phone calls an address of another domain: we are nobody's way there (RFC 3261 16.3 is
    /// a proxy's business), and its user part is no number of ours. True if refused.
    pub(crate) fn refuse_foreign(&mut self, flow: Flow, msg: &Message<'_>, user: &str) -> bool {
        let Ok(uri) = Uri::parse(Self::request_uri(msg)) else { return false };
        // A `tel` URI has no host.
        if uri.host.is_empty() || self.core.is_ours(uri.host, user) {
            return false;
        }
        self.answer_stateless(flow, msg, 404, "");
        true
    }
}

/// When a caller refused for want of room may try again (RFC 3261 20.33). A proxy keeps everything
/// else away for as long, too (21.5.4).
pub(crate) fn retry_after(rng: &mut Rng) -> String {
    format!("Retry-After: {}\r\n", 1 + rng.below(LONGEST_RETRY))
}

/// RFC 3204 4 and RFC 3261 20.11: the sender says that the body may be passed over.
pub(crate) fn is_optional(msg: &Message<'_>) -> bool {
    let parameters = msg
        .text(HeaderId::ContentDisposition)
        .into_iter()
        .flat_map(|value| value.split(';').skip(1).filter_map(|one| one.split_once('=')));
    parameters.into_iter().any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("handling")
            && value.trim().eq_ignore_ascii_case("optional")
    })
}

fn write_broken(msg: &Message<'_>, what: Refusal<'_>, tag: &str, out: &mut Vec<u8>) {
    status_line(what.status, what.phrase, out);
    for id in [HeaderId::Via, HeaderId::From, HeaderId::To, HeaderId::CallId, HeaderId::CSeq] {
        if let Some(value) = msg.first(id) {
            out.extend_from_slice(id.name().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            if id == HeaderId::To && msg.to().is_ok_and(|to| to.tag().is_none()) {
                out.extend_from_slice(b";tag=");
                out.extend_from_slice(tag.as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        }
    }
    finish(out, None);
}
