//! [`Pending`]: an answer that is here already or will come.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::{Answer, Completions, Outcome, Result};

/// An answer that is here already (the local case: no allocation, no thread) or will come. A future
/// that any executor can drive: it awaits only Primer's own threads. Dropping it stops waiting; a
/// message that was leased for it goes back. The command itself is sent when the value is made.
#[must_use = "a Pending does nothing for you until it is awaited or waited for"]
pub struct Pending<T> {
    _t: std::marker::PhantomData<T>,
}

impl<T> Pending<T> {
    /// Blocks this thread until the answer is there. Errors: the verb's own; 106 on a Primer thread.
    pub fn wait(self) -> Result<T> {
        unimplemented!()
    }
    /// Blocks for at most `time`; none when the answer is not there yet (call again: for hosts that
    /// must look at their signals between two waits).
    pub fn wait_for(&mut self, time: Duration) -> Option<Result<T>> {
        unimplemented!()
    }
    /// The answer if it is here already.
    pub fn ready(&mut self) -> Option<Result<T>> {
        unimplemented!()
    }
}

impl<T: Into<Outcome>> Pending<T> {
    /// For hosts: the value if it is here already, else a ticket that `completions` will bring.
    pub fn complete_on(self, completions: &Completions) -> Result<Answer<T>> {
        unimplemented!()
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        unimplemented!()
    }
}
