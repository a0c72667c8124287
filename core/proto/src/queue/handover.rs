//! Leaving: every copy is handed to another member first (protocol.md 1.2).
//!
//! An owned message goes with its ownership; a copy of another owner's goes to a member that has
//! none. A copy is dropped here only after the other store has confirmed it. What a consumer holds
//! is left alone for half the time, so that most of it ends by itself.

use alloc::vec::Vec;

use super::message::Claim;
use super::repair::SETTLE_DOWN_MS;
use super::slot::{Lessee, Place};
use super::{Alarm, Out, Queues, limits};
use crate::base::{Error, ErrorKind, Instant, MemberId, Millis, Now, StoreId, Ticket};
use crate::copies::{Holder, Own, rank};
use crate::wire::Ids;

/// Pause between two passes over what is left.
const PASS_MS: Millis = 100;

/// A leave under way.
#[derive(Debug)]
pub(super) struct Leaving {
    ticket: Ticket,
    deadline: Instant,
    /// From here on leased messages go as well.
    patience: Instant,
    is_forced: bool,
    cursor: u32,
    /// Nothing is left but answers of members that take enqueues: no further ones are sent.
    is_closing: bool,
}

impl Queues {
    /// Begins to hand every copy over. Ends in [`Out::Left`], or answers 205.
    pub fn leave(&mut self, now: Now, ticket: Ticket, drain: Option<Millis>, is_forced: bool) {
        if self.is_leaving() {
            let error =
                Error::new(ErrorKind::AlreadyExists).because("this member is leaving already");
            return self.reply(ticket, Err(error));
        }
        let drain = drain.unwrap_or(limits::DRAIN_MS).min(limits::WAIT_MS_MAX);
        self.leaving = Some(Leaving {
            ticket,
            deadline: now.mono + drain,
            patience: now.mono + drain / 2,
            is_forced,
            cursor: 0,
            is_closing: false,
        });
        // Without this one others are the home of some keys.
        self.tell_all_homes(now);
        if self.peers.is_empty() && self.slab.len() > 0 {
            // Nobody is there to hand anything to: waiting would not help.
            return self.leave_is_late();
        }
        self.handover_step(now);
    }

    /// True while a leave is under way.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_some() || self.is_parting
    }

    /// True once a leave waits for nothing but members that answer: what they are asked more delays it.
    pub(super) fn is_closing(&self) -> bool {
        let leaving = self.leaving.as_ref();
        self.is_parting || leaving.is_some_and(|leaving| leaving.is_closing)
    }

    /// True once a leave waits for nothing any more: what is held here may be elsewhere already.
    pub(super) fn is_handing_over(&self, now: Now) -> bool {
        let leaving = self.leaving.as_ref();
        leaving.is_some_and(|leaving| now.mono >= leaving.patience)
    }

    /// True where a leave ends in this very step, in the one way or the other: after a time in which nothing
    /// ran, leases may be over at the same moment.
    pub(super) fn is_leave_due(&self, now: Now) -> bool {
        let leaving = self.leaving.as_ref();
        self.is_resuming || leaving.is_some_and(|leaving| now.mono >= leaving.deadline)
    }

    pub(super) fn handover_step(&mut self, now: Now) {
        let Some(leaving) = &self.leaving else { return };
        let (deadline, patience, cursor) = (leaving.deadline, leaving.patience, leaving.cursor);
        let is_empty = self.slab.len() == 0 && !self.has_open_acks();
        if is_empty && self.forwards.is_empty() {
            return self.left();
        }
        if is_empty && let Some(leaving) = &mut self.leaving {
            leaving.is_closing = true;
        }
        if now.mono >= deadline {
            return self.leave_is_late();
        }
        if self.is_filling() && now.mono < patience {
            // What has gone elsewhere would look as if it had never been put into its group.
            let next = (now.mono + PASS_MS).min(patience);
            return self.alarms.set_earlier(Alarm::Handover, next);
        }
        let end = self
            .slab
            .end()
            .min(cursor + limits::STEP_MESSAGES_MAX as u32);
        for index in cursor..end {
            self.hand_over(now, index, now.mono >= patience);
        }
        let is_over = end >= self.slab.end();
        if let Some(leaving) = &mut self.leaving {
            leaving.cursor = if is_over { 0 } else { end };
        }
        let next = if is_over {
            now.mono + PASS_MS
        } else {
            now.mono
        };
        self.alarms.set_earlier(Alarm::Handover, next.min(deadline));
    }

    /// Acks given here that linked holders have not confirmed.
    fn has_open_acks(&self) -> bool {
        let (runs, _) = self
            .tombs
            .step(crate::base::MessageId::default(), limits::STEP_MESSAGES_MAX);
        runs.iter().any(|(_, _, _, tomb)| {
            let places = tomb.holders.iter().enumerate();
            tomb.is_mine
                && places
                    .filter(|(place, _)| tomb.confirmed & (1 << place) == 0)
                    .any(|(_, holder)| self.is_linked(*holder))
        })
    }

    fn hand_over(&mut self, now: Now, index: u32, takes_leased: bool) {
        let Some(slot) = self.slab.get(index) else {
            return;
        };
        if self.is_awaited(slot) {
            // Also where another took it over meanwhile: without it here its receipt would be a guess.
            return;
        }
        let owner = slot
            .holders
            .iter()
            .find(|holder| holder.store == slot.own.store);
        let has_owner = owner.is_some_and(|owner| self.is_linked(*owner));
        match slot.place {
            // What a consumer has goes first, or is over first.
            Place::Ready | Place::Delayed if !takes_leased && self.is_behind(slot) => {}
            Place::Ready | Place::Delayed => self.move_owned(now, index),
            Place::Leased if takes_leased => self.move_owned(now, index),
            Place::Standby if has_owner => self.move_copy(index),
            Place::Standby => self.move_owned(now, index),
            Place::Moving => {
                // Holders may have been added since, so the target stands where a consumer would.
                let goes = match slot.lessee {
                    Lessee::There(target) => self.peers.get(&target),
                    _ => None,
                };
                if !goes.is_some_and(|peer| peer.is_linked) {
                    self.stop_moving(now, index);
                }
            }
            Place::Free | Place::Replicating | Place::Leased | Place::Dying => {}
        }
    }

    /// Gives a message and its ownership to another store.
    fn move_owned(&mut self, now: Now, index: u32) {
        let Some(slot) = self.slab.get(index) else {
            return;
        };
        let (id, holders, confirmed) = (slot.id, slot.holders.clone(), slot.confirmed);
        let keeper = holders.iter().find(|holder| {
            confirmed & Self::bit(&holders, **holder) != 0 && self.takes_copies(**holder)
        });
        // All of a key to one member.
        let home = slot.key().and_then(|key| self.home_store(slot.queue, key));
        let keeper = home
            .or(keeper.copied())
            .or_else(|| self.placement.another(&holders));
        let keeper = keeper.or_else(|| {
            let others = holders.iter().filter(|holder| **holder != self.me);
            others.copied().find(|holder| self.takes_copies(*holder))
        });
        let Some(target) = keeper else { return };
        if slot.is_at_most_once() {
            return self.move_at_most_once(now, index, target);
        }
        if self.counts(slot) {
            let (queue, bytes) = (slot.queue, slot.body.len());
            self.discount_one(queue, bytes);
        }
        self.unlist(now, index);
        if let Some(slot) = self.slab.get_mut(index) {
            slot.holders = crate::copies::with(&holders, &[target]);
            slot.own = Own {
                epoch: slot.own.epoch.saturating_add(1),
                rank: rank(id, target.store),
                store: target.store,
            };
            slot.confirmed &= !Self::bit(&slot.holders, target);
            slot.lessee = Lessee::There(target.member);
            slot.place = Place::Moving;
            slot.lease = slot.own.epoch;
        }
        self.send_slots(&[index], target, None);
    }

    /// A message that is given out at most once is never in two places: it is dropped here before it
    /// is sent, and lost if it does not arrive.
    fn move_at_most_once(&mut self, now: Now, index: u32, target: Holder) {
        let Some(slot) = self.slab.get_mut(index) else {
            return;
        };
        let id = slot.id;
        slot.holders = [target].into();
        let own = Own {
            epoch: slot.own.epoch.saturating_add(1),
            rank: rank(id, target.store),
            store: target.store,
        };
        self.send_slots(&[index], target, Some(own));
        self.counters.handed_over += 1;
        self.take_out(now, id);
        self.prints.insert(id.origin, id.sequence, id.sequence);
    }

    /// Gives a copy of another owner's message to a member that has none; where all have one, the
    /// owner's is enough. It is sent the copy nevertheless: only its own word says that it still has one,
    /// and it may not know of all the others.
    fn move_copy(&mut self, index: u32) {
        let Some(slot) = self.slab.get(index) else {
            return;
        };
        let (holders, own) = (slot.holders.clone(), slot.own);
        let mut owner = holders.iter().filter(|holder| holder.store == own.store);
        let owner = owner.find(|owner| self.takes_copies(**owner)).copied();
        let Some(target) = self.placement.another(&holders).or(owner) else {
            return;
        };
        // A copy that may expire has a deadline, and one on its way has none.
        self.wheel.clear(index);
        if let Some(slot) = self.slab.get_mut(index) {
            slot.holders = crate::copies::with(&holders, &[target]);
            slot.confirmed &= !Self::bit(&slot.holders, target);
            slot.lessee = Lessee::There(target.member);
            slot.place = Place::Moving;
            slot.lease = if target.store == own.store {
                0
            } else {
                own.epoch
            };
        }
        self.send_slots(&[index], target, None);
    }

    /// The member that these were to go to does not take them: several may leave at one time. The next
    /// pass finds another.
    pub(super) fn move_elsewhere(&mut self, now: Now, from: MemberId, ids: &Ids) {
        let refused: Vec<u32> = ids
            .iter()
            .filter_map(|id| {
                let index = self.index.get(id)?;
                let slot = self.slab.get(index)?;
                let is_its = slot.lessee == Lessee::There(from);
                (slot.place == Place::Moving && is_its).then_some(index)
            })
            .collect();
        for index in refused {
            self.stop_moving(now, index);
            self.alarms.set_earlier(Alarm::Handover, now.mono);
        }
    }

    /// A message on its way that did not arrive: a copy of another owner's stays one, what was to
    /// have another owner is this member's again.
    fn stop_moving(&mut self, now: Now, index: u32) {
        let Some(slot) = self.slab.get_mut(index) else {
            return;
        };
        let (target, own) = (core::mem::take(&mut slot.lessee), slot.own.store);
        let is_made_owner = slot.lease != 0;
        let keeps_owner = self.peers.iter().any(|(member, peer)| {
            let is_owner = !is_made_owner || target != Lessee::There(*member);
            peer.store == own && peer.is_linked && is_owner
        });
        if !keeps_owner {
            return self.take_back(now, index);
        }
        self.stand_by(now, index);
    }

    /// The other store has it: the other holders hear where it is, and it is dropped here.
    pub(super) fn moved(&mut self, now: Now, index: u32, to: Holder) {
        let Some(slot) = self.slab.get(index) else {
            return;
        };
        let claim = Claim {
            ids: Ids::one(slot.id),
            own: slot.own,
            holders: slot.holders.clone(),
        };
        let id = slot.id;
        self.send_claim(&claim, Some(to));
        self.counters.handed_over += 1;
        self.take_out(now, id);
        self.alarms.set_earlier(Alarm::Handover, now.mono);
    }

    /// The target is gone, or the leave failed: the message is this member's own again.
    fn take_back(&mut self, now: Now, index: u32) {
        let me = self.me;
        let Some(slot) = self.slab.get_mut(index) else {
            return;
        };
        let was_counted = slot.own.store == me.store;
        let (queue, bytes) = (slot.queue, slot.body.len());
        slot.own = Own {
            epoch: slot.own.epoch.saturating_add(1),
            rank: rank(slot.id, me.store),
            store: me.store,
        };
        slot.confirmed = Self::bit(&slot.holders, me);
        slot.lessee = Lessee::Nobody;
        let claim = Claim {
            ids: Ids::one(slot.id),
            own: slot.own,
            holders: slot.holders.clone(),
        };
        if !was_counted {
            self.count_one(queue, bytes);
        }
        self.make_ready(now, index);
        self.plan_repair(now.mono + SETTLE_DOWN_MS);
        self.send_claim(&claim, None);
    }

    fn leave_is_late(&mut self) {
        let Some(leaving) = self.leaving.take() else {
            return;
        };
        if leaving.is_forced {
            self.leaving = Some(leaving);
            return self.left();
        }
        let error = Error::new(ErrorKind::LeftBehind)
            .because("not every copy could be handed over in time; this member stays")
            .with("copies", self.slab.len());
        self.reply(leaving.ticket, Err(error));
        self.is_resuming = true;
        self.out.push(Out::Stayed);
    }

    /// After a leave in vain this member goes on with what it holds, unless it was evicted meanwhile:
    /// then there is nothing left.
    pub fn resume(&mut self, now: Now) {
        if !core::mem::take(&mut self.is_resuming) {
            return;
        }
        for index in 0..self.slab.end() {
            let is_moving = self
                .slab
                .get(index)
                .is_some_and(|slot| slot.place == Place::Moving);
            if is_moving {
                self.stop_moving(now, index);
            }
        }
        // Who was linked again while they were on their way has not heard that these are held here, and
        // may have finished some of them without this store.
        self.resync_all(now);
        let queues = 0..self.shelves.len() as u32;
        queues.for_each(|queue| self.serve(now, crate::base::QueueKey(queue)));
    }

    fn left(&mut self) {
        if let Some(leaving) = self.leaving.take() {
            self.is_parting = true;
            // With force some may be under way. Whoever hangs up now is no reason to be content with
            // fewer copies: this one goes, too.
            self.give_up_batches();
            self.give_up_forwards();
            self.give_up_dedups();
            self.out.push(Out::Left(leaving.ticket));
        }
    }

    /// Begins anew as a lone member with another life of copies; what was held is dropped.
    /// Subscriptions and waiting receives stay.
    pub fn reset(&mut self, now: Now, store: StoreId) {
        self.give_up_batches();
        self.give_up_forwards();
        self.give_up_dedups();
        self.remembered = super::remembered::Remembered::default();
        for index in 0..self.slab.end() {
            let Some(slot) = self.slab.get_mut(index) else {
                continue;
            };
            let (id, lessee) = (slot.id, core::mem::take(&mut slot.lessee));
            if let (Place::Leased, Lessee::Here(Some(session))) = (slot.place, lessee) {
                // The consumer still has it: its credit is free when the lease would have run out.
                self.look_at_session(now, session);
            }
            self.take_out(now, id);
        }
        (self.is_parting, self.is_resuming) = (false, false);
        self.forget_groups();
        self.forget_rules();
        self.reset_lengths();
        self.began = self.clock.next(now);
        self.me.store = store;
        self.settings.me = self.me;
        self.alone = [self.me].into();
        self.placement.renew_own(self.me);
        // What is finished stays finished: copies of it may be set aside here, or come late.
        for (origin, first, last, _) in core::mem::take(&mut self.tombs).into_runs() {
            self.prints.insert(origin, first, last);
        }
        self.hints.clear();
        self.inventories = super::inventory::Inventories::default();
        self.drop_looks();
        self.drop_redrives(now);
        self.peers.clear();
        self.gone.clear();
        self.sweeps.clear();
        self.is_announcing = false;
        for shelf in &mut self.shelves {
            shelf.listed.clear();
            shelf.sources.clear();
            shelf.wanted.clear();
            shelf.was_stocked = false;
        }
        self.placement
            .set_candidates(now.mono, alloc::vec::Vec::new());
        self.out
            .retain(|out| !matches!(out, Out::Send(..) | Out::Hint(..) | Out::Stock(..)));
        if core::mem::take(&mut self.reclaims) {
            self.reclaim(now, true);
        }
    }
}

#[cfg(test)]
#[path = "handover_tests.rs"]
mod tests;
