//! Dedup keys, between several members linked by hand.

use alloc::vec::Vec;
use alloc::{format, vec};

use super::test_ring::Ring;
use super::*;
use crate::base::limits;
use crate::copies::{Asked, Dedup, home_rank};

const WINDOW: Millis = 60_000;

fn once(dedup: &str) -> EnqueueOptions {
    EnqueueOptions {
        terms: Asked {
            dedup: Some(dedup.into()),
            dedup_window: Some(WINDOW),
            ..Asked::default()
        },
        ..EnqueueOptions::default()
    }
}

impl Ring {
    fn put_once(&mut self, seat: usize, body: &str, options: EnqueueOptions) -> Answer {
        let ticket = self.put(seat, body, options);
        self.answers.remove(&ticket).expect("an answer")
    }

    fn accept_once(&mut self, seat: usize, body: &str, options: EnqueueOptions) -> Receipt {
        match self.put_once(seat, body, options) {
            Ok(Reply::Receipt(receipt)) => receipt,
            other => panic!("{other:?}"),
        }
    }

    /// Eight keys, each at the first of its home that is reached; one of those that a member owns.
    fn accept_some(&mut self, seat: usize) -> MessageId {
        let all = (0..8).map(|n| self.accept_once(seat, "x", once(&format!("k{n}"))).id);
        let all: Vec<MessageId> = all.collect();
        let is_its = |id: &MessageId| self.engines[seat].glimpse(*id).unwrap().is_owned;
        all.into_iter().find(is_its).unwrap()
    }

    fn total(&self, name: &str) -> u64 {
        self.engines.iter().map(|one| one.stats()[name]).sum()
    }

    fn ack_one(&mut self, seat: usize) {
        let leased = self.lease(seat, 60_000);
        let answer = self.ask(seat, Command::Ack(leased.handle));
        assert!(matches!(answer, Ok(Reply::Done)), "{answer:?}");
    }
}

#[test]
fn equal_keys_are_one_message_wherever_they_are_put_in() {
    let mut ring = Ring::new(5);
    for key in 0..8 {
        let key = format!("k{key}");
        let first = ring.accept_once(0, "first", once(&key));
        assert!(!first.is_duplicate);
        assert_eq!((first.copies, first.wanted), (3, 2));
        for seat in 0..5 {
            let again = ring.accept_once(seat, "again", once(&key));
            assert!(again.is_duplicate);
            assert_eq!(again.id, first.id);
            assert!(again.copies >= 2, "{again:?}");
        }
    }
    assert_eq!(ring.total("enqueued"), 8);
    assert_eq!(ring.total("dedup_duplicates"), 40);
    for _ in 0..8 {
        let leased = ring.lease(1, 60_000);
        assert_eq!(&leased.body[..], b"first");
    }
}

#[test]
fn what_is_finished_is_known_for_its_window_and_then_there_is_a_new_one() {
    let mut ring = Ring::new(4);
    let first = ring.accept_once(2, "one", once("k"));
    ring.ack_one(1);
    ring.pass(WINDOW - 1_000);
    for seat in 0..4 {
        let again = ring.accept_once(seat, "two", once("k"));
        assert_eq!((again.id, again.is_duplicate), (first.id, true));
        assert_eq!(again.copies, again.wanted);
    }
    ring.pass(1_000);
    let next = ring.accept_once(3, "three", once("k"));
    assert!(!next.is_duplicate);
    assert_ne!(next.id, first.id);
    assert_eq!(&ring.lease(0, 60_000).body[..], b"three");
}

#[test]
fn a_window_that_ends_while_the_home_is_asked_is_that_of_a_duplicate() {
    for is_over in [false, true] {
        let is_taken_by_1 = |key: &String| {
            let home = Dedup::new("jobs", key, WINDOW).home();
            home_rank(home, MemberId(2)) > home_rank(home, MemberId(1))
        };
        let key = (0..).map(|n| format!("k{n}")).find(is_taken_by_1).unwrap();
        let mut ring = Ring::new(2);
        ring.cut(0, 1);
        let first = ring.accept_once(0, "one", once(&key));
        if is_over {
            ring.ack_one(0);
        }
        ring.pass(WINDOW - 500);
        ring.link(0, 1);
        // Taken within the first one's window, and answered behind it.
        let second = ring.begin(1, "two", once(&key));
        ring.pass(1_000);
        match ring.answers.remove(&second) {
            Some(Ok(Reply::Receipt(receipt))) => {
                assert_eq!((receipt.id, receipt.is_duplicate), (first.id, true));
            }
            other => panic!("{other:?}"),
        }
        let third = ring.accept_once(1, "three", once(&key));
        assert!(!third.is_duplicate);
        assert_ne!(third.id, first.id);
    }
}

#[test]
fn who_comes_back_hears_what_was_finished_without_it() {
    let mut ring = Ring::new(3);
    // One after the other is cut off while a key is used up by the other two.
    for alone in 0..3 {
        let others: Vec<usize> = (0..3).filter(|seat| *seat != alone).collect();
        let pairs = others
            .iter()
            .map(|other| (alone.min(*other), alone.max(*other)));
        let pairs: Vec<(usize, usize)> = pairs.collect();
        pairs.iter().for_each(|(a, b)| ring.cut(*a, *b));
        let key = format!("k{alone}");
        let first = ring.accept_once(others[0], "x", once(&key));
        ring.ack_one(others[1]);
        pairs.iter().for_each(|(a, b)| ring.link(*a, *b));
        ring.pass(100);
        pairs.iter().for_each(|(a, b)| ring.cut(*a, *b));
        let again = ring.accept_once(alone, "y", once(&key));
        assert_eq!((again.id, again.is_duplicate), (first.id, true));
        pairs.iter().for_each(|(a, b)| ring.link(*a, *b));
    }
}

#[test]
fn two_sides_of_a_split_make_one_message() {
    let mut ring = Ring::new(2);
    ring.cut(0, 1);
    let sides = [0, 1].map(|seat| ring.accept_once(seat, &format!("{seat}"), once("k")));
    assert_eq!(sides[0].id, sides[1].id);
    assert!(sides.iter().all(|side| !side.is_duplicate));
    ring.link(0, 1);
    ring.pass(2_000);
    let owned = |ring: &Ring, seat: usize| {
        let seen = ring.engines[seat].glimpse(sides[0].id);
        usize::from(seen.unwrap().is_owned)
    };
    assert_eq!(owned(&ring, 0) + owned(&ring, 1), 1, "one owner is left");
    ring.ack_one(0);
    ring.pass(100);
    assert_eq!(ring.total("messages"), 0);
}

#[test]
fn two_that_do_not_reach_each_other_make_one_message_where_a_third_reaches_both() {
    let mut ring = Ring::new(3);
    ring.cut(0, 1);
    let mut made_twice = 0;
    for key in 0..8 {
        let key = format!("k{key}");
        let tickets = [0, 1].map(|seat| ring.begin(seat, &format!("by {seat}"), once(&key)));
        ring.settle();
        // Where both came to one member the later one waited for the other.
        ring.pass(1);
        let receipts = tickets.map(|ticket| match ring.answers.remove(&ticket) {
            Some(Ok(Reply::Receipt(receipt))) => receipt,
            other => panic!("{other:?}"),
        });
        assert_eq!(receipts[0].id, receipts[1].id);
        made_twice += usize::from(receipts.iter().all(|receipt| !receipt.is_duplicate));
        let seen = ring.engines.iter().map(|one| one.glimpse(receipts[0].id));
        let owners = seen.flatten().filter(|seen| seen.is_owned).count();
        assert_eq!(owners, 1, "{key}");
    }
    assert!(made_twice > 0, "some key had two owners for a while");
}

#[test]
fn two_that_wait_for_copies_when_they_meet_find_each_other_afterwards() {
    // Each of the two is a taker of its own: the third is the last of the home.
    let is_last = |key: &String| {
        let home = Dedup::new("jobs", key, WINDOW).home();
        let ranks = [1, 2, 3].map(|member| home_rank(home, MemberId(member)));
        ranks[2] < ranks[0].min(ranks[1])
    };
    let mut keys = (0..64).map(|n| format!("k{n}"));
    let options = EnqueueOptions {
        copies: Some(1),
        on_short: Some(OnShort::Degrade),
        timeout: Some(3_000),
        ..once(&keys.find(is_last).unwrap())
    };
    let mut ring = Ring::new(3);
    ring.is_stuck = true;
    ring.cut(0, 1);
    let tickets = [0, 1].map(|seat| ring.put(seat, "x", options.clone()));
    // What lives is told on the new link: these are not given out yet.
    ring.link(0, 1);
    ring.pass(500);
    let mut waiting = tickets.iter();
    assert!(waiting.all(|ticket| !ring.answers.contains_key(ticket)));
    (0..6).for_each(|_| ring.pass(500));
    let receipts = tickets.map(|ticket| match ring.answers.remove(&ticket) {
        Some(Ok(Reply::Receipt(receipt))) => receipt,
        other => panic!("{other:?}"),
    });
    assert_eq!(receipts[0].id, receipts[1].id);
    assert!(receipts.iter().all(|receipt| !receipt.is_duplicate));
    ring.is_stuck = false;
    (0..8).for_each(|_| ring.pass(500));
    let seen = ring.engines.iter().map(|one| one.glimpse(receipts[0].id));
    let owners = seen.flatten().filter(|seen| seen.is_owned).count();
    assert_eq!(owners, 1, "one owner is left");
}

#[test]
fn what_is_accepted_after_a_home_is_back_is_no_reason_to_tell_it_all_again() {
    let is_taken_by_1 = |key: &String| {
        let home = Dedup::new("jobs", key, WINDOW).home();
        let ranks = [1, 2, 3].map(|member| home_rank(home, MemberId(member)));
        ranks[0] > ranks[1].max(ranks[2])
    };
    let mut keys = (0..64).map(|n| format!("k{n}")).filter(is_taken_by_1);
    let mut ring = Ring::new(3);
    ring.cut(0, 1);
    ring.accept_once(0, "one", once(&keys.next().unwrap()));
    ring.is_stuck = true;
    ring.link(0, 1);
    let options = EnqueueOptions {
        copies: Some(3),
        on_short: Some(OnShort::Wait),
        timeout: Some(60_000),
        ..once(&keys.next().unwrap())
    };
    let waiting = ring.put(0, "two", options);
    (0..4).for_each(|_| ring.pass(500));
    let told = ring.claims;
    assert!(told > 0, "what lives is told on the new link");
    (0..20).for_each(|_| ring.pass(500));
    assert!(!ring.answers.contains_key(&waiting));
    assert_eq!(ring.claims, told);
}

#[test]
fn what_one_side_of_a_split_has_finished_is_not_given_out_by_the_other() {
    let mut ring = Ring::new(2);
    ring.cut(0, 1);
    ring.accept_once(0, "a", once("k"));
    ring.accept_once(1, "b", once("k"));
    ring.ack_one(0);
    ring.link(0, 1);
    ring.pass(2_000);
    assert_eq!(ring.total("messages"), 0);
}

#[test]
fn too_few_copies_are_an_error_and_the_next_try_finds_the_message() {
    let mut ring = Ring::new(2);
    let strict = EnqueueOptions {
        copies: Some(3),
        on_short: Some(OnShort::Wait),
        timeout: Some(100),
        ..once("k")
    };
    let ticket = ring.put(0, "x", strict.clone());
    // Its taker gives up before who asked it does.
    ring.pass(90);
    let answer = ring.answers.remove(&ticket).unwrap();
    assert_eq!(answer.unwrap_err().number(), 301);
    // It is there, and may be given out: who wants fewer copies hears so, who insists hears 301 again.
    let again = ring.put_once(1, "y", strict);
    assert_eq!(again.unwrap_err().number(), 301);
    let known = ring.accept_once(1, "z", once("k"));
    assert!(known.is_duplicate);
    assert_eq!(&ring.lease(0, 60_000).body[..], b"x");
}

#[test]
fn an_enqueue_that_reached_nobody_is_as_if_it_had_not_been() {
    let mut ring = Ring::new(1);
    let strict = EnqueueOptions {
        copies: Some(2),
        on_short: Some(OnShort::Wait),
        timeout: Some(100),
        ..once("k")
    };
    let ticket = ring.put(0, "x", strict);
    ring.pass(200);
    let answer = ring.answers.remove(&ticket).unwrap();
    assert_eq!(answer.unwrap_err().number(), 202);
    assert!(!ring.accept_once(0, "y", once("k")).is_duplicate);
    assert_eq!(&ring.lease(0, 60_000).body[..], b"y");
}

#[test]
fn what_cannot_be_is_refused() {
    let mut ring = Ring::new(1);
    let queue = ring.engines[0].queue("jobs").unwrap();
    let message = || NewMessage {
        body: "x".into(),
        headers: None,
    };
    let many = Command::EnqueueMany {
        queue,
        messages: vec![message(), message()],
        options: once("k"),
    };
    let one = Command::EnqueueMany {
        queue,
        messages: vec![message()],
        options: once("k"),
    };
    let call = Command::Call(NewCall {
        queue,
        message: message(),
        options: once("l"),
        timeout: 1_000,
    });
    assert_eq!(ring.ask(0, many).unwrap_err().number(), 101);
    assert!(matches!(ring.ask(0, one), Ok(Reply::Receipts(all)) if all.len() == 1));
    assert_eq!(ring.ask(0, call).unwrap_err().number(), 101);
    let long = "x".repeat(limits::KEY_BYTES_MAX + 1);
    for key in ["", &long] {
        let answer = ring.put_once(0, "x", once(key));
        assert_eq!(answer.unwrap_err().number(), 101);
    }
    let mut options = once("m");
    options.terms.is_at_most_once = true;
    assert_eq!(ring.put_once(0, "x", options).unwrap_err().number(), 101);
}

#[test]
fn a_message_for_groups_is_one_in_each() {
    let mut ring = Ring::new(2);
    let queue = ring.engines[0].queue("jobs").unwrap();
    for name in ["audit", "mail"] {
        let group = InGroup {
            name: name.into(),
            takes_backlog: false,
        };
        assert!(ring.ask(0, Command::CreateGroup(queue, group)).is_ok());
    }
    let first = ring.accept_once(0, "x", once("k"));
    for seat in 0..2 {
        let again = ring.accept_once(seat, "y", once("k"));
        assert_eq!((again.id, again.is_duplicate), (first.id, true));
    }
    assert_eq!(ring.total("enqueued"), 1);
}

#[test]
fn what_was_put_in_before_its_member_heard_of_a_group_goes_into_it_and_is_known_there() {
    let mut ring = Ring::new(3);
    (1..3).for_each(|other| ring.cut(0, other));
    let queue = ring.engines[1].queue("jobs").unwrap();
    let mail = InGroup {
        name: "mail".into(),
        takes_backlog: false,
    };
    assert!(
        ring.ask(1, Command::CreateGroup(queue, mail.clone()))
            .is_ok()
    );
    ring.pass(1_000);
    let first = ring.accept_once(0, "x", once("k"));
    (1..3).for_each(|other| ring.link(0, other));
    (0..10).for_each(|_| ring.pass(500));
    let queue = ring.engines[2].queue("jobs").unwrap();
    let command = Command::Receive {
        queue,
        max: 10,
        wait: 1_000,
        lease: Some(60_000),
        group: Some(mail),
    };
    let leased = match ring.ask(2, command) {
        Ok(Reply::Deliveries(leased)) => leased,
        other => panic!("{other:?}"),
    };
    let bodies: Vec<&[u8]> = leased.iter().map(|one| &one.body[..]).collect();
    assert_eq!(bodies, [b"x"]);
    for seat in 0..3 {
        let again = ring.accept_once(seat, "y", once("k"));
        assert_eq!((again.id, again.is_duplicate), (first.id, true));
    }
}

#[test]
fn who_waits_for_an_enqueue_with_the_same_key_gets_what_it_asks_for_itself() {
    let mut ring = Ring::new(3);
    let drops = EnqueueOptions {
        if_no_group: IfNoGroup::Drop,
        ..once("k")
    };
    let strict = EnqueueOptions {
        copies: Some(4),
        on_short: Some(OnShort::Fail),
        ..once("l")
    };
    // Put in at one member at one time: the second finds the first under way, and then nothing of it.
    for (first, key) in [(drops, "k"), (strict, "l")] {
        let first = ring.begin(0, "no", first);
        let second = ring.begin(0, "yes", once(key));
        ring.settle();
        ring.pass(1);
        let first = ring.answers.remove(&first).expect("an answer");
        let is_there = matches!(&first, Ok(Reply::Receipt(receipt)) if receipt.copies > 0);
        assert!(!is_there, "{first:?}");
        match ring.answers.remove(&second) {
            Some(Ok(Reply::Receipt(receipt))) => {
                assert!(!receipt.is_duplicate && receipt.copies >= 2, "{receipt:?}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(&ring.lease(1, 60_000).body[..], b"yes");
    }
}

#[test]
fn where_none_of_its_home_has_room_a_key_is_refused_and_not_put_in_elsewhere() {
    let mut ring = Ring::within(&[1; 5]);
    let dedup = Dedup::new("jobs", "k", WINDOW);
    let mut seats: Vec<usize> = (0..5).collect();
    seats.sort_by_key(|seat| home_rank(dedup.home(), MemberId(*seat as u128 + 1)));
    let homes = seats.split_off(2);
    // With its key it just fits.
    let large = "x".repeat(limits::BODY_BYTES_MAX - 1);
    for seat in &homes {
        ring.fill(*seat, 1);
    }
    ring.tell_levels();
    for seat in 0..5 {
        let answer = ring.put_once(seat, &large, once("k"));
        assert_eq!(answer.unwrap_err().number(), 203, "at {seat}");
    }
    // Whichever of the home has room is the one that takes it.
    ring.ack_one(homes[1]);
    ring.tell_levels();
    let first = ring.accept_once(seats[0], &large, once("k"));
    assert!(!first.is_duplicate);
    for seat in 0..5 {
        let again = ring.accept_once(seat, &large, once("k"));
        assert_eq!(
            (again.id, again.is_duplicate),
            (first.id, true),
            "at {seat}"
        );
    }
}

#[test]
fn a_home_that_had_no_room_gets_its_copies_later() {
    let mut ring = Ring::within(&[0, 0, 1]);
    ring.fill(2, 1);
    ring.tell_levels();
    let first = ring.accept_once(0, "x", once("k"));
    assert_eq!(first.copies, 2);
    // It comes back, full as it was, hears of the message, and cannot take a copy.
    (0..2).for_each(|other| ring.cut(other, 2));
    (0..2).for_each(|other| ring.link(other, 2));
    ring.pass(5_000);
    let holds = |ring: &Ring| ring.engines[2].holds(first.id);
    assert!(!holds(&ring));
    ring.ack_one(2);
    ring.tell_levels();
    ring.pass(5_000);
    assert!(holds(&ring));
}

#[test]
fn a_home_whose_lane_was_full_when_it_asked_gets_its_copies_later() {
    let mut ring = Ring::new(3);
    (0..2).for_each(|other| ring.cut(other, 2));
    let first = ring.accept_some(0);
    (0..2).for_each(|other| ring.link(other, 2));
    // It is told of the message, and when it says that it lacks it nothing more goes into its lane.
    ring.give(0, Input::Wake);
    let link = ring.links[&(0, 2)];
    let pressure = |is_full| Input::Pressure { link, is_full };
    ring.give(0, pressure(true));
    ring.settle();
    assert!(!ring.engines[2].holds(first));
    ring.give(0, pressure(false));
    ring.pass(1_000);
    assert!(ring.engines[2].holds(first));
}

#[test]
fn a_home_hears_of_the_end_of_what_it_was_just_told_of() {
    let mut ring = Ring::new(3);
    (0..2).for_each(|other| ring.cut(other, 2));
    let first = ring.accept_some(0);
    let leased: Vec<Leased> = (0..8).map(|_| ring.lease(0, 60_000)).collect();
    let leased = leased.into_iter().find(|leased| leased.id == first);
    (0..2).for_each(|other| ring.link(other, 2));
    // What says that it is there is on its way when it ends.
    ring.give(0, Input::Wake);
    ring.tell(0, Command::Ack(leased.unwrap().handle));
    ring.settle();
    let (_, is_over) = ring.engines[2].recollects(first).unwrap();
    assert!(is_over);
}

#[test]
fn who_takes_over_after_the_heal_and_the_other_side_s_owner_find_each_other() {
    let mut twice = 0;
    for n in 0..24 {
        let key = format!("k{n}");
        let home = Dedup::new("jobs", &key, WINDOW).home();
        let mut seats: Vec<usize> = (0..9).collect();
        seats.sort_by_key(|seat| core::cmp::Reverse(home_rank(home, MemberId(*seat as u128 + 1))));
        let (first, owner, taker) = (seats[0], seats[7], seats[8]);
        let mut ring = Ring::new(9);
        let pair = |a: usize, b: usize| (a.min(b), a.max(b));
        for other in &seats[..7] {
            for gone in [owner, taker] {
                let (a, b) = pair(*other, gone);
                ring.cut(a, b);
            }
        }
        let one = ring.accept_once(owner, "one", once(&key));
        let two = ring.accept_once(first, "two", once(&key));
        assert_eq!(one.id, two.id);
        assert!(!one.is_duplicate && !two.is_duplicate);
        let (a, b) = pair(owner, taker);
        ring.cut(a, b);
        for other in &seats[..7] {
            let (a, b) = pair(*other, taker);
            ring.link(a, b);
        }
        for _ in 0..40 {
            ring.pass(500);
        }
        let owners: Vec<usize> = seats
            .iter()
            .copied()
            .filter(|seat| *seat != owner)
            .filter(|seat| {
                let seen = ring.engines[*seat].glimpse(one.id);
                seen.is_some_and(|seen| seen.is_owned)
            })
            .collect();
        twice += usize::from(owners.len() > 1);
    }
    assert_eq!(twice, 0, "of 24");
}
