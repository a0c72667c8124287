//! [`Delivery`]: a message on lease.

use std::time::Duration;

use crate::{Bytes, MessageId, Pending, Queue, Result};

/// A message on lease to this process. Dropped unsettled it is released: it goes back at once and
/// the attempt is not counted.
pub struct Delivery {}

impl Delivery {
    /// The message's identity.
    pub fn id(&self) -> MessageId {
        unimplemented!()
    }
    /// The producer's bytes.
    pub fn body(&self) -> &Bytes {
        unimplemented!()
    }
    /// The producer's headers, in their order.
    pub fn headers(&self) -> &[(String, String)] {
        unimplemented!()
    }
    /// How often it was given out, this time included.
    pub fn attempts(&self) -> u32 {
        unimplemented!()
    }
    /// The queue it came from.
    pub fn queue(&self) -> &Queue {
        unimplemented!()
    }
    /// As [`Queue::ack`].
    pub fn ack(&self) -> Result<()> {
        unimplemented!()
    }
    /// As [`Queue::nack`].
    pub fn nack(&self, delay: Option<Duration>) -> Pending<()> {
        unimplemented!()
    }
    /// As [`Queue::release`].
    pub fn release(&self) -> Pending<()> {
        unimplemented!()
    }
    /// As [`Queue::extend`].
    pub fn extend(&self, lease: Option<Duration>) -> Pending<()> {
        unimplemented!()
    }
    /// Leaves the lease running when this value is dropped (the message comes back after it).
    pub fn keep(self) {
        unimplemented!()
    }
}
