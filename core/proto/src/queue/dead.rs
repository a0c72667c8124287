//! Dead letters: a message that was tried often enough, or refused, goes on in another queue, and only
//! then ends here (protocol.md 4.4).

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::canary::QueueCanary;
use super::delivery::{Headers, NewMessage};
use super::onward::{Next, Onward};
use super::slot::{Lessee, Place, Slot};
use super::{Queues, limits};
use crate::base::{Now, Result};
use crate::copies::{Terms, dead_letter_of};

/// Behind a queue's name: where its dead letters are.
pub(super) const SUFFIX: &str = ".dead";

/// The first of the headers that tell a dead letter's story.
const CAUSE: &str = "primer-cause";
/// Where it was.
pub(super) const QUEUE: &str = "primer-queue";
/// In which group of it.
pub(super) const GROUP: &str = "primer-group";
/// All of them.
const STORY: [&str; 6] = [
    CAUSE,
    QUEUE,
    GROUP,
    "primer-id",
    "primer-attempts",
    "primer-reason",
];

/// Some of a message's headers.
pub(super) type Pairs<'a> = &'a [(String, String)];

/// A dead letter's headers in two: those that its message had, and those that tell of its end.
pub(super) fn parted(headers: Pairs<'_>) -> (Pairs<'_>, Pairs<'_>) {
    let is_story = |(key, _): &(String, String)| STORY.contains(&key.as_str());
    let begins = headers.iter().rposition(|(key, _)| key == CAUSE);
    let (own, story) = headers.split_at(begins.unwrap_or(headers.len()));
    // What follows the cause and tells nothing was not written here: then none of it was.
    if story.iter().all(is_story) {
        (own, story)
    } else {
        (headers, &[])
    }
}

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
        tell(CAUSE, cause.name().into());
        tell(QUEUE, queue.into());
        if let Some(owed) = self.owed(slot.id, slot.queue) {
            tell(GROUP, owed.group);
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
        let terms = slot.terms.as_ref();
        let priority = terms.and_then(|terms| terms.priority);
        // To tell, and to have again if it goes back: as a dead letter it stands in no line.
        let key = terms.map_or_else(String::new, |terms| terms.key.clone());
        if self.planted.is(QueueCanary::FreshDeadLetter) {
            id.sequence = self.chance.bits() >> 2;
        }
        if self.is_done(id) || self.index.get(id).is_some() {
            // Made already, by another owner of the same message.
            self.went_on(now, source, Onward::Dead);
            return Ok(());
        }
        let queue = match self
            .rules(slot.queue)
            .and_then(|rules| rules.dead_letters.clone())
        {
            Some(named) => self.queue(&named)?,
            None => self.queue(&dead_queue(&name))?,
        };
        let next = Next {
            id,
            queue,
            branches: Vec::new(),
            message,
            terms: Terms {
                priority,
                key,
                is_dead_letter: true,
                ..Terms::default()
            },
        };
        self.go_on(now, (source, Onward::Dead), next).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_story_is_taken_off_and_only_where_it_is_one() {
        let headers = |keys: &[&str]| {
            let each = keys.iter().map(|key| ((*key).into(), "v".into()));
            each.collect::<Vec<(String, String)>>()
        };
        let all = headers(&[
            "k",
            "primer-cause",
            "primer-reply-to",
            "primer-cause",
            "primer-id",
        ]);
        let (own, story) = parted(&all);
        assert_eq!((own.len(), story.len()), (3, 2));
        for none in [&["k", "primer-id"][..], &["primer-cause", "k"], &[]] {
            let all = headers(none);
            assert_eq!(parted(&all), (&all[..], &[][..]));
        }
    }

    #[test]
    fn the_queue_of_dead_letters_has_a_name_that_is_one() {
        assert_eq!(dead_queue("jobs"), "jobs.dead");
        let long = dead_queue(&"é".repeat(127));
        assert!(long.len() <= limits::NAME_BYTES_MAX && long.ends_with("é.dead"));
    }
}
