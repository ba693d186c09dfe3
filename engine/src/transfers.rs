//! Transfers that concern two calls, or that come from outside of any: attended REFER, INVITE with
//! Replaces (RFC 3891), and an operator's.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::call::{CallHandle, Referred, Replaced, Source};
use crate::engine::Engine;
use crate::id::CallId;
use crate::input::Flow;
use crate::sip::syntax::{HeaderId, Message};
use crate::sip::token::Tag;

/// Legs that live in another call than their tags say: tags are for ever, and a transfer moves a
/// leg.
pub(crate) type Moved = BTreeMap<(u64, u16), (CallHandle, u16)>;

impl Engine {
    /// The leg that a tag of ours names, wherever it lives now.
    pub(crate) fn leg_of_tag(&self, tag: &str) -> Option<(CallHandle, u16)> {
        let tag = Tag::parse(tag).filter(|tag| tag.shard == self.core.config.shard)?;
        let named = (CallHandle::from_bits(tag.call), tag.leg);
        let (handle, leg) = self.moved.get(&(tag.call, tag.leg)).copied().unwrap_or(named);
        self.calls.get(handle).filter(|call| call.has_leg(leg)).map(|_| (handle, leg))
    }

    /// A REFER within a call.
    pub(crate) fn on_refer(&mut self, handle: CallHandle, leg: u16, flow: Flow, msg: &Message<'_>) {
        let core = &mut self.core;
        let Some(call) = self.calls.get_mut(handle) else { return };
        let Some(refer) = call.judge_refer(core, leg, msg, flow) else { return };
        call.accept_refer(core, leg, refer.server);
        match refer.target {
            Referred::Steps(steps) => {
                if let Err(cause) = call.begin_transfer(core, leg, Some(refer.seq), steps) {
                    call.notify(core, leg, Some(refer.seq), (cause.status(), true));
                }
            }
            Referred::Dialog(replaced) => {
                let joined = self.join((handle, leg, refer.seq), &replaced);
                if let (false, Some(call)) = (joined, self.calls.get_mut(handle)) {
                    // RFC 3891 3: there is no such dialog, or it is not this phone's.
                    call.notify(&mut self.core, leg, Some(refer.seq), (481, true));
                }
            }
        }
    }

    /// An attended transfer: the other side of the call that `replaced` names takes the place of
    /// `by`, whose phone must be in both. False when it cannot.
    fn join(&mut self, (handle, by, refer): (CallHandle, u16, u32), replaced: &Replaced) -> bool {
        let Some((other, twin)) = self.replaced_leg(replaced).filter(|(other, _)| *other != handle)
        else {
            return false;
        };
        let (Some(here), Some(there)) = (self.calls.get(handle), self.calls.get(other)) else {
            return false;
        };
        let same_phone = here.phone(by).is_some() && here.phone(by) == there.phone(twin);
        let (Some(_), Some(partner)) = (here.settled_partner(by), there.settled_partner(twin))
        else {
            return false;
        };
        if !same_phone {
            return false;
        }
        let core = &mut self.core;
        let Some(there) = self.calls.get_mut(other) else { return false };
        let leg = there.give_away(core, partner);
        let tag = leg.dialog.local_tag.clone();
        there.gone_elsewhere(core, twin);
        let Some(here) = self.calls.get_mut(handle) else { return false };
        here.notify(core, by, Some(refer), (200, true));
        let number = here.take_over(core, by, leg);
        if let Some(tag) = Tag::parse(&tag) {
            self.moved.insert((tag.call, tag.leg), (handle, number));
        }
        self.keep_both(other, handle);
        self.tidy(other);
        true
    }

    /// The leg whose dialog is named, by whichever of the two tags is ours.
    fn replaced_leg(&self, replaced: &Replaced) -> Option<(CallHandle, u16)> {
        let tags = [&replaced.to_tag, &replaced.from_tag];
        let found = tags.into_iter().find_map(|tag| self.leg_of_tag(tag))?;
        let call = self.calls.get(found.0)?;
        call.is_replaced(found.1, replaced).then_some(found)
    }

    /// An INVITE with Replaces (RFC 3891 3): true if it was dealt with.
    pub(crate) fn on_replacing(&mut self, flow: Flow, msg: &Message<'_>, source: Source) -> bool {
        let Some(text) = msg.text(HeaderId::Replaces) else { return false };
        let allowed = match source {
            Source::Trunk(at) => self.core.routing.snapshot.trunk(at).dialog.transfer,
            Source::Extension(_) => true,
        };
        let found = Replaced::parse(text).map(|replaced| (self.replaced_leg(&replaced), replaced));
        let status = match (allowed, found) {
            (false, _) => 603,
            (true, None) => 400,
            (true, Some((None, _))) => 481,
            (true, Some((Some((handle, leg)), replaced))) => {
                match self.replace((handle, leg), &replaced, (flow, msg, source)) {
                    Ok(()) => return true,
                    Err(status) => status,
                }
            }
        };
        self.answer_stateless(flow, msg, status, "");
        true
    }

    fn replace(
        &mut self,
        (handle, old): (CallHandle, u16),
        replaced: &Replaced,
        (flow, msg, source): (Flow, &Message<'_>, Source),
    ) -> Result<(), u16> {
        let snapshot = self.core.routing.snapshot.clone();
        let call = self.calls.get(handle).ok_or(481_u16)?;
        let own = match source {
            Source::Extension(at) => snapshot.extension(at).customer.as_ref() == call.customer(),
            // A trunk replaces its own dialogs: of the addresses that it alone has, and those that
            // it proved its password for.
            Source::Trunk(at) => {
                self.core.trunks_of(call.dialog(old).flow) == [at]
                    || call.trunk_of_leg(old) == Some(&snapshot.trunk(at).key)
            }
        };
        if !own {
            // Whose dialog it is, is nobody else's business.
            return Err(481);
        }
        // RFC 3891 3: one that rings is not picked up here, and one that is answered is not early.
        if call.settled_partner(old).is_none() || replaced.early_only {
            return Err(if replaced.early_only { 486 } else { 481 });
        }
        let by_flow = self.core.is_by_flow(source, flow);
        let source = call.source_then(&snapshot, source).ok_or(481_u16)?;
        let server = self.core.transactions.accept(msg, flow, None).map_err(|_| 400_u16)?;
        if let Some(call) = self.calls.get_mut(handle) {
            call.begin_replacing(&mut self.core, old, (server, source, by_flow), (flow, msg));
        }
        self.tidy(handle);
        Ok(())
    }

    /// An operator has `to` rung, who takes the place of the callee.
    pub(crate) fn operator_transfer(&mut self, id: CallId, to: &Arc<str>) {
        let found = self.calls.iter().find(|(_, call)| call.id == id);
        let Some(handle) = found.map(|(handle, _)| handle) else { return };
        let core = &mut self.core;
        if let Some(call) = self.calls.get_mut(handle)
            && call.transfer_idle()
            && let Some(by) = call.connected_callee()
            && let Ok(steps) = call.may_call(None, to)
        {
            // Whom it cannot reach, it has not moved.
            let _ = call.begin_transfer(core, by, None, steps);
        }
        self.tidy(handle);
    }

    /// A call is forgotten: no tag leads to it any more.
    pub(crate) fn forget_moved(&mut self, handle: CallHandle) {
        if !self.moved.is_empty() {
            self.moved.retain(|_, (to, _)| *to != handle);
        }
    }

    /// After a restart: legs whose tags name another place than they have.
    pub(crate) fn find_moved(&mut self) {
        let calls = self.calls.iter();
        let moved = calls.flat_map(|(handle, call)| {
            call.tags().filter_map(move |(leg, tag)| {
                let tag = Tag::parse(tag)?;
                let here = (tag.call, tag.leg) == (handle.to_bits(), leg);
                (!here).then_some(((tag.call, tag.leg), (handle, leg)))
            })
        });
        self.moved = moved.collect();
    }
}
