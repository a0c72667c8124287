//! The memory budget: what is held is counted, and how near to the budget that is decides what this
//! member takes on (protocol.md 4.7).
//!
//! There are four levels, by the share of the budget that is used; each is left only some percent below
//! where it began, so that one message more or less does not change what others were told. Others place
//! copies by them: lower levels first, and none where copies are refused.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::canary::QueueCanary;
use super::delivery::{EnqueueOptions, Headers};
use super::{Alarm, Queues, limits};
use crate::base::{Error, ErrorKind, Instant, MemberId, Now, Result};
use crate::copies::Terms;

/// From this level on others are asked to take what is new.
const ELSEWHERE: u8 = 1;
/// So many others are asked at most to take one enqueue before this member judges it itself: each of them had
/// room a moment ago, by what it told.
const TRIES_MAX: usize = 3;
/// From this level on this member fetches little ahead, and keeps no room for what may come.
pub(super) const SPARING: u8 = 2;
/// From this level on new messages and copies are refused.
pub(super) const REFUSING: u8 = 3;

/// What is counted against the budget.
#[derive(Debug)]
pub(super) struct Memory {
    used: u64,
    max: u64,
    level: u8,
    /// The level is this one for as long as there is no less in use, and less than the other.
    stays: (u64, u64),
}

impl Memory {
    pub(super) fn new(max: u64) -> Self {
        let mut memory = Self {
            used: 0,
            max,
            level: 0,
            stays: (0, 0),
        };
        memory.judge();
        memory
    }

    pub(super) fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn level(&self) -> u8 {
        self.level
    }

    pub(super) fn percent(&self) -> u32 {
        let percent = u128::from(self.used) * 100 / u128::from(self.max.max(1));
        u32::try_from(percent).unwrap_or(u32::MAX)
    }

    fn fits(&self, bytes: u64) -> bool {
        self.used.saturating_add(bytes) <= self.max
    }

    /// True when that changed the level.
    #[inline]
    fn add(&mut self, bytes: u64) -> bool {
        self.used = self.used.saturating_add(bytes);
        self.used >= self.stays.1 && self.judge()
    }

    /// True when that changed the level.
    #[inline]
    fn free(&mut self, bytes: u64) -> bool {
        self.used = self.used.saturating_sub(bytes);
        self.used < self.stays.0 && self.judge()
    }

    /// Finds the level anew, and between which marks it stays.
    fn judge(&mut self) -> bool {
        let slack = limits::MEMORY_SLACK_PERCENT;
        let count = |slack: u64| {
            let begins = |percent: &&u64| self.used >= share(self.max, **percent - slack);
            limits::MEMORY_LEVELS.iter().filter(begins).count() as u8
        };
        let level = self.level.clamp(count(0), count(slack));
        let begins = |level: u8, slack: u64| {
            let percent = limits::MEMORY_LEVELS.get(usize::from(level).wrapping_sub(1));
            percent.map(|percent| share(self.max, *percent - slack))
        };
        let least = begins(level, slack).unwrap_or(0);
        self.stays = (least, begins(level + 1, 0).unwrap_or(u64::MAX));
        core::mem::replace(&mut self.level, level) != level
    }
}

/// So many percent of `max`, and no less.
fn share(max: u64, percent: u64) -> u64 {
    let share = (u128::from(max) * u128::from(percent)).div_ceil(100);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// What a message costs: its body, its headers, its keys, and what is kept beside them.
pub(super) fn cost(body: usize, headers: Option<&Headers>, terms: Option<&Terms>) -> u64 {
    let headers = headers.into_iter().flat_map(|headers| headers.iter());
    let headers: usize = headers.map(|(key, value)| key.len() + value.len()).sum();
    let (key, dedup) = terms.map_or(("", 0), |terms| (terms.key.as_str(), terms.dedup.len()));
    (body + headers + dedup) as u64 + limits::MESSAGE_OVERHEAD_BYTES + cost_of_key(key)
}

/// What a message's key and its place in line cost; nothing without one.
fn cost_of_key(key: &str) -> u64 {
    match key.len() {
        0 => 0,
        bytes => bytes as u64 + limits::LINE_OVERHEAD_BYTES,
    }
}

impl EnqueueOptions {
    /// What each message that is put in with these costs beside its body and headers.
    pub(super) fn cost(&self) -> u64 {
        let (key, dedup) = match &self.dated {
            Some(dated) => (Some(&*dated.key), Some(&*dated.dedup)),
            None => (self.terms.key.as_deref(), self.terms.dedup.as_deref()),
        };
        cost_of_key(key.unwrap_or_default()) + dedup.map_or(0, str::len) as u64
    }
}

impl Queues {
    /// How near this member is to its memory budget: 0 to 4.
    #[must_use]
    pub fn memory_level(&self) -> u8 {
        self.memory.level()
    }

    #[inline]
    pub(super) fn charge(&mut self, bytes: u64) {
        if self.memory.add(bytes) {
            self.level_changed();
        }
    }

    #[inline]
    pub(super) fn discharge(&mut self, bytes: u64) {
        if self.memory.free(bytes) {
            self.level_changed();
        }
    }

    #[cold]
    fn level_changed(&mut self) {
        self.counters.memory_levels += 1;
        if self.memory.level() >= SPARING {
            self.alarms.set_earlier(Alarm::Spare, Instant(0));
        }
    }

    /// Whether this member takes on so many bytes of new messages or copies. Errors: 203.
    pub(super) fn check_memory(&self, bytes: u64) -> Result<()> {
        let is_small = self.memory.level() < REFUSING && self.memory.fits(bytes);
        if is_small || self.planted.is(QueueCanary::BudgetIgnored) {
            return Ok(());
        }
        let mut error = self.overloaded();
        if let Some(roomy) = self.placement.roomiest() {
            error = error.with("member_with_room", roomy.member);
        }
        Err(error)
    }

    /// Whether there is room for what takes the place of a message that is held here: all of the budget
    /// is for that, or nothing could end as a dead letter where new messages are refused. Errors: 203.
    pub(super) fn check_reserve(&self, bytes: u64) -> Result<()> {
        if self.memory.fits(bytes) {
            return Ok(());
        }
        Err(self.overloaded())
    }

    fn overloaded(&self) -> Error {
        Error::new(ErrorKind::Overloaded)
            .because("this member's memory budget is used up: consume, add members or raise it")
            .with("bytes_used", self.memory.used())
            .with("memory_bytes_max", self.memory.max)
            .with("memory_level", self.memory.level())
            .with("retry_after_ms", limits::OVERLOADED_RETRY_MS)
    }

    /// Who should rather take new work than this member, which is short of memory or leaving: one that is
    /// neither, each in turn of those with the most room, by levels, and none of `tried`. None where this
    /// one is as good as any; while it leaves, where there is no other.
    ///
    /// The one place where that is decided, for whatever sends work there.
    pub(super) fn better_home(&self, tried: &BTreeSet<MemberId>) -> Option<MemberId> {
        let is_leaving = self.is_leaving();
        if !is_leaving && (self.memory.level() < ELSEWHERE || tried.len() >= TRIES_MAX) {
            return None;
        }
        let most = if is_leaving { u8::MAX } else { 0 };
        let able: Vec<(u8, MemberId)> = self
            .peers
            .iter()
            .filter(|(member, peer)| {
                let is_able = peer.is_open() && !peer.is_full && peer.takes_enqueues;
                is_able && peer.level <= most && !tried.contains(*member)
            })
            .map(|(member, peer)| (peer.level, *member))
            .collect();
        let least = able.iter().map(|(level, _)| *level).min()?;
        let mut able = able.into_iter().filter(|(level, _)| *level == least);
        let count = able.clone().count() as u64;
        let turn = self.forwards.turn().checked_rem(count)?;
        able.nth(turn as usize).map(|(_, member)| member)
    }

    /// True while others are to take what is new, if any of them has room.
    #[inline]
    pub(super) fn would_forward(&self) -> bool {
        self.memory.level() >= ELSEWHERE
    }

    /// A member says how near it is to its memory budget.
    pub fn peer_level(&mut self, now: Now, member: MemberId, level: u32) {
        // Of a later version there may be more.
        let most = limits::MEMORY_LEVELS.len() as u32;
        let level = level.min(most) as u8;
        if let Some(peer) = self.peers.get_mut(&member)
            && peer.level != level
        {
            peer.level = level;
            self.choose_candidates(now);
        }
    }

    /// How near a member is to its memory budget, as it last told.
    #[must_use]
    pub fn level_of(&self, member: MemberId) -> u8 {
        if member == self.me.member {
            return self.memory.level();
        }
        self.peers.get(&member).map_or(0, |peer| peer.level)
    }

    /// What a demand asks for that would ask for so many messages and bytes (0 for any number): less at a
    /// time where memory is short.
    pub(super) fn sparing(&self, (credit, bytes): (u32, u64)) -> (u32, u64) {
        if self.memory.level() < SPARING {
            return (credit.min(limits::DEMAND_MAX), bytes);
        }
        let most = limits::DEMAND_SPARING_BYTES_MAX;
        let bytes = if bytes == 0 { most } else { bytes.min(most) };
        (credit.min(limits::DEMAND_SPARING_MAX), bytes)
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
