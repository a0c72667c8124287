//! The table of verbs, the scenarios and their Rust runner.
