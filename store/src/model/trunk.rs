//! The document of a trunk.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::peer::Peer;
use super::{TrunkAuth, TrunkAuthIn, TrunkHealth, TrunkRegister};

/// A SIP peer that brings or takes calls: a PRI gateway, a carrier, another PBX.
///
/// Fields that are left out are as the profile has them, else as said at each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trunk {
    /// Id, chosen by the operator: letters, digits, `-` and `_`, at most 64.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// A disabled trunk neither brings nor takes calls; running ones go on.
    #[serde(default = "super::yes")]
    pub enabled: bool,
    /// What kind of peer it is: `pri_gateway`, `ntt_ngn` or `itsp`. It gives defaults to the
    /// fields below that are left out.
    #[serde(default)]
    pub profile: Option<String>,
    /// Where calls leaving by it are sent, in order of preference: `host:port`,
    /// `sip:host;transport=tcp`, or a table with priority and weight.
    #[serde(default)]
    pub peers: Vec<Peer>,
    /// Name in its TLS certificate: who shows it is this trunk, from whatever address; who does
    /// not is none, but for the sources.
    #[serde(default)]
    pub tls_name: Option<String>,
    /// How a request too large for a datagram (1,300 bytes, RFC 3261 18.1.1) reaches it: `tcp`
    /// (default), with UDP where that fails, or `udp`.
    #[serde(default)]
    pub large_requests: Option<String>,
    /// Addresses or networks, besides the peers' own, that calls come from:
    /// `192.0.2.7`, `192.0.2.7:5062`, `192.0.2.0/24`.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Channels in both directions together, 0 = unlimited. One INS1500 has 23.
    #[serde(default)]
    pub channels: u32,
    /// Of the channels, those kept for calls that come in by it.
    #[serde(default)]
    pub reserved_incoming: u32,
    /// Calls that may begin within any second, in both directions together, 0 = unlimited. A
    /// call over it gets 503 with Retry-After, or leaves by the next trunk.
    #[serde(default)]
    pub max_calls_per_second: u32,
    /// Prefixes of E.164 numbers it carries (`+81`, `+819`); empty carries all.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Lower is tried first.
    #[serde(default)]
    pub priority: u32,
    /// How it writes numbers: `auto` (default), `national`, `e164`, `e164_no_plus`.
    #[serde(default)]
    pub number_format_in: Option<String>,
    /// How it wants them: `national` (default), `e164`, `e164_no_plus`.
    #[serde(default)]
    pub number_format_out: Option<String>,
    /// Digits that it adds or wants added.
    #[serde(default)]
    pub digits: Digits,
    /// The URI in which it wants numbers: `sip` (default), `user_phone`, `tel`.
    #[serde(default)]
    pub number_uri_out: Option<String>,
    /// Where the DID is found: `ruri` (default), `to`, `p_called_party_id`, `diversion`,
    /// `history_info`.
    #[serde(default)]
    pub did_source: Option<String>,
    /// The DID meant when the called number is missing.
    #[serde(default)]
    pub default_did: Option<String>,
    /// The host in From and the other identity headers; default the node's own `sip.domain`.
    #[serde(default)]
    pub domain: Option<String>,
    /// What leaves in identity headers.
    #[serde(default)]
    pub identity: Identity,
    /// Which identity headers are read when they come from it.
    #[serde(default)]
    pub identity_in: IdentityIn,
    /// What it says of callers is believed (P-Asserted-Identity, Remote-Party-ID,
    /// P-Preferred-Identity, earlier redirections).
    #[serde(default)]
    pub trusted: bool,
    /// Further headers of its calls that pass to the callee, by name; `X-` and `P-` headers from
    /// a trusted trunk only.
    #[serde(default)]
    pub passed_headers: Vec<String>,
    /// It gets a Session-ID (RFC 7989); default false.
    #[serde(default)]
    pub session_id: Option<bool>,
    /// Header names are written to it in their compact form (`v`, `f`, `t`, `i`); default false.
    #[serde(default)]
    pub compact_headers: Option<bool>,
    /// A call that was redirected more often is refused as a loop, 1 to 70; default 5.
    #[serde(default)]
    pub max_redirections: Option<u32>,
    /// Encodings that are offered to it, by name (`PCMU`, `telephone-event`); default all.
    #[serde(default)]
    pub codecs: Option<Vec<String>>,
    /// It is behind NAT: its media may come from elsewhere than its SDP says.
    #[serde(default)]
    pub nat: bool,
    /// Our account there, by which its challenges (401, 407) are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<TrunkAuth>,
    /// Its account here: it is then known by this password alone, from wherever it calls, its
    /// own addresses included; without one by its addresses or its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_in: Option<TrunkAuthIn>,
    /// We register there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register: Option<TrunkRegister>,
    /// Its peers are asked with OPTIONS whether they are alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<TrunkHealth>,
    /// Follow redirections (302) of its callees: by this trunk, to numbers of its prefixes or, for
    /// a URI, to another user of the same place. Default false: each is a failure.
    #[serde(default)]
    pub follow_redirects: bool,
    /// Session timers (RFC 4028): notice a peer that has died without a word.
    #[serde(default)]
    pub session_timer: SessionTimer,
    /// Reliable ringing (RFC 3262): `off`, `supported` (default), `required` of callees.
    #[serde(default)]
    pub prack: Option<String>,
    /// REFER and Replaces from it are obeyed, within what the customer of the call may call.
    #[serde(default)]
    pub transfer: bool,
}

/// Session timers of a trunk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionTimer {
    /// Offer them, and accept them when asked; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The interval asked for, and the longest accepted: 90 to 86400 seconds; default 1800.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_expires_seconds: Option<u32>,
    /// The shortest accepted, 90 seconds (default) or more; a shorter one is answered 422.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_se_seconds: Option<u32>,
    /// Who renews where the peer leaves the choice: `negotiated` (default: the calling side),
    /// `us`, `peer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresher: Option<String>,
}

/// Digits that a trunk adds to numbers or wants added: inwards before a number is read, outwards
/// after it is written. `called` is the number called, `caller` every other one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Digits {
    /// The called number as it arrives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called_in: Option<DigitEdit>,
    /// Other numbers as they arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_in: Option<DigitEdit>,
    /// The called number as it leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called_out: Option<DigitEdit>,
    /// Other numbers as they leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_out: Option<DigitEdit>,
}

/// Digits cut off a number, where it begins with them, and then digits put before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DigitEdit {
    /// Cut off where the number begins with it.
    pub strip: String,
    /// Put before, always.
    pub add: String,
}

/// Identity headers of calls that leave by a trunk, or to one destination. What is left out is
/// for a destination as its trunk has it, for a trunk as its profile has it, else as said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// Whose number stands in From: `caller` (default), `did`, `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Whose name stands in From: `caller` (default; the DID's presented name before it), `did`,
    /// `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// Whose number stands in P-Asserted-Identity: `caller`, `did` (default), `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asserted: Option<String>,
    /// Whose number stands in P-Preferred-Identity: `caller`, `did`, `none` (default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred: Option<String>,
    /// Whose number stands in Remote-Party-ID: `caller`, `did`, `none` (default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_party_id: Option<String>,
    /// Send `Privacy: id` for a caller who withheld its number; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<bool>,
    /// Send Diversion with the DID and the reason; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversion: Option<bool>,
    /// Send History-Info with the DID and the cause; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_info: Option<bool>,
}

/// Which identity headers of calls from a trunk are read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityIn {
    /// The name in From is passed on; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<bool>,
    /// P-Asserted-Identity says who calls, from a trusted trunk; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asserted: Option<bool>,
    /// Remote-Party-ID does, where nothing is asserted; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_party_id: Option<bool>,
    /// P-Preferred-Identity does, where neither is there; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred: Option<bool>,
    /// Privacy withholds the number; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<bool>,
    /// Earlier redirections in Diversion are told to the callee; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversion: Option<bool>,
    /// Those in History-Info are; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_info: Option<bool>,
}
