//! Requests passed across the call while both sides talk: re-INVITE (hold, codec change, fax),
//! and requests that mean something to the far end only.

use crate::call::compose::{Answer, InDialog, SDP, answer, send, send_ack};
use crate::call::{A, Call, Exchange, LegState, MAX_EXCHANGES, OfferIn, Phase};
use crate::cause::Cause;
use crate::cdr::EndedBy;
use crate::core::Core;
use crate::sip::syntax::{Message, Method};
use crate::sip::transaction::{ClientHandle, ServerHandle};

/// RFC 3261 14.2: a second INVITE before the first is answered may come again after a random
/// time of 0 to 10 seconds.
const RETRY_AFTER_MAX: u64 = 11;

impl Call {
    /// The position of the exchange that `client` serves.
    pub(super) fn exchange_of(&self, client: ClientHandle) -> Option<usize> {
        match &self.phase {
            Phase::Talking(talking) => {
                talking.exchanges.iter().position(|exchange| exchange.client == client)
            }
            Phase::Dialling(_) | Phase::Ended => None,
        }
    }

    /// A re-INVITE: passed across when nothing else is going on.
    pub(super) fn on_reinvite(
        &mut self,
        core: &mut Core,
        leg: u16,
        (server, seq): (ServerHandle, u32),
        msg: &Message<'_>,
    ) {
        let up = self.leg(leg).state == LegState::Up;
        let (Some(to), Phase::Talking(talking)) = (self.other(leg), &self.phase) else {
            return self.refuse(core, leg, server, if up { 491 } else { 481 }, b"");
        };
        let mut invites = talking.exchanges.iter().filter(|exchange| exchange.invite.is_some());
        match invites.next() {
            // RFC 3261 14.2: one of its own is pending.
            Some(exchange) if exchange.from == leg => {
                let seconds = core.io.rng.below(RETRY_AFTER_MAX);
                let extra = format!("Retry-After: {seconds}\r\n");
                return self.refuse(core, leg, server, 500, extra.as_bytes());
            }
            // RFC 3261 14.1: both sides asked at once.
            Some(_) => return self.refuse(core, leg, server, 491, b""),
            None => {}
        }
        let unsettled =
            |at: u16| self.leg(at).pending_ok.is_some() || self.leg(at).owed_ack.is_some();
        if unsettled(leg) || unsettled(to) {
            return self.refuse(core, leg, server, 491, b"");
        }
        let offer = msg.body();
        let sdp_or_none = offer.is_empty()
            || msg.content_type().is_some_and(|kind| kind.eq_ignore_ascii_case(SDP));
        if !sdp_or_none {
            let extra = b"Accept: application/sdp\r\n";
            return self.refuse(core, leg, server, 415, extra);
        }
        let rewritten = match offer.is_empty() {
            true => Ok(None),
            false => self.sdp_for(core, to, offer, true).map(Some),
        };
        let Ok(body) = rewritten else {
            return self.refuse(core, leg, server, 488, b"");
        };
        self.leg_mut(leg).dialog.refresh_target(msg);
        // RFC 3261 17.2.1, as for the first INVITE.
        answer(core, server, &Answer::plain(100, None));
        let far_seq = self.leg_mut(to).dialog.next_seq();
        let content = body.as_deref().map(|body| (SDP, body));
        let request = InDialog { method: "INVITE", seq: far_seq, extra: b"", content };
        let owner = self.owner(to);
        let client = send(core, &self.leg(to).dialog, &request, Some(owner));
        let invite = if body.is_some() { OfferIn::Request } else { OfferIn::Answer };
        self.remember(Exchange {
            from: leg,
            to,
            server,
            client,
            seq,
            far_seq,
            invite: Some(invite),
            offer: offer.into(),
        });
    }

    /// INFO, MESSAGE and UPDATE: the far end's business.
    pub(super) fn pass_request(
        &mut self,
        core: &mut Core,
        leg: u16,
        server: ServerHandle,
        msg: &Message<'_>,
        method: Method<'_>,
    ) {
        let up = self.leg(leg).state == LegState::Up;
        let (Some(to), Phase::Talking(talking)) = (self.other(leg), &self.phase) else {
            // Nobody to pass it to yet: RFC 3311 5.2 asks for 500 with Retry-After, and RFC
            // 6086 4.2.2 lets an INFO be refused.
            let extra: &[u8] = if up { b"Retry-After: 1\r\n" } else { b"" };
            return self.refuse(core, leg, server, 500, extra);
        };
        let offers = method == Method::Update && !msg.body().is_empty();
        let glare = talking.exchanges.iter().any(|exchange| exchange.invite.is_some());
        if talking.exchanges.len() >= MAX_EXCHANGES || (offers && glare) {
            return self.refuse(core, leg, server, 491, b"");
        }
        let kind = msg.content_type().map(str::to_owned);
        let rewritten = match offers {
            true => self.sdp_for(core, to, msg.body(), true).map(|sdp| Some(sdp.to_vec())),
            false => Ok((!msg.body().is_empty()).then(|| msg.body().to_vec())),
        };
        let Ok(body) = rewritten else { return self.refuse(core, leg, server, 488, b"") };
        if method == Method::Update {
            self.leg_mut(leg).dialog.refresh_target(msg);
        }
        let far_seq = self.leg_mut(to).dialog.next_seq();
        let content = match (&kind, &body) {
            (Some(kind), Some(body)) => Some((kind.as_str(), body.as_slice())),
            (None, _) | (_, None) => None,
        };
        let request = InDialog { method: method.as_str(), seq: far_seq, extra: b"", content };
        let owner = self.owner(to);
        let client = send(core, &self.leg(to).dialog, &request, Some(owner));
        let offer = if offers { msg.body() } else { b"" };
        self.remember(Exchange {
            from: leg,
            to,
            server,
            client,
            seq: 0,
            far_seq,
            invite: None,
            offer: offer.into(),
        });
    }

    fn remember(&mut self, exchange: Exchange) {
        self.leg_mut(exchange.from).served.push(exchange.server);
        self.leg_mut(exchange.to).asked.push(exchange.client);
        if let Phase::Talking(talking) = &mut self.phase {
            talking.exchanges.push(exchange);
        }
    }

    fn forget(&mut self, at: usize) -> Option<Exchange> {
        self.touch();
        match &mut self.phase {
            Phase::Talking(talking) if at < talking.exchanges.len() => {
                Some(talking.exchanges.remove(at))
            }
            Phase::Talking(_) | Phase::Dialling(_) | Phase::Ended => None,
        }
    }

    /// The far end's answer to a request that was passed to it.
    pub(super) fn on_exchange_answer(
        &mut self,
        core: &mut Core,
        at: usize,
        status: u16,
        msg: &Message<'_>,
    ) {
        if status < 200 {
            return;
        }
        let Some(exchange) = self.forget(at) else { return };
        // Their transactions have changed.
        self.leg_mut(exchange.from);
        self.leg_mut(exchange.to);
        match exchange.invite {
            Some(offer) if status < 300 => self.on_reinvite_ok(core, &exchange, offer, msg),
            Some(_) => self.exchange_refused(core, &exchange, status),
            None => self.on_passed_answer(core, &exchange, status, msg),
        }
    }

    /// No answer came to a request that was passed across.
    pub(crate) fn exchange_failed(
        &mut self,
        core: &mut Core,
        client: ClientHandle,
        status: u16,
    ) -> bool {
        let Some(at) = self.exchange_of(client) else { return false };
        let Some(exchange) = self.forget(at) else { return false };
        self.exchange_refused(core, &exchange, status);
        true
    }

    fn exchange_refused(&mut self, core: &mut Core, exchange: &Exchange, status: u16) {
        self.refuse(core, exchange.from, exchange.server, status, b"");
        // RFC 3261 12.2.1.2 and 14.1: the far dialog is gone; other failures change nothing.
        if matches!(status, 408 | 481) {
            let by = if exchange.to == A { EndedBy::Caller } else { EndedBy::Callee };
            self.end(core, Cause::Timeout, by, None);
        }
    }

    fn on_reinvite_ok(
        &mut self,
        core: &mut Core,
        exchange: &Exchange,
        offer_in: OfferIn,
        msg: &Message<'_>,
    ) {
        let (from, to) = (exchange.from, exchange.to);
        self.leg_mut(to).dialog.refresh_target(msg);
        let body = msg.body();
        let described = !body.is_empty() && self.learn_remote(core, to, body).is_ok();
        let sdp = described.then(|| self.sdp_for(core, from, body, true).ok()).flatten();
        match offer_in {
            OfferIn::Request => {
                send_ack(core, &self.leg(to).dialog, exchange.far_seq, None);
            }
            OfferIn::Answer => self.leg_mut(to).owed_ack = Some(exchange.far_seq),
        }
        let Some(sdp) = sdp else {
            // The far end agreed to nothing that can be relayed: it is out of step with the
            // near end for good.
            self.refuse(core, from, exchange.server, 488, b"");
            return self.end(core, Cause::NoCodec, EndedBy::System, None);
        };
        let answer_to = match offer_in {
            OfferIn::Request => {
                if self.learn_remote(core, from, &exchange.offer).is_err() {
                    self.refuse(core, from, exchange.server, 488, b"");
                    return self.end(core, Cause::NoCodec, EndedBy::System, None);
                }
                None
            }
            OfferIn::Answer => Some(to),
        };
        self.send_ok(core, from, (exchange.server, exchange.seq), Some(&sdp), answer_to);
        self.watch_silence(core);
    }

    fn on_passed_answer(
        &mut self,
        core: &mut Core,
        exchange: &Exchange,
        status: u16,
        msg: &Message<'_>,
    ) {
        let body = msg.body();
        let kind = msg.content_type().unwrap_or_default().to_owned();
        let described = kind.eq_ignore_ascii_case(SDP) && !body.is_empty();
        let body = if described && !exchange.offer.is_empty() && status < 300 {
            let learned = self
                .learn_remote(core, exchange.from, &exchange.offer)
                .and_then(|()| self.learn_remote(core, exchange.to, body));
            match learned.and_then(|()| self.sdp_for(core, exchange.from, body, true)) {
                Ok(sdp) => sdp.to_vec(),
                Err(cause) => {
                    self.refuse(core, exchange.from, exchange.server, 488, b"");
                    return self.end(core, cause, EndedBy::System, None);
                }
            }
        } else {
            body.to_vec()
        };
        let dialog = &self.leg(exchange.from).dialog;
        let passed = Answer {
            status,
            tag: Some(&dialog.local_tag),
            extra: b"",
            contact: (!exchange.offer.is_empty()).then_some(dialog.flow),
            content: (!body.is_empty() && !kind.is_empty()).then_some((&*kind, &*body)),
        };
        answer(core, exchange.server, &passed);
        self.watch_silence(core);
    }
}
