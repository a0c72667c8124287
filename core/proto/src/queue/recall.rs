//! What members tell each other about dedup keys (protocol.md 4.6).

use alloc::string::String;
use alloc::vec::Vec;

use super::limits;
use crate::base::{BootId, Error, ErrorKind, MessageId, Result};
use crate::copies::is_derived;
use crate::wire::SEQUENCE_MAX;

/// "Do you know one of these messages?" Answered by one [`Recalled`], at once or when it is known whether a
/// message that the receiver is about to accept is accepted.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Recall {
    /// Names this at its sender, another number in each life of it.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The queue's name.
    #[prost(string, tag = "2")]
    pub queue: String,
    /// The origins of the three messages: of the window before, of the present one, of the next.
    #[prost(fixed64, repeated, tag = "3")]
    pub origins: Vec<u64>,
    /// Their sequences.
    #[prost(uint64, repeated, tag = "4")]
    pub sequences: Vec<u64>,
}

/// What is known of them.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Recalled {
    /// The recall.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// Of those that are known.
    #[prost(message, repeated, tag = "2")]
    pub known: Vec<Recollection>,
}

/// What one member knows of one message.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Recollection {
    /// Which: 0 of the window before, 1 of the present one, 2 of the next.
    #[prost(uint32, tag = "1")]
    pub place: u32,
    /// When its window ends, in wall-clock milliseconds since 1970; 0 where that is forgotten.
    #[prost(uint64, tag = "2")]
    pub until: u64,
    /// It is finished.
    #[prost(bool, tag = "3")]
    pub is_over: bool,
    /// Of one that is not: copies that its owner knows of, or the one that the sender holds.
    #[prost(uint32, tag = "4")]
    pub copies: u32,
}

/// "These are finished." Nothing answers it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Remember {
    /// Which.
    #[prost(message, repeated, tag = "1")]
    pub all: Vec<Memento>,
}

/// What is left of a message with a dedup key.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Memento {
    /// Its origin.
    #[prost(fixed64, tag = "1")]
    pub origin: u64,
    /// Its sequence.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// What stands for its key where the key's home is looked for.
    #[prost(fixed64, tag = "3")]
    pub home: u64,
    /// When its window ends, in wall-clock milliseconds since 1970.
    #[prost(uint64, tag = "4")]
    pub until: u64,
    /// How long that window is, in ms.
    #[prost(uint64, tag = "5")]
    pub window: u64,
    /// It was for groups, one of which has finished it: the others are not concerned.
    #[prost(bool, tag = "6")]
    pub is_of_groups: bool,
}

impl Recall {
    pub(super) fn new(number: u64, queue: &str, ids: &[MessageId; 3]) -> Self {
        Self {
            number,
            queue: queue.into(),
            origins: ids.iter().map(|id| id.origin.0).collect(),
            sequences: ids.iter().map(|id| id.sequence).collect(),
        }
    }

    /// The three messages; none where they are not three.
    pub(super) fn ids(&self) -> Option<[MessageId; 3]> {
        let pairs = self.origins.iter().zip(&self.sequences);
        let ids: Vec<MessageId> = pairs
            .map(|(origin, sequence)| MessageId {
                origin: BootId(*origin),
                sequence: *sequence,
            })
            .collect();
        ids.try_into().ok()
    }

    pub(super) fn weight(&self) -> usize {
        64 + self.queue.len()
    }

    /// What was decoded, when it is within the limits. Errors: 503.
    pub fn checked(self) -> Result<Self> {
        let is_named = (1..=limits::NAME_BYTES_MAX).contains(&self.queue.len());
        let is_even = self.origins.len() == self.sequences.len();
        let ids = self.ids().filter(|_| is_even && is_named);
        let is_good = ids.is_some_and(|ids| ids.iter().all(|id| is_good(*id)));
        is_good.then_some(self).ok_or_else(corrupt)
    }
}

impl Recalled {
    pub(super) fn weight(&self) -> usize {
        12 + self.known.len() * 20
    }

    /// What was decoded, when it is within the limits. Errors: 503.
    pub fn checked(self) -> Result<Self> {
        let is_good = self.known.len() <= 3 && self.known.iter().all(|one| one.place < 3);
        is_good.then_some(self).ok_or_else(corrupt)
    }
}

impl Remember {
    pub(super) fn weight(&self) -> usize {
        8 + self.all.len() * 48
    }

    /// What was decoded, when it is within the limits. Errors: 503.
    pub fn checked(self) -> Result<Self> {
        let is_within = self.all.len() <= limits::DEDUP_TELL_MAX;
        let windows = 1..=limits::DEDUP_WINDOW_MS_MAX;
        let mut all = self.all.iter();
        let is_good = all.all(|one| is_good(one.id()) && windows.contains(&one.window));
        (is_within && is_good).then_some(self).ok_or_else(corrupt)
    }
}

impl Memento {
    /// Whose.
    #[must_use]
    pub fn id(&self) -> MessageId {
        MessageId {
            origin: BootId(self.origin),
            sequence: self.sequence,
        }
    }
}

/// No message of a boot's own.
fn is_good(id: MessageId) -> bool {
    is_derived(id) && (1..=SEQUENCE_MAX).contains(&id.sequence)
}

fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt).because("what is said of dedup keys is out of its bounds")
}
