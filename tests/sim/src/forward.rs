//! Enqueues that another member takes: whose groups decided where the messages went, and who had copies
//! when it said so.
//!
//! Into which groups a message goes is the taker's to know when it accepts it, and no receipt says so. So
//! what it knows is noted when the frame comes to it, and found by the ids in its answer.

use std::collections::{BTreeMap, BTreeSet};

use primer_check::Hex;
use primer_proto::base::{BootId, MessageId};
use primer_proto::engine::Message;
use primer_proto::membership::MINOR_TAKES;
use primer_proto::queue::{Message as QueueMessage, Taken};

use crate::fan::Owed;
use crate::world::World;

/// Who asked, and which life of it; who took, and which life; the number.
type Name = ((usize, u32), (usize, u32), u64);

/// What is known of enqueues that went elsewhere.
#[derive(Default)]
pub(crate) struct ForwardBook {
    taken: BTreeMap<Name, Owed>,
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
    /// A frame comes to one end of a link.
    pub fn note_forward(&mut self, link: usize, side: usize, message: &Message) {
        let Message::Queue(message) = message else {
            return;
        };
        let ends = &self.links[link].ends;
        let (here, there) = (&ends[side], &ends[1 - side]);
        let (here, there) = ((here.seat, here.life), (there.seat, there.life));
        match message.as_ref() {
            QueueMessage::EnqueueFor(asked) => {
                let minor = self.life(here.0).map(|life| life.engine.hello().minor);
                if minor.is_some_and(|minor| minor < MINOR_TAKES) {
                    let detail = format!("m{} is asked to take what it does not know", here.0);
                    self.violation("codec", detail);
                }
                self.sometimes.hit("enqueue forwarded");
                let mut names = (0..=self.plan.queues).map(crate::process::queue_name);
                let queue = names.position(|name| name == asked.queue);
                let owed = queue.map(|queue| self.owed(here.0, queue));
                let name = (there, here, asked.number);
                // A frame that comes twice is taken once, as it was at first.
                let taken = self.forwards.taken.entry(name);
                taken.or_insert(owed.unwrap_or_default());
            }
            QueueMessage::Taken(taken) => {
                let Some(owed) = self.forwards.taken.get(&(here, there, taken.number)) else {
                    return;
                };
                let id = MessageId {
                    origin: BootId(taken.origin),
                    sequence: taken.first,
                };
                self.forwards.owed.insert(id, owed.clone());
            }
            _ => {}
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
