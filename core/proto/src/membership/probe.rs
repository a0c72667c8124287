//! Whether a link's other end hears us: a local opinion (protocol.md 1.3).
//!
//! Not "a frame came" but "a frame came that echoes what we sent lately": a link that works one way
//! only is down for both.

use super::message::Heartbeat;
use crate::base::{Instant, limits};

/// Sent heartbeats whose time is remembered: those of the last `UNREACHABLE_MS` and some answers.
const REMEMBERED: usize = 16;

/// One link's heartbeats.
#[derive(Debug)]
pub struct Pulse {
    /// When the last `REMEMBERED` numbers were sent; number n at n % REMEMBERED.
    sent: [Instant; REMEMBERED],
    number: u64,
    heard: u64,
    next: Instant,
    /// The send time of the latest heartbeat of ours that was echoed.
    alive: Instant,
}

impl Pulse {
    /// A link that came up at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            sent: [now; REMEMBERED],
            number: 0,
            heard: 0,
            next: now,
            alive: now,
        }
    }

    /// When the next heartbeat is due.
    #[must_use]
    pub fn next(&self) -> Instant {
        self.next
    }

    /// The next heartbeat, of which the engine fills in digest and stock.
    pub fn beat(&mut self, now: Instant, is_answer: bool) -> Heartbeat {
        self.number += 1;
        if let Some(at) = self.sent.get_mut(self.number as usize % REMEMBERED) {
            *at = now;
        }
        if !is_answer {
            self.next = now + limits::HEARTBEAT_MS;
        }
        Heartbeat {
            number: self.number,
            heard: self.heard,
            is_answer,
            digest: 0,
            stock: 0,
        }
    }

    /// Takes a heartbeat of the peer in.
    pub fn hear(&mut self, heartbeat: &Heartbeat) {
        self.heard = self.heard.max(heartbeat.number);
        let age = self.number.saturating_sub(heartbeat.heard);
        if heartbeat.heard > 0 && heartbeat.heard <= self.number && age < REMEMBERED as u64 {
            let slot = heartbeat.heard as usize % REMEMBERED;
            if let Some(at) = self.sent.get(slot) {
                self.alive = self.alive.max(*at);
            }
        }
    }

    /// When this link will have been silent for too long.
    #[must_use]
    pub fn silent_at(&self) -> Instant {
        self.alive + limits::UNREACHABLE_MS
    }

    /// True when the peer echoed something we sent in the last `UNREACHABLE_MS`.
    #[must_use]
    pub fn is_alive(&self, now: Instant) -> bool {
        now < self.silent_at()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_speaks_but_does_not_hear_us_is_silent() {
        let mut pulse = Pulse::new(Instant(0));
        for second in 0..5 {
            pulse.beat(Instant(second * 1_000), false);
            pulse.hear(&Heartbeat {
                number: second + 1,
                ..Heartbeat::default()
            });
        }
        assert!(pulse.is_alive(Instant(2_999)));
        assert!(!pulse.is_alive(Instant(3_000)));
    }

    #[test]
    fn an_echo_of_a_late_beat_keeps_the_link_alive() {
        let mut pulse = Pulse::new(Instant(0));
        let beat = pulse.beat(Instant(2_500), false);
        pulse.hear(&Heartbeat {
            number: 1,
            heard: beat.number,
            ..Heartbeat::default()
        });
        assert!(pulse.is_alive(Instant(5_499)));
        assert!(!pulse.is_alive(Instant(5_500)));
    }

    #[test]
    fn an_echo_of_something_never_sent_counts_for_nothing() {
        let mut pulse = Pulse::new(Instant(0));
        pulse.hear(&Heartbeat {
            number: 1,
            heard: 99,
            ..Heartbeat::default()
        });
        assert!(!pulse.is_alive(Instant(3_000)));
    }
}
