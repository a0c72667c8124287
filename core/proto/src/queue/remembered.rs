//! What is remembered of messages with dedup keys once they are finished, for two of their windows: by every
//! store that held one, and by the key's home, which those tell (protocol.md 4.6).
//!
//! A message that lives is known by its copy. So a record is never of one that may be lost: it says that the
//! message was finished, whatever else of it is forgotten. What was held here and went elsewhere leaves none.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::canary::QueueCanary;
use super::message::{Claim, Ending, Message};
use super::recall::{Memento, Remember};
use super::slot::{Place, Slot};
use super::takeover::add_claim;
use super::{Alarm, Queues, limits};
use crate::base::{Instant, MemberId, MessageId, Millis, Now, QueueKey, Stamp};
use crate::copies::{Dedup, Holder, Own, Terms, home_rank};
use crate::wire::Ids;

/// Between two frames of what is remembered, so that a member that comes back is not flooded.
const TELL_MS: Millis = 20;
/// Where its lane is full or its memory short it hears of what it would want a copy of later.
const WAIT_MS: Millis = 1_000;
/// Messages in one step of what it hears of: it asks for those that it lacks.
const CLAIMS_MAX: usize = 256;
/// A link may have lost what was said so long before its end was seen: it is said again.
const LOST_MS: Millis = 60_000;

#[derive(Debug, Clone, Copy)]
struct Record {
    home: u64,
    /// When its window ends, and how long that is.
    until: u64,
    window: Millis,
    /// It was for groups, and one of them has finished it.
    is_of_groups: bool,
    /// Since when that is known here.
    since: Instant,
}

impl Record {
    fn memento(&self, id: MessageId) -> Memento {
        Memento {
            origin: id.origin.0,
            sequence: id.sequence,
            home: self.home,
            until: self.until,
            window: self.window,
            is_of_groups: self.is_of_groups,
        }
    }

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

    /// Records that went for want of room: possible duplicates.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Notes one that is not noted yet.
    fn insert(&mut self, wall_ms: u64, id: MessageId, record: Record) {
        // As many go as come, at least.
        self.purge(wall_ms, 2);
        let is_over = record.forgotten_at() <= wall_ms;
        if is_over || self.records.contains_key(&id) {
            return;
        }
        self.records.insert(id, record);
        self.ends.insert((record.forgotten_at(), id));
        if self.records.len() > limits::DEDUP_RECORDS_MAX
            && let Some((_, first)) = self.ends.pop_first()
        {
            self.records.remove(&first);
            self.evicted += 1;
        }
    }

    /// Forgets up to `max` whose time is over.
    pub(super) fn purge(&mut self, wall_ms: u64, max: usize) {
        for _ in 0..max {
            let Some((_, id)) = self.ends.first().filter(|(end, _)| *end <= wall_ms) else {
                return;
            };
            self.records.remove(id);
            self.ends.pop_first();
        }
    }

    /// True for a message, and not one of several in groups, that is known to be finished.
    pub(super) fn has_ended(&self, id: MessageId) -> bool {
        let record = self.records.get(&id);
        record.is_some_and(|record| !record.is_of_groups)
    }

    /// When the window of a message ends that is known to be finished; none for any other.
    pub(super) fn over(&self, id: MessageId) -> Option<u64> {
        self.records.get(&id).map(|record| record.until)
    }
}

/// How far a member is told what it is the home of.
#[derive(Debug, Clone, Default)]
pub(super) struct Telling {
    /// The next place of what lives here; none when all of it was told.
    lives: Option<u32>,
    /// It is to hear all of that once more: it lacked some when it could not be sent any, or some was not
    /// given out yet.
    again: bool,
    /// The next of what is finished; none when all of it was told.
    fates: Option<MessageId>,
    /// The last message that was accepted when this began: the copies of a later one go to it by themselves.
    last: Stamp,
    /// Since when that is which it is to hear.
    since: Instant,
    /// It has not been told all of that.
    is_open: bool,
    /// Since when it need not have heard what was said, nor was asked.
    doubted: Option<Instant>,
}

impl Telling {
    /// Begins anew. What it was still to be told is not forgotten for it.
    fn begin(&mut self, since: Instant, last: Stamp) {
        self.last = last;
        let open = self.is_open.then_some(self.since);
        self.since = open.map_or(since, |open| open.min(since));
        self.is_open = true;
        self.lives = Some(0);
        self.fates = Some(MessageId::default());
    }

    /// It is not heard any more.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.doubted.get_or_insert(now);
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
    /// back would know nothing. Who is linked and not in the set (yet) is one beside them where it ranks as high,
    /// and pushes none of them out: it may know nothing.
    pub(super) fn homes(&self, home: u64) -> Vec<MemberId> {
        let members = self.members_for_homes();
        let mut all: Vec<(u64, MemberId, bool)> = members
            .map(|(member, is_in_set)| (home_rank(home, member), member, is_in_set))
            .collect();
        all.sort_unstable_by(|one, next| next.cmp(one));
        let mut of_set = 0;
        all.retain(|(.., is_in_set)| {
            let is_home = of_set < limits::DEDUP_HOMES;
            of_set += usize::from(*is_in_set);
            is_home
        });
        all.into_iter().map(|(_, member, _)| member).collect()
    }

    /// True for one of those.
    fn is_home(&self, home: u64, member: MemberId) -> bool {
        let rank = |member| (home_rank(home, member), member);
        let own = rank(member);
        let members = self.members_for_homes();
        let above = members.filter(|(other, is_in_set)| *is_in_set && rank(*other) > own);
        above.take(limits::DEDUP_HOMES).count() < limits::DEDUP_HOMES
    }

    /// Whose home it may be, and whether each is in the set.
    fn members_for_homes(&self) -> impl Iterator<Item = (MemberId, bool)> + '_ {
        let peers = self.peers.iter().filter(|(_, peer)| {
            let is_there = peer.is_in_set || peer.is_linked;
            is_there && !peer.lacks_dedup
        });
        let peers = peers.map(|(member, peer)| (*member, peer.is_in_set));
        let own = (!self.is_leaving()).then_some((self.me.member, true));
        peers.chain(own)
    }

    /// True for a message whose copies are to be at that member because of its key.
    fn is_at_home(&self, slot: &Slot, member: MemberId) -> bool {
        if self.planted.is(QueueCanary::DedupByLiveMembers) {
            return false;
        }
        let terms = slot.terms.as_ref();
        let dedup = terms.and_then(|terms| terms.dedup_of(&self.base_name(slot.queue)));
        dedup.is_some_and(|dedup| self.is_home(dedup.home(), member))
    }

    /// A message ends here, for good.
    pub(super) fn end_out(&mut self, now: Now, id: MessageId) -> Option<Slot> {
        // First: who waits to hear of it is answered as soon as it is gone. Where no key was ever used the message
        // is not looked up for that.
        if self.dedups.is_used
            && let Some(slot) = self.slot(id).filter(|slot| slot.has_dedup())
        {
            let (queue, terms) = (slot.queue, slot.terms.clone());
            self.note_end(now, queue, id, terms.as_deref());
        }
        self.take_out(now, id)
    }

    /// A message of that queue, with those terms, is finished.
    pub(super) fn note_end(
        &mut self,
        now: Now,
        queue: QueueKey,
        id: MessageId,
        terms: Option<&Terms>,
    ) {
        let Some(terms) = terms.filter(|terms| !terms.dedup.is_empty()) else {
            return;
        };
        let Some(dedup) = terms.dedup_of(&self.base_name(queue)) else {
            return;
        };
        let accepted = terms.dedup_until.saturating_sub(terms.dedup_window);
        let source = dedup.id(dedup.number(accepted));
        let record = Record {
            home: dedup.home(),
            until: terms.dedup_until,
            window: terms.dedup_window,
            is_of_groups: source != id,
            since: now.mono,
        };
        self.dedups.is_used = true;
        self.remembered.insert(now.wall_ms, source, record);
    }

    /// Sees to it that a member hears what it is the home of: what of that lives here, and what is finished
    /// since then.
    fn tell_home(&mut self, now: Now, member: MemberId, since: Instant) {
        if !self.dedups.is_used {
            return;
        }
        let last = self.clock.last();
        if let Some(peer) = self.peers.get_mut(&member) {
            peer.home.begin(since, last);
            self.alarms.set_earlier(Alarm::Home(member), now.mono);
        }
    }

    /// The same for all: homes moved.
    pub(super) fn tell_all_homes(&mut self, now: Now) {
        let linked = self.peers.iter().filter(|(_, peer)| peer.is_linked);
        let linked: Vec<MemberId> = linked.map(|(member, _)| *member).collect();
        // The others hear it when they are back.
        for peer in self.peers.values_mut() {
            peer.is_other |= !peer.is_linked;
        }
        for member in linked {
            self.tell_home(now, member, Instant(0));
        }
    }

    /// Messages came to be owned here with nobody's link new: their home may have another owner of them. Who
    /// is not linked hears of them when it is back.
    pub(super) fn tell_new_lives(&mut self, now: Now) {
        let linked = self.peers.iter().filter(|(_, peer)| peer.is_linked);
        let linked: Vec<MemberId> = linked.map(|(member, _)| *member).collect();
        for member in linked {
            // Nothing more of what is finished.
            self.tell_home(now, member, now.mono);
        }
    }

    /// A member is silent.
    pub(super) fn doubt_home(&mut self, now: Now, member: MemberId) {
        if let Some(peer) = self.peers.get_mut(&member) {
            peer.home.doubt(now.mono);
        }
    }

    /// A member is heard again: what it was not asked about meanwhile, and may not have heard, it hears.
    pub(super) fn tell_home_missed(&mut self, now: Now, member: MemberId) {
        let Some(peer) = self.peers.get_mut(&member) else {
            return;
        };
        if !peer.is_linked || peer.is_suspect || peer.unreachable_since.is_some() {
            return;
        }
        let doubted = peer.home.doubted.take();
        let since = match core::mem::take(&mut peer.is_other) {
            true => Some(Instant(0)),
            false => doubted.map(|doubted| doubted - LOST_MS),
        };
        if let Some(since) = since {
            self.tell_home(now, member, since);
        }
    }

    /// One bounded step through what lives here, and one through what is remembered.
    pub(super) fn home_step(&mut self, now: Now, member: MemberId) {
        let Some(peer) = self.peers.get_mut(&member) else {
            return;
        };
        if !peer.is_linked || peer.lacks_dedup {
            return;
        }
        let (fates, takes_copies) = (peer.home.fates, peer.takes_copies());
        let is_once_more = peer.home.lives.is_none() && peer.home.again;
        peer.home.again &= !is_once_more;
        let lives = match peer.home.lives.or(is_once_more.then_some(0)) {
            Some(from) if takes_copies => self.tell_lives(member, from),
            other => other,
        };
        let fates = fates.and_then(|from| self.tell_fates(member, from));
        let Some(peer) = self.peers.get_mut(&member) else {
            return;
        };
        let home = &mut peer.home;
        (home.lives, home.fates) = (lives, fates);
        home.is_open = lives.is_some() || fates.is_some();
        let waits = fates.is_none() && (lives.is_none() || !takes_copies);
        if home.is_open || home.again {
            let pause = if waits { WAIT_MS } else { TELL_MS };
            self.alarms.set(Alarm::Home(member), now.mono + pause);
        }
    }

    /// The home hears what lives here from that place on: it may have another owner of it, or nothing. Answers
    /// where it goes on; none: that was all.
    fn tell_lives(&mut self, member: MemberId, from: u32) -> Option<u32> {
        let end = self.slab.end();
        let most = end.min(from.saturating_add(limits::STEP_MESSAGES_MAX as u32));
        let mut next = from;
        let mut told = 0;
        let last = self.peers.get(&member).map(|peer| peer.home.last);
        let mut is_early = false;
        let mut claims = Vec::new();
        while next < most && told < CLAIMS_MAX {
            let slot = self.slab.get(next).filter(|slot| slot.has_dedup());
            next += 1;
            let Some(slot) = slot else {
                continue;
            };
            let is_new = slot.place == Place::Replicating;
            let is_owned = slot.own.store == self.me.store && (is_new || is_given_out(slot));
            if !is_owned || !self.is_at_home(slot, member) {
                continue;
            }
            if is_new {
                is_early |= last.is_some_and(|last| slot.stamp <= last);
            } else {
                add_claim(&mut claims, slot.id, slot.own, &slot.holders);
                told += 1;
            }
        }
        // Its copies may have been sent before this member was linked, and nothing else would tell it afterwards.
        // One accepted since then is no reason: where keys are put in all the time there is always one.
        if is_early && let Some(peer) = self.peers.get_mut(&member) {
            peer.home.again = true;
        }
        for claim in claims {
            self.send(member, Message::Claim(claim));
        }
        (next < end).then_some(next)
    }

    /// The home hears what is finished, from that message on. Answers where it goes on; none: that was all.
    fn tell_fates(&mut self, member: MemberId, from: MessageId) -> Option<MessageId> {
        let since = self.peers.get(&member)?.home.since;
        let records = self.remembered.records.range(from..);
        let mut all = Vec::new();
        let (mut next, mut ranked) = (None, 0);
        for (looks, (id, record)) in records.enumerate() {
            if looks >= limits::STEP_MESSAGES_MAX || ranked >= limits::DEDUP_TELL_MAX {
                next = Some(*id);
                break;
            }
            if record.since < since {
                continue;
            }
            ranked += 1;
            if self.is_home(record.home, member) {
                all.push(record.memento(*id));
            }
        }
        if !all.is_empty() {
            self.send(member, Message::Remember(Remember { all }));
        }
        next
    }

    /// A member says what it has finished.
    pub(super) fn on_remember(&mut self, now: Now, from: MemberId, remember: &Remember) {
        self.dedups.is_used = true;
        for one in &remember.all {
            let record = Record {
                home: one.home,
                until: one.until,
                window: one.window,
                is_of_groups: one.is_of_groups,
                since: now.mono,
            };
            self.remembered.insert(now.wall_ms, one.id(), record);
            if !one.is_of_groups {
                self.end_merged(now, from, one.id());
            }
        }
    }

    /// What others finished is finished here, too: both sides of a split had it.
    fn end_merged(&mut self, now: Now, member: MemberId, id: MessageId) {
        let Some(slot) = self.take_out(now, id) else {
            return;
        };
        self.counters.dedup_merged += 1;
        let store = self.store_of(member);
        let holders = crate::copies::with(&slot.holders, &[Holder { member, store }]);
        let span = (id.origin, id.sequence, id.sequence);
        self.bury(now, span, &holders, Ending::Acked, true);
    }

    /// A home has none of these, though it is to: it gets copies, or hears of them again.
    pub(super) fn bring_home(&mut self, now: Now, to: MemberId, ids: &Ids) {
        if !self.dedups.is_used {
            return;
        }
        self.tell_ended(to, ids);
        let holder = Holder {
            member: to,
            store: self.store_of(to),
        };
        let lacking = ids.iter().filter_map(|id| self.index.get(id));
        let lacking: Vec<u32> = lacking
            .filter(|index| {
                let slot = self.slab.get(*index).filter(|slot| slot.has_dedup());
                let slot = slot.filter(|slot| slot.own.store == self.me.store);
                slot.is_some_and(|slot| is_given_out(slot) && self.is_at_home(slot, to))
            })
            .collect();
        if lacking.is_empty() {
            return;
        }
        if !self.takes_copies(holder) {
            return self.tell_lives_again(now, to);
        }
        let mut brought = Vec::with_capacity(lacking.len());
        for index in lacking {
            let Some(slot) = self.slab.get_mut(index) else {
                continue;
            };
            let holders = crate::copies::with(&slot.holders, &[holder]);
            if holders.contains(&holder) {
                slot.holders = holders;
                brought.push(index);
            }
        }
        self.counters.dedup_brought_home += brought.len() as u64;
        self.send_slots(&brought, holder, None);
    }

    /// Some of what a home was told of has ended since: it has no copy that would be told so.
    fn tell_ended(&mut self, member: MemberId, ids: &Ids) {
        let records = &self.remembered.records;
        let ended = ids.iter().filter_map(|id| Some((id, records.get(&id)?)));
        let ended = ended.filter(|(id, record)| {
            self.index.get(*id).is_none() && self.is_home(record.home, member)
        });
        let ended = ended.take(limits::DEDUP_TELL_MAX);
        let all: Vec<Memento> = ended.map(|(id, record)| record.memento(id)).collect();
        if !all.is_empty() {
            self.send(member, Message::Remember(Remember { all }));
        }
    }

    fn tell_lives_again(&mut self, now: Now, member: MemberId) {
        if let Some(peer) = self.peers.get_mut(&member) {
            peer.home.again = true;
            self.alarms
                .set_earlier(Alarm::Home(member), now.mono + WAIT_MS);
        }
    }

    /// A member said that `other` owns a copy held here. Of a dedup key there may be two owners that do not
    /// reach each other: the one that is not the owner by what is known here hears who is.
    pub(super) fn tell_other_owner(&mut self, id: MessageId, other: Own) {
        let Some(slot) = self.slot(id).filter(|slot| slot.has_dedup()) else {
            return;
        };
        if slot.own.store == other.store || other.store == self.me.store {
            return;
        }
        let claim = Claim {
            ids: Ids::one(id),
            own: slot.own,
            holders: slot.holders.clone(),
        };
        if let Some(member) = self.linked_keeper(other.store) {
            self.send(member, Message::Claim(claim));
        }
    }
}

/// One that consumers get from here.
fn is_given_out(slot: &Slot) -> bool {
    matches!(slot.place, Place::Ready | Place::Delayed | Place::Leased)
}
