//! [`Alive`]: a value that only the process that made it may touch.
//!
//! `fork` copies the core's memory but none of its threads: a lock that another thread held stays
//! locked for ever in the child, and nobody answers. So each handle remembers the generation that
//! it was born in, a hook that runs in every forked child starts the next one, and every verb
//! compares the two before it touches anything. In the child the value is forgotten, not dropped:
//! dropping would close the parent's connections with goodbyes that only the parent may send.

use std::mem::ManuallyDrop;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use primer::{Error, ErrorKind};
use pyo3::prelude::*;

use crate::error::raise;

/// Grows by one in every forked child.
static GENERATION: AtomicU32 = AtomicU32::new(0);

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    crate::wait::forget_waits();
}

/// Installs the hook, once a process. `os.register_at_fork` would miss forks made by C code.
pub fn watch_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the hook only touches atomics, which is allowed in a forked child, and lives as
        // long as the process: Python never unloads an extension module. A refusal (no memory)
        // leaves forks unnoticed, which is no worse than not asking.
        unsafe {
            libc::pthread_atfork(None, None, Some(in_child));
        }
    });
}

/// A value of the process that made it.
pub struct Alive<T> {
    value: ManuallyDrop<T>,
    born: u32,
}

impl<T> Alive<T> {
    /// A value of this process.
    pub fn new(value: T) -> Self {
        Self {
            value: ManuallyDrop::new(value),
            born: GENERATION.load(Ordering::Relaxed),
        }
    }

    /// The value. Errors: 501 "forked" in a child of the process that made it.
    #[inline]
    pub fn get(&self, py: Python<'_>) -> PyResult<&T> {
        if self.is_forked() {
            return Err(raise(py, &Error::new(ErrorKind::Closed).because("forked")));
        }
        Ok(&self.value)
    }

    /// True in a child of the process that made it.
    #[inline]
    pub fn is_forked(&self) -> bool {
        self.born != GENERATION.load(Ordering::Relaxed)
    }
}

impl<T> Drop for Alive<T> {
    fn drop(&mut self) {
        if !self.is_forked() {
            // SAFETY: this is the only place that drops the value, and it runs once.
            unsafe { ManuallyDrop::drop(&mut self.value) }
        }
    }
}
