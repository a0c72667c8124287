//! The set under admissions, leaves, evictions and retiring, merged in any order.

use super::*;

/// One member's set with its map.
struct Place {
    view: View,
    map: DotMap,
    actor: BootId,
}

fn info(life: u64) -> MemberInfo {
    MemberInfo::new(life, StoreId(life), true)
}

impl Place {
    fn new(id: u128, life: u64) -> Self {
        Self {
            view: View::new(MemberId(id), info(life)),
            map: DotMap::default(),
            actor: BootId(life),
        }
    }

    fn admit(&mut self, id: u128, life: u64) -> Option<Delta> {
        let delta = self
            .view
            .admit(&mut self.map, self.actor, MemberId(id), &info(life))?;
        self.view.reread(&self.map, &View::keys(&self.map));
        Some(delta)
    }

    fn merge(&mut self, delta: &Delta, is_whole: bool) -> Vec<Change> {
        let keys = self.map.merge(delta, is_whole);
        self.view.reread(&self.map, &keys)
    }

    fn evict(&mut self, id: u128) -> Delta {
        let delta = self
            .view
            .evict(&mut self.map, self.actor, MemberId(id))
            .unwrap();
        let keys = [key(MemberId(id)), fence_key(MemberId(id))];
        self.view.reread(&self.map, &keys);
        delta
    }

    fn ids(&self) -> Vec<u128> {
        self.view.members().keys().map(|id| id.0).collect()
    }
}

#[test]
fn a_joiner_is_written_by_the_one_who_admits_it_and_learns_all_from_it() {
    let (mut a, mut b) = (Place::new(1, 10), Place::new(2, 20));
    let delta = a.admit(2, 20).unwrap();
    assert!(a.admit(2, 20).is_none());
    assert_eq!(b.merge(&delta, false), [Change::Joined(MemberId(1))]);
    assert_eq!(a.view.members(), b.view.members());
    assert_eq!(a.map.digest(), b.map.digest());
    assert!(!b.view.is_missing(&b.map));
}

#[test]
fn a_member_that_comes_back_with_another_life_is_renewed_everywhere() {
    let (mut a, mut b, mut c) = (Place::new(1, 10), Place::new(2, 20), Place::new(3, 30));
    for (id, life) in [(2, 20), (3, 30)] {
        let delta = a.admit(id, life).unwrap();
        b.merge(&delta, false);
        c.merge(&a.map.whole(), true);
    }
    let delta = a.admit(2, 25).unwrap();
    assert_eq!(c.merge(&delta, false), [Change::Renewed(MemberId(2))]);
    assert_eq!(c.view.members()[&MemberId(2)].store(), StoreId(25));
    assert!(a.admit(2, 20).is_none(), "an older life is not written");
}

#[test]
fn one_who_was_retired_knows_it_and_comes_back_with_its_copies() {
    let (mut a, mut b) = (Place::new(1, 10), Place::new(2, 20));
    b.merge(&a.admit(2, 20).unwrap(), false);
    let removed = a.view.retire(&mut a.map, MemberId(2)).unwrap();
    a.view.reread(&a.map, &[key(MemberId(2))]);
    assert_eq!(a.ids(), [1]);
    assert!(a.view.is_retired(MemberId(2), StoreId(20)) && a.view.is_gone(MemberId(2)));
    b.merge(&removed, false);
    assert!(b.view.is_missing(&b.map) && b.view.is_absent(&b.map));
    let own = b.view.own().renewed(21, StoreId(21));
    b.view.renew(MemberId(2), own);
    let again = b.view.admit_self(&mut b.map, b.actor).unwrap();
    assert_eq!(a.merge(&again, false), [Change::Joined(MemberId(2))]);
    let kept: Vec<StoreId> = a.view.members()[&MemberId(2)].kept().collect();
    assert_eq!(kept, [StoreId(20)]);
    assert!(!a.view.is_gone(MemberId(2)) && !a.view.is_retired(MemberId(2), StoreId(21)));
    assert!(
        a.view.is_retired(MemberId(2), StoreId(20)),
        "that life is written off"
    );
}

#[test]
fn one_with_a_name_is_not_retired() {
    let (mut a, mut b) = (Place::new(1, 10), Place::new(2, 20));
    b.view.renew(
        MemberId(2),
        MemberInfo {
            is_ephemeral: false,
            ..info(20)
        },
    );
    let own = b.view.own().clone();
    a.view.admit(&mut a.map, a.actor, MemberId(2), &own);
    a.view.reread(&a.map, &View::keys(&a.map));
    assert!(a.view.retire(&mut a.map, MemberId(2)).is_none());
    assert_eq!(a.ids(), [1, 2]);
}

#[test]
fn one_who_left_is_not_brought_back_by_an_admission_at_the_same_time() {
    let (mut a, mut b, mut c) = (Place::new(1, 10), Place::new(2, 20), Place::new(3, 30));
    let by_a = a.admit(3, 30).unwrap();
    let by_b = b.admit(3, 30).unwrap();
    c.merge(&by_a, false);
    let left = c.view.depart(&mut c.map, c.actor);
    for delta in [&by_a, &by_b, &left] {
        a.merge(delta, false);
        b.merge(delta, false);
    }
    assert!(!a.ids().contains(&3));
    assert_eq!(a.map.digest(), b.map.digest());
    assert!(a.admit(3, 30).is_none(), "that life is over");
    assert!(a.admit(3, 31).is_some(), "another may come");
}

#[test]
fn one_who_was_evicted_needs_another_store_and_a_higher_incarnation() {
    let (mut a, mut b) = (Place::new(1, 10), Place::new(2, 20));
    b.merge(&a.admit(2, 20).unwrap(), false);
    let delta = a.evict(2);
    assert_eq!(a.ids(), [1]);
    assert!(
        b.merge(&delta, false)
            .contains(&Change::Fenced(MemberId(2)))
    );
    let own = b.view.own().clone();
    assert!(b.view.is_fenced(MemberId(2), own.incarnation, own.store()));
    assert!(a.admit(2, 20).is_none());
    assert!(
        a.admit(2, 19).is_none(),
        "a lower incarnation is fenced too"
    );
    assert_eq!(b.view.incarnation_needed(&b.map), Some(21));
    assert!(a.admit(2, 21).is_some());
}

#[test]
fn fences_of_two_sides_join() {
    let (mut a, mut b) = (Place::new(1, 10), Place::new(4, 40));
    a.admit(2, 20);
    b.admit(2, 22);
    let (by_a, by_b) = (a.evict(2), b.evict(2));
    a.merge(&by_b, false);
    b.merge(&by_a, false);
    assert_eq!(a.view.fence(MemberId(2)), b.view.fence(MemberId(2)));
    let fence = a.view.fence(MemberId(2)).unwrap();
    assert_eq!(fence.incarnation, 22);
    assert_eq!(fence.stores.len(), 2);
}
