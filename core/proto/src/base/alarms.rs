//! Deadlines of things that are few: one sorted set, one deadline a key.

use alloc::collections::{BTreeMap, BTreeSet};

use super::time::Instant;

/// Deadlines by any key.
#[derive(Debug)]
pub struct Alarms<K> {
    times: BTreeMap<K, Instant>,
    order: BTreeSet<(Instant, K)>,
}

impl<K> Default for Alarms<K> {
    fn default() -> Self {
        Self {
            times: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Clone> Alarms<K> {
    /// Sets or moves the deadline of `key`.
    pub fn set(&mut self, key: K, at: Instant) {
        if let Some(old) = self.times.insert(key.clone(), at) {
            self.order.remove(&(old, key.clone()));
        }
        self.order.insert((at, key));
    }

    /// Sets the deadline of `key` unless it has an earlier one.
    pub fn set_earlier(&mut self, key: K, at: Instant) {
        if self.times.get(&key).is_none_or(|old| *old > at) {
            self.set(key, at);
        }
    }

    /// Forgets the deadline of `key`, if it has one.
    pub fn clear(&mut self, key: &K) {
        if let Some(old) = self.times.remove(key) {
            self.order.remove(&(old, key.clone()));
        }
    }

    /// Takes one key whose deadline is `now` or earlier, the earliest first.
    pub fn due(&mut self, now: Instant) -> Option<K> {
        if self.order.first().is_none_or(|(at, _)| *at > now) {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        self.times.remove(&key);
        Some(key)
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Instant {
        self.order.first().map_or(Instant::NEVER, |(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_deadline_is_due_once_at_its_new_time() {
        let mut alarms = Alarms::default();
        alarms.set('a', Instant(10));
        alarms.set('a', Instant(20));
        alarms.set_earlier('a', Instant(30));
        assert_eq!(alarms.due(Instant(19)), None);
        assert_eq!(alarms.next(), Instant(20));
        assert_eq!(alarms.due(Instant(20)), Some('a'));
        assert_eq!(alarms.due(Instant(99)), None);
    }
}
