//! A peer of a trunk as documents write it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a trunk is reached: a text for one that is tried in the order of the list, a table to
/// spread calls over several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Peer {
    /// `host`, `host:port`, `sip:host:port;transport=tcp` or `sips:host`.
    Text(String),
    /// Field by field.
    Table(PeerTable),
}

/// A peer, field by field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerTable {
    /// Name or address. A name without port is looked up by NAPTR and SRV (RFC 3263).
    pub host: String,
    /// Port; none is the one that DNS says, else 5060, or 5061 for TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `udp`, `tcp` or `tls`; none is what DNS says, else UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// Lower is tried first; none is the place in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Share of the calls among peers of one priority; none is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
}

impl From<&str> for Peer {
    fn from(text: &str) -> Self {
        Peer::Text(text.to_owned())
    }
}

/// For people, on one line.
impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Peer::Text(text) => f.write_str(text),
            Peer::Table(peer) => {
                f.write_str(&peer.host)?;
                if let Some(port) = peer.port {
                    write!(f, ":{port}")?;
                }
                if let Some(transport) = &peer.transport {
                    write!(f, ";transport={transport}")?;
                }
                Ok(())
            }
        }
    }
}
