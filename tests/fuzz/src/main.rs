//! `primer-fuzz TARGET [--seconds S | --count N] [--seed N]`, or `--replay CASE` for one case.
//!
//! Closes with `fuzz: target=T runs=N crashes=C` and exits 1 when there was a crash.

use std::process::ExitCode;
use std::time::Duration;

use primer_fuzz::{TARGETS, Until, replay, run};

struct Arguments {
    target: String,
    until: Until,
    seed: u64,
    replay: Option<u64>,
}

fn main() -> ExitCode {
    let Some(arguments) = arguments(std::env::args().skip(1)) else {
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("primer-fuzz TARGET [--seconds S | --count N] [--seed N | --replay CASE]");
        eprintln!("targets: {}", names.join(" "));
        return ExitCode::from(2);
    };
    let target = &arguments.target;
    if let Some(own) = arguments.replay {
        return match replay(target, own) {
            Some(Ok(())) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        };
    }
    let Some(report) = run(target, arguments.until, arguments.seed) else {
        eprintln!("no such target: {target}");
        return ExitCode::from(2);
    };
    for (own, what) in &report.crashes {
        println!("crash: {what}\n  replay: primer-fuzz {target} --replay {own}");
    }
    let (runs, crashes) = (report.runs, report.crashes.len());
    println!("fuzz: target={target} runs={runs} crashes={crashes}");
    ExitCode::from(u8::from(crashes > 0))
}

fn arguments(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut arguments = Arguments {
        target: words.next()?,
        until: Until::Count(10_000),
        seed: 1,
        replay: None,
    };
    while let Some(word) = words.next() {
        let number = words.next()?.parse::<u64>().ok()?;
        match word.as_str() {
            "--seconds" => arguments.until = Until::Time(Duration::from_secs(number)),
            "--count" => arguments.until = Until::Count(number),
            "--seed" => arguments.seed = number,
            "--replay" => arguments.replay = Some(number),
            _ => return None,
        }
    }
    Some(arguments)
}
