//! What a trunk's identity headers are trusted for, and what leaves in them.

/// Whose number stands in an identity header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presented {
    /// The header is not sent (for From: anonymous).
    None,
    /// The original caller.
    #[default]
    Caller,
    /// The DID that was called, or that an extension presents.
    Did,
}

/// Whose name stands beside the number in From.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShownName {
    /// No name, also no word for an anonymous caller.
    None,
    /// The DID's presented name, else the caller's own.
    #[default]
    Caller,
    /// The DID's presented name alone.
    Did,
}

/// Identity headers of calls that leave by a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityPolicy {
    /// `From`. A withheld caller stays anonymous (RFC 3323 4.1).
    pub from: Presented,
    /// The name in `From`.
    pub display: ShownName,
    /// `P-Asserted-Identity` (RFC 3325 9.1).
    pub asserted: Presented,
    /// `P-Preferred-Identity` (RFC 3325 9.2), for a network that asserts itself.
    pub preferred: Presented,
    /// `Remote-Party-ID`, the draft that PRI gateways still read.
    pub remote_party_id: Presented,
    /// `Privacy: id` for a caller who withheld its number (RFC 3323 4.2).
    pub privacy: bool,
    /// `Diversion` with the DID and the reason (RFC 5806).
    pub diversion: bool,
    /// `History-Info` with the DID and the cause (RFC 7044).
    pub history_info: bool,
}

impl Default for IdentityPolicy {
    fn default() -> Self {
        IdentityPolicy {
            from: Presented::Caller,
            display: ShownName::Caller,
            asserted: Presented::Did,
            preferred: Presented::None,
            remote_party_id: Presented::None,
            privacy: true,
            diversion: true,
            history_info: false,
        }
    }
}

impl IdentityPolicy {
    /// For phones of our own: the caller as it is, nothing asserted.
    pub(crate) fn internal() -> Self {
        IdentityPolicy { asserted: Presented::None, ..IdentityPolicy::default() }
    }

    /// This policy with what a destination wants otherwise.
    #[must_use]
    pub fn with(self, other: &IdentityOverride) -> Self {
        IdentityPolicy {
            from: other.from.unwrap_or(self.from),
            display: other.display.unwrap_or(self.display),
            asserted: other.asserted.unwrap_or(self.asserted),
            preferred: other.preferred.unwrap_or(self.preferred),
            remote_party_id: other.remote_party_id.unwrap_or(self.remote_party_id),
            privacy: other.privacy.unwrap_or(self.privacy),
            diversion: other.diversion.unwrap_or(self.diversion),
            history_info: other.history_info.unwrap_or(self.history_info),
        }
    }
}

/// What one destination wants otherwise than its trunk's policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdentityOverride {
    /// [`IdentityPolicy::from`].
    pub from: Option<Presented>,
    /// [`IdentityPolicy::display`].
    pub display: Option<ShownName>,
    /// [`IdentityPolicy::asserted`].
    pub asserted: Option<Presented>,
    /// [`IdentityPolicy::preferred`].
    pub preferred: Option<Presented>,
    /// [`IdentityPolicy::remote_party_id`].
    pub remote_party_id: Option<Presented>,
    /// [`IdentityPolicy::privacy`].
    pub privacy: Option<bool>,
    /// [`IdentityPolicy::diversion`].
    pub diversion: Option<bool>,
    /// [`IdentityPolicy::history_info`].
    pub history_info: Option<bool>,
}

/// Which identity headers of calls that come in by a trunk are read. Those that say who calls
/// count from a trusted trunk only, whatever stands here (RFC 3325 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityRead {
    /// The name in `From` is passed on.
    pub display: bool,
    /// `P-Asserted-Identity` says who calls.
    pub asserted: bool,
    /// `Remote-Party-ID` does, where nothing is asserted.
    pub remote_party_id: bool,
    /// `P-Preferred-Identity` does, where neither is there.
    pub preferred: bool,
    /// `Privacy` withholds the number.
    pub privacy: bool,
    /// Earlier redirections in `Diversion` are told to the callee.
    pub diversion: bool,
    /// Those in `History-Info` are.
    pub history_info: bool,
}

impl Default for IdentityRead {
    fn default() -> Self {
        IdentityRead {
            display: true,
            asserted: true,
            remote_party_id: true,
            preferred: false,
            privacy: true,
            diversion: true,
            history_info: true,
        }
    }
}
