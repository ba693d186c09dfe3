//! A hash for tables of numbers.

use std::hash::{BuildHasherDefault, Hasher};

/// For tables by numbers that the operator has chosen: nobody else puts any into them, so nobody
/// can make them collide, and a product is enough.
pub(crate) type NumberHash = BuildHasherDefault<NumberHasher>;

/// Spreads the digits of a number over all bits.
#[derive(Clone, Default)]
pub(crate) struct NumberHasher(u64);

/// 2^64 divided by the golden ratio: numbers that follow each other end far apart.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        // The table takes its slot from the low bits, and the product has its best at the top.
        self.0.rotate_left(32)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(SPREAD);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn a_block_of_numbers_is_spread_over_the_table() {
        let hash = |number: u64| NumberHash::default().hash_one(number);
        for step in [1, 10, 10_000] {
            let slots: HashSet<u64> =
                (0..4096).map(|at| hash(810_310_000_000 + at * step) % 4096).collect();
            let tags: HashSet<u64> =
                (0..4096).map(|at| hash(810_310_000_000 + at * step) >> 57).collect();
            assert!(slots.len() > 2048, "{} slots by {step}", slots.len());
            assert!(tags.len() > 100, "{} tags by {step}", tags.len());
        }
    }
}
