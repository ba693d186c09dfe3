//! Trunks' answers to what we ask of them: challenges, registrations, health.

use crate::call::CallHandle;
use crate::engine::Engine;
use crate::input::Flow;
use crate::route::TrunkIx;
use crate::sip::syntax::{Message, Uri};
use crate::sip::transaction::{ClientHandle, Owner};
use crate::trunk;

impl Engine {
    /// A challenge to a request of ours (RFC 3261 22.2, 22.3): the request goes once more with
    /// credentials, if there are any for whoever asks. False when the challenge is the answer.
    ///
    /// A password is for the trunk that it was given for and for nobody else: not for a phone,
    /// not for a callee behind a URI, not for whoever a dialog was moved to.
    pub(crate) fn answers_challenge(
        &mut self,
        owner: Owner,
        client: ClientHandle,
        status: u16,
        msg: &Message<'_>,
    ) -> bool {
        let Some(challenged) = self.core.transactions.take_challenged() else { return false };
        let handle = CallHandle::from_bits(owner.call);
        let account = if owner == Owner::TRUNKS {
            self.core.trunks.owner_of(client)
        } else {
            let snapshot = &self.core.routing.snapshot;
            let trunk = self.calls.get(handle).and_then(|call| call.challenged(owner.leg, client));
            let at = trunk.and_then(|key| snapshot.trunk_of_key(&key));
            let at = at.filter(|at| self.core.trunks_of(challenged.flow).contains(at));
            at.map(|at| snapshot.trunk(at))
                .and_then(|trunk| Some((trunk.key.clone(), trunk.relation.auth.clone()?)))
        };
        let Some((key, auth)) = account else { return false };
        let core = &mut self.core;
        let asked = (&challenged, status, msg);
        let Some(line) = core.trunks.answer(&key, &auth, asked, &mut core.io.rng) else {
            return false;
        };
        let credentials = (trunk::header_of(status), &*line);
        let Some((new, seq)) = trunk::send_again(core, &challenged, owner, credentials) else {
            return false;
        };
        if owner == Owner::TRUNKS {
            core.trunks.replaced(client, new, seq);
        } else if let Some(call) = self.calls.get_mut(handle) {
            let sent = core.transactions.sent(new);
            call.replaced(owner.leg, client, (new, seq), sent);
        }
        true
    }

    /// The trunk that calls the Contact which we gave a registrar of ours.
    pub(crate) fn trunk_of_registrar(&self, flow: Flow, msg: &Message<'_>) -> Option<TrunkIx> {
        let snapshot = &self.core.routing.snapshot;
        let uri = Uri::parse(Self::request_uri(msg)).ok()?;
        let key = self.core.trunks.called_by(flow.remote.ip(), &uri.unescaped_user())?;
        let at = snapshot.trunk_of_key(key)?;
        snapshot.trunk(at).enabled.then_some(at)
    }
}
