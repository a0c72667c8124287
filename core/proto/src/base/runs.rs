//! A map from numbers to values that stores equal neighbours as one run (protocol.md 4.9).

use alloc::collections::BTreeMap;

/// A map from u64 to `V` that costs one entry a run of equal neighbours.
#[derive(Debug, Clone)]
pub struct RunMap<V> {
    /// First number of a run -> (last number of it, value). Runs never overlap; equal runs never touch.
    runs: BTreeMap<u64, (u64, V)>,
}
