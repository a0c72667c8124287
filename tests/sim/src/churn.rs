//! Members that leave, are evicted, or are away for too long; and come again.

use primer_proto::engine::{Answer, Command};

use crate::agenda::SECOND;
use crate::plan::Class;
use crate::users::{Act, What};
use crate::world::{Phase, World};

impl World {
    /// A member leaves, unless it is the last one.
    pub fn strike_leave(&mut self, seat: usize) {
        if self.life(seat).is_none() || self.seats[seat].is_paused || self.living().count() < 2 {
            return;
        }
        let force = self.fault_dice.coin();
        let command = Command::Leave {
            drain: Some(2_000),
            force,
        };
        if self.seats[seat].leaving.is_none() {
            self.seats[seat].leaving = Some(force);
        }
        // What it confirms from here on it may hand over before the receipt is given.
        let stores = self.life(seat).map(|life| life.stores.clone());
        self.ledger.ended.extend(stores.into_iter().flatten());
        self.ask(seat, command, What::Leave);
    }

    /// A leave is answered: who has left remembers nothing, and joins again.
    pub fn has_left(&mut self, seat: usize, answer: &Answer) {
        // A second leave during the first is refused: that one is not over.
        if !matches!(answer, Err(error) if error.number() == 103) {
            self.seats[seat].leaving = None;
        }
        match answer {
            Ok(_) => {
                self.sometimes.hit("member left");
                self.seats[seat].generation += 1;
                self.seats[seat].inherits.clear();
                self.seats[seat].has_left = true;
                self.stands_apart(seat);
                self.later(seat, 3 * SECOND, Act::Join);
            }
            Err(error) if matches!(error.number(), 103 | 205) => {}
            Err(error) => self.odd_answer(seat, "leave", error),
        }
    }

    /// One member takes another out of the set.
    pub fn strike_evict(&mut self, seat: usize) {
        let Some(life) = self.life(seat) else { return };
        let others = life.engine.members();
        let others: Vec<_> = others.iter().filter(|one| !one.is_self).collect();
        if self.seats[seat].is_paused || others.is_empty() {
            return;
        }
        let member = others[self.fault_dice.index(others.len())].id;
        if let Some(victim) = self.seats.iter().position(|seat| seat.member == member) {
            self.seats[victim].may_be_evicted = true;
        }
        self.sometimes.hit("member evicted");
        self.ask(seat, Command::Evict(member), What::Evict);
    }

    /// A member says that it was evicted.
    pub fn was_evicted(&mut self, seat: usize) {
        if !self.seats[seat].may_be_evicted {
            self.violation("membership", format!("m{seat} was evicted by nobody"));
        }
    }

    /// Members that left, or whose seed did, may stand in islands that do not know each other: an
    /// operator joins them.
    pub fn bridge_islands(&mut self) {
        if !self.plan.has(Class::Leave) && !self.plan.has(Class::Evict) {
            return;
        }
        for seat in 0..self.seats.len() {
            self.seats[seat].has_left = true;
            self.later(seat, 4 * SECOND, Act::Bridge);
        }
    }

    /// Asks a member to join the first one that listens. Where none is up yet, as the only one that
    /// does comes back later, the operator tries again.
    pub fn bridge(&mut self, seat: usize) {
        let others = self.seats.iter().enumerate();
        let mut others = others.filter(|(at, other)| *at != seat && other.life.is_some());
        if let Some(address) = others.find_map(|(_, other)| other.address.clone()) {
            self.ask(seat, Command::Join(address), What::Bridge);
        } else if self.phase == Phase::Heal {
            self.later(seat, 2 * SECOND, Act::Bridge);
        }
    }

    /// Asks a member to join: by its seed, or, when it has left, by any address that somebody
    /// listens at.
    pub fn rejoin(&mut self, seat: usize) {
        if !self.seats[seat].has_left {
            return self.join(seat);
        }
        let others = self.seats.iter().enumerate();
        let others = others.filter(|(at, other)| *at != seat && other.life.is_some());
        let addresses: Vec<String> = others
            .filter_map(|(_, other)| other.address.clone())
            .collect();
        if addresses.is_empty() {
            return self.later(seat, 2 * SECOND, Act::Join);
        }
        let address = addresses[self.fault_dice.index(addresses.len())].clone();
        self.ask(seat, Command::Join(address), What::Join);
    }
}
