//! Requests of a call that a trunk challenges (RFC 3261 22.2): they go once more with credentials.

use std::sync::Arc;

use crate::call::leg::Invite;
use crate::call::{A, Call, LegState, Phase, Source};
use crate::id::Key;
use crate::sip::transaction::ClientHandle;

impl Call {
    /// The trunk that a leg goes by, if a challenge to this request of ours may be answered: an
    /// INVITE that was given up meanwhile stays unanswered.
    pub(crate) fn challenged(&self, at: u16, client: ClientHandle) -> Option<Key> {
        let leg = self.legs.get(usize::from(at))?;
        let first = leg.invite == Invite::Sent(client);
        let wanted = leg.state == LegState::Calling && matches!(*self.phase, Phase::Dialling(_));
        if (first && !wanted) || leg.state == LegState::Gone {
            return None;
        }
        let trunk = match self.source {
            Source::Trunk(trunk) if at == A => Some(trunk),
            Source::Trunk(_) | Source::Extension(_) => leg.trunk,
        };
        trunk.map(|trunk| self.routing.snapshot.trunk(trunk).key.clone())
    }

    /// A request of a leg goes on under another transaction and CSeq, as these bytes.
    pub(crate) fn replaced(
        &mut self,
        at: u16,
        old: ClientHandle,
        (new, seq): (ClientHandle, u32),
        sent: Option<Arc<[u8]>>,
    ) {
        let leg = self.leg_mut(at);
        leg.dialog.local_seq = leg.dialog.local_seq.max(seq);
        if leg.invite == Invite::Sent(old) {
            (leg.invite, leg.invite_seq, leg.invite_sent) = (Invite::Sent(new), seq, sent);
        }
        let others = leg.probe.iter_mut().chain(&mut leg.bye);
        for asked in leg.asked.iter_mut().chain(others).filter(|one| **one == old) {
            *asked = new;
        }
        leg.renewed();
        for exchange in self.exchanges.iter_mut().filter(|one| one.client == old) {
            exchange.client = new;
            exchange.far_seq = seq;
        }
    }
}
