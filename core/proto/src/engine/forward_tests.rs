//! Enqueues that another member takes, between several members linked by hand.

use alloc::vec::Vec;
use alloc::{format, vec};

use super::test_ring::{Ring, alone};
use super::*;
use crate::base::limits;
use crate::copies::Asked;

impl Ring {
    /// A leave that cannot end: a consumer of the member has a message for long.
    fn begin_leave(&mut self, seat: usize) -> Leased {
        let alone = EnqueueOptions {
            copies: Some(1),
            ..EnqueueOptions::default()
        };
        self.put(seat, "held", alone);
        let leased = self.lease(seat, 3_600_000);
        let leave = Command::Leave {
            drain: Some(600_000),
            force: false,
        };
        self.tell(seat, leave);
        self.settle();
        leased
    }

    fn receipt(&mut self, ticket: Ticket) -> Receipt {
        match self.answers.remove(&ticket) {
            Some(Ok(Reply::Receipt(receipt))) => receipt,
            other => panic!("{other:?}"),
        }
    }

    fn error(&mut self, ticket: Ticket) -> Error {
        match self.answers.remove(&ticket) {
            Some(Err(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    fn stat(&self, seat: usize, name: &str) -> u64 {
        self.engines[seat].stats()[name]
    }
}

fn with_key(key: &str) -> EnqueueOptions {
    EnqueueOptions {
        terms: Asked {
            key: Some(key.into()),
            ..Asked::default()
        },
        ..alone()
    }
}

#[test]
fn who_leaves_has_its_enqueues_taken_by_those_who_stay() {
    let mut ring = Ring::new(3);
    ring.begin_leave(0);
    let mut origins = Vec::new();
    for n in 0..4 {
        let ticket = ring.put(0, &format!("{n}"), EnqueueOptions::default());
        let receipt = ring.receipt(ticket);
        assert_eq!((receipt.copies, receipt.wanted), (2, 2));
        origins.push(receipt.id.origin.0);
    }
    origins.sort_unstable();
    assert_eq!(origins, [2, 2, 3, 3], "each in turn, and never who leaves");
    assert_eq!(ring.stat(0, "enqueues_forwarded"), 4);
    assert_eq!(
        ring.stat(1, "enqueues_taken") + ring.stat(2, "enqueues_taken"),
        4
    );
    assert_eq!(ring.stat(0, "forwards"), 0);
    // What they took is given out as anything.
    assert_eq!(ring.lease(1, 5_000).attempts, 1);
}

#[test]
fn a_batch_is_taken_whole_with_its_headers_and_terms() {
    let mut ring = Ring::new(2);
    ring.begin_leave(0);
    let queue = ring.engines[0].queue("jobs").unwrap();
    let headers = alloc::sync::Arc::new(vec![("k".into(), "v".into())]);
    let messages = ["a", "b", "c"].map(|body| NewMessage {
        body: body.into(),
        headers: Some(headers.clone()),
    });
    let options = EnqueueOptions {
        copies: Some(1),
        terms: Asked {
            priority: Some(9),
            ttl: Some(60_000),
            ..Asked::default()
        },
        ..EnqueueOptions::default()
    };
    let answer = ring.ask(
        0,
        Command::EnqueueMany {
            queue,
            messages: messages.into(),
            options,
        },
    );
    let Ok(Reply::Receipts(receipts)) = answer else {
        panic!("{answer:?}");
    };
    let sequences: Vec<u64> = receipts.iter().map(|one| one.id.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
    for body in ["a", "b", "c"] {
        let leased = ring.lease(1, 5_000);
        assert_eq!((leased.id.origin.0, &leased.body[..]), (2, body.as_bytes()));
        assert_eq!(leased.headers.as_deref(), Some(&*headers));
        let terms = leased.terms.unwrap();
        assert_eq!(terms.priority, Some(9));
        assert_eq!(terms.expires, 1_700_000_060_000);
    }
}

#[test]
fn what_the_taker_refuses_is_refused_in_its_words() {
    let mut ring = Ring::new(2);
    let queue = ring.engines[1].queue("jobs").unwrap();
    let paused = vec![("paused".into(), "in".into())];
    ring.begin_leave(0);
    let configure = Command::Configure(command::Configure::Queue(queue, paused));
    assert!(ring.ask(1, configure).is_ok());
    let ticket = ring.put(0, "x", EnqueueOptions::default());
    let error = ring.error(ticket);
    assert_eq!(error.number(), 204);
    let (name, value) = &error.context()[0];
    assert_eq!((*name, value.as_str()), ("queue", "jobs"));
}

#[test]
fn one_that_leaves_too_is_passed_over_and_with_nobody_left_nothing_was_done() {
    let mut ring = Ring::new(3);
    let alone = EnqueueOptions {
        copies: Some(1),
        ..EnqueueOptions::default()
    };
    ring.begin_leave(0);
    ring.begin_leave(1);
    for _ in 0..3 {
        let ticket = ring.put(0, "x", alone.clone());
        assert_eq!(ring.receipt(ticket).id.origin.0, 3);
    }
    ring.begin_leave(2);
    let ticket = ring.put(0, "x", alone);
    let error = ring.error(ticket);
    assert_eq!(error.number(), 202, "{error}");
    assert_eq!(ring.stat(0, "indeterminate_outcomes"), 0);
}

#[test]
fn copies_that_do_not_come_are_given_up_before_the_caller_gives_up() {
    let mut ring = Ring::new(3);
    ring.begin_leave(0);
    ring.is_stuck = true;
    let ticket = ring.put(0, "x", EnqueueOptions::default());
    assert!(!ring.answers.contains_key(&ticket));
    ring.pass(limits::ENQUEUE_TIMEOUT_MS - 1);
    let receipt = ring.receipt(ticket);
    assert_eq!((receipt.copies, receipt.wanted), (1, 2));
}

#[test]
fn what_was_sent_and_not_answered_is_in_doubt_and_never_sent_again() {
    let mut ring = Ring::new(3);
    ring.begin_leave(0);
    ring.deaf.extend([1, 2]);
    let late = ring.put(0, "late", EnqueueOptions::default());
    assert!(!ring.answers.contains_key(&late));
    ring.pass(limits::ENQUEUE_TIMEOUT_MS);
    assert_eq!(ring.error(late).number(), 302);

    let cut = ring.put(0, "cut", EnqueueOptions::default());
    ring.cut(0, 1);
    ring.cut(0, 2);
    assert_eq!(ring.error(cut).number(), 302);
    let alone = ring.put(0, "alone", EnqueueOptions::default());
    assert_eq!(ring.error(alone).number(), 202);
    assert_eq!(ring.stat(0, "indeterminate_outcomes"), 2);
    assert_eq!(ring.stat(0, "forwards"), 0);
}

#[test]
fn a_member_of_an_earlier_version_is_asked_for_nothing() {
    let mut ring = Ring::apart(3);
    ring.age(1);
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        ring.link(a, b);
    }
    ring.begin_leave(0);
    for _ in 0..3 {
        let ticket = ring.put(0, "x", EnqueueOptions::default());
        assert_eq!(ring.receipt(ticket).id.origin.0, 3);
    }
}

#[test]
fn what_waits_for_its_taker_is_bounded_in_number_and_in_bytes() {
    let mut ring = Ring::new(2);
    ring.begin_leave(0);
    ring.deaf.insert(1);
    let large = "x".repeat(500 << 10);
    for _ in 0..16 {
        ring.put(0, &large, EnqueueOptions::default());
    }
    let ticket = ring.put(0, &large, EnqueueOptions::default());
    assert_eq!(ring.error(ticket).number(), 203);

    let mut ring = Ring::new(2);
    ring.begin_leave(0);
    ring.deaf.insert(1);
    for _ in 0..limits::FORWARDS_MAX {
        ring.put(0, "x", EnqueueOptions::default());
    }
    assert_eq!(ring.stat(0, "forwards"), limits::FORWARDS_MAX as u64);
    let ticket = ring.put(0, "x", EnqueueOptions::default());
    assert_eq!(ring.error(ticket).number(), 203);

    let mut ring = Ring::new(2);
    ring.begin_leave(0);
    let many = vec![large.into_bytes(); 17];
    let ticket = ring.put_all(0, many, EnqueueOptions::default());
    assert_eq!(ring.error(ticket).number(), 104);
}

#[test]
fn a_batch_larger_than_a_frame_is_taken_whole_and_in_order() {
    let mut ring = Ring::new(3);
    let bodies: Vec<Vec<u8>> = (0..9).map(|n| vec![n; 400 << 10]).collect();
    let mut origins = Vec::new();
    for seat in 0..3 {
        let ticket = ring.put_all(seat, bodies.clone(), with_key("k"));
        let Some(Ok(Reply::Receipts(receipts))) = ring.answers.remove(&ticket) else {
            panic!("no receipts");
        };
        let first = receipts[0].id;
        for (n, receipt) in (0..).zip(&receipts) {
            assert_eq!(receipt.id.sequence, first.sequence + n);
        }
        origins.push(first.origin.0);
    }
    assert!(origins.iter().all(|origin| *origin == origins[0]));
    let home = origins[0] as usize - 1;
    for body in bodies.iter().cycle().take(27) {
        let leased = ring.lease(home, 5_000);
        assert_eq!(leased.body, *body);
        assert!(ring.ask(home, Command::Ack(leased.handle)).is_ok());
    }
}

#[test]
fn a_large_batch_of_which_a_part_is_lost_is_accepted_by_nobody() {
    let mut ring = Ring::new(2);
    ring.begin_leave(0);
    ring.deaf_after = Some(1);
    let ticket = ring.put_all(0, vec![vec![7; 400 << 10]; 4], alone());
    assert!(!ring.answers.contains_key(&ticket));
    ring.cut(0, 1);
    assert_eq!(ring.error(ticket).number(), 302);
    assert_eq!(ring.stat(1, "enqueued"), 0);
}

#[test]
fn what_is_new_goes_to_a_member_with_room_while_there_is_one() {
    let mut ring = Ring::within(&[10, 10, 0]);
    // No row has told anything yet, and this one has room.
    ring.fill(0, 7);
    ring.fill(1, 6);
    ring.tell_levels();
    assert_eq!(ring.stat(0, "memory_level"), 1);
    for _ in 0..3 {
        let ticket = ring.put(0, "x", EnqueueOptions::default());
        let receipt = ring.receipt(ticket);
        assert!([2, 3].contains(&receipt.id.origin.0));
        assert_eq!((receipt.copies, receipt.wanted), (2, 2));
    }
    assert_eq!(ring.stat(0, "enqueues_forwarded"), 3);
    ring.fill(1, 1);
    ring.tell_levels();
    for _ in 0..3 {
        let ticket = ring.put(1, "x", alone());
        assert_eq!(ring.receipt(ticket).id.origin.0, 3);
    }
}

#[test]
fn with_nobody_who_has_room_it_stays_here_until_it_is_refused() {
    let mut ring = Ring::within(&[20, 10]);
    ring.fill(1, 7);
    ring.tell_levels();
    ring.fill(0, 19);
    assert_eq!(ring.stat(0, "memory_level"), 3);
    let ticket = ring.put(0, "x", alone());
    assert_eq!(ring.error(ticket).number(), 203);
    assert_eq!(ring.stat(0, "enqueues_forwarded"), 0);
}

#[test]
fn a_taker_without_room_is_passed_over_and_one_that_is_short_keeps_what_it_took() {
    let mut ring = Ring::within(&[10, 10, 10]);
    ring.fill(0, 7);
    // Nobody hears of these before the next is put in: both had room when they last told.
    for (seat, count) in [(1, 10), (2, 9)] {
        let bodies = vec![vec![7; limits::BODY_BYTES_MAX]; count];
        ring.put_unheard(seat, bodies, alone());
        assert!(ring.stat(seat, "memory_level") > 1);
    }
    let tickets = [0, 0].map(|seat| ring.put_unheard(seat, vec![vec![8]], alone()));
    ring.settle();
    for ticket in tickets {
        match ring.answers.remove(&ticket) {
            Some(Ok(Reply::Receipts(receipts))) => assert_eq!(receipts[0].id.origin.0, 3),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ring.stat(1, "enqueues_failed"), 0);
    // Now all are known to be short, and it stays here.
    ring.tell_levels();
    let ticket = ring.put(0, "x", alone());
    assert_eq!(ring.receipt(ticket).id.origin.0, 1);
    assert_eq!(ring.stat(0, "forwards"), 0);
    assert_eq!(ring.stat(0, "indeterminate_outcomes"), 0);
}

#[test]
fn where_all_that_seemed_to_have_room_have_none_the_asked_member_judges_itself() {
    let mut ring = Ring::within(&[10, 10]);
    ring.fill(0, 7);
    let bodies = vec![vec![7; limits::BODY_BYTES_MAX]; 10];
    ring.put_unheard(1, bodies, alone());
    let ticket = ring.put(0, "x", alone());
    assert_eq!(ring.receipt(ticket).id.origin.0, 1);
    assert_eq!(ring.stat(0, "enqueues_forwarded"), 1);
}

#[test]
fn who_is_short_of_memory_and_may_ask_nobody_more_accepts_itself() {
    let mut ring = Ring::within(&[10, 0]);
    ring.fill(0, 7);
    ring.deaf.insert(1);
    for _ in 0..limits::FORWARDS_MAX {
        ring.put(0, "x", alone());
    }
    assert_eq!(ring.stat(0, "forwards"), limits::FORWARDS_MAX as u64);
    let ticket = ring.put(0, "x", alone());
    assert_eq!(ring.receipt(ticket).id.origin.0, 1);
}

#[test]
fn a_key_goes_to_its_home_whatever_its_level_and_the_home_says_when_it_is_full() {
    let mut ring = Ring::within(&[20, 0]);
    let home = |ring: &mut Ring, key: &str| {
        let ticket = ring.put(1, "x", with_key(key));
        ring.receipt(ticket).id.origin.0
    };
    let key = (0..)
        .map(|n| format!("{n}"))
        .find(|key| home(&mut ring, key) == 1);
    let key = key.unwrap();
    ring.fill(0, 14);
    ring.tell_levels();
    assert_eq!(ring.stat(0, "memory_level"), 1);
    for seat in [0, 1] {
        let ticket = ring.put(seat, "x", with_key(&key));
        assert_eq!(ring.receipt(ticket).id.origin.0, 1);
    }
    let body = "x".repeat(limits::BODY_BYTES_MAX);
    while ring.stat(0, "memory_level") < 3 {
        let ticket = ring.put(0, &body, with_key(&key));
        assert_eq!(ring.receipt(ticket).id.origin.0, 1);
    }
    let forwarded = ring.stat(1, "enqueues_forwarded");
    for seat in [0, 1] {
        let ticket = ring.put(seat, "x", with_key(&key));
        let error = ring.error(ticket);
        assert_eq!(error.number(), 203);
        let context = error.context().iter();
        let level = context.clone().find(|(name, _)| *name == "memory_level");
        assert_eq!(level.unwrap().1, "3");
    }
    assert_eq!(ring.stat(1, "enqueues_forwarded"), forwarded + 1);
    assert_eq!(ring.stat(0, "enqueues_forwarded"), 0);
}

#[test]
fn at_most_once_is_sent_to_one_taker_and_in_doubt_when_that_does_not_answer() {
    let mut ring = Ring::within(&[10, 0, 0]);
    ring.fill(0, 7);
    ring.deaf.extend([1, 2]);
    let options = EnqueueOptions {
        terms: Asked {
            is_at_most_once: true,
            ..Asked::default()
        },
        ..EnqueueOptions::default()
    };
    let ticket = ring.put(0, "x", options);
    for _ in 0..50 {
        ring.pass(limits::ENQUEUE_TIMEOUT_MS / 50);
    }
    assert_eq!(ring.error(ticket).number(), 302);
    let asked: u64 = [1, 2].map(|seat| ring.unheard(seat)).iter().sum();
    assert_eq!(asked, 1);
}

#[test]
fn a_leave_waits_for_answers_and_asks_for_no_further_ones() {
    let mut ring = Ring::new(2);
    let held = ring.begin_leave(0);
    ring.deaf.insert(1);
    let asked = ring.put(0, "x", EnqueueOptions::default());
    assert!(ring.ask(0, Command::Ack(held.handle)).is_ok());
    ring.pass(500);
    assert_eq!(ring.engines[0].members().len(), 2, "it has not left");
    let ticket = ring.put(0, "x", EnqueueOptions::default());
    assert_eq!(ring.error(ticket).number(), 202);
    ring.pass(limits::ENQUEUE_TIMEOUT_MS);
    assert_eq!(ring.error(asked).number(), 302);
    ring.pass(500);
    ring.cut(0, 1);
    assert_eq!(ring.engines[0].members().len(), 1, "it has left");
}

#[test]
fn who_leaves_and_knows_of_a_pause_asks_nobody_to_accept() {
    let mut ring = Ring::new(2);
    ring.begin_leave(0);
    // The other one has not heard of the pause yet.
    ring.deaf.insert(1);
    let pause = Vec::from([("paused".into(), "in".into())]);
    let queue = ring.engines[0].queue("jobs").unwrap();
    let command = Command::Configure(Configure::Queue(queue, pause));
    assert!(ring.ask(0, command).is_ok());
    let ticket = ring.put(0, "x", EnqueueOptions::default());
    assert_eq!(ring.error(ticket).number(), 204);
    assert_eq!(ring.stat(0, "enqueues_forwarded"), 0);
}

#[test]
fn who_takes_fewer_copies_does_not_wait_for_a_member_that_refused_one() {
    let mut ring = Ring::within(&[0, 10, 10]);
    for seat in [1, 2] {
        ring.fill(seat, 10);
    }
    // Whether or not anybody has heard how short of memory they are.
    for _ in 0..2 {
        let three = EnqueueOptions {
            copies: Some(3),
            ..EnqueueOptions::default()
        };
        let ticket = ring.put(0, "x", three);
        let receipt = ring.receipt(ticket);
        assert_eq!((receipt.copies, receipt.wanted), (1, 3));
        ring.tell_levels();
    }
}

#[test]
fn an_enqueue_that_comes_back_is_put_into_its_queue_though_nobody_had_that_at_hand() {
    let mut ring = Ring::within(&[10, 10]);
    ring.fill(0, 9);
    ring.tell_levels();
    let bodies = vec![vec![7; limits::BODY_BYTES_MAX]; 10];
    // What the other one has room for is not what this one was told.
    ring.put_unheard(1, bodies, alone());
    let queue = ring.engines[0].queue("for a moment").unwrap();
    let message = NewMessage {
        body: "x".into(),
        headers: None,
    };
    let command = Command::Enqueue {
        queue,
        message,
        options: EnqueueOptions {
            timeout: Some(2 * limits::SPARE_MS),
            ..alone()
        },
    };
    let ticket = ring.tell(0, command);
    ring.engines[0].release(queue);
    // Memory is short: queues that nobody uses are forgotten before the other one has answered.
    ring.pass(limits::SPARE_MS);
    let receipt = ring.receipt(ticket);
    assert_eq!(receipt.id.origin.0, 1, "put in here");
    let queue = ring.engines[0].queue("for a moment").unwrap();
    let command = Command::Receive {
        queue,
        max: 1,
        wait: 1_000,
        lease: None,
        group: None,
    };
    match ring.ask(0, command) {
        Ok(Reply::Deliveries(leased)) => assert_eq!(leased[0].id, receipt.id),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_member_that_reads_no_parts_is_asked_for_one_frame_at_most() {
    let mut ring = Ring::apart(2);
    ring.engines[1].config.minor = 1;
    ring.link(0, 1);
    ring.begin_leave(0);
    let bodies = vec![vec![7; limits::BODY_BYTES_MAX]; 3];
    let ticket = ring.put_all(0, bodies, EnqueueOptions::default());
    let error = ring.error(ticket);
    assert_eq!(error.number(), 104);
    let most = error
        .context()
        .iter()
        .find(|(name, _)| *name == "bytes_max");
    assert_eq!(
        most.unwrap().1,
        alloc::string::ToString::to_string(&limits::FRAME_BYTES_MAX)
    );
    let ticket = ring.put(0, "x", EnqueueOptions::default());
    assert_eq!(ring.receipt(ticket).id.origin.0, 2);
}
