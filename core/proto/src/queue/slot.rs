//! Where held messages live: slots in a chunked slab, found by origin and sequence.
//!
//! A message's id is its place in its origin's order, so finding it is an array step; a few that
//! were left behind by a window that moved on are kept apart (protocol.md 4.9).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

use super::delivery::Headers;
use super::memory::cost;
use crate::base::{BootId, Instant, MemberId, MessageId, Now, QueueKey, SessionId, Stamp, limits};
use crate::copies::{Fan, Holders, Own, Terms};

/// What a message is to this store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Place {
    /// The slot is empty.
    #[default]
    Free,
    /// Owned; its copies are on their way.
    Replicating,
    /// Owned; anyone may have it.
    Ready,
    /// Owned; waits for its time.
    Delayed,
    /// Owned; somebody has it.
    Leased,
    /// A copy of another owner's message.
    Standby,
    /// On its way to another store, because this member leaves.
    Moving,
    /// Owned; its dead letter's copies are on their way.
    Dying,
}

/// Who has a leased message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Lessee {
    #[default]
    Nobody,
    /// A consumer of this member, by a subscription or not.
    Here(Option<SessionId>),
    /// A consumer of another member.
    There(MemberId),
}

/// A held message.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) id: MessageId,
    pub(super) stamp: Stamp,
    pub(super) body: Bytes,
    pub(super) headers: Option<Headers>,
    pub(super) terms: Option<Arc<Terms>>,
    pub(super) holders: Holders,
    /// Which of the holders have said that they keep it; for the owner only.
    pub(super) confirmed: u128,
    pub(super) own: Own,
    pub(super) lessee: Lessee,
    pub(super) queue: QueueKey,
    /// The enqueue it came by, while it replicates.
    pub(super) batch: u32,
    pub(super) attempts: u32,
    /// Counts this owner's leases of it; of one that is moved, the ownership it goes under, or 0 where it
    /// goes to its owner.
    pub(super) lease: u32,
    /// Copies asked for.
    pub(super) wanted: u8,
    /// The delivery, by its number, that holders were told of before it.
    pub(super) announced: u8,
    pub(super) place: Place,
}

impl Slot {
    /// What it costs, for the memory budget.
    pub(super) fn weight(&self) -> u64 {
        cost(
            self.body.len(),
            self.headers.as_ref(),
            self.terms.as_deref(),
        )
    }

    /// Where its priority stands: 0 is given out first.
    pub(super) fn turn(&self) -> u8 {
        let asked = self.terms.as_ref().and_then(|terms| terms.priority);
        super::ready::turn(asked.unwrap_or(limits::PRIORITY))
    }

    /// The key by which it stands in line; none for most. A dead letter has its message's to tell, and
    /// stands in none.
    #[inline]
    pub(super) fn key(&self) -> Option<&str> {
        let terms = self.terms.as_ref()?;
        (!terms.key.is_empty() && !terms.is_dead_letter).then_some(terms.key.as_str())
    }

    /// True for one with a dedup key.
    #[inline]
    pub(super) fn has_dedup(&self) -> bool {
        let terms = self.terms.as_ref();
        terms.is_some_and(|terms| !terms.dedup.is_empty())
    }

    /// Its place among others of its key.
    pub(super) fn spot(&self) -> super::lines::Spot {
        (self.stamp, self.id)
    }

    /// True from the date on that its producer gave.
    pub(super) fn is_expired(&self, now: Now) -> bool {
        let terms = self.terms.as_ref();
        terms.is_some_and(|terms| terms.expires != 0 && terms.expires <= now.wall_ms)
    }

    /// When it expires; never, for most.
    pub(super) fn expiry(&self, now: Now) -> Instant {
        match &self.terms {
            Some(terms) if terms.expires != 0 => {
                now.mono + terms.expires.saturating_sub(now.wall_ms)
            }
            _ => Instant::NEVER,
        }
    }

    /// When a copy of another owner's is given up, should nobody have said that it expired.
    pub(super) fn standby_expiry(&self, now: Now) -> Instant {
        match self.expiry(now) {
            Instant::NEVER => Instant::NEVER,
            // Also what is as far away as can be has a date.
            expiry => (expiry + limits::CLOCK_ERROR_MS_MAX).min(Instant(u64::MAX - 1)),
        }
    }

    pub(super) fn is_at_most_once(&self) -> bool {
        self.terms
            .as_ref()
            .is_some_and(|terms| terms.is_at_most_once)
    }

    /// True when no other store holds it.
    pub(super) fn is_alone(&self) -> bool {
        self.holders.len() == 1
    }
}

const CHUNK: usize = 1_024;

/// Slots by index; chunks, so that growing never moves a million of them.
#[derive(Debug, Default)]
pub(super) struct Slab {
    chunks: Vec<Vec<Slot>>,
    free: Vec<u32>,
    len: usize,
}

impl Slab {
    pub(super) fn get(&self, index: u32) -> Option<&Slot> {
        let index = index as usize;
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Slot> {
        let index = index as usize;
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    pub(super) fn insert(&mut self, slot: Slot) -> u32 {
        let index = self.vacant();
        if let Some(place) = self.get_mut(index) {
            *place = slot;
        }
        index
    }

    /// The index of a slot for a new tenant, who must fill it at once: what the last one left may
    /// stand in it still.
    pub(super) fn vacant(&mut self) -> u32 {
        self.len += 1;
        if let Some(index) = self.free.pop() {
            return index;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let Some(chunk) = self.chunks.last_mut() else {
            return u32::MAX;
        };
        chunk.push(Slot::default());
        (before + chunk.len() - 1) as u32
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<Slot> {
        let slot = core::mem::take(self.get_mut(index)?);
        if slot.place == Place::Free {
            return None;
        }
        self.len -= 1;
        self.free.push(index);
        Some(slot)
    }

    /// Ends a tenant where it stands; answers its weight. The list of holders stays, because the
    /// next tenant's is most likely the same one: so only for a tenant that no other store held.
    pub(super) fn empty(&mut self, index: u32) -> u64 {
        let Some(slot) = self.get_mut(index) else {
            return 0;
        };
        let weight = slot.weight();
        slot.place = Place::Free;
        slot.body = Bytes::new();
        slot.headers = None;
        slot.terms = None;
        self.len -= 1;
        self.free.push(index);
        weight
    }

    /// Messages held.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Indexes are below this; for sweeps.
    pub(super) fn end(&self) -> u32 {
        let last = self.chunks.last().map_or(0, Vec::len);
        (self.chunks.len().saturating_sub(1) * CHUNK + last) as u32
    }
}

const NONE: u32 = u32::MAX;
/// A hole in a window larger than this begins a new one.
const GAP_MAX: u64 = 4_096;
/// A window longer than this is looked at for stragglers.
const SPARSE_MIN: usize = 1_024;

/// The slots of one origin by sequence.
#[derive(Debug, Default)]
struct Window {
    base: u64,
    slots: VecDeque<u32>,
    live: usize,
    /// Left behind when the window moved on.
    strays: BTreeMap<u64, u32>,
    /// Where these ids come from, of messages in a group.
    fan: Option<Fan>,
}

impl Window {
    fn get(&self, sequence: u64) -> Option<u32> {
        let offset = sequence
            .checked_sub(self.base)
            .and_then(|o| usize::try_from(o).ok());
        if let Some(index) = offset.and_then(|offset| self.slots.get(offset))
            && *index != NONE
        {
            return Some(*index);
        }
        if self.strays.is_empty() {
            return None;
        }
        self.strays.get(&sequence).copied()
    }

    fn insert(&mut self, sequence: u64, index: u32) {
        if self.slots.is_empty() {
            self.base = sequence;
        }
        let Some(offset) = sequence.checked_sub(self.base) else {
            self.strays.insert(sequence, index);
            return;
        };
        let len = self.slots.len() as u64;
        if offset > len + GAP_MAX {
            self.stray(self.slots.len());
            self.base = sequence;
            self.slots.push_back(index);
        } else if offset >= len {
            (len..offset).for_each(|_| self.slots.push_back(NONE));
            self.slots.push_back(index);
        } else if let Some(place) = self.slots.get_mut(offset as usize) {
            *place = index;
        }
        self.live += 1;
        if self.slots.len() > SPARSE_MIN && self.live * 8 < self.slots.len() {
            self.stray(SPARSE_MIN / 2);
        }
    }

    fn take(&mut self, sequence: u64) -> Option<u32> {
        let offset = sequence
            .checked_sub(self.base)
            .and_then(|o| usize::try_from(o).ok());
        match offset.and_then(|offset| self.slots.get_mut(offset)) {
            Some(place) if *place != NONE => {
                let index = core::mem::replace(place, NONE);
                self.live -= 1;
                while self.slots.front() == Some(&NONE) {
                    self.slots.pop_front();
                    self.base += 1;
                }
                Some(index)
            }
            _ => self.strays.remove(&sequence),
        }
    }

    /// Moves what is live in the first `count` places out of the window.
    fn stray(&mut self, count: usize) {
        for _ in 0..count {
            let Some(index) = self.slots.pop_front() else {
                break;
            };
            if index != NONE {
                self.strays.insert(self.base, index);
                self.live -= 1;
            }
            self.base += 1;
        }
    }

    fn is_empty(&self) -> bool {
        self.live == 0 && self.strays.is_empty()
    }
}

/// Slots by message id.
#[derive(Debug)]
pub(super) struct Index {
    me: BootId,
    /// The messages accepted here: most of them, so found first.
    own: Window,
    others: BTreeMap<BootId, Window>,
}

impl Index {
    pub(super) fn new(me: BootId) -> Self {
        Self {
            me,
            own: Window::default(),
            others: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, id: MessageId) -> Option<u32> {
        if id.origin == self.me {
            return self.own.get(id.sequence);
        }
        self.others.get(&id.origin)?.get(id.sequence)
    }

    pub(super) fn insert(&mut self, id: MessageId, index: u32) {
        let window = if id.origin == self.me {
            &mut self.own
        } else {
            self.others.entry(id.origin).or_default()
        };
        window.insert(id.sequence, index);
    }

    /// The groups in which something is held that was accepted by that boot.
    pub(super) fn fans_of(&self, source: BootId) -> impl Iterator<Item = Fan> {
        let fans = self.others.values().filter_map(|window| window.fan);
        fans.filter(move |fan| fan.source == source)
    }

    /// Notes where the ids of an origin come from; something of it is held.
    pub(super) fn note_fan(&mut self, origin: BootId, fan: Fan) {
        if let Some(window) = self.others.get_mut(&origin) {
            window.fan = Some(fan);
        }
    }

    /// Where the ids of an origin come from; nothing for those of a queue itself.
    pub(super) fn fan(&self, origin: BootId) -> Option<Fan> {
        self.others.get(&origin)?.fan
    }

    pub(super) fn take(&mut self, id: MessageId) -> Option<u32> {
        if id.origin == self.me {
            return self.own.take(id.sequence);
        }
        let window = self.others.get_mut(&id.origin)?;
        let index = window.take(id.sequence);
        if window.is_empty() {
            self.others.remove(&id.origin);
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Chance;

    #[test]
    fn the_index_agrees_with_a_plain_map_whatever_is_done_to_it() {
        for seed in 0..100 {
            let mut chance = Chance::new(seed);
            let mut index = Index::new(BootId(1));
            let mut model = BTreeMap::new();
            let mut next = 1;
            for step in 0..3_000_u32 {
                if chance.percent(60) {
                    next += if chance.percent(1) {
                        5_000
                    } else {
                        1 + chance.below(3)
                    };
                    let origin = BootId(1 + chance.below(2));
                    let id = MessageId {
                        origin,
                        sequence: next,
                    };
                    index.insert(id, step);
                    model.insert(id, step);
                } else if let Some(id) = {
                    let skip = chance.below(model.len() as u64 + 1) as usize;
                    model.keys().nth(skip).copied()
                } {
                    index.take(id);
                    model.remove(&id);
                }
            }
            for (id, slot) in &model {
                assert_eq!(index.get(*id), Some(*slot), "seed {seed}");
            }
            let gone = MessageId {
                origin: BootId(3),
                sequence: 1,
            };
            assert_eq!(index.get(gone), None);
        }
    }

    #[test]
    fn a_straggler_does_not_pin_the_window() {
        let mut window = Window::default();
        (1..=100_000).for_each(|n| {
            window.insert(n, n as u32);
            if n > 1 {
                window.take(n);
            }
        });
        assert_eq!(window.get(1), Some(1));
        assert!(window.slots.len() <= 2 * SPARSE_MIN);
    }
}
