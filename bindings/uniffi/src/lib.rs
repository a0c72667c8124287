//! Primer for the languages of UniFFI.
