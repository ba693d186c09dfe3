//! What an operator configured, as plain values with references by key. The store reads it from
//! the database, import from documents; [`super::Snapshot::compile`] judges it as a whole.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::plan::{DigitEdits, E164, NumberFormat, UriForm};
use crate::secret::Secret;

use super::peer::{LargeRequests, PeerSpec};
use super::{DialogPolicy, IdentityOverride, IdentityPolicy, IdentityRead, RelationSpec};

/// The whole provisioning of a node.
#[derive(Clone, Debug, Default)]
pub struct Provisioning {
    /// SIP peers.
    pub trunks: Vec<TrunkSpec>,
    /// Who rents DIDs.
    pub customers: Vec<CustomerSpec>,
    /// Numbers and their routes.
    pub dids: Vec<DidSpec>,
    /// What can ring.
    pub destinations: Vec<DestinationSpec>,
    /// Hunt groups.
    pub groups: Vec<GroupSpec>,
    /// SIP accounts.
    pub extensions: Vec<ExtensionSpec>,
}

/// A SIP peer that brings or takes calls.
#[derive(Clone, Debug)]
pub struct TrunkSpec {
    /// Key.
    pub id: String,
    /// A disabled trunk neither brings nor takes calls; running ones go on.
    pub enabled: bool,
    /// Where calls leaving by it are sent, by priority and weight; the next when one fails.
    /// Empty for a trunk that only brings calls.
    pub peers: Vec<PeerSpec>,
    /// Addresses that its peers' names had when this provisioning was loaded: calls from there
    /// are its own.
    pub peer_addresses: Vec<SocketAddr>,
    /// Networks, besides the peers' own addresses, that calls from it come from.
    pub sources: Vec<Source>,
    /// Name in its TLS certificate (RFC 5922). Who shows it is this trunk, from wherever; its
    /// peers' addresses alone are then not enough.
    pub tls_name: Option<String>,
    /// How a request that is too large for a datagram reaches it.
    pub large_requests: LargeRequests,
    /// Channels in both directions together; 0 is unlimited. One INS1500 has 23.
    pub channels: u32,
    /// Of the channels, those kept for calls that come in by it.
    pub reserved_incoming: u32,
    /// Calls that begin within a second, in both directions together; 0 is unlimited.
    pub max_calls_per_second: u32,
    /// Prefixes of E.164 numbers (with `+`) it carries; empty carries all.
    pub prefixes: Vec<String>,
    /// Lower is tried first among trunks whose longest prefixes are equal.
    pub priority: u32,
    /// How it writes numbers.
    pub format_in: NumberFormat,
    /// How it wants them.
    pub format_out: NumberFormat,
    /// Digits that it adds or wants added.
    pub digits: DigitEdits,
    /// The URI in which it wants numbers.
    pub uri_out: UriForm,
    /// Where it puts the called DID.
    pub did_source: DidSource,
    /// The DID meant when the called number is missing (グローバル着信).
    pub default_did: Option<E164>,
    /// The host in From and the other identity headers; empty: the engine's own domain.
    pub domain: String,
    /// What leaves in identity headers.
    pub identity: IdentityPolicy,
    /// What is read in them when they come from it.
    pub identity_in: IdentityRead,
    /// What it says of callers is believed (RFC 3325 5).
    pub trusted: bool,
    /// Further headers of its calls that pass to the callee, by name. `X-` and `P-` headers pass
    /// from a trusted trunk only.
    pub passed_headers: Vec<String>,
    /// It gets a Session-ID (RFC 7989).
    pub session_id: bool,
    /// Header names are written to it in their compact form (RFC 3261 7.3.3).
    pub compact_headers: bool,
    /// A call that was redirected more often is refused as a loop.
    pub max_redirections: u8,
    /// Encodings that it knows, by name; others are not offered to it. Empty: all.
    pub codecs: Vec<String>,
    /// Its media may come from elsewhere than its SDP says (it is behind NAT).
    pub nat: bool,
    /// Accounts, registration, health, redirections.
    pub relation: RelationSpec,
    /// What its peers agree to within a dialog.
    pub dialog: DialogPolicy,
}

/// Redirections after which a call is taken for a loop, unless its trunk says otherwise: Japanese
/// networks stop at 5 as well.
pub const MAX_REDIRECTIONS: u8 = 5;

impl Default for TrunkSpec {
    /// An enabled trunk without a key, peers or sources, which writes numbers as Japanese UNIs do.
    fn default() -> Self {
        TrunkSpec {
            id: String::new(),
            enabled: true,
            peers: Vec::new(),
            peer_addresses: Vec::new(),
            tls_name: None,
            large_requests: LargeRequests::Tcp,
            sources: Vec::new(),
            channels: 0,
            reserved_incoming: 0,
            max_calls_per_second: 0,
            prefixes: Vec::new(),
            priority: 0,
            format_in: NumberFormat::Auto,
            format_out: NumberFormat::National,
            digits: DigitEdits::default(),
            uri_out: UriForm::Sip,
            did_source: DidSource::RequestUri,
            default_did: None,
            domain: String::new(),
            identity: IdentityPolicy::default(),
            identity_in: IdentityRead::default(),
            trusted: false,
            passed_headers: Vec::new(),
            session_id: false,
            compact_headers: false,
            max_redirections: MAX_REDIRECTIONS,
            codecs: Vec::new(),
            nat: false,
            relation: RelationSpec::default(),
            dialog: DialogPolicy::default(),
        }
    }
}

/// An address or network that a trunk sends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Network address.
    pub network: IpAddr,
    /// Leading bits that count.
    pub prefix_len: u8,
    /// Only this port, when given.
    pub port: Option<u16>,
}

/// Where a trunk puts the called DID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DidSource {
    /// User part of the Request-URI.
    #[default]
    RequestUri,
    /// User part of `To` (ひかり電話 behind a home gateway).
    To,
    /// `P-Called-Party-ID` (RFC 7315), else the Request-URI.
    PCalledPartyId,
    /// Topmost `Diversion` (RFC 5806), else the Request-URI.
    Diversion,
    /// The number that was called before the last redirection: the last but one entry of
    /// `History-Info` (RFC 7044), else the Request-URI.
    HistoryInfo,
}

/// Who rents DIDs.
#[derive(Clone, Debug)]
pub struct CustomerSpec {
    /// Key.
    pub id: String,
    /// Calls to DIDs of a suspended customer are refused.
    pub active: bool,
}

/// A number and its route.
#[derive(Clone, Debug)]
pub struct DidSpec {
    /// The number.
    pub number: E164,
    /// Customer key; none while the number is free.
    pub customer: Option<String>,
    /// Only an active DID takes calls.
    pub active: bool,
    /// Steps, tried in order until somebody answers.
    pub route: Vec<TargetRef>,
    /// Concurrent calls; 0 is unlimited. One more is answered busy.
    pub max_calls: u32,
    /// Display name shown to callees beside the number; empty shows the caller's own.
    pub presented_name: String,
}

/// A reference to what can ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetRef {
    /// `destination:KEY`.
    Destination(String),
    /// `group:KEY`.
    Group(String),
    /// `extension:USER`.
    Extension(String),
}

impl TargetRef {
    /// Reads `destination:KEY`, `group:KEY` or `extension:USER`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, key) = text.split_once(':')?;
        if key.is_empty() {
            return None;
        }
        match kind {
            "destination" => Some(TargetRef::Destination(key.to_owned())),
            "group" => Some(TargetRef::Group(key.to_owned())),
            "extension" => Some(TargetRef::Extension(key.to_owned())),
            _ => None,
        }
    }
}

impl std::fmt::Display for TargetRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TargetRef::Destination(key) => write!(f, "destination:{key}"),
            TargetRef::Group(key) => write!(f, "group:{key}"),
            TargetRef::Extension(user) => write!(f, "extension:{user}"),
        }
    }
}

/// One thing that can ring.
#[derive(Clone, Debug)]
pub struct DestinationSpec {
    /// Key.
    pub id: String,
    /// What it is.
    pub kind: DestinationKind,
    /// What it wants otherwise than its trunk's identity policy.
    pub identity: IdentityOverride,
    /// Trunk key it must leave by; none selects by prefix and priority. For a SIP URI, the
    /// trunk whose identity policy and channels it uses, if any.
    pub trunk: Option<String>,
}

/// The kinds of destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationKind {
    /// A telephone number that leaves by a trunk.
    Number(E164),
    /// A SIP URI, called directly.
    Uri(String),
    /// A registered extension, by user name.
    Extension(String),
}

/// How the members of a hunt group are rung.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// All at once, each after its own delay.
    #[default]
    Simultaneous,
    /// One after the other, each for its own ring time.
    Sequential,
}

/// A hunt group.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    /// Key.
    pub id: String,
    /// How members are rung.
    pub strategy: Strategy,
    /// Members in hunting order.
    pub members: Vec<MemberSpec>,
    /// Ring time of a member without its own.
    pub ring: Duration,
    /// A member that declines (6xx) ends the whole hunt, others that ring and what follows
    /// included; otherwise it declines for itself.
    pub ends_on_decline: bool,
    /// Where the call goes when no member answered, before the route's next step.
    pub overflow: Option<TargetRef>,
}

/// A member of a hunt group.
#[derive(Clone, Debug)]
pub struct MemberSpec {
    /// A destination or extension; a group in a group is refused.
    pub target: TargetRef,
    /// Rings this long after the group started (simultaneous) or after the member before it
    /// gave up (sequential).
    pub delay: Duration,
    /// Rings this long at most; zero takes the group's.
    pub ring: Duration,
}

/// A SIP account.
#[derive(Clone, Debug)]
pub struct ExtensionSpec {
    /// User name, also the key.
    pub user: String,
    /// Its password.
    pub secret: Secret,
    /// May register and call.
    pub enabled: bool,
    /// Customer key.
    pub customer: Option<String>,
    /// DID shown on its calls out; none cannot call out.
    pub presented: Option<E164>,
}
