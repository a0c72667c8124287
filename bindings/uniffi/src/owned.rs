//! What every handle holds: its part of Primer, its courier, and the process it was made in.
//!
//! A forked child has the memory of its parent but none of its threads: a call would wait for ever,
//! and closing would wait for a thread that is not there. So each call asks whose child it is, and
//! a child forgets the handle instead of closing it. The child may open a member of its own.

use std::sync::Arc;

use primer::{Error, ErrorKind};

use crate::courier::Courier;
use crate::error::PrimerError;

pub(crate) struct Owned<T> {
    // Always there until dropped.
    part: Option<(T, Arc<Courier>)>,
    process: u32,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T, courier: &Arc<Courier>) -> Owned<T> {
        Owned {
            part: Some((value, Arc::clone(courier))),
            process: std::process::id(),
        }
    }

    /// The value and its courier. Errors: 501 in a forked child.
    pub(crate) fn get(&self) -> Result<(&T, &Arc<Courier>), PrimerError> {
        match &self.part {
            Some((value, courier)) if self.process == std::process::id() => Ok((value, courier)),
            _ => Err(forked().into()),
        }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            std::mem::forget(self.part.take());
        }
    }
}

fn forked() -> Error {
    Error::new(ErrorKind::Closed)
        .because("this process was forked after open; open a member of its own")
}
