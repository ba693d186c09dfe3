//! Nonces that need no memory until somebody has proved a password with them.
//!
//! A nonce says when it was made, and carries a keyed hash of that and of the address it was
//! made for. Whoever asks without credentials, however often, costs no state (an attacker can
//! ask for millions), and whoever answers has shown that packets to that address reach them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::time::Timestamp;

use super::digest::hex_digits;

/// How long a nonce is good for. Shorter makes phones ask twice more often; longer gives a
/// captured one more time, and each used one a place in the table for as long.
const LIFETIME: Duration = Duration::from_secs(300);

/// Used nonces that are remembered: 300 s of 800 phones a second. Beyond, the oldest are
/// declared stale, never forgotten: their phones ask once more.
const MOST_USED: usize = 1 << 18;

const MAC: usize = 16;
const PLAIN: usize = 12;

/// Makes, recognises and counts nonces.
#[derive(Debug)]
pub(super) struct Nonces {
    key: [u8; 32],
    made: u32,
    /// The highest count seen of each nonce that was used well.
    used: BTreeMap<NonceId, u32>,
    /// Nonces up to here are stale.
    floor: NonceId,
}

/// One nonce of ours, in the order of making.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NonceId {
    at: Timestamp,
    serial: u32,
}

impl Nonces {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Nonces { key, made: 0, used: BTreeMap::new(), floor: NonceId::default() }
    }

    /// A new nonce for whoever is at `source`.
    pub(super) fn make(&mut self, now: Timestamp, source: IpAddr) -> String {
        self.made = self.made.wrapping_add(1);
        let plain = NonceId { at: now, serial: self.made }.to_bytes();
        let mac = self.mac(&plain, source);
        plain.iter().chain(&mac).flat_map(|byte| hex_digits(*byte)).map(char::from).collect()
    }

    /// The nonce, if we made it for that address and it is still good.
    pub(super) fn recognise(&self, now: Timestamp, source: IpAddr, text: &str) -> Option<NonceId> {
        let bytes: [u8; PLAIN + MAC] = from_hex(text)?;
        let (plain, mac) = bytes.split_first_chunk::<PLAIN>()?;
        if !bool::from(self.mac(plain, source).ct_eq(mac)) {
            return None;
        }
        let id = NonceId::from_bytes(plain);
        let good = id > self.floor && id.at <= now && now.since(id.at) < LIFETIME;
        good.then_some(id)
    }

    /// Uses the nonce once; false if this count, or a later one, was used before: a replay
    /// (RFC 7616 3.4). Without a count a nonce is good for one request.
    pub(super) fn count(&mut self, now: Timestamp, id: NonceId, count: Option<u32>) -> bool {
        let count = count.unwrap_or(u32::MAX);
        let last = self.used.get(&id).copied().unwrap_or(0);
        if count <= last || id <= self.floor {
            return false;
        }
        self.used.insert(id, count);
        while let Some(oldest) = self.used.first_entry() {
            if now.since(oldest.key().at) < LIFETIME && self.used.len() <= MOST_USED {
                break;
            }
            if let Some((oldest, _)) = self.used.pop_first() {
                self.floor = self.floor.max(oldest);
            }
        }
        true
    }

    /// The input has one length, so a plain keyed prefix is as good as HMAC here, and half the
    /// work: nobody can extend it.
    fn mac(&self, plain: &[u8; PLAIN], source: IpAddr) -> [u8; MAC] {
        let source = match source {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let hash = Sha256::new()
            .chain_update(self.key)
            .chain_update(plain)
            .chain_update(source.octets())
            .finalize();
        let mut mac = [0; MAC];
        mac.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        mac
    }
}

impl NonceId {
    fn to_bytes(self) -> [u8; PLAIN] {
        let mut bytes = [0; PLAIN];
        bytes[..8].copy_from_slice(&self.at.as_micros().to_be_bytes());
        bytes[8..].copy_from_slice(&self.serial.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; PLAIN]) -> Self {
        let [a, b, c, d, e, f, g, h, serial @ ..] = *bytes;
        NonceId {
            at: Timestamp::from_micros(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
            serial: u32::from_be_bytes(serial),
        }
    }
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_nonce_is_good_for_300_seconds_at_its_own_address() {
        let mut nonces = Nonces::new([7; 32]);
        let text = nonces.make(at(10), HOME);
        assert!(nonces.recognise(at(309), HOME, &text).is_some());
        assert!(nonces.recognise(at(310), HOME, &text).is_none());
        assert!(nonces.recognise(at(10), ELSEWHERE, &text).is_none());
        assert!(nonces.recognise(at(9), HOME, &text).is_none(), "from the future");
        assert!(Nonces::new([8; 32]).recognise(at(10), HOME, &text).is_none());
    }

    #[test]
    fn a_changed_nonce_is_not_ours() {
        let mut nonces = Nonces::new([7; 32]);
        let text = nonces.make(at(10), HOME);
        for place in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[place] = if other[place] == b'0' { b'1' } else { b'0' };
            let other = String::from_utf8(other).unwrap();
            assert!(nonces.recognise(at(10), HOME, &other).is_none(), "{other}");
        }
        for other in ["", "zz", &text[2..], &format!("{text}00")] {
            assert!(nonces.recognise(at(10), HOME, other).is_none());
        }
    }

    #[test]
    fn counts_must_rise_and_a_nonce_without_count_is_good_once() {
        let mut nonces = Nonces::new([7; 32]);
        let text = nonces.make(at(10), HOME);
        let id = nonces.recognise(at(10), HOME, &text).unwrap();
        let uses = [1, 2, 2, 1, 5, 4].map(|count| nonces.count(at(11), id, Some(count)));
        assert_eq!(uses, [true, true, false, false, true, false]);
        let text = nonces.make(at(10), HOME);
        let id = nonces.recognise(at(10), HOME, &text).unwrap();
        assert!(nonces.count(at(11), id, None));
        assert!(!nonces.count(at(11), id, None));
        assert!(!nonces.count(at(11), id, Some(3)));
    }

    #[test]
    fn asking_costs_no_state_and_used_nonces_are_dropped_with_their_lifetime() {
        let mut nonces = Nonces::new([7; 32]);
        for second in 0..1_000 {
            let text = nonces.make(at(second), HOME);
            if second % 2 == 0 {
                let id = nonces.recognise(at(second), HOME, &text).unwrap();
                assert!(nonces.count(at(second), id, Some(1)));
            }
        }
        assert_eq!(nonces.used.len(), 150);
    }

    #[test]
    fn a_full_table_makes_the_oldest_stale_and_never_replayable() {
        let mut nonces = Nonces::new([7; 32]);
        let first = nonces.make(at(1), HOME);
        let id = nonces.recognise(at(1), HOME, &first).unwrap();
        assert!(nonces.count(at(1), id, Some(1)));
        for serial in 0..MOST_USED as u32 {
            assert!(nonces.count(at(2), NonceId { at: at(2), serial }, Some(1)));
        }
        assert_eq!(nonces.used.len(), MOST_USED);
        assert!(nonces.recognise(at(3), HOME, &first).is_none());
        assert!(!nonces.count(at(3), id, Some(2)));
    }
}
