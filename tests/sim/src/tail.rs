//! How long an enqueue of two copies waits where one member of five is slow: the tail of its time, as the
//! table of core/docs/decisions/0026-slow-members-hold-up-no-receipt.md has it.

use primer_proto::engine::{Canary, Command, EnqueueOptions, NewMessage};

use crate::agenda::{MS, Micros, SECOND};
use crate::plan::{Plan, Stall};
use crate::users::What;
use crate::world::World;

const MEMBERS: usize = 5;
/// The member that is slow.
const SLOW: usize = 3;
const SECONDS: u64 = 120;

/// What was measured of one way to be slow. Times in microseconds of virtual time.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    /// How that member is slow.
    pub how: &'static str,
    /// Of the enqueues: the median, and above it 95, 99 and 99.9 of a hundred.
    pub times: [u64; 4],
    /// The longest.
    pub longest: u64,
    /// Copies sent for each enqueue.
    pub copies: f64,
    /// Those that went to one more member.
    pub hedges: u64,
}

/// Measures enqueues at one member, so many a second, for each way.
#[must_use]
pub fn tails(seed: u64, rate: u64) -> Vec<Tail> {
    let always = 1_000 * SECOND;
    [
        ("never", 0, always, 0),
        ("400 ms each 20 s", 20 * SECOND, 400 * MS, 400 * MS),
        (
            "2 s each 20 s, by 700 ms",
            20 * SECOND,
            2 * SECOND,
            700 * MS,
        ),
        ("always, by 80 ms", always, always, 80 * MS),
        ("always, by 400 ms", always, always, 400 * MS),
    ]
    .into_iter()
    .map(|(how, every, lasts, by)| {
        let mut plan = Plan::quiet(MEMBERS, false);
        // After the cluster has formed.
        let first = 40 * SECOND;
        plan.stalls = (by > 0)
            .then_some(Stall {
                seat: SLOW,
                every,
                first,
                lasts,
                by,
            })
            .into_iter()
            .collect();
        let mut world = World::new(seed, plan, Canary::None, false);
        world.until(30 * SECOND);
        world.measure_tail(how, SECOND / rate)
    })
    .collect()
}

impl World {
    fn measure_tail(&mut self, how: &'static str, gap: Micros) -> Tail {
        let end = self.now + SECONDS * SECOND;
        let mut asked = 0;
        while self.now < end {
            let pause = 1 + self.user_dice.exponential(gap);
            self.until(self.now + pause);
            let Some(life) = self.seats[0].life.as_mut() else {
                break;
            };
            let Ok(queue) = life.engine.queue("measured") else {
                break;
            };
            let command = Command::Enqueue {
                queue,
                message: NewMessage {
                    body: "x".into(),
                    headers: None,
                },
                options: EnqueueOptions {
                    copies: Some(2),
                    ..EnqueueOptions::default()
                },
            };
            asked += 1;
            self.ask(0, command, What::Timed);
        }
        self.until(end + 10 * SECOND);
        let stored = |world: &World, name: &str| {
            let lives = world.living().map(|(_, life)| life.engine.stats());
            lives
                .filter_map(|stats| stats.get(name).copied())
                .sum::<u64>()
        };
        let mut times = std::mem::take(&mut self.timed);
        times.sort_unstable();
        let at = |of_thousand: usize| times.get(times.len() * of_thousand / 1_000).copied();
        Tail {
            how,
            times: [500, 950, 990, 999].map(|part| at(part).unwrap_or_default()),
            longest: times.last().copied().unwrap_or_default(),
            copies: (asked + stored(self, "copies_stored")) as f64 / asked as f64,
            hedges: stored(self, "hedges"),
        }
    }
}
