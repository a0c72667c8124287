//! [`Worker`]: threads that take from one subscription and settle by what a handler says. No rule of
//! a queue is decided here; the subscription keeps the leases, so a handler may take its time.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use primer_proto::base::limits;

use crate::run::sync::{Condvar, Mutex};
use crate::{Delivery, Error, ErrorKind, Queue, Reply, Result, SubscribeOptions, Subscription};

/// How long a handler's message is its own, unless told otherwise.
const MAX_RUN: Duration = Duration::from_secs(3_600);

/// How a handler ends with a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is finished.
    Ack,
    /// It is finished, and this is for whoever called, if anybody waits.
    Reply(Reply),
    /// It failed: again after so long, or after the back-off.
    Nack(Option<Duration>),
    /// It can never succeed: a dead letter, with the reason.
    Reject(String),
    /// It was not tried.
    Release,
    /// The handler settled it itself.
    Settled,
}

/// What is done is acked; what failed is told to the log and comes again after the back-off.
impl<E: fmt::Display> From<std::result::Result<(), E>> for Verdict {
    fn from(result: std::result::Result<(), E>) -> Self {
        match result {
            Ok(()) => Verdict::Ack,
            Err(error) => {
                tracing::warn!(%error, "a handler failed");
                Verdict::Nack(None)
            }
        }
    }
}

/// The same for a handler that replies.
impl<E: fmt::Display> From<std::result::Result<Reply, E>> for Verdict {
    fn from(result: std::result::Result<Reply, E>) -> Self {
        match result {
            Ok(reply) => Verdict::Reply(reply),
            Err(error) => Err::<(), E>(error).into(),
        }
    }
}

/// Options of a worker.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Handlers at a time, each in a thread; 1.
    pub concurrency: u32,
    /// How its subscription is, apart from the credit: a handler has one message. `max_run` is an hour where none is
    /// given.
    pub subscribe: SubscribeOptions,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            concurrency: 1,
            subscribe: SubscribeOptions::default(),
        }
    }
}

/// Threads that call a handler for each message of a queue, from now on. Dropped it is closed, and
/// waits for the handlers that run.
pub struct Worker {
    bench: Arc<Bench>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the threads share.
struct Bench {
    subscription: Subscription,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// Threads that have not ended.
    running: u32,
    next: u64,
    /// What is worked on.
    working: BTreeMap<u64, Arc<Delivery>>,
}

impl Queue {
    /// Calls `handler` for each message, `options.concurrency` at a time, in threads of its own. It
    /// says how each ends, also as a plain `Result`: an error or a panic nacks with the back-off.
    /// Errors: 101, 201, 203, 501, 502 without a thread.
    pub fn worker<V: Into<Verdict>>(
        &self,
        options: &WorkerOptions,
        handler: impl Fn(&Delivery) -> V + Send + Sync + 'static,
    ) -> Result<Worker> {
        if options.concurrency > limits::CREDIT_MAX {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("the number of handlers is out of its range")
                .with("concurrency", options.concurrency));
        }
        let subscribe = SubscribeOptions {
            credit: options.concurrency,
            max_run: Some(options.subscribe.max_run.unwrap_or(MAX_RUN)),
            ..options.subscribe.clone()
        };
        let worker = Worker {
            bench: Arc::new(Bench {
                subscription: self.subscribe(&subscribe)?,
                state: Mutex::default(),
                ended: Condvar::default(),
            }),
            threads: Mutex::default(),
        };
        let handler = Arc::new(handler);
        for _ in 0..options.concurrency {
            let handler = handler.clone();
            worker.begin(move |delivery| handler(delivery).into())?;
        }
        Ok(worker)
    }
}

impl Worker {
    fn begin(&self, handler: impl Fn(&Delivery) -> Verdict + Send + 'static) -> Result<()> {
        let bench = self.bench.clone();
        bench.state.lock().running += 1;
        let begun = std::thread::Builder::new()
            .name("primer-worker".into())
            .spawn(move || {
                bench.work(&handler);
                bench.state.lock().running -= 1;
                bench.ended.notify_all();
            });
        match begun {
            Ok(thread) => self.threads.lock().push(thread),
            Err(error) => {
                self.bench.state.lock().running -= 1;
                return Err(Error::new(ErrorKind::Io)
                    .because("a thread could not be started")
                    .with("error", error));
            }
        }
        Ok(())
    }

    /// Takes no more and waits for the handlers that run, up to `drain` (none: as long as it takes).
    /// What was not begun goes back at once. True when all ended; else what they have goes back as
    /// well, uncounted, and they run on: their acks still count. Idempotent. Not from a handler.
    pub fn close(&self, drain: Option<Duration>) -> bool {
        self.bench.subscription.close();
        let is_over = self.join(drain);
        if !is_over {
            let working: Vec<_> = self.bench.state.lock().working.values().cloned().collect();
            for delivery in working {
                // Its handler may have settled it just now; what is lost comes back by itself.
                if let Err(error) = delivery.release().wait() {
                    tracing::debug!(id = %delivery.id(), %error, "not given back");
                }
            }
        }
        is_over
    }

    /// Waits until every handler has ended, which needs this or its member to be closed; false when
    /// `limit` passed before.
    pub fn join(&self, limit: Option<Duration>) -> bool {
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut state = self.bench.state.lock();
        while state.running > 0 {
            match until {
                None => state = self.bench.ended.wait(state),
                Some(until) => {
                    let is_late;
                    (state, is_late) = self.bench.ended.wait_until(state, until);
                    if is_late {
                        return state.running == 0;
                    }
                }
            }
        }
        drop(state);
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // A handler's panic is caught where it happens.
            if thread.join().is_err() {
                tracing::error!("a worker's thread panicked");
            }
        }
        true
    }
}

impl Bench {
    /// One that cannot be given counts as a failure: it might be given the next time.
    fn reply(&self, delivery: &Delivery, reply: Reply) -> Result<()> {
        if !delivery.wants_reply() {
            return delivery.ack();
        }
        let given = delivery.reply(reply);
        if given.as_ref().is_err_and(|error| error.number() < 400) {
            delivery.nack(None).wait()?;
        }
        given
    }

    fn work(&self, handler: &impl Fn(&Delivery) -> Verdict) {
        loop {
            let delivery = match self.subscription.next().wait() {
                Ok(delivery) => Arc::new(delivery),
                Err(error) if error.kind() == ErrorKind::Closed => return,
                Err(error) => return tracing::error!(%error, "a worker ends"),
            };
            let place = {
                let mut state = self.state.lock();
                state.next += 1;
                let place = state.next;
                state.working.insert(place, delivery.clone());
                place
            };
            let verdict = catch_unwind(AssertUnwindSafe(|| handler(&delivery)));
            let verdict = verdict.unwrap_or_else(|_| {
                tracing::error!(id = %delivery.id(), "a handler panicked");
                Verdict::Nack(None)
            });
            let settled = match verdict {
                Verdict::Ack => delivery.ack(),
                Verdict::Reply(reply) => self.reply(&delivery, reply),
                Verdict::Nack(delay) => delivery.nack(delay).wait(),
                Verdict::Reject(reason) => delivery.reject(&reason).wait(),
                Verdict::Release => delivery.release().wait(),
                Verdict::Settled => Ok(()),
            };
            if let Err(error) = settled {
                tracing::warn!(id = %delivery.id(), %error, "a verdict changed nothing");
            }
            self.state.lock().working.remove(&place);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.close(None);
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.bench.state.lock();
        f.debug_struct("Worker")
            .field("queue", &self.bench.subscription.queue().name())
            .field("threads", &state.running)
            .field("working", &state.working.len())
            .finish()
    }
}
