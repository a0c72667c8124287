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

#[test]
fn the_kept_sums_are_those_of_the_entries() {
    for seed in 0..200 {
        let (maps, _) = scribble(&mut Chance::new(seed));
        for map in &maps {
            let mut afresh = DotMap::default();
            afresh.merge(&map.whole(), true);
            assert_eq!(afresh.sums(), map.sums(), "seed {seed}");
            assert_eq!(afresh.root(), map.root(), "seed {seed}");
            assert_eq!(afresh.digest(), map.digest(), "seed {seed}");
            let sum = map
                .sums()
                .iter()
                .fold(0, |sum: u128, one| sum.wrapping_add(*one));
            assert_eq!(sum, map.root());
            let keys: Vec<&[u8]> = map.iter().map(|(key, _)| key).collect();
            let mut lines: Vec<&[u8]> = map.lines(0, u64::MAX).map(|line| line.key).collect();
            assert!(map.lines(0, u64::MAX).is_sorted_by_key(|line| line.hash));
            lines.sort_unstable();
            assert_eq!(lines, keys, "seed {seed}");
        }
    }
}

#[test]
fn an_emptied_map_has_the_sums_of_an_empty_one_but_another_digest() {
    let mut map = DotMap::default();
    let empty = map.clone();
    for key in 0..50_u8 {
        write(&mut map, 1, &key.to_string(), "v");
    }
    assert_ne!(map.root(), empty.root());
    for key in 0..50_u8 {
        map.remove(key.to_string().as_bytes());
    }
    assert_eq!((map.root(), map.sums()), (empty.root(), empty.sums()));
    assert_ne!(map.digest(), empty.digest(), "it has seen what was removed");
    assert!(map.is_empty() && map.lines(0, u64::MAX).next().is_none());
}

#[test]
fn lines_between_two_hashes_and_keys_of_a_prefix() {
    let mut map = DotMap::default();
    for key in 0..100_u8 {
        write(&mut map, 1, &format!("{}/{key}", key % 3), "v");
    }
    let all: Vec<u64> = map.lines(0, u64::MAX).map(|line| line.hash).collect();
    let middle: Vec<u64> = map.lines(all[10], all[20]).map(|line| line.hash).collect();
    assert_eq!(middle, all[10..=20]);
    assert_eq!(map.lines(all[10] + 1, all[11] - 1).count(), 0);
    assert_eq!(map.prefixed(b"1/").count(), 33);
    assert_eq!(map.from(b"2/").count(), 33);
    assert_eq!(
        (map.len(), map.contains(b"0/99"), map.contains(b"0/98")),
        (100, true, false)
    );
}

#[test]
fn a_repaired_key_keeps_what_the_judge_has_not_seen() {
    let (mut here, mut there) = (DotMap::default(), DotMap::default());
    here.merge(&write(&mut there, 1, "k", "old"), false);
    let taken = there.context().clone();
    let judge = |dot| taken.holds(dot);
    write(&mut there, 1, "k", "new");
    let mine = write(&mut here.clone(), 2, "k", "mine");
    let mut twin = here.clone();
    twin.merge(&mine, false);
    let live: Vec<Dot> = there.siblings(b"k").map(|(dot, _)| dot).collect();
    let values = |map: &DotMap| -> Vec<(Dot, Vec<u8>)> {
        map.siblings(b"k")
            .map(|(dot, value)| (dot, value.clone()))
            .collect()
    };
    assert!(here.repair(b"k", &live, values(&there), judge));
    assert_eq!(value(&here, "k"), ["new"]);
    assert!(
        !here.repair(b"k", &live, values(&there), judge),
        "twice is once"
    );
    // The twin replaced "old" itself; what it wrote is unknown to the judge and stays.
    twin.repair(b"k", &live, values(&there), judge);
    assert_eq!(value(&twin, "k"), ["mine", "new"]);
    // Named without its value, a dot is live but not seen.
    let mut late = DotMap::default();
    assert!(!late.repair(b"k", &live, Vec::new(), judge));
    assert!(!late.context().holds(live[0]));
}

#[test]
fn bytes_that_no_write_made_are_refused() {
    let mut map = DotMap::default();
    let good = write(&mut map, 1, "k", "v").to_bytes();
    assert!(Delta::from_bytes(&good).is_ok());
    assert_eq!(Delta::from_bytes(&[0xff]).unwrap_err().number(), 503);
    let long = map.write(BootId(1), &[b'k'; 2_000], vec![]).to_bytes();
    assert!(
        Delta::from_bytes(&long).is_err(),
        "a key that nobody passes on"
    );
    let large = map.write(BootId(1), b"k", vec![0; crate::crdt::VALUE_BYTES_MAX + 1]);
    assert!(Delta::from_bytes(&large.to_bytes()).is_err());
    for number in [0, u64::MAX] {
        let mut context = Context::default();
        context.add_all(Dot {
            actor: BootId(1),
            number: number.max(1),
        });
        let siblings = Siblings::from_iter([(
            Dot {
                actor: BootId(2),
                number,
            },
            vec![],
        )]);
        let delta = Delta::of(b"k", siblings, Context::default());
        assert!(Delta::from_bytes(&delta.to_bytes()).is_err(), "{number}");
    }
}

#[test]
fn one_key_can_be_told_and_tells_nothing_else() {
    let (mut here, mut there) = (DotMap::default(), DotMap::default());
    write(&mut here, 1, "other", "x");
    write(&mut here, 1, "k", "v");
    assert_eq!(there.merge(&here.delta(b"k"), false), [b"k".to_vec()]);
    assert!(there.merge(&here.delta(b"nobody"), false).is_empty());
    assert_eq!((there.len(), there.context().cloud_len()), (1, 1));
}
