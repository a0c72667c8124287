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
];

impl World {
    /// Sets the first strike of each class.
    pub fn brew(&mut self) {
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
            _ => {}
        }
    }

    fn strike_cut(&mut self) {
        let seats = self.seats.len();
        let mut order: Vec<usize> = (0..seats).collect();
        self.fault_dice.shuffle(&mut order);
        // One alone, random halves, or a single pair.
        let split = match self.fault_dice.below(3) {
            0 => 1,
            1 => 1 + self.fault_dice.index(seats.saturating_sub(1).max(1)),
            _ => 0,
        };
        let mut ways = Vec::new();
        if split == 0 {
            if let [a, b, ..] = order.as_slice() {
                ways.extend([(*a, *b), (*b, *a)]);
            }
        } else {
            let (near, far) = order.split_at(split.min(seats));
            for a in near {
                for b in far {
                    ways.extend([(*a, *b), (*b, *a)]);
                }
            }
        }
        self.sometimes.hit("network cut");
        self.cut_for_a_while(ways);
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
        if !self.plan.is_over_budget && !self.only_holder(seat).is_empty() {
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
