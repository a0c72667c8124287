//! [`Stats`]: counters and gauges by stable names.

/// A member's counters and gauges by stable names, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats(pub std::collections::BTreeMap<&'static str, u64>);

impl Stats {
    /// The value of `name`; 0 for an unknown one.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
    /// All of them in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(name, value)| (*name, *value))
    }
}
