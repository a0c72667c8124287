//! [`Call`] and [`Reply`]: a message that somebody waits for.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use primer_proto::base::limits;
use primer_proto::engine::{Command, NewCall, NewMessage, Reply as Told, Response};

use crate::queue::{Queue, wanted};
use crate::run::clock::millis;
use crate::run::driver::Manner;
use crate::run::waiter::unexpected;
use crate::{Bytes, EnqueueOptions, Pending, Result};

/// What a call is answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The handler's bytes.
    pub body: Bytes,
    /// The handler's headers, in their order.
    pub headers: Vec<(String, String)>,
}

impl Reply {
    pub(crate) fn of(response: Response) -> Self {
        let headers = response.headers.map(Arc::unwrap_or_clone);
        Self {
            body: response.body,
            headers: headers.unwrap_or_default(),
        }
    }

    pub(crate) fn into_response(self) -> Response {
        Response {
            body: self.body,
            headers: (!self.headers.is_empty()).then(|| Arc::new(self.headers)),
        }
    }
}

impl<B: Into<Bytes>> From<B> for Reply {
    fn from(body: B) -> Self {
        Self {
            body: body.into(),
            headers: Vec::new(),
        }
    }
}

impl Queue {
    /// Puts a message into the queue and waits for the reply of whoever handles it: set the time to wait
    /// and the rest on the answer, then await it, or `.wait()`. Errors: as enqueue, 201 with too many
    /// calls at a time, 302 when no reply came in time (it may still be handled).
    pub fn call(&self, body: impl Into<Bytes>) -> Call {
        Call {
            queue: self.clone(),
            body: body.into(),
            options: EnqueueOptions::default(),
            timeout: Duration::from_millis(limits::CALL_TIMEOUT_MS),
        }
    }

    /// The same with all options in one value, for hosts. Without a `ttl` of its own the message's is
    /// the timeout, so that nobody works for a caller that has given up.
    pub fn call_with(
        &self,
        body: Bytes,
        options: &EnqueueOptions,
        timeout: Duration,
    ) -> Pending<Reply> {
        tracing::trace!(queue = self.name(), bytes = body.len(), "call");
        let headers = (!options.headers.is_empty()).then(|| Arc::new(options.headers.clone()));
        let command = Command::Call(NewCall {
            queue: self.key(),
            message: NewMessage { body, headers },
            options: wanted(options),
            timeout: millis(timeout),
        });
        self.driver()
            .call(command, Manner::Patient, None, |_, reply| match reply {
                Told::Response(response) => Ok(Reply::of(response)),
                _ => Err(unexpected()),
            })
    }
}

/// A call that has not been sent yet. Await it, or [`Call::wait`], or [`Call::start`].
#[must_use = "nothing is enqueued until it is awaited, waited for or started"]
pub struct Call {
    queue: Queue,
    body: Bytes,
    options: EnqueueOptions,
    timeout: Duration,
}

impl Call {
    /// How long to wait for the reply; 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
    /// How its message is enqueued.
    pub fn options(mut self, options: EnqueueOptions) -> Self {
        self.options = options;
        self
    }
    /// Adds a header.
    pub fn header(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.headers.push((key.into(), value.into()));
        self
    }
    /// Sends it.
    pub fn start(self) -> Pending<Reply> {
        self.queue.call_with(self.body, &self.options, self.timeout)
    }
    /// Sends it and waits on this thread.
    pub fn wait(self) -> Result<Reply> {
        self.start().wait()
    }
}

impl IntoFuture for Call {
    type Output = Result<Reply>;
    type IntoFuture = Pending<Reply>;
    fn into_future(self) -> Pending<Reply> {
        self.start()
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("queue", &self.queue.name())
            .field("bytes", &self.body.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
