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
    /// Realm of digest authentication, and the host of our users' and identity URIs.
    pub domain: String,
    /// The relay's place.
    pub media: MediaConfig,
    /// What an address that is no trunk and holds no credential gets.
    pub unknown_peer: UnknownPeer,
    /// What phones are asked to prove their password with.
    pub digest: DigestOffer,
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
/// MD5, so MD5 alone is the default. Answers by either are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestOffer {
    /// MD5 alone: every phone.
    #[default]
    Md5,
    /// SHA-256 alone.
    Sha256,
    /// SHA-256, then MD5 (RFC 8760 2.3).
    Both,
}
