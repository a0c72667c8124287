//! [`Handlers`]: calls the host's handlers, on a thread of their own, `primer-handlers`.
//!
//! The thread starts with the first handler and ends with the member, or when the call it is in
//! comes back; nobody waits for it. What is to be called waits in a queue with bounds: beyond
//! them what arrives is dropped and counted, and the handlers' exchange repairs it. Handlers are
//! the host's code: nothing of ours is locked while they run or are dropped, and their panics end
//! here.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use primer_proto::base::{MemberId, limits};
use primer_proto::engine::{Command, HostCall};
use primer_proto::{Error, ErrorKind, Result};

use super::driver::{Driver, closed};
use super::runtime::refused;
use super::sync::{Condvar, Mutex};
use crate::handler::BroadcastHandler;

/// Bodies that wait, questions of others included.
const BODIES_MAX: usize = 1_024;
/// Bytes of these.
const BYTES_MAX: usize = 8 << 20;
/// A call that takes longer is counted and told (protocol.md 2).
const BUDGET: Duration = Duration::from_millis(50);

type Shared = Arc<dyn BroadcastHandler>;

/// The host's handlers and what waits for them.
#[derive(Default)]
pub(crate) struct Handlers {
    state: Mutex<State>,
    stirred: Condvar,
    counts: Counts,
}

#[derive(Default)]
struct State {
    handlers: BTreeMap<u16, Shared>,
    calls: VecDeque<HostCall>,
    bodies: usize,
    bytes: usize,
    has_thread: bool,
    is_closed: bool,
}

/// From the member's start.
#[derive(Default)]
struct Counts {
    bodies: AtomicU64,
    news: AtomicU64,
    unknown: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    panics: AtomicU64,
    slow: AtomicU64,
}

impl Handlers {
    /// Adds a handler; the first one starts the thread. Errors: 103, 501, 502.
    pub(crate) fn add(&self, driver: &Arc<Driver>, id: u16, handler: Shared) -> Result<()> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(closed());
        }
        if state.handlers.contains_key(&id) {
            return Err(Error::new(ErrorKind::AlreadyExists)
                .because("this number has a handler")
                .with("handler", id));
        }
        // Under the lock, so that there is one thread, and none that failed is believed in.
        if !state.has_thread {
            let driver = driver.clone();
            std::thread::Builder::new()
                .name("primer-handlers".into())
                .spawn(move || driver.feeds().handlers.run(&driver))
                .map_err(|error| refused("cannot start a thread", &error))?;
            state.has_thread = true;
        }
        state.handlers.insert(id, handler);
        Ok(())
    }

    /// Takes a call in, or drops it; never waits. True when [`Handlers::wake`] is due. Called under the
    /// driver's lock.
    pub(crate) fn push(&self, call: HostCall) -> bool {
        let mut state = self.state.lock();
        let (bodies, bytes) = size(&call);
        if !state.is_wanted(&call) {
            // A question is not a body: whoever asks asks everyone.
            if let HostCall::Merge { .. } = call {
                count(&self.counts.unknown, bodies);
            }
            return false;
        }
        // One that asks has no body; there is one for each member at most.
        let is_full = state.bodies + bodies > BODIES_MAX || state.bytes + bytes > BYTES_MAX;
        if bodies > 0 && is_full {
            count(&self.counts.dropped, bodies);
            return false;
        }
        state.bodies += bodies;
        state.bytes += bytes;
        state.calls.push_back(call);
        true
    }

    /// Gets the thread going.
    pub(crate) fn wake(&self) {
        self.stirred.notify_one();
    }

    /// Calls nothing any more, and lets go of the handlers.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let calls = std::mem::take(&mut state.calls);
        drop(state);
        drop(calls);
        self.stirred.notify_one();
    }

    /// Adds what was counted.
    pub(crate) fn tell(&self, stats: &mut BTreeMap<&'static str, u64>) {
        let counts = &self.counts;
        for (name, count) in [
            ("handler_bodies", &counts.bodies),
            ("handler_news", &counts.news),
            ("handler_unknown", &counts.unknown),
            ("handler_dropped", &counts.dropped),
            ("handler_refused", &counts.refused),
            ("handler_panics", &counts.panics),
            ("handler_slow", &counts.slow),
        ] {
            stats.insert(name, count.load(Ordering::Relaxed));
        }
    }

    fn run(&self, driver: &Driver) {
        while let Some(call) = self.next() {
            match call {
                HostCall::Ask(member) => {
                    let ids: Vec<u16> = self.state.lock().handlers.keys().copied().collect();
                    for id in ids {
                        self.ask(driver, member, id);
                    }
                }
                HostCall::Answer {
                    handler,
                    to,
                    digest,
                } => self.answer(driver, to, handler, &digest),
                HostCall::Merge {
                    handler,
                    from,
                    bodies,
                    has_more,
                } => {
                    let is_news = self.merge(from, handler, &bodies);
                    // With nothing new in it, the same would be answered again.
                    if has_more && is_news {
                        self.ask(driver, from, handler);
                    }
                }
            }
        }
        let handlers = std::mem::take(&mut self.state.lock().handlers);
        for (id, handler) in handlers {
            self.guard(id, move || drop(handler));
        }
    }

    /// Waits for a call. None at the end.
    fn next(&self) -> Option<HostCall> {
        let mut state = self.state.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(call) = state.calls.pop_front() {
                let (bodies, bytes) = size(&call);
                state.bodies -= bodies;
                state.bytes -= bytes;
                return Some(call);
            }
            state = self.stirred.wait(state);
        }
    }

    fn ask(&self, driver: &Driver, to: MemberId, id: u16) {
        let digest = self.call(id, |handler| handler.digest()).flatten();
        let bodies = self.fitting(id, digest.into_iter().collect());
        if !bodies.is_empty() {
            self.send(driver, to, id, false, bodies);
        }
    }

    fn answer(&self, driver: &Driver, to: MemberId, id: u16, digest: &[u8]) {
        let answer = self.call(id, |handler| handler.answer(digest));
        let bodies = self.fitting(id, answer.unwrap_or_default());
        if !bodies.is_empty() {
            self.send(driver, to, id, true, bodies);
        }
    }

    /// True when some body was new.
    fn merge(&self, from: MemberId, id: u16, bodies: &[Bytes]) -> bool {
        let mut is_news = false;
        for body in bodies {
            count(&self.counts.bodies, 1);
            if self.call(id, |handler| handler.merge(from, body)) == Some(true) {
                count(&self.counts.news, 1);
                is_news = true;
            }
        }
        is_news
    }

    /// Without those over the limit.
    fn fitting(&self, id: u16, mut bodies: Vec<Bytes>) -> Vec<Bytes> {
        let all = bodies.len();
        bodies.retain(|body| body.len() <= limits::BROADCAST_BYTES_MAX);
        let refused = all - bodies.len();
        if refused > 0 {
            count(&self.counts.refused, refused);
            tracing::warn!(
                handler = id,
                bodies = refused,
                "bodies over 64 KiB not sent"
            );
        }
        bodies
    }

    fn send(
        &self,
        driver: &Driver,
        to: MemberId,
        handler: u16,
        is_answer: bool,
        bodies: Vec<Bytes>,
    ) {
        let command = Command::HostExchange {
            to,
            handler,
            is_answer,
            bodies,
        };
        // The link is gone or full, or the member closed: the next exchange brings it.
        let _ = driver.call_now(command);
    }

    /// Calls a handler. None when there is none, or it panicked.
    fn call<T>(&self, id: u16, call: impl FnOnce(&dyn BroadcastHandler) -> T) -> Option<T> {
        let handler = self.state.lock().handlers.get(&id).cloned()?;
        let begun = Instant::now();
        let answer = self.guard(id, || call(handler.as_ref()));
        let took = begun.elapsed();
        if took > BUDGET {
            count(&self.counts.slow, 1);
            tracing::warn!(handler = id, ms = took.as_millis() as u64, "a slow handler");
        }
        answer
    }

    /// Runs code of the host's, which may panic.
    fn guard<T>(&self, id: u16, call: impl FnOnce() -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(answer) => Some(answer),
            Err(panic) => {
                // The payload is the host's, too, and its drop might panic.
                if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                    std::mem::forget(another);
                }
                count(&self.counts.panics, 1);
                tracing::error!(handler = id, "a handler panicked");
                None
            }
        }
    }
}

impl State {
    fn is_wanted(&self, call: &HostCall) -> bool {
        match call {
            _ if self.is_closed => false,
            HostCall::Ask(_) => !self.handlers.is_empty() && !self.calls.contains(call),
            HostCall::Answer { handler, .. } | HostCall::Merge { handler, .. } => {
                self.handlers.contains_key(handler)
            }
        }
    }
}

/// Bodies and bytes.
fn size(call: &HostCall) -> (usize, usize) {
    match call {
        HostCall::Ask(_) => (0, 0),
        HostCall::Answer { digest, .. } => (1, digest.len()),
        HostCall::Merge { bodies, .. } => (bodies.len(), bodies.iter().map(Bytes::len).sum()),
    }
}

fn count(counter: &AtomicU64, many: usize) {
    counter.fetch_add(many as u64, Ordering::Relaxed);
}
