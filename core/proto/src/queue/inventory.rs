//! What two members count of each other's copies, compared now and then (protocol.md 4.8, INVENTORY).
//!
//! The net under every other rule. Whatever is lost between two members, or forgotten by a rule that is
//! wrong, shows as a difference between what a holder keeps of an owner's messages and what the owner
//! counts there. Both sides sum up what they know, by buckets; of a bucket that differs each tells the
//! other all of it in claims, which settle everything else, too. A look takes bounded steps and costs
//! nothing where messages are put in and taken out; what is under way at the moment differs as well, and
//! is told in vain.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::message::{Claim, Message};
use super::slot::{Place, Slot};
use super::takeover::add_claim;
use super::{Alarm, Queues, Settings, limits};
use crate::base::{Error, ErrorKind, Instant, MemberId, MessageId, Now, Result, StoreId};
use crate::copies::{Holder, rank, signature};

/// Into so many buckets goes what a member holds; blocks of neighbouring ids stay together.
const BUCKETS: u32 = 1_024;
/// So many buckets that differ are told of in one round; the others differ in the next one still.
const DIFFERENCES_MAX: usize = 64;

/// What the sender counts together with the receiver, by buckets.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Inventory {
    /// True for what the sender owns and the receiver is said to hold, false for copies of the receiver's.
    #[prost(bool, tag = "1")]
    pub is_owners: bool,
    /// Which buckets have something, in rising order.
    #[prost(uint32, repeated, tag = "2")]
    pub buckets: Vec<u32>,
    /// The wrapping sum of the signatures of what is in each.
    #[prost(fixed64, repeated, tag = "3")]
    pub sums: Vec<u64>,
}

/// The sender counts otherwise, and tells what it knows of these buckets: so is the receiver to.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Differ {
    /// Which, in rising order.
    #[prost(uint32, repeated, tag = "1")]
    pub buckets: Vec<u32>,
}

fn are_buckets(buckets: &[u32]) -> bool {
    let is_rising = buckets.windows(2).all(|pair| match pair {
        [first, second] => first < second,
        _ => true,
    });
    is_rising && buckets.last().is_none_or(|last| *last < BUCKETS)
}

impl Inventory {
    /// What was decoded, when it is within the limits. Errors: 503.
    pub fn checked(self) -> Result<Self> {
        if are_buckets(&self.buckets) && self.buckets.len() == self.sums.len() {
            return Ok(self);
        }
        Err(Error::new(ErrorKind::Corrupt).because("an inventory of unknown buckets"))
    }
}

impl Differ {
    /// What was decoded, when it is within the limits. Errors: 503.
    pub fn checked(self) -> Result<Self> {
        if are_buckets(&self.buckets) && self.buckets.len() <= DIFFERENCES_MAX {
            return Ok(self);
        }
        Err(Error::new(ErrorKind::Corrupt).because("a difference of unknown buckets"))
    }
}

type Sums = BTreeMap<u32, u64>;

/// Another member's inventory, and this one's own count of the same.
#[derive(Debug)]
struct Comparison {
    theirs: Sums,
    ours: Sums,
    cursor: u32,
}

/// Buckets that differ.
#[derive(Debug, Default)]
struct Telling {
    buckets: BTreeSet<u32>,
    cursor: u32,
}

/// The looks under way.
#[derive(Debug, Default)]
pub(super) struct Inventories {
    cursor: u32,
    /// Summed up so far for each member: what is owned here, and what it owns.
    sums: BTreeMap<(MemberId, bool), Sums>,
    /// Owners that nobody linked answers for.
    strays: BTreeSet<StoreId>,
    compared: BTreeMap<(MemberId, bool), Comparison>,
    told: BTreeMap<MemberId, Telling>,
}

/// When a store looks next. Members of a cluster that began together do not all look at one moment.
pub(super) fn next_look(settings: &Settings, now: Now) -> Instant {
    let after = settings.inventory_after;
    let early = settings.me.store.0 % (after / 4).max(1);
    now.mono + (after - early)
}

fn bucket(id: MessageId) -> u32 {
    (rank(id, StoreId::default()) % u64::from(BUCKETS)) as u32
}

fn add(sums: &mut Sums, slot: &Slot) {
    let sum = sums.entry(bucket(slot.id)).or_default();
    *sum = sum.wrapping_add(signature(slot.id, slot.own));
}

impl Queues {
    fn plan_inventory(&mut self, now: Now) {
        self.alarms
            .set(Alarm::Inventory, next_look(&self.settings, now));
    }

    fn step_end(&self, cursor: u32) -> u32 {
        let end = cursor.saturating_add(limits::STEP_MESSAGES_MAX as u32);
        self.slab.end().min(end)
    }

    /// One bounded step of summing up what is held here.
    pub(super) fn inventory_step(&mut self, now: Now) {
        if self.is_leaving() {
            // What is on its way is neither here nor there.
            self.inventories = Inventories::default();
            return self.plan_inventory(now);
        }
        let mut looks = core::mem::take(&mut self.inventories);
        let end = self.step_end(looks.cursor);
        // Neighbours have one owner, mostly.
        let mut known = (StoreId::default(), None);
        for index in looks.cursor..end {
            let Some(slot) = self.slab.get(index) else {
                continue;
            };
            let store = slot.own.store;
            if store == self.me.store {
                self.sum_up_owned(slot, &mut looks.sums);
            } else if slot.place == Place::Standby {
                if known.0 != store {
                    known = (store, self.linked_keeper(store));
                }
                match known.1 {
                    Some(owner) => add(looks.sums.entry((owner, false)).or_default(), slot),
                    None => drop(looks.strays.insert(store)),
                }
            }
        }
        looks.cursor = end;
        let is_over = end >= self.slab.end();
        self.inventories = looks;
        if is_over {
            self.send_inventories(now);
        } else {
            self.alarms.set(Alarm::Inventory, now.mono);
        }
    }

    fn sum_up_owned(&self, slot: &Slot, sums: &mut BTreeMap<(MemberId, bool), Sums>) {
        for (place, holder) in slot.holders.iter().enumerate() {
            let is_counted = slot.confirmed & (1 << place) != 0 && self.is_linked(*holder);
            if is_counted && *holder != self.me {
                add(sums.entry((holder.member, true)).or_default(), slot);
            }
        }
    }

    fn send_inventories(&mut self, now: Now) {
        self.inventories.cursor = 0;
        for ((member, is_owners), sums) in core::mem::take(&mut self.inventories.sums) {
            let (buckets, sums) = sums.into_iter().unzip();
            let inventory = Inventory {
                is_owners,
                buckets,
                sums,
            };
            self.counters.inventories += 1;
            self.send(member, Message::Inventory(inventory));
        }
        // A takeover is a level, not an event: whatever hid that these are without an owner.
        for store in core::mem::take(&mut self.inventories.strays) {
            self.watch(now, store);
        }
        self.plan_inventory(now);
    }

    /// A member says what it counts together with this one.
    pub(super) fn on_inventory(&mut self, now: Now, from: MemberId, inventory: Inventory) {
        if self.is_leaving() || !self.peers.contains_key(&from) {
            return;
        }
        let comparison = Comparison {
            theirs: inventory.buckets.into_iter().zip(inventory.sums).collect(),
            ours: Sums::new(),
            cursor: 0,
        };
        let key = (from, inventory.is_owners);
        self.inventories.compared.insert(key, comparison);
        self.alarms
            .set(Alarm::Compare(from, inventory.is_owners), now.mono);
    }

    /// One bounded step of counting the same here.
    pub(super) fn compare_step(&mut self, now: Now, from: MemberId, is_owners: bool) {
        let key = (from, is_owners);
        let Some(mut comparison) = self.inventories.compared.remove(&key) else {
            return;
        };
        let end = self.step_end(comparison.cursor);
        for index in comparison.cursor..end {
            if let Some(slot) = self.slab.get(index)
                && self.is_shared(slot, from, is_owners)
            {
                add(&mut comparison.ours, slot);
            }
        }
        comparison.cursor = end;
        if end < self.slab.end() {
            self.inventories.compared.insert(key, comparison);
            return self.alarms.set(Alarm::Compare(from, is_owners), now.mono);
        }
        let Comparison { theirs, ours, .. } = comparison;
        let all = theirs.keys().chain(ours.keys());
        let differ: BTreeSet<u32> = all
            .copied()
            .filter(|bucket| theirs.get(bucket) != ours.get(bucket))
            .collect();
        let buckets: Vec<u32> = differ.into_iter().take(DIFFERENCES_MAX).collect();
        if !buckets.is_empty() {
            self.counters.inventory_differences += buckets.len() as u64;
            self.send(
                from,
                Message::Differ(Differ {
                    buckets: buckets.clone(),
                }),
            );
            self.tell_buckets(now, from, buckets);
        }
    }

    /// True for what two members count together: what this one owns and the other has confirmed, or what
    /// the other owns and this one holds.
    fn is_shared(&self, slot: &Slot, with: MemberId, is_theirs: bool) -> bool {
        let Some(peer) = self.peers.get(&with) else {
            return false;
        };
        if is_theirs {
            return slot.place == Place::Standby && peer.answers_for(slot.own.store);
        }
        let holder = Holder {
            member: with,
            store: peer.store,
        };
        slot.own.store == self.me.store && slot.confirmed & Self::bit(&slot.holders, holder) != 0
    }

    /// A member counts otherwise.
    pub(super) fn on_differ(&mut self, now: Now, from: MemberId, differ: Differ) {
        if !self.is_leaving() && self.peers.contains_key(&from) {
            self.tell_buckets(now, from, differ.buckets);
        }
    }

    fn tell_buckets(&mut self, now: Now, to: MemberId, buckets: Vec<u32>) {
        let telling = self.inventories.told.entry(to).or_default();
        telling.buckets.extend(buckets);
        telling.cursor = 0;
        self.alarms.set(Alarm::Tell(to), now.mono);
    }

    /// One bounded step of telling a member all that is known here of the buckets that differ.
    pub(super) fn tell_step(&mut self, now: Now, to: MemberId) {
        let Some(mut telling) = self.inventories.told.remove(&to) else {
            return;
        };
        let holder = Holder {
            member: to,
            store: self.store_of(to),
        };
        let end = self.step_end(telling.cursor);
        let mut claims: Vec<Claim> = Vec::new();
        for index in telling.cursor..end {
            let Some(slot) = self.slab.get(index) else {
                continue;
            };
            if !telling.buckets.contains(&bucket(slot.id)) {
                continue;
            }
            let is_settled = !matches!(slot.place, Place::Replicating | Place::Moving);
            let is_own = slot.own.store == self.me.store && slot.holders.contains(&holder);
            if is_settled && is_own || self.is_shared(slot, to, true) {
                add_claim(&mut claims, slot.id, slot.own, &slot.holders);
            }
        }
        for claim in claims {
            self.send(to, Message::Claim(claim));
        }
        telling.cursor = end;
        if end < self.slab.end() {
            self.inventories.told.insert(to, telling);
            self.alarms.set(Alarm::Tell(to), now.mono);
        }
    }

    /// A link is gone: all of this is said anew when there is another.
    pub(super) fn drop_inventories_with(&mut self, member: MemberId) {
        self.inventories.compared.remove(&(member, true));
        self.inventories.compared.remove(&(member, false));
        self.inventories.told.remove(&member);
    }
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
