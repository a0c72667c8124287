//! Enqueues with a dedup key (protocol.md 4.6): within one window equal keys of one queue are one message,
//! wherever they are put in.
//!
//! The member that takes such an enqueue asks the others of the key's home, those that it can reach, whether
//! they know the message: before it makes one, and not by sending it, so that whoever has it already is the
//! one that says what became of it. Then all of the home get copies, whatever number was asked for: who has
//! a copy knows the message, and can answer for it once this member is gone. The ids follow from the key, so
//! that those who could not hear of each other have made one message, of which one owner is left.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::batch::Caller;
use super::canary::QueueCanary;
use super::delivery::{EnqueueOptions, IfNoGroup, NewMessage, OnShort};
use super::later::Later;
use super::memory::REFUSING;
use super::message::Message;
use super::peers::Peer;
use super::recall::{Recall, Recalled, Recollection};
use super::slot::Slot;
use super::{Alarm, Queues, limits};
use crate::base::{BootId, Error, ErrorKind, Instant, MemberId, MessageId, Now, QueueKey, Result};
use crate::copies::{Dedup, Fan, Terms, home_rank};

/// Of the messages that are looked for: the one of the window before, and the one of the present window.
const BEFORE: usize = 0;
pub(super) const PRESENT: usize = 1;

/// Who waits for an enqueue with a dedup key, and what for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub(super) caller: Caller,
    pub(super) wanted: u16,
    pub(super) on_short: OnShort,
}

/// An enqueue whose message is looked for, or on its way.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) asker: Asker,
    /// Those that came meanwhile with the same key.
    pub(super) later: Vec<Later>,
    pub(super) queue: QueueKey,
    pub(super) home: u64,
    pub(super) ids: [MessageId; 3],
    /// What is put in where nobody knows it.
    pub(super) message: Option<NewMessage>,
    pub(super) options: EnqueueOptions,
    pub(super) bytes: usize,
    pub(super) ends: Instant,
    /// When it was taken, by the wall clock: its own window begins then, so whether another one lasts is asked for
    /// that moment, however long the answers take.
    taken_ms: u64,
    /// Who has not answered yet.
    asked: BTreeSet<MemberId>,
    known: [Option<Recollection>; 3],
    /// What members ask for that look for the same: they hear what becomes of this one. Their windows need not
    /// be this one's.
    pub(super) waiting: BTreeMap<MemberId, Recall>,
    /// Nobody knew it: its copies are on their way.
    pub(super) is_laid: bool,
}

/// All of them at this member.
#[derive(Debug, Default)]
pub(super) struct Dedups {
    pub(super) open: BTreeMap<u64, Open>,
    /// By the message of the present window.
    by_id: BTreeMap<MessageId, u64>,
    /// Whose turn has come.
    pub(super) next: Vec<Later>,
    /// All that wait for another one's end.
    pub(super) later: usize,
    /// Of the messages of all of these.
    pub(super) bytes: usize,
    /// There was a message with a dedup key here, or what is left of one.
    pub(super) is_used: bool,
    made: u64,
    /// Numbers begin behind this one, another in each life of the process.
    first_number: u64,
}

impl Dedups {
    pub(super) fn new(boot: BootId) -> Self {
        Self {
            first_number: boot.0 >> 16,
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len() + self.later
    }

    /// The enqueue under way whose message is one of these.
    fn of(&self, ids: &[MessageId; 3]) -> Option<u64> {
        ids.iter().find_map(|id| self.by_id.get(id)).copied()
    }

    /// The enqueue with that number; its message is not held here any more.
    pub(super) fn take(&mut self, number: u64) -> Option<(&mut Open, NewMessage)> {
        let open = self.open.get_mut(&number)?;
        let message = open.message.take()?;
        let bytes = core::mem::take(&mut open.bytes);
        self.bytes = self.bytes.saturating_sub(bytes);
        Some((open, message))
    }

    pub(super) fn close(&mut self, number: u64) -> Option<Open> {
        let open = self.open.remove(&number)?;
        if let Some(id) = open.ids.get(PRESENT) {
            self.by_id.remove(id);
        }
        self.bytes = self.bytes.saturating_sub(open.bytes);
        Some(open)
    }
}

/// The dedup key of an enqueue; none for most.
pub(super) fn key_of(options: &EnqueueOptions) -> Option<&str> {
    let dated = options.dated.as_ref().map(|dated| dated.dedup.as_str());
    let dated = dated.filter(|dedup| !dedup.is_empty());
    dated.or(options.terms.dedup.as_deref())
}

/// What two say of one message, as one.
fn joined(one: Option<Recollection>, other: Recollection) -> Recollection {
    let Some(one) = one else {
        return other;
    };
    Recollection {
        place: other.place,
        until: one.until.max(other.until),
        is_over: one.is_over || other.is_over,
        // Each holds a copy that the other need not know of, but an owner knows of all.
        copies: one.copies.max(other.copies).max(2),
    }
}

impl Queues {
    /// Takes an enqueue with a dedup key: as a new message, or as one that is known.
    pub(super) fn enqueue_once(
        &mut self,
        now: Now,
        caller: Caller,
        queue: QueueKey,
        messages: Vec<NewMessage>,
        options: EnqueueOptions,
    ) {
        if let Err(error) = self.try_once(now, caller, queue, messages, options) {
            self.fail(caller, error);
        }
    }

    /// Errors, with nothing done: 101, 102, 104, 203.
    fn try_once(
        &mut self,
        now: Now,
        caller: Caller,
        queue: QueueKey,
        mut messages: Vec<NewMessage>,
        mut options: EnqueueOptions,
    ) -> Result<()> {
        check_single(messages.len())?;
        let dated = options.dated.as_ref();
        if dated.is_some_and(|dated| dated.is_at_most_once) {
            return Err(ErrorKind::InvalidArgument.into());
        }
        let bytes = self.check_all(&messages)? as usize;
        self.check_groups(queue, options.if_no_group)?;
        self.check_paused(queue)?;
        self.fill_in(queue, &mut options);
        let dated = match options.dated.take() {
            Some(dated) => Some(dated),
            None => options.terms.terms(now)?,
        };
        let wanted = self.wanted_copies(&options)?;
        let terms = dated.as_deref().cloned().unwrap_or_default();
        let name = self.base_name(queue);
        let (Some(dedup), Some(message)) = (terms.dedup_of(&name), messages.pop()) else {
            return Err(ErrorKind::Internal.into());
        };
        let asker = Asker {
            caller,
            wanted,
            on_short: options.on_short.unwrap_or(self.settings.on_short),
        };
        let timeout = options.timeout.unwrap_or(self.settings.enqueue_timeout);
        let ends = now.mono + timeout;
        let ids = dedup.around(now.wall_ms);
        if let Some(number) = self.dedups.of(&ids) {
            options.dated = dated;
            let later = Later {
                caller,
                queue,
                message,
                options,
                bytes,
                ends,
            };
            return self.wait_for(number, later);
        }
        options.dated = Some(alloc::sync::Arc::new(Terms {
            dedup_until: now.wall_ms.saturating_add(terms.dedup_window),
            ..terms
        }));
        let open = Open {
            asker,
            later: Vec::new(),
            queue,
            home: dedup.home(),
            ids,
            bytes,
            message: Some(message),
            options,
            ends,
            taken_ms: now.wall_ms,
            asked: BTreeSet::new(),
            known: [None; 3],
            waiting: BTreeMap::new(),
            is_laid: false,
        };
        self.look_for(now, open)
    }

    /// Errors: 203.
    pub(super) fn check_room(&self, bytes: usize) -> Result<()> {
        let all = self.dedups.bytes.saturating_add(bytes);
        if self.dedups.len() >= limits::DEDUP_OPEN_MAX || all > limits::FORWARD_BYTES_MAX {
            return Err(self.too_many());
        }
        Ok(())
    }

    /// Looks here, and asks those who may know. Errors: 203.
    fn look_for(&mut self, now: Now, mut open: Open) -> Result<()> {
        for place in 0..open.ids.len() {
            self.look_here(&mut open, place);
        }
        let is_ours = self.is_ours(&open);
        if !is_ours {
            open.asked = self.who_may_know(&open);
        }
        if open.asked.is_empty() {
            let number = self.add_open(now, open);
            self.decide(now, number);
            return Ok(());
        }
        self.check_room(open.bytes)?;
        let asked: Vec<MemberId> = open.asked.iter().copied().collect();
        let number = self.add_open(now, open);
        for member in asked {
            self.ask_for(member, number);
        }
        Ok(())
    }

    fn add_open(&mut self, now: Now, open: Open) -> u64 {
        self.dedups.made += 1;
        let number = self.dedups.first_number + self.dedups.made;
        // Its key stands for this queue until it is decided.
        self.hold_queue(open.queue);
        self.alarms
            .set(Alarm::Dedup(number), open.ends.max(now.mono));
        self.dedups.bytes += open.bytes;
        if let Some(id) = open.ids.get(PRESENT) {
            self.dedups.by_id.insert(*id, number);
        }
        self.dedups.open.insert(number, open);
        number
    }

    fn too_many(&self) -> Error {
        Error::new(ErrorKind::Overloaded)
            .because("too many enqueues wait for what others know of their dedup keys: try again")
            .with("enqueues", self.dedups.len())
            .with("enqueues_max", limits::DEDUP_OPEN_MAX)
            .with("bytes", self.dedups.bytes)
            .with("bytes_max", limits::FORWARD_BYTES_MAX)
    }

    fn look_here(&self, open: &mut Open, place: usize) {
        let id = open.ids.get(place).copied().unwrap_or_default();
        let found = self.recollect(Some(open.queue), place, id);
        if let (Some(found), Some(known)) = (found, open.known.get_mut(place))
            && counts(open.taken_ms, place, &found)
        {
            // Looked at twice it is still one copy.
            if known.is_none() || found.is_over {
                *known = Some(found);
            }
        }
    }

    /// What this store knows of a message, also where it is one message for each group.
    fn recollect(
        &self,
        queue: Option<QueueKey>,
        place: usize,
        id: MessageId,
    ) -> Option<Recollection> {
        let place = place as u32;
        let over = |until| Recollection {
            place,
            until,
            is_over: true,
            copies: 0,
        };
        let mut ids = Vec::from([id]);
        let shelf = queue.and_then(|queue| self.shelves.get(queue.0 as usize));
        for branch in shelf.into_iter().flat_map(|shelf| &shelf.branches) {
            let fan = Fan {
                source: id.origin,
                ..branch.fan
            };
            let origin = fan.origin();
            ids.push(MessageId { origin, ..id });
        }
        if let Some(slot) = ids.iter().find_map(|id| self.slot(*id)) {
            let terms = slot.terms.as_ref();
            return Some(Recollection {
                place,
                until: terms.map_or(0, |terms| terms.dedup_until),
                is_over: false,
                copies: self.copies_known(slot),
            });
        }
        if let Some(until) = self.remembered.over(id) {
            return Some(over(until));
        }
        let is_done = ids.iter().any(|id| self.is_done(*id));
        is_done.then(|| over(0))
    }

    fn copies_known(&self, slot: &Slot) -> u32 {
        if slot.own.store == self.me.store {
            slot.confirmed.count_ones().max(1)
        } else {
            1
        }
    }

    /// True where this store can say by itself what became of it.
    fn is_ours(&self, open: &Open) -> bool {
        let mut known = open.known.iter().zip(&open.ids);
        known.any(|(known, id)| {
            let is_owned = |slot: &Slot| slot.own.store == self.me.store;
            known.is_some_and(|known| known.is_over || self.slot(*id).is_some_and(is_owned))
        })
    }

    /// Those of the home that can be reached, and who owns it where only a copy is here.
    fn who_may_know(&self, open: &Open) -> BTreeSet<MemberId> {
        if self.planted.is(QueueCanary::DedupByLiveMembers) {
            return BTreeSet::new();
        }
        let slots = open.ids.iter().filter_map(|id| self.slot(*id));
        let owners = slots.filter_map(|slot| self.linked_keeper(slot.own.store));
        let homes = self.homes(open.home).into_iter().chain(owners);
        homes.filter(|member| self.hears(*member)).collect()
    }

    /// True for a member that answers: also one that leaves, and takes nothing any more.
    pub fn hears(&self, member: MemberId) -> bool {
        self.peers.get(&member).is_some_and(|peer| {
            let is_here = peer.is_linked && !peer.is_suspect && !peer.lacks_dedup;
            is_here && peer.unreachable_since.is_none()
        })
    }

    /// What is known here of a message that had a dedup key: when its window ends (0 where that is forgotten),
    /// and whether it is finished.
    #[must_use]
    pub fn recollects(&self, id: MessageId) -> Option<(u64, bool)> {
        let known = self.recollect(None, PRESENT, id)?;
        Some((known.until, known.is_over))
    }

    /// Until when an enqueue waits that is under way and would make this message; none where there is none.
    #[must_use]
    pub fn putting_in(&self, id: MessageId) -> Option<Instant> {
        let number = self.dedups.by_id.get(&id)?;
        self.dedups.open.get(number).map(|open| open.ends)
    }

    fn ask_for(&mut self, member: MemberId, number: u64) {
        if let Some(open) = self.dedups.open.get(&number) {
            let recall = Recall::new(number, &self.name(open.queue), &open.ids);
            self.send(member, Message::Recall(recall));
        }
    }

    /// A member asks for messages.
    pub(super) fn on_recall(&mut self, from: MemberId, recall: &Recall) {
        let Some(ids) = recall.ids() else {
            return;
        };
        if let Some(number) = self.dedups.of(&ids)
            && let Some(open) = self.dedups.open.get_mut(&number)
        {
            let rank = |member| (home_rank(open.home, member), member);
            // Of two that look for one message the higher one makes it: else both wait for ever, or both do.
            if open.is_laid || rank(self.me.member) > rank(from) {
                open.waiting.insert(from, recall.clone());
                return;
            }
        }
        self.answer_recall(from, recall);
    }

    pub(super) fn answer_recall(&mut self, to: MemberId, recall: &Recall) {
        let queue = self.names.get(recall.queue.as_str()).copied();
        let (number, ids) = (recall.number, recall.ids().unwrap_or_default());
        let places = ids.iter().enumerate();
        let known = places.filter_map(|(place, id)| self.recollect(queue, place, *id));
        let known = known.collect();
        self.send(to, Message::Recalled(Recalled { number, known }));
    }

    /// A member answers.
    pub(super) fn on_recalled(&mut self, now: Now, from: MemberId, recalled: &Recalled) {
        let Some(open) = self.dedups.open.get_mut(&recalled.number) else {
            return;
        };
        if !open.asked.remove(&from) {
            return;
        }
        let taken_ms = open.taken_ms;
        for one in &recalled.known {
            let place = one.place as usize;
            if let Some(known) = open
                .known
                .get_mut(place)
                .filter(|_| counts(taken_ms, place, one))
            {
                *known = Some(joined(*known, *one));
            }
        }
        if open.asked.is_empty() {
            self.decide(now, recalled.number);
        }
    }

    /// A member cannot be reached any more: nobody waits for its answer.
    pub(super) fn recall_without(&mut self, now: Now, member: MemberId) {
        if self.dedups.open.is_empty() {
            return;
        }
        let mut decided = Vec::new();
        for (number, open) in &mut self.dedups.open {
            open.waiting.remove(&member);
            if open.asked.remove(&member) && open.asked.is_empty() {
                decided.push(*number);
            }
        }
        for number in decided {
            self.decide(now, number);
        }
    }

    /// A link took another's place: what was asked over that is asked again.
    pub(super) fn recall_again(&mut self, member: MemberId) {
        let open = self.dedups.open.iter();
        let asked = open.filter(|(_, open)| open.asked.contains(&member));
        let numbers: Vec<u64> = asked.map(|(number, _)| *number).collect();
        for number in numbers {
            self.ask_for(member, number);
        }
    }

    /// Everyone who can be asked has answered: it is known, or it is made.
    fn decide(&mut self, now: Now, number: u64) {
        let Some(mut open) = self.dedups.open.remove(&number) else {
            return;
        };
        // A copy may have come meanwhile.
        (0..open.ids.len()).for_each(|place| self.look_here(&mut open, place));
        let order = [PRESENT, PRESENT + 1, BEFORE].into_iter();
        let mut known = order.filter_map(|place| {
            let known = open.known.get(place).copied().flatten()?;
            Some((*open.ids.get(place)?, known))
        });
        let known = known.next();
        open.is_laid = known.is_none();
        self.dedups.open.insert(number, open);
        match known {
            Some((id, known)) => {
                self.known_already(number, id, &known);
            }
            None => self.lay_once(now, number),
        }
    }

    /// Who was asked has not answered, and is there: to make the message now might be to make a second one.
    pub(super) fn dedup_is_late(&mut self, number: u64) {
        let Some(open) = self.dedups.open.get(&number) else {
            return;
        };
        let member = open.asked.iter().next().copied().unwrap_or_default();
        let error = Error::new(ErrorKind::Unreachable)
            .because(
                "a member that may know the dedup key did not answer in time; nothing was put in",
            )
            .with("member", member);
        self.once_failed(number, &error);
    }

    /// This member leaves, or begins anew: what it looked for is not put in.
    pub(super) fn give_up_dedups(&mut self) {
        let open = self.dedups.open.iter().filter(|(_, open)| !open.is_laid);
        let numbers: Vec<u64> = open.map(|(number, _)| *number).collect();
        let error = Error::new(ErrorKind::Unreachable)
            .because("this member left its cluster before it was put in");
        for number in numbers {
            self.once_failed(number, &error);
        }
        self.fail_later(&error);
    }

    /// Errors: 102.
    fn check_groups(&self, queue: QueueKey, if_no_group: IfNoGroup) -> Result<()> {
        if if_no_group == IfNoGroup::Refuse && !self.has_groups(queue) {
            return Err(super::fanout::no_group());
        }
        Ok(())
    }

    /// Where an enqueue with a dedup key goes: the first of the key's home that can be reached and has room, or
    /// this member where that is nobody. None where all that can be reached had none: who is not of the home
    /// would make another message than the next one.
    pub(super) fn dedup_way(
        &self,
        queue: QueueKey,
        key: &str,
        window: u64,
        tried: &BTreeSet<MemberId>,
    ) -> Option<MemberId> {
        let dedup = Dedup::new(&self.base_name(queue), key, window);
        if self.planted.is(QueueCanary::DedupByLiveMembers) {
            return self.home(queue, (key, true), tried);
        }
        let mut homes = self.homes(dedup.home());
        homes.retain(|member| {
            let is_open = self.peers.get(member).is_some_and(Peer::is_open);
            *member == self.me.member || is_open
        });
        let mut untried = homes.iter().filter(|member| !tried.contains(member));
        let first = untried
            .clone()
            .find(|member| self.level_of(**member) < REFUSING);
        match first.or_else(|| untried.next()) {
            Some(first) => Some(*first),
            None if !homes.is_empty() => None,
            None if self.is_leaving() => {
                let mut peers = self.peers.iter();
                let able = peers.find(|(member, peer)| {
                    peer.is_open() && !peer.lacks_dedup && !tried.contains(*member)
                });
                able.map(|(member, _)| *member)
            }
            None => Some(self.me.member),
        }
    }
}

/// Whether something that is known of one of the three messages makes the next one a duplicate: of the window
/// before only where that message's own window still lasted when the next one was taken.
fn counts(taken_ms: u64, place: usize, known: &Recollection) -> bool {
    place != BEFORE || known.until > taken_ms
}

/// Errors: 101.
pub(super) fn check_single(messages: usize) -> Result<()> {
    if messages == 1 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument)
        .because("a dedup key is one message's: put them in one by one")
        .with("messages", messages))
}
