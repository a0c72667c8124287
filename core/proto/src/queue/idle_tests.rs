//! Queues that are forgotten, and those that must not be.

use alloc::format;
use alloc::string::String;
use bytes::Bytes;

use super::super::test_room::{ANN, Room, holder};
use super::*;
use crate::base::{Chance, Ticket};
use crate::queue::{EnqueueOptions, Flow, Handle, NewMessage, Reply};

impl Room {
    /// A queue that no host has at hand.
    fn named(&mut self, name: &str) -> QueueKey {
        self.queues.queue(name).unwrap()
    }

    fn is_known(&self, name: &str) -> bool {
        self.queues.names.contains_key(name)
    }

    /// Looks at all queues there are.
    fn sweep(&mut self) -> usize {
        self.queues.idle.cursor = 0;
        let count = self.queues.forget_some();
        self.look();
        count
    }

    fn put_into(&mut self, queue: QueueKey, body: &str) {
        let options = EnqueueOptions {
            copies: Some(1),
            ..EnqueueOptions::default()
        };
        let message = NewMessage {
            body: Bytes::copy_from_slice(body.as_bytes()),
            headers: None,
        };
        self.tickets += 1;
        let (now, ticket) = (self.now(), Ticket(self.tickets));
        self.queues.enqueue(now, ticket, queue, message, options);
        self.look();
        self.answers.remove(&ticket).unwrap().unwrap();
    }

    fn take_from(&mut self, queue: QueueKey) -> Option<(Handle, String)> {
        self.tickets += 1;
        let (now, ticket) = (self.now(), Ticket(self.tickets));
        self.queues.receive(now, ticket, queue, 1, 0, None);
        self.look();
        let Reply::Deliveries(leased) = self.answers.remove(&ticket).unwrap().unwrap() else {
            panic!("no deliveries");
        };
        let leased = leased.into_iter().next()?;
        let body = String::from_utf8(leased.body.to_vec()).unwrap();
        Some((leased.handle, body))
    }

    fn ack(&mut self, handle: &Handle) {
        self.tickets += 1;
        let (now, ticket) = (self.now(), Ticket(self.tickets));
        self.queues.ack(now, ticket, handle);
        self.look();
        self.answers.remove(&ticket).unwrap().unwrap();
    }
}

#[test]
fn what_nobody_uses_is_forgotten_and_what_somebody_uses_is_not() {
    let mut room = Room::new();
    let now = room.now();
    assert_eq!(room.sweep(), 1, "only the room's own queue is idle");
    // A message, ready, on lease, or a copy of another's.
    let queue = room.named("held");
    room.put_into(queue, "x");
    assert_eq!(room.sweep(), 0);
    let (handle, _) = room.take_from(queue).unwrap();
    assert_eq!(room.sweep(), 0);
    room.ack(&handle);
    assert_eq!(room.sweep(), 1);
    room.queue = room.named("jobs");
    room.copy();
    assert_eq!(room.sweep(), 0);
    // A consumer.
    let waited = room.named("waited for");
    room.tickets += 1;
    let ticket = Ticket(room.tickets);
    room.queues
        .receive(now, ticket, waited, 1, 60_000, Some(1_000));
    let pushed = room.named("pushed");
    room.tickets += 1;
    let flow = Flow {
        credit: 1,
        credit_bytes: None,
        lease: None,
        max_run: None,
    };
    room.queues
        .subscribe(now, Ticket(room.tickets), pushed, &flow);
    room.look();
    // A host, a group, settings, and somebody else's stock.
    let at_hand = room.named("at hand");
    room.queues.hold_queue(at_hand);
    room.queues.hold_queue(at_hand);
    let grouped = room.named("grouped");
    room.queues.shelf_of(grouped, "mailer").unwrap();
    room.named("told");
    let settings = [("copies".into(), "1".into())];
    let told = (settings.into(), crate::base::Stamp(0));
    room.queues.set_config(now, "told", told);
    let listed = "listed".into();
    room.queues
        .peer_stocked(now, holder(ANN).member, &listed, true);
    assert_eq!(room.sweep(), 0);

    // And when each is over.
    room.queues.cancel(ticket);
    room.queues.release_queue(at_hand);
    assert_eq!(room.sweep(), 1);
    assert!(!room.is_known("waited for") && room.is_known("at hand"));
    room.queues.release_queue(at_hand);
    room.queues
        .peer_stocked(now, holder(ANN).member, &listed, false);
    let untold = (alloc::collections::BTreeMap::new(), crate::base::Stamp(0));
    room.queues.set_config(now, "told", untold);
    assert_eq!(room.sweep(), 3);
    assert!(room.is_known("grouped") && room.is_known("pushed"));
}

#[test]
fn the_key_of_a_forgotten_queue_is_anothers_with_nothing_of_the_first() {
    let mut room = Room::new();
    let first = room.named("first");
    for body in ["a", "b"] {
        room.put_into(first, body);
        let (handle, _) = room.take_from(first).unwrap();
        room.ack(&handle);
    }
    let told = room.queues.known();
    assert_eq!(room.sweep(), 2);
    assert_eq!(room.queues.known(), told - 2);
    let (second, third) = (room.named("second"), room.named("third"));
    assert!(second == first || third == first);
    room.put_into(second, "c");
    assert_eq!(room.take_from(third), None);
    let again = room.named("first");
    assert!(again != second && again != third);
    assert_eq!(room.take_from(again), None);
    assert_eq!(room.take_from(second).unwrap().1, "c");
}

#[test]
fn where_memory_is_short_idle_queues_go_by_themselves() {
    let mut room = Room::within(100_000);
    room.queues.hold_queue(room.queue);
    for n in 0..20 {
        let queue = room.named(&format!("user/{n}"));
        room.put_into(queue, "x");
        let (handle, _) = room.take_from(queue).unwrap();
        room.ack(&handle);
    }
    let now = room.now();
    room.queues.wake(now);
    assert_eq!(room.queues.known(), 21);
    let queue = room.queue;
    room.put_into(queue, &"x".repeat(85_000));
    room.queues.wake(now);
    room.look();
    assert_eq!(room.queues.known(), 1);
    assert_eq!(room.queues.counters.queues_forgotten, 20);
}

#[test]
fn messages_come_from_the_queue_that_they_were_put_into_however_often_keys_change_hands() {
    let mut room = Room::new();
    let mut chance = Chance::new(7);
    let mut waiting: alloc::collections::BTreeMap<u64, alloc::collections::VecDeque<String>> =
        alloc::collections::BTreeMap::new();
    for round in 0..3_000 {
        let name = chance.below(40);
        let queue = room.named(&format!("q{name}"));
        let expected = waiting.entry(name).or_default();
        if chance.percent(50) {
            let body = format!("q{name}: {round}");
            room.put_into(queue, &body);
            expected.push_back(body);
        } else {
            let taken = room.take_from(queue);
            assert_eq!(taken.as_ref().map(|(_, body)| body), expected.front());
            expected.pop_front();
            if let Some((handle, _)) = taken {
                room.ack(&handle);
            }
        }
        if chance.percent(10) {
            room.sweep();
        }
    }
    assert!(room.queues.counters.queues_forgotten > 100);
}
