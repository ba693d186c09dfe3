//! Our answers to a trunk's challenges (RFC 3261 22.2 and 22.3, RFC 7616, RFC 8760).

use crate::register::digest::{Algorithm, Question};
use crate::rng::Rng;
use crate::route::AuthSpec;
use crate::sip::syntax::{Challenge, HeaderId, Message, Start};

/// Longest realm, nonce or opaque that is answered: what a server writes there comes back to it
/// in every request.
const LONGEST: usize = 1024;

/// What is remembered of a trunk's challenges: its last nonce and how often we used it.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    nonce: Box<str>,
    count: u32,
}

/// How often a request was challenged. It stands as the first digit of our client nonce, so that
/// the request itself tells how it came about, after a restart too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    First,
    /// The password was right and the nonce too old (`stale=true`).
    Stale,
}

impl Attempt {
    fn digit(self) -> char {
        match self {
            Attempt::First => '1',
            Attempt::Stale => '2',
        }
    }
}

/// The header that answers the challenge of a status.
pub(crate) fn header_of(status: u16) -> HeaderId {
    if status == 407 { HeaderId::ProxyAuthorization } else { HeaderId::Authorization }
}

impl Credentials {
    /// The header line that answers the challenge of `refusal` to `request`, a request of ours;
    /// none when it must not be answered: another realm, an algorithm we do not know, or
    /// credentials that were refused already. A wrong password is said once, not again and again.
    pub(crate) fn answer(
        &mut self,
        auth: &AuthSpec,
        request: &Message<'_>,
        (status, refusal): (u16, &Message<'_>),
        rng: &mut Rng,
    ) -> Option<String> {
        let id = header_of(status);
        let challenge = best(auth, (status, refusal))?;
        let attempt = match request.credentials(id).next() {
            None => Attempt::First,
            Some(given) => {
                let once = given.cnonce.is_some_and(|text| text.starts_with('1'));
                (once && challenge.stale).then_some(Attempt::Stale)?
            }
        };
        let Start::Request { uri, .. } = request.start() else { return None };
        let algorithm = Algorithm::named(challenge.algorithm)?;
        let mut cnonce = attempt.digit().to_string();
        cnonce.push_str(&format!("{:015x}", rng.next_u64() >> 4));
        let nc = format!("{:08x}", self.count(challenge.nonce));
        let protected = challenge.qop.is_some();
        let question = Question {
            algorithm,
            username: &auth.user,
            realm: challenge.realm,
            method: request.method()?.as_str(),
            uri,
            nonce: challenge.nonce,
            protection: protected.then_some((&nc, &cnonce)),
        };
        let response = question.answer(auth.password.reveal());
        let response = std::str::from_utf8(response.as_bytes()).ok()?;
        let mut line = format!(
            "{}: Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", \
             response=\"{response}\"",
            id.name(),
            auth.user,
            challenge.realm,
            challenge.nonce,
        );
        if let Some(name) = challenge.algorithm {
            line.push_str(&format!(", algorithm={name}"));
        }
        if protected {
            line.push_str(&format!(", qop=auth, nc={nc}, cnonce=\"{cnonce}\""));
        }
        if let Some(opaque) = challenge.opaque {
            line.push_str(&format!(", opaque=\"{opaque}\""));
        }
        line.push_str("\r\n");
        Some(line)
    }

    /// RFC 7616 3.4: counts rise for as long as a nonce is used.
    fn count(&mut self, nonce: &str) -> u32 {
        if *self.nonce == *nonce {
            self.count = self.count.saturating_add(1);
        } else {
            self.nonce = nonce.into();
            self.count = 1;
        }
        self.count
    }
}

/// The strongest challenge that we can answer (RFC 8760 2.4), for the realm of our account.
fn best<'m>(auth: &AuthSpec, (status, refusal): (u16, &Message<'m>)) -> Option<Challenge<'m>> {
    let id = if status == 407 { HeaderId::ProxyAuthenticate } else { HeaderId::WwwAuthenticate };
    let fits = |challenge: &Challenge<'_>| {
        let ours = auth.realm.as_deref().is_none_or(|realm| realm == challenge.realm);
        let short = [Some(challenge.realm), Some(challenge.nonce), challenge.opaque];
        let short = short.into_iter().flatten().all(|text| text.len() <= LONGEST);
        let auth_offered = challenge
            .qop
            .is_none_or(|qop| qop.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")));
        ours && short && auth_offered
    };
    Algorithm::KNOWN.into_iter().find_map(|known| {
        let by = |one: &Challenge<'_>| Algorithm::named(one.algorithm) == Some(known) && fits(one);
        refusal.challenges(id).find(by)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn auth() -> AuthSpec {
        AuthSpec {
            user: "tensou".to_owned(),
            password: Secret::new("right"),
            realm: Some("carrier.example".to_owned()),
        }
    }

    fn invite(credentials: &str) -> String {
        format!(
            "INVITE sip:0312@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKa\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\
             {credentials}Content-Length: 0\r\n\r\n"
        )
    }

    fn refusal(challenges: &[&str]) -> String {
        let lines: String =
            challenges.iter().map(|one| format!("WWW-Authenticate: Digest {one}\r\n")).collect();
        format!("SIP/2.0 401 Unauthorized\r\n{lines}Content-Length: 0\r\n\r\n")
    }

    fn answered(memory: &mut Credentials, given: &str, challenges: &[&str]) -> Option<String> {
        let (request, refusal) = (invite(given), refusal(challenges));
        let request = Message::parse_datagram(request.as_bytes()).unwrap();
        let refusal = Message::parse_datagram(refusal.as_bytes()).unwrap();
        memory.answer(&auth(), &request, (401, &refusal), &mut Rng::new(1))
    }

    const MD5: &str = "realm=\"carrier.example\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"";

    #[test]
    fn the_strongest_algorithm_is_answered_whatever_stands_first() {
        let sha = MD5.replace("MD5", "SHA-256");
        let longest = MD5.replace("MD5", "SHA-512-256");
        for (offers, taken) in [
            (vec![MD5], "algorithm=MD5,"),
            (vec![MD5, &*sha], "algorithm=SHA-256,"),
            (vec![&*sha, MD5, &*longest], "algorithm=SHA-512-256,"),
        ] {
            let line = answered(&mut Credentials::default(), "", &offers).unwrap();
            assert!(line.contains(taken), "{line}");
            assert!(line.starts_with("Authorization: Digest username=\"tensou\","), "{line}");
        }
    }

    #[test]
    fn another_realm_protection_or_algorithm_is_not_answered() {
        for challenge in [
            &MD5.replace("carrier.example", "evil.example"),
            &MD5.replace("\"auth\"", "\"auth-int\""),
            &MD5.replace("MD5", "MD5-sess"),
            &MD5.replace("n1", &"n".repeat(LONGEST + 1)),
        ] {
            assert_eq!(answered(&mut Credentials::default(), "", &[challenge]), None);
        }
    }

    #[test]
    fn a_refused_password_is_not_said_again_and_a_stale_nonce_once_more() {
        let mut memory = Credentials::default();
        let first = answered(&mut memory, "", &[MD5]).unwrap();
        assert!(first.contains("nc=00000001, cnonce=\"1"), "{first}");
        assert_eq!(answered(&mut memory, &first, &[MD5]), None, "a wrong password");
        let stale = MD5.replace("n1", "n2") + ", stale=true";
        let second = answered(&mut memory, &first, &[&stale]).unwrap();
        assert!(second.contains("cnonce=\"2"), "{second}");
        assert_eq!(answered(&mut memory, &second, &[&stale]), None);
    }

    #[test]
    fn a_nonce_that_comes_again_is_counted_and_opaque_goes_back() {
        let mut memory = Credentials::default();
        let opaque = format!("{MD5}, opaque=\"back\"");
        for count in 1..4 {
            let line = answered(&mut memory, "", &[&opaque]).unwrap();
            assert!(line.contains(&format!("nc={count:08x}")), "{line}");
            assert!(line.contains("opaque=\"back\""));
        }
    }

    #[test]
    fn a_challenge_of_rfc_2069_is_answered_without_count() {
        let old = "realm=\"carrier.example\", nonce=\"n1\"";
        let line = answered(&mut Credentials::default(), "", &[old]).unwrap();
        assert!(!line.contains("nc=") && !line.contains("cnonce") && !line.contains("algorithm"));
        assert_eq!(answered(&mut Credentials::default(), &line, &[old]), None);
    }
}
