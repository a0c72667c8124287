//! What members count of each other's copies.

use std::collections::BTreeSet;

use primer_proto::base::Chance;
use primer_proto::queue::{Differ, Inventory, Message as Queue};

use super::number;

/// An inventory, or that another counts otherwise.
pub(super) fn inventory(chance: &mut Chance) -> Queue {
    let buckets: BTreeSet<u32> = (0..chance.below(9))
        .map(|_| chance.below(1_024) as u32)
        .collect();
    let buckets: Vec<u32> = buckets.into_iter().collect();
    if chance.percent(50) {
        return Queue::Differ(Differ { buckets });
    }
    Queue::Inventory(Inventory {
        is_owners: chance.percent(50),
        sums: buckets.iter().map(|_| number(chance)).collect(),
        buckets,
    })
}
