//! Fetching: receives that wait, and demands to members that have stock (protocol.md 4.4).
//!
//! The owner leases and stays the owner; nothing moves. Each consumer has one demand under way at a
//! time, and each member is asked by a bounded number of consumers at once.

use alloc::vec::Vec;

use super::delivery::{Handle, Leased, Reply};
use super::groups::split;
use super::message::{Deliver, Demand, Message, Settle};
use super::shelf::{Asked, Consumer, Waiter};
use super::{Alarm, Out, Queues, limits};
use crate::base::{Error, ErrorKind, MemberId, MessageId, Millis, Now, QueueKey, Result, Ticket};
use crate::copies::Section;

/// Demands of one queue under way to one member.
const ASKING_MAX: u32 = 16;
/// Waiters looked at for one demand each: the rest wait for those in front.
const FETCH_SCAN_MAX: usize = 64;
/// Demands remembered that were given up, for giving back what comes for them after all.
const GIVEN_UP_MAX: usize = 4_096;
/// How often those that list a queue are asked again while somebody wants its messages.
const LOOK_MS: Millis = 1_000;

impl Queues {
    /// Checks a receive's or subscription's numbers; answers its lease. Errors: 101, 102.
    pub(super) fn check_receive(
        &self,
        queue: QueueKey,
        max: u32,
        lease: Option<Millis>,
    ) -> Result<Millis> {
        if self.shelves.get(queue.0 as usize).is_none() {
            return Err(ErrorKind::NotFound.into());
        }
        if max == 0 || max as usize > limits::BATCH_MAX {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("max is out of its range")
                .with("max", max)
                .with("max_max", limits::BATCH_MAX));
        }
        let lease = lease.unwrap_or_else(|| self.usual_lease(queue));
        if lease == 0 || lease > limits::LEASE_MS_MAX {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("the lease is out of its range")
                .with("lease_ms", lease)
                .with("lease_ms_max", limits::LEASE_MS_MAX));
        }
        Ok(lease)
    }

    /// Nothing is ready here: the receive waits, or asks around once.
    pub(super) fn wait(
        &mut self,
        now: Now,
        ticket: Ticket,
        queue: QueueKey,
        max: u32,
        wait: Millis,
        lease: Millis,
    ) {
        let Some(shelf) = self.shelves.get_mut(queue.0 as usize) else {
            return;
        };
        let is_patient = wait > 0;
        if !is_patient && (shelf.sources.is_empty() || shelf.is_paused_out()) {
            return self.reply(ticket, Ok(Reply::Deliveries(Vec::new())));
        }
        if self.waiters.len() >= limits::WAITERS_MAX {
            let error = Error::new(ErrorKind::Full)
                .because("as many calls wait here as may")
                .with("waiters_max", limits::WAITERS_MAX);
            return self.reply(ticket, Err(error));
        }
        shelf.waiters.push_back(ticket);
        let waiter = Waiter {
            queue,
            max,
            lease,
            is_patient,
            demand: None,
        };
        self.waiters.insert(ticket, waiter);
        let limit = if is_patient {
            wait.min(limits::WAIT_MS_MAX)
        } else {
            limits::DEMAND_MS
        };
        self.alarms.set(Alarm::Waiter(ticket), now.mono + limit);
        self.fetch(now, queue);
    }

    /// Nobody waits for that receive, call, page, explanation, diagnosis or redrive any more. What was demanded for it goes to others, or back.
    pub fn cancel(&mut self, ticket: Ticket) {
        let is_ended = self.end_waiter(ticket) || self.end_call(ticket) || self.end_browse(ticket);
        if !is_ended && !self.end_explain(ticket) && !self.end_doctor(ticket) {
            self.end_redrive(ticket);
        }
    }

    pub(super) fn waiter_is_due(&mut self, ticket: Ticket) {
        if self.end_waiter(ticket) {
            self.reply(ticket, Ok(Reply::Deliveries(Vec::new())));
        }
    }

    fn end_waiter(&mut self, ticket: Ticket) -> bool {
        let Some(waiter) = self.waiters.remove(&ticket) else {
            return false;
        };
        self.alarms.clear(&Alarm::Waiter(ticket));
        if let Some(shelf) = self.shelf(waiter.queue) {
            shelf.waiters.retain(|waiting| *waiting != ticket);
        }
        true
    }

    /// Sends a demand for every consumer that wants something and has none under way, as long as
    /// there are members to ask.
    pub(super) fn fetch(&mut self, now: Now, queue: QueueKey) {
        let Some(shelf) = self.shelves.get(queue.0 as usize) else {
            return;
        };
        if !shelf.is_thirsty() || shelf.is_paused_out() {
            return;
        }
        if !shelf.listed.is_empty() {
            self.alarms
                .set_earlier(Alarm::Look(queue), now.mono + LOOK_MS);
        }
        if shelf.sources.is_empty() {
            return;
        }
        let waiting = shelf.waiters.iter().take(FETCH_SCAN_MAX).copied();
        let waiting: Vec<Ticket> = waiting.collect();
        for ticket in waiting {
            let Some(waiter) = self.waiters.get(&ticket) else {
                continue;
            };
            if waiter.demand.is_none() {
                let (most, lease) = ((waiter.max, 0), waiter.lease);
                let number = self.demand(now, queue, most, lease, Consumer::Waiter(ticket));
                if let Some(waiter) = self.waiters.get_mut(&ticket) {
                    waiter.demand = number;
                }
            }
        }
        let sessions = self
            .shelves
            .get(queue.0 as usize)
            .map(|shelf| shelf.sessions.clone());
        for id in sessions.unwrap_or_default() {
            let Some(session) = self.sessions.get(&id) else {
                continue;
            };
            let (room, lease) = (session.room(), session.lease);
            if room > 0 && session.demand.is_none() {
                let bytes = session.credit_bytes.map_or(0, |_| session.room_bytes());
                let (credit, bytes) = self.sparing((room, bytes));
                let number = self.demand(now, queue, (credit, bytes), lease, Consumer::Session(id));
                if let (Some(session), Some(number)) = (self.sessions.get_mut(&id), number) {
                    session.demand = Some((number, credit));
                }
            }
        }
    }

    /// Asks the next source for up to `credit` messages of `credit_bytes` bytes together (0 for any
    /// number); none when there is nobody to ask.
    fn demand(
        &mut self,
        now: Now,
        queue: QueueKey,
        (credit, credit_bytes): (u32, u64),
        lease: Millis,
        consumer: Consumer,
    ) -> Option<u64> {
        let (credit, credit_bytes) = self.sparing((credit, credit_bytes));
        let shelf = self.shelves.get_mut(queue.0 as usize)?;
        let peers = &self.peers;
        let asking = &shelf.asking;
        let place = shelf.sources.iter().position(|source| {
            let is_linked = peers.get(source).is_some_and(|peer| peer.is_linked);
            is_linked && asking.get(source).copied().unwrap_or(0) < ASKING_MAX
        })?;
        let to = shelf.sources.remove(place)?;
        shelf.sources.push_back(to);
        *shelf.asking.entry(to).or_default() += 1;
        let (name, group) = split(&shelf.name);
        let (name, group) = (name.into(), group.into());
        let number = self.number();
        let asked = Asked {
            queue,
            to,
            consumer,
            lease,
        };
        self.asked.insert(number, asked);
        self.alarms
            .set(Alarm::Demand(number), now.mono + limits::DEMAND_MS);
        let demand = Demand {
            number,
            queue: name,
            credit,
            lease_ms: lease,
            group,
            credit_bytes,
        };
        self.send(to, Message::Demand(demand));
        Some(number)
    }

    /// Takes a demand off the books; answers it.
    fn close_demand(&mut self, number: u64) -> Option<Asked> {
        let asked = self.asked.remove(&number)?;
        self.alarms.clear(&Alarm::Demand(number));
        if let Some(shelf) = self.shelf(asked.queue) {
            if let Some(count) = shelf.asking.get_mut(&asked.to) {
                *count = count.saturating_sub(1);
            }
            shelf.asking.retain(|_, count| *count > 0);
        }
        match asked.consumer {
            Consumer::Waiter(ticket) => {
                if let Some(waiter) = self.waiters.get_mut(&ticket) {
                    waiter.demand = None;
                }
            }
            Consumer::Session(id) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.demand = None;
                }
            }
        }
        Some(asked)
    }

    pub(super) fn demand_is_late(&mut self, now: Now, number: u64) {
        if let Some(asked) = self.close_demand(number) {
            if self.given_up.len() >= GIVEN_UP_MAX {
                self.given_up.pop_first();
            }
            self.given_up.insert(number);
            self.fetch(now, asked.queue);
            self.end_impatient(asked.queue);
        }
    }

    /// A link is gone, and the demands that went over it.
    pub(super) fn drop_demands_to(&mut self, now: Now, member: MemberId) {
        for shelf in &mut self.shelves {
            shelf.listed.remove(&member);
            shelf.sources.retain(|source| *source != member);
        }
        let lost = self.asked.iter().filter(|(_, asked)| asked.to == member);
        let lost: Vec<u64> = lost.map(|(number, _)| *number).collect();
        for number in lost {
            self.demand_is_late(now, number);
        }
    }

    /// Somebody still waits: all that list the queue are worth asking again.
    pub(super) fn look_again(&mut self, now: Now, queue: QueueKey) {
        let Some(shelf) = self.shelf(queue) else {
            return;
        };
        for member in &shelf.listed {
            if !shelf.sources.contains(member) {
                shelf.sources.push_back(*member);
            }
        }
        self.fetch(now, queue);
    }

    /// Receives that do not wait end as soon as nobody is left to ask.
    fn end_impatient(&mut self, queue: QueueKey) {
        let Some(shelf) = self.shelf(queue) else {
            return;
        };
        let has_sources = !shelf.sources.is_empty();
        let waiting: Vec<Ticket> = shelf.waiters.iter().copied().collect();
        for ticket in waiting {
            let is_over = self.waiters.get(&ticket).is_some_and(|waiter| {
                !waiter.is_patient && waiter.demand.is_none() && !has_sources
            });
            if is_over {
                self.waiter_is_due(ticket);
            }
        }
    }

    /// Messages came for a demand, or the word that there are none.
    pub(super) fn on_deliver(&mut self, now: Now, from: MemberId, deliver: Deliver) {
        let is_asked = |asked: &Asked| asked.to == from;
        if !self.asked.get(&deliver.number).is_some_and(is_asked) {
            // Too late: nobody remembers who wanted them. An answer that was taken before is not
            // given back when it comes again: its consumer would lose the lease.
            if self.given_up.remove(&deliver.number) {
                self.give_back(from, &deliver.sections);
            }
            return;
        }
        let Some(asked) = self.close_demand(deliver.number) else {
            return;
        };
        let queue = asked.queue;
        if !deliver.has_more
            && let Some(shelf) = self.shelf(queue)
        {
            shelf.sources.retain(|source| *source != from);
        }
        let lease = deliver.lease_ms.min(asked.lease);
        let leased = self.unpack(now, (queue, lease), from, deliver);
        self.counters.fetched += leased.len() as u64;
        self.hand_out(now, &asked, from, leased);
        self.fetch(now, queue);
        self.end_impatient(queue);
    }

    /// Turns sections into deliveries; bodies of copies held here are taken from there. What cannot
    /// be used is given back.
    fn unpack(
        &mut self,
        now: Now,
        (queue, lease): (QueueKey, Millis),
        from: MemberId,
        mut deliver: Deliver,
    ) -> Vec<Leased> {
        let mut leased = Vec::new();
        for section in core::mem::take(&mut deliver.sections) {
            let own = section.own;
            let origin = deliver.source_of(section.origin);
            for item in section.items {
                let id = MessageId {
                    origin: section.origin,
                    sequence: item.sequence,
                };
                if self.is_done(id) {
                    // Its owner has not heard of the ack, and may never: it would give it for ever.
                    self.tell_done(now, from, id, &section.holders);
                    continue;
                }
                let held = self.index.get(id).and_then(|index| self.slab.get(index));
                let (body, headers, terms) = match (item.body, held) {
                    (Some(body), _) => (body, item.headers, item.terms),
                    (None, Some(slot)) => {
                        (slot.body.clone(), slot.headers.clone(), slot.terms.clone())
                    }
                    (None, None) => {
                        // The owner took it to have a copy.
                        self.send_lacks(from, crate::wire::Ids::one(id));
                        self.send_release(from, id, own.epoch, item.lease);
                        continue;
                    }
                };
                leased.push(Leased {
                    handle: Handle {
                        queue,
                        id,
                        own,
                        lease: item.lease,
                        session: None,
                        holders: Some(section.holders.clone()),
                    },
                    id: MessageId { origin, ..id },
                    body,
                    headers,
                    terms,
                    attempts: item.attempts,
                    stamp: item.stamp,
                    lease,
                });
            }
        }
        leased
    }

    /// Gives fetched messages to the one they were demanded for, else to another with the same
    /// lease, else back to their owner.
    fn hand_out(&mut self, now: Now, asked: &Asked, from: MemberId, mut leased: Vec<Leased>) {
        if leased.is_empty() {
            return;
        }
        let mut consumer = Some(asked.consumer);
        while let Some(next) = consumer {
            leased = match next {
                Consumer::Waiter(ticket) => self.hand_to_waiter(ticket, leased),
                Consumer::Session(id) => self.hand_to_session(now, id, from, leased),
            };
            if leased.is_empty() {
                return;
            }
            consumer = self.someone_else(asked);
        }
        for surplus in leased {
            let handle = surplus.handle;
            self.send_release(from, handle.id, handle.own.epoch, handle.lease);
        }
    }

    fn hand_to_waiter(&mut self, ticket: Ticket, mut leased: Vec<Leased>) -> Vec<Leased> {
        let Some(waiter) = self.waiters.get(&ticket) else {
            return leased;
        };
        let rest = leased.split_off(leased.len().min(waiter.max as usize));
        self.end_waiter(ticket);
        self.reply(ticket, Ok(Reply::Deliveries(leased)));
        rest
    }

    fn hand_to_session(
        &mut self,
        now: Now,
        id: crate::base::SessionId,
        from: MemberId,
        mut leased: Vec<Leased>,
    ) -> Vec<Leased> {
        let rest = leased.split_off(self.sessions.get(&id).map_or(0, |to| fitting(to, &leased)));
        leased
            .iter_mut()
            .for_each(|one| one.handle.session = Some(id));
        self.hold(now, id, from, &leased);
        if !leased.is_empty() {
            self.out.push(Out::Deliver(id, leased));
        }
        rest
    }

    /// Another consumer here that may take what was fetched for `asked`.
    fn someone_else(&self, asked: &Asked) -> Option<Consumer> {
        let shelf = self.shelves.get(asked.queue.0 as usize)?;
        let waiter = shelf.waiters.iter().find(|ticket| {
            self.waiters
                .get(ticket)
                .is_some_and(|waiter| waiter.lease == asked.lease)
        });
        if let Some(ticket) = waiter {
            return Some(Consumer::Waiter(*ticket));
        }
        let session = shelf.sessions.iter().find(|id| {
            self.sessions
                .get(id)
                .is_some_and(|session| session.lease == asked.lease && session.room() > 0)
        });
        session.map(|id| Consumer::Session(*id))
    }

    fn give_back(&mut self, to: MemberId, sections: &[Section]) {
        for section in sections {
            for item in &section.items {
                let id = MessageId {
                    origin: section.origin,
                    sequence: item.sequence,
                };
                self.send_release(to, id, section.own.epoch, item.lease);
            }
        }
    }

    /// Gives one lease back to its owner, which need not answer.
    fn send_release(&mut self, to: MemberId, id: MessageId, epoch: u32, lease: u32) {
        self.counters.returned += 1;
        if lease == 0 {
            // Finished when it was given out: nobody has it now.
            self.counters.at_most_once_lost += 1;
            return;
        }
        let settle = Settle {
            number: 0,
            verb: super::settle::RELEASE,
            origin: id.origin.0,
            sequence: id.sequence,
            epoch,
            lease,
            span: 0,
            reason: alloc::string::String::new(),
        };
        self.send(to, Message::Settle(settle));
    }
}

/// How many of these a subscription may be given.
fn fitting(session: &super::shelf::Session, leased: &[Leased]) -> usize {
    let mut bytes = session.room_bytes();
    let mut fits = 0;
    for one in leased.iter().take(session.room() as usize) {
        if bytes == 0 {
            break;
        }
        bytes = bytes.saturating_sub(one.body.len() as u64);
        fits += 1;
    }
    fits
}
