//! The faults of a run, drawn from a seed: the same seed is the same schedule.
//!
//! A round is one partition, one pause, one slow link and one kill, begun in one order and ended in
//! another, so that they overlap. One kill a round and a drain between two rounds keep a run within what two
//! copies promise: never are both holders of a message killed.

use std::time::Duration;

use crate::shape::Shape;

/// Something bad that begins and ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A partition.
    Cut(Shape),
    /// SIGSTOP, then SIGCONT.
    Pause(u64),
    /// SIGKILL, then a new process in its place.
    Kill(u64),
    /// Little room and long queues on one member's link.
    Slow(u64),
}

/// One moment of a round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The fault begins.
    Begin(Fault),
    /// The fault ends.
    End(Fault),
    /// The load goes on meanwhile.
    Hold(Duration),
}

/// A small generator of numbers: good enough to shuffle with, and the same everywhere (splitmix64).
#[derive(Clone, Copy, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    fn shuffle<T>(&mut self, cards: &mut [T]) {
        for last in (1..cards.len()).rev() {
            cards.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// The rounds of a run, each a list of steps that ends everything it began.
#[must_use]
pub fn rounds(seed: u64, members: u64, count: u64) -> Vec<Vec<Step>> {
    let mut dice = Dice(seed);
    let first = dice.below(4);
    (0..count)
        .map(|round| {
            let one = dice.below(members);
            // Each shape in turn: four rounds have them all.
            let shape = match (first + round) % 4 {
                0 => Shape::Halves,
                1 => Shape::Bridge,
                2 => Shape::OneWay(one),
                _ => Shape::Isolate(one),
            };
            one_round(&mut dice, members, shape)
        })
        .collect()
}

fn one_round(dice: &mut Dice, members: u64, shape: Shape) -> Vec<Step> {
    let killed = dice.below(members);
    // A process that is gone cannot be stopped.
    let paused = (killed + 1 + dice.below(members - 1)) % members;
    let mut faults = [
        Fault::Cut(shape),
        Fault::Pause(paused),
        Fault::Kill(killed),
        Fault::Slow(dice.below(members)),
    ];
    let mut steps = Vec::new();
    dice.shuffle(&mut faults);
    for fault in faults {
        steps.push(Step::Begin(fault));
        steps.push(Step::Hold(Duration::from_millis(500 + dice.below(2_000))));
    }
    dice.shuffle(&mut faults);
    for fault in faults {
        steps.push(Step::End(fault));
        steps.push(Step::Hold(Duration::from_millis(500 + dice.below(1_500))));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_schedule() {
        assert_eq!(rounds(7, 5, 6), rounds(7, 5, 6));
        assert_ne!(rounds(7, 5, 6), rounds(8, 5, 6));
    }

    #[test]
    fn a_round_ends_what_it_began_and_kills_once() {
        for round in (0..200).flat_map(|seed| rounds(seed, 5, 2)) {
            let begun: Vec<Fault> = round
                .iter()
                .filter_map(|step| match step {
                    Step::Begin(fault) => Some(*fault),
                    _ => None,
                })
                .collect();
            assert_eq!(begun.len(), 4);
            for fault in &begun {
                let end = round.iter().position(|step| *step == Step::End(*fault));
                let begin = round.iter().position(|step| *step == Step::Begin(*fault));
                assert!(begin < end);
            }
            let killed = begun.iter().find_map(|fault| match fault {
                Fault::Kill(one) => Some(*one),
                _ => None,
            });
            assert!(killed.is_some_and(|one| !begun.contains(&Fault::Pause(one))));
        }
    }

    #[test]
    fn four_rounds_have_every_shape() {
        for seed in 0..50 {
            let mut kinds: Vec<_> = rounds(seed, 5, 4)
                .concat()
                .into_iter()
                .filter_map(|step| match step {
                    Step::Begin(Fault::Cut(shape)) => Some(std::mem::discriminant(&shape)),
                    _ => None,
                })
                .collect();
            kinds.dedup();
            assert_eq!(kinds.len(), 4);
        }
    }
}
