//! What the simulator knows better than any member: the history, and the fate of every message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use primer_check::{Extra, Hex, History, Id, Kind, Record, Value, Verb};
use primer_proto::base::{MessageId, StoreId};
use primer_proto::engine::Handle;

use crate::agenda::Micros;
use crate::process::queue_name;
use crate::world::World;

/// Finished messages whose stores are watched for the rest of the run.
pub(crate) const WATCHED_MAX: usize = 200;

/// One lease of one ownership: the message, the store, its epoch there, and the number.
pub(crate) type LeaseName = (MessageId, StoreId, u32, u32);

/// Everything that is judged at the end, and what decides which crash is within the budget.
#[derive(Default)]
pub(crate) struct Ledger {
    pub history: History,
    /// Messages with a receipt that no consumer has tried to ack.
    pub open: BTreeMap<MessageId, Value>,
    /// Messages that a consumer tried to ack, until every live holder knows.
    pub closing: BTreeMap<MessageId, Closing>,
    /// Messages that some consumer tried to ack, for ever.
    pub acked: BTreeSet<MessageId>,
    /// When each lease was given, at its owner.
    pub given: BTreeMap<LeaseName, Micros>,
    /// Every store that was ever sent a copy of a message, until all know of its end.
    pub sent: BTreeMap<MessageId, Vec<StoreId>>,
    /// Every store that said it keeps a copy of a message.
    pub confirmed: BTreeMap<MessageId, Vec<StoreId>>,
    /// Stores that ended on purpose: by a leave that was asked for, or an evict.
    pub ended: BTreeSet<StoreId>,
    /// Messages that evicted members have set aside, and which.
    pub aside: BTreeMap<MessageId, Vec<usize>>,
    /// Messages with a receipt that were seen to go on into the groups of their queue.
    pub in_groups: BTreeSet<MessageId>,
    /// What each message is, as far as a receipt or a delivery has said.
    pub values: BTreeMap<MessageId, Value>,
    /// (seat, life, wipes of it, message): done there, and so it must stay.
    pub watched: Vec<(usize, u32, u32, MessageId)>,
}

/// A message that is about to be over.
pub(crate) struct Closing {
    pub value: Value,
    pub handle: Handle,
    /// An ack was answered: from here on its end is a fact.
    pub is_answered: bool,
}

/// A message's id as histories write it.
pub(crate) fn id_of(id: MessageId) -> Id {
    Id {
        origin: Hex(id.origin.0),
        sequence: id.sequence,
    }
}

/// What a record is about.
pub(crate) struct About {
    pub seat: usize,
    pub process: u64,
    pub queue: usize,
    pub value: Option<Value>,
}

impl Ledger {
    /// A consumer tries to end a message.
    pub fn acks(&mut self, value: Value, handle: &Handle) {
        self.open.remove(&handle.id);
        let is_known = !self.acked.insert(handle.id);
        let closing = self.closing.get_mut(&handle.id);
        match closing {
            // Later handles know more holders.
            Some(closing) if holder_count(&closing.handle) < holder_count(handle) => {
                closing.handle = handle.clone();
            }
            None if !is_known => {
                let closing = Closing {
                    value,
                    handle: handle.clone(),
                    is_answered: false,
                };
                self.closing.insert(handle.id, closing);
            }
            _ => {}
        }
    }
}

/// How many stores a handle knows of.
fn holder_count(handle: &Handle) -> usize {
    handle.holders.as_ref().map_or(1, |holders| holders.len())
}

impl World {
    /// Adds a record to the history.
    pub fn record(&mut self, about: &About, f: Verb, kind: Kind, extra: Extra) {
        let key: Arc<str> = match self.users.queue_names.get(about.queue) {
            Some(name) => name.clone(),
            None => queue_name(about.queue).into(),
        };
        self.ledger.history.push(Record {
            index: 0,
            time_ns: self.now * 1_000,
            process: about.process,
            member: about.seat as u64,
            kind,
            f,
            key,
            value: about.value,
            extra,
        });
    }

    /// A remark about one value.
    pub fn remark(&mut self, seat: usize, value: Value, f: Verb) {
        let about = About {
            seat,
            process: 0,
            queue: 0,
            value: Some(value),
        };
        self.record(&about, f, Kind::Info, Extra::default());
    }

    /// The stores that hold a message or have seen its end, also those whose process has ended since,
    /// and those that confirmed it and ended on purpose.
    pub fn stores_of(&self, id: MessageId) -> Vec<Hex> {
        let living = self.living().map(|(_, life)| (life.store, &life.engine));
        let graves = self.seats.iter().flat_map(|seat| seat.graves.iter());
        let graves = graves.map(|(store, engine)| (*store, engine));
        living
            .chain(graves)
            .filter(|(_, engine)| engine.holds(id) || engine.is_done(id))
            .map(|(store, _)| store)
            .chain(self.confirmed_by_ended(id))
            .map(|store| Hex(store.0))
            .collect()
    }

    /// Acknowledged, unfinished messages that no other living member holds.
    pub fn only_holder(&self, seat: usize) -> Vec<MessageId> {
        let Some(own) = self.life(seat) else {
            return Vec::new();
        };
        let open = self.ledger.open.keys().chain(self.forwards.answered());
        open.filter(|id| own.engine.holds(**id) && !self.is_somewhere(**id, seat))
            .copied()
            .collect()
    }

    /// The harness destroys the last copy of a message.
    pub fn doom(&mut self, id: MessageId, seat: usize) {
        self.forwards.doom(id);
        if let Some(value) = self.ledger.open.remove(&id) {
            self.remark(seat, value, Verb::Doomed);
        }
    }
}
