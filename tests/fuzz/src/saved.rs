//! Saved metadata from a disk that lies, and from nobody.
//!
//! Of a real file that was spoiled, what is right comes back and nothing is believed beside it, so
//! that no other member loses or regains a key by it. Of a file that nobody wrote, with sums that are
//! right, something may come back: it can be saved again, and is the same.

use std::collections::BTreeSet;

use bytes::Bytes;
use primer_proto::base::{BootId, Chance, Instant, MemberId, Now};
use primer_proto::crdt::{Context, Delta, Dot, DotMap};
use primer_proto::metadata::{Saved, Saver, Table};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::make::{self, damage, number};
use crate::tell;

/// A record's length and sum, before its payload.
const HEADER_BYTES: usize = 12;

pub(crate) fn run(chance: &mut Chance) {
    let (table, mut other) = scribbled(chance);
    other.map_mut().merge(&table.map().whole(), true);
    let rows: Vec<Vec<u8>> = (0..chance.below(3)).map(|_| row(chance)).collect();
    let bytes = save(&table, &rows);
    whole(&bytes, &table, &rows);
    match chance.below(3) {
        0 => {
            let mut spoilt = bytes.clone();
            damage(&mut spoilt, chance);
            told(&bytes, &spoilt, &table, &other, &rows);
        }
        1 => {
            let mut records = records(&bytes);
            misplace(&mut records, chance);
            told(&bytes, &records.concat(), &table, &other, &rows);
        }
        _ => forged(&table, chance),
    }
}

fn at(ms: u64) -> Now {
    Now {
        mono: Instant(ms),
        wall_ms: 1_700_000_000_000 + ms,
    }
}

/// Two members' tables; some changes never reached the other one, so there are clouds and siblings.
fn scribbled(chance: &mut Chance) -> (Table, Table) {
    let mut tables = [1, 2].map(|n| Table::new(MemberId(n), BootId(chance.bits() >> 1)));
    for step in 0..chance.below(30) {
        let (now, writer) = (at(step * 10), chance.below(2) as usize);
        let key = format!("k{}", chance.below(6));
        let delta = if chance.percent(25) {
            tables[writer].delete(now, &key).unwrap()
        } else {
            let value = Bytes::from(vec![b'v'; chance.below(40) as usize]);
            Some(tables[writer].put(now, &key, value).unwrap())
        };
        if let Some(delta) = delta
            && chance.percent(70)
        {
            tables[1 - writer].hear(now, &delta);
        }
    }
    let [one, other] = tables;
    (one, other)
}

fn row(chance: &mut Chance) -> Vec<u8> {
    let bytes = chance.below(30);
    (0..bytes).map(|_| chance.bits() as u8).collect()
}

fn save(table: &Table, rows: &[Vec<u8>]) -> Vec<u8> {
    let mut saver = Saver::new(table.map().context());
    rows.iter().for_each(|row| saver.row(row));
    for (_, entry) in table.map().entries_after(None, usize::MAX) {
        saver.key(&entry);
    }
    saver.end(table.stamp())
}

/// What a member knows after a restart with that.
fn restarted(saved: &Saved) -> Table {
    let mut table = Table::new(MemberId(1), BootId(7));
    table.recall(at(900_000), saved);
    table
}

fn whole(bytes: &[u8], table: &Table, rows: &[Vec<u8>]) {
    let saved = Saved::read(bytes);
    assert!(saved.is_whole);
    assert_eq!(saved.rows, rows);
    let again = restarted(&saved);
    assert_eq!(again.map(), table.map());
    assert_eq!(again.stamp(), table.stamp());
}

/// What is true of a file that was spoiled, when `other` knows all that its writer knew.
fn told(bytes: &[u8], spoilt: &[u8], table: &Table, other: &Table, rows: &[Vec<u8>]) {
    tell(|| format!("{} bytes of {}", spoilt.len(), bytes.len()));
    let saved = Saved::read(spoilt);
    assert_eq!(saved.is_whole, spoilt == bytes);
    assert!(saved.rows.iter().all(|row| rows.contains(row)));
    assert!(saved.stamp.is_none_or(|stamp| stamp == table.stamp()));
    if saved.is_whole {
        return;
    }
    let mut again = restarted(&saved);
    assert_eq!(saved.keys, again.map().len());
    let mut seen = Context::default();
    dots(again.map()).into_iter().for_each(|dot| seen.add(dot));
    assert_eq!(*again.map().context(), seen, "more was seen than is there");
    for (key, values) in again.map().iter() {
        assert!(values.eq(table.map().read(key)), "another value");
    }
    // The others lose nothing by it and regain nothing, and tell it the rest.
    let mut theirs = other.map().clone();
    theirs.merge(&again.map().whole(), true);
    assert_eq!(theirs, *other.map(), "the other member's map");
    again.map_mut().merge(&other.map().whole(), true);
    assert_eq!(again.map(), other.map(), "they do not agree");
}

fn dots(map: &DotMap) -> BTreeSet<Dot> {
    let keys = map.iter().map(|(key, _)| key);
    let dots = keys.flat_map(|key| map.siblings(key).map(|(dot, _)| dot));
    dots.collect()
}

/// The records of a file, each with its header.
fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while let Some(length) = rest.first_chunk() {
        let length = HEADER_BYTES + u32::from_le_bytes(*length) as usize;
        let (record, after) = rest.split_at(length);
        records.push(record.to_vec());
        rest = after;
    }
    records
}

/// Loses a record, doubles one, or puts one into another's place.
fn misplace(records: &mut Vec<Vec<u8>>, chance: &mut Chance) {
    for _ in 0..=chance.below(2) {
        let count = records.len() as u64;
        if count == 0 {
            return;
        }
        let (one, other) = (chance.below(count) as usize, chance.below(count) as usize);
        match chance.below(3) {
            0 => drop(records.remove(one)),
            1 => records.insert(other, records[one].clone()),
            _ => records.swap(one, other),
        }
    }
}

/// A file of payloads that nobody wrote, under sums that are right.
fn forged(table: &Table, chance: &mut Chance) {
    let mut bytes = Vec::new();
    let count = chance.below(12);
    for record in 0..count {
        let payload = match record {
            0 if chance.percent(80) => vec![b'h', 8, 1],
            1 if chance.percent(60) => payload(b's', table, chance),
            _ if record + 1 == count && chance.percent(60) => payload(b'e', table, chance),
            _ => {
                let kind = *make::pick(b"hsrkke?".as_slice(), chance);
                payload(kind, table, chance)
            }
        };
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&xxh3_64_with_seed(&payload, record).to_le_bytes());
        bytes.extend_from_slice(&payload);
    }
    let saved = Saved::read(&bytes);
    tell(|| format!("{saved:?}"));
    assert!(saved.keys + saved.rows.len() <= count as usize);
    assert!(!saved.is_whole || saved.seen.is_some() && saved.stamp.is_some());
    lived_with(&saved, chance);
}

/// A payload of a kind, right or nearly so.
fn payload(kind: u8, table: &Table, chance: &mut Chance) -> Vec<u8> {
    let mut body = match kind {
        b'k' => {
            let keys: Vec<&[u8]> = table.map().iter().map(|(key, _)| key).collect();
            if keys.is_empty() {
                Delta::default().to_bytes()
            } else {
                let key: &[u8] = make::pick::<&[u8]>(&keys, chance);
                table.map().delta(key).to_bytes()
            }
        }
        b's' => Delta::seen(table.map().context()).to_bytes(),
        b'e' => vec![8, chance.below(4) as u8, 16, chance.below(4) as u8],
        _ => row(chance),
    };
    if kind == b'e' && chance.percent(50) {
        body.push(0x19);
        body.extend_from_slice(&number(chance).to_le_bytes());
    }
    if chance.percent(40) {
        damage(&mut body, chance);
    }
    body.insert(0, kind);
    body
}

/// Whatever a member took for its own past, it goes on from there and saves it as any other.
fn lived_with(saved: &Saved, chance: &mut Chance) {
    let mut table = restarted(saved);
    let all = table.map().whole();
    assert!(table.map_mut().merge(&all, true).is_empty(), "told itself");
    let value = Bytes::from(vec![b'n'; chance.below(9) as usize]);
    table.put(at(900_000), "k0", value.clone()).unwrap();
    assert_eq!(table.get("k0").unwrap().value, value);
    let bytes = save(&table, &saved.rows);
    whole(&bytes, &table, &saved.rows);
}
