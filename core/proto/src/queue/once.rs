//! What becomes of an enqueue with a dedup key, once it is known whether there is its message: it is that one, or
//! it is made, with copies at all of the key's home that can be reached.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::batch::Caller;
use super::canary::QueueCanary;
use super::dedup::{Asker, Open, PRESENT};
use super::delivery::{IfNoGroup, OnShort, Receipt};
use super::enqueue::Admitted;
use super::recall::Recollection;
use super::slot::{Place, Slot};
use super::span::Span;
use super::{Alarm, Queues, limits};
use crate::base::{Error, ErrorKind, MessageId, Now, QueueKey, Result};
use crate::copies::Holder;

impl Queues {
    /// It was accepted before: all who wait hear so.
    pub(super) fn known_already(&mut self, number: u64, id: MessageId, known: &Recollection) {
        if let Some(open) = self.close_dedup(number) {
            self.say_known(open.asker, id, known);
        }
    }

    fn say_known(&mut self, asker: Asker, id: MessageId, known: &Recollection) {
        let Asker {
            caller,
            wanted,
            on_short,
        } = asker;
        let copies = match known.is_over {
            // As good as any number of copies.
            true => wanted,
            false => known.copies.min(u32::from(u16::MAX)) as u16,
        };
        if copies < wanted && on_short != OnShort::Degrade {
            let error = Error::new(ErrorKind::CopiesShort)
                .because("it was accepted before, with too few copies; it may still be delivered")
                .with("wanted", wanted)
                .with("got", copies);
            return self.fail(caller, error);
        }
        self.counters.dedup_duplicates += 1;
        let receipt = Receipt {
            id,
            copies,
            durable_copies: 0,
            wanted,
            is_duplicate: true,
        };
        self.give_receipts(caller, Vec::from([receipt]));
    }

    fn close_dedup(&mut self, number: u64) -> Option<Open> {
        let mut open = self.dedups.close(number)?;
        self.call_later(&mut open);
        self.alarms.clear(&Alarm::Dedup(number));
        for (member, recall) in &open.waiting {
            self.answer_recall(*member, recall);
        }
        self.release_queue(open.queue);
        Some(open)
    }

    /// Nobody knows it: it is a new message.
    pub(super) fn lay_once(&mut self, now: Now, number: u64) {
        let caller = Caller::Once(number);
        if let Err(error) = self.try_lay(now, number) {
            self.fail(caller, error);
        }
    }

    /// Errors, with nothing done: as an enqueue's.
    fn try_lay(&mut self, now: Now, number: u64) -> Result<()> {
        let gone = || Error::from(ErrorKind::Internal);
        let (open, message) = self.dedups.take(number).ok_or_else(gone)?;
        let (queue, home, ends) = (open.queue, open.home, open.ends);
        let id = *open.ids.get(PRESENT).ok_or_else(gone)?;
        let mut options = open.options.clone();
        options.timeout = Some(ends.since(now.mono));
        self.alarms.clear(&Alarm::Dedup(number));
        let caller = Caller::Once(number);
        let shelf = self.shelves.get(queue.0 as usize);
        let mut branches = shelf.map_or_else(Vec::new, |shelf| shelf.branches.clone());
        if branches.is_empty() && options.if_no_group == IfNoGroup::Drop {
            self.enqueue_fanned(now, caller, queue, Vec::from([message]), options);
            return Ok(());
        }
        for branch in &mut branches {
            branch.fan.source = id.origin;
            branch.origin = branch.fan.origin();
        }
        let bytes = self.check(&message)?.saturating_add(options.cost());
        let bytes = bytes.saturating_mul(branches.len().max(1) as u64);
        self.check_length(queue, core::slice::from_ref(&message))?;
        let mut admitted = self.admit(now, queue, bytes, 1, options)?;
        self.bring_to_home(home, &mut admitted);
        self.counters.enqueued += 1;
        self.dedups.is_used = true;
        let mut span = Span::plain(id.origin, id.sequence, id.sequence);
        if !branches.is_empty() {
            span.origins = branches.iter().map(|branch| branch.origin).collect();
            let messages = Vec::from([message]);
            self.lay_fanned(now, caller, &branches, (span, messages), &admitted);
        } else if admitted.needed == 1 {
            self.lay_ready(now, queue, (id, message), &admitted);
            let receipt = self.receipt(id, 1, admitted.wanted);
            self.give_receipts(caller, Vec::from([receipt]));
            self.serve(now, queue);
        } else {
            self.replicate(now, caller, queue, (span, [message]), admitted);
        }
        Ok(())
    }

    /// The first copies go to the key's home: all of it that can be reached is to have one.
    fn bring_to_home(&self, home: u64, admitted: &mut Admitted) {
        if self.planted.is(QueueCanary::DedupByLiveMembers) {
            return;
        }
        let homes = self.homes(home).into_iter().map(|member| Holder {
            member,
            store: self.store_of(member),
        });
        let homes = homes.filter(|holder| self.takes_copies(*holder));
        // More than three only as long as some of them are not in the set.
        let homes = homes.take(2 * limits::DEDUP_HOMES);
        let mut holders: Vec<Holder> = core::iter::once(self.me).chain(homes).collect();
        let least = holders.len() as u16;
        for other in admitted.holders.iter() {
            if holders.len() < usize::from(admitted.wanted) && !holders.contains(other) {
                holders.push(*other);
            }
        }
        let found = holders.len() as u16;
        admitted.needed = match admitted.on_short {
            OnShort::Degrade => found,
            _ => admitted.wanted.max(least),
        };
        admitted.holders = holders.into();
    }

    /// A message of a dedup key is accepted.
    pub(super) fn once_accepted(&mut self, number: u64, receipts: &[Receipt]) {
        let (Some(open), Some(receipt)) = (self.close_dedup(number), receipts.first()) else {
            return;
        };
        // Another owner's now, or over: somebody else has made it at the same time.
        let is_others = |slot: &Slot| slot.own.store != self.me.store;
        let is_merged = receipt.copies > 0
            && open.options.if_no_group != IfNoGroup::Drop
            && !self.has_groups(open.queue)
            && self.slot(receipt.id).is_none_or(is_others);
        let receipt = Receipt {
            is_duplicate: is_merged,
            ..*receipt
        };
        self.counters.dedup_duplicates += u64::from(is_merged);
        self.give_receipts(open.asker.caller, Vec::from([receipt]));
    }

    pub(super) fn has_groups(&self, queue: QueueKey) -> bool {
        let shelf = self.shelves.get(queue.0 as usize);
        shelf.is_some_and(|shelf| !shelf.branches.is_empty())
    }

    /// It is not accepted, or in doubt.
    pub(super) fn once_failed(&mut self, number: u64, error: &Error) {
        if let Some(open) = self.close_dedup(number) {
            self.fail(open.asker.caller, error.clone());
        }
    }

    /// Too few copies of a message of a dedup key in time. It stays: who tries again is to find it, and not
    /// to hear that a message was accepted which was ended.
    pub(super) fn keep_short(&mut self, now: Now, span: &Span) {
        let mut queues = BTreeSet::new();
        for id in span.ids() {
            let index = self.index.get(id);
            let is_open = |slot: &Slot| slot.place == Place::Replicating;
            if let Some(index) = index.filter(|_| self.slot(id).is_some_and(is_open)) {
                queues.extend(self.make_ready(now, index));
            }
        }
        self.plan_repair(now.mono + super::repair::SETTLE_DOWN_MS);
        for queue in queues {
            self.serve(now, queue);
        }
    }

    /// A message of a dedup key that came nowhere: it is as if it had never been, and the next one has its id.
    pub(super) fn drop_unsent(&mut self, now: Now, span: &Span) {
        for id in span.ids() {
            self.take_out(now, id);
        }
    }
}
