//! Users who put the same orders in again and again, at several members at one time: within one window equal
//! dedup keys are one message (protocol.md 4.6).
//!
//! The checkers know one value for one message, so these have a queue of their own and an account of their
//! own, by message. What is promised is judged at the moment in which a member makes a message: none of the
//! key's home, as the member set has it, knew the message when it was looked for, and could be asked for as long
//! as that took. And, as always: what was accepted is acked at last where no store ended, a receipt counts no
//! copy that is none, and where nothing fails each is delivered once.

use std::collections::BTreeMap;

use primer_proto::base::{MemberId, MessageId, QueueKey};
use primer_proto::copies::Dedup;
use primer_proto::engine::{
    Answer, Asked as AskedTerms, Command, EnqueueOptions, Leased, NewMessage, OnShort, Receipt,
    Reply,
};

use crate::agenda::{MS, Micros, SECOND};
use crate::dice::Dice;
use crate::looks::Look;
use crate::users::{Act, What};
use crate::world::{Local, Phase, World};

/// The queue.
const QUEUE: &str = "orders";
/// Keys in use at a time.
const KEYS: usize = 5;
/// The one of them that is put in with a key for its order, too.
const KEYED: usize = 4;
/// By then a cluster in which nothing fails is whole.
pub(crate) const FOUNDED: Micros = 15 * SECOND;
/// What one of these users does next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// Puts an order in.
    Put,
    /// The same order again, which failed or not.
    Again(usize),
    /// Takes some, and acks nearly all.
    Take,
    /// The load is over: everything is taken and acked.
    Drain,
}

/// What was asked.
#[derive(Debug)]
pub(crate) enum Asked {
    Put { key: usize, on_short: OnShort },
    Take(Turn),
    Settle(Option<MessageId>),
}

/// What is known of one message.
#[derive(Debug, Default)]
pub(crate) struct One {
    pub key: usize,
    /// How often it was made.
    pub made: u32,
    pub made_at: Micros,
    /// When its window ends, as its maker has it.
    pub until: u64,
    /// Somebody has a receipt.
    pub is_accepted: bool,
    pub arrivals: u32,
    pub is_acked: bool,
}

/// The account of all of them.
pub(crate) struct Once {
    pub dice: Dice,
    pub last: u64,
    pub keys: Vec<Dedup>,
    pub window: u64,
    /// The messages of all keys, by the window's number: hashing takes long.
    pub ids: BTreeMap<u64, Vec<MessageId>>,
    pub all: BTreeMap<MessageId, One>,
    /// When a member began to look for a message, and whom it could ask.
    pub looks: BTreeMap<(usize, MessageId), Look>,
    /// When a member last doubted another.
    pub doubts: BTreeMap<(usize, MemberId), Micros>,
    /// When the set of a member last changed.
    pub moved: BTreeMap<usize, Micros>,
}

impl Once {
    pub fn new(seed: u64, window: u64) -> Self {
        let keys = (0..KEYS).map(|key| Dedup::new(QUEUE, &key_name(key), window));
        Self {
            dice: Dice::new(seed, 34),
            last: 0,
            keys: keys.collect(),
            window,
            ids: BTreeMap::new(),
            all: BTreeMap::new(),
            looks: BTreeMap::new(),
            doubts: BTreeMap::new(),
            moved: BTreeMap::new(),
        }
    }

    /// The messages that a member may make now, by its clock or since it began to look for them.
    pub fn candidates(&mut self, seat: usize, wall_ms: u64) -> Vec<MessageId> {
        let number = wall_ms / self.window;
        let keys = &self.keys;
        let ids = self.ids.entry(number).or_insert_with(|| {
            let ids = keys.iter().map(|dedup| dedup.id(number));
            ids.collect()
        });
        let looks = self.looks.range((seat, MessageId::default())..);
        let looks = looks.take_while(|((at, _), _)| *at == seat);
        let looked = looks.map(|((_, id), _)| *id);
        let looked = looked.filter(|id| !ids.contains(id));
        ids.iter().copied().chain(looked).collect()
    }
}

fn key_name(key: usize) -> String {
    format!("order-{key}")
}

/// The key in a body; none for what nobody put in.
fn key_of(leased: &Leased) -> Option<usize> {
    let text = std::str::from_utf8(&leased.body).ok()?;
    let (key, _) = text.strip_prefix("order ")?.split_once(' ')?;
    key.parse().ok()
}

impl World {
    /// Those who come with a new process.
    pub fn once_people(&mut self, seat: usize) {
        if !self.plan.has_dedup() {
            return;
        }
        for turn in [Turn::Put, Turn::Put, Turn::Take, Turn::Take] {
            if self.once.dice.percent(70) {
                self.once_later(seat, turn);
            }
        }
    }

    fn once_later(&mut self, seat: usize, turn: Turn) {
        let pause = match turn {
            Turn::Put => 500 * MS,
            Turn::Again(_) => 200 * MS,
            Turn::Take => 100 * MS,
            Turn::Drain => 20 * MS,
        };
        let at = self.now + self.once.dice.exponential(pause);
        self.local_now(at, seat, Local::User(Act::Once(turn)));
    }

    /// Its key, for one call: where memory is short the queue is forgotten as soon as nobody uses it.
    fn once_queue(&mut self, seat: usize) -> Option<QueueKey> {
        let life = self.seats[seat].life.as_mut()?;
        let key = life.engine.queue(QUEUE).ok()?;
        life.engine.release(key);
        Some(key)
    }

    /// One of them acts.
    pub fn once_turn(&mut self, seat: usize, turn: Turn) {
        let phase = match turn {
            Turn::Drain => Phase::Drain,
            _ => Phase::Load,
        };
        if self.phase != phase {
            return;
        }
        match turn {
            Turn::Put => {
                self.once_later(seat, Turn::Put);
                let key = self.once.dice.index(KEYS);
                self.put_once(seat, key);
            }
            Turn::Again(key) => self.put_once(seat, key),
            Turn::Take | Turn::Drain => self.take_once(seat, turn),
        }
    }

    fn put_once(&mut self, seat: usize, key: usize) {
        // Members that have not met yet each make the same message.
        if self.plan.is_pristine && self.now < FOUNDED {
            return;
        }
        let Some(queue) = self.once_queue(seat) else {
            return;
        };
        self.once.last += 1;
        let message = NewMessage {
            body: format!("order {key} {}", self.once.last)
                .into_bytes()
                .into(),
            headers: None,
        };
        let dice = &mut self.once.dice;
        let copies = dice.pick(&[None, None, Some(1), Some(2), Some(3)]);
        let shorts = [
            None,
            Some(OnShort::Degrade),
            Some(OnShort::Fail),
            Some(OnShort::Wait),
        ];
        let on_short = dice.pick(&shorts).flatten();
        let timeout = dice.percent(30).then(|| dice.range(200, 6_000));
        let name = key_name(key);
        let terms = AskedTerms {
            dedup: Some(name.as_str().into()),
            dedup_window: Some(self.once.window),
            key: (key == KEYED).then(|| name.as_str().into()),
            // None dies: of a dead letter nothing is known here.
            max_attempts: Some(u32::MAX),
            ..AskedTerms::default()
        };
        let options = EnqueueOptions {
            copies: copies.flatten(),
            on_short,
            timeout,
            terms,
            ..EnqueueOptions::default()
        };
        let command = Command::Enqueue {
            queue,
            message,
            options,
        };
        let on_short = on_short.unwrap_or(self.plan.on_short);
        self.ask(seat, command, What::Once(Asked::Put { key, on_short }));
    }

    fn take_once(&mut self, seat: usize, turn: Turn) {
        let Some(queue) = self.once_queue(seat) else {
            return;
        };
        let is_drain = matches!(turn, Turn::Drain);
        let command = Command::Receive {
            queue,
            max: if is_drain { 256 } else { 4 },
            wait: if is_drain { 300 } else { 1_000 },
            lease: Some(if is_drain { 30_000 } else { self.plan.lease.1 }),
            group: None,
        };
        self.ask(seat, command, What::Once(Asked::Take(turn)));
    }

    /// An answer to one of them.
    pub fn once_answered(&mut self, seat: usize, asked: &Asked, answer: Answer) {
        match (asked, answer) {
            (Asked::Put { key, on_short }, Ok(Reply::Receipt(receipt))) => {
                self.judge_once(seat, *key, *on_short, &receipt);
                if self.once.dice.percent(40) {
                    self.put_again(seat, *key);
                }
            }
            (Asked::Put { key, .. }, Err(error))
                if matches!(error.number(), 201..=203 | 301 | 302) =>
            {
                self.put_again(seat, *key);
            }
            (Asked::Take(turn), Ok(Reply::Deliveries(leased))) => {
                for leased in leased {
                    self.settle_once(seat, *turn, leased);
                }
                self.once_later(seat, *turn);
            }
            (Asked::Settle(acked), Ok(Reply::Done)) => {
                if let Some(one) = acked.and_then(|id| self.once.all.get_mut(&id)) {
                    one.is_acked = true;
                }
            }
            // It is over: whoever ended it has counted it, or the other side of a split had the same.
            (Asked::Settle(_), Err(error)) if matches!(error.number(), 202 | 302 | 401 | 402) => {}
            (asked, answer) => {
                self.violation("answer", format!("m{seat}: {asked:?} answered {answer:?}"));
            }
        }
    }

    /// Who tries again need not do so where it was tried before.
    fn put_again(&mut self, seat: usize, key: usize) {
        let other = self.once.dice.index(self.seats.len());
        let at = if self.life(other).is_some() {
            other
        } else {
            seat
        };
        self.once_later(at, Turn::Again(key));
    }

    fn judge_once(&mut self, seat: usize, key: usize, on_short: OnShort, receipt: &Receipt) {
        let id = receipt.id;
        // Where no store ends, who had it has it, or saw its end.
        self.stores_at_receipt(id);
        let stores = self.stores_of(id).len();
        if receipt.is_duplicate {
            self.sometimes.hit("put in again");
        }
        let Some(one) = self.once.all.get_mut(&id).filter(|one| one.key == key) else {
            let detail = format!("m{seat}: {receipt:?} of {key} is of no message that was made");
            return self.violation("dedup", detail);
        };
        one.is_accepted = true;
        let is_over = one.is_acked || one.arrivals > 0;
        if stores < receipt.copies.into() && !is_over && !self.plan.is_deadly() {
            let detail = format!("m{seat}: {receipt:?}, {stores} stores had it");
            self.violation("copies-overstated", detail);
        }
        if receipt.copies < receipt.wanted && on_short != OnShort::Degrade {
            self.violation(
                "copies-short",
                format!("m{seat}: {receipt:?}, {on_short:?}"),
            );
        }
    }

    /// A delivery: what it is, and what becomes of it.
    fn settle_once(&mut self, seat: usize, turn: Turn, leased: Leased) {
        let id = leased.id;
        let key = key_of(&leased);
        let one = self.once.all.get_mut(&id);
        let Some(one) = one.filter(|one| Some(one.key) == key) else {
            let detail = format!("m{seat}: {id} came with {:?}", leased.body);
            return self.violation("dedup", detail);
        };
        one.arrivals += 1;
        if one.arrivals > 1 && self.plan.is_pristine {
            self.violation("dedup", format!("m{seat}: {id} came again"));
        }
        let dice = &mut self.once.dice;
        let is_patient = matches!(turn, Turn::Drain) || self.plan.is_pristine;
        let (command, acked) = match dice.below(100) {
            0..6 if !is_patient => return,
            6..12 if !is_patient => (Command::Nack(leased.handle, Some(0)), None),
            _ => (Command::Ack(leased.handle), Some(id)),
        };
        self.ask(seat, command, What::Once(Asked::Settle(acked)));
    }

    /// The load is over: one of them at every member that reads.
    pub fn drain_once(&mut self, seat: usize) {
        if self.plan.has_dedup() {
            self.local_now(self.now, seat, Local::User(Act::Once(Turn::Drain)));
        }
    }

    /// After the heal each message has one owner (Q15).
    pub fn judge_one_owner(&mut self) {
        if self.plan.has_leaks {
            return;
        }
        let ids: Vec<MessageId> = self.once.all.keys().copied().collect();
        for id in ids {
            let owners = self.living().filter(|(_, life)| {
                let seen = life.engine.glimpse(id);
                seen.is_some_and(|seen| seen.is_owned)
            });
            let owners: Vec<usize> = owners.map(|(seat, _)| seat).collect();
            if owners.len() > 1 {
                self.violation("dedup", format!("{id} is owned by {owners:?}"));
            }
        }
    }

    /// Everything that was accepted is acked, where no store ended.
    pub fn judge_all_once(&mut self) {
        if self.plan.is_deadly() {
            return;
        }
        let all = self.once.all.iter();
        let lost = all.filter(|(_, one)| one.is_accepted && !one.is_acked);
        let lost: Vec<String> = lost.map(|(id, _)| id.to_string()).collect();
        if !lost.is_empty() {
            self.violation("lost", format!("orders {lost:?} were never acked"));
        }
    }
}
