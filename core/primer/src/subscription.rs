//! [`Subscription`]: a pushed stream of deliveries.

use std::time::Duration;

use crate::{Completions, Delivery, Pending, Queue, Result};

/// Deliveries pushed to this process, at most `credit` of them unsettled: settling one makes room
/// for the next. Closed when dropped.
pub struct Subscription {}

impl Subscription {
    /// The queue it reads.
    pub fn queue(&self) -> &Queue {
        unimplemented!()
    }
    /// The next delivery, waiting for it. Errors: 501 when closed.
    pub fn next(&self) -> Pending<Delivery> {
        unimplemented!()
    }
    /// Up to `max` deliveries that are here already; empty is not an error. Errors: 501 when closed
    /// and empty.
    pub fn take(&self, max: usize) -> Result<Vec<Delivery>> {
        unimplemented!()
    }
    /// Waits on this thread for up to `wait` for the first of up to `max` deliveries; empty when the
    /// time passed. Errors: 501 when closed and empty; 106 on a Primer thread.
    pub fn next_batch(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>> {
        unimplemented!()
    }
    /// Tells `completions` with [`Outcome::Ready`](crate::Outcome::Ready) and `token` whenever the
    /// subscription goes from empty to not empty (or is closed); once at once if it is not empty.
    pub fn notify(&self, completions: &Completions, token: u64) {
        unimplemented!()
    }
    /// Raises the number of unsettled deliveries. Errors: 101, 501.
    pub fn credit(&self, more: u32) -> Result<()> {
        unimplemented!()
    }
    /// Ends it: what was not taken is released; what was taken stays leased to its taker. Idempotent.
    pub fn close(&self) {
        unimplemented!()
    }
    /// Ends it for a consumer that died: everything unsettled is released at once, taken or not.
    pub fn abandon(&self) {
        unimplemented!()
    }
}
