//! What a trunk is to us beyond an address: how we prove who we are to it, how it proves who it
//! is to us, and how we watch it.

use std::time::Duration;

use crate::secret::Secret;

use super::peer::PeerSpec;

/// Our relation to a trunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelationSpec {
    /// Our account there: its challenges (401, 407) are answered with it. Without one a
    /// challenge is a failure of that call.
    pub auth: Option<AuthSpec>,
    /// Its account here. With one it is known by that password alone: its own addresses and any
    /// other are challenged, and it may share them with other trunks that have one. Without one
    /// it is known by its addresses or its certificate.
    pub auth_in: Option<AuthInSpec>,
    /// We register there, so that it knows where we are.
    pub register: Option<RegisterSpec>,
    /// Its peers are asked with OPTIONS whether they are alive.
    pub health: Option<HealthSpec>,
    /// Redirections (300, 301, 302) of its callees are followed, by it alone and to what it may
    /// be led to. Otherwise each is a failure of its branch.
    pub follow_redirects: bool,
}

/// Our account at a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthSpec {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// The only realm whose challenges are answered; none answers any realm of this trunk.
    pub realm: Option<String>,
}

/// A trunk's account here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthInSpec {
    /// User name; nobody else's, neither a trunk's nor an extension's.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// How we register at a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterSpec {
    /// Where REGISTER is sent; none takes the trunk's peers.
    pub registrar: Option<PeerSpec>,
    /// The host of the address-of-record and of the Request-URI; none takes the registrar's.
    pub domain: Option<String>,
    /// The user of the address-of-record; none takes that of our account.
    pub user: Option<String>,
    /// The user of our Contact, by which calls find the trunk; none takes `user`.
    pub contact_user: Option<String>,
    /// How long we ask a registration to hold.
    pub expires: Duration,
}

impl RegisterSpec {
    /// The user of the address-of-record.
    pub(crate) fn aor_user<'a>(&'a self, auth: Option<&'a AuthSpec>) -> &'a str {
        self.user.as_deref().or(auth.map(|auth| &*auth.user)).unwrap_or_default()
    }

    /// The user of our Contact.
    pub(crate) fn contact_user<'a>(&'a self, auth: Option<&'a AuthSpec>) -> &'a str {
        self.contact_user.as_deref().unwrap_or_else(|| self.aor_user(auth))
    }
}

/// How a trunk's peers are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthSpec {
    /// Time between two questions to a peer.
    pub interval: Duration,
    /// A peer is down after so many questions without an answer.
    pub down_after: u32,
    /// It is up again after so many answers in a row.
    pub up_after: u32,
}
