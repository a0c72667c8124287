//! Real processes on loopback sockets, and what a harness of such processes is made of.
//!
//! [`member`] is what each process runs: it obeys words on its standard input and tells what it sees.
//! [`load`] is its producer and consumer, who tell everything as records. [`process`] holds such a process,
//! [`cluster`] several of them with the history that `primer-check` judges. [`kill`] is this package's
//! own test: five members, one killed with SIGKILL under load. `tests/chaos` builds on the rest.
#![forbid(unsafe_code)]

pub mod cluster;
pub mod kill;
pub mod load;
pub mod member;
pub mod poison;
pub mod process;

/// The queue everybody uses.
pub const QUEUE: &str = "work";

/// What goes wrong in a harness: a text, for a person.
pub type Outcome<T> = Result<T, String>;

/// An error as a harness tells it.
pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
