//! Who may import whom (house.md 3, core/ARCHITECTURE.md).
//!
//! Crate edges are read from the manifests, room edges from `crate::` paths in the code. The tables
//! here are the rule; core/ARCHITECTURE.md explains it.

use crate::source::{bare, is_word};
use crate::{Finding, Tree};

/// A folder, the crates of this workspace that it may use, and the foreign ones (`None`: any).
type Edge = (
    &'static str,
    &'static [&'static str],
    Option<&'static [&'static str]>,
);

/// Every crate, the pure one with the short list of no_std crates it may use.
const EDGES: &[Edge] = &[
    (
        "core/proto",
        &[],
        Some(&[
            "blake3",
            "bytes",
            "hashbrown",
            "libm",
            "prost",
            "smallvec",
            "xxhash-rust",
        ]),
    ),
    ("core/store", &[], Some(&["crc32c", "fs4", "memmap2"])),
    ("core/primer", &["primer-proto", "primer-store"], None),
    ("core/gateway", &["primer"], None),
    ("core/cli", &["primer", "primer-gateway"], None),
    ("bindings/c", &["primer", "primer-gateway"], None),
    ("bindings/python", &["primer", "primer-gateway"], None),
    ("bindings/nodejs", &["primer", "primer-gateway"], None),
    (
        "bindings/erlang/native",
        &["primer", "primer-gateway"],
        None,
    ),
    ("bindings/uniffi", &["primer", "primer-gateway"], None),
    ("examples/rust", &["primer"], None),
    ("tests/check", &[], None),
    (
        "tests/sim",
        &["primer-check", "primer-proto", "primer-store"],
        None,
    ),
    (
        "tests/fuzz",
        &["primer", "primer-check", "primer-proto", "primer-store"],
        None,
    ),
    ("tests/cluster", &["primer", "primer-check"], None),
    (
        "tests/chaos",
        &["primer", "primer-check", "primer-cluster"],
        None,
    ),
    ("tests/conformance", &["primer"], Some(&[])),
    ("tests/bench", &["primer"], None),
    ("tests/tidy", &["primer-conformance"], Some(&[])),
];

/// The rooms of core/proto by level; a room uses rooms of lower levels, never one of its own.
const ROOMS: &[(&str, u8)] = &[
    ("base", 0),
    ("wire", 1),
    ("crdt", 1),
    ("membership", 2),
    ("broadcast", 2),
    ("metadata", 2),
    ("copies", 2),
    ("group", 2),
    ("mapping", 2),
    ("queue", 3),
    ("log", 3),
    ("engine", 4),
];

/// What a room of core/primer must not name. Handles (files beside lib.rs) speak to `run` alone.
const MIDDLE: &[(&str, &[&str])] = &[
    ("net", &["disk"]),
    ("disk", &["net"]),
    ("run", &[]),
    ("", &["net", "disk"]),
];

/// Every crate uses only the crates it may.
pub fn edges(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ours: Vec<String> = tree
        .files()
        .filter(|(path, _)| path.ends_with("Cargo.toml"))
        .filter_map(|(_, text)| name(text))
        .collect();
    for (path, text) in tree.files() {
        let Some(folder) = path.strip_suffix("/Cargo.toml") else {
            continue;
        };
        let Some((_, inner, foreign)) = EDGES.iter().find(|edge| edge.0 == folder) else {
            findings.push(Finding::new(
                path,
                1,
                "tests/tidy/src/walls.rs does not know this crate",
            ));
            continue;
        };
        for (line, dependency) in dependencies(text) {
            let is_ours = ours.iter().any(|name| *name == dependency);
            let is_allowed = if is_ours {
                inner.contains(&dependency)
            } else {
                foreign.is_none_or(|list| list.contains(&dependency))
            };
            if !is_allowed {
                findings.push(Finding::new(
                    path,
                    line,
                    format!("{folder} may not use {dependency}"),
                ));
            }
        }
    }
    findings
}

fn name(manifest: &str) -> Option<String> {
    let line = manifest.lines().find(|line| line.starts_with("name = "))?;
    Some(line.trim_start_matches("name = ").trim_matches('"').into())
}

/// The dependencies of every kind that a manifest names, each with its line.
fn dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_inside = false;
    for (index, line) in manifest.lines().enumerate() {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            is_inside = section.ends_with("dependencies") && !section.starts_with("workspace");
            if let Some((_, single)) = section.split_once("dependencies.") {
                found.push((index + 1, single));
            }
        } else if let Some((key, _)) = line.split_once(['=', '.'])
            && is_inside
            && !line.starts_with('#')
        {
            found.push((index + 1, key.trim()));
        }
    }
    found
}

/// Rooms use only rooms below them.
pub fn rooms(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust() {
        if let Some(inner) = path.strip_prefix("core/proto/src/") {
            let room = room_of(inner);
            if room == "lib" {
                continue;
            }
            let Some(level) = level(room) else {
                findings.push(Finding::new(
                    path,
                    1,
                    format!("tests/tidy/src/walls.rs does not know the room {room}"),
                ));
                continue;
            };
            for (line, used) in used(text) {
                let is_allowed = used == room || level_of(&used).is_some_and(|below| below < level);
                if !is_allowed {
                    findings.push(Finding::new(
                        path,
                        line,
                        format!("the room {room} may not use {used}"),
                    ));
                }
            }
        }
        if let Some(inner) = path.strip_prefix("core/primer/src/") {
            let room = if inner.contains('/') {
                room_of(inner)
            } else {
                ""
            };
            let shut = MIDDLE
                .iter()
                .find(|(name, _)| *name == room)
                .map_or(&[][..], |(_, shut)| shut);
            for (line, used) in used(text)
                .into_iter()
                .filter(|(_, used)| shut.contains(&used.as_str()))
            {
                findings.push(Finding::new(
                    path,
                    line,
                    format!("this file may not use {used}"),
                ));
            }
        }
    }
    findings
}

fn room_of(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or_default()
}

fn level(room: &str) -> Option<u8> {
    ROOMS
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, level)| *level)
}

/// The level of what stands behind `crate::`: a room's own; the crate's own words are base's.
fn level_of(used: &str) -> Option<u8> {
    level(used).or(["Error", "ErrorKind", "Result"]
        .contains(&used)
        .then_some(0))
}

/// The first name behind every `crate::` in the code, groups in braces opened, each with its line.
fn used(text: &str) -> Vec<(usize, String)> {
    let code = bare(text);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let (before, behind) = code.split_at_checked(at).unwrap_or_default();
        if before.ends_with(is_word) {
            continue;
        }
        let line = before.matches('\n').count() + 1;
        let behind = behind.get("crate::".len()..).unwrap_or_default();
        for name in first_names(behind) {
            found.push((line, name));
        }
    }
    found
}

fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        let name: String = path.chars().take_while(|c| is_word(*c)).collect();
        return vec![name];
    };
    let (mut names, mut depth, mut name, mut is_first) = (Vec::new(), 0, String::new(), true);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(std::mem::take(&mut name));
                is_first = true;
            }
            c if depth == 0 && is_first && is_word(c) => name.push(c),
            c if depth == 0 && !c.is_whitespace() => is_first = false,
            _ => {}
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty());
    names
}

/// The pure crate says that it is pure, and no crate of core has unsafe code.
pub fn purity(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let needed = [
        ("core/proto/src/lib.rs", "#![cfg_attr(not(test), no_std)]"),
        ("core/proto/src/lib.rs", "#![forbid(unsafe_code)]"),
        ("core/primer/src/lib.rs", "#![forbid(unsafe_code)]"),
    ];
    for (path, attribute) in needed {
        let has = tree
            .text(path)
            .is_some_and(|text| text.lines().any(|line| line == attribute));
        if !has {
            findings.push(Finding::new(path, 1, format!("`{attribute}` is missing")));
        }
    }
    for (path, text) in tree.rust().filter(|(path, _)| path.starts_with("core/")) {
        let code = bare(text);
        for (line, word) in crate::source::words(&code) {
            if word == "unsafe" {
                findings.push(Finding::new(path, line, "no unsafe code in core"));
            }
        }
        let is_pure = path.starts_with("core/proto/src/");
        for (at, _) in code.match_indices("std::").filter(|_| is_pure) {
            let before = code.get(..at).unwrap_or_default();
            let is_test = text
                .lines()
                .take(before.matches('\n').count())
                .any(|line| line == "#[cfg(test)]");
            if !before.ends_with(is_word) && !is_test && !path.ends_with("tests.rs") {
                let line = before.matches('\n').count() + 1;
                findings.push(Finding::new(path, line, "core/proto has no std"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_uses_another_floor_is_found() {
        let tree = Tree::of(&[
            (
                "core/proto/Cargo.toml",
                "[package]\nname = \"primer-proto\"\n[dependencies]\nbytes.workspace = true\ntokio = \"1\"\n",
            ),
            (
                "core/primer/Cargo.toml",
                "name = \"primer\"\n[dependencies]\nprimer-proto.workspace = true\n",
            ),
            (
                "bindings/c/Cargo.toml",
                "name = \"primer-c\"\n[dependencies]\nprimer-proto = { path = \"x\" }\n[dev-dependencies.primer]\n",
            ),
            ("core/new/Cargo.toml", "name = \"new\"\n"),
        ]);
        let found: Vec<String> = edges(&tree).iter().map(Finding::to_string).collect();
        assert_eq!(
            found,
            [
                "bindings/c/Cargo.toml:3: bindings/c may not use primer-proto",
                "core/new/Cargo.toml:1: tests/tidy/src/walls.rs does not know this crate",
                "core/proto/Cargo.toml:5: core/proto may not use tokio",
            ]
        );
    }

    #[test]
    fn a_room_that_uses_a_sibling_or_an_upper_one_is_found() {
        let tree = Tree::of(&[
            (
                "core/proto/src/copies/mod.rs",
                "use crate::base::{Error, id};\nuse crate::{\n    Result, metadata::{soft, table}, copies::own,\n};\n",
            ),
            (
                "core/proto/src/wire/mod.rs",
                "// crate::engine\nfn f() { crate::queue::shelf(); let _ = \"crate::log\"; }\n",
            ),
            ("core/proto/src/attic/mod.rs", ""),
            ("core/proto/src/engine/mod.rs", "use crate::queue::Shelf;"),
            (
                "core/primer/src/queue.rs",
                "use crate::run::Driver;\nuse crate::net::Link;\n",
            ),
            ("core/primer/src/net/link.rs", "use crate::{run, disk};\n"),
        ]);
        let found: Vec<String> = rooms(&tree).iter().map(Finding::to_string).collect();
        assert_eq!(
            found,
            [
                "core/primer/src/net/link.rs:1: this file may not use disk",
                "core/primer/src/queue.rs:2: this file may not use net",
                "core/proto/src/attic/mod.rs:1: tests/tidy/src/walls.rs does not know the room attic",
                "core/proto/src/copies/mod.rs:2: the room copies may not use metadata",
                "core/proto/src/wire/mod.rs:2: the room wire may not use queue",
            ]
        );
    }

    #[test]
    fn an_impure_core_is_found() {
        let tree = Tree::of(&[
            ("core/proto/src/lib.rs", "#![forbid(unsafe_code)]\n"),
            (
                "core/primer/src/lib.rs",
                "#![forbid(unsafe_code)]\nfn f() { unsafe { g() } }\n",
            ),
            ("core/proto/src/base/time.rs", "use std::time::Instant;\n"),
            (
                "core/proto/src/base/id.rs",
                "fn f() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n",
            ),
        ]);
        let found: Vec<String> = purity(&tree).iter().map(Finding::to_string).collect();
        assert_eq!(
            found,
            [
                "core/proto/src/lib.rs:1: `#![cfg_attr(not(test), no_std)]` is missing",
                "core/primer/src/lib.rs:2: no unsafe code in core",
                "core/proto/src/base/time.rs:1: core/proto has no std",
            ]
        );
    }
}
