//! Lines by hand: what may go, in which order, and how many.

use alloc::vec::Vec;

use super::*;
use crate::base::{BootId, Chance};

fn spot(n: u64) -> Spot {
    let origin = BootId(1);
    let id = MessageId {
        origin,
        sequence: n,
    };
    (Stamp(n), id)
}

fn lines(most: usize, ready: &[(&str, u64)]) -> Lines {
    let mut lines = Lines::new(most);
    for (key, n) in ready {
        lines.push(key, (spot(*n), 5), *n as u32);
    }
    lines
}

fn all(lines: &mut Lines) -> Vec<u32> {
    let popped: Vec<u32> = core::iter::from_fn(|| lines.pop()).collect();
    lines.audit().unwrap();
    popped
}

#[test]
fn the_next_of_a_key_goes_when_the_one_before_it_is_over() {
    let mut lines = lines(1, &[("a", 2), ("a", 1), ("a", 3)]);
    assert_eq!((lines.count(), lines.ready()), (1, 3));
    assert_eq!(all(&mut lines), [1]);
    assert!(lines.leave("a", spot(1)));
    assert_eq!(all(&mut lines), [2]);
    assert!(!lines.leave("a", spot(1)), "it was in no line any more");
}

#[test]
fn what_comes_back_is_not_overtaken() {
    let mut lines = lines(1, &[("a", 1), ("a", 2)]);
    assert_eq!(all(&mut lines), [1]);
    lines.push("a", (spot(1), 5), 1);
    assert_eq!(all(&mut lines), [1]);
    lines.leave("a", spot(1));
    assert_eq!(all(&mut lines), [2]);
}

#[test]
fn where_another_owner_had_given_one_as_well_they_wait_for_each_other() {
    let mut lines = lines(1, &[("a", 2), ("a", 3)]);
    assert_eq!(all(&mut lines), [2]);
    // It is taken over while its consumer has it.
    lines.hold("a", spot(1).1);
    lines.push("a", (spot(2), 5), 2);
    assert_eq!((lines.count(), lines.ready()), (0, 2));
    assert_eq!(all(&mut lines), [0_u32; 0]);
    // That lease ends before the one of the other: the first goes first.
    lines.push("a", (spot(1), 5), 1);
    assert_eq!(all(&mut lines), [1]);
    lines.leave("a", spot(1));
    assert_eq!(all(&mut lines), [2]);
    lines.leave("a", spot(2));
    assert_eq!(all(&mut lines), [3]);
}

#[test]
fn what_is_on_its_way_holds_up_what_came_after_it() {
    let mut lines = Lines::new(1);
    lines.expect("a", spot(1));
    lines.push("a", (spot(2), 5), 2);
    lines.push("b", (spot(3), 5), 3);
    assert_eq!(all(&mut lines), [3]);
    lines.came("a", spot(1));
    assert_eq!(all(&mut lines), [2]);
}

#[test]
fn keys_are_served_in_turn_however_long_their_lines() {
    let mut lines = lines(
        9,
        &[("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("b", 6)],
    );
    assert_eq!(all(&mut lines), [1, 4, 5, 2, 6, 3]);
}

#[test]
fn the_priority_of_who_is_next_decides_when_a_key_is_served() {
    let mut lines = lines(1, &[("a", 1)]);
    lines.push("a", (spot(2), 0), 2);
    lines.push("b", (spot(3), 4), 3);
    assert_eq!(
        all(&mut lines),
        [3, 1],
        "the first of a holds up its second"
    );
    lines.leave("a", spot(1));
    lines.push("c", (spot(4), 1), 4);
    assert_eq!(all(&mut lines), [2, 4]);
}

#[test]
fn a_higher_bound_lets_more_of_each_key_out_and_a_lower_one_waits() {
    let mut lines = lines(1, &[("a", 1), ("a", 2), ("a", 3), ("a", 4)]);
    assert_eq!(all(&mut lines), [1]);
    assert!(lines.bound(3));
    assert!(!lines.rebound());
    assert_eq!(lines.count(), 2);
    assert_eq!(all(&mut lines), [2, 3]);
    lines.bound(1);
    lines.rebound();
    lines.leave("a", spot(1));
    assert_eq!(all(&mut lines), []);
    lines.leave("a", spot(2));
    lines.leave("a", spot(3));
    assert_eq!(all(&mut lines), [4]);
    assert_eq!(lines.peak("a"), 3);
}

#[test]
fn nothing_is_left_of_a_key_whose_messages_are_over() {
    let mut lines = lines(1, &[("a", 1), ("b", 2)]);
    all(&mut lines);
    lines.leave("a", spot(1));
    lines.leave("b", spot(2));
    assert!(lines.lines.is_empty() && lines.ring.is_empty() && lines.ready.is_empty());
}

/// Whatever is done to them: never more than may be out, nobody overtakes, the counts agree.
#[test]
fn lines_keep_their_promise_whatever_happens() {
    for seed in 0..200 {
        let mut chance = Chance::new(seed);
        let most = 1 + chance.below(3) as usize;
        let mut lines = Lines::new(most);
        // By key: accepted and not given, and given.
        let mut waiting: [Vec<u64>; 3] = Default::default();
        let mut out: [Vec<u64>; 3] = Default::default();
        for n in 1..400 {
            let at = chance.below(3) as usize;
            let key = ["a", "b", "c"][at];
            match chance.below(4) {
                0 | 1 => {
                    lines.push(key, (spot(n), 5), n as u32);
                    waiting[at].push(n);
                }
                2 => {
                    if let Some(index) = lines.pop() {
                        let n = u64::from(index);
                        let at =
                            (0..3).find(|at| waiting[*at].contains(&n) || out[*at].contains(&n));
                        let at = at.unwrap();
                        if !out[at].contains(&n) {
                            assert_eq!(waiting[at].remove(0), n, "seed {seed}: overtaken");
                            out[at].push(n);
                        }
                        assert!(out[at].len() <= most, "seed {seed}");
                    }
                }
                _ => {
                    if let Some(n) = out[at].pop() {
                        if chance.percent(30) {
                            lines.push(key, (spot(n), 5), n as u32);
                            out[at].push(n);
                        } else {
                            lines.leave(key, spot(n));
                        }
                    }
                }
            }
            lines.audit().unwrap();
        }
    }
}
