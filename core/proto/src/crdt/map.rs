//! A delta-state OR-map with one shared causal context (protocol.md 3.1). No tombstones.
//!
//! A removed key is one whose dots the context has seen but the entries lack. So the one rule that
//! must not be got wrong: a context may be joined only together with every entry that was live at
//! its sender when it was taken. A delta carries just the dots that it writes and replaces, and a
//! whole state its whole context, taken in one step; a repair ([`DotMap::repair`]) is judged by a
//! context that is joined later, by whoever drives it ([`DotMap::join_context`]).
//!
//! Two maps are compared by sums of hashes that every change keeps up to date: 256 groups by the
//! top eight bits of a key's hash, each the sum of H(key, its dots), and the root their sum.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Included, Unbounded};
use smallvec::SmallVec;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128};

use super::delta::Delta;
use super::dots::{Context, Dot, GROUPS};
use crate::base::BootId;

/// Values under a key, by the dot that wrote each, in the order of dots; several after concurrent
/// writes.
pub(super) type Siblings = SmallVec<[(Dot, Vec<u8>); 1]>;

/// The map. Keys and values are bytes; the rooms above give them meaning.
#[derive(Clone, Debug)]
pub struct DotMap {
    entries: BTreeMap<Arc<[u8]>, Siblings>,
    /// Every key by its hash, with the version of its dots: what two maps compare.
    index: BTreeMap<(u64, Arc<[u8]>), u64>,
    groups: Vec<u128>,
    root: u128,
    context: Context,
}

/// A key as two maps compare it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line<'a> {
    /// The key's hash; its top eight bits are the key's group.
    pub hash: u64,
    /// The key.
    pub key: &'a [u8],
    /// Differs when the key's dots differ (but for collisions).
    pub version: u64,
}

impl Default for DotMap {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            index: BTreeMap::new(),
            groups: vec![0; GROUPS],
            root: 0,
            context: Context::hashed(),
        }
    }
}

impl PartialEq for DotMap {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries && self.context == other.context
    }
}

impl Eq for DotMap {}

impl DotMap {
    /// Writes `value` under `key`, replacing what this member has seen there.
    pub fn write(&mut self, actor: BootId, key: &[u8], value: Vec<u8>) -> Delta {
        let dot = self.context.next(actor);
        let mut context = self.dots_of(key);
        context.add(dot);
        let siblings = Siblings::from_iter([(dot, value)]);
        self.set(key, siblings.clone());
        Delta::of(key, siblings, context)
    }

    /// Removes what this member has seen under `key`; a concurrent write wins.
    pub fn remove(&mut self, key: &[u8]) -> Delta {
        let context = self.dots_of(key);
        self.set(key, Siblings::new());
        Delta::of(key, Siblings::new(), context)
    }

    /// The values under `key`, in the order of their dots.
    pub fn read(&self, key: &[u8]) -> impl Iterator<Item = &Vec<u8>> {
        self.siblings(key).map(|(_, value)| value)
    }

    /// The values under `key` with the dot that wrote each, in the order of dots.
    pub fn siblings(&self, key: &[u8]) -> impl Iterator<Item = (Dot, &Vec<u8>)> {
        let siblings = self.entries.get(key).into_iter().flatten();
        siblings.map(|(dot, value)| (*dot, value))
    }

    /// Every key with its values, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], impl Iterator<Item = &Vec<u8>>)> {
        self.prefixed(&[])
    }

    /// The keys that begin with `prefix`, with their values, ascending.
    pub fn prefixed<'a>(
        &'a self,
        prefix: &'a [u8],
    ) -> impl Iterator<Item = (&'a [u8], impl Iterator<Item = &'a Vec<u8>>)> {
        self.from(prefix)
            .take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// The keys from `first` on, with their values, ascending.
    pub fn from<'a>(
        &'a self,
        first: &'a [u8],
    ) -> impl Iterator<Item = (&'a [u8], impl Iterator<Item = &'a Vec<u8>>)> {
        let range = self.entries.range::<[u8], _>((Included(first), Unbounded));
        range.map(|(key, siblings)| (key.as_ref(), siblings.iter().map(|(_, value)| value)))
    }

    /// True when there is a value under `key`.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.entries.contains_key(key)
    }

    /// How many keys have values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when no key has a value; something may have been seen all the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The dots this map has seen.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Everything, for a peer that may know nothing.
    #[must_use]
    pub fn whole(&self) -> Delta {
        let entries = self.entries.iter();
        let entries = entries.map(|(key, siblings)| (key.to_vec(), siblings.clone()));
        let mut context = Context::default();
        context.join(&self.context);
        Delta {
            entries: entries.collect(),
            context,
        }
    }

    /// At most `max` keys from behind `after`, ascending, each with what stands there and no more: its
    /// dots count as seen when it is read from its bytes, not in this value.
    pub fn entries_after(
        &self,
        after: Option<&[u8]>,
        max: usize,
    ) -> impl Iterator<Item = (&[u8], Delta)> {
        let first = after.map_or(Unbounded, Excluded);
        let range = self.entries.range::<[u8], _>((first, Unbounded));
        range.take(max).map(|(key, siblings)| {
            let entry = Delta::of(key, siblings.clone(), Context::default());
            (key.as_ref(), entry)
        })
    }

    /// What stands under `key`, to be told to one who may lack it.
    #[must_use]
    pub fn delta(&self, key: &[u8]) -> Delta {
        let siblings = self.entries.get(key).cloned().unwrap_or_default();
        Delta::of(key, siblings, self.dots_of(key))
    }

    /// Takes a delta in; answers the keys whose values changed. Idempotent, and the order of deltas
    /// does not matter.
    ///
    /// A whole state also judges the keys it lacks: dots of ours that its context has seen and its
    /// entries do not hold were removed.
    pub fn merge(&mut self, delta: &Delta, is_whole: bool) -> Vec<Vec<u8>> {
        let mut changed = Vec::new();
        if is_whole {
            let own_keys = self.entries.keys();
            let lacked = own_keys.filter(|key| !delta.entries.contains_key(key.as_ref()));
            let lacked: Vec<Arc<[u8]>> = lacked.cloned().collect();
            for key in lacked {
                if self.settle(&key, |dot| !delta.context.holds(dot), Siblings::new()) {
                    changed.push(key.to_vec());
                }
            }
        }
        for (key, theirs) in &delta.entries {
            let keeps = |dot| has(theirs, dot) || !delta.context.holds(dot);
            let new = theirs.iter().filter(|(dot, _)| !self.context.holds(*dot));
            let new = new.cloned().collect();
            if self.settle(key, keeps, new) {
                changed.push(key.clone());
            }
        }
        self.context.join(&delta.context);
        changed
    }

    /// Repairs one key from what a peer has there: `live` are all its dots now, ascending, and
    /// `values` those of them that came along. `has_seen` is a context of that peer, taken no later
    /// than `live`: dots of ours that it has seen and `live` lacks were removed.
    ///
    /// Changes: the dots of `values` have been seen; those of that context have not (see
    /// [`DotMap::join_context`]). Answers whether the key's values changed.
    pub fn repair(
        &mut self,
        key: &[u8],
        live: &[Dot],
        values: Vec<(Dot, Vec<u8>)>,
        has_seen: impl Fn(Dot) -> bool,
    ) -> bool {
        let dots: SmallVec<[Dot; 4]> = values.iter().map(|(dot, _)| *dot).collect();
        let keeps = |dot| live.binary_search(&dot).is_ok() || !has_seen(dot);
        let new = values
            .into_iter()
            .filter(|(dot, _)| !self.context.holds(*dot));
        let new = new.collect();
        let is_changed = self.settle(key, keeps, new);
        dots.iter().for_each(|dot| self.context.add(*dot));
        is_changed
    }

    /// Notes everything that `context` has seen. Only for one who has by now seen every dot that
    /// was live at the context's owner when it was taken: any other dot counts as removed from now
    /// on, here and at everyone who learns from here.
    pub fn join_context(&mut self, context: &Context) {
        self.context.join(context);
    }

    /// The keys whose hashes lie between `from` and `until`, both included, ascending by hash.
    pub fn lines(&self, from: u64, until: u64) -> impl Iterator<Item = Line<'_>> {
        let nothing: Arc<[u8]> = Arc::from([].as_slice());
        let end = match until.checked_add(1) {
            Some(after) => Excluded((after, nothing.clone())),
            None => Unbounded,
        };
        let range = self.index.range((Included((from, nothing)), end));
        range.map(|((hash, key), version)| Line {
            hash: *hash,
            key,
            version: *version,
        })
    }

    /// The sum of each group.
    #[must_use]
    pub fn sums(&self) -> &[u128] {
        &self.groups
    }

    /// The sum of all groups: differs when entries differ (but for collisions).
    #[must_use]
    pub fn root(&self) -> u128 {
        self.root
    }

    /// A number that differs when entries or contexts differ (but for collisions).
    #[must_use]
    pub fn digest(&self) -> u64 {
        xxh3_64_with_seed(&self.root.to_le_bytes(), self.context.digest())
    }

    /// Keeps the values of `key` whose dots `keeps` says, and adds `new` ones; true when that
    /// changed something.
    fn settle(&mut self, key: &[u8], keeps: impl Fn(Dot) -> bool, new: Siblings) -> bool {
        let ours = self.entries.get(key);
        let is_kept = ours.is_none_or(|ours| ours.iter().all(|(dot, _)| keeps(*dot)));
        if is_kept && new.is_empty() {
            return false;
        }
        let mut joined = new;
        let ours = ours.into_iter().flatten();
        joined.extend(ours.filter(|(dot, _)| keeps(*dot)).cloned());
        joined.sort_by_key(|(dot, _)| *dot);
        self.set(key, joined);
        true
    }

    /// Puts the values of a key, none to drop it, and keeps the sums.
    fn set(&mut self, key: &[u8], siblings: Siblings) {
        let hash = xxh3_64(key);
        let old = self.entries.get(key).map(|old| version_of(key, old));
        if siblings.is_empty() {
            if let Some((name, _)) = self.entries.remove_entry(key) {
                self.index.remove(&(hash, name));
            }
            self.count(hash, old, None);
            return;
        }
        let new = version_of(key, &siblings);
        let name = match self.entries.get_key_value(key) {
            Some((name, _)) => name.clone(),
            None => Arc::from(key),
        };
        self.entries.insert(name.clone(), siblings);
        self.index.insert((hash, name), new as u64);
        self.count(hash, old, Some(new));
    }

    fn count(&mut self, hash: u64, old: Option<u128>, new: Option<u128>) {
        let change = new.unwrap_or(0).wrapping_sub(old.unwrap_or(0));
        self.root = self.root.wrapping_add(change);
        if let Some(group) = self.groups.get_mut((hash >> 56) as usize) {
            *group = group.wrapping_add(change);
        }
    }

    fn dots_of(&self, key: &[u8]) -> Context {
        let mut context = Context::default();
        self.siblings(key).for_each(|(dot, _)| context.add(dot));
        context
    }
}

fn has(siblings: &Siblings, dot: Dot) -> bool {
    siblings.binary_search_by_key(&dot, |(dot, _)| *dot).is_ok()
}

/// H(key, its dots, ascending). The key's length comes last, so that no dot reads as part of a key.
fn version_of(key: &[u8], siblings: &Siblings) -> u128 {
    let mut bytes: SmallVec<[u8; 128]> = SmallVec::from_slice(key);
    for (dot, _) in siblings {
        bytes.extend_from_slice(&dot.actor.0.to_le_bytes());
        bytes.extend_from_slice(&dot.number.to_le_bytes());
    }
    bytes.extend_from_slice(&(key.len() as u64).to_le_bytes());
    xxh3_128(&bytes)
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
