//! Enqueues that another member takes, as if it had been called there (protocol.md 4.3, point 2): a message with
//! a key goes to the key's home, a member that leaves accepts nothing itself, and one that is short of memory only
//! what nobody with room takes.
//!
//! The taker accepts: it mints the ids, owns the messages, makes their copies, and judges pause, length and
//! memory. One hop: it never asks a third. What it answers is the caller's answer as it is. As long as
//! nothing was sent, or the taker says that it leaves itself, another is asked, and so it is where the taker has no
//! room for a message without a key; once it was sent and no answer comes it may have happened, and is never
//! tried again here (302).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec::Vec;

use super::batch::Caller;
use super::canary::QueueCanary;
use super::dedup::{check_single, key_of};
use super::delivery::{EnqueueOptions, NewMessage, Receipt};
use super::enqueue::check_count;
use super::message::{Header, Message};
use super::parts::Parts;
use super::stead::{EnqueueFor, EnqueuePart, Taken};
use super::{Alarm, Queues, limits};
use crate::base::{BootId, Error, ErrorKind, Instant, MemberId, Millis, Now, QueueKey, Result, id};
use crate::copies::{Asked, Terms};

/// Of the time that a caller waits the taker has all but this part: its answer has a way to go.
const WAY_PART: Millis = 8;

/// Where an enqueue goes.
enum Way {
    Here,
    To(MemberId),
    Nowhere,
}

/// What decides where an enqueue goes.
#[derive(Clone, Copy, Default)]
struct Route<'a> {
    key: Option<&'a str>,
    /// With the length of its window.
    dedup: Option<(&'a str, Millis)>,
}

impl<'a> Route<'a> {
    /// Errors: 101.
    fn asked(terms: &'a Asked, messages: usize) -> Result<Self> {
        let window = terms.dedup_window.unwrap_or(limits::DEDUP_WINDOW_MS);
        if terms.dedup.is_some() {
            check_single(messages)?;
        }
        Ok(Self {
            key: terms.key.as_deref(),
            dedup: terms.dedup.as_deref().map(|dedup| (dedup, window)),
        })
    }

    /// True for one that any member may take.
    fn is_free(&self) -> bool {
        self.key.is_none() && self.dedup.is_none()
    }

    fn of(terms: &'a Terms) -> Self {
        let some = |text: &'a str| (!text.is_empty()).then_some(text);
        Self {
            key: some(&terms.key),
            dedup: some(&terms.dedup).map(|dedup| (dedup, terms.dedup_window)),
        }
    }
}

/// An enqueue that another member was asked to take.
#[derive(Debug)]
struct Forward {
    caller: Caller,
    to: MemberId,
    /// Those that were asked before, and leave or had no room.
    tried: BTreeSet<MemberId>,
    ends: Instant,
    /// Kept for the next one that is asked.
    asked: EnqueueFor,
    queue: QueueKey,
}

/// Which enqueues were taken for one member, in this life of the link to it.
#[derive(Debug, Default)]
struct Heard {
    numbers: BTreeSet<u64>,
    /// All up to this one may have been.
    floor: u64,
}

impl Heard {
    /// Notes a number; false for one that was noted, or is too old to tell: a frame may come twice.
    fn is_first(&mut self, number: u64) -> bool {
        if number <= self.floor || !self.numbers.insert(number) {
            return false;
        }
        if self.numbers.len() > limits::TAKEN_MAX
            && let Some(lowest) = self.numbers.pop_first()
        {
            self.floor = lowest;
        }
        true
    }
}

/// What other members take for this one, and this one for others.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    open: BTreeMap<u64, Forward>,
    /// Of these.
    bytes: usize,
    made: u64,
    /// Numbers begin behind this one, another in each life of the process: whoever took something for the
    /// former life may answer the present one.
    first_number: u64,
    heard: BTreeMap<MemberId, Heard>,
    parts: Parts,
}

impl Forward {
    /// The key of its messages.
    fn key(&self) -> Option<&str> {
        let terms = self.asked.terms.as_deref();
        let key = terms.map(|terms| terms.key.as_str());
        key.filter(|key| !key.is_empty())
    }
}

impl Forwards {
    pub(super) fn new(boot: BootId) -> Self {
        Self {
            // So much of it that it stays short on the wire.
            first_number: boot.0 >> 16,
            ..Self::default()
        }
    }

    fn next_number(&mut self) -> u64 {
        self.made += 1;
        self.first_number + self.made
    }

    /// Another number for each enqueue, by which takers have their turns.
    pub(super) fn turn(&self) -> u64 {
        self.made
    }

    /// Enqueues without an answer yet.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn close(&mut self, number: u64) -> Option<Forward> {
        let forward = self.open.remove(&number)?;
        self.bytes = self.bytes.saturating_sub(forward.asked.weight());
        Some(forward)
    }
}

impl Queues {
    /// Puts messages in where they belong: here, or at another member.
    pub(super) fn enqueue_somewhere(
        &mut self,
        now: Now,
        caller: Caller,
        queue: QueueKey,
        messages: Vec<NewMessage>,
        options: EnqueueOptions,
    ) {
        let route = match Route::asked(&options.terms, messages.len()) {
            Ok(route) => route,
            Err(error) => return self.fail(caller, error),
        };
        let is_free = route.is_free();
        match self.way(queue, route, &BTreeSet::new()) {
            Way::Here => self.enqueue_taken(now, caller, queue, messages, options),
            // Whoever can accept it itself does not refuse it because another is hard to ask.
            Way::To(to) if is_free && !self.is_leaving() && !self.may_ask(to, &messages) => {
                self.enqueue_taken(now, caller, queue, messages, options);
            }
            Way::To(to) => {
                if let Err(error) = self.forward(now, (caller, to), queue, messages, options) {
                    self.fail(caller, error);
                }
            }
            // What is wrong with it is said before that nobody takes it.
            Way::Nowhere => {
                let checked = self.check_all(&messages);
                let checked = checked.and_then(|_| self.check_paused(queue));
                let error = checked.map_or_else(|error| error, |()| nobody_takes());
                self.fail(caller, error);
            }
        }
    }

    /// Puts messages in here.
    fn enqueue_taken(
        &mut self,
        now: Now,
        caller: Caller,
        queue: QueueKey,
        messages: Vec<NewMessage>,
        options: EnqueueOptions,
    ) {
        match key_of(&options) {
            Some(_) => self.enqueue_once(now, caller, queue, messages, options),
            None => self.enqueue_fanned(now, caller, queue, messages, options),
        }
    }

    /// Who takes an enqueue: the home of its key, or this member, or where that leaves or is short of memory,
    /// another.
    fn way(&self, queue: QueueKey, route: Route<'_>, tried: &BTreeSet<MemberId>) -> Way {
        let to = match (route.key, route.dedup) {
            // Its line is at one member, whoever remembers its dedup key.
            (Some(key), _) => self.home(queue, key, tried),
            (None, Some((dedup, window))) => self.dedup_way(queue, dedup, window, tried),
            (None, None) if self.is_leaving() => self.better_home(tried),
            (None, None) => self.better_home(tried).or(Some(self.me.member)),
        };
        match to {
            Some(to) if to == self.me.member => Way::Here,
            Some(_) if self.is_closing() => Way::Nowhere,
            Some(to) => Way::To(to),
            None => Way::Nowhere,
        }
    }

    /// Asks another member to accept these. Errors, with nothing sent: 101, 102, 104, 202, 203, 204.
    fn forward(
        &mut self,
        now: Now,
        (caller, to): (Caller, MemberId),
        queue: QueueKey,
        messages: Vec<NewMessage>,
        options: EnqueueOptions,
    ) -> Result<()> {
        self.check_all(&messages)?;
        check_count(messages.len())?;
        self.wanted_copies(&options)?;
        if self.shelves.get(queue.0 as usize).is_none() {
            return Err(ErrorKind::NotFound.into());
        }
        // Who does not know of the pause yet would accept it.
        self.check_paused(queue)?;
        let rules = self.rules(queue).and_then(|rules| rules.enqueue_timeout);
        let timeout = options.timeout.or(rules);
        let timeout = timeout.unwrap_or(self.settings.enqueue_timeout);
        let messages = messages.into_iter();
        let asked = EnqueueFor {
            number: 0,
            queue: self.name(queue).as_ref().into(),
            wait_ms: 0,
            copies: options.copies,
            on_short: options.on_short,
            if_no_group: options.if_no_group,
            terms: options.terms.terms(now)?,
            messages: messages.map(|one| (one.body, one.headers)).collect(),
        };
        self.check_forward(to, asked.weight())?;
        self.counters.enqueues_forwarded += asked.messages.len() as u64;
        let number = self.forwards.next_number();
        let ends = now.mono + timeout;
        self.alarms.set(Alarm::Forward(number), ends);
        let forward = Forward {
            caller,
            to,
            tried: BTreeSet::new(),
            ends,
            asked: EnqueueFor { number, ..asked },
            queue,
        };
        self.ask_taker(now, forward);
        Ok(())
    }

    /// True where nothing is in the way of asking `to` to take these.
    fn may_ask(&self, to: MemberId, messages: &[NewMessage]) -> bool {
        let bytes = EnqueueFor::weight_with(messages);
        self.check_forward(to, bytes).is_ok()
    }

    /// Errors: 104, 203.
    fn check_forward(&self, to: MemberId, bytes: usize) -> Result<()> {
        if bytes > limits::FORWARD_BYTES_MAX {
            return Err(Error::new(ErrorKind::TooLarge)
                .because(
                    "another member has to take the batch, and it is too large for the way there",
                )
                .with("bytes", bytes)
                .with("bytes_max", limits::FORWARD_BYTES_MAX));
        }
        if self.peers.get(&to).is_some_and(|peer| peer.is_full) {
            return Err(Error::new(ErrorKind::Overloaded)
                .because("the link to the member that is to take it is full: try again")
                .with("member", to));
        }
        let all = self.forwards.bytes.saturating_add(bytes);
        if self.forwards.len() >= limits::FORWARDS_MAX || all > limits::FORWARD_BYTES_MAX {
            return Err(Error::new(ErrorKind::Overloaded)
                .because("too many enqueues wait for the members that take them: try again")
                .with("enqueues", self.forwards.len())
                .with("enqueues_max", limits::FORWARDS_MAX)
                .with("bytes", all)
                .with("bytes_max", limits::FORWARD_BYTES_MAX));
        }
        Ok(())
    }

    fn ask_taker(&mut self, now: Now, mut forward: Forward) {
        let left = forward.ends.since(now.mono);
        forward.asked.wait_ms = (left - left / WAY_PART).max(1);
        let weight = forward.asked.weight();
        self.forwards.bytes += weight;
        if weight <= limits::FRAME_BYTES_MAX {
            self.send(forward.to, Message::EnqueueFor(forward.asked.clone()));
        } else {
            for part in forward.asked.in_parts() {
                self.send(forward.to, Message::EnqueuePart(part));
            }
        }
        if self.planted.is(QueueCanary::AtMostOnceHedged) {
            self.ask_second(&forward);
        }
        self.forwards.open.insert(forward.asked.number, forward);
    }

    /// The planted bug: whoever is first, the second one accepts the message, too.
    fn ask_second(&mut self, forward: &Forward) {
        let is_once = forward
            .asked
            .terms
            .as_ref()
            .is_some_and(|terms| terms.is_at_most_once);
        if let Some(second) = self.better_home(&[forward.to].into())
            && is_once
        {
            self.send(second, Message::EnqueueFor(forward.asked.clone()));
        }
    }

    /// A member asks this one to accept messages in its stead.
    pub(super) fn on_enqueue_for(&mut self, now: Now, from: MemberId, asked: EnqueueFor) {
        let number = asked.number;
        let heard = self.forwards.heard.entry(from).or_default();
        if heard.is_first(number) {
            self.take_for(now, from, asked);
        }
    }

    /// A member asks for one part of what is to be accepted in its stead: with the last one all is there.
    pub(super) fn on_enqueue_part(&mut self, now: Now, from: MemberId, part: EnqueuePart) {
        let number = part.asked.number;
        let heard = self.forwards.heard.entry(from).or_default();
        if heard.is_first(number) {
            self.forwards.parts.open(from, number);
        }
        match self.forwards.parts.add(from, part) {
            Ok(Some(asked)) => self.take_for(now, from, asked),
            Ok(None) => {}
            Err(error) => self.refuse_for(from, number, &error),
        }
    }

    fn take_for(&mut self, now: Now, from: MemberId, asked: EnqueueFor) {
        let number = asked.number;
        if self.is_leaving() {
            // Never onward: who asked knows whom else to ask.
            let taken = Taken {
                number,
                is_leaving: true,
                ..Taken::default()
            };
            return self.send(from, Message::Taken(taken));
        }
        let name = id::check_name("queue", &asked.queue, limits::NAME_BYTES_MAX);
        let queue = match name.and_then(|()| self.queue(&asked.queue)) {
            Ok(queue) => queue,
            Err(error) => return self.refuse_for(from, number, &error),
        };
        self.accept(now, Caller::For(from, number), queue, asked);
    }

    /// Accepts what was to go to another member, or comes from one.
    fn accept(&mut self, now: Now, caller: Caller, queue: QueueKey, asked: EnqueueFor) {
        let terms = asked.terms.as_ref();
        let is_at_most_once = terms.is_some_and(|terms| terms.is_at_most_once);
        let options = EnqueueOptions {
            copies: asked.copies,
            on_short: asked.on_short,
            timeout: Some(asked.wait_ms),
            terms: Asked {
                is_at_most_once,
                ..Asked::default()
            },
            dated: Some(asked.terms.unwrap_or_default()),
            if_no_group: asked.if_no_group,
        };
        let messages = asked.messages.into_iter();
        let messages = messages.map(|(body, headers)| NewMessage { body, headers });
        self.enqueue_taken(now, caller, queue, messages.collect(), options);
    }

    /// What was taken for a member is not accepted.
    pub(super) fn refuse_for(&mut self, member: MemberId, number: u64, error: &Error) {
        let context = error.context().iter().map(|(name, value)| Header {
            name: name.to_string(),
            value: value.clone(),
        });
        let taken = Taken {
            number,
            code: error.number().into(),
            reason: error.reason().into(),
            context: context.collect(),
            ..Taken::default()
        };
        self.send(member, Message::Taken(taken));
    }

    /// What was taken for a member is accepted.
    pub(super) fn took_for(&mut self, member: MemberId, number: u64, receipts: &[Receipt]) {
        self.counters.enqueues_taken += receipts.len() as u64;
        let first = receipts.first();
        let id = first.map(|first| first.id).unwrap_or_default();
        let copies = receipts.iter().map(|receipt| receipt.copies.into());
        let taken = Taken {
            number,
            origin: id.origin.0,
            first: id.sequence,
            wanted: first.map_or(0, |first| first.wanted.into()),
            copies: copies.collect(),
            is_duplicate: first.is_some_and(|first| first.is_duplicate),
            ..Taken::default()
        };
        self.send(member, Message::Taken(taken));
    }

    /// A member says what became of an enqueue of this one's.
    pub(super) fn on_taken(&mut self, now: Now, from: MemberId, taken: Taken) {
        let number = taken.number;
        let open = self.forwards.open.get(&number);
        let Some(open) = open.filter(|open| open.to == from) else {
            return;
        };
        if taken.is_leaving {
            if let Some(peer) = self.peers.get_mut(&from) {
                peer.is_leaving = true;
            }
            self.choose_candidates(now);
            return self.ask_next(now, number, nobody_takes());
        }
        // A home is the only one that may have its key's messages.
        if taken.code == u32::from(ErrorKind::Overloaded.number()) && open.key().is_none() {
            return self.ask_next(now, number, taken.to_error());
        }
        let is_whole = taken.copies.len() == open.asked.messages.len();
        let Some(forward) = self.close_forward(number) else {
            return;
        };
        if taken.code != 0 {
            self.fail(forward.caller, taken.to_error());
        } else if is_whole {
            self.give_receipts(forward.caller, taken.receipts());
        } else {
            self.leave_in_doubt(forward, "the member that took it answered something else");
        }
    }

    /// The one that was asked has done nothing: the next one is. Where there is none, the caller hears `error`.
    fn ask_next(&mut self, now: Now, number: u64, error: Error) {
        let Some(mut forward) = self.forwards.close(number) else {
            return;
        };
        forward.tried.insert(forward.to);
        let terms = forward.asked.terms.as_deref();
        let route = terms.map(Route::of).unwrap_or_default();
        match self.way(forward.queue, route, &forward.tried) {
            Way::To(next) => {
                forward.to = next;
                self.ask_taker(now, forward);
            }
            Way::Here => {
                self.alarms.clear(&Alarm::Forward(number));
                forward.asked.wait_ms = forward.ends.since(now.mono).max(1);
                self.accept(now, forward.caller, forward.queue, forward.asked);
            }
            Way::Nowhere => {
                self.alarms.clear(&Alarm::Forward(number));
                self.fail(forward.caller, error);
            }
        }
    }

    fn close_forward(&mut self, number: u64) -> Option<Forward> {
        self.alarms.clear(&Alarm::Forward(number));
        self.forwards.close(number)
    }

    /// It was sent, and what became of it is not known.
    fn leave_in_doubt(&mut self, forward: Forward, why: &str) {
        self.counters.indeterminate_outcomes += 1;
        let error = Error::new(ErrorKind::Interrupted)
            .because(why)
            .with("queue", self.name(forward.queue))
            .with("member", forward.to);
        self.fail(forward.caller, error);
    }

    pub(super) fn forward_is_late(&mut self, number: u64) {
        if let Some(forward) = self.close_forward(number) {
            self.leave_in_doubt(
                forward,
                "the member that was to take it did not answer in time; it may have happened",
            );
        }
    }

    /// A member's link is gone: it answers nothing, and hears none.
    pub(super) fn drop_forwards_with(&mut self, member: MemberId) {
        self.forwards.heard.remove(&member);
        self.forwards.parts.drop_of(member);
        let open = self.forwards.open.iter();
        let lost = open.filter(|(_, forward)| forward.to == member);
        let lost: Vec<u64> = lost.map(|(number, _)| *number).collect();
        for number in lost {
            if let Some(forward) = self.close_forward(number) {
                self.leave_in_doubt(
                    forward,
                    "the link to the member that was to take it went; it may have happened",
                );
            }
        }
    }

    /// This member leaves, or begins anew: no answer comes any more.
    pub(super) fn give_up_forwards(&mut self) {
        let open: Vec<u64> = self.forwards.open.keys().copied().collect();
        for number in open {
            if let Some(forward) = self.close_forward(number) {
                self.leave_in_doubt(
                    forward,
                    "this member left its cluster before the answer came; it may have happened",
                );
            }
        }
        self.forwards.heard.clear();
        self.forwards.parts = Parts::default();
    }
}

fn nobody_takes() -> Error {
    Error::new(ErrorKind::Unreachable).because("this member is leaving, and no other can take it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_that_of_an_enqueue_of_a_former_life() {
        let lives = [3 << 40, 5 << 40].map(|boot| {
            let mut forwards = Forwards::new(BootId(boot));
            [forwards.next_number(), forwards.next_number()]
        });
        let [former, present] = lives;
        assert_eq!(former[1], former[0] + 1);
        assert!(!former.iter().any(|number| present.contains(number)));
    }

    #[test]
    fn a_number_is_taken_once_and_none_that_is_too_old_to_tell() {
        let mut heard = Heard::default();
        assert!(heard.is_first(2) && heard.is_first(1));
        assert!(!heard.is_first(2) && !heard.is_first(1));
        let most = limits::TAKEN_MAX as u64;
        (3..=most + 5).for_each(|number| assert!(heard.is_first(number)));
        assert_eq!(heard.numbers.len(), limits::TAKEN_MAX);
        assert!(!heard.is_first(4) && !heard.is_first(most));
    }
}
