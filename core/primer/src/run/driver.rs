//! [`Driver`]: the lock around the engine.
//!
//! Whoever has something for the engine calls it on its own thread: lock, hand it in, move the
//! effects out, unlock, then do what is left (as quinn keeps a connection). There is no engine
//! task and no inbox, so a local verb never crosses a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;

use parking_lot::{Mutex, MutexGuard};
use primer_proto::base::{LinkId, QueueKey, SessionId, Ticket};
use primer_proto::engine::{Answer, Command, Engine, Handle, Input, Member, Message, Reply};
use primer_proto::membership::Hello;
use primer_proto::{Error, ErrorKind, Result};
use tokio::sync::{Notify, mpsc};

use super::chores::Chores;
use super::clock::Clock;
use super::core::Core;
use super::ring::Ring;
use super::runtime;
use super::session::Buffer;
use super::waiter::{Convert, Slot, Waiter, unexpected};
use crate::net::Order;
use crate::net::counters::Counters;
use crate::net::link::Link;
use crate::pending::{Origin, Pending};
use crate::queue::Queue;
use crate::stats::Stats;

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
    clock: Clock,
    ring: Arc<Ring>,
    counters: Counters,
    orders: mpsc::UnboundedSender<Order>,
    alarm: Notify,
    last_link: AtomicU64,
    ending: Mutex<Ending>,
}

/// The end of the member's thread.
#[derive(Default)]
struct Ending {
    thread: Option<JoinHandle<()>>,
    is_over: bool,
    waiters: Vec<Arc<Waiter<()>>>,
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
    ) -> Arc<Self> {
        let clock = Clock::start();
        let ring = Arc::<Ring>::default();
        let engine = make(clock.now());
        Arc::new(Self {
            gate: AtomicU8::new(OPEN),
            core: Mutex::new(Core::new(engine, ring.clone())),
            clock,
            ring,
            counters: Counters::default(),
            orders,
            alarm: Notify::new(),
            last_link: AtomicU64::new(0),
            ending: Mutex::default(),
        })
    }

    /// What the sockets count.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The member's events.
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
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
            hello,
            dialled,
        };
        self.feed_with(|core| core.add_link(link), [input])
    }

    /// A link is gone.
    pub(crate) fn unlinked(&self, link: LinkId) {
        self.feed_with(|core| core.remove_link(link), [Input::Unlinked(link)]);
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

    /// The queue of that name. Errors: 101, 201, 501.
    pub(crate) fn queue(&self, name: &str) -> Result<QueueKey> {
        self.ask(|engine| engine.queue(name))?
    }

    /// The member set. Errors: 501.
    pub(crate) fn members(&self) -> Result<Vec<Member>> {
        self.ask(|engine| engine.members())
    }

    fn ask<T>(&self, question: impl FnOnce(&mut Engine) -> T) -> Result<T> {
        if self.is_forgotten() {
            return Err(closed());
        }
        let mut core = self.core.lock();
        core.check()?;
        core.ask(question)
            .map_err(|error| self.collapse(core, error, Chores::default()))
    }

    /// The engine's counters and ours. Errors: 501.
    pub(crate) fn stats(&self) -> Result<Stats> {
        let mut stats = self.ask(|engine| engine.stats())?;
        let core = self.core.lock();
        stats.insert("subscriptions", core.sessions_len() as u64);
        stats.insert("waiters", core.waiters.len() as u64);
        drop(core);
        self.counters.tell(&mut stats);
        Ok(Stats(stats))
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

    /// Refuses new work, answers everyone who waits, and lets the thread end. Idempotent.
    pub(crate) fn shut(&self, error: &Error) {
        if self.is_forgotten() {
            return;
        }
        let remains = self.core.lock().tear_down(error);
        let Some(remains) = remains else { return };
        self.gate.store(SHUT, Ordering::Release);
        for slot in remains.waiters {
            slot.resolve(Err(remains.error.clone()));
        }
        for buffer in remains.sessions {
            buffer.close(&remains.error, false);
        }
        self.ring.close(&remains.error);
        let _ = self.orders.send(Order::Close);
    }

    /// Closes the member; answered when its thread has ended.
    pub(crate) fn close(self: &Arc<Self>) -> Pending<()> {
        self.shut(&closed());
        if self.is_forgotten() {
            return Pending::here(Ok(()));
        }
        let mut ending = self.ending.lock();
        if ending.is_over {
            drop(ending);
            return Pending::here(Ok(()));
        }
        let waiter = Waiter::plain(None);
        ending.waiters.push(waiter.clone());
        drop(ending);
        Pending::later(waiter.clone(), waiter, Origin::End(self.clone()))
    }

    /// The thread whose end [`Driver::close`] waits for.
    pub(crate) fn own_thread(&self, thread: JoinHandle<()>) {
        self.ending.lock().thread = Some(thread);
    }

    /// Waits for the thread's last steps after it said that it is over.
    pub(crate) fn join_thread(&self) {
        let thread = self.ending.lock().thread.take();
        if let Some(thread) = thread {
            // It never panics: what it runs is caught inside.
            let _ = thread.join();
        }
    }

    /// The thread is over: tells whoever waits for it.
    pub(crate) fn over(&self) {
        let mut ending = self.ending.lock();
        ending.is_over = true;
        let waiters = std::mem::take(&mut ending.waiters);
        drop(ending);
        for call in waiters.iter().filter_map(|waiter| waiter.put(|| Ok(()))) {
            call.run();
        }
    }

    /// Runs `inside` while every lock that a fork may copy is taken.
    #[cfg(test)]
    pub(crate) fn with_locked(&self, inside: impl FnOnce()) {
        let _core = self.core.lock();
        let _ending = self.ending.lock();
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
