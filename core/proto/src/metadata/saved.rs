//! Metadata as it is kept over a restart: records, each with a sum of its own.
//!
//! The rule that must not be got wrong is the exchange's (protocol.md 3.1): what counts as seen but is
//! not there counts as removed, here and at everyone who learns from here. So what was seen is
//! believed only beside every single key that stood with it. Where one byte is wrong, the keys that
//! are right are taken as if somebody had told each of them alone: their dots were seen, nothing
//! else was, and the others tell the rest.
//!
//! What was seen is written first and the keys after it, perhaps a while after it: a context may be older than the
//! entries that it judges, never younger.
//!
//! Layout: for each record its length (u32), the xxh3-64 of its payload seeded with its number
//! (u64), the payload: a letter for its kind, and a body. Integers are little-endian.

use alloc::vec::Vec;
use prost::Message as _;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::base::Stamp;
use crate::crdt::{Context, Delta};

/// The form of the records; another one is another number.
const VERSION: u32 = 1;

const HEAD: u8 = b'h';
const SEEN: u8 = b's';
const ROW: u8 = b'r';
const KEY: u8 = b'k';
const END: u8 = b'e';

#[derive(Clone, PartialEq, prost::Message)]
struct Head {
    #[prost(uint32, tag = "1")]
    version: u32,
}

/// What must have come before it, and the writer's clock.
#[derive(Clone, PartialEq, prost::Message)]
struct End {
    #[prost(uint64, tag = "1")]
    keys: u64,
    #[prost(uint64, tag = "2")]
    rows: u64,
    #[prost(fixed64, tag = "3")]
    stamp: u64,
}

/// Writes records: first what was seen, then rows and keys, then the end.
#[derive(Debug)]
pub struct Saver {
    bytes: Vec<u8>,
    records: u64,
    keys: u64,
    rows: u64,
}

impl Saver {
    /// Begins with what was seen by now, before any key is looked at.
    #[must_use]
    pub fn new(seen: &Context) -> Self {
        let mut saver = Self {
            bytes: Vec::new(),
            records: 0,
            keys: 0,
            rows: 0,
        };
        saver.add(HEAD, &Head { version: VERSION }.encode_to_vec());
        saver.add(SEEN, &Delta::seen(seen).to_bytes());
        saver
    }

    /// A row that is kept beside the map; its bytes mean nothing here.
    pub fn row(&mut self, body: &[u8]) {
        self.rows += 1;
        self.add(ROW, body);
    }

    /// What stands under a key.
    pub fn key(&mut self, entry: &Delta) {
        self.keys += 1;
        self.add(KEY, &entry.to_bytes());
    }

    /// Makes room for so many bytes more.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// How many bytes there are by now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True for none, which never is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Ends it, with the clock of the last write or a later one.
    #[must_use]
    pub fn end(mut self, stamp: Stamp) -> Vec<u8> {
        let end = End {
            keys: self.keys,
            rows: self.rows,
            stamp: stamp.0,
        };
        self.add(END, &end.encode_to_vec());
        self.bytes
    }

    fn add(&mut self, kind: u8, body: &[u8]) {
        let mut payload = Vec::with_capacity(1 + body.len());
        payload.push(kind);
        payload.extend_from_slice(body);
        let sum = xxh3_64_with_seed(&payload, self.records);
        // A record is a key with its siblings, or a context: far below 4 GiB.
        self.bytes
            .extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&sum.to_le_bytes());
        self.bytes.extend_from_slice(&payload);
        self.records += 1;
    }
}

/// What was read of saved metadata.
#[derive(Debug, Default)]
pub struct Saved {
    /// Every byte was as it was written, and nothing lacked.
    pub is_whole: bool,
    /// The keys that were right, their dots and no others.
    pub entries: Delta,
    /// How many those are.
    pub keys: usize,
    /// What was seen: to be believed only when all is whole.
    pub seen: Option<Context>,
    /// The rows that were right.
    pub rows: Vec<Vec<u8>>,
    /// The writer's clock, when the end was right.
    pub stamp: Option<Stamp>,
}

impl Saved {
    /// Reads what is right of `bytes`; never fails, it only finds less.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let mut saved = Self::default();
        let mut tally = Tally::default();
        let mut rest = bytes;
        while let Some((sum, payload, after)) = cut(rest) {
            rest = after;
            let is_right = xxh3_64_with_seed(payload, tally.records) == sum;
            let is_taken = is_right && tally.end.is_none() && saved.take(&mut tally, payload);
            tally.is_damaged |= !is_taken;
            tally.records += 1;
        }
        saved.stamp = tally.end.as_ref().map(|end| Stamp(end.stamp));
        saved.is_whole = rest.is_empty() && !tally.is_damaged && saved.is_complete(&tally);
        saved
    }

    fn is_complete(&self, tally: &Tally) -> bool {
        let counted = tally.end.as_ref().map(|end| (end.keys, end.rows));
        tally.has_head
            && self.seen.is_some()
            && counted == Some((self.keys as u64, self.rows.len() as u64))
    }

    /// False for what cannot be understood.
    fn take(&mut self, tally: &mut Tally, payload: &[u8]) -> bool {
        let Some((kind, body)) = payload.split_first() else {
            return false;
        };
        if tally.is_foreign {
            return false;
        }
        match *kind {
            HEAD => {
                let head = Head::decode(body);
                tally.is_foreign = !head.is_ok_and(|head| head.version == VERSION);
                tally.has_head |= !tally.is_foreign;
                tally.has_head && tally.records == 0
            }
            SEEN => {
                let seen = Delta::from_bytes(body).ok();
                self.seen = seen.map(|delta| delta.context().clone());
                self.seen.is_some()
            }
            ROW => {
                self.rows.push(body.to_vec());
                true
            }
            KEY => match Delta::from_bytes(body) {
                Ok(entry) => {
                    self.keys += 1;
                    self.entries.append(entry);
                    true
                }
                Err(_) => false,
            },
            END => {
                tally.end = End::decode(body).ok();
                tally.end.is_some()
            }
            _ => false,
        }
    }
}

/// How far the reading has come.
#[derive(Debug, Default)]
struct Tally {
    records: u64,
    has_head: bool,
    /// Another version's: its records may mean anything.
    is_foreign: bool,
    is_damaged: bool,
    end: Option<End>,
}

/// A record's sum, its payload, and what comes after it; none when there is no whole one.
fn cut(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (payload, after) = rest.split_at_checked(length)?;
    Some((u64::from_le_bytes(*sum), payload, after))
}

#[cfg(test)]
#[path = "saved_tests.rs"]
mod tests;
