//! The arithmetic of digest authentication (RFC 7616 3.4, RFC 8760 2, RFC 3261 22.4).

use crate::config::DigestOffer;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};
use subtle::ConstantTimeEq;

/// A hash that phones prove their password with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RFC 7616's strongest.
    Sha512T256,
    /// RFC 7616's minimum.
    Sha256,
    /// What nearly every phone speaks, and many nothing else.
    Md5,
}

impl Algorithm {
    /// What we understand, the strongest first, as RFC 8760 2.3 asks of challenges.
    pub(crate) const KNOWN: [Algorithm; 3] =
        [Algorithm::Sha512T256, Algorithm::Sha256, Algorithm::Md5];

    /// Whether challenges ask for it.
    pub(crate) fn is_in(self, offer: DigestOffer) -> bool {
        match offer {
            DigestOffer::All => true,
            DigestOffer::Both => self != Algorithm::Sha512T256,
            DigestOffer::Md5 => self == Algorithm::Md5,
            DigestOffer::Sha256 => self == Algorithm::Sha256,
        }
    }

    /// Its name in headers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Algorithm::Sha512T256 => "SHA-512-256",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Md5 => "MD5",
        }
    }

    /// The algorithm that credentials name; MD5 when they name none. `None` for those that we
    /// do not offer, session variants included.
    pub(crate) fn named(name: Option<&str>) -> Option<Self> {
        let Some(name) = name else { return Some(Algorithm::Md5) };
        Self::KNOWN.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    fn hash(self, parts: &[&[u8]]) -> Hex {
        match self {
            Algorithm::Sha512T256 => hash_with::<Sha512_256>(parts),
            Algorithm::Sha256 => hash_with::<Sha256>(parts),
            Algorithm::Md5 => hash_with::<Md5>(parts),
        }
    }
}

/// What a response is computed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) username: &'a str,
    pub(crate) realm: &'a str,
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) nonce: &'a str,
    /// Nonce count and client nonce of `qop=auth`; none in the form of RFC 2069.
    pub(crate) protection: Option<(&'a str, &'a str)>,
}

impl Question<'_> {
    /// The one right response for this password, in lower-case hexadecimal.
    pub(crate) fn answer(&self, password: &str) -> Hex {
        let Question { algorithm, username, realm, method, uri, nonce, protection } = *self;
        let ha1 = algorithm.hash(&[username.as_bytes(), realm.as_bytes(), password.as_bytes()]);
        let ha2 = algorithm.hash(&[method.as_bytes(), uri.as_bytes()]);
        match protection {
            Some((nc, cnonce)) => algorithm.hash(&[
                ha1.as_bytes(),
                nonce.as_bytes(),
                nc.as_bytes(),
                cnonce.as_bytes(),
                b"auth",
                ha2.as_bytes(),
            ]),
            None => algorithm.hash(&[ha1.as_bytes(), nonce.as_bytes(), ha2.as_bytes()]),
        }
    }
}

/// A hash in lower-case hexadecimal.
#[derive(Clone, Copy)]
pub(crate) struct Hex {
    digits: [u8; 64],
    len: usize,
}

impl Hex {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[..self.len]
    }

    /// Whether `response` is this hash, upper-case digits allowed; takes the same time wherever
    /// they differ.
    pub(crate) fn matches(&self, response: &str) -> bool {
        let lower = response.to_ascii_lowercase();
        self.as_bytes().ct_eq(lower.as_bytes()).into()
    }
}

/// H(parts joined by colons).
fn hash_with<D: Digest>(parts: &[&[u8]]) -> Hex {
    let mut state = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            state.update(b":");
        }
        state.update(part);
    }
    let mut hex = Hex { digits: [0; 64], len: 0 };
    for (pair, byte) in hex.digits.chunks_exact_mut(2).zip(state.finalize()) {
        pair.copy_from_slice(&hex_digits(byte));
        hex.len += 2;
    }
    hex
}

/// The two lower-case digits of a byte.
pub(crate) fn hex_digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC_7616: Question<'_> = Question {
        algorithm: Algorithm::Sha256,
        username: "Mufasa",
        realm: "http-auth@example.org",
        method: "GET",
        uri: "/dir/index.html",
        nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        protection: Some(("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
    };

    const RFC_2617: Question<'_> = Question {
        algorithm: Algorithm::Md5,
        realm: "testrealm@host.com",
        nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        protection: Some(("00000001", "0a4f113b")),
        ..RFC_7616
    };

    #[test]
    fn the_examples_of_rfc_7616_come_out() {
        let sha = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        assert!(RFC_7616.answer("Circle of Life").matches(sha));
        let md5 = Question { algorithm: Algorithm::Md5, ..RFC_7616 };
        assert!(md5.answer("Circle of Life").matches("8ca523f5e9506fed4657c9700eebdbec"));
    }

    #[test]
    fn the_examples_of_rfc_2617_and_of_rfc_2069_come_out() {
        assert!(RFC_2617.answer("Circle Of Life").matches("6629fae49393a05397450978507c4ef1"));
        // Erratum 749 of RFC 2069, where the RFC's own figure was wrong.
        let old = Question { protection: None, ..RFC_2617 };
        assert!(old.answer("CircleOfLife").matches("1949323746fe6a43ef61f9606e7febea"));
    }

    #[test]
    fn another_password_method_uri_or_count_gives_another_response() {
        let right = RFC_7616.answer("secret");
        let others = [
            RFC_7616.answer("Secret"),
            Question { method: "POST", ..RFC_7616 }.answer("secret"),
            Question { uri: "/", ..RFC_7616 }.answer("secret"),
            Question { protection: Some(("00000002", "x")), ..RFC_7616 }.answer("secret"),
        ];
        for other in others {
            assert_ne!(other.as_bytes(), right.as_bytes());
        }
        assert!(!right.matches("") && !right.matches("00"));
    }

    #[test]
    fn upper_case_digits_are_taken_and_unoffered_algorithms_are_not() {
        let right = RFC_7616.answer("secret");
        let text = std::str::from_utf8(right.as_bytes()).unwrap().to_ascii_uppercase();
        assert!(right.matches(&text));
        assert_eq!(Algorithm::named(None), Some(Algorithm::Md5));
        assert_eq!(Algorithm::named(Some("sha-256")), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::named(Some("MD5-sess")), None);
    }
}
