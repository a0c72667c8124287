//! The metadata rules in small random worlds, against an oracle that knows every write.
//!
//! Members write and remove a few keys; deltas are lost, doubled and reordered; exchanges run among
//! all of it, several at once, cut, abandoned and answered late; clocks differ by minutes; members
//! leave and come back empty. At the end everything heals, and the invariants of protocol.md 8.1
//! are asked: M1 equal roots and contexts, M2 no removed dot returns, M3 a write that a remove did
//! not see stays, M4 no dot twice. Each planted bug must be caught.

use alloc::collections::{BTreeMap, BTreeSet};

use super::super::message::{ASK, Exchange};
use super::super::{MetaCanary, News, Table, raw_key};
use super::{Bounds, Exchanges};
use crate::base::{BootId, Chance, Instant, MemberId, Now};
use crate::crdt::{Context, Delta, Dot, DotMap};
use bytes::Bytes;
use prost::Message as _;

const KEYS: u64 = 5;
const STEPS: u64 = 70;

/// What may happen in a world.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Weather {
    /// Everything arrives, in any order, and nobody exchanges: deltas alone must do.
    Calm,
    /// Loss, doubling, reordering, exchanges, cuts.
    Rough,
    /// The same, and members leave and come back.
    Churn,
}

struct Packet {
    from: usize,
    to: usize,
    is_delta: bool,
    bytes: Vec<u8>,
}

struct Seat {
    table: Table,
    news: News,
    exchanges: Exchanges,
    wall_ms: u64,
    /// Every dot that was live here in this life of the table and is not any more.
    gone: BTreeSet<Dot>,
    live: BTreeSet<Dot>,
}

/// One write, as the oracle knows it.
struct Truth {
    is_replaced: bool,
    /// Who knew of it, or of its end, left before telling: either way is right.
    is_doubtful: bool,
}

struct World {
    chance: Chance,
    weather: Weather,
    seats: Vec<Seat>,
    flight: Vec<Packet>,
    truth: BTreeMap<Dot, Truth>,
    /// Contexts as they were when an exchange was answered (again, when its question came again), by
    /// learner, teacher and number.
    taught: BTreeMap<(usize, usize, u64), Vec<Context>>,
    now_ms: u64,
    boots: u64,
    canary: MetaCanary,
    /// Exchange messages of one link may overtake each other.
    is_unordered: bool,
    loss: u64,
}

type Verdict = Result<(), String>;

fn check(is_right: bool, what: impl FnOnce() -> String) -> Verdict {
    if is_right { Ok(()) } else { Err(what()) }
}

fn member(seat: usize) -> MemberId {
    MemberId(seat as u128 + 1)
}

fn bounds(chance: &mut Chance) -> Bounds {
    let usual = Bounds::default();
    let mut pick = |few: [usize; 3], usual: usize| match chance.below(4) {
        3 => usual,
        at => few[at as usize],
    };
    Bounds {
        body_bytes: pick([60, 150, 400], usual.body_bytes),
        lines_first: pick([1, 2, 3], usual.lines_first),
        lines_max: pick([2, 4, 16], usual.lines_max),
        walk_max: pick([1, 2, 4], usual.walk_max),
        contexts_from: pick([0, 1, 2], usual.contexts_from),
    }
}

impl World {
    fn new(seed: u64, canary: MetaCanary) -> Self {
        let mut chance = Chance::new(seed);
        let weather = match chance.below(10) {
            0 | 1 => Weather::Calm,
            2..=6 => Weather::Rough,
            _ => Weather::Churn,
        };
        let mut world = Self {
            weather,
            seats: Vec::new(),
            flight: Vec::new(),
            truth: BTreeMap::new(),
            taught: BTreeMap::new(),
            now_ms: 0,
            boots: 0,
            canary,
            is_unordered: chance.percent(20),
            loss: if weather == Weather::Calm {
                0
            } else {
                10 * chance.below(8)
            },
            chance,
        };
        for seat in 0..2 + world.chance.below(3) as usize {
            let actor = world.boot();
            let mut table = Table::new(member(seat), actor);
            let (mut news, mut exchanges) = (News::default(), Exchanges::default());
            table.plant(canary);
            news.plant(canary);
            exchanges.plant(canary);
            exchanges.bounds = bounds(&mut world.chance);
            let wall_ms = 1_000_000 + world.chance.below(3) * 600_000;
            world.seats.push(Seat {
                table,
                news,
                exchanges,
                wall_ms,
                gone: BTreeSet::new(),
                live: BTreeSet::new(),
            });
        }
        world
    }

    fn boot(&mut self) -> BootId {
        self.boots += 1;
        // Unlike each other in their high bits, as random ones are, and always another.
        BootId((self.chance.bits() << 8 | self.boots) >> 1)
    }

    fn now(&self, seat: usize) -> Now {
        Now {
            mono: Instant(self.now_ms),
            wall_ms: self.seats[seat].wall_ms + self.now_ms,
        }
    }

    fn seat(&mut self) -> usize {
        self.chance.below(self.seats.len() as u64) as usize
    }

    fn run(&mut self) -> Verdict {
        for _ in 0..STEPS {
            self.now_ms += self.chance.below(25);
            let at = self.seat();
            match self.chance.below(100) {
                0..30 => self.change(at)?,
                30..70 => self.deliver()?,
                70..75 => self.flush(at),
                _ if self.weather == Weather::Calm => {}
                75..87 => {
                    let to = self.seat();
                    self.start(at, to);
                }
                87..91 => self.wake(at),
                91..95 => self.cut(at),
                95..97 => self.now_ms += 6_000,
                _ if self.weather == Weather::Churn && self.chance.percent(60) => self.leave(at),
                _ => {}
            }
            self.look(at)?;
        }
        self.heal()
    }

    /// Writes or removes a key, and notes it.
    fn change(&mut self, at: usize) -> Verdict {
        let now = self.now(at);
        let key = format!("k{}", self.chance.below(KEYS));
        let raw = raw_key(&key);
        let dots =
            |table: &Table| -> Vec<Dot> { table.map().siblings(&raw).map(|(d, _)| d).collect() };
        let value: Bytes = vec![b'v'; self.chance.below(40) as usize].into();
        let is_write = self.chance.percent(70);
        let seat = &mut self.seats[at];
        let replaced = dots(&seat.table);
        let delta = if is_write {
            Some(seat.table.put(now, &key, value).unwrap())
        } else {
            seat.table.delete(now, &key).unwrap()
        };
        if is_write {
            let dot = dots(&seat.table);
            check(dot.len() == 1, || format!("a write left {dot:?}"))?;
            let truth = Truth {
                is_replaced: false,
                is_doubtful: false,
            };
            let before = self.truth.insert(dot[0], truth);
            check(before.is_none(), || format!("M4: {dot:?} was used twice"))?;
        }
        for dot in replaced {
            if let Some(truth) = self.truth.get_mut(&dot) {
                truth.is_replaced = true;
            }
        }
        if let Some(delta) = delta {
            seat.news.add(now.mono, delta);
        }
        if self.chance.percent(60) {
            self.flush(at);
        }
        Ok(())
    }

    fn flush(&mut self, at: usize) {
        let now = self.now(at).mono;
        for delta in self.seats[at].news.flush(now) {
            let bytes = delta.to_bytes();
            for to in (0..self.seats.len()).filter(|to| *to != at) {
                self.flight.push(Packet {
                    from: at,
                    to,
                    is_delta: true,
                    bytes: bytes.clone(),
                });
            }
        }
    }

    fn start(&mut self, at: usize, to: usize) {
        if at != to {
            let now = self.now(at).mono;
            let seat = &mut self.seats[at];
            seat.exchanges.start(now, member(to), &seat.table);
            self.send(at);
        }
    }

    fn wake(&mut self, at: usize) {
        let now = self.now(at).mono;
        let seat = &mut self.seats[at];
        seat.exchanges.wake(now, &seat.table);
        self.send(at);
    }

    fn send(&mut self, at: usize) {
        for (to, message) in self.seats[at].exchanges.out() {
            self.flight.push(Packet {
                from: at,
                to: to.0 as usize - 1,
                is_delta: false,
                bytes: message.encode_to_vec(),
            });
        }
    }

    /// Something arrives, or is lost, or arrives and stays to arrive again.
    fn deliver(&mut self) -> Verdict {
        if self.flight.is_empty() {
            return Ok(());
        }
        let mut pick = self.chance.below(self.flight.len() as u64) as usize;
        if !self.flight[pick].is_delta && !self.is_unordered {
            let (from, to) = (self.flight[pick].from, self.flight[pick].to);
            let first = self
                .flight
                .iter()
                .position(|packet| !packet.is_delta && (packet.from, packet.to) == (from, to));
            pick = first.unwrap_or(pick);
        }
        let packet = self.flight.remove(pick);
        let loss = if packet.is_delta {
            self.loss
        } else {
            self.loss / 8
        };
        if self.chance.percent(loss) {
            return Ok(());
        }
        self.arrive(&packet)?;
        if self.weather != Weather::Calm && self.chance.percent(15) {
            self.flight.push(packet);
        }
        Ok(())
    }

    fn arrive(&mut self, packet: &Packet) -> Verdict {
        let (from, to) = (packet.from, packet.to);
        let now = self.now(to);
        let seat = &mut self.seats[to];
        if packet.is_delta {
            seat.table
                .hear(now, &Delta::from_bytes(&packet.bytes).unwrap());
            return self.look(to);
        }
        let message = Exchange::decode(packet.bytes.as_slice()).unwrap();
        if message.kind == ASK {
            let context = seat.table.map().context().clone();
            let taught = self.taught.entry((from, to, message.number));
            taught.or_default().push(context);
        }
        let number = message.number;
        let heard = seat
            .exchanges
            .hear(now, member(from), message, &mut seat.table);
        check(heard.is_ok(), || format!("refused: {heard:?}"))?;
        for teacher in seat.exchanges.finished() {
            let taught = self.taught.get(&(to, teacher.0 as usize - 1, number));
            let is_learned = taught.is_some_and(|taught| {
                let has = seat.table.map().context();
                taught.iter().any(|seen| has.includes(seen))
            });
            check(is_learned, || {
                format!("{to} finished with {teacher} and lacks of its context")
            })?;
        }
        self.send(to);
        self.look(to)
    }

    /// A link breaks: what is under way on it is lost; both sides notice, or must find out by time.
    fn cut(&mut self, at: usize) {
        let other = self.seat();
        let is_between = |packet: &Packet| {
            let ends = (packet.from, packet.to);
            !packet.is_delta && (ends == (at, other) || ends == (other, at))
        };
        self.flight.retain(|packet| !is_between(packet));
        if self.chance.percent(50) {
            self.seats[at].exchanges.forget(member(other));
            self.seats[other].exchanges.forget(member(at));
        }
    }

    /// A member leaves and comes back with nothing. What nobody else knows is neither here nor there.
    fn leave(&mut self, at: usize) {
        let view = |seat: &Seat, dot: &Dot| {
            let is_seen = seat.table.map().context().holds(*dot);
            u8::from(is_seen) + u8::from(is_seen && !seat.live.contains(dot))
        };
        for (dot, truth) in &mut self.truth {
            let known = view(&self.seats[at], dot);
            let others = self
                .seats
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at);
            let is_kept = others
                .map(|(_, seat)| view(seat, dot))
                .any(|other| other >= known);
            truth.is_doubtful |= !is_kept;
        }
        let actor = self.boot();
        let is_told = self.chance.percent(50);
        let seat = &mut self.seats[at];
        seat.table.reset(actor);
        seat.news = News::default();
        seat.news.plant(self.canary);
        if is_told {
            seat.exchanges.clear();
        }
        seat.gone.clear();
        seat.live.clear();
    }

    /// M2 at one member.
    fn look(&mut self, at: usize) -> Verdict {
        let seat = &mut self.seats[at];
        let live = live(seat.table.map());
        if live == seat.live {
            return Ok(());
        }
        let back = live.intersection(&seat.gone).next().copied();
        check(back.is_none(), || format!("M2: {back:?} came back at {at}"))?;
        seat.gone.extend(seat.live.difference(&live).copied());
        seat.live = live;
        Ok(())
    }

    /// Everything arrives from now on; all must end alike, and as the oracle says.
    fn heal(&mut self) -> Verdict {
        self.now_ms += 100;
        (0..self.seats.len()).for_each(|at| self.flush(at));
        if self.weather != Weather::Calm {
            self.chance.shuffle(&mut self.flight);
            let kept = self.flight.len() / 2;
            self.flight.truncate(kept);
        }
        self.loss = 0;
        while !self.flight.is_empty() {
            self.deliver()?;
        }
        if self.weather != Weather::Calm {
            self.now_ms += 10_000;
            for _ in 0..2 {
                self.meet()?;
            }
        }
        self.judge()
    }

    /// Everyone exchanges with everyone.
    fn meet(&mut self) -> Verdict {
        for at in 0..self.seats.len() {
            for to in 0..self.seats.len() {
                self.start(at, to);
                self.wake(at);
                while let Some(packet) = (!self.flight.is_empty()).then(|| self.flight.remove(0)) {
                    self.arrive(&packet)?;
                }
            }
            let is_idle = self.seats[at].exchanges.is_idle();
            check(is_idle, || format!("an exchange of {at} does not end"))?;
        }
        Ok(())
    }

    fn judge(&self) -> Verdict {
        let first = self.seats[0].table.map();
        for (at, seat) in self.seats.iter().enumerate() {
            let map = seat.table.map();
            check(map.context() == first.context(), || {
                format!("M1: contexts of 0 and {at}")
            })?;
            check(map.root() == first.root(), || {
                format!("M1: roots of 0 and {at}")
            })?;
            check(map == first, || {
                format!("values of 0 and {at} under equal roots")
            })?;
            let (ours, theirs) = (
                self.seats[0].table.list("", 100, None),
                seat.table.list("", 100, None),
            );
            check(ours == theirs, || format!("0 and {at} choose otherwise"))?;
        }
        let mut afresh = DotMap::default();
        afresh.merge(&first.whole(), true);
        let is_true = afresh.sums() == first.sums() && afresh.root() == first.root();
        check(is_true, || {
            "the kept sums are not those of the entries".to_owned()
        })?;
        let live = live(first);
        for (dot, truth) in self.truth.iter().filter(|(_, truth)| !truth.is_doubtful) {
            let is_live = live.contains(dot);
            check(is_live != truth.is_replaced, || {
                format!(
                    "M3: {dot:?} is live: {is_live}, was replaced: {}",
                    truth.is_replaced
                )
            })?;
        }
        check(live.iter().all(|dot| self.truth.contains_key(dot)), || {
            "a value of nobody".to_owned()
        })
    }
}

fn live(map: &DotMap) -> BTreeSet<Dot> {
    let keys = map.iter().map(|(key, _)| key);
    keys.flat_map(|key| map.siblings(key).map(|(dot, _)| dot))
        .collect()
}

fn all_hold(seeds: core::ops::Range<u64>) {
    for seed in seeds {
        let verdict = World::new(seed, MetaCanary::None).run();
        assert_eq!(verdict, Ok(()), "seed {seed}");
    }
}

#[test]
fn the_invariants_hold_in_a_thousand_worlds() {
    all_hold(0..1_000);
}

#[test]
fn the_invariants_hold_in_a_second_thousand() {
    all_hold(1_000..2_000);
}

#[test]
fn the_invariants_hold_in_a_third_thousand() {
    all_hold(2_000..3_000);
}

#[test]
fn every_planted_bug_is_caught_within_300_worlds() {
    for canary in [
        MetaCanary::JoinContextEarly,
        MetaCanary::YoungContext,
        MetaCanary::JoinOnlyOnEqualRoots,
        MetaCanary::ClampStamp,
        MetaCanary::CoalesceWithoutContexts,
        MetaCanary::ReuseDot,
    ] {
        let caught = (0..300).find_map(|seed| {
            let verdict = World::new(seed, canary).run();
            verdict.err().map(|what| (seed, what))
        });
        println!("{canary:?}: {caught:?}");
        assert!(caught.is_some(), "{canary:?} was not caught");
    }
}

#[test]
#[ignore = "a soak: minutes"]
fn the_invariants_hold_in_a_hundred_thousand_worlds() {
    all_hold(0..100_000);
}
