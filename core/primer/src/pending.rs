//! [`Pending`]: an answer that is here already or will come.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use primer_proto::base::Ticket;

use crate::run::driver::Driver;
use crate::run::feed::{Item, Reader};
use crate::run::runtime;
use crate::run::waiter::{Slot, Waiter};
use crate::{Answer, Completions, Error, ErrorKind, Outcome, Result};

/// An answer that is here already (the local case: no allocation, no thread) or will come. A future
/// that any executor can drive: it awaits only Primer's own threads. Dropping it stops waiting; a
/// message that was leased for it goes back. The command itself is sent when the value is made.
#[must_use = "a Pending does nothing for you until it is awaited or waited for"]
pub struct Pending<T> {
    state: State<T>,
}

enum State<T> {
    Ready(Result<T>),
    Waiting(Wait<T>),
    Spent,
}

/// A waiter and what must be told when nobody waits any more.
struct Wait<T> {
    waiter: Arc<Waiter<T>>,
    slot: Arc<dyn Slot>,
    origin: Origin,
    /// What becomes of an answer that came and was not read.
    regret: fn(&Origin, Result<T>),
    is_disarmed: bool,
}

/// Who will answer a waiter.
#[derive(Clone)]
pub(crate) enum Origin {
    /// The engine.
    Ticket(Arc<Driver>, Ticket),
    /// A subscription's buffer, which forgets waiters that are gone by itself.
    Session(Arc<Driver>),
    /// A reader of news, which gets an unread item back.
    News(Arc<Driver>, Arc<dyn Any + Send + Sync>),
    /// The end of the member's thread.
    End(Arc<Driver>),
}

impl Origin {
    fn driver(&self) -> &Arc<Driver> {
        match self {
            Origin::Ticket(driver, _)
            | Origin::Session(driver)
            | Origin::News(driver, _)
            | Origin::End(driver) => driver,
        }
    }

    fn cancel(&self) {
        if let Origin::Ticket(driver, ticket) = self {
            driver.cancel(*ticket);
        }
    }

    /// Its answer reached the host. Of a member's end that means: its thread is gone.
    fn answered(&self) {
        if let Origin::End(driver) = self {
            driver.join_thread();
        }
    }
}

/// What a completion queue keeps of a pending answer, to be able to cancel it.
#[derive(Clone)]
pub(crate) struct Held {
    slot: Arc<dyn Slot>,
    origin: Origin,
}

impl Held {
    /// Stops waiting. False when the answer is there already, or on its way.
    pub(crate) fn cancel(&self) -> bool {
        if self.origin.driver().is_forgotten() {
            return true;
        }
        let is_open = self.slot.abandon();
        if is_open {
            self.origin.cancel();
        }
        is_open
    }

    /// Whether [`Held::answered`] has anything to do.
    pub(crate) fn is_of_end(&self) -> bool {
        matches!(self.origin, Origin::End(_))
    }

    /// Its answer was taken. Never call it under a lock.
    pub(crate) fn answered(&self) {
        self.origin.answered();
    }
}

impl<T> Pending<T> {
    /// An answer that is here.
    pub(crate) fn here(value: Result<T>) -> Self {
        Self {
            state: State::Ready(value),
        }
    }

    /// An answer that `origin` will put into `waiter`, which is also `slot`.
    pub(crate) fn later(waiter: Arc<Waiter<T>>, slot: Arc<dyn Slot>, origin: Origin) -> Self {
        let wait = Wait {
            waiter,
            slot,
            origin,
            regret: |_, value| drop(value),
            is_disarmed: false,
        };
        Self {
            state: State::Waiting(wait),
        }
    }

    /// Blocks this thread until the answer is there. Errors: the verb's own; 106 on a Primer thread.
    pub fn wait(mut self) -> Result<T> {
        self.block(None).unwrap_or_else(|| Err(spent()))
    }

    /// Blocks for at most `time`; none when the answer is not there yet (call again: for hosts that
    /// must look at their signals between two waits).
    pub fn wait_for(&mut self, time: Duration) -> Option<Result<T>> {
        self.block(Some(time))
    }

    /// The answer if it is here already.
    pub fn ready(&mut self) -> Option<Result<T>> {
        match std::mem::replace(&mut self.state, State::Spent) {
            State::Ready(value) => Some(value),
            State::Waiting(wait) => match wait.waiter.take() {
                Some(value) => {
                    wait.origin.answered();
                    Some(value)
                }
                None => {
                    self.state = State::Waiting(wait);
                    None
                }
            },
            State::Spent => Some(Err(spent())),
        }
    }

    fn block(&mut self, time: Option<Duration>) -> Option<Result<T>> {
        if let Some(value) = self.ready() {
            return Some(value);
        }
        let State::Waiting(wait) = &self.state else {
            return None;
        };
        if runtime::is_io_thread() {
            return Some(Err(runtime::would_deadlock()));
        }
        // A time too long for the clock is for ever.
        let until = time.and_then(|time| Instant::now().checked_add(time));
        let value = wait.waiter.block(until)?;
        wait.origin.answered();
        self.state = State::Spent;
        Some(value)
    }
}

#[expect(private_bounds, reason = "made by this crate only")]
impl<T: Item> Pending<T> {
    /// An item that `reader` will bring; unread it goes back to the reader.
    pub(crate) fn news(driver: Arc<Driver>, reader: Arc<Reader<T>>, to: Arc<Waiter<T>>) -> Self {
        let mut pending = Self::later(to.clone(), to, Origin::News(driver, reader));
        if let State::Waiting(wait) = &mut pending.state {
            wait.regret = |origin, value| {
                if let (Origin::News(_, reader), Ok(item)) = (origin, value)
                    && let Ok(reader) = reader.clone().downcast::<Reader<T>>()
                {
                    reader.give_back(item);
                }
            };
        }
        pending
    }
}

impl<T: Into<Outcome>> Pending<T> {
    /// For hosts: the value if it is here already, else a ticket that `completions` will bring.
    pub fn complete_on(mut self, completions: &Completions) -> Result<Answer<T>> {
        if let Some(value) = self.ready() {
            return value.map(Answer::Now);
        }
        let State::Waiting(wait) = &mut self.state else {
            return Err(spent());
        };
        let held = Held {
            slot: wait.slot.clone(),
            origin: wait.origin.clone(),
        };
        let sink = completions.promise(held, T::into);
        let ticket = sink.ticket();
        match wait.waiter.lead(sink) {
            None => {
                wait.is_disarmed = true;
                Ok(Answer::Later(ticket))
            }
            Some(value) => {
                completions.retract(ticket);
                value.map(Answer::Now)
            }
        }
    }
}

impl<T> Drop for Wait<T> {
    fn drop(&mut self) {
        // In a forked child the waiter's lock may be held for ever.
        if self.is_disarmed || self.origin.driver().is_forgotten() {
            return;
        }
        let (value, is_open) = self.waiter.end();
        if is_open {
            self.origin.cancel();
        }
        if let Some(value) = value {
            (self.regret)(&self.origin, value);
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = self.get_mut();
        if let State::Waiting(wait) = &this.state {
            let value = std::task::ready!(wait.waiter.poll(cx));
            wait.origin.answered();
            this.state = State::Spent;
            return Poll::Ready(value);
        }
        Poll::Ready(this.ready().unwrap_or_else(|| Err(spent())))
    }
}

// The value inside is never pinned: it only moves out.
impl<T> Unpin for Pending<T> {}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Ready(_) => "Pending(ready)",
            State::Waiting(_) => "Pending(waiting)",
            State::Spent => "Pending(spent)",
        })
    }
}

fn spent() -> Error {
    Error::new(ErrorKind::InvalidArgument).because("the answer was taken already")
}

#[cfg(test)]
#[path = "pending_tests.rs"]
pub(crate) mod tests;
