//! Signing in and out of the UI.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use tensou_engine::Secret;

use super::super::App;
use super::super::refusal::Refusal;
use super::{Principal, Session, fingerprint, secret, verify_password};

/// The session cookie.
pub(crate) const COOKIE_NAME: &str = "tensou_session";
/// A working day: after it one signs in again.
const SESSION_SECONDS: i64 = 12 * 3600;
/// Longer passwords are no person's; hashing them would be work for whoever sends them.
const MAX_PASSWORD: usize = 1024;

/// A sign-in that succeeded.
#[derive(Debug)]
pub struct SignedIn {
    /// The `Set-Cookie` header.
    pub cookie: HeaderValue,
    /// The session.
    pub session: Session,
}

/// Why a sign-in failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No such user with this password; which of the two is not told.
    #[error("name or password is wrong")]
    Wrong,
    /// Too many bad attempts on this name from this address.
    #[error("too many failed attempts: wait a while")]
    TooMany {
        /// How long.
        retry_after: Duration,
    },
    /// Something of ours failed.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl App {
    /// Checks a name and password typed by a person at `source` and opens a session.
    ///
    /// # Errors
    /// [`LoginError::Wrong`], [`LoginError::TooMany`], or what failed on our side.
    pub async fn login(
        &self,
        name: &str,
        password: Secret,
        source: IpAddr,
    ) -> Result<SignedIn, LoginError> {
        self.throttle()
            .check(name, source, Instant::now())
            .map_err(|retry_after| LoginError::TooMany { retry_after })?;
        if password.reveal().len() > MAX_PASSWORD {
            return Err(LoginError::Wrong);
        }
        let user = self.store().user(name).await.map_err(Refusal::from)?;
        let stored = user.as_ref().map(|user| user.password_hash.clone());
        let right = self
            .hashing(move || verify_password(&password, stored.as_ref().map(Secret::reveal)))
            .await?;
        let principal = user.as_ref().filter(|_| right).and_then(Principal::of_user);
        let Some(principal) = principal else {
            self.throttle().failed(name, source, Instant::now());
            // The name is what somebody typed: quoted, it cannot forge a line of the log.
            tracing::warn!(name = ?name, %source, "a sign-in failed");
            return Err(LoginError::Wrong);
        };
        self.throttle().succeeded(name, source);
        Ok(self.open_session(principal).await?)
    }

    /// Ends a session; returns the `Set-Cookie` header that makes the browser forget it.
    ///
    /// # Errors
    /// When the database fails; the session then goes on.
    pub async fn logout(&self, session: &Session) -> Result<HeaderValue, Refusal> {
        self.store().delete_session(&session.hash).await?;
        Ok(HeaderValue::from_static(
            "tensou_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0",
        ))
    }

    async fn open_session(&self, principal: Principal) -> Result<SignedIn, Refusal> {
        // Expired sessions are refused anyway; here they only go out of the way.
        if let Err(error) = self.store().purge().await {
            tracing::warn!(%error, "expired sessions could not be removed");
        }
        let cookie = secret::random_text()?;
        let csrf = Secret::new(secret::random_text()?);
        let hash = fingerprint(&cookie);
        let expires_at = self.clock().now_millis() + SESSION_SECONDS * 1000;
        self.store().create_session(&hash, principal.name(), &csrf, expires_at).await?;
        let header = format!(
            "{COOKIE_NAME}={cookie}; Path=/; HttpOnly; SameSite=Strict; Max-Age={SESSION_SECONDS}"
        );
        let mut cookie =
            HeaderValue::try_from(header).map_err(|error| Refusal::Internal(Box::new(error)))?;
        cookie.set_sensitive(true);
        Ok(SignedIn { cookie, session: Session { principal, csrf, hash } })
    }
}
