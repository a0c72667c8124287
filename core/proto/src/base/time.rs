//! Time as values: the engine never asks for it, it is told.
//!
//! [`Instant`] is monotonic and drives every deadline. [`Stamp`] is a hybrid logical clock (Kulkarni
//! et al., 2014) over wall time and serves order only.

use core::ops::{Add, Sub};

/// A span in milliseconds.
pub type Millis = u64;

/// A point of one member's monotonic time, in milliseconds since some start of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(pub u64);

impl Instant {
    /// Further than any deadline.
    pub const NEVER: Instant = Instant(u64::MAX);

    /// Milliseconds since `earlier`, zero when that lies ahead.
    #[must_use]
    pub fn since(self, earlier: Instant) -> Millis {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Millis> for Instant {
    type Output = Instant;
    fn add(self, span: Millis) -> Instant {
        Instant(self.0.saturating_add(span))
    }
}

impl Sub<Millis> for Instant {
    type Output = Instant;
    fn sub(self, span: Millis) -> Instant {
        Instant(self.0.saturating_sub(span))
    }
}

/// What the driver knows of time when it calls the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Monotonic; never goes back.
    pub mono: Instant,
    /// Milliseconds since 1970 by this machine's clock; may jump.
    pub wall_ms: u64,
}

/// A hybrid wall-clock stamp: 48 bits of milliseconds, 16 bits of counter. For order only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Stamp(pub u64);

/// Makes stamps that never repeat and never go back on one member.
#[derive(Debug, Default)]
pub struct Clock {
    last: u64,
}

/// How far a remote stamp may move the local clock ahead of local wall time (protocol.md 3.2).
pub const DRIFT_MAX_MS: u64 = 5_000;

impl Clock {
    /// The next stamp: at least wall time, always above the last one.
    pub fn next(&mut self, now: Now) -> Stamp {
        self.take(now, 1)
    }

    /// The last stamp given or learned.
    #[must_use]
    pub fn last(&self) -> Stamp {
        Stamp(self.last)
    }

    /// Goes on after a stamp of its own past, however far ahead that lies.
    pub fn resume(&mut self, last: Stamp) {
        self.last = self.last.max(last.0);
    }

    /// Reserves `count` consecutive stamps and answers the first.
    pub fn take(&mut self, now: Now, count: u64) -> Stamp {
        let first = (now.wall_ms << 16).max(self.last.saturating_add(1));
        self.last = first.saturating_add(count.saturating_sub(1));
        Stamp(first)
    }

    /// Learns of a remote stamp, so that later local ones sort after it.
    ///
    /// A stamp further ahead than [`DRIFT_MAX_MS`] is believed only that far; answers false then.
    pub fn hear(&mut self, now: Now, remote: Stamp) -> bool {
        let ceiling = now.wall_ms.saturating_add(DRIFT_MAX_MS) << 16;
        self.last = self.last.max(remote.0.min(ceiling));
        remote.0 <= ceiling
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_ms: u64) -> Now {
        Now {
            mono: Instant(0),
            wall_ms,
        }
    }

    #[test]
    fn stamps_rise_even_when_the_wall_clock_goes_back() {
        let mut clock = Clock::default();
        let first = clock.next(at(1_000));
        let second = clock.next(at(10));
        assert!(second > first);
        assert!(clock.next(at(2_000)) > second);
    }

    #[test]
    fn a_far_future_stamp_moves_the_clock_only_by_the_drift_limit() {
        let mut clock = Clock::default();
        assert!(!clock.hear(at(1_000), Stamp(u64::MAX)));
        assert!(clock.next(at(1_000)).0 <= ((1_000 + DRIFT_MAX_MS) << 16) + 1);
        assert!(clock.hear(at(1_000), Stamp(1_500 << 16)));
    }
}
