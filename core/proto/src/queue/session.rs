//! Subscriptions: deliveries pushed under credit (protocol.md 4.4). Settling one, or losing its
//! lease, makes room for the next.

use super::delivery::{Flow, Handle, Leased, Reply};
use super::shelf::{Held, Session};
use super::slot::Lessee;
use super::{Alarm, Queues, limits};
use crate::base::{
    Error, ErrorKind, MemberId, MessageId, Millis, Now, QueueKey, SessionId, Ticket,
};

/// How often deliveries whose leases ran out elsewhere are looked for.
const SESSION_MS: Millis = 1_000;

impl Queues {
    /// Opens a subscription.
    pub fn subscribe(&mut self, now: Now, ticket: Ticket, queue: QueueKey, flow: &Flow) {
        let checked = self.check_receive(queue, 1, flow.lease);
        let checked = checked.and_then(|lease| self.check_flow(flow).map(|()| lease));
        let lease = match checked {
            Ok(lease) => lease,
            Err(error) => return self.reply(ticket, Err(error)),
        };
        let id = SessionId(self.number());
        let session = Session {
            queue,
            credit: flow.credit,
            credit_bytes: flow.credit_bytes,
            lease,
            max_run: flow.max_run,
            held: alloc::collections::BTreeMap::new(),
            held_bytes: 0,
            is_ended: false,
            demand: None,
        };
        self.sessions.insert(id, session);
        if let Some(shelf) = self.shelf(queue) {
            shelf.sessions.push_back(id);
        }
        self.reply(ticket, Ok(Reply::Session(id)));
        self.serve(now, queue);
    }

    fn check_flow(&self, flow: &Flow) -> crate::base::Result<()> {
        self.check_credit(0, flow.credit)?;
        if flow.credit_bytes == Some(0) {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("the credit is out of its range")
                .with("credit_bytes", 0));
        }
        match flow.max_run {
            Some(run) if run == 0 || run > limits::RUN_MS_MAX => {
                Err(Error::new(ErrorKind::InvalidArgument)
                    .because("the time that leases are extended is out of its range")
                    .with("max_run_ms", run)
                    .with("max_run_ms_max", limits::RUN_MS_MAX))
            }
            _ => Ok(()),
        }
    }

    fn check_credit(&self, has: u32, more: u32) -> crate::base::Result<()> {
        if self.sessions.len() >= limits::SESSIONS_MAX {
            return Err(Error::new(ErrorKind::Full)
                .because("as many subscriptions are open here as may be")
                .with("sessions_max", limits::SESSIONS_MAX));
        }
        if more == 0 || has.saturating_add(more) > limits::CREDIT_MAX {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("the credit is out of its range")
                .with("credit", has.saturating_add(more))
                .with("credit_max", limits::CREDIT_MAX));
        }
        Ok(())
    }

    /// Raises a subscription's credit.
    pub fn credit(&mut self, now: Now, ticket: Ticket, id: SessionId, more: u32) {
        let open = self.sessions.get(&id).filter(|session| !session.is_ended);
        let Some(session) = open else {
            return self.reply(ticket, Err(ErrorKind::Closed.into()));
        };
        let (has, queue) = (session.credit, session.queue);
        if let Err(error) = self.check_credit(has, more) {
            return self.reply(ticket, Err(error));
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.credit += more;
        }
        self.reply(ticket, Ok(Reply::Done));
        self.serve(now, queue);
    }

    /// Ends a subscription; with `abandon`, everything unsettled is released. Where it keeps leases,
    /// what is not released is kept until it is settled, as long as `max_run` allows.
    pub fn unsubscribe(&mut self, now: Now, ticket: Ticket, id: SessionId, abandon: bool) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.is_ended = true;
            let queue = session.queue;
            if let Some(shelf) = self.shelf(queue) {
                shelf.sessions.retain(|open| *open != id);
            }
            if abandon {
                let held = self.close_session(id).map(|session| session.held);
                for (message, held) in held.into_iter().flatten() {
                    self.release_held(now, message, held);
                }
            } else {
                self.bury_session(id);
            }
            if self.sessions.contains_key(&id) {
                // What was given out at most once has no lease whose end is noticed.
                self.look_at_session(now, id);
            }
            self.serve(now, queue);
        }
        self.reply(ticket, Ok(Reply::Done));
    }

    /// Forgets a subscription that ended as soon as there is nothing to keep for it.
    fn bury_session(&mut self, id: SessionId) {
        let is_over = self.sessions.get(&id).is_some_and(|session| {
            session.is_ended && (session.max_run.is_none() || session.held.is_empty())
        });
        if is_over {
            self.close_session(id);
        }
    }

    fn close_session(&mut self, id: SessionId) -> Option<Session> {
        self.alarms.clear(&Alarm::Session(id));
        self.keeping.clear(&id);
        self.sessions.remove(&id)
    }

    fn release_held(&mut self, now: Now, id: MessageId, held: Held) {
        let settle = super::Settle {
            number: 0,
            verb: super::settle::RELEASE,
            origin: id.origin.0,
            sequence: id.sequence,
            epoch: held.own.epoch,
            lease: held.lease,
            span: 0,
            reason: alloc::string::String::new(),
        };
        if held.lease == 0 {
            self.counters.at_most_once_lost += 1;
            return;
        }
        if held.owner == self.me.member {
            // Lost already, perhaps: then there is nothing to release.
            let _ = self.settle_here(now, &settle);
        } else {
            self.send(held.owner, super::Message::Settle(settle));
        }
    }

    /// Notes deliveries as unsettled.
    pub(super) fn hold(&mut self, now: Now, id: SessionId, owner: MemberId, given: &[Leased]) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let run = session.max_run.unwrap_or_default();
        for leased in given {
            let is_leased = leased.handle.lease != 0;
            let held = Held {
                until: now.mono + leased.lease,
                own: leased.handle.own,
                owner,
                lease: leased.handle.lease,
                bytes: leased.body.len() as u64,
                kept_until: now.mono + if is_leased { run } else { 0 },
                asked: None,
            };
            session.hold(leased.handle.id, held);
        }
        self.plan_keeping(now, id, given);
        if !given.is_empty() && owner != self.me.member {
            self.look_at_session(now, id);
        }
    }

    /// Has a subscription looked at for leases that ran out unseen.
    pub(super) fn look_at_session(&mut self, now: Now, id: SessionId) {
        self.alarms
            .set_earlier(Alarm::Session(id), now.mono + SESSION_MS);
    }

    /// A delivery of a subscription is settled: there is room for another.
    pub(super) fn settled_by(&mut self, now: Now, handle: &Handle) {
        let Some(id) = handle.session else {
            return;
        };
        // An older lease's settlement does not end the one that the consumer has now.
        let held = self
            .sessions
            .get(&id)
            .and_then(|session| session.held.get(&handle.id));
        let is_stale =
            held.is_some_and(|held| held.lease != handle.lease || held.own != handle.own);
        if !is_stale || self.is_done(handle.id) {
            self.let_go(id, handle.id);
            self.serve(now, handle.queue);
        }
    }

    /// A lease given here is over. A consumer that has the message under another owner's lease by now
    /// has that one still: its credit is free when it is settled or has run out.
    pub(super) fn lease_is_over(&mut self, now: Now, index: u32) {
        let Some(slot) = self.slab.get(index) else {
            return;
        };
        let Lessee::Here(Some(session)) = slot.lessee else {
            return;
        };
        let (id, own, lease) = (slot.id, slot.own, slot.lease);
        let held = self
            .sessions
            .get(&session)
            .and_then(|session| session.held.get(&id));
        match held {
            Some(held) if held.lease == lease && held.own == own => self.let_go(session, id),
            Some(_) => self.look_at_session(now, session),
            None => {}
        }
    }

    pub(super) fn let_go(&mut self, id: SessionId, message: MessageId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.let_go(message);
            if session.is_ended {
                self.bury_session(id);
            }
        }
    }

    /// Leases of other owners that must have run out by now make room.
    pub(super) fn session_is_due(&mut self, now: Now, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let (queue, is_lighter) = (session.queue, session.let_go_of_late(now.mono));
        if session.held.is_empty() {
            self.bury_session(id);
        } else {
            self.alarms.set(Alarm::Session(id), now.mono + SESSION_MS);
        }
        if is_lighter {
            self.serve(now, queue);
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
