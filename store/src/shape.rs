//! The shape of each document: its fields in order and what each holds. It names the columns of
//! the row, tells typing mistakes in a document by place, and says what a list can be filtered by.

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    /// A telephone number, stored in E.164.
    Number,
    /// A whole number from 0.
    Integer(u32),
    Flag,
    /// Stored as JSON text.
    List(&'static Kind),
    /// Stored as JSON text.
    Table(&'static [Field]),
    /// A text for the usual case, a table for what it cannot say. Stored as JSON text.
    TextOrTable(&'static [Field]),
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) presence: Presence,
}

/// Whether a field must stand in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    /// A default takes its place.
    Defaulted,
    /// Absent and null mean "none"; the column is nullable.
    Optional,
    /// Optional, and never shown or filtered by.
    Secret,
}

impl Field {
    pub(crate) fn nullable(&self) -> bool {
        matches!(self.presence, Presence::Optional | Presence::Secret)
    }
}

const ANY: u32 = u32::MAX;

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, presence: Presence::Required }
}

const fn defaulted(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, presence: Presence::Defaulted }
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, presence: Presence::Optional }
}

const fn secret(name: &'static str) -> Field {
    Field { name, kind: Kind::Text, presence: Presence::Secret }
}

const IDENTITY: &[Field] = &[
    optional("from", Kind::Text),
    optional("display", Kind::Text),
    optional("asserted", Kind::Text),
    optional("preferred", Kind::Text),
    optional("remote_party_id", Kind::Text),
    optional("privacy", Kind::Flag),
    optional("diversion", Kind::Flag),
    optional("history_info", Kind::Flag),
];

const IDENTITY_IN: &[Field] = &[
    optional("display", Kind::Flag),
    optional("asserted", Kind::Flag),
    optional("remote_party_id", Kind::Flag),
    optional("preferred", Kind::Flag),
    optional("privacy", Kind::Flag),
    optional("diversion", Kind::Flag),
    optional("history_info", Kind::Flag),
];

const DIGIT_EDIT: &[Field] = &[defaulted("strip", Kind::Text), defaulted("add", Kind::Text)];

const DIGITS: &[Field] = &[
    optional("called_in", Kind::Table(DIGIT_EDIT)),
    optional("caller_in", Kind::Table(DIGIT_EDIT)),
    optional("called_out", Kind::Table(DIGIT_EDIT)),
    optional("caller_out", Kind::Table(DIGIT_EDIT)),
];

const PEER: &[Field] = &[
    required("host", Kind::Text),
    optional("port", Kind::Integer(65_535)),
    optional("transport", Kind::Text),
    optional("priority", Kind::Integer(65_535)),
    optional("weight", Kind::Integer(65_535)),
];

const AUTH: &[Field] =
    &[required("user", Kind::Text), secret("password"), optional("realm", Kind::Text)];

const AUTH_IN: &[Field] = &[required("user", Kind::Text), secret("password")];

const REGISTER: &[Field] = &[
    optional("registrar", Kind::Text),
    optional("domain", Kind::Text),
    optional("user", Kind::Text),
    optional("contact_user", Kind::Text),
    defaulted("expires_seconds", Kind::Integer(ANY)),
];

const HEALTH: &[Field] = &[
    defaulted("interval_seconds", Kind::Integer(ANY)),
    defaulted("down_after", Kind::Integer(ANY)),
    defaulted("up_after", Kind::Integer(ANY)),
];

const SESSION_TIMER: &[Field] = &[
    optional("enabled", Kind::Flag),
    optional("session_expires_seconds", Kind::Integer(ANY)),
    optional("min_se_seconds", Kind::Integer(ANY)),
    optional("refresher", Kind::Text),
];

pub(crate) const TRUNK: &[Field] = &[
    required("id", Kind::Text),
    defaulted("name", Kind::Text),
    defaulted("enabled", Kind::Flag),
    optional("profile", Kind::Text),
    defaulted("peers", Kind::List(&Kind::TextOrTable(PEER))),
    optional("tls_name", Kind::Text),
    optional("large_requests", Kind::Text),
    defaulted("sources", Kind::List(&Kind::Text)),
    defaulted("channels", Kind::Integer(ANY)),
    defaulted("reserved_incoming", Kind::Integer(ANY)),
    defaulted("max_calls_per_second", Kind::Integer(ANY)),
    defaulted("prefixes", Kind::List(&Kind::Text)),
    defaulted("priority", Kind::Integer(ANY)),
    optional("number_format_in", Kind::Text),
    optional("number_format_out", Kind::Text),
    defaulted("digits", Kind::Table(DIGITS)),
    optional("number_uri_out", Kind::Text),
    optional("did_source", Kind::Text),
    optional("default_did", Kind::Number),
    optional("domain", Kind::Text),
    defaulted("identity", Kind::Table(IDENTITY)),
    defaulted("identity_in", Kind::Table(IDENTITY_IN)),
    defaulted("trusted", Kind::Flag),
    defaulted("passed_headers", Kind::List(&Kind::Text)),
    optional("session_id", Kind::Flag),
    optional("compact_headers", Kind::Flag),
    optional("max_redirections", Kind::Integer(ANY)),
    optional("codecs", Kind::List(&Kind::Text)),
    defaulted("nat", Kind::Flag),
    optional("auth", Kind::Table(AUTH)),
    optional("auth_in", Kind::Table(AUTH_IN)),
    optional("register", Kind::Table(REGISTER)),
    optional("health", Kind::Table(HEALTH)),
    defaulted("follow_redirects", Kind::Flag),
    defaulted("session_timer", Kind::Table(SESSION_TIMER)),
    optional("prack", Kind::Text),
    defaulted("transfer", Kind::Flag),
];

pub(crate) const CUSTOMER: &[Field] = &[
    required("id", Kind::Text),
    required("name", Kind::Text),
    defaulted("kana", Kind::Text),
    defaulted("contacts", Kind::List(&Kind::Text)),
    defaulted("closing_day", Kind::Integer(31)),
    defaulted("state", Kind::Text),
    optional("reseller", Kind::Text),
    defaulted("note", Kind::Text),
];

const ROUTE_STEP: &[Field] = &[required("ring", Kind::Text)];

pub(crate) const DID: &[Field] = &[
    required("number", Kind::Number),
    optional("customer", Kind::Text),
    defaulted("state", Kind::Text),
    optional("quarantine_until", Kind::Text),
    defaulted("route", Kind::List(&Kind::Table(ROUTE_STEP))),
    defaulted("max_calls", Kind::Integer(ANY)),
    defaulted("presented_name", Kind::Text),
    defaulted("note", Kind::Text),
];

pub(crate) const DESTINATION: &[Field] = &[
    required("id", Kind::Text),
    defaulted("name", Kind::Text),
    optional("customer", Kind::Text),
    optional("number", Kind::Number),
    optional("uri", Kind::Text),
    optional("extension", Kind::Text),
    optional("trunk", Kind::Text),
    defaulted("identity", Kind::Table(IDENTITY)),
];

const MEMBER: &[Field] = &[
    required("ring", Kind::Text),
    defaulted("delay_seconds", Kind::Integer(ANY)),
    defaulted("ring_seconds", Kind::Integer(ANY)),
];

pub(crate) const GROUP: &[Field] = &[
    required("id", Kind::Text),
    defaulted("name", Kind::Text),
    optional("customer", Kind::Text),
    defaulted("strategy", Kind::Text),
    required("members", Kind::List(&Kind::Table(MEMBER))),
    defaulted("ring_seconds", Kind::Integer(ANY)),
    defaulted("ends_on_decline", Kind::Flag),
    optional("overflow", Kind::Text),
];

pub(crate) const EXTENSION: &[Field] = &[
    required("user", Kind::Text),
    secret("secret"),
    defaulted("name", Kind::Text),
    optional("customer", Kind::Text),
    optional("presented_did", Kind::Number),
    defaulted("enabled", Kind::Flag),
];

const WEEKLY: &[Field] = &[
    required("days", Kind::List(&Kind::Text)),
    required("from", Kind::Text),
    required("to", Kind::Text),
];

const EXCEPTION: &[Field] = &[
    required("date", Kind::Text),
    optional("from", Kind::Text),
    optional("to", Kind::Text),
    defaulted("note", Kind::Text),
];

pub(crate) const SCHEDULE: &[Field] = &[
    required("id", Kind::Text),
    defaulted("name", Kind::Text),
    optional("customer", Kind::Text),
    defaulted("weekly", Kind::List(&Kind::Table(WEEKLY))),
    defaulted("exceptions", Kind::List(&Kind::Table(EXCEPTION))),
];

/// The whole document; field names are [`crate::Resource::PLURAL`].
pub(crate) const DOCUMENT: &[Field] = &[
    defaulted("trunks", Kind::List(&Kind::Table(TRUNK))),
    defaulted("customers", Kind::List(&Kind::Table(CUSTOMER))),
    defaulted("dids", Kind::List(&Kind::Table(DID))),
    defaulted("destinations", Kind::List(&Kind::Table(DESTINATION))),
    defaulted("groups", Kind::List(&Kind::Table(GROUP))),
    defaulted("extensions", Kind::List(&Kind::Table(EXTENSION))),
    defaulted("schedules", Kind::List(&Kind::Table(SCHEDULE))),
];
