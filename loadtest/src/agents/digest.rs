//! Digest authentication of the simulated phones (RFC 2617, RFC 7616, RFC 8760).
//!
//! `rsip` reads `SHA256` where RFC 8760 writes `SHA-256` and writes `nc` in decimal, so the
//! challenge and its answer are read and written here.

use md5::Digest;

/// What a server asked for in `WWW-Authenticate` or `Proxy-Authenticate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    qop_auth: bool,
    stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    fn hash(self, text: &str) -> String {
        match self {
            Algorithm::Md5 => hex(&md5::Md5::digest(text.as_bytes())),
            Algorithm::Sha256 => hex(&sha2::Sha256::digest(text.as_bytes())),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }
}

/// The value of `Authorization` for a request that was refused with these challenges; none when
/// none of them is understood.
pub fn credentials(
    challenges: &[String],
    (user, password): (&str, &str),
    (method, uri): (&str, &str),
    cnonce: &str,
) -> Option<String> {
    let signed = Signed { user, password, method, uri, cnonce, count: 1 };
    Challenge::choose(challenges).map(|challenge| challenge.sign(&signed))
}

/// A request to be signed.
pub(crate) struct Signed<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    /// Client nonce, fresh for every use.
    pub(crate) cnonce: &'a str,
    /// How often the nonce was used, this use included.
    pub(crate) count: u32,
}

impl Challenge {
    /// The first of the offered challenges that we understand: the server lists them in its
    /// order of preference (RFC 8760 2.4).
    pub(crate) fn choose(offers: &[String]) -> Option<Challenge> {
        offers.iter().find_map(|offer| Challenge::read(offer))
    }

    /// The nonce was right once and has only expired: the password is not in doubt.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    fn read(value: &str) -> Option<Challenge> {
        let (scheme, rest) = value.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let params = parameters(rest);
        let get = |name: &str| {
            params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone())
        };
        let algorithm = match get("algorithm") {
            None => Algorithm::Md5,
            Some(name) if name.eq_ignore_ascii_case("MD5") => Algorithm::Md5,
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        let qop_auth = match get("qop") {
            None => false,
            Some(list) if list.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth")) => true,
            Some(_) => return None,
        };
        Some(Challenge {
            realm: get("realm")?,
            nonce: get("nonce")?,
            opaque: get("opaque"),
            algorithm,
            qop_auth,
            stale: get("stale").is_some_and(|v| v.eq_ignore_ascii_case("true")),
        })
    }

    /// The value of `Authorization` for a request (RFC 7616 3.4.1).
    pub(crate) fn sign(&self, request: &Signed<'_>) -> String {
        let Signed { user, password, method, uri, cnonce, count } = request;
        let hash = |text: String| self.algorithm.hash(&text);
        let ha1 = hash(format!("{user}:{}:{password}", self.realm));
        let ha2 = hash(format!("{method}:{uri}"));
        let nonce = &self.nonce;
        let response = if self.qop_auth {
            hash(format!("{ha1}:{nonce}:{count:08x}:{cnonce}:auth:{ha2}"))
        } else {
            hash(format!("{ha1}:{nonce}:{ha2}"))
        };
        let mut value = format!(
            "Digest username=\"{user}\", realm=\"{}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm={}",
            self.realm,
            self.algorithm.name()
        );
        if self.qop_auth {
            value.push_str(&format!(", qop=auth, nc={count:08x}, cnonce=\"{cnonce}\""));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque=\"{opaque}\""));
        }
        value
    }
}

/// `name=value` pairs; a comma inside quotes does not end a value.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
        .into_iter()
        .filter_map(|part| part.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 3.9.1: the same request under both algorithms.
    #[test]
    fn the_answers_of_the_rfc_are_reproduced() {
        let request = Signed {
            user: "Mufasa",
            password: "Circle of Life",
            method: "GET",
            uri: "/dir/index.html",
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            count: 1,
        };
        let challenge = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        let sha = Challenge::choose(&[challenge("SHA-256")]).unwrap().sign(&request);
        assert!(
            sha.contains("753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
            "{sha}"
        );
        let md5 = Challenge::choose(&[challenge("MD5")]).unwrap().sign(&request);
        assert!(md5.contains("8ca523f5e9506fed4657c9700eebdbec"), "{md5}");
        assert!(md5.contains("nc=00000001"), "{md5}");
    }

    #[test]
    fn the_first_understood_challenge_is_taken() {
        let offers = [
            "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256".to_owned(),
            "Basic realm=\"r\"".to_owned(),
            "Digest realm=\"a, b\", nonce=\"n2\", stale=true".to_owned(),
        ];
        let chosen = Challenge::choose(&offers).unwrap();
        assert_eq!((chosen.realm.as_str(), chosen.nonce.as_str()), ("a, b", "n2"));
        assert!(chosen.is_stale());
        assert_eq!(Challenge::choose(&offers[..2]), None);
    }
}
