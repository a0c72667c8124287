//! What one owner may do with its leases.
//!
//! Two owners may lease one message in a split; that is a duplicate. One owner never may: each of
//! its leases arrives once, and a later one begins only when the earlier ended by its time or by a
//! settlement that somebody asked for. Attempts and epochs of one store never go back.

use std::collections::BTreeMap;

use crate::history::{Hex, Value, Verb};
use crate::life::{Arrival, Life, Lives};
use crate::report::Report;

/// Members count whole milliseconds: a lease may end one early by the harness's finer clock.
const TICK_NS: u64 = 1_000_000;

pub(crate) fn check(lives: &Lives<'_>, report: &mut Report) {
    for (value, life) in &lives.by_value {
        // One arrival has nothing to be compared with: nearly every message of a run.
        if life.arrivals.len() < 2 {
            continue;
        }
        let mut by_owner: BTreeMap<Owner, Vec<(u32, &Arrival<'_>)>> = BTreeMap::new();
        for arrival in &life.arrivals {
            let extra = arrival.extra;
            if let Some((lessor, lease)) = extra.lessor.zip(extra.lease) {
                let owner = (lessor, extra.epoch.unwrap_or_default());
                by_owner.entry(owner).or_default().push((lease, arrival));
            }
        }
        for ((lessor, _), mut leases) in by_owner {
            leases.sort_by_key(|(lease, _)| *lease);
            for pair in leases.windows(2) {
                if let [(lease, earlier), (next, later)] = pair {
                    let step = Step {
                        value: *value,
                        lessor,
                        lease: *lease,
                        next: *next,
                    };
                    step.check(life, earlier, later, report);
                }
            }
        }
        epochs(*value, life, report);
    }
}

/// A store, under one epoch of its ownership: who loses a message and takes it over again is another
/// owner, and in between there was a third.
type Owner = (Hex, u32);

/// The epochs of one store only grow; judged where the moments of giving are known.
fn epochs(value: Value, life: &Life<'_>, report: &mut Report) {
    let given = life.arrivals.iter().filter_map(|arrival| {
        let extra = arrival.extra;
        Some((extra.given_ns?, extra.lessor?, extra.epoch?))
    });
    let mut given: Vec<(u64, Hex, u32)> = given.collect();
    given.sort_unstable();
    let mut last: BTreeMap<Hex, u32> = BTreeMap::new();
    for (_, lessor, epoch) in given {
        let before = last.insert(lessor, epoch).unwrap_or_default();
        if epoch < before {
            let detail = format!("epoch {before} then {epoch} at {lessor}");
            report.find("epoch-back", value, detail);
        }
    }
}

/// Two neighbouring leases of one message by one store.
struct Step {
    value: Value,
    lessor: Hex,
    lease: u32,
    next: u32,
}

impl Step {
    fn check(&self, life: &Life<'_>, earlier: &Arrival, later: &Arrival, report: &mut Report) {
        let by = self.lessor;
        if self.lease == self.next {
            let detail = format!("lease {} of {by} arrived twice", self.lease);
            report.find("lease-twice", self.value, detail);
            return;
        }
        if later.extra.attempts < earlier.extra.attempts {
            let detail = format!(
                "{:?} then {:?} attempts at {by}",
                earlier.extra.attempts, later.extra.attempts
            );
            report.find("attempts-back", self.value, detail);
        }
        if let Some(early_ms) = self.overlap_ms(life, earlier, later) {
            let detail = format!(
                "lease {} of {by} began {early_ms} ms before lease {} ended",
                self.next, self.lease
            );
            report.find("lease-overlap", self.value, detail);
        }
    }

    /// By how much the later lease began too early; none when it did not, or when nobody knows.
    fn overlap_ms(&self, life: &Life<'_>, earlier: &Arrival, later: &Arrival) -> Option<u64> {
        let given_ns = earlier.extra.given_ns?;
        let next_ns = later.extra.given_ns?;
        let ends_ns = given_ns.saturating_add(earlier.extra.lease_ms?.saturating_mul(1_000_000));
        // A settlement may have reached the owner from the moment it was asked for.
        let is_settled = life.settles.iter().any(|settle| {
            settle.f != Verb::Extend
                && settle.at_ns <= next_ns
                && settle
                    .lease
                    .is_none_or(|(lessor, lease)| lessor == self.lessor && lease == self.lease)
        });
        let early_ns = ends_ns.saturating_sub(next_ns);
        (early_ns > TICK_NS && !is_settled).then_some(early_ns.div_ceil(1_000_000))
    }
}
