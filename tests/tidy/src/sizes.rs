//! How a file begins and how long it may be (core/STYLE.md). Function length is clippy's.

use crate::source::lines_without_tests;
use crate::{Finding, Tree};

/// Lines of code a file may have, without its tests.
const LINES_MAX: usize = 600;
/// Lines that a file of tests may have.
const TEST_LINES_MAX: usize = 1_000;

/// What is code, by the end of its name.
const CODE: &[&str] = &[
    "rs", "py", "pyi", "js", "mjs", "cjs", "ts", "erl", "hrl", "ex", "exs", "c", "h", "hpp", "cpp",
    "rb", "kt", "sh", "mk",
];

/// Files that a generator writes, and samples that a test reads.
pub fn is_exempt(path: &str) -> bool {
    path == "include/primer.h"
        || path.starts_with("tests/data/")
        || path.contains("/fixtures/")
        || path.contains("/generated/")
}

/// Every Rust file opens with a `//!` that tells its idea.
pub fn heads(tree: &Tree) -> Vec<Finding> {
    let bad = tree
        .rust()
        .filter(|(path, text)| !is_exempt(path) && !text.starts_with("//! "));
    bad.map(|(path, _)| Finding::new(path, 1, "a file opens with `//!` and its idea"))
        .collect()
}

/// No file grows past its limit.
pub fn sizes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files() {
        let end = path.rsplit('.').next().unwrap_or_default();
        if !CODE.contains(&end) || is_exempt(path) {
            continue;
        }
        let (lines, most) = match is_test(path) {
            true => (text.lines().count(), TEST_LINES_MAX),
            false => (lines_without_tests(text), LINES_MAX),
        };
        if lines > most {
            findings.push(Finding::new(
                path,
                most + 1,
                format!("{lines} lines, {most} at most"),
            ));
        }
    }
    findings
}

/// Whether a file is tests through and through. The packages under `tests/` are code.
fn is_test(path: &str) -> bool {
    let path = path.strip_prefix("tests/").unwrap_or(path);
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    path.contains("/tests/")
        || path.contains("/test/")
        || stem.ends_with("tests")
        || stem.starts_with("test_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_head_is_found() {
        let tree = Tree::of(&[
            ("a.rs", "//! Fine.\n"),
            ("b.rs", "use x;\n"),
            ("c.py", "import x\n"),
        ]);
        assert_eq!(
            heads(&tree),
            [Finding::new(
                "b.rs",
                1,
                "a file opens with `//!` and its idea"
            )]
        );
    }

    #[test]
    fn a_file_that_is_too_long_is_found() {
        let (long, longer) = ("x\n".repeat(601), "x\n".repeat(1_001));
        let tested = format!("{}#[cfg(test)]\nmod tests {{\n{long}", "x\n".repeat(600));
        let tree = Tree::of(&[
            ("a.rs", &long),
            ("b.rs", &tested),
            ("bindings/c/tests/c.rs", &long),
            ("bindings/c/tests/d.c", &longer),
            ("tests/sim/src/e.rs", &long),
            ("include/primer.h", &long),
            ("f.md", &long),
        ]);
        let found: Vec<String> = sizes(&tree).iter().map(Finding::to_string).collect();
        assert_eq!(
            found,
            [
                "a.rs:601: 601 lines, 600 at most",
                "bindings/c/tests/d.c:1001: 1001 lines, 1000 at most",
                "tests/sim/src/e.rs:601: 601 lines, 600 at most",
            ]
        );
    }
}
