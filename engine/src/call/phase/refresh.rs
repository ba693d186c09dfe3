//! Session timers (RFC 4028), on each leg by itself: renewed by us or by the peer; a leg that
//! nobody renews is hung up, and its partner with it.

use std::time::Duration;

use crate::call::leg::SessionTimer;
use crate::call::session::{Terms, granted};
use crate::call::{A, Ask, Asked, Call, Exchange, Far, Grant, LegState, OfferIn, Phase, Purpose};
use crate::cause::Cause;
use crate::cdr::EndedBy;
use crate::core::Core;
use crate::sip::syntax::Message;
use crate::timer::CallTimer;

use super::offer::Asking;

/// Something else is going on in the dialog: try to renew again after this long.
const BUSY: Duration = Duration::from_secs(2);
/// RFC 3261 14.1: after a 491, in units of 10 ms: 2.1 to 4 seconds for the owner of the Call-ID,
/// up to 2 seconds for the other.
const OWNER_WAIT: std::ops::RangeInclusive<u64> = 210..=400;
const OTHER_WAIT: std::ops::RangeInclusive<u64> = 0..=200;

impl Call {
    /// Judges what a request on `leg` asks.
    pub(super) fn judge_session(&self, leg: u16, ask: Ask) -> Grant {
        let leg = self.leg(leg);
        ask.judge(&leg.policy.session_timer, leg.session.as_ref().map(|session| session.terms))
    }

    /// 422 (RFC 4028 9).
    pub(super) fn refuse_short_session(&mut self, core: &mut Core, asked: Asked, min_se: u32) {
        let extra = format!("Min-SE: {min_se}\r\n");
        self.refuse(core, asked.leg, asked.server, 422, extra.as_bytes());
    }

    /// Grants what a request on `leg` asks, from now on; gives the lines of its 2xx.
    pub(super) fn grant(&mut self, core: &mut Core, leg: u16, ask: Ask) -> String {
        match self.judge_session(leg, ask) {
            Grant::On(terms) if self.leg(leg).state == LegState::Up => {
                self.start_session(core, leg, terms);
                granted(terms)
            }
            Grant::On(_) | Grant::Off | Grant::TooShort(_) => {
                self.stop_session(core, leg);
                String::new()
            }
        }
    }

    /// The session of `leg` lasts from now on as agreed.
    pub(super) fn start_session(&mut self, core: &mut Core, leg: u16, terms: Terms) {
        self.stop_session(core, leg);
        let over = core.io.now.mono + terms.over();
        let timer = Some(match terms.ours {
            true => core.io.arm(terms.half(), self.timer(CallTimer::Renew { leg })),
            false => core.io.wheel.arm(over, self.timer(CallTimer::SessionOver { leg })),
        });
        self.leg_mut(leg).session = Some(Box::new(SessionTimer { terms, timer, over }));
    }

    /// No session timer runs on `leg` any more.
    pub(super) fn stop_session(&mut self, core: &mut Core, leg: u16) {
        if let Some(session) = self.leg_mut(leg).session.take() {
            core.io.disarm(session.timer);
        }
    }

    /// Time to renew.
    pub(crate) fn renew(&mut self, core: &mut Core, leg: u16) {
        if !matches!(*self.phase, Phase::Talking(_)) || self.leg(leg).state != LegState::Up {
            return;
        }
        if self.conflict(leg).is_some() {
            return self.renew_later(core, leg, BUSY);
        }
        self.send_renewal(core, leg, None);
    }

    /// By UPDATE where the peer knows it (RFC 4028 7.4), else by the INVITE with the description
    /// it has.
    fn send_renewal(&mut self, core: &mut Core, leg: u16, min_se: Option<u32>) {
        let told = self.leg(leg).told.clone();
        let (far, told) = match (self.leg(leg).can.update, told) {
            (true, _) | (false, None) => (Far::Update, None),
            (false, told) => (Far::Invite(OfferIn::Request), told),
        };
        let purpose = Purpose::Renewal(min_se);
        self.ask(core, leg, Asking { purpose, far, offer: Box::from([]), told });
        let key = self.timer(CallTimer::SessionOver { leg });
        if let Some(session) = &mut self.leg_mut(leg).session {
            core.io.disarm(session.timer);
            session.timer = Some(core.io.wheel.arm(session.over, key));
        }
    }

    fn renew_later(&mut self, core: &mut Core, leg: u16, after: Duration) {
        let renew = self.timer(CallTimer::Renew { leg });
        let give_up = self.timer(CallTimer::SessionOver { leg });
        let at = core.io.now.mono + after;
        if let Some(session) = &mut self.leg_mut(leg).session {
            core.io.disarm(session.timer);
            session.timer = Some(match at < session.over {
                true => core.io.wheel.arm(at, renew),
                false => core.io.wheel.arm(session.over, give_up),
            });
        }
    }

    /// A renewal of ours was not taken; 408 and 481 end the call elsewhere.
    pub(super) fn on_renewal_refused(
        &mut self,
        core: &mut Core,
        exchange: &Exchange,
        status: u16,
        min_se: Option<u32>,
    ) {
        let leg = exchange.to;
        match (status, min_se) {
            (491, _) => {
                // RFC 3261 14.1. Dialogs with callees have Call-IDs of ours.
                let wait = if leg == A { OTHER_WAIT } else { OWNER_WAIT };
                let (first, last) = wait.into_inner();
                let hundredths = first + core.io.rng.below(last - first + 1);
                self.renew_later(core, leg, Duration::from_millis(hundredths * 10));
            }
            // RFC 4028 7.3: once more, with the interval that the peer wants.
            (422, Some(min_se)) if exchange.purpose == Purpose::Renewal(None) => {
                self.send_renewal(core, leg, Some(min_se));
            }
            (405 | 501, _) if exchange.far == Far::Update => {
                self.leg_mut(leg).can.update = false;
                if self.leg(leg).told.is_some() {
                    self.send_renewal(core, leg, None);
                }
            }
            // The session runs out unless somebody renews it.
            _ => {}
        }
    }

    /// A renewal of ours was taken.
    pub(super) fn on_renewed(&mut self, core: &mut Core, leg: u16, msg: &Message<'_>) {
        let body = msg.body();
        // The peer may have moved meanwhile: it is heard where it says now.
        if !body.is_empty() && self.learn_remote(core, leg, body).is_ok() {
            let told = self.leg(leg).told.clone();
            self.agree(leg, body.into(), told);
        }
    }

    /// Nobody has renewed: RFC 4028 10 wants BYE.
    pub(crate) fn session_over(&mut self, core: &mut Core, leg: u16) {
        self.leg_mut(leg).session = None;
        if matches!(*self.phase, Phase::Talking(_)) {
            self.end(core, Cause::SessionExpired, EndedBy::System, None);
        }
    }
}
