//! Unsafe code, which only bindings have, says why it is sound.

use crate::source::bare;
use crate::{Finding, Tree};

/// How many lines above a block its reason may begin.
const REACH: usize = 8;

/// Each `unsafe` block and impl stands under a `// SAFETY:` comment.
pub fn blocks(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust() {
        let code = bare(text);
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in code.lines().enumerate() {
            let is_block = line.contains("unsafe {") || line.contains("unsafe impl");
            let from = index.saturating_sub(REACH);
            let above = lines.get(from..=index).unwrap_or_default();
            if is_block && !above.iter().any(|line| line.contains("SAFETY:")) {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    "an unsafe block without `// SAFETY:` above it",
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_without_a_reason_is_found() {
        let tree = Tree::of(&[
            (
                "bindings/c/src/a.rs",
                "fn f() {\n    // SAFETY: the caller's promise.\n    unsafe { g() }\n}\n",
            ),
            (
                "bindings/c/src/b.rs",
                "fn f() {\n    unsafe { g() } // \"unsafe {\"\n}\n",
            ),
        ]);
        let found: Vec<String> = blocks(&tree).iter().map(Finding::to_string).collect();
        assert_eq!(
            found,
            ["bindings/c/src/b.rs:2: an unsafe block without `// SAFETY:` above it"]
        );
    }
}
