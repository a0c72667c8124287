//! [`Waiter`]: the meeting point of one late answer and whoever wants it.
//!
//! A waiter is answered once, by any thread, and read once: by a blocked thread, by a task that is
//! woken, or by a [`Completions`](crate::Completions) queue. Either side may be first, and the
//! reader may give up: then the answer is refused, or dropped if it had come already.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::run::sync::{Condvar, Mutex};
use primer_proto::engine::{Answer, Reply};
use primer_proto::{Error, ErrorKind, Result};

use crate::completions::Sink;
use crate::queue::Queue;

/// Makes a verb's value of the engine's reply.
pub(crate) type Convert<T> = fn(Option<&Queue>, Reply) -> Result<T>;

/// A waiter without its type, for the table of tickets.
pub(crate) trait Slot: Send + Sync {
    /// Answers it and wakes whoever waits. Never call it under a lock.
    fn resolve(&self, answer: Answer);
    /// Nobody wants the answer any more. True when it had not come yet.
    fn abandon(&self) -> bool;
}

/// One late answer of type `T`.
pub(crate) struct Waiter<T> {
    phase: Mutex<Phase<T>>,
    arrived: Condvar,
    convert: Convert<T>,
    queue: Option<Queue>,
}

enum Phase<T> {
    /// Not answered yet; at most one of the first two is set.
    Open {
        waker: Option<Waker>,
        sink: Option<Sink<T>>,
        /// A thread stands still for it: to wake where nobody sleeps is a system call, too.
        is_blocked: bool,
    },
    /// Answered, not read.
    Here(Result<T>),
    /// Read, or nobody wants it.
    Gone,
}

/// What is left to do after an answer was put into a waiter, when no lock is held.
#[must_use = "the reader is not told before this is run"]
pub(crate) struct Call<T> {
    waker: Option<Waker>,
    sink: Option<(Sink<T>, Result<T>)>,
}

impl<T> Call<T> {
    /// Tells the reader.
    pub(crate) fn run(self) {
        if let Some(waker) = self.waker {
            call_host(|| waker.wake());
        }
        if let Some((sink, value)) = self.sink {
            sink.bring(value);
        }
    }
}

impl<T> Waiter<T> {
    /// A waiter for the engine's reply to a verb on `queue`.
    pub(crate) fn new(queue: Option<Queue>, convert: Convert<T>) -> Arc<Self> {
        Arc::new(Self {
            phase: Mutex::new(Phase::Open {
                waker: None,
                sink: None,
                is_blocked: false,
            }),
            arrived: Condvar::default(),
            convert,
            queue,
        })
    }

    /// A waiter that is answered with values, not with an engine's reply.
    pub(crate) fn plain(queue: Option<Queue>) -> Arc<Self> {
        Self::new(queue, |_, _| Err(unexpected()))
    }

    /// The queue it was made with.
    pub(crate) fn queue(&self) -> Option<&Queue> {
        self.queue.as_ref()
    }

    /// Puts the value that `make` makes into the waiter; does not call it when nobody wants one.
    pub(crate) fn put(&self, make: impl FnOnce() -> Result<T>) -> Option<Call<T>> {
        let mut phase = self.phase.lock();
        let Phase::Open {
            waker,
            sink,
            is_blocked,
        } = &mut *phase
        else {
            return None;
        };
        let (waker, sink, is_blocked) = (waker.take(), sink.take(), *is_blocked);
        let value = make();
        let sink = match sink {
            Some(sink) => {
                *phase = Phase::Gone;
                Some((sink, value))
            }
            None => {
                *phase = Phase::Here(value);
                None
            }
        };
        // Who wakes up takes this lock.
        drop(phase);
        if is_blocked {
            self.arrived.notify_one();
        }
        Some(Call { waker, sink })
    }

    /// The answer, if it is here and was not read.
    pub(crate) fn take(&self) -> Option<Result<T>> {
        take(&mut self.phase.lock())
    }

    /// Blocks until the answer is here or `until` has passed.
    pub(crate) fn block(&self, until: Option<Instant>) -> Option<Result<T>> {
        let mut phase = self.phase.lock();
        loop {
            if let Some(value) = take(&mut phase) {
                return Some(value);
            }
            if let Phase::Open { is_blocked, .. } = &mut *phase {
                *is_blocked = true;
            }
            match until {
                None => phase = self.arrived.wait(phase),
                Some(until) => {
                    let is_late;
                    (phase, is_late) = self.arrived.wait_until(phase, until);
                    if is_late {
                        return take(&mut phase);
                    }
                }
            }
        }
    }

    /// The answer, or the task is woken when it comes.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let mut phase = self.phase.lock();
        if let Some(value) = take(&mut phase) {
            return Poll::Ready(value);
        }
        let old = match &mut *phase {
            Phase::Open { waker, .. } => match waker {
                Some(known) if known.will_wake(cx.waker()) => None,
                _ => waker.replace(cx.waker().clone()),
            },
            _ => None,
        };
        // A waker's drop is the host's code.
        drop(phase);
        drop(old);
        Poll::Pending
    }

    /// Leads the answer to `sink`; gives it back at once when it is here already.
    pub(crate) fn lead(&self, to: Sink<T>) -> Option<Result<T>> {
        let mut phase = self.phase.lock();
        if let Phase::Open { waker, sink, .. } = &mut *phase {
            let old = (waker.take(), sink.replace(to));
            drop(phase);
            drop(old);
            return None;
        }
        take(&mut phase)
    }

    /// Ends the waiting: what had come already, and whether the answer is still to come.
    pub(crate) fn end(&self) -> (Option<Result<T>>, bool) {
        let mut phase = self.phase.lock();
        match std::mem::replace(&mut *phase, Phase::Gone) {
            Phase::Open { waker, sink, .. } => {
                drop(phase);
                drop((waker, sink));
                (None, true)
            }
            Phase::Here(value) => (Some(value), false),
            Phase::Gone => (None, false),
        }
    }
}

impl<T: Send> Slot for Waiter<T> {
    fn resolve(&self, answer: Answer) {
        let value = answer.and_then(|reply| (self.convert)(self.queue.as_ref(), reply));
        // The value goes in whole or is dropped here, outside of the waiter's lock: deliveries
        // that nobody wants are released by their drop.
        let mut value = Some(value);
        let call = self.put(|| value.take().unwrap_or_else(|| Err(unexpected())));
        if let Some(call) = call {
            call.run();
        }
    }

    fn abandon(&self) -> bool {
        self.end().1
    }
}

/// Runs a piece of the host's code. Its panic stays its own: others still wait to be told.
pub(crate) fn call_host(code: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(code)) {
        // Its drop might panic, too.
        std::mem::forget(panic);
        tracing::error!("a waker of the host's panicked");
    }
}

fn take<T>(phase: &mut Phase<T>) -> Option<Result<T>> {
    if !matches!(phase, Phase::Here(_)) {
        return None;
    }
    match std::mem::replace(phase, Phase::Gone) {
        Phase::Here(value) => Some(value),
        _ => None,
    }
}

/// The engine answered a verb with another verb's reply.
pub(crate) fn unexpected() -> Error {
    Error::new(ErrorKind::Internal).because("an unexpected reply")
}
