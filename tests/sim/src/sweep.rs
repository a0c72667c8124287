//! Many seeds on all cores, and one summary.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use primer_proto::engine::Canary;

use crate::phases::{Options, Outcome, run};
use crate::sometimes::Sometimes;

/// What many runs were.
#[derive(Debug, Default)]
pub struct Sweep {
    /// How many seeds ran.
    pub seeds: u64,
    /// Virtual time of all of them, in microseconds.
    pub simulated: u64,
    /// Runs that broke a promise, by seed.
    pub failed: Vec<Outcome>,
    /// What they met, together.
    pub sometimes: Sometimes,
    /// The checkers' figures, summed.
    pub figures: BTreeMap<&'static str, u64>,
}

/// How a sweep is run.
#[derive(Debug, Clone)]
pub struct How {
    /// Overrides the drawn number of members.
    pub members: Option<usize>,
    /// A planted bug in every engine.
    pub canary: Canary,
    /// Stop at the first broken promise.
    pub is_first_enough: bool,
    /// Cores to use.
    pub threads: usize,
}

impl Default for How {
    fn default() -> Self {
        Self {
            members: None,
            canary: Canary::None,
            is_first_enough: false,
            threads: std::thread::available_parallelism().map_or(1, Into::into),
        }
    }
}

/// Runs every seed; a panic in one is its violation. Failed runs come in the order of their seeds.
#[must_use]
pub fn sweep(seeds: &[u64], how: &How) -> Sweep {
    let next = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let total = Mutex::new(Sweep::default());
    std::thread::scope(|scope| {
        for _ in 0..how.threads.max(1) {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(seed) = seeds.get(place) else {
                        return;
                    };
                    let outcome = run_caught(*seed, how);
                    let has_failed = !outcome.violations.is_empty();
                    if has_failed && how.is_first_enough {
                        is_over.store(true, Ordering::Relaxed);
                    }
                    match total.lock() {
                        Ok(mut total) => total.add(outcome),
                        Err(_) => return,
                    }
                }
            });
        }
    });
    let mut total = total.into_inner().unwrap_or_default();
    total.failed.sort_by_key(|outcome| outcome.seed);
    total
}

fn run_caught(seed: u64, how: &How) -> Outcome {
    let options = Options {
        members: how.members,
        canary: how.canary,
        ..Options::new(seed)
    };
    catch_unwind(AssertUnwindSafe(|| run(&options))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Outcome {
            seed,
            plan: crate::plan::Plan::new(seed, how.members).to_string(),
            violations: vec![format!("panic: {}", text.unwrap_or("without a word"))],
            trace: 0,
            simulated: 0,
            sometimes: Sometimes::default(),
            figures: BTreeMap::new(),
            history: primer_check::History::default(),
        }
    })
}

impl Sweep {
    fn add(&mut self, mut outcome: Outcome) {
        self.seeds += 1;
        self.simulated += outcome.simulated;
        self.sometimes.add(&outcome.sometimes);
        for (name, figure) in &outcome.figures {
            let sum = self.figures.entry(name).or_default();
            *sum = if name.starts_with("largest") {
                (*sum).max(*figure)
            } else {
                *sum + figure
            };
        }
        if !outcome.violations.is_empty() {
            outcome.history.records.clear();
            self.failed.push(outcome);
        }
    }

    /// Broken promises in all.
    #[must_use]
    pub fn violations(&self) -> usize {
        let counts = self.failed.iter().map(|outcome| outcome.violations.len());
        counts.sum()
    }
}

impl Outcome {
    /// What a person needs to look at a failed run: the seed, its options, what broke, one command.
    #[must_use]
    pub fn story(&self) -> String {
        let mut story = format!("seed {} ({})\n", self.seed, self.plan);
        for violation in &self.violations {
            story += &format!("  {violation}\n");
        }
        story += &format!(
            "  replay: cargo run -p primer-sim --profile sim -- --seed {} --trace\n",
            self.seed
        );
        story
    }
}
