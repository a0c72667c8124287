//! The merge laws, and the cases that broke other people's maps.

use super::*;
use crate::base::Chance;

fn value(map: &DotMap, key: &str) -> Vec<String> {
    let mut values: Vec<String> = map
        .read(key.as_bytes())
        .map(|value| String::from_utf8(value.clone()).unwrap())
        .collect();
    values.sort();
    values
}

fn write(map: &mut DotMap, actor: u64, key: &str, text: &str) -> Delta {
    map.write(BootId(actor), key.as_bytes(), text.as_bytes().to_vec())
}

#[test]
fn a_concurrent_write_survives_a_remove() {
    let (mut a, mut b) = (DotMap::default(), DotMap::default());
    let first = write(&mut a, 1, "k", "one");
    b.merge(&first, false);
    let removed = a.remove(b"k");
    let second = write(&mut b, 2, "k", "two");
    a.merge(&second, false);
    b.merge(&removed, false);
    assert_eq!(value(&a, "k"), ["two"]);
    assert_eq!(a, b);
}

#[test]
fn a_removed_key_does_not_return_with_an_old_delta() {
    let (mut a, mut b) = (DotMap::default(), DotMap::default());
    let first = write(&mut a, 1, "k", "one");
    b.merge(&first, false);
    let removed = b.remove(b"k");
    a.merge(&removed, false);
    a.merge(&first, false);
    assert!(value(&a, "k").is_empty());
    assert_eq!(a, b);
}

#[test]
fn a_remove_that_overtakes_its_write_still_removes() {
    let (mut a, mut c) = (DotMap::default(), DotMap::default());
    let first = write(&mut a, 1, "k", "one");
    let removed = a.remove(b"k");
    c.merge(&removed, false);
    c.merge(&first, false);
    assert!(value(&c, "k").is_empty());
}

#[test]
fn a_whole_state_also_removes() {
    let (mut a, mut b) = (DotMap::default(), DotMap::default());
    b.merge(&write(&mut a, 1, "k", "one"), false);
    write(&mut b, 2, "mine", "kept");
    a.remove(b"k");
    let changed = b.merge(&a.whole(), true);
    assert_eq!(changed, [b"k".to_vec()]);
    assert_eq!(value(&b, "mine"), ["kept"]);
}

#[test]
fn concurrent_writes_are_siblings_until_the_next_write() {
    let (mut a, mut b) = (DotMap::default(), DotMap::default());
    let one = write(&mut a, 1, "k", "one");
    let two = write(&mut b, 2, "k", "two");
    a.merge(&two, false);
    b.merge(&one, false);
    assert_eq!(value(&a, "k"), ["one", "two"]);
    let three = write(&mut a, 1, "k", "three");
    b.merge(&three, false);
    assert_eq!(value(&b, "k"), ["three"]);
    assert_eq!(a.digest(), b.digest());
}

/// Random writes and removes at three members; every delta is kept.
fn scribble(chance: &mut Chance) -> (Vec<DotMap>, Vec<Delta>) {
    let mut maps: Vec<DotMap> = (0..3).map(|_| DotMap::default()).collect();
    let mut deltas: Vec<Delta> = Vec::new();
    for step in 0..30 {
        let at = chance.below(3) as usize;
        let key = format!("k{}", chance.below(4));
        if chance.percent(30) {
            deltas.push(maps[at].remove(key.as_bytes()));
        } else {
            deltas.push(write(
                &mut maps[at],
                at as u64 + 1,
                &key,
                &format!("v{step}"),
            ));
        }
        if chance.percent(50) {
            let pick = chance.below(deltas.len() as u64) as usize;
            let to = chance.below(3) as usize;
            let delta = deltas[pick].clone();
            maps[to].merge(&delta, false);
        }
        if chance.percent(15) {
            let (from, to) = (chance.below(3) as usize, chance.below(3) as usize);
            let whole = maps[from].whole();
            maps[to].merge(&whole, true);
        }
    }
    (maps, deltas)
}

#[test]
fn all_members_agree_whatever_the_order_the_duplicates_and_the_way() {
    for seed in 0..500 {
        let mut chance = Chance::new(seed);
        let (mut maps, mut deltas) = scribble(&mut chance);
        for map in &mut maps {
            chance.shuffle(&mut deltas);
            for delta in &deltas {
                let bytes = delta.to_bytes();
                map.merge(&Delta::from_bytes(&bytes).unwrap(), false);
                map.merge(delta, false);
            }
        }
        assert_eq!(maps[0], maps[1], "seed {seed}");
        assert_eq!(maps[1], maps[2], "seed {seed}");
        assert_eq!(maps[0].digest(), maps[2].digest());
        let mut late = DotMap::default();
        late.merge(&maps[0].whole(), true);
        assert_eq!(late, maps[0], "seed {seed}");
    }
}

#[test]
fn whole_states_alone_bring_everyone_together() {
    for seed in 0..500 {
        let mut chance = Chance::new(seed);
        let (mut maps, _) = scribble(&mut chance);
        for _ in 0..2 {
            for from in 0..3 {
                for to in 0..3 {
                    let whole = maps[from].whole();
                    maps[to].merge(&whole, true);
                }
            }
        }
        assert_eq!(maps[0], maps[1], "seed {seed}");
        assert_eq!(maps[1], maps[2], "seed {seed}");
    }
}
