//! One member's room that leaves, and two others that are played by hand: what is said of copies that
//! are on their way, dropped, or of messages that are over.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::*;
use crate::base::{BootId, Chance, MessageId, QueueKey};
use crate::copies::{Holders, Item, Repl, ReplOk, Section};
use crate::queue::message::Message;
use crate::queue::{Answer, EnqueueOptions, NewMessage, OnShort, Reply, Settings};

const ME: u64 = 1;
const ANN: u64 = 2;
const BOB: u64 = 3;

fn holder(n: u64) -> Holder {
    Holder {
        member: MemberId(n.into()),
        store: StoreId(n),
    }
}

fn holders(names: &[u64]) -> Holders {
    names.iter().map(|n| holder(*n)).collect()
}

struct Room {
    queues: Queues,
    queue: QueueKey,
    now: u64,
    sent: Vec<(MemberId, Message)>,
    answers: BTreeMap<Ticket, Answer>,
    has_left: bool,
    /// It is told so when its leave was in vain.
    is_evicted: bool,
}

impl Room {
    fn new(others: &[u64]) -> Self {
        let settings = Settings {
            me: holder(ME),
            boot: BootId(ME),
            copies: None,
            on_short: OnShort::Wait,
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
        let mut queues = Queues::new(settings, Now::default(), Chance::new(1));
        let queue = queues.queue("jobs").unwrap();
        let mut room = Self {
            queues,
            queue,
            now: 0,
            sent: Vec::new(),
            answers: BTreeMap::new(),
            has_left: false,
            is_evicted: false,
        };
        for other in others {
            let (now, other) = (room.now(), holder(*other));
            let boot = BootId(other.store.0);
            room.queues
                .peer_linked(now, other.member, boot, other.store, &[]);
        }
        room.pass(10);
        room.sent.clear();
        room
    }

    fn now(&self) -> Now {
        Now {
            mono: Instant(self.now),
            wall_ms: 1_700_000_000_000 + self.now,
        }
    }

    fn look(&mut self) {
        self.queues.audit().unwrap();
        let mut out = Vec::new();
        self.queues.swap_out(&mut out);
        for one in out {
            match one {
                Out::Send(to, message) => self.sent.push((to, *message)),
                Out::Reply(ticket, answer) => {
                    assert!(self.answers.insert(ticket, answer).is_none());
                }
                Out::Left(_) => self.has_left = true,
                Out::Stayed => {
                    let now = self.now();
                    if self.is_evicted {
                        self.queues.set_aside();
                        self.queues.reset(now, StoreId(9));
                    }
                    self.queues.resume(now);
                }
                _ => {}
            }
        }
        if self.queues.has_out() {
            self.look();
        }
    }

    /// Time passes, with every alarm at its time.
    fn pass(&mut self, until: u64) {
        while self.queues.next_wake() <= Instant(until) {
            self.now = self.now.max(self.queues.next_wake().0);
            let now = self.now();
            self.queues.wake(now);
            self.look();
        }
        self.now = until;
    }

    fn hear(&mut self, from: u64, message: Message) {
        let now = self.now();
        self.queues.hear(now, holder(from).member, message);
        self.look();
    }

    fn enqueue(&mut self, count: usize, copies: u16) {
        let (now, queue) = (self.now(), self.queue);
        let messages = (0..count).map(|_| NewMessage {
            body: "x".into(),
            headers: None,
        });
        let options = EnqueueOptions {
            copies: Some(copies),
            ..EnqueueOptions::default()
        };
        self.queues
            .enqueue_many(now, Ticket(1), queue, messages.collect(), options);
        self.look();
    }

    fn leave(&mut self, drain: Millis) {
        let now = self.now();
        self.queues.leave(now, Ticket(2), Some(drain), false);
        self.look();
    }

    /// What went to one of the others since the last look.
    fn sent_to(&mut self, n: u64) -> Vec<Message> {
        let to = holder(n).member;
        let sent = core::mem::take(&mut self.sent);
        let (to_it, rest) = sent.into_iter().partition(|(at, _)| *at == to);
        self.sent = rest;
        let to_it: Vec<(MemberId, Message)> = to_it;
        to_it.into_iter().map(|(_, message)| message).collect()
    }
}

fn id(sequence: u64) -> MessageId {
    id_of(ME, sequence)
}

fn id_of(boot: u64, sequence: u64) -> MessageId {
    let origin = BootId(boot);
    MessageId { origin, sequence }
}

/// An ownership after `epoch` takeovers.
fn own(id: MessageId, epoch: u32, store: u64) -> Own {
    let store = StoreId(store);
    Own {
        epoch,
        rank: rank(id, store),
        store,
    }
}

fn keeps(n: u64, ids: Ids, epoch: u32) -> Message {
    let store = StoreId(n);
    Message::ReplOk(ReplOk { ids, store, epoch })
}

fn claims(n: u64, sequence: u64, names: &[u64]) -> Message {
    Message::Claim(Claim {
        ids: Ids::one(id(sequence)),
        own: own(id(sequence), 1, n),
        holders: holders(names),
    })
}

#[test]
fn a_leave_keeps_what_an_enqueue_waits_for_until_that_is_answered() {
    let mut room = Room::new(&[ANN]);
    room.enqueue(1, 3);
    room.hear(ANN, keeps(ANN, Ids::one(id(1)), 0));
    // Two of three: it waits, and the other takes it over meanwhile.
    room.hear(ANN, claims(ANN, 1, &[ME, ANN]));
    let timeout = limits::ENQUEUE_TIMEOUT_MS;
    room.leave(4 * timeout);
    room.pass(timeout - 1);
    assert!(room.answers.is_empty(), "{:?}", room.answers);
    assert!(!room.has_left);
    room.pass(2 * timeout);
    let answer = room.answers.remove(&Ticket(1)).unwrap();
    assert_eq!(answer.unwrap_err().number(), 301);
}

#[test]
fn of_a_batch_one_that_was_taken_over_is_short_whatever_stores_are_lost() {
    let mut room = Room::new(&[ANN, BOB]);
    room.enqueue(2, 4);
    room.hear(ANN, keeps(ANN, Ids::range(BootId(ME), 1, 2), 0));
    room.hear(BOB, keeps(BOB, Ids::range(BootId(ME), 1, 2), 0));
    room.hear(ANN, claims(ANN, 2, &[ME, ANN, BOB]));
    let now = room.now();
    room.queues.peer_gone(now, holder(BOB).member);
    room.look();
    // The one that stayed is consumed; the other is neither that nor has it four copies.
    let done = super::super::Done {
        ids: Ids::one(id(1)),
        holders: holders(&[ME, ANN, BOB]),
        ending: super::super::Ending::Acked,
    };
    room.hear(ANN, Message::SetDone(done.clone()));
    assert!(room.answers.is_empty(), "{:?}", room.answers);
    // Consumed, too: then no copies are needed.
    let ids = Ids::one(id(2));
    room.hear(ANN, Message::SetDone(super::super::Done { ids, ..done }));
    let answer = room.answers.remove(&Ticket(1)).unwrap();
    assert!(matches!(answer, Ok(Reply::Receipts(receipts)) if receipts.len() == 2));
}

/// A copy that its first owner sends.
fn copy_of(copy: MessageId, names: &[u64]) -> Message {
    let mut section = Section::new(copy.origin, own(copy, 0, ANN), holders(names));
    section.items.push(Item {
        sequence: copy.sequence,
        stamp: crate::base::Stamp(1),
        attempts: 0,
        lease: 0,
        body: Some("x".into()),
        headers: None,
        terms: None,
    });
    Message::Repl(Repl {
        queue: "jobs".into(),
        section,
        wanted: 3,
        owed: Vec::new(),
    })
}

#[test]
fn a_copy_is_dropped_once_its_owner_says_that_it_has_one_and_the_others_hear_of_all() {
    let mut room = Room::new(&[ANN, BOB]);
    let copy = id_of(ANN, 1);
    room.hear(ANN, copy_of(copy, &[ANN, ME, BOB]));
    room.sent.clear();
    room.leave(1_000);
    let asked = room
        .sent_to(ANN)
        .into_iter()
        .any(|message| matches!(message, Message::Repl(repl) if repl.section.holders.len() == 3));
    assert!(asked && room.queues.slot(copy).is_some());
    room.hear(ANN, keeps(ANN, Ids::one(copy), 0));
    assert!(room.queues.slot(copy).is_none());
    let told = room.sent_to(BOB).into_iter().any(|message| {
        matches!(message, Message::Claim(claim)
            if claim.own.store == StoreId(ANN) && claim.holders.len() == 3)
    });
    assert!(told);
}

#[test]
fn who_keeps_a_copy_of_what_is_over_hears_so_once_it_says_that() {
    let mut room = Room::new(&[ANN]);
    room.enqueue(1, 1);
    let (now, queue) = (room.now(), room.queue);
    room.queues.receive(now, Ticket(3), queue, 1, 0, None);
    room.look();
    let Some(Ok(Reply::Deliveries(leased))) = room.answers.remove(&Ticket(3)) else {
        panic!("nothing came");
    };
    room.queues.ack(now, Ticket(4), &leased[0].handle);
    room.look();
    room.sent.clear();
    // Its word that it keeps a copy was under way for longer than the message lived.
    room.hear(ANN, keeps(ANN, Ids::one(id(1)), 0));
    let sent = room.sent_to(ANN);
    assert!(
        matches!(&sent[..], [Message::SetDone(done)] if done.ids == Ids::one(id(1))),
        "{sent:?}"
    );
}

#[test]
fn a_leave_that_fails_takes_no_message_away_from_its_owner() {
    let mut room = Room::new(&[ANN]);
    let copy = id_of(ANN, 1);
    room.hear(ANN, copy_of(copy, &[ANN, ME]));
    room.leave(1_000);
    room.pass(2_000);
    let answer = room.answers.remove(&Ticket(2)).unwrap();
    assert_eq!(answer.unwrap_err().number(), 205);
    let slot = room.queues.slot(copy).unwrap();
    assert_eq!((slot.place, slot.own.store), (Place::Standby, StoreId(ANN)));
}

#[test]
fn after_a_leave_that_failed_owners_hear_which_of_their_copies_are_still_held() {
    let mut room = Room::new(&[ANN]);
    let copy = id_of(ANN, 1);
    room.hear(ANN, copy_of(copy, &[ANN, ME]));
    room.leave(1_000);
    // The owner comes back while the copy is on its way to it, having finished the message meanwhile
    // without this store, which it had taken for gone.
    let (now, ann) = (room.now(), holder(ANN));
    room.queues.peer_unlinked(now, ann.member);
    room.queues
        .peer_linked(now, ann.member, BootId(ANN), ann.store, &[]);
    room.pass(900);
    room.sent.clear();
    room.pass(2_000);
    let answer = room.answers.remove(&Ticket(2)).unwrap();
    assert_eq!(answer.unwrap_err().number(), 205);
    let asks = room.sent_to(ANN).into_iter().any(|message| {
        matches!(message, Message::Claim(claim)
            if claim.ids == Ids::one(copy) && claim.own.store == StoreId(ANN))
    });
    assert!(asks, "nobody would ever end that copy");
}

#[test]
fn who_says_that_it_keeps_a_copy_is_asked_about_its_end_though_nobody_named_it() {
    let mut room = Room::new(&[ANN, BOB]);
    let copy = id_of(ANN, 1);
    // What Ann moves here she has given to Bob as well, and that word comes to her too late.
    let Message::Repl(mut repl) = copy_of(copy, &[ANN, ME]) else {
        panic!("no copy");
    };
    repl.section.own = own(copy, 1, ME);
    room.hear(ANN, Message::Repl(repl));
    room.hear(BOB, keeps(BOB, Ids::one(copy), 1));
    let (now, queue) = (room.now(), room.queue);
    room.queues.receive(now, Ticket(3), queue, 1, 0, None);
    // Its attempts are told before it goes out, and nobody answers.
    room.pass(room.now + limits::ANNOUNCE_MS);
    let now = room.now();
    let Some(Ok(Reply::Deliveries(leased))) = room.answers.remove(&Ticket(3)) else {
        panic!("nothing came");
    };
    room.sent.clear();
    room.queues.ack(now, Ticket(4), &leased[0].handle);
    room.look();
    let sent = room.sent_to(BOB);
    assert!(
        matches!(&sent[..], [Message::SetDone(done)] if done.ids == Ids::one(copy)),
        "{sent:?}"
    );
}

#[test]
fn what_is_given_out_at_most_once_lives_on_where_a_leave_moved_it() {
    let mut room = Room::new(&[ANN]);
    let (now, queue) = (room.now(), room.queue);
    let mut options = EnqueueOptions::default();
    options.terms.is_at_most_once = true;
    let message = NewMessage {
        body: "x".into(),
        headers: None,
    };
    room.queues.enqueue(now, Ticket(1), queue, message, options);
    room.look();
    room.sent.clear();
    room.leave(1_000);
    let sent = room.sent_to(ANN);
    let moved = sent.into_iter().find_map(|message| match message {
        Message::Repl(repl) => Some(repl),
        _ => None,
    });
    // Another room takes it in the place of Ann.
    let mut ann = Room::new(&[BOB]);
    let repl = moved.unwrap();
    let repl = Repl {
        section: Section {
            own: own(id(1), 1, ME),
            origin: BootId(ANN),
            holders: holders(&[ME]),
            ..repl.section
        },
        ..repl
    };
    for _ in 0..2 {
        ann.hear(BOB, Message::Repl(repl.clone()));
    }
    // Whoever moved it has finished with it, and would end it everywhere if asked.
    let sent = ann.sent_to(BOB);
    assert!(sent.is_empty(), "{sent:?}");
    let (now, queue) = (ann.now(), ann.queue);
    ann.queues.receive(now, Ticket(3), queue, 2, 0, None);
    ann.look();
    let given = ann.answers.remove(&Ticket(3));
    assert!(matches!(given, Some(Ok(Reply::Deliveries(given))) if given.len() == 1));
}

#[test]
fn what_a_forced_leave_is_about_to_drop_is_given_to_nobody() {
    for is_forced in [true, false] {
        let mut room = Room::new(&[ANN]);
        room.enqueue(1, 1);
        let (now, queue) = (room.now(), room.queue);
        room.queues
            .receive(now, Ticket(5), queue, 1, 0, Some(5_000));
        room.queues.receive(now, Ticket(6), queue, 1, 60_000, None);
        room.queues.peer_unlinked(now, holder(ANN).member);
        room.queues.leave(now, Ticket(2), Some(2_000), is_forced);
        room.look();
        // The process stood still meanwhile: the lease and the leave are over at one moment.
        room.now += 10_000;
        let now = room.now();
        room.queues.wake(now);
        room.look();
        assert_eq!(room.has_left, is_forced);
        let given = room.answers.remove(&Ticket(6));
        match given {
            None => assert!(is_forced),
            Some(Ok(Reply::Deliveries(given))) => assert_eq!((given.len(), is_forced), (1, false)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn who_was_evicted_while_it_left_in_vain_gives_nothing_out() {
    for is_evicted in [false, true] {
        let mut room = Room::new(&[ANN]);
        room.is_evicted = is_evicted;
        room.enqueue(1, 1);
        let (now, queue) = (room.now(), room.queue);
        room.queues
            .receive(now, Ticket(5), queue, 1, 0, Some(2_000));
        room.queues.receive(now, Ticket(6), queue, 1, 60_000, None);
        room.queues.peer_unlinked(now, holder(ANN).member);
        room.queues.leave(now, Ticket(2), Some(2_000), false);
        room.look();
        room.pass(room.now + 2_000);
        assert!(matches!(&room.answers[&Ticket(2)], Err(error) if error.number() == 205));
        let given = room.answers.remove(&Ticket(6));
        assert_eq!(given.is_none(), is_evicted, "{given:?}");
        assert_eq!(room.queues.aside(), usize::from(is_evicted));
    }
}
