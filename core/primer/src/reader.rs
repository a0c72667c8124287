//! [`Reader`]: news of one kind, as this member hears it: [`Events`], a [`Topic`], a [`Watch`].

use std::fmt;
use std::sync::Arc;

use crate::run::driver::{Driver, closed};
use crate::run::feed::{Feed, Filter, Item, Reader as Place};
use crate::run::waiter::Waiter;
use crate::{Broadcast, Change, Completions, Error, ErrorKind, Event, Pending};

/// What happens to the cluster.
pub type Events = Reader<Event>;
/// What members tell everyone who listens to one topic.
pub type Topic = Reader<Broadcast>;
/// Changes of keys.
pub type Watch = Reader<Change>;

/// A kind of news that a member carries.
pub(crate) trait News: Item {
    /// Where it is heard.
    fn feed(driver: &Driver) -> &Feed<Self>;
}

/// A reader of news from the moment it was made. It keeps 1,024 items and 8 MiB; one that falls
/// further behind misses the oldest and is told how many.
#[expect(private_bounds, reason = "its kinds are named above; nobody adds one")]
pub struct Reader<T: News> {
    driver: Arc<Driver>,
    place: Arc<Place<T>>,
}

#[expect(private_bounds, reason = "its kinds are named above; nobody adds one")]
impl<T: News> Reader<T> {
    pub(crate) fn new(driver: Arc<Driver>, filter: Filter<T>) -> Self {
        let place = if driver.is_forgotten() {
            Arc::new(Place::new(filter))
        } else {
            T::feed(&driver).reader(filter)
        };
        Self { driver, place }
    }

    /// Up to `max` items that are here already.
    pub fn take(&self, max: usize) -> Vec<T> {
        if self.driver.is_forgotten() {
            return Vec::new();
        }
        self.place.take(max)
    }

    /// The next item, waiting for it. Errors: 501 when this reader or the member is closed and all
    /// was read.
    pub fn next(&self) -> Pending<T> {
        if self.driver.is_forgotten() {
            return Pending::here(Err(closed()));
        }
        let waiter = Waiter::plain(None);
        match self.place.next(&waiter) {
            Ok(Some(item)) => Pending::here(Ok(item)),
            Ok(None) => Pending::news(self.driver.clone(), self.place.clone(), waiter),
            Err(error) => Pending::here(Err(error)),
        }
    }

    /// Items this reader has missed so far.
    pub fn missed(&self) -> u64 {
        if self.driver.is_forgotten() {
            return 0;
        }
        self.place.missed()
    }

    /// Hears nothing more; who waits is answered 501. What is here can still be read. Idempotent.
    pub fn close(&self) {
        if !self.driver.is_forgotten() {
            T::feed(&self.driver).remove(&self.place);
            let error = Error::new(ErrorKind::Closed).because("this reader is closed");
            self.place.close(&error);
        }
    }

    /// As [`crate::Subscription::notify`].
    pub fn notify(&self, completions: &Completions, token: u64) {
        let notice = completions.notice(token);
        if !self.driver.is_forgotten() && self.place.notify(&notice) {
            notice.raise();
        }
    }
}

impl<T: News> Drop for Reader<T> {
    fn drop(&mut self) {
        if !self.driver.is_forgotten() {
            T::feed(&self.driver).remove(&self.place);
        }
    }
}

impl<T: News> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Item for Event {
    fn weight(&self) -> usize {
        self.name.len() + self.detail.len()
    }
}

impl News for Event {
    fn feed(driver: &Driver) -> &Feed<Self> {
        &driver.feeds().events
    }
}

impl Item for Broadcast {
    fn weight(&self) -> usize {
        self.topic.len() + self.body.len()
    }
}

impl News for Broadcast {
    fn feed(driver: &Driver) -> &Feed<Self> {
        &driver.feeds().topics
    }
}

impl Item for Change {
    fn weight(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, bytes::Bytes::len)
    }
}

impl News for Change {
    fn feed(driver: &Driver) -> &Feed<Self> {
        &driver.feeds().changes
    }
}
