//! Looking at every member from above, between events: what no single history shows.

use primer_check::Verb;
use primer_proto::base::{MemberId, MessageId, StoreId};

use crate::agenda::{MS, Micros};
use crate::ledger::WATCHED_MAX;
use crate::world::World;

/// How often.
const EVERY: Micros = 500 * MS;
/// Every how-manieth survey asks each engine whether it agrees with itself: that costs most.
const AUDIT_EVERY: u64 = 10;

impl World {
    /// One look.
    pub fn survey(&mut self) {
        self.next_survey = self.now + EVERY;
        self.surveys += 1;
        self.close_finished();
        self.watch();
        if self.surveys.is_multiple_of(AUDIT_EVERY) {
            self.audit();
        }
    }

    /// Notes which messages are over everywhere: from then on a delivery is a zombie.
    fn close_finished(&mut self) {
        let closing = self.ledger.closing.iter();
        let answered = closing.filter(|(_, closing)| closing.is_answered);
        let over: Vec<MessageId> = answered
            .filter(|(id, closing)| {
                let holders = closing.handle.holders.iter().map(|holder| holder.store);
                let sent = self.ledger.sent.get(id).into_iter().flatten();
                let stores: Vec<StoreId> = holders.chain(sent.copied()).collect();
                self.living().all(|(_, life)| {
                    let is_holder = stores.contains(&life.store);
                    !life.engine.holds(**id) && (!is_holder || life.engine.is_done(**id))
                })
            })
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            if let Some(closing) = self.ledger.closing.remove(&id) {
                self.remark(0, closing.value, Verb::Settled);
                if self.ledger.watched.len() < WATCHED_MAX {
                    let stores = self.living().filter(|(_, life)| life.engine.is_done(id));
                    let stores: Vec<_> =
                        stores.map(|(seat, life)| (seat, life.number, id)).collect();
                    self.ledger.watched.extend(stores);
                }
            }
        }
    }

    /// Within one store what is done stays done.
    fn watch(&mut self) {
        let forgot = self.ledger.watched.iter().find(|(seat, number, id)| {
            self.life(*seat)
                .is_some_and(|life| life.number == *number && !life.engine.is_done(*id))
        });
        if let Some((seat, _, id)) = forgot.copied() {
            self.violation("undone", format!("m{seat} forgot that {id} is done"));
            self.ledger.watched.retain(|(_, _, other)| *other != id);
        }
    }

    /// Every engine agrees with itself.
    pub fn audit(&mut self) {
        let audits = self
            .living()
            .map(|(seat, life)| (seat, life.engine.audit()));
        let wrong: Vec<_> = audits
            .filter_map(|(seat, audit)| audit.err().map(|why| (seat, why)))
            .collect();
        for (seat, why) in wrong {
            self.violation("audit", format!("m{seat}: {why}"));
        }
    }

    /// Why the living members do not agree on who is in and reachable; none when they do.
    pub fn disagreement(&self) -> Option<String> {
        let alive: Vec<MemberId> = self
            .living()
            .map(|(seat, _)| self.seats[seat].member)
            .collect();
        let mut first: Option<Vec<MemberId>> = None;
        for (seat, life) in self.living() {
            let members = life.engine.members();
            let ids: Vec<MemberId> = members.iter().map(|member| member.id).collect();
            if !ids.is_sorted() {
                return Some(format!("m{seat} lists its members out of order"));
            }
            for member in &members {
                let is_alive = alive.contains(&member.id);
                if is_alive != member.is_reachable {
                    let word = if is_alive {
                        "does not reach"
                    } else {
                        "reaches dead"
                    };
                    return Some(format!("m{seat} {word} {}", member.name));
                }
            }
            if let Some(missing) = alive.iter().find(|id| !ids.contains(id)) {
                return Some(format!("m{seat} does not know {missing}"));
            }
            match &first {
                Some(set) if *set != ids => return Some(format!("m{seat} has another set")),
                Some(_) => {}
                None => first = Some(ids),
            }
        }
        None
    }

    /// The sum of a gauge over all living members.
    pub fn gauge(&self, name: &str) -> u64 {
        let stats = self.living().map(|(_, life)| life.engine.stats());
        stats
            .map(|stats| stats.get(name).copied().unwrap_or_default())
            .sum()
    }
}
