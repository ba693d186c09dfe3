//! Routing: what was provisioned, compiled into one immutable snapshot.

mod compile;
mod dialog;
mod identity;
mod image;
mod peer;
mod policy;
mod preview;
mod provisioning;
mod redirection;
mod relation;
mod snapshot;
mod sources;
mod terms;
mod writing;

pub use dialog::{DialogPolicy, Prack, Refresher, SHORTEST_SESSION, SessionTimerPolicy};
pub(crate) use identity::{CallFacts, CallerSide, Identity, OTHER_SERVICE};
pub use peer::{LargeRequests, PeerHost, PeerSpec};
pub use policy::{IdentityOverride, IdentityPolicy, IdentityRead, Presented, ShownName};
pub use preview::{Preview, PreviewBranch, PreviewStep, Refusal};
pub use provisioning::{
    CustomerSpec, DestinationKind, DestinationSpec, DidSource, DidSpec, ExtensionSpec, GroupSpec,
    MAX_REDIRECTIONS, MemberSpec, Provisioning, Source, Strategy, TargetRef, TrunkSpec,
};
pub(crate) use redirection::{
    DiversionReason, Fields as RedirectionFields, Redirection, Redirections,
};
pub use relation::{AuthInSpec, AuthSpec, HealthSpec, RegisterSpec, RelationSpec};
pub use snapshot::Snapshot;
pub(crate) use snapshot::{Branch, ExtensionIx, Step, Target, Trunk, TrunkIx, Way};
pub(crate) use writing::Writing;

/// Something wrong in the provisioning, with the place where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `trunk`, `customer`, `did`, `destination`, `group` or `extension`.
    pub kind: &'static str,
    /// Key of the row.
    pub key: String,
    /// Field, as in REST (`members[1].target`).
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}: {}", self.kind, self.key, self.field, self.message)
    }
}
