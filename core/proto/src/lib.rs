//! Primer's protocols as pure state machines.
//!
//! The rooms, lowest first; each may use only those above it in this list (`tests/tidy` checks):
//! [`base`] words all rooms share; [`wire`] checked bytes; [`crdt`] what merges;
//! [`membership`] who is in; [`broadcast`] what all shall hear; [`metadata`] what all agree on;
//! [`copies`] who holds what; [`queue`] the best-effort queue; [`engine`] the only door.
//!
//! Nothing here knows time, chance, sockets, files or threads: they come in as values, and what is
//! wanted of them goes out as [`engine::Effect`]s.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod base;
pub mod broadcast;
pub mod copies;
pub mod crdt;
pub mod engine;
pub mod membership;
pub mod metadata;
pub mod queue;
pub mod wire;

pub use base::{Error, ErrorKind, Result};
pub use engine::{Config, Effect, Engine, Input};
