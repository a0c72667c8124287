//! Nack, release and extend: the owner's lease changes, wherever the consumer is (protocol.md 4.4).

use alloc::string::String;

use super::dead::Cause;
use super::delivery::{Handle, Reply};
use super::message::{Message, Settle, Settled};
use super::slot::Place;
use super::{Alarm, Queues, limits};
use crate::base::{BootId, Error, ErrorKind, MemberId, MessageId, Millis, Now, Result, Ticket};

/// Again, after a delay.
pub(super) const NACK: u32 = 1;
/// Again at once, the attempt not counted.
pub(super) const RELEASE: u32 = 2;
/// Keep it for longer.
pub(super) const EXTEND: u32 = 3;
/// Never again: it is a dead letter now.
const REJECT: u32 = 4;

impl Queues {
    /// It failed: again after `delay`, none for the back-off.
    pub fn nack(&mut self, now: Now, ticket: Ticket, handle: &Handle, delay: Option<Millis>) {
        if delay.is_some_and(|delay| delay > limits::DELAY_MS_MAX) {
            let error = Error::new(ErrorKind::InvalidArgument)
                .because("the delay is out of its range")
                .with("delay_ms_max", limits::DELAY_MS_MAX);
            return self.reply(ticket, Err(error));
        }
        self.settle(now, ticket, handle, (NACK, delay, String::new()));
    }

    /// It can never succeed: a dead letter at once, with the reason.
    pub fn reject(&mut self, now: Now, ticket: Ticket, handle: &Handle, reason: &str) {
        let mut end = reason.len().min(limits::REASON_BYTES_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = reason.get(..end).unwrap_or_default().into();
        self.settle(now, ticket, handle, (REJECT, None, reason));
    }

    /// It was not tried.
    pub fn release(&mut self, now: Now, ticket: Ticket, handle: &Handle) {
        self.settle(now, ticket, handle, (RELEASE, None, String::new()));
    }

    /// It needs this long from now, none for the default.
    pub fn extend(&mut self, now: Now, ticket: Ticket, handle: &Handle, lease: Option<Millis>) {
        let lease = lease.unwrap_or_else(|| self.usual_lease(handle.queue));
        if lease == 0 || lease > limits::LEASE_MS_MAX {
            let error = Error::new(ErrorKind::InvalidArgument)
                .because("the lease is out of its range")
                .with("lease_ms_max", limits::LEASE_MS_MAX);
            return self.reply(ticket, Err(error));
        }
        self.prolong(now, handle, lease);
        self.settle(now, ticket, handle, (EXTEND, Some(lease), String::new()));
    }

    fn settle(
        &mut self,
        now: Now,
        ticket: Ticket,
        handle: &Handle,
        (verb, span, reason): (u32, Option<Millis>, String),
    ) {
        let is_lent_here = handle.own.store == self.me.store;
        let is_open = handle.lease != 0 && !self.is_done(handle.id);
        if verb != EXTEND && !(is_lent_here && is_open) {
            self.settled_by(now, handle);
        }
        if handle.lease == 0 {
            // Finished when it was given out: a release of it gives it to nobody.
            self.counters.at_most_once_lost += u64::from(verb == RELEASE);
            return self.reply(ticket, Err(done_already()));
        }
        let mut settle = Settle {
            number: 0,
            verb,
            origin: handle.id.origin.0,
            sequence: handle.id.sequence,
            epoch: handle.own.epoch,
            lease: handle.lease,
            span: span.map_or(0, |span| span.saturating_add(1)),
            reason,
        };
        if self.is_done(handle.id) {
            return self.reply(ticket, Err(done_already()));
        }
        if is_lent_here {
            let answer = self.settle_here(now, &settle).map(|()| Reply::Done);
            // Only now: what is given back goes before what is younger.
            if verb != EXTEND {
                self.settled_by(now, handle);
            }
            return self.reply(ticket, answer);
        }
        let holders = handle.holders.as_deref().unwrap_or_default();
        let owner = holders
            .iter()
            .find(|holder| holder.store == handle.own.store);
        let Some(owner) = owner.filter(|owner| self.is_linked(**owner)) else {
            let error = Error::new(ErrorKind::Unreachable)
                .because("the message's owner cannot be reached; its lease will run out")
                .with("message", handle.id);
            return self.reply(ticket, Err(error));
        };
        settle.number = self.number();
        self.settles.insert(settle.number, (ticket, owner.member));
        self.alarms
            .set(Alarm::Settle(settle.number), now.mono + limits::SETTLE_MS);
        self.send(owner.member, Message::Settle(settle));
    }

    /// A consumer elsewhere settles a lease that was given here.
    pub(super) fn on_settle(&mut self, now: Now, from: MemberId, settle: &Settle) {
        let code = match self.settle_here(now, settle) {
            Ok(()) => 0,
            Err(error) => u32::from(error.number()),
        };
        if settle.number != 0 {
            let number = settle.number;
            self.send(from, Message::Settled(Settled { number, code }));
        }
    }

    pub(super) fn on_settled(&mut self, now: Now, settled: &Settled) {
        if let Some(kept) = self.kept.remove(&settled.number) {
            return self.was_kept(now, &kept, settled.code);
        }
        let Some((ticket, _)) = self.settles.remove(&settled.number) else {
            return;
        };
        self.alarms.clear(&Alarm::Settle(settled.number));
        let kind = u16::try_from(settled.code)
            .ok()
            .and_then(ErrorKind::from_number);
        let answer = match (settled.code, kind) {
            (0, _) => Ok(Reply::Done),
            (_, Some(ErrorKind::LeaseLost)) => Err(lease_lost()),
            (_, Some(ErrorKind::AlreadyDone)) => Err(done_already()),
            (_, kind) => Err(kind.unwrap_or(ErrorKind::Interrupted).into()),
        };
        self.reply(ticket, answer);
    }

    pub(super) fn settle_is_late(&mut self, number: u64) {
        if let Some((ticket, _)) = self.settles.remove(&number) {
            self.alarms.clear(&Alarm::Settle(number));
            let error = Error::new(ErrorKind::Interrupted)
                .because("the message's owner did not answer; whether it heard is not known");
            self.reply(ticket, Err(error));
        }
    }

    pub(super) fn drop_settles_to(&mut self, member: MemberId) {
        let lost = self.settles.iter().filter(|(_, (_, to))| *to == member);
        let lost: alloc::vec::Vec<u64> = lost.map(|(number, _)| *number).collect();
        lost.into_iter()
            .for_each(|number| self.settle_is_late(number));
    }

    /// Changes a lease of this owner. Errors: 401 when it is not that lease any more, 402.
    pub(super) fn settle_here(&mut self, now: Now, settle: &Settle) -> Result<()> {
        let id = MessageId {
            origin: BootId(settle.origin),
            sequence: settle.sequence,
        };
        if self.is_done(id) {
            return Err(done_already());
        }
        let index = self.index.get(id).ok_or_else(lease_lost)?;
        let slot = self.slab.get_mut(index).ok_or_else(lease_lost)?;
        let is_current = slot.place == Place::Leased
            && slot.lease == settle.lease
            && slot.own.epoch == settle.epoch
            && slot.own.store == self.me.store;
        if !is_current {
            return Err(lease_lost());
        }
        let span = settle.span.checked_sub(1);
        if settle.verb == EXTEND {
            let queue = slot.queue;
            let lease = span.unwrap_or_else(|| self.usual_lease(queue));
            let lease = lease.clamp(1, limits::LEASE_MS_MAX);
            self.wheel.set(index, now.mono + lease);
            self.note_lease(now, index);
            return Ok(());
        }
        self.lease_is_over(now, index);
        match settle.verb {
            REJECT if !self.is_dead_letter(index) => {
                self.die(now, index, Cause::Rejected(settle.reason.clone()));
            }
            // It is where what is rejected goes: it stays there, and is out of the way for a while.
            REJECT => self.end_lease(now, index, NACK, None),
            verb => self.end_lease(now, index, verb, span),
        }
        Ok(())
    }

    fn end_lease(&mut self, now: Now, index: u32, verb: u32, span: Option<Millis>) {
        let Some(slot) = self.slab.get_mut(index) else {
            return;
        };
        let mut delay = 0;
        if verb == RELEASE {
            slot.attempts = slot.attempts.saturating_sub(1);
            self.counters.released += 1;
        } else {
            let (queue, attempts) = (slot.queue, slot.attempts);
            delay = span.unwrap_or_else(|| self.back_off(queue, attempts));
            delay = delay.min(limits::DELAY_MS_MAX);
            self.counters.redeliveries_nack += 1;
        }
        if let Some(queue) = self.delay(now, index, delay) {
            self.serve(now, queue);
        }
    }
}

fn lease_lost() -> Error {
    Error::new(ErrorKind::LeaseLost).because("the lease ran out; a late ack would still count")
}

pub(super) fn done_already() -> Error {
    Error::new(ErrorKind::AlreadyDone).because("the message is finished already")
}
