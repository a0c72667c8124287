//! Checked, bounded bytes for message batches (core/docs/wire.md).
//!
//! Control messages are prost structs: tagged, tolerant, a few hundred a second. Batches of messages
//! and ids have a tight layout of their own, read and written here.

mod ids;
mod reader;
mod writer;

pub use ids::{Ids, SEQUENCE_MAX};
pub use reader::Reader;
pub use writer::Put;
