//! Dead letters: what consumers reject, and what fails too often, goes on in another queue
//! (protocol.md 4.4).
//!
//! To the checkers a dead letter is a value of its own, put in when it was first seen: from then on it
//! is lost or stranded, leased and settled as any other, and has one id (Q10). What it says of its
//! source is held against what is known of that one. Its source is over then, whoever acked it or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use primer_check::{Extra, Kind, Value, Verb};
use primer_proto::base::MessageId;
use primer_proto::copies::dead_letter_of;
use primer_proto::engine::{Headers, Leased, ReplyTo};

use crate::dice::Dice;
use crate::ledger::{About, id_of};
use crate::users::{Act, Role};
use crate::world::World;

/// What a dead letter's process has more than its source's.
const LETTER_STEP: u64 = 10_000_000;
/// Behind a queue's name: where its dead letters are.
const SUFFIX: &str = ".dead";

/// What is known of dead letters.
pub(crate) struct LettersBook {
    dice: Dice,
    /// Those that were seen.
    met: BTreeSet<Value>,
    /// What each of them was, as far as that is known.
    sources: BTreeMap<MessageId, MessageId>,
    /// What consumers rejected, and what they said.
    rejected: BTreeMap<Value, Vec<String>>,
    /// How often a value may be given out, where its producer said so.
    attempts_max: BTreeMap<Value, u32>,
}

impl LettersBook {
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed, 18),
            met: BTreeSet::new(),
            sources: BTreeMap::new(),
            rejected: BTreeMap::new(),
            attempts_max: BTreeMap::new(),
        }
    }
}

/// What a dead letter's headers say of its source.
#[derive(Debug, Default)]
pub(crate) struct Death {
    pub(crate) cause: String,
    pub(crate) queue: String,
    group: String,
    pub(crate) id: String,
    pub(crate) attempts: String,
    pub(crate) reason: String,
}

/// The headers of a message before it died, if it did.
pub(crate) fn without_death(headers: Option<&Headers>) -> Option<Headers> {
    parted(headers).0
}

/// The headers of a source, and what was added when it died.
pub(crate) fn parted(headers: Option<&Headers>) -> (Option<Headers>, Death) {
    let mut death = Death::default();
    let mut own = Vec::new();
    for (key, value) in headers.into_iter().flat_map(|headers| headers.iter()) {
        let place = match key.as_str() {
            "primer-cause" => &mut death.cause,
            "primer-queue" => &mut death.queue,
            "primer-group" => &mut death.group,
            "primer-id" => &mut death.id,
            "primer-attempts" => &mut death.attempts,
            "primer-reason" => &mut death.reason,
            _ => {
                own.push((key.clone(), value.clone()));
                continue;
            }
        };
        place.clone_from(value);
    }
    ((!own.is_empty()).then(|| Arc::new(own)), death)
}

/// The value of a source's dead letter.
fn letter_of(value: Value) -> Value {
    Value {
        process: value.process + LETTER_STEP,
        ..value
    }
}

/// True for the value of a dead letter.
pub(crate) const fn is_letter(value: Value) -> bool {
    value.process >= LETTER_STEP
}

impl World {
    /// How many queues of dead letters there are: one for each that is fed.
    pub fn dead_queue_count(&self) -> usize {
        let fed = self.plan.queues + usize::from(self.plan.has_groups);
        if self.plan.has_letters { fed } else { 0 }
    }

    /// The queue whose dead letters are in that one.
    pub fn source_queue(&self, queue: usize) -> Option<usize> {
        let first = self.queue_count() - self.dead_queue_count();
        queue.checked_sub(first)
    }

    /// The names of all queues that a process opens, in the order of its keys.
    pub fn opened_names(&self) -> Vec<String> {
        let fed = self.plan.queues + usize::from(self.plan.has_groups);
        let names = (0..fed).map(crate::process::queue_name);
        let dead = (0..self.dead_queue_count()).map(dead_name);
        names.chain(dead).collect()
    }

    /// What a queue of dead letters is called in the history; none for another.
    pub fn dead_name(&self, queue: usize) -> Option<String> {
        self.source_queue(queue).map(dead_name)
    }

    /// How often the producer of these wants them given out at most.
    pub fn draw_attempts(&mut self, values: &[Value]) -> Option<u32> {
        let letters = &mut self.letters;
        if !self.plan.has_letters || !letters.dice.percent(20) {
            return None;
        }
        let most = letters.dice.range(1, 4) as u32;
        let theirs = values.iter().map(|value| (*value, most));
        letters.attempts_max.extend(theirs);
        Some(most)
    }

    /// Readers of dead letters while there is load, at a new process.
    pub fn letter_people(&mut self, seat: usize) {
        let first = self.queue_count() - self.dead_queue_count();
        for queue in 0..self.dead_queue_count() {
            if self.letters.dice.percent(25) {
                let client = self.users.add(seat, first + queue, Role::Puller);
                self.later(seat, crate::agenda::SECOND, Act::Consume(client));
            }
        }
    }

    /// Whether a consumer rejects what came from that queue now, and what it says.
    pub fn draw_reject(&mut self, queue: usize) -> Option<String> {
        let may = self.plan.has_letters && !self.plan.is_pristine;
        if !may || self.source_queue(queue).is_some() || !self.letters.dice.percent(5) {
            return None;
        }
        let number = self.letters.dice.below(3);
        Some(format!("reason {number}"))
    }

    /// A consumer rejects a value.
    pub fn note_rejected(&mut self, value: Value, reason: &str) {
        let reasons = self.letters.rejected.entry(value).or_default();
        reasons.push(reason.into());
    }

    /// The value of a delivery, as the history has it, and who waits for a reply; none for what no
    /// producer wrote.
    pub fn read(
        &mut self,
        seat: usize,
        queue: usize,
        leased: &Leased,
    ) -> Option<(Value, Option<ReplyTo>)> {
        if self.source_queue(queue).is_none() {
            let (value, to) = crate::calls::read(leased)?;
            return Some((self.value_at(queue, value), to));
        }
        let (headers, death) = parted(leased.headers.as_ref());
        let source = Leased {
            headers,
            ..leased.clone()
        };
        let (written, _) = crate::calls::read(&source)?;
        let value = self.value_of_group(&death.group, written)?;
        let id = leased.handle.id;
        self.meet_letter(queue, value, id);
        self.note_source(queue, id, &death);
        let priority = leased.terms.as_ref().and_then(|terms| terms.priority);
        if priority != self.priority_of(value) {
            let detail = format!("m{seat}: {id} of {value} has the priority {priority:?}");
            self.violation("letter", detail);
        }
        if let Some(why) = self.death_is_wrong(queue, value, id, &death) {
            self.violation(
                "letter",
                format!("m{seat}: {id} of {value}: {why}, {death:?}"),
            );
        }
        let is_letter = leased.terms.as_ref().is_some_and(|terms| {
            terms.is_dead_letter && terms.not_before == 0 && !terms.is_at_most_once
        });
        if !is_letter {
            let detail = format!("m{seat}: {id} has the terms {:?}", leased.terms);
            self.violation("letter", detail);
        }
        Some((letter_of(value), None))
    }

    /// Which message a dead letter was, in the queue itself or in a group.
    fn note_source(&mut self, queue: usize, letter: MessageId, death: &Death) {
        let (Some(base), Ok(source)) = (self.source_queue(queue), death.id.parse()) else {
            return;
        };
        if self.letters.sources.contains_key(&letter) {
            return;
        }
        let in_groups = self.ids_in_groups(base, source);
        let source = in_groups
            .chain([source])
            .find(|id| dead_letter_of(*id) == letter);
        if let Some(source) = source {
            self.letters.sources.insert(letter, source);
        }
    }

    /// True while what a dead letter was may still be given out somewhere: then it may be made again,
    /// by an owner that does not know of it.
    pub fn may_be_made_again(&self, letter: MessageId) -> bool {
        let Some(source) = self.letters.sources.get(&letter) else {
            return false;
        };
        let sent = self.ledger.sent.get(source).into_iter().flatten();
        let stores: Vec<_> = sent.copied().collect();
        let lives_on = self.living().any(|(_, life)| {
            let is_holder = life.stores.iter().any(|store| stores.contains(store));
            life.engine.holds(*source) || is_holder && !life.engine.is_done(*source)
        });
        lives_on || self.ledger.aside.contains_key(source)
    }

    /// A dead letter is seen for the first time.
    fn meet_letter(&mut self, queue: usize, source: Value, id: MessageId) {
        let value = letter_of(source);
        if !self.letters.met.insert(value) {
            return;
        }
        self.sometimes.hit("dead letter met");
        let about = About {
            seat: 0,
            process: value.process,
            queue,
            value: Some(value),
        };
        self.record(&about, Verb::Enqueue, Kind::Invoke, Extra::default());
        let extra = Extra {
            id: Some(id_of(id)),
            ..Extra::default()
        };
        self.record(&about, Verb::Enqueue, Kind::Ok, extra);
        self.ledger.values.insert(id, value);
        if !self.ledger.acked.contains(&id) {
            self.ledger.open.insert(id, value);
        }
    }

    /// What a dead letter says that is not so; none when all is.
    fn death_is_wrong(
        &self,
        queue: usize,
        value: Value,
        id: MessageId,
        death: &Death,
    ) -> Option<&'static str> {
        let source_queue = self.source_queue(queue)?;
        if death.queue != crate::process::queue_name(source_queue) {
            return Some("it is of another queue");
        }
        let mut known = self
            .ledger
            .values
            .iter()
            .filter(|(_, known)| **known == value);
        if known
            .next()
            .is_some_and(|(source, _)| dead_letter_of(*source) != id)
        {
            return Some("its id does not follow from its source's");
        }
        let source: MessageId = death.id.parse().ok()?;
        let is_plain = self.ledger.values.get(&source).copied();
        if death.group.is_empty() && is_plain.is_some_and(|known| known != value) {
            return Some("its source is another message");
        }
        let attempts: u32 = death.attempts.parse().unwrap_or_default();
        match death.cause.as_str() {
            "attempts" => {
                let written = crate::fan::written(value);
                let asked = self.letters.attempts_max.get(&written).copied();
                let most = asked.unwrap_or(self.plan.max_attempts);
                (attempts < most).then_some("it was not given out often enough")
            }
            "rejected" => {
                let reasons = self.letters.rejected.get(&value);
                let was_said = reasons.is_some_and(|said| said.contains(&death.reason));
                (!was_said || attempts == 0).then_some("nobody rejected it so")
            }
            _ => Some("nothing kills like that"),
        }
    }

    /// A member may be about to drop what it holds: what has become a dead letter by now is known by
    /// its own name from here on.
    pub fn watch_letters(&mut self, seat: usize) {
        if !self.plan.has_letters || self.life(seat).is_none() {
            return;
        }
        let open: Vec<(MessageId, Value)> = self
            .ledger
            .open
            .iter()
            .map(|(id, value)| (*id, *value))
            .collect();
        for (id, value) in open {
            let letter = dead_letter_of(id);
            let is_held = self
                .life(seat)
                .is_some_and(|life| life.engine.holds(letter));
            if is_held && let Some(queue) = self.queue_of_letters(value) {
                self.meet_letter(queue, value, letter);
                self.letters.sources.insert(letter, id);
            }
        }
    }

    /// True for one that has gone on as a dead letter, somewhere: who holds it is over or will be.
    pub fn is_dead(&mut self, id: MessageId, value: Value) -> bool {
        if !self.plan.has_letters {
            return false;
        }
        let letter = dead_letter_of(id);
        // Whoever knew of it may have crashed since it was finished.
        if self.letters.met.contains(&letter_of(value)) {
            return true;
        }
        let is_there = self
            .living()
            .any(|(_, life)| life.engine.holds(letter) || life.engine.is_done(letter));
        if !is_there && !self.ledger.aside.contains_key(&letter) {
            return false;
        }
        if let Some(queue) = self.queue_of_letters(value) {
            self.meet_letter(queue, value, letter);
            self.letters.sources.insert(letter, id);
        }
        true
    }

    /// Where the dead letters of a value are.
    fn queue_of_letters(&self, value: Value) -> Option<usize> {
        let writer = crate::fan::written(value).process;
        let writer = self
            .users
            .clients
            .iter()
            .find(|client| client.process == writer)?;
        Some(self.queue_count() - self.dead_queue_count() + writer.queue)
    }
}

fn dead_name(queue: usize) -> String {
    crate::process::queue_name(queue) + SUFFIX
}
