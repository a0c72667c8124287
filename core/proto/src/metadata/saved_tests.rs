//! What comes back of saved metadata, whole and spoiled in every way.

use super::super::{MetaCanary, Table};
use super::*;
use crate::base::{BootId, Chance, Instant, MemberId, Now};
use crate::crdt::{Dot, DotMap};
use alloc::collections::BTreeSet;
use bytes::Bytes;

fn at(ms: u64) -> Now {
    Now {
        mono: Instant(ms),
        wall_ms: 1_700_000_000_000 + ms,
    }
}

/// A table in which `keys` keys were written by turns with another member, and some removed.
fn scribbled(keys: u64, chance: &mut Chance) -> (Table, Table) {
    let mut tables = [1_u64, 2].map(|n| Table::new(MemberId(n.into()), BootId(n << 40)));
    for step in 0..3 * keys {
        let writer = chance.below(2) as usize;
        let key = alloc::format!("k{}", chance.below(keys));
        let now = at(step * 10);
        let delta = if chance.percent(25) {
            tables[writer].delete(now, &key).unwrap()
        } else {
            let value = Bytes::from(alloc::format!("v{step}"));
            Some(tables[writer].put(now, &key, value).unwrap())
        };
        // A delta that is lost leaves them with different opinions, and a cloud.
        if let Some(delta) = delta
            && chance.percent(80)
        {
            tables[1 - writer].hear(now, &delta);
        }
    }
    let [one, other] = tables;
    (one, other)
}

fn save(table: &Table) -> Vec<u8> {
    let mut saver = Saver::new(table.map().context());
    saver.row(b"where somebody is");
    for (_, entry) in table.map().entries_after(None, usize::MAX) {
        saver.key(&entry);
    }
    saver.end(table.stamp())
}

/// The same member after a restart.
fn restarted(bytes: &[u8], canary: MetaCanary) -> (Table, Saved) {
    let mut table = Table::new(MemberId(1), BootId(7));
    table.plant(canary);
    let saved = Saved::read(bytes);
    table.recall(at(900_000), &saved);
    (table, saved)
}

fn dots(map: &DotMap) -> BTreeSet<Dot> {
    let keys: Vec<&[u8]> = map.iter().map(|(key, _)| key).collect();
    let dots = keys.iter().flat_map(|key| map.siblings(key));
    dots.map(|(dot, _)| dot).collect()
}

/// Every way to spoil one bit of `bytes`, and to lose its end.
fn spoiled(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let cut = (0..bytes.len()).map(|end| bytes[..end].to_vec());
    let flipped = (0..8 * bytes.len()).map(|bit| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    cut.chain(flipped).chain([[bytes, b"x"].concat()])
}

#[test]
fn what_is_whole_comes_back_whole() {
    for seed in 0..50 {
        let (table, _) = scribbled(6, &mut Chance::new(seed));
        let (again, saved) = restarted(&save(&table), MetaCanary::None);
        assert!(saved.is_whole, "seed {seed}");
        assert_eq!(again.map(), table.map(), "seed {seed}");
        assert_eq!(again.digest(), table.digest());
        assert_eq!(again.stamp(), table.stamp());
        assert_eq!(saved.rows, [b"where somebody is".to_vec()]);
    }
}

#[test]
fn of_what_is_spoiled_nothing_was_seen_but_the_keys_that_are_right() {
    let (table, _) = scribbled(4, &mut Chance::new(1));
    assert!(table.map().len() > 2);
    let bytes = save(&table);
    let mut most_lost = 0;
    for (case, spoilt) in spoiled(&bytes).enumerate() {
        let (again, saved) = restarted(&spoilt, MetaCanary::None);
        assert!(!saved.is_whole, "case {case}");
        for (key, values) in again.map().iter() {
            let values: Vec<_> = values.collect();
            let before: Vec<_> = table.map().read(key).collect();
            assert_eq!(values, before, "case {case}");
        }
        let mut seen = Context::default();
        dots(again.map()).into_iter().for_each(|dot| seen.add(dot));
        assert_eq!(*again.map().context(), seen, "case {case}");
        most_lost = most_lost.max(table.map().len() - again.map().len());
    }
    assert_eq!(most_lost, table.map().len(), "cut at its beginning");
}

#[test]
fn one_bit_in_a_record_costs_that_record_alone() {
    let (table, _) = scribbled(8, &mut Chance::new(3));
    let bytes = save(&table);
    let mut losses = BTreeSet::new();
    for at in 0..bytes.len() {
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 4;
        let (again, _) = restarted(&spoilt, MetaCanary::None);
        losses.insert(table.map().len() - again.map().len());
    }
    // None: in what was seen. More: in a length, so that what follows cannot be found.
    assert!(losses.contains(&0) && losses.contains(&1));
    let payloads = (0..bytes.len()).filter(|at| {
        let mut spoilt = bytes.clone();
        spoilt[*at] ^= 4;
        let (again, _) = restarted(&spoilt, MetaCanary::None);
        table.map().len() - again.map().len() <= 1
    });
    assert!(payloads.count() * 10 > bytes.len() * 6, "lengths are few");
}

#[test]
fn another_versions_records_are_not_understood() {
    let (table, _) = scribbled(4, &mut Chance::new(1));
    let mut saver = Saver::new(table.map().context());
    saver.bytes.clear();
    saver.records = 0;
    saver.add(HEAD, &Head { version: 2 }.encode_to_vec());
    for (_, entry) in table.map().entries_after(None, usize::MAX) {
        saver.key(&entry);
    }
    let (again, saved) = restarted(&saver.end(table.stamp()), MetaCanary::None);
    assert!(!saved.is_whole && again.map().is_empty());
}

#[test]
fn a_clock_that_was_set_back_does_not_lower_the_stamps_after_a_restart() {
    let mut table = Table::new(MemberId(1), BootId(1));
    table.put(at(500_000), "k", Bytes::from("old")).unwrap();
    let saved = Saved::read(&save(&table));
    let mut again = Table::new(MemberId(1), BootId(2));
    again.recall(at(0), &saved);
    again.put(at(0), "another", Bytes::from("new")).unwrap();
    let [old, new] = ["k", "another"].map(|key| again.get(key).unwrap().at_ms);
    assert!(new >= old, "{new} is before {old}");
    assert_eq!(again.stats().drifted, 0, "its own past is no drift");
    // The end is lost: then the values tell, as far as others' are believed.
    let bytes = save(&table);
    let mut again = Table::new(MemberId(1), BootId(2));
    again.recall(at(499_000), &Saved::read(&bytes[..bytes.len() - 1]));
    again.put(at(499_000), "another", Bytes::new()).unwrap();
    assert!(again.get("another").unwrap().at_ms >= old);
}

/// One member restarts with a damaged file, then both learn all of each other. Errors: a key that
/// nobody removed is gone, or one that was removed and known to be is back.
fn world(seed: u64, canary: MetaCanary) -> Result<(), &'static str> {
    let mut chance = Chance::new(seed);
    let (one, mut other) = scribbled(1 + chance.below(12), &mut chance);
    // Both know the same before the restart.
    other.hear(at(800_000), &one.map().whole());
    let agreed = {
        let mut agreed = one.map().clone();
        agreed.merge(&other.map().whole(), true);
        agreed
    };
    let mut table = Table::new(MemberId(1), BootId(1 << 41));
    table.map_mut().merge(&agreed.whole(), true);
    let mut other = agreed.clone();
    let mut bytes = save(&table);
    if chance.percent(30) {
        bytes.truncate(chance.below(bytes.len() as u64) as usize);
    } else {
        let at = chance.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << chance.below(8);
    }
    let (mut again, _) = restarted(&bytes, canary);
    let (mine, theirs) = (again.map().whole(), other.whole());
    other.merge(&mine, true);
    again.map_mut().merge(&theirs, true);
    if dots(&other) != dots(&agreed) {
        return Err("the other member's keys");
    }
    if *again.map() != other {
        return Err("they do not agree");
    }
    Ok(())
}

#[test]
fn a_damaged_file_changes_nothing_elsewhere() {
    for seed in 0..2_000 {
        assert_eq!(world(seed, MetaCanary::None), Ok(()), "seed {seed}");
    }
}

#[test]
fn to_believe_what_was_seen_of_a_damaged_file_is_caught() {
    let bad = |seed: &u64| world(*seed, MetaCanary::KeepContextOfDamaged).is_err();
    let caught = (0..300).filter(bad).count();
    assert!(caught > 30, "caught in {caught} of 300 worlds");
    let found = (0..300).find_map(|seed| world(seed, MetaCanary::KeepContextOfDamaged).err());
    assert_eq!(found, Some("the other member's keys"));
}
