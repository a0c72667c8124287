//! Prints everything that tidy finds, one `file:line: what` a line, and fails when there is anything.

use std::process::ExitCode;

use primer_tidy::{CHECKS, Tree};

fn main() -> ExitCode {
    let tree = match Tree::of_this_repository() {
        Ok(tree) => tree,
        Err(told) => {
            eprintln!("tidy: {told}");
            return ExitCode::FAILURE;
        }
    };
    let mut count = 0;
    for (name, check) in CHECKS {
        for finding in check(&tree) {
            println!("{finding} [{name}]");
            count += 1;
        }
    }
    println!(
        "tidy: files={} checks={} findings={count}",
        tree.paths().count(),
        CHECKS.len()
    );
    if count == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
