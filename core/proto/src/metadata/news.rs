//! Changes on their way out: at most one broadcast of a key in 50 ms (protocol.md 2, "Bounds").
//!
//! The first change of a key goes at once. Later ones wait for the interval and are joined: entries
//! of the last, dots of all. A change of several keys waits for the slowest of them and is joined
//! with whatever shares a key with it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::canary::{MetaCanary, Planted};
use crate::base::{Instant, Millis};
use crate::crdt::Delta;

/// Least time between two broadcasts of one key.
pub const NEWS_MS: Millis = 50;
/// Keys whose last broadcast is remembered; beyond it changes go at once, which costs only traffic.
const KEYS_MAX: usize = 4_096;

/// Changes that wait, and what was told of late.
#[derive(Debug, Default)]
pub struct News {
    waiting: Vec<(Instant, Delta)>,
    told: BTreeMap<Vec<u8>, Instant>,
    planted: Planted,
}

impl News {
    /// Takes a change of this member's, to be told by a [`News::flush`].
    pub fn add(&mut self, now: Instant, delta: Delta) {
        let last = delta.keys().filter_map(|key| self.told.get(key)).max();
        let due = last.map_or(now, |last| now.max(*last + NEWS_MS));
        let (related, others) = core::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, old)| delta.keys().any(|key| old.keys().any(|other| other == key)));
        self.waiting = others;
        let related: Vec<(Instant, Delta)> = related;
        let mut joined: Option<(Instant, Delta)> = None;
        for (at, delta) in related.into_iter().chain([(due, delta)]) {
            joined = Some(match joined {
                // Earlier ones are due no later than this: what waits was not told since.
                Some((first, elder)) => (first.max(at), self.join(elder, delta)),
                None => (at, delta),
            });
        }
        self.waiting.extend(joined);
    }

    /// The changes to broadcast now, one body each.
    pub fn flush(&mut self, now: Instant) -> Vec<Delta> {
        self.told.retain(|_, at| now.since(*at) < NEWS_MS);
        let (due, waiting) = core::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.waiting = waiting;
        let due: Vec<(Instant, Delta)> = due;
        let keys = due.iter().flat_map(|(_, delta)| delta.keys());
        for key in keys {
            if self.told.len() < KEYS_MAX {
                self.told.insert(key.to_vec(), now);
            }
        }
        due.into_iter().map(|(_, delta)| delta).collect()
    }

    /// When [`News::flush`] will have something.
    #[must_use]
    pub fn next_wake(&self) -> Instant {
        let times = self.waiting.iter().map(|(at, _)| *at);
        times.min().unwrap_or(Instant::NEVER)
    }

    /// Plants a bug for a test to catch.
    #[cfg(any(test, feature = "canary"))]
    pub fn plant(&mut self, canary: MetaCanary) {
        self.planted = Planted::new(canary);
    }

    fn join(&self, mut elder: Delta, later: Delta) -> Delta {
        if self.planted.is(MetaCanary::CoalesceWithoutContexts) {
            return later;
        }
        elder.append(later);
        elder
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::BootId;
    use crate::crdt::DotMap;

    const ACTOR: BootId = BootId(7);

    #[test]
    fn a_key_written_often_is_told_once_an_interval_and_nothing_is_lost() {
        let (mut here, mut there) = (DotMap::default(), DotMap::default());
        let mut news = News::default();
        let mut told = 0;
        for at in 0..200 {
            news.add(Instant(at), here.write(ACTOR, b"k", vec![at as u8]));
            for delta in news.flush(Instant(at)) {
                told += 1;
                there.merge(&delta, false);
            }
        }
        assert_eq!(told, 4, "at 0, 50, 100 and 150");
        let wake = news.next_wake();
        assert_eq!(wake, Instant(200));
        for delta in news.flush(wake) {
            there.merge(&delta, false);
        }
        assert_eq!(here, there);
        assert_eq!(news.next_wake(), Instant::NEVER);
    }

    #[test]
    fn a_change_of_two_keys_waits_for_both_and_takes_in_what_waits_for_either() {
        let (mut here, mut there) = (DotMap::default(), DotMap::default());
        let mut news = News::default();
        for key in [b"a", b"b"] {
            news.add(Instant(0), here.write(ACTOR, key, vec![0]));
        }
        let first = news.flush(Instant(0));
        assert_eq!(
            first.len(),
            2,
            "keys of their own do not wait for each other"
        );
        first
            .iter()
            .for_each(|delta| drop(there.merge(delta, false)));
        news.add(Instant(10), here.write(ACTOR, b"a", vec![1]));
        news.add(Instant(10), here.remove(b"b"));
        let mut both = here.write(ACTOR, b"a", vec![2]);
        both.append(here.write(ACTOR, b"b", vec![2]));
        news.add(Instant(20), both);
        assert!(news.flush(Instant(49)).is_empty());
        let rest = news.flush(Instant(50));
        assert_eq!(rest.len(), 1);
        there.merge(&rest[0], false);
        assert_eq!(here, there);
    }

    #[test]
    fn what_was_told_long_ago_is_forgotten() {
        let mut map = DotMap::default();
        let mut news = News::default();
        for n in 0..1_000_u64 {
            let key = n.to_le_bytes();
            news.add(Instant(n * 10), map.write(ACTOR, &key, vec![]));
            news.flush(Instant(n * 10));
        }
        assert!(news.told.len() <= 6, "{}", news.told.len());
    }
}
