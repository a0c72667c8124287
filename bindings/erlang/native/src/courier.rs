//! The courier: one thread per member that brings late answers and pushed deliveries to processes.
//!
//! The VM refuses messages that a scheduler thread sends in another's name, and a scheduler may
//! complete any caller's ticket (a `nack` here may feed a `receive` there). So answers always go by
//! the member's completion queue to this thread, which belongs to Primer and may send.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use primer::{Completion, Completions, Error, ErrorKind, Options, Outcome, Primer, Result};
use rustler::env::SavedTerm;
use rustler::{Encoder, Env, LocalPid, OwnedEnv, ResourceArc, Term};

use crate::later::LaterRes;
use crate::reader::ReaderRes;
use crate::subscription::SubscriptionRes;
use crate::{atoms, terms};

/// Answers taken from the completion queue at a time.
const BATCH: usize = 256;
/// Waking up without a reason costs nothing much once an hour.
const LONG: Duration = Duration::from_secs(3_600);

/// A member and the door to its courier. Every handle of the member holds it, a queue's as much as a
/// delivery's: when the VM has collected the last one, the member closes and the courier ends.
pub(crate) struct Face {
    primer: Primer,
    inner: Arc<Inner>,
}

struct Inner {
    completions: Completions,
    slots: Mutex<Slots>,
    streams: Mutex<HashMap<u64, Stream>>,
    next_token: AtomicU64,
    is_over: AtomicBool,
}

/// Who waits for which ticket.
#[derive(Default)]
pub(crate) struct Slots(HashMap<u64, Slot>);

/// One process that waits for one answer.
pub(crate) struct Slot {
    pid: LocalPid,
    env: OwnedEnv,
    reference: SavedTerm,
    // Keeps the monitor on the waiting process alive, whose death cancels the ticket; and the face.
    later: ResourceArc<LaterRes>,
}

impl Slot {
    pub(crate) fn new(pid: LocalPid, reference: Term, later: ResourceArc<LaterRes>) -> Self {
        let env = OwnedEnv::new();
        let reference = env.save(reference);
        Self {
            pid,
            env,
            reference,
            later,
        }
    }
}

impl Slots {
    pub(crate) fn insert(&mut self, ticket: u64, slot: Slot) {
        self.0.insert(ticket, slot);
    }
}

/// Something that messages are pushed from.
#[derive(Clone)]
pub(crate) enum Stream {
    Deliveries(ResourceArc<SubscriptionRes>),
    News(ResourceArc<ReaderRes>),
}

/// What a stream has left after one step.
#[derive(PartialEq, Eq, Clone, Copy)]
pub(crate) enum Flow {
    /// Nothing; it will say when there is more.
    Idle,
    /// Perhaps more: step again.
    More,
    /// Nothing, for ever.
    Ended,
}

impl Face {
    /// Starts the member and its courier. Errors: 101, 106, 502.
    pub(crate) fn start(options: Options) -> Result<Arc<Face>> {
        let primer = Primer::start(options)?;
        let inner = Arc::new(Inner {
            completions: Completions::with_waker(|| {}),
            slots: Mutex::default(),
            streams: Mutex::default(),
            next_token: AtomicU64::new(1),
            is_over: AtomicBool::new(false),
        });
        let courier = Arc::clone(&inner);
        thread::Builder::new()
            .name("primer-courier".into())
            .spawn(move || courier.run())
            .map_err(|error| Error::new(ErrorKind::Io).because(error.to_string()))?;
        Ok(Arc::new(Face { primer, inner }))
    }

    pub(crate) fn primer(&self) -> &Primer {
        &self.primer
    }

    pub(crate) fn completions(&self) -> &Completions {
        &self.inner.completions
    }

    /// Locks the slots: a ticket that is made under this lock finds its slot when it comes.
    pub(crate) fn slots(&self) -> MutexGuard<'_, Slots> {
        self.inner.slots.lock()
    }

    /// Stops waiting for a ticket. True: no message will come. False: it came, or is about to.
    pub(crate) fn cancel(&self, ticket: u64) -> bool {
        // Two steps, so that the slot (and with it perhaps this face) is dropped outside the lock.
        let slot = self.inner.slots.lock().0.remove(&ticket);
        if slot.is_some() {
            self.inner.completions.cancel(ticket);
        }
        slot.is_some()
    }

    /// A token for [`Face::attach`].
    pub(crate) fn token(&self) -> u64 {
        self.inner.next_token.fetch_add(1, Ordering::Relaxed)
    }

    /// Lets the courier push from `stream` whenever its token is ready.
    pub(crate) fn attach(&self, token: u64, stream: Stream) {
        self.inner.streams.lock().insert(token, stream);
    }

    /// The stream has ended.
    pub(crate) fn detach(&self, token: u64) {
        let stream = self.inner.streams.lock().remove(&token);
        drop(stream);
    }
}

impl Drop for Face {
    fn drop(&mut self) {
        // Slots and streams hold a face, so none is left: the courier has nothing to bring.
        self.inner.is_over.store(true, Ordering::Release);
        self.inner.completions.close();
    }
}

impl Inner {
    fn run(&self) {
        let mut env = OwnedEnv::new();
        let mut again: Vec<u64> = Vec::new();
        loop {
            let batch = if again.is_empty() {
                self.completions.wait(BATCH, LONG)
            } else {
                self.completions.drain(BATCH)
            };
            if batch.is_empty() && again.is_empty() && self.is_over.load(Ordering::Acquire) {
                return;
            }
            let mut ready = std::mem::take(&mut again);
            for completion in batch {
                match completion {
                    Completion {
                        ticket,
                        outcome: Ok(Outcome::Ready),
                    } => ready.push(ticket),
                    Completion { ticket, outcome } => shielded(|| self.answer(ticket, outcome)),
                }
            }
            for token in ready {
                let mut flow = Flow::Ended;
                shielded(|| flow = self.step(token, &mut env));
                if flow == Flow::More {
                    again.push(token);
                }
            }
        }
    }

    /// Sends `{primer, Reference, Result}`. What a dead or cancelled caller would have got is
    /// dropped, which gives leased messages back.
    fn answer(&self, ticket: u64, outcome: Result<Outcome>) {
        let Some(slot) = self.slots.lock().0.remove(&ticket) else {
            return;
        };
        let Slot {
            pid,
            mut env,
            reference,
            later,
        } = slot;
        let _ = env.send_and_clear(&pid, |env| {
            let result = terms::result(env, later.face(), outcome);
            message(env, reference.load(env), result)
        });
    }

    fn step(&self, token: u64, env: &mut OwnedEnv) -> Flow {
        let Some(stream) = self.streams.lock().get(&token).cloned() else {
            return Flow::Ended;
        };
        let flow = match &stream {
            Stream::Deliveries(subscription) => subscription.push(subscription, env),
            Stream::News(reader) => reader.push(reader, env),
        };
        if flow == Flow::Ended {
            let ended = self.streams.lock().remove(&token);
            drop(ended);
        }
        flow
    }
}

/// A panic costs one answer, not the courier and with it every later answer.
fn shielded(work: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(work));
}

/// `{primer, From, What}`, the shape of every message that Primer sends.
pub(crate) fn message<'a>(env: Env<'a>, from: Term<'a>, what: Term<'a>) -> Term<'a> {
    (atoms::primer(), from, what).encode(env)
}
