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
use alloc::vec::Vec;

use super::batch::Caller;
use super::canary::QueueCanary;
use super::dedup::{check_single, key_of};
use super::delivery::{EnqueueOptions, NewMessage};
use super::enqueue::check_count;
use super::message::Message;
use super::parts::Parts;
use super::stead::{EnqueueFor, Taken};
use super::taker::Heard;
use super::{Alarm, Queues, limits};
use crate::base::{BootId, Error, ErrorKind, Instant, MemberId, Millis, Now, QueueKey, Result};
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
    pub(super) heard: BTreeMap<MemberId, Heard>,
    pub(super) parts: Parts,
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
    pub(super) fn enqueue_taken(
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
            (Some(key), dedup) => self.home(queue, (key, dedup.is_some()), tried),
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
        // Its key stands for this queue until the taker has answered.
        self.hold_queue(queue);
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
        let most = self.largest_for(to);
        if bytes > most {
            return Err(Error::new(ErrorKind::TooLarge)
                .because(
                    "another member has to take the batch, and it is too large for the way there",
                )
                .with("bytes", bytes)
                .with("bytes_max", most));
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

    /// The bytes that a member can be asked to take at once.
    fn largest_for(&self, to: MemberId) -> usize {
        // Parts came with the version that brought dedup keys.
        let reads_parts = self.peers.get(&to).is_some_and(|peer| !peer.lacks_dedup);
        match reads_parts {
            true => limits::FORWARD_BYTES_MAX,
            false => limits::FRAME_BYTES_MAX,
        }
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
        self.alarms.clear(&Alarm::Forward(number));
        forward.tried.insert(forward.to);
        let queue = forward.queue;
        match self.next_way(&mut forward) {
            Way::To(next) => {
                // The former number may be too old for the next one to tell from one that it has heard.
                let number = self.forwards.next_number();
                self.alarms.set(Alarm::Forward(number), forward.ends);
                forward.asked.number = number;
                forward.to = next;
                self.ask_taker(now, forward);
            }
            Way::Here => {
                forward.asked.wait_ms = forward.ends.since(now.mono).max(1);
                self.accept(now, forward.caller, queue, forward.asked);
                self.release_queue(queue);
            }
            Way::Nowhere => {
                self.release_queue(queue);
                self.fail(forward.caller, error);
            }
        }
    }

    /// Where an enqueue goes that one member has not taken.
    fn next_way(&self, forward: &mut Forward) -> Way {
        let bytes = forward.asked.weight();
        loop {
            let terms = forward.asked.terms.as_deref();
            let route = terms.map(Route::of).unwrap_or_default();
            let is_free = route.is_free();
            match self.way(forward.queue, route, &forward.tried) {
                Way::To(next) if bytes > self.largest_for(next) && is_free => {
                    forward.tried.insert(next);
                }
                Way::To(next) if bytes > self.largest_for(next) => return Way::Nowhere,
                way => return way,
            }
        }
    }

    fn close_forward(&mut self, number: u64) -> Option<Forward> {
        self.alarms.clear(&Alarm::Forward(number));
        let forward = self.forwards.close(number)?;
        self.release_queue(forward.queue);
        Some(forward)
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
}
