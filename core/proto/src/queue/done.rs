//! What is remembered of finished messages: tombstones until every holder has confirmed, then
//! fingerprints for a while (protocol.md 4.5). Both in runs.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::canary::{Planted, QueueCanary};
use super::message::Ending;
use crate::base::{BootId, Instant, MessageId, RunMap, limits};
use crate::copies::Holders;

/// A finished message whose end is not known to all its holders yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tomb {
    pub(super) holders: Holders,
    /// Which of them have confirmed, by their place in `holders`.
    pub(super) confirmed: u128,
    pub(super) ending: Ending,
    /// True where the ack was given: that member asks the others. Others only ask when it is old.
    pub(super) is_mine: bool,
    /// When it was made, to the second, so that neighbours are equal.
    pub(super) since: Instant,
}

/// A run of equal tombstones: origin, first, last.
pub(super) type Run = (BootId, u64, u64, Tomb);

/// All tombstones of this store.
#[derive(Debug, Default)]
pub(super) struct Tombs {
    origins: BTreeMap<BootId, RunMap<Tomb>>,
}

impl Tombs {
    pub(super) fn get(&self, id: MessageId) -> Option<&Tomb> {
        self.origins.get(&id.origin)?.get(id.sequence)
    }

    pub(super) fn insert(&mut self, origin: BootId, first: u64, last: u64, tomb: Tomb) {
        let runs = self.origins.entry(origin).or_default();
        runs.insert(first, last, tomb);
    }

    pub(super) fn remove(&mut self, origin: BootId, first: u64, last: u64) {
        if let Some(runs) = self.origins.get_mut(&origin) {
            runs.remove(first, last);
            if runs.is_empty() {
                self.origins.remove(&origin);
            }
        }
    }

    pub(super) fn pieces(
        &self,
        origin: BootId,
        first: u64,
        last: u64,
    ) -> Vec<(u64, u64, Option<Tomb>)> {
        match self.origins.get(&origin) {
            Some(runs) => runs.pieces(first, last),
            None => Vec::from([(first, last, None)]),
        }
    }

    /// All of them.
    pub(super) fn into_runs(self) -> impl Iterator<Item = Run> {
        let origins = self.origins.into_iter();
        origins.flat_map(|(origin, runs)| {
            let runs: Vec<Run> = runs
                .iter()
                .map(|(first, last, tomb)| (origin, first, last, tomb.clone()))
                .collect();
            runs
        })
    }

    /// How many runs they take.
    pub(super) fn run_count(&self) -> usize {
        self.origins.values().map(RunMap::run_count).sum()
    }

    /// How many messages they stand for.
    pub(super) fn message_count(&self) -> u64 {
        let runs = self.origins.values().flat_map(RunMap::iter);
        runs.map(|(first, last, _)| last - first + 1).sum()
    }

    /// Up to `max` runs from `from` on, and where to go on.
    pub(super) fn step(&self, from: MessageId, max: usize) -> (Vec<Run>, Option<MessageId>) {
        let mut taken = Vec::new();
        for (origin, runs) in self.origins.range(from.origin..) {
            let start = if *origin == from.origin {
                from.sequence
            } else {
                0
            };
            for (first, last, tomb) in runs.iter_from(start) {
                if taken.len() == max {
                    let next = MessageId {
                        origin: *origin,
                        sequence: first,
                    };
                    return (taken, Some(next));
                }
                taken.push((*origin, first, last, tomb.clone()));
            }
        }
        (taken, None)
    }

    /// Drops runs until at most `limits::TOMBSTONE_RUNS_MAX` are left; answers how many went.
    pub(super) fn shrink(&mut self) -> usize {
        let mut dropped = 0;
        while self.run_count() > limits::TOMBSTONE_RUNS_MAX {
            let Some((origin, runs)) = self.origins.pop_first() else {
                break;
            };
            let excess = limits::TOMBSTONE_RUNS_MAX / 16;
            let kept = runs.iter().skip(excess);
            let mut rest = RunMap::default();
            for (first, last, tomb) in kept {
                rest.insert(first, last, tomb.clone());
            }
            dropped += runs.run_count() - rest.run_count();
            if !rest.is_empty() {
                self.origins.insert(origin, rest);
            }
        }
        dropped
    }
}

/// Ids of which nothing else is left, so that a late copy revives nothing. Two generations, swapped
/// every `limits::FORGET_GRACE_MS`.
#[derive(Debug, Default)]
pub(super) struct Prints {
    young: BTreeMap<BootId, RunMap<()>>,
    old: BTreeMap<BootId, RunMap<()>>,
    next_swap: Instant,
    planted: Planted,
}

impl Prints {
    pub(super) fn holds(&self, id: MessageId) -> bool {
        let generations = [&self.young, &self.old];
        generations.iter().any(|generation| {
            generation
                .get(&id.origin)
                .is_some_and(|runs| runs.get(id.sequence).is_some())
        })
    }

    #[cfg(feature = "canary")]
    pub(super) fn plant(&mut self, planted: Planted) {
        self.planted = planted;
    }

    pub(super) fn insert(&mut self, origin: BootId, first: u64, last: u64) {
        if self.planted.is(QueueCanary::NoFingerprint) {
            return;
        }
        self.young
            .entry(origin)
            .or_default()
            .insert(first, last, ());
    }

    /// Swaps the generations when it is time, or when there are too many; answers whether memory,
    /// not time, was the reason.
    pub(super) fn age(&mut self, now: Instant) -> bool {
        let count: usize = self.young.values().map(RunMap::run_count).sum();
        let is_full = count > limits::FINGERPRINT_RUNS_MAX;
        if now >= self.next_swap || is_full {
            self.old = core::mem::take(&mut self.young);
            self.next_swap = now + limits::FORGET_GRACE_MS;
        }
        is_full
    }
}
