//! The best-effort queue.

mod delivery;

pub use delivery::{Handle, Headers, Leased, OnShort, Receipt};
