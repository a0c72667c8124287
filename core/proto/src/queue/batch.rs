//! Enqueues whose copies are on their way, and what becomes of them when members do not answer
//! (protocol.md 4.3, 4. to 7.).

use alloc::sync::Arc;
use alloc::vec::Vec;
use smallvec::SmallVec;

pub(super) use super::caller::Caller;
use super::delivery::{NewMessage, OnShort, Receipt, Reply};
use super::enqueue::Admitted;
use super::hedge::{FLOOR_MS, Watch};
use super::message::Message;
use super::repair::SETTLE_DOWN_MS;
use super::slot::{Lessee, Place, Slot};
use super::span::Span;
use super::takeover::add_claim;
use super::{Queues, limits};
use crate::base::{Error, ErrorKind, MemberId, MessageId, Now, QueueKey};
use crate::copies::{Holder, Holders, Refused, ReplNo, ReplOk};
use crate::wire::Ids;

#[path = "batch_ends.rs"]
mod ends;

/// An enqueue whose copies are on their way.
#[derive(Debug)]
pub(super) struct Batch {
    caller: Caller,
    queues: SmallVec<[QueueKey; 1]>,
    pub(super) span: Span,
    /// Copies asked for, and copies that now count as enough.
    wanted: u16,
    needed: u16,
    /// Messages that have fewer than `needed`.
    short: u32,
    on_short: OnShort,
    /// Who refused a copy of it.
    refused: SmallVec<[Holder; 2]>,
    /// How long their copies take.
    pub(super) watch: Watch,
    /// The call has its receipts (only ever before its time in a planted bug).
    is_answered: bool,
}

impl Queues {
    pub(super) fn replicate(
        &mut self,
        now: Now,
        caller: Caller,
        queue: QueueKey,
        (span, messages): (Span, impl IntoIterator<Item = NewMessage>),
        admitted: Admitted,
    ) {
        let batch = self.next_batch();
        let place = (Place::Replicating, batch);
        for (id, message) in span.ids().zip(messages) {
            self.lay(now, queue, (id, message), &admitted, place);
        }
        let queues = SmallVec::from_buf([queue]);
        self.open_batch(now, batch, caller, (span, queues), &admitted);
    }

    /// The place of a batch that is about to be opened.
    pub(super) fn next_batch(&mut self) -> u32 {
        self.free_batches.pop().unwrap_or(self.batches.len() as u32)
    }

    /// The messages of a batch are laid: their copies are sent.
    pub(super) fn open_batch(
        &mut self,
        now: Now,
        batch: u32,
        caller: Caller,
        (span, queues): (Span, SmallVec<[QueueKey; 1]>),
        admitted: &Admitted,
    ) {
        if batch as usize == self.batches.len() {
            self.batches.push(None);
        }
        let watch = Watch {
            sent: now.mono,
            chosen: admitted.holders.len() as u32,
            frames: 1,
            look: Some(now.mono + FLOOR_MS),
            deadline: admitted.deadline,
        };
        if let Some(place) = self.batches.get_mut(batch as usize) {
            *place = Some(Batch {
                caller,
                queues,
                span: span.clone(),
                wanted: admitted.wanted,
                needed: admitted.needed,
                short: span.count() as u32,
                on_short: admitted.on_short,
                watch,
                refused: SmallVec::new(),
                is_answered: false,
            });
        }
        self.batch_wheel.set(batch, watch.due());
        let mut frames = 0;
        for target in admitted.holders.iter().skip(1) {
            let sent = self.send_copies(&span, *target);
            self.earn_hedges(sent);
            frames = sent.max(frames);
        }
        if let Some(Some(open)) = self.batches.get_mut(batch as usize) {
            open.watch.frames = frames.max(1);
        }
        if self.settings.acks_before_w {
            self.answer_batch(batch, true);
        }
    }

    /// Sends those of these messages that `target` has not confirmed; in how many frames.
    fn send_copies(&mut self, span: &Span, target: Holder) -> u64 {
        let indexes: Vec<u32> = span.ids().filter_map(|id| self.index.get(id)).collect();
        let indexes = indexes.into_iter().filter(|index| {
            self.slab
                .get(*index)
                .is_some_and(|slot| slot.confirmed & Self::bit(&slot.holders, target) == 0)
        });
        let indexes: Vec<u32> = indexes.collect();
        let before = self.out.len();
        self.send_slots(&indexes, target, None);
        (self.out.len() - before) as u64
    }

    /// A holder says that it keeps these.
    pub(super) fn on_repl_ok(&mut self, now: Now, from: MemberId, ok: &ReplOk) {
        let holder = Holder {
            member: from,
            store: ok.store,
        };
        // Said under a name that it has no more: the same copy counts under the new one.
        let is_former = self.is_lost(holder);
        let mut lacking = Ids::none(ok.ids.origin);
        let mut standing_by = Vec::new();
        // The batch whose time was noted last.
        let mut paced = None;
        for id in ok.ids.iter() {
            let slot = self
                .index
                .get(id)
                .and_then(|index| Some((index, self.slab.get_mut(index)?)));
            let Some((index, slot)) = slot else {
                if self.is_done(id) {
                    self.tell_keeper(now, holder, id);
                } else {
                    lacking.push(id.sequence, id.sequence);
                }
                continue;
            };
            if slot.place == Place::Standby {
                add_claim(&mut standing_by, id, slot.own, &slot.holders);
            }
            if !is_former && slot.place != Place::Moving && !slot.holders.contains(&holder) {
                // Another sent it there, and its word came too late to whoever gave the message here:
                // it has to confirm the end. Whether it is one of the copies that count it says again.
                slot.holders = crate::copies::with(&slot.holders, &[holder]);
                continue;
            }
            let bit = Self::bit(&slot.holders, holder);
            // One that is moved there goes with its ownership, which an older copy has not.
            let is_of_older = slot.place == Place::Moving && ok.epoch < slot.lease;
            let says_nothing = bit == 0 || slot.confirmed & bit != 0 || is_of_older;
            if says_nothing || is_former && slot.place != Place::Moving {
                continue;
            }
            // The same copy under the name that its member had before: it is one.
            let former = slot
                .holders
                .iter()
                .copied()
                .find(|known| known.store == holder.store && *known != holder);
            let former = former.map_or(0, |former| Self::bit(&slot.holders, former));
            let was_counted = slot.confirmed & former != 0;
            slot.confirmed = (slot.confirmed & !former) | bit;
            match slot.place {
                Place::Replicating if was_counted => {}
                Place::Replicating => {
                    let (batch, copies) = (slot.batch, slot.confirmed.count_ones());
                    if paced.replace(batch) != Some(batch) {
                        self.note_pace(now, batch, bit.trailing_zeros(), from);
                    }
                    self.copy_confirmed(now, batch, copies);
                }
                // Another holder's word does not say that it came to where it goes.
                Place::Moving if slot.lessee == Lessee::There(from) => {
                    self.moved(now, index, holder)
                }
                _ => {}
            }
        }
        // Said to one that is taken for their owner: then the holder takes them over.
        self.send_lacks(from, lacking);
        // It may be: who gave it these may have gone before they came. The holder says so, or learns better.
        for claim in standing_by {
            self.send(from, Message::Claim(claim));
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
        if no.reason == Refused::Lacks {
            return self.on_lacks(now, from, no);
        }
        if no.reason == Refused::Leaving
            && let Some(peer) = self.peers.get_mut(&from)
        {
            peer.is_leaving = true;
            self.choose_candidates(now);
        }
        self.move_elsewhere(now, from, &no.ids);
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
            if let Some(Some(open)) = self.batches.get_mut(batch as usize)
                && !open.refused.contains(&holder)
            {
                open.refused.push(holder);
            }
            self.replace_target(now, holder, Some(batch));
        }
    }

    /// `target` will not confirm: each open batch (or only one) that waits for it asks another.
    pub(super) fn replace_target(&mut self, now: Now, target: Holder, only: Option<u32>) {
        let open = self.open_batches(only);
        for batch in open {
            let Some(span) = self.span_of(batch) else {
                continue;
            };
            if span.ids().any(|id| self.waits_for(id, target)) {
                self.ask_another(now, batch, &span);
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

    fn span_of(&self, batch: u32) -> Option<Span> {
        let open = self.batches.get(batch as usize)?.as_ref()?;
        Some(open.span.clone())
    }

    /// True for a message of an enqueue whose answer is still open.
    pub(super) fn is_awaited(&self, slot: &Slot) -> bool {
        let open = self.batches.get(slot.batch as usize);
        matches!(open, Some(Some(open)) if open.span.holds(slot.id))
    }

    pub(super) fn slot(&self, id: MessageId) -> Option<&Slot> {
        self.slab.get(self.index.get(id)?)
    }

    fn waits_for(&self, id: MessageId, target: Holder) -> bool {
        self.slot(id).is_some_and(|slot| {
            let bit = Self::bit(&slot.holders, target);
            slot.place == Place::Replicating && bit != 0 && slot.confirmed & bit == 0
        })
    }

    /// Sends a batch to one more candidate; without one, what is short is decided.
    fn ask_another(&mut self, now: Now, batch: u32, span: &Span) {
        let Some(holders) = self.span_holders(span) else {
            return;
        };
        if let Some(Some(open)) = self.batches.get(batch as usize)
            && open.needed > open.wanted
        {
            // One of more than were asked for: enough are left without it.
            let needed = open.needed - 1;
            return self.lower(now, batch, needed);
        }
        if self.send_to_another(span) {
            return;
        }
        let Some(Some(open)) = self.batches.get(batch as usize) else {
            return;
        };
        let can_come = holders
            .iter()
            .filter(|holder| self.is_linked(**holder) && !open.refused.contains(holder))
            .count()
            + 1;
        match open.on_short {
            OnShort::Degrade => self.lower(now, batch, can_come as u16),
            // A hedge may have asked more than are needed.
            OnShort::Fail if can_come < usize::from(open.needed) => self.abort(now, batch),
            OnShort::Fail | OnShort::Wait => {}
        }
    }

    /// Sends a batch to one more candidate, who knows all before it; false where there is none.
    pub(super) fn send_to_another(&mut self, span: &Span) -> bool {
        let Some(holders) = self.span_holders(span) else {
            return false;
        };
        let Some(next) = self.placement.another(&holders) else {
            return false;
        };
        let grown = crate::copies::with(&holders, &[next]);
        for id in span.ids() {
            if let Some(index) = self.index.get(id)
                && let Some(slot) = self.slab.get_mut(index)
            {
                // One of them may be known to be elsewhere, too; who confirmed goes by the place in
                // its own list.
                slot.holders = if Arc::ptr_eq(&slot.holders, &holders) {
                    grown.clone()
                } else {
                    crate::copies::with(&slot.holders, &[next])
                };
            }
        }
        self.send_copies(span, next);
        true
    }

    /// The holders of a batch's messages; they share one list unless some ended already.
    pub(super) fn span_holders(&self, span: &Span) -> Option<Holders> {
        let slot = span.ids().find_map(|id| self.slot(id));
        slot.map(|slot| slot.holders.clone())
    }

    /// Fewer copies are enough now: those that have them are.
    fn lower(&mut self, now: Now, batch: u32, needed: u16) {
        let Some(Some(open)) = self.batches.get_mut(batch as usize) else {
            return;
        };
        open.needed = needed.min(open.needed);
        if self.count_short(batch) == 0 {
            self.finish_batch(now, batch);
        }
    }

    /// New candidates came: batches that wait for members take them.
    pub(super) fn fill_short_batches(&mut self, now: Now) {
        if self.placement.candidate_count() == 0 {
            return;
        }
        for batch in self.open_batches(None) {
            let Some(span) = self.span_of(batch) else {
                continue;
            };
            let Some(Some(open)) = self.batches.get(batch as usize) else {
                continue;
            };
            let wanted = usize::from(open.wanted);
            let waits = open.on_short == OnShort::Wait;
            let Some(holders) = self.span_holders(&span) else {
                continue;
            };
            let can_come = holders
                .iter()
                .filter(|holder| self.takes_copies(**holder))
                .count()
                + 1;
            if waits && can_come < wanted {
                self.ask_another(now, batch, &span);
            }
        }
    }

    /// A link to `target` is new: copies that were on their way are sent again.
    pub(super) fn resend_copies(&mut self, _now: Now, target: Holder) {
        for batch in self.open_batches(None) {
            let Some(span) = self.span_of(batch) else {
                continue;
            };
            if span.ids().any(|id| self.waits_for(id, target)) {
                self.send_copies(&span, target);
            }
        }
    }

    pub(super) fn wake_batches(&mut self, now: Now) {
        let mut due = Vec::new();
        self.batch_wheel
            .due(now.mono, limits::STEP_MESSAGES_MAX, &mut due);
        for batch in due {
            if self.look_at_copies(now, batch) {
                continue;
            }
            match self.batches.get(batch as usize) {
                Some(Some(open)) if open.on_short == OnShort::Degrade => {
                    self.lower(now, batch, 1);
                }
                Some(Some(open)) if open.needed > open.wanted => {
                    let wanted = open.wanted;
                    self.lower(now, batch, wanted);
                    if matches!(self.batches.get(batch as usize), Some(Some(_))) {
                        self.abort(now, batch);
                    }
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
        for id in open.span.ids() {
            if let Some(index) = self.index.get(id) {
                let is_open = self
                    .slab
                    .get(index)
                    .is_some_and(|slot| slot.place == Place::Replicating);
                if is_open {
                    self.make_ready(now, index);
                }
            }
        }
        if open.needed < open.wanted {
            self.plan_repair(now.mono + SETTLE_DOWN_MS);
        }
        match open.caller {
            Caller::Source(source, onward) => self.went_on(now, source, onward),
            Caller::Groups => self.joined(now, &open.span),
            _ => {}
        }
        for queue in open.queues {
            self.serve(now, queue);
        }
    }

    fn close_batch(&mut self, batch: u32) -> Option<Batch> {
        let open = self.batches.get_mut(batch as usize)?.take()?;
        self.batch_wheel.clear(batch);
        if open.caller == Caller::Groups {
            self.groups.joins.closed(batch);
        }
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
        let (caller, wanted, span) = (open.caller, open.wanted, open.span.clone());
        match caller {
            Caller::One(ticket) => {
                let receipt = self.receipt_of(&span, span.first, wanted, is_early);
                self.reply(ticket, Ok(Reply::Receipt(receipt)));
            }
            Caller::Many(_) | Caller::For(..) | Caller::Once(_) => {
                let sequences = span.first..=span.last;
                let receipts =
                    sequences.map(|sequence| self.receipt_of(&span, sequence, wanted, is_early));
                let receipts = receipts.collect();
                self.give_receipts(caller, receipts);
            }
            Caller::Source(..) | Caller::Groups => {}
        }
    }

    /// The receipt of one message: in each of its groups it has that many copies.
    fn receipt_of(&mut self, span: &Span, sequence: u64, wanted: u16, is_early: bool) -> Receipt {
        let copies = span.of(sequence).map(|id| match self.slot(id) {
            Some(slot) if is_early => slot.holders.len() as u16,
            Some(slot) => slot.confirmed.count_ones() as u16,
            // Finished by a late ack of an earlier try: as good as any number of copies.
            None => wanted,
        });
        let copies = copies.min().unwrap_or(wanted);
        let origin = span.source;
        self.receipt(MessageId { origin, sequence }, copies, wanted)
    }

    /// What is held here is about to be dropped: whether the copies elsewhere live on is not known.
    pub(super) fn give_up_batches(&mut self) {
        for batch in self.open_batches(None) {
            let Some(open) = self.close_batch(batch) else {
                continue;
            };
            if open.is_answered {
                continue;
            }
            let error = Error::new(ErrorKind::Interrupted)
                .because("this member left its cluster while copies were on their way");
            self.fail(open.caller, error);
        }
    }

    /// A store is lost: what it confirmed for messages that are still on their way is no copy.
    pub(super) fn unconfirm(&mut self, now: Now, lost: Holder) {
        for batch in self.open_batches(None) {
            let Some(span) = self.span_of(batch) else {
                continue;
            };
            let (mut has_lost, mut is_on_its_way) = (false, false);
            for id in span.ids() {
                let slot = self
                    .index
                    .get(id)
                    .and_then(|index| self.slab.get_mut(index));
                let Some(slot) = slot else {
                    continue;
                };
                let bit = Self::bit(&slot.holders, lost);
                let counts = matches!(slot.place, Place::Replicating | Place::Standby);
                if counts && slot.confirmed & bit != 0 {
                    slot.confirmed &= !bit;
                    has_lost = true;
                    is_on_its_way |= slot.place == Place::Replicating;
                }
            }
            if has_lost {
                self.count_short(batch);
            }
            if is_on_its_way {
                self.ask_another(now, batch, &span);
            }
        }
    }

    /// Counts anew which messages of a batch are short. One that was taken over is, until it ends,
    /// unless the caller is content with fewer copies: they are the new owner's to make.
    fn count_short(&mut self, batch: u32) -> u32 {
        let Some(Some(open)) = self.batches.get(batch as usize) else {
            return 0;
        };
        let (needed, counts_moved) = (u32::from(open.needed), open.on_short != OnShort::Degrade);
        let short = open.span.ids().filter(|id| {
            self.slot(*id).is_some_and(|slot| {
                let counts = counts_moved || slot.place == Place::Replicating;
                counts && slot.confirmed.count_ones() < needed
            })
        });
        let short = short.count() as u32;
        if let Some(Some(open)) = self.batches.get_mut(batch as usize) {
            open.short = short;
        }
        short
    }
}
