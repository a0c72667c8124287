//! A map from numbers to values that stores equal neighbours as one run (protocol.md 4.9).
//!
//! Acks, tombstones and fingerprints are per message in every rule and in runs in memory: a rule
//! that touches part of a run splits it, and neighbours that became equal are joined again.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// A map from u64 to `V` that costs one entry a run of equal neighbours.
#[derive(Debug, Clone)]
pub struct RunMap<V> {
    /// First number of a run -> (last number of it, value). Runs never overlap, and touching runs
    /// have different values.
    runs: BTreeMap<u64, (u64, V)>,
}

impl<V> Default for RunMap<V> {
    fn default() -> Self {
        Self {
            runs: BTreeMap::new(),
        }
    }
}

impl<V: Clone + PartialEq> RunMap<V> {
    /// The value at `number`.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&V> {
        let (_, (last, value)) = self.runs.range(..=number).next_back()?;
        (*last >= number).then_some(value)
    }

    /// True when there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// How many runs it takes; what it costs.
    #[must_use]
    pub fn run_count(&self) -> usize {
        self.runs.len()
    }

    /// Every run as (first, last, value), ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, &V)> {
        self.runs
            .iter()
            .map(|(first, (last, value))| (*first, *last, value))
    }

    /// Every run that begins at or after `number`, or holds it, ascending.
    pub fn iter_from(&self, number: u64) -> impl Iterator<Item = (u64, u64, &V)> {
        let start = self.run_around(number).map_or(number, |(first, _)| first);
        self.runs
            .range(start..)
            .map(|(first, (last, value))| (*first, *last, value))
    }

    /// Sets `first..=last` to `value`.
    pub fn insert(&mut self, first: u64, last: u64, value: V) {
        // The common case: the next number of an ascending series extends the last run.
        if let Some(mut entry) = self.runs.last_entry() {
            let end = entry.get().0;
            if end < first {
                if end.checked_add(1) == Some(first) && entry.get().1 == value {
                    entry.get_mut().0 = last;
                } else {
                    self.runs.insert(first, (last, value));
                }
                return;
            }
        }
        self.clear_range(first, last);
        self.runs.insert(first, (last, value));
        self.join_at(first);
        if let Some(next) = last.checked_add(1) {
            self.join_at(next);
        }
    }

    /// Removes `first..=last`.
    pub fn remove(&mut self, first: u64, last: u64) {
        self.clear_range(first, last);
    }

    /// Cuts `first..=last` into pieces of one state each: (first, last, value or none), ascending.
    #[must_use]
    pub fn pieces(&self, first: u64, last: u64) -> Vec<(u64, u64, Option<V>)> {
        let mut pieces = Vec::new();
        let mut from = first;
        let start = self.run_around(first).map_or(first, |(begin, _)| begin);
        for (&begin, (end, value)) in self.runs.range(start..=last) {
            let begin = begin.max(first);
            if begin > from {
                pieces.push((from, begin - 1, None));
            }
            let end = (*end).min(last);
            pieces.push((begin, end, Some(value.clone())));
            match end.checked_add(1) {
                Some(next) => from = next,
                None => return pieces,
            }
        }
        if from <= last {
            pieces.push((from, last, None));
        }
        pieces
    }

    fn run_around(&self, number: u64) -> Option<(u64, u64)> {
        let (first, (last, _)) = self.runs.range(..=number).next_back()?;
        (*last >= number).then_some((*first, *last))
    }

    /// Takes `first..=last` out, splitting the runs at its edges.
    fn clear_range(&mut self, first: u64, last: u64) {
        if let Some((begin, end)) = self.run_around(first)
            && let Some((_, value)) = self.runs.remove(&begin)
        {
            if end > last {
                self.runs.insert(last + 1, (end, value.clone()));
            }
            if begin < first {
                self.runs.insert(begin, (first - 1, value));
            }
        }
        while let Some((&begin, &(end, _))) = self.runs.range(first..=last).next() {
            let Some((_, value)) = self.runs.remove(&begin) else {
                return;
            };
            if end > last {
                self.runs.insert(last + 1, (end, value));
            }
        }
    }

    /// Joins the run that begins at `first` to the one that ends just before it, if they are equal.
    fn join_at(&mut self, first: u64) {
        let Some((end, value)) = self.runs.get(&first) else {
            return;
        };
        let end = *end;
        let Some((&before, (stop, left))) = self.runs.range(..first).next_back() else {
            return;
        };
        if stop.checked_add(1) != Some(first) || left != value {
            return;
        }
        self.runs.remove(&first);
        if let Some(run) = self.runs.get_mut(&before) {
            run.0 = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Chance;

    #[test]
    fn ascending_numbers_make_one_run() {
        let mut map = RunMap::default();
        (1..=1_000).for_each(|n| map.insert(n, n, 'a'));
        assert_eq!(map.run_count(), 1);
        assert_eq!(map.get(500), Some(&'a'));
        assert_eq!(map.get(0), None);
    }

    #[test]
    fn a_run_splits_where_it_is_touched_and_heals_when_equal_again() {
        let mut map = RunMap::default();
        map.insert(1, 10, 'a');
        map.insert(4, 6, 'b');
        assert_eq!(
            map.pieces(1, 12),
            [
                (1, 3, Some('a')),
                (4, 6, Some('b')),
                (7, 10, Some('a')),
                (11, 12, None)
            ]
        );
        map.insert(4, 6, 'a');
        assert_eq!(map.run_count(), 1);
    }

    #[test]
    fn it_agrees_with_a_plain_map_whatever_is_done_to_it() {
        for seed in 0..200 {
            let mut chance = Chance::new(seed);
            let mut map = RunMap::default();
            let mut model = BTreeMap::new();
            for _ in 0..100 {
                let first = chance.below(64);
                let last = first + chance.below(16);
                if chance.percent(30) {
                    map.remove(first, last);
                    (first..=last).for_each(|n| {
                        model.remove(&n);
                    });
                } else {
                    let value = chance.below(3);
                    map.insert(first, last, value);
                    (first..=last).for_each(|n| {
                        model.insert(n, value);
                    });
                }
                for n in 0..90 {
                    assert_eq!(map.get(n), model.get(&n), "seed {seed}");
                }
                let runs: Vec<_> = map.iter().map(|(a, b, v)| (a, b, *v)).collect();
                for pair in runs.windows(2) {
                    assert!(pair[0].1 < pair[1].0);
                    assert!(pair[0].1 + 1 < pair[1].0 || pair[0].2 != pair[1].2);
                }
            }
        }
    }
}
