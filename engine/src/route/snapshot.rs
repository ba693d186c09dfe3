//! The provisioning compiled for calls: dense indexes, no text compared on the way.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::cause::Cause;
use crate::id::Key;
use crate::plan::{DigitEdits, E164, NumberFormat, NumberHash, UriForm};
use crate::secret::Secret;

use super::compile::compile;
use super::sources::Sources;
use super::{
    DialogPolicy, DidSource, Fault, IdentityOverride, IdentityPolicy, IdentityRead, LargeRequests,
    PeerSpec, Provisioning, RelationSpec, Strategy,
};

/// Position of a trunk in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TrunkIx(pub(crate) u32);
/// Position of a DID in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DidIx(pub(crate) u32);
/// Position of a destination in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DestinationIx(pub(crate) u32);
/// Position of an extension in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ExtensionIx(pub(crate) u32);

/// Everything an operator configured, immutable. A call pins the one it started with.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) version: u64,
    pub(crate) trunks: Vec<Trunk>,
    pub(crate) dids: Vec<Did>,
    pub(crate) destinations: Vec<Destination>,
    pub(crate) extensions: Vec<Extension>,
    pub(super) did_by_number: HashMap<E164, DidIx, NumberHash>,
    pub(super) extension_by_user: BTreeMap<Key, ExtensionIx>,
    /// Enabled trunks with an account here, by its user name.
    pub(super) trunk_by_account: BTreeMap<Key, TrunkIx>,
    pub(super) sources: Sources,
    /// Trunks that can take calls, in order of preference within equal prefixes.
    pub(super) carriers: Vec<(Prefix, TrunkIx)>,
}

/// A compiled trunk.
#[derive(Debug)]
pub(crate) struct Trunk {
    pub(crate) key: Key,
    pub(crate) enabled: bool,
    pub(crate) peers: Vec<PeerSpec>,
    pub(crate) tls_name: Option<Arc<str>>,
    pub(crate) large_requests: LargeRequests,
    pub(crate) channels: u32,
    pub(crate) reserved_incoming: u32,
    pub(crate) max_calls_per_second: u32,
    pub(crate) format_in: NumberFormat,
    pub(crate) format_out: NumberFormat,
    pub(crate) digits: DigitEdits,
    pub(crate) uri_out: UriForm,
    pub(crate) did_source: DidSource,
    pub(crate) default_did: Option<E164>,
    pub(crate) domain: Box<str>,
    pub(crate) identity: IdentityPolicy,
    pub(crate) identity_in: IdentityRead,
    pub(crate) trusted: bool,
    pub(crate) passed_headers: Box<[Box<str>]>,
    pub(crate) session_id: bool,
    pub(crate) compact_headers: bool,
    pub(crate) max_redirections: u8,
    pub(crate) codecs: Box<[Box<str>]>,
    pub(crate) nat: bool,
    pub(crate) dialog: DialogPolicy,
    pub(crate) relation: RelationSpec,
    /// Addresses of its peers, as far as they are known.
    pub(crate) known: Vec<SocketAddr>,
}

/// A compiled DID.
#[derive(Debug)]
pub(crate) struct Did {
    pub(crate) number: E164,
    pub(crate) customer: Option<Key>,
    pub(crate) customer_active: bool,
    pub(crate) active: bool,
    pub(crate) max_calls: u32,
    pub(crate) presented_name: Box<str>,
    pub(crate) route: Arc<[Step]>,
}

/// One step of hunting: the branches rung by one strategy before the next step begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// The group's key, none for a route step that names one destination.
    pub(crate) group: Option<Key>,
    pub(crate) strategy: Strategy,
    /// A 6xx of one of them ends the hunt.
    pub(crate) ends_on_decline: bool,
    pub(crate) branches: Box<[Branch]>,
}

/// One callee of a step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Branch {
    pub(crate) target: Target,
    pub(crate) delay: Duration,
    pub(crate) ring: Duration,
}

/// What a branch rings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    /// A provisioned destination.
    Destination(DestinationIx),
    /// A registered phone.
    Extension(ExtensionIx),
    /// A number dialled by an extension.
    Number(E164),
    /// What a call was to ring that was begun before a restart, and is provisioned no more.
    Gone(Key),
}

/// A compiled destination.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) key: Key,
    pub(crate) kind: Kind,
    pub(crate) identity: IdentityOverride,
    pub(crate) trunk: Option<TrunkIx>,
}

/// What a destination is.
#[derive(Debug)]
pub(crate) enum Kind {
    Number(E164),
    Uri(Box<str>),
    Extension(ExtensionIx),
}

/// A compiled extension.
#[derive(Debug)]
pub(crate) struct Extension {
    pub(crate) user: Key,
    pub(crate) secret: Secret,
    pub(crate) enabled: bool,
    pub(crate) customer: Option<Key>,
    pub(crate) presented: Option<E164>,
}

/// A prefix of E.164 numbers as digits and their count; no digits match every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) digits: u64,
    pub(super) len: u32,
}

impl Prefix {
    fn matches(self, number: E164) -> bool {
        let value = number.as_u64();
        let len = value.checked_ilog10().unwrap_or(0) + 1;
        self.len == 0 || (len >= self.len && value / 10u64.pow(len - self.len) == self.digits)
    }
}

/// How a target is reached.
pub(crate) enum Way<'a> {
    /// By the contacts of a registered phone.
    Extension(ExtensionIx),
    /// By its URI, under a trunk's policy if one is named.
    Uri(&'a str, Option<TrunkIx>),
    /// By a trunk: the one named, else the best that carries the number.
    Number(E164, Option<TrunkIx>),
    /// By no way.
    Gone,
}

impl Did {
    /// Whether calls to it are taken at all.
    pub(crate) fn takes_calls(&self) -> Result<(), Cause> {
        match (self.active, self.customer_active) {
            (false, _) => Err(Cause::Unallocated),
            (true, false) => Err(Cause::Blocked),
            (true, true) => Ok(()),
        }
    }
}

impl Snapshot {
    /// Judges and compiles a provisioning. `version` rises with every change.
    ///
    /// # Errors
    /// Every fault of the provisioning at once.
    pub fn compile(version: u64, from: &Provisioning) -> Result<Snapshot, Vec<Fault>> {
        compile(version, from)
    }

    /// The version given at compilation.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Enabled trunks that calls can leave by: a node without one takes no calls.
    pub fn trunks_in_service(&self) -> usize {
        self.trunks.iter().filter(|trunk| trunk.enabled).count()
    }

    pub(crate) fn trunk(&self, at: TrunkIx) -> &Trunk {
        &self.trunks[at.0 as usize]
    }

    pub(crate) fn destination(&self, at: DestinationIx) -> &Destination {
        &self.destinations[at.0 as usize]
    }

    pub(crate) fn extension(&self, at: ExtensionIx) -> &Extension {
        &self.extensions[at.0 as usize]
    }

    /// How `target` is reached.
    pub(crate) fn way_of(&self, target: &Target) -> Way<'_> {
        match target {
            Target::Number(number) => Way::Number(*number, None),
            Target::Extension(at) => Way::Extension(*at),
            Target::Gone(_) => Way::Gone,
            Target::Destination(at) => {
                let destination = self.destination(*at);
                match &destination.kind {
                    Kind::Number(number) => Way::Number(*number, destination.trunk),
                    Kind::Uri(uri) => Way::Uri(uri, destination.trunk),
                    Kind::Extension(at) => Way::Extension(*at),
                }
            }
        }
    }

    /// What `target` wants otherwise than its trunk's identity policy.
    pub(crate) fn identity_of(&self, target: &Target) -> IdentityOverride {
        match target {
            Target::Destination(at) => self.destination(*at).identity,
            Target::Extension(_) | Target::Number(_) | Target::Gone(_) => {
                IdentityOverride::default()
            }
        }
    }

    /// What a record calls `target`: the destination's key, the user, the number.
    pub(crate) fn target_key(&self, target: &Target) -> Key {
        match target {
            Target::Destination(at) => self.destination(*at).key.clone(),
            Target::Extension(at) => self.extension(*at).user.clone(),
            Target::Number(number) => Key::from(&*number.to_string()),
            Target::Gone(key) => key.clone(),
        }
    }

    /// Whether a number is one of the DIDs.
    pub fn has_did(&self, number: E164) -> bool {
        self.did(number).is_some()
    }

    pub(crate) fn did(&self, number: E164) -> Option<&Did> {
        let at = self.did_by_number.get(&number)?;
        Some(&self.dids[at.0 as usize])
    }

    pub(crate) fn trunk_of_key(&self, key: &Key) -> Option<TrunkIx> {
        let at = self.trunks.iter().position(|trunk| trunk.key == *key)?;
        Some(TrunkIx(at as u32))
    }

    pub(crate) fn destination_of_key(&self, key: &Key) -> Option<DestinationIx> {
        let at = self.destinations.iter().position(|destination| destination.key == *key)?;
        Some(DestinationIx(at as u32))
    }

    pub(crate) fn extension_of_user(&self, user: &str) -> Option<ExtensionIx> {
        self.extension_by_user.get(user).copied()
    }

    /// The enabled trunk whose account here has this user name.
    pub(crate) fn trunk_account(&self, user: &str) -> Option<(&Key, TrunkIx)> {
        self.trunk_by_account.get_key_value(user).map(|(key, at)| (key, *at))
    }

    /// Whether any enabled trunk has an account here.
    pub(crate) fn has_trunk_accounts(&self) -> bool {
        !self.trunk_by_account.is_empty()
    }

    /// The enabled trunks that send from `address`: one, or several with accounts here.
    pub(crate) fn trunks_of_source(&self, address: SocketAddr) -> &[TrunkIx] {
        self.sources.of_address(address)
    }

    /// The enabled trunks whose certificate holds `name`.
    pub(crate) fn trunks_of_name(&self, name: &str) -> &[TrunkIx] {
        self.sources.of_name(name)
    }

    /// Whether somebody else than the operator may lead a call to `number` by a trunk: it
    /// carries it, and where the number is dear or abroad, one of its prefixes means it.
    pub(crate) fn may_be_led(&self, at: TrunkIx, number: E164) -> bool {
        let own = self.carriers.iter().filter(|(prefix, one)| *one == at && prefix.matches(number));
        own.map(|(prefix, _)| prefix.len).max().is_some_and(|len| len >= number.digits_to_mean())
    }

    /// Trunks that can carry a call to `number`, best first.
    pub(crate) fn carriers_of(&self, number: E164) -> impl Iterator<Item = TrunkIx> + '_ {
        self.carriers.iter().filter(move |(prefix, _)| prefix.matches(number)).map(|(_, at)| *at)
    }
}
