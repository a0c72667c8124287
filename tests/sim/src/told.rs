//! Queues that are told things while they are used: purged, paused and resumed, given a maximum at which
//! they refuse or drop their oldest; by any member, at any time, each by itself or by a policy.
//!
//! The account is exact, message by message. Each one that was accepted is finished by a consumer, as itself
//! or as the dead letter that a maximum made of it; or its stamp is not younger than the last purge, which
//! is what a purge is. What is promised meanwhile is held against what the member knows that does it: an
//! owner that knows its queue to be paused gives nothing out, one that knows a purge gives nothing older,
//! and a paused queue takes nothing.

use std::collections::BTreeMap;

use primer_proto::base::{MessageId, QueueKey, Stamp};
use primer_proto::copies::Asked as AskedTerms;
use primer_proto::engine::{Answer, Command, Configure, EnqueueOptions, Leased, NewMessage, Reply};

use crate::agenda::{MS, Micros, SECOND};
use crate::dice::Dice;
use crate::plan::Class;
use crate::users::{Act, What};
use crate::world::{Local, Phase, World};

/// The queues, one policy for all of them, and where the oldest go.
const QUEUES: [&str; 2] = ["told/0", "told/1"];
const POLICY: &str = "told/";
const BURIED: &str = "buried";
/// Where they go else: one that had to wait for memory goes where its queue says once there is room, and by
/// then that may say nothing.
const DEAD: [&str; 2] = ["told/0.dead", "told/1.dead"];
/// Everybody has heard of the last setting by then.
const HEARD_BY: Micros = 60 * SECOND;

/// What one of these users does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// Puts one in.
    Put,
    /// Takes some, and acks nearly all.
    Take,
    /// Tells a queue, or all of them, something.
    Tell,
    /// The load is over: everything is taken from that queue and acked.
    Drain(usize),
}

/// What was asked.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Of a queue that was paused for producers, as far as its member knew.
    Put {
        number: u64,
        is_paused: bool,
    },
    /// From that one of [`name`].
    Take(Turn, usize),
    Settle,
    Tell,
}

/// A message of theirs.
#[derive(Debug, Default)]
struct One {
    queue: usize,
    /// Its producer has a receipt.
    is_accepted: bool,
    /// Its producer was told that it is in no queue.
    is_refused: bool,
    /// None of one that was over before its receipt was given.
    stamp: Option<Stamp>,
    arrivals: u32,
    /// Some consumer said that it is finished.
    is_finished: bool,
}

/// What a member knows of a queue.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Known {
    is_paused_in: bool,
    is_paused_out: bool,
    purged: Stamp,
}

/// The account of all of them.
pub(crate) struct Told {
    dice: Dice,
    last: u64,
    all: BTreeMap<u64, One>,
    numbers: BTreeMap<MessageId, u64>,
    /// What the member that is called now knew before the call.
    before: [Known; 2],
    has_maximum: bool,
    has_pause: bool,
}

impl Told {
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed, 23),
            last: 0,
            all: BTreeMap::new(),
            numbers: BTreeMap::new(),
            before: Default::default(),
            has_maximum: false,
            has_pause: false,
        }
    }
}

/// Where they are read: the queues, then where the oldest go.
fn name(from: usize) -> &'static str {
    let all = QUEUES.iter().chain([&BURIED]).chain(&DEAD);
    all.copied().nth(from).unwrap_or(BURIED)
}

/// The number in a body; none for what nobody put in.
fn number_of(leased: &Leased) -> Option<u64> {
    let text = std::str::from_utf8(&leased.body).ok()?;
    text.strip_prefix("told ")?.parse().ok()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect()
}

impl World {
    /// Those who come with a new process.
    pub fn told_people(&mut self, seat: usize) {
        if !self.plan.has_told {
            return;
        }
        for turn in [Turn::Put, Turn::Put, Turn::Take, Turn::Take, Turn::Tell] {
            if self.told.dice.percent(60) {
                self.told_later(seat, turn);
            }
        }
    }

    fn told_later(&mut self, seat: usize, turn: Turn) {
        let pause = match turn {
            Turn::Put => 200 * MS,
            Turn::Take => 100 * MS,
            Turn::Tell => 3 * SECOND,
            Turn::Drain(_) => 20 * MS,
        };
        let at = self.now + self.told.dice.exponential(pause);
        self.local_now(at, seat, Local::User(Act::Told(turn)));
    }

    /// Its key, for one call: where memory is short the queue is forgotten as soon as nobody uses it.
    fn told_queue(&mut self, seat: usize, name: &str) -> Option<QueueKey> {
        let life = self.seats[seat].life.as_mut()?;
        let key = life.engine.queue(name).ok()?;
        life.engine.release(key);
        Some(key)
    }

    /// One of them acts.
    pub fn told_turn(&mut self, seat: usize, turn: Turn) {
        let phase = match turn {
            Turn::Drain(_) => Phase::Drain,
            _ => Phase::Load,
        };
        if self.phase != phase {
            return;
        }
        match turn {
            Turn::Put => self.told_put(seat),
            Turn::Tell => self.tell_queue(seat),
            Turn::Take => {
                let from = self.told.dice.index(QUEUES.len() + 1);
                self.told_take(seat, turn, from);
            }
            Turn::Drain(from) => self.told_take(seat, turn, from),
        }
    }

    fn told_put(&mut self, seat: usize) {
        self.told_later(seat, Turn::Put);
        let place = self.told.dice.index(QUEUES.len());
        let Some(queue) = self.told_queue(seat, QUEUES[place]) else {
            return;
        };
        self.told.last += 1;
        let number = self.told.last;
        let one = One {
            queue: place,
            ..One::default()
        };
        self.told.all.insert(number, one);
        let message = NewMessage {
            body: format!("told {number}").into_bytes().into(),
            headers: None,
        };
        // None dies but of a maximum.
        let terms = AskedTerms {
            max_attempts: Some(u32::MAX),
            ..AskedTerms::default()
        };
        let command = Command::Enqueue {
            queue,
            message,
            options: EnqueueOptions {
                terms,
                ..EnqueueOptions::default()
            },
        };
        let is_paused = self.known(seat, place).is_paused_in;
        let asked = Asked::Put { number, is_paused };
        self.ask(seat, command, What::Told(asked));
    }

    fn told_take(&mut self, seat: usize, turn: Turn, from: usize) {
        let Some(queue) = self.told_queue(seat, name(from)) else {
            return;
        };
        let is_drain = matches!(turn, Turn::Drain(_));
        let command = Command::Receive {
            queue,
            max: if is_drain { 256 } else { 4 },
            wait: if is_drain { 300 } else { 1_000 },
            lease: Some(if is_drain { 30_000 } else { self.plan.lease.1 }),
            group: None,
        };
        self.ask(seat, command, What::Told(Asked::Take(turn, from)));
    }

    /// Somebody purges a queue, pauses or resumes it, or gives it another maximum; or sets the policy.
    fn tell_queue(&mut self, seat: usize) {
        self.told_later(seat, Turn::Tell);
        let place = self.told.dice.index(QUEUES.len());
        let Some(queue) = self.told_queue(seat, QUEUES[place]) else {
            return;
        };
        let dice = &mut self.told.dice;
        let most = dice.range(1, 30).to_string();
        let overflow = if dice.coin() { "refuse" } else { "drop_oldest" };
        let paused = dice.pick(&["in", "out", "both"]).unwrap_or("both");
        let maximum = [
            ("messages_max", most.as_str()),
            ("overflow", overflow),
            ("dead_letters", BURIED),
        ];
        let command = match dice.below(100) {
            0..20 => {
                self.sometimes.hit("queue purged");
                Configure::Purge(queue)
            }
            20..40 => Configure::Queue(queue, pairs(&[("paused", paused)])),
            40..60 => Configure::Queue(queue, pairs(&[("paused", "")])),
            60..75 => Configure::Queue(queue, pairs(&maximum)),
            75..80 => Configure::Queue(queue, pairs(&[("messages_max", ""), ("overflow", "")])),
            80..85 => Configure::Policy(POLICY.into(), pairs(&[("paused", paused)])),
            85..90 => Configure::Policy(POLICY.into(), pairs(&maximum)),
            _ => Configure::Policy(POLICY.into(), Vec::new()),
        };
        let settings = match &command {
            Configure::Queue(_, settings) | Configure::Policy(_, settings) => &settings[..],
            Configure::Purge(_) => &[],
        };
        let is_maximum =
            |(key, value): &(String, String)| key == "messages_max" && !value.is_empty();
        self.told.has_maximum |= settings.iter().any(is_maximum);
        let is_pause = |(key, value): &(String, String)| key == "paused" && !value.is_empty();
        self.told.has_pause |= settings.iter().any(is_pause);
        self.ask(seat, Command::Configure(command), What::Told(Asked::Tell));
    }

    /// An answer to one of them.
    pub fn told_answered(&mut self, seat: usize, asked: &Asked, answer: Answer) {
        match (asked, answer) {
            (Asked::Put { number, is_paused }, answer) => {
                self.told_put_answered(seat, (*number, *is_paused), answer);
            }
            (Asked::Take(turn, from), Ok(Reply::Deliveries(leased))) => {
                leased.into_iter().for_each(|leased| {
                    self.told_local(seat, &leased);
                    self.judge_told(seat, (*turn, *from), leased);
                });
                self.told_later(seat, *turn);
            }
            (Asked::Settle | Asked::Tell, Ok(Reply::Done)) => {}
            (Asked::Settle, Err(error)) if matches!(error.number(), 202 | 302 | 401 | 402) => {}
            // Too many writes of the metadata at a time.
            (Asked::Tell, Err(error)) if error.number() == 203 => {}
            (asked, answer) => {
                self.violation("answer", format!("m{seat}: {asked:?} answered {answer:?}"));
            }
        }
    }

    fn told_put_answered(&mut self, seat: usize, (number, is_paused): (u64, bool), answer: Answer) {
        let refusal = answer.as_ref().err().map(|error| error.number());
        // Who leaves or is short of memory has another accept it, which may know of a pause that is not
        // known here yet.
        let may_ask = self.plan.has(Class::Leave) || !self.plan.budgets.is_empty();
        let by_another = may_ask && self.told.has_pause;
        if is_paused != (refusal == Some(204)) && (is_paused || !by_another) {
            let detail = format!("m{seat}: paused {is_paused}, {number} answered {answer:?}");
            self.violation("paused", detail);
        }
        if refusal == Some(204) {
            self.sometimes.hit("put into a paused queue");
        }
        if refusal == Some(201) {
            self.sometimes.hit("put into a full queue");
            if !self.told.has_maximum {
                let detail = format!("m{seat}: {number} was refused by a queue without a maximum");
                self.violation("told", detail);
            }
        }
        let receipt = match answer {
            Ok(Reply::Receipt(receipt)) => receipt,
            Ok(other) => return self.violation("answer", format!("m{seat}: {other:?}")),
            Err(_) => {
                if let Some(one) = self.told.all.get_mut(&number) {
                    one.is_refused = refusal.is_some_and(|number| number < 300);
                }
                return;
            }
        };
        let life = self.life(seat);
        let seen = life.and_then(|life| life.engine.glimpse(receipt.id));
        self.told.numbers.insert(receipt.id, number);
        if let Some(one) = self.told.all.get_mut(&number) {
            one.is_accepted = true;
            one.stamp = seen.map(|seen| seen.stamp);
        }
    }

    /// A delivery: what it is, and what becomes of it.
    fn judge_told(&mut self, seat: usize, (turn, from): (Turn, usize), leased: Leased) {
        let number = number_of(&leased).unwrap_or_default();
        let headers = leased.headers.as_deref().map_or(&[][..], Vec::as_slice);
        let said = |key: &str| {
            let header = headers.iter().find(|(name, _)| name == key);
            header.map(|(_, value)| value.as_str())
        };
        let is_as_told = match (self.told.all.get(&number), QUEUES.get(from)) {
            (None, _) => false,
            (Some(one), Some(_)) => one.queue == from && headers.is_empty(),
            (Some(one), None) => {
                self.sometimes.hit("oldest dropped");
                let is_overflow = said("primer-cause") == Some("overflow");
                let is_there = name(from) == BURIED || name(from) == DEAD[one.queue];
                is_overflow && is_there && said("primer-queue") == Some(QUEUES[one.queue])
            }
        };
        if self.told.all.get(&number).is_some_and(|one| one.is_refused) {
            let detail = format!("m{seat}: told {number} was refused, and came");
            self.violation("aborted-delivered", detail);
        } else if !is_as_told {
            let detail = format!(
                "m{seat}: {:?} came from {from} with {headers:?}",
                leased.body
            );
            return self.violation("told", detail);
        }
        let dice = &mut self.told.dice;
        let is_patient = matches!(turn, Turn::Drain(_)) || self.plan.is_pristine;
        let fate = if is_patient { 0 } else { dice.below(100) };
        let Some(one) = self.told.all.get_mut(&number) else {
            return;
        };
        one.arrivals += 1;
        let command = match fate {
            0..80 => {
                one.is_finished = true;
                Command::Ack(leased.handle)
            }
            80..90 => Command::Nack(leased.handle, Some(fate * 10)),
            90..95 => Command::Release(leased.handle),
            // Its lease runs out.
            _ => return,
        };
        if one.arrivals > 1 && self.plan.is_pristine {
            self.violation("told", format!("m{seat}: {number} came again"));
        }
        self.ask(seat, command, What::Told(Asked::Settle));
    }

    /// What a member knows of one of the queues.
    fn known(&self, seat: usize, place: usize) -> Known {
        let told = self
            .life(seat)
            .and_then(|life| life.engine.told(QUEUES[place]));
        told.map_or_else(Known::default, |(is_paused_in, is_paused_out, purged)| {
            Known {
                is_paused_in,
                is_paused_out,
                purged,
            }
        })
    }

    /// Before a member is called: what it knows then, it goes by.
    /// Gives what stood there: the call may be one within another.
    pub fn before_told(&mut self, seat: usize) -> [Known; 2] {
        let known = match self.plan.has_told {
            true => [0, 1].map(|place| self.known(seat, place)),
            false => self.told.before,
        };
        std::mem::replace(&mut self.told.before, known)
    }

    /// After all that it wanted is done.
    pub fn after_told(&mut self, outer: [Known; 2]) {
        self.told.before = outer;
    }

    /// A lease of this member's own, to a consumer here.
    fn told_local(&mut self, seat: usize, leased: &Leased) {
        let store = leased.handle.own.store;
        if self.life(seat).is_some_and(|life| life.store == store) {
            self.note_told_given(seat, leased.handle.id, leased.stamp);
        }
    }

    /// A member gives a lease of what it owns.
    pub fn note_told_given(&mut self, seat: usize, id: MessageId, stamp: Stamp) {
        let number = self.told.numbers.get(&id);
        let one = number.and_then(|number| self.told.all.get(number));
        let Some(place) = one.map(|one| one.queue) else {
            return;
        };
        let before = self.told.before[place];
        // What it hears in the same call may come before or after.
        if before.is_paused_out && self.known(seat, place).is_paused_out {
            let detail = format!("m{seat} gives {id} out of a paused queue");
            self.violation("paused", detail);
        }
        if stamp <= before.purged {
            self.violation(
                "purged",
                format!("m{seat} gives {id}, which it knows to be over"),
            );
        }
    }

    /// Faults are over: the queues are told that nothing holds any more, and everybody hears of it.
    pub fn resume_told(&mut self) {
        let Some(seat) = self.living().map(|(seat, _)| seat).next() else {
            return;
        };
        if !self.plan.has_told {
            return;
        }
        let nothing = ["paused", "messages_max", "overflow", "dead_letters"].map(|key| (key, ""));
        for name in QUEUES {
            if let Some(queue) = self.told_queue(seat, name) {
                let command = Configure::Queue(queue, pairs(&nothing));
                self.ask(seat, Command::Configure(command), What::Told(Asked::Tell));
            }
        }
        let command = Configure::Policy(POLICY.into(), Vec::new());
        self.ask(seat, Command::Configure(command), What::Told(Asked::Tell));
        let limit = self.now + HEARD_BY;
        if !self.until_true(limit, |world| world.still_paused().is_none())
            && let Some(seat) = self.still_paused()
        {
            self.violation("told", format!("m{seat} has not heard of the resume"));
        }
    }

    fn still_paused(&self) -> Option<usize> {
        let mut seats = self.living().map(|(seat, _)| seat);
        seats.find(|seat| {
            let known = [0, 1].map(|place| self.known(*seat, place));
            known
                .iter()
                .any(|known| known.is_paused_in || known.is_paused_out)
        })
    }

    /// In a quiet cluster nobody keeps what was purged.
    fn judge_kept(&mut self) {
        let mut kept = Vec::new();
        for (id, number) in &self.told.numbers {
            let Some(place) = self.told.all.get(number).map(|one| one.queue) else {
                continue;
            };
            let owner = self.living().find_map(|(seat, life)| {
                let seen = life.engine.glimpse(*id).filter(|seen| seen.is_owned)?;
                Some((seat, seen.stamp))
            });
            if let Some((seat, stamp)) = owner
                && stamp <= self.known(seat, place).purged
            {
                kept.push(format!("m{seat} keeps {id}, which it knows to be over"));
            }
        }
        for why in kept {
            self.violation("purged", why);
        }
    }

    /// The load is over: one of them for each queue, at every member that reads.
    pub fn drain_told(&mut self, seat: usize) {
        if !self.plan.has_told {
            return;
        }
        self.judge_kept();
        for from in 0..=QUEUES.len() + DEAD.len() {
            let act = Act::Told(Turn::Drain(from));
            self.local_now(self.now, seat, Local::User(act));
        }
    }

    /// Everything that was accepted is finished, or was purged; where no store ended.
    pub fn judge_all_told(&mut self) {
        if !self.plan.has_told || self.plan.is_deadly() {
            return;
        }
        let seats: Vec<usize> = self.living().map(|(seat, _)| seat).collect();
        let purged = [0, 1].map(|place| {
            let marks = seats.iter().map(|seat| self.known(*seat, place).purged);
            marks.max().unwrap_or_default()
        });
        let mut lost = Vec::new();
        for (number, one) in &self.told.all {
            let mark = purged[one.queue];
            let is_explained = match one.stamp {
                Some(stamp) => stamp <= mark,
                None => mark > Stamp(0),
            };
            if one.is_accepted && !one.is_finished {
                if is_explained {
                    self.sometimes.hit("message purged");
                } else {
                    lost.push(*number);
                }
            }
        }
        if !lost.is_empty() {
            let detail = format!("told {lost:?} were never acked, and no purge was after them");
            self.violation("lost", detail);
        }
    }
}
