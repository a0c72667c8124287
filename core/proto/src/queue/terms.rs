//! What a producer's terms do to a message: it waits for its date, expires, is given out at most once,
//! or becomes a dead letter (protocol.md 4.2, 4.4, 4.6).

use super::Queues;
use super::canary::QueueCanary;
use super::delivery::Leased;
use super::message::Ending;
use super::slot::{Lessee, Place, Slot};
use crate::base::{Instant, Millis, Now, QueueKey, Stamp};

/// Why a message is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stays {
    /// Its date has not come.
    Until(Instant),
    /// Its time is over.
    Expired,
    /// It was tried often enough.
    Dead,
    /// Its queue was purged since it came.
    Purged,
}

/// What a queue sets its messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How often one may be given out that does not say itself.
    pub(super) attempts_max: u32,
    /// What is stamped so or earlier is over.
    pub(super) purged_before: Stamp,
}

impl Slot {
    /// What keeps an owned message from being given out; nothing, for nearly all.
    #[inline]
    pub(super) fn waits_or_ends(&self, now: Now, limits: Limits) -> Option<Stays> {
        let attempts_max = limits.attempts_max;
        if self.stamp <= limits.purged_before {
            return Some(Stays::Purged);
        }
        let Some(terms) = &self.terms else {
            return (self.attempts >= attempts_max).then_some(Stays::Dead);
        };
        if self.is_expired(now) {
            return Some(Stays::Expired);
        }
        if terms.not_before > now.wall_ms {
            let due = now.mono + (terms.not_before - now.wall_ms);
            return Some(Stays::Until(due.min(self.expiry(now))));
        }
        let max = if terms.max_attempts == 0 {
            attempts_max
        } else {
            terms.max_attempts
        };
        (!terms.is_dead_letter && self.attempts >= max).then_some(Stays::Dead)
    }
}

impl Queues {
    /// An owned message that cannot be ready goes where it belongs.
    pub(super) fn stay(&mut self, now: Now, index: u32, stays: Stays) {
        match stays {
            Stays::Until(due) => {
                if let Some(slot) = self.slab.get_mut(index) {
                    slot.place = Place::Delayed;
                    self.wheel.set(index, due);
                }
            }
            Stays::Expired => self.expire(now, index),
            Stays::Purged => {
                if let Some(id) = self.slab.get(index).map(|slot| slot.id) {
                    self.end_purged(now, id);
                }
            }
            Stays::Dead => self.die(now, index, super::dead::Cause::Attempts),
        }
    }

    /// What the queue of a message sets it.
    pub(super) fn limits_of(&self, index: u32) -> Limits {
        let queue = self.slab.get(index).map(|slot| slot.queue.0 as usize);
        let shelf = queue.and_then(|queue| self.shelves.get(queue));
        let rules = shelf.and_then(|shelf| shelf.rules.as_deref());
        let attempts_max = match rules.and_then(|rules| rules.max_attempts) {
            _ if shelf.is_some_and(|shelf| shelf.is_of_dead_letters) => u32::MAX,
            Some(most) => most,
            None => self.settings.max_attempts,
        };
        Limits {
            attempts_max,
            purged_before: rules.map_or(Stamp(0), |rules| rules.purged_before),
        }
    }

    /// It has no dead letter itself.
    pub(super) fn is_dead_letter(&self, index: u32) -> bool {
        self.slab.get(index).is_some_and(|slot| {
            let is_one = slot
                .terms
                .as_ref()
                .is_some_and(|terms| terms.is_dead_letter);
            is_one || self.is_of_dead_letters(slot.queue)
        })
    }

    /// What fails in this queue for good stays in it.
    pub(super) fn is_of_dead_letters(&self, queue: QueueKey) -> bool {
        let shelf = self.shelves.get(queue.0 as usize);
        shelf.is_some_and(|shelf| shelf.is_of_dead_letters)
    }

    /// An owned message is given out again after `delay`, or ends meanwhile.
    pub(super) fn delay(&mut self, now: Now, index: u32, delay: Millis) -> Option<QueueKey> {
        let limits = self.limits_of(index);
        let slot = self.slab.get_mut(index)?;
        let ends = matches!(
            slot.waits_or_ends(now, limits),
            Some(Stays::Expired | Stays::Dead | Stays::Purged)
        );
        if ends || delay == 0 {
            return self.make_ready(now, index);
        }
        slot.lessee = Lessee::Nobody;
        let due = (now.mono + delay).min(slot.expiry(now));
        self.stay(now, index, Stays::Until(due));
        None
    }

    /// Its date is over by the clock of its owner, who alone decides that and tells every holder as of
    /// an ack: clocks differ. A copy whose owner has not spoken for long after that date goes by itself.
    pub(super) fn expire(&mut self, now: Now, index: u32) {
        let Some(id) = self.slab.get(index).map(|slot| slot.id) else {
            return;
        };
        let Some(slot) = self.end_out(now, id) else {
            return;
        };
        let span = (id.origin, id.sequence, id.sequence);
        if slot.own.store == self.me.store {
            self.counters.expired += 1;
            self.bury(now, span, &slot.holders, Ending::Expired, true);
        } else {
            self.prints.insert(id.origin, id.sequence, id.sequence);
        }
    }

    /// A lease of a message that has terms.
    pub(super) fn lease_on_terms(
        &mut self,
        now: Now,
        index: u32,
        lease: Millis,
        lessee: Lessee,
    ) -> Option<Leased> {
        let slot = self.slab.get(index)?;
        if slot.is_expired(now) {
            self.expire(now, index);
            return None;
        }
        let is_at_most_once = slot.is_at_most_once();
        let mut leased = self.begin_lease(now, index, lease, lessee)?;
        if is_at_most_once {
            // Finished before it goes out: whatever happens to it then, it is never given again.
            leased.handle.lease = 0;
            if !self.planted.is(QueueCanary::AtMostOnceAgain) {
                self.end_at_most_once(now, index);
            }
        }
        Some(leased)
    }

    fn end_at_most_once(&mut self, now: Now, index: u32) {
        if let Some(slot) = self.slab.get_mut(index) {
            slot.lessee = Lessee::Nobody;
            let id = slot.id;
            self.take_out(now, id);
            self.prints.insert(id.origin, id.sequence, id.sequence);
        }
    }
}
