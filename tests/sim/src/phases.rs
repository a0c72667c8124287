//! The course of a run: load and faults, heal, drain, rest, judgement.

use std::collections::BTreeMap;

use primer_check::{Extra, Kind, Promise, Verb};
use primer_proto::engine::Canary;

use crate::agenda::{MS, Micros, SECOND};
use crate::ledger::About;
use crate::net::DELAY_MAX;
use crate::plan::Plan;
use crate::sometimes::Sometimes;
use crate::users::Act;
use crate::world::{Local, Phase, World};

/// The cluster is whole again by then (protocol.md, G2).
const HEAL_MAX: Micros = 60 * SECOND;
/// Copies that were lost are made good by then, as far as there are members (Q14).
const REPAIR_MAX: Micros = 60 * SECOND;
/// Every message that can still be delivered is by then: leases, takeovers, and the longest pause after
/// a nack (10 minutes) included.
const DRAINED_BY: Micros = 660 * SECOND;
/// Nothing is kept about finished messages by then: the longest pause between two ack rounds, twice.
const REST_MAX: Micros = 400 * SECOND;

/// What a run is asked to be.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Decides everything.
    pub seed: u64,
    /// Overrides the drawn number of members.
    pub members: Option<usize>,
    /// A planted bug in every engine.
    pub canary: Canary,
    /// Print every event.
    pub is_traced: bool,
}

impl Options {
    /// A plain run of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            members: None,
            canary: Canary::None,
            is_traced: false,
        }
    }
}

/// What a run was.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What the seed drew, for a person.
    pub plan: String,
    /// Broken promises, the first first; empty is good.
    pub violations: Vec<String>,
    /// The hash of every event: equal for equal runs.
    pub trace: u64,
    /// How long it was, in microseconds of virtual time.
    pub simulated: u64,
    /// What it met.
    pub sometimes: Sometimes,
    /// The checkers' figures.
    pub figures: BTreeMap<&'static str, u64>,
    /// Everything that users saw.
    pub history: primer_check::History,
}

/// What a seed draws, for a person; `members` overrides its draw.
#[must_use]
pub fn plan_of(seed: u64, members: Option<usize>) -> String {
    Plan::new(seed, members).to_string()
}

/// Runs one seed.
#[must_use]
pub fn run(options: &Options) -> Outcome {
    let plan = Plan::new(options.seed, options.members);
    let mut world = World::new(options.seed, plan, options.canary, options.is_traced);
    world.brew();
    world.until(world.plan.load);
    world.heal();
    world.find_itself();
    world.resume_told();
    world.make_good();
    world.judge_one_owner();
    world.drain();
    world.rest();
    world.judge()
}

impl World {
    /// Waits until all members agree, then holds them to it.
    fn find_itself(&mut self) {
        self.bridge_islands();
        // What was slow is still on its way, and may be taken for silence.
        self.until(self.now + 2 * DELAY_MAX);
        let limit = self.now + HEAL_MAX;
        let is_one =
            |world: &mut World| world.disagreement().is_none() && world.discord().is_none();
        if self.until_true(limit, is_one) {
            self.agreed_at = Some(self.now);
        } else if let Some(why) = self.disagreement().or_else(|| self.discord()) {
            self.violation("heal", why);
        }
    }

    /// Every message has as many copies as were asked for, as far as there are members (Q14).
    fn make_good(&mut self) {
        let limit = self.now + REPAIR_MAX;
        if !self.until_true(limit, |world| world.short_messages() == 0) {
            let why = format!("{} messages are short of copies", self.short_messages());
            self.violation("repair", why);
        }
    }

    /// Messages that some member could take one more copy of.
    fn short_messages(&self) -> usize {
        let living = self.living().map(|(_, life)| life.engine.repairable());
        living.sum()
    }

    /// Consumers on several members read every queue until nothing is left.
    fn drain(&mut self) {
        self.phase = Phase::Drain;
        let mut seats: Vec<usize> = self.living().map(|(seat, _)| seat).collect();
        self.fault_dice.shuffle(&mut seats);
        seats.truncate(2 + self.fault_dice.index(seats.len().max(2) - 1));
        if seats.len() > 1 {
            self.sometimes.hit("drained at several members");
        }
        for seat in seats {
            for queue in 0..self.queue_count() {
                self.local_now(self.now, seat, Local::User(Act::Drain(queue)));
            }
            self.drain_returns(seat);
            self.drain_told(seat);
            self.drain_once(seat);
        }
        let limit = self.now + DRAINED_BY;
        let is_drained = self.until_true(limit, |world| {
            // What is left is told once.
            world.held_copies() == 0 && world.leftover().is_none()
        });
        if !is_drained && let Some(why) = self.leftover() {
            self.violation("drain", why);
        }
        if is_drained {
            let about = About {
                seat: 0,
                process: 0,
                queue: 0,
                value: None,
            };
            self.record(&about, Verb::Drained, Kind::Info, Extra::default());
        }
    }

    /// What is still to be read; none when nothing is.
    fn leftover(&mut self) -> Option<String> {
        let held = self.held_copies();
        if held > 0 {
            let one = self.ledger.sent.keys().find_map(|id| {
                let seen = self
                    .living()
                    .find_map(|(_, life)| life.engine.glimpse(*id))?;
                Some(format!("; {id}: {seen:?}"))
            });
            return Some(format!(
                "{held} copies are left, at {}{}",
                self.where_kept("messages"),
                one.unwrap_or_default()
            ));
        }
        let held = self.users.held.values();
        let unsettled = held
            .filter(|held| !held.is_settled && !held.is_forgotten)
            .count();
        if unsettled > 0 {
            return Some(format!("{unsettled} deliveries are not settled"));
        }
        None
    }

    fn held_copies(&self) -> usize {
        self.living().map(|(_, life)| life.engine.held()).sum()
    }

    /// Waits until nothing is kept about messages that are over.
    fn rest(&mut self) {
        self.phase = Phase::Rest;
        let limit = self.now + REST_MAX;
        let is_over = self.until_true(limit, |world| world.remains().is_none());
        if is_over {
            self.sometimes.hit("tombstones drained");
            self.look_once_more();
        } else if let Some(why) = self.remains() {
            self.violation("rest", why);
        }
        self.audit();
        // A flap after the agreement takes longer than this to show.
        self.until(self.now + 10 * SECOND);
        let late: Vec<String> = self
            .users
            .unanswered()
            .filter(|(_, pending)| pending.asked + 30 * SECOND < self.now)
            .map(|(ticket, pending)| {
                let at = pending.asked / MS;
                format!(
                    "m{} {ticket:?} {:?} asked at {at} ms",
                    pending.seat, pending.what
                )
            })
            .collect();
        for what in late {
            self.violation("unanswered", what);
        }
        if self.agreed_at.is_some()
            && let Some(why) = self.disagreement().or_else(|| self.discord())
        {
            self.violation("disagreement", why);
        }
        self.judge_talk();
        self.judge_set();
        self.judge_twins();
        self.judge_returns();
        self.judge_all_told();
        self.judge_all_once();
    }

    /// What is kept although nobody needs it; none when nothing is.
    fn remains(&mut self) -> Option<String> {
        let all: Vec<_> = self.living().map(|(_, life)| life.engine.stats()).collect();
        // A store that is gone for good pins what it may hold.
        let is_pinned = all.len() < self.seats.len();
        for name in [
            "messages",
            "batches",
            "waiters",
            "calls",
            "browses_open",
            "demands",
            "tombstones",
        ] {
            let kept: u64 = all.iter().filter_map(|stats| stats.get(name)).sum();
            if kept > 0 && !(is_pinned && name == "tombstones") {
                let at = self.where_kept(name);
                return Some(format!("{kept} {name} are left, at {at}"));
            }
        }
        None
    }

    fn where_kept(&self, name: &str) -> String {
        let living = self.living().filter_map(|(seat, life)| {
            let count = life.engine.stats().get(name).copied().unwrap_or_default();
            (count > 0).then(|| format!("m{seat}: {count}"))
        });
        living.collect::<Vec<_>>().join(", ")
    }

    /// The checkers' word.
    fn judge(mut self) -> Outcome {
        let stats: Vec<_> = self.living().map(|(_, life)| life.engine.stats()).collect();
        for stats in stats {
            self.sometimes.look(&stats);
        }
        let promise = Promise {
            is_exactly_once: self.plan.is_pristine,
            zombie_ns: 0,
        };
        self.account_aside();
        self.account_moving();
        let report = primer_check::check(&self.ledger.history, &promise);
        for finding in report.findings.iter().take(10) {
            self.violation("checker", finding.to_string());
        }
        let mut figures = report.figures;
        figures.insert("largest_cloud", self.talk.largest_cloud as u64);
        Outcome {
            seed: self.seed,
            plan: self.plan.to_string(),
            violations: self.violations,
            trace: self.trace.hash(),
            simulated: self.now,
            sometimes: self.sometimes,
            figures,
            history: self.ledger.history,
        }
    }
}
