//! What is remembered of messages with dedup keys, for two of their windows: by every store that held one, and
//! by the key's home, which those tell that they finished it (protocol.md 4.6).
//!
//! A message that lives is known by its copy. A record says what becomes of that: it is finished, whatever else
//! of it is forgotten. A record of one that was held and is not here any more, and was not finished here, says
//! nothing: it may have gone elsewhere.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::canary::QueueCanary;
use super::message::{Ending, Message};
use super::recall::{Memento, Remember};
use super::slot::Slot;
use super::{Alarm, Queues, limits};
use crate::base::{Instant, MemberId, MessageId, Millis, Now, QueueKey};
use crate::copies::{Dedup, Holder, Terms, home_rank};

/// Between two frames of what is remembered, so that a member that comes back is not flooded.
const TELL_MS: Millis = 20;
/// A link may have lost what was said so long before its end was seen: it is said again.
const LOST_MS: Millis = 60_000;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It was held here.
    Held,
    /// One of the groups that it was for has finished it.
    Given,
    /// It is finished.
    Over,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    home: u64,
    /// When its window ends, and how long that is.
    until: u64,
    window: Millis,
    fate: Fate,
    /// Since when.
    since: Instant,
}

impl Record {
    /// By the wall clock.
    fn forgotten_at(&self) -> u64 {
        self.until.saturating_add(self.window)
    }
}

/// All records of this store.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    records: BTreeMap<MessageId, Record>,
    /// The same by when they are forgotten.
    ends: BTreeSet<(u64, MessageId)>,
    evicted: u64,
}

impl Remembered {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Records that went for want of room: possible duplicates.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    fn insert(&mut self, wall_ms: u64, id: MessageId, record: Record) {
        // As many go as come, at least.
        self.purge(wall_ms, 2);
        if let Some(old) = self.records.insert(id, record) {
            self.ends.remove(&(old.forgotten_at(), id));
        }
        self.ends.insert((record.forgotten_at(), id));
        if self.records.len() > limits::DEDUP_RECORDS_MAX
            && let Some((_, first)) = self.ends.pop_first()
        {
            self.records.remove(&first);
            self.evicted += 1;
        }
    }

    fn remove(&mut self, id: MessageId) {
        if let Some(old) = self.records.remove(&id) {
            self.ends.remove(&(old.forgotten_at(), id));
        }
    }

    /// Forgets up to `max` whose time is over.
    pub(super) fn purge(&mut self, wall_ms: u64, max: usize) {
        for _ in 0..max {
            let Some((_, id)) = self.ends.first().filter(|(end, _)| *end <= wall_ms) else {
                return;
            };
            self.remove(*id);
        }
    }

    /// When the window of a message ended that is known to be finished; none for any other.
    pub(super) fn over(&self, id: MessageId) -> Option<u64> {
        let record = self.records.get(&id)?;
        (record.fate != Fate::Held).then_some(record.until)
    }
}

impl Terms {
    /// The dedup key of a message of that queue; none for most.
    pub(super) fn dedup_of(&self, queue: &str) -> Option<Dedup> {
        (!self.dedup.is_empty()).then(|| Dedup::new(queue, &self.dedup, self.dedup_window))
    }
}

impl Queues {
    /// The members that remember a key: the first of the member set, in an order that all know of, whether
    /// they can be reached or not. Else each side of a split had a home of its own, and those that come
    /// back would know nothing.
    pub(super) fn homes(&self, home: u64) -> Vec<MemberId> {
        let peers = self.peers.iter().filter(|(_, peer)| !peer.lacks_dedup);
        let peers = peers.map(|(member, _)| *member);
        let own = (!self.is_leaving()).then_some(self.me.member);
        let mut all: Vec<(u64, MemberId)> = peers
            .chain(own)
            .map(|member| (home_rank(home, member), member))
            .collect();
        all.sort_unstable_by(|one, next| next.cmp(one));
        all.truncate(limits::DEDUP_HOMES);
        all.into_iter().map(|(_, member)| member).collect()
    }

    /// True for one of those.
    fn is_home(&self, home: u64, member: MemberId) -> bool {
        let rank = |member| (home_rank(home, member), member);
        let own = rank(member);
        let peers = self.peers.iter().filter(|(_, peer)| !peer.lacks_dedup);
        let peers = peers.map(|(member, _)| *member);
        let me = (!self.is_leaving()).then_some(self.me.member);
        let above = peers.chain(me).filter(|other| rank(*other) > own);
        above.take(limits::DEDUP_HOMES).count() < limits::DEDUP_HOMES
    }

    /// The dedup key of a held message; none for most.
    fn dedup_of(&self, slot: &Slot) -> Option<Dedup> {
        let terms = slot
            .terms
            .as_ref()
            .filter(|terms| !terms.dedup.is_empty())?;
        terms.dedup_of(&self.base_name(slot.queue))
    }

    /// A message is held here from now on.
    pub(super) fn note_held(&mut self, now: Now, queue: QueueKey, terms: &Terms) {
        self.note_fate(now, queue, terms, |_| Fate::Held);
    }

    /// One ended here that was held here.
    pub(super) fn note_end(&mut self, now: Now, slot: &Slot) {
        if let Some(terms) = slot.terms.as_ref().filter(|terms| !terms.dedup.is_empty()) {
            let of = |id| {
                if id == slot.id {
                    Fate::Over
                } else {
                    Fate::Given
                }
            };
            self.note_fate(now, slot.queue, terms, of);
        }
    }

    fn note_fate(
        &mut self,
        now: Now,
        queue: QueueKey,
        terms: &Terms,
        fate: impl FnOnce(MessageId) -> Fate,
    ) {
        let Some(dedup) = terms.dedup_of(&self.base_name(queue)) else {
            return;
        };
        let accepted = terms.dedup_until.saturating_sub(terms.dedup_window);
        let id = dedup.id(dedup.number(accepted));
        let record = Record {
            home: dedup.home(),
            until: terms.dedup_until,
            window: terms.dedup_window,
            fate: fate(id),
            since: now.mono,
        };
        let known = self.remembered.records.get(&id).map(|known| known.fate);
        if known.is_none_or(|known| known == Fate::Held) {
            self.remembered.insert(now.wall_ms, id, record);
        }
    }

    /// A message that surely came nowhere.
    pub(super) fn forget_dedup(&mut self, id: MessageId) {
        self.remembered.remove(id);
    }

    /// A message ends here, for good.
    pub(super) fn end_out(&mut self, now: Now, id: MessageId) -> Option<Slot> {
        let slot = self.take_out(now, id)?;
        self.note_end(now, &slot);
        Some(slot)
    }

    /// Sees to it that a member hears which keys of its are finished, since then.
    pub(super) fn tell_fates(&mut self, now: Now, member: MemberId, since: Instant) {
        if self.remembered.is_empty() {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&member) {
            // What it was still to be told is not forgotten for it.
            let open = peer.fates_open.then_some(peer.fates_since);
            peer.fates_since = open.map_or(since, |open| open.min(since));
            peer.fates_open = true;
            peer.fates_from = MessageId::default();
            self.alarms.set_earlier(Alarm::Fates(member), now.mono);
        }
    }

    /// The same for all: homes moved.
    pub(super) fn tell_all_fates(&mut self, now: Now) {
        let linked = self.peers.iter().filter(|(_, peer)| peer.is_linked);
        let linked: Vec<MemberId> = linked.map(|(member, _)| *member).collect();
        for member in linked {
            self.tell_fates(now, member, Instant(0));
        }
    }

    /// A link is new: what the member may not have heard it hears.
    pub(super) fn tell_fates_missed(&mut self, now: Now, member: MemberId, is_same: bool) {
        let lost = self.peers.get(&member).map(|peer| peer.unlinked_at);
        let since = lost.filter(|_| is_same).map(|lost| lost - LOST_MS);
        self.tell_fates(now, member, since.unwrap_or_default());
    }

    /// One bounded step through what is remembered.
    pub(super) fn fates_step(&mut self, now: Now, member: MemberId) {
        let Some(peer) = self.peers.get(&member) else {
            return;
        };
        if !peer.is_linked || peer.lacks_dedup {
            return;
        }
        let (since, from) = (peer.fates_since, peer.fates_from);
        let records = self.remembered.records.range(from..);
        let mut all = Vec::new();
        let (mut next, mut ranked) = (None, 0);
        for (looks, (id, record)) in records.enumerate() {
            if looks >= limits::STEP_MESSAGES_MAX || ranked >= limits::DEDUP_TELL_MAX {
                next = Some(*id);
                break;
            }
            if record.fate == Fate::Held || record.since < since {
                continue;
            }
            ranked += 1;
            if self.is_home(record.home, member) {
                all.push(Memento {
                    origin: id.origin.0,
                    sequence: id.sequence,
                    home: record.home,
                    until: record.until,
                    window: record.window,
                    is_of_groups: record.fate == Fate::Given,
                });
            }
        }
        if !all.is_empty() {
            self.send(member, Message::Remember(Remember { all }));
        }
        if let Some(peer) = self.peers.get_mut(&member) {
            peer.fates_from = next.unwrap_or_default();
            peer.fates_open = next.is_some();
        }
        if next.is_some() {
            self.alarms.set(Alarm::Fates(member), now.mono + TELL_MS);
        }
    }

    /// A member says what it has finished.
    pub(super) fn on_remember(&mut self, now: Now, from: MemberId, remember: &Remember) {
        for one in &remember.all {
            let id = one.id();
            let is_of_groups = one.is_of_groups;
            let record = Record {
                home: one.home,
                until: one.until,
                window: one.window,
                fate: if is_of_groups {
                    Fate::Given
                } else {
                    Fate::Over
                },
                since: now.mono,
            };
            if record.forgotten_at() <= now.wall_ms {
                continue;
            }
            let known = self.remembered.over(id);
            if known.is_none() {
                self.remembered.insert(now.wall_ms, id, record);
            }
            if !is_of_groups {
                self.end_merged(now, from, id);
            }
        }
    }

    /// What others finished is finished here, too: both sides of a split had it.
    fn end_merged(&mut self, now: Now, from: MemberId, id: MessageId) {
        let Some(slot) = self.take_out(now, id) else {
            return;
        };
        self.counters.dedup_merged += 1;
        let store = self.store_of(from);
        let member = from;
        let holders = crate::copies::with(&slot.holders, &[Holder { member, store }]);
        let span = (id.origin, id.sequence, id.sequence);
        self.bury(now, span, &holders, Ending::Acked, true);
    }

    /// True for a message whose copies are to be at that member because of its key.
    pub(super) fn is_at_home(&self, slot: &Slot, member: MemberId) -> bool {
        let dedup = self.dedup_of(slot);
        let is_live = !self.planted.is(QueueCanary::DedupByLiveMembers);
        dedup.is_some_and(|dedup| is_live && self.is_home(dedup.home(), member))
    }

    /// A home has none of these, though it is to: it gets copies.
    pub(super) fn bring_home(&mut self, to: MemberId, ids: &crate::wire::Ids) {
        let holder = Holder {
            member: to,
            store: self.store_of(to),
        };
        if self.remembered.is_empty() || !self.takes_copies(holder) {
            return;
        }
        let mut lacking = Vec::new();
        for id in ids.iter() {
            let Some(index) = self.index.get(id) else {
                continue;
            };
            let Some(slot) = self.slab.get(index) else {
                continue;
            };
            let is_owned = slot.own.store == self.me.store && self.is_given_out(slot);
            if !is_owned || !self.is_at_home(slot, to) {
                continue;
            }
            let holders = crate::copies::with(&slot.holders, &[holder]);
            if let Some(slot) = self
                .slab
                .get_mut(index)
                .filter(|_| holders.contains(&holder))
            {
                slot.holders = holders;
                lacking.push(index);
            }
        }
        self.counters.dedup_brought_home += lacking.len() as u64;
        self.send_slots(&lacking, holder, None);
    }

    /// One that consumers get from here.
    fn is_given_out(&self, slot: &Slot) -> bool {
        use super::slot::Place;
        matches!(slot.place, Place::Ready | Place::Delayed | Place::Leased)
    }
}
