//! `primer-cluster --runs N`: N times five members, one killed under load.
//!
//! Closes with `kill: runs=N acked=A duplicates=D lost=L`; exit 1 when anything was lost or odd.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use primer_cluster::{Outcome, kill, member};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["member", index] => number(index).and_then(|index| member::run(index, None)),
        ["member", index, seed] => number(index).and_then(|index| member::run(index, Some(seed))),
        ["--runs", runs] => number(runs).and_then(kill::runs),
        _ => Err("usage: primer-cluster --runs N".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("primer-cluster: {why}");
            ExitCode::FAILURE
        }
    }
}

fn number(text: &str) -> Outcome<u64> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}
