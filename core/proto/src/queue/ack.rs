//! The end of a message: an ack at any member is told to every holder at once (protocol.md 4.5).

use alloc::vec::Vec;

use super::delivery::{Handle, Reply};
use super::done::Tomb;
use super::message::{Done, Ending, Message};
use super::settle::done_already;
use super::slot::{Lessee, Place, Slot};
use super::{Queues, limits};
use crate::base::{
    BootId, Error, ErrorKind, Instant, MemberId, MessageId, Now, QueueKey, Result, Ticket,
};
use crate::copies::{Holder, Holders};
use crate::wire::{Ids, SEQUENCE_MAX};

/// A run of finished messages of one origin: first and last of them.
#[derive(Default)]
struct Neighbours(Option<(BootId, u64, u64)>);

impl Neighbours {
    fn of(id: MessageId) -> Self {
        Self(Some((id.origin, id.sequence, id.sequence)))
    }

    /// Lengthens the run by a message that is the next one of it; false for another.
    fn takes(&mut self, id: MessageId) -> bool {
        match &mut self.0 {
            Some((origin, _, last)) if *origin == id.origin && *last + 1 == id.sequence => {
                *last = id.sequence;
                true
            }
            _ => false,
        }
    }
}

impl Queues {
    /// One message is finished.
    pub fn ack(&mut self, now: Now, ticket: Ticket, handle: &Handle) {
        let id = handle.id;
        if self.end_alone(handle) {
            self.prints.insert(id.origin, id.sequence, id.sequence);
            return self.reply(ticket, Ok(Reply::Done));
        }
        let answer = self.ack_one(now, handle).map(|()| Reply::Done);
        self.reply(ticket, answer);
    }

    /// Several are finished: one number each.
    pub fn ack_many(&mut self, now: Now, ticket: Ticket, handles: &[Handle]) {
        if handles.len() > limits::BATCH_MAX {
            let error = Error::new(ErrorKind::TooLarge)
                .because("too many deliveries in one call")
                .with("deliveries_max", limits::BATCH_MAX);
            return self.reply(ticket, Err(error));
        }
        let mut codes = Vec::with_capacity(handles.len());
        let mut ended = Neighbours::default();
        for handle in handles {
            if self.end_alone(handle) {
                if !ended.takes(handle.id) {
                    self.remember(core::mem::replace(&mut ended, Neighbours::of(handle.id)));
                }
                codes.push(0);
                continue;
            }
            // What is finished is looked up below, so all that was has to be remembered by now.
            self.remember(core::mem::take(&mut ended));
            codes.push(match self.ack_one(now, handle) {
                Ok(()) => 0,
                Err(error) => error.number(),
            });
        }
        self.remember(ended);
        self.reply(ticket, Ok(Reply::Codes(codes)));
    }

    /// Ends a message that a consumer has and that no other store holds, without remembering it:
    /// the caller does. False, and nothing is changed, for any other message: most of what
    /// [`Queues::ack_one`] looks at cannot be the case then.
    fn end_alone(&mut self, handle: &Handle) -> bool {
        if handle.session.is_some() || handle.holders.is_some() {
            return false;
        }
        let Some(index) = self.index.get(handle.id) else {
            return false;
        };
        let Some(slot) = self.slab.get(index) else {
            return false;
        };
        let is_plain = slot.place == Place::Leased
            && slot.lessee == Lessee::Here(None)
            && slot.is_alone()
            && slot.key().is_none()
            && !slot.has_dedup()
            && slot.own.store == self.me.store
            && handle.own.store == self.me.store;
        if is_plain {
            let (queue, bytes) = (slot.queue, slot.body.len());
            self.discount_one(queue, bytes);
            self.let_go_of_one(queue);
            self.index.take(handle.id);
            self.wheel.clear(index);
            let freed = self.slab.empty(index);
            self.discharge(freed);
            self.counters.acked += 1;
        }
        is_plain
    }

    /// A message of this shelf is not here any more.
    fn let_go_of_one(&mut self, queue: QueueKey) {
        if let Some(shelf) = self.shelves.get_mut(queue.0 as usize) {
            shelf.held = shelf.held.saturating_sub(1);
        }
    }

    fn remember(&mut self, ended: Neighbours) {
        if let Some((origin, first, last)) = ended.0 {
            self.prints.insert(origin, first, last);
        }
    }

    /// Records the end here and tells every holder. Errors: 402, 101.
    fn ack_one(&mut self, now: Now, handle: &Handle) -> Result<()> {
        let id = handle.id;
        if handle.lease == 0 {
            // Finished when it was given out; now its consumer has room for another.
            self.settled_by(now, handle);
            return Ok(());
        }
        if self.is_unborn(id) || id.sequence > SEQUENCE_MAX {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("no message has ever had that handle")
                .with("message", id));
        }
        // Named even when that life of this member's store is over.
        let alone = [Holder {
            member: self.me.member,
            store: handle.own.store,
        }];
        let known = handle.holders.as_deref().unwrap_or(&alone);
        // What is held is not finished, so the memory of finished ones is asked only for others.
        let holders = match self.end_out(now, id) {
            Some(slot) => crate::copies::with(&slot.holders, known),
            None if self.is_done(id) => {
                self.counters.acks_late += 1;
                self.tell_lessor(handle);
                self.settled_by(now, handle);
                return Err(done_already());
            }
            None => handle.holders.clone().unwrap_or_else(|| alone.into()),
        };
        self.counters.acked += 1;
        self.bury(
            now,
            (id.origin, id.sequence, id.sequence),
            &holders,
            Ending::Acked,
            true,
        );
        self.settled_by(now, handle);
        Ok(())
    }

    /// Who gave a lease of a message that is finished does not know: it would give it for ever.
    fn tell_lessor(&mut self, handle: &Handle) {
        let Some(holders) = &handle.holders else {
            return;
        };
        let mut named = holders.iter().copied();
        let lessor = named.find(|holder| holder.store == handle.own.store);
        if let Some(lessor) = lessor.filter(|lessor| self.is_linked(*lessor)) {
            self.send_done(lessor.member, Ids::one(handle.id), holders, Ending::Acked);
        }
    }

    /// True when this store knows that the message is finished.
    pub(super) fn is_done(&self, id: MessageId) -> bool {
        self.tombs.get(id).is_some() || self.prints.holds(id)
    }

    /// True for an id of this boot that was not given to any message yet: whatever a peer says of it
    /// must not meet the message that will have it.
    pub(super) fn is_unborn(&self, id: MessageId) -> bool {
        id.sequence >= self.next_sequence && self.is_own_origin(id.origin)
    }

    /// Ends all of these with one ending, as the one who asks the others.
    pub(super) fn end_all(&mut self, now: Now, ids: &Ids, ending: Ending) {
        for id in ids.iter() {
            let taken = match ending {
                Ending::Aborted => self.take_out(now, id),
                _ => self.end_out(now, id),
            };
            if let Some(slot) = taken {
                let holders = slot.holders;
                self.bury(
                    now,
                    (id.origin, id.sequence, id.sequence),
                    &holders,
                    ending,
                    true,
                );
            }
        }
    }

    /// Takes a message out of its slot, its queue and its lease.
    pub(super) fn take_out(&mut self, now: Now, id: MessageId) -> Option<Slot> {
        let index = self.index.take(id)?;
        self.wheel.clear(index);
        self.hints.forget(id);
        let slot = self.slab.remove(index)?;
        self.discharge(slot.weight());
        self.let_go_of_one(slot.queue);
        if self.counts(&slot) {
            self.discount_one(slot.queue, slot.body.len());
        }
        if slot.place == Place::Ready || slot.key().is_some() {
            self.delist(&slot, slot.place);
        }
        match slot.place {
            Place::Leased => {
                if let Lessee::Here(Some(session)) = slot.lessee {
                    self.let_go(session, id);
                }
            }
            Place::Replicating => self.batch_lost_one(now, slot.batch, slot.confirmed),
            Place::Standby => self.batch_moved_one_ended(now, &slot),
            Place::Dying => drop(self.dying.remove(&id)),
            _ => {}
        }
        Some(slot)
    }

    /// Remembers ended messages: as tombstones while other stores may hold them, else as
    /// fingerprints. With `is_mine` the holders are told, and asked until they confirm.
    pub(super) fn bury(
        &mut self,
        now: Now,
        (origin, first, last): (BootId, u64, u64),
        holders: &Holders,
        ending: Ending,
        is_mine: bool,
    ) {
        if holders.iter().all(|holder| *holder == self.me) {
            return self.prints.insert(origin, first, last);
        }
        let second = 1_000;
        let tomb = Tomb {
            holders: holders.clone(),
            confirmed: Self::bit(holders, self.me),
            ending,
            is_mine,
            since: Instant(now.mono.0 / second * second),
        };
        self.tombs.insert(origin, first, last, tomb);
        let pause = if is_mine {
            limits::ACK_RETRY_MS_MIN
        } else {
            limits::TOMBSTONE_ADOPT_MS
        };
        for holder in holders.iter() {
            if *holder == self.me {
                continue;
            }
            if self.is_lost(*holder) {
                self.alarms
                    .set_earlier(super::Alarm::Recheck, now.mono + pause);
                continue;
            }
            if is_mine && self.is_linked(*holder) {
                let ids = Ids::range(origin, first, last);
                self.send_done(holder.member, ids, holders, ending);
            }
            self.arm_retry(holder.member, now.mono + pause);
        }
    }

    pub(super) fn send_done(&mut self, to: MemberId, ids: Ids, holders: &Holders, ending: Ending) {
        let done = Done {
            ids,
            holders: holders.clone(),
            ending,
        };
        self.send(to, Message::SetDone(done));
    }

    /// A store says that it keeps a message which is finished here. Those that the ack round knows of
    /// are asked anyway; another came into it too late, or under a name that was not known yet.
    pub(super) fn tell_keeper(&mut self, now: Now, keeper: Holder, id: MessageId) {
        let tomb = self.tombs.get(id);
        let asked = tomb.map(|tomb| tomb.holders.clone()).unwrap_or_default();
        if !asked.contains(&keeper) {
            let holders = crate::copies::with(&asked, &[keeper]);
            self.tell_done(now, keeper.member, id, &holders);
        }
    }

    /// Somebody sent a copy, or a claim, of a message that is finished here.
    pub(super) fn tell_done(&mut self, now: Now, to: MemberId, id: MessageId, holders: &Holders) {
        let ending = self.tombs.get(id).map_or(Ending::Acked, |tomb| tomb.ending);
        let sender = Holder {
            member: to,
            store: self.store_of(to),
        };
        let holders = crate::copies::with(holders, &[sender]);
        if let Some(tomb) = self.tombs.get(id).cloned() {
            // The sender may hold it now, so it has to confirm as well.
            let grown = crate::copies::with(&tomb.holders, &holders);
            let tomb = Tomb {
                confirmed: tomb.confirmed | Self::bit(&grown, self.me),
                holders: grown,
                ..tomb
            };
            self.tombs.insert(id.origin, id.sequence, id.sequence, tomb);
            self.arm_retry(to, now.mono + limits::ACK_RETRY_MS_MIN);
        }
        self.send_done(to, Ids::one(id), &holders, ending);
    }
}

#[cfg(test)]
#[path = "ack_tests.rs"]
mod tests;
