//! Exchanges by hand: what is sent, what is learned, what is refused, and when one begins.

use super::super::message::{Entries, Head, Named, SAME, SUMS};
use super::*;
use crate::base::BootId;
use crate::crdt::{Context, Dot, DotMap, GROUPS};
use alloc::collections::BTreeSet;
use bytes::{Bytes, BytesMut};
use prost::Message as _;
use xxhash_rust::xxh3::xxh3_64;

const PEER: MemberId = MemberId(9);
const OTHER: MemberId = MemberId(10);

struct Seat {
    table: Table,
    exchanges: Exchanges,
}

fn seat(id: u64) -> Seat {
    Seat {
        table: Table::new(MemberId(u128::from(id)), BootId(id << 40)),
        exchanges: Exchanges::default(),
    }
}

fn at(ms: u64) -> Now {
    Now {
        mono: Instant(ms),
        wall_ms: 1_000_000 + ms,
    }
}

impl Seat {
    fn write(&mut self, key: &str, bytes: usize) {
        let actor = self.table.actor();
        self.table
            .map_mut()
            .write(actor, key.as_bytes(), vec![7; bytes]);
    }

    fn start(&mut self, member: MemberId) {
        self.exchanges.start(Instant(0), member, &self.table);
    }

    fn hear(&mut self, message: Exchange) -> Result<Vec<Vec<u8>>> {
        self.exchanges.hear(at(0), PEER, message, &mut self.table)
    }

    fn sent(&mut self) -> Vec<Exchange> {
        self.exchanges
            .out()
            .into_iter()
            .map(|(_, message)| message)
            .collect()
    }
}

/// What an exchange took.
#[derive(Debug, Default, PartialEq, Eq)]
struct Bill {
    kinds: Vec<u32>,
    bytes: usize,
    largest: usize,
    changed: BTreeSet<Vec<u8>>,
}

/// Carries messages both ways until none is left.
fn carry(learner: &mut Seat, teacher: &mut Seat) -> Bill {
    let mut bill = Bill::default();
    loop {
        let questions = learner.sent();
        let mut messages = questions.clone();
        for question in questions {
            let changed = teacher.hear(question).unwrap();
            assert!(changed.is_empty(), "the teacher learns nothing");
        }
        let answers = teacher.sent();
        messages.extend(answers.iter().cloned());
        for answer in answers {
            bill.changed.extend(learner.hear(answer).unwrap());
        }
        if messages.is_empty() {
            return bill;
        }
        for message in messages {
            bill.kinds.push(message.kind);
            bill.bytes += message.encoded_len();
            bill.largest = bill.largest.max(message.body.len());
        }
    }
}

fn learn(learner: &mut Seat, teacher: &mut Seat) -> Bill {
    learner.start(PEER);
    let bill = carry(learner, teacher);
    assert_eq!(learner.exchanges.finished(), [PEER]);
    assert!(learner.exchanges.is_idle());
    bill
}

#[test]
fn equal_tables_find_it_out_by_two_small_messages() {
    let (mut a, mut b) = (seat(1), seat(2));
    (0..1_000).for_each(|n| b.write(&n.to_string(), 100));
    learn(&mut a, &mut b);
    assert_eq!(a.table.map(), b.table.map());
    let bill = learn(&mut a, &mut b);
    assert_eq!(bill.kinds, [ASK, SAME]);
    assert!(bill.bytes < 64, "{}", bill.bytes);
}

#[test]
fn one_key_that_differs_costs_its_group() {
    let (mut a, mut b) = (seat(1), seat(2));
    (0..1_000).for_each(|n| b.write(&n.to_string(), 100));
    learn(&mut a, &mut b);
    b.write("500", 100);
    let bill = learn(&mut a, &mut b);
    assert_eq!(bill.kinds, [ASK, SUMS, COMPARE, ENTRIES]);
    assert_eq!(bill.changed, [b"500".to_vec()].into());
    assert!(bill.bytes < 5_000, "{}", bill.bytes);
    b.table.map_mut().remove(b"500");
    let bill = learn(&mut a, &mut b);
    assert_eq!(bill.changed, [b"500".to_vec()].into());
    assert_eq!(a.table.digest(), b.table.digest());
}

#[test]
fn only_the_context_may_differ_and_is_joined_at_once() {
    let (mut a, mut b) = (seat(1), seat(2));
    b.write("k", 1);
    b.table.map_mut().remove(b"k");
    let bill = learn(&mut a, &mut b);
    assert_eq!(bill.kinds, [ASK, SUMS]);
    assert!(
        bill.bytes < 200,
        "no sums under equal roots: {}",
        bill.bytes
    );
    assert_eq!(a.table.digest(), b.table.digest());
}

#[test]
fn an_empty_table_learns_everything_in_bounded_frames() {
    let (mut a, mut b) = (seat(1), seat(2));
    (0..3_000).for_each(|n| b.write(&format!("key {n}"), 1_000));
    let bill = learn(&mut a, &mut b);
    assert_eq!(a.table.map(), b.table.map());
    assert_eq!(bill.changed.len(), 3_000);
    assert!(bill.largest <= 256 << 10, "{}", bill.largest);
    let frames = bill.kinds.iter().filter(|kind| **kind == ENTRIES).count();
    assert!(
        (12..=16).contains(&frames),
        "{frames} frames of 256 KiB for 3 MB"
    );
}

#[test]
fn a_key_with_more_values_than_a_frame_holds_is_learned_in_pieces() {
    let (mut a, mut b) = (seat(1), seat(2));
    a.write("before", 10);
    b.write("after", 10);
    for actor in 1..=12 {
        let mut elsewhere = DotMap::default();
        let delta = elsewhere.write(BootId(actor << 50), b"k", vec![actor as u8; 64 << 10]);
        b.table.map_mut().merge(&delta, false);
    }
    // One that was replaced at the teacher is known here: it must go, whatever piece comes first.
    let mut elsewhere = DotMap::default();
    let delta = elsewhere.write(BootId(5 << 55), b"k", vec![1]);
    a.table.map_mut().merge(&delta, false);
    b.table.map_mut().merge(&delta, false);
    b.table.map_mut().merge(&elsewhere.remove(b"k"), false);
    let bill = learn(&mut a, &mut b);
    assert!(bill.largest <= 256 << 10, "{}", bill.largest);
    assert!(bill.kinds.iter().filter(|kind| **kind == ENTRIES).count() >= 4);
    assert_eq!(a.table.map().read(b"k").count(), 12);
    assert!(a.table.map().contains(b"before") && a.table.map().contains(b"after"));
    learn(&mut b, &mut a);
    assert_eq!(a.table.map(), b.table.map());
}

#[test]
fn a_long_context_comes_in_parts_and_later_only_what_changed_of_it() {
    let (mut a, mut b) = (seat(1), seat(2));
    let mut seen = Context::default();
    for boot in 1..=50_000_u64 {
        let actor = BootId(boot.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 1);
        seen.add_all(Dot { actor, number: 3 });
    }
    b.table.map_mut().join_context(&seen);
    let bill = learn(&mut a, &mut b);
    assert_eq!(bill.kinds, [ASK, SUMS, SUMS, SUMS, SUMS]);
    assert!(bill.largest <= 256 << 10);
    assert_eq!(a.table.digest(), b.table.digest());
    b.write("k", 1);
    let bill = learn(&mut a, &mut b);
    assert!(
        bill.bytes < 13_000,
        "2 KiB of hashes, 4 KiB of sums, a group: {}",
        bill.bytes
    );
    assert_eq!(a.table.digest(), b.table.digest());
}

#[test]
fn what_is_written_while_an_exchange_runs_is_not_taken_for_seen_or_removed() {
    let (mut a, mut b) = (seat(1), seat(2));
    (0..40).for_each(|n| b.write(&n.to_string(), 10));
    a.start(PEER);
    b.hear(a.sent().remove(0)).unwrap();
    let sums = b.sent().remove(0);
    a.write("mine", 1);
    b.write("later", 1);
    b.table.map_mut().remove(b"7");
    a.hear(sums).unwrap();
    carry(&mut a, &mut b);
    assert_eq!(a.exchanges.finished(), [PEER]);
    assert!(a.table.map().contains(b"mine") && !a.table.map().contains(b"7"));
    assert!(
        (40..=41).contains(&a.table.map().len()),
        "39 of before, mine, and later if its group came"
    );
    learn(&mut a, &mut b);
    assert!(a.table.map().contains(b"later"));
    learn(&mut b, &mut a);
    assert_eq!(a.table.map(), b.table.map());
}

#[test]
fn an_abandoned_exchange_joins_no_context() {
    let (mut a, mut b) = (seat(1), seat(2));
    a.exchanges.bounds.body_bytes = 300;
    b.exchanges.bounds.body_bytes = 300;
    (0..40).for_each(|n| b.write(&n.to_string(), 100));
    a.start(PEER);
    for _ in 0..3 {
        a.sent()
            .into_iter()
            .for_each(|question| drop(b.hear(question)));
        b.sent().into_iter().for_each(|answer| drop(a.hear(answer)));
    }
    let some = a.table.map().len();
    assert!((1..40).contains(&some), "{some}");
    let wake = a.exchanges.next_wake();
    assert_eq!(wake, Instant(PROGRESS_MS));
    a.exchanges.wake(wake, &a.table);
    assert!(a.exchanges.is_idle() && a.exchanges.finished().is_empty());
    assert_eq!(a.exchanges.stats().abandoned, 1);
    // What it has it has seen; the rest it has not, or this would remove it from the teacher.
    learn(&mut b, &mut a);
    assert_eq!(b.table.map().len(), 40);
    learn(&mut a, &mut b);
    assert_eq!(a.table.map(), b.table.map());
}

#[test]
fn a_teacher_that_began_anew_is_not_believed_to_have_removed_everything() {
    let (mut a, mut b) = (seat(1), seat(2));
    (0..40).for_each(|n| b.write(&n.to_string(), 10));
    learn(&mut a, &mut b);
    b.write("more", 1);
    a.start(PEER);
    b.hear(a.sent().remove(0)).unwrap();
    a.hear(b.sent().remove(0)).unwrap();
    b.table.reset(BootId(77));
    let bill = carry(&mut a, &mut b);
    assert_eq!(bill.kinds, [COMPARE, OVER]);
    assert_eq!(
        (a.table.map().len(), a.exchanges.stats().abandoned),
        (40, 1)
    );
    assert!(a.exchanges.is_idle());
}

#[test]
fn a_learner_that_began_anew_takes_no_context_of_before() {
    let (mut a, mut b) = (seat(1), seat(2));
    (0..40).for_each(|n| b.write(&n.to_string(), 10));
    learn(&mut a, &mut b);
    b.write("more", 1);
    a.start(PEER);
    let question = a.sent().remove(0);
    a.table.reset(BootId(77));
    b.hear(question).unwrap();
    a.hear(b.sent().remove(0)).unwrap();
    assert!(a.exchanges.is_idle());
    assert_eq!(a.table.map().context(), &Context::default());
    learn(&mut a, &mut b);
    assert_eq!(a.table.map(), b.table.map());
}

#[test]
fn one_exchange_runs_at_a_time_and_a_stalled_one_does_not_hold_up_the_rest() {
    let (mut a, mut b) = (seat(1), seat(2));
    b.write("k", 1);
    for member in [PEER, OTHER, OTHER, MemberId(11)] {
        a.start(member);
    }
    let asked =
        |a: &mut Seat| -> Vec<u128> { a.exchanges.out().into_iter().map(|(to, _)| to.0).collect() };
    assert_eq!(asked(&mut a), [9]);
    a.start(PEER);
    assert_eq!(a.exchanges.next_wake(), Instant(STALL_MS));
    a.exchanges.wake(Instant(STALL_MS - 1), &a.table);
    assert!(asked(&mut a).is_empty());
    a.exchanges.wake(Instant(STALL_MS), &a.table);
    assert_eq!(asked(&mut a), [10]);
    a.exchanges.wake(Instant(2 * STALL_MS), &a.table);
    assert_eq!(asked(&mut a), [11]);
    assert_eq!(
        a.exchanges.next_wake(),
        Instant(PROGRESS_MS),
        "three at most"
    );
    a.exchanges.forget(OTHER);
    assert_eq!(
        a.exchanges.next_wake(),
        Instant(PROGRESS_MS),
        "the one that waits is under way"
    );
    a.exchanges.forget(PEER);
    a.exchanges.clear();
    assert_eq!(a.exchanges.next_wake(), Instant::NEVER);
    assert_eq!(a.exchanges.stats().abandoned, 3);
}

#[test]
fn the_next_one_begins_when_a_link_is_lost_or_an_exchange_ends() {
    let (mut a, mut b) = (seat(1), seat(2));
    b.write("k", 1);
    a.start(OTHER);
    a.start(PEER);
    a.exchanges.out();
    a.exchanges.forget(OTHER);
    let wake = a.exchanges.next_wake();
    assert_eq!(wake, Instant(0), "at once");
    a.start(OTHER);
    assert_eq!(a.exchanges.out()[0].0, PEER);
    a.exchanges.wake(Instant(0), &a.table);
    a.exchanges.clear();
    a.start(PEER);
    a.start(OTHER);
    let question = a.sent().remove(0);
    b.hear(question).unwrap();
    for answer in b.sent() {
        a.hear(answer).unwrap();
    }
    b.hear(a.sent().remove(0)).unwrap();
    a.hear(b.sent().remove(0)).unwrap();
    assert_eq!(a.exchanges.finished(), [PEER]);
    assert_eq!(a.exchanges.out()[0].0, OTHER);
}

#[test]
fn parts_of_two_answers_to_one_question_are_not_mixed() {
    let (mut a, mut b) = (seat(1), seat(2));
    b.exchanges.bounds.body_bytes = 1;
    for actor in 1..4 {
        b.table.map_mut().write(BootId(actor << 50), b"k", vec![1]);
    }
    a.start(PEER);
    let question = a.sent().remove(0);
    b.hear(question.clone()).unwrap();
    let first = b.sent();
    b.table.map_mut().write(BootId(3 << 50), b"unseen", vec![1]);
    b.hear(question).unwrap();
    let second = b.sent();
    assert!(first.len() > 2 && first.len() == second.len());
    a.hear(first[0].clone()).unwrap();
    for part in &second[1..] {
        a.hear(part.clone()).unwrap();
    }
    assert!(
        a.sent().is_empty(),
        "it still waits for the parts of the first"
    );
    for part in &first[1..] {
        a.hear(part.clone()).unwrap();
    }
    carry(&mut a, &mut b);
    assert_eq!(a.exchanges.finished(), [PEER]);
    learn(&mut a, &mut b);
    assert!(a.table.map().contains(b"unseen"));
}

/// Under writes that never end and broadcasts that often fail, exchanges keep the cloud small.
fn cloud_after_a_long_rain(canary: MetaCanary) -> usize {
    let mut seats: Vec<Seat> = (1..=3).map(seat).collect();
    let mut chance = crate::base::Chance::new(3);
    let mut largest = 0;
    for round in 0..400 {
        for writer in 0..3 {
            let actor = seats[writer].table.actor();
            let key = chance.below(20).to_le_bytes();
            let delta = seats[writer].table.map_mut().write(actor, &key, vec![1]);
            for (_, reader) in seats.iter_mut().enumerate().filter(|(at, _)| *at != writer) {
                if chance.percent(60) {
                    reader.table.hear(at(round), &delta);
                }
            }
        }
        if round % 10 != 0 {
            continue;
        }
        let (learner, teacher) = (chance.below(3) as usize, chance.below(2) as usize);
        let mut learner = seats.remove(learner);
        learner.exchanges.plant(canary);
        learner.start(PEER);
        carry(&mut learner, &mut seats[teacher]);
        learner.exchanges.finished();
        seats.push(learner);
        let clouds = seats.iter().map(|seat| seat.table.stats().cloud);
        largest = clouds.max().unwrap();
    }
    largest
}

#[test]
fn the_cloud_stays_small_under_writes_that_never_end() {
    let cloud = cloud_after_a_long_rain(MetaCanary::None);
    assert!(cloud < 120, "{cloud}");
    let cloud = cloud_after_a_long_rain(MetaCanary::JoinOnlyOnEqualRoots);
    assert!(cloud > 240, "the planted bug lets it grow: {cloud}");
}

#[test]
fn answers_that_nobody_waits_for_and_kinds_of_later_versions_do_nothing() {
    let (mut a, mut b) = (seat(1), seat(2));
    b.write("k", 1);
    for kind in [SAME, SUMS, ENTRIES, OVER, 7, u32::MAX] {
        let message = Exchange {
            body: Bytes::from_static(b"anything"),
            ..Exchange::new(kind, 1)
        };
        assert_eq!(a.hear(message), Ok(Vec::new()), "{kind}");
    }
    a.start(PEER);
    a.sent();
    for (kind, number) in [(SAME, 99), (SUMS, 99), (ENTRIES, 1), (7, 1)] {
        assert_eq!(a.hear(Exchange::new(kind, number)), Ok(Vec::new()));
    }
    assert!(!a.exchanges.is_idle());
}

/// A learner that waits for the entries of a comparison, and an answer to it to be spoiled.
fn waiting() -> (Seat, Exchange) {
    let (mut a, mut b) = (seat(1), seat(2));
    (0..40).for_each(|n| b.write(&n.to_string(), 10));
    a.start(PEER);
    b.hear(a.sent().remove(0)).unwrap();
    a.hear(b.sent().remove(0)).unwrap();
    b.hear(a.sent().remove(0)).unwrap();
    (a, b.sent().remove(0))
}

fn number(result: &Result<Vec<Vec<u8>>>) -> u16 {
    result
        .as_ref()
        .map_or_else(crate::base::Error::number, |_| 0)
}

#[test]
fn entries_that_were_not_asked_for_or_lead_nowhere_are_refused() {
    let dot = Dot {
        actor: BootId(3),
        number: 1,
    };
    let named = |key: &'static [u8], dots: Vec<(Dot, Option<Bytes>)>| Entries {
        keys: vec![Named {
            key: Bytes::from_static(key),
            dots,
        }],
        ..Entries::default()
    };
    let hash = xxh3_64(b"0");
    let bad = [
        Entries {
            next: Some(0),
            ..Entries::default()
        },
        Entries {
            after: Some(dot),
            ..Entries::default()
        },
        Entries {
            next: Some(1),
            gone: vec![2],
            ..Entries::default()
        },
        Entries {
            next: Some(hash),
            ..named(b"0", vec![(dot, None)])
        },
        named(b"0", Vec::new()),
        named(b"0", vec![(dot, None), (dot, None)]),
        named(b"0", vec![(Dot { number: 0, ..dot }, None)]),
        named(b"0", vec![(dot, Some(vec![0; 100 << 10].into()))]),
        named(&[b'k'; 2_000], vec![(dot, None)]),
    ];
    for (at, entries) in bad.into_iter().enumerate() {
        let (mut a, mut answer) = waiting();
        assert_eq!(number(&a.hear(answer.clone())), 0, "the good one is taken");
        let (mut a, _) = waiting();
        answer.body = entries.write().freeze();
        assert_eq!(number(&a.hear(answer)), 503, "entries {at}");
        assert!(a.exchanges.is_idle() && a.table.map().is_empty());
    }
}

#[test]
fn questions_out_of_range_in_disorder_or_too_long_are_refused() {
    let mut b = seat(2);
    b.write("k", 1);
    let life = b.table.actor().0;
    let compare = |ranges: &[(u64, u64)], lines: &[(u64, u64)]| Exchange {
        life,
        body: Compare {
            ranges: ranges.to_vec(),
            after: None,
            lines: lines.to_vec(),
        }
        .write(),
        ..Exchange::new(COMPARE, 1)
    };
    let many: Vec<(u64, u64)> = (0..257).map(|n| (2 * n, 2 * n)).collect();
    let bad = [
        compare(&[], &[]),
        compare(&[(5, 4)], &[]),
        compare(&[(0, 5), (5, 9)], &[]),
        compare(&[(8, 9), (0, 5)], &[]),
        compare(&many, &[]),
        compare(&[(0, 5)], &[(6, 1)]),
        compare(&[(2, 5), (8, 9)], &[(7, 1)]),
        compare(&[(0, 5)], &[(4, 1), (3, 1)]),
        Exchange::new(COMPARE, 1),
        Exchange::new(ASK, 1),
        Exchange {
            body: Ask {
                root: 1,
                digest: 1,
                contexts: vec![0; GROUPS - 1],
            }
            .write(),
            ..Exchange::new(ASK, 1)
        },
        Exchange {
            body: vec![0; BODY_BYTES_MAX + 1].into(),
            ..Exchange::new(COMPARE, 1)
        },
    ];
    for (at, question) in bad.into_iter().enumerate() {
        assert_eq!(number(&b.hear(question)), 503, "question {at}");
        assert!(b.sent().is_empty(), "question {at}");
    }
    assert_eq!(
        number(&b.hear(compare(&[(0, 5), (6, u64::MAX)], &[(5, 1)]))),
        0
    );
}

#[test]
fn sums_of_other_groups_and_impossible_dots_are_refused() {
    let told = [0xff; GROUPS / 8];
    let bodies: [&dyn Fn(&mut BytesMut); 4] = [
        &|_| {},
        &|out| {
            Head {
                sums: vec![0; 255],
                told,
            }
            .write(out)
        },
        &|out| {
            Head {
                sums: vec![0; 256],
                told,
            }
            .write(out)
        },
        &|out| {
            Head {
                sums: Vec::new(),
                told,
            }
            .write(out);
            let vector = vec![Dot {
                actor: BootId(1),
                number: u64::MAX,
            }];
            Seen {
                is_last: true,
                vector,
                cloud: Vec::new(),
            }
            .write(out);
        },
    ];
    for (at, write) in bodies.iter().enumerate() {
        let mut a = seat(1);
        a.start(PEER);
        let asked = a.sent().remove(0);
        let mut body = BytesMut::new();
        write(&mut body);
        let body = body.freeze();
        let sums = Exchange {
            body,
            ..Exchange::new(SUMS, asked.number)
        };
        assert_eq!(number(&a.hear(sums)), 503, "sums {at}");
        assert!(a.exchanges.is_idle());
    }
}

#[test]
fn a_context_without_end_is_refused() {
    let mut a = seat(1);
    a.start(PEER);
    let asked = a.sent().remove(0);
    let mut first = BytesMut::new();
    Head {
        sums: Vec::new(),
        told: [0xff; GROUPS / 8],
    }
    .write(&mut first);
    let dots = |round: u64| {
        (0..20_000).map(move |n| Dot {
            actor: BootId(round << 20 | n),
            number: 1,
        })
    };
    let verdict = (0..).find_map(|round| {
        let mut body = core::mem::take(&mut first);
        Seen {
            is_last: false,
            vector: dots(round).collect(),
            cloud: Vec::new(),
        }
        .write(&mut body);
        let body = body.freeze();
        let sums = Exchange {
            round,
            body,
            ..Exchange::new(SUMS, asked.number)
        };
        a.hear(sums).err().map(|error| (round, error.number()))
    });
    assert_eq!(verdict, Some((52, 503)), "at a million dots");
}

#[test]
fn a_long_walk_over_equal_keys_is_cut_into_steps() {
    let (mut a, mut b) = (seat(1), seat(2));
    (0..2_000).for_each(|n| b.write(&n.to_string(), 1));
    learn(&mut a, &mut b);
    b.exchanges.bounds.walk_max = 100;
    (0..2_000)
        .step_by(10)
        .for_each(|n| b.write(&n.to_string(), 1));
    let bill = learn(&mut a, &mut b);
    assert_eq!(bill.changed.len(), 200);
    assert!(bill.kinds.iter().filter(|kind| **kind == ENTRIES).count() >= 10);
    assert_eq!(a.table.map(), b.table.map());
}
