//! Copies are made again until there are as many as were asked for (protocol.md 4.6, Q14): where a
//! holder was lost, stayed away for long, lacks what it was taken to have, or was never found.
//!
//! The owner alone repairs, in bounded steps that send a bounded number of bytes a second, so that
//! a crash with millions of messages is no storm.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::slot::{Place, Slot};
use super::{Alarm, Queues, limits};
use crate::base::{Instant, MemberId, Millis, Now};
use crate::copies::{Holder, Holders, ReplNo};

/// Pause between two steps that sent something.
const STEP_MS: Millis = 100;
/// Bytes that one step sends: 32 MiB a second.
const STEP_BYTES: u64 = (32 << 20) / 10;
/// Copies that nobody confirmed are sent again after this.
const AGAIN_MS: Millis = 5_000;
/// A takeover, or a new member, is given time to speak first.
pub(super) const SETTLE_DOWN_MS: Millis = 1_000;

/// Where a pass through the messages held here stands.
#[derive(Debug, Default)]
pub(super) struct Pass {
    cursor: u32,
    has_sent: bool,
    /// Some message is short, whether or not a member can be found for it.
    has_short: bool,
}

/// Lists of holders that grew alike, so that neighbours go on sharing one.
#[derive(Default)]
struct Grown(Vec<(Holders, Holder, Holders)>);

impl Grown {
    fn with(&mut self, holders: &Holders, more: Holder) -> Holders {
        let known = self.0.iter().rev().take(8);
        let known = known
            .into_iter()
            .find(|(old, added, _)| *added == more && alloc::sync::Arc::ptr_eq(old, holders));
        if let Some((_, _, grown)) = known {
            return grown.clone();
        }
        let grown = crate::copies::with(holders, &[more]);
        self.0.push((holders.clone(), more, grown.clone()));
        grown
    }
}

impl Queues {
    /// Has the messages owned here looked at by `at`.
    pub(super) fn plan_repair(&mut self, at: Instant) {
        self.alarms.set_earlier(Alarm::Repair, at);
    }

    /// True for one whose copies are this store's to make, and fewer than were asked for.
    pub(super) fn is_short(&self, slot: &Slot) -> bool {
        let is_settled = matches!(slot.place, Place::Ready | Place::Delayed | Place::Leased);
        is_settled
            && slot.own.store == self.me.store
            && self.living_copies(slot) < u32::from(slot.wanted)
    }

    /// Confirmed copies at stores that are there, or have not been away for long.
    pub(super) fn living_copies(&self, slot: &Slot) -> u32 {
        let places = slot.holders.iter().enumerate();
        let living = places.filter(|(place, holder)| {
            slot.confirmed & (1 << place) != 0 && self.is_living(**holder)
        });
        living.count() as u32
    }

    fn is_living(&self, holder: Holder) -> bool {
        if holder.member == self.me.member || self.is_lost(holder) {
            return holder == self.me;
        }
        let peer = self.peers.get(&holder.member);
        peer.is_none_or(|peer| !peer.is_missed)
    }

    /// Notes who has been away for too long; answers when the next one will have been.
    fn miss_members(&mut self, now: Now) -> Instant {
        let patience = self.settings.repair_after;
        let mut next = Instant::NEVER;
        for peer in self.peers.values_mut() {
            let Some(since) = peer.unreachable_since else {
                continue;
            };
            let at = since + patience;
            peer.is_missed = at <= now.mono;
            if !peer.is_missed {
                next = next.min(at);
            }
        }
        next
    }

    /// One bounded step through the messages held here.
    pub(super) fn repair(&mut self, now: Now) {
        let next_missed = self.miss_members(now);
        if next_missed != Instant::NEVER {
            self.plan_repair(next_missed);
        }
        if self.placement.candidate_count() == 0 || self.is_leaving() {
            // Whoever comes is told of: then there is another pass.
            self.pass = Pass::default();
            self.has_short = true;
            return;
        }
        let cursor = self.pass.cursor;
        let end = self
            .slab
            .end()
            .min(cursor + limits::STEP_MESSAGES_MAX as u32);
        let mut sent: BTreeMap<Holder, Vec<u32>> = BTreeMap::new();
        let mut grown = Grown::default();
        let mut bytes = 0;
        let mut next = cursor;
        while next < end && bytes < STEP_BYTES {
            bytes += self.repair_one(next, &mut grown, &mut sent);
            next += 1;
        }
        for (target, indexes) in &sent {
            self.counters.repaired += indexes.len() as u64;
            self.send_slots(indexes, *target, None);
        }
        self.pass.has_sent |= !sent.is_empty();
        self.pass.cursor = next;
        if next < self.slab.end() {
            let pause = if sent.is_empty() { 0 } else { STEP_MS };
            return self.alarms.set_earlier(Alarm::Repair, now.mono + pause);
        }
        let pass = core::mem::take(&mut self.pass);
        self.has_short = pass.has_short;
        if pass.has_sent {
            self.plan_repair(now.mono + AGAIN_MS);
        }
    }

    /// How many messages are short although some member could take a copy; for the simulator (Q14).
    #[must_use]
    pub fn repairable(&self) -> usize {
        let slots = (0..self.slab.end()).filter_map(|index| self.slab.get(index));
        let short = slots.filter(|slot| self.is_short(slot));
        let open = short.filter(|slot| {
            let places = slot.holders.iter().enumerate();
            let mut doubtful = places.filter(|(place, holder)| {
                slot.confirmed & (1 << place) == 0 && self.takes_copies(**holder)
            });
            doubtful.next().is_some() || self.placement.has_another(&slot.holders)
        });
        open.count()
    }

    /// Gives a message that is short one more holder; answers the bytes that are to be sent.
    fn repair_one(
        &mut self,
        index: u32,
        grown: &mut Grown,
        sent: &mut BTreeMap<Holder, Vec<u32>>,
    ) -> u64 {
        let Some(slot) = self.slab.get(index).filter(|slot| self.is_short(slot)) else {
            return 0;
        };
        self.pass.has_short = true;
        let weight = slot.weight();
        let holders = slot.holders.clone();
        // One that should have it, and did not say so, before one that has never heard of it.
        let confirmed = slot.confirmed;
        let places = holders.iter().enumerate();
        let doubtful = places
            .filter(|(place, holder)| confirmed & (1 << place) == 0 && self.takes_copies(**holder))
            .map(|(_, holder)| *holder)
            .next();
        let Some(target) = doubtful.or_else(|| self.placement.another(&holders)) else {
            return 0;
        };
        let grown = grown.with(&holders, target);
        if !grown.contains(&target) {
            // The list is full: what cannot be counted is not sent.
            return 0;
        }
        if let Some(slot) = self.slab.get_mut(index) {
            slot.holders = grown;
            sent.entry(target).or_default().push(index);
        }
        weight
    }

    /// A holder does not have these, though it was taken to: they are short. Where it is their owner,
    /// they are this store's now.
    pub(super) fn on_lacks(&mut self, now: Now, from: MemberId, no: &ReplNo) {
        let holder = Holder {
            member: from,
            store: self.store_of(from),
        };
        let peer = self.peers.get(&from);
        let mut answers_for = peer.map(|peer| peer.kept.clone()).unwrap_or_default();
        answers_for.push(holder.store);
        let mut orphans = Vec::new();
        for id in no.ids.iter() {
            let Some(index) = self.index.get(id) else {
                continue;
            };
            let Some(slot) = self.slab.get_mut(index) else {
                continue;
            };
            slot.confirmed &= !Self::bit(&slot.holders, holder);
            if slot.place == Place::Standby && answers_for.contains(&slot.own.store) {
                // Its owner itself: a level of the takeover (protocol.md 4.6).
                orphans.push(index);
            }
        }
        let of_keys = orphans.iter().filter_map(|index| self.slab.get(*index));
        let has_dedup = of_keys.into_iter().any(Slot::has_dedup);
        self.take_over(now, &orphans);
        if has_dedup {
            self.tell_new_lives(now);
        }
        self.bring_home(now, from, &no.ids);
        self.plan_repair(now.mono + STEP_MS);
    }
}
