//! Purging: what a queue held when it was purged is over, wherever it is (protocol.md 3.2).
//!
//! The mark is a stamp in the metadata. Each owner ends its own messages that are not younger, told to
//! their holders as an ack is; whoever comes to own one later ends it then. So a purge reaches what is
//! cut off from the member that asked for it.

use alloc::vec::Vec;

use super::canary::QueueCanary;
use super::message::Ending;
use super::rules::Rules;
use super::slot::Place;
use super::{Alarm, Queues, limits};
use crate::base::{MessageId, Now, Stamp};

impl Queues {
    /// Some queue was purged: the messages held here are looked at from the beginning, the first at once.
    pub(super) fn begin_purge(&mut self, now: Now) {
        self.purge_cursor = 0;
        self.drop_purged_aside();
        self.purge_step(now);
    }

    /// What is set aside and was purged is over: by the time when its host wants it back, this member may
    /// have left, and have forgotten the purge with everything else that it was told.
    pub(super) fn drop_purged_aside(&mut self) {
        if self.aside.is_empty() {
            return;
        }
        let before = self.aside_bytes();
        let book = &self.book;
        self.aside
            .retain(|one| one.stamp > book.purged_before(&one.queue));
        self.discharge(before - self.aside_bytes());
    }

    /// One bounded step through the messages held here.
    pub(super) fn purge_step(&mut self, now: Now) {
        let from = self.purge_cursor;
        let step = limits::STEP_MESSAGES_MAX as u32;
        let end = self.slab.end().min(from.saturating_add(step));
        let over: Vec<MessageId> = (from..end).filter_map(|index| self.purged(index)).collect();
        for id in over {
            self.end_purged(now, id);
        }
        self.purge_cursor = end;
        if end < self.slab.end() {
            self.alarms.set_earlier(Alarm::Purge, now.mono);
        }
    }

    /// True for what was accepted before its queue was last purged.
    pub(super) fn is_purged(&self, rules: &Rules, stamp: Stamp) -> bool {
        let is_timeless = self.planted.is(QueueCanary::PurgeForgetsTime);
        stamp <= rules.purged_before || is_timeless && rules.purged_before > Stamp(0)
    }

    /// A message that is this member's to end.
    fn purged(&self, index: u32) -> Option<MessageId> {
        let slot = self.slab.get(index)?;
        let is_its_turn = matches!(slot.place, Place::Ready | Place::Delayed | Place::Leased);
        let rules = self.rules(slot.queue).filter(|_| is_its_turn)?;
        self.is_purged(rules, slot.stamp).then_some(slot.id)
    }

    /// Ends an owned message that was purged.
    pub(super) fn end_purged(&mut self, now: Now, id: MessageId) {
        if let Some(slot) = self.end_out(now, id) {
            self.counters.purged += 1;
            let span = (id.origin, id.sequence, id.sequence);
            self.bury(now, span, &slot.holders, Ending::Expired, true);
        }
    }
}
