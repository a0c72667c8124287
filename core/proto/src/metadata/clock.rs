//! The stamps of metadata writes: a hybrid logical clock (Kulkarni et al., 2014) with a guard.
//!
//! A remote stamp moves this member's clock forward, but no further ahead of its wall clock than the
//! guard allows: one member with a clock in the next year must not drag everyone there. The guard
//! limits the clock alone. A stored stamp is never altered, or its value would differ under equal
//! hashes (protocol.md 3.2); instead a write is stamped above every value it replaces.

use crate::base::{Clock, Now, Stamp};

/// Stamps writes and learns from those of others.
#[derive(Debug, Default)]
pub struct Hlc {
    clock: Clock,
    drifted: u64,
}

impl Hlc {
    /// The stamp of a write: above this member's last one, wall time, and the newest value that it
    /// replaces, even if that came from beyond the guard.
    pub fn stamp(&mut self, now: Now, replaced: Option<Stamp>) -> Stamp {
        let own = self.clock.next(now);
        let above = replaced.map_or(0, |stamp| stamp.0.saturating_add(1));
        if above <= own.0 {
            return own;
        }
        // Within the guard the clock follows, so that the next stamps rise, too.
        self.clock.hear(now, Stamp(above));
        Stamp(above)
    }

    /// Learns of a remote stamp; one beyond the guard is counted and believed only that far.
    pub fn hear(&mut self, now: Now, remote: Stamp) {
        if !self.clock.hear(now, remote) {
            self.drifted = self.drifted.saturating_add(1);
        }
    }

    /// The last stamp: nothing written by now is above it, but for what lay beyond the guard.
    #[must_use]
    pub fn last(&self) -> Stamp {
        self.clock.last()
    }

    /// Goes on where this member's clock stood before its restart. No guard: those stamps were
    /// its own.
    pub fn resume(&mut self, last: Stamp) {
        self.clock.resume(last);
    }

    /// How many remote stamps lay beyond the guard.
    #[must_use]
    pub fn drifted(&self) -> u64 {
        self.drifted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Instant;
    use crate::base::time::DRIFT_MAX_MS;

    fn at(wall_ms: u64) -> Now {
        Now {
            mono: Instant(0),
            wall_ms,
        }
    }

    #[test]
    fn a_write_is_stamped_above_what_it_replaces_and_above_what_was_heard() {
        let mut hlc = Hlc::default();
        hlc.hear(at(1_000), Stamp(3_000 << 16));
        assert_eq!(hlc.drifted(), 0);
        let first = hlc.stamp(at(1_000), None);
        assert!(first > Stamp(3_000 << 16));
        let second = hlc.stamp(at(1_000), Some(Stamp(4_000 << 16)));
        assert_eq!(second, Stamp((4_000 << 16) + 1));
        assert!(hlc.stamp(at(1_000), None) > second);
    }

    #[test]
    fn a_stamp_of_next_year_is_counted_and_does_not_move_the_clock_there() {
        let mut hlc = Hlc::default();
        let far = Stamp(900_000 << 16);
        hlc.hear(at(1_000), far);
        assert_eq!(hlc.drifted(), 1);
        let replacing = hlc.stamp(at(1_000), Some(far));
        assert!(replacing > far, "it replaces that value all the same");
        let other = hlc.stamp(at(1_000), None);
        assert!(other.0 <= ((1_000 + DRIFT_MAX_MS) << 16) + 2, "{other:?}");
    }

    #[test]
    fn a_wall_clock_that_jumps_back_does_not_lower_the_stamps() {
        let mut hlc = Hlc::default();
        let first = hlc.stamp(at(900_000), None);
        assert!(hlc.stamp(at(10), None) > first);
    }
}
