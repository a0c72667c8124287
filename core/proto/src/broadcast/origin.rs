//! What a member keeps of one origin: its window, its edges, payloads for those who ask, and ids that
//! were announced but have not come.

use alloc::collections::BTreeMap;
use bytes::Bytes;
use smallvec::SmallVec;

use super::tree::Sides;
use super::window::Window;
use crate::base::{Instant, MemberId};

/// Payloads kept of one origin (protocol.md 2).
pub(super) const PAYLOADS_MAX: usize = 1_024;
/// Bytes of payloads kept of one origin (protocol.md 2).
pub(super) const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Bytes of payloads kept of all origins together; shared evenly once it matters.
pub(super) const PAYLOAD_BYTES_ALL: usize = 64 << 20;
/// Announced ids waited for, of one origin: more could not be fetched, the announcers keep no more.
pub(super) const MISSING_MAX: usize = PAYLOADS_MAX;
/// Announced ids waited for, of all origins together.
pub(super) const MISSING_ALL: usize = 16 << 10;
/// Announcers remembered of one id. Guess: a member has about a dozen neighbours.
pub(super) const ANNOUNCERS_MAX: usize = 8;

/// A payload that may be asked for.
#[derive(Debug)]
pub(super) struct Payload {
    /// Hops it took to here.
    pub(super) hops: u16,
    /// Who pushed it; none for this member's own.
    pub(super) parent: Option<MemberId>,
    pub(super) handler: u16,
    pub(super) body: Bytes,
    pub(super) at: Instant,
}

/// The last payloads of one origin.
#[derive(Debug, Default)]
pub(super) struct Cache {
    payloads: BTreeMap<u64, Payload>,
    bytes: usize,
}

impl Cache {
    /// Keeps a payload, and drops the lowest sequences beyond the bounds; the last one always stays.
    pub(super) fn put(&mut self, sequence: u64, payload: Payload, bytes_max: usize) {
        self.bytes += payload.body.len();
        if let Some(old) = self.payloads.insert(sequence, payload) {
            self.bytes -= old.body.len();
        }
        while self.payloads.len() > PAYLOADS_MAX
            || (self.bytes > bytes_max && self.payloads.len() > 1)
        {
            let Some((_, dropped)) = self.payloads.pop_first() else {
                break;
            };
            self.bytes -= dropped.body.len();
        }
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&Payload> {
        self.payloads.get(&sequence)
    }

    pub(super) fn get_mut(&mut self, sequence: u64) -> Option<&mut Payload> {
        self.payloads.get_mut(&sequence)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }

    /// Drops what came before `at`.
    pub(super) fn age(&mut self, at: Instant) {
        self.payloads.retain(|_, payload| payload.at >= at);
        let bodies = self.payloads.values().map(|payload| payload.body.len());
        self.bytes = bodies.sum();
    }

    pub(super) fn clear(&mut self) {
        self.payloads.clear();
        self.bytes = 0;
    }
}

/// An id that was announced and has not come.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// Who has it, with the hops to there, in the order they said so.
    pub(super) announcers: SmallVec<[(MemberId, u16); 2]>,
    /// How many of them were asked.
    pub(super) asked: usize,
}

/// What is kept of one origin.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) incarnation: u64,
    pub(super) window: Window,
    pub(super) sides: Sides,
    pub(super) cache: Cache,
    pub(super) missing: BTreeMap<u64, Missing>,
    /// When it was last heard of.
    pub(super) heard: Instant,
}

impl Origin {
    pub(super) fn new(now: Instant, incarnation: u64) -> Self {
        Self {
            incarnation,
            window: Window::new(),
            sides: Sides::default(),
            cache: Cache::default(),
            missing: BTreeMap::new(),
            heard: now,
        }
    }

    /// A later incarnation: its sequences start anew, its tree stays.
    pub(super) fn restart(&mut self, incarnation: u64) {
        self.incarnation = incarnation;
        self.window = Window::new();
        self.cache.clear();
        self.missing.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(bytes: usize, at: u64) -> Payload {
        Payload {
            hops: 0,
            parent: None,
            handler: 0,
            body: Bytes::from(alloc::vec![0; bytes]),
            at: Instant(at),
        }
    }

    #[test]
    fn a_cache_keeps_the_last_payloads_within_both_bounds() {
        let mut cache = Cache::default();
        for sequence in 1..=2_000 {
            cache.put(sequence, payload(10, sequence), PAYLOAD_BYTES_MAX);
        }
        assert!(cache.get(976).is_none() && cache.get(977).is_some());
        assert_eq!(cache.bytes(), 10 * PAYLOADS_MAX);
        cache.put(2_001, payload(PAYLOAD_BYTES_MAX, 2_001), PAYLOAD_BYTES_MAX);
        assert!(cache.get(2_000).is_none() && cache.get(2_001).is_some());
        cache.put(2_001, payload(1, 2_001), PAYLOAD_BYTES_MAX);
        assert_eq!(cache.bytes(), 1);
        cache.age(Instant(2_002));
        assert!(cache.is_empty() && cache.bytes() == 0);
    }
}
