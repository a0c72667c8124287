//! Cluster facts that are not the member set. So far: who has stock (soft state, protocol.md 3.2).

mod soft;

pub use soft::{Board, Stock};
