//! Users, API tokens and the sessions of the web UI.

use tensou_engine::Secret;
use tensou_engine::route::Fault;

use crate::access::{Role, Scope};

/// A user to be created.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Name to sign in with: letters, digits, `-`, `_`, `.` and `@`, at most 64.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The hash, never the password.
    pub password_hash: Secret,
    /// Customer they belong to; role `customer` must have one.
    pub customer: Option<String>,
    /// Reseller they belong to; role `reseller` must have one.
    pub reseller: Option<String>,
}

/// A change of a user; the name stays.
#[derive(Clone, Debug)]
pub struct UserChange {
    /// What they may do.
    pub role: Role,
    /// A new hash ends the user's sessions; none keeps the password.
    pub password_hash: Option<Secret>,
    /// Customer they belong to.
    pub customer: Option<String>,
    /// Reseller they belong to.
    pub reseller: Option<String>,
}

/// A person who can sign in.
#[derive(Clone, Debug)]
pub struct User {
    /// Name to sign in with.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The hash of the password.
    pub password_hash: Secret,
    /// Customer they belong to.
    pub customer: Option<String>,
    /// Reseller they belong to.
    pub reseller: Option<String>,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub updated_at: i64,
}

impl User {
    /// What they see; none: nothing, the account is incomplete.
    pub fn scope(&self) -> Option<Scope> {
        Scope::of(self.role, self.customer.as_deref(), self.reseller.as_deref())
    }
}

/// A token to be created.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// For people and the audit log.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of the token in hexadecimal; the token itself is never stored.
    pub hash: String,
    /// Customer it belongs to; role `customer` must have one.
    pub customer: Option<String>,
    /// Reseller it belongs to; role `reseller` must have one.
    pub reseller: Option<String>,
    /// Unix milliseconds; none never expires.
    pub expires_at: Option<i64>,
}

/// An API token, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// UUIDv7.
    pub id: String,
    /// For people and the audit log.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Customer it belongs to.
    pub customer: Option<String>,
    /// Reseller it belongs to.
    pub reseller: Option<String>,
    /// Unix milliseconds; none never expires.
    pub expires_at: Option<i64>,
    /// Unix milliseconds.
    pub created_at: i64,
}

impl Token {
    /// What it sees; none: nothing, it is incomplete.
    pub fn scope(&self) -> Option<Scope> {
        Scope::of(self.role, self.customer.as_deref(), self.reseller.as_deref())
    }
}

/// A signed-in browser.
#[derive(Clone, Debug)]
pub struct Session {
    /// SHA-256 of the cookie in hexadecimal.
    pub hash: String,
    /// Who signed in.
    pub user: String,
    /// The value that forms must carry.
    pub csrf: Secret,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub expires_at: i64,
}

/// Faults of what users and tokens have in common.
pub(crate) fn check_account(
    kind: &'static str,
    name: &str,
    role: Role,
    customer: Option<&str>,
    reseller: Option<&str>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |field: &str, message: &str| {
        faults.push(Fault {
            kind,
            key: name.to_owned(),
            field: field.to_owned(),
            message: message.to_owned(),
        });
    };
    let allowed = |ch: char| ch.is_ascii_alphanumeric() || "-_.@".contains(ch);
    if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
        fault("name", "use 1 to 64 letters, digits, - _ . @");
    }
    if Scope::of(role, customer, reseller).is_none() {
        let field = if role == Role::Customer { "customer" } else { "reseller" };
        fault(field, "this role must name the one whose rows it sees");
    }
    faults
}
