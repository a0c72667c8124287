//! Acks of messages that no other store holds.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::*;
use crate::base::{Chance, QueueKey, StoreId};
use crate::queue::{EnqueueOptions, Leased, NewMessage, OnShort, Out, Settings};

const NOW: Now = Now {
    mono: Instant(0),
    wall_ms: 1_700_000_000_000,
};

/// A lone member's room with one queue.
struct Room {
    queues: Queues,
    queue: QueueKey,
}

impl Room {
    fn new() -> Self {
        let settings = Settings {
            me: Holder {
                member: MemberId(1),
                store: StoreId(1),
            },
            boot: BootId(1),
            copies: None,
            on_short: OnShort::Degrade,
            enqueue_timeout: limits::ENQUEUE_TIMEOUT_MS,
            lease: limits::LEASE_MS,
            max_attempts: limits::ATTEMPTS_MAX,
            takeover_after: limits::TAKEOVER_AFTER_MS,
            repair_after: limits::REPAIR_AFTER_MS,
            inventory_after: limits::INVENTORY_MS,
            zone: crate::copies::Zone::default(),
            placing: crate::copies::Placing::Sticky,
            memory_bytes_max: limits::MEMORY_BYTES_MAX,
            body_bytes_max: limits::BODY_BYTES_MAX,
            acks_before_w: false,
        };
        let mut queues = Queues::new(settings, NOW, Chance::new(1));
        let queue = queues.queue("jobs").unwrap();
        Self { queues, queue }
    }

    /// The answer to the call that was just made.
    fn answer(&mut self) -> Reply {
        self.queues.audit().unwrap();
        let mut out = Vec::new();
        self.queues.swap_out(&mut out);
        let mut answers = out.into_iter().filter_map(|out| match out {
            Out::Reply(_, answer) => Some(answer.unwrap()),
            _ => None,
        });
        answers.next().unwrap()
    }

    fn enqueue(&mut self, message: NewMessage) {
        let options = EnqueueOptions::default();
        let queue = self.queue;
        self.queues.enqueue(NOW, Ticket(1), queue, message, options);
        assert!(matches!(self.answer(), Reply::Receipt(_)));
    }

    fn receive(&mut self) -> Vec<Leased> {
        self.queues
            .receive(NOW, Ticket(2), self.queue, 100, 0, None);
        match self.answer() {
            Reply::Deliveries(leased) => leased,
            other => panic!("{other:?}"),
        }
    }

    fn ack_many(&mut self, handles: &[Handle]) -> Vec<u16> {
        self.queues.ack_many(NOW, Ticket(3), handles);
        match self.answer() {
            Reply::Codes(codes) => codes,
            other => panic!("{other:?}"),
        }
    }
}

fn message(body: &'static str) -> NewMessage {
    NewMessage {
        body: body.into(),
        headers: None,
    }
}

#[test]
fn a_batch_of_acks_answers_for_each_what_it_would_alone() {
    let mut room = Room::new();
    (0..6).for_each(|_| room.enqueue(message("one")));
    let handles: Vec<Handle> = room.receive().into_iter().map(|one| one.handle).collect();
    let order = [0, 1, 0, 3, 2, 1, 1, 5];
    let picked: Vec<Handle> = order.iter().map(|at| handles[*at].clone()).collect();
    assert_eq!(room.ack_many(&picked), [0, 0, 402, 0, 0, 402, 402, 0]);
    for (at, handle) in handles.iter().enumerate() {
        assert_eq!(room.queues.is_finished(handle.id), at != 4, "{at}");
    }
    assert_eq!(room.ack_many(&handles), [402, 402, 402, 402, 0, 402]);
    assert_eq!(room.queues.memory.used(), 0);
    assert_eq!(room.queues.counters.acked, 6);
    assert_eq!(room.queues.counters.acks_late, 8);
}

#[test]
fn an_ack_of_a_lease_that_is_over_ends_the_message_for_whoever_has_it_now() {
    let mut room = Room::new();
    room.enqueue(message("one"));
    let first = room.receive().remove(0).handle;
    room.queues.release(NOW, Ticket(4), &first);
    assert!(matches!(room.answer(), Reply::Done));
    let second = room.receive().remove(0).handle;
    assert_eq!(room.ack_many(&[first, second]), [0, 402]);
}

#[test]
fn nothing_of_a_finished_message_is_left_to_the_next_one_in_its_slot() {
    let mut room = Room::new();
    let headers = Arc::new(Vec::from([("tenant".into(), "first".into())]));
    room.enqueue(NewMessage {
        body: "the first tenant".into(),
        headers: Some(headers.clone()),
    });
    let first = room.receive().remove(0);
    room.queues.release(NOW, Ticket(4), &first.handle);
    assert!(matches!(room.answer(), Reply::Done));
    let again = room.receive().remove(0);
    assert_eq!(again.handle.lease, 2);
    room.queues.ack(NOW, Ticket(5), &again.handle);
    assert!(matches!(room.answer(), Reply::Done));
    drop((first, again));
    assert_eq!(Arc::strong_count(&headers), 1, "the slot keeps no headers");
    room.enqueue(message("second"));
    assert_eq!(room.queues.slab.end(), 1, "in the same slot");
    let second = room.receive().remove(0);
    assert_eq!(&second.body[..], b"second");
    assert!(second.headers.is_none());
    assert_eq!((second.attempts, second.handle.lease), (1, 1));
    assert_eq!(room.ack_many(&[second.handle]), [0]);
}
