//! Enqueues that another member takes, between several members linked by hand.

use alloc::vec::Vec;
use alloc::{format, vec};

use super::browse_tests::Ring;
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

    fn put(&mut self, seat: usize, body: &str, options: EnqueueOptions) -> Ticket {
        let queue = self.engines[seat].queue("jobs").unwrap();
        let message = NewMessage {
            body: body.as_bytes().to_vec().into(),
            headers: None,
        };
        let command = Command::Enqueue {
            queue,
            message,
            options,
        };
        let ticket = self.tell(seat, command);
        self.settle();
        ticket
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

    let queue = ring.engines[0].queue("jobs").unwrap();
    let messages = vec![
        NewMessage {
            body: large.into_bytes().into(),
            headers: None,
        };
        3
    ];
    let options = EnqueueOptions::default();
    let batch = Command::EnqueueMany {
        queue,
        messages,
        options,
    };
    assert_eq!(ring.ask(0, batch).unwrap_err().number(), 104);
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
