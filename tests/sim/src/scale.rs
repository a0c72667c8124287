//! What an idle cluster costs as it grows, and how fast it agrees: the table of core/docs/cluster.md.
//!
//! Up to [`MESH_MAX`] members it is the full mesh of N real engines and N * (N - 1) / 2 links. Up to
//! [`FORMS_MAX`] it forms as one does that never was; a larger one starts with the metadata of an
//! earlier life, as after an outage of everything, and what takes hours of it is left out. Beyond,
//! and for what a single member takes, one real engine is [`alone`] with players of the others.

use primer_proto::base::{Instant, Now};
use primer_proto::engine::{Canary, Command, Config};
use primer_proto::membership::Hello;
use primer_proto::{Engine, Input};

use crate::agenda::{MS, Micros, SECOND};
use crate::alone::{alone, config, met};
use crate::net::Partition;
use crate::plan::Plan;
use crate::users::What;
use crate::world::{Life, Phase, World};

/// Above this a mesh does not form: everyone tells everyone all rows.
const FORMS_MAX: usize = 100;
/// Above this there is no mesh.
const MESH_MAX: usize = 300;
/// Writes that are followed.
const WRITES: usize = 200;

/// What was measured of one size. Times in milliseconds of virtual time.
#[derive(Debug, Clone, Default)]
pub struct Scale {
    /// Members.
    pub members: usize,
    /// From the first boot until everyone sees everyone, of a cluster that never was.
    pub joined_ms: Option<u64>,
    /// Frames a second that one member sends while nothing happens; in a mesh on average.
    pub frames: f64,
    /// Bytes a second of these.
    pub bytes: f64,
    /// Memory that one engine takes, in KiB, when each member has written a key: the growth of this
    /// process. Right for the first call in a process only.
    pub memory: u64,
    /// Time that one engine works in a second, in ms of this machine and build.
    pub work: f64,
    /// A key written: until every member reads it, median and 99th percentile, one frame of ten
    /// coming 200 ms late.
    pub write_ms: Option<(u64, u64)>,
    /// A host that loses its power: until every other member calls it unreachable.
    pub death_ms: Option<u64>,
    /// Halves cut off for 30 s: from the end of the cut until all agree again.
    pub heal_ms: Option<u64>,
}

/// Measures one size, of two members at least.
#[must_use]
pub fn scale(members: usize, seed: u64) -> Scale {
    let cost = alone(members, seed);
    let mut measured = Scale {
        members,
        frames: cost.frames,
        bytes: cost.bytes,
        memory: cost.memory,
        work: cost.work,
        ..Scale::default()
    };
    if members > MESH_MAX {
        return measured;
    }
    let mut world = World::new(seed, Plan::quiet(members, false), Canary::None, false);
    measured.joined_ms = world.form();
    world.rest_a_while();
    (measured.frames, measured.bytes) = world.measure_idle();
    if !world.is_large() {
        measured.heal_ms = Some(world.measure_heal());
        world.rest_a_while();
    }
    measured.death_ms = Some(world.measure_death());
    if !world.is_large() {
        let mut world = World::new(seed, Plan::quiet(members, true), Canary::None, false);
        world.form();
        measured.write_ms = Some(world.measure_writes());
    }
    measured
}

/// What this process takes of the machine's memory, in bytes.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1_024
}

impl World {
    /// Waits until the cluster stands; in milliseconds where it forms.
    fn form(&mut self) -> Option<u64> {
        if self.is_large() {
            self.wake_together();
        }
        let start = self.now;
        while !self.is_whole() && self.now < start + 300 * SECOND {
            self.until(self.now + 100 * MS);
        }
        (!self.is_large()).then_some((self.now - start) / 1_000)
    }

    fn is_large(&self) -> bool {
        self.seats.len() > FORMS_MAX
    }

    /// Starts every process at once, each with the metadata of an earlier life.
    fn wake_together(&mut self) {
        let ids: Vec<_> = self.seats.iter().map(|seat| seat.member).collect();
        let configs = ids.into_iter().zip(0..);
        let configs = configs.map(|(member, seat)| config(member, seat, &mut self.id_dice));
        let configs: Vec<Config> = configs.collect();
        let now = Now {
            mono: Instant(0),
            wall_ms: self.seats[0].wall_ms(0),
        };
        let hello = |config: &Config| Engine::new(config.clone(), now).hello();
        let hellos: Vec<Hello> = configs.iter().map(hello).collect();
        // The first one met everybody in its earlier life, and everybody else met the first one.
        let first = met(&configs[0], &hellos[1..]);
        for (seat, mut config) in configs.into_iter().enumerate() {
            config.metadata = Some(first.clone());
            if seat > 0 {
                config.metadata = Some(met(&config, &hellos[..1]));
            }
            let ids = (config.boot, config.store);
            let engine = Engine::new(config, now);
            self.seats[seat].lives = 1;
            self.seats[seat].life = Some(Life::new(engine, 1, ids, (0, 0)));
        }
        for seat in 0..self.seats.len() {
            self.feed(seat, Input::Wake);
        }
    }

    /// Everyone sees everyone who is there, and has the same metadata.
    fn is_whole(&self) -> bool {
        let there = self.living().count();
        there == self.seats.len()
            && self.living().all(|(_, life)| {
                let members = life.engine.members();
                let seen = members.iter().filter(|member| member.is_reachable);
                seen.count() == there && members.len() == there
            })
            && self.discord().is_none()
    }

    /// Joins, dials and their echoes are over.
    fn rest_a_while(&mut self) {
        let seconds = if self.is_large() { 5 } else { 30 };
        self.until(self.now + seconds * SECOND);
    }

    /// Frames and bytes a second of one member, on average.
    fn measure_idle(&mut self) -> (f64, f64) {
        let seconds = if self.is_large() { 20 } else { 60 };
        let before = self.sent.clone();
        self.until(self.now + seconds * SECOND);
        let grown = self.sent.iter().zip(&before);
        let (frames, bytes) = grown.fold((0, 0), |sum, (after, before)| {
            (sum.0 + after.0 - before.0, sum.1 + after.1 - before.1)
        });
        let shares = (self.seats.len() as u64 * seconds) as f64;
        (frames as f64 / shares, bytes as f64 / shares)
    }

    /// Milliseconds until `is_true`, looked at every `step`.
    fn time_until(&mut self, step: Micros, is_true: impl Fn(&World) -> bool) -> u64 {
        let start = self.now;
        while !is_true(self) && self.now < start + 120 * SECOND && !self.is_broken() {
            self.until(self.now + step);
        }
        (self.now - start) / 1_000
    }

    fn measure_heal(&mut self) -> u64 {
        let count = self.seats.len();
        let mut ways = Vec::new();
        for near in 0..count / 2 {
            for far in count / 2..count {
                ways.extend([(near, far), (far, near)]);
            }
        }
        let halves = Partition(ways);
        self.part(&halves);
        self.until(self.now + 10 * SECOND);
        for seat in [0, count - 1] {
            self.write_one(seat, format!("side/{seat}"));
        }
        self.until(self.now + 20 * SECOND);
        self.mend(&halves);
        self.time_until(10 * MS, World::is_whole)
    }

    fn measure_death(&mut self) -> u64 {
        let victim = self.seats.len() / 2;
        let member = self.seats[victim].member;
        // As a host that loses its power: nobody is told.
        self.silence(victim);
        self.time_until(10 * MS, |world| {
            world.living().all(|(_, life)| {
                let members = life.engine.members();
                let seen = members.iter().find(|one| one.id == member);
                seen.is_none_or(|one| !one.is_reachable)
            })
        })
    }

    fn measure_writes(&mut self) -> (u64, u64) {
        let mut times = Vec::new();
        for write in 0..WRITES {
            let seat = self.fault_dice.index(self.seats.len());
            let key = format!("measured/{write}");
            self.write_one(seat, key.clone());
            times.push(self.time_until(5 * MS, |world| {
                world
                    .living()
                    .all(|(_, life)| life.engine.get(&key).is_some())
            }));
        }
        times.sort_unstable();
        (times[WRITES / 2], times[WRITES * 99 / 100])
    }

    fn write_one(&mut self, seat: usize, key: String) {
        debug_assert!(self.phase == Phase::Load);
        let command = Command::Put {
            key: key.clone(),
            value: "x".into(),
        };
        let value = Some("x".into());
        let seen = Vec::new();
        self.ask(seat, command, What::Write { key, value, seen });
    }
}
