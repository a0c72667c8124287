//! Whether a link's other end hears us (protocol.md 1.3).
//!
//! Not "a frame came" but "a frame came that echoes what we sent lately": a link that works one way
//! only is down for both.

use super::message::Heartbeat;
use crate::base::{Instant, Millis, limits};

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
    /// Smoothed time between a heartbeat and its echo.
    round_trip: Millis,
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
            round_trip: 0,
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
            cards: 0,
        }
    }

    /// Takes a heartbeat of the peer in.
    pub fn hear(&mut self, now: Instant, heartbeat: &Heartbeat) {
        self.heard = self.heard.max(heartbeat.number);
        let age = self.number.saturating_sub(heartbeat.heard);
        if heartbeat.heard > 0 && heartbeat.heard <= self.number && age < REMEMBERED as u64 {
            let slot = heartbeat.heard as usize % REMEMBERED;
            if let Some(at) = self.sent.get(slot) {
                self.alive = self.alive.max(*at);
                if heartbeat.is_answer {
                    self.round_trip = (self.round_trip * 7 + now.since(*at)) / 8;
                }
            }
        }
    }

    /// The send time of the latest heartbeat of ours that was echoed.
    #[must_use]
    pub fn alive(&self) -> Instant {
        self.alive
    }

    /// Smoothed milliseconds between a heartbeat and its echo.
    #[must_use]
    pub fn round_trip(&self) -> Millis {
        self.round_trip
    }

    /// This process stood still for so long: silence meanwhile says nothing.
    pub fn forgive(&mut self, time: Millis) {
        self.alive = self.alive + time;
        self.sent.iter_mut().for_each(|at| *at = *at + time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_speaks_but_does_not_hear_us_is_silent() {
        let mut pulse = Pulse::new(Instant(0));
        for second in 0..5 {
            let now = Instant(second * 1_000);
            pulse.beat(now, false);
            let deaf = Heartbeat {
                number: second + 1,
                ..Heartbeat::default()
            };
            pulse.hear(now, &deaf);
        }
        assert_eq!(pulse.alive(), Instant(0));
    }

    #[test]
    fn an_echo_of_a_late_beat_keeps_the_link_alive_since_it_was_sent() {
        let mut pulse = Pulse::new(Instant(0));
        let beat = pulse.beat(Instant(2_500), false);
        let echo = Heartbeat {
            number: 1,
            heard: beat.number,
            is_answer: true,
            ..Heartbeat::default()
        };
        pulse.hear(Instant(2_900), &echo);
        assert_eq!(pulse.alive(), Instant(2_500));
        assert_eq!(pulse.round_trip(), 50);
        // A lie about what was never sent changes nothing.
        let lie = Heartbeat { heard: 9, ..echo };
        pulse.hear(Instant(2_950), &lie);
        assert_eq!(pulse.alive(), Instant(2_500));
    }
}
