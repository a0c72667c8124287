//! What a producer's terms do, at one member and between two.

use super::tests::{Bench, number};
use super::*;
use crate::base::{Millis, limits};
use crate::copies::Asked;

impl Bench {
    fn enqueue_on(&mut self, queue: &str, terms: Asked) -> Answer {
        let queue = self.engine.queue(queue).unwrap();
        let message = NewMessage {
            body: "body".into(),
            headers: Some(Arc::new(vec![("k".into(), "v".into())])),
        };
        let options = EnqueueOptions {
            terms,
            ..EnqueueOptions::default()
        };
        self.answer(Command::Enqueue {
            queue,
            message,
            options,
        })
    }

    fn put(&mut self, terms: Asked) -> MessageId {
        match self.enqueue_on("jobs", terms) {
            Ok(Reply::Receipt(receipt)) => receipt.id,
            other => panic!("{other:?}"),
        }
    }

    fn take(&mut self, queue: &str, lease: Millis) -> Option<Leased> {
        let queue = self.engine.queue(queue).unwrap();
        let (max, wait, lease) = (1, 0, Some(lease));
        match self.answer(Command::Receive {
            queue,
            max,
            wait,
            lease,
            group: None,
        }) {
            Ok(Reply::Deliveries(mut leased)) => leased.pop(),
            other => panic!("{other:?}"),
        }
    }

    fn stat(&self, name: &str) -> u64 {
        self.engine.stats()[name]
    }
}

use alloc::sync::Arc;
use alloc::vec;

#[test]
fn a_higher_priority_is_given_out_first_and_equals_in_their_order() {
    let mut bench = Bench::new();
    let with = |priority| Asked {
        priority: Some(priority),
        ..Asked::default()
    };
    let low = bench.put(with(0));
    let usual = [bench.put(Asked::default()), bench.put(with(4))];
    let high = [bench.put(with(9)), bench.put(with(9))];
    let got: Vec<MessageId> = (0..5)
        .filter_map(|_| bench.take("jobs", 1_000))
        .map(|leased| leased.handle.id)
        .collect();
    assert_eq!(got, [high[0], high[1], usual[0], usual[1], low]);
}

#[test]
fn a_delayed_message_waits_for_its_date_and_wakes_the_engine() {
    let mut bench = Bench::new();
    bench.put(Asked {
        delay: Some(500),
        ..Asked::default()
    });
    bench.put(Asked {
        at: Some(1_700_000_000_000 + 700),
        ..Asked::default()
    });
    assert!(bench.take("jobs", 1_000).is_none());
    assert!(bench.engine.next_wake() <= Instant(500));
    bench.wake(499);
    assert!(bench.take("jobs", 1_000).is_none());
    bench.wake(500);
    assert!(bench.take("jobs", 9_000).is_some());
    assert!(bench.take("jobs", 9_000).is_none());
    bench.wake(700);
    assert!(bench.take("jobs", 9_000).is_some());
}

#[test]
fn a_message_expires_while_it_is_ready_delayed_or_leased_but_a_consumer_may_finish_it() {
    let mut bench = Bench::new();
    let ttl = |delay, ttl| Asked {
        delay,
        ttl: Some(ttl),
        ..Asked::default()
    };
    bench.put(ttl(None, 100));
    bench.put(ttl(Some(500), 100));
    bench.wake(100);
    assert_eq!((bench.stat("messages"), bench.stat("expired")), (0, 2));
    bench.put(ttl(None, 100));
    let leased = bench.take("jobs", 1_000).unwrap();
    bench.wake(250);
    assert_eq!(bench.stat("messages"), 1, "its consumer has it");
    assert_eq!(number(bench.answer(Command::Ack(leased.handle))), 0);
    bench.put(ttl(None, 100));
    let late = bench.take("jobs", 300).unwrap();
    bench.wake(550);
    assert_eq!(bench.stat("expired"), 3, "the lease ran out, and so did it");
    assert_eq!(number(bench.answer(Command::Ack(late.handle))), 402);
    assert_eq!(bench.stat("memory_bytes"), 0);
}

#[test]
fn a_message_that_failed_often_enough_is_a_dead_letter_with_its_story() {
    let mut bench = Bench::new();
    let id = bench.put(Asked {
        max_attempts: Some(2),
        ..Asked::default()
    });
    let first = bench.take("jobs", 50).unwrap();
    assert_eq!(
        number(bench.answer(Command::Nack(first.handle, Some(0)))),
        0
    );
    assert_eq!(bench.take("jobs", 50).unwrap().attempts, 2);
    bench.wake(50);
    assert!(bench.take("jobs", 50).is_none());
    let dead = bench.take("jobs.dead", 50).unwrap();
    assert_eq!((bench.stat("dead_letters"), dead.attempts), (1, 1));
    assert_eq!(&dead.body[..], b"body");
    let headers = dead.headers.unwrap();
    let told = |key: &str| {
        let found = headers.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(told("k"), Some("v"));
    assert_eq!(told("primer-cause"), Some("attempts"));
    assert_eq!(told("primer-queue"), Some("jobs"));
    assert_eq!(told("primer-attempts"), Some("2"));
    assert_eq!(told("primer-id"), Some(alloc::format!("{id}").as_str()));
    // It has no dead letter of its own, however often it fails.
    for round in 2..40 {
        bench.wake(round * 50);
        assert_eq!(
            bench.take("jobs.dead", 50).map(|one| one.attempts),
            Some(round as u32)
        );
    }
    assert_eq!(bench.stat("messages"), 1);
}

#[test]
fn a_released_message_is_not_nearer_to_its_death() {
    let mut bench = Bench::new();
    bench.put(Asked {
        max_attempts: Some(1),
        ..Asked::default()
    });
    for _ in 0..5 {
        let leased = bench.take("jobs", 50).unwrap();
        assert_eq!(number(bench.answer(Command::Release(leased.handle))), 0);
    }
    assert_eq!(bench.stat("dead_letters"), 0);
}

#[test]
fn a_rejected_message_is_a_dead_letter_at_once_with_the_reason() {
    let mut bench = Bench::new();
    bench.put(Asked::default());
    let leased = bench.take("jobs", 50).unwrap();
    let reason = "x".repeat(limits::REASON_BYTES_MAX + 9);
    let handle = leased.handle.clone();
    assert_eq!(number(bench.answer(Command::Reject(handle, reason))), 0);
    assert_eq!(number(bench.answer(Command::Ack(leased.handle))), 402);
    let dead = bench.take("jobs.dead", 50).unwrap();
    let headers = dead.headers.unwrap();
    let told = headers.iter().find(|(key, _)| key == "primer-reason");
    assert_eq!(
        told.map(|(_, value)| value.len()),
        Some(limits::REASON_BYTES_MAX)
    );
}

#[test]
fn what_is_given_out_at_most_once_is_finished_by_it() {
    let mut bench = Bench::new();
    let once = Asked {
        is_at_most_once: true,
        ..Asked::default()
    };
    bench.put(once.clone());
    let leased = bench.take("jobs", 50).unwrap();
    assert_eq!(bench.stat("messages"), 0);
    bench.wake(60);
    assert!(bench.take("jobs", 50).is_none());
    assert_eq!(number(bench.answer(Command::Ack(leased.handle.clone()))), 0);
    assert_eq!(
        number(bench.answer(Command::Nack(leased.handle.clone(), None))),
        402
    );
    assert_eq!(
        number(bench.answer(Command::Extend(leased.handle.clone(), None))),
        402
    );
    bench.answer(Command::Release(leased.handle)).unwrap_err();
    assert_eq!(bench.stat("at_most_once_lost"), 1);
    let options = EnqueueOptions {
        copies: Some(2),
        terms: once,
        ..EnqueueOptions::default()
    };
    let queue = bench.engine.queue("jobs").unwrap();
    let message = NewMessage::default();
    let two = bench.answer(Command::Enqueue {
        queue,
        message,
        options,
    });
    assert_eq!(number(two), 101);
}

#[test]
fn what_is_given_out_at_most_once_still_burns_credit_until_it_is_acked() {
    let mut bench = Bench::new();
    let queue = bench.engine.queue("jobs").unwrap();
    let flow = Flow {
        credit: 1,
        lease: Some(10_000),
        ..Flow::default()
    };
    bench.call(Command::Subscribe {
        queue,
        flow,
        group: None,
    });
    let once = Asked {
        is_at_most_once: true,
        ..Asked::default()
    };
    let mut pushed = Vec::new();
    for _ in 0..2 {
        let (message, options) = (
            NewMessage::default(),
            EnqueueOptions {
                terms: once.clone(),
                ..EnqueueOptions::default()
            },
        );
        let (_, out) = bench.call(Command::Enqueue {
            queue,
            message,
            options,
        });
        pushed.extend(out.into_iter().filter_map(|effect| match effect {
            Effect::Deliver(_, leased) => Some(leased),
            _ => None,
        }));
    }
    assert_eq!(pushed.len(), 1);
    let (_, out) = bench.call(Command::Ack(pushed[0][0].handle.clone()));
    assert!(
        out.iter()
            .any(|effect| matches!(effect, Effect::Deliver(..)))
    );
}

#[test]
fn a_dead_letter_that_is_rejected_stays_where_it_is() {
    let mut bench = Bench::new();
    bench.put(Asked::default());
    let taken = bench.take("jobs", 50).unwrap();
    bench
        .answer(Command::Reject(taken.handle, "no".into()))
        .unwrap();
    let dead = bench.take("jobs.dead", 50).unwrap();
    bench
        .answer(Command::Reject(dead.handle, "no".into()))
        .unwrap();
    assert!(
        bench.take("jobs.dead", 50).is_none(),
        "out of the way for a while"
    );
    bench.wake(bench.now + limits::NACK_MS_MAX);
    let again = bench.take("jobs.dead", 50).unwrap();
    assert_eq!((again.id, again.attempts), (dead.id, 2));
    assert!(bench.take("jobs.dead.dead", 50).is_none());
    assert_eq!(bench.stat("dead_letters"), 1);
}
