//! Producers give their messages keys: of one key, one is out at a time, and in order (protocol.md 4.4).
//!
//! What is judged is what one owner gives of what it accepted itself: another's messages come to it in no
//! order, by design. That no two of a key are on lease at one owner is the engine's audit. Where nothing
//! fails, a key has one home, and so the order of its owner is the order of all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use primer_check::Value;
use primer_proto::base::{BootId, MessageId};

use crate::agenda::{Micros, SECOND};
use crate::dice::Dice;
use crate::fan::written;
use crate::letters::is_letter;
use crate::plan::Class;
use crate::world::World;

/// After a change of the cluster, calls that began before it may still be answered for so long.
const SETTLED: Micros = 10 * SECOND;

/// What one boot accepted into one queue with one key.
type Name = (BootId, usize, Arc<str>);

/// What is known of keys.
pub(crate) struct LinesBook {
    dice: Dice,
    /// By the value that a producer wrote.
    keys: BTreeMap<Value, Arc<str>>,
    /// The sequences of what is not over, as far as is known.
    lines: BTreeMap<Name, BTreeSet<u64>>,
    names: BTreeMap<MessageId, Name>,
    homes: BTreeMap<(usize, Arc<str>), BootId>,
    /// Since when every member has seen every other, without an end.
    whole_since: Option<Micros>,
}

impl LinesBook {
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed, 25),
            keys: BTreeMap::new(),
            lines: BTreeMap::new(),
            names: BTreeMap::new(),
            homes: BTreeMap::new(),
            whole_since: None,
        }
    }
}

impl World {
    /// The key of a producer's next call, for all of its values; often none.
    pub fn draw_key(&mut self, values: &[Value]) -> Option<Arc<str>> {
        if !self.plan.has_keys || self.lines.dice.percent(40) {
            return None;
        }
        let key: Arc<str> = format!("k{}", self.lines.dice.below(5)).into();
        let theirs = values.iter().map(|value| (*value, key.clone()));
        self.lines.keys.extend(theirs);
        Some(key)
    }

    /// The key that a value was put in with.
    pub fn key_of(&self, value: Value) -> Option<&Arc<str>> {
        let keys = self.lines.keys.get(&written(value));
        keys.filter(|_| !is_letter(value))
    }

    /// A message has its receipt; `waits` for one that has a date.
    pub fn note_in_line(&mut self, queue: usize, id: MessageId, value: Value, waits: bool) {
        let Some(key) = self.key_of(value).cloned() else {
            return;
        };
        self.judge_home(queue, &key, id);
        // Which of two with one identity has accepted something is not known.
        if waits || self.plan.has(Class::Twins) || self.ledger.acked.contains(&id) {
            return;
        }
        let name = (id.origin, queue, key);
        self.lines.names.insert(id, name.clone());
        self.lines
            .lines
            .entry(name)
            .or_default()
            .insert(id.sequence);
    }

    /// Where nothing fails, all that is put in with one key has one owner.
    fn judge_home(&mut self, queue: usize, key: &Arc<str>, id: MessageId) {
        // A group's ids have another origin than the message.
        if !self.plan.is_calm || queue >= self.plan.queues {
            return;
        }
        let count = self.living().count();
        let is_whole = self.living().all(|(_, life)| {
            let members = life.engine.members();
            members.len() == count && members.iter().all(|member| member.is_reachable)
        });
        if !is_whole {
            self.lines.whole_since = None;
            return;
        }
        let since = *self.lines.whole_since.get_or_insert(self.now);
        if self.now < since + SETTLED {
            return;
        }
        self.sometimes.hit("key at its home");
        let home = self.lines.homes.entry((queue, key.clone()));
        let home = *home.or_insert(id.origin);
        if home != id.origin {
            let detail = format!("key {key} of queue {queue} is at {home}, and {id} elsewhere");
            self.violation("home", detail);
        }
    }

    /// An owner gives what it accepted for the first time: all that it accepted before with that key is over.
    pub fn judge_line(&mut self, seat: usize, id: MessageId) {
        let Some(name) = self.lines.names.get(&id).cloned() else {
            return;
        };
        let line = self.lines.lines.get(&name).into_iter().flatten();
        let earlier: Vec<u64> = line
            .copied()
            .take_while(|other| *other < id.sequence)
            .collect();
        for sequence in earlier {
            let other = MessageId { sequence, ..id };
            let seen = self.life(seat).and_then(|life| life.engine.glimpse(other));
            let is_open = seen
                .as_ref()
                .is_some_and(|seen| seen.is_owned && seen.own.epoch == 0);
            // What went into groups that came late stands in line there, and is kept here until it is safe.
            let is_in_line = is_open && seen.is_some_and(|seen| !seen.is_parting);
            let value = self.ledger.values.get(&other).copied();
            let has_time = value.is_some_and(|value| !self.may_have_expired(value));
            if is_in_line && has_time {
                let detail = format!("m{seat} gives {id} of {} before {other} is over", name.2);
                self.violation("line", detail);
            }
            // What is over, or elsewhere, is not looked at again.
            if !is_open && let Some(line) = self.lines.lines.get_mut(&name) {
                line.remove(&sequence);
                self.sometimes.hit("next of a key");
            }
        }
    }
}
