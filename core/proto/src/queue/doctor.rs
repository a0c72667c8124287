//! Why is nothing delivered? Every member says what it knows of a queue, and what follows from that is said
//! with it (protocol.md 4.4, features.md 4.6).
//!
//! The asking member asks every member that it is linked to, and itself; each looks through what it holds in
//! bounded steps. Looking changes nothing. What is found stands in `facts`.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use super::delivery::Reply;
use super::facts::{Examine, Examined, Facts, findings};
use super::groups::split;
use super::message::Message;
use super::slot::{Lessee, Place, Slot};
use super::{Alarm, Queues};
use crate::base::{
    Error, ErrorKind, Instant, MemberId, Millis, Now, QueueKey, Stamp, Ticket, limits,
};

/// How long the other members have.
const EXAMINE_MS: Millis = 2_000;
/// Pause between two steps, so that others get their turn.
const STEP_MS: Millis = 1;

/// Facts that are gathered for a host of this member.
#[derive(Debug, Default)]
struct Case {
    unheard: BTreeSet<MemberId>,
    missing: BTreeSet<MemberId>,
    facts: Vec<Facts>,
}

/// What is held here is looked through for somebody.
#[derive(Debug)]
struct Exam {
    asker: MemberId,
    number: u64,
    wards: BTreeMap<QueueKey, Ward>,
    next: u32,
    until: Instant,
}

/// One shelf of the queue.
#[derive(Debug, Default)]
struct Ward {
    facts: Facts,
    oldest: Option<Stamp>,
    next_ready: Option<Instant>,
    next_lease: Option<Instant>,
}

/// Examinations under way.
#[derive(Debug, Default)]
pub(super) struct Doctor {
    cases: BTreeMap<Ticket, Case>,
    exams: VecDeque<Exam>,
}

impl Doctor {
    /// Those that are not complete.
    pub(super) fn open(&self) -> usize {
        self.cases.len() + self.exams.len()
    }
}

impl Queues {
    /// What every member knows of a queue, and what follows. Answers [`Reply::Diagnosis`], 203.
    pub fn doctor(&mut self, now: Now, ticket: Ticket, queue: QueueKey) {
        if self.doctor.cases.len() >= limits::BROWSES_MAX {
            let error = Error::new(ErrorKind::Overloaded)
                .because("this member examines too many queues already")
                .with("doctors_max", limits::BROWSES_MAX);
            return self.reply(ticket, Err(error));
        }
        self.counters.doctors += 1;
        let me = self.me.member;
        let mut case = Case::default();
        case.unheard.insert(me);
        for (member, peer) in &self.peers {
            let those = match peer.is_linked {
                true => &mut case.unheard,
                false => &mut case.missing,
            };
            those.insert(*member);
        }
        let asked: Vec<MemberId> = case.unheard.iter().copied().collect();
        self.doctor.cases.insert(ticket, case);
        let at = now.mono + EXAMINE_MS;
        self.alarms.set(Alarm::Doctor(ticket), at);
        let examine = Examine {
            number: ticket.0,
            queue: String::from(self.name(queue).as_ref()),
        };
        for member in asked.into_iter().filter(|member| *member != me) {
            self.send(member, Message::Examine(examine.clone()));
        }
        self.examine(now, me, &examine);
    }

    /// Another member asks what is known here.
    pub(super) fn on_examine(&mut self, now: Now, from: MemberId, examine: &Examine) {
        let exams = self.doctor.exams.iter();
        let its = exams.filter(|exam| exam.asker == from).count();
        let is_full = self.peers.get(&from).is_none_or(|peer| peer.is_full);
        let is_busy =
            is_full || its >= limits::BROWSES_MAX || self.doctor.exams.len() >= limits::SCANS_MAX;
        if !is_busy {
            return self.examine(now, from, examine);
        }
        self.counters.browses_refused += 1;
        let examined = Examined {
            number: examine.number,
            is_busy,
            ..Examined::default()
        };
        self.send(from, Message::Examined(examined));
    }

    fn examine(&mut self, now: Now, asker: MemberId, examine: &Examine) {
        let is_first = self.doctor.exams.is_empty();
        self.doctor.exams.push_back(Exam {
            asker,
            number: examine.number,
            wards: self.wards_of(&examine.queue),
            next: 0,
            until: now.mono + EXAMINE_MS,
        });
        if is_first {
            self.doctor_step(now);
        }
    }

    /// The shelves of a queue: its own, and those of the groups that are known here.
    fn wards_of(&self, queue: &str) -> BTreeMap<QueueKey, Ward> {
        let Some(base) = self.shelf_known(queue, "") else {
            return BTreeMap::new();
        };
        let shelf = self.shelves.get(base.0 as usize);
        let branches = shelf.into_iter().flat_map(|shelf| &shelf.branches);
        let keys = core::iter::once(base).chain(branches.map(|branch| branch.key));
        keys.map(|key| (key, Ward::default())).collect()
    }

    /// One bounded step through the messages held here, for those who asked first.
    pub(super) fn doctor_step(&mut self, now: Now) {
        let mut budget = limits::STEP_MESSAGES_MAX as u32;
        while let Some(mut exam) = self.doctor.exams.pop_front() {
            if exam.until <= now.mono {
                continue;
            }
            // Where nothing of the queue can be there is nothing to look through.
            let last = if exam.wards.is_empty() {
                0
            } else {
                self.slab.end()
            };
            let end = last.min(exam.next.saturating_add(budget));
            for index in exam.next..end {
                self.look_at_patient(now, index, &mut exam);
            }
            budget -= end.saturating_sub(exam.next);
            exam.next = end.max(exam.next);
            if exam.next < last {
                self.doctor.exams.push_front(exam);
                return self.alarms.set_earlier(Alarm::Exam, now.mono + STEP_MS);
            }
            let asker = exam.asker;
            let examined = self.examined(now, exam);
            if asker == self.me.member {
                self.on_examined(asker, examined);
            } else {
                self.send(asker, Message::Examined(examined));
            }
        }
    }

    fn look_at_patient(&self, now: Now, index: u32, exam: &mut Exam) {
        let Some(slot) = self.slab.get(index) else {
            return;
        };
        let Some(ward) = exam.wards.get_mut(&slot.queue) else {
            return;
        };
        let due = self.wheel.at(index);
        let sooner = |known: Option<Instant>| match (known, due) {
            (Some(known), Some(due)) => Some(known.min(due)),
            (known, due) => known.or(due),
        };
        match slot.place {
            Place::Ready if !slot.is_expired(now) => {
                ward.facts.ready += 1;
                let oldest = ward.oldest.unwrap_or(slot.stamp);
                ward.oldest = Some(oldest.min(slot.stamp));
            }
            Place::Delayed => {
                ward.facts.delayed += 1;
                ward.next_ready = sooner(ward.next_ready);
            }
            Place::Leased => {
                ward.facts.leased += 1;
                ward.next_lease = sooner(ward.next_lease);
                match slot.lessee {
                    Lessee::There(member) => ward.facts.note_lessee(member),
                    _ => ward.facts.note_lessee(self.me.member),
                }
            }
            Place::Standby => {
                ward.facts.standby += 1;
                self.look_at_owner(slot, &mut ward.facts);
            }
            _ => {}
        }
    }

    /// A copy's owner may be out of reach.
    fn look_at_owner(&self, slot: &Slot, facts: &mut Facts) {
        if self.linked_keeper(slot.own.store).is_some() {
            return;
        }
        facts.stranded += 1;
        let mut holders = slot.holders.iter();
        if let Some(owner) = holders.find(|holder| holder.store == slot.own.store) {
            facts.note_owner(owner.member);
        }
    }

    fn examined(&self, now: Now, exam: Exam) -> Examined {
        let wards = exam.wards.into_iter();
        let mut facts: Vec<Facts> = wards
            .map(|(key, ward)| self.facts_of(now, key, ward))
            .collect();
        if facts.is_empty() {
            // It knows nothing of the queue, and has a budget all the same.
            facts.push(Facts {
                memory_percent: self.memory.percent(),
                memory_level: self.memory.level().into(),
                ..Facts::default()
            });
        }
        facts.sort_by(|one, next| one.group.cmp(&next.group));
        Examined {
            number: exam.number,
            is_busy: false,
            facts,
        }
    }

    fn facts_of(&self, now: Now, key: QueueKey, ward: Ward) -> Facts {
        let left = |at: Option<Instant>| at.map_or(0, |at| at.since(now.mono));
        let mut facts = ward.facts;
        facts.oldest_ms = ward
            .oldest
            .map_or(0, |stamp| now.wall_ms.saturating_sub(stamp.0 >> 16));
        (facts.next_ready_ms, facts.next_lease_ms) = (left(ward.next_ready), left(ward.next_lease));
        facts.memory_percent = self.memory.percent();
        facts.memory_level = self.memory.level().into();
        let Some(shelf) = self.shelves.get(key.0 as usize) else {
            return facts;
        };
        let (queue, group) = split(&shelf.name);
        facts.group = group.into();
        facts.receives = shelf.waiters.len() as u64;
        facts.behind = shelf.ready.behind() as u64;
        let sessions = shelf.sessions.iter().filter_map(|id| self.sessions.get(id));
        let open = sessions.filter(|session| !session.is_ended);
        for session in open {
            facts.subscriptions += 1;
            let held = session.held.len() as u32;
            let has_bytes = session
                .credit_bytes
                .is_none_or(|most| session.held_bytes < most);
            if has_bytes {
                facts.credit += u64::from(session.credit.saturating_sub(held));
            }
        }
        if let Some(rules) = &shelf.rules {
            facts.paused = u32::from(rules.is_paused_in) + 2 * u32::from(rules.is_paused_out);
            facts.messages_max = rules.messages_max.unwrap_or_default();
            facts.bytes_max = rules.bytes_max.unwrap_or_default();
            facts.is_full = rules.is_limited() && !rules.drops_oldest && self.is_at_maximum(key);
        }
        if facts.paused != 0 {
            facts.paused_by = self.book.paused_by(queue);
        }
        facts
    }

    /// Another member's answer, or this one's.
    pub(super) fn on_examined(&mut self, from: MemberId, examined: Examined) {
        let ticket = Ticket(examined.number);
        let case = self.doctor.cases.get_mut(&ticket);
        let Some(case) = case.filter(|case| case.unheard.contains(&from)) else {
            self.counters.browses_dropped += 1;
            return;
        };
        case.unheard.remove(&from);
        if examined.is_busy {
            case.missing.insert(from);
        }
        for mut facts in examined.facts {
            facts.set_member(from);
            case.facts.push(facts);
        }
        self.end_case_if_complete(ticket);
    }

    fn end_case_if_complete(&mut self, ticket: Ticket) {
        let case = self.doctor.cases.get(&ticket);
        if case.is_some_and(|case| case.unheard.is_empty()) {
            self.doctor_is_due(ticket);
        }
    }

    /// Answers with what there is.
    pub(super) fn doctor_is_due(&mut self, ticket: Ticket) {
        self.alarms.clear(&Alarm::Doctor(ticket));
        let Some(mut case) = self.doctor.cases.remove(&ticket) else {
            return;
        };
        self.drop_own_exam(ticket);
        case.missing.append(&mut case.unheard);
        let missing: Vec<MemberId> = case.missing.into_iter().collect();
        let found = findings(&case.facts, &missing);
        let mut facts = case.facts;
        facts.sort_by_cached_key(|facts| (facts.member(), facts.group.clone()));
        self.reply(ticket, Ok(Reply::Diagnosis(facts, found, missing)));
    }

    /// Nobody waits for that any more; false when nobody did.
    pub(super) fn end_doctor(&mut self, ticket: Ticket) -> bool {
        self.alarms.clear(&Alarm::Doctor(ticket));
        self.drop_own_exam(ticket);
        self.doctor.cases.remove(&ticket).is_some()
    }

    fn drop_own_exam(&mut self, ticket: Ticket) {
        let me = self.me.member;
        let exams = &mut self.doctor.exams;
        exams.retain(|exam| exam.asker != me || exam.number != ticket.0);
    }

    /// A member's link went: it hears no answer, and gives none.
    pub(super) fn drop_doctors_with(&mut self, member: MemberId) {
        self.doctor.exams.retain(|exam| exam.asker != member);
        let mut complete = Vec::new();
        for (ticket, case) in &mut self.doctor.cases {
            if case.unheard.remove(&member) {
                case.missing.insert(member);
                complete.push(*ticket);
            }
        }
        for ticket in complete {
            self.end_case_if_complete(ticket);
        }
    }
}
