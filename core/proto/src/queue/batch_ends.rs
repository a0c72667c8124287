//! Enqueues that end otherwise than by their copies: too few of them in time, or their messages are somebody
//! else's, or over.

use super::super::Queues;
use super::super::canary::QueueCanary;
use super::super::delivery::OnShort;
use super::super::message::Ending;
use super::super::slot::{Place, Slot};
use super::Caller;
use crate::base::{Error, ErrorKind, Now};
use crate::wire::Ids;

impl Queues {
    /// The enqueue failed: what was sent is ended again as far as possible.
    pub(super) fn abort(&mut self, now: Now, batch: u32) {
        let Some(open) = self.close_batch(batch) else {
            return;
        };
        let span = open.span;
        let confirmed = span.ids().find_map(|id| self.slot(id));
        let confirmed = confirmed.map_or(1, |slot| slot.confirmed.count_ones());
        let was_sent = self
            .span_holders(&span)
            // Nothing is left of it: then it was taken over, and consumed.
            .is_none_or(|holders| holders.len() > 1);
        let is_ours = |slot: &Slot| slot.place == Place::Replicating;
        let forgets_it = self.planted.is(QueueCanary::AbortedAfterTakeover)
            && !span.ids().any(|id| self.slot(id).is_some_and(is_ours));
        let was_sent = was_sent && !forgets_it;
        let is_once = matches!(open.caller, Caller::Once(_));
        if is_once && was_sent {
            self.keep_short(now, &span);
        } else if is_once {
            self.drop_unsent(now, &span);
        }
        for origin in span.origins.iter().filter(|_| !is_once) {
            let ids = Ids::range(*origin, span.first, span.last);
            self.end_all(now, &ids, Ending::Aborted);
        }
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
        self.fail(open.caller, error);
    }

    /// A message of a batch was taken over while its copies were on their way. Its new owner gives
    /// it out; whether its copies are enough is known only to one who is content with fewer.
    pub(in crate::queue) fn batch_moved_one(&mut self, now: Now, batch: u32, confirmed: u128) {
        if let Some(Some(open)) = self.batches.get(batch as usize)
            && open.on_short == OnShort::Degrade
        {
            self.batch_lost_one(now, batch, confirmed);
        }
    }

    /// A message that was taken over while its copies were on their way ended: whatever its batch
    /// still waits for, it is not this one.
    pub(in crate::queue) fn batch_moved_one_ended(&mut self, now: Now, slot: &Slot) {
        let waits = matches!(
            self.batches.get(slot.batch as usize),
            Some(Some(open)) if open.on_short != OnShort::Degrade
        );
        if waits && self.is_awaited(slot) && self.count_short(slot.batch) == 0 {
            self.finish_batch(now, slot.batch);
        }
    }

    /// A message of a batch ended while its copies were on their way: it waits for none.
    pub(in crate::queue) fn batch_lost_one(&mut self, now: Now, batch: u32, confirmed: u128) {
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
