//! Putting messages in: admission, copies, and the honest receipt (protocol.md 4.3).

use alloc::vec::Vec;

use super::delivery::{EnqueueOptions, NewMessage, OnShort, Receipt, Reply};
use super::slot::{Lessee, Place, Slot};
use super::{Queues, limits};
use crate::base::{Error, ErrorKind, Instant, MessageId, Now, QueueKey, Result, Ticket};
use crate::copies::{Holders, Own};

/// What admission decided.
pub(super) struct Admitted {
    pub(super) wanted: u16,
    pub(super) needed: u16,
    pub(super) on_short: OnShort,
    pub(super) holders: Holders,
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
        let admitted = self
            .check(&message)
            .and_then(|bytes| self.admit(now, queue, bytes, 1, options));
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return self.refuse(ticket, error),
        };
        self.counters.enqueued += 1;
        if admitted.needed == 1 {
            let id = self.lay(now, queue, message, &self.alone.clone(), Place::Ready, 0);
            let receipt = self.receipt(id, 1, admitted.wanted);
            self.reply(ticket, Ok(Reply::Receipt(receipt)));
            return self.serve(now, queue);
        }
        self.replicate(now, ticket, queue, [message], admitted, false);
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
        let sizes = messages.iter().map(|message| self.check(message));
        let admitted = sizes
            .sum::<Result<u64>>()
            .and_then(|bytes| self.admit(now, queue, bytes, messages.len(), options));
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return self.refuse(ticket, error),
        };
        self.counters.enqueued += messages.len() as u64;
        if admitted.needed > 1 {
            return self.replicate(now, ticket, queue, messages, admitted, true);
        }
        let alone = self.alone.clone();
        let mut receipts = Vec::with_capacity(messages.len());
        for message in messages {
            let id = self.lay(now, queue, message, &alone, Place::Ready, 0);
            receipts.push(self.receipt(id, 1, admitted.wanted));
        }
        self.reply(ticket, Ok(Reply::Receipts(receipts)));
        self.serve(now, queue);
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, error: Error) {
        self.counters.enqueues_failed += 1;
        self.reply(ticket, Err(error));
    }

    pub(super) fn receipt(&mut self, id: MessageId, copies: u16, wanted: u16) -> Receipt {
        self.counters.enqueues_short += u64::from(copies < wanted);
        Receipt {
            id,
            copies,
            durable_copies: 0,
            wanted,
        }
    }

    /// Checks a message's size and headers; answers what it will cost. Errors: 101, 104.
    fn check(&self, message: &NewMessage) -> Result<u64> {
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
        Ok(message.body.len() as u64 + limits::MESSAGE_OVERHEAD_BYTES)
    }

    fn admit(
        &mut self,
        now: Now,
        queue: QueueKey,
        bytes: u64,
        count: usize,
        options: EnqueueOptions,
    ) -> Result<Admitted> {
        if self.shelves.get(queue.0 as usize).is_none() {
            return Err(ErrorKind::NotFound.into());
        }
        if count == 0 || count > limits::BATCH_MAX {
            let kind = if count == 0 {
                ErrorKind::InvalidArgument
            } else {
                ErrorKind::TooLarge
            };
            return Err(Error::new(kind)
                .because("a batch holds 1 to so many messages")
                .with("messages", count)
                .with("messages_max", limits::BATCH_MAX));
        }
        let default = (self.member_count() as u16).min(2);
        let wanted = options.copies.or(self.settings.copies).unwrap_or(default);
        if wanted == 0 || wanted > limits::COPIES_MAX {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("copies is out of its range")
                .with("copies", wanted)
                .with("copies_max", limits::COPIES_MAX));
        }
        if self.leaving.is_some() {
            return Err(Error::new(ErrorKind::Unreachable).because("this member is leaving"));
        }
        self.check_memory(bytes)?;
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
            deadline: now.mono + timeout,
        })
    }

    pub(super) fn check_memory(&self, bytes: u64) -> Result<()> {
        let max = self.settings.memory_bytes_max / 100 * limits::MEMORY_REFUSE_PERCENT;
        if self.memory_used.saturating_add(bytes) <= max {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Overloaded)
            .because("this member's memory budget is used up: consume, add members or raise it")
            .with("bytes_used", self.memory_used)
            .with("memory_bytes_max", self.settings.memory_bytes_max))
    }

    /// Gives a message its identity and a slot.
    pub(super) fn lay(
        &mut self,
        now: Now,
        queue: QueueKey,
        message: NewMessage,
        holders: &Holders,
        place: Place,
        batch: u32,
    ) -> MessageId {
        let id = MessageId {
            origin: self.settings.boot,
            sequence: self.next_sequence,
        };
        self.next_sequence += 1;
        let slot = Slot {
            id,
            stamp: self.clock.next(now),
            body: message.body,
            headers: message.headers,
            holders: holders.clone(),
            confirmed: 1,
            own: self.first_own(id),
            lessee: Lessee::Nobody,
            queue,
            batch,
            attempts: 0,
            lease: 0,
            place,
        };
        self.keep(slot);
        id
    }

    /// The ownership that a message accepted here begins with.
    fn first_own(&mut self, id: MessageId) -> Own {
        // One hash a block: all its messages rank alike.
        let block = id.sequence >> crate::copies::BLOCK_BITS;
        if self.block_own.0 != block || self.block_own.1.store != self.me.store {
            let own = Own {
                epoch: 0,
                rank: crate::copies::rank(id, self.me.store),
                store: self.me.store,
            };
            self.block_own = (block, own);
        }
        self.block_own.1
    }

    /// Puts a slot into the slab, the index and, when it is ready, its queue.
    pub(super) fn keep(&mut self, slot: Slot) -> u32 {
        self.memory_used += slot.weight();
        let (id, stamp, queue, place) = (slot.id, slot.stamp, slot.queue, slot.place);
        let index = self.slab.insert(slot);
        self.index.insert(id, index);
        if place == Place::Ready
            && let Some(shelf) = self.shelf(queue)
        {
            shelf.ready.push(stamp, id, index);
        }
        index
    }
}
