//! The registrar and the check of passwords (RFC 3261 10 and 22).
//!
//! Whoever gives no right password costs no lasting state, learns nothing (a user who does not
//! exist is answered like one with another password) and is slowed down.

mod attempts;
mod bindings;
pub(crate) mod digest;
mod failures;
mod nonce;
mod refusal;
mod same_uri;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::config::{ContactLimit, DigestOffer};
use crate::event::Event;
use crate::id::Key;
use crate::input::Flow;
use crate::secret::Secret;
use crate::sip::syntax::{Credentials, Message, Uri};
use crate::time::Timestamp;

use attempts::Attempts;
use bindings::Bindings;
use digest::{Algorithm, Question};
use failures::Failures;
use nonce::Nonces;
pub(crate) use same_uri::same_uri;

pub(crate) use bindings::{Binding, Update};
pub(crate) use refusal::Refusal;

/// User names beyond this length are nobody's: watching them would cost memory.
const LONGEST_USER: usize = 128;

/// What a user who does not exist is checked against, so that the answer takes as long.
const NOBODY: &str = "no such user";

/// Knows where users are, and who they are.
#[derive(Debug)]
pub(crate) struct Registrar {
    /// As it stands between the quotes of a challenge.
    realm: Box<str>,
    offer: DigestOffer,
    nonces: Nonces,
    attempts: Attempts,
    failures: Failures,
    bindings: Bindings,
    /// Where each account was last proved from: one place for each account that exists.
    proved: BTreeMap<Key, IpAddr>,
}

/// The request whose credentials are checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Its method.
    pub(crate) method: &'a str,
    /// Its Request-URI.
    pub(crate) uri: &'a str,
    /// Where it came from.
    pub(crate) source: IpAddr,
    /// The source is a trunk's: never slowed down, so that nobody can shut it out by forging
    /// its address.
    pub(crate) is_trunk: bool,
}

/// The account that a user name belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account<'a> {
    /// Whose.
    pub(crate) user: &'a Key,
    /// The password.
    pub(crate) secret: &'a Secret,
}

/// The proof that somebody knows a user's password. Made by [`Registrar::verify`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authenticated {
    user: Key,
}

impl Authenticated {
    /// Whose password.
    pub(crate) fn user(&self) -> &Key {
        &self.user
    }
}

/// What credentials are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Right.
    Authenticated(Authenticated),
    /// Not looked at, for the nonce is not good (any more): 401 with
    /// [`Registrar::challenge_stale`].
    Stale,
    /// Wrong: 401 with [`Registrar::challenge`].
    Wrong,
    /// Not looked at, for there were too many wrong ones: 403.
    Barred,
}

impl Registrar {
    /// A registrar without bindings. `key` is secret and new at each start.
    pub(crate) fn new(realm: impl AsRef<str>, key: [u8; 32]) -> Self {
        let realm = realm.as_ref().replace('\\', "\\\\").replace('"', "\\\"");
        Registrar {
            realm: realm.into(),
            offer: DigestOffer::Both,
            nonces: Nonces::new(key),
            attempts: Attempts::default(),
            failures: Failures::default(),
            bindings: Bindings::default(),
            proved: BTreeMap::new(),
        }
    }

    /// The same with these algorithms in its challenges; without it, both.
    pub(crate) fn offering(self, offer: DigestOffer) -> Self {
        Registrar { offer, ..self }
    }

    /// The same with this many phones for each user; without it, the default.
    pub(crate) fn with_contacts(self, limit: ContactLimit) -> Self {
        Registrar { bindings: Bindings::new(limit), ..self }
    }

    /// The values of WWW-Authenticate for whoever gave no credentials or wrong ones, in the
    /// order in which they must stand (RFC 8760 2.3).
    pub(crate) fn challenge(&mut self, now: Timestamp, source: IpAddr) -> Vec<String> {
        self.challenges(now, source, "")
    }

    /// The same for [`Verdict::Stale`]: the phone tries again without asking its user.
    pub(crate) fn challenge_stale(&mut self, now: Timestamp, source: IpAddr) -> Vec<String> {
        self.challenges(now, source, ", stale=true")
    }

    fn challenges(&mut self, now: Timestamp, source: IpAddr, stale: &str) -> Vec<String> {
        let (realm, nonce) = (&self.realm, self.nonces.make(now, source));
        let offered = Algorithm::KNOWN.into_iter().filter(|known| known.is_in(self.offer));
        let challenge = |algorithm: Algorithm| {
            let name = algorithm.name();
            format!(
                "Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={name}, \
                 qop=\"auth\"{stale}"
            )
        };
        offered.map(challenge).collect()
    }

    /// Whether credentials are for this realm. Others in the same request are somebody else's.
    pub(crate) fn is_realm(&self, credentials: &Credentials<'_>) -> bool {
        *self.realm == *credentials.realm
    }

    /// Checks credentials. `account` is that of their user name, none if there is no such user
    /// or it may not register.
    pub(crate) fn verify(
        &mut self,
        now: Timestamp,
        asked: &Asked<'_>,
        credentials: &Credentials<'_>,
        account: Option<Account<'_>>,
    ) -> Verdict {
        let (source, user) = (asked.source.to_canonical(), credentials.username);
        if !self.is_realm(credentials) || user.len() > LONGEST_USER {
            return Verdict::Wrong;
        }
        if !asked.is_trunk && self.is_barred(now, source, user) {
            return Verdict::Barred;
        }
        // Before the password: who did not get our challenge is not answered as a guesser, so
        // nobody can be barred by letters that others write in their name.
        let Some(nonce) = self.nonces.recognise(now, source, credentials.nonce) else {
            return Verdict::Stale;
        };
        let proof = judge(asked, credentials, account);
        let Some(proof) = proof else {
            if !asked.is_trunk {
                self.attempts.failed(now, source, user);
            }
            return Verdict::Wrong;
        };
        if !self.nonces.count(now, nonce, proof.count) {
            return Verdict::Stale;
        }
        self.attempts.succeeded(source, user);
        self.proved.insert(proof.user.clone(), source);
        Verdict::Authenticated(Authenticated { user: proof.user })
    }

    /// Whoever is registered from there, or proved the password from there last, is not shut out
    /// by guesses from elsewhere.
    fn is_barred(&self, now: Timestamp, source: IpAddr, user: &str) -> bool {
        self.attempts.source_is_barred(now, source)
            || (self.attempts.account_is_barred(now, user)
                && !self.bindings.is_at(user, source)
                && self.proved.get(user) != Some(&source))
    }

    /// A wrong password was answered; what is to be told of it now.
    pub(crate) fn note_failure(
        &mut self,
        now: Timestamp,
        source: SocketAddr,
        user: &str,
    ) -> Option<Event> {
        self.failures.failed(now, source, user)
    }

    /// What is to be told of wrong passwords by `now`.
    pub(crate) fn failures_due(&mut self, now: Timestamp) -> Vec<Event> {
        self.failures.due(now)
    }

    /// Carries a REGISTER out for the user who was authenticated; its To must be that user's.
    ///
    /// # Errors
    /// Then nothing was changed.
    pub(crate) fn register(
        &mut self,
        now: Timestamp,
        proof: &Authenticated,
        msg: &Message<'_>,
        flow: Flow,
    ) -> Result<Update, Refusal> {
        let to = msg.to().map_err(Refusal::Malformed)?;
        if to.uri.unescaped_user() != proof.user.as_str() {
            return Err(Refusal::NotYours);
        }
        self.bindings.register(now, &proof.user, msg, flow)
    }

    /// The phones of a user, the one refreshed last at the end.
    pub(crate) fn contacts(&self, user: &str) -> &[Binding] {
        self.bindings.of(user)
    }

    /// Takes away what has expired by `now`.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Vec<(Key, Binding)> {
        self.bindings.expire(now)
    }

    /// The phones that registered by this connection.
    pub(crate) fn by_connection(&self, flow: Flow) -> Vec<(Key, Binding)> {
        self.bindings.by_connection(flow.connection)
    }

    /// When to call [`Registrar::expire`] next.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.bindings.next_expiry()
    }

    /// The phones of a user, as they were before a restart.
    pub(crate) fn bring_back(&mut self, user: &Key, bindings: Vec<Binding>) {
        self.bindings.bring_back(user, bindings);
    }

    /// Takes away every phone of a user who may not register any more.
    pub(crate) fn forget(&mut self, user: &Key) -> Vec<Binding> {
        self.bindings.forget(user)
    }

    /// Accounts that are gone have proved nothing: whoever is given their name begins anew.
    pub(crate) fn forget_proofs(&mut self, is_account: impl Fn(&Key) -> bool) {
        self.proved.retain(|user, _| is_account(user));
    }

    /// Whether a phone registered from this address: who calls from it is asked for a password
    /// instead of being ignored.
    pub(crate) fn is_registered_from(&self, source: IpAddr) -> bool {
        self.bindings.is_from(source)
    }

    /// Users with registered phones.
    pub(crate) fn users(&self) -> Vec<Key> {
        self.bindings.users()
    }

    /// How many phones are registered.
    pub(crate) fn registrations(&self) -> usize {
        self.bindings.len()
    }
}

struct Proof {
    user: Key,
    count: Option<u32>,
}

/// Computes the response, for users who do not exist too, and compares.
fn judge(
    asked: &Asked<'_>,
    credentials: &Credentials<'_>,
    account: Option<Account<'_>>,
) -> Option<Proof> {
    let algorithm = Algorithm::named(credentials.algorithm)?;
    let (protection, count) = match credentials.qop {
        Some(qop) if qop.eq_ignore_ascii_case("auth") => {
            let (nc, cnonce) = (credentials.nc?, credentials.cnonce?);
            (Some((nc, cnonce)), Some(nonce_count(nc)?))
        }
        // Phones older than RFC 2617; whoever knows SHA-256 knows qop (RFC 7616 3.4).
        None if algorithm == Algorithm::Md5 => (None, None),
        Some(_) | None => return None,
    };
    let question = Question {
        algorithm,
        username: credentials.username,
        realm: credentials.realm,
        method: asked.method,
        uri: credentials.uri,
        nonce: credentials.nonce,
        protection,
    };
    let password = account.map_or(NOBODY, |account| account.secret.reveal());
    let right = question.answer(password).matches(credentials.response);
    let account = account.filter(|_| right && !credentials.userhash)?;
    means_the_same(credentials.uri, asked.uri).then(|| Proof { user: account.user.clone(), count })
}

/// Eight hexadecimal digits (RFC 7616 3.4).
fn nonce_count(nc: &str) -> Option<u32> {
    let shape = nc.len() == 8 && nc.bytes().all(|digit| digit.is_ascii_hexdigit());
    shape.then(|| u32::from_str_radix(nc, 16).ok())?
}

/// Whether the URI that was hashed is the one that was asked for (RFC 7616 3.4.6). Phones put a
/// port or a transport into one of them and not into the other.
fn means_the_same(hashed: &str, asked: &str) -> bool {
    if hashed == asked {
        return true;
    }
    let (Ok(hashed), Ok(asked)) = (Uri::parse(hashed), Uri::parse(asked)) else { return false };
    hashed.unescaped_user() == asked.unescaped_user()
        && hashed.host.eq_ignore_ascii_case(asked.host)
}

#[cfg(test)]
mod tests;
