//! Looking without taking: figures, glimpses and the audit that tests call.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Queues;
use super::delivery::Glimpse;
use super::length::Load;
use super::slot::{Place, Slot};
use crate::base::{MessageId, Stamp};

impl Queues {
    /// Counters and gauges by stable names.
    pub fn stats(&self, stats: &mut BTreeMap<&'static str, u64>) {
        self.counters.write(stats);
        let mut places = [0_u64; 8];
        let mut short = 0;
        let end = if self.slab.len() == 0 {
            0
        } else {
            self.slab.end()
        };
        for index in 0..end {
            if let Some(slot) = self.slab.get(index)
                && let Some(count) = places.get_mut(slot.place as usize)
            {
                *count += 1;
                short += u64::from(self.is_short(slot));
            }
        }
        stats.insert("copies_short", short);
        let of = |place: Place| places.get(place as usize).copied().unwrap_or(0);
        stats.insert("messages", self.slab.len() as u64);
        stats.insert("messages_replicating", of(Place::Replicating));
        stats.insert("messages_ready", of(Place::Ready));
        stats.insert("messages_delayed", of(Place::Delayed));
        stats.insert("messages_leased", of(Place::Leased));
        stats.insert("messages_standby", of(Place::Standby));
        stats.insert("messages_moving", of(Place::Moving));
        stats.insert("messages_dying", of(Place::Dying));
        stats.insert("memory_bytes", self.memory.used());
        stats.insert("memory_level", self.memory.level().into());
        stats.insert("queues", self.known() as u64);
        stats.insert("tombstones", self.tombs.message_count());
        stats.insert("tombstone_runs", self.tombs.run_count() as u64);
        stats.insert("calls", self.calls.len() as u64);
        stats.insert(
            "browses_open",
            (self.browses.open() + self.inquiries.len() + self.redrives.open() + self.doctor.open())
                as u64,
        );
        stats.insert("waiters", self.waiters.len() as u64);
        stats.insert("sessions", self.sessions.len() as u64);
        stats.insert("forwards", self.forwards.len() as u64);
        stats.insert("dedups_open", self.dedups.len() as u64);
        stats.insert("dedup_records", self.remembered.len() as u64);
        stats.insert("dedup_evicted", self.remembered.evicted());
        stats.insert("demands", self.asked.len() as u64);
        stats.insert("members_late", self.late_count() as u64);
        stats.insert("batches", self.batches.iter().flatten().count() as u64);
    }

    /// How many messages are held here.
    #[must_use]
    pub fn held(&self) -> usize {
        self.slab.len()
    }

    /// Where a message is; none when it is not held here.
    #[must_use]
    pub fn glimpse(&self, id: MessageId) -> Option<Glimpse> {
        let slot = self.slab.get(self.index.get(id)?)?;
        Some(Glimpse {
            id,
            is_owned: slot.own.store == self.me.store,
            is_leased: slot.place == Place::Leased,
            is_ending: slot.place == Place::Dying,
            is_parting: self.is_parting(id),
            attempts: slot.attempts,
            own: slot.own,
            stamp: slot.stamp,
        })
    }

    /// What a queue goes by here: whether it is paused for producers, and for consumers, and up to which
    /// stamp it was purged; none where it is not known.
    #[must_use]
    pub fn told(&self, queue: &str) -> Option<(bool, bool, Stamp)> {
        let key = self.names.get(queue)?;
        let rules = self.rules(*key);
        Some(rules.map_or((false, false, Stamp(0)), |rules| {
            (rules.is_paused_in, rules.is_paused_out, rules.purged_before)
        }))
    }

    /// True when this store knows that the message is finished.
    #[must_use]
    pub fn is_finished(&self, id: MessageId) -> bool {
        self.is_done(id)
    }

    /// Checks that the room agrees with itself; the text says what does not.
    pub fn audit(&self) -> Result<(), String> {
        let mut ready: BTreeMap<u32, usize> = BTreeMap::new();
        let mut loads: BTreeMap<u32, Load> = BTreeMap::new();
        let mut held: BTreeMap<u32, u32> = BTreeMap::new();
        let mut leased: BTreeMap<(u32, &str), usize> = BTreeMap::new();
        let (mut count, mut bytes) = (0, 0);
        for index in 0..self.slab.end() {
            let Some(slot) = self.slab.get(index) else {
                continue;
            };
            if slot.place == Place::Free {
                continue;
            }
            count += 1;
            bytes += slot.weight();
            *held.entry(slot.queue.0).or_default() += 1;
            self.audit_slot(index, slot)?;
            if self.counts(slot) {
                let load = loads.entry(slot.queue.0).or_default();
                load.messages += 1;
                load.bytes += slot.body.len() as u64;
            }
            if let Some(key) = slot.key().filter(|_| slot.place == Place::Leased) {
                *leased.entry((slot.queue.0, key)).or_default() += 1;
            }
            if slot.place == Place::Ready {
                *ready.entry(slot.queue.0).or_default() += 1;
            }
        }
        if count != self.slab.len() || bytes + self.aside_bytes() != self.memory.used() {
            return Err(format!(
                "{count} messages of {bytes} bytes, counted otherwise"
            ));
        }
        for (queue, shelf) in self.shelves.iter().enumerate() {
            let expected = held.get(&(queue as u32)).copied().unwrap_or(0);
            if shelf.held != expected {
                return Err(format!("{} counts {} held", shelf.name, shelf.held));
            }
        }
        self.hedges.audit()?;
        self.audit_loads(&loads)?;
        self.audit_keys(leased)?;
        self.audit_shelves(&ready)
    }

    fn audit_slot(&self, index: u32, slot: &Slot) -> Result<(), String> {
        if self.index.get(slot.id) != Some(index) {
            return Err(format!("{} is not in the index", slot.id));
        }
        if self.is_done(slot.id) {
            return Err(format!("{} is held and done", slot.id));
        }
        let expires = slot.terms.as_ref().is_some_and(|terms| terms.expires != 0);
        let is_timed = match slot.place {
            Place::Leased | Place::Delayed => true,
            Place::Ready | Place::Standby => expires,
            // Between two tries.
            Place::Dying => self.wheel.at(index).is_some(),
            _ => false,
        };
        if is_timed != self.wheel.at(index).is_some() {
            return Err(format!(
                "{} is {:?} with a wrong deadline",
                slot.id, slot.place
            ));
        }
        let is_owned = slot.own.store == self.me.store;
        if !is_owned && !matches!(slot.place, Place::Standby | Place::Moving) {
            return Err(format!(
                "{} is {:?} here but owned elsewhere",
                slot.id, slot.place
            ));
        }
        if is_owned && slot.place == Place::Standby {
            return Err(format!("{} is owned here but stands by", slot.id));
        }
        if !slot.holders.contains(&self.me) {
            return Err(format!("{} is held by one who is no holder", slot.id));
        }
        Ok(())
    }

    fn audit_loads(&self, loads: &BTreeMap<u32, Load>) -> Result<(), String> {
        for (queue, shelf) in self.shelves.iter().enumerate() {
            let expected = loads.get(&(queue as u32)).copied().unwrap_or_default();
            if shelf.load != expected {
                return Err(format!(
                    "{} counts {:?} owned, has {expected:?}",
                    shelf.name, shelf.load
                ));
            }
        }
        Ok(())
    }

    /// Of one key no more are on lease at a time than may be.
    fn audit_keys(&self, leased: BTreeMap<(u32, &str), usize>) -> Result<(), String> {
        for ((queue, key), count) in leased {
            let shelf = self.shelves.get(queue as usize);
            let lines = shelf.and_then(|shelf| shelf.ready.lines());
            let most = lines.map_or(1, |lines| lines.peak(key));
            if count > most {
                return Err(format!("{count} of key {key} are on lease, {most} may be"));
            }
        }
        Ok(())
    }

    fn audit_shelves(&self, ready: &BTreeMap<u32, usize>) -> Result<(), String> {
        for (queue, shelf) in self.shelves.iter().enumerate() {
            let expected = ready.get(&(queue as u32)).copied().unwrap_or(0);
            let counted = shelf.ready.count() + shelf.ready.behind();
            if counted != expected {
                return Err(format!(
                    "{} counts {counted} ready, has {expected}",
                    shelf.name
                ));
            }
            if let Some(Err(what)) = shelf.ready.lines().map(super::lines::Lines::audit) {
                return Err(format!("{}: {what}", shelf.name));
            }
            let under_way = self
                .asked
                .values()
                .filter(|asked| asked.queue.0 as usize == queue);
            let asking: u32 = shelf.asking.values().sum();
            if under_way.count() != asking as usize {
                return Err(format!("{} counts its demands wrongly", shelf.name));
            }
            let lost: Vec<_> = shelf
                .waiters
                .iter()
                .filter(|ticket| !self.waiters.contains_key(ticket))
                .collect();
            if !lost.is_empty() {
                return Err(format!("{} has waiters that nobody knows", shelf.name));
            }
        }
        for (id, session) in &self.sessions {
            if session.held.len() as u32 > session.credit {
                return Err(format!("session {} holds more than its credit", id.0));
            }
            let bytes: u64 = session.held.values().map(|held| held.bytes).sum();
            if bytes != session.held_bytes {
                return Err(format!("session {} counts its bytes wrongly", id.0));
            }
            if session.is_ended && session.held.is_empty() {
                return Err(format!("session {} ended and is still here", id.0));
            }
        }
        Ok(())
    }
}
