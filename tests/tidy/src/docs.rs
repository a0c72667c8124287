//! Documents name only what exists: links, files in backticks, and `Type::name` symbols.

use std::collections::BTreeSet;

use crate::source::{is_word, words};
use crate::{Finding, Tree};

/// Ends of names that make a word in backticks a file.
const FILES: &[&str] = &[
    "rs", "md", "toml", "scn", "h", "hpp", "c", "py", "pyi", "js", "mjs", "ts", "json", "erl",
    "ex", "exs", "rb", "kt", "sh", "yml",
];

/// Folders that a build makes.
const MADE: &[&str] = &["build/", "dist/", "target/", "node_modules/", "generated/"];

/// Every link, file and symbol in every document exists.
pub fn documents(tree: &Tree) -> Vec<Finding> {
    let code: Vec<&str> = tree.rust().map(|(_, text)| text).collect();
    let known: BTreeSet<&str> = code
        .iter()
        .flat_map(|text| words(text).map(|(_, word)| word))
        .collect();
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| path.ends_with(".md")) {
        let mut is_sample = false;
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                is_sample = !is_sample;
                continue;
            }
            if is_sample {
                continue;
            }
            let links = links(line)
                .filter(|link| !reaches(tree, path, link))
                .map(|link| format!("no file `{link}`"));
            let files = ticked(line)
                .filter(|word| is_file(tree, word) && !exists(tree, path, word))
                .map(|word| format!("no file `{word}`"));
            let symbols = ticked(line)
                .filter(|word| !is_known(word, &known))
                .map(|word| format!("no symbol `{word}`"));
            findings.extend(
                links
                    .chain(files)
                    .chain(symbols)
                    .map(|what| Finding::new(path, index + 1, what)),
            );
        }
    }
    findings
}

/// The targets of `[text](target)` that point into the repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#', ' ']).next())
        .filter(|target| {
            !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")
        })
}

fn reaches(tree: &Tree, from: &str, link: &str) -> bool {
    resolve(from, link).is_some_and(|path| tree.has(&path))
}

/// `link` as seen from the folder of `from`, from the root; none when it climbs out.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = match link.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from
            .split('/')
            .rev()
            .skip(1)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect(),
    };
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The words in backticks, samples left out.
fn ticked(line: &str) -> impl Iterator<Item = &str> {
    line.split('`')
        .enumerate()
        .filter(|(index, _)| index % 2 == 1)
        .map(|(_, word)| word)
}

fn is_file(tree: &Tree, word: &str) -> bool {
    let is_path = word.chars().all(|c| is_word(c) || "./-".contains(c)) && word.contains('/');
    let end = word.rsplit('.').next().unwrap_or_default();
    let is_made = MADE
        .iter()
        .any(|made| word.starts_with(made) || word.contains(&format!("/{made}")));
    // A folder is only meant from the root.
    let is_folder =
        word.ends_with('/') && word.split('/').next().is_some_and(|first| tree.has(first));
    is_path && !is_made && (is_folder || (FILES.contains(&end) && word.contains('.')))
}

/// From the root, from the document's folder, or the end of some path (`engine/mod.rs`).
fn exists(tree: &Tree, from: &str, word: &str) -> bool {
    let inner = word.trim_end_matches('/');
    let tail = format!("/{inner}");
    let within = format!("/{inner}/");
    tree.has(inner)
        || reaches(tree, from, inner)
        || tree
            .paths()
            .any(|path| path.ends_with(&tail) || (word.ends_with('/') && path.contains(&within)))
}

/// False for `Type::name` of which a part is nowhere in the code.
fn is_known(word: &str, known: &BTreeSet<&str>) -> bool {
    let word = word.trim_end_matches("()");
    let parts: Vec<&str> = word.split("::").collect();
    let is_symbol = parts.len() > 1
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.chars().all(is_word));
    !is_symbol || parts.iter().all(|part| known.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_names_what_is_not_there_is_found() {
        let text = "[a](docs/b.md) [web](https://x/y.md) [up](../c.md)\n`core/x.rs` and `x.rs` `engine/mod.rs`\n\
                    `Engine::handle()` `Engine::gone` `a b::c`\n```\n`core/y.rs`\n```\n`core/src/` `core/none/` `build/z.rs`\n";
        let tree = Tree::of(&[
            ("core/a.md", text),
            ("core/docs/b.md", ""),
            ("core/src/engine/mod.rs", "impl Engine { fn handle() {} }"),
        ]);
        let found: Vec<String> = documents(&tree).iter().map(Finding::to_string).collect();
        assert_eq!(
            found,
            [
                "core/a.md:1: no file `../c.md`",
                "core/a.md:2: no file `core/x.rs`",
                "core/a.md:3: no symbol `Engine::gone`",
                "core/a.md:7: no file `core/none/`",
            ]
        );
    }
}
