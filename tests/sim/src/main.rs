//! `primer-sim`: whole clusters from seeds.
//!
//! `primer-sim --seeds N [--from S]` runs many and closes with `sim: seeds=N hours=H violations=V`;
//! `primer-sim --seed N [--trace] [--history FILE]` runs one. Exits 1 when a promise was broken.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::{Command, ExitCode};
use std::time::Instant;

use primer_sim::{
    Canary, How, MetaCanary, Options, QueueCanary, SOMETIMES, Sweep, plan_of, run, scale, sweep,
    tails,
};

const USAGE: &str = "primer-sim --seeds N [--from S] | --seed N [--trace] [--history FILE] | --scale N,N,... | --tail N
  --tail N      how long N enqueues a second wait where one member of five is slow
  --members M   this many members in every run (drawn by default)
  --with WORD   only seeds whose plan has that word: a class of faults, or `split`, `cluster`, ...
  --threads T   cores to use (all by default)
  --canary NAME plant a bug; the run must find it: ack_before_w fence_on_retire join_context_early
                young_context join_only_on_equal_roots clamp_stamp coalesce_without_contexts reuse_dot
                keep_context_of_damaged no_fingerprint at_most_once_again at_most_once_copied
                aborted_after_takeover fresh_dead_letter added_group_lost purge_forgets_time
                pause_ignored overflow_lost budget_ignored key_ignored hedges_unbounded
                at_most_once_hedged dedup_by_live_members";

const HEADING: &str = "| members | joined ms | frames/s | bytes/s | KiB | work ms/s | write ms p50 | p99 | heal ms | death ms |";

#[derive(Default)]
struct Arguments {
    seeds: u64,
    from: u64,
    seed: Option<u64>,
    sizes: Vec<usize>,
    /// Enqueues a second, of which the tail is measured.
    rate: u64,
    with: Option<String>,
    is_traced: bool,
    history: Option<String>,
    how: How,
}

fn main() -> ExitCode {
    let Some(arguments) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if !arguments.sizes.is_empty() {
        table(&arguments);
        return ExitCode::SUCCESS;
    }
    if arguments.rate > 0 {
        tail_table(&arguments);
        return ExitCode::SUCCESS;
    }
    let is_good = match arguments.seed {
        Some(seed) => one(seed, &arguments),
        None => many(&arguments),
    };
    ExitCode::from(u8::from(!is_good))
}

fn arguments(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut arguments = Arguments {
        from: 1,
        ..Arguments::default()
    };
    while let Some(word) = words.next() {
        let mut number = || words.next()?.parse::<u64>().ok();
        match word.as_str() {
            "--scale" => {
                let sizes = words.next()?;
                let sizes = sizes.split(',').map(|size| size.parse().ok());
                arguments.sizes = sizes.collect::<Option<Vec<usize>>>()?;
            }
            "--tail" => arguments.rate = number()?,
            "--seeds" => arguments.seeds = number()?,
            "--from" => arguments.from = number()?,
            "--seed" => arguments.seed = Some(number()?),
            "--members" => arguments.how.members = Some(number()? as usize),
            "--threads" => arguments.how.threads = number()? as usize,
            "--with" => arguments.with = Some(words.next()?),
            "--trace" => arguments.is_traced = true,
            "--history" => arguments.history = Some(words.next()?),
            "--canary" => {
                arguments.how.canary = canary_named(&words.next()?)?;
                arguments.how.is_first_enough = true;
            }
            _ => return None,
        }
    }
    let has_runs = arguments.seeds > 0 || arguments.seed.is_some();
    let has_work = has_runs || !arguments.sizes.is_empty() || arguments.rate > 0;
    has_work.then_some(arguments)
}

fn canary_named(name: &str) -> Option<Canary> {
    Some(match name {
        "ack_before_w" => Canary::AckBeforeW,
        "fence_on_retire" => Canary::FenceOnRetire,
        "join_context_early" => Canary::Meta(MetaCanary::JoinContextEarly),
        "young_context" => Canary::Meta(MetaCanary::YoungContext),
        "join_only_on_equal_roots" => Canary::Meta(MetaCanary::JoinOnlyOnEqualRoots),
        "clamp_stamp" => Canary::Meta(MetaCanary::ClampStamp),
        "coalesce_without_contexts" => Canary::Meta(MetaCanary::CoalesceWithoutContexts),
        "keep_context_of_damaged" => Canary::Meta(MetaCanary::KeepContextOfDamaged),
        "reuse_dot" => Canary::Meta(MetaCanary::ReuseDot),
        "no_fingerprint" => Canary::Queue(QueueCanary::NoFingerprint),
        "at_most_once_again" => Canary::Queue(QueueCanary::AtMostOnceAgain),
        "at_most_once_copied" => Canary::Queue(QueueCanary::AtMostOnceCopied),
        "aborted_after_takeover" => Canary::Queue(QueueCanary::AbortedAfterTakeover),
        "fresh_dead_letter" => Canary::Queue(QueueCanary::FreshDeadLetter),
        "added_group_lost" => Canary::Queue(QueueCanary::AddedGroupLost),
        "purge_forgets_time" => Canary::Queue(QueueCanary::PurgeForgetsTime),
        "pause_ignored" => Canary::Queue(QueueCanary::PauseIgnored),
        "overflow_lost" => Canary::Queue(QueueCanary::OverflowLost),
        "budget_ignored" => Canary::Queue(QueueCanary::BudgetIgnored),
        "key_ignored" => Canary::Queue(QueueCanary::KeyIgnored),
        "hedges_unbounded" => Canary::Queue(QueueCanary::HedgesUnbounded),
        "at_most_once_hedged" => Canary::Queue(QueueCanary::AtMostOnceHedged),
        "dedup_by_live_members" => Canary::Queue(QueueCanary::DedupByLiveMembers),
        _ => return None,
    })
}

/// What a cluster costs and how fast it agrees, a line a size. Each size has a process of its own,
/// or what the one before left in memory would count.
fn table(arguments: &Arguments) {
    let [size] = arguments.sizes.as_slice() else {
        println!("{HEADING}");
        for size in &arguments.sizes {
            let this = std::env::current_exe().unwrap_or_default();
            let mut line = Command::new(this);
            line.args(["--scale", &size.to_string()]);
            line.args(["--from", &arguments.from.to_string()]);
            if let Err(error) = line.status() {
                eprintln!("{size}: {error}");
            }
        }
        return;
    };
    let scale = scale(*size, arguments.from);
    let shown = |ms: Option<u64>| ms.map_or("-".into(), |ms| ms.to_string());
    println!(
        "| {} | {} | {:.1} | {:.0} | {} | {:.2} | {} | {} | {} | {} |",
        scale.members,
        shown(scale.joined_ms),
        scale.frames,
        scale.bytes,
        scale.memory,
        scale.work,
        shown(scale.write_ms.map(|(median, _)| median)),
        shown(scale.write_ms.map(|(_, high)| high)),
        shown(scale.heal_ms),
        shown(scale.death_ms),
    );
}

/// The time of enqueues with one slow member, a line a way to be slow.
fn tail_table(arguments: &Arguments) {
    println!("| slow | p50 ms | p95 | p99 | p99.9 | longest | copies | hedges |");
    for tail in tails(arguments.from, arguments.rate) {
        let ms = |micros: u64| micros as f64 / 1e3;
        let [median, high, higher, highest] = tail.times.map(ms);
        println!(
            "| {} | {median:.1} | {high:.1} | {higher:.1} | {highest:.1} | {:.1} | {:.3} | {} |",
            tail.how,
            ms(tail.longest),
            tail.copies,
            tail.hedges,
        );
    }
}

fn one(seed: u64, arguments: &Arguments) -> bool {
    let outcome = run(&Options {
        seed,
        members: arguments.how.members,
        canary: arguments.how.canary,
        is_traced: arguments.is_traced,
    });
    println!("{}", outcome.plan);
    for (name, figure) in &outcome.figures {
        println!("{name:32} {figure}");
    }
    for what in SOMETIMES {
        println!("{what:32} {}", outcome.sometimes.count(what));
    }
    if let Some(file) = &arguments.history {
        let written = File::create(file).and_then(|file| {
            let mut writer = BufWriter::new(file);
            outcome.history.write(&mut writer)?;
            writer.flush()
        });
        if let Err(error) = written {
            eprintln!("{file}: {error}");
        }
    }
    if !outcome.violations.is_empty() {
        println!("{}", outcome.story());
    }
    println!("trace {:016x}", outcome.trace);
    close(1, outcome.simulated, outcome.violations.len());
    outcome.violations.is_empty()
}

fn many(arguments: &Arguments) -> bool {
    let seeds = arguments.from..arguments.from + arguments.seeds;
    let seeds = seeds.filter(|seed| {
        arguments.with.as_ref().is_none_or(|word| {
            let plan = plan_of(*seed, arguments.how.members);
            let mut words = plan.split([' ', '+', '=']);
            words.any(|drawn| drawn == word)
        })
    });
    let seeds: Vec<u64> = seeds.collect();
    let started = Instant::now();
    let total = sweep(&seeds, &arguments.how);
    report(&total, started);
    close(total.seeds, total.simulated, total.violations());
    total.failed.is_empty()
}

fn report(total: &Sweep, started: Instant) {
    for outcome in &total.failed {
        println!("{}", outcome.story());
    }
    for (name, figure) in &total.figures {
        println!("{name:32} {figure}");
    }
    for what in SOMETIMES {
        println!("{what:32} {}", total.sometimes.count(what));
    }
    let missing = total.sometimes.missing();
    if !missing.is_empty() {
        println!("never met: {}", missing.join(", "));
    }
    let wall = started.elapsed().as_secs_f64();
    let simulated = total.simulated as f64 / 1e6;
    println!(
        "{simulated:.0} s simulated in {wall:.1} s: {:.0} to one",
        simulated / wall
    );
}

fn close(seeds: u64, simulated: u64, violations: usize) {
    let hours = simulated as f64 / 3.6e9;
    println!("sim: seeds={seeds} hours={hours:.1} violations={violations}");
}
