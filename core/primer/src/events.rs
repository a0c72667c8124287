//! [`Events`]: what happened to the cluster, as this member sees it.

use std::fmt;
use std::sync::Arc;

use crate::run::driver::{Driver, closed};
use crate::run::ring::Reader;
use crate::run::waiter::Waiter;
use crate::{Completions, Event, Pending};

/// A reader of a member's events, from the moment it was made. A ring of 1,024 keeps them; a reader
/// that falls further behind misses the oldest and is told how many.
pub struct Events {
    driver: Arc<Driver>,
    reader: Arc<Reader>,
}

impl Events {
    pub(crate) fn new(driver: Arc<Driver>) -> Self {
        let reader = if driver.is_forgotten() {
            Arc::default()
        } else {
            driver.ring().reader()
        };
        Self { driver, reader }
    }

    /// Up to `max` events that are here already.
    pub fn take(&self, max: usize) -> Vec<Event> {
        if self.driver.is_forgotten() {
            return Vec::new();
        }
        self.driver.ring().take(&self.reader, max)
    }
    /// The next event, waiting for it. Errors: 501 when the member is closed and all were read.
    pub fn next(&self) -> Pending<Event> {
        if self.driver.is_forgotten() {
            return Pending::here(Err(closed()));
        }
        let waiter = Waiter::plain(None);
        match self.driver.ring().next(&self.reader, &waiter) {
            Ok(Some(event)) => Pending::here(Ok(event)),
            Ok(None) => Pending::event(self.driver.clone(), self.reader.clone(), waiter),
            Err(error) => Pending::here(Err(error)),
        }
    }
    /// Events this reader has missed so far.
    pub fn missed(&self) -> u64 {
        if self.driver.is_forgotten() {
            return 0;
        }
        self.driver.ring().missed(&self.reader)
    }
    /// As [`crate::Subscription::notify`].
    pub fn notify(&self, completions: &Completions, token: u64) {
        let notice = completions.notice(token);
        if !self.driver.is_forgotten() && self.driver.ring().notify(&self.reader, &notice) {
            notice.raise();
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if !self.driver.is_forgotten() {
            self.driver.ring().remove(&self.reader);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
