//! Messages with keys: those of one key stand in line, and keys are served in turn (protocol.md 4.4, "Keys").
//!
//! The line of a key is in the order of acceptance. At most so many of it are out at a time: given to a
//! consumer and not over, whatever happens to them meanwhile. One that comes back (nacked, released, its lease
//! run out) is still out: it is given again before, or beside, those behind it, so with one at a time nothing
//! overtakes it. Keys that may go on stand in a ring, by the priority of what each would give next; all messages
//! without a key are one flow of it. A line is there only while its key has messages here.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use crate::base::{MessageId, Stamp};

/// A message's place in its line.
pub(super) type Spot = (Stamp, MessageId);
/// Lines looked at in one step after their bound changed.
const STEP: usize = 5_000;

/// The messages of one key.
#[derive(Debug, Default)]
struct Line {
    /// Their copies are on their way: what was accepted later waits for them.
    coming: BTreeSet<Spot>,
    /// Ready, and not given out by this owner: where each is, and the turn of its priority.
    waiting: BTreeMap<Spot, (u32, u8)>,
    /// Given out, and not over.
    out: BTreeSet<MessageId>,
    /// Of these, what is ready again.
    again: BTreeMap<Spot, (u32, u8)>,
    /// How many of it may be given now; counted in [`Lines::count`].
    offered: usize,
    /// Where it stands in the ring.
    listed: Option<(u8, u64)>,
    /// The highest bound that it was given by.
    peak: usize,
}

impl Line {
    fn is_empty(&self) -> bool {
        self.coming.is_empty() && self.waiting.is_empty() && self.out.is_empty()
    }

    /// Those that wait for nothing but their turn.
    fn free(&self, most: usize) -> impl Iterator<Item = (Spot, (u32, u8))> + '_ {
        let first = self.coming.first().copied();
        let waiting = self.waiting.iter().map(|(spot, at)| (*spot, *at));
        let before = waiting.take_while(move |(spot, _)| first.is_none_or(|first| *spot < first));
        before.take(most.saturating_sub(self.out.len()))
    }

    /// Those that came back and may go: more than the bound may be out, where another owner had given some
    /// of them, and then the first of them wait for each other, too.
    fn back(&self, most: usize) -> impl Iterator<Item = (Spot, (u32, u8))> + '_ {
        let held = self.out.len().saturating_sub(self.again.len());
        let again = self.again.iter().map(|(spot, at)| (*spot, *at));
        again.take(most.saturating_sub(held))
    }

    fn next(&self, most: usize) -> Option<(Spot, (u32, u8))> {
        let back = self.back(most).next();
        back.or_else(|| self.free(most).next())
    }
}

/// The lines of one shelf.
#[derive(Debug)]
pub(super) struct Lines {
    lines: BTreeMap<Arc<str>, Line>,
    /// Keys that may go on, each once: the turn of the next one's priority, then first come first served.
    ring: BTreeMap<(u8, u64), Arc<str>>,
    /// All that is ready, whether it may be given now or not.
    ready: BTreeMap<(u8, Stamp, MessageId), Arc<str>>,
    /// Messages that may be given now.
    count: usize,
    last_place: u64,
    /// Of one key, at a time.
    most: usize,
    /// Lines up to this key know of the present bound; all, with none.
    cursor: Option<String>,
}

impl Lines {
    pub(super) fn new(most: usize) -> Self {
        Self {
            lines: BTreeMap::new(),
            ring: BTreeMap::new(),
            ready: BTreeMap::new(),
            count: 0,
            last_place: 0,
            most,
            cursor: None,
        }
    }

    /// True where no message has a key.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Messages that may be given now.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Ready ones, those among them that wait for others of their keys included.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The next place in the ring.
    pub(super) fn place(&mut self) -> u64 {
        self.last_place += 1;
        self.last_place
    }

    /// How many of one key may be on lease; for the audit.
    pub(super) fn peak(&self, key: &str) -> usize {
        let peak = self.lines.get(key).map_or(0, |line| line.peak);
        peak.max(self.most)
    }

    /// One that was accepted, as soon as its copies are made: it has its place from now on.
    pub(super) fn expect(&mut self, key: &str, spot: Spot) {
        self.alter(key, |line| {
            line.coming.insert(spot);
        });
    }

    /// It is expected no more: it comes now, or has a date.
    pub(super) fn came(&mut self, key: &str, spot: Spot) {
        if self.lines.contains_key(key) {
            self.alter(key, |line| {
                line.coming.remove(&spot);
            });
        }
    }

    /// It is ready.
    pub(super) fn push(&mut self, key: &str, (spot, turn): (Spot, u8), index: u32) {
        let name = self.alter(key, |line| {
            line.coming.remove(&spot);
            let list = match line.out.contains(&spot.1) {
                true => &mut line.again,
                false => &mut line.waiting,
            };
            list.insert(spot, (index, turn));
        });
        self.ready.insert((turn, spot.0, spot.1), name);
    }

    /// Somebody has it, though not by this owner.
    pub(super) fn hold(&mut self, key: &str, id: MessageId) {
        self.alter(key, |line| {
            line.out.insert(id);
        });
    }

    /// It is not in its line any more, or is no message of this owner's. False when it was in none.
    pub(super) fn leave(&mut self, key: &str, spot: Spot) -> bool {
        if !self.lines.contains_key(key) {
            return false;
        }
        let (mut was_in, mut turn) = (false, None);
        self.alter(key, |line| {
            let at = line.waiting.remove(&spot).or(line.again.remove(&spot));
            turn = at.map(|(_, turn)| turn);
            was_in = line.coming.remove(&spot) | line.out.remove(&spot.1) | at.is_some();
        });
        if let Some(turn) = turn {
            self.ready.remove(&(turn, spot.0, spot.1));
        }
        was_in
    }

    /// True while something of that key is out, and that message is not.
    pub(super) fn is_behind(&self, key: &str, id: MessageId) -> bool {
        let line = self.lines.get(key);
        line.is_some_and(|line| !line.out.is_empty() && !line.out.contains(&id))
    }

    /// The place of the first in the ring.
    pub(super) fn first(&self) -> Option<(u8, u64)> {
        self.ring.first_key_value().map(|(place, _)| *place)
    }

    /// The next message of the first key in the ring, which goes to its end.
    pub(super) fn pop(&mut self) -> Option<u32> {
        let (_, key) = self.ring.first_key_value()?;
        let (key, most) = (key.clone(), self.most);
        let (mut index, mut gone) = (None, None);
        self.alter(&key, |line| {
            line.listed = None;
            if let Some((spot, (at, turn))) = line.next(most) {
                line.waiting.remove(&spot);
                line.again.remove(&spot);
                line.out.insert(spot.1);
                line.peak = line.peak.max(most);
                (index, gone) = (Some(at), Some((turn, spot.0, spot.1)));
            }
        });
        self.ready.remove(&gone?);
        index
    }

    /// The oldest ready one of the lowest priority.
    pub(super) fn oldest(&self, turn: Option<u8>) -> Option<(u8, Stamp)> {
        let lowest = self.ready.last_key_value().map(|((turn, ..), _)| *turn)?;
        let turn = turn.unwrap_or(lowest).max(lowest);
        let from = (turn, Stamp(0), MessageId::default());
        let first = self.ready.range(from..).next();
        first.map(|((turn, stamp, _), _)| (*turn, *stamp))
    }

    /// Takes the one that [`Lines::oldest`] names out of its line.
    pub(super) fn pop_oldest(&mut self, (turn, stamp): (u8, Stamp)) -> Option<u32> {
        let from = (turn, stamp, MessageId::default());
        let ((_, stamp, id), key) = self.ready.range(from..).next()?;
        let (spot, key) = ((*stamp, *id), key.clone());
        let line = self.lines.get(&key)?;
        let at = line.waiting.get(&spot).or(line.again.get(&spot))?;
        let index = at.0;
        self.leave(&key, spot);
        Some(index)
    }

    /// So many of one key at a time from now on. True when there are lines that have to hear of it.
    pub(super) fn bound(&mut self, most: usize) -> bool {
        if most == self.most {
            return false;
        }
        self.most = most;
        self.cursor = Some(String::new());
        !self.lines.is_empty()
    }

    /// Some lines hear of the new bound. True while there are others.
    pub(super) fn rebound(&mut self) -> bool {
        let Some(from) = self.cursor.take() else {
            return false;
        };
        let from = (Bound::Included(from.as_str()), Bound::Unbounded);
        let keys = self.lines.range::<str, _>(from);
        let keys: Vec<Arc<str>> = keys.take(STEP).map(|(key, _)| key.clone()).collect();
        for key in &keys {
            self.alter(key, |_| {});
        }
        let last = keys.last().filter(|_| keys.len() == STEP);
        self.cursor = last.map(|last| last.as_ref().into());
        self.cursor.is_some()
    }

    /// Changes a line, then what follows from it: how many it offers, and its place in the ring.
    fn alter(&mut self, key: &str, change: impl FnOnce(&mut Line)) -> Arc<str> {
        let name = match self.lines.get_key_value(key) {
            Some((name, _)) => name.clone(),
            None => Arc::from(key),
        };
        let line = self.lines.entry(name.clone()).or_default();
        let was_listed = line.listed;
        change(line);
        let offered = line.back(self.most).count() + line.free(self.most).count();
        self.count = (self.count + offered).saturating_sub(line.offered);
        line.offered = offered;
        let turn = line.next(self.most).map(|(_, (_, turn))| turn);
        if line.listed.map(|(turn, _)| turn) != turn {
            self.last_place += 1;
            line.listed = turn.map(|turn| (turn, self.last_place));
        }
        let (listed, is_empty) = (line.listed, line.is_empty());
        if was_listed != listed {
            if let Some(place) = was_listed {
                self.ring.remove(&place);
            }
            if let Some(place) = listed {
                self.ring.insert(place, name.clone());
            }
        }
        if is_empty {
            self.lines.remove(key);
        }
        name
    }

    /// Checks that the lines agree with themselves.
    pub(super) fn audit(&self) -> Result<(), &'static str> {
        let (mut count, mut listed) = (0, 0);
        for line in self.lines.values() {
            count += line.offered;
            listed += usize::from(line.listed.is_some());
            if line.is_empty() {
                return Err("a line of nobody");
            }
            if line.again.keys().any(|(_, id)| !line.out.contains(id)) {
                return Err("one came back that was never out");
            }
        }
        if count != self.count || listed != self.ring.len() {
            return Err("lines are counted wrongly");
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
