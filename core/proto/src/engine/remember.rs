//! What outlives a restart: the metadata, the rows that say where members are, and the clock.
//!
//! Whoever keeps it asks for a copy. That is made in parts ([`Memo`]), because one step over
//! 100,000 keys would hold up messages; what was seen is written down first, and a context may be
//! older than the entries that it judges. What comes back is taken as [`Saved`] says, and from then
//! on it is as if this member had been cut off: it dials whom it remembers, and exchanges.

use alloc::vec::Vec;

use super::Engine;
use crate::base::{BootId, MemberId, Now};
use crate::membership::{Card, View};
use crate::metadata::{Saved, Saver};

/// Keys in one part of a copy. Guess: far below a millisecond.
const PART_KEYS: usize = 256;
/// Bytes after which a part ends early.
const PART_BYTES: usize = 256 << 10;

/// A copy of what outlives a restart, in the making.
#[derive(Debug)]
pub struct Memo {
    saver: Saver,
    /// The last key that was copied.
    after: Option<Vec<u8>>,
    /// [`Engine::era`] when it was begun.
    era: BootId,
}

impl Memo {
    /// Makes room for the next part, so that [`Engine::go_on`] spends no time on that: it may be
    /// called while messages wait.
    pub fn make_room(&mut self) {
        self.saver.reserve(2 * PART_BYTES);
    }
}

impl Engine {
    /// All that outlives a restart, in one step. For [`super::Config::metadata`].
    #[must_use]
    pub fn metadata(&self) -> Vec<u8> {
        let mut memo = self.memo();
        loop {
            match self.go_on(memo) {
                Ok(bytes) => return bytes,
                Err(more) => memo = more,
            }
        }
    }

    /// Begins a copy of what outlives a restart.
    #[must_use]
    pub fn memo(&self) -> Memo {
        let mut saver = Saver::new(self.table.map().context());
        for card in self.cards.whole().cards {
            if card.member() != self.me {
                saver.row(&card.to_bytes());
            }
        }
        let era = self.era();
        Memo {
            saver,
            after: None,
            era,
        }
    }

    /// Copies the next part. The bytes when that was the last one, else the copy so far, with other
    /// calls of the engine between the parts or not.
    pub fn go_on(&self, memo: Memo) -> Result<Vec<u8>, Memo> {
        // It began before a leave: that cluster's keys are none of this one's.
        let mut memo = if memo.era == self.era() {
            memo
        } else {
            self.memo()
        };
        let end = memo.saver.len() + PART_BYTES;
        let mut count = 0;
        let mut last = None;
        let map = self.table.map();
        for (key, entry) in map.entries_after(memo.after.as_deref(), PART_KEYS) {
            memo.saver.key(&entry);
            last = Some(key);
            count += 1;
            if memo.saver.len() >= end {
                break;
            }
        }
        if count < PART_KEYS && memo.saver.len() < end {
            return Ok(memo.saver.end(self.table.stamp()));
        }
        memo.after = last.map(Vec::from);
        Err(memo)
    }

    /// Differs when [`Engine::metadata`] is worth saving again (but for collisions). Costs little.
    #[must_use]
    pub fn metadata_version(&self) -> u64 {
        self.table.digest().wrapping_add(self.cards.digest())
    }

    /// Differs after this member left its cluster: what was known before is to be forgotten.
    #[must_use]
    pub fn era(&self) -> BootId {
        self.table.actor()
    }

    /// Who this member is, and the incarnation that orders its lives. A restart must know both, so
    /// whoever keeps them does it before anything goes out that the engine said meanwhile.
    #[must_use]
    pub fn identity(&self) -> (MemberId, u64) {
        (self.me, self.config.incarnation)
    }

    /// Takes in what was kept over a restart.
    pub(super) fn recall(&mut self, now: Now, metadata: &[u8]) {
        let mut saved = Saved::read(metadata);
        saved.is_whole &= !self.config.is_metadata_doubtful;
        if !saved.is_whole {
            self.counters.metadata_damaged += 1;
            self.counters.metadata_salvaged += saved.keys as u64;
        }
        self.table.recall(now, &saved);
        for card in saved
            .rows
            .iter()
            .filter_map(|row| Card::from_bytes(row).ok())
        {
            if card.member() != self.me {
                self.take_card(now, &card);
            }
        }
        // What the rooms hear of it is what they hear of a change; the host hears nothing: it has
        // known all that.
        let keys = View::keys(self.table.map());
        let changes = self.view.reread(self.table.map(), &keys);
        self.changed(now, &changes);
        self.reread_groups(now);
        self.reread_configs(now);
        // Each of a pair dials, whoever has the lower id: the other one may be elsewhere by now.
        // Where members are may be known though their keys were damaged.
        for card in self.cards.rows() {
            self.dialler.remember(now.mono, &card.address);
        }
        let members = self.view.members();
        self.cards.keep(|member| members.contains_key(&member));
    }
}

#[cfg(test)]
#[path = "remember_tests.rs"]
mod tests;
