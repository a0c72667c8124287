//! A change of the map, or a whole state, and its bytes.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use prost::Message as _;

use super::dots::{Context, Dot};
use super::map::Siblings;
use crate::base::{BootId, Error, ErrorKind, Result};

/// Longest key: a user's key, a queue's or a log's name, with room for two and an id.
pub const KEY_BYTES_MAX: usize = 1 << 10;
/// Longest value: 64 KiB of a user's (protocol.md 3.1) and what is noted beside it, with room; two
/// of them fit one frame of an exchange.
pub const VALUE_BYTES_MAX: usize = 96 << 10;

/// A change, or a whole state: entries for the keys it touches (an empty one removes), and the dots
/// it knows about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Delta {
    pub(super) entries: BTreeMap<Vec<u8>, Siblings>,
    pub(super) context: Context,
}

impl Delta {
    /// A change of one key.
    pub(super) fn of(key: &[u8], siblings: Siblings, context: Context) -> Self {
        Self {
            entries: BTreeMap::from([(key.to_vec(), siblings)]),
            context,
        }
    }

    /// What was seen, without any key.
    #[must_use]
    pub fn seen(seen: &Context) -> Self {
        let mut context = Context::default();
        context.join(seen);
        Self {
            entries: BTreeMap::new(),
            context,
        }
    }

    /// The keys it touches, ascending.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.keys().map(Vec::as_slice)
    }

    /// Every key with its values, ascending; a key without any is removed.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], impl Iterator<Item = &Vec<u8>>)> {
        let entries = self.entries.iter();
        entries.map(|(key, siblings)| (key.as_slice(), siblings.iter().map(|(_, value)| value)))
    }

    /// The dots that it writes and replaces.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Joins two deltas into one: entries of the later, dots of both. Dropping a context would leave
    /// live dots that nothing removes.
    pub fn append(&mut self, later: Delta) {
        self.entries.extend(later.entries);
        self.context.join(&later.context);
    }

    /// Alters the values, for planted bugs alone.
    #[cfg(any(test, feature = "canary"))]
    pub(crate) fn alter(&mut self, mut change: impl FnMut(&[u8], &mut Vec<u8>)) {
        for (key, siblings) in &mut self.entries {
            siblings
                .iter_mut()
                .for_each(|(_, value)| change(key, value));
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Packed::of(self).encode_to_vec()
    }

    /// From bytes. Errors: 503, also for dots that no write has and for keys or values over the
    /// limit: whoever takes them in must be able to pass them on.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Packed::decode(bytes)
            .map_err(|_| corrupt())
            .and_then(Packed::into_delta)
    }
}

fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt).because("malformed metadata")
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

impl PackedDot {
    fn into_dot(self) -> Result<Dot> {
        let dot = Dot {
            actor: BootId(self.actor),
            number: self.number,
        };
        dot.is_possible().then_some(dot).ok_or_else(corrupt)
    }
}

impl Packed {
    fn of(delta: &Delta) -> Self {
        let keys = delta.entries.iter().map(|(key, siblings)| PackedKey {
            key: key.clone(),
            dots: siblings.iter().map(|(dot, _)| (*dot).into()).collect(),
            values: siblings.iter().map(|(_, value)| value.clone()).collect(),
        });
        Self {
            keys: keys.collect(),
            vector: delta.context.vector().map(Into::into).collect(),
            cloud: delta.context.cloud().map(Into::into).collect(),
        }
    }

    fn into_delta(self) -> Result<Delta> {
        let mut delta = Delta::default();
        for dot in self.vector {
            delta.context.add_all(dot.into_dot()?);
        }
        for dot in self.cloud {
            delta.context.add(dot.into_dot()?);
        }
        for PackedKey { key, dots, values } in self.keys {
            let is_long = |value: &Vec<u8>| value.len() > VALUE_BYTES_MAX;
            let is_wrong = dots.len() != values.len() || key.len() > KEY_BYTES_MAX;
            if is_wrong || values.iter().any(is_long) {
                return Err(corrupt());
            }
            let mut siblings = Siblings::new();
            for (dot, value) in dots.into_iter().zip(values) {
                let dot = dot.into_dot()?;
                // A dot in the entries has been seen by whoever wrote them, whatever the context says.
                delta.context.add(dot);
                siblings.push((dot, value));
            }
            siblings.sort_by_key(|(dot, _)| *dot);
            siblings.dedup_by_key(|(dot, _)| *dot);
            delta.entries.insert(key, siblings);
        }
        Ok(delta)
    }
}
