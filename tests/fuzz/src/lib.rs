//! Seeded fuzzers as plain programs.
