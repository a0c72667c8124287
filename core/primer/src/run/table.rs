//! Who waits for which ticket.
//!
//! A ticket carries the index of the place that its waiter will take if the engine does not answer
//! at once, so finding a waiter is one look into a vector. The rest of the ticket is a counter,
//! hence a ticket is never used twice and a late reply to a place's earlier ticket finds nobody.

use std::sync::Arc;

use primer_proto::base::{Ticket, limits};

use super::waiter::Slot;

const INDEX_BITS: u32 = 21;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;

/// Waiters by ticket; at most `limits::WAITERS_MAX`.
#[derive(Default)]
pub(crate) struct Table {
    places: Vec<Place>,
    free: Vec<u64>,
    counter: u64,
    prompt: usize,
}

struct Place {
    ticket: Ticket,
    slot: Option<Arc<dyn Slot>>,
    is_prompt: bool,
}

impl Table {
    /// The next ticket. Only it may be registered before another one is made.
    pub(crate) fn next(&mut self) -> Ticket {
        self.counter += 1;
        let index = self
            .free
            .last()
            .copied()
            .unwrap_or(self.places.len() as u64);
        Ticket((self.counter << INDEX_BITS) | index)
    }

    /// True when no further waiter can be registered.
    pub(crate) fn is_full(&self) -> bool {
        self.free.is_empty() && self.places.len() >= limits::WAITERS_MAX
    }

    /// Remembers who waits for `ticket`, which must be the last one made. `is_prompt`: its answer
    /// depends on peers only, not on messages that may never come.
    pub(crate) fn register(&mut self, ticket: Ticket, slot: Arc<dyn Slot>, is_prompt: bool) {
        let place = Place {
            ticket,
            slot: Some(slot),
            is_prompt,
        };
        match self.places.get_mut(index(ticket)) {
            Some(old) => {
                *old = place;
                self.free.pop();
            }
            None => self.places.push(place),
        }
        self.prompt += usize::from(is_prompt);
    }

    /// Takes the waiter of `ticket` out; none when nobody waits for it (any more).
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Arc<dyn Slot>> {
        let place = self.places.get_mut(index(ticket))?;
        if place.ticket != ticket {
            return None;
        }
        let slot = place.slot.take()?;
        self.free.push(index(ticket) as u64);
        self.prompt -= usize::from(place.is_prompt);
        Some(slot)
    }

    /// Takes every waiter out.
    pub(crate) fn take_all(&mut self) -> Vec<Arc<dyn Slot>> {
        let all = std::mem::take(&mut self.places);
        self.free.clear();
        self.prompt = 0;
        all.into_iter().filter_map(|place| place.slot).collect()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// How many wait for peers only.
    pub(crate) fn prompt(&self) -> usize {
        self.prompt
    }
}

fn index(ticket: Ticket) -> usize {
    (ticket.0 & INDEX_MASK) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::waiter::Waiter;

    fn slot() -> Arc<dyn Slot> {
        Waiter::<()>::plain(None)
    }

    #[test]
    fn a_place_is_used_again_but_never_a_ticket() {
        let mut table = Table::default();
        let unused = table.next();
        let first = table.next();
        assert_ne!(unused, first);
        table.register(first, slot(), true);
        let second = table.next();
        table.register(second, slot(), false);
        assert_eq!((table.len(), table.prompt()), (2, 1));

        assert!(table.take(first).is_some());
        assert!(table.take(first).is_none());
        let third = table.next();
        table.register(third, slot(), true);
        assert!(table.take(first).is_none(), "its place is another's now");
        assert_eq!((table.len(), table.prompt()), (2, 1));
        assert_eq!(table.take_all().len(), 2);
        assert_eq!((table.len(), table.prompt()), (0, 0));
        assert!(table.take(third).is_none());
    }
}
