//! The other languages' own benches: each prints `row <tab> value <tab> unit` for its local rows.

use std::process::Command;

use crate::Outcome;
use crate::row::Line;

/// A face's program, as its folder documents it. The Makefile's scripts have built them.
const PROGRAMS: &[(&str, &[&str])] = &[
    (
        "c",
        &["sh", "-c", "exec \"$CARGO_TARGET_DIR/c/bench/local\""],
    ),
    (
        "python",
        &["build/venv/bin/python", "bindings/python/bench.py"],
    ),
    ("nodejs", &["node", "bindings/nodejs/bench/local.mjs"]),
    (
        "erlang",
        &["escript", "bindings/erlang/bench/local.escript"],
    ),
];

/// Runs every face's bench; a face that is not built is said so on standard error.
pub fn rows(channel: Option<f64>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (face, words) in PROGRAMS {
        match run(words) {
            Ok(text) => lines.extend(text.lines().filter_map(|line| parse(line, channel))),
            Err(why) => eprintln!("bench: no rows of {face}: {why}"),
        }
    }
    lines
}

fn run(words: &[&str]) -> Outcome<String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("no program".into());
    };
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_string());
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

fn parse(line: &str, channel: Option<f64>) -> Option<Line> {
    let mut words = line.split('\t');
    let (name, value, unit) = (words.next()?, words.next()?, words.next()?);
    let value: f64 = value.parse().ok()?;
    Some(Line {
        name: name.into(),
        value,
        unit: unit.into(),
        reference: "limit: channel between two threads".into(),
        ratio: channel.map(|channel| value / channel),
    })
}
