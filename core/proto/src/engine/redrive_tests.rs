//! Dead letters that go back, at one member and between several, linked by hand.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use super::test_ring::Ring;
use super::*;
use crate::base::limits;
use crate::copies::{Asked, redriven_of};
use crate::queue::{Message as Queue, Redrive};

impl Ring {
    /// Whatever of that queue is ready or comes, by whom it is asked for.
    fn take(&mut self, seat: usize, queue: &str, group: Option<&str>) -> Option<Leased> {
        let queue = self.engines[seat].queue(queue).unwrap();
        let group = group.map(|name| InGroup {
            name: name.into(),
            takes_backlog: false,
        });
        let command = Command::Receive {
            queue,
            max: 1,
            wait: 0,
            lease: Some(5_000),
            group,
        };
        match self.ask(seat, command) {
            Ok(Reply::Deliveries(mut leased)) => leased.pop(),
            other => panic!("{other:?}"),
        }
    }

    /// Puts one in and makes it a dead letter; answers that one's id.
    fn letter(&mut self, seat: usize, body: &str) -> MessageId {
        self.enqueue(seat, body);
        self.kill(seat, None)
    }

    fn kill(&mut self, seat: usize, group: Option<&str>) -> MessageId {
        let leased = self.take(seat, "jobs", group).expect("a message");
        let id = leased.handle.id;
        let reject = Command::Reject(leased.handle, "as told".into());
        assert!(self.ask(seat, reject).is_ok());
        crate::copies::dead_letter_of(id)
    }

    fn redrive_of(&mut self, seat: usize) -> NewRedrive {
        NewRedrive {
            queue: self.engines[seat].queue("jobs.dead").unwrap(),
            to: None,
            max: limits::REDRIVE_DEFAULT,
            headers: Vec::new(),
            ids: Vec::new(),
            is_dry_run: false,
            timeout: limits::REDRIVE_TIMEOUT_MS,
        }
    }

    /// Matched, moved, refused, skipped, leased; everyone answered.
    fn redrive(&mut self, seat: usize, alter: impl FnOnce(&mut NewRedrive)) -> [u64; 5] {
        let mut redrive = self.redrive_of(seat);
        alter(&mut redrive);
        let (told, missing) = told(self.ask(seat, Command::Redrive(redrive)));
        assert_eq!(missing, []);
        told
    }

    fn count(&self, name: &str) -> u64 {
        let engines = self.engines.iter();
        engines.map(|engine| engine.stats()[name]).sum()
    }

    fn configure(&mut self, seat: usize, queue: &str, key: &str, value: &str) {
        let queue = self.engines[seat].queue(queue).unwrap();
        let settings = vec![(key.to_string(), value.to_string())];
        let what = command::Configure::Queue(queue, settings);
        assert!(self.ask(seat, Command::Configure(what)).is_ok());
        self.pass(100);
    }

    fn create_group(&mut self, name: &str) {
        let queue = self.engines[0].queue("jobs").unwrap();
        let group = InGroup {
            name: name.into(),
            takes_backlog: false,
        };
        assert!(self.ask(0, Command::CreateGroup(queue, group)).is_ok());
        self.pass(1_000);
    }
}

fn told(answer: Answer) -> ([u64; 5], Vec<MemberId>) {
    match answer {
        Ok(Reply::Redriven(told, missing)) => (
            [
                told.matched,
                told.moved,
                told.refused,
                told.skipped,
                told.leased,
            ],
            missing,
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_letter_goes_round_as_often_as_it_fails_and_each_time_begins_anew() {
    let mut ring = Ring::new(2);
    let headers = [("k", "v"), ("primer-reply-to", "x")];
    ring.enqueue_with(0, b"one".to_vec(), &headers, Asked::default());
    let mut seen = BTreeSet::new();
    for round in 1..=3 {
        let leased = ring.take(round % 2, "jobs", None).expect("it is back");
        assert_eq!((leased.attempts, &leased.body[..]), (1, &b"one"[..]));
        let own: Vec<&str> = leased
            .headers
            .iter()
            .flat_map(|all| all.iter())
            .map(|(key, _)| key.as_str())
            .collect();
        assert_eq!(own, ["k", "primer-reply-to"], "round {round}");
        assert!(seen.insert(leased.id));
        let reject = Command::Reject(leased.handle, "again".into());
        assert!(ring.ask(round % 2, reject).is_ok());
        assert!(ring.take(0, "jobs", None).is_none());
        assert_eq!(ring.redrive(round % 2, |_| {}), [1, 1, 0, 0, 0]);
        assert_eq!(ring.redrive(round % 2, |_| {}), [0; 5]);
    }
    assert_eq!((ring.count("redriven"), ring.count("dead_letters")), (3, 3));
    let last = ring.take(1, "jobs", None).unwrap();
    assert!(ring.ask(1, Command::Ack(last.handle)).is_ok());
    ring.pass(1_000);
    assert_eq!((ring.count("messages"), ring.count("memory_bytes")), (0, 0));
}

#[test]
fn where_nothing_is_held_there_is_nothing_to_move() {
    let mut ring = Ring::new(2);
    assert_eq!(ring.redrive(0, |_| {}), [0; 5]);
    assert_eq!(ring.redrive(1, |some| some.is_dry_run = true), [0; 5]);
}

#[test]
fn a_dry_run_counts_the_same_and_changes_nothing() {
    let mut ring = Ring::new(3);
    for n in 0..9 {
        ring.letter(n % 3, "body");
    }
    let before: Vec<_> = ring.engines.iter().map(|engine| engine.stats()).collect();
    assert_eq!(
        ring.redrive(1, |all| all.is_dry_run = true),
        [9, 0, 0, 0, 0]
    );
    for (before, engine) in before.iter().zip(&ring.engines) {
        for name in ["messages", "messages_ready", "memory_bytes", "tombstones"] {
            assert_eq!(engine.stats()[name], before[name]);
        }
    }
    assert_eq!(ring.redrive(1, |_| {}), [9, 9, 0, 0, 0]);
    assert_eq!(ring.count("redriven"), 9);
}

#[test]
fn a_maximum_holds_for_all_members_together() {
    let mut ring = Ring::new(3);
    for n in 0..12 {
        ring.letter(n % 3, "body");
    }
    assert_eq!(ring.redrive(0, |few| few.max = 1), [12, 1, 0, 0, 0]);
    assert_eq!(ring.redrive(1, |few| few.max = 7), [11, 7, 0, 0, 0]);
    assert_eq!(ring.redrive(2, |_| {}), [4, 4, 0, 0, 0]);
}

#[test]
fn headers_and_ids_choose_and_what_is_leased_or_has_no_way_stays() {
    let mut ring = Ring::new(2);
    let first = ring.letter(0, "first");
    ring.letter(1, "second");
    let cause = |cause: &str| vec![("primer-cause".to_string(), cause.to_string())];
    let overflow = cause("overflow");
    assert_eq!(ring.redrive(0, |some| some.headers = overflow), [0; 5]);
    assert_eq!(
        ring.redrive(1, |some| some.ids = vec![first]),
        [1, 1, 0, 0, 0]
    );
    let leased = ring.take(0, "jobs.dead", None).expect("a letter");
    let rejected = cause("rejected");
    let told = ring.redrive(0, |some| some.headers = rejected);
    assert_eq!(told, [0, 0, 0, 0, 1]);
    assert!(ring.ask(0, Command::Ack(leased.handle)).is_ok());
    // What somebody put there by hand came from nowhere.
    let queue = ring.engines[0].queue("jobs.dead").unwrap();
    let command = Command::Enqueue {
        queue,
        message: NewMessage::default(),
        options: EnqueueOptions::default(),
    };
    assert!(ring.ask(0, command).is_ok());
    assert_eq!(ring.redrive(1, |_| {}), [1, 0, 0, 1, 0]);
    let elsewhere = |some: &mut NewRedrive| some.to = Some("other".into());
    assert_eq!(ring.redrive(1, elsewhere), [1, 1, 0, 0, 0]);
    assert!(ring.take(1, "other", None).is_some());
}

#[test]
fn what_is_refused_stays_where_it_is() {
    let mut ring = Ring::new(2);
    ring.letter(0, "one");
    ring.letter(1, "two");
    ring.configure(0, "jobs", "paused", "in");
    assert_eq!(ring.redrive(0, |_| {}), [2, 0, 2, 0, 0]);
    assert_eq!(ring.redrive(1, |_| {}), [2, 0, 2, 0, 0]);
    ring.configure(0, "jobs", "paused", "");
    ring.configure(0, "jobs", "messages_max", "1");
    let [matched, moved, refused, ..] = ring.redrive(0, |_| {});
    assert_eq!((matched, moved + refused), (2, 2));
    assert!(moved >= 1, "there is room for one");
    ring.configure(0, "jobs", "messages_max", "");
    let [matched, moved, ..] = ring.redrive(0, |_| {});
    assert_eq!((matched, moved), (refused, refused));
    // Nothing that a redrive wrote is in the way of a name that is none.
    let bad = |some: &mut NewRedrive| some.to = Some("a\u{1f}b".into());
    let mut redrive = ring.redrive_of(0);
    bad(&mut redrive);
    let answer = ring.ask(0, Command::Redrive(redrive));
    assert_eq!(answer.unwrap_err().number(), 101);
}

#[test]
fn a_letter_of_a_group_goes_back_to_that_group_alone() {
    let mut ring = Ring::new(2);
    ring.create_group("mailer");
    ring.create_group("audit");
    ring.enqueue(0, "one");
    for round in 0..3 {
        ring.kill(round % 2, Some("mailer"));
        assert_eq!(ring.redrive(round % 2, |_| {}), [1, 1, 0, 0, 0]);
    }
    let again = ring.take(1, "jobs", Some("mailer")).expect("it is back");
    assert_eq!((again.attempts, &again.body[..]), (1, &b"one"[..]));
    assert!(ring.ask(1, Command::Ack(again.handle)).is_ok());
    let other = ring.take(0, "jobs", Some("audit")).expect("it was there");
    assert!(ring.ask(0, Command::Ack(other.handle)).is_ok());
    for group in [None, Some("mailer"), Some("audit")] {
        assert!(ring.take(0, "jobs", group).is_none());
    }
    // One whose group is gone has nowhere to go, unless it is told where.
    ring.enqueue(0, "two");
    ring.kill(0, Some("mailer"));
    let queue = ring.engines[0].queue("jobs").unwrap();
    let remove = Command::RemoveGroup(queue, "mailer".into());
    assert!(ring.ask(0, remove).is_ok());
    ring.pass(1_000);
    assert_eq!(ring.redrive(1, |_| {}), [1, 0, 1, 0, 0]);
    let elsewhere = |some: &mut NewRedrive| some.to = Some("other".into());
    assert_eq!(ring.redrive(1, elsewhere), [1, 1, 0, 0, 0]);
    assert!(ring.take(0, "other", None).is_some());
}

#[test]
fn a_letter_from_before_all_groups_goes_to_each() {
    let mut ring = Ring::new(2);
    ring.letter(0, "one");
    ring.create_group("mailer");
    ring.create_group("audit");
    assert_eq!(ring.redrive(1, |_| {}), [1, 1, 0, 0, 0]);
    let ids: Vec<MessageId> = ["mailer", "audit"]
        .iter()
        .map(|group| ring.take(1, "jobs", Some(group)).expect("one").id)
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert!(ring.take(0, "jobs", None).is_none());
}

#[test]
fn a_group_that_is_created_later_gets_what_came_back_and_waits() {
    let mut ring = Ring::new(1);
    ring.letter(0, "one");
    assert_eq!(ring.redrive(0, |_| {}), [1, 1, 0, 0, 0]);
    let queue = ring.engines[0].queue("jobs").unwrap();
    let group = InGroup {
        name: "audit".into(),
        takes_backlog: true,
    };
    assert!(ring.ask(0, Command::CreateGroup(queue, group)).is_ok());
    ring.pass(1_000);
    assert!(ring.take(0, "jobs", Some("audit")).is_some());
    // A letter that waits in a queue of its own goes to no group of it.
    ring.letter(0, "two");
    let queue = ring.engines[0].queue("jobs.dead").unwrap();
    let group = InGroup {
        name: "audit".into(),
        takes_backlog: true,
    };
    assert!(ring.ask(0, Command::CreateGroup(queue, group)).is_ok());
    ring.pass(1_000);
    assert!(ring.take(0, "jobs.dead", Some("audit")).is_none());
}

#[test]
fn two_owners_of_one_letter_make_one_message() {
    let mut ring = Ring::new(2);
    let letter = ring.letter(0, "one");
    ring.pass(1_000);
    ring.cut(0, 1);
    ring.pass(20_000);
    ring.pass(20_000);
    for seat in 0..2 {
        let redrive = ring.redrive_of(seat);
        let (told, missing) = told(ring.ask(seat, Command::Redrive(redrive)));
        assert_eq!(told, [1, 1, 0, 0, 0], "seat {seat} owns it");
        assert_eq!(missing.len(), 1);
    }
    ring.link(0, 1);
    for _ in 0..10 {
        ring.pass(1_000);
    }
    let back = ring.take(0, "jobs", None).expect("it is back");
    assert_eq!(back.id, redriven_of(letter));
    assert!(ring.ask(0, Command::Ack(back.handle)).is_ok());
    for _ in 0..10 {
        ring.pass(1_000);
    }
    for (seat, queue) in [(0, "jobs"), (1, "jobs"), (0, "jobs.dead"), (1, "jobs.dead")] {
        assert!(ring.take(seat, queue, None).is_none(), "{seat} {queue}");
    }
    assert_eq!(ring.count("messages"), 0);
}

#[test]
fn a_letter_is_over_only_when_the_copies_of_what_it_became_are_there() {
    let mut ring = Ring::new(2);
    ring.letter(0, "one");
    ring.is_stuck = true;
    let redrive = ring.redrive_of(0);
    let ticket = ring.tell(0, Command::Redrive(redrive));
    ring.settle();
    let stats = ring.engines[0].stats();
    assert_eq!((stats["messages_dying"], stats["redriven"]), (1, 0));
    assert_eq!(stats["messages_replicating"], 1);
    assert!(!ring.answers.contains_key(&ticket));
    assert!(ring.take(0, "jobs.dead", None).is_none(), "nobody has it");
    // Nobody is asked twice for what is on its way.
    assert_eq!(ring.redrive(0, |_| {}), [0; 5]);
    ring.pass(limits::ENQUEUE_TIMEOUT_MS);
    let (moved, missing) = told(ring.answers.remove(&ticket).unwrap());
    assert_eq!((moved, missing), ([1, 1, 0, 0, 0], Vec::new()));
    let stats = ring.engines[0].stats();
    assert_eq!((stats["messages_dying"], stats["redriven"]), (0, 1));
    assert!(ring.take(0, "jobs", None).is_some());
}

#[test]
fn many_go_in_steps_and_what_is_put_in_meanwhile_is_another_redrives() {
    let mut ring = Ring::new(2);
    let many = 3 * limits::REDRIVE_STEP_MAX as usize + 5;
    for n in 0..many {
        ring.letter(n % 2, "body");
    }
    let redrive = ring.redrive_of(1);
    let ticket = ring.tell(1, Command::Redrive(redrive));
    ring.settle();
    let moved = ring.count("redriven");
    assert!(moved > 0 && moved < many as u64, "{moved} in one step");
    for _ in 0..20 {
        ring.pass(10);
    }
    let (told, missing) = told(ring.answers.remove(&ticket).expect("an answer"));
    assert_eq!(told, [many as u64, many as u64, 0, 0, 0]);
    assert_eq!((missing.len(), ring.count("browses_open")), (0, 0));
}

#[test]
fn who_only_counts_waits_for_its_turn_and_moves_nothing_for_another() {
    let mut ring = Ring::new(2);
    for _ in 0..3 * limits::REDRIVE_STEP_MAX {
        ring.letter(0, "body");
    }
    let redrive = ring.redrive_of(0);
    ring.tell(0, Command::Redrive(redrive.clone()));
    ring.settle();
    let moved = ring.count("redriven");
    assert!(moved > 0);
    let count = NewRedrive {
        is_dry_run: true,
        ..redrive
    };
    let ticket = ring.tell(1, Command::Redrive(count));
    ring.settle();
    assert_eq!(ring.count("redriven"), moved, "in the step of the count");
    for _ in 0..20 {
        ring.pass(10);
    }
    assert!(ring.count("redriven") > moved);
    assert!(ring.answers.remove(&ticket).is_some_and(|one| one.is_ok()));
}

#[test]
fn who_does_not_answer_is_missing_and_keeps_nobody_from_moving() {
    let mut ring = Ring::new(3);
    for seat in 0..3 {
        ring.letter(seat, "body");
    }
    ring.deaf.insert(2);
    let redrive = ring.redrive_of(0);
    let ticket = ring.tell(0, Command::Redrive(redrive));
    ring.settle();
    ring.pass(limits::REDRIVE_TIMEOUT_MS / 2 - 1);
    assert_eq!(ring.count("redriven"), 0);
    ring.pass(1);
    let (counts, missing) = told(ring.answers.remove(&ticket).unwrap());
    assert_eq!(counts, [2, 2, 0, 0, 0]);
    assert_eq!(missing, [MemberId(3)]);
    assert_eq!(ring.engines[0].stats()["redrive_timeouts"], 1);
    assert_eq!(ring.count("browses_open"), 0);
    // One whose link goes is not waited for, and one that gave up is not answered.
    let redrive = ring.redrive_of(0);
    let ticket = ring.tell(0, Command::Redrive(redrive));
    ring.cut(0, 2);
    let (_, missing) = told(ring.answers.remove(&ticket).unwrap());
    assert_eq!(missing, [MemberId(3)]);
    ring.deaf.insert(1);
    let redrive = ring.redrive_of(0);
    let ticket = ring.tell(0, Command::Redrive(redrive));
    ring.give(0, Input::Cancel(ticket));
    assert_eq!(ring.count("browses_open"), 0);
    ring.pass(limits::REDRIVE_TIMEOUT_MS);
    assert!(!ring.answers.contains_key(&ticket));
}

#[test]
fn calls_out_of_range_are_wrong_and_too_many_are_refused() {
    let mut ring = Ring::new(2);
    type Alter = fn(&mut NewRedrive);
    let wrong: [Alter; 8] = [
        |some| some.max = 0,
        |some| some.max = limits::REDRIVE_MAX + 1,
        |some| some.timeout = 0,
        |some| some.timeout = limits::REDRIVE_MS_MAX + 1,
        |some| some.to = Some("jobs.dead".into()),
        |some| some.to = Some(String::new()),
        |some| some.ids = vec![MessageId::default(); limits::REDRIVE_IDS_MAX + 1],
        |some| some.headers = vec![("k".into(), "v".repeat(limits::HEADER_BYTES_MAX))],
    ];
    for (n, alter) in wrong.into_iter().enumerate() {
        let mut redrive = ring.redrive_of(0);
        alter(&mut redrive);
        let answer = ring.ask(0, Command::Redrive(redrive));
        assert_eq!(answer.unwrap_err().number(), 101, "case {n}");
    }
    ring.deaf.insert(1);
    for _ in 0..limits::BROWSES_MAX {
        let redrive = ring.redrive_of(0);
        ring.tell(0, Command::Redrive(redrive));
    }
    let redrive = ring.redrive_of(0);
    let answer = ring.ask(0, Command::Redrive(redrive));
    assert_eq!(answer.unwrap_err().number(), 203);
}

#[test]
fn one_that_works_for_too_many_is_busy_and_forgets_those_whose_link_goes() {
    let mut ring = Ring::new(2);
    ring.letter(1, "one");
    ring.is_stuck = true;
    let link = ring.links[&(0, 1)];
    for number in 0..=limits::BROWSES_MAX as u64 {
        if number > 0 {
            ring.enqueue_stuck(1, &format!("{number}"));
        }
        let redrive = Redrive {
            number,
            queue: "jobs.dead".into(),
            max: u64::MAX,
            wait_ms: u64::MAX,
            ..Redrive::default()
        };
        // As it comes off the wire.
        let message = Message::Queue(Queue::Redrive(redrive.checked().unwrap()).into());
        ring.give(1, Input::Message { link, message });
    }
    let stats = ring.engines[1].stats();
    assert_eq!(stats["browses_open"], limits::BROWSES_MAX as u64);
    assert_eq!(stats["browses_refused"], 1);
    ring.settle();
    ring.cut(0, 1);
    assert_eq!(ring.engines[1].stats()["browses_open"], 0);
    ring.pass(20_000);
    assert_eq!(ring.engines[1].stats()["messages_dying"], 0);
}

impl Ring {
    /// A letter of a message that has one copy, while none arrive elsewhere.
    fn enqueue_stuck(&mut self, seat: usize, body: &str) {
        let queue = self.engines[seat].queue("jobs.dead").unwrap();
        let story = [("primer-cause", "rejected"), ("primer-queue", "jobs")];
        let headers = story.map(|(key, value)| (key.to_string(), value.to_string()));
        let message = NewMessage {
            body: body.as_bytes().to_vec().into(),
            headers: Some(alloc::sync::Arc::new(headers.to_vec())),
        };
        let options = EnqueueOptions {
            copies: Some(1),
            ..EnqueueOptions::default()
        };
        let command = Command::Enqueue {
            queue,
            message,
            options,
        };
        assert!(self.ask(seat, command).is_ok());
    }
}
