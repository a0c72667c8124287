//! Members without a name are cut off for so long that each half takes the other out of its set, under
//! load all the while; after it they are one cluster again and no acknowledged message is lost.

use std::time::{Duration, Instant};

use primer_cluster::Outcome;
use primer_cluster::load::COPIES;
use primer_cluster::member::Setup;

use crate::crew::{Crew, disagreements, sum};
use crate::shape::Shape;
use crate::{Size, Verdict, judged};

const MEMBERS: u64 = 6;
/// Receipts in each part of the run.
const ACKED: u64 = 300;

/// Runs it. Errors: the harness's, and whatever does not come within a long while.
pub fn run(size: &Size) -> Outcome<Verdict> {
    let retire_after = size.retire_after;
    let mut crew = Crew::start(MEMBERS, |setup| {
        loaded(setup).with("retire_after_ms", retire_after.as_millis())
    })?;
    crew.cluster().tell_all("go")?;
    crew.cluster().until_acked(None, ACKED)?;

    crew.cut(Shape::Halves)?;
    let begun = Instant::now();
    let half = MEMBERS as usize / 2;
    crew.until("retirement on both sides", |views| {
        views.values().all(|view| view.members.len() == half)
    })?;
    println!(
        "  each half has retired the other after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let acked = crew.cluster().acked_by(None);
    crew.cluster().until_acked(None, acked + ACKED)?;
    let split = 2 * retire_after;
    crew.cluster().pass(split.saturating_sub(begun.elapsed()))?;

    let cut_off = begun.elapsed();
    crew.heal()?;
    let (agreed, views) = crew.until_agreed()?;
    println!(
        "  healed after {:.0} s: one member set after {:.1} s, all hear all after {:.1} s (load {})",
        cut_off.as_secs_f64(),
        agreed.on_set.as_secs_f64(),
        agreed.on_reach.as_secs_f64(),
        crate::machine::load(),
    );
    let acked = crew.cluster().acked_by(None);
    crew.cluster().until_acked(None, acked + ACKED)?;
    let drained = crew.cluster().drain();
    println!(
        "  retired={} returned={} evicted={}",
        sum(&views, "members_retired"),
        sum(&views, "returned_members"),
        sum(&views, "members_evicted"),
    );
    let odd = disagreements(&views);
    judged(crew, odd, drained)
}

/// A member under load, with times that let a run take seconds.
pub fn loaded(setup: Setup) -> Setup {
    let setup = Setup {
        pace: Duration::from_millis(10),
        work: Duration::from_millis(20),
        ..setup
    };
    setup
        .with("copies", COPIES)
        .with("on_short", "fail")
        .with("enqueue_timeout_ms", 1_000)
        .with("lease_ms", 2_000)
        .with("takeover_after_ms", 500)
}
