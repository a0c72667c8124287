//! The users of every member: who they are, what they wait for, what they hold.
//!
//! Users live in their member's process, as users of an embedded queue do: they end with it, and the
//! next life has new ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use primer_check::{Kind, Short, Value, Verb};
use primer_proto::Input;
use primer_proto::base::{Error, SessionId, Ticket};
use primer_proto::engine::{
    Answer, Command, Event, EventKind, Flow, Handle, OnShort, Reply, ReplyTo, Spot,
};

use crate::agenda::{MS, Micros, SECOND};
use crate::browse::Asked;
use crate::fan::Owed;
use crate::ledger::About;
use crate::once;
use crate::plan::Class;
use crate::returns::{self, Turn};
use crate::told;
use crate::world::{Local, Phase, World};

/// What a user does at a moment.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A producer's next call.
    Produce(usize),
    /// A consumer's next receive, or its subscription.
    Consume(usize),
    /// A consumer settles what it holds under that number.
    Settle(u64, How),
    /// A consumer acks several at once.
    AckMany(Vec<u64>),
    /// Nobody waits any more.
    Cancel(Ticket),
    /// A consumer ends without a word.
    Die(usize),
    /// A subscriber wants more at a time.
    Credit(usize),
    /// Look at a queue, or at the next page of one.
    Browse(Option<(usize, Spot)>),
    /// Messages die and come back.
    Return(Turn),
    /// Orders are put in again and again.
    Once(once::Turn),
    /// Use a queue that is told things, or tell it one.
    Told(told::Turn),
    /// The load is over.
    Retire,
    /// Join again after a failure, or after a leave.
    Join,
    /// Join the first member that listens.
    Bridge,
    /// Decide about what is set aside.
    Reclaim,
    /// Write a key.
    Write,
    /// Say something.
    Tell,
    /// The drain's receive on a queue.
    Drain(usize),
}

/// How a delivery is settled.
#[derive(Clone, Debug)]
pub(crate) enum How {
    Ack,
    /// As ack, and the delivery is kept for a second one.
    AckAndKeep,
    Nack(Option<u64>),
    Reject(String),
    Release,
    Extend(Option<u64>),
}

/// What an answer is for.
#[derive(Debug)]
pub(crate) enum What {
    Joined,
    Join,
    Enqueue {
        client: usize,
        queue: usize,
        values: Vec<Value>,
        on_short: Short,
        owed: Owed,
    },
    /// How long it takes is all that matters.
    Timed,
    /// Of which client, in which queue, with which value.
    Call(usize, usize, Value),
    Receive {
        client: usize,
        queue: usize,
        max: u32,
        wait: u64,
    },
    Subscribe {
        client: usize,
        flow: Flow,
    },
    Unsubscribe(SessionId),
    Credit,
    Settle {
        f: Verb,
        held: Vec<Held>,
    },
    Browse(Asked),
    /// A question about a message, or about a queue.
    Explain,
    Return(returns::Asked),
    Told(told::Asked),
    Once(once::Asked),
    Drain {
        queue: usize,
    },
    Write {
        key: String,
        value: Option<Bytes>,
        seen: Vec<Bytes>,
    },
    Tell,
    Leave,
    Evict,
    Bridge,
    Reclaim,
}

/// A question without an answer yet.
pub(crate) struct Pending {
    pub seat: usize,
    pub asked: Micros,
    pub what: What,
    pub is_cancelled: bool,
}

/// One user.
pub(crate) struct Client {
    pub process: u64,
    pub seat: usize,
    pub queue: usize,
    pub role: Role,
    pub is_retired: bool,
    /// Its last value's counter.
    pub counter: u64,
    /// Its unanswered enqueues.
    pub open: u32,
}

/// What a user does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Producer,
    Puller,
    Subscriber,
}

/// A delivery that a consumer has.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub seat: usize,
    pub queue: usize,
    pub process: u64,
    pub value: Value,
    pub handle: Handle,
    /// Who waits for a reply.
    pub to: Option<ReplyTo>,
    pub arrived: Micros,
    pub lease_ms: u64,
    /// The consumer has settled it; it is kept to settle it again.
    pub is_settled: bool,
    /// The consumer will never settle it: its lease will run out.
    pub is_forgotten: bool,
    /// Its member extends its lease until then.
    pub kept_until: Micros,
}

/// An open subscription.
pub(crate) struct Session {
    pub client: usize,
    pub credit: u32,
    pub credit_bytes: Option<u64>,
    pub max_run: Micros,
    pub is_closed: bool,
}

/// Everybody.
#[derive(Default)]
pub(crate) struct Users {
    pub clients: Vec<Client>,
    pub held: BTreeMap<u64, Held>,
    pub sessions: BTreeMap<(usize, SessionId), Session>,
    pub queue_names: Vec<Arc<str>>,
    tickets: BTreeMap<Ticket, Pending>,
    next_process: u64,
    next_held: u64,
}

impl Users {
    /// Notes a question before it is asked.
    pub fn expect(&mut self, ticket: Ticket, seat: usize, asked: Micros, what: What) {
        let pending = Pending {
            seat,
            asked,
            what,
            is_cancelled: false,
        };
        self.tickets.insert(ticket, pending);
    }

    /// Keeps a delivery; answers its number.
    pub fn hold(&mut self, held: Held) -> u64 {
        self.next_held += 1;
        self.held.insert(self.next_held, held);
        self.next_held
    }

    /// Questions that nobody has answered and nobody has given up.
    pub fn unanswered(&self) -> impl Iterator<Item = (&Ticket, &Pending)> {
        self.tickets
            .iter()
            .filter(|(_, pending)| !pending.is_cancelled)
    }

    /// Nobody waits for that any more, and no answer may come; false when it came already.
    pub fn give_up(&mut self, ticket: Ticket) -> bool {
        self.tickets.remove(&ticket).is_some()
    }

    pub fn add(&mut self, seat: usize, queue: usize, role: Role) -> usize {
        self.next_process += 1;
        self.clients.push(Client {
            process: self.next_process,
            seat,
            queue,
            role,
            is_retired: false,
            counter: 0,
            open: 0,
        });
        self.clients.len() - 1
    }
}

impl World {
    /// The users of a new process.
    pub fn people(&mut self, seat: usize) {
        if self.users.queue_names.is_empty() {
            let names = (0..self.queue_count()).map(|queue| self.shown_name(queue).into());
            self.users.queue_names = names.collect();
        }
        if self.phase != Phase::Load {
            return;
        }
        self.talkers(seat);
        let members = self.plan.seats();
        for _ in (0..self.plan.producers).filter(|place| place % members == seat) {
            let queue = self.user_dice.index(self.plan.queues);
            let client = self.users.add(seat, queue, Role::Producer);
            self.later(seat, 500 * MS, Act::Produce(client));
        }
        // Counted from the other end, so that few consumers and few producers sit apart.
        for _ in (0..self.plan.consumers).filter(|place| place % members == members - 1 - seat) {
            let queue = self.user_dice.index(self.plan.queues);
            let role = if self.user_dice.coin() {
                Role::Puller
            } else {
                Role::Subscriber
            };
            let client = self.users.add(seat, queue, role);
            self.later(seat, 500 * MS, Act::Consume(client));
        }
        self.group_people(seat);
        self.browsers(seat);
        self.letter_people(seat);
        self.returners(seat);
        self.told_people(seat);
        self.once_people(seat);
    }

    /// An act of a user of that member, some time within `within`.
    pub fn later(&mut self, seat: usize, within: Micros, act: Act) {
        let at = self.now + self.user_dice.below(within.max(1));
        self.local_now(at, seat, Local::User(act));
    }

    /// A user acts.
    pub fn act(&mut self, seat: usize, act: Act) {
        match act {
            Act::Produce(client) => self.produce(seat, client),
            Act::Consume(client) => self.consume(seat, client),
            Act::Settle(number, how) => self.settle(seat, number, how),
            Act::AckMany(numbers) => self.ack_many(seat, &numbers),
            Act::Cancel(ticket) => self.cancel(seat, ticket),
            Act::Die(client) => self.die(seat, client),
            Act::Credit(client) => self.raise_credit(seat, client),
            Act::Browse(after) => self.browse(seat, after),
            Act::Return(turn) => self.return_turn(seat, turn),
            Act::Once(turn) => self.once_turn(seat, turn),
            Act::Told(turn) => self.told_turn(seat, turn),
            Act::Retire => self.retire(seat),
            Act::Join => self.rejoin(seat),
            Act::Bridge => self.bridge(seat),
            Act::Reclaim => self.reclaim(seat),
            Act::Write => self.write_key(seat),
            Act::Tell => self.tell_topic(seat),
            Act::Drain(queue) => self.drain_queue(seat, queue),
        }
    }

    /// An engine answers.
    pub fn answered(&mut self, seat: usize, ticket: Ticket, answer: Answer) {
        let Some(pending) = self.users.tickets.remove(&ticket) else {
            self.violation("answer", format!("m{seat} answers {ticket:?} again"));
            return;
        };
        if pending.seat != seat {
            self.violation("answer", format!("m{seat} answers another's {ticket:?}"));
            return;
        }
        if let Err(error) = &answer
            && error.number() >= 500
        {
            self.violation("answer", format!("m{seat}, {:?}: {error}", pending.what));
        }
        let (asked, what, is_cancelled) = (pending.asked, pending.what, pending.is_cancelled);
        match what {
            What::Timed => self.timed.push(self.now - asked),
            What::Joined => self.must_be_done(seat, "joined", &answer),
            What::Join if answer.is_err() => self.later(seat, 2 * SECOND, Act::Join),
            What::Bridge if answer.is_err() => self.later(seat, 2 * SECOND, Act::Bridge),
            What::Join | What::Bridge | What::Credit => {}
            What::Enqueue {
                client,
                queue,
                values,
                on_short,
                owed,
            } => self.enqueued((seat, client, queue), (&values, &owed), on_short, answer),
            What::Call(client, queue, value) => self.called((seat, client, queue), value, answer),
            What::Receive { .. } if is_cancelled => self.received_too_late(seat, &answer),
            What::Receive {
                client,
                queue,
                max,
                wait,
            } => self.received((seat, client, queue), (max, wait, asked), answer),
            What::Subscribe { client, flow } => self.subscribed(seat, client, &flow, &answer),
            What::Unsubscribe(session) => {
                self.must_be_done(seat, "unsubscribe", &answer);
                if let Some(session) = self.users.sessions.get_mut(&(seat, session)) {
                    session.is_closed = true;
                }
            }
            What::Settle { f, held } => self.settled(seat, f, &held, answer),
            What::Browse(asked) => self.browsed(seat, &asked, answer),
            What::Explain => self.explained(seat, answer),
            What::Return(asked) => self.return_answered(seat, &asked, answer),
            What::Once(asked) => self.once_answered(seat, &asked, answer),
            What::Told(asked) => self.told_answered(seat, &asked, answer),
            What::Drain { queue } => self.drained(seat, queue, answer),
            What::Write { key, value, seen } => self.written(seat, key, value, &seen, &answer),
            What::Leave => self.has_left(seat, &answer),
            What::Reclaim => self.reclaimed(seat, &answer),
            // Another one may have evicted or retired it first.
            What::Evict => self.odd_unless(seat, "evict", &answer, 102),
            What::Tell => self.odd_unless(seat, "broadcast", &answer, 203),
        }
    }

    /// An answer that may be an error of one kind.
    fn odd_unless(&mut self, seat: usize, verb: &str, answer: &Answer, number: u16) {
        if let Err(error) = answer
            && error.number() != number
        {
            self.odd_answer(seat, verb, error);
        }
    }

    fn must_be_done(&mut self, seat: usize, verb: &str, answer: &Answer) {
        if !matches!(answer, Ok(Reply::Done)) {
            self.violation("answer", format!("m{seat}: {verb} answered {answer:?}"));
        }
    }

    /// An answer that none of the verb's documented ones is.
    pub fn odd_answer(&mut self, seat: usize, verb: &str, error: &Error) {
        self.violation("answer", format!("m{seat}: {verb} answered {error}"));
    }

    /// A process ended: so do its users, and nobody knows how their calls ended.
    pub fn bury(&mut self, seat: usize) {
        for client in &mut self.users.clients {
            client.is_retired |= client.seat == seat;
        }
        let held = std::mem::take(&mut self.users.held);
        let (theirs, others) = held.into_iter().partition(|(_, held)| held.seat == seat);
        self.users.held = others;
        // Its leases end when the next life shows itself to their owners.
        for held in BTreeMap::into_values(theirs) {
            self.settle_asked(&held, Verb::Release);
        }
        self.users.sessions.retain(|(at, _), _| *at != seat);
        let tickets = std::mem::take(&mut self.users.tickets);
        for (ticket, pending) in tickets {
            if pending.seat != seat {
                self.users.tickets.insert(ticket, pending);
                continue;
            }
            let (client, queue, values) = match pending.what {
                What::Enqueue {
                    client,
                    queue,
                    values,
                    ..
                } => (client, queue, values),
                What::Call(client, queue, value) => (client, queue, vec![value]),
                _ => continue,
            };
            for value in values {
                self.record_enqueue((seat, client, queue), value, Kind::Info, None);
            }
        }
    }

    /// The load is over: producers stop, consumers finish what they have.
    fn retire(&mut self, seat: usize) {
        for client in &mut self.users.clients {
            client.is_retired |= client.seat == seat;
        }
        let waiting = self.users.unanswered();
        let receives = waiting.filter(|(_, pending)| {
            pending.seat == seat && matches!(pending.what, What::Receive { .. })
        });
        let receives: Vec<Ticket> = receives.map(|(ticket, _)| *ticket).collect();
        for ticket in receives {
            self.cancel(seat, ticket);
        }
        let open = self.users.sessions.iter();
        let open = open.filter(|((at, _), session)| *at == seat && !session.is_closed);
        let open: Vec<SessionId> = open.map(|((_, session), _)| *session).collect();
        for session in open {
            let abandon = !self.plan.is_pristine && self.user_dice.coin();
            self.unsubscribe(seat, session, abandon);
        }
    }

    fn cancel(&mut self, seat: usize, ticket: Ticket) {
        let Some(pending) = self.users.tickets.get_mut(&ticket) else {
            return;
        };
        pending.is_cancelled = true;
        let What::Receive { client, .. } = pending.what else {
            return;
        };
        self.sometimes.hit("receive cancelled");
        self.feed(seat, Input::Cancel(ticket));
        self.later(seat, 200 * MS, Act::Consume(client));
    }

    /// Ends a subscription; with `abandon` the consumer's deliveries go back.
    pub fn unsubscribe(&mut self, seat: usize, session: SessionId, abandon: bool) {
        if abandon {
            let held = &self.users.held;
            let theirs = held
                .iter()
                .filter(|(_, held)| held.seat == seat && held.handle.session == Some(session));
            let theirs: Vec<u64> = theirs.map(|(number, _)| *number).collect();
            for number in theirs {
                if let Some(held) = self.users.held.remove(&number) {
                    self.settle_asked(&held, Verb::Release);
                }
            }
        }
        let command = Command::Unsubscribe { session, abandon };
        self.ask(seat, command, What::Unsubscribe(session));
    }

    /// What the host is told.
    pub fn told(&mut self, seat: usize, event: &Event) {
        if matches!(event.kind, EventKind::Suspect | EventKind::Unreachable) {
            self.note_doubt(seat, event.member);
        }
        match event.kind {
            EventKind::Takeover => self.sometimes.hit("takeover"),
            EventKind::Unreachable if self.agreed_at.is_some() => {
                let detail = format!("m{seat} lost {} though nothing fails any more", event.name);
                self.violation("flap", detail);
            }
            EventKind::Evicted if event.member == self.seats[seat].member => {
                let is_own = event.detail.contains("set aside");
                if is_own {
                    self.was_evicted(seat);
                }
            }
            EventKind::Suspect => self.sometimes.hit("member suspected"),
            EventKind::Split => self.sometimes.hit("split told"),
            EventKind::Healed => self.sometimes.hit("heal told"),
            EventKind::Left if self.is_set_changing() => self.saw_leave(seat, event),
            EventKind::Left => {
                self.violation("membership", format!("m{seat} saw {} leave", event.name));
            }
            // A fast restart may meet its own ghost; after the heal there is none.
            EventKind::Conflict if self.agreed_at.is_some() => {
                self.violation("conflict", format!("m{seat}: {}", event.detail));
            }
            _ => {}
        }
    }

    /// Members may go out of the set on purpose.
    fn is_set_changing(&self) -> bool {
        let classes = [Class::Leave, Class::Evict, Class::Retire];
        classes.iter().any(|class| self.plan.has(*class))
    }

    /// A process learnt that a link is gone.
    pub fn note_unlinked(&mut self, seat: usize) {
        let mut open = self.users.unanswered();
        let is_replicating = open.any(|(_, pending)| {
            pending.seat == seat && matches!(pending.what, What::Enqueue { .. })
        });
        if is_replicating {
            self.sometimes.hit("link reset during replication");
        }
    }

    /// What a record of that client is about.
    pub fn about(&self, seat: usize, client: usize, queue: usize, value: Value) -> About {
        About {
            seat,
            process: self.users.clients.get(client).map_or(0, |c| c.process),
            queue,
            value: Some(value),
        }
    }

    /// Whether users of that kind make trouble now.
    pub fn is_troubled(&mut self, class: Class, percent: u64) -> bool {
        self.plan.has(class) && self.phase == Phase::Load && self.user_dice.percent(percent)
    }
}

/// The same in the history's words.
pub(crate) fn short_of(on_short: OnShort) -> Short {
    match on_short {
        OnShort::Degrade => Short::Degrade,
        OnShort::Fail => Short::Fail,
        OnShort::Wait => Short::Wait,
    }
}
