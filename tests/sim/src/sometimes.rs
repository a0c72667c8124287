//! Counters of what must happen sometimes: a check that never met its case has proved nothing.

use std::collections::BTreeMap;

/// Everything that a full run (2,000 seeds) must have met at least once.
pub const SOMETIMES: &[&str] = &[
    "ack answered 402",
    "ack twice",
    "batch enqueued",
    "brought home",
    "browse cancelled",
    "browsed",
    "explained",
    "call not replied",
    "call replied",
    "clock jumped",
    "consumer died",
    "copies late",
    "copies late, and too many were",
    "copies reclaimed",
    "copies set aside",
    "copies short",
    "crash spared by the budget",
    "crash took the last copy",
    "cut in halves",
    "cut of a pair",
    "cut off alone",
    "cut to a ring",
    "cut with a bridge",
    "dead letter met",
    "dead letters went back",
    "delivered by another member",
    "delivery announced",
    "dial hung",
    "drained at several members",
    "enqueue ended in doubt",
    "enqueue forwarded",
    "enqueue refused",
    "extended in time",
    "forced leave took the last copy",
    "forwarded for want of memory",
    "frame duplicated",
    "frame lost",
    "frame overtook",
    "given back after a cancel",
    "given out after its date",
    "given out at most once",
    "given out by its priority",
    "gone after its date",
    "heal told",
    "join by command",
    "key at its home",
    "key removed",
    "key used anew",
    "key written",
    "known at home",
    "lane full",
    "large batch forwarded",
    "last copy stayed aside",
    "late ack counted",
    "later version met",
    "lease kept beyond its end",
    "lease ran out",
    "link reset during replication",
    "link reset",
    "made on both sides",
    "member evicted",
    "member left",
    "member retired",
    "member suspected",
    "messages batched",
    "message lost on a living link",
    "inventories differed",
    "metadata damaged",
    "metadata doubted",
    "metadata exchanged",
    "metadata remembered",
    "memory level changed",
    "message expired",
    "message purged",
    "metadata torn",
    "merged at heal",
    "moved into groups",
    "moved, and given out at most once",
    "nacked",
    "page after page",
    "page without some member",
    "network cut",
    "next of a key",
    "old metadata remembered",
    "oldest dropped",
    "one way cut",
    "owners met after a split",
    "process crashed",
    "process paused",
    "put in again",
    "put into a full queue",
    "put into a paused queue",
    "put into groups",
    "queue examined",
    "queue forgotten",
    "queue purged",
    "receive cancelled",
    "receive waited and got some",
    "redelivered",
    "rejected",
    "redrive without some member",
    "refused for want of memory",
    "released",
    "reply dropped",
    "retired and back as it was",
    "settle came too late",
    "siblings replaced",
    "split for long",
    "split told",
    "subscription delivered",
    "taker had no room",
    "takeover",
    "takeover waited for a consumer",
    "tombstones drained",
    "twin started",
    "twin went on under a fresh identity",
    "went on as a dead letter",
    "went to a group late",
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
            ("joined_groups", "went to a group late"),
            ("returned", "given back after a cancel"),
            ("expired", "message expired"),
            ("replies_dropped", "reply dropped"),
            ("owner_conflicts", "owners met after a split"),
            ("returned_members", "member retired"),
            ("exchange_repairs", "metadata exchanged"),
            ("announced", "delivery announced"),
            ("inventory_differences", "inventories differed"),
            ("takeovers_leased", "takeover waited for a consumer"),
            ("memory_levels", "memory level changed"),
            ("dedup_merged", "merged at heal"),
            ("dedup_brought_home", "brought home"),
            ("queues_forgotten", "queue forgotten"),
            ("hedges", "copies late"),
            ("hedges_skipped", "copies late, and too many were"),
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
