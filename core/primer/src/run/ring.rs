//! [`Ring`]: the last `limits::EVENTS_MAX` events, read by any number of readers, each at its own
//! pace. A reader that falls further behind misses the oldest and is told how many.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use primer_proto::base::limits;
use primer_proto::{Error, Result};

use super::waiter::{Call, Waiter};
use crate::Event;
use crate::completions::Notice;

/// A member's events.
#[derive(Default)]
pub(crate) struct Ring {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    /// Number of the event after the newest one; the first event ever is number 0.
    next: u64,
    readers: Vec<Arc<Reader>>,
    closed: Option<Error>,
}

/// One reader's place. Its lock is taken under the ring's only.
#[derive(Default)]
pub(crate) struct Reader {
    place: Mutex<Place>,
}

#[derive(Default)]
struct Place {
    /// The number of the next event for it.
    cursor: u64,
    missed: u64,
    /// Events whose pending answer was dropped unread.
    returned: VecDeque<Event>,
    waiting: VecDeque<Arc<Waiter<Event>>>,
    notices: Vec<Notice>,
}

/// Whom to tell of an event, when no lock is held.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) calls: Vec<Call<Event>>,
    pub(crate) notices: Vec<Notice>,
}

impl Told {
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

impl Ring {
    /// Appends an event. Called under the driver's lock; telling is left to `told`.
    pub(crate) fn push(&self, event: Event, told: &mut Told) {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        for reader in &state.readers {
            reader.hear(number, &event, told);
        }
        if state.events.len() >= limits::EVENTS_MAX {
            state.events.pop_front();
        }
        state.events.push_back(event);
    }

    /// A reader of what comes from now on.
    pub(crate) fn reader(&self) -> Arc<Reader> {
        let mut state = self.state.lock();
        let reader = Arc::<Reader>::default();
        reader.place.lock().cursor = state.next;
        state.readers.push(reader.clone());
        reader
    }

    /// Forgets a reader.
    pub(crate) fn remove(&self, reader: &Arc<Reader>) {
        let mut state = self.state.lock();
        state.readers.retain(|known| !Arc::ptr_eq(known, reader));
    }

    /// Up to `max` events that are here for `reader`.
    pub(crate) fn take(&self, reader: &Reader, max: usize) -> Vec<Event> {
        let state = self.state.lock();
        state.take(&mut reader.place.lock(), max)
    }

    /// The next event for `reader` if it is here, else puts `waiter` in the line.
    /// Errors: the closing's when all were read.
    pub(crate) fn next(
        &self,
        reader: &Reader,
        waiter: &Arc<Waiter<Event>>,
    ) -> Result<Option<Event>> {
        let state = self.state.lock();
        let mut place = reader.place.lock();
        if let Some(event) = state.take(&mut place, 1).pop() {
            return Ok(Some(event));
        }
        if let Some(error) = &state.closed {
            return Err(error.clone());
        }
        if place.waiting.len() >= 8 && place.waiting.len() == place.waiting.capacity() {
            place.waiting.retain(|waiter| Arc::strong_count(waiter) > 1);
        }
        place.waiting.push_back(waiter.clone());
        Ok(None)
    }

    /// How many events `reader` has missed.
    pub(crate) fn missed(&self, reader: &Reader) -> u64 {
        let state = self.state.lock();
        let place = reader.place.lock();
        place.missed + state.oldest().saturating_sub(place.cursor)
    }

    /// Takes an unread event back, to be read first.
    pub(crate) fn give_back(&self, reader: &Reader, event: Event) {
        let state = self.state.lock();
        let mut place = reader.place.lock();
        let call = place.serve(|| event.clone());
        let mut told = Told::default();
        match call {
            Some(call) => told.calls.push(call),
            None => {
                place.returned.push_front(event);
                told.notices.extend(place.notices.iter().cloned());
            }
        }
        drop(place);
        drop(state);
        told.run();
    }

    /// Adds a notice; true when it must be raised at once.
    pub(crate) fn notify(&self, reader: &Reader, notice: &Notice) -> bool {
        let state = self.state.lock();
        let mut place = reader.place.lock();
        if !place.notices.iter().any(|known| known.is_same(notice)) {
            place.notices.push(notice.clone());
        }
        state.closed.is_some() || !place.returned.is_empty() || place.cursor < state.next
    }

    /// Ends it: what is in the ring can still be read. Idempotent. Never call it under a lock.
    pub(crate) fn close(&self, error: &Error) {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return;
        }
        state.closed = Some(error.clone());
        let mut told = Told::default();
        for reader in std::mem::take(&mut state.readers) {
            let mut place = reader.place.lock();
            let waiting = std::mem::take(&mut place.waiting);
            told.calls.extend(
                waiting
                    .iter()
                    .filter_map(|waiter| waiter.put(|| Err(error.clone()))),
            );
            told.notices.append(&mut place.notices);
        }
        drop(state);
        told.run();
    }
}

impl State {
    fn oldest(&self) -> u64 {
        self.next - self.events.len() as u64
    }

    fn take(&self, place: &mut Place, max: usize) -> Vec<Event> {
        let from_returned = max.min(place.returned.len());
        let mut taken: Vec<Event> = place.returned.drain(..from_returned).collect();
        let oldest = self.oldest();
        place.missed += oldest.saturating_sub(place.cursor);
        place.cursor = place.cursor.max(oldest);
        let skip = (place.cursor - oldest) as usize;
        let from_ring = self.events.iter().skip(skip).take(max - from_returned);
        let before = taken.len();
        taken.extend(from_ring.cloned());
        place.cursor += (taken.len() - before) as u64;
        taken
    }
}

impl Reader {
    /// Gives event `number` to whoever waits; only a reader that has read all can have waiters.
    fn hear(&self, number: u64, event: &Event, told: &mut Told) {
        let mut place = self.place.lock();
        if place.cursor != number {
            return;
        }
        match place.serve(|| event.clone()) {
            Some(call) => {
                place.cursor += 1;
                told.calls.push(call);
            }
            None => told.notices.extend(place.notices.iter().cloned()),
        }
    }
}

impl Place {
    fn serve(&mut self, make: impl Fn() -> Event) -> Option<Call<Event>> {
        while let Some(waiter) = self.waiting.pop_front() {
            if let Some(call) = waiter.put(|| Ok(make())) {
                return Some(call);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventKind;
    use primer_proto::base::MemberId;

    fn event(at_ms: u64) -> Event {
        Event {
            at_ms,
            kind: EventKind::Joined,
            member: MemberId(1),
            name: String::new(),
            detail: String::new(),
        }
    }

    fn push(ring: &Ring, at_ms: u64) {
        let mut told = Told::default();
        ring.push(event(at_ms), &mut told);
        told.run();
    }

    fn times(events: Vec<Event>) -> Vec<u64> {
        events.into_iter().map(|event| event.at_ms).collect()
    }

    #[test]
    fn each_reader_reads_everything_after_its_start_at_its_own_pace() {
        let ring = Ring::default();
        push(&ring, 1);
        let early = ring.reader();
        push(&ring, 2);
        let late = ring.reader();
        push(&ring, 3);
        assert_eq!(times(ring.take(&early, 1)), [2]);
        assert_eq!(times(ring.take(&early, 9)), [3]);
        assert_eq!(times(ring.take(&late, 9)), [3]);
        assert!(ring.take(&late, 9).is_empty());
        assert_eq!(ring.missed(&late), 0);
    }

    #[test]
    fn a_slow_reader_misses_the_oldest_and_is_told_how_many() {
        let ring = Ring::default();
        let reader = ring.reader();
        let extra = 5;
        for at in 0..limits::EVENTS_MAX as u64 + extra {
            push(&ring, at);
        }
        assert_eq!(ring.missed(&reader), extra);
        assert_eq!(times(ring.take(&reader, 2)), [extra, extra + 1]);
        assert_eq!(ring.missed(&reader), extra, "counted once");
    }

    #[test]
    fn waiters_are_served_in_their_order_and_those_that_gave_up_are_passed_over() {
        let ring = Ring::default();
        let reader = ring.reader();
        let waiters = [(); 3].map(|()| Waiter::<Event>::plain(None));
        for waiter in &waiters {
            assert!(ring.next(&reader, waiter).unwrap().is_none());
        }
        let [first, gone, last] = waiters;
        let _ = gone.end();
        push(&ring, 1);
        push(&ring, 2);
        assert_eq!(first.take().unwrap().unwrap().at_ms, 1);
        assert_eq!(last.take().unwrap().unwrap().at_ms, 2);
        assert!(ring.take(&reader, 9).is_empty());
    }

    #[test]
    fn an_event_that_was_not_read_is_read_first_later() {
        let ring = Ring::default();
        let reader = ring.reader();
        push(&ring, 1);
        push(&ring, 2);
        let taken = ring.take(&reader, 1).remove(0);
        ring.give_back(&reader, taken);
        assert_eq!(times(ring.take(&reader, 9)), [1, 2]);
    }

    #[test]
    fn a_closed_ring_is_read_to_its_end_and_then_answers_the_error() {
        let ring = Ring::default();
        let reader = ring.reader();
        let waiter = Waiter::<Event>::plain(None);
        assert!(ring.next(&reader, &waiter).unwrap().is_none());
        push(&ring, 1);
        push(&ring, 2);
        let late = Waiter::<Event>::plain(None);
        ring.close(&Error::new(crate::ErrorKind::Closed));
        assert_eq!(waiter.take().unwrap().unwrap().at_ms, 1);
        assert_eq!(ring.next(&reader, &late).unwrap().unwrap().at_ms, 2);
        assert_eq!(ring.next(&reader, &late).unwrap_err().number(), 501);
    }
}
