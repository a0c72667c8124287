//! Anti-entropy: members compare their tables and repair what broadcasts missed (protocol.md 2 and
//! 3.1). One way: each side learns by an exchange of its own.
//!
//! ```text
//! learner                                peer (keeps nothing between messages)
//! ASK      root, digest            ->
//!                                  <-    SAME, or SUMS of 256 groups and the context, in parts
//! COMPARE  what I have in ranges   ->
//!                                  <-    ENTRIES that differ, hashes of those it lacks, how far
//! COMPARE  the rest ...            ->
//! ```
//! One exchange runs at a time, so that a joiner does not pull everything from everyone; while it is
//! stalled another begins. This file starts, paces and abandons them; `lesson` is what one learns,
//! `answer` what is answered.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::answer::{self, Bounds};
use super::canary::{MetaCanary, Planted};
use super::lesson::{Lesson, Step};
use super::message::{
    ASK, Ask, BODY_BYTES_MAX, COMPARE, Compare, ENTRIES, Exchange, OVER, Seen, corrupt,
};
use super::table::Table;
use crate::base::{Instant, MemberId, Millis, Now, Result, limits};

/// A member exchanges with a random other one this often, give or take a fifth (protocol.md 2).
pub const EXCHANGE_EVERY_MS: Millis = 10_000;
/// An exchange without progress for this long is abandoned.
const PROGRESS_MS: Millis = 5_000;
/// An exchange without progress for this long does not keep another from beginning. Guess.
const STALL_MS: Millis = 500;
/// Exchanges that run at one time, all but one of them stalled.
const ACTIVE_MAX: usize = 3;

/// Counts of what exchanges did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExchangeStats {
    /// Exchanges begun.
    pub started: u64,
    /// Exchanges that ended with everything learned.
    pub finished: u64,
    /// Exchanges that ended otherwise: silence, a lost link, another table on one of the sides.
    pub abandoned: u64,
    /// Keys that were changed.
    pub repaired: u64,
}

#[derive(Debug)]
struct Active {
    lesson: Lesson,
    heard_at: Instant,
}

/// This member's exchanges, and its answers to those of others.
#[derive(Debug, Default)]
pub struct Exchanges {
    active: BTreeMap<MemberId, Active>,
    queue: VecDeque<MemberId>,
    number: u64,
    out: Vec<(MemberId, Exchange)>,
    finished: Vec<MemberId>,
    stats: ExchangeStats,
    bounds: Bounds,
    planted: Planted,
}

impl Exchanges {
    /// Wants an exchange with `member`: at a link-up, when digests stay different, and now and then.
    /// It begins now or when those before it are done; wanted twice, it waits once.
    pub fn start(&mut self, now: Instant, member: MemberId, table: &Table) {
        if !self.queue.contains(&member) && self.queue.len() < limits::MEMBERS_MAX {
            self.queue.push_back(member);
        }
        self.pump(now, table);
    }

    /// Takes a message in; answers the keys of the map that it changed.
    ///
    /// Errors: 503 for what no member of ours sends; the link must be closed.
    pub fn hear(
        &mut self,
        now: Now,
        member: MemberId,
        message: Exchange,
        table: &mut Table,
    ) -> Result<Vec<Vec<u8>>> {
        if message.body.len() > BODY_BYTES_MAX {
            return Err(corrupt("an exchange message is too large"));
        }
        match message.kind {
            ASK => {
                let ask = Ask::read(message.body.clone())?;
                let life = table.actor().0;
                let parts = answer::sums(table.map(), life, &message, &ask, self.bounds);
                self.out
                    .extend(parts.into_iter().map(|part| (member, part)));
                Ok(Vec::new())
            }
            COMPARE => {
                let answer = self.compared(&message, table)?;
                self.out.push((member, answer));
                Ok(Vec::new())
            }
            _ => self.learn(now, member, &message, table),
        }
    }

    /// Abandons what is silent for too long and begins what can begin.
    pub fn wake(&mut self, now: Instant, table: &Table) {
        let before = self.active.len();
        self.active
            .retain(|_, active| now.since(active.heard_at) < PROGRESS_MS);
        self.abandoned(before - self.active.len());
        self.pump(now, table);
    }

    /// When [`Exchanges::wake`] has something to do.
    #[must_use]
    pub fn next_wake(&self) -> Instant {
        let times = self.active.values().map(|active| active.heard_at);
        let silent = times
            .clone()
            .min()
            .map_or(Instant::NEVER, |at| at + PROGRESS_MS);
        let is_waiting = self
            .queue
            .iter()
            .any(|member| !self.active.contains_key(member));
        if !is_waiting || self.active.len() >= ACTIVE_MAX {
            return silent;
        }
        let stalled = times.max().map_or(Instant(0), |at| at + STALL_MS);
        silent.min(stalled)
    }

    /// The link to a member is gone, and with it an exchange under way.
    pub fn forget(&mut self, member: MemberId) {
        self.queue.retain(|waiting| *waiting != member);
        let gone = self.active.remove(&member);
        self.abandoned(usize::from(gone.is_some()));
    }

    /// Abandons everything, after [`Table::reset`].
    pub fn clear(&mut self) {
        self.queue.clear();
        let count = self.active.len();
        self.active.clear();
        self.abandoned(count);
    }

    /// Takes the messages to be sent, in order.
    pub fn out(&mut self) -> Vec<(MemberId, Exchange)> {
        core::mem::take(&mut self.out)
    }

    /// Takes the members from whom everything was learned since last asked.
    pub fn finished(&mut self) -> Vec<MemberId> {
        core::mem::take(&mut self.finished)
    }

    /// True when no exchange runs or waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.active.is_empty() && self.queue.is_empty()
    }

    /// Counts so far.
    #[must_use]
    pub fn stats(&self) -> ExchangeStats {
        self.stats
    }

    /// Plants a bug for a test to catch.
    #[cfg(any(test, feature = "canary"))]
    pub fn plant(&mut self, canary: MetaCanary) {
        self.planted = Planted::new(canary);
    }

    fn compared(&self, message: &Exchange, table: &Table) -> Result<Exchange> {
        let compare = Compare::read(message.body.clone())?;
        if message.life != table.actor().0 {
            // These entries would be judged by the context of a table that is no more.
            return Ok(Exchange::new(OVER, message.number));
        }
        let mut body = answer::entries(table.map(), &compare, self.bounds).write();
        if self.planted.is(MetaCanary::YoungContext) {
            let context = table.map().context();
            let seen = Seen {
                is_last: true,
                vector: context.vector().collect(),
                cloud: context.cloud().collect(),
            };
            seen.write(&mut body);
        }
        Ok(Exchange {
            round: message.round,
            life: message.life,
            body: body.freeze(),
            ..Exchange::new(ENTRIES, message.number)
        })
    }

    fn learn(
        &mut self,
        now: Now,
        member: MemberId,
        message: &Exchange,
        table: &mut Table,
    ) -> Result<Vec<Vec<u8>>> {
        let mut changed = Vec::new();
        let Some(active) = self.active.get_mut(&member) else {
            return Ok(changed);
        };
        let how = (self.bounds, self.planted);
        let step = active.lesson.hear(now, message, table, &mut changed, how);
        self.stats.repaired += changed.len() as u64;
        if !matches!(step, Ok(Step::Nothing)) {
            active.heard_at = now.mono;
        }
        match step {
            Ok(Step::Nothing | Step::Wait) => return Ok(changed),
            Ok(Step::Ask(question)) => {
                self.out.push((member, question));
                return Ok(changed);
            }
            Ok(Step::Done) => {
                self.active.remove(&member);
                self.stats.finished += 1;
                self.finished.push(member);
            }
            Ok(Step::Over) => self.forget_active(member),
            Err(error) => {
                self.forget_active(member);
                return Err(error);
            }
        }
        self.pump(now.mono, table);
        Ok(changed)
    }

    fn forget_active(&mut self, member: MemberId) {
        self.active.remove(&member);
        self.abandoned(1);
    }

    fn abandoned(&mut self, count: usize) {
        self.stats.abandoned += count as u64;
    }

    /// Begins what waits, while nothing that moves is under way.
    fn pump(&mut self, now: Instant, table: &Table) {
        while self.active.len() < ACTIVE_MAX {
            let mut active = self.active.values();
            if active.any(|active| now.since(active.heard_at) < STALL_MS) {
                return;
            }
            let mut waiting = self.queue.iter();
            let Some(at) = waiting.position(|member| !self.active.contains_key(member)) else {
                return;
            };
            let Some(member) = self.queue.remove(at) else {
                return;
            };
            self.number += 1;
            let (lesson, question) = Lesson::begin(self.number, table, self.bounds);
            let heard_at = now;
            self.active.insert(member, Active { lesson, heard_at });
            self.stats.started += 1;
            self.out.push((member, question));
        }
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "model_tests.rs"]
mod model;
