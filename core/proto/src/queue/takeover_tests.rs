//! How long a holder waits for an owner that cannot be reached.

use alloc::collections::BTreeMap;

use super::super::test_room::{ANN, BOB, ME, Room, holder, holders};
use super::*;

impl Room {
    /// The queue is told so; by nobody in particular.
    fn tell(&mut self, takeover_after_ms: u64) {
        let settings = BTreeMap::from([(
            "takeover_after_ms".into(),
            alloc::format!("{takeover_after_ms}"),
        )]);
        let now = self.now();
        self.queues
            .set_config(now, "jobs", (settings, crate::base::Stamp(0)));
        self.look();
    }

    fn owns(&self, id: MessageId) -> bool {
        self.queues.glimpse(id).is_some_and(|seen| seen.is_owned)
    }
}

/// The last moment at which it is surely not taken over, and the first at which it surely is: who
/// ranks higher, and a little chance, come on top of a patience.
fn around(lost: u64, patience: u64) -> (u64, u64) {
    let first = lost + patience;
    (first - 1, first + 200 + limits::TAKEOVER_RANK_MS)
}

#[test]
fn a_queue_waits_for_its_owner_as_long_as_it_is_told() {
    for patience in [300, 60_000] {
        let mut room = Room::new();
        let id = room.copy();
        room.tell(patience);
        room.lose(ANN);
        let (early, late) = around(room.now, patience);
        room.pass(early);
        assert!(!room.owns(id), "{patience}");
        room.pass(late);
        assert!(room.owns(id), "{patience}");
    }
}

#[test]
fn a_queue_that_is_told_to_wait_less_waits_less_from_then_on() {
    let mut room = Room::new();
    let id = room.copy();
    room.tell(600_000);
    room.lose(ANN);
    room.pass(room.now + 100_000);
    assert!(!room.owns(id));
    room.tell(50_000);
    room.pass(room.now + limits::TAKEOVER_RANK_MS);
    assert!(room.owns(id), "it was due already");
}

#[test]
fn nobody_waits_for_an_owner_that_is_lost_for_good() {
    let mut room = Room::new();
    let id = room.copy();
    room.tell(600_000);
    let now = room.now();
    room.queues.peer_gone(now, holder(ANN).member);
    room.look();
    room.pass(room.now + 200 + limits::TAKEOVER_RANK_MS);
    assert!(room.owns(id));
}

/// Ann gave it this member, told Bob so, and went before it came.
#[test]
fn who_is_taken_for_the_owner_and_knows_nothing_of_it_learns_it_from_another_holder() {
    let mut room = Room::new();
    let id = room.copy();
    let given = Own {
        epoch: 1,
        rank: rank(id, room.queues.me.store),
        store: room.queues.me.store,
    };
    let kept = ReplOk {
        ids: Ids::one(id),
        store: holder(BOB).store,
        epoch: given.epoch,
    };
    room.hear(BOB, Message::ReplOk(kept));
    let said = Message::Claim(Claim {
        ids: Ids::one(id),
        own: room.anns(id),
        holders: holders(&[ANN, ME, BOB]),
    });
    assert!(room.sent.contains(&(holder(BOB).member, said)));
    assert!(!room.owns(id), "an answer may be an old one's");
    let better = Claim {
        ids: Ids::one(id),
        own: given,
        holders: holders(&[ANN, ME, BOB]),
    };
    room.hear(BOB, Message::Claim(better));
    assert!(room.owns(id));
}

#[test]
fn what_no_queue_can_be_made_for_stays_set_aside() {
    let mut room = Room::new();
    room.enqueue();
    let now = room.now();
    assert_eq!(room.queues.set_aside(), 1);
    room.queues.reset(now, StoreId(9));
    let used = room.queues.memory.used();
    let queue = room.queues.aside[0].queue.clone();
    room.queues.aside[0].queue = "n".repeat(10_000).into();
    assert_eq!(room.queues.reclaim(now, true), 0);
    assert_eq!((room.queues.aside(), room.queues.memory.used()), (1, used));
    room.queues.aside[0].queue = queue;
    assert_eq!(room.queues.reclaim(now, true), 1);
    assert_eq!((room.queues.aside(), room.queues.memory.used()), (0, used));
}

/// It was evicted; who had a copy owns what it has set aside.
#[test]
fn what_is_reclaimed_with_a_dedup_key_is_told_to_its_home() {
    let mut room = Room::new();
    [ANN, BOB].into_iter().for_each(|other| room.lose(other));
    let mut options = crate::queue::EnqueueOptions::default();
    options.terms.dedup = Some("k".into());
    let message = crate::queue::NewMessage {
        body: "x".into(),
        headers: None,
    };
    let (now, queue) = (room.now(), room.queue);
    room.queues
        .enqueue(now, crate::base::Ticket(1), queue, message, options);
    room.look();
    assert_eq!(room.queues.set_aside(), 1);
    room.queues.reset(now, StoreId(9));
    [ANN, BOB]
        .into_iter()
        .for_each(|other| room.link(other, other));
    room.pass(room.now + 10_000);
    room.sent.clear();
    let now = room.now();
    assert_eq!(room.queues.reclaim(now, true), 1);
    room.pass(room.now + 1);
    let told = room.sent.iter().filter_map(|(to, message)| match message {
        Message::Claim(claim) => Some((*to, claim.own.store)),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    let homes = [ANN, BOB].map(|other| (holder(other).member, StoreId(9)));
    assert!(homes.iter().all(|home| told.contains(home)), "{told:?}");
}
