//! This store's own life changes: the same copies under another name, or set aside (protocol.md
//! 1.1, 1.2).

use alloc::sync::Arc;
use bytes::Bytes;

use super::delivery::Headers;
use super::memory::cost;
use super::repair::SETTLE_DOWN_MS;
use super::slot::{Lessee, Place, Slot};
use super::{Alarm, Queues};
use crate::base::{MemberId, MessageId, Now, Stamp, StoreId};
use crate::copies::{Fan, Holder, Holders, Own, Terms, rank};

/// A message that an evicted member holds: it is neither given out nor deleted.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) queue: Arc<str>,
    fan: Option<Fan>,
    id: MessageId,
    pub(super) stamp: Stamp,
    body: Bytes,
    headers: Option<Headers>,
    terms: Option<Arc<Terms>>,
    attempts: u32,
    epoch: u32,
    wanted: u8,
}

impl Queues {
    /// The copies held here belong to `me` from now on: a store that came back after it was taken
    /// for gone, or a member that goes on under another identity. What was owned stays owned, one
    /// epoch higher, and every holder is told.
    pub fn rename(&mut self, now: Now, me: Holder) {
        let old = core::mem::replace(&mut self.me, me);
        self.settings.me = me;
        self.alone = [me].into();
        self.placement.renew_own(me);
        self.block_own = (u64::MAX, Own::default());
        for index in 0..self.slab.end() {
            let Some(slot) = self.slab.get_mut(index) else {
                continue;
            };
            if slot.place == Place::Free {
                continue;
            }
            slot.holders = if *slot.holders == [old] {
                self.alone.clone()
            } else {
                renamed(&slot.holders, old, me)
            };
            slot.confirmed &= !Self::bit(&slot.holders, old);
            slot.confirmed |= Self::bit(&slot.holders, me);
            if slot.own.store == old.store {
                slot.own = Own {
                    epoch: slot.own.epoch.saturating_add(1),
                    rank: rank(slot.id, me.store),
                    store: me.store,
                };
            }
        }
        self.count_all();
        self.resync_all(now);
        self.alarms.set_earlier(Alarm::Recheck, now.mono);
        self.plan_repair(now.mono + SETTLE_DOWN_MS);
    }

    /// Puts every message held here aside, for [`Queues::reclaim`]; answers how many there are now.
    /// The caller resets the room.
    pub fn set_aside(&mut self) -> usize {
        for index in 0..self.slab.end() {
            let Some(slot) = self.slab.get(index) else {
                continue;
            };
            if slot.place == Place::Free {
                continue;
            }
            let aside = Aside {
                queue: self.name(slot.queue),
                fan: self.index.fan(slot.id.origin),
                id: slot.id,
                stamp: slot.stamp,
                body: slot.body.clone(),
                headers: slot.headers.clone(),
                terms: slot.terms.clone(),
                attempts: slot.attempts,
                epoch: slot.own.epoch,
                wanted: slot.wanted,
            };
            // Counted still, when the slot is empty.
            let weight = slot.weight();
            self.aside.push(aside);
            self.charge(weight);
        }
        self.drop_purged_aside();
        self.aside.len()
    }

    /// What those set aside cost.
    pub(super) fn aside_bytes(&self) -> u64 {
        let costs = self.aside.iter();
        costs
            .map(|one| cost(one.body.len(), one.headers.as_ref(), one.terms.as_deref()))
            .sum()
    }

    /// How many messages are set aside.
    #[must_use]
    pub fn aside(&self) -> usize {
        self.aside.len()
    }

    /// Messages that were set aside are given out again by this member (with `keeps`), or dropped.
    /// Answers how many. Those that are finished, as far as is known here, are not given again; those whose
    /// queue has no room beside so many others stay set aside.
    pub fn reclaim(&mut self, now: Now, keeps: bool) -> u64 {
        if keeps && self.is_parting {
            // Taken back now, it would be dropped with the rest: once this member has left.
            self.reclaims = true;
            let aside = self.aside.iter();
            return aside.filter(|one| self.is_reclaimable(one.id)).count() as u64;
        }
        self.discharge(self.aside_bytes());
        let aside = core::mem::take(&mut self.aside);
        if !keeps {
            return aside.len() as u64;
        }
        let (mut count, mut has_dedup) = (0, false);
        for message in aside {
            if !self.is_reclaimable(message.id) {
                continue;
            }
            let Ok(queue) = self.shelf_named(&message.queue) else {
                self.aside.push(message);
                continue;
            };
            let slot = Slot {
                id: message.id,
                stamp: message.stamp,
                body: message.body,
                headers: message.headers,
                terms: message.terms,
                confirmed: 1,
                holders: self.alone.clone(),
                own: Own {
                    epoch: message.epoch.saturating_add(1),
                    rank: rank(message.id, self.me.store),
                    store: self.me.store,
                },
                lessee: Lessee::Nobody,
                queue,
                batch: 0,
                attempts: message.attempts,
                lease: 0,
                wanted: message.wanted,
                announced: 0,
                place: Place::Delayed,
            };
            count += 1;
            has_dedup |= slot.has_dedup();
            self.counters.redeliveries_evicted += 1;
            let index = self.keep(slot);
            self.keep_fan(queue, message.id, message.fan);
            self.make_ready(now, index);
            self.plan_repair(now.mono + SETTLE_DOWN_MS);
            self.serve(now, queue);
        }
        self.charge(self.aside_bytes());
        // Who held copies may have taken them over meanwhile.
        if has_dedup {
            self.tell_new_lives(now);
        }
        count
    }

    /// False for one that is finished as far as is known here, or held again.
    fn is_reclaimable(&self, id: MessageId) -> bool {
        let is_over = self.is_done(id) || self.remembered.has_ended(id);
        !is_over && self.index.get(id).is_none()
    }

    /// A member is silent: it gets no new copies until it is heard.
    pub fn peer_suspect(&mut self, now: Now, member: MemberId, is_suspect: bool) {
        if let Some(peer) = self.peers.get_mut(&member) {
            peer.is_suspect = is_suspect;
        }
        if is_suspect {
            self.doubt_home(now, member);
            self.recall_without(now, member);
        } else {
            self.tell_home_missed(now, member);
            self.plan_repair(now.mono + SETTLE_DOWN_MS);
        }
        self.choose_candidates(now);
    }

    /// Which member answers for `store`: it has it now, or serves what is left of it.
    pub(super) fn keeper_of(&self, store: StoreId) -> Option<&super::Peer> {
        let mut peers = self.peers.values();
        peers.find(|peer| peer.answers_for(store))
    }

    /// The same, if it is linked.
    pub(super) fn linked_keeper(&self, store: StoreId) -> Option<MemberId> {
        let mut peers = self.peers.iter();
        let keeper = peers.find(|(_, peer)| peer.is_linked && peer.answers_for(store));
        keeper.map(|(member, _)| *member)
    }
}

/// `holders` with `me` among them, as whoever holds a copy must be. Such a list only grows; one that
/// is full has the former name's place for it.
fn renamed(holders: &Holders, old: Holder, me: Holder) -> Holders {
    let grown = crate::copies::with(holders, &[me]);
    if grown.contains(&me) {
        return grown;
    }
    let holders = holders.iter().map(|holder| match holder {
        holder if *holder == old => me,
        holder => *holder,
    });
    holders.collect()
}
