//! [`Completions`]: late answers for hosts with a loop of their own.
//!
//! Host threads pull; Primer's threads never enter the host (bindings.md, rules 1 and 2). Answers
//! gather in a bounded-by-tickets queue; only the step from empty to not empty wakes the host.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::{ErrorKind as IoKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::run::sync::{Condvar, Mutex, MutexGuard};

use crate::pending::Held;
use crate::run::runtime;
use crate::run::waiter::call_host;
use crate::{
    Broadcast, Change, Delivery, Diagnosis, Error, ErrorKind, Event, Explanation, Page, Receipt,
    Redriven, Reply, Result,
};

/// `value | ticket`: what a native verb answers.
#[derive(Debug)]
pub enum Answer<T> {
    /// It was here already.
    Now(T),
    /// [`Completions`] will bring a [`Completion`] with this ticket.
    Later(u64),
}

/// The value of a late answer.
#[derive(Debug)]
pub enum Outcome {
    /// It is done.
    Done,
    /// Of enqueue.
    Receipt(Receipt),
    /// Of call.
    Reply(Reply),
    /// Of enqueue_many.
    Receipts(Vec<Receipt>),
    /// Of browse.
    Page(Page),
    /// Of explain.
    Explanation(Explanation),
    /// Of doctor.
    Diagnosis(Diagnosis),
    /// Of redrive.
    Redriven(Redriven),
    /// Of receive.
    Deliveries(Vec<Delivery>),
    /// Of a subscription's next.
    Delivery(Delivery),
    /// Of an event reader's next.
    Event(Event),
    /// Of a topic's `next`.
    Broadcast(Broadcast),
    /// Of a watch's `next`.
    Change(Change),
    /// A subscription or event reader has something; the ticket is the token given to `notify`.
    Ready,
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Outcome::Done
    }
}

impl From<Receipt> for Outcome {
    fn from(receipt: Receipt) -> Self {
        Outcome::Receipt(receipt)
    }
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Outcome::Reply(reply)
    }
}

impl From<Page> for Outcome {
    fn from(page: Page) -> Self {
        Outcome::Page(page)
    }
}

impl From<Explanation> for Outcome {
    fn from(explanation: Explanation) -> Self {
        Outcome::Explanation(explanation)
    }
}

impl From<Diagnosis> for Outcome {
    fn from(diagnosis: Diagnosis) -> Self {
        Outcome::Diagnosis(diagnosis)
    }
}

impl From<Redriven> for Outcome {
    fn from(redriven: Redriven) -> Self {
        Outcome::Redriven(redriven)
    }
}

impl From<Vec<Receipt>> for Outcome {
    fn from(receipts: Vec<Receipt>) -> Self {
        Outcome::Receipts(receipts)
    }
}

impl From<Vec<Delivery>> for Outcome {
    fn from(deliveries: Vec<Delivery>) -> Self {
        Outcome::Deliveries(deliveries)
    }
}

impl From<Delivery> for Outcome {
    fn from(delivery: Delivery) -> Self {
        Outcome::Delivery(delivery)
    }
}

impl From<Broadcast> for Outcome {
    fn from(broadcast: Broadcast) -> Self {
        Outcome::Broadcast(broadcast)
    }
}

impl From<Change> for Outcome {
    fn from(change: Change) -> Self {
        Outcome::Change(change)
    }
}

impl From<Event> for Outcome {
    fn from(event: Event) -> Self {
        Outcome::Event(event)
    }
}

/// One late answer.
#[derive(Debug)]
pub struct Completion {
    /// The ticket from [`Answer::Later`], or a `notify` token when the outcome is Ready.
    pub ticket: u64,
    /// What came.
    pub outcome: Result<Outcome>,
}

/// A queue of late answers. Clones share it. Not bound to one member.
#[derive(Clone)]
pub struct Completions {
    shared: Arc<Shared>,
}

/// What the clones of one queue share.
pub(crate) struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
    bell: Bell,
}

#[derive(Default)]
struct State {
    answers: VecDeque<Item>,
    waiting: HashMap<u64, Held>,
    last_ticket: u64,
    /// The bell was rung and the answers have not been drained to the end since.
    is_rung: bool,
    is_closed: bool,
}

struct Item {
    completion: Completion,
    /// Cleared when a Ready is taken out, so that one notice is never in the queue twice.
    notice: Option<Arc<AtomicBool>>,
    /// Of a member's end: its thread is waited for when this is taken out.
    end: Option<Held>,
}

enum Bell {
    /// A byte in `reader` means that the bell was rung.
    Socket {
        reader: UnixStream,
        writer: UnixStream,
    },
    Waker(Box<dyn Fn() + Send + Sync>),
}

impl Bell {
    fn ring(&self) {
        match self {
            // A full socket is readable already, and there is no one to tell of anything worse.
            Bell::Socket { writer, .. } => {
                let _ = (&*writer).write(&[1]);
            }
            Bell::Waker(wake) => call_host(wake),
        }
    }

    fn still(&self) {
        let Bell::Socket { reader, .. } = self else {
            return;
        };
        let mut sink = [0_u8; 64];
        loop {
            match (&*reader).read(&mut sink) {
                Ok(read) if read == sink.len() => {}
                Err(error) if error.kind() == IoKind::Interrupted => {}
                _ => return,
            }
        }
    }
}

impl Completions {
    /// A queue whose descriptor becomes readable when answers are there. Errors: 502.
    pub fn new() -> Result<Completions> {
        let pair = || {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            writer.set_nonblocking(true)?;
            Ok(Bell::Socket { reader, writer })
        };
        let bell = pair().map_err(|error: std::io::Error| {
            Error::new(ErrorKind::Io)
                .because("cannot make a socket pair")
                .with("cause", error)
        })?;
        Ok(Self::with_bell(bell))
    }

    /// A queue that calls `wake` (once from empty to not empty, until drained) instead of a
    /// descriptor. `wake` runs on any thread, must be short and must not call Primer.
    pub fn with_waker(wake: impl Fn() + Send + Sync + 'static) -> Completions {
        Self::with_bell(Bell::Waker(Box::new(wake)))
    }

    fn with_bell(bell: Bell) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            arrived: Condvar::default(),
            bell,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The descriptor to poll for reading; -1 for a queue with a waker.
    pub fn descriptor(&self) -> RawFd {
        match &self.shared.bell {
            Bell::Socket { reader, .. } => reader.as_raw_fd(),
            Bell::Waker(_) => -1,
        }
    }

    /// Takes up to `max` answers and re-arms the wake-up when it leaves none.
    pub fn drain(&self, max: usize) -> Vec<Completion> {
        self.shared.drain(self.shared.state.lock(), max)
    }

    /// Blocks for up to `wait` for answers, then drains. For hosts with a thread to spare.
    /// Answers at once on a Primer thread, and when the queue is closed.
    pub fn wait(&self, max: usize, wait: Duration) -> Vec<Completion> {
        let until = Instant::now().checked_add(wait);
        let mut state = self.shared.state.lock();
        while state.answers.is_empty() && !state.is_closed && !runtime::is_io_thread() {
            match until {
                None => state = self.shared.arrived.wait(state),
                Some(until) => {
                    let is_late;
                    (state, is_late) = self.shared.arrived.wait_until(state, until);
                    if is_late {
                        break;
                    }
                }
            }
        }
        self.shared.drain(state, max)
    }

    /// Stops waiting for that ticket: a message leased for it goes back. The completion never comes.
    /// Answers false when it had come already.
    pub fn cancel(&self, ticket: u64) -> bool {
        let held = self.shared.state.lock().waiting.get(&ticket).cloned();
        // One whose answer is on its way keeps its place: the host is the one to give it back.
        if !held.is_some_and(|held| held.cancel()) {
            return false;
        }
        let held = self.shared.state.lock().waiting.remove(&ticket);
        drop(held);
        true
    }

    /// Wakes every thread in `wait`, now and from now on.
    pub fn close(&self) {
        self.shared.state.lock().is_closed = true;
        self.shared.arrived.notify_all();
    }

    /// Promises a completion: from now on `held` is cancelled by its ticket.
    pub(crate) fn promise<T>(&self, held: Held, into: fn(T) -> Outcome) -> Sink<T> {
        let mut state = self.shared.state.lock();
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.waiting.insert(ticket, held);
        Sink {
            shared: self.shared.clone(),
            ticket,
            into,
        }
    }

    /// Takes a promise back, because its answer came in the meantime.
    pub(crate) fn retract(&self, ticket: u64) {
        let held = self.shared.state.lock().waiting.remove(&ticket);
        drop(held);
    }

    /// A notice that brings [`Outcome::Ready`] with `token` whenever it is raised.
    pub(crate) fn notice(&self, token: u64) -> Notice {
        Notice {
            shared: self.shared.clone(),
            token,
            is_queued: Arc::default(),
        }
    }
}

impl Shared {
    fn drain(&self, mut state: MutexGuard<'_, State>, max: usize) -> Vec<Completion> {
        let count = max.min(state.answers.len());
        let mut ends = Vec::new();
        let taken = state
            .answers
            .drain(..count)
            .map(|item| {
                if let Some(notice) = item.notice {
                    notice.store(false, Ordering::Release);
                }
                ends.extend(item.end);
                item.completion
            })
            .collect();
        // The bell is rung outside of the lock, so it may ring after its answer was taken: an
        // empty drain stills it, too.
        if state.answers.is_empty() && (state.is_rung || count == 0) {
            state.is_rung = false;
            self.bell.still();
        }
        drop(state);
        ends.iter().for_each(Held::answered);
        taken
    }

    /// Appends and wakes; the lock is given up before anything of the host's runs.
    fn push(&self, mut state: MutexGuard<'_, State>, item: Item) {
        state.answers.push_back(item);
        let must_ring = !std::mem::replace(&mut state.is_rung, true);
        drop(state);
        self.arrived.notify_one();
        if must_ring {
            self.bell.ring();
        }
    }
}

impl fmt::Debug for Completions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completions")
            .field("descriptor", &self.descriptor())
            .finish_non_exhaustive()
    }
}

/// Where a waiter's answer goes when a completion was promised for it.
pub(crate) struct Sink<T> {
    shared: Arc<Shared>,
    ticket: u64,
    into: fn(T) -> Outcome,
}

impl<T> Sink<T> {
    /// The ticket that was promised.
    pub(crate) fn ticket(&self) -> u64 {
        self.ticket
    }

    /// Brings the answer, unless the ticket was cancelled: then it is dropped, which gives leased
    /// messages back. Never call it under a lock.
    pub(crate) fn bring(self, value: Result<T>) {
        let outcome = value.map(self.into);
        let mut state = self.shared.state.lock();
        let Some(held) = state.waiting.remove(&self.ticket) else {
            drop(state);
            drop(outcome);
            return;
        };
        let completion = Completion {
            ticket: self.ticket,
            outcome,
        };
        let item = Item {
            completion,
            notice: None,
            end: held.is_of_end().then(|| held.clone()),
        };
        self.shared.push(state, item);
        drop(held);
    }
}

/// A standing request to be told that something is there.
#[derive(Clone)]
pub(crate) struct Notice {
    shared: Arc<Shared>,
    token: u64,
    is_queued: Arc<AtomicBool>,
}

impl Notice {
    /// Queues a Ready unless one is queued already. Never call it under a lock.
    pub(crate) fn raise(&self) {
        let state = self.shared.state.lock();
        if self.is_queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let completion = Completion {
            ticket: self.token,
            outcome: Ok(Outcome::Ready),
        };
        let item = Item {
            completion,
            notice: Some(self.is_queued.clone()),
            end: None,
        };
        self.shared.push(state, item);
    }

    /// True when both would tell the same queue the same token.
    pub(crate) fn is_same(&self, other: &Notice) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared) && self.token == other.token
    }
}

#[cfg(test)]
#[path = "completions_tests.rs"]
mod tests;
