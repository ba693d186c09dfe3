//! Making and checking passwords and tokens.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tensou_engine::Secret;

/// Memory of one hash in KiB and passes over it: the OWASP minimum for argon2id. A sign-in costs
/// some 20 ms of one core.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;

/// What a token begins with, so that people and scanners of leaked secrets recognise one.
const TOKEN_PREFIX: &str = "tensou_";

/// The machine gave no randomness: nothing secret can be made.
#[derive(Debug, thiserror::Error)]
#[error("the machine gives no randomness")]
pub struct NoRandomness;

/// 256 random bits as text that fits into a header, a cookie and a URL.
pub(crate) fn random_text() -> Result<String, NoRandomness> {
    let mut bytes = [0u8; 32];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A new API token.
pub(crate) fn random_token() -> Result<Secret, NoRandomness> {
    Ok(Secret::new(format!("{TOKEN_PREFIX}{}", random_text()?)))
}

/// A password that a person can type off a screen: 20 letters and digits in groups, without the
/// ones that look alike, about 98 bits.
pub(crate) fn random_password() -> Result<Secret, NoRandomness> {
    const LETTERS: &[u8; 30] = b"abcdefghjkmnpqrstuvwxyz2345679";
    const GROUPS: usize = 4;
    const GROUP: usize = 5;
    let mut text = String::with_capacity(GROUPS * (GROUP + 1));
    while text.len() < GROUPS * (GROUP + 1) - 1 {
        let mut byte = [0u8; 1];
        rand::rngs::OsRng.try_fill_bytes(&mut byte).map_err(|_| NoRandomness)?;
        // 240 is the largest multiple of 30 in a byte: taking the rest would favour some letters.
        if byte[0] >= 240 {
            continue;
        }
        if text.len() % (GROUP + 1) == GROUP {
            text.push('-');
        }
        text.push(char::from(LETTERS[usize::from(byte[0]) % LETTERS.len()]));
    }
    Ok(Secret::new(text))
}

/// What is stored of a token or session: random enough that a plain hash cannot be reversed.
pub(crate) fn fingerprint(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares secrets in a time that does not tell where they differ.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// Hashes a password for storage, as a PHC string. Takes milliseconds: not on an async thread.
pub(crate) fn hash_password(password: &Secret) -> Result<String, NoRandomness> {
    let hash: PasswordHash =
        hasher().hash_password(password.reveal().as_bytes()).map_err(|_| NoRandomness)?;
    Ok(hash.to_string())
}

/// Checks a password against the stored hash. Without one (no such user) it works as long and
/// says no, so that the time does not tell who exists.
pub(crate) fn verify_password(password: &Secret, stored: Option<&str>) -> bool {
    let stand_in = format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1$bm9ib2R5bm9ib2R5bm8$\
         bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm8"
    );
    let hash = PasswordHash::new(stored.unwrap_or(&stand_in));
    let matches = hash
        .is_ok_and(|hash| hasher().verify_password(password.reveal().as_bytes(), &hash).is_ok());
    matches && stored.is_some()
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_against_its_own_hash_only() {
        let password = random_password().expect("randomness");
        let hash = hash_password(&password).expect("randomness");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify_password(&password, Some(&hash)));
        assert!(!verify_password(&Secret::new("guess"), Some(&hash)));
        assert!(!verify_password(&password, None));
        assert!(!verify_password(&password, Some("not a hash")));
    }

    #[test]
    fn the_stand_in_hash_is_really_computed() {
        let stand_in = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm8$\
                        bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm8";
        assert!(PasswordHash::new(stand_in).is_ok_and(|hash| hash.hash.is_some()));
    }

    #[test]
    fn secrets_are_long_typable_and_never_the_same() {
        let password = random_password().expect("randomness");
        assert_eq!(password.reveal().len(), 23);
        assert!(password.reveal().chars().all(|c| c == '-' || c.is_ascii_alphanumeric()));
        assert_ne!(random_text().expect("randomness"), random_text().expect("randomness"));
        assert_eq!(random_token().expect("randomness").reveal().len(), 7 + 43);
        assert_eq!(fingerprint("x").len(), 64);
        assert!(same("abc", "abc") && !same("abc", "abd") && !same("abc", "ab"));
    }
}
