//! Who a request outside dialogs is from: by its address or certificate, or by a password.
//!
//! | it comes from | and there is | it is from |
//! |---|---|---|
//! | a trunk's address | no account of that trunk here | that trunk, whatever credentials it has |
//! | a trunk's address | an account of that trunk here | that trunk, with that account's password |
//! | an address of several trunks | an account of each here | the one whose password it has |
//! | a phone's address | | a phone or a trunk, with its password |
//! | elsewhere | an account of some trunk here | a trunk, with its password |
//! | elsewhere | no trunk's account | nobody |
//!
//! Who must prove a password is challenged; any other password is a wrong one, also the right
//! one of somebody who may not use it there. Where no password could help, a stranger hears what
//! `unknown_peer` says: nothing, if it is to learn nothing. Where a trunk has an account here, a
//! stranger learns from the challenge that somebody takes calls, and the realm; not which users
//! and numbers there are, for it is challenged whoever it claims to be and whomever it calls.

use crate::call::Source;
use crate::core::Core;
use crate::engine::Engine;
use crate::input::Flow;
use crate::register::Account;
use crate::route::{Snapshot, TrunkIx};
use crate::sip::syntax::Message;

/// Whose password counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A phone's.
    Phone,
    /// That of one of these trunks.
    OneOf(Box<[TrunkIx]>),
    /// That of any trunk.
    AnyTrunk,
    /// A phone's or a trunk's.
    Anybody,
}

/// Who a request is from, before anything is proved.
enum Claim {
    /// This trunk; nothing is left to be proved.
    Trunk(TrunkIx),
    /// Whoever proves one of these passwords.
    Prove(Whose),
    /// Nobody that we know or could know.
    Nobody,
}

impl Whose {
    /// The account of a user name, if its password counts.
    pub(crate) fn account<'s>(&self, snapshot: &'s Snapshot, user: &str) -> Option<Account<'s>> {
        let phone = || {
            let extension = snapshot.extension(snapshot.extension_of_user(user)?);
            let account = Account { user: &extension.user, secret: &extension.secret };
            extension.enabled.then_some(account)
        };
        let trunk = |only: Option<&[TrunkIx]>| {
            let (key, at) = snapshot.trunk_account(user)?;
            let auth = snapshot.trunk(at).relation.auth_in.as_ref()?;
            let account = Account { user: key, secret: &auth.password };
            only.is_none_or(|only| only.contains(&at)).then_some(account)
        };
        match self {
            Whose::Phone => phone(),
            Whose::OneOf(trunks) => trunk(Some(trunks)),
            Whose::AnyTrunk => trunk(None),
            Whose::Anybody => phone().or_else(|| trunk(None)),
        }
    }
}

impl Engine {
    fn claim(&self, flow: Flow, msg: &Message<'_>) -> Claim {
        let snapshot = &self.core.routing.snapshot;
        let registered;
        let mut trunks = self.core.trunks_of(flow);
        if trunks.is_empty() {
            registered = self.trunk_of_registrar(flow, msg);
            trunks = registered.as_slice();
        }
        match trunks {
            [] => {}
            [at] if snapshot.trunk(*at).relation.auth_in.is_none() => return Claim::Trunk(*at),
            several => return Claim::Prove(Whose::OneOf(several.into())),
        }
        let phones = self.core.registrar.is_registered_from(flow.remote.ip());
        match (phones, snapshot.has_trunk_accounts()) {
            (true, true) => Claim::Prove(Whose::Anybody),
            (true, false) => Claim::Prove(Whose::Phone),
            (false, true) => Claim::Prove(Whose::AnyTrunk),
            (false, false) => Claim::Nobody,
        }
    }

    /// Who places a call. None after an answer, or silence, to whoever may not.
    pub(crate) fn caller_of(&mut self, flow: Flow, msg: &Message<'_>) -> Option<Source> {
        let whose = match self.claim(flow, msg) {
            Claim::Trunk(at) => return Some(Source::Trunk(at)),
            Claim::Prove(whose) => whose,
            Claim::Nobody => {
                if self.may_hear(flow) {
                    self.answer_stateless(flow, msg, 403, "");
                }
                return None;
            }
        };
        let proof = self.authenticate(flow, msg, whose)?;
        let user = proof.user().as_str();
        let snapshot = &self.core.routing.snapshot;
        if let Some((_, at)) = snapshot.trunk_account(user) {
            return Some(Source::Trunk(at));
        }
        let extension = snapshot.extension_of_user(user)?;
        (!self.refuse_foreign(flow, msg, user)).then_some(Source::Extension(extension))
    }

    /// Whether a request that is neither INVITE nor REGISTER is answered. What is asked of a
    /// caller is asked of it too (RFC 3261 11.2), unless it is a phone: nothing but a password
    /// would be new about one that has registered.
    pub(crate) fn may_ask(&mut self, flow: Flow, msg: &Message<'_>) -> bool {
        match self.claim(flow, msg) {
            Claim::Prove(Whose::AnyTrunk) if self.is_known(flow) => true,
            Claim::Prove(whose @ (Whose::OneOf(_) | Whose::AnyTrunk)) => {
                self.authenticate(flow, msg, whose).is_some()
            }
            Claim::Trunk(_) | Claim::Prove(Whose::Phone | Whose::Anybody) | Claim::Nobody => {
                self.may_hear(flow)
            }
        }
    }
}

impl Core {
    /// Whether requests to a caller go where its own came from, whatever its Contact says: it
    /// is known by a password alone, and may be behind any NAT.
    pub(crate) fn is_by_flow(&self, source: Source, flow: Flow) -> bool {
        match source {
            Source::Extension(_) => true,
            Source::Trunk(at) => {
                let with_account = self.routing.snapshot.trunk(at).relation.auth_in.is_some();
                with_account && !self.trunks_of(flow).contains(&at)
            }
        }
    }
}
