//! The files of the repository as values, so that a check can be shown made-up ones.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// From the repository's root.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// The files that the repository keeps, by their paths from its root.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

/// Folders that hold nothing of ours, for a copy of the repository without git.
const FOREIGN: &[&str] = &[
    ".git",
    "target",
    "build",
    "dist",
    "node_modules",
    "_build",
    "__pycache__",
];

impl Tree {
    /// The repository that this crate lies in: what git tracks or would track. Errors: unreadable.
    pub fn of_this_repository() -> Result<Tree, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut paths = tracked(&root).unwrap_or_default();
        if paths.is_empty() {
            walk(&root, Path::new(""), &mut paths)?;
        }
        let mut files = BTreeMap::new();
        for path in paths {
            // A deleted file is still in git's list, and one that is not text has no lines to look at.
            if let Ok(bytes) = std::fs::read(root.join(&path)) {
                files.insert(path, String::from_utf8(bytes).unwrap_or_default());
            }
        }
        Ok(Tree { files })
    }

    /// A made-up tree.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).into(), (*text).into()))
            .collect();
        Tree { files }
    }

    /// Every path, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Every path with its text; empty for a file that is not UTF-8.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text of the file at `path`, if it exists.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether there is a file or a folder at `path`.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.files.contains_key(path) || {
            let folder = format!("{path}/");
            self.files
                .range(folder.clone()..)
                .next()
                .is_some_and(|(path, _)| path.starts_with(&folder))
        }
    }

    /// The Rust files, with their texts.
    pub fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| path.ends_with(".rs"))
    }
}

fn tracked(root: &Path) -> Option<Vec<String>> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .current_dir(root)
        .output()
        .ok()?;
    let text = String::from_utf8(listed.stdout).ok()?;
    Some(
        text.split('\0')
            .filter(|path| !path.is_empty())
            .map(String::from)
            .collect(),
    )
}

fn walk(root: &Path, folder: &Path, paths: &mut Vec<String>) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(root.join(folder)).map_err(told)? {
        let entry = entry.map_err(told)?;
        let name = entry.file_name();
        let path: PathBuf = folder.join(&name);
        if entry.file_type().map_err(told)?.is_file() {
            paths.extend(path.to_str().map(String::from));
        } else if !FOREIGN.iter().any(|foreign| name == *foreign) {
            walk(root, &path, paths)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_knows_files_and_folders() {
        let tree = Tree::of(&[("a/b.rs", "x"), ("a-b", "")]);
        assert!(tree.has("a/b.rs") && tree.has("a") && tree.has("a/") && tree.has("a-b"));
        assert!(!tree.has("b.rs") && !tree.has("a/b") && !tree.has("c"));
    }

    #[test]
    fn this_repository_is_found_with_and_without_git() {
        let tree = Tree::of_this_repository().unwrap();
        assert!(
            tree.text("tests/tidy/src/tree.rs")
                .unwrap()
                .contains("this_repository")
        );
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = Vec::new();
        walk(root, Path::new(""), &mut paths).unwrap();
        assert!(paths.contains(&String::from("src/tree.rs")));
    }
}
