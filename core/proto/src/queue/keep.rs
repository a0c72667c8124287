//! The holder's side: copies of other owners' messages (protocol.md 4.3, 4.5 on REPL).

use alloc::vec::Vec;
use smallvec::SmallVec;

use super::memory::cost;
use super::message::Message;
use super::repair::SETTLE_DOWN_MS;
use super::slot::{Lessee, Place, Slot};
use super::{Queues, limits};
use crate::base::{BootId, Instant, MemberId, MessageId, Now, QueueKey};
use crate::copies::{Fan, Holders, Item, Owed, Own, Refused, Repl, ReplNo, ReplOk, rank};
use crate::wire::Ids;

impl Queues {
    /// Another owner asks this store to keep copies.
    pub(super) fn on_repl(&mut self, now: Now, from: MemberId, repl: Repl) {
        let origin = repl.section.origin;
        let holders = crate::copies::with(&repl.section.holders, &[self.me]);
        // Where the set is full: what cannot be counted is not kept.
        let is_counted = holders.contains(&self.me);
        let fans = self.fans(origin, (&repl.queue, &repl.owed));
        let Some(mut fans) = fans.filter(|_| is_counted) else {
            return self.refuse_copies(from, &repl);
        };
        let own = repl.section.own;
        let wanted = repl.wanted.min(limits::COPIES_MAX) as u8;
        let last = fans.pop();
        for fan in fans {
            let items = repl.section.items.clone();
            self.keep_copies(now, from, (fan, origin), (own, wanted, &holders), items);
        }
        if let Some(fan) = last {
            let items = repl.section.items;
            self.keep_copies(now, from, (fan, origin), (own, wanted, &holders), items);
        }
    }

    /// Keeps copies of one queue or group, and answers.
    fn keep_copies(
        &mut self,
        now: Now,
        from: MemberId,
        ((queue, fan), source): ((QueueKey, Option<Fan>), BootId),
        (own, wanted, holders): (Own, u8, &Holders),
        items: SmallVec<[Item; 1]>,
    ) {
        let origin = fan.map_or(source, |fan| fan.origin());
        let mut kept = Ids::none(origin);
        let mut refused = Ids::none(origin);
        let is_leaving = self.is_leaving();
        for item in items {
            let sequence = item.sequence;
            let id = MessageId { origin, sequence };
            // In a group the owner's rank is that of the group's id.
            let rank = fan.map_or(own.rank, |_| rank(id, own.store));
            let own = Own { rank, ..own };
            if self.is_done(id) {
                // Who finished it without a copy knows only now until when its dedup key holds.
                self.note_end(now, queue, id, item.terms.as_deref());
                self.tell_done(now, from, id, holders);
                continue;
            }
            // Also in a group that is not known here yet: the message itself was never given out.
            let source = MessageId {
                origin: source,
                sequence,
            };
            if self.is_unborn(id) || self.is_unborn(source) {
                refused.push(sequence, sequence);
                continue;
            }
            let _ = self.clock.hear(now, item.stamp);
            if is_leaving && own.store == self.me.store {
                // Handed over by one that leaves as well: it has to find somebody who stays.
                refused.push(sequence, sequence);
                continue;
            }
            let is_at_most_once = item
                .terms
                .as_ref()
                .is_some_and(|terms| terms.is_at_most_once);
            if let Some(index) = self.index.get(id) {
                let had = self.slab.get(index).map(|slot| slot.own);
                self.merge_copy(now, index, own, holders);
                self.tell_other_owner(id, had.unwrap_or_default());
                self.tell_other_owner(id, own);
            } else if is_leaving || item.body.is_none() || !self.fits(&item) {
                refused.push(sequence, sequence);
                continue;
            } else {
                self.keep_copy(now, (queue, fan), (id, own, wanted), holders, item);
            }
            // Who moved that one here finished it first, and would say so to anyone who keeps it.
            if !is_at_most_once {
                kept.push(sequence, sequence);
            }
        }
        self.answer_copies(now, from, own, holders, (kept, refused));
    }

    fn answer_copies(
        &mut self,
        now: Now,
        from: MemberId,
        own: Own,
        holders: &Holders,
        (kept, refused): (Ids, Ids),
    ) {
        if own.store != self.store_of(from) {
            for (own, ids) in by_rank(own, &kept) {
                self.tell_owner(own, holders, &ids);
            }
        }
        if !kept.is_empty() {
            let (ids, store, epoch) = (kept, self.me.store, own.epoch);
            self.send(from, Message::ReplOk(ReplOk { ids, store, epoch }));
        }
        if !refused.is_empty() {
            self.counters.copies_refused += refused.count();
            let reason = if self.is_leaving() {
                Refused::Leaving
            } else {
                Refused::Memory
            };
            let ids = refused;
            self.send(from, Message::ReplNo(ReplNo { ids, reason }));
        }
        self.watch(now, own.store);
    }

    fn fits(&self, item: &Item) -> bool {
        let body = item.body.as_ref().map_or(0, |body| body.len());
        let cost = cost(body, item.headers.as_ref(), item.terms.as_deref());
        self.check_memory(cost).is_ok()
    }

    /// Refuses all of them, in each of their groups.
    fn refuse_copies(&mut self, to: MemberId, repl: &Repl) {
        let source = repl.section.origin;
        let births = repl.owed.iter().map(Owed::birth);
        let mut origins: Vec<BootId> = births.map(|birth| Fan { source, birth }.origin()).collect();
        if origins.is_empty() {
            origins.push(source);
        }
        for origin in origins {
            let mut ids = Ids::none(origin);
            let sequences = repl.section.items.iter().map(|item| item.sequence);
            sequences.for_each(|sequence| ids.push(sequence, sequence));
            self.counters.copies_refused += ids.count();
            let reason = Refused::Unsupported;
            self.send(to, Message::ReplNo(ReplNo { ids, reason }));
        }
    }

    fn keep_copy(
        &mut self,
        now: Now,
        (queue, fan): (QueueKey, Option<Fan>),
        (id, own, wanted): (MessageId, Own, u8),
        holders: &Holders,
        item: Item,
    ) {
        // A leaving owner names its successor in the copy itself.
        let is_mine = own.store == self.me.store;
        let slot = Slot {
            id,
            stamp: item.stamp,
            body: item.body.unwrap_or_default(),
            headers: item.headers,
            terms: item.terms,
            holders: holders.clone(),
            confirmed: Self::bit(holders, self.me),
            own,
            lessee: Lessee::Nobody,
            queue,
            batch: 0,
            attempts: item.attempts,
            lease: 0,
            wanted,
            announced: 0,
            place: Place::Standby,
        };
        self.counters.copies_stored += 1;
        self.dedups.is_used |= slot.has_dedup();
        let expiry = slot.standby_expiry(now);
        let index = self.keep(slot);
        if let Some(fan) = fan {
            self.index.note_fan(id.origin, fan);
        }
        if is_mine {
            self.make_ready(now, index);
            self.plan_repair(now.mono + SETTLE_DOWN_MS);
            self.serve(now, queue);
            return;
        }
        if expiry != Instant::NEVER {
            self.wheel.set(index, expiry);
        }
    }
}

/// Ids with the owner's rank for each block of them, whatever rank came with the frame.
fn by_rank(own: Own, ids: &Ids) -> Vec<(Own, Ids)> {
    let mut blocks: Vec<(Own, Ids)> = Vec::new();
    for id in ids.iter() {
        let rank = rank(id, own.store);
        let own = Own { rank, ..own };
        match blocks.last_mut().filter(|(known, _)| *known == own) {
            Some((_, ids)) => ids.push(id.sequence, id.sequence),
            None => blocks.push((own, Ids::one(id))),
        }
    }
    blocks
}
