//! Frames of released versions, byte for byte (core/docs/wire.md).
//!
//! `tests/data/wire/v1/` holds one frame a file, in hexadecimal. What this code writes must be those
//! bytes, and it must read them as the same values: a member of that version is out there. New
//! frames are added with `PRIMER_BLESS=1`, which writes missing files and never changes one.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use primer_proto::base::{
    Birth, BootId, ClusterId, Error, ErrorKind, Instant, MemberId, MessageId, Now, Stamp, StoreId,
    limits,
};
use primer_proto::broadcast::{Gone, Graft, Group, IHave, Message as Broadcast, Prune, Push};
use primer_proto::copies::{
    Holder, Item, Owed, Own, Refused, Repl, ReplNo, ReplOk, Section, Terms,
};
use primer_proto::engine::{HostExchange, Message, Writer, cut, decode};
use primer_proto::membership::greeting::{self, Greeting, Prover, Refused as Ended, Turn};
use primer_proto::membership::{Card, CardList, Heartbeat, Hello, Meta, Probe, Refusal, Rival};
use primer_proto::metadata::{Exchange, Exchanges, Length, Stock, Table};
use primer_proto::queue::Message as Queue;
use primer_proto::queue::{
    Account, Browse, Browsed, Claim, Deliver, Demand, Differ, Done, Ending, EnqueueFor,
    EnqueuePart, Examine, Examined, Explain, Explained, Facts, Forget, Header as QueueHeader,
    HintOk, IfNoGroup, Inventory, Known, LeaseHint, Letter, Memento, OnShort, Recall, Recalled,
    Recollection, Redrive, Redriven, Remember, Replied, Settle, Settled, Shown, Spot, State, Taken,
};
use primer_proto::wire::Ids;

#[path = "golden/queue.rs"]
mod queue;

const ORIGIN: BootId = BootId(0x0102_0304_0506_0708);
const BIRTH: Birth = Birth { boot: 5, number: 9 };

fn holder(n: u8) -> Holder {
    Holder {
        member: MemberId(u128::from(n) << 120 | 0xabcd),
        store: StoreId(u64::from(n) << 56 | 0xef),
    }
}

fn own() -> Own {
    Own {
        epoch: 300,
        rank: 0x1122_3344_5566_7788,
        store: holder(1).store,
    }
}

/// Three ids: a run of two and one far behind it.
fn ids() -> Ids {
    let mut ids = Ids::range(ORIGIN, 1_000, 1_001);
    ids.push(7, 7);
    ids
}

fn item(sequence: u64, body: Option<&'static [u8]>, headers: &[(&str, &str)]) -> Item {
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect();
    Item {
        sequence,
        stamp: Stamp(1_795_000_000_000 << 16 | sequence),
        attempts: 2,
        lease: 5,
        body: body.map(Bytes::from_static),
        headers: (!headers.is_empty()).then(|| Arc::new(headers)),
        terms: None,
    }
}

fn section() -> Section {
    let mut section = Section::new(ORIGIN, own(), [holder(1), holder(2)].into());
    section.items.push(item(1_000, Some(b"one"), &[]));
    section.items.push(item(
        1_001,
        Some(b""),
        &[("to", "ada"), ("note", "gr\u{fc}n")],
    ));
    section.items.push(item(990, None, &[]));
    section
}

fn meta() -> Meta {
    // A delta is made of structs that only crdt can build; its bytes are those of one write.
    let mut map = primer_proto::crdt::DotMap::default();
    let delta = map.write(ORIGIN, b"m/1", b"value".to_vec());
    Meta {
        delta: delta.to_bytes(),
        asks: true,
    }
}

fn cards() -> CardList {
    let mut card = Card::new(holder(1).member, 1_795_000_000_000, ORIGIN);
    card.version = 3;
    card.name = "till".into();
    card.address = "127.0.0.1:7000".into();
    card.minor = 1;
    let cards = vec![card, Card::new(holder(2).member, 7, BootId(9))];
    CardList { cards }
}

fn broadcast(message: Broadcast) -> Message {
    Message::Broadcast(Box::new(message))
}

fn push() -> Push {
    Push {
        origin: holder(1).member,
        incarnation: 1_795_000_000_000,
        sequence: 300,
        hops: 2,
        handler: 3,
        body: Bytes::from_static(b"\x04chathello"),
    }
}

fn i_have() -> IHave {
    let group = Group {
        origin: holder(1).member,
        incarnation: 1_795_000_000_000,
        ids: vec![(300, 1), (301, 2), (290, 300)],
    };
    IHave {
        is_neighbour: true,
        groups: vec![group],
    }
}

fn graft() -> Graft {
    Graft {
        origin: holder(1).member,
        incarnation: 1_795_000_000_000,
        sequences: vec![300, 290],
    }
}

fn gone() -> Gone {
    Gone {
        origin: holder(1).member,
        incarnation: 1_795_000_000_000,
        sequences: vec![290],
    }
}

/// Every kind of frame but the handshake's and the exchange's, which are made by talking.
fn messages() -> Vec<(&'static str, Message)> {
    let mut all = control();
    all.extend(settling());
    all.extend(looks());
    all.extend(questions());
    all.extend(queue::redrives());
    all.extend(queue::forwards());
    all.extend(queue::dedups());
    all.extend(queue::duplicates());
    all.extend(queue::inventories());
    all.extend(examinations());
    all.extend(copies());
    all.extend(ends());
    all.extend(broadcasts());
    all.extend(hosts());
    all.extend(demands());
    all
}

fn broadcasts() -> Vec<(&'static str, Message)> {
    vec![
        ("push", broadcast(Broadcast::Push(push()))),
        ("i_have", broadcast(Broadcast::IHave(i_have()))),
        ("graft", broadcast(Broadcast::Graft(graft()))),
        (
            "prune",
            broadcast(Broadcast::Prune(Prune {
                origin: holder(1).member,
            })),
        ),
        ("gone", broadcast(Broadcast::Gone(gone()))),
    ]
}

fn queue(message: Queue) -> Message {
    Message::Queue(message.into())
}

fn copies() -> Vec<(&'static str, Message)> {
    vec![
        (
            "repl",
            queue(Queue::Repl(Repl {
                queue: "jobs".into(),
                section: section(),
                wanted: 3,
                owed: Vec::new(),
            })),
        ),
        (
            "repl_groups",
            queue(Queue::Repl(Repl {
                queue: "jobs".into(),
                section: section(),
                wanted: 2,
                owed: vec![Owed::live("audit", BIRTH), Owed::live("mailer", BIRTH)],
            })),
        ),
        (
            "repl_ok",
            queue(Queue::ReplOk(ReplOk {
                ids: ids(),
                store: holder(2).store,
                epoch: 1,
            })),
        ),
        (
            "repl_no",
            queue(Queue::ReplNo(ReplNo {
                ids: ids(),
                reason: Refused::Leaving,
            })),
        ),
        (
            "repl_no_lacks",
            queue(Queue::ReplNo(ReplNo {
                ids: ids(),
                reason: Refused::Lacks,
            })),
        ),
        (
            "deliver",
            queue(Queue::Deliver(Deliver {
                number: 12,
                has_more: true,
                lease_ms: 30_000,
                sections: vec![section()],
                sources: Vec::new(),
            })),
        ),
        (
            "deliver_group",
            queue(Queue::Deliver(Deliver {
                number: 13,
                has_more: false,
                lease_ms: 30_000,
                sections: vec![section()],
                sources: vec![(ORIGIN, BootId(7))],
            })),
        ),
    ]
}

fn ends() -> Vec<(&'static str, Message)> {
    let done = Done {
        ids: ids(),
        holders: [holder(1), holder(2)].into(),
        ending: Ending::Acked,
    };
    let aborted = Done {
        ending: Ending::Aborted,
        ..done.clone()
    };
    vec![
        ("set_done", queue(Queue::SetDone(done.clone()))),
        ("set_done_aborted", queue(Queue::SetDone(aborted))),
        ("done_ok", queue(Queue::DoneOk(done))),
        (
            "forget",
            queue(Queue::Forget(Forget {
                ids: Ids::one(MessageId {
                    origin: ORIGIN,
                    sequence: 7,
                }),
                holders: [holder(1), holder(2)].into(),
            })),
        ),
        (
            "claim",
            queue(Queue::Claim(Claim {
                ids: ids(),
                own: own(),
                holders: [holder(1)].into(),
            })),
        ),
    ]
}

fn hosts() -> Vec<(&'static str, Message)> {
    vec![
        (
            "host_asks",
            Message::Host(Box::new(HostExchange {
                handler: 64,
                is_answer: false,
                bodies: vec![Bytes::from_static(b"digest")],
                has_more: false,
            })),
        ),
        (
            "host_answers",
            Message::Host(Box::new(HostExchange {
                handler: 65_535,
                is_answer: true,
                bodies: vec![Bytes::from_static(b"one"), Bytes::new()],
                has_more: true,
            })),
        ),
    ]
}

fn demands() -> Vec<(&'static str, Message)> {
    let queue = |message: Queue| Message::Queue(message.into());
    vec![(
        "demand_bytes",
        queue(Queue::Demand(Demand {
            number: 12,
            queue: "jobs".into(),
            credit: 100,
            lease_ms: 30_000,
            group: String::new(),
            credit_bytes: 65_536,
        })),
    )]
}

fn control() -> Vec<(&'static str, Message)> {
    let queue = |message: Queue| Message::Queue(message.into());
    vec![
        (
            "heartbeat",
            Message::Heartbeat(Heartbeat {
                number: 9,
                heard: 8,
                is_answer: true,
                digest: 77,
                stock: 3,
                cards: 0x0506,
            }),
        ),
        ("meta", Message::Meta(meta())),
        (
            "stock",
            Message::Stock(Stock {
                version: 4,
                is_whole: true,
                stocked: vec!["jobs".into(), "mails".into()],
                empty: vec!["old".into()],
                is_hint: true,
                lengths: vec![],
                memory_level: 0,
            }),
        ),
        (
            "stock_lengths",
            Message::Stock(Stock {
                version: 5,
                lengths: vec![Length {
                    queue: "jobs".into(),
                    messages: 300,
                    bytes: 70_000,
                }],
                ..Stock::default()
            }),
        ),
        (
            "stock_level",
            Message::Stock(Stock {
                version: 6,
                memory_level: 3,
                ..Stock::default()
            }),
        ),
        ("stock_ask", Message::StockAsk),
        ("cards", Message::Cards(cards())),
        ("probe", Message::Probe(Probe::of(holder(3).member))),
        (
            "probed",
            Message::Probe(Probe::of(holder(3).member).answer(Some(700))),
        ),
        (
            "rival",
            Message::Rival(Rival::of(holder(3).member, 1_795_000_000_000, ORIGIN)),
        ),
        (
            "demand",
            queue(Queue::Demand(Demand {
                number: 12,
                queue: "jobs".into(),
                credit: 100,
                lease_ms: 30_000,
                group: String::new(),
                credit_bytes: 0,
            })),
        ),
    ]
}

/// Control frames about one delivery, and the reply to a call.
fn settling() -> Vec<(&'static str, Message)> {
    let queue = |message: Queue| Message::Queue(message.into());
    vec![
        (
            "settle",
            queue(Queue::Settle(Settle {
                number: 13,
                verb: 3,
                origin: ORIGIN.0,
                sequence: 1_000,
                epoch: 300,
                lease: 5,
                span: 501,
                reason: String::new(),
            })),
        ),
        (
            "replied",
            queue(Queue::Replied(Replied {
                boot: ORIGIN.0,
                number: 300,
                body: Bytes::from_static(b"four"),
                headers: vec![QueueHeader {
                    name: "sure".into(),
                    value: "yes".into(),
                }],
            })),
        ),
        (
            "settled",
            queue(Queue::Settled(Settled {
                number: 13,
                code: 401,
            })),
        ),
    ]
}

/// A browse, and its answer.
fn looks() -> Vec<(&'static str, Message)> {
    let queue = |message: Queue| Message::Queue(message.into());
    let spot = |sequence| Spot {
        stamp: Stamp(0x0123_4567_89ab),
        id: MessageId {
            origin: ORIGIN,
            sequence,
        },
    };
    let own = Own {
        epoch: 300,
        rank: 0x1122,
        store: StoreId(0xabcd),
    };
    let shown = Shown {
        spot: spot(7),
        owner: MemberId::default(),
        own,
        state: State::Delayed,
        body: Bytes::from_static(b"bo"),
        body_bytes: 300,
        headers: Some(Arc::new(vec![("sure".into(), "yes".into())])),
        attempts: 2,
        priority: 4,
        key: String::new(),
        copies: 3,
        ready_at_ms: 1_795_000_000_500,
        expires_ms: 1_795_000_001_000,
        lease_ms: 0,
    };
    vec![
        (
            "browse",
            queue(Queue::Browse(Browse {
                number: 300,
                queue: "jobs".into(),
                group: "mailer".into(),
                max: 100,
                after: Some(spot(6).into()),
                states: 3,
                headers: vec![QueueHeader {
                    name: "sure".into(),
                    value: "yes".into(),
                }],
                body_bytes_max: 2,
                wait_ms: 2_000,
                shows_keys: false,
            })),
        ),
        (
            "browsed",
            queue(Queue::Browsed(Browsed {
                number: 300,
                is_busy: false,
                through: Some(spot(8)),
                messages: vec![shown],
            })),
        ),
    ]
}

/// A question about one message, and its answer.
fn questions() -> Vec<(&'static str, Message)> {
    let queue = |message: Queue| Message::Queue(message.into());
    let account = Account {
        known: Known::Leased,
        id: MessageId {
            origin: ORIGIN,
            sequence: 7,
        },
        queue: "jobs".into(),
        group: "mailer".into(),
        attempts: 2,
        own: Own {
            epoch: 300,
            rank: 0x1122,
            store: StoreId(0xabcd),
        },
        holders: [Holder {
            member: MemberId(0xd2),
            store: StoreId(0xabcd),
        }]
        .into(),
        confirmed: 1,
        lessee: Some(MemberId(0xe3)),
        lease_ms: 500,
        stamp: Stamp(0x0123_4567_89ab),
        expires_ms: 1_795_000_001_000,
        ..Account::default()
    };
    vec![
        (
            "explain",
            queue(Queue::Explain(Explain {
                number: 300,
                origin: ORIGIN.0,
                sequence: 7,
            })),
        ),
        (
            "lease-hint",
            queue(Queue::LeaseHint(LeaseHint {
                own: Own {
                    epoch: 1,
                    rank: 0x77,
                    store: StoreId(0xabcd),
                },
                ids: Ids::range(ORIGIN, 7, 300),
                attempts: 2,
                remaining_ms: 5_000,
                lessee: MemberId(0xd2),
                boot: BootId(0xe3),
                asks: true,
            })),
        ),
        (
            "hint-ok",
            queue(Queue::HintOk(HintOk {
                ids: Ids::range(ORIGIN, 7, 300),
                attempts: 2,
            })),
        ),
        (
            "explained",
            queue(Queue::Explained(Explained {
                number: 300,
                accounts: vec![account],
            })),
        ),
    ]
}

/// A question about a queue, and its answer.
fn examinations() -> Vec<(&'static str, Message)> {
    let queue = |message: Queue| Message::Queue(message.into());
    let facts = Facts {
        group: "mailer".into(),
        ready: 300,
        leased: 2,
        delayed: 1,
        standby: 7,
        stranded: 3,
        oldest_ms: 60_000,
        next_ready_ms: 500,
        next_lease_ms: 900,
        receives: 1,
        subscriptions: 2,
        credit: 128,
        paused: 2,
        paused_by: "mail.".into(),
        messages_max: 10_000,
        bytes_max: 1 << 20,
        is_full: true,
        memory_percent: 96,
        lessees: vec![MemberId(0xe3).0.to_le_bytes().to_vec()],
        owners: vec![MemberId(0xd2).0.to_le_bytes().to_vec()],
        ..Facts::default()
    };
    let pressed = Facts {
        memory_level: 3,
        ..facts.clone()
    };
    vec![
        (
            "examined_level",
            queue(Queue::Examined(Examined {
                number: 301,
                is_busy: false,
                facts: vec![pressed],
            })),
        ),
        (
            "examine",
            queue(Queue::Examine(Examine {
                number: 300,
                queue: "jobs".into(),
            })),
        ),
        (
            "examined",
            queue(Queue::Examined(Examined {
                number: 300,
                is_busy: false,
                facts: vec![facts],
            })),
        ),
    ]
}

fn hello() -> Hello {
    let mut hello = Hello::new(ClusterId(0xc1), MemberId(0xd2), BootId(0xe3), StoreId(0xf4));
    hello.incarnation = 1_795_000_000_000;
    hello.name = "till".into();
    hello.address = "127.0.0.1:7400".into();
    hello.lane = 1;
    hello.pair = 0x99;
    // As version 1.0 wrote it.
    hello.minor = 0;
    hello
}

fn encoded(message: &Message) -> Vec<u8> {
    let (mut out, mut writer) = (BytesMut::new(), Writer::default());
    writer.push(message, &mut out);
    writer.finish(&mut out);
    out.to_vec()
}

/// The golden bytes of `name`; `PRIMER_BLESS=1` writes `now` where there are none.
fn golden(name: &str, now: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data/wire/v1")
        .join(format!("{name}.hex"));
    if !path.exists() && std::env::var_os("PRIMER_BLESS").is_some() {
        let lines: Vec<String> = now
            .chunks(32)
            .map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect())
            .collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}.hex: {error}"));
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn every_frame_is_written_and_read_as_version_1_does() {
    for (name, message) in messages() {
        let bytes = encoded(&message);
        let golden = golden(name, &bytes);
        assert_eq!(bytes, golden, "{name} is written differently");
        let mut buffer = BytesMut::from(&golden[..]);
        let frame = cut(&mut buffer, limits::FRAME_BYTES_MAX).unwrap().unwrap();
        assert!(buffer.is_empty(), "{name} is not one frame");
        assert_eq!(
            decode(frame).unwrap(),
            Some(message),
            "{name} is read differently"
        );
    }
}

#[test]
fn the_handshake_is_written_and_read_as_version_1_does() {
    let bytes = hello().to_bytes();
    assert_eq!(bytes, golden("hello", &bytes));
    assert_eq!(Hello::from_bytes(&bytes).unwrap(), hello());
    let error =
        Error::new(ErrorKind::ClusterMismatch).because("the peer belongs to another cluster");
    let bytes = Refusal::of(&error).to_bytes();
    assert_eq!(bytes, golden("refusal", &bytes));
    assert_eq!(Refusal::from_bytes(&bytes).unwrap().to_error(), error);
}

/// A hello with every field set.
fn full_hello(member: u128) -> Hello {
    let mut hello = Hello::new(
        ClusterId(0xc1),
        MemberId(member),
        BootId(0xe3),
        StoreId(0xf4),
    );
    hello.minor = 1;
    hello.incarnation = 1_795_000_000_000;
    hello.name = "till".into();
    hello.address = "127.0.0.1:7400".into();
    hello.lane = 1;
    hello.pair = 0x99;
    hello.nonce = (1..=32).collect();
    hello.members = 3;
    hello.version = 300;
    hello.is_ephemeral = true;
    hello.kept = vec![0xf1, 0xf2];
    hello.cards = 0x0506_0708;
    hello
}

/// Proves by three slots of one byte each; what belongs into them is tested where secrets are.
struct Slots;

impl Prover for Slots {
    fn prove(&self, _: &greeting::Claim) -> Vec<u8> {
        [[0xa1; 32], [0xb2; 32], [0xc3; 32]].concat()
    }

    fn judge(&self, claim: &greeting::Claim, proof: &[u8]) -> Result<(), Ended> {
        assert_eq!(proof, self.prove(claim));
        Ok(())
    }
}

/// The frames that `said` holds, each as its kind, its body, and all of its bytes.
fn frames(mut said: &[u8]) -> Vec<(u8, Vec<u8>, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((length, _)) = said.split_first_chunk::<4>() {
        let (frame, rest) = said.split_at(4 + u32::from_le_bytes(*length) as usize);
        let (kind, body) = frame.split_at(4).1.split_first().unwrap();
        frames.push((*kind, body.to_vec(), frame.to_vec()));
        said = rest;
    }
    frames
}

/// Lets `to` hear the golden frames of these names, which must be what was said.
fn hear(
    to: &mut Greeting<Slots>,
    said: &mut Vec<u8>,
    names: &[&str],
    out: &mut Vec<u8>,
) -> Result<Turn, Ended> {
    let mut turn = Turn::Listen;
    let frames = frames(&std::mem::take(said));
    assert_eq!(frames.len(), names.len());
    for ((kind, body, bytes), name) in frames.into_iter().zip(names) {
        assert_eq!(golden(name, &bytes), bytes, "{name} is written differently");
        turn = to.hear(kind, &body, out)?;
    }
    Ok(turn)
}

#[test]
fn a_handshake_with_proofs_goes_as_in_version_1() {
    let (mut near, mut far) = (Vec::new(), Vec::new());
    let mut dialler = Greeting::dial(full_hello(0xd2), Some(Slots), &mut near);
    let mut listener = Greeting::listen(full_hello(0xd3), Some(Slots));
    let turn = hear(&mut listener, &mut near, &["hello_full"], &mut far);
    assert_eq!(turn.unwrap(), Turn::Listen);
    assert_eq!(listener.theirs(), Some(&full_hello(0xd2)));
    let turn = hear(
        &mut dialler,
        &mut far,
        &["hello_answer", "proof"],
        &mut near,
    );
    assert_eq!(turn.unwrap(), Turn::Listen);
    assert_eq!(dialler.theirs(), Some(&full_hello(0xd3)));
    let turn = hear(&mut listener, &mut near, &["proof"], &mut far);
    assert_eq!(turn.unwrap(), Turn::Decide);
    listener.admit(&mut far);
    let turn = hear(&mut dialler, &mut far, &["welcome"], &mut near);
    assert_eq!(turn.unwrap(), Turn::Done);
}

/// One who holds a table, in an exchange.
struct Seat {
    table: Table,
    exchanges: Exchanges,
}

impl Seat {
    fn new(id: u64) -> Self {
        Self {
            table: Table::new(MemberId(id.into()), BootId(id << 40 | 0xab)),
            exchanges: Exchanges::default(),
        }
    }

    fn put(&mut self, key: &str, value: &'static [u8]) {
        let value = Bytes::from_static(value);
        self.table.put(now(), key, value).unwrap();
    }

    /// Hears what is said, each message by way of its golden frame; `names` are theirs.
    fn hear(&mut self, from: u128, said: Vec<Exchange>, names: &[&str]) -> Vec<Exchange> {
        assert_eq!(said.len(), names.len());
        for (message, name) in said.into_iter().zip(names) {
            let message = Message::Exchange(Box::new(message));
            let bytes = encoded(&message);
            let golden = golden(name, &bytes);
            assert_eq!(bytes, golden, "{name} is written differently");
            let mut buffer = BytesMut::from(&golden[..]);
            let frame = cut(&mut buffer, limits::FRAME_BYTES_MAX).unwrap().unwrap();
            let Ok(Some(Message::Exchange(read))) = decode(frame) else {
                panic!("{name} is no exchange");
            };
            let from = MemberId(from);
            let heard = self.exchanges.hear(now(), from, *read, &mut self.table);
            heard.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        self.said()
    }

    fn said(&mut self) -> Vec<Exchange> {
        let out = self.exchanges.out().into_iter();
        out.map(|(_, message)| message).collect()
    }
}

fn now() -> Now {
    Now {
        mono: Instant(1_000),
        wall_ms: 1_795_000_000_000,
    }
}

/// Two tables that differ in every way: a key here, one there, one changed, one removed.
fn seats() -> (Seat, Seat) {
    let (mut ann, mut bob) = (Seat::new(1), Seat::new(2));
    ann.put("both", b"old");
    ann.put("removed", b"");
    bob.table.hear(now(), &ann.table.map().whole());
    ann.put("here", b"only");
    bob.put("both", b"new");
    bob.put("there", b"only");
    bob.table.delete(now(), "removed").unwrap();
    (ann, bob)
}

#[test]
fn an_exchange_goes_as_in_version_1() {
    let (mut ann, mut bob) = seats();
    ann.exchanges.start(Instant(1_000), MemberId(2), &ann.table);
    let asked = ann.said();
    let sums = bob.hear(1, asked, &["exchange_ask"]);
    let compared = ann.hear(2, sums, &["exchange_sums"]);
    let entries = bob.hear(1, compared, &["exchange_compare"]);
    let silence = ann.hear(2, entries, &["exchange_entries"]);
    assert!(silence.is_empty());
    assert_eq!(ann.exchanges.finished(), [MemberId(2)]);
    let keys = ann.table.list("", 9, None);
    let keys: Vec<&str> = keys.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["both", "here", "there"]);
    assert_eq!(ann.table.get("both").unwrap().value, "new");
}

#[test]
fn an_exchange_of_equals_and_one_that_is_over_go_as_in_version_1() {
    let (mut ann, mut bob) = seats();
    let learner = &mut Seat::new(3);
    learner
        .table
        .map_mut()
        .merge(&ann.table.map().whole(), true);
    learner
        .exchanges
        .start(Instant(1_000), MemberId(1), &learner.table);
    let asked = learner.said();
    let same = ann.hear(3, asked, &["exchange_ask_equal"]);
    let silence = learner.hear(1, same, &["exchange_same"]);
    assert!(silence.is_empty());
    assert_eq!(learner.exchanges.finished(), [MemberId(1)]);

    ann.exchanges.start(Instant(1_000), MemberId(2), &ann.table);
    let asked = ann.said();
    let sums = bob.hear(1, asked, &["exchange_ask"]);
    let compared = ann.hear(2, sums, &["exchange_sums"]);
    // It leaves in the middle: its table begins anew.
    bob.table.reset(BootId(0xcd));
    let over = bob.hear(1, compared, &["exchange_compare"]);
    ann.hear(2, over, &["exchange_over"]);
    assert!(ann.table.get("here").is_some(), "nothing was learned");
}

/// The kinds that core/docs/wire.md names, by its table of frames.
fn kinds_of_wire_md() -> Vec<(u8, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/wire.md");
    let text = std::fs::read_to_string(path).unwrap();
    let frames = text.split("\n## ").find(|part| part.starts_with("Frames"));
    let rows = frames.unwrap().lines().filter_map(|line| {
        let mut cells = line.split('|').skip(1).map(str::trim);
        let kind = cells.next()?.parse().ok()?;
        Some((kind, cells.next()?.to_owned()))
    });
    rows.collect()
}

#[test]
fn every_kind_that_the_page_names_has_a_golden_frame() {
    // These two are kept without their headers.
    let mut seen = vec![0, 1];
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/wire/v1");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if !["hello", "refusal"].contains(&name) {
            let bytes = golden(name, &[]);
            let length = bytes.first_chunk().copied().map(u32::from_le_bytes);
            assert_eq!(length, Some(bytes.len() as u32 - 4), "{name}");
            seen.extend(bytes.get(4));
        }
    }
    let kinds = kinds_of_wire_md();
    assert!(kinds.len() > 20, "the table of frames was not found");
    for (kind, name) in &kinds {
        assert!(seen.contains(kind), "{name} ({kind}) has no golden frame");
    }
    seen.retain(|kind| !kinds.iter().any(|(known, _)| known == kind));
    assert!(seen.is_empty(), "the page does not name {seen:?}");
}

#[test]
fn fields_and_kinds_of_a_later_version_are_skipped() {
    // A heartbeat with an unknown field 15, and a frame of an unknown kind.
    let (_, message) = messages().swap_remove(0);
    let mut heartbeat = encoded(&message);
    heartbeat.extend([0x78, 0x01]);
    heartbeat[0] += 2;
    let mut buffer = BytesMut::from(&heartbeat[..]);
    let frame = cut(&mut buffer, limits::FRAME_BYTES_MAX).unwrap().unwrap();
    assert_eq!(decode(frame).unwrap(), Some(message));
    assert_eq!(decode(Bytes::from_static(&[200, 1, 2, 3])).unwrap(), None);
}
