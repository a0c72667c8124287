//! Producers give their messages terms: a date before which they are not given out, one after which
//! they are not, a priority, at most one delivery (protocol.md 4.2, 4.4).
//!
//! What is judged is what the clock of the one who gives a message showed at that moment, or had shown
//! before: clocks differ, and jump. What is gone is accounted for by its own terms or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use primer_check::{Value, Verb};
use primer_proto::base::{BootId, Instant, MessageId, Now, StoreId, limits};
use primer_proto::engine::{Asked, EnqueueOptions, Message, Terms};
use primer_proto::queue::Message as QueueMessage;

use crate::agenda::Micros;
use crate::dice::Dice;
use crate::fan::written;
use crate::ledger::LeaseName;
use crate::letters::is_letter;
use crate::plan::Class;
use crate::world::{Seat, WALL_MS, World};

/// A place in the order of one owner: its turn, then its number there.
type Place = (u8, u64);

/// What is known of the terms of all messages.
pub(crate) struct TermsBook {
    dice: Dice,
    /// By the value that a producer wrote.
    asked: BTreeMap<Value, Arc<Terms>>,
    /// The latest that each seat's clock has shown, before it jumped.
    shown: BTreeMap<usize, u64>,
    /// By how much any clock was ahead at any time.
    ahead_ms: i64,
    /// What the owner's clock showed, and the latest that it had shown, when it gave a lease.
    walls: BTreeMap<LeaseName, (u64, u64)>,
    /// What one boot has accepted into a queue, may give out, and has not: by its place in the order.
    ready: BTreeMap<(BootId, usize), BTreeSet<Place>>,
    /// Where each of those is.
    places: BTreeMap<MessageId, (usize, Place)>,
    /// What was given out at most once before its producer heard that it was accepted.
    lapsed: BTreeSet<MessageId>,
    /// What is given out at most once and is between two members: it may be lost there, and only there.
    moving: BTreeMap<MessageId, Value>,
    /// Sent like that before there was a receipt.
    moved_early: BTreeSet<MessageId>,
}

impl TermsBook {
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed, 16),
            asked: BTreeMap::new(),
            shown: BTreeMap::new(),
            ahead_ms: 0,
            walls: BTreeMap::new(),
            ready: BTreeMap::new(),
            places: BTreeMap::new(),
            lapsed: BTreeSet::new(),
            moving: BTreeMap::new(),
            moved_early: BTreeSet::new(),
        }
    }

    /// A seat's clock is about to jump.
    pub fn note_clock(&mut self, at: usize, seat: &Seat, now: Micros) {
        let shown = self.shown.entry(at).or_default();
        *shown = (*shown).max(seat.wall_ms(now));
        self.ahead_ms = self.ahead_ms.max(seat.skew_ms);
    }

    /// True once any owner has given a lease of this message.
    fn was_given(&self, id: MessageId) -> bool {
        let first = (id, StoreId::default(), 0, 0);
        let mut leases = self.walls.range(first..);
        leases.next().is_some_and(|(name, _)| name.0 == id)
    }

    fn draw(&mut self) -> Asked {
        let dice = &mut self.dice;
        let mut asked = Asked::default();
        if dice.percent(35) {
            return asked;
        }
        if dice.percent(40) {
            asked.priority = Some(dice.below(10) as u8);
        }
        if dice.percent(30) {
            let delay = dice.exponential(4_000).min(60_000);
            asked.delay = Some(delay);
        }
        if dice.percent(25) {
            asked.ttl = Some(1 + dice.exponential(10_000));
        }
        asked.is_at_most_once = dice.percent(12);
        asked
    }
}

impl World {
    /// The terms of a producer's next call; its values have them from now on.
    pub fn draw_terms(
        &mut self,
        seat: usize,
        mut options: EnqueueOptions,
        values: &[Value],
    ) -> EnqueueOptions {
        let max_attempts = self.draw_attempts(values);
        let key = self.draw_key(values);
        if !self.plan.has_terms && max_attempts.is_none() && key.is_none() {
            return options;
        }
        let mut asked = if self.plan.has_terms {
            self.terms.draw()
        } else {
            Asked::default()
        };
        asked.max_attempts = max_attempts;
        asked.key = key;
        let wall_ms = self.seats[seat].wall_ms(self.now);
        if asked.delay.is_some() && self.terms.dice.coin() {
            // The other way to say the same.
            asked.at = asked.delay.take().map(|delay| wall_ms + delay);
        }
        if asked.is_at_most_once {
            options.copies = None;
        }
        options.terms = asked.clone();
        let now = Now {
            mono: Instant(0),
            wall_ms,
        };
        match asked.terms(now) {
            Ok(Some(terms)) => {
                let theirs = values.iter().map(|value| (*value, terms.clone()));
                self.terms.asked.extend(theirs);
            }
            Ok(None) => {}
            Err(error) => self.violation("terms", format!("{asked:?} are refused: {error}")),
        }
        options
    }

    /// The terms of a value, in whatever group. A dead letter has none of its source's but the priority.
    fn terms_of(&self, value: Value) -> Option<&Arc<Terms>> {
        self.terms
            .asked
            .get(&written(value))
            .filter(|_| !is_letter(value))
    }

    /// The priority that a value was put in with.
    pub fn priority_of(&self, value: Value) -> Option<u32> {
        self.terms_of(value).and_then(|terms| terms.priority)
    }

    /// True for a value that is given out at most once.
    pub fn is_value_once(&self, value: Value) -> bool {
        self.terms_of(value)
            .is_some_and(|terms| terms.is_at_most_once)
    }

    /// The same of a message, as far as it is known.
    pub fn is_once(&self, id: MessageId) -> bool {
        let value = self.ledger.values.get(&id);
        value.is_some_and(|value| self.is_value_once(*value))
    }

    /// True for a value whose time is over by some clock that there was. An owner counts the time from
    /// when it last looked at its clock, so one that has jumped back since is no excuse.
    pub fn may_have_expired(&self, value: Value) -> bool {
        let Some(terms) = self.terms_of(value).filter(|terms| terms.expires != 0) else {
            return false;
        };
        let ahead = self.seats.iter().map(|seat| seat.skew_ms);
        let ahead = ahead.fold(self.terms.ahead_ms, i64::max);
        (WALL_MS + self.now / 1_000).saturating_add_signed(ahead) >= terms.expires
    }

    /// A message has its receipt: its owner may give it out from now on, unless it has a date.
    pub fn note_accepted(&mut self, queue: usize, id: MessageId, value: Value) {
        let terms = self.terms_of(value);
        let waits = terms.is_some_and(|terms| terms.not_before != 0);
        let place = (turn(terms.map(Arc::as_ref)), id.sequence);
        self.note_in_line(queue, id, value, waits);
        // One with a key waits for others, and keys are served in turn.
        let waits = waits || self.key_of(value).is_some();
        // Which of two with one identity has accepted something is not known.
        if !self.plan.has_terms || waits || self.plan.has(Class::Twins) {
            return;
        }
        if self.ledger.acked.contains(&id) || self.terms.places.contains_key(&id) {
            return;
        }
        // Another member accepted it, and has given it out before its receipt came here: it has no first time
        // any more, also where it was released since.
        if self.terms.was_given(id) {
            return;
        }
        self.terms.places.insert(id, (queue, place));
        let ready = self.terms.ready.entry((id.origin, queue)).or_default();
        ready.insert(place);
    }

    /// An owner gives a lease, at this moment.
    pub fn note_lease(&mut self, seat: usize, name: LeaseName, attempts: u32) {
        let is_first = attempts == 1 && name.2 == 0 && self.seats[seat].leaving.is_none();
        if is_first {
            self.judge_line(seat, name.0);
        }
        if !self.plan.has_terms {
            return;
        }
        let wall = self.seats[seat].wall_ms(self.now);
        let shown = self.terms.shown.get(&seat).copied().unwrap_or_default();
        self.terms
            .walls
            .entry(name)
            .or_insert((wall, shown.max(wall)));
        let (id, _, _, lease) = name;
        if lease == 0 {
            // Finished: it may be lost on its way.
            self.sometimes.hit("given out at most once");
            self.lapse(seat, id);
        }
        let Some((queue, place)) = self.terms.places.get(&id).copied() else {
            return;
        };
        let key = (id.origin, queue);
        if let Some(ready) = self.terms.ready.get_mut(&key) {
            ready.remove(&place);
        }
        if is_first {
            self.judge_order(seat, key, id, place);
        }
    }

    /// Of what one owner may give out, what has the higher priority goes first, and what is older (Q13).
    fn judge_order(&mut self, seat: usize, key: (BootId, usize), id: MessageId, place: Place) {
        let ready = self.terms.ready.get(&key).into_iter().flatten();
        let earlier: Vec<Place> = ready.take_while(|other| **other < place).copied().collect();
        for other in earlier {
            let passed = MessageId {
                sequence: other.1,
                ..id
            };
            let seen = self.life(seat).and_then(|life| life.engine.glimpse(passed));
            // What went into groups that came late, or goes on as a dead letter, waits for its copies there.
            let is_waiting = seen.is_some_and(|seen| {
                let is_idle = seen.is_owned && !seen.is_leased && !seen.is_ending;
                is_idle && seen.attempts == 0 && seen.own.epoch == 0
            });
            let value = self.ledger.values.get(&passed).copied();
            let has_time = value.is_some_and(|value| !self.may_have_expired(value));
            if is_waiting && has_time {
                let detail = format!("m{seat} gives {id} ({place:?}) before {passed} ({other:?})");
                self.violation("order", detail);
            }
            // What ended or went elsewhere is not looked at again.
            if let Some(ready) = self.terms.ready.get_mut(&key) {
                ready.remove(&other);
            }
        }
    }

    /// A copy of a message is sent. One that is given out at most once is sent by a member that leaves,
    /// which has none any more.
    pub fn note_moved(&mut self, id: MessageId) {
        if !self.plan.has_terms {
            return;
        }
        if !self.ledger.values.contains_key(&id) {
            self.terms.moved_early.insert(id);
        } else if self.is_once(id)
            && let Some(value) = self.ledger.open.remove(&id)
        {
            self.terms.moving.insert(id, value);
        }
    }

    /// A receipt comes for what is on its way like that, and nowhere else.
    pub fn is_moving(&mut self, id: MessageId, value: Value) -> bool {
        let was_sent = self.terms.moved_early.remove(&id) && self.is_value_once(value);
        let is_held = || self.living().any(|(_, life)| life.engine.holds(id));
        let is_moving = was_sent && !is_held();
        if is_moving {
            self.terms.moving.insert(id, value);
        }
        is_moving
    }

    /// Those of a message's that are on their way to where it comes now.
    pub fn moving_in(&self, message: &Message) -> Vec<MessageId> {
        match message {
            Message::Queue(message) if !self.terms.moving.is_empty() => match message.as_ref() {
                QueueMessage::Repl(repl) => self.ids_of(repl),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// They have come: whoever took them has to give them out.
    pub fn have_come(&mut self, seat: usize, ids: &[MessageId]) {
        for id in ids {
            let is_here = self.life(seat).is_some_and(|life| life.engine.holds(*id));
            if is_here && let Some(value) = self.terms.moving.remove(id) {
                self.sometimes.hit("moved, and given out at most once");
                self.ledger.open.insert(*id, value);
            }
        }
    }

    /// At the end: what did not come was lost on its way.
    pub fn account_moving(&mut self) {
        for value in std::mem::take(&mut self.terms.moving).into_values() {
            self.remark(0, value, Verb::Lapsed);
        }
    }

    /// A receipt comes for what was given out at most once meanwhile.
    pub fn has_lapsed(&mut self, seat: usize, id: MessageId, value: Value) -> bool {
        let has = self.terms.lapsed.remove(&id);
        if has {
            self.remark(seat, value, Verb::Lapsed);
        }
        has
    }

    fn lapse(&mut self, seat: usize, id: MessageId) {
        let open = self.ledger.open.remove(&id);
        if open.is_none() {
            self.terms.lapsed.insert(id);
        }
        if let Some(value) = open.or(self.terms.moving.remove(&id)) {
            self.remark(seat, value, Verb::Lapsed);
        }
    }

    /// A delivery keeps to its terms.
    pub fn judge_terms(
        &mut self,
        seat: usize,
        name: LeaseName,
        value: Value,
        shown: Option<&Terms>,
    ) {
        let Some(terms) = self.terms_of(value).cloned() else {
            return;
        };
        let id = name.0;
        // Terms that ask for nothing are none to whoever took the message for another member.
        if shown.cloned().unwrap_or_default() != *terms {
            let detail = format!("m{seat}: {id} has {shown:?}, was put in with {terms:?}");
            self.violation("terms", detail);
        }
        if terms.not_before != 0 {
            self.sometimes.hit("given out after its date");
        }
        if terms.priority.is_some() {
            self.sometimes.hit("given out by its priority");
        }
        let Some((wall, latest)) = self.terms.walls.get(&name).copied() else {
            return;
        };
        if latest < terms.not_before {
            let early = terms.not_before - latest;
            self.violation(
                "early",
                format!("{id} was given {early} ms before its date"),
            );
        }
        if terms.expires != 0 && wall >= terms.expires {
            let late = wall - terms.expires;
            self.violation(
                "expired",
                format!("{id} was given {late} ms after its date"),
            );
        }
        if (name.3 == 0) != terms.is_at_most_once {
            self.violation("terms", format!("{id} came with lease {}", name.3));
        }
    }
}

/// Where a message's priority stands: 0 is given out first.
fn turn(terms: Option<&Terms>) -> u8 {
    let priority = terms.and_then(|terms| terms.priority);
    9 - priority.unwrap_or(limits::PRIORITY) as u8
}
