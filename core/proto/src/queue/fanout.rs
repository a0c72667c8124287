//! An enqueue into a queue with named groups: one message for each of them (protocol.md 4.4).

use alloc::vec::Vec;
use smallvec::SmallVec;

use super::batch::Caller;
use super::delivery::{EnqueueOptions, IfNoGroup, NewMessage, Receipt, Reply};
use super::enqueue::Admitted;
use super::groups::Branch;
use super::slot::Place;
use super::span::Span;
use super::{Queues, limits};
use crate::base::{Error, ErrorKind, MessageId, Now, QueueKey, Result};

impl Queues {
    /// True where an enqueue is not simply for the queue itself, here.
    pub(super) fn has_choice(&self, queue: QueueKey, options: &EnqueueOptions) -> bool {
        let shelf = self.shelves.get(queue.0 as usize);
        self.is_leaving()
            || self.would_forward()
            || options.terms.key.is_some()
            || options.terms.dedup.is_some()
            || options.if_no_group != IfNoGroup::Hold
            || shelf.is_some_and(|shelf| !shelf.branches.is_empty())
    }

    /// Puts messages into every group of a queue, or does what was asked for where there is none.
    pub(super) fn enqueue_fanned(
        &mut self,
        now: Now,
        caller: Caller,
        queue: QueueKey,
        messages: Vec<NewMessage>,
        options: EnqueueOptions,
    ) {
        let shelf = self.shelves.get(queue.0 as usize);
        let branches = shelf.map(|shelf| shelf.branches.clone());
        let branches = branches.unwrap_or_default();
        if branches.is_empty() {
            return self.enqueue_ungrouped(now, caller, queue, messages, options);
        }
        let admitted = self.weigh(&messages, &options).and_then(|bytes| {
            self.check_length(queue, &messages)?;
            let bytes = bytes.saturating_mul(branches.len() as u64);
            self.admit(now, queue, bytes, messages.len(), options)
        });
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return self.fail(caller, error),
        };
        self.counters.enqueued += messages.len() as u64;
        let mut span = self.mint(messages.len() as u64);
        span.origins = branches.iter().map(|branch| branch.origin).collect();
        self.lay_fanned(now, caller, &branches, (span, messages), &admitted);
    }

    /// One message for each of these groups.
    pub(super) fn lay_fanned(
        &mut self,
        now: Now,
        caller: Caller,
        branches: &[Branch],
        (span, messages): (Span, Vec<NewMessage>),
        admitted: &Admitted,
    ) {
        let is_here = admitted.needed == 1;
        let batch = if is_here { 0 } else { self.next_batch() };
        for (sequence, message) in (span.first..).zip(messages) {
            for branch in branches {
                let origin = branch.origin;
                let what = (MessageId { origin, sequence }, message.clone());
                if is_here {
                    self.lay_ready(now, branch.key, what, admitted);
                } else {
                    let place = (Place::Replicating, batch);
                    self.lay(now, branch.key, what, admitted, place);
                }
                self.index.note_fan(origin, branch.fan);
            }
        }
        let queues: SmallVec<[QueueKey; 1]> = branches.iter().map(|branch| branch.key).collect();
        if !is_here {
            return self.open_batch(now, batch, caller, (span, queues), admitted);
        }
        let receipts = span
            .sources()
            .map(|id| self.receipt(id, 1, admitted.wanted));
        let receipts: Vec<Receipt> = receipts.collect();
        self.give_receipts(caller, receipts);
        if let Caller::Source(source, onward) = caller {
            self.went_on(now, source, onward);
        }
        for queue in queues {
            self.serve(now, queue);
        }
    }

    /// The queue has no group: the messages wait in it, or nobody wants them.
    fn enqueue_ungrouped(
        &mut self,
        now: Now,
        caller: Caller,
        queue: QueueKey,
        messages: Vec<NewMessage>,
        options: EnqueueOptions,
    ) {
        match options.if_no_group {
            IfNoGroup::Refuse => self.fail(caller, no_group()),
            IfNoGroup::Drop => {
                if let Err(error) = self.check_dropped(&messages) {
                    return self.fail(caller, error);
                }
                self.counters.dropped_ungrouped += messages.len() as u64;
                let span = self.mint(messages.len() as u64);
                let receipts = span.sources().map(|id| Receipt {
                    id,
                    copies: 0,
                    durable_copies: 0,
                    wanted: 0,
                    is_duplicate: false,
                });
                let receipts = receipts.collect();
                self.give_receipts(caller, receipts);
            }
            IfNoGroup::Hold => self.enqueue_here(now, caller, queue, messages, options),
        }
    }

    /// What nobody wants is refused all the same where it could not be taken. Errors: 101, 104.
    fn check_dropped(&self, messages: &[NewMessage]) -> Result<()> {
        if messages.is_empty() || messages.len() > limits::BATCH_MAX {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("a batch holds 1 to so many messages")
                .with("messages", messages.len())
                .with("messages_max", limits::BATCH_MAX));
        }
        self.check_all(messages).map(drop)
    }

    /// Tells whoever put these in that it failed.
    pub(super) fn fail(&mut self, caller: Caller, error: Error) {
        match caller {
            Caller::One(ticket) | Caller::Many(ticket) => self.refuse(ticket, error),
            Caller::For(member, number) => self.refuse_for(member, number, &error),
            Caller::Once(number) => self.once_failed(number, &error),
            // What goes on is content with fewer copies: it does not come to this.
            Caller::Source(..) => {}
        }
    }

    /// Tells whoever put these in that they are accepted; what they became is not finished by that.
    pub(super) fn give_receipts(&mut self, caller: Caller, receipts: Vec<Receipt>) {
        match caller {
            Caller::One(ticket) => {
                let first = receipts.into_iter().next();
                let answer = first.map(Reply::Receipt);
                self.reply(ticket, answer.ok_or_else(|| ErrorKind::Internal.into()));
            }
            Caller::Many(ticket) => self.reply(ticket, Ok(Reply::Receipts(receipts))),
            Caller::For(member, number) => self.took_for(member, number, &receipts),
            Caller::Once(number) => self.once_accepted(number, &receipts),
            Caller::Source(..) => {}
        }
    }
}

pub(super) fn no_group() -> Error {
    Error::new(ErrorKind::NotFound)
        .because("the queue has no group, and the message is for groups alone")
}
