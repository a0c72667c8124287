//! Trouble: each class that is on strikes again and again while there is load.

use crate::agenda::{MS, SECOND};
use crate::net::Partition;
use crate::plan::Class;
use crate::world::{Event, Local, Phase, World};

/// Classes that strike at moments; the others lie in wait where their subject is.
const STRIKING: &[Class] = &[
    Class::Cut,
    Class::OneWay,
    Class::Reset,
    Class::Crash,
    Class::Pause,
    Class::Skew,
    Class::Pressure,
    Class::Leave,
    Class::Evict,
];

/// How a partition parts the members.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Alone,
    Halves,
    Pair,
    Bridge,
    Ring,
}

impl Shape {
    const ALL: &'static [Shape] = &[
        Shape::Alone,
        Shape::Halves,
        Shape::Pair,
        Shape::Bridge,
        Shape::Ring,
    ];

    const fn name(self) -> &'static str {
        match self {
            Shape::Alone => "cut off alone",
            Shape::Halves => "cut in halves",
            Shape::Pair => "cut of a pair",
            Shape::Bridge => "cut with a bridge",
            Shape::Ring => "cut to a ring",
        }
    }
}

impl World {
    /// Sets the first strike of each class.
    pub fn brew(&mut self) {
        self.brew_twins();
        if self.plan.is_split {
            self.agenda.add(8 * SECOND, Event::Split);
        }
        for class in STRIKING {
            if self.plan.has(*class) {
                let at = 3 * SECOND + self.fault_dice.exponential(self.plan.trouble);
                self.agenda.add(at, Event::Trouble(*class));
            }
        }
    }

    /// One strike, and the next one set.
    pub fn trouble(&mut self, class: Class) {
        if self.phase != Phase::Load {
            return;
        }
        if class == Class::Twins {
            return self.strike_twins();
        }
        let next = self.now + 200 * MS + self.fault_dice.exponential(self.plan.trouble);
        self.agenda.add(next, Event::Trouble(class));
        let seat = self.fault_dice.index(self.seats.len());
        match class {
            Class::Cut => self.strike_cut(),
            Class::OneWay => self.strike_one_way(),
            Class::Reset => self.strike_reset(),
            Class::Crash => self.strike_crash(seat),
            Class::Pause => self.pause(seat),
            Class::Skew => self.strike_skew(seat),
            Class::Pressure => self.strike_pressure(),
            Class::Leave => self.strike_leave(seat),
            Class::Evict => self.strike_evict(seat),
            _ => {}
        }
    }

    fn strike_cut(&mut self) {
        let seats = self.seats.len();
        let shape = self.fault_dice.pick(Shape::ALL).unwrap_or(Shape::Halves);
        let mut order: Vec<usize> = (0..seats).collect();
        self.fault_dice.shuffle(&mut order);
        let split = 1 + self.fault_dice.index(seats.saturating_sub(1).max(1));
        let is_cut = |a: usize, b: usize| match shape {
            Shape::Alone => a == 0 || b == 0,
            Shape::Halves => (a < split) != (b < split),
            Shape::Pair => a + b == 1,
            // The first one sees both halves.
            Shape::Bridge => a != 0 && b != 0 && (a < split) != (b < split),
            // Each sees its two neighbours only.
            Shape::Ring => a.abs_diff(b) != 1 && a.abs_diff(b) + 1 != seats,
        };
        let mut ways = Vec::new();
        for (a, near) in order.iter().enumerate() {
            for (b, far) in order.iter().enumerate() {
                if a != b && is_cut(a, b) {
                    ways.push((*near, *far));
                }
            }
        }
        self.sometimes.hit(shape.name());
        self.sometimes.hit("network cut");
        self.cut_for_a_while(ways);
    }

    /// The halves part until the end of the load.
    pub fn split(&mut self) {
        let half = self.seats.len() / 2;
        let pairs = (0..self.seats.len()).flat_map(|a| (0..self.seats.len()).map(move |b| (a, b)));
        let ways = pairs.filter(|(a, b)| (*a < half) != (*b < half));
        self.part(&Partition(ways.collect()));
        self.sometimes.hit("split for long");
    }

    fn strike_one_way(&mut self) {
        let from = self.fault_dice.index(self.seats.len());
        let to = self.fault_dice.index(self.seats.len());
        if from != to {
            self.sometimes.hit("one way cut");
            self.cut_for_a_while(vec![(from, to)]);
        }
    }

    fn cut_for_a_while(&mut self, ways: Vec<(usize, usize)>) {
        // Short ones pass unnoticed, long ones outlast every takeover.
        let lasts = if self.fault_dice.coin() {
            self.fault_dice.range(100, 4_000)
        } else {
            self.fault_dice.range(4_000, 30_000)
        };
        let partition = Partition(ways);
        self.trace.line(self.now, 0, "cut", [lasts, 0], || {
            format!("{:?}", partition.0)
        });
        self.part(&partition);
        self.agenda
            .add(self.now + lasts * MS, Event::Mend(partition));
    }

    fn strike_reset(&mut self) {
        let links = self.open_links();
        if let Some(link) = self.fault_dice.pick(&links) {
            let within = self.fault_dice.range(1, 3_000) * MS;
            self.sometimes.hit("link reset");
            self.break_link(link, within);
        }
    }

    fn strike_crash(&mut self, seat: usize) {
        let up = self.living().count();
        if self.life(seat).is_none() || up < 2 {
            return;
        }
        self.watch_letters(seat);
        // What is given out at most once has one copy, and may be lost with it.
        let only = self.only_holder(seat);
        let takes_the_last = only.iter().any(|id| !self.is_once(*id));
        if !self.plan.is_over_budget && takes_the_last {
            self.sometimes.hit("crash spared by the budget");
            return;
        }
        self.crash(seat);
        let back = self.now + self.fault_dice.range(100, 20_000) * MS;
        self.agenda.add(back, Event::Boot(seat));
    }

    fn strike_skew(&mut self, seat: usize) {
        const HOUR_MS: u64 = 3_600_000;
        let jump = self.fault_dice.below(2 * HOUR_MS) as i64 - HOUR_MS as i64;
        let jump = jump / self.plan.clock_divisor();
        self.terms.note_clock(seat, &self.seats[seat], self.now);
        self.seats[seat].skew_ms = jump;
        self.trace
            .line(self.now, seat, "skew", [jump as u64, 0], String::new);
        self.sometimes.hit("clock jumped");
    }

    fn strike_pressure(&mut self) {
        let links = self.open_links();
        let Some(link) = self.fault_dice.pick(&links) else {
            return;
        };
        let side = self.fault_dice.index(2);
        let end = &self.links[link].ends[side];
        let (seat, life) = (end.seat, end.life);
        let until = self.now + self.fault_dice.range(100, 8_000) * MS;
        for (at, is_full) in [(self.now, true), (until, false)] {
            let what = Local::Pressure {
                link,
                side,
                is_full,
            };
            self.local(at, seat, life, what);
        }
        self.sometimes.hit("lane full");
    }
}
