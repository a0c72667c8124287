//! Enqueues whose copies are on their way, and what becomes of them when members do not answer
//! (protocol.md 4.3, 4. to 7.).

use alloc::vec::Vec;

use super::delivery::{NewMessage, OnShort, Reply};
use super::enqueue::Admitted;
use super::message::{Ending, Message};
use super::slot::{Place, Slot};
use super::{Queues, limits};
use crate::base::{Error, ErrorKind, MemberId, MessageId, Now, QueueKey, Ticket};
use crate::copies::{Holder, Holders, Item, Own, Refused, Repl, ReplNo, ReplOk, Section};
use crate::wire::Ids;

/// Bytes of one frame of copies at most; a body of the largest size still fits beside its headers.
const REPL_BYTES_MAX: usize = 512 << 10;

/// An enqueue whose copies are on their way.
#[derive(Debug)]
pub(super) struct Batch {
    ticket: Ticket,
    queue: QueueKey,
    first: u64,
    count: u32,
    /// Copies asked for, and copies that now count as enough.
    wanted: u16,
    needed: u16,
    /// Messages that have fewer than `needed`.
    short: u32,
    on_short: OnShort,
    is_many: bool,
    /// The call has its receipts (only ever before its time in a planted bug).
    is_answered: bool,
}

impl Queues {
    pub(super) fn replicate(
        &mut self,
        now: Now,
        ticket: Ticket,
        queue: QueueKey,
        messages: impl IntoIterator<Item = NewMessage>,
        admitted: Admitted,
        is_many: bool,
    ) {
        let batch = self.free_batches.pop().unwrap_or(self.batches.len() as u32);
        let first = self.next_sequence;
        for message in messages {
            self.lay(
                now,
                queue,
                message,
                &admitted.holders,
                Place::Replicating,
                batch,
            );
        }
        let count = (self.next_sequence - first) as u32;
        if batch as usize == self.batches.len() {
            self.batches.push(None);
        }
        if let Some(place) = self.batches.get_mut(batch as usize) {
            *place = Some(Batch {
                ticket,
                queue,
                first,
                count,
                wanted: admitted.wanted,
                needed: admitted.needed,
                short: count,
                on_short: admitted.on_short,
                is_many,
                is_answered: false,
            });
        }
        self.batch_wheel.set(batch, admitted.deadline);
        let last = self.next_sequence - 1;
        for target in admitted.holders.iter().skip(1) {
            self.send_copies(first, last, *target);
        }
        if self.settings.acks_before_w {
            self.answer_batch(batch, true);
        }
    }

    /// Sends the own messages `first..=last` that `target` has not confirmed.
    fn send_copies(&mut self, first: u64, last: u64, target: Holder) {
        let origin = self.settings.boot;
        let ids = (first..=last).map(|sequence| MessageId { origin, sequence });
        let indexes: Vec<u32> = ids.filter_map(|id| self.index.get(id)).collect();
        let indexes = indexes.into_iter().filter(|index| {
            self.slab
                .get(*index)
                .is_some_and(|slot| slot.confirmed & Self::bit(&slot.holders, target) == 0)
        });
        let indexes: Vec<u32> = indexes.collect();
        self.send_slots(&indexes, target, None);
    }

    /// Sends these messages to `target` in frames of bounded size; with `own`, as theirs.
    pub(super) fn send_slots(&mut self, indexes: &[u32], target: Holder, own: Option<Own>) {
        let mut open: Option<(QueueKey, Section, usize)> = None;
        for index in indexes {
            let Some(slot) = self.slab.get(*index) else {
                continue;
            };
            let item = Item {
                sequence: slot.id.sequence,
                stamp: slot.stamp,
                attempts: slot.attempts,
                lease: 0,
                body: Some(slot.body.clone()),
                headers: slot.headers.clone(),
            };
            let own = own.unwrap_or(slot.own);
            let fresh = Section::new(slot.id.origin, own, slot.holders.clone());
            let (queue, weight) = (slot.queue, item.weight());
            let fits = open.as_ref().is_some_and(|(open_queue, section, bytes)| {
                *open_queue == queue && section.is_like(&fresh) && bytes + weight <= REPL_BYTES_MAX
            });
            if !fits {
                self.send_section(open.take(), target.member);
                open = Some((queue, fresh, 0));
            }
            if let Some((_, section, bytes)) = &mut open {
                section.items.push(item);
                *bytes += weight;
            }
        }
        self.send_section(open, target.member);
    }

    fn send_section(&mut self, open: Option<(QueueKey, Section, usize)>, to: MemberId) {
        if let Some((queue, section, _)) = open {
            let queue = self.name(queue);
            let repl = Repl {
                queue,
                section,
                is_known: true,
            };
            self.send(to, Message::Repl(repl));
        }
    }

    /// A holder says that it keeps these.
    pub(super) fn on_repl_ok(&mut self, now: Now, from: MemberId, ok: &ReplOk) {
        let holder = Holder {
            member: from,
            store: ok.store,
        };
        for id in ok.ids.iter() {
            let Some(index) = self.index.get(id) else {
                continue;
            };
            let Some(slot) = self.slab.get_mut(index) else {
                continue;
            };
            let bit = Self::bit(&slot.holders, holder);
            if bit == 0 || slot.confirmed & bit != 0 {
                continue;
            }
            slot.confirmed |= bit;
            match slot.place {
                Place::Replicating => {
                    let (batch, copies) = (slot.batch, slot.confirmed.count_ones());
                    self.copy_confirmed(now, batch, copies);
                }
                Place::Moving => self.moved(now, index, holder),
                _ => {}
            }
        }
    }

    fn copy_confirmed(&mut self, now: Now, batch: u32, copies: u32) {
        let Some(Some(open)) = self.batches.get_mut(batch as usize) else {
            return;
        };
        if copies != u32::from(open.needed) {
            return;
        }
        open.short = open.short.saturating_sub(1);
        if open.short == 0 {
            self.finish_batch(now, batch);
        }
    }

    /// A holder refuses these.
    pub(super) fn on_repl_no(&mut self, now: Now, from: MemberId, no: &ReplNo) {
        if no.reason == Refused::Leaving
            && let Some(peer) = self.peers.get_mut(&from)
        {
            peer.is_leaving = true;
        }
        let holder = Holder {
            member: from,
            store: self.store_of(from),
        };
        let batches = no.ids.iter().filter_map(|id| {
            let slot = self.slab.get(self.index.get(id)?)?;
            (slot.place == Place::Replicating).then_some(slot.batch)
        });
        let mut batches: Vec<u32> = batches.collect();
        batches.dedup();
        for batch in batches {
            self.replace_target(now, holder, Some(batch));
        }
    }

    /// `target` will not confirm: each open batch (or only one) that waits for it asks another.
    pub(super) fn replace_target(&mut self, now: Now, target: Holder, only: Option<u32>) {
        let open = self.open_batches(only);
        for batch in open {
            let Some((first, last)) = self.batch_range(batch) else {
                continue;
            };
            let waits = (first..=last).any(|sequence| self.waits_for(sequence, target));
            if waits {
                self.ask_another(now, batch, first, last);
            }
        }
    }

    fn open_batches(&self, only: Option<u32>) -> Vec<u32> {
        match only {
            Some(batch) => Vec::from([batch]),
            None => {
                let slots = self.batches.iter().enumerate();
                let open = slots.filter(|(_, batch)| batch.is_some());
                open.map(|(index, _)| index as u32).collect()
            }
        }
    }

    fn batch_range(&self, batch: u32) -> Option<(u64, u64)> {
        let open = self.batches.get(batch as usize)?.as_ref()?;
        Some((open.first, open.first + u64::from(open.count) - 1))
    }

    fn own_slot(&self, sequence: u64) -> Option<&Slot> {
        let origin = self.settings.boot;
        self.slab
            .get(self.index.get(MessageId { origin, sequence })?)
    }

    fn waits_for(&self, sequence: u64, target: Holder) -> bool {
        self.own_slot(sequence).is_some_and(|slot| {
            let bit = Self::bit(&slot.holders, target);
            slot.place == Place::Replicating && bit != 0 && slot.confirmed & bit == 0
        })
    }

    /// Sends a batch to one more candidate; without one, what is short is decided.
    fn ask_another(&mut self, now: Now, batch: u32, first: u64, last: u64) {
        let Some(holders) = self.own_slot_holders(first, last) else {
            return;
        };
        if let Some(next) = self.placement.another(&holders) {
            let grown = crate::copies::with(&holders, &[next]);
            for sequence in first..=last {
                let id = MessageId {
                    origin: self.settings.boot,
                    sequence,
                };
                if let Some(index) = self.index.get(id)
                    && let Some(slot) = self.slab.get_mut(index)
                {
                    slot.holders = grown.clone();
                }
            }
            return self.send_copies(first, last, next);
        }
        let on_short = match self.batches.get(batch as usize) {
            Some(Some(open)) => open.on_short,
            _ => return,
        };
        let can_come = holders
            .iter()
            .filter(|holder| self.is_linked(**holder))
            .count()
            + 1;
        match on_short {
            OnShort::Degrade => self.lower(now, batch, can_come as u16),
            OnShort::Fail => self.abort(now, batch),
            OnShort::Wait => {}
        }
    }

    /// The holders of a batch's messages; they share one list unless some ended already.
    fn own_slot_holders(&self, first: u64, last: u64) -> Option<Holders> {
        (first..=last)
            .find_map(|sequence| self.own_slot(sequence))
            .map(|slot| slot.holders.clone())
    }

    /// Fewer copies are enough now: those that have them are.
    fn lower(&mut self, now: Now, batch: u32, needed: u16) {
        let Some((first, last)) = self.batch_range(batch) else {
            return;
        };
        let short = (first..=last).filter(|sequence| {
            self.own_slot(*sequence).is_some_and(|slot| {
                slot.place == Place::Replicating && slot.confirmed.count_ones() < u32::from(needed)
            })
        });
        let short = short.count() as u32;
        let Some(Some(open)) = self.batches.get_mut(batch as usize) else {
            return;
        };
        open.needed = needed.min(open.needed);
        open.short = short;
        if short == 0 {
            self.finish_batch(now, batch);
        }
    }

    /// New candidates came: batches that wait for members take them.
    pub(super) fn fill_short_batches(&mut self, now: Now) {
        if self.placement.candidate_count() == 0 {
            return;
        }
        for batch in self.open_batches(None) {
            let Some((first, last)) = self.batch_range(batch) else {
                continue;
            };
            let Some(Some(open)) = self.batches.get(batch as usize) else {
                continue;
            };
            let wanted = usize::from(open.wanted);
            let waits = open.on_short == OnShort::Wait;
            let Some(holders) = self.own_slot_holders(first, last) else {
                continue;
            };
            let can_come = holders
                .iter()
                .filter(|holder| self.takes_copies(**holder))
                .count()
                + 1;
            if waits && can_come < wanted {
                self.ask_another(now, batch, first, last);
            }
        }
    }

    /// A link to `target` is new: copies that were on their way are sent again.
    pub(super) fn resend_copies(&mut self, _now: Now, target: Holder) {
        for batch in self.open_batches(None) {
            let Some((first, last)) = self.batch_range(batch) else {
                continue;
            };
            if (first..=last).any(|sequence| self.waits_for(sequence, target)) {
                self.send_copies(first, last, target);
            }
        }
    }

    pub(super) fn wake_batches(&mut self, now: Now) {
        let mut due = Vec::new();
        self.batch_wheel
            .due(now.mono, limits::STEP_MESSAGES_MAX, &mut due);
        for batch in due {
            match self.batches.get(batch as usize) {
                Some(Some(open)) if open.on_short == OnShort::Degrade => {
                    self.lower(now, batch, 1);
                }
                Some(Some(_)) => self.abort(now, batch),
                _ => {}
            }
        }
    }

    /// All messages of a batch have enough copies: they are ready, and the call is answered.
    fn finish_batch(&mut self, now: Now, batch: u32) {
        self.answer_batch(batch, false);
        let Some(open) = self.close_batch(batch) else {
            return;
        };
        for sequence in open.first..open.first + u64::from(open.count) {
            let id = MessageId {
                origin: self.settings.boot,
                sequence,
            };
            if let Some(index) = self.index.get(id) {
                let is_open = self
                    .slab
                    .get(index)
                    .is_some_and(|slot| slot.place == Place::Replicating);
                if is_open {
                    self.make_ready(index);
                }
            }
        }
        self.serve(now, open.queue);
    }

    fn close_batch(&mut self, batch: u32) -> Option<Batch> {
        let open = self.batches.get_mut(batch as usize)?.take()?;
        self.batch_wheel.clear(batch);
        self.free_batches.push(batch);
        Some(open)
    }

    /// Gives the receipts; `is_early` is the planted bug that claims copies nobody confirmed.
    fn answer_batch(&mut self, batch: u32, is_early: bool) {
        let Some(Some(open)) = self.batches.get_mut(batch as usize) else {
            return;
        };
        if core::mem::replace(&mut open.is_answered, true) {
            return;
        }
        let (ticket, wanted, is_many) = (open.ticket, open.wanted, open.is_many);
        let (first, count) = (open.first, u64::from(open.count));
        let mut receipts = Vec::with_capacity(if is_many { count as usize } else { 0 });
        for sequence in first..first + count {
            let copies = match self.own_slot(sequence) {
                Some(slot) if is_early => slot.holders.len() as u16,
                Some(slot) => slot.confirmed.count_ones() as u16,
                // Finished by a late ack of an earlier try: as good as any number of copies.
                None => wanted,
            };
            let id = MessageId {
                origin: self.settings.boot,
                sequence,
            };
            let receipt = self.receipt(id, copies, wanted);
            if !is_many {
                return self.reply(ticket, Ok(Reply::Receipt(receipt)));
            }
            receipts.push(receipt);
        }
        self.reply(ticket, Ok(Reply::Receipts(receipts)));
    }

    /// The enqueue failed: what was sent is ended again as far as possible.
    fn abort(&mut self, now: Now, batch: u32) {
        let Some(open) = self.close_batch(batch) else {
            return;
        };
        let last = open.first + u64::from(open.count) - 1;
        let confirmed = self
            .own_slot(open.first)
            .map_or(1, |slot| slot.confirmed.count_ones());
        let was_sent = self
            .own_slot_holders(open.first, last)
            // Nothing is left of it: then it was taken over, and consumed.
            .is_none_or(|holders| holders.len() > 1);
        let ids = Ids::range(self.settings.boot, open.first, last);
        self.end_all(now, &ids, Ending::Aborted);
        if open.is_answered {
            return;
        }
        self.counters.indeterminate_outcomes += u64::from(was_sent);
        let error = if was_sent {
            Error::new(ErrorKind::CopiesShort)
                .because("too few copies in time; it may still be delivered")
        } else {
            Error::new(ErrorKind::Unreachable)
                .because("no member could take a copy; nothing was sent")
        };
        let error = error.with("wanted", open.wanted).with("got", confirmed);
        self.refuse(open.ticket, error);
    }

    /// A message of a batch was taken over while its copies were on their way. Its new owner gives
    /// it out; whether its copies are enough is known only to one who is content with fewer.
    pub(super) fn batch_moved_one(&mut self, now: Now, batch: u32, confirmed: u128) {
        if let Some(Some(open)) = self.batches.get(batch as usize)
            && open.on_short == OnShort::Degrade
        {
            self.batch_lost_one(now, batch, confirmed);
        }
    }

    /// A message that was taken over while its copies were on their way ended: whatever its batch
    /// still waits for, it is not this one.
    pub(super) fn batch_moved_one_ended(&mut self, now: Now, slot: &Slot) {
        let is_in = slot.id.origin == self.settings.boot
            && self
                .batch_range(slot.batch)
                .is_some_and(|(first, last)| (first..=last).contains(&slot.id.sequence));
        let waits = matches!(
            self.batches.get(slot.batch as usize),
            Some(Some(open)) if open.on_short != OnShort::Degrade
        );
        if is_in && waits {
            self.batch_lost_one(now, slot.batch, slot.confirmed);
        }
    }

    /// A message of a batch ended while its copies were on their way: it waits for none.
    pub(super) fn batch_lost_one(&mut self, now: Now, batch: u32, confirmed: u128) {
        let Some(Some(open)) = self.batches.get_mut(batch as usize) else {
            return;
        };
        if confirmed.count_ones() >= u32::from(open.needed) {
            return;
        }
        open.short = open.short.saturating_sub(1);
        if open.short == 0 {
            self.finish_batch(now, batch);
        }
    }
}
