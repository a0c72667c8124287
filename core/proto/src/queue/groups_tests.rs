//! What a peer says of groups, by hand.

use alloc::vec::Vec;
use bytes::Bytes;

use super::*;
use crate::base::{Chance, StoreId, Ticket};
use crate::copies::{Holder, Item, Own, Repl, Section};
use crate::queue::message::Message;
use crate::queue::{EnqueueOptions, NewMessage, OnShort, Settings};

const BIRTH: Birth = Birth { boot: 7, number: 1 };

fn holder(n: u64) -> Holder {
    Holder {
        member: crate::base::MemberId(n.into()),
        store: StoreId(n),
    }
}

fn room() -> Queues {
    let settings = Settings {
        me: holder(1),
        boot: BootId(1),
        copies: Some(1),
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
    let mut room = Queues::new(settings, Now::default(), Chance::new(1));
    let peer = holder(2);
    room.peer_linked(Now::default(), peer.member, BootId(2), peer.store, &[]);
    room
}

/// A copy of that message, for a group, from the other member.
fn copy(origin: BootId, sequence: u64) -> Message {
    let own = Own {
        epoch: 0,
        rank: 0,
        store: holder(2).store,
    };
    let mut section = Section::new(origin, own, [holder(2)].into());
    section.items.push(Item {
        sequence,
        stamp: Stamp(1),
        attempts: 0,
        lease: 0,
        body: Some(Bytes::from_static(b"forged")),
        headers: None,
        terms: None,
    });
    Message::Repl(Repl {
        queue: "jobs".into(),
        section,
        wanted: 2,
        owed: Vec::from([Owed::live("mailer", BIRTH)]),
    })
}

/// Found by the fuzzer of the engine: the forged copy stood where the message of that id was laid.
#[test]
fn a_copy_of_what_was_never_given_out_is_refused_also_in_a_group_that_is_not_known_yet() {
    let (mut room, now) = (room(), Now::default());
    room.hear(now, holder(2).member, copy(BootId(1), 1));
    room.hear(now, holder(2).member, copy(BootId(2), 1));
    assert_eq!(room.slab.len(), 1, "that of the peer's own message");
    let group = Group {
        name: "mailer".into(),
        births: Vec::from([BIRTH]),
        created: Stamp(1),
        takes_backlog: false,
    };
    room.set_groups(now, "jobs", &[group]);
    let queue = room.queue("jobs").unwrap();
    let message = NewMessage {
        body: Bytes::from_static(b"true"),
        headers: None,
    };
    room.enqueue(now, Ticket(1), queue, message, EnqueueOptions::default());
    room.audit().unwrap();
    assert_eq!(room.slab.len(), 2);
}

#[test]
fn what_is_held_for_a_group_that_turns_out_to_be_gone_is_dropped() {
    let (mut room, now) = (room(), Now::default());
    room.hear(now, holder(2).member, copy(BootId(2), 1));
    let mut out = Vec::new();
    room.swap_out(&mut out);
    let asks = out
        .iter()
        .any(|one| matches!(one, Out::Birth(birth) if *birth == BIRTH));
    assert!(asks, "nobody here knows that group");
    room.birth_is_over(now, BIRTH);
    room.wake(now);
    room.audit().unwrap();
    assert_eq!((room.slab.len(), room.counters.dropped_with_group), (0, 1));
}

/// What the other member hands back went to every group of its day when it was accepted here.
#[test]
fn what_was_accepted_before_this_member_left_goes_to_no_group_again_when_it_comes_back() {
    let (mut room, now) = (room(), Now::default());
    let queue = room.queue("jobs").unwrap();
    let group = |name: &str, number| Group {
        name: name.into(),
        births: Vec::from([Birth { boot: 7, number }]),
        created: Stamp(1),
        takes_backlog: true,
    };
    let groups = [group("mailer", 1), group("audit", 2)];
    room.set_groups(now, "jobs", &groups);
    let message = NewMessage {
        body: Bytes::from_static(b"x"),
        headers: None,
    };
    room.enqueue(now, Ticket(1), queue, message, EnqueueOptions::default());
    let copies = (0..room.slab.end()).filter_map(|index| room.slab.get(index));
    let (accepted, id) = copies.map(|slot| (slot.stamp, slot.id)).next().unwrap();
    room.reset(now, StoreId(9));
    room.peer_linked(now, holder(2).member, BootId(2), holder(2).store, &[]);
    // One of the two comes back to its new store, and then it hears of the groups.
    let own = Own {
        epoch: 2,
        rank: 0,
        store: StoreId(9),
    };
    let mut section = Section::new(BootId(1), own, [holder(2)].into());
    section.items.push(Item {
        sequence: id.sequence,
        stamp: accepted,
        attempts: 0,
        lease: 0,
        body: Some(Bytes::from_static(b"x")),
        headers: None,
        terms: None,
    });
    let handed_back = Repl {
        queue: "jobs".into(),
        section,
        wanted: 1,
        owed: Vec::from([Owed::live("mailer", BIRTH)]),
    };
    room.hear(now, holder(2).member, Message::Repl(handed_back));
    assert_eq!(room.slab.len(), 1);
    room.set_groups(now, "jobs", &groups);
    room.wake(now);
    room.audit().unwrap();
    assert_eq!((room.slab.len(), room.counters.joined_groups), (1, 0));
}
