//! `primer-cluster --runs N`: N times five members, one killed under load.
//!
//! Closes with `kill: runs=N acked=A duplicates=D lost=L`; exit 1 when anything was lost or odd.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use primer_cluster::{kill, member, poison};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["member", setup @ ..] => member::Setup::parse(setup).and_then(|setup| member::run(&setup)),
        ["taker", options @ ..] => poison::take(options),
        ["--runs", runs] => member::number(runs).and_then(kill::runs),
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
