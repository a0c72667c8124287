//! What two members count of each other's copies, compared.

use super::super::test_room::{ANN, BOB, ME, Room, holder, holders};
use super::*;
use crate::copies::{Own, Refused, ReplNo};
use crate::wire::Ids;

impl Room {
    /// Until it has looked once; what went to others meanwhile, the newest last.
    fn look_round(&mut self) -> Vec<(MemberId, Message)> {
        self.sent.clear();
        self.pass(self.now + limits::INVENTORY_MS);
        core::mem::take(&mut self.sent)
    }

    fn hear_inventory(&mut self, from: u64, inventory: Inventory) -> Vec<(MemberId, Message)> {
        self.sent.clear();
        self.hear(from, Message::Inventory(inventory));
        self.pass(self.now + 1);
        core::mem::take(&mut self.sent)
    }
}

fn inventories(sent: &[(MemberId, Message)]) -> Vec<(MemberId, Inventory)> {
    let inventories = sent.iter().filter_map(|(to, message)| match message {
        Message::Inventory(inventory) => Some((*to, inventory.clone())),
        _ => None,
    });
    inventories.collect()
}

fn inventory_of(is_owners: bool, id: MessageId, own: Own) -> Inventory {
    Inventory {
        is_owners,
        buckets: [bucket(id)].into(),
        sums: [signature(id, own)].into(),
    }
}

fn nothing(is_owners: bool) -> Inventory {
    Inventory {
        is_owners,
        ..Inventory::default()
    }
}

fn claim(id: MessageId, own: Own) -> Message {
    Message::Claim(Claim {
        ids: Ids::one(id),
        own,
        holders: holders(&[ANN, ME, BOB]),
    })
}

fn own_of(room: &Room, id: MessageId) -> Own {
    room.queues.glimpse(id).unwrap().own
}

#[test]
fn a_holder_says_what_it_keeps_of_an_owner_and_an_owner_what_it_counts_at_holders() {
    let mut room = Room::new();
    let anns = room.copy();
    let mine = room.enqueue();
    let (anns_own, my_own) = (room.anns(anns), own_of(&room, mine));
    let told = inventories(&room.look_round());
    let (ann, bob) = (holder(ANN).member, holder(BOB).member);
    assert_eq!(told.len(), 3, "{told:?}");
    for one in [
        (ann, inventory_of(false, anns, anns_own)),
        (ann, inventory_of(true, mine, my_own)),
        (bob, inventory_of(true, mine, my_own)),
    ] {
        assert!(told.contains(&one), "{one:?} in {told:?}");
    }
}

#[test]
fn who_holds_nothing_with_anybody_says_nothing() {
    let mut room = Room::new();
    assert_eq!(inventories(&room.look_round()), []);
}

#[test]
fn who_counts_the_same_says_nothing() {
    let mut room = Room::new();
    let anns = room.copy();
    let mine = room.enqueue();
    let (anns_own, my_own) = (room.anns(anns), own_of(&room, mine));
    let sent = room.hear_inventory(ANN, inventory_of(true, anns, anns_own));
    assert_eq!(sent, []);
    let sent = room.hear_inventory(ANN, inventory_of(false, mine, my_own));
    assert_eq!(sent, []);
}

#[test]
fn a_copy_that_its_owner_counts_on_and_the_holder_lost_is_made_again() {
    let mut room = Room::new();
    let mine = room.enqueue();
    let sent = room.hear_inventory(ANN, nothing(false));
    let buckets = [bucket(mine)].into();
    let ann = holder(ANN).member;
    assert!(sent.contains(&(ann, Message::Differ(Differ { buckets }))));
    let asked = sent.iter().find_map(|(to, message)| match message {
        Message::Claim(claim) if *to == ann => Some(claim),
        _ => None,
    });
    assert_eq!(asked.unwrap().ids, Ids::one(mine));
    let lacks = ReplNo {
        ids: Ids::one(mine),
        reason: Refused::Lacks,
    };
    room.hear(ANN, Message::ReplNo(lacks));
    room.pass(room.now + 10_000);
    let is_repl =
        |(to, message): &(MemberId, Message)| *to == ann && matches!(message, Message::Repl(_));
    assert!(room.sent.iter().any(is_repl));
}

#[test]
fn a_copy_whose_owner_does_not_count_it_is_shown_to_it() {
    let mut room = Room::new();
    let anns = room.copy();
    let own = room.anns(anns);
    let sent = room.hear_inventory(ANN, nothing(true));
    assert!(sent.contains(&(holder(ANN).member, claim(anns, own))));
    // Told by the other side, the same.
    let mut room = Room::new();
    let anns = room.copy();
    let differ = Differ {
        buckets: [bucket(anns)].into(),
    };
    room.hear(ANN, Message::Differ(differ));
    room.pass(room.now + 1);
    assert!(room.sent.contains(&(holder(ANN).member, claim(anns, own))));
}

#[test]
fn an_older_ownership_differs() {
    let mut room = Room::new();
    let anns = room.copy();
    let newer = Own {
        epoch: 2,
        ..room.anns(anns)
    };
    let sent = room.hear_inventory(ANN, inventory_of(true, anns, newer));
    assert!(sent.contains(&(holder(ANN).member, claim(anns, room.anns(anns)))));
}

#[test]
fn what_others_say_of_unknown_buckets_is_refused() {
    for buckets in [[BUCKETS, 0], [0, BUCKETS], [3, 3], [4, 3]] {
        let buckets: Vec<u32> = buckets.into();
        let sums = [1, 2].into();
        let inventory = Inventory {
            is_owners: true,
            buckets: buckets.clone(),
            sums,
        };
        assert!(inventory.checked().is_err());
        assert!(Differ { buckets }.checked().is_err());
    }
    let short = Inventory {
        is_owners: true,
        buckets: [1, 2].into(),
        sums: [1].into(),
    };
    assert!(short.checked().is_err());
    let many = Differ {
        buckets: (0..=DIFFERENCES_MAX as u32).collect(),
    };
    assert!(many.checked().is_err());
}
