//! Whom to dial, and when again: seeds and members without a link, for ever (protocol.md 1.2).
//!
//! Systems that stop dialling those they think dead never merge again after a long split.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::base::{Chance, Error, Instant, Millis, Ticket, limits};

/// One address to be linked to.
#[derive(Debug)]
struct Target {
    is_seed: bool,
    is_dialling: bool,
    is_linked: bool,
    next: Instant,
    pause: Millis,
    /// Callers of `join` that wait for it.
    joins: Vec<Ticket>,
}

/// All addresses this member is to dial.
#[derive(Debug, Default)]
pub struct Dialler {
    targets: BTreeMap<String, Target>,
}

impl Dialler {
    /// Adds a seed, dialled until it is linked and again when it is not.
    pub fn seed(&mut self, now: Instant, address: &str) {
        self.target(now, address).is_seed = true;
    }

    /// Adds a join: dialled at once, given up when the first dial fails.
    pub fn join(&mut self, now: Instant, address: &str, ticket: Ticket) {
        let target = self.target(now, address);
        target.joins.push(ticket);
        if !target.is_dialling {
            target.next = now;
            // A link that exists does not answer a join: only a fresh handshake tells what is there.
            target.is_linked = false;
        }
    }

    /// Sets the members' addresses that this member should dial, replacing the last answer.
    pub fn members(&mut self, now: Instant, wanted: &[String]) {
        for address in wanted {
            self.target(now, address);
        }
        self.targets.retain(|address, target| {
            target.is_seed
                || target.is_dialling
                || target.is_linked
                || !target.joins.is_empty()
                || wanted.contains(address)
        });
    }

    /// Addresses that are due, now being dialled.
    pub fn due(&mut self, now: Instant) -> Vec<String> {
        let due = self
            .targets
            .iter_mut()
            .filter(|(_, target)| !target.is_dialling && !target.is_linked && target.next <= now);
        due.map(|(address, target)| {
            target.is_dialling = true;
            address.clone()
        })
        .collect()
    }

    /// When the next dial is due.
    #[must_use]
    pub fn next(&self) -> Instant {
        let open = self
            .targets
            .values()
            .filter(|target| !target.is_dialling && !target.is_linked);
        open.map(|target| target.next)
            .min()
            .unwrap_or(Instant::NEVER)
    }

    /// A dial failed: again after a pause that doubles. Answers the joins that end with it.
    pub fn failed(&mut self, now: Instant, address: &str, chance: &mut Chance) -> Vec<Ticket> {
        let Some(target) = self.targets.get_mut(address) else {
            return Vec::new();
        };
        target.is_dialling = false;
        target.pause = (target.pause * 2).clamp(limits::DIAL_MS_MIN, limits::DIAL_MS_MAX);
        // Jitter of a quarter keeps members that lost one seed together from dialling together.
        let jitter = chance.below(target.pause / 4 + 1);
        target.next = now + target.pause - jitter;
        core::mem::take(&mut target.joins)
    }

    /// A dial became a link. Answers the joins that were waiting for it.
    pub fn linked(&mut self, address: &str) -> Vec<Ticket> {
        let Some(target) = self.targets.get_mut(address) else {
            return Vec::new();
        };
        target.is_dialling = false;
        target.is_linked = true;
        target.pause = 0;
        core::mem::take(&mut target.joins)
    }

    /// A seed is one no more, until a join or a restart.
    pub fn unseed(&mut self, address: &str) {
        if let Some(target) = self.targets.get_mut(address) {
            target.is_seed = false;
        }
    }

    /// True when somebody asked for this address: a seed, or a join that waits.
    #[must_use]
    pub fn is_asked_for(&self, address: &str) -> bool {
        let target = self.targets.get(address);
        target.is_some_and(|target| target.is_seed || !target.joins.is_empty())
    }

    /// The link that this address leads to is gone: dial again soon.
    pub fn unlinked(&mut self, now: Instant, address: &str, chance: &mut Chance) {
        if let Some(target) = self.targets.get_mut(address) {
            target.is_linked = false;
            target.next = now + limits::DIAL_MS_MIN / 2 + chance.below(limits::DIAL_MS_MIN);
        }
    }

    /// The member behind this address is linked, whoever dialled.
    pub fn covered(&mut self, address: &str) {
        if let Some(target) = self.targets.get_mut(address) {
            target.is_linked = true;
            target.pause = 0;
        }
    }

    /// True when some seed is linked, or there is none.
    #[must_use]
    pub fn is_seeded(&self) -> bool {
        let mut seeds = self
            .targets
            .values()
            .filter(|target| target.is_seed)
            .peekable();
        seeds.peek().is_none() || seeds.any(|target| target.is_linked)
    }

    /// Forgets everything, after a leave. Answers the joins that end with it.
    pub fn clear(&mut self) -> Vec<Ticket> {
        let targets = core::mem::take(&mut self.targets);
        targets
            .into_values()
            .flat_map(|target| target.joins)
            .collect()
    }

    /// What a join that timed out or failed says.
    #[must_use]
    pub fn failure(address: &str, error: &Error) -> Error {
        let told = Error::new(error.kind()).because(error.reason().to_string());
        told.with("address", address)
    }

    fn target(&mut self, now: Instant, address: &str) -> &mut Target {
        self.targets.entry(address.to_string()).or_insert(Target {
            is_seed: false,
            is_dialling: false,
            is_linked: false,
            next: now,
            pause: 0,
            joins: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_seed_is_dialled_for_ever_with_growing_pauses() {
        let mut dialler = Dialler::default();
        let mut chance = Chance::new(1);
        dialler.seed(Instant(0), "a:1");
        let mut now = Instant(0);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert_eq!(dialler.due(now), ["a:1"]);
            assert!(dialler.due(now).is_empty(), "one dial at a time");
            dialler.failed(now, "a:1", &mut chance);
            pauses.push(dialler.next().since(now));
            now = dialler.next();
        }
        assert!(pauses[0] <= limits::DIAL_MS_MIN);
        assert!(*pauses.last().unwrap() >= limits::DIAL_MS_MAX * 3 / 4);
        assert!(pauses.iter().all(|pause| *pause <= limits::DIAL_MS_MAX));
    }

    #[test]
    fn a_link_ends_the_dialling_and_its_loss_begins_it_again() {
        let mut dialler = Dialler::default();
        dialler.join(Instant(0), "a:1", Ticket(7));
        assert_eq!(dialler.due(Instant(0)), ["a:1"]);
        assert_eq!(dialler.linked("a:1"), [Ticket(7)]);
        assert_eq!(dialler.next(), Instant::NEVER);
        dialler.unlinked(Instant(50), "a:1", &mut Chance::new(1));
        assert!(dialler.next() < Instant(250));
    }
}
