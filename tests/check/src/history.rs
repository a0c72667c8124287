//! The record of one event, and a whole run of them as JSON lines.
//!
//! Unknown fields and verbs are skipped, so that an older checker reads a newer history.

use std::fmt;
use std::io::{BufRead, Write};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What was put into a queue: unique in a run, and the text of the body (`7-42`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Value {
    /// Who enqueued it.
    pub process: u64,
    /// Its place in the order of that process, from 1.
    pub counter: u64,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.process, self.counter)
    }
}

impl FromStr for Value {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("not a value (process-counter): {text:?}");
        let (process, counter) = text.split_once('-').ok_or_else(wrong)?;
        Ok(Self {
            process: process.parse().map_err(|_| wrong())?,
            counter: counter.parse().map_err(|_| wrong())?,
        })
    }
}

/// A 64-bit identity, written as 16 hex digits: JSON's numbers do not hold it everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex(pub u64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Hex {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        u64::from_str_radix(text, 16)
            .map(Hex)
            .map_err(|_| format!("not 16 hex digits: {text:?}"))
    }
}

/// A message's identity as every face shows it: `<origin in hex>-<sequence>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id {
    /// The boot that accepted it.
    pub origin: Hex,
    /// Its place in that boot's order.
    pub sequence: u64,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.origin, self.sequence)
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("not a message id: {text:?}");
        let (origin, sequence) = text.split_once('-').ok_or_else(wrong)?;
        Ok(Self {
            origin: origin.parse()?,
            sequence: sequence.parse().map_err(|_| wrong())?,
        })
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    )*};
}
as_text!(Value, Hex, Id);

/// How far an operation has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It was asked for.
    Invoke,
    /// It happened.
    Ok,
    /// It surely did not happen.
    Fail,
    /// Nobody knows, or it is a remark of the harness.
    Info,
}

/// What was done. Those from `settled` on are remarks of the harness, made with `info`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// A producer puts a value into the queue `key`.
    Enqueue,
    /// A value arrived at a consumer of the queue `key`; only ever `ok`.
    Receive,
    /// A consumer says that a value is finished.
    Ack,
    /// A consumer failed with it.
    Nack,
    /// A consumer says that it can never succeed.
    Reject,
    /// A consumer gives it back untried.
    Release,
    /// A consumer needs longer.
    Extend,
    /// White box: every live holder of the value knows now that it is done.
    Settled,
    /// The harness destroyed the last copy on purpose: the value may be lost.
    Doomed,
    /// All that is left of the value is set aside at members that were evicted: it may stay there.
    Aside,
    /// What was set aside of the value is given out again, finished or not.
    Returned,
    /// White box: it ended by its own terms, because its time was over or because it was given out
    /// once: it need not arrive.
    Lapsed,
    /// All faults are healed and every queue was read until it was empty.
    Drained,
    /// Of a later version; skipped.
    #[serde(other)]
    Other,
}

/// What to do when fewer members than wanted can take a copy in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Short {
    /// Accept with fewer.
    Degrade,
    /// An error.
    Fail,
    /// Wait, then an error.
    Wait,
}

/// What a record may say beyond its verb; everything may be absent.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Extra {
    /// The message's id: on `enqueue ok` and `receive ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The receipt's copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<u16>,
    /// The receipt's wanted copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<u16>,
    /// What the producer asked for if there are fewer: on `enqueue invoke` or `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_short: Option<Short>,
    /// White box: the stores that held the message when its receipt was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stores: Option<Vec<Hex>>,
    /// On `enqueue invoke`: it must never be delivered twice.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_at_most_once: bool,
    /// How often it was given out, that time included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The store that gave the lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lessor: Option<Hex>,
    /// Under which epoch of its ownership.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
    /// Which lease of that owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<u32>,
    /// How long the lease lasts, from `given_ns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// White box: when the owner gave it. Without it overlaps are not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_ns: Option<u64>,
    /// The number of the error of a `fail` or `info`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<u16>,
}

impl Extra {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One event of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the history, from 0.
    pub index: u64,
    /// When, on one monotonic clock of the harness.
    pub time_ns: u64,
    /// Which client; a client whose operation ended as `info` goes on under a new number.
    pub process: u64,
    /// Which member served it, by the harness's own numbering.
    pub member: u64,
    /// How far the operation is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Which operation.
    pub f: Verb,
    /// The queue; may be empty in remarks.
    #[serde(default)]
    pub key: Arc<str>,
    /// The message; none in remarks about the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Everything else.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

/// A whole run, in the order of its index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Every event.
    pub records: Vec<Record>,
}

/// Why a history could not be read.
#[derive(Debug)]
pub enum HistoryError {
    /// The file could not be read.
    Io(std::io::Error),
    /// A line is no record.
    Line(usize, serde_json::Error),
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryError::Io(error) => write!(f, "{error}"),
            HistoryError::Line(line, error) => write!(f, "line {line}: {error}"),
        }
    }
}

impl std::error::Error for HistoryError {}

impl From<std::io::Error> for HistoryError {
    fn from(error: std::io::Error) -> Self {
        HistoryError::Io(error)
    }
}

impl History {
    /// Appends a record and gives it the next index.
    pub fn push(&mut self, mut record: Record) {
        record.index = self.records.len() as u64;
        self.records.push(record);
    }

    /// Reads JSON lines; empty lines are skipped. Errors: what could not be read, with its line.
    pub fn read(from: impl BufRead) -> Result<Self, HistoryError> {
        let mut records = Vec::new();
        for (number, line) in from.lines().enumerate() {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let record = serde_json::from_str(&line);
            records.push(record.map_err(|error| HistoryError::Line(number + 1, error))?);
        }
        Ok(Self { records })
    }

    /// Writes JSON lines. Errors: the writer's.
    pub fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        for record in &self.records {
            serde_json::to_writer(&mut *to, record)?;
            to.write_all(b"\n")?;
        }
        to.flush()
    }
}
