//! What of a shelf may be given, and in which order: by priority, then by age, and with keys in turn.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};

use super::lines::Lines;
use super::slot::{Place, Slab, Slot};
use crate::base::{MessageId, QueueKey, Stamp, limits};

/// A priority's turn: the highest comes first.
pub(super) const fn turn(priority: u32) -> u8 {
    9_u8.saturating_sub(priority as u8)
}

/// The turn of nearly all messages.
const USUAL: u8 = turn(limits::PRIORITY);

/// The order in which a queue's messages are given: by priority, then by stamp, as far as that is
/// known; of each key in line.
#[derive(Debug)]
pub(super) struct Ready {
    /// Whose messages: a slot may have gone to another queue's since an entry was made.
    queue: QueueKey,
    /// Those of the usual priority that came in order: nearly all.
    fresh: VecDeque<(Stamp, u32)>,
    /// Those that came back, came from another owner, or have another priority.
    again: BTreeMap<(u8, Stamp, MessageId), u32>,
    /// Of these two.
    count: usize,
    /// Messages with keys; nothing where there was never one.
    lines: Option<Box<Lines>>,
    /// Where the messages without a key stand in the ring of the lines.
    place: u64,
    /// Of one key, at a time.
    most: usize,
}

impl Ready {
    pub(super) fn new(queue: QueueKey) -> Self {
        Self {
            queue,
            fresh: VecDeque::new(),
            again: BTreeMap::new(),
            count: 0,
            lines: None,
            place: 0,
            most: 1,
        }
    }

    /// Whether an entry still stands for a ready message of this queue.
    fn is_live(&self, slab: &Slab, stamp: Stamp, index: u32) -> bool {
        slab.get(index).is_some_and(|slot| {
            slot.place == Place::Ready && slot.stamp == stamp && slot.queue == self.queue
        })
    }

    /// Messages that may be given now.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count + self.lines.as_ref().map_or(0, |lines| lines.count())
    }

    /// Ready messages that wait for others of their keys.
    pub(super) fn behind(&self) -> usize {
        let lines = self.lines.as_ref();
        lines.map_or(0, |lines| lines.ready().saturating_sub(lines.count()))
    }

    /// The lines of its keys, where it has any.
    pub(super) fn lines(&self) -> Option<&Lines> {
        self.lines.as_deref()
    }

    /// The same, for a message that has a key.
    pub(super) fn lines_mut(&mut self) -> &mut Lines {
        let most = self.most;
        self.lines.get_or_insert_with(|| Box::new(Lines::new(most)))
    }

    /// Of one key so many at a time from now on. True when there are lines that have to hear of it.
    pub(super) fn bound(&mut self, most: usize) -> bool {
        self.most = most;
        self.lines.as_mut().is_some_and(|lines| lines.bound(most))
    }

    /// Some lines hear of it. True while there are others.
    pub(super) fn rebound(&mut self) -> bool {
        self.lines.as_mut().is_some_and(|lines| lines.rebound())
    }

    /// A message is ready: with a key it goes into its line.
    #[inline]
    pub(super) fn push(&mut self, slot: &Slot, index: u32, ignores_key: bool) {
        if let Some(key) = slot.key().filter(|_| !ignores_key) {
            let place = (slot.spot(), slot.turn());
            return self.lines_mut().push(key, place, index);
        }
        let (turn, stamp, id) = (slot.turn(), slot.stamp, slot.id);
        self.count += 1;
        let is_next = self.fresh.back().is_none_or(|(last, _)| *last <= stamp);
        if turn == USUAL && is_next {
            self.fresh.push_back((stamp, index));
        } else {
            self.again.insert((turn, stamp, id), index);
        }
    }

    /// The next one; the caller moves it out of [`Place::Ready`].
    pub(super) fn pop(&mut self, slab: &Slab) -> Option<u32> {
        loop {
            let fresh = self.fresh.front().map(|(stamp, _)| (USUAL, *stamp));
            let again = self.again.first_key_value();
            let again = again.map(|((turn, stamp, _), _)| (*turn, *stamp));
            let is_again = match (fresh, again) {
                (Some(fresh), Some(again)) => again < fresh,
                (fresh, _) => fresh.is_none(),
            };
            let plain = if is_again { again } else { fresh };
            if let Some(lines) = &mut self.lines
                && let Some(first) = lines.first()
                && plain.is_none_or(|(turn, _)| first < (turn, self.place))
            {
                return lines.pop();
            }
            plain?;
            let (stamp, index) = if is_again {
                let ((_, stamp, _), index) = self.again.pop_first()?;
                (stamp, index)
            } else {
                self.fresh.pop_front()?
            };
            // An entry is not taken out when its message ends; it is passed over here.
            if self.is_live(slab, stamp, index) {
                self.count -= 1;
                if let Some(lines) = &mut self.lines {
                    self.place = lines.place();
                }
                return Some(index);
            }
        }
    }

    /// The oldest one of the lowest priority; the caller moves it out of [`Place::Ready`].
    pub(super) fn pop_oldest(&mut self, slab: &Slab) -> Option<u32> {
        loop {
            let last = self.again.last_key_value().map(|((turn, ..), _)| *turn);
            let plain = match (self.fresh.is_empty(), last) {
                (true, last) => last,
                (false, last) => Some(last.unwrap_or(USUAL).max(USUAL)),
            };
            let keyed = self.lines.as_ref().and_then(|lines| lines.oldest(plain));
            let turn = plain.or(keyed.map(|(turn, _)| turn))?;
            let turn = keyed.map_or(turn, |(keyed, _)| keyed.max(turn));
            let first = (turn, Stamp(0), MessageId::default());
            let again = self.again.range(first..).next();
            let again = again.map(|(key, index)| (*key, *index));
            let fresh = self.fresh.front().filter(|_| turn == USUAL).copied();
            let oldest = again.map(|(key, _)| key.1).into_iter();
            let oldest = oldest.chain(fresh.map(|(stamp, _)| stamp)).min();
            if let Some(lines) = &mut self.lines
                && let Some(keyed) = keyed.filter(|(its, _)| *its == turn)
                && oldest.is_none_or(|oldest| keyed.1 < oldest)
            {
                return lines.pop_oldest(keyed);
            }
            let (stamp, index) = match (fresh, again) {
                (Some(fresh), Some((key, _))) if fresh.0 <= key.1 => self.fresh.pop_front()?,
                (_, Some((key, index))) => {
                    self.again.remove(&key);
                    (key.1, index)
                }
                _ => self.fresh.pop_front()?,
            };
            if self.is_live(slab, stamp, index) {
                self.count -= 1;
                return Some(index);
            }
        }
    }

    /// Gives back the room for messages, where there are none.
    pub(super) fn spare(&mut self) {
        if self.count == 0 {
            // What is left are entries of messages that ended.
            self.fresh = VecDeque::new();
            self.again.clear();
        }
        self.lines.take_if(|lines| lines.is_empty());
    }

    /// True when something is kept for messages that may come.
    #[cfg(test)]
    pub(super) fn has_room(&self) -> bool {
        self.fresh.capacity() > 0 || self.lines.is_some()
    }

    /// A ready message ended without being given.
    pub(super) fn lost_one(&mut self, slab: &Slab) {
        self.count = self.count.saturating_sub(1);
        if self.fresh.len() > 2 * self.count + 64 {
            let mut fresh = core::mem::take(&mut self.fresh);
            fresh.retain(|(stamp, index)| self.is_live(slab, *stamp, *index));
            self.fresh = fresh;
        }
        if self.again.len() > 2 * self.count + 64 {
            let mut again = core::mem::take(&mut self.again);
            again.retain(|(_, stamp, _), index| self.is_live(slab, *stamp, *index));
            self.again = again;
        }
    }
}
