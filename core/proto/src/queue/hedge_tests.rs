//! Copies that are late, at a member linked to Ann, Bob and Cyd, who say what a test has them say.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use super::super::message::Message;
use super::super::test_room::{ANN, BOB, Room, holder};
use super::*;
use crate::base::{Ticket, limits};
use crate::copies::{Repl, ReplOk};
use crate::queue::{EnqueueOptions, NewMessage, OnShort, Receipt, Reply};
use crate::wire::Ids;

const CYD: u64 = 4;

fn room() -> Room {
    let mut room = Room::new();
    room.link(CYD, CYD);
    room.pass(20);
    room.sent.clear();
    room
}

impl Room {
    /// Puts one in; whom its copies went to.
    fn put_in(&mut self, copies: u16) -> (Ticket, Vec<Repl>) {
        self.put_in_with(EnqueueOptions {
            copies: Some(copies),
            ..EnqueueOptions::default()
        })
    }

    fn put_in_with(&mut self, options: EnqueueOptions) -> (Ticket, Vec<Repl>) {
        let (now, queue) = (self.now(), self.queue);
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let message = NewMessage {
            body: "x".into(),
            headers: None,
        };
        self.queues.enqueue(now, ticket, queue, message, options);
        self.look();
        (
            ticket,
            self.copies().into_iter().map(|(_, repl)| repl).collect(),
        )
    }

    /// Copies that were sent since this was last asked.
    fn copies(&mut self) -> Vec<(u64, Repl)> {
        let sent = core::mem::take(&mut self.sent).into_iter();
        let copies = sent.filter_map(|(to, message)| match message {
            Message::Repl(repl) => Some((to.0 as u64, repl)),
            _ => None,
        });
        copies.collect()
    }

    fn confirm(&mut self, member: u64, repl: &Repl) {
        let section = &repl.section;
        let mut ids = Ids::none(section.origin);
        for item in &section.items {
            ids.push(item.sequence, item.sequence);
        }
        let ok = ReplOk {
            ids,
            store: holder(member).store,
            epoch: 0,
        };
        self.hear(member, Message::ReplOk(ok));
    }

    fn receipt_of(&mut self, ticket: Ticket) -> Option<Receipt> {
        match self.answers.remove(&ticket)? {
            Ok(Reply::Receipt(receipt)) => Some(receipt),
            other => panic!("{other:?}"),
        }
    }

    /// Time goes on, and is looked at each millisecond.
    fn live(&mut self, ms: u64) {
        for _ in 0..ms {
            let next = self.now + 1;
            self.pass(next);
        }
    }

    fn put_late(&mut self) -> (Ticket, u64, Repl) {
        let (ticket, mut sent) = self.put_in(2);
        let repl = sent.remove(0);
        let target = repl.section.holders[1].store.0;
        (ticket, target, repl)
    }
}

#[test]
fn copies_that_are_late_go_to_one_more_member_that_knows_of_the_first() {
    let mut room = room();
    let (ticket, slow, first) = room.put_late();
    room.live(99);
    assert_eq!(room.copies(), []);
    room.live(1);
    let mut more = room.copies();
    assert_eq!(more.len(), 1);
    let (other, second) = more.remove(0);
    assert_ne!(other, slow);
    let known: Vec<u64> = second
        .section
        .holders
        .iter()
        .map(|one| one.store.0)
        .collect();
    assert_eq!(known, [1, slow, other]);
    room.confirm(other, &second);
    let receipt = room.receipt_of(ticket).unwrap();
    assert_eq!((receipt.copies, receipt.wanted), (2, 2));
    // The first one is a copy too, when it says so; and it is asked for the end as all are.
    room.confirm(slow, &first);
    let slot = room.queues.slot(receipt.id).unwrap();
    assert_eq!(slot.confirmed, 0b111);
    assert_eq!(room.queues.counters.hedges, 1);
}

#[test]
fn what_can_have_its_copies_through_a_hedge_is_not_given_up_when_the_first_is_lost() {
    let mut room = Room::new();
    room.pass(20);
    room.sent.clear();
    let (ticket, first) = room.put_in_with(EnqueueOptions {
        copies: Some(2),
        on_short: Some(OnShort::Fail),
        ..EnqueueOptions::default()
    });
    let slow = first[0].section.holders[1].store.0;
    room.live(100);
    let (other, second) = room.copies().remove(0);
    room.lose(slow);
    assert!(room.answers.is_empty(), "{:?}", room.answers);
    room.confirm(other, &second);
    assert_eq!(room.receipt_of(ticket).unwrap().copies, 2);
    // Where nobody can give the last one it is decided at once.
    let (ticket, _) = room.put_in_with(EnqueueOptions {
        copies: Some(2),
        on_short: Some(OnShort::Fail),
        ..EnqueueOptions::default()
    });
    room.lose(other);
    let answer = room.answers.remove(&ticket).unwrap();
    assert_eq!(answer.unwrap_err().number(), 301);
}

#[test]
fn one_enqueue_goes_to_one_more_member_at_most_and_is_decided_at_its_deadline() {
    let mut room = room();
    let (ticket, _, _) = room.put_late();
    room.live(limits::ENQUEUE_TIMEOUT_MS - 1);
    assert_eq!(room.copies().len(), 1);
    assert!(room.receipt_of(ticket).is_none());
    room.live(1);
    assert_eq!(room.receipt_of(ticket).unwrap().copies, 1);
}

#[test]
fn who_was_late_is_chosen_last_for_a_while() {
    let mut room = room();
    let (_, slow, _) = room.put_late();
    room.live(100);
    assert_eq!(room.queues.late_count(), 1);
    room.copies();
    let chosen = |room: &mut Room| -> BTreeSet<u64> {
        let puts = (0..50).map(|_| {
            room.live(1);
            let (_, target, repl) = room.put_late();
            room.confirm(target, &repl);
            target
        });
        puts.collect()
    };
    assert!(!chosen(&mut room).contains(&slow));
    room.live(SHUN_MS);
    assert_eq!(room.queues.late_count(), 0);
    let again = (0..10).any(|_| {
        room.live(limits::COPYSET_MS);
        chosen(&mut room).contains(&slow)
    });
    assert!(again);
}

#[test]
fn what_is_usual_at_a_member_is_not_late_and_a_slow_one_is_so_beside_others_of_its_zone() {
    let mut room = room();
    let paces = |room: &mut Room, paces: [(u64, u64); 3]| {
        for (member, took) in paces {
            let peer = room.queues.peers.get_mut(&holder(member).member).unwrap();
            peer.pace = Pace::default();
            (0..100).for_each(|_| peer.pace.note(took));
        }
    };
    let patience = |room: &Room, member| room.queues.copy_patience(holder(member).member);
    paces(&mut room, [(ANN, 1), (BOB, 2), (CYD, 300)]);
    assert_eq!([ANN, BOB, CYD].map(|one| patience(&room, one)), [50; 3]);
    paces(&mut room, [(ANN, 100), (BOB, 100), (CYD, 1)]);
    assert!((200..250).contains(&patience(&room, CYD)));
    // All is far away that is in one zone.
    let now = room.now();
    for member in [BOB, CYD] {
        let member = holder(member).member;
        room.queues.peer_zone(now, member, Zone::of("yonder"));
    }
    paces(&mut room, [(ANN, 1), (BOB, 300), (CYD, 280)]);
    assert_eq!(patience(&room, ANN), 50);
    assert!((560..600).contains(&patience(&room, BOB)));
}

#[test]
fn a_pace_follows_what_copies_take_and_how_much_that_differs() {
    let mut pace = Pace::default();
    assert_eq!(pace.usual(), None);
    pace.note(8);
    assert_eq!(pace.usual(), Some(8 + 16));
    (0..100).for_each(|_| pace.note(8));
    assert_eq!(pace.usual(), Some(8));
    (0..100).for_each(|n| pace.note(if n % 2 == 0 { 4 } else { 12 }));
    assert!((20..30).contains(&pace.usual().unwrap()));
    (0..200).for_each(|_| pace.note(u64::MAX));
    assert!((59_000..61_000).contains(&pace.usual().unwrap()));
}

#[test]
fn further_copies_are_a_small_part_of_all_whatever_happens() {
    let mut room = room();
    // Nobody answers any more.
    let mut tickets = Vec::new();
    for _ in 0..200 {
        tickets.push(room.put_late().0);
    }
    room.live(200);
    let counters = &room.queues.counters;
    assert_eq!(counters.copy_frames, 200);
    assert_eq!(counters.hedges, ADVANCE + 200 / FRAMES_FOR_ONE);
    assert_eq!(counters.hedges + counters.hedges_skipped, 200);
    // Each of them has its receipt all the same.
    room.live(limits::ENQUEUE_TIMEOUT_MS);
    assert!(
        tickets
            .iter()
            .all(|ticket| room.answers.contains_key(ticket))
    );
}

#[test]
fn what_is_saved_is_bounded() {
    let mut budget = Budget::default();
    budget.earn(1_000_000);
    assert!(budget.may_spend(SAVED_MAX) && !budget.may_spend(SAVED_MAX + 1));
    budget.spend(SAVED_MAX);
    assert!(!budget.may_spend(1));
    assert_eq!(budget.audit(), Ok(()));
    let mut planted = Budget::default();
    planted.spend(ADVANCE + 1);
    assert_eq!(
        planted.audit().unwrap_err(),
        "9 further frames of copies, 8 may be"
    );
}

#[test]
fn after_a_time_in_which_nothing_ran_answers_are_heard_first() {
    let mut room = room();
    let (ticket, target, repl) = room.put_late();
    room.now += 1_000;
    let now = room.now();
    room.queues.wake(now);
    room.look();
    assert_eq!(room.copies(), []);
    room.confirm(target, &repl);
    assert!(room.receipt_of(ticket).is_some());
    room.live(200);
    assert_eq!(room.queues.counters.hedges, 0);
}

#[test]
fn with_nobody_else_to_ask_nothing_more_is_sent() {
    let mut room = room();
    let (ticket, sent) = room.put_in(4);
    assert_eq!(sent.len(), 3);
    room.live(200);
    assert_eq!(room.copies(), []);
    let counters = &room.queues.counters;
    assert_eq!((counters.hedges, counters.hedges_skipped), (0, 0));
    for (member, repl) in [ANN, BOB, CYD].iter().zip(&sent) {
        room.confirm(*member, repl);
    }
    assert_eq!(room.receipt_of(ticket).unwrap().copies, 4);
}

#[test]
fn a_large_batch_is_as_many_frames_as_it_takes() {
    let mut room = room();
    let options = EnqueueOptions {
        copies: Some(2),
        ..EnqueueOptions::default()
    };
    let (now, queue) = (room.now(), room.queue);
    let body = vec![7; 400 << 10];
    let message = NewMessage {
        body: body.into(),
        headers: None,
    };
    let messages = vec![message; ADVANCE as usize + 1];
    let ticket = Ticket(77);
    room.queues
        .enqueue_many(now, ticket, queue, messages, options);
    room.look();
    assert_eq!(room.copies().len() as u64, ADVANCE + 1);
    room.live(200);
    // It is more than there is to spend.
    assert_eq!(room.copies(), []);
    assert_eq!(room.queues.counters.hedges_skipped, 1);
}
