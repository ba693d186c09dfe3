//! Phones that register and prove their password (RFC 2617, RFC 7616, RFC 8760).

use md5::{Digest, Md5};
use sha2::Sha256;

use crate::office::password;
use crate::sim::Sim;
use crate::text::Msg;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    fn hash(self, text: &str) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Algorithm::Md5 => hex(&Md5::digest(text.as_bytes())),
            Algorithm::Sha256 => hex(&Sha256::digest(text.as_bytes())),
        }
    }
}

fn quoted<'a>(challenge: &'a str, name: &str) -> &'a str {
    let (_, rest) = challenge.split_once(&format!("{name}=\"")).unwrap();
    rest.split('"').next().unwrap()
}

/// The Authorization header that answers the challenges of `refusal`.
pub(crate) fn proof(request: &Msg, refusal: &Msg, who: (&str, &str), how: Algorithm) -> String {
    let challenge = refusal
        .all("WWW-Authenticate")
        .find(|one| one.contains(&format!("algorithm={}", how.name())))
        .unwrap_or_else(|| panic!("no {how:?} in {refusal:?}"));
    let (user, secret) = who;
    let (realm, nonce) = (quoted(challenge, "realm"), quoted(challenge, "nonce"));
    let (method, uri) = (request.method(), request.uri());
    let ha1 = how.hash(&format!("{user}:{realm}:{secret}"));
    let ha2 = how.hash(&format!("{method}:{uri}"));
    let response = how.hash(&format!("{ha1}:{nonce}:00000001:c0ffee:auth:{ha2}"));
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm={}, qop=auth, nc=00000001, cnonce=\"c0ffee\"",
        how.name()
    )
}

/// Whether a request of the engine proves this password in the header of this name.
pub(crate) fn proves(request: &Msg, header: &str, secret: &str, how: Algorithm) -> bool {
    let given = request.header(header);
    let (user, realm) = (quoted(given, "username"), quoted(given, "realm"));
    let (nonce, cnonce) = (quoted(given, "nonce"), quoted(given, "cnonce"));
    let (_, nc) = given.split_once("nc=").unwrap();
    let nc = &nc[..8];
    let ha1 = how.hash(&format!("{user}:{realm}:{secret}"));
    let ha2 = how.hash(&format!("{}:{}", request.method(), quoted(given, "uri")));
    let response = how.hash(&format!("{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}"));
    quoted(given, "response") == response && quoted(given, "uri") == request.uri()
}

/// A REGISTER of `user` at `place`.
pub(crate) fn register(place: &str, user: &str, id: u64, expires: u32) -> Msg {
    Msg::request("REGISTER", "sip:pbx.example")
        .with("Via", &format!("SIP/2.0/UDP {place};branch=z9hG4bKreg{id};rport"))
        .with("Max-Forwards", "70")
        .with("From", &format!("<sip:{user}@pbx.example>;tag=r{user}"))
        .with("To", &format!("<sip:{user}@pbx.example>"))
        .with("Call-ID", &format!("reg-{user}@{place}"))
        .with("CSeq", &format!("{id} REGISTER"))
        .with("Contact", &format!("<sip:{user}@{place}>"))
        .with("Expires", &expires.to_string())
        // As phones do; the registrar's challenge may not be longer than half as much again.
        .with("User-Agent", "Desk Phone 1.0 (0004f2abcdef)")
        .with("Allow", "INVITE, ACK, OPTIONS, BYE, CANCEL, REFER, NOTIFY, INFO, PRACK, UPDATE")
}

impl Sim {
    /// Registers a phone; gives the last answer.
    pub(crate) fn registers(
        &mut self,
        place: &str,
        user: &str,
        secret: &str,
        how: Algorithm,
        expires: u32,
    ) -> Msg {
        // The registrar's answers go to the inbox: the phone itself is away for a moment.
        let ua = self.world.uas.remove(place);
        let (id, _) = self.fresh();
        let first = register(place, user, 2 * id, expires);
        self.sends(place, &first);
        let refusal = self.takes(place, "SIP/2.0 401");
        let mut second = register(place, user, 2 * id + 1, expires);
        second.add("Authorization", &proof(&second, &refusal, (user, secret), how));
        self.sends(place, &second);
        let last = self.takes(place, "SIP/2.0 ");
        if let Some(ua) = ua {
            self.world.settle(ua);
        }
        last
    }

    /// Registers with the right password for an hour.
    pub(crate) fn registered(&mut self, place: &str, user: &str) {
        let answer = self.registers(place, user, &password(user), Algorithm::Md5, 3600);
        assert_eq!(answer.status(), Some(200), "{answer:?}");
    }
}
