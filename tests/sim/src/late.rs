//! What goes into a group that its member heard of late: it was accepted with so many copies, and is in so
//! many stores at every moment after, as itself or as what it is in the group.
//!
//! No crash has to strike in the one moment that matters, and the budget of crashes does not hide it: each
//! store that ends with a copy lowers what may be asked for, and nothing else does.

use std::collections::BTreeMap;

use primer_check::Value;
use primer_proto::Engine;
use primer_proto::base::MessageId;
use primer_proto::engine::Receipt;
use primer_proto::wire::Ids;

use crate::agenda::{MS, Micros};
use crate::dice::Dice;
use crate::fan::GROUPS;
use crate::plan::{Class, Plan};
use crate::world::World;

/// When groups come, messages that were accepted for none, and in how many stores each of these is to be.
#[derive(Default)]
pub(crate) struct LateBook {
    /// Nobody consumes from each group before, and it is created then.
    pub groups_at: [Micros; GROUPS.len()],
    waiting: BTreeMap<MessageId, Late>,
}

#[derive(Clone)]
struct Late {
    value: Value,
    /// In so many stores it is to be.
    count: usize,
    /// The groups that it was in when it was over in the queue itself. One that comes later still gets it
    /// from another group, which has its copies.
    groups: Option<Vec<&'static str>>,
}

impl LateBook {
    /// In one of three runs with groups these come while there is load. Where nothing fails producers would
    /// wait for them.
    pub fn new(seed: u64, plan: &Plan) -> Self {
        let mut dice = Dice::new(seed, 37);
        let mut book = Self::default();
        if plan.has_groups && dice.percent(35) && !plan.is_pristine {
            book.groups_at = GROUPS.map(|_| dice.range(1_000, 15_000) * MS);
        }
        book
    }
}

impl World {
    /// Where members end on purpose they give their copies to others, who may have them already.
    fn counts_late_copies(&self) -> bool {
        let moves = [Class::Leave, Class::Evict, Class::Retire, Class::Twins];
        self.plan.has_groups && !moves.iter().any(|class| self.plan.has(*class))
    }

    /// A message was accepted by a member that knew of no group.
    pub fn note_ungrouped(&mut self, value: Value, receipt: Receipt) {
        if !self.counts_late_copies() || receipt.copies < 2 {
            return;
        }
        // Its receipt may have been on its way while a store ended.
        let ids = self.ids_by_group(receipt.id);
        let stores = self
            .living()
            .filter(|(_, life)| is_in(&life.engine, receipt.id, &ids));
        let count = stores.count().min(usize::from(receipt.copies));
        let late = Late {
            value,
            count,
            groups: None,
        };
        self.late.waiting.insert(receipt.id, late);
    }

    /// What it is called in each group; several names where the group was created by several.
    fn ids_by_group(&self, id: MessageId) -> Vec<(&'static str, Vec<MessageId>)> {
        let named = GROUPS.iter().map(|name| {
            let ids = self.ids_in_group(name, id);
            (*name, ids.collect())
        });
        named.collect()
    }

    fn is_anywhere(&self, id: MessageId) -> bool {
        let mut living = self.living();
        living.any(|(_, life)| life.engine.holds(id) || life.engine.is_done(id))
    }

    /// A process is about to end.
    pub fn spend_late_copies(&mut self, seat: usize) {
        let Some(life) = self.life(seat).filter(|_| self.counts_late_copies()) else {
            return;
        };
        let held: Vec<MessageId> = self
            .late
            .waiting
            .keys()
            .filter(|id| is_in(&life.engine, **id, &self.ids_by_group(**id)))
            .copied()
            .collect();
        for id in held {
            if let Some(late) = self.late.waiting.get_mut(&id) {
                late.count -= 1;
            }
        }
    }

    /// Somebody says that these are over, or a holder that it has dropped them.
    pub fn ended_late(&mut self, ids: &Ids) {
        let known = ids.iter().filter(|id| self.late.waiting.contains_key(id));
        for id in known.collect::<Vec<MessageId>>() {
            if let Some(mut late) = self.late.waiting.remove(&id)
                && self.watch_late(id, &mut late)
            {
                self.late.waiting.insert(id, late);
            }
        }
    }

    /// Everything that went into a group late is in as many stores as it was.
    pub fn watch_late_copies(&mut self) {
        let mut waiting = std::mem::take(&mut self.late.waiting);
        waiting.retain(|id, late| self.watch_late(*id, late));
        self.late.waiting = waiting;
    }

    /// False when it needs to be looked at no more.
    fn watch_late(&mut self, id: MessageId, late: &mut Late) -> bool {
        if late.count < 2 || self.ledger.acked.contains(&id) {
            return false;
        }
        if !self.is_over_somewhere(id) {
            return true;
        }
        let is_over = self.may_have_expired(late.value) || self.is_dead(id, late.value);
        !is_over && self.check_late_copies(id, late)
    }

    /// False when it is over in each of its groups.
    fn check_late_copies(&mut self, id: MessageId, late: &mut Late) -> bool {
        let groups = self.ids_by_group(id);
        let mut is_open = false;
        let known = late.groups.get_or_insert_with(|| {
            let had = groups.iter().filter(|(_, ids)| {
                let mut ids = ids.iter();
                ids.any(|id| self.is_anywhere(*id))
            });
            had.map(|(name, _)| *name).collect()
        });
        for (name, ids) in groups.iter().filter(|(name, _)| known.contains(name)) {
            let is_over = |id: &MessageId| {
                let graves = self.seats.iter().flat_map(|seat| &seat.graves);
                let mut graves = graves.map(|(_, engine)| engine);
                let mut living = self.living().map(|(_, life)| &life.engine);
                self.ledger.acked.contains(id)
                    || living.any(|engine| engine.is_done(*id))
                    || graves.any(|engine| engine.is_done(*id))
            };
            let holds = |engine: &Engine| ids.iter().any(|id| engine.holds(*id));
            // Who does not know the group, or got it later, owes it nothing.
            let is_there = self.living().any(|(_, life)| holds(&life.engine));
            if !is_there || ids.iter().any(is_over) {
                continue;
            }
            is_open = true;
            let stores = self.living().map(|(_, life)| &life.engine);
            let stores = stores.filter(|engine| engine.holds(id) || holds(engine));
            let found = stores.count();
            self.sometimes.hit("counted in a late group");
            if found < late.count {
                let detail = format!(
                    "{id} went into {name}, is in {found} stores, and was in {}",
                    late.count
                );
                self.violation("thin", detail);
            }
        }
        is_open
    }
}

/// True where a message is held, as itself or in some group.
fn is_in(engine: &Engine, id: MessageId, groups: &[(&'static str, Vec<MessageId>)]) -> bool {
    let mut ids = groups.iter().flat_map(|(_, ids)| ids);
    engine.holds(id) || ids.any(|id| engine.holds(*id))
}
