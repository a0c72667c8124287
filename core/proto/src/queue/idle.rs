//! Queues that nobody uses any more (protocol.md 4.1).
//!
//! A queue is known here from its first use on, for as long as there are messages, consumers or groups of
//! it, or settings of its own, or a host has it at hand. Beyond that it is only remembered, because the next
//! use is likely; where memory is short, or as many are known as may be, those are forgotten, and their
//! keys given to others. So a key is good while its host has not released it.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use super::groups::{GroupOf, SEPARATOR, split};
use super::memory::SPARING;
use super::shelf::Shelf;
use super::{Alarm, Queues, limits};
use crate::base::{Error, ErrorKind, Now, QueueKey, Result};

/// What is known about queues that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// Keys of queues that were forgotten.
    vacant: BTreeSet<u32>,
    /// Where the look for more of them stands.
    cursor: usize,
}

impl Queues {
    /// A host has a queue at hand, by its key, once more.
    pub fn hold_queue(&mut self, queue: QueueKey) {
        if let Some(shelf) = self.shelf(queue) {
            shelf.hosts += 1;
        }
    }

    /// A host has it at hand once less; the last time its key is not to be used again.
    pub fn release_queue(&mut self, queue: QueueKey) {
        if let Some(shelf) = self.shelf(queue) {
            shelf.hosts = shelf.hosts.saturating_sub(1);
        }
    }

    /// Queues and groups known here.
    pub(super) fn known(&self) -> usize {
        self.shelves.len() - self.idle.vacant.len()
    }

    /// A shelf of that name, which nobody has yet. Errors: 201.
    pub(super) fn add_shelf(&mut self, name: &str, of: Option<GroupOf>) -> Result<QueueKey> {
        // Making room must not take the queue from under its group.
        let base = of.as_ref().map(|of| of.base);
        base.into_iter().for_each(|base| self.hold_queue(base));
        let has_room = self.make_room_for_queue();
        base.into_iter().for_each(|base| self.release_queue(base));
        has_room?;
        let place = self.idle.vacant.pop_first();
        let key = QueueKey(place.unwrap_or(self.shelves.len() as u32));
        let name: Arc<str> = name.into();
        let mut shelf = Shelf::new(name.clone(), key);
        shelf.set_rules(self.book.rules(split(&name).0));
        shelf.of = of;
        match self.shelves.get_mut(key.0 as usize) {
            Some(vacant) => *vacant = shelf,
            None => self.shelves.push(shelf),
        }
        self.names.insert(name, key);
        Ok(key)
    }

    /// Another queue or group can be known, perhaps in the place of one that nobody uses. Errors: 201.
    fn make_room_for_queue(&mut self) -> Result<()> {
        if self.known() < limits::QUEUES_MAX || self.forget_some() > 0 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Full)
            .because("this member knows as many queues as it may")
            .with("queues_max", limits::QUEUES_MAX))
    }

    /// One bounded step, where memory is short: queues that nobody uses are forgotten, the others keep no
    /// room for what may come.
    pub(super) fn spare_step(&mut self, now: Now) {
        let from = self.idle.cursor;
        self.forget_some();
        let end = self.idle.cursor;
        if let Some(shelves) = self.shelves.get_mut(from..end) {
            shelves.iter_mut().for_each(Shelf::spare);
        }
        if end < self.shelves.len() {
            return self.alarms.set_earlier(Alarm::Spare, now.mono);
        }
        if self.memory.level() >= SPARING {
            self.alarms.set(Alarm::Spare, now.mono + limits::SPARE_MS);
        }
    }

    /// Forgets those of the next queues that nobody uses; answers how many. Begins again behind the last one.
    fn forget_some(&mut self) -> usize {
        if self.idle.cursor >= self.shelves.len() {
            self.idle.cursor = 0;
        }
        let from = self.idle.cursor;
        let end = self.shelves.len().min(from + limits::STEP_MESSAGES_MAX);
        self.idle.cursor = end;
        // Whoever looks through a queue knows it by its key.
        if self.browses.open() + self.doctor.open() + self.redrives.open() > 0 {
            return 0;
        }
        let sessions = self.sessions.values().map(|session| session.queue);
        let consumed: BTreeSet<QueueKey> = sessions.collect();
        let keys = (from..end).map(|key| QueueKey(key as u32));
        let idle = keys.filter(|key| !consumed.contains(key) && self.is_idle(*key));
        let idle: Vec<QueueKey> = idle.collect();
        for key in &idle {
            self.forget_queue(*key);
        }
        idle.len()
    }

    fn is_idle(&self, key: QueueKey) -> bool {
        let Some(shelf) = self.shelves.get(key.0 as usize) else {
            return false;
        };
        let is_used = shelf.is_used() || self.book.has_own(&shelf.name);
        // A group's shelf, of a removed group too, knows its queue by the key.
        !is_used && !self.idle.vacant.contains(&key.0) && !self.has_group_shelves(&shelf.name)
    }

    fn has_group_shelves(&self, queue: &str) -> bool {
        let mut first = alloc::string::String::from(queue);
        first.push(SEPARATOR);
        let from = (Bound::Included(first.as_str()), Bound::Unbounded);
        let mut names = self.names.range::<str, _>(from);
        names
            .next()
            .is_some_and(|(name, _)| name.starts_with(first.as_str()))
    }

    fn forget_queue(&mut self, key: QueueKey) {
        let Some(shelf) = self.shelves.get_mut(key.0 as usize) else {
            return;
        };
        let old = core::mem::replace(shelf, Shelf::new("".into(), key));
        self.names.remove(&old.name);
        self.forget_length(key);
        self.idle.vacant.insert(key.0);
        self.counters.queues_forgotten += 1;
    }
}

#[cfg(test)]
#[path = "idle_tests.rs"]
mod tests;
