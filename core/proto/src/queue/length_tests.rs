//! The maximum of a queue of which others have some.

use alloc::string::ToString;
use alloc::vec::Vec;
use bytes::Bytes;

use super::*;
use crate::base::{BootId, Chance, StoreId, Ticket};
use crate::copies::Holder;
use crate::queue::{EnqueueOptions, OnShort, Settings};

fn holder(n: u64) -> Holder {
    Holder {
        member: MemberId(n.into()),
        store: StoreId(n),
    }
}

/// Two members; the other one is told nothing that is sent.
fn room(settings: &[(&str, &str)]) -> Queues {
    let me = holder(1);
    let mut room = Queues::new(
        Settings {
            me,
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
        },
        Now::default(),
        Chance::new(1),
    );
    let peer = holder(2);
    room.peer_linked(Now::default(), peer.member, BootId(2), peer.store, &[]);
    let settings = settings.iter();
    let settings = settings.map(|(key, value)| (key.to_string(), value.to_string()));
    let settings = (settings.collect(), crate::base::Stamp(0));
    room.set_config(Now::default(), "jobs", settings);
    room
}

/// Puts so many in; answers how many were taken.
fn put(room: &mut Queues, count: u64) -> u64 {
    let queue = room.queue("jobs").unwrap();
    let before = room.counters.enqueued;
    for ticket in 0..count {
        let message = NewMessage {
            body: Bytes::from_static(b"x"),
            headers: None,
        };
        let (ticket, options) = (Ticket(ticket), EnqueueOptions::default());
        room.enqueue(Now::default(), ticket, queue, message, options);
        room.audit().unwrap();
    }
    room.counters.enqueued - before
}

fn told(room: &mut Queues) -> Vec<(u64, u64)> {
    let mut out = Vec::new();
    room.swap_out(&mut out);
    let told = out.iter().filter_map(|out| match out {
        Out::Length(name, messages, bytes) if &**name == "jobs" => Some((*messages, *bytes)),
        _ => None,
    });
    told.collect()
}

fn elsewhere(room: &mut Queues, messages: u64) {
    room.length_elsewhere(
        Now::default(),
        holder(2).member,
        "jobs",
        (messages, messages),
    );
    room.audit().unwrap();
}

#[test]
fn what_others_have_counts_where_what_comes_is_refused() {
    let mut room = room(&[("messages_max", "10")]);
    elsewhere(&mut room, 8);
    assert_eq!(put(&mut room, 5), 2);
    elsewhere(&mut room, 0);
    assert_eq!(put(&mut room, 20), 8);
    elsewhere(&mut room, 9);
    room.forget_lengths(holder(2).member);
    assert_eq!(put(&mut room, 1), 0, "its own ten are there still");
    assert!(room.lengths.elsewhere.is_empty());
}

#[test]
fn where_the_oldest_go_each_member_keeps_its_share_and_gives_way_beyond_it() {
    let mut room = room(&[("messages_max", "10"), ("overflow", "drop_oldest")]);
    elsewhere(&mut room, 10);
    put(&mut room, 8);
    let key = room.queue("jobs").unwrap();
    let has = |room: &Queues| room.shelves[key.0 as usize].load.messages;
    assert_eq!(has(&room), 5);
    elsewhere(&mut room, 3);
    put(&mut room, 8);
    assert_eq!(has(&room), 7);
    elsewhere(&mut room, 4);
    assert_eq!(has(&room), 6, "as soon as it hears of more");
}

#[test]
fn lengths_are_told_in_steps_and_that_there_is_none_at_last() {
    let mut room = room(&[("messages_max", "640")]);
    put(&mut room, 25);
    assert_eq!(told(&mut room), [(10, 10), (20, 20)]);
    room.set_config(Now::default(), "jobs", Default::default());
    assert_eq!(told(&mut room), [(0, 0)], "nobody asks without a maximum");
    put(&mut room, 1_000);
    assert_eq!(told(&mut room), []);
}

#[test]
fn names_that_a_peer_makes_up_are_bounded() {
    let mut room = room(&[]);
    for n in 0..limits::LENGTHS_MAX + 10 {
        let name = alloc::format!("{n}");
        room.length_elsewhere(Now::default(), holder(2).member, &name, (1, 1));
    }
    assert_eq!(room.lengths.elsewhere.len(), limits::LENGTHS_MAX);
}
