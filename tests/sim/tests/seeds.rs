//! The simulator's own promises, and Primer's in thousands of worlds.
//!
//! `cargo test -p primer-sim --profile sim`; `PRIMER_SIM_SEEDS` says how many seeds.

use primer_sim::{Canary, How, MetaCanary, Options, Outcome, QueueCanary, Sweep, run, sweep};

/// Seeds of one full run.
const SEEDS: u64 = 2_000;
/// A canary is caught within this many.
const CANARY_SEEDS: u64 = 300;

fn seeds_wanted() -> u64 {
    let text = std::env::var("PRIMER_SIM_SEEDS").ok();
    text.map_or(SEEDS, |text| {
        text.parse().expect("PRIMER_SIM_SEEDS is a number")
    })
}

fn told(total: &Sweep) -> String {
    total.failed.iter().take(3).map(Outcome::story).collect()
}

#[test]
fn no_seed_breaks_a_promise_and_every_case_is_met() {
    let count = seeds_wanted();
    let seeds: Vec<u64> = (1..=count).collect();
    let total = sweep(&seeds, &How::default());
    assert_eq!(total.seeds, count);
    assert!(
        total.failed.is_empty(),
        "{} of {count} seeds failed:\n{}",
        total.failed.len(),
        told(&total)
    );
    if count >= SEEDS {
        assert_eq!(total.sometimes.missing(), [""; 0], "never met");
    }
}

#[test]
fn seeds_that_once_failed_pass() {
    let text = include_str!("../seeds.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words = lines.filter_map(|line| line.split_whitespace().next());
    let seeds: Vec<u64> = words.map(|word| word.parse().expect("a seed")).collect();
    let total = sweep(&seeds, &How::default());
    assert!(total.failed.is_empty(), "{}", told(&total));
}

#[test]
fn one_seed_is_one_run() {
    for seed in (1..=seeds_wanted().min(2_000)).step_by(100) {
        let options = Options::new(seed);
        let (first, second) = (run(&options), run(&options));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.history, second.history, "seed {seed}");
        assert_ne!(first.trace, run(&Options::new(seed + 1)).trace);
    }
}

#[test]
fn larger_clusters_keep_their_promises() {
    // One in fifty of a full run has 25 members, one in five hundred 100.
    let count = seeds_wanted().min(SEEDS);
    for (members, every) in [(25, 50), (100, 500)] {
        let seeds: Vec<u64> = (1..=count.div_ceil(every)).collect();
        let how = How {
            members: Some(members),
            ..How::default()
        };
        let total = sweep(&seeds, &how);
        assert!(total.failed.is_empty(), "{members}:\n{}", told(&total));
    }
}

#[test]
fn every_planted_bug_is_caught_for_what_it_is() {
    for (canary, words) in [
        (Canary::AckBeforeW, ["copies-overstated", "lost"]),
        (
            Canary::FenceOnRetire,
            ["evicted by nobody", "does not know"],
        ),
        (
            Canary::Meta(MetaCanary::JoinContextEarly),
            ["is lost", "other keys"],
        ),
        (
            Canary::Meta(MetaCanary::YoungContext),
            ["is lost", "other keys"],
        ),
        (
            Canary::Meta(MetaCanary::JoinOnlyOnEqualRoots),
            ["out of order"; 2],
        ),
        (Canary::Meta(MetaCanary::ClampStamp), ["other keys"; 2]),
        (
            Canary::Meta(MetaCanary::CoalesceWithoutContexts),
            ["sees siblings"; 2],
        ),
        (
            Canary::Meta(MetaCanary::KeepContextOfDamaged),
            ["is lost", "leave (at"],
        ),
        (
            Canary::Meta(MetaCanary::ReuseDot),
            ["is lost", "other keys"],
        ),
    ] {
        catch(canary, words);
    }
}

#[test]
fn every_planted_bug_of_the_queue_is_caught_for_what_it_is() {
    for (canary, words) in [
        (
            QueueCanary::NoFingerprint,
            ["does not know the end", "undone"],
        ),
        (QueueCanary::AtMostOnceAgain, ["twice", "repeated"]),
        (QueueCanary::AtMostOnceCopied, ["repeated", "are left"]),
        (QueueCanary::AbortedAfterTakeover, ["aborted-delivered"; 2]),
        (QueueCanary::FreshDeadLetter, ["does not follow", "lost"]),
        (QueueCanary::AddedGroupLost, ["held by nobody"; 2]),
        (QueueCanary::PurgeForgetsTime, ["no purge was after"; 2]),
        (QueueCanary::PauseIgnored, ["out of a paused queue"; 2]),
        (QueueCanary::OverflowLost, ["no purge was after"; 2]),
        (QueueCanary::BudgetIgnored, ["bytes of"; 2]),
        (QueueCanary::KeyIgnored, ["are on lease", "is over"]),
        (QueueCanary::HedgesUnbounded, ["further frames"; 2]),
        (QueueCanary::AtMostOnceHedged, ["repeated", "two-ids"]),
        (QueueCanary::DedupByLiveMembers, ["at its home knew"; 2]),
    ] {
        catch(Canary::Queue(canary), words);
    }
}

fn catch(canary: Canary, words: [&str; 2]) {
    let seeds: Vec<u64> = (1..=CANARY_SEEDS).collect();
    let how = How {
        canary,
        is_first_enough: true,
        ..How::default()
    };
    let planted = sweep(&seeds, &how);
    let caught = planted.failed.first();
    let story = caught.expect("a bug that goes unseen").story();
    assert!(
        words.iter().any(|word| story.contains(word)),
        "{canary:?} is caught for another reason:\n{story}"
    );
    // The same seeds without the bug pass: it is the bug that was caught.
    let seeds: Vec<u64> = planted.failed.iter().map(|failed| failed.seed).collect();
    let healthy = sweep(&seeds, &How::default());
    assert!(healthy.failed.is_empty(), "{}", told(&healthy));
}
