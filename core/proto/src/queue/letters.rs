//! What a member does for a redrive: it looks through what it owns, and moves what is meant in bounded
//! steps. A letter is over only when the message that it becomes is safe, and that one's id follows from the
//! letter's, so that two owners of one letter make one message (protocol.md 4.4).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::dead::{self, Pairs, parted};
use super::delivery::NewMessage;
use super::groups::Branch;
use super::message::Message;
use super::onward::{Next, Onward};
use super::redrive::{Redrive, Redriven};
use super::slot::{Place, Slot};
use super::{Alarm, Queues};
use crate::base::{
    Error, ErrorKind, Instant, MemberId, MessageId, Millis, Now, QueueKey, Result, limits,
};
use crate::copies::{Fan, Headers, Terms, redriven_of};

/// Pause between two steps, so that others get their turn.
const STEP_MS: Millis = 1;
/// The same while copies of as many as may be are on their way.
const FULL_MS: Millis = 10;

/// A redrive that this member works on, for itself or another.
#[derive(Debug)]
pub(super) struct Work {
    asker: MemberId,
    asked: Redrive,
    ids: BTreeSet<MessageId>,
    queue: QueueKey,
    /// Where the next step begins, and where there is nothing that was here at the beginning.
    next: u32,
    end: u32,
    said: Redriven,
    /// Letters that are to be over when their copies are there.
    open: u64,
    /// Nobody waits for it any more.
    until: Instant,
}

impl Work {
    fn is_through(&self) -> bool {
        self.next >= self.end
    }

    /// As many as it may were moved, or tried.
    fn has_enough(&self) -> bool {
        let tried = self.said.moved + self.said.refused + self.open;
        !self.asked.is_dry_run && tried >= self.asked.max
    }
}

/// Redrives that this member works on.
#[derive(Debug, Default)]
pub(super) struct Letters {
    pub(super) works: BTreeMap<u64, Work>,
    /// Letters whose copies are on their way: for which work, and of how many bytes.
    under_way: BTreeMap<MessageId, (u64, u64)>,
    /// The sum of these.
    open_bytes: u64,
}

impl Letters {
    /// Ends those that nobody waits for; what is on its way arrives.
    pub(super) fn drop_works(&mut self, is_over: impl Fn(MemberId, u64) -> bool) {
        let works = &mut self.works;
        works.retain(|_, work| !is_over(work.asker, work.asked.number));
    }

    fn is_full(&self) -> bool {
        self.under_way.len() >= limits::REDRIVE_OPEN_MAX
            || self.open_bytes >= limits::REDRIVE_BYTES_MAX
    }
}

/// What one step may still do.
struct Budget {
    looks: u32,
    moves: u32,
}

/// Where a letter goes.
struct Way<'a> {
    queue: &'a str,
    /// The group that it was in, where it goes back to its own queue.
    group: Option<&'a str>,
    headers: Pairs<'a>,
}

impl Queues {
    /// Another member wants what is owned here moved.
    pub(super) fn on_redrive(&mut self, now: Now, from: MemberId, redrive: Redrive) {
        let works = self.redrives.letters.works.values();
        let its = works.filter(|work| work.asker == from).count();
        let is_busy = self.is_leaving()
            || its >= limits::BROWSES_MAX
            || self.redrives.letters.works.len() >= limits::SCANS_MAX;
        if !is_busy {
            return self.work(now, from, redrive);
        }
        self.counters.browses_refused += 1;
        let redriven = Redriven {
            number: redrive.number,
            is_busy,
            ..Redriven::default()
        };
        self.send(from, Message::Redriven(redriven));
    }

    /// Begins to look through what is held here.
    pub(super) fn work(&mut self, now: Now, asker: MemberId, asked: Redrive) {
        let said = Redriven {
            number: asked.number,
            ..Redriven::default()
        };
        let Some(queue) = self.shelf_known(&asked.queue, "") else {
            return self.say(now, asker, said);
        };
        let number = self.number();
        let work = Work {
            asker,
            ids: asked.ids.iter().map(|letter| letter.id()).collect(),
            queue,
            next: 0,
            end: self.slab.end(),
            said,
            open: 0,
            until: now.mono + asked.wait_ms,
            asked,
        };
        let works = &mut self.redrives.letters.works;
        // Who asked first goes on in the next step: a count that came meanwhile moves nothing for it.
        let is_stepping = works.values().any(|work| !work.is_through());
        works.insert(number, work);
        if !is_stepping {
            self.redrive_step(now);
        }
    }

    fn say(&mut self, now: Now, asker: MemberId, said: Redriven) {
        if asker == self.me.member {
            self.on_redriven(now, asker, &said);
        } else {
            self.send(asker, Message::Redriven(said));
        }
    }

    /// One bounded step, for those who asked first.
    pub(super) fn redrive_step(&mut self, now: Now) {
        let mut budget = Budget {
            looks: limits::STEP_MESSAGES_MAX as u32,
            moves: limits::REDRIVE_STEP_MAX,
        };
        let works = self.redrives.letters.works.iter();
        // Where nothing is held there is nothing to look through, and that is to be said, too.
        let works = works.filter(|(_, work)| !work.is_through() || work.open == 0);
        let numbers: Vec<u64> = works.map(|(number, _)| *number).collect();
        for number in numbers {
            let Some(mut work) = self.redrives.letters.works.remove(&number) else {
                continue;
            };
            self.work_on(now, number, &mut work, &mut budget);
            self.keep_or_say(now, number, work);
        }
        let letters = &self.redrives.letters;
        if letters.works.values().any(|work| !work.is_through()) {
            let pause = if letters.is_full() { FULL_MS } else { STEP_MS };
            self.alarms.set_earlier(Alarm::Letters, now.mono + pause);
        }
    }

    fn keep_or_say(&mut self, now: Now, number: u64, work: Work) {
        if work.is_through() && work.open == 0 {
            return self.say(now, work.asker, work.said);
        }
        self.redrives.letters.works.insert(number, work);
    }

    fn work_on(&mut self, now: Now, number: u64, work: &mut Work, budget: &mut Budget) {
        while !work.is_through() && budget.looks > 0 && budget.moves > 0 {
            if work.has_enough() || work.until <= now.mono {
                work.next = work.end;
                return;
            }
            if self.redrives.letters.is_full() {
                return;
            }
            budget.looks -= 1;
            let index = work.next;
            work.next += 1;
            let Some(next) = self.look_at_letter(index, work) else {
                continue;
            };
            budget.moves -= 1;
            match self.send_back(now, index, next, number) {
                Ok(true) => work.said.moved += 1,
                Ok(false) => work.open += 1,
                Err(_) => work.said.refused += 1,
            }
        }
    }

    /// Counts a letter that is meant; answers what it becomes, where it is to be moved.
    fn look_at_letter(
        &self,
        index: u32,
        work: &mut Work,
    ) -> Option<(String, Option<String>, NewMessage)> {
        let slot = self.slab.get(index)?;
        let is_meant = slot.queue == work.queue
            && (work.ids.is_empty() || work.ids.contains(&slot.id))
            && work.asked.wants(slot.headers.as_ref());
        match slot.place {
            Place::Ready | Place::Delayed if is_meant => work.said.matched += 1,
            Place::Leased if is_meant => {
                work.said.leased += 1;
                return None;
            }
            _ => return None,
        }
        let Some(way) = way_of(slot, &work.asked) else {
            work.said.skipped += 1;
            return None;
        };
        if work.asked.is_dry_run {
            return None;
        }
        let headers = (!way.headers.is_empty()).then(|| match &slot.headers {
            Some(all) if all.len() == way.headers.len() => Headers::clone(all),
            _ => Arc::new(way.headers.to_vec()),
        });
        let message = NewMessage {
            body: slot.body.clone(),
            headers,
        };
        Some((way.queue.into(), way.group.map(Into::into), message))
    }

    /// A letter goes back, for that work. True where it is there already; else its copies are on their way.
    /// Errors, and the letter stays: as an enqueue's, and 102 without its group.
    fn send_back(
        &mut self,
        now: Now,
        index: u32,
        (queue, group, message): (String, Option<String>, NewMessage),
        number: u64,
    ) -> Result<bool> {
        let gone = || Error::from(ErrorKind::NotFound);
        let slot = self.slab.get(index).ok_or_else(gone)?;
        let (source, id, terms) = (slot.id, redriven_of(slot.id), terms_of(slot));
        let (from, bytes) = (slot.queue, slot.body.len());
        let queue = self.queue(&queue)?;
        let branches = self.branches_into(queue, group.as_deref(), id)?;
        let has_groups = !branches.is_empty();
        let is_made = |id: MessageId| self.index.get(id).is_some() || self.is_done(id);
        let branches = branches.into_iter().filter(|branch| {
            let origin = branch.origin;
            !is_made(MessageId { origin, ..id })
        });
        let branches: Vec<Branch> = branches.collect();
        // By another owner of the same letter.
        let is_there = match has_groups {
            true => branches.is_empty(),
            false => is_made(id),
        };
        if is_there {
            self.went_on(now, source, Onward::Redriven);
            return Ok(true);
        }
        let next = Next {
            id,
            queue,
            branches,
            message,
            terms,
        };
        if self.go_on(now, (source, Onward::Redriven), next)? {
            return Ok(true);
        }
        self.unlist(now, index);
        if let Some(slot) = self.slab.get_mut(index) {
            slot.place = Place::Dying;
        }
        self.discount_one(from, bytes);
        let letters = &mut self.redrives.letters;
        letters.under_way.insert(source, (number, bytes as u64));
        letters.open_bytes += bytes as u64;
        Ok(false)
    }

    /// The groups of a queue that a message gets which comes back: the one that it was in, or all. Errors:
    /// 102 where that one is not known (any more).
    fn branches_into(
        &self,
        queue: QueueKey,
        group: Option<&str>,
        id: MessageId,
    ) -> Result<Vec<Branch>> {
        let shelf = self.shelves.get(queue.0 as usize);
        let branches = shelf.into_iter().flat_map(|shelf| &shelf.branches);
        let wanted = branches.filter(|branch| group.is_none_or(|group| *branch.name == *group));
        let branches: Vec<Branch> = wanted
            .map(|branch| {
                let fan = Fan {
                    source: id.origin,
                    ..branch.fan
                };
                Branch {
                    origin: fan.origin(),
                    fan,
                    ..branch.clone()
                }
            })
            .collect();
        if group.is_some() && branches.is_empty() {
            return Err(Error::new(ErrorKind::NotFound).because("its group is gone"));
        }
        Ok(branches)
    }

    /// A letter is over: where its copies were on their way, they are there.
    pub(super) fn came_back(&mut self, now: Now, source: MessageId) {
        let letters = &mut self.redrives.letters;
        let Some((number, bytes)) = letters.under_way.remove(&source) else {
            return;
        };
        letters.open_bytes = letters.open_bytes.saturating_sub(bytes);
        // Nobody may wait for it any more.
        if let Some(mut work) = letters.works.remove(&number) {
            work.open = work.open.saturating_sub(1);
            work.said.moved += 1;
            self.keep_or_say(now, number, work);
        }
    }
}

/// Where a letter goes; none for one that does not say it, or may be in no two places.
fn way_of<'a>(slot: &'a Slot, asked: &'a Redrive) -> Option<Way<'a>> {
    let headers = slot.headers.as_deref().map_or(&[][..], Vec::as_slice);
    let (own, story) = parted(headers);
    let told = |wanted: &str| {
        let found = story.iter().find(|(key, _)| key == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let home = told(dead::QUEUE);
    let queue = match asked.to.as_str() {
        "" => home?,
        to => to,
    };
    if queue == asked.queue || slot.is_at_most_once() {
        return None;
    }
    let is_home = home == Some(queue);
    Some(Way {
        queue,
        group: told(dead::GROUP).filter(|_| is_home),
        headers: own,
    })
}

/// What holds for it where it goes: of a letter only its priority and its key, the rest was its queue's.
fn terms_of(slot: &Slot) -> Terms {
    let terms = slot.terms.as_deref().cloned().unwrap_or_default();
    if !terms.is_dead_letter {
        // It has another id there, and no dedup key.
        return Terms {
            dedup: String::new(),
            dedup_window: 0,
            dedup_until: 0,
            ..terms
        };
    }
    Terms {
        priority: terms.priority,
        key: terms.key,
        ..Terms::default()
    }
}
