//! `primer-chaos [--short] [--seed N] [SCENARIO]...`: split, retire, mixed, join; all without a name.
//!
//! Closes with `chaos: scenarios=N members=M lost=L disagreements=D`; exit 1 when a promise was broken or
//! a scenario could not be ended. Where namespaces cannot be made the full run fails; a short one says so and
//! runs what it can.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Instant;

use primer_chaos::{Size, Verdict, join, mixed, network, retire, split};
use primer_cluster::{Outcome, member};

const USAGE: &str = "usage: primer-chaos [--short] [--seed N] [split|retire|mixed|join]...";

type Scenario = fn(&Size) -> Outcome<Verdict>;

/// Every scenario, and whether it needs namespaces.
const SCENARIOS: &[(&str, bool, Scenario)] = &[
    ("join", false, join::run),
    ("split", true, split::run),
    ("retire", true, retire::run),
    ("mixed", true, mixed::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["member", setup @ ..] => member::Setup::parse(setup)
            .and_then(|setup| member::run(&setup))
            .map(|()| true),
        words => Wanted::parse(words).and_then(|wanted| chaos(&wanted)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("primer-chaos: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What was asked for.
struct Wanted {
    is_short: bool,
    seed: u64,
    names: Vec<String>,
}

impl Wanted {
    fn parse(words: &[&str]) -> Outcome<Self> {
        let mut wanted = Self {
            is_short: false,
            seed: 1,
            names: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--short" => wanted.is_short = true,
                "--seed" => wanted.seed = member::number(words.next().ok_or(USAGE)?)?,
                name if SCENARIOS.iter().any(|(known, ..)| *known == name) => {
                    wanted.names.push(name.into());
                }
                _ => return Err(USAGE.into()),
            }
        }
        Ok(wanted)
    }

    fn has(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }
}

/// Runs what is wanted; false when anything of it went wrong.
fn chaos(wanted: &Wanted) -> Outcome<bool> {
    network::guard()?;
    network::sweep();
    let size = match wanted.is_short {
        true => Size::short(wanted.seed),
        false => Size::full(wanted.seed),
    };
    let namespaces = network::try_out();
    let (mut ran, mut sum, mut broken) = (0, Verdict::default(), Vec::new());
    for (name, needs_namespaces, run) in SCENARIOS.iter().filter(|(name, ..)| wanted.has(name)) {
        if let (true, Err(why)) = (needs_namespaces, &namespaces) {
            println!("chaos: {name} WAS NOT RUN: {why}");
            broken.extend((!wanted.is_short).then(|| format!("{name}: not run: {why}")));
            continue;
        }
        println!("{name}:");
        let begun = Instant::now();
        ran += 1;
        let outcome = run(&size);
        while network::is_interrupted() {
            // The guard removes what is left and ends this process.
            std::thread::park();
        }
        let found = match outcome {
            Ok(verdict) => {
                sum.members += verdict.members;
                sum.lost += verdict.lost;
                sum.disagreements += verdict.disagreements;
                verdict.broken
            }
            Err(why) => vec![format!("ended early: {why}")],
        };
        let word = if found.is_empty() { "good" } else { "BAD" };
        println!("  {word}, {:.0} s", begun.elapsed().as_secs_f64());
        broken.extend(found.into_iter().map(|what| format!("{name}: {what}")));
    }
    // Last, where a reader of many lines looks first.
    for what in &broken {
        println!("chaos: BAD {what}");
    }
    println!(
        "chaos: scenarios={ran} members={} lost={} disagreements={}",
        sum.members, sum.lost, sum.disagreements
    );
    Ok(broken.is_empty())
}
