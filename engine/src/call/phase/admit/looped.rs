//! Calls that have been here before.

use crate::call::{Call, Phase, Source};
use crate::route::{DidSource, Redirections};

use super::Begin;

impl Begin<'_, '_> {
    /// Whether the call goes in a circle. Max-Forwards ends every circle in the end (RFC 3261
    /// 8.1.1.6), but only after 70 legs, and some gateways reset it.
    pub(super) fn is_loop(&self, call: &Call, before: &Redirections) -> bool {
        let Source::Trunk(at) = self.source else { return false };
        let trunk = call.routing.snapshot.trunk(at);
        let did = call.record.did;
        if self.returned || before.count > u32::from(trunk.max_redirections) {
            return true;
        }
        let Some(did) = did.filter(|did| call.routing.snapshot.did(*did).is_some()) else {
            return false;
        };
        // Where the DID is found in a redirection, the last one is how the call came to us.
        let by_redirection =
            matches!(trunk.did_source, DidSource::Diversion | DidSource::HistoryInfo);
        let first = before.list.first().filter(|_| by_redirection);
        let own = usize::from(first.is_some_and(|one| one.number == Some(did)));
        // Nobody but ourselves calls from a DID of ours: a trunk that shows the DID of forwarded
        // calls brings one back.
        before.list.iter().skip(own).any(|one| one.number == Some(did))
            || call.record.caller.number == Some(did)
    }
}

impl Call {
    /// The redirection by which the call came to the DID is told again by our own.
    pub(super) fn forget_own_redirection(&mut self) {
        let did = self.record.did;
        if let Phase::Dialling(dialling) = &mut *self.phase {
            dialling.side.redirections.retain(|one| one.number != did || did.is_none());
        }
    }
}
