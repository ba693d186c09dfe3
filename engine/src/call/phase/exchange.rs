//! Requests of ours within the dialogs of a call, and their answers: what one side asks of the
//! other, and what we ask for ourselves.

use std::sync::Arc;

use crate::call::compose::{Answer, SDP, answer, send_ack};
use crate::call::{Asked, Call, Exchange, Far, LegState, Near, OfferIn, Purpose, session};
use crate::cause::Cause;
use crate::cdr::EndedBy;
use crate::core::Core;
use crate::sip::syntax::{HeaderId, Message};
use crate::sip::transaction::{ClientHandle, ServerHandle};

use super::answer::Accepting;

/// Why a new offer of a side cannot be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// Its own last offer is not answered yet (RFC 3261 14.2, RFC 3311 5.2).
    Own,
    /// It has not answered ours (RFC 3261 14.1, RFC 3311 5.2).
    Crossing,
}

impl Exchange {
    /// Whether an offer is under way by it.
    fn offers(&self) -> bool {
        matches!(self.far, Far::Invite(_)) || !self.offer.is_empty()
    }
}

impl Call {
    /// What stands against an offer of `leg`, or to it.
    pub(super) fn conflict(&self, leg: u16) -> Option<Conflict> {
        for exchange in self.exchanges.iter().filter(|exchange| exchange.offers()) {
            match exchange.purpose {
                Purpose::Passed(asked) if asked.leg == leg => return Some(Conflict::Own),
                _ if exchange.to == leg => return Some(Conflict::Crossing),
                Purpose::Passed(_) | Purpose::Renewal(_) | Purpose::Rejoin(_) => {}
            }
        }
        let leg = self.leg(leg);
        (leg.pending_ok.is_some() || leg.owed_ack.is_some()).then_some(Conflict::Crossing)
    }

    /// Takes note of a request that went out.
    pub(super) fn remember(&mut self, core: &Core, exchange: Exchange) {
        self.keep_asked(core, exchange.to, exchange.client);
        self.exchanges.push(exchange);
    }

    /// Has a request of ours go on after a restart, as the same to its peer.
    pub(super) fn keep_asked(&mut self, core: &Core, leg: u16, client: ClientHandle) {
        let asked = &mut self.leg_mut(leg).asked;
        asked.retain(|client| core.transactions.asks(*client));
        asked.push(client);
    }

    /// Has a request of the peer that comes again after a restart known: it gets the answer that
    /// it was given before, or none yet.
    pub(super) fn keep_served(&mut self, core: &Core, leg: u16, server: ServerHandle) {
        let served = &mut self.leg_mut(leg).served;
        served.retain(|server| core.transactions.serves(*server));
        served.push(server);
    }

    fn forget(&mut self, at: usize) -> Exchange {
        let exchange = self.exchanges.remove(at);
        // The transactions of both have changed.
        self.leg_mut(exchange.to);
        if let Purpose::Passed(asked) = exchange.purpose {
            self.leg_mut(asked.leg);
        }
        exchange
    }

    /// A peer has agreed to this description of ours; its own stands.
    pub(super) fn tell(&mut self, leg: u16, told: Arc<[u8]>) {
        let state = self.leg_mut(leg);
        let new = state.told.as_ref() != Some(&told);
        state.told = Some(told);
        state.agreed((false, new));
    }

    /// Both sides of a dialog have agreed on these descriptions: its peer's, and ours to it.
    pub(super) fn agree(&mut self, leg: u16, described: Box<[u8]>, told: Option<Arc<[u8]>>) {
        let state = self.leg_mut(leg);
        let new = (state.described != described, state.told != told);
        (state.described, state.told) = (described, told);
        state.agreed(new);
    }

    /// The position of the exchange that `client` serves.
    pub(super) fn exchange_of(&self, client: ClientHandle) -> Option<usize> {
        self.exchanges.iter().position(|exchange| exchange.client == client)
    }

    /// The answer to a request of ours.
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
        let exchange = self.forget(at);
        self.leg_mut(exchange.to).can.learn(msg);
        match status {
            200..=299 => self.on_exchange_ok(core, exchange, msg),
            _ => {
                let min_se = msg.leading_number(HeaderId::MinSe);
                self.on_exchange_refused(core, &exchange, status, min_se);
            }
        }
    }

    /// No answer came to a request of ours.
    pub(crate) fn exchange_failed(
        &mut self,
        core: &mut Core,
        client: ClientHandle,
        status: u16,
    ) -> bool {
        let Some(at) = self.exchange_of(client) else { return false };
        let exchange = self.forget(at);
        self.on_exchange_refused(core, &exchange, status, None);
        true
    }

    fn on_exchange_refused(
        &mut self,
        core: &mut Core,
        exchange: &Exchange,
        status: u16,
        min_se: Option<u32>,
    ) {
        match exchange.purpose {
            Purpose::Passed(asked) => {
                // 491 too: it is the near end's request, which comes again by itself.
                let status = match (asked.near, status) {
                    // RFC 4028: our interval with the far end is no matter of the near one.
                    (_, 422) => 500,
                    (_, status) => status,
                };
                self.refuse(core, asked.leg, asked.server, status, b"");
                if self.leg(asked.leg).replaces.is_some() {
                    self.replacing_failed(core, asked.leg, status);
                }
            }
            Purpose::Renewal(_) => self.on_renewal_refused(core, exchange, status, min_se),
            Purpose::Rejoin(then) => self.on_rejoin_refused(core, exchange.to, then, status),
        }
        // RFC 3261 12.2.1.2 and 14.1: the far dialog is gone; other failures change nothing.
        if matches!(status, 408 | 481) {
            let (cause, by) = match exchange.purpose {
                Purpose::Passed(_) | Purpose::Rejoin(_) => {
                    (Cause::Timeout, self.side_of(exchange.to))
                }
                Purpose::Renewal(_) => (Cause::SessionExpired, EndedBy::System),
            };
            self.end(core, cause, by, None);
        }
    }

    fn on_exchange_ok(&mut self, core: &mut Core, exchange: Exchange, msg: &Message<'_>) {
        let to = exchange.to;
        self.leg_mut(to).speaking_mut().refresh_target(msg);
        if self.leg(to).session.is_some() && exchange.far != Far::Other {
            match session::agreed(msg) {
                Some(terms) => self.start_session(core, to, terms),
                None => self.stop_session(core, to),
            }
        }
        match exchange.far {
            Far::Invite(OfferIn::Request) => {
                send_ack(core, &self.leg(to).dialog, exchange.far_seq, None);
            }
            Far::Invite(OfferIn::Answer) => self.leg_mut(to).owed_ack = Some(exchange.far_seq),
            Far::Update | Far::Other => {}
        }
        match exchange.purpose {
            Purpose::Renewal(_) => self.on_renewed(core, to, msg),
            Purpose::Rejoin(then) => self.on_rejoined(core, (to, then), exchange, msg),
            Purpose::Passed(asked) if exchange.far == Far::Other => {
                self.pass_plain_answer(core, asked, msg);
            }
            Purpose::Passed(asked) => self.pass_agreement(core, asked, exchange, msg),
        }
        self.watch_silence(core);
    }

    /// The far end agreed to an offer, or made one: the near end is told.
    fn pass_agreement(
        &mut self,
        core: &mut Core,
        asked: Asked,
        exchange: Exchange,
        msg: &Message<'_>,
    ) {
        let (from, to) = (asked.leg, exchange.to);
        let body = msg.body();
        let described = !body.is_empty() && self.learn_remote(core, to, body).is_ok();
        let sdp = described.then(|| self.sdp_for(core, from, body, true).ok()).flatten();
        let taken =
            exchange.offer.is_empty() || self.learn_remote(core, from, &exchange.offer).is_ok();
        let Some(sdp) = sdp.filter(|_| taken) else {
            // The far end agreed to nothing that can be relayed: it is out of step with the
            // near end for good.
            self.refuse(core, from, asked.server, 488, b"");
            return self.end(core, Cause::NoCodec, EndedBy::System, None);
        };
        let (near, far) = (self.leg(from).described.clone(), self.leg(to).told.clone());
        let (answer_to, near, far) = match exchange.far {
            Far::Invite(OfferIn::Answer) => (Some(to), near, far),
            Far::Invite(OfferIn::Request) | Far::Update | Far::Other => {
                (None, exchange.offer, exchange.told)
            }
        };
        self.agree(to, body.into(), far);
        self.agree(from, near, Some(sdp.clone()));
        match asked.near {
            Near::Invite => {
                let Asked { server, seq, session, .. } = asked;
                let accepting = Accepting { server, seq, session, answer_to };
                if self.leg(from).state == LegState::Calling {
                    self.leg_mut(from).state = LegState::Up;
                }
                self.send_ok(core, from, accepting, Some(&sdp));
                if let Some(old) = self.leg_mut(from).replaces.take() {
                    self.take_place(core, from, old);
                }
            }
            Near::Update | Near::Prack | Near::Other => {
                self.accept_plainly(core, asked, Some(&sdp))
            }
        }
    }

    /// 200 to a request that is no INVITE.
    pub(super) fn accept_plainly(&mut self, core: &mut Core, asked: Asked, sdp: Option<&[u8]>) {
        let update = asked.near == Near::Update;
        let lines = match update {
            true => self.grant(core, asked.leg, asked.session),
            false => String::new(),
        };
        let dialog = &self.leg(asked.leg).dialog;
        let ok = Answer {
            status: 200,
            tag: Some(&dialog.local_tag),
            extra: lines.as_bytes(),
            contact: update.then_some(dialog.flow),
            content: sdp.map(|body| (SDP, body)),
        };
        answer(core, asked.server, &ok);
    }

    /// The answer to INFO or MESSAGE.
    fn pass_plain_answer(&mut self, core: &mut Core, asked: Asked, msg: &Message<'_>) {
        let kind = msg.content_type().unwrap_or_default();
        let body = msg.body();
        let passed = Answer {
            status: msg.status().unwrap_or(200),
            tag: Some(&self.leg(asked.leg).dialog.local_tag),
            extra: b"",
            contact: None,
            content: (!body.is_empty() && !kind.is_empty()).then_some((kind, body)),
        };
        answer(core, asked.server, &passed);
    }
}
