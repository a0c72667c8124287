//! Deadlines.

/// Deadlines by key.
#[derive(Debug)]
pub struct Wheel {}
