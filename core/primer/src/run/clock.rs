//! The only place that reads clocks.
//!
//! Monotonic time is asked at every call; wall time is read once and then carried forward by the
//! monotonic clock, because it serves order and display only. [`Clock::tune`] reads it again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use primer_proto::base::{Instant, Now};

/// One member's clock.
pub(crate) struct Clock {
    start: std::time::Instant,
    wall_at_start_ms: AtomicU64,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self {
            start: std::time::Instant::now(),
            wall_at_start_ms: AtomicU64::new(wall_ms()),
        }
    }

    /// The time. Two threads may read it in one order and use it in another: the driver never
    /// lets it go back.
    pub(crate) fn now(&self) -> Now {
        self.at(Instant(self.mono_ms()))
    }

    /// A time that was read before.
    pub(crate) fn at(&self, mono: Instant) -> Now {
        let wall_at_start = self.wall_at_start_ms.load(Ordering::Relaxed);
        Now {
            mono,
            wall_ms: wall_at_start.saturating_add(mono.0),
        }
    }

    /// Reads the wall clock again: someone may have set it.
    pub(crate) fn tune(&self) {
        let at_start = wall_ms().saturating_sub(self.mono_ms());
        self.wall_at_start_ms.store(at_start, Ordering::Relaxed);
    }

    /// When the operating system's clock shows `at`; none when that is never.
    pub(crate) fn when(&self, at: Instant) -> Option<std::time::Instant> {
        if at == Instant::NEVER {
            return None;
        }
        self.start.checked_add(Duration::from_millis(at.0))
    }

    fn mono_ms(&self) -> u64 {
        let elapsed = self.start.elapsed();
        elapsed.as_secs() * 1_000 + u64::from(elapsed.subsec_millis())
    }
}

/// Wall-clock milliseconds since 1970; 0 on a machine that believes it is earlier.
pub(crate) fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, millis)
}

/// A date as wall-clock milliseconds since 1970; 0 for what was before.
pub(crate) fn wall_ms_of(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// `span` in whole milliseconds, rounded up, so that a wait is never shorter than asked.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_carried_by_the_monotonic_clock() {
        let clock = Clock::start();
        let (a, b) = (clock.now(), clock.now());
        assert!(b.mono >= a.mono);
        assert_eq!(b.wall_ms - a.wall_ms, b.mono.since(a.mono));
        assert_eq!(clock.when(Instant::NEVER), None);
    }

    #[test]
    fn spans_round_up_to_milliseconds() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(7)), 7);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }
}
