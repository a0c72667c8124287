//! Dead letters: a message that was tried often enough, or refused, goes on in another queue, and only
//! then ends here (protocol.md 4.4).

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::batch::Caller;
use super::canary::QueueCanary;
use super::delivery::{EnqueueOptions, Headers, NewMessage, OnShort};
use super::message::Ending;
use super::slot::{Lessee, Place, Slot};
use super::span::Span;
use super::{Queues, limits};
use crate::base::{MessageId, Now, Result};
use crate::copies::{Terms, dead_letter_of};
use crate::wire::Ids;

/// Behind a queue's name: where its dead letters are.
pub(super) const SUFFIX: &str = ".dead";

/// Why a message died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// It was given out as often as it may.
    Attempts,
    /// A consumer refused it, and said why.
    Rejected(String),
    /// Its queue was at its maximum length, and it was the oldest.
    Overflow,
}

impl Cause {
    fn name(&self) -> &'static str {
        match self {
            Cause::Attempts => "attempts",
            Cause::Rejected(_) => "rejected",
            Cause::Overflow => "overflow",
        }
    }
}

/// The queue of `name`'s dead letters; a name that is too long already is cut.
pub(super) fn dead_queue(name: &str) -> String {
    let mut end = name.len().min(limits::NAME_BYTES_MAX - SUFFIX.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let kept = name.get(..end).unwrap_or_default();
    [kept, SUFFIX].concat()
}

impl Queues {
    /// A dead letter's headers: the message's own, then what is known of its end.
    fn death_headers(&self, slot: &Slot, queue: &str, cause: &Cause) -> Headers {
        let mut headers: Vec<(String, String)> =
            slot.headers.as_deref().cloned().unwrap_or_default();
        let mut tell = |key: &str, value: String| headers.push((key.into(), value));
        tell("primer-cause", cause.name().into());
        tell("primer-queue", queue.into());
        if let Some(owed) = self.owed(slot.id, slot.queue) {
            tell("primer-group", owed.group);
        }
        tell("primer-id", self.source_of(slot.id).to_string());
        tell("primer-attempts", slot.attempts.to_string());
        if let Cause::Rejected(reason) = cause {
            tell("primer-reason", reason.clone());
        }
        Arc::new(headers)
    }

    /// A message leaves its queue for that of the dead letters. It must be on no list.
    pub(super) fn die(&mut self, now: Now, index: u32, cause: Cause) {
        let Some(slot) = self.slab.get_mut(index) else {
            return;
        };
        let was = core::mem::replace(&mut slot.place, Place::Dying);
        slot.lessee = Lessee::Nobody;
        self.wheel.clear(index);
        let (source, attempts) = (slot.id, slot.attempts);
        let (queue, bytes) = (slot.queue, slot.body.len());
        if was != Place::Dying {
            self.discount_one(queue, bytes);
        }
        if self.enqueue_dead_letter(now, index, &cause).is_err() {
            // Nobody is given the message meanwhile.
            let pause = self.back_off(queue, attempts);
            self.wheel
                .set(index, now.mono + pause.max(limits::NACK_MS_MIN));
            self.dying.insert(source, cause);
        }
    }

    /// Its dead letter could not be made before.
    pub(super) fn die_again(&mut self, now: Now, index: u32) {
        let id = self.slab.get(index).map(|slot| slot.id);
        let cause = id.and_then(|id| self.dying.remove(&id));
        self.die(now, index, cause.unwrap_or(Cause::Attempts));
    }

    fn enqueue_dead_letter(&mut self, now: Now, index: u32, cause: &Cause) -> Result<()> {
        let Some(slot) = self.slab.get(index) else {
            return Ok(());
        };
        let (source, name) = (slot.id, self.base_name(slot.queue));
        let mut id = dead_letter_of(source);
        let message = NewMessage {
            body: slot.body.clone(),
            headers: Some(self.death_headers(slot, &name, cause)),
        };
        let priority = slot.terms.as_ref().and_then(|terms| terms.priority);
        if self.planted.is(QueueCanary::FreshDeadLetter) {
            id.sequence = self.chance.bits() >> 2;
        }
        if self.is_done(id) || self.index.get(id).is_some() {
            // Made already, by another owner of the same message.
            self.died(now, source);
            return Ok(());
        }
        let queue = match self
            .rules(slot.queue)
            .and_then(|rules| rules.dead_letters.clone())
        {
            Some(named) => self.queue(&named)?,
            None => self.queue(&dead_queue(&name))?,
        };
        let options = EnqueueOptions {
            on_short: Some(OnShort::Degrade),
            ..EnqueueOptions::default()
        };
        let bytes = message.body.len() as u64 + limits::MESSAGE_OVERHEAD_BYTES;
        self.check_length(queue, core::slice::from_ref(&message))?;
        let mut admitted = self.admit(now, queue, bytes, 1, options)?;
        admitted.terms = Some(Arc::new(Terms {
            priority,
            is_dead_letter: true,
            // Only what its queue is told.
            expires: admitted.terms.map_or(0, |terms| terms.expires),
            ..Terms::default()
        }));
        if admitted.needed > 1 {
            let span = Span::plain(id.origin, id.sequence, id.sequence);
            self.replicate(
                now,
                Caller::Source(source),
                queue,
                (span, [message]),
                admitted,
            );
            return Ok(());
        }
        let place = (Place::Delayed, 0);
        let index = self.lay(now, queue, (id, message), &admitted, place);
        self.make_ready(now, index);
        self.died(now, source);
        self.serve(now, queue);
        Ok(())
    }

    /// The dead letter is safe: its source is finished.
    pub(super) fn died(&mut self, now: Now, source: MessageId) {
        self.counters.dead_letters += 1;
        self.end_all(now, &Ids::one(source), Ending::Dead);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_of_dead_letters_has_a_name_that_is_one() {
        assert_eq!(dead_queue("jobs"), "jobs.dead");
        let long = dead_queue(&"é".repeat(127));
        assert!(long.len() <= limits::NAME_BYTES_MAX && long.ends_with("é.dead"));
    }
}
