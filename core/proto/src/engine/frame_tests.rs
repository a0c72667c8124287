//! What is written is read, whatever the cuts; neighbours share frames; strangers' bytes are refused.

use super::*;
use crate::base::{BootId, Chance, MemberId, Stamp, StoreId};
use crate::copies::{Holder, Item, Own, Section, Terms};
use crate::queue::Ending;
use crate::wire::Ids;

fn repl(sequence: u64, body: &'static [u8]) -> Message {
    let holder = Holder {
        member: MemberId(1),
        store: StoreId(2),
    };
    let own = Own {
        epoch: 0,
        rank: 9,
        store: StoreId(2),
    };
    let mut section = Section::new(BootId(7), own, [holder].into());
    section.items.push(Item {
        sequence,
        stamp: Stamp(1_000 + sequence),
        attempts: 0,
        lease: 0,
        body: Some(Bytes::from_static(body)),
        terms: (sequence == 3).then(|| {
            Arc::new(Terms {
                priority: Some(9),
                expires: 7,
                ..Terms::default()
            })
        }),
        headers: sequence
            .is_multiple_of(2)
            .then(|| Arc::new(vec![("k".into(), "v".into())])),
    });
    Message::Queue(Box::new(Queue::Repl(Repl {
        queue: "jobs".into(),
        section,
        wanted: 3,
        owed: Vec::new(),
    })))
}

fn done(first: u64, last: u64) -> Message {
    Message::Queue(Box::new(Queue::SetDone(Done {
        ids: Ids::range(BootId(7), first, last),
        holders: [Holder::default()].into(),
        ending: Ending::Acked,
    })))
}

fn queue(message: &Message) -> &Queue {
    match message {
        Message::Queue(queue) => queue,
        other => panic!("{other:?} is not about queues"),
    }
}

fn write(messages: &[Message]) -> BytesMut {
    let mut out = BytesMut::new();
    let mut writer = Writer::default();
    messages
        .iter()
        .for_each(|message| writer.push(message, &mut out));
    writer.finish(&mut out);
    out
}

fn read(mut bytes: BytesMut) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some(frame) = cut(&mut bytes, limits::FRAME_BYTES_MAX).unwrap() {
        messages.extend(decode(frame).unwrap());
    }
    assert!(bytes.is_empty());
    messages
}

#[test]
fn neighbours_that_are_alike_share_a_frame() {
    let messages: Vec<Message> = (1..=100).map(|n| repl(n, b"body")).collect();
    let read = read(write(&messages));
    assert_eq!(read.len(), 1);
    let Queue::Repl(joined) = queue(&read[0]) else {
        panic!("not copies");
    };
    let sequences: Vec<u64> = joined
        .section
        .items
        .iter()
        .map(|item| item.sequence)
        .collect();
    assert_eq!(sequences, (1..=100).collect::<Vec<u64>>());
    assert_eq!(joined.section.items[1].headers.as_ref().unwrap()[0].1, "v");
}

#[test]
fn acks_gather_in_runs_and_the_order_between_kinds_is_kept() {
    let read = read(write(&[
        done(1, 1),
        done(2, 2),
        done(9, 9),
        repl(1, b"x"),
        done(3, 3),
    ]));
    assert_eq!(read.len(), 3);
    let Queue::SetDone(first) = queue(&read[0]) else {
        panic!("not acks");
    };
    assert_eq!(first.ids.ranges.as_slice(), [(1, 2), (9, 9)]);
    assert!(matches!(queue(&read[1]), Queue::Repl(_)));
}

#[test]
fn bytes_that_come_in_pieces_are_the_same_messages() {
    let messages = [
        repl(1, b"one"),
        Message::StockAsk,
        done(1, 5),
        repl(2, b"two"),
    ];
    let bytes = write(&messages);
    let whole = read(bytes.clone());
    let mut chance = Chance::new(5);
    for _ in 0..50 {
        let (mut buffer, mut got, mut rest) = (BytesMut::new(), Vec::new(), bytes.clone());
        while !rest.is_empty() {
            let take = (1 + chance.below(7) as usize).min(rest.len());
            buffer.extend_from_slice(&rest.split_to(take));
            while let Some(frame) = cut(&mut buffer, limits::FRAME_BYTES_MAX).unwrap() {
                got.extend(decode(frame).unwrap());
            }
        }
        assert_eq!(got, whole);
    }
}

#[test]
fn an_unknown_kind_is_skipped_and_a_malformed_one_is_an_error() {
    assert_eq!(decode(Bytes::from_static(&[200, 1, 2])).unwrap(), None);
    assert_eq!(
        decode(Bytes::from_static(&[REPL, 1, 2]))
            .unwrap_err()
            .number(),
        503
    );
    assert_eq!(decode(Bytes::new()).unwrap_err().number(), 503);
    assert_eq!(
        decode(Bytes::from_static(&[KIND_HELLO]))
            .unwrap_err()
            .number(),
        503
    );
    let mut long = BytesMut::from(&u32::MAX.to_le_bytes()[..]);
    assert_eq!(
        cut(&mut long, limits::FRAME_BYTES_MAX)
            .unwrap_err()
            .number(),
        104
    );
}

#[test]
fn flipped_and_cut_frames_never_panic() {
    let bytes = write(&[repl(1, b"one"), done(1, 500), Message::StockAsk]);
    let mut chance = Chance::new(11);
    for _ in 0..20_000 {
        let mut bad = bytes.clone();
        for _ in 0..=chance.below(3) {
            let at = chance.below(bad.len() as u64) as usize;
            bad[at] = chance.bits() as u8;
        }
        bad.truncate(chance.below(bad.len() as u64 + 1) as usize);
        while let Ok(Some(frame)) = cut(&mut bad, limits::FRAME_BYTES_MAX) {
            let _ = decode(frame);
        }
    }
}
