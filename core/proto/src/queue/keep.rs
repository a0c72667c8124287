//! The holder's side: copies of other owners' messages (protocol.md 4.3, 4.5 on REPL).

use super::message::Message;
use super::slot::{Lessee, Place, Slot};
use super::{Queues, limits};
use crate::base::{MemberId, MessageId, Now, QueueKey};
use crate::copies::{Holders, Item, Own, Refused, Repl, ReplNo, ReplOk};
use crate::wire::Ids;

impl Queues {
    /// Another owner asks this store to keep copies.
    pub(super) fn on_repl(&mut self, now: Now, from: MemberId, repl: Repl) {
        let origin = repl.section.origin;
        let mut kept = Ids::none(origin);
        let mut refused = Ids::none(origin);
        let reason = self.refusal(&repl);
        let queue = match self.queue(&repl.queue) {
            Ok(queue) => queue,
            Err(_) => return self.refuse_copies(from, &repl, Refused::Unsupported),
        };
        let holders = crate::copies::with(&repl.section.holders, &[self.me]);
        if !holders.contains(&self.me) {
            // The set is full: what cannot be counted is not kept.
            return self.refuse_copies(from, &repl, Refused::Unsupported);
        }
        let own = repl.section.own;
        for item in repl.section.items {
            let id = MessageId {
                origin,
                sequence: item.sequence,
            };
            if self.is_done(id) {
                self.tell_done(now, from, id, &holders);
                continue;
            }
            if self.is_unborn(id) {
                refused.push(item.sequence, item.sequence);
                continue;
            }
            let _ = self.clock.hear(now, item.stamp);
            if let Some(index) = self.index.get(id) {
                self.merge_copy(now, index, own, &holders);
            } else if reason.is_some() || item.body.is_none() || !self.fits(&item) {
                refused.push(item.sequence, item.sequence);
                continue;
            } else {
                self.keep_copy(now, queue, id, own, &holders, item);
            }
            kept.push(id.sequence, id.sequence);
        }
        if !kept.is_empty() {
            let store = self.me.store;
            self.send(from, Message::ReplOk(ReplOk { ids: kept, store }));
        }
        if !refused.is_empty() {
            self.counters.copies_refused += refused.count();
            let reason = reason.unwrap_or(Refused::Memory);
            let ids = refused;
            self.send(from, Message::ReplNo(ReplNo { ids, reason }));
        }
        self.watch(now, own.store);
    }

    fn refusal(&self, repl: &Repl) -> Option<Refused> {
        if !repl.is_known {
            return Some(Refused::Unsupported);
        }
        self.leaving.is_some().then_some(Refused::Leaving)
    }

    fn fits(&self, item: &Item) -> bool {
        let body = item.body.as_ref().map_or(0, |body| body.len()) as u64;
        self.check_memory(body + limits::MESSAGE_OVERHEAD_BYTES)
            .is_ok()
    }

    fn refuse_copies(&mut self, to: MemberId, repl: &Repl, reason: Refused) {
        let mut ids = Ids::none(repl.section.origin);
        repl.section
            .ids()
            .for_each(|id| ids.push(id.sequence, id.sequence));
        self.counters.copies_refused += ids.count();
        self.send(to, Message::ReplNo(ReplNo { ids, reason }));
    }

    fn keep_copy(
        &mut self,
        now: Now,
        queue: QueueKey,
        id: MessageId,
        own: Own,
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
            holders: holders.clone(),
            confirmed: Self::bit(holders, self.me),
            own,
            lessee: Lessee::Nobody,
            queue,
            batch: 0,
            attempts: item.attempts,
            lease: 0,
            place: if is_mine {
                Place::Ready
            } else {
                Place::Standby
            },
        };
        self.counters.copies_stored += 1;
        self.keep(slot);
        if is_mine {
            self.serve(now, queue);
        }
    }
}
