//! Groups: what is put into a queue that has named groups goes to each of them (protocol.md 4.4).
//!
//! A message in a group is a message of its own ([`Fan`]) on a shelf of its own, so the rest of the room
//! knows shelves and ids, and no groups. Here stands which groups there are, as the cluster's metadata
//! says, and what follows when that changes: a message of an owner that had not heard of a group goes
//! there, too, and what is held for a group that is gone is dropped.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use smallvec::SmallVec;

use super::canary::QueueCanary;
use super::joins::{Join, Joins};
use super::slot::Place;
use super::{Alarm, Out, Queues, limits};
use crate::base::{Birth, BootId, MessageId, Millis, Now, QueueKey, Result, Stamp, id};
use crate::copies::{Fan, Owed, is_derived};

/// Between a queue's name and a group's in the name of the group's shelf: in no name that a user gave.
pub(super) const SEPARATOR: char = '\u{1f}';
/// Pause before messages are looked at again that could not go to a group yet.
const AGAIN_MS: Millis = 200;
/// The same while as many as may be are on their way.
const FULL_MS: Millis = 10;
/// Groups that copies came for and that nobody here has heard of.
const DOUBTFUL_MAX: usize = 4_096;

/// A named group of a queue, as the cluster knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The writes that created it: several where members did at one time.
    pub births: Vec<Birth>,
    /// When it was created; it gets what was put into the queue from then on.
    pub created: Stamp,
    /// It gets what waited in the queue before, too.
    pub takes_backlog: bool,
}

/// One of a queue's groups, as an enqueue needs it.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) name: Arc<str>,
    pub(super) key: QueueKey,
    /// The group's ids of what is accepted here.
    pub(super) origin: BootId,
    pub(super) fan: Fan,
}

/// What a group's shelf belongs to.
#[derive(Debug, Clone)]
pub(super) struct GroupOf {
    pub(super) base: QueueKey,
    pub(super) births: Vec<Birth>,
}

/// From when on a group gets an owner's messages.
#[derive(Debug, Clone, Copy)]
struct Fill {
    since: Stamp,
    created: Stamp,
    /// Messages that another accepted go there, too, where they are owned here: the group was created in
    /// this member's life and asks for what waits. Else the one who accepted a message sees to it alone:
    /// an owner that came later does not know what was in the group already, and is over.
    takes_others: bool,
}

/// A pass through the messages held here, after groups came or went.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// Groups that are new here, by their shelves.
    fills: BTreeMap<QueueKey, Fill>,
    /// Groups that are gone.
    dead: BTreeSet<Birth>,
    /// Groups that copies are held for and that are not known here (yet).
    doubtful: BTreeSet<Birth>,
    /// The origins of all groups' ids of what is accepted here.
    own_origins: BTreeSet<BootId>,
    cursor: u32,
    pub(super) has_open: bool,
    pub(super) joins: Joins,
}

/// What one step found.
#[derive(Default)]
struct Found {
    dropped: Vec<MessageId>,
    joins: Vec<Join>,
    bytes: u64,
}

/// The name of a group's shelf.
fn full_name(queue: &str, group: &str) -> String {
    let mut separator = [0; 4];
    [queue, SEPARATOR.encode_utf8(&mut separator), group].concat()
}

/// A shelf's name in two: the queue and the group, "" for the queue's own.
pub(super) fn split(name: &str) -> (&str, &str) {
    name.split_once(SEPARATOR).unwrap_or((name, ""))
}

impl Queues {
    /// A named group's shelf; none when the cluster has no such group, as far as is known here.
    #[must_use]
    pub fn group(&self, queue: QueueKey, group: &str) -> Option<QueueKey> {
        let shelf = self.shelves.get(queue.0 as usize)?;
        let mut branches = shelf.branches.iter();
        branches
            .find(|branch| branch.name.as_ref() == group)
            .map(|branch| branch.key)
    }

    /// A queue's groups and what each of their messages is called that this member accepts under that
    /// sequence; for tests.
    #[must_use]
    pub fn fan_of(&self, queue: QueueKey, sequence: u64) -> Vec<(String, MessageId)> {
        let shelf = self.shelves.get(queue.0 as usize);
        let branches = shelf.into_iter().flat_map(|shelf| &shelf.branches);
        let named = branches.map(|branch| {
            let origin = branch.origin;
            (branch.name.as_ref().into(), MessageId { origin, sequence })
        });
        named.collect()
    }

    /// What the next message is called that this member accepts; for tests.
    #[must_use]
    pub fn next_id(&self) -> MessageId {
        MessageId {
            origin: self.settings.boot,
            sequence: self.next_sequence,
        }
    }

    /// The name of a queue. Empty for one that is not known.
    #[must_use]
    pub fn queue_name(&self, queue: QueueKey) -> Arc<str> {
        self.name(queue)
    }

    /// The stamp of the last message accepted or heard of here.
    #[must_use]
    pub fn last_stamp(&self) -> Stamp {
        self.clock.last()
    }

    /// The shelf of a queue or of its group, where there is one.
    pub(super) fn shelf_known(&self, queue: &str, group: &str) -> Option<QueueKey> {
        if group.is_empty() {
            return self.names.get(queue).copied();
        }
        self.names.get(full_name(queue, group).as_str()).copied()
    }

    /// The shelf of that name, which may be a group's. Errors: 101, 201.
    pub(super) fn shelf_named(&mut self, name: &str) -> Result<QueueKey> {
        if let Some(key) = self.names.get(name) {
            return Ok(*key);
        }
        match split(name) {
            (queue, "") => self.queue(queue),
            (queue, group) => {
                let base = self.queue(queue)?;
                self.shelf_of(base, group)
            }
        }
    }

    /// The shelf of a queue's group, made if it is new. Errors: 101, 201.
    pub(super) fn shelf_of(&mut self, base: QueueKey, group: &str) -> Result<QueueKey> {
        let name = full_name(&self.name(base), group);
        if let Some(key) = self.names.get(name.as_str()) {
            return Ok(*key);
        }
        id::check_name("group", group, limits::NAME_BYTES_MAX)?;
        let of = GroupOf {
            base,
            births: Vec::new(),
        };
        self.add_shelf(&name, Some(of))
    }

    /// The groups that a queue has from now on, as far as is known here: all of them.
    ///
    /// Messages held here that are owed to a new one go there, those of one that is gone are dropped,
    /// both in bounded steps.
    pub fn set_groups(&mut self, now: Now, queue: &str, groups: &[Group]) {
        // A queue that is known to nobody here needs no shelf for groups that it has not.
        if groups.is_empty() && !self.names.contains_key(queue) {
            return;
        }
        let Ok(base) = self.queue(queue) else { return };
        let before = self
            .shelf(base)
            .map(|shelf| core::mem::take(&mut shelf.branches));
        let before = before.unwrap_or_default();
        let mut branches = Vec::new();
        for group in groups.iter().take(limits::GROUPS_MAX) {
            let is_new = !before.iter().any(|known| *known.name == *group.name);
            branches.extend(self.branch(now, base, group, is_new));
        }
        for gone in before {
            if !branches.iter().any(|branch| branch.key == gone.key) {
                self.renew_births(gone.key, &[]);
            }
        }
        if let Some(shelf) = self.shelf(base) {
            shelf.branches = branches;
        }
        self.look_at_groups(now);
    }

    fn branch(&mut self, now: Now, base: QueueKey, group: &Group, is_new: bool) -> Option<Branch> {
        let birth = *group.births.iter().min()?;
        let key = self.shelf_of(base, &group.name).ok()?;
        self.renew_births(key, &group.births);
        if is_new {
            let created = group.created;
            // What is accepted from now on is younger.
            let _ = self.clock.hear(now, created);
            let since = if group.takes_backlog {
                Stamp(0)
            } else {
                created
            };
            let fill = Fill {
                since,
                created,
                takes_others: group.takes_backlog && created >= self.began,
            };
            self.groups.fills.insert(key, fill);
        }
        let fan = Fan {
            source: self.settings.boot,
            birth,
        };
        let origin = fan.origin();
        self.groups.own_origins.insert(origin);
        Some(Branch {
            name: group.name.as_str().into(),
            key,
            origin,
            fan,
        })
    }

    /// A group's creation as it is known now; what was created otherwise is gone.
    fn renew_births(&mut self, key: QueueKey, births: &[Birth]) {
        let of = self.shelf(key).and_then(|shelf| shelf.of.as_mut());
        let Some(of) = of else { return };
        let before = core::mem::replace(&mut of.births, births.to_vec());
        let gone = before.into_iter().filter(|birth| !births.contains(birth));
        self.groups.dead.extend(gone);
        for birth in births {
            self.groups.doubtful.remove(birth);
            self.groups.dead.remove(birth);
        }
    }

    /// The group of that birth is gone: what is held for it is dropped.
    pub fn birth_is_over(&mut self, now: Now, birth: Birth) {
        if self.groups.doubtful.remove(&birth) {
            self.groups.dead.insert(birth);
            self.look_at_groups(now);
        }
    }

    /// Whether groups still live that copies are held for and nobody here knows is asked again.
    pub(super) fn doubt_groups(&mut self) {
        let doubtful = self.groups.doubtful.iter().copied();
        self.out.extend(doubtful.map(Out::Birth));
    }

    /// Copies came for a group. False for one that cannot be kept for.
    pub(super) fn expect_birth(&mut self, key: QueueKey, birth: Birth) -> bool {
        let shelf = self.shelves.get(key.0 as usize);
        let of = shelf.and_then(|shelf| shelf.of.as_ref());
        if of.is_some_and(|of| of.births.contains(&birth)) || self.groups.doubtful.contains(&birth)
        {
            return true;
        }
        if self.groups.doubtful.len() >= DOUBTFUL_MAX {
            return false;
        }
        self.groups.doubtful.insert(birth);
        self.out.push(Out::Birth(birth));
        true
    }

    /// True while messages held here are still put into groups that came late.
    pub(super) fn is_filling(&self) -> bool {
        !self.groups.fills.is_empty() || self.groups.joins.is_open()
    }

    fn look_at_groups(&mut self, now: Now) {
        if !self.groups.fills.is_empty() || !self.groups.dead.is_empty() {
            self.groups.cursor = 0;
            self.alarms.set_earlier(Alarm::Groups, now.mono);
        }
    }

    /// One bounded step through the messages held here.
    pub(super) fn groups_step(&mut self, now: Now) {
        let cursor = self.groups.cursor;
        let step = limits::STEP_MESSAGES_MAX as u32;
        let end = self.slab.end().min(cursor.saturating_add(step));
        let (messages, bytes) = self.groups.joins.room();
        let mut found = Found::default();
        let mut next = cursor;
        while next < end && found.joins.len() < messages && found.bytes < bytes {
            self.look_at_slot(next, &mut found);
            next += 1;
        }
        for id in found.dropped {
            self.counters.dropped_with_group += 1;
            self.take_out(now, id);
            self.prints.insert(id.origin, id.sequence, id.sequence);
        }
        // Some of it has gone elsewhere: what is still to be put into groups would go there twice.
        if self.is_handing_over(now) {
            self.groups.fills.clear();
            found.joins.clear();
        }
        if self.planted.is(QueueCanary::AddedGroupLost) {
            found.joins.iter_mut().for_each(|join| join.keys.clear());
        }
        self.join_groups(now, found.joins);
        if next < self.slab.end() {
            self.groups.cursor = next;
            let is_full = next < end && self.groups.joins.is_open();
            let pause = if is_full { FULL_MS } else { 0 };
            return self.alarms.set_earlier(Alarm::Groups, now.mono + pause);
        }
        self.groups.cursor = 0;
        if core::mem::take(&mut self.groups.has_open) {
            return self.alarms.set_earlier(Alarm::Groups, now.mono + AGAIN_MS);
        }
        self.groups.fills.clear();
        self.groups.dead.clear();
    }

    fn look_at_slot(&mut self, index: u32, found: &mut Found) {
        let Some(slot) = self
            .slab
            .get(index)
            .filter(|slot| slot.place != Place::Free)
        else {
            return;
        };
        let fan = self.index.fan(slot.id.origin);
        if fan.is_some_and(|fan| self.groups.dead.contains(&fan.birth)) {
            return found.dropped.push(slot.id);
        }
        let terms = slot.terms.as_ref();
        let is_letter = terms.is_some_and(|terms| terms.is_dead_letter);
        if slot.own.store != self.me.store || is_letter {
            return;
        }
        let (base, source) = (self.base_of(slot.queue), self.source_of(slot.id));
        // What was accepted in an earlier life went to the groups of then, which are forgotten.
        // The id of a message with a dedup key says nothing of who accepted it.
        let is_minted_here = source.origin == self.settings.boot
            || slot.has_dedup() && source == slot.id && slot.own.epoch == 0;
        let is_accepted_here = is_minted_here && slot.stamp >= self.began;
        let mut keys = SmallVec::new();
        let mut moves = false;
        for (key, fill) in &self.groups.fills {
            let is_for = self.base_of(*key) == base && slot.queue != *key;
            if !is_for || slot.stamp < fill.since || !(is_accepted_here || fill.takes_others) {
                continue;
            }
            let is_there = self.is_into(*key, source);
            match slot.place {
                // Whether it is accepted is not known yet.
                Place::Replicating => self.groups.has_open |= !is_there,
                Place::Ready | Place::Delayed | Place::Leased if !is_there => keys.push(*key),
                _ => {}
            }
            // Its owner had not heard of the group: it was meant for groups alone.
            let is_waiting = matches!(slot.place, Place::Ready | Place::Delayed);
            moves |=
                is_waiting && is_accepted_here && slot.queue == base && slot.stamp >= fill.created;
        }
        if moves || !keys.is_empty() {
            let weight = slot.weight();
            found.bytes += weight;
            found.joins.push(Join {
                id: slot.id,
                source,
                keys,
                moves,
                weight,
                wanted: self.copies_to_join(slot),
            });
        }
    }

    /// The queue that a shelf belongs to: itself, or a group's.
    pub(super) fn base_of(&self, queue: QueueKey) -> QueueKey {
        let shelf = self.shelves.get(queue.0 as usize);
        let of = shelf.and_then(|shelf| shelf.of.as_ref());
        of.map_or(queue, |of| of.base)
    }

    /// A message's own identity, whatever group it is in.
    pub(super) fn source_of(&self, id: MessageId) -> MessageId {
        if !is_derived(id) {
            return id;
        }
        let origin = self
            .index
            .fan(id.origin)
            .map_or(id.origin, |fan| fan.source);
        MessageId { origin, ..id }
    }

    /// The groups that a copy is owed to, as they travel; none for the queue itself.
    pub(super) fn owed(&self, id: MessageId, queue: QueueKey) -> Option<Owed> {
        let fan = is_derived(id).then(|| self.index.fan(id.origin))??;
        let name = self.shelves.get(queue.0 as usize)?.name.as_ref();
        Some(Owed::live(split(name).1, fan.birth))
    }

    /// True for ids that only this boot gives out.
    pub(super) fn is_own_origin(&self, origin: BootId) -> bool {
        origin == self.settings.boot || self.groups.own_origins.contains(&origin)
    }

    /// On which shelves copies are kept, and under which ids; none where that is not possible.
    pub(super) fn fans(
        &mut self,
        origin: BootId,
        (queue, owed): (&str, &[Owed]),
    ) -> Option<Vec<(QueueKey, Option<Fan>)>> {
        let base = self.queue(queue).ok()?;
        if owed.is_empty() {
            return Some(Vec::from([(base, None)]));
        }
        let mut fans = Vec::with_capacity(owed.len());
        for owed in owed {
            if !owed.is_known() {
                return None;
            }
            let key = self.shelf_of(base, &owed.group).ok()?;
            let birth = owed.birth();
            if !self.expect_birth(key, birth) {
                return None;
            }
            fans.push((
                key,
                Some(Fan {
                    source: origin,
                    birth,
                }),
            ));
        }
        Some(fans)
    }

    /// Notes the group of a message that is held now.
    pub(super) fn keep_fan(&mut self, queue: QueueKey, id: MessageId, fan: Option<Fan>) {
        if let Some(fan) = fan {
            self.index.note_fan(id.origin, fan);
            self.expect_birth(queue, fan.birth);
        }
    }

    /// No groups any more, and nothing that belongs to any: the room begins anew.
    pub(super) fn forget_groups(&mut self) {
        self.groups = Pass::default();
        self.alarms.clear(&Alarm::Groups);
        self.alarms.clear(&Alarm::Joins);
        for shelf in &mut self.shelves {
            shelf.branches.clear();
            if let Some(of) = &mut shelf.of {
                of.births.clear();
            }
        }
    }
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
