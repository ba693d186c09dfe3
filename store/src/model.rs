//! The documents of the provisioning: what REST, import and export speak, and what a row holds.
//!
//! References between documents are by id. Unknown fields are errors, so that a typing mistake
//! in a document is found and not ignored.

mod peer;
mod record;
mod relation;
mod trunk;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use peer::{Peer, PeerTable};
pub use record::{CdrLegRecord, CdrRecord, LegMediaRecord, MediaRecord};
pub use relation::{TrunkAuth, TrunkAuthIn, TrunkHealth, TrunkRegister};
pub use trunk::{DigitEdit, Digits, Identity, IdentityIn, SessionTimer, Trunk};

/// Who rents DIDs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Reading of the name.
    #[serde(default)]
    pub kana: String,
    /// Whom to reach, in free text lines (mail, telephone).
    #[serde(default)]
    pub contacts: Vec<String>,
    /// Closing day of billing: 5, 10, 15, 20, 25 or 31 for the end of the month.
    #[serde(default = "month_end")]
    pub closing_day: u8,
    /// `active` or `suspended`; calls to DIDs of a suspended customer are refused.
    #[serde(default = "active")]
    pub state: String,
    /// Reseller id that sees this customer.
    #[serde(default)]
    pub reseller: Option<String>,
    /// Operator's note.
    #[serde(default)]
    pub note: String,
}

/// A number and its route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Did {
    /// The number in E.164, also its id.
    pub number: String,
    /// Customer id; none while the number is free.
    #[serde(default)]
    pub customer: Option<String>,
    /// `free`, `reserved`, `active`, `suspended`, `quarantine`.
    #[serde(default = "active")]
    pub state: String,
    /// Last day of a quarantine, `YYYY-MM-DD`.
    #[serde(default)]
    pub quarantine_until: Option<String>,
    /// What rings, step by step, until somebody answers.
    #[serde(default)]
    pub route: Vec<RouteStep>,
    /// Concurrent calls, 0 = unlimited.
    #[serde(default)]
    pub max_calls: u32,
    /// Display name shown to callees; empty shows the caller's own.
    #[serde(default)]
    pub presented_name: String,
    /// Operator's note.
    #[serde(default)]
    pub note: String,
}

/// One step of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteStep {
    /// `destination:ID`, `group:ID` or `extension:USER`.
    pub ring: String,
}

/// One thing that can ring. Exactly one of `number`, `uri` and `extension` is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// Id.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Customer id.
    #[serde(default)]
    pub customer: Option<String>,
    /// A telephone number in E.164, which leaves by a trunk.
    #[serde(default)]
    pub number: Option<String>,
    /// A SIP URI.
    #[serde(default)]
    pub uri: Option<String>,
    /// An extension's user name.
    #[serde(default)]
    pub extension: Option<String>,
    /// Trunk id it must leave by; none selects by prefix and priority.
    #[serde(default)]
    pub trunk: Option<String>,
    /// Identity headers that it wants otherwise than its trunk has them.
    #[serde(default)]
    pub identity: Identity,
}

/// A hunt group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Id.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Customer id.
    #[serde(default)]
    pub customer: Option<String>,
    /// `simultaneous` or `sequential`.
    #[serde(default = "simultaneous")]
    pub strategy: String,
    /// Members in hunting order, at most 100.
    pub members: Vec<Member>,
    /// Ring time of a member without its own, 1 to 180 seconds.
    #[serde(default = "ring_seconds")]
    pub ring_seconds: u32,
    /// A member that declines (6xx, 拒否) ends the whole hunt: others stop ringing, and neither
    /// overflow nor the route's next step rings. Default false: it declines for itself.
    #[serde(default)]
    pub ends_on_decline: bool,
    /// Where the call goes when no member answered.
    #[serde(default)]
    pub overflow: Option<String>,
}

/// A member of a hunt group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// `destination:ID` or `extension:USER`.
    pub ring: String,
    /// Rings this long after the group started (simultaneous) or the member before it gave up
    /// (sequential), 0 to 120 seconds.
    #[serde(default)]
    pub delay_seconds: u32,
    /// Rings this long at most, up to 180 seconds; 0 takes the group's.
    #[serde(default)]
    pub ring_seconds: u32,
}

/// A SIP account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// User name, also its id.
    pub user: String,
    /// Password, write only: REST and audit never show it; export does only when asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Customer id.
    #[serde(default)]
    pub customer: Option<String>,
    /// DID shown on its calls out; none cannot call out.
    #[serde(default)]
    pub presented_did: Option<String>,
    /// May register and call.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// A calendar that rules can refer to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Id.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Customer id.
    #[serde(default)]
    pub customer: Option<String>,
    /// Weekly hours.
    #[serde(default)]
    pub weekly: Vec<WeeklyHours>,
    /// Days that differ from the week: holidays, closings, special openings.
    #[serde(default)]
    pub exceptions: Vec<ExceptionDay>,
}

/// Hours open on some days of the week.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WeeklyHours {
    /// `mon` … `sun`.
    pub days: Vec<String>,
    /// `HH:MM`, the node's time zone.
    pub from: String,
    /// `HH:MM`, exclusive; `24:00` is midnight at the end of the day.
    pub to: String,
}

/// One day that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExceptionDay {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// Open from, none when closed all day.
    #[serde(default)]
    pub from: Option<String>,
    /// Open to.
    #[serde(default)]
    pub to: Option<String>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// The whole provisioning as one document: what import reads and export writes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Document {
    /// Trunks.
    pub trunks: Vec<Trunk>,
    /// Customers.
    pub customers: Vec<Customer>,
    /// DIDs.
    pub dids: Vec<Did>,
    /// Destinations.
    pub destinations: Vec<Destination>,
    /// Hunt groups.
    pub groups: Vec<Group>,
    /// Extensions.
    pub extensions: Vec<Extension>,
    /// Schedules.
    pub schedules: Vec<Schedule>,
}

fn yes() -> bool {
    true
}

fn month_end() -> u8 {
    31
}

fn active() -> String {
    "active".into()
}

fn simultaneous() -> String {
    "simultaneous".into()
}

fn ring_seconds() -> u32 {
    20
}
