//! Who gets the copies: shuffled, but sticky (protocol.md 4.3, 3.).
//!
//! A member keeps a few shuffled orders of its candidates, gives each millisecond's messages the next
//! one (so that neighbours share holders, and with them their frames), and draws one anew every ten
//! seconds. Shuffling each message would make any simultaneous loss of W members
//! lose something; few copysets at a time make that rare (Cidon et al., ATC 2013). It also lets all
//! messages of a copyset share one list of holders. Who is nearer to its memory budget comes later in each
//! order: it gets copies only where there are too few others. Of the rest each further copy goes to another
//! zone, and to this member's own last, so that what fails together takes as few of them as can be. Who was late
//! with copies comes after those that are as good otherwise.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::holder::{Holder, Holders};
use crate::base::{Chance, Instant, limits};

/// What fails together: a rack, a host, a data centre. The default is none that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Zone(u64);

impl Zone {
    /// By its name; "" for none.
    #[must_use]
    pub fn of(name: &str) -> Self {
        if name.is_empty() {
            return Self::default();
        }
        Self(xxhash_rust::xxh3::xxh3_64(name.as_bytes()).max(1))
    }
}

/// How holders are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placing {
    /// From few copysets at a time, so that few sets of members hold everything of some message.
    #[default]
    Sticky,
    /// Anew for each batch: the load is spread evenly within moments, and any loss of as many members at
    /// once as there are copies loses something.
    ShuffleEach,
}

/// Who can take a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Which store.
    pub holder: Holder,
    /// How near it is to its memory budget.
    pub level: u8,
    /// Where it is.
    pub zone: Zone,
    /// It was late with copies, not long ago.
    pub is_late: bool,
}

/// A member's copysets.
#[derive(Debug)]
pub struct Placement {
    me: Holder,
    zone: Zone,
    placing: Placing,
    candidates: Vec<Candidate>,
    orders: Vec<Vec<Holder>>,
    /// Lists made so far from (order, copies), shared by all messages placed with them.
    made: BTreeMap<(usize, u16), Holders>,
    turn: usize,
    /// When the turn last changed.
    turned: Instant,
    oldest: usize,
    renew: Instant,
    chance: Chance,
}

impl Placement {
    /// Copysets of `me` alone, which is in `zone`.
    #[must_use]
    pub fn new(me: Holder, zone: Zone, placing: Placing, chance: Chance) -> Self {
        Self {
            me,
            zone,
            placing,
            candidates: Vec::new(),
            orders: Vec::new(),
            made: BTreeMap::new(),
            turn: 0,
            turned: Instant(0),
            oldest: 0,
            renew: Instant(0),
            chance,
        }
    }

    /// Another life of this member's copies.
    pub fn renew_own(&mut self, me: Holder) {
        self.me = me;
        self.made.clear();
    }

    /// Sets who can take a copy now, in a stable order; all copysets are drawn anew when that changed.
    pub fn set_candidates(&mut self, now: Instant, candidates: Vec<Candidate>) {
        if candidates == self.candidates {
            return;
        }
        self.candidates = candidates;
        self.made.clear();
        self.orders = (0..limits::COPYSETS).map(|_| self.draw()).collect();
        self.renew = now + limits::COPYSET_MS;
    }

    /// How many others can take a copy now.
    #[must_use]
    pub fn candidate_count(&self) -> usize {
        self.candidates.len()
    }

    /// The holders of the next batch: this member first, then up to `copies - 1` others.
    pub fn pick(&mut self, now: Instant, copies: u16) -> Holders {
        if self.placing == Placing::ShuffleEach {
            let order = self.draw();
            return self.choose(&order, copies).into();
        }
        if now >= self.renew && !self.orders.is_empty() {
            self.oldest = (self.oldest + 1) % self.orders.len();
            let order = self.oldest;
            let fresh = self.draw();
            if let Some(stale) = self.orders.get_mut(order) {
                *stale = fresh;
            }
            self.made.retain(|(made, _), _| *made != order);
            self.renew = now + limits::COPYSET_MS;
        }
        if now > self.turned {
            self.turned = now;
            self.turn = (self.turn + 1) % limits::COPYSETS;
        }
        let key = (self.turn, copies);
        if let Some(holders) = self.made.get(&key) {
            return holders.clone();
        }
        let others = self.orders.get(self.turn).map_or(&[][..], Vec::as_slice);
        let chosen = self.choose(others, copies);
        let known = self.made.values().find(|made| ***made == *chosen).cloned();
        let holders = known.unwrap_or_else(|| chosen.into());
        self.made.insert(key, holders.clone());
        holders
    }

    /// This member and the first of an order. Two orders may choose the same members: then they are one
    /// list, and one frame.
    fn choose(&self, order: &[Holder], copies: u16) -> Vec<Holder> {
        let wanted = usize::from(copies.saturating_sub(1));
        let mut chosen: Vec<Holder> = order.iter().take(wanted).copied().collect();
        chosen.sort_unstable();
        chosen.insert(0, self.me);
        chosen
    }

    /// A candidate that is not in `holders` yet, of those one with the most memory left, by levels, in the
    /// zone that has the fewest of these; of those one that was not late.
    pub fn another(&mut self, holders: &Holders) -> Option<Holder> {
        let (known, fresh): (Vec<&Candidate>, Vec<&Candidate>) = self
            .candidates
            .iter()
            .partition(|candidate| holders.contains(&candidate.holder));
        let crowd = |zone: Zone| match zone {
            zone if zone == Zone::default() => 0,
            zone if zone == self.zone => usize::MAX,
            zone => known.iter().filter(|other| other.zone == zone).count(),
        };
        let place =
            |candidate: &Candidate| (candidate.level, crowd(candidate.zone), candidate.is_late);
        let best = fresh.iter().map(|candidate| place(candidate)).min();
        let best: Vec<Holder> = fresh
            .iter()
            .filter(|candidate| Some(place(candidate)) == best)
            .map(|candidate| candidate.holder)
            .collect();
        let pick = self.chance.below(best.len() as u64) as usize;
        best.get(pick).copied()
    }

    /// A candidate that is far from its memory budget.
    #[must_use]
    pub fn roomiest(&self) -> Option<Holder> {
        let first = self.orders.get(self.turn)?.first()?;
        let mut candidates = self.candidates.iter();
        let roomy = candidates.find(|one| one.holder == *first && one.level == 0);
        roomy.map(|one| one.holder)
    }

    /// True when [`Placement::another`] would find one.
    #[must_use]
    pub fn has_another(&self, holders: &Holders) -> bool {
        let mut candidates = self.candidates.iter();
        candidates.any(|candidate| !holders.contains(&candidate.holder))
    }

    fn draw(&mut self) -> Vec<Holder> {
        let mut order = self.candidates.clone();
        self.chance.shuffle(&mut order);
        order.sort_by_key(|one| one.is_late);
        // So many of its zone come before each.
        let mut crowds = BTreeMap::from([(self.zone, order.len())]);
        let mut placed: Vec<((u8, usize, bool), Holder)> = Vec::with_capacity(order.len());
        for one in order {
            let crowd = match one.zone {
                zone if zone == Zone::default() => 0,
                zone => {
                    let crowd = crowds.entry(zone).or_insert(0);
                    *crowd += 1;
                    *crowd - 1
                }
            };
            placed.push(((one.level, crowd, one.is_late), one.holder));
        }
        placed.sort_by_key(|(place, _)| *place);
        placed.into_iter().map(|(_, holder)| holder).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MemberId, StoreId};
    use alloc::collections::BTreeSet;

    fn holder(n: u64) -> Holder {
        Holder {
            member: MemberId(u128::from(n)),
            store: StoreId(n),
        }
    }

    fn candidate(n: u64, level: u8, zone: &str) -> Candidate {
        Candidate {
            holder: holder(n),
            level,
            zone: Zone::of(zone),
            is_late: false,
        }
    }

    fn placement(others: u64) -> Placement {
        let mut placement =
            Placement::new(holder(0), Zone::of("here"), Placing::Sticky, Chance::new(3));
        let others = (1..=others).map(|n| candidate(n, 0, ""));
        placement.set_candidates(Instant(0), others.collect());
        placement
    }

    #[test]
    fn this_member_comes_first_and_nobody_twice() {
        let mut placement = placement(4);
        for _ in 0..100 {
            let holders = placement.pick(Instant(0), 3);
            assert_eq!(holders.len(), 3);
            assert_eq!(holders[0], holder(0));
            assert_ne!(holders[1], holders[2]);
        }
    }

    #[test]
    fn orders_that_choose_the_same_members_share_one_list() {
        let mut placement = placement(2);
        let first = placement.pick(Instant(1), 3);
        for now in 2..20 {
            let next = placement.pick(Instant(now), 3);
            assert!(alloc::sync::Arc::ptr_eq(&first, &next));
        }
    }

    #[test]
    fn few_copysets_at_a_time_and_all_members_in_the_long_run() {
        let mut placement = placement(6);
        let sets = |placement: &mut Placement, now| -> BTreeSet<Vec<Holder>> {
            (0..50)
                .map(|ms| placement.pick(Instant(now + ms), 2).to_vec())
                .collect()
        };
        assert!(sets(&mut placement, 0).len() <= limits::COPYSETS);
        let long: BTreeSet<Holder> = (0..100)
            .flat_map(|round| sets(&mut placement, round * limits::COPYSET_MS))
            .flatten()
            .collect();
        assert_eq!(long.len(), 7);
    }

    #[test]
    fn each_batch_may_have_its_own_copyset() {
        let mut placement = placement(6);
        placement.placing = Placing::ShuffleEach;
        let mut sets = BTreeSet::new();
        for _ in 0..500 {
            let holders = placement.pick(Instant(0), 3);
            assert_eq!((holders.len(), holders[0]), (3, holder(0)));
            assert!(holders[1] < holders[2]);
            sets.insert(holders.to_vec());
        }
        // Every two of six.
        assert_eq!(sets.len(), 15);
        let candidates = [
            candidate(1, 2, ""),
            candidate(2, 0, ""),
            candidate(3, 0, ""),
        ];
        placement.set_candidates(Instant(1), candidates.to_vec());
        for _ in 0..50 {
            assert!(!placement.pick(Instant(1), 3).contains(&holder(1)));
        }
    }

    #[test]
    fn who_is_short_of_memory_gets_copies_only_where_others_are_too_few() {
        let mut placement = placement(0);
        let levels = [
            candidate(1, 2, ""),
            candidate(2, 0, ""),
            candidate(3, 1, ""),
            candidate(4, 0, ""),
        ];
        placement.set_candidates(Instant(0), levels.to_vec());
        let two = BTreeSet::from([holder(2), holder(4)]);
        for now in 1..50 {
            let mut chosen = |copies| -> BTreeSet<Holder> {
                let holders = placement.pick(Instant(now * 1_000), copies);
                holders.iter().skip(1).copied().collect()
            };
            assert!(chosen(2).is_subset(&two));
            assert_eq!(chosen(3), two);
            assert!(chosen(4).contains(&holder(3)));
            assert_eq!(chosen(5).len(), 4);
            let known = [holder(0), holder(2), holder(4)].into();
            assert_eq!(placement.another(&known), Some(holder(3)));
            assert!(two.contains(&placement.roomiest().unwrap()));
        }
        let levels = [candidate(1, 1, ""), candidate(2, 2, "")];
        placement.set_candidates(Instant(60_000), levels.to_vec());
        assert_eq!(placement.roomiest(), None);
    }

    #[test]
    fn each_copy_goes_to_another_zone_and_to_the_own_one_last() {
        let mut placement = placement(0);
        let zones = ["", "here", "here", "there", "there", "yonder"];
        let candidates = (1..).zip(&zones[1..]);
        let candidates = candidates.map(|(n, zone)| candidate(n, 0, zone));
        placement.set_candidates(Instant(0), candidates.collect());
        let zones_of = |holders: &[Holder]| -> Vec<&str> {
            let mut zones: Vec<&str> = holders
                .iter()
                .map(|one| zones[one.store.0 as usize])
                .collect();
            zones.sort_unstable();
            zones
        };
        let mut thirds = BTreeSet::new();
        for now in 1..200 {
            let mut chosen = |copies| placement.pick(Instant(now * 1_000), copies)[1..].to_vec();
            assert_ne!(zones_of(&chosen(2)), ["here"]);
            assert_eq!(zones_of(&chosen(3)), ["there", "yonder"]);
            assert_eq!(zones_of(&chosen(4)), ["there", "there", "yonder"]);
            assert_eq!(zones_of(&chosen(5)), ["here", "there", "there", "yonder"]);
            let known = [holder(0), holder(3)].into();
            assert_eq!(placement.another(&known), Some(holder(5)));
            let known = [holder(0), holder(3), holder(5)].into();
            assert_eq!(placement.another(&known), Some(holder(4)));
            let known = [holder(0), holder(3), holder(4), holder(5)].into();
            thirds.extend(placement.another(&known));
        }
        assert_eq!(thirds, BTreeSet::from([holder(1), holder(2)]));
    }

    #[test]
    fn who_says_no_zone_is_as_good_as_one_in_another() {
        let mut placement = placement(0);
        let candidates = [
            candidate(1, 0, ""),
            candidate(2, 0, "there"),
            candidate(3, 0, "here"),
        ];
        placement.set_candidates(Instant(0), candidates.to_vec());
        let chosen: BTreeSet<Holder> = (1..200)
            .map(|now| placement.pick(Instant(now * 1_000), 2)[1])
            .collect();
        assert_eq!(chosen, BTreeSet::from([holder(1), holder(2)]));
    }

    #[test]
    fn who_was_late_comes_after_its_like_and_before_what_is_worse_otherwise() {
        let mut placement = placement(0);
        let late = |one: Candidate| Candidate {
            is_late: true,
            ..one
        };
        let candidates = [
            late(candidate(1, 0, "there")),
            candidate(2, 0, "there"),
            late(candidate(3, 0, "yonder")),
            candidate(4, 1, ""),
            candidate(5, 0, "here"),
        ];
        placement.set_candidates(Instant(0), candidates.to_vec());
        for now in 1..50 {
            let mut chosen = |copies| placement.pick(Instant(now * 1_000), copies)[1..].to_vec();
            assert_eq!(chosen(2), [holder(2)]);
            assert_eq!(chosen(3), [holder(2), holder(3)]);
            assert_eq!(chosen(4), [holder(1), holder(2), holder(3)]);
            assert_eq!(chosen(5).last(), Some(&holder(5)));
            let known = [holder(0), holder(3)].into();
            assert_eq!(placement.another(&known), Some(holder(2)));
        }
    }

    #[test]
    fn with_too_few_candidates_the_list_is_short() {
        let mut placement = placement(1);
        assert_eq!(placement.pick(Instant(0), 5).len(), 2);
        assert_eq!(placement.another(&[holder(1)].into()), None);
    }
}
