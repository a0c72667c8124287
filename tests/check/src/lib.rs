//! Histories and their checkers: one judge for the simulator, the cluster tests and users.
//!
//! A [`History`] is what a harness saw, one [`Record`] an event, as JSON lines (design: Jepsen's
//! histories). [`check`] judges it after the run. A checker knows nothing of Primer's code: only
//! what was asked, what was answered and what arrived. What it finds has one of the names in
//! [`NAMES`]; a figure that is no fault by itself (duplicates, recoveries) is a number in the
//! [`Report`].
//!
//! A harness follows three rules:
//! - a value (`process-counter`) is enqueued once in a run and is the message's body, so that a
//!   delivery names its enqueue; a retry is a new value;
//! - an operation whose end is unknown (time-out, crash, reset) ends as `info`, one that surely did
//!   not happen as `fail`;
//! - a message is recorded when it arrives, before it is acked. Else an ack that lands while its
//!   answer is lost would look like a lost message.
#![forbid(unsafe_code)]

mod copies;
mod history;
mod identity;
mod lease;
mod life;
mod queue;
mod report;
mod zombie;

pub use history::{Extra, Hex, History, HistoryError, Id, Kind, Record, Short, Value, Verb};
pub use report::{Finding, Report};

use life::Lives;

/// Every name that a [`Finding`] may have, and what it says.
pub const NAMES: &[(&str, &str)] = &[
    (
        "broken-history",
        "the harness broke its own rules: nothing else can be trusted",
    ),
    (
        "lost",
        "acknowledged to its producer and never delivered, though the run was drained",
    ),
    (
        "stranded",
        "delivered, but nobody ever acked it and the drain did not bring it again",
    ),
    ("unexpected", "delivered, but never enqueued"),
    (
        "misrouted",
        "delivered from another queue than it was put into",
    ),
    (
        "aborted-delivered",
        "delivered, though its producer was told that nothing happened",
    ),
    ("repeated", "an at-most-once message was delivered twice"),
    (
        "not-once",
        "delivered more than once although nothing failed and nothing timed out",
    ),
    (
        "copies-overstated",
        "fewer stores held the message than its receipt says",
    ),
    ("copies-none", "a receipt that says zero copies"),
    (
        "copies-short",
        "a receipt with fewer copies than wanted, where short was to be an error",
    ),
    (
        "zombie",
        "delivered after every live holder knew that it was done",
    ),
    ("lease-twice", "one lease of one owner was delivered twice"),
    (
        "lease-overlap",
        "an owner gave a message again while its own lease was running",
    ),
    (
        "attempts-back",
        "an owner's later lease shows fewer attempts than an earlier one",
    ),
    (
        "epoch-back",
        "a store gave a message under an older epoch of ownership than before",
    ),
    ("two-ids", "one value was known by two message ids"),
    ("shared-id", "one message id stands for two values"),
];

/// What a run promised beyond the promises that always hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Promise {
    /// Nothing failed and nothing timed out: each message arrives exactly once.
    pub is_exactly_once: bool,
    /// How long after the end of a message a delivery may still arrive, in nanoseconds: what was on
    /// its way when the last holder learned of the end.
    pub zombie_ns: u64,
}

/// Judges a whole history. Works in O(n log n) and never fails: a history that breaks its rules is
/// a finding too.
#[must_use]
pub fn check(history: &History, promise: &Promise) -> Report {
    let mut report = Report::default();
    let lives = Lives::of(history, &mut report);
    queue::check(&lives, promise, &mut report);
    copies::check(&lives, &mut report);
    zombie::check(&lives, promise, &mut report);
    lease::check(&lives, &mut report);
    identity::check(&lives, &mut report);
    report
}
