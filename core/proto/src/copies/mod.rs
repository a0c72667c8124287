//! Replication: who gets a copy, who has confirmed one.

mod holder;

pub use holder::{BLOCK_BITS, Holder, Holders, Own, rank};
