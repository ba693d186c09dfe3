//! A place that wants a password before it takes a call (RFC 3261 22).

use std::collections::HashMap;

use crate::phone::{Algorithm, proves};
use crate::rng::Rng;
use crate::text::Msg;

/// What it knows of who may call.
pub(crate) struct Guard {
    pub(crate) status: u16,
    pub(crate) realm: &'static str,
    pub(crate) secret: String,
    pub(crate) rng: Rng,
    /// What each INVITE was answered, by branch: the same again, should it come again.
    answers: HashMap<String, Option<Msg>>,
}

impl Guard {
    pub(crate) fn new(status: u16, realm: &'static str, secret: String, rng: Rng) -> Guard {
        Guard { status, realm, secret, rng, answers: HashMap::new() }
    }

    /// The challenge that a new INVITE gets; none for one that may come in.
    pub(crate) fn refuses(&mut self, invite: &Msg) -> Option<Msg> {
        if let Some(answer) = self.answers.get(invite.branch()) {
            return answer.clone();
        }
        let answer = self.judges(invite);
        self.answers.insert(invite.branch().to_owned(), answer.clone());
        answer
    }

    fn judges(&mut self, invite: &Msg) -> Option<Msg> {
        let (asks, given) = match self.status {
            407 => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => ("WWW-Authenticate", "Authorization"),
        };
        let mut stale = "";
        if let Some(credentials) = invite.get(given) {
            assert!(proves(invite, given, &self.secret, Algorithm::Md5), "{invite:?}");
            // It may find its own nonce too old, but no second time.
            let first = credentials.contains("cnonce=\"1");
            if !(first && self.rng.chance(15)) {
                return None;
            }
            stale = ", stale=true";
        }
        let (realm, nonce) = (self.realm, self.rng.next());
        let challenge = format!(
            "Digest realm=\"{realm}\", nonce=\"{nonce:x}\", algorithm=MD5, qop=\"auth\"{stale}"
        );
        let to = format!("{};tag=guard-{}", invite.header("To"), invite.branch());
        Some(Msg::answer(invite, self.status, &to).with(asks, &challenge))
    }
}
