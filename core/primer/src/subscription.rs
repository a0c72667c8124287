//! [`Subscription`]: a pushed stream of deliveries.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;

use primer_proto::base::SessionId;
use primer_proto::engine::{Command, Leased};

use crate::pending::Origin;
use crate::run::driver::closed;
use crate::run::runtime;
use crate::run::session::Buffer;
use crate::run::waiter::Waiter;
use crate::{Completions, Delivery, ErrorKind, Pending, Queue, Result};

/// Deliveries pushed to this process, at most `credit` of them unsettled: settling one makes room
/// for the next. Also a stream of them, which ends when it or its member is closed. Closed when
/// dropped.
pub struct Subscription {
    queue: Queue,
    session: SessionId,
    buffer: Arc<Buffer>,
    is_closed: AtomicBool,
    /// What its stream waits for.
    awaited: Option<Pending<Delivery>>,
}

impl Subscription {
    pub(crate) fn new(queue: Queue, session: SessionId) -> Result<Self> {
        let buffer = queue.driver().session(session)?;
        Ok(Self {
            queue,
            session,
            buffer,
            is_closed: AtomicBool::new(false),
            awaited: None,
        })
    }

    /// The queue it reads.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }
    /// The next delivery, waiting for it. Errors: 501 when closed.
    pub fn next(&self) -> Pending<Delivery> {
        if let Err(error) = self.check() {
            return Pending::here(Err(error));
        }
        let waiter = Waiter::plain(Some(self.queue.clone()));
        match self.buffer.next(&waiter) {
            Ok(Some(leased)) => Pending::here(Ok(self.deliver(leased))),
            Ok(None) => {
                let origin = Origin::Session(self.queue.driver().clone());
                Pending::later(waiter.clone(), waiter, origin)
            }
            Err(error) => Pending::here(Err(error)),
        }
    }
    /// Up to `max` deliveries that are here already; empty is not an error. Errors: 501 when closed
    /// and empty.
    pub fn take(&self, max: usize) -> Result<Vec<Delivery>> {
        self.check()?;
        self.deliver_all(self.buffer.take(max)?)
    }
    /// Waits on this thread for up to `wait` for the first of up to `max` deliveries; empty when the
    /// time passed. Errors: 501 when closed and empty; 106 on a Primer thread.
    pub fn next_batch(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>> {
        self.check()?;
        let taken = self.buffer.take(max)?;
        if !taken.is_empty() || wait.is_zero() {
            return self.deliver_all(taken);
        }
        if runtime::is_io_thread() {
            return Err(runtime::would_deadlock());
        }
        let until = Instant::now().checked_add(wait);
        self.deliver_all(self.buffer.block(max, until)?)
    }
    /// Tells `completions` with [`Outcome::Ready`](crate::Outcome::Ready) and `token` whenever the
    /// subscription goes from empty to not empty (or is closed); once at once if it is not empty.
    pub fn notify(&self, completions: &Completions, token: u64) {
        let notice = completions.notice(token);
        if self.check().is_ok() && self.buffer.notify(&notice) {
            notice.raise();
        }
    }
    /// Raises the number of unsettled deliveries. Errors: 101, 501.
    pub fn credit(&self, more: u32) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let command = Command::Credit(self.session, more);
        self.queue.driver().call_now(command).map(drop)
    }
    /// Ends it: what was not taken is released; what was taken stays leased to its taker, and is kept
    /// where the subscription keeps leases. Idempotent.
    pub fn close(&self) {
        self.end(false);
    }
    /// Ends it for a consumer that died: everything unsettled is released at once, taken or not.
    pub fn abandon(&self) {
        self.end(true);
    }

    /// Errors: 501 in a forked child, where the buffer's lock may be taken for ever.
    fn check(&self) -> Result<()> {
        if self.queue.driver().is_forgotten() {
            return Err(closed());
        }
        Ok(())
    }

    fn end(&self, abandon: bool) {
        let driver = self.queue.driver();
        if driver.is_forgotten() || self.is_closed.swap(true, Ordering::AcqRel) {
            return;
        }
        // The session ends first: what is released into an open one would come back to it.
        let session = self.session;
        driver.remove_session(session);
        let _ = driver.call_now(Command::Unsubscribe { session, abandon });
        for leased in self.buffer.close(&closed(), true) {
            driver.release(leased.handle);
        }
    }

    fn deliver(&self, leased: Leased) -> Delivery {
        Delivery::new(leased, self.queue.clone())
    }

    fn deliver_all(&self, leased: Vec<Leased>) -> Result<Vec<Delivery>> {
        Ok(leased.into_iter().map(|one| self.deliver(one)).collect())
    }
}

impl Stream for Subscription {
    type Item = Result<Delivery>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut awaited = match self.awaited.take() {
            Some(awaited) => awaited,
            None => self.next(),
        };
        match Pin::new(&mut awaited).poll(context) {
            Poll::Pending => {
                self.awaited = Some(awaited);
                Poll::Pending
            }
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::Closed => Poll::Ready(None),
            Poll::Ready(next) => Poll::Ready(Some(next)),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("queue", &self.queue.name())
            .field("session", &self.session.0)
            .finish_non_exhaustive()
    }
}
