//! Putting messages in: admission, copies, and the honest receipt (protocol.md 4.3).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::batch::Caller;
use super::canary::QueueCanary;
use super::delivery::{EnqueueOptions, NewMessage, OnShort, Receipt, Reply};
use super::memory::cost;
use super::slot::{Lessee, Place, Slot};
use super::span::Span;
use super::{Queues, limits};
use crate::base::{Error, ErrorKind, Instant, MessageId, Now, QueueKey, Result, Stamp, Ticket};
use crate::copies::{Holders, Own, Terms};

/// What admission decided.
pub(super) struct Admitted {
    pub(super) wanted: u16,
    pub(super) needed: u16,
    pub(super) on_short: OnShort,
    /// This member first; with `needed` 1 nobody else.
    pub(super) holders: Holders,
    /// What else was asked for.
    pub(super) terms: Option<Arc<Terms>>,
    pub(super) deadline: Instant,
}

impl Queues {
    /// One message. Answers at once when no other member is needed.
    pub fn enqueue(
        &mut self,
        now: Now,
        ticket: Ticket,
        queue: QueueKey,
        message: NewMessage,
        options: EnqueueOptions,
    ) {
        if self.has_choice(queue, &options) {
            let caller = Caller::One(ticket);
            return self.enqueue_somewhere(now, caller, queue, Vec::from([message]), options);
        }
        let admitted = self.check(&message).and_then(|bytes| {
            self.check_length(queue, core::slice::from_ref(&message))?;
            self.admit(now, queue, bytes + options.cost(), 1, options)
        });
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return self.refuse(ticket, error),
        };
        self.counters.enqueued += 1;
        let span = self.mint(1);
        if admitted.needed == 1 {
            let origin = self.settings.boot;
            let id = MessageId {
                origin,
                sequence: span.first,
            };
            self.lay_ready(now, queue, (id, message), &admitted);
            let receipt = self.receipt(id, 1, admitted.wanted);
            self.reply(ticket, Ok(Reply::Receipt(receipt)));
            return self.serve(now, queue);
        }
        self.replicate(now, Caller::One(ticket), queue, (span, [message]), admitted);
    }

    /// Several messages, all or none.
    pub fn enqueue_many(
        &mut self,
        now: Now,
        ticket: Ticket,
        queue: QueueKey,
        messages: Vec<NewMessage>,
        options: EnqueueOptions,
    ) {
        let caller = Caller::Many(ticket);
        if self.has_choice(queue, &options) {
            return self.enqueue_somewhere(now, caller, queue, messages, options);
        }
        self.enqueue_here(now, caller, queue, messages, options);
    }

    /// Messages for the queue itself, at this member.
    pub(super) fn enqueue_here(
        &mut self,
        now: Now,
        caller: Caller,
        queue: QueueKey,
        messages: Vec<NewMessage>,
        options: EnqueueOptions,
    ) {
        let admitted = self.weigh(&messages, &options).and_then(|bytes| {
            self.check_length(queue, &messages)?;
            self.admit(now, queue, bytes, messages.len(), options)
        });
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return self.fail(caller, error),
        };
        self.counters.enqueued += messages.len() as u64;
        let span = self.mint(messages.len() as u64);
        if admitted.needed > 1 {
            return self.replicate(now, caller, queue, (span, messages), admitted);
        }
        let mut receipts = Vec::with_capacity(messages.len());
        let origin = self.settings.boot;
        for (sequence, message) in (span.first..).zip(messages) {
            let id = MessageId { origin, sequence };
            self.lay_ready(now, queue, (id, message), &admitted);
            receipts.push(self.receipt(id, 1, admitted.wanted));
        }
        self.give_receipts(caller, receipts);
        self.serve(now, queue);
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, error: Error) {
        self.counters.enqueues_failed += 1;
        self.reply(ticket, Err(error));
    }

    pub(super) fn receipt(&mut self, id: MessageId, copies: u16, wanted: u16) -> Receipt {
        self.counters.enqueues_short += u64::from(copies < wanted);
        self.has_short |= copies < wanted;
        Receipt {
            id,
            copies,
            durable_copies: 0,
            wanted,
            is_duplicate: false,
        }
    }

    /// Checks each, and answers what all of them will cost. Errors: 101, 104.
    pub(super) fn weigh(&self, messages: &[NewMessage], options: &EnqueueOptions) -> Result<u64> {
        let keys = options.cost().saturating_mul(messages.len() as u64);
        Ok(self.check_all(messages)?.saturating_add(keys))
    }

    pub(super) fn check_all(&self, messages: &[NewMessage]) -> Result<u64> {
        messages.iter().map(|message| self.check(message)).sum()
    }

    /// Checks a message's size and headers; answers what it will cost. Errors: 101, 104.
    pub(super) fn check(&self, message: &NewMessage) -> Result<u64> {
        if message.body.len() > self.settings.body_bytes_max {
            return Err(Error::new(ErrorKind::TooLarge)
                .because("the body is over the limit")
                .with("bytes", message.body.len())
                .with("bytes_max", self.settings.body_bytes_max));
        }
        if let Some(headers) = &message.headers {
            let bytes: usize = headers
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum();
            if bytes > limits::HEADER_BYTES_MAX || headers.len() > limits::HEADERS_MAX {
                return Err(Error::new(ErrorKind::TooLarge)
                    .because("the headers are over the limit")
                    .with("bytes", bytes)
                    .with("bytes_max", limits::HEADER_BYTES_MAX)
                    .with("headers", headers.len())
                    .with("headers_max", limits::HEADERS_MAX));
            }
            for (key, _) in headers.iter() {
                crate::base::id::check_name("header", key, limits::NAME_BYTES_MAX)?;
            }
        }
        Ok(cost(message.body.len(), message.headers.as_ref(), None))
    }

    /// Whether these may come, and where to. Errors: 101, 102, 104, 202, 203.
    pub(super) fn admit(
        &mut self,
        now: Now,
        queue: QueueKey,
        bytes: u64,
        count: usize,
        options: EnqueueOptions,
    ) -> Result<Admitted> {
        let admitted = self.admit_unweighed(now, queue, count, options)?;
        self.check_memory(bytes)?;
        Ok(admitted)
    }

    /// The same, whatever they weigh.
    pub(super) fn admit_unweighed(
        &mut self,
        now: Now,
        queue: QueueKey,
        count: usize,
        options: EnqueueOptions,
    ) -> Result<Admitted> {
        if self.shelves.get(queue.0 as usize).is_none() {
            return Err(ErrorKind::NotFound.into());
        }
        check_count(count)?;
        let mut options = options;
        self.fill_in(queue, &mut options);
        let terms = match options.dated.take() {
            Some(dated) => self.dated(now, queue, &dated),
            None => options.terms.terms(now)?,
        };
        let wanted = self.wanted_copies(&options)?;
        if self.is_leaving() {
            return Err(Error::new(ErrorKind::Unreachable).because("this member is leaving"));
        }
        let on_short = options.on_short.unwrap_or(self.settings.on_short);
        let holders = if wanted == 1 {
            self.alone.clone()
        } else {
            self.placement.pick(now.mono, wanted)
        };
        let found = holders.len() as u16;
        if found < wanted && on_short == OnShort::Fail {
            return Err(Error::new(ErrorKind::Unreachable)
                .because("too few members can take a copy; nothing was sent")
                .with("wanted", wanted)
                .with("reachable", found));
        }
        let needed = if on_short == OnShort::Degrade {
            found
        } else {
            wanted
        };
        let timeout = options.timeout.unwrap_or(self.settings.enqueue_timeout);
        Ok(Admitted {
            wanted,
            needed,
            on_short,
            holders,
            terms,
            deadline: now.mono + timeout,
        })
    }

    /// Terms that have their dates; without one on which it expires a message has the queue's.
    fn dated(&self, now: Now, queue: QueueKey, dated: &Terms) -> Option<Arc<Terms>> {
        let ttl = self.rules(queue).and_then(|rules| rules.ttl);
        let expires = match dated.expires {
            0 => ttl.map_or(0, |ttl| now.wall_ms + ttl),
            own => own,
        };
        let terms = Terms {
            expires,
            ..dated.clone()
        };
        (terms != Terms::default()).then(|| Arc::new(terms))
    }

    /// What the queue is told counts where the message says nothing.
    pub(super) fn fill_in(&self, queue: QueueKey, options: &mut EnqueueOptions) {
        if let Some(rules) = self.rules(queue) {
            if !options.terms.is_at_most_once {
                // That one has one copy, whatever holds for the others.
                options.copies = options.copies.or(rules.copies);
            }
            options.on_short = options.on_short.or(rules.on_short);
            options.timeout = options.timeout.or(rules.enqueue_timeout);
            options.terms.ttl = options.terms.ttl.or(rules.ttl);
        }
    }

    /// Copies asked for. Errors: 101.
    pub(super) fn wanted_copies(&self, options: &EnqueueOptions) -> Result<u16> {
        let is_copied = self.planted.is(QueueCanary::AtMostOnceCopied);
        if options.terms.is_at_most_once && !is_copied {
            if options.copies.is_some_and(|copies| copies > 1) {
                return Err(Error::new(ErrorKind::InvalidArgument)
                    .because("a message that is given out at most once has one copy")
                    .with("copies", options.copies.unwrap_or_default()));
            }
            return Ok(1);
        }
        let wanted = options.copies.unwrap_or_else(|| self.usual_copies());
        if wanted == 0 || wanted > limits::COPIES_MAX {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("copies is out of its range")
                .with("copies", wanted)
                .with("copies_max", limits::COPIES_MAX));
        }
        Ok(wanted)
    }

    /// Copies that an enqueue asks for by default.
    fn usual_copies(&self) -> u16 {
        let usual = (self.member_count() as u16).min(2);
        self.settings
            .copies
            .unwrap_or(usual)
            .min(limits::COPIES_MAX)
    }

    /// The next identities.
    pub(super) fn mint(&mut self, count: u64) -> Span {
        let first = self.next_sequence;
        self.next_sequence += count;
        Span::plain(self.settings.boot, first, first + count - 1)
    }

    /// A message that needs no other member: it is available as soon as its terms allow.
    pub(super) fn lay_ready(
        &mut self,
        now: Now,
        queue: QueueKey,
        what: (MessageId, NewMessage),
        admitted: &Admitted,
    ) -> u32 {
        let place = if admitted.terms.is_some() {
            Place::Delayed
        } else {
            Place::Ready
        };
        // What gets no receipt either, a dead letter, would have its copies only by chance.
        self.has_short |= usize::from(admitted.wanted) > admitted.holders.len();
        let index = self.lay(now, queue, what, admitted, (place, 0));
        if admitted.terms.is_some() {
            self.make_ready(now, index);
        }
        index
    }

    /// Puts a message into a slot; answers which.
    pub(super) fn lay(
        &mut self,
        now: Now,
        queue: QueueKey,
        (id, message): (MessageId, NewMessage),
        admitted: &Admitted,
        (place, batch): (Place, u32),
    ) -> u32 {
        let (first_stamp, first_own) = (self.next_stamp(now, queue), self.first_own(id));
        let index = self.slab.vacant();
        let Some(slot) = self.slab.get_mut(index) else {
            return index;
        };
        // Filled where it stands, every field named: a slot is too large to be carried about.
        let Slot {
            id: own_id,
            stamp,
            body,
            headers,
            terms,
            holders: known,
            confirmed,
            own,
            lessee,
            queue: own_queue,
            batch: own_batch,
            attempts,
            lease,
            wanted,
            announced,
            place: own_place,
        } = slot;
        (*own_id, *stamp, *own) = (id, first_stamp, first_own);
        (*body, *headers) = (message.body, message.headers);
        *terms = admitted.terms.clone();
        if !Arc::ptr_eq(known, &admitted.holders) {
            *known = admitted.holders.clone();
        }
        (*confirmed, *lessee, *own_queue) = (1, Lessee::Nobody, queue);
        (*own_batch, *attempts, *lease, *own_place) = (batch, 0, 0, place);
        (*wanted, *announced) = (admitted.wanted as u8, 0);
        let weight = slot.weight();
        self.shelve(index, (id, queue, place), weight);
        index
    }

    /// The stamp of a message that is accepted now. A purge by a member whose clock is far ahead may be
    /// beyond what this clock follows: what comes after it is younger all the same.
    fn next_stamp(&mut self, now: Now, queue: QueueKey) -> Stamp {
        let stamp = self.clock.next(now);
        match self.rules(queue) {
            Some(rules) => stamp.max(Stamp(rules.purged_before.0.saturating_add(1))),
            None => stamp,
        }
    }

    /// The ownership that a message accepted here begins with.
    fn first_own(&mut self, id: MessageId) -> Own {
        // One hash a block: all its messages rank alike.
        let block = id.sequence >> crate::copies::BLOCK_BITS;
        if id.origin != self.settings.boot {
            return self.alone_own(id);
        }
        if self.block_own.0 != block || self.block_own.1.store != self.me.store {
            self.block_own = (block, self.alone_own(id));
        }
        self.block_own.1
    }

    /// This store's first ownership of a message.
    pub(super) fn alone_own(&self, id: MessageId) -> Own {
        Own {
            epoch: 0,
            rank: crate::copies::rank(id, self.me.store),
            store: self.me.store,
        }
    }

    /// Puts a slot into the slab, the index and, when it is ready, its queue.
    pub(super) fn keep(&mut self, slot: Slot) -> u32 {
        let what = (slot.id, slot.queue, slot.place);
        let weight = slot.weight();
        let index = self.slab.insert(slot);
        self.shelve(index, what, weight);
        index
    }

    /// Makes a filled slot known: to the budget, the index and, when it is ready, its queue.
    fn shelve(
        &mut self,
        index: u32,
        (id, queue, place): (MessageId, QueueKey, Place),
        weight: u64,
    ) {
        self.charge(weight);
        self.index.insert(id, index);
        if let Some(shelf) = self.shelves.get_mut(queue.0 as usize) {
            shelf.held += 1;
        }
        if let Some(slot) = self.slab.get(index)
            && self.counts(slot)
        {
            let bytes = slot.body.len();
            self.count_one(queue, bytes);
        }
        match place {
            Place::Ready => self.enlist(index),
            Place::Replicating => self.expect_in_line(index),
            _ => {}
        }
    }
}

/// Errors: 101, 104.
pub(super) fn check_count(count: usize) -> Result<()> {
    let kind = match count {
        0 => ErrorKind::InvalidArgument,
        1..=limits::BATCH_MAX => return Ok(()),
        _ => ErrorKind::TooLarge,
    };
    Err(Error::new(kind)
        .because("a batch holds 1 to so many messages")
        .with("messages", count)
        .with("messages_max", limits::BATCH_MAX))
}
