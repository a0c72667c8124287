//! The member that takes enqueues in another's stead (`forward` is the side that asks): each is accepted once, and
//! answered, and none goes on to a third.

use alloc::collections::BTreeSet;
use alloc::string::ToString;

use super::batch::Caller;
use super::delivery::{EnqueueOptions, NewMessage, Receipt};
use super::message::{Header, Message};
use super::stead::{EnqueueFor, EnqueuePart, Taken};
use super::{Queues, limits};
use crate::base::{Error, MemberId, Now, QueueKey, id};
use crate::copies::Asked;

/// Which enqueues were taken for one member, in this life of the link to it.
#[derive(Debug, Default)]
pub(super) struct Heard {
    numbers: BTreeSet<u64>,
    /// All up to this one may have been.
    floor: u64,
}

impl Heard {
    /// Notes a number; false for one that was noted, or is too old to tell: a frame may come twice.
    fn is_first(&mut self, number: u64) -> bool {
        if number <= self.floor || !self.numbers.insert(number) {
            return false;
        }
        if self.numbers.len() > limits::TAKEN_MAX
            && let Some(lowest) = self.numbers.pop_first()
        {
            self.floor = lowest;
        }
        true
    }
}

impl Queues {
    /// A member asks this one to accept messages in its stead.
    pub(super) fn on_enqueue_for(&mut self, now: Now, from: MemberId, asked: EnqueueFor) {
        let number = asked.number;
        let heard = self.forwards.heard.entry(from).or_default();
        if heard.is_first(number) {
            self.take_for(now, from, asked);
        }
    }

    /// A member asks for one part of what is to be accepted in its stead: with the last one all is there.
    pub(super) fn on_enqueue_part(&mut self, now: Now, from: MemberId, part: EnqueuePart) {
        let number = part.asked.number;
        let heard = self.forwards.heard.entry(from).or_default();
        if heard.is_first(number) {
            self.forwards.parts.open(from, number);
        }
        match self.forwards.parts.add(from, part) {
            Ok(Some(asked)) => self.take_for(now, from, asked),
            Ok(None) => {}
            Err(error) => self.refuse_for(from, number, &error),
        }
    }

    fn take_for(&mut self, now: Now, from: MemberId, asked: EnqueueFor) {
        let number = asked.number;
        if self.is_leaving() {
            // Never onward: who asked knows whom else to ask.
            let taken = Taken {
                number,
                is_leaving: true,
                ..Taken::default()
            };
            return self.send(from, Message::Taken(taken));
        }
        let name = id::check_name("queue", &asked.queue, limits::NAME_BYTES_MAX);
        let queue = match name.and_then(|()| self.queue(&asked.queue)) {
            Ok(queue) => queue,
            Err(error) => return self.refuse_for(from, number, &error),
        };
        self.accept(now, Caller::For(from, number), queue, asked);
    }

    /// Accepts what was to go to another member, or comes from one.
    pub(super) fn accept(&mut self, now: Now, caller: Caller, queue: QueueKey, asked: EnqueueFor) {
        let terms = asked.terms.as_ref();
        let is_at_most_once = terms.is_some_and(|terms| terms.is_at_most_once);
        let options = EnqueueOptions {
            copies: asked.copies,
            on_short: asked.on_short,
            timeout: Some(asked.wait_ms),
            terms: Asked {
                is_at_most_once,
                ..Asked::default()
            },
            dated: Some(asked.terms.unwrap_or_default()),
            if_no_group: asked.if_no_group,
        };
        let messages = asked.messages.into_iter();
        let messages = messages.map(|(body, headers)| NewMessage { body, headers });
        self.enqueue_taken(now, caller, queue, messages.collect(), options);
    }

    /// What was taken for a member is not accepted.
    pub(super) fn refuse_for(&mut self, member: MemberId, number: u64, error: &Error) {
        let context = error.context().iter().map(|(name, value)| Header {
            name: name.to_string(),
            value: value.clone(),
        });
        let taken = Taken {
            number,
            code: error.number().into(),
            reason: error.reason().into(),
            context: context.collect(),
            ..Taken::default()
        };
        self.send(member, Message::Taken(taken));
    }

    /// What was taken for a member is accepted.
    pub(super) fn took_for(&mut self, member: MemberId, number: u64, receipts: &[Receipt]) {
        self.counters.enqueues_taken += receipts.len() as u64;
        let first = receipts.first();
        let id = first.map(|first| first.id).unwrap_or_default();
        let copies = receipts.iter().map(|receipt| receipt.copies.into());
        let taken = Taken {
            number,
            origin: id.origin.0,
            first: id.sequence,
            wanted: first.map_or(0, |first| first.wanted.into()),
            copies: copies.collect(),
            is_duplicate: first.is_some_and(|first| first.is_duplicate),
            ..Taken::default()
        };
        self.send(member, Message::Taken(taken));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_once_and_none_that_is_too_old_to_tell() {
        let mut heard = Heard::default();
        assert!(heard.is_first(2) && heard.is_first(1));
        assert!(!heard.is_first(2) && !heard.is_first(1));
        let most = limits::TAKEN_MAX as u64;
        (3..=most + 5).for_each(|number| assert!(heard.is_first(number)));
        assert_eq!(heard.numbers.len(), limits::TAKEN_MAX);
        assert!(!heard.is_first(4) && !heard.is_first(most));
    }
}
