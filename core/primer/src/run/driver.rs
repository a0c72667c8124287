//! [`Driver`]: the lock around the engine.
//!
//! Whoever has something for the engine calls it on its own thread: lock, hand it in, move the
//! effects out, unlock, then do what is left (as quinn keeps a connection). There is no engine
//! task and no inbox, so a local verb never crosses a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::run::sync::{Mutex, MutexGuard};
use primer_proto::base::{LinkId, QueueKey, SessionId, Ticket};
use primer_proto::engine::{
    Answer, Command, Engine, Entry, GroupEntry, Handle, Input, Member, Message, Reply,
};
use primer_proto::membership::Hello;
use primer_proto::{Error, ErrorKind, Result};
use tokio::sync::{Notify, mpsc, watch};

use super::chores::Chores;
use super::clock::Clock;
use super::core::Core;
use super::feeds::Feeds;
use super::home::Home;
use super::keeper::Keeper;
use super::runtime;
use super::session::Buffer;
use super::waiter::{Convert, Slot, Waiter, unexpected};
use crate::net::Order;
use crate::net::counters::Counters;
use crate::net::link::Link;
use crate::pending::{Origin, Pending};
use crate::queue::Queue;
use crate::stats::Stats;
use crate::trust::{Secret, Trust, no_secret};

mod ending;

use ending::Ending;

/// Serves.
const OPEN: u8 = 0;
/// Closed, or failed: calls are refused.
const SHUT: u8 = 1;
/// This process is a forked child: the locks belong to threads that do not exist here.
const FORGOTTEN: u8 = 2;

/// How a caller means to wait for its command's answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    /// The answer depends on peers only; it is expected soon.
    Prompt,
    /// The answer may depend on messages or members that are not there yet.
    Patient,
    /// Not at all: the answer comes at once or is not wanted.
    Never,
}

/// One member's engine and everything that acts for it.
pub(crate) struct Driver {
    gate: AtomicU8,
    core: Mutex<Core>,
    /// Queues whose handles were dropped: never more than were asked for.
    released: Mutex<Vec<QueueKey>>,
    clock: Clock,
    feeds: Arc<Feeds>,
    counters: Counters,
    trust: Option<Trust>,
    orders: mpsc::UnboundedSender<Order>,
    alarm: Notify,
    /// Told when a link is lost: whoever looks for members looks again.
    stir: watch::Sender<()>,
    /// Of a member with a directory.
    keeper: Option<Arc<Keeper>>,
    last_link: AtomicU64,
    ending: Mutex<Ending>,
}

/// What became of a command at once.
enum Exchange {
    Answered(Answer),
    Later(Ticket),
}

impl Driver {
    /// A driver for the engine that `make` makes at the current time.
    pub(crate) fn new(
        make: impl FnOnce(primer_proto::base::Now) -> Engine,
        orders: mpsc::UnboundedSender<Order>,
        home: Option<Arc<Home>>,
        trust: Option<Trust>,
    ) -> Arc<Self> {
        let clock = Clock::start();
        let feeds = Arc::<Feeds>::default();
        let engine = make(clock.now());
        let keeper = home.map(|home| Keeper::new(home, &engine));
        Arc::new(Self {
            gate: AtomicU8::new(OPEN),
            core: Mutex::new(Core::new(engine, feeds.clone(), keeper.clone())),
            released: Mutex::default(),
            clock,
            feeds,
            counters: Counters::default(),
            trust,
            orders,
            alarm: Notify::new(),
            stir: watch::Sender::new(()),
            keeper,
            last_link: AtomicU64::new(0),
            ending: Mutex::default(),
        })
    }

    /// What the sockets count.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whom it believes; none: processes of this machine only.
    pub(crate) fn trust(&self) -> Option<&Trust> {
        self.trust.as_ref()
    }

    /// True where links are encrypted: then members may be on other machines.
    pub(crate) fn is_encrypting(&self) -> bool {
        self.trust.as_ref().is_some_and(Trust::is_encrypting)
    }

    /// Takes other secrets from now on. Errors: 101, 106, 501.
    pub(crate) fn rotate(&self, secrets: &[Secret]) -> Result<()> {
        if self.is_shut() {
            return Err(closed());
        }
        self.trust.as_ref().ok_or_else(no_secret)?.rotate(secrets)
    }

    /// The news this member carries.
    pub(crate) fn feeds(&self) -> &Feeds {
        &self.feeds
    }

    /// True in a forked child.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.gate.load(Ordering::Relaxed) == FORGOTTEN
    }

    /// True once it was closed or failed.
    pub(crate) fn is_shut(&self) -> bool {
        self.gate.load(Ordering::Acquire) != OPEN
    }

    /// Leaves every lock alone from now on: they were copied by a fork, perhaps locked.
    pub(crate) fn forget(&self) {
        self.gate.store(FORGOTTEN, Ordering::Release);
    }

    /// Sends a command; `convert` makes the verb's value of its reply.
    pub(crate) fn call<T: Send + 'static>(
        self: &Arc<Self>,
        command: Command,
        manner: Manner,
        queue: Option<&Queue>,
        convert: Convert<T>,
    ) -> Pending<T> {
        let mut made = None;
        let exchange = self.exchange(command, manner, &mut || {
            let waiter = Waiter::new(queue.cloned(), convert);
            made = Some(waiter.clone());
            waiter
        });
        match exchange {
            Ok(Exchange::Answered(answer)) => {
                Pending::here(answer.and_then(|reply| convert(queue, reply)))
            }
            Ok(Exchange::Later(ticket)) => match made {
                Some(waiter) => {
                    let origin = Origin::Ticket(self.clone(), ticket);
                    Pending::later(waiter.clone(), waiter, origin)
                }
                None => Pending::here(Err(unexpected())),
            },
            Err(error) => Pending::here(Err(error)),
        }
    }

    /// Sends a command that the engine answers at once.
    pub(crate) fn call_now(&self, command: Command) -> Result<Reply> {
        match self.exchange(command, Manner::Never, &mut no_waiter)? {
            Exchange::Answered(answer) => answer,
            Exchange::Later(_) => Err(unexpected()),
        }
    }

    /// Gives leased messages back that nobody took. Errors mean that they come back by themselves.
    pub(crate) fn release(&self, handle: Handle) {
        let command = Command::Release(handle);
        let _ = self.exchange(command, Manner::Never, &mut no_waiter);
    }

    fn exchange(
        &self,
        command: Command,
        manner: Manner,
        make: &mut dyn FnMut() -> Arc<dyn Slot>,
    ) -> Result<Exchange> {
        if self.gate.load(Ordering::Acquire) == FORGOTTEN {
            return Err(closed());
        }
        let read = (!command.is_timeless()).then(|| self.clock.now());
        let mut core = self.core.lock();
        let now = read.unwrap_or_else(|| self.clock.at(core.latest()));
        core.check()?;
        if manner != Manner::Never && core.waiters.is_full() {
            return Err(Error::new(ErrorKind::Full).because("too many calls wait at this member"));
        }
        let ticket = core.waiters.next();
        if let Err(error) = core.handle(now, Input::Command { ticket, command }) {
            return Err(self.collapse(core, error, Chores::default()));
        }
        if let Some(answer) = core.only_reply(ticket) {
            let is_timer_late = core.is_timer_late();
            drop(core);
            if is_timer_late {
                self.alarm.notify_one();
            }
            return Ok(Exchange::Answered(answer));
        }
        let mut chores = Chores::default();
        let own = match core.apply(now, Some(ticket), &mut chores) {
            Ok(own) => own,
            Err(error) => return Err(self.collapse(core, error, chores)),
        };
        let exchange = match own {
            Some(answer) => Exchange::Answered(answer),
            None => {
                if manner != Manner::Never {
                    let is_prompt = manner == Manner::Prompt;
                    // As Nagle: with nothing else on its way there is no company to wait for.
                    chores.is_urgent = core.waiters.prompt() == 0;
                    core.waiters.register(ticket, make(), is_prompt);
                }
                Exchange::Later(ticket)
            }
        };
        drop(core);
        self.perform(chores);
        Ok(exchange)
    }

    /// Nobody waits for `ticket` any more.
    pub(crate) fn cancel(&self, ticket: Ticket) {
        if self.is_forgotten() {
            return;
        }
        let now = self.clock.now();
        let mut core = self.core.lock();
        // Answered in this moment by another thread: that one finds the waiter gone.
        if core.waiters.take(ticket).is_none() || core.check().is_err() {
            return;
        }
        let mut chores = Chores::default();
        let result = core
            .handle(now, Input::Cancel(ticket))
            .and_then(|()| core.apply(now, None, &mut chores));
        match result {
            Ok(own) => {
                drop(core);
                drop(own);
                self.perform(chores);
            }
            Err(error) => drop(self.collapse(core, error, chores)),
        }
    }

    /// Hands `inputs` to the engine under one lock. False when it serves no more.
    /// Only the member's own thread calls this.
    pub(crate) fn feed(&self, inputs: impl IntoIterator<Item = Input>) -> bool {
        self.feed_with(|_| (), inputs)
    }

    fn feed_with(
        &self,
        first: impl FnOnce(&mut Core),
        inputs: impl IntoIterator<Item = Input>,
    ) -> bool {
        let now = self.clock.now();
        let mut core = self.core.lock();
        if core.check().is_err() {
            return false;
        }
        first(&mut core);
        let mut chores = Chores {
            is_urgent: true,
            ..Chores::default()
        };
        for input in inputs {
            if let Err(error) = core.handle(now, input) {
                self.collapse(core, error, chores);
                return false;
            }
        }
        if let Err(error) = core.apply(now, None, &mut chores) {
            self.collapse(core, error, chores);
            return false;
        }
        drop(core);
        self.perform(chores);
        true
    }

    /// Starts the engine.
    pub(crate) fn start(&self) {
        self.feed([Input::Wake]);
    }

    /// Wakes the engine if its time has come; when to do it next.
    pub(crate) fn wake(&self) -> Option<std::time::Instant> {
        self.clock.tune();
        let now = self.clock.now();
        let due = {
            let mut core = self.core.lock();
            core.check().ok()?;
            core.arm()
        };
        if due > now.mono {
            return self.clock.when(due);
        }
        self.feed([Input::Wake]);
        let mut core = self.core.lock();
        self.clock.when(core.arm())
    }

    /// Waits until [`Driver::wake`] should be asked again before the time it named.
    pub(crate) async fn alarmed(&self) {
        self.alarm.notified().await;
    }

    /// A number for a new link.
    pub(crate) fn next_link(&self) -> LinkId {
        LinkId(self.last_link.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A link is up. False when this member serves no more.
    pub(crate) fn linked(&self, link: Arc<Link>, hello: Hello, dialled: Option<String>) -> bool {
        let id = link.id();
        let input = Input::Linked {
            link: id,
            hello: Box::new(hello),
            dialled,
        };
        self.feed_with(|core| core.add_link(link), [input])
    }

    /// A link is gone.
    pub(crate) fn unlinked(&self, link: LinkId) {
        self.feed_with(|core| core.remove_link(link), [Input::Unlinked(link)]);
        self.stir.send_replace(());
    }

    /// Changes whenever a link was lost.
    pub(crate) fn stirred(&self) -> watch::Receiver<()> {
        self.stir.subscribe()
    }

    /// True while this member looks for others and may be found: not after it left its cluster, nor
    /// when it is closed.
    pub(crate) fn is_seeking(&self) -> bool {
        self.ask(|engine| engine.is_seeking()).unwrap_or(false)
    }

    /// Messages of one lane of `link`, in their order.
    pub(crate) fn messages(&self, link: LinkId, messages: &mut Vec<Message>) {
        if !messages.is_empty() {
            let inputs = messages.drain(..);
            self.feed(inputs.map(|message| Input::Message { link, message }));
        }
    }

    /// A link's bulk lane may have room again.
    pub(crate) fn relieve(&self, link: &Arc<Link>) {
        let now = self.clock.now();
        let mut core = self.core.lock();
        // Asked under the lock: only here and under it does a lane change its mind.
        if core.check().is_err() || !link.stop_being_full() {
            return;
        }
        let mut chores = Chores::default();
        let input = Input::Pressure {
            link: link.id(),
            is_full: false,
        };
        let result = core
            .handle(now, input)
            .and_then(|()| core.apply(now, None, &mut chores));
        match result {
            Ok(_) => {
                drop(core);
                self.perform(chores);
            }
            Err(error) => drop(self.collapse(core, error, chores)),
        }
    }

    /// Does what a call left to be done.
    fn perform(&self, chores: Chores) {
        if chores.is_timer_late {
            self.alarm.notify_one();
        }
        for order in chores.orders {
            // Refused only when the thread has ended: then nobody dials any more.
            let _ = self.orders.send(order);
        }
        let is_urgent = chores.is_urgent || runtime::is_io_thread();
        for link in chores.links {
            if link.start_writing(is_urgent, &self.counters) {
                self.relieve(&link);
            }
        }
        for (link, error) in chores.hangups {
            tracing::info!(link = link.id().0, %error, "link hung up");
            link.hang_up();
        }
        for (slot, answer) in chores.answers {
            slot.resolve(answer);
        }
        for call in chores.nexts {
            call.run();
        }
        for notice in chores.notices {
            notice.raise();
        }
        chores.events.run();
        chores.topics.run();
        chores.changes.run();
        if chores.are_handlers_due {
            self.feeds.handlers.wake();
        }
        for event in chores.traces {
            tracing::info!(
                kind = event.kind.name(),
                member = %event.member,
                name = %event.name,
                detail = %event.detail,
                "cluster event"
            );
        }
        for leased in chores.orphans {
            self.release(leased.handle);
        }
    }

    /// What this member says in a handshake. Errors: 501.
    pub(crate) fn hello(&self) -> Result<Hello> {
        self.ask(|engine| engine.hello())
    }

    /// Whether the member that says `hello`, and has proven what it must, may have a link. The engine
    /// judges again when the link is up, by what only it knows.
    /// Errors: 101, 108, 501.
    pub(crate) fn admit(&self, hello: &Hello) -> Result<()> {
        hello.check(&self.hello()?)
    }

    /// The queue of that name. Errors: 101, 201, 501.
    pub(crate) fn queue(&self, name: &str) -> Result<QueueKey> {
        if self.is_forgotten() {
            return Err(closed());
        }
        let released = std::mem::take(&mut *self.released.lock());
        self.ask(|engine| {
            released.into_iter().for_each(|key| engine.release(key));
            engine.queue(name)
        })?
    }

    /// Nobody has that queue's key any more. The engine hears of it when next a queue is asked for: a handle
    /// may be dropped where its lock is held.
    pub(crate) fn release_queue(&self, key: QueueKey) {
        if !self.is_forgotten() {
            self.released.lock().push(key);
        }
    }

    /// What is under a key. Errors: 501.
    pub(crate) fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.ask(|engine| engine.get(key))
    }

    /// What is under the keys that begin with `prefix`. Errors: 501.
    pub(crate) fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        self.ask(|engine| engine.list(prefix, usize::MAX, None))
    }

    /// The groups of a queue. Errors: 501.
    pub(crate) fn groups(&self, queue: &str) -> Result<Vec<GroupEntry>> {
        self.ask(|engine| engine.groups(queue))
    }

    /// The member set. Errors: 501.
    pub(crate) fn members(&self) -> Result<Vec<Member>> {
        self.ask(|engine| engine.members())
    }

    /// Asks the engine something. Errors: 501, 599 when it failed.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&mut Engine) -> T) -> Result<T> {
        if self.is_forgotten() {
            return Err(closed());
        }
        let mut core = self.core.lock();
        core.check()?;
        core.ask(question)
            .map_err(|error| self.collapse(core, error, Chores::default()))
    }

    /// Asks the engine something, also when the member was closed. Errors: 599 when it failed.
    pub(crate) fn ask_to_the_end<T>(&self, question: impl FnOnce(&mut Engine) -> T) -> Result<T> {
        let mut core = self.core.lock();
        core.ask_to_the_end(question)
            .map_err(|error| self.collapse(core, error, Chores::default()))
    }

    /// The engine's counters and ours. Errors: 501.
    pub(crate) fn stats(&self) -> Result<Stats> {
        let mut stats = self.ask(|engine| engine.stats())?;
        let core = self.core.lock();
        stats.insert("subscriptions", core.sessions_len() as u64);
        stats.insert("waiters", core.waiters.len() as u64);
        drop(core);
        for name in ["metadata_saves", "metadata_unsaved"] {
            stats.insert(name, 0);
        }
        self.counters.tell(&mut stats);
        self.feeds.handlers.tell(&mut stats);
        let mut stats = Stats(stats);
        if let Some(keeper) = &self.keeper {
            keeper.tell(&mut stats);
        }
        Ok(stats)
    }

    /// The buffer of an open session. Errors: 501.
    pub(crate) fn session(&self, session: SessionId) -> Result<Arc<Buffer>> {
        let core = self.core.lock();
        core.check()?;
        core.session(session).ok_or_else(unexpected)
    }

    /// Forgets a session's buffer.
    pub(crate) fn remove_session(&self, session: SessionId) {
        self.core.lock().remove_session(session);
    }

    /// The links that are up; empty when the member failed.
    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        self.core.lock().links()
    }

    /// Ends the member after a bug, when everything it had decided before is carried out; gives
    /// the error back.
    fn collapse(&self, core: MutexGuard<'_, Core>, error: Error, chores: Chores) -> Error {
        drop(core);
        tracing::error!(%error, "member failed");
        self.perform(chores);
        self.shut(&error);
        error
    }

    /// Runs `inside` while every lock that a fork may copy is taken.
    #[cfg(test)]
    pub(crate) fn with_locked(&self, inside: impl FnOnce()) {
        let _core = self.core.lock();
        let _ending = self.ending.lock();
        let _released = self.released.lock();
        inside();
    }

    /// Asks the engine to do something that panics.
    #[cfg(test)]
    pub(crate) fn ask_to_panic(&self) -> Error {
        self.ask(|_| -> () { panic!("planted") }).unwrap_err()
    }
}

fn no_waiter() -> Arc<dyn Slot> {
    Waiter::<()>::plain(None)
}

/// The error of every call on a closed member.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed).because("this member is closed")
}
