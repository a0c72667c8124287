//! Messages with keys, at one member and between several, linked by hand.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use super::test_ring::Ring;
use super::*;
use crate::copies::{Asked, key_rank};

impl Ring {
    fn put_keyed(&mut self, seat: usize, key: &str, body: &str) -> MessageId {
        let terms = Asked {
            key: Some(key.into()),
            ..Asked::default()
        };
        self.enqueue_with(seat, body.as_bytes().to_vec(), &[], terms)
    }

    /// Whatever may be given now, up to that many.
    fn take_some(&mut self, seat: usize, max: u32, lease: u64) -> Vec<Leased> {
        let queue = self.engines[seat].queue("jobs").unwrap();
        let command = Command::Receive {
            queue,
            max,
            wait: 0,
            lease: Some(lease),
            group: None,
        };
        match self.ask(seat, command) {
            Ok(Reply::Deliveries(leased)) => leased,
            other => panic!("{other:?}"),
        }
    }

    fn bodies(&mut self, seat: usize, max: u32) -> Vec<String> {
        bodies_of(&self.take_some(seat, max, 60_000))
    }

    fn told(&mut self, seat: usize, command: Command) {
        let answer = self.ask(seat, command);
        assert!(answer.is_ok(), "{answer:?}");
    }
}

fn bodies_of(leased: &[Leased]) -> Vec<String> {
    let bodies = leased.iter().map(|one| &one.body[..]);
    bodies
        .map(|body| String::from_utf8_lossy(body).to_string())
        .collect()
}

fn key_at(member: u128, members: u128) -> String {
    let home = |key: &String| {
        let members = (1..=members).map(MemberId);
        members.max_by_key(|member| key_rank("jobs", key, *member))
    };
    let mut keys = (0..1_000).map(|n| format!("k{n}"));
    keys.find(|key| home(key) == Some(MemberId(member)))
        .unwrap()
}

#[test]
fn of_a_key_one_is_out_at_a_time_and_the_next_follows_its_end() {
    let mut ring = Ring::new(1);
    for body in ["1", "2", "3"] {
        ring.put_keyed(0, "k", body);
    }
    ring.enqueue(0, "plain");
    let first = ring.take_some(0, 9, 60_000);
    assert_eq!(bodies_of(&first), ["plain", "1"]);
    assert!(ring.bodies(0, 9).is_empty());
    ring.told(0, Command::Ack(first[1].handle.clone()));
    let second = ring.take_some(0, 9, 60_000);
    assert_eq!(bodies_of(&second), ["2"]);
    ring.told(0, Command::Reject(second[0].handle.clone(), String::new()));
    assert_eq!(ring.bodies(0, 9), ["3"]);
}

#[test]
fn who_waits_gets_the_next_as_soon_as_the_one_before_it_is_over() {
    let mut ring = Ring::new(1);
    ring.put_keyed(0, "k", "1");
    ring.put_keyed(0, "k", "2");
    let first = ring.lease(0, 60_000);
    let queue = ring.engines[0].queue("jobs").unwrap();
    let waiting = ring.tell(
        0,
        Command::Receive {
            queue,
            max: 1,
            wait: 60_000,
            lease: None,
            group: None,
        },
    );
    ring.settle();
    assert!(!ring.answers.contains_key(&waiting));
    ring.told(0, Command::Ack(first.handle));
    assert!(ring.answers.contains_key(&waiting));
}

#[test]
fn a_nack_a_release_and_a_lease_that_ran_out_let_nothing_overtake() {
    let mut ring = Ring::new(1);
    ring.put_keyed(0, "k", "1");
    ring.put_keyed(0, "k", "2");
    let first = ring.lease(0, 60_000);
    ring.told(0, Command::Nack(first.handle, Some(5_000)));
    assert!(
        ring.bodies(0, 9).is_empty(),
        "the first waits, and the second for it"
    );
    ring.pass(5_000);
    let first = ring.lease(0, 60_000);
    assert_eq!((first.attempts, &first.body[..]), (2, &b"1"[..]));
    ring.told(0, Command::Release(first.handle));
    assert_eq!(bodies_of(&ring.take_some(0, 9, 1_000)), ["1"]);
    ring.pass(1_000);
    assert_eq!(ring.bodies(0, 9), ["1"], "its lease ran out");
}

#[test]
fn one_that_its_producer_delayed_takes_its_place_when_its_time_comes() {
    let mut ring = Ring::new(1);
    let later = Asked {
        key: Some("k".into()),
        delay: Some(1_000),
        ..Asked::default()
    };
    ring.enqueue_with(0, b"later".to_vec(), &[], later);
    ring.put_keyed(0, "k", "1");
    ring.put_keyed(0, "k", "2");
    let first = ring.lease(0, 60_000);
    assert_eq!(&first.body[..], b"1");
    ring.pass(1_000);
    ring.told(0, Command::Ack(first.handle));
    assert_eq!(ring.bodies(0, 9), ["later"]);
}

#[test]
fn key_concurrency_lets_more_of_a_key_out_and_changes_at_run_time() {
    let mut ring = Ring::new(1);
    for n in 0..5 {
        ring.put_keyed(0, "k", &format!("{n}"));
    }
    assert_eq!(ring.bodies(0, 9), ["0"]);
    let queue = ring.engines[0].queue("jobs").unwrap();
    let settings = vec![("key_concurrency".into(), "3".into())];
    let what = command::Configure::Queue(queue, settings);
    ring.told(0, Command::Configure(what));
    ring.pass(0);
    assert_eq!(ring.bodies(0, 9), ["1", "2"]);
    assert!(ring.bodies(0, 9).is_empty());
}

#[test]
fn each_group_has_its_own_line() {
    let mut ring = Ring::new(1);
    let queue = ring.engines[0].queue("jobs").unwrap();
    for name in ["audit", "mail"] {
        let name = name.into();
        let takes_backlog = false;
        let group = InGroup {
            name,
            takes_backlog,
        };
        ring.told(0, Command::CreateGroup(queue, group));
    }
    ring.put_keyed(0, "k", "1");
    ring.put_keyed(0, "k", "2");
    for name in ["audit", "mail"] {
        let receive = |lease| Command::Receive {
            queue,
            max: 9,
            wait: 0,
            lease: Some(lease),
            group: Some(InGroup {
                name: name.into(),
                takes_backlog: false,
            }),
        };
        let Ok(Reply::Deliveries(leased)) = ring.ask(0, receive(60_000)) else {
            panic!("an answer");
        };
        assert_eq!(bodies_of(&leased), ["1"], "{name}");
    }
}

#[test]
fn a_keys_home_accepts_it_whoever_is_called() {
    let mut ring = Ring::new(3);
    for home in 1..=3 {
        let key = key_at(home, 3);
        for seat in 0..3 {
            let id = ring.put_keyed(seat, &key, "x");
            assert_eq!(u128::from(id.origin.0), home);
        }
    }
    // Not the home, and the home cannot be reached: the next one in the order takes it.
    let key = key_at(3, 3);
    ring.cut(0, 2);
    ring.cut(1, 2);
    ring.pass(10_000);
    let id = ring.put_keyed(0, &key, "x");
    let next = (1..=2).max_by_key(|n| key_rank("jobs", &key, MemberId((*n).into())));
    assert_eq!(Some(id.origin.0), next);
    assert_eq!(ring.put_keyed(2, &key, "x").origin.0, 3, "alone, too");
}

#[test]
fn a_consumer_elsewhere_gets_a_key_in_order() {
    let mut ring = Ring::new(2);
    let key = key_at(1, 2);
    for body in ["1", "2", "3"] {
        ring.put_keyed(1, &key, body);
    }
    ring.pass(1_000);
    for body in ["1", "2", "3"] {
        let leased = ring.take_some(1, 9, 60_000);
        assert_eq!(bodies_of(&leased), [body]);
        let terms = leased[0].terms.clone().unwrap();
        assert_eq!(terms.key, key);
        assert!(ring.bodies(0, 9).is_empty());
        ring.told(1, Command::Ack(leased[0].handle.clone()));
    }
}

#[test]
fn a_dead_letter_tells_its_key_stands_in_no_line_and_has_it_again_when_it_goes_back() {
    let mut ring = Ring::new(1);
    for body in ["1", "2"] {
        ring.put_keyed(0, "k", body);
    }
    for _ in 0..2 {
        let leased = ring.lease(0, 60_000);
        ring.told(0, Command::Reject(leased.handle, String::new()));
    }
    let dead = ring.engines[0].queue("jobs.dead").unwrap();
    let receive = Command::Receive {
        queue: dead,
        max: 9,
        wait: 0,
        lease: Some(1_000),
        group: None,
    };
    let Ok(Reply::Deliveries(letters)) = ring.ask(0, receive) else {
        panic!("an answer");
    };
    assert_eq!(bodies_of(&letters), ["1", "2"], "both at one time");
    assert_eq!(letters[0].terms.as_ref().unwrap().key, "k");
    ring.pass(1_000);
    let redrive = NewRedrive {
        queue: dead,
        to: None,
        max: 9,
        headers: Vec::new(),
        ids: Vec::new(),
        is_dry_run: false,
        timeout: 1_000,
    };
    ring.told(0, Command::Redrive(redrive));
    ring.pass(1_000);
    assert_eq!(ring.bodies(0, 9).len(), 1, "in line again");
}

#[test]
fn a_key_goes_on_where_its_owner_left_and_in_order() {
    let mut ring = Ring::new(3);
    let key = key_at(1, 3);
    for n in 0..6 {
        ring.put_keyed(1, &key, &format!("{n}"));
    }
    let leave = Command::Leave {
        drain: Some(60_000),
        force: false,
    };
    ring.tell(0, leave);
    ring.settle();
    ring.pass(1_000);
    for n in 0..6 {
        let leased = ring.lease(2, 60_000);
        assert_eq!(leased.body, format!("{n}"));
        assert!(ring.bodies(1, 9).is_empty());
        ring.told(2, Command::Ack(leased.handle));
    }
}
