//! [`Completions`]: late answers for hosts with a loop of their own.
//!
//! Host threads pull; Primer's threads never enter the host (bindings.md, rules 1 and 2). Answers
//! gather in a bounded-by-tickets queue; only the step from empty to not empty wakes the host.

use std::os::fd::RawFd;
use std::time::Duration;

use crate::{Delivery, Event, Receipt, Result};

/// `value | ticket`: what a native verb answers.
pub enum Answer<T> {
    /// It was here already.
    Now(T),
    /// [`Completions`] will bring a [`Completion`] with this ticket.
    Later(u64),
}

/// The value of a late answer.
pub enum Outcome {
    /// It is done.
    Done,
    /// Of enqueue.
    Receipt(Receipt),
    /// Of enqueue_many.
    Receipts(Vec<Receipt>),
    /// Of receive.
    Deliveries(Vec<Delivery>),
    /// Of a subscription's next.
    Delivery(Delivery),
    /// Of an event reader's next.
    Event(Event),
    /// A subscription or event reader has something; the ticket is the token given to `notify`.
    Ready,
}

/// One late answer.
pub struct Completion {
    /// The ticket from [`Answer::Later`], or a `notify` token when the outcome is Ready.
    pub ticket: u64,
    /// What came.
    pub outcome: Result<Outcome>,
}

/// A queue of late answers. Clones share it. Not bound to one member.
#[derive(Clone)]
pub struct Completions {}

impl Completions {
    /// A queue whose descriptor becomes readable when answers are there. Errors: 502.
    pub fn new() -> Result<Completions> {
        unimplemented!()
    }
    /// A queue that calls `wake` (once from empty to not empty, until drained) instead of a
    /// descriptor. `wake` runs on any thread, must be short and must not call Primer.
    pub fn with_waker(wake: impl Fn() + Send + Sync + 'static) -> Completions {
        unimplemented!()
    }
    /// The descriptor to poll for reading; -1 for a queue with a waker.
    pub fn descriptor(&self) -> RawFd {
        unimplemented!()
    }
    /// Takes up to `max` answers and re-arms the wake-up when it leaves none.
    pub fn drain(&self, max: usize) -> Vec<Completion> {
        unimplemented!()
    }
    /// Blocks for up to `wait` for answers, then drains. For hosts with a thread to spare.
    pub fn wait(&self, max: usize, wait: Duration) -> Vec<Completion> {
        unimplemented!()
    }
    /// Stops waiting for that ticket: a message leased for it goes back. The completion never comes.
    /// Answers false when it had come already.
    pub fn cancel(&self, ticket: u64) -> bool {
        unimplemented!()
    }
    /// Wakes every thread in `wait`, now and from now on.
    pub fn close(&self) {
        unimplemented!()
    }
}
