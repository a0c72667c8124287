//! [`Delivery`]: a message on lease.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use primer_proto::base::limits;
use primer_proto::engine::{Handle, Leased, ReplyTo};

use crate::run::waiter::unexpected;
use crate::{Bytes, MessageId, Pending, Queue, Reply, Result};

/// A message on lease to this process. Dropped unsettled it is released: it goes back at once and
/// the attempt is not counted.
pub struct Delivery {
    leased: Leased,
    queue: Queue,
    /// Acked, nacked, released or kept: its drop does nothing.
    is_settled: AtomicBool,
}

impl Delivery {
    pub(crate) fn new(leased: Leased, queue: Queue) -> Self {
        Self {
            leased,
            queue,
            is_settled: AtomicBool::new(false),
        }
    }

    /// A delivery of what is there. Errors: 599 when nothing is.
    pub(crate) fn some(leased: Option<Leased>, queue: Queue) -> Result<Self> {
        leased
            .map(|leased| Self::new(leased, queue))
            .ok_or_else(unexpected)
    }

    /// What settles it.
    pub(crate) fn handle(&self) -> &Handle {
        &self.leased.handle
    }

    /// Leaves it alone when it is dropped.
    pub(crate) fn settled(&self) {
        self.is_settled.store(true, Ordering::Release);
    }

    /// The message's identity, the same in every group.
    pub fn id(&self) -> MessageId {
        self.leased.id
    }
    /// The producer's bytes.
    pub fn body(&self) -> &Bytes {
        &self.leased.body
    }
    /// The producer's headers, in their order.
    pub fn headers(&self) -> &[(String, String)] {
        self.leased
            .headers
            .as_ref()
            .map_or(&[], |headers| headers.as_slice())
    }
    /// How often it was given out, this time included.
    pub fn attempts(&self) -> u32 {
        self.leased.attempts
    }
    /// 0 (last) to 9 (first).
    pub fn priority(&self) -> u8 {
        let terms = self.leased.terms.as_ref();
        let asked = terms.and_then(|terms| terms.priority);
        asked.unwrap_or(limits::PRIORITY) as u8
    }
    /// The key that it was put in with: messages of one key are given out in line.
    pub fn key(&self) -> Option<&str> {
        let key = self.leased.terms.as_ref()?.key.as_str();
        (!key.is_empty()).then_some(key)
    }
    /// The queue it came from.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }
    /// True where somebody waits for a reply.
    pub fn wants_reply(&self) -> bool {
        ReplyTo::of(self.headers()).is_some()
    }
    /// As [`Queue::reply`].
    pub fn reply(&self, reply: impl Into<Reply>) -> Result<()> {
        self.queue.reply(self, reply)
    }
    /// As [`Queue::ack`].
    pub fn ack(&self) -> Result<()> {
        self.queue.ack(self)
    }
    /// As [`Queue::nack`].
    pub fn nack(&self, delay: Option<Duration>) -> Pending<()> {
        self.queue.nack(self, delay)
    }
    /// As [`Queue::release`].
    pub fn release(&self) -> Pending<()> {
        self.queue.release(self)
    }
    /// As [`Queue::reject`].
    pub fn reject(&self, reason: &str) -> Pending<()> {
        self.queue.reject(self, reason)
    }
    /// As [`Queue::extend`].
    pub fn extend(&self, lease: Option<Duration>) -> Pending<()> {
        self.queue.extend(self, lease)
    }
    /// Leaves the lease running when this value is dropped: the message comes back after it, or after
    /// the `max_run` of a subscription that keeps leases.
    pub fn keep(self) {
        self.settled();
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !*self.is_settled.get_mut() {
            self.queue.driver().release(self.leased.handle.clone());
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.id())
            .field("queue", &self.queue.name())
            .field("bytes", &self.body().len())
            .field("attempts", &self.attempts())
            .finish_non_exhaustive()
    }
}
