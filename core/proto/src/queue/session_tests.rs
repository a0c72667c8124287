//! One member's room by hand: what a subscription may still be given.

use super::*;
use crate::base::Stamp;
use crate::copies::{Item, Own, Section, rank};
use crate::queue::message::{Deliver, Message};
use crate::queue::test_room::{ANN, ME, Room, holder, holders};

/// Ann took a message over that is owned here, too, and gives it to whoever asked her.
fn given_by_ann(room: &mut Room, twice: &Leased, lease_ms: u64) {
    let member = holder(ANN).member;
    let (now, id) = (room.now(), twice.handle.id);
    room.queues.peer_stocked(now, member, &"jobs".into(), true);
    room.look();
    let demand = room.sent.iter().find_map(|(to, message)| match message {
        Message::Demand(demand) if *to == member => Some(demand.number),
        _ => None,
    });
    let store = holder(ANN).store;
    let own = Own {
        epoch: 1,
        rank: rank(id, store),
        store,
    };
    let mut section = Section::new(id.origin, own, holders(&[ANN, ME]));
    section.items.push(Item {
        sequence: id.sequence,
        stamp: Stamp(1),
        attempts: 1,
        lease: 1,
        body: Some("x".into()),
        headers: None,
        terms: None,
    });
    let deliver = Deliver {
        number: demand.expect("Ann is asked for more"),
        has_more: false,
        lease_ms,
        sections: [section].into(),
        sources: [].into(),
    };
    room.hear(ANN, Message::Deliver(deliver));
}

/// A subscription with room for two, and the message that it was given.
fn subscribed(room: &mut Room, lease: Millis) -> Leased {
    let (now, queue) = (room.now(), room.queue);
    let flow = Flow {
        credit: 2,
        lease: Some(lease),
        ..Flow::default()
    };
    room.queues.subscribe(now, Ticket(1_000), queue, &flow);
    room.enqueue();
    room.pushed.remove(0)
}

fn taken(room: &mut Room) -> alloc::vec::Vec<MessageId> {
    let pushed = core::mem::take(&mut room.pushed).into_iter();
    pushed.map(|leased| leased.handle.id).collect()
}

#[test]
fn a_lease_that_is_over_here_frees_no_credit_while_another_owners_of_the_same_message_lasts() {
    let mut room = Room::new();
    let twice = subscribed(&mut room, 5_000);
    room.now += 3_000;
    given_by_ann(&mut room, &twice, 5_000);
    let (second, third) = (room.enqueue(), room.enqueue());
    assert_eq!(taken(&mut room), [twice.id, second]);
    // The lease of this member ends now, and Ann's three seconds later. A holder has to hear of it
    // before it is given again: until then its credit is another's, if it is free.
    room.pass(room.now + 2_050);
    assert_eq!(taken(&mut room), []);
    let now = room.now();
    room.queues.ack(now, Ticket(1_001), &twice.handle);
    room.look();
    assert_eq!(taken(&mut room), [third]);
}

#[test]
fn who_gives_the_lease_of_one_owner_back_still_has_the_others() {
    let mut room = Room::new();
    let twice = subscribed(&mut room, 5_000);
    given_by_ann(&mut room, &twice, 5_000);
    let second = room.enqueue();
    assert_eq!(taken(&mut room), [twice.id, second]);
    let now = room.now();
    room.queues
        .nack(now, Ticket(1_001), &twice.handle, Some(60_000));
    room.enqueue();
    assert_eq!(taken(&mut room), []);
}

#[test]
fn what_is_given_back_is_given_again_before_what_is_younger() {
    let mut room = Room::new();
    let first = subscribed(&mut room, 5_000);
    let (second, _third) = (room.enqueue(), room.enqueue());
    assert_eq!(taken(&mut room), [second]);
    let now = room.now();
    room.queues.release(now, Ticket(1_001), &first.handle);
    room.look();
    assert_eq!(taken(&mut room), [first.id]);
}
