//! Handlers of the host's: a set that only grows, told by broadcasts and repaired by exchanges.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use common::{member, receive, sees, until};
use primer::{BroadcastHandler, Bytes, MemberId, Primer};

const ID: u16 = 64;

fn closed(primer: &Primer) {
    primer.close().wait().unwrap();
}

/// A set of numbers that only grows. Its digest is all of it.
#[derive(Default)]
struct Set {
    items: Mutex<BTreeSet<u32>>,
    /// Who told.
    tellers: Mutex<BTreeSet<MemberId>>,
    threads: Mutex<BTreeSet<Option<String>>>,
}

impl Set {
    /// At `primer`, under [`ID`].
    fn at(primer: &Primer) -> Arc<Self> {
        let set = Arc::<Self>::default();
        primer.handle(ID, set.clone()).unwrap();
        set
    }

    fn add(&self, primer: &Primer, item: u32) {
        self.items.lock().unwrap().insert(item);
        spread(primer, ID, &item.to_le_bytes());
    }

    fn len(&self) -> usize {
        self.items.lock().unwrap().len()
    }
}

fn items(bytes: &[u8]) -> BTreeSet<u32> {
    let (items, _) = bytes.as_chunks();
    items.iter().map(|item| u32::from_le_bytes(*item)).collect()
}

impl BroadcastHandler for Set {
    fn merge(&self, from: MemberId, body: &[u8]) -> bool {
        let thread = std::thread::current().name().map(str::to_string);
        self.threads.lock().unwrap().insert(thread);
        self.tellers.lock().unwrap().insert(from);
        let mut known = self.items.lock().unwrap();
        let before = known.len();
        known.append(&mut items(body));
        known.len() > before
    }

    fn digest(&self) -> Option<Bytes> {
        let known = self.items.lock().unwrap();
        Some(known.iter().flat_map(|item| item.to_le_bytes()).collect())
    }

    fn answer(&self, digest: &[u8]) -> Vec<Bytes> {
        let known = self.items.lock().unwrap();
        let lacking = known
            .difference(&items(digest))
            .copied()
            .collect::<Vec<_>>();
        let bodies = lacking.iter().map(|item| item.to_le_bytes());
        bodies.map(|body| Bytes::copy_from_slice(&body)).collect()
    }
}

/// Broadcasts, again when it was too much at a time.
fn spread(primer: &Primer, id: u16, body: &[u8]) {
    until("it is told", || match primer.spread(id, body.to_vec()) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.number(), 203, "{error}");
            false
        }
    });
}

fn stat(primer: &Primer, name: &str) -> u64 {
    primer.stats().unwrap().get(name)
}

/// A handler that does nothing but be asked.
struct Idle;

impl BroadcastHandler for Idle {
    fn merge(&self, _: MemberId, _: &[u8]) -> bool {
        false
    }
}

fn own_id(primer: &Primer) -> MemberId {
    let members = primer.members().unwrap();
    members.iter().find(|member| member.is_self).unwrap().id
}

#[test]
fn what_one_tells_the_handlers_of_all_others_hear_on_a_thread_of_their_own() {
    let a = member("told", None);
    let b = member("told", Some(&a));
    let c = member("told", Some(&a));
    let all = [&a, &b, &c];
    all.iter().for_each(|primer| sees(primer, 3));
    let sets = all.map(Set::at);
    for item in 0..30 {
        let seat = item as usize % 3;
        sets[seat].add(all[seat], item);
    }
    for set in &sets {
        until("the sets are the same", || set.len() == 30);
        let threads = set.threads.lock().unwrap();
        assert_eq!(*threads, [Some("primer-handlers".to_string())].into());
    }
    let others: BTreeSet<MemberId> = [own_id(&b), own_id(&c)].into();
    until("each is told by whom", || {
        sets[0].tellers.lock().unwrap().is_superset(&others)
    });
    all.iter().for_each(|primer| closed(primer));
}

#[test]
fn a_member_that_joins_later_gets_all_by_the_exchange() {
    let a = member("later", None);
    let set = Set::at(&a);
    // Four answers' worth, told when nobody was there to hear.
    (0..200).for_each(|item| set.add(&a, item));
    let b = common::options("later").open_blocking().unwrap();
    let other = Set::at(&b);
    other.add(&b, 1_000);
    b.join(&a.address().unwrap()).wait().unwrap();
    until("the newcomer has all", || other.len() == 201);
    until("and tells what it had", || set.len() == 201);
    assert!(stat(&a, "handler_answers") >= 200);
    closed(&a);
    closed(&b);
}

#[test]
fn a_handler_that_comes_late_gets_all_that_was_told_before() {
    let a = member("late", None);
    let b = member("late", Some(&a));
    sees(&a, 2);
    sees(&b, 2);
    let set = Set::at(&a);
    (0..100).for_each(|item| set.add(&a, item));
    until("nobody there handles it", || {
        stat(&b, "handler_unknown") == 100
    });
    assert_eq!(stat(&b, "handler_bodies"), 0);
    let other = Set::at(&b);
    until("the late one has all", || other.len() == 100);
    closed(&a);
    closed(&b);
}

/// Panics whatever it is asked.
struct Broken;

impl BroadcastHandler for Broken {
    fn merge(&self, _: MemberId, _: &[u8]) -> bool {
        panic!("planted in merge");
    }

    fn digest(&self) -> Option<Bytes> {
        panic!("planted in digest");
    }

    fn answer(&self, _: &[u8]) -> Vec<Bytes> {
        panic!("planted in answer");
    }
}

#[test]
fn a_handler_that_panics_disturbs_neither_its_member_nor_other_handlers() {
    let a = member("broken", None);
    let b = member("broken", Some(&a));
    sees(&a, 2);
    sees(&b, 2);
    a.handle(65, Arc::new(Broken)).unwrap();
    until("it panicked for its digest", || {
        stat(&a, "handler_panics") > 0
    });
    spread(&b, 65, b"one");
    until("and in its merge", || stat(&a, "handler_bodies") == 1);
    let (set, other) = (Set::at(&a), Set::at(&b));
    other.add(&b, 7);
    until("the other one works", || set.len() == 1);
    let queue = a.queue("jobs").unwrap();
    queue.enqueue("one").wait().unwrap();
    receive(&queue).ack().unwrap();
    closed(&a);
    closed(&b);
}

/// Merges into a set once it is let go.
#[derive(Default)]
struct Blocked {
    set: Set,
    is_free: Mutex<bool>,
    freed: Condvar,
    is_called: AtomicBool,
}

impl Blocked {
    fn free(&self) {
        *self.is_free.lock().unwrap() = true;
        self.freed.notify_all();
    }
}

impl BroadcastHandler for Blocked {
    fn merge(&self, from: MemberId, body: &[u8]) -> bool {
        self.is_called.store(true, Ordering::Relaxed);
        let mut is_free = self.is_free.lock().unwrap();
        while !*is_free {
            is_free = self.freed.wait(is_free).unwrap();
        }
        self.set.merge(from, body)
    }

    fn digest(&self) -> Option<Bytes> {
        self.set.digest()
    }
}

#[test]
fn a_handler_that_blocks_loses_what_is_too_much_and_the_exchange_brings_it() {
    const ALL: u32 = 1_500;
    let a = member("blocked", None);
    let b = member("blocked", Some(&a));
    sees(&a, 2);
    sees(&b, 2);
    let blocked = Arc::<Blocked>::default();
    a.handle(ID, blocked.clone()).unwrap();
    let set = Set::at(&b);
    (0..ALL).for_each(|item| set.add(&b, item));
    until("it blocks", || blocked.is_called.load(Ordering::Relaxed));
    until("some are lost", || stat(&a, "handler_dropped") > 0);
    // Its member works on.
    let queue = a.queue("jobs").unwrap();
    queue.enqueue("one").wait().unwrap();
    receive(&queue).ack().unwrap();

    until("all came that will", || {
        stat(&a, "broadcasts_delivered") >= u64::from(ALL)
    });
    blocked.free();
    // A new handler makes its member ask at once.
    a.handle(65, Arc::new(Idle)).unwrap();
    until("all is there", || blocked.set.len() == ALL as usize);
    assert!(stat(&a, "handler_slow") >= 1);
    closed(&a);
    closed(&b);
}

#[test]
fn a_member_closes_while_its_handler_blocks_and_lets_go_of_it_afterwards() {
    let a = member("stuck", None);
    let b = member("stuck", Some(&a));
    sees(&a, 2);
    sees(&b, 2);
    let blocked = Arc::<Blocked>::default();
    a.handle(ID, blocked.clone()).unwrap();
    spread(&b, ID, &[0; 4]);
    until("it blocks", || blocked.is_called.load(Ordering::Relaxed));
    closed(&a);
    blocked.free();
    until("it is let go", || Arc::strong_count(&blocked) == 1);
    closed(&b);
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let a = common::lone();
    let number = |result: primer::Result<()>| result.map_or_else(|error| error.number(), |()| 0);
    assert_eq!(number(a.handle(63, Arc::new(Idle))), 101);
    assert_eq!(number(a.handle(64, Arc::new(Idle))), 0);
    assert_eq!(number(a.handle(64, Arc::new(Idle))), 103);
    assert_eq!(number(a.handle(u16::MAX, Arc::new(Idle))), 0);
    assert_eq!(number(a.spread(63, "x")), 101);
    assert_eq!(number(a.spread(64, vec![0; (64 << 10) + 1])), 104);
    assert_eq!(number(a.spread(64, vec![0; 64 << 10])), 0);
    // Nobody here has to handle what is told to others.
    assert_eq!(number(a.spread(70, "x")), 0);
    closed(&a);
    assert_eq!(number(a.handle(66, Arc::new(Idle))), 501);
    assert_eq!(number(a.spread(64, "x")), 501);
}

/// Holds its own member, as one that answers by broadcasting does.
struct Holding {
    primer: Primer,
    _alive: Arc<()>,
}

impl BroadcastHandler for Holding {
    fn merge(&self, _: MemberId, body: &[u8]) -> bool {
        self.primer.spread(65, body.to_vec()).is_ok()
    }
}

#[test]
fn a_handler_may_call_its_own_member() {
    let a = member("echo", None);
    let b = member("echo", Some(&a));
    sees(&a, 2);
    sees(&b, 2);
    let alive = Arc::new(());
    let holding = Holding {
        primer: a.clone(),
        _alive: alive.clone(),
    };
    a.handle(ID, Arc::new(holding)).unwrap();
    let echo = Arc::<Set>::default();
    b.handle(65, echo.clone()).unwrap();
    spread(&b, ID, &9_u32.to_le_bytes());
    until("the echo came", || echo.len() == 1);
    closed(&a);
    until("the handler is let go", || Arc::strong_count(&alive) == 1);
    closed(&b);
}
