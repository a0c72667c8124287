//! Leases: who gets a ready message, for how long, and what happens when the time runs out
//! (protocol.md 4.4). The lease clock starts at delivery, on the owner's monotonic clock.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::canary::QueueCanary;
use super::delivery::{Handle, Leased, Reply};
use super::message::{Deliver, Demand, Message};
use super::slot::{Lessee, Place};
use super::{Alarm, Out, Queues, limits};
use crate::base::{Instant, MemberId, Millis, Now, QueueKey, SessionId, Ticket};
use crate::copies::{Holder, Holders, Item, Section, is_derived};

impl Queues {
    /// A receive: what is ready here at once, else it waits.
    pub fn receive(
        &mut self,
        now: Now,
        ticket: Ticket,
        queue: QueueKey,
        max: u32,
        wait: Millis,
        lease: Option<Millis>,
    ) {
        let lease = match self.check_receive(queue, max, lease) {
            Ok(lease) => lease,
            Err(error) => return self.reply(ticket, Err(error)),
        };
        let announced = self.counters.announced;
        let given = self.give(now, queue, (max, u64::MAX), lease, Lessee::Here(None));
        if given.is_empty() {
            // What is announced is as good as ready: that takes a moment, whoever does not wait.
            let is_near = self.counters.announced != announced;
            let wait = if is_near {
                wait.max(limits::ANNOUNCE_MS)
            } else {
                wait
            };
            return self.wait(now, ticket, queue, max, wait, lease);
        }
        self.note_stock(queue);
        self.reply(ticket, Ok(Reply::Deliveries(given)));
    }

    /// Hands up to `max` ready messages to `lessee` and starts their leases; none after those that
    /// have `bytes_max` bytes together.
    ///
    /// Shape: oldest stamp first. Units: `lease` in ms. Changes: each goes Ready -> Leased and its
    /// `attempts` grows by one. Errors: none; empty means that nothing is ready.
    pub(super) fn give(
        &mut self,
        now: Now,
        queue: QueueKey,
        (max, bytes_max): (u32, u64),
        lease: Millis,
        lessee: Lessee,
    ) -> Vec<Leased> {
        let Some(shelf) = self.shelves.get(queue.0 as usize) else {
            return Vec::new();
        };
        // What is left here of a member that goes is dropped in a moment: nobody could settle it.
        if self.is_parting || shelf.is_paused_out() || self.is_leave_due(now) {
            return Vec::new();
        }
        let count = shelf.ready.count().min(max as usize);
        let mut given = Vec::with_capacity(count);
        let mut soon = Vec::new();
        let mut bytes = 0;
        // Of a key more may be free than there were: what is given out at most once is over by that.
        while given.len() + soon.len() < max as usize && bytes < bytes_max {
            let shelf = self.shelves.get_mut(queue.0 as usize);
            let Some(index) = shelf.and_then(|shelf| shelf.ready.pop(&self.slab)) else {
                break;
            };
            if self.waits_for_hearer(index) {
                soon.push(index);
                continue;
            }
            if let Some(leased) = self.lease(now, index, lease, lessee) {
                bytes += leased.body.len() as u64;
                given.push(leased);
            }
        }
        if !soon.is_empty() {
            self.announce(now, queue, &soon);
        }
        given
    }

    /// Starts one lease; none where the message's time is over. It must be out of its ready list.
    #[inline]
    fn lease(&mut self, now: Now, index: u32, lease: Millis, lessee: Lessee) -> Option<Leased> {
        let slot = self.slab.get_mut(index)?;
        slot.place = Place::Leased;
        let (id, queue, stamp) = (slot.id, slot.queue, slot.stamp);
        // What is purged ends in steps, and is given to nobody meanwhile.
        if self
            .rules(queue)
            .is_some_and(|rules| self.is_purged(rules, stamp))
        {
            self.end_purged(now, id);
            return None;
        }
        let slot = self.slab.get(index)?;
        if slot.terms.is_some() {
            return self.lease_on_terms(now, index, lease, lessee);
        }
        self.begin_lease(now, index, lease, lessee)
    }

    #[inline]
    pub(super) fn begin_lease(
        &mut self,
        now: Now,
        index: u32,
        lease: Millis,
        lessee: Lessee,
    ) -> Option<Leased> {
        let slot = self.slab.get_mut(index)?;
        slot.lessee = lessee;
        if let Lessee::There(member) = lessee {
            // Which life of it: what a dead one held comes back when another shows itself.
            slot.batch = self.peers.get(&member).map_or(0, |peer| peer.boot.0 as u32);
        }
        slot.attempts = slot.attempts.saturating_add(1);
        slot.lease = slot.lease.wrapping_add(1).max(1);
        self.wheel.set(index, now.mono + lease);
        let (id, is_alone) = (slot.id, slot.is_alone());
        self.counters.delivered += 1;
        if !is_alone {
            self.note_lease(now, index);
        }
        let source = if is_derived(id) {
            self.source_of(id)
        } else {
            id
        };
        let slot = self.slab.get(index)?;
        let session = match lessee {
            Lessee::Here(session) => session,
            _ => None,
        };
        Some(Leased {
            handle: Handle {
                queue: slot.queue,
                id: slot.id,
                own: slot.own,
                lease: slot.lease,
                session,
                holders: (!slot.is_alone()).then(|| slot.holders.clone()),
            },
            id: source,
            body: slot.body.clone(),
            headers: slot.headers.clone(),
            terms: slot.terms.clone(),
            attempts: slot.attempts,
            stamp: slot.stamp,
            lease,
        })
    }

    /// Makes an owned message available as soon as its terms allow, whatever it was before. Answers
    /// the queue that the caller is to serve.
    pub(super) fn make_ready(&mut self, now: Now, index: u32) -> Option<QueueKey> {
        let limits = self.limits_of(index);
        let slot = self.slab.get_mut(index)?;
        if slot.place == Place::Ready {
            return None;
        }
        if slot.place == Place::Replicating && slot.key().is_some() {
            self.came_into_line(index);
        }
        let slot = self.slab.get_mut(index)?;
        self.wheel.clear(index);
        slot.lessee = Lessee::Nobody;
        self.hints.forget(slot.id);
        if let Some(stays) = slot.waits_or_ends(now, limits) {
            self.stay(now, index, stays);
            return None;
        }
        slot.place = Place::Ready;
        let (queue, expiry) = (slot.queue, slot.expiry(now));
        if expiry != Instant::NEVER {
            self.wheel.set(index, expiry);
        }
        self.enlist(index);
        Some(queue)
    }

    /// Gives what is ready to those who wait here, then tells members that asked before, then asks
    /// other members for what is still wanted.
    pub(super) fn serve(&mut self, now: Now, queue: QueueKey) {
        let Some(shelf) = self.shelves.get(queue.0 as usize) else {
            return;
        };
        if shelf.is_thirsty() && !shelf.is_paused_out() {
            if shelf.ready.count() > 0 && !self.is_parting {
                self.serve_waiters(now, queue);
                self.serve_sessions(now, queue);
            }
            self.fetch(now, queue);
        }
        self.trim(now, queue);
        self.tell_wanted(queue);
        self.note_stock(queue);
    }

    fn serve_waiters(&mut self, now: Now, queue: QueueKey) {
        let turns = self.shelf(queue).map_or(0, |shelf| shelf.waiters.len());
        let mut unserved = VecDeque::new();
        for _ in 0..turns {
            let ready = self
                .shelf(queue)
                .filter(|shelf| shelf.ready.count() > 0)
                .and_then(|shelf| shelf.waiters.pop_front());
            let Some(ticket) = ready else {
                break;
            };
            let Some((max, lease)) = self.waiters.get(&ticket).map(|one| (one.max, one.lease))
            else {
                continue;
            };
            let given = self.give(now, queue, (max, u64::MAX), lease, Lessee::Here(None));
            if given.is_empty() {
                unserved.push_back(ticket);
                continue;
            }
            self.waiters.remove(&ticket);
            self.alarms.clear(&Alarm::Waiter(ticket));
            self.reply(ticket, Ok(Reply::Deliveries(given)));
        }
        // First in line still: what they would have got is over, or about to be given.
        if let Some(shelf) = self.shelf(queue)
            && !unserved.is_empty()
        {
            unserved.append(&mut shelf.waiters);
            shelf.waiters = unserved;
        }
    }

    fn serve_sessions(&mut self, now: Now, queue: QueueKey) {
        let turns = self.shelf(queue).map_or(0, |shelf| shelf.sessions.len());
        for _ in 0..turns {
            let Some(shelf) = self.shelf(queue) else {
                return;
            };
            if shelf.ready.count() == 0 {
                return;
            }
            // In turn, so that two subscriptions of one queue share it.
            shelf.sessions.rotate_left(1);
            if let Some(session) = shelf.sessions.back().copied() {
                self.serve_session(now, queue, session);
            }
        }
    }

    fn serve_session(&mut self, now: Now, queue: QueueKey, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let (room, lease) = (session.room(), session.lease);
        if room == 0 {
            return;
        }
        let most = (room, session.room_bytes());
        let given = self.give(now, queue, most, lease, Lessee::Here(Some(id)));
        self.hold(now, id, self.me.member, &given);
        if !given.is_empty() {
            self.out.push(Out::Deliver(id, given));
        }
    }

    /// Members that asked and found nothing hear of new stock first.
    pub(super) fn tell_wanted(&mut self, queue: QueueKey) {
        let Some(shelf) = self.shelf(queue) else {
            return;
        };
        if shelf.ready.count() == 0 || shelf.wanted.is_empty() || shelf.is_paused_out() {
            return;
        }
        let name = shelf.name.clone();
        for member in core::mem::take(&mut shelf.wanted) {
            self.out.push(Out::Hint(member, name.clone()));
        }
    }

    /// A member demands messages: what is ready, in one frame's worth.
    pub(super) fn on_demand(&mut self, now: Now, from: MemberId, demand: &Demand) {
        let mut answer = Deliver {
            number: demand.number,
            lease_ms: demand.lease_ms.clamp(1, limits::LEASE_MS_MAX),
            ..Deliver::default()
        };
        let is_full = self.peers.get(&from).is_none_or(|peer| peer.is_full);
        if let Some(queue) = self.shelf_known(&demand.queue, &demand.group) {
            let is_paused = self.is_paused_out(queue);
            let is_closed = is_full || is_paused && !self.planted.is(QueueCanary::PauseIgnored);
            if !is_closed {
                self.give_remote(now, queue, from, demand, &mut answer);
            }
            if let Some(shelf) = self.shelf(queue) {
                answer.has_more = shelf.ready.count() > 0 && !is_closed;
                if !answer.has_more {
                    shelf.wanted.insert(from);
                }
            }
            self.note_stock(queue);
        }
        self.send(from, Message::Deliver(answer));
    }

    fn give_remote(
        &mut self,
        now: Now,
        queue: QueueKey,
        to: MemberId,
        demand: &Demand,
        answer: &mut Deliver,
    ) {
        let receiver = Holder {
            member: to,
            store: self.store_of(to),
        };
        let (mut bytes, mut soon) = (0, Vec::new());
        let bytes_max = match usize::try_from(demand.credit_bytes) {
            Ok(bytes) if bytes > 0 => bytes.min(limits::DEMAND_BYTES_MAX),
            _ => limits::DEMAND_BYTES_MAX,
        };
        for _ in 0..demand.credit.min(limits::DEMAND_MAX) {
            let shelf = self.shelves.get_mut(queue.0 as usize);
            let Some(index) = shelf.and_then(|shelf| shelf.ready.pop(&self.slab)) else {
                break;
            };
            if self.waits_for_hearer(index) {
                soon.push(index);
                continue;
            }
            let size = self.slab.get(index).map_or(0, |slot| slot.body.len());
            if bytes > 0 && bytes + size > bytes_max {
                // It is still ready.
                self.enlist(index);
                break;
            }
            bytes += size.max(1);
            let lessee = Lessee::There(to);
            if let Some(leased) = self.lease(now, index, answer.lease_ms, lessee) {
                let holders = leased
                    .handle
                    .holders
                    .as_ref()
                    .unwrap_or(&self.alone)
                    .clone();
                // One who keeps a copy needs no body.
                let bit = Self::bit(&holders, receiver);
                let has_copy = self
                    .slab
                    .get(index)
                    .is_some_and(|slot| slot.confirmed & bit != 0);
                push_leased(answer, leased, holders, has_copy);
            }
        }
        if !soon.is_empty() {
            self.announce(now, queue, &soon);
        }
    }

    /// Leases that ran out and delays that are over: those messages are ready.
    pub(super) fn wake_slots(&mut self, now: Now) {
        let mut due = Vec::new();
        self.wheel
            .due(now.mono, limits::STEP_MESSAGES_MAX, &mut due);
        let mut queues = Vec::new();
        for index in due {
            let Some(slot) = self.slab.get(index) else {
                continue;
            };
            match slot.place {
                Place::Leased => {
                    self.counters.redeliveries_lease += 1;
                    self.lease_is_over(now, index);
                }
                Place::Delayed => {}
                Place::Ready | Place::Standby => {
                    self.expire(now, index);
                    continue;
                }
                Place::Dying => {
                    self.die_again(now, index);
                    continue;
                }
                _ => continue,
            }
            queues.extend(self.make_ready(now, index));
        }
        queues.dedup();
        for queue in queues {
            self.serve(now, queue);
        }
    }
}

/// Adds a leased message to the sections of a delivery.
fn push_leased(answer: &mut Deliver, leased: Leased, holders: Holders, has_copy: bool) {
    let handle = leased.handle;
    let fresh = Section::new(handle.id.origin, handle.own, holders);
    if leased.id != handle.id {
        answer.note_source(handle.id.origin, leased.id.origin);
    }
    let sections = &mut answer.sections;
    if !sections
        .last()
        .is_some_and(|section| section.is_like(&fresh))
    {
        sections.push(fresh);
    }
    if let Some(section) = sections.last_mut() {
        section.items.push(Item {
            sequence: handle.id.sequence,
            stamp: leased.stamp,
            attempts: leased.attempts,
            lease: handle.lease,
            body: (!has_copy).then_some(leased.body),
            headers: if has_copy { None } else { leased.headers },
            terms: if has_copy { None } else { leased.terms },
        });
    }
}
