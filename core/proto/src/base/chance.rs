//! A seeded generator, so that placement, jitter and gossip replay from one number.
//!
//! SplitMix64 (Steele, Lea, Flood 2014). Not for secrets.

/// A stream of numbers that a seed determines.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a wide product: no division, bias below 2^-32 for our small bounds.
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// True `percent` times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Puts `items` in a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn one_seed_gives_one_stream_and_every_order_is_possible() {
        let mut a = Chance::new(7);
        let mut b = Chance::new(7);
        assert!((0..100).all(|_| a.bits() == b.bits()));
        let mut seen = alloc::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut three: Vec<u8> = (0..3).collect();
            a.shuffle(&mut three);
            seen.insert(three);
        }
        assert_eq!(seen.len(), 6);
    }
}
