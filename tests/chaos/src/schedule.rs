//! The faults of a run, drawn from a seed: the same seed is the same schedule.
//!
//! A round is one partition, one pause, one slow link and some kills, begun in one order and ended in
//! another, so that they overlap. Fewer kills a round than a message has copies and a drain between two
//! rounds keep a run within what is promised: never are all holders of a message killed.

use std::time::Duration;

use crate::Size;
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
pub fn rounds(size: &Size, members: u64) -> Vec<Vec<Step>> {
    let mut dice = Dice(size.seed);
    let first = dice.below(4);
    (0..size.rounds)
        .map(|round| {
            let one = dice.below(members);
            // Each shape in turn: four rounds have them all.
            let shape = match (first + round) % 4 {
                0 => Shape::Halves,
                1 => Shape::Bridge,
                2 => Shape::OneWay(one),
                _ => Shape::Isolate(one),
            };
            one_round(&mut dice, members, size.kills, shape)
        })
        .collect()
}

fn one_round(dice: &mut Dice, members: u64, kills: u64, shape: Shape) -> Vec<Step> {
    let mut order: Vec<u64> = (0..members).collect();
    dice.shuffle(&mut order);
    // A process that is gone cannot be stopped.
    let (killed, rest) = order.split_at(kills as usize);
    let mut faults = vec![
        Fault::Cut(shape),
        Fault::Pause(rest.first().copied().unwrap_or_default()),
        Fault::Slow(dice.below(members)),
    ];
    faults.extend(killed.iter().map(|one| Fault::Kill(*one)));
    let mut steps = Vec::new();
    dice.shuffle(&mut faults);
    for fault in faults.iter().copied() {
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

    fn size(seed: u64, count: u64, kills: u64) -> Size {
        Size {
            rounds: count,
            kills,
            ..Size::short(seed)
        }
    }

    #[test]
    fn one_seed_is_one_schedule() {
        assert_eq!(rounds(&size(7, 6, 1), 5), rounds(&size(7, 6, 1), 5));
        assert_ne!(rounds(&size(7, 6, 1), 5), rounds(&size(8, 6, 1), 5));
    }

    #[test]
    fn a_round_ends_what_it_began_and_kills_as_often_as_it_may() {
        let all = (0..200).flat_map(|seed| [(seed, 1), (seed, 2)]);
        for (seed, kills) in all {
            for round in rounds(&size(seed, 2, kills), 5) {
                let begun: Vec<Fault> = round
                    .iter()
                    .filter_map(|step| match step {
                        Step::Begin(fault) => Some(*fault),
                        _ => None,
                    })
                    .collect();
                assert_eq!(begun.len() as u64, 3 + kills);
                for fault in &begun {
                    let end = round.iter().position(|step| *step == Step::End(*fault));
                    let begin = round.iter().position(|step| *step == Step::Begin(*fault));
                    assert!(begin < end);
                }
                let mut killed: Vec<u64> = begun
                    .iter()
                    .filter_map(|fault| match fault {
                        Fault::Kill(one) => Some(*one),
                        _ => None,
                    })
                    .collect();
                assert!(
                    killed
                        .iter()
                        .all(|one| !begun.contains(&Fault::Pause(*one)))
                );
                killed.dedup();
                assert_eq!(killed.len() as u64, kills);
            }
        }
    }

    #[test]
    fn four_rounds_have_every_shape() {
        for seed in 0..50 {
            let mut kinds: Vec<_> = rounds(&size(seed, 4, 1), 5)
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
