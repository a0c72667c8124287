//! A queue with groups: what is put into it is owed to each of them.
//!
//! The engine makes one message for each group of it, so to the history each group is a queue of its
//! own, with values of its own: whoever puts a value into the queue puts one into every group that its
//! member knows at that moment. What a member accepts before it knows of any group waits in the queue
//! itself, and goes into the groups when it hears of them.

use std::collections::BTreeSet;

use primer_check::{Extra, Kind, Short, Value, Verb};
use primer_proto::base::{BootId, MessageId, QueueKey};
use primer_proto::copies::{Fan, Repl};
use primer_proto::engine::{InGroup, Receipt};

use crate::agenda::MS;
use crate::users::{Act, Role};
use crate::world::{Local, World};

/// Its groups.
pub(crate) const GROUPS: [&str; 2] = ["audit", "mailer"];
/// What a value's process has more in the first group, and twice that in the second one.
const PROCESS_STEP: u64 = 1_000_000;

/// The groups that a member knew when it accepted messages, with the origin of their ids there.
pub(crate) type Owed = Vec<(usize, BootId)>;

/// A value as a group's own; the same in the queue itself.
fn value_in(group: Option<usize>, value: Value) -> Value {
    let step = group.map_or(0, |group| (group as u64 + 1) * PROCESS_STEP);
    Value {
        process: value.process + step,
        ..value
    }
}

/// The value that a producer wrote, of one in a group.
pub(crate) fn written(value: Value) -> Value {
    Value {
        process: value.process % PROCESS_STEP,
        ..value
    }
}

impl World {
    /// The queue with groups comes after the others, then the groups, then the queues of dead letters:
    /// how many that are.
    pub fn queue_count(&self) -> usize {
        let more = if self.plan.has_groups {
            1 + GROUPS.len()
        } else {
            0
        };
        self.plan.queues + more + self.dead_queue_count()
    }

    fn group_at(&self, queue: usize) -> Option<usize> {
        let group = queue.checked_sub(self.plan.queues + 1)?;
        (self.plan.has_groups && group < GROUPS.len()).then_some(group)
    }

    /// A value in the group of that name, if it has one; none where there is no such group.
    pub fn value_of_group(&self, name: &str, value: Value) -> Option<Value> {
        if name.is_empty() {
            return Some(value);
        }
        let group = GROUPS.iter().position(|group| *group == name)?;
        Some(value_in(Some(group), value))
    }

    /// What a queue is called in the history.
    pub fn shown_name(&self, queue: usize) -> String {
        match self.group_at(queue).and_then(|group| GROUPS.get(group)) {
            Some(group) => format!("{}/{group}", crate::process::queue_name(self.plan.queues)),
            None => self
                .dead_name(queue)
                .unwrap_or_else(|| crate::process::queue_name(queue)),
        }
    }

    /// What a consumer of that queue asks its member for.
    pub fn place_of(&self, seat: usize, queue: usize) -> Option<(QueueKey, Option<InGroup>)> {
        let group = self.group_at(queue);
        let fed = self.plan.queues + usize::from(self.plan.has_groups);
        let base = match self.source_queue(queue) {
            Some(source) => fed + source,
            None => group.map_or(queue, |_| self.plan.queues),
        };
        let key = self.life(seat)?.keys.get(base).copied()?;
        let name = group.and_then(|group| GROUPS.get(group).copied());
        let group = name.map(|name| InGroup {
            name: name.into(),
            takes_backlog: false,
        });
        Some((key, group))
    }

    /// Where deliveries of that queue come from; none while its member does not know the group.
    pub fn served_at(&self, seat: usize, queue: usize) -> Option<QueueKey> {
        let (key, group) = self.place_of(seat, queue)?;
        match group {
            Some(group) => self.life(seat)?.engine.group(key, &group.name),
            None => Some(key),
        }
    }

    /// A value that came from that queue, as the history has it.
    pub fn value_at(&self, queue: usize, value: Value) -> Value {
        value_in(self.group_at(queue), value)
    }

    /// The users of the queue with groups, at a new process.
    pub fn group_people(&mut self, seat: usize) {
        if !self.plan.has_groups {
            return;
        }
        let base = self.plan.queues;
        if self.fan_dice.percent(60) || seat == 0 {
            let client = self.users.add(seat, base, Role::Producer);
            self.later(seat, 500 * MS, Act::Produce(client));
        }
        for group in 0..GROUPS.len() {
            // Each has a consumer somewhere.
            if self.fan_dice.coin() || seat == group % self.plan.members {
                let role = if self.fan_dice.coin() {
                    Role::Puller
                } else {
                    Role::Subscriber
                };
                let client = self.users.add(seat, base + 1 + group, role);
                let late = self.late.groups_at[group].saturating_sub(self.now);
                let at = self.now + late + self.user_dice.below(300 * MS);
                self.local_now(at, seat, Local::User(Act::Consume(client)));
            }
        }
    }

    /// True when a producer waits until its member knows the groups: where nothing fails, each value is
    /// delivered in each group once, and where much does, often enough it is not so.
    pub fn waits_for_groups(&self, seat: usize, queue: usize) -> bool {
        self.is_fanned(queue)
            && self.plan.is_pristine
            && self.owed(seat, queue).len() < GROUPS.len()
    }

    fn is_fanned(&self, queue: usize) -> bool {
        self.plan.has_groups && queue == self.plan.queues
    }

    /// To which groups a member's messages go now.
    pub fn owed(&self, seat: usize, queue: usize) -> Owed {
        let Some(life) = self.life(seat).filter(|_| self.is_fanned(queue)) else {
            return Owed::new();
        };
        let key = life.keys.get(queue).copied().unwrap_or_default();
        let known = life.engine.fan_of(key, 1).into_iter();
        let known = known.filter_map(|(name, id)| {
            let group = GROUPS.iter().position(|group| *group == name)?;
            Some((group, id.origin))
        });
        known.collect()
    }

    /// Records something of a producer's call: in the queue, and in each of its groups.
    pub fn record_enqueue(
        &mut self,
        (seat, client, queue): (usize, usize, usize),
        value: Value,
        kind: Kind,
        error: Option<u16>,
    ) {
        let groups = if self.is_fanned(queue) {
            GROUPS.len()
        } else {
            0
        };
        for place in 0..=groups {
            let at = queue + place;
            let about = self.about(seat, client, at, self.value_at(at, value));
            let extra = Extra {
                error,
                is_at_most_once: kind == Kind::Invoke && self.is_value_once(value),
                ..Extra::default()
            };
            self.record(&about, Verb::Enqueue, kind, extra);
        }
    }

    /// A message was accepted: for each group that it is owed to, or for the queue itself.
    pub fn accepted_in_all(
        &mut self,
        (seat, client, queue): (usize, usize, usize),
        (value, owed): (Value, &Owed),
        on_short: Short,
        receipt: Receipt,
    ) {
        if owed.is_empty() {
            if self.is_fanned(queue) {
                self.note_ungrouped(value, receipt);
            }
            return self.accepted((seat, client, queue), value, on_short, receipt);
        }
        self.sometimes.hit("put into groups");
        for (group, origin) in owed {
            let at = queue + 1 + group;
            let id = MessageId {
                origin: *origin,
                ..receipt.id
            };
            let receipt = Receipt { id, ..receipt };
            let value = self.value_at(at, value);
            self.accepted((seat, client, at), value, on_short, receipt);
        }
    }

    /// The ids of copies on their way, in all their groups.
    pub fn ids_of(&self, repl: &Repl) -> Vec<MessageId> {
        let source = repl.section.origin;
        let births = repl.owed.iter().map(|owed| owed.birth());
        let mut origins: Vec<BootId> = births.map(|birth| Fan { source, birth }.origin()).collect();
        if origins.is_empty() {
            origins.push(source);
        }
        let items = repl.section.items.iter();
        let ids = items.flat_map(|item| {
            let sequence = item.sequence;
            origins.iter().map(move |origin| MessageId {
                origin: *origin,
                sequence,
            })
        });
        ids.collect()
    }

    /// What a message of that queue is called in each group that some member knows.
    pub fn ids_in_groups(&self, queue: usize, id: MessageId) -> impl Iterator<Item = MessageId> {
        let name = crate::process::queue_name(queue);
        let births = self
            .living()
            .flat_map(move |(_, life)| life.engine.groups(&name))
            .flat_map(|entry| entry.births);
        births.map(move |birth| MessageId {
            origin: Fan {
                source: id.origin,
                birth,
            }
            .origin(),
            ..id
        })
    }

    /// What it is called in one group of that queue, as some member knows the group.
    pub fn ids_in_group(&self, name: &str, id: MessageId) -> impl Iterator<Item = MessageId> {
        let queue = crate::process::queue_name(self.plan.queues);
        let entries = self
            .living()
            .flat_map(move |(_, life)| life.engine.groups(&queue))
            .filter(move |entry| entry.name == name);
        let ids = entries.flat_map(|entry| entry.births).map(move |birth| {
            let fan = Fan {
                source: id.origin,
                birth,
            };
            MessageId {
                origin: fan.origin(),
                ..id
            }
        });
        ids.collect::<BTreeSet<MessageId>>().into_iter()
    }

    /// Notes what a member has put into its groups. That may be dropped by a forced leave, or set aside,
    /// while an older copy of the message itself, set aside at another member, is still to come back:
    /// who knows that it is over says so then.
    pub fn note_in_groups(&mut self, seat: usize) {
        let Some(life) = self.life(seat).filter(|_| self.plan.has_groups) else {
            return;
        };
        let open = self.ledger.open.keys();
        let unseen = open.filter(|id| !self.ledger.in_groups.contains(id));
        let put = unseen.filter(|id| life.engine.is_done(**id) && self.is_in_groups(**id));
        let put: Vec<MessageId> = put.copied().collect();
        self.ledger.in_groups.extend(put);
    }

    pub fn is_over_somewhere(&self, id: MessageId) -> bool {
        self.living().any(|(_, life)| life.engine.is_done(id))
    }

    fn is_in_groups(&self, id: MessageId) -> bool {
        let mut ids = self.ids_in_groups(self.plan.queues, id);
        ids.any(|id| {
            let mut living = self.living();
            living.any(|(_, life)| life.engine.holds(id) || life.engine.is_done(id))
        })
    }

    /// True for a message that waits in the queue no more because it went into its groups.
    pub fn went_into_groups(&self, id: MessageId) -> bool {
        let was_seen = self.ledger.in_groups.contains(&id) && self.is_over_somewhere(id);
        self.plan.has_groups && (was_seen || self.is_in_groups(id))
    }
}
