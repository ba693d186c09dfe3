//! Which DID is called, whose it is, and what rings for it.

use crate::call::{Call, Source};
use crate::cause::Cause;
use crate::cdr::Direction;
use crate::plan::E164;
use crate::route::{DidSource, Trunk, Way};
use crate::sip::syntax::{HeaderId, NameAddr, Start, Uri};

use super::dialled::Dialled;
use super::number::called_in;
use super::outgoing::{Caller, plan};
use super::{Begin, Routed};

impl Begin<'_, '_> {
    /// Which DID, whose, and what rings for it.
    pub(super) fn route(&self, call: &mut Call, presented: Option<E164>) -> Result<Routed, Cause> {
        let snapshot = call.routing.snapshot.clone();
        let routed = match self.source {
            Source::Trunk(at) => {
                let trunk = snapshot.trunk(at);
                call.record.trunk_in = Some(trunk.key.clone());
                let called = self.called(trunk).ok_or(Cause::Unallocated)?;
                call.record.did = Some(called);
                let did = snapshot.did(called).ok_or(Cause::Unallocated)?;
                call.record.customer = did.customer.clone();
                did.takes_calls()?;
                did.route.clone()
            }
            Source::Extension(at) => return self.route_outgoing(call, at, presented),
        };
        if routed.is_empty() {
            return Err(Cause::Absent);
        }
        let inside = routed
            .iter()
            .flat_map(|step| &step.branches)
            .all(|branch| matches!(snapshot.way_of(&branch.target), Way::Extension(_)));
        let direction = if inside { Direction::In } else { Direction::Forward };
        Ok(Routed { direction, steps: routed })
    }

    /// A phone of ours calls another phone, a DID of ours, or a number outside.
    fn route_outgoing(
        &self,
        call: &mut Call,
        at: crate::route::ExtensionIx,
        presented: Option<E164>,
    ) -> Result<Routed, Cause> {
        let snapshot = call.routing.snapshot.clone();
        let extension = snapshot.extension(at);
        call.record.customer = extension.customer.clone();
        call.record.did = presented;
        call.record.direction = Direction::Out;
        let dialled = Dialled::of(self.msg).ok_or(Cause::Protocol)?;
        let caller = Caller { customer: extension.customer.as_ref(), holds: presented };
        let (direction, steps) = plan(&snapshot, &caller, &dialled.user)?;
        Ok(Routed { direction, steps })
    }

    /// The number called, where this trunk puts it.
    fn called(&self, trunk: &Trunk) -> Option<E164> {
        let msg = self.msg;
        let of_request_uri = || match msg.start() {
            Start::Request { uri, .. } => {
                Uri::parse(uri).ok().and_then(|uri| called_in(&uri, trunk))
            }
            Start::Response { .. } => None,
        };
        let of_header = |id| {
            let first = msg.addresses(id).find_map(Result::ok);
            first.and_then(|address: NameAddr<'_>| called_in(&address.uri, trunk))
        };
        let found = match trunk.did_source {
            DidSource::RequestUri => of_request_uri(),
            DidSource::To => of_header(HeaderId::To),
            DidSource::PCalledPartyId => {
                of_header(HeaderId::PCalledPartyId).or_else(of_request_uri)
            }
            DidSource::Diversion => of_header(HeaderId::Diversion).or_else(of_request_uri),
            DidSource::HistoryInfo => self.before_last_redirection(trunk).or_else(of_request_uri),
        };
        found.or(trunk.default_did)
    }

    /// The sub-address that a phone of ours dialled; who calls in by a trunk dialled our DID, not
    /// the number that the call goes on to.
    pub(super) fn tail(&self) -> String {
        match self.source {
            Source::Extension(_) => Dialled::of(self.msg).map_or_else(String::new, |it| it.tail),
            Source::Trunk(_) => String::new(),
        }
    }

    /// RFC 7044 4.1: the last entry is where the request goes now, the one before it where it
    /// was meant for.
    fn before_last_redirection(&self, trunk: &Trunk) -> Option<E164> {
        let entries: Vec<NameAddr<'_>> =
            self.msg.addresses(HeaderId::HistoryInfo).flatten().collect();
        let before = entries.len().checked_sub(2).and_then(|at| entries.get(at));
        before.and_then(|entry| called_in(&entry.uri, trunk))
    }
}
