//! Our own phones: REGISTER and bindings that expire; and the check of everybody's passwords.

use crate::call::{Answer, answer};
use crate::claims::Whose;
use crate::core::REGISTRAR_SUPPORTED;
use crate::engine::Engine;
use crate::event::Event;
use crate::id::Key;
use crate::input::{Flow, Output};
use crate::refusals::Refusal;
use crate::register::{Asked, Authenticated, Binding, Verdict};
use crate::sip::syntax::{HeaderId, Message, Scheme};
use crate::sip::token::hex;
use crate::time::WallTime;
use crate::timer::TimerKey;

/// Longest user name told to the outside: it is whatever a guesser wrote.
const LONGEST_TOLD: usize = 64;

impl Engine {
    /// Checks the credentials of a request for our realm; challenges where there are none.
    pub(crate) fn authenticate(
        &mut self,
        flow: Flow,
        msg: &Message<'_>,
        whose: Whose,
    ) -> Option<Authenticated> {
        let now = self.core.io.now.mono;
        let source = flow.remote.ip();
        let is_trunk = self.core.is_trunk(flow);
        let registrar = &mut self.core.registrar;
        let credentials =
            msg.credentials(HeaderId::Authorization).find(|one| registrar.is_realm(one));
        let Some(credentials) = credentials else {
            let values = registrar.challenge(now, source);
            self.challenge(flow, msg, &values);
            return None;
        };
        let snapshot = self.core.routing.snapshot.clone();
        let account = whose.account(&snapshot, credentials.username);
        let asked = Asked {
            method: msg.method().map_or("", |method| method.as_str()),
            uri: Self::request_uri(msg),
            source,
            is_trunk,
        };
        match registrar.verify(now, &asked, &credentials, account) {
            Verdict::Authenticated(proof) => return Some(proof),
            Verdict::Stale => {
                let values = registrar.challenge_stale(now, source);
                self.challenge(flow, msg, &values);
            }
            Verdict::Wrong => {
                let values = registrar.challenge(now, source);
                self.note_failure(credentials.username, flow);
                self.challenge(flow, msg, &values);
            }
            Verdict::Barred => {
                self.note_failure(credentials.username, flow);
                self.answer_stateless(flow, msg, 403, "");
            }
        }
        None
    }

    /// 401 with every challenge; to whoever wrote less than pays for that (see
    /// [`Engine::refuse`]) with as many of the last ones as it pays for.
    fn challenge(&mut self, flow: Flow, msg: &Message<'_>, values: &[String]) {
        let lines = |values: &[String]| -> String {
            values.iter().map(|value| format!("WWW-Authenticate: {value}\r\n")).collect()
        };
        for left_out in 0..values.len() {
            let lines = lines(values.get(left_out..).unwrap_or_default());
            if self.refuse(flow, msg, Refusal::plain(401, &lines)) {
                return;
            }
        }
    }

    fn note_failure(&mut self, user: &str, flow: Flow) {
        self.core.io.counters.auth_failures += 1;
        let user: String = user.chars().filter(|ch| !ch.is_control()).take(LONGEST_TOLD).collect();
        let now = self.core.io.now.mono;
        if let Some(event) = self.core.registrar.note_failure(now, flow.remote, &user) {
            self.core.io.event(event);
        }
    }

    /// RFC 3261 10.3.
    pub(crate) fn on_register(&mut self, flow: Flow, msg: &Message<'_>) {
        // A node without phones is no registrar: nothing is there to be guessed.
        if self.core.routing.snapshot.extensions.is_empty() {
            if self.may_hear(flow) {
                self.answer_stateless(flow, msg, 403, "");
            }
            return;
        }
        // RFC 3261 10.3 step 5, before any password is asked for: it would not help.
        if !msg.to().is_ok_and(|to| matches!(to.uri.scheme, Scheme::Sip | Scheme::Sips)) {
            let what = Refusal { status: 400, phrase: "To is not a SIP address", extra: "" };
            self.refuse(flow, msg, what);
            return;
        }
        if self.refuse_extensions(flow, msg, REGISTRAR_SUPPORTED) {
            return;
        }
        let Some(proof) = self.authenticate(flow, msg, Whose::Phone) else { return };
        // A binding costs no more than its last answer, so lateness does not stop it.
        if self.core.load.is_full(self.held()) {
            return self.answer_stateless(flow, msg, 503, "Retry-After: 30\r\n");
        }
        let now = self.core.io.now.mono;
        match self.core.registrar.register(now, &proof, msg, flow) {
            Ok(update) => {
                let mut lines = String::new();
                // RFC 3327 5.3: the path that was taken in stands in the answer, where the phone
                // can read it.
                let mut known = msg.tokens(HeaderId::Supported);
                let told = known.any(|tag| tag.eq_ignore_ascii_case("path"));
                for path in msg.fields(HeaderId::Path).filter(|_| told) {
                    let mut line = Vec::new();
                    path.write_to(&mut line);
                    lines.push_str(&String::from_utf8_lossy(&line));
                }
                for binding in self.core.registrar.contacts(proof.user().as_str()) {
                    lines.push_str("Contact: ");
                    lines.push_str(&binding.contact(now));
                    lines.push_str("\r\n");
                }
                self.answer_register(flow, msg, 200, &lines);
                self.journal_phones(proof.user());
                for binding in &update.refreshed {
                    self.tell_registered(proof.user(), binding);
                }
                for binding in &update.removed {
                    self.tell_unregistered(proof.user(), binding);
                }
                self.watch_expiry();
            }
            Err(refusal) => {
                let line = refusal.header().unwrap_or_default();
                self.answer_register(flow, msg, refusal.status(), &line);
            }
        }
    }

    /// Answers by a transaction: the same REGISTER again must not be judged again.
    fn answer_register(&mut self, flow: Flow, msg: &Message<'_>, status: u16, lines: &str) {
        let Ok(server) = self.core.transactions.accept(msg, flow, None) else { return };
        let mut tag = Vec::with_capacity(16);
        hex(self.core.io.rng.next_u64(), 16, &mut tag);
        let tag = String::from_utf8(tag).unwrap_or_default();
        let extra = lines.as_bytes();
        let reply = Answer { status, tag: Some(&tag), extra, contact: None, content: None };
        answer(&mut self.core, server, &reply);
    }

    pub(crate) fn tell_registered(&mut self, user: &Key, binding: &Binding) {
        let now = self.core.io.now;
        let left = i64::try_from(binding.expires.since(now.mono).as_micros()).unwrap_or(i64::MAX);
        let expires_at = WallTime::from_unix_micros(now.wall.as_unix_micros().saturating_add(left));
        self.core.io.event(Event::Registered {
            extension: user.clone(),
            contact: binding.uri.to_string(),
            source: binding.flow.remote,
            expires_at,
        });
    }

    fn tell_unregistered(&mut self, user: &Key, binding: &Binding) {
        let contact = binding.uri.to_string();
        let event = Event::Unregistered { extension: user.clone(), contact };
        self.core.io.outbox.push_back(Output::Event(event));
    }

    /// A connection is gone: the phones that registered by it are not rung before they register
    /// again, for behind their NAT there is no other way to them (RFC 5626 1). Their bindings
    /// stay until they expire, so that their calls are still asked for a password.
    pub(crate) fn lose_phones(&mut self, flow: Flow) {
        for (user, binding) in self.core.registrar.by_connection(flow) {
            self.tell_unregistered(&user, &binding);
        }
    }

    /// Sets the timer for the next binding that expires.
    fn watch_expiry(&mut self) {
        self.core.io.disarm(self.expiry.take());
        if let Some(at) = self.core.registrar.next_expiry() {
            self.expiry = Some(self.core.io.wheel.arm(at, TimerKey::Registrar));
        }
    }

    pub(crate) fn expire_phones(&mut self) {
        let gone = self.core.registrar.expire(self.core.io.now.mono);
        for (user, binding) in &gone {
            self.tell_unregistered(user, binding);
            self.journal_phones(user);
        }
        self.expiry = None;
        self.watch_expiry();
    }

    /// Phones of extensions that a new snapshot no longer knows, or has disabled; and where
    /// accounts were proved from that are gone.
    pub(crate) fn forget_disabled_phones(&mut self) {
        let snapshot = self.core.routing.snapshot.clone();
        for user in self.core.registrar.users() {
            let allowed = snapshot
                .extension_of_user(user.as_str())
                .is_some_and(|at| snapshot.extension(at).enabled);
            if !allowed {
                for binding in self.core.registrar.forget(&user) {
                    self.tell_unregistered(&user, &binding);
                }
                self.journal_phones(&user);
            }
        }
        self.core.registrar.forget_proofs(|user| {
            let user = user.as_str();
            snapshot.extension_of_user(user).is_some() || snapshot.trunk_account(user).is_some()
        });
        self.watch_expiry();
    }
}
