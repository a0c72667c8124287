//! Files that nothing names: an attic begins with one.
//!
//! A file counts as used when some other file holds its name (for a Rust module: its stem as a word), or
//! when a tool looks for it by its place or its own fixed name.

use std::collections::BTreeSet;

use crate::source::{is_word, words};
use crate::{Finding, Tree};

/// Names that tools and people look for.
const KNOWN: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "Makefile",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "ARCHITECTURE.md",
    "STYLE.md",
    "lib.rs",
    "main.rs",
    "mod.rs",
    "build.rs",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "pyproject.toml",
    "py.typed",
    "__init__.py",
    "conftest.py",
    "rebar.config",
    "rebar.lock",
    "mix.exs",
    "deny.toml",
    "uniffi.toml",
    "run.sh",
    "test.sh",
    "surface.toml",
];

/// Places whose files a tool finds by itself: each a part of the path and the ends that it takes.
const FOUND: &[(&str, &[&str])] = &[
    ("tests/conformance/scenarios/", &[".scn"]),
    ("core/docs/", &[".md"]),
    ("tests/data/", &[""]),
    (".ci/", &["run"]),
    (
        "/tests/",
        &[".rs", ".py", ".rb", ".exs", ".kt", ".c", ".cpp"],
    ),
    ("/test/", &[".mjs", ".cjs", ".js", ".erl", ".exs"]),
    ("/bin/", &[".rs"]),
    ("/config/", &[".exs"]),
    ("examples/kotlin/", &[".kt"]),
    ("examples/c/", &[".c"]),
    ("/bench/", &[""]),
    ("/examples/", &[".rs"]),
    ("/benches/", &[".rs"]),
    ("/src/", &[".erl", ".app.src"]),
    ("/lib/", &[".ex"]),
];

/// Every file is named somewhere or stands where a tool looks.
pub fn strays(tree: &Tree) -> Vec<Finding> {
    // Each word with the first two files that hold it: a file that names itself does not count.
    let mut holders: std::collections::BTreeMap<&str, BTreeSet<&str>> =
        std::collections::BTreeMap::new();
    for (path, text) in tree.files() {
        for (_, word) in words(text) {
            let held = holders.entry(word).or_default();
            if held.len() < 2 {
                held.insert(path);
            }
        }
    }
    let mut findings = Vec::new();
    for path in tree.paths() {
        let name = path.rsplit('/').next().unwrap_or_default();
        if name.starts_with('.') || KNOWN.contains(&name) || is_found(path) {
            continue;
        }
        let stem = name.split('.').next().unwrap_or_default();
        let first: String = stem.chars().take_while(|c| is_word(*c)).collect();
        let is_candidate = holders
            .get(first.as_str())
            .is_some_and(|held| held.iter().any(|holder| *holder != path));
        // Modules are named by their stem.
        let is_code = [".rs", ".py", ".cjs", ".mjs", ".js", ".rb", ".h"]
            .iter()
            .any(|end| name.ends_with(end));
        let wanted = if is_code { stem } else { name };
        let is_named = is_candidate
            && tree
                .files()
                .any(|(other, text)| other != path && text.contains(wanted));
        if !is_named {
            findings.push(Finding::new(path, 1, "nothing names this file"));
        }
    }
    findings
}

fn is_found(path: &str) -> bool {
    FOUND.iter().any(|(place, ends)| {
        let is_here = if place.starts_with('/') {
            path.contains(place)
        } else {
            path.starts_with(place)
        };
        is_here && ends.iter().any(|end| path.ends_with(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_nothing_names_is_found() {
        let tree = Tree::of(&[
            ("core/proto/src/lib.rs", "mod used;"),
            ("core/proto/src/used.rs", "//! attic"),
            ("core/proto/src/unused.rs", "//! unused"),
            ("scripts/setup.sh", ""),
            ("scripts/old.sh", "echo old.sh"),
            ("Makefile", "all:\n\tscripts/setup.sh\n"),
            ("tests/conformance/scenarios/basics.scn", ""),
        ]);
        let found: Vec<String> = strays(&tree).iter().map(|one| one.path.clone()).collect();
        assert_eq!(found, ["core/proto/src/unused.rs", "scripts/old.sh"]);
    }
}
