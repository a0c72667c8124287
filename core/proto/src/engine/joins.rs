//! Those who wait for a link: `join`, and `open` that waits for a seed.

use alloc::string::String;
use alloc::vec::Vec;

use super::Engine;
use super::command::Reply;
use super::effect::Effect;
use crate::base::{Error, ErrorKind, Now, Ticket, limits};

impl Engine {
    pub(super) fn join(&mut self, now: Now, ticket: Ticket, address: String) {
        self.joins
            .insert(ticket, (address.clone(), now.mono + limits::JOIN_MS));
        self.dialler.join(now.mono, &address, ticket);
    }

    pub(super) fn wait_for_seed(&mut self, now: Now, ticket: Ticket) {
        self.joined.push((ticket, now.mono + limits::SEED_WAIT_MS));
        self.answer_joined(now);
    }

    pub(super) fn answer_joins(&mut self, tickets: Vec<Ticket>) {
        for ticket in tickets {
            if self.joins.remove(&ticket).is_some() {
                self.out.push(Effect::Reply(ticket, Ok(Reply::Done)));
            }
        }
    }

    pub(super) fn fail_joins(&mut self, tickets: &[Ticket], error: &Error) {
        for ticket in tickets {
            // One that ran out of time has its answer.
            if self.joins.remove(ticket).is_some() {
                self.out.push(Effect::Reply(*ticket, Err(error.clone())));
            }
        }
    }

    /// Joins whose time is up.
    pub(super) fn expire_joins(&mut self, now: Now) {
        let late = self
            .joins
            .iter()
            .filter(|(_, (_, deadline))| *deadline <= now.mono);
        let late: Vec<Ticket> = late.map(|(ticket, _)| *ticket).collect();
        for ticket in late {
            if let Some((address, _)) = self.joins.remove(&ticket) {
                let error = Error::new(ErrorKind::Interrupted).because("no answer in time");
                let error = error.with("address", address);
                self.out.push(Effect::Reply(ticket, Err(error)));
            }
        }
        self.answer_joined(now);
    }

    pub(super) fn answer_joined(&mut self, now: Now) {
        if self.joined.is_empty() {
            return;
        }
        let is_seeded = (self.config.seeds.is_empty() && self.dialler.is_alone())
            || (self.dialler.is_seeded() && self.links.values().any(|link| link.is_synced));
        let out = &mut self.out;
        self.joined.retain(|(ticket, deadline)| {
            let is_over = is_seeded || now.mono >= *deadline;
            if is_over {
                out.push(Effect::Reply(*ticket, Ok(Reply::Done)));
            }
            !is_over
        });
    }
}
