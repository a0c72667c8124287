//! Browses at one member and between several, linked by hand.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::test_ring::Ring;
use super::*;
use crate::base::limits;
use crate::copies::Asked;
use crate::queue::{Browse, Browsed, Message as Queue};

impl Ring {
    fn browse_of(&mut self, seat: usize) -> NewBrowse {
        NewBrowse {
            queue: self.engines[seat].queue("jobs").unwrap(),
            group: None,
            max: limits::BROWSE_DEFAULT,
            after: None,
            states: Vec::new(),
            headers: Vec::new(),
            body_bytes_max: limits::BROWSE_BODY_BYTES,
            timeout: limits::BROWSE_TIMEOUT_MS,
        }
    }

    fn page(&mut self, seat: usize, alter: impl FnOnce(&mut NewBrowse)) -> Page {
        let mut browse = self.browse_of(seat);
        alter(&mut browse);
        page(self.ask(seat, Command::Browse(browse)))
    }

    /// Every page of `max` messages, to the last one.
    fn pages(&mut self, seat: usize, max: u32, body_bytes_max: u32) -> Vec<Page> {
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let page = self.page(seat, |browse| {
                browse.max = max;
                browse.after = after;
                browse.body_bytes_max = body_bytes_max;
            });
            assert!(page.missing.is_empty());
            assert!(page.messages.len() <= max as usize);
            after = page.cursor;
            pages.push(page);
            if after.is_none() {
                return pages;
            }
        }
    }
}

fn page(answer: Answer) -> Page {
    match answer {
        Ok(Reply::Page(page)) => page,
        other => panic!("{other:?}"),
    }
}

fn bodies(page: &Page) -> Vec<&str> {
    let messages = page.messages.iter();
    messages
        .map(|shown| core::str::from_utf8(&shown.body).unwrap())
        .collect()
}

fn ids<'a>(pages: impl IntoIterator<Item = &'a Page>) -> Vec<MessageId> {
    let messages = pages.into_iter().flat_map(|page| &page.messages);
    messages.map(|shown| shown.spot.id).collect()
}

#[test]
fn pages_of_any_size_show_everything_of_every_member_once_and_in_order() {
    let mut ring = Ring::new(3);
    let mut put = Vec::new();
    for n in 0..20 {
        put.push(ring.enqueue(n % 3, "body"));
        ring.pass(1);
    }
    let attempts = ring
        .engines
        .iter()
        .map(|engine| engine.stats()["delivered"]);
    assert_eq!(attempts.sum::<u64>(), 0);
    for max in [1, 2, 7, 19, 20, 21, limits::BROWSE_MAX] {
        let pages = ring.pages(2, max, 10);
        assert_eq!(ids(&pages), put, "pages of {max}");
        let whole = 20_usize.div_ceil(max as usize);
        assert_eq!(pages.len(), whole, "pages of {max}");
    }
    let page = ring.page(0, |_| {});
    let owners: BTreeSet<MemberId> = page.messages.iter().map(|shown| shown.owner).collect();
    assert_eq!(owners.len(), 3);
    assert!(page.messages.iter().all(|shown| shown.copies == 2));
}

#[test]
fn what_a_message_is_doing_is_shown_and_not_changed() {
    let mut ring = Ring::new(1);
    ring.enqueue(0, "leased");
    ring.enqueue(0, "ready");
    let terms = Asked {
        delay: Some(5_000),
        ttl: Some(9_000),
        priority: Some(7),
        ..Asked::default()
    };
    ring.enqueue_with(0, b"delayed".to_vec(), &[("k", "v")], terms);
    let leased = ring.lease(0, 400);
    ring.pass(100);
    let page = ring.page(0, |_| {});
    assert_eq!(bodies(&page), ["leased", "ready", "delayed"]);
    let [first, second, third] = &page.messages[..] else {
        panic!("three")
    };
    assert_eq!((first.state, first.attempts), (State::Leased, 1));
    assert_eq!((first.lease_ms, first.ready_at_ms), (300, 0));
    assert_eq!((second.state, second.attempts), (State::Ready, 0));
    assert_eq!((second.lease_ms, second.priority), (0, 4));
    assert_eq!((third.state, third.priority), (State::Delayed, 7));
    let began = 1_700_000_000_000;
    assert_eq!(third.ready_at_ms, began + 5_000);
    assert_eq!(
        (third.expires_ms, third.accepted_ms()),
        (began + 9_000, began)
    );
    assert_eq!(
        third.headers.as_deref().unwrap()[0],
        ("k".into(), "v".into())
    );
    let again = ring.page(0, |_| {});
    assert_eq!(again, page);
    assert!(ring.ask(0, Command::Ack(leased.handle)).is_ok());
    assert_eq!(bodies(&ring.page(0, |_| {})), ["ready", "delayed"]);
}

#[test]
fn states_and_headers_choose_what_is_shown() {
    let mut ring = Ring::new(2);
    let delayed = Asked {
        delay: Some(60_000),
        ..Asked::default()
    };
    ring.enqueue_with(
        0,
        b"a".to_vec(),
        &[("kind", "x"), ("to", "ann")],
        Asked::default(),
    );
    ring.enqueue_with(
        1,
        b"b".to_vec(),
        &[("kind", "y"), ("to", "ann")],
        Asked::default(),
    );
    ring.enqueue_with(1, b"c".to_vec(), &[("kind", "x")], delayed);
    let with = |ring: &mut Ring, states: &[State], headers: &[(&str, &str)]| {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let headers: Vec<_> = headers.collect();
        let page = ring.page(0, |browse| {
            browse.states = states.to_vec();
            browse.headers = headers;
        });
        let mut shown: Vec<String> = bodies(&page).iter().map(|body| body.to_string()).collect();
        shown.sort();
        shown.concat()
    };
    assert_eq!(with(&mut ring, &[], &[]), "abc");
    assert_eq!(with(&mut ring, &[State::Delayed], &[]), "c");
    assert_eq!(with(&mut ring, &[State::Ready, State::Leased], &[]), "ab");
    assert_eq!(with(&mut ring, &[], &[("kind", "x")]), "ac");
    assert_eq!(with(&mut ring, &[], &[("to", "ann"), ("kind", "x")]), "a");
    assert_eq!(with(&mut ring, &[State::Leased], &[]), "");
    assert_eq!(with(&mut ring, &[], &[("kind", "z")]), "");
}

#[test]
fn bodies_are_cut_as_asked_and_large_ones_spread_over_pages() {
    let mut ring = Ring::new(2);
    let mut put = Vec::new();
    for n in 0..4 {
        let body = vec![b'x'; limits::BODY_BYTES_MAX - n];
        put.push(ring.enqueue_with(n % 2, body, &[], Asked::default()));
        ring.pass(1);
    }
    let none = ring.page(1, |browse| browse.body_bytes_max = 0);
    assert_eq!((ids([&none]), none.cursor), (put.clone(), None));
    assert!(none.messages.iter().all(|shown| shown.body.is_empty()));
    let few = ring.page(1, |browse| browse.body_bytes_max = 3);
    assert_eq!(few.messages[1].body.len(), 3);
    assert_eq!(
        few.messages[1].body_bytes,
        limits::BODY_BYTES_MAX as u64 - 1
    );
    let pages = ring.pages(1, 100, limits::BODY_BYTES_MAX as u32);
    assert_eq!(ids(&pages), put);
    assert_eq!(pages.len(), 4, "one such body is a page");
    let whole = pages.iter().flat_map(|page| &page.messages);
    assert!(
        whole
            .into_iter()
            .all(|shown| shown.body.len() as u64 == shown.body_bytes)
    );
}

#[test]
fn a_member_that_does_not_answer_is_named_at_the_deadline() {
    let mut ring = Ring::new(3);
    ring.enqueue(0, "mine");
    ring.deaf.insert(2);
    let browse = ring.browse_of(0);
    let ticket = ring.tell(0, Command::Browse(browse));
    ring.settle();
    ring.pass(limits::BROWSE_TIMEOUT_MS - 1);
    assert!(!ring.answers.contains_key(&ticket));
    ring.pass(1);
    let page = page(ring.answers.remove(&ticket).unwrap());
    assert_eq!(bodies(&page), ["mine"]);
    assert_eq!(page.missing, [MemberId(3)]);
    let stats = ring.engines[0].stats();
    assert_eq!((stats["browses"], stats["browse_timeouts"]), (1, 1));
    assert_eq!(stats["browses_open"], 0);
}

#[test]
fn a_member_whose_link_goes_is_named_at_once_and_so_is_one_without_a_link() {
    let mut ring = Ring::new(3);
    ring.deaf.extend([1, 2]);
    let browse = ring.browse_of(0);
    let ticket = ring.tell(0, Command::Browse(browse));
    ring.cut(0, 2);
    assert!(!ring.answers.contains_key(&ticket));
    ring.cut(0, 1);
    let first = page(ring.answers.remove(&ticket).unwrap());
    assert_eq!(first.missing, [MemberId(2), MemberId(3)]);
    let alone = ring.page(0, |_| {});
    assert_eq!(alone.missing, [MemberId(2), MemberId(3)]);
    assert_eq!(ring.engines[0].stats()["browse_timeouts"], 0);
}

#[test]
fn a_member_that_leaves_shows_what_it_gives_away_until_another_has_it() {
    let mut ring = Ring::new(2);
    let queue = ring.engines[0].queue("jobs").unwrap();
    let delayed = Asked {
        delay: Some(600_000),
        ..Asked::default()
    };
    let mut put = Vec::new();
    for terms in [Asked::default(), delayed] {
        let command = Command::Enqueue {
            queue,
            message: NewMessage::default(),
            options: EnqueueOptions {
                copies: Some(1),
                terms,
                ..EnqueueOptions::default()
            },
        };
        match ring.ask(0, command) {
            Ok(Reply::Receipt(receipt)) => put.push(receipt.id),
            other => panic!("{other:?}"),
        }
    }
    ring.is_stuck = true;
    let leave = Command::Leave {
        drain: Some(60_000),
        force: false,
    };
    ring.tell(0, leave);
    ring.pass(1);
    assert_eq!(ring.engines[0].stats()["messages_moving"], 2);
    let page = ring.page(1, |_| {});
    assert_eq!(ids([&page]), put);
    let states: Vec<State> = page.messages.iter().map(|shown| shown.state).collect();
    assert_eq!(states, [State::Ready, State::Delayed]);
    assert!(page.messages.iter().all(|shown| shown.owner == MemberId(1)));
}

#[test]
fn a_group_is_browsed_by_its_name_and_one_that_does_not_exist_is_not_created() {
    let mut ring = Ring::new(2);
    let page = ring.page(0, |browse| browse.group = Some("mailer".into()));
    assert_eq!((&page.messages[..], page.cursor), (&[][..], None));
    assert_eq!((page.group.as_str(), page.missing), ("mailer", Vec::new()));
    assert!(
        ring.engines
            .iter()
            .all(|engine| engine.groups("jobs").is_empty())
    );
    let queue = ring.engines[0].queue("jobs").unwrap();
    for name in ["mailer", "audit"] {
        let group = InGroup {
            name: name.into(),
            takes_backlog: false,
        };
        ring.ask(0, Command::CreateGroup(queue, group)).unwrap();
    }
    ring.pass(1_000);
    let put = vec![ring.enqueue(0, "one"), ring.enqueue(1, "two")];
    for group in ["mailer", "audit"] {
        let page = ring.page(1, |browse| browse.group = Some(group.into()));
        assert_eq!(ids([&page]), put, "the ids of the messages themselves");
    }
    assert!(ring.page(1, |_| {}).messages.is_empty());
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = ring.page(0, |browse| {
            (browse.max, browse.after, browse.group) = (1, after, Some("audit".into()));
        });
        after = page.cursor;
        pages.push(page);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(ids(&pages), put);
}

#[test]
fn what_is_out_of_range_is_101_and_too_many_are_203() {
    let mut ring = Ring::new(2);
    let mut wrong: Vec<NewBrowse> = Vec::new();
    for alter in [
        |browse: &mut NewBrowse| browse.max = 0,
        |browse: &mut NewBrowse| browse.max = limits::BROWSE_MAX + 1,
        |browse: &mut NewBrowse| browse.timeout = 0,
        |browse: &mut NewBrowse| browse.timeout = limits::BROWSE_MS_MAX + 1,
        |browse: &mut NewBrowse| browse.body_bytes_max = limits::BODY_BYTES_MAX as u32 + 1,
        |browse: &mut NewBrowse| browse.group = Some("a\nb".into()),
        |browse: &mut NewBrowse| browse.headers = vec![Default::default(); limits::HEADERS_MAX + 1],
    ] {
        let mut browse = ring.browse_of(0);
        alter(&mut browse);
        wrong.push(browse);
    }
    for browse in wrong {
        let answer = ring.ask(0, Command::Browse(browse.clone()));
        assert_eq!(answer.unwrap_err().number(), 101, "{browse:?}");
    }
    ring.deaf.insert(1);
    let mut tickets = Vec::new();
    for _ in 0..limits::BROWSES_MAX {
        let browse = ring.browse_of(0);
        tickets.push(ring.tell(0, Command::Browse(browse)));
    }
    let browse = ring.browse_of(0);
    let answer = ring.ask(0, Command::Browse(browse));
    assert_eq!(answer.unwrap_err().number(), 203);
    ring.give(0, Input::Cancel(tickets[0]));
    ring.pass(limits::BROWSE_TIMEOUT_MS);
    assert!(!ring.answers.contains_key(&tickets[0]), "nobody waits");
    let rest = &tickets[1..];
    assert!(rest.iter().all(|ticket| ring.answers.contains_key(ticket)));
}

/// More messages than are looked at in one step.
fn crowd(ring: &mut Ring, seat: usize) -> usize {
    let queue = ring.engines[seat].queue("jobs").unwrap();
    let count = limits::STEP_MESSAGES_MAX + 2;
    let mut rest = count;
    while rest > 0 {
        let some = rest.min(limits::BATCH_MAX);
        let command = Command::EnqueueMany {
            queue,
            messages: vec![NewMessage::default(); some],
            options: EnqueueOptions {
                copies: Some(1),
                ..EnqueueOptions::default()
            },
        };
        ring.ask(seat, command).unwrap();
        rest -= some;
    }
    count
}

#[test]
fn many_messages_are_looked_through_in_steps_and_each_is_shown_once() {
    let mut ring = Ring::new(2);
    let count = crowd(&mut ring, 1);
    let mut seen = BTreeSet::new();
    let mut after = None;
    loop {
        let mut browse = ring.browse_of(0);
        (browse.max, browse.after) = (limits::BROWSE_MAX, after);
        let ticket = ring.tell(0, Command::Browse(browse));
        ring.settle();
        assert!(
            !ring.answers.contains_key(&ticket),
            "one step is not enough"
        );
        assert_eq!(ring.engines[1].stats()["browses_open"], 1);
        ring.pass(1);
        let page = page(ring.answers.remove(&ticket).unwrap());
        assert!(page.messages.iter().all(|shown| seen.insert(shown.spot)));
        after = page.cursor;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), count);
}

#[test]
fn one_that_looks_for_too_many_is_busy_and_forgets_those_whose_link_goes() {
    let mut ring = Ring::new(2);
    crowd(&mut ring, 1);
    let link = ring.links[&(0, 1)];
    let browse = |number| {
        let browse = Browse {
            number,
            queue: "jobs".into(),
            max: u32::MAX,
            wait_ms: u64::MAX,
            body_bytes_max: u32::MAX,
            ..Browse::default()
        };
        // As it comes off the wire.
        Message::Queue(Queue::Browse(browse.checked().unwrap()).into())
    };
    for number in 0..=limits::BROWSES_MAX as u64 {
        let message = browse(number);
        ring.give(1, Input::Message { link, message });
    }
    assert_eq!(
        ring.engines[1].stats()["browses_open"],
        limits::BROWSES_MAX as u64
    );
    assert_eq!(ring.engines[1].stats()["browses_refused"], 1);
    let busy: Vec<u64> = ring
        .shown
        .iter()
        .filter(|one| one.is_busy)
        .map(|one| one.number)
        .collect();
    assert_eq!(busy, [limits::BROWSES_MAX as u64]);
    ring.settle();
    assert_eq!(
        ring.engines[0].stats()["browses_dropped"],
        1,
        "nobody asked"
    );
    ring.cut(0, 1);
    assert_eq!(ring.engines[1].stats()["browses_open"], 0);
}

#[test]
fn an_answer_that_does_not_keep_to_what_was_asked_counts_as_missing() {
    let spot = |n: u64| Spot {
        stamp: crate::base::Stamp(n),
        id: MessageId {
            origin: BootId(2),
            sequence: n,
        },
    };
    let shown = |n: u64, body: &'static [u8]| Shown {
        spot: spot(n),
        owner: MemberId(7),
        own: crate::copies::Own::default(),
        state: State::Ready,
        body: body.into(),
        body_bytes: 9,
        headers: None,
        attempts: 0,
        priority: 4,
        key: String::new(),
        copies: 1,
        ready_at_ms: 0,
        expires_ms: 0,
        lease_ms: 0,
    };
    let some = |through, messages| Browsed {
        through,
        messages,
        ..Browsed::default()
    };
    let cases = [
        (some(None, vec![shown(6, b""), shown(7, b"")]), true),
        (
            some(Some(spot(7)), vec![shown(6, b""), shown(7, b"")]),
            true,
        ),
        (some(Some(spot(6)), Vec::new()), true),
        (some(Some(spot(5)), Vec::new()), false),
        (some(Some(spot(6)), vec![shown(7, b"")]), false),
        (some(None, vec![shown(5, b"")]), false),
        (some(None, vec![shown(7, b""), shown(6, b"")]), false),
        (some(None, vec![shown(6, b""), shown(6, b"")]), false),
        (some(None, vec![shown(6, b"four")]), false),
        (some(None, (6..=9).map(|n| shown(n, b"")).collect()), false),
    ];
    for (n, (mut browsed, is_good)) in cases.into_iter().enumerate() {
        let mut ring = Ring::new(2);
        ring.deaf.insert(1);
        let link = ring.links[&(0, 1)];
        let mut browse = ring.browse_of(0);
        (browse.max, browse.after, browse.body_bytes_max) = (3, Some(spot(5)), 3);
        let ticket = ring.tell(0, Command::Browse(browse));
        browsed.number = ticket.0;
        let expected = (browsed.messages.len(), browsed.through);
        let message = Message::Queue(Queue::Browsed(browsed.clone()).into());
        ring.give(0, Input::Message { link, message });
        let page = page(ring.answers.remove(&ticket).unwrap());
        assert_eq!(page.missing.is_empty(), is_good, "case {n}");
        if is_good {
            assert_eq!((page.messages.len(), page.cursor), expected, "case {n}");
            assert!(page.messages.iter().all(|shown| shown.owner == MemberId(2)));
        } else {
            assert_eq!(page.messages, [], "case {n}");
        }
        // A second one to the same question is nobody's.
        let message = Message::Queue(Queue::Browsed(browsed).into());
        ring.give(0, Input::Message { link, message });
        let dropped = ring.engines[0].stats()["browses_dropped"];
        assert_eq!(dropped, 1 + u64::from(!is_good), "case {n}");
    }
}

#[test]
fn one_that_two_members_own_is_shown_by_the_higher_ownership_once() {
    let mut ring = Ring::new(2);
    let id = ring.enqueue(0, "mine");
    ring.deaf.insert(1);
    let link = ring.links[&(0, 1)];
    let mine = ring.page_of_self();
    for (epoch, owner) in [(0, MemberId(1)), (9, MemberId(2))] {
        let browse = ring.browse_of(0);
        let ticket = ring.tell(0, Command::Browse(browse));
        let mut shown = mine.clone();
        shown.own.epoch = epoch;
        shown.own.rank = 0;
        let browsed = Browsed {
            number: ticket.0,
            messages: vec![shown],
            ..Browsed::default()
        };
        let message = Message::Queue(Queue::Browsed(browsed).into());
        ring.give(0, Input::Message { link, message });
        let page = page(ring.answers.remove(&ticket).unwrap());
        assert_eq!(ids([&page]), [id]);
        assert_eq!(page.messages[0].owner, owner);
    }
}

impl Ring {
    /// The one message that the first member shows.
    fn page_of_self(&mut self) -> Shown {
        let browse = self.browse_of(0);
        let ticket = self.tell(0, Command::Browse(browse));
        self.pass(limits::BROWSE_TIMEOUT_MS);
        page(self.answers.remove(&ticket).unwrap())
            .messages
            .remove(0)
    }
}

#[test]
fn a_page_that_ends_at_its_bytes_shows_nothing_beyond_its_cursor_whoever_answers_first() {
    let mut ring = Ring::new(3);
    let body = vec![7; limits::BROWSE_BODY_BYTES as usize];
    let bodies = 2 * limits::BROWSE_BYTES_MAX / body.len();
    for _ in 0..bodies {
        ring.enqueue_with(1, body.clone(), &[], Asked::default());
    }
    ring.pass(10);
    for seat in [0, 2] {
        ring.enqueue_with(seat, vec![8], &[], Asked::default());
    }
    for seat in 0..3 {
        let pages = ring.pages(seat, limits::BROWSE_DEFAULT, limits::BROWSE_BODY_BYTES);
        let shown: Vec<_> = pages
            .iter()
            .flat_map(|page| &page.messages)
            .map(|shown| shown.spot)
            .collect();
        assert_eq!(shown.len(), bodies + 2, "each of them once");
        assert!(shown.is_sorted());
    }
}
