//! [`Events`]: what happened to the cluster, as this member sees it.

use crate::{Completions, Event, Pending, Result};

/// A reader of a member's events, from the moment it was made. A ring of 1,024 keeps them; a reader
/// that falls further behind misses the oldest and is told how many.
pub struct Events {}

impl Events {
    /// Up to `max` events that are here already.
    pub fn take(&self, max: usize) -> Vec<Event> {
        unimplemented!()
    }
    /// The next event, waiting for it. Errors: 501 when the member is closed and all were read.
    pub fn next(&self) -> Pending<Event> {
        unimplemented!()
    }
    /// Events this reader has missed so far.
    pub fn missed(&self) -> u64 {
        unimplemented!()
    }
    /// As [`crate::Subscription::notify`].
    pub fn notify(&self, completions: &Completions, token: u64) {
        unimplemented!()
    }
}
