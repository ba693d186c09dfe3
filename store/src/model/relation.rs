//! What a trunk's document says of accounts, registration and health.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Our account at a trunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkAuth {
    /// User name.
    pub user: String,
    /// Password, write only: REST and audit never show it; export does only when asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The only realm whose challenges are answered; none answers any realm of this trunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
}

/// A trunk's account here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkAuthIn {
    /// User name; nobody else's, neither a trunk's nor an extension's.
    pub user: String,
    /// Password, write only: REST and audit never show it; export does only when asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// How we register at a trunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkRegister {
    /// Where REGISTER is sent, written as a peer; none takes the trunk's peers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registrar: Option<String>,
    /// The host of the address-of-record; none takes the registrar's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The user of the address-of-record; none takes that of `auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user of our Contact, by which calls find the trunk; none takes `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_user: Option<String>,
    /// How long a registration holds that we ask for, 60 to 86400 seconds.
    #[serde(default = "hour")]
    pub expires_seconds: u32,
}

/// How a trunk's peers are watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrunkHealth {
    /// Time between two questions to a peer, 5 to 3600 seconds.
    pub interval_seconds: u32,
    /// A peer is down after so many questions without an answer, 1 to 10.
    pub down_after: u32,
    /// It is up again after so many answers in a row, 1 to 10.
    pub up_after: u32,
}

impl Default for TrunkHealth {
    fn default() -> Self {
        TrunkHealth { interval_seconds: 30, down_after: 2, up_after: 2 }
    }
}

fn hour() -> u32 {
    3600
}
