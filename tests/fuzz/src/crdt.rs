//! The delta map against an oracle that knows every write, whatever the order, loss and doubling of
//! deltas.
//!
//! The oracle keeps, for each member, the set of changes it has seen; a value is there when its
//! write was seen and no seen change replaced it. That is what "observed remove" means.

use std::collections::{BTreeMap, BTreeSet};

use primer_proto::base::{BootId, Chance};
use primer_proto::crdt::{Delta, DotMap};

use crate::make::damage;

const MEMBERS: usize = 3;
const KEYS: u64 = 3;

/// A change: what it wrote, if anything, and which earlier changes it replaced.
struct Change {
    key: u64,
    writes: bool,
    replaced: BTreeSet<usize>,
    delta: Delta,
}

#[derive(Default)]
struct Member {
    map: DotMap,
    seen: BTreeSet<usize>,
}

pub(crate) fn run(chance: &mut Chance) {
    let mut changes: Vec<Change> = Vec::new();
    let mut members: Vec<Member> = (0..MEMBERS).map(|_| Member::default()).collect();
    for _ in 0..chance.below(30) {
        let who = chance.below(MEMBERS as u64) as usize;
        match chance.below(4) {
            0 | 1 => change(who, &mut members, &mut changes, chance),
            2 => tell(who, &mut members, &changes, chance),
            _ => {
                let from = chance.below(MEMBERS as u64) as usize;
                copy_whole(from, who, &mut members);
            }
        }
        check(&members[who], &changes);
    }
    meet(&mut members, &changes);
    nonsense(chance);
}

fn name(key: u64) -> Vec<u8> {
    vec![b'k', key as u8]
}

/// The changes whose values a member should have under a key.
fn expected(member: &Member, changes: &[Change], key: u64) -> BTreeSet<usize> {
    let replaced: BTreeSet<usize> = member
        .seen
        .iter()
        .flat_map(|seen| changes[*seen].replaced.iter().copied())
        .collect();
    let seen = member.seen.iter().copied();
    seen.filter(|seen| changes[*seen].key == key && changes[*seen].writes)
        .filter(|seen| !replaced.contains(seen))
        .collect()
}

fn change(who: usize, members: &mut [Member], changes: &mut Vec<Change>, chance: &mut Chance) {
    let key = chance.below(KEYS);
    let replaced = expected(&members[who], changes, key);
    let number = changes.len();
    let writes = chance.percent(70);
    let map = &mut members[who].map;
    let delta = if writes {
        map.write(
            BootId(who as u64 + 1),
            &name(key),
            number.to_le_bytes().to_vec(),
        )
    } else {
        map.remove(&name(key))
    };
    let delta = Delta::from_bytes(&delta.to_bytes()).unwrap();
    changes.push(Change {
        key,
        writes,
        replaced,
        delta,
    });
    members[who].seen.insert(number);
}

/// Some change of somebody arrives, perhaps again, perhaps before its elders.
fn tell(who: usize, members: &mut [Member], changes: &[Change], chance: &mut Chance) {
    if changes.is_empty() {
        return;
    }
    let number = chance.below(changes.len() as u64) as usize;
    let member = &mut members[who];
    let is_new = member.seen.insert(number);
    let changed = member.map.merge(&changes[number].delta, false);
    assert!(
        is_new || changed.is_empty(),
        "a delta that was seen changed something"
    );
}

fn copy_whole(from: usize, to: usize, members: &mut [Member]) {
    let whole = members[from].map.whole();
    let whole = Delta::from_bytes(&whole.to_bytes()).unwrap();
    let seen = members[from].seen.clone();
    let member = &mut members[to];
    member.map.merge(&whole, true);
    member.seen.extend(seen);
    assert!(
        member.map.merge(&whole, true).is_empty(),
        "merging twice changed something"
    );
}

fn check(member: &Member, changes: &[Change]) {
    let mut found: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    for key in 0..KEYS {
        let name = name(key);
        let numbers = member.map.read(&name).map(|value| {
            let bytes = value.as_slice().try_into().unwrap();
            usize::from_le_bytes(bytes)
        });
        found.insert(key, numbers.collect());
    }
    for (key, found) in found {
        assert_eq!(found, expected(member, changes, key), "key {key}");
    }
}

/// All meet: all are equal, by value and by digest.
fn meet(members: &mut [Member], changes: &[Change]) {
    for to in 0..MEMBERS {
        for from in 0..MEMBERS {
            copy_whole(from, to, members);
        }
    }
    for to in 0..MEMBERS {
        copy_whole(MEMBERS - 1, to, members);
        check(&members[to], changes);
    }
    let first = &members[0].map;
    for member in members.iter() {
        assert_eq!(member.map, *first);
        assert_eq!(member.map.digest(), first.digest());
    }
}

/// Bytes of nobody: an error or a delta that merges without a panic and only once.
fn nonsense(chance: &mut Chance) {
    let mut map = DotMap::default();
    let delta = map.write(BootId(chance.bits()), b"key", b"value".to_vec());
    let mut bytes = delta.to_bytes();
    damage(&mut bytes, chance);
    if let Ok(delta) = Delta::from_bytes(&bytes) {
        let is_whole = chance.percent(50);
        map.merge(&delta, is_whole);
        assert!(
            map.merge(&delta, is_whole).is_empty(),
            "merging twice changed something"
        );
        map.write(BootId(1), b"key", b"later".to_vec());
        assert_eq!(
            map.read(b"key").count(),
            1,
            "a write replaces what was seen"
        );
    }
}
