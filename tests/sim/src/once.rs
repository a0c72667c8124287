//! Users who put the same orders in again and again, at several members at one time: within one window equal
//! dedup keys are one message (protocol.md 4.6).
//!
//! The checkers know one value for one message, so these have a queue of their own and an account of their
//! own, by message. What is promised is judged at the moment in which a member makes a message: none of the
//! key's home, as the member set has it, knew the message when it was looked for, and could be asked for as long
//! as that took. And, as always: what was accepted is acked at last where no store ended, a receipt counts no
//! copy that is none, and where nothing fails each is delivered once.

use std::collections::BTreeMap;

use primer_proto::base::{LinkId, MemberId, MessageId, QueueKey};
use primer_proto::copies::{Dedup, home_rank};
use primer_proto::engine::{
    Answer, Asked as AskedTerms, Command, Effect, EnqueueOptions, Event, EventKind, Leased,
    NewMessage, OnShort, Receipt, Reply,
};
use primer_proto::queue::{Recall, Recalled};

use crate::agenda::{MS, Micros, SECOND};
use crate::dice::Dice;
use crate::plan::Class;
use crate::users::{Act, What};
use crate::world::{Local, Phase, World};

/// The queue.
const QUEUE: &str = "orders";
/// Keys in use at a time.
const KEYS: usize = 5;
/// The one of them that is put in with a key for its order, too.
const KEYED: usize = 4;
/// By then a cluster in which nothing fails is whole.
const FOUNDED: Micros = 15 * SECOND;
/// How many members are to remember a key.
const HOMES: usize = 3;

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

/// Who was to be asked for a message, and over which link.
type Homes = BTreeMap<usize, LinkId>;

/// A member looks for a message.
struct Look {
    since: Micros,
    /// Its name at that member: another one is another look, also where it begins as the former ends.
    recall: u64,
    key: usize,
    /// Of the window in which it began to look.
    number: u64,
    homes: Homes,
    /// Which messages of that window and of those around each of those has known all the while since then: its
    /// seat, with its life, and how often that has begun anew.
    known: BTreeMap<(usize, MessageId), (u32, u32)>,
}

/// What is known of one message.
#[derive(Debug, Default)]
struct One {
    key: usize,
    /// How often it was made.
    made: u32,
    made_at: Micros,
    /// When its window ends, as its maker has it.
    until: u64,
    /// Somebody has a receipt.
    is_accepted: bool,
    arrivals: u32,
    is_acked: bool,
}

/// The account of all of them.
pub(crate) struct Once {
    dice: Dice,
    last: u64,
    keys: Vec<Dedup>,
    window: u64,
    /// The messages of all keys, by the window's number: hashing takes long.
    ids: BTreeMap<u64, Vec<MessageId>>,
    all: BTreeMap<MessageId, One>,
    /// When a member began to look for a message, and whom it could ask.
    looks: BTreeMap<(usize, MessageId), Look>,
    /// When a member last doubted another.
    doubts: BTreeMap<(usize, MemberId), Micros>,
    /// When the set of a member last changed.
    moved: BTreeMap<usize, Micros>,
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
    fn candidates(&mut self, seat: usize, wall_ms: u64) -> Vec<MessageId> {
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

    /// Before a call of an engine: which messages might be made in it that it does not hold.
    pub fn before_once(&mut self, seat: usize) -> Vec<MessageId> {
        if !self.plan.has_dedup() {
            return Vec::new();
        }
        let wall_ms = self.seats[seat].wall_ms(self.now);
        let mut ids = self.once.candidates(seat, wall_ms);
        match self.life(seat) {
            Some(life) => ids.retain(|id| !life.engine.holds(*id)),
            None => ids.clear(),
        }
        ids
    }

    /// After it: what was made, and what is not known any more.
    pub fn after_once(&mut self, seat: usize, before: &[MessageId], effects: &[Effect]) {
        if !self.plan.has_dedup() {
            return;
        }
        let is_move = |event: &Event| matches!(event.kind, EventKind::Joined | EventKind::Left);
        let mut effects = effects.iter();
        if effects.any(|effect| matches!(effect, Effect::Event(event) if is_move(event))) {
            self.once.moved.insert(seat, self.now);
        }
        let Some(life) = self.life(seat) else {
            return;
        };
        let is_made = |id: &MessageId| {
            let seen = life.engine.glimpse(*id);
            seen.is_some_and(|seen| seen.is_owned && seen.own.epoch == 0)
        };
        let made: Vec<MessageId> = before.iter().copied().filter(is_made).collect();
        for id in made {
            self.judge_made(seat, id);
        }
        self.forget_once(seat);
    }

    /// What a member looks for no more, and what it knew when others began to look for it, and does not know any more.
    fn forget_once(&mut self, seat: usize) {
        let Some(life) = &self.seats[seat].life else {
            return;
        };
        // Its look has ended: the next one is another, and asks whom it can ask then.
        self.once
            .looks
            .retain(|(at, id), _| *at != seat || life.engine.is_putting_in(*id));
        for look in self.once.looks.values_mut() {
            look.known.retain(|(at, id), name| {
                let knows = || life.engine.recollects(*id).is_some();
                *at != seat || *name == (life.number, life.wipes) && knows()
            });
        }
    }

    /// A member asks others whether they know one of three messages.
    pub fn note_recall(&mut self, seat: usize, recall: &Recall) {
        let (Some(origin), Some(sequence)) = (recall.origins.get(1), recall.sequences.get(1))
        else {
            return;
        };
        let id = MessageId {
            origin: primer_proto::base::BootId(*origin),
            sequence: *sequence,
        };
        let known = self.once.looks.get(&(seat, id));
        if known.is_none_or(|known| known.recall != recall.number)
            && let Some(look) = self.look(seat, id, recall.number)
        {
            self.once.looks.insert((seat, id), look);
        }
    }

    /// A member says what it knows of them.
    pub fn note_recalled(&mut self, recalled: &Recalled) {
        if !recalled.known.is_empty() {
            self.sometimes.hit("known at home");
        }
    }

    /// A member doubts another.
    pub fn note_doubt(&mut self, seat: usize, member: MemberId) {
        self.once.doubts.insert((seat, member), self.now);
    }

    /// A look for a message that begins now.
    fn look(&self, seat: usize, id: MessageId, recall: u64) -> Option<Look> {
        let wall_ms = self.seats[seat].wall_ms(self.now);
        let mut keys = self.once.keys.iter().enumerate();
        let (key, dedup) = keys.find(|(_, dedup)| dedup.id(dedup.number(wall_ms)) == id)?;
        let number = dedup.number(wall_ms);
        // In one call it may have looked before its set changed (a member that was paused retires others as it
        // wakes): whom it could ask then is not known here any more.
        let homes = match self.once.moved.get(&seat) {
            Some(moved) if *moved == self.now => Homes::new(),
            _ => self.homes_heard(seat, dedup.home()),
        };
        let mut known = BTreeMap::new();
        for at in homes.keys().copied() {
            let Some(life) = self.life(at) else {
                continue;
            };
            let ids = [number - 1, number, number + 1].map(|number| dedup.id(number));
            let ids = ids
                .into_iter()
                .filter(|id| life.engine.recollects(*id).is_some());
            known.extend(ids.map(|id| ((at, id), (life.number, life.wipes))));
        }
        Some(Look {
            since: self.now,
            recall,
            key,
            number,
            homes,
            known,
        })
    }

    /// The home of a key as the set of that member has it, but itself, where it can be asked.
    fn homes_heard(&self, seat: usize, home: u64) -> Homes {
        let Some(life) = self.life(seat) else {
            return Homes::new();
        };
        let members = life.engine.lives().map(|(member, ..)| member);
        let mut ranked: Vec<(u64, MemberId)> = members
            .map(|member| (home_rank(home, member), member))
            .collect();
        ranked.sort_unstable();
        let homes = ranked.iter().rev().take(HOMES);
        let heard = homes.filter_map(|(_, member)| {
            let at = self.seats.iter().position(|seat| seat.member == *member)?;
            Some((at, life.engine.hears(*member)?))
        });
        heard.filter(|(at, _)| *at != seat).collect()
    }

    /// A member makes a message: nobody who knew better could be asked.
    fn judge_made(&mut self, seat: usize, id: MessageId) {
        let look = self.once.looks.remove(&(seat, id));
        let Some(look) = look.or_else(|| self.look(seat, id, 0)) else {
            return;
        };
        // Which of two with one identity is meant, and what a member of an earlier version is the home of, is
        // not known here.
        let is_plain = !self.plan.has(Class::Twins) && !self.plan.has_older;
        let key = look.key;
        for at in look.homes.keys().copied().filter(|_| is_plain) {
            if self.could_be_asked(seat, at, &look)
                && let Some(known) = self.knew(seat, at, &look)
            {
                let detail =
                    format!("m{seat} makes {id} of {key}, and m{at} at its home knew {known}");
                self.violation("dedup", detail);
            }
        }
        self.judge_calm(seat, key, id);
        let life = self.life(seat);
        let known = life.and_then(|life| life.engine.recollects(id));
        let one = self.once.all.entry(id).or_default();
        one.until = known.map_or(0, |(until, _)| until);
        if one.made > 0 {
            self.sometimes.hit("made on both sides");
        }
        one.key = key;
        one.made += 1;
        one.made_at = self.now;
    }

    /// Whether `seat` could ask `at` all the while since then.
    fn could_be_asked(&self, seat: usize, at: usize, look: &Look) -> bool {
        let member = self.seats[at].member;
        let heard = self.life(seat).and_then(|life| life.engine.hears(member));
        let doubted = self.once.doubts.get(&(seat, member));
        heard.is_some()
            && heard == look.homes.get(&at).copied()
            && doubted.is_none_or(|doubted| *doubted < look.since)
    }

    /// What `at` has known since then and before of that window, or of those around.
    fn knew(&self, seat: usize, at: usize, look: &Look) -> Option<MessageId> {
        let dedup = &self.once.keys[look.key];
        let wall_ms = self.seats[seat].wall_ms(self.now);
        let life = self.life(at)?;
        let number = look.number;
        let mut numbers = [number, number + 1, number - 1].into_iter();
        numbers.find_map(|one| {
            let id = dedup.id(one);
            let (until, _) = life.engine.recollects(id)?;
            let is_it = look.known.get(&(at, id)) == Some(&(life.number, life.wipes));
            // Of the window before only while that one's own lasts; a clock that jumps may have shown otherwise.
            let lasts = one >= number || until > wall_ms && !self.plan.has(Class::Skew);
            (is_it && lasts).then_some(id)
        })
    }

    /// Where nothing fails, a key is new once a window.
    fn judge_calm(&mut self, seat: usize, key: usize, id: MessageId) {
        // Whoever wanted copies that nobody had room for has taken it back, and nobody heard of it.
        let is_known = |last: MessageId, one: &One| {
            let mut others = self.living();
            let is_there = others.any(|(at, life)| {
                (last != id || at != seat) && life.engine.recollects(last).is_some()
            });
            one.is_accepted || one.arrivals > 0 || is_there
        };
        let of_key = self.once.all.iter().filter(|(_, one)| one.key == key);
        let of_key = of_key.filter(|(last, one)| is_known(**last, one));
        let latest = of_key.max_by_key(|(_, one)| one.made_at);
        let Some((last, at, until)) = latest.map(|(last, one)| (*last, one.made_at, one.until))
        else {
            return;
        };
        self.sometimes.hit("key used anew");
        let is_founded = self.plan.is_calm && !self.plan.is_deadly() && at > FOUNDED;
        let wall_ms = self.seats[seat].wall_ms(self.now);
        if is_founded && !self.plan.has_older && wall_ms < until {
            let early = until - wall_ms;
            let detail = format!("{id} of {key} is made {early} ms before {last} may be forgotten");
            self.violation("dedup", detail);
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
