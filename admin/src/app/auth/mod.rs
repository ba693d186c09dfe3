//! Who asks: tokens, sessions, and what they may do.

mod guard;
mod login;
mod permission;
mod secret;
mod throttle;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use tensou_engine::Secret;
use tensou_store::{Actor, Role, Scope, Token, User};

use super::refusal::Refusal;

pub use login::{LoginError, SignedIn};
pub use permission::{Action, Area, Permission};
pub use secret::NoRandomness;

pub(crate) use guard::guard;
pub(crate) use secret::verify_password;
pub(crate) use secret::{fingerprint, hash_password, random_password, random_token};
pub(crate) use throttle::Throttle;

/// Somebody whom we know: the proof that a token or session was checked. Only this module makes
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    name: String,
    role: Role,
    scope: Scope,
}

impl Principal {
    fn of_user(user: &User) -> Option<Self> {
        let scope = user.scope()?;
        Some(Principal { name: user.name.clone(), role: user.role, scope })
    }

    fn of_token(token: &Token) -> Option<Self> {
        let scope = token.scope()?;
        Some(Principal { name: format!("token:{}", token.name), role: token.role, scope })
    }

    /// User name, or `token:NAME`; what the audit log shows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Their role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whose rows they see.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether their role includes this.
    pub fn may(&self, action: Action, area: Area) -> bool {
        Permission::allows(self.role, action, area)
    }

    /// # Errors
    /// [`Refusal::Forbidden`] when their role does not include this.
    pub fn demand(&self, action: Action, area: Area) -> Result<(), Refusal> {
        if self.may(action, area) { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    /// As the store's audit log wants them.
    pub fn actor(&self) -> Actor {
        Actor::new(self.name.clone(), self.role).within(self.scope.clone())
    }
}

/// A signed-in browser, as an extractor: without one the answer is a redirect to the sign-in
/// page; `Option<Session>` takes both.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who signed in.
    pub principal: Principal,
    /// What forms (`csrf_token`) and scripts (`X-CSRF-Token`) must send along.
    pub csrf: Secret,
    /// Fingerprint of the cookie.
    hash: String,
}

/// What the guard found out about a request; in its extensions.
#[derive(Clone, Debug, Default)]
struct Identified {
    principal: Option<Principal>,
    session: Option<Arc<Session>>,
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let known = parts.extensions.get::<Identified>();
        known.and_then(|known| known.principal.clone()).ok_or(Refusal::Unauthenticated)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        session_of(parts).ok_or_else(|| {
            let next = parts.uri.path_and_query().map_or("/", |target| target.as_str());
            let target = if parts.method.is_safe() && next != "/" {
                format!("/login?next={}", percent_encoded(next))
            } else {
                "/login".to_owned()
            };
            Redirect::to(&target).into_response()
        })
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(session_of(parts))
    }
}

fn session_of(parts: &Parts) -> Option<Session> {
    let known = parts.extensions.get::<Identified>()?;
    known.session.as_deref().cloned()
}

/// The address a request came from; proxies in front hide the browser's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Source {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Source(peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip())))
    }
}

/// Percent-encodes everything that means something in a query (RFC 3986 2.3).
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
