//! Who gets the copies: shuffled, but sticky (protocol.md 4.3, 3.).
//!
//! A member keeps a few shuffled orders of its candidates, gives each millisecond's messages the next
//! one (so that neighbours share holders, and with them their frames), and draws one anew every ten
//! seconds. Shuffling each message would make any simultaneous loss of W members
//! lose something; few copysets at a time make that rare (Cidon et al., ATC 2013). It also lets all
//! messages of a copyset share one list of holders. Who is nearer to its memory budget comes later in each
//! order: it gets copies only where there are too few others.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::holder::{Holder, Holders};
use crate::base::{Chance, Instant, limits};

/// A member's copysets.
#[derive(Debug)]
pub struct Placement {
    me: Holder,
    /// Each with its memory level.
    candidates: Vec<(Holder, u8)>,
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
    /// Copysets of `me` alone.
    #[must_use]
    pub fn new(me: Holder, chance: Chance) -> Self {
        Self {
            me,
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

    /// Sets who can take a copy now, in a stable order, each with its memory level; all copysets are drawn
    /// anew when that changed.
    pub fn set_candidates(&mut self, now: Instant, candidates: Vec<(Holder, u8)>) {
        if candidates == self.candidates {
            return;
        }
        self.candidates = candidates;
        self.made.clear();
        self.orders = (0..limits::COPYSETS)
            .map(|_| Self::draw(&self.candidates, &mut self.chance))
            .collect();
        self.renew = now + limits::COPYSET_MS;
    }

    /// How many others can take a copy now.
    #[must_use]
    pub fn candidate_count(&self) -> usize {
        self.candidates.len()
    }

    /// The holders of the next batch: this member first, then up to `copies - 1` others.
    pub fn pick(&mut self, now: Instant, copies: u16) -> Holders {
        if now >= self.renew && !self.orders.is_empty() {
            self.oldest = (self.oldest + 1) % self.orders.len();
            let order = self.oldest;
            if let Some(stale) = self.orders.get_mut(order) {
                *stale = Self::draw(&self.candidates, &mut self.chance);
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
        let wanted = usize::from(copies.saturating_sub(1));
        let mut chosen: Vec<Holder> = others.iter().take(wanted).copied().collect();
        // Two orders may choose the same members: then they are one list, and one frame.
        chosen.sort_unstable();
        chosen.insert(0, self.me);
        let known = self.made.values().find(|made| ***made == *chosen).cloned();
        let holders = known.unwrap_or_else(|| chosen.into());
        self.made.insert(key, holders.clone());
        holders
    }

    /// A candidate that is not in `holders` yet, of those the one with the most memory left, by levels.
    pub fn another(&mut self, holders: &Holders) -> Option<Holder> {
        let fresh = || {
            let candidates = self.candidates.iter();
            candidates.filter(|(holder, _)| !holders.contains(holder))
        };
        let least = fresh().map(|(_, level)| *level).min();
        let roomy: Vec<Holder> = fresh()
            .filter(|(_, level)| Some(*level) == least)
            .map(|(holder, _)| *holder)
            .collect();
        let pick = self.chance.below(roomy.len() as u64) as usize;
        roomy.get(pick).copied()
    }

    /// A candidate that is far from its memory budget.
    #[must_use]
    pub fn roomiest(&self) -> Option<Holder> {
        let first = self.orders.get(self.turn)?.first()?;
        let mut candidates = self.candidates.iter();
        let roomy = candidates.find(|(holder, level)| holder == first && *level == 0);
        roomy.map(|(holder, _)| *holder)
    }

    /// True when [`Placement::another`] would find one.
    #[must_use]
    pub fn has_another(&self, holders: &Holders) -> bool {
        let mut candidates = self.candidates.iter();
        candidates.any(|(candidate, _)| !holders.contains(candidate))
    }

    fn draw(candidates: &[(Holder, u8)], chance: &mut Chance) -> Vec<Holder> {
        let mut order = candidates.to_vec();
        chance.shuffle(&mut order);
        order.sort_by_key(|(_, level)| *level);
        order.into_iter().map(|(holder, _)| holder).collect()
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

    fn placement(others: u64) -> Placement {
        let mut placement = Placement::new(holder(0), Chance::new(3));
        let others = (1..=others).map(|n| (holder(n), 0));
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
    fn who_is_short_of_memory_gets_copies_only_where_others_are_too_few() {
        let mut placement = placement(0);
        let levels = [
            (holder(1), 2),
            (holder(2), 0),
            (holder(3), 1),
            (holder(4), 0),
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
        let levels = [(holder(1), 1), (holder(2), 2)];
        placement.set_candidates(Instant(60_000), levels.to_vec());
        assert_eq!(placement.roomiest(), None);
    }

    #[test]
    fn with_too_few_candidates_the_list_is_short() {
        let mut placement = placement(1);
        assert_eq!(placement.pick(Instant(0), 5).len(), 2);
        assert_eq!(placement.another(&[holder(1)].into()), None);
    }
}
