//! What holders hear of leases and what becomes of it at a takeover; the other members are played by hand.

use super::*;
use crate::base::{Chance, StoreId, Ticket};
use crate::copies::Holder;
use crate::copies::{Item, Repl, Section, rank};
use crate::queue::{Answer, EnqueueOptions, NewMessage, OnShort, Out as Wanted, Reply, Settings};

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

fn id_of(boot: u64, sequence: u64) -> MessageId {
    let origin = BootId(boot);
    MessageId { origin, sequence }
}

struct Room {
    queues: Queues,
    queue: QueueKey,
    now: u64,
    tickets: u64,
    sent: Vec<(MemberId, Message)>,
    answers: BTreeMap<Ticket, Answer>,
}

impl Room {
    /// Linked to Ann and Bob.
    fn new() -> Self {
        let settings = Settings {
            me: holder(ME),
            boot: BootId(ME),
            copies: None,
            on_short: OnShort::Degrade,
            enqueue_timeout: limits::ENQUEUE_TIMEOUT_MS,
            lease: limits::LEASE_MS,
            max_attempts: 3,
            takeover_after: limits::TAKEOVER_AFTER_MS,
            repair_after: limits::REPAIR_AFTER_MS,
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
            tickets: 0,
            sent: Vec::new(),
            answers: BTreeMap::new(),
        };
        for other in [ANN, BOB] {
            room.link(other, other);
        }
        room.pass(10);
        room.sent.clear();
        room
    }

    fn link(&mut self, other: u64, boot: u64) {
        let (now, other) = (self.now(), holder(other));
        let boot = BootId(boot);
        self.queues
            .peer_linked(now, other.member, boot, other.store, &[]);
        self.look();
    }

    /// A member cannot be reached any more.
    fn lose(&mut self, other: u64) {
        let (now, member) = (self.now(), holder(other).member);
        self.queues.peer_unlinked(now, member);
        self.queues.peer_reachable(now, member, false);
        self.look();
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
                Wanted::Send(to, message) => self.sent.push((to, *message)),
                Wanted::Reply(ticket, answer) => {
                    assert!(self.answers.insert(ticket, answer).is_none());
                }
                _ => {}
            }
        }
    }

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

    /// One message with a copy at each of the others, all of them confirmed.
    fn enqueue(&mut self) -> MessageId {
        let (now, queue) = (self.now(), self.queue);
        self.tickets += 1;
        let options = EnqueueOptions {
            copies: Some(3),
            ..EnqueueOptions::default()
        };
        let message = NewMessage::default();
        self.queues
            .enqueue(now, Ticket(self.tickets), queue, message, options);
        self.look();
        let id = id_of(ME, self.tickets);
        for other in [ANN, BOB] {
            let ok = crate::copies::ReplOk {
                ids: Ids::one(id),
                store: StoreId(other),
                epoch: 0,
            };
            self.hear(other, Message::ReplOk(ok));
        }
        self.sent.clear();
        id
    }

    /// Ann's message, of which this member has a copy.
    fn copy(&mut self) -> MessageId {
        let id = id_of(ANN, 1);
        let own = self.anns(id);
        let mut section = Section::new(id.origin, own, holders(&[ANN, ME, BOB]));
        section.items.push(Item {
            sequence: id.sequence,
            stamp: crate::base::Stamp(1),
            attempts: 0,
            lease: 0,
            body: Some("x".into()),
            headers: None,
            terms: None,
        });
        let repl = Repl {
            queue: "jobs".into(),
            section,
            wanted: 3,
            owed: Vec::new(),
        };
        self.hear(ANN, Message::Repl(repl));
        self.sent.clear();
        id
    }

    fn anns(&self, id: MessageId) -> Own {
        Own {
            epoch: 0,
            rank: rank(id, StoreId(ANN)),
            store: StoreId(ANN),
        }
    }

    /// Ann gave it out for the `attempts`th time: to `lessee`, for `remaining_ms`.
    fn ann_gave(&mut self, id: MessageId, attempts: u32, (lessee, remaining_ms): (u64, u64)) {
        let hint = LeaseHint {
            own: self.anns(id),
            ids: Ids::one(id),
            attempts,
            remaining_ms,
            lessee: holder(lessee).member,
            boot: BootId(lessee),
            asks: false,
        };
        self.hear(ANN, Message::LeaseHint(hint));
    }

    /// A receive that waits; its ticket.
    fn receive(&mut self, lease: u64) -> Ticket {
        let (now, queue) = (self.now(), self.queue);
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.queues
            .receive(now, ticket, queue, 1, 60_000, Some(lease));
        self.look();
        ticket
    }

    /// How often the message was given out that a receive got; none while it waits.
    fn attempts(&mut self, ticket: Ticket) -> Option<u32> {
        match self.answers.remove(&ticket)? {
            Ok(Reply::Deliveries(leased)) => Some(leased[0].attempts),
            other => panic!("{other:?}"),
        }
    }

    fn hints(&mut self) -> Vec<(MemberId, LeaseHint)> {
        let sent = core::mem::take(&mut self.sent);
        let hints = sent.into_iter().filter_map(|(to, message)| match message {
            Message::LeaseHint(hint) => Some((to, hint)),
            _ => None,
        });
        hints.collect()
    }
}

#[test]
fn a_lease_that_lasts_is_told_to_every_holder_and_a_short_one_to_nobody() {
    let mut room = Room::new();
    let id = room.enqueue();
    let ticket = room.receive(5_000);
    let taken = match room.answers.remove(&ticket) {
        Some(Ok(Reply::Deliveries(mut taken))) => taken.remove(0),
        other => panic!("{other:?}"),
    };
    room.pass(room.now + limits::LEASE_HINT_MS);
    let hints = room.hints();
    let told: Vec<MemberId> = hints.iter().map(|(to, _)| *to).collect();
    assert_eq!(told, [holder(ANN).member, holder(BOB).member]);
    let hint = &hints[0].1;
    assert!(hint.ids.iter().eq([id]) && !hint.asks);
    assert_eq!((hint.attempts, hint.lessee), (1, holder(ME).member));
    assert!((4_980..=5_000).contains(&hint.remaining_ms), "{hint:?}");
    // The next one is settled before anybody has to know.
    let now = room.now();
    room.queues.ack(now, Ticket(90), &taken.handle);
    let second = room.enqueue();
    room.receive(5_000);
    let handle = crate::queue::Handle {
        id: second,
        ..taken.handle
    };
    room.queues.ack(now, Ticket(91), &handle);
    room.look();
    room.pass(room.now + 2 * limits::LEASE_HINT_MS);
    assert_eq!(room.hints(), []);
}

#[test]
fn what_was_out_when_its_owner_went_is_given_to_nobody_before_that_lease_is_over() {
    let mut room = Room::new();
    let id = room.copy();
    room.ann_gave(id, 1, (BOB, 25_000));
    let end = room.now + 25_000;
    room.lose(ANN);
    let ticket = room.receive(1_000);
    room.pass(end - 1);
    assert!(room.queues.glimpse(id).unwrap().is_owned);
    assert_eq!(room.attempts(ticket), None);
    assert_eq!(room.queues.counters.takeovers_leased, 1);
    room.pass(end + limits::ANNOUNCE_MS);
    assert_eq!(room.attempts(ticket), Some(2));
}

#[test]
fn whoever_waits_for_a_consumer_hears_that_its_process_ended() {
    for comes_back in [false, true] {
        let mut room = Room::new();
        let id = room.copy();
        room.ann_gave(id, 1, (BOB, 600_000));
        room.lose(ANN);
        let ticket = room.receive(1_000);
        room.pass(room.now + 2 * limits::TAKEOVER_AFTER_MS);
        assert_eq!(room.attempts(ticket), None);
        if comes_back {
            room.link(BOB, 77);
            room.pass(room.now + limits::ANNOUNCE_MS);
        } else {
            room.lose(BOB);
        }
        assert_eq!(room.attempts(ticket), Some(2), "{comes_back}");
    }
}

#[test]
fn a_consumer_that_went_with_its_owner_is_not_waited_for() {
    let mut room = Room::new();
    let id = room.copy();
    room.ann_gave(id, 1, (ANN, 600_000));
    room.lose(ANN);
    let ticket = room.receive(1_000);
    room.pass(room.now + 2 * limits::TAKEOVER_AFTER_MS);
    assert_eq!(room.attempts(ticket), Some(2));
}

#[test]
fn a_delivery_after_a_takeover_waits_until_a_holder_knows_of_it() {
    let mut room = Room::new();
    let id = room.copy();
    room.lose(ANN);
    room.pass(room.now + 2 * limits::TAKEOVER_AFTER_MS);
    room.sent.clear();
    let ticket = room.receive(30_000);
    let hints = room.hints();
    let asked: Vec<MemberId> = hints.iter().map(|(to, _)| *to).collect();
    assert_eq!(asked, [holder(BOB).member]);
    assert!(hints[0].1.asks && hints[0].1.attempts == 1);
    assert_eq!(room.attempts(ticket), None, "it waits");
    let ids = Ids::one(id);
    room.hear(BOB, Message::HintOk(HintOk { ids, attempts: 1 }));
    assert_eq!(room.attempts(ticket), Some(1));
    // It fails: the next time waits, too, but not for ever where nobody answers.
    let ticket = room.receive(1_000);
    room.pass(room.now + 30_000 - 1);
    room.sent.clear();
    room.pass(room.now + 1);
    assert!(room.hints().iter().all(|(_, hint)| hint.attempts == 2));
    assert_eq!(room.attempts(ticket), None);
    room.pass(room.now + limits::ANNOUNCE_MS);
    assert_eq!(room.attempts(ticket), Some(2));
}

#[test]
fn a_message_that_ended_each_of_its_owners_is_a_dead_letter_in_the_end() {
    let mut room = Room::new();
    let id = room.copy();
    let hint = LeaseHint {
        own: room.anns(id),
        ids: Ids::one(id),
        attempts: 3,
        remaining_ms: 0,
        lessee: MemberId(0),
        boot: BootId(0),
        asks: true,
    };
    room.hear(ANN, Message::LeaseHint(hint));
    let answer = room.sent.pop();
    assert!(matches!(answer, Some((_, Message::HintOk(ok))) if ok.attempts == 3));
    room.lose(ANN);
    let ticket = room.receive(1_000);
    room.pass(room.now + 3 * limits::TAKEOVER_AFTER_MS);
    assert_eq!(room.attempts(ticket), None, "nobody tries it again");
    assert_eq!(room.queues.counters.dead_letters, 1);
}

#[test]
fn a_hint_by_one_that_owns_it_no_more_says_nothing() {
    let mut room = Room::new();
    let id = room.copy();
    let hint = LeaseHint {
        own: Own {
            epoch: 4,
            ..room.anns(id)
        },
        ids: Ids::one(id),
        attempts: 9,
        remaining_ms: 600_000,
        lessee: holder(BOB).member,
        boot: BootId(BOB),
        asks: true,
    };
    room.hear(BOB, Message::LeaseHint(hint));
    assert_eq!(room.sent, [], "not even an answer");
    assert_eq!(room.queues.glimpse(id).unwrap().attempts, 0);
}
