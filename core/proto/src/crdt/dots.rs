//! Dots name single writes; a context says which dots a member has seen.
//!
//! A context may keep hashes of itself, by groups of actors, so that two members that have seen the
//! same find it out by one number, and others by 256. The form is canonical (whatever follows the
//! vector without a gap is in the vector), so equal sets have equal hashes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use crate::base::BootId;

/// Groups that hashes are kept for, of keys and of actors alike (protocol.md 2, "Hash scheme").
pub const GROUPS: usize = 256;

/// No boot writes more often, so that the next dot can always be counted.
pub const DOT_NUMBER_MAX: u64 = u64::MAX >> 1;

/// One write: the boot that made it and its number there. Never reused, because a boot never is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Dot {
    /// Who wrote.
    pub actor: BootId,
    /// The how-manieth write of it, from 1.
    pub number: u64,
}

impl Dot {
    /// False for numbers that no write can have.
    #[must_use]
    pub fn is_possible(self) -> bool {
        (1..=DOT_NUMBER_MAX).contains(&self.number)
    }
}

/// The dots a member has seen: everything up to a number for each actor, and a cloud of others, so
/// that deltas may arrive in any order.
#[derive(Clone, Debug, Default)]
pub struct Context {
    vector: BTreeMap<BootId, u64>,
    cloud: BTreeSet<Dot>,
    /// Only the context of a whole map has them; those of deltas are small and short-lived.
    hashes: Option<Hashes>,
}

/// Wrapping sums of the hashes of what is in the vector and in the cloud, by group and in all.
#[derive(Clone, Debug)]
struct Hashes {
    groups: Vec<u64>,
    total: u64,
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        self.vector == other.vector && self.cloud == other.cloud
    }
}

impl Eq for Context {}

impl Context {
    /// An empty one that keeps hashes of itself.
    #[must_use]
    pub fn hashed() -> Self {
        Self {
            hashes: Some(Hashes {
                groups: vec![0; GROUPS],
                total: 0,
            }),
            ..Self::default()
        }
    }

    /// True when `dot` has been seen.
    #[must_use]
    pub fn holds(&self, dot: Dot) -> bool {
        self.seen(dot.actor) >= dot.number || self.cloud.contains(&dot)
    }

    /// True when everything that `other` has seen has been seen here.
    #[must_use]
    pub fn includes(&self, other: &Context) -> bool {
        other.vector().all(|upto| self.holds_all(upto)) && other.cloud().all(|dot| self.holds(dot))
    }

    /// Notes one dot.
    pub fn add(&mut self, dot: Dot) {
        if self.holds(dot) {
            return;
        }
        if self.seen(dot.actor).checked_add(1) == Some(dot.number) {
            self.raise(dot);
            self.compact(dot.actor);
        } else {
            self.cloud.insert(dot);
            self.count(dot, false, true);
        }
    }

    /// Notes everything of an actor up to a number.
    pub fn add_all(&mut self, upto: Dot) {
        if upto.number > self.seen(upto.actor) {
            self.raise(upto);
            self.compact(upto.actor);
        }
    }

    /// Notes everything that `other` has seen.
    pub fn join(&mut self, other: &Context) {
        other.vector().for_each(|upto| self.add_all(upto));
        other.cloud().for_each(|dot| self.add(dot));
    }

    /// The next dot of `actor`, noted.
    pub fn next(&mut self, actor: BootId) -> Dot {
        let clouded = self.cloud.range(of(actor)).next_back();
        let clouded = clouded.map_or(0, |dot| dot.number);
        let number = self.seen(actor).max(clouded).saturating_add(1);
        let dot = Dot { actor, number };
        self.add(dot);
        dot
    }

    /// Actors with everything up to a number.
    pub fn vector(&self) -> impl Iterator<Item = Dot> + '_ {
        let dot = |(actor, number): (&BootId, &u64)| Dot {
            actor: *actor,
            number: *number,
        };
        self.vector.iter().map(dot)
    }

    /// Single dots above the vector.
    pub fn cloud(&self) -> impl Iterator<Item = Dot> + '_ {
        self.cloud.iter().copied()
    }

    /// Actors whose first writes have all been seen: all of them, but for a few in the cloud.
    #[must_use]
    pub fn actors(&self) -> usize {
        self.vector.len()
    }

    /// Dots above the vector: what deltas that came out of order have left.
    #[must_use]
    pub fn cloud_len(&self) -> usize {
        self.cloud.len()
    }

    /// A number that differs when what was seen differs (but for collisions).
    #[must_use]
    pub fn digest(&self) -> u64 {
        match &self.hashes {
            Some(hashes) => hashes.total,
            None => self.group_hashes().iter().fold(0, wrapping_sum),
        }
    }

    /// A hash for each of the [`GROUPS`]; equal ones mean that the same was seen of its actors.
    #[must_use]
    pub fn group_hashes(&self) -> Vec<u64> {
        if let Some(hashes) = &self.hashes {
            return hashes.groups.clone();
        }
        let mut hashed = Self::hashed();
        hashed.join(self);
        hashed.hashes.map_or_else(Vec::new, |hashes| hashes.groups)
    }

    /// What is in the vector for the actors of one group.
    pub fn group_vector(&self, group: u8) -> impl Iterator<Item = Dot> + '_ {
        let range = self.vector.range(actors_of(group));
        range.map(|(actor, number)| Dot {
            actor: *actor,
            number: *number,
        })
    }

    /// What is in the cloud for the actors of one group.
    pub fn group_cloud(&self, group: u8) -> impl Iterator<Item = Dot> + '_ {
        let actors = actors_of(group);
        let from = *of(*actors.start()).start();
        let until = *of(*actors.end()).end();
        self.cloud.range(from..=until).copied()
    }

    fn holds_all(&self, upto: Dot) -> bool {
        let seen = self.seen(upto.actor);
        seen >= upto.number
            || (seen.saturating_add(1)..=upto.number).all(|number| {
                self.cloud.contains(&Dot {
                    actor: upto.actor,
                    number,
                })
            })
    }

    fn seen(&self, actor: BootId) -> u64 {
        self.vector.get(&actor).copied().unwrap_or(0)
    }

    /// Sets the vector of an actor to a higher number.
    fn raise(&mut self, upto: Dot) {
        if let Some(old) = self.vector.insert(upto.actor, upto.number) {
            let old = Dot {
                actor: upto.actor,
                number: old,
            };
            self.count(old, true, false);
        }
        self.count(upto, true, true);
    }

    /// Moves what follows the vector without a gap, or lies below it, out of the cloud.
    fn compact(&mut self, actor: BootId) {
        let mut seen = self.seen(actor);
        while let Some(dot) = self.cloud.range(of(actor)).next().copied() {
            if dot.number > seen.saturating_add(1) {
                break;
            }
            self.cloud.remove(&dot);
            self.count(dot, false, false);
            seen = seen.max(dot.number);
        }
        if seen > self.seen(actor) {
            let number = seen;
            self.raise(Dot { actor, number });
        }
    }

    /// Keeps the hashes: something of the vector or the cloud came or went.
    fn count(&mut self, dot: Dot, is_vector: bool, is_coming: bool) {
        let Some(hashes) = &mut self.hashes else {
            return;
        };
        let hash = hash_of(dot, is_vector);
        let change = if is_coming { hash } else { hash.wrapping_neg() };
        hashes.total = hashes.total.wrapping_add(change);
        if let Some(group) = hashes.groups.get_mut(usize::from(group_of(dot.actor))) {
            *group = group.wrapping_add(change);
        }
    }
}

/// The group of an actor: boots are random numbers, and the ones of a group lie side by side.
#[must_use]
pub fn group_of(actor: BootId) -> u8 {
    (actor.0 >> 56) as u8
}

fn actors_of(group: u8) -> RangeInclusive<BootId> {
    let from = u64::from(group) << 56;
    BootId(from)..=BootId(from | (u64::MAX >> 8))
}

/// Every dot an actor can have.
fn of(actor: BootId) -> RangeInclusive<Dot> {
    let number = u64::MAX;
    Dot { actor, number: 0 }..=Dot { actor, number }
}

fn hash_of(dot: Dot, is_vector: bool) -> u64 {
    let [a0, a1, a2, a3, a4, a5, a6, a7] = dot.actor.0.to_le_bytes();
    let [n0, n1, n2, n3, n4, n5, n6, n7] = dot.number.to_le_bytes();
    xxhash_rust::xxh3::xxh3_64_with_seed(
        &[
            a0, a1, a2, a3, a4, a5, a6, a7, n0, n1, n2, n3, n4, n5, n6, n7,
        ],
        u64::from(is_vector),
    )
}

fn wrapping_sum(sum: u64, hash: &u64) -> u64 {
    sum.wrapping_add(*hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Chance;

    fn dot(actor: u64, number: u64) -> Dot {
        Dot {
            actor: BootId(actor),
            number,
        }
    }

    #[test]
    fn dots_may_come_in_any_order_and_the_cloud_empties() {
        let mut context = Context::default();
        [3, 1, 2].iter().for_each(|n| context.add(dot(1, *n)));
        assert_eq!(context.cloud().count(), 0);
        assert!(context.holds(dot(1, 3)));
        assert!(!context.holds(dot(1, 4)));
        assert_eq!(context.next(BootId(1)), dot(1, 4));
    }

    #[test]
    fn an_actor_never_reuses_a_dot_that_waits_in_its_cloud() {
        let mut context = Context::default();
        context.add(dot(1, 5));
        assert_eq!(context.next(BootId(1)), dot(1, 6));
    }

    #[test]
    fn the_kept_hashes_are_those_of_the_same_dots_counted_afresh() {
        for seed in 0..300 {
            let mut chance = Chance::new(seed);
            let (mut kept, mut other) = (Context::hashed(), Context::default());
            for _ in 0..chance.below(40) {
                let actor = chance.below(3) << (56 + chance.below(2));
                let dot = dot(actor, 1 + chance.below(12));
                match chance.below(4) {
                    0 => kept.add_all(dot),
                    1 => other.add(dot),
                    2 if chance.percent(20) => kept.join(&other),
                    _ => kept.add(dot),
                }
            }
            let mut afresh = Context::default();
            let mut dots: Vec<Dot> = kept.cloud().collect();
            for upto in kept.vector() {
                dots.extend((1..=upto.number).map(|number| Dot { number, ..upto }));
            }
            chance.shuffle(&mut dots);
            dots.iter().for_each(|dot| afresh.add(*dot));
            assert_eq!(afresh, kept, "seed {seed}: one form for one set");
            assert_eq!(afresh.digest(), kept.digest(), "seed {seed}");
            assert_eq!(afresh.group_hashes(), kept.group_hashes(), "seed {seed}");
            assert!(kept.includes(&afresh) && afresh.includes(&kept));
            let more = kept.next(BootId(1 << 56));
            assert!(!afresh.holds(more) && kept.includes(&afresh) && !afresh.includes(&kept));
            assert_ne!(afresh.digest(), kept.digest());
        }
    }

    #[test]
    fn groups_of_actors_together_are_the_whole() {
        let mut context = Context::hashed();
        for high in [0, 1, 0x7f, 0xff] {
            context.add_all(dot((high << 56) | 9, 4));
            context.add(dot(high << 56, 7));
        }
        let mut parts = Context::default();
        for group in 0..=u8::MAX {
            context.group_vector(group).for_each(|d| parts.add_all(d));
            context.group_cloud(group).for_each(|d| parts.add(d));
        }
        assert_eq!(parts, context);
        assert_eq!((context.actors(), context.cloud_len()), (4, 4));
    }

    #[test]
    fn a_number_that_no_write_has_is_told_apart() {
        assert!(!dot(1, 0).is_possible() && !dot(1, u64::MAX).is_possible());
        assert!(dot(1, 1).is_possible() && dot(1, DOT_NUMBER_MAX).is_possible());
    }
}
