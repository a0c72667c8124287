//! Owners that went: a holder takes their messages over (protocol.md 4.6).
//!
//! A level, not an event: as long as a copy's owner is no current store of a member that can be
//! reached, and has been so for `takeover_after`, its queue's or the member's, its highest ranked
//! reachable holder takes it; the next ranked waits two seconds more. In bounded steps, so that a
//! crash with millions of messages is no storm.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::message::{Claim, Message};
use super::repair::SETTLE_DOWN_MS;
use super::slot::{Lessee, Place};
use super::{Alarm, Out, Queues, limits};
use crate::base::{Instant, MemberId, MessageId, Millis, Now, QueueKey, StoreId};
use crate::copies::{Holder, Holders, Own, Refused, ReplNo, ReplOk, rank};
use crate::wire::Ids;

/// A lost owner's copies being looked at.
#[derive(Debug)]
pub(super) struct Sweep {
    /// Since when the owner cannot be reached; none where it is lost for good: nobody waits for that one.
    since: Option<Instant>,
    /// Before, nothing is taken: when this began, and a little, so that not all holders act at one moment.
    begun: Instant,
    cursor: u32,
    /// When the first of those is due that were left, to patience or to a holder that ranks higher.
    next: Instant,
    taken: u64,
    /// Some of those of this round have dedup keys.
    has_dedup: bool,
}

impl Sweep {
    /// When a copy may be taken whose queue waits for so long, behind so many other holders.
    fn due(&self, patience: Millis, ahead: u64) -> Instant {
        let waited = self.since.map_or(self.begun, |since| since + patience);
        waited.max(self.begun) + ahead * limits::TAKEOVER_RANK_MS
    }
}

impl Queues {
    /// Looks whether `store` still answers for its messages; if not, sees to its sweep.
    pub(super) fn watch(&mut self, now: Now, store: StoreId) {
        if store == self.me.store || store == StoreId::default() || self.sweeps.contains_key(&store)
        {
            return;
        }
        let owner = self.keeper_of(store);
        let since = match owner.map(|peer| peer.unreachable_since) {
            Some(None) => return,
            Some(since) => since,
            // Its member has another store now, or left: it is lost, there is nothing to wait for.
            None => None,
        };
        let sweep = Sweep {
            since,
            begun: now.mono + self.chance.below(200),
            cursor: 0,
            next: Instant::NEVER,
            taken: 0,
            has_dedup: false,
        };
        self.alarms
            .set(Alarm::Sweep(store), sweep.due(self.least_patience(), 0));
        self.sweeps.insert(store, sweep);
    }

    /// How long the owner of a queue's messages may be out of reach before others take them over.
    fn patience(&self, queue: QueueKey) -> Millis {
        let own = self.rules(queue).and_then(|rules| rules.takeover_after);
        own.unwrap_or(self.settings.takeover_after)
    }

    fn least_patience(&self) -> Millis {
        let rules = self.shelves.iter().filter_map(|shelf| shelf.rules.as_ref());
        let least = rules.filter_map(|rules| rules.takeover_after).min();
        least.map_or(self.settings.takeover_after, |least| {
            least.min(self.settings.takeover_after)
        })
    }

    /// Queues have other settings: what is due by them is due at once.
    pub(super) fn sweep_again(&mut self, now: Now) {
        let stores: Vec<StoreId> = self.sweeps.keys().copied().collect();
        for store in stores {
            self.alarms.set_earlier(Alarm::Sweep(store), now.mono);
        }
    }

    /// One bounded step through the messages held here.
    pub(super) fn sweep(&mut self, now: Now, store: StoreId) {
        let Some(sweep) = self.sweeps.get(&store) else {
            return;
        };
        let cursor = sweep.cursor;
        let end = self
            .slab
            .end()
            .min(cursor + limits::STEP_MESSAGES_MAX as u32);
        let mut taken = Vec::new();
        let mut next = Instant::NEVER;
        let mut has_dedup = false;
        for index in cursor..end {
            let Some(slot) = self.slab.get(index) else {
                continue;
            };
            if slot.place != Place::Standby || slot.own.store != store {
                continue;
            }
            let ahead = self.ranked_higher(slot.id, &slot.holders);
            let due = sweep.due(self.patience(slot.queue), ahead);
            if due <= now.mono {
                taken.push(index);
                has_dedup |= slot.has_dedup();
            } else {
                next = next.min(due);
            }
        }
        let count = taken.len() as u64;
        self.take_over(now, &taken);
        let is_over = end >= self.slab.end();
        let Some(sweep) = self.sweeps.get_mut(&store) else {
            return;
        };
        sweep.taken += count;
        sweep.has_dedup |= has_dedup;
        sweep.next = sweep.next.min(next);
        sweep.cursor = if is_over { 0 } else { end };
        if !is_over {
            return self.alarms.set(Alarm::Sweep(store), now.mono);
        }
        let next = core::mem::replace(&mut sweep.next, Instant::NEVER);
        let taken = sweep.taken;
        if core::mem::take(&mut sweep.has_dedup) {
            self.tell_new_lives(now);
        }
        if next != Instant::NEVER {
            return self.alarms.set(Alarm::Sweep(store), next);
        }
        self.sweeps.remove(&store);
        if taken > 0 {
            let owner = self.peers.iter().find(|(_, peer)| peer.store == store);
            let owner = owner.map(|(member, _)| *member).unwrap_or_default();
            self.out.push(Out::TookOver(owner, taken));
        }
    }

    /// How many reachable holders rank above this one for a message.
    fn ranked_higher(&self, id: MessageId, holders: &Holders) -> u64 {
        let mine = (rank(id, self.me.store), self.me.store);
        let higher = holders.iter().filter(|holder| {
            **holder != self.me
                && self.is_linked(**holder)
                && (rank(id, holder.store), holder.store) > mine
        });
        higher.count() as u64
    }

    /// Makes these copies this member's own, tells the other holders, and gives them out.
    pub(super) fn take_over(&mut self, now: Now, indexes: &[u32]) {
        let mut claims: Vec<Claim> = Vec::new();
        let mut queues = BTreeSet::new();
        for index in indexes {
            let me = self.me;
            let Some(slot) = self.slab.get_mut(*index) else {
                continue;
            };
            let was_counted = slot.own.store == me.store;
            let (queue, bytes) = (slot.queue, slot.body.len());
            slot.own = Own {
                epoch: slot.own.epoch.saturating_add(1),
                rank: rank(slot.id, me.store),
                store: me.store,
            };
            slot.confirmed = Self::bit(&slot.holders, me);
            slot.announced = 0;
            let id = slot.id;
            add_claim(&mut claims, slot.id, slot.own, &slot.holders);
            self.counters.takeovers += 1;
            self.counters.redeliveries_takeover += 1;
            if !was_counted {
                self.count_one(queue, bytes);
            }
            match self.out_until(now, id) {
                Some(until) => self.wait_for_consumer(now, *index, until),
                None => queues.extend(self.make_ready(now, *index)),
            }
        }
        for claim in claims {
            self.send_claim(&claim, None);
        }
        self.plan_repair(now.mono + SETTLE_DOWN_MS);
        for queue in queues {
            self.serve(now, queue);
        }
    }

    /// Somebody has a message that was taken over: nobody else gets it before that lease is over.
    fn wait_for_consumer(&mut self, now: Now, index: u32, until: Instant) {
        if let Some(slot) = self.slab.get_mut(index) {
            slot.place = Place::Delayed;
            self.wheel.set(index, until.min(slot.expiry(now)));
            self.counters.takeovers_leased += 1;
        }
        self.hold_in_line(index);
    }

    /// Tells a claim to every linked holder but this member and `except`.
    pub(super) fn send_claim(&mut self, claim: &Claim, except: Option<Holder>) {
        for holder in claim.holders.iter() {
            if *holder != self.me && Some(*holder) != except && self.is_linked(*holder) {
                self.send(holder.member, Message::Claim(claim.clone()));
            }
        }
    }

    /// A member claims messages.
    pub(super) fn on_claim(&mut self, now: Now, from: MemberId, claim: &Claim) {
        let mut higher: Vec<Claim> = Vec::new();
        let (mut kept, mut lacking) = (Ids::none(claim.ids.origin), Ids::none(claim.ids.origin));
        for id in claim.ids.iter() {
            if self.is_done(id) {
                self.tell_done(now, from, id, &claim.holders);
                continue;
            }
            let Some(index) = self.index.get(id) else {
                lacking.push(id.sequence, id.sequence);
                continue;
            };
            let had = self.slab.get(index).map(|slot| slot.own);
            self.merge_copy(now, index, claim.own, &claim.holders);
            self.tell_other_owner(id, had.unwrap_or_default());
            if let Some(slot) = self.slab.get(index)
                && slot.own > claim.own
            {
                add_claim(&mut higher, id, slot.own, &slot.holders);
            } else {
                kept.push(id.sequence, id.sequence);
            }
        }
        // By a former name of its copies or of this member itself it may be, too.
        let mut named = claim.holders.iter();
        let owner = named.find(|holder| holder.store == claim.own.store);
        let is_mine = claim.own.store == self.me.store
            || owner.is_some_and(|owner| owner.member == self.me.member);
        if is_mine {
            // Its holder takes them over: nobody else would give them out.
            self.send_lacks(from, lacking);
        } else {
            self.answer_claim(claim, kept, lacking);
        }
        for claim in higher {
            self.send(from, Message::Claim(claim));
        }
        self.watch(now, claim.own.store);
    }

    /// The owner of copies that came from another hears where they are.
    pub(super) fn tell_owner(&mut self, own: Own, holders: &Holders, ids: &Ids) {
        if let Some(owner) = self.linked_keeper(own.store)
            && !ids.is_empty()
        {
            let (ids, holders) = (ids.clone(), holders.clone());
            self.send(owner, Message::Claim(Claim { ids, own, holders }));
        }
    }

    /// The owner hears which of the messages that are its own now are held here, and which are not.
    fn answer_claim(&mut self, claim: &Claim, kept: Ids, lacking: Ids) {
        let Some(owner) = self.linked_keeper(claim.own.store) else {
            return;
        };
        if !kept.is_empty() {
            let (ids, store) = (kept, self.me.store);
            let epoch = claim.own.epoch;
            self.send(owner, Message::ReplOk(ReplOk { ids, store, epoch }));
        }
        self.send_lacks(owner, lacking);
    }

    pub(super) fn send_lacks(&mut self, to: MemberId, ids: Ids) {
        if !ids.is_empty() {
            let reason = Refused::Lacks;
            self.send(to, Message::ReplNo(ReplNo { ids, reason }));
        }
    }

    /// Joins what another says of a message held here: more holders, a higher ownership. One that
    /// loses it keeps the copy; acks of its leases still count.
    pub(super) fn merge_copy(&mut self, now: Now, index: u32, own: Own, holders: &Holders) {
        let me = self.me;
        let Some(slot) = self.slab.get_mut(index) else {
            return;
        };
        slot.holders = crate::copies::with(&slot.holders, holders);
        if own <= slot.own {
            return;
        }
        let had = core::mem::replace(&mut slot.own, own);
        let (queue, bytes, place) = (slot.queue, slot.body.len(), slot.place);
        match (had.store == me.store, own.store == me.store) {
            (true, false) if place != Place::Dying => self.discount_one(queue, bytes),
            (false, true) => self.count_one(queue, bytes),
            _ => {}
        }
        let Some(slot) = self.slab.get_mut(index) else {
            return;
        };
        if own.store == me.store {
            if slot.place == Place::Standby {
                slot.confirmed = Self::bit(&slot.holders, me);
                self.plan_repair(now.mono + SETTLE_DOWN_MS);
                if let Some(queue) = self.make_ready(now, index) {
                    self.serve(now, queue);
                }
            }
        } else if had.store == me.store && slot.place != Place::Moving {
            self.counters.owner_conflicts += 1;
            self.demote(now, index);
        }
    }

    fn demote(&mut self, now: Now, index: u32) {
        self.unlist(now, index);
        self.stand_by(now, index);
    }

    /// A message of another owner's from now on, on no list.
    pub(super) fn stand_by(&mut self, now: Now, index: u32) {
        if let Some(slot) = self.slab.get_mut(index) {
            slot.place = Place::Standby;
            let expiry = slot.standby_expiry(now);
            if expiry != Instant::NEVER {
                self.wheel.set(index, expiry);
            }
        }
    }

    /// Takes a message off its ready list, its lease or its batch; the caller gives it a new place.
    pub(super) fn unlist(&mut self, now: Now, index: u32) {
        let Some(slot) = self.slab.get_mut(index) else {
            return;
        };
        let place = core::mem::replace(&mut slot.place, Place::Standby);
        let lessee = core::mem::take(&mut slot.lessee);
        let (id, batch, confirmed) = (slot.id, slot.batch, slot.confirmed);
        self.wheel.clear(index);
        if place == Place::Ready || slot.key().is_some() {
            self.delist_at(index, place);
        }
        match place {
            Place::Replicating => self.batch_moved_one(now, batch, confirmed),
            Place::Dying => drop(self.dying.remove(&id)),
            Place::Leased => {
                // The consumer still has it: its credit is free when the lease would have run out.
                if let Lessee::Here(Some(session)) = lessee {
                    self.look_at_session(now, session);
                }
            }
            _ => {}
        }
    }

    /// A peer is linked again: it hears which of its messages were taken over meanwhile, and what
    /// consumers of its former boot held is given to others.
    pub(super) fn resync(&mut self, now: Now, member: MemberId) {
        let Some(peer) = self.peers.get(&member) else {
            return;
        };
        let holder = Holder {
            member,
            store: peer.store,
        };
        let (from, lost_boot, tag) = (peer.resync_from, peer.lost_boot, peer.boot.0 as u32);
        let was_gone = peer.was_gone;
        let kept = peer.kept.clone();
        let end = self.slab.end().min(from + limits::STEP_MESSAGES_MAX as u32);
        let mut claims = Vec::new();
        let mut freed = Vec::new();
        for index in from..end {
            let Some(slot) = self.slab.get(index) else {
                continue;
            };
            let is_owned = slot.own.store == self.me.store;
            let is_confirmed = slot.confirmed & Self::bit(&slot.holders, holder) != 0;
            // What it does not know it owns no more, and what it has not said that it keeps.
            let is_settled = slot.place != Place::Replicating;
            let is_doubtful = slot.own.epoch > 0 || !is_confirmed || was_gone;
            let is_to_tell = is_owned && is_settled && is_doubtful;
            if is_to_tell && slot.place != Place::Moving && slot.holders.contains(&holder) {
                add_claim(&mut claims, slot.id, slot.own, &slot.holders);
            }
            // Its owner may have finished this without waiting for a store that it took for gone, may
            // never have heard of the copy, or may have come back since and know nothing of it.
            let is_its_copy = slot.own.store == holder.store || kept.contains(&slot.own.store);
            if slot.place == Place::Standby && is_its_copy {
                add_claim(&mut claims, slot.id, slot.own, &slot.holders);
            }
            let is_its = slot.place == Place::Leased && slot.lessee == Lessee::There(member);
            if lost_boot && is_its && slot.batch != tag {
                freed.push(index);
            }
        }
        for claim in claims {
            self.send(member, Message::Claim(claim));
        }
        let queues: BTreeSet<QueueKey> = freed
            .into_iter()
            .filter_map(|index| self.make_ready(now, index))
            .collect();
        for queue in queues {
            self.serve(now, queue);
        }
        let is_over = end >= self.slab.end();
        if let Some(peer) = self.peers.get_mut(&member) {
            peer.resync_from = if is_over { 0 } else { end };
            peer.lost_boot &= !is_over;
            peer.was_gone &= !is_over;
        }
        if !is_over {
            self.alarms.set(Alarm::Resync(member), now.mono);
        }
    }
}

/// Adds an id to the claim that says the same, or begins one.
pub(super) fn add_claim(claims: &mut Vec<Claim>, id: MessageId, own: Own, holders: &Holders) {
    let last = claims.last_mut().filter(|claim| {
        claim.own == own && claim.ids.origin == id.origin && claim.holders == *holders
    });
    match last {
        Some(claim) => claim.ids.push(id.sequence, id.sequence),
        None => claims.push(Claim {
            ids: Ids::one(id),
            own,
            holders: holders.clone(),
        }),
    }
}

#[cfg(test)]
#[path = "takeover_tests.rs"]
mod tests;
