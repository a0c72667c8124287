//! Counters of what must happen sometimes: a check that never met its case has proved nothing.

use std::collections::BTreeMap;

/// Everything that a full run (2,000 seeds) must have met at least once.
pub const SOMETIMES: &[&str] = &[
    "ack answered 402",
    "ack twice",
    "batch enqueued",
    "clock jumped",
    "consumer died",
    "copies short",
    "crash spared by the budget",
    "crash took the last copy",
    "delivered by another member",
    "dial hung",
    "drained at several members",
    "enqueue ended in doubt",
    "enqueue refused",
    "extended in time",
    "frame duplicated",
    "frame lost",
    "frame overtook",
    "given back after a cancel",
    "join by command",
    "lane full",
    "late ack counted",
    "lease ran out",
    "link reset",
    "link reset during replication",
    "messages batched",
    "nacked",
    "network cut",
    "one way cut",
    "owners met after a split",
    "process crashed",
    "process paused",
    "receive cancelled",
    "receive waited and got some",
    "redelivered",
    "released",
    "settle came too late",
    "subscription delivered",
    "takeover",
    "tombstones drained",
];

/// How often each thing happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sometimes(BTreeMap<&'static str, u64>);

impl Sometimes {
    /// It happened.
    pub(crate) fn hit(&mut self, what: &'static str) {
        debug_assert!(SOMETIMES.contains(&what), "not in the list: {what}");
        *self.0.entry(what).or_default() += 1;
    }

    /// What an engine counted itself, at the end of its life.
    pub(crate) fn look(&mut self, stats: &BTreeMap<&'static str, u64>) {
        for (counter, what) in [
            ("returned", "given back after a cancel"),
            ("owner_conflicts", "owners met after a split"),
        ] {
            if stats.get(counter).is_some_and(|count| *count > 0) {
                self.hit(what);
            }
        }
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Sometimes) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// How often it happened.
    #[must_use]
    pub fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    /// What should have happened and did not.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let never = SOMETIMES.iter().filter(|what| self.count(what) == 0);
        never.copied().collect()
    }
}
