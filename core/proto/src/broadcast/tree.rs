//! Whom a member pushes to and whom it only tells: neighbours on a ring, and each origin's edges.
//!
//! Neighbours stand at the offsets +-1, +-2, +-4, ... in the order of the member ids, so both ends of
//! an edge choose it alike and nobody is chosen by no one (random one-way sets leave a deaf member in
//! about one tree of a hundred, protocol.md 2). `round(ln N) + 1` of them are eager at first. One that is not linked gives its place to the next
//! linked one in its direction, so the linked members of an island always make a ring of their own.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::GRAFT_MS_MIN;
use crate::base::{Instant, MemberId};

/// Up to so many members an origin pushes to all its links itself, and receivers only announce.
pub(super) const SMALL: usize = 8;
/// Neighbours beside the eager ones that are told what is here, at least (protocol.md 2).
const LAZY_MIN: usize = 3;

/// Members on the ring from which `round(ln N)` is 1, 2, 3, ...: e^0.5, e^1.5, e^2.5 and so on.
const LN_STEPS: [usize; 9] = [2, 5, 13, 34, 91, 245, 666, 1_809, 4_915];

/// How many of a ring's neighbours are eager at first: `round(ln N) + 1`, made even because an
/// offset counts in both directions.
pub(super) fn eager_count(members: usize) -> usize {
    let rounded_ln = LN_STEPS.iter().filter(|step| **step <= members).count();
    (rounded_ln + 1).next_multiple_of(2)
}

/// How many neighbours a member has in all.
fn neighbour_count(members: usize) -> usize {
    eager_count(members) + LAZY_MIN.next_multiple_of(2)
}

/// The neighbours of `me` on `ring`, in the order of [`offsets`]: the first [`eager_count`] are eager.
///
/// Shape: `ring` ascends and holds `me`; all answered are linked, none twice.
pub(super) fn neighbours(
    ring: &[MemberId],
    me: MemberId,
    is_linked: impl Fn(MemberId) -> bool,
) -> Vec<MemberId> {
    let count = ring.len();
    let mut found = Vec::new();
    let Ok(place) = ring.binary_search(&me) else {
        return found;
    };
    let wanted = neighbour_count(count);
    for offset in offsets(count) {
        for is_up in [true, false] {
            // The member at that offset, or the next linked one beyond it.
            let steps = (offset..count).map(|step| if is_up { step } else { count - step });
            let mut beyond = steps.filter_map(|step| ring.get((place + step) % count).copied());
            if let Some(member) = beyond.find(|member| is_linked(*member))
                && !found.contains(&member)
            {
                found.push(member);
            }
        }
        // Whole offsets only, or one end of an edge would not choose it.
        if found.len() >= wanted {
            break;
        }
    }
    found
}

/// Every offset up to half of the ring, in the order in which they are taken: powers of two first.
///
/// The eager ones are spread over all the powers, 1 among them, and the widest of the others come
/// next. With the smallest powers first a payload took 14 hops at 100 members and 38 at 1,000; spread
/// it takes 7 and 13, for as many edges.
fn offsets(count: usize) -> impl Iterator<Item = usize> {
    let half = count / 2;
    let powers = half.checked_ilog2().map_or(0, |log| log as usize + 1);
    let eager = (eager_count(count) / 2).min(powers);
    let spread = move |log: usize| (0..eager).any(|n| log == n * powers / eager);
    let first = (0..powers).filter(move |log| spread(*log));
    let next = (0..powers).rev().filter(move |log| !spread(*log));
    let rest = (1..=half).filter(|offset| !offset.is_power_of_two());
    first.chain(next).map(|log| 1 << log).chain(rest)
}

/// What an edge carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Payloads.
    Eager,
    /// Ids; and when the other end was last asked to prune.
    Lazy(Option<Instant>),
}

/// One origin's edges at this member. Only linked members are in it.
#[derive(Debug, Default)]
pub(super) struct Sides(BTreeMap<MemberId, Side>);

impl Sides {
    /// Everyone with an edge, and whether it is eager.
    pub(super) fn iter(&self) -> impl Iterator<Item = (MemberId, bool)> + '_ {
        self.0
            .iter()
            .map(|(member, side)| (*member, *side == Side::Eager))
    }

    pub(super) fn is_eager(&self, member: MemberId) -> bool {
        self.0.get(&member) == Some(&Side::Eager)
    }

    pub(super) fn make_eager(&mut self, member: MemberId) {
        self.0.insert(member, Side::Eager);
    }

    /// An edge that is new, or that was eager, becomes lazy.
    pub(super) fn make_lazy(&mut self, member: MemberId) {
        let side = self.0.entry(member).or_insert(Side::Eager);
        if *side == Side::Eager {
            *side = Side::Lazy(None);
        }
    }

    /// Adds an edge where there is none.
    pub(super) fn add(&mut self, member: MemberId, is_eager: bool) {
        let side = if is_eager {
            Side::Eager
        } else {
            Side::Lazy(None)
        };
        self.0.entry(member).or_insert(side);
    }

    /// Makes the edge lazy because of a duplicate; answers true when the other end is to be asked
    /// to prune: once in a while, since what it pushed before it heard of it is still under way.
    pub(super) fn prune(&mut self, now: Instant, member: MemberId) -> bool {
        let side = self.0.entry(member).or_insert(Side::Eager);
        let is_asked = matches!(side, Side::Lazy(Some(at)) if now.since(*at) < GRAFT_MS_MIN);
        if !is_asked {
            *side = Side::Lazy(Some(now));
        }
        !is_asked
    }

    /// Takes an edge away; answers whether it was eager.
    pub(super) fn remove(&mut self, member: MemberId) -> bool {
        self.0.remove(&member) == Some(Side::Eager)
    }

    /// Makes the first lazy one of `ranked` eager.
    pub(super) fn promote(&mut self, ranked: &[MemberId]) {
        let mut lazy = ranked.iter().filter(|member| {
            let side = self.0.get(*member);
            matches!(side, Some(Side::Lazy(_)))
        });
        if let Some(member) = lazy.next().copied() {
            self.make_eager(member);
        }
    }

    /// Drops lazy edges to members that `is_neighbour` no more. Eager ones stay: a tree that works
    /// is not cut because the ring has turned.
    pub(super) fn trim(&mut self, is_neighbour: impl Fn(MemberId) -> bool) {
        self.0
            .retain(|member, side| *side == Side::Eager || is_neighbour(*member));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    fn ring(count: usize) -> Vec<MemberId> {
        (0..count as u128).map(|n| MemberId(n * 7 + 3)).collect()
    }

    #[test]
    fn eager_neighbours_are_the_rounded_logarithm_and_one_in_pairs() {
        for members in 1..2_000_usize {
            let wanted = (members as f64).ln().round() as usize + 1;
            assert_eq!(
                eager_count(members),
                wanted.next_multiple_of(2),
                "{members}"
            );
        }
    }

    #[test]
    fn eager_offsets_are_spread_and_no_offset_comes_twice() {
        let first = |count: usize| {
            offsets(count)
                .take(eager_count(count) / 2)
                .collect::<Vec<_>>()
        };
        assert_eq!(first(9), [1, 2]);
        assert_eq!(first(25), [1, 4]);
        assert_eq!(first(100), [1, 4, 16]);
        assert_eq!(first(1_000), [1, 4, 16, 64]);
        for count in 0..300 {
            let all: BTreeSet<usize> = offsets(count).collect();
            assert_eq!(all.len(), count / 2);
            assert_eq!(offsets(count).count(), count / 2);
        }
    }

    #[test]
    fn neighbours_are_symmetric_and_enough_on_every_ring() {
        for count in 9..200 {
            let ring = ring(count);
            let sets: Vec<BTreeSet<MemberId>> = ring
                .iter()
                .map(|me| {
                    neighbours(&ring, *me, |member| member != *me)
                        .into_iter()
                        .collect()
                })
                .collect();
            for (place, set) in sets.iter().enumerate() {
                assert!(set.len() >= eager_count(count) + LAZY_MIN, "{count}");
                assert!(!set.contains(&ring[place]));
                for other in set {
                    let other = ring.binary_search(other).unwrap();
                    assert!(
                        sets[other].contains(&ring[place]),
                        "{count}: {place} {other}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_linked_members_of_an_island_are_one_connected_ring() {
        let ring = ring(100);
        for size in [1, 2, 3, 10, 50] {
            let island: BTreeSet<MemberId> = ring
                .iter()
                .copied()
                .step_by(100 / size)
                .take(size)
                .collect();
            let first = *island.first().unwrap();
            let mut reached = BTreeSet::from([first]);
            let mut open = Vec::from([first]);
            while let Some(me) = open.pop() {
                let linked = |member: MemberId| member != me && island.contains(&member);
                let all = neighbours(&ring, me, linked);
                for next in all.into_iter().take(eager_count(100)) {
                    assert!(island.contains(&next) && next != me);
                    if reached.insert(next) {
                        open.push(next);
                    }
                }
            }
            assert_eq!(reached, island);
        }
    }
}
