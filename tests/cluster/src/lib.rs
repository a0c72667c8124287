//! Real processes on loopback sockets.
//!
//! [`member`] is what each process runs: a producer and a consumer that tell everything they see as
//! records. [`kill`] starts five of them, kills one with SIGKILL while it is under load, and hands
//! the history to `primer-check`. [`process`] is the line between the two.
#![forbid(unsafe_code)]

pub mod kill;
pub mod member;
pub mod process;

/// The queue everybody uses.
pub const QUEUE: &str = "work";

/// What goes wrong in a harness: a text, for a person.
pub type Outcome<T> = Result<T, String>;
