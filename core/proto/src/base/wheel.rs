//! Deadlines by key: a hierarchical timing wheel (Varghese and Lauck, 1987) of 1 ms ticks.
//!
//! Setting, moving and clearing are O(1), because nearly every lease is settled long before it runs
//! out: a heap would keep the dead entries of half a minute's traffic. Keys are small indexes (slots
//! of the shelf), and the links between them live in one vector beside it.

use alloc::vec::Vec;

use super::time::Instant;

const NONE: u32 = u32::MAX;
const SLOTS: usize = 64;
const LEVELS: usize = 7;
/// 64^7 ms is 139 years; anything further is cut to that.
const SPAN_MAX: u64 = (1 << 41) - 1;

#[derive(Debug, Clone, Copy)]
struct Entry {
    before: u32,
    after: u32,
    /// Which list it is in, `NONE` for none.
    list: u32,
    at: u64,
}

const UNSET: Entry = Entry {
    before: NONE,
    after: NONE,
    list: NONE,
    at: 0,
};

/// Deadlines by key.
#[derive(Debug)]
pub struct Wheel {
    entries: Vec<Entry>,
    heads: [u32; SLOTS * LEVELS],
    occupied: [u64; LEVELS],
    now: u64,
    /// Not after any deadline; found anew when it is reached.
    earliest: Instant,
}

impl Wheel {
    /// An empty wheel whose time is `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            entries: Vec::new(),
            heads: [NONE; SLOTS * LEVELS],
            occupied: [0; LEVELS],
            now: now.0,
            earliest: Instant::NEVER,
        }
    }

    /// Sets (or moves) the deadline of `key`. One in the past is due at once.
    pub fn set(&mut self, key: u32, at: Instant) {
        self.clear(key);
        let index = key as usize;
        if index >= self.entries.len() {
            self.entries.resize(index + 1, UNSET);
        }
        self.place(key, at.0.clamp(self.now, self.now + SPAN_MAX));
    }

    /// Forgets the deadline of `key`, if it has one.
    pub fn clear(&mut self, key: u32) {
        let Some(entry) = self.entries.get_mut(key as usize) else {
            return;
        };
        let Entry {
            before,
            after,
            list,
            ..
        } = core::mem::replace(entry, UNSET);
        if list == NONE {
            return;
        }
        if let Some(next) = self.entries.get_mut(after as usize) {
            next.before = before;
        }
        if let Some(previous) = self.entries.get_mut(before as usize) {
            previous.after = after;
        } else if let Some(head) = self.heads.get_mut(list as usize) {
            *head = after;
            if after == NONE {
                self.mark(list as usize, false);
            }
        }
    }

    /// The deadline of `key`, if it has one.
    #[must_use]
    pub fn at(&self, key: u32) -> Option<Instant> {
        let entry = self.entries.get(key as usize)?;
        (entry.list != NONE).then_some(Instant(entry.at))
    }

    /// Takes up to `max` keys whose deadline is `now` or earlier, earliest first.
    pub fn due(&mut self, now: Instant, max: usize, out: &mut Vec<u32>) {
        while out.len() < max {
            let Some((level, slot, start)) = self.first() else {
                break;
            };
            if start > now.0 {
                break;
            }
            self.now = self.now.max(start);
            let list = level * SLOTS + slot;
            if level == 0 {
                while out.len() < max {
                    let Some(key) = self.pop(list) else { break };
                    out.push(key);
                }
            } else {
                // Each falls to a lower level, since the wheel's time has reached this slot.
                while let Some((key, at)) = self.head(list) {
                    self.clear(key);
                    self.place(key, at);
                }
            }
        }
        self.earliest = self
            .first()
            .map_or(Instant::NEVER, |(_, _, start)| Instant(start));
        if self.earliest > now {
            self.now = self.now.max(now.0);
        }
    }

    /// When the next deadline may be: never late, perhaps early.
    #[must_use]
    pub fn next(&self) -> Instant {
        self.earliest
    }

    fn pop(&mut self, list: usize) -> Option<u32> {
        let (key, _) = self.head(list)?;
        self.clear(key);
        Some(key)
    }

    fn head(&self, list: usize) -> Option<(u32, u64)> {
        let key = *self.heads.get(list)?;
        let entry = self.entries.get(key as usize)?;
        Some((key, entry.at))
    }

    /// The first occupied slot: (level, slot, its start). A lower level is always earlier, because
    /// what it holds agrees with the wheel's time in all higher digits.
    fn first(&self) -> Option<(usize, usize, u64)> {
        self.occupied.iter().enumerate().find_map(|(level, bits)| {
            if *bits == 0 {
                return None;
            }
            let slot = bits.trailing_zeros() as usize;
            let shift = 6 * level as u32;
            let above = self.now >> shift >> 6 << 6 << shift;
            Some((level, slot, above | ((slot as u64) << shift)))
        })
    }

    fn place(&mut self, key: u32, at: u64) {
        self.earliest = self.earliest.min(Instant(at));
        let differs = 63 - (at ^ self.now).max(1).leading_zeros();
        let level = (differs / 6).min(LEVELS as u32 - 1) as usize;
        let slot = (at >> (6 * level)) as usize & (SLOTS - 1);
        let list = level * SLOTS + slot;
        let Some(head) = self.heads.get_mut(list) else {
            return;
        };
        let after = core::mem::replace(head, key);
        if let Some(next) = self.entries.get_mut(after as usize) {
            next.before = key;
        }
        if let Some(entry) = self.entries.get_mut(key as usize) {
            *entry = Entry {
                before: NONE,
                after,
                list: list as u32,
                at,
            };
        }
        self.mark(list, true);
    }

    fn mark(&mut self, list: usize, is_occupied: bool) {
        if let Some(bits) = self.occupied.get_mut(list / SLOTS) {
            let bit = 1 << (list % SLOTS);
            *bits = if is_occupied {
                *bits | bit
            } else {
                *bits & !bit
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Chance;
    use alloc::collections::BTreeMap;

    fn due(wheel: &mut Wheel, now: u64) -> Vec<u32> {
        let mut out = Vec::new();
        wheel.due(Instant(now), usize::MAX, &mut out);
        out
    }

    #[test]
    fn a_deadline_is_due_at_its_time_and_not_a_tick_earlier() {
        let mut wheel = Wheel::new(Instant(1_000));
        wheel.set(3, Instant(31_000));
        assert!(due(&mut wheel, 30_999).is_empty());
        assert_eq!(due(&mut wheel, 31_000), [3]);
        assert_eq!(wheel.next(), Instant::NEVER);
    }

    #[test]
    fn a_cleared_deadline_never_comes() {
        let mut wheel = Wheel::new(Instant(0));
        wheel.set(1, Instant(10));
        wheel.set(2, Instant(10));
        wheel.clear(1);
        assert_eq!(due(&mut wheel, 100), [2]);
    }

    #[test]
    fn it_agrees_with_a_sorted_map_whatever_is_done_to_it() {
        for seed in 0..300 {
            let mut chance = Chance::new(seed);
            let mut now = chance.below(1 << 40);
            let mut wheel = Wheel::new(Instant(now));
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            for _ in 0..200 {
                let key = chance.below(40) as u32;
                match chance.below(4) {
                    0 => {
                        wheel.clear(key);
                        model.remove(&key);
                    }
                    1 | 2 => {
                        let span = 1 << chance.below(30);
                        let at = now + chance.below(span);
                        wheel.set(key, Instant(at));
                        model.insert(key, at);
                    }
                    _ => {
                        let span = 1 << chance.below(28);
                        now += chance.below(span);
                        let mut got = due(&mut wheel, now);
                        got.sort_unstable();
                        let late: Vec<u32> = model
                            .iter()
                            .filter(|(_, at)| **at <= now)
                            .map(|(k, _)| *k)
                            .collect();
                        assert_eq!(got, late, "seed {seed}");
                        late.iter().for_each(|key| {
                            model.remove(key);
                        });
                    }
                }
                let earliest = model.values().min().map_or(u64::MAX, |at| *at);
                assert!(wheel.next().0 <= earliest, "seed {seed}");
                for (key, at) in &model {
                    assert_eq!(wheel.at(*key), Some(Instant(*at)));
                }
            }
        }
    }
}
