//! [`Queue`]: a best-effort-order queue.

use std::future::IntoFuture;
use std::time::Duration;

use crate::{
    Bytes, Completions, Delivery, EnqueueOptions, OnShort, Pending, Primer, ReceiveOptions, Receipt, Result,
    SubscribeOptions, Subscription,
};

/// A best-effort-order queue, as seen from this member. Clones are cheap.
#[derive(Clone)]
pub struct Queue {}

impl Queue {
    /// Its name.
    pub fn name(&self) -> &str {
        unimplemented!()
    }

    /// Puts a message into the queue; set copies, headers and the rest on the answer, then await it,
    /// or `.wait()`. Errors: 101, 104, 201, 202, 203, 301, 501.
    pub fn enqueue(&self, body: impl Into<Bytes>) -> Enqueue {
        unimplemented!()
    }

    /// The same with all options in one value, for hosts.
    pub fn enqueue_with(&self, body: Bytes, options: &EnqueueOptions) -> Pending<Receipt> {
        unimplemented!()
    }

    /// Puts up to `limits::BATCH_MAX` messages into the queue, all or none; they share the options.
    /// Errors: as enqueue.
    pub fn enqueue_many(&self, bodies: Vec<Bytes>, options: &EnqueueOptions) -> Pending<Vec<Receipt>> {
        unimplemented!()
    }

    /// Leases up to `options.max` messages, waiting up to `options.wait` for the first. Empty is not
    /// an error. Dropping the answer before it came retracts the demand. Errors: 101, 501.
    pub fn receive(&self, options: &ReceiveOptions) -> Pending<Vec<Delivery>> {
        unimplemented!()
    }

    /// Push: at most `options.credit` unsettled deliveries at a time. Errors: 101, 201, 501.
    pub fn subscribe(&self, options: &SubscribeOptions) -> Result<Subscription> {
        unimplemented!()
    }

    /// The message is finished: recorded here, told to every holder at once and until confirmed.
    /// A late ack of an unfinished message succeeds. Errors: 402, 501.
    pub fn ack(&self, delivery: &Delivery) -> Result<()> {
        unimplemented!()
    }

    /// Acks up to `limits::BATCH_MAX` deliveries; answers one number each, 0 or the error's (402).
    pub fn ack_many(&self, deliveries: &[&Delivery]) -> Result<Vec<u16>> {
        unimplemented!()
    }

    /// It failed: again after `delay` (none: a back-off of 1 s doubling with each attempt, 10 min at
    /// most). Errors: 101, 202, 302, 401, 402, 501.
    pub fn nack(&self, delivery: &Delivery, delay: Option<Duration>) -> Pending<()> {
        unimplemented!()
    }

    /// It was not tried: again at once, for anyone, the attempt not counted. Errors: as nack.
    pub fn release(&self, delivery: &Delivery) -> Pending<()> {
        unimplemented!()
    }

    /// It needs `lease` from now on (none: the member's default). Errors: as nack.
    pub fn extend(&self, delivery: &Delivery, lease: Option<Duration>) -> Pending<()> {
        unimplemented!()
    }
}

/// An enqueue that has not been sent yet. Await it, or [`Enqueue::wait`], or [`Enqueue::start`].
#[must_use = "nothing is enqueued until it is awaited, waited for or started"]
pub struct Enqueue {}

impl Enqueue {
    /// Copies wanted, this member's included.
    pub fn copies(self, copies: u16) -> Self {
        unimplemented!()
    }
    /// What to do with fewer.
    pub fn on_short(self, on_short: OnShort) -> Self {
        unimplemented!()
    }
    /// When "fewer" is decided.
    pub fn timeout(self, timeout: Duration) -> Self {
        unimplemented!()
    }
    /// Adds a header.
    pub fn header(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        unimplemented!()
    }
    /// Sends it.
    pub fn start(self) -> Pending<Receipt> {
        unimplemented!()
    }
    /// Sends it and waits on this thread.
    pub fn wait(self) -> Result<Receipt> {
        unimplemented!()
    }
}

impl IntoFuture for Enqueue {
    type Output = Result<Receipt>;
    type IntoFuture = Pending<Receipt>;
    fn into_future(self) -> Pending<Receipt> {
        self.start()
    }
}
