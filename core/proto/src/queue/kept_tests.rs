//! Two members' rooms and time by hand: leases that are kept, credit in bytes, receives that nobody
//! waits for any more.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::base::{BootId, Chance, QueueKey, StoreId, Ticket};
use crate::queue::{Answer, EnqueueOptions, Flow, NewMessage, OnShort, Out, Reply, Settings};

/// The first member owns what is enqueued; the second is linked to it.
const OWNER: usize = 0;
const GUEST: usize = 1;

struct Pair {
    rooms: [Queues; 2],
    queue: [QueueKey; 2],
    now: u64,
    ticket: u64,
    /// Sent and not arrived.
    mail: Vec<(usize, Message)>,
    answers: Vec<(Ticket, Answer)>,
    pushed: Vec<(usize, Leased)>,
}

fn holder(room: usize) -> Holder {
    Holder {
        member: MemberId(room as u128 + 1),
        store: StoreId(room as u64 + 1),
    }
}

fn room(index: usize) -> Queues {
    let settings = Settings {
        me: holder(index),
        boot: BootId(index as u64 + 1),
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
    let chance = Chance::new(index as u64 + 1);
    Queues::new(settings, Now::default(), chance)
}

impl Pair {
    fn new() -> Self {
        let mut rooms = [room(OWNER), room(GUEST)];
        let queue = [
            rooms[OWNER].queue("jobs").unwrap(),
            rooms[GUEST].queue("jobs").unwrap(),
        ];
        let mut pair = Self {
            rooms,
            queue,
            now: 0,
            ticket: 0,
            mail: Vec::new(),
            answers: Vec::new(),
            pushed: Vec::new(),
        };
        pair.link();
        pair
    }

    fn now(&self) -> Now {
        Now {
            mono: Instant(self.now),
            wall_ms: 1_700_000_000_000 + self.now,
        }
    }

    fn link(&mut self) {
        let now = self.now();
        for at in [OWNER, GUEST] {
            let other = holder(1 - at);
            let boot = BootId(other.store.0);
            self.rooms[at].peer_linked(now, other.member, boot, other.store, &[]);
        }
        self.run();
    }

    fn unlink(&mut self) {
        self.mail.clear();
        let now = self.now();
        for at in [OWNER, GUEST] {
            self.rooms[at].peer_unlinked(now, holder(1 - at).member);
            self.look(at);
        }
        self.mail.clear();
    }

    /// What a room wants done.
    fn look(&mut self, at: usize) {
        self.rooms[at].audit().unwrap();
        let mut out = Vec::new();
        self.rooms[at].swap_out(&mut out);
        let (now, me) = (self.now(), holder(at).member);
        for one in out {
            match one {
                Out::Reply(ticket, answer) => self.answers.push((ticket, answer)),
                Out::Deliver(_, leased) => {
                    self.pushed.extend(leased.into_iter().map(|one| (at, one)));
                }
                Out::Send(_, message) => self.mail.push((1 - at, *message)),
                Out::Hint(_, name) => self.rooms[1 - at].peer_stocked(now, me, &name, true),
                Out::Stock(name, is_stocked) => {
                    self.rooms[1 - at].peer_stocked(now, me, &name, is_stocked);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Carries what is under way until nothing is.
    fn run(&mut self) {
        loop {
            (0..2).for_each(|at| self.look(at));
            if self.mail.is_empty() {
                return;
            }
            for (to, message) in core::mem::take(&mut self.mail) {
                let now = self.now();
                self.rooms[to].hear(now, holder(1 - to).member, message);
            }
        }
    }

    /// Time passes, with every alarm at its time.
    fn pass(&mut self, until: u64) {
        self.pass_for(&[OWNER, GUEST], until);
    }

    fn pass_for(&mut self, whose: &[usize], until: u64) {
        while let Some(at) = whose
            .iter()
            .copied()
            .filter(|at| self.rooms[*at].next_wake() <= Instant(until))
            .min_by_key(|at| self.rooms[*at].next_wake())
        {
            self.now = self.now.max(self.rooms[at].next_wake().0);
            let now = self.now();
            self.rooms[at].wake(now);
            self.run();
        }
        self.now = until;
    }

    fn ticket(&mut self) -> Ticket {
        self.ticket += 1;
        Ticket(self.ticket)
    }

    fn answer(&mut self, ticket: Ticket) -> Answer {
        self.run();
        let place = self.answers.iter().position(|(to, _)| *to == ticket);
        self.answers.remove(place.expect("answered")).1
    }

    fn enqueue(&mut self, bytes: usize) {
        let (now, ticket, queue) = (self.now(), self.ticket(), self.queue[OWNER]);
        let message = NewMessage {
            body: vec![b'x'; bytes].into(),
            headers: None,
        };
        let options = EnqueueOptions::default();
        self.rooms[OWNER].enqueue(now, ticket, queue, message, options);
        assert!(matches!(self.answer(ticket), Ok(Reply::Receipt(_))));
    }

    fn subscribe(&mut self, at: usize, flow: &Flow) -> SessionId {
        let (now, ticket, queue) = (self.now(), self.ticket(), self.queue[at]);
        self.rooms[at].subscribe(now, ticket, queue, flow);
        match self.answer(ticket) {
            Ok(Reply::Session(session)) => session,
            other => panic!("{other:?}"),
        }
    }

    fn unsubscribe(&mut self, at: usize, session: SessionId, abandon: bool) {
        let (now, ticket) = (self.now(), self.ticket());
        self.rooms[at].unsubscribe(now, ticket, session, abandon);
        assert!(matches!(self.answer(ticket), Ok(Reply::Done)));
    }

    /// What came to a subscription of that member since the last look.
    fn came(&mut self, at: usize) -> Vec<Leased> {
        self.run();
        let (came, rest) = core::mem::take(&mut self.pushed)
            .into_iter()
            .partition(|(to, _)| *to == at);
        self.pushed = rest;
        let came: Vec<(usize, Leased)> = came;
        came.into_iter().map(|(_, leased)| leased).collect()
    }

    fn ack(&mut self, at: usize, handle: &Handle) -> Answer {
        let (now, ticket) = (self.now(), self.ticket());
        self.rooms[at].ack(now, ticket, handle);
        self.answer(ticket)
    }

    fn count(&self, at: usize, name: &str) -> u64 {
        let mut stats = alloc::collections::BTreeMap::new();
        self.rooms[at].stats(&mut stats);
        stats[name]
    }
}

fn kept(lease: u64, run: u64) -> Flow {
    Flow {
        credit: 4,
        lease: Some(lease),
        max_run: Some(run),
        ..Flow::default()
    }
}

#[test]
fn a_kept_lease_lasts_until_its_delivery_is_settled_wherever_the_owner_is() {
    for at in [OWNER, GUEST] {
        let mut pair = Pair::new();
        pair.subscribe(at, &kept(300, 3_600_000));
        pair.enqueue(10);
        let mail = pair.came(at).remove(0);
        pair.pass(60_000);
        assert!(pair.came(at).is_empty(), "given again at {at}");
        assert_eq!(pair.count(OWNER, "messages_leased"), 1);
        assert_eq!(pair.count(OWNER, "redeliveries_lease"), 0);
        let kept = pair.count(at, "leases_kept");
        assert!((200..700).contains(&kept), "{kept} extensions");
        assert!(pair.ack(at, &mail.handle).is_ok());
        pair.pass(120_000);
        assert_eq!(pair.count(OWNER, "messages"), 0);
        assert_eq!(pair.count(at, "leases_kept"), kept);
        assert_eq!(pair.count(at, "leases_kept_lost"), 0);
    }
}

#[test]
fn a_run_that_is_over_ends_the_lease_and_not_earlier() {
    for at in [OWNER, GUEST] {
        let mut pair = Pair::new();
        pair.subscribe(at, &kept(300, 1_000));
        pair.enqueue(10);
        assert_eq!(pair.came(at).len(), 1);
        pair.pass(999);
        assert!(pair.came(at).is_empty());
        pair.pass(1_900);
        assert_eq!(pair.came(at)[0].attempts, 2);
        assert_eq!(pair.count(OWNER, "redeliveries_lease"), 1);
    }
}

#[test]
fn a_run_shorter_than_the_lease_changes_nothing_and_without_one_the_consumer_extends() {
    for run in [Some(100), None] {
        let mut pair = Pair::new();
        let flow = Flow {
            max_run: run,
            ..kept(300, 1)
        };
        pair.subscribe(OWNER, &flow);
        pair.enqueue(10);
        assert_eq!(pair.came(OWNER).len(), 1);
        pair.pass(299);
        assert!(pair.came(OWNER).is_empty());
        pair.pass(300);
        assert_eq!(pair.came(OWNER).len(), 1);
        assert_eq!(pair.count(OWNER, "leases_kept"), 0);
    }
}

#[test]
fn a_lease_is_kept_over_a_time_in_which_its_member_stood_still() {
    let mut pair = Pair::new();
    pair.subscribe(OWNER, &kept(300, 3_600_000));
    pair.enqueue(10);
    assert_eq!(pair.came(OWNER).len(), 1);
    pair.now = 20_000;
    pair.pass(20_100);
    assert!(pair.came(OWNER).is_empty());
}

#[test]
fn an_extension_that_was_lost_with_its_link_is_asked_for_again() {
    let mut pair = Pair::new();
    pair.subscribe(GUEST, &kept(3_000, 3_600_000));
    pair.enqueue(10);
    assert_eq!(pair.came(GUEST).len(), 1);
    pair.now = 2_000;
    let now = pair.now();
    pair.rooms[GUEST].wake(now);
    pair.look(GUEST);
    assert!(matches!(
        pair.mail.as_slice(),
        [(OWNER, Message::Settle(settle))] if settle.verb == super::super::settle::EXTEND
    ));
    pair.unlink();
    pair.pass(2_400);
    pair.link();
    pair.pass(30_000);
    assert!(pair.came(GUEST).is_empty());
    assert_eq!(pair.count(OWNER, "redeliveries_lease"), 0);
}

#[test]
fn a_lease_that_was_lost_all_the_same_makes_room_and_is_counted() {
    let mut pair = Pair::new();
    let flow = Flow {
        credit: 1,
        ..kept(300, 3_600_000)
    };
    pair.subscribe(GUEST, &flow);
    pair.enqueue(10);
    assert_eq!(pair.came(GUEST).len(), 1);
    // Only the owner's time passes: the other member stands still.
    pair.pass_for(&[OWNER], 400);
    assert_eq!(pair.count(OWNER, "redeliveries_lease"), 1);
    pair.pass(3_000);
    assert_eq!(pair.came(GUEST)[0].attempts, 2);
    assert_eq!(pair.count(GUEST, "leases_kept_lost"), 1);
}

#[test]
fn what_was_taken_is_kept_when_its_subscription_closes_and_released_when_its_consumer_died() {
    for at in [OWNER, GUEST] {
        let mut pair = Pair::new();
        let session = pair.subscribe(at, &kept(300, 3_600_000));
        pair.enqueue(10);
        let mail = pair.came(at).remove(0);
        pair.unsubscribe(at, session, false);
        pair.enqueue(10);
        pair.pass(10_000);
        assert!(pair.came(at).is_empty());
        assert_eq!(pair.count(at, "sessions"), 1);
        assert_eq!(pair.count(OWNER, "messages_leased"), 1);
        let ticket = pair.ticket();
        let now = pair.now();
        pair.rooms[at].credit(now, ticket, session, 1);
        assert_eq!(pair.answer(ticket).unwrap_err().number(), 501);
        assert!(pair.ack(at, &mail.handle).is_ok());
        assert_eq!(pair.count(at, "sessions"), 0);

        let session = pair.subscribe(at, &kept(300, 3_600_000));
        assert_eq!(pair.came(at).len(), 1);
        pair.unsubscribe(at, session, false);
        pair.unsubscribe(at, session, true);
        assert_eq!(pair.count(at, "sessions"), 0);
        assert_eq!(pair.count(OWNER, "messages_ready"), 1);
    }
}

#[test]
fn a_subscription_that_closed_is_forgotten_when_what_it_gave_at_most_once_is_old() {
    for at in [OWNER, GUEST] {
        let mut pair = Pair::new();
        let session = pair.subscribe(at, &kept(300, 3_600_000));
        let (now, ticket, queue) = (pair.now(), pair.ticket(), pair.queue[OWNER]);
        let mut options = EnqueueOptions::default();
        options.terms.is_at_most_once = true;
        pair.rooms[OWNER].enqueue(now, ticket, queue, NewMessage::default(), options);
        assert!(pair.answer(ticket).is_ok());
        assert_eq!(pair.came(at).len(), 1);
        pair.unsubscribe(at, session, false);
        pair.pass(5_000);
        assert_eq!(pair.count(at, "sessions"), 0);
        assert_eq!(pair.count(at, "leases_kept"), 0);
    }
}

#[test]
fn a_consumer_that_shortens_a_kept_lease_does_not_lose_it() {
    let mut pair = Pair::new();
    pair.subscribe(OWNER, &kept(3_000, 3_600_000));
    pair.enqueue(10);
    let mail = pair.came(OWNER).remove(0);
    let (now, ticket) = (pair.now(), pair.ticket());
    pair.rooms[OWNER].extend(now, ticket, &mail.handle, Some(30));
    assert!(pair.answer(ticket).is_ok());
    pair.pass(10_000);
    assert!(pair.came(OWNER).is_empty());
}

#[test]
fn bytes_are_credit_too_and_one_message_is_always_allowed() {
    for at in [OWNER, GUEST] {
        let mut pair = Pair::new();
        let flow = Flow {
            credit: 100,
            credit_bytes: Some(250),
            ..Flow::default()
        };
        (0..10).for_each(|_| pair.enqueue(100));
        pair.enqueue(5_000);
        pair.enqueue(1);
        pair.subscribe(at, &flow);
        let mut held = pair.came(at);
        // Here the last one may go over the bound; a demand's answer stays within it.
        let most = if at == OWNER { 3 } else { 2 };
        let mut got = 0;
        while got < 12 {
            assert!(!held.is_empty() && held.len() <= 3, "{}", held.len());
            let bytes: usize = held.iter().map(|one| one.body.len()).sum();
            assert!(bytes < 250 + 5_000);
            if got == 0 {
                assert!(held.len() >= most);
            }
            let first = held.remove(0);
            assert!(pair.ack(at, &first.handle).is_ok());
            got += 1;
            held.extend(pair.came(at));
        }
        pair.pass(2_000);
        assert_eq!(pair.count(OWNER, "messages"), 0);
    }
}

#[test]
fn a_receive_that_nobody_waits_for_leaves_no_lease_behind() {
    let mut pair = Pair::new();
    let (now, ticket, queue) = (pair.now(), pair.ticket(), pair.queue[GUEST]);
    pair.rooms[GUEST].receive(now, ticket, queue, 10, 60_000, Some(3_600_000));
    pair.run();
    // The demand is at its owner, which answers it while the receive is given up.
    pair.rooms[OWNER].enqueue(
        now,
        Ticket(1_000),
        pair.queue[OWNER],
        NewMessage::default(),
        EnqueueOptions::default(),
    );
    pair.look(OWNER);
    pair.look(GUEST);
    let demand = pair.mail.remove(0);
    assert!(matches!(demand, (OWNER, Message::Demand(_))));
    pair.rooms[OWNER].hear(now, holder(GUEST).member, demand.1);
    pair.look(OWNER);
    assert_eq!(pair.count(OWNER, "messages_leased"), 1);
    pair.rooms[GUEST].cancel(ticket);
    pair.run();
    assert_eq!(pair.count(OWNER, "messages_ready"), 1);
    assert_eq!(pair.count(OWNER, "released"), 1);
    assert_eq!(pair.count(GUEST, "returned"), 1);
    assert_eq!(pair.count(GUEST, "demands"), 0);
}

#[test]
fn numbers_out_of_their_range_are_refused() {
    let mut pair = Pair::new();
    let flows = [
        Flow {
            credit_bytes: Some(0),
            ..kept(300, 1)
        },
        kept(300, 0),
        kept(300, limits::RUN_MS_MAX + 1),
    ];
    for flow in &flows {
        let (now, ticket, queue) = (pair.now(), pair.ticket(), pair.queue[OWNER]);
        pair.rooms[OWNER].subscribe(now, ticket, queue, flow);
        assert_eq!(pair.answer(ticket).unwrap_err().number(), 101);
    }
}
