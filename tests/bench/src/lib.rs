//! Primer beside the limits of the machine, and beside JetStream where it is found.
//!
//! Absolute figures on shared machines are noise: rows take turns, several rounds of each, medians
//! are printed, and each row names what it is a ratio of, measured in the same run.
#![forbid(unsafe_code)]

pub mod cluster;
pub mod faces;
pub mod footprint;
pub mod limits;
pub mod local;
#[cfg(feature = "nats")]
pub mod nats;
pub mod row;

/// What goes wrong in a bench: a text, for a person.
pub type Outcome<T> = Result<T, String>;

/// How much work a row does.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Rounds of every row; the median is printed.
    pub rounds: usize,
    /// Messages of a fast row; slow ones take a share of it.
    pub messages: usize,
}

impl Effort {
    /// For figures.
    pub const FULL: Effort = Effort {
        rounds: 5,
        messages: 400_000,
    };
    /// To see that every row works.
    pub const SMOKE: Effort = Effort {
        rounds: 1,
        messages: 4_000,
    };
}

/// Bytes of a body.
pub const BODY: usize = 100;
