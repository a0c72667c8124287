//! Leases that the engine extends for a consumer (protocol.md 4.4: "library auto-extends while the
//! host handler lives").
//!
//! A host whose loop or interpreter lock is blocked cannot say that it still works; the engine's own
//! alarms can. While a delivery of a subscription with `max_run` is unsettled, its lease is extended
//! before a third of it is left: in the wheel where this member owns the message, by a settle to its
//! owner else. Each owner is asked once at a time for each lease, and again when its link was lost.

use alloc::vec::Vec;

use super::delivery::{Handle, Leased};
use super::message::{Message, Settle};
use super::shelf::Held;
use super::{Queues, limits};
use crate::base::{Instant, MemberId, MessageId, Millis, Now, SessionId};
use crate::copies::Holder;

/// An owner elsewhere was asked to extend a lease.
#[derive(Debug)]
pub(super) struct Kept {
    session: SessionId,
    id: MessageId,
    /// Which lease.
    lease: u32,
    owner: MemberId,
    /// When the lease ends at the earliest, once that is confirmed.
    until: Instant,
}

impl Queues {
    /// Sees to it that leases given just now are extended in time.
    pub(super) fn plan_keeping(&mut self, now: Now, id: SessionId, given: &[Leased]) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let run = session.max_run.unwrap_or_default();
        let ends = given.iter().map(|leased| leased.lease);
        if let Some(lease) = ends.filter(|lease| *lease < run).min() {
            self.keeping.set_earlier(id, now.mono + (lease - lease / 3));
        }
    }

    /// A consumer extended a lease itself: perhaps by less than the engine would.
    pub(super) fn prolong(&mut self, now: Now, handle: &Handle, lease: Millis) {
        let Some(id) = handle.session else {
            return;
        };
        let session = self.sessions.get_mut(&id);
        let held = session.and_then(|session| session.held.get_mut(&handle.id));
        if let Some(held) = held.filter(|held| held.lease == handle.lease) {
            held.until = now.mono + lease;
            if held.kept_until > held.until {
                self.keeping.set_earlier(id, now.mono + (lease - lease / 3));
            }
        }
    }

    /// Extends what is due, a bounded part of it: the rest is due at once.
    pub(super) fn keep_leases(&mut self, now: Now) {
        let mut looked = 0;
        while looked < limits::STEP_MESSAGES_MAX {
            let Some(id) = self.keeping.due(now.mono) else {
                return;
            };
            looked += 1 + self.sessions.get(&id).map_or(0, |one| one.held.len());
            self.keep_session(now, id);
        }
    }

    fn keep_session(&mut self, now: Now, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let lease = session.lease;
        // Half a lease and not a third: what ends soon after goes along, and the next look is later.
        let soon = now.mono + lease / 2;
        let retry = now.mono + (lease / 6).max(1);
        let mut next = Instant::NEVER;
        let mut due = Vec::new();
        for (message, held) in &session.held {
            if held.kept_until <= held.until.max(now.mono) {
                continue;
            }
            if held.until > soon {
                next = next.min(held.until - lease / 3);
            } else if !self.can_ask(now, held) {
                next = next.min(retry);
            } else if due.len() < limits::KEEP_STEP_MAX {
                due.push((*message, *held));
            } else {
                next = now.mono;
            }
        }
        for (message, held) in due {
            let span = lease.min(held.kept_until.since(now.mono));
            next = next.min(self.keep_one(now, (id, message), held, span));
        }
        if next != Instant::NEVER {
            self.keeping.set(id, next);
        }
    }

    /// False while an owner elsewhere has not answered, or cannot be reached.
    fn can_ask(&self, now: Now, held: &Held) -> bool {
        let is_waiting = |asked: Instant| asked + limits::SETTLE_MS > now.mono;
        let holder = Holder {
            member: held.owner,
            store: held.own.store,
        };
        held.owner == self.me.member
            || (self.is_linked(holder) && !held.asked.is_some_and(is_waiting))
    }

    /// Extends one lease; answers when to look at it again.
    fn keep_one(
        &mut self,
        now: Now,
        (session, id): (SessionId, MessageId),
        held: Held,
        span: Millis,
    ) -> Instant {
        let mut settle = Settle {
            number: 0,
            verb: super::settle::EXTEND,
            origin: id.origin.0,
            sequence: id.sequence,
            epoch: held.own.epoch,
            lease: held.lease,
            span: span.saturating_add(1),
            reason: alloc::string::String::new(),
        };
        let until = now.mono + span;
        let kept = Kept {
            session,
            id,
            lease: held.lease,
            owner: held.owner,
            until,
        };
        if held.owner == self.me.member {
            // A takeover, or another name of this store, may have ended the lease.
            return match self.settle_here(now, &settle) {
                Ok(()) => self.hold_until(&kept),
                Err(_) => {
                    self.lost_kept(now, &kept);
                    Instant::NEVER
                }
            };
        }
        settle.number = self.number();
        self.kept.insert(settle.number, kept);
        self.note_asked((session, id), Some(now.mono));
        self.send(held.owner, Message::Settle(settle));
        now.mono + (span / 3).max(1)
    }

    fn note_asked(&mut self, (session, id): (SessionId, MessageId), asked: Option<Instant>) {
        let session = self.sessions.get_mut(&session);
        if let Some(held) = session.and_then(|session| session.held.get_mut(&id)) {
            held.asked = asked;
        }
    }

    fn kept_lease(&mut self, kept: &Kept) -> Option<&mut Held> {
        let session = self.sessions.get_mut(&kept.session)?;
        let held = session.held.get_mut(&kept.id)?;
        (held.lease == kept.lease && held.owner == kept.owner).then_some(held)
    }

    /// A lease lasts longer now; answers when to look at it again.
    fn hold_until(&mut self, kept: &Kept) -> Instant {
        let lease = self.sessions.get(&kept.session).map_or(0, |one| one.lease);
        self.counters.leases_kept += 1;
        let Some(held) = self.kept_lease(kept) else {
            return Instant::NEVER;
        };
        held.until = held.until.max(kept.until);
        held.asked = None;
        if held.kept_until > held.until {
            held.until - lease / 3
        } else {
            Instant::NEVER
        }
    }

    /// A lease was lost though it was to be kept. The consumer still has the delivery: its credit is
    /// free when the lease would have run out.
    fn lost_kept(&mut self, now: Now, kept: &Kept) {
        if let Some(held) = self.kept_lease(kept) {
            held.kept_until = Instant::default();
            held.asked = None;
            self.counters.leases_kept_lost += 1;
            self.look_at_session(now, kept.session);
        }
    }

    /// An owner elsewhere answers.
    pub(super) fn was_kept(&mut self, now: Now, kept: &Kept, code: u32) {
        if code != 0 {
            return self.lost_kept(now, kept);
        }
        let next = self.hold_until(kept);
        if next != Instant::NEVER {
            self.keeping.set_earlier(kept.session, next);
        }
    }

    /// A link is gone, and what an owner was asked over it: it is asked again at once.
    pub(super) fn keep_again(&mut self, now: Now, member: MemberId) {
        let lost = self.kept.iter().filter(|(_, kept)| kept.owner == member);
        let lost: Vec<u64> = lost.map(|(number, _)| *number).collect();
        for number in lost {
            if let Some(kept) = self.kept.remove(&number) {
                self.note_asked((kept.session, kept.id), None);
                if self.sessions.contains_key(&kept.session) {
                    self.keeping.set_earlier(kept.session, now.mono);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
