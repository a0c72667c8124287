//! The room: everything that one JavaScript thread holds open, behind handles.
//!
//! It is a thread local, because a thread of Node.js runs one program and its values never leave it; so a
//! look at a handle takes no lock. A host is one loaded copy of `lib/` in that thread (test runners load
//! several): it has its own queue of late answers and its own wake-up, and everything that it opened ends
//! with it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use primer::{
    Answer, Completion, Completions, Delivery, Error, ErrorKind, Events, Outcome, Pending, Primer,
    Queue, Result, Subscription, Topic, Watch,
};

use crate::parcel::Parcel;
use crate::slab::Slab;

/// How long the end of a host waits for its members to flush: `close` itself takes a second at most.
const FLUSH: Duration = Duration::from_millis(1_500);

/// A value and the host that opened it.
pub(crate) struct Owned<T> {
    pub(crate) host: u32,
    pub(crate) value: T,
}

/// What tells JavaScript that it has something: looked at without waiting.
pub(crate) enum Reader {
    Subscription(Subscription),
    Events(Events),
    Topic(Topic),
    Watch(Watch),
}

/// One loaded copy of `lib/`.
pub(crate) struct Host {
    pub(crate) completions: Completions,
    /// Late answers that were drained but found no space yet.
    pub(crate) late: VecDeque<Completion>,
    /// What was asked for but found no space yet.
    pub(crate) parcel: Parcel,
}

/// Everything that one JavaScript thread holds open.
pub(crate) struct Room {
    pub(crate) hosts: Slab<Host>,
    pub(crate) members: Slab<Owned<Primer>>,
    pub(crate) queues: Slab<Owned<Queue>>,
    pub(crate) readers: Slab<Owned<Reader>>,
    pub(crate) deliveries: Slab<Owned<Delivery>>,
    pub(crate) failures: Slab<Error>,
}

thread_local! {
    static ROOM: RefCell<Room> = const {
        RefCell::new(Room {
            hosts: Slab::new(),
            members: Slab::new(),
            queues: Slab::new(),
            readers: Slab::new(),
            deliveries: Slab::new(),
            failures: Slab::new(),
        })
    };
}

/// Runs one verb in this thread's room and answers its number, or minus the place of its failure.
///
/// Errors: whatever the verb says; 599 for a panic in it.
pub(crate) fn verb(body: impl FnOnce(&mut Room) -> Result<f64>) -> f64 {
    match guarded(body) {
        Ok(number) => number,
        Err(error) => {
            let place = guarded(|room| Ok(room.failures.put(error)));
            // Without a room there is no place for the reason either; 0 would mean "done".
            -f64::from(place.unwrap_or(u32::MAX))
        }
    }
}

/// Runs `body` in this thread's room. Errors: the body's; 599 for a panic, and when the room is gone or busy.
pub(crate) fn guarded<T>(body: impl FnOnce(&mut Room) -> Result<T>) -> Result<T> {
    let run = || {
        ROOM.try_with(|room| match room.try_borrow_mut() {
            Ok(mut room) => body(&mut room),
            Err(_) => Err(internal("a native verb was called from inside another")),
        })
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(internal("this thread is ending")),
        Err(panic) => Err(internal(&reason_of(panic.as_ref()))),
    }
}

fn reason_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panic: {}", text.unwrap_or_default())
}

/// A 599: a bug on our side of the border.
pub(crate) fn internal(reason: &str) -> Error {
    Error::new(ErrorKind::Internal).because(reason)
}

/// The failure that a handle of nothing means: what it named is closed.
fn closed(what: &'static str) -> Error {
    Error::new(ErrorKind::Closed).because(what)
}

impl Room {
    /// The late answers of `host`. Errors: 501 when it has ended.
    pub(crate) fn completions(&self, host: u32) -> Result<&Completions> {
        let host = self
            .hosts
            .get(host)
            .ok_or_else(|| closed("this thread's members have ended"))?;
        Ok(&host.completions)
    }

    /// The host itself. Errors: 501 when it has ended.
    pub(crate) fn host(&mut self, host: u32) -> Result<&mut Host> {
        self.hosts
            .get_mut(host)
            .ok_or_else(|| closed("this thread's members have ended"))
    }

    /// The member at `handle`. Errors: 501.
    pub(crate) fn member(&self, handle: u32) -> Result<&Owned<Primer>> {
        self.members
            .get(handle)
            .ok_or_else(|| closed("this member is closed"))
    }

    /// The queue at `handle`. Errors: 501.
    pub(crate) fn queue(&self, handle: u32) -> Result<&Owned<Queue>> {
        self.queues
            .get(handle)
            .ok_or_else(|| closed("this member is closed"))
    }

    /// The reader at `handle`. Errors: 501.
    pub(crate) fn reader(&self, handle: u32) -> Result<&Owned<Reader>> {
        self.readers
            .get(handle)
            .ok_or_else(|| closed("it is closed"))
    }

    /// The delivery at `handle`. Errors: 402, since only a finished delivery loses its handle.
    pub(crate) fn delivery(&self, handle: u32) -> Result<&Owned<Delivery>> {
        self.deliveries.get(handle).ok_or_else(settled)
    }

    /// The number of an answer that carries no value: 0, or the ticket of a late one.
    pub(crate) fn answer(&self, host: u32, pending: Pending<()>) -> Result<f64> {
        match pending.complete_on(self.completions(host)?)? {
            Answer::Now(()) => Ok(0.0),
            Answer::Later(ticket) => Ok(number_of(ticket)),
        }
    }

    /// As [`Room::answer`] for one that carries a value, which `now` turns into a number.
    pub(crate) fn answer_with<T: Into<Outcome>>(
        &mut self,
        host: u32,
        pending: Pending<T>,
        now: impl FnOnce(&mut Room, T) -> Result<f64>,
    ) -> Result<f64> {
        match pending.complete_on(self.completions(host)?)? {
            Answer::Now(value) => now(self, value),
            Answer::Later(ticket) => Ok(number_of(ticket)),
        }
    }

    /// Ends a host: its members are closed and flushed, its handles are freed, nobody is woken any more.
    /// Deliveries that are not settled keep their leases, so that work which ends the process counts as an
    /// attempt. Idempotent.
    pub(crate) fn shut(&mut self, host: u32) {
        let Some(gone) = self.hosts.take(host) else {
            return;
        };
        let unsettled = self.deliveries.take_all(|owned| owned.host == host);
        unsettled.into_iter().for_each(|owned| owned.value.keep());
        gone.parcel.keep();
        let members = self.members.take_all(|owned| owned.host == host);
        let mut closing: Vec<_> = members.iter().map(|owned| owned.value.close()).collect();
        drop(self.readers.take_all(|owned| owned.host == host));
        drop(self.queues.take_all(|owned| owned.host == host));
        let until = Instant::now() + FLUSH;
        for pending in &mut closing {
            // The answer is nothing or a failure that nobody is left to hear of.
            let _ = pending.wait_for(until.saturating_duration_since(Instant::now()));
        }
        gone.completions.close();
    }
}

/// The failure of a delivery without a handle.
pub(crate) fn settled() -> Error {
    Error::new(ErrorKind::AlreadyDone).because("this delivery is settled")
}

/// A ticket as a number of JavaScript. Tickets count up from 1, so they stay below 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 tickets take 285 years at a million a second"
)]
pub(crate) fn number_of(ticket: u64) -> f64 {
    ticket as f64
}

/// Milliseconds of JavaScript; negative is "not given".
pub(crate) fn span(ms: f64) -> Option<Duration> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, limits are the verb's"
    )]
    (ms >= 0.0).then(|| Duration::from_millis(ms as u64))
}
