//! Dots name single writes; a context says which dots a member has seen.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::base::BootId;

/// One write: the boot that made it and its number there. Never reused, because a boot never is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Dot {
    /// Who wrote.
    pub actor: BootId,
    /// The how-manieth write of it, from 1.
    pub number: u64,
}

/// The dots a member has seen: everything up to a number for each actor, and a cloud of others, so
/// that deltas may arrive in any order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Context {
    vector: BTreeMap<BootId, u64>,
    cloud: BTreeSet<Dot>,
}

impl Context {
    /// True when `dot` has been seen.
    #[must_use]
    pub fn holds(&self, dot: Dot) -> bool {
        self.seen(dot.actor) >= dot.number || self.cloud.contains(&dot)
    }

    /// Notes one dot.
    pub fn add(&mut self, dot: Dot) {
        if self.holds(dot) {
            return;
        }
        self.cloud.insert(dot);
        self.compact(dot.actor);
    }

    /// Notes everything that `other` has seen.
    pub fn join(&mut self, other: &Context) {
        for (actor, number) in &other.vector {
            let seen = self.vector.entry(*actor).or_default();
            *seen = (*seen).max(*number);
        }
        self.cloud.extend(other.cloud.iter().copied());
        let actors: BTreeSet<BootId> = self.cloud.iter().map(|dot| dot.actor).collect();
        for actor in actors {
            self.compact(actor);
        }
    }

    /// The next dot of `actor`, noted.
    pub fn next(&mut self, actor: BootId) -> Dot {
        let above = Dot {
            actor,
            number: u64::MAX,
        };
        let clouded = self
            .cloud
            .range(..=above)
            .next_back()
            .filter(|dot| dot.actor == actor)
            .map_or(0, |dot| dot.number);
        let number = self.seen(actor).max(clouded).saturating_add(1);
        let dot = Dot { actor, number };
        self.add(dot);
        dot
    }

    /// Actors with everything up to a number.
    pub fn vector(&self) -> impl Iterator<Item = Dot> + '_ {
        self.vector.iter().map(|(actor, number)| Dot {
            actor: *actor,
            number: *number,
        })
    }

    /// Single dots above the vector.
    pub fn cloud(&self) -> impl Iterator<Item = Dot> + '_ {
        self.cloud.iter().copied()
    }

    /// Notes everything of an actor up to a number.
    pub fn add_all(&mut self, upto: Dot) {
        let seen = self.vector.entry(upto.actor).or_default();
        *seen = (*seen).max(upto.number);
        self.compact(upto.actor);
    }

    fn seen(&self, actor: BootId) -> u64 {
        self.vector.get(&actor).copied().unwrap_or(0)
    }

    /// Moves what follows the vector without a gap out of the cloud.
    fn compact(&mut self, actor: BootId) {
        let mut seen = self.seen(actor);
        let from = Dot { actor, number: 0 };
        while let Some(dot) = self.cloud.range(from..).next().copied() {
            if dot.actor != actor || dot.number > seen.saturating_add(1) {
                break;
            }
            self.cloud.remove(&dot);
            seen = seen.max(dot.number);
        }
        if seen > 0 {
            self.vector.insert(actor, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
