//! Requests within the dialogs of a call.

use crate::call::compose::{Answer, answer};
use crate::call::{A, Call, LegState, allow, supported};
use crate::cause::Cause;
use crate::cdr::EndedBy;
use crate::core::Core;
use crate::input::Flow;
use crate::sip::dialog::Order;
use crate::sip::syntax::{Message, Method};
use crate::sip::transaction::ServerHandle;

use super::early::q850_of;

impl Call {
    /// A request of `leg`'s peer within its dialog; ACK comes by [`Call::on_ack`].
    pub(crate) fn on_request(&mut self, core: &mut Core, leg: u16, msg: &Message<'_>, flow: Flow) {
        let Ok(cseq) = msg.cseq() else { return };
        self.heard();
        let owner = self.owner(leg);
        let Ok(server) = core.transactions.accept(msg, flow, Some(owner)) else { return };
        let from_tag = msg.from().ok().and_then(|from| from.tag());
        // The answers to these are not journalled: after a crash the same may come again.
        let plain = matches!(cseq.method, Method::Bye | Method::Options);
        let dialog = self.leg_mut(leg).dialog_of(from_tag);
        let again = plain && dialog.remote_seq == Some(cseq.number);
        if !plain {
            self.keep_served(core, leg, server);
        }
        self.leg_mut(leg).can.learn(msg);
        let order = self.leg_mut(leg).dialog_of(from_tag).order(cseq.number);
        if order == Order::Old && !again {
            // RFC 3261 12.2.2: out of order.
            return self.refuse(core, leg, server, 500, b"");
        }
        match cseq.method {
            Method::Bye if again && self.leg(leg).state == LegState::Gone => {
                self.refuse(core, leg, server, 200, b"");
            }
            Method::Bye => self.on_bye(core, leg, server, msg),
            Method::Invite => self.on_reinvite(core, leg, (server, cseq.number), msg),
            Method::Update => self.on_update(core, leg, (server, cseq.number), msg),
            Method::Prack => self.on_prack(core, leg, (server, cseq.number), msg),
            Method::Info | Method::Message => {
                self.pass_request(core, leg, (server, cseq.number), msg, cseq.method);
            }
            Method::Options => {
                // RFC 3261 11.2.
                let mut extra = b"Accept: application/sdp\r\n".to_vec();
                allow(&mut extra);
                supported(&mut extra);
                self.refuse(core, leg, server, 200, &extra);
            }
            // RFC 6665 4.1.3: there is no subscription of ours that it could be of.
            Method::Notify => self.refuse(core, leg, server, 481, b""),
            _ => {
                let mut extra = Vec::new();
                allow(&mut extra);
                self.refuse(core, leg, server, 405, &extra);
            }
        }
    }

    /// Answers a request at once, without passing it on.
    pub(super) fn refuse(
        &mut self,
        core: &mut Core,
        leg: u16,
        server: ServerHandle,
        status: u16,
        extra: &[u8],
    ) {
        let tag = Some(&*self.leg_mut(leg).dialog.local_tag);
        answer(core, server, &Answer { status, tag, extra, contact: None, content: None });
    }

    fn on_bye(&mut self, core: &mut Core, leg: u16, server: ServerHandle, msg: &Message<'_>) {
        let q850 = q850_of(msg);
        match self.leg(leg).state {
            LegState::Up | LegState::Leaving => {
                self.refuse(core, leg, server, 200, b"");
                // The peer is gone: an ACK that we wait for, or owe, means nothing any more.
                if let Some(pending) = self.leg_mut(leg).pending_ok.take() {
                    core.io.disarm(pending.resend);
                    core.io.disarm(pending.over);
                }
                self.leg_mut(leg).owed_ack = None;
                // One that lost the race, or whose answer was refused, ends nothing but itself.
                let connected = self.pair().is_some_and(|(a, b)| leg == a || leg == b);
                self.leg_gone(core, leg);
                if self.transfer().is_some_and(|transfer| transfer.by == leg) {
                    self.transferor_left(core, leg);
                } else if connected {
                    let by = self.side_of(leg);
                    self.end_as(core, Cause::NormalClearing, by, (None, q850));
                }
            }
            LegState::Calling if leg == A => {
                // RFC 3261 15: a caller may end an early dialog with BYE.
                self.refuse(core, leg, server, 200, b"");
                self.end(core, Cause::Cancelled, EndedBy::Caller, None);
            }
            LegState::Calling | LegState::Cancelling | LegState::Gone => {
                self.refuse(core, leg, server, 481, b"");
            }
        }
        self.settle(core);
    }
}
