//! Consumers: they pull and subscribe, work, and settle well or badly.

use std::collections::{BTreeMap, BTreeSet};

use primer_check::{Extra, Hex, Kind, Verb};
use primer_proto::base::{LinkId, MessageId, SessionId, StoreId};
use primer_proto::engine::{Answer, Command, Flow, Leased, Message, Reply};
use primer_proto::queue::{Deliver, Message as QueueMessage};

use crate::agenda::{MS, Micros};
use crate::fan::written;
use crate::ledger::{LeaseName, id_of};
use crate::plan::Class;
use crate::producer::body_of;
use crate::users::{Act, Held, How, Role, Session, What};
use crate::world::{Local, Phase, World};

/// Longest lease a consumer of the drain needs: it acks at once.
const DRAIN_LEASE_MS: u64 = 30_000;
/// Messages that a receive of the drain takes.
const DRAIN_MAX: u32 = 256;
/// How long a receive of the drain waits.
const DRAIN_WAIT_MS: u64 = 500;

/// Where deliveries come to: member, client, queue.
type Place = (usize, usize, usize);

impl World {
    fn draw_lease(&mut self) -> u64 {
        let (low, high) = self.plan.lease;
        self.user_dice.range(low, high)
    }

    fn draw_flow(&mut self, lease: Option<u64>) -> Flow {
        let credit = self.user_dice.range(1, 32) as u32;
        let mut flow = Flow {
            credit,
            lease,
            ..Flow::default()
        };
        if self.is_troubled(Class::Keep, 70) {
            // Some runs end while the consumer works.
            flow.max_run = Some(self.user_dice.range(1_000, 20_000));
            let bytes = self.user_dice.range(1, 2_000);
            flow.credit_bytes = self.user_dice.coin().then_some(bytes);
        }
        flow
    }

    /// A consumer's next receive, or its subscription.
    pub fn consume(&mut self, seat: usize, client: usize) {
        let place = &self.users.clients[client];
        if place.is_retired || self.phase != Phase::Load {
            return;
        }
        let (queue, role) = (place.queue, place.role);
        let lease = Some(self.draw_lease());
        let Some((key, group)) = self.place_of(seat, queue) else {
            return;
        };
        if role == Role::Subscriber {
            let flow = self.draw_flow(lease);
            let command = Command::Subscribe {
                queue: key,
                flow: flow.clone(),
                group,
            };
            self.ask(seat, command, What::Subscribe { client, flow });
            return;
        }
        let max = self.user_dice.range(1, 16) as u32;
        let wait = self.user_dice.pick(&[0, 0, 50, 500, 3_000]).unwrap_or(0);
        let command = Command::Receive {
            queue: key,
            max,
            wait,
            lease,
            group,
        };
        let what = What::Receive {
            client,
            queue,
            max,
            wait,
        };
        let ticket = self.ask(seat, command, what);
        if self.is_troubled(Class::Cancel, 25) {
            self.later(seat, (wait + 50) * MS, Act::Cancel(ticket));
        }
    }

    /// Notes what only an onlooker can know later: who was ever sent a copy of a message, and when
    /// an owner gave a lease to another member.
    pub fn note_sent(&mut self, seat: usize, link: LinkId, message: &Message) {
        let Message::Queue(message) = message else {
            return;
        };
        match message.as_ref() {
            QueueMessage::Deliver(deliver) => self.note_given(seat, deliver),
            QueueMessage::ReplOk(ok) => {
                for id in ok.ids.iter() {
                    let stores = self.ledger.confirmed.entry(id).or_default();
                    if !stores.contains(&ok.store) {
                        stores.push(ok.store);
                    }
                }
            }
            QueueMessage::SetDone(done) | QueueMessage::DoneOk(done) => self.ended_late(&done.ids),
            QueueMessage::Taken(taken) => self.note_receipts(taken),
            QueueMessage::Recall(recall) => self.note_recall(seat, recall),
            QueueMessage::Recalled(recalled) => self.note_recalled(recalled),
            QueueMessage::Repl(repl) => {
                let ids = self.ids_of(repl);
                // Sent is sent, also to one whose process is gone.
                ids.iter().for_each(|id| self.note_moved(*id));
                let Some(store) = self.store_behind(link) else {
                    return;
                };
                for id in ids {
                    let stores = self.ledger.sent.entry(id).or_default();
                    if !stores.contains(&store) {
                        stores.push(store);
                    }
                }
            }
            _ => {}
        }
    }

    fn note_given(&mut self, seat: usize, deliver: &Deliver) {
        let Some(store) = self.life(seat).map(|life| life.store) else {
            return;
        };
        for section in &deliver.sections {
            if section.own.store != store {
                let detail = format!("m{seat} gives a lease in the name of {}", section.own.store);
                self.violation("lease", detail);
            }
            for (id, item) in section.ids().zip(&section.items) {
                let name = (id, section.own.store, section.own.epoch, item.lease);
                self.note_lease(seat, name, item.attempts);
                self.note_told_given(seat, id, item.stamp);
                if self.ledger.given.insert(name, self.now).is_some() {
                    self.violation("lease", format!("m{seat} gives {name:?} twice"));
                }
            }
        }
    }

    /// A receive ends.
    pub fn received(&mut self, place: Place, asked: (u32, u64, Micros), answer: Answer) {
        let (seat, client, _) = place;
        let (max, wait, asked_at) = asked;
        let leased = match answer {
            Ok(Reply::Deliveries(leased)) => leased,
            Ok(other) => {
                self.violation("answer", format!("m{seat}: receive answered {other:?}"));
                return;
            }
            Err(error) => return self.odd_answer(seat, "receive", &error),
        };
        if leased.len() > max as usize {
            let detail = format!("m{seat}: {} of at most {max} messages", leased.len());
            self.violation("receive", detail);
        }
        let waited = self.now - asked_at;
        if leased.is_empty() && waited + 2 * MS < wait * MS {
            let detail = format!("m{seat}: empty after {} of {wait} ms", waited / MS);
            self.violation("receive", detail);
        }
        if !leased.is_empty() && wait > 0 && waited > 20 * MS {
            self.sometimes.hit("receive waited and got some");
        }
        let next = if leased.is_empty() && wait == 0 {
            100
        } else {
            5
        };
        let think = self.user_dice.exponential(self.plan.work) * leased.len() as u64;
        self.local_now(
            self.now + think + next * MS,
            seat,
            Local::User(Act::Consume(client)),
        );
        self.take_all(place, leased);
    }

    /// An answer to a receive that nobody waited for any more.
    pub fn received_too_late(&mut self, seat: usize, answer: &Answer) {
        if let Ok(Reply::Deliveries(leased)) = answer
            && !leased.is_empty()
        {
            let detail = format!("m{seat}: {} messages after a cancel", leased.len());
            self.violation("cancel", detail);
        }
    }

    /// A subscription is open.
    pub fn subscribed(&mut self, seat: usize, client: usize, flow: &Flow, answer: &Answer) {
        let Ok(Reply::Session(session)) = answer else {
            self.violation("answer", format!("m{seat}: subscribe answered {answer:?}"));
            return;
        };
        let place = Session {
            client,
            credit: flow.credit,
            credit_bytes: flow.credit_bytes,
            max_run: flow.max_run.unwrap_or_default() * MS,
            is_closed: false,
        };
        if self
            .users
            .sessions
            .insert((seat, *session), place)
            .is_some()
        {
            self.violation("session", format!("m{seat} uses {session:?} again"));
        }
        if self.users.clients[client].is_retired {
            self.unsubscribe(seat, *session, false);
            return;
        }
        if self.is_troubled(Class::Die, 60) {
            self.later(seat, 15_000 * MS, Act::Die(client));
        } else if self.user_dice.coin() {
            self.later(seat, 10_000 * MS, Act::Credit(client));
        }
    }

    fn session_of(&self, seat: usize, client: usize) -> Option<SessionId> {
        let sessions = self.users.sessions.iter();
        let mut open = sessions.filter(|((at, _), session)| {
            *at == seat && session.client == client && !session.is_closed
        });
        open.next().map(|((_, id), _)| *id)
    }

    /// A subscriber wants more at a time.
    pub fn raise_credit(&mut self, seat: usize, client: usize) {
        let Some(id) = self.session_of(seat, client) else {
            return;
        };
        let more = self.user_dice.range(1, 16) as u32;
        if let Some(session) = self.users.sessions.get_mut(&(seat, id)) {
            session.credit += more;
        }
        self.ask(seat, Command::Credit(id, more), What::Credit);
    }

    /// A consumer ends without a word; another comes after it.
    pub fn die(&mut self, seat: usize, client: usize) {
        if self.phase != Phase::Load {
            return;
        }
        self.sometimes.hit("consumer died");
        if let Some(session) = self.session_of(seat, client) {
            self.unsubscribe(seat, session, true);
        }
        self.later(seat, 2_000 * MS, Act::Consume(client));
    }

    /// Messages for a subscription.
    pub fn delivered(&mut self, seat: usize, session: SessionId, leased: Vec<Leased>) {
        let Some(place) = self.users.sessions.get(&(seat, session)) else {
            self.violation(
                "session",
                format!("m{seat} delivers to unknown {session:?}"),
            );
            return;
        };
        let (client, credit, is_closed) = (place.client, place.credit, place.is_closed);
        if is_closed {
            self.violation("session", format!("m{seat} delivers to closed {session:?}"));
            return;
        }
        self.sometimes.hit("subscription delivered");
        let now = self.now;
        // What ran out burns no credit. The engine counts whole milliseconds, so it may be one early.
        let unsettled = self.users.held.values().filter(|held| {
            held.seat == seat
                && held.handle.session == Some(session)
                && !held.is_settled
                && held.arrived + held.lease_ms * MS > now + MS
        });
        // A message that comes again takes the place of its older delivery; one that is done burns
        // none, whichever of its deliveries was acked.
        let mut ids: BTreeSet<MessageId> = unsettled.map(|held| held.handle.id).collect();
        if let Some(life) = self.life(seat) {
            ids.retain(|id| !life.engine.is_done(*id));
        }
        ids.extend(leased.iter().map(|leased| leased.handle.id));
        if ids.len() > credit as usize {
            let detail = format!("m{seat}: {} unsettled with a credit of {credit}", ids.len());
            self.violation("credit", detail);
        }
        self.check_bytes(seat, session, &ids, &leased);
        if leased
            .iter()
            .any(|leased| leased.handle.session != Some(session))
        {
            self.violation("session", format!("m{seat}: a handle of another session"));
        }
        let queue = self.users.clients[client].queue;
        self.take_all((seat, client, queue), leased);
    }

    /// Nothing is given while a credit in bytes is used up; the last message may go over it.
    fn check_bytes(
        &mut self,
        seat: usize,
        session: SessionId,
        ids: &BTreeSet<MessageId>,
        leased: &[Leased],
    ) {
        let place = self.users.sessions.get(&(seat, session));
        let Some(credit) = place.and_then(|place| place.credit_bytes) else {
            return;
        };
        let held = self.users.held.values().filter(|held| {
            held.seat == seat && held.handle.session == Some(session) && !held.is_settled
        });
        let mut sizes: BTreeMap<MessageId, usize> = held
            .map(|held| (held.handle.id, body_of(written(held.value)).len()))
            .filter(|(id, _)| ids.contains(id))
            .collect();
        sizes.extend(leased.iter().map(|one| (one.handle.id, one.body.len())));
        if let Some(last) = leased.last() {
            sizes.remove(&last.handle.id);
        }
        let bytes: usize = sizes.values().sum();
        if bytes as u64 >= credit {
            let detail = format!("m{seat}: more beside {bytes} bytes with a credit of {credit}");
            self.violation("credit", detail);
        }
    }

    /// A message whose lease is kept comes to nobody else where nothing fails.
    fn check_kept(&mut self, seat: usize, id: MessageId) {
        let now = self.now;
        // The engine counts whole milliseconds.
        let is_kept = |held: &&Held| {
            held.handle.id == id && !held.is_settled && held.kept_until > now + 2 * MS
        };
        if self.plan.is_calm
            && let Some(held) = self.users.held.values().find(is_kept)
        {
            let detail = format!(
                "m{seat}: {id} is still kept for a consumer of m{}",
                held.seat
            );
            self.violation("kept", detail);
        }
    }

    /// Messages arrive at a consumer: recorded first, then worked on.
    fn take_all(&mut self, place: Place, leased: Vec<Leased>) {
        let mut batch = Vec::new();
        for leased in leased {
            if let Some(number) = self.take(place, leased) {
                let is_drain = self.phase >= Phase::Drain;
                if is_drain || (self.user_dice.percent(30) && !self.is_troubled(Class::Late, 30)) {
                    batch.push(number);
                } else {
                    self.plan_settling(place.0, number);
                }
            }
        }
        if !batch.is_empty() {
            let work = if self.phase >= Phase::Drain {
                MS
            } else {
                self.user_dice.exponential(self.plan.work) * batch.len() as u64
            };
            let seat = place.0;
            self.local_now(self.now + work, seat, Local::User(Act::AckMany(batch)));
        }
    }

    fn take(&mut self, (seat, client, queue): Place, leased: Leased) -> Option<u64> {
        let life = self.life(seat)?;
        // In the call in which its store gets another name a member may give something under the former.
        let is_own = life.stores.contains(&leased.handle.own.store);
        let (store, key) = (life.store, self.served_at(seat, queue));
        let read = self.read(seat, queue, &leased);
        let handle = leased.handle;
        let Some((value, to)) = read else {
            let detail = format!("m{seat}: {} came with another body or headers", handle.id);
            self.violation("damaged", detail);
            return None;
        };
        self.ledger.values.insert(handle.id, value);
        self.check_kept(seat, handle.id);
        if key.is_some_and(|key| key != handle.queue) {
            let detail = format!("m{seat}: {} has another queue", handle.id);
            self.violation("delivery", detail);
        }
        let is_owner_holder = match &handle.holders {
            Some(holders) => holders
                .iter()
                .any(|holder| holder.store == handle.own.store),
            // Only what this store alone holds comes without its holders.
            None => is_own,
        };
        if !is_owner_holder {
            let detail = format!("m{seat}: the owner of {} is none of its holders", handle.id);
            self.violation("delivery", detail);
        }
        self.count_delivery(store, handle.own.store, leased.attempts);
        let name = (handle.id, handle.own.store, handle.own.epoch, handle.lease);
        if is_own {
            self.ledger.given.entry(name).or_insert(self.now);
            self.note_lease(seat, name, leased.attempts);
        }
        self.judge_terms(seat, name, value, leased.terms.as_deref());
        let extra = self.extra_of(seat, name, leased.attempts, leased.lease);
        let sessions = &self.users.sessions;
        let place = handle.session.and_then(|id| sessions.get(&(seat, id)));
        let max_run = place.map_or(0, |place| place.max_run);
        let about = self.about(seat, client, queue, value);
        let process = about.process;
        self.record(&about, Verb::Receive, Kind::Ok, extra);
        let held = Held {
            seat,
            queue,
            process,
            value,
            handle,
            to,
            arrived: self.now,
            lease_ms: leased.lease,
            is_settled: false,
            is_forgotten: false,
            kept_until: self.kept_until(name, leased.lease, max_run),
        };
        if self.is_doubled(seat) {
            self.settle_asked(&held, Verb::Release);
        }
        Some(self.users.hold(held))
    }

    /// Until when a delivery's lease is kept. A run that is no longer than the lease extends nothing:
    /// the lease ends as any other does, counted from when its owner gave it, a way before it arrived.
    fn kept_until(&self, name: LeaseName, lease_ms: u64, max_run: Micros) -> Micros {
        let (run_ends, lease) = (self.now + max_run, lease_ms * MS);
        match self.ledger.given.get(&name) {
            Some(given) if max_run <= lease => run_ends.min(given + lease),
            _ => run_ends,
        }
    }

    /// What the history says of a delivery.
    fn extra_of(&mut self, seat: usize, name: LeaseName, attempts: u32, lease_ms: u64) -> Extra {
        let (id, store, epoch, lease) = name;
        let given = self.ledger.given.get(&name).copied();
        if given.is_none() {
            let detail = format!("m{seat}: nobody gave {name:?}");
            self.violation("lease", detail);
        }
        Extra {
            id: Some(id_of(id)),
            attempts: Some(attempts),
            lessor: Some(Hex(store.0)),
            epoch: Some(epoch),
            lease: Some(lease),
            lease_ms: Some(lease_ms),
            given_ns: given.map(|at| at * 1_000),
            ..Extra::default()
        }
    }

    fn count_delivery(&mut self, own: StoreId, lessor: StoreId, attempts: u32) {
        if own != lessor {
            self.sometimes.hit("delivered by another member");
        }
        if attempts > 1 {
            self.sometimes.hit("redelivered");
        }
        if attempts == 0 {
            self.violation("delivery", "with zero attempts".into());
        }
    }

    /// How and when a consumer will settle a delivery.
    fn plan_settling(&mut self, seat: usize, number: u64) {
        let work = self.user_dice.exponential(self.plan.work);
        let Some(held) = self.users.held.get(&number) else {
            return;
        };
        let (lease, is_kept) = (held.lease_ms * MS, held.kept_until > self.now);
        let queue = held.queue;
        let delay = self.user_dice.range(0, 3_000);
        let retry = self.user_dice.range(0, 2_000) * MS;
        let soon = self.now + work;
        let late = self.now + lease + lease / 5 + retry;
        let mut acts = Vec::new();
        if is_kept && self.is_troubled(Class::Keep, 40) {
            acts.push((self.now + self.user_dice.range(0, 3 * lease), How::Ack));
        } else if let Some(reason) = self.draw_reject(queue) {
            acts.push((soon, How::Reject(reason)));
        } else if self.is_troubled(Class::Nack, 10) {
            // The back-off doubles with each attempt: mostly a delay of our own.
            let delay = (!delay.is_multiple_of(10)).then_some(delay);
            acts.push((soon, How::Nack(delay)));
        } else if self.is_troubled(Class::Release, 8) {
            acts.push((soon, How::Release));
        } else if self.is_troubled(Class::Extend, 10) {
            acts.push((self.now + lease / 2, How::Extend(Some(lease / MS))));
            acts.push((self.now + lease + lease / 4, How::Ack));
        } else if self.is_troubled(Class::Late, 10) {
            acts.push((late, How::Ack));
        } else if self.is_troubled(Class::Twice, 10) {
            acts.push((soon, How::AckAndKeep));
            acts.push((soon + retry, How::Ack));
        } else if self.is_troubled(Class::Die, 4) {
            // It is forgotten: the lease will run out.
            self.sometimes.hit("lease ran out");
            if let Some(held) = self.users.held.get_mut(&number) {
                held.is_forgotten = true;
            }
        } else {
            acts.push((soon, How::Ack));
        }
        for (at, how) in acts {
            self.local_now(at, seat, Local::User(Act::Settle(number, how)));
        }
    }

    /// The drain's next receive on a queue.
    pub fn drain_queue(&mut self, seat: usize, queue: usize) {
        if self.phase != Phase::Drain {
            return;
        }
        let Some((key, group)) = self.place_of(seat, queue) else {
            return;
        };
        let command = Command::Receive {
            queue: key,
            max: DRAIN_MAX,
            wait: DRAIN_WAIT_MS,
            lease: Some(DRAIN_LEASE_MS),
            group,
        };
        self.ask(seat, command, What::Drain { queue });
    }

    /// A receive of the drain ends; the next follows.
    pub fn drained(&mut self, seat: usize, queue: usize, answer: Answer) {
        match answer {
            Ok(Reply::Deliveries(leased)) => {
                self.take_all((seat, usize::MAX, queue), leased);
                self.later(seat, 10 * MS, Act::Drain(queue));
            }
            Ok(other) => {
                self.violation("answer", format!("m{seat}: receive answered {other:?}"));
            }
            Err(error) => self.odd_answer(seat, "receive", &error),
        }
    }
}
