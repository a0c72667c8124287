//! The names that `stats` answers are the ones that core/docs/stats.md explains, no more and no fewer.

use std::collections::BTreeSet;

use primer::Options;

#[test]
fn every_counter_is_explained_and_exists() {
    let member = Options::default().open_blocking().unwrap();
    let stats = member.stats().unwrap();
    let told: BTreeSet<&str> = stats.iter().map(|(name, _)| name).collect();
    let page = primer_conformance::folder().join("../../core/docs/stats.md");
    let page = std::fs::read_to_string(page).unwrap();
    let explained: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let missing: Vec<_> = told.difference(&explained).collect();
    let gone: Vec<_> = explained.difference(&told).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "not explained: {missing:?}, gone: {gone:?}"
    );
    member.close().wait().unwrap();
}
