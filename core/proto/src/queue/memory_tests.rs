//! What a member does that is short of memory. A message of these tests is one percent of the budget.

use alloc::vec::Vec;
use bytes::Bytes;

use super::super::message::{Deliver, Demand, Message};
use super::super::test_room::{ANN, BOB, ME, Room, holder, holders, id_of};
use super::*;
use crate::base::{MessageId, QueueKey, Stamp, Ticket};
use crate::copies::{Item, Own, Refused, Repl, ReplOk, Section, rank};
use crate::queue::{Answer, EnqueueOptions, NewMessage, Reply};
use crate::wire::Ids;

const BODY: usize = 100;
const PERCENT: u64 = BODY as u64 + limits::MESSAGE_OVERHEAD_BYTES;

fn room() -> Room {
    Room::within(100 * PERCENT)
}

fn message() -> NewMessage {
    NewMessage {
        body: Bytes::from_static(&[7; BODY]),
        headers: None,
    }
}

impl Room {
    /// Puts one in that is here alone.
    fn put(&mut self) -> Answer {
        let options = EnqueueOptions {
            copies: Some(1),
            ..EnqueueOptions::default()
        };
        let (now, queue) = (self.now(), self.queue);
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.queues.enqueue(now, ticket, queue, message(), options);
        self.look();
        self.answers.remove(&ticket).unwrap()
    }

    /// Fills the budget up to `percent`.
    fn fill(&mut self, percent: u32) {
        while self.queues.memory.percent() < percent {
            self.put().unwrap();
        }
    }

    /// Takes so many and acks them.
    fn finish(&mut self, count: u32) {
        for leased in self.take(count) {
            self.tickets += 1;
            let now = self.now();
            self.queues.ack(now, Ticket(self.tickets), &leased);
            self.look();
        }
    }

    fn take(&mut self, count: u32) -> Vec<crate::queue::Handle> {
        let (now, queue) = (self.now(), self.queue);
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.queues.receive(now, ticket, queue, count, 0, None);
        self.look();
        match self.answers.remove(&ticket).unwrap().unwrap() {
            Reply::Deliveries(leased) => leased.into_iter().map(|one| one.handle).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// Ann asks for a copy of her `sequence`th message; what was answered.
    fn offered(&mut self, sequence: u64) -> Message {
        let id = id_of(ANN, sequence);
        let own = Own {
            epoch: 0,
            rank: rank(id, holder(ANN).store),
            store: holder(ANN).store,
        };
        let mut section = Section::new(id.origin, own, holders(&[ANN, ME]));
        section.items.push(Item {
            sequence,
            stamp: Stamp(1),
            attempts: 0,
            lease: 0,
            body: Some(message().body),
            headers: None,
            terms: None,
        });
        let repl = Repl {
            queue: "jobs".into(),
            section,
            wanted: 2,
            owed: Vec::new(),
        };
        self.sent.clear();
        self.hear(ANN, Message::Repl(repl));
        let (to, answer) = self.sent.pop().unwrap();
        assert_eq!(to, holder(ANN).member);
        answer
    }

    fn level(&mut self, member: u64, level: u32) {
        let now = self.now();
        let member = holder(member).member;
        self.queues.peer_level(now, member, level);
    }

    /// Whom the next message is copied to.
    fn chosen(&mut self, copies: u16) -> Vec<u64> {
        self.now += 1;
        let now = self.now().mono;
        let chosen = self.queues.placement.pick(now, copies);
        let others = chosen.iter().skip(1);
        others.map(|holder| holder.store.0).collect()
    }
}

#[test]
fn a_level_begins_at_its_share_and_is_left_only_well_below_it() {
    let mut memory = Memory::new(1_000);
    let mut levels = Vec::new();
    for _ in 0..1_000 {
        if memory.add(1) {
            levels.push((memory.used(), memory.level()));
        }
    }
    assert_eq!(levels, [(700, 1), (850, 2), (950, 3), (1_000, 4)]);
    levels.clear();
    for _ in 0..1_000 {
        if memory.free(1) {
            levels.push((memory.used(), memory.level()));
        }
    }
    assert_eq!(levels, [(949, 3), (899, 2), (799, 1), (649, 0)]);
    // All of it at once, and back.
    assert!(memory.add(5_000));
    assert_eq!(memory.level(), 4);
    assert!(memory.free(5_000));
    assert_eq!((memory.level(), memory.used()), (0, 0));
    for tiny in [1, 2, 3] {
        let mut memory = Memory::new(tiny);
        assert_eq!(memory.level(), 0);
        memory.add(tiny);
        assert_eq!(memory.level(), 4);
        memory.free(tiny);
        assert_eq!(memory.level(), 0);
    }
    let mut whole = Memory::new(u64::MAX);
    whole.add(u64::MAX);
    assert_eq!((whole.level(), whole.percent()), (4, 100));
}

#[test]
fn at_level_three_what_is_new_is_refused_until_enough_is_finished() {
    let mut room = room();
    room.fill(95);
    assert_eq!(room.queues.memory_level(), 3);
    let error = room.put().unwrap_err();
    assert_eq!(error.number(), 203);
    let told = |key: &str| {
        let pair = error.context().iter().find(|(name, _)| *name == key);
        pair.map(|(_, value)| value.clone()).unwrap()
    };
    assert_eq!(told("retry_after_ms"), "1000");
    assert_eq!(told("memory_level"), "3");
    assert!(["2", "3"].contains(&told("member_with_room").trim_start_matches('0')));
    let Message::ReplNo(no) = room.offered(1) else {
        panic!("a copy was taken");
    };
    assert_eq!(no.reason, Refused::Memory);
    // Five percent must be free before it takes anything again, so that it does not say so in vain.
    room.finish(5);
    assert_eq!(room.put().unwrap_err().number(), 203);
    room.finish(1);
    assert_eq!(room.queues.memory_level(), 2);
    room.put().unwrap();
    let Message::ReplOk(_) = room.offered(2) else {
        panic!("no copy was taken");
    };
}

#[test]
fn a_message_that_does_not_fit_is_refused_at_any_level_and_smaller_ones_are_not() {
    let mut room = room();
    let (now, queue) = (room.now(), room.queue);
    let large = NewMessage {
        body: Bytes::from(alloc::vec![0; 100 * PERCENT as usize]),
        headers: None,
    };
    let options = EnqueueOptions::default();
    room.queues.enqueue(now, Ticket(99), queue, large, options);
    room.look();
    let answer = room.answers.remove(&Ticket(99)).unwrap();
    assert_eq!(answer.unwrap_err().number(), 203);
    room.put().unwrap();
}

#[test]
fn headers_are_counted() {
    let mut room = room();
    let headers = Vec::from([("key".into(), "x".repeat(1_000))]);
    let with_headers = NewMessage {
        headers: Some(alloc::sync::Arc::new(headers)),
        ..message()
    };
    let (now, queue) = (room.now(), room.queue);
    let options = EnqueueOptions {
        copies: Some(1),
        ..EnqueueOptions::default()
    };
    room.queues
        .enqueue(now, Ticket(1), queue, with_headers, options);
    room.tickets = 1;
    room.look();
    assert_eq!(room.queues.memory.used(), PERCENT + 1_003);
    room.finish(1);
    assert_eq!(room.queues.memory.used(), 0);
}

#[test]
fn a_key_is_counted_with_its_place_in_line_and_is_free_again_with_its_message() {
    let mut room = room();
    let key = "k".repeat(limits::KEY_BYTES_MAX);
    let each = PERCENT + limits::LINE_OVERHEAD_BYTES + key.len() as u64;
    let options = EnqueueOptions {
        copies: Some(1),
        terms: crate::copies::Asked {
            key: Some(key.as_str().into()),
            ..crate::copies::Asked::default()
        },
        ..EnqueueOptions::default()
    };
    let (now, queue) = (room.now(), room.queue);
    let many = alloc::vec![message(); 3];
    let put = |room: &mut Room, ticket, messages| {
        let (ticket, caller) = (
            Ticket(ticket),
            super::super::batch::Caller::Many(Ticket(ticket)),
        );
        let options = options.clone();
        room.queues
            .enqueue_here(now, caller, queue, messages, options);
        room.look();
        room.answers.remove(&ticket).unwrap()
    };
    put(&mut room, 901, many.clone()).unwrap();
    assert_eq!(room.queues.memory.used(), 3 * each);
    // The key counts before anything is taken: without it these would fit.
    let room_left = 100 * PERCENT - 3 * each;
    let count = (room_left / PERCENT) as usize - 5;
    assert!(count as u64 * each > room_left);
    let error = put(&mut room, 902, alloc::vec![message(); count]).unwrap_err();
    assert_eq!(error.number(), 203);
    assert_eq!(room.queues.memory.used(), 3 * each);
    room.finish(1);
    room.finish(1);
    room.finish(1);
    assert_eq!(room.queues.memory.used(), 0);
}

#[test]
fn what_dies_while_new_messages_are_refused_is_a_dead_letter_all_the_same() {
    let mut room = room();
    room.fill(95);
    let taken = room.take(2);
    let reject = |room: &mut Room, place: usize| {
        let now = room.now();
        room.tickets += 1;
        let handle = &taken[place];
        room.queues.reject(now, Ticket(room.tickets), handle, "bad");
        room.look();
    };
    reject(&mut room, 0);
    assert!(room.queues.names.contains_key("jobs.dead"));
    // Its copy is on its way to another, and it is counted twice until then.
    assert_eq!(room.queues.memory_level(), 3);
    let (to, repl) = room.sent.pop().unwrap();
    let Message::Repl(repl) = repl else {
        panic!("{repl:?}");
    };
    assert_eq!(&*repl.queue, "jobs.dead");
    let sequence = repl.section.items[0].sequence;
    let ok = ReplOk {
        ids: Ids::range(repl.section.origin, sequence, sequence),
        store: holder(to.0 as u64).store,
        epoch: 0,
    };
    room.hear(to.0 as u64, Message::ReplOk(ok));

    // Nothing at all is left: the next one waits, and nobody loses it.
    let rest = 100 * PERCENT - room.queues.memory.used();
    room.queues.charge(rest);
    assert_eq!(room.queues.memory_level(), 4);
    let now = room.now();
    room.queues.reject(now, Ticket(900), &taken[1], "bad");
    let is_waiting = |room: &Room| room.queues.dying.contains_key(&taken[1].id);
    assert!(is_waiting(&room));
    room.queues.discharge(rest);
    room.pass(5_000);
    assert!(!is_waiting(&room));
    // Its copy may be late, and go to one more member: it is one letter all the same.
    let letters = room.sent.iter().filter_map(|(_, sent)| match sent {
        Message::Repl(repl) if &*repl.queue == "jobs.dead" => {
            Some((repl.section.origin, repl.section.items[0].sequence))
        }
        _ => None,
    });
    assert_eq!(letters.collect::<BTreeSet<_>>().len(), 1);
}

#[test]
fn at_level_two_little_is_fetched_at_a_time() {
    let mut room = room();
    let asked = |room: &mut Room| -> Demand {
        let now = room.now();
        let name = "mails".into();
        room.sent.clear();
        room.queues
            .peer_stocked(now, holder(ANN).member, &name, true);
        let queue = room.queues.queue("mails").unwrap();
        room.tickets += 1;
        let ticket = Ticket(room.tickets);
        room.queues.receive(now, ticket, queue, 1_000, 1_000, None);
        room.look();
        let (_, sent) = room.sent.pop().unwrap();
        let Message::Demand(demand) = sent else {
            panic!("{sent:?}");
        };
        room.hear(
            ANN,
            Message::Deliver(Deliver {
                number: demand.number,
                ..Deliver::default()
            }),
        );
        room.queues.cancel(ticket);
        demand
    };
    let usual = asked(&mut room);
    assert_eq!((usual.credit, usual.credit_bytes), (1_000, 0));
    room.fill(85);
    assert_eq!(room.queues.memory_level(), 2);
    let sparing = asked(&mut room);
    let most = (limits::DEMAND_SPARING_MAX, limits::DEMAND_SPARING_BYTES_MAX);
    assert_eq!((sparing.credit, sparing.credit_bytes), most);
}

#[test]
fn copies_go_to_members_with_room_first_and_never_to_those_that_refuse_them() {
    let mut room = room();
    room.level(ANN, 1);
    for _ in 0..20 {
        assert_eq!(room.chosen(2), [BOB]);
        assert_eq!(room.chosen(3), [ANN, BOB]);
    }
    room.level(BOB, 2);
    (0..20).for_each(|_| assert_eq!(room.chosen(2), [ANN]));
    room.level(ANN, 3);
    (0..20).for_each(|_| assert_eq!(room.chosen(3), [BOB]));
    room.level(BOB, 4);
    assert!(room.chosen(3).is_empty());
    // What a link's end leaves of it.
    room.level(ANN, 0);
    assert_eq!(room.chosen(3), [ANN]);
}

#[test]
fn who_should_rather_be_asked_is_one_with_room_each_in_turn() {
    let mut room = room();
    let (ann, bob) = (holder(ANN).member, holder(BOB).member);
    let nobody = BTreeSet::new();
    for member in [ann, bob] {
        room.queues.peer_takes(member, true);
    }
    room.level(BOB, 1);
    assert_eq!(room.queues.better_home(&nobody), None);
    room.fill(69);
    assert_eq!(room.queues.better_home(&nobody), None);
    room.fill(70);
    assert_eq!(room.queues.better_home(&nobody), Some(ann));
    assert_eq!(room.queues.better_home(&[ann].into()), None);
    room.level(ANN, 1);
    assert_eq!(room.queues.better_home(&nobody), None);
    // Nor one that knows nothing of it, or cannot be reached.
    room.level(BOB, 0);
    room.queues.peer_takes(bob, false);
    assert_eq!(room.queues.better_home(&nobody), None);
    room.queues.peer_takes(bob, true);
    assert_eq!(room.queues.better_home(&nobody), Some(bob));
    room.lose(BOB);
    assert_eq!(room.queues.better_home(&nobody), None);
}

#[test]
fn who_is_short_of_memory_asks_another_to_take_what_is_new_and_one_with_room_does_not() {
    let mut room = room();
    room.queues.peer_takes(holder(ANN).member, true);
    room.put().unwrap();
    room.fill(70);
    room.sent.clear();
    let (now, queue) = (room.now(), room.queue);
    let options = EnqueueOptions::default();
    room.queues
        .enqueue(now, Ticket(900), queue, message(), options);
    room.look();
    assert!(!room.answers.contains_key(&Ticket(900)));
    let (to, sent) = room.sent.pop().unwrap();
    assert!(matches!(sent, Message::EnqueueFor(_)) && to == holder(ANN).member);
}

#[test]
fn copies_that_were_too_few_are_made_when_a_member_has_room_again() {
    let mut room = room();
    room.level(ANN, 3);
    room.level(BOB, 3);
    let (now, queue) = (room.now(), room.queue);
    let options = EnqueueOptions::default();
    room.queues
        .enqueue(now, Ticket(1), queue, message(), options);
    room.tickets = 1;
    room.look();
    let Some(Ok(Reply::Receipt(receipt))) = room.answers.remove(&Ticket(1)) else {
        panic!("no receipt");
    };
    assert_eq!((receipt.copies, receipt.wanted), (1, 2));
    room.sent.clear();
    room.level(ANN, 2);
    let until = room.now + 60_000;
    room.pass(until);
    let id: MessageId = receipt.id;
    let is_copy = |sent: &Message| matches!(sent, Message::Repl(repl) if repl.section.items[0].sequence == id.sequence);
    let copies: Vec<_> = room.sent.iter().filter(|(_, sent)| is_copy(sent)).collect();
    assert!(!copies.is_empty());
    assert!(copies.iter().all(|(to, _)| *to == holder(ANN).member));
    let ok = ReplOk {
        ids: Ids::one(id),
        store: holder(ANN).store,
        epoch: 0,
    };
    room.hear(ANN, Message::ReplOk(ok));
}

#[test]
fn where_memory_is_short_a_queue_keeps_no_room_for_messages_that_may_come() {
    let mut room = room();
    let (now, idle) = (room.now(), room.queues.queue("idle").unwrap());
    let busy = core::mem::replace(&mut room.queue, idle);
    room.put().unwrap();
    room.finish(1);
    room.queue = busy;
    let has_room = |room: &Room, key: QueueKey| {
        let shelf = &room.queues.shelves[key.0 as usize];
        shelf.ready.has_room()
    };
    assert!(has_room(&room, idle));
    room.fill(85);
    room.queues.wake(now);
    assert!(!has_room(&room, idle));
    assert!(has_room(&room, busy));
    // And it works as before.
    room.queue = idle;
    room.put().unwrap();
    room.finish(1);
}

#[test]
fn what_is_set_aside_and_was_purged_is_over_whatever_is_forgotten_later() {
    let mut room = room();
    for _ in 0..3 {
        room.put().unwrap();
    }
    let now = room.now();
    assert_eq!(room.queues.set_aside(), 3);
    room.queues.reset(now, crate::base::StoreId(9));
    assert_eq!(room.queues.memory.used(), 3 * PERCENT);
    let younger = room.put().unwrap();
    let Reply::Receipt(younger) = younger else {
        panic!("{younger:?}");
    };
    // Purged before any of it is asked for; the evicted member forgets what it was told when it leaves.
    let mark = room.queues.slot(younger.id).unwrap().stamp;
    let nothing = alloc::collections::BTreeMap::new();
    room.queues
        .set_config(now, "jobs", (nothing.clone(), Stamp(mark.0 - 1)));
    room.queues.set_config(now, "jobs", (nothing, Stamp(0)));
    assert_eq!(room.queues.aside(), 0);
    assert_eq!(room.queues.memory.used(), PERCENT);
    assert_eq!(room.queues.reclaim(now, true), 0);
}
