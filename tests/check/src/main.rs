//! `primer-check FILE`: judges a history of JSON lines (`-` reads standard input).
//!
//! Prints the figures, then each broken promise, then `check: violations=N`. Exits 0 when there is
//! none, 1 when there is one, 2 when the history cannot be read.

use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::process::ExitCode;

use primer_check::{History, HistoryError, NAMES, Promise, check};

const USAGE: &str = "primer-check [--exactly-once] [--zombie-ms N] [--names] FILE";

struct Arguments {
    file: String,
    promise: Promise,
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--names") {
        for (name, meaning) in NAMES {
            println!("{name:18} {meaning}");
        }
        return ExitCode::SUCCESS;
    }
    let Some(arguments) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match load(&arguments.file) {
        Ok(history) => judge(&history, &arguments.promise),
        Err(error) => {
            eprintln!("{}: {error}", arguments.file);
            ExitCode::from(2)
        }
    }
}

fn arguments(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut file = None;
    let mut promise = Promise::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--exactly-once" => promise.is_exactly_once = true,
            "--zombie-ms" => {
                promise.zombie_ns = words.next()?.parse::<u64>().ok()?.checked_mul(1_000_000)?;
            }
            word if word.starts_with("--") => return None,
            _ => file = Some(word),
        }
    }
    Some(Arguments {
        file: file?,
        promise,
    })
}

fn load(file: &str) -> Result<History, HistoryError> {
    let from: Box<dyn BufRead> = match file {
        "-" => Box::new(stdin().lock()),
        path => Box::new(BufReader::new(File::open(path)?)),
    };
    History::read(from)
}

fn judge(history: &History, promise: &Promise) -> ExitCode {
    let report = check(history, promise);
    println!("records            {}", history.records.len());
    for (name, figure) in &report.figures {
        println!("{name:18} {figure}");
    }
    for finding in &report.findings {
        println!("violation {finding}");
    }
    println!("check: violations={}", report.findings.len());
    ExitCode::from(u8::from(!report.is_valid()))
}
