//! Lives of copies: what a store holds, under which name, and what becomes of it when its member
//! leaves, is evicted, or comes back after it was taken for gone.
//!
//! The account is exact. Everything acknowledged and unfinished is held by a living member, or is set
//! aside at one that was evicted, or the harness itself destroyed its last copy and said so. Nothing
//! else explains a message that nobody holds.

use std::collections::BTreeSet;

use primer_check::Verb;
use primer_proto::Input;
use primer_proto::base::{MessageId, StoreId};
use primer_proto::engine::{Answer, Command, Effect, EventKind, Message, Reply};

use crate::agenda::SECOND;
use crate::users::{Act, What};
use crate::world::{Phase, World};

/// How a store's life ended while its process went on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wipe {
    Left,
    Evicted,
}

impl World {
    /// What a member holds of everything unfinished, where the next input may make it drop all that;
    /// none where it may not.
    pub fn at_risk(&self, seat: usize, input: &Input) -> Option<Vec<MessageId>> {
        let place = &self.seats[seat];
        let life = place.life.as_ref().filter(|_| place.is_in_danger())?;
        // News of members and of the metadata may; what is said of queues, or that one is there, not.
        let is_harmless = matches!(
            input,
            Input::Message {
                message: Message::Queue(_)
                    | Message::Heartbeat(_)
                    | Message::Stock(_)
                    | Message::StockAsk
                    | Message::Host(_),
                ..
            }
        );
        if is_harmless {
            return None;
        }
        let unfinished = self.ledger.open.keys().chain(self.ledger.closing.keys());
        // Those whose producers were told nothing certain are known by having been sent, and what went
        // into a group late, by a consumer that may settle it yet.
        let delivered = self.users.held.values().map(|held| &held.handle.id);
        let held: BTreeSet<MessageId> = unfinished
            .chain(self.ledger.sent.keys())
            .chain(delivered)
            .chain(self.forwards.answered())
            .filter(|id| life.engine.holds(**id))
            .copied()
            .collect();
        Some(held.into_iter().collect())
    }

    /// After a call of an engine, before its effects: its copies may have another name now, or be
    /// gone. `held` is what [`World::at_risk`] said before the call.
    pub fn track_store(&mut self, seat: usize, effects: &[Effect], held: Option<&[MessageId]>) {
        let Some(life) = &mut self.seats[seat].life else {
            return;
        };
        let store = life.engine.store();
        if store == life.store {
            return;
        }
        life.store = store;
        let me = life.engine.identity().0;
        let wipe = effects.iter().find_map(|effect| match effect {
            Effect::Event(event) if event.member == me && event.kind == EventKind::Left => {
                Some(Wipe::Left)
            }
            Effect::Event(event) if event.member == me && event.kind == EventKind::Evicted => {
                Some(Wipe::Evicted)
            }
            _ => None,
        });
        let Some(wipe) = wipe else {
            // It was taken for gone: the same copies under another name.
            life.stores.push(store);
            return;
        };
        life.wipes += 1;
        let ended = std::mem::replace(&mut life.stores, vec![store]);
        self.ledger.ended.extend(&ended);
        self.ended_for_good(seat, &ended);
        let held = held.unwrap_or_else(|| {
            self.violation("leave", format!("m{seat} dropped its copies for no reason"));
            &[]
        });
        match wipe {
            Wipe::Left => self.dropped(seat, held),
            Wipe::Evicted => self.put_aside(seat, held),
        }
        self.settle_aside(seat);
    }

    /// A member has left with copies that nobody took: that is what `force` is for.
    fn dropped(&mut self, seat: usize, held: &[MessageId]) {
        if !held.is_empty() && self.seats[seat].leaving != Some(true) {
            let detail = format!("m{seat} left, and dropped {} messages", held.len());
            self.violation("leave", detail);
            return;
        }
        for id in held {
            if !self.is_somewhere(*id, seat) {
                self.sometimes.hit("forced leave took the last copy");
                self.doom(*id, seat);
            }
        }
    }

    /// An evicted member keeps its copies for its host, and gives none of them out.
    fn put_aside(&mut self, seat: usize, held: &[MessageId]) {
        for id in held {
            let seats = self.ledger.aside.entry(*id).or_default();
            if !seats.contains(&seat) {
                seats.push(seat);
            }
        }
        if !held.is_empty() {
            self.sometimes.hit("copies set aside");
            self.later(seat, 8 * SECOND, Act::Reclaim);
        }
    }

    /// A host decides about what its evicted member has set aside.
    pub fn reclaim(&mut self, seat: usize) {
        // After the drain nobody would read it.
        if self.phase > Phase::Heal || self.user_dice.percent(30) {
            return;
        }
        let keeps = self.user_dice.percent(75);
        if !keeps {
            for id in self.unaside(seat) {
                self.doom_if_gone(id, seat);
            }
        }
        self.ask(seat, Command::Reclaim(keeps), What::Reclaim);
    }

    /// What a member takes back while it leaves stays aside until it has left.
    fn settle_aside(&mut self, seat: usize) {
        let life = self.life(seat);
        if life.is_some_and(|life| life.engine.stats().get("messages_aside") == Some(&0)) {
            let back = self.unaside(seat);
            self.note_returned(seat, &back);
        }
    }

    /// What was set aside is held again. Said now, not when the host asks for it: one that is over before
    /// it is back was given out elsewhere, perhaps only after that, and its value is known from then on.
    fn note_returned(&mut self, seat: usize, back: &[MessageId]) {
        for id in back {
            // What was to go into groups goes there again.
            let in_groups = self.ids_in_groups(self.plan.queues, *id);
            let ids = in_groups.chain([*id]);
            let values = ids.filter_map(|id| self.ledger.values.get(&id).copied());
            for value in values.collect::<BTreeSet<_>>() {
                self.remark(seat, value, Verb::Returned);
            }
        }
    }

    /// It is answered by how many.
    pub fn reclaimed(&mut self, seat: usize, answer: &Answer) {
        match answer {
            Ok(Reply::Count(0)) => {}
            Ok(Reply::Count(_)) => self.sometimes.hit("copies reclaimed"),
            other => {
                self.violation("answer", format!("m{seat}: reclaim answered {other:?}"));
            }
        }
        self.settle_aside(seat);
    }

    /// A member has nothing set aside any more; answers what it had.
    pub fn unaside(&mut self, seat: usize) -> Vec<MessageId> {
        let mut had = Vec::new();
        self.ledger.aside.retain(|id, seats| {
            if seats.contains(&seat) {
                had.push(*id);
            }
            seats.retain(|at| *at != seat);
            !seats.is_empty()
        });
        had
    }

    /// What was set aside at `seat` is destroyed: that may have been the last of it.
    pub fn doom_if_gone(&mut self, id: MessageId, seat: usize) {
        if self.ledger.open.contains_key(&id) && !self.is_somewhere(id, seat) {
            self.doom(id, seat);
        }
    }

    /// Whether anything is left of a message but at `seat`.
    ///
    /// What a leaving member holds does not count where `seat` has confirmed it: the leaver drops its
    /// copy when it hears so, and that word may be on its way.
    pub fn is_somewhere(&self, id: MessageId, seat: usize) -> bool {
        let confirmed = self.ledger.confirmed.get(&id);
        let stores = self.life(seat).map(|life| life.stores.as_slice());
        let has_confirmed = confirmed.is_some_and(|confirmed| {
            let stores = stores.unwrap_or_default();
            let mut confirmed = confirmed.iter();
            // Its stores that ended just now are none of its own any more.
            confirmed.any(|store| stores.contains(store) || self.ledger.ended.contains(store))
        });
        let mut others = self.living().filter(|(other, _)| *other != seat);
        let is_held = others.any(|(other, life)| {
            let goes = self.seats[other].leaving.is_some() && has_confirmed;
            !goes && life.engine.holds(id)
        });
        let aside = self.ledger.aside.get(&id);
        is_held || aside.is_some_and(|seats| seats.iter().any(|at| *at != seat))
    }

    /// Everything acknowledged and unfinished is somewhere (Q1).
    pub fn watch_copies(&mut self) {
        (0..self.seats.len()).for_each(|seat| self.note_in_groups(seat));
        self.watch_late_copies();
        let open = self.ledger.open.keys().copied();
        let gone: Vec<MessageId> = open
            .filter(|id| {
                let is_held = self.living().any(|(_, life)| life.engine.holds(*id));
                !is_held && !self.ledger.aside.contains_key(id)
            })
            .collect();
        for id in gone {
            let value = self.ledger.open.remove(&id);
            if let Some(value) = value.filter(|value| self.may_have_expired(*value)) {
                self.sometimes.hit("gone after its date");
                self.remark(0, value, Verb::Lapsed);
                continue;
            }
            if let Some(value) = value.filter(|value| self.is_dead(id, *value)) {
                self.sometimes.hit("went on as a dead letter");
                self.remark(0, value, Verb::Lapsed);
                continue;
            }
            if let Some(value) = value.filter(|_| self.went_into_groups(id)) {
                self.sometimes.hit("moved into groups");
                self.remark(0, value, Verb::Doomed);
                continue;
            }
            let detail = format!("{id} is acknowledged, unfinished, and held by nobody: {value:?}");
            self.violation("lost", detail);
        }
    }

    /// At the end: what is left of these is set aside, and nowhere else.
    pub fn account_aside(&mut self) {
        let open = self.ledger.open.iter();
        let left: Vec<_> = open
            .filter(|(id, _)| self.ledger.aside.contains_key(id))
            .map(|(_, value)| *value)
            .collect();
        for value in left {
            self.sometimes.hit("last copy stayed aside");
            self.remark(0, value, Verb::Aside);
        }
    }

    /// Whether these stores confirmed a copy before they ended on purpose.
    pub fn confirmed_by_ended(&self, id: MessageId) -> impl Iterator<Item = StoreId> {
        let confirmed = self.ledger.confirmed.get(&id).into_iter().flatten();
        let ended = confirmed.filter(|store| self.ledger.ended.contains(store));
        ended.copied()
    }
}
