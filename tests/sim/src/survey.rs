//! Looking at every member from above, between events: what no single history shows.

use primer_check::Verb;
use primer_proto::base::{MemberId, MessageId, StoreId};

use crate::agenda::{MS, Micros, SECOND};
use crate::ledger::WATCHED_MAX;
use crate::world::World;

/// How often.
const EVERY: Micros = 500 * MS;
/// Every how-manieth survey asks each engine whether it agrees with itself: that costs most.
const AUDIT_EVERY: u64 = 10;

/// Dots that a member may hold out of order for each member of the cluster. Largest seen in 500 seeds:
/// 30; a context that is never joined passes it within seconds.
const CLOUD_MAX: usize = 40;
/// So long a member may have more: links that fail again and again keep it from asking for what it lacks.
const CATCH_UP: Micros = 10 * SECOND;

impl World {
    /// One look.
    pub fn survey(&mut self) {
        self.next_survey = self.now + EVERY;
        self.surveys += 1;
        self.close_finished();
        self.watch_clouds();
        self.watch_siblings();
        self.watch();
        self.watch_copies();
        self.watch_fences();
        self.save_now_and_then();
        if self.surveys.is_multiple_of(AUDIT_EVERY) {
            self.audit();
        }
    }

    /// Notes which messages are over everywhere: from then on a delivery is a zombie.
    fn close_finished(&mut self) {
        let closing = self.ledger.closing.iter();
        let answered = closing.filter(|(_, closing)| closing.is_answered);
        let over: Vec<MessageId> = answered
            .filter(|(id, _)| !self.may_be_made_again(**id))
            .filter(|(id, closing)| {
                let known = closing.handle.holders.as_deref().unwrap_or_default();
                let alone = known.is_empty().then_some(closing.handle.own.store);
                let holders = known.iter().map(|holder| holder.store).chain(alone);
                let sent = self.ledger.sent.get(id).into_iter().flatten();
                let stores: Vec<StoreId> = holders.chain(sent.copied()).collect();
                self.living().all(|(_, life)| {
                    let is_holder = life.stores.iter().any(|store| stores.contains(store));
                    !life.engine.holds(**id) && (!is_holder || life.engine.is_done(**id))
                })
            })
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            if let Some(closing) = self.ledger.closing.remove(&id) {
                self.remark(0, closing.value, Verb::Settled);
                self.ledger.sent.remove(&id);
                if self.ledger.watched.len() < WATCHED_MAX {
                    let stores = self.living().filter(|(_, life)| life.engine.is_done(id));
                    let stores: Vec<_> = stores
                        .map(|(seat, life)| (seat, life.number, life.wipes, id))
                        .collect();
                    self.ledger.watched.extend(stores);
                }
            }
        }
    }

    /// What was seen out of order is made up for while writes go on, not only when they stop.
    fn watch_clouds(&mut self) {
        let clouds = self.living();
        let clouds = clouds.map(|(seat, life)| (seat, life.engine.meta_cloud()));
        let clouds: Vec<(usize, usize)> = clouds.collect();
        for (seat, dots) in clouds {
            self.talk.largest_cloud = self.talk.largest_cloud.max(dots);
            let is_usual = dots <= CLOUD_MAX * self.plan.members.max(5);
            if is_usual || self.seats[seat].is_paused {
                self.seats[seat].clouded = None;
                continue;
            }
            // Who was paused or cut off reads at once what came in many seconds, with gaps, and takes two round
            // trips over one link to fill them.
            let since = *self.seats[seat].clouded.get_or_insert(self.now);
            if self.now >= since + CATCH_UP {
                return self.give_up("cloud", format!("m{seat} holds {dots} dots out of order"));
            }
        }
    }

    /// Within one store what is done stays done.
    fn watch(&mut self) {
        let forgot = self
            .ledger
            .watched
            .iter()
            .find(|(seat, number, wipes, id)| {
                self.life(*seat).is_some_and(|life| {
                    let is_it = life.number == *number && life.wipes == *wipes;
                    is_it && !life.engine.is_done(*id)
                })
            });
        if let Some((seat, _, _, id)) = forgot.copied() {
            self.violation("undone", format!("m{seat} forgot that {id} is done"));
            self.ledger.watched.retain(|(_, _, _, other)| *other != id);
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
        self.weigh();
    }

    /// No member holds more than its memory budget (Q11); that it counts rightly the audit says.
    fn weigh(&mut self) {
        let held = |engine: &primer_proto::Engine| engine.stats().get("memory_bytes").copied();
        let budgets = self.plan.budgets.iter().enumerate();
        let over = budgets.filter_map(|(seat, budget)| {
            let held = held(&self.life(seat)?.engine)?;
            (held > *budget).then(|| format!("m{seat} holds {held} bytes of {budget}"))
        });
        for why in over.collect::<Vec<String>>() {
            self.violation("memory", why);
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
                let now = self.seats.iter().find(|seat| seat.member == member.id);
                let boot = now
                    .and_then(|seat| seat.life.as_ref())
                    .map(|life| life.boot);
                if boot.is_some_and(|boot| boot != member.boot) {
                    return Some(format!("m{seat} shows a former process of {}", member.name));
                }
                let engine = now.and_then(|seat| seat.life.as_ref());
                let level = engine.map_or(0, |life| life.engine.memory_level());
                if level != member.memory_level {
                    let name = &member.name;
                    return Some(format!("m{seat} has not heard the memory level of {name}"));
                }
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
}
