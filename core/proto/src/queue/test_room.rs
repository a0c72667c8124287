//! A room played by hand: one member's, linked to Ann and Bob, who say what a test has them say.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::message::Message;
use super::{Out, Queues, Settings, limits};
use crate::base::{BootId, Chance, Instant, MemberId, MessageId, Now, QueueKey, StoreId, Ticket};
use crate::copies::{Holder, Holders, Item, Own, Repl, Section, rank};
use crate::queue::{Answer, EnqueueOptions, LeaseHint, Leased, NewMessage, OnShort, Reply};
use crate::wire::Ids;

pub(super) const ME: u64 = 1;
pub(super) const ANN: u64 = 2;
pub(super) const BOB: u64 = 3;

pub(super) fn holder(n: u64) -> Holder {
    Holder {
        member: MemberId(n.into()),
        store: StoreId(n),
    }
}

pub(super) fn holders(names: &[u64]) -> Holders {
    names.iter().map(|n| holder(*n)).collect()
}

pub(super) fn id_of(boot: u64, sequence: u64) -> MessageId {
    let origin = BootId(boot);
    MessageId { origin, sequence }
}

pub(super) struct Room {
    pub(super) queues: Queues,
    pub(super) queue: QueueKey,
    pub(super) now: u64,
    pub(super) tickets: u64,
    pub(super) sent: Vec<(MemberId, Message)>,
    pub(super) answers: BTreeMap<Ticket, Answer>,
    /// What came to subscriptions.
    pub(super) pushed: Vec<Leased>,
}

impl Room {
    /// Linked to Ann and Bob.
    pub(super) fn new() -> Self {
        Self::within(limits::MEMORY_BYTES_MAX)
    }

    /// The same, with that memory budget.
    pub(super) fn within(memory_bytes_max: u64) -> Self {
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
            inventory_after: limits::INVENTORY_MS,
            zone: crate::copies::Zone::default(),
            placing: crate::copies::Placing::Sticky,
            memory_bytes_max,
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
            pushed: Vec::new(),
        };
        for other in [ANN, BOB] {
            room.link(other, other);
        }
        room.pass(10);
        room.sent.clear();
        room
    }

    pub(super) fn link(&mut self, other: u64, boot: u64) {
        let (now, other) = (self.now(), holder(other));
        let boot = BootId(boot);
        self.queues
            .peer_linked(now, other.member, boot, other.store, &[]);
        self.look();
    }

    /// A member cannot be reached any more.
    pub(super) fn lose(&mut self, other: u64) {
        let (now, member) = (self.now(), holder(other).member);
        self.queues.peer_unlinked(now, member);
        self.queues.peer_reachable(now, member, false);
        self.look();
    }

    pub(super) fn now(&self) -> Now {
        Now {
            mono: Instant(self.now),
            wall_ms: 1_700_000_000_000 + self.now,
        }
    }

    pub(super) fn look(&mut self) {
        let now = self.now();
        self.queues.serve_freed(now);
        self.queues.audit().unwrap();
        let mut out = Vec::new();
        self.queues.swap_out(&mut out);
        for one in out {
            match one {
                Out::Send(to, message) => self.sent.push((to, *message)),
                Out::Reply(ticket, answer) => {
                    assert!(self.answers.insert(ticket, answer).is_none());
                }
                Out::Deliver(_, leased) => self.pushed.extend(leased),
                _ => {}
            }
        }
    }

    pub(super) fn pass(&mut self, until: u64) {
        while self.queues.next_wake() <= Instant(until) {
            self.now = self.now.max(self.queues.next_wake().0);
            let now = self.now();
            self.queues.wake(now);
            self.look();
        }
        self.now = until;
    }

    pub(super) fn hear(&mut self, from: u64, message: Message) {
        let now = self.now();
        self.queues.hear(now, holder(from).member, message);
        self.look();
    }

    /// One message with a copy at each of the others, all of them confirmed.
    pub(super) fn enqueue(&mut self) -> MessageId {
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
    pub(super) fn copy(&mut self) -> MessageId {
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

    pub(super) fn anns(&self, id: MessageId) -> Own {
        Own {
            epoch: 0,
            rank: rank(id, StoreId(ANN)),
            store: StoreId(ANN),
        }
    }

    /// Ann gave it out for the `attempts`th time: to `lessee`, for `remaining_ms`.
    pub(super) fn ann_gave(
        &mut self,
        id: MessageId,
        attempts: u32,
        (lessee, remaining_ms): (u64, u64),
    ) {
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
    pub(super) fn receive(&mut self, lease: u64) -> Ticket {
        let (now, queue) = (self.now(), self.queue);
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.queues
            .receive(now, ticket, queue, 1, 60_000, Some(lease));
        self.look();
        ticket
    }

    /// How often the message was given out that a receive got; none while it waits.
    pub(super) fn attempts(&mut self, ticket: Ticket) -> Option<u32> {
        match self.answers.remove(&ticket)? {
            Ok(Reply::Deliveries(leased)) => Some(leased[0].attempts),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn hints(&mut self) -> Vec<(MemberId, LeaseHint)> {
        let sent = core::mem::take(&mut self.sent);
        let hints = sent.into_iter().filter_map(|(to, message)| match message {
            Message::LeaseHint(hint) => Some((to, hint)),
            _ => None,
        });
        hints.collect()
    }
}
