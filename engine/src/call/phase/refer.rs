//! REFER (RFC 3515) judged: who may transfer a call, and whereto. A phone of ours may refer to
//! what it may itself call; a trunk only where its setting allows it, on behalf of the customer
//! whose call it is. Everything else would let a caller place calls at another's cost.

use std::sync::Arc;

use crate::call::compose::{Answer, answer};
use crate::call::image::Saved;
use crate::call::leg::Invite;
use crate::call::phase::admit::{Caller, plan};
use crate::call::{Call, Leg, LegState, MAX_LEGS};
use crate::cause::Cause;
use crate::core::Core;
use crate::id::Key;
use crate::input::Flow;
use crate::route::Step;
use crate::sip::dialog::Order;
use crate::sip::syntax::{HeaderId, Message, Uri};
use crate::sip::transaction::{ClientHandle, ServerHandle};

/// A REFER that may be followed.
#[derive(Debug)]
pub(crate) struct Refer {
    pub(crate) server: ServerHandle,
    /// Its CSeq number, which names the subscription (RFC 3515 2.4.6).
    pub(crate) seq: u32,
    pub(crate) target: Referred,
}

/// Where it leads.
#[derive(Debug)]
pub(crate) enum Referred {
    /// To somebody who is to be called.
    Steps(Arc<[Step]>),
    /// To the other side of another call of the same phone.
    Dialog(Replaced),
}

/// The dialog that `Replaces` names (RFC 3891 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub(crate) call_id: Box<str>,
    pub(crate) to_tag: Box<str>,
    pub(crate) from_tag: Box<str>,
    pub(crate) early_only: bool,
}

impl Replaced {
    /// Reads `call-id;to-tag=…;from-tag=…`.
    pub(crate) fn parse(text: &str) -> Option<Replaced> {
        let mut parts = text.split(';').map(str::trim);
        let call_id = parts.next().filter(|id| !id.is_empty())?;
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for part in parts {
            match part.split_once('=') {
                Some((name, tag)) if name.trim().eq_ignore_ascii_case("to-tag") => {
                    to_tag = Some(tag.trim());
                }
                Some((name, tag)) if name.trim().eq_ignore_ascii_case("from-tag") => {
                    from_tag = Some(tag.trim());
                }
                _ => early_only |= part.eq_ignore_ascii_case("early-only"),
            }
        }
        let (to_tag, from_tag) = (to_tag?.into(), from_tag?.into());
        Some(Replaced { call_id: call_id.into(), to_tag, from_tag, early_only })
    }
}

impl Call {
    /// Judges a REFER of `leg`'s peer; one that may not be followed is refused here.
    pub(crate) fn judge_refer(
        &mut self,
        core: &mut Core,
        leg: u16,
        msg: &Message<'_>,
        flow: Flow,
    ) -> Option<Refer> {
        let seq = msg.cseq().ok()?.number;
        self.heard();
        let owner = self.owner(leg);
        let server = core.transactions.accept(msg, flow, Some(owner)).ok()?;
        self.keep_served(core, leg, server);
        if self.leg_mut(leg).dialog.order(seq) == Order::Old {
            self.refuse(core, leg, server, 500, b"");
            return None;
        }
        let judged = match (self.may_refer(leg, flow), self.other(leg), self.transfer()) {
            (false, ..) => Err(603),
            // Not connected, or being transferred already: it may come again.
            (true, None, _) | (true, _, Some(_)) => Err(500),
            (true, Some(_), None) => self.referred(leg, msg),
        };
        match judged {
            Ok(target) => Some(Refer { server, seq, target }),
            Err(500) => {
                self.refuse(core, leg, server, 500, b"Retry-After: 5\r\n");
                None
            }
            Err(status) => {
                self.refuse(core, leg, server, status, b"");
                None
            }
        }
    }

    /// 202 with a Contact: REFER makes a subscription within the dialog (RFC 3515 2.4.2).
    pub(crate) fn accept_refer(&self, core: &mut Core, leg: u16, server: ServerHandle) {
        let dialog = &self.leg(leg).dialog;
        let accepted = Answer {
            status: 202,
            tag: Some(&dialog.local_tag),
            extra: b"",
            contact: Some(dialog.flow),
            content: None,
        };
        answer(core, server, &accepted);
    }

    /// A phone of ours, from where its dialog is; or a trunk that may.
    fn may_refer(&self, leg: u16, flow: Flow) -> bool {
        let leg = self.leg(leg);
        match &leg.phone {
            Some(_) => flow.remote == leg.dialog.flow.remote,
            None => leg.policy.transfer,
        }
    }

    fn referred(&self, leg: u16, msg: &Message<'_>) -> Result<Referred, u16> {
        let mut targets = msg.addresses(HeaderId::ReferTo);
        // RFC 3515 2.4.1: exactly one, which can be read.
        let (Some(Ok(target)), None) = (targets.next(), targets.next()) else { return Err(400) };
        let uri = target.uri;
        if uri.params.get("method").is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
            return Err(603);
        }
        if let Some(replaces) = header_of(&uri, "Replaces") {
            return Replaced::parse(&replaces).map(Referred::Dialog).ok_or(400);
        }
        let user = uri.unescaped_user();
        let digits = user.split(';').next().unwrap_or_default();
        self.may_call(self.leg(leg).phone.as_ref(), digits)
            .map(Referred::Steps)
            .map_err(Cause::status)
    }

    /// Who rings for `dialled`, on behalf of a phone, or of the customer whose call it is.
    pub(crate) fn may_call(
        &self,
        phone: Option<&Key>,
        dialled: &str,
    ) -> Result<Arc<[Step]>, Cause> {
        let snapshot = &self.routing.snapshot;
        let (customer, holds) =
            match phone.and_then(|user| snapshot.extension_of_user(user.as_str())) {
                Some(at) => {
                    let extension = snapshot.extension(at);
                    (extension.customer.as_ref(), extension.presented)
                }
                None => (self.record.customer.as_ref(), self.record.did),
            };
        plan(snapshot, &Caller { customer, holds }, dialled).map(|(_, steps)| steps)
    }

    /// Whether `leg` is the dialog that `replaced` names, seen from its peer (RFC 3891 3: to-tag
    /// is the tag of who reads it; some write them the other way round).
    pub(crate) fn is_replaced(&self, leg: u16, replaced: &Replaced) -> bool {
        let dialog = &self.leg(leg).dialog;
        let tags = (&*replaced.to_tag, &*replaced.from_tag);
        let remote = dialog.remote_tag.as_deref().unwrap_or_default();
        *dialog.call_id == *replaced.call_id
            && (tags == (&*dialog.local_tag, remote) || tags == (remote, &*dialog.local_tag))
    }

    /// The phone of ours that `leg` is.
    pub(crate) fn phone(&self, leg: u16) -> Option<&Key> {
        self.leg(leg).phone.as_ref()
    }

    /// Whose call it is.
    pub(crate) fn customer(&self) -> Option<&Key> {
        self.record.customer.as_ref()
    }

    /// The other side of `leg`, when both are connected and nothing is under way between them.
    pub(crate) fn settled_partner(&self, leg: u16) -> Option<u16> {
        let partner = self.other(leg)?;
        let still = |leg: u16| self.leg(leg).state == LegState::Up && self.conflict(leg).is_none();
        let quiet = self.transfer().is_none() && self.exchanges.is_empty();
        let room = self.legs.len() < MAX_LEGS;
        (still(leg) && still(partner) && quiet && room).then_some(partner)
    }

    /// Gives `leg` away to another call; what stays is its part of this record.
    pub(crate) fn give_away(&mut self, core: &mut Core, leg: u16) -> Leg {
        let now = core.io.now.wall;
        let state = self.leg_mut(leg);
        if let Some(session) = &mut state.session {
            core.io.disarm(session.timer.take());
        }
        let stub =
            Leg::new(state.dialog.fork(), state.invite, state.origin_id, state.nat, state.policy);
        // Nothing of the stub is in the journal, and nothing of the leg in the other call's.
        let mut given = std::mem::replace(state, stub);
        given.saved = Saved::default();
        let stub = self.leg_mut(leg);
        stub.state = LegState::Gone;
        stub.side = given.side;
        stub.left_at = Some(now);
        *stub.record = given.record.clone();
        // The caller's leg has none; as a further leg of another call it has one.
        if let Some(record) = &mut *given.record {
            (record.started_at, record.ringing_at) = (now, None);
            (record.answered_at, record.ended_at, record.media) = (Some(now), now, None);
        } else {
            *given.record = Some(Box::new(self.record.as_leg(now)));
        }
        given
    }

    /// Takes a leg of another call in the place of `by`. Gives its number here.
    pub(crate) fn take_over(&mut self, core: &mut Core, by: u16, mut leg: Leg) -> u16 {
        let number = self.legs.len() as u16;
        let kept = self.other(by);
        leg.side = self.leg(by).side;
        leg.replaces = None;
        let session = leg.session.take();
        let clients: Vec<ClientHandle> =
            leg.sent_invite().into_iter().chain(leg.asked.iter().copied()).collect();
        let server = match leg.invite {
            Invite::Received(server) => Some(server),
            Invite::Sent(_) => None,
        };
        self.legs.push(leg);
        self.touch();
        self.leg_mut(number);
        let owner = self.owner(number);
        for client in clients {
            core.transactions.hand_over(client, owner);
        }
        if let Some(server) = server {
            core.transactions.adopt(server, owner);
        }
        if let Some(session) = session {
            self.start_session(core, number, session.terms);
        }
        self.take_place(core, number, by);
        if let Some(kept) = kept {
            self.rejoin(core, number, kept, Some(kept));
        }
        number
    }

    /// Both sides have gone to another call: the phone that brought them together is done.
    pub(crate) fn gone_elsewhere(&mut self, core: &mut Core, by: u16) {
        let side = self.side_of(by);
        self.end(core, Cause::NormalClearing, side, None);
    }
}

/// A header field in a URI (RFC 3261 19.1.1), unescaped.
fn header_of(uri: &Uri<'_>, name: &str) -> Option<String> {
    let mut fields = uri.headers?.trim_start_matches('?').split('&');
    let value = fields.find_map(|field| {
        let (have, value) = field.split_once('=')?;
        have.eq_ignore_ascii_case(name).then_some(value)
    })?;
    Some(crate::sip::syntax::unescape(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_dialog_is_read_in_any_order() {
        let uri = "sip:201@h?Replaces=abc%40h%3Bto-tag%3Dt1%3Bfrom-tag%3Df1&Require=replaces";
        let uri = Uri::parse(uri).expect("a URI");
        let text = header_of(&uri, "replaces").expect("a field");
        let replaced = Replaced::parse(&text).expect("a dialog");
        assert_eq!(
            (&*replaced.call_id, &*replaced.to_tag, &*replaced.from_tag),
            ("abc@h", "t1", "f1")
        );
        assert!(!replaced.early_only);
        let early = Replaced::parse("a; from-tag=f ;to-tag=t;early-only").expect("a dialog");
        assert!(early.early_only && &*early.to_tag == "t");
        for bad in ["", "a", "a;to-tag=t", "a;from-tag=f", ";to-tag=t;from-tag=f"] {
            assert_eq!(Replaced::parse(bad), None, "{bad}");
        }
    }
}
