//! The cluster's facts at this member: the one map with its clock, and the user's own keys in it.
//!
//! Keys are spaces by their first letter (protocol.md 3.2): `m/` members and `f/` fences belong to
//! membership, which the engine lends the map; `u/` is the user's. Concurrent writes of one key are
//! all kept; the one with the highest (stamp, member) is read, the others are shown beside it.
//! Knows nothing of links: a change is a [`Delta`] that the engine tells to everyone.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use prost::Message as _;

use super::canary::{MetaCanary, Planted};
use super::clock::Hlc;
use super::saved::Saved;
use crate::base::time::DRIFT_MAX_MS;
use crate::base::{BootId, Error, ErrorKind, Instant, MemberId, Millis, Now, Result, Stamp, id};
use crate::crdt::{Delta, Dot, DotMap};

/// Keys of all kinds in one cluster (protocol.md 3.1). Two sides of a split may pass it together.
pub const KEYS_MAX: usize = 100_000;
/// Largest value of a user's key, in bytes (protocol.md 3.1).
pub const USER_VALUE_BYTES_MAX: usize = 64 << 10;
/// Longest user's key, in bytes of UTF-8.
pub const USER_KEY_BYTES_MAX: usize = 255;
/// Boots that ever wrote: above this the operator should know (protocol.md 3.1, "Actors").
pub const ACTORS_ALARM: usize = 100_000;
/// The bytes of the delta of one user's write are fewer than this: a value, its key, a few dots.
pub const DELTA_BYTES_MAX: usize = 66 << 10;
/// One write each so many milliseconds: 200 a second (protocol.md 3.1).
const WRITE_EVERY_MS: Millis = 5;
/// Writes that may come at once: 400.
const WRITE_BURST_MS: Millis = 400 * WRITE_EVERY_MS;

const USER: &[u8] = b"u/";

/// A user's key as the map has it.
#[must_use]
pub fn raw_key(user: &str) -> Vec<u8> {
    [USER, user.as_bytes()].concat()
}

/// The user's key that a key of the map stands for; none for other kinds.
#[must_use]
pub fn user_key(raw: &[u8]) -> Option<&str> {
    raw.strip_prefix(USER)
        .and_then(|key| core::str::from_utf8(key).ok())
}

/// A user's key as it is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its value: of concurrent ones, that with the highest (stamp, member).
    pub value: Bytes,
    /// When it was written, by the writer's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// Values written at the same time as this one, not knowing of it; newest first.
    pub others: Vec<Bytes>,
}

/// Counts of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TableStats {
    /// Keys of all kinds.
    pub keys: usize,
    /// Boots that ever wrote.
    pub actors: usize,
    /// Dots that came before their elders and wait for them.
    pub cloud: usize,
    /// Remote stamps that lay beyond the drift guard.
    pub drifted: u64,
}

/// What stands under a user's key.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Record {
    #[prost(fixed64, tag = "1")]
    stamp: u64,
    #[prost(fixed64, tag = "2")]
    member_high: u64,
    #[prost(fixed64, tag = "3")]
    member_low: u64,
    #[prost(bytes = "bytes", tag = "4")]
    value: Bytes,
}

/// The map, the clock, and this boot as an actor of it.
#[derive(Debug)]
pub struct Table {
    me: MemberId,
    actor: BootId,
    map: DotMap,
    clock: Hlc,
    /// Until when the writes so far last, at one each [`WRITE_EVERY_MS`].
    spent: Instant,
    planted: Planted,
}

impl Table {
    /// An empty table. `actor` becomes one of the map's by its first write.
    #[must_use]
    pub fn new(me: MemberId, actor: BootId) -> Self {
        Self {
            me,
            actor,
            map: DotMap::default(),
            clock: Hlc::default(),
            spent: Instant(0),
            planted: Planted::default(),
        }
    }

    /// Starts anew, after a leave. The old context goes with the old entries (kept, it would remove
    /// them all at the next meeting), so the dots need an `actor` that never wrote.
    pub fn reset(&mut self, actor: BootId) {
        self.map = DotMap::default();
        if !self.planted.is(MetaCanary::ReuseDot) {
            self.actor = actor;
        }
    }

    /// Takes in what was kept over a restart, before anything else is. What was seen then is believed
    /// only if every byte is right (see [`Saved`]); this boot is another actor in any case, so a
    /// write that was not saved costs no dot.
    pub fn recall(&mut self, now: Now, saved: &Saved) {
        match saved.stamp {
            Some(stamp) => self.clock.resume(stamp),
            None => {
                for (key, values) in saved.entries.iter() {
                    values.for_each(|value| self.note(now, key, value));
                }
            }
        }
        self.map.merge(&saved.entries, false);
        let is_believed = saved.is_whole || self.planted.is(MetaCanary::KeepContextOfDamaged);
        if let Some(seen) = saved.seen.as_ref().filter(|_| is_believed) {
            self.map.join_context(seen);
        }
    }

    /// The clock of the last write here, or a later one.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.clock.last()
    }

    /// The map, for the room that a key belongs to.
    #[must_use]
    pub fn map(&self) -> &DotMap {
        &self.map
    }

    /// The map, for the room that a key belongs to, to write there as [`Table::actor`].
    pub fn map_mut(&mut self) -> &mut DotMap {
        &mut self.map
    }

    /// Who writes here; another one after each [`Table::reset`].
    #[must_use]
    pub fn actor(&self) -> BootId {
        self.actor
    }

    /// Differs when the metadata differs (but for collisions).
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.map.digest()
    }

    /// Puts `value` under `key`, replacing what this member has seen there. The change is for
    /// everyone; a watcher here is told by the caller.
    ///
    /// Errors: 101 for a key that is empty or too long, 104, 201 for a new key when the table is
    /// full, 203 with `retry_after_ms` above 200 writes a second.
    pub fn put(&mut self, now: Now, key: &str, value: Bytes) -> Result<Delta> {
        check_key(key)?;
        if value.len() > USER_VALUE_BYTES_MAX {
            return Err(Error::new(ErrorKind::TooLarge)
                .because("the value is too large")
                .with("bytes", value.len())
                .with("bytes_max", USER_VALUE_BYTES_MAX));
        }
        let raw = raw_key(key);
        self.check_room(&raw)?;
        self.spend(now.mono)?;
        let replaced = self.records(&raw).map(|(_, record)| Stamp(record.stamp));
        let replaced = replaced.max();
        let (member_high, member_low) = self.me_halves();
        let record = Record {
            stamp: self.clock.stamp(now, replaced).0,
            member_high,
            member_low,
            value,
        };
        Ok(self.map.write(self.actor, &raw, record.encode_to_vec()))
    }

    /// Removes `key`; none when it was not there. A write at the same time elsewhere wins.
    ///
    /// Errors: 101, 203 as [`Table::put`].
    pub fn delete(&mut self, now: Now, key: &str) -> Result<Option<Delta>> {
        check_key(key)?;
        let raw = raw_key(key);
        if !self.map.contains(&raw) {
            return Ok(None);
        }
        self.spend(now.mono)?;
        Ok(Some(self.map.remove(&raw)))
    }

    /// What stands under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Entry> {
        self.entry(&raw_key(key))
    }

    /// At most `max` entries whose keys begin with `prefix` and come after `after`, ascending.
    #[must_use]
    pub fn list(&self, prefix: &str, max: usize, after: Option<&str>) -> Vec<Entry> {
        let raw_prefix = raw_key(prefix);
        let raw_after = after.map(raw_key);
        let first = raw_after.as_ref().unwrap_or(&raw_prefix).max(&raw_prefix);
        let keys = self.map.from(first).map(|(key, _)| key);
        keys.take_while(|key| key.starts_with(&raw_prefix))
            .filter(|key| raw_after.as_deref() != Some(*key))
            .filter_map(|key| self.entry(key))
            .take(max)
            .collect()
    }

    /// Takes a change in; answers the keys of the map that changed, of all kinds.
    pub fn hear(&mut self, now: Now, delta: &Delta) -> Vec<Vec<u8>> {
        for (key, values) in delta.iter() {
            values.for_each(|value| self.note(now, key, value));
        }
        #[cfg(any(test, feature = "canary"))]
        if self.planted.is(MetaCanary::ClampStamp) {
            let mut altered = delta.clone();
            altered.alter(|key, value| clamp(now, key, value));
            return self.map.merge(&altered, false);
        }
        self.map.merge(delta, false)
    }

    /// [`DotMap::repair`], with an ear for the stamps of what comes.
    pub(super) fn repair(
        &mut self,
        now: Now,
        key: &[u8],
        live: &[Dot],
        mut values: Vec<(Dot, Vec<u8>)>,
        has_seen: impl Fn(Dot) -> bool,
    ) -> bool {
        for (_, value) in &mut values {
            self.note(now, key, value);
            if self.planted.is(MetaCanary::ClampStamp) {
                clamp(now, key, value);
            }
        }
        self.map.repair(key, live, values, has_seen)
    }

    /// Counts of now.
    #[must_use]
    pub fn stats(&self) -> TableStats {
        TableStats {
            keys: self.map.len(),
            actors: self.map.context().actors(),
            cloud: self.map.context().cloud_len(),
            drifted: self.clock.drifted(),
        }
    }

    /// True when so many boots have written that the operator should know.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.map.context().actors() >= ACTORS_ALARM
    }

    /// Plants a bug for a test to catch.
    #[cfg(any(test, feature = "canary"))]
    pub fn plant(&mut self, canary: MetaCanary) {
        self.planted = Planted::new(canary);
    }

    fn entry(&self, raw: &[u8]) -> Option<Entry> {
        let mut records: Vec<(Dot, Record)> = self.records(raw).collect();
        // The dot settles what one member wrote twice under one stamp: all must choose alike.
        records.sort_by_key(|(dot, record)| {
            (record.stamp, record.member_high, record.member_low, *dot)
        });
        let (_, chosen) = records.pop()?;
        Some(Entry {
            key: user_key(raw)?.into(),
            value: chosen.value,
            at_ms: chosen.stamp >> 16,
            others: records.into_iter().rev().map(|(_, r)| r.value).collect(),
        })
    }

    fn records(&self, raw: &[u8]) -> impl Iterator<Item = (Dot, Record)> {
        let siblings = self.map.siblings(raw);
        siblings.filter_map(|(dot, value)| Some((dot, Record::decode(value.as_slice()).ok()?)))
    }

    /// Learns of the stamp of a value that came.
    fn note(&mut self, now: Now, key: &[u8], value: &[u8]) {
        if key.starts_with(USER)
            && let Ok(record) = Record::decode(value)
        {
            self.clock.hear(now, Stamp(record.stamp));
        }
        if let Some(created) = super::groups::created(key, value) {
            self.clock.hear(now, created);
        }
        if let Some(stamp) = super::configs::stamps(key, value) {
            self.clock.hear(now, stamp);
        }
    }

    /// Errors: 201 where a new key has no room.
    pub(super) fn check_room(&self, raw: &[u8]) -> Result<()> {
        if self.map.len() < KEYS_MAX || self.map.contains(raw) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Full)
            .because("the metadata has no room for another key")
            .with("keys_max", KEYS_MAX))
    }

    /// This member, as records have it.
    pub(super) fn me_halves(&self) -> (u64, u64) {
        ((self.me.0 >> 64) as u64, self.me.0 as u64)
    }

    /// The stamp of a write here, above that of what it replaces.
    pub(super) fn next_stamp(&mut self, now: Now, replaced: Option<Stamp>) -> Stamp {
        self.clock.stamp(now, replaced)
    }

    /// Takes one write's share of the rate, or tells when there will be one.
    pub(super) fn spend(&mut self, now: Instant) -> Result<()> {
        let spent = self.spent.max(now) + WRITE_EVERY_MS;
        let ahead = spent.since(now);
        if ahead > WRITE_BURST_MS {
            return Err(Error::new(ErrorKind::Overloaded)
                .because("too many metadata writes")
                .with("retry_after_ms", ahead - WRITE_BURST_MS));
        }
        self.spent = spent;
        Ok(())
    }
}

/// The planted bug: a stamp from beyond the guard is stored as the guard.
fn clamp(now: Now, key: &[u8], value: &mut Vec<u8>) {
    let ceiling = now.wall_ms.saturating_add(DRIFT_MAX_MS) << 16;
    if key.starts_with(USER)
        && let Ok(mut record) = Record::decode(value.as_slice())
        && record.stamp > ceiling
    {
        record.stamp = ceiling;
        *value = record.encode_to_vec();
    }
}

fn check_key(key: &str) -> Result<()> {
    id::check_name("key", key, USER_KEY_BYTES_MAX)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
