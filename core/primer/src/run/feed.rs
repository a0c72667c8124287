//! [`Feed`]: news that any number of readers hear, each at its own pace.
//!
//! A reader hears what interests it from the moment it was made. It keeps at most
//! `limits::EVENTS_MAX` items and [`KEPT_BYTES_MAX`] bytes; one that falls further behind misses the
//! oldest and is told how many. Nobody waits for a slow reader.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::run::sync::Mutex;
use primer_proto::base::limits;
use primer_proto::{Error, Result};

use super::waiter::{Call, Waiter};
use crate::completions::Notice;

/// Bytes of bodies that one reader keeps at most.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// What a feed carries.
pub(crate) trait Item: Clone + Send + Sync + 'static {
    /// Its part of [`KEPT_BYTES_MAX`].
    fn weight(&self) -> usize;
}

/// Which items a reader hears; none hears all.
pub(crate) type Filter<T> = Option<Box<dyn Fn(&T) -> bool + Send + Sync>>;

/// One kind of news.
pub(crate) struct Feed<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    readers: Vec<Arc<Reader<T>>>,
    closed: Option<Error>,
}

/// One reader's place. Its lock is taken under the feed's only, or alone.
pub(crate) struct Reader<T> {
    filter: Filter<T>,
    place: Mutex<Place<T>>,
}

struct Place<T> {
    items: VecDeque<T>,
    bytes: usize,
    missed: u64,
    waiting: VecDeque<Arc<Waiter<T>>>,
    notices: Vec<Notice>,
    closed: Option<Error>,
}

/// Whom to tell, when no lock is held.
pub(crate) struct Told<T> {
    calls: Vec<Call<T>>,
    notices: Vec<Notice>,
}

impl<T> Default for Told<T> {
    fn default() -> Self {
        Self {
            calls: Vec::new(),
            notices: Vec::new(),
        }
    }
}

impl<T: Item> Told<T> {
    /// Tells them.
    pub(crate) fn run(self) {
        for call in self.calls {
            call.run();
        }
        for notice in self.notices {
            notice.raise();
        }
    }
}

impl<T> Default for Feed<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                readers: Vec::new(),
                closed: None,
            }),
        }
    }
}

impl<T: Item> Feed<T> {
    /// Gives an item to whom it interests. Called under the driver's lock; telling is left to
    /// `told`.
    pub(crate) fn push(&self, item: &T, told: &mut Told<T>) {
        for reader in &self.state.lock().readers {
            reader.hear(item, told);
        }
    }

    /// A reader of what comes from now on.
    pub(crate) fn reader(&self, filter: Filter<T>) -> Arc<Reader<T>> {
        let mut state = self.state.lock();
        let reader = Arc::new(Reader::new(filter));
        match &state.closed {
            Some(error) => reader.place.lock().closed = Some(error.clone()),
            None => state.readers.push(reader.clone()),
        }
        reader
    }

    /// Forgets a reader.
    pub(crate) fn remove(&self, reader: &Arc<Reader<T>>) {
        let mut state = self.state.lock();
        state.readers.retain(|known| !Arc::ptr_eq(known, reader));
    }

    /// Ends it: what readers have can still be read. Idempotent. Never call it under a lock.
    pub(crate) fn close(&self, error: &Error) {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return;
        }
        state.closed = Some(error.clone());
        let readers = std::mem::take(&mut state.readers);
        drop(state);
        for reader in readers {
            reader.close(error);
        }
    }
}

impl<T: Item> Reader<T> {
    /// A reader of nothing, unless a feed gives it something.
    pub(crate) fn new(filter: Filter<T>) -> Self {
        Self {
            filter,
            place: Mutex::new(Place {
                items: VecDeque::new(),
                bytes: 0,
                missed: 0,
                waiting: VecDeque::new(),
                notices: Vec::new(),
                closed: None,
            }),
        }
    }

    fn hear(&self, item: &T, told: &mut Told<T>) {
        if self.filter.as_ref().is_some_and(|filter| !filter(item)) {
            return;
        }
        let mut place = self.place.lock();
        match place.serve(item) {
            Some(call) => told.calls.push(call),
            None => {
                place.keep(item.clone());
                told.notices.extend(place.notices.iter().cloned());
            }
        }
    }

    /// Up to `max` items that are here.
    pub(crate) fn take(&self, max: usize) -> Vec<T> {
        let mut place = self.place.lock();
        let count = max.min(place.items.len());
        let taken: Vec<T> = place.items.drain(..count).collect();
        place.bytes -= taken.iter().map(Item::weight).sum::<usize>();
        taken
    }

    /// The next item if it is here, else puts `waiter` in the line.
    /// Errors: the closing's when all were read.
    pub(crate) fn next(&self, waiter: &Arc<Waiter<T>>) -> Result<Option<T>> {
        let mut place = self.place.lock();
        if let Some(item) = place.items.pop_front() {
            place.bytes -= item.weight();
            return Ok(Some(item));
        }
        if let Some(error) = &place.closed {
            return Err(error.clone());
        }
        if place.waiting.len() >= 8 && place.waiting.len() == place.waiting.capacity() {
            place.waiting.retain(|waiter| Arc::strong_count(waiter) > 1);
        }
        place.waiting.push_back(waiter.clone());
        Ok(None)
    }

    /// How many items it has missed.
    pub(crate) fn missed(&self) -> u64 {
        self.place.lock().missed
    }

    /// Takes an unread item back, to be read first.
    pub(crate) fn give_back(&self, item: T) {
        let mut told = Told::default();
        let mut place = self.place.lock();
        match place.serve(&item) {
            Some(call) => told.calls.push(call),
            None => {
                place.bytes += item.weight();
                place.items.push_front(item);
                told.notices.extend(place.notices.iter().cloned());
            }
        }
        drop(place);
        told.run();
    }

    /// Adds a notice; true when it must be raised at once.
    pub(crate) fn notify(&self, notice: &Notice) -> bool {
        let mut place = self.place.lock();
        if !place.notices.iter().any(|known| known.is_same(notice)) {
            place.notices.push(notice.clone());
        }
        place.closed.is_some() || !place.items.is_empty()
    }

    /// Nothing more comes: whoever waits is told so.
    pub(crate) fn close(&self, error: &Error) {
        let mut told = Told::default();
        let mut place = self.place.lock();
        place.closed.get_or_insert_with(|| error.clone());
        let waiting = std::mem::take(&mut place.waiting);
        told.notices.append(&mut place.notices);
        drop(place);
        let calls = waiting
            .iter()
            .filter_map(|waiter| waiter.put(|| Err(error.clone())));
        told.calls.extend(calls);
        told.run();
    }
}

impl<T: Item> Place<T> {
    fn serve(&mut self, item: &T) -> Option<Call<T>> {
        while let Some(waiter) = self.waiting.pop_front() {
            if let Some(call) = waiter.put(|| Ok(item.clone())) {
                return Some(call);
            }
        }
        None
    }

    fn keep(&mut self, item: T) {
        self.bytes += item.weight();
        self.items.push_back(item);
        while self.items.len() > limits::EVENTS_MAX || self.bytes > KEPT_BYTES_MAX {
            if let Some(oldest) = self.items.pop_front() {
                self.bytes -= oldest.weight();
                self.missed += 1;
            }
        }
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
