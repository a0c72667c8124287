//! [`Queue`]: a best-effort-order queue.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use primer_proto::base::{QueueKey, limits};
use primer_proto::engine::{
    Asked, Command, EnqueueOptions as Wanted, Flow, Handle, InGroup, NewMessage, Reply, ReplyTo,
};

use crate::run::clock::{millis, wall_ms_of};
use crate::run::driver::{Driver, Manner};
use crate::run::waiter::unexpected;
use crate::{
    Bytes, Delivery, EnqueueOptions, Error, ErrorKind, IfNoGroup, OnShort, Pending, Receipt,
    ReceiveOptions, Result, SubscribeOptions, Subscription,
};

/// A best-effort-order queue, as seen from this member. Clones are cheap.
#[derive(Clone)]
pub struct Queue {
    seat: Arc<Seat>,
}

/// What the clones of one queue share.
struct Seat {
    driver: Arc<Driver>,
    key: QueueKey,
    name: Box<str>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.driver.release_queue(self.key);
    }
}

impl Queue {
    pub(crate) fn new(driver: Arc<Driver>, key: QueueKey, name: &str) -> Self {
        let name = name.into();
        Self {
            seat: Arc::new(Seat { driver, key, name }),
        }
    }

    pub(crate) fn driver(&self) -> &Arc<Driver> {
        &self.seat.driver
    }

    pub(crate) fn key(&self) -> QueueKey {
        self.seat.key
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.seat.name
    }

    /// Puts a message into the queue; set copies, headers and the rest on the answer, then await it,
    /// or `.wait()`. Errors: 101, 102 (`if_no_group`), 104, 201, 202, 203, 204, 301, 302 (another member was
    /// to take it and did not answer: it may have happened), 501.
    pub fn enqueue(&self, body: impl Into<Bytes>) -> Enqueue {
        Enqueue {
            queue: self.clone(),
            body: body.into(),
            options: EnqueueOptions::default(),
        }
    }

    /// The same with all options in one value, for hosts.
    pub fn enqueue_with(&self, body: Bytes, options: &EnqueueOptions) -> Pending<Receipt> {
        let headers = (!options.headers.is_empty()).then(|| Arc::new(options.headers.clone()));
        self.send(NewMessage { body, headers }, wanted(options))
    }

    fn send(&self, message: NewMessage, options: Wanted) -> Pending<Receipt> {
        tracing::trace!(queue = self.name(), bytes = message.body.len(), "enqueue");
        let command = Command::Enqueue {
            queue: self.seat.key,
            message,
            options,
        };
        self.driver()
            .call(command, Manner::Prompt, None, |_, reply| match reply {
                Reply::Receipt(receipt) => Ok(receipt),
                _ => Err(unexpected()),
            })
    }

    /// Puts up to `limits::BATCH_MAX` messages into the queue, all or none; they share the options.
    /// Errors: as enqueue.
    pub fn enqueue_many(
        &self,
        bodies: Vec<Bytes>,
        options: &EnqueueOptions,
    ) -> Pending<Vec<Receipt>> {
        if let Err(error) = check_batch(bodies.len()) {
            return Pending::here(Err(error));
        }
        let headers = (!options.headers.is_empty()).then(|| Arc::new(options.headers.clone()));
        let messages = bodies
            .into_iter()
            .map(|body| NewMessage {
                body,
                headers: headers.clone(),
            })
            .collect();
        let command = Command::EnqueueMany {
            queue: self.seat.key,
            messages,
            options: wanted(options),
        };
        self.driver()
            .call(command, Manner::Prompt, None, |_, reply| match reply {
                Reply::Receipts(receipts) => Ok(receipts),
                _ => Err(unexpected()),
            })
    }

    /// Leases up to `options.max` messages, waiting up to `options.wait` for the first. Empty is not
    /// an error. Dropping the answer before it came retracts the demand. Errors: 101, 201, 203, 501.
    pub fn receive(&self, options: &ReceiveOptions) -> Pending<Vec<Delivery>> {
        if options.max == 0 || options.max > limits::BATCH_MAX {
            let error = Error::new(ErrorKind::InvalidArgument)
                .because("a receive asks for at least one message and at most a batch")
                .with("max", options.max)
                .with("limit", limits::BATCH_MAX);
            return Pending::here(Err(error));
        }
        let command = Command::Receive {
            queue: self.seat.key,
            max: options.max as u32,
            wait: millis(options.wait),
            lease: options.lease.map(millis),
            group: in_group(options.group.as_deref(), options.backlog),
        };
        self.driver().call(
            command,
            Manner::Patient,
            Some(self),
            |queue, reply| match (reply, queue) {
                (Reply::Deliveries(leased), Some(queue)) => Ok(leased
                    .into_iter()
                    .map(|one| Delivery::new(one, queue.clone()))
                    .collect()),
                _ => Err(unexpected()),
            },
        )
    }

    /// Push: at most `options.credit` unsettled deliveries at a time. With `options.max_run` Primer
    /// itself extends their leases meanwhile. Errors: 101, 201, 203, 501.
    pub fn subscribe(&self, options: &SubscribeOptions) -> Result<Subscription> {
        let command = Command::Subscribe {
            queue: self.seat.key,
            flow: Flow {
                credit: options.credit,
                credit_bytes: options.credit_bytes,
                lease: options.lease.map(millis),
                max_run: options.max_run.map(millis),
            },
            group: in_group(options.group.as_deref(), options.backlog),
        };
        match self.driver().call_now(command)? {
            Reply::Session(session) => Subscription::new(self.clone(), session),
            _ => Err(unexpected()),
        }
    }

    /// Creates a named group: from now on each message goes to every group once, and the consumers of
    /// one group share its messages. With `backlog` it gets what waits in the queue, too. One that exists
    /// stays as it is. Consuming in a group creates it as well. Errors: 101, 201, 203, 501.
    pub fn create_group(&self, group: &str, backlog: bool) -> Result<()> {
        let group = InGroup {
            name: group.into(),
            takes_backlog: backlog,
        };
        let command = Command::CreateGroup(self.seat.key, group);
        self.driver().call_now(command).map(drop)
    }

    /// Removes a group with what it was still owed, on every member. None of that name is no error.
    /// Errors: 203, 501.
    pub fn remove_group(&self, group: &str) -> Result<()> {
        let command = Command::RemoveGroup(self.seat.key, group.into());
        self.driver().call_now(command).map(drop)
    }

    /// The names of the queue's groups as this member knows them, ascending. Errors: 501.
    pub fn groups(&self) -> Result<Vec<String>> {
        let groups = self.driver().groups(self.name())?;
        Ok(groups.into_iter().map(|group| group.name).collect())
    }

    /// The message is finished: recorded here, told to every holder at once and until confirmed.
    /// A late ack of an unfinished message succeeds. Errors: 402, 501.
    pub fn ack(&self, delivery: &Delivery) -> Result<()> {
        let handle = self.handle(delivery)?;
        // Also when it fails: an error means that it is finished already, or that this member is.
        delivery.settled();
        self.driver().call_now(Command::Ack(handle)).map(drop)
    }

    /// Replies to whoever waits for this message's reply, then acks it. Best effort: a caller that is
    /// gone, has given up or has a reply already is no error. Errors: as ack, 101 for a message that asks
    /// for no reply, 104, 203 where the way to the caller is full.
    pub fn reply(&self, delivery: &Delivery, reply: impl Into<crate::Reply>) -> Result<()> {
        let handle = self.handle(delivery)?;
        let to = ReplyTo::of(delivery.headers());
        let response = reply.into().into_response();
        let command = Command::Respond(handle, to, response);
        let answer = self.driver().call_now(command);
        // Before anything is done it may be settled otherwise; else as an ack.
        if !answer.as_ref().is_err_and(|error| error.number() < 400) {
            delivery.settled();
        }
        answer.map(drop)
    }

    /// Acks up to `limits::BATCH_MAX` deliveries; answers one number each, 0 or the error's (402).
    /// Errors: 101, 104 for more, 501.
    pub fn ack_many(&self, deliveries: &[&Delivery]) -> Result<Vec<u16>> {
        check_batch(deliveries.len())?;
        // A loop: collecting Results costs as much as all else that is done here.
        let mut handles = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            handles.push(self.handle(delivery)?);
        }
        for delivery in deliveries {
            delivery.settled();
        }
        match self.driver().call_now(Command::AckMany(handles))? {
            Reply::Codes(codes) => Ok(codes),
            _ => Err(unexpected()),
        }
    }

    /// It failed: again after `delay` (none: a back-off of 1 s doubling with each attempt, 10 min at most,
    /// unless the queue's settings say otherwise). Errors: 101, 202, 302, 401, 402, 501.
    pub fn nack(&self, delivery: &Delivery, delay: Option<Duration>) -> Pending<()> {
        self.settle(delivery, true, |handle| {
            Command::Nack(handle, delay.map(millis))
        })
    }

    /// It can never succeed: it goes to the queue `<queue>.dead` at once, with the reason (of which 512
    /// bytes are kept) in its headers. Errors: as nack.
    pub fn reject(&self, delivery: &Delivery, reason: &str) -> Pending<()> {
        self.settle(delivery, true, |handle| {
            Command::Reject(handle, reason.into())
        })
    }

    /// It was not tried: again at once, for anyone, the attempt not counted. Errors: as nack.
    pub fn release(&self, delivery: &Delivery) -> Pending<()> {
        self.settle(delivery, true, Command::Release)
    }

    /// It needs `lease` from now on (none: the queue's setting, else the member's default). Errors: as nack.
    pub fn extend(&self, delivery: &Delivery, lease: Option<Duration>) -> Pending<()> {
        self.settle(delivery, false, |handle| {
            Command::Extend(handle, lease.map(millis))
        })
    }

    fn settle(
        &self,
        delivery: &Delivery,
        is_last: bool,
        command: impl FnOnce(Handle) -> Command,
    ) -> Pending<()> {
        let handle = match self.handle(delivery) {
            Ok(handle) => handle,
            Err(error) => return Pending::here(Err(error)),
        };
        if is_last {
            delivery.settled();
        }
        self.driver()
            .call(command(handle), Manner::Prompt, None, done)
    }

    /// Errors: 101 for a delivery of another queue or member: its handle would mean another
    /// message here.
    fn handle(&self, delivery: &Delivery) -> Result<Handle> {
        let theirs = delivery.queue();
        let is_ours = Arc::ptr_eq(&self.seat, &theirs.seat)
            || (Arc::ptr_eq(self.driver(), theirs.driver()) && self.seat.key == theirs.seat.key);
        if is_ours {
            return Ok(delivery.handle().clone());
        }
        Err(Error::new(ErrorKind::InvalidArgument)
            .because("the delivery came from another queue or member")
            .with("queue", self.name())
            .with("delivery_queue", theirs.name()))
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// An enqueue that has not been sent yet. Await it, or [`Enqueue::wait`], or [`Enqueue::start`].
#[must_use = "nothing is enqueued until it is awaited, waited for or started"]
pub struct Enqueue {
    queue: Queue,
    body: Bytes,
    options: EnqueueOptions,
}

impl Enqueue {
    /// Copies wanted, this member's included.
    pub fn copies(mut self, copies: u16) -> Self {
        self.options.copies = Some(copies);
        self
    }
    /// What to do with fewer.
    pub fn on_short(mut self, on_short: OnShort) -> Self {
        self.options.on_short = Some(on_short);
        self
    }
    /// When "fewer" is decided.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }
    /// 0 (last) to 9 (first); 4 for those that do not say.
    pub fn priority(mut self, priority: u8) -> Self {
        self.options.priority = Some(priority);
        self
    }
    /// Given out only after so long.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options.delay = Some(delay);
        self
    }
    /// Given out only from then on.
    pub fn at(mut self, at: SystemTime) -> Self {
        self.options.at = Some(at);
        self
    }
    /// Not given out after so long: it expires.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }
    /// Given out this often it is a dead letter.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.options.max_attempts = Some(attempts);
        self
    }
    /// Finished when it is given out: one copy, never repeated, lost with its member.
    pub fn at_most_once(mut self) -> Self {
        self.options.at_most_once = true;
        self
    }
    /// What becomes of it where the queue has no group.
    pub fn if_no_group(mut self, choice: IfNoGroup) -> Self {
        self.options.if_no_group = choice;
        self
    }
    /// Messages of one key are given out in line, one at a time; 1 to 255 bytes.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.options.key = Some(key.into());
        self
    }
    /// Within five minutes, or `dedup_window`, messages with the same key of this kind are one: 1 to 255 bytes.
    pub fn dedup(mut self, dedup: impl Into<String>) -> Self {
        self.options.dedup = Some(dedup.into());
        self
    }
    /// How long they are, up to a week.
    pub fn dedup_window(mut self, window: Duration) -> Self {
        self.options.dedup_window = Some(window);
        self
    }
    /// Adds a header.
    pub fn header(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.headers.push((key.into(), value.into()));
        self
    }
    /// Sends it.
    pub fn start(self) -> Pending<Receipt> {
        let wanted = wanted(&self.options);
        let headers = self.options.headers;
        let message = NewMessage {
            body: self.body,
            headers: (!headers.is_empty()).then(|| Arc::new(headers)),
        };
        self.queue.send(message, wanted)
    }
    /// Sends it and waits on this thread.
    pub fn wait(self) -> Result<Receipt> {
        self.start().wait()
    }
}

impl IntoFuture for Enqueue {
    type Output = Result<Receipt>;
    type IntoFuture = Pending<Receipt>;
    fn into_future(self) -> Pending<Receipt> {
        self.start()
    }
}

impl fmt::Debug for Enqueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueue")
            .field("queue", &self.queue.name())
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The reply of a verb that answers nothing.
pub(crate) fn done(_: Option<&Queue>, reply: Reply) -> Result<()> {
    match reply {
        Reply::Done => Ok(()),
        _ => Err(unexpected()),
    }
}

pub(crate) fn wanted(options: &EnqueueOptions) -> Wanted {
    Wanted {
        copies: options.copies,
        on_short: options.on_short,
        timeout: options.timeout.map(millis),
        terms: Asked {
            priority: options.priority,
            delay: options.delay.map(millis),
            at: options.at.map(wall_ms_of),
            ttl: options.ttl.map(millis),
            max_attempts: options.max_attempts,
            is_at_most_once: options.at_most_once,
            key: options.key.as_deref().map(Into::into),
            dedup: options.dedup.as_deref().map(Into::into),
            dedup_window: options.dedup_window.map(millis),
        },
        dated: None,
        if_no_group: options.if_no_group,
    }
}

fn in_group(name: Option<&str>, takes_backlog: bool) -> Option<InGroup> {
    name.map(|name| InGroup {
        name: name.into(),
        takes_backlog,
    })
}

fn check_batch(count: usize) -> Result<()> {
    if count <= limits::BATCH_MAX {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge)
        .because("too many at once")
        .with("count", count)
        .with("count_max", limits::BATCH_MAX))
}
