//! `primer-sim`: whole clusters from seeds.
//!
//! `primer-sim --seeds N [--from S]` runs many and closes with `sim: seeds=N hours=H violations=V`;
//! `primer-sim --seed N [--trace] [--history FILE]` runs one. Exits 1 when a promise was broken.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::Instant;

use primer_sim::{Canary, How, Options, SOMETIMES, Sweep, run, sweep};

const USAGE: &str = "primer-sim --seeds N [--from S] | --seed N [--trace] [--history FILE]
  --members M   this many members in every run (drawn by default)
  --threads T   cores to use (all by default)
  --canary ack_before_w   plant a bug; the run must find it";

#[derive(Default)]
struct Arguments {
    seeds: u64,
    from: u64,
    seed: Option<u64>,
    is_traced: bool,
    history: Option<String>,
    how: How,
}

fn main() -> ExitCode {
    let Some(arguments) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
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
            "--seeds" => arguments.seeds = number()?,
            "--from" => arguments.from = number()?,
            "--seed" => arguments.seed = Some(number()?),
            "--members" => arguments.how.members = Some(number()? as usize),
            "--threads" => arguments.how.threads = number()? as usize,
            "--trace" => arguments.is_traced = true,
            "--history" => arguments.history = Some(words.next()?),
            "--canary" => {
                arguments.how.canary = match words.next()?.as_str() {
                    "ack_before_w" => Canary::AckBeforeW,
                    _ => return None,
                };
                arguments.how.is_first_enough = true;
            }
            _ => return None,
        }
    }
    (arguments.seeds > 0 || arguments.seed.is_some()).then_some(arguments)
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
    let seeds: Vec<u64> = (arguments.from..arguments.from + arguments.seeds).collect();
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
