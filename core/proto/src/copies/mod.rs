//! Replication: who gets a copy, and how copies travel (protocol.md 4.3).
//!
//! Knows stores and candidates, not queues' rules: what a copy means is the queue's business.

mod dedup;
mod fan;
mod holder;
mod message;
mod placement;
mod terms;

pub use dedup::{Dedup, home_rank};
pub use fan::{Fan, is_derived};
pub use holder::{BLOCK_BITS, Holder, Holders, Own, position, rank, signature, with};
pub use message::{Headers, Item, Owed, Refused, Repl, ReplNo, ReplOk, Section};
pub(crate) use message::{
    IDS_MAX, own_body, read_headers, read_holders, read_owed, read_own, read_terms, weigh,
    write_headers, write_holders, write_owed, write_own,
};
pub use placement::{Candidate, Placement, Placing, Zone};
pub use terms::{Asked, Terms, dead_letter_of, key_rank, redriven_of};
