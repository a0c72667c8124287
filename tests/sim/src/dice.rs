//! Chance for the simulator: Primer's own seeded generator with a few more shapes.
//!
//! Whole numbers only: a logarithm from the system's library may differ between machines, and then
//! a seed would not replay.

use primer_proto::base::Chance;

/// A stream of draws.
#[derive(Clone, Debug)]
pub(crate) struct Dice(Chance);

impl Dice {
    /// Independent streams of one seed have different names.
    pub fn new(seed: u64, name: u64) -> Self {
        let mut mixer = Chance::new(seed);
        let root = mixer.bits();
        let mut chance = Chance::new(root ^ name.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        chance.bits();
        Self(chance)
    }

    pub fn bits(&mut self) -> u64 {
        self.0.bits()
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    pub fn index(&mut self, len: usize) -> usize {
        self.0.below(len as u64) as usize
    }

    /// From `low` to `high`, both included.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.below(high.saturating_sub(low) + 1)
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.0.percent(percent)
    }

    pub fn coin(&mut self) -> bool {
        self.0.percent(50)
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }

    pub fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        items.get(self.index(items.len().max(1))).copied()
    }

    /// About exponential with that mean: the logarithm is read off the leading zeros and a straight
    /// line between powers of two.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        const LN2: u128 = 726_817;
        let bits = self.0.bits() | 1;
        let zeros = u64::from(bits.leading_zeros());
        let fraction = ((bits << zeros) << 1) >> 44;
        let log2 = (zeros << 20) + ((1 << 20) - fraction);
        ((u128::from(mean) * u128::from(log2) * LN2) >> 40) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_draws_have_about_their_mean_and_a_tail() {
        let mut dice = Dice::new(1, 1);
        let draws: Vec<u64> = (0..20_000).map(|_| dice.exponential(1_000)).collect();
        let mean = draws.iter().sum::<u64>() / draws.len() as u64;
        assert!((900..1_100).contains(&mean), "{mean}");
        assert!(draws.iter().any(|draw| *draw > 5_000));
        assert!(draws.iter().any(|draw| *draw < 100));
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let draw = |seed, name| Dice::new(seed, name).bits();
        assert_ne!(draw(1, 1), draw(1, 2));
        assert_ne!(draw(1, 1), draw(2, 1));
        assert_eq!(draw(3, 4), draw(3, 4));
    }
}
