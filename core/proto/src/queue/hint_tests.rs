//! What holders hear of leases and what becomes of it at a takeover; the other members are played by hand.

use super::super::test_room::{ANN, BOB, ME, Room, holder};
use super::*;
use crate::base::Ticket;
use crate::queue::Reply;

#[test]
fn a_lease_that_lasts_is_told_to_every_holder_and_a_short_one_to_nobody() {
    let mut room = Room::new();
    let id = room.enqueue();
    let ticket = room.receive(5_000);
    let taken = match room.answers.remove(&ticket) {
        Some(Ok(Reply::Deliveries(mut taken))) => taken.remove(0),
        other => panic!("{other:?}"),
    };
    room.pass(room.now + limits::LEASE_HINT_MS);
    let hints = room.hints();
    let told: Vec<MemberId> = hints.iter().map(|(to, _)| *to).collect();
    assert_eq!(told, [holder(ANN).member, holder(BOB).member]);
    let hint = &hints[0].1;
    assert!(hint.ids.iter().eq([id]) && !hint.asks);
    assert_eq!((hint.attempts, hint.lessee), (1, holder(ME).member));
    assert!((4_980..=5_000).contains(&hint.remaining_ms), "{hint:?}");
    // The next one is settled before anybody has to know.
    let now = room.now();
    room.queues.ack(now, Ticket(90), &taken.handle);
    let second = room.enqueue();
    room.receive(5_000);
    let handle = crate::queue::Handle {
        id: second,
        ..taken.handle
    };
    room.queues.ack(now, Ticket(91), &handle);
    room.look();
    room.pass(room.now + 2 * limits::LEASE_HINT_MS);
    assert_eq!(room.hints(), []);
}

#[test]
fn what_was_out_when_its_owner_went_is_given_to_nobody_before_that_lease_is_over() {
    let mut room = Room::new();
    let id = room.copy();
    room.ann_gave(id, 1, (BOB, 25_000));
    let end = room.now + 25_000;
    room.lose(ANN);
    let ticket = room.receive(1_000);
    room.pass(end - 1);
    assert!(room.queues.glimpse(id).unwrap().is_owned);
    assert_eq!(room.attempts(ticket), None);
    assert_eq!(room.queues.counters.takeovers_leased, 1);
    room.pass(end + limits::ANNOUNCE_MS);
    assert_eq!(room.attempts(ticket), Some(2));
}

#[test]
fn whoever_waits_for_a_consumer_hears_that_its_process_ended() {
    for comes_back in [false, true] {
        let mut room = Room::new();
        let id = room.copy();
        room.ann_gave(id, 1, (BOB, 600_000));
        room.lose(ANN);
        let ticket = room.receive(1_000);
        room.pass(room.now + 2 * limits::TAKEOVER_AFTER_MS);
        assert_eq!(room.attempts(ticket), None);
        if comes_back {
            room.link(BOB, 77);
            room.pass(room.now + limits::ANNOUNCE_MS);
        } else {
            room.lose(BOB);
        }
        assert_eq!(room.attempts(ticket), Some(2), "{comes_back}");
    }
}

#[test]
fn a_consumer_that_went_with_its_owner_is_not_waited_for() {
    let mut room = Room::new();
    let id = room.copy();
    room.ann_gave(id, 1, (ANN, 600_000));
    room.lose(ANN);
    let ticket = room.receive(1_000);
    room.pass(room.now + 2 * limits::TAKEOVER_AFTER_MS);
    assert_eq!(room.attempts(ticket), Some(2));
}

#[test]
fn a_delivery_after_a_takeover_waits_until_a_holder_knows_of_it() {
    let mut room = Room::new();
    let id = room.copy();
    room.lose(ANN);
    room.pass(room.now + 2 * limits::TAKEOVER_AFTER_MS);
    room.sent.clear();
    let ticket = room.receive(30_000);
    let hints = room.hints();
    let asked: Vec<MemberId> = hints.iter().map(|(to, _)| *to).collect();
    assert_eq!(asked, [holder(BOB).member]);
    assert!(hints[0].1.asks && hints[0].1.attempts == 1);
    assert_eq!(room.attempts(ticket), None, "it waits");
    let ids = Ids::one(id);
    room.hear(BOB, Message::HintOk(HintOk { ids, attempts: 1 }));
    assert_eq!(room.attempts(ticket), Some(1));
    // It fails: the next time waits, too, but not for ever where nobody answers.
    let ticket = room.receive(1_000);
    room.pass(room.now + 30_000 - 1);
    room.sent.clear();
    room.pass(room.now + 1);
    assert!(room.hints().iter().all(|(_, hint)| hint.attempts == 2));
    assert_eq!(room.attempts(ticket), None);
    room.pass(room.now + limits::ANNOUNCE_MS);
    assert_eq!(room.attempts(ticket), Some(2));
}

#[test]
fn a_message_that_ended_each_of_its_owners_is_a_dead_letter_in_the_end() {
    let mut room = Room::new();
    let id = room.copy();
    let hint = LeaseHint {
        own: room.anns(id),
        ids: Ids::one(id),
        attempts: 3,
        remaining_ms: 0,
        lessee: MemberId(0),
        boot: BootId(0),
        asks: true,
    };
    room.hear(ANN, Message::LeaseHint(hint));
    let answer = room.sent.pop();
    assert!(matches!(answer, Some((_, Message::HintOk(ok))) if ok.attempts == 3));
    room.lose(ANN);
    let ticket = room.receive(1_000);
    room.pass(room.now + 3 * limits::TAKEOVER_AFTER_MS);
    assert_eq!(room.attempts(ticket), None, "nobody tries it again");
    assert_eq!(room.queues.counters.dead_letters, 1);
}

#[test]
fn a_hint_by_one_that_owns_it_no_more_says_nothing() {
    let mut room = Room::new();
    let id = room.copy();
    let hint = LeaseHint {
        own: Own {
            epoch: 4,
            ..room.anns(id)
        },
        ids: Ids::one(id),
        attempts: 9,
        remaining_ms: 600_000,
        lessee: holder(BOB).member,
        boot: BootId(BOB),
        asks: true,
    };
    room.hear(BOB, Message::LeaseHint(hint));
    assert_eq!(room.sent, [], "not even an answer");
    assert_eq!(room.queues.glimpse(id).unwrap().attempts, 0);
}
