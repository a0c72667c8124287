//! Users who write keys and speak on topics, and what must become of it.
//!
//! The oracle for keys is exact. A value that was seen under a key by whoever wrote or removed that
//! key is dead: it may never be read again once everyone agrees. A value that nobody saw is alive,
//! and must be there. Both hold for writers whose memory lasted to the end; what only a crashed
//! member knew may be lost.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use primer_proto::engine::{Answer, Broadcast, Command, Entry};

use crate::agenda::{MS, Micros, SECOND};
use crate::plan::Class;
use crate::users::{Act, What};
use crate::world::{Phase, World};

/// Keys that everyone writes.
const KEYS: usize = 6;
/// Keys that one memory of one member writes alone begin so.
const OWN: &str = "own/";
/// The one topic.
const TOPIC: &str = "talk";

/// A memory: a seat, and which one of its memories. A crash and a leave begin another.
pub(crate) type Memory = (usize, u32);

/// A value that was written.
struct Written {
    key: String,
    by: Known,
    /// Who wrote or removed its key while seeing it.
    killers: Vec<Known>,
}

/// Who came to know something, and when.
type Known = (Memory, Micros);

/// What was written and said.
#[derive(Default)]
pub(crate) struct Talk {
    values: BTreeMap<Bytes, Written>,
    /// Who heard what.
    heard: BTreeSet<(Memory, Bytes)>,
    /// What was told to a whole and quiet cluster, and by whom.
    must_be_heard: BTreeMap<Bytes, Memory>,
    last: u64,
    /// Who saw siblings of one writer, and at which values, when it was last looked.
    split: BTreeSet<(usize, String, Vec<Bytes>)>,
    /// The most dots that any member held out of order.
    pub largest_cloud: usize,
}

impl World {
    /// A member's memory.
    pub fn memory(&self, seat: usize) -> Memory {
        (seat, self.seats[seat].generation)
    }

    /// The talkers of a new process.
    pub fn talkers(&mut self, seat: usize) {
        if self.phase != Phase::Load {
            return;
        }
        if self.plan.has(Class::Keys) {
            self.later(seat, SECOND, Act::Write);
        }
        if self.plan.has(Class::Topics) {
            self.later(seat, SECOND, Act::Tell);
        }
    }

    /// A pause between two acts of a talker: a cluster of many shares what one of few would do.
    fn talk_pause(&mut self) -> Micros {
        let members = self.plan.members.max(5) as u64;
        2 * self.user_dice.range(50, 400) * MS * members / 5
    }

    /// Writes or removes a key.
    pub fn write_key(&mut self, seat: usize) {
        if self.phase != Phase::Load || self.life(seat).is_none() {
            return;
        }
        let pause = self.talk_pause();
        self.later(seat, pause, Act::Write);
        let (_, generation) = self.memory(seat);
        let key = if self.user_dice.percent(20) {
            format!("{OWN}{seat}/{generation}")
        } else {
            format!("key/{}", self.user_dice.index(KEYS))
        };
        // Now and then several at once: the later ones travel together.
        let count = if self.user_dice.percent(20) { 4 } else { 1 };
        for _ in 0..count {
            self.write_once(seat, key.clone());
        }
    }

    fn write_once(&mut self, seat: usize, key: String) {
        let seen = self.visible(seat, &key);
        let value = if self.user_dice.percent(75) {
            self.talk.last += 1;
            Some(Bytes::from(format!("{}@{seat}", self.talk.last)))
        } else {
            None
        };
        let command = match &value {
            Some(value) => Command::Put {
                key: key.clone(),
                value: value.clone(),
            },
            None => Command::Delete(key.clone()),
        };
        self.ask(seat, command, What::Write { key, value, seen });
    }

    fn visible(&self, seat: usize, key: &str) -> Vec<Bytes> {
        let entry = self.life(seat).and_then(|life| life.engine.get(key));
        entry.map(values_of).unwrap_or_default()
    }

    /// A write is answered.
    pub fn written(
        &mut self,
        seat: usize,
        key: String,
        value: Option<Bytes>,
        seen: &[Bytes],
        answer: &Answer,
    ) {
        match answer {
            Ok(_) => {}
            Err(error) if error.number() == 203 => return,
            Err(error) => return self.odd_answer(seat, "write", error),
        }
        let by = (self.memory(seat), self.now);
        for dead in seen {
            if let Some(written) = self.talk.values.get_mut(dead) {
                written.killers.push(by);
            }
        }
        self.sometimes.hit(match (&value, seen.len()) {
            (None, 0) => return,
            (None, _) => "key removed",
            (Some(_), 0 | 1) => "key written",
            (Some(_), _) => "siblings replaced",
        });
        if let Some(value) = value {
            let written = Written {
                key,
                by,
                killers: Vec::new(),
            };
            self.talk.values.insert(value, written);
        }
    }

    /// Says something.
    pub fn tell_topic(&mut self, seat: usize) {
        if self.phase != Phase::Load || self.life(seat).is_none() {
            return;
        }
        let pause = self.talk_pause();
        self.later(seat, pause, Act::Tell);
        self.talk.last += 1;
        let body = Bytes::from(format!("{}@{seat}", self.talk.last));
        if self.plan.is_calm && self.disagreement().is_none() && self.is_everyone_up() {
            let by = self.memory(seat);
            self.talk.must_be_heard.insert(body.clone(), by);
        }
        let topic = TOPIC.to_string();
        self.ask(seat, Command::Broadcast { topic, body }, What::Tell);
    }

    fn is_everyone_up(&self) -> bool {
        self.living().count() == self.seats.len()
    }

    /// A member hears something: once (M7).
    pub fn heard(&mut self, seat: usize, broadcast: &Broadcast) {
        let memory = self.memory(seat);
        if !self.talk.heard.insert((memory, broadcast.body.clone())) {
            let detail = format!("m{seat} heard {:?} twice", broadcast.body);
            self.violation("broadcast", detail);
        }
    }

    /// Where nothing is lost, who writes a key alone never has a sibling there. (Else a member may
    /// miss the write that replaced one, until the exchange.)
    pub fn watch_siblings(&mut self) {
        if !self.plan.is_calm {
            return;
        }
        let mut split = BTreeSet::new();
        for (seat, life) in self.living() {
            let own = life.engine.list(OWN, usize::MAX, None);
            for entry in own.into_iter().filter(|entry| !entry.others.is_empty()) {
                split.insert((seat, entry.key, entry.others));
            }
        }
        // An exchange brings entries before it brings what was seen: that may pass, and has until now.
        let before = std::mem::replace(&mut self.talk.split, split);
        let stays = before.intersection(&self.talk.split);
        let odd: Vec<String> = stays
            .map(|(seat, key, _)| format!("m{seat} sees siblings at {key}"))
            .collect();
        for what in odd {
            self.violation("sibling", what);
        }
    }

    /// Why the members do not have the same metadata; none when they do (M1).
    pub fn discord(&self) -> Option<String> {
        let mut digests = self
            .living()
            .map(|(seat, life)| (seat, life.engine.meta_digest()));
        let (first, digest) = digests.next()?;
        let other = digests.find(|(_, other)| *other != digest)?.0;
        Some(format!("m{first} and m{other} have other metadata"))
    }

    /// What was written and said, at the end.
    pub fn judge_talk(&mut self) {
        let seats: Vec<usize> = self.living().map(|(seat, _)| seat).collect();
        let Some(first) = seats.first().copied() else {
            return;
        };
        let lists: Vec<Vec<Entry>> = seats.iter().map(|seat| self.listed(*seat)).collect();
        for (seat, list) in seats.iter().zip(&lists) {
            if *list != lists[0] {
                let detail = format!("m{seat} reads other keys than m{first}");
                self.violation("keys", detail);
            }
        }
        let alive: BTreeSet<Bytes> = lists[0].iter().cloned().flat_map(values_of).collect();
        let lasting: BTreeSet<Memory> = seats.iter().map(|seat| self.memory(*seat)).collect();
        let mut broken = Vec::new();
        for (value, written) in &self.talk.values {
            let is_alive = alive.contains(value);
            let lasts = |known: &Known| {
                let ((seat, generation), at) = *known;
                self.still_knows(seat, generation, at)
            };
            let killer = written.killers.iter().find(|known| lasts(known));
            if is_alive && let Some(killer) = killer {
                let (seat, key) = (killer.0.0, &written.key);
                broken.push(format!(
                    "{value:?} of {key} is back, which m{seat} replaced"
                ));
            }
            if !is_alive && written.killers.is_empty() && lasts(&written.by) {
                broken.push(format!("{value:?} of {} is lost", written.key));
            }
        }
        for value in alive
            .iter()
            .filter(|value| !self.talk.values.contains_key(*value))
        {
            broken.push(format!("{value:?} was never written"));
        }
        for (body, by) in &self.talk.must_be_heard {
            let deaf = seats.iter().find(|seat| {
                let memory = self.memory(**seat);
                !self.talk.heard.contains(&(memory, body.clone()))
            });
            if lasting.contains(by)
                && let Some(deaf) = deaf
            {
                broken.push(format!("m{deaf} never heard {body:?}"));
            }
        }
        for what in broken {
            self.violation("talk", what);
        }
    }

    fn listed(&self, seat: usize) -> Vec<Entry> {
        let life = self.life(seat);
        life.map_or_else(Vec::new, |life| life.engine.list("", usize::MAX, None))
    }
}

fn values_of(entry: Entry) -> Vec<Bytes> {
    let mut values = entry.others;
    values.push(entry.value);
    values
}
