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
    BootId, ClusterId, Error, ErrorKind, MemberId, MessageId, Stamp, StoreId, limits,
};
use primer_proto::copies::{Holder, Item, Own, Refused, Repl, ReplNo, ReplOk, Section};
use primer_proto::engine::{Message, Writer, cut, decode};
use primer_proto::membership::{Heartbeat, Hello, Meta, Refusal};
use primer_proto::metadata::Stock;
use primer_proto::queue::Message as Queue;
use primer_proto::queue::{Claim, Deliver, Demand, Done, Ending, Settle, Settled};
use primer_proto::wire::Ids;

const ORIGIN: BootId = BootId(0x0102_0304_0506_0708);

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
        is_whole: true,
        delta: delta.to_bytes(),
        asks: true,
    }
}

/// Every kind of frame but the handshake's.
fn messages() -> Vec<(&'static str, Message)> {
    let mut all = control();
    all.extend(copies());
    all
}

fn copies() -> Vec<(&'static str, Message)> {
    let done = Done {
        ids: ids(),
        holders: [holder(1), holder(2)].into(),
        ending: Ending::Acked,
    };
    let aborted = Done {
        ending: Ending::Aborted,
        ..done.clone()
    };
    let queue = |message: Queue| Message::Queue(message.into());
    vec![
        (
            "repl",
            queue(Queue::Repl(Repl {
                queue: "jobs".into(),
                section: section(),
                is_known: true,
            })),
        ),
        (
            "repl_ok",
            queue(Queue::ReplOk(ReplOk {
                ids: ids(),
                store: holder(2).store,
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
            "deliver",
            queue(Queue::Deliver(Deliver {
                number: 12,
                has_more: true,
                lease_ms: 30_000,
                sections: vec![section()],
            })),
        ),
        ("set_done", queue(Queue::SetDone(done.clone()))),
        ("set_done_aborted", queue(Queue::SetDone(aborted))),
        ("done_ok", queue(Queue::DoneOk(done))),
        (
            "forget",
            queue(Queue::Forget(Ids::one(MessageId {
                origin: ORIGIN,
                sequence: 7,
            }))),
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
            }),
        ),
        ("stock_ask", Message::StockAsk),
        (
            "demand",
            queue(Queue::Demand(Demand {
                number: 12,
                queue: "jobs".into(),
                credit: 100,
                lease_ms: 30_000,
                group: String::new(),
            })),
        ),
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

fn hello() -> Hello {
    let mut hello = Hello::new(ClusterId(0xc1), MemberId(0xd2), BootId(0xe3), StoreId(0xf4));
    hello.incarnation = 1_795_000_000_000;
    hello.name = "till".into();
    hello.address = "127.0.0.1:7400".into();
    hello.lane = 1;
    hello.pair = 0x99;
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
