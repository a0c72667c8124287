//! What must not be left in the repository: unfinished marks, and places that exist on one machine.

use crate::{Finding, Tree};

/// Marks of work that is not done. Cut in two, so that this file does not hold them.
const MARKS: &[[&str; 2]] = &[
    ["to", "do!("],
    ["unimple", "mented!("],
    ["d", "bg!("],
    ["FIX", "ME"],
    ["TO", "DO"],
    ["XX", "X:"],
];

/// Folders of one machine; found at the start of a path only.
const FOLDERS: &[[&str; 2]] = &[
    ["/wo", "rk/"],
    ["/tm", "p/"],
    ["/ro", "ot/"],
    ["/ho", "me/"],
    ["/Us", "ers/"],
];

/// Hosts of package registries: which one is used is the machine's affair.
const HOSTS: &[[&str; 2]] = &[
    ["npm", "js.org"],
    ["crates", ".io"],
    ["pypi", ".org"],
    ["python", "hosted.org"],
    ["debian", ".org"],
    ["hex", ".pm"],
    ["rubygems", ".org"],
    ["maven", ".org"],
];

/// Nothing unfinished is left.
pub fn marks(tree: &Tree) -> Vec<Finding> {
    let is_of_interest = |path: &str| !path.ends_with("lock.json") && !path.ends_with(".lock");
    search(
        tree,
        MARKS,
        is_of_interest,
        |mark| format!("`{mark}` is unfinished work"),
        |_, _| true,
    )
}

/// No path or host of one machine is named.
pub fn places(tree: &Tree) -> Vec<Finding> {
    let starts = |line: &str, at: usize| {
        let before = line.get(..at).unwrap_or_default();
        before
            .chars()
            .next_back()
            .is_none_or(|c| c.is_whitespace() || "\"'`=(,:[<".contains(c))
    };
    let is_of_interest = |path: &str| !path.ends_with("Cargo.lock");
    let mut findings = search(
        tree,
        FOLDERS,
        is_of_interest,
        |folder| format!("`{folder}` is a folder of one machine"),
        starts,
    );
    let told = |host: &str| format!("`{host}` is a registry's host");
    findings.extend(search(tree, HOSTS, is_of_interest, told, |_, _| true));
    findings
}

fn search(
    tree: &Tree,
    patterns: &[[&str; 2]],
    is_of_interest: impl Fn(&str) -> bool,
    told: impl Fn(&str) -> String,
    fits: impl Fn(&str, usize) -> bool,
) -> Vec<Finding> {
    let patterns: Vec<String> = patterns.iter().map(|halves| halves.concat()).collect();
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| is_of_interest(path)) {
        for (index, line) in text.lines().enumerate() {
            for pattern in &patterns {
                if line
                    .match_indices(pattern.as_str())
                    .any(|(at, _)| fits(line, at))
                {
                    findings.push(Finding::new(path, index + 1, told(pattern)));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_work_is_found() {
        let text = format!("fine\n{}{}()\n// {}{} later\n", "to", "do!", "TO", "DO");
        let found = marks(&Tree::of(&[("a.rs", &text), ("Cargo.lock", &text)]));
        assert_eq!(found.iter().map(|one| one.line).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_machine_path_or_a_registry_is_found() {
        let text = format!(
            "see {0}{1}x\nbuild{0}{1}y\nhttps://{2}{3}/z\n",
            "/tm", "p/", "crates", ".io"
        );
        let found = places(&Tree::of(&[("a.md", &text), ("Cargo.lock", &text)]));
        assert_eq!(found.iter().map(|one| one.line).collect::<Vec<_>>(), [1, 3]);
    }
}
