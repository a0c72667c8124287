//! What is to happen, in the order of time; what is due at one moment, in the order it was asked for.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Virtual time in microseconds since the start of the run.
pub(crate) type Micros = u64;

/// One millisecond.
pub(crate) const MS: Micros = 1_000;
/// One second.
pub(crate) const SECOND: Micros = 1_000 * MS;

struct Entry<E> {
    at: Micros,
    order: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives its greatest first.
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// A heap of events.
pub(crate) struct Agenda<E> {
    heap: BinaryHeap<Entry<E>>,
    next: u64,
}

impl<E> Agenda<E> {
    pub fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            next: 0,
        }
    }

    pub fn add(&mut self, at: Micros, event: E) {
        self.next += 1;
        self.heap.push(Entry {
            at,
            order: self.next,
            event,
        });
    }

    /// The next event that is due before `limit`.
    pub fn pop(&mut self, limit: Micros) -> Option<(Micros, E)> {
        if self.heap.peek()?.at >= limit {
            return None;
        }
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_by_order() {
        let mut agenda = Agenda::new();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b'), (9, 'e')] {
            agenda.add(at, event);
        }
        let mut seen = Vec::new();
        while let Some((_, event)) = agenda.pop(9) {
            seen.push(event);
        }
        assert_eq!(seen, ['a', 'b', 'c', 'd']);
    }
}
