//! A delta-state OR-map with one shared causal context (protocol.md 3.1). No tombstones.
//!
//! A removed key is one whose dots the context has seen but the entries lack. So the one rule that
//! must not be got wrong: a context may be joined only together with every entry that was live at
//! its sender when it was taken. Here a delta always carries just the dots that it writes and
//! replaces, and a whole state its whole context, taken in one step.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use prost::Message as _;

use super::dots::{Context, Dot};
use crate::base::{BootId, Error, ErrorKind, Result};

/// Values under a key by the dot that wrote each; several after concurrent writes.
type Siblings = BTreeMap<Dot, Vec<u8>>;

/// The map. Keys and values are bytes; the rooms above give them meaning.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DotMap {
    entries: BTreeMap<Vec<u8>, Siblings>,
    context: Context,
}

/// A change, or a whole state: entries for the keys it touches (an empty one removes), and the dots
/// it knows about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Delta {
    entries: BTreeMap<Vec<u8>, Siblings>,
    context: Context,
}

impl DotMap {
    /// Writes `value` under `key`, replacing what this member has seen there.
    pub fn write(&mut self, actor: BootId, key: &[u8], value: Vec<u8>) -> Delta {
        let dot = self.context.next(actor);
        let mut context = self.dots_of(key);
        context.add(dot);
        let siblings = Siblings::from([(dot, value)]);
        self.entries.insert(key.to_vec(), siblings.clone());
        Delta {
            entries: BTreeMap::from([(key.to_vec(), siblings)]),
            context,
        }
    }

    /// Removes what this member has seen under `key`; a concurrent write wins.
    pub fn remove(&mut self, key: &[u8]) -> Delta {
        let context = self.dots_of(key);
        self.entries.remove(key);
        Delta {
            entries: BTreeMap::from([(key.to_vec(), Siblings::new())]),
            context,
        }
    }

    /// The values under `key`, in the order of their dots.
    pub fn read(&self, key: &[u8]) -> impl Iterator<Item = &Vec<u8>> {
        self.entries.get(key).into_iter().flat_map(BTreeMap::values)
    }

    /// Every key with its values, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], impl Iterator<Item = &Vec<u8>>)> {
        self.entries
            .iter()
            .map(|(key, siblings)| (key.as_slice(), siblings.values()))
    }

    /// Everything, for a peer that may know nothing.
    #[must_use]
    pub fn whole(&self) -> Delta {
        Delta {
            entries: self.entries.clone(),
            context: self.context.clone(),
        }
    }

    /// Takes a delta in; answers the keys whose values changed. Idempotent, and the order of deltas
    /// does not matter.
    ///
    /// A whole state also judges the keys it lacks: dots of ours that its context has seen and its
    /// entries do not hold were removed.
    pub fn merge(&mut self, delta: &Delta, is_whole: bool) -> Vec<Vec<u8>> {
        let mut changed = Vec::new();
        let mut keys: Vec<&Vec<u8>> = delta.entries.keys().collect();
        let own_keys: Vec<Vec<u8>> = if is_whole {
            self.entries.keys().cloned().collect()
        } else {
            Vec::new()
        };
        keys.extend(
            own_keys
                .iter()
                .filter(|key| !delta.entries.contains_key(*key)),
        );
        let nothing = Siblings::new();
        for key in keys {
            let theirs = delta.entries.get(key).unwrap_or(&nothing);
            let ours = self.entries.get(key).unwrap_or(&nothing);
            let mut joined = Siblings::new();
            for (dot, value) in ours {
                if theirs.contains_key(dot) || !delta.context.holds(*dot) {
                    joined.insert(*dot, value.clone());
                }
            }
            for (dot, value) in theirs {
                if !self.context.holds(*dot) {
                    joined.insert(*dot, value.clone());
                }
            }
            if joined == *ours {
                continue;
            }
            changed.push(key.clone());
            if joined.is_empty() {
                self.entries.remove(key);
            } else {
                self.entries.insert(key.clone(), joined);
            }
        }
        self.context.join(&delta.context);
        changed
    }

    /// A number that differs when entries or contexts differ (but for collisions).
    #[must_use]
    pub fn digest(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&Packed::of(&self.whole(), true).encode_to_vec())
    }

    fn dots_of(&self, key: &[u8]) -> Context {
        let mut context = Context::default();
        for dot in self.entries.get(key).into_iter().flat_map(BTreeMap::keys) {
            context.add(*dot);
        }
        context
    }
}

impl Delta {
    /// Joins two deltas into one: entries of the later, dots of both. Dropping a context would leave
    /// live dots that nothing removes.
    pub fn append(&mut self, later: Delta) {
        self.entries.extend(later.entries);
        self.context.join(&later.context);
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Packed::of(self, false).encode_to_vec()
    }

    /// From bytes. Errors: 503.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Packed::decode(bytes)
            .map(Packed::into_delta)
            .map_err(|_| Error::new(ErrorKind::Corrupt).because("malformed metadata"))
    }
}

/// A delta on the wire.
#[derive(Clone, PartialEq, prost::Message)]
struct Packed {
    #[prost(message, repeated, tag = "1")]
    keys: Vec<PackedKey>,
    #[prost(message, repeated, tag = "2")]
    vector: Vec<PackedDot>,
    #[prost(message, repeated, tag = "3")]
    cloud: Vec<PackedDot>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PackedKey {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    dots: Vec<PackedDot>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    values: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct PackedDot {
    #[prost(fixed64, tag = "1")]
    actor: u64,
    #[prost(uint64, tag = "2")]
    number: u64,
}

impl From<Dot> for PackedDot {
    fn from(dot: Dot) -> Self {
        Self {
            actor: dot.actor.0,
            number: dot.number,
        }
    }
}

impl From<PackedDot> for Dot {
    fn from(dot: PackedDot) -> Self {
        Self {
            actor: BootId(dot.actor),
            number: dot.number,
        }
    }
}

impl Packed {
    fn of(delta: &Delta, dots_only: bool) -> Self {
        let keys = delta.entries.iter().map(|(key, siblings)| PackedKey {
            key: key.clone(),
            dots: siblings.keys().map(|dot| (*dot).into()).collect(),
            values: if dots_only {
                Vec::new()
            } else {
                siblings.values().cloned().collect()
            },
        });
        Self {
            keys: keys.collect(),
            vector: delta.context.vector().map(Into::into).collect(),
            cloud: delta.context.cloud().map(Into::into).collect(),
        }
    }

    fn into_delta(self) -> Delta {
        let mut delta = Delta::default();
        for dot in self.vector {
            delta.context.add_all(dot.into());
        }
        for dot in self.cloud {
            delta.context.add(dot.into());
        }
        for key in self.keys {
            let dots = key.dots.into_iter().map(Dot::from);
            let siblings: Siblings = dots.zip(key.values).collect();
            // A dot in the entries has been seen by whoever wrote them, whatever the context says.
            siblings.keys().for_each(|dot| delta.context.add(*dot));
            delta.entries.insert(key.key, siblings);
        }
        delta
    }
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
