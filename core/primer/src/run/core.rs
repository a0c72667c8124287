//! [`Core`]: what the driver's lock protects: the engine, who waits for it, and where its effects go.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use primer_proto::base::{Instant, LinkId, Now, SessionId, Ticket};
use primer_proto::engine::{Answer, Effect, Engine, Input, Lane, Reply};
use primer_proto::{Error, ErrorKind, Result};

use super::chores::Chores;
use super::feeds::Feeds;
use super::keeper::{Clerk, Keeper};
use super::session::Buffer;
use super::table::Table;
use crate::net::Order;
use crate::net::link::Link;

/// The locked part of a driver.
pub(crate) struct Core {
    engine: Engine,
    /// Reused, so that a call allocates nothing for its effects.
    effects: Vec<Effect>,
    pub(crate) waiters: Table,
    sessions: HashMap<SessionId, Arc<Buffer>>,
    links: HashMap<LinkId, Arc<Link>>,
    /// Links that were hung up and still write what was queued on them.
    ending: HashMap<LinkId, Arc<Link>>,
    /// Links that became full while effects were applied.
    full: Vec<LinkId>,
    /// The latest time the engine was told.
    latest: Instant,
    /// What the timer is set to.
    armed: Instant,
    /// Why nothing is served any more.
    ended: Option<Error>,
    is_torn_down: bool,
    /// The engine panicked: nothing of it is to be believed.
    is_failed: bool,
    feeds: Arc<Feeds>,
    /// Of a member with a directory.
    clerk: Option<Clerk>,
}

/// What was taken out of a core that ended.
pub(crate) struct Remains {
    pub(crate) error: Error,
    pub(crate) waiters: Vec<Arc<dyn super::waiter::Slot>>,
    pub(crate) sessions: Vec<Arc<Buffer>>,
}

impl Core {
    /// A core around `engine`.
    pub(crate) fn new(engine: Engine, feeds: Arc<Feeds>, keeper: Option<Arc<Keeper>>) -> Self {
        let clerk = keeper.map(|keeper| Clerk::new(keeper, &engine));
        Self {
            engine,
            effects: Vec::new(),
            waiters: Table::default(),
            sessions: HashMap::new(),
            links: HashMap::new(),
            ending: HashMap::new(),
            full: Vec::new(),
            latest: Instant(0),
            armed: Instant::NEVER,
            ended: None,
            is_torn_down: false,
            is_failed: false,
            feeds,
            clerk,
        }
    }

    /// Errors: why nothing is served any more.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.ended {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// The latest time the engine was told.
    pub(crate) fn latest(&self) -> Instant {
        self.latest
    }

    /// Hands `input` to the engine; its effects gather until [`Core::apply`].
    /// Errors: 599 when the engine panicked; it is never called again.
    pub(crate) fn handle(&mut self, now: Now, input: Input) -> Result<()> {
        // Another thread may have read the clock later and come first.
        let mono = now.mono.max(self.latest);
        self.latest = mono;
        let now = Now { mono, ..now };
        let Core {
            engine,
            effects,
            clerk,
            ..
        } = self;
        let call = AssertUnwindSafe(|| {
            engine.handle(now, input, effects);
            if let Some(clerk) = clerk {
                clerk.look(engine);
            }
        });
        match catch_unwind(call) {
            Ok(()) => Ok(()),
            Err(panic) => Err(self.fail(panic)),
        }
    }

    /// Asks the engine something. Errors: 501, 599.
    pub(crate) fn ask<T>(&mut self, question: impl FnOnce(&mut Engine) -> T) -> Result<T> {
        self.check()?;
        self.ask_to_the_end(question)
    }

    /// The same, also when nothing is served any more. Errors: 599 when the engine panicked, now or
    /// before.
    pub(crate) fn ask_to_the_end<T>(
        &mut self,
        question: impl FnOnce(&mut Engine) -> T,
    ) -> Result<T> {
        if self.is_failed {
            self.check()?;
        }
        let engine = &mut self.engine;
        catch_unwind(AssertUnwindSafe(|| question(engine))).map_err(|panic| self.fail(panic))
    }

    fn fail(&mut self, panic: Box<dyn std::any::Any + Send>) -> Error {
        // The payload's own drop might panic; it is a few bytes, once in a member's life.
        std::mem::forget(panic);
        self.effects.clear();
        self.is_failed = true;
        let error = Error::new(ErrorKind::Internal)
            .because("the engine panicked; this member closed itself");
        self.ended = Some(error.clone());
        error
    }

    /// The reply to `ticket` if it is the engine's only effect: the path of every local verb. Not
    /// one that opens a session, which needs a buffer.
    pub(crate) fn only_reply(&mut self, ticket: Ticket) -> Option<Answer> {
        match self.effects.as_slice() {
            [Effect::Reply(to, answer)]
                if *to == ticket && !matches!(answer, Ok(Reply::Session(_))) => {}
            _ => return None,
        }
        match self.effects.pop() {
            Some(Effect::Reply(_, answer)) => Some(answer),
            _ => None,
        }
    }

    /// True when the engine wants to be woken before the timer would do so; the timer counts as
    /// set from then on.
    pub(crate) fn is_timer_late(&mut self) -> bool {
        let wake = self.engine.next_wake();
        if wake < self.armed {
            self.armed = wake;
            return true;
        }
        false
    }

    /// Sets the timer to what the engine wants, and answers it.
    pub(crate) fn arm(&mut self) -> Instant {
        self.armed = self.engine.next_wake();
        self.armed
    }

    /// Carries out the effects that must keep the engine's order, and leaves the rest to `chores`.
    /// Answers the reply to `own`.
    pub(crate) fn apply(
        &mut self,
        now: Now,
        own: Option<Ticket>,
        chores: &mut Chores,
    ) -> Result<Option<Answer>> {
        let mut mine = None;
        while !self.effects.is_empty() {
            let mut effects = std::mem::take(&mut self.effects);
            for effect in effects.drain(..) {
                match effect {
                    Effect::Reply(ticket, answer) => {
                        if let Ok(Reply::Session(session)) = &answer {
                            self.sessions.insert(*session, Arc::default());
                        }
                        if own == Some(ticket) {
                            mine = Some(answer);
                        } else {
                            self.reply(ticket, answer, chores);
                        }
                    }
                    effect => self.apply_one(effect, chores),
                }
            }
            self.effects = effects;
            while let Some(link) = self.full.pop() {
                let is_full = true;
                self.handle(now, Input::Pressure { link, is_full })?;
            }
        }
        chores.is_timer_late |= self.is_timer_late();
        Ok(mine)
    }

    fn reply(&mut self, ticket: Ticket, answer: Answer, chores: &mut Chores) {
        match self.waiters.take(ticket) {
            Some(slot) => chores.answers.push((slot, answer)),
            // Cancelled, or never waited for. What was leased for it must not stay leased.
            None => {
                if let Ok(Reply::Deliveries(leased)) = answer {
                    chores.orphans.extend(leased);
                }
            }
        }
    }

    fn apply_one(&mut self, effect: Effect, chores: &mut Chores) {
        match effect {
            Effect::Reply(ticket, answer) => self.reply(ticket, answer, chores),
            Effect::Deliver(session, leased) => match self.sessions.get(&session) {
                Some(buffer) => buffer.fill(leased, chores),
                None => chores.orphans.extend(leased),
            },
            Effect::Send(id, lane, message) => {
                let Some(link) = self.links.get(&id) else {
                    return;
                };
                let became_full = link.queue(lane, message);
                chores.touch(link);
                if became_full && lane == Lane::Bulk {
                    self.full.push(id);
                }
            }
            Effect::Dial(address) => chores.orders.push(Order::Dial(address)),
            Effect::Hangup(id, error) => {
                if let Some(link) = self.links.remove(&id) {
                    self.ending.insert(id, link.clone());
                    chores.hangups.push((link, error));
                }
            }
            Effect::Change(change) => self.feeds.changes.push(&change, &mut chores.changes),
            Effect::Topic(broadcast) => self.feeds.topics.push(&broadcast, &mut chores.topics),
            Effect::Host(call) => chores.are_handlers_due |= self.feeds.handlers.push(call),
            Effect::Event(event) => {
                if tracing::enabled!(tracing::Level::INFO) {
                    chores.traces.push(event.clone());
                }
                self.feeds.events.push(&event, &mut chores.events);
            }
        }
    }

    /// Makes effects that name the link reach it.
    pub(crate) fn add_link(&mut self, link: Arc<Link>) {
        self.links.insert(link.id(), link);
    }

    /// Forgets a link.
    pub(crate) fn remove_link(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.ending.remove(&link);
    }

    /// The links that are up, and those whose last words are on their way.
    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        self.links
            .values()
            .chain(self.ending.values())
            .cloned()
            .collect()
    }

    /// The buffer of a session that is open.
    pub(crate) fn session(&self, session: SessionId) -> Option<Arc<Buffer>> {
        self.sessions.get(&session).cloned()
    }

    /// Forgets a session; what is still delivered to it goes back.
    pub(crate) fn remove_session(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// How many sessions are open.
    pub(crate) fn sessions_len(&self) -> usize {
        self.sessions.len()
    }

    /// Serves nothing from now on, because of `error` unless it had ended before. Answers what is
    /// to be told of it, to the first caller only.
    pub(crate) fn tear_down(&mut self, error: &Error) -> Option<Remains> {
        if std::mem::replace(&mut self.is_torn_down, true) {
            return None;
        }
        let error = self.ended.get_or_insert_with(|| error.clone()).clone();
        Some(Remains {
            error,
            waiters: self.waiters.take_all(),
            sessions: std::mem::take(&mut self.sessions).into_values().collect(),
        })
    }
}
