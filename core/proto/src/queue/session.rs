//! Subscriptions: deliveries pushed under credit (protocol.md 4.4). Settling one, or losing its
//! lease, makes room for the next.

use super::delivery::{Handle, Leased, Reply};
use super::shelf::{Held, Session};
use super::{Alarm, Queues, limits};
use crate::base::{
    Error, ErrorKind, Instant, MemberId, MessageId, Millis, Now, QueueKey, SessionId, Ticket,
};

/// How often deliveries whose leases ran out elsewhere are looked for.
const SESSION_MS: Millis = 1_000;

impl Queues {
    /// Opens a subscription.
    pub fn subscribe(
        &mut self,
        now: Now,
        ticket: Ticket,
        queue: QueueKey,
        credit: u32,
        lease: Option<Millis>,
    ) {
        let lease = match self.check_receive(queue, 1, lease) {
            Ok(lease) => lease,
            Err(error) => return self.reply(ticket, Err(error)),
        };
        if let Err(error) = self.check_credit(0, credit) {
            return self.reply(ticket, Err(error));
        }
        let id = SessionId(self.number());
        let session = Session {
            queue,
            credit,
            lease,
            held: alloc::collections::BTreeMap::new(),
            demand: None,
        };
        self.sessions.insert(id, session);
        if let Some(shelf) = self.shelf(queue) {
            shelf.sessions.push_back(id);
        }
        self.reply(ticket, Ok(Reply::Session(id)));
        self.serve(now, queue);
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
        let Some(session) = self.sessions.get(&id) else {
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

    /// Ends a subscription; with `abandon`, everything unsettled is released.
    pub fn unsubscribe(&mut self, now: Now, ticket: Ticket, id: SessionId, abandon: bool) {
        if let Some(session) = self.sessions.remove(&id) {
            self.alarms.clear(&Alarm::Session(id));
            if let Some(shelf) = self.shelf(session.queue) {
                shelf.sessions.retain(|open| *open != id);
            }
            if abandon {
                for (message, held) in session.held {
                    self.release_held(now, message, held);
                }
            }
            self.serve(now, session.queue);
        }
        self.reply(ticket, Ok(Reply::Done));
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
        };
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
        for leased in given {
            let held = Held {
                until: now.mono + leased.lease,
                own: leased.handle.own,
                owner,
                lease: leased.handle.lease,
            };
            session.held.insert(leased.handle.id, held);
        }
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

    pub(super) fn let_go(&mut self, id: SessionId, message: MessageId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.held.remove(&message);
        }
    }

    /// A longer lease of a delivery counts here too.
    pub(super) fn prolong(&mut self, handle: &Handle, until: Instant) {
        let session = handle.session.and_then(|id| self.sessions.get_mut(&id));
        if let Some(held) = session.and_then(|session| session.held.get_mut(&handle.id)) {
            held.until = until;
        }
    }

    /// Leases of other owners that must have run out by now make room.
    pub(super) fn session_is_due(&mut self, now: Now, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let before = session.held.len();
        session.held.retain(|_, held| held.until > now.mono);
        let (queue, is_lighter) = (session.queue, session.held.len() < before);
        if !session.held.is_empty() {
            self.alarms.set(Alarm::Session(id), now.mono + SESSION_MS);
        }
        if is_lighter {
            self.serve(now, queue);
        }
    }
}
