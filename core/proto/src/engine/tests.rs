//! One member alone, and small clusters by hand.

use super::*;
use crate::base::{BootId, ClusterId, StoreId};

fn at(ms: u64) -> Now {
    Now {
        mono: Instant(ms),
        wall_ms: 1_700_000_000_000 + ms,
    }
}

/// One engine with a clock by hand.
pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) now: u64,
    ticket: u64,
}

impl Bench {
    pub(super) fn new() -> Self {
        let config = Config::new(ClusterId(1), MemberId(1), BootId(1), StoreId(1));
        let mut engine = Engine::new(config, at(0));
        engine.handle(at(0), Input::Wake, &mut Vec::new());
        Self {
            engine,
            now: 0,
            ticket: 0,
        }
    }

    pub(super) fn call(&mut self, command: Command) -> (Ticket, Vec<Effect>) {
        let called = self.call_unaudited(command);
        self.engine.audit().unwrap();
        called
    }

    /// The same without the audit, for very many of them.
    pub(super) fn call_unaudited(&mut self, command: Command) -> (Ticket, Vec<Effect>) {
        self.ticket += 1;
        let ticket = Ticket(self.ticket);
        let mut out = Vec::new();
        let input = Input::Command { ticket, command };
        self.engine.handle(at(self.now), input, &mut out);
        (ticket, out)
    }

    pub(super) fn cancel(&mut self, ticket: Ticket) {
        let mut out = Vec::new();
        self.engine
            .handle(at(self.now), Input::Cancel(ticket), &mut out);
    }

    pub(super) fn answer(&mut self, command: Command) -> Answer {
        let (ticket, out) = self.call(command);
        let answers = out.into_iter().filter_map(|effect| match effect {
            Effect::Reply(to, answer) if to == ticket => Some(answer),
            _ => None,
        });
        let mut answers: Vec<Answer> = answers.collect();
        assert_eq!(answers.len(), 1, "one answer at once");
        answers.remove(0)
    }

    fn enqueue(&mut self, body: &'static str) -> MessageId {
        let queue = self.engine.queue("jobs").unwrap();
        let message = NewMessage {
            body: body.into(),
            headers: None,
        };
        let options = EnqueueOptions::default();
        match self.answer(Command::Enqueue {
            queue,
            message,
            options,
        }) {
            Ok(Reply::Receipt(receipt)) => {
                assert_eq!((receipt.copies, receipt.wanted), (1, 1));
                receipt.id
            }
            other => panic!("{other:?}"),
        }
    }

    fn receive(&mut self, max: u32, lease: u64) -> Vec<Leased> {
        let queue = self.engine.queue("jobs").unwrap();
        let (wait, lease) = (0, Some(lease));
        match self.answer(Command::Receive {
            queue,
            max,
            wait,
            lease,
            group: None,
        }) {
            Ok(Reply::Deliveries(leased)) => leased,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn wake(&mut self, ms: u64) -> Vec<Effect> {
        self.now = ms;
        let mut out = Vec::new();
        self.engine.handle(at(ms), Input::Wake, &mut out);
        self.engine.audit().unwrap();
        out
    }
}

pub(super) fn number(answer: Answer) -> u16 {
    answer.map_or_else(|error| error.number(), |_| 0)
}

#[test]
fn messages_come_in_the_order_they_were_put_in() {
    let mut bench = Bench::new();
    let ids: Vec<MessageId> = ["one", "two", "three"]
        .map(|body| bench.enqueue(body))
        .to_vec();
    let got = bench.receive(10, 1_000);
    assert_eq!(got.iter().map(|one| one.handle.id).collect::<Vec<_>>(), ids);
    assert_eq!(&got[0].body[..], b"one");
    assert!(bench.receive(1, 1_000).is_empty());
}

#[test]
fn a_lease_that_ran_out_is_given_to_the_next_consumer() {
    let mut bench = Bench::new();
    bench.enqueue("one");
    assert_eq!(bench.receive(1, 50)[0].attempts, 1);
    bench.wake(49);
    assert!(bench.receive(1, 50).is_empty());
    bench.wake(50);
    assert_eq!(bench.receive(1, 50)[0].attempts, 2);
}

#[test]
fn a_late_ack_counts_and_a_second_one_is_402() {
    let mut bench = Bench::new();
    bench.enqueue("one");
    let first = bench.receive(1, 50).remove(0);
    bench.wake(60);
    assert_eq!(number(bench.answer(Command::Ack(first.handle.clone()))), 0);
    assert!(bench.receive(1, 50).is_empty());
    assert_eq!(
        number(bench.answer(Command::Ack(first.handle.clone()))),
        402
    );
    assert_eq!(
        number(bench.answer(Command::Extend(first.handle, None))),
        402
    );
    assert_eq!(bench.engine.stats()["messages"], 0);
    assert_eq!(bench.engine.stats()["memory_bytes"], 0);
}

#[test]
fn a_lost_lease_cannot_be_extended_or_given_back() {
    let mut bench = Bench::new();
    bench.enqueue("one");
    let old = bench.receive(1, 50).remove(0).handle;
    bench.wake(50);
    let new = bench.receive(1, 50).remove(0).handle;
    assert_eq!(
        number(bench.answer(Command::Extend(old.clone(), None))),
        401
    );
    assert_eq!(
        number(bench.answer(Command::Nack(old.clone(), Some(0)))),
        401
    );
    assert_eq!(number(bench.answer(Command::Release(old))), 401);
    assert_eq!(number(bench.answer(Command::Extend(new, Some(500)))), 0);
    bench.wake(500);
    assert!(bench.receive(1, 50).is_empty());
    bench.wake(550);
    assert_eq!(bench.receive(1, 50).len(), 1);
}

#[test]
fn a_nack_counts_and_waits_and_a_release_does_neither() {
    let mut bench = Bench::new();
    bench.enqueue("one");
    let first = bench.receive(1, 50).remove(0).handle;
    assert_eq!(number(bench.answer(Command::Release(first))), 0);
    let second = bench.receive(1, 50).remove(0);
    assert_eq!(second.attempts, 1);
    assert_eq!(
        number(bench.answer(Command::Nack(second.handle, Some(200)))),
        0
    );
    bench.wake(199);
    assert!(bench.receive(1, 50).is_empty());
    bench.wake(200);
    assert_eq!(bench.receive(1, 50)[0].attempts, 2);
}

#[test]
fn a_subscription_is_never_given_more_than_its_credit() {
    let mut bench = Bench::new();
    let queue = bench.engine.queue("jobs").unwrap();
    let flow = Flow {
        credit: 2,
        lease: Some(1_000),
        ..Flow::default()
    };
    let (_, out) = bench.call(Command::Subscribe {
        queue,
        flow,
        group: None,
    });
    assert!(matches!(out[0], Effect::Reply(_, Ok(Reply::Session(_)))));
    let mut pushed = Vec::new();
    for body in ["one", "two", "three"] {
        let message = NewMessage {
            body: body.into(),
            headers: None,
        };
        let options = EnqueueOptions::default();
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
    assert_eq!(pushed.iter().flatten().count(), 2);
    let (_, out) = bench.call(Command::Ack(pushed[0][0].handle.clone()));
    assert!(
        out.iter()
            .any(|effect| matches!(effect, Effect::Deliver(_, leased) if leased.len() == 1))
    );
}

#[test]
fn a_waiting_receive_is_answered_by_the_next_message_or_its_deadline() {
    let mut bench = Bench::new();
    let queue = bench.engine.queue("jobs").unwrap();
    let wait = |wait| Command::Receive {
        queue,
        max: 1,
        wait,
        lease: None,
        group: None,
    };
    let (first, out) = bench.call(wait(100));
    assert!(out.is_empty());
    let (second, _) = bench.call(wait(100));
    let message = NewMessage::default();
    let options = EnqueueOptions::default();
    let (_, out) = bench.call(Command::Enqueue {
        queue,
        message,
        options,
    });
    let answered = |out: &[Effect], to| {
        out.iter()
            .any(|effect| matches!(effect, Effect::Reply(ticket, _) if *ticket == to))
    };
    assert!(answered(&out, first) && !answered(&out, second));
    assert!(bench.engine.next_wake() <= Instant(100));
    assert!(answered(&bench.wake(100), second));
}

#[test]
fn limits_are_typed_errors_that_lose_nothing() {
    let mut bench = Bench::new();
    let queue = bench.engine.queue("jobs").unwrap();
    let enqueue = |bytes: usize, copies| Command::Enqueue {
        queue,
        message: NewMessage {
            body: alloc::vec![b'x'; bytes].into(),
            headers: None,
        },
        options: EnqueueOptions {
            copies,
            on_short: Some(OnShort::Fail),
            ..EnqueueOptions::default()
        },
    };
    let too_large = enqueue(crate::base::limits::BODY_BYTES_MAX + 1, None);
    assert_eq!(number(bench.answer(too_large)), 104);
    assert_eq!(number(bench.answer(enqueue(1, Some(0)))), 101);
    assert_eq!(number(bench.answer(enqueue(1, Some(99)))), 101);
    assert_eq!(number(bench.answer(enqueue(1, Some(2)))), 202);
    assert_eq!(bench.engine.stats()["messages"], 0);
    assert_eq!(bench.engine.queue("").unwrap_err().number(), 101);
}
