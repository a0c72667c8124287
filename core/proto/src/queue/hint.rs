//! What the holders of a message know of its leases, so that the one that takes it over does not begin
//! from nothing (protocol.md 4.4, 4.6).
//!
//! Two things are told, both by runs of ids and never one frame a message. Who has it and for how long:
//! a little after the delivery, and only where it is still out then, so that a fast handler costs nothing.
//! Whoever takes over waits for that consumer, as long as its process can be reached. And how often it was
//! given out: before each delivery that is not the very first, which waits until a holder has answered. A
//! message whose handler ends its own process, and with it the owner, is a dead letter in the end; it does
//! not go on from one member to the next for ever.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use bytes::{BufMut, BytesMut};

use super::message::Message;
use super::slot::{Lessee, Place, Slot};
use super::{Alarm, Queues, limits};
use crate::base::{
    BootId, Error, ErrorKind, Instant, MemberId, MessageId, Millis, Now, QueueKey, Result,
};
use crate::copies::{Holders, Own, read_own, write_own};
use crate::wire::{Ids, Put, Reader};

/// What the owner of these messages tells who holds copies of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHint {
    /// Under which ownership; the rank in it says nothing.
    pub own: Own,
    /// Which.
    pub ids: Ids,
    /// How often they were given out, or will have been in a moment.
    pub attempts: u32,
    /// How long their leases still last; 0 where they are not out.
    pub remaining_ms: Millis,
    /// Who has them.
    pub lessee: MemberId,
    /// In which life of its process.
    pub boot: BootId,
    /// They are given out once the answer is there.
    pub asks: bool,
}

/// "That is known here", to a hint that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HintOk {
    /// Which.
    pub ids: Ids,
    /// As in the hint.
    pub attempts: u32,
}

impl LeaseHint {
    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        write_own(self.own, out);
        out.put_varint(u64::from(self.attempts));
        out.put_varint(self.remaining_ms);
        out.put_u128_le(self.lessee.0);
        out.put_u64_le(self.boot.0);
        out.put_u8(u8::from(self.asks));
        self.ids.write(out);
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        Ok(Self {
            own: read_own(reader)?,
            attempts: reader.varint32()?,
            remaining_ms: reader.varint()?.min(limits::LEASE_MS_MAX),
            lessee: MemberId(reader.u128()?),
            boot: BootId(reader.u64()?),
            asks: match reader.u8()? {
                0 => false,
                1 => true,
                _ => return Err(Error::new(ErrorKind::Corrupt).because("no truth value")),
            },
            ids: Ids::read(reader, crate::copies::IDS_MAX)?,
        })
    }

    fn says_the_same(&self, other: &Self) -> bool {
        let said = |hint: &Self| {
            let owner = (hint.own.epoch, hint.own.store, hint.ids.origin);
            let lease = (hint.attempts, hint.remaining_ms, hint.lessee, hint.boot);
            (owner, lease)
        };
        said(self) == said(other)
    }
}

impl HintOk {
    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_varint(u64::from(self.attempts));
        self.ids.write(out);
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        Ok(Self {
            attempts: reader.varint32()?,
            ids: Ids::read(reader, crate::copies::IDS_MAX)?,
        })
    }
}

/// A lease that another owner gave.
#[derive(Debug, Clone, Copy)]
struct Out {
    until: Instant,
    member: MemberId,
    boot: BootId,
}

/// Leases to be told of, and those that others told of.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Slots given out since the last look, with the number of their lease.
    fresh: Vec<(u32, u32)>,
    /// Of copies held here, and of messages taken over that wait for their consumer.
    known: BTreeMap<MessageId, Out>,
}

impl Hints {
    /// That message is out no more, as far as it is known here.
    #[inline]
    pub(super) fn forget(&mut self, id: MessageId) {
        if !self.known.is_empty() {
            self.known.remove(&id);
        }
    }

    pub(super) fn clear(&mut self) {
        self.fresh.clear();
        self.known.clear();
    }
}

/// The number of the next delivery, as far as a slot remembers that it was announced.
fn next_attempt(slot: &Slot) -> u8 {
    u8::try_from(slot.attempts.saturating_add(1)).unwrap_or(u8::MAX)
}

impl Queues {
    /// A lease began or was extended: holders hear of it, should it last.
    #[inline]
    pub(super) fn note_lease(&mut self, now: Now, index: u32) {
        let Some(slot) = self.slab.get(index) else {
            return;
        };
        if slot.is_alone() {
            return;
        }
        if self.hints.fresh.len() >= limits::STEP_MESSAGES_MAX {
            self.counters.lease_hints_skipped += 1;
            return;
        }
        if self.hints.fresh.is_empty() {
            self.alarms
                .set_earlier(Alarm::Hint, now.mono + limits::LEASE_HINT_MS);
        }
        self.hints.fresh.push((index, slot.lease));
    }

    /// Tells of the leases that began a little while ago and last still.
    pub(super) fn hint_step(&mut self, now: Now) {
        let mut fresh = core::mem::take(&mut self.hints.fresh);
        let lasting = fresh.drain(..).filter_map(|(index, lease)| {
            let slot = self.slab.get(index)?;
            let is_same = slot.place == Place::Leased && slot.lease == lease;
            is_same.then_some((slot.id, index))
        });
        let mut lasting: Vec<(MessageId, u32)> = lasting.collect();
        self.hints.fresh = fresh;
        lasting.sort_unstable();
        let mut told: Vec<(LeaseHint, Holders)> = Vec::new();
        for (_, index) in lasting {
            if let Some(slot) = self.slab.get(index)
                && let Some((lessee, boot)) = self.lessee_of(slot)
            {
                let ends = self.wheel.at(index).unwrap_or(now.mono);
                // Rounded, so that what was given out together is told together.
                let parts = ends.since(now.mono) / limits::LEASE_HINT_MS + 1;
                let hint = LeaseHint {
                    own: slot.own,
                    ids: Ids::one(slot.id),
                    attempts: slot.attempts,
                    remaining_ms: parts * limits::LEASE_HINT_MS,
                    lessee,
                    boot,
                    asks: false,
                };
                add(&mut told, hint, &slot.holders);
            }
        }
        self.send_hints(told);
    }

    fn lessee_of(&self, slot: &Slot) -> Option<(MemberId, BootId)> {
        match slot.lessee {
            Lessee::Nobody => None,
            Lessee::Here(_) => Some((self.me.member, self.settings.boot)),
            Lessee::There(member) => {
                let boot = self.peers.get(&member)?.boot;
                // Which life of it got the message stands in the slot, in short.
                (boot.0 as u32 == slot.batch).then_some((member, boot))
            }
        }
    }

    fn send_hints(&mut self, told: Vec<(LeaseHint, Holders)>) {
        for (hint, holders) in told {
            for holder in holders.iter() {
                if *holder != self.me && self.is_linked(*holder) {
                    self.counters.lease_hints += hint.ids.count();
                    self.send(holder.member, Message::LeaseHint(hint.clone()));
                }
            }
        }
    }

    /// Puts a message aside whose next delivery a holder has to know of before; false for one that may be
    /// given out now. That is so for any delivery but the first of a message that nobody else ever owned.
    #[inline]
    pub(super) fn waits_for_hearer(&mut self, index: u32) -> bool {
        let Some(slot) = self.slab.get(index) else {
            return false;
        };
        let is_first = slot.attempts == 0 && slot.own.epoch == 0;
        if is_first || slot.is_alone() || slot.announced == next_attempt(slot) {
            return false;
        }
        let waits = self.has_hearer(&slot.holders);
        if waits && let Some(slot) = self.slab.get_mut(index) {
            slot.place = Place::Delayed;
        }
        waits
    }

    fn has_hearer(&self, holders: &Holders) -> bool {
        let mut others = holders.iter().filter(|holder| **holder != self.me);
        others.any(|holder| self.is_linked(*holder))
    }

    /// Tells holders that these, which were put aside, are about to be given out again, and waits a moment
    /// for an answer.
    pub(super) fn announce(&mut self, now: Now, queue: QueueKey, indexes: &[u32]) {
        let mut told: Vec<(LeaseHint, Holders)> = Vec::new();
        for index in indexes {
            let Some(slot) = self.slab.get_mut(*index) else {
                continue;
            };
            slot.announced = next_attempt(slot);
            let due = (now.mono + limits::ANNOUNCE_MS).min(slot.expiry(now));
            self.wheel.set(*index, due);
            let hint = LeaseHint {
                own: slot.own,
                ids: Ids::one(slot.id),
                attempts: slot.attempts.saturating_add(1),
                remaining_ms: 0,
                lessee: MemberId::default(),
                boot: BootId::default(),
                asks: true,
            };
            add(&mut told, hint, &slot.holders);
        }
        self.counters.announced += indexes.len() as u64;
        self.send_hints(told);
        self.note_stock(queue);
    }

    /// An owner tells of its leases.
    pub(super) fn on_lease_hint(&mut self, now: Now, from: MemberId, hint: &LeaseHint) {
        let mut heard = Ids::none(hint.ids.origin);
        for id in hint.ids.iter() {
            let slot = self
                .index
                .get(id)
                .and_then(|index| self.slab.get_mut(index));
            let Some(slot) = slot else {
                continue;
            };
            let is_its = (slot.own.epoch, slot.own.store) == (hint.own.epoch, hint.own.store);
            if !is_its || slot.place != Place::Standby {
                continue;
            }
            slot.attempts = slot.attempts.max(hint.attempts);
            heard.push(id.sequence, id.sequence);
            self.hints.forget(id);
            if hint.remaining_ms > 0 && self.hints.known.len() < limits::LEASE_HINTS_MAX {
                let out = Out {
                    until: now.mono + hint.remaining_ms,
                    member: hint.lessee,
                    boot: hint.boot,
                };
                self.hints.known.insert(id, out);
            }
        }
        if hint.asks && !heard.is_empty() {
            let attempts = hint.attempts;
            let ids = heard;
            self.send(from, Message::HintOk(HintOk { ids, attempts }));
        }
    }

    /// A holder knows of the next delivery: it may begin.
    pub(super) fn on_hint_ok(&mut self, now: Now, ok: &HintOk) {
        let mut queues = BTreeSet::new();
        for id in ok.ids.iter() {
            let Some(index) = self.index.get(id) else {
                continue;
            };
            let waits = self.slab.get(index).is_some_and(|slot| {
                slot.place == Place::Delayed
                    && slot.own.store == self.me.store
                    && slot.attempts.checked_add(1) == Some(ok.attempts)
                    && slot.announced == next_attempt(slot)
            });
            if waits {
                queues.extend(self.make_ready(now, index));
            }
        }
        for queue in queues {
            self.serve(now, queue);
        }
    }

    /// A message that was taken over just now: until when its consumer has it, if that one is there.
    pub(super) fn out_until(&mut self, now: Now, id: MessageId) -> Option<Instant> {
        let out = self.hints.known.get(&id).copied()?;
        if out.until > now.mono && self.is_there(out.member, out.boot) {
            return Some(out.until);
        }
        self.hints.forget(id);
        None
    }

    fn is_there(&self, member: MemberId, boot: BootId) -> bool {
        if member == self.me.member {
            return boot == self.settings.boot;
        }
        let peer = self.peers.get(&member);
        peer.is_some_and(|peer| peer.unreachable_since.is_none() && peer.boot == boot)
    }

    /// A member cannot be reached, or shows another life: what its consumers had is given to others.
    pub(super) fn free_hinted(&mut self, now: Now, member: MemberId) {
        let known = self.hints.known.iter();
        let of_it = known.filter(|(_, out)| out.member == member);
        let lost = of_it.filter(|(_, out)| !self.is_there(member, out.boot));
        let lost: Vec<MessageId> = lost.map(|(id, _)| *id).collect();
        let mut queues = BTreeSet::new();
        for id in lost {
            self.hints.forget(id);
            let Some(index) = self.index.get(id) else {
                continue;
            };
            let waits = self.slab.get(index).is_some_and(|slot| {
                slot.place == Place::Delayed && slot.own.store == self.me.store
            });
            if waits {
                queues.extend(self.make_ready(now, index));
            }
        }
        for queue in queues {
            self.serve(now, queue);
        }
    }
}

/// Adds an id to the hint that says the same, or begins one.
fn add(told: &mut Vec<(LeaseHint, Holders)>, hint: LeaseHint, holders: &Holders) {
    let last = told
        .last_mut()
        .filter(|(last, to)| last.says_the_same(&hint) && *to == *holders);
    match last {
        Some((last, _)) => {
            let ids = hint.ids.iter();
            ids.for_each(|id| last.ids.push(id.sequence, id.sequence));
        }
        None => told.push((hint, holders.clone())),
    }
}

#[cfg(test)]
#[path = "hint_tests.rs"]
mod tests;
