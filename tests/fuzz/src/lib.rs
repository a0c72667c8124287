//! Seeded fuzzers as plain programs: no nightly, no instrumentation, one number replays a run.
//!
//! A target is a function of a [`Chance`]: it draws one hostile case, feeds it to the real code and
//! checks what must hold whatever comes in. A broken check is a panic, like any other; [`run`]
//! catches it, tells the case's own seed and goes on. What a fuzzer without coverage cannot find by
//! luck it is given: real frames to damage, the engine's own ids to lie about.
#![forbid(unsafe_code)]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program: a panic is how a broken check is told"
)]

mod broadcast;
mod corpus;
mod crdt;
mod engine;
mod exchange;
mod frame;
mod handshake;
mod hello;
mod looks;
mod make;
mod options;
mod saved;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use primer_proto::base::Chance;

/// Draws one hostile case and checks it; a broken check panics.
pub type Case = fn(&mut Chance);

/// Every target by its name.
pub const TARGETS: &[(&str, Case)] = &[
    ("frame", frame::run),
    ("hello", hello::run),
    ("handshake", handshake::run),
    ("engine", engine::run),
    ("crdt", crdt::run),
    ("broadcast", broadcast::run),
    ("exchange", exchange::run),
    ("saved", saved::run),
    ("options", options::run),
];

/// When a run is enough.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After that many cases.
    Count(u64),
    /// After that much time.
    Time(Duration),
}

/// What a run was.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Cases tried.
    pub runs: u64,
    /// Cases that panicked: their own seeds and what the panic said.
    pub crashes: Vec<(u64, String)>,
}

/// Crashes kept; beyond that a run ends.
const CRASHES_MAX: usize = 10;

/// Tries cases of a target; `seed` decides all of them. Answers none for an unknown target.
#[must_use]
pub fn run(target: &str, until: Until, seed: u64) -> Option<Report> {
    let (_, case) = TARGETS.iter().find(|(name, _)| *name == target)?;
    let mut seeds = Chance::new(seed);
    let mut report = Report::default();
    let started = Instant::now();
    let is_enough = |runs: u64| match until {
        Until::Count(count) => runs >= count,
        // The clock is asked rarely: a case may take less time than asking.
        Until::Time(time) => runs.is_multiple_of(64) && started.elapsed() >= time,
    };
    while !is_enough(report.runs) && report.crashes.len() < CRASHES_MAX {
        let own = seeds.bits();
        report.runs += 1;
        if let Err(what) = once(*case, own) {
            report.crashes.push((own, what));
        }
    }
    Some(report)
}

/// True while one case is tried again: then it tells what it does.
static IS_TOLD: AtomicBool = AtomicBool::new(false);

/// Prints a step of a case that is tried again.
fn tell(what: impl FnOnce() -> String) {
    if IS_TOLD.load(Ordering::Relaxed) {
        println!("{}", what());
    }
}

/// Tries one case again by its own seed, and prints its steps. Answers what the panic said; none for an unknown target.
#[must_use]
pub fn replay(target: &str, own: u64) -> Option<Result<(), String>> {
    let (_, case) = TARGETS.iter().find(|(name, _)| *name == target)?;
    IS_TOLD.store(true, Ordering::Relaxed);
    Some(once(*case, own))
}

fn once(case: Case, own: u64) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| case(&mut Chance::new(own)))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("without a word").to_owned()
    })
}
