//! Enqueues that another member takes: whose groups decided where the messages went, and who had copies
//! when it said so.
//!
//! Into which groups a message goes is the taker's to know when it accepts it, and no receipt says so. So
//! what it knows is noted when the frame comes to it, and found by the ids in its answer.

use std::collections::{BTreeMap, BTreeSet};

use primer_check::Hex;
use primer_proto::base::{BootId, ErrorKind, MessageId};
use primer_proto::engine::Message;
use primer_proto::membership::MINOR_TAKES;
use primer_proto::queue::{EnqueueFor, Message as QueueMessage, Taken};

use crate::fan::Owed;
use crate::plan::Class;
use crate::world::World;

/// Who asked, and which life of it; who took, and which life; the number.
type Name = ((usize, u32), (usize, u32), u64);

/// What is known of enqueues that went elsewhere.
#[derive(Default)]
pub(crate) struct ForwardBook {
    taken: BTreeMap<Name, (Option<usize>, Owed)>,
    /// Which parts came of those that come in parts.
    parts: BTreeMap<Name, BTreeSet<u32>>,
    /// By the first id of each answer.
    owed: BTreeMap<MessageId, Owed>,
    /// Which stores had each message when its taker said so.
    stores: BTreeMap<MessageId, Vec<Hex>>,
    /// Those of them whose last copy is destroyed.
    doomed: BTreeSet<MessageId>,
}

impl ForwardBook {
    /// Messages whose receipts are on their way to who asked.
    pub fn answered(&self) -> impl Iterator<Item = &MessageId> {
        self.stores.keys()
    }

    /// The last copy of a message is destroyed.
    pub fn doom(&mut self, id: MessageId) {
        if self.stores.contains_key(&id) {
            self.doomed.insert(id);
        }
    }
}

impl World {
    /// A frame comes to one end of a link. What its member would call a message that it accepts itself now,
    /// where it may do that because nobody else does.
    pub fn note_forward(
        &mut self,
        link: usize,
        side: usize,
        message: &Message,
    ) -> Option<MessageId> {
        let Message::Queue(message) = message else {
            return None;
        };
        let ends = &self.links[link].ends;
        let (here, there) = (&ends[side], &ends[1 - side]);
        let (here, there) = ((here.seat, here.life), (there.seat, there.life));
        match message.as_ref() {
            QueueMessage::EnqueueFor(asked) => {
                self.note_asked((there, here, asked.number), asked, false);
            }
            QueueMessage::EnqueuePart(part) => {
                self.sometimes.hit("large batch forwarded");
                let name = (there, here, part.asked.number);
                // It is taken as it is when the last part comes.
                let is_new = self
                    .forwards
                    .parts
                    .entry(name)
                    .or_default()
                    .insert(part.part);
                self.note_asked(name, &part.asked, is_new);
            }
            QueueMessage::Taken(taken) => {
                return self.note_taken((here, there, taken.number), taken);
            }
            _ => {}
        }
        None
    }

    /// A member hears what became of its enqueue.
    fn note_taken(&mut self, name: Name, taken: &Taken) -> Option<MessageId> {
        let (queue, owed) = self.forwards.taken.get(&name)?.clone();
        let has_no_room = taken.code == u32::from(ErrorKind::Overloaded.number());
        // Both did nothing: another is asked, or its own member accepts it, by the groups that it knows now.
        if !has_no_room && !taken.is_leaving {
            let id = MessageId {
                origin: BootId(taken.origin),
                sequence: taken.first,
            };
            self.forwards.owed.insert(id, owed);
            return None;
        }
        if has_no_room {
            self.sometimes.hit("taker had no room");
        }
        let ((seat, _), ..) = name;
        let id = self.life(seat)?.engine.next_id();
        let owed = self.owed(seat, queue?);
        self.forwards.owed.insert(id, owed);
        Some(id)
    }

    /// The frame was heard: with another name for the next message that one was accepted.
    pub fn drop_if_unused(&mut self, seat: usize, id: Option<MessageId>) {
        if let Some(id) = id
            && self
                .life(seat)
                .is_none_or(|life| life.engine.next_id() == id)
        {
            self.forwards.owed.remove(&id);
        }
    }

    /// A member is asked to take messages: the groups that it knows.
    fn note_asked(&mut self, name: Name, asked: &EnqueueFor, is_new: bool) {
        let ((from, _), (seat, _), _) = name;
        let minor = self.life(seat).map(|life| life.engine.hello().minor);
        if minor.is_some_and(|minor| minor < MINOR_TAKES) {
            let detail = format!("m{seat} is asked to take what it does not know");
            self.violation("codec", detail);
        }
        self.sometimes.hit("enqueue forwarded");
        let has_key = asked
            .terms
            .as_ref()
            .is_some_and(|terms| !terms.key.is_empty());
        let level = self.life(from).map_or(0, |life| life.engine.memory_level());
        if level > 0 && !has_key && !self.plan.has(Class::Leave) {
            self.sometimes.hit("forwarded for want of memory");
        }
        let mut names = (0..=self.plan.queues).map(crate::process::queue_name);
        let queue = names.position(|name| name == asked.queue);
        let owed = queue.map(|queue| self.owed(seat, queue));
        // A frame that comes twice is taken once, as it was at first.
        if is_new || !self.forwards.taken.contains_key(&name) {
            let what = (queue, owed.unwrap_or_default());
            self.forwards.taken.insert(name, what);
        }
    }

    /// A member says that it took messages, and how many copies there are: that is true now, and need not
    /// be so any more when their producer hears it.
    pub fn note_receipts(&mut self, taken: &Taken) {
        let origin = BootId(taken.origin);
        for place in 0..taken.copies.len() as u64 {
            let sequence = taken.first + place;
            let id = MessageId { origin, sequence };
            let ids: Vec<MessageId> = self
                .ids_in_groups(self.plan.queues, id)
                .chain([id])
                .collect();
            for id in ids {
                let stores = self.stores_of(id);
                self.forwards.stores.entry(id).or_insert(stores);
            }
        }
    }

    /// The stores of a message when its receipt was given: here, or where it was accepted.
    pub fn stores_at_receipt(&mut self, id: MessageId) -> Vec<Hex> {
        let said = self.forwards.stores.remove(&id);
        said.unwrap_or_else(|| self.stores_of(id))
    }

    /// A receipt came: the last copy of its message may have been destroyed since it was given.
    pub fn doom_if_destroyed(&mut self, seat: usize, id: MessageId) {
        if self.forwards.doomed.remove(&id) {
            self.doom(id, seat);
        }
    }

    /// The groups that messages went into, the first of which has that id: as their taker knew them, or
    /// as their producer's own member did.
    pub fn owed_by(&self, first: MessageId, own: &Owed) -> Owed {
        let taken = self.forwards.owed.get(&first);
        taken.unwrap_or(own).clone()
    }
}
