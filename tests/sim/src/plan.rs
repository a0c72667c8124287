//! What one seed is about: how many members, what they are asked, and which faults may happen.
//!
//! Swarm style (Groce et al., 2012): each class of faults is on with one half, so that most pairs of
//! classes meet somewhere without all of them drowning every run; a quarter of the runs has no fault
//! at all, because the promises of a quiet cluster are stricter.

use std::fmt;

use primer_proto::base::{Millis, limits};
use primer_proto::engine::{Config, OnShort, Placing};

use crate::agenda::{MS, Micros, SECOND};
pub(crate) use crate::classes::{Class, Classes};
use crate::dice::Dice;

/// What producers want where copies are too few; each as likely.
const ON_SHORT: [OnShort; 4] = [
    OnShort::Degrade,
    OnShort::Degrade,
    OnShort::Fail,
    OnShort::Wait,
];

/// A process that is slow at times: what is sent to it waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stall {
    pub seat: usize,
    /// One begins so often, the first one then.
    pub every: Micros,
    pub first: Micros,
    /// It lasts so long.
    pub lasts: Micros,
    /// What arrives meanwhile is so much later.
    pub by: Micros,
}

/// Everything that a seed decides before its run begins.
#[derive(Clone)]
pub(crate) struct Plan {
    pub members: usize,
    pub queues: usize,
    pub classes: Classes,
    /// About membership and metadata: keys and topics throughout.
    pub is_cluster: bool,
    /// Messages go through queues: always, but in half of the runs about the cluster.
    pub has_queues: bool,
    /// Some members speak an earlier minor version, where versions are mixed.
    pub has_older: bool,
    /// Users look at messages without taking them.
    pub has_browsers: bool,
    /// Messages have terms: dates, priorities, at most one delivery.
    pub has_terms: bool,
    /// Messages have keys.
    pub has_keys: bool,
    /// Who is slow, and when.
    pub stalls: Vec<Stall>,
    /// Some batches are larger than a frame.
    pub has_large: bool,
    /// What fails too often, or is rejected, goes on as a dead letter.
    pub has_letters: bool,
    /// How often that is, where the producer does not say it.
    pub max_attempts: u32,
    /// Messages of one more queue die and come back.
    pub has_returns: bool,
    /// What members tell each other of copies gets lost while the link lives on: no network does that, but a
    /// rule that is wrong might as well never have said it.
    pub has_leaks: bool,
    /// So often members compare what they hold; mostly as often as elsewhere, and seldom in a run's time.
    pub inventory_after: Millis,
    /// Orders are put in again and again, by dedup keys, into one more queue: so long equal keys are one there, in
    /// ms; 0 where there is no such queue.
    pub dedup_window: Millis,
    /// Two more queues are purged, paused and limited while they are used.
    pub has_told: bool,
    /// Each member's memory budget, where it is so small that it is reached.
    pub budgets: Vec<u64>,
    /// Members are in so many zones; none says so where it is 0.
    pub zones: usize,
    /// Holders are chosen anew for each batch.
    pub shuffles_each: bool,
    /// One more queue, with groups.
    pub has_groups: bool,
    /// Away for this long means retired, where that class is on.
    pub retire_after: Millis,
    /// One split in halves that outlasts `retire_after` twice, with load all the while: the shape of
    /// the scenario `retire` of tests/chaos.
    pub is_split: bool,
    /// Nothing fails and nobody misbehaves: exactly one delivery each.
    pub is_pristine: bool,
    /// No network, process or clock fault.
    pub is_calm: bool,
    /// Crashes may take the last copy of an acknowledged message; the loss must stay within that.
    pub is_over_budget: bool,
    /// One member does not listen.
    pub has_deaf_member: bool,
    /// Crashed members stay down from the last crash on.
    pub is_mourned: bool,
    pub load: Micros,
    pub takeover_after: Millis,
    pub lease: (Millis, Millis),
    pub copies: Option<u16>,
    pub on_short: OnShort,
    pub producers: usize,
    pub consumers: usize,
    /// Mean pause of a producer between two calls.
    pub gap: Micros,
    /// Mean time that a consumer works on a message.
    pub work: Micros,
    /// Mean time of a frame on its way.
    pub delay: Micros,
    /// Mean time between two faults of one class.
    pub trouble: Micros,
}

impl Plan {
    /// The plan of `seed`; `members` overrides its draw.
    pub fn new(seed: u64, members: Option<usize>) -> Self {
        let mut dice = Dice::new(seed, 1);
        let drawn = *[5, 5, 5, 5, 3, 3, 4, 6, 7, 2]
            .get(dice.index(10))
            .unwrap_or(&5);
        let members = members.unwrap_or(drawn).max(1);
        let is_cluster = dice.percent(30) || members > 10;
        let is_calm = dice.percent(25);
        let is_pristine = is_calm && dice.coin();
        let mut classes = Classes::draw(&mut dice, is_cluster, is_calm, is_pristine);
        classes.draw_late(&mut Dice::new(seed, 6), is_calm, is_pristine);
        if is_cluster {
            classes.draw_twins(&mut Dice::new(seed, 8), members, is_calm);
        }
        let lease_min = dice.range(200, 2_000);
        let users = |dice: &mut Dice| dice.range(1, members as u64 * 2) as usize;
        let mut plan = Self {
            members,
            queues: dice.range(1, 3) as usize,
            classes,
            is_cluster,
            is_split: false,
            has_queues: true,
            has_groups: false,
            has_older: classes.has(Class::Mixed) && Dice::new(seed, 22).coin(),
            has_browsers: false,
            has_terms: false,
            has_keys: false,
            has_large: false,
            stalls: Vec::new(),
            has_letters: false,
            max_attempts: u32::MAX,
            has_returns: false,
            has_leaks: false,
            inventory_after: limits::INVENTORY_MS,
            dedup_window: 0,
            has_told: false,
            zones: 0,
            shuffles_each: false,
            budgets: Vec::new(),
            retire_after: dice.range(4_000, 12_000),
            is_pristine,
            is_calm,
            is_over_budget: classes.has(Class::Crash) && dice.percent(25),
            has_deaf_member: members > 2 && dice.percent(20),
            is_mourned: classes.has(Class::Crash) && dice.percent(15),
            load: dice.range(20, 60) * SECOND / if members > 10 { 3 } else { 1 },
            takeover_after: dice.range(1_000, 10_000),
            lease: if is_pristine {
                (60_000, 60_000)
            } else {
                (lease_min, lease_min + dice.range(0, 8_000))
            },
            copies: dice
                .pick(&[None, Some(1), Some(2), Some(2), Some(3)])
                .flatten(),
            on_short: dice.pick(&ON_SHORT).unwrap_or_default(),
            producers: users(&mut dice),
            consumers: users(&mut dice),
            gap: dice.range(20, 200) * MS,
            work: dice.range(1, 60) * MS,
            delay: classes.draw_delay(&mut dice),
            trouble: dice.range(2, 15) * SECOND,
        };
        // Drawn last, so that all else is what it was before this was a question.
        plan.has_queues = !is_cluster || (members <= 10 && dice.coin());
        plan.draw_split(&mut Dice::new(seed, 7));
        plan.draw_uses(seed);
        plan
    }

    /// What is done with queues, each drawn by itself.
    fn draw_uses(&mut self, seed: u64) {
        if !self.has_queues {
            (self.producers, self.consumers) = (0, 0);
            return;
        }
        self.has_groups = Dice::new(seed, 9).percent(40);
        self.has_browsers = Dice::new(seed, 13).percent(6);
        self.has_terms = Dice::new(seed, 15).percent(40);
        self.draw_letters(&mut Dice::new(seed, 17));
        self.has_returns = Dice::new(seed, 20).percent(8);
        self.draw_leaks(&mut Dice::new(seed, 28));
        let mut dice = Dice::new(seed, 30);
        if dice.percent(10) || self.has_leaks {
            self.inventory_after = dice.range(1_000, 20_000);
        }
        self.has_told = Dice::new(seed, 22).percent(20);
        let mut dice = Dice::new(seed, 32);
        self.zones = if dice.percent(15) {
            dice.range(1, 3) as usize
        } else {
            0
        };
        self.shuffles_each = Dice::new(seed, 44).percent(10);
        self.draw_budgets(&mut Dice::new(seed, 24));
        self.has_keys = Dice::new(seed, 26).percent(35);
        self.draw_stalls(&mut Dice::new(seed, 42));
        self.has_large =
            self.has_keys && self.budgets.is_empty() && Dice::new(seed, 40).percent(10);
        let mut dice = Dice::new(seed, 33);
        if dice.percent(30) {
            self.dedup_window = dice.range(2_000, 20_000);
        }
    }

    /// Links that end would have everything said again, so in these runs none does. Nor does anybody leave:
    /// a hand-over that waits for an answer is at an end when the link is.
    fn draw_leaks(&mut self, dice: &mut Dice) {
        self.has_leaks = dice.percent(8) && !self.is_calm && !self.is_split;
        if self.has_leaks {
            [
                Class::Loss,
                Class::Cut,
                Class::OneWay,
                Class::Reset,
                Class::Crash,
                Class::Pause,
                Class::Leave,
                Class::Evict,
                Class::Retire,
                Class::Twins,
            ]
            .iter()
            .for_each(|class| self.classes.drop(*class));
            (self.is_over_budget, self.is_mourned) = (false, false);
        }
    }

    /// The largest message is less than what lies between refusing and the budget.
    fn draw_budgets(&mut self, dice: &mut Dice) {
        if dice.percent(if self.has_told { 25 } else { 8 }) {
            let seats = self.seats();
            self.budgets = (0..seats).map(|_| dice.range(120_000, 400_000)).collect();
        }
    }

    /// Each member has times in which it is slow, short ones and long ones, and never so slow that it is taken
    /// for dead.
    fn draw_stalls(&mut self, dice: &mut Dice) {
        if !dice.percent(15) || self.is_calm {
            return;
        }
        let stalls = (0..self.seats()).map(|seat| Stall {
            seat,
            every: dice.range(2, 10) * SECOND,
            first: dice.range(0, 10) * SECOND,
            lasts: dice.range(200, 2_000) * MS,
            by: dice.range(100, 1_000) * MS,
        });
        self.stalls = stalls.collect();
    }

    /// How much later than otherwise a frame is that arrives at that member at that moment.
    pub fn stall(&self, seat: usize, at: Micros) -> Micros {
        let stalls = self.stalls.iter().filter(|stall| stall.seat == seat);
        let open = stalls.filter(|stall| {
            let since = at.checked_sub(stall.first);
            since.is_some_and(|since| since % stall.every < stall.lasts)
        });
        open.map(|stall| stall.by).max().unwrap_or(0)
    }

    fn draw_letters(&mut self, dice: &mut Dice) {
        self.has_letters = dice.percent(30);
        if self.has_letters {
            self.max_attempts = dice.pick(&[2, 3, 3, 5, 16]).unwrap_or(3);
        }
    }

    /// Of the runs that retire members and use queues, every third is about one long split.
    fn draw_split(&mut self, dice: &mut Dice) {
        let may = self.has_queues && self.members > 2 && self.has(Class::Retire);
        if !dice.percent(33) || !may {
            return;
        }
        self.is_split = true;
        self.load = self.load.max(8 * SECOND + 3 * self.retire_after * MS);
        self.takeover_after = 500;
        self.lease = (2_000, 2_000);
        self.copies = Some(2);
        self.on_short = OnShort::Fail;
    }

    /// A quiet cluster of that many, for measuring; with `is_lossy` one frame of ten comes late.
    pub fn quiet(members: usize, is_lossy: bool) -> Self {
        let mut plan = Self::new(0, Some(members));
        plan.classes = Classes::default();
        if is_lossy {
            plan.classes.add(Class::Lossy);
        }
        plan.is_cluster = true;
        (plan.has_queues, plan.has_groups) = (false, false);
        (plan.has_terms, plan.has_letters, plan.has_returns) = (false, false, false);
        plan.has_told = false;
        plan.budgets.clear();
        plan.stalls.clear();
        (plan.has_keys, plan.has_large, plan.dedup_window) = (false, false, 0);
        (plan.producers, plan.consumers) = (0, 0);
        (plan.has_deaf_member, plan.is_mourned) = (false, false);
        plan.delay = 500;
        plan
    }

    /// How many processes there may be at one time: the members, and perhaps a twin.
    pub fn seats(&self) -> usize {
        self.members + usize::from(self.has(Class::Twins))
    }

    /// By how much clocks are less wrong than they may be: where messages have dates by seconds, minutes
    /// are enough, and nobody has to wait for hours until the last of them may be given out.
    pub const fn clock_divisor(&self) -> i64 {
        if self.has_terms { 30 } else { 1 }
    }

    /// What a member's options are in this plan.
    pub fn settle(&self, seat: usize, config: &mut Config) {
        config.copies = self.copies;
        config.on_short = self.on_short;
        config.takeover_after = self.takeover_after;
        config.repair_after = self.takeover_after;
        config.max_attempts = self.max_attempts;
        config.inventory_after = self.inventory_after;
        if self.zones > 0 {
            config.zone = format!("zone-{}", seat % self.zones);
        }
        if self.shuffles_each {
            config.placing = Placing::ShuffleEach;
        }
        if let Some(budget) = self.budgets.get(seat) {
            config.memory_bytes_max = *budget;
        }
        if self.has(Class::Retire) {
            config.retire_after = self.retire_after;
        }
    }

    /// Whether stores end, and messages with them.
    pub fn is_deadly(&self) -> bool {
        let deadly = [
            Class::Crash,
            Class::Leave,
            Class::Evict,
            Class::Retire,
            Class::Twins,
        ];
        deadly.iter().any(|class| self.has(*class))
    }

    /// Whether orders are put in again and again.
    pub const fn has_dedup(&self) -> bool {
        self.dedup_window > 0
    }

    /// Whether a class is on.
    pub fn has(&self, class: Class) -> bool {
        self.classes.has(class)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "members={} queues={} faults={} load={}s takeover={}ms lease={}..{}ms copies={:?} on_short={:?} \
             producers={} consumers={} delay={}us",
            self.members,
            self.queues,
            self.classes,
            self.load / SECOND,
            self.takeover_after,
            self.lease.0,
            self.lease.1,
            self.copies,
            self.on_short,
            self.producers,
            self.consumers,
            self.delay,
        )?;
        for (is, word) in [
            (self.is_cluster, " cluster"),
            (self.is_calm, " calm"),
            (self.is_pristine, " pristine"),
            (self.is_over_budget, " over-budget"),
            (self.has_deaf_member, " deaf"),
            (self.is_mourned, " mourned"),
            (self.is_split, " split"),
            (self.has_groups, " groups"),
            (self.has_terms, " terms"),
            (self.has_keys, " keyed"),
            (self.has_large, " large"),
            (!self.stalls.is_empty(), " stalls"),
            (self.has_dedup(), " dedup"),
            (self.has_letters, " letters"),
            (self.has_returns, " returns"),
            (self.has_leaks, " leaks"),
            (self.has_told, " told"),
            (self.zones > 0, " zones"),
            (self.shuffles_each, " shuffled"),
            (!self.budgets.is_empty(), " little-memory"),
        ] {
            if is {
                f.write_str(word)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_seeds_is_calm_and_every_class_is_drawn_by_half_of_the_others() {
        let plans: Vec<Plan> = (0..4_000).map(|seed| Plan::new(seed, None)).collect();
        let calm = plans.iter().filter(|plan| plan.is_calm).count();
        assert!((900..1_100).contains(&calm), "{calm}");
        for class in Class::ALL {
            let with = plans.iter().filter(|plan| plan.has(*class)).count();
            let usual = match class {
                class if class.is_of_clusters() => 350..600,
                Class::Twins => 60..140,
                Class::Keys | Class::Topics => 2_000..3_000,
                _ => 1_300..1_900,
            };
            assert!(usual.contains(&with), "{}: {with}", class.name());
        }
        for plan in plans.iter().filter(|plan| plan.is_calm) {
            assert!(!plan.has(Class::Cut) && !plan.has(Class::Lag));
        }
        let pristine = plans.iter().filter(|plan| plan.is_pristine);
        assert!(pristine.clone().count() > 400);
        assert!(
            pristine
                .clone()
                .all(|plan| plan.is_cluster || plan.classes == Classes::default())
        );
    }
}
