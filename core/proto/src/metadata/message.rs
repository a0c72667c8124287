//! What members send each other to compare their tables (protocol.md 3.1, "exchange").
//!
//! The envelope is a prost struct, so that kinds and fields can be added; what it carries is tight,
//! because a cluster of many keys sends hashes by the thousand. Nothing here is larger than a frame:
//! every count is checked against the bytes in hand before anything is made of it.

use alloc::vec::Vec;
use bytes::{BufMut, Bytes, BytesMut};

use crate::base::{BootId, Error, ErrorKind, Result};
use crate::crdt::{Dot, GROUPS, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::wire::{Put, Reader};

/// What we make of one message; a single value may pass it, by its names (see [`Entries`]).
pub(super) const BODY_BYTES: usize = 256 << 10;
/// A larger body is not looked at.
pub(super) const BODY_BYTES_MAX: usize = 2 * BODY_BYTES;

pub(super) const ASK: u32 = 1;
pub(super) const SAME: u32 = 2;
pub(super) const SUMS: u32 = 3;
pub(super) const COMPARE: u32 = 4;
pub(super) const ENTRIES: u32 = 5;
pub(super) const OVER: u32 = 6;

/// One message of an exchange.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Exchange {
    /// Ask, same, sums, compare, entries or over; others are of later versions and are skipped.
    #[prost(uint32, tag = "1")]
    pub(super) kind: u32,
    /// The exchange, as the one who learns counts them.
    #[prost(uint64, tag = "2")]
    pub(super) number: u64,
    /// Which part of the sums, or which comparison of this exchange.
    #[prost(uint64, tag = "3")]
    pub(super) round: u64,
    /// The actor of the table that is learned from: another one means another table.
    #[prost(fixed64, tag = "4")]
    pub(super) life: u64,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) body: Bytes,
    /// Of sums: the digest of the table when they were taken. Parts of two answers to one question
    /// must not be mixed, or the context could be younger than the sums.
    #[prost(fixed64, tag = "6")]
    pub(super) taken: u64,
}

impl Exchange {
    /// Bytes on the wire, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.body.len() + 48
    }

    pub(super) fn new(kind: u32, number: u64) -> Self {
        Self {
            kind,
            number,
            ..Self::default()
        }
    }
}

pub(super) fn corrupt(reason: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt).because(reason)
}

/// What the learner has: equal, there is nothing to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub root: u128,
    pub digest: u64,
    /// Hashes of the groups of its context, or none: then all of the context is told.
    pub contexts: Vec<u64>,
}

impl Ask {
    pub(super) fn write(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u128_le(self.root);
        out.put_u64_le(self.digest);
        out.put_varint(self.contexts.len() as u64);
        self.contexts.iter().for_each(|hash| out.put_u64_le(*hash));
        out.freeze()
    }

    pub(super) fn read(body: Bytes) -> Result<Self> {
        let mut reader = Reader::new(body);
        let (root, digest) = (reader.u128()?, reader.u64()?);
        let count = reader.count(8)?;
        if count != 0 && count != GROUPS {
            return Err(corrupt("an exchange of other groups"));
        }
        let contexts = (0..count).map(|_| reader.u64()).collect::<Result<_>>()?;
        Ok(Self {
            root,
            digest,
            contexts,
        })
    }
}

/// What the first part of the sums begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The sums of all groups; none when the root is the one that was asked with.
    pub sums: Vec<u128>,
    /// A bit for each group of the context that is told; the others are as the learner had them.
    pub told: [u8; GROUPS / 8],
}

impl Head {
    pub(super) fn write(&self, out: &mut BytesMut) {
        out.put_varint(self.sums.len() as u64);
        self.sums.iter().for_each(|sum| out.put_u128_le(*sum));
        out.put_slice(&self.told);
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self> {
        let count = reader.count(16)?;
        if count != 0 && count != GROUPS {
            return Err(corrupt("an exchange of other groups"));
        }
        let sums = (0..count).map(|_| reader.u128()).collect::<Result<_>>()?;
        let mut told = [0; GROUPS / 8];
        for byte in &mut told {
            *byte = reader.u8()?;
        }
        Ok(Self { sums, told })
    }
}

/// Some dots of a context, and whether more follow in another part.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub is_last: bool,
    pub vector: Vec<Dot>,
    pub cloud: Vec<Dot>,
}

/// Bytes of a dot on the wire, at most.
pub(super) const DOT_BYTES_MAX: usize = 18;

impl Seen {
    pub(super) fn write(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(self.is_last));
        for dots in [&self.vector, &self.cloud] {
            out.put_varint(dots.len() as u64);
            dots.iter().for_each(|dot| put_dot(out, *dot));
        }
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self> {
        let is_last = reader.u8()? != 0;
        let mut lists = [Vec::new(), Vec::new()];
        for list in &mut lists {
            let count = reader.count(9)?;
            *list = (0..count).map(|_| dot(reader)).collect::<Result<_>>()?;
        }
        let [vector, cloud] = lists;
        Ok(Self {
            is_last,
            vector,
            cloud,
        })
    }
}

/// What the learner has in some ranges of key hashes, both ends included.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compare {
    /// Ascending, apart from each other.
    pub ranges: Vec<(u64, u64)>,
    /// Of the first hash of the first range, values up to this dot have been told.
    pub after: Option<Dot>,
    /// Hash and version of each key there, ascending.
    pub lines: Vec<(u64, u64)>,
}

impl Compare {
    pub(super) fn write(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64 + 16 * (self.ranges.len() + self.lines.len()));
        for pairs in [&self.ranges, &self.lines] {
            out.put_varint(pairs.len() as u64);
            for (first, second) in pairs {
                out.put_u64_le(*first);
                out.put_u64_le(*second);
            }
        }
        put_after(&mut out, self.after);
        out.freeze()
    }

    pub(super) fn read(body: Bytes) -> Result<Self> {
        let mut reader = Reader::new(body);
        let mut lists = [Vec::new(), Vec::new()];
        for list in &mut lists {
            let count = reader.count(16)?;
            let pairs = (0..count).map(|_| Ok((reader.u64()?, reader.u64()?)));
            *list = pairs.collect::<Result<_>>()?;
        }
        let [ranges, lines] = lists;
        let after = after(&mut reader)?;
        let is_apart = ranges.is_sorted_by(|one, next| one.1 < next.0);
        let is_forward = ranges.iter().all(|(from, until)| from <= until);
        if ranges.is_empty() || ranges.len() > GROUPS || !is_apart || !is_forward {
            return Err(corrupt("an exchange of ranges in disorder"));
        }
        let mut rest = ranges.iter();
        let mut range = rest.next();
        for (hash, _) in &lines {
            while range.is_some_and(|(_, until)| hash > until) {
                range = rest.next();
            }
            if range.is_none_or(|(from, _)| hash < from) {
                return Err(corrupt("an exchange of keys out of their range"));
            }
        }
        if !lines.is_sorted() {
            return Err(corrupt("an exchange of keys in disorder"));
        }
        Ok(Self {
            ranges,
            after,
            lines,
        })
    }
}

/// What differs in the ranges that were compared, up to where a frame was full.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entries {
    /// The first hash that is not, or not wholly, answered; none when all is.
    pub next: Option<u64>,
    /// Of `next`, the values up to this dot are here: its keys have more than a frame holds.
    pub after: Option<Dot>,
    /// Hashes of keys that the learner has and the sender lacks.
    pub gone: Vec<u64>,
    /// Keys that differ or that the learner lacks.
    pub keys: Vec<Named>,
}

/// A key with every dot it has at the sender, ascending, and the values that come along.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub key: Bytes,
    pub dots: Vec<(Dot, Option<Bytes>)>,
}

impl Named {
    pub(super) fn write(&self, out: &mut BytesMut) {
        out.put_slice_with_length(&self.key);
        out.put_varint(self.dots.len() as u64);
        for (dot, value) in &self.dots {
            put_dot(out, *dot);
            out.put_u8(u8::from(value.is_some()));
            if let Some(value) = value {
                out.put_slice_with_length(value);
            }
        }
    }

    /// Bytes on the wire, at most.
    pub(super) fn size(&self) -> usize {
        let values = self.dots.iter().filter_map(|(_, value)| value.as_ref());
        let values: usize = values.map(|value| value.len() + 5).sum();
        self.key.len() + 10 + self.dots.len() * (DOT_BYTES_MAX + 1) + values
    }

    fn read(reader: &mut Reader) -> Result<Self> {
        let key = reader.bytes()?;
        let count = reader.count(10)?;
        let mut dots = Vec::with_capacity(count);
        for _ in 0..count {
            let dot = dot(reader)?;
            let has_value = reader.u8()? != 0;
            let value = has_value.then(|| reader.bytes()).transpose()?;
            if value
                .as_ref()
                .is_some_and(|value| value.len() > VALUE_BYTES_MAX)
            {
                return Err(corrupt("a metadata value is too large"));
            }
            dots.push((dot, value));
        }
        let is_rising = dots.is_sorted_by(|(one, _), (next, _)| one < next);
        if dots.is_empty() || !is_rising || key.len() > KEY_BYTES_MAX {
            return Err(corrupt("a metadata key of no or disordered dots"));
        }
        Ok(Self { key, dots })
    }
}

impl Entries {
    pub(super) fn write(&self) -> BytesMut {
        let mut out = BytesMut::new();
        out.put_u8(u8::from(self.next.is_some()));
        out.put_u64_le(self.next.unwrap_or(0));
        put_after(&mut out, self.after);
        out.put_varint(self.gone.len() as u64);
        self.gone.iter().for_each(|hash| out.put_u64_le(*hash));
        out.put_varint(self.keys.len() as u64);
        self.keys.iter().for_each(|named| named.write(&mut out));
        out
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self> {
        let has_next = reader.u8()? != 0;
        let next = Some(reader.u64()?).filter(|_| has_next);
        let after = after(reader)?;
        let count = reader.count(8)?;
        let gone = (0..count).map(|_| reader.u64()).collect::<Result<_>>()?;
        // A key with its one dot takes twelve bytes at least.
        let count = reader.count(12)?;
        let keys = (0..count).map(|_| Named::read(reader));
        Ok(Self {
            next,
            after,
            gone,
            keys: keys.collect::<Result<_>>()?,
        })
    }
}

fn put_dot(out: &mut BytesMut, dot: Dot) {
    out.put_u64_le(dot.actor.0);
    out.put_varint(dot.number);
}

fn dot(reader: &mut Reader) -> Result<Dot> {
    let dot = Dot {
        actor: BootId(reader.u64()?),
        number: reader.varint()?,
    };
    if dot.is_possible() {
        return Ok(dot);
    }
    Err(corrupt("a dot that no write has"))
}

fn put_after(out: &mut BytesMut, after: Option<Dot>) {
    out.put_u8(u8::from(after.is_some()));
    if let Some(after) = after {
        put_dot(out, after);
    }
}

fn after(reader: &mut Reader) -> Result<Option<Dot>> {
    let has_after = reader.u8()? != 0;
    has_after.then(|| dot(reader)).transpose()
}
