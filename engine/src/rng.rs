//! The engine's one source of chance.
//!
//! Tags, branches, Call-IDs, nonces and random hunting all draw from one generator with one
//! seed, so that a replay draws the same. What it makes is seen by every peer and must not let
//! a stranger guess the next tag (a forged BYE ends a call), so the generator is the ChaCha
//! stream cipher with eight rounds, the fewest without a known attack, and not one of the
//! faster generators whose state can be solved from a few outputs.

use std::time::Duration;

/// The first row of a ChaCha block: "expand 32-byte k" (RFC 8439 2.3).
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// Words of one block.
const WORDS: usize = 16;

/// A seeded generator. Two generators of one seed give the same values for ever.
#[derive(Clone, Debug)]
pub struct Rng {
    key: [u32; 8],
    counter: u64,
    block: [u32; WORDS],
    /// Words of `block` that are spent.
    spent: usize,
}

impl Rng {
    /// A generator for this seed. The shell seeds it from the system's entropy, a replay from
    /// the trace, a test from its own number.
    pub fn new(seed: u64) -> Self {
        let mut spread = seed;
        let mut key = [0; 8];
        for pair in key.chunks_exact_mut(2) {
            let word = split_mix(&mut spread);
            pair[0] = word as u32;
            pair[1] = (word >> 32) as u32;
        }
        Self::from_key(key)
    }

    fn from_key(key: [u32; 8]) -> Self {
        Rng { key, counter: 0, block: [0; WORDS], spent: WORDS }
    }

    /// 32 bits, evenly distributed.
    pub fn next_u32(&mut self) -> u32 {
        if self.spent == WORDS {
            self.block = block(&self.key, self.counter);
            self.counter = self.counter.wrapping_add(1);
            self.spent = 0;
        }
        let word = self.block[self.spent];
        self.spent += 1;
        word
    }

    /// 64 bits, evenly distributed.
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        u64::from(self.next_u32()) << 32 | low
    }

    /// A number from 0 to `end - 1`, every one equally likely; 0 when `end` is 0 or 1.
    pub fn below(&mut self, end: u64) -> u64 {
        // Lemire's multiplication; the rejection keeps small ends exactly even.
        let floor = end.wrapping_neg().checked_rem(end).unwrap_or(0);
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(end);
            if wide as u64 >= floor {
                return (wide >> 64) as u64;
            }
        }
    }

    /// A duration from zero to just under `end`, to the microsecond: jitter of retries.
    pub fn duration_below(&mut self, end: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(end.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Fills `out`.
    pub fn fill(&mut self, out: &mut [u8]) {
        for part in out.chunks_mut(4) {
            let word = self.next_u32().to_le_bytes();
            part.copy_from_slice(&word[..part.len()]);
        }
    }

    /// Appends a token of at least `bits` random bits in lower-case base32 (RFC 4648 6): five
    /// bits a character, and a peer that compares tags without case still tells two apart.
    pub fn token(&mut self, out: &mut Vec<u8>, bits: u32) {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        const PER_WORD: u32 = 12;
        let mut characters = bits.div_ceil(5);
        while characters > 0 {
            let mut word = self.next_u64();
            for _ in 0..characters.min(PER_WORD) {
                out.push(ALPHABET[(word & 31) as usize]);
                word >>= 5;
            }
            characters = characters.saturating_sub(PER_WORD);
        }
    }
}

/// SplitMix64: spreads a small seed over the whole key.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One ChaCha block of eight rounds with the original 64-bit counter and a zero nonce.
fn block(key: &[u32; 8], counter: u64) -> [u32; WORDS] {
    let mut start = [0; WORDS];
    start[..4].copy_from_slice(&CONSTANTS);
    start[4..12].copy_from_slice(key);
    start[12] = counter as u32;
    start[13] = (counter >> 32) as u32;
    let mut x = start;
    for _ in 0..4 {
        quarter(&mut x, 0, 4, 8, 12);
        quarter(&mut x, 1, 5, 9, 13);
        quarter(&mut x, 2, 6, 10, 14);
        quarter(&mut x, 3, 7, 11, 15);
        quarter(&mut x, 0, 5, 10, 15);
        quarter(&mut x, 1, 6, 11, 12);
        quarter(&mut x, 2, 7, 8, 13);
        quarter(&mut x, 3, 4, 9, 14);
    }
    for (word, first) in x.iter_mut().zip(start) {
        *word = word.wrapping_add(first);
    }
    x
}

/// The quarter round of RFC 8439 2.1.
#[inline(always)]
fn quarter(x: &mut [u32; WORDS], a: usize, b: usize, c: usize, d: usize) {
    x[a] = x[a].wrapping_add(x[b]);
    x[d] = (x[d] ^ x[a]).rotate_left(16);
    x[c] = x[c].wrapping_add(x[d]);
    x[b] = (x[b] ^ x[c]).rotate_left(12);
    x[a] = x[a].wrapping_add(x[b]);
    x[d] = (x[d] ^ x[a]).rotate_left(8);
    x[c] = x[c].wrapping_add(x[d]);
    x[b] = (x[b] ^ x[c]).rotate_left(7);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_chacha8_as_published() {
        // draft-strombergson-chacha-test-vectors-01, TC1: 256-bit key and IV of zeros, 8 rounds.
        let mut stream = [0; 32];
        Rng::from_key([0; 8]).fill(&mut stream);
        let hex: String = stream.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "3e00ef2f895f40d67f5bb8e81f09a5a12c840ec3ce9a7f3b181be188ef711a1e");
    }

    #[test]
    fn one_seed_gives_one_stream_and_another_seed_another() {
        let draw = |seed| {
            let mut rng = Rng::new(seed);
            (0..40).map(|_| rng.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn below_stays_below_and_reaches_every_value() {
        let mut rng = Rng::new(1);
        let mut seen = [0u32; 6];
        for _ in 0..6_000 {
            seen[rng.below(6) as usize] += 1;
        }
        assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
        assert_eq!((rng.below(0), rng.below(1)), (0, 0));
        assert!(rng.duration_below(Duration::from_millis(2)) < Duration::from_millis(2));
    }

    #[test]
    fn a_token_has_the_bits_asked_for_and_only_token_characters() {
        let mut rng = Rng::new(2);
        for bits in [0, 1, 5, 64, 96, 128] {
            let mut token = Vec::new();
            rng.token(&mut token, bits);
            assert_eq!(token.len(), bits.div_ceil(5) as usize);
            assert!(token.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')));
        }
    }
}
