//! Messages go into groups that came late (protocol.md 4.4).
//!
//! What was accepted before its member knew of a group is put there as an enqueue is: it is given out in the
//! group when its copies are confirmed, as many as were asked for, or as many as can be had. What waits in
//! the queue itself no more is kept from consumers meanwhile, and ends when each of its groups has it in as
//! many stores as it is in itself: until then whoever loses this member takes over the message that it was.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound;
use smallvec::SmallVec;

use super::caller::Caller;
use super::canary::QueueCanary;
use super::delivery::OnShort;
use super::enqueue::Admitted;
use super::message::Ending;
use super::repair::SETTLE_DOWN_MS;
use super::slot::{Lessee, Place, Slot};
use super::span::Span;
use super::{Alarm, Queues, limits};
use crate::base::{BootId, MessageId, Millis, Now, QueueKey};
use crate::copies::{Fan, Holders};
use crate::wire::Ids;

/// Pause between two looks for messages that end here as soon as their groups have enough copies.
const AGAIN_MS: Millis = 500;
/// The longest pause where none of them may end.
const PATIENT_MS: Millis = 10_000;

/// A message that goes into groups.
#[derive(Debug)]
pub(super) struct Join {
    /// What it is called where it is held.
    pub(super) id: MessageId,
    /// Its own identity, whatever group it is in.
    pub(super) source: MessageId,
    /// Groups that have not got it.
    pub(super) keys: SmallVec<[QueueKey; 2]>,
    /// It was meant for groups alone: it waits where it is no more.
    pub(super) moves: bool,
    /// What it weighs, and how many copies it is to have in each.
    pub(super) weight: u64,
    pub(super) wanted: u8,
}

/// Messages on their way into groups.
#[derive(Debug, Default)]
pub(super) struct Joins {
    /// How many copies are not confirmed yet, and their bytes, by batch.
    open: BTreeMap<u32, (usize, u64)>,
    /// Messages that are kept from consumers and end when their groups have them.
    parting: BTreeSet<MessageId>,
    /// Where the look for those that may end stands, how many there were when it began, and how long after it
    /// the next one begins: longer where nothing ended.
    cursor: Option<MessageId>,
    began_with: usize,
    pause: Millis,
}

impl Joins {
    /// How many more may be put on their way, and how many bytes of them.
    pub(super) fn room(&self) -> (usize, u64) {
        let bytes: u64 = self.open.values().map(|(_, bytes)| bytes).sum();
        (
            limits::REDRIVE_OPEN_MAX.saturating_sub(self.under_way()),
            limits::REDRIVE_BYTES_MAX.saturating_sub(bytes),
        )
    }

    /// How many have copies on their way.
    pub(super) fn under_way(&self) -> usize {
        self.open.values().map(|(messages, _)| messages).sum()
    }

    /// True while copies are on their way.
    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// A batch is over.
    pub(super) fn closed(&mut self, batch: u32) {
        self.open.remove(&batch);
    }
}

/// A group as neighbours of one origin go into it.
struct Way {
    key: QueueKey,
    fan: Fan,
}

impl Queues {
    /// What a message of that origin is called in a group: once for each write that created it.
    fn fans_into(&self, key: QueueKey, source: BootId) -> impl Iterator<Item = Fan> {
        let shelf = self.shelves.get(key.0 as usize);
        let of = shelf.and_then(|shelf| shelf.of.as_ref());
        let births = of.into_iter().flat_map(|of| &of.births);
        births.map(move |birth| Fan {
            source,
            birth: *birth,
        })
    }

    /// A message's ids in a group.
    fn ids_into(&self, key: QueueKey, source: MessageId) -> impl Iterator<Item = MessageId> {
        let fans = self.fans_into(key, source.origin);
        fans.map(move |fan| MessageId {
            origin: fan.origin(),
            ..source
        })
    }

    /// True where a group has a message, or had it.
    pub(super) fn is_into(&self, key: QueueKey, source: MessageId) -> bool {
        let mut ids = self.ids_into(key, source);
        ids.any(|id| self.index.get(id).is_some() || self.is_done(id))
    }

    /// Puts messages into groups, neighbours together.
    pub(super) fn join_groups(&mut self, now: Now, mut joins: Vec<Join>) {
        // The message itself before what it is in a group: it may be looked at as either.
        joins.sort_by_key(|join| (join.source, join.id != join.source));
        joins.dedup_by(|twin, join| {
            let is_same = twin.source == join.source;
            if is_same {
                let more = twin.keys.iter().filter(|key| !join.keys.contains(key));
                let more: Vec<QueueKey> = more.copied().collect();
                join.keys.extend(more);
            }
            is_same
        });
        let mut rest = joins.as_slice();
        while let Some(first) = rest.first() {
            let alike = rest.iter().zip(first.source.sequence..);
            let alike = alike.take_while(|(join, sequence)| {
                join.source.origin == first.source.origin
                    && join.source.sequence == *sequence
                    && (&join.keys, join.moves, join.wanted)
                        == (&first.keys, first.moves, first.wanted)
            });
            let (run, more) = rest.split_at(alike.count().max(1));
            self.join_run(now, run);
            rest = more;
        }
    }

    /// Puts neighbours into the same groups; what there is no room for is looked at again.
    fn join_run(&mut self, now: Now, run: &[Join]) {
        let Some(first) = run.first() else { return };
        let ways = first.keys.iter().filter_map(|key| {
            let fan = self.fans_into(*key, first.source.origin);
            let fan = fan.min_by_key(|fan| fan.birth)?;
            Some(Way { key: *key, fan })
        });
        let ways: SmallVec<[Way; 2]> = ways.collect();
        let fits = self.count_fitting(run, ways.len());
        if fits < run.len() {
            self.groups.has_open = true;
        }
        let run = run.get(..fits).unwrap_or_default();
        if run.is_empty() {
            return;
        }
        if ways.is_empty() {
            return self.withdraw_all(now, run);
        }
        let wanted = u16::from(first.wanted.max(1));
        let holders = match wanted {
            1 => self.alone.clone(),
            _ => self.placement.pick(now.mono, wanted),
        };
        let is_here = holders.len() == 1;
        let batch = if is_here { 0 } else { self.next_batch() };
        for join in run {
            for way in &ways {
                self.join_one(now, join, way, (&holders, batch));
            }
        }
        self.counters.joined_groups += (run.len() * ways.len()) as u64;
        if is_here {
            if wanted > 1 {
                self.plan_repair(now.mono + SETTLE_DOWN_MS);
            }
            self.withdraw_all(now, run);
            return ways.iter().for_each(|way| self.serve(now, way.key));
        }
        self.open_joins(now, run, &ways, (holders, batch));
        self.withdraw_all(now, run);
    }

    /// How many of them there is memory for, from the first on.
    fn count_fitting(&self, run: &[Join], ways: usize) -> usize {
        let mut bytes: u64 = 0;
        let fitting = run.iter().take_while(|join| {
            bytes = bytes.saturating_add(join.weight.saturating_mul(ways as u64));
            let fits = match join.moves {
                // It takes the place of what is held already.
                true => self.check_reserve(bytes),
                false => self.check_memory(bytes),
            };
            fits.is_ok()
        });
        fitting.count()
    }

    fn join_one(&mut self, now: Now, join: &Join, way: &Way, (holders, batch): (&Holders, u32)) {
        let Some(slot) = self.slot(join.id) else {
            return;
        };
        let id = MessageId {
            origin: way.fan.origin(),
            ..join.source
        };
        let is_here = holders.len() == 1;
        let slot = Slot {
            id,
            stamp: slot.stamp,
            body: slot.body.clone(),
            headers: slot.headers.clone(),
            terms: slot.terms.clone(),
            holders: holders.clone(),
            confirmed: 1,
            own: self.alone_own(id),
            lessee: Lessee::Nobody,
            queue: way.key,
            batch,
            attempts: 0,
            lease: 0,
            wanted: join.wanted,
            announced: 0,
            place: if is_here {
                Place::Delayed
            } else {
                Place::Replicating
            },
        };
        let index = self.keep(slot);
        self.index.note_fan(id.origin, way.fan);
        if is_here {
            self.make_ready(now, index);
        }
    }

    fn open_joins(
        &mut self,
        now: Now,
        run: &[Join],
        ways: &[Way],
        (holders, batch): (Holders, u32),
    ) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            return;
        };
        let mut span = Span::plain(
            first.source.origin,
            first.source.sequence,
            last.source.sequence,
        );
        span.origins = ways.iter().map(|way| way.fan.origin()).collect();
        let queues = ways.iter().map(|way| way.key).collect();
        let admitted = Admitted {
            wanted: u16::from(first.wanted),
            needed: holders.len() as u16,
            on_short: OnShort::Degrade,
            holders,
            terms: None,
            deadline: now.mono + self.settings.enqueue_timeout,
        };
        let bytes = run.iter().map(|join| join.weight).sum();
        self.groups.joins.open.insert(batch, (run.len(), bytes));
        self.open_batch(now, batch, Caller::Groups, (span, queues), &admitted);
    }

    /// Messages that were meant for groups alone are given to nobody else.
    fn withdraw_all(&mut self, now: Now, run: &[Join]) {
        for join in run.iter().filter(|join| join.moves) {
            self.withdraw(now, join.id);
            self.part(now, join.id);
        }
        self.plan_partings(now);
    }

    fn withdraw(&mut self, now: Now, id: MessageId) {
        let Some(index) = self.index.get(id) else {
            return;
        };
        let Some(slot) = self.slab.get(index) else {
            return;
        };
        if self.planted.is(QueueCanary::LateGroupEndsAtOnce) {
            return self.end_all(now, &Ids::one(id), Ending::Acked);
        }
        // Another one's lease began, or another owner has it, since it was looked at.
        if !matches!(slot.place, Place::Ready | Place::Delayed) {
            return;
        }
        let (queue, bytes) = (slot.queue, slot.body.len());
        self.unlist(now, index);
        if let Some(slot) = self.slab.get_mut(index) {
            slot.place = Place::Dying;
        }
        self.discount_one(queue, bytes);
        self.groups.joins.parting.insert(id);
    }

    /// True for one that ends here as soon as its groups have it.
    pub(super) fn is_parting(&self, id: MessageId) -> bool {
        self.groups.joins.parting.contains(&id)
    }

    /// The copies of these in their groups are confirmed, as many as could be had.
    pub(super) fn joined(&mut self, now: Now, span: &Span) {
        for id in span.sources() {
            self.part(now, id);
        }
        self.plan_partings(now);
    }

    /// Ends a message that waits for its groups, if these have it in as many stores as it is in.
    fn part(&mut self, now: Now, id: MessageId) {
        if !self.is_parting(id) {
            return;
        }
        let is_over = match self.slot(id) {
            Some(slot) => self.is_safe_in_groups(slot),
            None => true,
        };
        if is_over {
            self.groups.joins.parting.remove(&id);
            self.end_all(now, &Ids::one(id), Ending::Acked);
        }
    }

    fn is_safe_in_groups(&self, slot: &Slot) -> bool {
        let stores = self.stores_not_lost(&slot.holders, u128::MAX);
        let shelf = self.shelves.get(self.base_of(slot.queue).0 as usize);
        let keys = shelf.into_iter().flat_map(|shelf| &shelf.branches);
        let ids = keys.flat_map(|branch| self.ids_into(branch.key, slot.id));
        // Where it is not, or not any more, it is over, or has gone where another sees to it.
        let mut copies = ids.filter_map(|id| self.slot(id));
        copies.all(|copy| {
            let needed = stores.min(usize::from(copy.wanted)).max(1);
            // Of what another has taken over: who has said so here, and that one. Others may lack it yet.
            let mut holders = copy.holders.iter();
            let owner = holders.position(|holder| holder.store == copy.own.store);
            let known = copy.confirmed | owner.map_or(0, |place| 1 << place);
            copy.place != Place::Replicating && self.stores_not_lost(&copy.holders, known) >= needed
        })
    }

    /// How many copies a message is to have in a group that it goes into: as many as were asked for, or as
    /// it has, if these are more.
    pub(super) fn copies_to_join(&self, slot: &Slot) -> u8 {
        let has = self.stores_not_lost(&slot.holders, slot.confirmed);
        slot.wanted
            .max(has.min(usize::from(limits::COPIES_MAX)) as u8)
    }

    /// How many of these stores are not lost for good, of those with that bit.
    fn stores_not_lost(&self, holders: &Holders, bits: u128) -> usize {
        let places = holders.iter().enumerate();
        let living =
            places.filter(|(place, holder)| bits & (1 << place) != 0 && !self.is_lost(**holder));
        living.count()
    }

    /// Something came, or may have as many copies in its groups as it needs.
    pub(super) fn plan_partings(&mut self, now: Now) {
        self.groups.joins.pause = AGAIN_MS;
        if !self.groups.joins.parting.is_empty() {
            self.alarms.set_earlier(Alarm::Joins, now.mono + AGAIN_MS);
        }
    }

    /// One bounded step through what ends as soon as its groups have enough copies.
    pub(super) fn partings_step(&mut self, now: Now) {
        let joins = &mut self.groups.joins;
        if joins.cursor.is_none() {
            joins.began_with = joins.parting.len();
        }
        let from = joins.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let step = joins.parting.range((from, Bound::Unbounded));
        let step: Vec<MessageId> = step.take(limits::STEP_MESSAGES_MAX).copied().collect();
        self.groups.joins.cursor = step.last().copied();
        for id in &step {
            self.part(now, *id);
        }
        if step.len() == limits::STEP_MESSAGES_MAX {
            return self.alarms.set_earlier(Alarm::Joins, now.mono);
        }
        let joins = &mut self.groups.joins;
        joins.cursor = None;
        // A store may be away for long: then all of them stay as they are.
        joins.pause = match joins.parting.len() < joins.began_with {
            true => AGAIN_MS,
            false => (joins.pause * 2).clamp(AGAIN_MS, PATIENT_MS),
        };
        if !joins.parting.is_empty() {
            let next = now.mono + joins.pause;
            self.alarms.set_earlier(Alarm::Joins, next);
        }
    }
}

#[cfg(test)]
#[path = "joins_tests.rs"]
mod tests;
