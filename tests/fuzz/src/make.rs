//! Messages that are well formed and mean anything: the vocabulary of every target.
//!
//! Identities come from a small pool, so that messages of one case speak of the same things; the
//! engine's own are in it, so that lies about them are drawn too.

mod dedup;
mod hint;
mod inventory;

use std::sync::Arc;

use bytes::Bytes;
use primer_proto::base::{BootId, Chance, MemberId, Stamp, StoreId, limits};
use primer_proto::broadcast::{Gone, Graft, Group, IHave, Message as Broadcast, Prune, Push};
use primer_proto::copies::{
    Headers, Holder, Holders, Item, Owed, Own, Refused, Repl, ReplNo, ReplOk, Section, Terms,
};
use primer_proto::crdt::DotMap;
use primer_proto::engine::{HOST_BODIES_MAX, HostExchange, Message};
use primer_proto::membership::{Card, CardList, Heartbeat, Meta, Probe, Rival};
use primer_proto::metadata::{Exchange, Length, Stock};
use primer_proto::queue::Message as Queue;
use primer_proto::queue::{
    Claim, Deliver, Demand, Done, Ending, Forget, Header, Replied, Settle, Settled,
};
use primer_proto::wire::{Ids, SEQUENCE_MAX};
use prost::Message as _;

/// Who and what messages speak of.
pub(crate) struct Pool {
    pub boots: Vec<BootId>,
    pub holders: Vec<Holder>,
    pub queues: Vec<String>,
}

impl Pool {
    /// Three strangers.
    pub fn new(chance: &mut Chance) -> Self {
        let mut pool = Self {
            boots: Vec::new(),
            holders: Vec::new(),
            queues: vec![
                "jobs".into(),
                "mail".into(),
                "x".repeat(limits::NAME_BYTES_MAX),
            ],
        };
        for _ in 0..3 {
            let store = StoreId(chance.bits());
            let member = MemberId(u128::from(chance.bits()));
            pool.add(BootId(chance.bits() >> 1), Holder { member, store });
        }
        pool
    }

    pub fn add(&mut self, boot: BootId, holder: Holder) {
        self.boots.push(boot);
        self.holders.push(holder);
    }
}

/// One of them.
pub(crate) fn pick<'a, T>(items: &'a [T], chance: &mut Chance) -> &'a T {
    &items[chance.below(items.len() as u64) as usize]
}

/// Small, or at an edge, or anything.
pub(crate) fn number(chance: &mut Chance) -> u64 {
    match chance.below(8) {
        0 => 0,
        1 => u64::MAX,
        2 => chance.bits(),
        3 => 1 << chance.below(64),
        _ => chance.below(24),
    }
}

/// A place in an origin's order; higher ones are refused by whoever reads them.
fn sequence(chance: &mut Chance) -> u64 {
    number(chance).min(SEQUENCE_MAX)
}

pub(crate) fn number32(chance: &mut Chance) -> u32 {
    u32::try_from(number(chance)).unwrap_or(u32::MAX)
}

pub(crate) fn boot(pool: &Pool, chance: &mut Chance) -> BootId {
    *pick(&pool.boots, chance)
}

pub(crate) fn own(pool: &Pool, chance: &mut Chance) -> Own {
    Own {
        epoch: number32(chance),
        rank: number(chance),
        store: pick(&pool.holders, chance).store,
    }
}

pub(crate) fn holders(pool: &Pool, chance: &mut Chance) -> Holders {
    let mut holders = pool.holders.clone();
    chance.shuffle(&mut holders);
    holders.truncate(chance.below(5) as usize);
    if chance.percent(5) {
        let others = (1..=limits::HOLDERS_MAX as u64).map(|n| Holder {
            member: MemberId(u128::from(n)),
            store: StoreId(n),
        });
        holders.extend(others.take(limits::HOLDERS_MAX - holders.len()));
    }
    holders.into()
}

fn ids(pool: &Pool, chance: &mut Chance) -> Ids {
    let mut ids = Ids::none(boot(pool, chance));
    for _ in 0..chance.below(4) {
        let first = sequence(chance);
        let span = if chance.percent(5) {
            chance.below(5_000)
        } else {
            chance.below(5)
        };
        let last = first + span;
        if last <= SEQUENCE_MAX {
            ids.push(first, last);
        }
    }
    ids
}

pub(crate) fn bytes(max: u64, chance: &mut Chance) -> Bytes {
    let length = chance.below(max + 1);
    (0..length).map(|_| chance.bits() as u8).collect()
}

fn headers(chance: &mut Chance) -> Headers {
    let pairs = (0..chance.below(4)).map(|n| (format!("k{n}"), "v".repeat(n as usize)));
    Arc::new(pairs.collect())
}

fn item(chance: &mut Chance) -> Item {
    Item {
        sequence: sequence(chance),
        stamp: Stamp(number(chance)),
        attempts: number32(chance),
        lease: number32(chance),
        body: chance.percent(90).then(|| {
            let max = if chance.percent(3) { 70_000 } else { 40 };
            bytes(max, chance)
        }),
        headers: chance.percent(20).then(|| headers(chance)),
        terms: chance.percent(20).then(|| terms(chance)),
    }
}

fn terms(chance: &mut Chance) -> Arc<Terms> {
    Arc::new(Terms {
        priority: chance.percent(50).then(|| chance.below(10) as u32),
        not_before: number(chance),
        expires: number(chance),
        max_attempts: number32(chance),
        is_at_most_once: chance.percent(30),
        is_dead_letter: chance.percent(30),
        key: (*pick(&["", "k", "l"], chance)).into(),
        ..dedup(chance)
    })
}

/// Terms of a message that is to be one within its window: mostly none.
pub(crate) fn dedup(chance: &mut Chance) -> Terms {
    if chance.percent(60) {
        return Terms::default();
    }
    let until = if chance.percent(50) {
        0
    } else {
        number(chance)
    };
    Terms {
        dedup: (*pick(&["k", "l"], chance)).into(),
        dedup_window: *pick(&[1, 1_000, limits::DEDUP_WINDOW_MS_MAX], chance),
        dedup_until: until,
        ..Terms::default()
    }
}

fn section(pool: &Pool, chance: &mut Chance) -> Section {
    let mut section = Section::new(boot(pool, chance), own(pool, chance), holders(pool, chance));
    for _ in 0..chance.below(5) {
        section.items.push(item(chance));
    }
    section
}

fn done(pool: &Pool, chance: &mut Chance) -> Done {
    Done {
        ids: ids(pool, chance),
        holders: holders(pool, chance),
        ending: if chance.percent(80) {
            Ending::Acked
        } else {
            Ending::Aborted
        },
    }
}

pub(crate) fn queue_name(pool: &Pool, chance: &mut Chance) -> String {
    pick(&pool.queues, chance).clone()
}

fn meta(chance: &mut Chance) -> Meta {
    let delta = if chance.percent(70) {
        let mut map = DotMap::default();
        let key: Vec<u8> = bytes(20, chance).into();
        let value: Vec<u8> = bytes(60, chance).into();
        let mut delta = map.write(BootId(number(chance)), &key, value);
        if chance.percent(30) {
            delta.append(map.remove(&key));
        }
        delta.to_bytes()
    } else {
        bytes(80, chance).into()
    };
    Meta {
        delta,
        asks: chance.percent(30),
    }
}

fn stock(pool: &Pool, chance: &mut Chance) -> Stock {
    let mut names = || {
        (0..chance.below(3))
            .map(|_| queue_name(pool, chance))
            .collect()
    };
    let (stocked, empty, long) = (names(), names(), names());
    Stock {
        version: number(chance),
        is_whole: chance.percent(30),
        stocked,
        empty,
        is_hint: chance.percent(20),
        lengths: lengths(long, chance),
        memory_level: number(chance) as u32,
    }
}

fn lengths(queues: Vec<String>, chance: &mut Chance) -> Vec<Length> {
    let lengths = queues.into_iter().map(|queue| Length {
        queue,
        messages: number(chance),
        bytes: number(chance),
    });
    lengths.collect()
}

fn rival(pool: &Pool, chance: &mut Chance) -> Rival {
    let member = pick(&pool.holders, chance).member;
    Rival::of(member, number(chance), boot(pool, chance))
}

fn settle(pool: &Pool, chance: &mut Chance) -> Settle {
    Settle {
        number: number(chance),
        verb: number32(chance) % 6,
        origin: boot(pool, chance).0,
        sequence: number(chance),
        epoch: number32(chance),
        lease: number32(chance),
        span: number(chance),
        reason: "r".repeat(chance.below(9) as usize),
    }
}

fn host(chance: &mut Chance) -> HostExchange {
    let count = if chance.percent(5) {
        HOST_BODIES_MAX as u64 + chance.below(2)
    } else {
        chance.below(3)
    };
    HostExchange {
        handler: number32(chance),
        is_answer: chance.percent(50),
        bodies: (0..count).map(|_| bytes(40, chance)).collect(),
        has_more: chance.percent(50),
    }
}

/// The groups that copies are for: mostly none.
fn owed(chance: &mut Chance) -> Vec<Owed> {
    let count = if chance.percent(70) {
        0
    } else {
        1 + chance.below(3)
    };
    let owed = (0..count).map(|_| Owed {
        group: (*pick(&["g", "h", "", "i\u{1f}j"], chance)).into(),
        birth: (1 + chance.below(2), 1 + chance.below(3)),
        status: if chance.percent(90) {
            0
        } else {
            chance.below(6) as u8
        },
    });
    let owed: Vec<Owed> = owed.collect();
    // That list alone is how none travels.
    if owed == [Owed::default()] {
        Vec::new()
    } else {
        owed
    }
}

/// A reply, often to a call that there is.
fn replied(pool: &Pool, chance: &mut Chance) -> Replied {
    let most = if chance.percent(5) {
        limits::HEADERS_MAX as u64
    } else {
        2
    };
    let headers = (0..=chance.below(most)).map(|_| Header {
        name: "n".repeat(chance.below(9) as usize),
        value: "v".repeat(chance.below(9) as usize),
    });
    let headers: Vec<Header> = headers.collect();
    Replied {
        boot: pick(&pool.boots, chance).0,
        number: if chance.percent(80) {
            chance.below(40)
        } else {
            number(chance)
        },
        body: bytes(40, chance),
        headers,
    }
}

/// A message of the queue room.
fn queue(pool: &Pool, chance: &mut Chance) -> Queue {
    match chance.below(16) {
        12..=15 => crate::looks::look(pool, chance),
        0 | 1 => Queue::Repl(Repl {
            queue: queue_name(pool, chance).into(),
            section: section(pool, chance),
            wanted: chance.below(u64::from(limits::COPIES_MAX) + 1) as u16,
            owed: owed(chance),
        }),
        2 => Queue::ReplOk(ReplOk {
            ids: ids(pool, chance),
            store: pick(&pool.holders, chance).store,
            epoch: number32(chance) % 3,
        }),
        3 => Queue::ReplNo(ReplNo {
            ids: ids(pool, chance),
            reason: *pick(
                &[Refused::Memory, Refused::Leaving, Refused::Unsupported],
                chance,
            ),
        }),
        4 => Queue::Demand(Demand {
            number: number(chance),
            queue: queue_name(pool, chance),
            credit: number32(chance),
            lease_ms: number(chance),
            group: if chance.percent(90) {
                String::new()
            } else {
                "g".into()
            },
            credit_bytes: if chance.percent(50) {
                0
            } else {
                number(chance)
            },
        }),
        5 => Queue::Deliver(Deliver {
            number: number(chance),
            has_more: chance.percent(50),
            lease_ms: number(chance).min(limits::LEASE_MS_MAX),
            sections: (0..chance.below(3))
                .map(|_| section(pool, chance))
                .collect(),
            sources: (0..chance.below(3))
                .map(|_| (*pick(&pool.boots, chance), *pick(&pool.boots, chance)))
                .collect(),
        }),
        6 => Queue::SetDone(done(pool, chance)),
        7 => Queue::DoneOk(done(pool, chance)),
        8 => Queue::Forget(Forget {
            ids: ids(pool, chance),
            holders: holders(pool, chance),
        }),
        9 => Queue::Claim(Claim {
            ids: ids(pool, chance),
            own: own(pool, chance),
            holders: holders(pool, chance),
        }),
        10 => Queue::Replied(replied(pool, chance)),
        11 if chance.percent(40) => hint::hint(pool, chance),
        11 if chance.percent(30) => inventory::inventory(chance),
        11 if chance.percent(50) => dedup::memory(pool, chance),
        _ if chance.percent(50) => Queue::Settle(settle(pool, chance)),
        _ => Queue::Settled(Settled {
            number: number(chance),
            code: number32(chance),
        }),
    }
}

fn cards(pool: &Pool, chance: &mut Chance) -> CardList {
    let card = |chance: &mut Chance| {
        let member = pick(&pool.holders, chance).member;
        let mut card = Card::new(member, number(chance), boot(pool, chance));
        card.version = number(chance);
        card.name = "n".repeat(chance.below(20) as usize);
        card.address = "a".repeat(chance.below(30) as usize);
        card.minor = number32(chance);
        card
    };
    let cards = (0..chance.below(4)).map(|_| card(chance)).collect();
    CardList { cards }
}

/// A step of the exchange of metadata: a head as prost has it, and a body that no room would write.
fn exchange(chance: &mut Chance) -> Exchange {
    let mut head = vec![0x08, chance.below(8) as u8];
    for tag in [0x10, 0x18] {
        head.push(tag);
        prost::encoding::encode_varint(number(chance), &mut head);
    }
    head.extend_from_slice(&[0x2a, 30]);
    head.extend((0..30).map(|_| chance.bits() as u8));
    Exchange::decode(head.as_slice()).unwrap()
}

/// A message about a broadcast of that member's, as far as others might read it.
pub(crate) fn broadcast(origin: MemberId, chance: &mut Chance) -> Broadcast {
    let incarnation = number(chance);
    let sequence = number(chance).clamp(1, SEQUENCE_MAX);
    let until = (sequence + chance.below(20)).min(SEQUENCE_MAX);
    match chance.below(5) {
        0 => Broadcast::Push(Push {
            origin,
            incarnation,
            sequence,
            hops: number(chance) as u16,
            handler: number(chance) as u16,
            body: bytes(40, chance),
        }),
        1 => Broadcast::IHave(IHave {
            is_neighbour: chance.percent(50),
            groups: vec![Group {
                origin,
                incarnation,
                ids: (sequence..until).map(|n| (n, n as u16)).collect(),
            }],
        }),
        2 => Broadcast::Graft(Graft {
            origin,
            incarnation,
            sequences: (sequence..until).collect(),
        }),
        3 => Broadcast::Prune(Prune { origin }),
        _ => Broadcast::Gone(Gone {
            origin,
            incarnation,
            sequences: (sequence..until).collect(),
        }),
    }
}

/// Any message.
pub(crate) fn message(pool: &Pool, chance: &mut Chance) -> Message {
    let member = pick(&pool.holders, chance).member;
    match chance.below(16) {
        0 => Message::Heartbeat(Heartbeat {
            number: number(chance),
            heard: number(chance),
            is_answer: chance.percent(50),
            digest: number(chance),
            stock: number(chance),
            cards: number(chance),
        }),
        1 => Message::Meta(meta(chance)),
        2 => Message::Stock(stock(pool, chance)),
        3 => Message::StockAsk,
        4 => Message::Host(Box::new(host(chance))),
        5 => Message::Exchange(Box::new(exchange(chance))),
        6 => Message::Broadcast(Box::new(broadcast(member, chance))),
        7 => Message::Cards(cards(pool, chance)),
        8 => Message::Probe(Probe::of(member).answer(chance.percent(50).then(|| number(chance)))),
        9 => Message::Rival(rival(pool, chance)),
        _ => Message::Queue(Box::new(queue(pool, chance))),
    }
}

/// Damages bytes a little: flips, cuts, doubles, inserts, or overwrites with an extreme.
pub(crate) fn damage(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..=chance.below(4) {
        if bytes.is_empty() {
            bytes.push(chance.bits() as u8);
            continue;
        }
        let at = chance.below(bytes.len() as u64) as usize;
        match chance.below(6) {
            0 => bytes[at] ^= 1 << chance.below(8),
            1 => bytes[at] = *pick(&[0, 1, 0x7f, 0x80, 0xff], chance),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, chance.bits() as u8),
            4 => {
                let end = (at + 1 + chance.below(16) as usize).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                bytes.remove(at);
            }
        }
    }
}
