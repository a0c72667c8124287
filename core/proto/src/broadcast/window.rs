//! Which of an origin's broadcasts were seen: the highest, and a bitmap of those just below it.
//!
//! A contiguous watermark would not be bounded: an id that never comes would pile up all that came
//! after it. Here whatever is older than the bitmap counts as seen.

use alloc::boxed::Box;

/// Sequences that the bitmap covers, the highest one included (protocol.md 2).
pub(super) const WINDOW: u64 = 4_096;
const WORDS: usize = (WINDOW / 64) as usize;

/// What is known of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Never seen.
    New,
    /// Seen for certain.
    Seen,
    /// Below the bitmap: counts as seen.
    Old,
}

/// One origin's window. Bit n % `WINDOW` stands for sequence n.
#[derive(Debug)]
pub(super) struct Window {
    highest: u64,
    bits: Box<[u64; WORDS]>,
}

impl Window {
    /// Nothing seen.
    pub(super) fn new() -> Self {
        Self::after(0)
    }

    /// Everything up to `highest` counts as seen.
    pub(super) fn after(highest: u64) -> Self {
        Self {
            highest,
            bits: Box::new([u64::MAX; WORDS]),
        }
    }

    /// The highest sequence seen.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// What is known of `sequence`.
    pub(super) fn sight(&self, sequence: u64) -> Sight {
        if sequence > self.highest {
            return Sight::New;
        }
        if sequence == 0 || self.highest - sequence >= WINDOW {
            return Sight::Old;
        }
        let (word, bit) = place(sequence);
        match self.bits.get(word) {
            Some(bits) if bits & bit == 0 => Sight::New,
            _ => Sight::Seen,
        }
    }

    /// Marks `sequence` as seen and answers what was known of it before.
    pub(super) fn mark(&mut self, sequence: u64) -> Sight {
        let sight = self.sight(sequence);
        if sight != Sight::New {
            return sight;
        }
        if sequence > self.highest {
            self.slide(sequence);
        }
        let (word, bit) = place(sequence);
        if let Some(bits) = self.bits.get_mut(word) {
            *bits |= bit;
        }
        sight
    }

    /// Moves the top up: what the bits stood for before is below the window now.
    fn slide(&mut self, sequence: u64) {
        if sequence - self.highest >= WINDOW {
            self.bits.fill(0);
        } else {
            for passed in self.highest + 1..=sequence {
                let (word, bit) = place(passed);
                if let Some(bits) = self.bits.get_mut(word) {
                    *bits &= !bit;
                }
            }
        }
        self.highest = sequence;
    }
}

fn place(sequence: u64) -> (usize, u64) {
    let at = sequence % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Chance;
    use alloc::collections::BTreeSet;

    #[test]
    fn each_sequence_is_new_once_in_any_order_and_old_ones_count_as_seen() {
        let mut chance = Chance::new(1);
        for spread in [10, 100, 5_000, 100_000] {
            let mut window = Window::new();
            let mut seen = BTreeSet::new();
            let mut base = 1;
            for _ in 0..20_000 {
                base += chance.below(3);
                let sequence = base + chance.below(spread);
                let highest = window.highest();
                let is_old = sequence + WINDOW <= highest;
                match window.mark(sequence) {
                    Sight::New => assert!(seen.insert(sequence) && !is_old),
                    Sight::Seen => assert!(seen.contains(&sequence) && !is_old),
                    Sight::Old => assert!(is_old),
                }
                assert_ne!(window.sight(sequence), Sight::New);
            }
        }
    }

    #[test]
    fn a_jump_to_the_end_of_numbers_is_taken_as_it_comes() {
        let mut window = Window::new();
        assert_eq!(window.mark(0), Sight::Old);
        assert_eq!(window.mark(u64::MAX), Sight::New);
        assert_eq!(window.mark(u64::MAX), Sight::Seen);
        assert_eq!(window.mark(1), Sight::Old);
        assert_eq!(window.mark(u64::MAX - WINDOW + 1), Sight::New);
        assert_eq!(window.mark(u64::MAX - WINDOW), Sight::Old);
    }

    #[test]
    fn a_window_that_was_dropped_and_made_anew_delivers_nothing_twice() {
        let mut window = Window::after(500);
        assert!((1..=500).all(|sequence| window.sight(sequence) != Sight::New));
        assert_eq!(window.mark(502), Sight::New);
        assert_eq!(window.mark(501), Sight::New);
        assert_eq!(window.mark(500), Sight::Seen);
    }
}
