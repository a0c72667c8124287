//! The end of a message: an ack at any member is told to every holder at once (protocol.md 4.5).

use alloc::vec::Vec;

use super::delivery::{Handle, Reply};
use super::done::Tomb;
use super::message::{Done, Ending, Message};
use super::settle::done_already;
use super::slot::{Lessee, Place, Slot};
use super::{Queues, limits};
use crate::base::{BootId, Error, ErrorKind, Instant, MemberId, MessageId, Now, Result, Ticket};
use crate::copies::{Holder, Holders};
use crate::wire::{Ids, SEQUENCE_MAX};

impl Queues {
    /// One message is finished.
    pub fn ack(&mut self, now: Now, ticket: Ticket, handle: &Handle) {
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
        let codes = handles
            .iter()
            .map(|handle| match self.ack_one(now, handle) {
                Ok(()) => 0,
                Err(error) => error.number(),
            });
        let codes: Vec<u16> = codes.collect();
        self.reply(ticket, Ok(Reply::Codes(codes)));
    }

    /// Records the end here and tells every holder. Errors: 402, 101.
    fn ack_one(&mut self, now: Now, handle: &Handle) -> Result<()> {
        let id = handle.id;
        if self.is_unborn(id) || id.sequence > SEQUENCE_MAX {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("no message has ever had that handle")
                .with("message", id));
        }
        // What is held is not finished, so the memory of finished ones is asked only for others.
        let holders = match self.take_out(now, id) {
            Some(slot) => crate::copies::with(&slot.holders, &handle.holders),
            None if self.is_done(id) => {
                self.counters.acks_late += 1;
                self.settled_by(now, handle);
                return Err(done_already());
            }
            None => handle.holders.clone(),
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

    /// True when this store knows that the message is finished.
    pub(super) fn is_done(&self, id: MessageId) -> bool {
        self.tombs.get(id).is_some() || self.prints.holds(id)
    }

    /// True for an id of this boot that was not given to any message yet: whatever a peer says of it
    /// must not meet the message that will have it.
    pub(super) fn is_unborn(&self, id: MessageId) -> bool {
        id.origin == self.settings.boot && id.sequence >= self.next_sequence
    }

    /// Ends all of these with one ending, as the one who asks the others.
    pub(super) fn end_all(&mut self, now: Now, ids: &Ids, ending: Ending) {
        for id in ids.iter() {
            if let Some(slot) = self.take_out(now, id) {
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
        let slot = self.slab.remove(index)?;
        self.memory_used = self.memory_used.saturating_sub(slot.weight());
        match slot.place {
            Place::Ready => {
                if let Some(shelf) = self.shelves.get_mut(slot.queue.0 as usize) {
                    shelf.ready.lost_one(&self.slab);
                }
                self.note_stock(slot.queue);
            }
            Place::Leased => {
                if let Lessee::Here(Some(session)) = slot.lessee {
                    self.let_go(session, id);
                }
            }
            Place::Replicating => self.batch_lost_one(now, slot.batch, slot.confirmed),
            Place::Standby => self.batch_moved_one_ended(now, &slot),
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
