//! Waiting for the core without holding up the interpreter.
//!
//! An answer that is here already costs nothing: the interpreter lock is kept. Otherwise it is let
//! go; the main thread comes back every [`SLICE`] to look for signals, so that Ctrl-C works, other
//! threads only when the answer is there (Python runs signal handlers on the main thread alone).
//!
//! Waiting threads are counted. A thread that comes back to an interpreter that is being torn down
//! is killed by it in the middle of native code, so at exit the members are closed first, which
//! answers every wait, and then [`join_waits`] sees the last thread out. For the same reason values and
//! errors are made without running Python code, which might give the interpreter lock up, too.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use primer::{Completions, Outcome, Pending};
use pyo3::prelude::*;

use crate::convert::{Int, millis};
use crate::error::OrRaise;

/// How long the main thread is deaf to signals at most.
const SLICE: Duration = Duration::from_millis(50);

static WAITS: AtomicUsize = AtomicUsize::new(0);
/// The identity of Python's main thread.
static MAIN: AtomicUsize = AtomicUsize::new(0);
/// The thread in [`join_waits`].
static LEAVER: OnceLock<Thread> = OnceLock::new();

/// One thread in a wait, from before it lets the interpreter lock go until it has it back.
struct Wait;

impl Wait {
    fn begin() -> Wait {
        WAITS.fetch_add(1, Ordering::SeqCst);
        Wait
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        // Saturating, because a forked child starts again from nought (see forget_waits).
        let last = WAITS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| {
            count.checked_sub(1)
        });
        fence(Ordering::SeqCst);
        if last == Ok(1)
            && let Some(leaver) = LEAVER.get()
        {
            leaver.unpark();
        }
    }
}

/// A forked child has none of its parent's threads but the one that forked, which is its main one.
pub fn forget_waits() {
    WAITS.store(0, Ordering::SeqCst);
    MAIN.store(this_thread(), Ordering::Relaxed);
}

/// Does something that blocks for a moment, with the interpreter lock let go.
pub fn away<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    let _wait = Wait::begin();
    py.detach(work)
}

/// Threads that wait inside Primer now.
#[pyfunction]
pub fn waits() -> usize {
    WAITS.load(Ordering::SeqCst)
}

/// Waits until no thread waits inside Primer any more. For the exit, after every member was closed.
#[pyfunction]
pub fn join_waits(py: Python<'_>) {
    let leaver = LEAVER.get_or_init(thread::current);
    fence(Ordering::SeqCst);
    if leaver.id() != thread::current().id() {
        return;
    }
    py.detach(|| {
        while WAITS.load(Ordering::SeqCst) > 0 {
            thread::park();
        }
    });
}

/// The answer, waiting for it. Errors: the verb's own; KeyboardInterrupt and whatever else a signal
/// handler raises, which drops the wait: a message leased for it goes back.
#[inline]
pub fn settle<T: Send>(py: Python<'_>, mut pending: Pending<T>) -> PyResult<T> {
    if let Some(answer) = pending.ready() {
        return answer.or_raise(py);
    }
    loop {
        if let Some(value) = slices(py, &mut pending, None)? {
            return Ok(value);
        }
    }
}

/// The answer, or none when it did not come within `limit` (none: no limit).
fn settle_within<T: Send>(
    py: Python<'_>,
    mut pending: Pending<T>,
    limit: Option<Duration>,
) -> PyResult<Option<T>> {
    if let Some(answer) = pending.ready() {
        return answer.or_raise(py).map(Some);
    }
    // A limit beyond the clock's range is no limit.
    let end = limit.and_then(|limit| Instant::now().checked_add(limit));
    slices(py, &mut pending, end)
}

/// What a verb answers to the idiom layer: see the crate's page on `on`.
pub fn answer<'py, T>(
    py: Python<'py>,
    pending: Pending<T>,
    on: Option<&Completions>,
    convert: impl FnOnce(T) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>>
where
    T: Into<Outcome> + Send,
{
    let Some(completions) = on else {
        return convert(settle(py, pending)?);
    };
    match pending.complete_on(completions).or_raise(py)? {
        primer::Answer::Now(value) => convert(value),
        primer::Answer::Later(ticket) => Ok(ticket.into_pyobject(py)?.into_any()),
    }
}

/// What a `next` answers: the value, waiting for at most `wait_ms` (none: no limit); none in vain. With
/// `on` as [`answer`] does, for as long as it takes.
pub fn next_of<'py, T>(
    py: Python<'py>,
    pending: Pending<T>,
    wait_ms: Option<Int<u64>>,
    on: Option<&Completions>,
    convert: impl FnOnce(Python<'py>, T) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>>
where
    T: Into<Outcome> + Send,
{
    if on.is_some() {
        return answer(py, pending, on, |value| convert(py, value));
    }
    match settle_within(py, pending, millis(wait_ms))? {
        Some(value) => convert(py, value),
        None => Ok(py.None().into_bound(py)),
    }
}

/// Waits in slices until the answer is there or `end` has come.
fn slices<T: Send>(
    py: Python<'_>,
    pending: &mut Pending<T>,
    end: Option<Instant>,
) -> PyResult<Option<T>> {
    let is_main = is_main_thread();
    loop {
        let wait = Wait::begin();
        let answer = py.detach(|| {
            loop {
                let left = end.map(|end| end.saturating_duration_since(Instant::now()));
                let slice = left.map_or(SLICE, |left| left.min(SLICE));
                match pending.wait_for(slice) {
                    None if !is_main && left.is_none_or(|left| left > slice) => {}
                    answer => return answer,
                }
            }
        });
        drop(wait);
        py.check_signals()?;
        match answer {
            Some(answer) => return answer.or_raise(py).map(Some),
            None if end.is_some_and(|end| end <= Instant::now()) => return Ok(None),
            None => {}
        }
    }
}

/// True on the one thread that runs Python's signal handlers.
fn is_main_thread() -> bool {
    MAIN.load(Ordering::Relaxed) == this_thread()
}

/// Learns which one that is. Once, at the import: it runs Python code.
pub fn find_main_thread(py: Python<'_>) -> PyResult<()> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    MAIN.store(main.extract()?, Ordering::Relaxed);
    Ok(())
}

/// This thread's `threading.get_ident()`.
fn this_thread() -> usize {
    // SAFETY: it always succeeds, and touches nothing; also in a forked child.
    let thread = unsafe { libc::pthread_self() };
    thread as usize
}
