//! The maximum length of a queue (protocol.md 4.4): how many messages a shelf has here and elsewhere,
//! and what becomes of one too many.
//!
//! A member knows its own messages exactly, those of others as they last told; so the maximum holds
//! for the cluster as far as that is known, and may be passed for as long as a telling takes. Where the
//! oldest are dropped each member may keep its share at least, so that a queue whose old messages lie at
//! one member does not keep those of another out: hearing of those, the one drops its own.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::canary::QueueCanary;
use super::dead::Cause;
use super::delivery::NewMessage;
use super::message::Ending;
use super::rules::Rules;
use super::slot::{Place, Slot};
use super::{Alarm, Out, Queues, limits};
use crate::base::{Error, ErrorKind, MemberId, Now, QueueKey, Result};

/// A change smaller than this share of the maximum is not told.
const STEP: u64 = 64;

/// How much there is of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Load {
    pub(super) messages: u64,
    /// Of their bodies.
    pub(super) bytes: u64,
}

/// What members told each other of the lengths of queues that have a maximum.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    told: BTreeMap<QueueKey, Load>,
    /// A shelf is being trimmed.
    is_trimming: bool,
    elsewhere: BTreeMap<Arc<str>, BTreeMap<MemberId, Load>>,
}

impl Lengths {
    fn elsewhere(&self, shelf: &str) -> Load {
        let mut sum = Load::default();
        for load in self
            .elsewhere
            .get(shelf)
            .iter()
            .flat_map(|told| told.values())
        {
            sum.messages = sum.messages.saturating_add(load.messages);
            sum.bytes = sum.bytes.saturating_add(load.bytes);
        }
        sum
    }

    /// A member's word counts no more.
    fn forget(&mut self, member: MemberId) {
        self.elsewhere.retain(|_, told| {
            told.remove(&member);
            !told.is_empty()
        });
    }
}

impl Queues {
    /// True for a message that counts: one that dies is in the queue of the dead letters already.
    pub(super) fn counts(&self, slot: &Slot) -> bool {
        slot.own.store == self.me.store && slot.place != Place::Dying
    }

    /// A message of this shelf is owned here from now on.
    #[inline]
    pub(super) fn count_one(&mut self, queue: QueueKey, bytes: usize) {
        if let Some(shelf) = self.shelves.get_mut(queue.0 as usize) {
            shelf.load.messages += 1;
            shelf.load.bytes += bytes as u64;
            if shelf.rules.is_some() {
                self.note_length(queue);
            }
        }
    }

    /// It ended, or is another's now.
    #[inline]
    pub(super) fn discount_one(&mut self, queue: QueueKey, bytes: usize) {
        if let Some(shelf) = self.shelves.get_mut(queue.0 as usize) {
            shelf.load.messages = shelf.load.messages.saturating_sub(1);
            shelf.load.bytes = shelf.load.bytes.saturating_sub(bytes as u64);
            if shelf.rules.is_some() {
                self.note_length(queue);
            }
        }
    }

    /// Counts all shelves anew, after whatever changed many messages at once.
    pub(super) fn count_all(&mut self) {
        for shelf in &mut self.shelves {
            shelf.load = Load::default();
        }
        for index in 0..self.slab.end() {
            let Some(slot) = self.slab.get(index) else {
                continue;
            };
            if slot.place != Place::Free && self.counts(slot) {
                let (queue, bytes) = (slot.queue, slot.body.len());
                self.count_one(queue, bytes);
            }
        }
    }

    /// Whether these may come, too. Errors: 104, 201, 204.
    pub(super) fn check_length(&self, queue: QueueKey, messages: &[NewMessage]) -> Result<()> {
        self.check_paused(queue)?;
        let Some(rules) = self.rules(queue).filter(|rules| rules.is_limited()) else {
            return Ok(());
        };
        let most = rules.bytes_max.unwrap_or(u64::MAX);
        let sizes = messages.iter().map(|message| message.body.len() as u64);
        let (bytes, largest) = (sizes.clone().sum::<u64>(), sizes.max().unwrap_or(0));
        if largest > most {
            return Err(Error::new(ErrorKind::TooLarge)
                .because("the body is larger than all of the queue may be")
                .with("bytes", largest)
                .with("bytes_max", most));
        }
        if rules.drops_oldest {
            return Ok(());
        }
        let branches = self.shelves.get(queue.0 as usize);
        let branches = branches.map_or(&[][..], |shelf| &shelf.branches);
        let groups = branches.iter().map(|branch| branch.key);
        let own = branches.is_empty().then_some(queue);
        for key in own.into_iter().chain(groups) {
            let load = self.load_with_others(key);
            let count = load.messages.saturating_add(messages.len() as u64);
            let all = load.bytes.saturating_add(bytes);
            if count > rules.messages_max.unwrap_or(u64::MAX) || all > most {
                return Err(full(&self.name(key), rules, load));
            }
        }
        Ok(())
    }

    fn load_with_others(&self, key: QueueKey) -> Load {
        let Some(shelf) = self.shelves.get(key.0 as usize) else {
            return Load::default();
        };
        let others = self.lengths.elsewhere(&shelf.name);
        Load {
            messages: others.messages.saturating_add(shelf.load.messages),
            bytes: others.bytes.saturating_add(shelf.load.bytes),
        }
    }

    /// Ends the oldest messages of a shelf that drops them, while it has more than its share; a bounded
    /// number, the rest follows at once.
    pub(super) fn trim(&mut self, now: Now, key: QueueKey) {
        let is_trimmed = |rules: &&Rules| rules.drops_oldest && rules.is_limited();
        if self.rules(key).filter(is_trimmed).is_none() {
            return;
        }
        // What goes may be one too many where it goes to, and so on in a circle: one at a time.
        let is_within = core::mem::replace(&mut self.lengths.is_trimming, true);
        if is_within || self.trim_some(now, key) {
            self.alarms.set_earlier(Alarm::Trim(key), now.mono);
        }
        self.lengths.is_trimming = is_within;
    }

    /// True when there may be more to end.
    fn trim_some(&mut self, now: Now, key: QueueKey) -> bool {
        for _ in 0..limits::BATCH_MAX {
            if !self.is_over(key) {
                return false;
            }
            let shelf = self.shelves.get_mut(key.0 as usize);
            let Some(index) = shelf.and_then(|shelf| shelf.ready.pop_oldest(&self.slab)) else {
                return false;
            };
            self.overflow(now, index);
        }
        true
    }

    /// One more would be refused, where the queue refuses any.
    pub(super) fn is_at_maximum(&self, key: QueueKey) -> bool {
        let load = self.load_with_others(key);
        let is_at = |most: Option<u64>, has: u64| most.is_some_and(|most| has >= most);
        let rules = self.rules(key);
        rules.is_some_and(|rules| {
            is_at(rules.messages_max, load.messages) || is_at(rules.bytes_max, load.bytes)
        })
    }

    fn is_over(&self, key: QueueKey) -> bool {
        let Some(shelf) = self.shelves.get(key.0 as usize) else {
            return false;
        };
        let Some(rules) = shelf.rules.as_ref().filter(|_| shelf.load.messages > 1) else {
            return false;
        };
        let others = self.lengths.elsewhere(&shelf.name);
        let members = self.peers.values().filter(|peer| peer.is_linked).count() as u64 + 1;
        let share = |most: u64, others: u64| most.saturating_sub(others).max(most / members);
        let is_beyond = |most: Option<u64>, has: u64, others: u64| {
            most.is_some_and(|most| has > share(most, others))
        };
        is_beyond(rules.messages_max, shelf.load.messages, others.messages)
            || is_beyond(rules.bytes_max, shelf.load.bytes, others.bytes)
    }

    /// A message is one too many: it goes on as a dead letter, unless it is one, or may be in no two
    /// places. It is off its ready list.
    fn overflow(&mut self, now: Now, index: u32) {
        let Some(slot) = self.slab.get_mut(index) else {
            return;
        };
        // Off the list, and so not ready.
        slot.place = Place::Delayed;
        let (id, queue) = (slot.id, slot.queue);
        let is_letter = slot
            .terms
            .as_ref()
            .is_some_and(|terms| terms.is_dead_letter);
        let ends = is_letter || slot.is_at_most_once() || self.is_of_dead_letters(queue);
        if !ends && !self.planted.is(QueueCanary::OverflowLost) {
            return self.die(now, index, Cause::Overflow);
        }
        if let Some(slot) = self.end_out(now, id) {
            self.counters.dropped_overflow += 1;
            let span = (id.origin, id.sequence, id.sequence);
            self.bury(now, span, &slot.holders, Ending::Expired, true);
        }
    }

    /// Tells the others how much of a queue that has a maximum is here, when that changed by enough.
    pub(super) fn note_length(&mut self, key: QueueKey) {
        if !self.is_announcing {
            return;
        }
        let Some(shelf) = self.shelves.get(key.0 as usize) else {
            return;
        };
        let rules = shelf.rules.as_ref().filter(|rules| rules.is_limited());
        let told = self.lengths.told.get(&key).copied().unwrap_or_default();
        // Without a maximum nobody asks any more.
        let load = rules.map_or_else(Load::default, |_| shelf.load);
        let is_small = |most: Option<u64>, was: u64, is: u64| {
            let step = most.map_or(u64::MAX, |most| (most / STEP).max(1));
            was.abs_diff(is) < step
        };
        let limits = rules.map_or((None, None), |rules| (rules.messages_max, rules.bytes_max));
        let is_last = load == Load::default() && told != load;
        if !is_last
            && is_small(limits.0, told.messages, load.messages)
            && is_small(limits.1, told.bytes, load.bytes)
        {
            return;
        }
        self.out
            .push(Out::Length(shelf.name.clone(), load.messages, load.bytes));
        if load == Load::default() {
            self.lengths.told.remove(&key);
        } else {
            self.lengths.told.insert(key, load);
        }
    }

    /// A member says how much of a shelf it has.
    pub fn length_elsewhere(
        &mut self,
        now: Now,
        member: MemberId,
        shelf: &str,
        (messages, bytes): (u64, u64),
    ) {
        let load = Load { messages, bytes };
        if load == Load::default() {
            if let Some(told) = self.lengths.elsewhere.get_mut(shelf) {
                told.remove(&member);
                if told.is_empty() {
                    self.lengths.elsewhere.remove(shelf);
                }
            }
            return;
        }
        let is_known = self.lengths.elsewhere.contains_key(shelf);
        if !is_known && self.lengths.elsewhere.len() >= limits::LENGTHS_MAX {
            return;
        }
        let told = self.lengths.elsewhere.entry(shelf.into()).or_default();
        told.insert(member, load);
        if let Some(key) = self.names.get(shelf).copied() {
            self.trim(now, key);
        }
    }

    /// A shelf is not known here any more.
    pub(super) fn forget_length(&mut self, key: QueueKey) {
        self.lengths.told.remove(&key);
    }

    /// What a member said of its lengths is not so any more, or not known.
    pub fn forget_lengths(&mut self, member: MemberId) {
        self.lengths.forget(member);
    }

    /// Nobody said anything: the room begins anew.
    pub(super) fn reset_lengths(&mut self) {
        self.lengths = Lengths::default();
    }
}

fn full(name: &str, rules: &Rules, load: Load) -> Error {
    let (queue, group) = super::groups::split(name);
    let mut error = Error::new(ErrorKind::Full)
        .because("the queue is at its maximum length: consume, or raise it")
        .with("queue", queue);
    if !group.is_empty() {
        error = error.with("group", group);
    }
    if let Some(most) = rules.messages_max {
        error = error
            .with("messages", load.messages)
            .with("messages_max", most);
    }
    if let Some(most) = rules.bytes_max {
        error = error.with("bytes", load.bytes).with("bytes_max", most);
    }
    error
}

#[cfg(test)]
#[path = "length_tests.rs"]
mod tests;
