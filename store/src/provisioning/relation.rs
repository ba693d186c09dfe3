//! Accounts, registration and health of a trunk.

use std::time::Duration;

use tensou_engine::Secret;
use tensou_engine::route::{AuthInSpec, AuthSpec, HealthSpec, RegisterSpec, RelationSpec};

use super::convert::MIN_SECRET;
use super::fields::Faults;
use super::peers;
use crate::model::{Trunk, TrunkAuth, TrunkAuthIn, TrunkHealth, TrunkRegister};

/// Longest user name or realm: they stand in headers beside other things.
const MAX_NAME: usize = 128;
/// A peer asked more often than every five seconds is loaded, not watched; one asked once an
/// hour is found dead by calls.
const INTERVAL_SECONDS: std::ops::RangeInclusive<u32> = 5..=3600;
/// Hysteresis beyond ten questions is longer than any operator waits.
const COUNT: std::ops::RangeInclusive<u32> = 1..=10;
/// The engine judges it as well, for whoever compiles without a store.
const EXPIRES_SECONDS: std::ops::RangeInclusive<u32> = 60..=86_400;

pub(super) fn relation(faults: &mut Faults, row: &Trunk) -> RelationSpec {
    RelationSpec {
        auth: row.auth.as_ref().map(|given| auth(faults, given)),
        auth_in: row.auth_in.as_ref().map(|given| auth_in(faults, given)),
        register: row.register.as_ref().map(|given| register(faults, given)),
        health: row.health.as_ref().map(|given| health(faults, given)),
        follow_redirects: row.follow_redirects,
    }
}

fn auth(faults: &mut Faults, row: &TrunkAuth) -> AuthSpec {
    name(faults, "auth.user", &row.user);
    let password = row.password.as_deref().unwrap_or_default();
    if password.is_empty() {
        faults.add("auth.password", "the password of our account at the trunk");
    }
    faults.line("auth.password", password);
    if let Some(realm) = &row.realm {
        name(faults, "auth.realm", realm);
    }
    let password = Secret::new(password);
    AuthSpec { user: row.user.clone(), password, realm: row.realm.clone() }
}

fn auth_in(faults: &mut Faults, row: &TrunkAuthIn) -> AuthInSpec {
    name(faults, "auth_in.user", &row.user);
    let password = row.password.as_deref().unwrap_or_default();
    if password.len() < MIN_SECRET {
        let message = format!("a password of at least {MIN_SECRET} characters");
        faults.add("auth_in.password", message);
    }
    faults.line("auth_in.password", password);
    AuthInSpec { user: row.user.clone(), password: Secret::new(password) }
}

fn register(faults: &mut Faults, row: &TrunkRegister) -> RegisterSpec {
    let registrar = row.registrar.as_deref();
    let registrar = registrar.and_then(|text| peers::text(faults, "register.registrar", 0, text));
    faults.host_if("register.domain", row.domain.as_deref());
    if let Some(user) = &row.user {
        user_part(faults, "register.user", user);
    }
    if let Some(user) = &row.contact_user {
        user_part(faults, "register.contact_user", user);
    }
    faults.range("register.expires_seconds", row.expires_seconds, EXPIRES_SECONDS);
    RegisterSpec {
        registrar,
        domain: row.domain.clone(),
        user: row.user.clone(),
        contact_user: row.contact_user.clone(),
        expires: Duration::from_secs(row.expires_seconds.into()),
    }
}

fn health(faults: &mut Faults, row: &TrunkHealth) -> HealthSpec {
    faults.range("health.interval_seconds", row.interval_seconds, INTERVAL_SECONDS);
    faults.range("health.down_after", row.down_after, COUNT);
    faults.range("health.up_after", row.up_after, COUNT);
    HealthSpec {
        interval: Duration::from_secs(row.interval_seconds.into()),
        down_after: row.down_after,
        up_after: row.up_after,
    }
}

/// What stands between the quotes of a digest header.
fn name(faults: &mut Faults, field: &str, text: &str) {
    faults.line(field, text);
    if text.is_empty() || text.len() > MAX_NAME || text.contains(['"', '\\']) {
        faults.add(field, format!("1 to {MAX_NAME} characters without quotes and backslashes"));
    }
}

/// What stands before the `@` of a SIP URI without an escape (RFC 3261 25.1, unreserved).
fn user_part(faults: &mut Faults, field: &str, text: &str) {
    let plain = |ch: char| ch.is_ascii_alphanumeric() || "-_.!~*'()+".contains(ch);
    if text.is_empty() || text.len() > MAX_NAME || !text.chars().all(plain) {
        let message = format!("1 to {MAX_NAME} letters, digits and - _ . ! ~ * ' ( ) +");
        faults.add(field, message);
    }
}
