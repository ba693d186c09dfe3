//! What a side asks of the other while they talk, or before the answer once they have agreed on a
//! session: re-INVITE and UPDATE (hold, codec change, fax), and requests that mean something to
//! the far end only.

use crate::call::compose::{Answer, InDialog, SDP, answer, send};
use crate::call::{
    A, Ask, Asked, Call, Exchange, Far, Grant, LegState, MAX_EXCHANGES, Near, OfferIn, Phase,
    Purpose, session,
};
use crate::core::Core;
use crate::sip::syntax::{Message, Method};
use crate::sip::transaction::ServerHandle;

use super::answer::Accepting;
use super::exchange::Conflict;

/// RFC 3261 14.2 and RFC 3311 5.2: a second offer before the first is answered may come again
/// after a random time of 0 to 10 seconds.
const RETRY_AFTER_MAX: u64 = 11;

impl Call {
    /// A re-INVITE: a renewal is answered here, everything else is passed across.
    pub(super) fn on_reinvite(
        &mut self,
        core: &mut Core,
        leg: u16,
        (server, seq): (ServerHandle, u32),
        msg: &Message<'_>,
    ) {
        match self.leg(leg).state {
            LegState::Up => {}
            // RFC 3261 14.2: its first INVITE has no final answer yet.
            LegState::Calling if leg == A => return self.refuse_for_now(core, leg, server),
            LegState::Calling | LegState::Cancelling | LegState::Leaving | LegState::Gone => {
                return self.refuse(core, leg, server, 481, b"");
            }
        }
        let asked = Asked { leg, server, seq, near: Near::Invite, session: Ask::of(msg) };
        if self.offer_refused(core, asked, msg) {
            return;
        }
        self.leg_mut(leg).dialog.refresh_target(msg);
        let same = !msg.body().is_empty() && *msg.body() == *self.leg(leg).described;
        if let (true, Some(told)) = (same, self.leg(leg).told.clone()) {
            // It renews its session (RFC 4028 7.4), which is no matter of the other side.
            let accepting = Accepting { server, seq, session: asked.session, answer_to: None };
            return self.send_ok(core, leg, accepting, Some(&told));
        }
        // RFC 3261 17.2.1, as for the first INVITE.
        answer(core, server, &Answer::plain(100, None));
        self.pass_offer(core, asked, msg.body());
    }

    /// UPDATE (RFC 3311).
    pub(super) fn on_update(
        &mut self,
        core: &mut Core,
        leg: u16,
        (server, seq): (ServerHandle, u32),
        msg: &Message<'_>,
    ) {
        let asked = Asked { leg, server, seq, near: Near::Update, session: Ask::of(msg) };
        self.on_offer(core, asked, msg);
    }

    /// An offer in UPDATE or PRACK, or an UPDATE without one.
    pub(super) fn on_offer(&mut self, core: &mut Core, asked: Asked, msg: &Message<'_>) {
        let (leg, server) = (asked.leg, asked.server);
        if !matches!(self.leg(leg).state, LegState::Up | LegState::Calling) {
            return self.refuse(core, leg, server, 481, b"");
        }
        if msg.body().is_empty() {
            if let Grant::TooShort(min_se) = self.judge_session(leg, asked.session) {
                return self.refuse_short_session(core, asked, min_se);
            }
            let from_tag = msg.from().ok().and_then(|from| from.tag());
            self.leg_mut(leg).dialog_of(from_tag).refresh_target(msg);
            // The other side need not hear of it: the session stays as it is.
            return self.accept_plainly(core, asked, None);
        }
        if self.offer_refused(core, asked, msg) {
            return;
        }
        let from_tag = msg.from().ok().and_then(|from| from.tag());
        self.leg_mut(leg).dialog_of(from_tag).refresh_target(msg);
        self.pass_offer(core, asked, msg.body());
    }

    /// Refuses what cannot be taken now. True if so.
    fn offer_refused(&mut self, core: &mut Core, asked: Asked, msg: &Message<'_>) -> bool {
        let (leg, server) = (asked.leg, asked.server);
        let sdp_or_none = msg.body().is_empty()
            || msg.content_type().is_some_and(|kind| kind.eq_ignore_ascii_case(SDP));
        if !sdp_or_none {
            // RFC 3261 8.2.3.
            self.refuse(core, leg, server, 415, b"Accept: application/sdp\r\n");
            return true;
        }
        if let Grant::TooShort(min_se) = self.judge_session(leg, asked.session) {
            self.refuse_short_session(core, asked, min_se);
            return true;
        }
        match self.conflict(leg) {
            Some(Conflict::Own) => self.refuse_for_now(core, leg, server),
            Some(Conflict::Crossing) => self.refuse(core, leg, server, 491, b""),
            None => match self.partner(leg) {
                // Nobody to pass it to yet: the first offer has no answer (RFC 3311 5.2).
                None => self.refuse_for_now(core, leg, server),
                // The far end is busy with an offer of its own, or of ours.
                Some(to) if self.conflict(to).is_some() => {
                    self.refuse(core, leg, server, 491, b"");
                }
                Some(_) => return false,
            },
        }
        true
    }

    /// 500 with a random Retry-After (RFC 3261 14.2, RFC 3311 5.2).
    fn refuse_for_now(&mut self, core: &mut Core, leg: u16, server: ServerHandle) {
        let seconds = core.io.rng.below(RETRY_AFTER_MAX);
        let extra = format!("Retry-After: {seconds}\r\n");
        self.refuse(core, leg, server, 500, extra.as_bytes());
    }

    /// The leg that an offer of `leg` concerns: the other side of a conversation, or before the
    /// answer the one whose early session both have agreed to.
    fn partner(&self, leg: u16) -> Option<u16> {
        let Phase::Dialling(dialling) = &*self.phase else { return self.other(leg) };
        let early = dialling.early?;
        if !self.agreed_early(A) || !self.agreed_early(early) {
            return None;
        }
        match leg {
            A => Some(early),
            leg if leg == early => Some(A),
            _ => None,
        }
    }

    fn pass_offer(&mut self, core: &mut Core, asked: Asked, offer: &[u8]) {
        let leg = asked.leg;
        let Some(to) = self.partner(leg) else { return };
        let update = self.leg(to).can.update;
        let early = self.leg(to).state == LegState::Calling;
        let far = match asked.near {
            Near::Invite if offer.is_empty() => Far::Invite(OfferIn::Answer),
            Near::Invite => Far::Invite(OfferIn::Request),
            Near::Update | Near::Prack | Near::Other if update => Far::Update,
            // RFC 3311 5.1: where UPDATE is not known, a re-INVITE does as well, once confirmed.
            Near::Update | Near::Prack | Near::Other if !early => Far::Invite(OfferIn::Request),
            Near::Update | Near::Prack | Near::Other => {
                return self.refuse(core, leg, asked.server, 488, b"");
            }
        };
        let told = match offer.is_empty() {
            true => Ok(None),
            false => self.sdp_for(core, to, offer, true).map(Some),
        };
        let Ok(told) = told else { return self.refuse(core, leg, asked.server, 488, b"") };
        let offer = offer.into();
        self.ask(core, to, Asking { purpose: Purpose::Passed(asked), far, offer, told });
    }

    /// Sends an INVITE or UPDATE within a dialog, with what its session timer needs.
    pub(super) fn ask(&mut self, core: &mut Core, to: u16, asking: Asking) {
        let Asking { purpose, far, offer, told } = asking;
        let method = match far {
            Far::Invite(_) => "INVITE",
            Far::Update | Far::Other => "UPDATE",
        };
        let min_se = match purpose {
            Purpose::Renewal(min_se) => min_se,
            Purpose::Passed(_) | Purpose::Rejoin(_) => None,
        };
        let terms = self.leg(to).session.as_ref().map(|session| session.terms);
        let lines = terms.map_or_else(String::new, |terms| session::renewing(terms, min_se));
        let far_seq = self.leg_mut(to).speaking_mut().next_seq();
        let content = told.as_deref().map(|body| (SDP, body));
        let request = InDialog { method, seq: far_seq, extra: lines.as_bytes(), content };
        let owner = self.owner(to);
        let client = send(core, self.leg(to).speaking(), &request, Some(owner));
        let exchange = Exchange { purpose, to, client, far, far_seq, offer, told };
        self.remember(core, exchange);
    }

    /// INFO and MESSAGE: the far end's business (RFC 6086, RFC 3428).
    pub(super) fn pass_request(
        &mut self,
        core: &mut Core,
        leg: u16,
        (server, seq): (ServerHandle, u32),
        msg: &Message<'_>,
        method: Method<'_>,
    ) {
        let Some(to) = self.other(leg) else {
            // Nobody to pass it to yet.
            return self.refuse(core, leg, server, 500, b"Retry-After: 1\r\n");
        };
        if self.exchanges.len() >= MAX_EXCHANGES {
            return self.refuse(core, leg, server, 491, b"");
        }
        let far_seq = self.leg_mut(to).dialog.next_seq();
        let body = msg.body();
        let content = msg.content_type().filter(|_| !body.is_empty()).map(|kind| (kind, body));
        // RFC 6086 5.2: what the INFO is about.
        let mut extra = Vec::new();
        for header in msg.headers().filter(|one| one.name.eq_ignore_ascii_case("Info-Package")) {
            header.write_to(&mut extra);
        }
        let request = InDialog { method: method.as_str(), seq: far_seq, extra: &extra, content };
        let owner = self.owner(to);
        let client = send(core, &self.leg(to).dialog, &request, Some(owner));
        let asked = Asked { leg, server, seq, near: Near::Other, session: Ask::default() };
        let exchange = Exchange {
            purpose: Purpose::Passed(asked),
            to,
            client,
            far: Far::Other,
            far_seq,
            offer: Box::from([]),
            told: None,
        };
        self.remember(core, exchange);
    }
}

/// A request to be sent within a dialog.
pub(super) struct Asking {
    pub(super) purpose: Purpose,
    pub(super) far: Far,
    pub(super) offer: Box<[u8]>,
    pub(super) told: Option<std::sync::Arc<[u8]>>,
}
