//! What the engine is told once, at its start.

use std::net::{IpAddr, SocketAddr};

use crate::input::Transport;

/// Settings of one engine.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The node's name; on every record.
    pub node: String,
    /// This engine's number among those of the node: part of every tag and branch it makes, so
    /// that a message finds the engine that owns its call.
    pub shard: u8,
    /// Seed of all randomness. Real ones come from the operating system.
    pub seed: u64,
    /// Where SIP is heard, in the order of [`crate::ListenerId`]. At least one.
    pub listeners: Vec<Listener>,
    /// Sockets of this node that serve people, not SIP: no name leads a call there.
    pub not_sip: Vec<SocketAddr>,
    /// Realm of digest authentication, and the host of our users' and identity URIs.
    pub domain: String,
    /// The relay's place.
    pub media: MediaConfig,
    /// What an address that is no trunk and holds no credential gets.
    pub unknown_peer: UnknownPeer,
    /// What phones are asked to prove their password with.
    pub digest: DigestOffer,
    /// Calls are journalled, so that they outlive the process.
    pub journal: bool,
    /// How many phones an extension may have registered.
    pub contacts: ContactLimit,
    /// What the engine takes on at most.
    pub limits: Limits,
}

/// Phones that one extension may have registered, and what happens to one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContactLimit {
    /// So many.
    pub most: u8,
    /// One more replaces the one heard of longest ago, which has most likely been switched off,
    /// while the new one is in somebody's hand. Otherwise it is refused with 403.
    pub replace_oldest: bool,
}

impl Default for ContactLimit {
    /// Ten: a desk phone, a headset, a mobile, and those it was replaced by.
    fn default() -> Self {
        ContactLimit { most: 10, replace_oldest: true }
    }
}

/// Bounds of what is held in memory. Beyond them new calls get 503 with Retry-After; running
/// calls are served on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls at once, those included that wait for last answers.
    pub calls: u32,
    /// Transactions at once, lingering ones included.
    pub transactions: u32,
}

impl Default for Limits {
    /// A call takes about 4 kB and leaves some five transactions behind for 32 s: 200,000 calls
    /// and two million transactions are 2 GB, more than one engine thread can set up in its
    /// transactions' lifetime.
    fn default() -> Self {
        Limits { calls: 200_000, transactions: 2_000_000 }
    }
}

/// A place where SIP is heard.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Protocol.
    pub transport: Transport,
    /// Bound address.
    pub address: SocketAddr,
    /// Host written into Via and Contact.
    pub advertise_host: String,
    /// Port written there.
    pub advertise_port: u16,
}

/// Where the relay is reached.
#[derive(Clone, Copy, Debug)]
pub struct MediaConfig {
    /// Address written into SDP.
    pub address: IpAddr,
    /// First port of the range; rounded up to an even one.
    pub first_port: u16,
    /// Last port of the range.
    pub last_port: u16,
}

/// What an unknown peer gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownPeer {
    /// Nothing: a scanner learns nothing.
    #[default]
    Drop,
    /// 403.
    Forbid,
}

/// Digest algorithms that challenges offer. RFC 8760 wants both, the stronger first, but phones
/// in wide use (libre before 3.12, older PJSIP) give the account up at any challenge that is not
/// MD5, so MD5 alone is the default. Answers by any of the three are
/// accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestOffer {
    /// MD5 alone: every phone.
    #[default]
    Md5,
    /// SHA-256 alone.
    Sha256,
    /// SHA-256, then MD5 (RFC 8760 2.3).
    Both,
    /// SHA-512-256, SHA-256, then MD5 (RFC 8760 2.3).
    All,
}
