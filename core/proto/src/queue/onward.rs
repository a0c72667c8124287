//! A message goes on under another id: as a dead letter, or as a dead letter that goes back. It ends
//! here only when what it became is safe, as an enqueue is (protocol.md 4.4).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Queues;
use super::batch::Caller;
use super::delivery::{EnqueueOptions, NewMessage, OnShort};
use super::groups::Branch;
use super::memory::cost;
use super::message::Ending;
use super::span::Span;
use crate::base::{MessageId, Now, QueueKey, Result};
use crate::copies::Terms;
use crate::wire::Ids;

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Onward {
    /// It is a dead letter.
    Dead,
    /// It goes back.
    Redriven,
}

/// What it goes on as.
pub(super) struct Next {
    pub(super) id: MessageId,
    pub(super) queue: QueueKey,
    /// The groups of the queue that get it, with their ids of it; none for the queue itself.
    pub(super) branches: Vec<Branch>,
    pub(super) message: NewMessage,
    /// Without a date on which it expires it has the queue's.
    pub(super) terms: Terms,
}

impl Queues {
    /// Puts `next` in the place of `source`. True when that is safe at once, and `source` over; false while
    /// copies are on their way: whoever calls keeps `source` from everyone meanwhile. Errors, before
    /// anything is done: as an enqueue's.
    pub(super) fn go_on(
        &mut self,
        now: Now,
        (source, onward): (MessageId, Onward),
        next: Next,
    ) -> Result<bool> {
        let Next {
            id,
            queue,
            branches,
            message,
            terms,
        } = next;
        let bytes = cost(message.body.len(), message.headers.as_ref(), Some(&terms));
        let options = EnqueueOptions {
            on_short: Some(OnShort::Degrade),
            dated: Some(Arc::new(terms)),
            ..EnqueueOptions::default()
        };
        let bytes = bytes.saturating_mul(branches.len().max(1) as u64);
        self.check_length(queue, core::slice::from_ref(&message))?;
        let admitted = self.admit_unweighed(now, queue, 1, options)?;
        match onward {
            Onward::Dead => self.check_reserve(bytes)?,
            // What somebody asked for waits until others had their turn.
            Onward::Redriven => self.check_memory(bytes)?,
        }
        let is_here = admitted.needed == 1;
        let caller = Caller::Source(source, onward);
        let mut span = Span::plain(id.origin, id.sequence, id.sequence);
        if !branches.is_empty() {
            span.origins = branches.iter().map(|branch| branch.origin).collect();
            let messages = Vec::from([message]);
            self.lay_fanned(now, caller, &branches, (span, messages), &admitted);
        } else if is_here {
            self.lay_ready(now, queue, (id, message), &admitted);
            self.went_on(now, source, onward);
            self.serve(now, queue);
        } else {
            self.replicate(now, caller, queue, (span, [message]), admitted);
        }
        Ok(is_here)
    }

    /// What it became is safe: the source is finished.
    pub(super) fn went_on(&mut self, now: Now, source: MessageId, onward: Onward) {
        let ending = match onward {
            Onward::Dead => {
                self.counters.dead_letters += 1;
                Ending::Dead
            }
            Onward::Redriven => {
                self.counters.redriven += 1;
                Ending::Acked
            }
        };
        self.end_all(now, &Ids::one(source), ending);
        if onward == Onward::Redriven {
            self.came_back(now, source);
        }
    }
}
