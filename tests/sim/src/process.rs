//! Processes: they start, end without a word, stand still, and come back with nothing remembered.

use primer_proto::base::{BootId, Instant, MemberId, Now, StoreId};
use primer_proto::engine::{Canary, Command, Config};
use primer_proto::{Engine, Input};

use crate::agenda::{MS, SECOND};
use crate::plan::Class;
use crate::users::{Act, What};
use crate::world::{CLUSTER, Event, Life, Local, Phase, Seat, World};

impl World {
    /// Lays out the seats and starts every process within the first seconds.
    pub fn found(&mut self) {
        for seat in 0..self.plan.seats() {
            let is_last = seat + 1 == self.plan.members;
            let is_deaf = self.plan.has_deaf_member && is_last;
            let address = (!is_deaf).then(|| format!("10.0.0.{seat}:7000"));
            let mut seeds = Vec::new();
            if seat > 0 {
                // A chain of seeds always reaches seat 0; more of them are often there.
                seeds.push(self.fault_dice.index(seat));
                if self.fault_dice.coin() {
                    seeds.push(0);
                }
            }
            let skew_ms = self.draw_skew();
            self.seats.push(Seat {
                member: MemberId(u128::from(self.id_dice.bits()) << 64 | (seat as u128 + 1)),
                address,
                seeds: seeds
                    .iter()
                    .map(|seed| format!("10.0.0.{seed}:7000"))
                    .collect(),
                life: None,
                lives: 0,
                is_paused: false,
                clouded: None,
                inbox: Default::default(),
                skew_ms,
                generation: 0,
                has_left: false,
                is_seedless: false,
                may_be_evicted: false,
                leaving: None,
                disk: Default::default(),
                inherits: Default::default(),
                graves: Vec::new(),
            });
            let at = self.fault_dice.below(2 * SECOND);
            if self.is_spare(seat) {
                self.spare_member = self.seats[seat].member;
            } else {
                self.agenda.add(at, Event::Boot(seat));
            }
        }
    }

    fn draw_skew(&mut self) -> i64 {
        if !self.plan.has(Class::Skew) {
            return 0;
        }
        const TEN_MINUTES_MS: u64 = 600_000;
        let skew = self.fault_dice.below(2 * TEN_MINUTES_MS) as i64 - TEN_MINUTES_MS as i64;
        skew / self.plan.clock_divisor()
    }

    /// Starts a process: a new boot and a new store at an old place.
    pub fn boot(&mut self, seat: usize) {
        if self.life(seat).is_some() || self.stays_down(seat) || self.is_spare(seat) {
            return;
        }
        let boot = BootId((self.id_dice.bits() >> 1) | 1);
        let store = StoreId(self.id_dice.bits() | 1);
        let mono_base = self.id_dice.below(1 << 40);
        self.asked_back();
        let place = &mut self.seats[seat];
        place.lives += 1;
        place.generation += 1;
        place.has_left = false;
        let number = place.lives;
        let wall_ms = place.wall_ms(self.now);
        let mut config = Config::new(CLUSTER, place.member, boot, store);
        config.name = format!("m{seat}");
        config.incarnation = wall_ms;
        config.address = place.address.clone();
        // Who joins by a command has no seeds.
        let is_joiner = seat > 0 && number == 1 && self.fault_dice.percent(15);
        if !is_joiner {
            config.seeds = place.seeds.clone();
        }
        place.is_seedless = is_joiner;
        config.seed = self.id_dice.bits();
        self.plan.settle(seat, &mut config);
        if self.plan.has(Class::Mixed) && self.id_dice.coin() {
            config.minor += 1;
        } else if self.plan.has_older && self.older_dice.coin() {
            // So many minor versions ago.
            config.minor -= 1 + self.oldest_dice.below(2) as u32;
        }
        self.remember(seat, &mut config);
        config.canary = self.canary;
        if let Canary::Meta(canary) = self.canary {
            config.meta_canary = canary;
        }
        let now = Now {
            mono: Instant(mono_base),
            wall_ms,
        };
        let engine = Engine::new(config, now);
        let mut life = Life::new(engine, number, (boot, store), (self.now, mono_base));
        for name in self.opened_names() {
            match life.engine.queue(&name) {
                Ok(key) => life.keys.push(key),
                Err(error) => {
                    self.give_up("queue", format!("m{seat} has no queue: {error}"));
                    return;
                }
            }
        }
        self.seats[seat].life = Some(life);
        self.twin_boots(seat);
        self.trace
            .line(self.now, seat, "boot", [boot.0, store.0], String::new);
        self.feed(seat, Input::Wake);
        // Who was evicted is nobody's seed any more, and has none where it was the first.
        self.seats[seat].has_left = self.seats[seat].may_be_evicted || self.is_cut_loose(seat);
        if self.seats[seat].has_left {
            self.rejoin(seat);
        } else if is_joiner {
            self.join(seat);
        } else if self.fault_dice.coin() {
            self.ask(seat, Command::Joined, What::Joined);
        }
        self.people(seat);
    }

    /// True for the one that has no seeds, comes back after it may have been retired, and was a seed
    /// only of those who were told to join: nobody would look for it any more.
    fn is_cut_loose(&self, seat: usize) -> bool {
        let is_back = seat == 0 && self.seats[seat].lives > 1;
        is_back && self.plan.has(Class::Retire) && self.seats.iter().any(|other| other.is_seedless)
    }

    /// True for who is mourned. Somebody's seed comes back in any case: two members that remember
    /// nothing and whose only seed is dead cannot find each other, and need not.
    fn stays_down(&self, seat: usize) -> bool {
        let address = &self.seats[seat].address;
        let is_seed = address
            .as_ref()
            .is_some_and(|address| self.seats.iter().any(|other| other.seeds.contains(address)));
        self.plan.is_mourned && self.phase != Phase::Load && !is_seed
    }

    /// Asks a member to join by its first seed.
    pub fn join(&mut self, seat: usize) {
        if let Some(address) = self.seats[seat].seeds.first().cloned() {
            self.sometimes.hit("join by command");
            self.ask(seat, Command::Join(address), What::Join);
        }
    }

    /// Ends a process at once. What it alone held of acknowledged messages is doomed.
    pub fn crash(&mut self, seat: usize) {
        if self.life(seat).is_none() {
            return;
        }
        // While what went into groups since the last look can still be seen to have gone there.
        self.watch_copies();
        self.spend_late_copies(seat);
        for id in self.only_holder(seat) {
            self.sometimes.hit("crash took the last copy");
            self.doom(id, seat);
        }
        for id in self.unaside(seat) {
            self.doom_if_gone(id, seat);
        }
        self.note_identity(seat);
        let is_silent = self.fault_dice.coin();
        let place = &mut self.seats[seat];
        let Some(life) = place.life.take() else {
            return;
        };
        self.sometimes.look(&life.engine.stats());
        let boot = life.boot;
        place.is_paused = false;
        place.leaving = None;
        place.inbox.clear();
        place.graves.push((life.store, life.engine));
        self.trace.line(
            self.now,
            seat,
            "crash",
            [boot.0, u64::from(is_silent)],
            String::new,
        );
        self.sometimes.hit("process crashed");
        self.bury(seat);
        self.orphan(seat, is_silent);
    }

    /// Ends a process whose host goes with it: no peer is told anything.
    pub fn silence(&mut self, seat: usize) {
        self.seats[seat].life = None;
        for other in 0..self.seats.len() {
            self.cuts[seat][other] += 1;
            self.cuts[other][seat] += 1;
        }
    }

    /// Stops a process for a while; its peers and its users notice nothing but silence.
    pub fn pause(&mut self, seat: usize) {
        if self.life(seat).is_none() || self.seats[seat].is_paused {
            return;
        }
        let ms = if self.fault_dice.coin() {
            self.fault_dice.range(10, 900)
        } else {
            self.fault_dice.range(1_000, 20_000)
        };
        self.seats[seat].is_paused = true;
        self.trace
            .line(self.now, seat, "pause", [ms, 0], String::new);
        self.sometimes.hit("process paused");
        self.agenda.add(self.now + ms * MS, Event::Resume(seat));
    }

    /// Lets a process go on: everything that came meanwhile is there at once.
    pub fn resume(&mut self, seat: usize) {
        let place = &mut self.seats[seat];
        if !std::mem::take(&mut place.is_paused) {
            return;
        }
        let inbox = std::mem::take(&mut place.inbox);
        let number = place.life.as_ref().map(|life| life.number);
        self.trace.line(
            self.now,
            seat,
            "resume",
            [inbox.len() as u64, 0],
            String::new,
        );
        for what in inbox {
            if self.is_broken() || self.life(seat).map(|life| life.number) != number {
                return;
            }
            self.inside(seat, what);
        }
    }

    /// Nothing fails any more; who is down comes back, unless the plan mourns it.
    pub fn heal(&mut self) {
        self.phase = Phase::Heal;
        self.end_lone_twin();
        for seat in 0..self.seats.len() {
            self.resume(seat);
            if self.life(seat).is_none() && !self.stays_down(seat) {
                let at = self.now + self.fault_dice.below(2 * SECOND);
                self.agenda.add(at, Event::Boot(seat));
            }
        }
        for row in &mut self.cuts {
            row.fill(0);
        }
        self.mend(&crate::net::Partition(Vec::new()));
        for (link, side) in self.pressed_ends() {
            let end = &self.links[link].ends[side];
            let (seat, life) = (end.seat, end.life);
            let what = Local::Pressure {
                link,
                side,
                is_full: false,
            };
            self.local(self.now, seat, life, what);
        }
        for seat in 0..self.seats.len() {
            self.local_now(self.now, seat, Local::User(Act::Retire));
        }
    }

    /// Every end: who was never pressed does not mind being told that it is free.
    fn pressed_ends(&self) -> Vec<(usize, usize)> {
        if !self.plan.has(Class::Pressure) {
            return Vec::new();
        }
        let links = self.open_links();
        links
            .iter()
            .flat_map(|link| [(*link, 0), (*link, 1)])
            .collect()
    }
}

/// The name of a queue.
pub(crate) fn queue_name(queue: usize) -> String {
    format!("queue-{queue}")
}
